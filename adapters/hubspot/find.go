package hubspot

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"strings"

	"datum/adapters"
	"datum/domain"
)

// findAtOnce is how many queries share one search: HubSpot takes 100 values in a filter, and a page should hold the hits.
const findAtOnce = 50

// Find looks by datum_id first, which is consistent at once. Then for those not found: customers by e-mail of persons (also
// consistent) and by search for abn, company e-mail and name, products by their SKU and documents by their number; search
// trails behind writes by moments.
func (a *Adapter) Find(ctx context.Context, kind domain.Kind, queries []adapters.Query) (_ [][]domain.Record, err error) {
	defer domain.Wrap(&err, "hubspot.Find")
	t, err := tableOf(kind)
	if err != nil {
		return nil, err
	}
	found := make([][]domain.Record, len(queries))
	var ids []string
	for _, q := range queries {
		if q.CanonicalID != "" {
			ids = append(ids, q.CanonicalID)
		}
	}
	byID := map[string][]domain.Record{}
	for _, typ := range t.objects {
		b, err := a.objects(ctx, typ, idProperty, slices.Clone(ids))
		if err == nil && typ == contacts {
			b, err = a.alone(ctx, b)
		}
		if err != nil {
			return nil, err
		}
		records, err := a.complete(ctx, b)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			byID[r.CanonicalID] = append(byID[r.CanonicalID], r)
		}
	}
	var open []int
	for i, q := range queries {
		if found[i] = byID[q.CanonicalID]; q.CanonicalID == "" || len(found[i]) == 0 {
			open = append(open, i)
		}
	}
	for _, part := range chunks(open, findAtOnce) {
		candidates, err := a.candidates(ctx, t, queries, part)
		if err != nil {
			return nil, err
		}
		for _, i := range part {
			for _, r := range candidates {
				if resembles(t, r, queries[i].Values) {
					found[i] = append(found[i], r)
				}
			}
		}
	}
	return found, nil
}

func resembles(t table, r domain.Record, want domain.Values) bool {
	return slices.ContainsFunc(t.keys, func(f domain.Field) bool {
		w, h := want[f].Text(), r.Values[f].Text()
		return w != "" && strings.EqualFold(w, h)
	})
}

// candidates returns everything that one of the queries might mean.
func (a *Adapter) candidates(ctx context.Context, t table, queries []adapters.Query, part []int) ([]domain.Record, error) {
	values := map[domain.Field]map[string]bool{}
	for _, i := range part {
		for _, f := range t.keys {
			if v := queries[i].Values[f].Text(); v != "" {
				if values[f] == nil {
					values[f] = map[string]bool{}
				}
				values[f][strings.ToLower(v)] = true
			}
		}
	}
	in := func(property string, f domain.Field) map[string]any {
		return map[string]any{"filters": []map[string]any{{"propertyName": property, "operator": "IN", "values": slices.Sorted(maps.Keys(values[f]))}}}
	}
	if t.kind != domain.KindCustomer {
		key := t.keys[0]
		if len(values[key]) == 0 {
			return nil, nil
		}
		m := a.mappings[t.kind]
		b, err := a.searchAll(ctx, t.objects[0], []map[string]any{in(m.Row(key).Paths[0], key)})
		if err != nil {
			return nil, err
		}
		return a.complete(ctx, b)
	}
	var groups []map[string]any
	for property, f := range map[string]domain.Field{"abn": "abn", "customer_email": "email", "name": "legalName"} {
		if len(values[f]) > 0 {
			groups = append(groups, in(property, f))
		}
	}
	firms, err := a.searchAll(ctx, companies, groups)
	if err != nil {
		return nil, err
	}
	people, err := a.objects(ctx, contacts, "email", slices.Collect(maps.Keys(values["email"])))
	if err != nil {
		return nil, err
	}
	if len(values["abn"]) > 0 {
		more, err := a.searchAll(ctx, contacts, []map[string]any{in("abn", "abn")})
		if err != nil {
			return nil, err
		}
		people.objects = append(people.objects, more.objects...)
		people.sent = earlier(people.sent, more.sent)
	}
	slices.SortFunc(people.objects, func(x, y object) int { return byNumber(x.ID, y.ID) })
	people.objects = slices.CompactFunc(people.objects, func(x, y object) bool { return x.ID == y.ID })
	if people, err = a.alone(ctx, people); err != nil {
		return nil, err
	}
	records, err := a.complete(ctx, firms)
	if err != nil {
		return nil, err
	}
	more, err := a.complete(ctx, people)
	return append(records, more...), err
}

// searchAll runs a search to its end, by id.
func (a *Adapter) searchAll(ctx context.Context, typ string, groups []map[string]any) (batchOf, error) {
	var all batchOf
	last := ""
	for len(groups) > 0 {
		part := groups
		if last != "" {
			part = nil
			for _, g := range groups {
				filters := append(slices.Clone(g["filters"].([]map[string]any)), map[string]any{"propertyName": "hs_object_id", "operator": "GT", "value": last})
				part = append(part, map[string]any{"filters": filters})
			}
		}
		b, _, err := a.search(ctx, typ, part, "hs_object_id")
		if err != nil {
			return all, err
		}
		all.objects = append(all.objects, b.objects...)
		all.sent = earlier(all.sent, b.sent)
		if len(b.objects) < a.page {
			break
		}
		last = b.objects[len(b.objects)-1].ID
	}
	return all, nil
}

// owners are the portal's users, former ones too.
type owners struct {
	email map[string]string // id to e-mail
	id    map[string]string // e-mail in lower case to id
}

// users returns the portal's users; anew reads them again even if they are remembered, at most once a minute. Without
// permission to read them it returns none.
func (a *Adapter) users(ctx context.Context, anew bool) (owners, error) {
	return a.owners.get(a.s.Now, anew, func() (owners, error) {
		os := owners{email: map[string]string{}, id: map[string]string{}}
		for _, archived := range []string{"true", "false"} { // a live user wins over a former one with the same e-mail
			after := ""
			for {
				var out struct {
					Results []struct{ ID, Email string }
					Paging  struct{ Next struct{ After string } }
				}
				path := ownersPath + "?limit=100&archived=" + archived
				if after != "" {
					path += "&after=" + after
				}
				_, err := a.read(ctx, http.MethodGet, path, nil, &out)
				if domain.CodeOf(err) == domain.Forbidden {
					break
				}
				if err != nil {
					return os, err
				}
				for _, o := range out.Results {
					os.email[o.ID] = o.Email
					if archived == "false" {
						os.id[strings.ToLower(o.Email)] = o.ID
					}
				}
				if after = out.Paging.Next.After; after == "" {
					break
				}
			}
		}
		return os, nil
	})
}

// readProperties are the carried properties and the portal's own custom ones, so that drift is seen.
func (a *Adapter) readProperties(ctx context.Context, typ string) ([]string, error) {
	a.mu.Lock()
	m := a.extra[typ]
	if m == nil {
		m = &memory[[]string]{}
		a.extra[typ] = m
	}
	a.mu.Unlock()
	carried := a.carriedProperties(typ)
	extra, err := m.get(a.s.Now, false, func() ([]string, error) {
		defs, err := a.properties(ctx, typ)
		if domain.CodeOf(err) == domain.Forbidden {
			return nil, nil // without the schema scope drift is not seen; Check says so
		}
		var names []string
		for _, name := range slices.Sorted(maps.Keys(defs)) {
			if !defs[name].HubSpotDefined && !slices.Contains(carried, name) && len(names) < 100 {
				names = append(names, name)
			}
		}
		return names, err
	})
	return slices.Concat(carried, extra), err
}
