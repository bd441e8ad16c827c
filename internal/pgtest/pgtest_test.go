package pgtest_test

import (
	"context"
	"testing"

	"datum/internal/pgtest"
	"datum/migrations"
)

func TestEveryTestHasItsOwnDatabase(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	a, b := pgtest.New(t), pgtest.New(t)
	if err := migrations.Check(ctx, a); err != nil {
		t.Error(err)
	}
	if _, err := a.Exec(ctx, `CREATE TABLE mine (id int)`); err != nil {
		t.Fatal(err)
	}
	var there bool
	if err := b.QueryRow(ctx, `SELECT to_regclass('mine') IS NOT NULL`).Scan(&there); err != nil || there {
		t.Errorf("the table of one test is in the database of another (%v)", err)
	}
}

func TestDatabaseGoesWithItsTest(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	outer := pgtest.New(t)
	var name string
	t.Run("inner", func(t *testing.T) {
		if err := pgtest.New(t).QueryRow(ctx, `SELECT current_database()`).Scan(&name); err != nil {
			t.Fatal(err)
		}
	})
	var there bool
	err := outer.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&there)
	if err != nil || there || name == "" {
		t.Errorf("database %q outlives its test (%v)", name, err)
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		b.Run("", func(b *testing.B) {
			if err := pgtest.New(b).Ping(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
