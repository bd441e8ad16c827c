package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"datum/adapters/sim"
)

// shelf is the smallest honest vendor: things with a name, PUT /things/{id}.
type shelf struct {
	*sim.Server
	mu         sync.Mutex
	things     map[string]string
	deliveries []sim.Delivery
}

func newShelf(t *testing.T, p sim.HookPolicy) (*shelf, string) {
	t.Helper()
	v := &shelf{things: map[string]string{}}
	v.Server = sim.New(v, sim.Options{Seed: 1, Hooks: p})
	t.Cleanup(v.Close)
	url, err := v.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return v, url
}

func (v *shelf) Name() string { return "shelf" }

func (v *shelf) ServeVendor(w http.ResponseWriter, r *http.Request) {
	b, _ := io.ReadAll(r.Body)
	id := strings.TrimPrefix(r.URL.Path, "/things/")
	if r.Method == http.MethodPut {
		_, _ = v.Put("things", id, map[string]any{"name": string(b)})
		v.Wrote(r, 1, 0, 0)
	}
	sim.WriteJSON(w, 200, map[string]string{"id": id})
}

func (v *shelf) WriteFault(w http.ResponseWriter, _ *http.Request, status int) {
	sim.WriteJSON(w, status, map[string]string{"message": "shelf trouble"})
}
func (v *shelf) Types() []string { return []string{"things"} }
func (v *shelf) Objects(typ string) ([]any, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []any
	for id := range v.things {
		all = append(all, id)
	}
	return all, sim.CheckType(typ, v.Types())
}
func (v *shelf) Put(typ, id string, p map[string]any) (any, error) {
	if err := sim.CheckType(typ, v.Types()); err != nil {
		return nil, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	name, _ := p["name"].(string)
	v.things[id] = name
	v.Emit(sim.Event{Name: "thing.put", Payload: id})
	return id, nil
}
func (v *shelf) Merge(_, _, _ string) (any, error) { return nil, errors.New("shelves do not merge") }
func (v *shelf) Delete(_, id string) error         { return nil }
func (v *shelf) Expire()                           {}
func (v *shelf) Revoke()                           {}
func (v *shelf) Reset()                            { v.mu.Lock(); defer v.mu.Unlock(); clear(v.things) }
func (v *shelf) Credentials() map[string]string    { return map[string]string{"accessToken": "t"} }
func (v *shelf) Duplicates() int                   { return 0 }
func (v *shelf) Envelope(_ string, events []sim.Event, attempt int) (http.Header, []byte) {
	ids := []string{}
	for _, e := range events {
		ids = append(ids, e.Payload.(string))
	}
	return nil, []byte(strings.Join(ids, ","))
}
func (v *shelf) Delivered(d sim.Delivery) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.deliveries = append(v.deliveries, d)
}

func do(t *testing.T, method, url, body string) (int, http.Header, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(b), nil
}

