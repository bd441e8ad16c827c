package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Limit is one of a vendor's limits on calls to one system.
type Limit struct {
	Name  string
	Calls int           // most calls per Per; for Per 0, most calls at once
	Per   time.Duration // length of the rolling window, whole milliseconds
	Extra bool          // counts only the calls that name it
}

// Grant is the answer to a request for one call. Wait > 0 means not now: ask again after that long.
type Grant struct {
	System string
	Wait   time.Duration
	Lease  string          // to be given back; "" if the system has no limit on calls at once
	At     time.Time       // when it was granted, the database's clock
	Room   map[string]Room // of each rolling limit, after this call

	lane  string
	asked time.Time // by this process's clock
}

// Room is what is left of a rolling limit.
type Room struct {
	Calls     int `json:"calls"`
	Remaining int `json:"remaining"`
	MarginMS  int `json:"marginMs"` // how much longer than the window this call counts; a slower call is entered again
}

// Reading is what a vendor said about one of its limits.
type Reading struct {
	Name      string
	Remaining int
	Calls     int // the vendor's ceiling, 0 if it did not say
}

// SetLimits makes the system's limits these. What was granted so far still counts.
func SetLimits(ctx context.Context, db DB, system string, limits []Limit) (err error) {
	defer domain.Wrap(&err, "store.SetLimits")
	names := make([]string, len(limits))
	calls := make([]int, len(limits))
	pers := make([]int64, len(limits))
	extras := make([]bool, len(limits))
	for i, l := range limits {
		if l.Name == "" || l.Calls <= 0 || l.Per < 0 {
			return domain.Errorf(domain.Invalid, "limit %q of %s must allow at least one call per positive time", l.Name, system)
		}
		names[i], calls[i], pers[i], extras[i] = l.Name, l.Calls, l.Per.Milliseconds(), l.Extra
	}
	args := pgx.StrictNamedArgs{"system": system, "names": names, "calls": calls, "pers": pers, "extras": extras}
	_, err = db.Exec(ctx, `-- name: SetLimits
		WITH wanted AS (
			SELECT * FROM unnest(@names::text[], @calls::integer[], @pers::bigint[], @extras::boolean[]) AS w (name, calls, per_ms, extra)
		), removed AS (
			DELETE FROM budgets WHERE system = @system AND name <> ALL (@names::text[])
		)
		INSERT INTO budgets AS b (system, name, calls, per_ms, extra)
		SELECT @system, name, calls, per_ms, extra FROM wanted ORDER BY name
		ON CONFLICT (system, name) DO UPDATE SET calls = excluded.calls, per_ms = excluded.per_ms, extra = excluded.extra
		WHERE (b.calls, b.per_ms, b.extra) IS DISTINCT FROM (excluded.calls, excluded.per_ms, excluded.extra)`, args)
	return err
}

// Acquire asks for one call to the system in a lane ("live", "bulk" or "sweep"), counting against the common limits and
// the extra ones named. It is one statement, never waits for capacity, and is safe from any number of processes: at
// most Limit.Calls calls are granted in any stretch of Limit.Per and a margin. A system without limits is always
// granted. The lease ends by itself after lease, or when the process dies; process must have a heartbeat.
func Acquire(ctx context.Context, db DB, system, lane string, extra []string, process string, lease time.Duration) (g Grant, err error) {
	return acquire(ctx, db, system, lane, extra, process, lease, nil)
}

// acquire takes the time for tests; nil is the database's clock.
func acquire(ctx context.Context, db DB, system, lane string, extra []string, process string, lease time.Duration, at *time.Time) (g Grant, err error) {
	defer domain.Wrap(&err, "store.Acquire")
	if extra == nil {
		extra = []string{}
	}
	var ms int64
	g = Grant{System: system, lane: lane, asked: time.Now()}
	err = db.QueryRow(ctx, `-- name: Acquire
		SELECT wait_ms, lease, at, room
		FROM budget_acquire(@system, @lane, @extra, @process, @lease, @at)`,
		pgx.StrictNamedArgs{"system": system, "lane": lane, "extra": extra, "process": process, "lease": lease, "at": at},
	).Scan(&ms, &g.Lease, &g.At, &g.Room)
	g.Wait = time.Duration(ms) * time.Millisecond
	return g, err
}

