package myobsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"datum/adapters/sim"
)

// resource describes one kind of object of the file.
type resource struct {
	path     string   // below the file: "Contact/Customer"
	typ      string   // the control surface's word: "customers"
	credits  string   // its word for those with a negative total, "" if they are not told apart: "creditnotes"
	name     string   // in messages
	labels   []string // the members that links show beside the UID
	schema   []member
	readOnly bool
	fixed    bool     // no PUT: created and deleted only
	over     []string // paths of the tables whose rows this one lists without their lines; it has none of its own
	rows     []object // that every file has
	assumed  object   // members that have another value than none if they are left out
	// blank is what a person finds in an empty form; nil is nothing but assumed.
	blank func(s *Sim) object
	// enter completes what a person has entered, as the form does; nil if it does nothing.
	enter func(s *Sim, o object)
	// settle finishes an object that was read, and check finds what the schema cannot say. Both may be nil, old is empty for a
	// new object.
	settle func(s *Sim, o, old object)
	check  func(s *Sim, o, old object) []problem
	// removable says why an object cannot be deleted.
	removable func(s *Sim, o object) *problem
	// changed tells the rest of the file: was is nil for a new object, is for one that is gone.
	changed func(s *Sim, was, is object)
	// computed are the members that change without moving LastModified.
	computed []string
}

// table holds the rows of one resource.
type table struct {
	resource *resource
	rows     map[string]*row // by UID in lower case
	made     int
}

// row is one object. Its members are those of the schema and UID, RowVersion and LastModified (a time.Time). The object is
// never changed, only replaced.
type row struct {
	n      int // in the order of creation
	object object
}

// sorted returns the rows in the order of creation.
func (t *table) sorted() []*row {
	all := make([]*row, 0, len(t.rows))
	for _, r := range t.rows {
		all = append(all, r)
	}
	slices.SortFunc(all, func(a, b *row) int { return a.n - b.n })
	return all
}

// read makes an object of t from what was sent. The caller holds the lock.
func (s *Sim) read(t *table, in, old object) (object, *answer) {
	r := &reading{s: s}
	o := r.object("", t.resource.schema, in, old)
	if len(r.broken) == 0 && t.resource.check != nil {
		r.problems = append(r.problems, t.resource.check(s, o, old)...)
	}
	if ps := append(r.broken, r.problems...); len(ps) > 0 {
		status := http.StatusBadRequest
		if slices.ContainsFunc(ps, func(p problem) bool { return p.Name == lockLost.Name }) {
			status = http.StatusConflict
		}
		a := refusal(status, ps...)
		return nil, &a
	}
	if t.resource.settle != nil {
		t.resource.settle(s, o, old)
	}
	return o, nil
}

// keep stores o as a write does, which the rest of the file is told of. The caller holds the lock.
func (s *Sim) keep(t *table, uid string, o object, stamped bool) *row {
	var was object
	if old := t.rows[uid]; old != nil {
		was = old.object
	}
	s.store(t, uid, o, stamped)
	if t.resource.changed != nil {
		t.resource.changed(s, was, o)
	}
	return t.rows[uid]
}

// drop removes the row of that uid. The caller holds the lock.
func (s *Sim) drop(t *table, uid string) {
	was := t.rows[uid].object
	delete(t.rows, uid)
	if t.resource.changed != nil {
		t.resource.changed(s, was, nil)
	}
}

// nextVersion returns a RowVersion that nothing else has. The caller holds the lock.
func (s *Sim) nextVersion() string {
	s.version += 65536 + int64(s.IntN(1<<20))
	return strconv.FormatInt(s.version, 10)
}

// store keeps o under uid with a new RowVersion. The caller holds the lock.
func (s *Sim) store(t *table, uid string, o object, stamped bool) *row {
	r := &row{object: o}
	if old := t.rows[uid]; old != nil {
		r.n = old.n
		o["LastModified"] = old.object["LastModified"]
	} else {
		t.made++
		r.n = t.made
	}
	o["UID"], o["RowVersion"] = uid, s.nextVersion()
	if stamped {
		o["LastModified"] = s.Now().Truncate(time.Millisecond)
	}
	t.rows[uid] = r
	return r
}

