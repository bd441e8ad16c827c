package graph_test

import (
	"strings"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/ownership"
	"datum/domain/store"
)

const customerFields = `id version legalName tradingName abn email phone tags notes status lifecycleStage
	contacts { firstName role } billingAddress { lines suburb state postcode country } paymentTerms { basis days }
	creditLimit { amount currency } customFields { key value } gstRegistered`

const create = `mutation($values: CustomerInput!, $key: String) { createCustomer(input: {values: $values, idempotencyKey: $key}) {
	customer { ` + customerFields + ` } userErrors { code message field owner stage caseId } } }`

const update = `mutation($id: ID!, $values: CustomerInput!, $version: Int, $key: String) {
	updateCustomer(input: {id: $id, values: $values, expectedVersion: $version, idempotencyKey: $key}) {
	customer { ` + customerFields + ` } userErrors { code message field owner stage caseId } } }`

type object = map[string]any

func TestCreateCustomer(t *testing.T) {
	t.Parallel()
	f := setup(t)
	values := object{
		"kind": "BUSINESS", "legalName": "Wattle & Sons Pty Ltd", "tradingName": "Wattle", "abn": "51 824 753 556", "email": "office@wattle.example",
		"contacts": []object{{"firstName": "Siân", "role": "Owner"}}, "tags": []string{"wholesale", "vip"}, "notes": "line 1\nline 2",
		"billingAddress": object{"lines": []string{"1 Smith St"}, "suburb": "Darwin", "state": "nt", "postcode": "0800"},
		"paymentTerms":   object{"basis": "DAYS_AFTER_MONTH_END", "days": 20}, "creditLimit": object{"amount": "12500.10", "currency": "AUD"},
		"customFields": []object{{"key": "region", "value": "north"}}, "gstRegistered": true,
	}
	r := f.ask(store.RoleEditor, create, object{"values": values, "key": "k1"})
	if es := r.list("createCustomer", "userErrors"); len(es) > 0 {
		t.Fatalf("refused: %v", es)
	}
	id := r.text("createCustomer", "customer", "id")
	for path, want := range map[string]any{"legalName": "Wattle & Sons Pty Ltd", "abn": "51824753556", "notes": "line 1\nline 2", "status": "ACTIVE", "gstRegistered": true} {
		if got := r.at("createCustomer", "customer", path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	for _, c := range []struct {
		want any
		path []any
	}{
		{"NT", []any{"billingAddress", "state"}}, {"0800", []any{"billingAddress", "postcode"}}, {"AU", []any{"billingAddress", "country"}},
		{"12500.10", []any{"creditLimit", "amount"}}, {"DAYS_AFTER_MONTH_END", []any{"paymentTerms", "basis"}}, {20.0, []any{"paymentTerms", "days"}},
		{"Siân", []any{"contacts", 0, "firstName"}}, {"north", []any{"customFields", 0, "value"}}, {"vip", []any{"tags", 0}},
	} {
		if got := r.at(append([]any{"createCustomer", "customer"}, c.path...)...); got != c.want {
			t.Errorf("%v is %v, want %v", c.path, got, c.want)
		}
	}

	again := f.ask(store.RoleEditor, create, object{"values": values, "key": "k1"})
	if again.text("createCustomer", "customer", "id") != id || len(again.list("createCustomer", "userErrors")) > 0 {
		t.Errorf("the same key and input: %v", again.Data)
	}
	values["notes"] = "something else"
	if r := f.ask(store.RoleEditor, create, object{"values": values, "key": "k1"}); r.text("createCustomer", "userErrors", 0, "code") != "CONFLICT" {
		t.Errorf("the same key for another input: %v", r.Data)
	}
	twin := f.ask(store.RoleEditor, create, object{"values": object{"legalName": "Wattle and Sons", "abn": "51824753556"}})
	if twin.text("createCustomer", "userErrors", 0, "code") != "CONFLICT" || twin.text("createCustomer", "customer", "id") != id {
		t.Errorf("one with the same ABN: %v", twin.Data)
	}
	wrong := f.ask(store.RoleEditor, create, object{"values": object{"legalName": "X", "abn": "51824753557", "email": "nobody"}})
	if n := len(wrong.list("createCustomer", "userErrors")); n != 2 || wrong.at("createCustomer", "customer") != nil {
		t.Errorf("an ABN and an e-mail address that are none: %v", wrong.Data)
	}
	if total := f.ask(store.RoleReader, `{ customers { nodes { id } } }`, nil); len(total.list("customers", "nodes")) != 1 {
		t.Errorf("there is more than one customer: %v", total.Data)
	}
}

func TestUpdateTellsAbsentFromNull(t *testing.T) {
	t.Parallel()
	f := setup(t)
	r := f.ask(store.RoleEditor, create, object{"values": object{"legalName": "Banksia Pty Ltd", "creditLimit": object{"amount": "100", "currency": "AUD"},
		"customFields": []object{{"key": "a", "value": "1"}}}})
	id := r.text("createCustomer", "customer", "id")
	credit := func(r reply) any { return r.at("updateCustomer", "customer", "creditLimit", "amount") }
	fields := func(r reply) int { return len(r.list("updateCustomer", "customer", "customFields")) }

	r = f.ask(store.RoleEditor, update, object{"id": id, "values": object{"customFields": []object{{"key": "b", "value": "2"}, {"key": "c", "value": "3"}}}})
	if credit(r) != "100.00" || fields(r) != 2 {
		t.Errorf("a field left out was touched: %v", r.Data)
	}
	r = f.ask(store.RoleEditor, update, object{"id": id, "values": object{"creditLimit": nil}})
	if credit(r) != nil || fields(r) != 2 {
		t.Errorf("null does not clear, or clears too much: %v", r.Data)
	}
	r = f.ask(store.RoleEditor, update, object{"id": id, "values": object{"customFields": []object{}}})
	if fields(r) != 0 {
		t.Errorf("an empty list does not clear: %v", r.Data)
	}
	twice := []object{{"key": "b", "value": "2"}, {"key": "b", "value": "3"}}
	if r := f.ask(store.RoleEditor, update, object{"id": id, "values": object{"customFields": twice}}); r.text("updateCustomer", "userErrors", 0, "code") != "INVALID" {
		t.Errorf("a custom field given twice: %v", r.Data)
	}
}

func TestUpdateRespectsOwners(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.customer("c1", "Grevillea Pty Ltd")

	// Refused: the whole change, and nothing of it is done.
	r := f.ask(store.RoleEditor, update, object{"id": id, "values": object{"phone": "02 9374 4000", "creditLimit": object{"amount": "5", "currency": "AUD"}}})
	for path, want := range map[string]any{"code": "NOT_OWNER", "field": "phone", "owner": "crm", "caseId": nil} {
		if got := r.at("updateCustomer", "userErrors", 0, path); got != want {
			t.Errorf("%s is %v, want %v", path, got, want)
		}
	}
	if r.at("updateCustomer", "customer", "creditLimit") != nil {
		t.Errorf("a part of a refused change was done: %v", r.Data)
	}
	r = f.ask(store.RoleEditor, update, object{"id": id, "values": object{"phone": "02 9374 4000", "legalName": "Grevillea Holdings Pty Ltd"}})
	if len(r.list("updateCustomer", "userErrors")) != 1 || r.text("updateCustomer", "userErrors", 0, "field") != "phone" {
		t.Errorf("one field refused and one that would be proposed: %v", r.Data)
	}
	if r := f.ask(store.RoleReader, `{ cases { nodes { id } } }`, nil); len(r.list("cases", "nodes")) != 0 {
		t.Errorf("a refused change left a proposal: %v", r.Data)
	}

	// Proposed, and decided.
	r = f.ask(store.RoleEditor, update, object{"id": id, "values": object{"legalName": "Grevillea Holdings Pty Ltd"}})
	caseID := r.text("updateCustomer", "userErrors", 0, "caseId")
	if r.text("updateCustomer", "userErrors", 0, "owner") != "accounting" || caseID == "" || r.text("updateCustomer", "customer", "legalName") != "Grevillea Pty Ltd" {
		t.Fatalf("a proposal: %v", r.Data)
	}
	open := f.ask(store.RoleReader, `query($id: ID!) { customer(id: $id) { cases { id choices detail message next customer { id } } } cases { nodes { id } } node(id: $id) { id } }`, object{"id": id})
	if open.text("customer", "cases", 0, "id") != caseID || open.text("cases", "nodes", 0, "id") != caseID {
		t.Errorf("the case is not listed: %v", open.Data)
	}
	if m, n := open.text("customer", "cases", 0, "message"), open.text("customer", "cases", 0, "next"); !strings.Contains(m, "Grevillea Holdings") || !strings.Contains(n, "accounting") {
		t.Errorf("the case says %q, %q", m, n)
	}
	choice := open.text("customer", "cases", 0, "choices", 0)
	decide := `mutation($id: ID!, $choice: String!) { resolveCase(input: {id: $id, choice: $choice}) { case { status resolution resolvedBy customer { legalName } } userErrors { code } } }`
	if r := f.ask(store.RoleOperator, decide, object{"id": caseID, "choice": "toss a coin"}); r.text("resolveCase", "userErrors", 0, "code") != "INVALID" {
		t.Errorf("a choice that there is not: %v", r.Data)
	}
	for range 2 { // once more changes nothing
		r = f.ask(store.RoleOperator, decide, object{"id": caseID, "choice": choice})
		if r.text("resolveCase", "case", "status") != "RESOLVED" || r.text("resolveCase", "case", "customer", "legalName") != "Grevillea Holdings Pty Ltd" ||
			len(r.list("resolveCase", "userErrors")) > 0 {
			t.Errorf("decided: %v", r.Data)
		}
	}

	byState := f.ask(store.RoleReader, `query($id: ID!) { open: cases(filter: {customerId: $id}) { nodes { status } } any: cases(filter: {customerId: $id, status: null}) { nodes { id } } }`, object{"id": id})
	for i := range byState.list("open", "nodes") {
		if byState.text("open", "nodes", i, "status") != "OPEN" {
			t.Errorf("a decided case without asking for it: %v", byState.Data)
		}
	}
	if all := len(byState.list("any", "nodes")); all != len(byState.list("open", "nodes"))+1 {
		t.Errorf("the decided case is not found: %v", byState.Data)
	}

	// Stale, missing, archived.
	if r := f.ask(store.RoleEditor, update, object{"id": id, "values": object{"creditLimit": nil}, "version": 99}); r.text("updateCustomer", "userErrors", 0, "code") != "STALE" {
		t.Errorf("another version: %v", r.Data)
	}
	if r := f.ask(store.RoleEditor, update, object{"id": domain.NewID("cus"), "values": object{"creditLimit": nil}}); r.text("updateCustomer", "userErrors", 0, "code") != "NOT_FOUND" {
		t.Errorf("no such customer: %v", r.Data)
	}
	if r := f.ask(store.RoleEditor, update, object{"id": "system:crm", "values": object{}}); r.text("updateCustomer", "userErrors", 0, "code") != "NOT_FOUND" {
		t.Errorf("not a customer: %v", r.Data)
	}
	crm := f.key(store.NewKey{System: "crm", Role: store.RoleEditor, Name: "crm app"})
	archived := f.send(crm, `mutation($id: ID!) { archiveCustomer(input: {id: $id}) { customer { status } userErrors { code } } }`, object{"id": id})
	if archived.text("archiveCustomer", "customer", "status") != "ARCHIVED" {
		t.Errorf("archived by the owner: %+v", archived)
	}
}

func TestHistoryAsOf(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.customer("c1", "Acacia Pty Ltd")
	var before time.Time
	if err := f.pool.QueryRow(t.Context(), `SELECT clock_timestamp()`).Scan(&before); err != nil {
		t.Fatal(err)
	}
	f.record("crm", "c1", time.Now(), map[domain.Field]any{"kind": "BUSINESS", "legalName": "Acacia Pty Ltd", "tradingName": "Acacia Blooms", "email": "c1@example.com.au", "status": "ACTIVE"})
	q := `query($id: ID!, $at: Time, $after: String) { history(id: $id, asOf: $at, first: 3, after: $after) { values version nodes { id field old new } pageInfo { hasNextPage endCursor } } }`
	now := f.ask(store.RoleReader, q, object{"id": id})
	if now.text("history", "values", "tradingName") != "Acacia Blooms" || now.text("history", "nodes", 0, "field") != "tradingName" || now.text("history", "nodes", 0, "old") != "Acacia Pty Ltd" {
		t.Errorf("now: %v", now.Data)
	}
	then := f.ask(store.RoleReader, q, object{"id": id, "at": before.Format(time.RFC3339Nano)})
	if then.text("history", "values", "tradingName") != "Acacia Pty Ltd" || then.at("history", "version") == now.at("history", "version") {
		t.Errorf("then: %v", then.Data)
	}
	if long := f.ask(store.RoleReader, q, object{"id": id, "at": "2001-01-01T00:00:00Z"}); len(long.list("history", "nodes")) != 0 || long.at("history", "version") != 0.0 {
		t.Errorf("before it was known: %v", long.Data)
	}
	seen := map[string]bool{}
	for after := ""; ; {
		r := f.ask(store.RoleReader, q, object{"id": id, "after": after})
		for i := range r.list("history", "nodes") {
			seen[r.text("history", "nodes", i, "id")] = true
		}
		after = r.text("history", "pageInfo", "endCursor")
		if r.at("history", "pageInfo", "hasNextPage") != true {
			break
		}
	}
	var rows int
	if err := f.pool.QueryRow(t.Context(), `SELECT count(*) FROM history WHERE entity_id = $1`, id).Scan(&rows); err != nil || len(seen) != rows {
		t.Errorf("pages had %d rows of %d (%v)", len(seen), rows, err)
	}
	if r := f.ask(store.RoleReader, q, object{"id": domain.NewID("cus")}); r.at("history") != nil {
		t.Errorf("history of nobody: %v", r.Data)
	}
}

func TestOperatorMutations(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.customer("c1", "Hakea Pty Ltd")
	ps := f.ask(store.RoleReader, `query($id: ID!) { customer(id: $id) { projections { id system { name } } } }`, object{"id": id})
	pid := ps.text("customer", "projections", 0, "id")
	r := f.ask(store.RoleOperator, `mutation($id: ID!) { retryProjection(input: {id: $id}) { projection { id status } userErrors { code } } }`, object{"id": pid})
	if r.text("retryProjection", "projection", "id") != pid || len(r.list("retryProjection", "userErrors")) > 0 {
		t.Errorf("retry: %v", r.Data)
	}
	if r := f.ask(store.RoleReader, `query($id: ID!) { node(id: $id) { ... on Projection { system { name } } } }`, object{"id": pid}); r.text("node", "system", "name") != "accounting" {
		t.Errorf("node of a projection: %v", r.Data)
	}
	for _, bad := range []string{"projection:" + id + ":nowhere", "nonsense"} {
		if r := f.ask(store.RoleOperator, `mutation($id: ID!) { retryProjection(input: {id: $id}) { userErrors { code } } }`, object{"id": bad}); r.text("retryProjection", "userErrors", 0, "code") != "NOT_FOUND" {
			t.Errorf("retry of %s: %v", bad, r.Data)
		}
	}
	mode := `mutation($s: String!) { setSystemMode(input: {system: $s, mode: DRY_RUN}) { system { name mode health { state } } userErrors { code } } }`
	if r := f.ask(store.RoleOperator, mode, object{"s": "crm"}); r.text("setSystemMode", "system", "mode") != "DRY_RUN" {
		t.Errorf("mode: %v", r.Data)
	}
	if r := f.ask(store.RoleOperator, mode, object{"s": "crmm"}); r.text("setSystemMode", "userErrors", 0, "code") != "NOT_FOUND" {
		t.Errorf("mode of no system: %v", r.Data)
	}
}

func TestPublishPolicy(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.customer("c1", "Hakea Pty Ltd")
	publish := `mutation($source: String!, $version: Int) { publishPolicy(input: {source: $source, expectedVersion: $version}) {
		policy { version publishedBy rules(kind: "Customer") { field stage owner others } } userErrors { code message } } }`
	same := f.ask(store.RoleAdmin, publish, object{"source": ownership.DefaultSource()})
	if same.at("publishPolicy", "policy", "version") != 1.0 {
		t.Errorf("the policy in force was published again: %v", same.Data)
	}
	changed := ownership.DefaultSource() + "\n# another\n"
	if r := f.ask(store.RoleAdmin, publish, object{"source": changed, "version": 7}); r.text("publishPolicy", "userErrors", 0, "code") != "CONFLICT" {
		t.Errorf("another version is expected: %v", r.Data)
	}
	r := f.ask(store.RoleAdmin, publish, object{"source": changed, "version": 1})
	if r.at("publishPolicy", "policy", "version") != 2.0 || r.text("publishPolicy", "policy", "rules", 1, "owner") != "accounting" {
		t.Errorf("published: %v", r.Data)
	}
	broken := "systems: {crm: hubspot}\nCustomer:\n  owner: crmm\n  fields: {nose: {owner: crm}}\n"
	if r := f.ask(store.RoleAdmin, publish, object{"source": broken}); len(r.list("publishPolicy", "userErrors")) < 2 || r.at("publishPolicy", "policy") != nil {
		t.Errorf("a broken policy: %v", r.Data)
	}
	old := f.ask(store.RoleReader, `{ policy(version: 1) { version source } none: policy(version: 9) { version } policyNow: policy { version } }`, nil)
	if old.at("policy", "version") != 1.0 || old.at("none") != nil || old.at("policyNow", "version") != 2.0 {
		t.Errorf("versions: %v", old.Data)
	}
	effect := f.ask(store.RoleAdmin, `query($s: String!) { policyEffect(source: $s) { entities rules golden { name count } writes { name count } cases userErrors { message } } }`, object{"s": changed})
	if effect.at("policyEffect", "entities") != 1.0 {
		t.Errorf("effect: %v", effect.Data)
	}
}

func TestCustomerWarns(t *testing.T) {
	t.Parallel()
	f := setup(t)
	r := f.ask(store.RoleEditor, `mutation($in: CreateCustomerInput!) { createCustomer(input: $in) {
		customer { warnings { field code message severity } } userErrors { code message } } }`,
		object{"in": object{"values": object{"legalName": "Banksia Pty Ltd", "gstRegistered": true,
			"billingAddress": object{"lines": []string{"1 King St"}, "suburb": "Melbourne", "state": "VIC", "postcode": "2000", "country": "AU"}}}})
	warnings := r.list("createCustomer", "customer", "warnings")
	if len(warnings) != 2 {
		t.Fatalf("warnings: %v", r.Data)
	}
	for i, field := range []string{"billingAddress", "abn"} {
		if r.text("createCustomer", "customer", "warnings", i, "field") != field || r.text("createCustomer", "customer", "warnings", i, "severity") != "WARNING" {
			t.Errorf("warning %d: %v", i, warnings[i])
		}
	}
}
