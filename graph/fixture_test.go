package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/feed"
	"datum/domain/ownership"
	"datum/domain/store"
	"datum/graph"
	"datum/internal/pgtest"
)

// fixture is one API on a database of its own, with the default policy published.
type fixture struct {
	t       testing.TB
	pool    *pgxpool.Pool
	changes *change.Applier
	log     *logBuffer
	url     string
	done    chan struct{}
	keys    map[store.Role]string // keys of system ops
}

// idle is a queue without workers: these tests look at what is queued in the tables.
type idle struct{}

func (idle) Wake(context.Context, pgx.Tx, []change.Wake, []string) error { return nil }
func (idle) Ingest(context.Context, pgx.Tx, string) error                { return nil }
func (idle) Remap(context.Context, pgx.Tx, string, int64) error          { return nil }
func (idle) Rouse(context.Context, pgx.Tx, string, []domain.Kind) error  { return nil }
func (idle) Resettle(context.Context, pgx.Tx, int64) error               { return nil }
func (idle) Drift(ownership.System, domain.Kind, json.RawMessage, json.RawMessage, []domain.Issue) []domain.Issue {
	return nil
}

func (idle) Shows(ownership.System, domain.Kind, json.RawMessage, []string) []string { return nil }

func (idle) Writable(_ ownership.System, k domain.Kind) ([]domain.Field, bool) {
	ki, ok := k.Info()
	var fs []domain.Field
	for _, fi := range ki.Fields {
		fs = append(fs, fi.Name)
	}
	return fs, ok
}

func (idle) Fit(_ ownership.System, _ domain.Kind, v domain.Values) domain.Values { return v }

// logBuffer keeps what is logged, for tests that look for what must not be there.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func setup(t testing.TB, configure ...func(*graph.Config)) *fixture {
	t.Helper()
	return setupOn(t, pgtest.New(t), configure...)
}

func setupOn(t testing.TB, pool *pgxpool.Pool, configure ...func(*graph.Config)) *fixture {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &fixture{t: t, pool: pool, log: &logBuffer{}, done: make(chan struct{}), keys: map[store.Role]string{}}
	log := slog.New(slog.NewJSONHandler(f.log, nil))
	hub := feed.NewHub(pool, log, 20*time.Millisecond)
	f.changes = change.New(pool, idle{}, idle{}, hub.Ring, log)
	if _, err := f.changes.Publish(ctx, 0, ownership.DefaultSource(), change.Surroundings{Schema: graph.Schema()}, change.Cause{Actor: "setup"}); err != nil {
		t.Fatal(err)
	}
	for _, role := range []store.Role{store.RoleReader, store.RoleEditor, store.RoleOperator, store.RoleAdmin} {
		f.keys[role] = f.key(store.NewKey{System: "ops", Role: role, Name: string(role)})
	}
	var running sync.WaitGroup
	running.Go(func() { _ = hub.Run(ctx) })
	c := graph.Config{Pool: pool, Feed: hub, Changes: f.changes, Log: log, Introspection: true, Done: f.done, HealthInterval: 50 * time.Millisecond}
	for _, set := range configure {
		set(&c)
	}
	h, err := graph.NewHandler(c)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	f.url = srv.URL
	t.Cleanup(func() {
		select {
		case <-f.done:
		default:
			close(f.done)
		}
		srv.CloseClientConnections()
		srv.Close()
		cancel()
		running.Wait()
	})
	return f
}

func (f *fixture) key(n store.NewKey) string {
	f.t.Helper()
	_, text, err := store.CreateKey(context.Background(), f.pool, n)
	if err != nil {
		f.t.Fatal(err)
	}
	return text
}

// request sends a request as it is and returns status, header and body.
func (f *fixture) request(method, url string, header map[string]string, body string) (int, http.Header, string) {
	f.t.Helper()
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		f.t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(b)
}

// reply is a GraphQL response.
type reply struct {
	Data   map[string]any
	Errors []struct {
		Message    string
		Path       []any
		Extensions map[string]any
	}
}

// at follows keys and list positions into the data; it is nil where there is nothing.
func (r reply) at(path ...any) any {
	var v any = r.Data
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

func (r reply) text(path ...any) string {
	s, _ := r.at(path...).(string)
	return s
}

func (r reply) list(path ...any) []any {
	l, _ := r.at(path...).([]any)
	return l
}

// send posts an operation with a role's key and returns the response, whatever it says.
func (f *fixture) send(key, query string, vars map[string]any) reply {
	f.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": vars})
	if err != nil {
		f.t.Fatal(err)
	}
	_, _, text := f.request("POST", f.url, map[string]string{"Content-Type": "application/json", "Authorization": "Bearer " + key}, string(body))
	var r reply
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		f.t.Fatalf("not a GraphQL response: %s", text)
	}
	return r
}

// ask is send as a role of ops; an error fails the test.
func (f *fixture) ask(role store.Role, query string, vars map[string]any) reply {
	f.t.Helper()
	r := f.send(f.keys[role], query, vars)
	if len(r.Errors) > 0 {
		f.t.Fatalf("unexpected errors: %+v", r.Errors)
	}
	return r
}

// record brings a vendor's record in, as a poll would.
func (f *fixture) record(system, id string, at time.Time, values map[domain.Field]any) change.Result {
	f.t.Helper()
	r := domain.Record{Kind: domain.KindCustomer, ExternalID: id, ModifiedAt: at, FetchedAt: at, Version: at.Format(time.RFC3339),
		Values: domain.Values{}, Raw: json.RawMessage(`{"id":"` + id + `"}`)}
	for k, v := range values {
		r.Values[k] = domain.ValueOf(v)
	}
	res, err := f.changes.Record(context.Background(), change.Incoming{System: system, Record: r,
		Cause: change.Cause{Actor: "system:" + system, Source: change.FromPoll, CorrelationID: "cor-" + id}})
	if err != nil {
		f.t.Fatal(err)
	}
	return res
}

// customer brings in one customer from the CRM and returns its id.
func (f *fixture) customer(id, name string) string {
	f.t.Helper()
	res := f.record("crm", id, time.Now().Add(-time.Hour), map[domain.Field]any{
		"kind": "BUSINESS", "legalName": name, "tradingName": name, "email": id + "@example.com.au", "status": "ACTIVE"})
	if res.EntityID == "" {
		f.t.Fatalf("the record of %s was not linked", name)
	}
	return res.EntityID
}

// eventually fails the test unless the condition comes true soon.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatalf("did not happen within 10 s: %s", what)
}

func withPlayground(c *graph.Config) { c.Playground = true }

func incoming(system string, r domain.Record) change.Incoming {
	return change.Incoming{System: system, Record: r, Cause: change.Cause{Actor: "system:" + system, Source: change.FromPoll}}
}
