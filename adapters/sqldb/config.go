package sqldb

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"datum/domain"
)

// maxMapping is the largest mapping that is read, in bytes.
const maxMapping = 1 << 20

// list is a name or a list of names.
type list []string

// table is how the configuration maps one kind.
type table struct {
	kind domain.Kind

	Table   string            `yaml:"table"`
	Key     list              `yaml:"key"`     // columns that identify a row
	ID      string            `yaml:"id"`      // column for our id
	Changed string            `yaml:"changed"` // column with the time of the last change
	Created string            `yaml:"created"` // column with the time of creation, set when Datum inserts
	Touch   *bool             `yaml:"touch"`   // whether Datum sets the changed column when it writes; default true
	Deleted *mark             `yaml:"deleted"` // soft deletion
	Only    map[string]string `yaml:"only"`    // columns with a constant: only such rows are of this kind
	Known   list              `yaml:"known"`   // columns that are understood and not mapped; "*" for all
	Fields  map[domain.Field]*field
}

// mark is a column that says that a row is deleted: by having a value, or by having this one.
type mark struct {
	Column string  `yaml:"column"`
	Value  *string `yaml:"value"`
}

// field is how a field, or a member of one, is kept.
type field struct {
	Column    list              `yaml:"column"`    // several for a reference to a key of several columns, or lines of an address
	Columns   map[string]*field `yaml:"columns"`   // members: of an address, of lines ...
	Constants map[string]string `yaml:"constants"` // members that are always so: {currency: AUD}
	Values    values            `yaml:"values"`    // what the column has: what it means
	Empty     *string           `yaml:"empty"`     // what the column has for nothing, where it cannot be NULL
	Separator string            `yaml:"separator"` // of tags in one text
	Cents     bool              `yaml:"cents"`     // an amount in whole cents
	ReadOnly  bool              `yaml:"readOnly"`

	// A list in a table of its own.
	Table    string `yaml:"table"`
	Parent   list   `yaml:"parent"`   // columns with the key of the row it belongs to
	Key      string `yaml:"key"`      // column that identifies a row of the list
	Position string `yaml:"position"` // column that orders the list
	Changed  string `yaml:"changed"`  // column with the time of the last change
}

// values pairs what a column has with what it means, in the order in which they are written: where two have one meaning,
// the first is written.
type values []struct{ column, meaning string }

func (l *list) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*l = list{n.Value}
		return nil
	}
	return n.Decode((*[]string)(l))
}

func (vs *values) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: values must pair what the column has with what it means", n.Line)
	}
	for i := 0; i < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || v.Kind != yaml.ScalarNode {
			return fmt.Errorf("line %d: values must pair one text with another", k.Line)
		}
		text := k.Value
		if k.Tag == "!!null" {
			text = ""
		}
		*vs = append(*vs, struct{ column, meaning string }{text, v.Value})
	}
	return nil
}

func (m *mark) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		m.Column = n.Value
		return nil
	}
	type plain mark
	return options(n, (*plain)(m), "column", "value")
}

func (f *field) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return f.Column.UnmarshalYAML(n)
	}
	type plain field
	return options(n, (*plain)(f), "column", "columns", "constants", "values", "empty", "separator", "cents", "readOnly",
		"table", "parent", "key", "position", "changed")
}

func (t *table) UnmarshalYAML(n *yaml.Node) error {
	type plain table
	return options(n, (*plain)(t), "table", "key", "id", "changed", "created", "touch", "deleted", "only", "known", "fields")
}

// options decodes a mapping that may have only these members.
func options(n *yaml.Node, into any, known ...string) error {
	if n.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: this should be one of the options %s with its value", n.Line, strings.Join(known, ", "))
	}
	for i := 0; i < len(n.Content); i += 2 {
		if k := n.Content[i]; !slices.Contains(known, k.Value) {
			return fmt.Errorf("line %d: there is no option %q here; there are %s", k.Line, k.Value, strings.Join(known, ", "))
		}
	}
	return n.Decode(into)
}

