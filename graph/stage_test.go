package graph_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/graph"
)

// inAccounting is what accounting's books say of an invoice that was made here.
func (f *fixture) inAccounting(id, stage string, values domain.Values) {
	f.t.Helper()
	v := values.Clone()
	v["stage"] = domain.TextValue(stage)
	at := time.Now()
	res, err := f.changes.Record(f.t.Context(), change.Incoming{System: "accounting", EntityID: id, Cause: change.Cause{Actor: "system:accounting", Source: change.FromProjection},
		Record: domain.Record{Kind: domain.KindInvoice, ExternalID: "x-" + id, CanonicalID: id, ModifiedAt: at, FetchedAt: at, Version: at.String(), Values: v, Raw: json.RawMessage(`{}`)}})
	if err != nil || res.EntityID != id {
		f.t.Fatalf("the record of %s is linked to %s: %v", id, res.EntityID, err)
	}
}

// An issued invoice is accounting's whole: no field of it can be changed by anybody else, lines included. A draft can be changed as
// the policy says.
func TestAnIssuedInvoiceIsAccountings(t *testing.T) {
	t.Parallel()
	f := setup(t)
	customer, other := f.customer("c1", "Wattle Pty Ltd"), f.customer("c2", "Hakea Pty Ltd")
	line := object{"description": "Work", "quantity": "1", "unitPrice": "110", "taxCode": "GST"}
	quote := entity(domain.KindQuote, map[domain.Field]any{"number": "Q-1", "customer": customer})
	f.insert(quote)
	// Another value for each field that an app can write.
	ki, _ := domain.KindInvoice.Info()
	another := object{}
	for _, in := range graph.Schema().Types["InvoiceInput"].Fields {
		fi, _ := ki.Field(domain.Field(in.Name))
		switch fi.Type {
		case domain.TypeText, domain.TypeLongText:
			another[in.Name] = "another"
		case domain.TypeDate:
			another[in.Name] = "2026-02-03"
		case domain.TypeCurrency:
			another[in.Name] = "NZD"
		case domain.TypeEnum:
			another[in.Name] = map[string]string{"stage": "SUBMITTED", "taxMode": "EXCLUSIVE"}[in.Name]
		case domain.TypeLines:
			another[in.Name] = []object{{"description": "Work", "quantity": "2", "unitPrice": "110", "taxCode": "GST"}}
		case domain.TypeRef:
			another[in.Name] = other
		case domain.TypeCustomFields:
			another[in.Name] = []object{{"key": "bay", "value": "7"}}
		default:
			t.Fatalf("%s is %v", in.Name, fi.Type)
		}
	}
	another["origin"] = quote.ID
	crm := f.key(store.NewKey{System: "crm", Role: store.RoleEditor, Name: "sales"})
	read := func(id string) store.Entity {
		es, err := store.Entities(t.Context(), f.pool, []string{id})
		if err != nil || len(es) != 1 {
			t.Fatal(err)
		}
		return es[0]
	}
	editable := []string{"lines", "dueDate", "notes", "origin", "customFields"}
	for _, stage := range []string{"DRAFT", "AUTHORISED", "PAID", "VOIDED"} {
		id := f.make("Invoice", object{"customer": customer, "issueDate": "2026-01-02", "dueDate": "2026-01-30", "notes": "agreed", "customFields": []object{{"key": "bay", "value": "3"}}, "lines": []object{line}})
		made := read(id).Golden
		accounts := domain.Values{}
		for _, x := range []domain.Field{"customer", "issueDate", "dueDate", "currency", "taxMode", "lines", "subtotal", "taxTotal", "total"} {
			accounts[x] = made[x]
		}
		accounts["number"] = domain.TextValue("INV-" + stage)
		f.inAccounting(id, stage, accounts)
		before := read(id)
		if before.Stage != stage || before.Golden["notes"] != `"agreed"` || before.Golden["customFields"] != made["customFields"] {
			t.Fatalf("%s: %v", stage, before.Golden)
		}
		names := make([]string, 0, len(another))
		for name := range another {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			for who, key := range map[string]string{"ops": f.keys[store.RoleEditor], "crm": crm} {
				if who == "crm" && stage == "DRAFT" {
					continue
				}
				r := f.send(key, `mutation($input: UpdateInvoiceInput!) { updateInvoice(input: $input) { invoice { version } userErrors { code message field owner stage } } }`,
					object{"input": object{"id": id, "values": object{name: another[name]}}})
				what := fmt.Sprintf("%s: %s by %s", stage, name, who)
				errs := r.list("updateInvoice", "userErrors")
				at := func(m string) string { return r.text("updateInvoice", "userErrors", 0, m) }
				switch {
				case len(r.Errors) > 0:
					t.Errorf("%s: %v", what, r.Errors)
				case stage == "DRAFT" && slices.Contains(editable, name):
					if len(errs) > 0 {
						t.Errorf("%s is refused: %v", what, errs)
					}
				case len(errs) != 1 || at("code") != "NOT_OWNER" || at("field") != name || at("owner") != "accounting" || at("stage") != stage || at("message") == "":
					t.Errorf("%s: %v", what, errs)
				}
			}
		}
		if after := read(id); stage != "DRAFT" && (after.Version != before.Version || !maps.Equal(after.Golden, before.Golden)) {
			t.Errorf("%s: it was changed", stage)
		} else if stage == "DRAFT" && (after.Golden["notes"] != `"another"` || domain.LinesOf(after.Golden["lines"])[0].Quantity != "2") {
			t.Errorf("the draft was not changed: %v", after.Golden)
		}
	}
}

