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

// Trace returns up to limit steps of an entity after the one with the time and key, oldest first; a nil time begins.
//
// Exchanges are found by their correlations. One that ties more than bulk of them together is a pass over many objects: of
// those only the exchanges count that name one of the entity's records.
func Trace(ctx context.Context, db DB, entityID string, after *time.Time, key string, limit int) ([]TraceStep, error) {
	const bulk = 20
	return trace(ctx, db, `-- name: Trace
		WITH RECURSIVE ids(id, depth) AS (
			SELECT id, 0 FROM entities WHERE id = @entity
			UNION ALL SELECT e.id, depth + 1 FROM entities e JOIN ids i ON e.merged_into = i.id WHERE depth < 50
		), recs AS (
			SELECT system, kind, external_id FROM records WHERE entity_id IN (SELECT id FROM ids)
			UNION SELECT a.system, a.kind, a.alias FROM records r
				JOIN record_aliases a ON r.system = a.system AND r.kind = a.kind AND r.external_id = a.external_id
				WHERE r.entity_id IN (SELECT id FROM ids)
		), sig AS (
			SELECT s.* FROM recs r CROSS JOIN LATERAL (SELECT * FROM signals WHERE system = r.system AND kind = r.kind AND external_id = r.external_id OFFSET 0) s
		), hist AS (
			SELECT * FROM history WHERE entity_id IN (SELECT id FROM ids)
		), proj AS (
			SELECT * FROM projections WHERE entity_id IN (SELECT id FROM ids)
		), cas AS (
			SELECT * FROM cases WHERE entity_id IN (SELECT id FROM ids) UNION SELECT * FROM cases WHERE other_id IN (SELECT id FROM ids)
		), mov AS (
			SELECT * FROM stock_movements WHERE stock_level IN (SELECT id FROM ids)
			UNION SELECT * FROM stock_movements WHERE document <> '' AND document IN (SELECT id FROM ids)
		), corr AS (
			SELECT correlation_id FROM (SELECT correlation_id FROM sig UNION SELECT correlation_id FROM hist UNION SELECT correlation_id FROM proj
				UNION SELECT correlation_id FROM cas) c WHERE correlation_id <> ''
		), hits AS (
			SELECT h.*, count(*) OVER (PARTITION BY h.correlation_id) AS together FROM (
				SELECT x.id, x.sent_at, c.correlation_id FROM corr c
					CROSS JOIN LATERAL (SELECT id, sent_at FROM exchanges WHERE correlation_id <> '' AND correlation_id = c.correlation_id OFFSET 0) x
				UNION SELECT l.exchange_id, l.sent_at, c.correlation_id FROM corr c
					CROSS JOIN LATERAL (SELECT exchange_id, sent_at FROM exchange_links WHERE correlation_id = c.correlation_id OFFSET 0) l) h
		), exch AS (
			SELECT x.*, h.correlation_id AS cause FROM (SELECT DISTINCT ON (id) * FROM hits ORDER BY id, together, correlation_id) h
				CROSS JOIN LATERAL (SELECT * FROM exchanges WHERE id = h.id AND sent_at = h.sent_at OFFSET 0) x
			WHERE h.together <= @bulk OR EXISTS (SELECT FROM recs r WHERE r.system = x.system
				AND (strpos(x.path, r.external_id) > 0 OR strpos(x.request_body, r.external_id) > 0 OR strpos(x.response_body, r.external_id) > 0))
		)`, pgx.StrictNamedArgs{"entity": entityID, "bulk": bulk, "whole": true, "after": after, "key": key, "limit": limit})
}

// TraceCause returns up to limit steps that one cause led to, anywhere, after the one with the time and key, oldest first.
func TraceCause(ctx context.Context, db DB, correlationID string, after *time.Time, key string, limit int) ([]TraceStep, error) {
	return trace(ctx, db, `-- name: TraceCause
		WITH sig AS (
			SELECT * FROM signals WHERE correlation_id <> '' AND correlation_id = @cause
		), hist AS (
			SELECT * FROM history WHERE correlation_id <> '' AND correlation_id = @cause
		), cas AS (
			SELECT * FROM cases WHERE correlation_id <> '' AND correlation_id = @cause
		), ids AS (
			SELECT entity_id AS id FROM hist UNION SELECT entity_id FROM cas WHERE entity_id IS NOT NULL
			UNION SELECT r.entity_id FROM sig s JOIN records r ON r.system = s.system AND r.kind = s.kind AND r.external_id = s.external_id WHERE r.entity_id IS NOT NULL
		), proj AS (
			SELECT p.* FROM ids CROSS JOIN LATERAL (SELECT * FROM projections WHERE entity_id = ids.id AND correlation_id = @cause OFFSET 0) p
		), mov AS (
			SELECT m.* FROM ids CROSS JOIN LATERAL (SELECT * FROM stock_movements WHERE stock_level = ids.id AND correlation_id = @cause OFFSET 0) m
			UNION SELECT m.* FROM ids CROSS JOIN LATERAL (SELECT * FROM stock_movements WHERE document <> '' AND document = ids.id AND correlation_id = @cause OFFSET 0) m
		), exch AS (
			SELECT x.*, x.correlation_id AS cause FROM exchanges x WHERE x.correlation_id <> '' AND x.correlation_id = @cause
			UNION ALL SELECT x.*, l.correlation_id FROM exchange_links l
				CROSS JOIN LATERAL (SELECT * FROM exchanges WHERE id = l.exchange_id AND sent_at = l.sent_at OFFSET 0) x WHERE l.correlation_id = @cause
		)`, pgx.StrictNamedArgs{"cause": correlationID, "whole": false, "after": after, "key": key, "limit": limit})
}

