package hubspotsim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"datum/adapters/sim"
)

// object is one CRM record. Its props map is replaced and never changed, so that snapshots may share it.
type object struct {
	id, typ           string
	props             map[string]string
	created, modified time.Time
	archived          bool
	archivedAt        time.Time
	mergedInto        string
	history           map[string][]version // newest first
	snaps             []snapshot           // what search has seen or will see, oldest first
}

type version struct {
	value, source string
	at            time.Time
}

type snapshot struct {
	at       time.Time
	props    map[string]string
	archived bool
}

// writing says who writes, and when. All of one request share the time, so stamps tie as they do in reality.
type writing struct {
	at     time.Time
	source string
}

// Sources of writing.
const (
	sourceAPI    = "INTEGRATION"
	sourceScreen = "CRM_UI"
)

const isoMillis = "2006-01-02T15:04:05.000Z"

func stamp(t time.Time) string { return t.UTC().Format(isoMillis) }

// modifiedName is the property that carries the time of the last change.
func modifiedName(typ string) string {
	if typ == "contacts" {
		return "lastmodifieddate"
	}
	return "hs_lastmodifieddate"
}

func createdName(typ string) string {
	if typ == "contacts" || typ == "companies" || typ == "deals" || typ == "products" {
		return "createdate"
	}
	return "hs_createdate"
}

// find returns the object with the id, or the survivor it was merged into; nil if there is none. Callers hold the lock.
func (s *Sim) find(typ, id string) *object {
	for range 100 {
		to, ok := s.merged[typ][id]
		if !ok {
			break
		}
		id = to
	}
	return s.objects[typ][id]
}

// findBy returns the live object with the value of a unique property; with idProperty "" the object with the id.
func (s *Sim) findBy(typ, idProperty, value string) (*object, *apiError) {
	if idProperty == "" || idProperty == "hs_object_id" {
		return s.find(typ, value), nil
	}
	if p := s.props[typ][idProperty]; p == nil || !p.HasUniqueValue {
		return nil, invalid(fmt.Sprintf("%s is not a unique property of %s", idProperty, typ))
	}
	return s.objects[typ][s.unique[typ+"."+idProperty][strings.ToLower(value)]], nil
}

func (s *Sim) sorted(typ string) []*object {
	return slices.SortedFunc(maps.Values(s.objects[typ]), func(a, b *object) int { return cmp.Compare(number(a.id), number(b.id)) })
}

func number(id string) int64 {
	n, _ := strconv.ParseInt(id, 10, 64)
	return n
}

func (s *Sim) create(typ string, set map[string]string, w writing) (*object, *apiError) {
	set, e := s.born(typ, set)
	if e == nil {
		set, e = s.check(typ, nil, set)
	}
	if e != nil {
		return nil, e
	}
	s.nextID += int64(1 + s.IntN(40))
	o := &object{id: strconv.FormatInt(s.nextID, 10), typ: typ, created: w.at, history: map[string][]version{}}
	if s.objects[typ] == nil {
		s.objects[typ] = map[string]*object{}
	}
	s.objects[typ][o.id] = o
	if w.source == sourceAPI {
		s.Count(func(st *sim.Stats) { st.CreatesOf[typ]++ })
	}
	s.event(o, "creation", w, eventDetail{})
	if typ == "companies" && set["domain"] != "" && set["website"] == "" {
		set["website"] = set["domain"]
	}
	set["hs_object_id"], set[createdName(typ)] = o.id, stamp(w.at)
	s.store(o, set, w)
	return o, nil
}

// update reports whether anything changed.
func (s *Sim) update(o *object, set map[string]string, w writing) (bool, *apiError) {
	set, e := s.check(o.typ, o, set)
	if e != nil {
		return false, e
	}
	return s.store(o, set, w), nil
}

// store sets checked values; the values an object already has change nothing.
func (s *Sim) store(o *object, set map[string]string, w writing) bool {
	props := maps.Clone(o.props)
	if props == nil {
		props = map[string]string{}
	}
	s.derive(o, set)
	var changed []string
	for _, name := range slices.Sorted(maps.Keys(set)) {
		v := set[name]
		if v == props[name] {
			continue
		}
		changed = append(changed, name)
		s.reindex(o, name, props[name], v)
		if v == "" {
			delete(props, name)
		} else {
			props[name] = v
		}
		o.history[name] = slices.Insert(o.history[name], 0, version{v, w.source, w.at})
	}
	if len(changed) == 0 {
		return false
	}
	o.modified = w.at
	props[modifiedName(o.typ)] = stamp(w.at)
	o.props = props
	s.snap(o, w.at)
	for _, name := range changed {
		if p := s.props[o.typ][name]; p == nil || !p.Modification.ReadOnlyValue || name == "associatedcompanyid" {
			s.event(o, "propertyChange", w, eventDetail{property: name, value: set[name]})
		}
	}
	return true
}

func (s *Sim) snap(o *object, at time.Time) {
	o.snaps = append(o.snaps, snapshot{at: at, props: o.props, archived: o.archived})
	cut := at.Add(-s.opts.SearchLag)
	for len(o.snaps) > 1 && !o.snaps[1].at.After(cut) {
		o.snaps = o.snaps[1:]
	}
}

// searchable returns the properties as search sees them at the time now, nil if it does not see the object.
func (s *Sim) searchable(o *object, now time.Time) map[string]string {
	cut := now
	if s.opts.SearchLag > 0 {
		cut = now.Add(-s.opts.SearchLag)
	}
	for _, sn := range slices.Backward(o.snaps) {
		if !sn.at.After(cut) {
			if sn.archived {
				return nil
			}
			return sn.props
		}
	}
	return nil
}

