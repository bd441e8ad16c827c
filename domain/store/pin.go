package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Pin is a person's decision about one field. It overrides the policy, or, if it is Asked, is a change that is asked of the field's
// owner and counts once that confirms it.
type Pin struct {
	EntityID  string
	Home      string // the entity that it was set on, if others stand for it now
	Field     domain.Field
	Value     domain.Value
	Actor     string
	Reason    string
	CreatedAt time.Time
	SleptBy   string // "" if it counts
	Asked     bool
	System    string       // the owner that is asked
	Was       domain.Value // what the owner said when it was asked
	ExpiresAt *time.Time   // when it is no longer asked
	// CorrelationID ties a change that is asked to what it led to.
	CorrelationID string
}

const pinColumns = `entity_id, home, field, value, actor, reason, created_at, slept_by, asked, system, was, expires_at, correlation_id`

// QueuePin adds or replaces the pin of a field. Those of entities that were merged into this one sleep from now on.
func QueuePin(b *pgx.Batch, entityID string, p Pin) {
	b.Queue(`-- name: QueuePinSleep
		UPDATE pins SET slept_by = $1 WHERE entity_id = $1 AND field = $2 AND home <> $1 AND slept_by = ''`, entityID, p.Field)
	b.Queue(`-- name: QueuePin
		INSERT INTO pins (home, entity_id, field, value, actor, reason, asked, system, was, expires_at, correlation_id)
		VALUES ($1, $1, $2, $3, $4, $5, $6, $7, coalesce($8, 'null'::jsonb), $9, $10)
		ON CONFLICT (home, field) DO UPDATE SET value = excluded.value, actor = excluded.actor, reason = excluded.reason, created_at = now(), slept_by = '',
			asked = excluded.asked, system = excluded.system, was = excluded.was, expires_at = excluded.expires_at, correlation_id = excluded.correlation_id`,
		entityID, p.Field, p.Value, p.Actor, p.Reason, p.Asked, p.System, valueOrNil(p.Was), p.ExpiresAt, p.CorrelationID)
}

// QueueUnpin ends the pin of a field. by is the home of the record that has confirmed it: if that is of another entity than
// the pin, merged with it, the pin sleeps until they are parted.
func QueueUnpin(b *pgx.Batch, entityID string, f domain.Field, by string) {
	b.Queue(`-- name: QueueUnpin
		DELETE FROM pins WHERE entity_id = $1 AND field = $2 AND slept_by = '' AND $3 IN ('', home)`, entityID, f, by)
	b.Queue(`-- name: QueueUnpinSleep
		UPDATE pins SET slept_by = $3 WHERE entity_id = $1 AND field = $2 AND slept_by = '' AND $3 <> ''`, entityID, f, by)
}

// QueuePinWake makes a sleeping pin count again.
func QueuePinWake(b *pgx.Batch, p Pin) {
	b.Queue(`-- name: QueuePinWake
		UPDATE pins SET slept_by = '' WHERE home = $1 AND field = $2`, p.Home, p.Field)
}

// PinsAsleep returns the pins of an entity that do not count, the newest first.
func PinsAsleep(ctx context.Context, db DB, entityID string) ([]Pin, error) {
	rows, err := db.Query(ctx, `-- name: PinsAsleep
		SELECT `+pinColumns+` FROM pins WHERE entity_id = $1 AND slept_by <> '' ORDER BY created_at DESC, home, field`, entityID)
	if err != nil {
		return nil, fmt.Errorf("store.PinsAsleep: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Pin])
}

// PinsOf returns the pins of the entities that count, by entity and field.
func PinsOf(ctx context.Context, db DB, entityIDs []string) ([]Pin, error) {
	rows, err := db.Query(ctx, `-- name: PinsOf
		SELECT `+pinColumns+` FROM pins WHERE entity_id = ANY($1) AND slept_by = '' ORDER BY entity_id, field`, entityIDs)
	if err != nil {
		return nil, fmt.Errorf("store.PinsOf: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Pin])
}

// ListPins returns up to limit pins that count after the one of the entity and field, by entity and field.
func ListPins(ctx context.Context, db DB, entityID string, field domain.Field, limit int) ([]Pin, error) {
	rows, err := db.Query(ctx, `-- name: ListPins
		SELECT `+pinColumns+` FROM pins WHERE slept_by = '' AND (entity_id, field) > ($1, $2) ORDER BY entity_id, field LIMIT $3`, entityID, field, limit)
	if err != nil {
		return nil, fmt.Errorf("store.ListPins: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Pin])
}

// ExpiredChanges returns up to limit entities with changes that are no longer to be asked at the time; the zero time is now.
func ExpiredChanges(ctx context.Context, db DB, at time.Time, limit int) ([]string, error) {
	var now *time.Time
	if !at.IsZero() {
		now = &at
	}
	rows, err := db.Query(ctx, `-- name: ExpiredChanges
		SELECT DISTINCT entity_id FROM pins WHERE asked AND slept_by = '' AND expires_at <= coalesce($1, now()) ORDER BY entity_id LIMIT $2`, now, limit)
	if err != nil {
		return nil, fmt.Errorf("store.ExpiredChanges: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// AskedFields returns the fields of an entity for which a change is asked of the system.
func AskedFields(ctx context.Context, db DB, entityID, system string) ([]domain.Field, error) {
	rows, err := db.Query(ctx, `-- name: AskedFields
		SELECT field FROM pins WHERE entity_id = $1 AND system = $2 AND asked AND slept_by = '' ORDER BY field`, entityID, system)
	if err != nil {
		return nil, fmt.Errorf("store.AskedFields: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[domain.Field])
}
