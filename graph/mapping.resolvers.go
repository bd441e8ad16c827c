package graph

import (
	"context"

	"datum/domain"
	"datum/domain/change"
	"datum/graph/gen"
	"datum/graph/loader"
	"datum/graph/model"
)

func (r *queryResolver) Mapping(ctx context.Context, system string) (*model.SystemMapping, error) {
	m, err := r.mappings.Mapping(ctx, system)
	if domain.CodeOf(err) == domain.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return mappingModel(m), nil
}

func (r *queryResolver) PreviewMapping(ctx context.Context, input model.PreviewMappingInput) (*model.MappingPreview, error) {
	p, err := r.mappings.PreviewMapping(ctx, input.System, input.Document, cause(ctx), nil)
	ues, err := userErrors(err)
	m := mappingPreview(p)
	m.UserErrors = ues
	return m, err
}

func (r *mutationResolver) ApplyMapping(ctx context.Context, input model.ApplyMappingInput) (*model.ApplyMappingPayload, error) {
	_, parked, err := r.mappings.ApplyMapping(ctx, change.MappingPublication{System: input.System, Source: input.Document, Base: int64(input.ExpectedVersion),
		Preview: value(input.Preview.Value()), Cause: cause(ctx)})
	ues, err := userErrors(err)
	if err != nil || len(ues) > 0 {
		return &model.ApplyMappingPayload{UserErrors: ues}, err
	}
	loader.From(ctx).Forget()
	m, err := r.mappings.Mapping(ctx, input.System)
	if err != nil {
		return nil, err
	}
	return &model.ApplyMappingPayload{Mapping: mappingModel(m), ParkedBy: caseModel(parked), UserErrors: ues}, nil
}

type systemMappingResolver struct{ *Resolver }

// SystemMapping implements gen.ResolverRoot.
func (r *Resolver) SystemMapping() gen.SystemMappingResolver { return systemMappingResolver{r} }

func (r systemMappingResolver) ParkedBy(ctx context.Context, obj *model.SystemMapping) (*model.Case, error) {
	if obj.ParkedID == "" {
		return nil, nil
	}
	return r.caseByID(ctx, obj.ParkedID)
}

func (r systemMappingResolver) Kinds(_ context.Context, obj *model.SystemMapping, kind *model.EntityKind) ([]*model.KindMapping, error) {
	all := []*model.KindMapping{}
	for _, k := range obj.Tables {
		if kind == nil || *kind == k.Kind {
			all = append(all, k)
		}
	}
	return all, nil
}
