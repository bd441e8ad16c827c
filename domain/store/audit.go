package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Totals returns the number of live entities of a kind and of signals that were accepted.
func Totals(ctx context.Context, db DB, kind domain.Kind) (entities, signals int64, err error) {
	err = db.QueryRow(ctx, `-- name: Totals
		SELECT (SELECT count(*) FROM entities WHERE kind = $1 AND merged_into IS NULL), (SELECT count(*) FROM signals)`, kind).Scan(&entities, &signals)
	if err != nil {
		return 0, 0, fmt.Errorf("store.Totals: %w", err)
	}
	return entities, signals, nil
}

// SweptSince reports whether a sweep that began after the time has listed everything, and asked for what it missed.
func SweptSince(ctx context.Context, db DB, system string, kind domain.Kind, since time.Time) (bool, error) {
	var ok bool
	err := db.QueryRow(ctx, `-- name: SweptSince
		SELECT EXISTS (SELECT 1 FROM sweeps WHERE system = $1 AND kind = $2 AND started_at >= $3 AND listed_at IS NOT NULL)`,
		system, kind, since).Scan(&ok)
	if err != nil {
		return false, fmt.Errorf("store.SweptSince: %w", err)
	}
	return ok, nil
}

// LinkedRecords returns the ids of a system's live records that belong to an entity, or to an open case that asks whose
// they are.
func LinkedRecords(ctx context.Context, db DB, system string, kind domain.Kind) (map[string]bool, error) {
	rows, err := db.Query(ctx, `-- name: LinkedRecords
		SELECT external_id FROM records r WHERE system = $1 AND kind = $2 AND NOT deleted AND (entity_id IS NOT NULL OR EXISTS (
			SELECT 1 FROM cases c WHERE c.status = 'open' AND c.kind = 'unlinked' AND c.system = r.system AND c.external_id = r.external_id))
		ORDER BY external_id`, system, kind)
	if err != nil {
		return nil, fmt.Errorf("store.LinkedRecords: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	linked := make(map[string]bool, len(ids))
	for _, id := range ids {
		linked[id] = true
	}
	return linked, err
}

// HeldRecords returns the ids of a system's objects of which something waits for the decision of a mass change.
func HeldRecords(ctx context.Context, db DB, system string, kind domain.Kind) ([]string, error) {
	rows, err := db.Query(ctx, `-- name: HeldRecords
		SELECT DISTINCT external_id FROM signals WHERE system = $1 AND kind = $2 AND status = 'parked' ORDER BY external_id`, system, kind)
	if err != nil {
		return nil, fmt.Errorf("store.HeldRecords: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// WrittenRecords counts the records of a system that came to be by Datum's own writes.
func WrittenRecords(ctx context.Context, db DB, system string) (int, error) {
	var n int
	err := db.QueryRow(ctx, `-- name: WrittenRecords
		SELECT count(DISTINCT external_id) FROM history WHERE system = $1 AND action = 'linked' AND note IN ('written by Datum', 'our id in the record')`,
		system).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("store.WrittenRecords: %w", err)
	}
	return n, nil
}

// Unlevel returns what is not level in a system and no open case explains.
func Unlevel(ctx context.Context, db DB, system string, kind domain.Kind) ([]string, error) {
	rows, err := db.Query(ctx, `-- name: Unlevel
		SELECT p.entity_id || ' is ' || p.status || ': ' || p.error FROM projections p
		WHERE p.system = $1 AND p.kind = $2 AND p.status IN ('pending', 'refused', 'parked') AND NOT EXISTS (SELECT 1 FROM cases c
			WHERE c.status = 'open' AND ((c.entity_id = p.entity_id OR c.other_id = p.entity_id) AND c.kind IN ('refused', 'possible_duplicate', 'stuck')
				OR p.status = 'refused' AND c.dedupe_key = p.cause))
		ORDER BY p.entity_id`, system, kind)
	if err != nil {
		return nil, fmt.Errorf("store.Unlevel: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
