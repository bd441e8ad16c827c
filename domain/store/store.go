// Package store is all of Datum's SQL, one file per aggregate. Functions take the transaction or pool as an argument and
// hold no state. It knows nothing of vendors, policy or River.
package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DB is a pool, a connection or a transaction.
type DB interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// ErrAgain asks Transact to run the transaction again: what it had read before it could lock it has changed.
var ErrAgain = errors.New("changed by somebody else meanwhile")

// Transact runs f in one READ COMMITTED transaction and repeats it when Postgres reports a serialisation failure or a
// deadlock, or f asks for it with ErrAgain, at most 5 times; and when a connection of the pool turns out to be closed, as all are
// after a restart of Postgres, before anything was sent over it. f must not keep state between runs.
func Transact(ctx context.Context, pool *pgxpool.Pool, f func(tx pgx.Tx) error) error {
	var err error
	for tries, closed := 0, int32(0); tries < 5; {
		err = pgx.BeginFunc(ctx, pool, f)
		var pe *pgconn.PgError
		switch {
		case err == nil:
			return nil
		case pgconn.SafeToRetry(err) && ctx.Err() == nil && closed <= pool.Stat().MaxConns():
			closed++
		case errors.Is(err, ErrAgain) || errors.As(err, &pe) && (pe.Code == "40001" || pe.Code == "40P01"):
			tries++
		default:
			return err
		}
	}
	return fmt.Errorf("gave up after 5 tries: %w", err)
}

// queueRow adds a row to the batch's one statement with this SQL, whose arguments are arrays, a column in each: many rows in one
// statement cost Postgres and us much less than a statement for each. Values are string, *string or int64.
func queueRow(b *pgx.Batch, sql string, row ...any) {
	i := slices.IndexFunc(b.QueuedQueries, func(q *pgx.QueuedQuery) bool { return q.SQL == sql })
	if i < 0 {
		b.Queue(sql, make([]any, len(row))...)
		i = b.Len() - 1
	}
	columns := b.QueuedQueries[i].Arguments
	for c, v := range row {
		switch v := v.(type) {
		case string:
			columns[c] = appended(columns[c], v)
		case *string:
			columns[c] = appended(columns[c], v)
		case int64:
			columns[c] = appended(columns[c], v)
		default:
			panic(fmt.Sprintf("store.queueRow: a column of %T", v))
		}
	}
}

func appended[T any](column any, v T) []T {
	vs, _ := column.([]T)
	return append(vs, v)
}
