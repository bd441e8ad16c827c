package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// MappingVersion is one published mapping document of a system.
type MappingVersion struct {
	System      string
	Version     int64
	Source      string // YAML
	PublishedBy string
	PublishedAt time.Time
	Applied     int64 // stored records that have been read anew under it
	AppliedAt   *time.Time
}

// MappingVersions returns the mapping documents of a system, the one in force first.
func MappingVersions(ctx context.Context, db DB, system string) ([]MappingVersion, error) {
	rows, err := db.Query(ctx, `-- name: MappingVersions
		SELECT system, version, source, published_by, published_at, applied, applied_at FROM mappings WHERE system = $1 ORDER BY version DESC`, system)
	if err != nil {
		return nil, fmt.Errorf("store.MappingVersions: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[MappingVersion])
}

// PublishMapping stores the next version of a system's mapping document and puts it in force. Conflict if base is not the
// version in force, NotFound if there is no such system.
func PublishMapping(ctx context.Context, tx pgx.Tx, system string, base int64, setting, source, by string) (int64, error) {
	var now int64
	tag, err := tx.Exec(ctx, `-- name: LockMapping
		SELECT 1 FROM systems WHERE name = $1 FOR UPDATE`, system)
	if err != nil {
		return 0, fmt.Errorf("store.PublishMapping: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return 0, domain.Errorf(domain.NotFound, "there is no system %q", system)
	}
	if err := tx.QueryRow(ctx, `-- name: MappingNumber
		SELECT coalesce(max(version), 0) FROM mappings WHERE system = $1`, system).Scan(&now); err != nil {
		return 0, fmt.Errorf("store.PublishMapping: %w", err)
	}
	if now != base {
		return 0, domain.Errorf(domain.Conflict, "mapping version %d of %s is in force, not %d: look at its changes and publish again", now, system, base)
	}
	if _, err := tx.Exec(ctx, `-- name: PublishMapping
		INSERT INTO mappings (system, version, source, published_by) VALUES ($1, $2, $3, $4)`, system, now+1, source, by); err != nil {
		return 0, fmt.Errorf("store.PublishMapping: %w", err)
	}
	if _, err := tx.Exec(ctx, `-- name: PutMappingInForce
		UPDATE systems SET settings = settings || jsonb_build_object($2::text, $3::text), updated_at = now() WHERE name = $1`, system, setting, source); err != nil {
		return 0, fmt.Errorf("store.PublishMapping: %w", err)
	}
	return now + 1, nil
}

// MappingApplied notes how far the stored records have been read anew.
func MappingApplied(ctx context.Context, db DB, system string, version int64, records int, done bool) error {
	_, err := db.Exec(ctx, `-- name: MappingApplied
		UPDATE mappings SET applied = applied + $3, applied_at = CASE WHEN $4 THEN now() ELSE applied_at END WHERE system = $1 AND version = $2`,
		system, version, records, done)
	if err != nil {
		return fmt.Errorf("store.MappingApplied: %w", err)
	}
	return nil
}

// RecordsAfter returns live records of a system and kind in the order of their ids, after the one given.
func RecordsAfter(ctx context.Context, db DB, system string, kind domain.Kind, after string, limit int) ([]*Record, error) {
	rows, err := db.Query(ctx, `-- name: RecordsAfter
		SELECT `+recordColumns+` FROM records WHERE system = $1 AND kind = $2 AND external_id > $3 AND NOT deleted AND merged_into = ''
		ORDER BY external_id LIMIT $4`, system, kind, after, limit)
	if err != nil {
		return nil, fmt.Errorf("store.RecordsAfter: %w", err)
	}
	return pgx.CollectRows(rows, scanRecord)
}

// RetryRefused makes what a system has refused of a kind due again: what is written has changed.
func RetryRefused(ctx context.Context, db DB, system string, kind domain.Kind) (int64, error) {
	tag, err := db.Exec(ctx, `-- name: RetryRefused
		UPDATE projections SET status = 'pending', due_at = now(), error_code = '', error = '', attempts = 0, desired_version = desired_version + 1,
			pending_since = coalesce(pending_since, now()), updated_at = now()
		WHERE system = $1 AND kind = $2 AND status = 'refused'`, system, kind)
	if err != nil {
		return 0, fmt.Errorf("store.RetryRefused: %w", err)
	}
	return tag.RowsAffected(), nil
}
