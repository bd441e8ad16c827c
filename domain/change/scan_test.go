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
	w := newWorld(t, strings.Replace(ownership.DefaultSource(), "match: {ask: 0.8}", "match: {}", 1))
	words := strings.Fields("Acacia Banksia Boronia Correa Dianella Eremophila Grevillea Hakea Kunzea Melaleuca Olearia Pimelea Telopea Wattle Waratah Zieria")
	trades := strings.Fields("Joinery Plumbing Freight Roofing Nursery Bakery Timber Glass Electrical Transport")
	streets := strings.Fields("Quay Port High Station Victoria Church George King Market Bridge")
	bring := func(from, to int) {
		var wg sync.WaitGroup
		for k := range 4 {
			a := w.process()
			wg.Go(func() {
				for i := from + k; i < to; i += 4 {
					who := i
					if i%10 == 9 {
						who = i - 5 // somebody who is there already
					}
					name := fmt.Sprintf("%s %s %s %d", words[who%16], words[who/16%16], trades[who/7%10], who/2560)
					v := values("legalName", name, "phone", fmt.Sprintf("+613%08d", 50000000+who))
					v["billingAddress"] = address(fmt.Sprintf("%d %s Street", 1+who%300, streets[who/3%10]), "Carlton", fmt.Sprint(3000+who%400))
					rec := w.record(fmt.Sprintf("h%06d", i), 1, w.shelf.carried(crm, v))
					if _, err := a.Record(ctx, change.Incoming{System: crm, Record: rec, Cause: w.cause(crm, change.FromPoll)}); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
	}
	scan := func(n int) (each time.Duration) {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		before, most := m.HeapAlloc, uint64(0)
		began := time.Now()
		s, err := w.a.StartScan(ctx, change.Scan{Kind: customer, Dry: true, PerSecond: 100_000}, w.cause(ops, change.FromCase))
		w.ok(err)
		s, err = w.a.RunScan(ctx, s.ID, "", 0, func(store.DuplicateScan) {
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		})
		w.ok(err)
		took := time.Since(began)
		t.Logf("%d customers: %v, %v each, %d pairs, at most %d MB more", n, took.Round(time.Millisecond), (took / time.Duration(n)).Round(time.Microsecond), s.Pairs, (int64(most)-int64(before))>>20)
		if s.Compared != int64(n) || s.Pairs < int64(n/10) {
			t.Errorf("it ended as %+v", s)
		}
		if most > before+64<<20 {
			t.Errorf("it took %d MB", (most-before)>>20)
		}
		return took / time.Duration(n)
	}
	bring(0, 5000)
	few := scan(5000)
	bring(5000, 20000)
	if many := scan(20000); many > 2*few {
		t.Errorf("%v for each of 20,000 and %v for each of 5,000: it grows", many, few)
	}
}
