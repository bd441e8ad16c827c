package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// ErasedMark stands where personal data was.
const ErasedMark = "[erased]"

// Erasure is the proof that a person's data was erased.
type Erasure struct {
	ID            string
	EntityID      string
	Reason        string
	ErasedBy      string
	CorrelationID string
	At            time.Time
	Report        ErasureReport
	Hash          string // SHA-256 of the report's JSON
}

// ErasureReport says what was done and what is left.
type ErasureReport struct {
	Entities  []string         `json:"entities"`  // the customer, and those that were merged into it
	Documents []string         `json:"documents"` // that refer to it: numbers and amounts are kept
	Changed   map[string]int64 `json:"changed"`   // rows by table
	Left      map[string]int64 `json:"left"`      // rows by table that have the same name, number or address: of somebody else, or not linked
	Held      []HeldThere      `json:"held"`      // records of vendors, which Datum does not delete
	Kept      []KeptIdentity   `json:"kept"`      // documents that the law wants to name the buyer
}

// HeldThere is a vendor's record of an erased person. The external id is only known while it is being erased.
type HeldThere struct {
	System     string      `json:"system"`
	Kind       domain.Kind `json:"kind"`
	Hash       string      `json:"hash"`
	ExternalID string      `json:"-"`
	Next       string      `json:"next"`
	SeenAt     *time.Time  `json:"-"` // as it is now
	GoneAt     *time.Time  `json:"-"`
}

// KeptIdentity is a document that names its buyer although the buyer is erased.
type KeptIdentity struct {
	Document string     `json:"document"`
	Until    *time.Time `json:"until"` // nil: for good
}

// Sum is the hash of the report.
func (r ErasureReport) Sum() (string, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:]), nil
}

