package change

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/match"
	"datum/domain/store"
)

// Scan asks for a search for duplicates in the whole database.
type Scan struct {
	Kind      domain.Kind
	Dry       bool    // open no cases
	Ask       float64 // the probability from which a pair counts; 0 is the policy's, or 0.8 if it has none
	PerSecond int     // records compared in a second at most; 0 is 1000
}

const (
	askAtLeast = 0.8 // when a scan asks if the policy does not say
	scanPace   = 1000
	scanBatch  = 100 // records in one transaction at most
	scanLease  = 30 * time.Second
)

// StartScan begins to compare every record of the kind with those that share a key or a block with it, a bounded number, and to open a
// case for each pair of entities that may be one, unless one is open or a person has said that they are different. It also
// enters records that are not found by their blocks yet, even if Dry. RunScan does it; a worker does within a second if nobody else is at
// it. Conflict if one of the kind is running.
func (a *Applier) StartScan(ctx context.Context, q Scan, cause Cause) (s store.DuplicateScan, err error) {
	defer domain.Wrap(&err, "change.StartScan")
	pol, _, err := a.Policy(ctx, a.pool, 0)
	if err != nil {
		return s, err
	}
	for _, ask := range []float64{pol.Kind(q.Kind).Match.Ask, askAtLeast} {
		if q.Ask == 0 {
			q.Ask = ask
		}
	}
	if q.PerSecond == 0 {
		q.PerSecond = scanPace
	}
	switch {
	case !match.Fuzzy(q.Kind):
		return s, domain.Errorf(domain.Invalid, "there is nothing to compare a %s by; Customer, Product, Invoice and CreditNote can be looked through", q.Kind)
	case q.Ask <= 0 || q.Ask >= 1:
		return s, domain.Errorf(domain.Invalid, "%g is no probability from which to ask: it is between 0 and 1", q.Ask)
	case q.PerSecond < 1 || q.PerSecond > 100_000:
		return s, domain.Errorf(domain.Invalid, "%d a second cannot be: it is 1 to 100000", q.PerSecond)
	}
	s = store.DuplicateScan{ID: domain.NewID("scan"), Kind: q.Kind, Dry: q.Dry, Ask: q.Ask, PerSecond: q.PerSecond, Actor: cause.Actor, CorrelationID: cause.CorrelationID}
	if err := a.transact(ctx, cause, func(r *run) error { return store.InsertDuplicateScan(r.ctx, r.tx, s) }); err != nil {
		return s, err
	}
	return store.DuplicateScanByID(ctx, a.pool, s.ID)
}

// CancelScan ends a scan; the cases that it has opened stay.
func (a *Applier) CancelScan(ctx context.Context, id string, cause Cause) (s store.DuplicateScan, err error) {
	defer domain.Wrap(&err, "change.CancelScan")
	ran, err := store.CancelDuplicateScan(ctx, a.pool, id, cause.Actor)
	if err != nil {
		return s, err
	}
	if s, err = store.DuplicateScanByID(ctx, a.pool, id); err == nil && !ran {
		err = domain.Errorf(domain.Conflict, "the search %s is %s already", id, s.Status)
	}
	return s, err
}

// RunScan goes on with a scan where it stands, for so long (0 is until it ends), no faster than it may. It may be stopped at any moment.
// It returns how the scan stands then; one that still runs is somebody else's, or its time was up. progress may be nil.
func (a *Applier) RunScan(ctx context.Context, id, process string, long time.Duration, progress func(store.DuplicateScan)) (s store.DuplicateScan, err error) {
	defer domain.Wrap(&err, "change.RunScan")
	lease := uuid.New()
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := store.LeaveDuplicateScan(ctx, a.pool, id, lease); err != nil {
			a.log.WarnContext(ctx, "a scan's lease was not given back; it ends by itself", "error", err)
		}
	}()
	for started := time.Now(); long == 0 || time.Since(started) < long; {
		mine, err := store.ClaimDuplicateScan(ctx, a.pool, id, lease, process, scanLease)
		if err != nil {
			return s, err
		}
		if mine == nil {
			break
		}
		if progress != nil {
			progress(*mine)
		}
		began := time.Now()
		n, err := a.scanSome(ctx, *mine, lease)
		if err != nil {
			return s, err
		}
		t := time.NewTimer(time.Until(began.Add(time.Second * time.Duration(n) / time.Duration(mine.PerSecond))))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return s, ctx.Err()
		}
	}
	return store.DuplicateScanByID(ctx, a.pool, id)
}

