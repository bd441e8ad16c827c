package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"datum/adapters/sim"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

func byTest() change.Cause {
	return change.Cause{Actor: "test", Source: change.FromMutation, CorrelationID: domain.NewID("cor")}
}

// member is a member of a vendor's object.
func (r *rig) member(system, id, path string) string {
	r.t.Helper()
	typ, v, _ := r.vendor(system)
	os, err := v.Objects(typ)
	must(r.t, err)
	for _, o := range os {
		b, err := json.Marshal(o)
		must(r.t, err)
		if gjson.GetBytes(b, "id").String() == id || gjson.GetBytes(b, "ContactID").String() == id {
			return gjson.GetBytes(b, path).String()
		}
	}
	r.t.Fatalf("%s has no %s", system, id)
	return ""
}

// mapped applies a mapping document and returns its version.
func (r *rig) mapped(system string, base int64, doc string) int64 {
	r.t.Helper()
	v, parked, err := r.engine.ApplyMapping(context.Background(), change.MappingPublication{System: system, Source: doc, Base: base, Cause: byTest()})
	must(r.t, err)
	if parked != nil {
		r.t.Fatalf("a person is asked: %+v", parked)
	}
	return v
}

func (r *rig) applied(system string, version int64) {
	r.t.Helper()
	eventually(r.t, 30*time.Second, "stored objects are read anew", func() (bool, any) {
		vs, err := store.MappingVersions(context.Background(), r.pool, system)
		must(r.t, err)
		return vs[0].Version == version && vs[0].AppliedAt != nil, vs[0]
	})
}

// A field that the vendor has renamed is read and written under its new name once the business says so: what was parked goes
// through, the drift is over, and nothing was lost on the way.
func TestRenamedFieldIsMapped(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	var ids []string
	r := newRig(t, func(c *rigConfig) {
		c.seed = func(r *rig) {
			for i := range 3 {
				ids = append(ids, r.put("accounting", "", map[string]any{"Name": named(i), "TaxNumber": abn(i)}))
			}
		}
	})
	r.quiet(30 * time.Second)
	entity := func(i int) string {
		rec, err := store.RecordByID(ctx, r.pool, "accounting", domain.KindCustomer, ids[i])
		must(t, err)
		return rec.EntityID
	}
	_, err := r.xero.AddFault(sim.Fault{Kind: sim.FaultRename, Field: "TaxNumber", To: "TaxId", Path: "/Contacts"})
	must(t, err)
	for i := range 2 {
		r.put("accounting", ids[i], map[string]any{"EmailAddress": "new@" + named(i)[6:11] + ".example"})
	}
	eventually(t, 30*time.Second, "the drift is open", func() (bool, any) { return r.caseOf(store.CaseDrift, "abn") != nil, nil })
	_, err = r.engine.Applier().Edit(ctx, change.Edit{System: "accounting", Kind: domain.KindCustomer, EntityID: entity(0), Fields: domain.Values{"abn": domain.TextValue(abn(70))}, Cause: byTest()})
	must(t, err)

	const doc = "Customer:\n  fields: {abn: {path: TaxId}}\n"
	if w, err := r.engine.CheckMapping(ctx, "accounting", "Customer:\n  fields: {abn: {path: TaxIdd}}\n"); err != nil || len(w) != 1 || !strings.Contains(w[0], "TaxIdd") {
		t.Errorf("a path that nobody shows: %v %v", w, err)
	}
	if _, err := r.engine.CheckMapping(ctx, "accounting", "Customer:\n  fields:\n    colour: {path: TaxId}\n"); err == nil || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("a field that there is not: %v", err)
	}
	eff, err := r.engine.DiffMapping(ctx, "accounting", doc, nil)
	must(t, err)
	if eff.Records != 3 || len(eff.Warnings) != 0 || len(eff.Golden) != 0 {
		t.Errorf("tried out: %+v", eff)
	}
	v := r.mapped("accounting", 0, doc)
	if _, _, err := r.engine.ApplyMapping(ctx, change.MappingPublication{System: "accounting", Source: doc, Cause: byTest()}); domain.CodeOf(err) != domain.Conflict {
		t.Errorf("published from an older version: %v", err)
	}
	r.applied("accounting", v)
	eventually(t, 30*time.Second, "the case is closed", func() (bool, any) { c := r.caseOf(store.CaseDrift, "abn"); return c == nil, c })
	eventually(t, 30*time.Second, "what was parked is written under the new name", func() (bool, any) {
		s := r.member("accounting", ids[0], "TaxNumber") // the simulator's own word for it
		return strings.ReplaceAll(s, " ", "") == abn(70), s
	})
	r.put("accounting", ids[1], map[string]any{"TaxNumber": abn(71)})
	eventually(t, 30*time.Second, "an edit there is read under the new name", func() (bool, any) { v := r.golden(entity(1))["abn"].Text(); return v == abn(71), v })
	if got := r.golden(entity(2))["abn"].Text(); got != abn(2) {
		t.Errorf("one that was stored before: %q", got)
	}
}

