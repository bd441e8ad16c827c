// Package myobsim is a simulated MYOB company file behind the MYOB Business API (AccountRight v2): customers, items, sale
// invoices of the layouts Item and Service, customer payments, credit settlements and refunds in full; tax codes, accounts, the
// company file and its preferences to be read; OAuth 2.0 with refresh tokens that die when they are used, and MYOB's limits.
// It holds its state in memory and forgets it with the process. What every simulator has in common (faults, clock, ledger,
// control surface) is package sim's. Stock, orders, quotes, other layouts and foreign currencies are left out.
//
// A resource is a schema and a few rules (customer.go is the model); reading, filtering, paging, writing, locking and the
// control surface follow from it.
//
// Where MYOB's documentation is silent the simulator takes the side that hurts a careless client:
//   - PUT replaces the object: what is left out is emptied, and IsActive becomes false.
//   - Every accepted write moves RowVersion and LastModified, even if nothing changed; a changed balance moves RowVersion only.
//   - Text compares exactly, names of members too; a member that cannot be filtered by (custom fields, identifiers) is refused.
//   - A refresh token works once. There is no grace.
//   - Deleting and combining leave nothing behind: the UID is not found from then on.
//   - Names, card ids and ABNs need not be unique; numbers of items and invoices must be.
//   - A payment or settlement moves the RowVersion of its invoice and not LastModified, and is refused if it is more than is due.
//   - Subtotal is without tax in every mode. Line totals that are sent must be what MYOB makes them.
//   - Where transactions must be reversed they cannot be changed either. The words for that, for locked periods and for amounts
//     that do not fit are ours.
package myobsim

import (
	"math/big"
	"net/http"
	"sync"
	"time"

	"datum/adapters/sim"
)

// Options configure a simulator. The zero value is an online file with MYOB's own limits.
type Options struct {
	Seed   uint64
	Now    func() time.Time // base clock; time.Now if nil
	Limits Limits
	// Login makes the file ask for its own user and password (x-myobapi-cftoken), as local files do. A wrong one is refused
	// in any case.
	Login bool
	// NewKey makes the app one that was registered after 12 March 2025: it cannot list the files it has access to.
	NewKey bool
	// EmptyAnswers makes the server ignore returnBody=true: a write is answered with Location and nothing else.
	EmptyAnswers bool
	// MustReverse is the preference by which transactions cannot be changed or deleted, only reversed.
	MustReverse bool
	// IDField is the custom field of cards and items whose values Duplicates counts; default CustomField3.
	IDField string
}

// Limits override MYOB's; 0 is MYOB's own and a negative number is no limit.
type Limits struct {
	Second int // calls in any second, 8
	Day    int // calls in any 24 hours, 1,000,000
}

// Sim is one simulated company file with one app that has access to it.
type Sim struct {
	*sim.Server
	opts   Options
	mux    *http.ServeMux
	limits *limiter

	mu      sync.Mutex // guards everything below
	app     app
	file    companyFile
	tables  map[string]*table   // by path
	version int64               // the last RowVersion given
	numbers map[string]int      // the last automatic number, by series
	applied map[string]*big.Rat // of payments and credits, by the UID of the invoice; negative for a credit that was used
}

// New starts a simulator. It is an http.Handler; Close stops its goroutines.
func New(o Options) *Sim {
	if o.IDField == "" {
		o.IDField = "CustomField3"
	}
	s := &Sim{opts: o, limits: newLimiter(o.Limits)}
	s.Server = sim.New(s, sim.Options{Seed: o.Seed, Now: o.Now})
	s.mux = s.routes()
	s.Reset()
	return s
}

// resources are what the file holds, those that others name first.
func resources() []*resource {
	return []*resource{accounts(), taxCodes(), customers(), items(), invoices(), itemInvoices(), serviceInvoices(), customerPayments(), creditSettlements(), creditRefunds()}
}

func (s *Sim) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/v1/authorize", s.token)
	mux.HandleFunc("GET /oauth2/account/authorize", s.authorize)
	mux.HandleFunc("GET /accountright/{$}", s.key(s.listFiles))
	mux.HandleFunc("GET /accountright", s.key(s.listFiles))
	const file = "/accountright/{file}"
	mux.HandleFunc("GET "+file, s.api(s.getFile))
	mux.HandleFunc("GET "+file+"/{$}", s.api(s.getFile))
	mux.HandleFunc("GET "+file+"/Company/Preferences", s.api(s.getPreferences))
	for _, r := range resources() {
		at := file + "/" + r.path
		mux.HandleFunc("GET "+at, s.api(s.list(r.path)))
		if len(r.over) > 0 {
			continue
		}
		mux.HandleFunc("GET "+at+"/{uid}", s.api(s.get(r.path)))
		if !r.readOnly {
			mux.HandleFunc("POST "+at, s.api(s.post(r.path)))
			if !r.fixed {
				mux.HandleFunc("PUT "+at+"/{uid}", s.api(s.put(r.path)))
			}
			mux.HandleFunc("DELETE "+at+"/{uid}", s.api(s.remove(r.path)))
		}
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { s.write(w, refusal(http.StatusNotFound, notFound)) })
	return mux
}

// Name is MYOB's word in the policy.
func (s *Sim) Name() string { return "myob" }

// ServeVendor answers MYOB's own API.
func (s *Sim) ServeVendor(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Reset empties the file and makes every credential good again; counters, faults and clock are Server.Reset's.
func (s *Sim) Reset() {
	a, f := s.newApp(), s.newFile() // drawn in any case, so that what follows a reset is what follows a start
	s.limits.reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.app.id == "" {
		s.app, s.file = a, f
	}
	s.app.restore()
	s.version = 682911070058184704
	s.tables, s.numbers, s.applied = map[string]*table{}, map[string]int{}, map[string]*big.Rat{}
	for _, r := range resources() {
		t := &table{resource: r, rows: map[string]*row{}}
		s.tables[r.path] = t
		for _, o := range r.rows {
			s.store(t, s.UUID(), o, true)
		}
	}
}

// Envelope is never asked for: MYOB has no webhooks, so no event is ever emitted.
func (s *Sim) Envelope(string, []sim.Event, int) (http.Header, []byte) { return nil, nil }
