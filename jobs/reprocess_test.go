//go:build unix

package jobs_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"datum/adapters/sim"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// reprocess starts a run and waits for its end.
func (r *rig) reprocess(q change.Reprocess) store.ReprocessRun {
	r.t.Helper()
	c := causeOf("Ana")
	c.Reason = "a test"
	run, err := r.engine.Applier().StartReprocess(context.Background(), q, c)
	must(r.t, err)
	return r.ended(run.ID)
}

func (r *rig) ended(id string) (run store.ReprocessRun) {
	r.t.Helper()
	eventually(r.t, 30*time.Second, "the run ends", func() (bool, any) {
		var err error
		run, err = store.RunByID(context.Background(), r.pool, id)
		must(r.t, err)
		return run.Status != "running", run
	})
	return run
}

func (r *rig) failSignals(system string, ids []string, why string) {
	r.t.Helper()
	ctx := context.Background()
	for _, id := range ids {
		n, err := store.InsertSignal(ctx, r.pool, store.Signal{System: system, Kind: domain.KindCustomer, ExternalID: id, Source: "webhook", Lane: "live"})
		must(r.t, err)
		must(r.t, store.FailSignals(ctx, r.pool, []int64{n}, fmt.Sprintf("%s: %s %s (INVALID)", system, why, id)))
	}
}

// TestDeadLettersAndRetry: what failed is shown by its cause; one class is tried again, another is left out with the reason.
func TestDeadLettersAndRetry(t *testing.T) {
	t.Parallel()
	const n = 6
	r := newRig(t, func(c *rigConfig) { c.policy, c.noHooks, c.poll = opsOwns("phone"), true, time.Hour })
	r.quiet(20 * time.Second)
	ctx, apply := context.Background(), r.engine.Applier()
	var ids []string
	for i := range n {
		ids = append(ids, "companies/"+r.inCRM(i))
	}
	r.failSignals("crm", ids, "cannot be read:")
	r.failSignals("crm", []string{"no-such-1", "no-such-2"}, "is odd:")
	_, err := r.xero.AddFault(sim.Fault{Kind: sim.FaultStatus, Status: 403, Method: "POST", Path: "/Contacts"})
	must(t, err)
	refused := r.byOps(100, 102)
	eventually(t, 20*time.Second, "refused", func() (bool, any) {
		ds, err := apply.DeadLetters(ctx, store.ReprocessFilter{})
		must(t, err)
		return len(ds) == 3 && ds[1].Count == 2 && ds[2].Count == 2, ds
	})
	ds, err := apply.DeadLetters(ctx, store.ReprocessFilter{System: "crm"})
	must(t, err)
	if len(ds) != 2 || ds[0].Count != n || ds[0].Class != "crm: cannot be read: companies/…" || ds[0].Code != domain.Invalid || ds[0].Next == "" || ds[0].Example.ExternalID != ids[0] {
		t.Fatalf("dead letters of crm: %+v", ds)
	}
	dead, err := apply.DeadLetters(ctx, store.ReprocessFilter{System: "accounting"})
	must(t, err)
	if len(dead) != 1 || dead[0].What != "projection" || dead[0].Count != 2 || dead[0].Code != domain.Forbidden {
		t.Errorf("dead letters of accounting: %+v", dead)
	}

	if run := r.reprocess(change.Reprocess{Action: change.Retry, Filter: store.ReprocessFilter{System: "crm", Class: ds[0].Class}, PerSecond: 100}); run.Total != n || run.Done != n || run.Failed > 0 {
		t.Errorf("retry: %+v", run)
	}
	if k := len(r.customers()); k != n+2 {
		t.Errorf("%d customers after the retry, want %d", k, n+2)
	}
	if _, err := apply.StartReprocess(ctx, change.Reprocess{Action: change.Skip, Filter: store.ReprocessFilter{System: "crm"}}, causeOf("Ana")); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("left out without a reason: %v", err)
	}
	if run := r.reprocess(change.Reprocess{Action: change.Skip, Filter: store.ReprocessFilter{System: "crm"}}); run.Total != 2 || run.Done != 2 {
		t.Errorf("skip: %+v", run)
	}
	var by, why string
	must(t, r.pool.QueryRow(ctx, `SELECT skipped_by, error FROM signals WHERE external_id = 'no-such-1' AND status = 'skipped'`).Scan(&by, &why))
	if by != "Ana" || why != "Ana has left it out: a test; it was: crm: is odd: no-such-1 (INVALID)" {
		t.Errorf("left out by %q: %q", by, why)
	}

	// A projection is left out until something else is wanted of it.
	if run := r.reprocess(change.Reprocess{Action: change.Skip, Filter: store.ReprocessFilter{Entities: refused[:1], System: "accounting", What: []string{"projection"}}}); run.Done != 1 {
		t.Errorf("skip of a projection: %+v", run)
	}
	ps, err := store.ProjectionsOf(ctx, r.pool, refused[:1])
	must(t, err)
	i := slices.IndexFunc(ps, func(p *store.Projection) bool { return p.System == "accounting" })
	if p := ps[i]; p.Status != store.Parked || p.ErrorCode != change.Skipped || p.Error != "Ana has left it out: a test" {
		t.Errorf("left out: %+v", p)
	}
	r.xero.ClearFaults()
	if run := r.reprocess(change.Reprocess{Action: change.Retry, Filter: store.ReprocessFilter{System: "accounting"}}); run.Total != n+1 || run.Done != n+1 {
		t.Errorf("retry of projections: %+v", run)
	}
	r.set(refused[:1], "phone", func(int) string { return phone(5) })
	r.quiet(20 * time.Second)
	r.level(n+2, map[string]int{"crm": 2, "accounting": n + 2})
	if ds, err := apply.DeadLetters(ctx, store.ReprocessFilter{}); err != nil || len(ds) > 0 {
		t.Errorf("still dead: %+v, %v", ds, err)
	}
	eventually(t, 20*time.Second, "no case is left", func() (bool, any) {
		cases, err := store.CountCases(ctx, r.pool)
		must(t, err)
		return len(cases) == 0, cases
	})
}

