package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"datum/domain"
	"datum/domain/store"
	"datum/jobs"
)

// swept are the comparisons that are made when people have stopped.
var swept = []struct {
	system string
	kind   domain.Kind
}{{"crm", domain.KindCustomer}, {"accounting", domain.KindCustomer}, {"crm", domain.KindQuote}, {"shop", domain.KindProduct}, {"shop", domain.KindOrder}, {"shop", domain.KindCreditNote}, {"shop", domain.KindPayment},
	{"accounting", domain.KindInvoice}, {"accounting", domain.KindPayment}, {"warehouse", domain.KindStockLevel}, {"warehouse", domain.KindOrder}}

// prove brings everything to rest and checks the invariants against the simulators' own ledgers.
func prove(ctx context.Context, o Options, s *Sims, d Datum, w *watch, cases []decided) (Result, error) {
	say := func(format string, args ...any) { fmt.Fprintf(o.Talk, format+"\n", args...) }
	say("%5.1fs  people stop; a sweep repairs what lost webhooks left behind", time.Since(w.began).Seconds())
	stopped := time.Now()
	for _, system := range vendorSystems {
		s.of(system).ClearFaults()
		if err := s.of(system).Idle(ctx); err != nil {
			return Result{}, err
		}
	}
	for _, x := range swept {
		if err := d.Engine.Sweep(ctx, x.system, x.kind); err != nil {
			return Result{}, err
		}
	}
	// Level means: both sweeps have been made since the last edit, and nothing waits.
	err := w.until(ctx, 10*time.Minute, func(st status) bool {
		for _, x := range swept {
			done, err := d.Engine.SweptSince(ctx, x.system, x.kind, stopped)
			if err != nil || !done {
				return false
			}
		}
		return st.waiting() == 0
	})
	if err != nil {
		return Result{}, err
	}
	res := Result{Seed: o.Seed, Decided: cases, SecondsToLevel: float64(time.Since(stopped).Round(time.Millisecond)) / 1e9, Broken: []string{}}
	st, err := w.read(ctx)
	if err != nil {
		return res, err
	}
	res.Entities, res.Signals, res.Cases = int(st.entities), st.accepted, st.cases
	for _, n := range st.cases {
		res.OpenCases += n
	}
	if err := examples(ctx, d, say); err != nil {
		return res, err
	}
	res.Edits, _ = w.p.count()
	res.Webhooks = map[string]int{}
	for _, system := range vendorSystems {
		x := s.of(system).Stats()
		res.Creates += x.Creates
		res.Webhooks["lost"] += x.Webhooks.Dropped
		res.Webhooks["twice"] += x.Webhooks.Duplicated
		res.Webhooks["late"] += x.Webhooks.Delayed + x.Webhooks.Reordered
	}
	for system, v := range map[string]Simulator{"crm": s.CRM, "accounting": s.Accounting} {
		ledger, err := ledgerOf(system, v)
		if err != nil {
			return res, err
		}
		a, err := d.Engine.Audit(ctx, system, domain.KindCustomer)
		if err != nil {
			return res, err
		}
		res.judge(system, v, ledger, a)
	}
	for _, c := range cases {
		if c.Opened == 0 && o.For >= 45*time.Second {
			res.Broken = append(res.Broken, "no case of kind "+c.Kind+" was opened, although its cause was there")
		}
	}
	if err := res.tie(ctx, s, d); err != nil {
		return res, err
	}
	// The policy in force, applied anew to every contribution, must change nothing.
	policy, err := store.Policy(ctx, d.Pool, 0)
	if err != nil {
		return res, err
	}
	eff, err := d.Engine.Applier().Diff(ctx, policy.Source, nil)
	if err != nil {
		return res, err
	}
	for f, n := range eff.Golden {
		res.Broken = append(res.Broken, fmt.Sprintf("%d golden values of %s are not what the policy selects", n, f))
	}
	for s, n := range eff.Writes {
		res.Broken = append(res.Broken, fmt.Sprintf("%d records of %s are not what the policy wants", n, s))
	}
	res.OK = len(res.Broken) == 0
	return res, nil
}

