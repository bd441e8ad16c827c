// Package hubspotsim is a simulated HubSpot portal: companies, contacts, products, deals with their line items, orders,
// invoices and further CRM objects with their properties, pipelines, associations, owners, tax rates, search, merges, OAuth, limits and signed webhooks. Paths of both styles are served
// (/crm/v3/objects/… and /crm/objects/2026-03/…). It holds its state in memory and forgets it with the process. What
// every simulator has in common (faults, clock, ledger, control surface) is package sim's.
//
// Where HubSpot's documentation is silent the simulator takes the side that hurts a careless client:
//   - Search sees a write only after Options.SearchLag; reads by id and by unique property see it at once.
//   - Create, update and upsert answer with the written properties and the stamps, not with the whole object.
//   - One bad input refuses a whole batch, unless every input has its own objectWriteTraceId; then 207 tells which.
//   - A merge gives the survivor a new id; the old ids keep resolving.
//   - A lifecycle stage written backwards is ignored without an error; clearing it first allows it.
//   - E-mail addresses of contacts are stored in lower case.
//   - Associations do not move the company's hs_lastmodifieddate; they set the contact's associatedcompanyid.
//   - Writing the values an object already has moves no stamp and sends no webhook.
//   - A line item is a copy of its product: what is not written is taken from the product when the line is made, and never
//     again. Lines and associations do not move the parent's stamp; a parent that is deleted takes its lines with it.
//   - A contact deleted for privacy is gone at once, and its e-mail address is refused from then on.
//   - An invoice is made as a draft. Once it is open its own properties are read-only, and only a payment makes it paid.
package hubspotsim

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"datum/adapters/sim"
)

// Options configure a simulator. The zero value is a portal with a public OAuth app's limits.
type Options struct {
	Seed   uint64
	Now    func() time.Time // base clock; time.Now if nil
	Limits Limits
	// SearchLag is how far search trails behind writes, in simulated time; 300 ms if 0, none if negative.
	SearchLag time.Duration
	// AllOrNothing makes one bad input refuse its whole batch even when inputs have trace ids.
	AllOrNothing bool
	// Scopes are what the app was granted; all that the simulator knows if empty.
	Scopes []string
	// Subscriptions are the webhook subscriptions, such as "company.creation" or "contact.propertyChange:email"; a
	// propertyChange without a property is every property; "object.creation" is of orders and invoices. Default: everything.
	Subscriptions []string
	// HookScale multiplies the waits between webhook attempts (minutes to hours): 0.001 is practical. Default 1.
	HookScale float64
	// Latency is real time that every API call takes.
	Latency time.Duration
}

// Limits override HubSpot's; 0 is HubSpot's own and a negative number is no limit.
type Limits struct {
	Burst  int           // calls per Per, 110
	Per    time.Duration // 10 s
	Search int           // searches per second, 5
	Day    int           // calls a day; none for OAuth apps
}

// Sim is one simulated portal with one app installed.
type Sim struct {
	*sim.Server
	opts   Options
	mux    *http.ServeMux
	burst  *sim.Window
	search *sim.Window
	day    *sim.Window

	mu          sync.Mutex // guards everything below
	app         app
	nextID      int64
	nextEv      int64
	nextInvoice int
	objects     map[string]map[string]*object   // by type and id
	merged      map[string]map[string]string    // by type: the id of a merged object to its survivor's
	purged      map[string]bool                 // e-mail addresses of contacts that were deleted for privacy
	unique      map[string]map[string]string    // by type + "." + property: value to id
	props       map[string]map[string]*property // by type and name
	groups      map[string][]group
	owners      []owner
	links       map[linkKey]map[string]link // by one object: the objects of the other type it is linked to, by id
}

