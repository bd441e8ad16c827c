package graph

import (
	"context"

	"datum/graph/gen"
	"datum/graph/model"
)

func (r *queryResolver) Location(ctx context.Context, id string) (*model.Location, error) {
	return now[*model.Location](ctx, r.Resolver, id)
}

func (r *queryResolver) Locations(ctx context.Context, first *int, after *string, filter *model.LocationFilter, orderBy *model.EntityOrder) (*model.LocationConnection, error) {
	p, err := list[*model.Location](ctx, r.Resolver, first, after, filter, orderBy)
	return locationConnection(p), err
}

func locationConnection(p page[*model.Location]) *model.LocationConnection {
	return &model.LocationConnection{Nodes: p.nodes, PageInfo: p.info, Edges: edges(p, func(cursor string, node *model.Location) *model.LocationEdge {
		return &model.LocationEdge{Cursor: cursor, Node: node}
	})}
}

func (r *mutationResolver) CreateLocation(ctx context.Context, input model.CreateLocationInput) (*model.LocationPayload, error) {
	return locationPayload(create[*model.Location](ctx, r.Resolver, input.Values, input.IdempotencyKey))
}

func (r *mutationResolver) UpdateLocation(ctx context.Context, input model.UpdateLocationInput) (*model.LocationPayload, error) {
	return locationPayload(update[*model.Location](ctx, r.Resolver, input.ID, input.Values, input.ExpectedVersion, input.IdempotencyKey, through(ctx, input.WriteThrough)))
}

func (r *mutationResolver) ArchiveLocation(ctx context.Context, input model.StepInput) (*model.LocationPayload, error) {
	return locationPayload(step[*model.Location](ctx, r.Resolver, input, "status", string(model.EntityStatusArchived)))
}

func locationPayload(e *model.Location, ues []*model.UserError, err error) (*model.LocationPayload, error) {
	return &model.LocationPayload{Location: e, UserErrors: ues}, err
}

type locationResolver struct {
	entityResolver[*model.Location]
}

// Location implements gen.ResolverRoot.
func (r *Resolver) Location() gen.LocationResolver {
	return locationResolver{entityResolver[*model.Location]{r}}
}

func (r locationResolver) Stock(ctx context.Context, obj *model.Location, first *int, after *string) (*model.StockLevelConnection, error) {
	p, err := children[*model.StockLevel](ctx, obj.ID, first, after)
	return stockLevelConnection(p), err
}
