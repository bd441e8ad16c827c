package graph

import (
	"context"
	"slices"

	"datum/domain"
	"datum/domain/feed"
	"datum/domain/store"
	"datum/graph/gen"
	"datum/graph/model"
)

func (r *subscriptionResolver) EntityChanged(ctx context.Context, after *string, kinds []model.EntityKind, ids []string) (<-chan *model.EntityEvent, error) {
	return follow(ctx, r.feed, after, changed(kinds, ids), func(e feed.Event) *model.EntityEvent {
		return &model.EntityEvent{Cursor: e.Cursor(), At: e.At, CorrelationID: text(e.CorrelationID), Kind: entityKind(domain.KindOfID(e.EntityID)), ID: e.EntityID}
	})
}

// changed selects the events of entities of the kinds and with the ids; none is any.
func changed(kinds []model.EntityKind, ids []string) func(feed.Event) bool {
	only := set(ids)
	return func(e feed.Event) bool {
		if e.Topic != store.TopicEntity || only != nil && !only[e.EntityID] {
			return false
		}
		return len(kinds) == 0 || slices.Contains(kinds, entityKind(domain.KindOfID(e.EntityID)))
	}
}

type entityEventResolver struct{}

// EntityEvent implements gen.ResolverRoot.
func (r *Resolver) EntityEvent() gen.EntityEventResolver { return entityEventResolver{} }

func (entityEventResolver) Entity(ctx context.Context, obj *model.EntityEvent) (model.Entity, error) {
	return ref[model.Entity](ctx, obj.ID)
}
