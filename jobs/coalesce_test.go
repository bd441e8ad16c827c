package jobs

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestPassesLeaveNothingDue: rows become due from many sides, each followed by a job. However the jobs meet, in the end nothing is due.
func TestPassesLeaveNothingDue(t *testing.T) {
	t.Parallel()
	p := &passes{at: map[ProjectArgs]*passing{}}
	of := ProjectArgs{System: "accounting", Of: "Invoice"}
	var due, ran, absorbed atomic.Int64
	var job func()
	job = func() {
		if !p.enter(of, 50) {
			absorbed.Add(1)
			return
		}
		ran.Add(1)
		for {
			due.Store(0)
			runtime.Gosched()
			p.look(of)
			if due.Load() == 0 {
				break
			}
		}
		if p.leave(of) {
			job()
		}
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 2000 {
				due.Add(1)
				runtime.Gosched()
				job()
			}
		})
	}
	wg.Wait()
	if due.Load() != 0 {
		t.Errorf("%d rows are due and nobody looks for them", due.Load())
	}
	if len(p.at) != 0 {
		t.Errorf("jobs are still counted: %+v", p.at)
	}
	t.Logf("%d jobs looked, %d did not have to", ran.Load(), absorbed.Load())
}

// TestPassesLetASecondWriterIn: while one is at it, every job that may stand for another full batch is let in.
func TestPassesLetASecondWriterIn(t *testing.T) {
	t.Parallel()
	p := &passes{at: map[ProjectArgs]*passing{}}
	of := ProjectArgs{System: "accounting", Of: "Invoice"}
	var in []int
	for i := range 8 {
		if p.enter(of, 3) {
			in = append(in, i)
		}
	}
	if want := []int{0, 3, 6}; !slices.Equal(in, want) {
		t.Errorf("let in %v, want %v", in, want)
	}
	p.look(of)
	p.enter(of, 3)
	for range 2 {
		if p.leave(of) {
			t.Error("the last one looks, not the first ones to leave")
		}
	}
	if !p.leave(of) {
		t.Error("a job that came after the last look is forgotten")
	}
}

// TestTurnsCoverWhoWaits: everybody's id is in a run that began after it had joined, and runs of one key do not overlap.
func TestTurnsCoverWhoWaits(t *testing.T) {
	t.Parallel()
	ts := &turns{at: map[string]*turn{}}
	var running, runs atomic.Int64
	var changed [8]atomic.Int64 // what each id says, and what the last run has seen of it
	var seen [8]atomic.Int64
	ids := []string{"0", "1", "2", "3", "4", "5", "6", "7"}
	follow := func(_ context.Context, which []string) error {
		if running.Add(1) != 1 {
			t.Error("two runs at once")
		}
		defer running.Add(-1)
		runs.Add(1)
		runtime.Gosched() // others come meanwhile
		for _, id := range which {
			i := slices.Index(ids, id)
			seen[i].Store(changed[i].Load())
		}
		return nil
	}
	var wg sync.WaitGroup
	for range 4 {
		for i, id := range ids {
			wg.Go(func() {
				for range 300 {
					now := changed[i].Add(1)
					if err := ts.join(t.Context(), "order", id, follow); err != nil {
						t.Error(err)
					}
					if seen[i].Load() < now {
						t.Errorf("%s was told %d and the run had seen %d", id, now, seen[i].Load())
					}
				}
			})
		}
	}
	wg.Wait()
	if len(ts.at) != 0 {
		t.Errorf("%d turns are left over", len(ts.at))
	}
	t.Logf("%d runs for %d changes", runs.Load(), 4*8*300)
}

// TestTurnsShareFailure: who waited for a run that failed or broke off is told, so that its job is tried again.
func TestTurnsShareFailure(t *testing.T) {
	t.Parallel()
	ts := &turns{at: map[string]*turn{}}
	bad := errors.New("no")
	first, free := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		_ = ts.join(t.Context(), "order", "a", func(context.Context, []string) error { close(first); <-free; return nil })
	})
	<-first
	errs := make(chan error, 4)
	for range 4 {
		wg.Go(func() {
			errs <- ts.join(t.Context(), "order", "b", func(context.Context, []string) error { return bad })
		})
	}
	close(free)
	wg.Wait()
	for range 4 {
		if err := <-errs; !errors.Is(err, bad) {
			t.Errorf("got %v, want the failure of the run", err)
		}
	}
	func() {
		defer func() { _ = recover() }()
		_ = ts.join(t.Context(), "order", "c", func(context.Context, []string) error { panic("broken") })
	}()
	if err := ts.join(t.Context(), "order", "c", func(context.Context, []string) error { return nil }); err != nil {
		t.Errorf("after a panic: %v", err)
	}
}

// TestRestIsOfOneLane: what the budget has no call for ends at once; another lane, another kind and a job of no lane do not.
func TestRestIsOfOneLane(t *testing.T) {
	t.Parallel()
	e := &Engine{rests: map[ProjectArgs]time.Time{}}
	live := ProjectArgs{System: "accounting", Of: "Invoice", Lane: "live"}
	e.rest(live, time.Hour)
	if !e.resting(live) {
		t.Error("the lane that was refused asks again")
	}
	for _, of := range []ProjectArgs{{System: "accounting", Of: "Invoice", Lane: "bulk"}, {System: "accounting", Of: "Invoice"}, {System: "accounting", Of: "Payment", Lane: "live"}} {
		if e.resting(of) {
			t.Errorf("%+v rests, too", of)
		}
	}
	e.rest(live, -time.Second)
	if e.resting(live) {
		t.Error("the rest does not end")
	}
}
