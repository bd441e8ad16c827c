package change

import (
	"context"
	"errors"
	"slices"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/store"
)

// Preview is what a decision would do.
type Preview struct {
	Golden []GoldenChange
	Writes []WriteAhead
	More   bool              // there are more writes than these
	Deeper bool              // there are more golden changes than these
	Merged map[string]string // entities that would become part of another one
	Opens  []store.Case
	Ends   []store.Case // with the case itself
}

// mostWrites are listed of those that a mass change would release.
const mostWrites = 500

// GoldenChange is one golden value that would change.
type GoldenChange struct {
	EntityID string // "" if the entity would be new
	Name     string
	Field    domain.Field // "" is the object itself: From and To say what becomes of it
	From, To domain.Value
}

// WriteAhead is one write to a vendor that would follow at once.
type WriteAhead struct {
	System     string
	Kind       domain.Kind
	EntityID   string // "" if the entity would be new
	Name       string
	ExternalID string        // "" if the record would be created
	Values     domain.Values // what would be set
}

// Preview carries a decision out, looks at what it has done, and takes everything back. The errors are those of Decide.
func (a *Applier) Preview(ctx context.Context, d Decision) (p Preview, err error) {
	defer domain.Wrap(&err, "change.Preview")
	d.Cause.Source = FromCase
	err = a.rolledBack(ctx, d.Cause, func(r *run) error {
		held, more, err := r.heldIn(d)
		if err != nil {
			return err
		}
		if err := r.decide(d); err != nil {
			return err
		}
		if err := r.flush(); err != nil {
			return err
		}
		p, err = r.seen()
		p.Golden, p.Deeper = append(p.Golden, held...), more
		return err
	})
	return p, err
}

// heldIn returns the golden changes that approving a mass change would let through; the workers make them after the decision. more
// reports that there are others.
func (r *run) heldIn(d Decision) (held []GoldenChange, more bool, err error) {
	if d.Choice != ChoiceApprove {
		return nil, false, nil
	}
	c, err := store.CaseByID(r.ctx, r.tx, d.CaseID, false)
	if err != nil || c.Kind != store.CaseMassChange || outward(c) {
		return nil, false, err
	}
	changes := c.Detail.Changes // of a mapping document: those that it was tried out with
	if mapped(c) {
		total := int64(0)
		for _, n := range c.Detail.Counts {
			total += n
		}
		more = total > int64(len(changes))
	} else {
		_, changes, err = store.BrakeDiff(r.ctx, r.tx, store.BrakeState{System: c.System, Kind: c.EntityKind, Way: "in"}, mostWrites+1)
		more = len(changes) > mostWrites
		changes = changes[:min(len(changes), mostWrites)]
	}
	for _, x := range changes {
		held = append(held, GoldenChange{EntityID: x.EntityID, Name: x.Name, Field: x.Field, From: x.From, To: x.To})
	}
	return held, more, err
}

// rolledBack runs f in a transaction of which nothing is kept.
func (a *Applier) rolledBack(ctx context.Context, cause Cause, f func(r *run) error) error {
	err := store.Transact(ctx, a.pool, func(tx pgx.Tx) error {
		if err := f(&run{Applier: a, ctx: ctx, tx: tx, batch: &pgx.Batch{}, cause: cause}); err != nil {
			return err
		}
		return errRollback
	})
	if errors.Is(err, errRollback) {
		return nil
	}
	return err
}

// seen reads what the transaction has done.
func (r *run) seen() (Preview, error) {
	p := Preview{Merged: r.merged}
	known := func(id string) string {
		if slices.Contains(r.made, id) {
			return ""
		}
		return id
	}
	for _, g := range r.golden {
		i := slices.IndexFunc(p.Golden, func(x GoldenChange) bool { return x.EntityID == g.EntityID && x.Field == g.Field })
		if i < 0 {
			p.Golden = append(p.Golden, g)
			continue
		}
		p.Golden[i].To = g.To
	}
	p.Golden = slices.DeleteFunc(p.Golden, func(g GoldenChange) bool { return exact(g.From, g.To) })
	var ids []string
	for _, w := range r.wakes {
		ids = append(ids, w.EntityID)
	}
	projections, err := store.ProjectionsOf(r.ctx, r.tx, ids)
	if err != nil {
		return p, err
	}
	for _, w := range r.wakes {
		if w.EntityID != "*" { // whatever is due
			continue
		}
		released, err := store.ReleasedProjections(r.ctx, r.tx, w.System, w.Kind, mostWrites+1)
		if err != nil {
			return p, err
		}
		p.More = p.More || len(released) > mostWrites
		for _, x := range released[:min(len(released), mostWrites)] {
			projections, ids = append(projections, x), append(ids, x.EntityID)
			r.wakes = append(r.wakes, Wake{System: x.System, Kind: x.Kind, EntityID: x.EntityID})
		}
	}
	if r.resent != "" {
		again, err := store.RefusedForCause(r.ctx, r.tx, r.resent, mostWrites+1)
		if err != nil {
			return p, err
		}
		p.More = p.More || len(again) > mostWrites
		for _, x := range again[:min(len(again), mostWrites)] {
			projections, ids = append(projections, x), append(ids, x.EntityID)
		}
	}
	entities, err := store.Entities(r.ctx, r.tx, ids)
	if err != nil {
		return p, err
	}
	for _, x := range projections {
		woken := x.Status == store.Pending && slices.ContainsFunc(r.wakes, func(w Wake) bool { return w.EntityID == x.EntityID && w.System == x.System })
		if !woken && (x.Status != store.Refused || r.resent == "" || x.Cause != r.resent) {
			continue
		}
		w := WriteAhead{System: x.System, Kind: x.Kind, EntityID: known(x.EntityID), ExternalID: x.ExternalID, Values: x.Diff}
		for _, e := range entities {
			if e.ID == x.EntityID {
				w.Name = NameOf(e.Golden)
			}
		}
		p.Writes = append(p.Writes, w)
	}
	for i := range p.Golden {
		p.Golden[i].EntityID = known(p.Golden[i].EntityID)
	}
	touched, err := store.TouchedCases(r.ctx, r.tx)
	for _, c := range touched {
		switch {
		case c.Status != "open":
			p.Ends = append(p.Ends, c)
		case c.OpenedAt.Equal(c.UpdatedAt):
			p.Opens = append(p.Opens, c)
		}
	}
	return p, err
}
