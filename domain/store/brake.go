package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Codes of projections that a brake has parked.
const (
	CodeHeld     = domain.Code("HELD")     // until it is known how much a new policy would write
	CodeBraked   = domain.Code("BRAKE")    // until a person has decided
	CodeRejected = domain.Code("REJECTED") // a person has decided against it; until something else changes
)

// Change is one value that something would change.
type Change struct {
	EntityID string       `json:"entity"`
	Name     string       `json:"name"`
	Field    domain.Field `json:"field"` // "" is the object itself: From and To say what becomes of it
	From     domain.Value `json:"from"`
	To       domain.Value `json:"to"`
}

// QueueBrakeLog notes that an entity changes in a way that the brake watches.
func QueueBrakeLog(b *pgx.Batch, system string, kind domain.Kind, way, entityID string) {
	b.Queue(`-- name: QueueBrakeLog
		INSERT INTO brake_log (system, kind, way, entity_id) VALUES ($1, $2, $3, $4)`, system, kind, way, entityID)
}

// Changing returns how many entities have changed within the window, how many live records the system has, which is only
// counted if at least count have, whether its first complete reading is done, and whether signals of it are parked.
func Changing(ctx context.Context, db DB, system string, kind domain.Kind, way string, window time.Duration, count int) (n, live int64, ready, parked bool, err error) {
	err = db.QueryRow(ctx, `-- name: Changing
		SELECT n, CASE WHEN n >= $5 THEN (SELECT count(*) FROM records WHERE system = $1 AND kind = $2 AND NOT deleted) ELSE 0 END,
			EXISTS (SELECT 1 FROM cursors WHERE system = $1 AND kind = $2 AND name = 'changes' AND ready),
			EXISTS (SELECT 1 FROM signals WHERE system = $1 AND kind = $2 AND status = 'parked')
		FROM (SELECT count(DISTINCT entity_id) AS n FROM brake_log WHERE system = $1 AND kind = $2 AND way = $3 AND at > now() - $4::interval) x`,
		system, kind, way, window, count).Scan(&n, &live, &ready, &parked)
	if err != nil {
		return 0, 0, false, false, fmt.Errorf("store.Changing: %w", err)
	}
	return n, live, ready, parked, nil
}

// HeldBack reports whether a change of the object waits for a person's decision.
func HeldBack(ctx context.Context, db DB, system string, kind domain.Kind, externalID string) (held bool, err error) {
	err = db.QueryRow(ctx, `-- name: HeldBack
		SELECT EXISTS (SELECT 1 FROM signals WHERE system = $1 AND kind = $2 AND external_id = $3 AND status = 'parked')`, system, kind, externalID).Scan(&held)
	if err != nil {
		return false, fmt.Errorf("store.HeldBack: %w", err)
	}
	return held, nil
}

// LiveRecords counts the live records of a system and kind.
func LiveRecords(ctx context.Context, db DB, system string, kind domain.Kind) (int64, error) {
	var n int64
	err := db.QueryRow(ctx, `-- name: LiveRecords
		SELECT count(*) FROM records WHERE system = $1 AND kind = $2 AND NOT deleted`, system, kind).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("store.LiveRecords: %w", err)
	}
	return n, nil
}

// PruneBrakeLog forgets changes older than the age.
func PruneBrakeLog(ctx context.Context, db DB, age time.Duration) (int64, error) {
	tag, err := db.Exec(ctx, `-- name: PruneBrakeLog
		DELETE FROM brake_log WHERE at < now() - $1::interval`, age)
	if err != nil {
		return 0, fmt.Errorf("store.PruneBrakeLog: %w", err)
	}
	return tag.RowsAffected(), nil
}

// ParkSignals keeps signals back that would change too much at once.
func ParkSignals(ctx context.Context, db DB, ids []int64, changes []Change) error {
	_, err := db.Exec(ctx, `-- name: ParkSignals
		UPDATE signals SET status = 'parked', lease_until = NULL, changes = $2 WHERE id = ANY($1)`, ids, changes)
	if err != nil {
		return fmt.Errorf("store.ParkSignals: %w", err)
	}
	return nil
}

