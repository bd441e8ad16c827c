package admin

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// parse reads a command's flags and returns what is left, wherever the flags stand.
func parse(fs *flag.FlagSet, args []string) (rest []string, err error) {
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			return nil, err
		}
		if args = fs.Args(); len(args) > 0 {
			rest, args = append(rest, args[0]), args[1:]
		}
	}
	return rest, nil
}

// mode switches a system, or shows who has.
func (a *Admin) mode(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("datum system mode", flag.ContinueOnError)
	reason := fs.String("reason", "", "why, for whoever reads the history")
	args, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(args) == 1 {
		return a.modeHistory(ctx, args[0])
	}
	if len(args) != 2 {
		return invalid("usage: datum system mode NAME [off|observe|dry_run|live] [--reason WHY]; without a mode it shows who has switched it")
	}
	c := cause()
	c.Reason = *reason
	if err := a.Engine.SetMode(ctx, args[0], store.Mode(args[1]), c); err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "%s is %s\n", args[0], args[1])
	return nil
}

func (a *Admin) modeHistory(ctx context.Context, system string) error {
	s, err := store.SystemByName(ctx, a.Pool, system)
	if err != nil {
		return err
	}
	cs, err := store.ModeChanges(ctx, a.Pool, system, 0, 100)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Out, "%s is %s\n", system, s.Mode)
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "AT\tFROM\tTO\tBY\tREASON")
	for _, c := range cs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", c.At.Format(time.RFC3339), c.ModeFrom, c.ModeTo, c.Actor, c.Reason)
	}
	return w.Flush()
}

// Pause holds work of a system back, or shows what is held back.
func (a *Admin) Pause(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("datum pause", flag.ContinueOnError)
	kind := fs.String("kind", "", "only this kind: Customer, Invoice, …")
	direction := fs.String("direction", "", "in (reading) or out (writing); both if absent")
	until := fs.String("until", "", "when it ends by itself: a time such as 2026-12-01T08:00:00+10:00, or so long from now: 90m")
	reason := fs.String("reason", "", "why, for whoever wonders why nothing moves")
	args, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		return a.pauses(ctx)
	}
	if len(args) != 1 {
		return invalid("usage: datum pause [SYSTEM --reason WHY [--kind K] [--direction in|out] [--until WHEN]]")
	}
	h := change.Hold{System: args[0], Kind: domain.Kind(*kind), Direction: store.Direction(*direction)}
	if h.Until, err = moment(*until); err != nil {
		return err
	}
	c := cause()
	c.Reason = *reason
	ps, err := a.Engine.Applier().Pause(ctx, h, c)
	if err != nil {
		return err
	}
	for _, p := range ps {
		fmt.Fprintf(a.Out, "%s is paused%s\n", holds(p), ends(p))
	}
	return nil
}

// Resume ends pauses.
func (a *Admin) Resume(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("datum resume", flag.ContinueOnError)
	kind := fs.String("kind", "", "only what was paused for this kind")
	direction := fs.String("direction", "", "in or out; both if absent")
	args, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(args) != 1 {
		return invalid("usage: datum resume SYSTEM [--kind K] [--direction in|out]")
	}
	ps, err := a.Engine.Applier().Resume(ctx, change.Hold{System: args[0], Kind: domain.Kind(*kind), Direction: store.Direction(*direction)}, cause())
	if err != nil {
		return err
	}
	for _, p := range ps {
		fmt.Fprintf(a.Out, "%s goes on\n", holds(p))
	}
	return nil
}

func holds(p store.Pause) string {
	what := "reading from"
	if p.Direction == store.Out {
		what = "writing to"
	}
	s := what + " " + p.System
	if p.Kind != "" {
		s += " of " + string(p.Kind)
	}
	return s
}

func ends(p store.Pause) string {
	if p.Until == nil {
		return " until it is resumed"
	}
	return " until " + p.Until.Format(time.RFC3339)
}

// moment reads a time, or a duration from now; nil for "".
func moment(s string) (*time.Time, error) {
	if s == "" {
		return nil, nil
	}
	if d, err := time.ParseDuration(s); err == nil {
		t := time.Now().Add(d)
		return &t, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return nil, invalid("%q is not a time; give one such as 2026-12-01T08:00:00+10:00, or so long from now: 90m", s)
	}
	return &t, nil
}

