//go:build unix

package jobs_test

import (
	"context"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// A search for duplicates is taken up by a worker, and by another one from where it stood when the first is killed.
func TestScanSurvivesAKill(t *testing.T) {
	t.Parallel()
	const n = 60
	r := newRig(t, func(c *rigConfig) { c.noHooks, c.poll, c.idle = true, time.Hour, true })
	w := r.startWorker()
	r.quiet(30 * time.Second)
	ctx := context.Background()
	for i := range n {
		_, err := r.engine.Applier().Edit(ctx, change.Edit{System: "ops", Kind: domain.KindCustomer, Cause: byTest(), Fields: domain.Values{
			"kind": domain.TextValue("BUSINESS"), "legalName": domain.TextValue(named(i)), "abn": domain.TextValue(abn(i))}})
		must(t, err)
	}
	r.quiet(60 * time.Second)
	s, err := r.engine.Applier().StartScan(ctx, change.Scan{Kind: domain.KindCustomer, PerSecond: 50}, causeOf("Ana"))
	must(t, err)
	at := func() store.DuplicateScan {
		x, err := store.DuplicateScanByID(ctx, r.pool, s.ID)
		must(t, err)
		return x
	}
	eventually(t, 30*time.Second, "some are compared", func() (bool, any) { x := at(); return x.Compared >= 5, x })
	w.kill()
	left := at()
	if left.Status != "running" || left.Compared == left.Total {
		t.Fatalf("it had ended before the process was killed: %+v", left)
	}
	w.start()
	eventually(t, 60*time.Second, "it ends", func() (bool, any) { x := at(); return x.Status == "done", x })
	if x := at(); x.Compared != x.Total || x.Total < n {
		t.Errorf("after the kill: %+v, before it %+v", x, left)
	}
}
