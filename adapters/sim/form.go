package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// form is the JSON object of a control request, read with tolerance: the case of a member's name and the _ and - in it do
// not matter, and most members have a second name. What is left when everything was taken is a mistake, which is told.
type form map[string]any

// readForms reads the body: one object, an array of them, or nothing, which is an empty object.
func readForms(r *http.Request) ([]form, error) {
	b, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return nil, fmt.Errorf("the body could not be read: %w", err)
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return []form{{}}, nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		return nil, errors.New("the body is not JSON; GET /_sim shows what each request takes")
	}
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	fs := make([]form, len(list))
	for i, x := range list {
		m, ok := x.(map[string]any)
		if !ok {
			return nil, errors.New("the body is neither a JSON object nor an array of them; GET /_sim shows what each request takes")
		}
		fs[i] = m
	}
	return fs, nil
}

// readForm reads a body that is one object.
func readForm(r *http.Request) (form, error) {
	fs, err := readForms(r)
	if err != nil {
		return nil, err
	}
	if len(fs) != 1 {
		return nil, errors.New("the body is an array; this request takes one object")
	}
	return fs[0], nil
}

// squash takes out of a name what does not matter.
func squash(name string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "", ".", "").Replace(strings.ToLower(name))
}

// take removes the first member that has one of the names and returns its value, nil if there is none. A null is none.
func (f form) take(names ...string) any {
	for _, n := range names {
		for _, k := range slices.Sorted(maps.Keys(f)) {
			if squash(k) != squash(n) {
				continue
			}
			v := f[k]
			delete(f, k)
			if v != nil {
				return v
			}
		}
	}
	return nil
}

// text takes a string or a number as text, "" if there is none.
func (f form) text(names ...string) (string, error) {
	switch v := f.take(names...).(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	case json.Number:
		return v.String(), nil
	default:
		return "", fmt.Errorf("%s is not text", names[0])
	}
}

// number takes a number, or text that is one, 0 if there is none.
func (f form) number(names ...string) (float64, error) {
	t, err := f.text(names...)
	if err != nil || t == "" {
		return 0, err
	}
	x, err := strconv.ParseFloat(t, 64)
	if err != nil {
		return 0, fmt.Errorf("%s is %q, which is not a number", names[0], t)
	}
	return x, nil
}

// whole takes a whole number, 0 if there is none.
func (f form) whole(names ...string) (int, error) {
	x, err := f.number(names...)
	if err == nil && x != float64(int(x)) {
		err = fmt.Errorf("%s is %v, which is not a whole number", names[0], x)
	}
	return int(x), err
}

// yes takes a boolean, false if there is none.
func (f form) yes(names ...string) (bool, error) {
	switch v := f.take(names...).(type) {
	case nil:
		return false, nil
	case bool:
		return v, nil
	default:
		return false, fmt.Errorf("%s is neither true nor false", names[0])
	}
}

// duration takes a time such as "1.5s"; a number is one of the unit.
func (f form) duration(unit time.Duration, names ...string) (time.Duration, error) {
	t, err := f.text(names...)
	if err != nil || t == "" {
		return 0, err
	}
	if x, err := strconv.ParseFloat(t, 64); err == nil {
		return time.Duration(x * float64(unit)), nil
	}
	d, err := time.ParseDuration(t)
	if err != nil {
		return 0, fmt.Errorf("%s is %q, which is not a duration such as \"500ms\" or \"2s\"", names[0], t)
	}
	return d, nil
}

// done refuses what nobody took, so that a misspelt member is told and not ignored.
func (f form) done(takes string) error {
	if len(f) == 0 {
		return nil
	}
	return fmt.Errorf("there is no member %s here; there are %s", strings.Join(slices.Sorted(maps.Keys(f)), ", "), takes)
}

// objectForm is a request about one object.
type objectForm struct {
	typ, id string
	fields  map[string]any
}

var (
	typeNames  = []string{"type", "objectType", "objectTypeId", "kind", "entity", "resource"}
	fieldNames = []string{"properties", "fields", "object", "data", "values", "attributes", "set", "changes"}
)

// object reads what is to be written: the fields are in a member of their own, or beside type and id.
func (s *Server) object(f form, typ, id string) (objectForm, error) {
	o := objectForm{typ: typ, id: id}
	if name, ok := f["object"].(string); ok { // {"object": "company"} is a type
		delete(f, "object")
		f["objectType"] = name
	}
	for _, names := range fieldNames {
		m, ok := f.take(names).(map[string]any)
		if ok {
			o.fields = m
			break
		}
	}
	t, err := f.text(typeNames...)
	if err != nil {
		return o, err
	}
	o.typ = s.typeName(orElse(o.typ, t))
	one := singular(o.typ)
	given, err := f.text("id", "objectId", "externalId", one+"Id", "hs_object_id")
	if err != nil {
		return o, err
	}
	if o.id = orElse(o.id, given); o.id == "" && o.fields != nil {
		if o.id, err = form(o.fields).text(one+"Id", "hs_object_id"); err != nil {
			return o, err
		}
	}
	if o.fields == nil {
		o.fields = map[string]any{}
	}
	maps.Copy(o.fields, f)
	return o, nil
}

func orElse(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// typeName returns the vendor's type that is meant: in any case, singular or plural, and the only one if none is named.
func (s *Server) typeName(given string) string {
	types := s.vendor.Types()
	if given == "" && len(types) == 1 {
		return types[0]
	}
	for _, t := range types {
		if squash(singular(t)) == squash(singular(given)) {
			return t
		}
	}
	return given
}

// singular takes an English plural's ending off.
func singular(word string) string {
	w := strings.ToLower(word)
	if stem, ok := strings.CutSuffix(w, "ies"); ok {
		return stem + "y"
	}
	return strings.TrimSuffix(w, "s")
}
