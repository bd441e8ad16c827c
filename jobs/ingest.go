package jobs

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/riverqueue/river"
	"github.com/tidwall/gjson"
	"golang.org/x/sync/errgroup"

	"datum/adapters/rest"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

const (
	ingestBatch    = 300
	ingestLease    = time.Minute
	ingestParallel = 4 // transactions at once in one job
	ingestTries    = 8 // of one signal that cannot be applied, before a person is asked
	// A webhook that may be the echo of a write still under way is looked at again after echoAgain. It waits no longer than
	// a write takes, and less where it may as well be of a new object that somebody else has made meanwhile.
	echoAgain, echoKnown, echoNew = 150 * time.Millisecond, 20 * time.Second, 5 * time.Second
)

type ingestWorker struct {
	river.WorkerDefaults[IngestArgs]
	*Engine
}

// Work works off the pending signals of a system: it fetches what has to be fetched, in batches, and applies it.
func (w *ingestWorker) Work(ctx context.Context, job *river.Job[IngestArgs]) error {
	for started := time.Now(); ; {
		c, err := w.system(ctx, job.Args.System)
		if err != nil {
			return err
		}
		if c.Mode == store.ModeOff {
			return nil // signals wait; switching the system on wakes them
		}
		if later, err := w.turn(ctx, c.Name); err != nil || later > 0 {
			if err == nil {
				err = w.ingestLater(ctx, c.Name, later)
			}
			return err
		}
		signals, err := store.ClaimSignals(ctx, w.pool, c.Name, w.process.ID, ingestLease, ingestBatch)
		if err != nil || len(signals) == 0 {
			return err
		}
		if err := w.ingest(ctx, c, signals); err != nil {
			return err
		}
		if time.Since(started) > jobTimeout/2 {
			return w.wakeIngest(ctx, c.Name, 0)
		}
	}
}

// visit is one object that signals ask to be looked at, and what was found.
type visit struct {
	kind    domain.Kind
	id      string // asked for; the record may answer under another (a survivor, the company of a contact)
	signals []store.Signal
	record  *domain.Record
	err     error
	stale   bool // the signals bring nothing new
	echo    bool // a write of ours is under way, and this may be its echo
}

func (v *visit) signalIDs() []int64 {
	ids := make([]int64, len(v.signals))
	for i, s := range v.signals {
		ids[i] = s.ID
	}
	return ids
}

// causes are the correlation ids of the signals.
func (v *visit) causes() []string {
	ids := make([]string, len(v.signals))
	for i, s := range v.signals {
		ids[i] = s.CorrelationID
	}
	return ids
}

// lane is bulk if nobody waits for it.
func (v *visit) lane() string {
	if slices.ContainsFunc(v.signals, func(s store.Signal) bool { return s.Lane != "bulk" }) {
		return "live"
	}
	return "bulk"
}

func (e *Engine) ingest(ctx context.Context, c *connected, signals []store.Signal) error {
	visits, err := e.visits(ctx, c, signals)
	if err != nil {
		return err
	}
	kinds, err := e.kinds(ctx, c)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		var thin []*visit
		for _, v := range visits {
			if v.kind == kind && v.record == nil {
				thin = append(thin, v)
			}
		}
		if err := e.sift(ctx, c, kind, thin); err != nil {
			return err
		}
		e.fetch(ctx, c, kind, slices.DeleteFunc(thin, func(v *visit) bool { return v.stale || v.echo }))
	}
	var known, echoes []int64
	g := new(errgroup.Group)
	g.SetLimit(ingestParallel)
	for _, kind := range append(kinds, "") { // customers before the invoices that refer to them; "" is what the policy has dropped
		for _, v := range visits {
			switch {
			case v.kind != kind && (kind != "" || slices.Contains(kinds, v.kind)):
			case v.stale || kind == "":
				known = append(known, v.signalIDs()...)
			case v.echo:
				echoes = append(echoes, v.signalIDs()...)
			default:
				g.Go(func() error { return e.visit(ctx, c, v) })
			}
		}
		if err := g.Wait(); err != nil {
			return err
		}
	}
	if len(known) > 0 {
		g.Go(func() error { return store.FinishSignals(ctx, e.pool, known) })
	}
	if len(echoes) > 0 {
		g.Go(func() error {
			if err := store.PostponeSignals(ctx, e.pool, echoes, echoAgain, false, ""); err != nil {
				return err
			}
			return e.wakeIngest(ctx, c.Name, echoAgain)
		})
	}
	return g.Wait()
}

