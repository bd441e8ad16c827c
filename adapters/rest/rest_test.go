package rest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/domain"
)

var (
	read      = adapters.Call{Method: "GET", Path: "/a"}
	write     = adapters.Call{Method: "POST", Path: "/a", Body: []byte(`{}`), Write: true}
	safeWrite = adapters.Call{Method: "POST", Path: "/a", Body: []byte(`{}`), Write: true, Safe: true}
)

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func client(t *testing.T, cfg rest.Config) *rest.Client {
	t.Helper()
	cfg.System = "crm"
	tr := rest.NewTransport()
	t.Cleanup(tr.CloseIdleConnections)
	cfg.Transport = tr
	c, err := rest.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		status     int
		retryAfter string
		code       domain.Code
		wait       time.Duration
	}{
		{200, "", "", 0}, {201, "", "", 0}, {204, "", "", 0}, {207, "", "", 0},
		{301, "", domain.Invalid, 0}, {302, "", domain.Invalid, 0},
		{400, "", domain.Invalid, 0}, {401, "", domain.Unauthorized, 0}, {403, "", domain.Forbidden, 0}, {404, "", domain.NotFound, 0},
		{408, "", domain.Unavailable, 0}, {409, "", domain.Conflict, 0}, {410, "", domain.NotFound, 0}, {412, "", domain.Conflict, 0}, {422, "", domain.Invalid, 0},
		{423, "2", domain.Unavailable, 2 * time.Second}, {425, "", domain.Unavailable, 0},
		{429, "", domain.RateLimited, 0}, {429, "7", domain.RateLimited, 7 * time.Second}, {429, "0.5", domain.RateLimited, 500 * time.Millisecond},
		{429, "Sun, 01 Mar 2026 09:01:30 GMT", domain.RateLimited, 90 * time.Second}, {429, "Sun, 01 Mar 2026 08:00:00 GMT", domain.RateLimited, 0},
		{429, "soon", domain.RateLimited, 0}, {429, "-3", domain.RateLimited, 0}, {429, "99999999", domain.RateLimited, 24 * time.Hour},
		{500, "", domain.Unavailable, 0}, {502, "", domain.Unavailable, 0}, {503, "3", domain.Unavailable, 3 * time.Second}, {504, "", domain.Unavailable, 0},
		{418, "", domain.Invalid, 0},
	} {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if c.retryAfter != "" {
				w.Header().Set("Retry-After", c.retryAfter)
			}
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.status)
			if c.status != 204 {
				io.WriteString(w, `{"message":"body-canary"}`)
			}
		})
		cl := client(t, rest.Config{BaseURL: url, Now: func() time.Time { return now }})
		call := adapters.Call{Method: "GET", Path: "/a?q=query-canary", Header: http.Header{"X-Secret": {"header-canary"}}}
		resp, err := cl.Do(t.Context(), call)
		if domain.CodeOf(err) != c.code {
			t.Errorf("%d: %v, want %q", c.status, err, c.code)
			continue
		}
		if c.code == "" {
			if resp.Status != c.status || !resp.SentAt.Equal(now) {
				t.Errorf("%d: response %d sent at %s", c.status, resp.Status, resp.SentAt)
			}
			continue
		}
		e := domain.AsError(err)
		if e.RetryAfter != c.wait {
			t.Errorf("%d %q: retry after %s, want %s", c.status, c.retryAfter, e.RetryAfter, c.wait)
		}
		if e.System != "crm" || e.Op != "GET /a" || strings.Contains(err.Error(), "canary") {
			t.Errorf("%d: error %q", c.status, err)
		}
		call.Accept = []int{c.status}
		if resp, err := cl.Do(t.Context(), call); err != nil || resp.Status != c.status || !strings.Contains(string(resp.Body), "message") {
			t.Errorf("%d accepted: %v", c.status, err)
		}
	}
}

// TestLostAnswers: what a failure without an answer means depends on whether the request was sent and may be repeated.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	hang := func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() }
	reset := func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); panic(http.ErrAbortHandler) }
	half := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "{")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + l.Addr().String()
	l.Close()
	for name, c := range map[string]struct {
		url  string
		code domain.Code // of a write that is not safe to repeat
	}{
		"no connection": {nobody, domain.Unavailable},
		"no answer":     {serve(t, hang), domain.Unknown},
		"reset":         {serve(t, reset), domain.Unknown},
		"half a body":   {serve(t, half), domain.Unknown},
	} {
		cl := client(t, rest.Config{BaseURL: c.url, Timeout: 100 * time.Millisecond})
		for _, x := range []struct {
			call adapters.Call
			code domain.Code
		}{{read, domain.Unavailable}, {safeWrite, domain.Unavailable}, {write, c.code}} {
			if _, err := cl.Do(t.Context(), x.call); domain.CodeOf(err) != x.code {
				t.Errorf("%s, write %v, safe %v: %v, want %s", name, x.call.Write, x.call.Safe, err, x.code)
			} else if strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("%s: the error shows the URL: %v", name, err)
			}
		}
	}
}

