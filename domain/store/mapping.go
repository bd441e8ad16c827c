package store

import (
	"context"
	"errors"
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

// MappingPreview is a mapping document that was tried out.
type MappingPreview struct {
	ID        string
	System    string
	Base      int64 // the version in force then
	Source    string
	Effect    []byte // JSON: the numbers that were shown
	Actor     string
	CreatedAt time.Time
	Parked    bool // a case asks whether it may be applied
}

// InsertMappingPreview stores a preview. One that is parked takes the place of the one that was.
func InsertMappingPreview(ctx context.Context, tx pgx.Tx, p MappingPreview) error {
	if p.Parked {
		if err := UnparkMapping(ctx, tx, p.System); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `-- name: InsertMappingPreview
		INSERT INTO mapping_previews (id, system, base, source, effect, actor, parked) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		p.ID, p.System, p.Base, p.Source, p.Effect, p.Actor, p.Parked)
	if err != nil {
		return fmt.Errorf("store.InsertMappingPreview: %w", err)
	}
	return nil
}

// MappingPreviewOf returns the preview with the id or, if that is "", the one of the system that is parked. NotFound if there is none.
func MappingPreviewOf(ctx context.Context, db DB, system, id string) (MappingPreview, error) {
	rows, err := db.Query(ctx, `-- name: MappingPreviewOf
		SELECT id, system, base, source, effect, actor, created_at, parked FROM mapping_previews WHERE system = $1 AND CASE WHEN $2 = '' THEN parked ELSE id = $2 END`, system, id)
	if err != nil {
		return MappingPreview{}, fmt.Errorf("store.MappingPreviewOf: %w", err)
	}
	p, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[MappingPreview])
	if errors.Is(err, pgx.ErrNoRows) {
		return p, domain.Errorf(domain.NotFound, "there is no such preview of %s's mapping: try the document out again", system)
	}
	return p, err
}

// UnparkMapping notes that nobody is asked any longer whether a system's parked document may be applied.
func UnparkMapping(ctx context.Context, tx pgx.Tx, system string) error {
	_, err := tx.Exec(ctx, `-- name: UnparkMapping
		UPDATE mapping_previews SET parked = false WHERE system = $1 AND parked`, system)
	if err != nil {
		return fmt.Errorf("store.UnparkMapping: %w", err)
	}
	return nil
}

// PruneMappingPreviews forgets previews older than the age, but for those that are parked.
func PruneMappingPreviews(ctx context.Context, db DB, age time.Duration) (int64, error) {
	tag, err := db.Exec(ctx, `-- name: PruneMappingPreviews
		DELETE FROM mapping_previews WHERE created_at < now() - $1::interval AND NOT parked`, age)
	if err != nil {
		return 0, fmt.Errorf("store.PruneMappingPreviews: %w", err)
	}
	return tag.RowsAffected(), nil
}

// PublishMapping stores the next version of a system's mapping document and puts it in force. Conflict if base is not the
// version in force, NotFound if there is no such system.
func PublishMapping(ctx context.Context, tx pgx.Tx, system string, base int64, source, by string) (int64, error) {
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
		UPDATE systems SET settings = settings || jsonb_build_object($2::text, $3::text), updated_at = now() WHERE name = $1`, system, domain.MappingSetting, source); err != nil {
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