// scanSome compares the next records of a scan and returns how many.
func (a *Applier) scanSome(ctx context.Context, s store.DuplicateScan, lease uuid.UUID) (int, error) {
	cause := Cause{Actor: s.Actor, Source: FromCase, CorrelationID: s.CorrelationID}
	limit := min(max(s.PerSecond/50, 1), scanBatch)
	var batch []*store.Record
	var found []store.Case
	err := a.transact(ctx, cause, func(r *run) (err error) {
		found = nil
		if batch, err = store.LinkedAfter(r.ctx, r.tx, s.Kind, s.AtSystem, s.AtExternalID, limit); err != nil {
			return err
		}
		for _, rec := range batch {
			store.QueueMatchKeys(r.batch, rec.System, rec.Kind, rec.ExternalID, indexed(rec.Kind, rec.Values))
		}
		if err := r.flush(); err != nil {
			return err
		}
		for _, rec := range batch {
			cs, err := r.among(rec, rec.EntityID, indexed(rec.Kind, rec.Values), s.Ask)
			if err != nil {
				return err
			}
			for _, c := range cs {
				// The older one stays as it is; the newer one waits.
				found = append(found, alikeCase(s.Kind, NameOf(rec.Values), max(rec.EntityID, c.entityID), min(rec.EntityID, c.entityID), "", "", c.verdict))
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	for _, c := range found {
		if err := a.found(ctx, c, s, cause); err != nil {
			return 0, err
		}
	}
	if n := len(batch); n > 0 {
		s.AtSystem, s.AtExternalID = batch[n-1].System, batch[n-1].ExternalID
	}
	_, err = store.AdvanceDuplicateScan(ctx, a.pool, s.ID, lease, len(batch), s.AtSystem, s.AtExternalID, len(batch) < limit)
	return len(batch), err
}

// found notes that a scan has found two that may be one, and opens the case, unless one is open or a person has decided.
func (a *Applier) found(ctx context.Context, c store.Case, s store.DuplicateScan, cause Cause) error {
	return a.transact(ctx, cause, func(r *run) error {
		fresh, err := r.askWhether(c, s.Dry)
		if err != nil || !fresh {
			return err
		}
		return store.InsertDuplicatePair(r.ctx, r.tx, s.ID, store.DuplicatePair{EntityID: c.EntityID, OtherID: c.OtherID, Score: c.Detail.Score, Reasons: c.Detail.Reasons})
	})
}

// askWhether opens the case that two entities may be one, unless one is open or a person has decided, and parks what waits for it. It
// reports whether there was something to ask; if dry nothing is asked.
func (r *run) askWhether(c store.Case, dry bool) (fresh bool, err error) {
	// In one order, as everywhere; either may have been merged since it was read.
	for _, id := range []string{c.OtherID, c.EntityID} {
		st, err := store.LockEntity(r.ctx, r.tx, id)
		if err != nil || st.Entity.MergedInto != "" {
			return false, err
		}
	}
	opened, err := r.openDuplicate(c)
	if err != nil || opened == nil {
		return false, err
	}
	if dry {
		r.batch = &pgx.Batch{} // nothing of it is written
		return true, nil
	}
	_, err = r.resettle(c.EntityID, nil)
	return true, err
}
