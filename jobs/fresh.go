package jobs

import (
	"context"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
)

// unseen looks at vendor objects once more before somebody's word in them is written over, where the policy wants a person to
// be asked about such a word: it may have been typed since the object was last read, its webhook late or lost, and writing
// over it would leave no trace of it. What has moved is applied and its projection given back; the others are returned.
// What is put back anyway is not looked at: that would be a call for each write, and its end is the same.
func (p *pass) unseen(ctx context.Context, items []*item) (still []*item, wait time.Duration, err error) {
	pol, _, err := p.applier.Policy(ctx, p.pool, 0)
	if err != nil {
		return nil, 0, err
	}
	kp := pol.Kind(p.kind)
	doubt := map[string]*item{}
	var ids []string
	for _, it := range items {
		if it.base == nil || !overwrites(kp, it) {
			still = append(still, it)
			continue
		}
		doubt[it.ExternalID] = it
		ids = append(ids, it.ExternalID)
	}
	if len(ids) == 0 {
		return still, 0, nil
	}
	recs, err := p.fetchAll(ctx, ids)
	if err != nil {
		if wait = p.pause(err); wait == 0 { // it cannot be read; the write says what is wrong
			return items, 0, nil
		}
		return nil, wait, p.giveBack(ctx, items, wait, err)
	}
	var moved []*item
	for _, rec := range recs {
		it := doubt[rec.ExternalID]
		if it == nil || rec.MergedInto != "" {
			continue // merged away: a signal about it will come, and the write says so too
		}
		changed := false
		for f := range it.Diff {
			if now, carried := rec.Values[f]; carried && !same(now, it.write.Base.Values[f]) {
				changed = true
			}
		}
		if !changed {
			continue
		}
		if _, err := p.applier.Record(ctx, change.Incoming{System: p.c.Name, Record: rec,
			Cause: change.Cause{Actor: "system:" + p.c.Name, Source: change.FromPoll, CorrelationID: it.CorrelationID, Lane: it.Lane}}); err != nil {
			return nil, 0, err
		}
		delete(doubt, rec.ExternalID)
		moved = append(moved, it)
	}
	for _, id := range ids {
		if it := doubt[id]; it != nil {
			still = append(still, it)
		}
	}
	if len(moved) > 0 {
		p.applier.Ring()
	}
	return still, 0, p.giveBack(ctx, moved, 0, nil)
}

// overwrites reports whether the write replaces a value about which a person is to be asked.
func overwrites(kp *ownership.KindPolicy, it *item) bool {
	for f := range it.Diff {
		if !it.base.Values[f].Empty() && kp.Rule(f, it.entity.Stage).Others == ownership.Propose {
			return true
		}
	}
	return false
}

// same compares two values of one vendor.
func same(a, b domain.Value) bool {
	return a == b || a.Empty() && b.Empty() || domain.Same(a, b)
}

// fetchAll reads objects, in one call where the vendor can; those that are gone are left out.
func (p *pass) fetchAll(ctx context.Context, ids []string) ([]domain.Record, error) {
	if p.c.BatchFetcher != nil && len(ids) > 1 {
		return p.c.BatchFetcher.FetchMany(ctx, p.kind, ids)
	}
	var recs []domain.Record
	for _, id := range ids {
		rec, err := p.c.adapter.Fetch(ctx, p.kind, id)
		if domain.CodeOf(err) == domain.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		recs = append(recs, rec)
	}
	return recs, nil
}
