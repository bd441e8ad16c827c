package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datum/domain"
)

// Direction is which way work goes.
type Direction string

// Directions.
const (
	In  Direction = "in"  // read from the system
	Out Direction = "out" // written to it
)

// Pause is what a person holds back of a system: one kind or all (""), in one direction.
type Pause struct {
	ID            string
	System        string
	Kind          domain.Kind
	Direction     Direction
	Actor         string
	Reason        string
	Since         time.Time
	Until         *time.Time // ends by itself then
	EndedAt       *time.Time
	EndedBy       string
	CorrelationID string
}

const pauseColumns = `id, system, kind, direction, actor, reason, since, until, ended_at, ended_by, correlation_id`

// paused is the condition under which the kind of a row is paused in a direction. The row is of the table named.
func paused(table string, d Direction) string {
	return fmt.Sprintf(`EXISTS (SELECT 1 FROM pauses z WHERE z.system = %[1]s.system AND z.kind IN ('', %[1]s.kind) AND z.direction = '%[2]s'
		AND z.ended_at IS NULL AND (z.until IS NULL OR z.until > clock_timestamp()))`, table, d)
}

// Gate is whether a system may be written to at this moment.
type Gate struct {
	Mode   Mode
	Closed bool // the kind is paused, or the mode is being changed
}

// Writes reports whether projections may be worked off: sent, or recorded.
func (g Gate) Writes() bool { return !g.Closed && (g.Mode == ModeLive || g.Mode == ModeDryRun) }

// GateOf reads the gate of a system and kind.
func GateOf(ctx context.Context, db DB, system string, kind domain.Kind) (g Gate, err error) {
	err = db.QueryRow(ctx, `-- name: GateOf
		SELECT s.mode, s.switching_until > clock_timestamp() OR `+paused("p", Out)+`
		FROM systems s, (SELECT $1::text AS system, $2::text AS kind) p WHERE s.name = $1`, system, kind).Scan(&g.Mode, &g.Closed)
	if err != nil {
		return g, fmt.Errorf("store.GateOf: %w", err)
	}
	return g, nil
}

// PausedIn reports whether reading the kind from the system is paused.
func PausedIn(ctx context.Context, db DB, system string, kind domain.Kind) (is bool, err error) {
	err = db.QueryRow(ctx, `-- name: PausedIn
		SELECT `+paused("p", In)+` FROM (SELECT $1::text AS system, $2::text AS kind) p`, system, kind).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("store.PausedIn: %w", err)
	}
	return is, nil
}

// InsertPause stores a pause. Writes that have begun end first or are seen by whoever begins them: the system's row is locked
// until the transaction ends. Conflict if the same is paused already.
func InsertPause(ctx context.Context, tx pgx.Tx, p Pause) error {
	if _, err := tx.Exec(ctx, `-- name: lockSystem
		SELECT 1 FROM systems WHERE name = $1 FOR NO KEY UPDATE`, p.System); err != nil {
		return fmt.Errorf("store.InsertPause: %w", err)
	}
	if _, err := tx.Exec(ctx, `-- name: endExpired
		UPDATE pauses SET ended_at = until, ended_by = 'datum' WHERE system = $1 AND ended_at IS NULL AND until <= clock_timestamp()`, p.System); err != nil {
		return fmt.Errorf("store.InsertPause: %w", err)
	}
	_, err := tx.Exec(ctx, `-- name: InsertPause
		INSERT INTO pauses (id, system, kind, direction, actor, reason, until, correlation_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		p.ID, p.System, p.Kind, p.Direction, p.Actor, p.Reason, p.Until, p.CorrelationID)
	if pe, ok := errors.AsType[*pgconn.PgError](err); ok && pe.Code == "23505" {
		return domain.Errorf(domain.Conflict, "%s of %s is paused already; resume it first to give another reason or end", p.what(), p.System)
	}
	if err != nil {
		return fmt.Errorf("store.InsertPause: %w", err)
	}
	return nil
}

func (p Pause) what() string {
	what := "reading"
	if p.Direction == Out {
		what = "writing"
	}
	if p.Kind != "" {
		what += " " + string(p.Kind)
	}
	return what
}

// EndPauses ends the pauses of a system that are in force, of one kind or all (""), in one direction or both (""), and returns them.
func EndPauses(ctx context.Context, db DB, system string, kind domain.Kind, d Direction, actor string) ([]Pause, error) {
	rows, err := db.Query(ctx, `-- name: EndPauses
		UPDATE pauses SET ended_at = clock_timestamp(), ended_by = $4 WHERE system = $1 AND ended_at IS NULL AND ($2 = '' OR kind = $2) AND ($3 = '' OR direction = $3)
		RETURNING `+pauseColumns, system, kind, d, actor)
	if err != nil {
		return nil, fmt.Errorf("store.EndPauses: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Pause])
}

// PauseExpired reports whether the time of a pause has come.
func PauseExpired(ctx context.Context, db DB) (due bool, err error) {
	err = db.QueryRow(ctx, `-- name: PauseExpired
		SELECT EXISTS (SELECT 1 FROM pauses WHERE ended_at IS NULL AND until <= clock_timestamp())`).Scan(&due)
	if err != nil {
		return false, fmt.Errorf("store.PauseExpired: %w", err)
	}
	return due, nil
}

// EndExpiredPauses ends the pauses whose time has come and returns them.
func EndExpiredPauses(ctx context.Context, db DB) ([]Pause, error) {
	rows, err := db.Query(ctx, `-- name: EndExpiredPauses
		UPDATE pauses SET ended_at = until, ended_by = 'datum' WHERE ended_at IS NULL AND until <= clock_timestamp() RETURNING `+pauseColumns)
	if err != nil {
		return nil, fmt.Errorf("store.EndExpiredPauses: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Pause])
}

// Pauses returns the pauses in force, by system and time.
func Pauses(ctx context.Context, db DB) ([]Pause, error) {
	rows, err := db.Query(ctx, `-- name: Pauses
		SELECT `+pauseColumns+` FROM pauses WHERE ended_at IS NULL AND (until IS NULL OR until > clock_timestamp()) ORDER BY system, since, id`)
	if err != nil {
		return nil, fmt.Errorf("store.Pauses: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Pause])
}

// PauseHistory returns up to limit pauses of a system, newest first, ended ones too.
func PauseHistory(ctx context.Context, db DB, system string, limit int) ([]Pause, error) {
	rows, err := db.Query(ctx, `-- name: PauseHistory
		SELECT `+pauseColumns+` FROM pauses WHERE system = $1 ORDER BY since DESC, id DESC LIMIT $2`, system, limit)
	if err != nil {
		return nil, fmt.Errorf("store.PauseHistory: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Pause])
}

// PausedWork is what waits because of a pause.
type PausedWork struct {
	System    string
	Kind      domain.Kind
	Direction Direction
	Waiting   int64
	Oldest    *time.Time
}

// CountPaused counts what waits because of a pause: signals coming in, projections going out.
func CountPaused(ctx context.Context, db DB) ([]PausedWork, error) {
	rows, err := db.Query(ctx, `-- name: CountPaused
		SELECT system, kind, 'in' AS direction, count(*) AS waiting, min(received_at) AS oldest FROM signals s
		WHERE status = 'pending' AND `+paused("s", In)+` GROUP BY system, kind
		UNION ALL
		SELECT system, kind, 'out', count(*), min(pending_since) FROM projections p WHERE status = 'pending' AND `+paused("p", Out)+` GROUP BY system, kind
		ORDER BY system, kind, direction`)
	if err != nil {
		return nil, fmt.Errorf("store.CountPaused: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[PausedWork])
}