// New returns an empty portal. Close it.
func New(o Options) *Sim {
	if o.Limits.Burst == 0 {
		o.Limits.Burst = 110
	}
	if o.Limits.Per == 0 {
		o.Limits.Per = 10 * time.Second
	}
	if o.Limits.Search == 0 {
		o.Limits.Search = 5
	}
	if o.SearchLag == 0 {
		o.SearchLag = 300 * time.Millisecond
	}
	if len(o.Scopes) == 0 {
		o.Scopes = allScopes()
	}
	s := &Sim{opts: o,
		burst:  sim.NewWindow(o.Limits.Burst, o.Limits.Per),
		search: sim.NewWindow(o.Limits.Search, time.Second),
		day:    sim.NewWindow(o.Limits.Day, 24*time.Hour),
	}
	s.Server = sim.New(s, sim.Options{Seed: o.Seed, Now: o.Now, Hooks: sim.HookPolicy{
		MaxBatch: 100, Timeout: 5 * time.Second, Scale: o.HookScale, Retries: hookRetries,
	}})
	s.Reset()
	s.mux = s.routes()
	return s
}

// Name is "hubspot".
func (s *Sim) Name() string { return "hubspot" }

// Reset empties the portal. Refresh tokens stay good, even if they were revoked, and so do the properties that were
// added to it: they are its set-up and not its data.
func (s *Sim) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.nextID, s.nextEv, s.nextInvoice = 21_400_000_000, 3_816_279_340, 0
	s.objects, s.merged = map[string]map[string]*object{}, map[string]map[string]string{}
	s.purged = map[string]bool{}
	s.unique, s.links = map[string]map[string]string{}, map[linkKey]map[string]link{}
	if s.props == nil {
		s.props, s.groups = builtinProperties(s.Now()), builtinGroups()
	}
	s.owners = builtinOwners()
	a := s.newApp() // drawn in any case, so that what follows a reset is what follows a start
	if s.app.clientID == "" {
		s.app = a
	}
	s.app.restore()
	s.burst.Reset()
	s.search.Reset()
	s.day.Reset()
}

// Types lists the object types; any other name becomes a type when it is first used.
func (s *Sim) Types() []string {
	return []string{"companies", "contacts", "deals", "products", "line_items", "orders", "invoices", "quotes", "tickets"}
}

// Objects returns every object of the type as the API would show it, with all its properties and its associations.
func (s *Sim) Objects(typ string) ([]any, error) {
	typ, _ = typeName(typ)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.has(typ) {
		return nil, sim.CheckType(typ, s.Types())
	}
	var all []any
	for _, o := range s.sorted(typ) {
		m := s.show(o, view{all: true})
		if o.mergedInto != "" {
			m["mergedInto"] = o.mergedInto
		}
		if a := s.showLinks(o, s.Types()); len(a) > 0 {
			m["associations"] = a
		}
		all = append(all, m)
	}
	return all, nil
}

// Put is a person creating or editing a record. A property named like a type ("companies", "line_items") holds ids to
// associate with; in "line_items" there may be objects too, which are new lines.
func (s *Sim) Put(typ, id string, properties map[string]any) (any, error) {
	typ, _ = typeName(typ)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.has(typ) {
		return nil, sim.CheckType(typ, s.Types())
	}
	set := map[string]string{}
	link := map[string][]string{}
	var lines []map[string]string
	for k, v := range properties {
		if slices.Contains(s.Types(), k) {
			ids, made := linkedValues(v)
			link[k], lines = append(link[k], ids...), append(lines, made...)
			continue
		}
		if low := strings.ToLower(k); s.props[typ][k] == nil && s.props[typ][low] != nil {
			k = low
		}
		set[k] = text(v)
	}
	now := s.Now()
	w := writing{at: now, source: sourceScreen}
	var o *object
	var e *apiError
	if id == "" {
		o, e = s.create(typ, set, w)
	} else if o = s.find(typ, id); o == nil || o.archived {
		return nil, fmt.Errorf("there is no live %s %s", typ, id)
	} else {
		_, e = s.update(o, set, w)
	}
	for _, l := range lines {
		if e != nil {
			break
		}
		var line *object
		if line, e = s.create("line_items", l, w); e == nil {
			s.connect(o, line, nil, w)
		}
	}
	if e != nil {
		return nil, fmt.Errorf("%s", e.Message)
	}
	for _, to := range slices.Sorted(maps.Keys(link)) {
		for _, other := range link[to] {
			p := s.find(to, other)
			if p == nil {
				return nil, fmt.Errorf("there is no %s %s to associate with", to, other)
			}
			s.connect(o, p, nil, w)
		}
	}
	return s.show(o, view{all: true}), nil
}

