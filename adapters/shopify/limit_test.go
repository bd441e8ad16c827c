package shopify_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"datum/adapters"
	"datum/adapters/shopifysim"
	"datum/domain"
)

// TestThrottled: the empty bucket, which comes with status 200, is a limit with the exact wait, and the adapter does not ask
// again before it has enough.
func TestThrottled(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{Restore: 100, Bucket: 2000})
	c := b.put("customer", "", m{"name": "Mary Hartley"})
	b.open(map[string]string{"pageSize": "100"})
	var ids []string
	for i := range 100 {
		ids = append(ids, fmt.Sprint(i+1))
	}
	ids[0] = c["id"].(string)
	// 20 points of one found customer among 600 that are asked for: only what is left counts, so drain it by writes.
	r := b.fetch(domain.KindCustomer, c["id"])
	drained := error(nil)
	for i := 0; i < 400 && drained == nil; i++ {
		out := b.Writer.Write(t.Context(), []adapters.Write{{Kind: r.Kind, ExternalID: r.ExternalID, Base: &r, Key: fmt.Sprint(i), Values: domain.Values{"notes": text(fmt.Sprint(i))}}})[0]
		drained = out.Err
	}
	is(t, "writes without end", drained, domain.RateLimited)
	before := b.sim.Stats()
	if before.Limited > 1 {
		t.Errorf("Shopify refused %d calls", before.Limited)
	}
	_, err := b.BatchFetcher.FetchMany(t.Context(), domain.KindCustomer, ids)
	is(t, "a dear call", err, domain.RateLimited)
	wait := domain.AsError(err).RetryAfter
	if wait < 5900*time.Millisecond || wait > 6*time.Second {
		t.Errorf("600 points at 100 a second take %s, want about 6 s", wait)
	}
	if n := b.sim.Stats().Limited - before.Limited; n != 1 {
		t.Errorf("Shopify throttled %d calls", n)
	}
	calls := b.calls.Load()
	_, err = b.BatchFetcher.FetchMany(t.Context(), domain.KindCustomer, ids)
	is(t, "the same again at once", err, domain.RateLimited)
	if n := b.calls.Load() - calls; n != 0 {
		t.Errorf("it was called %d times although it has too little left", n)
	}
	b.tick(7 * time.Second)
	if _, err = b.BatchFetcher.FetchMany(t.Context(), domain.KindCustomer, ids); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

// TestExpiredVersion: Shopify serves another version without a word; the check says so.
func TestExpiredVersion(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{Oldest: "2026-10"})
	h, err := b.Checker.Check(t.Context())
	if err != nil || len(h.Problems) != 1 || !strings.Contains(h.Problems[0], "2026-07") {
		t.Errorf("problems %q, %v", h.Problems, err)
	}
}

func TestScopes(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{Scopes: []string{"read_customers", "write_customers", "read_products"}})
	_, err := b.a.Changes(t.Context(), domain.KindOrder, "")
	is(t, "orders without access", err, domain.Forbidden)
	if e := domain.AsError(err); e == nil || !strings.Contains(e.Message, "read_orders") {
		t.Errorf("it does not say what is lacking: %v", err)
	}
	h, err := b.Checker.Check(t.Context())
	if err != nil || len(h.Problems) != 1 || !strings.Contains(h.Problems[0], "write_products") {
		t.Errorf("problems %q, %v", h.Problems, err)
	}
}

// TestSearchLag: what a search does not show yet comes with a later poll, since polls reach back.
func TestSearchLag(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{SearchLag: 20 * time.Second})
	b.put("customer", "", m{"name": "Early Bird"})
	b.tick(time.Minute)
	c := b.put("customer", "", m{"name": "Late Comer"})
	recs, cursor := b.poll(domain.KindCustomer, "")
	if len(recs) != 1 {
		t.Fatalf("%d customers, want the one that the index has", len(recs))
	}
	b.fetch(domain.KindCustomer, c["id"])
	b.tick(time.Minute)
	recs, _ = b.poll(domain.KindCustomer, cursor)
	late := false
	for _, r := range recs {
		late = late || r.ExternalID == c["id"]
	}
	if !late {
		t.Error("who came before the index was ready is never seen")
	}
}

