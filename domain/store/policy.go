package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// PolicyVersion is one published policy document.
type PolicyVersion struct {
	Version     int64
	Source      string // YAML
	PublishedBy string
	PublishedAt time.Time
}

// PolicyNumber returns the version in force, 0 if none has been published.
func PolicyNumber(ctx context.Context, db DB) (int64, error) {
	var v int64
	err := db.QueryRow(ctx, `-- name: PolicyNumber
		SELECT coalesce(max(version), 0) FROM policies`).Scan(&v)
	if err != nil {
		return 0, fmt.Errorf("store.PolicyNumber: %w", err)
	}
	return v, nil
}

// Policy returns one version; 0 means the one in force. NotFound if there is none.
func Policy(ctx context.Context, db DB, version int64) (PolicyVersion, error) {
	rows, err := db.Query(ctx, `-- name: Policy
		SELECT version, source, published_by, published_at FROM policies
		WHERE $1 = 0 OR version = $1 ORDER BY version DESC LIMIT 1`, version)
	if err != nil {
		return PolicyVersion{}, fmt.Errorf("store.Policy: %w", err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[PolicyVersion])
	if errors.Is(err, pgx.ErrNoRows) {
		return p, domain.Errorf(domain.NotFound, "policy version %d has not been published", version)
	}
	return p, err
}

// PublishPolicy waits for the changes that are under way under the version in force, see LockEntity, keeps further ones
// waiting until tx ends, stores the next version and returns its number. Conflict if base is not the version in force, which
// means that somebody else published meanwhile.
func PublishPolicy(ctx context.Context, tx pgx.Tx, base int64, source, by string) (int64, error) {
	if _, err := tx.Exec(ctx, `LOCK TABLE policies IN EXCLUSIVE MODE`); err != nil {
		return 0, fmt.Errorf("store.PublishPolicy: %w", err)
	}
	now, err := PolicyNumber(ctx, tx)
	if err != nil {
		return 0, err
	}
	if now != base {
		return 0, domain.Errorf(domain.Conflict, "policy version %d is in force, not %d: look at its changes and publish again", now, base)
	}
	_, err = tx.Exec(ctx, `-- name: PublishPolicy
		INSERT INTO policies (version, source, published_by) VALUES ($1, $2, $3)`, now+1, source, by)
	if err != nil {
		return 0, fmt.Errorf("store.PublishPolicy: %w", err)
	}
	return now + 1, nil
}
