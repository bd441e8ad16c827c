package jobs

import (
	"context"
	"errors"
	"maps"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"datum/adapters"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

const (
	reprocessQueue = "reprocess"
	reprocessLease = 45 * time.Second
	reprocessOpen  = 100 // items of one run whose outcome is awaited at once
	reprocessLook  = 200 * time.Millisecond
)

// ReprocessArgs asks for a run to be gone on with.
type ReprocessArgs struct {
	Run string `json:"run" river:"unique"`
}

// Kind implements river.JobArgs.
func (ReprocessArgs) Kind() string { return "reprocess" }

type reprocessWorker struct {
	river.WorkerDefaults[ReprocessArgs]
	*Engine
}

// Work goes on with a run: it hands its items over one by one, no faster than the run allows, and follows what becomes of
// them. Where it stands is in the items' rows, so that it may be killed at any moment; one process at a time is at it.
func (w *reprocessWorker) Work(ctx context.Context, job *river.Job[ReprocessArgs]) error {
	run, err := store.RunByID(ctx, w.pool, job.Args.Run)
	if err != nil || run.Status != "running" {
		return err
	}
	p := &reprocess{Engine: w.Engine, run: run, lease: uuid.New()}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := store.LeaveRun(ctx, w.pool, run.ID, p.lease); err != nil {
			w.log.WarnContext(ctx, "a run's lease was not given back; it ends by itself", "error", err)
		}
	}()
	for started := time.Now(); time.Since(started) < jobTimeout/2; {
		ok, err := store.ClaimRun(ctx, w.pool, run.ID, p.lease, w.process.ID, reprocessLease)
		if err != nil || !ok {
			return err // cancelled, or another process is at it
		}
		if done, err := p.step(ctx); err != nil || done {
			return err
		}
	}
	return river.JobSnooze(0)
}

// reprocess is one process's turn at a run.
type reprocess struct {
	*Engine
	run   store.ReprocessRun
	lease uuid.UUID
}

// step follows what was handed over and hands over what may be until the next look; done once nothing is left.
func (p *reprocess) step(ctx context.Context) (done bool, err error) {
	going, todo, err := store.FollowItems(ctx, p.pool, p.run.ID)
	if err != nil {
		return false, err
	}
	if going+todo == 0 {
		_, err := store.EndRun(ctx, p.pool, p.run.ID, "done", "")
		p.log.InfoContext(ctx, "run ended", "run", p.run.ID, "action", p.run.Action)
		return true, err
	}
	pace := time.NewTicker(time.Second / time.Duration(p.run.PerSecond))
	defer pace.Stop()
	for until := time.Now().Add(reprocessLook); ; {
		if going < reprocessOpen && todo > 0 {
			if err := p.next(ctx); err != nil {
				return false, err
			}
			going, todo = going+1, todo-1
		}
		select {
		case <-pace.C:
		case <-ctx.Done():
			return false, ctx.Err()
		}
		if time.Now().After(until) {
			return false, nil
		}
	}
}

// next hands one item over, in one transaction with the note that it was.
func (p *reprocess) next(ctx context.Context) error {
	var wake string
	err := store.Transact(ctx, p.pool, func(tx pgx.Tx) error {
		it, err := store.NextItem(ctx, tx, p.run.ID, p.lease)
		if err != nil || it == nil {
			return err
		}
		wake = it.System
		err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { return p.do(ctx, tx, it) })
		switch domain.CodeOf(err) {
		case "":
		case domain.Internal:
			return err
		default:
			it.Status, it.Error = "failed", domain.AsError(err).Message
		}
		return store.MarkItem(ctx, tx, p.run.ID, *it)
	})
	p.applier.Ring()
	if err != nil || wake == "" {
		return err
	}
	return p.wakeIngest(ctx, wake, 0)
}

