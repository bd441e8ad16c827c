package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"datum/adapters/sim"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

func (r *rig) caseOf(kind string, field domain.Field) *store.Case {
	r.t.Helper()
	cs, err := store.ListCases(context.Background(), r.pool, store.CaseFilter{Status: "open", Kind: kind}, nil, "", 10)
	must(r.t, err)
	cs = slices.DeleteFunc(cs, func(c store.Case) bool { return c.Field != field })
	if len(cs) > 1 {
		r.t.Fatalf("%d open cases of %s: %+v", len(cs), kind, cs)
	}
	if len(cs) == 0 {
		return nil
	}
	return &cs[0]
}

func (r *rig) golden(id string) domain.Values {
	r.t.Helper()
	es, err := store.Entities(context.Background(), r.pool, []string{id})
	must(r.t, err)
	return es[0].Golden
}

// shape is a drift that a simulator is told to show.
type shape struct {
	system string
	fault  sim.Fault
	field  domain.Field
	member string // the vendor's word for the field
	sort   string
}

func (r *rig) vendor(system string) (typ string, v sim.Vendor, s *sim.Server) {
	if system == "crm" {
		return "companies", r.crm, r.crm.Server
	}
	return "contacts", r.xero, r.xero.Server
}

// put is a person editing in the vendor's screen; it returns the object's id.
func (r *rig) put(system, id string, properties map[string]any) string {
	r.t.Helper()
	typ, v, _ := r.vendor(system)
	o, err := v.Put(typ, id, properties)
	must(r.t, err)
	b, err := json.Marshal(o)
	must(r.t, err)
	if system == "crm" {
		return gjson.GetBytes(b, "id").String()
	}
	return gjson.GetBytes(b, "ContactID").String()
}

// Whatever a vendor does to a field that Datum reads, golden keeps what it said last, a person is told once, nothing that says
// the field is written to the vendor, and when the field is back everything goes on by itself.
func TestFieldChangesShape(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]shape{
		"hubspot renames": {system: "crm", fault: sim.Fault{Kind: sim.FaultRename, Field: "phone", To: "phone_number"}, field: "phone", member: "phone", sort: store.DriftMissing},
		"hubspot retypes": {system: "crm", fault: sim.Fault{Kind: sim.FaultRetype, Field: "phone", To: "object"}, field: "phone", member: "phone", sort: store.DriftType},
		"xero renames":    {system: "accounting", fault: sim.Fault{Kind: sim.FaultRename, Field: "TaxNumber", To: "TaxId", Path: "/Contacts"}, field: "abn", member: "TaxNumber", sort: store.DriftMissing},
		"xero drops":      {system: "accounting", fault: sim.Fault{Kind: sim.FaultOmit, Field: "TaxNumber", Path: "/Contacts"}, field: "abn", member: "TaxNumber", sort: store.DriftMissing},
		"xero retypes":    {system: "accounting", fault: sim.Fault{Kind: sim.FaultRetype, Field: "TaxNumber", To: "list", Path: "/Contacts"}, field: "abn", member: "TaxNumber", sort: store.DriftType},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			said := func(i int) string {
				if x.field == "abn" {
					return abn(i)
				}
				return fmt.Sprintf("+6129999000%d", i)
			}
			names := map[string]string{"crm": "name", "accounting": "Name"}
			var vendorIDs []string
			r := newRig(t, func(c *rigConfig) {
				c.seed = func(r *rig) {
					for i := range 3 {
						vendorIDs = append(vendorIDs, r.put(x.system, "", map[string]any{names[x.system]: named(i), x.member: said(i)}))
					}
				}
			})
			r.quiet(20 * time.Second)
			entity := func(i int) string {
				rec, err := store.RecordByID(ctx, r.pool, x.system, domain.KindCustomer, map[string]string{"crm": "companies/"}[x.system]+vendorIDs[i])
				must(t, err)
				return rec.EntityID
			}
			touch := func(k int, which ...int) {
				for _, i := range which {
					r.put(x.system, vendorIDs[i], map[string]any{map[string]string{"crm": "website", "accounting": "EmailAddress"}[x.system]: fmt.Sprintf("a%d@shape%d.example", k, i)})
				}
			}
			kept := func(when string, which ...int) {
				t.Helper()
				for _, i := range which {
					if got := r.golden(entity(i))[x.field].Text(); got != said(i) {
						t.Errorf("%s: golden %s of %d is %q and was %q", when, x.field, i, got, said(i))
					}
				}
			}
			kept("before", 0, 1, 2)
			drift := func() *store.Drift {
				ds, err := store.Drifts(ctx, r.pool, store.DriftFilter{System: x.system, Sort: x.sort}, [4]string{}, 10)
				must(t, err)
				for _, d := range ds {
					if d.Field == x.field {
						return &d
					}
				}
				return nil
			}
			_, _, server := r.vendor(x.system)
			_, err := server.AddFault(x.fault)
			must(t, err)
			touch(1, 0, 1)
			eventually(t, 20*time.Second, "the drift is open", func() (bool, any) { d := drift(); return d != nil && d.Status == store.DriftOpen && d.CaseID != "", d })
			r.settled(20 * time.Second)
			kept("while it is different", 0, 1, 2)
			if c := r.caseOf(store.CaseDrift, x.field); c == nil {
				t.Error("there is no case")
			}

			other := map[domain.Field]string{"abn": abn(77), "phone": "+61299990077"}[x.field]
			_, err = r.engine.Applier().Edit(ctx, change.Edit{System: x.system, Kind: domain.KindCustomer, EntityID: entity(0), Fields: domain.Values{x.field: domain.TextValue(other)},
				Cause: change.Cause{Actor: "test", Source: change.FromMutation, CorrelationID: domain.NewID("cor")}})
			must(t, err)
			projection := func() *store.Projection {
				ps, err := store.ProjectionsOf(ctx, r.pool, []string{entity(0)})
				must(t, err)
				for _, p := range ps {
					if p.System == x.system {
						return p
					}
				}
				return nil
			}
			eventually(t, 10*time.Second, "what would write the field is parked", func() (bool, any) {
				p := projection()
				return p != nil && p.Status == store.Parked && p.ErrorCode == domain.Drift, p
			})

			server.ClearFaults()
			touch(2, 0, 1, 2)
			eventually(t, 20*time.Second, "the drift is gone", func() (bool, any) { d := drift(); return d.Status == store.DriftGone, d })
			eventually(t, 20*time.Second, "what was parked is written", func() (bool, any) { p := projection(); return p.Status == store.Confirmed, p })
			if c := r.caseOf(store.CaseDrift, x.field); c != nil {
				t.Errorf("the case is still open: %+v", c)
			}
			kept("after", 1, 2)
			if got := r.golden(entity(0))[x.field].Text(); got != other {
				t.Errorf("the edit that was parked: golden is %q, not %q", got, other)
			}

			// Somebody who clears the field means it.
			r.put(x.system, vendorIDs[1], map[string]any{x.member: ""})
			eventually(t, 20*time.Second, "a cleared field is cleared", func() (bool, any) { v := r.golden(entity(1))[x.field]; return v.Empty(), v })
		})
	}
}

