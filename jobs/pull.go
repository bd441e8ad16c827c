package jobs

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

type pullWorker struct {
	river.WorkerDefaults[PullArgs]
	*Engine
}

// Work reads what changed since the cursor. Records and the cursor behind them are stored together, so that a page is
// never lost; the first pass is the backfill.
func (w *pullWorker) Work(ctx context.Context, job *river.Job[PullArgs]) error {
	kind, corr := job.Args.Of, domain.NewID("cor")
	ctx = domain.WithCorrelation(ctx, corr)
	if err := store.BeginReading(ctx, w.pool, job.Args.System, kind); err != nil {
		return err
	}
	for started := time.Now(); ; {
		c, err := w.readable(ctx, job.Args.System, kind)
		if err != nil || c == nil {
			return err
		}
		at, err := store.CursorFor(ctx, w.pool, c.Name, kind, "changes", false)
		if err != nil {
			return err
		}
		lane := "live"
		if !at.Ready {
			lane = "bulk"
		}
		page, err := c.adapter.Changes(rest.WithLane(ctx, rest.Lane(lane)), kind, at.Cursor)
		if err != nil {
			return w.later(ctx, c, err)
		}
		moved, err := w.take(ctx, c, kind, "changes", at, page, signalsOf(c, page.Records, change.FromPoll, lane, corr), !page.More, nil)
		if err != nil || !moved || !page.More {
			return err
		}
		if time.Since(started) > jobTimeout/2 {
			return river.JobSnooze(0)
		}
	}
}

// readable returns the system if its mode and authorisation let the kind be read and nobody has paused that, nil if not: then
// there is nothing to do now.
func (e *Engine) readable(ctx context.Context, system string, kind domain.Kind) (*connected, error) {
	c, err := e.system(ctx, system)
	if err != nil {
		return nil, err
	}
	if c.Mode == store.ModeOff {
		return nil, nil
	}
	ok, err := e.authorised(ctx, system)
	if err != nil || !ok {
		return nil, err
	}
	if held, err := store.PausedIn(ctx, e.pool, system, kind); err != nil || held {
		return nil, err
	}
	return c, nil
}

// later turns trouble with a vendor into a snooze, which costs no attempt; everything else is River's to retry.
func (e *Engine) later(ctx context.Context, c *connected, err error) error {
	de := domain.AsError(err)
	switch de.Code {
	case domain.RateLimited, domain.Unavailable, domain.Unauthorized, domain.Unknown:
		e.log.InfoContext(ctx, "reading is put off", "system", c.Name, "code", de.Code, "delay", de.RetryAfter, "error", err)
		return river.JobSnooze(max(de.RetryAfter, time.Second))
	default:
		return loggable(err)
	}
}

// loggable is what may be logged of a failure, and kept with a job. A vendor that refuses may repeat in its own words what
// it was sent or holds, which is somebody's name; they are kept with the projection, the signal and the exchange.
func loggable(err error) error {
	e := domain.AsError(err)
	switch e.Code {
	case domain.Invalid, domain.Conflict, domain.Forbidden, domain.NotFound, domain.Unsupported:
		return &domain.Error{Code: e.Code, Op: e.Op, System: e.System, Field: e.Field, Message: "refused; the exchange log has the vendor's words"}
	default:
		return err
	}
}

// take stores a page: the signals that say something new, and the cursor behind them. moved is false if another process
// has taken the page meanwhile. sweep is the report of the pass that the page belongs to; nil for a poll.
func (e *Engine) take(ctx context.Context, c *connected, kind domain.Kind, name string, at store.Cursor, page adapters.Page, signals []store.Signal, finished bool, sweep *store.Sweep) (moved bool, err error) {
	err = store.Transact(ctx, e.pool, func(tx pgx.Tx) error {
		now, err := store.CursorFor(ctx, tx, c.Name, kind, name, true)
		if err != nil || now.Cursor != at.Cursor {
			return err
		}
		signals, items, err := e.news(ctx, tx, c, kind, signals)
		if err != nil {
			return err
		}
		if at.Ready || sweep != nil {
			if err := e.found(ctx, tx, c, kind, signals); err != nil {
				return err
			}
		}
		if sweep != nil {
			if err := store.InsertSweepItems(ctx, tx, sweep.ID, items); err != nil {
				return err
			}
		}
		if len(signals) > 0 {
			if _, err := store.InsertSignals(ctx, tx, signals); err != nil {
				return err
			}
			if err := e.ingestTx(ctx, tx, c.Name); err != nil {
				return err
			}
		}
		moved = true
		now.Cursor = page.Cursor
		now.PassSeen += int64(len(page.Records))
		return store.SetCursor(ctx, tx, c.Name, kind, name, now, finished)
	})
	return moved, err
}

func signalsOf(c *connected, recs []domain.Record, source change.Source, lane, corr string) []store.Signal {
	signals := make([]store.Signal, len(recs))
	for i := range recs {
		signals[i] = store.Signal{System: c.Name, Kind: recs[i].Kind, ExternalID: recs[i].ExternalID, Source: string(source), Record: &recs[i], Lane: lane, CorrelationID: corr}
	}
	return signals
}