// do begins what is to be done with an item and says how it stands then.
func (p *reprocess) do(ctx context.Context, tx pgx.Tx, it *store.ReprocessItem) error {
	cause := change.Cause{Actor: p.run.Actor, Source: change.FromReprocess, CorrelationID: p.run.CorrelationID, Lane: "bulk", Reason: p.run.Reason}
	words := p.run.Actor + " has left it out: " + p.run.Reason
	it.Status = "going"
	switch it.What + " " + p.run.Action {
	case "signal retry", "signal refetch":
		if err := p.applier.CloseStuckTx(ctx, tx, it.System, it.ExternalID, change.ChoiceRetry, cause); err != nil {
			return err
		}
		return store.RetrySignal(ctx, tx, *it.SignalID, p.run.Action == change.Refetch)
	case "signal skip":
		it.Status = "done"
		if _, err := store.SkipSignal(ctx, tx, *it.SignalID, p.run.Actor, words); err != nil {
			return err
		}
		return p.applier.CloseStuckTx(ctx, tx, it.System, it.ExternalID, change.Skip, cause)
	case "projection retry":
		return p.applier.AgainTx(ctx, tx, it.EntityID, it.System, false, cause)
	case "projection resend":
		if it.ExternalID != "" && !p.run.Force {
			if err := p.ask(ctx, tx, it); err != nil { // what the vendor shows now is compared with what it should
				return err
			}
		}
		return p.applier.AgainTx(ctx, tx, it.EntityID, it.System, p.run.Force, cause)
	case "projection skip":
		it.Status = "done"
		return p.applier.SkipTx(ctx, tx, it.EntityID, it.System, words, cause)
	case "record refetch":
		return p.ask(ctx, tx, it)
	case "record replay":
		it.Status = "done"
		return p.replay(ctx, tx, it, cause)
	case "job retry":
		it.Status = "done"
		_, err := p.client.JobRetryTx(ctx, tx, *it.JobID)
		return err
	case "job skip":
		it.Status = "done"
		_, err := p.client.JobDeleteTx(ctx, tx, *it.JobID)
		return err
	}
	return domain.Errorf(domain.Unsupported, "%s does not go through %ss", p.run.Action, it.What)
}

// ask has the vendor asked for an object.
func (p *reprocess) ask(ctx context.Context, tx pgx.Tx, it *store.ReprocessItem) error {
	id, err := store.InsertSignal(ctx, tx, store.Signal{System: it.System, Kind: it.Kind, ExternalID: it.ExternalID, Source: string(change.FromReprocess),
		CorrelationID: p.run.CorrelationID, Lane: "bulk"})
	it.SignalID = &id
	return err
}

// replay maps what is stored of an object anew and takes it in. The vendor is not asked.
func (p *reprocess) replay(ctx context.Context, tx pgx.Tx, it *store.ReprocessItem, cause change.Cause) error {
	c, err := p.system(ctx, it.System)
	if err != nil {
		return err
	}
	m := c.carried(it.Kind)
	if m == nil {
		return domain.Errorf(domain.Unsupported, "%s carries no %s any more", it.System, it.Kind)
	}
	old, err := store.RecordByID(ctx, tx, it.System, it.Kind, it.ExternalID)
	if err != nil {
		return err
	}
	switch {
	case old == nil || len(old.Raw) == 0:
		return domain.Errorf(domain.NotFound, "nothing is stored of %s %s; refetch it", it.Kind, it.ExternalID)
	case old.Version == "":
		return domain.Errorf(domain.Conflict, "%s %s was written by Datum and not read since, so what is stored of it is not whole; refetch it", it.Kind, it.ExternalID)
	}
	rec, err := remap(c, m, old)
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error {
		_, err := p.applier.RecordTx(ctx, tx, change.Incoming{System: it.System, Record: rec, Cause: cause})
		return err
	})
	b, braked := errors.AsType[*change.Braked](err)
	if !braked {
		return err
	}
	// It waits as a signal for what a person decides, like anything else that the brake holds back.
	it.Status = "going"
	id, err := store.InsertSignal(ctx, tx, store.Signal{System: it.System, Kind: it.Kind, ExternalID: it.ExternalID, Source: string(change.FromReprocess),
		CorrelationID: p.run.CorrelationID, Lane: "bulk", Record: &rec})
	if err != nil {
		return err
	}
	it.SignalID = &id
	return store.ParkSignals(ctx, tx, []int64{id}, b.Changes)
}

// remap is a stored record with its values mapped anew. Fields that were looked up elsewhere, and are not in what is stored, stay.
func remap(c *connected, m *adapters.Mapping, old *store.Record) (domain.Record, error) {
	rec := old.Clone().Record
	if c.Remapper != nil {
		n, err := c.Remapper.Remap(old.Raw)
		if err != nil {
			return rec, err
		}
		rec.Values, rec.Issues, rec.Unknown = n.Values, n.Issues, n.Unknown
		return rec, nil
	}
	o, err := adapters.ParseObject(old.Raw)
	if err != nil {
		return rec, domain.Errorf(domain.Invalid, "what is stored of it cannot be read: %w", err)
	}
	var values domain.Values
	values, rec.Issues, rec.Unknown = m.Read(o)
	bad := map[domain.Field]bool{}
	for _, is := range rec.Issues {
		bad[is.Field] = true
	}
	maps.DeleteFunc(rec.Values, func(f domain.Field, _ domain.Value) bool { return m.Row(f) == nil || bad[f] })
	maps.Copy(rec.Values, values)
	return rec, nil
}

// wakeRuns takes up the runs that nobody is at: new ones, and those that a crash has left behind.
func (e *Engine) wakeRuns(ctx context.Context) error {
	runs, err := store.StrandedRuns(ctx, e.pool)
	for _, id := range runs {
		if _, ierr := e.client.Insert(ctx, ReprocessArgs{Run: id}, unique(reprocessQueue)); ierr != nil {
			return ierr
		}
	}
	return err
}
