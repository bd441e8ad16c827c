package graph

import (
	"context"

	"github.com/99designs/gqlgen/graphql"

	"datum/graph/gen"
	"datum/graph/model"
)

func (r *queryResolver) CreditNote(ctx context.Context, id string) (*model.CreditNote, error) {
	return now[*model.CreditNote](ctx, r.Resolver, id)
}

func (r *queryResolver) CreditNotes(ctx context.Context, first *int, after *string, filter *model.CreditNoteFilter, orderBy *model.EntityOrder) (*model.CreditNoteConnection, error) {
	p, err := list[*model.CreditNote](ctx, r.Resolver, first, after, filter, orderBy)
	return creditNoteConnection(p), err
}

func creditNoteConnection(p page[*model.CreditNote]) *model.CreditNoteConnection {
	return &model.CreditNoteConnection{Nodes: p.nodes, PageInfo: p.info, Edges: edges(p, func(cursor string, node *model.CreditNote) *model.CreditNoteEdge {
		return &model.CreditNoteEdge{Cursor: cursor, Node: node}
	})}
}

func (r *mutationResolver) CreateCreditNote(ctx context.Context, input model.CreateCreditNoteInput) (*model.CreditNotePayload, error) {
	return creditNotePayload(create[*model.CreditNote](ctx, r.Resolver, input.Values, input.IdempotencyKey))
}

func (r *mutationResolver) UpdateCreditNote(ctx context.Context, input model.UpdateCreditNoteInput) (*model.CreditNotePayload, error) {
	return creditNotePayload(update[*model.CreditNote](ctx, r.Resolver, input.ID, input.Values, input.ExpectedVersion, input.IdempotencyKey, through(ctx, input.WriteThrough)))
}

func (r *mutationResolver) AuthoriseCreditNote(ctx context.Context, input model.StepInput) (*model.CreditNotePayload, error) {
	return creditNotePayload(step[*model.CreditNote](ctx, r.Resolver, input, "stage", string(model.CreditNoteStageAuthorised)))
}

func (r *mutationResolver) VoidCreditNote(ctx context.Context, input model.StepInput) (*model.CreditNotePayload, error) {
	return creditNotePayload(step[*model.CreditNote](ctx, r.Resolver, input, "stage", string(model.CreditNoteStageVoided)))
}

func (r *mutationResolver) AllocateCreditNote(ctx context.Context, input model.AllocateCreditNoteInput) (*model.CreditNotePayload, error) {
	set := model.CreditNoteInput{Allocations: graphql.OmittableOf(input.Allocations)}
	return creditNotePayload(update[*model.CreditNote](ctx, r.Resolver, input.ID, set, input.ExpectedVersion, input.IdempotencyKey, nil))
}

func creditNotePayload(e *model.CreditNote, ues []*model.UserError, err error) (*model.CreditNotePayload, error) {
	return &model.CreditNotePayload{CreditNote: e, UserErrors: ues}, err
}

type creditNoteResolver struct {
	entityResolver[*model.CreditNote]
}

// CreditNote implements gen.ResolverRoot.
func (r *Resolver) CreditNote() gen.CreditNoteResolver {
	return creditNoteResolver{entityResolver[*model.CreditNote]{r}}
}

func (r creditNoteResolver) Customer(ctx context.Context, obj *model.CreditNote) (*model.Customer, error) {
	return ref[*model.Customer](ctx, obj.CustomerID)
}

func (r creditNoteResolver) Invoice(ctx context.Context, obj *model.CreditNote) (*model.Invoice, error) {
	return ref[*model.Invoice](ctx, obj.InvoiceID)
}

func (r creditNoteResolver) Order(ctx context.Context, obj *model.CreditNote) (*model.Order, error) {
	return ref[*model.Order](ctx, obj.OrderID)
}

func (r creditNoteResolver) Origin(ctx context.Context, obj *model.CreditNote) (model.Entity, error) {
	return ref[model.Entity](ctx, obj.OriginID)
}

func (r creditNoteResolver) Payments(ctx context.Context, obj *model.CreditNote) ([]*model.Payment, error) {
	return all[*model.Payment](ctx, obj.ID)
}
