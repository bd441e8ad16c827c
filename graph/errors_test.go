package graph_test

import (
	"encoding/json"
	"strings"
	"testing"

	"datum/domain/store"
	"datum/graph"
)

func TestInternalErrorsAreRedacted(t *testing.T) {
	t.Parallel()
	f := setup(t)
	if _, err := f.pool.Exec(t.Context(), `ALTER TABLE customers RENAME TO customers_gone`); err != nil {
		t.Fatal(err)
	}
	body := `{"query":"{ viewer { name } customers { nodes { id } } }"}`
	_, h, text := f.request("POST", f.url, map[string]string{"Content-Type": appJSON, "Authorization": "Bearer " + f.keys[store.RoleReader]}, body)
	id := h.Get("X-Correlation-Id")
	if strings.Contains(text, "customers_gone") || strings.Contains(text, "does not exist") || strings.Contains(text, "SQLSTATE") {
		t.Errorf("the answer tells of the inside: %s", text)
	}
	for _, want := range []string{`"code":"INTERNAL"`, `"correlationId":"` + id + `"`, `"path":["customers"]`} {
		if id == "" || !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	if log := f.log.String(); !strings.Contains(log, id) || !strings.Contains(log, "customers") || !strings.Contains(log, "SQLSTATE 42P01") {
		t.Errorf("the log does not tell what happened to %s: %s", id, log)
	}
}

func TestErrorsAreCappedAndDoNotSuggest(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *graph.Config) { c.Introspection = false })
	key := f.keys[store.RoleReader]
	for _, query := range []string{`{ customer(id: "x") { legalNam } }`, `{ customer(idd: "x") { id } }`, `{ customers(orderBy: {field: LEGAL_NAM}) { nodes { id } } }`,
		`query($x: CustomerInpt) { __typename }`, `{ ... on Custmer { id } }`} {
		r := f.send(key, query, nil)
		if len(r.Errors) == 0 {
			t.Errorf("no error for %s", query)
		}
		for _, e := range r.Errors {
			if strings.Contains(e.Message, "Did you mean") || strings.Contains(e.Message, "legalName") {
				t.Errorf("a suggestion: %s", e.Message)
			}
		}
	}
	if r := f.send(key, `{ __schema { types { name } } }`, nil); len(r.Errors) == 0 || r.at("__schema", "types") != nil {
		t.Errorf("introspection although it is off: %+v", r)
	}

	var b strings.Builder
	for range 60 {
		b.WriteString("x" + strings.Repeat("y", b.Len()%7) + strings.Repeat("z", b.Len()%50) + "\n")
	}
	r := f.send(key, "{"+b.String()+"}", nil)
	if len(r.Errors) == 0 || len(r.Errors) > 21 {
		t.Errorf("%d errors", len(r.Errors))
	}
	long := f.send(key, `{ customer(id: `+strings.Repeat("9", 9000)+`.5) { id } }`, nil)
	for _, e := range long.Errors {
		if len(e.Message) > 600 {
			t.Errorf("a message of %d bytes", len(e.Message))
		}
	}
}

func TestMessagesSayWhatToCorrect(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, c := range []struct{ what, query, code, says string }{
		{"a missing brace", `{ viewer { name }`, "GRAPHQL_PARSE_FAILED", "Expected Name"},
		{"a stray character", `{ viewer ? }`, "GRAPHQL_PARSE_FAILED", "Expected Name"},
		{"an empty document", `# nothing`, "GRAPHQL_VALIDATION_FAILED", "no operation"},
		{"two operations and no name", `query A { viewer { name } } query B { viewer { name } }`, "GRAPHQL_VALIDATION_FAILED", "operationName"},
		{"a variable without a value", `query($n: Int!) { customers(first: $n) { nodes { id } } }`, "GRAPHQL_VALIDATION_FAILED", "variable $n: must be defined"},
		{"a field that is not there", `{ viewer { nam } }`, "GRAPHQL_VALIDATION_FAILED", "name"},
		{"a role that is not enough", `mutation { publishPolicy(input: {source: "x"}) { userErrors { code } } }`, "FORBIDDEN", "role admin"},
		{"a system that is not there", `subscription { systemHealth(systems: ["erp"]) { cursor } }`, "INVALID", "accounting, crm"},
		{"a system that is not there either", `subscription { projectionChanged(systems: ["crm", "erp"]) { cursor } }`, "INVALID", "accounting, crm"},
	} {
		header := map[string]string{"Content-Type": appJSON, "Accept": appJSON, "Authorization": "Bearer " + f.keys[store.RoleReader]}
		if strings.HasPrefix(c.query, "subscription") {
			header["Accept"] = "text/event-stream"
		}
		body, err := json.Marshal(map[string]string{"query": c.query})
		if err != nil {
			t.Fatal(err)
		}
		_, _, text := f.request("POST", f.url, header, string(body))
		if !strings.Contains(text, `"code":"`+c.code+`"`) || !strings.Contains(text, c.says) {
			t.Errorf("%s: %s, want %s saying %q", c.what, text, c.code, c.says)
		}
	}
	if log := f.log.String(); strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("a caller's mistake is logged as an error: %s", log)
	}
}

func TestMistakesOfTheCaller(t *testing.T) {
	t.Parallel()
	f := setup(t)
	for _, c := range []struct {
		what, query string
		vars        map[string]any
	}{
		{"a page size below zero", `{ customers(first: -1) { nodes { id } } }`, nil},
		{"a cursor of another list", `{ customers(after: "bm9uc2Vuc2U") { nodes { id } } }`, nil},
		{"a filter that cannot match", `{ customers(filter: {abn: "12"}) { nodes { id } } }`, nil},
		{"a time that is none", `query($t: Time) { history(id: "x", asOf: $t) { version } }`, map[string]any{"t": "yesterday"}},
		{"an amount with an exponent", `mutation($a: Decimal!) { createCustomer(input: {values: {creditLimit: {amount: $a, currency: "AUD"}}}) { userErrors { code } } }`, map[string]any{"a": "1e999999999"}},
		{"an amount as a float", `mutation { createCustomer(input: {values: {creditLimit: {amount: 12.5, currency: "AUD"}}}) { userErrors { code } } }`, nil},
		{"an event cursor that is none", `{ events(after: "x") { cursor } }`, nil},
	} {
		r := f.send(f.keys[store.RoleAdmin], c.query, c.vars)
		if len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != "INVALID" {
			t.Errorf("%s: %+v", c.what, r.Errors)
		}
	}
	if strings.Contains(f.log.String(), `"level":"ERROR"`) {
		t.Errorf("a caller's mistake is logged as an error: %s", f.log)
	}
}