// TestWritesAreSentOnce: the transport does not repeat a write by itself, not even on a reused connection.
func TestWritesAreSentOnce(t *testing.T) {
	t.Parallel()
	var posts atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == "POST" && posts.Add(1) == 2 {
			panic(http.ErrAbortHandler)
		}
	})
	cl := client(t, rest.Config{BaseURL: url})
	call := write
	call.Header = http.Header{"Idempotency-Key": {"k"}} // by which net/http thinks it may
	if _, err := cl.Do(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	if _, err := cl.Do(t.Context(), call); domain.CodeOf(err) != domain.Unknown {
		t.Errorf("the reset write: %v", err)
	}
	if n := posts.Load(); n != 2 {
		t.Errorf("the vendor saw %d writes, want 2", n)
	}
}

func TestCancelIsPrompt(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 1)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		reached <- struct{}{}
		<-r.Context().Done()
	})
	cl := client(t, rest.Config{BaseURL: url, Timeout: time.Minute})
	for _, call := range []adapters.Call{read, write} {
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan error, 1)
		go func() { _, err := cl.Do(ctx, call); got <- err }()
		<-reached
		cancel()
		select {
		case err := <-got:
			want := domain.Unavailable
			if call.Write {
				want = domain.Unknown
			}
			if !errors.Is(err, context.Canceled) || domain.CodeOf(err) != want {
				t.Errorf("cancelled: %v", err)
			}
		case <-time.After(time.Minute):
			t.Fatal("cancelling did not end the call")
		}
	}
}

// never is a budget without calls.
type never struct{ asked atomic.Int32 }

func (n *never) Acquire(context.Context, rest.Lane, []string, time.Duration) (rest.Permit, time.Duration, error) {
	n.asked.Add(1)
	return nil, 50 * time.Millisecond, nil
}

func TestPatience(t *testing.T) {
	t.Parallel()
	b := &never{}
	cl := client(t, rest.Config{BaseURL: serve(t, func(http.ResponseWriter, *http.Request) { t.Error("the vendor was called") }), Budget: b})
	_, err := cl.Do(rest.WithPatience(t.Context(), 0), read)
	if e := domain.AsError(err); !errors.Is(err, rest.ErrBudget) || e.Code != domain.RateLimited || e.RetryAfter != 50*time.Millisecond || b.asked.Load() != 1 {
		t.Errorf("no patience: %v after asking %d times", err, b.asked.Load())
	}
	_, err = cl.Do(rest.WithPatience(t.Context(), 200*time.Millisecond), read)
	if n := b.asked.Load(); !errors.Is(err, rest.ErrBudget) || n < 3 || n > 6 {
		t.Errorf("a little patience: %v after asking %d times", err, n-1)
	}
	ctx, cancel := context.WithCancel(rest.WithPatience(t.Context(), time.Minute))
	got := make(chan error, 1)
	go func() { _, err := cl.Do(ctx, read); got <- err }()
	cancel()
	select {
	case err := <-got:
		if !errors.Is(err, context.Canceled) || domain.CodeOf(err) != domain.Unavailable {
			t.Errorf("cancelled while waiting: %v", err)
		}
	case <-time.After(time.Minute):
		t.Fatal("cancelling did not end the wait")
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	var healthy atomic.Bool
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		switch {
		case r.URL.Path == "/no":
			w.WriteHeader(400)
		case !healthy.Load():
			w.WriteHeader(503)
		}
	})
	cl := client(t, rest.Config{BaseURL: url, Trip: 3, OpenFor: 200 * time.Millisecond})
	for range 10 {
		_, _ = cl.Do(t.Context(), adapters.Call{Method: "GET", Path: "/no"}) // a vendor that says no is not down
	}
	for range 20 {
		if _, err := cl.Do(t.Context(), read); domain.CodeOf(err) != domain.Unavailable {
			t.Fatal(err)
		}
	}
	if n := calls.Load(); n != 13 {
		t.Errorf("%d calls reached a vendor that is down, want 10 and 3", n)
	}
	_, err := cl.Do(t.Context(), read)
	if e := domain.AsError(err); e.RetryAfter <= 0 {
		t.Errorf("an open breaker must say when to come back: %v", err)
	}
	healthy.Store(true)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		if _, err := cl.Do(t.Context(), read); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the breaker stays open although the vendor is back")
		}
	}
}

