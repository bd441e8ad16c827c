package demo

import (
	"context"
	"fmt"
	"net/url"
	"os"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/internal/pgdev"
)

// Database makes a fresh database for one demo beside the real one, and drops it when the demo is over. Those of demos
// that were killed are dropped by the next one.
func Database(ctx context.Context, c *pgdev.Cluster) (dbURL string, drop func(), err error) {
	conn, err := pgx.Connect(ctx, c.URL(""))
	if err != nil {
		return "", nil, fmt.Errorf("database for the demo: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	rows, err := conn.Query(ctx, `SELECT datname FROM pg_database d WHERE datname LIKE 'datum\_demo\_%'
		AND NOT EXISTS (SELECT 1 FROM pg_stat_activity a WHERE a.datname = d.datname) ORDER BY datname`)
	if err != nil {
		return "", nil, fmt.Errorf("database for the demo: %w", err)
	}
	stale, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return "", nil, fmt.Errorf("database for the demo: %w", err)
	}
	for _, name := range stale {
		_, _ = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()) // another demo may just be starting
	}
	name := fmt.Sprintf("datum_demo_%d", os.Getpid())
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", nil, domain.Errorf(domain.Forbidden, "the demo needs a database of its own and may not create one: %w", err)
	}
	u, err := url.Parse(c.URL(""))
	if err != nil {
		return "", nil, domain.Errorf(domain.Invalid, "DATABASE_URL must be a postgres:// URL")
	}
	u.Path = "/" + name
	return u.String(), func() {
		ctx := context.WithoutCancel(ctx)
		conn, err := pgx.Connect(ctx, c.URL(""))
		if err != nil {
			return
		}
		defer conn.Close(ctx)
		_, _ = conn.Exec(ctx, "DROP DATABASE IF EXISTS "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
	}, nil
}
