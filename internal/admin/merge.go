package admin

import (
	"context"
	"flag"
	"fmt"

	"datum/domain/change"
)

// Merge makes two entities one.
func (a *Admin) Merge(ctx context.Context, args []string) error {
	m, ids, err := merging("merge", args)
	if err != nil {
		return err
	}
	if len(ids) != 2 {
		return invalid("usage: datum merge [--reason WHY] [--dry-run] SURVIVOR LOSER, by their ids")
	}
	m.Survivor, m.Loser = ids[0], ids[1]
	out, err := a.Engine.Applier().Merge(ctx, m)
	if err != nil {
		return err
	}
	a.merged(out, m.DryRun, fmt.Sprintf("%s is now part of %s", out.Loser, out.Survivor))
	return nil
}

// Unmerge parts an entity from the one it was merged into.
func (a *Admin) Unmerge(ctx context.Context, args []string) error {
	m, ids, err := merging("unmerge", args)
	if err != nil {
		return err
	}
	if len(ids) != 1 {
		return invalid("usage: datum unmerge [--reason WHY] [--dry-run] ID, of the one that was merged into another")
	}
	m.Loser = ids[0]
	out, err := a.Engine.Applier().Unmerge(ctx, m)
	if err != nil {
		return err
	}
	a.merged(out, m.DryRun, fmt.Sprintf("%s is one of its own again, and %s goes on without it", out.Loser, out.Survivor))
	return nil
}

func merging(command string, args []string) (change.Merging, []string, error) {
	fs := flag.NewFlagSet("datum "+command, flag.ContinueOnError)
	reason := fs.String("reason", "decided at the command line", "why, for the history")
	dry := fs.Bool("dry-run", false, "only say what would follow")
	err := fs.Parse(args)
	return change.Merging{Reason: *reason, DryRun: *dry, Cause: cause()}, fs.Args(), err
}

func (a *Admin) merged(out change.Merged, dry bool, done string) {
	if dry {
		done = "nothing was changed; this would follow:"
	}
	fmt.Fprintln(a.Out, done)
	for _, g := range out.Golden {
		fmt.Fprintf(a.Out, "  %s %s: %s -> %s\n", g.EntityID, g.Field, g.From, g.To)
	}
	for _, w := range out.Writes {
		fmt.Fprintf(a.Out, "  %s is written to %s: %s\n", w.EntityID, w.System, w.Values)
	}
	fmt.Fprintf(a.Out, "  %d records change sides, %d documents and others are brought up to date, %d cases open\n", out.Records, out.References, len(out.Opens))
}
