package admin

import (
	"context"
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
	"datum/domain/store"
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
	return table(out, v.Title, v.Mapping)
}

func table(out io.Writer, title string, ms []adapters.Mapping) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, m := range ms {
		id := "our id in " + m.IDField
		if m.IDField == "" {
			id = "no place for our id"
		}
		fmt.Fprintf(w, "%s\t%s %s\t\t\t%s\n", m.Kind, title, m.Object, id)
		ki, _ := m.Kind.Info()
		for _, r := range m.Rows {
			fi, _ := ki.Field(r.Field)
			direction, form := "read, write", string(fi.Type)
			if r.Set == nil {
				direction = "read only"
			}
			if len(fi.Enum) > 0 {
				form = strings.Join(fi.Enum, "|")
			}
			note := r.Note
			if r.Max > 0 {
				note = strings.TrimPrefix(fmt.Sprintf("%s; at most %d characters", note, r.Max), "; ")
			}
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\n", r.Field, strings.Join(r.Paths, ", "), direction, form, note)
		}
	}
	return w.Flush()
}

// Mapping shows, checks, tries out and publishes the mapping document of a system.
func (a *Admin) Mapping(ctx context.Context, args []string) error {
	usage := func() error {
		return invalid("usage: datum mapping show SYSTEM | check SYSTEM FILE | diff SYSTEM FILE | apply SYSTEM FILE")
	}
	if len(args) == 2 && args[0] == "show" {
		return a.showMapping(ctx, args[1])
	}
	if len(args) != 3 {
		return usage()
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
		eff, err := a.Engine.DiffMapping(ctx, system, src, func(n int) { fmt.Fprintf(a.Err, "\r%d records read anew", n) })
		fmt.Fprint(a.Err, "\r\033[K")
		if err != nil {
			return err
		}
		a.mappingEffect(eff)
		return nil
	case "apply":
		vs, err := store.MappingVersions(ctx, a.Pool, system)
		if err != nil {
			return err
		}
		base := int64(0)
		if len(vs) > 0 {
			base = vs[0].Version
		}
		v, err := a.Engine.PublishMapping(ctx, system, base, src, cause())
		if err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "version %d of %s's mapping is in force; stored objects are read anew\n", v, system)
		return nil
	}
	return usage()
}

func (a *Admin) showMapping(ctx context.Context, system string) error {
	row, err := store.SystemByName(ctx, a.Pool, system)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(a.Vendors, func(v adapters.Vendor) bool { return v.Name == row.Adapter })
	if i < 0 {
		return invalid("%s is Datum's own and has no mapping", system)
	}
	vs, err := store.MappingVersions(ctx, a.Pool, system)
	if err != nil {
		return err
	}
	if len(vs) > 0 {
		done := fmt.Sprintf("%d stored records read anew so far", vs[0].Applied)
		if vs[0].AppliedAt != nil {
			done = fmt.Sprintf("%d stored records were read anew by %s", vs[0].Applied, vs[0].AppliedAt.Format(time.RFC3339))
		}
		fmt.Fprintf(a.Out, "# version %d, published by %s at %s; %s\n%s\n", vs[0].Version, vs[0].PublishedBy, vs[0].PublishedAt.Format(time.RFC3339), done, strings.TrimRight(vs[0].Source, "\n"))
	} else {
		fmt.Fprintln(a.Out, "# nothing of its own: the vendor's mapping")
	}
	ms, err := a.Vendors[i].Mappings(row.Settings)
	if err != nil {
		return err
	}
	return table(a.Out, a.Vendors[i].Title, ms)
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
