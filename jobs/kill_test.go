//go:build unix

package jobs_test

import (
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"

	"datum/adapters/hubspotsim"
	"datum/adapters/sim"
	"datum/adapters/xerosim"
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
	for _, f := range []sim.Fault{{Kind: sim.FaultReset, Method: "POST", Path: "/batch/", Rate: 0.15}, {Kind: sim.FaultStatus, Status: 503, AfterCommit: true, Method: "POST", Path: "/batch/", Rate: 0.05}} {
		_, err := r.crm.AddFault(f)
		must(t, err)
	}
	for _, f := range []sim.Fault{{Kind: sim.FaultReset, Method: "POST", Path: "/Contacts", Rate: 0.15}, {Kind: sim.FaultStatus, Status: 503, AfterCommit: true, Method: "POST", Path: "/Contacts", Rate: 0.05}} {
		_, err := r.xero.AddFault(f)
		must(t, err)
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
	r.level(d.customers, made)
}
