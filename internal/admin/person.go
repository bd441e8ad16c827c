package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"datum/domain/change"
	"datum/domain/store"
)

// interleaved parses flags wherever they stand, and returns what is left.
func interleaved(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if fs.NArg() == 0 {
			return rest, nil
		}
		rest, args = append(rest, fs.Arg(0)), fs.Args()[1:]
	}
}

// Export writes everything that is stored of one entity as JSON.
func (a *Admin) Export(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("datum export", flag.ContinueOnError)
	fs.SetOutput(a.Err)
	out := fs.String("out", "", "file to write; standard output if empty")
	rest, err := interleaved(fs, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return invalid("usage: datum export ID [--out FILE]")
	}
	story, err := store.Export(ctx, a.Pool, rest[0])
	if err != nil {
		return err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, story, "", "  "); err != nil {
		return err
	}
	b.WriteByte('\n')
	if *out == "" {
		_, err = b.WriteTo(a.Out)
		return err
	}
	if err := os.WriteFile(*out, b.Bytes(), 0o600); err != nil { // it is somebody's personal data
		return invalid("cannot write %s: %w", *out, err)
	}
	fmt.Fprintf(a.Err, "%s is written; it holds personal data\n", *out)
	return nil
}

// Erase erases a person's data, or says what that would do, and lists what was erased.
func (a *Admin) Erase(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("datum erase", flag.ContinueOnError)
	fs.SetOutput(a.Err)
	reason := fs.String("reason", "", "why, such as the date of the person's request")
	yes := fs.Bool("yes", false, "do it; without, only what would be done is said")
	rest, err := interleaved(fs, args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return invalid("usage: datum erase ID --reason WHY [--yes] | list")
	}
	if rest[0] == "list" {
		es, err := store.Erasures(ctx, a.Pool, "", 100)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "ID\tCUSTOMER\tAT\tBY\tREASON\tSTILL HELD IN")
		for _, e := range es {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", e.ID, e.EntityID, e.At.UTC().Format(time.RFC3339), e.ErasedBy, e.Reason, stillHeld(e))
		}
		return w.Flush()
	}
	e, err := a.Engine.Applier().Erase(ctx, change.Erasure{EntityID: rest[0], Reason: *reason, DryRun: !*yes, Cause: cause()})
	if err != nil {
		return err
	}
	verb := "erased"
	if !*yes {
		verb = "would be erased; nothing has been done, give --yes to do it"
	}
	fmt.Fprintf(a.Out, "%s %s\n", e.EntityID, verb)
	for _, t := range slices.Sorted(maps.Keys(e.Report.Changed)) {
		fmt.Fprintf(a.Out, "  %-20s %d rows\n", t, e.Report.Changed[t])
	}
	for _, k := range e.Report.Kept {
		fmt.Fprintf(a.Out, "  %s names its buyer until %s: the law wants it\n", k.Document, date(k.Until))
	}
	for _, t := range slices.Sorted(maps.Keys(e.Report.Left)) {
		fmt.Fprintf(a.Out, "  %s has %d rows with the same name, number or address: they are of others, or not linked to this customer\n", t, e.Report.Left[t])
	}
	for _, h := range e.Report.Held {
		fmt.Fprintf(a.Out, "still held there: %s %s %s; %s\n", h.System, h.Kind, h.ExternalID, h.Next)
	}
	if *yes {
		fmt.Fprintf(a.Out, "proof %s, SHA-256 %s\n", e.ID, e.Hash)
	}
	return nil
}

func stillHeld(e store.Erasure) string {
	s := ""
	for _, h := range e.Report.Held {
		if h.GoneAt == nil {
			s += h.System + " "
			if h.SeenAt != nil {
				s += "(seen " + h.SeenAt.UTC().Format(time.DateOnly) + ") "
			}
		}
	}
	if s == "" {
		return "-"
	}
	return s
}
