package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/adapters/sim"
	"datum/domain"
	"datum/domain/store"
	"datum/internal/pgtest"
	"datum/internal/vault"
	"datum/jobs"
)

// vendorServer is a small vendor: rotating tokens at /token, one resource at /thing.
type vendorServer struct {
	*httptest.Server
	mu        sync.Mutex
	n         int // tokens given
	refreshes int
	reused    int // refresh tokens shown after they were rotated: a real vendor revokes the family
	revoked   bool
	limited   int
	calls     int
	first     time.Time
	last      time.Time
	window    *sim.Window
	delay     time.Duration // of an answer
	renewal   time.Duration // of a token: long enough for everybody to want one
	atOnce    int
	most      int
}

func newVendorServer(t *testing.T) *vendorServer {
	v := &vendorServer{}
	v.Server = httptest.NewServer(v)
	t.Cleanup(v.Close)
	return v
}

func (v *vendorServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/token" {
		v.token(w, r)
		return
	}
	v.mu.Lock()
	v.calls++
	good := r.Header.Get("Authorization") == "Bearer access-"+strconv.Itoa(v.n) && !v.revoked
	v.last = time.Now()
	if v.first.IsZero() {
		v.first = v.last
	}
	v.atOnce++
	v.most = max(v.most, v.atOnce)
	v.mu.Unlock()
	defer func() {
		v.mu.Lock()
		v.atOnce--
		v.mu.Unlock()
	}()
	if v.delay > 0 {
		select {
		case <-time.After(v.delay): // the vendor's own working time
		case <-r.Context().Done():
		}
	}
	w.Header().Set("Content-Type", "application/json")
	if v.window != nil {
		ok, remaining, _ := v.window.Take(time.Now())
		w.Header().Set("X-Remaining", strconv.Itoa(remaining))
		if !ok {
			v.mu.Lock()
			v.limited++
			v.mu.Unlock()
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
	}
	if !good {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	body, _ := io.ReadAll(r.Body)
	if len(body) == 0 {
		body = []byte(`{"name":"Hartley"}`)
	}
	w.Write(body)
}

func (v *vendorServer) token(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm()
	time.Sleep(v.renewal)
	v.mu.Lock()
	defer v.mu.Unlock()
	if r.PostForm.Get("refresh_token") != "refresh-"+strconv.Itoa(v.n) || v.revoked {
		v.reused++
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, `{"error":"invalid_grant"}`)
		return
	}
	v.n++
	v.refreshes++
	fmt.Fprintf(w, `{"access_token":"access-%d","refresh_token":"refresh-%d","expires_in":1800}`, v.n, v.n)
}

func (v *vendorServer) vendor(limits ...adapters.Limit) adapters.Vendor {
	return adapters.Vendor{Name: "small", Auth: adapters.AuthOAuth2, OAuth: &adapters.OAuth{TokenURL: v.URL + "/token"}, Limits: limits,
		ReadLimits: func(h http.Header) []adapters.LimitReading {
			n, err := strconv.Atoi(h.Get("X-Remaining"))
			if err != nil {
				return nil
			}
			return []adapters.LimitReading{{Name: "window", Remaining: n}}
		}}
}

func sealer(t *testing.T) *vault.Vault {
	t.Helper()
	v, err := vault.Parse(vault.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func put(t *testing.T, pool *pgxpool.Pool, s store.Sealer, c store.Credential) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), `INSERT INTO systems (name, adapter) VALUES ('acc', 'test') ON CONFLICT DO NOTHING`); err != nil {
		t.Fatal(err)
	}
	if err := store.PutCredential(t.Context(), pool, s, "acc", c); err != nil {
		t.Fatal(err)
	}
}

// another returns a second pool on the same database: another process as far as Datum can tell.
func another(t *testing.T, pool *pgxpool.Pool) *pgxpool.Pool {
	t.Helper()
	p, err := pgxpool.NewWithConfig(t.Context(), pool.Config())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

// process enters a process and keeps it alive until the test ends.
func process(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	p := store.NewProcess("test", os.Getpid())
	beat := func() {
		if err := store.Heartbeat(t.Context(), pool, p); err != nil && t.Context().Err() == nil {
			t.Error(err)
		}
	}
	beat()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				beat()
			case <-stop:
				return
			}
		}
	})
	t.Cleanup(func() { close(stop); wg.Wait() })
	return p.ID
}

