package sqldb

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// everything is the mapping of a vendor that could carry anything: what an account does carry is configured, and its rows
// say how. These rows only name the fields.
func everything() []adapters.Mapping {
	var ms []adapters.Mapping
	for _, ki := range domain.KindsAll() {
		m := adapters.Mapping{Kind: ki.Kind, Object: "a table"}
		for _, fi := range ki.Fields {
			m.Rows = append(m.Rows, adapters.Row{Field: fi.Name, Paths: []string{"as configured"}, Note: string(fi.Type),
				Get: func(object) domain.Value { return "" },
				Set: func(object, domain.Value) error { return fmt.Errorf("the account's mapping has no column for it") },
			})
		}
		ms = append(ms, m)
	}
	return ms
}

// mapping is the table of one kind as it is configured. zone is that of days and of times without a zone.
func (t *table) mapping(zone *time.Location) adapters.Mapping {
	ki, _ := t.kind.Info()
	m := adapters.Mapping{Kind: t.kind, Object: t.Table, IDField: t.ID, Known: slices.Clone(t.Key)}
	for _, fi := range ki.Fields {
		if f := t.Fields[fi.Name]; f != nil {
			m.Rows = append(m.Rows, f.row(fi, zone))
		}
	}
	for _, c := range []string{t.Changed, t.Created} {
		if c != "" {
			m.Known = append(m.Known, c)
		}
	}
	if t.Deleted != nil {
		m.Known = append(m.Known, t.Deleted.Column)
	}
	m.Known = append(m.Known, slices.Sorted(maps.Keys(t.Only))...)
	m.Known = append(m.Known, t.Known...)
	return m
}

func (f *field) row(fi domain.FieldInfo, zone *time.Location) adapters.Row {
	c := codec{f: f, typ: fi.Type, zone: zone}
	r := adapters.Row{Field: fi.Name, Paths: f.columns(), Get: c.get, Set: c.set}
	if f.Table != "" {
		r.Paths = []string{f.place()}
	}
	slices.Sort(r.Paths)
	r.Note = c.note()
	if f.ReadOnly {
		r.Set = nil
	}
	// What the columns cannot hold is what does not come back from them.
	r.Fit = func(v domain.Value) domain.Value {
		o := object{}
		if c.set(o, v) != nil {
			return v
		}
		fit, _ := domain.Normalize(fi, c.get(o))
		if fit == "" {
			return v
		}
		return fit
	}
	return r
}

// place is where a list of a table of its own is in the object: under the table's name.
func (f *field) place() string {
	_, name, ok := strings.Cut(f.Table, ".")
	if !ok {
		name = f.Table
	}
	return name + "()"
}

// codec reads and writes a field, or a member of one.
type codec struct {
	f    *field
	typ  domain.Type
	zone *time.Location
}

func (c codec) note() string {
	var notes []string
	if c.f.Table != "" {
		for _, m := range slices.Sorted(maps.Keys(c.f.Columns)) {
			notes = append(notes, m+": "+strings.Join(c.f.Columns[m].Column, ", "))
		}
	}
	for _, m := range slices.Sorted(maps.Keys(c.f.Constants)) {
		notes = append(notes, m+" is always "+c.f.Constants[m])
	}
	for _, v := range c.f.Values {
		notes = append(notes, v.column+" means "+v.meaning)
	}
	if c.f.Cents {
		notes = append(notes, "in cents")
	}
	return strings.Join(notes, "; ")
}

// member is the codec of a member.
func (c codec) member(name string) codec {
	typ := domain.TypeText
	switch {
	case refKind(name) != "" && c.typ != domain.TypeAddress:
		typ = domain.TypeRef
	case name == "date":
		typ = domain.TypeDate
	case name == "lines" && c.typ == domain.TypeAddress:
		typ = domain.TypeLongText
	}
	return codec{f: c.f.Columns[name], typ: typ, zone: c.zone}
}

func (c codec) get(o object) domain.Value {
	switch {
	case c.f.Table != "":
		return c.getList(o)
	case len(c.f.Columns) > 0:
		if !slices.ContainsFunc(c.f.columns(), func(col string) bool { return present(o, []string{col}) }) {
			return ""
		}
		m := c.getMembers(o)
		if c.typ == domain.TypeContacts && m != nil {
			return domain.ValueOf([]any{m})
		}
		return domain.ValueOf(m)
	case !present(o, c.f.Column):
		return ""
	}
	if c.typ == domain.TypeTags && c.f.Separator != "" {
		s, _ := scalar(o[c.f.Column[0]])
		tags := []any{}
		for tag := range strings.SplitSeq(s, c.f.Separator) {
			tags = append(tags, tag)
		}
		return domain.ValueOf(tags)
	}
	if x := o[c.f.Column[0]]; c.structured() {
		s, isText := x.(string)
		if !isText {
			return domain.ValueOf(x)
		}
		if s = strings.TrimSpace(s); s != "" && json.Valid([]byte(s)) {
			return domain.Value(s)
		}
		return domain.TextValue(s)
	}
	return domain.TextValue(c.text(o))
}

