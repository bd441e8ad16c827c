package domain

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Value is one field's value as canonical JSON: keys sorted, no insignificant space, so that == is equality.
// The zero Value "" means absent: the system does not carry the field, or has no opinion. Null means carried and empty.
type Value string

// Null is the value of a field that is carried and empty.
const Null Value = "null"

// Empty reports whether v is absent or null.
func (v Value) Empty() bool { return v == "" || v == Null }

// MarshalJSON writes the value itself; absent is written as null.
func (v Value) MarshalJSON() ([]byte, error) {
	if v == "" {
		return []byte("null"), nil
	}
	return []byte(v), nil
}

// UnmarshalJSON canonicalises what it reads.
func (v *Value) UnmarshalJSON(b []byte) error {
	c, err := Canonical(b)
	*v = c
	return err
}

// Text returns the string inside a JSON string value, "" for null and absent, and the JSON itself for anything else.
func (v Value) Text() string {
	if v.Empty() {
		return ""
	}
	var s string
	if json.Unmarshal([]byte(v), &s) == nil {
		return s
	}
	return string(v)
}

// Decode unmarshals the value into dst; null and absent leave dst alone.
func (v Value) Decode(dst any) error {
	if v.Empty() {
		return nil
	}
	return json.Unmarshal([]byte(v), dst)
}

// Canonical returns b in canonical form.
func Canonical(b []byte) (Value, error) {
	if plain(b) {
		return Value(b), nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		return "", err
	}
	c, err := marshal(x) // what was decoded is sorted as it is written
	return compact(c), err
}

// plain reports whether b is a JSON string that is its own canonical form, as most values are: not empty, and without
// anything that is escaped or that an encoder would escape.
func plain(b []byte) bool {
	if len(b) < 3 || b[0] != '"' || b[len(b)-1] != '"' {
		return false
	}
	for _, c := range b[1 : len(b)-1] {
		if c < ' ' || c == '"' || c == '\\' || c >= 0x7f {
			return false
		}
	}
	return true
}

// TextValue returns s as a value; the empty string is Null.
func TextValue(s string) Value {
	if s == "" {
		return Null
	}
	return ValueOf(s)
}

// ValueOf returns x as canonical JSON. Structs, nil pointers and empty maps or slices are handled as encoding/json
// does, except that "", {} and [] become Null. It panics if x cannot be marshalled, which is a defect.
func ValueOf(x any) Value {
	b, err := marshal(x)
	if err != nil {
		panic("domain.ValueOf: " + err.Error())
	}
	// A struct's fields come in declaration order: one more round sorts them.
	if len(b) > 0 && (b[0] == '{' || b[0] == '[') {
		d := json.NewDecoder(bytes.NewReader(b))
		d.UseNumber()
		var y any
		if d.Decode(&y) == nil {
			if b2, err := marshal(y); err == nil {
				b = b2
			}
		}
	}
	return compact(b)
}

// compact is the value of canonical JSON, Null if there is nothing in it.
func compact(b []byte) Value {
	switch s := string(b); s {
	case `""`, "{}", "[]", "null":
		return Null
	default:
		return Value(s)
	}
}

func marshal(x any) ([]byte, error) {
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	if err := e.Encode(x); err != nil {
		return nil, err
	}
	return bytes.TrimRight(buf.Bytes(), "\n"), nil
}

// Values are the values of several fields of one entity or record.
type Values map[Field]Value

// Clone returns a copy.
func (v Values) Clone() Values { return maps.Clone(v) }

// Fields returns the names in alphabetical order.
func (v Values) Fields() []Field { return slices.Sorted(maps.Keys(v)) }

// Diff returns the values of want that differ from have, treating absent and null as equal.
func (v Values) Diff(want Values) Values {
	d := Values{}
	for f, w := range want {
		if h := v[f]; h != w && !(h.Empty() && w.Empty()) {
			d[f] = w
		}
	}
	return d
}

// String lists the values for logs of the field names only; values can be personal data.
func (v Values) String() string {
	names := make([]string, 0, len(v))
	for _, f := range v.Fields() {
		names = append(names, string(f))
	}
	return strings.Join(names, ",")
}