func open(t *testing.T, cfg jobs.SessionConfig, v *vendorServer, vendor adapters.Vendor) adapters.Session {
	t.Helper()
	s, err := jobs.OpenSession(t.Context(), cfg, "acc", v.URL, vendor, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var get = adapters.Call{Method: "GET", Path: "/thing"}

// TestOneRefresh: 16 workers in each of 3 processes against an expired token are one refresh, whether they know that it
// has expired or learn it from a 401.
func TestOneRefresh(t *testing.T) {
	t.Parallel()
	for name, expires := range map[string]time.Time{"known to be expired": time.Now().Add(-time.Hour), "refused by the vendor": time.Now().Add(time.Hour)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, pool, s := newVendorServer(t), pgtest.New(t), sealer(t)
			v.renewal = 300 * time.Millisecond
			put(t, pool, s, store.Credential{ClientID: "id", ClientSecret: "secret", AccessToken: "access-expired", RefreshToken: "refresh-0", ExpiresAt: expires})
			var wg sync.WaitGroup
			for range 3 {
				p := another(t, pool)
				sess := open(t, jobs.SessionConfig{Pool: p, Sealer: s, Process: "p"}, v, v.vendor())
				for range 16 {
					wg.Go(func() {
						if _, err := sess.HTTP.Do(t.Context(), get); err != nil {
							t.Error(err)
						}
					})
				}
			}
			wg.Wait()
			if v.refreshes != 1 || v.reused != 0 {
				t.Errorf("%d refreshes, %d with a token already used; want 1 and 0", v.refreshes, v.reused)
			}
			c, err := store.GetCredential(t.Context(), pool, s, "acc")
			if err != nil || c.RefreshToken != "refresh-1" || c.AccessToken != "access-1" || c.AuthState.Refreshes != 1 {
				t.Errorf("stored after the refresh: %+v, %v", c.AuthState, err)
			}
		})
	}
}

// TestNeedsReauth: a revoked account parks with a reason, costs no further vendor calls, and works again as soon as
// somebody has authorised it, in every process.
func TestNeedsReauth(t *testing.T) {
	t.Parallel()
	v, pool, s := newVendorServer(t), pgtest.New(t), sealer(t)
	put(t, pool, s, store.Credential{AccessToken: "access-0", RefreshToken: "refresh-0", ExpiresAt: time.Now().Add(time.Hour)})
	sess := open(t, jobs.SessionConfig{Pool: pool, Sealer: s, Process: "p"}, v, v.vendor())
	other := open(t, jobs.SessionConfig{Pool: another(t, pool), Sealer: s, Process: "q"}, v, v.vendor())
	if _, err := sess.HTTP.Do(t.Context(), get); err != nil {
		t.Fatal(err)
	}
	v.mu.Lock()
	v.revoked = true
	v.mu.Unlock()
	if _, err := sess.HTTP.Do(t.Context(), get); domain.CodeOf(err) != domain.Unauthorized {
		t.Fatalf("revoked: %v", err)
	}
	as, err := store.AuthStates(t.Context(), pool)
	if err != nil || len(as) != 1 || as[0].Status != store.AuthNeedsReauth || as[0].Reason == "" || as[0].Since.IsZero() {
		t.Fatalf("state: %+v, %v", as, err)
	}
	calls, reused := v.calls, v.reused
	for _, x := range []adapters.Session{sess, other} {
		if _, err := x.HTTP.Do(t.Context(), get); domain.CodeOf(err) != domain.Unauthorized {
			t.Errorf("parked: %v", err)
		}
	}
	if v.calls != calls || v.reused != reused {
		t.Errorf("a parked system still calls the vendor: %d calls, %d refreshes", v.calls-calls, v.reused-reused)
	}
	v.mu.Lock()
	v.revoked, v.n = false, 7
	v.mu.Unlock()
	put(t, pool, s, store.Credential{AccessToken: "access-7", RefreshToken: "refresh-7", ExpiresAt: time.Now().Add(time.Hour)})
	for _, x := range []adapters.Session{sess, other} {
		if _, err := x.HTTP.Do(t.Context(), get); err != nil {
			t.Errorf("authorised again: %v", err)
		}
	}
}

