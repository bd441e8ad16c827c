// Package xerosim is a simulated Xero organisation: contacts, items, quotes, invoices, credit notes, payments and overpayments, the
// organisation's settings with its tax rates, accounts and lock dates, OAuth 2.0 with rotating refresh tokens, Xero's limits,
// idempotency keys and webhooks. It holds its state in memory and forgets it with the
// process. What every simulator has in common (faults, clock, ledger, control surface) is package sim's.
//
// Where Xero's documentation is silent the simulator takes the side that hurts a careless client:
//   - POST of a contact without ContactID whose ContactNumber exists updates that contact; PUT of it is refused.
//   - Addresses, Phones and ContactPersons replace the whole list when they are sent; what is left out is emptied.
//   - Every accepted write moves UpdatedDateUTC and sends a webhook, even if nothing changed.
//   - A merged contact keeps its ContactNumber, is archived and refuses edits; an archived one may be edited and restored.
//   - A refresh token used again within its grace of 30 minutes ends the token that was issued in its place.
//   - POST of an invoice, credit note or quote without its id whose number exists edits that document; PUT of it is refused.
//   - Nothing but the status of a paid, voided, deleted or invoiced document can be changed, and not even that of most.
//   - A document of a locked period may be a draft; it cannot be authorised, changed, paid or voided.
//   - Lines of a document without tax become TaxType NONE.
//   - Unit amounts have two decimals, written and read, without unitdp=4; GST is rounded on each line, half up.
//   - Quotes come in pages of 100 that do not say how many there are. Deleted documents are not listed.
//   - An overpayment's only line is of the Accounts Receivable account; Reference is refused, and nothing of it is deleted while it is allocated.
//   - Without summarizeErrors=false one bad element refuses the whole call.
//
// Requests are JSON; answers are XML unless Accept asks for JSON.
package xerosim

import (
	"maps"
	"net/http"
	"sync"
	"time"

	"datum/adapters/sim"
)

// Options configure a simulator. The zero value is a Core-tier organisation with Xero's own limits.
type Options struct {
	Seed   uint64
	Now    func() time.Time // base clock; time.Now if nil
	Limits Limits
	// Latency is real time that every API call takes while it holds one of the concurrent slots.
	Latency time.Duration
	// HookScale multiplies the waits between webhook attempts (15 minutes): 0.001 makes them 0.9 s. Default 1.
	HookScale float64
	// FullRates leaves the tax rates active that Xero archives in organisations on basic rates: exports, capital, input-taxed.
	FullRates bool
}

// Limits override Xero's; 0 is Xero's own and a negative number is no limit.
type Limits struct {
	Concurrent int           // calls at once, 5
	Minute     int           // calls per MinutePer, 60
	MinutePer  time.Duration // 1 minute
	Day        int           // calls per fixed day, 5000
	AppMinute  int           // calls of the app per MinutePer over all organisations, 10000
}

// Sim is one simulated organisation with one app connected to it.
type Sim struct {
	*sim.Server
	opts   Options
	mux    *http.ServeMux
	limits *limiter
	writes sync.Mutex // writes are carried out one at a time, so that one idempotency key is never at work twice

	mu           sync.Mutex // guards everything below
	app          app
	org          organisation
	contacts     map[string]*contact
	byNumber     map[string]string // ContactNumber to ContactID
	rates        []*taxRate
	accounts     []*account
	items        map[string]*item
	codes        map[string]string // Code to ItemID
	docs         map[string]*document
	numbers      map[string]string // "Invoices INV-0001" to the document's id
	counters     map[string]int    // the last number that was given, by collection
	payments     map[string]*payment
	overpayments map[string]*overpayment
	answers      map[string]stored // by idempotency key
	sequence     int64             // of webhook events
	disabled     bool              // the receiver failed for a day
	kept         []sim.Event       // events that a disabled receiver has not had
}

// New starts a simulator. It is an http.Handler; Close stops its goroutines.
func New(o Options) *Sim {
	s := &Sim{opts: o, limits: newLimiter(o.Limits)}
	retries := make([]time.Duration, 0, 97)
	retries = append(retries, 0)
	for range 96 {
		retries = append(retries, 15*time.Minute)
	}
	s.Server = sim.New(s, sim.Options{Seed: o.Seed, Now: o.Now,
		Hooks: sim.HookPolicy{MaxBatch: 50, Retries: retries, Timeout: 5 * time.Second, Scale: o.HookScale}})
	s.mux = s.routes()
	s.Reset()
	return s
}

