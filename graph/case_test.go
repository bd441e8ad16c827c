package graph_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"datum/domain/store"
)

// proposal has an app propose another legal name for a customer, and returns the case.
func (f *fixture) proposal(id, name string) string {
	f.t.Helper()
	r := f.ask(store.RoleEditor, update, object{"id": id, "values": object{"legalName": name}})
	c := r.text("updateCustomer", "userErrors", 0, "caseId")
	if c == "" {
		f.t.Fatalf("no case: %+v", r)
	}
	return c
}

// What people do with a case that decides nothing: it shows in the case, its timeline, the lists and the counts, and to
// subscribers.
func TestCaseWork(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.customer("c1", "Correa Pty Ltd")
	c := f.proposal(id, "Correa Holdings Pty Ltd")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	next, _ := f.events(t, ctx, store.RoleReader, `subscription { caseChanged { case { assignee snoozedUntil status } } }`, nil)
	told := func(what string, path string, want any) {
		t.Helper()
		for {
			select {
			case r := <-next:
				if r.at("caseChanged", "case", path) == want {
					return
				}
			case <-time.After(3 * time.Minute):
				t.Fatalf("subscribers were not told that it was %s", what)
			}
		}
	}
	r := f.ask(store.RoleOperator, `mutation($id: ID!) {
		assignCase(input: {id: $id, assignee: "kim@example.com"}) { case { assignee } userErrors { code } }
		commentCase(input: {id: $id, text: "asked them"}) { userErrors { code } } }`, object{"id": c})
	if r.text("assignCase", "case", "assignee") != "kim@example.com" || len(r.list("commentCase", "userErrors")) > 0 {
		t.Fatalf("%+v", r)
	}
	told("assigned", "assignee", "kim@example.com")
	until := time.Now().Add(time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339)
	snooze := `mutation($id: ID!, $until: Time) { snoozeCase(input: {id: $id, until: $until}) { case { snoozedUntil } userErrors { code } } }`
	if r := f.ask(store.RoleOperator, snooze, object{"id": c, "until": "2001-01-01T00:00:00Z"}); r.text("snoozeCase", "userErrors", 0, "code") != "INVALID" {
		t.Errorf("a rest in the past: %v", r.Data)
	}
	if r := f.ask(store.RoleOperator, snooze, object{"id": c, "until": until}); r.text("snoozeCase", "case", "snoozedUntil") != until {
		t.Errorf("snoozed: %v", r.Data)
	}
	told("snoozed", "snoozedUntil", until)
	lists := f.ask(store.RoleReader, `query { cases { nodes { id } } rest: cases(filter: {snoozed: true}) { nodes { id } } both: cases(filter: {snoozed: null}) { nodes { id } }
		kim: cases(filter: {snoozed: null, assignee: "kim@example.com", kinds: [CONFLICT, STUCK], system: "ops", field: "legalName", entityKind: "Customer"}) { nodes { id } }
		old: cases(filter: {snoozed: null, openedBefore: "2001-01-01T00:00:00Z"}) { nodes { id } } nobodys: cases(filter: {snoozed: null, assignee: ""}) { nodes { id } }
		caseCounts { kind count snoozed oldest } }`, nil)
	for list, want := range map[string]int{"cases": 0, "rest": 1, "both": 1, "kim": 1, "old": 0, "nobodys": 0} {
		if n := len(lists.list(list, "nodes")); n != want {
			t.Errorf("%d in %s, not %d", n, list, want)
		}
	}
	if lists.text("caseCounts", 0, "kind") != "CONFLICT" || lists.at("caseCounts", 0, "count") != 1.0 || lists.at("caseCounts", 0, "snoozed") != 1.0 {
		t.Errorf("counts: %v", lists.Data)
	}
	if r := f.ask(store.RoleOperator, snooze, object{"id": c, "until": nil}); r.at("snoozeCase", "case", "snoozedUntil") != nil {
		t.Errorf("its rest was not ended: %v", r.Data)
	}
	r = f.ask(store.RoleReader, `query($id: ID!) { node(id: $id) { ... on Case { timeline { at action actor note } } } }`, object{"id": c})
	var got []string
	for i := range r.list("node", "timeline") {
		got = append(got, r.text("node", "timeline", i, "action"))
	}
	if fmt.Sprint(got) != "[opened assigned commented snoozed woke]" {
		t.Errorf("timeline %v", got)
	}
	if a := r.text("node", "timeline", 2, "actor"); a == "" || r.text("node", "timeline", 2, "note") != "asked them" {
		t.Errorf("comment: %v", r.at("node", "timeline", 2))
	}
	if r := f.send(f.keys[store.RoleEditor], `mutation($id: ID!) { commentCase(input: {id: $id, text: "x"}) { userErrors { code } } }`, object{"id": c}); len(r.Errors) == 0 {
		t.Errorf("an editor works on cases: %v", r.Data)
	}
}

