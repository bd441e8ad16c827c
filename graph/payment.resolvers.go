package graph

import (
	"context"

	"datum/graph/gen"
	"datum/graph/model"
)

func (r *queryResolver) Payment(ctx context.Context, id string) (*model.Payment, error) {
	return now[*model.Payment](ctx, r.Resolver, id)
}

func (r *queryResolver) Payments(ctx context.Context, first *int, after *string, filter *model.PaymentFilter, orderBy *model.EntityOrder) (*model.PaymentConnection, error) {
	p, err := list[*model.Payment](ctx, r.Resolver, first, after, filter, orderBy)
	return paymentConnection(p), err
}

func paymentConnection(p page[*model.Payment]) *model.PaymentConnection {
	return &model.PaymentConnection{Nodes: p.nodes, PageInfo: p.info, Edges: edges(p, func(cursor string, node *model.Payment) *model.PaymentEdge {
		return &model.PaymentEdge{Cursor: cursor, Node: node}
	})}
}

func (r *mutationResolver) CreatePayment(ctx context.Context, input model.CreatePaymentInput) (*model.PaymentPayload, error) {
	return paymentPayload(create[*model.Payment](ctx, r.Resolver, input.Values, input.IdempotencyKey))
}

func (r *mutationResolver) UpdatePayment(ctx context.Context, input model.UpdatePaymentInput) (*model.PaymentPayload, error) {
	return paymentPayload(update[*model.Payment](ctx, r.Resolver, input.ID, input.Values, input.ExpectedVersion, input.IdempotencyKey, through(ctx, input.WriteThrough)))
}

func (r *mutationResolver) VoidPayment(ctx context.Context, input model.StepInput) (*model.PaymentPayload, error) {
	return paymentPayload(step[*model.Payment](ctx, r.Resolver, input, "stage", string(model.PaymentStageVoided)))
}

func paymentPayload(e *model.Payment, ues []*model.UserError, err error) (*model.PaymentPayload, error) {
	return &model.PaymentPayload{Payment: e, UserErrors: ues}, err
}

type paymentResolver struct{ entityResolver[*model.Payment] }

// Payment implements gen.ResolverRoot.
func (r *Resolver) Payment() gen.PaymentResolver {
	return paymentResolver{entityResolver[*model.Payment]{r}}
}

func (r paymentResolver) Customer(ctx context.Context, obj *model.Payment) (*model.Customer, error) {
	return ref[*model.Customer](ctx, obj.CustomerID)
}

func (r paymentResolver) Order(ctx context.Context, obj *model.Payment) (*model.Order, error) {
	return ref[*model.Order](ctx, obj.OrderID)
}

func (r paymentResolver) Origin(ctx context.Context, obj *model.Payment) (model.Entity, error) {
	return ref[model.Entity](ctx, obj.OriginID)
}
