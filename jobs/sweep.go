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
	c, err := w.readable(ctx, job.Args.System)
	if err != nil || c == nil || c.Sweeper == nil {
		return err
	}
	kind := job.Args.Of
	ctx = rest.WithLane(domain.WithCorrelation(ctx, domain.NewID("cor")), rest.LaneSweep)
	for started := time.Now(); ; {
		at, err := store.CursorFor(ctx, w.pool, c.Name, kind, "sweep", false)
		if err != nil {
			return err
		}
		if at.Cursor == "" {
			if err := store.BeginPass(ctx, w.pool, c.Name, kind); err != nil {
				return err
			}
			at.PassSeen = 0
		}
		page, err := c.Sweeper.List(ctx, kind, at.Cursor)
		if err != nil {
			return w.later(ctx, c, err)
		}
		ids := make([]string, len(page.Records))
		for i, r := range page.Records {
			ids[i] = r.ExternalID
		}
		if err := store.TouchRecords(ctx, w.pool, c.Name, kind, ids); err != nil {
			return err
		}
		if !page.More {
			page.Cursor = "" // the next sweep begins anew
		}
		moved, err := w.take(ctx, c, kind, "sweep", at, page, signalsOf(c, page.Records, change.FromSweep, "bulk", domain.Correlation(ctx)), !page.More)
		if err != nil || !moved {
			return err
		}
		if !page.More {
			if page.Complete {
				return w.gone(ctx, c, kind)
			}
			return nil
		}
		if time.Since(started) > jobTimeout/2 {
			return river.JobSnooze(0)
		}
	}
}

// gone looks at records that a complete pass did not show. More of them than could be everyday business are not touched:
// a person is asked, because a listing that lost half its pages looks just like that.
func (e *Engine) gone(ctx context.Context, c *connected, kind domain.Kind) error {
	missing, live, err := store.UnseenRecords(ctx, e.pool, c.Name, kind, 1000)
	if err != nil {
		return err
	}
	key := "mass_change|" + c.Name + "|" + string(kind)
	if brake := max(20, live/10); int64(len(missing)) > brake {
		e.log.WarnContext(ctx, "a sweep misses more than could be; nothing is taken for deleted", "system", c.Name, "kind", kind, "missing", len(missing), "live", live)
		return e.openCase(ctx, store.Case{Kind: store.CaseMassChange, EntityKind: kind, System: c.Name, DedupeKey: key,
			Title: fmt.Sprintf("%s no longer shows %d of %d %ss", c.Name, len(missing), live, kind),
			Detail: store.CaseDetail{Message: "a complete listing did not show them; nothing has been archived",
				Next: "check in " + c.Name + " whether they were deleted; if the listing was wrong, the next sweep closes this case"}})
	}
	if err := e.closeCase(ctx, key); err != nil || len(missing) == 0 {
		return err
	}
	signals := make([]store.Signal, len(missing))
	for i, id := range missing {
		signals[i] = store.Signal{System: c.Name, Kind: kind, ExternalID: id, Source: string(change.FromSweep), CorrelationID: domain.Correlation(ctx)}
	}
	return store.Transact(ctx, e.pool, func(tx pgx.Tx) error {
		if _, err := store.InsertSignals(ctx, tx, signals); err != nil {
			return err
		}
		return e.ingestTx(ctx, tx, c.Name)
	})
}
