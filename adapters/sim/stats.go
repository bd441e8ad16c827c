package sim

import (
	"maps"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Stats are the simulator's own ledger, since the start or the last reset.
type Stats struct {
	Requests int            `json:"requests"`
	Routes   map[string]int `json:"routes"`      // by method and path pattern
	Statuses map[string]int `json:"statuses"`    // by status; "0" is a request that got no answer
	Limited  int            `json:"rateLimited"` // requests refused with 429 by the vendor's own limits, not by a fault
	Faults   map[string]int `json:"faults"`      // by kind

	Creates     int            `json:"creates"`     // objects created through the API
	CreatesOf   map[string]int `json:"createsOf"`   // the same by type, where the vendor counts types
	Updates     int            `json:"updates"`     // objects changed through the API
	NoopUpdates int            `json:"noopUpdates"` // objects written with the values they already had
	WriteCalls  map[string]int `json:"writeCalls"`  // calls that tried to write objects, by method and path pattern
	Edits       int            `json:"edits"`       // objects created or changed by people, through /_sim
	Duplicates  int            `json:"duplicates"`  // surplus live objects with one value of our external-id field

	TokenRefreshes   int `json:"tokenRefreshes"`
	InvalidRefreshes int `json:"invalidRefreshes"`

	Webhooks HookStats `json:"webhooks"`
}

// HookStats count webhooks. Events are what happened; deliveries are requests to the receiver.
type HookStats struct {
	Events     int `json:"events"`
	Sent       int `json:"deliveries"` // attempted
	OK         int `json:"ok"`         // answered 2xx
	Failed     int `json:"failed"`     // anything else
	GivenUp    int `json:"givenUp"`
	Dropped    int `json:"dropped"`    // events lost by a fault
	Duplicated int `json:"duplicated"` // events sent twice by a fault
	Delayed    int `json:"delayed"`
	Reordered  int `json:"reordered"`
	Pending    int `json:"pending"` // events waiting to be sent or sent again
}

func newStats() Stats {
	return Stats{Routes: map[string]int{}, Statuses: map[string]int{}, Faults: map[string]int{}, CreatesOf: map[string]int{}, WriteCalls: map[string]int{}}
}

// Stats returns a copy of the ledger.
func (s *Server) Stats() Stats {
	dup, pending := s.vendor.Duplicates(), s.hooks.pendingEvents()
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.stats
	c.Routes, c.Statuses, c.Faults = maps.Clone(c.Routes), maps.Clone(c.Statuses), maps.Clone(c.Faults)
	c.CreatesOf, c.WriteCalls = maps.Clone(c.CreatesOf), maps.Clone(c.WriteCalls)
	c.Duplicates, c.Webhooks.Pending = dup, pending
	return c
}

// plainStats are the ledger with the numbers that are asked for most under their plain names too.
type plainStats struct {
	Stats
	TooMany           int `json:"429"` // by the vendor's limits and by faults
	WebhookDeliveries int `json:"webhookDeliveries"`
	ByExternalID      int `json:"duplicatesByExternalId"`
}

func (s *Server) plainStats() plainStats {
	st := s.Stats()
	return plainStats{st, st.Statuses["429"], st.Webhooks.Sent, st.Duplicates}
}

// clearStats sets the ledger to nothing.
func (s *Server) clearStats() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats = newStats()
}

// Count changes the ledger under its lock: s.Count(func(st *sim.Stats) { st.TokenRefreshes++ }).
func (s *Server) Count(f func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.stats)
}

// Wrote counts one API call that wrote objects, and what became of them.
func (s *Server) Wrote(r *http.Request, created, updated, noop int) {
	s.Count(func(st *Stats) {
		st.WriteCalls[Route(r)]++
		st.Creates += created
		st.Updates += updated
		st.NoopUpdates += noop
	})
}

func (s *Server) countRequest(r *http.Request, status int, injected bool) {
	s.Count(func(st *Stats) {
		st.Requests++
		st.Routes[Route(r)]++
		st.Statuses[strconv.Itoa(status)]++
		if status == http.StatusTooManyRequests && !injected {
			st.Limited++
		}
	})
}

// idLike is a path segment that is an id: a UUID, or one with a digit that is not a version ("v3", "2026-03").
var idLike = regexp.MustCompile(`^[0-9a-fA-F-]{36}$|^\d+$|^.*\d{4,}.*$`)
var versionLike = regexp.MustCompile(`^v\d+$|^\d{4}-\d\d$`)

// Route names the request's route: the pattern by which a http.ServeMux found it, or the path with ids as {id}.
func Route(r *http.Request) string {
	if r.Pattern != "" && r.Pattern != "/" {
		if strings.HasPrefix(r.Pattern, r.Method+" ") {
			return r.Pattern
		}
		return r.Method + " " + r.Pattern
	}
	parts := strings.Split(r.URL.Path, "/")
	for i, p := range parts {
		if idLike.MatchString(p) && !versionLike.MatchString(p) {
			parts[i] = "{id}"
		}
	}
	return r.Method + " " + strings.Join(parts, "/")
}

// Window is a true rolling limit: at most Calls in any stretch of Per. Safe for concurrent use.
type Window struct {
	calls int
	per   time.Duration
	mu    sync.Mutex
	taken []time.Time
}

// NewWindow returns a limit of calls per stretch; calls 0 is no limit.
func NewWindow(calls int, per time.Duration) *Window { return &Window{calls: calls, per: per} }

// Take asks for one call at the time now. It returns whether it is allowed, how many more are, and if not after how
// long one will be. A refused call does not count.
func (w *Window) Take(now time.Time) (ok bool, remaining int, wait time.Duration) {
	if w.calls <= 0 {
		return true, 1 << 30, 0
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drop(now)
	if len(w.taken) >= w.calls {
		return false, 0, w.taken[0].Add(w.per).Sub(now)
	}
	w.taken = append(w.taken, now)
	return true, w.calls - len(w.taken), 0
}

// Reset forgets what was taken.
func (w *Window) Reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.taken = nil
}

func (w *Window) drop(now time.Time) {
	i := 0
	for i < len(w.taken) && !w.taken[i].Add(w.per).After(now) {
		i++
	}
	w.taken = w.taken[i:]
}