func control(t *testing.T, url, path, body string) {
	t.Helper()
	if status, _, answer, err := do(t, "POST", url+path, body); err != nil || status != 200 {
		t.Fatalf("POST %s %s: %d %s %v", path, body, status, answer, err)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	v, url := newShelf(t, sim.HookPolicy{})

	control(t, url, "/_sim/faults", `{"kind":"status","path":"/things/","method":"PUT","status":503,"retryAfter":2,"count":1}`)
	status, h, body, err := do(t, "PUT", url+"/things/a", "A")
	if err != nil || status != 503 || h.Get("Retry-After") != "2" || !strings.Contains(body, "shelf trouble") {
		t.Errorf("status fault: %d %q %s %v", status, h.Get("Retry-After"), body, err)
	}
	control(t, url, "/_sim/faults", `{"kind":"reset","path":"/things/b","count":1}`)
	if _, _, _, err := do(t, "PUT", url+"/things/b", "B"); err == nil {
		t.Error("a reset was answered")
	}
	control(t, url, "/_sim/faults", `{"kind":"reset_before","path":"*/c","count":1}`)
	if _, _, _, err := do(t, "PUT", url+"/things/c", "C"); err == nil {
		t.Error("a reset before commit was answered")
	}
	control(t, url, "/_sim/faults", `{"kind":"status","path":"/things/d","status":502,"count":1,"afterCommit":true}`)
	if status, _, _, _ := do(t, "PUT", url+"/things/d", "D"); status != 502 {
		t.Errorf("status after commit: %d", status)
	}
	got, _ := v.Objects("things")
	names := []string{}
	for _, o := range got {
		names = append(names, o.(string))
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"b", "d"}) {
		t.Errorf("committed %v, want b and d only", names)
	}

	control(t, url, "/_sim/faults", `{"kind":"hang","path":"/things/e","count":1}`)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", url+"/things/e", nil)
	if _, err := http.DefaultClient.Do(req); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("hang: %v", err)
	}
	for _, f := range v.Faults() {
		if f.Fired != 1 {
			t.Errorf("fault %d (%s) happened %d times, want 1", f.ID, f.Kind, f.Fired)
		}
	}
	if st := v.Stats(); st.Routes["PUT /things/a"] != 1 || st.Statuses["503"] != 1 || st.Limited != 0 || st.Creates != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestControlRefusesWhatMakesNoSense(t *testing.T) {
	t.Parallel()
	_, url := newShelf(t, sim.HookPolicy{})
	for _, c := range []struct{ path, body, says string }{
		{"/_sim/faults", `{"kind":"gremlin"}`, "gremlin"},
		{"/_sim/faults", `{"kind":"status"}`, "200 to 599"},
		{"/_sim/faults", `{"kind":"slow"}`, "delay"},
		{"/_sim/faults", `{"knid":"slow"}`, "knid"},
		{"/_sim/clock", `{"advance":"soon"}`, "2s"},
		{"/_sim/clock", `{}`, "10m"},
		{"/_sim/faults", `{"kind":"status","status":"many"}`, "not a number"},
		{"/_sim/faults", `[{"kind":"hang"},{"kind":"gremlin"}]`, "gremlin"},
		{"/_sim/faults", `"status"`, "JSON object"},
		{"/_sim/faults", `{"kind"`, "not JSON"},
		{"/_sim/merge", `{"type":"things","winner":"1","looser":"2"}`, "looser"},
		{"/_sim/objects", `[{"type":"thing","id":"1"},{"type":"gremlin"}]`, "object 2 of 2"},
		{"/_sim/objects", `{"type":"gremlins"}`, "things"},
		{"/_sim/merge", `{"type":"things","winner":"1","loser":"1"}`, "different"},
		{"/_sim/webhooks", `{"url":"nowhere"}`, "absolute"},
	} {
		status, _, body, err := do(t, "POST", url+c.path, c.body)
		if err != nil || status != 400 || !strings.Contains(body, c.says) {
			t.Errorf("%s %s: %d %s %v, want 400 naming %q", c.path, c.body, status, body, err, c.says)
		}
	}
	status, _, body, _ := do(t, "GET", url+"/_sim", "")
	var list struct {
		Credentials map[string]string
		Actions     []sim.Action
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil || status != 200 || list.Credentials["accessToken"] != "t" || len(list.Actions) < 10 {
		t.Errorf("GET /_sim: %d %s %v", status, body, err)
	}
}

func TestWebhooksAreRetriedDuplicatedDroppedAndReordered(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var got []string
	var refuse atomic.Int32
	rec := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if refuse.Add(-1) >= 0 {
			w.WriteHeader(500)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		got = append(got, string(b))
	}))
	t.Cleanup(rec.Close)
	v, url := newShelf(t, sim.HookPolicy{Retries: []time.Duration{time.Minute, time.Minute}, Scale: 0.0001})
	control(t, url, "/_sim/webhooks", `{"url":"`+rec.URL+`"}`)
	idle := func() []string {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := v.Idle(ctx); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		defer mu.Unlock()
		g := got
		got = nil
		return g
	}
	put := func(id string) { control(t, url, "/_sim/objects", `{"type":"things","id":"`+id+`"}`) }

	put("1")
	put("2")
	if g := idle(); !slices.Equal(g, []string{"1", "2"}) {
		t.Errorf("in order: %v", g)
	}
	refuse.Store(2)
	put("3")
	if g := idle(); !slices.Equal(g, []string{"3"}) {
		t.Errorf("retried: %v", g)
	}
	refuse.Store(3)
	put("4")
	if g := idle(); len(g) != 0 {
		t.Errorf("given up: %v", g)
	}
	refuse.Store(0)
	control(t, url, "/_sim/faults", `{"kind":"drop_webhook","path":"thing","count":1}`)
	control(t, url, "/_sim/faults", `{"kind":"duplicate_webhook","count":1}`)
	put("5")
	put("6")
	if g := idle(); !slices.Equal(g, []string{"6", "6"}) {
		t.Errorf("dropped and duplicated: %v", g)
	}
	control(t, url, "/_sim/faults", `{"kind":"reorder_webhook","count":1,"delay":"5s"}`)
	control(t, url, "/_sim/faults", `{"kind":"delay_webhook","count":1,"delay":"60ms"}`)
	put("7") // delayed: the first match of a kind wins, delay before reorder
	put("8") // reordered
	put("9")
	deadline := time.Now().Add(time.Minute)
	var g []string
	for len(g) < 3 && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
		mu.Lock()
		g = slices.Clone(got)
		mu.Unlock()
	}
	if !slices.Equal(g, []string{"9", "8", "7"}) {
		t.Errorf("reordered and delayed: %v", g)
	}
	st := v.Stats().Webhooks
	if st.Events != 9 || st.Dropped != 1 || st.Duplicated != 1 || st.Delayed != 1 || st.Reordered != 1 || st.GivenUp != 1 || st.Failed != 5 {
		t.Errorf("stats %+v", st)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if n := len(v.deliveries); n != st.Sent {
		t.Errorf("the vendor was told of %d deliveries of %d", n, st.Sent)
	}
}

