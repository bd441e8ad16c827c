package myob

import (
	"context"
	"slices"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// filterLimit is how long a filter may grow before the next call, in bytes before encoding.
const filterLimit = 1500

// Find looks records up by our id and, for those that it does not find, by strong keys: customers by ABN, e-mail address and
// name, products by SKU, documents by number, payments by receipt number, customer, date and amount. MYOB cannot filter by custom fields. But a card or an item with our
// id was written after the id was made, and the id says when that was: so what was modified since then is read, and that is
// little for a create whose answer has just been lost. Our id in a transaction's memo is asked for.
func (a *adapter) Find(ctx context.Context, kind domain.Kind, queries []adapters.Query) (found [][]domain.Record, err error) {
	defer domain.Wrap(&err, "myob.Find")
	b, err := a.book(kind)
	if err != nil {
		return nil, err
	}
	found = make([][]domain.Record, len(queries))
	if err := a.findOurs(ctx, b, queries, found); err != nil {
		return nil, err
	}
	var recs []domain.Record
	for _, src := range b.own {
		var terms []string
		for i, q := range queries {
			if len(found[i]) == 0 {
				terms = append(terms, src.terms(q.Values)...)
			}
		}
		some, err := a.search(ctx, b, src, terms)
		if err != nil {
			return nil, err
		}
		recs = append(recs, some...)
	}
	for i, q := range queries {
		if len(found[i]) > 0 {
			continue
		}
		for _, r := range recs {
			if b.matches(r, q.Values) {
				found[i] = append(found[i], r)
			}
		}
	}
	return found, nil
}

// findOurs stores what is found by our id.
func (a *adapter) findOurs(ctx context.Context, b *book, queries []adapters.Query, found [][]domain.Record) error {
	asked := map[string]bool{}
	var terms []string
	var c leg
	for _, q := range queries {
		if q.CanonicalID == "" {
			continue
		}
		since := max(madeAt(q.CanonicalID, a.s.Now()).Add(-a.overlap).UnixMilli(), 0)
		if len(asked) == 0 || since < c.After {
			c.After = since
		}
		asked[q.CanonicalID] = true
		terms = append(terms, b.marked(q.CanonicalID))
	}
	if len(asked) == 0 {
		return nil
	}
	latest := map[string]domain.Record{} // by ExternalID
	keep := func(recs []domain.Record) {
		for _, r := range recs {
			if asked[r.CanonicalID] {
				latest[r.ExternalID] = r
			}
		}
	}
	for _, src := range b.own {
		if b.memo != "" {
			recs, err := a.search(ctx, b, src, terms)
			if err != nil {
				return err
			}
			keep(recs)
			continue
		}
		for more := true; more; {
			var listed []item
			var err error
			if listed, c, more, err = a.step(ctx, src, c, maxPage); err != nil {
				return err
			}
			recs, err := a.records(ctx, b, listed)
			if err != nil {
				return err
			}
			keep(recs)
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

// marked is the condition that a transaction with our id in its memo meets.
func (b *book) marked(id string) string { return "substringof(" + quoted(id) + ", " + b.memo + ")" }

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

func (b *book) matches(r domain.Record, v domain.Values) bool {
	for _, f := range b.keys {
		want := v[f].Text()
		if match := want != "" && strings.EqualFold(r.Values[f].Text(), want); match != b.together {
			return match
		}
	}
	return b.together
}

// search reads the records that meet any of the terms.
func (a *adapter) search(ctx context.Context, b *book, src source, terms []string) ([]domain.Record, error) {
	listed, err := a.gather(ctx, src, terms)
	if err != nil {
		return nil, err
	}
	return a.records(ctx, b, listed)
}