func (s *Sim) reindex(o *object, name, old, value string) {
	p := s.props[o.typ][name]
	if p == nil || !p.HasUniqueValue {
		return
	}
	key := o.typ + "." + name
	if s.unique[key] == nil {
		s.unique[key] = map[string]string{}
	}
	if s.unique[key][strings.ToLower(old)] == o.id {
		delete(s.unique[key], strings.ToLower(old))
	}
	if value != "" {
		s.unique[key][strings.ToLower(value)] = o.id
	}
}

func (s *Sim) archive(o *object, w writing) {
	o.archived, o.archivedAt, o.modified = true, w.at, w.at
	for name, v := range o.props {
		s.reindex(o, name, v, "")
	}
	s.snap(o, w.at)
	lines := s.linkedTo(o, "line_items")
	s.disconnectAll(o, w)
	s.event(o, "deletion", w, eventDetail{})
	for _, l := range lines { // they go with their only parent
		if line := s.objects[l.typ][l.id]; line != nil && !line.archived && isParent(o.typ) {
			s.archive(line, w)
		}
	}
}

// merge moves what the loser has and the winner lacks, and gives the survivor a new id.
func (s *Sim) merge(typ, winner, loser string, w writing) (*object, *apiError) {
	a, b := s.find(typ, winner), s.find(typ, loser)
	if a == nil || a.archived || b == nil || b.archived {
		return nil, notFound(typ)
	}
	if a == b {
		return nil, invalid("Cannot merge an object with itself")
	}
	props := map[string]string{}
	for _, from := range []*object{b, a} {
		for name, v := range from.props {
			props[name] = v
		}
	}
	moved := 0
	for name := range b.props {
		if a.props[name] == "" {
			moved++
		}
	}
	old := slices.DeleteFunc(slices.Concat(strings.Split(a.props["hs_merged_object_ids"], ";"), strings.Split(b.props["hs_merged_object_ids"], ";"), []string{a.id, b.id}),
		func(x string) bool { return x == "" })
	props["hs_merged_object_ids"] = strings.Join(old, ";")

	s.nextID += int64(1 + s.IntN(40))
	o := &object{id: strconv.FormatInt(s.nextID, 10), typ: typ, created: a.created, history: map[string][]version{}}
	for _, from := range []*object{a, b} {
		for name, v := range from.props {
			s.reindex(from, name, v, "")
		}
	}
	s.objects[typ][o.id] = o
	if s.merged[typ] == nil {
		s.merged[typ] = map[string]string{}
	}
	links := slices.Concat(s.linked(b), s.linked(a))
	for _, from := range []*object{a, b} {
		s.disconnectAll(from, w)
		s.merged[typ][from.id] = o.id
		from.archived, from.archivedAt, from.mergedInto = true, w.at, o.id
		s.snap(from, w.at)
	}
	props["hs_object_id"] = o.id
	o.props, o.modified = map[string]string{}, w.at
	for name, v := range props {
		s.reindex(o, name, "", v)
		o.history[name] = []version{{v, "MERGE_OBJECTS", w.at}}
	}
	props[modifiedName(typ)] = stamp(w.at)
	o.props = props
	s.snap(o, w.at)
	for _, l := range links {
		if other := s.find(l.typ, l.id); other != nil && !other.archived {
			s.connect(o, other, nil, w)
		}
	}
	s.event(o, "merge", w, eventDetail{primary: a.id, losers: []string{a.id, b.id}, moved: moved})
	return o, nil
}

// view is what a request wants to see of an object.
type view struct {
	properties []string
	history    []string
	all        bool
}

var defaultShown = map[string][]string{
	"companies": {"name", "domain"},
	"contacts":  {"firstname", "lastname", "email"},
	"deals":     {"dealname", "amount", "dealstage", "pipeline", "closedate"},
	"products":  {"name", "description", "price"},
	"orders":    {"hs_order_name", "hs_currency_code"},
	"invoices":  {"hs_currency", "hs_invoice_status"},
}

// show renders an object. Properties asked for and empty are null; those that do not exist are left out, as in reality.
func (s *Sim) show(o *object, v view) map[string]any {
	props := map[string]any{}
	for _, name := range []string{"hs_object_id", createdName(o.typ), modifiedName(o.typ)} {
		props[name] = o.props[name]
	}
	switch {
	case v.all:
		for name, x := range o.props {
			props[name] = x
		}
	case len(v.properties) == 0:
		v.properties = defaultShown[o.typ]
	}
	for _, name := range v.properties {
		if x, ok := o.props[name]; ok {
			props[name] = x
		} else if s.props[o.typ][name] != nil || !strict(o.typ) {
			props[name] = nil
		}
	}
	m := map[string]any{"id": o.id, "properties": props, "createdAt": stamp(o.created), "updatedAt": stamp(o.modified), "archived": o.archived}
	if o.archived {
		m["archivedAt"] = stamp(o.archivedAt)
	}
	if len(v.history) > 0 {
		h := map[string]any{}
		for _, name := range v.history {
			vs := []any{}
			for _, x := range o.history[name] {
				vs = append(vs, map[string]any{"value": x.value, "timestamp": stamp(x.at), "sourceType": x.source})
			}
			h[name] = vs
		}
		m["propertiesWithHistory"] = h
	}
	return m
}

// shown is the answer to a write: the stamps and what was written.
func (s *Sim) shown(o *object, set map[string]string) map[string]any {
	return s.show(o, view{properties: slices.Sorted(maps.Keys(set))})
}