func (s *Sim) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /connect/token", s.token)
	mux.HandleFunc("POST /connect/revocation", s.revocation)
	mux.HandleFunc("GET /identity/connect/authorize", s.authorize)
	mux.HandleFunc("GET /connections", s.listConnections)
	mux.HandleFunc("DELETE /connections/{id}", s.deleteConnection)
	const base = "/api.xro/2.0"
	mux.HandleFunc("GET "+base+"/Contacts", s.api(s.listContacts))
	mux.HandleFunc("PUT "+base+"/Contacts", s.api(s.putContacts))
	mux.HandleFunc("POST "+base+"/Contacts", s.api(s.postContacts))
	mux.HandleFunc("GET "+base+"/Contacts/{id}", s.api(s.getContact))
	mux.HandleFunc("POST "+base+"/Contacts/{id}", s.api(s.postContact))
	mux.HandleFunc("GET "+base+"/Organisation", s.api(s.getOrganisation))
	mux.HandleFunc("GET "+base+"/TaxRates", s.api(s.getTaxRates))
	mux.HandleFunc("GET "+base+"/TaxRates/{type}", s.api(s.getTaxRates))
	mux.HandleFunc("GET "+base+"/Accounts", s.api(s.getAccounts))
	mux.HandleFunc("GET "+base+"/Accounts/{id}", s.api(s.getAccounts))
	mux.HandleFunc("GET "+base+"/Items", s.api(s.listItems))
	mux.HandleFunc("PUT "+base+"/Items", s.api(s.writeItems))
	mux.HandleFunc("POST "+base+"/Items", s.api(s.writeItems))
	mux.HandleFunc("GET "+base+"/Items/{id}", s.api(s.getItem))
	mux.HandleFunc("POST "+base+"/Items/{id}", s.api(s.writeItems))
	mux.HandleFunc("DELETE "+base+"/Items/{id}", s.api(s.deleteItem))
	s.docRoutes(mux, base, quoteType)
	s.docRoutes(mux, base, invoiceType)
	s.docRoutes(mux, base, creditNoteType)
	mux.HandleFunc("PUT "+base+"/CreditNotes/{id}/Allocations", s.api(s.putAllocations))
	mux.HandleFunc("DELETE "+base+"/CreditNotes/{id}/Allocations/{allocation}", s.api(s.deleteAllocation))
	mux.HandleFunc("GET "+base+"/Payments", s.api(s.listPayments))
	mux.HandleFunc("PUT "+base+"/Payments", s.api(s.writePayments))
	mux.HandleFunc("POST "+base+"/Payments", s.api(s.writePayments))
	mux.HandleFunc("GET "+base+"/Payments/{id}", s.api(s.getPayment))
	mux.HandleFunc("POST "+base+"/Payments/{id}", s.api(s.writePayments))
	s.overpaymentRoutes(mux, base)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { notFound(w) })
	return mux
}

// Name is Xero's word in the policy.
func (s *Sim) Name() string { return "xero" }

// ServeVendor answers Xero's own API.
func (s *Sim) ServeVendor(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Reset empties the account and makes every credential good again; counters, faults and clock are Server.Reset's.
func (s *Sim) Reset() {
	a := s.newApp() // drawn in any case, so that what follows a reset is what follows a start
	s.limits.reset()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.app.id == "" {
		s.app = a
	}
	o := s.newOrganisation(s.app.tenant)
	s.app.restore()
	s.org = o
	s.rates, s.accounts = newRates(s.opts.FullRates), newAccounts(o.CreatedDateUTC.Time)
	s.contacts, s.byNumber, s.answers = map[string]*contact{}, map[string]string{}, map[string]stored{}
	s.items, s.codes, s.payments, s.overpayments = map[string]*item{}, map[string]string{}, map[string]*payment{}, map[string]*overpayment{}
	s.docs, s.numbers, s.counters = map[string]*document{}, map[string]string{}, map[string]int{}
	s.sequence, s.disabled, s.kept = 0, false, nil
}

// snapshot returns a function that puts everything back as it is now. Elements are replaced and never changed, so that it is
// enough to keep which there are. The caller holds the lock.
func (s *Sim) snapshot() func() {
	contacts, byNumber, items, codes := maps.Clone(s.contacts), maps.Clone(s.byNumber), maps.Clone(s.items), maps.Clone(s.codes)
	docs, numbers, counters, payments, overpayments := maps.Clone(s.docs), maps.Clone(s.numbers), maps.Clone(s.counters), maps.Clone(s.payments), maps.Clone(s.overpayments)
	return func() {
		s.contacts, s.byNumber, s.items, s.codes = contacts, byNumber, items, codes
		s.docs, s.numbers, s.counters, s.payments, s.overpayments = docs, numbers, counters, payments, overpayments
	}
}