// TestResendRefetchReplay: a vendor changes behind everybody's back. Refetch takes its word; resend finds the difference and
// writes it back, and writes nothing where there is none; with force it writes; replay maps what is stored, without a call.
func TestResendRefetchReplay(t *testing.T) {
	t.Parallel()
	const n = 5
	r := newRig(t, func(c *rigConfig) { c.policy, c.noHooks, c.poll = opsOwns("phone"), true, time.Hour })
	r.quiet(20 * time.Second)
	ctx := context.Background()
	ids := r.byOps(0, n)
	r.set(ids, "phone", func(i int) string { return phone(i) })
	r.quiet(20 * time.Second)
	recs, err := store.RecordsOf(ctx, r.pool, ids)
	must(t, err)
	external := map[string]string{}
	for _, rec := range recs {
		if rec.System == "crm" {
			external[rec.EntityID] = rec.ExternalID
		}
	}
	writes := func() int {
		k := 0
		for _, c := range r.crm.Stats().WriteCalls {
			k += c
		}
		return k
	}

	// Level: compared, and nothing is written.
	before, calls := writes(), r.crm.Stats().Requests
	if run := r.reprocess(change.Reprocess{Action: change.Resend, Filter: store.ReprocessFilter{System: "crm"}, PerSecond: 100}); run.Total != n || run.Done != n {
		t.Errorf("resend: %+v", run)
	}
	if k := writes() - before; k != 0 || r.crm.Stats().Requests == calls {
		t.Errorf("resend of what is level wrote %d times in %d calls", k, r.crm.Stats().Requests-calls)
	}
	// Forced: everything is written, once.
	if run := r.reprocess(change.Reprocess{Action: change.Resend, Force: true, Filter: store.ReprocessFilter{System: "crm", Entities: ids[:2]}}); run.Total != 2 || run.Done != 2 {
		t.Errorf("forced: %+v", run)
	}
	if k := writes() - before; k == 0 {
		t.Error("forced, and nothing was written")
	}
	// Changed there by nobody who owns it: found, and put right.
	_, id, _ := cutID(external[ids[3]])
	_, err = r.crm.Put("companies", id, map[string]any{"phone": "+61390000000"})
	must(t, err)
	if run := r.reprocess(change.Reprocess{Action: change.Resend, Filter: store.ReprocessFilter{System: "crm", Entities: ids[3:4]}}); run.Done != 1 {
		t.Errorf("resend of what differs: %+v", run)
	}
	r.quiet(20 * time.Second)
	r.level(n, map[string]int{"crm": n, "accounting": n})

	// Refetch: by the vendor's own id.
	_, err = r.crm.Put("companies", id, map[string]any{"phone": "+61390000001"})
	must(t, err)
	if run := r.reprocess(change.Reprocess{Action: change.Refetch, Filter: store.ReprocessFilter{System: "crm", External: []string{external[ids[3]]}}}); run.Total != 1 || run.Done != 1 {
		t.Errorf("refetch: %+v", run)
	}
	r.quiet(20 * time.Second)
	r.level(n, map[string]int{"crm": n, "accounting": n})

	// Replay: what the mapping has made of it before is wrong; what is stored of the vendor is not.
	must(t, r.engine.Sweep(ctx, "crm", domain.KindCustomer))
	if run := r.reprocess(change.Reprocess{Action: change.Refetch, Filter: store.ReprocessFilter{System: "crm"}, PerSecond: 100}); run.Done != n {
		t.Errorf("refetch of all: %+v", run)
	}
	r.quiet(20 * time.Second)
	_, err = r.pool.Exec(ctx, `UPDATE records SET values = values - 'email' || '{"tradingName": "\"what an old mapping made of it\""}' WHERE system = 'crm' AND external_id = $1`, external[ids[4]])
	must(t, err)
	calls = r.crm.Stats().Requests
	if run := r.reprocess(change.Reprocess{Action: change.Replay, Filter: store.ReprocessFilter{System: "crm"}, PerSecond: 100}); run.Total != n || run.Done != n {
		is, _ := store.RunItems(ctx, r.pool, run.ID, "failed", 0, 9)
		t.Errorf("replay: %+v %+v", run, is)
	}
	if k := r.crm.Stats().Requests - calls; k > 0 {
		t.Errorf("replay called the vendor %d times", k)
	}
	r.quiet(20 * time.Second)
	r.level(n, map[string]int{"crm": n, "accounting": n})
}

