package admin

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"datum/domain/alert"
	"datum/domain/store"
	"datum/jobs"
)

// Alert shows, checks and applies what is watched, tests channels, and lists what is wrong and what was told.
func (a *Admin) Alert(ctx context.Context, args []string) error {
	switch {
	case len(args) == 1 && args[0] == "show":
		_, row, err := alert.InForce(ctx, a.Pool, jobs.MetricNames()) // shown even if it is no longer valid: to be put right
		if row.Version > 0 {
			fmt.Fprintf(a.Out, "# version %d, applied by %s at %s\n", row.Version, row.SetBy, row.SetAt.Format(time.RFC3339))
		}
		fmt.Fprint(a.Out, row.Source)
		return err
	case len(args) == 2 && (args[0] == "check" || args[0] == "apply"):
		source, err := a.read(args[1])
		if err != nil {
			return err
		}
		if args[0] == "check" {
			if _, err := alert.Parse(source, jobs.MetricNames()); err != nil {
				return err
			}
			fmt.Fprintln(a.Out, "the configuration is valid")
			return nil
		}
		v, err := alert.Apply(ctx, a.Pool, a.Sealer, jobs.MetricNames(), source, cause().Actor)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "version %d is in force; secrets are sealed\n", v)
		return nil
	case len(args) == 2 && args[0] == "test":
		id, err := alert.TestChannel(ctx, a.Pool, jobs.MetricNames(), args[1], cause().Actor, time.Now())
		if err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "%s is queued for %s; a worker sends it, and `datum alert list` says how that went\n", id, args[1])
		return nil
	case len(args) == 1 && args[0] == "list":
		return a.alerts(ctx)
	default:
		return invalid("usage: datum alert show | check FILE | apply FILE | test CHANNEL | list")
	}
}

func (a *Admin) alerts(ctx context.Context) error {
	as, err := store.Alerts(ctx, a.Pool)
	if err != nil {
		return err
	}
	ds, err := store.Deliveries(ctx, a.Pool, 20)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "WRONG NOW\tOF\tVALUE\tSINCE\tINCIDENT")
	for _, s := range as {
		if s.Incident == "" {
			s.Incident = "not long enough yet"
		}
		fmt.Fprintf(w, "%s\t%s\t%g\t%s\t%s\n", s.Rule, s.Series, s.Value, s.Since.UTC().Format(time.RFC3339), s.Incident)
	}
	if len(as) == 0 {
		fmt.Fprintln(w, "nothing\t\t\t\t")
	}
	fmt.Fprintln(w, "TOLD\tCHANNEL\tSTATUS\tTRIES\tERROR")
	for _, d := range ds {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", d.Title, d.Channel, d.Status, d.Attempts, d.Error)
	}
	return w.Flush()
}