func TestLargeAnswers(t *testing.T) {
	t.Parallel()
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		// A small answer on the wire that is 21 MB when unpacked.
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		block := bytes.Repeat([]byte("a"), 1<<20)
		for range 21 {
			_, _ = z.Write(block)
		}
		z.Close()
	})
	cl := client(t, rest.Config{BaseURL: url})
	for _, c := range []struct {
		call adapters.Call
		code domain.Code
	}{{read, domain.Invalid}, {write, domain.Unknown}} {
		if _, err := cl.Do(t.Context(), c.call); domain.CodeOf(err) != c.code {
			t.Errorf("write %v: %v, want %s", c.call.Write, err, c.code)
		}
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	var got http.Header
	url := serve(t, func(w http.ResponseWriter, r *http.Request) { got = r.Header.Clone() })
	cl := client(t, rest.Config{BaseURL: url + "/", Auth: fixed("tok"), Log: slog.New(slog.DiscardHandler)})
	if _, err := cl.Do(t.Context(), adapters.Call{Method: "POST", Path: "/a", Body: []byte(`{}`), Header: http.Header{"Accept": {"text/plain"}, "xero-tenant-id": {"t1"}}}); err != nil {
		t.Fatal(err)
	}
	for k, want := range map[string]string{"Authorization": "Bearer tok", "Accept": "text/plain", "Content-Type": "application/json",
		"User-Agent": "Datum/1", "Xero-Tenant-Id": "t1", "Accept-Encoding": "gzip"} {
		if got.Get(k) != want {
			t.Errorf("%s is %q, want %q", k, got.Get(k), want)
		}
	}
	// A path that is not one could send the token to another host.
	if _, err := cl.Do(t.Context(), adapters.Call{Method: "GET", Path: "@evil.example/"}); domain.CodeOf(err) != domain.Internal {
		t.Errorf("a path without slash: %v", err)
	}
	for _, base := range []string{"", "crm", "ftp://x", "http://", "https://u:p@x", "https://x?y=1"} {
		if _, err := rest.New(rest.Config{System: "crm", BaseURL: base}); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("base URL %q: %v", base, err)
		}
	}
}

// fixed is a token that cannot be renewed.
type fixed string

func (f fixed) Token(context.Context) (string, error)           { return string(f), nil }
func (f fixed) Refresh(context.Context, string) (string, error) { return string(f), nil }
func (f fixed) Reject(context.Context, string, string) error    { return nil }

func TestOAuth(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		status int
		body   string
		code   domain.Code
		lost   bool // a person must authorise again
	}{
		"good":            {200, `{"access_token":"a1","refresh_token":"r1","expires_in":1800}`, "", false},
		"expires as text": {200, `{"access_token":"a1","refresh_token":"r1","expires_in":"1800"}`, "", false},
		"invalid grant":   {400, `{"error":"invalid_grant","error_description":"canary"}`, domain.Unauthorized, true},
		"invalid client":  {401, `{"error":"invalid_client"}`, domain.Unauthorized, true},
		"hubspot's words": {400, `{"status":"BAD_REFRESH_TOKEN","message":"canary"}`, domain.Unauthorized, true},
		"other refusal":   {400, `{"error":"invalid_request"}`, domain.Unavailable, false},
		"not json":        {200, `<html>canary`, domain.Unavailable, false},
		"no token":        {200, `{}`, domain.Unavailable, false},
		"too often":       {429, ``, domain.RateLimited, false},
		"down":            {503, `canary`, domain.Unavailable, false},
		"redirected":      {302, ``, domain.Unavailable, false},
	} {
		for _, basic := range []bool{true, false} {
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				id, secret, ok := r.BasicAuth()
				if !basic {
					id, secret, ok = r.PostFormValue("client_id"), r.PostFormValue("client_secret"), true
				} else if r.PostFormValue("client_secret") != "" {
					t.Error("the secret is in the body although Basic is used")
				}
				if !ok || id != "id" || secret != "secret" || r.PostFormValue("refresh_token") != "r0" || r.PostFormValue("grant_type") != "refresh_token" {
					t.Errorf("%s: request %v by %s", name, r.PostForm, id)
				}
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				io.WriteString(w, c.body)
			})
			o := rest.OAuth{Endpoints: adapters.OAuth{TokenURL: url, BasicAuth: basic}, Now: func() time.Time { return now }}
			tk, err := o.Refresh(t.Context(), "id", "secret", "r0")
			if domain.CodeOf(err) != c.code || errors.Is(err, rest.ErrInvalidGrant) != c.lost {
				t.Errorf("%s: %v", name, err)
			}
			if err != nil && (strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "secret")) {
				t.Errorf("%s: the error shows what it must not: %v", name, err)
			}
			if err == nil && (tk.AccessToken != "a1" || tk.RefreshToken != "r1" || !tk.ExpiresAt.Equal(now.Add(30*time.Minute))) {
				t.Errorf("%s: expires %s", name, tk.ExpiresAt)
			}
		}
	}
}

