package store_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/store"
	"datum/internal/pgtest"
)

// explained is a DB that measures how many pages each query reads before it runs it.
type explained struct {
	pgx.Tx
	t *testing.T
}

func (e explained) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	name, _, _ := strings.Cut(sql, "\n")
	inner, err := e.Begin(ctx) // what is measured changes nothing
	if err != nil {
		return nil, err
	}
	var out []byte
	if err := inner.QueryRow(ctx, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "+sql, args...).Scan(&out); err != nil {
		return nil, err
	}
	if err := inner.Rollback(ctx); err != nil {
		return nil, err
	}
	var plans []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
		}
	}
	if err := json.Unmarshal(out, &plans); err != nil {
		return nil, err
	}
	// A whole table or index of 20,000 rows has hundreds of pages; a few look-ups and updates read some ten.
	if pages := plans[0].Plan.Hit + plans[0].Plan.Read; pages > 150 {
		e.t.Errorf("%s reads %d pages:\n%s", name, pages, out)
	}
	return e.Tx.Query(ctx, sql, args...)
}

// TestWritePathDoesNotGrow: what every change of a record asks costs the same however many records there are.
func TestWritePathDoesNotGrow(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	tx, err := pgtest.New(t).Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	for _, sql := range []string{
		`INSERT INTO systems (name, adapter, mode) VALUES ('crm', 'hubspot', 'live')`,
		`INSERT INTO entities (id, kind, version, stage, policy, golden, provenance)
			SELECT 'cus_' || n, 'Customer', 1, '', 1, '{}', '{}' FROM generate_series(1, 20000) n`,
		`INSERT INTO records (system, kind, external_id, entity_id, canonical_id, modified_at, fetched_at, values)
			SELECT 'crm', 'Customer', n, 'cus_' || n, 'cus_' || n, now(), now(), '{}' FROM generate_series(1, 20000) n`,
		`INSERT INTO match_keys (kind, key, system, external_id) SELECT 'Customer', 'abn|' || n, 'crm', n FROM generate_series(1, 20000) n`,
		`INSERT INTO match_keys (kind, key, system, external_id) VALUES ('Customer', 'abn|77', '', 'cus_78')`,
		// Everybody has one name, and two live in area 7.
		`INSERT INTO match_keys (kind, key, system, external_id) SELECT 'Customer', '~name:1', 'crm', n FROM generate_series(1, 20000) n`,
		`INSERT INTO match_keys (kind, key, system, external_id) VALUES ('Customer', '~area:7', 'crm', '1'), ('Customer', '~area:7', 'crm', '9999')`,
		`INSERT INTO projections (entity_id, system, kind) SELECT 'cus_' || n, 'crm', 'Customer' FROM generate_series(1, 20000) n`,
		`ANALYZE systems, entities, records, match_keys, projections`,
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	db := explained{tx, t}
	matches, err := store.MatchesFor(ctx, db, domain.KindCustomer, []string{"abn|77", "email|x"}, "accounting", "1")
	if err != nil || len(matches) != 2 || matches[1].EntityID != "cus_78" {
		t.Errorf("MatchesFor: %v, %v", matches, err)
	}
	alike, err := store.Alike(ctx, db, domain.KindCustomer, []string{"~name:1", "~phone:none", "~area:7"}, "cus_1")
	if err != nil || len(alike) != 20 { // of a block no more than 20, and the one in area 7
		t.Errorf("Alike: %d, %v", len(alike), err)
	}
	if rs, err := store.LinkedAfter(ctx, db, domain.KindCustomer, "crm", "5", 50); err != nil || len(rs) != 50 || rs[0].ExternalID != "50" {
		t.Errorf("LinkedAfter: %d, %v", len(rs), err)
	}
	if merged, err := store.MergedHere(ctx, db, "crm", domain.KindCustomer, "1"); err != nil || len(merged) != 0 {
		t.Errorf("MergedHere: %v, %v", merged, err)
	}
	if rs, err := store.Records(ctx, db, "crm", domain.KindCustomer, []string{"1"}); err != nil || len(rs) != 1 {
		t.Errorf("Records: %v, %v", rs, err)
	}
	if es, err := store.Entities(ctx, db, []string{"cus_1"}); err != nil || len(es) != 1 {
		t.Errorf("Entities: %v, %v", es, err)
	}
	if ps, err := store.ClaimProjections(ctx, db, "crm", domain.KindCustomer, uuid.New(), "p", time.Minute, 5); err != nil || len(ps) != 5 {
		t.Errorf("ClaimProjections: %d, %v", len(ps), err)
	}
}

// TestArrivalsDoNotGrow: what is asked when a document arrives in a system costs the same however many payments wait there.
func TestArrivalsDoNotGrow(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	tx, err := pgtest.New(t).Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	for _, sql := range []string{
		`INSERT INTO systems (name, adapter, mode) VALUES ('accounting', 'xero', 'live')`,
		`INSERT INTO entities (id, kind, version) SELECT 'pay_' || n, 'Payment', 1 FROM generate_series(1, 8000) n`,
		`INSERT INTO entities (id, kind, version) SELECT 'inv_' || n, 'Invoice', 1 FROM generate_series(1, 8000) n`,
		`INSERT INTO projections (entity_id, system, kind, status, error_code, waits_for) SELECT 'pay_' || n, 'accounting', 'Payment', 'parked', 'WAITS', ARRAY['inv_' || n] FROM generate_series(1, 8000) n`,
		`INSERT INTO projections (entity_id, system, kind, status, intent_key) SELECT 'inv_' || n, 'accounting', 'Invoice', 'pending', CASE WHEN n = 70 THEN 'k' ELSE '' END FROM generate_series(1, 8000) n`,
		`ANALYZE systems, entities, projections`,
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	db := explained{tx, t}
	coming := func(full int, want bool) {
		t.Helper()
		if got, err := store.Coming(ctx, tx, "accounting", domain.KindPayment, full); err != nil || got != want {
			t.Errorf("Coming, %d: %t, %v", full, got, err)
		}
	}
	coming(0, true)
	free, err := store.UnparkWaiting(ctx, db, "accounting", "inv_70")
	if err != nil || len(free) != 1 || free[0].EntityID != "pay_70" {
		t.Errorf("UnparkWaiting: %v, %v", free, err)
	}
	coming(0, false)
	coming(8000, true) // so many invoices are pending
	coming(8001, false)
}

// TestTraceDoesNotGrow: what became of one entity, what one cause led to and what is not finished are found without reading
// whole tables.
func TestTraceDoesNotGrow(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	tx, err := pgtest.New(t).Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	for _, sql := range []string{
		`INSERT INTO systems (name, adapter, mode) VALUES ('crm', 'hubspot', 'live'), ('accounting', 'xero', 'live')`,
		`INSERT INTO entities (id, kind, version) SELECT 'cus_' || n, 'Customer', 1 FROM generate_series(1, 8000) n`,
		`INSERT INTO records (system, kind, external_id, entity_id, modified_at, fetched_at, values)
			SELECT 'crm', 'Customer', n, CASE WHEN n % 3 > 0 THEN 'cus_' || n END, now(), now(), '{}' FROM generate_series(1, 8000) n`,
		`INSERT INTO projections (entity_id, system, kind, status, correlation_id, pending_since) SELECT 'cus_' || n, 'accounting', 'Customer',
			CASE WHEN n % 2 = 0 THEN 'confirmed' ELSE 'pending' END, 'cor_' || n, now() - n * interval '1 s' FROM generate_series(1, 8000) n`,
		`INSERT INTO signals (system, kind, external_id, source, status, correlation_id) SELECT 'crm', 'Customer', n % 8000, 'webhook', 'done', 'cor_' || n FROM generate_series(1, 16000) n`,
		`INSERT INTO history (entity_id, version, action, correlation_id) SELECT 'cus_' || n, 1, 'set', 'cor_' || n FROM generate_series(1, 8000) n`,
		`INSERT INTO cases (id, kind, entity_id, title, dedupe_key, correlation_id) SELECT 'case_' || n, 'refused', 'cus_' || n, 'x', n, 'cor_' || n FROM generate_series(1, 8000) n`,
		`INSERT INTO exchanges (system, sent_at, duration_ms, method, path, status, correlation_id) SELECT 'crm', now(), 1, 'GET', '/' || n, 200, 'cor_' || n FROM generate_series(1, 8000) n`,
		`INSERT INTO exchange_links (correlation_id, exchange_id, sent_at) SELECT 'cor_' || id + 1, id, sent_at FROM exchanges`,
		`ANALYZE`,
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	db := explained{tx, t}
	count := func(what string, steps []store.TraceStep, err error) {
		t.Helper()
		n := map[string]int{}
		for _, s := range steps {
			n[s.What]++
		}
		if err != nil || n["signal"] == 0 || n["exchange"] < 2 || n["decision"] != 1 || n["case"] != 1 || n["projection"] == 0 {
			t.Errorf("%s: %v, %v", what, n, err)
		}
	}
	steps, err := store.Trace(ctx, db, "cus_77", nil, "", 100)
	count("Trace", steps, err)
	steps, err = store.TraceCause(ctx, db, "cor_77", nil, "", 100)
	count("TraceCause", steps, err)
	first, err := store.ListUnfinished(ctx, db, store.UnfinishedFilter{}, nil, "", 10)
	if err != nil || len(first) != 10 {
		t.Fatalf("%d unfinished, %v", len(first), err)
	}
	last := first[9]
	if next, err := store.ListUnfinished(ctx, db, store.UnfinishedFilter{}, &last.Since, last.Key, 10); err != nil || len(next) != 10 || !next[0].Since.After(last.Since) {
		t.Errorf("the next %d unfinished, %v", len(next), err)
	}
	if xs, err := store.Exchanges(ctx, db, store.ExchangeFilter{CorrelationID: "cor_77"}); err != nil || len(xs) != 2 {
		t.Errorf("%d exchanges of one cause, %v", len(xs), err)
	}
}
