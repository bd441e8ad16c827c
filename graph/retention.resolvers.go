package graph

import (
	"context"

	"datum/domain"
	"datum/domain/store"
	"datum/graph/model"
)

func (r *queryResolver) Retention(ctx context.Context) ([]*model.Retention, error) {
	rs, err := store.Retentions(ctx, r.pool)
	return each(rs, retentionModel), err
}

func (r *mutationResolver) SetRetention(ctx context.Context, input model.SetRetentionInput) (*model.SetRetentionPayload, error) {
	days, err := value(input.Days.Value()), error(nil)
	if input.Days.Value() != nil && days == 0 {
		err = domain.Errorf(domain.Invalid, "nothing is kept for no days; leave days out, or null, to keep it for good")
	} else {
		err = store.SetRetention(ctx, r.pool, input.Name, days, cause(ctx).Actor)
	}
	ues, err := userErrors(err)
	if err != nil {
		return nil, err
	}
	rs, err := store.Retentions(ctx, r.pool)
	return &model.SetRetentionPayload{Retention: each(rs, retentionModel), UserErrors: ues}, err
}

func retentionModel(r store.Retention) *model.Retention {
	days := func(n int) *int {
		if n == 0 {
			return nil
		}
		return &n
	}
	return &model.Retention{Name: r.Name, What: r.What, Days: days(r.Days), DefaultDays: days(r.Default), LeastDays: r.Least, LeastReason: r.Why,
		SetBy: text(r.SetBy), SetAt: r.SetAt}
}
