package store_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"datum/domain"
	"datum/domain/store"
	"datum/internal/pgtest"
)

func kept(t *testing.T, pool *pgxpool.Pool, now time.Time) store.Kept {
	t.Helper()
	rs, err := store.Retentions(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	k, err := store.KeepPartitions(t.Context(), pool, now, rs)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func run(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// TestPartitions: rows go into partitions that are there in time, old partitions go as a whole, and everything else stays.
func TestPartitions(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	start := time.Now()
	k := kept(t, pool, start)
	if len(k.Made) == 0 || len(k.Dropped) > 0 {
		t.Fatalf("at first: %+v", k)
	}
	if again := kept(t, pool, start); len(again.Made)+len(again.Dropped) > 0 {
		t.Errorf("at once again: %+v", again)
	}
	// Ten weeks, with the upkeep now and then: what is older than 30 days and a week is gone, the rest is there.
	for week := range 10 {
		at := start.AddDate(0, 0, 7*week)
		run(t, pool, `INSERT INTO exchanges (system, sent_at, duration_ms, method, path, status) VALUES ('crm', $1, 1, 'GET', '/', 200)`, at)
		run(t, pool, `INSERT INTO exchange_links (correlation_id, exchange_id, sent_at) SELECT 'c', id, sent_at FROM exchanges WHERE sent_at = $1`, at)
		run(t, pool, `INSERT INTO feed (topic, at) VALUES ('x', $1)`, at)
		run(t, pool, `INSERT INTO history (entity_id, version, action, at) VALUES ('cus_1', 1, 'set', $1)`, at)
		k := kept(t, pool, at)
		if len(k.Busy) > 0 {
			t.Errorf("week %d: %+v", week, k)
		}
	}
	now := start.AddDate(0, 0, 63)
	for table, key := range map[string]string{"exchanges": "sent_at", "exchange_links": "sent_at", "feed": "at"} {
		var n, rest int
		var oldest time.Time
		if err := pool.QueryRow(t.Context(), `SELECT count(*), min(`+key+`), (SELECT count(*) FROM `+table+`_rest) FROM `+table).Scan(&n, &oldest, &rest); err != nil {
			t.Fatal(err)
		}
		if age := now.Sub(oldest); n < 5 || n > 6 || age > 37*24*time.Hour || rest > 0 {
			t.Errorf("%s has %d rows, the oldest %s old, and %d outside of partitions", table, n, age, rest)
		}
	}
	var n int
	if err := pool.QueryRow(t.Context(), `SELECT count(*) FROM history`).Scan(&n); err != nil || n != 10 {
		t.Errorf("%d rows of history, want all 10 (%v)", n, err)
	}
	// The upkeep was away for a year: what came meanwhile is in the rest, nothing is refused, and new partitions begin after it.
	late := now.AddDate(1, 0, 0)
	run(t, pool, `INSERT INTO exchanges (system, sent_at, duration_ms, method, path, status) VALUES ('crm', $1, 1, 'GET', 'late', 200)`, late)
	if k := kept(t, pool, late); len(k.Made) == 0 || !slices.ContainsFunc(k.Dropped, func(s string) bool { return strings.HasPrefix(s, "exchanges_p") }) {
		t.Errorf("after a year: %+v", k)
	}
	if k := kept(t, pool, late.AddDate(0, 0, 40)); k.Deleted != 1 {
		t.Errorf("what was in the rest: %+v", k)
	}
}

// TestRetentionHoldsUpNobody: a partition that somebody is at is left for the next time, and a writer does not wait for the upkeep.
func TestRetentionHoldsUpNobody(t *testing.T) {
	t.Parallel()
	pool, ctx := pgtest.New(t), t.Context()
	now := time.Now()
	kept(t, pool, now)
	later := now.AddDate(0, 0, 60)
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	if _, err := tx.Exec(ctx, `INSERT INTO feed (topic) VALUES ('slow')`); err != nil {
		t.Fatal(err)
	}
	done := make(chan store.Kept)
	go func() { done <- kept(t, pool, later) }()
	var k store.Kept
	for slowest, writing := time.Duration(0), true; writing; {
		select {
		case k = <-done:
			writing = false
		default:
			began := time.Now()
			run(t, pool, `INSERT INTO feed (topic) VALUES ('quick')`)
			if slowest = max(slowest, time.Since(began)); slowest > 2*time.Second {
				t.Fatalf("a writer waited for %s", slowest)
			}
		}
	}
	if len(k.Busy) == 0 || !strings.HasPrefix(k.Busy[0], "feed_") {
		t.Errorf("while somebody writes: %+v", k)
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if k := kept(t, pool, later); len(k.Busy) > 0 || !slices.ContainsFunc(k.Dropped, func(s string) bool { return strings.HasPrefix(s, "feed_") }) {
		t.Errorf("when nobody does: %+v", k)
	}
}

// TestRetentionIsLawful: nobody can set less than the law wants, and is told why.
func TestRetentionIsLawful(t *testing.T) {
	t.Parallel()
	pool, ctx := pgtest.New(t), t.Context()
	for _, c := range []struct {
		name string
		days int
		code domain.Code
		says string
	}{
		{"history", 365, domain.Invalid, "five years"}, {"history", 1826, domain.Invalid, "1827 days"}, {"history", 1827, "", ""}, {"history", 0, "", ""},
		{"exchanges", 14, "", ""}, {"exchanges", -1, domain.Invalid, "at least 1"}, {"signals", 2, domain.Invalid, "repeat webhooks"}, {"customers", 30, domain.NotFound, "kept for good"},
	} {
		err := store.SetRetention(ctx, pool, c.name, c.days, "jo")
		if domain.CodeOf(err) != c.code || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s for %d days: %v", c.name, c.days, err)
		}
	}
	rs, err := store.Retentions(ctx, pool)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		if want := map[string]int{"exchanges": 14, "feed": 30}; want[r.Name] > 0 && (r.Days != want[r.Name] || (r.SetBy == "jo") != (r.Name == "exchanges")) {
			t.Errorf("%+v", r)
		}
	}
}
