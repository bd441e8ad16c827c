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

const driftUsage = "usage: datum drift list [--system NAME] [--kind Customer] [--sort unknown|missing|type|enum|version|deprecated|sunset] [--all]"

// Drift lists how vendors' objects and APIs differ from what they were.
func (a *Admin) Drift(ctx context.Context, args []string) error {
	if len(args) == 0 || args[0] != "list" {
		return invalid(driftUsage)
	}
	fs := flag.NewFlagSet("datum drift list", flag.ContinueOnError)
	fs.SetOutput(a.Err)
	system := fs.String("system", "", "only of this system")
	kind := fs.String("kind", "", "only of this kind")
	sort := fs.String("sort", "", "only of this sort")
	all := fs.Bool("all", false, "those that are over or decided too")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return invalid(driftUsage)
	}
	f := store.DriftFilter{System: *system, Kind: domain.Kind(*kind), Sort: *sort}
	if !*all {
		f.Status = []string{store.DriftOpen, store.DriftSuspected}
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SYSTEM\tKIND\tSORT\tPATH\tFIELD\tSTATUS\tSEEN\tFIRST SEEN\tLAST SEEN\tHOLDS UP\tEXAMPLE\tCASE")
	for after := [4]string{}; ; {
		ds, err := store.Drifts(ctx, a.Pool, f, after, 200)
		if err != nil {
			return err
		}
		for _, d := range ds {
			holds, example := "nothing", ""
			if d.Parks && d.Status == store.DriftOpen {
				holds = fmt.Sprintf("writes of %s to %s", d.Field, d.System)
			}
			if len(d.Examples) > 0 {
				example = d.Examples[0].ExternalID + " " + d.Examples[0].Value
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\n", d.System, d.Kind, d.Sort, d.Path, d.Field, d.Status, d.Seen,
				d.FirstSeen.Format(time.DateTime), d.LastSeen.Format(time.DateTime), holds, example, d.CaseID)
			after = [4]string{d.System, string(d.Kind), d.Sort, d.Path}
		}
		if len(ds) < 200 {
			return w.Flush()
		}
	}
}