// ParkMissing enters parked signals for objects that a listing no longer shows, and takes those back that it shows again. Each
// object is there once.
func ParkMissing(ctx context.Context, tx pgx.Tx, system string, kind domain.Kind, ids []string, correlation string) error {
	_, err := tx.Exec(ctx, `-- name: ParkMissingBack
		UPDATE signals SET status = 'done', done_at = now() WHERE system = $1 AND kind = $2 AND status = 'parked' AND source = 'sweep' AND record IS NULL
			AND NOT external_id = ANY($3)`, system, kind, ids)
	if err != nil {
		return fmt.Errorf("store.ParkMissing: %w", err)
	}
	_, err = tx.Exec(ctx, `-- name: ParkMissing
		INSERT INTO signals (system, kind, external_id, source, correlation_id, lane, status, changes)
		SELECT $1, $2, r.external_id, 'sweep', $4, 'bulk', 'parked', jsonb_build_array(jsonb_build_object('entity', coalesce(e.id, ''),
			'name', coalesce(e.golden ->> 'legalName', e.golden ->> 'name', e.golden ->> 'number', r.external_id), 'field', '', 'from', 'listed', 'to', 'no longer listed'))
		FROM records r LEFT JOIN entities e ON e.id = r.entity_id WHERE r.system = $1 AND r.kind = $2 AND r.external_id = ANY($3)
			AND NOT EXISTS (SELECT 1 FROM signals g WHERE g.system = $1 AND g.kind = $2 AND g.external_id = r.external_id AND g.status = 'parked')`,
		system, kind, ids, correlation)
	if err != nil {
		return fmt.Errorf("store.ParkMissing: %w", err)
	}
	return nil
}

// OvertakeParked ends the parked signals about one object: a later look at it has been applied.
func OvertakeParked(ctx context.Context, db DB, system string, kind domain.Kind, externalID string) error {
	_, err := db.Exec(ctx, `-- name: OvertakeParked
		UPDATE signals SET status = 'done', done_at = now(), record = NULL, hint = NULL WHERE system = $1 AND kind = $2 AND external_id = $3 AND status = 'parked'`,
		system, kind, externalID)
	if err != nil {
		return fmt.Errorf("store.OvertakeParked: %w", err)
	}
	return nil
}

// DecideParked gives parked signals back to the workers, with what a person has decided: approved or rejected.
func DecideParked(ctx context.Context, tx pgx.Tx, system string, kind domain.Kind, decision string) (int64, error) {
	tag, err := tx.Exec(ctx, `-- name: DecideParked
		UPDATE signals SET status = 'pending', brake = $3, due_at = now(), attempts = 0 WHERE system = $1 AND kind = $2 AND status = 'parked'`, system, kind, decision)
	if err != nil {
		return 0, fmt.Errorf("store.DecideParked: %w", err)
	}
	return tag.RowsAffected(), nil
}

// ReleaseBraked makes the projections pending, in the bulk lane, that a brake has parked with the code. NotIn what a dry run
// or the mode says: that is the workers' to see.
func ReleaseBraked(ctx context.Context, db DB, system string, kind domain.Kind, code domain.Code) (int64, error) {
	tag, err := db.Exec(ctx, `-- name: ReleaseBraked
		UPDATE projections SET status = 'pending', lane = 'bulk', due_at = now(), error_code = '', error = '', pending_since = coalesce(pending_since, now()), updated_at = now()
		WHERE system = $1 AND kind = $2 AND status = 'parked' AND error_code = $3`, system, kind, code)
	if err != nil {
		return 0, fmt.Errorf("store.ReleaseBraked: %w", err)
	}
	return tag.RowsAffected(), nil
}

// RecodeBraked changes why projections are parked.
func RecodeBraked(ctx context.Context, db DB, system string, kind domain.Kind, from, to domain.Code, message string) error {
	_, err := db.Exec(ctx, `-- name: RecodeBraked
		UPDATE projections SET error_code = $4, error = $5, updated_at = now() WHERE system = $1 AND kind = $2 AND status = 'parked' AND error_code = $3`,
		system, kind, from, to, message)
	if err != nil {
		return fmt.Errorf("store.RecodeBraked: %w", err)
	}
	return nil
}

