package change

import (
	"context"
	"errors"
	"maps"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/ownership"
	"datum/domain/store"
)

// MappingSample is one value that a mapping document would change.
type MappingSample struct {
	ExternalID string
	Field      domain.Field
	From, To   domain.Value
}

// MappingEffect is what a mapping document would change, computed from the stored objects.
type MappingEffect struct {
	Warnings []string             // paths that no stored object shows, and the like
	Records  int                  // read anew
	Values   map[domain.Field]int // values of records that would change
	Samples  []MappingSample      // a few of them
	Failures map[domain.Field]int // values that could not be used
	Failed   []MappingSample      // a few of them: To is what the vendor has
	Effect                        // golden values and writes that would follow
}

// PublishMapping puts a system's mapping document in force, in every process within a second. The caller has checked it.
func (a *Applier) PublishMapping(ctx context.Context, system string, base int64, setting, source string, cause Cause) (version int64, err error) {
	defer domain.Wrap(&err, "change.PublishMapping")
	cause.Source = FromMapping
	err = a.transact(ctx, cause, func(r *run) error {
		if version, err = store.PublishMapping(ctx, r.tx, system, base, setting, source, cause.Actor); err != nil {
			return err
		}
		store.QueueEvent(r.batch, store.TopicSystem, "", system, "mapping", cause.CorrelationID)
		return a.queue.Remap(ctx, r.tx, system, version)
	})
	a.forget()
	return version, err
}

// Remap applies a stored record that has been read anew under the system's settings.
func (a *Applier) Remap(ctx context.Context, system ownership.System, rec domain.Record, cause Cause) error {
	cause.Source = FromMapping
	return a.transact(ctx, cause, func(r *run) error {
		r.instead = &system
		_, err := r.record(Incoming{System: system.Name, Record: rec, Cause: cause})
		return err
	})
}

// RemapEffect adds to eff what would follow from records read anew under the settings, and keeps nothing.
func (a *Applier) RemapEffect(ctx context.Context, system ownership.System, recs []domain.Record, eff *Effect) error {
	err := pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) error {
		r := &run{Applier: a, ctx: ctx, tx: tx, batch: &pgx.Batch{}, cause: Cause{Source: FromMapping}, instead: &system}
		for _, rec := range recs {
			in := Incoming{System: system.Name, Record: rec, Cause: r.cause}
			old, err := store.RecordByID(ctx, tx, system.Name, rec.Kind, rec.ExternalID)
			if err != nil || old == nil {
				return err
			}
			var before domain.Values
			if old.EntityID != "" {
				es, err := store.Entities(ctx, tx, []string{old.EntityID})
				if err != nil {
					return err
				}
				if len(es) > 0 {
					before = maps.Clone(es[0].Golden)
				}
			}
			res, err := r.record(in)
			if err != nil {
				return err
			}
			if err := r.flush(); err != nil {
				return err
			}
			eff.Entities++
			eff.Cases += len(res.Cases)
			if len(res.Changed) == 0 {
				continue
			}
			es, err := store.Entities(ctx, tx, []string{res.EntityID})
			if err != nil {
				return err
			}
			for _, f := range res.Changed {
				eff.Golden[f]++
				if len(eff.Examples) < 20 && len(es) > 0 {
					eff.Examples = append(eff.Examples, Example{EntityID: res.EntityID, Name: NameOf(es[0].Golden), Field: f, Old: before[f], New: es[0].Golden[f],
						System: es[0].Provenance[f].System})
				}
			}
		}
		for _, w := range r.wakes {
			eff.Writes[w.System]++
		}
		return errRollback
	})
	if errors.Is(err, errRollback) {
		return nil
	}
	return err
}
