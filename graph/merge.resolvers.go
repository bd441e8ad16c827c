package graph

import (
	"context"

	"datum/domain/change"
	"datum/domain/store"
	"datum/graph/loader"
	"datum/graph/model"
)

func (r *mutationResolver) MergeEntities(ctx context.Context, input model.MergeEntitiesInput) (*model.MergePayload, error) {
	out, err := r.changes.Merge(ctx, change.Merging{Survivor: input.SurvivorID, Loser: input.LoserID, Reason: input.Reason,
		DryRun: value(input.DryRun.Value()), Cause: cause(ctx)})
	return r.merged(ctx, out, err)
}

func (r *mutationResolver) UnmergeEntity(ctx context.Context, input model.UnmergeEntityInput) (*model.MergePayload, error) {
	out, err := r.changes.Unmerge(ctx, change.Merging{Loser: input.ID, Reason: input.Reason, DryRun: value(input.DryRun.Value()), Cause: cause(ctx)})
	return r.merged(ctx, out, err)
}

func (r *queryResolver) Merges(ctx context.Context, id string) ([]*model.Merge, error) {
	e, err := r.entity(ctx, id)
	if err != nil || e == nil {
		return []*model.Merge{}, err
	}
	part, err := store.Part(ctx, r.pool, e.Key())
	if err != nil {
		return nil, err
	}
	ms, err := store.MergesOf(ctx, r.pool, part)
	return each(ms, func(m store.Merge) *model.Merge {
		return &model.Merge{LoserID: m.Loser, SurvivorID: m.Survivor, At: m.At, Actor: m.Actor, Reason: m.Reason, UndoneAt: m.UndoneAt,
			UndoneBy: text(m.UndoneBy), UndoneReason: text(m.UndoneReason)}
	}), err
}

// merged answers a merge or its undoing.
func (r *Resolver) merged(ctx context.Context, out change.Merged, err error) (*model.MergePayload, error) {
	ues, err := userErrors(err)
	if err != nil || len(ues) > 0 {
		return &model.MergePayload{UserErrors: ues}, err
	}
	loader.From(ctx).Forget()
	seen, err := r.foreseen(ctx, out.Preview)
	if err != nil {
		return nil, err
	}
	p := &model.MergePayload{UserErrors: ues, Effect: &model.MergeEffect{Records: out.Records, References: out.References,
		Golden: seen.Golden, Writes: seen.Writes, Opens: seen.Opens, Ends: seen.Ends}}
	if p.Survivor, err = now[model.Keyed](ctx, r, out.Survivor); err != nil {
		return nil, err
	}
	p.Loser, err = now[model.Keyed](ctx, r, out.Loser)
	return p, err
}
