package jobs

import (
	"context"
	"fmt"
	"slices"
	"time"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/domain"
	"datum/domain/store"
)

// Sweep queues a complete comparison with a system now, whenever the next one would be due.
func (e *Engine) Sweep(ctx context.Context, system string, kind domain.Kind) error {
	_, err := e.client.Insert(ctx, SweepArgs{System: system, Of: kind}, unique(inQueue(system)))
	return err
}

// SweptSince reports whether a sweep that began after the time has been made, and everything it brought was taken in.
func (e *Engine) SweptSince(ctx context.Context, system string, kind domain.Kind, since time.Time) (bool, error) {
	return store.SweptSince(ctx, e.pool, system, kind, since)
}

// Audit is a comparison of what a vendor shows with what Datum holds, made without changing anything.
type Audit struct {
	Seen      int             // objects that the vendor shows
	Linked    map[string]bool // ids of live records that belong to an entity, or to a case that asks whose they are
	Held      []string        // ids of which a change has arrived and waits for the decision of a mass change
	Different []string        // ids of other objects whose values differ from what is stored
	Unlevel   []string        // what would still have to be written, though nothing is pending and no case says why
	Twice     int             // surplus records that carry one canonical id
	Made      int             // records that Datum has created in this system
}

// Audit lists everything the vendor has and compares. Datum must be at rest.
func (e *Engine) Audit(ctx context.Context, system string, kind domain.Kind) (a Audit, err error) {
	defer domain.Wrap(&err, "jobs.Audit")
	c, err := e.system(ctx, system)
	if err != nil {
		return a, err
	}
	if c.Sweeper == nil {
		return a, &domain.Error{Code: domain.Unsupported, System: system, Message: "its adapter has no complete listing"}
	}
	if a.Linked, err = store.LinkedRecords(ctx, e.pool, system, kind); err != nil {
		return a, err
	}
	if a.Made, err = store.WrittenRecords(ctx, e.pool, system); err != nil {
		return a, err
	}
	if a.Held, err = store.HeldRecords(ctx, e.pool, system, kind); err != nil {
		return a, err
	}
	if a.Unlevel, err = store.Unlevel(ctx, e.pool, system, kind); err != nil {
		return a, err
	}
	carriers := map[string]int{}
	ctx = rest.WithPatience(rest.WithLane(ctx, rest.LaneSweep), 90*time.Second)
	for cursor := ""; ; {
		page, err := c.Sweeper.List(ctx, kind, cursor)
		if err != nil {
			return a, err
		}
		if err := e.compare(ctx, c, kind, page, &a, carriers); err != nil {
			return a, err
		}
		if !page.More {
			break
		}
		cursor = page.Cursor
	}
	for _, n := range carriers {
		a.Twice += n - 1
	}
	return a, nil
}

func (e *Engine) compare(ctx context.Context, c *connected, kind domain.Kind, page adapters.Page, a *Audit, carriers map[string]int) error {
	ids := make([]string, len(page.Records))
	for i, r := range page.Records {
		ids[i] = r.ExternalID
	}
	stored, err := store.Records(ctx, e.pool, c.Name, kind, ids)
	if err != nil {
		return err
	}
	by := map[string]*store.Record{}
	for _, r := range stored {
		by[r.ExternalID] = r
	}
	for _, r := range page.Records {
		a.Seen++
		if r.CanonicalID != "" && !r.Deleted && r.MergedInto == "" {
			carriers[r.CanonicalID]++
		}
		if slices.Contains(a.Held, r.ExternalID) {
			continue
		}
		s := by[r.ExternalID]
		if s == nil || s.Deleted != (r.Deleted || r.MergedInto != "") {
			a.Different = append(a.Different, fmt.Sprintf("%s: not stored as it is", r.ExternalID))
			continue
		}
		if d := s.Values.Diff(r.Values); len(d) > 0 && !s.Deleted {
			a.Different = append(a.Different, fmt.Sprintf("%s: %s", r.ExternalID, d))
		}
	}
	return nil
}
