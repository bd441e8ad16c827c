package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// ModeChange is one switch of a system's mode.
type ModeChange struct {
	ID            int64
	System        string
	At            time.Time
	Actor         string
	ModeFrom      Mode
	ModeTo        Mode
	Reason        string
	CorrelationID string
}

// BeginSwitch keeps writes to the system from beginning, for d at most, until EndSwitch or DropSwitch with the same token.
// Writes that have begun are not touched: see WritesUnderWay. NotFound if there is no such system, Conflict while somebody
// else is switching it.
func BeginSwitch(ctx context.Context, db DB, system string, token uuid.UUID, d time.Duration) error {
	tag, err := db.Exec(ctx, `-- name: BeginSwitch
		UPDATE systems SET switching = $2, switching_until = clock_timestamp() + $3::interval WHERE name = $1 AND switching_until <= clock_timestamp()`,
		system, token, d)
	if err != nil {
		return fmt.Errorf("store.BeginSwitch: %w", err)
	}
	if tag.RowsAffected() == 0 {
		if _, err := SystemByName(ctx, db, system); err != nil {
			return err
		}
		return domain.Errorf(domain.Conflict, "somebody else is switching %s at this moment; look at its mode, then try again", system)
	}
	return nil
}

// WritesUnderWay counts the projections of a system that are being written at this moment: their intent is stored, and the
// process that is at them lives.
func WritesUnderWay(ctx context.Context, db DB, system string) (n int64, err error) {
	err = db.QueryRow(ctx, `-- name: WritesUnderWay
		SELECT count(*) FROM projections WHERE system = $1 AND status = 'pending' AND intent_key <> '' AND lease IS NOT NULL AND NOT `+free,
		system).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("store.WritesUnderWay: %w", err)
	}
	return n, nil
}

// EndSwitch changes the mode and notes who did it. ModeFrom and At of the change are filled in here. Conflict if the switch took so
// long that it is no longer ours.
func EndSwitch(ctx context.Context, tx pgx.Tx, c ModeChange, token uuid.UUID) error {
	tag, err := tx.Exec(ctx, `-- name: EndSwitch
		WITH old AS (SELECT mode FROM systems WHERE name = $1 AND switching = $2 AND switching_until > clock_timestamp() FOR NO KEY UPDATE),
			noted AS (INSERT INTO mode_changes (system, actor, mode_from, mode_to, reason, correlation_id) SELECT $1, $4, mode, $3, $5, $6 FROM old)
		UPDATE systems SET mode = $3, switching = NULL, switching_until = '-infinity', updated_at = now() WHERE name = $1 AND EXISTS (SELECT 1 FROM old)`,
		c.System, token, c.ModeTo, c.Actor, c.Reason, c.CorrelationID)
	if err != nil {
		return fmt.Errorf("store.EndSwitch: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return domain.Errorf(domain.Conflict, "switching %s took too long, and its mode is as it was; try again", c.System)
	}
	return nil
}

// DropSwitch gives a switch up: the mode stays, and writes go on.
func DropSwitch(ctx context.Context, db DB, system string, token uuid.UUID) error {
	_, err := db.Exec(ctx, `-- name: DropSwitch
		UPDATE systems SET switching = NULL, switching_until = '-infinity' WHERE name = $1 AND switching = $2`, system, token)
	if err != nil {
		return fmt.Errorf("store.DropSwitch: %w", err)
	}
	return nil
}

// ModeChanges returns up to limit switches of a system, newest first, before the one with the id; 0 begins with the newest.
func ModeChanges(ctx context.Context, db DB, system string, before int64, limit int) ([]ModeChange, error) {
	rows, err := db.Query(ctx, `-- name: ModeChanges
		SELECT id, system, at, actor, mode_from, mode_to, reason, correlation_id FROM mode_changes
		WHERE system = $1 AND ($2 = 0 OR id < $2) ORDER BY id DESC LIMIT $3`, system, before, limit)
	if err != nil {
		return nil, fmt.Errorf("store.ModeChanges: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[ModeChange])
}

// ModeOf returns the mode of a system as it is at this moment.
func ModeOf(ctx context.Context, db DB, system string) (m Mode, err error) {
	if err = db.QueryRow(ctx, `-- name: ModeOf
		SELECT mode FROM systems WHERE name = $1`, system).Scan(&m); err != nil {
		return "", fmt.Errorf("store.ModeOf: %w", err)
	}
	return m, nil
}

// PendingKinds returns the kinds of which something waits to be written to the system.
func PendingKinds(ctx context.Context, db DB, system string) ([]domain.Kind, error) {
	rows, err := db.Query(ctx, `-- name: PendingKinds
		SELECT DISTINCT kind FROM projections WHERE system = $1 AND status = 'pending' ORDER BY kind`, system)
	if err != nil {
		return nil, fmt.Errorf("store.PendingKinds: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[domain.Kind])
}
