package graph

import (
	"context"

	"datum/domain"
	"datum/domain/feed"
	"datum/graph/gen"
	"datum/graph/model"
)

func (r *queryResolver) Customer(ctx context.Context, id string) (*model.Customer, error) {
	return now[*model.Customer](ctx, r.Resolver, id)
}

func (r *queryResolver) Customers(ctx context.Context, first *int, after *string, filter *model.CustomerFilter, orderBy *model.CustomerOrder) (*model.CustomerConnection, error) {
	var order *model.EntityOrder
	if orderBy != nil {
		order = &model.EntityOrder{Field: model.EntityOrderField(orderBy.Field), Direction: orderBy.Direction}
		if orderBy.Field == model.CustomerOrderFieldLegalName {
			order.Field = model.EntityOrderFieldName
		}
	}
	p, err := list[*model.Customer](ctx, r.Resolver, first, after, filter, order)
	return &model.CustomerConnection{Nodes: p.nodes, PageInfo: p.info, Edges: edges(p, func(cursor string, node *model.Customer) *model.CustomerEdge {
		return &model.CustomerEdge{Cursor: cursor, Node: node}
	})}, err
}

func (r *mutationResolver) CreateCustomer(ctx context.Context, input model.CreateCustomerInput) (*model.CreateCustomerPayload, error) {
	c, ues, err := create[*model.Customer](ctx, r.Resolver, input.Values, input.IdempotencyKey)
	return &model.CreateCustomerPayload{Customer: c, UserErrors: ues}, err
}

func (r *mutationResolver) UpdateCustomer(ctx context.Context, input model.UpdateCustomerInput) (*model.UpdateCustomerPayload, error) {
	c, ues, err := update[*model.Customer](ctx, r.Resolver, input.ID, input.Values, input.ExpectedVersion, input.IdempotencyKey, through(ctx, input.WriteThrough))
	return &model.UpdateCustomerPayload{Customer: c, UserErrors: ues}, err
}

func (r *mutationResolver) ArchiveCustomer(ctx context.Context, input model.ArchiveCustomerInput) (*model.ArchiveCustomerPayload, error) {
	c, ues, err := step[*model.Customer](ctx, r.Resolver, model.StepInput(input), "status", string(model.CustomerStatusArchived))
	return &model.ArchiveCustomerPayload{Customer: c, UserErrors: ues}, err
}

func (r *subscriptionResolver) CustomerChanged(ctx context.Context, after *string, ids []string) (<-chan *model.CustomerEvent, error) {
	return follow(ctx, r.feed, after, changed([]model.EntityKind{model.EntityKindCustomer}, ids), func(e feed.Event) *model.CustomerEvent {
		return &model.CustomerEvent{Cursor: e.Cursor(), At: e.At, CorrelationID: text(e.CorrelationID), CustomerID: e.EntityID}
	})
}

type customerResolver struct {
	entityResolver[*model.Customer]
}

// Customer implements gen.ResolverRoot.
func (r *Resolver) Customer() gen.CustomerResolver {
	return customerResolver{entityResolver[*model.Customer]{r}}
}

func (r customerResolver) DisplayName(_ context.Context, obj *model.Customer) (string, error) {
	c := domain.Customer{LegalName: value(obj.LegalName), TradingName: value(obj.TradingName), Email: value(obj.Email)}
	return c.DisplayName(), nil
}

func (r customerResolver) Quotes(ctx context.Context, obj *model.Customer, first *int, after *string) (*model.QuoteConnection, error) {
	p, err := children[*model.Quote](ctx, obj.ID, first, after)
	return quoteConnection(p), err
}

func (r customerResolver) Orders(ctx context.Context, obj *model.Customer, first *int, after *string) (*model.OrderConnection, error) {
	p, err := children[*model.Order](ctx, obj.ID, first, after)
	return orderConnection(p), err
}

func (r customerResolver) Invoices(ctx context.Context, obj *model.Customer, first *int, after *string) (*model.InvoiceConnection, error) {
	p, err := children[*model.Invoice](ctx, obj.ID, first, after)
	return invoiceConnection(p), err
}

func (r customerResolver) CreditNotes(ctx context.Context, obj *model.Customer, first *int, after *string) (*model.CreditNoteConnection, error) {
	p, err := children[*model.CreditNote](ctx, obj.ID, first, after)
	return creditNoteConnection(p), err
}

func (r customerResolver) Payments(ctx context.Context, obj *model.Customer, first *int, after *string) (*model.PaymentConnection, error) {
	p, err := children[*model.Payment](ctx, obj.ID, first, after)
	return paymentConnection(p), err
}

type customerEventResolver struct{}

// CustomerEvent implements gen.ResolverRoot.
func (r *Resolver) CustomerEvent() gen.CustomerEventResolver { return customerEventResolver{} }

func (customerEventResolver) Customer(ctx context.Context, obj *model.CustomerEvent) (*model.Customer, error) {
	return ref[*model.Customer](ctx, obj.CustomerID)
}
