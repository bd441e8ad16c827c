package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Signal is an inbox row: something happened to object X in system S.
type Signal struct {
	ID            int64
	System        string
	Kind          domain.Kind
	ExternalID    string
	Source        string
	DedupeKey     string
	Record        *domain.Record // the object itself, when it is known and trusted
	Hint          *Hint
	OccurredAt    *time.Time
	ReceivedAt    time.Time
	Attempts      int
	Lane          string // live or bulk: of the projections that follow
	CorrelationID string
	Brake         string // what a person has decided about it after the brake had parked it: approved or rejected
}

// Hint is what an event says of one member of the vendor's object, by its path in the raw record.
type Hint struct {
	Path  string `json:"path"`
	Value string `json:"value"`
}

// InsertSignals stores signals and returns how many were new; a dedupe key that is known is not stored again.
func InsertSignals(ctx context.Context, db DB, signals []Signal) (int64, error) {
	n := len(signals)
	system, kind, ext, source := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	dedupe, corr, lane := make([]*string, n), make([]string, n), make([]string, n)
	record, hint, occurred := make([]*domain.Record, n), make([]*Hint, n), make([]*time.Time, n)
	for i, s := range signals {
		system[i], kind[i], ext[i], source[i], corr[i] = s.System, string(s.Kind), s.ExternalID, s.Source, s.CorrelationID
		record[i], hint[i], occurred[i] = s.Record, s.Hint, s.OccurredAt
		if lane[i] = s.Lane; s.Lane == "" {
			lane[i] = "live"
		}
		if s.DedupeKey != "" {
			dedupe[i] = &signals[i].DedupeKey
		}
	}
	tag, err := db.Exec(ctx, `-- name: InsertSignals
		INSERT INTO signals (system, kind, external_id, source, dedupe_key, record, hint, occurred_at, correlation_id, lane)
		SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::jsonb[], $7::jsonb[], $8::timestamptz[], $9::text[], $10::text[])
		ON CONFLICT (system, dedupe_key) WHERE dedupe_key IS NOT NULL DO NOTHING`,
		system, kind, ext, source, dedupe, record, hint, occurred, corr, lane)
	if err != nil {
		return 0, fmt.Errorf("store.InsertSignals: %w", err)
	}
	return tag.RowsAffected(), nil
}

