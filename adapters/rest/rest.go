// Package rest carries vendor calls over HTTP for every adapter: it authenticates, keeps to the budget, stops calling a
// vendor that is down, logs each exchange without secrets, and turns transport failures and statuses into *domain.Error.
//
// It leaves to others where tokens, budgets and exchanges are stored (three small interfaces), what a body means (the
// adapter), and every repetition of a call but one: a call that was refused for its token is sent again with a new one.
package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sony/gobreaker/v2"

	"datum/adapters"
	"datum/domain"
)

// TokenSource provides the bearer token of one system. All methods may be called concurrently and fail with
// Unauthorized when a person must authorise the account again.
type TokenSource interface {
	// Token returns a token that should be good for this call.
	Token(ctx context.Context) (string, error)
	// Refresh returns another token than used, which the vendor refused: the stored one if it is already another, else
	// a new one. A token that cannot be renewed is returned unchanged.
	Refresh(ctx context.Context, used string) (string, error)
	// Reject says that the vendor refused even a fresh token.
	Reject(ctx context.Context, used, reason string) error
}

// Budget shares out the calls that the vendor allows.
type Budget interface {
	// Acquire asks for one call in the lane that also counts against the extra limits. It does not wait: either it
	// returns a permit, or how long to wait before asking again. A permit that is not done ends by itself after hold.
	Acquire(ctx context.Context, lane Lane, extra []string, hold time.Duration) (Permit, time.Duration, error)
}

// Permit is the right to make one call.
type Permit interface {
	// Done ends the call and passes on what the vendor said about its limits.
	Done(ctx context.Context, u Usage) error
}

// Usage is what one answer says about the vendor's limits.
type Usage struct {
	Readings []adapters.LimitReading
	// Blocked is how long the vendor wants to be left alone, 0 if it did not say so, in Limits or, if those are not
	// known, in everything that the call counted against.
	Blocked time.Duration
	Limits  []string
}

// ExchangeLog keeps exchanges. Log must not block.
type ExchangeLog interface{ Log(x Exchange) }

// Config configures a Client. System and BaseURL are required.
type Config struct {
	System     string
	BaseURL    string      // absolute, http or https
	Auth       TokenSource // nil sends no Authorization
	Budget     Budget      // nil is no limit
	Exchanges  ExchangeLog // nil keeps none
	Guard      Guard       // decides about calls that write where the context names no other; nil lets all through
	Secrets    []string    // that must never be logged, beside the bearer token
	ReadLimits func(http.Header) []adapters.LimitReading
	// TokenHeader and Meaning are the vendor's; see adapters.Vendor.
	TokenHeader string
	Meaning     func(*adapters.Response) domain.Code
	Noticer     Noticer // nil is told nothing
	Notices     func(adapters.Call, http.Header) []adapters.Notice
	Timeout     time.Duration // of one call, waiting for the budget apart; default 20 s
	// Patience is how long a call may wait in place for the budget; default 2 s, WithPatience overrides it.
	Patience time.Duration
	// Trip is after how many failures in a row the vendor counts as down, default 10; OpenFor for how long it is then
	// left alone, default 5 s.
	Trip      int
	OpenFor   time.Duration
	UserAgent string
	Transport http.RoundTripper // default NewTransport()
	Now       func() time.Time
	Log       *slog.Logger
}

// Client makes the calls of one system. It is safe for concurrent use and should live as long as the process: the
// circuit breaker is in it.
type Client struct {
	cfg     Config
	http    *http.Client
	breaker *gobreaker.TwoStepCircuitBreaker[struct{}]
}

var _ adapters.Doer = (*Client)(nil)

// ErrBudget is the cause of a RateLimited error that Datum imposed on itself: the vendor was not called.
var ErrBudget = errors.New("no call left in the budget for now")

// ErrNotSent is in the chain of errors of calls that never reached the vendor.
var ErrNotSent = errors.New("the vendor was not called")

// NewTransport returns a transport with timeouts for connecting. It follows the usual proxy variables.
func NewTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxIdleConnsPerHost = 32
	t.TLSHandshakeTimeout = 10 * time.Second
	t.IdleConnTimeout = 60 * time.Second
	return t
}

// New returns a client, or an Invalid error if the configuration makes no sense.
func New(cfg Config) (*Client, error) {
	u, err := url.Parse(cfg.BaseURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" {
		return nil, &domain.Error{Code: domain.Invalid, System: cfg.System, Message: "the base URL must be an absolute http or https URL without user or query"}
	}
	return build(cfg)
}