// cutID splits the id of a record of HubSpot.
func cutID(s string) (typ, id string, ok bool) {
	for i := range s {
		if s[i] == '/' {
			return s[:i], s[i+1:], true
		}
	}
	return "", s, false
}

// TestReprocessIsResumed: a run is begun by a process that is killed, goes on in another one from where it stood, in the order in
// which things were received, no faster than it may; and one that is cancelled leaves the rest alone.
func TestReprocessIsResumed(t *testing.T) {
	t.Parallel()
	const n = 40
	r := newRig(t, func(c *rigConfig) { c.policy, c.noHooks, c.poll, c.idle = opsOwns("phone"), true, time.Hour, true })
	w := r.startWorker()
	r.quiet(30 * time.Second)
	ctx := context.Background()
	var ids []string
	for i := range n {
		ids = append(ids, "companies/"+r.inCRM(i))
	}
	r.failSignals("crm", ids, "cannot be read:")
	began := time.Now()
	run, err := r.engine.Applier().StartReprocess(ctx, change.Reprocess{Action: change.Retry, Filter: store.ReprocessFilter{System: "crm"}, PerSecond: 10}, causeOf("Ana"))
	must(t, err)
	at := func() store.ReprocessRun { x, err := store.RunByID(ctx, r.pool, run.ID); must(t, err); return x }
	eventually(t, 20*time.Second, "some are done", func() (bool, any) { x := at(); return x.Done >= 5, x })
	if x := at(); x.ETA(time.Now()) == nil && x.Status == "running" {
		t.Errorf("nobody knows when it ends: %+v", x)
	}
	w.kill()
	left := at()
	if left.Status != "running" {
		t.Fatalf("it had ended before the process was killed: %+v", left)
	}
	w.start()
	if got := r.ended(run.ID); got.Status != "done" || got.Done != n || got.Failed > 0 || got.Total != n {
		t.Errorf("resumed: %+v", got)
	}
	if took := time.Since(began); took < (n-2)*100*time.Millisecond {
		t.Errorf("%d at 10 a second took %s", n, took)
	}
	var wrong int
	must(t, r.pool.QueryRow(ctx, `SELECT count(*) FROM (SELECT s.received_at < lag(s.received_at) OVER (ORDER BY i.seq) AS wrong FROM reprocess_items i
		JOIN signals s ON s.id = i.signal_id WHERE i.run_id = $1) x WHERE wrong`, run.ID).Scan(&wrong))
	if wrong > 0 {
		t.Errorf("%d items are out of order", wrong)
	}
	r.quiet(30 * time.Second)
	r.level(n, map[string]int{"crm": 0, "accounting": n})

	r.failSignals("crm", ids, "cannot be read:")
	run, err = r.engine.Applier().StartReprocess(ctx, change.Reprocess{Action: change.Retry, Filter: store.ReprocessFilter{System: "crm"}, PerSecond: 5}, causeOf("Ana"))
	must(t, err)
	eventually(t, 20*time.Second, "some are done", func() (bool, any) { x := at(); return x.Done >= 1, x })
	got, err := r.engine.Applier().CancelReprocess(ctx, run.ID, causeOf("Bo"))
	must(t, err)
	if got.Status != "cancelled" || got.EndedBy != "Bo" || got.Cancelled == 0 || got.Cancelled == n {
		t.Errorf("cancelled: %+v", got)
	}
	if _, err := r.engine.Applier().CancelReprocess(ctx, run.ID, causeOf("Bo")); domain.CodeOf(err) != domain.Conflict {
		t.Errorf("cancelled twice: %v", err)
	}
	eventually(t, 10*time.Second, "what was handed over ends", func() (bool, any) {
		in, err := store.Inboxes(ctx, r.pool)
		must(t, err)
		return len(in) == 1 && in[0].Pending == 0 && in[0].Failed >= got.Cancelled-1, in
	})
}