// TestMeaning: a vendor's own header carries the token, and its own reading of an answer wins over the status.
func TestMeaning(t *testing.T) {
	t.Parallel()
	meaning := func(r *adapters.Response) domain.Code {
		switch string(r.Body) {
		case "bad key":
			return domain.Unauthorized
		case "too many":
			return domain.RateLimited
		}
		return ""
	}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Key") != "secret-token" || r.Header.Get("Authorization") != "" {
			t.Errorf("the token is in %q and %q", r.Header.Get("X-Key"), r.Header.Get("Authorization"))
		}
		status, err := strconv.Atoi(r.URL.Query().Get("status"))
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, r.URL.Query().Get("body"))
	})
	for _, c := range []struct {
		status   int
		body     string
		code     domain.Code
		rejected bool
	}{
		{403, "bad key", domain.Unauthorized, true}, {403, "no", domain.Forbidden, false}, {200, "too many", domain.RateLimited, false},
		{503, "too many", domain.RateLimited, false}, {503, "down", domain.Unavailable, false}, {200, "fine", "", false},
	} {
		auth := &keyed{}
		cl := client(t, rest.Config{BaseURL: url, Auth: auth, TokenHeader: "X-Key", Meaning: meaning})
		q := "/a?status=" + strconv.Itoa(c.status) + "&body=" + strings.ReplaceAll(c.body, " ", "%20")
		for _, accept := range [][]int{nil, {c.status}} {
			_, err := cl.Do(t.Context(), adapters.Call{Method: "GET", Path: q, Accept: accept})
			want := c.code
			if accept != nil && meaning(&adapters.Response{Body: []byte(c.body)}) == "" {
				want = ""
			}
			if domain.CodeOf(err) != want || auth.rejected != c.rejected {
				t.Errorf("%d %q, accepting %v: %v, rejected %v; want %q", c.status, c.body, accept, err, auth.rejected, want)
			}
		}
	}
}

// keyed is a token that cannot be renewed.
type keyed struct{ rejected bool }

func (k *keyed) Token(context.Context) (string, error)                  { return "secret-token", nil }
func (k *keyed) Refresh(_ context.Context, used string) (string, error) { return used, nil }
func (k *keyed) Reject(context.Context, string, string) error           { k.rejected = true; return nil }

type fixedToken string

func (f fixedToken) Token(context.Context) (string, error)           { return string(f), nil }
func (f fixedToken) Refresh(context.Context, string) (string, error) { return string(f), nil }
func (f fixedToken) Reject(context.Context, string, string) error    { return nil }

type lastExchange struct{ x rest.Exchange }

func (l *lastExchange) Log(x rest.Exchange) { l.x = x }

// TestElsewhere: a file at an address that the vendor names is read without the account's token, its key is not logged, and
// no other scheme or host is called in the clear.
func TestElsewhere(t *testing.T) {
	t.Parallel()
	var seen http.Header
	store := serve(t, func(w http.ResponseWriter, r *http.Request) { seen = r.Header.Clone(); io.WriteString(w, "line\n") })
	log := &lastExchange{}
	cl := client(t, rest.Config{BaseURL: store, Auth: fixedToken("token-canary"), Exchanges: log})
	resp, err := cl.Do(t.Context(), adapters.Call{Method: "GET", URL: store + "/bulk/1?token=key-canary"})
	if err != nil || string(resp.Body) != "line\n" {
		t.Fatalf("%v", err)
	}
	if seen.Get("Authorization") != "" {
		t.Error("the account's token was sent")
	}
	if strings.Contains(log.x.Path, "canary") || !strings.HasSuffix(log.x.Path, "/bulk/1") {
		t.Errorf("logged as %q", log.x.Path)
	}
	other := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("another host was called in the clear") })
	for _, bad := range []adapters.Call{{Method: "GET", URL: other + "/f"}, {Method: "GET", URL: "file:///etc/passwd"}, {Method: "GET", URL: "https://user:pw@x.example/f"},
		{Method: "POST", URL: store + "/f", Write: true}, {Method: "GET", URL: "::"}} {
		if _, err := cl.Do(t.Context(), bad); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%s: %v", bad.URL, err)
		}
	}
}