// trace makes steps of the rows that the query before it selects.
func trace(ctx context.Context, db DB, with string, args pgx.StrictNamedArgs) ([]TraceStep, error) {
	rows, err := db.Query(ctx, with+`, steps AS (
			SELECT received_at AS at, 'signal ' || lpad(id::text, 20, '0') AS key, 'signal' AS what,
				format('%s about %s %s: %s', source, kind, external_id, status) AS title, system, '' AS actor, correlation_id,
				jsonb_build_object('source', source, 'externalId', external_id, 'status', status, 'occurredAt', occurred_at, 'doneAt', done_at,
					'attempts', attempts, 'error', error) AS detail
			FROM sig
			UNION ALL
			SELECT at, 'history ' || lpad(id::text, 20, '0'), CASE WHEN source IN ('mutation', 'import', 'case', 'policy') THEN 'person' ELSE 'decision' END,
				concat_ws(' ', action, nullif(field, ''), CASE WHEN system <> '' THEN 'from ' || system END), system, actor, correlation_id,
				jsonb_build_object('entityId', entity_id, 'action', action, 'version', version, 'field', field, 'old', old, 'new', new, 'externalId', external_id,
					'why', why, 'owner', owner, 'source', source, 'note', note)
			FROM hist
			UNION ALL
			SELECT sent_at, 'exchange ' || lpad(id::text, 20, '0'), 'exchange',
				format('%s %s: %s', method, path, CASE WHEN status = 0 THEN 'no answer' ELSE status::text END), system, '', cause,
				jsonb_build_object('id', id, 'method', method, 'path', path, 'status', status, 'durationMs', duration_ms, 'errorCode', error_code)
			FROM exch
			UNION ALL
			SELECT updated_at, 'projection ' || entity_id || ' ' || system, 'projection',
				CASE status WHEN 'confirmed' THEN format('%s is level with version %s', system, confirmed_version)
					ELSE format('%s is %s', system, status) || CASE WHEN error <> '' THEN ': ' || error ELSE '' END END, system, '', correlation_id,
				jsonb_build_object('entityId', entity_id, 'status', status, 'externalId', external_id, 'desiredVersion', desired_version, 'confirmedVersion', confirmed_version,
					'pendingSince', pending_since, 'confirmedAt', confirmed_at, 'attempts', attempts, 'errorCode', error_code, 'waitsFor', waits_for)
			FROM proj
			UNION ALL
			SELECT confirmed_at, 'confirmed ' || entity_id || ' ' || system, 'projection', format('%s was level with version %s', system, confirmed_version),
				system, '', '', jsonb_build_object('confirmedVersion', confirmed_version, 'externalId', external_id)
			FROM proj WHERE @whole AND status <> 'confirmed' AND confirmed_at IS NOT NULL
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
			FROM mov
		)
		SELECT at, key COLLATE "C" AS key, what, title, system, actor, correlation_id, detail FROM steps
		WHERE @after::timestamptz IS NULL OR (at, key COLLATE "C") > (@after, @key) ORDER BY at, key COLLATE "C" LIMIT @limit`, args)
	if err != nil {
		return nil, fmt.Errorf("store.trace: %w", err)
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
			-- OFFSET 0: in the index's order, and asked of each by itself, until the page is full.
			(SELECT kind, system, entity_id, '' AS external_id, since, status, error_code, error, waits_for, key
			FROM (SELECT *, coalesce(pending_since, created_at) AS since, (('entity ' || entity_id || ' ' || system) COLLATE "C") AS key
				FROM projections WHERE status IN ('pending', 'refused', 'parked') AND (@kind = '' OR kind = @kind) AND (@system = '' OR system = @system)
					AND (@before::timestamptz IS NULL OR coalesce(pending_since, created_at) < @before)
					AND (@after::timestamptz IS NULL OR (coalesce(pending_since, created_at), (('entity ' || entity_id || ' ' || system) COLLATE "C")) > (@after, @key))
				ORDER BY since, key OFFSET 0) p
			WHERE (SELECT e.merged_into FROM entities e WHERE e.id = p.entity_id) IS NULL
				AND (SELECT r.external_id FROM records r WHERE r.entity_id = p.entity_id AND r.system = p.system AND NOT r.deleted LIMIT 1) IS NULL
			LIMIT @limit)
			UNION ALL
			(SELECT kind, system, coalesce(entity_id, ''), external_id, first_seen_at AS since, 'parked', CASE WHEN waits = '{}' THEN 'NOT_READY' ELSE 'WAITS' END, '',
				waits, (('record ' || system || ' ' || kind || ' ' || external_id) COLLATE "C") AS key
			FROM records WHERE (entity_id IS NULL OR waits <> '{}') AND NOT deleted AND merged_into = ''
				AND (@kind = '' OR kind = @kind) AND (@system = '' OR system = @system)
				AND (@before::timestamptz IS NULL OR first_seen_at < @before)
				AND (@after::timestamptz IS NULL OR (first_seen_at, (('record ' || system || ' ' || kind || ' ' || external_id) COLLATE "C")) > (@after, @key))
			ORDER BY since, key LIMIT @limit)
		) u ORDER BY since, key LIMIT @limit`,
		pgx.StrictNamedArgs{"kind": f.Kind, "system": f.System, "before": f.Before, "after": after, "key": key, "limit": limit})
	if err != nil {
		return nil, fmt.Errorf("store.ListUnfinished: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Unfinished])
}
