package graph_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"datum/domain"
	"datum/domain/store"
	"datum/internal/pgtest"
)

// counter counts the statements of a pool, the feed's own left out.
type counter struct{ n atomic.Int64 }

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	if !strings.Contains(d.SQL, "feed") && !strings.Contains(d.SQL, "LISTEN") && !strings.Contains(d.SQL, "pg_snapshot_xmin") {
		c.n.Add(1)
	}
	return ctx
}

func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func counted(t testing.TB) (*pgxpool.Pool, *counter) {
	t.Helper()
	cfg := pgtest.New(t).Config().Copy()
	c := &counter{}
	cfg.ConnConfig.Tracer = c
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool, c
}

const pageWithEverything = `query($n: Int!) { customers(first: $n) { nodes { id legalName
	records { externalId system { name adapter health { state } } } projections { status system { name } }
	cases { id title } provenance { field system } } } }`

// A page costs the same number of statements however many customers it has.
func TestStatementsPerPage(t *testing.T) {
	t.Parallel()
	pool, count := counted(t)
	f := setupOn(t, pool)
	const customers = 50
	for i := range customers {
		id := f.customer(fmt.Sprint("c", i), fmt.Sprint("Customer ", i))
		if i%5 == 0 {
			f.ask(store.RoleEditor, update, object{"id": id, "values": object{"legalName": fmt.Sprint("Other ", i)}})
		}
	}
	statements := func(n int) int64 {
		f.ask(store.RoleReader, `{ __typename }`, nil) // the key is known now
		fewest := int64(math.MaxInt64)
		for range 5 { // on a busy machine a batch may close before everybody has asked
			before := count.n.Load()
			r := f.ask(store.RoleReader, pageWithEverything, object{"n": n})
			if got := len(r.list("customers", "nodes")); got != n {
				t.Fatalf("%d customers, want %d", got, n)
			}
			fewest = min(fewest, count.n.Load()-before)
		}
		return fewest
	}
	one, all := statements(1), statements(customers)
	// list, records, projections, cases, provenance, systems, and eight for the health of all systems
	if one > 14 || all > 14 {
		t.Errorf("a page of 1 takes %d statements, a page of %d takes %d; want 14 of each", one, customers, all)
	}
}

