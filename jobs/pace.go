package jobs

import (
	"context"
	"time"

	"datum/domain/store"
)

const (
	tight = 0.5 // share of a limit that is used before calls are spaced out
	// Limits over shorter times are met by waiting for the call, over longer ones by nothing that takes seconds.
	shortest, longest = 5 * time.Second, 5 * time.Minute
)

// spacing is how long to wait before the next call that could be larger for waiting. As long as less than half of every
// limit is used it is nothing: latency counts. From there on it grows, so that small calls do not use up a budget that
// full batches would not even touch.
func (e *Engine) spacing(ctx context.Context, system string) (time.Duration, error) {
	budgets, err := store.BudgetsOf(ctx, e.pool, system)
	if err != nil {
		return 0, err
	}
	var wait time.Duration
	for _, b := range budgets {
		per := time.Duration(b.PerMS) * time.Millisecond
		if per < shortest || per > longest || b.Calls == 0 {
			continue
		}
		if used := float64(b.Used) / float64(b.Calls); used > tight {
			// Two to eight times the even spacing of calls, since reading and writing share the limit.
			even := per / time.Duration(b.Calls)
			wait = max(wait, time.Duration(float64(even)*(2+12*(used-tight))))
		}
	}
	return wait, nil
}

// turn asks for the next turn at reading single objects. While the budget is tight there is one turn per spacing for all
// processes together, so that signals gather and are fetched in one call; later says when the next one is.
func (e *Engine) turn(ctx context.Context, system string) (later time.Duration, err error) {
	wait, err := e.spacing(ctx, system)
	if err != nil || wait == 0 {
		return 0, err
	}
	return store.TakeTurn(ctx, e.pool, system, wait)
}
