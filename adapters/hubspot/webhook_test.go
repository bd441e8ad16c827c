package hubspot_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"datum/adapters"
	"datum/adapters/hubspotsim"
	"datum/domain"
)

// hooks is a receiver that keeps what came.
type hooks struct {
	mu  sync.Mutex
	url string
	got []adapters.Webhook
}

func newHooks(t *testing.T, b *bench) *hooks {
	h := &hooks{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		defer h.mu.Unlock()
		h.got = append(h.got, adapters.Webhook{Method: r.Method, URL: h.url, Header: r.Header, Body: body, At: b.now()})
	}))
	t.Cleanup(srv.Close)
	h.url = srv.URL + "/webhooks/crm?who=a%40b"
	if err := b.sim.SetWebhook(t.Context(), h.url); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *hooks) wait(t *testing.T, b *bench) []adapters.Webhook {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := b.sim.Idle(ctx); err != nil {
		t.Fatal(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	got := h.got
	h.got = nil
	return got
}

func TestWebhooksBecomeSignals(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	h := newHooks(t, b)
	secrets := []string{"another", b.sim.Credentials()["webhookKey"]}
	dedupe := map[string]bool{}
	signals := func() map[string]adapters.Signal {
		t.Helper()
		all := map[string]adapters.Signal{}
		for _, hook := range h.wait(t, b) {
			n, err := b.Notifier.Receive(hook, secrets)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range n.Signals {
				if dedupe[s.DedupeKey] {
					t.Errorf("two signals with the key %s", s.DedupeKey)
				}
				dedupe[s.DedupeKey] = true
				if s.DedupeKey == "" || s.OccurredAt.IsZero() || s.Kind != domain.KindCustomer {
					t.Errorf("signal %+v", s)
				}
				if old, ok := all[s.ExternalID]; ok {
					s.Deleted, s.Also = s.Deleted || old.Deleted, append(old.Also, s.Also...)
				}
				all[s.ExternalID] = s
			}
		}
		return all
	}
	firm := b.put("companies", "", map[string]any{"name": "A", "phone": "1", "abn": "2"})
	if got := signals(); len(got) != 1 || got["companies/"+firm].Deleted {
		t.Errorf("a creation: %+v", got)
	}
	jo := b.put("contacts", "", map[string]any{"firstname": "Jo", "companies": firm})
	got := signals()
	if len(got) != 2 || got["contacts/"+jo].ExternalID == "" {
		t.Errorf("an association: %+v", got)
	}
	raw := b.fetch("companies/" + firm).Raw
	if h := got["companies/"+firm].Hint; h == nil || gjson.GetBytes(raw, h.Path).String() != h.Value || gjson.Get(`{"contacts":[{"id":"1"}]}`, h.Path).String() == h.Value {
		t.Errorf("the hint of an association is %+v against %s", h, raw)
	}
	c := b.put("contacts", jo, map[string]any{"phone": "2"})
	if got := signals()["contacts/"+c]; got.Hint == nil || got.Hint.Value != "2" {
		t.Errorf("an edit of a contact: %+v", got)
	}
	other := b.put("companies", "", map[string]any{"name": "B"})
	signals()
	o, err := b.sim.Merge("companies", firm, other)
	if err != nil {
		t.Fatal(err)
	}
	survivor := o.(map[string]any)["id"].(string)
	if got := signals()["companies/"+survivor]; len(got.Also) != 2 || got.Also[0] != "companies/"+firm || got.Also[1] != "companies/"+other {
		t.Errorf("a merge: %+v", got)
	}
	if err := b.sim.Delete("companies", survivor); err != nil {
		t.Fatal(err)
	}
	if got := signals()["companies/"+survivor]; !got.Deleted {
		t.Errorf("a deletion: %+v", got)
	}
}

func TestWebhooksAreVerified(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	h := newHooks(t, b)
	b.put("companies", "", map[string]any{"name": "A"})
	good := h.wait(t, b)[0]
	secrets := []string{b.sim.Credentials()["webhookKey"]}
	n, err := b.Notifier.Receive(good, secrets)
	if err != nil || len(n.Signals) != 2 {
		t.Fatalf("the real thing: %+v %v", n, err)
	}
	for i, want := range []adapters.Hint{{Path: "id", Value: strings.TrimPrefix(n.Signals[0].ExternalID, "companies/")}, {Path: "properties.name", Value: "A"}} {
		if h := n.Signals[i].Hint; h == nil || *h != want {
			t.Errorf("hint %d is %+v, want %+v", i, h, want)
		}
	}
	alter := func(f func(*adapters.Webhook)) adapters.Webhook {
		c := good
		c.Header = good.Header.Clone()
		f(&c)
		return c
	}
	for name, hook := range map[string]adapters.Webhook{
		"another body":      alter(func(w *adapters.Webhook) { w.Body = []byte("[]") }),
		"another URL":       alter(func(w *adapters.Webhook) { w.URL += "x" }),
		"another method":    alter(func(w *adapters.Webhook) { w.Method = "PUT" }),
		"replayed later":    alter(func(w *adapters.Webhook) { w.At = w.At.Add(6 * time.Minute) }),
		"from the future":   alter(func(w *adapters.Webhook) { w.At = w.At.Add(-6 * time.Minute) }),
		"no signature":      alter(func(w *adapters.Webhook) { w.Header.Del("X-HubSpot-Signature-v3") }),
		"no timestamp":      alter(func(w *adapters.Webhook) { w.Header.Del("X-HubSpot-Request-Timestamp") }),
		"another timestamp": alter(func(w *adapters.Webhook) { w.Header.Set("X-HubSpot-Request-Timestamp", "1772442061000") }),
		"rubbish":           alter(func(w *adapters.Webhook) { w.Header.Set("X-HubSpot-Signature-v3", "%%%") }),
	} {
		if _, err := b.Notifier.Receive(hook, secrets); domain.CodeOf(err) != domain.Unauthentic {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, s := range [][]string{nil, {""}, {"wrong"}} {
		if _, err := b.Notifier.Receive(good, s); domain.CodeOf(err) != domain.Unauthentic {
			t.Errorf("secrets %q: %v", s, err)
		}
	}
	// A vector of the vendor's scheme, computed independently of this code and of the simulator.
	at := time.UnixMilli(1767225600000)
	hook := adapters.Webhook{Method: "POST", URL: "https://sim.test/webhooks/hubspot", Body: []byte("[]"), At: at, Header: http.Header{}}
	hook.Header.Set("X-HubSpot-Request-Timestamp", "1767225600000")
	hook.Header.Set("X-HubSpot-Signature-v3", "ychqsHiQT5rsPXRJBTjw5IFjmPNSInY10c6k1a+83Hk=")
	if n, err := b.Notifier.Receive(hook, []string{"client-secret"}); err != nil || len(n.Signals) != 0 {
		t.Errorf("the vector: %+v %v", n, err)
	}
}

func TestWebhooksOfOtherPortalsAndOlderForm(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	portal := b.sim.Credentials()["portalId"]
	body := []byte(`[{"objectId":9007199254740993,"eventId":1,"portalId":` + portal + `,"occurredAt":1462216307945,"eventType":"contact.propertyChange","attemptNumber":0},
		{"objectId":5,"eventId":2,"portalId":99,"occurredAt":1462216307945,"subscriptionType":"company.creation"},
		{"objectId":6,"eventId":3,"portalId":` + portal + `,"occurredAt":1462216307945,"subscriptionType":"object.deletion","objectTypeId":"0-2"},
		{"objectId":7,"eventId":4,"portalId":` + portal + `,"occurredAt":1462216307945,"subscriptionType":"ticket.creation"}]`)
	url := "https://datum.example/webhooks/crm"
	n, err := b.Notifier.Receive(adapters.Webhook{Method: "POST", URL: url, Body: body, At: b.now(), Header: hubspotsim.Sign("s", "POST", url, body, b.now())}, []string{"s"})
	if err != nil || len(n.Signals) != 2 || n.Signals[0].ExternalID != "contacts/9007199254740993" || n.Signals[1].ExternalID != "companies/6" || !n.Signals[1].Deleted {
		t.Errorf("%+v %v", n, err)
	}
	if _, err := b.Notifier.Receive(adapters.Webhook{Method: "POST", URL: url, Body: []byte("{}"), At: b.now(), Header: hubspotsim.Sign("s", "POST", url, []byte("{}"), b.now())}, []string{"s"}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("signed rubbish: %v", err)
	}
}
