package jobs_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// statements counts what is asked of the database, as a pgx.QueryTracer.
type statements struct{ n atomic.Int64 }

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	s.n.Add(1)
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchStartData) context.Context {
	s.n.Add(int64(d.Batch.Len()))
	return ctx
}

func (s *statements) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

func (s *statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

// load is what work has cost: processor time of this process, in which the simulators run too, and of Postgres, and statements.
type load struct {
	r        *rig
	asked    *statements
	self     time.Duration
	postgres map[int]time.Duration
	before   int64
}

func (r *rig) load(asked *statements) load {
	return load{r: r, asked: asked, self: spent(), postgres: r.postgres(), before: asked.n.Load()}
}

// report divides by what has been done since.
func (l load) report(b *testing.B, n int, of string) {
	b.Helper()
	each := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 / float64(n) }
	b.ReportMetric(float64(l.asked.n.Load()-l.before)/float64(n), "statements/"+of)
	b.ReportMetric(each(spent()-l.self), "cpu-ms/"+of)
	var pg time.Duration
	for pid, d := range l.r.postgres() {
		pg += d - l.postgres[pid]
	}
	if pg > 0 {
		b.ReportMetric(each(pg), "postgres-cpu-ms/"+of)
	}
}

// spent is the processor time of this process.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// postgres is the processor time of the database's connections, by process; nothing where /proc does not show it.
func (r *rig) postgres() map[int]time.Duration {
	rows, err := r.pool.Query(context.Background(), `SELECT pid FROM pg_stat_activity WHERE datname = current_database() ORDER BY pid`)
	must(r.t, err)
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	must(r.t, err)
	took := map[int]time.Duration{}
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		var user, system int64
		if f := strings.Fields(rest); len(f) > 12 {
			if _, err := fmt.Sscan(f[11]+" "+f[12], &user, &system); err == nil {
				took[pid] = time.Duration(user+system) * time.Second / 100 // Linux counts in hundredths
			}
		}
	}
	return took
}
