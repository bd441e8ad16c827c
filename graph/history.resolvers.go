package graph

import (
	"context"
	"encoding/json"
	"time"

	"datum/graph/gen"
	"datum/graph/model"
)

func (r *historyConnectionResolver) Values(ctx context.Context, obj *model.HistoryConnection) (json.RawMessage, error) {
	values, _, err := r.asOf(ctx, obj)
	return values, err
}

func (r *historyConnectionResolver) Version(ctx context.Context, obj *model.HistoryConnection) (int, error) {
	_, version, err := r.asOf(ctx, obj)
	return version, err
}

func (r *queryResolver) History(ctx context.Context, id string, asOf *time.Time, first *int, after *string) (*model.HistoryConnection, error) {
	e, err := r.entity(ctx, id)
	if err != nil || e == nil {
		return nil, err
	}
	return r.history(ctx, e.Key(), asOf, first, after)
}

func (r *Resolver) HistoryConnection() gen.HistoryConnectionResolver {
	return &historyConnectionResolver{r}
}

type historyConnectionResolver struct{ *Resolver }
