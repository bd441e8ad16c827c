package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// externals knows the vendor's ids of entities.
type externals map[string]string

// externals looks up what the entities, and their records, refer to in this system.
func (p *pass) externals(ctx context.Context, entities []store.Entity, records []*store.Record, claimed []*store.Projection) (externals, error) {
	var ids []string
	note := func(v domain.Values) {
		for _, r := range domain.Refs(p.kind, v) {
			if !slices.Contains(ids, r.ID) {
				ids = append(ids, r.ID)
			}
		}
	}
	for _, e := range entities {
		note(e.Golden)
	}
	for _, rec := range records {
		note(rec.Values)
	}
	for _, c := range claimed {
		note(c.Diff)
	}
	if len(ids) == 0 {
		return nil, nil
	}
	to, err := store.Survivors(ctx, p.pool, ids)
	if err != nil {
		return nil, err
	}
	for i, id := range ids {
		if s := to[id]; s != "" {
			ids[i] = s
		}
	}
	ext, err := store.ExternalOf(ctx, p.pool, p.c.Name, ids)
	for from, id := range to {
		if x := ext[id]; x != "" {
			ext[from] = x
		}
	}
	return ext, err
}

// unread returns what is still to be read of that to which entities refer that the system does not have yet: many vendors take the
// lines of a document only once.
func (p *pass) unread(ctx context.Context, claimed []*store.Projection) (map[string]string, error) {
	var fresh []string
	for _, c := range claimed {
		if c.ExternalID == "" && c.IntentKey == "" {
			fresh = append(fresh, c.EntityID)
		}
	}
	if len(fresh) == 0 {
		return nil, nil
	}
	return store.BeingRead(ctx, p.pool, fresh)
}

// vendor returns the values with references by the vendor's ids. What it does not have is left out and, unless the system does
// not carry such objects at all, noted in missing.
func (x externals) vendor(kind domain.Kind, v domain.Values, missing *[]domain.Ref) domain.Values {
	if len(v) == 0 {
		return v
	}
	return domain.MapRefs(kind, v, func(r domain.Ref) string {
		id := x[r.ID]
		if id == "" && missing != nil {
			*missing = append(*missing, r)
		}
		return domain.Ext(id)
	})
}

// replicated reports whether entities of the kind come to be in the system at all.
func replicated(pol *ownership.Policy, kind domain.Kind, system string) bool {
	kp := pol.Kind(kind)
	return kp.MayCreate(system) || kp.Replicate[system] != "" && kp.Replicate[system] != ownership.Never
}

// wait parks items until what they refer to is in the system, or has been read at all. What the system or the policy knows no such
// objects for is written without.
func (p *pass) wait(ctx context.Context, items []*item) error {
	if len(items) == 0 {
		return nil
	}
	var rels []store.Waiting
	var ids []string
	for _, it := range items {
		w := store.Waiting{EntityID: it.EntityID, Why: fmt.Sprintf("waits until %s is in %s", strings.Join(it.missing, ", "), it.System), For: it.missing}
		if len(it.missing) == 0 {
			w.Why = fmt.Sprintf("waits until %s has been read", it.unread)
		}
		rels, ids = append(rels, w), append(ids, it.missing...)
		p.log.InfoContext(ctx, "waits", "system", it.System, "entity", it.EntityID, "why", w.Why)
	}
	slices.Sort(ids)
	var asked []string
	err := store.Transact(ctx, p.pool, func(tx pgx.Tx) error {
		if err := store.ParkWaiting(ctx, tx, p.c.Name, p.lease, rels); err != nil {
			return err
		}
		var err error
		if asked, err = store.Need(ctx, tx, p.c.Name, slices.Compact(ids)); err != nil {
			return err
		}
		b := &pgx.Batch{}
		for _, it := range items {
			store.QueueEvent(b, store.TopicProjection, it.EntityID, it.System, "", it.CorrelationID)
		}
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return err
	}
	for _, id := range asked {
		cause := change.Cause{Actor: "datum", Source: change.FromProjection, Lane: string(laneOf(items))}
		for _, it := range items {
			if slices.Contains(it.missing, id) {
				cause.CorrelationID, cause.Lane = it.CorrelationID, it.Lane
				break
			}
		}
		if _, err := p.applier.Resettle(ctx, id, cause); err != nil {
			return err
		}
	}
	return nil
}