// The preview says what a decision would do and does nothing; decisions about several cases are counted, and remembered.
func TestCasePreviewAndBulk(t *testing.T) {
	t.Parallel()
	f := setup(t)
	var ids, cases []string
	for i := range 3 {
		ids = append(ids, f.customer(fmt.Sprintf("c%d", i), fmt.Sprintf("Boronia %d Pty Ltd", i)))
		cases = append(cases, f.proposal(ids[i], fmt.Sprintf("Boronia %d Holdings Pty Ltd", i)))
	}
	preview := `query($in: ResolveCaseInput!) { previewCase(input: $in) { golden { entityId name field from to } writes { system mode kind externalId values }
		ends { id kind } opens { id } merges { from } userErrors { code message } } }`
	p := f.ask(store.RoleOperator, preview, object{"in": object{"id": cases[0], "choice": "pin", "value": "Boronia Group Pty Ltd"}})
	if p.text("previewCase", "golden", 0, "to") != "Boronia Group Pty Ltd" || p.text("previewCase", "golden", 0, "entityId") != ids[0] ||
		p.text("previewCase", "ends", 0, "id") != cases[0] || len(p.list("previewCase", "writes")) == 0 || p.text("previewCase", "writes", 0, "mode") != "LIVE" {
		t.Errorf("preview: %+v", p)
	}
	if r := f.ask(store.RoleOperator, preview, object{"in": object{"id": cases[0], "choice": "pin"}}); r.text("previewCase", "userErrors", 0, "code") != "INVALID" {
		t.Errorf("preview of what cannot be: %+v", r)
	}
	now := f.ask(store.RoleReader, `query($id: ID!) { customer(id: $id) { legalName } cases { nodes { id options { name effect needsValue } } } }`, object{"id": ids[0]})
	if now.text("customer", "legalName") != "Boronia 0 Pty Ltd" || len(now.list("cases", "nodes")) != 3 || now.text("cases", "nodes", 0, "options", 0, "effect") == "" {
		t.Errorf("after the preview: %+v", now)
	}

	bulk := `mutation($in: ResolveCasesInput!) { resolveCases(input: $in) { outcomes { id decided error { code } } decided failed userErrors { code message } } }`
	filter := object{"kind": "CONFLICT", "system": "ops"}
	for _, in := range []object{{"choice": "accept"}, {"choice": "accept", "ids": cases, "filter": filter}, {"choice": "accept", "filter": filter}, {"choice": "accept", "filter": filter, "expectedCount": 2}} {
		if r := f.ask(store.RoleOperator, bulk, object{"in": in}); len(r.list("resolveCases", "userErrors")) != 1 || r.at("resolveCases", "decided") != 0.0 {
			t.Errorf("%v: %+v", in, r)
		}
	}
	r := f.ask(store.RoleOperator, bulk, object{"in": object{"ids": []string{cases[0], "case_none"}, "choice": "accept", "comment": "as they say"}})
	if r.at("resolveCases", "decided") != 1.0 || r.at("resolveCases", "failed") != 1.0 || r.at("resolveCases", "outcomes", 0, "decided") != true ||
		r.text("resolveCases", "outcomes", 1, "error", "code") != "NOT_FOUND" {
		t.Errorf("by ids: %+v", r)
	}
	r = f.ask(store.RoleOperator, bulk, object{"in": object{"filter": filter, "expectedCount": 2, "choice": "ignore", "remember": object{"pattern": "Boronia*Holdings*"}}})
	if r.at("resolveCases", "decided") != 2.0 {
		t.Errorf("by filter: %+v", r)
	}
	rules := f.ask(store.RoleReader, `query { caseRules { id text used createdBy } }`, nil)
	if len(rules.list("caseRules")) != 1 || rules.text("caseRules", 0, "text") == "" {
		t.Fatalf("rules: %+v", rules)
	}
	again := f.proposal(ids[1], "Boronia 7 Holdings Pty Ltd")
	of := f.ask(store.RoleReader, `query($id: ID!, $rule: ID!) { node(id: $id) { ... on Case { status ruleId timeline { action actor } } } cases(filter: {status: null, ruleId: $rule}) { nodes { id } } }`,
		object{"id": again, "rule": rules.text("caseRules", 0, "id")})
	if of.text("node", "status") != "RESOLVED" || of.text("cases", "nodes", 0, "id") != again || of.text("node", "timeline", 1, "action") != "resolved" {
		t.Errorf("answered by rule: %+v", of)
	}
	remove := `mutation($id: ID!) { removeCaseRule(input: {id: $id}) { rule { removedBy used } userErrors { code } } }`
	if r := f.ask(store.RoleOperator, remove, object{"id": rules.text("caseRules", 0, "id")}); r.text("removeCaseRule", "rule", "removedBy") == "" || r.at("removeCaseRule", "rule", "used") != 1.0 {
		t.Errorf("removed: %+v", r)
	}
	if r := f.ask(store.RoleOperator, remove, object{"id": "rule_none"}); r.text("removeCaseRule", "userErrors", 0, "code") != "NOT_FOUND" {
		t.Errorf("removed what is not: %+v", r)
	}
}

