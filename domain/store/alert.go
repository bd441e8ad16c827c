package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"datum/domain"
)

// AlertConfig is a published configuration of alerts; version 0 is the default.
type AlertConfig struct {
	Version int64
	Source  string
	SetBy   string
	SetAt   *time.Time
}

// AlertsInForce returns the configuration in force; version 0 without a source if none was published.
func AlertsInForce(ctx context.Context, db DB) (c AlertConfig, err error) {
	err = db.QueryRow(ctx, `-- name: AlertsInForce
		SELECT version, source, set_by, set_at FROM alert_configs ORDER BY version DESC LIMIT 1`).Scan(&c.Version, &c.Source, &c.SetBy, &c.SetAt)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return c, fmt.Errorf("store.AlertsInForce: %w", err)
	}
	return c, nil
}

// PublishAlerts puts a configuration in force, with the secrets of its channels; those of channels that it has not are forgotten.
// The secrets are marshalled as they come. Conflict if another one than base is in force by now.
func PublishAlerts(ctx context.Context, tx pgx.Tx, s Sealer, base int64, source, by string, secrets map[string]any) (version int64, err error) {
	defer domain.Wrap(&err, "store.PublishAlerts")
	tag, err := tx.Exec(ctx, `-- name: PublishAlerts
		INSERT INTO alert_configs (version, source, set_by) VALUES ($1 + 1, $2, $3) ON CONFLICT DO NOTHING`, base, source, by)
	if err != nil {
		return 0, err
	}
	if tag.RowsAffected() == 0 {
		return 0, domain.Errorf(domain.Conflict, "somebody else has applied another configuration meanwhile; look at it with `datum alert show` and apply again")
	}
	names := []string{}
	for name, secret := range secrets {
		names = append(names, name)
		plain, err := json.Marshal(secret)
		if err != nil {
			return 0, err
		}
		keyID, sealed, err := s.Seal(alertIdentity(name), plain)
		if err != nil {
			return 0, err
		}
		if _, err := tx.Exec(ctx, `-- name: PutAlertSecret
			INSERT INTO alert_secrets (channel, key_id, sealed) VALUES ($1, $2, $3)
			ON CONFLICT (channel) DO UPDATE SET key_id = excluded.key_id, sealed = excluded.sealed, updated_at = now()`, name, keyID, sealed); err != nil {
			return 0, err
		}
	}
	_, err = tx.Exec(ctx, `-- name: ForgetAlertSecrets
		DELETE FROM alert_secrets WHERE channel <> ALL($1)`, names)
	return base + 1, err
}

func alertIdentity(channel string) string { return "alert_secrets/" + channel }

// AlertSecret reads the secret of a channel into dst; false if it has none.
func AlertSecret(ctx context.Context, db DB, s Sealer, channel string, dst any) (bool, error) {
	var keyID string
	var sealed []byte
	err := db.QueryRow(ctx, `-- name: AlertSecret
		SELECT key_id, sealed FROM alert_secrets WHERE channel = $1`, channel).Scan(&keyID, &sealed)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("store.AlertSecret: %w", err)
	}
	plain, err := s.Open(alertIdentity(channel), keyID, sealed)
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(plain, dst); err != nil {
		return false, domain.Errorf(domain.Internal, "the stored secret of channel %s is not readable", channel) // without what it is
	}
	return true, nil
}

// RewrapAlertSecrets seals anew what was sealed with another key than the first, and returns how many.
func RewrapAlertSecrets(ctx context.Context, pool *pgxpool.Pool, s Sealer) (n int, err error) {
	err = Transact(ctx, pool, func(tx pgx.Tx) error {
		n = 0
		rows, err := tx.Query(ctx, `-- name: RewrapAlertSecrets
			SELECT channel, key_id, sealed FROM alert_secrets WHERE key_id <> $1 ORDER BY channel FOR UPDATE`, s.KeyID())
		if err != nil {
			return err
		}
		type row struct {
			Channel, KeyID string
			Sealed         []byte
		}
		old, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
		if err != nil {
			return err
		}
		for _, r := range old {
			plain, err := s.Open(alertIdentity(r.Channel), r.KeyID, r.Sealed)
			if err != nil {
				return err
			}
			keyID, sealed, err := s.Seal(alertIdentity(r.Channel), plain)
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `-- name: RewrapAlertSecret
				UPDATE alert_secrets SET key_id = $2, sealed = $3, updated_at = now() WHERE channel = $1`, r.Channel, keyID, sealed); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("store.RewrapAlertSecrets: %w", err)
	}
	return n, nil
}

// TakeAlertClock reports whether it is time for a look and for a sign of life, and holds the clock until the transaction ends: of
// all processes one looks. A zero interval is never time.
func TakeAlertClock(ctx context.Context, tx pgx.Tx, now time.Time, look, beat time.Duration) (looks, beats bool, err error) {
	err = tx.QueryRow(ctx, `-- name: TakeAlertClock
		WITH c AS (SELECT looked_at, beat_at FROM alert_clock WHERE (looked_at <= $1::timestamptz - $2::interval OR $3::interval > interval '0' AND beat_at <= $1::timestamptz - $3::interval)
			FOR UPDATE SKIP LOCKED)
		UPDATE alert_clock a SET looked_at = CASE WHEN c.looked_at <= $1::timestamptz - $2::interval THEN $1 ELSE a.looked_at END,
			beat_at = CASE WHEN $3::interval > interval '0' AND c.beat_at <= $1::timestamptz - $3::interval THEN $1 ELSE a.beat_at END
		FROM c RETURNING c.looked_at <= $1::timestamptz - $2::interval, $3::interval > interval '0' AND c.beat_at <= $1::timestamptz - $3::interval`,
		now, look, beat).Scan(&looks, &beats)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, false, nil
	}
	if err != nil {
		return false, false, fmt.Errorf("store.TakeAlertClock: %w", err)
	}
	return looks, beats, nil
}

