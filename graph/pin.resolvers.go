package graph

import (
	"context"
	"encoding/json"

	"github.com/99designs/gqlgen/graphql"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/graph/loader"
	"datum/graph/model"
)

func (r *mutationResolver) WithdrawPin(ctx context.Context, input model.WithdrawInput) (*model.WithdrawPayload, error) {
	return r.withdraw(ctx, input, false)
}

func (r *mutationResolver) WithdrawChange(ctx context.Context, input model.WithdrawInput) (*model.WithdrawPayload, error) {
	return r.withdraw(ctx, input, true)
}

func (r *queryResolver) Pins(ctx context.Context, first *int, after *string) ([]*model.PinEntry, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	from, err := parseCursor(after, "pins", 2)
	if err != nil {
		return nil, err
	}
	ps, err := store.ListPins(ctx, r.pool, from[0], domain.Field(from[1]), n)
	if err != nil {
		return nil, err
	}
	entries := make([]*model.PinEntry, len(ps))
	for i, p := range ps {
		entries[i] = &model.PinEntry{Cursor: cursor("pins", p.EntityID, string(p.Field)), EntityID: p.EntityID}
		if !p.Asked {
			entries[i].Pin = pinModel(p)
			continue
		}
		projections, err := loader.From(ctx).Projections.Load(ctx, p.EntityID)()
		if err != nil {
			return nil, err
		}
		entries[i].Change = pendingModel(p, projections)
	}
	return entries, nil
}

// withdraw takes back a decision in the caller's name.
func (r *Resolver) withdraw(ctx context.Context, in model.WithdrawInput, asked bool) (*model.WithdrawPayload, error) {
	_, err := r.changes.Withdraw(ctx, change.Withdrawal{EntityID: in.EntityID, Field: domain.Field(in.Field), Reason: value(in.Reason.Value()), Asked: asked, Cause: cause(ctx)})
	ues, err := userErrors(err)
	if err != nil {
		return nil, err
	}
	loader.From(ctx).Forget()
	e, err := now[model.Keyed](ctx, r, in.EntityID)
	return &model.WithdrawPayload{Entity: e, UserErrors: ues}, err
}

func (r entityResolver[E]) Pins(ctx context.Context, obj E) ([]*model.Pin, error) {
	ps, err := loader.From(ctx).Pins.Load(ctx, obj.Key())()
	list := []*model.Pin{}
	for _, p := range ps {
		if !p.Asked {
			list = append(list, pinModel(p))
		}
	}
	return list, err
}

func (r entityResolver[E]) PendingChanges(ctx context.Context, obj E) ([]*model.PendingChange, error) {
	list := []*model.PendingChange{}
	ps, err := loader.From(ctx).Pins.Load(ctx, obj.Key())()
	if err != nil {
		return nil, err
	}
	for _, p := range ps {
		if !p.Asked {
			continue
		}
		projections, err := loader.From(ctx).Projections.Load(ctx, obj.Key())()
		if err != nil {
			return nil, err
		}
		list = append(list, pendingModel(p, projections))
	}
	return list, nil
}

func pinModel(p store.Pin) *model.Pin {
	return &model.Pin{Field: string(p.Field), Value: json.RawMessage(p.Value), Actor: p.Actor, Reason: p.Reason, Since: p.CreatedAt}
}

// pendingModel shows a change that is asked for, with how far it has come by the projections of its entity.
func pendingModel(p store.Pin, projections []*store.Projection) *model.PendingChange {
	m := &model.PendingChange{Field: string(p.Field), System: p.System, Value: json.RawMessage(p.Value), Actor: p.Actor, Reason: p.Reason,
		Since: p.CreatedAt, ExpiresAt: p.ExpiresAt, Status: model.PendingChangeStatusPending, CorrelationID: text(p.CorrelationID)}
	for _, x := range projections {
		if x.System != p.System {
			continue
		}
		switch m.Message = text(x.Error); x.Status {
		case store.Refused:
			m.Status = model.PendingChangeStatusRefused
		case store.Pending, store.Confirmed:
		default:
			m.Status = model.PendingChangeStatusWaiting
		}
	}
	return m
}

// through is what an edit asks of the owners of fields, nil for nothing.
func through(ctx context.Context, in graphql.Omittable[*model.WriteThroughInput]) *change.WriteThrough {
	ask := in.Value()
	if ask == nil {
		return nil
	}
	p, _ := PrincipalOf(ctx)
	t := &change.WriteThrough{Reason: ask.Reason, Authorised: p.Role.Includes(store.RoleOperator)}
	if until := ask.ExpiresAt.Value(); until != nil {
		t.ExpiresAt = *until
	}
	return t
}
