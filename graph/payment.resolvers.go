package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"datum/domain"
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

func (r *mutationResolver) AllocatePayment(ctx context.Context, input model.AllocatePaymentInput) (*model.PaymentPayload, error) {
	set := model.PaymentInput{Allocations: graphql.OmittableOf(input.Allocations)}
	return paymentPayload(update[*model.Payment](ctx, r.Resolver, input.ID, set, input.ExpectedVersion, input.IdempotencyKey, nil))
}

func (r *mutationResolver) RefundCreditNote(ctx context.Context, input model.RefundCreditNoteInput) (*model.PaymentPayload, error) {
	note, err := now[*model.CreditNote](ctx, r.Resolver, input.ID)
	if err == nil && note == nil {
		err = domain.Errorf(domain.NotFound, "there is no credit note %s", input.ID)
	}
	if err != nil {
		ues, err := userErrors(err)
		return paymentPayload(nil, ues, err)
	}
	given := model.PaymentDirectionRefunded
	paid := []*model.AllocationInput{{CreditNote: graphql.OmittableOf(&input.ID), Amount: input.Amount.Amount}}
	set := model.PaymentInput{Direction: graphql.OmittableOf(&given), Customer: graphql.OmittableOf(&note.CustomerID), Amount: graphql.OmittableOf(input.Amount),
		Date: graphql.OmittableOf(&input.Date), Method: input.Method, Account: input.Account, Allocations: graphql.OmittableOf(paid)}
	return paymentPayload(create[*model.Payment](ctx, r.Resolver, set, input.IdempotencyKey))
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
