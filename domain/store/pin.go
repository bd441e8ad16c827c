package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Pin is a person's decision that overrides the policy for one field.
type Pin struct {
	Home      string // the entity that it was set on, if others stand for it now
	Field     domain.Field
	Value     domain.Value
	Actor     string
	Reason    string
	CreatedAt time.Time
	SleptBy   string // "" if it counts
}

const pinColumns = `home, field, value, actor, reason, created_at, slept_by`

// QueuePin adds or replaces the pin of a field. Those of entities that were merged into this one sleep from now on.
func QueuePin(b *pgx.Batch, entityID string, p Pin) {
	b.Queue(`-- name: QueuePinSleep
		UPDATE pins SET slept_by = $1 WHERE entity_id = $1 AND field = $2 AND home <> $1 AND slept_by = ''`, entityID, p.Field)
	b.Queue(`-- name: QueuePin
		INSERT INTO pins (home, entity_id, field, value, actor, reason) VALUES ($1, $1, $2, $3, $4, $5)
		ON CONFLICT (home, field) DO UPDATE SET value = excluded.value, actor = excluded.actor, reason = excluded.reason, created_at = now(), slept_by = ''`,
		entityID, p.Field, p.Value, p.Actor, p.Reason)
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
