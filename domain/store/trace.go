package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// TraceStep is one thing that happened to an entity, in Datum or in any system.
type TraceStep struct {
	At            time.Time
	Key           string // orders steps of one moment
	What          string // signal, decision, exchange, projection, person, case, movement
	Title         string
	System        string // "" is Datum
	Actor         string
	CorrelationID string
	Detail        json.RawMessage
}

// Trace returns up to limit steps of an entity after the one with the time and key, oldest first; a nil time begins. It looks
// through signals and exchanges without an index of their own, so it is for people and not for polling.
//
// Exchanges are found by their correlation. One that ties more than bulk of them together is a pass over many objects: of
// those only the exchanges count that name one of the entity's records.
func Trace(ctx context.Context, db DB, entityID string, after *time.Time, key string, limit int) ([]TraceStep, error) {
	const bulk = 20
	rows, err := db.Query(ctx, `-- name: Trace
		WITH RECURSIVE ids(id, depth) AS (
			SELECT id, 0 FROM entities WHERE id = @entity
			UNION ALL SELECT e.id, depth + 1 FROM entities e JOIN ids i ON e.merged_into = i.id WHERE depth < 50
		), recs AS (
			SELECT system, kind, external_id FROM records WHERE entity_id IN (SELECT id FROM ids)
			UNION SELECT a.system, a.kind, a.alias FROM record_aliases a
				JOIN records r ON r.system = a.system AND r.kind = a.kind AND r.external_id = a.external_id
				WHERE r.entity_id IN (SELECT id FROM ids)
		), sig AS (
			SELECT s.* FROM signals s JOIN recs USING (system, kind, external_id)
		), hist AS (
			SELECT * FROM history WHERE entity_id IN (SELECT id FROM ids)
		), proj AS (
			SELECT * FROM projections WHERE entity_id IN (SELECT id FROM ids)
		), cas AS (
			SELECT * FROM cases WHERE entity_id IN (SELECT id FROM ids) OR other_id IN (SELECT id FROM ids)
		), corr AS (
			SELECT correlation_id FROM sig UNION SELECT correlation_id FROM hist UNION SELECT correlation_id FROM proj UNION SELECT correlation_id FROM cas
		), exch AS (
			SELECT x.*, count(*) OVER (PARTITION BY x.correlation_id) AS together
			FROM exchanges x WHERE x.correlation_id <> '' AND x.correlation_id IN (SELECT correlation_id FROM corr)
		), steps AS (
			SELECT received_at AS at, 'signal ' || lpad(id::text, 20, '0') AS key, 'signal' AS what,
				format('%s about %s %s: %s', source, kind, external_id, status) AS title, system, '' AS actor, correlation_id,
				jsonb_build_object('source', source, 'externalId', external_id, 'status', status, 'occurredAt', occurred_at, 'doneAt', done_at,
					'attempts', attempts, 'error', error) AS detail
			FROM sig
			UNION ALL
			SELECT at, 'history ' || lpad(id::text, 20, '0'), CASE WHEN source IN ('mutation', 'import', 'case', 'policy') THEN 'person' ELSE 'decision' END,
				concat_ws(' ', action, nullif(field, ''), CASE WHEN system <> '' THEN 'from ' || system END), system, actor, correlation_id,
				jsonb_build_object('action', action, 'version', version, 'field', field, 'old', old, 'new', new, 'externalId', external_id,
					'why', why, 'owner', owner, 'source', source, 'note', note)
			FROM hist
			UNION ALL
			SELECT sent_at, 'exchange ' || lpad(id::text, 20, '0'), 'exchange',
				format('%s %s: %s', method, path, CASE WHEN status = 0 THEN 'no answer' ELSE status::text END), system, '', correlation_id,
				jsonb_build_object('id', id, 'method', method, 'path', path, 'status', status, 'durationMs', duration_ms, 'errorCode', error_code)
			FROM exch x
			WHERE together <= @bulk OR EXISTS (SELECT FROM recs r WHERE r.system = x.system
				AND (strpos(x.path, r.external_id) > 0 OR strpos(x.request_body, r.external_id) > 0 OR strpos(x.response_body, r.external_id) > 0))
			UNION ALL
			SELECT updated_at, 'projection ' || entity_id || ' ' || system, 'projection',
				CASE status WHEN 'confirmed' THEN format('%s is level with version %s', system, confirmed_version)
					ELSE format('%s is %s', system, status) || CASE WHEN error <> '' THEN ': ' || error ELSE '' END END, system, '', correlation_id,
				jsonb_build_object('status', status, 'externalId', external_id, 'desiredVersion', desired_version, 'confirmedVersion', confirmed_version,
					'pendingSince', pending_since, 'confirmedAt', confirmed_at, 'attempts', attempts, 'errorCode', error_code, 'waitsFor', waits_for)
			FROM proj
			UNION ALL
			SELECT confirmed_at, 'confirmed ' || entity_id || ' ' || system, 'projection', format('%s was level with version %s', system, confirmed_version),
				system, '', '', jsonb_build_object('confirmedVersion', confirmed_version, 'externalId', external_id)
			FROM proj WHERE status <> 'confirmed' AND confirmed_at IS NOT NULL
			UNION ALL
			SELECT opened_at, 'case ' || id, 'case', 'opened: ' || title, system, '', correlation_id,
				jsonb_build_object('id', id, 'kind', kind, 'field', field, 'message', detail ->> 'message')
			FROM cas
			UNION ALL
			SELECT closed_at, 'closed ' || id, CASE WHEN status = 'resolved' THEN 'person' ELSE 'case' END, format('%s (%s): %s', status, resolution, title),
				system, resolved_by, correlation_id, jsonb_build_object('id', id, 'kind', kind, 'resolution', resolution)
			FROM cas WHERE closed_at IS NOT NULL
			UNION ALL
			SELECT at, 'movement ' || lpad(id::text, 20, '0'), 'movement', format('%s: on hand %s, committed %s', lower(reason), on_hand, committed),
				system, '', correlation_id, jsonb_build_object('stockLevel', stock_level, 'document', document, 'externalId', external_id)
			FROM stock_movements WHERE stock_level IN (SELECT id FROM ids) OR document <> '' AND document IN (SELECT id FROM ids)
		)
		SELECT at, key COLLATE "C" AS key, what, title, system, actor, correlation_id, detail FROM steps
		WHERE @after::timestamptz IS NULL OR (at, key COLLATE "C") > (@after, @key) ORDER BY at, key COLLATE "C" LIMIT @limit`,
		pgx.StrictNamedArgs{"entity": entityID, "bulk": bulk, "after": after, "key": key, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("store.Trace: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[TraceStep])
}

// Unfinished is something that should be in a system and is not, or a record that is not whole in Datum.
type Unfinished struct {
	Kind       domain.Kind
	System     string
	EntityID   string // "" for a record that no entity stands for
	ExternalID string // of the record; "" for an entity that has none in the system
	Since      time.Time
	Status     ProjectionStatus
	ErrorCode  domain.Code
	Error      string
	WaitsFor   []string // ids of entities, or "Customer 123" for what a record refers to
	Key        string   // orders those of one moment
}

// UnfinishedFilter narrows the list. Zero members do not narrow.
type UnfinishedFilter struct {
	Before *time.Time // waiting since before
	Kind   domain.Kind
	System string
}

// ListUnfinished returns up to limit unfinished things after the one with the time and key, longest waiting first: entities
// with a duty to be in a system where they have no record yet, records that refer to what no entity stands for, and records
// that no entity stands for.
func ListUnfinished(ctx context.Context, db DB, f UnfinishedFilter, after *time.Time, key string, limit int) ([]Unfinished, error) {
	rows, err := db.Query(ctx, `-- name: ListUnfinished
		SELECT * FROM (
			SELECT p.kind, p.system, p.entity_id, '' AS external_id, coalesce(p.pending_since, e.created_at) AS since, p.status, p.error_code, p.error,
				p.waits_for, 'entity ' || p.entity_id || ' ' || p.system COLLATE "C" AS key
			FROM projections p JOIN entities e ON e.id = p.entity_id
			WHERE p.status IN ('pending', 'refused', 'parked') AND e.merged_into IS NULL
				AND NOT EXISTS (SELECT FROM records r WHERE r.entity_id = p.entity_id AND r.system = p.system AND NOT r.deleted)
			UNION ALL
			SELECT r.kind, r.system, coalesce(r.entity_id, ''), r.external_id, r.first_seen_at, 'parked', CASE WHEN r.waits = '{}' THEN 'NOT_READY' ELSE 'WAITS' END, '',
				r.waits, 'record ' || r.system || ' ' || r.kind || ' ' || r.external_id COLLATE "C"
			FROM records r WHERE (r.entity_id IS NULL OR r.waits <> '{}') AND NOT r.deleted AND r.merged_into = ''
		) u
		WHERE (@kind = '' OR kind = @kind) AND (@system = '' OR system = @system) AND (@before::timestamptz IS NULL OR since < @before)
			AND (@after::timestamptz IS NULL OR (since, key) > (@after, @key))
		ORDER BY since, key LIMIT @limit`,
		pgx.StrictNamedArgs{"kind": f.Kind, "system": f.System, "before": f.Before, "after": after, "key": key, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("store.ListUnfinished: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Unfinished])
}
