// Package cin7coresim is a simulated Cin7 Core account (formerly DEAR) behind its API v2: customers, products, locations,
// availability, stock adjustments, simple sales from order to payment, the reference books that these name, webhooks and the
// limit of calls. It holds its state in memory and forgets it with the process. What every simulator has in common (faults,
// clock, ledger, control surface) is package sim's.
//
// Where Cin7 Core's documentation is silent the simulator takes the side that hurts a careless client:
//   - Lists are sorted by name, so that a rename moves an object between pages; sales come newest first.
//   - A list of contacts or addresses that is sent replaces the whole one; an entry without the id it has is another entry.
//   - An entry of such a list that is not valid is left out, the rest is kept, and the reason is in Errors of a 200.
//   - Names of reference books compare exactly. An additional charge must name a service product.
//   - GET /sale of an id that is not there is a 400; the other objects are an empty list.
//   - Ids are in lower case in answers and in upper case in webhooks.
//   - Rows of the availability that would hold zeros are not there.
package cin7coresim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"datum/adapters/sim"
)

// Options configure a simulator. The zero value is an account with Cin7 Core's own limit.
type Options struct {
	Seed  uint64
	Now   func() time.Time // base clock; time.Now if nil
	Limit int              // calls a minute for each application key; 0 is Cin7 Core's own 60, a negative number no limit
	// Old503 answers 503 beyond the limit, as the published specification says; otherwise 429, as it is in practice.
	Old503 bool
	// NoAutomation makes the account one without the module that webhooks need.
	NoAutomation bool
	// HookScale multiplies the minute before a webhook's first attempt and the waits before the others; default 1.
	HookScale float64
}

type object = map[string]any

// table holds the objects of a type by id.
type table map[string]object

// sorted returns the objects by a member's text, then by id.
func (t table) sorted(member string) []object {
	list := make([]object, 0, len(t))
	for _, o := range t {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b object) int {
		return cmp.Or(cmp.Compare(strings.ToLower(text(a[member])), strings.ToLower(text(b[member]))), cmp.Compare(text(a["ID"]), text(b["ID"])))
	})
	return list
}

// Sim is one simulated account with one application key.
type Sim struct {
	*sim.Server
	opts   Options
	routes map[string]handler
	window *sim.Window

	mu         sync.Mutex // guards everything below
	account    string
	key        string
	webhookKey string
	revoked    bool
	stamped    time.Time // the last LastModifiedOn given

	books       map[string]table // reference books by path
	customers   table
	products    table
	locations   table
	sales       table
	adjustments table
	stock       map[place]amount
	numbers     map[string]int // the last number given of each series
	hooks       table
	explicit    bool // a client registers a webhook by the API
}

// New starts a simulator. It is an http.Handler; Close stops its goroutines.
func New(o Options) *Sim {
	scale := cmp.Or(o.HookScale, 1)
	limit := max(cmp.Or(o.Limit, 60), 0)
	s := &Sim{opts: o, window: sim.NewWindow(limit, time.Minute)}
	s.Server = sim.New(s, sim.Options{Seed: o.Seed, Now: o.Now, Hooks: sim.HookPolicy{Retries: hookRetries, Scale: scale,
		Linger: max(time.Duration(float64(time.Minute)*scale), time.Millisecond)}})
	s.account, s.key, s.webhookKey = s.UUID(), s.UUID(), s.Token(32)
	s.routes = s.handlers()
	s.Reset()
	return s
}

// Name is Cin7 Core's word in the policy.
func (s *Sim) Name() string { return "cin7core" }

// Reset empties the account, but for its reference books and its main location, and makes the credential good again.
func (s *Sim) Reset() {
	s.window.Reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked, s.stamped = false, time.Time{}
	s.books = books(s.UUID)
	s.customers, s.products, s.locations, s.sales, s.adjustments, s.hooks = table{}, table{}, table{}, table{}, table{}, table{}
	s.stock, s.numbers = map[place]amount{}, map[string]int{}
	id := s.UUID()
	s.locations[id] = location(id, "Main Warehouse")
	s.locations[id]["IsDefault"] = true
}

// Expire does nothing: keys have no end.
func (s *Sim) Expire() {}

// Revoke deletes the application key, as a person does under Integrations & API.
func (s *Sim) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = true
}

// SwitchOn is a person who makes the deleted key good again, as it was.
func (s *Sim) SwitchOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = false
}

// Consent is a person making a new application key after Revoke.
func (s *Sim) Consent() map[string]string {
	key := s.UUID()
	s.mu.Lock()
	s.key, s.revoked = key, false
	s.mu.Unlock()
	return s.Credentials()
}

// Credentials are the account's id, the application key as access token, and the bearer token of webhooks.
func (s *Sim) Credentials() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]string{"accountId": s.account, "accessToken": s.key, "webhookKey": s.webhookKey, "tenant": s.account}
}

// Duplicates counts surplus live sales with one ExternalID.
func (s *Sim) Duplicates() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, n := map[string]bool{}, 0
	for _, o := range s.sales {
		id := text(o["ExternalID"])
		if id == "" || o["Status"] == voided {
			continue
		}
		if seen[id] {
			n++
		}
		seen[id] = true
	}
	return n
}

// stamp is the present as LastModifiedOn, later than every one before. The caller holds the lock.
func (s *Sim) stamp() string {
	now := s.Now().Truncate(time.Millisecond)
	if !now.After(s.stamped) {
		now = s.stamped.Add(time.Millisecond)
	}
	s.stamped = now
	return now.Format("2006-01-02T15:04:05.000Z")
}

// since reads a time of a query, with or without zone; ok is false if it is none.
func since(q string) (time.Time, bool) {
	if q == "" {
		return time.Time{}, true
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", time.RFC3339Nano, time.DateOnly} {
		if t, err := time.Parse(layout, q); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func changedSince(o object, member string, at time.Time) bool {
	t, ok := since(text(o[member]))
	return ok && !t.Before(at)
}

// text is a JSON value as text: strings as they are, null as "".
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

// copyOf copies a JSON value.
func copyOf[T any](v T) T {
	b, err := json.Marshal(v)
	if err != nil {
		panic("cin7coresim: " + err.Error()) // it came from JSON
	}
	var c T
	if err := decode(b, &c); err != nil {
		panic("cin7coresim: " + err.Error())
	}
	return c
}

func decode(b []byte, into any) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	return d.Decode(into)
}

// ServeVendor answers Cin7 Core's own API. Paths and parameters are read without regard to case.
func (s *Sim) ServeVendor(w http.ResponseWriter, r *http.Request) { s.serve(w, r) }