// Done ends a granted call: it gives the lease back and enters what the vendor said. A vendor that has less left than
// we thought has been called by others: their calls count from then on. A call that took long counts from its end, since
// nobody knows when the vendor counted it. blocked are limits that the vendor wants left alone for blockedFor. It asks
// the database nothing when there is nothing to say.
func Done(ctx context.Context, db DB, g Grant, readings []Reading, blocked []string, blockedFor time.Duration) (err error) {
	return done(ctx, db, g, readings, blocked, blockedFor, nil)
}

func done(ctx context.Context, db DB, g Grant, readings []Reading, blocked []string, blockedFor time.Duration, now *time.Time) (err error) {
	defer domain.Wrap(&err, "store.Done")
	names, remaining, calls, slow := []string{}, []int{}, []int{}, []string{}
	took := time.Since(g.asked)
	if now != nil {
		took = now.Sub(g.At)
	}
	for name, r := range g.Room {
		if took > time.Duration(r.MarginMS)*time.Millisecond {
			slow = append(slow, name)
		}
	}
	for _, r := range readings {
		// Concurrent calls make the vendor's number fall below ours now and then; the statement tells those apart. A
		// number above ours matters only where a long window may have started afresh, never by a few.
		ours, ok := g.Room[r.Name]
		if ok && (r.Remaining < ours.Remaining || r.Remaining > ours.Remaining+10 || r.Calls > 0 && r.Calls < ours.Calls) {
			names, remaining, calls = append(names, r.Name), append(remaining, r.Remaining), append(calls, r.Calls)
		}
	}
	if blocked == nil {
		blocked = []string{}
	}
	if g.Lease == "" && len(slow) == 0 && len(names) == 0 && len(blocked) == 0 {
		return nil
	}
	_, err = db.Exec(ctx, `-- name: Done
		SELECT budget_done(@system, @lease, @lane, @at, @slow, @names, @remaining, @calls, @block, @block_ms, @now)`,
		pgx.StrictNamedArgs{"system": g.System, "lease": g.Lease, "lane": g.lane, "at": g.At, "slow": slow, "names": names, "remaining": remaining, "calls": calls,
			"block": blocked, "block_ms": blockedFor.Milliseconds(), "now": now})
	return err
}

// Budget is the state of one limit, for people and metrics.
type Budget struct {
	System       string     `db:"system"`
	Name         string     `db:"name"`
	Calls        int        `db:"calls"`
	PerMS        int64      `db:"per_ms"`
	Used         int64      `db:"used"` // in the window, or calls under way
	BlockedUntil *time.Time `db:"blocked_until"`
}

// Budgets returns the state of every limit of every system.
func Budgets(ctx context.Context, db DB) (bs []Budget, err error) {
	return BudgetsOf(ctx, db, "")
}

// BudgetsOf is Budgets for one system; "" is all.
func BudgetsOf(ctx context.Context, db DB, system string) (bs []Budget, err error) {
	defer domain.Wrap(&err, "store.BudgetsOf")
	rows, err := db.Query(ctx, `-- name: Budgets
		SELECT b.system, b.name, b.calls, b.per_ms,
			CASE WHEN b.per_ms > 0 THEN (budget_used(b, clock_timestamp())).total
			ELSE (SELECT count(*) FROM budget_leases l JOIN processes p ON p.id = l.process
				WHERE l.system = b.system AND l.name = b.name AND l.expires_at > clock_timestamp()
				AND p.heartbeat_at > clock_timestamp() - @timeout::interval) END AS used,
			CASE WHEN b.blocked_until > clock_timestamp() THEN b.blocked_until END AS blocked_until
		FROM budgets b WHERE @system = '' OR b.system = @system ORDER BY b.system, b.name`,
		pgx.StrictNamedArgs{"timeout": ProcessTimeout, "system": system})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Budget])
}
