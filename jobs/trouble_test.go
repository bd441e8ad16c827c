package jobs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"datum/adapters/sim"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// TestRevokedSystemParksAndResumes: somebody removes the app in the vendor in the middle of a sync. One case opens, nothing is
// asked of the vendor any more, nothing is counted against the projections; with fresh credentials all of it goes on.
func TestRevokedSystemParksAndResumes(t *testing.T) {
	t.Parallel()
	const n = 60
	r := newRig(t, func(c *rigConfig) {
		c.policy, c.poll, c.xero.Latency = opsOwns("phone"), time.Hour, 50*time.Millisecond
	})
	r.quiet(20 * time.Second)
	ctx := context.Background()
	r.byOps(0, n/2)
	r.xero.Revoke()
	ids := r.byOps(n/2, n)
	reauth := func() map[string]int64 {
		cases, err := store.CountCases(ctx, r.pool)
		must(t, err)
		return cases
	}
	eventually(t, 15*time.Second, "a case", func() (bool, any) { c := reauth(); return c[string(store.CaseReauth)] == 1, c })
	calls := r.xero.Stats().Requests
	r.set(ids, "phone", func(i int) string { return phone(i) })
	eventually(t, 15*time.Second, "the CRM goes on", func() (bool, any) {
		s, _ := r.state()
		for _, b := range s.Backlogs {
			if b.System == "crm" && b.Pending > 0 {
				return false, s
			}
		}
		return len(r.ledger("crm")) == n, s
	})
	if c := reauth(); len(c) != 1 || c[string(store.CaseReauth)] != 1 {
		t.Errorf("cases: %v, want the one", c)
	}
	if more := r.xero.Stats().Requests - calls; more > 5 {
		t.Errorf("a parked system was called %d times", more)
	}
	var attempts int64
	must(t, r.pool.QueryRow(ctx, `SELECT coalesce(max(attempts), 0) FROM projections WHERE system = 'accounting'`).Scan(&attempts))
	if attempts > 0 {
		t.Errorf("a revoked account has cost %d attempts", attempts)
	}
	r.xero.Consent()
	r.connect("accounting")
	r.quiet(30 * time.Second)
	eventually(t, 10*time.Second, "the case is closed", func() (bool, any) { c := reauth(); return len(c) == 0, c })
	r.level(n, map[string]int{"crm": n, "accounting": n})
}

// TestModesLoseNothing: systems are switched off, to observe, to dry run and live at any moment, while customers come in on
// all sides; once they are live, everybody is level.
func TestModesLoseNothing(t *testing.T) {
	t.Parallel()
	const n = 60
	r := newRig(t, func(c *rigConfig) { c.policy = opsOwns("phone"); c.xero.Latency = 20 * time.Millisecond })
	r.quiet(20 * time.Second)
	ctx := context.Background()
	rnd := rand.New(rand.NewPCG(3, 3))
	modes := []store.Mode{store.ModeOff, store.ModeObserve, store.ModeDryRun, store.ModeLive}
	made := map[string]int{}
	for i := 0; i < n; i += 3 {
		for _, s := range []string{"crm", "accounting"} {
			must(t, r.engine.SetMode(ctx, s, modes[rnd.IntN(len(modes))], causeOf("test")))
		}
		ids := r.byOps(i, i+1)
		r.inCRM(i + 1)
		r.inXero(i + 2)
		made["crm"] += 2
		made["accounting"] += 2
		r.set(ids, "phone", func(int) string { return phone(i) })
	}
	for _, s := range []string{"crm", "accounting"} {
		must(t, r.engine.SetMode(ctx, s, store.ModeLive, causeOf("test")))
	}
	r.quiet(30 * time.Second)
	r.level(n, made)
}

