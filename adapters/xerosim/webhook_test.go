package xerosim_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"sync"
	"testing"

	"datum/adapters/sim"
	"datum/adapters/xerosim"
)

var uuidForm = regexp.MustCompile(`^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$`)

// fits reports where got lacks a member of want or has another type: "uuid" and a text that starts with ^ are patterns,
// other values stand for their type, and a list's one element for each of its elements.
func fits(t *testing.T, path string, want, got any) {
	t.Helper()
	switch w := want.(type) {
	case string:
		g, ok := got.(string)
		switch {
		case !ok:
			t.Errorf("%s is %v, want text", path, got)
		case w == "uuid" && !uuidForm.MatchString(g), w[0] == '^' && !regexp.MustCompile(w).MatchString(g):
			t.Errorf("%s is %q, want %s", path, g, w)
		}
	case float64:
		if _, ok := got.(float64); !ok {
			t.Errorf("%s is %v, want a number", path, got)
		}
	case bool:
		if _, ok := got.(bool); !ok {
			t.Errorf("%s is %v, want a boolean", path, got)
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) == 0 {
			t.Errorf("%s is %v, want a list with elements", path, got)
			return
		}
		for _, x := range g {
			fits(t, path+"[]", w[0], x)
		}
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			t.Errorf("%s is %v, want an object", path, got)
			return
		}
		for k, v := range w {
			fits(t, path+"."+k, v, g[k])
		}
	}
}

// receiver is an honest webhook endpoint: 401 to a wrong signature, else status.
type receiver struct {
	url string
	mu  sync.Mutex
	key string
	bad bool // answer 500
	got []delivered
}

type delivered struct {
	Events []struct{ ResourceID, EventType, EventCategory, TenantID string }
	First  int `json:"firstEventSequence"`
	Last   int `json:"lastEventSequence"`
}

func newReceiver(t *testing.T, key string) *receiver {
	t.Helper()
	r := &receiver{key: key}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		b := readBody(req)
		r.mu.Lock()
		defer r.mu.Unlock()
		m := hmac.New(sha256.New, []byte(r.key))
		m.Write(b)
		if base64.StdEncoding.EncodeToString(m.Sum(nil)) != req.Header.Get("x-xero-signature") {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.bad {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		var d delivered
		if err := json.Unmarshal(b, &d); err != nil {
			t.Error(err)
		}
		if len(d.Events) > 0 {
			r.got = append(r.got, d)
		}
	}))
	t.Cleanup(s.Close)
	r.url = s.URL
	return r
}

// sequences are the numbers of all events received, sorted.
func (r *receiver) sequences() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []int
	for _, d := range r.got {
		for i := range d.Events {
			all = append(all, d.First+i)
		}
	}
	slices.Sort(all)
	return all
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	ctx := context.Background()
	wrong := newReceiver(t, "not the key")
	if err := f.sim.SetWebhook(ctx, wrong.url); err == nil {
		t.Error("a receiver with the wrong key was accepted")
	}
	r := newReceiver(t, f.sim.Credentials()["webhookKey"])
	f.create("Before", "n0")
	if err := f.sim.SetWebhook(ctx, r.url); err != nil {
		t.Fatal(err)
	}
	id := f.create("One", "n1")
	f.contacts(200, "POST", contacts+"/"+id, `{"ContactStatus":"ARCHIVED"}`)
	idle(t, f.sim)
	r.mu.Lock()
	var events []string
	for _, d := range r.got {
		for _, e := range d.Events {
			if e.ResourceID != id || e.EventCategory != "CONTACT" || e.TenantID != f.sim.Credentials()["tenantId"] {
				t.Errorf("event %+v", e)
			}
			events = append(events, e.EventType)
		}
	}
	r.mu.Unlock()
	if !slices.Equal(events, []string{"CREATE", "UPDATE"}) || !slices.Equal(r.sequences(), []int{1, 2}) {
		t.Errorf("events %v, numbers %v", events, r.sequences())
	}
}

func TestWebhookReceiverDisabledAndReplayed(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{HookScale: 1e-9})
	r := newReceiver(t, f.sim.Credentials()["webhookKey"])
	if err := f.sim.SetWebhook(context.Background(), r.url); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	r.bad = true
	r.mu.Unlock()
	f.create("One", "n1")
	idle(t, f.sim) // a day of attempts
	if s := f.sim.Stats().Webhooks; s.GivenUp != 1 || s.Sent != 98 {
		t.Errorf("attempts %+v", s)
	}
	f.create("Two", "n2")
	idle(t, f.sim)
	if s := f.sim.Stats().Webhooks; s.Sent != 98 {
		t.Errorf("a disabled receiver was called: %+v", s)
	}
	r.mu.Lock()
	r.bad = false
	r.mu.Unlock()
	if err := f.sim.SetWebhook(context.Background(), r.url); err != nil {
		t.Fatal(err)
	}
	idle(t, f.sim)
	if got := r.sequences(); !slices.Equal(got, []int{1, 2}) {
		t.Errorf("replayed %v", got)
	}
}

func TestLostWebhookLeavesAGap(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	r := newReceiver(t, f.sim.Credentials()["webhookKey"])
	if err := f.sim.SetWebhook(context.Background(), r.url); err != nil {
		t.Fatal(err)
	}
	if _, err := f.sim.AddFault(sim.Fault{Kind: sim.FaultDrop, Count: 1}); err != nil {
		t.Fatal(err)
	}
	f.create("One", "n1")
	f.create("Two", "n2")
	idle(t, f.sim)
	if got := r.sequences(); !slices.Equal(got, []int{2}) {
		t.Errorf("numbers %v", got)
	}
}
