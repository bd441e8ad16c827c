// Package shopifysim is a simulated Shopify shop: customers, products with variants, stock by location, orders with
// payments and refunds, metafields, bulk operations, OAuth and signed webhooks behind the Admin GraphQL API. It executes
// any selection over schema.graphql, which is cut from Shopify's published schema (see trim), and charges points for it.
// State is in memory and goes with the process. What every simulator has in common (faults, clock, ledger, control
// surface) is package sim's.
//
// Where Shopify's documentation is silent the simulator takes the side that hurts a careless client:
//   - Searches (every query argument) see a write only after Options.SearchLag; reads by id see it at once.
//   - updatedAt has whole seconds, so that two edits can share one.
//   - A change of an inventory item's cost, or of stock, does not move the product's updatedAt.
//   - A tag with a comma becomes two tags.
//   - A member of a non-null type that the simulator does not model is empty rather than an error.
//
// Simplified: one webhook receiver, prices in one currency, asynchronous jobs are done at once.
package shopifysim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"datum/adapters/sim"
)

// Options configure a simulator. The zero value is an Australian shop on a standard plan.
type Options struct {
	Seed uint64
	Now  func() time.Time // base clock; time.Now if nil
	// Restore and Bucket are the rate limit in points, 100 a second and 2,000; negative Restore is no limit.
	Restore, Bucket float64
	// SearchLag is how far searches trail behind writes, in simulated time; 300 ms if 0, none if negative.
	SearchLag time.Duration
	// TaxesExcluded makes prices exclude GST; Australian shops usually include it.
	TaxesExcluded bool
	// Oldest is the oldest version of the API that is still served, default 2025-10: older ones fall forward to it.
	Oldest string
	// Scopes are what the app was granted; all that the simulator knows if empty.
	Scopes []string
	// BulkTakes is the simulated time that a bulk operation runs, default 2 s.
	BulkTakes time.Duration
	// HookScale multiplies the waits between webhook attempts (minutes to hours). Default 1.
	HookScale float64
	// Bare is a shop without its first location.
	Bare bool
	// Latency is real time that every API call takes.
	Latency time.Duration
}

// Sim is one simulated shop with one app installed.
type Sim struct {
	*sim.Server
	opts               Options
	schema             *ast.Schema
	mux                *http.ServeMux
	queries, mutations map[string]resolver

	mu          sync.Mutex // guards everything below
	app         app
	bucket      bucket
	lastID      int64
	orderNumber int64
	definitions []*definition
	hooks       []*subscription
	managed     bool   // subscriptions have been made through the API
	base        string // where the simulator was reached last
	event       string // id of the event that is happening
	customers   map[int64]*customer
	products    map[int64]*product
	variants    map[int64]*variant
	items       map[int64]*variant // by inventory item
	locations   map[int64]*location
	levels      map[levelID]*level
	orders      map[int64]*order
	refunds     map[int64]*refund
	payments    map[int64]*transaction
	merged      map[int64]int64 // customers: loser to survivor
	bulks       map[int64]*bulk
	keys        map[string]*attempt // idempotency
}

// New returns a shop with one location and nothing else. Close it.
func New(o Options) *Sim {
	def(&o.Restore, 100)
	def(&o.Bucket, 20*max(o.Restore, 100))
	def(&o.SearchLag, 300*time.Millisecond)
	def(&o.Oldest, "2025-10")
	def(&o.BulkTakes, 2*time.Second)
	if len(o.Scopes) == 0 {
		o.Scopes = allScopes
	}
	s := &Sim{opts: o, schema: loadSchema(), queries: rootQueries(), mutations: rootMutations()}
	s.Server = sim.New(s, sim.Options{Seed: o.Seed, Now: o.Now, Hooks: sim.HookPolicy{MaxBatch: 1, Timeout: 5 * time.Second, Scale: o.HookScale, Retries: hookRetries}})
	s.Reset()
	s.mux = s.routes()
	return s
}

func def[T comparable](p *T, d T) {
	var zero T
	if *p == zero {
		*p = d
	}
}

// Name is "shopify".
func (s *Sim) Name() string { return "shopify" }

