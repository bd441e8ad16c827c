package graph

import (
	"context"

	"datum/domain"
	"datum/domain/store"
	"datum/graph/gen"
	"datum/graph/model"
)

func (r *mutationResolver) PublishPolicy(ctx context.Context, input model.PublishPolicyInput) (*model.PublishPolicyPayload, error) {
	pol, err := r.publish(ctx, input.Source, input.ExpectedVersion.Value())
	ues, err := userErrors(policyProblems(err))
	return &model.PublishPolicyPayload{Policy: pol, UserErrors: ues}, err
}

func (r *policyResolver) Rules(ctx context.Context, obj *model.Policy, kind *string) ([]*model.PolicyRule, error) {
	p, _, err := r.changes.Policy(ctx, r.pool, int64(obj.Version))
	if err != nil {
		return nil, err
	}
	rules := []*model.PolicyRule{}
	for _, ki := range domain.KindsAll() {
		if kind == nil || *kind == string(ki.Kind) {
			rules = append(rules, policyRules(p.Kind(ki.Kind))...)
		}
	}
	return rules, nil
}

func (r *queryResolver) Policy(ctx context.Context, version *int) (*model.Policy, error) {
	p, err := store.Policy(ctx, r.pool, int64(value(version)))
	if domain.CodeOf(err) == domain.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return policyModel(&p), nil
}

func (r *queryResolver) PolicyEffect(ctx context.Context, source string) (*model.PolicyEffect, error) {
	eff, err := r.changes.Diff(ctx, source, nil)
	ues, err := userErrors(policyProblems(err))
	if err != nil {
		return nil, err
	}
	return &model.PolicyEffect{UserErrors: ues, Rules: orEmpty(eff.Rules), Entities: eff.Entities, Golden: counted(eff.Golden),
		Writes: counted(eff.Writes), Cases: eff.Cases}, nil
}

func (r *Resolver) Policy() gen.PolicyResolver { return &policyResolver{r} }

type policyResolver struct{ *Resolver }
