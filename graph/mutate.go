package graph

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/99designs/gqlgen/graphql"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
	"datum/graph/loader"
	"datum/graph/model"
)

// edit applies an edit in the caller's name. It returns the entity as it is afterwards, nil if there is none, and what was
// refused or became a proposal.
func edit[E model.Keyed](ctx context.Context, r *Resolver, id string, fields domain.Values, expected *int, key *string, ask *change.WriteThrough) (e E, ues []*model.UserError, err error) {
	kind := kindOf[E]()
	if id != "" && domain.KindOfID(id) != kind {
		return e, []*model.UserError{{Code: model.ErrorCodeNotFound, Message: "there is no " + words(kind) + " " + capped(id)}}, nil
	}
	p, _ := PrincipalOf(ctx)
	res, err := r.changes.Edit(ctx, change.Edit{
		System: p.System, Kind: kind, EntityID: id, Fields: fields, ExpectedVersion: int64(value(expected)),
		IdempotencyKey: value(key), Principal: p.KeyID, Through: ask, Cause: cause(ctx),
	})
	if ues, err = userErrors(err); err != nil {
		return e, nil, err
	}
	for _, refused := range res.Refused {
		ue, ok := userError(refused)
		if !ok {
			return e, nil, refused
		}
		ues = append(ues, ue)
	}
	if res.EntityID == "" {
		res.EntityID = id
	}
	if res.EntityID == "" {
		return e, ues, nil
	}
	proposed, err := r.proposals(ctx, res)
	if err != nil {
		return e, nil, err
	}
	loader.From(ctx).Forget()
	e, err = now[E](ctx, r, res.EntityID)
	return e, append(ues, proposed...), err
}

// create makes an entity of an input's values.
func create[E model.Keyed](ctx context.Context, r *Resolver, values any, key graphql.Omittable[*string]) (E, []*model.UserError, error) {
	return update[E](ctx, r, "", values, graphql.Omittable[*int]{}, key, nil)
}

// update writes an input's values to an entity.
func update[E model.Keyed](ctx context.Context, r *Resolver, id string, values any, expected graphql.Omittable[*int], key graphql.Omittable[*string], ask *change.WriteThrough) (e E, ues []*model.UserError, err error) {
	fields, err := inputValues(values)
	if err != nil {
		ues, err = userErrors(err)
		return e, ues, err
	}
	return edit[E](ctx, r, id, fields, expected.Value(), key.Value(), ask)
}

// step sets the field that tells how far an entity has come.
func step[E model.Keyed](ctx context.Context, r *Resolver, in model.StepInput, f domain.Field, to string) (E, []*model.UserError, error) {
	return edit[E](ctx, r, in.ID, domain.Values{f: domain.TextValue(to)}, in.ExpectedVersion.Value(), in.IdempotencyKey.Value(), nil)
}

// proposals tells of the fields whose edit became a case.
func (r *Resolver) proposals(ctx context.Context, res change.Result) ([]*model.UserError, error) {
	if len(res.Proposed) == 0 {
		return nil, nil
	}
	es, err := store.Entities(ctx, r.pool, []string{res.EntityID})
	if err != nil || len(es) == 0 {
		return nil, err
	}
	pol, _, err := r.changes.Policy(ctx, r.pool, 0)
	if err != nil {
		return nil, err
	}
	ki, _ := es[0].Kind.Info()
	var ues []*model.UserError
	for _, fi := range ki.Fields {
		id, ok := res.Proposed[fi.Name]
		if !ok {
			continue
		}
		owner := pol.Kind(es[0].Kind).Rule(fi.Name, es[0].Stage).Owner
		ues = append(ues, &model.UserError{Code: model.ErrorCodeNotOwner, Field: text(string(fi.Name)), Owner: text(owner), Stage: text(es[0].Stage),
			CaseID: &id, Message: fmt.Sprintf("%s belongs to %s; the change is proposed to it as case %s", fi.Name, owner, id)})
	}
	return ues, nil
}

// inputValues returns the fields that an input has, Null for those that are to be cleared. The input's JSON is that of the
// domain's types, but for the lists that a map is written as.
func inputValues(in any) (domain.Values, error) {
	b, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	v := domain.Values{}
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, err
	}
	if list := v["customFields"]; !list.Empty() {
		var given []model.CustomFieldInput
		if err := list.Decode(&given); err != nil {
			return nil, err
		}
		fields := map[string]string{}
		for _, cf := range given {
			if _, twice := fields[cf.Key]; twice {
				return nil, &domain.Error{Code: domain.Invalid, Field: "customFields", Message: fmt.Sprintf("the custom field %q is given twice", cf.Key)}
			}
			fields[cf.Key] = cf.Value
		}
		v["customFields"] = domain.ValueOf(fields)
	}
	return v, nil
}

// publish puts a policy in force in the caller's name and returns it. What is in force already is not published again.
func (r *Resolver) publish(ctx context.Context, source string, expected *int) (*model.Policy, error) {
	now, err := store.Policy(ctx, r.pool, 0)
	if err != nil && domain.CodeOf(err) != domain.NotFound {
		return nil, err
	}
	if err == nil && now.Source == source {
		return policyModel(&now), nil
	}
	base := now.Version
	if expected != nil {
		base = int64(*expected)
	}
	version, err := r.changes.Publish(ctx, base, source, r.around, cause(ctx))
	if err != nil {
		return nil, err
	}
	p, err := store.Policy(ctx, r.pool, version)
	if err != nil {
		return nil, err
	}
	return policyModel(&p), nil
}

// policyProblems makes one error of each problem of a policy.
func policyProblems(err error) error {
	var ps ownership.Problems
	if !errors.As(err, &ps) {
		return err
	}
	errs := make([]error, len(ps))
	for i, p := range ps {
		errs[i] = domain.Errorf(domain.Invalid, "%s", p)
	}
	return errors.Join(errs...)
}

// counted lists counts by name.
func counted[N ~string](m map[N]int) []*model.CountedName {
	cs := make([]*model.CountedName, 0, len(m))
	for _, n := range slices.Sorted(maps.Keys(m)) {
		cs = append(cs, &model.CountedName{Name: string(n), Count: m[n]})
	}
	return cs
}
