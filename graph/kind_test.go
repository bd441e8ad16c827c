package graph_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/graph"
)

// everything is a policy under which ops owns every kind but customers, and accounting what is authorised.
const everything = `
systems: {crm: hubspot, accounting: xero, ops: native}
Customer: {owner: crm, create: [crm, accounting, ops], replicate: {accounting: always}}
Product: {owner: ops, create: [ops, accounting], replicate: {accounting: always}}
Location: {owner: ops, create: [ops]}
StockLevel: {owner: ops, create: [ops]}
Quote: {owner: ops, create: [ops, crm]}
Order: {owner: ops, create: [ops]}
Invoice:
  owner: ops
  create: [ops, accounting]
  replicate: {accounting: always}
  stages:
    AUTHORISED: {lines: {owner: accounting, others: restore}}
CreditNote: {owner: ops, create: [ops, accounting], replicate: {accounting: always}}
Payment: {owner: ops, create: [ops, accounting], replicate: {accounting: always}}
`

// kinds makes a fixture with a policy for every kind.
func kinds(t testing.TB) *fixture {
	t.Helper()
	f := setup(t)
	f.publish(everything)
	return f
}

func (f *fixture) publish(policy string) {
	f.t.Helper()
	if _, err := f.changes.Publish(context.Background(), 1, policy, change.Surroundings{Schema: graph.Schema()}, change.Cause{Actor: "setup"}); err != nil {
		f.t.Fatal(err)
	}
}

// make creates an entity through the API and returns its id.
func (f *fixture) make(kind string, values object) string {
	f.t.Helper()
	r := f.mutate("create"+kind, object{"values": values})
	name := strings.ToLower(kind[:1]) + kind[1:]
	if es := r.list("create"+kind, "userErrors"); len(es) > 0 || r.text("create"+kind, name, "id") == "" {
		f.t.Fatalf("create%s: %v", kind, r.Data)
	}
	return r.text("create"+kind, name, "id")
}

// mutate runs a mutation of one input as an editor; the answer has the entity's id, version and errors.
func (f *fixture) mutate(name string, input object) reply {
	f.t.Helper()
	field := graph.Schema().Mutation.Fields.ForName(name)
	payload := graph.Schema().Types[field.Type.Name()]
	return f.ask(store.RoleEditor, fmt.Sprintf(`mutation($input: %s!) { %s(input: $input) { %s { id version } userErrors { code message field owner stage } } }`,
		field.Arguments.ForName("input").Type.Name(), name, payload.Fields[0].Name), object{"input": input})
}

// insert stores golden entities as they are, for tests that read many.
func (f *fixture) insert(es ...*store.Entity) {
	f.t.Helper()
	b := &pgx.Batch{}
	for _, e := range es {
		e.Version, e.Provenance, e.Policy = 1, map[domain.Field]store.Provenance{}, 1
		if err := store.QueueEntity(b, e); err != nil {
			f.t.Fatal(err)
		}
	}
	if err := f.pool.SendBatch(context.Background(), b).Close(); err != nil {
		f.t.Fatal(err)
	}
}

func entity(kind domain.Kind, values map[domain.Field]any) *store.Entity {
	ki, _ := kind.Info()
	e := &store.Entity{ID: domain.NewID(ki.Prefix), Kind: kind, Golden: domain.Values{}}
	for f, v := range values {
		e.Golden[f] = domain.ValueOf(v)
	}
	e.Stage = e.Golden[ki.StageField].Text()
	return e
}

func money(amount string) object { return object{"amount": amount, "currency": "AUD"} }

