package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

const caseUsage = `usage: datum case list [filters] [--json]
  datum case show ID [--json]
  datum case resolve ID… CHOICE [--value V] [--field F] [--target ID] [--comment WHY] [--always [--pattern P]] [--dry-run] [--json]
  datum case resolve --all --count N [filters] CHOICE […]   every open case that matches, if it is N
  datum case assign ID NAME|nobody
  datum case comment ID TEXT
  datum case snooze ID 3d|12h|2026-12-24|never
  datum case rules [--all] [--json] | rules remove ID
filters: --kind KIND[,KIND] --system S --field F --entity ID --of Customer --assignee NAME|nobody --status open|resolved|closed|any --snoozed --older 24h --limit N`

// Case lists cases and works on them.
func (a *Admin) Case(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return invalid("%s", caseUsage)
	}
	verb, args := args[0], args[1:]
	f, words, err := parseCase(verb, args, a.Err)
	if err != nil {
		return err
	}
	switch {
	case verb == "list" && len(words) == 0:
		return a.caseList(ctx, f)
	case verb == "show" && len(words) == 1:
		return a.caseShow(ctx, words[0], f.json)
	case verb == "resolve" && (f.all && len(words) == 1 || !f.all && len(words) > 1):
		return a.caseResolve(ctx, f, words[:len(words)-1], words[len(words)-1])
	case verb == "assign" && len(words) == 2:
		name := words[1]
		if name == "nobody" {
			name = ""
		}
		return a.caseWorked(a.Engine.Applier().AssignCase(ctx, words[0], name, cause()))
	case verb == "comment" && len(words) == 2:
		return a.caseWorked(a.Engine.Applier().CommentCase(ctx, words[0], words[1], cause()))
	case verb == "snooze" && len(words) == 2:
		now := time.Now()
		until, err := untilWhen(words[1], now)
		if err != nil {
			return err
		}
		return a.caseWorked(a.Engine.Applier().SnoozeCase(ctx, words[0], now, until, cause()))
	case verb == "rules" && len(words) == 0:
		return a.caseRules(ctx, f)
	case verb == "rules" && len(words) == 2 && words[0] == "remove":
		if err := a.Engine.Applier().RemoveCaseRule(ctx, words[1], cause()); err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "rule %s no longer holds; what it has answered is asked again when it is next seen\n", words[1])
		return nil
	}
	return invalid("%s", caseUsage)
}

// caseFlags are what a command about cases can be given.
type caseFlags struct {
	store.CaseFilter
	json, all, dryRun, always bool
	count, limit              int
	decision                  change.Decision
}

