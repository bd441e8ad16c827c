package graph

import (
	"context"

	"datum/graph/gen"
	"datum/graph/model"
)

func (r *queryResolver) Quote(ctx context.Context, id string) (*model.Quote, error) {
	return now[*model.Quote](ctx, r.Resolver, id)
}

func (r *queryResolver) Quotes(ctx context.Context, first *int, after *string, filter *model.QuoteFilter, orderBy *model.EntityOrder) (*model.QuoteConnection, error) {
	p, err := list[*model.Quote](ctx, r.Resolver, first, after, filter, orderBy)
	return quoteConnection(p), err
}

func quoteConnection(p page[*model.Quote]) *model.QuoteConnection {
	return &model.QuoteConnection{Nodes: p.nodes, PageInfo: p.info, Edges: edges(p, func(cursor string, node *model.Quote) *model.QuoteEdge {
		return &model.QuoteEdge{Cursor: cursor, Node: node}
	})}
}

func (r *mutationResolver) CreateQuote(ctx context.Context, input model.CreateQuoteInput) (*model.QuotePayload, error) {
	return quotePayload(create[*model.Quote](ctx, r.Resolver, input.Values, input.IdempotencyKey))
}

func (r *mutationResolver) UpdateQuote(ctx context.Context, input model.UpdateQuoteInput) (*model.QuotePayload, error) {
	return quotePayload(update[*model.Quote](ctx, r.Resolver, input.ID, input.Values, input.ExpectedVersion, input.IdempotencyKey, through(ctx, input.WriteThrough)))
}

func (r *mutationResolver) SendQuote(ctx context.Context, input model.StepInput) (*model.QuotePayload, error) {
	return quotePayload(step[*model.Quote](ctx, r.Resolver, input, "stage", string(model.QuoteStageSent)))
}

func (r *mutationResolver) AcceptQuote(ctx context.Context, input model.StepInput) (*model.QuotePayload, error) {
	return quotePayload(step[*model.Quote](ctx, r.Resolver, input, "stage", string(model.QuoteStageAccepted)))
}

func (r *mutationResolver) DeclineQuote(ctx context.Context, input model.StepInput) (*model.QuotePayload, error) {
	return quotePayload(step[*model.Quote](ctx, r.Resolver, input, "stage", string(model.QuoteStageDeclined)))
}

func quotePayload(e *model.Quote, ues []*model.UserError, err error) (*model.QuotePayload, error) {
	return &model.QuotePayload{Quote: e, UserErrors: ues}, err
}

type quoteResolver struct{ entityResolver[*model.Quote] }

// Quote implements gen.ResolverRoot.
func (r *Resolver) Quote() gen.QuoteResolver { return quoteResolver{entityResolver[*model.Quote]{r}} }

func (r quoteResolver) Customer(ctx context.Context, obj *model.Quote) (*model.Customer, error) {
	return ref[*model.Customer](ctx, obj.CustomerID)
}

func (r quoteResolver) Origin(ctx context.Context, obj *model.Quote) (model.Entity, error) {
	return ref[model.Entity](ctx, obj.OriginID)
}

func (r quoteResolver) Invoice(ctx context.Context, obj *model.Quote) (*model.Invoice, error) {
	return newest[*model.Invoice](ctx, obj.ID)
}
