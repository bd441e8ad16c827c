package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Mode is what Datum may do with a system.
type Mode string

// Modes of a system.
const (
	ModeOff     Mode = "off"     // webhooks are stored, nothing is called
	ModeObserve Mode = "observe" // read only
	ModeDryRun  Mode = "dry_run" // writes are recorded and not sent
	ModeLive    Mode = "live"
)

// Modes are all modes, from the least to the most that Datum may do.
var Modes = []Mode{ModeOff, ModeObserve, ModeDryRun, ModeLive}

// System is one connected vendor account.
type System struct {
	Name     string
	Adapter  string
	Mode     Mode
	Settings map[string]string
	// LockedUntil is the last day of the part of its books that is locked, as it was read last; "" is none.
	LockedUntil string
}

// Systems returns all systems by name.
func Systems(ctx context.Context, db DB) ([]System, error) {
	rows, err := db.Query(ctx, `-- name: Systems
		SELECT name, adapter, mode, settings, locked_until FROM systems ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("store.Systems: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[System])
}

// SystemByName returns one system, NotFound if there is none.
func SystemByName(ctx context.Context, db DB, name string) (System, error) {
	rows, err := db.Query(ctx, `-- name: SystemByName
		SELECT name, adapter, mode, settings, locked_until FROM systems WHERE name = $1`, name)
	if err != nil {
		return System{}, fmt.Errorf("store.SystemByName: %w", err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[System])
	if errors.Is(err, pgx.ErrNoRows) {
		return System{}, domain.Errorf(domain.NotFound, "there is no system %q; `datum policy show` lists the systems", name)
	}
	return s, err
}

// EnsureSystem adds the system if it is new and follows a change of its adapter; mode and settings stay.
func EnsureSystem(ctx context.Context, db DB, name, adapter string, mode Mode) error {
	_, err := db.Exec(ctx, `-- name: EnsureSystem
		INSERT INTO systems (name, adapter, mode) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET adapter = excluded.adapter, updated_at = now()
		WHERE systems.adapter <> excluded.adapter`, name, adapter, mode)
	if err != nil {
		return fmt.Errorf("store.EnsureSystem: %w", err)
	}
	return nil
}

// SetSettings replaces the account settings of a system.
func SetSettings(ctx context.Context, db DB, name string, settings map[string]string) error {
	_, err := db.Exec(ctx, `-- name: SetSettings
		UPDATE systems SET settings = $2, updated_at = now() WHERE name = $1`, name, settings)
	if err != nil {
		return fmt.Errorf("store.SetSettings: %w", err)
	}
	return nil
}

// SetLockedUntil stores the last locked day of a system's books.
func SetLockedUntil(ctx context.Context, db DB, name, day string) error {
	_, err := db.Exec(ctx, `-- name: SetLockedUntil
		UPDATE systems SET locked_until = $2 WHERE name = $1`, name, day)
	if err != nil {
		return fmt.Errorf("store.SetLockedUntil: %w", err)
	}
	return nil
}

// TakeLockReading reports whether a system's lock date is to be read now, which one process is told.
func TakeLockReading(ctx context.Context, db DB, name string, every time.Duration) (bool, error) {
	tag, err := db.Exec(ctx, `-- name: TakeLockReading
		UPDATE systems SET lock_due_at = now() + $2::interval WHERE name = $1 AND lock_due_at <= now()`, name, every)
	if err != nil {
		return false, fmt.Errorf("store.TakeLockReading: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}

// HurryLockReading has a system's lock date read anew within the time given.
func HurryLockReading(ctx context.Context, db DB, name string, within time.Duration) error {
	if _, err := db.Exec(ctx, `-- name: HurryLockReading
		UPDATE systems SET lock_due_at = now() + $2::interval WHERE name = $1 AND lock_due_at > now() + $2::interval`, name, within); err != nil {
		return fmt.Errorf("store.HurryLockReading: %w", err)
	}
	return nil
}

// Cursor is where one reading of a system stands.
type Cursor struct {
	Cursor   string
	Seq      int64
	Ready    bool // a complete first pass has been made
	PassSeen int64
}

// CursorFor returns the cursor, the zero one if the reading has not begun. With lock, the row is created and locked until
// the transaction ends, so that one process at a time moves it.
func CursorFor(ctx context.Context, db DB, system string, kind domain.Kind, name string, lock bool) (Cursor, error) {
	sql := `-- name: CursorFor
		SELECT cursor, seq, ready, pass_seen FROM cursors WHERE system = $1 AND kind = $2 AND name = $3`
	if lock {
		if _, err := db.Exec(ctx, `INSERT INTO cursors (system, kind, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, system, kind, name); err != nil {
			return Cursor{}, fmt.Errorf("store.CursorFor: %w", err)
		}
		sql += ` FOR UPDATE`
	}
	rows, err := db.Query(ctx, sql, system, kind, name)
	if err != nil {
		return Cursor{}, fmt.Errorf("store.CursorFor: %w", err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Cursor])
	if errors.Is(err, pgx.ErrNoRows) {
		return Cursor{}, nil
	}
	return c, err
}