func (s *Sim) list(path string) func(*http.Request, []byte) answer {
	return func(r *http.Request, _ []byte) answer {
		s.mu.Lock()
		defer s.mu.Unlock()
		t, q := s.tables[path], r.URL.Query()
		schema := append(slices.Clone(t.resource.schema), own...)
		top, skip := 400, 0
		for name, n := range map[string]*int{"$top": &top, "$skip": &skip} {
			if text := q.Get(name); text != "" {
				v, err := strconv.Atoi(text)
				if err != nil || v < 0 || name == "$top" && (v == 0 || v > 1000) {
					return badQuery("%s=%s is not allowed", name, text)
				}
				*n = v
			}
		}
		keep, err := parseFilter(q.Get("$filter"), schema)
		if err != nil {
			return badQuery("%s", err)
		}
		order, err := parseOrder(q.Get("$orderby"), schema)
		if err != nil {
			return badQuery("%s", err)
		}
		all := t.sorted()
		for _, path := range t.resource.over {
			all = append(all, s.tables[path].sorted()...)
		}
		if keep != nil {
			all = slices.DeleteFunc(all, func(x *row) bool { return !keep(x.object) })
		}
		if order != nil {
			slices.SortStableFunc(all, func(a, b *row) int { return order(a.object, b.object) })
		}
		at, uris := base(r, s.file.id), q.Get("generateUris") != "false"
		items := []object{}
		for _, x := range all[min(skip, len(all)):min(skip+top, len(all))] {
			items = append(items, s.show(x.object, t.resource, at, uris))
		}
		body := object{"Items": items, "NextPageLink": nil, "Count": len(all)}
		if skip+top < len(all) {
			q.Set("$top", strconv.Itoa(top))
			q.Set("$skip", strconv.Itoa(skip+top))
			body["NextPageLink"] = at + "/" + path + "?" + q.Encode()
		}
		return answer{status: http.StatusOK, body: body}
	}
}

func badQuery(format string, args ...any) answer {
	return refusal(http.StatusBadRequest, problem{Name: "InvalidQuery", Message: fmt.Sprintf(format, args...)})
}

func (s *Sim) get(path string) func(*http.Request, []byte) answer {
	return func(r *http.Request, _ []byte) answer {
		s.mu.Lock()
		defer s.mu.Unlock()
		t := s.tables[path]
		x := t.rows[strings.ToLower(r.PathValue("uid"))]
		if x == nil {
			return refusal(http.StatusNotFound, notFound)
		}
		tag := fmt.Sprintf("%q", x.object["RowVersion"])
		if r.Header.Get("If-None-Match") == tag {
			return answer{status: http.StatusNotModified, header: map[string]string{"ETag": tag}}
		}
		return answer{status: http.StatusOK, header: map[string]string{"ETag": tag}, body: s.shown(r, t, x)}
	}
}

func (s *Sim) shown(r *http.Request, t *table, x *row) object {
	return s.show(x.object, t.resource, base(r, s.file.id), r.URL.Query().Get("generateUris") != "false")
}

func decode(body []byte) (object, *answer) {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	var in object
	if err := d.Decode(&in); err != nil || in == nil {
		a := refusal(http.StatusBadRequest, unreadable("the body", "Object"))
		return nil, &a
	}
	return in, nil
}

func (s *Sim) post(path string) func(*http.Request, []byte) answer {
	return func(r *http.Request, body []byte) answer {
		s.mu.Lock()
		defer s.mu.Unlock()
		t := s.tables[path]
		in, a := decode(body)
		if a == nil && (in["UID"] != nil || in["RowVersion"] != nil || in["RowID"] != nil) {
			x := refusal(http.StatusConflict, lockLost)
			a = &x
		}
		var o object
		if a == nil {
			if _, said := in["IsActive"]; !said {
				in["IsActive"] = true
			}
			o, a = s.read(t, t.resource.assume(in), object{})
		}
		if a != nil {
			s.Wrote(r, 0, 0, 0)
			return *a
		}
		x := s.keep(t, s.UUID(), o, true)
		s.Wrote(r, 1, 0, 0)
		s.Count(func(st *sim.Stats) { st.CreatesOf[t.resource.typeOf(o)]++ })
		return s.written(r, t, x, http.StatusCreated)
	}
}

