package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// CallRate is how a system's calls went lately.
type CallRate struct {
	System        string
	Calls, Failed int64
}

// CallRates counts the calls of the last time, by system, and those without an answer or with one that says that the vendor does
// not work or wants to be left alone. What it refuses for its content is no failure.
func CallRates(ctx context.Context, db DB, last time.Duration) ([]CallRate, error) {
	rows, err := db.Query(ctx, `-- name: CallRates
		SELECT system, count(*) AS calls, count(*) FILTER (WHERE status = 0 OR status = 401 OR status = 429 OR status >= 500) AS failed
		FROM exchanges WHERE sent_at > now() - $1::interval GROUP BY system ORDER BY system`, last)
	if err != nil {
		return nil, fmt.Errorf("store.CallRates: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[CallRate])
}

// SweepAge is since when a system's kind has not been compared completely.
type SweepAge struct {
	System string
	Kind   domain.Kind
	Since  time.Time
}

// SweepAges returns when each kind of each system that is swept was last compared completely, or was ready to be.
func SweepAges(ctx context.Context, db DB) ([]SweepAge, error) {
	rows, err := db.Query(ctx, `-- name: SweepAges
		SELECT c.system, c.kind, coalesce(c.finished_at, r.ready_at) AS since FROM cursors c
			JOIN cursors r ON r.system = c.system AND r.kind = c.kind AND r.name = 'changes' JOIN systems s ON s.name = c.system
		WHERE c.name = 'sweep' AND s.mode <> 'off' AND coalesce(c.finished_at, r.ready_at) IS NOT NULL ORDER BY c.system, c.kind`)
	if err != nil {
		return nil, fmt.Errorf("store.SweepAges: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[SweepAge])
}

// KeyExpiry is when the last live API key of a name ends.
type KeyExpiry struct {
	System, Name string
	ExpiresAt    time.Time
}

// KeyExpiries returns when the API keys that are in use end; of two of a name, which are being rotated, the later one counts.
func KeyExpiries(ctx context.Context, db DB) ([]KeyExpiry, error) {
	rows, err := db.Query(ctx, `-- name: KeyExpiries
		SELECT system, name, max(expires_at) AS expires_at FROM api_keys
		WHERE revoked_at IS NULL AND expires_at > now() - interval '7 days' GROUP BY system, name
		HAVING count(*) FILTER (WHERE expires_at IS NULL) = 0 ORDER BY system, name`)
	if err != nil {
		return nil, fmt.Errorf("store.KeyExpiries: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[KeyExpiry])
}
