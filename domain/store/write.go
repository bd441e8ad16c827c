package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// WriteStatus is what became of a recorded write.
type WriteStatus string

// Statuses of a recorded write.
const (
	WriteRecorded WriteStatus = "recorded" // waits for a person, or for the mode live
	WriteApproved WriteStatus = "approved" // is sent if it is still the same request
	WriteRejected WriteStatus = "rejected"
	WriteSent     WriteStatus = "sent"
	WriteReplaced WriteStatus = "replaced" // another one was recorded, because it would be another request by now
	WriteLapsed   WriteStatus = "lapsed"   // nothing is to be written any more, or it was written in the usual way
)

// RecordedWrite is the exact request that a dry run would have sent for a projection.
type RecordedWrite struct {
	ID             string
	EntityID       string
	System         string
	Kind           domain.Kind
	Status         WriteStatus
	Op             string // create or update
	DesiredVersion int64
	ExternalID     string
	Values         domain.Values
	Method         string
	Path           string
	Header         map[string]string
	Body           string
	NextSteps      []NextStep // that follow, with placeholders for what the vendor's answers give
	Digest         string     // of all that is sent
	RecordedAt     time.Time
	DecidedAt      *time.Time
	DecidedBy      string
	SentAt         *time.Time
	EndedAt        *time.Time
	Note           string
	CorrelationID  string
}

// NextStep is a request that follows the first of a write.
type NextStep struct {
	Method string            `json:"method"`
	Path   string            `json:"path"`
	Header map[string]string `json:"header"`
	Body   string            `json:"body"`
}

const writeColumns = `w.id, w.entity_id, w.system, w.kind, w.status, w.op, w.desired_version, w.external_id, w.values, w.method, w.path, w.header, w.body, w.next_steps, w.digest,
	w.recorded_at, w.decided_at, w.decided_by, w.sent_at, w.ended_at, w.note, w.correlation_id`

