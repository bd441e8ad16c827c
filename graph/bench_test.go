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

	"datum/domain"
	"datum/domain/store"
)

// BenchmarkReads prints how long reads take over GraphQL and how many times that is of a plain endpoint, which runs the
// same SQL and writes the same objects with encoding/json.
func BenchmarkReads(b *testing.B) {
	f, deep := setup(b), setup(b)
	deep.store50()
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
		vs, err := store.Views(r.Context(), f.pool, []string{id})
		if err == nil {
			_, err = w.Write(vs[0].JSON)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	})
	plain.HandleFunc("GET /list", func(w http.ResponseWriter, r *http.Request) {
		rows, err := store.ListViews(r.Context(), f.pool, domain.KindCustomer, store.ViewFilter{}, store.ViewPage{Order: store.ByID, Desc: true, Limit: customers + 1})
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
			out[i].Customer, at[c.ID] = json.RawMessage(c.JSON), i
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
	plain.HandleFunc("GET /nested", func(w http.ResponseWriter, r *http.Request) {
		var out json.RawMessage
		err := deep.pool.QueryRow(r.Context(), handWritten).Scan(&out)
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
	graphQL := func(f *fixture, query string) func() *http.Request {
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
	for _, c := range []struct {
		name, path string
		f          *fixture
		query      string
	}{
		{"customer by id", "/one", f, `{ customer(id: "` + id + `") { ` + scalars + ` } }`},
		{"50 with records and projections", "/list", f, `{ customers(first: 50) { nodes { ` + scalars + ` records { system { name } externalId values } projections { system { name } status } } } }`},
		{"50 with 10 invoices each, lines, products and stock", "/nested", deep, nested},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				plain := get(func() *http.Request { req, _ := http.NewRequest("GET", srv.URL+c.path, nil); return req })
				api := get(graphQL(c.f, c.query))
				b.ReportMetric(float64(api.Microseconds()), "µs/graphql")
				b.ReportMetric(float64(plain.Microseconds()), "µs/plain")
				b.ReportMetric(float64(api)/float64(plain), "×plain")
			}
		})
	}
}

// handWritten is what nested reads, in one statement that makes the answer.
const handWritten = `SELECT json_agg(c) FROM (
	SELECT c.legal_name, (SELECT json_agg(i) FROM (
		SELECT i.number, i.total, (SELECT json_agg(l ORDER BY l.position) FROM (
			SELECT d.position, d.description, d.quantity, d.amount, (SELECT row_to_json(p) FROM (
				SELECT p.sku, p.name, (SELECT json_agg(s) FROM (
					SELECT s.on_hand, s.available, o.name FROM stock_levels s JOIN locations o ON o.id = s.location WHERE s.product = p.id ORDER BY s.id DESC LIMIT 100) s) AS stock
				FROM products p WHERE p.id = d.product) p) AS product
			FROM document_lines d WHERE d.document = i.id) l) AS lines
		FROM invoices i WHERE i.customer = c.id ORDER BY i.id DESC LIMIT 10) i) AS invoices
	FROM customers c ORDER BY c.id DESC LIMIT 50) c`
