package change

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/ownership"
	"datum/domain/store"
)

// Surroundings are what a policy must fit, see ownership.Check.
type Surroundings = ownership.Surroundings

// Publish puts a policy in force in every process at once: each change reads the version after it has locked its entity.
// base is the version it was made from; Conflict if another one has been published since. The job that resolves every
// entity anew is queued in the same transaction. Invalid wraps ownership.Problems with line numbers.
func (a *Applier) Publish(ctx context.Context, base int64, source string, around Surroundings, cause Cause) (version int64, err error) {
	defer domain.Wrap(&err, "change.Publish")
	p, err := ownership.Parse([]byte(source))
	if err != nil {
		return 0, err
	}
	if err := ownership.Check(p, around); err != nil {
		return 0, err
	}
	cause.Source = FromPolicy
	// Publishing what is in force changes nothing.
	if now, err := store.Policy(ctx, a.pool, 0); err == nil && now.Source == source && now.Version == base {
		return now.Version, nil
	}
	err = a.transact(ctx, cause, func(r *run) error {
		if version, err = store.PublishPolicy(ctx, r.tx, base, source, cause.Actor); err != nil {
			return err
		}
		for _, s := range p.Systems {
			mode := store.ModeLive
			if err := store.EnsureSystem(ctx, r.tx, s.Name, s.Adapter, mode); err != nil {
				return err
			}
			store.QueueEvent(r.batch, store.TopicSystem, "", s.Name, "policy", cause.CorrelationID)
		}
		return a.queue.Resettle(ctx, r.tx, version)
	})
	return version, err
}

// Effect is what a policy would change, computed from the contributions as they are.
type Effect struct {
	Rules    []string             // rules that differ, in words
	Entities int                  // looked at
	Golden   map[domain.Field]int // golden values that would change
	Writes   map[string]int       // records that would have to be written, by system
	Cases    int                  // cases that would open
	Examples []Example            // a few golden changes
}

// Example is one golden value that a policy would change.
type Example struct {
	EntityID string
	Name     string
	Field    domain.Field
	Old, New domain.Value
	System   string // whose value it would be
}

// Diff settles every entity under the policy without keeping anything, and reports exactly what would follow.
func (a *Applier) Diff(ctx context.Context, source string, progress func(done int)) (eff Effect, err error) {
	defer domain.Wrap(&err, "change.Diff")
	p, err := ownership.Parse([]byte(source))
	if err != nil {
		return eff, err
	}
	now, _, err := a.Policy(ctx, a.pool, 0)
	if err != nil && domain.CodeOf(err) != domain.NotFound {
		return eff, err
	}
	eff = Effect{Rules: ownership.DiffPolicies(now, p), Golden: map[domain.Field]int{}, Writes: map[string]int{}}
	for _, ki := range domain.KindsAll() {
		for after := ""; ; {
			ids, err := store.EntityIDs(ctx, a.pool, ki.Kind, after, 100)
			if err != nil {
				return eff, err
			}
			if len(ids) == 0 {
				break
			}
			after = ids[len(ids)-1]
			if err := a.diffSome(ctx, p, ids, &eff); err != nil {
				return eff, err
			}
			if progress != nil {
				progress(eff.Entities)
			}
		}
	}
	return eff, nil
}

var errRollback = errors.New("nothing is kept")

func (a *Applier) diffSome(ctx context.Context, p *ownership.Policy, ids []string, eff *Effect) error {
	err := pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) error {
		for _, id := range ids {
			es, err := store.LockEntity(ctx, tx, id)
			if err != nil {
				return err
			}
			eff.Entities++
			r := &run{Applier: a, ctx: ctx, tx: tx, batch: &pgx.Batch{}, cause: Cause{Source: FromPolicy}}
			before, st := es.Entity.Golden.Clone(), &state{EntityState: es}
			if err := r.survive(st); err != nil {
				return err
			}
			s := &settlement{run: r, st: st, pol: p, kp: p.Kind(es.Entity.Kind), foretells: true}
			res, err := s.settle()
			if err != nil {
				return err
			}
			for _, f := range res.Changed {
				eff.Golden[f]++
				if len(eff.Examples) < 20 {
					eff.Examples = append(eff.Examples, Example{EntityID: id, Name: NameOf(s.golden), Field: f, Old: before[f], New: s.golden[f],
						System: s.res.Fields[f].System})
				}
			}
			for _, w := range r.wakes {
				eff.Writes[w.System]++
			}
			eff.Cases += len(res.Cases)
		}
		return errRollback
	})
	if errors.Is(err, errRollback) {
		return nil
	}
	return err
}
