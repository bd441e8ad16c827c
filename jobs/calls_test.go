package jobs_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/adapters/sim"
	"datum/domain/store"
)

// TestDrillCalls: a thousand changed customers reach each vendor in at most 1.25 times the calls that full batches would
// need. It runs with DATUM_DRILL=1 and takes up to a minute.
func TestDrillCalls(t *testing.T) {
	if os.Getenv("DATUM_DRILL") == "" {
		t.Skip("set DATUM_DRILL=1 for a thousand customers; TestChangesFillBatches has some hundred")
	}
	changes(t, 1000, map[string]int{"crm": 12, "accounting": 25})
}

// TestChangesFillBatches is TestDrillCalls with fewer customers: the first write of a burst goes at once, and a busy machine
// can tear a burst in two, which counts for more among few.
func TestChangesFillBatches(t *testing.T) {
	t.Parallel()
	changes(t, 250, map[string]int{"crm": 3 + 2, "accounting": 5 + 3})
}

// changes changes n customers, as a burst while the workers run and as a backlog that waits for them. No vendor may be
// written to in more than most calls for it; nothing may be written twice, and nothing read that the answer to the write
// has told: the echoes of our own writes come back as webhooks and ask for nothing.
func changes(t *testing.T, n int, most map[string]int) {
	r := newRig(t, func(c *rigConfig) {
		c.policy = opsOwns("phone")
		c.poll = time.Hour // whatever is read is read because of a webhook
		c.xero.Latency, c.crm.Latency = 30*time.Millisecond, 30*time.Millisecond
	})
	r.quiet(20 * time.Second)
	ctx := context.Background()

	var ids []string
	began := time.Now()
	r.calls("creates, a burst", n, most, func() { ids = r.byOps(0, n) })
	t.Logf("%d customers created and level in %.1f s", n, time.Since(began).Seconds())

	r.calls("updates, a burst", n, most, func() { r.set(ids, "phone", func(i int) string { return phone(i) }) })

	must(t, r.engine.SetMode(ctx, "crm", store.ModeObserve, causeOf("test")))
	must(t, r.engine.SetMode(ctx, "accounting", store.ModeObserve, causeOf("test")))
	r.set(ids, "phone", func(i int) string { return phone(i + n) })
	r.calls("updates, a backlog", n, most, func() {
		must(t, r.engine.SetMode(ctx, "crm", store.ModeLive, causeOf("test")))
		must(t, r.engine.SetMode(ctx, "accounting", store.ModeLive, causeOf("test")))
	})
	r.level(n, map[string]int{"crm": n, "accounting": n})
}

// calls runs f, waits until all is quiet and judges what the vendors were asked meanwhile, n customers having changed.
func (r *rig) calls(what string, n int, mosts map[string]int, f func()) {
	r.t.Helper()
	before := map[string]sim.Stats{"crm": r.crm.Stats(), "accounting": r.xero.Stats()}
	f()
	r.quiet(60 * time.Second)
	for system, most := range mosts {
		now, then := r.crm.Stats(), before[system]
		if system == "accounting" {
			now = r.xero.Stats()
		}
		writes, reads := 0, []string{}
		for route, k := range now.WriteCalls {
			writes += k - then.WriteCalls[route]
		}
		for route, k := range now.Routes {
			if d := k - then.Routes[route]; d > 0 && now.WriteCalls[route] == 0 && !strings.HasPrefix(route, "GET /_sim") {
				reads = append(reads, fmt.Sprintf("%d × %s", d, route))
			}
		}
		objects := now.Creates + now.Updates - then.Creates - then.Updates
		r.t.Logf("%s: %s: %d objects in %d write calls; reads: %s", what, system, objects, writes, reads)
		if objects != n || writes > most {
			r.t.Errorf("%s: %s: %d objects written in %d calls, want %d in at most %d", what, system, objects, writes, n, most)
		}
		if d := now.NoopUpdates - then.NoopUpdates; d > 0 {
			r.t.Errorf("%s: %s: %d objects were written with what they had", what, system, d)
		}
		// An echo waits for its write's answer some seconds, which a busy machine can take longer for: only the drill insists.
		if len(reads) > 0 && os.Getenv("DATUM_DRILL") != "" {
			r.t.Errorf("%s: %s was asked what its answers had told: %s", what, system, reads)
		}
	}
}