// SetCursor stores where a reading stands. finished marks the end of a complete pass.
func SetCursor(ctx context.Context, db DB, system string, kind domain.Kind, name string, c Cursor, finished bool) error {
	_, err := db.Exec(ctx, `-- name: SetCursor
		INSERT INTO cursors (system, kind, name, cursor, seq, ready, pass_seen, finished_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $8 THEN now() END)
		ON CONFLICT (system, kind, name) DO UPDATE SET cursor = excluded.cursor, seq = excluded.seq,
			ready = cursors.ready OR excluded.ready, ready_at = CASE WHEN excluded.ready THEN coalesce(cursors.ready_at, now()) ELSE cursors.ready_at END, pass_seen = excluded.pass_seen,
			finished_at = coalesce(excluded.finished_at, cursors.finished_at), updated_at = now(),
			passed_at = CASE WHEN $8 THEN cursors.began_at ELSE cursors.passed_at END`,
		system, kind, name, c.Cursor, c.Seq, c.Ready, c.PassSeen, finished)
	if err != nil {
		return fmt.Errorf("store.SetCursor: %w", err)
	}
	return nil
}

// ReadySystems returns the systems whose first complete pass over the kind has been made.
func ReadySystems(ctx context.Context, db DB, kind domain.Kind) (map[string]bool, error) {
	rows, err := db.Query(ctx, `-- name: ReadySystems
		SELECT DISTINCT system FROM cursors WHERE kind = $1 AND ready ORDER BY system`, kind)
	if err != nil {
		return nil, fmt.Errorf("store.ReadySystems: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	ready := map[string]bool{}
	for _, n := range names {
		ready[n] = true
	}
	return ready, err
}

// BeginPass notes the start of a complete listing, by the database's clock.
func BeginPass(ctx context.Context, db DB, system string, kind domain.Kind) error {
	_, err := db.Exec(ctx, `-- name: BeginPass
		INSERT INTO cursors (system, kind, name, pass_started) VALUES ($1, $2, 'sweep', clock_timestamp())
		ON CONFLICT (system, kind, name) DO UPDATE SET pass_started = clock_timestamp(), pass_seen = 0`, system, kind)
	if err != nil {
		return fmt.Errorf("store.BeginPass: %w", err)
	}
	return nil
}

// UnseenRecords returns up to limit live records that were known before the pass began and that it did not show, and how
// many live records there are.
func UnseenRecords(ctx context.Context, db DB, s *Sweep, limit int) (missing []string, live int64, err error) {
	err = db.QueryRow(ctx, `-- name: UnseenRecords
		SELECT coalesce((SELECT array_agg(external_id ORDER BY external_id) FROM (SELECT r.external_id FROM records r
				WHERE r.system = $1 AND r.kind = $2 AND NOT r.deleted AND r.seen_at < $3
					AND NOT EXISTS (SELECT 1 FROM sweep_items i WHERE i.sweep = $4 AND i.external_id = r.external_id) LIMIT $5) m), '{}'),
			(SELECT count(*) FROM records WHERE system = $1 AND kind = $2 AND NOT deleted)`, s.System, s.Kind, s.StartedAt, s.ID, limit).Scan(&missing, &live)
	if err != nil {
		return nil, 0, fmt.Errorf("store.UnseenRecords: %w", err)
	}
	return missing, live, nil
}

// DueReading says which readings of a system and kind are due.
type DueReading struct {
	Pull, Sweep bool
	Ready       bool // the first pass is done and everything it brought is applied, but this is not noted yet
	IsReady     bool // it is noted
}

// DueReadings compares the cursors with the intervals.
func DueReadings(ctx context.Context, db DB, system string, kind domain.Kind, poll, sweep time.Duration) (DueReading, error) {
	var d DueReading
	err := db.QueryRow(ctx, `-- name: DueReadings
		SELECT coalesce(bool_or(c.finished_at > now() - $3::interval), false) = false,
			coalesce(bool_or(c.ready), false) AND NOT EXISTS (SELECT 1 FROM cursors s WHERE s.system = $1 AND s.kind = $2 AND s.name = 'sweep'
				AND s.finished_at > now() - $4::interval) AND coalesce(bool_or(c.ready_at < now() - $4::interval), false),
			coalesce(bool_or(c.finished_at IS NOT NULL AND NOT c.ready AND NOT EXISTS (SELECT 1 FROM signals g
				WHERE g.system = $1 AND g.status = 'pending' AND g.received_at <= c.finished_at)), false),
			coalesce(bool_or(c.ready), false)
		FROM cursors c WHERE c.system = $1 AND c.kind = $2 AND c.name = 'changes'`, system, kind, poll, sweep).Scan(&d.Pull, &d.Sweep, &d.Ready, &d.IsReady)
	if err != nil {
		return d, fmt.Errorf("store.DueReadings: %w", err)
	}
	return d, nil
}

// TakeTurn takes the next turn at reading from the system, after which there is none for d. If it is not yet time, it
// returns how long to wait.
func TakeTurn(ctx context.Context, db DB, system string, d time.Duration) (later time.Duration, err error) {
	var seconds float64
	err = db.QueryRow(ctx, `-- name: TakeTurn
		WITH taken AS (UPDATE systems SET next_turn = clock_timestamp() + $2::interval WHERE name = $1 AND next_turn <= clock_timestamp() RETURNING 1)
		SELECT CASE WHEN EXISTS (SELECT 1 FROM taken) THEN 0 ELSE greatest(extract(epoch FROM next_turn - clock_timestamp()), 0.01) END::float8
		FROM systems WHERE name = $1`, system, d).Scan(&seconds)
	if err != nil {
		return 0, fmt.Errorf("store.TakeTurn: %w", err)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}
