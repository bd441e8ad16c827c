package graph

import (
	"context"
	"time"

	"datum/graph/gen"
	"datum/graph/loader"
	"datum/graph/model"
)

func (r *queryResolver) Trace(ctx context.Context, id *string, correlationID *string, first *int, after *string) (*model.TraceConnection, error) {
	return r.trace(ctx, value(id), value(correlationID), first, after)
}

func (r *queryResolver) Unfinished(ctx context.Context, olderThan *time.Time, kind *model.EntityKind, system *string, first *int, after *string) (*model.UnfinishedConnection, error) {
	return r.unfinished(ctx, olderThan, kind, system, first, after)
}

type unfinishedResolver struct{}

// Unfinished implements gen.ResolverRoot.
func (r *Resolver) Unfinished() gen.UnfinishedResolver { return unfinishedResolver{} }

func (unfinishedResolver) Entity(ctx context.Context, obj *model.Unfinished) (model.Entity, error) {
	return ref[model.Entity](ctx, obj.EntityID)
}

func (unfinishedResolver) Record(ctx context.Context, obj *model.Unfinished) (*model.Record, error) {
	if obj.ExternalID == "" {
		return nil, nil
	}
	rec, err := loader.From(ctx).RecordsByID.Load(ctx, loader.Record{System: obj.System, Kind: obj.RecordKind, ExternalID: obj.ExternalID})()
	if err != nil || rec == nil {
		return nil, err
	}
	return recordModel(rec), nil
}

func (unfinishedResolver) WaitsFor(ctx context.Context, obj *model.Unfinished) ([]model.Entity, error) {
	es := []model.Entity{}
	for _, id := range obj.WaitsForIDs {
		e, err := ref[model.Entity](ctx, id)
		if err != nil {
			return nil, err
		}
		if e != nil {
			es = append(es, e)
		}
	}
	return es, nil
}
