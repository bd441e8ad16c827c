package jobs

import (
	"context"
	"time"

	"github.com/riverqueue/river"

	"datum/adapters/rest"
	"datum/domain"
	"datum/domain/store"
)

// lockAge is how old the known lock date of a system's books may get.
const lockAge = 5 * time.Minute

// lockHurry is how soon it is read again when the system has refused a write, which may be for that reason.
const lockHurry = 3 * time.Second

// watchLock has the lock date of a system's books read from time to time.
func (e *Engine) watchLock(ctx context.Context, c *connected) error {
	if c.Locker == nil {
		return nil
	}
	due, err := store.TakeLockReading(ctx, e.pool, c.Name, lockAge)
	if err != nil || !due {
		return err
	}
	_, err = e.client.Insert(ctx, LockArgs{System: c.Name}, unique(inQueue(c.Name)))
	return err
}

type lockWorker struct {
	river.WorkerDefaults[LockArgs]
	*Engine
}

// Work reads the lock date.
func (w *lockWorker) Work(ctx context.Context, job *river.Job[LockArgs]) error {
	c, err := w.readable(ctx, job.Args.System, "")
	if err != nil || c == nil || c.Locker == nil {
		return err
	}
	day, err := c.Locker.LockedUntil(rest.WithLane(domain.WithCorrelation(ctx, domain.NewID("cor")), rest.LaneSweep))
	if err != nil {
		return err
	}
	return store.SetLockedUntil(ctx, w.pool, c.Name, day)
}