func build(cfg Config) (*Client, error) {
	if cfg.System == "" {
		return nil, domain.Errorf(domain.Invalid, "a client needs the name of its system")
	}
	cfg.BaseURL = strings.TrimRight(cfg.BaseURL, "/")
	def(&cfg.Timeout, 20*time.Second)
	def(&cfg.Patience, 2*time.Second)
	def(&cfg.Trip, 10)
	def(&cfg.OpenFor, 5*time.Second)
	def(&cfg.UserAgent, "Datum/1")
	def(&cfg.Log, slog.New(slog.DiscardHandler))
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Transport == nil {
		cfg.Transport = NewTransport()
	}
	c := &Client{cfg: cfg}
	c.http = &http.Client{
		Transport:     cfg.Transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Name:         cfg.System,
		Timeout:      cfg.OpenFor,
		ReadyToTrip:  func(n gobreaker.Counts) bool { return n.ConsecutiveFailures >= uint32(cfg.Trip) },
		IsSuccessful: func(err error) bool { return !isDown(err) },
		IsExcluded: func(err error) bool {
			return errors.Is(err, context.Canceled) || domain.CodeOf(err) == domain.RateLimited
		},
		OnStateChange: func(name string, from, to gobreaker.State) {
			cfg.Log.Warn("circuit breaker", "system", name, "from", from.String(), "to", to.String())
		},
	})
	return c, nil
}

func def[T comparable](p *T, d T) {
	var zero T
	if *p == zero {
		*p = d
	}
}

// isDown reports whether an outcome speaks for a vendor that does not work, rather than one that says no.
func isDown(err error) bool {
	code := domain.CodeOf(err)
	return code == domain.Unavailable || code == domain.Unknown
}

// Do makes one call. It returns the answer if its status is 2xx or accepted by the call, else a *domain.Error:
//
//	Unauthorized  401, after one try with a renewed token
//	Forbidden     403
//	NotFound      404, 410
//	Conflict      409, 412
//	Invalid       400, 422 and any other status that repeating would not change
//	RateLimited   429, or ErrBudget when our own budget has no call left within the caller's patience
//	Unavailable   5xx and other temporary statuses, no connection, breaker open; for calls that write only before the
//	              request was sent or if they are safe to repeat
//	Unknown       no answer to a write that was sent and is not safe to repeat
//
// RetryAfter is set where the vendor or the budget gave one. A cancelled context ends the call at once; its error is in
// the chain.
func (c *Client) Do(ctx context.Context, call adapters.Call) (*adapters.Response, error) {
	resp, err := c.do(ctx, call)
	if err != nil {
		e := *domain.AsError(err)
		if e.System == "" {
			e.System = c.cfg.System
		}
		if e.Op == "" {
			e.Op = call.Method + " " + pathOnly(call.Path)
		}
		return nil, &e
	}
	return resp, nil
}

func (c *Client) do(ctx context.Context, call adapters.Call) (*adapters.Response, error) {
	if call.URL != "" {
		var err error
		if call.Path, err = c.elsewhere(call); err != nil {
			return nil, err
		}
	}
	if !strings.HasPrefix(call.Path, "/") {
		return nil, domain.Errorf(domain.Internal, "the path of a call must start with a slash")
	}
	if err := c.look(ctx, call); err != nil {
		return nil, err
	}
	if resp, done, err := c.rehearsed(ctx, call); done {
		return resp, err
	}
	if c.cfg.Auth == nil || call.URL != "" {
		resp, err := c.once(ctx, call, "")
		if err != nil {
			return nil, err
		}
		return c.judge(call, resp)
	}
	token, err := c.cfg.Auth.Token(ctx)
	if err != nil {
		return nil, err
	}
	resp, err := c.once(ctx, call, token)
	if err != nil {
		return nil, err
	}
	if !c.refused(resp) {
		return c.judge(call, resp)
	}
	fresh, err := c.cfg.Auth.Refresh(ctx, token)
	if err != nil {
		return nil, err
	}
	if fresh != token {
		if resp, err = c.once(ctx, call, fresh); err != nil {
			return nil, err
		}
	}
	if c.refused(resp) {
		if err := c.cfg.Auth.Reject(ctx, fresh, fmt.Sprintf("the vendor refuses the access token (%d)", resp.Status)); err != nil {
			return nil, err
		}
	}
	return c.judge(call, resp)
}

