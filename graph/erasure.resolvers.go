package graph

import (
	"context"
	"encoding/json"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/graph/model"
)

func (r *queryResolver) ExportEntity(ctx context.Context, id string) (json.RawMessage, error) {
	story, err := store.Export(ctx, r.pool, id)
	if domain.CodeOf(err) == domain.NotFound {
		return nil, nil
	}
	return story, err
}

func (r *queryResolver) Erasures(ctx context.Context, first *int) ([]*model.Erasure, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	es, err := store.Erasures(ctx, r.pool, "", n)
	return each(es, erasureModel), err
}

func (r *mutationResolver) EraseCustomer(ctx context.Context, input model.EraseCustomerInput) (*model.EraseCustomerPayload, error) {
	dry := input.DryRun.Value() == nil || *input.DryRun.Value()
	e, err := r.changes.Erase(ctx, change.Erasure{EntityID: input.ID, Reason: input.Reason, DryRun: dry, Cause: cause(ctx)})
	ues, err := userErrors(err)
	if err != nil || len(ues) > 0 {
		return &model.EraseCustomerPayload{UserErrors: ues}, err
	}
	return &model.EraseCustomerPayload{Erasure: erasureModel(e), UserErrors: ues}, nil
}

func erasureModel(e store.Erasure) *model.Erasure {
	count := func(m map[string]int64) []*model.CountedName {
		n := make(map[string]int, len(m))
		for k, v := range m {
			n[k] = int(v)
		}
		return counted(n)
	}
	return &model.Erasure{ID: e.ID, EntityID: e.EntityID, Reason: e.Reason, ErasedBy: e.ErasedBy, At: e.At, CorrelationID: text(e.CorrelationID), Hash: e.Hash,
		Changed: count(e.Report.Changed), Left: count(e.Report.Left), Documents: orEmpty(e.Report.Documents),
		Kept: each(e.Report.Kept, func(k store.KeptIdentity) *model.KeptIdentity {
			return &model.KeptIdentity{Document: k.Document, Until: k.Until}
		}),
		Held: each(e.Report.Held, func(h store.HeldThere) *model.HeldThere {
			return &model.HeldThere{System: h.System, ExternalID: text(h.ExternalID), Hash: h.Hash, Next: h.Next, SeenAt: h.SeenAt, GoneAt: h.GoneAt}
		})}
}
