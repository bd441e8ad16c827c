package pgdev

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Advisory lock keys in database postgres of a private server. Users share userKey; the watchdog and the last user
// take it exclusively before they stop the server.
const (
	userKey     = 0x646174756d01
	watchdogKey = 0x646174756d02
)

// watchdogSQL stops the server when userKey was free for %[1]d milliseconds. It runs on in its backend after the client
// has gone, ends with the server, and commits every round so that it holds no snapshot. A second copy ends at once.
const watchdogSQL = `DO $watchdog$
DECLARE
	free_since timestamptz;
BEGIN
	IF NOT pg_try_advisory_lock(%[2]d) THEN RETURN; END IF;
	LOOP
		IF NOT pg_try_advisory_lock(%[3]d) THEN
			free_since := NULL;
		ELSE
			free_since := coalesce(free_since, clock_timestamp());
			IF clock_timestamp() - free_since >= interval '1 millisecond' * %[1]d THEN
				EXECUTE format('COPY (SELECT 1) TO PROGRAM %%L', 'kill -INT ' || split_part(pg_read_file('postmaster.pid'), E'\n', 1));
				PERFORM pg_sleep(600);
			END IF;
			PERFORM pg_advisory_unlock(%[3]d);
		END IF;
		COMMIT;
		PERFORM pg_sleep(least(1, %[1]d / 4000.0));
		COMMIT;
	END LOOP;
END
$watchdog$`

// lease is one process's use of a server.
type lease struct {
	url  string
	idle time.Duration

	cancel context.CancelFunc // ends hold
	done   chan struct{}      // closed when hold has returned
	mu     sync.Mutex
	conn   *pgx.Conn // carries the shared lock; nil when released
}

// newLease takes the shared lock on conn and keeps it.
func newLease(ctx context.Context, conn *pgx.Conn, url string, idle time.Duration) (*lease, error) {
	if err := takeLease(ctx, conn, url, idle); err != nil {
		return nil, err
	}
	hold, cancel := context.WithCancel(context.Background())
	l := &lease{url: url, idle: idle, cancel: cancel, done: make(chan struct{}), conn: conn}
	go l.hold(hold)
	return l, nil
}

func takeLease(ctx context.Context, conn *pgx.Conn, url string, idle time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	// This waits while the server is being stopped, and then fails with the connection.
	if _, err := conn.Exec(ctx, `SELECT pg_advisory_lock_shared($1)`, int64(userKey)); err != nil {
		return err
	}
	return startWatchdog(ctx, url, idle)
}

func startWatchdog(ctx context.Context, url string, idle time.Duration) error {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return err
	}
	cfg.RuntimeParams["application_name"] = "datum watchdog"
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	sql := fmt.Sprintf(watchdogSQL, idle.Milliseconds(), int64(watchdogKey), int64(userKey))
	conn.PgConn().Exec(context.WithoutCancel(ctx), sql) // sent, and never answered
	return conn.PgConn().Conn().Close()
}

// hold keeps the lock: when Postgres restarts itself after the crash of a backend, every connection is lost.
func (l *lease) hold(ctx context.Context) {
	defer close(l.done)
	for {
		// Nobody notifies: this returns when ctx ends or the connection breaks.
		_, _ = l.conn.WaitForNotification(ctx)
		for ctx.Err() == nil && l.conn.IsClosed() {
			if conn, err := pgx.Connect(ctx, l.url); err == nil {
				if takeLease(ctx, conn, l.url, l.idle) == nil {
					l.conn = conn
					break
				}
				_ = conn.Close(ctx)
			}
			select {
			case <-ctx.Done():
			case <-time.After(200 * time.Millisecond):
			}
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// release gives the shared lock up and reports whether this was the last user, in which case the exclusive lock is held
// until close.
func (l *lease) release() (last bool, err error) {
	l.cancel()
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if l.conn.IsClosed() { // the server is gone, or its watchdog will stop it
		l.conn = nil
		return false, nil
	}
	err = l.conn.QueryRow(ctx, `WITH u AS MATERIALIZED (SELECT pg_advisory_unlock_shared($1) AS was) SELECT pg_try_advisory_lock($1) FROM u WHERE was`,
		int64(userKey)).Scan(&last)
	if err != nil || !last {
		_ = l.conn.Close(ctx)
		l.conn = nil
	}
	return last, err
}

func (l *lease) close() {
	l.cancel()
	<-l.done
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = l.conn.Close(ctx)
		l.conn = nil
	}
}