// parseCase reads flags wherever they stand among the words.
func parseCase(verb string, args []string, errs io.Writer) (f caseFlags, words []string, err error) {
	fs := flag.NewFlagSet("datum case "+verb, flag.ContinueOnError)
	fs.SetOutput(errs)
	kinds := fs.String("kind", "", "of these kinds, separated by commas")
	fs.StringVar(&f.System, "system", "", "that concern this system")
	field := fs.String("field", "", "that concern this field; with resolve: the field that gets the value")
	fs.StringVar(&f.EntityID, "entity", "", "that concern this entity")
	of := fs.String("of", "", "that concern entities of this kind, such as Customer")
	assignee := fs.String("assignee", "", "whose they are; nobody is nobody's")
	status := fs.String("status", "open", "open, resolved, closed or any")
	snoozed := fs.Bool("snoozed", false, "those that rest")
	older := fs.Duration("older", 0, "opened longer ago than this")
	fs.IntVar(&f.limit, "limit", 50, "at most so many")
	fs.BoolVar(&f.json, "json", false, "as JSON, one object a line")
	fs.BoolVar(&f.all, "all", false, "with resolve: every open case that matches; with rules: those too that no longer hold")
	fs.IntVar(&f.count, "count", -1, "with --all: how many you have seen to match")
	value := fs.String("value", "", "the value to set, as text or JSON; null clears the field")
	fs.StringVar(&f.decision.TargetID, "target", "", "the entity that is meant")
	fs.StringVar(&f.decision.Comment, "comment", "", "why")
	fs.BoolVar(&f.always, "always", false, "with ignore: ignore cases like this one from now on")
	fs.StringVar(&f.decision.Pattern, "pattern", "", "with --always: only those whose value or words are like this; * stands for anything")
	fs.BoolVar(&f.dryRun, "dry-run", false, "say what would happen, and do nothing")
	for len(args) > 0 {
		if err := fs.Parse(args); err != nil {
			return f, nil, err
		}
		args = fs.Args()
		if len(args) > 0 {
			words, args = append(words, args[0]), args[1:]
		}
	}
	given := map[string]bool{}
	fs.Visit(func(g *flag.Flag) { given[g.Name] = true })
	if *kinds != "" {
		f.Kinds = strings.Split(*kinds, ",")
		for _, k := range f.Kinds {
			if !slices.Contains(store.CaseKinds, k) {
				return f, nil, invalid("there is no kind of case %q, only %s", k, strings.Join(store.CaseKinds, ", "))
			}
		}
	}
	f.EntityKind = domain.Kind(*of)
	if given["assignee"] {
		if *assignee == "nobody" {
			*assignee = ""
		}
		f.Assignee = assignee
	}
	if !slices.Contains([]string{"open", "resolved", "closed", "any"}, *status) {
		return f, nil, invalid("a case is open, resolved or closed, or any; not %q", *status)
	}
	if f.Status = *status; f.Status == "any" {
		f.Status = ""
	} else if f.Status == "open" {
		f.Snoozed = snoozed
	}
	if *older > 0 {
		before := time.Now().Add(-*older)
		f.OpenedBefore = &before
	}
	if f.all || verb == "list" {
		f.CaseFilter.Field = domain.Field(*field)
	}
	if verb == "resolve" && !f.all {
		f.decision.Field = domain.Field(*field)
	}
	if given["value"] {
		f.decision.Value = domain.Value(*value)
		if !json.Valid([]byte(*value)) {
			f.decision.Value = domain.TextValue(*value)
		}
	}
	f.decision.Always = f.always
	return f, words, nil
}

// untilWhen is a time by a date, a duration from now or a number of days from now; the zero time is never.
func untilWhen(s string, now time.Time) (time.Time, error) {
	if s == "never" {
		return time.Time{}, nil
	}
	if t, err := time.ParseInLocation(time.DateOnly, s, now.Location()); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	var days int
	if n, err := fmt.Sscanf(s, "%dd", &days); err == nil && n == 1 && s == fmt.Sprintf("%dd", days) {
		return now.AddDate(0, 0, days), nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return time.Time{}, invalid("%q is no time to rest until: 3d, 12h, 2026-12-24 and never are", s)
	}
	return now.Add(d), nil
}

func (a *Admin) caseWorked(c store.Case, err error) error {
	if err != nil {
		return err
	}
	rests := ""
	if c.SnoozedUntil != nil {
		rests = ", rests until " + c.SnoozedUntil.Local().Format("2006-01-02 15:04")
	}
	fmt.Fprintf(a.Out, "%s is with %s%s\n", c.ID, orNobody(c.Assignee), rests)
	return nil
}

func orNobody(name string) string {
	if name == "" {
		return "nobody"
	}
	return name
}

func (a *Admin) caseList(ctx context.Context, f caseFlags) error {
	cs, err := store.ListCases(ctx, a.Pool, f.CaseFilter, nil, "", f.limit+1)
	if err != nil {
		return err
	}
	more := len(cs) > f.limit
	cs = cs[:min(len(cs), f.limit)]
	if f.json {
		return lines(a.Out, cs)
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tOPENED\tKIND\tSYSTEM\tWHOSE\tSTATUS\tTITLE")
	for _, c := range cs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", c.ID, c.OpenedAt.Local().Format("2006-01-02 15:04"), c.Kind, c.System, orNobody(c.Assignee), c.Status, c.Title)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(a.Err, "there are more; --limit shows them\n")
	}
	counts, err := store.CaseCounts(ctx, a.Pool, store.CaseFilter{Status: "open"})
	for _, n := range counts {
		rest := ""
		if n.Snoozed > 0 {
			rest = fmt.Sprintf(" (%d rest)", n.Snoozed)
		}
		fmt.Fprintf(a.Err, "%d open of kind %s%s\n", n.Count, n.Kind, rest)
	}
	return err
}

