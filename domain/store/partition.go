package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// partitioned are the tables that only grow, the column by which they are divided, and whose retention they have.
var partitioned = []struct{ table, key, retention string }{
	{"exchanges", "sent_at", "exchanges"}, {"exchange_links", "sent_at", "exchanges"}, {"feed", "at", "feed"}, {"history", "at", "history"},
}

// Kept is what KeepPartitions did.
type Kept struct {
	Made, Dropped []string
	Busy          []string // past their retention, and somebody was at them all the time
	Deleted       int64    // single rows, of what was there before there were partitions or fits none
}

// KeepPartitions makes the partitions of the time to come and drops those that are past their retention. Writers are never held
// up: a lock that is not free is not waited for for longer than 50 ms. It may run in several processes at once, and what it leaves
// undone it does the next time.
func KeepPartitions(ctx context.Context, pool *pgxpool.Pool, now time.Time, rs []Retention) (k Kept, err error) {
	days := map[string]int{}
	for _, r := range rs {
		days[r.Name] = r.Days
	}
	for _, t := range partitioned {
		if err := makeAhead(ctx, pool, t.table, now, days[t.retention], &k); err != nil {
			return k, fmt.Errorf("store.KeepPartitions: %w", err)
		}
		if days[t.retention] == 0 {
			continue
		}
		before := now.AddDate(0, 0, -days[t.retention])
		if err := dropPast(ctx, pool, t.table, t.key, before, &k); err != nil {
			return k, fmt.Errorf("store.KeepPartitions: %w", err)
		}
	}
	return k, nil
}

// period is the beginning of the partition that holds the time, and of the next: about a tenth of how long they are kept, so
// that there are never many, and nothing outstays its time by much.
func period(at time.Time, days int) (from, to time.Time) {
	at = at.UTC()
	y, m, d := at.Date()
	day := func(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 0, 0, 0, 0, time.UTC) }
	switch {
	case days == 0 || days > 1100:
		return day(y, 1, 1), day(y+1, 1, 1)
	case days > 100:
		return day(y, m, 1), day(y, m+1, 1)
	case days > 10:
		monday := d - (int(at.Weekday())+6)%7
		return day(y, m, monday), day(y, m, monday+7)
	default:
		return day(y, m, d), day(y, m, d+1)
	}
}

// makeAhead makes partitions up to two periods from now. Where the last one has ended meanwhile it begins with the next period:
// what has come since then is in the one for the rest, and stays there.
func makeAhead(ctx context.Context, pool *pgxpool.Pool, table string, now time.Time, days int, k *Kept) error {
	var last *time.Time
	if err := pool.QueryRow(ctx, `-- name: LastPartition
		SELECT max(to_at) FROM partitions WHERE parent = $1`, table).Scan(&last); err != nil {
		return err
	}
	this, next := period(now, days)
	from := next
	if last == nil {
		from = this
	} else if last.After(now) {
		from = last.UTC()
	}
	_, end := period(next, days)
	for from.Before(end) {
		_, to := period(from, days)
		name, err := makePartition(ctx, pool, table, from, to)
		if err != nil {
			return err
		}
		if name != "" {
			k.Made = append(k.Made, name)
		}
		from = to
	}
	return nil
}

