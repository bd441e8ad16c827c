package graph_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
	"datum/graph"
)

// A search for duplicates is begun, watched, read page by page and cancelled over the API.
func TestDuplicateScan(t *testing.T) {
	t.Parallel()
	f := setup(t)
	quiet := strings.Replace(ownership.DefaultSource(), "match: {ask: 0.8}", "match: {}", 1) // nobody is asked while records stream in
	if _, err := f.changes.Publish(t.Context(), 1, quiet, change.Surroundings{Schema: graph.Schema()}, change.Cause{Actor: "setup"}); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"Grevillea Nursery Pty Ltd", "Grevilea Nursery", "Grevillea Nursery"} {
		f.record("crm", fmt.Sprint(i), time.Now().Add(-time.Hour), map[domain.Field]any{"kind": "BUSINESS", "legalName": name, "phone": "+61295550101"})
	}
	const fields = `{ id kind dryRun ask perSecond status actor total compared found eta pairs(first: 2) { nodes { entityId otherId score reasons decision
		entity { id } other { id } case { id kind } } pageInfo { hasNextPage endCursor } } }`
	scan := `mutation($in: ScanDuplicatesInput!) { scanDuplicates(input: $in) { scan ` + fields + ` userErrors { code message } } }`
	for code, in := range map[string]object{"INVALID": {"kind": "LOCATION"}, "INVALID ": {"ask": 1.5}, "INVALID  ": {"perSecond": -1}} {
		if r := f.ask(store.RoleOperator, scan, object{"in": in}); r.text("scanDuplicates", "userErrors", 0, "code") != code[:7] || r.at("scanDuplicates", "scan") != nil {
			t.Errorf("%v: %v", in, r.Data)
		}
	}
	if r := f.send(f.keys[store.RoleEditor], scan, map[string]any{"in": object{}}); len(r.Errors) == 0 {
		t.Errorf("an editor may search: %v", r.Data)
	}
	r := f.ask(store.RoleOperator, scan, object{"in": object{"dryRun": true}})
	id := r.text("scanDuplicates", "scan", "id")
	if id == "" || r.text("scanDuplicates", "scan", "status") != "RUNNING" || r.at("scanDuplicates", "scan", "total") != 3.0 || r.text("scanDuplicates", "scan", "kind") != "CUSTOMER" {
		t.Fatalf("begun: %v", r.Data)
	}
	if r := f.ask(store.RoleOperator, scan, object{"in": object{}}); r.text("scanDuplicates", "userErrors", 0, "code") != "CONFLICT" {
		t.Errorf("two at once: %v", r.Data)
	}
	if _, err := f.changes.RunScan(t.Context(), id, "", 0, nil); err != nil {
		t.Fatal(err)
	}
	one := `query($id: ID!) { duplicateScan(id: $id) ` + fields + ` }`
	r = f.ask(store.RoleOperator, one, object{"id": id})
	first := r.list("duplicateScan", "pairs", "nodes")
	if r.text("duplicateScan", "status") != "DONE" || r.at("duplicateScan", "compared") != 3.0 || r.at("duplicateScan", "found") != 3.0 || len(first) != 2 ||
		r.at("duplicateScan", "pairs", "pageInfo", "hasNextPage") != true || r.text("duplicateScan", "pairs", "nodes", 0, "decision") != "ASK" ||
		r.text("duplicateScan", "pairs", "nodes", 0, "entity", "id") != r.text("duplicateScan", "pairs", "nodes", 0, "entityId") ||
		r.at("duplicateScan", "pairs", "nodes", 0, "case") != nil || len(r.list("duplicateScan", "pairs", "nodes", 0, "reasons")) == 0 {
		t.Fatalf("a dry run: %v", r.Data)
	}
	page := `query($id: ID!, $after: String) { duplicateScan(id: $id) { pairs(after: $after) { nodes { entityId otherId } pageInfo { hasNextPage } } } }`
	rest := f.ask(store.RoleOperator, page, object{"id": id, "after": r.text("duplicateScan", "pairs", "pageInfo", "endCursor")})
	if n := rest.list("duplicateScan", "pairs", "nodes"); len(n) != 1 || rest.at("duplicateScan", "pairs", "pageInfo", "hasNextPage") != false {
		t.Errorf("the second page: %v", rest.Data)
	}
	if r := f.ask(store.RoleOperator, `query { cases { nodes { id } } }`, nil); len(r.list("cases", "nodes")) != 0 {
		t.Errorf("a dry run has opened cases: %v", r.Data)
	}

	id = f.ask(store.RoleOperator, scan, object{"in": object{}}).text("scanDuplicates", "scan", "id")
	if _, err := f.changes.RunScan(t.Context(), id, "", 0, nil); err != nil {
		t.Fatal(err)
	}
	r = f.ask(store.RoleOperator, one, object{"id": id})
	c := r.text("duplicateScan", "pairs", "nodes", 0, "case", "id")
	if c == "" || r.text("duplicateScan", "pairs", "nodes", 0, "case", "kind") != "POSSIBLE_DUPLICATE" {
		t.Fatalf("no case: %v", r.Data)
	}
	if _, err := f.changes.Decide(t.Context(), change.Decision{CaseID: c, Choice: change.ChoiceDifferent, Cause: change.Cause{Actor: "test"}}); err != nil {
		t.Fatal(err)
	}
	if r := f.ask(store.RoleOperator, one, object{"id": id}); r.text("duplicateScan", "pairs", "nodes", 0, "decision") != "DIFFERENT" {
		t.Errorf("decided: %v", r.Data)
	}

	id = f.ask(store.RoleOperator, scan, object{"in": object{}}).text("scanDuplicates", "scan", "id")
	cancel := `mutation($id: ID!) { cancelDuplicateScan(input: {id: $id}) { scan { status endedBy } userErrors { code } } }`
	if r := f.ask(store.RoleOperator, cancel, object{"id": id}); r.text("cancelDuplicateScan", "scan", "status") != "CANCELLED" || r.text("cancelDuplicateScan", "scan", "endedBy") == "" {
		t.Errorf("cancelled: %v", r.Data)
	}
	if r := f.ask(store.RoleOperator, cancel, object{"id": id}); r.text("cancelDuplicateScan", "userErrors", 0, "code") != "CONFLICT" || r.text("cancelDuplicateScan", "scan", "status") != "CANCELLED" {
		t.Errorf("cancelled twice: %v", r.Data)
	}
	if r := f.ask(store.RoleOperator, cancel, object{"id": "scan_none"}); r.text("cancelDuplicateScan", "userErrors", 0, "code") != "NOT_FOUND" {
		t.Errorf("cancelled what is not: %v", r.Data)
	}
	if r := f.ask(store.RoleOperator, `query { duplicateScans { id status } duplicateScan(id: "scan_none") { id } }`, nil); len(r.list("duplicateScans")) != 3 || r.at("duplicateScan") != nil {
		t.Errorf("the list: %v", r.Data)
	}
}
