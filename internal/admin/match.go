package admin

import (
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/match"
)

// MatchOptions are the flags of `datum match`.
type MatchOptions struct {
	CSV  []string // one or two files
	ID   string
	Map  string
	Out  string
	Why  bool
	Kind string // of the whole database
	Dry  bool
	match.Thresholds
}

// ParseMatch reads the flags of `datum match`.
func ParseMatch(errs io.Writer, args []string) (MatchOptions, error) {
	o := MatchOptions{Thresholds: match.DefaultThresholds}
	fs := flag.NewFlagSet("datum match", flag.ContinueOnError)
	fs.SetOutput(errs)
	fs.Func("csv", "CSV `file` with a header; given twice, pairs across the two are looked for", func(s string) error { o.CSV = append(o.CSV, s); return nil })
	fs.StringVar(&o.ID, "id", "", "the `column` that names the records")
	fs.StringVar(&o.Map, "map", "", "what columns mean: `column=field,…`; without it, it is guessed")
	fs.StringVar(&o.Out, "out", "", "write the pairs to this `file` and not to standard output")
	fs.StringVar(&o.Kind, "kind", string(domain.KindCustomer), "without --csv: the `kind` to look through in the database")
	fs.BoolVar(&o.Dry, "dry-run", false, "without --csv: write the pairs and open no cases")
	fs.BoolVar(&o.Why, "reasons", false, "say in a fifth column what speaks for and against each pair")
	fs.Float64Var(&o.Link, "link", o.Link, "link pairs from this probability")
	fs.Float64Var(&o.Ask, "ask", o.Ask, "ask about pairs from this probability")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, invalid("%w", err)
	}
	switch {
	case fs.NArg() > 0:
		return o, invalid("datum match does not know what to do with %q; name files with --csv", fs.Arg(0))
	case !(o.Ask > 0 && o.Ask <= o.Link && o.Link < 1):
		return o, invalid("--ask and --link are probabilities between 0 and 1, and --ask is not above --link")
	case len(o.CSV) == 0 && (o.ID != "" || o.Map != ""):
		return o, invalid("--id and --map are for files: name one with --csv")
	case len(o.CSV) > 0 && (o.Dry || o.Kind != string(domain.KindCustomer)):
		return o, invalid("--kind and --dry-run are for the database, not for files")
	case len(o.CSV) > 2:
		return o, invalid("--csv can be given twice at most")
	case len(o.CSV) > 0 && o.ID == "":
		return o, invalid("say with --id which column names the records")
	}
	return o, nil
}

// Match looks for duplicates in the whole database, opens cases for them and writes the pairs.
func (a *Admin) Match(ctx context.Context, o MatchOptions) error {
	kind := domain.Kind(o.Kind)
	if _, ok := kind.Info(); !ok {
		return invalid("there is no kind %q", o.Kind)
	}
	out := a.Out
	if o.Out != "" {
		f, err := os.Create(o.Out)
		if err != nil {
			return invalid("cannot write %s: %w", o.Out, err)
		}
		defer func() { _ = f.Close() }()
		out = f
	}
	w := csv.NewWriter(out)
	_ = w.Write([]string{"id_a", "id_b", "score", "decision", "reasons"})
	c := cause()
	return a.Engine.Applier().Duplicates(ctx, change.Scan{Kind: kind, Dry: o.Dry, Cause: c,
		Found: func(x, y string, v match.Verdict) error {
			return w.Write([]string{x, y, strconv.FormatFloat(v.Score, 'f', 4, 64), string(match.Ask), strings.Join(v.Reasons, "; ")})
		},
		Progress: func(records, pairs int) {
			w.Flush()
			fmt.Fprintf(a.Err, "%d records looked at, %d pairs to ask about\n", records, pairs)
		}})
}

// MatchCSV finds the records in CSV files that are one, without a database.
func MatchCSV(ctx context.Context, o MatchOptions, out, errs io.Writer) error {
	m, err := match.ParseMapping(o.Map)
	if err != nil {
		return err
	}
	var sources []match.Source
	for _, name := range o.CSV {
		f, err := os.Open(name)
		if err != nil {
			return invalid("cannot read %s: %w", name, err)
		}
		defer func() { _ = f.Close() }()
		sources = append(sources, match.Source{Name: name, Reader: f})
	}
	t, err := match.ReadTable(o.ID, m, sources...)
	if err != nil {
		return err
	}
	var cols []string
	for _, c := range t.Columns {
		cols = append(cols, c.Name+"="+string(c.Field))
	}
	fmt.Fprintf(errs, "%d records; compared by %s\n", len(t.IDs), strings.Join(cols, ","))
	pairs := match.Scan(t, o.Thresholds)
	if err := ctx.Err(); err != nil {
		return err
	}
	if o.Out != "" {
		f, err := os.Create(o.Out)
		if err != nil {
			return invalid("cannot write %s: %w", o.Out, err)
		}
		if err := errors.Join(writePairs(f, t, pairs, o.Why), f.Close()); err != nil {
			return err
		}
	} else if err := writePairs(out, t, pairs, o.Why); err != nil {
		return err
	}
	linked := 0
	for _, p := range pairs {
		if p.Decision == match.Link {
			linked++
		}
	}
	fmt.Fprintf(errs, "%d pairs to link, %d to ask about\n", linked, len(pairs)-linked)
	return nil
}

func writePairs(w io.Writer, t match.Table, pairs []match.Pair, why bool) error {
	c := csv.NewWriter(w)
	row := func(reasons string, cells ...string) {
		if why {
			cells = append(cells, reasons)
		}
		_ = c.Write(cells) // errors stay until Flush
	}
	row("reasons", "id_a", "id_b", "score", "decision")
	for _, p := range pairs {
		row(strings.Join(p.Reasons, "; "), t.IDs[p.A], t.IDs[p.B], strconv.FormatFloat(p.Score, 'f', 4, 64), string(p.Decision))
	}
	c.Flush()
	return c.Error()
}
