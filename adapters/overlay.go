package adapters

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"datum/domain"
)

// OverlaySetting is the account setting that holds the document in force; see ParseOverlay. No vendor has a setting of this name.
const OverlaySetting = domain.MappingSetting

// customFields is the canonical field in which custom fields stand.
const customFields = domain.Field("customFields")

// Overlay is what a business says over a vendor's mapping, by kind: paths that differ in its account, fields of its own,
// what a vendor has come to require.
type Overlay map[domain.Kind]*KindOverlay

// KindOverlay is an Overlay's part for one kind.
type KindOverlay struct {
	Paths    map[domain.Field]map[string]string // vendor path of the mapping -> path in this account, by field
	Custom   []Custom
	Defaults map[string]any // by vendor path: what is written where nothing stands
	Ignore   []string       // members that are no drift
	Values   map[domain.Field]map[string]string
}

// Custom is a custom field: customFields.<Name>.
type Custom struct {
	Name, Path string
	Type       string // of CustomTypes: the form in which it is written
	ReadOnly   bool
}

// CustomTypes are the forms that a custom field can have at the vendor. Here it is text.
var CustomTypes = []string{"text", "number", "boolean", "date"}

// Touched returns the canonical fields that the overlay reads otherwise than the vendor's mapping does.
func (k *KindOverlay) Touched() []domain.Field {
	if k == nil {
		return nil
	}
	fs := slices.Collect(maps.Keys(k.Paths))
	fs = append(fs, slices.Collect(maps.Keys(k.Values))...)
	if len(k.Custom) > 0 {
		fs = append(fs, customFields)
	}
	slices.Sort(fs)
	return slices.Compact(fs)
}

// Configured returns an account's mappings: those of its vendor under the document in its settings.
func Configured(settings map[string]string, ms []Mapping) ([]Mapping, error) {
	src := settings[OverlaySetting]
	if src == "" {
		return ms, nil
	}
	o, err := ParseOverlay([]byte(src))
	if err != nil {
		return nil, err
	}
	return o.Over(ms), nil
}

// Mappings returns the mappings of an account with the settings. Invalid if its settings do not say what it carries.
func (v Vendor) Mappings(settings map[string]string) ([]Mapping, error) {
	ms := v.Mapping
	if v.Configure != nil {
		var err error
		if ms, err = v.Configure(settings); err != nil {
			return nil, err
		}
	}
	return Configured(settings, ms)
}

// Over returns the mappings as the overlay changes them; those given stay.
func (o Overlay) Over(ms []Mapping) []Mapping {
	out := slices.Clone(ms)
	for i := range out {
		if k := o[out[i].Kind]; k != nil {
			k.over(&out[i])
		}
	}
	return out
}

func (k *KindOverlay) over(m *Mapping) {
	m.Rows = slices.Clone(m.Rows)
	for i := range m.Rows {
		r := &m.Rows[i]
		for _, from := range slices.Sorted(maps.Keys(k.Paths[r.Field])) {
			to := k.Paths[r.Field][from]
			if from == anyPath {
				from = r.Paths[0]
			}
			*r = moved(*r, from, to)
		}
		if words := k.Values[r.Field]; len(words) > 0 {
			*r = worded(*r, words)
		}
	}
	if len(k.Custom) > 0 {
		i := slices.IndexFunc(m.Rows, func(r Row) bool { return r.Field == customFields })
		var base Row
		if i >= 0 {
			base = m.Rows[i]
			m.Rows[i] = custom(base, k.Custom)
		} else {
			m.Rows = append(m.Rows, custom(base, k.Custom))
		}
	}
	m.Known = append(slices.Clone(m.Known), k.Ignore...)
	m.defaults = k.Defaults
	m.Known = append(m.Known, slices.Sorted(maps.Keys(k.Defaults))...)
}

// moved is the row whose value stands at another path of the object.
func moved(r Row, from, to string) Row {
	f, err := ParsePath(from)
	t, terr := ParsePath(to)
	if err != nil || terr != nil {
		return r // ParseOverlay has said so
	}
	r.Paths = slices.Clone(r.Paths)
	for i, p := range r.Paths {
		if p == from {
			r.Paths[i] = to
		}
	}
	get, set := r.Get, r.Set
	as := func(o Object) Object {
		o = copied(o)
		if v, ok := At(o, t); ok {
			_ = Put(o, f, v) // as the row knows it
		} else {
			remove(o, f)
		}
		return o
	}
	r.Get = func(o Object) domain.Value { return get(as(o)) }
	if set != nil {
		r.Set = func(o Object, v domain.Value) error {
			before, had := At(o, f)
			tmp := as(o)
			if err := set(tmp, v); err != nil {
				return err
			}
			now, has := At(tmp, f)
			if had {
				_ = Put(tmp, f, before)
			} else {
				remove(tmp, f)
			}
			maps.Copy(o, tmp)
			if has {
				return Put(o, t, now)
			}
			return nil
		}
	}
	return r
}

