package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/riverqueue/river"

	"datum/domain"
	"datum/domain/alert"
	"datum/domain/change"
	"datum/domain/store"
)

// alertQueue is for telling people: a receiver that hangs holds up no other work.
const alertQueue = "alerts"

// deliveryTries is how often a delivery is tried, over about an hour, before it is given up and a case opens.
const deliveryTries = 8

// DeliverArgs asks for a delivery to be made.
type DeliverArgs struct {
	ID string `json:"id" river:"unique"`
}

// Kind implements river.JobArgs.
func (DeliverArgs) Kind() string { return "deliver" }

// BeatArgs asks for a sign of life to be sent. It is a job so that it stops when jobs do.
type BeatArgs struct{}

// Kind implements river.JobArgs.
func (BeatArgs) Kind() string { return "beat" }

// Watch looks at the metrics when it is time, once for all processes, and queues what is to be told.
func (e *Engine) Watch(ctx context.Context) error {
	now := e.cfg.Now()
	c, _, err := alert.InForce(ctx, e.pool, MetricNames())
	if err != nil {
		return err
	}
	beat := time.Duration(0)
	if c.Heartbeat != nil {
		beat = time.Duration(c.Heartbeat.Every)
	}
	return store.Transact(ctx, e.pool, func(tx pgx.Tx) error {
		looks, beats, err := store.TakeAlertClock(ctx, tx, now, time.Duration(c.Interval), beat)
		if err != nil {
			return err
		}
		if looks {
			if err := e.look(ctx, tx, c, now); err != nil {
				return err
			}
		}
		if beats {
			if _, err := e.client.InsertTx(ctx, tx, BeatArgs{}, &river.InsertOpts{Queue: alertQueue, MaxAttempts: 1}); err != nil {
				return err
			}
		}
		ids, err := store.QueueDeliveries(ctx, tx)
		if err != nil || len(ids) == 0 {
			return err
		}
		params := make([]river.InsertManyParams, len(ids))
		for i, id := range ids {
			params[i] = river.InsertManyParams{Args: DeliverArgs{ID: id}, InsertOpts: &river.InsertOpts{Queue: alertQueue, MaxAttempts: deliveryTries, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: active}}}
		}
		_, err = e.client.InsertManyTx(ctx, tx, params)
		return err
	})
}

