package migrations_test

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5/pgxpool"

	"datum/domain"
	"datum/internal/pgtest"
	"datum/migrations"
)

var quiet = slog.New(slog.DiscardHandler)

// empty returns a database without anything in it.
func empty(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool := pgtest.New(t)
	if _, err := pool.Exec(context.Background(), `DROP SCHEMA public CASCADE; CREATE SCHEMA public`); err != nil {
		t.Fatal(err)
	}
	return pool
}

func files(kv ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = &fstest.MapFile{Data: []byte(kv[i+1])}
	}
	return m
}

func TestApplyByManyAtOnceAndAgain(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := empty(t)
	if err := migrations.Check(ctx, pool); domain.CodeOf(err) != domain.Unready || !strings.Contains(err.Error(), "datum migrate") {
		t.Errorf("Check of an empty database: %v", err)
	}
	errs := make([]error, 4)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = migrations.Apply(ctx, pool, quiet) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	if err := migrations.Check(ctx, pool); err != nil {
		t.Errorf("Check after Apply: %v", err)
	}
	var jobs int
	if err := pool.QueryRow(ctx, `SELECT count(*) FROM river_job`).Scan(&jobs); err != nil {
		t.Errorf("River's tables: %v", err)
	}
	if _, err := pool.Exec(ctx, `DELETE FROM datum_migrations WHERE name = (SELECT max(name) FROM datum_migrations)`); err != nil {
		t.Fatal(err)
	}
	if err := migrations.Check(ctx, pool); domain.CodeOf(err) != domain.Unready {
		t.Errorf("Check with one missing: %v", err)
	}
}

func TestCheckSeesMissingRiverMigrations(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	if _, err := pool.Exec(ctx, `DELETE FROM river_migration WHERE version = (SELECT max(version) FROM river_migration)`); err != nil {
		t.Fatal(err)
	}
	if err := migrations.Check(ctx, pool); domain.CodeOf(err) != domain.Unready {
		t.Errorf("err = %v", err)
	}
}

func TestFailedMigrationLeavesNothingAndNamesItsLine(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := empty(t)
	err := migrations.ApplyFiles(ctx, pool, quiet, files(
		"0001_good.sql", "CREATE TABLE good (id int);",
		"0002_bad.sql", "CREATE TABLE half (id int);\n\nINSERT INTO nowhere VALUES (1);"))
	if err == nil || !strings.Contains(err.Error(), "0002_bad") || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("err = %v", err)
	}
	var good, half bool
	if err := pool.QueryRow(ctx, `SELECT to_regclass('good') IS NOT NULL, to_regclass('half') IS NOT NULL`).Scan(&good, &half); err != nil {
		t.Fatal(err)
	}
	if !good || half {
		t.Errorf("good = %t, half = %t", good, half)
	}
	// Repaired, it goes on where it stopped.
	if err := migrations.ApplyFiles(ctx, pool, quiet, files(
		"0001_good.sql", "CREATE TABLE good (id int);",
		"0002_bad.sql", "CREATE TABLE half (id int);")); err != nil {
		t.Error(err)
	}
}

func TestChangedMigrationIsRefused(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := empty(t)
	if err := migrations.ApplyFiles(ctx, pool, quiet, files("0001_a.sql", "CREATE TABLE a (id int);")); err != nil {
		t.Fatal(err)
	}
	err := migrations.ApplyFiles(ctx, pool, quiet, files("0001_a.sql", "CREATE TABLE a (id bigint);"))
	if domain.CodeOf(err) != domain.Conflict || !strings.Contains(err.Error(), "0001_a") {
		t.Errorf("err = %v", err)
	}
}

func TestNamesAreChecked(t *testing.T) {
	t.Parallel()
	for _, fsys := range []fstest.MapFS{
		files("0001_a.sql", "", "0001_b.sql", ""),
		files("1_a.sql", ""),
	} {
		if err := migrations.ApplyFiles(context.Background(), nil, quiet, fsys); domain.CodeOf(err) != domain.Internal {
			t.Errorf("%v: err = %v", fsys, err)
		}
	}
}

// TestRowsSurvivePartitioning: a database in use keeps its rows, their ids and the numbers that follow.
func TestRowsSurvivePartitioning(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := empty(t)
	before := fstest.MapFS{}
	all := os.DirFS(".")
	names, err := fs.Glob(all, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if name < "0020" {
			b, err := fs.ReadFile(all, name)
			if err != nil {
				t.Fatal(err)
			}
			before[name] = &fstest.MapFile{Data: b}
		}
	}
	if err := migrations.ApplyFiles(ctx, pool, quiet, before); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`INSERT INTO history (entity_id, version, action) SELECT 'cus_' || n, 1, 'set' FROM generate_series(1, 3) n`,
		`INSERT INTO feed (topic, at) SELECT 'x', now() - n * interval '40 days' FROM generate_series(1, 3) n`,
		`INSERT INTO exchanges (system, sent_at, duration_ms, method, path, status) SELECT 'crm', now() - n * interval '1 day', 1, 'GET', '/', 200 FROM generate_series(1, 3) n`,
	} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := migrations.Apply(ctx, pool, quiet); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		`INSERT INTO history (entity_id, version, action) VALUES ('cus_4', 1, 'set')`, `INSERT INTO feed (topic) VALUES ('x')`,
		`INSERT INTO exchanges (system, sent_at, duration_ms, method, path, status) VALUES ('crm', now(), 1, 'GET', '/', 200)`,
	} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Error(err)
		}
	}
	for _, table := range []string{"history", "feed", "exchanges"} {
		var ids []int64
		if err := pool.QueryRow(ctx, `SELECT array_agg(id ORDER BY id) FROM `+table).Scan(&ids); err != nil || !slices.Equal(ids, []int64{1, 2, 3, 4}) {
			t.Errorf("%s has the ids %v (%v)", table, ids, err)
		}
		var indexes int
		if err := pool.QueryRow(ctx, `SELECT count(*) FROM pg_indexes WHERE tablename = $1`, table).Scan(&indexes); err != nil || indexes < 2 {
			t.Errorf("%s has %d indexes (%v)", table, indexes, err)
		}
	}
}
