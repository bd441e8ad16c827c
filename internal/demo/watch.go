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
}

// status is what the live summary shows.
type status struct {
	signals            int64 // waiting
	pending            map[string]int64
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
	for _, i := range in {
		st.signals += i.Pending
	}
	out, err := store.Backlogs(ctx, w.d.Pool)
	if err != nil {
		return st, err
	}
	st.pending = map[string]int64{}
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
	n := st.signals
	for _, x := range st.pending {
		n += x
	}
	return n
}

func (w *watch) print(st status) {
	edits, latest := w.p.count()
	var cases []string
	for _, k := range slices.Sorted(maps.Keys(st.cases)) {
		cases = append(cases, fmt.Sprintf("%d %s", st.cases[k], strings.ReplaceAll(k, "_", " ")))
	}
	way := "all level"
	if n := st.pending["crm"] + st.pending["accounting"]; n > 0 {
		way = fmt.Sprintf("on their way: %d to HubSpot, %d to Xero, oldest %.1f s", st.pending["crm"], st.pending["accounting"], st.oldest.Seconds())
	}
	if st.signals > 0 {
		way += fmt.Sprintf("; %d changes to take in", st.signals)
	}
	fmt.Fprintf(w.out, "%5.1fs  %d customers, %s | people have to decide: %s | %d edits%s\n", time.Since(w.began).Seconds(), st.entities, way,
		strings.Join(cases, ", "), edits, quote(latest)+limited(st))
}

// limited says why something waits when nothing is wrong.
func limited(st status) string {
	if st.oldest < 5*time.Second || st.pending["accounting"] == 0 {
		return ""
	}
	return " | Xero takes 60 calls a minute: changes wait to be written together"
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
