// Package importer reads rows from files and hands each to the write path on behalf of one system. It decides nothing:
// ownership, matching and validation are the domain's, so a file cannot do what the API could not.
package importer

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"datum/domain"
	"datum/domain/change"
)

// Options say on whose behalf rows are imported. System, Cause and Report are required.
type Options struct {
	System   string
	Cause    change.Cause
	Report   io.Writer      // one line for each row that was refused or proposed
	Progress func(rows int) // called every 100 rows; may be nil
}

// Summary counts what became of the rows.
type Summary struct {
	Rows, Created, Changed, Same, Proposed, Refused int
}

// Applier is the write path.
type Applier interface {
	Edit(ctx context.Context, e change.Edit) (change.Result, error)
}

// Rows imports objects of a kind from CSV. The first row names canonical fields; "id" is the object to change, and a row
// without one creates, or changes the one it would be a duplicate of. Addresses are spelled billingAddress.suburb and so on,
// tags are separated by semicolons, lines are JSON, and an empty cell leaves the field alone. A bad row is reported with its
// number and the import goes on.
func Rows(ctx context.Context, a Applier, kind domain.Kind, r io.Reader, o Options) (Summary, error) {
	var sum Summary
	in := csv.NewReader(r)
	in.FieldsPerRecord = -1
	head, err := in.Read()
	if err != nil {
		return sum, domain.Errorf(domain.Invalid, "the file has no header row: %w", err)
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff")
	ki, ok := kind.Info()
	if !ok {
		return sum, domain.Errorf(domain.Invalid, "there is no kind %q", kind)
	}
	for _, h := range head {
		f, _, _ := strings.Cut(strings.TrimSpace(h), ".")
		if _, ok := ki.Field(domain.Field(f)); !ok && f != "id" {
			return sum, domain.Errorf(domain.Invalid, "column %q is not a field of %s", h, kind)
		}
	}
	o.Cause.Source = change.FromImport
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return sum, nil
		}
		sum.Rows++
		if o.Progress != nil && sum.Rows%100 == 0 {
			o.Progress(sum.Rows)
		}
		refused := func(why string) {
			sum.Refused++
			fmt.Fprintf(o.Report, "row %d: %s\n", sum.Rows+1, why)
		}
		if err != nil {
			refused(err.Error())
			continue
		}
		if len(row) != len(head) {
			refused(fmt.Sprintf("it has %d cells and the header %d", len(row), len(head)))
			continue
		}
		id, fields := values(ki, head, row)
		e := change.Edit{System: o.System, Kind: kind, EntityID: id, Fields: fields, Principal: o.Cause.Actor, Cause: o.Cause}
		res, err := a.Edit(ctx, e)
		if err == nil && id == "" && res.EntityID != "" && len(res.Refused) == 1 && res.Refused[0].Code == domain.Conflict {
			e.EntityID = res.EntityID
			res, err = a.Edit(ctx, e)
		}
		switch {
		case domain.CodeOf(err) == domain.NotFound:
			refused(domain.AsError(err).Message)
		case err != nil:
			return sum, fmt.Errorf("row %d: %w", sum.Rows+1, err)
		case len(res.Refused) > 0:
			for _, x := range res.Refused {
				refused(x.Message)
			}
			sum.Refused -= len(res.Refused) - 1
		case res.Created:
			sum.Created++
		case len(res.Proposed) > 0:
			sum.Proposed++
			fmt.Fprintf(o.Report, "row %d: %d fields were proposed to their owner\n", sum.Rows+1, len(res.Proposed))
		case len(res.Changed) > 0:
			sum.Changed++
		default:
			sum.Same++
		}
	}
}

// values turns a row into fields; cells of one address come together.
func values(ki domain.KindInfo, head, row []string) (id string, fields domain.Values) {
	fields = domain.Values{}
	parts := map[domain.Field]map[string]any{}
	for i, h := range head {
		cell := strings.TrimSpace(row[i])
		name, part, nested := strings.Cut(strings.TrimSpace(h), ".")
		f := domain.Field(name)
		fi, _ := ki.Field(f)
		switch {
		case name == "id":
			id = cell
		case cell == "":
		case nested:
			if parts[f] == nil {
				parts[f] = map[string]any{}
			}
			if part == "lines" {
				parts[f][part] = strings.Split(cell, "\n")
			} else {
				parts[f][part] = cell
			}
		case fi.Type == domain.TypeTags:
			var tags []string
			for _, t := range strings.Split(cell, ";") {
				tags = append(tags, strings.TrimSpace(t))
			}
			fields[f] = domain.ValueOf(tags)
		default:
			fields[f] = domain.TextValue(cell)
			if v, err := domain.Canonical([]byte(cell)); err == nil && (cell[0] == '[' || cell[0] == '{') {
				fields[f] = v
			}
		}
	}
	for f, p := range parts {
		fields[f] = domain.ValueOf(p)
	}
	return id, fields
}