// BrakeState is how much is held back of one system and kind.
type BrakeState struct {
	System string
	Kind   domain.Kind
	Way    string // in or out
	Code   domain.Code
	N      int64 // objects
}

// BrakeStates returns what is held back: parked signals (way in) and parked projections (way out).
func BrakeStates(ctx context.Context, db DB) ([]BrakeState, error) {
	rows, err := db.Query(ctx, `-- name: BrakeStates
		SELECT system, kind, 'in' AS way, 'BRAKE' AS code, count(DISTINCT external_id) AS n FROM signals WHERE status = 'parked' GROUP BY system, kind
		UNION ALL SELECT system, kind, 'out', error_code, count(*) FROM projections WHERE status = 'parked' AND error_code IN ('HELD', 'BRAKE')
		GROUP BY system, kind, error_code ORDER BY 1, 2, 3, 4`)
	if err != nil {
		return nil, fmt.Errorf("store.BrakeStates: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[BrakeState])
}

// Resettling reports whether entities wait to be resolved under the policy in force.
func Resettling(ctx context.Context, db DB) (bool, error) {
	var busy bool
	err := db.QueryRow(ctx, `-- name: Resettling
		SELECT EXISTS (SELECT 1 FROM entities WHERE merged_into IS NULL AND policy < (SELECT max(version) FROM policies))`).Scan(&busy)
	if err != nil {
		return false, fmt.Errorf("store.Resettling: %w", err)
	}
	return busy, nil
}

// BrakeDiff returns what is held back as a person reads it: how often each field, and examples.
func BrakeDiff(ctx context.Context, db DB, s BrakeState, examples int) (counts map[string]int64, sample []Change, err error) {
	from := `SELECT c.entity, c.name, c.field, c."from", c."to" FROM signals g, jsonb_to_recordset(g.changes) AS c (entity text, name text, field text, "from" jsonb, "to" jsonb)
		WHERE g.system = $1 AND g.kind = $2 AND g.status = 'parked'`
	if s.Way == "out" {
		from = `SELECT p.entity_id AS entity, coalesce(e.golden ->> 'legalName', e.golden ->> 'name', e.golden ->> 'number', '') AS name, d.key AS field,
			r.values -> d.key AS "from", d.value AS "to" FROM projections p JOIN entities e ON e.id = p.entity_id CROSS JOIN LATERAL jsonb_each(p.diff) d
			LEFT JOIN records r ON r.system = p.system AND r.kind = p.kind AND r.external_id = p.external_id
			WHERE p.system = $1 AND p.kind = $2 AND p.status = 'parked' AND p.error_code = 'BRAKE'`
	}
	rows, err := db.Query(ctx, `-- name: BrakeCounts
		SELECT field, count(DISTINCT entity) FROM (`+from+`) x GROUP BY field ORDER BY field`, s.System, s.Kind)
	if err != nil {
		return nil, nil, fmt.Errorf("store.BrakeDiff: %w", err)
	}
	counts = map[string]int64{}
	var field string
	var n int64
	if _, err = pgx.ForEachRow(rows, []any{&field, &n}, func() error { counts[field] = n; return nil }); err != nil {
		return nil, nil, fmt.Errorf("store.BrakeDiff: %w", err)
	}
	rows, err = db.Query(ctx, `-- name: BrakeSample
		SELECT DISTINCT ON (entity, field) entity AS entity_id, name, field, coalesce("from", 'null') AS "from", coalesce("to", 'null') AS "to" FROM (`+from+`) x
		ORDER BY entity, field LIMIT $3`, s.System, s.Kind, examples)
	if err != nil {
		return nil, nil, fmt.Errorf("store.BrakeDiff: %w", err)
	}
	sample, err = pgx.CollectRows(rows, pgx.RowToStructByName[Change])
	return counts, sample, err
}