func TestCustomersPageByPage(t *testing.T) {
	t.Parallel()
	f := setup(t)
	names := []string{"Acacia", "banksia", "Callistemon", "dryandra", "Eremophila", "Émile's", "O'Briens", ""}
	for i, n := range names {
		f.record("crm", fmt.Sprint("c", i), time.Now(), map[domain.Field]any{"kind": "BUSINESS", "legalName": n, "tradingName": fmt.Sprint("T", i),
			"email": fmt.Sprint(i, "@example.com.au"), "status": map[bool]string{true: "ACTIVE", false: "ARCHIVED"}[i%2 == 0]})
	}
	q := `query($after: String, $order: CustomerOrder, $filter: CustomerFilter) { customers(first: 3, after: $after, orderBy: $order, filter: $filter) {
		edges { cursor node { id legalName tradingName } } nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`
	walk := func(order, filter any) []string {
		var got []string
		var after any
		for {
			r := f.ask(store.RoleReader, q, object{"after": after, "order": order, "filter": filter})
			n := len(r.list("customers", "edges"))
			for i := range n {
				got = append(got, r.text("customers", "edges", i, "node", "tradingName"))
			}
			if r.at("customers", "pageInfo", "hasPreviousPage") != (after != nil) {
				t.Errorf("hasPreviousPage after %v", after)
			}
			if n > 0 && r.at("customers", "pageInfo", "endCursor") != r.at("customers", "edges", n-1, "cursor") {
				t.Errorf("endCursor is not the last edge's")
			}
			if r.at("customers", "pageInfo", "hasNextPage") != true {
				return got
			}
			after = r.at("customers", "pageInfo", "endCursor")
		}
	}
	creation := []string{"T0", "T1", "T2", "T3", "T4", "T5", "T6", "T7"}
	newest := slices.Clone(creation)
	slices.Reverse(newest)
	for _, c := range []struct {
		what          string
		order, filter any
		want          []string
	}{
		{"newest first", nil, nil, newest},
		{"oldest first", object{"field": "CREATED_AT"}, nil, creation},
		{"last changed first", object{"field": "UPDATED_AT", "direction": "DESC"}, nil, newest},
		{"archived", object{"field": "CREATED_AT"}, object{"status": "ARCHIVED"}, []string{"T1", "T3", "T5", "T7"}},
		{"search", object{"field": "CREATED_AT"}, object{"search": "BANK"}, []string{"T1"}},
		{"search for a wildcard", nil, object{"search": "%"}, nil},
		{"e-mail", nil, object{"email": " 3@EXAMPLE.com.au"}, []string{"T3"}},
		{"a case", nil, object{"hasOpenCase": true}, nil},
		{"nothing since tomorrow", nil, object{"updatedSince": time.Now().Add(24 * time.Hour).Format(time.RFC3339)}, nil},
	} {
		if got := walk(c.order, c.filter); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
	byName := walk(object{"field": "LEGAL_NAME"}, nil)
	back := walk(object{"field": "LEGAL_NAME", "direction": "DESC"}, nil)
	slices.Reverse(back)
	if len(byName) != len(names) || byName[0] != "T7" || !slices.Equal(byName, back) {
		t.Errorf("by name %v, and from the other end %v", byName, back)
	}
	other := f.ask(store.RoleReader, q, object{"order": object{"field": "LEGAL_NAME"}}).at("customers", "pageInfo", "endCursor")
	if r := f.send(f.keys[store.RoleReader], q, object{"after": other}); len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != "INVALID" {
		t.Errorf("a cursor of another order: %+v", r)
	}
}

func TestNode(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.customer("c:1/2", "Hakea Pty Ltd")
	r := f.ask(store.RoleReader, `query($id: ID!) { customer(id: $id) { records { id } projections { id } } systems { id } }`, object{"id": id})
	for _, node := range []string{id, r.text("customer", "records", 0, "id"), r.text("customer", "projections", 0, "id"), r.text("systems", 0, "id")} {
		got := f.ask(store.RoleReader, `query($id: ID!) { node(id: $id) { __typename id } }`, object{"id": node})
		if got.text("node", "id") != node {
			t.Errorf("node(%s) is %v", node, got.Data)
		}
	}
	for _, none := range []string{"", "x", "system:", "system:none", "record:crm", "record:crm:Customer:none", "projection:x", "projection:" + id + ":none", domain.NewID("cus"), domain.NewID("case"), domain.NewID("zzz"), strings.Repeat("x", 5000)} {
		if got := f.ask(store.RoleReader, `query($id: ID!) { node(id: $id) { id } customer(id: $id) { id } }`, object{"id": none}); got.at("node") != nil || got.at("customer") != nil {
			t.Errorf("node(%.40s) is %v", none, got.Data)
		}
	}
}

// A customer that was merged away answers with the survivor.
func TestMergedCustomer(t *testing.T) {
	t.Parallel()
	f := setup(t)
	kept, gone := f.customer("c1", "First Pty Ltd"), f.customer("c2", "Second Pty Ltd")
	r := domain.Record{Kind: domain.KindCustomer, ExternalID: "c2", ModifiedAt: time.Now(), FetchedAt: time.Now(), MergedInto: "c1", Values: domain.Values{}}
	if _, err := f.changes.Record(t.Context(), incoming("crm", r)); err != nil {
		t.Fatal(err)
	}
	got := f.ask(store.RoleReader, `query($id: ID!) { customer(id: $id) { id } history(id: $id) { version } }`, object{"id": gone})
	if got.text("customer", "id") != kept {
		t.Errorf("the merged customer is %v, want %s", got.Data, kept)
	}
}