// settled waits until no signal is pending.
func (r *rig) settled(within time.Duration) {
	r.t.Helper()
	eventually(r.t, within, "settled", func() (bool, any) {
		in, err := store.Inboxes(context.Background(), r.pool)
		must(r.t, err)
		n := r.crm.Stats().Webhooks.Pending + r.xero.Stats().Webhooks.Pending
		for _, i := range in {
			n += int(i.Pending)
		}
		return n == 0, n
	})
}

// What a vendor says about the end of its API is a case, once for each endpoint, and over when it says so no more.
func TestSunsetIsACase(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rigConfig) { c.noHooks = true })
	r.quiet(30 * time.Second)
	_, err := r.xero.AddFault(sim.Fault{Kind: sim.FaultHeader, Path: "/Contacts", Header: map[string]string{"Sunset": "Wed, 11 Nov 2026 23:59:59 GMT", "Deprecation": "@1688169599"}})
	must(t, err)
	drifts := func(status string) []store.Drift {
		ds, err := store.Drifts(context.Background(), r.pool, store.DriftFilter{System: "accounting", Status: []string{status}}, [4]string{}, 10)
		must(t, err)
		return ds
	}
	eventually(t, 30*time.Second, "two drifts", func() (bool, any) { ds := drifts(store.DriftOpen); return len(ds) == 2, ds })
	for _, d := range drifts(store.DriftOpen) {
		if d.Path != "/api.xro/2.0/Contacts" || d.Kind != "" || d.CaseID == "" {
			t.Errorf("%+v", d)
		}
		c, err := store.CaseByID(context.Background(), r.pool, d.CaseID, false)
		must(t, err)
		if c.Status != "open" || d.Sort == store.DriftSunset && !strings.Contains(c.Title, "2026-11-11") {
			t.Errorf("%s %s", c.Status, c.Title)
		}
	}
	r.xero.ClearFaults()
	eventually(t, 30*time.Second, "they are gone", func() (bool, any) { return len(drifts(store.DriftGone)) == 2, drifts(store.DriftOpen) })
	cs, err := store.ListCases(context.Background(), r.pool, store.CaseFilter{Status: "open", Kind: store.CaseDrift}, nil, "", 10)
	must(t, err)
	if len(cs) > 0 {
		t.Errorf("open cases: %+v", cs)
	}
}
