package guard_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"datum/graph"
	"datum/graph/guard"
)

const maxVisits = 20_000 // a node takes well under a microsecond: milliseconds at most

func nestedSpreads(levels int) string {
	var b strings.Builder
	b.WriteString("{...f0}")
	for i := range levels {
		fmt.Fprintf(&b, "fragment f%d on Query{...f%d ...f%d}", i, i+1, i+1)
	}
	fmt.Fprintf(&b, "fragment f%d on Query{__typename}", levels)
	return b.String()
}

func nested(levels int) string {
	return "{" + strings.Repeat("customer(id:1){cases{", levels) + "id" + strings.Repeat("}}", levels) + "}"
}

func repeat(n int, f func(i int) string) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(f(i))
	}
	return b.String()
}

// attacks are what a hostile client sends, and the limit that stops each.
var attacks = []struct {
	what, query, limit string
	vars               map[string]any
}{
	{"1 KB of nested spreads", nestedSpreads(20), "root fields", nil},
	{"nested spreads below a field", strings.Replace(strings.Replace(nestedSpreads(20), "{...f0}", "{customer(id:1){...f0}}", 1), "on Query", "on Customer", -1), "fields in fragments", nil},
	{"the same field 10,000 times", "{" + strings.Repeat("__typename ", 10_000) + "}", "bytes", nil},
	{"the same field 5,000 times", "{customers{nodes{" + strings.Repeat("id ", 5000) + "}}}", "fields", nil},
	{"the same field 1,500 times", "{customers{nodes{" + strings.Repeat("id ", 1500) + "}}}", "repeated fields", nil},
	{"the same field by way of fragments", "{customer(id:1){" + strings.Repeat("...f ", 300) + "}} fragment f on Customer{id}", "repeated fields", nil},
	{"the same object again and again", "{" + strings.Repeat("customer(id:1){"+strings.Repeat("cases{id} ", 19)+"} ", 19) + "}", "repeated fields", nil},
	{"71,000 aliases", "{" + repeat(71_000, func(i int) string { return fmt.Sprintf("a%d:__typename ", i) }) + "}", "bytes", nil},
	{"1,900 aliases", "{" + repeat(1900, func(i int) string { return fmt.Sprintf("a%d:__typename ", i) }) + "}", "aliases", nil},
	{"a million customers", "{customers(first:1000000){nodes{id}}}", "page", nil},
	{"a number beyond all numbers", "{customers(first:99999999999999999999999){nodes{id}}}", "page", nil},
	{"a million customers by variable", "query($n:Int){customers(first:$n){nodes{id}}}", "page", map[string]any{"n": json.Number("1000000")}},
	{"a million customers by text", "query($n:Int){customers(first:$n){nodes{id}}}", "page", map[string]any{"n": "1000000"}},
	{"a million customers by default", "query($n:Int=1000000){customers(first:$n){nodes{id}}}", "page", nil},
	{"pages of pages", "{customers(first:100){nodes{history(first:100){nodes{" + strings.Join(historyFields, " ") + "}}}}}", "cost", nil},
	{"many pages", "{" + repeat(20, func(i int) string {
		return fmt.Sprintf("a%d:customers(first:100){nodes{%s}}", i, strings.Repeat("provenance{field system rule owner since externalId}", 1))
	}) + "}", "cost", nil},
	{"deep nesting", nested(40), "levels", nil},
	{"deeper nesting", "{customer(id:1)" + strings.Repeat("{cases{customer", 500) + "{id}" + strings.Repeat("}}", 500) + "}", "levels", nil},
	{"braces without end", strings.Repeat("{a", 30_000), "levels", nil},
	{"values without end", "{customer(id:" + strings.Repeat("[", 5000) + "1" + strings.Repeat("]", 5000) + "){id}}", "levels", nil},
	{"a flood of directives", "{__typename " + strings.Repeat("@skip(if:false) ", 700) + "}", "directives", nil},
	{"a flood of unknown directives", "{__typename " + strings.Repeat("@a", 2000) + "}", "directives", nil},
	{"a huge query", "{__typename #" + strings.Repeat("x", 70_000) + "\n}", "bytes", nil},
	{"many root fields", "{" + repeat(50, func(i int) string { return fmt.Sprintf("a%d:feedCursor ", i) }) + "}", "root fields", nil},
	{"a fragment that spreads itself", "{...f} fragment f on Query{...g} fragment g on Query{...f}", "fragments", nil},
	{"many fragments", "{__typename}" + repeat(200, func(i int) string { return fmt.Sprintf("fragment f%d on Query{__typename}", i) }), "fragments", nil},
	{"unused fragments that are large together", "{__typename}" + nestedSpreads(12)[7:], "fields in fragments", nil},
	{"many operations", repeat(50, func(i int) string { return fmt.Sprintf("query q%d{__typename}", i) }), "operations", nil},
	{"many variables", "query(" + repeat(300, func(i int) string { return fmt.Sprintf("$v%d:Int", i) }) + "){__typename}", "variables", nil},
	{"introspection upon introspection", "{" + repeat(10, func(i int) string { return fmt.Sprintf("a%d:__schema{types{name}}", i) }) + "}", "introspections", nil},
	{"a long list", "subscription{customerChanged(ids:[" + strings.Repeat("1 ", 600) + "]){cursor}}", "list", nil},
	{"a long list by variable", "subscription($ids:[ID!]){customerChanged(ids:$ids){cursor}}", "list", map[string]any{"ids": make([]any, 600)}},
	{"many values by variable", "query($x:JSON){__typename}", "values", map[string]any{"x": manyValues()}},
}

