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

// Find looks contacts up by our id in ContactNumber and, for those that it does not find, by ABN, e-mail address and
// name. Suppliers are found too: a customer who already is a supplier is the same contact in Xero.
func (a *adapter) Find(ctx context.Context, kind domain.Kind, queries []adapters.Query) (found [][]domain.Record, err error) {
	defer domain.Wrap(&err, "xero.Find")
	if err := a.carries(kind); err != nil {
		return nil, err
	}
	found = make([][]domain.Record, len(queries))
	var terms []string
	for _, q := range queries {
		if q.CanonicalID != "" {
			terms = append(terms, equals("ContactNumber", q.CanonicalID))
		}
	}
	recs, err := a.search(ctx, terms)
	if err != nil {
		return nil, err
	}
	for i, q := range queries {
		for _, r := range recs {
			if q.CanonicalID != "" && r.CanonicalID == q.CanonicalID {
				found[i] = append(found[i], r)
			}
		}
	}
	terms = nil
	for i, q := range queries {
		if len(found[i]) == 0 {
			terms = append(terms, strongTerms(q.Values)...)
		}
	}
	if recs, err = a.search(ctx, terms); err != nil {
		return nil, err
	}
	for i, q := range queries {
		if len(found[i]) > 0 {
			continue
		}
		for _, r := range recs {
			if matches(r, q.Values) {
				found[i] = append(found[i], r)
			}
		}
	}
	return found, nil
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

// search reads the contacts that meet any of the terms, in as few calls as the length of a URL allows.
func (a *adapter) search(ctx context.Context, terms []string) ([]domain.Record, error) {
	slices.Sort(terms)
	terms = slices.Compact(terms)
	var recs []domain.Record
	for len(terms) > 0 {
		n, length := 1, len(terms[0])
		for n < len(terms) && length+len(terms[n])+4 <= whereLimit {
			length += len(terms[n]) + 4
			n++
		}
		q := url.Values{"where": {strings.Join(terms[:n], " OR ")}}
		terms = terms[n:]
		for page := 1; ; page++ {
			l, sent, err := a.contacts(ctx, q, page, maxPage, time.Time{})
			if err != nil {
				return nil, err
			}
			for i, o := range l.contacts {
				r, err := a.record(o, l.raw[i], sent)
				if err != nil {
					return nil, err
				}
				if !slices.ContainsFunc(recs, func(x domain.Record) bool { return x.ExternalID == r.ExternalID }) {
					recs = append(recs, r)
				}
			}
			if page >= l.pages {
				break
			}
		}
	}
	return recs, nil
}