// lines prints one JSON object a line.
func lines[T any](out io.Writer, xs []T) error {
	enc := json.NewEncoder(out)
	for _, x := range xs {
		if err := enc.Encode(x); err != nil {
			return err
		}
	}
	return nil
}

func (a *Admin) caseShow(ctx context.Context, id string, asJSON bool) error {
	c, err := store.CaseByID(ctx, a.Pool, id, false)
	if err != nil {
		return err
	}
	ev, err := a.Engine.Applier().Evidence(ctx, c)
	if err != nil {
		return err
	}
	held, err := a.Engine.Applier().HoldsUp(ctx, c, 20)
	if err != nil {
		return err
	}
	events, err := store.CaseEvents(ctx, a.Pool, []string{id})
	if err != nil {
		return err
	}
	offered := change.Offered(c)
	if asJSON {
		choices := map[string]string{}
		for _, x := range offered {
			choices[x.Name] = x.Effect(c)
		}
		return lines(a.Out, []any{map[string]any{"case": c, "evidence": ev, "holdsUp": held, "choices": choices, "timeline": events}})
	}
	fmt.Fprintf(a.Out, "%s\n%s, %s, opened %s, with %s\n\n%s\n%s\n\n", c.Title, c.Kind, c.Status, c.OpenedAt.Local().Format("2006-01-02 15:04"), orNobody(c.Assignee), c.Detail.Message, c.Detail.Next)
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	if len(ev.Rows) > 0 {
		fmt.Fprint(w, "FIELD\tOWNER")
		for _, col := range ev.Columns {
			fmt.Fprintf(w, "\t%s", strings.ToUpper(col.Label))
		}
		fmt.Fprintln(w)
	}
	for _, row := range ev.Rows {
		fmt.Fprintf(w, "%s\t%s", row.Field, row.Owner)
		for _, cell := range row.Cells {
			s := readable(cell.Value)
			if cell.At != nil {
				s += " (" + strings.TrimSpace(cell.At.Local().Format("2006-01-02 15:04")+" "+cell.By) + ")"
			}
			fmt.Fprintf(w, "\t%s", s)
		}
		fmt.Fprintln(w)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, s := range c.Detail.Changes {
		fmt.Fprintf(a.Out, "%s: %s %s -> %s\n", s.Name, s.Field, readable(s.From), readable(s.To))
	}
	if x := ev.Exchange; x != nil {
		fmt.Fprintf(a.Out, "sent: exchange %d, %s %s at %s was answered with %d; correlation %s\n", x.ID, x.Method, x.Path, x.SentAt.Local().Format("2006-01-02 15:04:05"), x.Status, x.CorrelationID)
	}
	fmt.Fprintf(a.Out, "\nHolds up: %s\n", held.Says())
	for _, x := range held.Items {
		fmt.Fprintf(a.Out, "  %s %s in %s %s\n", x.Kind, x.Name, x.System, x.Why)
	}
	if c.Status == "open" {
		fmt.Fprintf(a.Out, "\nChoices (datum case resolve %s CHOICE):\n", c.ID)
		w = tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
		for _, x := range offered {
			needs := ""
			if x.Value {
				needs = " --value V"
			}
			if x.Target {
				needs = " --target ID"
			}
			fmt.Fprintf(w, "  %s%s\t%s\n", x.Name, needs, x.Effect(c))
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintln(a.Out)
	w = tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	for _, e := range events {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", e.At.Local().Format("2006-01-02 15:04:05"), e.Action, e.Actor, e.Note)
	}
	return w.Flush()
}

// readable is a value without the quotes of JSON.
func readable(v domain.Value) string {
	switch {
	case v.Empty():
		return "-"
	case v.Text() != "":
		return v.Text()
	}
	return string(v)
}

func (a *Admin) caseResolve(ctx context.Context, f caseFlags, ids []string, choice string) error {
	d := f.decision
	d.Choice, d.Cause = choice, cause()
	if f.all {
		if f.count < 0 {
			return invalid("--all needs --count N: how many cases you have seen to match; datum case list with the same filters shows them")
		}
		var err error
		if ids, err = a.Engine.Applier().MatchingCases(ctx, f.CaseFilter, f.count); err != nil {
			return err
		}
	}
	if f.dryRun {
		return a.casePreview(ctx, f, ids, d)
	}
	out, err := a.Engine.Applier().DecideMany(ctx, ids, d)
	if err != nil {
		return err
	}
	failed := slices.IndexFunc(out, func(o change.Outcome) bool { return o.Err != nil })
	for _, o := range out {
		says := "resolved"
		if o.Err != nil {
			says = domain.AsError(o.Err).Message
		}
		if f.json {
			if err := lines(a.Out, []any{map[string]any{"id": o.CaseID, "decided": o.Err == nil, "error": strings.TrimSuffix(says, "resolved")}}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(a.Out, "%s: %s\n", o.CaseID, says)
	}
	if failed >= 0 && len(out) == 1 {
		return out[0].Err
	}
	if failed >= 0 {
		return domain.Errorf(domain.Conflict, "not all cases were decided; see above")
	}
	return nil
}

func (a *Admin) casePreview(ctx context.Context, f caseFlags, ids []string, d change.Decision) error {
	for _, id := range ids {
		d.CaseID = id
		p, err := a.Engine.Applier().Preview(ctx, d)
		if err != nil {
			return err
		}
		if f.json {
			if err := lines(a.Out, []change.Preview{p}); err != nil {
				return err
			}
			continue
		}
		fmt.Fprintf(a.Out, "%s, %s would do this:\n", id, d.Choice)
		for _, g := range p.Golden {
			fmt.Fprintf(a.Out, "  %s: %s %s -> %s\n", g.Name, cmp.Or(string(g.Field), "itself"), readable(g.From), readable(g.To))
		}
		if p.Deeper {
			fmt.Fprintln(a.Out, "  and more changes of this kind")
		}
		for from, into := range p.Merged {
			fmt.Fprintf(a.Out, "  %s becomes part of %s\n", from, into)
		}
		for _, w := range p.Writes {
			record := "record " + w.ExternalID
			if w.ExternalID == "" {
				record = "a new record"
			}
			for _, x := range w.Values.Fields() {
				fmt.Fprintf(a.Out, "  written to %s, %s of %s: %s %s\n", w.System, record, w.Name, x, readable(w.Values[x]))
			}
		}
		if p.More {
			fmt.Fprintln(a.Out, "  and more writes of this kind")
		}
		for _, c := range p.Opens {
			fmt.Fprintf(a.Out, "  opens %s: %s\n", c.Kind, c.Title)
		}
		for _, c := range p.Ends {
			fmt.Fprintf(a.Out, "  ends %s: %s\n", c.Kind, c.Title)
		}
	}
	fmt.Fprintln(a.Err, "nothing was done")
	return nil
}

func (a *Admin) caseRules(ctx context.Context, f caseFlags) error {
	rules, err := store.CaseRules(ctx, a.Pool, f.all)
	if err != nil {
		return err
	}
	if f.json {
		return lines(a.Out, rules)
	}
	w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tUSED\tMADE\tBY\tENDED\tWHAT")
	for _, r := range rules {
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", r.ID, r.Used, r.CreatedAt.Local().Format("2006-01-02"), r.CreatedBy, date(r.RemovedAt), change.RuleText(r))
	}
	return w.Flush()
}