// structured reports whether the value is a list or an object in one column.
func (c codec) structured() bool {
	_, has := members[c.typ]
	return has && c.typ != domain.TypeMoney
}

func present(o object, columns []string) bool {
	return !slices.ContainsFunc(columns, func(col string) bool { _, ok := o[col]; return !ok })
}

// text reads a scalar in its canonical spelling, or as it is if it has none.
func (c codec) text(o object) string {
	if c.typ == domain.TypeRef {
		parts, ok := keyOf(o, c.f.Column)
		if !ok || len(parts) == 1 && c.f.Empty != nil && parts[0] == *c.f.Empty {
			return ""
		}
		return domain.Ext(joinKey(parts))
	}
	if len(c.f.Column) > 1 { // lines of an address
		var lines []string
		for _, col := range c.f.Column {
			if s, _ := scalar(o[col]); strings.TrimSpace(s) != "" {
				lines = append(lines, s)
			}
		}
		return strings.Join(lines, "\n")
	}
	s, ok := scalar(o[c.f.Column[0]])
	if !ok {
		return string(domain.ValueOf(o[c.f.Column[0]]))
	}
	for _, v := range c.f.Values {
		if v.column == s {
			return v.meaning
		}
	}
	if c.f.Empty != nil && s == *c.f.Empty {
		return ""
	}
	if s == "" {
		return ""
	}
	if c.f.Cents {
		if d, err := decimal.NewFromString(s); err == nil {
			return d.Shift(-2).String()
		}
	}
	if c.typ == domain.TypeDate {
		if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
			return t.In(c.zone).Format(time.DateOnly)
		}
	}
	return s
}

