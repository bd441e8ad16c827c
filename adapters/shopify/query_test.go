package shopify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/vektah/gqlparser/v2"
	gql "github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"datum/adapters/shopifysim"
	"datum/domain"
)

// operations are the constants of query.go whose names begin with query or mutation.
func operations(t *testing.T) map[string]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "query.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	consts := map[string]ast.Expr{}
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.CONST {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			consts[v.Names[0].Name] = v.Values[0]
		}
	}
	var text func(e ast.Expr) string
	text = func(e ast.Expr) string {
		switch e := e.(type) {
		case *ast.BasicLit:
			s, err := strconv.Unquote(e.Value)
			if err != nil {
				t.Fatal(err)
			}
			return s
		case *ast.BinaryExpr:
			return text(e.X) + text(e.Y)
		case *ast.Ident:
			return text(consts[e.Name])
		}
		t.Fatalf("a constant of query.go is no text: %T", e)
		return ""
	}
	all := map[string]string{}
	for name, e := range consts {
		if strings.HasPrefix(name, "query") || strings.HasPrefix(name, "mutation") || strings.HasPrefix(name, "bulk") {
			all[name] = text(e)
		}
	}
	if len(all) < 25 {
		t.Fatalf("only %d operations", len(all))
	}
	return all
}

// TestOperations: every operation is valid by Shopify's schema, named as it is called, and asks for nothing deprecated.
func TestOperations(t *testing.T) {
	t.Parallel()
	schema := gqlparser.MustLoadSchema(&gql.Source{Input: shopifysim.Schema()})
	for name, text := range operations(t) {
		doc, errs := gqlparser.LoadQueryWithRules(schema, text, rules.NewDefaultRules())
		if errs != nil {
			t.Errorf("%s: %v", name, errs)
			continue
		}
		op := doc.Operations[0]
		if got := operationName(text); got != op.Name || len(doc.Operations) != 1 {
			t.Errorf("%s: its name reads as %q, it is %q", name, got, op.Name)
		}
		if want := strings.Replace(strings.TrimPrefix(strings.TrimPrefix(name, "query"), "mutation"), "bulk", "Bulk", 1); op.Name != want {
			t.Errorf("%s is called %s", name, op.Name)
		}
		var walk func(set gql.SelectionSet)
		walk = func(set gql.SelectionSet) {
			for _, s := range set {
				switch s := s.(type) {
				case *gql.Field:
					if s.Definition.Directives.ForName("deprecated") != nil {
						t.Errorf("%s: %s is deprecated", name, s.Name)
					}
					walk(s.SelectionSet)
				case *gql.InlineFragment:
					walk(s.SelectionSet)
				case *gql.FragmentSpread:
					walk(s.Definition.SelectionSet)
				}
			}
		}
		walk(op.SelectionSet)
	}
}

// TestCosts: no read costs more than one call may, at its largest.
func TestCosts(t *testing.T) {
	t.Parallel()
	sim := shopifysim.New(shopifysim.Options{Restore: -1})
	defer sim.Close()
	server := httptest.NewServer(sim.Handler())
	defer server.Close()
	pages := map[string]int{"queryProducts": productsAtOnce, "queryOrders": ordersAtOnce, "queryOrdersWithRefunds": headsAtOnce, "queryOrdersWithPayments": payersAtOnce}
	ids := map[string]domain.Kind{"queryCustomersByID": domain.KindCustomer, "queryVariantsByID": domain.KindProduct, "queryLocationsByID": domain.KindLocation, "queryOrdersByID": domain.KindOrder,
		"queryRefundsByID": domain.KindCreditNote, "queryPaymentsByID": domain.KindPayment}
	for name, text := range operations(t) {
		if !strings.HasPrefix(name, "query") {
			continue
		}
		v := vars{"id": "gid://shopify/X/1", "item": "gid://shopify/X/1", "location": "gid://shopify/X/1", "owner": "CUSTOMER", "sort": "ID", "first": maxPage,
			"limit": 10_000, "customers": true, "variants": true, "orders": true}
		if n := pages[name]; n > 0 {
			v["first"] = n
		}
		many := maxPage
		if k := ids[name]; k != "" {
			many = byID[k].most
		}
		list := make([]string, many)
		for i := range list {
			list[i] = fmt.Sprintf("gid://shopify/X/%d", i)
		}
		v["ids"], v["items"] = list, list
		v["identifier"] = object{"id": "gid://shopify/X/1"}
		if name == "queryLevels" {
			delete(v, "location")
		}
		used := vars{}
		for k, x := range v {
			if strings.Contains(text, "$"+k+":") {
				used[k] = x
			}
		}
		body, err := json.Marshal(object{"query": text, "variables": used})
		if err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("X-Shopify-Access-Token", sim.Credentials()["accessToken"])
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var in answer
		err = json.NewDecoder(resp.Body).Decode(&in)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(in.Errors), "INVALID") || in.Extensions.Cost.Requested > 1000 || in.Extensions.Cost.Requested == 0 {
			t.Errorf("%s asks for %v points: %s", name, in.Extensions.Cost.Requested, in.Errors)
		}
	}
}
