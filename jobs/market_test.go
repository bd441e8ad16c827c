package jobs_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"datum/adapters/cin7coresim"
	"datum/adapters/myobsim"
	"datum/adapters/shopifysim"
	"datum/adapters/sim"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/jobs"
)

// simulator is what the tests need of each simulated vendor.
type simulator interface {
	Listen(addr string) (string, error)
	Close()
	Credentials() map[string]string
	Stats() sim.Stats
	Objects(typ string) ([]any, error)
	Put(typ, id string, properties map[string]any) (any, error)
	Delete(typ, id string) error
}

// market is a rig with all five vendors, under the demo's policy.
type market struct {
	*rig
	shop   *shopifysim.Sim
	stock  *cin7coresim.Sim
	branch *myobsim.Sim
}

// marketPolicy is the demo's without its database.
func marketPolicy(t testing.TB) string {
	b, err := os.ReadFile("../internal/demo/policy.yaml")
	must(t, err)
	return strings.NewReplacer("  database: sqldb\n", "", ", database: always", "").Replace(string(b))
}

func newMarket(t testing.TB, edits ...func(policy string) string) *market {
	t.Helper()
	policy := marketPolicy(t)
	for _, f := range edits {
		policy = f(policy)
	}
	m := &market{shop: shopifysim.New(shopifysim.Options{Seed: 1, HookScale: 0.0005, Restore: -1, SearchLag: -1, BulkTakes: time.Millisecond}),
		stock:  cin7coresim.New(cin7coresim.Options{Seed: 1, Limit: -1}),
		branch: myobsim.New(myobsim.Options{Seed: 1, Limits: myobsim.Limits{Second: -1, Day: -1}})}
	m.rig = newRig(t, func(c *rigConfig) { c.policy = policy })
	const other = "Other"
	for _, name := range []string{"Shipping", "Discount", "Rounding", "Miscellaneous"} {
		_, err := m.stock.Put("products", "", values{"SKU": name, "Name": name, "Type": "Service"})
		must(t, err)
	}
	_, err := m.branch.Put("items", "", values{"Number": other, "Name": other, "IsSold": true})
	must(t, err)
	places, err := m.shop.Objects("location")
	must(t, err)
	_, err = m.shop.Put("location", plain(places[0])["id"].(string), values{"name": "Main Warehouse"})
	must(t, err)
	for system, s := range map[string]simulator{"shop": m.shop, "warehouse": m.stock, "branch": m.branch} {
		t.Cleanup(s.Close)
		url, err := s.Listen("127.0.0.1:0")
		must(t, err)
		creds := s.Credentials()
		v := map[string]string{"baseUrl": url, "tokenUrl": url + creds["tokenPath"]}
		for _, k := range []string{"clientId", "clientSecret", "accessToken", "refreshToken", "webhookKey", "businessId", "accountId", "shop"} {
			if creds[k] != "" {
				v[k] = creds[k]
			}
		}
		if system == "branch" {
			maps.Copy(v, map[string]string{"apiKey": creds["clientId"], "otherItem": other, "purchaseAccount": "5-1000", "stockAccount": "1-1320", "depositAccount": "1-1110", "limit.second": "1000", "limit.day": "100000"})
		}
		if system == "warehouse" {
			v["limit.minute"] = "100000"
		}
		_, err = m.engine.Connect(context.Background(), system, jobs.Connection{Values: v, Check: true})
		must(t, err)
	}
	must(t, m.shop.SetWebhook(context.Background(), m.web.URL+"/webhooks/shop"))
	m.calm()
	cs, err := store.ListCases(context.Background(), m.pool, store.CaseFilter{Status: "open"}, nil, "", 10)
	must(t, err)
	for _, c := range cs { // MYOB's item for lines without a product is nobody's
		_, err := m.engine.Applier().Decide(context.Background(), change.Decision{CaseID: c.ID, Choice: change.ChoiceIgnore, Cause: causeOf("bookkeeper")})
		must(t, err)
	}
	return m
}

func (m *market) sims() map[string]simulator {
	return map[string]simulator{"crm": m.crm, "accounting": m.xero, "shop": m.shop, "warehouse": m.stock, "branch": m.branch}
}

// calm waits until every vendor has been read completely and nothing waits.
func (m *market) calm() {
	m.t.Helper()
	eventually(m.t, 60*time.Second, "all systems have been read", func() (bool, any) {
		ready, err := store.ReadySystems(context.Background(), m.pool, domain.KindProduct)
		must(m.t, err)
		return len(ready) == 5, ready
	})
	eventually(m.t, 60*time.Second, "calm", func() (bool, any) {
		told := m.shop.Stats().Webhooks.Pending + m.crm.Stats().Webhooks.Pending + m.xero.Stats().Webhooks.Pending
		s, busy := m.state()
		return !busy && told == 0, fmt.Sprintf("%d webhooks, %+v, %v", told, s, m.openCases())
	})
}

// sweep compares a kind of a system completely, and waits for what that brings.
func (m *market) sweep(system string, kinds ...domain.Kind) {
	m.t.Helper()
	since := time.Now()
	for _, k := range kinds {
		_, err := m.engine.Client().Insert(context.Background(), jobs.SweepArgs{System: system, Of: k}, &river.InsertOpts{Queue: "in_" + system})
		must(m.t, err)
	}
	for _, k := range kinds {
		eventually(m.t, 60*time.Second, "a sweep of "+string(k)+" in "+system, func() (bool, any) {
			ok, err := m.engine.SweptSince(context.Background(), system, k, since)
			must(m.t, err)
			return ok, nil
		})
	}
	m.calm()
}

// external returns the id of a system's record of an entity, without a prefix that tells types apart.
func (r *rig) external(system, id string) string {
	r.t.Helper()
	recs, err := store.RecordsOf(context.Background(), r.pool, []string{id})
	must(r.t, err)
	for _, x := range recs {
		if x.System == system {
			if _, after, ok := strings.Cut(x.ExternalID, "/"); ok {
				return after
			}
			return x.ExternalID
		}
	}
	r.t.Fatalf("%s has no record in %s: %v", id, system, r.openCases())
	return ""
}
