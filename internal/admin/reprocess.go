package admin

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// Reprocess starts, lists, shows and cancels runs.
func (a *Admin) Reprocess(ctx context.Context, args []string) error {
	const usage = "usage: datum reprocess start retry|skip|resend|refetch|replay [ID…] [--system S] [--kind K] [--what signal|projection|record|job] [--status S] [--code C] [--class TEXT] [--older-than 2h] [--newer-than 2h] [--per-second N] [--force] [--reason WHY] | edit signal:N FIELD=VALUE… | list | show RUN | cancel RUN"
	switch {
	case len(args) == 1 && args[0] == "list":
		return a.runs(ctx)
	case len(args) == 2 && args[0] == "show":
		return a.showRun(ctx, args[1])
	case len(args) == 2 && args[0] == "cancel":
		r, err := a.Engine.Applier().CancelReprocess(ctx, args[1], cause())
		if err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "%s is cancelled: %d of %d had come to their end, %d are left out; what is handed over already goes on\n", r.ID, r.Done+r.Failed, r.Total, r.Cancelled)
		return nil
	case len(args) > 2 && args[0] == "edit":
		return a.editSignal(ctx, args[1], args[2:])
	case len(args) < 2 || args[0] != "start":
		return invalid(usage)
	}
	fs := flag.NewFlagSet("datum reprocess start", flag.ContinueOnError)
	f := store.ReprocessFilter{}
	fs.StringVar(&f.System, "system", "", "only of this system")
	kind := fs.String("kind", "", "only of this kind")
	what := fs.String("what", "", "only signal, projection, record or job; several with commas")
	fs.StringVar(&f.Status, "status", "", "any, failed, refused, pending, parked, confirmed or skipped; what is dead if absent")
	code := fs.String("code", "", "only with this code of error")
	fs.StringVar(&f.Class, "class", "", "only of this class of dead letters")
	older := fs.Duration("older-than", 0, "only what has waited for longer")
	newer := fs.Duration("newer-than", 0, "only what has not waited for longer")
	rate := fs.Int("per-second", 20, "at most so many a second")
	force := fs.Bool("force", false, "with resend: write even what is level")
	reason := fs.String("reason", "", "why; needed with skip")
	rest, err := parse(fs, args[1:])
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return invalid(usage)
	}
	f.Kind, f.Code = domain.Kind(*kind), domain.Code(*code)
	if *what != "" {
		f.What = strings.Split(*what, ",")
	}
	ago := func(d time.Duration) *time.Time {
		if d == 0 {
			return nil
		}
		t := time.Now().Add(-d)
		return &t
	}
	f.Before, f.After = ago(*older), ago(*newer)
	if err := f.Name(rest[1:]...); err != nil {
		return err
	}
	c := cause()
	c.Reason = *reason
	r, err := a.Engine.Applier().StartReprocess(ctx, change.Reprocess{Action: rest[0], Filter: f, Force: *force, PerSecond: *rate}, c)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "%s: %s of %d; a worker goes through them: datum reprocess show %s\n", r.ID, r.Action, r.Total, r.ID)
	return nil
}

// editSignal corrects what a failed signal brought, and has it tried again.
func (a *Admin) editSignal(ctx context.Context, id string, pairs []string) error {
	f, values := store.ReprocessFilter{}, domain.Values{}
	if err := f.Name(id); err != nil {
		return err
	}
	for _, p := range pairs {
		k, v, ok := strings.Cut(p, "=")
		if !ok || len(f.Signals) != 1 {
			return invalid("usage: datum reprocess edit signal:N FIELD=VALUE…; an empty value clears the field")
		}
		if values[domain.Field(k)] = domain.TextValue(v); v == "" {
			values[domain.Field(k)] = domain.Null
		}
	}
	if err := a.Engine.Applier().EditSignal(ctx, f.Signals[0], values, cause()); err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "%s is tried again with that\n", id)
	return nil
}

func (a *Admin) runs(ctx context.Context) error {
	rs, err := store.Runs(ctx, a.Pool, "", 100)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RUN\tACTION\tSTATUS\tDONE\tFAILED\tOF\tBY\tBEGUN\tREASON")
	for _, r := range rs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n", r.ID, r.Action, r.Status, r.Done, r.Failed, r.Total, r.Actor, r.CreatedAt.Format(time.RFC3339), r.Reason)
	}
	return w.Flush()
}

func (a *Admin) showRun(ctx context.Context, id string) error {
	r, err := store.RunByID(ctx, a.Pool, id)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "%s: %s, %s, by %s at %s\n%d of %d done, %d failed, %d left out\n", r.ID, r.Action, r.Status, r.Actor, r.CreatedAt.Format(time.RFC3339), r.Done, r.Total, r.Failed, r.Cancelled)
	if eta := r.ETA(time.Now()); eta != nil {
		fmt.Fprintf(a.Out, "done at about %s if it goes on like this\n", eta.Format(time.RFC3339))
	}
	items, err := store.RunItems(ctx, a.Pool, id, "failed", 0, 100)
	if err != nil || len(items) == 0 {
		return err
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "FAILED\tSYSTEM\tOBJECT\tENTITY\tMESSAGE")
	for _, it := range items {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", it.What, it.System, it.ExternalID, it.EntityID, it.Error)
	}
	return w.Flush()
}

// DeadLetters shows what does not go on by itself, by class.
func (a *Admin) DeadLetters(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("datum deadletters", flag.ContinueOnError)
	system := fs.String("system", "", "only of this system")
	kind := fs.String("kind", "", "only of this kind")
	if rest, err := parse(fs, args); err != nil || len(rest) > 0 {
		if err == nil {
			err = invalid("usage: datum deadletters [--system S] [--kind K]")
		}
		return err
	}
	ds, err := a.Engine.Applier().DeadLetters(ctx, store.ReprocessFilter{System: *system, Kind: domain.Kind(*kind)})
	if err != nil {
		return err
	}
	if len(ds) == 0 {
		fmt.Fprintln(a.Out, "nothing is dead: whatever waits goes on by itself")
	}
	for _, d := range ds {
		fmt.Fprintf(a.Out, "%d × %s %s %s %s, oldest %s\n  %s\n  class:   %s\n  example: %s\n  next:    %s\n", d.Count, d.What, d.System, d.Kind, d.Code, d.Oldest.Format(time.RFC3339),
			d.Example.Error, d.Class, d.Example.ID(), d.Next)
	}
	return nil
}
