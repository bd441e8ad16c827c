package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Case is something a person must decide.
type Case struct {
	ID            string
	Kind          string
	Status        string // open, resolved (by a person), closed (the world moved on)
	EntityKind    domain.Kind
	EntityID      string
	OtherID       string
	System        string
	ExternalID    string
	Field         domain.Field
	Title         string
	Detail        CaseDetail
	Choices       []string
	DedupeKey     string
	CorrelationID string
	OpenedAt      time.Time
	UpdatedAt     time.Time
	ClosedAt      *time.Time
	Resolution    string
	ResolvedBy    string
}

// CaseDetail is the evidence of a case.
type CaseDetail struct {
	Ours    domain.Value `json:"ours,omitempty"`    // the golden value
	Theirs  domain.Value `json:"theirs,omitempty"`  // what the other system or person says
	Owner   string       `json:"owner,omitempty"`   // who owns the field
	Message string       `json:"message,omitempty"` // the vendor's words, or what is wrong
	Keys    []string     `json:"keys,omitempty"`    // what two entities have in common
	Next    string       `json:"next,omitempty"`    // what to do about it
	// Sent are the values that a vendor has refused.
	Sent domain.Values `json:"sent,omitempty"`
}

// Kinds of cases.
const (
	CaseConflict   = "conflict"           // a non-owner's edit that the policy wants a person to decide
	CaseDuplicate  = "possible_duplicate" // two entities that look like one
	CaseRefused    = "refused"            // a vendor refused a write
	CaseInvalid    = "invalid_data"       // a value cannot be used
	CaseUnlinked   = "unlinked"           // a record of a system that may not create entities
	CaseReauth     = "needs_reauth"       // a system must be authorised again
	CaseDrift      = "drift"              // a vendor's object has fields the mapping does not know
	CaseMassChange = "mass_change"        // more would change at once than could be everyday business
	CaseStuck      = "stuck"              // work that keeps failing
	CaseGap        = "gap"                // events of a vendor that never arrived
	CaseFlow       = "flow"               // a document that flows cannot go on with: overpaid, oversold, edited after it was invoiced
)

const caseColumns = `id, kind, status, entity_kind, coalesce(entity_id, '') AS entity_id, coalesce(other_id, '') AS other_id, system, external_id, field,
	title, detail, choices, dedupe_key, correlation_id, opened_at, updated_at, closed_at, resolution, resolved_by`

// QueueCase opens a case or, if one with the same dedupe key is open, refreshes it.
func QueueCase(b *pgx.Batch, c Case) {
	b.Queue(`-- name: QueueCase
		INSERT INTO cases (id, kind, entity_kind, entity_id, other_id, system, external_id, field, title, detail, choices, dedupe_key, correlation_id)
		VALUES ($1, $2, $3, nullif($4, ''), nullif($5, ''), $6, $7, $8, $9, $10, $11, $12, $13)
		ON CONFLICT (dedupe_key) WHERE status = 'open' DO UPDATE SET title = excluded.title, detail = excluded.detail,
			choices = excluded.choices, updated_at = now()`,
		c.ID, c.Kind, c.EntityKind, c.EntityID, c.OtherID, c.System, c.ExternalID, c.Field, c.Title, c.Detail, orEmpty(c.Choices), c.DedupeKey, c.CorrelationID)
}

// QueueCaseEnd ends an open case: status resolved by a person, or closed because the world moved on.
func QueueCaseEnd(b *pgx.Batch, id, status, resolution, by string) {
	b.Queue(`-- name: QueueCaseEnd
		UPDATE cases SET status = $2, resolution = $3, resolved_by = $4, closed_at = now(), updated_at = now() WHERE id = $1 AND status = 'open'`,
		id, status, resolution, by)
}

// QueueCaseMove re-points the open cases of a merged entity to the survivor, and closes those between the two.
func QueueCaseMove(b *pgx.Batch, loser, survivor string) {
	b.Queue(`-- name: QueueCaseMoveClose
		UPDATE cases SET status = 'closed', resolution = 'merged', closed_at = now(), updated_at = now()
		WHERE status = 'open' AND ((entity_id = $1 AND coalesce(other_id, $2) = $2) OR (entity_id = $2 AND other_id = $1))
			AND kind = 'possible_duplicate'`, loser, survivor)
	b.Queue(`-- name: QueueCaseMove
		UPDATE cases SET entity_id = CASE WHEN entity_id = $1 THEN $2 ELSE entity_id END,
			other_id = CASE WHEN other_id = $1 THEN $2 ELSE other_id END, updated_at = now()
		WHERE (entity_id = $1 OR other_id = $1) AND status = 'open'`, loser, survivor)
}