// Alert is one row of what is wrong now.
type Alert struct {
	Rule, Series, Incident string
	Since                  time.Time
	FiredAt, NotifiedAt    *time.Time
	Value                  float64
}

// Alerts returns what is wrong now, by rule and series; those without an incident have not lasted long enough yet.
func Alerts(ctx context.Context, db DB) ([]Alert, error) {
	rows, err := db.Query(ctx, `-- name: Alerts
		SELECT rule, series, incident, since, fired_at, notified_at, value FROM alerts ORDER BY rule, series`)
	if err != nil {
		return nil, fmt.Errorf("store.Alerts: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Alert])
}

// SetAlerts replaces what is wrong now.
func SetAlerts(ctx context.Context, tx pgx.Tx, as []Alert) error {
	b := &pgx.Batch{}
	b.Queue(`-- name: SetAlertsDelete
		DELETE FROM alerts`)
	for _, a := range as {
		b.Queue(`-- name: SetAlerts
			INSERT INTO alerts (rule, series, incident, since, fired_at, notified_at, value) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			a.Rule, a.Series, a.Incident, a.Since, a.FiredAt, a.NotifiedAt, a.Value)
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("store.SetAlerts: %w", err)
	}
	return nil
}

// Delivery is something that was, or is to be, told to a channel.
type Delivery struct {
	ID, Channel, Event, Rule, Series, Incident, Severity, Title, Body string
	Value                                                             float64
	Since                                                             time.Time
	Status                                                            string // pending, sent, dead
	Attempts                                                          int
	Error                                                             string
	CreatedAt                                                         time.Time
	TriedAt, SentAt                                                   *time.Time
}

const deliveryColumns = `id, channel, event, rule, series, incident, severity, title, body, value, since, status, attempts, error, created_at, tried_at, sent_at`

// InsertDelivery stores something to be told. A worker finds it within a second.
func InsertDelivery(ctx context.Context, db DB, d Delivery) error {
	_, err := db.Exec(ctx, `-- name: InsertDelivery
		INSERT INTO alert_deliveries (id, channel, event, rule, series, incident, severity, title, body, value, since) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		d.ID, d.Channel, d.Event, d.Rule, d.Series, d.Incident, d.Severity, d.Title, d.Body, d.Value, d.Since)
	if err != nil {
		return fmt.Errorf("store.InsertDelivery: %w", err)
	}
	return nil
}

// QueueDeliveries marks deliveries that have no job yet and returns their ids: the caller queues the jobs in the same transaction.
func QueueDeliveries(ctx context.Context, tx pgx.Tx) ([]string, error) {
	rows, err := tx.Query(ctx, `-- name: QueueDeliveries
		WITH due AS MATERIALIZED (
			SELECT id AS due_id FROM alert_deliveries WHERE status = 'pending' AND NOT queued ORDER BY created_at, id LIMIT 100 FOR UPDATE SKIP LOCKED)
		UPDATE alert_deliveries SET queued = true FROM due WHERE id = due_id RETURNING id`)
	if err != nil {
		return nil, fmt.Errorf("store.QueueDeliveries: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// DeliveryByID returns one delivery. NotFound if there is none.
func DeliveryByID(ctx context.Context, db DB, id string) (Delivery, error) {
	rows, err := db.Query(ctx, `-- name: DeliveryByID
		SELECT `+deliveryColumns+` FROM alert_deliveries WHERE id = $1`, id)
	if err != nil {
		return Delivery{}, fmt.Errorf("store.DeliveryByID: %w", err)
	}
	d, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Delivery])
	if errors.Is(err, pgx.ErrNoRows) {
		return d, domain.Errorf(domain.NotFound, "there is no delivery %s", id)
	}
	return d, err
}

// TriedDelivery notes how a try went: status sent, dead, or pending for another one.
func TriedDelivery(ctx context.Context, db DB, id, status, problem string) error {
	_, err := db.Exec(ctx, `-- name: TriedDelivery
		UPDATE alert_deliveries SET status = $2, error = $3, attempts = attempts + 1, tried_at = now(), sent_at = CASE WHEN $2 = 'sent' THEN now() END WHERE id = $1`,
		id, status, problem)
	if err != nil {
		return fmt.Errorf("store.TriedDelivery: %w", err)
	}
	return nil
}

// Deliveries returns the newest deliveries.
func Deliveries(ctx context.Context, db DB, limit int) ([]Delivery, error) {
	rows, err := db.Query(ctx, `-- name: Deliveries
		SELECT `+deliveryColumns+` FROM alert_deliveries ORDER BY created_at DESC, id DESC LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("store.Deliveries: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Delivery])
}

// CountDeliveries counts those that are not sent, by status.
func CountDeliveries(ctx context.Context, db DB) (pending, dead int64, err error) {
	err = db.QueryRow(ctx, `-- name: CountDeliveries
		SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'dead') FROM alert_deliveries`).Scan(&pending, &dead)
	if err != nil {
		return 0, 0, fmt.Errorf("store.CountDeliveries: %w", err)
	}
	return pending, dead, nil
}

// PruneDeliveries forgets what was told longer ago than the age.
func PruneDeliveries(ctx context.Context, db DB, age time.Duration) (int64, error) {
	tag, err := db.Exec(ctx, `-- name: PruneDeliveries
		DELETE FROM alert_deliveries WHERE created_at < now() - $1::interval AND status <> 'pending'`, age)
	if err != nil {
		return 0, fmt.Errorf("store.PruneDeliveries: %w", err)
	}
	return tag.RowsAffected(), nil
}
