package graph

import (
	"context"

	"datum/graph/gen"
	"datum/graph/model"
)

func (r *queryResolver) Invoice(ctx context.Context, id string) (*model.Invoice, error) {
	return now[*model.Invoice](ctx, r.Resolver, id)
}

func (r *queryResolver) Invoices(ctx context.Context, first *int, after *string, filter *model.InvoiceFilter, orderBy *model.EntityOrder) (*model.InvoiceConnection, error) {
	p, err := list[*model.Invoice](ctx, r.Resolver, first, after, filter, orderBy)
	return invoiceConnection(p), err
}

func invoiceConnection(p page[*model.Invoice]) *model.InvoiceConnection {
	return &model.InvoiceConnection{Nodes: p.nodes, PageInfo: p.info, Edges: edges(p, func(cursor string, node *model.Invoice) *model.InvoiceEdge {
		return &model.InvoiceEdge{Cursor: cursor, Node: node}
	})}
}

func (r *mutationResolver) CreateInvoice(ctx context.Context, input model.CreateInvoiceInput) (*model.InvoicePayload, error) {
	return invoicePayload(create[*model.Invoice](ctx, r.Resolver, input.Values, input.IdempotencyKey))
}

func (r *mutationResolver) UpdateInvoice(ctx context.Context, input model.UpdateInvoiceInput) (*model.InvoicePayload, error) {
	return invoicePayload(update[*model.Invoice](ctx, r.Resolver, input.ID, input.Values, input.ExpectedVersion, input.IdempotencyKey, through(ctx, input.WriteThrough)))
}

func (r *mutationResolver) AuthoriseInvoice(ctx context.Context, input model.StepInput) (*model.InvoicePayload, error) {
	return invoicePayload(step[*model.Invoice](ctx, r.Resolver, input, "stage", string(model.InvoiceStageAuthorised)))
}

func (r *mutationResolver) VoidInvoice(ctx context.Context, input model.StepInput) (*model.InvoicePayload, error) {
	return invoicePayload(step[*model.Invoice](ctx, r.Resolver, input, "stage", string(model.InvoiceStageVoided)))
}

func invoicePayload(e *model.Invoice, ues []*model.UserError, err error) (*model.InvoicePayload, error) {
	return &model.InvoicePayload{Invoice: e, UserErrors: ues}, err
}

type invoiceResolver struct{ entityResolver[*model.Invoice] }

// Invoice implements gen.ResolverRoot.
func (r *Resolver) Invoice() gen.InvoiceResolver {
	return invoiceResolver{entityResolver[*model.Invoice]{r}}
}

func (r invoiceResolver) Customer(ctx context.Context, obj *model.Invoice) (*model.Customer, error) {
	return ref[*model.Customer](ctx, obj.CustomerID)
}

func (r invoiceResolver) Origin(ctx context.Context, obj *model.Invoice) (model.Entity, error) {
	return ref[model.Entity](ctx, obj.OriginID)
}

func (r invoiceResolver) Payments(ctx context.Context, obj *model.Invoice) ([]*model.Payment, error) {
	return all[*model.Payment](ctx, obj.ID)
}

func (r invoiceResolver) CreditNotes(ctx context.Context, obj *model.Invoice) ([]*model.CreditNote, error) {
	return all[*model.CreditNote](ctx, obj.ID)
}