var historyFields = []string{"id", "version", "at", "action", "field", "old", "new", "system", "externalId", "why", "owner", "actor", "source", "note"}

func manyValues() map[string]any {
	m := map[string]any{}
	for i := range 6000 {
		m[fmt.Sprint(i)] = i
	}
	return m
}

func TestAttacksAreRefused(t *testing.T) {
	t.Parallel()
	for _, a := range attacks {
		t.Run(a.what, func(t *testing.T) {
			t.Parallel()
			g := guard.New(graph.Schema(), guard.DefaultLimits(), guard.NewCache(1<<20))
			work, err := g.Check(t.Context(), a.query, a.vars)
			if err == nil {
				t.Fatalf("let in: %+v", work)
			}
			if err.Extensions["code"] != guard.Refused || err.Extensions["limit"] != a.limit {
				t.Errorf("refused for %v (%v): %s; want %s", err.Extensions["limit"], err.Extensions["code"], err.Message, a.limit)
			}
			if work.Visits > maxVisits {
				t.Errorf("%d nodes were visited, want at most %d", work.Visits, maxVisits)
			}
			if len(err.Message) > 300 {
				t.Errorf("the message echoes the query: %d bytes", len(err.Message))
			}
		})
	}
}

// What passes must be cheap for everything behind the guard too: the rules that validation runs are worst with many
// fields of one name at one place.
func TestWhatPassesIsCheapToValidate(t *testing.T) {
	t.Parallel()
	query := "{customer(id:1){" + strings.Repeat("id ", 200) + "}}"
	g := guard.New(graph.Schema(), guard.DefaultLimits(), guard.NewCache(1<<20))
	if _, err := g.Check(t.Context(), query, nil); err != nil {
		t.Fatal(err)
	}
	doc, err := parser.ParseQuery(&ast.Source{Input: query})
	if err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if errs := validator.ValidateWithRules(graph.Schema(), doc, rules.NewDefaultRules()); len(errs) > 0 {
		t.Fatal(errs)
	}
	if d := time.Since(start); d > 2*time.Second { // it takes milliseconds; 10,000 fields would take seconds
		t.Errorf("validation of a query at the limit takes %s", d)
	}
}

func TestHonestQueriesPass(t *testing.T) {
	t.Parallel()
	everything := `query Page($n: Int = 100, $after: String, $filter: CustomerFilter) {
		customers(first: $n, after: $after, filter: $filter, orderBy: {field: LEGAL_NAME}) { nodes { ...C } pageInfo { hasNextPage endCursor } } }
		fragment C on Customer { id version createdAt updatedAt displayName kind legalName tradingName abn acn gstRegistered email phone mobile website
			contacts { firstName lastName email phone role } billingAddress { ...A } shippingAddress { ...A } lifecycleStage salesOwner
			paymentTerms { basis days } creditLimit { amount currency } currency tags notes customFields { key value } status
			records { id externalId values issues { code message } modifiedAt system { name } } provenance { field system rule owner since }
			projections { status system { name } pending lastError { code message } } cases { id kind title detail choices }
			history(first: 5) { nodes { at action field old new actor } } }
		fragment A on Address { lines suburb state postcode country }`
	for what, c := range map[string]struct {
		query string
		vars  map[string]any
	}{
		"a hundred customers with everything": {everything, map[string]any{"filter": map[string]any{"search": "pty"}}},
		"a page by variable":                  {everything, map[string]any{"n": json.Number("50"), "after": nil}},
		"the introspection of common tools":   {introspection, nil},
		"a subscription":                      {"subscription($after:String){customerChanged(after:$after){cursor customer{id records{values}}}}", nil},
		"a mutation":                          {`mutation{updateCustomer(input:{id:"x",values:{tags:["a","b"]}}){customer{id} userErrors{code}}}`, nil},
		"what does not exist":                 {"{nothing(first:5){at{all}} ...missing}", nil},
	} {
		g := guard.New(graph.Schema(), guard.DefaultLimits(), guard.NewCache(1<<20))
		work, err := g.Check(t.Context(), c.query, c.vars)
		if err != nil {
			t.Errorf("%s: %s", what, err.Message)
		}
		t.Logf("%s: %+v", what, work)
	}
}