// makePartition attaches a fresh table, which does not keep anybody from writing. The name is empty if another process has
// made it, or somebody was at the table for the rest; then the next run makes it.
func makePartition(ctx context.Context, pool *pgxpool.Pool, table string, from, to time.Time) (string, error) {
	name := table + "_p" + from.Format("20060102")
	id, parent := pgx.Identifier{name}.Sanitize(), pgx.Identifier{table}.Sanitize()
	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL lock_timeout = '200ms'`); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `-- name: NotePartition
			INSERT INTO partitions (name, parent, from_at, to_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING`, name, table, from, to)
		if err != nil || tag.RowsAffected() == 0 {
			name = ""
			return err
		}
		for _, sql := range []string{
			`CREATE TABLE ` + id + ` (LIKE ` + parent + ` INCLUDING DEFAULTS INCLUDING CONSTRAINTS)`,
			fmt.Sprintf(`ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM ('%s') TO ('%s')`, parent, id, from.Format(time.RFC3339), to.Format(time.RFC3339)),
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
	if isLocked(err) || pgCode(err) == "23514" { // the rest holds a row of that time
		return "", nil
	}
	return name, err
}

// dropPast drops the partitions that ended before the time, and deletes what is older in those that hold all sorts of times.
func dropPast(ctx context.Context, pool *pgxpool.Pool, table, key string, before time.Time, k *Kept) error {
	rows, err := pool.Query(ctx, `-- name: PastPartitions
		SELECT name FROM partitions WHERE parent = $1 AND to_at <= $2 ORDER BY to_at`, table, before)
	if err != nil {
		return err
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, name := range names {
		done, err := dropPartition(ctx, pool, table, name)
		if err != nil {
			return err
		}
		if done {
			k.Dropped = append(k.Dropped, name)
		} else {
			k.Busy = append(k.Busy, name)
		}
	}
	for _, suffix := range []string{"_old", "_rest"} {
		n, err := deletePast(ctx, pool, table, table+suffix, key, before)
		if err != nil {
			return err
		}
		k.Deleted += n
	}
	return nil
}

// dropPartition takes the table for itself and drops one partition. Who waits for such a lock keeps everybody behind him from
// writing, so it asks without waiting, some times, and at last waits for 50 ms.
func dropPartition(ctx context.Context, pool *pgxpool.Pool, table, name string) (bool, error) {
	const tries = 20
	parent, id := pgx.Identifier{table}.Sanitize(), pgx.Identifier{name}.Sanitize()
	for try := range tries {
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			lock := `LOCK TABLE ONLY ` + parent + ` IN ACCESS EXCLUSIVE MODE`
			if try < tries-1 {
				lock += ` NOWAIT`
			}
			for _, sql := range []string{`SET LOCAL lock_timeout = '50ms'`, lock} {
				if _, err := tx.Exec(ctx, sql); err != nil {
					return err
				}
			}
			if table == "feed" {
				if _, err := tx.Exec(ctx, floor(`SELECT tx, id FROM `+id)); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(ctx, `DROP TABLE `+id); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `-- name: ForgetPartition
				DELETE FROM partitions WHERE name = $1`, name)
			return err
		})
		if pgCode(err) == "42P01" { // dropped by another process
			return true, nil
		}
		if !isLocked(err) {
			return err == nil, err
		}
		t := time.NewTimer(25 * time.Millisecond)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return false, ctx.Err()
		}
	}
	return false, nil
}

// floor notes the last position that is about to be gone from the feed.
func floor(gone string) string {
	return `-- name: FeedFloor
		INSERT INTO feed_floor AS f (tx, id) SELECT tx, id FROM (` + gone + `) g ORDER BY tx DESC, id DESC LIMIT 1
		ON CONFLICT (one) DO UPDATE SET tx = excluded.tx, id = excluded.id WHERE (excluded.tx, excluded.id) > (f.tx, f.id)`
}

func deletePast(ctx context.Context, pool *pgxpool.Pool, table, name, key string, before time.Time) (n int64, err error) {
	var there bool
	if err := pool.QueryRow(ctx, `SELECT to_regclass($1) IS NOT NULL`, name).Scan(&there); err != nil || !there {
		return 0, err
	}
	id := pgx.Identifier{name}.Sanitize()
	some := `DELETE FROM ` + id + ` WHERE ` + key + ` <= (SELECT max(` + key + `) FROM (SELECT ` + key + ` FROM ` + id + ` WHERE ` + key + ` < $1 ORDER BY ` + key + ` LIMIT 1000) s)`
	for {
		var gone int64
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if table == "feed" {
				if _, err := tx.Exec(ctx, floor(`SELECT tx, id FROM `+id+` WHERE `+key+` < $1`), before); err != nil {
					return err
				}
			}
			tag, err := tx.Exec(ctx, some, before)
			gone = tag.RowsAffected()
			return err
		})
		n += gone
		if err != nil || gone < 1000 {
			return n, err
		}
	}
}

func pgCode(err error) string {
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pe.Code
	}
	return ""
}

// isLocked reports whether a statement has ended because a lock was not free, or for a deadlock over one.
func isLocked(err error) bool { return pgCode(err) == "55P03" || pgCode(err) == "40P01" }
