package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Queue is the number of River's jobs in one queue and state.
type Queue struct {
	Queue, State string
	Jobs         int64
	Oldest       *time.Time // when the oldest of them could have run
}

// Queues counts the jobs that are not finished.
func Queues(ctx context.Context, db DB) ([]Queue, error) {
	rows, err := db.Query(ctx, `-- name: Queues
		SELECT queue, state::text AS state, count(*) AS jobs, min(scheduled_at) AS oldest FROM river_job
		WHERE state IN ('available', 'running', 'retryable', 'scheduled') GROUP BY queue, state ORDER BY queue, state`)
	if err != nil {
		return nil, fmt.Errorf("store.Queues: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Queue])
}

// FreeJobs gives back the jobs that dead processes were at, at once instead of when River would, and returns how many. A
// unique job that nobody runs would keep the next one from being queued. attempted_by are ids of processes.
func FreeJobs(ctx context.Context, db DB) (int64, error) {
	tag, err := db.Exec(ctx, `-- name: FreeJobs
		UPDATE river_job SET state = 'available', scheduled_at = now() WHERE id IN (
			SELECT j.id FROM river_job j WHERE j.state = 'running' AND j.attempted_at < now() - $1::interval AND NOT EXISTS (
				SELECT 1 FROM processes p WHERE p.id = j.attempted_by[cardinality(j.attempted_by)] AND p.heartbeat_at > clock_timestamp() - $1::interval)
			ORDER BY j.id FOR UPDATE SKIP LOCKED)`, ProcessTimeout)
	if err != nil {
		return 0, fmt.Errorf("store.FreeJobs: %w", err)
	}
	return tag.RowsAffected(), nil
}
