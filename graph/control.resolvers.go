package graph

import (
	"context"

	"datum/domain/change"
	"datum/domain/store"
	"datum/graph/gen"
	"datum/graph/loader"
	"datum/graph/model"
)

func (r *queryResolver) RecordedWrites(ctx context.Context, first *int, after *string, filter *model.RecordedWriteFilter) (*model.RecordedWriteConnection, error) {
	return r.recordedWrites(ctx, first, after, filter)
}

func (r *mutationResolver) ApproveWrites(ctx context.Context, input model.ApproveWritesInput) (*model.ApproveWritesPayload, error) {
	ids, err := r.approve(ctx, input)
	ues, err := userErrors(err)
	return &model.ApproveWritesPayload{Approved: orEmpty(ids), UserErrors: ues}, err
}

func (r *mutationResolver) RejectWrite(ctx context.Context, input model.RejectWriteInput) (*model.RejectWritePayload, error) {
	_, err := r.changes.RejectWrites(ctx, store.WriteFilter{IDs: []string{input.ID}}, because(ctx, &input.Reason))
	ues, err := userErrors(err)
	if err != nil {
		return nil, err
	}
	loader.From(ctx).Forget()
	ws, err := store.ListWrites(ctx, r.pool, store.WriteFilter{IDs: []string{input.ID}}, "", 1)
	p := &model.RejectWritePayload{UserErrors: ues}
	if len(ws) > 0 {
		p.Write = writeModel(ws[0])
	}
	return p, err
}

func (r *mutationResolver) PauseSystem(ctx context.Context, input model.PauseSystemInput) (*model.PauseSystemPayload, error) {
	_, err := r.changes.Pause(ctx, change.Hold{System: input.System, Kind: kindNamed(input.Kind.Value()), Direction: store.Direction(lower(input.Direction.Value())),
		Until: input.Until.Value()}, because(ctx, &input.Reason))
	ues, err := userErrors(err)
	if err != nil {
		return nil, err
	}
	loader.From(ctx).Forget()
	sys, err := r.system(ctx, input.System)
	return &model.PauseSystemPayload{System: sys, UserErrors: ues}, err
}

func (r *mutationResolver) ResumeSystem(ctx context.Context, input model.ResumeSystemInput) (*model.ResumeSystemPayload, error) {
	_, err := r.changes.Resume(ctx, change.Hold{System: input.System, Kind: kindNamed(input.Kind.Value()), Direction: store.Direction(lower(input.Direction.Value()))}, cause(ctx))
	ues, err := userErrors(err)
	if err != nil {
		return nil, err
	}
	loader.From(ctx).Forget()
	sys, err := r.system(ctx, input.System)
	return &model.ResumeSystemPayload{System: sys, UserErrors: ues}, err
}

func (r *systemResolver) ModeChanges(ctx context.Context, obj *model.System, first *int) ([]*model.ModeChange, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	cs, err := store.ModeChanges(ctx, r.pool, obj.Name, 0, n)
	return each(cs, modeChangeModel), err
}

func (r *systemResolver) Pauses(ctx context.Context, obj *model.System, history *bool) ([]*model.Pause, error) {
	if value(history) {
		ps, err := store.PauseHistory(ctx, r.pool, obj.Name, 100)
		return each(ps, pauseModel), err
	}
	h, err := loader.From(ctx).Health.Load(ctx, "")()
	if err != nil {
		return nil, err
	}
	return each(h.Pauses[obj.Name], pauseModel), nil
}

func (r *projectionResolver) Pause(ctx context.Context, obj *model.Projection) (*model.Pause, error) {
	h, err := loader.From(ctx).Health.Load(ctx, "")()
	if err != nil || obj.Status != model.ProjectionStatusPending {
		return nil, err
	}
	for _, p := range h.Pauses[obj.SystemName] {
		if p.Direction == store.Out && (p.Kind == "" || p.Kind == obj.Kind) {
			return pauseModel(p), nil
		}
	}
	return nil, nil
}

func (r *projectionResolver) RecordedWrites(ctx context.Context, obj *model.Projection) ([]*model.RecordedWrite, error) {
	ws, err := store.WritesOf(ctx, r.pool, obj.EntityID, obj.SystemName, 20)
	return each(ws, writeModel), err
}

type recordedWriteResolver struct{ *Resolver }

// RecordedWrite implements gen.ResolverRoot.
func (r *Resolver) RecordedWrite() gen.RecordedWriteResolver { return recordedWriteResolver{r} }

func (r recordedWriteResolver) System(ctx context.Context, obj *model.RecordedWrite) (*model.System, error) {
	return r.system(ctx, obj.SystemName)
}

func (recordedWriteResolver) Entity(ctx context.Context, obj *model.RecordedWrite) (model.Entity, error) {
	return ref[model.Entity](ctx, obj.EntityID)
}
