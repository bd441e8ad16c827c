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
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/match"
	"datum/domain/store"
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
	// PerSecond is how many records of the database are compared in a second at most.
	PerSecond int
	asked     bool // Ask was given
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
	fs.IntVar(&o.PerSecond, "per-second", 0, "without --csv: compare at most so many records a second (1000)")
	fs.BoolVar(&o.Why, "reasons", false, "say in a fifth column what speaks for and against each pair")
	fs.Float64Var(&o.Link, "link", o.Link, "link pairs from this probability")
	fs.Float64Var(&o.Ask, "ask", o.Ask, "ask about pairs from this probability")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return o, err
		}
		return o, invalid("%w", err)
	}
	fs.Visit(func(f *flag.Flag) { o.asked = o.asked || f.Name == "ask" })
	switch {
	case fs.NArg() > 0:
		return o, invalid("datum match does not know what to do with %q; name files with --csv", fs.Arg(0))
	case !(o.Ask > 0 && o.Ask <= o.Link && o.Link < 1):
		return o, invalid("--ask and --link are probabilities between 0 and 1, and --ask is not above --link")
	case len(o.CSV) == 0 && (o.ID != "" || o.Map != ""):
		return o, invalid("--id and --map are for files: name one with --csv")
	case len(o.CSV) > 0 && (o.Dry || o.Kind != string(domain.KindCustomer) || o.PerSecond != 0):
		return o, invalid("--kind, --dry-run and --per-second are for the database, not for files")
	case len(o.CSV) > 2:
		return o, invalid("--csv can be given twice at most")
	case len(o.CSV) > 0 && o.ID == "":
		return o, invalid("say with --id which column names the records")
	}
	return o, nil
}

// Match looks for duplicates in the whole database, opens cases for them and writes the pairs. If it is stopped, a worker goes on with it.
func (a *Admin) Match(ctx context.Context, o MatchOptions) error {
	kind := domain.Kind(o.Kind)
	if _, ok := kind.Info(); !ok {
		return invalid("there is no kind %q", o.Kind)
	}
	q := change.Scan{Kind: kind, Dry: o.Dry, PerSecond: o.PerSecond}
	if o.asked {
		q.Ask = o.Ask
	}
	s, err := a.Engine.Applier().StartScan(ctx, q, cause())
	if err != nil {
		return err
	}
	fmt.Fprintf(a.Err, "search %s among %d records; if this is stopped, a worker goes on with it\n", s.ID, s.Total)
	for s.Status == "running" {
		s, err = a.Engine.Applier().RunScan(ctx, s.ID, "", 0, func(s store.DuplicateScan) {
			fmt.Fprintf(a.Err, "\r%d of %d records compared, %d pairs to ask about", s.Compared, s.Total, s.Pairs)
		})
		if err != nil {
			return err
		}
		if s.Status == "running" { // a worker is at it
			t := time.NewTimer(200 * time.Millisecond)
			select {
			case <-t.C:
			case <-ctx.Done():
				t.Stop()
				return ctx.Err()
			}
		}
	}
	fmt.Fprintf(a.Err, "\r%d of %d records compared, %d pairs to ask about\n", s.Compared, s.Total, s.Pairs)
	if s.Status != "done" {
		return domain.Errorf(domain.Conflict, "%s has cancelled the search; what it had found by then is in duplicateScan(id: %q)", s.EndedBy, s.ID)
	}
	if o.Out == "" {
		return a.writeFound(ctx, a.Out, s.ID)
	}
	f, err := os.Create(o.Out)
	if err != nil {
		return invalid("cannot write %s: %w", o.Out, err)
	}
	return errors.Join(a.writeFound(ctx, f, s.ID), f.Close())
}

// writeFound writes the pairs of a scan, the likeliest first.
func (a *Admin) writeFound(ctx context.Context, out io.Writer, scan string) error {
	w := csv.NewWriter(out)
	_ = w.Write([]string{"id_a", "id_b", "score", "decision", "reasons"}) // errors stay until Flush
	for after := (store.DuplicatePair{}); ; {
		ps, err := store.DuplicatePairs(ctx, a.Pool, scan, after, 1000)
		if err != nil {
			return err
		}
		for _, p := range ps {
			_ = w.Write([]string{p.OtherID, p.EntityID, strconv.FormatFloat(p.Score, 'f', 4, 64), p.Decision, strings.Join(p.Reasons, "; ")})
			after = p
		}
		if len(ps) < 1000 {
			w.Flush()
			return w.Error()
		}
	}
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