// examples shows what people would find in the queue: some cases of each kind.
func examples(ctx context.Context, d Datum, say func(string, ...any)) error {
	cases, err := store.ListCases(ctx, d.Pool, store.CaseFilter{Status: "open"}, nil, "", 1000)
	if err != nil {
		return err
	}
	shown := map[string]int{}
	for _, c := range cases {
		if shown[c.Kind]++; shown[c.Kind] <= 2 || c.Kind == store.CaseRefused || c.Kind == store.CaseFlow || c.Kind == store.CaseStuck {
			say("          case %s: %s: %s", strings.ReplaceAll(c.Kind, "_", " "), c.Title, c.Detail.Message)
		}
	}
	return nil
}

// ledgerOf returns the ids of the live objects in the simulator that are customers, by its own books.
func ledgerOf(system string, v Simulator) (map[string]bool, error) {
	ids := map[string]bool{}
	types := map[string]string{"contacts": ""}
	if system == "crm" {
		types = map[string]string{"companies": "companies/"}
	}
	for typ, prefix := range types {
		objects, err := v.Objects(typ)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			m := plain(o)
			if !live(m) {
				continue
			}
			if id, ok := m["ContactID"].(string); ok {
				ids[id] = true
			} else {
				ids[prefix+fmt.Sprint(m["id"])] = true
			}
		}
	}
	return ids, nil
}

// judge compares one vendor's ledger with what Datum holds.
func (r *Result) judge(system string, v Simulator, ledger map[string]bool, a jobs.Audit) {
	broken := func(format string, args ...any) {
		r.Broken = append(r.Broken, system+": "+fmt.Sprintf(format, args...))
	}
	lost := 0
	for id := range ledger {
		if !a.Linked[id] {
			lost++
		}
	}
	if lost > 0 {
		broken("%d objects are in the vendor's ledger and belong to no customer in Datum", lost)
	}
	r.Lost += lost
	if n := len(a.Different); n > 0 {
		r.Lost += n
		broken("%d records differ from what Datum stored, first %s", n, a.Different[0])
	}
	if n := len(a.Unlevel); n > 0 {
		r.Lost += n
		broken("%d customers are not level and no case says why, first %s", n, a.Unlevel[0])
	}
	dup := v.Duplicates() + a.Twice
	made := v.Stats().Creates
	if of := v.Stats().CreatesOf; len(of) > 0 {
		made = of["companies"] + of["contacts"] // the others are not customers
	}
	if creates := made - a.Made; creates > 0 {
		dup += creates
	}
	if dup > 0 {
		broken("%d records were created twice", dup)
	}
	r.Duplicates += dup
	if x := v.Stats(); x.Limited > 0 {
		broken("the vendor's limit was overrun %d times", x.Limited)
	}
}

func (r *Result) print(out io.Writer) {
	verdict := "nothing lost, nothing twice, every cent in its place: checked against the vendors' own books"
	if !r.OK {
		verdict = "BROKEN"
	}
	fmt.Fprintln(out)
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "signals\tcustomers\tedits\tvendor creates\tduplicates\tlost\topen cases\tseconds to level\t")
	fmt.Fprintf(t, "%d\t%d\t%d\t%d\t%d\t%d\t%d\t%.1f\t\n", r.Signals, r.Entities, r.Edits, r.Creates, r.Duplicates, r.Lost, r.OpenCases, r.SecondsToLevel)
	_ = t.Flush()
	fmt.Fprintln(t, "case\topened\tone was decided\tand then\t")
	for _, c := range r.Decided {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t\n", strings.ReplaceAll(c.Kind, "_", " "), c.Opened, c.Choice, c.Effect)
	}
	_ = t.Flush()
	r.printTies(out)
	fmt.Fprintf(out, "webhooks lost %d, twice %d, late %d; seed %d; %s\n", r.Webhooks["lost"], r.Webhooks["twice"], r.Webhooks["late"], r.Seed, verdict)
	for _, b := range r.Broken {
		fmt.Fprintln(out, "  "+b)
	}
}
