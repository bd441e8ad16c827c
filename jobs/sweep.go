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
	"datum/domain/ownership"
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

// gone looks at records that a complete pass did not show. If there are more of them than could be everyday business, some are
// asked for first, because a listing that lost half its pages looks just like that. If those are gone, a person is asked
// about all of them.
func (e *Engine) gone(ctx context.Context, c *connected, kind domain.Kind, sweep *store.Sweep) error {
	missing, live, err := store.UnseenRecords(ctx, e.pool, sweep, 100_000)
	if err != nil {
		return err
	}
	pol, _, err := e.applier.Policy(ctx, e.pool, 0)
	if err != nil {
		return err
	}
	items := make([]store.SweepItem, len(missing))
	signals := make([]store.Signal, len(missing))
	for i, id := range missing {
		items[i] = store.SweepItem{ExternalID: id, What: store.ItemMissing}
		signals[i] = store.Signal{System: c.Name, Kind: kind, ExternalID: id, Source: string(change.FromSweep), CorrelationID: sweep.CorrelationID}
	}
	b := pol.Brake(c.Name, ownership.Gone)
	many := !b.Off && int64(len(missing)) > b.Limit(live)
	if many {
		there, err := e.probe(ctx, c, kind, missing)
		if err != nil {
			return e.later(ctx, c, err)
		}
		if there != "" {
			e.log.WarnContext(ctx, "a listing left out what is there", "system", c.Name, "kind", kind, "missing", len(missing), "live", live)
			return store.EndListing(ctx, e.pool, sweep.ID, fmt.Sprintf("the vendor's listing left out %d of %d, and %s of them is there when it is asked for: nothing was taken for deleted", len(missing), live, there))
		}
		e.log.WarnContext(ctx, "a sweep misses more than could be; a person is asked", "system", c.Name, "kind", kind, "missing", len(missing), "live", live)
	}
	return store.Transact(ctx, e.pool, func(tx pgx.Tx) error {
		held := missing
		if !many {
			held = []string{}
		}
		if err := store.ParkMissing(ctx, tx, c.Name, kind, held, sweep.CorrelationID); err != nil {
			return err
		}
		if err := store.InsertSweepItems(ctx, tx, sweep.ID, items); err != nil {
			return err
		}
		if !many && len(missing) > 0 {
			if _, err := store.InsertSignals(ctx, tx, signals); err != nil {
				return err
			}
			if err := e.ingestTx(ctx, tx, c.Name); err != nil {
				return err
			}
		}
		return store.EndListing(ctx, tx, sweep.ID, "")
	})
}

// probes is how many missing objects are asked for before a listing is believed that misses many.
const probes = 5

// probe asks for some of the missing objects, spread over all of them, and returns one that is there, "" if none is.
func (e *Engine) probe(ctx context.Context, c *connected, kind domain.Kind, missing []string) (string, error) {
	for i := range min(probes, len(missing)) {
		id := missing[i*len(missing)/probes%len(missing)]
		rec, err := c.adapter.Fetch(ctx, kind, id)
		switch {
		case err == nil && !rec.Deleted && rec.MergedInto == "":
			return id, nil
		case err != nil && domain.CodeOf(err) != domain.NotFound:
			return "", err
		}
	}
	return "", nil
}
