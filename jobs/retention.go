package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"datum/domain/store"
)

type retentionWorker struct {
	river.WorkerDefaults[RetentionArgs]
	*Engine
}

// Work makes the partitions of the time to come, drops those past their retention, and deletes in small batches what is not in
// partitions.
func (w *retentionWorker) Work(ctx context.Context, _ *river.Job[RetentionArgs]) error {
	return w.retain(ctx, time.Now())
}

func (e *Engine) retain(ctx context.Context, now time.Time) error {
	rs, err := store.Retentions(ctx, e.pool)
	if err != nil {
		return err
	}
	kept, err := store.KeepPartitions(ctx, e.pool, now, rs)
	if err != nil {
		return err
	}
	if len(kept.Made)+len(kept.Dropped)+len(kept.Busy) > 0 || kept.Deleted > 0 {
		e.log.InfoContext(ctx, "partitions kept", "made", len(kept.Made), "dropped", len(kept.Dropped), "busy", len(kept.Busy), "count", kept.Deleted)
	}
	for _, r := range rs {
		age := time.Duration(r.Days) * 24 * time.Hour
		switch {
		case r.Days == 0:
		case r.Name == "signals":
			_, err = store.PruneSignals(ctx, e.pool, age)
		case r.Name == "notices":
			_, err = store.PruneDeliveries(ctx, e.pool, age)
		case r.Name == "sweeps":
			_, err = store.PruneSweeps(ctx, e.pool, age)
		case r.Name == "answers":
			_, err = store.PruneAnswers(ctx, e.pool, age)
		}
		if err != nil {
			return err
		}
	}
	if _, err := store.PruneBrakeLog(ctx, e.pool, 8*24*time.Hour); err != nil { // the longest window is seven days
		return err
	}
	if _, err := store.PruneMappingPreviews(ctx, e.pool, 7*24*time.Hour); err != nil {
		return err
	}
	if _, err := store.PruneDuplicateScans(ctx, e.pool, 30*24*time.Hour); err != nil {
		return err
	}
	if _, err := store.PruneIdentities(ctx, e.pool); err != nil {
		return err
	}
	if _, err := store.PruneLocks(ctx, e.pool, 24*time.Hour); err != nil {
		return err
	}
	_, err = store.RemoveDeadProcesses(ctx, e.pool, time.Hour)
	return err
}
