package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"golang.org/x/sync/errgroup"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

const (
	claimLease    = 45 * time.Second // longer than a vendor call with its waits
	slotLease     = 60 * time.Second
	maxLinger     = 2 * time.Second
	settleUnknown = 2 * time.Second // a call whose answer was lost may still be running at the vendor
	finishAtOnce  = 4               // transactions at once after a batch
)

type projectWorker struct {
	river.WorkerDefaults[ProjectArgs]
	*Engine
}

// Work writes whatever is due of one system and kind, in batches, until nothing is left. One job at a time (or a few, if
// there are full batches for them) holds a writer slot; the others end, because the holder looks again, under the slots'
// lock, before it gives its slot back. Those of the holder's own process do not even ask.
func (w *projectWorker) Work(ctx context.Context, job *river.Job[ProjectArgs]) (err error) {
	c, err := w.system(ctx, job.Args.System)
	if err != nil {
		return err
	}
	kind := job.Args.Of
	if c.Writer == nil {
		return nil
	}
	batch, slots := max(c.vendor.Batch, 1), 2
	if batch == 1 {
		slots = 4
	}
	of := ProjectArgs{System: c.Name, Of: kind}
	if w.resting(job.Args) || !w.passes.enter(of, batch) {
		return nil
	}
	defer func() {
		if w.passes.leave(of) {
			wctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			err = errors.Join(err, w.wakeProject(wctx, c.Name, kind, 0))
		}
	}()
	if gate, err := store.GateOf(ctx, w.pool, c.Name, kind); err != nil || !gate.Writes() {
		return err // the rows wait; whoever opens the gate wakes them
	}
	if ok, err := w.authorised(ctx, c.Name); err != nil || !ok {
		return err // parked; the supervisor wakes them once the system is authorised again
	}
	p := &pass{projectWorker: w, c: c, kind: kind, batch: batch, slots: slots, lease: uuid.New()}
	took := false
	err = store.Transact(ctx, w.pool, func(tx pgx.Tx) error {
		slot, _, err := store.TakeSlot(ctx, tx, c.Name, kind, w.process.ID, p.lease, slotLease, slots, batch)
		if err != nil {
			return err
		}
		if took = slot >= 0; took {
			p.slot = slot
			return nil
		}
		return complete(ctx, tx, job)
	})
	if err != nil || !took {
		return err
	}
	err = p.run(ctx, job)
	if !p.released {
		rctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		rerr := store.Transact(rctx, w.pool, func(tx pgx.Tx) error {
			_, err := store.ReleaseSlot(rctx, tx, c.Name, kind, p.slot, slots, batch, p.lease, true)
			return err
		})
		err = errors.Join(err, rerr, w.wakeProject(rctx, c.Name, kind, 0))
	}
	return err
}

// complete ends the job in the transaction, so that what commits after it can queue the next one.
func complete(ctx context.Context, tx pgx.Tx, job *river.Job[ProjectArgs]) error {
	_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
	return err
}

// pass is one holder's turn at a writer slot.
type pass struct {
	*projectWorker
	c            *connected
	kind         domain.Kind
	batch, slots int
	slot         int
	lease        uuid.UUID
	gate         store.Gate // at the last claim
	released     bool
}

func (p *pass) run(ctx context.Context, job *river.Job[ProjectArgs]) error {
	started := time.Now()
	for round := 0; ; round++ {
		if err := p.linger(ctx, round); err != nil {
			return err
		}
		if round > 0 {
			ok, err := store.KeepSlot(ctx, p.pool, p.c.Name, p.kind, p.slot, p.lease, slotLease)
			if err != nil || !ok {
				return err
			}
		}
		wait, err := p.round(ctx)
		if err != nil {
			return err
		}
		if !p.gate.Writes() {
			return p.end(ctx, job, true, 0) // the rows wait; whoever opens the gate wakes them
		}
		if wait > 0 || time.Since(started) > jobTimeout/3 {
			// The budget is used up or the system cannot be reached: everything waits, without holding a worker.
			return p.end(ctx, job, true, max(wait, time.Millisecond))
		}
		if err := p.end(ctx, job, false, 0); err != nil || p.released {
			return err
		}
	}
}

