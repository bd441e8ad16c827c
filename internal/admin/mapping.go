package admin

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"datum/adapters"
	"datum/domain"
	"datum/domain/change"
	"datum/jobs"
)

// Mapping prints a vendor's mapping tables.
func Mapping(out io.Writer, vendors []adapters.Vendor, args []string) error {
	names := make([]string, len(vendors))
	for i, v := range vendors {
		names[i] = v.Name
	}
	if len(args) != 1 || !slices.Contains(names, args[0]) {
		return invalid("usage: datum mapping %s\n       datum mapping show SYSTEM | check SYSTEM FILE | diff SYSTEM FILE | apply SYSTEM FILE", strings.Join(names, "|"))
	}
	v := vendors[slices.Index(names, args[0])]
	return table(out, v.Title, jobs.MappingTables(v.Mapping))
}

func table(out io.Writer, title string, ts []change.MappingTable) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, m := range ts {
		id := "our id in " + m.IDField
		if m.IDField == "" {
			id = "no place for our id"
		}
		fmt.Fprintf(w, "%s\t%s %s\t\t\t%s\n", m.Kind, title, m.Object, id)
		for _, r := range m.Rows {
			direction := "read only"
			if r.Writable {
				direction = "read, write"
			}
			notes := []string{r.Note}
			if r.Max > 0 {
				notes = append(notes, fmt.Sprintf("at most %d characters", r.Max))
			}
			if r.Overridden {
				notes = append(notes, "as this system's document says")
			}
			if d := r.ParkedBy; d != nil {
				notes = append(notes, fmt.Sprintf("writes are parked: %s has drifted (%s) since %s", d.Path, d.Sort, d.FirstSeen.Format(time.RFC3339)))
			}
			notes = slices.DeleteFunc(notes, func(s string) bool { return s == "" })
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", r.Field, strings.Join(r.Paths, ", "), direction, r.Form, strings.Join(notes, "; "))
		}
	}
	return w.Flush()
}

// Mapping shows, checks, tries out and publishes the mapping document of a system.
func (a *Admin) Mapping(ctx context.Context, args []string) error {
	const usage = "usage: datum mapping show SYSTEM | check SYSTEM FILE | diff SYSTEM FILE | apply SYSTEM FILE [--preview ID]"
	if len(args) == 2 && args[0] == "show" {
		return a.showMapping(ctx, args[1])
	}
	if len(args) < 3 || len(args) > 3 && args[0] != "apply" {
		return invalid(usage)
	}
	fs := flag.NewFlagSet("datum mapping apply", flag.ContinueOnError)
	fs.SetOutput(a.Err)
	preview := fs.String("preview", "", "the `id` that diff has shown: exactly that is applied without asking")
	if err := fs.Parse(args[3:]); err != nil || fs.NArg() > 0 {
		return invalid(usage)
	}
	system := args[1]
	src, err := a.read(args[2])
	if err != nil {
		return err
	}
	switch args[0] {
	case "check":
		warnings, err := a.Engine.CheckMapping(ctx, system, src)
		if err != nil {
			return err
		}
		for _, w := range warnings {
			fmt.Fprintln(a.Out, "warning: "+w)
		}
		fmt.Fprintln(a.Out, "the mapping document is valid")
		return nil
	case "diff":
		return a.diffMapping(ctx, system, src)
	case "apply":
		return a.applyMapping(ctx, system, src, *preview)
	}
	return invalid(usage)
}

func (a *Admin) diffMapping(ctx context.Context, system, src string) error {
	if _, err := a.Engine.CheckMapping(ctx, system, src); err != nil {
		return err
	}
	p, err := a.Engine.PreviewMapping(ctx, system, src, cause(), func(n int) { fmt.Fprintf(a.Err, "\r%d records read anew", n) })
	fmt.Fprint(a.Err, "\r\033[K")
	if err != nil {
		return err
	}
	a.mappingEffect(p.Effect)
	for _, why := range p.TooMuch {
		fmt.Fprintln(a.Out, "more than everyday business: "+why)
	}
	fmt.Fprintf(a.Out, "to apply exactly this within the hour: datum mapping apply %s FILE --preview %s\n", system, p.ID)
	return nil
}

