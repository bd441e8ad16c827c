package store_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/store"
	"datum/internal/pgtest"
)

// Signals with a known key are not stored again: in one batch, in batches at once, by system; those without a key always are.
func TestSignalsOnce(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	batch := func(system string) []store.Signal {
		var ss []store.Signal
		for i := range 20 {
			ss = append(ss, store.Signal{System: system, Kind: kind, ExternalID: fmt.Sprint(i), Source: "webhook", DedupeKey: fmt.Sprint("e", i%10), OccurredAt: &at,
				Hint: &store.Hint{Path: "phone", Value: "1"}})
		}
		return ss
	}
	var added atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			n, err := store.InsertSignals(ctx, pool, batch("crm"))
			if err != nil {
				t.Error(err)
			}
			added.Add(n)
		})
	}
	wg.Wait()
	if n := added.Load(); n != 10 {
		t.Errorf("%d new signals of 10", n)
	}
	if n, err := store.InsertSignals(ctx, pool, batch(xero)); err != nil || n != 10 {
		t.Errorf("%d of another system, %v", n, err)
	}
	bare := []store.Signal{{System: "crm", Kind: kind, ExternalID: "1", Source: "poll", Record: &domain.Record{ExternalID: "1", Values: domain.Values{"phone": text("1"), "email": domain.Null}}}}
	for range 2 {
		if n, err := store.InsertSignals(ctx, pool, bare); err != nil || n != 1 {
			t.Errorf("%d without a key, %v", n, err)
		}
	}
	process := living(t, pool)
	all, err := store.ClaimSignals(ctx, pool, "crm", process, time.Minute, 100)
	must(t, err)
	if len(all) != 12 {
		t.Fatalf("%d claimed", len(all))
	}
	for _, s := range all {
		switch {
		case s.Source == "poll" && (s.Record == nil || s.Record.Values["phone"] != text("1") || s.Record.Values["email"] != domain.Null || s.Hint != nil),
			s.Source == "webhook" && (s.Record != nil || s.Hint == nil || s.Hint.Value != "1" || s.OccurredAt == nil || !s.OccurredAt.Equal(at) || s.Lane != "live"):
			t.Errorf("what went in is not what came out: %+v", s)
		}
	}
	if more, err := store.ClaimSignals(ctx, pool, "crm", process, time.Minute, 100); err != nil || len(more) != 0 {
		t.Errorf("%d claimed twice, %v", len(more), err)
	}
	// What a dead process had claimed comes again; what is finished does not, and its key is still known.
	must(t, store.FinishSignals(ctx, pool, []int64{all[0].ID}))
	must(t, store.StopProcess(ctx, pool, process))
	again, err := store.ClaimSignals(ctx, pool, "crm", living(t, pool), time.Minute, 100)
	if err != nil || len(again) != 11 {
		t.Errorf("%d claimed, %v", len(again), err)
	}
	if n, err := store.InsertSignals(ctx, pool, batch("crm")); err != nil || n != 0 {
		t.Errorf("%d new signals, %v", n, err)
	}
}

// A gap in the vendor's numbers is noticed, whatever else comes late or twice.
func TestNoteSequence(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	for i, c := range []struct {
		first, last int64
		gap         bool
	}{{5, 7, false}, {8, 8, false}, {6, 8, false}, {10, 12, true}, {9, 9, false}, {13, 13, false}, {12, 14, false}, {20, 20, true}} {
		must(t, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			gap, err := store.NoteSequence(ctx, tx, xero, c.first, c.last)
			if (gap != nil) != c.gap {
				t.Errorf("%d: events %d to %d: gap %v", i, c.first, c.last, gap)
			}
			return err
		}))
	}
}
