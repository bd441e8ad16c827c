package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datum/domain"
)

// DuplicateScan is one search for duplicates in the whole database, with its progress.
type DuplicateScan struct {
	ID            string
	Kind          domain.Kind
	Dry           bool
	Ask           float64
	PerSecond     int
	Status        string // running, done, cancelled
	Actor         string
	CorrelationID string
	CreatedAt     time.Time
	FinishedAt    *time.Time
	EndedBy       string // who cancelled it

	Total, Compared, Pairs int64
	AtSystem, AtExternalID string // the last record that was compared
}

// ETA is when a running scan will have ended if it goes on as it has, nil if that cannot be told.
func (s DuplicateScan) ETA(now time.Time) *time.Time {
	took := now.Sub(s.CreatedAt)
	if s.Status != "running" || s.Compared == 0 || took <= 0 {
		return nil
	}
	at := now.Add(time.Duration(float64(took) / float64(s.Compared) * float64(max(s.Total-s.Compared, 0))))
	return &at
}

const duplicateScanColumns = `id, kind, dry, ask, per_second, status, actor, correlation_id, created_at, finished_at, ended_by, total, compared, pairs, at_system, at_external_id`

// InsertDuplicateScan begins a scan of what there is now. Conflict if one of the kind is running.
func InsertDuplicateScan(ctx context.Context, tx pgx.Tx, s DuplicateScan) error {
	_, err := tx.Exec(ctx, `-- name: InsertDuplicateScan
		INSERT INTO duplicate_scans (id, kind, dry, ask, per_second, actor, correlation_id, total)
		SELECT $1, $2, $3, $4, $5, $6, $7, count(*) FROM records WHERE kind = $2 AND entity_id IS NOT NULL AND NOT deleted`,
		s.ID, s.Kind, s.Dry, s.Ask, s.PerSecond, s.Actor, s.CorrelationID)
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.ConstraintName == "duplicate_scans_running" {
		return domain.Errorf(domain.Conflict, "a search for duplicates among %ss is running already: wait for it, or cancel it", s.Kind)
	}
	if err != nil {
		return fmt.Errorf("store.InsertDuplicateScan: %w", err)
	}
	return nil
}

