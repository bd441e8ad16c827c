package admin

import (
	"context"
	"flag"
	"fmt"
	"text/tabwriter"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// Pin lists what people have decided about single fields, and takes it back.
func (a *Admin) Pin(ctx context.Context, args []string) error {
	if len(args) == 0 {
		args = []string{"help"}
	}
	fs := flag.NewFlagSet("datum pin "+args[0], flag.ContinueOnError)
	reason := fs.String("reason", "withdrawn at the command line", "why, for the history")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "list":
		return a.pins(ctx, fs.Args())
	case "withdraw":
		if fs.NArg() != 2 {
			return invalid("usage: datum pin withdraw [--reason WHY] ENTITY FIELD")
		}
		id, field := fs.Arg(0), domain.Field(fs.Arg(1))
		w := change.Withdrawal{EntityID: id, Field: field, Reason: *reason, Cause: cause()}
		ps, err := store.PinsOf(ctx, a.Pool, []string{id})
		if err != nil {
			return err
		}
		for _, p := range ps {
			w.Asked = w.Asked || p.Field == field && p.Asked
		}
		if _, err := a.Engine.Applier().Withdraw(ctx, w); err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "%s of %s is withdrawn; the value of the policy counts\n", field, id)
		return nil
	default:
		return invalid("usage: datum pin list [ENTITY] | withdraw [--reason WHY] ENTITY FIELD")
	}
}

// pins lists the pins of the entities, or all.
func (a *Admin) pins(ctx context.Context, ids []string) error {
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ENTITY\tFIELD\tVALUE\tSTANDS\tBY\tSINCE\tUNTIL\tREASON")
	print := func(ps []store.Pin) {
		for _, p := range ps {
			stands := "in force"
			if p.Asked {
				stands = "asked of " + p.System
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", p.EntityID, p.Field, p.Value, stands, p.Actor, date(&p.CreatedAt), date(p.ExpiresAt), p.Reason)
		}
	}
	if len(ids) > 0 {
		ps, err := store.PinsOf(ctx, a.Pool, ids)
		if err != nil {
			return err
		}
		print(ps)
		return w.Flush()
	}
	for last := (store.Pin{}); ; {
		ps, err := store.ListPins(ctx, a.Pool, last.EntityID, last.Field, 500)
		if err != nil {
			return err
		}
		if print(ps); len(ps) < 500 {
			return w.Flush()
		}
		last = ps[len(ps)-1]
	}
}
