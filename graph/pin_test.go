package graph_test

import (
	"testing"

	"datum/domain/store"
)

// A change of a field that another system owns is asked of it, is shown as such, and can be taken back; a pin likewise.
func TestWriteThrough(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.customer("c1", "Wattle Pty Ltd")
	const ask = `mutation($id: ID!, $values: CustomerInput!) { updateCustomer(input: {id: $id, values: $values, writeThrough: {reason: "they rang"}}) {
		customer { email pendingChanges { field system value actor reason expiresAt status } pins { field } } userErrors { code owner message } } }`
	wanted := object{"id": id, "values": object{"email": "new@example.com.au"}}
	if r := f.ask(store.RoleEditor, ask, wanted); r.text("updateCustomer", "userErrors", 0, "code") != "NOT_OWNER" || r.text("updateCustomer", "userErrors", 0, "owner") != "crm" {
		t.Fatalf("an editor: %v", r.Data)
	}
	r := f.ask(store.RoleOperator, ask, wanted)
	for path, want := range map[string]any{"field": "email", "system": "crm", "value": "new@example.com.au", "reason": "they rang", "status": "PENDING"} {
		if got := r.at("updateCustomer", "customer", "pendingChanges", 0, path); got != want {
			t.Errorf("%s of the change is %v, not %v", path, got, want)
		}
	}
	if r.text("updateCustomer", "customer", "email") != "c1@example.com.au" || len(r.list("updateCustomer", "customer", "pins")) != 0 || r.at("updateCustomer", "customer", "pendingChanges", 0, "expiresAt") == nil {
		t.Errorf("what is in force while it is asked for: %v", r.Data)
	}
	all := f.ask(store.RoleReader, `{ pins { entityId cursor pin { field } change { field status } } }`, nil)
	if all.text("pins", 0, "entityId") != id || all.text("pins", 0, "change", "field") != "email" || all.at("pins", 0, "pin") != nil {
		t.Errorf("the list of all: %v", all.Data)
	}
	if r := f.ask(store.RoleReader, `query($after: String) { pins(after: $after) { cursor } }`, object{"after": all.text("pins", 0, "cursor")}); len(r.list("pins")) != 0 {
		t.Errorf("the next page: %v", r.Data)
	}
	withdraw := func(what string) reply {
		return f.ask(store.RoleOperator, `mutation($id: ID!) { `+what+`(input: {entityId: $id, field: "email", reason: "a mistake"}) {
			entity { ... on Customer { email pins { field } pendingChanges { field } } } userErrors { code message } } }`, object{"id": id})
	}
	if r := withdraw("withdrawPin"); r.text("withdrawPin", "userErrors", 0, "code") != "NOT_FOUND" {
		t.Errorf("it is no pin: %v", r.Data)
	}
	if r := withdraw("withdrawChange"); len(r.list("withdrawChange", "userErrors")) != 0 || len(r.list("withdrawChange", "entity", "pendingChanges")) != 0 {
		t.Errorf("withdrawn: %v", r.Data)
	}
	f.send(f.key(store.NewKey{System: "crm", Role: store.RoleEditor, Name: "sales"}), update, object{"id": id, "values": object{"email": "pinned@example.com.au"}})
	if r := f.ask(store.RoleReader, `query($id: ID!) { customer(id: $id) { email pins { field value actor reason } } }`, object{"id": id}); r.text("customer", "pins", 0, "value") != "pinned@example.com.au" ||
		r.text("customer", "email") != "pinned@example.com.au" {
		t.Fatalf("a pin: %v", r.Data)
	}
	if r := withdraw("withdrawPin"); r.text("withdrawPin", "entity", "email") != "c1@example.com.au" || len(r.list("withdrawPin", "entity", "pins")) != 0 {
		t.Errorf("withdrawn: %v", r.Data)
	}
}