// TestGrantRefusedButRenewedElsewhere: invalid_grant for a pair that somebody has replaced meanwhile is not a lost account.
func TestGrantRefusedButRenewedElsewhere(t *testing.T) {
	t.Parallel()
	pool, s := pgtest.New(t), sealer(t)
	put(t, pool, s, store.Credential{AccessToken: "old", RefreshToken: "r0"})
	c, err := store.RefreshCredential(t.Context(), pool, s, "acc", "old", func(ctx context.Context, c store.Credential) (store.Credential, error) {
		// The lock is lost as when the server ends an idle transaction, and another process renews.
		if _, err := pool.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`); err != nil {
			return c, err
		}
		put(t, pool, s, store.Credential{AccessToken: "new", RefreshToken: "r1"})
		return c, store.ErrGrantInvalid
	})
	if err != nil || c.AccessToken != "new" {
		t.Errorf("got %q, %v", c.AccessToken, err)
	}
}

// TestRotatedPairIsNotLost: the vendor has rotated and the transaction dies before it commits.
func TestRotatedPairIsNotLost(t *testing.T) {
	t.Parallel()
	pool, s := pgtest.New(t), sealer(t)
	put(t, pool, s, store.Credential{AccessToken: "old", RefreshToken: "r0"})
	_, err := store.RefreshCredential(t.Context(), pool, s, "acc", "old", func(ctx context.Context, c store.Credential) (store.Credential, error) {
		c.AccessToken, c.RefreshToken = "new", "r1"
		_, err := pool.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`)
		return c, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if c, err := store.GetCredential(t.Context(), pool, s, "acc"); err != nil || c.RefreshToken != "r1" {
		t.Errorf("the rotated pair is lost: %v", err)
	}
}

// TestRefreshSurvivesItsCaller: the caller goes away while the vendor rotates; the new pair is stored all the same.
func TestRefreshSurvivesItsCaller(t *testing.T) {
	t.Parallel()
	v, pool, s := newVendorServer(t), pgtest.New(t), sealer(t)
	put(t, pool, s, store.Credential{AccessToken: "x", RefreshToken: "refresh-0", ExpiresAt: time.Now().Add(-time.Hour)})
	reached, release := make(chan struct{}), make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(reached)
		<-release
		v.ServeHTTP(w, r)
	}))
	t.Cleanup(slow.Close)
	vendor := v.vendor()
	vendor.OAuth.TokenURL = slow.URL + "/token"
	sess := open(t, jobs.SessionConfig{Pool: pool, Sealer: s, Process: "p"}, v, vendor)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 1)
	go func() { _, err := sess.HTTP.Do(ctx, get); failed <- err }()
	<-reached
	cancel()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller got %v", err)
	}
	close(release)
	eventually(t, 5*time.Second, "the rotated pair is kept", func() (bool, any) {
		c, err := store.GetCredential(t.Context(), pool, s, "acc")
		return err == nil && c.RefreshToken == "refresh-1", err
	})
}