// TestEditAndRetry: a person corrects what came in, and it is taken in.
func TestEditAndRetry(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rigConfig) { c.policy, c.noHooks, c.poll = opsOwns("phone"), true, time.Hour })
	r.quiet(20 * time.Second)
	ctx, apply := context.Background(), r.engine.Applier()
	id := "companies/" + r.inCRM(1)
	now := time.Now().UTC()
	rec := domain.Record{Kind: domain.KindCustomer, ExternalID: id, ModifiedAt: now, FetchedAt: now, Version: "1", Values: domain.Values{
		"kind": domain.TextValue("BUSINESS"), "legalName": domain.TextValue(named(1)), "abn": domain.TextValue(abn(1)), "email": domain.TextValue("wrong@drill.example")}}
	_, err := store.InsertSignals(ctx, r.pool, []store.Signal{{System: "crm", Kind: domain.KindCustomer, ExternalID: id, Source: "poll", Record: &rec}})
	must(t, err)
	var n int64
	must(t, r.pool.QueryRow(ctx, `UPDATE signals SET status = 'failed', error = 'odd (INVALID)' WHERE external_id = $1 AND status = 'pending' RETURNING id`, id).Scan(&n))
	for _, v := range []domain.Values{{"nonsense": domain.TextValue("x")}, {"abn": domain.TextValue("123")}} {
		if err := apply.EditSignal(ctx, n, v, causeOf("Ana")); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%s was taken: %v", v, err)
		}
	}
	must(t, apply.EditSignal(ctx, n, domain.Values{"email": domain.TextValue("Right@Drill.example")}, causeOf("Ana")))
	eventually(t, 20*time.Second, "taken in", func() (bool, any) {
		cs := r.customers()
		return len(cs) == 1 && cs[0].Email == "Right@drill.example", cs
	})
	if err := apply.EditSignal(ctx, n, domain.Values{"email": domain.Null}, causeOf("Ana")); domain.CodeOf(err) != domain.Conflict {
		t.Errorf("corrected twice: %v", err)
	}
}