// ClaimSignals leases up to limit pending signals of a system, oldest first. A crashed worker's signals come again when
// the lease has run out.
func ClaimSignals(ctx context.Context, db DB, system, process string, d time.Duration, limit int) ([]Signal, error) {
	rows, err := db.Query(ctx, `-- name: ClaimSignals
		WITH due AS MATERIALIZED (
			SELECT id AS due_id FROM signals g WHERE system = $1 AND status = 'pending' AND due_at <= now() AND `+free+` AND NOT `+paused("g", In)+`
			ORDER BY due_at, id LIMIT $3 FOR UPDATE SKIP LOCKED)
		UPDATE signals SET lease_until = now() + $2::interval, lease_process = $4, attempts = attempts + 1
		FROM due WHERE id = due_id
		RETURNING id, system, kind, external_id, source, coalesce(dedupe_key, '') AS dedupe_key, record, hint, occurred_at, received_at, attempts, lane, correlation_id, brake`,
		system, d, limit, process)
	if err != nil {
		return nil, fmt.Errorf("store.ClaimSignals: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Signal])
}

// FinishSignals marks signals as done.
func FinishSignals(ctx context.Context, db DB, ids []int64) error {
	_, err := db.Exec(ctx, `-- name: FinishSignals
		UPDATE signals SET status = 'done', done_at = now(), lease_until = NULL, error = '', record = NULL, hint = NULL WHERE id = ANY($1)`, ids)
	if err != nil {
		return fmt.Errorf("store.FinishSignals: %w", err)
	}
	return nil
}

// FinishVisit marks the signals of an object as done, and the failed ones about it, which are overtaken, and returns how many
// of those there were.
func FinishVisit(ctx context.Context, db DB, ids []int64, system string, kind domain.Kind, externalID string) (overtaken int64, err error) {
	err = db.QueryRow(ctx, `-- name: FinishVisit
		WITH finished AS (UPDATE signals SET status = 'done', done_at = now(), lease_until = NULL, error = '', record = NULL, hint = NULL WHERE id = ANY($1)),
			overtaken AS (UPDATE signals SET status = 'done', done_at = now(), error = '', record = NULL, hint = NULL
				WHERE system = $2 AND kind = $3 AND external_id = $4 AND status = 'failed' AND id <> ALL($1) RETURNING 1)
		SELECT count(*) FROM overtaken`, ids, system, kind, externalID).Scan(&overtaken)
	if err != nil {
		return 0, fmt.Errorf("store.FinishVisit: %w", err)
	}
	return overtaken, nil
}

// PostponeSignals gives signals back, to be tried again after d. Without count the try costs nothing.
func PostponeSignals(ctx context.Context, db DB, ids []int64, d time.Duration, count bool, reason string) error {
	_, err := db.Exec(ctx, `-- name: PostponeSignals
		UPDATE signals SET lease_until = NULL, due_at = now() + $2::interval, error = $3, attempts = CASE WHEN $4 THEN attempts ELSE attempts - 1 END
		WHERE id = ANY($1)`, ids, d, reason, count)
	if err != nil {
		return fmt.Errorf("store.PostponeSignals: %w", err)
	}
	return nil
}

// AskAgain gives signals back without what was read of their object, which is to be read anew after d.
func AskAgain(ctx context.Context, db DB, ids []int64, d time.Duration) error {
	_, err := db.Exec(ctx, `-- name: AskAgain
		UPDATE signals SET lease_until = NULL, due_at = now() + $2::interval, record = NULL, hint = NULL, occurred_at = NULL WHERE id = ANY($1)`, ids, d)
	if err != nil {
		return fmt.Errorf("store.AskAgain: %w", err)
	}
	return nil
}

// FailSignals marks signals that a person must look at.
func FailSignals(ctx context.Context, db DB, ids []int64, reason string) error {
	_, err := db.Exec(ctx, `-- name: FailSignals
		UPDATE signals SET status = 'failed', lease_until = NULL, error = $2 WHERE id = ANY($1)`, ids, reason)
	if err != nil {
		return fmt.Errorf("store.FailSignals: %w", err)
	}
	return nil
}

// RetrySignals gives the failed signals about one object new tries, and returns how many there were.
func RetrySignals(ctx context.Context, db DB, system string, kind domain.Kind, externalID string) (int64, error) {
	tag, err := db.Exec(ctx, `-- name: RetrySignals
		UPDATE signals SET status = 'pending', attempts = 0, due_at = now(), error = '' WHERE system = $1 AND kind = $2 AND external_id = $3 AND status = 'failed'`,
		system, kind, externalID)
	if err != nil {
		return 0, fmt.Errorf("store.RetrySignals: %w", err)
	}
	return tag.RowsAffected(), nil
}

// Inbox is the state of the signals of one system.
type Inbox struct {
	System          string
	Pending, Failed int64
	Oldest          *time.Time // received, still pending
}

// Inboxes returns the state of the inbox by system.
func Inboxes(ctx context.Context, db DB) ([]Inbox, error) {
	rows, err := db.Query(ctx, `-- name: Inboxes
		SELECT system, count(*) FILTER (WHERE status = 'pending') AS pending, count(*) FILTER (WHERE status = 'failed') AS failed,
			min(received_at) FILTER (WHERE status = 'pending') AS oldest
		FROM signals WHERE status IN ('pending', 'failed') GROUP BY system ORDER BY system`)
	if err != nil {
		return nil, fmt.Errorf("store.Inboxes: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Inbox])
}

// NoteSequence notes that webhook events first to last have come in and returns the gap before them, nil if none is missing.
// Late ones close their gap.
func NoteSequence(ctx context.Context, tx pgx.Tx, system string, first, last int64) (gap *Gap, err error) {
	c, err := CursorFor(ctx, tx, system, "", "webhook", true)
	if err != nil {
		return nil, err
	}
	switch {
	case c.Seq > 0 && first > c.Seq+1:
		gap = &Gap{System: system, First: c.Seq + 1, Last: first - 1}
		err = InsertGap(ctx, tx, *gap)
	case first <= c.Seq:
		err = GapCame(ctx, tx, system, first, last)
	}
	if err != nil {
		return nil, err
	}
	if last > c.Seq {
		c.Seq = last
		err = SetCursor(ctx, tx, system, "", "webhook", c, false)
	}
	return gap, err
}

// StrandedSignals returns the systems with signals that have been due for longer than d while nobody is at them.
func StrandedSignals(ctx context.Context, db DB, d time.Duration) ([]string, error) {
	rows, err := db.Query(ctx, `-- name: StrandedSignals
		SELECT s.name FROM systems s WHERE s.mode <> 'off' AND EXISTS (SELECT 1 FROM signals g
			WHERE system = s.name AND status = 'pending' AND due_at < now() - $1::interval AND `+free+` AND NOT `+paused("g", In)+`) ORDER BY s.name`, d)
	if err != nil {
		return nil, fmt.Errorf("store.StrandedSignals: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// PruneSignals deletes finished signals older than the age, some at a time, and returns how many. They are no partitions: a
// dedupe key must be unique over all of them.
func PruneSignals(ctx context.Context, db DB, age time.Duration) (n int64, err error) {
	const some = 1000
	for {
		tag, err := db.Exec(ctx, `-- name: PruneSignals
			DELETE FROM signals WHERE id IN (SELECT id FROM signals WHERE status IN ('done', 'skipped') AND done_at < now() - $1::interval ORDER BY done_at LIMIT $2)`, age, some)
		if err != nil {
			return n, fmt.Errorf("store.PruneSignals: %w", err)
		}
		if n += tag.RowsAffected(); tag.RowsAffected() < some {
			return n, nil
		}
	}
}