// The verdict on a query with variables is not that of another call.
func TestVariablesAreLookedAtEveryTime(t *testing.T) {
	t.Parallel()
	docs := guard.NewCache(1 << 20)
	g := guard.New(graph.Schema(), guard.DefaultLimits(), docs)
	query := "query($n:Int){customers(first:$n){nodes{history(first:$n){nodes{id at}}}}}"
	doc, err := parser.ParseQuery(&ast.Source{Input: query})
	if err != nil {
		t.Fatal(err)
	}
	docs.Add(t.Context(), query, doc)
	small, refused := g.Check(t.Context(), query, map[string]any{"n": json.Number("5")})
	if refused != nil {
		t.Fatal(refused)
	}
	large, refused := g.Check(t.Context(), query, map[string]any{"n": json.Number("100")})
	if refused != nil || large.Cost < 100*small.Cost {
		t.Errorf("cost %d for 5, %d for 100: %v", small.Cost, large.Cost, refused)
	}
	if _, refused := g.Check(t.Context(), query, map[string]any{"n": json.Number("101")}); refused == nil {
		t.Error("a known query's page size is not looked at")
	}
}

func TestCacheIsCappedByBytes(t *testing.T) {
	t.Parallel()
	docs := guard.NewCache(512 << 10)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range 500 {
		query := fmt.Sprintf("{a%d:__typename %s}", i, strings.Repeat("__typename ", 20<<10/11))
		doc, err := parser.ParseQuery(&ast.Source{Input: query})
		if err != nil {
			t.Fatal(err)
		}
		docs.Add(t.Context(), query, doc)
		if docs.Bytes() > 512<<10 {
			t.Fatalf("%d bytes after %d queries", docs.Bytes(), i+1)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 200<<20 {
		t.Errorf("500 distinct queries of 20 KB hold %d MB", grown>>20)
	}
	runtime.KeepAlive(docs)

	small := guard.NewCache(160)
	for i := range 30 {
		small.Add(t.Context(), fmt.Sprintf("query%04d", i), &ast.QueryDocument{})
		small.Get(t.Context(), "query0000") // in use: stays
	}
	if _, ok := small.Get(t.Context(), "query0000"); !ok {
		t.Error("the query that is used most is gone")
	}
	if _, ok := small.Get(t.Context(), "query0001"); ok {
		t.Error("the query that is used least is still there")
	}
	if small.Add(t.Context(), strings.Repeat("x", 11), &ast.QueryDocument{}); small.Bytes() > 160 {
		t.Errorf("%d bytes", small.Bytes())
	}
	if _, ok := small.Get(t.Context(), strings.Repeat("x", 11)); ok {
		t.Error("one query takes more than a sixteenth of the cache")
	}
}

// BenchmarkAttacks prints how much longer the slowest attack takes than a trivial query.
func BenchmarkAttacks(b *testing.B) {
	g := guard.New(graph.Schema(), guard.DefaultLimits(), guard.NewCache(1<<20))
	const times = 20
	check := func(query string, vars map[string]any) time.Duration {
		start := time.Now()
		for range times {
			_, _ = g.Check(b.Context(), query, vars)
		}
		return time.Since(start) / times
	}
	for b.Loop() {
		var worst time.Duration
		var name string
		trivial := check("{__typename}", nil)
		for _, a := range attacks {
			if d := check(a.query, a.vars); d > worst {
				worst, name = d, a.what
			}
		}
		b.ReportMetric(float64(worst.Microseconds())/1000, "ms/worst")
		b.ReportMetric(float64(worst)/float64(trivial), "×trivial")
		b.Logf("worst: %s, %s; a trivial query takes %s", name, worst, trivial)
	}
}

const introspection = `query IntrospectionQuery { __schema { queryType { name } mutationType { name } subscriptionType { name }
	types { ...FullType } directives { name description locations args { ...InputValue } } } }
fragment FullType on __Type { kind name description fields(includeDeprecated: true) { name description args { ...InputValue } type { ...TypeRef } isDeprecated deprecationReason }
	inputFields { ...InputValue } interfaces { ...TypeRef } enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } }
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue }
fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }`
