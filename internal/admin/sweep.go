package admin

import (
	"context"
	"flag"
	"fmt"
	"text/tabwriter"
	"time"

	"datum/domain"
	"datum/domain/store"
)

const sweepUsage = "usage: datum sweep level | hooks | list [--system NAME] [--kind Customer] [--last N] | show ID"

// Sweep shows the reports of complete comparisons, and how far each system is level.
func (a *Admin) Sweep(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return invalid(sweepUsage)
	}
	switch args[0] {
	case "level":
		return a.level(ctx)
	case "hooks":
		return a.hooks(ctx)
	case "list":
		fs := flag.NewFlagSet("datum sweep list", flag.ContinueOnError)
		system := fs.String("system", "", "only of this system")
		kind := fs.String("kind", "", "only of this kind")
		last := fs.Int("last", 20, "how many, newest first")
		if err := fs.Parse(args[1:]); err != nil {
			return err
		}
		if fs.NArg() > 0 || *last < 1 {
			return invalid(sweepUsage)
		}
		ss, err := store.ListSweeps(ctx, a.Pool, *system, domain.Kind(*kind), nil, "", *last)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tSYSTEM\tKIND\tBEGAN\tTOOK\tTHEIRS\tOURS\tREPAIRED\tUNKNOWN\tMISSING\tGONE\tRESULT")
		for _, s := range ss {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%s\n", s.ID, s.System, s.Kind, s.StartedAt.Format(time.DateTime), took(s),
				s.TheirsCount, s.OursCount, s.Repaired, s.Unknown, s.Missing, s.Tombstoned, result(s))
		}
		return w.Flush()
	case "show":
		if len(args) != 2 {
			return invalid(sweepUsage)
		}
		s, err := store.SweepByID(ctx, a.Pool, args[1])
		if err != nil {
			return err
		}
		a.showSweep(s)
		return nil
	default:
		return invalid(sweepUsage)
	}
}

func took(s store.Sweep) string {
	if s.FinishedAt == nil {
		return "-"
	}
	return s.FinishedAt.Sub(s.StartedAt).Round(time.Millisecond).String()
}

// result says in a few words how a comparison came out.
func result(s store.Sweep) string {
	switch {
	case s.FinishedAt == nil:
		return "running"
	case !s.Complete:
		return "not complete"
	case s.Level():
		return "level"
	default:
		return fmt.Sprintf("%d differ", s.Differ+s.OnlyTheirs+s.OnlyOurs)
	}
}

func (a *Admin) showSweep(s store.Sweep) {
	fmt.Fprintf(a.Out, "%s of %s in %s, begun %s, took %s: %s\n", s.ID, s.Kind, s.System, s.StartedAt.Format(time.RFC3339), took(s), result(s))
	if s.Why != "" {
		fmt.Fprintf(a.Out, "  not complete: %s\n", s.Why)
	}
	fmt.Fprintf(a.Out, "  theirs    %8d  hash %s\n  ours      %8d  hash %s\n", s.TheirsCount, s.TheirsHash, s.OursCount, s.OursHash)
	for _, x := range []struct {
		n    int64
		what string
	}{{s.Differ, "on both sides and still different"}, {s.OnlyTheirs, "only in " + s.System}, {s.OnlyOurs, "only in Datum, or still to be made in " + s.System},
		{s.Repaired, "differed and were taken in"}, {s.Unknown, "were not known and were taken in"}, {s.Missing, "were known and not listed"},
		{s.Tombstoned, "of those: gone"}, {s.LeftOut, "of those: there when asked for"}, {s.Moved, "changed meanwhile"}} {
		if x.n > 0 {
			fmt.Fprintf(a.Out, "  %8d %s\n", x.n, x.what)
		}
	}
	if len(s.Money) > 0 {
		w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprintln(w, "MONTH\tCURRENCY\tTHEIRS\tOURS\tDIFFERENCE\t")
		for _, m := range s.Money {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t\n", m.Month, m.Currency, m.Theirs, m.Ours, m.Difference().StringFixed(2))
		}
		_ = w.Flush()
	}
}

// level prints how far each system is level, and as of when.
func (a *Admin) level(ctx context.Context) error {
	cs, err := store.Convergences(ctx, a.Pool)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SYSTEM\tKIND\tLEVEL\tOF\tSHARE\tOPEN\tAS OF")
	for _, c := range cs {
		asOf := "never compared: datum system sweep " + c.System
		if c.AsOf != nil {
			asOf = fmt.Sprintf("%s ago", time.Since(*c.AsOf).Round(time.Second))
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.2f %%\t%d\t%s\n", c.System, c.Kind, c.Level, c.Wanted, 100*c.Share(), c.Open(), asOf)
	}
	return w.Flush()
}

// hooks prints how each system's webhooks are doing.
func (a *Admin) hooks(ctx context.Context) error {
	hs, err := store.WebhookHealths(ctx, a.Pool)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SYSTEM\tLAST\tRECEIVED\tUNTOLD IN A DAY\tSUBSCRIPTIONS\tMADE AGAIN\tGAPS\tPROBLEM")
	for _, h := range hs {
		last, subs := "never", "made by hand"
		if h.ReceivedAt != nil {
			last = time.Since(*h.ReceivedAt).Round(time.Second).String() + " ago"
		}
		if h.Wanted > 0 {
			subs = fmt.Sprintf("%d of %d", h.Active, h.Wanted)
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d of %d\t%s\t%d\t%d\t%s\n", h.System, last, h.Received, h.Untold, h.Found, subs, h.Repaired, h.Gaps, h.Problem)
	}
	return w.Flush()
}
