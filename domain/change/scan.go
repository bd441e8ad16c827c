package change

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/match"
	"datum/domain/store"
)

// Scan looks for duplicates in the whole database.
type Scan struct {
	Kind domain.Kind
	Dry  bool    // open no cases
	Ask  float64 // the probability from which a pair counts; 0 is the policy's, or 0.8 if it has none
	// Found is told of every pair that nobody has been asked about, once; Progress after each batch.
	Found    func(a, b string, v match.Verdict) error
	Progress func(records, pairs int)
	Cause
}

// askAtLeast is when a scan asks if the policy does not say.
const askAtLeast = 0.8

// scanBatch is how many records are read at a time.
const scanBatch = 500

// Duplicates compares every record of the kind with those that share a key or a block with it, a bounded number, and opens a case
// for each pair of entities that may be one, unless one is open or a person has said that they are different. It also
// enters records that are not found by their blocks yet, even if Dry. It may be repeated at any time, and stopped.
func (a *Applier) Duplicates(ctx context.Context, s Scan) (err error) {
	defer domain.Wrap(&err, "change.Duplicates")
	if !match.Fuzzy(s.Kind) {
		return domain.Errorf(domain.Invalid, "there is nothing to compare a %s by; Customer, Product, Invoice and CreditNote can be looked through", s.Kind)
	}
	type pair struct {
		name, id, other string
		verdict         match.Verdict
	}
	seen := map[[2]string]bool{}
	var system, externalID string
	records, pairs := 0, 0
	for {
		var batch []*store.Record
		var found []pair
		err := a.transact(ctx, s.Cause, func(r *run) error {
			found = nil
			pol, _, err := r.Policy(ctx, r.tx, 0)
			if err != nil {
				return err
			}
			ask := s.Ask
			if ask == 0 {
				ask = pol.Kind(s.Kind).Match.Ask
			}
			if ask == 0 {
				ask = askAtLeast
			}
			if batch, err = store.LinkedAfter(ctx, r.tx, s.Kind, system, externalID, scanBatch); err != nil {
				return err
			}
			for _, rec := range batch {
				store.QueueMatchKeys(r.batch, rec.System, rec.Kind, rec.ExternalID, indexed(rec.Kind, rec.Values))
			}
			if err := r.flush(); err != nil {
				return err
			}
			for _, rec := range batch {
				cs, err := r.among(rec, rec.EntityID, indexed(rec.Kind, rec.Values), ask)
				if err != nil {
					return err
				}
				for _, c := range cs {
					// The older one stays as it is; the newer one waits.
					found = append(found, pair{NameOf(rec.Values), max(rec.EntityID, c.entityID), min(rec.EntityID, c.entityID), c.verdict})
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, p := range found {
			if key := [2]string{p.id, p.other}; !seen[key] {
				seen[key] = true
				fresh, err := a.found(ctx, s, alikeCase(s.Kind, p.name, p.id, p.other, "", "", p.verdict))
				if err != nil {
					return err
				}
				if fresh {
					pairs++
					if err := s.Found(p.other, p.id, p.verdict); err != nil {
						return err
					}
				}
			}
		}
		if records += len(batch); len(batch) > 0 {
			system, externalID = batch[len(batch)-1].System, batch[len(batch)-1].ExternalID
		}
		s.Progress(records, pairs)
		if len(batch) < scanBatch {
			return nil
		}
	}
}

// found opens the case that two entities may be one, unless one is open or a person has decided, and parks what waits for it. It
// reports whether there was something to ask.
func (a *Applier) found(ctx context.Context, s Scan, c store.Case) (fresh bool, err error) {
	err = a.transact(ctx, s.Cause, func(r *run) error {
		// In one order, as everywhere; either may have been merged since it was read.
		for _, id := range slices.Sorted(slices.Values([]string{c.EntityID, c.OtherID})) {
			st, err := store.LockEntity(r.ctx, r.tx, id)
			if err != nil || st.Entity.MergedInto != "" {
				return err
			}
		}
		opened, err := r.openDuplicate(c)
		if fresh = opened != nil; err != nil || !fresh {
			return err
		}
		if s.Dry {
			r.batch = &pgx.Batch{} // nothing of it is written
			return nil
		}
		_, err = r.resettle(c.EntityID, nil)
		return err
	})
	return fresh, err
}