// remove takes away what stands at the path; o is a copy, and what is changed below it is copied.
func remove(o Object, steps []Step) {
	for i, s := range steps {
		if i == len(steps)-1 && !s.List {
			delete(o, s.Name)
			return
		}
		in, ok := o[s.Name].(Object)
		if !ok || s.List {
			return
		}
		in = copied(in)
		o[s.Name] = in
		o = in
	}
}

// worded is the row that knows further words for its values.
func worded(r Row, words map[string]string) Row {
	get := r.Get
	r.Get = func(o Object) domain.Value {
		v := get(o)
		s := v.Text()
		if to, ok := words[s]; ok {
			return domain.TextValue(to)
		}
		for w, to := range words {
			if s != "" && strings.EqualFold(w, s) {
				return domain.TextValue(to)
			}
		}
		return v
	}
	return r
}

// custom is the row of the custom fields: those that the mapping carries by itself, in base, and those with paths of their own.
func custom(base Row, cs []Custom) Row {
	r := Row{Field: customFields, Paths: slices.Clone(base.Paths), Max: 0, Note: base.Note}
	steps := make([][]Step, len(cs))
	mine := map[string]bool{}
	readOnly := false
	for i, c := range cs {
		steps[i], _ = ParsePath(c.Path)
		mine[c.Name] = true
		readOnly = readOnly || c.ReadOnly
		r.Paths = append(r.Paths, c.Path)
		r.Note = strings.TrimPrefix(r.Note+"; "+c.Path+" is "+string(customFields)+"."+c.Name+", "+c.Type, "; ")
	}
	r.Get = func(o Object) domain.Value {
		all, carried := map[string]any{}, false
		if base.Get != nil {
			if v := base.Get(o); v != "" {
				carried = true
				if v.Decode(&all) != nil {
					return v // Normalize says what is wrong with it
				}
			}
		}
		for i, c := range cs {
			v, ok := At(o, steps[i])
			carried = carried || ok
			if ok && v != nil && v != "" {
				all[c.Name] = String(Object{"": v}, "")
				if composite := Form(v); composite == "object" || composite == "list" {
					b, _ := json.Marshal(v)
					all[c.Name] = string(b)
				}
			}
		}
		if !carried {
			return ""
		}
		return domain.ValueOf(all)
	}
	others := func(all map[string]string) map[string]string {
		rest := map[string]string{}
		for k, v := range all {
			if !mine[k] {
				rest[k] = v
			}
		}
		return rest
	}
	if !readOnly {
		r.Set = func(o Object, v domain.Value) error {
			var all map[string]string
			if err := v.Decode(&all); err != nil {
				return err
			}
			if base.Set != nil {
				if err := base.Set(o, domain.ValueOf(others(all))); err != nil {
					return err
				}
			}
			for i, c := range cs {
				x, err := c.written(all[c.Name])
				if err != nil {
					return err
				}
				if err := Put(o, steps[i], x); err != nil {
					return err
				}
			}
			return nil
		}
	}
	if base.Set == nil { // what has no place there is not carried
		r.Fit = func(v domain.Value) domain.Value {
			var all map[string]string
			if v.Empty() || v.Decode(&all) != nil {
				return v
			}
			for k := range others(all) {
				delete(all, k)
			}
			return domain.ValueOf(all)
		}
	}
	return r
}

// written is the value in the form in which the vendor takes it.
func (c Custom) written(s string) (any, error) {
	switch {
	case c.Type == "text" || c.Type == "date" && (s == "" || isDate(s)):
		return s, nil
	case s == "":
		return nil, nil
	case c.Type == "number" && json.Valid([]byte(s)) && strings.ContainsAny(s[:1], "-0123456789"):
		return json.Number(s), nil
	case c.Type == "boolean" && (s == "true" || s == "false"):
		return s == "true", nil
	}
	return nil, domain.Errorf(domain.Invalid, "%s.%s is %q and the vendor takes a %s there", customFields, c.Name, s, c.Type)
}

func isDate(s string) bool {
	n, is := domain.Normalize(domain.FieldInfo{Name: "date", Type: domain.TypeDate}, domain.TextValue(s))
	return len(is) == 0 && n.Text() == s
}

// Carry puts into an object that will be sent what the one as last seen says at the paths that have defaults, so that a default
// does not write over it. Adapters that send only what changes call it before Write.
func (m *Mapping) Carry(o, base Object) {
	for path := range m.defaults {
		steps, err := ParsePath(path)
		if err != nil || base == nil {
			continue
		}
		if v, ok := At(base, steps); ok && v != nil && v != "" {
			_ = Put(o, steps, v)
		}
	}
}

// fill puts the defaults where nothing stands.
func (m *Mapping) fill(o Object) error {
	for _, path := range slices.Sorted(maps.Keys(m.defaults)) {
		steps, err := ParsePath(path)
		if err != nil {
			continue
		}
		if v, ok := At(o, steps); ok && v != nil && v != "" {
			continue
		}
		if err := Put(o, steps, m.defaults[path]); err != nil {
			return domain.Errorf(domain.Invalid, "the default for %s cannot be written: %v", path, err)
		}
	}
	return nil
}
