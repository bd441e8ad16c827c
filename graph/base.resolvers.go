package graph

import (
	"context"
	"strings"

	"datum/domain/feed"
	"datum/graph/gen"
	"datum/graph/model"
)

func (r *queryResolver) Node(ctx context.Context, id string) (model.Node, error) {
	return r.node(ctx, id)
}

func (r *queryResolver) Viewer(ctx context.Context) (*model.Viewer, error) {
	p, _ := PrincipalOf(ctx)
	return &model.Viewer{Name: p.Name, System: p.System, Role: model.Role(strings.ToUpper(string(p.Role)))}, nil
}

func (r *queryResolver) FeedCursor(ctx context.Context) (string, error) {
	end, err := feed.End(ctx, r.pool)
	return end.Cursor(), err
}

func (r *Resolver) Mutation() gen.MutationResolver { return &mutationResolver{r} }

func (r *Resolver) Query() gen.QueryResolver { return &queryResolver{r} }

func (r *Resolver) Subscription() gen.SubscriptionResolver { return &subscriptionResolver{r} }

type (
	mutationResolver     struct{ *Resolver }
	queryResolver        struct{ *Resolver }
	subscriptionResolver struct{ *Resolver }
)
