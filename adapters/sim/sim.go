// Package sim is what all vendor simulators have in common: a control surface under /_sim/, fault injection, a clock that
// can be advanced, a seeded source of chance, true rolling limits, counters, and a webhook dispatcher.
//
// A simulator is an honest server with state. The package leaves to each vendor's own package what that vendor does: its
// objects, its authentication, its errors and its events. A vendor embeds *Server and implements Vendor:
//
//	type Sim struct {
//		*sim.Server
//		mu sync.Mutex // guards the objects
//	}
//
//	func New(o Options) *Sim {
//		s := &Sim{}
//		s.Server = sim.New(s, sim.Options{Seed: o.Seed, Now: o.Now, Hooks: sim.HookPolicy{MaxBatch: 100}})
//		return s
//	}
//
// Server is the http.Handler for everything: it answers /_sim/ itself and passes the rest, faults permitting, to
// Vendor.ServeVendor. Everything is safe for concurrent use. Close stops every goroutine.
package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// Vendor is what a simulated vendor implements. The server calls it concurrently and holds no lock while it does.
type Vendor interface {
	// Name is the vendor's word: "xero".
	Name() string
	// ServeVendor answers the vendor's own API. The body has been read into memory; r.Body may be read as usual. Patterns
	// set on r by http.ServeMux name the route in the statistics.
	ServeVendor(w http.ResponseWriter, r *http.Request)
	// WriteFault answers an injected status in the vendor's own error shape. Retry-After is already in the header.
	WriteFault(w http.ResponseWriter, r *http.Request, status int)

	// Types lists the object types that /_sim/objects takes.
	Types() []string
	// Objects returns every object of the type, archived ones too, each with an "archived" member or the vendor's
	// equivalent. An unknown type is an error.
	Objects(typ string) ([]any, error)
	// Put is a person editing in the vendor's own screen: id "" creates, another id updates the properties given and
	// leaves the rest. Webhooks follow as in reality. It returns the object.
	Put(typ, id string, properties map[string]any) (any, error)
	// Merge merges loser into winner as the vendor's screen does and returns the survivor.
	Merge(typ, winner, loser string) (any, error)
	// Delete deletes or archives as the vendor's screen does.
	Delete(typ, id string) error

	// Expire ends every access token now; refresh tokens stay good.
	Expire()
	// Revoke ends every access and refresh token: the customer removed the app.
	Revoke()
	// Reset empties the account. Credentials stay good, and revoked refresh tokens are good again, so that a connected
	// client needs nobody to connect it anew.
	Reset()
	// Credentials are enough to connect: clientId, clientSecret, accessToken, refreshToken, webhookKey, and the tenant.
	Credentials() map[string]string
	// Duplicates counts the surplus live objects that share one value of our external-id field.
	Duplicates() int

	// Envelope renders one delivery of events to url, signed. Attempt counts from 0.
	Envelope(url string, events []Event, attempt int) (http.Header, []byte)
}

// Registrar is implemented by vendors that check a webhook receiver when it is registered (Xero's intent to receive). An
// error refuses the registration.
type Registrar interface {
	Register(ctx context.Context, url string) error
}

// Silencer is implemented by vendors whose webhooks are subscriptions that end by themselves. Silence ends those to a topic, ""
// all of them, without telling anybody, and returns how many there were.
type Silencer interface {
	Silence(topic string) int
}

// Consenter is implemented by vendors whose app a person can authorise anew after Revoke. It returns the credentials to
// use from then on.
type Consenter interface {
	Consent() map[string]string
}

// Watcher is implemented by vendors that want to know how each delivery went (to disable a failing receiver).
type Watcher interface {
	Delivered(d Delivery)
}

// Options configure a Server. The zero value works.
type Options struct {
	Seed  uint64           // of every random choice
	Now   func() time.Time // the base clock; time.Now if nil
	Hooks HookPolicy
}

// Server is the common part of one simulator.
type Server struct {
	vendor  Vendor
	now     func() time.Time
	seed    uint64
	control *http.ServeMux
	hooks   *dispatcher

	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu     sync.Mutex
	closed bool
	offset time.Duration
	rand   *rand.Rand
	faults []*Fault
	nfault int
	stats  Stats
	https  []*http.Server
}

// New returns a server for v and starts its webhook dispatcher.
func New(v Vendor, o Options) *Server {
	if o.Now == nil {
		o.Now = time.Now
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &Server{vendor: v, now: o.Now, seed: o.Seed, ctx: ctx, stop: stop, rand: newRand(o.Seed), stats: newStats()}
	s.hooks = newDispatcher(s, o.Hooks)
	s.control = s.routes()
	return s
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)) }

// Handler returns the server itself, for symmetry with the vendors' constructors.
func (s *Server) Handler() http.Handler { return s }

// Close stops the dispatcher, hanging requests and listeners, and waits for them.
func (s *Server) Close() {
	s.stop()
	s.mu.Lock()
	https := s.https
	s.https, s.closed = nil, true
	s.mu.Unlock()
	for _, h := range https {
		_ = h.Close()
	}
	s.wg.Wait()
}

// Listen serves on addr ("127.0.0.1:0" picks a port) until Close and returns the base URL.
func (s *Server) Listen(addr string) (string, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", err
	}
	h := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	s.mu.Lock()
	s.https = append(s.https, h)
	s.mu.Unlock()
	s.run(func() {
		if err := h.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			_ = l.Close()
		}
	})
	return "http://" + l.Addr().String(), nil
}

// run starts a goroutine that Close waits for; after Close it does nothing.
func (s *Server) run(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.wg.Go(f)
	}
}

// Now is the simulated time, UTC.
func (s *Server) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now().Add(s.offset).UTC()
}

// Advance moves the simulated clock forward. Waiting retries are real time and do not move with it.
func (s *Server) Advance(d time.Duration) time.Time {
	s.mu.Lock()
	s.offset += d
	s.mu.Unlock()
	return s.Now()
}

// IntN returns a random number in [0,n).
func (s *Server) IntN(n int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rand.IntN(n)
}

// Token returns n random characters of [0-9a-f].
func (s *Server) Token(n int) string {
	const hex = "0123456789abcdef"
	s.mu.Lock()
	defer s.mu.Unlock()
	b := make([]byte, n)
	for i := range b {
		b[i] = hex[s.rand.IntN(16)]
	}
	return string(b)
}

// UUID returns a random UUID in the usual form.
func (s *Server) UUID() string {
	b := []byte(s.Token(32))
	b[12], b[16] = '4', "89ab"[b[16]%4]
	return string(b[:8]) + "-" + string(b[8:12]) + "-" + string(b[12:16]) + "-" + string(b[16:20]) + "-" + string(b[20:])
}

// Reset empties the account and forgets counters, faults, waiting webhooks and the clock's offset.
func (s *Server) Reset() {
	s.hooks.clear()
	s.mu.Lock()
	s.offset, s.faults, s.stats, s.rand = 0, nil, newStats(), newRand(s.seed)
	s.mu.Unlock()
	s.vendor.Reset()
}
