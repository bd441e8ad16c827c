package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// RefusedAlike counts, up to limit, the projections of other entities that are refused for the cause.
func RefusedAlike(ctx context.Context, db DB, cause, entityID string, limit int) (n int, err error) {
	err = db.QueryRow(ctx, `-- name: RefusedAlike
		SELECT count(*) FROM (SELECT 1 FROM projections WHERE status = 'refused' AND cause = $1 AND entity_id <> $2 LIMIT $3) alike`, cause, entityID, limit).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("store.RefusedAlike: %w", err)
	}
	return n, nil
}

// RefusedForCause returns up to limit projections that are refused for the cause.
func RefusedForCause(ctx context.Context, db DB, cause string, limit int) ([]*Projection, error) {
	rows, err := db.Query(ctx, `-- name: RefusedForCause
		SELECT `+projectionColumns+` FROM projections WHERE status = 'refused' AND cause = $1 ORDER BY entity_id LIMIT $2`, cause, limit)
	if err != nil {
		return nil, fmt.Errorf("store.RefusedForCause: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[Projection])
}

// Gathered is an open case that gathers refusals.
type Gathered struct {
	ID   string
	Held int64 // projections that are refused for its cause
}

// MovedGathered returns the open gathering cases that say another number than are refused.
func MovedGathered(ctx context.Context, db DB) ([]Gathered, error) {
	rows, err := db.Query(ctx, `-- name: MovedGathered
		SELECT id, held FROM (
			SELECT c.id, c.detail, (SELECT count(*) FROM projections p WHERE p.status = 'refused' AND p.cause = c.dedupe_key) AS held
			FROM cases c WHERE c.status = 'open' AND c.kind = 'refused' AND c.entity_id IS NULL
		) g WHERE held > 0 AND held <> coalesce((detail ->> 'held')::bigint, 0) ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("store.MovedGathered: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Gathered])
}
