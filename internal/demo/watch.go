package demo

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"datum/domain"
	"datum/domain/store"
)

// watch reads Datum's own state and prints it as it moves.
type watch struct {
	d     Datum
	s     *Sims
	p     *people
	out   io.Writer
	began time.Time
	last  string // the line printed last, without its time
	shown time.Time
}

// status is what the live summary shows.
type status struct {
	signals, pending   map[string]int64 // what waits, by system
	refused, parked    int64
	oldest             time.Duration
	cases              map[string]int64
	ready              int
	entities, accepted int64
}

func (w *watch) read(ctx context.Context) (st status, err error) {
	in, err := store.Inboxes(ctx, w.d.Pool)
	if err != nil {
		return st, err
	}
	st.signals, st.pending = map[string]int64{}, map[string]int64{}
	for _, i := range in {
		st.signals[i.System] = i.Pending
		if i.Oldest != nil {
			st.oldest = max(st.oldest, time.Since(*i.Oldest))
		}
	}
	out, err := store.Backlogs(ctx, w.d.Pool)
	if err != nil {
		return st, err
	}
	for _, b := range out {
		st.pending[b.System] += b.Pending
		st.refused += b.Refused
		st.parked += b.Parked
		if b.OldestPending != nil {
			st.oldest = max(st.oldest, time.Since(*b.OldestPending))
		}
	}
	if st.cases, err = store.CountCases(ctx, w.d.Pool); err != nil {
		return st, err
	}
	// Each first reading waits for the ones before it; these are the last.
	for _, x := range []struct {
		system string
		kind   domain.Kind
	}{{"crm", domain.KindQuote}, {"accounting", domain.KindInvoice}, {"shop", domain.KindOrder}, {"warehouse", domain.KindStockLevel}, {"branch", domain.KindInvoice}, {"database", domain.KindCustomer}} {
		ready, err := store.ReadySystems(ctx, w.d.Pool, x.kind)
		if err != nil {
			return st, err
		}
		if ready[x.system] {
			st.ready++
		}
	}
	st.entities, st.accepted, err = store.Totals(ctx, w.d.Pool, domain.KindCustomer)
	return st, err
}

func (st status) waiting() int64 {
	n := int64(0)
	for _, by := range []map[string]int64{st.signals, st.pending} {
		for _, x := range by {
			n += x
		}
	}
	return n
}

// each lists how many of each system, "" if none has any.
func each(by map[string]int64, way string) string {
	var parts []string
	for _, s := range slices.Sorted(maps.Keys(by)) {
		if by[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s %s", by[s], way, vendorOf(s)))
		}
	}
	return strings.Join(parts, ", ")
}

func (w *watch) print(st status) {
	edits, latest := w.p.count()
	var cases []string
	for _, k := range slices.Sorted(maps.Keys(st.cases)) {
		cases = append(cases, fmt.Sprintf("%d %s", st.cases[k], strings.ReplaceAll(k, "_", " ")))
	}
	var way []string
	if to := each(st.pending, "to"); to != "" {
		way = append(way, "on their way: "+to)
	}
	if from := each(st.signals, "from"); from != "" {
		way = append(way, "to take in: "+from)
	}
	if len(way) == 0 {
		way = append(way, "all level")
	}
	line := fmt.Sprintf("%d customers, %s | people have to decide: %s | %d edits%s", st.entities, strings.Join(way, "; "),
		strings.Join(cases, ", "), edits, quote(latest)+limited(st))
	same := line == w.last
	if same && time.Since(w.shown) < 10*time.Second {
		return
	}
	w.last, w.shown = line, time.Now()
	if st.oldest > 0 {
		line += fmt.Sprintf(" | the oldest waits for %.0f s", st.oldest.Seconds())
	}
	fmt.Fprintf(w.out, "%5.1fs  %s\n", time.Since(w.began).Seconds(), line)
}

// limited says why something waits when nothing is wrong.
func limited(st status) string {
	var slow []string
	for _, s := range []string{"accounting", "warehouse"} {
		if st.oldest >= 5*time.Second && st.pending[s]+st.signals[s] > 0 {
			slow = append(slow, vendorOf(s))
		}
	}
	if len(slow) == 0 {
		return ""
	}
	return " | " + strings.Join(slow, " and ") + ": 60 calls a minute, so changes wait to go together"
}

func quote(s string) string {
	if s == "" {
		return ""
	}
	if r := []rune(s); len(r) > 70 {
		s = string(r[:70]) + "…"
	}
	return ", last: " + s
}

// until prints every two seconds until ok, ctx ends or the time is up, which is an error.
func (w *watch) until(ctx context.Context, within time.Duration, ok func(status) bool) error {
	end, shown := time.Now().Add(within), time.Now()
	for {
		st, err := w.read(ctx)
		if err != nil {
			return err
		}
		if ok(st) {
			return nil
		}
		if time.Now().After(end) {
			w.print(st)
			return domain.Errorf(domain.Unavailable, "the systems are not level after %s", within)
		}
		if time.Since(shown) > 2*time.Second {
			shown = time.Now()
			w.print(st)
		}
		if !pause(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