// Reset empties the shop but for its first location. Tokens that were issued stay good, revoked refresh tokens are good
// again, and metafield definitions and webhook subscriptions stay: they are the shop's set-up.
func (s *Sim) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID, s.orderNumber = 7_104_000_000_000, 1000
	s.customers, s.merged = map[int64]*customer{}, map[int64]int64{}
	s.products, s.variants, s.items = map[int64]*product{}, map[int64]*variant{}, map[int64]*variant{}
	s.locations, s.levels = map[int64]*location{}, map[levelID]*level{}
	s.orders, s.refunds, s.payments = map[int64]*order{}, map[int64]*refund{}, map[int64]*transaction{}
	s.bulks, s.keys = map[int64]*bulk{}, map[string]*attempt{}
	a := s.newApp()
	if s.app.clientID == "" {
		s.app = a
	}
	s.app.restore()
	s.bucket = bucket{points: s.opts.Bucket}
	if s.opts.Bare {
		return
	}
	l := &location{meta: s.made(), name: "Head office", active: true, address: address{address1: "1 Collins Street", city: "Melbourne", province: "VIC", zip: "3000", country: "AU"}}
	s.locations[l.id] = l
}

// meta is what every object has. updatedAt has whole seconds.
type meta struct {
	id      int64
	created time.Time
	updated time.Time
	stamps  []stamp // changes that a search may not have seen yet, and the last that it has
}

// stamp is one change: when it happened exactly, and the updatedAt that it set.
type stamp struct{ at, updated time.Time }

func (m *meta) touch(at time.Time) {
	m.updated = at.Truncate(time.Second)
	m.stamps = append(m.stamps, stamp{at, m.updated})
	if n := len(m.stamps); n > 32 {
		m.stamps = slices.Clone(m.stamps[n-16:])
	}
}

// indexed is the updatedAt that a search sees, false if it does not see the object yet.
func (m *meta) indexed(horizon time.Time) (time.Time, bool) {
	for i := len(m.stamps) - 1; i >= 0; i-- {
		if !m.stamps[i].at.After(horizon) {
			return m.stamps[i].updated, true
		}
	}
	return time.Time{}, false
}

func (m *meta) num() int64 { return m.id }

// made is a new object's meta.
func (s *Sim) made() meta {
	s.lastID += 1 + int64(s.IntN(900))
	at := s.Now()
	m := meta{id: s.lastID, created: at.Truncate(time.Second)}
	m.touch(at)
	return m
}

// horizon is the time up to which searches see.
func (s *Sim) horizon() time.Time { return s.Now().Add(-max(s.opts.SearchLag, 0)) }

// sorted returns the objects of a map by id.
func sorted[T interface{ num() int64 }](m map[int64]T) []T {
	all := make([]T, 0, len(m))
	for _, o := range m {
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b T) int { return int(a.num() - b.num()) })
	return all
}

// Types lists the object types.
func (s *Sim) Types() []string {
	return []string{"customer", "product", "variant", "location", "inventoryLevel", "order", "refund", "transaction"}
}

// Duplicates counts surplus live objects with one value of a unique metafield. Shopify keeps them unique once they are
// defined, so more than 0 means that the shop was set up wrongly.
func (s *Sim) Duplicates() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	seen := map[string]bool{}
	count := func(owner string, fields metafields) {
		for _, m := range fields {
			if key := owner + "/" + m.namespace + "." + m.key + "=" + m.value; m.typ == "id" || strings.HasSuffix(m.key, "_id") {
				if seen[key] {
					n++
				}
				seen[key] = true
			}
		}
	}
	for _, c := range s.customers {
		count("CUSTOMER", c.metafields)
	}
	for _, v := range s.variants {
		count("PRODUCTVARIANT", v.metafields)
	}
	for _, p := range s.products {
		count("PRODUCT", p.metafields)
	}
	return n
}

func gid(typ string, id int64) string { return fmt.Sprintf("gid://shopify/%s/%d", typ, id) }

// idOf reads a global id of the type, 0 if it is none.
func idOf(typ, id string) int64 {
	rest, ok := strings.CutPrefix(id, "gid://shopify/"+typ+"/")
	if !ok {
		return 0
	}
	return number(rest)
}

func when(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
