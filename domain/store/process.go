package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// ProcessTimeout is how long after its last heartbeat a process counts as dead, by the database's clock. What a dead
// process held (budget leases, writer slots) counts as free. The migrations repeat the number.
const ProcessTimeout = 5 * time.Second

// Process is one running Datum process. Times are the database's.
type Process struct {
	ID          string    `db:"id"`
	Host        string    `db:"host"`
	PID         int       `db:"pid"`
	StartedAt   time.Time `db:"started_at"`
	HeartbeatAt time.Time `db:"heartbeat_at"`
	Alive       bool      `db:"alive"`
}

// NewProcess returns a process with a fresh id, not yet known to the database: the first Heartbeat enters it.
func NewProcess(host string, pid int) Process {
	return Process{ID: domain.NewID("prc"), Host: host, PID: pid}
}

// Heartbeat says that the process lives. It enters the process if it is not there, for the first time or because it was
// taken for dead and removed. Call it every second.
func Heartbeat(ctx context.Context, db DB, p Process) (err error) {
	defer domain.Wrap(&err, "store.Heartbeat")
	_, err = db.Exec(ctx, `-- name: Heartbeat
		INSERT INTO processes (id, host, pid) VALUES (@id, @host, @pid)
		ON CONFLICT (id) DO UPDATE SET heartbeat_at = clock_timestamp()`,
		pgx.StrictNamedArgs{"id": p.ID, "host": p.Host, "pid": p.PID})
	return err
}

// StopProcess removes the process; what it held is free at once.
func StopProcess(ctx context.Context, db DB, id string) (err error) {
	defer domain.Wrap(&err, "store.StopProcess")
	_, err = db.Exec(ctx, `-- name: StopProcess
		DELETE FROM processes WHERE id = @id`, pgx.StrictNamedArgs{"id": id})
	return err
}

// Processes returns the processes, oldest first, dead ones too until they are removed.
func Processes(ctx context.Context, db DB) (ps []Process, err error) {
	defer domain.Wrap(&err, "store.Processes")
	rows, err := db.Query(ctx, `-- name: Processes
		SELECT id, host, pid, started_at, heartbeat_at, heartbeat_at > clock_timestamp() - @timeout::interval AS alive
		FROM processes ORDER BY started_at, id`, pgx.StrictNamedArgs{"timeout": ProcessTimeout})
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Process])
}

// RemoveDeadProcesses removes processes without a heartbeat for longer than after and returns how many.
func RemoveDeadProcesses(ctx context.Context, db DB, after time.Duration) (n int64, err error) {
	defer domain.Wrap(&err, "store.RemoveDeadProcesses")
	tag, err := db.Exec(ctx, `-- name: RemoveDeadProcesses
		DELETE FROM processes WHERE heartbeat_at <= clock_timestamp() - @after::interval`,
		pgx.StrictNamedArgs{"after": max(after, ProcessTimeout)})
	return tag.RowsAffected(), err
}

// free is the condition under which a leased row may be taken: no lease, one that has run out, or one of a dead process.
const free = `(lease_until IS NULL OR lease_until < now() OR NOT EXISTS (SELECT 1 FROM processes lp
	WHERE lp.id = lease_process AND lp.heartbeat_at > clock_timestamp() - interval '5 s'))`
