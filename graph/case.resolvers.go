package graph

import (
	"context"

	"datum/domain/feed"
	"datum/domain/store"
	"datum/graph/gen"
	"datum/graph/loader"
	"datum/graph/model"
)

func (r *caseResolver) Customer(ctx context.Context, obj *model.Case) (*model.Customer, error) {
	return ref[*model.Customer](ctx, obj.EntityID)
}

func (r *caseResolver) Other(ctx context.Context, obj *model.Case) (*model.Customer, error) {
	return ref[*model.Customer](ctx, obj.OtherID)
}

func (r *caseResolver) Entity(ctx context.Context, obj *model.Case) (model.Entity, error) {
	return ref[model.Entity](ctx, obj.EntityID)
}

func (r *caseResolver) OtherEntity(ctx context.Context, obj *model.Case) (model.Entity, error) {
	return ref[model.Entity](ctx, obj.OtherID)
}

func (r *caseResolver) Timeline(ctx context.Context, obj *model.Case) ([]*model.CaseEntry, error) {
	es, err := loader.From(ctx).CaseEvents.Load(ctx, obj.ID)()
	return each(es, caseEntry), err
}

func (r *caseResolver) Evidence(ctx context.Context, obj *model.Case) (*model.CaseEvidence, error) {
	return r.evidence(ctx, obj.ID)
}

func (r *caseResolver) HoldsUp(ctx context.Context, obj *model.Case, first *int) (*model.CaseHolds, error) {
	return r.holdsUp(ctx, obj.ID, first)
}

func (r *caseEventResolver) Case(ctx context.Context, obj *model.CaseEvent) (*model.Case, error) {
	return r.caseByID(ctx, obj.CaseID)
}

func (r *mutationResolver) ResolveCase(ctx context.Context, input model.ResolveCaseInput) (*model.ResolveCasePayload, error) {
	ues, err := userErrors(r.decide(ctx, input))
	if err != nil {
		return nil, err
	}
	loader.From(ctx).Forget()
	c, err := r.caseByID(ctx, input.ID)
	return &model.ResolveCasePayload{Case: c, UserErrors: ues}, err
}

func (r *mutationResolver) ResolveCases(ctx context.Context, input model.ResolveCasesInput) (*model.ResolveCasesPayload, error) {
	return r.decideMany(ctx, input)
}

func (r *mutationResolver) AssignCase(ctx context.Context, input model.AssignCaseInput) (*model.CasePayload, error) {
	_, err := r.changes.AssignCase(ctx, input.ID, value(input.Assignee.Value()), cause(ctx))
	return r.worked(ctx, input.ID, err)
}

func (r *mutationResolver) CommentCase(ctx context.Context, input model.CommentCaseInput) (*model.CasePayload, error) {
	_, err := r.changes.CommentCase(ctx, input.ID, input.Text, cause(ctx))
	return r.worked(ctx, input.ID, err)
}

func (r *mutationResolver) SnoozeCase(ctx context.Context, input model.SnoozeCaseInput) (*model.CasePayload, error) {
	return r.worked(ctx, input.ID, r.snooze(ctx, input.ID, input.Until.Value()))
}

func (r *mutationResolver) RemoveCaseRule(ctx context.Context, input model.RemoveCaseRuleInput) (*model.RemoveCaseRulePayload, error) {
	ues, err := userErrors(r.changes.RemoveCaseRule(ctx, input.ID, cause(ctx)))
	if err != nil {
		return nil, err
	}
	rule, err := r.ruleByID(ctx, input.ID)
	return &model.RemoveCaseRulePayload{Rule: rule, UserErrors: ues}, err
}

func (r *queryResolver) CaseCounts(ctx context.Context, filter *model.CaseFilter) ([]*model.CaseCount, error) {
	counts, err := store.CaseCounts(ctx, r.pool, caseFilter(filter))
	return each(counts, caseCount), err
}

func (r *queryResolver) CaseRules(ctx context.Context, removed *bool) ([]*model.CaseRule, error) {
	rules, err := store.CaseRules(ctx, r.pool, value(removed))
	return each(rules, caseRule), err
}

func (r *queryResolver) PreviewCase(ctx context.Context, input model.ResolveCaseInput) (*model.CasePreview, error) {
	return r.previewed(ctx, input)
}

func (r *queryResolver) Cases(ctx context.Context, first *int, after *string, filter *model.CaseFilter) (*model.CaseConnection, error) {
	return r.cases(ctx, first, after, filter)
}

func (r *subscriptionResolver) CaseChanged(ctx context.Context, after *string, customerID *string, entityID *string) (<-chan *model.CaseEvent, error) {
	return follow(ctx, r.feed, after, func(e feed.Event) bool {
		return e.Topic == store.TopicCase && (customerID == nil || e.EntityID == *customerID) && (entityID == nil || e.EntityID == *entityID)
	}, func(e feed.Event) *model.CaseEvent {
		return &model.CaseEvent{Cursor: e.Cursor(), At: e.At, CorrelationID: text(e.CorrelationID), CaseID: e.Key}
	})
}

func (r *Resolver) Case() gen.CaseResolver { return &caseResolver{r} }

func (r *Resolver) CaseEvent() gen.CaseEventResolver { return &caseEventResolver{r} }

type (
	caseResolver      struct{ *Resolver }
	caseEventResolver struct{ *Resolver }
)
