package graph

import (
	"context"

	"datum/graph/gen"
	"datum/graph/model"
)

func (r *queryResolver) Product(ctx context.Context, id string) (*model.Product, error) {
	return now[*model.Product](ctx, r.Resolver, id)
}

func (r *queryResolver) Products(ctx context.Context, first *int, after *string, filter *model.ProductFilter, orderBy *model.EntityOrder) (*model.ProductConnection, error) {
	p, err := list[*model.Product](ctx, r.Resolver, first, after, filter, orderBy)
	return productConnection(p), err
}

func productConnection(p page[*model.Product]) *model.ProductConnection {
	return &model.ProductConnection{Nodes: p.nodes, PageInfo: p.info, Edges: edges(p, func(cursor string, node *model.Product) *model.ProductEdge {
		return &model.ProductEdge{Cursor: cursor, Node: node}
	})}
}

func (r *mutationResolver) CreateProduct(ctx context.Context, input model.CreateProductInput) (*model.ProductPayload, error) {
	return productPayload(create[*model.Product](ctx, r.Resolver, input.Values, input.IdempotencyKey))
}

func (r *mutationResolver) UpdateProduct(ctx context.Context, input model.UpdateProductInput) (*model.ProductPayload, error) {
	return productPayload(update[*model.Product](ctx, r.Resolver, input.ID, input.Values, input.ExpectedVersion, input.IdempotencyKey, through(ctx, input.WriteThrough)))
}

func (r *mutationResolver) ArchiveProduct(ctx context.Context, input model.StepInput) (*model.ProductPayload, error) {
	return productPayload(step[*model.Product](ctx, r.Resolver, input, "status", string(model.EntityStatusArchived)))
}

func productPayload(e *model.Product, ues []*model.UserError, err error) (*model.ProductPayload, error) {
	return &model.ProductPayload{Product: e, UserErrors: ues}, err
}

type productResolver struct{ entityResolver[*model.Product] }

// Product implements gen.ResolverRoot.
func (r *Resolver) Product() gen.ProductResolver {
	return productResolver{entityResolver[*model.Product]{r}}
}

func (r productResolver) Stock(ctx context.Context, obj *model.Product) ([]*model.StockLevel, error) {
	return all[*model.StockLevel](ctx, obj.ID)
}
