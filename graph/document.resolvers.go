package graph

import (
	"context"

	"datum/graph/gen"
	"datum/graph/model"
)

type lineResolver struct{}

// Line implements gen.ResolverRoot.
func (r *Resolver) Line() gen.LineResolver { return lineResolver{} }

func (lineResolver) Product(ctx context.Context, obj *model.Line) (*model.Product, error) {
	return ref[*model.Product](ctx, obj.ProductID)
}

type allocationResolver struct{}

// Allocation implements gen.ResolverRoot.
func (r *Resolver) Allocation() gen.AllocationResolver { return allocationResolver{} }

func (allocationResolver) Invoice(ctx context.Context, obj *model.Allocation) (*model.Invoice, error) {
	return ref[*model.Invoice](ctx, obj.InvoiceID)
}

func (allocationResolver) CreditNote(ctx context.Context, obj *model.Allocation) (*model.CreditNote, error) {
	return ref[*model.CreditNote](ctx, obj.CreditNoteID)
}
