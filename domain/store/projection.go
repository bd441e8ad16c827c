package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// ProjectionStatus is where a projection stands.
type ProjectionStatus string

// Statuses of a projection.
const (
	Pending   ProjectionStatus = "pending"   // differs; will be written
	Confirmed ProjectionStatus = "confirmed" // equal
	Refused   ProjectionStatus = "refused"   // the vendor said no; a case is open
	Parked    ProjectionStatus = "parked"    // waits for something that is named in Error
	Detached  ProjectionStatus = "detached"  // deleted in the vendor, or no longer replicated: left alone
)

// Projection is the standing duty to make one system's record equal one entity.
type Projection struct {
	EntityID         string
	System           string
	Kind             domain.Kind
	Status           ProjectionStatus
	DesiredVersion   int64
	ConfirmedVersion int64
	ExternalID       string
	Diff             domain.Values // fields that still differ, with what they should be
	Lane             string
	Lease            *uuid.UUID
	LeaseUntil       *time.Time
	IntentKey        string
	IntentOp         string
	IntentEpoch      int
	IntentAt         *time.Time
	Sent             domain.Values // values sent whose outcome is not known yet
	Attempts         int
	DueAt            time.Time
	PendingSince     *time.Time
	ConfirmedAt      *time.Time
	ErrorCode        domain.Code
	Error            string
	WaitsFor         []string // entities that must be in the system first
	Needed           bool     // something that is written to the system refers to the entity
	Forced           bool     // everything is to be written once, even what is level
	CorrelationID    string
	UpdatedAt        time.Time
	Cause            string // why it is refused; see the refused cases
}

const projectionColumns = `entity_id, system, kind, status, desired_version, confirmed_version, external_id, diff, lane, lease, lease_until,
	intent_key, intent_op, intent_epoch, intent_at, sent, attempts, due_at, pending_since, confirmed_at, error_code, error, waits_for, needed, forced, correlation_id, updated_at, cause`

