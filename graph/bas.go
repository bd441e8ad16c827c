package graph

import (
	"context"
	"strconv"

	"github.com/shopspring/decimal"

	"datum/domain"
	"datum/domain/money"
	"datum/domain/store"
	"datum/graph/model"
)

// salesLabels are the labels of the sales side, in the order of the form.
var salesLabels = []struct {
	label   money.Label
	meaning string
}{
	{money.G1, "total sales, with GST"}, {money.G2, "exports"}, {money.G3, "other GST-free sales"}, {money.G4, "input-taxed sales"},
	{money.Label1A, "GST on sales"},
}

// bas adds up the sales side of an activity statement.
func (r *Resolver) bas(ctx context.Context, from, to string, basis model.BasBasis) (*model.BasSummary, error) {
	if from > to {
		return nil, domain.Errorf(domain.Invalid, "the period ends on %s, before it begins on %s", to, from)
	}
	docs, err := store.BasDocuments(ctx, r.pool, from, to, basis == model.BasBasisCash)
	if err != nil {
		return nil, err
	}
	s := &model.BasSummary{From: from, To: to, Basis: basis, LeftOut: []*model.BasLeftOut{}}
	var reported []money.Reported
	for _, d := range docs {
		result, ok, err := domain.Issued(d.Golden)
		reason := ""
		switch {
		case err != nil:
			reason = err.Error()
		case !ok:
			reason = "it has no lines or no totals"
		case result.Totals.Currency != "AUD":
			reason = "it is in " + result.Totals.Currency + ", and Datum keeps no exchange rates"
		}
		if reason != "" {
			if len(s.LeftOut) < listed {
				s.LeftOut = append(s.LeftOut, &model.BasLeftOut{DocumentID: d.ID, Reason: reason})
			}
			continue
		}
		rep := money.Reported{ID: d.ID, CreditNote: d.Kind == domain.KindCreditNote, Result: result}
		if basis == model.BasBasisCash {
			rep.Paid = &money.Paid{Before: d.Before, After: d.After}
		}
		reported = append(reported, rep)
	}
	sum, err := money.Summarise(reported)
	if err != nil {
		return nil, err
	}
	for _, l := range salesLabels {
		bl := &model.BasLabel{Label: string(l.label), Meaning: l.meaning, Amount: aud(sum.Amount(l.label)),
			WholeDollars: model.Exact(money.WholeDollars(sum.Amount(l.label)).String())}
		for _, ls := range sum.Labels {
			if ls.Label == l.label {
				bl.Documents = each(ls.Documents, func(d money.DocumentAmount) *model.BasDocument {
					return &model.BasDocument{DocumentID: d.ID, Amount: aud(d.Amount)}
				})
			}
		}
		s.Labels = append(s.Labels, bl)
	}
	return s, nil
}

func aud(d decimal.Decimal) *model.Money { return &model.Money{Amount: d, Currency: "AUD"} }

// basDocuments returns a page of the documents behind a label, which are all there.
func basDocuments(l *model.BasLabel, first *int, after *string) (*model.BasDocumentConnection, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	from, err := parseCursor(after, "bas "+l.Label, 1)
	if err != nil {
		return nil, err
	}
	start, err := strconv.Atoi("0" + from[0])
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "after is not a cursor of this list")
	}
	start = min(start, len(l.Documents))
	p := newPage(l.Documents[start:], n, after, func(i int) string { return cursor("bas "+l.Label, strconv.Itoa(start+i+1)) })
	return &model.BasDocumentConnection{Nodes: p.nodes, PageInfo: p.info, Edges: edges(p, func(cursor string, node *model.BasDocument) *model.BasDocumentEdge {
		return &model.BasDocumentEdge{Cursor: cursor, Node: node}
	})}, nil
}