// RecordWrite stores what a dry run would send. What was recorded for the projection before is replaced, with the note; if it
// would be the same request it stays, and its id is returned.
func RecordWrite(ctx context.Context, tx pgx.Tx, w RecordedWrite, note string) (id string, err error) {
	err = tx.QueryRow(ctx, `-- name: SameWrite
		UPDATE recorded_writes SET status = 'recorded', desired_version = $4, next_steps = $5 WHERE entity_id = $1 AND system = $2 AND digest = $3 AND status IN ('recorded', 'approved')
		RETURNING id`, w.EntityID, w.System, w.Digest, w.DesiredVersion, orEmpty(w.NextSteps)).Scan(&id)
	if err == nil || !errors.Is(err, pgx.ErrNoRows) {
		return id, err
	}
	if _, err = tx.Exec(ctx, `-- name: ReplaceWrite
		UPDATE recorded_writes SET status = 'replaced', ended_at = now(), note = $3 WHERE entity_id = $1 AND system = $2 AND status IN ('recorded', 'approved')`,
		w.EntityID, w.System, note); err != nil {
		return "", fmt.Errorf("store.RecordWrite: %w", err)
	}
	_, err = tx.Exec(ctx, `-- name: RecordWrite
		INSERT INTO recorded_writes (id, entity_id, system, kind, op, desired_version, external_id, values, method, path, header, body, next_steps, digest, note, correlation_id)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		w.ID, w.EntityID, w.System, w.Kind, w.Op, w.DesiredVersion, w.ExternalID, w.Values, w.Method, w.Path, w.Header, w.Body, orEmpty(w.NextSteps), w.Digest, w.Note, w.CorrelationID)
	if err != nil {
		return "", fmt.Errorf("store.RecordWrite: %w", err)
	}
	return w.ID, nil
}

// WriteFilter narrows a list of recorded writes. Zero members do not narrow.
type WriteFilter struct {
	IDs      []string
	System   string
	Kind     domain.Kind
	EntityID string
	Statuses []WriteStatus
}

func (f WriteFilter) args() pgx.StrictNamedArgs {
	return pgx.StrictNamedArgs{"ids": orEmpty(f.IDs), "system": f.System, "kind": f.Kind, "entity": f.EntityID, "statuses": orEmpty(f.Statuses)}
}

const writeFilter = `(cardinality(@ids::text[]) = 0 OR w.id = ANY(@ids)) AND (@system = '' OR w.system = @system) AND (@kind = '' OR w.kind = @kind)
	AND (@entity = '' OR w.entity_id = @entity) AND (cardinality(@statuses::text[]) = 0 OR w.status = ANY(@statuses))`

// ListWrites returns up to limit recorded writes after the one with the id, oldest first.
func ListWrites(ctx context.Context, db DB, f WriteFilter, after string, limit int) ([]RecordedWrite, error) {
	args := f.args()
	args["after"], args["limit"] = after, limit
	rows, err := db.Query(ctx, `-- name: ListWrites
		SELECT `+writeColumns+` FROM recorded_writes w WHERE `+writeFilter+` AND (@after = '' OR w.id > @after) ORDER BY w.id LIMIT @limit`, args)
	if err != nil {
		return nil, fmt.Errorf("store.ListWrites: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[RecordedWrite])
}

// WritesOf returns up to limit recorded writes of one projection, newest first.
func WritesOf(ctx context.Context, db DB, entityID, system string, limit int) ([]RecordedWrite, error) {
	rows, err := db.Query(ctx, `-- name: WritesOf
		SELECT `+writeColumns+` FROM recorded_writes w WHERE w.entity_id = $1 AND w.system = $2 ORDER BY w.id DESC LIMIT $3`, entityID, system, limit)
	if err != nil {
		return nil, fmt.Errorf("store.WritesOf: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[RecordedWrite])
}

// LockWrites returns the recorded writes of a filter that still wait, and locks them and their projections.
func LockWrites(ctx context.Context, tx pgx.Tx, f WriteFilter, limit int) ([]RecordedWrite, error) {
	f.Statuses = []WriteStatus{WriteRecorded}
	args := f.args()
	args["limit"] = limit
	rows, err := tx.Query(ctx, `-- name: LockWrites
		SELECT `+writeColumns+` FROM projections p JOIN recorded_writes w ON w.entity_id = p.entity_id AND w.system = p.system
		WHERE `+writeFilter+` AND p.status = 'parked' AND p.error_code = 'DRY_RUN' ORDER BY w.id LIMIT @limit FOR UPDATE`, args)
	if err != nil {
		return nil, fmt.Errorf("store.LockWrites: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[RecordedWrite])
}

// DecideWrites approves or rejects recorded writes. The projections of approved ones become due, those of rejected ones stay
// parked with the code and the note until something else is wanted.
func DecideWrites(ctx context.Context, tx pgx.Tx, ids []string, status WriteStatus, by, note string, code domain.Code) error {
	b := &pgx.Batch{}
	b.Queue(`-- name: DecideWrites
		UPDATE recorded_writes SET status = $2, decided_at = now(), decided_by = $3, note = $4, ended_at = CASE WHEN $2 = 'rejected' THEN now() END WHERE id = ANY($1)`,
		ids, status, by, note)
	if status == WriteApproved {
		b.Queue(`-- name: ReleaseApproved
			UPDATE projections p SET status = 'pending', due_at = now(), error_code = '', error = '', pending_since = coalesce(p.pending_since, now()), updated_at = now()
			FROM recorded_writes w WHERE w.id = ANY($1) AND p.entity_id = w.entity_id AND p.system = w.system`, ids)
	} else {
		b.Queue(`-- name: ParkRejected
			UPDATE projections p SET status = 'parked', error_code = $2, error = $3, updated_at = now()
			FROM recorded_writes w WHERE w.id = ANY($1) AND p.entity_id = w.entity_id AND p.system = w.system`, ids, code, note)
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("store.DecideWrites: %w", err)
	}
	return nil
}

// ApprovedWrites returns the approved writes of the entities in a system, by entity.
func ApprovedWrites(ctx context.Context, db DB, system string, entityIDs []string) (map[string]RecordedWrite, error) {
	rows, err := db.Query(ctx, `-- name: ApprovedWrites
		SELECT `+writeColumns+` FROM recorded_writes w WHERE w.system = $1 AND w.entity_id = ANY($2) AND w.status = 'approved' ORDER BY w.id`, system, entityIDs)
	if err != nil {
		return nil, fmt.Errorf("store.ApprovedWrites: %w", err)
	}
	ws, err := pgx.CollectRows(rows, pgx.RowToStructByName[RecordedWrite])
	by := make(map[string]RecordedWrite, len(ws))
	for _, w := range ws {
		by[w.EntityID] = w
	}
	return by, err
}

// SentWrite notes that an approved write was sent.
func SentWrite(ctx context.Context, db DB, id string) error {
	_, err := db.Exec(ctx, `-- name: SentWrite
		UPDATE recorded_writes SET status = 'sent', sent_at = now(), ended_at = now() WHERE id = $1 AND status = 'approved'`, id)
	if err != nil {
		return fmt.Errorf("store.SentWrite: %w", err)
	}
	return nil
}

// UnsendWrite takes back that an approved write was sent: the vendor has not taken it.
func UnsendWrite(ctx context.Context, db DB, id string) error {
	_, err := db.Exec(ctx, `-- name: UnsendWrite
		UPDATE recorded_writes SET status = 'approved', sent_at = NULL, ended_at = NULL WHERE id = $1 AND status = 'sent'`, id)
	if err != nil {
		return fmt.Errorf("store.UnsendWrite: %w", err)
	}
	return nil
}

// LapseWrites ends what is recorded for a system.
func LapseWrites(ctx context.Context, db DB, system, note string) error {
	_, err := db.Exec(ctx, `-- name: LapseWrites
		UPDATE recorded_writes SET status = 'lapsed', ended_at = now(), note = $2 WHERE system = $1 AND status IN ('recorded', 'approved')`, system, note)
	if err != nil {
		return fmt.Errorf("store.LapseWrites: %w", err)
	}
	return nil
}

// LapseOvertaken ends recorded writes of which nothing is left to be written, because the world has moved on.
func LapseOvertaken(ctx context.Context, db DB) error {
	_, err := db.Exec(ctx, `-- name: LapseOvertaken
		UPDATE recorded_writes w SET status = 'lapsed', ended_at = now(), note = 'it is no longer to be written: ' || CASE p.status WHEN 'confirmed' THEN 'the system is level' ELSE p.error END
		FROM projections p WHERE w.status IN ('recorded', 'approved') AND p.entity_id = w.entity_id AND p.system = w.system
			AND (p.status IN ('confirmed', 'detached', 'refused') OR p.status = 'parked' AND p.error_code <> 'DRY_RUN')`)
	if err != nil {
		return fmt.Errorf("store.LapseOvertaken: %w", err)
	}
	return nil
}

// CountRecorded counts the recorded writes that wait, by system.
func CountRecorded(ctx context.Context, db DB) (map[string]int64, error) {
	rows, err := db.Query(ctx, `-- name: CountRecorded
		SELECT system, count(*) AS n FROM recorded_writes WHERE status = 'recorded' GROUP BY system ORDER BY system`)
	if err != nil {
		return nil, fmt.Errorf("store.CountRecorded: %w", err)
	}
	m := map[string]int64{}
	var s string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&s, &n}, func() error { m[s] = n; return nil })
	return m, err
}
