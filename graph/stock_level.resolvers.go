package graph

import (
	"context"

	"datum/graph/gen"
	"datum/graph/model"
)

func (r *queryResolver) StockLevel(ctx context.Context, id string) (*model.StockLevel, error) {
	return now[*model.StockLevel](ctx, r.Resolver, id)
}

func (r *queryResolver) StockLevels(ctx context.Context, first *int, after *string, filter *model.StockLevelFilter, orderBy *model.EntityOrder) (*model.StockLevelConnection, error) {
	p, err := list[*model.StockLevel](ctx, r.Resolver, first, after, filter, orderBy)
	return stockLevelConnection(p), err
}

func stockLevelConnection(p page[*model.StockLevel]) *model.StockLevelConnection {
	return &model.StockLevelConnection{Nodes: p.nodes, PageInfo: p.info, Edges: edges(p, func(cursor string, node *model.StockLevel) *model.StockLevelEdge {
		return &model.StockLevelEdge{Cursor: cursor, Node: node}
	})}
}

func (r *mutationResolver) CreateStockLevel(ctx context.Context, input model.CreateStockLevelInput) (*model.StockLevelPayload, error) {
	return stockLevelPayload(create[*model.StockLevel](ctx, r.Resolver, input.Values, input.IdempotencyKey))
}

func (r *mutationResolver) UpdateStockLevel(ctx context.Context, input model.UpdateStockLevelInput) (*model.StockLevelPayload, error) {
	return stockLevelPayload(update[*model.StockLevel](ctx, r.Resolver, input.ID, input.Values, input.ExpectedVersion, input.IdempotencyKey, through(ctx, input.WriteThrough)))
}

func (r stockLevelResolver) Movements(ctx context.Context, obj *model.StockLevel, first *int, after *string) (*model.StockMovementConnection, error) {
	return r.movements(ctx, obj.ID, first, after)
}

type stockMovementResolver struct{}

// StockMovement implements gen.ResolverRoot.
func (r *Resolver) StockMovement() gen.StockMovementResolver { return stockMovementResolver{} }

func (stockMovementResolver) Level(ctx context.Context, obj *model.StockMovement) (*model.StockLevel, error) {
	return ref[*model.StockLevel](ctx, obj.LevelID)
}

func (stockMovementResolver) Document(ctx context.Context, obj *model.StockMovement) (model.Entity, error) {
	return ref[model.Entity](ctx, obj.DocumentID)
}

func stockLevelPayload(e *model.StockLevel, ues []*model.UserError, err error) (*model.StockLevelPayload, error) {
	return &model.StockLevelPayload{StockLevel: e, UserErrors: ues}, err
}

type stockLevelResolver struct {
	entityResolver[*model.StockLevel]
}

// StockLevel implements gen.ResolverRoot.
func (r *Resolver) StockLevel() gen.StockLevelResolver {
	return stockLevelResolver{entityResolver[*model.StockLevel]{r}}
}

func (r stockLevelResolver) Product(ctx context.Context, obj *model.StockLevel) (*model.Product, error) {
	return ref[*model.Product](ctx, obj.ProductID)
}

func (r stockLevelResolver) Location(ctx context.Context, obj *model.StockLevel) (*model.Location, error) {
	return ref[*model.Location](ctx, obj.LocationID)
}