// end gives the slot back and completes the job, in one transaction. Unless forced it does so only if nothing is due.
func (p *pass) end(ctx context.Context, job *river.Job[ProjectArgs], force bool, wake time.Duration) error {
	released := false
	p.passes.look(ProjectArgs{System: p.c.Name, Of: p.kind})
	err := store.Transact(ctx, p.pool, func(tx pgx.Tx) error {
		var err error
		if released, err = store.ReleaseSlot(ctx, tx, p.c.Name, p.kind, p.slot, p.slots, p.batch, p.lease, force); err != nil || !released {
			return err
		}
		_, next, err := store.Due(ctx, tx, p.c.Name, p.kind, 1)
		if err != nil {
			return err
		}
		if wake == 0 && next != nil {
			wake = max(time.Until(*next), 10*time.Millisecond)
		}
		return complete(ctx, tx, job)
	})
	if p.released = released && err == nil; !p.released || wake == 0 {
		return err
	}
	return p.wakeProject(ctx, p.c.Name, p.kind, wake)
}

// linger lets a batch fill while a burst is coming in or the budget is tight. The first write after a quiet time goes at
// once, unless what others wait for is just being written: those are on their way, too. Each following one waits until its batch is
// full or nothing more comes for a moment, which grows with the burst.
func (p *pass) linger(ctx context.Context, round int) error {
	if p.batch == 1 {
		return nil
	}
	least, apart, err := p.spacing(ctx, p.c.Name)
	if err != nil {
		return err
	}
	most, full := maxLinger, 0
	if least > 0 {
		most, full = longestSpacing, p.batch // full batches of other kinds go first
	}
	least = max(least, apart-p.sinceWritten(ProjectArgs{System: p.c.Name, Of: p.kind}))
	lull := time.Duration(0)
	if round > 0 {
		lull = 100 * time.Millisecond << min(round-1, 2)
	}
	began := time.Now()
	for grew, had := began, 0; ; {
		due, _, err := store.Due(ctx, p.pool, p.c.Name, p.kind, p.batch)
		if err != nil || due >= p.batch {
			return err
		}
		now := time.Now()
		if due > had {
			grew, had = now, due
		}
		waited := now.Sub(began)
		if waited >= max(least, most) {
			return nil
		}
		if waited >= least && now.Sub(grew) >= lull {
			if coming, err := store.Coming(ctx, p.pool, p.c.Name, p.kind, full); err != nil || !coming {
				return err
			}
		}
		t := time.NewTimer(25 * time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}

// item is one claimed projection on its way.
type item struct {
	*store.Projection
	entity store.Entity
	base   *store.Record
	write  adapters.Write
	// missing are entities that must be in the system first.
	missing []string
	unread  string // what is still to be read of that to which the records of an entity that is new to the system refer
}

// round claims a batch, settles what an earlier crash left open, and writes the rest. wait says how long the system wants
// to be left alone.
func (p *pass) round(ctx context.Context) (wait time.Duration, err error) {
	var claimed []*store.Projection
	err = store.Transact(ctx, p.pool, func(tx pgx.Tx) error {
		p.gate, claimed, err = store.ClaimInSlot(ctx, tx, p.c.Name, p.kind, p.process.ID, p.slot, p.slots, p.batch, p.lease, claimLease)
		return err
	})
	if err != nil || len(claimed) == 0 {
		return 0, err
	}
	items, err := p.load(ctx, claimed)
	if err != nil || len(items) == 0 {
		return 0, err
	}
	ctx = correlate(rest.WithLane(ctx, laneOf(items)), items)
	var unknown, fresh []*item
	for _, it := range items {
		if it.IntentKey != "" {
			unknown = append(unknown, it)
		} else {
			fresh = append(fresh, it)
		}
	}
	if len(unknown) > 0 {
		if wait, err = p.lookUp(ctx, unknown); err != nil {
			return wait, err
		}
	}
	if len(fresh) == 0 {
		return wait, nil
	}
	if wait > 0 {
		return wait, p.giveBack(ctx, fresh, wait, nil)
	}
	if p.gate.Mode == store.ModeDryRun {
		return p.dryRun(ctx, fresh)
	}
	if fresh, wait, err = p.unseen(ctx, fresh); err != nil || len(fresh) == 0 {
		return wait, err
	}
	return p.write(ctx, fresh)
}

// correlate puts the causes of all items into the context, so that a call for several is found from each.
func correlate(ctx context.Context, items []*item) context.Context {
	ids := make([]string, len(items))
	for i, it := range items {
		ids[i] = it.CorrelationID
	}
	return domain.WithCorrelations(ctx, ids)
}

func laneOf(items []*item) rest.Lane {
	for _, it := range items {
		if it.Lane == string(rest.LaneLive) {
			return rest.LaneLive
		}
	}
	return rest.LaneBulk
}

func (p *pass) load(ctx context.Context, claimed []*store.Projection) ([]*item, error) {
	ids, external := make([]string, len(claimed)), []string{}
	for i, c := range claimed {
		ids[i] = c.EntityID
		if c.ExternalID != "" {
			external = append(external, c.ExternalID)
		}
	}
	entities, err := store.Goldens(ctx, p.pool, ids)
	if err != nil {
		return nil, err
	}
	records, err := store.Records(ctx, p.pool, p.c.Name, p.kind, external)
	if err != nil {
		return nil, err
	}
	byID, byExternal := map[string]store.Entity{}, map[string]*store.Record{}
	for _, e := range entities {
		byID[e.ID] = e
	}
	for _, r := range records {
		byExternal[r.ExternalID] = r
	}
	unread, err := p.unread(ctx, claimed)
	if err != nil {
		return nil, err
	}
	refs, err := p.externals(ctx, entities, records, claimed)
	if err != nil {
		return nil, err
	}
	pol, _, err := p.applier.Policy(ctx, p.pool, 0)
	if err != nil {
		return nil, err
	}
	var items, waiting []*item
	for _, c := range claimed {
		it := &item{Projection: c, entity: byID[c.EntityID], base: byExternal[c.ExternalID], unread: unread[c.EntityID]}
		it.write = adapters.Write{Kind: p.kind, CanonicalID: c.EntityID, ExternalID: c.ExternalID, Key: it.key()}
		var missing []domain.Ref
		it.write.Values = refs.vendor(p.kind, c.Diff, &missing)
		it.write.Golden = refs.vendor(p.kind, it.entity.Golden, nil)
		if it.base != nil {
			if it.base.Home != "" {
				it.write.CanonicalID = it.base.Home // of a merged entity: no vendor takes one id for two records, and they may be parted
			}
			base := it.base.Record
			base.Values = refs.vendor(p.kind, base.Values, nil)
			it.write.Base = &base
		}
		missing = slices.DeleteFunc(missing, func(r domain.Ref) bool { return p.c.carried(r.Kind) == nil || !replicated(pol, r.Kind, p.c.Name) })
		if len(missing) > 0 && it.IntentKey == "" || it.unread != "" {
			for _, r := range missing {
				it.missing = append(it.missing, r.ID)
			}
			waiting = append(waiting, it)
			continue
		}
		items = append(items, it)
	}
	return items, p.wait(ctx, waiting)
}

func (it *item) op() string {
	if it.ExternalID == "" {
		return "create"
	}
	return "update"
}

// key is the idempotency key of the write: the same for every repeat of it and for no other.
func (it *item) key() string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%d|%s|%d", it.System, it.EntityID, it.DesiredVersion, it.op(), it.IntentEpoch))
	return hex.EncodeToString(h[:16])
}

// write stores the intents, makes the call and settles the outcomes.
func (p *pass) write(ctx context.Context, items []*item) (time.Duration, error) {
	n := len(items)
	ids, keys, ops, sent := make([]string, n), make([]string, n), make([]string, n), make([]domain.Values, n)
	for i, it := range items {
		ids[i], keys[i], ops[i], sent[i] = it.EntityID, it.write.Key, it.op(), it.Diff
	}
	held, err := store.Intend(ctx, p.pool, p.c.Name, p.kind, p.gate.Mode, p.lease, ids, keys, ops, sent)
	if err != nil {
		return 0, err
	}
	var ours, overtaken []*item
	var writes []adapters.Write
	for _, it := range items {
		if held[it.EntityID] {
			ours = append(ours, it)
			writes = append(writes, it.write)
		} else {
			overtaken = append(overtaken, it) // lost to another worker, held back since, or there is nothing to write any more
		}
	}
	if err := p.giveBack(ctx, overtaken, 0, nil); err != nil || len(writes) == 0 {
		return 0, err
	}
	ctx = correlate(ctx, ours)
	began := time.Now()
	outcomes := p.c.Writer.Write(ctx, writes)
	if len(outcomes) != len(writes) {
		return 0, domain.Errorf(domain.Internal, "%s: the adapter answered %d outcomes for %d writes", p.c.Name, len(outcomes), len(writes))
	}
	p.log.DebugContext(ctx, "written", "system", p.c.Name, "kind", p.kind, "records", len(writes), "duration", time.Since(began))
	// What has happened at the vendor is stored even if the process is being stopped.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	var wait time.Duration
	var unsent []*item
	var why error
	g := new(errgroup.Group)
	g.SetLimit(finishAtOnce)
	for i, it := range ours {
		o := outcomes[i]
		if o.Err != nil {
			wait = max(wait, p.pause(o.Err))
		}
		if notSent(o.Err) && o.Record.ExternalID == "" {
			unsent, why = append(unsent, it), o.Err
			continue
		}
		g.Go(func() error { return p.finish(ctx, it, o) })
	}
	if len(unsent) < len(ours) {
		p.wrote(ProjectArgs{System: p.c.Name, Of: p.kind})
	}
	if len(unsent) > 0 {
		if errors.Is(why, rest.ErrBudget) {
			p.rest(ProjectArgs{System: p.c.Name, Of: p.kind, Lane: string(laneOf(ours))}, wait)
		}
		g.Go(func() error { return p.giveBack(ctx, unsent, wait, why) })
	}
	err = g.Wait()
	p.applier.Ring()
	return wait, err
}

// notSent reports whether the vendor was not called: for want of budget, or because it is being left alone.
func notSent(err error) bool {
	return errors.Is(err, rest.ErrBudget) || errors.Is(err, rest.ErrNotSent)
}

// pause is how long a failure asks the whole system to be left alone; 0 if it is only about one record.
func (p *pass) pause(err error) time.Duration {
	de := domain.AsError(err)
	switch de.Code {
	case domain.RateLimited:
		return max(de.RetryAfter, 50*time.Millisecond)
	case domain.Unauthorized:
		return 5 * time.Second
	case domain.Unavailable, domain.Unknown:
		return max(de.RetryAfter, time.Second)
	default:
		return 0
	}
}

// finish settles one outcome. A worker that has lost its lease changes nothing but has the record looked at again.
func (p *pass) finish(ctx context.Context, it *item, o adapters.Outcome) error {
	if o.Err != nil {
		if o.Record.ExternalID != "" { // a part of it was written
			if err := p.partly(ctx, it, o.Record); err != nil {
				return err
			}
		}
		return p.fail(ctx, it, o.Err)
	}
	in := change.Incoming{System: p.c.Name, Record: o.Record, Wrote: it.Diff, EntityID: it.EntityID,
		Cause: change.Cause{Actor: "datum", Source: change.FromProjection, CorrelationID: it.CorrelationID, Lane: it.Lane}}
	if it.base != nil {
		in.Base = it.base.Values
	}
	held, err := p.settle(ctx, it, in, false)
	if err != nil || held {
		return err
	}
	return store.Transact(ctx, p.pool, func(tx pgx.Tx) error { return p.lookAgain(ctx, tx, it, o.Record.ExternalID) })
}

// partly applies a record of which only a part was written; the lease stays, for the failure that is the rest.
func (p *pass) partly(ctx context.Context, it *item, rec domain.Record) error {
	_, err := p.applier.Record(ctx, change.Incoming{System: p.c.Name, Record: rec, EntityID: it.EntityID, Lease: p.lease,
		Cause: change.Cause{Actor: "datum", Source: change.FromPoll, CorrelationID: it.CorrelationID, Lane: it.Lane}})
	if domain.CodeOf(err) == domain.Stale {
		return nil
	}
	return err
}

// settle applies what is known of the record and ends the projection's lease with it, in one transaction; held is false,
// and nothing changed, if the lease was lost.
func (p *pass) settle(ctx context.Context, it *item, in change.Incoming, nextEpoch bool) (held bool, err error) {
	in.Lease = p.lease
	err = store.Transact(ctx, p.pool, func(tx pgx.Tx) error {
		if in.Record.ExternalID != "" {
			if _, err := p.applier.RecordTx(ctx, tx, in); err != nil {
				return err
			}
		}
		_, err := store.Release{EntityID: it.EntityID, System: it.System, Lease: p.lease, NextEpoch: nextEpoch}.Apply(ctx, tx)
		return err
	})
	if domain.CodeOf(err) == domain.Stale {
		return false, nil
	}
	return err == nil, err
}

// lookAgain queues a signal for a record whose state is in doubt.
func (p *pass) lookAgain(ctx context.Context, tx pgx.Tx, it *item, externalID string) error {
	if externalID == "" {
		return nil
	}
	_, err := store.InsertSignals(ctx, tx, []store.Signal{{System: p.c.Name, Kind: p.kind, ExternalID: externalID, Source: "fence", CorrelationID: it.CorrelationID}})
	if err != nil {
		return err
	}
	return p.ingestTx(ctx, tx, p.c.Name)
}

// fail settles a failure: the vendor's refusal is final until something changes, everything else is tried again, and
// where the outcome is unknown the intent stays, so that the next worker looks before it writes.
func (p *pass) fail(ctx context.Context, it *item, cause error) error {
	de := domain.AsError(cause)
	rel := store.Release{EntityID: it.EntityID, System: it.System, Lease: p.lease, ErrorCode: de.Code, Error: de.Message, RetryIn: de.RetryAfter}
	switch de.Code {
	case domain.RateLimited:
		rel.RetryIn = max(rel.RetryIn, 50*time.Millisecond)
	case domain.Unauthorized:
		rel.RetryIn = 5 * time.Second
	case domain.Unknown, domain.Unavailable:
		rel.KeepIntent, rel.CountAttempt = true, true
		rel.RetryIn = max(rel.RetryIn, settleUnknown, backoff(it.Attempts+1))
	case domain.NotFound:
		rel.RetryIn, rel.CountAttempt = max(5*time.Second, backoff(it.Attempts+1)), true
	case domain.Invalid, domain.Conflict, domain.Forbidden, domain.Unsupported:
		rel.Status = store.Refused
		if de.Code == domain.Forbidden && p.c.Locker != nil { // its books may have been locked since that was read
			if err := store.HurryLockReading(ctx, p.pool, p.c.Name, lockHurry); err != nil {
				return err
			}
		}
	default:
		rel.RetryIn, rel.CountAttempt, rel.KeepIntent = max(rel.RetryIn, backoff(it.Attempts+1)), true, true
	}
	p.log.InfoContext(ctx, "not written", "system", it.System, "entity", it.EntityID, "code", de.Code, "retry_in", rel.RetryIn, "error", loggable(cause))
	return store.Transact(ctx, p.pool, func(tx pgx.Tx) error {
		held, err := store.LockLease(ctx, tx, it.EntityID, it.System, p.lease)
		if err != nil || !held {
			return err
		}
		b := &pgx.Batch{}
		if rel.Status == store.Refused {
			moved, err := store.DesiredMoved(ctx, tx, it.EntityID, it.System, it.DesiredVersion)
			if err != nil {
				return err
			}
			if moved {
				rel.Status = "" // what was refused is no longer what is wanted
			} else {
				it.Error = de.Message
				asked, err := store.AskedFields(ctx, tx, it.EntityID, it.System)
				if err != nil {
					return err
				}
				it.ErrorCode = de.Code
				name, err := p.nameOf(ctx, tx, it)
				if err != nil {
					return err
				}
				c, err := change.Refusal(ctx, tx, it.Projection, asked, name, it.CorrelationID)
				if err != nil {
					return err
				}
				if rel.Cause = it.Cause; c != nil {
					store.QueueCase(b, *c)
					store.QueueEvent(b, store.TopicCase, c.EntityID, c.System, c.ID, it.CorrelationID)
				}
			}
		}
		if rel.CountAttempt && it.Attempts+1 == p.cfg.StuckAfter {
			name, err := p.nameOf(ctx, tx, it)
			if err != nil {
				return err
			}
			store.QueueCase(b, store.Case{ID: domain.NewID("case"), Kind: store.CaseStuck, EntityKind: p.kind, EntityID: it.EntityID, System: it.System,
				DedupeKey: "stuck|" + it.EntityID + "|" + it.System, CorrelationID: it.CorrelationID,
				Title:  fmt.Sprintf("%s does not reach %s", name, it.System),
				Detail: store.CaseDetail{Message: fmt.Sprintf("tried %d times; last: %s", p.cfg.StuckAfter, de.Message), Next: "see whether " + it.System + " works; it is tried again every five minutes"}})
		}
		store.QueueEvent(b, store.TopicProjection, it.EntityID, it.System, "", it.CorrelationID)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		if de.Code == domain.NotFound {
			if err := p.lookAgain(ctx, tx, it, it.ExternalID); err != nil {
				return err
			}
		}
		_, err = rel.Apply(ctx, tx)
		return err
	})
}

func (p *pass) nameOf(ctx context.Context, tx pgx.Tx, it *item) (string, error) {
	return change.Called(ctx, tx, p.kind, it.entity.Golden)
}

// giveBack releases claimed projections for which the vendor was not called; why may be nil.
func (p *pass) giveBack(ctx context.Context, items []*item, in time.Duration, why error) error {
	ids := make([]string, len(items))
	for i, it := range items {
		ids[i] = it.EntityID
	}
	var code domain.Code
	var msg string
	if why != nil {
		code, msg = domain.CodeOf(why), domain.AsError(why).Message
		p.log.InfoContext(ctx, "not written yet", "system", p.c.Name, "records", len(items), "code", code, "retry_in", in, "error", loggable(why))
	}
	return store.GiveBack(ctx, p.pool, p.c.Name, p.lease, ids, in, code, msg)
}