func TestResetForgetsWaitingWebhooks(t *testing.T) {
	t.Parallel()
	v, url := newShelf(t, sim.HookPolicy{})
	control(t, url, "/_sim/webhooks", `{"url":"http://127.0.0.1:1/"}`)
	control(t, url, "/_sim/faults", `{"kind":"delay_webhook","delay":"1h"}`)
	control(t, url, "/_sim/objects", `{"type":"things","id":"1"}`)
	control(t, url, "/_sim/clock", `{"advance":"10h"}`)
	if v.Stats().Webhooks.Pending != 1 || time.Until(v.Now()) < 9*time.Hour {
		t.Fatalf("not armed: %+v at %s", v.Stats(), v.Now())
	}
	control(t, url, "/_sim/reset", "")
	if err := v.Idle(t.Context()); err != nil {
		t.Error(err)
	}
	if o, _ := v.Objects("things"); len(o) != 0 || len(v.Faults()) != 0 || time.Until(v.Now()) > time.Hour {
		t.Errorf("left after reset: %v %v %s", o, v.Faults(), v.Now())
	}
}

func TestWindowRolls(t *testing.T) {
	t.Parallel()
	w := sim.NewWindow(3, 10*time.Second)
	t0 := time.Unix(1000, 0)
	for i := range 3 {
		if ok, left, _ := w.Take(t0.Add(time.Duration(i) * time.Second)); !ok || left != 2-i {
			t.Fatalf("take %d: %v, %d left", i, ok, left)
		}
	}
	if ok, _, wait := w.Take(t0.Add(9 * time.Second)); ok || wait != time.Second {
		t.Errorf("a fourth call within 10 s: %v, wait %s", ok, wait)
	}
	if ok, left, _ := w.Take(t0.Add(10 * time.Second)); !ok || left != 0 {
		t.Errorf("after the first left the window: %v, %d left", ok, left)
	}
}

func TestSeedRepeats(t *testing.T) {
	t.Parallel()
	a, _ := newShelf(t, sim.HookPolicy{})
	b, _ := newShelf(t, sim.HookPolicy{})
	if x, y := a.UUID(), b.UUID(); x != y || bytes.Count([]byte(x), []byte("-")) != 4 || len(x) != 36 {
		t.Errorf("one seed gave %s and %s", x, y)
	}
}
