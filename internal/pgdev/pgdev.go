// Package pgdev provides the Postgres that Datum runs on when nobody gives it one: a private server on a loopback port,
// kept below a directory, shared by every process that starts it there, and stopped when the last of them is gone. It
// leaves schemas to migrations and everything else to pgx.
//
// The server outlives a crash of the process that started it: the next one adopts it, or recovers its data. Who uses it
// is counted by Postgres itself, with a shared advisory lock on one connection per user; such a lock dies with its
// process, so a kill -9 cannot leave a wrong count behind. A watchdog inside the server stops it when nobody has held
// the lock for Options.Idle.
package pgdev

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datum/domain"
)

// Database is the name of the database that Start makes sure exists in a private server.
const Database = "datum"

// Options say where the private server lives and how it is set. The zero value of each has a default.
type Options struct {
	// URL is DATABASE_URL. If it is set nothing is started and the Cluster only hands it out.
	URL string
	// Dir is Datum's directory; the server lives in its subdirectory postgres. Default ".datum" in the working
	// directory. When started by root and the unprivileged user cannot reach Dir, only the server's state is kept
	// there and the data goes below /var/lib/datum or the temporary directory.
	Dir string
	// Disposable trades durability for speed and starts with no data after an unclean stop: for tests.
	Disposable bool
	// Idle is how long the server stays when its users vanished without Stop. Default 1 minute.
	Idle time.Duration
	// Log gets what a person may want to know. Default: discarded.
	Log *slog.Logger
}

// Cluster is a running server, or a user-given one. Its methods may be called concurrently.
type Cluster struct {
	url   *url.URL // of the main database
	state state    // zero for a user-given server
	lease *lease   // nil for a user-given server
	log   *slog.Logger
}

// startTimeout bounds a start that includes crash recovery; downloads come before it.
const startTimeout = 2 * time.Minute

// Start starts the private server or adopts the running one. It may be called by any number of processes at once. ctx
// bounds the start, not the life of the server. Errors are *domain.Error and say what to do.
func Start(ctx context.Context, o Options) (_ *Cluster, err error) {
	defer domain.Wrap(&err, "pgdev.Start")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.URL != "" {
		u, err := url.Parse(o.URL)
		if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
			// The error of url.Parse repeats the URL and with it the password.
			return nil, domain.Errorf(domain.Invalid, "DATABASE_URL is not of the form postgres://user:password@host:port/database")
		}
		return &Cluster{url: u, log: o.Log}, nil
	}
	if o.Dir == "" {
		o.Dir = ".datum"
	}
	if o.Idle <= 0 {
		o.Idle = time.Minute
	}
	s, err := openServer(o)
	if err != nil {
		return nil, err
	}
	unlock, err := lockFile(ctx, filepath.Join(s.dir, "start.lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := s.load(); err != nil {
		return nil, err
	}
	l, err := s.ensure(ctx)
	if err != nil {
		return nil, err
	}
	c := &Cluster{url: s.state.url(Database), state: s.state, lease: l, log: o.Log}
	if err := c.createDatabase(ctx); err != nil {
		l.close()
		return nil, err
	}
	return c, nil
}

// URL returns the connection URL of a database; "" is the main one, which exists. The URL holds a password.
func (c *Cluster) URL(database string) string {
	if database == "" {
		return c.url.String()
	}
	u := *c.url
	u.Path = "/" + database
	return u.String()
}

// External reports whether the server was given by the user.
func (c *Cluster) External() bool { return c.lease == nil }

// Stop gives the server up and stops it if this was its last user. A user-given server is left alone. A second call
// does nothing.
func (c *Cluster) Stop() (err error) {
	defer domain.Wrap(&err, "pgdev.Stop")
	if c.lease == nil {
		return nil
	}
	last, err := c.lease.release()
	if err != nil || !last {
		return err
	}
	// The exclusive lock is held from here on, so nobody adopts the server while it goes down.
	defer c.lease.close()
	return stopServer(c.state.data(), c.log)
}

// createDatabase makes the main database if it is missing.
func (c *Cluster) createDatabase(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, c.URL("postgres"))
	if err != nil {
		return domain.Errorf(domain.Unavailable, "the private Postgres does not take connections: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var exists bool
	if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, Database).Scan(&exists); err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, `CREATE DATABASE `+Database)
	var pe *pgconn.PgError
	if errors.As(err, &pe) && pe.Code == "42P04" { // made meanwhile
		return nil
	}
	return err
}

// fileError is an error about the directory, with what to do about it.
func fileError(path string, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return domain.Errorf(domain.Forbidden, "%s belongs to another user; run as that user, or set DATUM_DIR to a directory of your own: %w", path, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}