// configured reads the setting "mapping": the YAML itself if it has several lines, else the name of a file with it.
func configured(setting string) ([]*table, error) {
	bad := func(format string, args ...any) error {
		e := domain.Errorf(domain.Invalid, "the setting mapping: "+format, args...)
		e.Op = "sqldb.Configure"
		return e
	}
	text := []byte(setting)
	switch {
	case strings.TrimSpace(setting) == "":
		return nil, bad("is missing; it says which tables hold which kinds, see docs/sqldb.md")
	case !strings.ContainsAny(strings.TrimSpace(setting), "\n{"):
		st, err := os.Stat(strings.TrimSpace(setting))
		if err == nil && (st.Size() > maxMapping || !st.Mode().IsRegular()) {
			return nil, bad("the file %s is not a file of at most 1 MB", setting)
		}
		if text, err = os.ReadFile(strings.TrimSpace(setting)); err != nil {
			return nil, bad("the file %s cannot be read", setting)
		}
	case len(text) > maxMapping:
		return nil, bad("is longer than 1 MB")
	}
	var kinds map[domain.Kind]*table
	if err := yaml.Unmarshal(text, &kinds); err != nil {
		return nil, bad("%s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var tables []*table
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		t := kinds[kind]
		if t == nil {
			return nil, bad("%s has no table", kind)
		}
		t.kind = kind
		if err := t.validate(); err != nil {
			return nil, bad("%s: %v", kind, err)
		}
		tables = append(tables, t)
	}
	if len(tables) == 0 {
		return nil, bad("maps no kind")
	}
	slices.SortStableFunc(tables, func(a, b *table) int { return order(a.kind) - order(b.kind) })
	return tables, nil
}

// order is the place of a kind among those that depend on one another.
func order(k domain.Kind) int {
	return slices.IndexFunc(domain.KindsAll(), func(ki domain.KindInfo) bool { return ki.Kind == k })
}

func (t *table) validate() error {
	ki, ok := t.kind.Info()
	if !ok {
		return fmt.Errorf("there is no such kind")
	}
	if t.Table == "" || len(t.Key) == 0 || slices.Contains(t.Key, "") {
		return fmt.Errorf("it needs a table and its key")
	}
	if len(t.Fields) == 0 {
		return fmt.Errorf("it maps no field")
	}
	if t.Deleted != nil && t.Deleted.Column == "" {
		return fmt.Errorf("deleted names no column")
	}
	for _, name := range slices.Sorted(maps.Keys(t.Fields)) {
		fi, ok := ki.Field(name)
		if !ok {
			return fmt.Errorf("there is no field %s", name)
		}
		f := t.Fields[name]
		if f == nil {
			return fmt.Errorf("%s has no column", name)
		}
		if err := f.validate(fi.Type, t); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// members are the members of a field that has some; nil if any name will do.
var members = map[domain.Type][]string{
	domain.TypeAddress:      {"lines", "suburb", "state", "postcode", "country"},
	domain.TypeContacts:     {"firstName", "lastName", "email", "phone", "role"},
	domain.TypeMoney:        {"amount", "currency"},
	domain.TypePaymentTerms: {"basis", "days"},
	domain.TypeLines: {"kind", "product", "sku", "description", "quantity", "unitPrice", "discountRate", "discountAmount",
		"taxCode", "amount", "tax", "account"},
	domain.TypeAllocations:  {"invoice", "creditNote", "amount", "date"},
	domain.TypeTags:         {"value"},
	domain.TypeCustomFields: nil,
}

func (f *field) validate(typ domain.Type, t *table) error {
	allowed, structured := members[typ]
	ways := 0
	for _, has := range []bool{len(f.Column) > 0, len(f.Columns) > 0 && f.Table == "", f.Table != ""} {
		if has {
			ways++
		}
	}
	if ways == 0 || ways > 1 && typ != domain.TypeMoney {
		return fmt.Errorf("it needs a column, or columns, or a table with columns")
	}
	if slices.Contains(f.Column, "") {
		return fmt.Errorf("a column has no name")
	}
	if typ == domain.TypeMoney && len(f.Column) > 0 {
		if f.Columns == nil {
			f.Columns = map[string]*field{}
		}
		f.Columns["amount"] = &field{Column: f.Column, Cents: f.Cents, Empty: f.Empty}
		f.Column = nil
	}
	if len(f.Columns)+len(f.Constants) > 0 && !structured {
		return fmt.Errorf("it has no members; name one column")
	}
	if len(f.Column) > 1 && typ != domain.TypeRef {
		return fmt.Errorf("it cannot be spread over several columns")
	}
	inTable := map[domain.Type]bool{domain.TypeLines: true, domain.TypeAllocations: true, domain.TypeContacts: true, domain.TypeTags: true, domain.TypeCustomFields: true}
	switch {
	case f.Table != "" && !inTable[typ]:
		return fmt.Errorf("it is no list and needs no table of its own")
	case f.Table != "" && (len(f.Parent) != len(t.Key) || f.Key == "" || len(f.Columns) == 0):
		return fmt.Errorf("the table %s needs parent, as many columns as the key has; key, one column that identifies its rows; and columns", f.Table)
	case f.Table == "" && len(f.Columns) > 0 && (typ == domain.TypeLines || typ == domain.TypeAllocations || typ == domain.TypeTags):
		return fmt.Errorf("a list needs a table of its own")
	}
	if f.Table != "" && typ == domain.TypeCustomFields {
		allowed = []string{"name", "value"}
	}
	for _, name := range slices.Sorted(maps.Keys(f.Columns)) {
		m := f.Columns[name]
		if allowed != nil && !slices.Contains(allowed, name) {
			return fmt.Errorf("it has no member %s; there are %s", name, strings.Join(allowed, ", "))
		}
		if m == nil || len(m.Column) == 0 || slices.Contains(m.Column, "") || m.Table != "" || len(m.Columns) > 0 {
			return fmt.Errorf("the member %s needs a column", name)
		}
		if refKind(name) == "" && len(m.Column) > 1 && (typ != domain.TypeAddress || name != "lines") {
			return fmt.Errorf("the member %s cannot be spread over several columns", name)
		}
	}
	for name := range f.Constants {
		if !slices.Contains(allowed, name) || f.Columns[name] != nil {
			return fmt.Errorf("the member %s cannot be constant", name)
		}
	}
	switch typ {
	case domain.TypeMoney:
		if f.Columns["amount"] == nil || f.Columns["currency"] == nil && f.Constants["currency"] == "" {
			return fmt.Errorf("an amount needs a currency: a column of its own or constants: {currency: AUD}")
		}
	case domain.TypePaymentTerms:
		if len(f.Columns) > 0 && (f.Columns["days"] == nil || f.Columns["basis"] == nil && f.Constants["basis"] == "") {
			return fmt.Errorf("payment terms need days and a basis: a column of its own or constants: {basis: DAYS_AFTER_INVOICE}")
		}
	}
	return nil
}

// refKind is the kind that a member of a list refers to, "" if it is no reference.
func refKind(member string) domain.Kind {
	switch member {
	case "product":
		return domain.KindProduct
	case "invoice":
		return domain.KindInvoice
	case "creditNote":
		return domain.KindCreditNote
	}
	return ""
}

func (t *table) touches() bool { return t.Changed != "" && (t.Touch == nil || *t.Touch) }

// children are the fields that have a table of their own, in alphabetical order.
func (t *table) children() []*field {
	var fs []*field
	for _, name := range slices.Sorted(maps.Keys(t.Fields)) {
		if f := t.Fields[name]; f.Table != "" {
			fs = append(fs, f)
		}
	}
	return fs
}

// columns are the columns of the table that the configuration names, once each.
func (t *table) columns() []string {
	cols := slices.Clone(t.Key)
	for _, c := range []string{t.ID, t.Changed, t.Created} {
		if c != "" {
			cols = append(cols, c)
		}
	}
	if t.Deleted != nil {
		cols = append(cols, t.Deleted.Column)
	}
	cols = append(cols, slices.Collect(maps.Keys(t.Only))...)
	for _, f := range t.Fields {
		cols = append(cols, f.columns()...)
	}
	slices.Sort(cols)
	return slices.Compact(cols)
}

// columns are those that the field has in the table of its kind.
func (f *field) columns() []string {
	if f.Table != "" {
		return nil
	}
	cols := slices.Clone(f.Column)
	for _, m := range f.Columns {
		cols = append(cols, m.Column...)
	}
	return cols
}

// ownColumns are the columns of a list's own table that the configuration names.
func (f *field) ownColumns() []string {
	cols := append(slices.Clone(f.Parent), f.Key)
	for _, c := range []string{f.Position, f.Changed} {
		if c != "" {
			cols = append(cols, c)
		}
	}
	for _, m := range f.Columns {
		cols = append(cols, m.Column...)
	}
	slices.Sort(cols)
	return slices.Compact(cols)
}
