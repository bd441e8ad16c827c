package jobs

import (
	"context"
	"time"

	"datum/adapters"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// lookUp finds out what became of writes whose outcome is unknown. What is found is linked and compared; what is not there
// was not written and may be written again.
func (p *pass) lookUp(ctx context.Context, items []*item) (time.Duration, error) {
	var creates, updates []*item
	for _, it := range items {
		if it.ExternalID == "" {
			creates = append(creates, it)
		} else {
			updates = append(updates, it)
		}
	}
	ctx = correlate(ctx, items)
	found := map[*item][]domain.Record{}
	err := func() error {
		if len(creates) > 0 {
			if p.c.Finder == nil {
				return domain.Errorf(domain.Unsupported, "%s: its adapter cannot look up what became of a write", p.c.Name)
			}
			queries := make([]adapters.Query, len(creates))
			for i, it := range creates {
				queries[i] = adapters.Query{CanonicalID: it.EntityID}
				if m := p.c.carried(p.kind); m != nil && m.IDField == "" {
					queries[i].Values = it.write.Golden // the vendor has no place for our id: what it is known by must do
				}
			}
			answers, err := p.c.Finder.Find(ctx, p.kind, queries)
			if err != nil {
				return err
			}
			for i, it := range creates {
				found[it] = answers[i]
			}
		}
		for _, it := range updates {
			rec, err := p.c.adapter.Fetch(ctx, p.kind, it.ExternalID)
			if err != nil && domain.CodeOf(err) != domain.NotFound {
				return err
			}
			if err == nil {
				found[it] = []domain.Record{rec}
			}
		}
		return nil
	}()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	if err != nil {
		de := domain.AsError(err)
		wait := max(p.pause(err), de.RetryAfter, time.Second)
		p.log.InfoContext(ctx, "looking up unknown outcomes failed", "system", p.c.Name, "records", len(items), "code", de.Code, "error", loggable(err))
		for _, it := range items {
			rel := store.Release{EntityID: it.EntityID, System: it.System, Lease: p.lease, KeepIntent: true, RetryIn: wait, ErrorCode: de.Code, Error: de.Message}
			if _, err := rel.Apply(ctx, p.pool); err != nil {
				return wait, err
			}
		}
		return wait, nil
	}
	for _, it := range items {
		in := change.Incoming{System: p.c.Name, EntityID: it.EntityID, Cause: change.Cause{Actor: "datum", Source: change.FromPoll, CorrelationID: it.CorrelationID, Lane: it.Lane}}
		if len(found[it]) > 0 {
			in.Record = found[it][0]
		}
		held, err := p.settle(ctx, it, in, len(found[it]) == 0)
		if err != nil {
			return 0, err
		}
		// More than one is a duplicate that somebody made: the write path says so.
		for _, rec := range found[it][min(1, len(found[it])):] {
			in.Record, in.EntityID = rec, ""
			if held {
				if _, err := p.applier.Record(ctx, in); err != nil {
					return 0, err
				}
			}
		}
	}
	p.applier.Ring()
	return 0, nil
}
