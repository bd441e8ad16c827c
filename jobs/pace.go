package jobs

import (
	"context"
	"time"

	"datum/domain/store"
)

const (
	tight = 0.5 // share of a limit that is used before calls are spaced out
	busy  = 0.1 // and before batches that are not full keep a distance
	// Limits over shorter times are met by waiting for the call, over longer ones by nothing that takes seconds.
	shortest, longest = 5 * time.Second, 5 * time.Minute
	// A job that waits for a batch to fill has to write it before its time is over.
	longestSpacing = jobTimeout / 3
)

// spacing is how long to wait before the next call that could be larger for waiting. As long as less than half of every
// limit is used it is nothing: latency counts. From there on it grows, so that small calls do not use up a budget that
// full batches would not even touch. apart is how far apart batches of one kind should be that are not full: from much less on, since
// what is not used of a limit is what lets full ones through at once when a burst has come in.
func (e *Engine) spacing(ctx context.Context, system string) (wait, apart time.Duration, err error) {
	budgets, err := store.BudgetsOf(ctx, e.pool, system)
	if err != nil {
		return 0, 0, err
	}
	for _, b := range budgets {
		per := time.Duration(b.PerMS) * time.Millisecond
		if per < shortest || per > longest || b.Calls == 0 {
			continue
		}
		used, even := float64(b.Used)/float64(b.Calls), float64(per/time.Duration(b.Calls))
		// Two to eight times the even spacing of calls and more, since reading and writing share the limit.
		if used > tight {
			wait = max(wait, time.Duration(even*min(8, 2+12*(used-tight))))
		}
		if used > busy {
			apart = max(apart, time.Duration(even*min(8, 2+12*(used-busy))))
		}
	}
	return min(wait, longestSpacing), min(apart, longestSpacing), nil
}

// turn asks for the next turn at reading single objects. While the budget is tight there is one turn per spacing for all
// processes together, so that signals gather and are fetched in one call; later says when the next one is.
func (e *Engine) turn(ctx context.Context, system string) (later time.Duration, err error) {
	wait, _, err := e.spacing(ctx, system)
	if err != nil || wait == 0 {
		return 0, err
	}
	return store.TakeTurn(ctx, e.pool, system, wait)
}

// wrote notes that a batch has just been written, and sinceWritten tells how long ago that was.
func (e *Engine) wrote(of ProjectArgs) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.written[of] = time.Now()
}

func (e *Engine) sinceWritten(of ProjectArgs) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	return time.Since(e.written[of])
}

// rest notes that the budget has no call for a lane of what is written until after d; whoever notes it wakes the writers then.
func (e *Engine) rest(of ProjectArgs, d time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.rests[of] = time.Now().Add(d)
}

// resting reports whether that is still so, for a job that says what it was queued for.
func (e *Engine) resting(of ProjectArgs) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return of.Lane != "" && time.Now().Before(e.rests[of])
}