// Evidence and what a case holds up, as apps read them; only operators see what was sent to a vendor.
func TestCaseEvidence(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.customer("c1", "Dianella Pty Ltd")
	c := f.proposal(id, "Dianella Holdings Pty Ltd")
	query := `query($id: ID!) { node(id: $id) { ... on Case { holdsUp { total says items { name } }
		evidence { words common sent columns { label system externalId entityId } rows { field owner equal cells { value changedAt changedBy inForce owns } } } } } }`
	r := f.ask(store.RoleReader, query, object{"id": c})
	if r.text("node", "evidence", "rows", 0, "field") != "legalName" || r.text("node", "evidence", "rows", 0, "owner") != "accounting" || r.at("node", "evidence", "rows", 0, "equal") != false ||
		r.text("node", "evidence", "columns", 0, "label") != "in force" || r.at("node", "evidence", "rows", 0, "cells", 0, "inForce") != true ||
		r.text("node", "evidence", "rows", 0, "cells", 2, "value") != "Dianella Holdings Pty Ltd" || r.text("node", "evidence", "words") == "" {
		t.Errorf("evidence: %v", r.Data)
	}
	if r.at("node", "holdsUp", "total") != 0.0 || r.text("node", "holdsUp", "says") == "" {
		t.Errorf("holds up: %v", r.Data)
	}
	sent := `query($id: ID!) { node(id: $id) { ... on Case { evidence { exchange { id request } } } } }`
	if r := f.send(f.keys[store.RoleReader], sent, object{"id": c}); len(r.Errors) == 0 {
		t.Errorf("a reader sees what was sent: %v", r.Data)
	}
	if r := f.ask(store.RoleOperator, sent, object{"id": c}); r.at("node", "evidence", "exchange") != nil {
		t.Errorf("an exchange of what was never sent: %v", r.Data)
	}
}
