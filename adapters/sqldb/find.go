package sqldb

import (
	"context"
	"database/sql"
	"maps"
	"slices"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// strong are the fields by which a row is known, of each kind those that its mapping has. Fields in one group must all agree.
var strong = map[domain.Kind][][]domain.Field{
	domain.KindCustomer:   {{"abn"}, {"email"}, {"legalName"}},
	domain.KindProduct:    {{"sku"}, {"barcode"}},
	domain.KindLocation:   {{"code"}, {"name"}},
	domain.KindStockLevel: {{"product", "location"}},
	domain.KindQuote:      {{"number"}},
	domain.KindOrder:      {{"number"}},
	domain.KindInvoice:    {{"number"}},
	domain.KindCreditNote: {{"number"}},
}

// Find looks rows up by our id and, for those that it does not find, by strong keys. Rows that are marked as deleted are
// not found.
func (a *adapter) Find(ctx context.Context, kind domain.Kind, queries []adapters.Query) (found [][]domain.Record, err error) {
	defer domain.Wrap(&err, "sqldb.Find")
	t, m, err := a.carries(kind)
	if err != nil {
		return nil, err
	}
	found = make([][]domain.Record, len(queries))
	err = a.run(ctx, "SELECT", t.Table+"?find", nil, false, func(ctx context.Context) (any, error) {
		clear(found)
		n := 0
		err := a.reading(ctx, func(tx *sql.Tx, at time.Time) error {
			keep := func(objects []object, is func(i int, r domain.Record) bool) error {
				recs, err := a.records(t, slices.DeleteFunc(objects, func(o object) bool { return !t.isOne(o) || t.isDeleted(o) }), at)
				if err != nil {
					return err
				}
				for i := range queries {
					before := len(found[i])
					for _, r := range recs {
						if before == 0 && is(i, r) {
							found[i] = append(found[i], r)
							n++
						}
					}
				}
				return nil
			}
			var ids []string
			for _, q := range queries {
				if q.CanonicalID != "" {
					ids = append(ids, q.CanonicalID)
				}
			}
			if t.ID != "" && len(ids) > 0 {
				objects, err := a.byID(ctx, tx, t, ids, "")
				if err != nil {
					return err
				}
				if err := keep(objects, func(i int, r domain.Record) bool {
					return queries[i].CanonicalID != "" && r.CanonicalID == queries[i].CanonicalID
				}); err != nil {
					return err
				}
			}
			ts, err := a.typesOf(ctx, tx, t.Table)
			if err != nil {
				return err
			}
			s := &statement{d: a.d}
			var terms []string
			for i, q := range queries {
				if len(found[i]) == 0 {
					terms = append(terms, a.strongTerms(s, t, m, q.Values, ts)...)
				}
			}
			if len(terms) == 0 {
				return nil
			}
			s.add("SELECT ", a.selected(t), " FROM ", a.d.table(t.Table), " t WHERE ", strings.Join(terms, " OR "), " ORDER BY ", a.d.list("t.", t.Key))
			objects, err := a.rows(ctx, tx, t, s)
			if err != nil {
				return err
			}
			return keep(objects, func(i int, r domain.Record) bool { return matches(r, queries[i].Values) })
		})
		return map[string]int{"rows": n}, err
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// strongTerms are the conditions that a row with one of the strong keys meets, and perhaps some others do.
func (a *adapter) strongTerms(s *statement, t *table, m *adapters.Mapping, v domain.Values, ts types) []string {
	var terms []string
	for _, group := range strong[t.kind] {
		o := object{}
		for _, f := range group {
			if v[f].Empty() || m.Row(f) == nil || (codec{f: t.Fields[f], typ: typeOf(t.kind, f), zone: a.zone}).set(o, v[f]) != nil {
				o = nil
				break
			}
		}
		var all []string
		for _, c := range slices.Sorted(maps.Keys(o)) {
			text, ok := scalar(o[c])
			switch {
			case !ok || text == "":
			case isInteger(ts[c]) || ts[c] == "UUID":
				if !fitKey([]string{text}, []string{c}, ts) {
					all = append(all, "1 = 0")
					continue
				}
				all = append(all, "t."+a.d.quote(c)+" = "+s.arg(text))
			default:
				// People write numbers with spaces and names in any case.
				all = append(all, "LOWER(REPLACE("+a.d.text("t."+a.d.quote(c))+", ' ', '')) = "+s.arg(strings.ToLower(strings.ReplaceAll(text, " ", ""))))
			}
		}
		if len(all) > 0 {
			terms = append(terms, "("+strings.Join(all, " AND ")+")")
		}
	}
	return terms
}

func typeOf(kind domain.Kind, f domain.Field) domain.Type {
	ki, _ := kind.Info()
	fi, _ := ki.Field(f)
	return fi.Type
}

func matches(r domain.Record, v domain.Values) bool {
	return slices.ContainsFunc(strong[r.Kind], func(group []domain.Field) bool {
		return !slices.ContainsFunc(group, func(f domain.Field) bool {
			want := v[f].Text()
			return want == "" || !strings.EqualFold(r.Values[f].Text(), want)
		})
	})
}