// TestVendorDownAndBusy: one vendor answers nothing but 503 for a while and the other every second call with 429. Neither is
// called in a loop, nothing is refused or lost, and both are level soon after.
func TestVendorDownAndBusy(t *testing.T) {
	t.Parallel()
	const n = 80
	r := newRig(t, func(c *rigConfig) { c.policy = opsOwns("phone") })
	r.quiet(20 * time.Second)
	_, err := r.xero.AddFault(sim.Fault{Kind: sim.FaultStatus, Status: 503})
	must(t, err)
	_, err = r.crm.AddFault(sim.Fault{Kind: sim.FaultStatus, Status: 429, RetryAfter: 1, Rate: 0.5})
	must(t, err)
	before := r.xero.Stats().Requests
	began := time.Now()
	made := map[string]int{}
	for i := 0; i < n; i += 4 {
		r.byOps(i, i+2)
		r.inCRM(i + 2)
		r.inXero(i + 3)
		made["crm"] += 3
		made["accounting"] += 3
		time.Sleep(100 * time.Millisecond) // the edits are spread over the time that the vendor is down
	}
	eventually(t, 20*time.Second, "the vendor that is down is left alone", func() (bool, any) {
		a := r.xero.Stats().Requests
		time.Sleep(time.Second) // a stretch without a call is what is looked for
		b := r.xero.Stats().Requests
		return a == b, b - a
	})
	if calls, took := r.xero.Stats().Requests-before, time.Since(began); calls > 40+5*int(took.Seconds()) {
		t.Errorf("a vendor that is down was called %d times in %s", calls, took)
	}
	r.xero.ClearFaults()
	r.crm.ClearFaults()
	cleared := time.Now()
	r.quiet(45 * time.Second)
	t.Logf("level %.1f s after the vendors were well again", time.Since(cleared).Seconds())
	r.level(n, made)
	if cases, err := store.CountCases(context.Background(), r.pool); err != nil || len(cases) > 0 {
		t.Errorf("cases: %v, %v", cases, err)
	}
}

// TestQuietWhenLevel: after the last change jobs and vendor calls go to zero.
func TestQuietWhenLevel(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rigConfig) { c.policy, c.poll = opsOwns("phone"), time.Hour })
	r.quiet(20 * time.Second)
	ids := r.byOps(0, 10)
	r.inCRM(10)
	r.inXero(11)
	r.quiet(20 * time.Second)
	r.set(ids, "phone", func(i int) string { return phone(i) })
	r.quiet(20 * time.Second)
	ctx := context.Background()
	count := func() (calls int, jobs, live int64) {
		must(t, r.pool.QueryRow(ctx, `SELECT coalesce(max(id), 0), count(*) FILTER (WHERE state <> 'completed') FROM river_job`).Scan(&jobs, &live))
		return r.crm.Stats().Requests + r.xero.Stats().Requests, jobs, live
	}
	eventually(t, 20*time.Second, "two seconds without a call or a job", func() (bool, any) {
		calls, jobs, _ := count()
		time.Sleep(2 * time.Second) // silence takes time to be seen
		calls2, jobs2, live := count()
		return calls == calls2 && jobs == jobs2 && live == 0, fmt.Sprintf("%d calls, %d jobs, %d not done", calls2-calls, jobs2-jobs, live)
	})
	r.level(12, map[string]int{"crm": 11, "accounting": 11})
}

// TestRefusedIsCorrected: Xero refuses a name that is too long; a person gives a shorter one, and Xero has the customer.
func TestRefusedIsCorrected(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.quiet(30 * time.Second)
	_, err := r.crm.Put("companies", "", map[string]any{"name": strings.Repeat("Long ", 60) + "Pty Ltd", "abn": abn(1)})
	must(t, err)
	ctx := context.Background()
	var c store.Case
	eventually(t, 20*time.Second, "Xero refuses it", func() (bool, any) {
		cs, err := store.ListCases(ctx, r.pool, store.CaseFilter{Status: "open", Kinds: []string{store.CaseRefused}}, nil, "", 10)
		must(t, err)
		if len(cs) == 1 {
			c = cs[0]
		}
		return len(cs) == 1, cs
	})
	_, err = r.engine.Applier().Decide(ctx, change.Decision{CaseID: c.ID, Choice: change.ChoiceEdit, Field: "legalName", Value: domain.TextValue("Short Pty Ltd"), Cause: causeOf("Jo")})
	must(t, err)
	eventually(t, 20*time.Second, "Xero has it", func() (bool, any) {
		l := r.ledger("accounting")
		return len(l) == 1 && l[0].name == "Short Pty Ltd", l
	})
	r.quiet(20 * time.Second)
}
