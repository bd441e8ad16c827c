package graph_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/adapters/all"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
	"datum/graph"
	"datum/internal/vault"
	"datum/jobs"
)

// mappingSetup is an API that knows the vendors, with customers in the CRM of whom a property is stored that nobody maps. The brake
// lets five of them change at once.
func mappingSetup(t *testing.T, customers int) *fixture {
	t.Helper()
	f := setup(t, func(c *graph.Config) {
		v, err := vault.Parse("test:" + base64.StdEncoding.EncodeToString(make([]byte, 32)))
		if err != nil {
			t.Fatal(err)
		}
		e, err := jobs.New(jobs.Config{Pool: c.Pool, Sealer: v, Vendors: all.Vendors()}, false)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = e.Stop(context.Background()) })
		c.Mappings, c.Changes = e, e.Applier()
	})
	policy := strings.Replace(ownership.DefaultSource(), "\nCustomer:", "\nbrake:\n  in: {count: 5, share: 10%, window: 1h}\n\nCustomer:", 1)
	if _, err := f.changes.Publish(t.Context(), 1, policy, change.Surroundings{Schema: graph.Schema()}, change.Cause{Actor: "setup"}); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Hour)
	for i := range customers {
		r := domain.Record{Kind: domain.KindCustomer, ExternalID: fmt.Sprintf("companies/%d", i), ModifiedAt: at, FetchedAt: at, Version: "1",
			Values: domain.Values{"kind": domain.TextValue("BUSINESS"), "legalName": domain.TextValue(fmt.Sprintf("Hakea %d Pty Ltd", i))},
			Raw:    json.RawMessage(fmt.Sprintf(`{"id":"%d","properties":{"name":"Hakea %d Pty Ltd","sales_region":"NSW"}}`, i, i))}
		if _, err := f.changes.Record(t.Context(), incoming("crm", r)); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

const (
	regions    = "Customer:\n  custom:\n    region: {path: sales_region, type: text}\n"
	askPreview = `query($in: PreviewMappingInput!) { previewMapping(input: $in) { id version records warnings tooMuch cases problems { line path message } values { name count }
		golden { name count } writes { name count } goldenExamples { name field to } examples { externalId field from to } userErrors { code message } } }`
	askApply = `mutation($in: ApplyMappingInput!) { applyMapping(input: $in) { mapping { document { version source appliedBy } parkedBy { id } }
		parkedBy { id kind title detail options { name effect } } userErrors { code message } } }`
	askMapping = `query { mapping(system: "crm") { document { version source } parkedBy { id } kinds(kind: CUSTOMER) { kind object idField
		fields { field paths writable overridden parkedBy { sort path caseId } } custom { name path type writable } defaults ignored } } }`
)

// A mapping document is tried out, and applied exactly as it was shown; without that a person is asked if it would change much.
// Two people cannot write over one another.
func TestMappingOverTheAPI(t *testing.T) {
	t.Parallel()
	const n = 12
	f := mappingSetup(t, n)
	preview := func(doc string) reply {
		t.Helper()
		return f.ask(store.RoleAdmin, askPreview, object{"in": object{"system": "crm", "document": doc}})
	}
	apply := func(in object) reply {
		t.Helper()
		in["system"] = "crm"
		return f.ask(store.RoleAdmin, askApply, object{"in": in})
	}
	inForce := func() any {
		t.Helper()
		return f.ask(store.RoleOperator, askMapping, nil).at("mapping", "document", "version")
	}
	decide := func(id, choice string) {
		t.Helper()
		r := f.ask(store.RoleOperator, `mutation($in: ResolveCaseInput!) { resolveCase(input: $in) { case { status } userErrors { message } } }`, object{"in": object{"id": id, "choice": choice}})
		if r.text("resolveCase", "case", "status") != "RESOLVED" {
			t.Fatalf("%s: %+v", choice, r)
		}
	}

	if r := f.send(f.keys[store.RoleOperator], askPreview, map[string]any{"in": object{"system": "crm", "document": regions}}); len(r.Errors) == 0 {
		t.Errorf("an operator may try out mappings: %v", r.Data)
	}
	p := preview("Customer:\n  fields:\n    colour: {path: sales_region}\n")
	if p.at("previewMapping", "problems", 0, "line") != 3.0 || p.text("previewMapping", "problems", 0, "path") != "Customer.fields.colour" || p.at("previewMapping", "id") != nil {
		t.Errorf("a field that there is not: %v", p.Data)
	}
	if p := f.ask(store.RoleAdmin, askPreview, object{"in": object{"system": "ops", "document": regions}}); p.text("previewMapping", "userErrors", 0, "code") != "UNSUPPORTED" {
		t.Errorf("a system without a mapping: %v", p.Data)
	}

	p = preview(regions)
	id := p.text("previewMapping", "id")
	if id == "" || p.at("previewMapping", "version") != 0.0 || p.at("previewMapping", "records") != float64(n) || p.text("previewMapping", "values", 0, "name") != "customFields" ||
		p.at("previewMapping", "golden", 0, "count") != float64(n) || len(p.list("previewMapping", "examples")) != n || len(p.list("previewMapping", "tooMuch")) != 1 ||
		!strings.Contains(p.text("previewMapping", "goldenExamples", 0, "name"), "Hakea") {
		t.Errorf("tried out: %v", p.Data)
	}

	r := apply(object{"document": regions, "expectedVersion": 0})
	c := r.text("applyMapping", "parkedBy", "id")
	if c == "" || r.text("applyMapping", "mapping", "parkedBy", "id") != c || r.text("applyMapping", "parkedBy", "kind") != "MASS_CHANGE" || inForce() != nil ||
		!strings.Contains(r.text("applyMapping", "parkedBy", "options", 0, "effect"), "put in force") {
		t.Fatalf("it is in force unseen: %v", r.Data)
	}
	ahead := f.ask(store.RoleOperator, `query($in: ResolveCaseInput!) { previewCase(input: $in) { moreGolden golden { name field from to } ends { id } } }`, object{"in": object{"id": c, "choice": "approve"}})
	if len(ahead.list("previewCase", "golden")) != n || ahead.at("previewCase", "moreGolden") != false || ahead.text("previewCase", "ends", 0, "id") != c || inForce() != nil {
		t.Errorf("the preview of the case: %v", ahead.Data)
	}
	decide(c, "reject")
	if r := f.ask(store.RoleOperator, askMapping, nil); r.at("mapping", "parkedBy") != nil || r.at("mapping", "document") != nil {
		t.Errorf("after the rejection: %v", r.Data)
	}

	for _, in := range []object{
		{"document": regions, "expectedVersion": 3},
		{"document": regions, "expectedVersion": 3, "preview": id},
		{"document": regions + "    # changed since\n", "expectedVersion": 0, "preview": id},
	} {
		if r := apply(in); r.text("applyMapping", "userErrors", 0, "code") != "CONFLICT" || inForce() != nil {
			t.Errorf("%v: %v", in, r.Data)
		}
	}
	if r := apply(object{"document": regions, "expectedVersion": 0, "preview": "mpv_none"}); r.text("applyMapping", "userErrors", 0, "code") != "NOT_FOUND" {
		t.Errorf("a preview that there is not: %v", r.Data)
	}
	parked := apply(object{"document": regions, "expectedVersion": 0}).text("applyMapping", "parkedBy", "id")
	r = apply(object{"document": regions, "expectedVersion": 0, "preview": id})
	if r.at("applyMapping", "mapping", "document", "version") != 1.0 || r.text("applyMapping", "mapping", "document", "source") != regions || !strings.HasPrefix(r.text("applyMapping", "mapping", "document", "appliedBy"), "key:") {
		t.Fatalf("applied as shown: %v", r.Data)
	}
	if r := f.ask(store.RoleReader, `query($id: ID!) { node(id: $id) { ... on Case { status resolution } } }`, object{"id": parked}); r.text("node", "status") != "CLOSED" {
		t.Errorf("the case about it stays open: %v", r.Data)
	}
	if r := apply(object{"document": "", "expectedVersion": 0}); r.text("applyMapping", "userErrors", 0, "code") != "CONFLICT" {
		t.Errorf("somebody has written over the first: %v", r.Data)
	}
	if r := apply(object{"document": regions + "  ignore: [colour]\n", "expectedVersion": 1}); r.at("applyMapping", "parkedBy") == nil {
		t.Errorf("nothing has been read anew yet, and nobody is asked: %v", r.Data)
	} else {
		decide(r.text("applyMapping", "parkedBy", "id"), "approve")
	}
	if v := inForce(); v != 2.0 {
		t.Errorf("after the approval version %v is in force", v)
	}

	if err := store.Transact(t.Context(), f.pool, func(tx pgx.Tx) error {
		_, err := store.NoteDrift(t.Context(), tx, store.Drift{System: "crm", Kind: domain.KindCustomer, Sort: store.DriftMissing, Path: "phone", Field: "phone", Status: store.DriftOpen, Parks: true})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	r = f.ask(store.RoleOperator, askMapping, nil)
	if r.text("mapping", "kinds", 0, "custom", 0, "path") != "sales_region" || r.text("mapping", "kinds", 0, "ignored", 0) != "colour" || len(r.list("mapping", "kinds")) != 1 {
		t.Errorf("the table: %v", r.at("mapping", "kinds"))
	}
	for i := range r.list("mapping", "kinds", 0, "fields") {
		field := r.text("mapping", "kinds", 0, "fields", i, "field")
		if over := r.at("mapping", "kinds", 0, "fields", i, "overridden"); over != (field == "customFields") {
			t.Errorf("%s is overridden: %v", field, over)
		}
		if parked := r.at("mapping", "kinds", 0, "fields", i, "parkedBy") != nil; parked != (field == "phone") {
			t.Errorf("%s is parked: %v", field, parked)
		}
	}
	if r := f.ask(store.RoleOperator, `query { mapping(system: "nowhere") { vendor } }`, nil); r.at("mapping") != nil {
		t.Errorf("a system that there is not: %v", r.Data)
	}
}
