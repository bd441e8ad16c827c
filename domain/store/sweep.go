package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"datum/domain"
)

// Sweep is one complete comparison of a system and kind with Datum, and its report. Times are the database's.
type Sweep struct {
	ID            string
	System        string
	Kind          domain.Kind
	CorrelationID string
	StartedAt     time.Time
	ListedAt      *time.Time // the listing has come to its end
	FinishedAt    *time.Time // the report is final
	Complete      bool       // the listing provably held every object
	Why           string     // it was not, and why
	SweepReport
}

// SweepReport is what a comparison found. Theirs is the listing; ours is what Datum wants the system to hold: the records,
// with the values that are still to be written, and what is still to be made there. Hashes are domain.Totals.
type SweepReport struct {
	TheirsCount int64
	TheirsHash  string
	OursCount   int64
	OursHash    string
	Differ      int64 // on both sides and not equal at the end
	OnlyTheirs  int64
	OnlyOurs    int64
	Repaired    int64 // differed from what was stored and were taken in
	Unknown     int64 // were not stored at all
	Missing     int64 // were stored and not listed
	Tombstoned  int64 // of those: gone, on the vendor's own word for each
	LeftOut     int64 // of those: there when they were asked for
	Moved       int64 // changed while the pass ran: the later word counts
	Money       []SweepMoney
}

// Level reports whether both sides hold the same.
func (r SweepReport) Level() bool {
	return r.TheirsCount == r.OursCount && r.TheirsHash == r.OursHash
}

// SweepMoney is the sum of the documents of one month in one currency, on both sides. Amounts are decimals.
type SweepMoney struct {
	Month    string `json:"month"` // of the documents' own dates: "2026-07"
	Currency string `json:"currency"`
	Theirs   string `json:"theirs"`
	Ours     string `json:"ours"`
}

// Difference is theirs less ours.
func (m SweepMoney) Difference() decimal.Decimal {
	theirs, _ := decimal.NewFromString(m.Theirs)
	ours, _ := decimal.NewFromString(m.Ours)
	return theirs.Sub(ours)
}

const sweepColumns = `id, system, kind, correlation_id, started_at, listed_at, finished_at, complete, why, theirs_count, theirs_hash, ours_count, ours_hash,
	differ, only_theirs, only_ours, repaired, unknown, missing, tombstoned, left_out, moved, money`

// What a listing showed of one object, compared with what was stored.
const (
	ItemSame    = "same"
	ItemDiffers = "differs"
	ItemUnknown = "unknown"
	ItemGone    = "gone"    // listed as deleted or merged
	ItemMissing = "missing" // not listed
)

// SweepItem is one object of a listing.
type SweepItem struct {
	ExternalID string
	What       string
	Hash       string        // domain.Hash of its values
	Values     domain.Values // only where it is not the same, or refers to what is not linked yet
}

// BeginSweep opens the report of a new pass. One that was never finished ends as incomplete.
func BeginSweep(ctx context.Context, tx pgx.Tx, system string, kind domain.Kind) (Sweep, error) {
	_, err := tx.Exec(ctx, `-- name: BeginSweepEnd
		UPDATE sweeps SET finished_at = clock_timestamp(), complete = false, why = 'another pass was begun before this one had ended'
		WHERE system = $1 AND kind = $2 AND finished_at IS NULL`, system, kind)
	if err != nil {
		return Sweep{}, fmt.Errorf("store.BeginSweep: %w", err)
	}
	if _, err := tx.Exec(ctx, `-- name: BeginSweepClear
		DELETE FROM sweep_items WHERE sweep IN (SELECT id FROM sweeps WHERE system = $1 AND kind = $2)`, system, kind); err != nil {
		return Sweep{}, fmt.Errorf("store.BeginSweep: %w", err)
	}
	rows, err := tx.Query(ctx, `-- name: BeginSweep
		INSERT INTO sweeps (id, system, kind, correlation_id) VALUES ($1, $2, $3, $4) RETURNING `+sweepColumns, domain.NewID("swp"), system, kind, domain.NewID("cor"))
	if err != nil {
		return Sweep{}, fmt.Errorf("store.BeginSweep: %w", err)
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Sweep])
}

