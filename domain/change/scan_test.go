package change_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// TestDrillScan: twenty thousand customers, one in ten of them in twice, are looked through in minutes, at a cost for each that does not
// grow with their number, and in little memory.
func TestDrillScan(t *testing.T) {
	if os.Getenv("DATUM_DRILL") == "" {
		t.Skip("set DATUM_DRILL=1 for the few minutes of the drill; TestScanIsResumed is the short one")
	}
	words := strings.Fields("Acacia Banksia Boronia Correa Dianella Eremophila Grevillea Hakea Kunzea Melaleuca Olearia Pimelea Telopea Wattle Waratah Zieria")
	trades := strings.Fields("Joinery Plumbing Freight Roofing Nursery Bakery Timber Glass Electrical Transport")
	streets := strings.Fields("Quay Port High Station Victoria Church George King Market Bridge")
	filled := func(n int) *world {
		w := newWorld(t, strings.Replace(ownership.DefaultSource(), "match: {ask: 0.8}", "match: {}", 1))
		var wg sync.WaitGroup
		for k := range 4 {
			a := w.process()
			wg.Go(func() {
				for i := k; i < n; i += 4 {
					who := i
					if i%10 == 9 {
						who = i - 5 // somebody who is there already
					}
					name := fmt.Sprintf("%s %s %s %d", words[who%16], words[who/16%16], trades[who/7%10], who/2560)
					v := values("legalName", name, "phone", fmt.Sprintf("+613%08d", 50000000+who))
					v["billingAddress"] = address(fmt.Sprintf("%d %s Street", 1+who%300, streets[who/3%10]), "Carlton", fmt.Sprint(3000+who/10)) // as many in each place, however many there are
					rec := w.record(fmt.Sprintf("h%06d", i), 1, w.shelf.carried(crm, v))
					if _, err := a.Record(ctx, change.Incoming{System: crm, Record: rec, Cause: w.cause(crm, change.FromPoll)}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		_, err := w.pool.Exec(ctx, "ANALYZE") // as Postgres does by itself
		w.ok(err)
		return w
	}
	type side struct {
		w    *world
		n    int
		scan store.DuplicateScan
		took time.Duration
	}
	sides := []*side{{w: filled(2500), n: 2500}, {w: filled(20_000), n: 20_000}}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, most := m.HeapAlloc, uint64(0)
	for _, x := range sides {
		var err error
		x.scan, err = x.w.a.StartScan(ctx, change.Scan{Kind: customer, Dry: true, PerSecond: 100_000}, x.w.cause(ops, change.FromCase))
		x.w.ok(err)
	}
	for going := true; going; { // in turn, so that the machine is as busy for both
		going = false
		for _, x := range sides {
			if x.scan.Status != "running" {
				continue
			}
			began := time.Now()
			var err error
			x.scan, err = x.w.a.RunScan(ctx, x.scan.ID, "", 100*time.Millisecond*time.Duration(x.n/2500), nil)
			x.w.ok(err)
			x.took, going = x.took+time.Since(began), true
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	each := func(x *side) time.Duration { return x.took / time.Duration(x.n) }
	for _, x := range sides {
		t.Logf("%d customers: %v, %v each, %d pairs", x.n, x.took.Round(time.Millisecond), each(x).Round(time.Microsecond), x.scan.Pairs)
		if x.scan.Compared != int64(x.n) || x.scan.Pairs < int64(x.n/10) {
			t.Errorf("it ended as %+v", x.scan)
		}
	}
	if most > before+64<<20 {
		t.Errorf("it took %d MB", (most-before)>>20)
	}
	if few, many := each(sides[0]), each(sides[1]); many > 2*few {
		t.Errorf("%v for each of 20,000 and %v for each of 2,500: it grows", many, few)
	}
}
