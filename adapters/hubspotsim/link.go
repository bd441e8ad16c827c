package hubspotsim

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// linkKey names one object and the type of the objects it is linked to.
type linkKey struct{ typ, id, to string }

// link is one association seen from one side: HubSpot keeps both.
type link struct {
	typ, id string
	primary bool
	labels  []linkType
}

type linkType struct {
	Category string `json:"associationCategory"`
	TypeID   int    `json:"associationTypeId"`
}

// association is one row of HubSpot's table of association types. Both directions have their own number.
type association struct {
	from, to       string
	plain, primary int
}

var associations = []association{
	{"contacts", "companies", 279, 1}, {"companies", "contacts", 280, 2}, {"deals", "companies", 341, 5}, {"companies", "deals", 342, 6},
	{"deals", "contacts", 3, 0}, {"contacts", "deals", 4, 0}, {"deals", "line_items", 19, 0}, {"line_items", "deals", 20, 0},
	{"quotes", "line_items", 67, 0}, {"line_items", "quotes", 68, 0}, {"deals", "invoices", 175, 0}, {"invoices", "deals", 176, 0},
	{"invoices", "contacts", 177, 0}, {"contacts", "invoices", 178, 0}, {"invoices", "companies", 179, 0}, {"companies", "invoices", 180, 0},
	{"invoices", "line_items", 409, 0}, {"line_items", "invoices", 410, 0}, {"orders", "contacts", 507, 0}, {"contacts", "orders", 508, 0},
	{"orders", "companies", 509, 0}, {"companies", "orders", 510, 0}, {"deals", "orders", 511, 0}, {"orders", "deals", 512, 0},
	{"orders", "line_items", 513, 0}, {"line_items", "orders", 514, 0},
}

const anyToAny = 449

// target is the type that the association type leads to.
func (t linkType) target() string {
	for _, a := range associations {
		if t.TypeID == a.plain || t.TypeID == a.primary && a.primary != 0 {
			return a.to
		}
	}
	return "deals"
}

func plainType(from, to string) (id, primary int) {
	for _, a := range associations {
		if a.from == from && a.to == to {
			return a.plain, a.primary
		}
	}
	return anyToAny, 0
}

// connect associates two objects. The first company of a contact or deal becomes its primary one. It reports whether it is
// new.
func (s *Sim) connect(a, b *object, types []linkType, w writing) bool {
	fresh := s.half(a, b, types)
	s.half(b, a, nil)
	if o, company := primarily(a, b); o != nil {
		_, there := plainType(o.typ, company.typ)
		_, back := plainType(company.typ, o.typ)
		ask := slices.ContainsFunc(types, func(t linkType) bool { return t.TypeID == there || t.TypeID == back })
		if ask || !s.hasPrimary(o) {
			s.setPrimary(o, company.id, w)
		}
	}
	if fresh {
		s.event(a, "associationChange", w, eventDetail{other: b})
		s.event(b, "associationChange", w, eventDetail{other: a})
	}
	return fresh
}

// primarily returns the one of the two that has a primary company, and the company; nil if neither has.
func primarily(a, b *object) (o, company *object) {
	if _, primary := plainType(a.typ, b.typ); primary == 0 {
		return nil, nil
	}
	if a.typ == "companies" {
		return b, a
	}
	return a, b
}

func (s *Sim) hasPrimary(o *object) bool {
	for _, l := range s.links[linkKey{o.typ, o.id, "companies"}] {
		if l.primary {
			return true
		}
	}
	return false
}

// setPrimary makes one of the linked companies the primary one. Only a contact shows it among its properties.
func (s *Sim) setPrimary(o *object, company string, w writing) {
	for id, l := range s.links[linkKey{o.typ, o.id, "companies"}] {
		l.primary = id == company
		s.links[linkKey{o.typ, o.id, "companies"}][id] = l
		back := linkKey{"companies", id, o.typ}
		if m, ok := s.links[back][o.id]; ok {
			m.primary = id == company
			s.links[back][o.id] = m
		}
	}
	if o.typ == "contacts" {
		s.store(o, map[string]string{"associatedcompanyid": company}, w)
	}
}

func (s *Sim) half(a, b *object, types []linkType) bool {
	key := linkKey{a.typ, a.id, b.typ}
	if s.links[key] == nil {
		s.links[key] = map[string]link{}
	}
	l, old := s.links[key][b.id]
	l.typ, l.id = b.typ, b.id
	for _, t := range types {
		if t.Category == "USER_DEFINED" && !slices.Contains(l.labels, t) {
			l.labels = append(l.labels, t)
		}
	}
	s.links[key][b.id] = l
	return !old
}

func (s *Sim) disconnect(a, b *object, w writing) bool {
	key := linkKey{a.typ, a.id, b.typ}
	if _, ok := s.links[key][b.id]; !ok {
		return false
	}
	delete(s.links[key], b.id)
	delete(s.links[linkKey{b.typ, b.id, a.typ}], a.id)
	// A contact's next company takes over; a deal is left without a primary one.
	if c, company := primarily(a, b); c != nil && c.typ == "contacts" && c.props["associatedcompanyid"] == company.id {
		next := slices.Sorted(maps.Keys(s.links[linkKey{"contacts", c.id, "companies"}]))
		if len(next) > 0 {
			s.setPrimary(c, next[0], w)
		} else {
			s.store(c, map[string]string{"associatedcompanyid": ""}, w)
		}
	}
	s.event(a, "associationChange", w, eventDetail{other: b, removed: true})
	s.event(b, "associationChange", w, eventDetail{other: a, removed: true})
	return true
}

