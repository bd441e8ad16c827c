package graph

import (
	"context"

	"datum/graph/gen"
	"datum/graph/model"
)

func (r *queryResolver) Order(ctx context.Context, id string) (*model.Order, error) {
	return now[*model.Order](ctx, r.Resolver, id)
}

func (r *queryResolver) Orders(ctx context.Context, first *int, after *string, filter *model.OrderFilter, orderBy *model.EntityOrder) (*model.OrderConnection, error) {
	p, err := list[*model.Order](ctx, r.Resolver, first, after, filter, orderBy)
	return orderConnection(p), err
}

func orderConnection(p page[*model.Order]) *model.OrderConnection {
	return &model.OrderConnection{Nodes: p.nodes, PageInfo: p.info, Edges: edges(p, func(cursor string, node *model.Order) *model.OrderEdge {
		return &model.OrderEdge{Cursor: cursor, Node: node}
	})}
}

func (r *mutationResolver) CreateOrder(ctx context.Context, input model.CreateOrderInput) (*model.OrderPayload, error) {
	return orderPayload(create[*model.Order](ctx, r.Resolver, input.Values, input.IdempotencyKey))
}

func (r *mutationResolver) UpdateOrder(ctx context.Context, input model.UpdateOrderInput) (*model.OrderPayload, error) {
	return orderPayload(update[*model.Order](ctx, r.Resolver, input.ID, input.Values, input.ExpectedVersion, input.IdempotencyKey, through(ctx, input.WriteThrough)))
}

func (r *mutationResolver) CancelOrder(ctx context.Context, input model.StepInput) (*model.OrderPayload, error) {
	return orderPayload(step[*model.Order](ctx, r.Resolver, input, "stage", string(model.OrderStageCancelled)))
}

func orderPayload(e *model.Order, ues []*model.UserError, err error) (*model.OrderPayload, error) {
	return &model.OrderPayload{Order: e, UserErrors: ues}, err
}

type orderResolver struct{ entityResolver[*model.Order] }

// Order implements gen.ResolverRoot.
func (r *Resolver) Order() gen.OrderResolver { return orderResolver{entityResolver[*model.Order]{r}} }

func (r orderResolver) Customer(ctx context.Context, obj *model.Order) (*model.Customer, error) {
	return ref[*model.Customer](ctx, obj.CustomerID)
}

func (r orderResolver) Location(ctx context.Context, obj *model.Order) (*model.Location, error) {
	return ref[*model.Location](ctx, obj.LocationID)
}

func (r orderResolver) Origin(ctx context.Context, obj *model.Order) (model.Entity, error) {
	return ref[model.Entity](ctx, obj.OriginID)
}

func (r orderResolver) Invoice(ctx context.Context, obj *model.Order) (*model.Invoice, error) {
	return newest[*model.Invoice](ctx, obj.ID)
}

func (r orderResolver) Payments(ctx context.Context, obj *model.Order) ([]*model.Payment, error) {
	return all[*model.Payment](ctx, obj.ID)
}

func (r orderResolver) CreditNotes(ctx context.Context, obj *model.Order) ([]*model.CreditNote, error) {
	return all[*model.CreditNote](ctx, obj.ID)
}