// DuplicateScans returns scans, newest first, or the one with the id.
func DuplicateScans(ctx context.Context, db DB, id string, limit int) ([]DuplicateScan, error) {
	rows, err := db.Query(ctx, `-- name: DuplicateScans
		SELECT `+duplicateScanColumns+` FROM duplicate_scans WHERE $1 = '' OR id = $1 ORDER BY id DESC LIMIT $2`, id, limit)
	if err != nil {
		return nil, fmt.Errorf("store.DuplicateScans: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[DuplicateScan])
}

// DuplicateScanByID returns a scan, NotFound if there is none.
func DuplicateScanByID(ctx context.Context, db DB, id string) (DuplicateScan, error) {
	ss, err := DuplicateScans(ctx, db, id, 1)
	if err == nil && (len(ss) == 0 || id == "") {
		return DuplicateScan{}, domain.Errorf(domain.NotFound, "there is no search for duplicates %q", id)
	}
	if err != nil {
		return DuplicateScan{}, err
	}
	return ss[0], nil
}

// ClaimDuplicateScan leases a running scan and returns how far it has come; nil if it is not running, or somebody else is at it.
func ClaimDuplicateScan(ctx context.Context, db DB, id string, lease uuid.UUID, process string, d time.Duration) (*DuplicateScan, error) {
	rows, err := db.Query(ctx, `-- name: ClaimDuplicateScan
		UPDATE duplicate_scans SET lease = $2, lease_process = $3, lease_until = now() + $4::interval WHERE id = $1 AND status = 'running' AND (lease = $2 OR `+free+`)
		RETURNING `+duplicateScanColumns, id, lease, process, d)
	if err != nil {
		return nil, fmt.Errorf("store.ClaimDuplicateScan: %w", err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[DuplicateScan])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return s, err
}

// LeaveDuplicateScan gives the lease back.
func LeaveDuplicateScan(ctx context.Context, db DB, id string, lease uuid.UUID) error {
	_, err := db.Exec(ctx, `-- name: LeaveDuplicateScan
		UPDATE duplicate_scans SET lease = NULL, lease_until = NULL, lease_process = '' WHERE id = $1 AND lease = $2`, id, lease)
	if err != nil {
		return fmt.Errorf("store.LeaveDuplicateScan: %w", err)
	}
	return nil
}

// StrandedDuplicateScans returns the running scans that nobody is at.
func StrandedDuplicateScans(ctx context.Context, db DB) ([]string, error) {
	rows, err := db.Query(ctx, `-- name: StrandedDuplicateScans
		SELECT id FROM duplicate_scans WHERE status = 'running' AND `+free+` ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("store.StrandedDuplicateScans: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// AdvanceDuplicateScan notes that a scan has compared some more records, up to the one named; done ends it. It is false if the lease was lost.
func AdvanceDuplicateScan(ctx context.Context, db DB, id string, lease uuid.UUID, compared int, system, externalID string, done bool) (bool, error) {
	tag, err := db.Exec(ctx, `-- name: AdvanceDuplicateScan
		UPDATE duplicate_scans SET compared = compared + $3, at_system = $4, at_external_id = $5,
			status = CASE WHEN $6 THEN 'done' ELSE status END, finished_at = CASE WHEN $6 THEN now() END WHERE id = $1 AND lease = $2 AND status = 'running'`,
		id, lease, compared, system, externalID, done)
	if err != nil {
		return false, fmt.Errorf("store.AdvanceDuplicateScan: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// CancelDuplicateScan ends a running scan; false if it is not running.
func CancelDuplicateScan(ctx context.Context, db DB, id, by string) (bool, error) {
	tag, err := db.Exec(ctx, `-- name: CancelDuplicateScan
		UPDATE duplicate_scans SET status = 'cancelled', finished_at = now(), ended_by = $2, lease = NULL, lease_until = NULL, lease_process = ''
		WHERE id = $1 AND status = 'running'`, id, by)
	if err != nil {
		return false, fmt.Errorf("store.CancelDuplicateScan: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// DuplicatePair is two entities that may be one, and what has become of that.
type DuplicatePair struct {
	EntityID string // the later one
	OtherID  string
	Score    float64
	Reasons  []string
	Decision string // ask, same, different, over
	CaseID   string // the case that asks or has asked, "" of a dry run
}

// InsertDuplicatePair notes a pair that a scan has found, unless it has found it before.
func InsertDuplicatePair(ctx context.Context, db DB, scan string, p DuplicatePair) error {
	_, err := db.Exec(ctx, `-- name: InsertDuplicatePair
		WITH put AS (INSERT INTO duplicate_pairs (scan_id, entity_id, other_id, score, reasons) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING 1)
		UPDATE duplicate_scans SET pairs = pairs + 1 WHERE id = $1 AND EXISTS (SELECT FROM put)`,
		scan, p.EntityID, p.OtherID, p.Score, orEmpty(p.Reasons))
	if err != nil {
		return fmt.Errorf("store.InsertDuplicatePair: %w", err)
	}
	return nil
}

// DuplicatePairs returns up to limit pairs of a scan, the likeliest first, after the one given; an empty EntityID is the start.
func DuplicatePairs(ctx context.Context, db DB, scan string, after DuplicatePair, limit int) ([]DuplicatePair, error) {
	rows, err := db.Query(ctx, `-- name: DuplicatePairs
		SELECT p.entity_id, p.other_id, p.score, p.reasons, coalesce(c.id, '') AS case_id,
			CASE WHEN e.merged_into = p.other_id OR o.merged_into = p.entity_id OR c.resolution IN ('same', 'merged') THEN 'same' WHEN c.resolution = 'different' THEN 'different'
				WHEN c.id IS NULL OR c.status = 'open' THEN 'ask' ELSE 'over' END AS decision
		FROM (SELECT * FROM duplicate_pairs WHERE scan_id = $1 AND ($2 = '' OR score < $4 OR score = $4 AND (entity_id, other_id) > ($2, $3))
			ORDER BY score DESC, entity_id, other_id LIMIT $5) p
		LEFT JOIN entities e ON e.id = p.entity_id LEFT JOIN entities o ON o.id = p.other_id
		LEFT JOIN LATERAL (SELECT id, status, resolution FROM cases WHERE dedupe_key = 'duplicate|' || least(p.entity_id, p.other_id) || '|' || greatest(p.entity_id, p.other_id)
			ORDER BY id DESC LIMIT 1) c ON true
		ORDER BY p.score DESC, p.entity_id, p.other_id`, scan, after.EntityID, after.OtherID, after.Score, limit)
	if err != nil {
		return nil, fmt.Errorf("store.DuplicatePairs: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[DuplicatePair])
}

// PruneDuplicateScans forgets scans that ended longer ago than the age, with what they found.
func PruneDuplicateScans(ctx context.Context, db DB, age time.Duration) (int64, error) {
	tag, err := db.Exec(ctx, `-- name: PruneDuplicateScans
		DELETE FROM duplicate_scans WHERE finished_at < now() - $1::interval`, age)
	if err != nil {
		return 0, fmt.Errorf("store.PruneDuplicateScans: %w", err)
	}
	return tag.RowsAffected(), nil
}
