package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// LastWord is who last gave a field its value, in one record or, without system, the golden value.
type LastWord struct {
	EntityID, System, ExternalID string
	Field                        domain.Field
	At                           time.Time
	Actor                        string
}

// LastWords returns the last change of each field that the history has of the entities, by record and as golden value.
func LastWords(ctx context.Context, db DB, entityIDs []string) ([]LastWord, error) {
	rows, err := db.Query(ctx, `-- name: LastWords
		SELECT DISTINCT ON (entity_id, golden, system, external_id, field) entity_id, CASE WHEN golden THEN '' ELSE system END AS system,
			CASE WHEN golden THEN '' ELSE external_id END AS external_id, field, at, actor
		FROM (
			SELECT entity_id, true AS golden, '' AS system, '' AS external_id, field, at, actor, id FROM history WHERE entity_id = ANY($1) AND action = 'set'
			UNION ALL
			SELECT entity_id, false, system, external_id, field, at, actor, id FROM history
			WHERE entity_id = ANY($1) AND system <> '' AND action IN ('set', 'proposed', 'restored', 'kept')
		) h ORDER BY entity_id, golden, system, external_id, field, id DESC`, entityIDs)
	if err != nil {
		return nil, fmt.Errorf("store.LastWords: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[LastWord])
}

// RefusingExchange returns the call that a vendor has most likely refused among those a cause led to, nil if it is not known
// (any more).
func RefusingExchange(ctx context.Context, db DB, system, correlationID string) (*Exchange, error) {
	rows, err := db.Query(ctx, `-- name: RefusingExchange
		SELECT id, system, correlation_id, sent_at, duration_ms, method, path, status, error_code, request_header, request_body, response_header, response_body
		FROM exchanges WHERE system = @system AND method <> 'GET' AND (id, sent_at) IN (
			SELECT c.id, c.sent_at FROM exchanges c WHERE c.correlation_id <> '' AND c.correlation_id = @correlation
			UNION SELECT l.exchange_id, l.sent_at FROM exchange_links l WHERE l.correlation_id = @correlation)
		ORDER BY (status >= 400) DESC, id DESC LIMIT 1`, pgx.StrictNamedArgs{"system": system, "correlation": correlationID})
	if err != nil {
		return nil, fmt.Errorf("store.RefusingExchange: %w", err)
	}
	x, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[Exchange])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return x, err
}

// Waiter is something that goes no further because of a case.
type Waiter struct {
	Kind       domain.Kind
	System     string
	EntityID   string // "" for a record that no entity stands for
	ExternalID string // of a record
	Why        string
	Total      int // how many there are in all
}

// CaseWaiters returns up to limit things that wait because of a case.
func CaseWaiters(ctx context.Context, db DB, c Case, limit int) ([]Waiter, error) {
	rows, err := db.Query(ctx, `-- name: CaseWaiters
		SELECT kind, system, entity_id, external_id, why, count(*) OVER ()::integer AS total FROM (
			SELECT kind, system, entity_id, external_id, 'is not created there until this is decided' AS why FROM projections
				WHERE @case = 'possible_duplicate' AND entity_id = @entity AND status = 'parked' AND strpos(error, @id) > 0
			UNION ALL SELECT kind, system, entity_id, external_id, 'differs there' FROM projections
				WHERE @case IN ('refused', 'stuck') AND @entity <> '' AND entity_id = @entity AND system = @system AND status IN ('refused', 'pending', 'parked')
			UNION ALL SELECT kind, system, entity_id, external_id, 'is refused there' FROM projections
				WHERE @case = 'refused' AND @entity = '' AND cause = @key AND status = 'refused'
			UNION ALL SELECT kind, system, entity_id, external_id, 'refers to it and cannot be written before' FROM projections
				WHERE @case IN ('refused', 'stuck', 'possible_duplicate') AND @entity <> '' AND waits_for @> ARRAY[@entity] AND status = 'parked' AND error_code = 'WAITS'
					AND (@case = 'possible_duplicate' OR system = @system)
			UNION ALL SELECT kind, system, entity_id, external_id, 'waits to be written' FROM projections
				WHERE @case = 'needs_reauth' AND system = @system AND status = 'pending'
			UNION ALL SELECT kind, system, '', external_id, 'waits to be read' FROM signals WHERE @case = 'needs_reauth' AND system = @system AND status = 'pending'
			UNION ALL SELECT kind, system, entity_id, external_id, 'is held back until this is decided' FROM projections
				WHERE @case = 'mass_change' AND @key LIKE 'mass_change|out|%' AND system = @system AND kind = @kind AND status = 'parked' AND error_code = 'BRAKE'
			UNION ALL SELECT DISTINCT kind, system, '', external_id, 'is held back until this is decided' FROM signals
				WHERE @case = 'mass_change' AND @key LIKE 'mass_change|in|%' AND system = @system AND kind = @kind AND status = 'parked'
			UNION ALL SELECT kind, system, entity_id, external_id, 'would write what has drifted' FROM projections
				WHERE @case = 'drift' AND system = @system AND kind = @kind AND status = 'parked' AND error_code = 'DRIFT'
			UNION ALL SELECT kind, system, '', external_id, 'is not taken in' FROM signals
				WHERE @case = 'stuck' AND @entity = '' AND system = @system AND kind = @kind AND external_id = @external AND status = 'failed'
			UNION ALL SELECT kind, system, coalesce(entity_id, ''), external_id, 'refers to it' FROM records
				WHERE @case = 'unlinked' AND system = @system AND waits <> '{}' AND waits @> ARRAY[@wait] AND NOT deleted
			UNION ALL SELECT kind, system, '', external_id, 'stands for nothing' FROM records
				WHERE @case = 'unlinked' AND system = @system AND kind = @kind AND external_id = @external AND entity_id IS NULL AND NOT deleted
		) w ORDER BY kind, system, entity_id, external_id LIMIT @limit`,
		pgx.StrictNamedArgs{"case": c.Kind, "entity": c.EntityID, "id": c.ID, "system": c.System, "kind": c.EntityKind, "key": c.DedupeKey, "external": c.ExternalID,
			"wait": waitKey(domain.Ref{Kind: c.EntityKind, ID: c.ExternalID}), "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("store.CaseWaiters: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Waiter])
}

// ReleasedProjections returns up to limit projections of a system and kind that this transaction has made pending.
func ReleasedProjections(ctx context.Context, tx pgx.Tx, system string, kind domain.Kind, limit int) ([]*Projection, error) {
	rows, err := tx.Query(ctx, `-- name: ReleasedProjections
		SELECT `+projectionColumns+` FROM projections WHERE system = $1 AND kind = $2 AND status = 'pending' AND updated_at = now() ORDER BY entity_id LIMIT $3`, system, kind, limit)
	if err != nil {
		return nil, fmt.Errorf("store.ReleasedProjections: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[Projection])
}

// Overtaken is an open case whose cause has gone.
type Overtaken struct {
	ID, Why string
}

// OvertakenCases returns the open cases whose cause has gone without anybody who could have noticed being asked.
func OvertakenCases(ctx context.Context, db DB) ([]Overtaken, error) {
	rows, err := db.Query(ctx, `-- name: OvertakenCases
		SELECT c.id, CASE c.kind WHEN 'refused' THEN 'nothing is refused there any more' WHEN 'stuck' THEN 'it went through'
				WHEN 'unlinked' THEN 'the record is linked or gone' WHEN 'needs_reauth' THEN 'it is authorised' WHEN 'gap' THEN 'a complete sweep has looked at everything since'
				ELSE 'they have nothing in common any more' END AS why
		FROM cases c WHERE c.status = 'open' AND CASE c.kind
			WHEN 'refused' THEN CASE WHEN c.entity_id IS NOT NULL
				THEN NOT EXISTS (SELECT FROM projections p WHERE p.entity_id = c.entity_id AND p.system = c.system AND p.status = 'refused')
				ELSE NOT EXISTS (SELECT FROM projections p WHERE p.cause = c.dedupe_key AND p.status = 'refused') END
			WHEN 'stuck' THEN CASE WHEN c.entity_id IS NOT NULL
				THEN NOT EXISTS (SELECT FROM projections p WHERE p.entity_id = c.entity_id AND p.system = c.system AND p.status IN ('pending', 'parked'))
				ELSE c.external_id <> '' AND (EXISTS (SELECT FROM signals s WHERE s.system = c.system AND s.kind = c.entity_kind AND s.external_id = c.external_id AND s.status = 'done' AND s.done_at > c.updated_at)
					OR NOT EXISTS (SELECT FROM signals s WHERE s.system = c.system AND s.kind = c.entity_kind AND s.external_id = c.external_id)) END
			WHEN 'unlinked' THEN NOT EXISTS (SELECT FROM records r WHERE r.system = c.system AND r.kind = c.entity_kind AND r.external_id = c.external_id AND r.entity_id IS NULL AND NOT r.deleted)
			WHEN 'needs_reauth' THEN NOT EXISTS (SELECT FROM credentials k WHERE k.system = c.system AND k.auth_state = 'needs_reauth')
			WHEN 'gap' THEN c.dedupe_key NOT LIKE 'gap|silent|%' AND EXISTS (SELECT FROM cursors k WHERE k.system = c.system AND k.name = 'sweep')
				AND NOT EXISTS (SELECT FROM cursors k WHERE k.system = c.system AND k.name = 'sweep' AND (k.finished_at IS NULL OR k.finished_at < c.opened_at))
			WHEN 'possible_duplicate' THEN jsonb_typeof(c.detail -> 'keys') = 'array' AND jsonb_array_length(c.detail -> 'keys') > 0
				AND NOT EXISTS (SELECT FROM jsonb_array_elements_text(c.detail -> 'keys') k (key) WHERE strpos(k.key, ':') = 0)
				AND NOT EXISTS (SELECT FROM jsonb_array_elements_text(c.detail -> 'keys') k (key)
					WHERE `+holdsKey("c.entity_id")+` AND `+holdsKey("c.other_id")+`)
			ELSE false END
		ORDER BY c.id LIMIT 200`)
	if err != nil {
		return nil, fmt.Errorf("store.OvertakenCases: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Overtaken])
}

// holdsKey is the condition that an entity has the strong key k.key, by a record or by a decision.
func holdsKey(entity string) string {
	return `EXISTS (SELECT FROM match_keys m WHERE m.kind = c.entity_kind AND m.key = k.key AND (m.system = '' AND m.external_id = ` + entity + ` OR EXISTS (
		SELECT FROM records r WHERE r.system = m.system AND r.kind = m.kind AND r.external_id = m.external_id AND r.entity_id = ` + entity + `)))`
}

// CaseIgnoredSince reports whether a person has said since the time to ignore the case with the dedupe key.
func CaseIgnoredSince(ctx context.Context, db DB, dedupeKey string, since time.Time) (bool, error) {
	var ok bool
	err := db.QueryRow(ctx, `-- name: CaseIgnoredSince
		SELECT EXISTS (SELECT FROM cases WHERE dedupe_key = $1 AND status = 'resolved' AND resolution = 'ignore' AND closed_at >= $2)`, dedupeKey, since).Scan(&ok)
	if err != nil {
		return false, fmt.Errorf("store.CaseIgnoredSince: %w", err)
	}
	return ok, nil
}