// MergedInto returns the ids of all entities that were merged into it, over any number of steps.
func MergedInto(ctx context.Context, db DB, id string) ([]string, error) {
	rows, err := db.Query(ctx, `-- name: MergedInto
		WITH RECURSIVE ids(id, depth) AS (
			SELECT id, 0 FROM entities WHERE merged_into = $1
			UNION ALL SELECT e.id, depth + 1 FROM entities e JOIN ids i ON e.merged_into = i.id WHERE depth < 50)
		SELECT id FROM ids ORDER BY id`, id)
	if err != nil {
		return nil, fmt.Errorf("store.MergedInto: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// DocumentsOf returns the ids of the documents that refer to the customers.
func DocumentsOf(ctx context.Context, db DB, customers []string) ([]string, error) {
	rows, err := db.Query(ctx, `-- name: DocumentsOf
		SELECT id FROM quotes WHERE customer = ANY($1) UNION SELECT id FROM orders WHERE customer = ANY($1) UNION SELECT id FROM invoices WHERE customer = ANY($1)
		UNION SELECT id FROM credit_notes WHERE customer = ANY($1) UNION SELECT id FROM payments WHERE customer = ANY($1) ORDER BY id`, customers)
	if err != nil {
		return nil, fmt.Errorf("store.DocumentsOf: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// PersonalTexts returns everything that is stored of the entities as JSON: golden values, records, history, pins, contacts.
func PersonalTexts(ctx context.Context, db DB, ids []string) ([]json.RawMessage, error) {
	rows, err := db.Query(ctx, `-- name: PersonalTexts
		SELECT golden FROM entities WHERE id = ANY($1) UNION ALL SELECT values FROM records WHERE entity_id = ANY($1)
		UNION ALL SELECT raw FROM records WHERE entity_id = ANY($1) AND raw IS NOT NULL UNION ALL SELECT value FROM pins WHERE entity_id = ANY($1)
		UNION ALL SELECT old FROM history WHERE entity_id = ANY($1) AND old IS NOT NULL UNION ALL SELECT new FROM history WHERE entity_id = ANY($1) AND new IS NOT NULL
		UNION ALL SELECT to_jsonb(c) - 'customer_id' FROM customer_contacts c WHERE customer_id = ANY($1)`, ids)
	if err != nil {
		return nil, fmt.Errorf("store.PersonalTexts: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[json.RawMessage])
}

// RecordNames returns every name that vendors have, or had, for the entities' records, with their hashes.
func RecordNames(ctx context.Context, db DB, ids []string) ([]HeldThere, error) {
	rows, err := db.Query(ctx, `-- name: RecordNames
		SELECT system, kind, external_id, erasure_hash(system, kind, external_id) AS hash FROM (
			SELECT system, kind, external_id FROM records WHERE entity_id = ANY($1)
			UNION SELECT a.system, a.kind, a.alias FROM records r JOIN record_aliases a ON a.system = r.system AND a.kind = r.kind AND a.external_id = r.external_id
				WHERE r.entity_id = ANY($1)) n ORDER BY system, kind, external_id`, ids)
	if err != nil {
		return nil, fmt.Errorf("store.RecordNames: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (HeldThere, error) {
		var h HeldThere
		return h, row.Scan(&h.System, &h.Kind, &h.ExternalID, &h.Hash)
	})
}

// Writing reports whether a write for one of the entities is under way.
func Writing(ctx context.Context, db DB, ids []string) (bool, error) {
	var yes bool
	err := db.QueryRow(ctx, `-- name: Writing
		SELECT EXISTS (SELECT FROM projections WHERE entity_id = ANY($1) AND intent_key <> '')`, ids).Scan(&yes)
	if err != nil {
		return false, fmt.Errorf("store.Writing: %w", err)
	}
	return yes, nil
}

// ErasePerson removes what is stored of the entities under their own ids. names are those of their records.
func ErasePerson(ctx context.Context, tx pgx.Tx, ids []string, names []HeldThere, keys []string, changed map[string]int64) error {
	n := len(names)
	system, kind, ext, locks := make([]string, n), make([]string, n), make([]string, n), slices.Clone(keys)
	for i, h := range names {
		system[i], kind[i], ext[i] = h.System, string(h.Kind), h.ExternalID
		locks = append(locks, NameKey(h.System, h.ExternalID))
	}
	const these = `(SELECT * FROM unnest($1::text[], $2::text[], $3::text[]))`
	for _, s := range []struct {
		table, sql string
		args       []any
	}{
		{"signals", `DELETE FROM signals WHERE (system, kind, external_id) IN ` + these, []any{system, kind, ext}},
		{"match_keys", `DELETE FROM match_keys WHERE (system, kind, external_id) IN ` + these, []any{system, kind, ext}},
		{"match_keys", `DELETE FROM match_keys WHERE system = '' AND external_id = ANY($1)`, []any{ids}},
		{"match_locks", `DELETE FROM match_locks WHERE key = ANY($1)`, []any{locks}},
		{"record_aliases", `DELETE FROM record_aliases WHERE (system, kind, alias) IN ` + these + ` OR (system, kind, external_id) IN ` + these, []any{system, kind, ext}},
		{"sweep_items", `DELETE FROM sweep_items i USING sweeps s WHERE s.id = i.sweep AND (s.system, s.kind, i.external_id) IN ` + these, []any{system, kind, ext}},
		{"records", `DELETE FROM records WHERE entity_id = ANY($1)`, []any{ids}},
		{"pins", `DELETE FROM pins WHERE entity_id = ANY($1) OR home = ANY($1)`, []any{ids}},
		{"idempotency", `DELETE FROM idempotency WHERE entity_id = ANY($1)`, []any{ids}},
	} {
		if err := erase(ctx, tx, s.table, s.sql, changed, s.args...); err != nil {
			return err
		}
	}
	return nil
}

func erase(ctx context.Context, tx pgx.Tx, table, sql string, changed map[string]int64, args ...any) error {
	tag, err := tx.Exec(ctx, "-- name: erase "+table+"\n"+sql, args...)
	if err != nil {
		return fmt.Errorf("store.erase %s: %w", table, err)
	}
	if n := tag.RowsAffected(); n > 0 {
		changed[table] += n
	}
	return nil
}

// EraseTraces removes what is left of the entities after their golden values are empty: what history, cases and projections
// said of them.
func EraseTraces(ctx context.Context, tx pgx.Tx, id string, merged []string, changed map[string]int64) error {
	ids := append([]string{id}, merged...)
	for _, s := range []struct {
		table, sql string
		args       []any
	}{
		{"entities", `UPDATE entities SET erased_at = coalesce(erased_at, now()) WHERE id = ANY($1)`, []any{ids}},
		{"entities", `UPDATE entities SET golden = '{}', provenance = '{}' WHERE id = ANY($1)`, []any{merged}},
		{"customers", `DELETE FROM customers WHERE id = ANY($1)`, []any{merged}},
		{"history", `UPDATE history SET old = CASE WHEN old IS NOT NULL THEN to_jsonb($2::text) END, new = CASE WHEN new IS NOT NULL THEN to_jsonb($2::text) END,
			external_id = '', note = '' WHERE entity_id = ANY($1)`, []any{ids, ErasedMark}},
		{"projections", `UPDATE projections SET diff = '{}', sent = '{}', error = '', cause = '', external_id = '' WHERE entity_id = ANY($1)`, []any{ids}},
		{"case_events", `UPDATE case_events SET note = '' WHERE note <> '' AND case_id IN (SELECT id FROM cases WHERE entity_id = ANY($1) OR other_id = ANY($1))`, []any{ids}},
		{"cases", `UPDATE cases SET title = 'A case about an erased customer', detail = '{}', external_id = '', updated_at = now(), dedupe_key = 'erased|' || id,
			closed_at = coalesce(closed_at, now()), resolution = CASE WHEN status = 'open' THEN 'erased' ELSE resolution END,
			status = CASE WHEN status = 'open' THEN 'closed' ELSE status END WHERE entity_id = ANY($1) OR other_id = ANY($1)`, []any{ids}},
		{"merges", `UPDATE merges SET reason = '', undone_reason = '' WHERE survivor = ANY($1) OR loser = ANY($1)`, []any{ids}},
	} {
		if err := erase(ctx, tx, s.table, s.sql, changed, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// EraseFromDocuments removes a person from documents that refer to him: the fields, the vendors' raw objects, and the tokens in
// what else they say. Numbers, dates and amounts stay. json are the tokens as JSON has them.
func EraseFromDocuments(ctx context.Context, tx pgx.Tx, documents []string, fields []domain.Field, tokens []string, changed map[string]int64) error {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = string(f)
	}
	for _, s := range []struct {
		table, sql string
		args       []any
	}{
		{"records", `UPDATE records SET raw = NULL, issues = '[]', alone = erasure_scrub((alone - $2::text[])::text, $3)::jsonb,
			values = erasure_scrub((values - $2::text[])::text, $3)::jsonb, confirmed = erasure_scrub((confirmed - $2::text[])::text, $3)::jsonb,
			held = erasure_scrub((held - $2::text[])::text, $3)::jsonb, own = erasure_scrub((own - $2::text[])::text, $3)::jsonb WHERE entity_id = ANY($1)`, []any{documents, names, tokens}},
		{"pins", `DELETE FROM pins WHERE entity_id = ANY($1) AND (field = ANY($2) OR erasure_has(value::text, $3))`, []any{documents, names, tokens}},
		{"signals", `UPDATE signals s SET record = NULL, hint = NULL, changes = NULL FROM records r
			WHERE r.entity_id = ANY($1) AND s.system = r.system AND s.kind = r.kind AND s.external_id = r.external_id AND (s.record IS NOT NULL OR s.hint IS NOT NULL OR s.changes IS NOT NULL)`, []any{documents}},
		{"sweep_items", `UPDATE sweep_items i SET values = NULL FROM sweeps w, records r WHERE r.entity_id = ANY($1) AND w.id = i.sweep AND w.system = r.system AND w.kind = r.kind
			AND i.external_id = r.external_id AND i.values IS NOT NULL`, []any{documents}},
		{"idempotency", `DELETE FROM idempotency WHERE entity_id = ANY($1)`, []any{documents}},
	} {
		if err := erase(ctx, tx, s.table, s.sql, changed, s.args...); err != nil {
			return err
		}
	}
	return nil
}

// EraseFromDocumentTraces does the same for what history, cases and projections say of the documents, once their golden values are
// clean.
func EraseFromDocumentTraces(ctx context.Context, tx pgx.Tx, documents []string, fields []domain.Field, tokens []string, changed map[string]int64) error {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = string(f)
	}
	for _, s := range []struct{ table, sql string }{
		{"history", `UPDATE history SET old = CASE WHEN old IS NULL THEN NULL WHEN field = ANY($2) THEN to_jsonb('` + ErasedMark + `'::text) ELSE erasure_scrub(old::text, $3)::jsonb END,
			new = CASE WHEN new IS NULL THEN NULL WHEN field = ANY($2) THEN to_jsonb('` + ErasedMark + `'::text) ELSE erasure_scrub(new::text, $3)::jsonb END, note = erasure_scrub(note, $3)
			WHERE entity_id = ANY($1) AND (field = ANY($2) OR erasure_has(concat(old::text, new::text, note), $3))`},
		{"cases", `UPDATE cases SET title = erasure_scrub(title, $3), detail = CASE WHEN field = ANY($2) THEN '{}' ELSE erasure_scrub(detail::text, $3)::jsonb END
			WHERE (entity_id = ANY($1) OR other_id = ANY($1)) AND (field = ANY($2) OR erasure_has(title || detail::text, $3))`},
		{"case_events", `UPDATE case_events SET note = erasure_scrub(note, $3) WHERE erasure_has(note, $3) AND case_id IN (SELECT id FROM cases WHERE (entity_id = ANY($1) OR other_id = ANY($1)) AND $2::text[] IS NOT NULL)`},
		{"projections", `UPDATE projections SET diff = erasure_scrub((diff - $2::text[])::text, $3)::jsonb, sent = erasure_scrub((sent - $2::text[])::text, $3)::jsonb, error = erasure_scrub(error, $3)
			WHERE entity_id = ANY($1) AND (diff ?| $2 OR sent ?| $2 OR erasure_has(concat(diff::text, sent::text, error), $3))`},
	} {
		if err := erase(ctx, tx, s.table, s.sql, changed, documents, names, tokens); err != nil {
			return err
		}
	}
	return nil
}

// keyed are the tables whose rows belong to one entity: they are cleaned by id, and never by what they happen to say.
var keyed = []string{"records", "record_aliases", "entities", "customers", "customer_contacts", "products", "locations", "stock_levels", "quotes", "orders",
	"invoices", "credit_notes", "payments", "document_lines", "allocations", "history", "pins", "projections", "cases", "case_events", "signals", "match_keys",
	"merges", "stock_movements", "stock_positions", "customer_moves", "erasures", "erasure_identities", "suppressions", "erasure_salt"}

// settings are tables that hold what the business has configured, and the machinery's own.
var settings = []string{"systems", "policies", "api_keys", "credentials", "processes", "cursors", "budgets", "budget_leases", "partitions", "retention",
	"alert_configs", "alert_secrets", "alert_clock", "alerts", "feed_floor", "number_sequences", "writer_slots", "datum_migrations", "feed",
	"river_migration", "river_leader", "river_queue", "river_client", "river_client_queue", "exchange_links"}

// column is a column that can hold text.
type column struct {
	Table, Name, Type string
}

func textColumns(ctx context.Context, tx pgx.Tx) ([]column, error) {
	rows, err := tx.Query(ctx, `-- name: TextColumns
		SELECT c.relname::text AS table, a.attname::text AS name, format_type(a.atttypid, NULL) AS type FROM pg_class c
			JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
		WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND format_type(a.atttypid, NULL) IN ('text', 'jsonb', 'json', 'text[]', 'jsonb[]')
		ORDER BY 1, 2`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[column])
}

// EraseEverywhere removes the tokens from every other table, whoever made it: logs, reports, jobs. Bodies of exchanges that have
// one, or name one of the records, go as a whole. plain are the tokens, json the same as JSON has them.
func EraseEverywhere(ctx context.Context, tx pgx.Tx, plain, json []string, names []HeldThere, changed map[string]int64) error {
	seek := slices.Clone(plain)
	seek = append(seek, json...)
	for _, h := range names {
		if id := h.ExternalID; len(id) >= 6 {
			seek = append(seek, id)
		}
	}
	err := erase(ctx, tx, "exchanges", `UPDATE exchanges SET request_body = CASE WHEN request_body = '' THEN '' ELSE '`+ErasedMark+`' END,
		response_body = CASE WHEN response_body = '' THEN '' ELSE '`+ErasedMark+`' END, request_header = '{}', response_header = '{}',
		path = split_part(erasure_scrub(path, $1), '?', 1) WHERE erasure_has(concat(path, request_body, response_body), $1)`, changed, seek)
	if err != nil {
		return err
	}
	// What a vendor said of a part of the record under that part's own id.
	err = erase(ctx, tx, "signals", `UPDATE signals SET record = NULL, hint = NULL, changes = NULL WHERE erasure_has(concat(record::text, hint::text, changes::text), $1)`, changed, json)
	if err != nil {
		return err
	}
	cols, err := textColumns(ctx, tx)
	if err != nil {
		return fmt.Errorf("store.EraseEverywhere: %w", err)
	}
	for _, c := range cols {
		if c.Table == "exchanges" || slices.Contains(keyed, c.Table) || slices.Contains(settings, c.Table) {
			continue
		}
		name, tokens := pgx.Identifier{c.Name}.Sanitize(), json
		if c.Type == "text" {
			tokens = plain
		}
		sql := fmt.Sprintf(`UPDATE %s SET %s = erasure_scrub(%s::text, $1)::%s WHERE erasure_has(%s::text, $1)`, pgx.Identifier{c.Table}.Sanitize(), name, name, c.Type, name)
		if c.Type == "jsonb[]" { // what River keeps of errors
			sql = fmt.Sprintf(`UPDATE %s SET %s = NULL WHERE erasure_has(%s::text, $1)`, pgx.Identifier{c.Table}.Sanitize(), name, name)
		}
		if c.Table == "match_locks" {
			sql = `DELETE FROM match_locks WHERE erasure_has(key, $1)`
		}
		if err := erase(ctx, tx, c.Table, sql, changed, tokens); err != nil {
			return err
		}
	}
	return nil
}

// CountTokens counts the rows that have a token still, by table.
func CountTokens(ctx context.Context, tx pgx.Tx, plain, json []string) (map[string]int64, error) {
	cols, err := textColumns(ctx, tx)
	if err != nil {
		return nil, fmt.Errorf("store.CountTokens: %w", err)
	}
	by := map[string]string{}
	for _, c := range cols {
		if c.Table != "erasure_identities" { // kept by law
			by[c.Table] += "," + pgx.Identifier{c.Name}.Sanitize() + "::text"
		}
	}
	left := map[string]int64{}
	for _, table := range slices.Sorted(maps.Keys(by)) {
		var n int64
		err := tx.QueryRow(ctx, `SELECT count(*) FROM `+pgx.Identifier{table}.Sanitize()+` WHERE erasure_has(concat(''`+by[table]+`), $1)`, append(slices.Clone(plain), json...)).Scan(&n)
		if err != nil {
			return nil, fmt.Errorf("store.CountTokens: %s: %w", table, err)
		}
		if n > 0 {
			left[table] = n
		}
	}
	return left, nil
}

// InsertErasure stores the proof, what must not come back, and who bought where the law wants to know.
func InsertErasure(ctx context.Context, tx pgx.Tx, e Erasure) (err error) {
	defer domain.Wrap(&err, "store.InsertErasure")
	if _, err := tx.Exec(ctx, `-- name: InsertErasure
		INSERT INTO erasures (id, entity_id, reason, erased_by, correlation_id, report, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (id) DO UPDATE SET report = excluded.report, hash = excluded.hash, reason = excluded.reason`,
		e.ID, e.EntityID, e.Reason, e.ErasedBy, e.CorrelationID, e.Report, e.Hash); err != nil {
		return err
	}
	for _, h := range e.Report.Held {
		if _, err := tx.Exec(ctx, `-- name: Suppress
			INSERT INTO suppressions (system, kind, hash, bare, entity_id, erasure_id) VALUES ($1, $2, $3, erasure_hash($1, $2, $6), $4, $5) ON CONFLICT DO NOTHING`,
			h.System, h.Kind, h.Hash, e.EntityID, e.ID, h.ExternalID[strings.LastIndex(h.ExternalID, "/")+1:]); err != nil {
			return err
		}
	}
	return nil
}

// KeepIdentities notes who bought on issued invoices and credit notes of at least $1,000 that are younger than days, 0 for good.
func KeepIdentities(ctx context.Context, tx pgx.Tx, erasureID, customer string, documents []string, days int) ([]KeptIdentity, error) {
	rows, err := tx.Query(ctx, `-- name: KeepIdentities
		INSERT INTO erasure_identities (document, erasure_id, name, abn, keep_until)
		SELECT d.id, $1, coalesce(c.legal_name, c.trading_name, 'unknown'), coalesce(c.abn, ''), CASE WHEN $4 > 0 THEN d.issue_date + $4::integer END
		FROM (SELECT id, issue_date, stage, total FROM invoices UNION ALL SELECT id, issue_date, stage, total FROM credit_notes) d, customers c
		WHERE d.id = ANY($3) AND c.id = $2 AND d.total >= 1000 AND d.issue_date IS NOT NULL AND d.stage NOT IN ('DRAFT', 'VOIDED', 'DELETED')
			AND ($4 = 0 OR d.issue_date + $4::integer >= current_date)
		ON CONFLICT DO NOTHING RETURNING document, keep_until`, erasureID, customer, documents, days)
	if err != nil {
		return nil, fmt.Errorf("store.KeepIdentities: %w", err)
	}
	kept, err := pgx.CollectRows(rows, pgx.RowToStructByPos[KeptIdentity])
	slices.SortFunc(kept, func(a, b KeptIdentity) int {
		if a.Document < b.Document {
			return -1
		}
		return 1
	})
	return kept, err
}

// PruneIdentities forgets who bought where the law no longer asks.
func PruneIdentities(ctx context.Context, db DB) (int64, error) {
	tag, err := db.Exec(ctx, `-- name: PruneIdentities
		DELETE FROM erasure_identities WHERE keep_until < current_date`)
	if err != nil {
		return 0, fmt.Errorf("store.PruneIdentities: %w", err)
	}
	return tag.RowsAffected(), nil
}

// Suppressed returns the erased entity that the vendor's object was of, "" if it may be taken in, and notes that the vendor still
// shows it, or that it is gone there.
func Suppressed(ctx context.Context, tx pgx.Tx, system string, kind domain.Kind, externalID string, gone bool) (string, error) {
	rows, err := tx.Query(ctx, `-- name: Suppressed
		UPDATE suppressions SET seen_at = CASE WHEN $4 THEN seen_at ELSE now() END, gone_at = CASE WHEN $4 THEN now() END
		WHERE system = $1 AND kind = $2 AND hash = erasure_hash($1, $2, $3) RETURNING entity_id`, system, kind, externalID, gone)
	if err != nil {
		return "", fmt.Errorf("store.Suppressed: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(ids) == 0 {
		return "", err
	}
	return ids[0], nil
}

// ForgetKeys removes keys that this transaction has locked.
func ForgetKeys(ctx context.Context, tx pgx.Tx, kind domain.Kind, keys []string) error {
	_, err := tx.Exec(ctx, `-- name: ForgetKeys
		DELETE FROM match_locks WHERE kind = $1 AND key = ANY($2)`, kind, keys)
	if err != nil {
		return fmt.Errorf("store.ForgetKeys: %w", err)
	}
	return nil
}

// ErasedAmong returns those of the entities that were erased.
func ErasedAmong(ctx context.Context, db DB, ids []string) (map[string]bool, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := db.Query(ctx, `-- name: ErasedAmong
		SELECT id FROM entities WHERE id = ANY($1) AND erased_at IS NOT NULL`, ids)
	if err != nil {
		return nil, fmt.Errorf("store.ErasedAmong: %w", err)
	}
	erased := map[string]bool{}
	var id string
	_, err = pgx.ForEachRow(rows, []any{&id}, func() error { erased[id] = true; return nil })
	return erased, err
}

// Erasures returns the newest proofs first, with what is known of the vendors' records by now; with an id only that one.
func Erasures(ctx context.Context, db DB, id string, limit int) ([]Erasure, error) {
	rows, err := db.Query(ctx, `-- name: Erasures
		SELECT id, entity_id, reason, erased_by, correlation_id, at, report, hash FROM erasures WHERE $1 = '' OR id = $1 ORDER BY at DESC, id DESC LIMIT $2`, id, limit)
	if err != nil {
		return nil, fmt.Errorf("store.Erasures: %w", err)
	}
	es, err := pgx.CollectRows(rows, pgx.RowToStructByName[Erasure])
	if err != nil {
		return nil, fmt.Errorf("store.Erasures: %w", err)
	}
	for i := range es {
		for j := range es[i].Report.Held {
			h := &es[i].Report.Held[j]
			err := db.QueryRow(ctx, `-- name: Suppression
				SELECT seen_at, gone_at FROM suppressions WHERE system = $1 AND kind = $2 AND hash = $3`, h.System, h.Kind, h.Hash).Scan(&h.SeenAt, &h.GoneAt)
			if err != nil {
				return nil, fmt.Errorf("store.Erasures: %w", err)
			}
		}
	}
	return es, nil
}
