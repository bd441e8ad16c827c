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