// ProjectionsOf returns the projections of the entities, by entity and system.
func ProjectionsOf(ctx context.Context, db DB, entityIDs []string) ([]*Projection, error) {
	rows, err := db.Query(ctx, `-- name: ProjectionsOf
		SELECT `+projectionColumns+` FROM projections WHERE entity_id = ANY($1) ORDER BY entity_id, system`, entityIDs)
	if err != nil {
		return nil, fmt.Errorf("store.ProjectionsOf: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[Projection])
}

// QueueProjection adds the upsert of a projection to the batch; a zero DueAt is now. Lease and intent are the worker's and
// stay as they are, and the times follow from the status by the database's clock.
func QueueProjection(b *pgx.Batch, p *Projection) {
	var due *time.Time
	if !p.DueAt.IsZero() {
		due = &p.DueAt
	}
	b.Queue(`-- name: QueueProjection
		INSERT INTO projections (entity_id, system, kind, status, desired_version, confirmed_version, external_id, diff, lane, attempts,
			due_at, pending_since, confirmed_at, error_code, error, correlation_id, forced, cause)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, coalesce($11, now()), CASE WHEN $4 = 'pending' THEN now() END,
			CASE WHEN $4 = 'confirmed' THEN now() END, $12, $13, $14, $15, $16)
		ON CONFLICT (entity_id, system) DO UPDATE SET status = excluded.status, desired_version = excluded.desired_version,
			confirmed_version = excluded.confirmed_version, external_id = excluded.external_id, diff = excluded.diff, lane = excluded.lane,
			attempts = excluded.attempts, due_at = excluded.due_at,
			pending_since = CASE WHEN excluded.status = 'pending' THEN coalesce(projections.pending_since, now()) END,
			confirmed_at = CASE WHEN excluded.status = 'confirmed' THEN now() ELSE projections.confirmed_at END,
			error_code = excluded.error_code, error = excluded.error, correlation_id = excluded.correlation_id, forced = excluded.forced,
			cause = excluded.cause, updated_at = now()`,
		p.EntityID, p.System, p.Kind, p.Status, p.DesiredVersion, p.ConfirmedVersion, p.ExternalID, p.Diff, p.Lane, p.Attempts,
		due, p.ErrorCode, p.Error, p.CorrelationID, p.Forced, p.Cause)
}

// ClaimProjections leases up to limit due projections of a system and kind, live lane and oldest first. A crashed worker's
// projections are claimed again when its lease has run out; their IntentKey then says that a write may have happened. What is due
// is looked up once: Postgres may evaluate IN (… LIMIT … SKIP LOCKED) for each row, and find others each time.
func ClaimProjections(ctx context.Context, db DB, system string, kind domain.Kind, lease uuid.UUID, process string, d time.Duration, limit int) ([]*Projection, error) {
	rows, err := db.Query(ctx, `-- name: ClaimProjections
		WITH due AS MATERIALIZED (
			SELECT entity_id AS due_id FROM projections
			WHERE system = $1 AND kind = $2 AND status = 'pending' AND due_at <= now() AND `+free+`
			ORDER BY (lane = 'live') DESC, due_at, entity_id LIMIT $5 FOR UPDATE SKIP LOCKED)
		UPDATE projections SET lease = $3, lease_until = now() + $4::interval, lease_process = $6, updated_at = now()
		FROM due WHERE entity_id = due_id AND system = $1
		RETURNING `+projectionColumns, system, kind, lease, d, limit, process)
	if err != nil {
		return nil, fmt.Errorf("store.ClaimProjections: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[Projection])
}

// Due counts, up to limit, projections that could be claimed now, and returns when the next later one is due. Now is the
// moment of the question, not the beginning of the transaction, which may have waited for a lock since.
func Due(ctx context.Context, db DB, system string, kind domain.Kind, limit int) (n int, next *time.Time, err error) {
	err = db.QueryRow(ctx, `-- name: Due
		SELECT (SELECT count(*) FROM (SELECT 1 FROM projections WHERE system = $1 AND kind = $2 AND status = 'pending'
				AND due_at <= (SELECT clock_timestamp()) AND `+free+` LIMIT $3) d),
			(SELECT min(due_at) FROM projections WHERE system = $1 AND kind = $2 AND status = 'pending' AND due_at > (SELECT clock_timestamp()))`,
		system, kind, limit).Scan(&n, &next)
	if err != nil {
		return 0, nil, fmt.Errorf("store.Due: %w", err)
	}
	return n, next, nil
}

// InFlight returns which of the records are being written at this moment, and whether records are being created: what a
// vendor says of those may be our own write.
func InFlight(ctx context.Context, db DB, system string, kind domain.Kind, externalIDs []string) (flying map[string]bool, creating bool, err error) {
	rows, err := db.Query(ctx, `-- name: InFlight
		SELECT external_id FROM projections WHERE system = $1 AND kind = $2 AND status = 'pending' AND intent_key <> '' AND NOT `+free+`
			AND (external_id = '' OR external_id = ANY($3)) GROUP BY external_id ORDER BY external_id`, system, kind, externalIDs)
	if err != nil {
		return nil, false, fmt.Errorf("store.InFlight: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	flying = make(map[string]bool, len(ids))
	for _, id := range ids {
		flying[id] = true
	}
	return flying, flying[""], err
}

// Intend stores the idempotency keys of writes that are about to be sent, behind the fence of the lease, and only while the
// system is in the mode and nobody changes it or holds the kind back. It returns the entities that may be written.
//
// The system's row is locked first, for the moment of this statement: whoever changes the mode sees every write that was let
// through, and lets none through after.
func Intend(ctx context.Context, db DB, system string, kind domain.Kind, mode Mode, lease uuid.UUID, entityIDs, keys, ops []string, sent []domain.Values) (map[string]bool, error) {
	b := &pgx.Batch{}
	b.Queue(`-- name: lockGate
		SELECT 1 FROM systems WHERE name = $1 FOR SHARE`, system)
	ok := make(map[string]bool, len(entityIDs))
	b.Queue(`-- name: Intend
		UPDATE projections p SET intent_key = i.key, intent_op = i.op, intent_at = now(), sent = p.sent || i.sent
		FROM unnest($3::text[], $4::text[], $5::text[], $6::jsonb[]) AS i(entity_id, key, op, sent)
		WHERE p.entity_id = i.entity_id AND p.system = $1 AND p.lease = $2 AND p.lease_until > now() AND p.status = 'pending'
			AND EXISTS (SELECT 1 FROM systems s WHERE s.name = $1 AND s.mode = $7 AND s.switching_until <= clock_timestamp())
			AND NOT `+paused("p", Out)+`
		RETURNING p.entity_id`, system, lease, entityIDs, keys, ops, sent, mode).Query(func(rows pgx.Rows) error {
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		for _, id := range ids {
			ok[id] = true
		}
		return err
	})
	if err := db.SendBatch(ctx, b).Close(); err != nil {
		return nil, fmt.Errorf("store.Intend: %w", err)
	}
	return ok, nil
}

// Release ends the lease of one projection after its outcome: the intent is settled or kept, and a failure noted. It
// reports whether the lease still held; if not, somebody else is at it and nothing was changed.
type Release struct {
	EntityID, System string
	Lease            uuid.UUID
	KeepIntent       bool             // the outcome is unknown: the next worker looks up first
	NextEpoch        bool             // a look-up has proven that the intent came to nothing
	Status           ProjectionStatus // "" leaves it
	RetryIn          time.Duration    // added to now for due_at
	CountAttempt     bool
	ErrorCode        domain.Code // "" leaves code and error as they are
	Error            string
	Cause            string // with Refused: Projection.Cause
}

// Apply writes the release.
func (r Release) Apply(ctx context.Context, db DB) (bool, error) {
	tag, err := db.Exec(ctx, `-- name: Release
		UPDATE projections SET lease = NULL, lease_until = NULL, lease_process = '',
			intent_key = CASE WHEN $4 THEN intent_key ELSE '' END, intent_op = CASE WHEN $4 THEN intent_op ELSE '' END,
			intent_at = CASE WHEN $4 THEN intent_at END, sent = CASE WHEN $4 THEN sent ELSE '{}' END, intent_epoch = intent_epoch + CASE WHEN $5 THEN 1 ELSE 0 END,
			status = coalesce(nullif($6, ''), status), due_at = now() + $7::interval, attempts = CASE WHEN $8 THEN attempts + 1 ELSE attempts END,
			error_code = CASE WHEN $9 = '' THEN error_code ELSE $9 END, error = CASE WHEN $9 = '' THEN error ELSE $10 END, waits_for = '{}', cause = $11, updated_at = now()
		WHERE entity_id = $1 AND system = $2 AND lease = $3`,
		r.EntityID, r.System, r.Lease, r.KeepIntent, r.NextEpoch, r.Status, r.RetryIn, r.CountAttempt, r.ErrorCode, r.Error, r.Cause)
	if err != nil {
		return false, fmt.Errorf("store.Release: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// GiveBack releases projections that were claimed and not sent, to be tried again after d; what was intended came to
// nothing. Code "" leaves code and error as they are.
func GiveBack(ctx context.Context, db DB, system string, lease uuid.UUID, entityIDs []string, d time.Duration, code domain.Code, reason string) error {
	_, err := db.Exec(ctx, `-- name: GiveBack
		UPDATE projections SET lease = NULL, lease_until = NULL, lease_process = '', intent_key = '', intent_op = '', intent_at = NULL, sent = '{}',
			due_at = now() + $4::interval, error_code = CASE WHEN $5 = '' THEN error_code ELSE $5 END,
			error = CASE WHEN $5 = '' THEN error ELSE $6 END, updated_at = now()
		WHERE system = $1 AND lease = $2 AND entity_id = ANY($3)`, system, lease, entityIDs, d, code, reason)
	if err != nil {
		return fmt.Errorf("store.GiveBack: %w", err)
	}
	return nil
}

// LockLease locks the projection if the lease is still held; false means that the worker has lost it.
func LockLease(ctx context.Context, tx pgx.Tx, entityID, system string, lease uuid.UUID) (bool, error) {
	var held bool
	err := tx.QueryRow(ctx, `-- name: LockLease
		SELECT coalesce((SELECT lease = $3 FROM projections WHERE entity_id = $1 AND system = $2 FOR UPDATE), false)`,
		entityID, system, lease).Scan(&held)
	if err != nil {
		return false, fmt.Errorf("store.LockLease: %w", err)
	}
	return held, nil
}

// Unpark makes the parked projections of a system and kind pending again whose error code is the given one, and returns
// how many there were.
func Unpark(ctx context.Context, db DB, system string, kind domain.Kind, code domain.Code) (int64, error) {
	tag, err := db.Exec(ctx, `-- name: Unpark
		UPDATE projections SET status = 'pending', due_at = now(), error_code = '', error = '', pending_since = coalesce(pending_since, now()), updated_at = now()
		WHERE system = $1 AND kind = $2 AND status = 'parked' AND error_code = $3`, system, kind, code)
	if err != nil {
		return 0, fmt.Errorf("store.Unpark: %w", err)
	}
	return tag.RowsAffected(), nil
}

// UnparkSystem makes the parked projections of a system pending again whose error code is the given one.
func UnparkSystem(ctx context.Context, db DB, system string, code domain.Code) error {
	_, err := db.Exec(ctx, `-- name: UnparkSystem
		UPDATE projections SET status = 'pending', due_at = now(), error_code = '', error = '', pending_since = coalesce(pending_since, now()), updated_at = now()
		WHERE system = $1 AND status = 'parked' AND error_code = $2`, system, code)
	if err != nil {
		return fmt.Errorf("store.UnparkSystem: %w", err)
	}
	return nil
}

// Backlog is the state of the projections of one system.
type Backlog struct {
	System                             string
	Kind                               domain.Kind
	Pending, Refused, Parked, Detached int64
	OldestPending                      *time.Time
	Attempts                           int64 // failed tries of those that are pending
}

// Backlogs returns the state of all projections by system and kind.
func Backlogs(ctx context.Context, db DB) ([]Backlog, error) {
	rows, err := db.Query(ctx, `-- name: Backlogs
		SELECT system, kind, count(*) FILTER (WHERE status = 'pending') AS pending, count(*) FILTER (WHERE status = 'refused') AS refused,
			count(*) FILTER (WHERE status = 'parked') AS parked, count(*) FILTER (WHERE status = 'detached') AS detached,
			min(pending_since) FILTER (WHERE status = 'pending') AS oldest_pending,
			coalesce(sum(attempts) FILTER (WHERE status = 'pending'), 0)::bigint AS attempts
		FROM projections WHERE status <> 'confirmed' GROUP BY system, kind ORDER BY system, kind`)
	if err != nil {
		return nil, fmt.Errorf("store.Backlogs: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Backlog])
}

// Stranded returns systems and kinds with projections that have been due for longer than d while nobody is at them.
func Stranded(ctx context.Context, db DB, d time.Duration) ([]Backlog, error) {
	rows, err := db.Query(ctx, `-- name: Stranded
		SELECT p.system, p.kind, count(*) AS pending, 0::bigint AS refused, 0::bigint AS parked, 0::bigint AS detached, min(p.due_at) AS oldest_pending, 0::bigint AS attempts
		FROM projections p JOIN systems s ON s.name = p.system
		WHERE p.status = 'pending' AND p.due_at < now() - $1::interval AND `+free+` AND s.mode IN ('live', 'dry_run')
			AND s.switching_until <= clock_timestamp() AND NOT `+paused("p", Out)+`
		GROUP BY p.system, p.kind ORDER BY p.system, p.kind`, d)
	if err != nil {
		return nil, fmt.Errorf("store.Stranded: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Backlog])
}

// DesiredMoved reports whether more is wanted of a projection by now than at the given desired version.
func DesiredMoved(ctx context.Context, db DB, entityID, system string, version int64) (bool, error) {
	var moved bool
	err := db.QueryRow(ctx, `-- name: DesiredMoved
		SELECT coalesce((SELECT desired_version <> $3 FROM projections WHERE entity_id = $1 AND system = $2), true)`, entityID, system, version).Scan(&moved)
	if err != nil {
		return false, fmt.Errorf("store.DesiredMoved: %w", err)
	}
	return moved, nil
}
