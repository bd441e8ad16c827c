package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// ReprocessFilter says what a run goes through. Zero members do not narrow.
type ReprocessFilter struct {
	What    []string    `json:"what,omitempty"` // signal, projection, record, job; what the action goes through if empty
	System  string      `json:"system,omitempty"`
	Kind    domain.Kind `json:"kind,omitempty"`
	Status  string      `json:"status,omitempty"` // failed, refused, pending, parked, confirmed; what is dead if empty
	Code    domain.Code `json:"code,omitempty"`
	Class   string      `json:"class,omitempty"` // the class of a dead letter
	Before  *time.Time  `json:"before,omitempty"`
	After   *time.Time  `json:"after,omitempty"`
	Signals []int64     `json:"signals,omitempty"`
	Jobs    []int64     `json:"jobs,omitempty"`
	// Entities are ids of entities; External are the vendors' own ids of records.
	Entities []string `json:"entities,omitempty"`
	External []string `json:"external,omitempty"`
}

// Named reports whether the filter names single things.
func (f ReprocessFilter) Named() bool {
	return len(f.Signals)+len(f.Jobs)+len(f.Entities)+len(f.External) > 0
}

// Name narrows the filter to single things: signal:7, job:9, projection:cus_…:crm, ids of entities, or the vendors' own ids of
// records. Invalid if a number is none.
func (f *ReprocessFilter) Name(ids ...string) error {
	for _, id := range ids {
		what, rest, _ := strings.Cut(id, ":")
		n, err := strconv.ParseInt(rest, 10, 64)
		switch {
		case (what == "signal" || what == "job") && err != nil:
			return domain.Errorf(domain.Invalid, "%q is no id: it must be like %s:7", id, what)
		case what == "signal":
			f.Signals = append(f.Signals, n)
		case what == "job":
			f.Jobs = append(f.Jobs, n)
		case what == "projection":
			entity, system, _ := strings.Cut(rest, ":")
			if f.System != "" && f.System != system {
				return domain.Errorf(domain.Invalid, "%s is not of %s: one run goes through projections of one system", id, f.System)
			}
			f.System, f.Entities = system, append(f.Entities, entity)
		case domain.KindOfID(id) != "":
			f.Entities = append(f.Entities, id)
		default:
			f.External = append(f.External, id)
		}
	}
	return nil
}

// ID names the item for ReprocessFilter.Name.
func (it ReprocessItem) ID() string {
	switch it.What {
	case "signal":
		return "signal:" + strconv.FormatInt(*it.SignalID, 10)
	case "job":
		return "job:" + strconv.FormatInt(*it.JobID, 10)
	case "projection":
		return "projection:" + it.EntityID + ":" + it.System
	}
	return it.ExternalID
}

// ReprocessItem is one thing that a run goes through.
type ReprocessItem struct {
	Seq        int64
	What       string
	System     string
	Kind       domain.Kind
	ExternalID string
	EntityID   string
	SignalID   *int64
	JobID      *int64
	Status     string // todo, going, done, failed, cancelled
	Error      string
	EndedAt    *time.Time
}

// ReprocessRun is one run with its progress.
type ReprocessRun struct {
	ID            string
	Action        string
	Filter        ReprocessFilter
	Force         bool
	PerSecond     int
	Status        string // running, done, cancelled
	Actor         string
	Reason        string
	CorrelationID string
	CreatedAt     time.Time
	FinishedAt    *time.Time
	EndedBy       string

	Total, Done, Failed, Cancelled int64
}

// ETA is when a running run will have ended if it goes on as it has, nil if that cannot be told.
func (r ReprocessRun) ETA(now time.Time) *time.Time {
	ended, took := r.Done+r.Failed, now.Sub(r.CreatedAt)
	if r.Status != "running" || ended == 0 || took <= 0 {
		return nil
	}
	at := now.Add(time.Duration(float64(took) / float64(ended) * float64(r.Total-ended)))
	return &at
}