// Every kind of document can belong to another system from a stage on, by the same rules as an invoice.
func TestOwnersChangeWithTheStageOfEveryDocument(t *testing.T) {
	t.Parallel()
	f := setup(t)
	policy := "systems: {crm: hubspot, accounting: xero, ops: native}\nCustomer: {owner: crm, create: [crm]}\n"
	later := map[domain.Kind]string{domain.KindQuote: "ACCEPTED", domain.KindOrder: "CLOSED", domain.KindInvoice: "AUTHORISED", domain.KindCreditNote: "AUTHORISED", domain.KindPayment: "VOIDED"}
	for kind, stage := range later {
		policy += fmt.Sprintf("%s: {owner: ops, create: [ops], replicate: {accounting: always}, stages: {%s: {reference: {owner: accounting, fallback: [ops]}}}}\n", kind, stage)
	}
	if _, err := f.changes.Publish(t.Context(), 1, policy, change.Surroundings{Schema: graph.Schema()}, change.Cause{Actor: "owner"}); err != nil {
		t.Fatal(err)
	}
	customer := f.customer("c1", "Wattle Pty Ltd")
	accounting := f.key(store.NewKey{System: "accounting", Role: store.RoleEditor, Name: "bookkeeper"})
	for kind, stage := range later {
		input := object{"customer": customer, "lines": []object{{"description": "Work", "quantity": "1", "unitPrice": "110", "taxCode": "GST"}}}
		if kind == domain.KindPayment {
			input = object{"customer": customer, "amount": object{"amount": "110", "currency": "AUD"}, "direction": "RECEIVED", "date": "2026-03-02"}
		}
		id, mutation := f.make(string(kind), input), "update"+string(kind)
		update := func(key string, values object) reply {
			return f.send(key, fmt.Sprintf(`mutation($input: Update%sInput!) { %s(input: $input) { userErrors { code field owner stage message } } }`, kind, mutation),
				object{"input": object{"id": id, "values": values}})
		}
		is := func(what, stage, reference string) {
			es, err := store.Entities(t.Context(), f.pool, []string{id})
			if err != nil || len(es) != 1 || stage != "" && es[0].Stage != stage || es[0].Golden["reference"].Text() != reference {
				t.Errorf("%s: %s: %v: %v", kind, what, err, es)
			}
		}
		taken := func(what string, r reply) {
			if len(r.Errors) > 0 || len(r.list(mutation, "userErrors")) > 0 {
				t.Errorf("%s: %s: %v %v", kind, what, r.Errors, r.Data)
			}
		}
		taken("before", update(f.keys[store.RoleEditor], object{"reference": "ours"}))
		taken("the step", update(f.keys[store.RoleEditor], object{"stage": stage}))
		is("after the step", stage, "ours")
		r := update(f.keys[store.RoleEditor], object{"reference": "ours again"})
		at := func(m string) string { return r.text(mutation, "userErrors", 0, m) }
		if at("code") != "NOT_OWNER" || at("field") != "reference" || at("owner") != "accounting" || at("stage") != stage || at("message") == "" {
			t.Errorf("%s: %v %v", kind, r.Errors, r.Data)
		}
		is("after the refusal", stage, "ours")
		taken("by its owner", update(accounting, object{"reference": "theirs"}))
		is("after its owner's edit", stage, "theirs")
	}
}