// linkedValues reads ids, given as text or as a list, and objects to make.
func linkedValues(v any) (ids []string, made []map[string]string) {
	list, ok := v.([]any)
	if !ok {
		list = []any{v}
	}
	for _, x := range list {
		m, ok := x.(map[string]any)
		if !ok {
			ids = append(ids, strings.FieldsFunc(text(x), func(r rune) bool { return r == ';' || r == ',' || r == ' ' })...)
			continue
		}
		set := map[string]string{}
		for k, v := range m {
			set[k] = text(v)
		}
		made = append(made, set)
	}
	return ids, made
}

// has reports whether there is the type: one of HubSpot's, or one that a client has made. The caller holds the lock.
func (s *Sim) has(typ string) bool {
	return slices.Contains(s.Types(), typ) || s.objects[typ] != nil || s.props[typ] != nil
}

// Merge merges loser into winner; the survivor has a new id.
func (s *Sim) Merge(typ, winner, loser string) (any, error) {
	typ, ok := typeName(typ)
	if !ok {
		return nil, sim.CheckType(typ, s.Types())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, e := s.merge(typ, winner, loser, writing{at: s.Now(), source: sourceScreen})
	if e != nil {
		return nil, fmt.Errorf("%s", e.Message)
	}
	return s.show(o, view{all: true}), nil
}

// Delete archives a record, as the CRM's delete button does.
func (s *Sim) Delete(typ, id string) error {
	typ, ok := typeName(typ)
	if !ok {
		return sim.CheckType(typ, s.Types())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.find(typ, id)
	if o == nil || o.archived {
		return fmt.Errorf("there is no live %s %s", typ, id)
	}
	s.archive(o, writing{at: s.Now(), source: sourceScreen})
	return nil
}

// Duplicates counts surplus live objects of one type with one value of datum_id. The property is unique once it is
// provisioned, so more than 0 means that the portal was set up wrongly.
func (s *Sim) Duplicates() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, typ := range s.Types() {
		seen := map[string]bool{}
		for _, o := range s.objects[typ] {
			v := o.props["datum_id"]
			if v == "" || o.archived {
				continue
			}
			if seen[v] {
				n++
			}
			seen[v] = true
		}
	}
	return n
}

var typeAliases = map[string]string{
	"0-1": "contacts", "contact": "contacts", "0-2": "companies", "company": "companies", "0-3": "deals", "deal": "deals",
	"0-7": "products", "product": "products", "0-8": "line_items", "line_item": "line_items", "0-53": "invoices",
	"invoice": "invoices", "0-123": "orders", "order": "orders", "0-14": "quotes", "quote": "quotes", "0-5": "tickets", "ticket": "tickets",
}

var typeIDs = map[string]string{"contacts": "0-1", "companies": "0-2", "deals": "0-3", "products": "0-7", "line_items": "0-8",
	"invoices": "0-53", "orders": "0-123", "quotes": "0-14", "tickets": "0-5"}

// typeName resolves ids and singular names; it reports whether the name can be a type at all.
func typeName(typ string) (string, bool) {
	if a, ok := typeAliases[strings.ToLower(typ)]; ok {
		return a, true
	}
	if typ == "" || strings.ContainsFunc(typ, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }) {
		return typ, false
	}
	return typ, true
}

func singular(typ string) string {
	switch typ {
	case "companies":
		return "company"
	default:
		return strings.TrimSuffix(typ, "s")
	}
}

// text spells a JSON value as a property value.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		parts := make([]string, len(v))
		for i, x := range v {
			parts[i] = text(x)
		}
		return strings.Join(parts, ";")
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	default:
		return fmt.Sprint(v)
	}
}
