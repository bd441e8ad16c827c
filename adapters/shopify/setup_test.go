package shopify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/adapters/shopify"
	"datum/adapters/shopifysim"
	"datum/domain"
)

// bench is one shop with one adapter connected to it. The shop's clock stands still until tick.
type bench struct {
	t      *testing.T
	sim    *shopifysim.Sim
	url    string
	calls  atomic.Int64
	lose   atomic.Value // string: the answer to the next request that holds it is lost
	tokens *tokens
	a      adapters.Adapter
	adapters.Abilities
	clock atomic.Int64 // s
}

func (b *bench) now() time.Time { return time.Unix(b.clock.Load(), 0).UTC() }

func (b *bench) tick(d time.Duration) { b.clock.Add(int64(d / time.Second)) }

// tokens is a rest.TokenSource over the shop's own token endpoint.
type tokens struct {
	b               *bench
	mu              sync.Mutex
	access, refresh string
}

func (k *tokens) Token(context.Context) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.access, nil
}

func (k *tokens) Refresh(ctx context.Context, used string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.b.sim.Credentials()
	n, err := rest.OAuth{Endpoints: adapters.OAuth{TokenURL: k.b.url + c["tokenPath"]}}.Refresh(ctx, c["clientId"], c["clientSecret"], k.refresh)
	if err == nil {
		k.access, k.refresh = n.AccessToken, n.RefreshToken
	}
	return k.access, err
}

func (k *tokens) Reject(context.Context, string, string) error { return nil }

func newBench(t *testing.T, o shopifysim.Options) *bench {
	t.Helper()
	b := &bench{t: t}
	b.clock.Store(time.Date(2026, 8, 3, 1, 0, 0, 0, time.UTC).Unix())
	o.Now = b.now
	if o.SearchLag == 0 {
		o.SearchLag = -1
	}
	if o.Restore == 0 {
		o.Restore = -1
	}
	if o.HookScale == 0 {
		o.HookScale = 1e-6
	}
	b.sim = shopifysim.New(o)
	t.Cleanup(b.sim.Close)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.calls.Add(1)
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if word, _ := b.lose.Load().(string); word != "" && bytes.Contains(body, []byte(word)) {
			b.lose.Store("")
			b.sim.Handler().ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		b.sim.Handler().ServeHTTP(w, r)
		if why := w.Header().Get("X-Shopify-API-Deprecated-Reason"); why != "" {
			t.Errorf("the adapter uses what is deprecated: %s", why)
		}
	}))
	t.Cleanup(server.Close)
	b.url = server.URL
	c := b.sim.Credentials()
	b.tokens = &tokens{b: b, access: c["accessToken"], refresh: c["refreshToken"]}
	b.open(nil)
	if err := b.Provisioner.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// open connects an adapter with further settings.
func (b *bench) open(settings map[string]string) {
	b.t.Helper()
	v := shopify.Vendor()
	client, err := rest.New(rest.Config{System: "shop", BaseURL: b.url, Auth: b.tokens, TokenHeader: v.TokenHeader, Meaning: v.Meaning, Timeout: v.Timeout})
	if err != nil {
		b.t.Fatal(err)
	}
	all := map[string]string{"shop": b.sim.Credentials()["shop"]}
	for k, x := range settings {
		all[k] = x
	}
	b.a, err = v.Open(adapters.Session{System: "shop", BaseURL: b.url, Settings: all, HTTP: client, Now: b.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Abilities = adapters.AbilitiesOf(b.a)
}

// put acts in the shop and returns the object.
func (b *bench) put(typ, id string, p map[string]any) map[string]any {
	b.t.Helper()
	b.tick(time.Second)
	j, err := json.Marshal(p)
	if err != nil {
		b.t.Fatal(err)
	}
	var plain map[string]any
	if err := json.Unmarshal(j, &plain); err != nil {
		b.t.Fatal(err)
	}
	o, err := b.sim.Put(typ, id, plain)
	if err != nil {
		b.t.Fatal(err)
	}
	return o.(map[string]any)
}

func (b *bench) fetch(kind domain.Kind, id any) domain.Record {
	b.t.Helper()
	r, err := b.a.Fetch(b.t.Context(), kind, fmt.Sprint(id))
	if err != nil {
		b.t.Fatal(err)
	}
	for _, i := range r.Issues {
		b.t.Errorf("%s %v: %s", kind, id, i.Message)
	}
	return r
}

func (b *bench) poll(kind domain.Kind, cursor string) ([]domain.Record, string) {
	b.t.Helper()
	var all []domain.Record
	for range 200 {
		p, err := b.a.Changes(b.t.Context(), kind, cursor)
		if err != nil {
			b.t.Fatal(err)
		}
		all, cursor = append(all, p.Records...), p.Cursor
		if !p.More {
			return all, cursor
		}
	}
	b.t.Fatal("the poll does not end")
	return nil, ""
}

func (b *bench) list(kind domain.Kind) (all []domain.Record, complete bool) {
	b.t.Helper()
	for cursor := ""; ; {
		p, err := b.Sweeper.List(b.t.Context(), kind, cursor)
		if err != nil {
			b.t.Fatal(err)
		}
		all, cursor = append(all, p.Records...), p.Cursor
		if !p.More {
			return all, p.Complete
		}
	}
}

func (b *bench) write(w adapters.Write) adapters.Outcome {
	b.t.Helper()
	b.tick(time.Second)
	if w.Key == "" {
		w.Key = domain.NewID("key")
	}
	return b.Writer.Write(b.t.Context(), []adapters.Write{w})[0]
}

// update writes values to a record.
func (b *bench) update(r domain.Record, v domain.Values) adapters.Outcome {
	b.t.Helper()
	return b.write(adapters.Write{Kind: r.Kind, ExternalID: r.ExternalID, Base: &r, Values: v, Golden: v})
}

func same(t *testing.T, what string, got, want domain.Values) {
	t.Helper()
	for f, w := range want {
		if g := got[f]; g != w && !(g.Empty() && w.Empty()) {
			t.Errorf("%s: %s is\n  %s, want\n  %s", what, f, g, w)
		}
	}
}

func is(t *testing.T, what string, err error, want domain.Code) {
	t.Helper()
	if got := domain.CodeOf(err); got != want {
		t.Errorf("%s: %v, want %q", what, err, want)
	}
}

func dollars(amount string) domain.Value {
	return domain.ValueOf(map[string]string{"amount": amount, "currency": "AUD"})
}
