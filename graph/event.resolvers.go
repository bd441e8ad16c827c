package graph

import (
	"context"

	"datum/graph/model"
)

func (r *queryResolver) Events(ctx context.Context, after *string, first *int) (*model.EventPage, error) {
	return r.events(ctx, after, first)
}