// visits groups signals by object. Of objects that were fetched with the signal, the newest state counts.
func (e *Engine) visits(ctx context.Context, c *connected, signals []store.Signal) ([]*visit, error) {
	type object struct {
		kind domain.Kind
		id   string
	}
	var visits []*visit
	by := map[object]*visit{}
	thin := map[*visit]bool{}
	survivors := map[domain.Kind]map[string]string{}
	asked := map[domain.Kind][]string{}
	for _, s := range signals {
		asked[s.Kind] = append(asked[s.Kind], s.ExternalID)
	}
	for kind, ids := range asked {
		to, err := store.Aliases(ctx, e.pool, c.Name, kind, ids)
		if err != nil {
			return nil, err
		}
		survivors[kind] = to
	}
	for _, s := range signals {
		id := cmp.Or(survivors[s.Kind][s.ExternalID], s.ExternalID)
		v := by[object{s.Kind, id}]
		if v == nil {
			v = &visit{kind: s.Kind, id: id}
			by[object{s.Kind, id}] = v
			visits = append(visits, v)
		}
		v.signals = append(v.signals, s)
		if s.Record == nil {
			thin[v] = true
		} else if v.record == nil || s.Record.FetchedAt.After(v.record.FetchedAt) {
			v.record = s.Record
		}
	}
	for v := range thin {
		v.record = nil
	}
	return visits, nil
}

// sift marks the visits for which nothing has to be fetched: those whose signals all say what the stored record says
// already, being repeats or echoes of our own writes, and those that may be echoes of writes whose answer is not stored yet.
func (e *Engine) sift(ctx context.Context, c *connected, kind domain.Kind, visits []*visit) error {
	if len(visits) == 0 {
		return nil
	}
	ids := make([]string, len(visits))
	for i, v := range visits {
		ids[i] = v.id
	}
	// In this order: a write that is no longer under way has its answer stored.
	flying, creating, err := store.InFlight(ctx, e.pool, c.Name, kind, ids)
	if err != nil {
		return err
	}
	recs, err := store.Records(ctx, e.pool, c.Name, kind, ids)
	if err != nil {
		return err
	}
	byID := map[string]*store.Record{}
	for _, r := range recs {
		byID[r.ExternalID] = r
	}
	for _, v := range visits {
		r := byID[v.id]
		longest := echoKnown
		if r == nil {
			longest = echoNew
		}
		if r != nil && !r.Deleted {
			v.stale = !slices.ContainsFunc(v.signals, func(s store.Signal) bool { return !saysNothingNew(c, s, r) })
		}
		v.echo = !v.stale && (flying[v.id] || r == nil && creating) && !slices.ContainsFunc(v.signals, func(s store.Signal) bool {
			return s.Source != string(change.FromWebhook) || time.Since(s.ReceivedAt) > longest
		})
	}
	return nil
}

func saysNothingNew(c *connected, s store.Signal, r *store.Record) bool {
	if s.Source != string(change.FromWebhook) {
		return false
	}
	if s.Hint != nil {
		return gjson.GetBytes(r.Raw, s.Hint.Path).String() == s.Hint.Value
	}
	return !c.vendor.Partial && s.OccurredAt != nil && r.Version != "" && !s.OccurredAt.After(r.ModifiedAt)
}

// fetch reads the objects, in one call where the vendor can. An object that a batch does not show is asked for by itself:
// only the vendor's own "not found" says that it is gone.
func (e *Engine) fetch(ctx context.Context, c *connected, kind domain.Kind, visits []*visit) {
	if len(visits) == 0 {
		return
	}
	lane := rest.LaneBulk
	if slices.ContainsFunc(visits, func(v *visit) bool { return v.lane() == "live" }) {
		lane = rest.LaneLive
	}
	ctx = rest.WithLane(ctx, lane)
	if c.BatchFetcher != nil && len(visits) > 1 {
		ids := make([]string, len(visits))
		for i, v := range visits {
			ids[i] = v.id
		}
		var causes []string
		for _, v := range visits {
			causes = append(causes, v.causes()...)
		}
		recs, err := c.BatchFetcher.FetchMany(domain.WithCorrelations(ctx, causes), kind, ids)
		if err != nil {
			for _, v := range visits {
				v.err = err
			}
			return
		}
		for i := range recs {
			for _, v := range visits {
				if v.id == recs[i].ExternalID || slices.Contains(recs[i].Aliases, v.id) || slices.Contains(recs[i].AnswersFor, v.id) {
					v.record = &recs[i]
				}
			}
		}
	}
	for _, v := range visits {
		if v.record != nil {
			continue
		}
		asked := time.Now().UTC()
		rec, err := c.adapter.Fetch(domain.WithCorrelations(ctx, v.causes()), kind, v.id)
		switch {
		case err == nil:
			v.record = &rec
		case domain.CodeOf(err) == domain.NotFound:
			v.record = &domain.Record{Kind: kind, ExternalID: v.id, Deleted: true, FetchedAt: asked}
		default:
			v.err = err
		}
	}
}