// news leaves out what is stored already: overlapping windows and sweeps repeat most of what they bring. items say of each
// object what was found.
func (e *Engine) news(ctx context.Context, tx pgx.Tx, c *connected, kind domain.Kind, signals []store.Signal) (news []store.Signal, items []store.SweepItem, err error) {
	ids := make([]string, len(signals))
	for i, s := range signals {
		ids[i] = s.ExternalID
	}
	stored, err := store.Records(ctx, tx, c.Name, kind, ids)
	if err != nil {
		return nil, nil, err
	}
	by := make(map[string]*store.Record, len(stored))
	for _, r := range stored {
		by[r.ExternalID] = r
	}
	if signals, err = e.unerased(ctx, tx, c, kind, signals, by); err != nil {
		return nil, nil, err
	}
	linked, err := e.linked(ctx, tx, c, signals)
	if err != nil {
		return nil, nil, err
	}
	erased, err := store.ErasedAmong(ctx, tx, slices.Collect(maps.Values(linked)))
	if err != nil {
		return nil, nil, err
	}
	at := map[string]int{}
	for _, s := range signals {
		r := by[s.ExternalID]
		n, waits := referred(s.Record, linked)
		if erased[n.Values["customer"].Text()] {
			change.Anonymise(s.Record) // nothing of the person is stored, not even on its way
			n, waits = referred(s.Record, linked)
		}
		it := store.SweepItem{ExternalID: s.ExternalID, What: store.ItemSame, Hash: domain.Hash(n.Values)}
		switch {
		case s.Record.Deleted || s.Record.MergedInto != "":
			it.What = store.ItemGone
		case r == nil || r.Deleted:
			it.What = store.ItemUnknown
		case !sameRecord(r, n, waits):
			it.What = store.ItemDiffers
		}
		if it.What != store.ItemSame || waits {
			it.Values = s.Record.Values
		}
		if i, twice := at[s.ExternalID]; twice {
			items[i] = it
		} else {
			at[s.ExternalID] = len(items)
			items = append(items, it)
		}
		if it.What == store.ItemSame && len(s.Record.Aliases) == 0 {
			continue
		}
		news = append(news, s)
	}
	return news, items, nil
}

// unerased leaves out customers who were erased and whom the vendor still shows.
func (e *Engine) unerased(ctx context.Context, tx pgx.Tx, c *connected, kind domain.Kind, signals []store.Signal, stored map[string]*store.Record) ([]store.Signal, error) {
	var ask []domain.Ref
	for _, s := range signals {
		if kind == domain.KindCustomer && stored[s.ExternalID] == nil {
			ask = append(ask, domain.Ref{Kind: kind, ID: s.ExternalID})
		}
	}
	if len(ask) == 0 {
		return signals, nil
	}
	suppressed, err := store.LinkedRefs(ctx, tx, c.Name, ask)
	if err != nil || len(suppressed) == 0 {
		return signals, err
	}
	var rest []store.Signal
	for _, s := range signals {
		if suppressed[domain.Ref{Kind: kind, ID: s.ExternalID}] == "" {
			rest = append(rest, s)
		} else if _, err := store.Suppressed(ctx, tx, c.Name, kind, s.ExternalID, s.Record.Deleted); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// linked looks up what the records refer to: stored ones refer by our ids.
func (e *Engine) linked(ctx context.Context, tx pgx.Tx, c *connected, signals []store.Signal) (map[domain.Ref]string, error) {
	var ask []domain.Ref
	for _, s := range signals {
		for _, ref := range domain.Refs(s.Kind, s.Record.Values) {
			if id, ok := domain.ExtID(ref.ID); ok {
				ask = append(ask, domain.Ref{Kind: ref.Kind, ID: id})
			}
		}
	}
	if len(ask) == 0 {
		return nil, nil
	}
	return store.LinkedRefs(ctx, tx, c.Name, ask)
}

// referred returns the record as it would be stored: with our ids for what it refers to. waits says that some of that is not
// linked yet, and was left out.
func referred(rec *domain.Record, linked map[domain.Ref]string) (n domain.Record, waits bool) {
	n = *rec
	n.Values = domain.MapRefs(n.Kind, n.Values, func(ref domain.Ref) string {
		id, ok := domain.ExtID(ref.ID)
		if !ok {
			return ref.ID
		}
		to := linked[domain.Ref{Kind: ref.Kind, ID: id}]
		waits = waits || to == ""
		return to
	})
	return domain.Checked(n), waits
}

func sameRecord(r *store.Record, n domain.Record, waits bool) bool {
	if slices.ContainsFunc(r.Issues, func(is domain.Issue) bool { return is.Path != "" }) {
		// Values that can no longer be read are kept: whether there is anything new is for the objects to say.
		a, _ := domain.Canonical(r.Raw)
		b, err := domain.Canonical(n.Raw)
		return err == nil && a == b
	}
	return waits == (len(r.Waits) > 0) && len(r.Values.Diff(n.Values)) == 0 && len(n.Values.Diff(r.Values)) == 0 && len(r.Issues) == len(n.Issues) && r.CanonicalID == n.CanonicalID
}
