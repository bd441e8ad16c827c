// Package pgtest gives every test a real Postgres database of its own, with all migrations applied.
//
// All test binaries of a machine share one private server (package pgdev) below the user's cache directory, which stops
// by itself a minute after the last of them has ended. A database is a copy of a template that is made once per state of
// the migrations. To use another server, set DATUM_TEST_DATABASE_URL to a superuser's URL on it.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"datum/internal/pgdev"
	"datum/migrations"
)

// MaxConns is the size of a test's pool. The server takes 300 connections in all.
const MaxConns = 10

const (
	templatePrefix = "datum_template_"
	testPrefix     = "datum_test_"
	// lockKey keeps template databases from being made or dropped twice at once.
	lockKey = 0x646174756d04
)

// shared is the one server of this test binary, and lives as long as it.
type shared struct {
	cluster  *pgdev.Cluster
	admin    *pgxpool.Pool // on database postgres
	template string
}

// server is shared by all tests of the binary: starting it is what takes the time.
var server = sync.OnceValues(func() (*shared, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	return start(ctx, os.Getenv("DATUM_TEST_DATABASE_URL"))
})

// New returns a pool on a fresh database that has all migrations. Pool and database go when the test ends; a test that
// still uses a connection then fails. For the URL, see pool.Config().ConnString().
func New(t testing.TB) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(URL(t))
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	cfg.MaxConns = MaxConns
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() { pool.Close(); close(closed) }()
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Errorf("pgtest: %d connections are still in use at the end of the test", pool.Stat().AcquiredConns())
		}
	})
	return pool
}

// URL returns the connection URL of a fresh database that has all migrations, for a test that starts real processes.
// The database goes when the test ends, whoever is still connected.
func URL(t testing.TB) string {
	t.Helper()
	s, err := server()
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	name := fmt.Sprintf("%s%d_%s", testPrefix, os.Getpid(), strings.ToLower(rand.Text()[:12]))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.clone(ctx, name); err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.drop(ctx, name); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	return s.cluster.URL(name)
}

func start(ctx context.Context, given string) (*shared, error) {
	dir, err := directory()
	if err != nil {
		return nil, err
	}
	cluster, err := pgdev.Start(ctx, pgdev.Options{URL: given, Dir: dir, Disposable: true})
	if err != nil {
		return nil, err
	}
	cfg, err := pgxpool.ParseConfig(cluster.URL("postgres"))
	if err != nil {
		return nil, err
	}
	cfg.MaxConns = 4
	admin, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s := &shared{cluster: cluster, admin: admin}
	hash, err := migrations.Hash()
	if err != nil {
		return nil, err
	}
	s.template = templatePrefix + hash[:16]
	if err := s.makeTemplate(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// directory is one for all checkouts and all test binaries of the user.
func directory() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil { // no HOME
		base = filepath.Join(os.TempDir(), fmt.Sprintf("datum-%d", os.Getuid()))
	}
	dir := filepath.Join(base, "datum-test")
	return dir, os.MkdirAll(dir, 0o755)
}

// makeTemplate makes the template database if it is missing. It gets its name only when it is complete.
func (s *shared) makeTemplate(ctx context.Context) error {
	// The lock ends with its transaction; databases are made outside of one, on other connections.
	return pgx.BeginFunc(ctx, s.admin, func(lock pgx.Tx) error {
		if _, err := lock.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, int64(lockKey)); err != nil {
			return err
		}
		return s.makeTemplateLocked(ctx)
	})
}

func (s *shared) makeTemplateLocked(ctx context.Context) error {
	if err := s.tidy(ctx); err != nil {
		return err
	}
	var exists bool
	err := s.admin.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, s.template).Scan(&exists)
	if err != nil || exists {
		return err
	}
	fresh := s.template + "_new"
	if err := s.drop(ctx, fresh); err != nil {
		return err
	}
	if _, err := s.admin.Exec(ctx, `CREATE DATABASE `+fresh+` TEMPLATE template0`); err != nil {
		return err
	}
	pool, err := pgxpool.New(ctx, s.cluster.URL(fresh))
	if err != nil {
		return err
	}
	err = migrations.Apply(ctx, pool, slog.New(slog.DiscardHandler))
	pool.Close()
	if err != nil {
		return err
	}
	_, err = s.admin.Exec(ctx, `ALTER DATABASE `+fresh+` RENAME TO `+s.template)
	return err
}

// tidy drops all but the newest templates, and the databases of test binaries that were killed.
func (s *shared) tidy(ctx context.Context) error {
	rows, err := s.admin.Query(ctx, `SELECT datname FROM pg_database WHERE starts_with(datname, $1) ORDER BY oid DESC OFFSET 8`, templatePrefix)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	rows, err = s.admin.Query(ctx, `SELECT datname FROM pg_database WHERE starts_with(datname, $1) ORDER BY datname`, testPrefix)
	if err != nil {
		return err
	}
	tests, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range tests {
		var pid int
		if _, err := fmt.Sscanf(name, testPrefix+"%d_", &pid); err == nil && !s.cluster.External() && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			names = append(names, name)
		}
	}
	for _, name := range names {
		if err := s.drop(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// clone copies the template. Copying files beats writing the copy to the log, as nothing is synced to disk.
func (s *shared) clone(ctx context.Context, name string) error {
	_, err := s.admin.Exec(ctx, `CREATE DATABASE `+name+` TEMPLATE `+s.template+` STRATEGY file_copy`)
	return err
}

func (s *shared) drop(ctx context.Context, name string) error {
	_, err := s.admin.Exec(ctx, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`)
	return err
}
