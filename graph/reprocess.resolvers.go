package graph

import (
	"context"
	"encoding/json"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/graph/gen"
	"datum/graph/model"
)

func (r *queryResolver) DeadLetters(ctx context.Context, system *string, kind *model.EntityKind) ([]*model.DeadLetter, error) {
	ds, err := r.changes.DeadLetters(ctx, store.ReprocessFilter{System: value(system), Kind: kindNamed(kind)})
	return each(ds, deadLetterModel), err
}

func (r *queryResolver) ReprocessRuns(ctx context.Context, first *int) ([]*model.ReprocessRun, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	rs, err := store.Runs(ctx, r.pool, "", n)
	return each(rs, func(x store.ReprocessRun) *model.ReprocessRun { return runModel(x, time.Now()) }), err
}

func (r *mutationResolver) StartReprocess(ctx context.Context, input model.StartReprocessInput) (*model.StartReprocessPayload, error) {
	f, err := reprocessFilter(input.Filter.Value())
	var run store.ReprocessRun
	if err == nil {
		run, err = r.changes.StartReprocess(ctx, change.Reprocess{Action: lower(&input.Action), Filter: f, Force: value(input.Force.Value()), PerSecond: value(input.PerSecond.Value())},
			because(ctx, input.Reason.Value()))
	}
	p := &model.StartReprocessPayload{}
	if err == nil {
		p.Run = runModel(run, time.Now())
	}
	p.UserErrors, err = userErrors(err)
	return p, err
}

func (r *mutationResolver) EditSignal(ctx context.Context, input model.EditSignalInput) (*model.EditSignalPayload, error) {
	values := domain.Values{}
	f := store.ReprocessFilter{}
	err := f.Name(input.ID)
	if err == nil && (len(f.Signals) != 1 || json.Unmarshal(input.Values, &values) != nil || len(values) == 0) {
		err = domain.Errorf(domain.Invalid, `give the id of a signal, such as signal:7, and values such as {"email": "jo@example.com"}`)
	}
	if err == nil {
		err = r.changes.EditSignal(ctx, f.Signals[0], values, cause(ctx))
	}
	ues, err := userErrors(err)
	return &model.EditSignalPayload{UserErrors: ues}, err
}

func (r *mutationResolver) CancelReprocess(ctx context.Context, input model.CancelReprocessInput) (*model.CancelReprocessPayload, error) {
	_, err := r.changes.CancelReprocess(ctx, input.ID, cause(ctx))
	ues, err := userErrors(err)
	if err != nil {
		return nil, err
	}
	p := &model.CancelReprocessPayload{UserErrors: ues}
	if run, err := store.RunByID(ctx, r.pool, input.ID); err == nil {
		p.Run = runModel(run, time.Now())
	}
	return p, nil
}

type reprocessRunResolver struct{ *Resolver }

// ReprocessRun implements gen.ResolverRoot.
func (r *Resolver) ReprocessRun() gen.ReprocessRunResolver { return reprocessRunResolver{r} }

func (r reprocessRunResolver) Items(ctx context.Context, obj *model.ReprocessRun, first *int, after *int, failed *bool) ([]*model.ReprocessItem, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	status := ""
	if value(failed) {
		status = "failed"
	}
	is, err := store.RunItems(ctx, r.pool, obj.ID, status, int64(value(after)), n)
	return each(is, itemModel), err
}