// A custom field of the business's own is read from stored objects without a call, and written.
func TestCustomField(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	var id string
	r := newRig(t, func(c *rigConfig) {
		c.seed = func(r *rig) {
			req, err := http.NewRequest("POST", r.crmURL+"/crm/v3/properties/companies", strings.NewReader(
				`{"name":"sales_region","label":"Region","type":"string","fieldType":"text","groupName":"companyinformation"}`))
			must(r.t, err)
			req.Header.Set("Authorization", "Bearer "+r.crm.Credentials()["privateToken"])
			req.Header.Set("Content-Type", "application/json")
			resp, err := http.DefaultClient.Do(req)
			must(r.t, err)
			resp.Body.Close()
			id = r.put("crm", "", map[string]any{"name": "Wattle Pty Ltd", "sales_region": "NSW"})
		}
	})
	r.quiet(30 * time.Second)
	rec, err := store.RecordByID(ctx, r.pool, "crm", domain.KindCustomer, "companies/"+id)
	must(t, err)
	if r.caseOf(store.CaseDrift, "sales_region") == nil {
		t.Fatal("nobody is asked about the new property")
	}
	calls := r.crm.Stats().Requests
	const doc = "Customer:\n  custom:\n    region: {path: sales_region, type: text}\n  values:\n    status: {on hold: ARCHIVED}\n"
	eff, err := r.engine.DiffMapping(ctx, "crm", doc, nil)
	must(t, err)
	if eff.Values["customFields"] != 1 || eff.Golden["customFields"] != 1 || len(eff.Samples) != 1 || eff.Samples[0].To != `{"region":"NSW"}` {
		t.Errorf("tried out: %+v", eff)
	}
	if g := r.golden(rec.EntityID)["customFields"]; !g.Empty() {
		t.Errorf("trying it out has changed something: %s", g)
	}
	v := r.mapped("crm", 0, doc)
	r.applied("crm", v)
	if g := r.golden(rec.EntityID)["customFields"]; g != `{"region":"NSW"}` {
		t.Errorf("golden is %s", g)
	}
	if c := r.caseOf(store.CaseDrift, "sales_region"); c != nil {
		t.Errorf("the property is still unknown: %+v", c)
	}
	if now := r.crm.Stats().Requests; now > calls+20 { // polls go on
		t.Errorf("%d calls to read what is stored", now-calls)
	}
	_, err = r.engine.Applier().Edit(ctx, change.Edit{System: "ops", Kind: domain.KindCustomer, EntityID: rec.EntityID,
		Fields: domain.Values{"customFields": `{"region":"VIC"}`}, Cause: byTest()})
	must(t, err)
	eventually(t, 30*time.Second, "it is written", func() (bool, any) { s := r.member("crm", id, "properties.sales_region"); return s == "VIC", s })
}