func (a *Admin) applyMapping(ctx context.Context, system, src, preview string) error {
	m, err := a.Engine.Mapping(ctx, system)
	if err != nil {
		return err
	}
	p := change.MappingPublication{System: system, Source: src, Preview: preview, Cause: cause()}
	if m.Document != nil {
		p.Base = m.Document.Version
	}
	v, parked, err := a.Engine.ApplyMapping(ctx, p)
	switch {
	case err != nil:
		return err
	case parked != nil:
		fmt.Fprintf(a.Out, "not applied: %s\na person is asked: datum case show %s. Or look at datum mapping diff, and apply it with the --preview that it names\n", parked.Detail.Message, parked.ID)
	default:
		fmt.Fprintf(a.Out, "version %d of %s's mapping is in force; stored objects are read anew\n", v, system)
	}
	return nil
}

func (a *Admin) showMapping(ctx context.Context, system string) error {
	m, err := a.Engine.Mapping(ctx, system)
	if err != nil {
		return err
	}
	if d := m.Document; d != nil {
		done := fmt.Sprintf("%d stored records read anew so far", d.Applied)
		if d.AppliedAt != nil {
			done = fmt.Sprintf("%d stored records were read anew by %s", d.Applied, d.AppliedAt.Format(time.RFC3339))
		}
		fmt.Fprintf(a.Out, "# version %d, published by %s at %s; %s\n%s\n", d.Version, d.PublishedBy, d.PublishedAt.Format(time.RFC3339), done, strings.TrimRight(d.Source, "\n"))
	} else {
		fmt.Fprintln(a.Out, "# nothing of its own: the vendor's mapping")
	}
	if m.Parked != "" {
		fmt.Fprintf(a.Out, "# another document waits for a decision: datum case show %s\n", m.Parked)
	}
	return table(a.Out, m.Vendor, m.Tables)
}

func (a *Admin) mappingEffect(eff change.MappingEffect) {
	for _, w := range eff.Warnings {
		fmt.Fprintln(a.Out, "warning: "+w)
	}
	count := func(title string, of map[domain.Field]int) {
		fmt.Fprintln(a.Out, title)
		for _, f := range slices.Sorted(maps.Keys(of)) {
			fmt.Fprintf(a.Out, "  %-18s %d\n", f, of[f])
		}
		if len(of) == 0 {
			fmt.Fprintln(a.Out, "  none")
		}
	}
	count(fmt.Sprintf("of %d stored records, values that would change:", eff.Records), eff.Values)
	for _, s := range eff.Samples {
		fmt.Fprintf(a.Out, "    %s %s: %s -> %s\n", s.ExternalID, s.Field, shownValue(s.From), shownValue(s.To))
	}
	count("values that could not be used:", eff.Failures)
	for _, s := range eff.Failed {
		fmt.Fprintf(a.Out, "    %s %s: %s\n", s.ExternalID, s.Field, s.To)
	}
	count("golden values that would change:", eff.Golden)
	for _, x := range eff.Examples {
		fmt.Fprintf(a.Out, "    %s %s: %s %s -> %s (%s)\n", x.EntityID, x.Name, x.Field, shownValue(x.Old), shownValue(x.New), x.System)
	}
	fmt.Fprintln(a.Out, "records that would be written:")
	for _, s := range slices.Sorted(maps.Keys(eff.Writes)) {
		fmt.Fprintf(a.Out, "  %-18s %d\n", s, eff.Writes[s])
	}
	fmt.Fprintf(a.Out, "cases that would open: %d\n", eff.Cases)
}

func shownValue(v domain.Value) string {
	if v == "" {
		return "nothing"
	}
	return adapters.Clip(string(v))
}
