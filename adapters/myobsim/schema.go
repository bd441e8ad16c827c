package myobsim

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

type object = map[string]any

// kind is the shape of a member.
type kind int

const (
	text   kind = iota
	flag        // true or false; left out it is false
	number      // left out it is 0
	stamp       // a time without a zone; a time.Time
	guid
	link  // {"UID"} of a row of another resource
	group // an object
	list  // of objects
)

// member is one member of a resource's objects.
type member struct {
	name     string
	kind     kind
	max      int      // most characters of a text, 0 is no limit
	values   []string // a text is one of them
	form     *regexp.Regexp
	required bool
	readOnly bool     // what is sent is not looked at
	hidden   bool     // cannot be filtered or ordered by
	to       string   // path of the resource that a link leads to
	members  []member // of a group, or of each element of a list
	most     int      // most elements of a list
}

// own are the members that every object has.
var own = []member{
	{name: "UID", kind: guid, readOnly: true}, {name: "LastModified", kind: stamp, readOnly: true},
	{name: "RowVersion", kind: text, readOnly: true}, {name: "URI", kind: text, readOnly: true, hidden: true},
}

func find(schema []member, name string) *member {
	i := slices.IndexFunc(schema, func(m member) bool { return m.name == name })
	if i < 0 {
		return nil
	}
	return &schema[i]
}

// reading turns what was sent into an object of the schema.
type reading struct {
	s        *Sim
	problems []problem // of the content
	broken   []problem // values of another type
}

// object reads in by the schema, member by member. Read-only members come from old; everything else that is left out is
// empty. Members that the schema does not know are ignored, as MYOB's serialiser does.
func (r *reading) object(path string, schema []member, in, old object) object {
	o := object{}
	for _, m := range schema {
		at := path + m.name
		if m.readOnly {
			o[m.name] = blank(m, old[m.name])
			continue
		}
		v := in[m.name]
		o[m.name] = r.value(at, m, v, old[m.name])
		if m.required && o[m.name] == nil {
			r.problems = append(r.problems, required(at))
		}
	}
	return o
}

// blank is what a member without a value shows.
func blank(m member, v any) any {
	switch {
	case v != nil:
		return v
	case m.kind == flag:
		return false
	case m.kind == number:
		return json.Number("0")
	default:
		return nil
	}
}

func (r *reading) value(at string, m member, v, old any) any {
	if v == nil || v == "" {
		return blank(m, nil)
	}
	wrong := func(want string) any {
		r.broken = append(r.broken, unreadable(at, want))
		return nil
	}
	switch m.kind {
	case flag:
		if _, ok := v.(bool); !ok {
			return wrong("Boolean")
		}
		return v
	case number:
		switch n := v.(type) {
		case json.Number:
			return n
		case float64, int:
			return json.Number(fmt.Sprint(n))
		}
		return wrong("Decimal")
	case link:
		o, ok := v.(object)
		uid, _ := o["UID"].(string)
		if !ok {
			return wrong(m.to)
		}
		if uid == "" {
			return nil
		}
		return r.link(at, m, uid)
	case stamp:
		text, _ := v.(string)
		at, ok := readTime(text)
		if !ok {
			return wrong("DateTime")
		}
		return at
	case group:
		o, ok := v.(object)
		if !ok {
			return wrong("Object")
		}
		before, _ := old.(object)
		return r.object(at+".", m.members, o, before)
	case list:
		all, ok := v.([]any)
		if !ok {
			return wrong("Array")
		}
		if m.most > 0 && len(all) > m.most {
			r.invalid(at, "%s holds at most %d elements", at, m.most)
		}
		out := make([]any, 0, len(all))
		for i, x := range all {
			o, ok := x.(object)
			if !ok {
				return wrong("Object")
			}
			out = append(out, r.object(fmt.Sprintf("%s[%d].", at, i), m.members, o, nil))
		}
		return out
	default:
		s, ok := v.(string)
		if !ok {
			return wrong("String")
		}
		switch n := utf8.RuneCountInString(s); {
		case m.max > 0 && n > m.max:
			r.invalid(at, "The field %s must be a string with a maximum length of %d", at, m.max)
		case m.values != nil && !slices.Contains(m.values, s):
			return wrong(strings.Join(m.values, " or "))
		case m.form != nil && !m.form.MatchString(s):
			r.invalid(at, "%s has an invalid format", at)
		}
		return s
	}
}

func (r *reading) invalid(at, format string, args ...any) {
	r.problems = append(r.problems, problem{Name: "ValidationError", Message: fmt.Sprintf(format, args...), AdditionalDetails: at})
}

// link returns what an object shows of another one. The caller of the reading holds the lock.
func (r *reading) link(at string, m member, uid string) any {
	t := r.s.tables[m.to]
	to := r.s.find(m.to, uid)
	if to == nil {
		r.problems = append(r.problems, coded(150, "NotFound", fmt.Sprintf("There is no %s %s", t.resource.name, uid), at))
		return nil
	}
	l := object{"UID": to.object["UID"]}
	for _, label := range t.resource.labels {
		l[label] = to.object[label]
	}
	return l
}

// find returns the row of that UID in the table or in those it lists, nil if there is none. The caller holds the lock.
func (s *Sim) find(path, uid string) *row {
	t := s.tables[path]
	for _, path := range append([]string{path}, t.resource.over...) {
		if x := s.tables[path].rows[strings.ToLower(uid)]; x != nil {
			return x
		}
	}
	return nil
}

const timeForm = "2006-01-02T15:04:05.999"

// readTime reads a time as MYOB's clients write them.
func readTime(s string) (time.Time, bool) {
	for _, form := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if at, err := time.Parse(form, s); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// show returns a copy of o as an answer holds it, with the addresses of the object and of everything it links to.
func (s *Sim) show(o object, t *resource, at string, uris bool) object {
	out := copyOf(o, t.schema, at, uris)
	out["UID"], out["LastModified"], out["RowVersion"] = o["UID"], o["LastModified"].(time.Time).Format(timeForm), o["RowVersion"]
	if uris {
		path := t.path
		if len(t.over) > 0 {
			path += "/" + fmt.Sprint(o["InvoiceType"])
		}
		out["URI"] = fmt.Sprintf("%s/%s/%s", at, path, o["UID"])
	}
	return out
}

func copyOf(o object, schema []member, at string, uris bool) object {
	out := object{}
	for _, m := range schema {
		switch v := o[m.name].(type) {
		case object:
			if m.kind != link {
				out[m.name] = copyOf(v, m.members, at, uris)
				continue
			}
			l := object{}
			for k, x := range v {
				l[k] = x
			}
			if uris {
				l["URI"] = fmt.Sprintf("%s/%s/%s", at, m.to, v["UID"])
			}
			out[m.name] = l
		case []any:
			all := make([]any, len(v))
			for i, x := range v {
				all[i] = copyOf(x.(object), m.members, at, uris)
			}
			out[m.name] = all
		case time.Time:
			out[m.name] = v.Format(timeForm)
		default:
			out[m.name] = v
		}
	}
	return out
}
