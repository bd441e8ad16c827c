package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// HistoryPage returns up to limit history rows of an entity, newest first, before the row with the id (0: from the
// newest) and up to the time (nil: all).
func HistoryPage(ctx context.Context, db DB, entityID string, before int64, until *time.Time, limit int) ([]History, error) {
	rows, err := db.Query(ctx, `-- name: HistoryPage
		SELECT id, entity_id, version, at, action, field, old, new, system, external_id, why, owner, actor, source, correlation_id, note
		FROM history WHERE entity_id = @entity AND (@before::bigint = 0 OR id < @before) AND (@until::timestamptz IS NULL OR at <= @until)
		ORDER BY id DESC LIMIT @limit`,
		pgx.StrictNamedArgs{"entity": entityID, "before": before, "until": until, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("store.HistoryPage: %w", err)
	}
	return pgx.CollectRows(rows, scanHistory)
}

// OpenCasesBySystem returns the number of open cases that concern each system.
func OpenCasesBySystem(ctx context.Context, db DB) (map[string]int64, error) {
	rows, err := db.Query(ctx, `-- name: OpenCasesBySystem
		SELECT system, count(*) FROM cases WHERE status = 'open' AND system <> '' GROUP BY system ORDER BY system`)
	if err != nil {
		return nil, fmt.Errorf("store.OpenCasesBySystem: %w", err)
	}
	counts := map[string]int64{}
	var s string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&s, &n}, func() error { counts[s] = n; return nil })
	return counts, err
}

// LastCall is one of the newest calls to a system.
type LastCall struct {
	System    string
	Status    int // 0: no answer
	ErrorCode domain.Code
}

// LastCalls returns the newest calls to each system, at most each of them, newest first.
func LastCalls(ctx context.Context, db DB, each int) ([]LastCall, error) {
	rows, err := db.Query(ctx, `-- name: LastCalls
		SELECT s.name AS system, x.status, x.error_code
		FROM systems s CROSS JOIN LATERAL (SELECT id, status, error_code FROM exchanges WHERE system = s.name ORDER BY id DESC LIMIT @each) x
		ORDER BY s.name, x.id DESC`, pgx.StrictNamedArgs{"each": each})
	if err != nil {
		return nil, fmt.Errorf("store.LastCalls: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[LastCall])
}

// CasesByID returns the cases with these ids; unknown ids are missing.
func CasesByID(ctx context.Context, db DB, ids []string) ([]Case, error) {
	rows, err := db.Query(ctx, `-- name: CasesByID
		SELECT `+caseColumns+` FROM cases WHERE id = ANY(@ids) ORDER BY id`, pgx.StrictNamedArgs{"ids": ids})
	if err != nil {
		return nil, fmt.Errorf("store.CasesByID: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Case])
}
