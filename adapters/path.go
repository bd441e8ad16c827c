package adapters

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
)

// Step is one step of a path: a member's name and, for a member that is a list, which of its elements.
type Step struct {
	Name string
	// In chooses an element of the list: the one of which a member says so ("POBOX", "1", "default"), or whose member Key does
	// ("Name=Region"). List is true for any, also with In "".
	List    bool
	Key, In string
}

// ParsePath reads a vendor path: members apart by dots, elements of lists in brackets. "TaxNumber", "SellingDetails.ABN",
// "Addresses[POBOX].City", "Custom[Name=Region].Value". An empty path, an empty name and brackets that do not close are
// Invalid.
func ParsePath(path string) ([]Step, error) {
	bad := func(why string) ([]Step, error) {
		return nil, fmt.Errorf(`%q is no path: %s; write it like "TaxNumber", "SellingDetails.ABN" or "Addresses[POBOX].City"`, path, why)
	}
	if strings.ContainsFunc(path, unicode.IsControl) {
		return bad("it holds a control character")
	}
	var steps []Step
	for rest := path; ; {
		end := strings.IndexAny(rest, ".[")
		name := rest
		if end >= 0 {
			name = rest[:end]
		}
		if name == "" || strings.TrimSpace(name) != name || strings.Contains(name, "]") {
			return bad("a name is missing")
		}
		s := Step{Name: name}
		rest = rest[len(name):]
		if strings.HasPrefix(rest, "[") {
			inside, after, closed := strings.Cut(rest[1:], "]")
			if !closed || strings.Contains(inside, "[") {
				return bad("a bracket is not closed")
			}
			s.List, s.In, rest = true, inside, after
			if k, v, ok := strings.Cut(inside, "="); ok {
				if k == "" || v == "" {
					return bad("brackets with = need a name before and a value after it")
				}
				s.Key, s.In = k, v
			}
		}
		steps = append(steps, s)
		if rest == "" {
			return steps, nil
		}
		if rest[0] != '.' {
			return bad("after a bracket comes a dot or nothing")
		}
		rest = rest[1:]
	}
}

// chosen reports whether the element is the one that the step means.
func (s Step) chosen(e Object) bool {
	if s.In == "" {
		return true
	}
	for k, v := range e {
		if s.Key != "" && k != s.Key {
			continue
		}
		if strings.EqualFold(String(e, k), s.In) || s.Key == "" && v == true && strings.EqualFold(k, s.In) {
			return true
		}
	}
	return false
}

// At returns what stands at the path, and whether anything does; null does.
func At(o Object, steps []Step) (any, bool) {
	for i, s := range steps {
		v, ok := o[s.Name]
		if !ok {
			return nil, false
		}
		if s.List {
			all, _ := v.([]any)
			v, ok = nil, false
			for _, x := range all {
				if e, is := x.(Object); is && s.chosen(e) {
					v, ok = e, true
					break
				}
			}
			if !ok {
				return nil, false
			}
		}
		if i == len(steps)-1 {
			return v, true
		}
		if o, ok = v.(Object); !ok {
			return nil, false
		}
	}
	return nil, false
}

// Put sets the value at the path, making the objects and elements on the way. It copies what it changes of them, so that an
// object that shares parts with another may be given.
func Put(o Object, steps []Step, value any) error {
	s := steps[0]
	last := len(steps) == 1
	if !s.List {
		if last {
			o[s.Name] = value
			return nil
		}
		in, ok := o[s.Name].(Object)
		if !ok && o[s.Name] != nil {
			return fmt.Errorf("%s is %s and not an object", s.Name, Form(o[s.Name]))
		}
		in = copied(in)
		o[s.Name] = in
		return Put(in, steps[1:], value)
	}
	if last {
		return fmt.Errorf("%s is an element of a list; name one of its members", s.Name)
	}
	list, _ := o[s.Name].([]any)
	list = append([]any{}, list...)
	o[s.Name] = list
	for i, x := range list {
		if e, ok := x.(Object); ok && s.chosen(e) {
			e = copied(e)
			list[i] = e
			return Put(e, steps[1:], value)
		}
	}
	if s.Key == "" {
		return fmt.Errorf("%s has no element %s, and only one that is named like [Name=%s] can be added", s.Name, s.In, s.In)
	}
	e := Object{s.Key: s.In}
	o[s.Name] = append(list, e)
	return Put(e, steps[1:], value)
}

func copied(o Object) Object {
	c := make(Object, len(o)+1)
	for k, v := range o {
		c[k] = v
	}
	return c
}

// Form is the form of a JSON value in words: "text", "number", "yes/no", "object", "list", "" for null.
func Form(v any) string {
	switch v.(type) {
	case string:
		return "text"
	case json.Number, float64, int, int64:
		return "number"
	case bool:
		return "yes/no"
	case nil:
		return ""
	case Object:
		return "object"
	default:
		return "list"
	}
}

// forms looks a path up in an object whatever elements it chooses: shown says that the member is there (in any element), left
// out that it is not though what should hold it is; neither where that is empty itself. form is that of the first value that is
// not null.
func forms(o Object, steps []Step) (shown, left bool, form string, sample any) {
	s := steps[0]
	v, ok := o[s.Name]
	if !ok {
		return false, true, "", nil
	}
	if s.List {
		all, isList := v.([]any)
		if !isList || len(steps) == 1 {
			return true, false, Form(v), v
		}
		for _, x := range all {
			e, is := x.(Object)
			if !is {
				continue
			}
			sh, l, f, x := forms(e, steps[1:])
			shown, left = shown || sh, left || l
			if form == "" {
				form, sample = f, x
			}
		}
		return shown, left && !shown, form, sample
	}
	if len(steps) == 1 {
		return true, false, Form(v), v
	}
	if in, is := v.(Object); is {
		return forms(in, steps[1:])
	}
	return false, false, "", nil
}
