package xero

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// whereLimit is how long a where expression may grow before the next call, in bytes before encoding.
const whereLimit = 2500

// Find looks objects up by our id and, for those that it does not find, by their strong keys: contacts by ABN, e-mail address
// and name (suppliers too: a customer who already is a supplier is the same contact in Xero), items by code, documents by
// number, payments by what they pay, amount, date and reference.
func (a *adapter) Find(ctx context.Context, of domain.Kind, queries []adapters.Query) (found [][]domain.Record, err error) {
	defer domain.Wrap(&err, "xero.Find")
	k, err := a.kind(of)
	if err != nil {
		return nil, err
	}
	found = make([][]domain.Record, len(queries))
	recs, err := a.byID(ctx, k, queries)
	if err != nil {
		return nil, err
	}
	for i, q := range queries {
		for _, r := range recs {
			if q.CanonicalID != "" && r.CanonicalID == q.CanonicalID && !r.Deleted {
				found[i] = append(found[i], r)
			}
		}
	}
	if second := a.second(of); second != nil {
		if err := a.findSecond(ctx, second, queries, found); err != nil {
			return nil, err
		}
	}
	var rest []adapters.Query
	for i, q := range queries {
		if len(found[i]) == 0 {
			rest = append(rest, q)
		}
	}
	if recs, err = a.byKeys(ctx, k, rest); err != nil {
		return nil, err
	}
	for i, q := range queries {
		if len(found[i]) > 0 {
			continue
		}
		for _, r := range recs {
			if !r.Deleted && k.matches(r, q.Values) {
				found[i] = append(found[i], r)
			}
		}
	}
	return found, nil
}