func (s *Sim) disconnectAll(o *object, w writing) {
	for _, l := range s.linked(o) {
		if other := s.objects[l.typ][l.id]; other != nil {
			s.disconnect(other, o, w)
		}
	}
}

// linked returns all links of o, by type and id.
func (s *Sim) linked(o *object) []link {
	var all []link
	for key, m := range s.links {
		if key.typ == o.typ && key.id == o.id {
			all = slices.AppendSeq(all, maps.Values(m))
		}
	}
	slices.SortFunc(all, func(a, b link) int {
		return cmp.Or(strings.Compare(a.typ, b.typ), cmp.Compare(number(a.id), number(b.id)))
	})
	return all
}

func (s *Sim) linkedTo(o *object, to string) []link {
	return slices.SortedFunc(maps.Values(s.links[linkKey{o.typ, o.id, to}]), func(a, b link) int { return cmp.Compare(number(a.id), number(b.id)) })
}

// showLinks renders the "associations" member of an object.
func (s *Sim) showLinks(o *object, to []string) map[string]any {
	m := map[string]any{}
	for _, raw := range to {
		typ, _ := typeName(raw)
		results := []any{}
		name := singular(o.typ) + "_to_" + singular(typ)
		for _, l := range s.linkedTo(o, typ) {
			if l.primary {
				results = append(results, map[string]string{"id": l.id, "type": name})
			}
			results = append(results, map[string]string{"id": l.id, "type": name + "_unlabeled"})
		}
		if len(results) > 0 {
			m[typ] = map[string]any{"results": results}
		}
	}
	return m
}

func (s *Sim) showLink(o *object, l link) map[string]any {
	plain, primary := plainType(o.typ, l.typ)
	types := []any{map[string]any{"category": "HUBSPOT_DEFINED", "typeId": plain, "label": nil}}
	if l.primary {
		types = append(types, map[string]any{"category": "HUBSPOT_DEFINED", "typeId": primary, "label": "Primary"})
	}
	for _, t := range l.labels {
		types = append(types, map[string]any{"category": t.Category, "typeId": t.TypeID, "label": "custom"})
	}
	return map[string]any{"toObjectId": l.id, "associationTypes": types}
}

// ref is an object named in an association request; ids come as text or as numbers.
type ref struct {
	ID any `json:"id"`
}

func (s *Sim) ref(typ string, r ref) *object {
	o := s.find(typ, text(r.ID))
	if o == nil || o.archived {
		return nil
	}
	return o
}

func (s *Sim) linksRead(r *http.Request, typ string) (int, any, *apiError) {
	in, e := decode[struct {
		Inputs []struct {
			ref
			After string `json:"after"`
		} `json:"inputs"`
	}](r)
	if e != nil {
		return 0, nil, e
	}
	if len(in.Inputs) > 1000 {
		return 0, nil, invalid("at most 1000 inputs")
	}
	b := newBatch(s.Now())
	for _, x := range in.Inputs {
		o := s.ref(typ, x.ref)
		var to []any
		if o != nil {
			for _, l := range s.linkedTo(o, r.PathValue("to")) {
				to = append(to, s.showLink(o, l))
			}
		}
		if len(to) == 0 {
			b.fail(&apiError{Category: "OBJECT_NOT_FOUND", Sub: "crm.associations.NO_ASSOCIATIONS_FOUND", Message: "No " + singular(r.PathValue("to")) + " is associated with " + singular(typ) + " " + text(x.ID) + "."},
				map[string][]string{"fromObjectId": {text(x.ID)}, "fromObjectType": {typ}, "toObjectType": {r.PathValue("to")}})
			continue
		}
		b.results = append(b.results, map[string]any{"from": map[string]string{"id": text(x.ID)}, "to": to})
	}
	return b.answer(s.Now(), http.StatusOK)
}

func (s *Sim) linksCreate(r *http.Request, typ string) (int, any, *apiError) {
	return s.linkMany(r, typ, http.StatusCreated)
}

func (s *Sim) linksDefault(r *http.Request, typ string) (int, any, *apiError) {
	return s.linkMany(r, typ, http.StatusOK)
}

