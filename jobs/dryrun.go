package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// liveOnly lets calls that write go out while their system is live: nothing is sent once a switch has been committed, whoever
// began it.
type liveOnly struct {
	pool   *pgxpool.Pool
	system string
}

func (liveOnly) Look(context.Context, rest.Request) error { return nil }

func (g liveOnly) Now(ctx context.Context) error {
	return permits(ctx, g.pool, g.system, store.ModeLive)
}

// permits is an error unless the system is in one of the modes.
func permits(ctx context.Context, pool *pgxpool.Pool, system string, modes ...store.Mode) error {
	m, err := store.ModeOf(ctx, pool, system)
	if err != nil {
		return err
	}
	for _, want := range modes {
		if m == want {
			return nil
		}
	}
	return &domain.Error{Code: domain.Unavailable, System: system, Message: fmt.Sprintf("%s is in the mode %s, in which nothing is sent", system, m)}
}

// approval lets out the request that was approved and what follows from its answer, and nothing else.
type approval struct {
	*pass
	write  store.RecordedWrite
	looked bool
	other  *rest.Request // another request than was approved
}

func (a *approval) Look(ctx context.Context, q rest.Request) error {
	switch {
	case a.looked:
		return nil
	case a.other != nil || q.Digest != a.write.Digest:
		if a.other == nil {
			a.other = &q
		}
		return domain.Errorf(domain.Unavailable, "it is another request than was approved")
	}
	a.looked = true
	return store.SentWrite(ctx, a.pool, a.write.ID)
}

func (a *approval) Now(ctx context.Context) error {
	return permits(ctx, a.pool, a.c.Name, store.ModeDryRun, store.ModeLive)
}

// dryRun records what would be sent for each item and parks it until a person approves it, and sends what was approved. One at
// a time, so that what is approved is one request for one record.
func (p *pass) dryRun(ctx context.Context, items []*item) (wait time.Duration, err error) {
	ids := make([]string, len(items))
	for i, it := range items {
		ids[i] = it.EntityID
	}
	approved, err := store.ApprovedWrites(ctx, p.pool, p.c.Name, ids)
	if err != nil {
		return 0, err
	}
	for i, it := range items {
		if w, ok := approved[it.EntityID]; ok {
			wait, err = p.sendApproved(ctx, it, w)
		} else {
			wait, err = p.record(ctx, it)
		}
		if err != nil || wait > 0 {
			if i+1 < len(items) && err == nil {
				err = p.giveBack(ctx, items[i+1:], wait, nil)
			}
			break
		}
	}
	p.applier.Ring()
	return wait, err
}

// record rehearses the adapter's write, and stores its first request with the steps that would follow.
func (p *pass) record(ctx context.Context, it *item) (time.Duration, error) {
	r := &rest.Recorder{Rehearse: p.c.vendor.Rehearse}
	o, err := p.one(rest.WithGuard(ctx, r), it)
	if err != nil {
		return 0, err
	}
	if steps := r.Steps(); len(steps) > 0 {
		return 0, p.park(ctx, it, steps, "", "it would be another request by now")
	}
	return p.unsent(ctx, it, o)
}

// one runs the adapter's write for one item.
func (p *pass) one(ctx context.Context, it *item) (adapters.Outcome, error) {
	os := p.c.Writer.Write(ctx, []adapters.Write{it.write})
	if len(os) != 1 {
		return adapters.Outcome{}, domain.Errorf(domain.Internal, "%s: the adapter answered %d outcomes for 1 write", p.c.Name, len(os))
	}
	return os[0], nil
}

// unsent settles an item for which nothing was to be sent: it is level, or it failed before that.
func (p *pass) unsent(ctx context.Context, it *item, o adapters.Outcome) (time.Duration, error) {
	if notSent(o.Err) {
		wait := p.pause(o.Err)
		return wait, p.giveBack(ctx, []*item{it}, wait, o.Err)
	}
	var wait time.Duration
	if o.Err != nil {
		wait = p.pause(o.Err)
	}
	return wait, p.finish(ctx, it, o)
}

// park stores the request and parks the item until it is approved.
func (p *pass) park(ctx context.Context, it *item, steps []rest.Request, note, before string) error {
	q := steps[0]
	next := make([]store.NextStep, 0, len(steps)-1)
	for _, s := range steps[1:] {
		next = append(next, store.NextStep{Method: s.Method, Path: s.Path, Header: s.Header, Body: s.Body})
	}
	w := store.RecordedWrite{ID: domain.NewID("write"), EntityID: it.EntityID, System: it.System, Kind: p.kind, Op: it.op(), DesiredVersion: it.DesiredVersion,
		ExternalID: it.ExternalID, Values: it.Diff, Method: q.Method, Path: q.Path, Header: q.Header, Body: q.Body, NextSteps: next, Digest: q.Digest, Note: note, CorrelationID: it.CorrelationID}
	return store.Transact(ctx, p.pool, func(tx pgx.Tx) error {
		held, err := store.LockLease(ctx, tx, it.EntityID, it.System, p.lease)
		if err != nil || !held {
			return err
		}
		id, err := store.RecordWrite(ctx, tx, w, before)
		if err != nil {
			return err
		}
		b := &pgx.Batch{}
		store.QueueEvent(b, store.TopicProjection, it.EntityID, it.System, "", it.CorrelationID)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		_, err = store.Release{EntityID: it.EntityID, System: it.System, Lease: p.lease, Status: store.Parked, ErrorCode: change.DryRun,
			Error: fmt.Sprintf("dry run: %s would be sent %s %s, recorded as %s; approve it, or switch the system to live", it.System, q.Method, q.Path, id)}.Apply(ctx, tx)
		return err
	})
}

// sendApproved sends an approved write if it is still the same request, with intent and fence like any other. If not it is
// recorded anew.
func (p *pass) sendApproved(ctx context.Context, it *item, w store.RecordedWrite) (time.Duration, error) {
	held, err := store.Intend(ctx, p.pool, p.c.Name, p.kind, p.gate.Mode, p.lease, []string{it.EntityID}, []string{it.write.Key}, []string{it.op()}, []domain.Values{it.Diff})
	if err != nil {
		return 0, err
	}
	if !held[it.EntityID] {
		return 0, p.giveBack(ctx, []*item{it}, 0, nil)
	}
	a := &approval{pass: p, write: w}
	o, err := p.one(rest.WithGuard(ctx, a), it)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	switch {
	case err != nil:
		return 0, err
	case a.other != nil:
		return 0, p.park(ctx, it, []rest.Request{*a.other}, "what was approved as "+w.ID+" would be another request by now, and was not sent; approve this one",
			"it was approved by "+w.DecidedBy+" and not sent: it would be another request by now")
	case !a.looked:
		return p.unsent(ctx, it, o)
	}
	if o.Record.ExternalID == "" && (notSent(o.Err) || domain.CodeOf(o.Err) == domain.RateLimited || domain.CodeOf(o.Err) == domain.Unauthorized) {
		// The vendor has not taken it: the approval stands.
		if err := store.UnsendWrite(ctx, p.pool, w.ID); err != nil {
			return 0, err
		}
	}
	if notSent(o.Err) && o.Record.ExternalID == "" {
		return p.unsent(ctx, it, o)
	}
	var wait time.Duration
	if o.Err != nil {
		wait = p.pause(o.Err)
	}
	return wait, p.finish(ctx, it, o)
}