// RunningSweep returns the pass whose report is not final, nil if there is none.
func RunningSweep(ctx context.Context, db DB, system string, kind domain.Kind) (*Sweep, error) {
	rows, err := db.Query(ctx, `-- name: RunningSweep
		SELECT `+sweepColumns+` FROM sweeps WHERE system = $1 AND kind = $2 AND finished_at IS NULL`, system, kind)
	if err != nil {
		return nil, fmt.Errorf("store.RunningSweep: %w", err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[Sweep])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return s, err
}

// InsertSweepItems notes what a page showed; of an object that a listing shows twice the later look counts. Ids are distinct.
func InsertSweepItems(ctx context.Context, db DB, sweep string, items []SweepItem) error {
	n := len(items)
	ids, what, hash, values := make([]string, n), make([]string, n), make([]string, n), make([]domain.Values, n)
	for i, it := range items {
		ids[i], what[i], hash[i], values[i] = it.ExternalID, it.What, it.Hash, it.Values
	}
	_, err := db.Exec(ctx, `-- name: InsertSweepItems
		INSERT INTO sweep_items (sweep, external_id, what, hash, values) SELECT $1, * FROM unnest($2::text[], $3::text[], $4::text[], $5::jsonb[])
		ON CONFLICT (sweep, external_id) DO UPDATE SET hash = excluded.hash, values = excluded.values, listed_at = excluded.listed_at,
			what = CASE WHEN excluded.what = 'same' AND sweep_items.what <> 'gone' THEN sweep_items.what ELSE excluded.what END`,
		sweep, ids, what, hash, values)
	if err != nil {
		return fmt.Errorf("store.InsertSweepItems: %w", err)
	}
	return nil
}

// EndListing notes that the listing of a pass has ended; why says what kept it from being complete.
func EndListing(ctx context.Context, db DB, sweep, why string) error {
	_, err := db.Exec(ctx, `-- name: EndListing
		UPDATE sweeps SET listed_at = clock_timestamp(), complete = $2 = '', why = $2 WHERE id = $1`, sweep, why)
	if err != nil {
		return fmt.Errorf("store.EndListing: %w", err)
	}
	return nil
}

// ListedSweeps returns the passes whose listing has ended and whose signals have all been worked off, or have been tried for
// longer than patience.
func ListedSweeps(ctx context.Context, db DB, patience time.Duration) ([]string, error) {
	rows, err := db.Query(ctx, `-- name: ListedSweeps
		SELECT s.id FROM sweeps s WHERE s.finished_at IS NULL AND s.listed_at IS NOT NULL AND (s.listed_at < now() - $1::interval OR NOT EXISTS (
			SELECT 1 FROM signals g WHERE g.system = s.system AND g.status = 'pending' AND g.correlation_id = s.correlation_id)) ORDER BY s.id`, patience)
	if err != nil {
		return nil, fmt.Errorf("store.ListedSweeps: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// LockSweep returns a pass whose report is to be made, locked; nil if somebody else is at it or has done it.
func LockSweep(ctx context.Context, tx pgx.Tx, id string) (*Sweep, error) {
	rows, err := tx.Query(ctx, `-- name: LockSweep
		SELECT `+sweepColumns+` FROM sweeps WHERE id = $1 AND finished_at IS NULL FOR UPDATE SKIP LOCKED`, id)
	if err != nil {
		return nil, fmt.Errorf("store.LockSweep: %w", err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[Sweep])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return s, err
}

// Compared is one object as a listing showed it, beside what is stored of it now and what is still to be written to it.
type Compared struct {
	ExternalID string
	What       string // "" if it was stored only after the pass
	Hash       string
	Listed     domain.Values // as SweepItem.Values
	Live       bool          // stored, and neither deleted nor merged
	Values     domain.Values // stored
	Pending    domain.Values // still to be written
	Later      bool          // stored anew since it was listed, or first seen since the pass began
}

// CompareSweep goes through all that either side holds, in no particular order.
func CompareSweep(ctx context.Context, db DB, s *Sweep, each func(Compared) error) error {
	rows, err := db.Query(ctx, `-- name: CompareSweep
		SELECT coalesce(i.external_id, r.external_id), coalesce(i.what, ''), coalesce(i.hash, ''), i.values, r.external_id IS NOT NULL AND NOT r.deleted AND r.merged_into = '',
			r.values, p.diff, coalesce(CASE WHEN i.external_id IS NULL THEN r.first_seen_at > $4 ELSE r.updated_at > i.listed_at END, false)
		FROM (SELECT * FROM sweep_items WHERE sweep = $1) i
		FULL JOIN (SELECT * FROM records WHERE system = $2 AND kind = $3) r ON r.external_id = i.external_id
		LEFT JOIN projections p ON p.entity_id = r.entity_id AND p.system = $2 AND p.external_id = r.external_id AND p.status IN ('pending', 'refused', 'parked')`,
		s.ID, s.System, s.Kind, s.StartedAt)
	if err != nil {
		return fmt.Errorf("store.CompareSweep: %w", err)
	}
	var c Compared
	_, err = pgx.ForEachRow(rows, []any{&c.ExternalID, &c.What, &c.Hash, &c.Listed, &c.Live, &c.Values, &c.Pending, &c.Later}, func() error {
		err := each(c)
		c = Compared{}
		return err
	})
	if err != nil {
		return fmt.Errorf("store.CompareSweep: %w", err)
	}
	return nil
}

// StillToMake returns the values of what is to be made in a system and is not there yet.
func StillToMake(ctx context.Context, db DB, system string, kind domain.Kind) ([]domain.Values, error) {
	rows, err := db.Query(ctx, `-- name: StillToMake
		SELECT diff FROM projections WHERE system = $1 AND kind = $2 AND external_id = '' AND status IN ('pending', 'refused', 'parked') ORDER BY entity_id`, system, kind)
	if err != nil {
		return nil, fmt.Errorf("store.StillToMake: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[domain.Values])
}

// FinishSweep makes the report final and lets go of what was listed.
func FinishSweep(ctx context.Context, tx pgx.Tx, s *Sweep) error {
	_, err := tx.Exec(ctx, `-- name: FinishSweep
		UPDATE sweeps SET finished_at = clock_timestamp(), complete = $2, why = $3, theirs_count = $4, theirs_hash = $5, ours_count = $6, ours_hash = $7,
			differ = $8, only_theirs = $9, only_ours = $10, repaired = $11, unknown = $12, missing = $13, tombstoned = $14, left_out = $15, moved = $16, money = $17
		WHERE id = $1`, s.ID, s.Complete, s.Why, s.TheirsCount, s.TheirsHash, s.OursCount, s.OursHash, s.Differ, s.OnlyTheirs, s.OnlyOurs, s.Repaired,
		s.Unknown, s.Missing, s.Tombstoned, s.LeftOut, s.Moved, orEmpty(s.Money))
	if err != nil {
		return fmt.Errorf("store.FinishSweep: %w", err)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM sweep_items WHERE sweep = $1`, s.ID); err != nil {
		return fmt.Errorf("store.FinishSweep: %w", err)
	}
	return nil
}

// SweepByID returns one pass, NotFound if there is none.
func SweepByID(ctx context.Context, db DB, id string) (Sweep, error) {
	rows, err := db.Query(ctx, `-- name: SweepByID
		SELECT `+sweepColumns+` FROM sweeps WHERE id = $1`, id)
	if err != nil {
		return Sweep{}, fmt.Errorf("store.SweepByID: %w", err)
	}
	s, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Sweep])
	if errors.Is(err, pgx.ErrNoRows) {
		return s, domain.Errorf(domain.NotFound, "there is no sweep %s; `datum sweep list` names them", id)
	}
	return s, err
}

// ListSweeps returns passes, newest first, before the last one of the page before. An empty system or kind does not narrow.
func ListSweeps(ctx context.Context, db DB, system string, kind domain.Kind, beforeAt *time.Time, beforeID string, limit int) ([]Sweep, error) {
	rows, err := db.Query(ctx, `-- name: ListSweeps
		SELECT `+sweepColumns+` FROM sweeps WHERE ($1 = '' OR system = $1) AND ($2 = '' OR kind = $2) AND ($3::timestamptz IS NULL OR (started_at, id) < ($3, $4))
		ORDER BY started_at DESC, id DESC LIMIT $5`, system, kind, beforeAt, beforeID, limit)
	if err != nil {
		return nil, fmt.Errorf("store.ListSweeps: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Sweep])
}

// PruneSweeps deletes reports older than the age, but for the last complete one of each system and kind.
func PruneSweeps(ctx context.Context, db DB, age time.Duration) (int64, error) {
	tag, err := db.Exec(ctx, `-- name: PruneSweeps
		DELETE FROM sweeps s WHERE finished_at < now() - $1::interval AND EXISTS (SELECT 1 FROM sweeps l
			WHERE l.system = s.system AND l.kind = s.kind AND l.complete AND l.finished_at IS NOT NULL AND l.started_at > s.started_at)`, age)
	if err != nil {
		return 0, fmt.Errorf("store.PruneSweeps: %w", err)
	}
	return tag.RowsAffected(), nil
}

// Convergence says how far one system is level with Datum in one kind.
type Convergence struct {
	System string
	Kind   domain.Kind
	Wanted int64 // entities that the system is to hold, or holds
	Level  int64 // of those, whose record equals what is wanted
	// AsOf is the beginning of the last complete pass: what changed in the system before it is known. Nil if there was none.
	AsOf *time.Time
	// Sweep is that pass, "" if there was none.
	Sweep string
}

// Open returns how many differences there are.
func (c Convergence) Open() int64 { return c.Wanted - c.Level }

// Share returns the level part, from 0 to 1; of nothing it is 1.
func (c Convergence) Share() float64 {
	if c.Wanted == 0 {
		return 1
	}
	return float64(c.Level) / float64(c.Wanted)
}

// Convergences returns how far each system is level, by system and kind: those that are read, or hold anything.
func Convergences(ctx context.Context, db DB) ([]Convergence, error) {
	rows, err := db.Query(ctx, `-- name: Convergences
		WITH of AS (SELECT system, kind FROM cursors WHERE kind <> '' AND name = 'changes' UNION SELECT system, kind FROM projections GROUP BY system, kind),
		p AS (SELECT system, kind, count(*) AS wanted, count(*) FILTER (WHERE status = 'confirmed') AS level FROM projections
			WHERE status <> 'detached' GROUP BY system, kind)
		SELECT of.system, of.kind, coalesce(p.wanted, 0) AS wanted, coalesce(p.level, 0) AS level, s.started_at AS as_of, coalesce(s.id, '') AS sweep
		FROM of LEFT JOIN p ON p.system = of.system AND p.kind = of.kind
		LEFT JOIN LATERAL (SELECT id, started_at FROM sweeps w WHERE w.system = of.system AND w.kind = of.kind AND w.complete AND w.finished_at IS NOT NULL
			ORDER BY started_at DESC LIMIT 1) s ON true
		ORDER BY of.system, of.kind`)
	if err != nil {
		return nil, fmt.Errorf("store.Convergences: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Convergence])
}
