package myob

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// filterLimit is how long a filter may grow before the next call, in bytes before encoding.
const filterLimit = 1500

// Find looks cards up by our id and, for those that it does not find, by ABN, e-mail address and name. MYOB cannot filter
// by custom fields. But a card with our id was written after the id was made, and the id says when that was: so what was
// modified since then is read, and that is little for a create whose answer has just been lost.
func (a *adapter) Find(ctx context.Context, kind domain.Kind, queries []adapters.Query) (found [][]domain.Record, err error) {
	defer domain.Wrap(&err, "myob.Find")
	if err := a.carries(kind); err != nil {
		return nil, err
	}
	found = make([][]domain.Record, len(queries))
	if err := a.findOurs(ctx, queries, found); err != nil {
		return nil, err
	}
	var terms []string
	for i, q := range queries {
		if len(found[i]) == 0 {
			terms = append(terms, strongTerms(q.Values)...)
		}
	}
	recs, err := a.search(ctx, terms)
	if err != nil {
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

// findOurs stores what is found by our id.
func (a *adapter) findOurs(ctx context.Context, queries []adapters.Query, found [][]domain.Record) error {
	asked := map[string]bool{}
	var c cursor
	for _, q := range queries {
		if q.CanonicalID == "" {
			continue
		}
		since := max(madeAt(q.CanonicalID, a.s.Now()).Add(-a.overlap).UnixMilli(), 0)
		if len(asked) == 0 || since < c.After {
			c.After = since
		}
		asked[q.CanonicalID] = true
	}
	if len(asked) == 0 {
		return nil
	}
	latest := map[string]domain.Record{} // by ExternalID
	for more := true; more; {
		var recs []domain.Record
		var err error
		if recs, c, more, err = a.step(ctx, c, maxPage); err != nil {
			return err
		}
		for _, r := range recs {
			if asked[r.CanonicalID] {
				latest[r.ExternalID] = r
			}
		}
	}
	for i, q := range queries {
		for _, r := range latest {
			if q.CanonicalID != "" && r.CanonicalID == q.CanonicalID {
				found[i] = append(found[i], r)
			}
		}
		slices.SortFunc(found[i], func(x, y domain.Record) int { return strings.Compare(x.ExternalID, y.ExternalID) })
	}
	return nil
}

// madeAt is when an id of ours was made: the first 48 bits of its UUIDv7 are milliseconds since 1970 (RFC 9562, 5.7). It is
// the zero time, which is before everything, for an id that does not tell or is ahead of the clock.
func madeAt(id string, now time.Time) time.Time {
	const digits = "0123456789abcdefghjkmnpqrstvwxyz"
	if domain.Prefix(id) == "" {
		return time.Time{}
	}
	text := id[len(id)-26:]
	var ms int64
	for _, c := range text[:10] {
		ms = ms<<5 | int64(strings.IndexRune(digits, c))
	}
	at := time.UnixMilli(ms).UTC()
	if version := strings.IndexByte(digits, text[10]) >> 1; version != 7 || at.After(now.Add(time.Minute)) {
		return time.Time{}
	}
	return at
}

// strongTerms are the conditions that a card with one of the strong keys meets.
func strongTerms(v domain.Values) []string {
	var terms []string
	if abn := v["abn"].Text(); abn != "" {
		terms = append(terms, "SellingDetails/ABN eq "+quoted(domain.FormatABN(abn)))
	}
	if email := v["email"].Text(); email != "" {
		terms = append(terms, "Addresses/any(x: x/Email eq "+quoted(email)+")")
	}
	if name := v["legalName"].Text(); name != "" {
		terms = append(terms, named(name)...)
	}
	return terms
}

// named are the conditions that a card with the name meets, a company's and an individual's.
func named(name string) []string {
	terms := []string{"CompanyName eq " + quoted(name)}
	if first, last := split(name); last != "" {
		terms = append(terms, "(FirstName eq "+quoted(first)+" and LastName eq "+quoted(last)+")")
	} else {
		terms = append(terms, "(IsIndividual eq true and LastName eq "+quoted(name)+")")
	}
	return terms
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func matches(r domain.Record, v domain.Values) bool {
	for _, f := range []domain.Field{"abn", "email", "legalName"} {
		if want := v[f].Text(); want != "" && strings.EqualFold(r.Values[f].Text(), want) {
			return true
		}
	}
	return false
}

// search reads the cards that meet any of the terms, in as few calls as the length of a URL allows.
func (a *adapter) search(ctx context.Context, terms []string) ([]domain.Record, error) {
	slices.Sort(terms)
	terms = slices.Compact(terms)
	var recs []domain.Record
	for len(terms) > 0 {
		n, length := 1, len(terms[0])
		for n < len(terms) && length+len(terms[n])+4 <= filterLimit {
			length += len(terms[n]) + 4
			n++
		}
		filter := strings.Join(terms[:n], " or ")
		terms = terms[n:]
		for skip, more := 0, true; more; {
			l, err := a.list(ctx, url.Values{"$filter": {filter}, "$orderby": {"UID"}}, skip, maxPage)
			if err != nil {
				return nil, err
			}
			for _, r := range l.records {
				if !slices.ContainsFunc(recs, func(x domain.Record) bool { return x.ExternalID == r.ExternalID }) {
					recs = append(recs, r)
				}
			}
			skip, more = skip+len(l.records), l.more && len(l.records) > 0
		}
	}
	return recs, nil
}