const runColumns = `r.id, r.action, r.filter, r.force, r.per_second, r.status, r.actor, r.reason, r.correlation_id, r.created_at, r.finished_at, r.ended_by,
	i.total, i.done, i.failed, i.cancelled
	FROM reprocess_runs r, LATERAL (SELECT count(*) AS total, count(*) FILTER (WHERE status = 'done') AS done, count(*) FILTER (WHERE status = 'failed') AS failed,
		count(*) FILTER (WHERE status = 'cancelled') AS cancelled FROM reprocess_items WHERE run_id = r.id) i`

// Candidate is something that a run may go through, with its trouble.
type Candidate struct {
	ReprocessItem
	At   time.Time
	Code domain.Code
}

// StuckAfter is after how many failed tries a projection that is still tried counts as dead, too.
const StuckAfter = 20

// Candidates returns what a filter finds, in the order in which it was received: signals, projections, jobs (those that are dead
// unless the filter names a status), and records.
func Candidates(ctx context.Context, db DB, f ReprocessFilter) ([]Candidate, error) {
	rows, err := db.Query(ctx, `-- name: Candidates
		SELECT 0::bigint AS seq, what, system, kind, external_id, entity_id, signal_id, job_id, 'todo' AS status, error, NULL::timestamptz AS ended_at, at, code FROM (
			SELECT 'signal' AS what, system, kind, external_id, '' AS entity_id, id AS signal_id, NULL::bigint AS job_id, received_at AS at, error,
				coalesce(substring(error FROM '\(([A-Z_]+)\)$'), '') AS code
			FROM signals WHERE 'signal' = ANY(@what) AND status = CASE WHEN @status IN ('', 'any') THEN 'failed' ELSE @status END
				AND (NOT @named OR id = ANY(@signals) OR external_id = ANY(@external)
					OR (system, kind, external_id) IN (SELECT system, kind, external_id FROM records WHERE entity_id = ANY(@entities)))
			UNION ALL
			SELECT 'projection', system, kind, external_id, entity_id, NULL, NULL, coalesce(pending_since, updated_at), error, error_code
			FROM projections WHERE 'projection' = ANY(@what) AND CASE WHEN @any THEN status <> 'detached' WHEN @status <> '' THEN status = @status WHEN @named THEN status <> 'detached'
					ELSE status = 'refused' OR status = 'pending' AND attempts >= @stuck END
				AND (NOT @named OR entity_id = ANY(@entities) OR external_id = ANY(@external))
			UNION ALL
			SELECT 'job', coalesce(args ->> 'system', ''), coalesce(args ->> 'kind', ''), kind, coalesce(args ->> 'entityId', args ->> 'entity', ''), NULL, id, created_at,
				coalesce(errors[cardinality(errors)] ->> 'error', ''), 'INTERNAL'
			FROM river_job WHERE 'job' = ANY(@what) AND state = 'discarded' AND @status IN ('', 'any', 'failed') AND (NOT @named OR id = ANY(@jobs))
			UNION ALL
			SELECT 'record', system, kind, external_id, coalesce(entity_id, ''), NULL, NULL, updated_at, '', ''
			FROM records WHERE 'record' = ANY(@what) AND NOT deleted AND merged_into = '' AND (NOT @named OR external_id = ANY(@external) OR entity_id = ANY(@entities))
		) c
		WHERE (@system = '' OR system = @system) AND (@kind = '' OR kind = @kind) AND (@code = '' OR code = @code)
			AND (@before::timestamptz IS NULL OR at < @before) AND (@after::timestamptz IS NULL OR at >= @after)
		ORDER BY at, signal_id, job_id, entity_id, system, kind, external_id`,
		pgx.StrictNamedArgs{"what": orEmpty(f.What), "status": f.Status, "named": f.Named(), "signals": orEmpty(f.Signals), "jobs": orEmpty(f.Jobs),
			"entities": orEmpty(f.Entities), "external": orEmpty(f.External), "system": f.System, "kind": f.Kind, "code": f.Code, "before": f.Before, "after": f.After,
			"any": f.Status == "any", "stuck": StuckAfter})
	if err != nil {
		return nil, fmt.Errorf("store.Candidates: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Candidate])
}

// InsertRun stores a run and what it goes through, in that order.
func InsertRun(ctx context.Context, tx pgx.Tx, r ReprocessRun, items []Candidate) error {
	_, err := tx.Exec(ctx, `-- name: InsertRun
		INSERT INTO reprocess_runs (id, action, filter, force, per_second, actor, reason, correlation_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		r.ID, r.Action, r.Filter, r.Force, r.PerSecond, r.Actor, r.Reason, r.CorrelationID)
	if err != nil {
		return fmt.Errorf("store.InsertRun: %w", err)
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"reprocess_items"}, []string{"run_id", "seq", "what", "system", "kind", "external_id", "entity_id", "signal_id", "job_id"},
		pgx.CopyFromSlice(len(items), func(i int) ([]any, error) {
			x := items[i]
			return []any{r.ID, int64(i + 1), x.What, x.System, string(x.Kind), x.ExternalID, x.EntityID, x.SignalID, x.JobID}, nil
		}))
	if err != nil {
		return fmt.Errorf("store.InsertRun: %w", err)
	}
	return nil
}

// Runs returns up to limit runs, newest first, before the one with the id; "" begins with the newest.
func Runs(ctx context.Context, db DB, before string, limit int) ([]ReprocessRun, error) {
	rows, err := db.Query(ctx, `-- name: Runs
		SELECT `+runColumns+` WHERE $1 = '' OR r.id < $1 ORDER BY r.id DESC LIMIT $2`, before, limit)
	if err != nil {
		return nil, fmt.Errorf("store.Runs: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[ReprocessRun])
}

// RunByID returns a run, NotFound if there is none.
func RunByID(ctx context.Context, db DB, id string) (ReprocessRun, error) {
	rows, err := db.Query(ctx, `-- name: RunByID
		SELECT `+runColumns+` WHERE r.id = $1`, id)
	if err != nil {
		return ReprocessRun{}, fmt.Errorf("store.RunByID: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[ReprocessRun])
	if errors.Is(err, pgx.ErrNoRows) {
		return r, domain.Errorf(domain.NotFound, "there is no run %q; `datum reprocess list` lists them", id)
	}
	return r, err
}

const itemColumns = `seq, what, system, kind, external_id, entity_id, signal_id, job_id, status, error, ended_at`

// RunItems returns up to limit items of a run after the one with the number, with the status or all ("").
func RunItems(ctx context.Context, db DB, run, status string, after int64, limit int) ([]ReprocessItem, error) {
	rows, err := db.Query(ctx, `-- name: RunItems
		SELECT `+itemColumns+` FROM reprocess_items WHERE run_id = $1 AND ($2 = '' OR status = $2) AND seq > $3 ORDER BY seq LIMIT $4`, run, status, after, limit)
	if err != nil {
		return nil, fmt.Errorf("store.RunItems: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[ReprocessItem])
}

// ClaimRun leases a running run; false if it is not running, or somebody else is at it.
func ClaimRun(ctx context.Context, db DB, id string, lease uuid.UUID, process string, d time.Duration) (bool, error) {
	tag, err := db.Exec(ctx, `-- name: ClaimRun
		UPDATE reprocess_runs SET lease = $2, lease_process = $3, lease_until = now() + $4::interval WHERE id = $1 AND status = 'running' AND (lease = $2 OR `+free+`)`,
		id, lease, process, d)
	if err != nil {
		return false, fmt.Errorf("store.ClaimRun: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// LeaveRun gives the lease back.
func LeaveRun(ctx context.Context, db DB, id string, lease uuid.UUID) error {
	_, err := db.Exec(ctx, `-- name: LeaveRun
		UPDATE reprocess_runs SET lease = NULL, lease_until = NULL, lease_process = '' WHERE id = $1 AND lease = $2`, id, lease)
	if err != nil {
		return fmt.Errorf("store.LeaveRun: %w", err)
	}
	return nil
}

// StrandedRuns returns the running runs that nobody is at.
func StrandedRuns(ctx context.Context, db DB) ([]string, error) {
	rows, err := db.Query(ctx, `-- name: StrandedRuns
		SELECT id FROM reprocess_runs WHERE status = 'running' AND `+free+` ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("store.StrandedRuns: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// NextItem locks the next item of a run that is still to be done, nil if there is none, the run has ended, or the lease was lost.
func NextItem(ctx context.Context, tx pgx.Tx, run string, lease uuid.UUID) (*ReprocessItem, error) {
	rows, err := tx.Query(ctx, `-- name: NextItem
		SELECT `+itemColumns+` FROM reprocess_items WHERE run_id = $1 AND status = 'todo'
			AND EXISTS (SELECT 1 FROM reprocess_runs r WHERE r.id = $1 AND r.status = 'running' AND r.lease = $2)
		ORDER BY seq LIMIT 1 FOR UPDATE`, run, lease)
	if err != nil {
		return nil, fmt.Errorf("store.NextItem: %w", err)
	}
	it, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[ReprocessItem])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return it, err
}

// MarkItem notes what has become of an item.
func MarkItem(ctx context.Context, db DB, run string, it ReprocessItem) error {
	_, err := db.Exec(ctx, `-- name: MarkItem
		UPDATE reprocess_items SET status = $3, error = $4, signal_id = $5, ended_at = CASE WHEN $3 IN ('done', 'failed') THEN now() END WHERE run_id = $1 AND seq = $2`,
		run, it.Seq, it.Status, it.Error, it.SignalID)
	if err != nil {
		return fmt.Errorf("store.MarkItem: %w", err)
	}
	return nil
}

// FollowItems ends the items whose signals and projections have come to an end, and returns how many are still going and still
// to be done.
func FollowItems(ctx context.Context, db DB, run string) (going, todo int64, err error) {
	_, err = db.Exec(ctx, `-- name: FollowItems
		UPDATE reprocess_items i SET status = x.status, error = x.error, ended_at = now() FROM (
			SELECT i.seq, CASE WHEN s.status = 'failed' OR p.status = 'refused' THEN 'failed' WHEN s.status = 'pending' OR p.status = 'pending' THEN 'going' ELSE 'done' END AS status,
				CASE WHEN s.status = 'failed' THEN s.error WHEN s.status = 'parked' THEN 'held back with a mass change until a person has decided: see its case'
					WHEN p.status IN ('refused', 'parked') THEN p.error ELSE '' END AS error
			FROM reprocess_items i LEFT JOIN signals s ON s.id = i.signal_id
				LEFT JOIN projections p ON i.what = 'projection' AND p.entity_id = i.entity_id AND p.system = i.system
			WHERE i.run_id = $1 AND i.status = 'going') x
		WHERE i.run_id = $1 AND i.seq = x.seq AND i.status = 'going' AND x.status <> 'going'`, run)
	if err == nil {
		err = db.QueryRow(ctx, `-- name: OpenItems
			SELECT count(*) FILTER (WHERE status = 'going'), count(*) FILTER (WHERE status = 'todo') FROM reprocess_items WHERE run_id = $1 AND status IN ('going', 'todo')`,
			run).Scan(&going, &todo)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("store.FollowItems: %w", err)
	}
	return going, todo, nil
}

// EndRun ends a running run: done, or cancelled by somebody, which leaves out what is still to be done. It reports whether it ran.
func EndRun(ctx context.Context, db DB, id, status, by string) (bool, error) {
	tag, err := db.Exec(ctx, `-- name: EndRun
		UPDATE reprocess_runs SET status = $2, finished_at = now(), ended_by = $3, lease = NULL, lease_until = NULL, lease_process = '' WHERE id = $1 AND status = 'running'`,
		id, status, by)
	if err != nil {
		return false, fmt.Errorf("store.EndRun: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return false, nil
	}
	_, err = db.Exec(ctx, `-- name: CancelItems
		UPDATE reprocess_items SET status = 'cancelled', ended_at = now() WHERE run_id = $1 AND status = 'todo'`, id)
	if err != nil {
		return false, fmt.Errorf("store.EndRun: %w", err)
	}
	return true, nil
}

// RetrySignal gives a failed or skipped signal new tries, in the bulk lane. With fresh, what was read of its object is forgotten and read anew.
func RetrySignal(ctx context.Context, db DB, id int64, fresh bool) error {
	_, err := db.Exec(ctx, `-- name: RetrySignal
		UPDATE signals SET status = 'pending', attempts = 0, due_at = now(), error = '', skipped_by = '', lane = 'bulk', record = CASE WHEN $2 THEN NULL ELSE record END,
			hint = CASE WHEN $2 THEN NULL ELSE hint END, occurred_at = CASE WHEN $2 THEN NULL ELSE occurred_at END WHERE id = $1 AND status IN ('failed', 'skipped')`, id, fresh)
	if err != nil {
		return fmt.Errorf("store.RetrySignal: %w", err)
	}
	return nil
}

// SkipSignal leaves a failed signal out, and says who and why. It reports whether it was failed.
func SkipSignal(ctx context.Context, db DB, id int64, by, why string) (bool, error) {
	tag, err := db.Exec(ctx, `-- name: SkipSignal
		UPDATE signals SET status = 'skipped', skipped_by = $2, error = $3 || '; it was: ' || error, done_at = now() WHERE id = $1 AND status = 'failed'`, id, by, why)
	if err != nil {
		return false, fmt.Errorf("store.SkipSignal: %w", err)
	}
	return tag.RowsAffected() == 1, nil
}

// InsertSignal stores one signal and returns its number.
func InsertSignal(ctx context.Context, db DB, s Signal) (id int64, err error) {
	err = db.QueryRow(ctx, `-- name: InsertSignal
		INSERT INTO signals (system, kind, external_id, source, correlation_id, lane, record) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id`,
		s.System, s.Kind, s.ExternalID, s.Source, s.CorrelationID, s.Lane, s.Record).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("store.InsertSignal: %w", err)
	}
	return id, nil
}

// LockFailedSignal returns and locks a failed signal; NotFound if there is none with the number, Conflict if it is not failed.
func LockFailedSignal(ctx context.Context, tx pgx.Tx, id int64) (Signal, error) {
	var status string
	err := tx.QueryRow(ctx, `-- name: lockSignal
		SELECT status FROM signals WHERE id = $1 FOR UPDATE`, id).Scan(&status)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return Signal{}, domain.Errorf(domain.NotFound, "there is no signal:%d; `datum deadletters` shows those that failed", id)
	case err != nil:
		return Signal{}, fmt.Errorf("store.LockFailedSignal: %w", err)
	case status != "failed":
		return Signal{}, domain.Errorf(domain.Conflict, "signal:%d is %s and not failed", id, status)
	}
	s := Signal{ID: id}
	err = tx.QueryRow(ctx, `-- name: FailedSignal
		SELECT system, kind, external_id, record FROM signals WHERE id = $1`, id).Scan(&s.System, &s.Kind, &s.ExternalID, &s.Record)
	if err != nil {
		return s, fmt.Errorf("store.LockFailedSignal: %w", err)
	}
	return s, nil
}

// CorrectSignal gives a failed signal new tries with another object.
func CorrectSignal(ctx context.Context, db DB, s Signal, note string) error {
	_, err := db.Exec(ctx, `-- name: CorrectSignal
		UPDATE signals SET status = 'pending', attempts = 0, due_at = now(), record = $2, error = $3 WHERE id = $1`, s.ID, s.Record, note)
	if err != nil {
		return fmt.Errorf("store.CorrectSignal: %w", err)
	}
	return nil
}
