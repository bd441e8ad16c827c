package jobs_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"datum/adapters/shopifysim"
	"datum/adapters/sim"
	"datum/domain"
	"datum/domain/store"
	"datum/jobs"
)

// gapCase waits for the one open case, which is of kind gap.
func (r *rig) gapCase() store.Case {
	r.t.Helper()
	var cs []store.Case
	eventually(r.t, 20*time.Second, "a case of a gap", func() (bool, any) {
		var err error
		cs, err = store.ListCases(context.Background(), r.pool, store.CaseFilter{Status: "open"}, nil, "", 100)
		must(r.t, err)
		hs, err := store.WebhookHealths(context.Background(), r.pool)
		must(r.t, err)
		return len(cs) == 1 && cs[0].Kind == store.CaseGap, fmt.Sprintf("%d cases; %+v", len(cs), hs)
	})
	return cs[0]
}

// TestDrillWebhooksFallSilent, with DATUM_DRILL=1, since half a second must be enough for a webhook: Xero silently disables the webhook subscription, which only a person can set up anew. Polls bring the
// changes, nothing is lost, and one case says what to press; it closes with the next webhook.
func TestDrillWebhooksFallSilent(t *testing.T) {
	if os.Getenv("DATUM_DRILL") == "" {
		t.Skip("set DATUM_DRILL=1: it takes 7 s on a machine that is not busy")
	}
	r := newRig(t, func(c *rigConfig) { c.bound = 500 * time.Millisecond })
	r.quiet(20 * time.Second)
	r.inXero(0)
	r.quiet(20 * time.Second)
	r.noCases()
	must(t, r.xero.SetWebhook(context.Background(), ""))
	must(t, r.xero.Idle(context.Background())) // one that is under way still counts as received
	for i := 1; i <= 4; i++ {
		r.inXero(i)
	}
	c := r.gapCase()
	if c.System != "accounting" || !strings.Contains(c.Title, "stopped sending") || !strings.Contains(c.Detail.Next, "Send 'Intent to receive'") || !strings.Contains(c.Detail.Next, r.web.URL+"/webhooks/accounting") {
		t.Errorf("the case says %+v", c)
	}
	r.quiet(20 * time.Second)
	r.level(5, map[string]int{"crm": 5})
	must(t, r.xero.SetWebhook(context.Background(), r.web.URL+"/webhooks/accounting"))
	r.inXero(5)
	r.noCases()
	r.quiet(20 * time.Second)
	r.level(6, map[string]int{"crm": 6})
}

// TestSequenceGap: three of Xero's numbered notifications are lost. The gap opens a case, a poll begins at once though the next
// one is an hour away, and the case closes by itself once what they were about has been read.
func TestSequenceGap(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rigConfig) { c.poll = time.Hour })
	r.quiet(20 * time.Second)
	r.inXero(0)
	r.quiet(20 * time.Second)
	_, err := r.xero.AddFault(sim.Fault{Kind: sim.FaultDrop, Count: 3})
	must(t, err)
	for i := 1; i <= 5; i++ {
		r.inXero(i)
	}
	eventually(t, 30*time.Second, "a gap that closed by itself", func() (bool, any) {
		var gaps, closed, cases int
		must(t, r.pool.QueryRow(context.Background(), `SELECT count(*), count(closed_at), (SELECT count(*) FROM cases WHERE kind = 'gap' AND status = 'closed') FROM gaps`).Scan(&gaps, &closed, &cases))
		return gaps > 0 && closed == gaps && cases == 1 && len(r.ledger("crm")) == 6, fmt.Sprintf("%d gaps, %d closed, %d cases", gaps, closed, cases)
	})
	r.noCases()
	r.quiet(20 * time.Second)
	r.level(6, map[string]int{"crm": 6})
}

