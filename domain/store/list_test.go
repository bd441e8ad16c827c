package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"datum/domain"
	"datum/domain/store"
	"datum/internal/pgtest"
)

var ctx = context.Background()

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func text(s string) domain.Value { return domain.TextValue(s) }

// customers stores golden customers and returns their ids.
func customers(t testing.TB, pool *pgxpool.Pool, golden ...domain.Values) []string {
	t.Helper()
	b := &pgx.Batch{}
	ids := make([]string, len(golden))
	for i, g := range golden {
		ids[i] = domain.NewID("cus")
		if g == nil {
			g = domain.Values{}
		}
		must(t, store.QueueEntity(b, &store.Entity{ID: ids[i], Kind: domain.KindCustomer, Version: 1, Golden: g, Provenance: map[domain.Field]store.Provenance{}}))
	}
	must(t, pool.SendBatch(ctx, b).Close())
	return ids
}

func legalName(t *testing.T, v store.View) string {
	t.Helper()
	var c struct{ LegalName string }
	must(t, json.Unmarshal(v.JSON, &c))
	return c.LegalName
}

// In every order, both ways, with pages of any size: every customer once, in order, whatever they have in common.
func TestListViewsPages(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	names := []string{"", "Acme", "acme", "ACME", "O'Brien", "Ærø", "Zoë 100%", `a\b`, "a_b", "Élan", "élan", "日本"}
	var golden []domain.Values
	for i := range 60 {
		golden = append(golden, domain.Values{"legalName": text(names[i%len(names)])})
	}
	ids := customers(t, pool, golden...)
	for i, id := range ids { // many were last changed at the same time
		_, err := pool.Exec(ctx, "UPDATE customers SET updated_at = $2 WHERE id = $1", id, time.Date(2026, 3, 1, 0, 0, i%7, 123456000, time.UTC))
		must(t, err)
	}
	for _, order := range []store.ViewOrder{store.ByID, store.ByName, store.ByUpdated} {
		for _, desc := range []bool{false, true} {
			whole, err := store.ListViews(ctx, pool, domain.KindCustomer, store.ViewFilter{}, store.ViewPage{Order: order, Desc: desc, Limit: 1000})
			must(t, err)
			for i := 1; i < len(whole); i++ {
				a, b := whole[i-1], whole[i]
				if desc {
					a, b = b, a
				}
				inOrder := a.ID < b.ID
				switch order {
				case store.ByName:
					if x, y := strings.ToLower(legalName(t, a)), strings.ToLower(legalName(t, b)); x != a.SortKey || y != b.SortKey {
						t.Errorf("%q and %q are sorted by %q and %q", x, y, a.SortKey, b.SortKey)
					}
					inOrder = a.SortKey < b.SortKey || a.SortKey == b.SortKey && a.ID < b.ID
				case store.ByUpdated:
					inOrder = a.SortKey < b.SortKey || a.SortKey == b.SortKey && a.ID < b.ID
				}
				if !inOrder {
					t.Errorf("by %s, desc %v: %+v before %+v", order, desc, whole[i-1], whole[i])
				}
			}
			for _, size := range []int{1, 7, 59, 60} {
				var got []string
				page := store.ViewPage{Order: order, Desc: desc, Limit: size}
				for {
					rows, err := store.ListViews(ctx, pool, domain.KindCustomer, store.ViewFilter{}, page)
					must(t, err)
					if len(rows) == 0 {
						break
					}
					for _, r := range rows {
						got = append(got, r.ID)
					}
					last := rows[len(rows)-1]
					page.AfterKey, page.AfterID = last.SortKey, last.ID
				}
				want := make([]string, len(whole))
				for i, r := range whole {
					want[i] = r.ID
				}
				if len(whole) != len(ids) || !slices.Equal(got, want) {
					t.Errorf("by %s, desc %v, pages of %d: %d customers of %d", order, desc, size, len(got), len(ids))
				}
			}
		}
	}
	if _, err := store.ListViews(ctx, pool, domain.KindCustomer, store.ViewFilter{}, store.ViewPage{Order: "shoe size", Limit: 1}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("an order that there isn't: %v", err)
	}
}

