package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"datum/adapters/rest"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

type sweepWorker struct {
	river.WorkerDefaults[SweepArgs]
	*Engine
}

// Work compares everything a system holds with what Datum knows of it, and repairs. Webhooks are for latency, sweeps are
// the guarantee. Only a provably complete pass concludes that something is gone, and then each is asked for by itself.
func (w *sweepWorker) Work(ctx context.Context, job *river.Job[SweepArgs]) error {
	c, err := w.readable(ctx, job.Args.System, job.Args.Of)
	if err != nil || c == nil || c.Sweeper == nil {
		return err
	}
	kind := job.Args.Of
	ctx = rest.WithLane(ctx, rest.LaneSweep)
	for started := time.Now(); ; {
		at, err := store.CursorFor(ctx, w.pool, c.Name, kind, "sweep", false)
		if err != nil {
			return err
		}
		sweep, err := w.sweep(ctx, c, kind, at.Cursor == "")
		if err != nil {
			return err
		}
		ctx := domain.WithCorrelation(ctx, sweep.CorrelationID)
		page, err := c.Sweeper.List(ctx, kind, at.Cursor)
		if err != nil {
			return w.later(ctx, c, err)
		}
		if !page.More {
			page.Cursor = "" // the next sweep begins anew
		}
		moved, err := w.take(ctx, c, kind, "sweep", at, page, signalsOf(c, page.Records, change.FromSweep, "bulk", sweep.CorrelationID), !page.More, sweep)
		if err != nil || !moved {
			return err
		}
		if !page.More {
			if !page.Complete {
				return store.EndListing(ctx, w.pool, sweep.ID, "the vendor's listing could not be proven complete: it changed while it was read; nothing was taken for deleted")
			}
			return w.gone(ctx, c, kind, sweep)
		}
		if time.Since(started) > jobTimeout/2 {
			return river.JobSnooze(0)
		}
	}
}

// sweep returns the report of the pass that is under way, a new one if it begins.
func (e *Engine) sweep(ctx context.Context, c *connected, kind domain.Kind, begins bool) (s *store.Sweep, err error) {
	if !begins {
		if s, err = store.RunningSweep(ctx, e.pool, c.Name, kind); err != nil || s != nil && s.ListedAt == nil {
			return s, err
		}
	}
	err = store.Transact(ctx, e.pool, func(tx pgx.Tx) error {
		if begins {
			if err := store.BeginPass(ctx, tx, c.Name, kind); err != nil {
				return err
			}
		}
		n, err := store.BeginSweep(ctx, tx, c.Name, kind)
		s = &n
		return err
	})
	return s, err
}

// gone looks at records that a complete pass did not show. More of them than could be everyday business are not touched:
// a person is asked, because a listing that lost half its pages looks just like that.
func (e *Engine) gone(ctx context.Context, c *connected, kind domain.Kind, sweep *store.Sweep) error {
	missing, live, err := store.UnseenRecords(ctx, e.pool, sweep, 1000)
	if err != nil {
		return err
	}
	items := make([]store.SweepItem, len(missing))
	for i, id := range missing {
		items[i] = store.SweepItem{ExternalID: id, What: store.ItemMissing}
	}
	key := "mass_change|" + c.Name + "|" + string(kind)
	if brake := max(20, live/10); int64(len(missing)) > brake {
		e.log.WarnContext(ctx, "a sweep misses more than could be; nothing is taken for deleted", "system", c.Name, "kind", kind, "missing", len(missing), "live", live)
		why := fmt.Sprintf("it left out %d of %d that were there, more than could be everyday business: nothing was taken for deleted", len(missing), live)
		if err := store.InsertSweepItems(ctx, e.pool, sweep.ID, items); err != nil {
			return err
		}
		if err := store.EndListing(ctx, e.pool, sweep.ID, why); err != nil {
			return err
		}
		return e.openCase(ctx, store.Case{Kind: store.CaseMassChange, EntityKind: kind, System: c.Name, DedupeKey: key,
			Title: fmt.Sprintf("%s no longer shows %d of %d %ss", c.Name, len(missing), live, kind),
			Detail: store.CaseDetail{Message: "a complete listing did not show them; nothing has been archived",
				Next: "check in " + c.Name + " whether they were deleted; if the listing was wrong, the next sweep closes this case"}})
	}
	if err := e.closeCase(ctx, key); err != nil {
		return err
	}
	signals := make([]store.Signal, len(missing))
	for i, id := range missing {
		signals[i] = store.Signal{System: c.Name, Kind: kind, ExternalID: id, Source: string(change.FromSweep), CorrelationID: sweep.CorrelationID}
	}
	return store.Transact(ctx, e.pool, func(tx pgx.Tx) error {
		if len(missing) > 0 {
			if _, err := store.InsertSignals(ctx, tx, signals); err != nil {
				return err
			}
			if err := store.InsertSweepItems(ctx, tx, sweep.ID, items); err != nil {
				return err
			}
			if err := e.ingestTx(ctx, tx, c.Name); err != nil {
				return err
			}
		}
		return store.EndListing(ctx, tx, sweep.ID, "")
	})
}