// CaseByID returns one case, with lock for deciding it. NotFound if there is none.
func CaseByID(ctx context.Context, db DB, id string, lock bool) (Case, error) {
	sql := `-- name: CaseByID
		SELECT ` + caseColumns + ` FROM cases WHERE id = $1`
	if lock {
		sql += ` FOR UPDATE`
	}
	rows, err := db.Query(ctx, sql, id)
	if err != nil {
		return Case{}, fmt.Errorf("store.CaseByID: %w", err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Case])
	if errors.Is(err, pgx.ErrNoRows) {
		return c, domain.Errorf(domain.NotFound, "there is no case %s", id)
	}
	return c, err
}

// CaseDecided reports whether a case with the dedupe key was decided by a person with the resolution.
func CaseDecided(ctx context.Context, db DB, dedupeKey, resolution string) (bool, error) {
	var ok bool
	err := db.QueryRow(ctx, `-- name: CaseDecided
		SELECT EXISTS (SELECT 1 FROM cases WHERE dedupe_key = $1 AND status = 'resolved' AND resolution = $2)`, dedupeKey, resolution).Scan(&ok)
	if err != nil {
		return false, fmt.Errorf("store.CaseDecided: %w", err)
	}
	return ok, nil
}

// CaseIgnored reports whether a person has said to ignore the case with the dedupe key while the other side says theirs.
func CaseIgnored(ctx context.Context, db DB, dedupeKey string, theirs domain.Value) (bool, error) {
	var ok bool
	err := db.QueryRow(ctx, `-- name: CaseIgnored
		SELECT EXISTS (SELECT 1 FROM cases WHERE dedupe_key = $1 AND status = 'resolved' AND resolution = 'ignore'
			AND coalesce(detail -> 'theirs', 'null') = $2::jsonb)`, dedupeKey, theirs).Scan(&ok)
	if err != nil {
		return false, fmt.Errorf("store.CaseIgnored: %w", err)
	}
	return ok, nil
}

// OpenCaseByKey returns the open case with the dedupe key, nil if there is none.
func OpenCaseByKey(ctx context.Context, db DB, dedupeKey string) (*Case, error) {
	rows, err := db.Query(ctx, `-- name: OpenCaseByKey
		SELECT `+caseColumns+` FROM cases WHERE dedupe_key = $1 AND status = 'open'`, dedupeKey)
	if err != nil {
		return nil, fmt.Errorf("store.OpenCaseByKey: %w", err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[Case])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return c, err
}

// CaseFilter narrows a list of cases. Zero fields do not narrow.
type CaseFilter struct {
	Status, Kind, EntityID, System string
}

// ListCases returns cases, newest first, before the cursor (opened_at, id) of the last one of the page before.
func ListCases(ctx context.Context, db DB, f CaseFilter, beforeAt *time.Time, beforeID string, limit int) ([]Case, error) {
	rows, err := db.Query(ctx, `-- name: ListCases
		SELECT `+caseColumns+` FROM cases
		WHERE ($1 = '' OR status = $1) AND ($2 = '' OR kind = $2) AND ($3 = '' OR entity_id = $3 OR other_id = $3) AND ($4 = '' OR system = $4)
			AND ($5::timestamptz IS NULL OR (opened_at, id) < ($5, $6))
		ORDER BY opened_at DESC, id DESC LIMIT $7`, f.Status, f.Kind, f.EntityID, f.System, beforeAt, beforeID, limit)
	if err != nil {
		return nil, fmt.Errorf("store.ListCases: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Case])
}

// CasesOf returns the open cases of the entities.
func CasesOf(ctx context.Context, db DB, entityIDs []string) ([]Case, error) {
	rows, err := db.Query(ctx, `-- name: CasesOf
		SELECT `+caseColumns+` FROM cases WHERE status = 'open' AND (entity_id = ANY($1) OR other_id = ANY($1)) ORDER BY id`, entityIDs)
	if err != nil {
		return nil, fmt.Errorf("store.CasesOf: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Case])
}

// CountCases returns the number of open cases by kind.
func CountCases(ctx context.Context, db DB) (map[string]int64, error) {
	rows, err := db.Query(ctx, `-- name: CountCases
		SELECT kind, count(*) FROM cases WHERE status = 'open' GROUP BY kind ORDER BY kind`)
	if err != nil {
		return nil, fmt.Errorf("store.CountCases: %w", err)
	}
	counts := map[string]int64{}
	var k string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&k, &n}, func() error { counts[k] = n; return nil })
	return counts, err
}