func TestListViewsFilters(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	address := func(state string) domain.Value { return domain.ValueOf(domain.Address{State: state, Country: "AU"}) }
	ids := customers(t, pool,
		domain.Values{"legalName": text("Söhne & Co"), "abn": text("51824753556"), "kind": text("BUSINESS"), "billingAddress": address("VIC")},
		domain.Values{"legalName": text("100% Pure"), "email": text("jo@pure.example.com"), "lifecycleStage": text("LEAD"), "status": text("ACTIVE")},
		domain.Values{"legalName": text(`back\slash`), "tradingName": text("under_score"), "status": text("ARCHIVED"), "billingAddress": address("NSW")},
		domain.Values{"legalName": text("Plain"), "kind": text("PERSON"), "shippingAddress": address("VIC")})
	b := &pgx.Batch{}
	for i, c := range []store.Case{{EntityID: ids[1]}, {EntityID: "cus_other", OtherID: ids[2]}, {EntityID: ids[3]}} {
		c.ID, c.Kind, c.DedupeKey = fmt.Sprintf("case_%d", i), store.CaseInvalid, fmt.Sprint(i)
		store.QueueCase(b, c)
	}
	store.QueueCaseEnd(b, "case_2", "closed", "", "")
	must(t, pool.SendBatch(ctx, b).Close())
	_, err := pool.Exec(ctx, "UPDATE customers SET updated_at = '2020-01-01' WHERE id <> $1", ids[3])
	must(t, err)
	yes, no, since := true, false, time.Date(2025, 5, 31, 14, 0, 0, 0, time.UTC)
	is := func(f domain.Field, v string) store.ViewFilter {
		return store.ViewFilter{Is: map[domain.Field][]string{f: {v}}}
	}
	for name, c := range map[string]struct {
		f    store.ViewFilter
		want []int
	}{
		"nothing":              {store.ViewFilter{}, []int{0, 1, 2, 3}},
		"part of a name":       {store.ViewFilter{Search: "LAIN"}, []int{3}},
		"beyond ASCII":         {store.ViewFilter{Search: "SÖHNE"}, []int{0}},
		"percent is a percent": {store.ViewFilter{Search: "0%"}, []int{1}},
		"underscore":           {store.ViewFilter{Search: "r_s"}, []int{2}},
		"backslash":            {store.ViewFilter{Search: `k\s`}, []int{2}},
		"not a pattern":        {store.ViewFilter{Search: "p%n"}, nil},
		"search for an ABN":    {store.ViewFilter{Search: "51824753556"}, []int{0}},
		"ABN":                  {is("abn", "51824753556"), []int{0}},
		"e-mail":               {is("email", "jo@pure.example.com"), []int{1}},
		"kind":                 {is("kind", "PERSON"), []int{3}},
		"stage":                {is("lifecycleStage", "LEAD"), []int{1}},
		"status":               {is("status", "ARCHIVED"), []int{2}},
		"state, where billed":  {store.ViewFilter{State: "VIC"}, []int{0}},
		"with a case":          {store.ViewFilter{HasCase: &yes}, []int{1, 2}},
		"without":              {store.ViewFilter{HasCase: &no}, []int{0, 3}},
		"changed since":        {store.ViewFilter{UpdatedSince: &since}, []int{3}},
		"two at once":          {store.ViewFilter{Is: is("status", "ACTIVE").Is, HasCase: &yes}, []int{1}},
	} {
		rows, err := store.ListViews(ctx, pool, domain.KindCustomer, c.f, store.ViewPage{Order: store.ByID, Limit: 10})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []int
		for _, r := range rows {
			got = append(got, slices.Index(ids, r.ID))
		}
		slices.Sort(got)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, not %v", name, got, c.want)
		}
	}
}