func (s *Sim) put(path string) func(*http.Request, []byte) answer {
	return func(r *http.Request, body []byte) answer {
		s.mu.Lock()
		defer s.mu.Unlock()
		t := s.tables[path]
		uid := strings.ToLower(r.PathValue("uid"))
		old := t.rows[uid]
		in, a := decode(body)
		refuse := func(status int, p problem) {
			if a == nil {
				x := refusal(status, p)
				a = &x
			}
		}
		if old == nil {
			refuse(http.StatusNotFound, notFound)
		} else {
			if sent, _ := in["UID"].(string); !strings.EqualFold(sent, uid) {
				refuse(http.StatusBadRequest, required("UID"))
			}
			if in["RowVersion"] != old.object["RowVersion"] {
				refuse(http.StatusConflict, lockLost)
			}
		}
		var o object
		if a == nil {
			if p := t.resource.frozen(s, old.object); p != nil {
				refuse(http.StatusBadRequest, *p)
			} else {
				o, a = s.read(t, t.resource.assume(in), old.object)
			}
		}
		if a != nil {
			s.Wrote(r, 0, 0, 0)
			return *a
		}
		noop := t.resource.same(o, old.object)
		x := s.keep(t, uid, o, true)
		s.Wrote(r, 0, b2i(!noop), b2i(noop))
		return s.written(r, t, x, http.StatusOK)
	}
}

func (s *Sim) written(r *http.Request, t *table, x *row, status int) answer {
	a := answer{status: status, header: map[string]string{"Location": fmt.Sprintf("%s/%s/%s", base(r, s.file.id), t.resource.path, x.object["UID"])}}
	if r.URL.Query().Get("returnBody") == "true" && !s.opts.EmptyAnswers {
		a.body = s.shown(r, t, x)
	}
	return a
}

func (s *Sim) remove(path string) func(*http.Request, []byte) answer {
	return func(r *http.Request, _ []byte) answer {
		s.mu.Lock()
		defer s.mu.Unlock()
		t := s.tables[path]
		uid := strings.ToLower(r.PathValue("uid"))
		x := t.rows[uid]
		if x == nil {
			return refusal(http.StatusNotFound, notFound)
		}
		if t.resource.removable != nil {
			if p := t.resource.removable(s, x.object); p != nil {
				return refusal(http.StatusBadRequest, *p)
			}
		}
		s.drop(t, uid)
		return answer{status: http.StatusOK}
	}
}

// same reports whether two objects are equal but for what every write moves.
func (t *resource) same(a, b object, apart ...string) bool {
	for _, m := range t.schema {
		if slices.Contains(apart, m.name) {
			continue
		}
		x, errX := marshal(a[m.name])
		y, errY := marshal(b[m.name])
		if errX != nil || errY != nil || !bytes.Equal(x, y) {
			return false
		}
	}
	return true
}

// assume returns in with what is assumed of members that were left out.
func (t *resource) assume(in object) object {
	out := object{}
	for k, v := range t.assumed {
		out[k] = v
	}
	for k, v := range in {
		out[k] = v
	}
	return out
}

// typeOf is the control surface's word for the object.
func (t *resource) typeOf(o object) string {
	if t.credits != "" && rat(o["TotalAmount"]).Sign() < 0 {
		return t.credits
	}
	return t.typ
}

// frozen says why an object cannot be changed at all.
func (t *resource) frozen(s *Sim, _ object) *problem {
	if s.opts.MustReverse && strings.HasPrefix(t.path, "Sale/") {
		return &mustReverse
	}
	return nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