// findSecond looks up by our id what was not found in the first collection.
func (a *adapter) findSecond(ctx context.Context, k *kind, queries []adapters.Query, found [][]domain.Record) error {
	var ids []string
	for i, q := range queries {
		if len(found[i]) == 0 && q.CanonicalID != "" {
			ids = append(ids, q.CanonicalID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	recs, err := a.overpaymentsOf(ctx, k, ids)
	if err != nil {
		return err
	}
	for i, q := range queries {
		for _, r := range recs {
			if q.CanonicalID != "" && r.CanonicalID == q.CanonicalID {
				found[i] = append(found[i], r)
			}
		}
	}
	return nil
}

// byID reads what may carry our ids. Quotes have no conditions: all that were changed since the ids were made are read.
func (a *adapter) byID(ctx context.Context, k *kind, queries []adapters.Query) ([]domain.Record, error) {
	var terms []string
	var first time.Time
	for _, q := range queries {
		if q.CanonicalID == "" {
			continue
		}
		if at, ok := madeAt(q.CanonicalID); ok && (first.IsZero() || at.Before(first)) {
			first = at
		}
		switch k.mapping.IDField {
		case "":
		case "Url":
			terms = append(terms, equals("Url", defaultsOf(a.s.Settings).link+q.CanonicalID))
		case "Reference":
			terms = append(terms, `Reference!=null AND Reference.EndsWith("[`+q.CanonicalID+`]")`)
		default:
			terms = append(terms, equals(k.mapping.IDField, q.CanonicalID))
		}
	}
	if k.where {
		return a.search(ctx, k, terms)
	}
	if len(terms) == 0 {
		return nil, nil
	}
	// Our clock may be ahead of Xero's.
	return a.pagesOf(ctx, k, nil, first.Add(-a.overlap))
}

// byKeys reads what may have the strong keys.
func (a *adapter) byKeys(ctx context.Context, k *kind, queries []adapters.Query) ([]domain.Record, error) {
	var terms []string
	var recs []domain.Record
	for _, q := range queries {
		number := q.Values["number"].Text()
		switch {
		case k.mapping.Kind == domain.KindCustomer:
			terms = append(terms, strongTerms(q.Values)...)
		case k.mapping.Kind == domain.KindPayment:
			as := domain.AllocationsOf(q.Values["allocations"])
			for _, p := range as {
				if id, ok := domain.ExtID(p.Invoice); ok {
					terms = append(terms, `Invoice.InvoiceID==Guid("`+strings.ReplaceAll(id, `"`, "")+`")`)
				} else if id, ok := domain.ExtID(p.CreditNote); ok {
					terms = append(terms, `CreditNote.CreditNoteID==Guid("`+strings.ReplaceAll(id, `"`, "")+`")`)
				}
			}
		case k.mapping.Kind == domain.KindProduct:
			if sku := q.Values["sku"].Text(); sku != "" {
				terms = append(terms, equals("Code", sku))
			}
		case number != "" && k.where:
			terms = append(terms, equals(k.mapping.Row("number").Paths[0], number))
		case number != "":
			rs, err := a.pagesOf(ctx, k, url.Values{"QuoteNumber": {number}}, time.Time{})
			if err != nil {
				return nil, err
			}
			recs = append(recs, rs...)
		}
	}
	if !k.where {
		return recs, nil
	}
	return a.search(ctx, k, terms)
}

// matches reports whether a record has one of the strong keys.
func (k *kind) matches(r domain.Record, v domain.Values) bool {
	same := func(f domain.Field) bool { return !v[f].Empty() && r.Values[f] == v[f] }
	switch k.mapping.Kind {
	case domain.KindCustomer:
		return matches(r, v)
	case domain.KindProduct:
		return same("sku")
	case domain.KindPayment:
		fit := k.mapping.Fit(v)
		return r.Values["stage"] != `"VOIDED"` && same("amount") && same("date") && r.Values["allocations"] == fit["allocations"] &&
			r.Values["reference"].Text() == v["reference"].Text()
	default:
		return same("number")
	}
}

// strongTerms are the conditions that a contact with one of the strong keys meets. People write an ABN with or without
// spaces.
func strongTerms(v domain.Values) []string {
	var terms []string
	if abn := v["abn"].Text(); abn != "" {
		terms = append(terms, equals("TaxNumber", abn))
		if spaced := domain.FormatABN(abn); spaced != abn {
			terms = append(terms, equals("TaxNumber", spaced))
		}
	}
	if email := v["email"].Text(); email != "" {
		terms = append(terms, equals("EmailAddress", email))
	}
	if name := v["legalName"].Text(); name != "" {
		terms = append(terms, named(name))
	}
	return terms
}

func matches(r domain.Record, v domain.Values) bool {
	for _, f := range []domain.Field{"abn", "email", "legalName"} {
		if want := v[f].Text(); want != "" && strings.EqualFold(r.Values[f].Text(), want) {
			return true
		}
	}
	return false
}

// equals is the condition that a member has exactly the value; a double quote in it is doubled.
func equals(member, value string) string {
	return member + `=="` + strings.ReplaceAll(value, `"`, `""`) + `"`
}

// named is the condition on Name, which is unique without regard to case. Other members may be null, on which Xero's
// ToLower fails.
func named(name string) string { return equals("Name.ToLower()", strings.ToLower(name)) }

// search reads the objects that meet any of the terms, in as few calls as the length of a URL allows.
func (a *adapter) search(ctx context.Context, k *kind, terms []string) ([]domain.Record, error) {
	slices.Sort(terms)
	terms = slices.Compact(terms)
	var recs []domain.Record
	for len(terms) > 0 {
		n, length := 1, len(terms[0])
		for n < len(terms) && length+len(terms[n])+4 <= whereLimit {
			length += len(terms[n]) + 4
			n++
		}
		rs, err := a.pagesOf(ctx, k, url.Values{"where": {strings.Join(terms[:n], " OR ")}}, time.Time{})
		if err != nil {
			return nil, err
		}
		terms = terms[n:]
		for _, r := range rs {
			if !slices.ContainsFunc(recs, func(x domain.Record) bool { return x.ExternalID == r.ExternalID }) {
				recs = append(recs, r)
			}
		}
	}
	return recs, nil
}

// pagesOf reads every page of a query. Suppliers are among the contacts.
func (a *adapter) pagesOf(ctx context.Context, k *kind, q url.Values, since time.Time) ([]domain.Record, error) {
	var recs []domain.Record
	for c := (cursor{Page: 1}); ; c.Page++ {
		l, sent, err := a.get(ctx, k, q, c.Page, maxPage, since)
		if err != nil {
			return nil, err
		}
		for i, o := range l.objects {
			if k.mapping.Kind != domain.KindCustomer && !k.ours(o) {
				continue
			}
			r, err := a.record(k, o, l.raw[i], sent)
			if err != nil {
				return nil, err
			}
			recs = append(recs, r)
		}
		if !k.more(c, l) {
			return recs, nil
		}
	}
}
