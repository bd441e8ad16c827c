package graph_test

import (
	"testing"
	"time"

	"datum/domain"
	"datum/domain/store"
)

// One customer with everything around it, known to two systems.
func TestCustomerReads(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.customer("c1", "Wattle & Sons Pty Ltd")
	f.record("accounting", "a1", time.Now(), map[domain.Field]any{"legalName": "WATTLE & SONS PTY LTD", "email": "c1@example.com.au", "currency": "AUD"})
	r := f.ask(store.RoleOperator, `query($id: ID!) {
		viewer { name system role }
		customer(id: $id) {
			id version displayName legalName currency acn tags customFields { key value }
			records { system { name adapter } externalId values raw issues { code } }
			provenance { field system rule owner since externalId }
			history { nodes { action field new source correlationId actor } values version }
			projections { status system { name } pending lastError { code } desiredVersion confirmedVersion }
			cases { id }
		}
		node(id: $id) { id ... on Customer { email } }
		systems { name mode health { state pending openCases } }
	}`, map[string]any{"id": id})
	for _, c := range []struct {
		want any
		path []any
	}{
		{"operator", []any{"viewer", "name"}}, {"ops", []any{"viewer", "system"}}, {"OPERATOR", []any{"viewer", "role"}},
		{"WATTLE & SONS PTY LTD", []any{"customer", "legalName"}}, // accounting owns it
		{"Wattle & Sons Pty Ltd", []any{"customer", "displayName"}},
		{"AUD", []any{"customer", "currency"}}, {nil, []any{"customer", "acn"}},
		{"xero", []any{"customer", "records", 0, "system", "adapter"}}, {"a1", []any{"customer", "records", 0, "externalId"}},
		{"c1", []any{"customer", "records", 1, "externalId"}}, {"c1", []any{"customer", "records", 1, "raw", "id"}},
		{"BUSINESS", []any{"customer", "records", 1, "values", "kind"}},
		{"accounting", []any{"customer", "projections", 0, "system", "name"}},
		{"c1@example.com.au", []any{"node", "email"}}, {"c1@example.com.au", []any{"customer", "history", "values", "email"}},
		{"poll", []any{"customer", "history", "nodes", 0, "source"}}, {"cor-a1", []any{"customer", "history", "nodes", 0, "correlationId"}},
		{"accounting", []any{"systems", 0, "name"}}, {"LIVE", []any{"systems", 0, "mode"}},
	} {
		if got := r.at(c.path...); got != c.want {
			t.Errorf("%v is %v, want %v", c.path, got, c.want)
		}
	}
	rules := map[string]string{}
	for i := range r.list("customer", "provenance") {
		rules[r.text("customer", "provenance", i, "field")] = r.text("customer", "provenance", i, "system") + " " + r.text("customer", "provenance", i, "rule")
	}
	for field, want := range map[string]string{"legalName": "accounting OWNER", "tradingName": "crm OWNER", "acn": " NONE"} {
		if rules[field] != want {
			t.Errorf("%s comes from %q, want %q", field, rules[field], want)
		}
	}
	if r.at("customer", "version") != r.at("customer", "history", "version") {
		t.Errorf("version %v, by its history %v", r.at("customer", "version"), r.at("customer", "history", "version"))
	}
}

func TestHealthTellsOfAVendorThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	f := setup(t)
	called := func(status int, code domain.Code) {
		t.Helper()
		err := store.InsertExchanges(t.Context(), f.pool, []store.Exchange{{System: "accounting", SentAt: time.Now(), Method: "GET", Path: "/x", Status: status, ErrorCode: string(code)}})
		if err != nil {
			t.Fatal(err)
		}
	}
	health := func() (string, string) {
		t.Helper()
		r := f.ask(store.RoleReader, `{ systems { name health { state problem } } }`, nil)
		for _, s := range r.list("systems") {
			if m := s.(map[string]any); m["name"] == "accounting" {
				h := m["health"].(map[string]any)
				problem, _ := h["problem"].(string)
				return h["state"].(string), problem
			}
		}
		t.Fatal("there is no accounting")
		return "", ""
	}
	want := func(state, problem string) {
		t.Helper()
		if s, p := health(); s != state || p != problem {
			t.Errorf("%s, %q; want %s, %q", s, p, state, problem)
		}
	}
	want("OK", "")
	called(503, domain.Unavailable)
	called(0, domain.Unknown)
	want("OK", "") // two failures are everyday
	called(503, domain.Unavailable)
	want("UNAVAILABLE", "the last 3 calls failed; the latest was answered 503 Service Unavailable")
	called(0, domain.Unavailable)
	want("UNAVAILABLE", "the last 3 calls failed; the latest got no answer")
	called(400, domain.Invalid)
	want("OK", "")
}