// TestDisorderChangesNothing: the same edits, told politely and told by webhooks that are shuffled, repeated five times,
// late, or in one case out of five lost, end in the same golden values and the same vendor objects, as soon as a sweep has
// been round.
func TestDisorderChangesNothing(t *testing.T) {
	t.Parallel()
	type outcome struct{ golden, crm, accounting map[string]string }
	results := make(chan outcome, 2)
	play := func(t *testing.T, rude bool) {
		const n, sweepEvery = 40, 4 * time.Second
		r := newRig(t, func(c *rigConfig) {
			c.poll = time.Hour // only webhooks and sweeps tell
			c.sweep = sweepEvery
		})
		r.quiet(20 * time.Second)
		if rude {
			r.rudely()
		}
		crm, acc := map[int]string{}, map[int]string{}
		for i := range n {
			if i%2 == 0 {
				crm[i] = r.inCRM(i)
			} else {
				acc[i] = r.inXero(i)
			}
		}
		// Both sides hold everybody before anybody edits: then the edits meet the same records in both runs.
		eventually(t, 30*time.Second, "everybody on both sides", func() (bool, any) {
			a, b := len(r.ledger("crm")), len(r.ledger("accounting"))
			return a == n && b == n, fmt.Sprint(a, b)
		})
		r.quiet(30 * time.Second)
		byName := func(system string) map[string]string {
			m := map[string]string{}
			for _, o := range r.ledger(system) {
				m[o.name] = o.id
			}
			return m
		}
		inCRM, inXero := byName("crm"), byName("accounting")
		for k := range 3 {
			for i := range n {
				// Sales changes what it owns, again and again; accounting changes what it owns, and what it does not.
				_, err := r.crm.Put("companies", inCRM[named(i)], map[string]any{"phone": phone(i + 100*k), "website": fmt.Sprintf("https://%d.drill.example", k)})
				must(t, err)
				edit := map[string]any{"Addresses": []any{map[string]any{"AddressType": "POBOX", "AddressLine1": fmt.Sprintf("%d Collins St", i+k), "City": "Melbourne", "Region": "VIC", "PostalCode": "3000", "Country": "Australia"}}}
				if i%4 == 0 {
					edit["Phones"] = []any{map[string]any{"PhoneType": "DEFAULT", "PhoneNumber": fmt.Sprintf("5550%04d", k), "PhoneAreaCode": "3", "PhoneCountryCode": "61"}}
				}
				_, err = r.xero.Put("contacts", inXero[named(i)], edit)
				must(t, err)
			}
		}
		edited := time.Now()
		r.swept(sweepEvery + 10*time.Second) // the rest is for a slow machine
		r.quiet(30 * time.Second)
		t.Logf("level %.1f s after the last edit; webhooks crm %+v, accounting %+v", time.Since(edited).Seconds(), r.crm.Stats().Webhooks, r.xero.Stats().Webhooks)
		r.crm.ClearFaults()
		r.xero.ClearFaults()
		o := outcome{map[string]string{}, map[string]string{}, map[string]string{}}
		for _, c := range r.customers() {
			if i, want := numberOf(c.LegalName), ""; i >= 0 {
				if want = phone(i + 200); c.Phone != want {
					t.Errorf("%s has phone %q, want %q\n%s", c.LegalName, c.Phone, want, r.dump(c.ID))
				}
			}
			o.golden[c.LegalName] = fmt.Sprint(c.ABN, c.Email, c.Phone, c.Website, c.BillingAddress)
		}
		for _, x := range r.ledger("crm") {
			o.crm[x.name] = fmt.Sprint(x.abn, x.phone)
		}
		for _, x := range r.ledger("accounting") {
			o.accounting[x.name] = fmt.Sprint(x.abn, x.phone)
		}
		results <- o
	}
	t.Run("runs", func(t *testing.T) {
		t.Run("polite", func(t *testing.T) { t.Parallel(); play(t, false) })
		t.Run("rude", func(t *testing.T) { t.Parallel(); play(t, true) })
	})
	if t.Failed() {
		return
	}
	a, b := <-results, <-results
	for what, pair := range map[string][2]map[string]string{"golden": {a.golden, b.golden}, "crm": {a.crm, b.crm}, "accounting": {a.accounting, b.accounting}} {
		if !maps.Equal(pair[0], pair[1]) {
			n := 0
			for k, v := range pair[0] {
				if w := pair[1][k]; w != v && n < 5 {
					n++
					t.Errorf("%s: %s: %s and %s", what, k, v, w)
				}
			}
			t.Errorf("%s differs: %d and %d customers", what, len(pair[0]), len(pair[1]))
		}
	}
}

// rudely makes both vendors lose every fifth webhook and send the others late, out of order and five times.
func (r *rig) rudely() {
	for _, f := range []sim.Fault{
		{Kind: sim.FaultDrop, Rate: 0.2}, {Kind: sim.FaultDelay, Delay: sim.Duration(300 * time.Millisecond), Rate: 0.3},
		{Kind: sim.FaultReorder, Delay: sim.Duration(100 * time.Millisecond), Rate: 0.5}} {
		_, err := r.crm.AddFault(f)
		must(r.t, err)
		_, err = r.xero.AddFault(f)
		must(r.t, err)
	}
	// The simulators send twice at most: whatever comes is taken five times.
	r.repeat.Store(5)
}

// numberOf is the n of named(n).
func numberOf(name string) int {
	var n int
	if _, err := fmt.Sscanf(name, "Drill %d Pty Ltd", &n); err != nil {
		return -1
	}
	return n
}

// dump is everything that is known of an entity, to find out what went wrong.
func (r *rig) dump(id string) string {
	r.t.Helper()
	var out strings.Builder
	for _, q := range []string{`SELECT x::text FROM records x WHERE entity_id = $1`, `SELECT x::text FROM projections x WHERE entity_id = $1`, `SELECT x::text FROM history x WHERE entity_id = $1 ORDER BY id`,
		`SELECT x::text FROM cases x WHERE entity_id = $1`, `SELECT x::text FROM signals x WHERE (system, external_id) IN (SELECT system, external_id FROM records WHERE entity_id = $1) ORDER BY id`} {
		rows, err := r.pool.Query(context.Background(), q, id)
		must(r.t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(r.t, err)
		out.WriteString(strings.Join(lines, "\n") + "\n")
	}
	return out.String()
}