// visit applies what was found and finishes its signals, or gives them back.
func (e *Engine) visit(ctx context.Context, c *connected, v *visit) error {
	err := v.err
	if err == nil {
		s := v.signals[0]
		in := change.Incoming{System: c.Name, Record: *v.record, Cause: change.Cause{Actor: "system:" + c.Name, Source: change.Source(s.Source), CorrelationID: s.CorrelationID}}
		for _, s := range v.signals {
			in.Brake = cmp.Or(in.Brake, s.Brake)
		}
		if s.Record != nil || s.Source == string(change.FromReprocess) {
			in.Lane = v.lane()
		}
		if in.Brake != "" {
			in.Lane = "bulk"
		}
		var res change.Result
		if res, err = e.applier.Record(ctx, in); err == nil {
			if res.Stale && c.vendor.Partial && s.Attempts < ingestTries {
				return e.again(ctx, c, v)
			}
			if e.holds(c.Name) {
				if err := store.OvertakeParked(ctx, e.pool, c.Name, v.kind, v.id); err != nil {
					return err
				}
			}
			return e.taken(ctx, c, v)
		}
		if b, braked := errors.AsType[*change.Braked](err); braked {
			e.log.InfoContext(ctx, "signal parked by the brake", "system", c.Name, "kind", v.kind, "record", v.id)
			return store.ParkSignals(ctx, e.pool, v.signalIDs(), b.Changes)
		}
	}
	return e.postpone(ctx, c, v, err)
}

// taken finishes a visit's signals, and the failed ones about the same object that it has overtaken.
func (e *Engine) taken(ctx context.Context, c *connected, v *visit) error {
	overtaken, err := store.FinishVisit(ctx, e.pool, v.signalIDs(), c.Name, v.kind, v.id)
	if err != nil || overtaken == 0 {
		return err
	}
	return e.closeCase(ctx, change.StuckKey(c.Name, v.id))
}

// again has an object fetched anew. What was found is older than the stored record, but that may be the answer to our own
// write, which did not show somebody's edit before it.
func (e *Engine) again(ctx context.Context, c *connected, v *visit) error {
	delay := 50 * time.Millisecond << v.signals[0].Attempts
	if err := store.AskAgain(ctx, e.pool, v.signalIDs(), delay); err != nil {
		return err
	}
	return e.wakeIngest(ctx, c.Name, delay)
}

// postpone gives the signals of a visit back. Trouble with the vendor costs no attempt however long it lasts; what cannot
// be applied becomes a case after some tries, and is kept.
func (e *Engine) postpone(ctx context.Context, c *connected, v *visit, err error) error {
	if ctx.Err() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	de := domain.AsError(err)
	delay, counts := de.RetryAfter, false
	tries := v.signals[0].Attempts
	switch de.Code {
	case domain.RateLimited, domain.Unavailable, domain.Unknown:
		delay = max(delay, backoff(tries))
	case domain.Unauthorized:
		delay = max(delay, 5*time.Second)
	default:
		delay, counts = max(delay, backoff(tries)), true
	}
	if counts && tries >= ingestTries {
		e.log.ErrorContext(ctx, "signal given up; a case is open", "system", c.Name, "kind", v.kind, "record", v.id, "code", de.Code, "error", loggable(err))
		return e.stuck(ctx, c, v, de)
	}
	e.log.InfoContext(ctx, "signal postponed", "system", c.Name, "kind", v.kind, "record", v.id, "code", de.Code, "delay", delay, "error", loggable(err))
	if err := store.PostponeSignals(ctx, e.pool, v.signalIDs(), delay, counts, de.Error()); err != nil {
		return err
	}
	return e.wakeIngest(ctx, c.Name, delay)
}

// backoff grows from a second to five minutes.
func backoff(tries int) time.Duration {
	return min(time.Second<<min(max(tries-1, 0), 9), 5*time.Minute)
}
