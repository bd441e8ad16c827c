// Package migrations brings a database to this binary's schema: Datum's own numbered files, then River's tables. Files
// are applied in order of their number, each in its own transaction, and are never changed after a release.
package migrations

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"datum/domain"
)

//go:embed *.sql
var files embed.FS

// lockKey is the advisory lock that keeps two processes from migrating at once.
const lockKey = 0x646174756d03

var namePattern = regexp.MustCompile(`^\d{4}_[a-z0-9_]+\.sql$`)

type migration struct {
	name string // "0001_core"
	sql  string
	sum  string // SHA-256 of sql, hex
}

// all returns the migrations in order. Two files with one number are an error.
func all(fsys fs.FS) ([]migration, error) {
	entries, err := fs.ReadDir(fsys, ".") // sorted by name
	if err != nil {
		return nil, err
	}
	var ms []migration
	for _, e := range entries {
		if !namePattern.MatchString(e.Name()) {
			return nil, domain.Errorf(domain.Internal, "migration %s is not named NNNN_name.sql", e.Name())
		}
		b, err := fs.ReadFile(fsys, e.Name())
		if err != nil {
			return nil, err
		}
		m := migration{name: strings.TrimSuffix(e.Name(), ".sql"), sql: string(b)}
		if n := len(ms); n > 0 && ms[n-1].name[:4] == m.name[:4] {
			return nil, domain.Errorf(domain.Internal, "migrations %s and %s have one number", ms[n-1].name, m.name)
		}
		sum := sha256.Sum256(b)
		m.sum = hex.EncodeToString(sum[:])
		ms = append(ms, m)
	}
	return ms, nil
}

// Hash identifies the schema that Apply produces.
func Hash() (string, error) {
	ms, err := all(files)
	if err != nil {
		return "", err
	}
	river, err := rivermigrate.New(riverpgxv5.New(nil), nil)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, m := range ms {
		fmt.Fprintln(h, m.name, m.sum)
	}
	for _, v := range river.AllVersions() {
		fmt.Fprintln(h, v.Version, v.SQLUp)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// Apply applies what is missing. Several processes may call it at once; one does the work and the others wait. A
// migration that was changed after it was applied is refused.
func Apply(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger) (err error) {
	defer domain.Wrap(&err, "migrations.Apply")
	ms, err := all(files)
	if err != nil {
		return err
	}
	return apply(ctx, pool, log, ms)
}

// apply holds the lock in a transaction of its own, on a connection of its own: some of River's migrations must commit
// before the next one can start.
func apply(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger, ms []migration) error {
	conn, err := pgx.ConnectConfig(ctx, pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	return pgx.BeginFunc(ctx, conn, func(lock pgx.Tx) error {
		if _, err := lock.Exec(ctx, `SET LOCAL idle_in_transaction_session_timeout = 0`); err != nil {
			return err
		}
		if _, err := lock.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(lockKey)); err != nil {
			return err
		}
		return applyLocked(ctx, pool, log, ms)
	})
}

func applyLocked(ctx context.Context, pool *pgxpool.Pool, log *slog.Logger, ms []migration) error {
	_, err := pool.Exec(ctx, `CREATE TABLE IF NOT EXISTS datum_migrations (
		name       text PRIMARY KEY,
		sha256     text NOT NULL,
		applied_at timestamptz NOT NULL DEFAULT now()
	)`)
	if err != nil {
		return err
	}
	pending, err := pendingOf(ctx, pool, ms)
	if err != nil {
		return err
	}
	for _, m := range pending {
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, m.sql); err != nil {
				return domain.Errorf(domain.Internal, "migration %s does not apply%s: %w", m.name, position(m.sql, err), err)
			}
			_, err := tx.Exec(ctx, `INSERT INTO datum_migrations (name, sha256) VALUES ($1, $2)`, m.name, m.sum)
			return err
		})
		if err != nil {
			return err
		}
		log.InfoContext(ctx, "applied migration", "migration", m.name)
	}
	river, err := rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	res, err := river.Migrate(ctx, rivermigrate.DirectionUp, nil)
	if err != nil {
		return fmt.Errorf("migrations of River: %w", err)
	}
	for _, v := range res.Versions {
		log.InfoContext(ctx, "applied migration", "migration", fmt.Sprintf("river %d", v.Version))
	}
	return nil
}

// Check returns nil if the database has every migration of this binary, and an Unready error that names the missing
// ones if not. A database that a newer binary has migrated further is fine: migrations only add.
func Check(ctx context.Context, pool *pgxpool.Pool) (err error) {
	defer domain.Wrap(&err, "migrations.Check")
	ms, err := all(files)
	if err != nil {
		return err
	}
	pending, err := pendingOf(ctx, pool, ms)
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code == "42P01" { // no table yet
		pending, err = ms, nil
	}
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		names := make([]string, len(pending))
		for i, m := range pending {
			names[i] = m.name
		}
		return domain.Errorf(domain.Unready, "the database lacks migrations %s; run: datum migrate", strings.Join(names, ", "))
	}
	river, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err != nil {
		return err
	}
	res, err := river.Validate(ctx, nil)
	if err != nil {
		return err
	}
	if !res.OK {
		return domain.Errorf(domain.Unready, "the database lacks migrations of River (%s); run: datum migrate", strings.Join(res.Messages, "; "))
	}
	return nil
}

type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// pendingOf returns those of ms that are not applied.
func pendingOf(ctx context.Context, db querier, ms []migration) ([]migration, error) {
	rows, err := db.Query(ctx, `SELECT name, sha256 FROM datum_migrations ORDER BY name`)
	if err != nil {
		return nil, err
	}
	applied := map[string]string{}
	var name, sum string
	if _, err := pgx.ForEachRow(rows, []any{&name, &sum}, func() error { applied[name] = sum; return nil }); err != nil {
		return nil, err
	}
	var pending []migration
	for _, m := range ms {
		switch sum, ok := applied[m.name]; {
		case !ok:
			pending = append(pending, m)
		case sum != m.sum:
			return nil, domain.Errorf(domain.Conflict, "migration %s was changed after it was applied to this database; restore the file and put the change into a new migration", m.name)
		}
	}
	return pending, nil
}

// position tells the line of the statement that Postgres complains about.
func position(sql string, err error) string {
	var pe *pgconn.PgError
	if !errors.As(err, &pe) || pe.Position == 0 {
		return ""
	}
	r := []rune(sql)
	return fmt.Sprintf(" (line %d)", 1+strings.Count(string(r[:min(int(pe.Position)-1, len(r))]), "\n"))
}
