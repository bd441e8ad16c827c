package graph

import (
	"context"
	"time"

	"datum/domain"
	"datum/domain/alert"
	"datum/domain/store"
	"datum/graph/gen"
	"datum/graph/model"
)

func (r *queryResolver) Alerts(ctx context.Context) (*model.Alerts, error) { return r.alerts(ctx) }

func (r *mutationResolver) ApplyAlerts(ctx context.Context, input model.ApplyAlertsInput) (*model.ApplyAlertsPayload, error) {
	if r.sealer == nil {
		return nil, domain.Errorf(domain.Unsupported, "this process cannot seal secrets; use `datum alert apply`")
	}
	_, err := alert.Apply(ctx, r.pool, r.sealer, r.metrics, input.Source, cause(ctx).Actor)
	ues, err := userErrors(err)
	if err != nil || len(ues) > 0 {
		return &model.ApplyAlertsPayload{UserErrors: ues}, err
	}
	now, err := r.alerts(ctx)
	return &model.ApplyAlertsPayload{Alerts: now, UserErrors: ues}, err
}

func (r *mutationResolver) TestAlert(ctx context.Context, input model.TestAlertInput) (*model.TestAlertPayload, error) {
	id, err := alert.TestChannel(ctx, r.pool, r.metrics, input.Channel, cause(ctx).Actor, time.Now())
	ues, err := userErrors(err)
	if err != nil || len(ues) > 0 {
		return &model.TestAlertPayload{UserErrors: ues}, err
	}
	d, err := store.DeliveryByID(ctx, r.pool, id)
	return &model.TestAlertPayload{Delivery: deliveryModel(d), UserErrors: ues}, err
}

func (r *Resolver) alerts(ctx context.Context) (*model.Alerts, error) {
	_, row, err := alert.InForce(ctx, r.pool, r.metrics)
	if err != nil {
		return nil, err
	}
	return &model.Alerts{Source: row.Source, Version: int(row.Version), SetBy: text(row.SetBy), SetAt: row.SetAt}, nil
}

// Alerts implements gen.ResolverRoot.
func (r *Resolver) Alerts() gen.AlertsResolver { return &alertsResolver{r} }

type alertsResolver struct{ *Resolver }

func (r *alertsResolver) Firing(ctx context.Context, _ *model.Alerts) ([]*model.Alert, error) {
	as, err := store.Alerts(ctx, r.pool)
	return each(as, func(a store.Alert) *model.Alert {
		return &model.Alert{Rule: a.Rule, Series: a.Series, Incident: text(a.Incident), Since: a.Since, Value: a.Value}
	}), err
}

func (r *alertsResolver) Deliveries(ctx context.Context, _ *model.Alerts, first *int) ([]*model.AlertDelivery, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	ds, err := store.Deliveries(ctx, r.pool, n)
	return each(ds, deliveryModel), err
}

func deliveryModel(d store.Delivery) *model.AlertDelivery {
	return &model.AlertDelivery{ID: d.ID, Channel: d.Channel, Event: d.Event, Title: d.Title, Incident: text(d.Incident), Status: d.Status,
		Attempts: d.Attempts, Error: text(d.Error), CreatedAt: d.CreatedAt, SentAt: d.SentAt}
}
