//go:build unix

package jobs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"datum/adapters/hubspotsim"
	"datum/adapters/sim"
	"datum/adapters/xerosim"
	"datum/domain"
	"datum/domain/store"
)

// TestDrillKill is the whole drill: about two minutes of kill -9 and SIGSTOP against three real processes. It runs with
// DATUM_DRILL=1.
func TestDrillKill(t *testing.T) {
	if os.Getenv("DATUM_DRILL") == "" {
		t.Skip("set DATUM_DRILL=1 for the two minutes of the whole drill; TestKilledWorkersLoseNothing is the short one")
	}
	drill{customers: 2000, kills: 50, stops: 5, stopFor: 8 * time.Second, pause: 700 * time.Millisecond}.run(t)
}

// TestKilledWorkersLoseNothing: real processes die and freeze in the middle of writing, and the vendors reset connections
// after they have committed; yet every customer is in both vendors exactly once.
func TestKilledWorkersLoseNothing(t *testing.T) {
	t.Parallel()
	drill{customers: 200, kills: 5, stops: 1, stopFor: 6500 * time.Millisecond, pause: 400 * time.Millisecond}.run(t)
}

// TestProcessesRefreshOnce: the token of each vendor expires while the workers of three real processes are busy with it. It is
// renewed once, and no refresh token is used twice.
func TestProcessesRefreshOnce(t *testing.T) {
	t.Parallel()
	const n = 60
	r := newRig(t, func(c *rigConfig) {
		c.idle, c.policy = true, opsOwns("phone")
		c.xero.Latency, c.crm.Latency = 30*time.Millisecond, 30*time.Millisecond
	})
	for range 3 {
		r.startWorker()
	}
	r.quiet(30 * time.Second)
	before := map[string]sim.Stats{"crm": r.crm.Stats(), "accounting": r.xero.Stats()}
	for i := range n { // 20 signals a process, each worked off by any of its 6 workers
		if i == n/3 {
			r.crm.Expire()
			r.xero.Expire()
		}
		if i%2 == 0 {
			r.inCRM(i)
		} else {
			r.inXero(i)
		}
	}
	r.quiet(30 * time.Second)
	for system, s := range map[string]sim.Stats{"crm": r.crm.Stats(), "accounting": r.xero.Stats()} {
		if got := s.TokenRefreshes - before[system].TokenRefreshes; got != 1 || s.InvalidRefreshes > 0 {
			t.Errorf("%s: %d refreshes, %d refused; want 1 and 0", system, got, s.InvalidRefreshes)
		}
		if s.Statuses["401"] == 0 {
			t.Errorf("%s: nobody met the expired token: nothing is proven", system)
		}
	}
	r.level(n, map[string]int{"crm": n / 2, "accounting": n / 2})
}

// TestDrillBudget: three real processes with a backlog of full batches use at least 95% of the 60 calls a minute that Xero
// allows, and never overrun it. It runs with DATUM_DRILL=1 and takes two and a half minutes.
func TestDrillBudget(t *testing.T) {
	if os.Getenv("DATUM_DRILL") == "" {
		t.Skip("set DATUM_DRILL=1 for two minutes of the vendor's limit; TestBudgetUse has the same with an injected clock")
	}
	const calls, per = 60, time.Minute
	n := 50*2*calls + 2000
	r := newRig(t, func(c *rigConfig) {
		c.idle, c.policy, c.noHooks, c.poll = true, opsOwns("phone"), true, time.Hour
		c.xero.Limits = xerosim.Limits{Minute: calls, Day: -1, AppMinute: -1, Concurrent: 5}
		c.settings["accounting"]["limit.minute"] = fmt.Sprint(calls)
	})
	for range 3 {
		r.startWorker()
	}
	ctx := context.Background()
	eventually(t, 60*time.Second, "both are read", func() (bool, any) {
		ready, err := store.ReadySystems(ctx, r.pool, domain.KindCustomer)
		must(t, err)
		return len(ready) == 2, ready
	})
	must(t, r.engine.SetMode(ctx, "accounting", store.ModeObserve, causeOf("test")))
	must(t, r.engine.SetMode(ctx, "crm", store.ModeOff, causeOf("test")))
	r.byOps(0, n)
	must(t, r.engine.SetMode(ctx, "accounting", store.ModeLive, causeOf("test")))
	made := func() int { return r.xero.Stats().WriteCalls["POST /api.xro/2.0/Contacts"] }
	eventually(t, 2*per, "a full window", func() (bool, any) { return made() >= calls-5, made() })
	from, at := made(), time.Now()
	// As many calls as one window allows: they take the time from one window's calls to the next one's.
	for made()-from < calls && time.Since(at) < 2*per {
		time.Sleep(20 * time.Millisecond)
	}
	got, took := made()-from, time.Since(at)
	allowed := float64(calls) * took.Seconds() / per.Seconds()
	t.Logf("%d of %.1f allowed calls in %.1f s (%.0f%%)", got, allowed, took.Seconds(), 100*float64(got)/allowed)
	if s := r.xero.Stats(); s.Limited > 0 || float64(got) < 0.95*allowed {
		t.Errorf("%d of %.1f allowed calls; refused %d", got, allowed, s.Limited)
	}
}

