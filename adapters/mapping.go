package adapters

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"datum/domain"
)

// Object is a vendor's JSON object. Numbers are json.Number.
type Object = map[string]any

// Mapping is the table of one kind: vendor path <-> canonical field. Coverage, drift, documentation and both directions
// of conversion come from it.
type Mapping struct {
	Kind   domain.Kind
	Object string // the vendor's word: "Contacts"
	// IDField is where our id is stored in the vendor's object: "ContactNumber".
	IDField string
	Rows    []Row
	// Known are further paths of the vendor's object that are understood but not canonical (read-only totals, links).
	// A path covers everything below it.
	Known []string
	// Sparse says that the vendor leaves out members that are empty: one that is not there any more may only have been cleared.
	Sparse bool
	// Flat returns the object as the rows see it, of a stored raw object; nil if they are the same.
	Flat func(raw Object) Object

	defaults map[string]any // see KindOverlay
}

// Row maps one field. Get and Set are pure.
type Row struct {
	Field domain.Field
	Paths []string // vendor paths, for documentation, coverage and drift: "Phones[DEFAULT]", "TaxNumber"
	Note  string   // anything a person should know: "ABN, 11 digits"
	Max   int      // longest text the vendor takes, in characters; 0 is no limit
	// Get reads the vendor's value in the vendor's own form. It returns absent ("") if this object does not carry the
	// field at all, Null if it is carried and empty. The caller normalises.
	Get func(o Object) domain.Value
	// Set writes a canonical value into a vendor object that will be sent; Null clears. A nil Set is read-only.
	Set func(o Object, v domain.Value) error
	// Fit returns as much of a canonical value as the vendor can hold, where that is less than all of it (people without
	// their telephone numbers); nil if it holds all. What Set(v) leaves behind reads back as Fit(v).
	Fit func(v domain.Value) domain.Value
}

// Fields returns the carried fields, in table order.
func (m *Mapping) Fields() []domain.Field {
	fs := make([]domain.Field, len(m.Rows))
	for i, r := range m.Rows {
		fs[i] = r.Field
	}
	return fs
}

// Writable returns the carried fields that can be written.
func (m *Mapping) Writable() []domain.Field {
	var fs []domain.Field
	for _, r := range m.Rows {
		if r.Set != nil {
			fs = append(fs, r.Field)
		}
	}
	return fs
}

// Row returns the row of the field, nil if it is not carried.
func (m *Mapping) Row(f domain.Field) *Row {
	i := slices.IndexFunc(m.Rows, func(r Row) bool { return r.Field == f })
	if i < 0 {
		return nil
	}
	return &m.Rows[i]
}

// Fit returns the values as this vendor can hold them: what a record should show once the values have been written.
func (m *Mapping) Fit(values domain.Values) domain.Values {
	fit := values.Clone()
	for _, r := range m.Rows {
		if v := values[r.Field]; v != "" && r.Fit != nil {
			fit[r.Field] = r.Fit(v)
		}
	}
	return fit
}

// Read maps a vendor object: values in canonical form, issues for values that do not fit, and unknown paths.
func (m *Mapping) Read(o Object) (domain.Values, []domain.Issue, []string) {
	ki, _ := m.Kind.Info()
	values := domain.Values{}
	var issues []domain.Issue
	for _, r := range m.Rows {
		v := r.Get(o)
		if v == "" {
			continue
		}
		fi, ok := ki.Field(r.Field)
		if !ok {
			continue
		}
		norm, is := domain.Normalize(fi, v)
		issues = append(issues, is...)
		if norm != "" {
			values[r.Field] = norm
		}
	}
	return values, issues, m.unknown(o)
}

// Write sets the values in o. A value that the vendor cannot hold is Invalid and names the field; nothing is cut short.
func (m *Mapping) Write(o Object, values domain.Values) error {
	for _, f := range values.Fields() {
		r := m.Row(f)
		if r == nil || r.Set == nil {
			return &domain.Error{Code: domain.Unsupported, Field: f, Message: fmt.Sprintf("%s does not carry %s of %s", m.Object, f, m.Kind)}
		}
		v := values[f]
		if n := len([]rune(v.Text())); r.Max > 0 && n > r.Max {
			return &domain.Error{Code: domain.Invalid, Field: f, Message: fmt.Sprintf(
				"%s has %d characters and %s takes at most %d; shorten it where it is owned", f, n, strings.Join(r.Paths, ", "), r.Max)}
		}
		if err := r.Set(o, v); err != nil {
			return &domain.Error{Code: domain.Invalid, Field: f, Message: fmt.Sprintf("%s cannot be written to %s: %v", f, strings.Join(r.Paths, ", "), err), Err: err}
		}
	}
	return m.fill(o)
}

// unknown lists the top-level keys of o that neither a row nor Known names. Keys whose value is empty are not drift.
func (m *Mapping) unknown(o Object) []string {
	known := map[string]bool{}
	add := func(p string) {
		if i := strings.IndexAny(p, ".["); i >= 0 {
			p = p[:i]
		}
		known[p] = true
	}
	for _, r := range m.Rows {
		for _, p := range r.Paths {
			add(p)
		}
	}
	for _, p := range m.Known {
		add(p)
	}
	if m.IDField != "" {
		add(m.IDField)
	}
	var un []string
	for k, v := range o {
		if !known[k] && v != nil && v != "" {
			un = append(un, k)
		}
	}
	slices.Sort(un)
	return un
}

// ParseObject decodes a vendor's JSON object, keeping numbers exact.
func ParseObject(b []byte) (Object, error) {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	var o Object
	if err := d.Decode(&o); err != nil {
		return nil, &domain.Error{Code: domain.Invalid, Message: "the vendor's answer is not a JSON object", Err: err}
	}
	return o, nil
}

// Stored is a record's raw object as the rows see it; nil if there is none.
func (m *Mapping) Stored(raw json.RawMessage) Object {
	if len(raw) == 0 {
		return nil
	}
	o, err := ParseObject(raw)
	if err != nil {
		return nil
	}
	if m.Flat != nil {
		o = m.Flat(o)
	}
	return o
}

// String returns o[key] as text: strings as they are, numbers and booleans in JSON form, everything else "".
func String(o Object, key string) string {
	switch v := o[key].(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case bool:
		return fmt.Sprint(v)
	default:
		return ""
	}
}

// TextRow maps a plain text member.
func TextRow(f domain.Field, key string, limit int, note string) Row {
	return Row{Field: f, Paths: []string{key}, Note: note, Max: limit,
		Get: func(o Object) domain.Value { return domain.TextValue(String(o, key)) },
		Set: func(o Object, v domain.Value) error { o[key] = v.Text(); return nil },
	}
}