func (a *Admin) pauses(ctx context.Context) error {
	ps, err := store.Pauses(ctx, a.Pool)
	if err != nil {
		return err
	}
	waiting, err := store.CountPaused(ctx, a.Pool)
	if err != nil {
		return err
	}
	if len(ps) == 0 {
		fmt.Fprintln(a.Out, "nothing is paused")
		return nil
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "PAUSED\tSINCE\tUNTIL\tBY\tWAITING\tREASON")
	for _, p := range ps {
		n := int64(0)
		for _, x := range waiting {
			if x.System == p.System && x.Direction == p.Direction && (p.Kind == "" || p.Kind == x.Kind) {
				n += x.Waiting
			}
		}
		until := "-"
		if p.Until != nil {
			until = p.Until.Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\n", holds(p), p.Since.Format(time.RFC3339), until, p.Actor, n, p.Reason)
	}
	return w.Flush()
}

// Write lists, shows, approves and rejects the requests that dry runs have recorded.
func (a *Admin) Write(ctx context.Context, args []string) error {
	const usage = "usage: datum write list | show ID | approve ID… | approve --all | reject ID… --reason WHY; list and approve --all take [--system S] [--kind K] [--entity ID], and list --status recorded|approved|rejected|sent|replaced|lapsed|all"
	if len(args) == 0 {
		return invalid(usage)
	}
	fs := flag.NewFlagSet("datum write "+args[0], flag.ContinueOnError)
	system := fs.String("system", "", "only of this system")
	kind := fs.String("kind", "", "only of this kind")
	entity := fs.String("entity", "", "only of this entity")
	status := fs.String("status", string(store.WriteRecorded), "only those that are so, or all")
	all := fs.Bool("all", false, "approve all that wait")
	reason := fs.String("reason", "", "why it is rejected")
	ids, err := parse(fs, args[1:])
	if err != nil {
		return err
	}
	f := store.WriteFilter{IDs: ids, System: *system, Kind: domain.Kind(*kind), EntityID: *entity}
	c := cause()
	c.Reason = *reason
	switch {
	case args[0] == "list" && len(ids) == 0:
		if *status != "all" {
			if all := []store.WriteStatus{store.WriteRecorded, store.WriteApproved, store.WriteRejected, store.WriteSent, store.WriteReplaced, store.WriteLapsed}; !slices.Contains(all, store.WriteStatus(*status)) {
				return invalid("a recorded write is one of %v, or all; not %q", all, *status)
			}
			f.Statuses = []store.WriteStatus{store.WriteStatus(*status)}
		}
		return a.writes(ctx, f)
	case args[0] == "show" && len(ids) == 1:
		return a.write(ctx, ids[0])
	case args[0] == "approve" && *all == (len(ids) == 0):
		ids, err = a.Engine.Applier().ApproveWrites(ctx, f, c)
		if err == nil {
			fmt.Fprintf(a.Out, "%d approved; each is sent if it is still the same request: datum write list --status all\n", len(ids))
		}
		return err
	case args[0] == "reject" && len(ids) > 0:
		ids, err = a.Engine.Applier().RejectWrites(ctx, f, c)
		if err == nil {
			fmt.Fprintf(a.Out, "%d rejected\n", len(ids))
		}
		return err
	default:
		return invalid(usage)
	}
}

func (a *Admin) writes(ctx context.Context, f store.WriteFilter) error {
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSYSTEM\tENTITY\tSTATUS\tREQUEST\tSETS\tRECORDED")
	for after := ""; ; {
		ws, err := store.ListWrites(ctx, a.Pool, f, after, 500)
		if err != nil {
			return err
		}
		for _, x := range ws {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s %s\t%s\t%s\n", x.ID, x.System, x.EntityID, x.Status, x.Method, x.Path, x.Values, x.RecordedAt.Format(time.RFC3339))
		}
		if len(ws) < 500 {
			return w.Flush()
		}
		after = ws[len(ws)-1].ID
	}
}

func (a *Admin) write(ctx context.Context, id string) error {
	ws, err := store.ListWrites(ctx, a.Pool, store.WriteFilter{IDs: []string{id}}, "", 1)
	if err != nil {
		return err
	}
	if len(ws) == 0 {
		return domain.Errorf(domain.NotFound, "there is no recorded write %q; `datum write list` lists them", id)
	}
	x := ws[0]
	fmt.Fprintf(a.Out, "%s: %s of %s in %s, %s since %s\n", x.ID, x.Op, x.EntityID, x.System, x.Status, x.RecordedAt.Format(time.RFC3339))
	if x.DecidedBy != "" {
		fmt.Fprintf(a.Out, "decided by %s\n", x.DecidedBy)
	}
	if x.Note != "" {
		fmt.Fprintln(a.Out, x.Note)
	}
	if n := len(x.NextSteps); n > 0 {
		fmt.Fprintf(a.Out, "%d steps; id-from-step-1 stands for the id that the vendor will give in its answer to the first\n", n+1)
	}
	for _, s := range append([]store.NextStep{{Method: x.Method, Path: x.Path, Header: x.Header, Body: x.Body}}, x.NextSteps...) {
		fmt.Fprintf(a.Out, "\n%s %s\n", s.Method, s.Path)
		for _, k := range slices.Sorted(maps.Keys(s.Header)) {
			fmt.Fprintf(a.Out, "%s: %s\n", k, s.Header[k])
		}
		fmt.Fprintf(a.Out, "\n%s\n", strings.TrimSuffix(s.Body, "\n"))
	}
	return nil
}
