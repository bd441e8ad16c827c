package graph_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"datum/domain/store"
)

// BenchmarkReads prints how long reads take over GraphQL and how many times that is of a plain endpoint, which runs the
// same SQL and writes the same objects with encoding/json.
func BenchmarkReads(b *testing.B) {
	f := setup(b)
	const customers = 50
	var id string
	for i := range customers {
		id = f.customer(fmt.Sprint("c", i), fmt.Sprint("Customer ", i))
	}
	plain := http.NewServeMux()
	respond := func(w http.ResponseWriter, v any, err error) {
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_ = json.NewEncoder(w).Encode(v)
	}
	plain.HandleFunc("GET /one", func(w http.ResponseWriter, r *http.Request) {
		c, err := store.Customers(r.Context(), f.pool, []string{id})
		respond(w, c, err)
	})
	plain.HandleFunc("GET /list", func(w http.ResponseWriter, r *http.Request) {
		rows, err := store.ListCustomers(r.Context(), f.pool, store.CustomerFilter{}, store.CustomerPage{Order: store.OrderByID, Desc: true, Limit: customers + 1})
		ids := make([]string, len(rows))
		for i, row := range rows {
			ids[i] = row.ID
		}
		var rs []*store.Record
		var ps []*store.Projection
		if err == nil {
			rs, err = store.RecordsOf(r.Context(), f.pool, ids)
		}
		if err == nil {
			ps, err = store.ProjectionsOf(r.Context(), f.pool, ids)
		}
		type record struct {
			System, ExternalID string
			Values             any
		}
		type projection struct{ System, Status string }
		type row struct {
			Customer    any
			Records     []record
			Projections []projection
		}
		out, at := make([]row, len(rows)), map[string]int{}
		for i, c := range rows {
			out[i].Customer, at[c.ID] = c.Customer, i
		}
		for _, x := range rs {
			i := at[x.EntityID]
			out[i].Records = append(out[i].Records, record{x.System, x.ExternalID, x.Values})
		}
		for _, x := range ps {
			i := at[x.EntityID]
			out[i].Projections = append(out[i].Projections, projection{x.System, string(x.Status)})
		}
		respond(w, out, err)
	})
	srv := httptest.NewServer(plain)
	defer srv.Close()

	get := func(req func() *http.Request) time.Duration {
		const times = 200
		var start time.Time
		for i := range times + 20 { // the first are for warming up
			if i == 20 {
				start = time.Now()
			}
			res, err := http.DefaultClient.Do(req())
			if err != nil {
				b.Fatal(err)
			}
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if res.StatusCode != 200 || strings.Contains(string(body), `"errors"`) {
				b.Fatalf("%d %s", res.StatusCode, body)
			}
		}
		return time.Since(start) / times
	}
	graphQL := func(query string) func() *http.Request {
		body, _ := json.Marshal(map[string]any{"query": query})
		return func() *http.Request {
			req, _ := http.NewRequest("POST", f.url, strings.NewReader(string(body)))
			req.Header.Set("Content-Type", appJSON)
			req.Header.Set("Authorization", "Bearer "+f.keys[store.RoleReader])
			return req
		}
	}
	scalars := `id version createdAt updatedAt kind legalName tradingName abn acn gstRegistered email phone mobile website contacts { firstName lastName email phone role }
		billingAddress { lines suburb state postcode country } shippingAddress { lines suburb state postcode country } lifecycleStage salesOwner
		paymentTerms { basis days } creditLimit { amount currency } currency tags notes customFields { key value } status`
	for _, c := range []struct{ name, path, query string }{
		{"customer by id", "/one", `{ customer(id: "` + id + `") { ` + scalars + ` } }`},
		{"50 with records and projections", "/list", `{ customers(first: 50) { nodes { ` + scalars + ` records { system { name } externalId values } projections { system { name } status } } } }`},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				plain := get(func() *http.Request { req, _ := http.NewRequest("GET", srv.URL+c.path, nil); return req })
				api := get(graphQL(c.query))
				b.ReportMetric(float64(api.Microseconds()), "µs/graphql")
				b.ReportMetric(float64(plain.Microseconds()), "µs/plain")
				b.ReportMetric(float64(api)/float64(plain), "×plain")
			}
		})
	}
}