// TestSteadyState: three processes with a backlog against a vendor that counts truly: no 429, never too many at once. How
// much of the limit they use is measured by TestBudgetUse, whose clock does not depend on the machine, and TestDrillBudget.
func TestSteadyState(t *testing.T) {
	t.Parallel()
	const calls, per, atOnce = 60, 3 * time.Second, 5
	v, pool, s := newVendorServer(t), pgtest.New(t), sealer(t)
	v.window, v.delay = sim.NewWindow(calls, per), 10*time.Millisecond
	put(t, pool, s, store.Credential{AccessToken: "access-0", RefreshToken: "refresh-0"})
	vendor := v.vendor(adapters.Limit{Name: "window", Calls: calls, Per: per}, adapters.Limit{Name: "concurrent", Calls: atOnce})
	const long = 3*per - per/6 // three bursts and most of the time until the fourth
	ctx, cancel := context.WithTimeout(t.Context(), long)
	defer cancel()
	ctx = rest.WithPatience(ctx, time.Minute)
	var wg sync.WaitGroup
	for i := range 3 {
		p := another(t, pool)
		sess := open(t, jobs.SessionConfig{Pool: p, Sealer: s, Process: process(t, p)}, v, vendor)
		for range 6 {
			wg.Go(func() {
				ctx := rest.WithLane(ctx, []rest.Lane{rest.LaneLive, rest.LaneBulk, rest.LaneSweep}[i])
				for ctx.Err() == nil {
					if _, err := sess.HTTP.Do(ctx, get); err != nil && ctx.Err() == nil {
						t.Error(err)
						return
					}
				}
			})
		}
	}
	wg.Wait()
	if v.limited > 0 {
		t.Errorf("%d answers were 429", v.limited)
	}
	if v.most > atOnce {
		t.Errorf("%d calls at once; the limit is %d", v.most, atOnce)
	}
	if v.calls <= 2*calls {
		t.Errorf("%d calls in the time of three windows of %d", v.calls, calls)
	}
	t.Logf("%d calls of %d allowed, at most %d at once", v.calls, 3*calls, v.most)
}

// TestBudgetRefusal: a long wait is told apart from the vendor's own 429 and costs no call.
func TestBudgetRefusal(t *testing.T) {
	t.Parallel()
	v, pool, s := newVendorServer(t), pgtest.New(t), sealer(t)
	put(t, pool, s, store.Credential{AccessToken: "access-0"})
	sess := open(t, jobs.SessionConfig{Pool: pool, Sealer: s, Process: process(t, pool)}, v, v.vendor(adapters.Limit{Name: "window", Calls: 1, Per: time.Minute}))
	if _, err := sess.HTTP.Do(t.Context(), get); err != nil {
		t.Fatal(err)
	}
	_, err := sess.HTTP.Do(t.Context(), get)
	e := domain.AsError(err)
	if e == nil || e.Code != domain.RateLimited || !errors.Is(err, rest.ErrBudget) || e.RetryAfter < 50*time.Second || e.RetryAfter > 65*time.Second {
		t.Errorf("got %v, retry after %v", err, e)
	}
	if v.calls != 1 {
		t.Errorf("%d calls reached the vendor, want 1", v.calls)
	}
}

// TestVendorLimits: the vendor's 429 stops every process until Retry-After.
func TestVendorLimits(t *testing.T) {
	t.Parallel()
	pool, s := pgtest.New(t), sealer(t)
	v := newVendorServer(t)
	limited := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
	}))
	t.Cleanup(limited.Close)
	put(t, pool, s, store.Credential{AccessToken: "access-0"})
	vendor := v.vendor(adapters.Limit{Name: "window", Calls: 100, Per: time.Minute})
	a, err := jobs.OpenSession(t.Context(), jobs.SessionConfig{Pool: pool, Sealer: s, Process: "p"}, "acc", limited.URL, vendor, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = a.HTTP.Do(t.Context(), get)
	if e := domain.AsError(err); e == nil || e.Code != domain.RateLimited || e.RetryAfter != 30*time.Second || errors.Is(err, rest.ErrBudget) {
		t.Errorf("the vendor's 429: %v", err)
	}
	b := open(t, jobs.SessionConfig{Pool: another(t, pool), Sealer: s, Process: "q"}, v, vendor)
	_, err = b.HTTP.Do(t.Context(), get)
	if e := domain.AsError(err); !errors.Is(err, rest.ErrBudget) || e.RetryAfter < 25*time.Second || v.calls > 0 {
		t.Errorf("another process: %v, %d calls", err, v.calls)
	}
}

