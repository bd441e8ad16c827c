//go:build linux

package jobs_test

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"datum/adapters/sim"
	"datum/domain/store"
	"datum/internal/pgdev"
	"datum/migrations"
)

func drilled(t *testing.T) {
	if os.Getenv("DATUM_DRILL") == "" {
		t.Skip("set DATUM_DRILL=1 for the drills")
	}
}

// level proves that everybody is level and that nothing is left for a person.
func (r *rig) levelWithoutCases(n int, made map[string]int) {
	r.t.Helper()
	r.level(n, made)
	cases, err := store.CountCases(context.Background(), r.pool)
	must(r.t, err)
	in, err := store.Inboxes(context.Background(), r.pool)
	must(r.t, err)
	if len(cases) > 0 || len(in) > 0 {
		r.t.Errorf("left for a person: cases %v, signals %v", cases, in)
	}
}

// TestDrillVendorDownAnHour: accounting answers nothing but 503 for an hour, in which customers come in on all sides. The hour is
// compressed: each round everything that waits is moved five minutes ahead. The vendor is called a few times for each thing that
// waits, nothing is given up or refused, the other system goes on, and afterwards everybody is level without anybody's help.
func TestDrillVendorDownAnHour(t *testing.T) {
	drilled(t)
	t.Parallel()
	const rounds, each = 12, 6
	r := newRig(t, func(c *rigConfig) { c.policy, c.poll = opsOwns("phone"), 2*time.Second })
	r.quiet(20 * time.Second)
	ctx := context.Background()
	_, err := r.xero.AddFault(sim.Fault{Kind: sim.FaultStatus, Status: 503})
	must(t, err)
	calls := r.xero.Stats().Requests
	made := map[string]int{}
	var last []string
	for i := range rounds {
		at := i * each
		r.set(last, "phone", func(k int) string { return phone(at + k) })
		last = r.byOps(at, at+2)
		for k := at + 2; k < at+4; k++ {
			r.inCRM(k)
		}
		for k := at + 4; k < at+each; k++ {
			r.inXero(k)
		}
		made["crm"] += 4
		made["accounting"] += 4
		time.Sleep(2 * time.Second) // what is due now is tried
		for _, sql := range []string{`UPDATE projections SET due_at = due_at - interval '5 min', pending_since = pending_since - interval '5 min' WHERE status = 'pending'`,
			`UPDATE signals SET due_at = due_at - interval '5 min', received_at = received_at - interval '5 min' WHERE status = 'pending'`} {
			_, err := r.pool.Exec(ctx, sql)
			must(t, err)
		}
	}
	if n := len(r.ledger("crm")); n < rounds*4 {
		t.Errorf("the other system has %d customers: it was held up", n)
	}
	var failed, refused int
	must(t, r.pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM signals WHERE status = 'failed'), (SELECT count(*) FROM projections WHERE status = 'refused')`).Scan(&failed, &refused))
	if failed+refused > 0 {
		t.Errorf("%d signals and %d projections were given up because the vendor was down", failed, refused)
	}
	if n := r.xero.Stats().Requests - calls; n > rounds*40 {
		t.Errorf("a vendor that was down was called %d times", n)
	} else {
		t.Logf("%d calls in the hour", n)
	}
	r.xero.ClearFaults()
	_, err = r.pool.Exec(ctx, `UPDATE projections SET due_at = now() WHERE status = 'pending'`) // five minutes later at most
	must(t, err)
	r.quiet(60 * time.Second)
	r.levelWithoutCases(rounds*each, made)
}

// TestDrillStorm: both vendors answer nine of ten calls with 429 and ask to be left alone for a second, under load. They are not
// hammered, no try is counted, and everybody is level soon after.
func TestDrillStorm(t *testing.T) {
	drilled(t)
	t.Parallel()
	const n, storm = 60, 12 * time.Second
	r := newRig(t, func(c *rigConfig) { c.policy = opsOwns("phone") })
	r.quiet(20 * time.Second)
	for _, v := range []interface {
		AddFault(sim.Fault) (int, error)
	}{r.crm, r.xero} {
		_, err := v.AddFault(sim.Fault{Kind: sim.FaultStatus, Status: 429, RetryAfter: 1, Rate: 0.9})
		must(t, err)
	}
	before := r.xero.Stats().Requests + r.crm.Stats().Requests
	began, made := time.Now(), map[string]int{}
	for i := 0; i < n; i += 4 {
		r.byOps(i, i+2)
		r.inCRM(i + 2)
		r.inXero(i + 3)
		made["crm"] += 3
		made["accounting"] += 3
		time.Sleep(storm / (n / 4)) // the edits are spread over the storm
	}
	took := time.Since(began)
	if calls := r.xero.Stats().Requests + r.crm.Stats().Requests - before; calls > 40*int(took.Seconds()) {
		t.Errorf("%d calls in %s of vendors that ask to be left alone", calls, took)
	} else {
		t.Logf("%d calls in %s", calls, took)
	}
	var attempts int64
	must(t, r.pool.QueryRow(context.Background(), `SELECT coalesce(max(attempts), 0) FROM projections`).Scan(&attempts))
	if attempts > 0 {
		t.Errorf("a limit has cost %d tries", attempts)
	}
	r.crm.ClearFaults()
	r.xero.ClearFaults()
	cleared := time.Now()
	r.quiet(100 * time.Second) // a vendor that says that nothing is left of its minute is left alone for that
	t.Logf("level %.1f s after the storm", time.Since(cleared).Seconds())
	r.levelWithoutCases(n, made)
}

// ownServer is a Postgres of its own, which a test may kill.
func ownServer(t *testing.T) (url string, crash func()) {
	t.Helper()
	ctx := context.Background()
	dir, err := os.MkdirTemp("/tmp", "datum-crash-")
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	c, err := pgdev.Start(ctx, pgdev.Options{Dir: dir, Log: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() { _ = c.Stop() })
	url = c.URL(pgdev.Database)
	pool, err := pgxpool.New(ctx, url)
	must(t, err)
	defer pool.Close()
	must(t, migrations.Apply(ctx, pool, slog.New(slog.DiscardHandler)))
	return url, func() {
		// One of the server's processes is killed: it ends all the others, recovers from its log and comes back.
		conn, err := pgx.Connect(ctx, url)
		must(t, err)
		var pid int
		must(t, conn.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid))
		must(t, syscall.Kill(pid, syscall.SIGKILL))
		eventually(t, 30*time.Second, "Postgres is back", func() (bool, any) {
			time.Sleep(50 * time.Millisecond)
			conn, err := pgx.Connect(ctx, url)
			if err != nil {
				return false, err
			}
			defer conn.Close(ctx)
			var up time.Time
			err = conn.QueryRow(ctx, `SELECT pg_postmaster_start_time()`).Scan(&up)
			return err == nil, err
		})
	}
}

// TestDrillPostgresRestart: Postgres crashes and comes back, four times, while two real processes write to both vendors. Whatever was
// under way is looked up or taken back; nobody restarts anything; everybody is level, and nothing is there twice.
func TestDrillPostgresRestart(t *testing.T) {
	drilled(t)
	t.Parallel()
	const crashes, each = 4, 40
	url, crash := ownServer(t)
	r := newRig(t, func(c *rigConfig) {
		c.policy, c.idle, c.url = opsOwns("phone"), true, url
		c.xero.Latency, c.crm.Latency = 50*time.Millisecond, 30*time.Millisecond
	})
	r.startWorker()
	r.startWorker()
	r.quiet(30 * time.Second)
	made := map[string]int{}
	for i := range crashes {
		at := i * each
		r.byOps(at, at+each-4)
		for k := at + each - 4; k < at+each; k++ {
			if k%2 == 0 {
				r.inCRM(k)
				made["accounting"]++
			} else {
				r.inXero(k)
				made["crm"]++
			}
		}
		made["crm"] += each - 4
		made["accounting"] += each - 4
		eventually(t, 20*time.Second, "writing", func() (bool, any) {
			n, err := store.WritesUnderWay(context.Background(), r.pool, "accounting")
			return err == nil && n > 0, err
		})
		crash()
	}
	r.quiet(90 * time.Second)
	r.levelWithoutCases(crashes*each, made)
}

// TestDrillOutOfMemory: workers run out of memory in the middle of their work, again and again; others go on with it, and
// everybody is level.
func TestDrillOutOfMemory(t *testing.T) {
	drilled(t)
	t.Parallel()
	const deaths, each = 4, 80
	r := newRig(t, func(c *rigConfig) {
		c.policy, c.idle = opsOwns("phone"), true
		c.workerEnv = []string{"GOGC=off"} // so that it is its memory that grows under load
		c.xero.Latency, c.crm.Latency = 30*time.Millisecond, 20*time.Millisecond
	})
	w := r.startWorker()
	r.quiet(30 * time.Second)
	made := 0
	for range deaths {
		starve(t, w.cmd.Process.Pid, 1<<20)
		r.byOps(made, made+each)
		made += each
		for k := 0; ; k++ { // until it has died of it
			select {
			case <-w.dead:
			case <-time.After(200 * time.Millisecond):
				if k > 200 {
					t.Fatal("the worker lives with no memory at all")
				}
				r.byOps(made, made+5)
				made += 5
				continue
			}
			break
		}
		if out := w.out.String(); !strings.Contains(out, "out of memory") && !strings.Contains(out, "cannot allocate memory") && !strings.Contains(out, "failed to create new OS thread") &&
			!strings.Contains(out, "pthread_create failed") {
			t.Fatalf("it died of something else: %s", out[max(0, len(out)-2000):])
		}
		w.start()
		r.quiet(90 * time.Second)
	}
	r.levelWithoutCases(made, map[string]int{"crm": made, "accounting": made})
	t.Logf("%d customers, %d deaths", made, deaths)
}
