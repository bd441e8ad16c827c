package graph

import (
	"context"
	"encoding/json"
	"time"

	"datum/domain"
	"datum/domain/feed"
	"datum/domain/store"
	"datum/graph/gen"
	"datum/graph/loader"
	"datum/graph/model"
)

func (r *mutationResolver) SetSystemMode(ctx context.Context, input model.SetSystemModeInput) (*model.SetSystemModePayload, error) {
	ues, err := userErrors(r.changes.SetMode(ctx, input.System, store.Mode(lower(&input.Mode)), because(ctx, input.Reason.Value())))
	if err != nil {
		return nil, err
	}
	loader.From(ctx).Forget()
	sys, err := r.system(ctx, input.System)
	return &model.SetSystemModePayload{System: sys, UserErrors: ues}, err
}

func (r *mutationResolver) RetryProjection(ctx context.Context, input model.RetryProjectionInput) (*model.RetryProjectionPayload, error) {
	entity, system, ok := parseProjectionID(input.ID)
	if !ok {
		return &model.RetryProjectionPayload{UserErrors: []*model.UserError{{Code: model.ErrorCodeNotFound, Message: "there is no such projection"}}}, nil
	}
	ues, err := userErrors(r.changes.Retry(ctx, entity, system, cause(ctx)))
	if err != nil {
		return nil, err
	}
	loader.From(ctx).Forget()
	p, err := r.projection(ctx, entity, system)
	return &model.RetryProjectionPayload{Projection: p, UserErrors: ues}, err
}

func (r *projectionResolver) System(ctx context.Context, obj *model.Projection) (*model.System, error) {
	return r.system(ctx, obj.SystemName)
}

func (r *projectionResolver) Customer(ctx context.Context, obj *model.Projection) (*model.Customer, error) {
	return ref[*model.Customer](ctx, obj.EntityID)
}

func (r *projectionResolver) Entity(ctx context.Context, obj *model.Projection) (model.Entity, error) {
	return ref[model.Entity](ctx, obj.EntityID)
}

func (r *projectionEventResolver) Projection(ctx context.Context, obj *model.ProjectionEvent) (*model.Projection, error) {
	return r.projection(ctx, obj.EntityID, obj.SystemName)
}

func (r *queryResolver) Systems(ctx context.Context) ([]*model.System, error) {
	ss, err := store.Systems(ctx, r.pool)
	return each(ss, func(s store.System) *model.System { return systemModel(&s) }), err
}

func (r *recordResolver) System(ctx context.Context, obj *model.Record) (*model.System, error) {
	return r.system(ctx, obj.SystemName)
}

func (r *recordResolver) RoundingDifference(ctx context.Context, obj *model.Record) (*string, error) {
	var values domain.Values
	if err := json.Unmarshal(obj.Values, &values); err != nil || obj.EntityID == "" || values["total"].Empty() {
		return nil, err
	}
	e, err := loader.From(ctx).Entities.Load(ctx, obj.EntityID)()
	if err != nil || e == nil {
		return nil, err
	}
	return text(domain.RoundingDifference(e.Golden, values)), nil
}

func (r *recordResolver) Raw(ctx context.Context, obj *model.Record) (json.RawMessage, error) {
	return obj.Raw, nil
}

func (r *subscriptionResolver) ProjectionChanged(ctx context.Context, after *string, systems []string, customerID *string, entityID *string) (<-chan *model.ProjectionEvent, error) {
	if err := r.known(ctx, systems); err != nil {
		return nil, err
	}
	only := set(systems)
	return follow(ctx, r.feed, after, func(e feed.Event) bool {
		return e.Topic == store.TopicProjection && (only == nil || only[e.System]) && (customerID == nil || e.EntityID == *customerID) &&
			(entityID == nil || e.EntityID == *entityID)
	}, func(e feed.Event) *model.ProjectionEvent {
		return &model.ProjectionEvent{Cursor: e.Cursor(), At: e.At, CorrelationID: text(e.CorrelationID), EntityID: e.EntityID, SystemName: e.System}
	})
}

func (r *subscriptionResolver) SystemHealth(ctx context.Context, after *string, systems []string) (<-chan *model.SystemHealthEvent, error) {
	if after != nil {
		if _, err := feed.ParseCursor(*after); err != nil {
			return nil, err
		}
	}
	if err := r.known(ctx, systems); err != nil {
		return nil, err
	}
	return r.health.follow(ctx, systems)
}

func (r *systemResolver) Health(ctx context.Context, obj *model.System) (*model.SystemHealth, error) {
	ss, err := loader.From(ctx).Systems.Load(ctx, "")()
	sys := ss[obj.Name]
	if err != nil || sys == nil {
		return nil, err
	}
	h, err := loader.From(ctx).Health.Load(ctx, "")()
	if err != nil {
		return nil, err
	}
	return healthModel(*sys, h, time.Now()), nil
}

func (r *Resolver) Projection() gen.ProjectionResolver { return &projectionResolver{r} }

func (r *Resolver) ProjectionEvent() gen.ProjectionEventResolver { return &projectionEventResolver{r} }

func (r *Resolver) Record() gen.RecordResolver { return &recordResolver{r} }

func (r *Resolver) System() gen.SystemResolver { return &systemResolver{r} }

type (
	projectionResolver      struct{ *Resolver }
	projectionEventResolver struct{ *Resolver }
	recordResolver          struct{ *Resolver }
	systemResolver          struct{ *Resolver }
)