// elsewhere checks an address that the vendor has named and returns how it is logged: its query may be the key to the file.
func (c *Client) elsewhere(call adapters.Call) (string, error) {
	u, err := url.Parse(call.URL)
	base, baseErr := url.Parse(c.cfg.BaseURL)
	if err != nil || baseErr != nil || u.Host == "" || u.User != nil || call.Write || call.Path != "" ||
		u.Scheme != "https" && (u.Scheme != base.Scheme || u.Host != base.Host) {
		return "", domain.Errorf(domain.Invalid, "the vendor names a file at an address that is not called; it must be https")
	}
	return "/" + u.Host + u.Path, nil
}

// once makes one request, whatever its status.
func (c *Client) once(ctx context.Context, call adapters.Call, token string) (*adapters.Response, error) {
	return c.around(ctx, call, func() (*adapters.Response, error) { return c.send(ctx, call, token) })
}

// around makes one call within the budget and the breaker.
func (c *Client) around(ctx context.Context, call adapters.Call, send func() (*adapters.Response, error)) (*adapters.Response, error) {
	if c.breaker.State() == gobreaker.StateOpen {
		return nil, c.open()
	}
	permit, err := c.acquire(ctx, call)
	if err != nil {
		return nil, err
	}
	var usage Usage
	defer func() {
		// The lease is given back even if the caller is gone.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := permit.Done(ctx, usage); err != nil {
			c.cfg.Log.WarnContext(ctx, "budget not updated; its lease ends by itself", "system", c.cfg.System, "error", err)
		}
	}()
	if err := c.now(ctx, call); err != nil {
		return nil, err
	}
	report, err := c.breaker.Allow()
	if err != nil {
		return nil, c.open()
	}
	resp, err := send()
	if err != nil {
		report(err)
		return nil, err
	}
	c.notice(ctx, call, resp)
	if c.cfg.ReadLimits != nil {
		usage.Readings = c.cfg.ReadLimits(resp.Header)
	}
	failure := c.classify(resp)
	report(failure)
	if domain.CodeOf(failure) == domain.RateLimited {
		usage.Blocked = max(domain.AsError(failure).RetryAfter, time.Second)
		for _, r := range usage.Readings {
			if r.Remaining == 0 {
				usage.Limits = append(usage.Limits, r.Name)
			}
		}
	}
	return resp, nil
}

func (c *Client) open() error {
	return &domain.Error{Code: domain.Unavailable, RetryAfter: c.cfg.OpenFor, Err: ErrNotSent,
		Message: fmt.Sprintf("the vendor failed %d times in a row; it is left alone for %s", c.cfg.Trip, c.cfg.OpenFor)}
}

// acquire waits in place for the budget as long as the caller's patience allows.
func (c *Client) acquire(ctx context.Context, call adapters.Call) (Permit, error) {
	if c.cfg.Budget == nil {
		return unlimited{}, nil
	}
	patience := c.cfg.Patience
	if d, ok := ctx.Value(patienceKey{}).(time.Duration); ok {
		patience = d
	}
	started := time.Now()
	for {
		permit, wait, err := c.cfg.Budget.Acquire(ctx, LaneOf(ctx), call.Limits, c.cfg.Timeout+10*time.Second)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, stopped(ctx)
		case err != nil:
			return nil, &domain.Error{Code: domain.Unavailable, Message: "the budget cannot be read, so the vendor was not called", Err: errors.Join(ErrNotSent, err)}
		case wait <= 0:
			return permit, nil
		case time.Since(started)+wait > patience:
			return nil, &domain.Error{Code: domain.RateLimited, RetryAfter: wait, Err: ErrBudget,
				Message: fmt.Sprintf("the budget has no call left for %s; the vendor was not called", wait.Round(time.Millisecond))}
		}
		// A little chance keeps waiters from asking all at once.
		t := time.NewTimer(wait + rand.N(min(wait, 20*time.Millisecond)))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, stopped(ctx)
		}
	}
}

func stopped(ctx context.Context) error {
	return &domain.Error{Code: domain.Unavailable, Message: "stopped before the vendor was called", Err: errors.Join(ErrNotSent, context.Cause(ctx))}
}

type unlimited struct{}

func (unlimited) Done(context.Context, Usage) error { return nil }

// refused reports whether the vendor refuses the token.
func (c *Client) refused(r *adapters.Response) bool {
	return domain.CodeOf(c.classify(r)) == domain.Unauthorized
}

// judge turns the answer into an error unless the call wants to see its status.
func (c *Client) judge(call adapters.Call, resp *adapters.Response) (*adapters.Response, error) {
	if slices.Contains(call.Accept, resp.Status) && c.meaning(resp) == "" {
		return resp, nil
	}
	if err := c.classify(resp); err != nil {
		return nil, err
	}
	return resp, nil
}
