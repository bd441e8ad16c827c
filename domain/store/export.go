package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Export returns everything that is stored of one entity as one JSON object: itself, what was merged into it, its golden values with
// their provenance, records with the vendors' raw objects, history, pins, cases with their events, projections, signals, exchanges,
// merges, stock movements, and the documents that refer to it. NotFound if there is none. Bodies of exchanges that served
// others too are left out: they speak of them.
func Export(ctx context.Context, db DB, id string) (json.RawMessage, error) {
	var out json.RawMessage
	err := db.QueryRow(ctx, `-- name: Export
		WITH RECURSIVE ids(id, depth) AS (
			SELECT id, 0 FROM entities WHERE id = $1
			UNION ALL SELECT e.id, depth + 1 FROM entities e JOIN ids i ON e.merged_into = i.id WHERE depth < 50
		), recs AS (
			SELECT * FROM records WHERE entity_id IN (SELECT id FROM ids)
		), names AS (
			SELECT system, kind, external_id FROM recs
			UNION SELECT a.system, a.kind, a.alias FROM recs r JOIN record_aliases a ON r.system = a.system AND r.kind = a.kind AND r.external_id = a.external_id
		), sig AS (
			SELECT s.* FROM names n CROSS JOIN LATERAL (SELECT * FROM signals WHERE system = n.system AND kind = n.kind AND external_id = n.external_id OFFSET 0) s
		), hist AS (
			SELECT * FROM history WHERE entity_id IN (SELECT id FROM ids)
		), cas AS (
			SELECT * FROM cases WHERE entity_id IN (SELECT id FROM ids) UNION SELECT * FROM cases WHERE other_id IN (SELECT id FROM ids)
		), proj AS (
			SELECT * FROM projections WHERE entity_id IN (SELECT id FROM ids)
		), corr AS (
			SELECT correlation_id FROM sig UNION SELECT correlation_id FROM hist UNION SELECT correlation_id FROM proj UNION SELECT correlation_id FROM cas
		), hits AS (
			SELECT x.id, x.sent_at FROM corr c CROSS JOIN LATERAL (SELECT id, sent_at FROM exchanges WHERE correlation_id <> '' AND correlation_id = c.correlation_id OFFSET 0) x
			UNION SELECT l.exchange_id, l.sent_at FROM corr c CROSS JOIN LATERAL (SELECT exchange_id, sent_at FROM exchange_links WHERE correlation_id = c.correlation_id OFFSET 0) l
		), exch AS (
			SELECT x.*, EXISTS (SELECT FROM exchange_links l WHERE l.exchange_id = x.id AND l.sent_at = x.sent_at AND l.correlation_id NOT IN (SELECT correlation_id FROM corr))
					OR (SELECT count(DISTINCT s.external_id) FROM signals s WHERE s.correlation_id <> '' AND s.correlation_id = x.correlation_id) > 1
					-- A list shows others, whatever it was asked for: only a call that names the entity is about it alone.
					OR strpos(x.request_body, $1) = 0 AND NOT EXISTS (SELECT FROM names n WHERE n.system = x.system AND strpos(concat(x.path, x.request_body), regexp_replace(n.external_id, '^.*/', '')) > 0) AS shared
			FROM hits h CROSS JOIN LATERAL (SELECT * FROM exchanges WHERE id = h.id AND sent_at = h.sent_at OFFSET 0) x
			WHERE EXISTS (SELECT FROM names n WHERE n.system = x.system AND strpos(concat(x.path, x.request_body, x.response_body), regexp_replace(n.external_id, '^.*/', '')) > 0)
				OR strpos(x.request_body, $1) > 0
		), docs AS (
			SELECT id FROM quotes WHERE customer IN (SELECT id FROM ids) UNION SELECT id FROM orders WHERE customer IN (SELECT id FROM ids)
			UNION SELECT id FROM invoices WHERE customer IN (SELECT id FROM ids) UNION SELECT id FROM credit_notes WHERE customer IN (SELECT id FROM ids)
			UNION SELECT id FROM payments WHERE customer IN (SELECT id FROM ids)
			UNION SELECT document FROM document_lines WHERE product IN (SELECT id FROM ids)
			UNION SELECT document FROM allocations WHERE invoice IN (SELECT id FROM ids) OR credit_note IN (SELECT id FROM ids)
		)
		SELECT jsonb_build_object(
			'format', 'datum-entity/1', 'exportedAt', now(),
			'entity', (SELECT jsonb_build_object('id', id, 'kind', kind, 'version', version, 'stage', stage, 'policy', policy, 'mergedInto', merged_into,
				'createdAt', created_at, 'updatedAt', updated_at, 'erasedAt', erased_at) FROM entities WHERE id = $1),
			'golden', (SELECT golden FROM entities WHERE id = $1), 'provenance', (SELECT provenance FROM entities WHERE id = $1),
			'merged', coalesce((SELECT jsonb_agg(jsonb_build_object('id', e.id, 'golden', e.golden, 'createdAt', e.created_at) ORDER BY e.id) FROM entities e WHERE e.id IN (SELECT id FROM ids) AND e.id <> $1), '[]'),
			'merges', coalesce((SELECT jsonb_agg(to_jsonb(m) ORDER BY m.id) FROM merges m WHERE m.survivor IN (SELECT id FROM ids) OR m.loser IN (SELECT id FROM ids)), '[]'),
			'records', coalesce((SELECT jsonb_agg(to_jsonb(r) ORDER BY r.system, r.kind, r.external_id) FROM recs r), '[]'),
			'history', coalesce((SELECT jsonb_agg(to_jsonb(h) ORDER BY h.id) FROM hist h), '[]'),
			'pins', coalesce((SELECT jsonb_agg(to_jsonb(p) ORDER BY p.field) FROM pins p WHERE p.entity_id IN (SELECT id FROM ids)), '[]'),
			'cases', coalesce((SELECT jsonb_agg(to_jsonb(c) || jsonb_build_object('events', coalesce((SELECT jsonb_agg(to_jsonb(e) - 'case_id' ORDER BY e.id) FROM case_events e WHERE e.case_id = c.id), '[]'))
				ORDER BY c.opened_at, c.id) FROM cas c), '[]'),
			'projections', coalesce((SELECT jsonb_agg(to_jsonb(p) - 'lease' - 'lease_process' - 'lease_until' ORDER BY p.entity_id, p.system) FROM proj p), '[]'),
			'signals', coalesce((SELECT jsonb_agg(to_jsonb(s) - 'lease_process' - 'lease_until' ORDER BY s.id) FROM sig s), '[]'),
			'exchanges', coalesce((SELECT jsonb_agg(CASE WHEN x.shared THEN to_jsonb(x) - 'shared' - 'request_body' - 'response_body' || '{"bodies": "left out: this call was about others too"}'
				ELSE to_jsonb(x) - 'shared' END ORDER BY x.id) FROM exch x), '[]'),
			'movements', coalesce((SELECT jsonb_agg(to_jsonb(m) ORDER BY m.id) FROM stock_movements m WHERE m.stock_level IN (SELECT id FROM ids) OR m.product IN (SELECT id FROM ids) OR m.document <> '' AND m.document IN (SELECT id FROM ids)), '[]'),
			'documents', coalesce((SELECT jsonb_agg(jsonb_build_object('id', e.id, 'kind', e.kind, 'version', e.version, 'golden', e.golden) ORDER BY e.id) FROM entities e JOIN docs USING (id)), '[]'),
			'buyer', (SELECT jsonb_build_object('name', name, 'abn', abn, 'keptUntil', keep_until) FROM erasure_identities WHERE document = $1),
			'erasures', coalesce((SELECT jsonb_agg(to_jsonb(x) ORDER BY x.at) FROM erasures x WHERE x.entity_id IN (SELECT id FROM ids)), '[]')
		) FROM entities WHERE id = $1`, id).Scan(&out)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, domain.Errorf(domain.NotFound, "there is no entity %s", id)
	}
	if err != nil {
		return nil, fmt.Errorf("store.Export: %w", err)
	}
	return out, nil
}
