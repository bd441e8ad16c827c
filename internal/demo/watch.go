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
	ready, err := store.ReadySystems(ctx, w.d.Pool, domain.KindCustomer)
	if err != nil {
		return st, err
	}
	st.ready = len(ready)
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
	fmt.Fprintf(w.out, "%5.1fs  %d customers; to write: crm %d, accounting %d (oldest %.1fs); signals waiting %d; refused %d, parked %d; cases: %s; edits %d%s\n",
		time.Since(w.began).Seconds(), st.entities, st.pending["crm"], st.pending["accounting"], st.oldest.Seconds(), st.signals, st.refused, st.parked,
		strings.Join(cases, ", "), edits, quote(latest))
}

func quote(s string) string {
	if s == "" {
		return ""
	}
	if r := []rune(s); len(r) > 70 {
		s = string(r[:70]) + "…"
	}
	return " (last: " + s + ")"
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

// story follows one ugly customer through every system, and prints the summary beside it, until ctx ends.
func (w *watch) story(ctx context.Context, bs []business) {
	var hero business
	for _, b := range bs {
		if b.XeroSuburb != "" {
			hero = b
			break
		}
	}
	told := map[int64]bool{}
	headed := false
	for n := 0; ctx.Err() == nil; n++ {
		if st, err := w.read(ctx); err == nil && n%5 == 0 {
			w.print(st)
		}
		cs, err := store.ListCustomers(ctx, w.d.Pool, store.CustomerFilter{ABN: hero.ABN}, store.CustomerPage{Order: store.OrderByID, Limit: 1})
		if err == nil && len(cs) == 1 {
			if !headed {
				headed = true
				fmt.Fprintf(w.out, "        follow %s (%s): %s; its id is %s\n", hero.Name, spaced(hero.ABN), hero.Why, cs[0].ID)
			}
			w.tell(ctx, cs[0].ID, told)
		}
		if !pause(ctx, time.Second) {
			return
		}
	}
}

// tell prints the history rows that have not been told yet.
func (w *watch) tell(ctx context.Context, id string, told map[int64]bool) {
	rows, err := store.HistoryOf(ctx, w.d.Pool, id, 0, 200)
	if err != nil {
		return
	}
	for _, h := range rows {
		if told[h.ID] {
			continue
		}
		told[h.ID] = true
		switch h.Action {
		case store.ActionCreated:
			fmt.Fprintf(w.out, "          created, because %s brought it (%s)\n", strings.TrimPrefix(h.Actor, "system:"), h.Source)
		case store.ActionLinked:
			fmt.Fprintf(w.out, "          %s record %s is the same customer: %s\n", h.System, h.ExternalID, h.Note)
		case store.ActionSet:
			if h.Field == "billingAddress" || h.Field == "legalName" {
				fmt.Fprintf(w.out, "          %s is now %s, the word of %s (%s; owner %s)\n", h.Field, short(h.New), h.System, h.Why, h.Owner)
			}
		case store.ActionRestored, store.ActionProposed, store.ActionKept:
			fmt.Fprintf(w.out, "          %s said %s is %s: %s (%s)\n", h.System, h.Field, short(h.Old), h.Action, h.Note)
		}
	}
}

func short(v domain.Value) string {
	if r := []rune(string(v)); len(r) > 90 {
		return string(r[:90]) + "…"
	}
	return string(v)
}