// getMembers reads a structured value from its columns, nil if all are empty.
func (c codec) getMembers(o object) map[string]any {
	out := map[string]any{}
	for name := range c.f.Columns {
		// Without an amount or a number of days there is nothing, whatever the currency or basis.
		if s := c.member(name).text(o); s != "" {
			out[name] = s
		}
	}
	if c.typ == domain.TypeMoney && out["amount"] == nil || c.typ == domain.TypePaymentTerms && out["days"] == nil {
		return nil
	}
	if len(out) > 0 {
		for name, s := range c.f.Constants {
			out[name] = s
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// getList reads a list from its own table's rows.
func (c codec) getList(o object) domain.Value {
	rows, ok := o[c.f.place()].([]any)
	if !ok {
		return ""
	}
	list, named := []any{}, map[string]any{}
	for _, x := range rows {
		row, _ := x.(object)
		m := c.getMembers(row)
		switch {
		case c.typ == domain.TypeTags && m != nil:
			list = append(list, m["value"])
		case c.typ == domain.TypeCustomFields && m["name"] != nil:
			named[fmt.Sprint(m["name"])] = m["value"]
		case m != nil:
			list = append(list, m)
		case c.typ == domain.TypeLines:
			list = append(list, map[string]any{})
		}
	}
	if c.typ == domain.TypeCustomFields {
		return domain.ValueOf(named)
	}
	return domain.ValueOf(list)
}

func (c codec) set(o object, v domain.Value) error {
	switch {
	case c.f.Table != "":
		return c.setList(o, v)
	case len(c.f.Columns) > 0 && c.typ == domain.TypeContacts:
		var list []map[string]any
		if err := v.Decode(&list); err != nil {
			return err
		}
		if len(list) == 0 {
			return c.setMembers(o, nil)
		}
		return c.setMembers(o, list[0])
	case len(c.f.Columns) > 0:
		var m map[string]any
		if err := v.Decode(&m); err != nil {
			return err
		}
		return c.setMembers(o, m)
	case c.typ == domain.TypeTags && c.f.Separator != "":
		var tags []string
		if err := v.Decode(&tags); err != nil {
			return err
		}
		for _, tag := range tags {
			if strings.Contains(tag, c.f.Separator) {
				return fmt.Errorf("the tag %q has %q in it, which parts tags there", tag, c.f.Separator)
			}
		}
		return c.setText(o, strings.Join(tags, c.f.Separator))
	case c.structured():
		if v.Empty() {
			return c.setText(o, "")
		}
		var x any
		if err := v.Decode(&x); err != nil {
			return err
		}
		o[c.f.Column[0]] = x
		return nil
	case c.typ == domain.TypeBool && len(c.f.Values) == 0 && !v.Empty():
		o[c.f.Column[0]] = v == "true"
		return nil
	}
	return c.setText(o, v.Text())
}

// setText writes a scalar in the column's own spelling.
func (c codec) setText(o object, s string) error {
	if c.typ == domain.TypeRef && s != "" {
		id, ok := domain.ExtID(s)
		if !ok {
			return fmt.Errorf("%q is not a record of this system", s)
		}
		parts, ok := splitKey(id, len(c.f.Column))
		if !ok {
			return fmt.Errorf("%q is not a key of %d columns", id, len(c.f.Column))
		}
		for i, col := range c.f.Column {
			o[col] = parts[i]
		}
		return nil
	}
	if len(c.f.Column) > 1 {
		return c.spread(o, s)
	}
	col := c.f.Column[0]
	if len(c.f.Values) > 0 {
		if _, has := o[col]; has && c.text(o) == s {
			return nil // another value of the column with this meaning stays
		}
		for _, v := range c.f.Values {
			if v.meaning == s {
				if o[col] = any(v.column); v.column == "" {
					o[col] = nil
				}
				return nil
			}
		}
		if s != "" {
			return fmt.Errorf("the mapping has no value of the column that means %s", s)
		}
	}
	switch {
	case s == "" && c.f.Empty != nil:
		o[col] = *c.f.Empty
	case s == "":
		o[col] = nil
	case c.f.Empty != nil && s == *c.f.Empty:
		return fmt.Errorf("%q stands for nothing in this column", s)
	case c.f.Cents:
		d, err := money.ParseDecimal(s, 2)
		if err != nil {
			return fmt.Errorf("%s is not in whole cents", s)
		}
		o[col] = d.Shift(2).String()
	default:
		o[col] = s
	}
	return nil
}

// spread writes lines into several columns; what is left over goes into the last one.
func (c codec) spread(o object, s string) error {
	var lines []string
	if s != "" {
		lines = strings.Split(s, "\n")
	}
	for i, col := range c.f.Column {
		o[col] = nil
		if c.f.Empty != nil {
			o[col] = *c.f.Empty
		}
		if i < len(lines) {
			o[col] = lines[i]
		}
		if i == len(c.f.Column)-1 && len(lines) > len(c.f.Column) {
			o[col] = strings.Join(lines[i:], ", ")
		}
	}
	return nil
}

// setMembers writes a structured value into its columns, nil clears them. Members without a column are not kept.
func (c codec) setMembers(o object, m map[string]any) error {
	for name, s := range c.f.Constants {
		if got, _ := scalar(m[name]); m != nil && got != s {
			return fmt.Errorf("its %s is always %s there, not %q", name, s, got)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.f.Columns)) {
		if c.f.Columns[name].ReadOnly {
			continue
		}
		var text string
		switch x := m[name].(type) {
		case []any: // lines of an address
			parts := make([]string, len(x))
			for i := range x {
				parts[i], _ = scalar(x[i])
			}
			text = strings.Join(parts, "\n")
		case float64:
			text = strconv.FormatFloat(x, 'f', -1, 64)
		default:
			text, _ = scalar(x)
		}
		if m == nil && (c.typ == domain.TypeMoney && name == "currency" || c.typ == domain.TypePaymentTerms && name == "basis") {
			continue // without an amount it says nothing, and other amounts may share it
		}
		if err := c.member(name).setText(o, text); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// setList makes the rows that the list's own table should have, without their keys.
func (c codec) setList(o object, v domain.Value) error {
	var list []map[string]any
	switch c.typ {
	case domain.TypeTags:
		var tags []string
		if err := v.Decode(&tags); err != nil {
			return err
		}
		for _, t := range tags {
			list = append(list, map[string]any{"value": t})
		}
	case domain.TypeCustomFields:
		var named map[string]any
		if err := v.Decode(&named); err != nil {
			return err
		}
		for _, name := range slices.Sorted(maps.Keys(named)) {
			list = append(list, map[string]any{"name": name, "value": named[name]})
		}
	default:
		if err := v.Decode(&list); err != nil {
			return err
		}
	}
	rows := make([]any, len(list))
	for i, m := range list {
		row := object{}
		if err := c.setMembers(row, m); err != nil {
			return fmt.Errorf("entry %d: %w", i+1, err)
		}
		rows[i] = row
	}
	o[c.f.place()] = rows
	return nil
}