// TestWebhooks: what happens in the shop is named by signals, once for each action.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{})
	var mu sync.Mutex
	seen := map[string]adapters.Signal{}
	keys := map[string]bool{}
	key := b.sim.Credentials()["webhookKey"]
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		n, err := b.Notifier.Receive(adapters.Webhook{Method: r.Method, Header: r.Header, Body: body, At: b.now()}, []string{"an old secret", key})
		if err != nil {
			t.Errorf("%s: %v", r.Header.Get("X-Shopify-Topic"), err)
		}
		mu.Lock()
		defer mu.Unlock()
		for _, s := range n.Signals {
			seen[string(s.Kind)+" "+s.ExternalID] = s
			keys[s.DedupeKey] = true
		}
	}))
	defer receiver.Close()
	if err := b.sim.SetWebhook(t.Context(), receiver.URL); err != nil {
		t.Fatal(err)
	}
	v := b.stocked("A", "11.00", 10)
	c := b.put("customer", "", m{"name": "Mary Hartley"})
	other := b.put("customer", "", m{"name": "M Hartley"})
	settle := func() {
		t.Helper()
		if err := b.sim.Idle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	settle()
	mu.Lock()
	clear(keys)
	mu.Unlock()
	o := b.put("order", "", m{"customerId": c["id"], "lines": []m{{"sku": "A", "quantity": 2}}})
	settle()
	want := []string{"Order " + o["id"].(string), "Payment " + o["transactions"].([]any)[0].(string), "Product " + v["id"].(string), "Customer " + c["id"].(string)}
	mu.Lock()
	if len(keys) != 3 { // order, payment, stock: created, paid and updated are one action
		t.Errorf("one purchase has %d dedupe keys: %v", len(keys), keys)
	}
	mu.Unlock()
	rf := b.put("refund", "", m{"orderId": o["id"], "lines": []m{{"sku": "A"}}})
	if _, err := b.sim.Merge("customer", c["id"].(string), other["id"].(string)); err != nil {
		t.Fatal(err)
	}
	if err := b.sim.Delete("order", o["id"].(string)); err != nil {
		t.Fatal(err)
	}
	settle()
	want = append(want, "CreditNote "+rf["id"].(string), fmt.Sprintf("StockLevel %s@", v["inventoryItem"].(m)["id"]))
	mu.Lock()
	defer mu.Unlock()
	for _, w := range want {
		found := false
		for k := range seen {
			found = found || strings.HasPrefix(k, w)
		}
		if !found {
			t.Errorf("no signal for %s", w)
		}
	}
	if s := seen["Order "+o["id"].(string)]; !s.Deleted {
		t.Error("the order's deletion was not told")
	}
	if s := seen["Customer "+c["id"].(string)]; s.Deleted {
		t.Error("the surviving customer counts as deleted")
	}
}

// TestSignatureVector is the example of Shopify's own documentation.
func TestSignatureVector(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{})
	h := http.Header{}
	h.Set("X-Shopify-Hmac-Sha256", "qBvrsZF7RfB1iS6BX6IHqJTp5L911P7intnPeTPsH0I=")
	h.Set("X-Shopify-Topic", "orders/updated")
	h.Set("X-Shopify-Shop-Domain", b.sim.Credentials()["shop"])
	n, err := b.Notifier.Receive(adapters.Webhook{Header: h, Body: []byte(`{"id":820982911946154508}`), At: b.now()}, []string{"hush"})
	if err != nil || len(n.Signals) != 1 || n.Signals[0].ExternalID != "820982911946154508" {
		t.Errorf("%+v %v", n, err)
	}
	h.Set("X-Shopify-Shop-Domain", "another.myshopify.com")
	if n, err = b.Notifier.Receive(adapters.Webhook{Header: h, Body: []byte(`{"id":820982911946154508}`), At: b.now()}, []string{"hush"}); err != nil || len(n.Signals) != 0 {
		t.Errorf("another shop's: %+v %v", n, err)
	}
}
