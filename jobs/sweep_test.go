package jobs_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/store"
)

// sweep compares a system with Datum now and waits for the report.
func (r *rig) sweep(system string, kind domain.Kind) store.Sweep {
	r.t.Helper()
	ctx := context.Background()
	last := func() store.Sweep {
		ss, err := store.ListSweeps(ctx, r.pool, system, kind, nil, "", 1)
		must(r.t, err)
		if len(ss) == 0 {
			return store.Sweep{}
		}
		return ss[0]
	}
	before := last().ID
	var s store.Sweep
	eventually(r.t, 30*time.Second, "a report", func() (bool, any) {
		if s = last(); s.ID == before {
			must(r.t, r.engine.Sweep(ctx, system, kind)) // again: the job of the last one may not have ended yet
		}
		return s.ID != before && s.FinishedAt != nil, fmt.Sprintf("%+v", s)
	})
	return s
}

// TestSweepReports: while nobody tells Datum anything, somebody edits, adds and deletes customers in the CRM. The sweep finds
// all of it, repairs it and says so; the next one finds both sides equal, by count and by hash, and convergence has an age.
func TestSweepReports(t *testing.T) {
	t.Parallel()
	const n = 30
	r := newRig(t, func(c *rigConfig) { c.noHooks, c.poll = true, time.Hour })
	r.quiet(20 * time.Second)
	r.byOps(0, n)
	r.quiet(20 * time.Second)
	s := r.sweep("crm", domain.KindCustomer)
	if !s.Complete || !s.Level() || s.TheirsCount != n || s.Repaired+s.Unknown+s.Missing > 0 {
		t.Fatalf("at rest: %+v", s)
	}
	was := s.TheirsHash
	live := r.ledger("crm")
	for _, o := range live[:3] {
		_, err := r.crm.Put("companies", o.id, map[string]any{"phone": "(03) 5550 1234"})
		must(t, err)
	}
	must(t, r.crm.Delete("companies", live[3].id))
	r.inCRM(n)
	r.inCRM(n + 1)
	s = r.sweep("crm", domain.KindCustomer)
	if !s.Complete || !s.Level() || s.TheirsCount != n+1 || s.Repaired != 3 || s.Unknown != 2 || s.OursCount != n+1 || s.TheirsHash == was {
		t.Errorf("after the edits: %+v", s)
	}
	r.quiet(20 * time.Second)
	s = r.sweep("crm", domain.KindCustomer)
	if !s.Complete || !s.Level() || s.Repaired+s.Unknown+s.Missing > 0 {
		t.Errorf("the second look: %+v", s)
	}
	cs, err := store.Convergences(context.Background(), r.pool)
	must(t, err)
	for _, c := range cs {
		if c.System == "crm" && c.Kind == domain.KindCustomer && (c.AsOf == nil || !c.AsOf.Equal(s.StartedAt) || c.Open() != 0 || c.Share() != 1 || c.Wanted != n+1) {
			t.Errorf("convergence: %+v", c)
		}
		if c.System == "accounting" && c.AsOf != nil {
			t.Errorf("a system that was never compared has an age: %+v", c)
		}
	}
}