type drill struct {
	customers, kills, stops int
	stopFor, pause          time.Duration
}

func (d drill) run(t *testing.T) {
	const processes = 3
	r := newRig(t, func(c *rigConfig) {
		c.idle = true
		c.policy = opsOwns("phone")
		// Slow vendors, so that a process often dies in the middle of a call.
		c.xero.Latency, c.crm.Latency = 60*time.Millisecond, 40*time.Millisecond
		c.xero.Limits = xerosim.Limits{Minute: -1, Day: -1, AppMinute: -1, Concurrent: -1}
		c.crm.Limits = hubspotsim.Limits{Burst: 100000, Search: 10000}
	})
	for v, path := range map[interface{ AddFault(sim.Fault) (int, error) }]string{r.crm: "/batch/", r.xero: "/Contacts"} {
		for _, f := range []sim.Fault{{Kind: sim.FaultReset, Count: 2}, {Kind: sim.FaultReset, Rate: 0.25}, {Kind: sim.FaultStatus, Status: 503, AfterCommit: true, Rate: 0.1}} {
			f.Method, f.Path = "POST", path
			_, err := v.AddFault(f)
			must(t, err)
		}
	}
	workers := make([]*worker, processes)
	for i := range workers {
		workers[i] = r.startWorker()
	}
	rnd := rand.New(rand.NewPCG(7, 7))
	events := d.kills + d.stops
	var stopping sync.WaitGroup
	made := map[string]int{}
	began := time.Now()
	var edited []string
	for i := range events {
		// Half of the customers come from an internal app, a quarter is entered in each vendor.
		from, to := d.customers*i/events, d.customers*(i+1)/events
		half := from + (to-from+1)/2
		r.set(edited, "phone", func(n int) string { return phone(i*100 + n) })
		ids := r.byOps(from, half)
		edited = ids[:len(ids)/2]
		made["crm"] += len(ids)
		made["accounting"] += len(ids)
		for n := half; n < to; n++ {
			if n%2 == 0 {
				r.inCRM(n)
				made["accounting"]++
			} else {
				r.inXero(n)
				made["crm"]++
			}
		}
		time.Sleep(time.Duration(rnd.Int64N(int64(d.pause)))) // when it happens is left to chance
		w := workers[rnd.IntN(processes)]
		for w.isHeld() {
			w = workers[rnd.IntN(processes)]
		}
		if d.stops > 0 && i%(events/d.stops) == 0 && i/(events/d.stops) < d.stops {
			stopping.Go(func() { w.stop(d.stopFor) })
			for !w.isHeld() {
				time.Sleep(time.Millisecond)
			}
			continue
		}
		w.kill()
		w.start()
	}
	stopping.Wait()
	r.crm.ClearFaults()
	r.xero.ClearFaults()
	ended := time.Now()
	r.quiet(90 * time.Second)
	t.Logf("%d customers, %d kills and %d stops in %.1f s; level %.1f s later; resets after commit: %d and %d", d.customers, d.kills, d.stops,
		ended.Sub(began).Seconds(), time.Since(ended).Seconds(), r.crm.Stats().Faults[sim.FaultReset], r.xero.Stats().Faults[sim.FaultReset])
	if resets := r.crm.Stats().Faults[sim.FaultReset] + r.xero.Stats().Faults[sim.FaultReset]; resets == 0 {
		t.Error("no connection was reset after a commit: too little is proven")
	}
	r.level(d.customers, made)
}