// The schema has every kind with every field, and its enumerations are those of the domain.
func TestSchemaHasTheVocabulary(t *testing.T) {
	t.Parallel()
	s := graph.Schema()
	values := func(enum string) []string {
		var vs []string
		for _, v := range s.Types[enum].EnumValues {
			vs = append(vs, v.Name)
		}
		return vs
	}
	for _, ki := range domain.KindsAll() {
		def, in := s.Types[string(ki.Kind)], s.Types[string(ki.Kind)+"Input"]
		if def == nil || in == nil || !slices.Contains(def.Interfaces, "Entity") {
			t.Fatalf("%s is not in the schema", ki.Kind)
		}
		for _, fi := range ki.Fields {
			f := def.Fields.ForName(string(fi.Name))
			if f == nil {
				t.Errorf("%s has no field %s", ki.Kind, fi.Name)
				continue
			}
			if g := in.Fields.ForName(string(fi.Name)); fi.Type == domain.TypeEnum && (g == nil || g.Type.Name() != f.Type.Name()) {
				t.Errorf("%s of %sInput is not that of %s", fi.Name, ki.Kind, ki.Kind)
			}
			if fi.Type != domain.TypeEnum {
				continue
			}
			for _, v := range fi.Enum {
				if !slices.Contains(values(f.Type.Name()), v) {
					t.Errorf("%s.%s: %s has no value %s", ki.Kind, fi.Name, f.Type.Name(), v)
				}
			}
		}
		for _, f := range in.Fields {
			if _, ok := ki.Field(domain.Field(f.Name)); !ok {
				t.Errorf("%sInput has %s, and %s does not", ki.Kind, f.Name, ki.Kind)
			}
		}
	}
	if n := len(values("EntityKind")); n != len(domain.KindsAll()) {
		t.Errorf("EntityKind has %d values for %d kinds", n, len(domain.KindsAll()))
	}
	for enum, where := range map[string]struct{ file, constant string }{
		"CaseKind":  {"../domain/store/case.go", `\tCase\w+ += "(\w+)"`},
		"ErrorCode": {"../domain/error.go", `\t\w+ +Code = "(\w+)"`},
	} {
		b, err := os.ReadFile(where.file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(where.constant).FindAllStringSubmatch(string(b), -1)
		if len(found) < 5 {
			t.Errorf("%s: %d constants", where.file, len(found))
		}
		for _, m := range found {
			if !slices.Contains(values(enum), strings.ToUpper(m[1])) {
				t.Errorf("%s has no %s", enum, m[1])
			}
		}
	}
}

// A small business, from quote to cash, written and read through the API.
func TestQuoteToCash(t *testing.T) {
	t.Parallel()
	f := kinds(t)
	customer := f.customer("c1", "Wattle & Sons Pty Ltd")
	product := f.make("Product", object{"sku": "W-1", "name": "Widget", "salePrice": money("19.95"), "priceIncludesTax": true, "salesTaxCode": "GST",
		"weight": "0.250", "trackStock": true, "tags": []string{"b", "a"}, "customFields": []object{{"key": "shelf", "value": "B4"}, {"key": "bin", "value": "9"}}})
	location := f.make("Location", object{"name": "Main store", "code": "MAIN", "address": object{"suburb": "Darwin", "postcode": "0800"}})
	level := f.make("StockLevel", object{"product": product, "location": location, "onHand": "12.5", "committed": "2"})
	lines := []object{{"product": product, "description": "Widget", "quantity": "3", "unitPrice": "19.95", "taxCode": "GST"},
		{"kind": "SHIPPING", "description": "Post", "quantity": "1", "unitPrice": "0.3333", "taxCode": "GST"}}
	head := func(more object) object {
		o := object{"customer": customer, "currency": "AUD", "taxMode": "INCLUSIVE", "lines": lines}
		for k, v := range more {
			o[k] = v
		}
		return o
	}
	quote := f.make("Quote", head(object{"number": "Q-1", "title": "Spring", "issueDate": "2026-03-01", "expiryDate": "2026-03-31"}))
	order := f.make("Order", head(object{"number": "1001", "orderDate": "2026-03-02", "location": location, "origin": quote, "email": "a@example.com.au"}))
	invoice := f.make("Invoice", head(object{"number": "INV-1", "issueDate": "2026-03-03", "dueDate": "2026-04-03", "origin": order}))
	credit := f.make("CreditNote", head(object{"number": "CN-1", "issueDate": "2026-03-04", "invoice": invoice, "order": order, "reason": "broken",
		"lines": []object{{"product": product, "description": "Widget", "quantity": "1", "unitPrice": "19.95", "taxCode": "GST"}}}))
	payment := f.make("Payment", object{"customer": customer, "date": "2026-03-05", "amount": money("40.23"), "method": "card", "order": order,
		"allocations": []object{{"invoice": invoice, "amount": "40.23", "date": "2026-03-05"}}})

	r := f.ask(store.RoleReader, `query($customer: ID!, $invoice: ID!, $order: ID!, $quote: ID!, $product: ID!, $level: ID!, $location: ID!, $payment: ID!, $credit: ID!) {
		customer(id: $customer) { quotes { nodes { id } } orders { nodes { id } } invoices { nodes { id } edges { cursor node { number } } } creditNotes { nodes { id } } payments { nodes { id } } }
		product(id: $product) { sku weight salePrice { amount } tags customFields { key value } status stock { id onHand available location { name address { country } } } }
		stockLevel(id: $level) { product { sku } location { code } committed movements { nodes { id } } }
		location(id: $location) { stock { nodes { id } } }
		quote(id: $quote) { stage customer { legalName } origin { id } expiryDate lines { kind product { name } quantity unitPrice amount tax taxCode } total { amount currency } }
		order(id: $order) { invoice { id } payments { id } creditNotes { id } location { id } origin { __typename id ... on Quote { title } } }
		invoice(id: $invoice) { number dueDate subtotal { amount } taxTotal { amount } total { amount } payments { id allocations { amount date invoice { number } creditNote { id } } } creditNotes { id } origin { id }
			records { system { name } externalId values } provenance { field rule } warnings { code } history { nodes { action } version values } projections { status system { name } entity { id } customer { id } } cases { id } }
		creditNote(id: $credit) { invoice { id } order { id } reason remainingCredit { amount } payments { id } }
		payment(id: $payment) { stage direction amount { amount } order { number } customer { id } }
		node(id: $invoice) { __typename ... on Entity { version customFields { key } } ... on Invoice { stage } }
	}`, object{"customer": customer, "invoice": invoice, "order": order, "quote": quote, "product": product, "level": level, "location": location, "payment": payment, "credit": credit})
	for _, c := range []struct {
		want any
		path []any
	}{
		{quote, []any{"customer", "quotes", "nodes", 0, "id"}}, {order, []any{"customer", "orders", "nodes", 0, "id"}}, {invoice, []any{"customer", "invoices", "nodes", 0, "id"}},
		{"INV-1", []any{"customer", "invoices", "edges", 0, "node", "number"}}, {credit, []any{"customer", "creditNotes", "nodes", 0, "id"}}, {payment, []any{"customer", "payments", "nodes", 0, "id"}},
		{"W-1", []any{"product", "sku"}}, {"0.25", []any{"product", "weight"}}, {"19.95", []any{"product", "salePrice", "amount"}}, {"a", []any{"product", "tags", 0}},
		{"bin", []any{"product", "customFields", 0, "key"}}, {"B4", []any{"product", "customFields", 1, "value"}}, {"ACTIVE", []any{"product", "status"}},
		{level, []any{"product", "stock", 0, "id"}}, {"12.5", []any{"product", "stock", 0, "onHand"}}, {nil, []any{"product", "stock", 0, "available"}},
		{"Main store", []any{"product", "stock", 0, "location", "name"}}, {"AU", []any{"product", "stock", 0, "location", "address", "country"}},
		{"W-1", []any{"stockLevel", "product", "sku"}}, {"MAIN", []any{"stockLevel", "location", "code"}}, {"2", []any{"stockLevel", "committed"}}, {level, []any{"location", "stock", "nodes", 0, "id"}},
		{"DRAFT", []any{"quote", "stage"}}, {"Wattle & Sons Pty Ltd", []any{"quote", "customer", "legalName"}}, {nil, []any{"quote", "origin"}}, {"2026-03-31", []any{"quote", "expiryDate"}},
		{"ITEM", []any{"quote", "lines", 0, "kind"}}, {"Widget", []any{"quote", "lines", 0, "product", "name"}}, {"3", []any{"quote", "lines", 0, "quantity"}},
		{"59.85", []any{"quote", "lines", 0, "amount"}}, {"5.44", []any{"quote", "lines", 0, "tax"}}, {"SHIPPING", []any{"quote", "lines", 1, "kind"}},
		{"0.3333", []any{"quote", "lines", 1, "unitPrice"}}, {nil, []any{"quote", "lines", 1, "product"}}, {"60.18", []any{"quote", "total", "amount"}}, {"AUD", []any{"quote", "total", "currency"}},
		{invoice, []any{"order", "invoice", "id"}}, {payment, []any{"order", "payments", 0, "id"}}, {credit, []any{"order", "creditNotes", 0, "id"}}, {location, []any{"order", "location", "id"}},
		{"Quote", []any{"order", "origin", "__typename"}}, {"Spring", []any{"order", "origin", "title"}},
		{"2026-04-03", []any{"invoice", "dueDate"}}, {"5.47", []any{"invoice", "taxTotal", "amount"}}, {"54.71", []any{"invoice", "subtotal", "amount"}},
		{payment, []any{"invoice", "payments", 0, "id"}}, {"40.23", []any{"invoice", "payments", 0, "allocations", 0, "amount"}}, {"INV-1", []any{"invoice", "payments", 0, "allocations", 0, "invoice", "number"}},
		{nil, []any{"invoice", "payments", 0, "allocations", 0, "creditNote"}}, {credit, []any{"invoice", "creditNotes", 0, "id"}}, {order, []any{"invoice", "origin", "id"}},
		{"ops", []any{"invoice", "records", 0, "system", "name"}}, {"accounting", []any{"invoice", "projections", 0, "system", "name"}}, {invoice, []any{"invoice", "projections", 0, "entity", "id"}},
		{nil, []any{"invoice", "projections", 0, "customer"}}, {1.0, []any{"invoice", "history", "version"}}, {"INV-1", []any{"invoice", "history", "values", "number"}},
		{invoice, []any{"creditNote", "invoice", "id"}}, {order, []any{"creditNote", "order", "id"}}, {"broken", []any{"creditNote", "reason"}},
		{"AUTHORISED", []any{"payment", "stage"}}, {"RECEIVED", []any{"payment", "direction"}}, {"40.23", []any{"payment", "amount", "amount"}}, {"1001", []any{"payment", "order", "number"}},
		{"Invoice", []any{"node", "__typename"}}, {1.0, []any{"node", "version"}}, {"DRAFT", []any{"node", "stage"}},
	} {
		if got := r.at(c.path...); got != c.want {
			t.Errorf("%v is %v, want %v", c.path, got, c.want)
		}
	}
	if again := f.mutate("createInvoice", object{"values": head(object{"origin": order})}); again.text("createInvoice", "userErrors", 0, "code") != "CONFLICT" || again.text("createInvoice", "invoice", "id") != invoice {
		t.Errorf("a second invoice for the order: %v", again.Data)
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	f := kinds(t)
	customer := f.customer("c1", "Hakea Pty Ltd")
	doc := object{"customer": customer, "lines": []object{{"description": "Work", "quantity": "1", "unitPrice": "110"}}}
	made := map[string]string{"Product": f.make("Product", object{"sku": "A"}), "Location": f.make("Location", object{"name": "Shed"}),
		"Payment": f.make("Payment", object{"amount": money("5"), "date": "2026-01-01"})}
	for _, k := range []string{"Quote", "Order", "Invoice", "CreditNote"} {
		made[k] = f.make(k, doc)
	}
	for _, c := range []struct{ mutation, kind, field, want string }{
		{"archiveProduct", "Product", "status", "ARCHIVED"}, {"archiveLocation", "Location", "status", "ARCHIVED"},
		{"sendQuote", "Quote", "stage", "SENT"}, {"acceptQuote", "Quote", "stage", "ACCEPTED"}, {"declineQuote", "Quote", "stage", "DECLINED"},
		{"cancelOrder", "Order", "stage", "CANCELLED"}, {"authoriseInvoice", "Invoice", "stage", "AUTHORISED"}, {"voidInvoice", "Invoice", "stage", "VOIDED"},
		{"authoriseCreditNote", "CreditNote", "stage", "AUTHORISED"}, {"voidCreditNote", "CreditNote", "stage", "VOIDED"}, {"voidPayment", "Payment", "stage", "VOIDED"},
	} {
		if r := f.mutate(c.mutation, object{"id": made[c.kind], "expectedVersion": 99}); r.text(c.mutation, "userErrors", 0, "code") != "STALE" {
			t.Errorf("%s at another version: %v", c.mutation, r.Data)
		}
		if r := f.mutate(c.mutation, object{"id": made[c.kind], "idempotencyKey": c.mutation}); len(r.list(c.mutation, "userErrors")) > 0 {
			t.Errorf("%s: %v", c.mutation, r.Data)
		}
		got := f.ask(store.RoleReader, `query($id: ID!) { node(id: $id) { ... on `+c.kind+` { `+c.field+` } } }`, object{"id": made[c.kind]})
		if got.text("node", c.field) != c.want {
			t.Errorf("after %s: %v", c.mutation, got.Data)
		}
		if r := f.mutate(c.mutation, object{"id": customer}); r.text(c.mutation, "userErrors", 0, "code") != "NOT_FOUND" {
			t.Errorf("%s of a customer: %v", c.mutation, r.Data)
		}
	}
	// Accounting owns the lines of an authorised invoice.
	authorised := f.make("Invoice", doc)
	f.mutate("authoriseInvoice", object{"id": authorised})
	r := f.mutate("updateInvoice", object{"id": authorised, "values": object{"lines": []object{{"description": "More", "unitPrice": "220"}}}})
	if r.text("updateInvoice", "userErrors", 0, "code") != "NOT_OWNER" || r.text("updateInvoice", "userErrors", 0, "owner") != "accounting" || r.text("updateInvoice", "userErrors", 0, "stage") != "AUTHORISED" {
		t.Errorf("the lines of an authorised invoice: %v", r.Data)
	}
	credit := f.make("CreditNote", doc)
	r = f.mutate("allocateCreditNote", object{"id": credit, "allocations": []object{{"invoice": authorised, "amount": "60.50"}}})
	if len(r.list("allocateCreditNote", "userErrors")) > 0 {
		t.Errorf("an allocation: %v", r.Data)
	}
	got := f.ask(store.RoleReader, `query($id: ID!) { invoice(id: $id) { creditNotes { id allocations { amount } } } }`, object{"id": authorised})
	if got.text("invoice", "creditNotes", 0, "id") != credit || got.text("invoice", "creditNotes", 0, "allocations", 0, "amount") != "60.50" {
		t.Errorf("what is set off against the invoice: %v", got.Data)
	}
	// A payment pays what it is said to pay and leaves the rest on the customer's account; a refund pays a credit note.
	r = f.mutate("allocatePayment", object{"id": f.make("Payment", object{"amount": money("70"), "date": "2026-01-01"}), "allocations": []object{{"invoice": authorised, "amount": "49.50"}, {"amount": "20.50"}}})
	if len(r.list("allocatePayment", "userErrors")) > 0 {
		t.Errorf("a payment is allocated: %v", r.Data)
	}
	r = f.mutate("refundCreditNote", object{"id": credit, "amount": money("49.50"), "date": "2026-01-02"})
	if len(r.list("refundCreditNote", "userErrors")) > 0 {
		t.Errorf("a refund: %v", r.Data)
	}
	got = f.ask(store.RoleReader, `{ payments { nodes { direction customer { id } allocations { amount invoice { id } creditNote { id } } } } }`, nil)
	if got.text("payments", "nodes", 0, "direction") != "REFUNDED" || got.text("payments", "nodes", 0, "customer", "id") != customer || got.text("payments", "nodes", 0, "allocations", 0, "creditNote", "id") != credit {
		t.Errorf("the refund is %v", got.Data)
	}
	if as := got.list("payments", "nodes", 1, "allocations"); len(as) != 2 {
		t.Errorf("the payment pays %v", as)
	}
	if r := f.mutate("refundCreditNote", object{"id": authorised, "amount": money("1"), "date": "2026-01-02"}); r.text("refundCreditNote", "userErrors", 0, "code") != "NOT_FOUND" {
		t.Errorf("a refund of an invoice: %v", r.Data)
	}
	for what, c := range map[string]struct {
		mutation string
		values   object
	}{
		"a customer that is none":     {"createInvoice", object{"customer": domain.NewID("cus"), "lines": doc["lines"]}},
		"a line that does not add up": {"createInvoice", object{"customer": customer, "lines": []object{{"description": "x", "quantity": "2", "unitPrice": "5", "amount": "11"}}}},
		"an unknown date":             {"createPayment", object{"amount": money("5")}},
		"a product as customer":       {"createOrder", object{"customer": made["Product"], "lines": doc["lines"]}},
	} {
		if r := f.mutate(c.mutation, object{"values": c.values}); r.text(c.mutation, "userErrors", 0, "code") != "INVALID" {
			t.Errorf("%s: %v", what, r.Data)
		}
	}
}

func TestListsOfKinds(t *testing.T) {
	t.Parallel()
	f := setup(t)
	customer, other := f.customer("c1", "Acacia Pty Ltd"), f.customer("c2", "Banksia Pty Ltd")
	product := entity(domain.KindProduct, map[domain.Field]any{"sku": "P-1", "name": "Plum", "status": "ACTIVE"})
	f.insert(product, entity(domain.KindProduct, map[domain.Field]any{"sku": "P-2", "name": "apple", "status": "ARCHIVED", "brand": "Orchard"}))
	for i := range 9 {
		e := entity(domain.KindInvoice, map[domain.Field]any{"number": fmt.Sprint("INV-", i), "customer": []string{customer, other}[i%2], "stage": []string{"DRAFT", "AUTHORISED", "PAID"}[i%3],
			"issueDate": fmt.Sprintf("2026-03-%02d", 20-i), "dueDate": fmt.Sprintf("2026-04-%02d", 20-i), "total": object{"amount": fmt.Sprint(i*7%10, ".00"), "currency": "AUD"}})
		if i == 4 {
			e.Golden["lines"] = domain.ValueOf([]domain.Line{{Product: product.ID, Quantity: "1"}})
			delete(e.Golden, "issueDate")
			delete(e.Golden, "total")
		}
		f.insert(e)
	}
	walk := func(kind, field string, size int, order, filter any) []string {
		t.Helper()
		var got []string
		var after any
		for {
			r := f.ask(store.RoleReader, fmt.Sprintf(`query($after: String, $order: EntityOrder, $filter: %sFilter) { list: %ss(first: %d, after: $after, orderBy: $order, filter: $filter) {
				edges { cursor node { %s } } pageInfo { hasNextPage endCursor } } }`, kind, strings.ToLower(kind[:1])+kind[1:], size, field), object{"after": after, "order": order, "filter": filter})
			for i := range r.list("list", "edges") {
				got = append(got, strings.TrimPrefix(r.text("list", "edges", i, "node", field), "INV-"))
			}
			if r.at("list", "pageInfo", "hasNextPage") != true {
				return got
			}
			after = r.at("list", "pageInfo", "endCursor")
		}
	}
	for _, c := range []struct {
		what          string
		order, filter any
		want          string
	}{
		{"newest first", nil, nil, "876543210"},
		{"by number", object{"field": "NUMBER"}, nil, "012345678"},
		{"by date, none first", object{"field": "DATE"}, nil, "487653210"},
		{"by total, largest first", object{"field": "TOTAL", "direction": "DESC"}, nil, "718526304"},
		{"last changed", object{"field": "UPDATED_AT", "direction": "DESC"}, nil, "876543210"},
		{"of a customer", nil, object{"customer": other}, "7531"},
		{"stages", nil, object{"stage": []string{"AUTHORISED", "PAID"}}, "875421"},
		{"one stage", nil, object{"stage": "PAID"}, "852"},
		{"between days", nil, object{"from": "2026-03-14", "until": "2026-03-16"}, "65"},
		{"overdue", nil, object{"dueBefore": "2026-04-14"}, "87"},
		{"with a product", nil, object{"product": product.ID}, "4"},
		{"search", nil, object{"search": "inv-3"}, "3"},
		{"by numbers", nil, object{"number": []string{"INV-1", "INV-8"}}, "81"},
		{"no numbers", nil, object{"number": []string{}}, ""},
		{"null is no condition", nil, object{"number": nil, "search": nil, "from": nil}, "876543210"},
		{"with a case", nil, object{"hasOpenCase": true}, ""},
		{"changed since tomorrow", nil, object{"updatedSince": time.Now().Add(24 * time.Hour).Format(time.RFC3339)}, ""},
	} {
		want := strings.ReplaceAll(c.want, " ", "")
		for _, size := range []int{2, 100} {
			if got := strings.Join(walk("Invoice", "number", size, c.order, c.filter), ""); got != want {
				t.Errorf("%s, by %d: %s, want %s", c.what, size, got, want)
			}
		}
	}
	if got := walk("Product", "sku", 1, object{"field": "NAME"}, nil); !slices.Equal(got, []string{"P-2", "P-1"}) {
		t.Errorf("products by name: %v", got)
	}
	if got := walk("Product", "sku", 1, nil, object{"sku": "P-1", "status": "ACTIVE"}); !slices.Equal(got, []string{"P-1"}) {
		t.Errorf("a product by SKU: %v", got)
	}
	if got := walk("Product", "sku", 1, nil, object{"brand": "Orchard", "search": "P-"}); !slices.Equal(got, []string{"P-2"}) {
		t.Errorf("a product by brand: %v", got)
	}
	for _, q := range []string{`{ products(orderBy: {field: TOTAL}) { nodes { id } } }`, `{ invoices(filter: {customer: "prd_x"}) { nodes { id } } }`, `{ invoices(after: "x") { nodes { id } } }`,
		`{ invoices(after: "` + base64.RawURLEncoding.EncodeToString([]byte(`["totalfalse","many","inv_1"]`)) + `", orderBy: {field: TOTAL}) { nodes { id } } }`} {
		if r := f.send(f.keys[store.RoleReader], q, nil); len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != "INVALID" {
			t.Errorf("%s: %+v", q, r)
		}
	}
	if r := f.send(f.keys[store.RoleReader], `{ invoices(filter: {from: "1 March"}) { nodes { id } } }`, nil); len(r.Errors) != 1 {
		t.Errorf("a date that is none: %+v", r)
	}

	// The invoices of a customer, page by page, and of several customers at once.
	var got []string
	for after := any(nil); ; {
		r := f.ask(store.RoleReader, `query($id: ID!, $after: String) { customer(id: $id) { invoices(first: 2, after: $after) { nodes { number } pageInfo { hasNextPage endCursor } } } }`, object{"id": customer, "after": after})
		for i := range r.list("customer", "invoices", "nodes") {
			got = append(got, r.text("customer", "invoices", "nodes", i, "number"))
		}
		if r.at("customer", "invoices", "pageInfo", "hasNextPage") != true {
			break
		}
		after = r.at("customer", "invoices", "pageInfo", "endCursor")
	}
	if !slices.Equal(got, []string{"INV-8", "INV-6", "INV-4", "INV-2", "INV-0"}) {
		t.Errorf("a customer's invoices: %v", got)
	}
}

const nested = `{ customers(first: 50) { nodes { legalName invoices(first: 10) { nodes { number total { amount }
	lines { description quantity amount product { sku name stock { onHand available location { name } } } } } } } } }`

// store50 stores 50 customers with 10 invoices each, of 3 lines, with 60 products at 2 locations.
func (f *fixture) store50() {
	f.t.Helper()
	var es []*store.Entity
	var locations, products []*store.Entity
	for i := range 2 {
		locations = append(locations, entity(domain.KindLocation, map[domain.Field]any{"name": fmt.Sprint("Store ", i)}))
	}
	for i := range 60 {
		p := entity(domain.KindProduct, map[domain.Field]any{"sku": fmt.Sprint("SKU-", i), "name": fmt.Sprint("Product ", i)})
		products = append(products, p)
		for _, l := range locations {
			es = append(es, entity(domain.KindStockLevel, map[domain.Field]any{"product": p.ID, "location": l.ID, "onHand": "5", "available": "3"}))
		}
	}
	for i := range 50 {
		c := entity(domain.KindCustomer, map[domain.Field]any{"legalName": fmt.Sprint("Customer ", i)})
		es = append(es, c)
		for j := range 10 {
			var lines []domain.Line
			for k := range 3 {
				lines = append(lines, domain.Line{Product: products[(i*30+j*3+k)%60].ID, Description: "Goods", Quantity: "2", UnitPrice: "10", Amount: "20", Tax: "1.82", TaxCode: "GST"})
			}
			es = append(es, entity(domain.KindInvoice, map[domain.Field]any{"number": fmt.Sprintf("%d-%d", i, j), "customer": c.ID, "stage": "AUTHORISED", "currency": "AUD",
				"lines": lines, "total": object{"amount": "60.00", "currency": "AUD"}}))
		}
	}
	f.insert(append(append(locations, products...), es...)...)
}

// 50 customers with 10 invoices each, their lines, products and stock cost as many statements as there are levels.
func TestStatementsOfNestedReads(t *testing.T) {
	t.Parallel()
	pool, count := counted(t)
	f := setupOn(t, pool)
	f.store50()
	fewest := int64(math.MaxInt64)
	for range 5 { // on a busy machine a batch may close before everybody has asked
		f.ask(store.RoleReader, `{ __typename }`, nil) // the key is known now
		before := count.n.Load()
		r := f.ask(store.RoleReader, nested, nil)
		fewest = min(fewest, count.n.Load()-before)
		if r.text("customers", "nodes", 49, "invoices", "nodes", 9, "lines", 2, "product", "stock", 1, "location", "name") == "" {
			t.Fatalf("not everything is there: %v", r.at("customers", "nodes", 49))
		}
	}
	t.Logf("%d statements", fewest)
	if fewest > 6 { // customers, invoices, products, stock, locations
		t.Errorf("%d statements, want at most 6", fewest)
	}
}

func TestMovements(t *testing.T) {
	t.Parallel()
	f := setup(t)
	product, order := entity(domain.KindProduct, map[domain.Field]any{"sku": "A"}), entity(domain.KindOrder, map[domain.Field]any{"number": "1001"})
	f.insert(product, order)
	var levels []*store.Entity
	for i := range 2 {
		l := entity(domain.KindLocation, map[domain.Field]any{"name": fmt.Sprint("Store ", i)})
		s := entity(domain.KindStockLevel, map[domain.Field]any{"product": product.ID, "location": l.ID})
		f.insert(l, s)
		levels = append(levels, s)
		for j := range 5 {
			f.exec(`INSERT INTO stock_movements (stock_level, product, location, reason, on_hand, external_id, document, system) VALUES ($1, $2, $3, 'SALE', $4, $5, $6, 'ops')`,
				s.ID, product.ID, l.ID, fmt.Sprint(-j-1, ".50"), fmt.Sprint("sale-", j), map[bool]string{true: order.ID}[j == 4])
		}
	}
	r := f.ask(store.RoleReader, `query($id: ID!) { product(id: $id) { stock { id movements(first: 2) { nodes { reason onHand committed externalId system level { id } document { __typename id } } pageInfo { hasNextPage endCursor } } } } }`, object{"id": product.ID})
	for i := range levels {
		at := func(path ...any) any { return r.at(append([]any{"product", "stock", i, "movements"}, path...)...) }
		if at("nodes", 0, "onHand") != "-5.50" || at("nodes", 0, "document", "id") != order.ID || at("nodes", 0, "document", "__typename") != "Order" || at("nodes", 1, "document") != nil ||
			at("nodes", 1, "externalId") != "sale-3" || at("nodes", 0, "level", "id") != r.at("product", "stock", i, "id") || at("pageInfo", "hasNextPage") != true {
			t.Errorf("movements of level %d: %v", i, r.at("product", "stock", i))
		}
	}
	rest := f.ask(store.RoleReader, `query($id: ID!, $after: String) { stockLevel(id: $id) { movements(after: $after) { nodes { externalId } pageInfo { hasNextPage } } } }`,
		object{"id": levels[1].ID, "after": r.at("product", "stock", 0, "movements", "pageInfo", "endCursor")})
	if n := rest.list("stockLevel", "movements", "nodes"); len(n) != 3 || rest.at("stockLevel", "movements", "pageInfo", "hasNextPage") != false {
		t.Errorf("the rest of the movements: %v", rest.Data)
	}
}

// What refers to an entity that was merged away leads to the survivor, both ways.
func TestReferencesFollowMerges(t *testing.T) {
	t.Parallel()
	f := setup(t)
	kept, gone := f.customer("c1", "First Pty Ltd"), f.customer("c2", "Second Pty Ltd")
	invoice := entity(domain.KindInvoice, map[domain.Field]any{"number": "1", "customer": gone})
	f.insert(invoice)
	r := domain.Record{Kind: domain.KindCustomer, ExternalID: "c2", ModifiedAt: time.Now(), FetchedAt: time.Now(), MergedInto: "c1", Values: domain.Values{}}
	if _, err := f.changes.Record(t.Context(), incoming("crm", r)); err != nil {
		t.Fatal(err)
	}
	got := f.ask(store.RoleReader, `query($id: ID!, $gone: ID!) { invoice(id: $id) { customer { id legalName } } customer(id: $gone) { invoices { nodes { id } } } }`, object{"id": invoice.ID, "gone": gone})
	if got.text("invoice", "customer", "id") != kept || got.text("customer", "invoices", "nodes", 0, "id") != invoice.ID {
		t.Errorf("after the merge: %v", got.Data)
	}
}

func TestEntityChanged(t *testing.T) {
	t.Parallel()
	f := kinds(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	after := f.ask(store.RoleReader, `{ feedCursor }`, nil).text("feedCursor")
	customer := f.customer("c1", "Wattle Pty Ltd")
	product := f.make("Product", object{"sku": "A", "name": "Widget"})
	location := f.make("Location", object{"name": "Shed"})
	f.mutate("updateProduct", object{"id": product, "values": object{"name": "Wodget"}})
	listen := func(args string, n int) (got []string, last reply) {
		stream, hangUp := context.WithCancel(ctx)
		defer hangUp()
		next, _ := f.events(t, stream, store.RoleReader, `subscription($after: String) { entityChanged(after: $after`+args+`) { cursor kind id entity { id version ... on Product { name } ... on Customer { displayName } } } }`, object{"after": after})
		for _, r := range take(t, next, n) {
			got, last = append(got, r.text("entityChanged", "id")), r
		}
		return got, last
	}
	if got, last := listen(``, 4); !slices.Equal(got, []string{customer, product, location, product}) || last.text("entityChanged", "entity", "name") != "Wodget" || last.text("entityChanged", "kind") != "PRODUCT" {
		t.Errorf("everything: %v, the last %v", got, last.Data)
	}
	if got, _ := listen(`, kinds: [PRODUCT, LOCATION]`, 3); !slices.Equal(got, []string{product, location, product}) {
		t.Errorf("two kinds: %v", got)
	}
	if got, _ := listen(`, ids: ["`+location+`"]`, 1); !slices.Equal(got, []string{location}) {
		t.Errorf("one entity: %v", got)
	}
}

// TestMoneyThatCannotBe: a payment or credit note that is not money, or gives out more than it has, is refused and says why.
func TestMoneyThatCannotBe(t *testing.T) {
	t.Parallel()
	f := setup(t)
	customer := f.customer("c1", "Wattle Pty Ltd")
	lines := []object{{"description": "Work", "quantity": "1", "unitPrice": "110", "taxCode": "GST"}}
	invoice := f.make("Invoice", object{"customer": customer, "issueDate": "2026-01-02", "lines": lines})
	aud := func(amount string) object { return object{"amount": amount, "currency": "AUD"} }
	to := func(amount string) []object { return []object{{"invoice": invoice, "amount": amount}} }
	payment := func() object { return object{"customer": customer, "amount": aud("10"), "date": "2026-01-02"} }
	credit := func() object { return object{"customer": customer, "issueDate": "2026-01-02", "lines": lines} }
	for what, c := range map[string]struct {
		kind     string
		of       object
		field    string
		value    any
		complain string
	}{
		"less than nothing":    {"Payment", payment(), "amount", aud("-10"), "amount: -10.00 is not more than 0; money given back has the direction REFUNDED"},
		"nothing":              {"Payment", payment(), "amount", aud("0"), "amount: 0.00 is not more than 0; money given back has the direction REFUNDED"},
		"half a cent":          {"Payment", payment(), "amount", aud("1.005"), "amount: 1.005 is not an amount in whole cents"},
		"more than it has":     {"Payment", payment(), "allocations", to("20"), "allocations: they come to 20.00, which is more than the amount of 10.00"},
		"in two parts":         {"Payment", payment(), "allocations", append(to("6"), to("5")...), "allocations: they come to 11.00, which is more than the amount of 10.00"},
		"a negative part":      {"Payment", payment(), "allocations", to("-5"), "allocations: -5 of allocation 1 is not an amount in whole cents of more than 0"},
		"a credit note's":      {"CreditNote", credit(), "allocations", to("110.01"), "allocations: they come to 110.01, which is more than the total of 110.00"},
		"a credit note's part": {"CreditNote", credit(), "allocations", to("0"), "allocations: 0 of allocation 1 is not an amount in whole cents of more than 0"},
	} {
		id := f.make(c.kind, c.of)
		changed := f.mutate("update"+c.kind, object{"id": id, "values": object{c.field: c.value}})
		c.of[c.field] = c.value
		made := f.mutate("create"+c.kind, object{"values": c.of})
		for name, r := range map[string]reply{"update" + c.kind: changed, "create" + c.kind: made} {
			if r.text(name, "userErrors", 0, "message") != c.complain || r.text(name, "userErrors", 0, "code") != "INVALID" {
				t.Errorf("%s: %s: %v", what, name, r.Data)
			}
		}
	}
}
