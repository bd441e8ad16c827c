package graph

import (
	"context"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/graph/model"
)

// decision is an input as a decision in the caller's name.
func decision(ctx context.Context, in model.ResolveCaseInput) change.Decision {
	d := change.Decision{CaseID: in.ID, Choice: in.Choice, Field: domain.Field(value(in.Field.Value())), TargetID: value(in.TargetID.Value()), Cause: cause(ctx)}
	if in.Value.IsSet() {
		d.Value = domain.Null
		if v := in.Value.Value(); v != nil {
			d.Value = domain.Value(v)
		}
	}
	return d
}

// decide answers a case in the caller's name. The same answer again is no mistake.
func (r *Resolver) decide(ctx context.Context, in model.ResolveCaseInput) error {
	d := decision(ctx, in)
	_, err := r.changes.Decide(ctx, d)
	if domain.CodeOf(err) != domain.Conflict {
		return err
	}
	c, readErr := store.CaseByID(ctx, r.pool, d.CaseID, false)
	if readErr == nil && c.Status == "resolved" && c.Resolution == d.Choice {
		return nil
	}
	return err
}

func caseOption(c *store.Case) func(x change.Choice) *model.CaseOption {
	return func(x change.Choice) *model.CaseOption {
		return &model.CaseOption{Name: x.Name, Effect: x.Effect(*c), NeedsValue: x.Value, NeedsTarget: x.Target}
	}
}
