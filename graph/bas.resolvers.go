package graph

import (
	"context"

	"datum/graph/gen"
	"datum/graph/model"
)

func (r *queryResolver) BasSummary(ctx context.Context, from string, to string, basis model.BasBasis) (*model.BasSummary, error) {
	return r.bas(ctx, from, to, basis)
}

type basLabelResolver struct{}

// BasLabel implements gen.ResolverRoot.
func (r *Resolver) BasLabel() gen.BasLabelResolver { return basLabelResolver{} }

func (basLabelResolver) Documents(_ context.Context, obj *model.BasLabel, first *int, after *string) (*model.BasDocumentConnection, error) {
	return basDocuments(obj, first, after)
}

type basDocumentResolver struct{}

// BasDocument implements gen.ResolverRoot.
func (r *Resolver) BasDocument() gen.BasDocumentResolver { return basDocumentResolver{} }

func (basDocumentResolver) Document(ctx context.Context, obj *model.BasDocument) (model.Entity, error) {
	return ref[model.Entity](ctx, obj.DocumentID)
}

type basLeftOutResolver struct{}

// BasLeftOut implements gen.ResolverRoot.
func (r *Resolver) BasLeftOut() gen.BasLeftOutResolver { return basLeftOutResolver{} }

func (basLeftOutResolver) Document(ctx context.Context, obj *model.BasLeftOut) (model.Entity, error) {
	return ref[model.Entity](ctx, obj.DocumentID)
}
