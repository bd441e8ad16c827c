package jobs_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"datum/adapters/cin7coresim"
	"datum/adapters/myobsim"
	"datum/adapters/shopifysim"
	"datum/adapters/sim"
	"datum/domain"
	"datum/domain/store"
	"datum/jobs"
)

// A vendor that renames a member of its customers, whichever it is: one case, golden keeps what it was, the ABN is not written to it
// while it does not show it, and when the name is back it is written and everything is level.
func TestEveryVendorRenamesAField(t *testing.T) {
	t.Parallel()
	type simulator interface {
		sim.Vendor
		Listen(addr string) (string, error)
		Close()
		AddFault(f sim.Fault) (int, error)
		ClearFaults()
	}
	for name, x := range map[string]struct {
		make     func() simulator
		typ      string
		member   string // that says the ABN
		other    string // another one, which a person edits
		settings map[string]string
	}{
		"shopify": {func() simulator {
			return shopifysim.New(shopifysim.Options{Seed: 1, HookScale: 0.0005, Restore: -1, SearchLag: -1, BulkTakes: time.Millisecond})
		}, "customer", "abn", "note", nil},
		"myob": {func() simulator {
			return myobsim.New(myobsim.Options{Seed: 1, Limits: myobsim.Limits{Second: -1, Day: -1}})
		}, "customers", "ABN", "Notes",
			map[string]string{"limit.second": "100000"}},
		"cin7core": {func() simulator { return cin7coresim.New(cin7coresim.Options{Seed: 1, HookScale: 0.0005, Limit: -1}) }, "customers", "TaxNumber", "Comments",
			map[string]string{"limit.minute": "100000"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			r := newRig(t, func(c *rigConfig) {
				c.policy = strings.NewReplacer("accounting: xero", "accounting: xero\n  third: "+name, "replicate: {crm: always, accounting: always}", "replicate: {crm: always, accounting: always, third: always}").Replace(c.policy)
			})
			v := x.make()
			t.Cleanup(v.Close)
			url, err := v.Listen("127.0.0.1:0")
			must(t, err)
			values := maps.Clone(v.Credentials())
			values["baseUrl"] = url
			if values["tokenPath"] != "" {
				values["tokenUrl"] = url + values["tokenPath"]
			}
			if values["businessId"] != "" {
				values["apiKey"] = values["clientId"]
			}
			maps.DeleteFunc(values, func(k, _ string) bool {
				return k == "tokenPath" || k == "authorizePath" || k == "scopes" || k == "tenant"
			})
			maps.Copy(values, x.settings)
			_, err = r.engine.Connect(ctx, "third", jobs.Connection{Values: values, Check: true})
			must(t, err)
			contact := r.put("accounting", "", map[string]any{"Name": "Hartley Plumbing Pty Ltd", "TaxNumber": abn(1), "EmailAddress": "jo@hartley.example"})
			entity, projection := "", func(id string) *store.Projection {
				ps, err := store.ProjectionsOf(ctx, r.pool, []string{id})
				must(t, err)
				i := slices.IndexFunc(ps, func(p *store.Projection) bool { return p.System == "third" })
				if i < 0 {
					return nil
				}
				return ps[i]
			}
			eventually(t, 30*time.Second, "it is in the third system", func() (bool, any) {
				rec, err := store.RecordByID(ctx, r.pool, "accounting", domain.KindCustomer, contact)
				must(t, err)
				if rec == nil || rec.EntityID == "" {
					return false, "not here yet"
				}
				entity = rec.EntityID
				p := projection(entity)
				return p != nil && p.Status == store.Confirmed && p.ExternalID != "", p
			})
			shown := func() *store.Record {
				recs, err := store.RecordsOf(ctx, r.pool, []string{entity})
				must(t, err)
				return recs[slices.IndexFunc(recs, func(x *store.Record) bool { return x.System == "third" })]
			}
			id := shown().ExternalID
			touch := func(text string) {
				_, err := v.Put(x.typ, id, map[string]any{x.other: text})
				must(t, err)
			}
			drifts := func(status string) []store.Drift {
				ds, err := store.Drifts(ctx, r.pool, store.DriftFilter{System: "third", Sort: store.DriftMissing, Status: []string{status}}, [4]string{}, 10)
				must(t, err)
				return ds
			}

			_, err = v.AddFault(sim.Fault{Kind: sim.FaultRename, Field: x.member, To: "taxIdentifier"})
			must(t, err)
			touch("spoke with Jo")
			eventually(t, 30*time.Second, "the drift is open", func() (bool, any) {
				ds := drifts(store.DriftOpen)
				return len(ds) == 1 && ds[0].Field == "abn" && ds[0].CaseID != "", ds
			})
			if got := r.golden(entity)["abn"].Text(); got != abn(1) || r.caseOf(store.CaseDrift, "abn") == nil {
				t.Errorf("golden ABN is %q and was %q", got, abn(1))
			}
			r.put("accounting", contact, map[string]any{"TaxNumber": abn(2)})
			eventually(t, 30*time.Second, "the ABN that would be written waits", func() (bool, any) {
				p := projection(entity)
				return p.Status == store.Parked && p.ErrorCode == domain.Drift && r.golden(entity)["abn"].Text() == abn(2), p
			})

			v.ClearFaults()
			touch("spoke with Jo again")
			eventually(t, 30*time.Second, "the name is back and everything is level", func() (bool, any) {
				p := projection(entity)
				return len(drifts(store.DriftOpen)) == 0 && p.Status == store.Confirmed && shown().Values["abn"].Text() == abn(2), p
			})
			if c := r.caseOf(store.CaseDrift, "abn"); c != nil {
				t.Errorf("the case is still open: %+v", c)
			}
		})
	}
}