// TestExchanges: what is logged is found by its correlation, holds no secret, and is not lost on shutdown.
func TestExchanges(t *testing.T) {
	t.Parallel()
	v, pool, s := newVendorServer(t), pgtest.New(t), sealer(t)
	const canary = "whk-canary-4711"
	put(t, pool, s, store.Credential{ClientID: "id", ClientSecret: "cs-canary-0815", AccessToken: "access-0", RefreshToken: "refresh-canary", WebhookSecrets: []string{canary}})
	var logged bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	w := jobs.NewExchangeWriter(pool, log)
	sess := open(t, jobs.SessionConfig{Pool: pool, Sealer: s, Process: "p", Exchanges: w, Log: log}, v, v.vendor())
	body, _ := json.Marshal(map[string]any{"name": "O'Brien", "password": "pw-canary", "nested": []any{map[string]any{"apiKey": "ak-canary"}}, "note": "access-0 " + canary})
	ctx := domain.WithCorrelations(t.Context(), []string{"cor-1", "cor-2", "", "cor-1", "cor-3"}) // a batch of four
	_, err := sess.HTTP.Do(ctx, adapters.Call{Method: "POST", Path: "/thing?name=Hartley&access_token=qs-canary", Body: body, Write: true,
		Header: http.Header{"X-Private": {"hdr-canary"}, "Idempotency-Key": {"k1"}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	xs, err := store.Exchanges(t.Context(), pool, store.ExchangeFilter{CorrelationID: "cor-1"})
	if err != nil || len(xs) != 1 {
		t.Fatalf("%d exchanges, %v", len(xs), err)
	}
	x := xs[0]
	if x.System != "acc" || x.Method != "POST" || x.Status != 200 || x.SentAt.IsZero() || x.RequestHeader["Idempotency-Key"] != "k1" ||
		!strings.Contains(x.RequestBody, "O'Brien") || !strings.Contains(x.ResponseBody, "O'Brien") || !strings.Contains(x.Path, "name=Hartley") {
		t.Errorf("exchange: %+v", x)
	}
	all, _ := json.Marshal(x)
	for _, text := range []string{string(all), logged.String()} {
		for _, secret := range []string{"access-0", canary, "cs-canary-0815", "refresh-canary", "pw-canary", "ak-canary", "qs-canary", "hdr-canary"} {
			if strings.Contains(text, secret) {
				t.Errorf("%s is in %s", secret, text)
			}
		}
	}
	if strings.Contains(logged.String(), "Hartley") || strings.Contains(logged.String(), "O'Brien") {
		t.Errorf("personal data in the log: %s", &logged)
	}
	for cause, want := range map[string]int{"cor-2": 1, "cor-3": 1, "cor-4": 0} {
		if xs, err := store.Exchanges(t.Context(), pool, store.ExchangeFilter{CorrelationID: cause}); err != nil || len(xs) != want {
			t.Errorf("%d exchanges for %s, want %d (%v)", len(xs), cause, want, err)
		}
	}
}

// TestStaticToken: a rejected static token parks the system; a replaced one is picked up.
func TestStaticToken(t *testing.T) {
	t.Parallel()
	v, pool, s := newVendorServer(t), pgtest.New(t), sealer(t)
	put(t, pool, s, store.Credential{AccessToken: "wrong"})
	vendor := v.vendor()
	vendor.Auth, vendor.OAuth = adapters.AuthToken, nil
	sess := open(t, jobs.SessionConfig{Pool: pool, Sealer: s, Process: "p"}, v, vendor)
	if _, err := sess.HTTP.Do(t.Context(), get); domain.CodeOf(err) != domain.Unauthorized {
		t.Fatalf("a wrong token: %v", err)
	}
	calls := v.calls
	if _, err := sess.HTTP.Do(t.Context(), get); domain.CodeOf(err) != domain.Unauthorized || v.calls != calls {
		t.Fatalf("parked: %v, %d more calls", err, v.calls-calls)
	}
	put(t, pool, s, store.Credential{AccessToken: "access-0"})
	if _, err := sess.HTTP.Do(t.Context(), get); err != nil {
		t.Fatalf("replaced: %v", err)
	}
	put(t, pool, s, store.Credential{AccessToken: "access-1"})
	v.mu.Lock()
	v.n = 1
	v.mu.Unlock()
	if _, err := sess.HTTP.Do(t.Context(), get); err != nil {
		t.Fatalf("rotated under us: %v", err)
	}
}