func (s *Sim) linkMany(r *http.Request, typ string, status int) (int, any, *apiError) {
	in, e := decode[struct {
		Inputs []struct {
			From  ref        `json:"from"`
			To    ref        `json:"to"`
			Types []linkType `json:"types"`
		} `json:"inputs"`
	}](r)
	if e != nil {
		return 0, nil, e
	}
	if len(in.Inputs) > 2000 {
		return 0, nil, invalid("at most 2000 inputs")
	}
	to := r.PathValue("to")
	b, w := newBatch(s.Now()), s.api()
	made, same := 0, 0
	for _, x := range in.Inputs {
		o, p := s.ref(typ, x.From), s.ref(to, x.To)
		if o == nil || p == nil {
			b.fail(&apiError{Category: "OBJECT_NOT_FOUND", Message: "One of the objects to associate does not exist."},
				map[string][]string{"fromObjectId": {text(x.From.ID)}, "toObjectId": {text(x.To.ID)}})
			continue
		}
		if s.connect(o, p, x.Types, w) {
			made++
		} else {
			same++
		}
		if status == http.StatusOK {
			b.results = append(b.results, bothWays(o, p)...)
			continue
		}
		b.results = append(b.results, s.pair(o, p))
	}
	s.Wrote(r, 0, made, same)
	return b.answer(s.Now(), status)
}

// bothWays tells a default association from both sides.
func bothWays(o, p *object) []any {
	side := func(from, to *object) any {
		plain, _ := plainType(from.typ, to.typ)
		return map[string]any{"from": map[string]string{"id": from.id}, "to": map[string]string{"id": to.id}, "associationSpec": linkType{"HUBSPOT_DEFINED", plain}}
	}
	return []any{side(o, p), side(p, o)}
}

func (s *Sim) pair(o, p *object) map[string]any {
	return map[string]any{"fromObjectTypeId": typeIDs[o.typ], "fromObjectId": o.id, "toObjectTypeId": typeIDs[p.typ], "toObjectId": p.id, "labels": []string{}}
}

func (s *Sim) linksArchive(r *http.Request, typ string) (int, any, *apiError) {
	in, e := decode[struct {
		Inputs []struct {
			From ref   `json:"from"`
			To   []ref `json:"to"`
		} `json:"inputs"`
	}](r)
	if e != nil {
		return 0, nil, e
	}
	w, n := s.api(), 0
	for _, x := range in.Inputs {
		o := s.ref(typ, x.From)
		for _, t := range x.To {
			if p := s.ref(r.PathValue("to"), t); o != nil && p != nil && s.disconnect(o, p, w) {
				n++
			}
		}
	}
	s.Wrote(r, 0, n, 0)
	return http.StatusNoContent, nil, nil
}

func (s *Sim) linkLabels(r *http.Request, typ string) (int, any, *apiError) {
	plain, primary := plainType(typ, r.PathValue("to"))
	results := []any{map[string]any{"category": "HUBSPOT_DEFINED", "typeId": plain, "label": nil}}
	if primary != 0 {
		results = append(results, map[string]any{"category": "HUBSPOT_DEFINED", "typeId": primary, "label": "Primary"})
	}
	return http.StatusOK, map[string]any{"results": results}, nil
}

func (s *Sim) linksOf(r *http.Request, typ string) (int, any, *apiError) {
	o := s.ref(typ, ref{r.PathValue("id")})
	if o == nil {
		return 0, nil, notFound(typ)
	}
	results := []any{}
	for _, l := range s.linkedTo(o, r.PathValue("to")) {
		results = append(results, s.showLink(o, l))
	}
	return http.StatusOK, map[string]any{"results": results}, nil
}

func (s *Sim) linksOfOld(r *http.Request, typ string) (int, any, *apiError) {
	o := s.ref(typ, ref{r.PathValue("id")})
	if o == nil {
		return 0, nil, notFound(typ)
	}
	to := r.PathValue("to")
	if m, ok := s.showLinks(o, []string{to})[to]; ok {
		return http.StatusOK, m, nil
	}
	return http.StatusOK, map[string]any{"results": []any{}}, nil
}

func (s *Sim) linkPut(r *http.Request, typ string) (int, any, *apiError) {
	types, e := decode[[]linkType](r)
	if e != nil {
		return 0, nil, e
	}
	o, p := s.ref(typ, ref{r.PathValue("id")}), s.ref(r.PathValue("to"), ref{r.PathValue("toId")})
	if o == nil || p == nil {
		return 0, nil, notFound(typ)
	}
	s.wroteOne(r, s.connect(o, p, types, s.api()))
	return http.StatusCreated, s.pair(o, p), nil
}

// linkPutDefault makes the default association. It takes no body and answers as a batch does.
func (s *Sim) linkPutDefault(r *http.Request, typ string) (int, any, *apiError) {
	o, p := s.ref(typ, ref{r.PathValue("id")}), s.ref(r.PathValue("to"), ref{r.PathValue("toId")})
	if o == nil || p == nil {
		return 0, nil, notFound(typ)
	}
	s.wroteOne(r, s.connect(o, p, nil, s.api()))
	b := newBatch(s.Now())
	b.results = bothWays(o, p)
	return b.answer(s.Now(), http.StatusOK)
}

func (s *Sim) linkDelete(r *http.Request, typ string) (int, any, *apiError) {
	o, p := s.ref(typ, ref{r.PathValue("id")}), s.ref(r.PathValue("to"), ref{r.PathValue("toId")})
	if o != nil && p != nil {
		s.wroteOne(r, s.disconnect(o, p, s.api()))
	}
	return http.StatusNoContent, nil, nil
}