// look compares the metrics with the rules. If they cannot all be read nothing is concluded: what is not seen is not over.
func (e *Engine) look(ctx context.Context, tx pgx.Tx, c *alert.Config, now time.Time) error {
	readings, err := e.readings()
	if err != nil {
		return fmt.Errorf("alerts: the metrics cannot be read: %w", err)
	}
	rows, err := store.Alerts(ctx, tx)
	if err != nil {
		return err
	}
	states := make([]alert.State, len(rows))
	for i, a := range rows {
		states[i] = alert.State(a)
	}
	next, notices := c.Look(now, readings, states, func() string { return domain.NewID("inc") })
	rows = rows[:0]
	for _, s := range next {
		rows = append(rows, store.Alert(s))
	}
	if err := store.SetAlerts(ctx, tx, rows); err != nil {
		return err
	}
	for _, n := range notices {
		e.log.InfoContext(ctx, "alert", "event", n.Event, "rule", n.Rule.Name, "severity", n.Rule.Severity)
		for _, ch := range c.Channels {
			if !n.Rule.Tells(ch.Name) {
				continue
			}
			if err := store.InsertDelivery(ctx, tx, n.Delivery(ch.Name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// readings are the metrics as they are now.
func (e *Engine) readings() ([]alert.Reading, error) {
	var failed []error
	r := prometheus.NewRegistry()
	r.MustRegister(&collector{Engine: e, failed: func(err error) { failed = append(failed, err) }})
	failed = nil // registering collects once
	families, err := r.Gather()
	if err := errors.Join(append(failed, err)...); err != nil {
		return nil, err
	}
	var out []alert.Reading
	for _, f := range families {
		for _, m := range f.Metric {
			out = append(out, alert.Reading{Metric: f.GetName(), Labels: labelsOf(m), Value: m.GetGauge().GetValue()})
		}
	}
	return out, nil
}

func labelsOf(m *dto.Metric) map[string]string {
	labels := make(map[string]string, len(m.Label))
	for _, l := range m.Label {
		labels[l.GetName()] = l.GetValue()
	}
	return labels
}

type deliverWorker struct {
	river.WorkerDefaults[DeliverArgs]
	*Engine
}

// NextRetry implements river.Worker.
func (w *deliverWorker) NextRetry(job *river.Job[DeliverArgs]) time.Time {
	if w.cfg.AlertRetry == nil {
		return time.Time{} // River's own: a second, then after the fourth power of the tries
	}
	return time.Now().Add(w.cfg.AlertRetry(job.Attempt))
}

// Work makes one try. The last one that fails opens a case; the next delivery that arrives closes it.
func (w *deliverWorker) Work(ctx context.Context, job *river.Job[DeliverArgs]) error {
	d, err := store.DeliveryByID(ctx, w.pool, job.Args.ID)
	if err != nil || d.Status != "pending" {
		return err
	}
	c, _, err := alert.InForce(ctx, w.pool, MetricNames())
	if err != nil {
		return err
	}
	ch, ok := c.Channel(d.Channel)
	if !ok {
		return store.TriedDelivery(ctx, w.pool, d.ID, "dead", "the channel was taken out")
	}
	var secret alert.Secret
	if _, err := store.AlertSecret(ctx, w.pool, w.cfg.Sealer, ch.Name, &secret); err != nil {
		return err
	}
	err = w.sender.Send(ctx, ch.Open(secret), d, time.Now())
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	key := "alerts|" + ch.Name
	if err == nil {
		if err := store.TriedDelivery(ctx, w.pool, d.ID, "sent", ""); err != nil {
			return err
		}
		return w.closeCase(ctx, key)
	}
	de := domain.AsError(err)
	final := job.Attempt >= job.MaxAttempts || de.Code == domain.Forbidden || de.Code == domain.NotFound || de.Code == domain.Invalid
	status := "pending"
	if final {
		status = "dead"
	}
	w.log.WarnContext(ctx, "an alert was not delivered", "channel", ch.Name, "attempt", job.Attempt, "final", final, "error", de)
	if final {
		err := w.openCase(ctx, store.Case{Kind: store.CaseStuck, DedupeKey: key, Title: "alerts do not reach " + ch.Name,
			Detail:  store.CaseDetail{Message: fmt.Sprintf("%q could not be told: %s", d.Title, de.Message), Next: "correct the channel with `datum alert apply`, then `datum alert test " + ch.Name + "`; the first one that arrives closes this case"},
			Choices: []string{change.ChoiceIgnore}})
		if err == nil {
			err = store.TriedDelivery(ctx, w.pool, d.ID, status, de.Message)
		}
		if err != nil { // there are no more tries in which to say that it was the last one
			w.log.ErrorContext(ctx, "an alert that was not delivered could not be noted; it is tried once more", "channel", ch.Name, "error", err)
			return river.JobSnooze(time.Second)
		}
		return nil
	}
	if err := store.TriedDelivery(ctx, w.pool, d.ID, status, de.Message); err != nil {
		return err
	}
	return de
}

type beatWorker struct {
	river.WorkerDefaults[BeatArgs]
	*Engine
}

// Work says that Datum lives. There is no second try: the next one comes soon.
func (w *beatWorker) Work(ctx context.Context, _ *river.Job[BeatArgs]) error {
	var secret alert.Secret
	ok, err := store.AlertSecret(ctx, w.pool, w.cfg.Sealer, alert.HeartbeatChannel, &secret)
	if err != nil || !ok {
		return err
	}
	if err := w.sender.Beat(ctx, secret.URL); err != nil {
		w.log.WarnContext(ctx, "the sign of life was not delivered", "error", err)
	}
	return nil
}