// TestClockMovedTenMinutes: the CRM's clock is ten minutes ahead, or a process of ours ten minutes behind: its webhooks are
// refused as too new. Polls bring the changes; nothing is lost or made twice, and one case tells that no webhook comes.
func TestClockMovedTenMinutes(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rigConfig) { c.bound, c.policy = 500*time.Millisecond, opsOwns("phone") })
	r.quiet(20 * time.Second)
	ids := r.byOps(0, 3)
	r.quiet(20 * time.Second)
	r.crm.Advance(10 * time.Minute)
	for i := 3; i < 7; i++ {
		r.inCRM(i)
	}
	r.set(ids, "phone", phone)
	if c := r.gapCase(); c.System != "crm" || !strings.Contains(c.Detail.Next, "developer account") {
		t.Errorf("the case says %+v", c)
	}
	eventually(t, 20*time.Second, "everything is everywhere", func() (bool, any) {
		return len(r.ledger("crm")) == 7 && len(r.ledger("accounting")) == 7, fmt.Sprintf("%d and %d", len(r.ledger("crm")), len(r.ledger("accounting")))
	})
	eventually(t, 20*time.Second, "rest", func() (bool, any) { s, busy := r.state(); return !busy, s }) // HubSpot goes on repeating its webhooks
	r.level(7, map[string]int{"crm": 3, "accounting": 7})
}

// TestSubscriptionsAreMadeAgain: Shopify deletes our subscriptions without a word. Datum notices, makes them again and reads
// what it had not been told, with nobody asked.
func TestSubscriptionsAreMadeAgain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t, func(c *rigConfig) {
		c.hooks, c.bound, c.poll = time.Second, 500*time.Millisecond, time.Hour
		c.policy = strings.Replace(strings.Replace(customersOnly(), "accounting: xero", "accounting: xero\n  shop: shopify", 1), "create: [crm,", "create: [crm, shop,", 1)
	})
	shop := shopifysim.New(shopifysim.Options{Seed: 1, HookScale: 0.0005})
	t.Cleanup(shop.Close)
	base, err := shop.Listen("127.0.0.1:0")
	must(t, err)
	creds := shop.Credentials()
	v := map[string]string{"baseUrl": base, "tokenUrl": base + creds["tokenPath"], "limit.second": "1000"}
	for _, k := range []string{"clientId", "clientSecret", "accessToken", "refreshToken", "shop"} {
		v[k] = creds[k]
	}
	h, err := r.engine.Connect(ctx, "shop", jobs.Connection{Values: v, Check: true})
	must(t, err)
	for _, p := range h.Problems {
		if strings.Contains(p, "webhook") {
			t.Errorf("connected with the problem: %s", p)
		}
	}
	health := func() store.WebhookHealth {
		hs, err := store.WebhookHealths(ctx, r.pool)
		must(t, err)
		for _, h := range hs {
			if h.System == "shop" {
				return h
			}
		}
		return store.WebhookHealth{}
	}
	was := health()
	if was.Wanted == 0 || was.Active != was.Wanted || shop.WebhookURL() != r.web.URL+"/webhooks/shop" {
		t.Fatalf("after connecting: %+v, to %s", was, shop.WebhookURL())
	}
	eventually(t, 30*time.Second, "the shop is read", func() (bool, any) {
		ready, err := store.ReadySystems(ctx, r.pool, domain.KindCustomer)
		must(t, err)
		return ready["shop"], ready
	})
	silenced := time.Now()
	if n := shop.Silence(""); n != was.Wanted {
		t.Fatalf("%d subscriptions ended, want %d", n, was.Wanted)
	}
	_, err = shop.Put("customer", "", map[string]any{"firstName": "Jo", "lastName": "Silent", "email": "jo@silent.example"})
	must(t, err)
	eventually(t, 30*time.Second, "made again, and what was missed is read", func() (bool, any) {
		h := health()
		return h.Repaired > was.Repaired && h.RepairedAt.After(silenced) && h.Active == h.Wanted && len(r.customers()) == 1, fmt.Sprintf("%+v, %d customers", h, len(r.customers()))
	})
	if cs, err := store.CountCases(ctx, r.pool); err != nil || cs[store.CaseGap] > 0 {
		t.Errorf("cases: %v, %v", cs, err) // whether the shop's customers may be written elsewhere is another matter
	}
	received := health().Received
	_, err = shop.Put("customer", "", map[string]any{"firstName": "Al", "lastName": "Told", "email": "al@told.example"})
	must(t, err)
	eventually(t, 20*time.Second, "told again", func() (bool, any) {
		return health().Received > received && len(r.customers()) == 2, health()
	})
}