// A vendor that comes to require a field refuses everything in its own words: the first few are asked about each, the others in one
// case that counts and names them. Each way out lets everything through and leaves no case: a default in the mapping document, or
// the vendor put right and one retry.
func TestVendorRequiresAField(t *testing.T) {
	t.Parallel()
	const n = 30
	for name, way := range map[string]func(t *testing.T, r *rig, gathered store.Case){
		"default": func(t *testing.T, r *rig, _ store.Case) {
			v := r.mapped("accounting", 0, "Customer:\n  defaults: {BankAccountDetails: none}\n")
			r.applied("accounting", v)
		},
		"retry": func(t *testing.T, r *rig, c store.Case) {
			r.xero.ClearFaults()
			d := change.Decision{CaseID: c.ID, Choice: change.ChoiceRetry, Cause: byTest()}
			p, err := r.engine.Applier().Preview(context.Background(), d)
			must(t, err)
			if len(p.Writes) != n || p.Writes[0].System != "accounting" || p.Writes[0].Name == "" {
				t.Errorf("the preview shows %d writes, such as %+v", len(p.Writes), p.Writes[:min(1, len(p.Writes))])
			}
			_, err = r.engine.Applier().Decide(context.Background(), d)
			must(t, err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			r := newRig(t)
			r.quiet(30 * time.Second)
			_, err := r.xero.AddFault(sim.Fault{Kind: sim.FaultRequire, Field: "BankAccountDetails", Path: "/Contacts"})
			must(t, err)
			ids := r.byOps(0, n)
			are := func(status store.ProjectionStatus) (k int) {
				ps, err := store.ProjectionsOf(ctx, r.pool, ids)
				must(t, err)
				for _, p := range ps {
					if p.System == "accounting" && p.Status == status {
						k++
					}
				}
				return k
			}
			cases := func() (gathered []store.Case, single int) {
				cs, err := store.ListCases(ctx, r.pool, store.CaseFilter{Status: "open"}, nil, "", 100)
				must(t, err)
				for _, c := range cs {
					if c.EntityID == "" {
						gathered = append(gathered, c)
					} else {
						single++
					}
				}
				return gathered, single
			}
			eventually(t, 60*time.Second, "all are refused", func() (bool, any) { return are(store.Refused) == n, are(store.Refused) })
			eventually(t, 30*time.Second, "one case counts them", func() (bool, any) {
				g, _ := cases()
				return len(g) == 1 && g[0].Title == fmt.Sprintf("accounting refuses %d Customers for the same reason", n), g
			})
			g, single := cases()
			if single < 5 || single > 10 || g[0].Kind != store.CaseRefused || !strings.Contains(g[0].Detail.Message, "BankAccountDetails is required") {
				t.Errorf("%d cases of their own, and %+v", single, g[0])
			}
			held, err := r.engine.Applier().HoldsUp(ctx, g[0], 20)
			must(t, err)
			if held.Total != n || len(held.Items) != 20 || held.Items[0].Name == "" || held.Items[0].Why != "is refused there" {
				t.Errorf("it holds up %+v", held)
			}
			for _, x := range change.Offered(g[0]) {
				if x.Name != change.ChoiceRetry && x.Name != change.ChoiceIgnore {
					t.Errorf("many at once cannot be answered with %s", x.Name)
				}
			}
			a, err := r.engine.Audit(ctx, "accounting", domain.KindCustomer)
			must(t, err)
			if len(a.Unlevel) > 0 {
				t.Errorf("no case explains %s", few(a.Unlevel))
			}
			way(t, r, g[0])
			eventually(t, 60*time.Second, "everything flows", func() (bool, any) {
				g, single := cases()
				return are(store.Confirmed) == n && len(g) == 0 && single == 0, fmt.Sprintf("%d level, %d cases, and %+v", are(store.Confirmed), single, g)
			})
			recs, err := store.RecordsOf(ctx, r.pool, ids)
			must(t, err)
			got := 0
			for _, rec := range recs {
				if rec.System == "accounting" {
					got++
					if s := r.member("accounting", rec.ExternalID, "BankAccountDetails"); name == "default" && s != "none" {
						t.Errorf("the bank account is %q", s)
					}
				}
			}
			if got != n {
				t.Errorf("%d of %d are there", got, n)
			}
		})
	}
}
