package jobs_test

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"datum/adapters/shopifysim"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/jobs"
)

// withShop is a rig with a shop whose customers go everywhere, and what else the policy says.
func withShop(t *testing.T, policy string) (*rig, *shopifysim.Sim) {
	t.Helper()
	r := newRig(t, func(c *rigConfig) {
		c.sweep = 2 * time.Second
		c.policy = strings.NewReplacer("accounting: xero", "accounting: xero\n  shop: shopify", "create: [crm, accounting, ops]", "create: [crm, accounting, ops, shop]",
			"replicate: {crm: always, accounting: always}", "replicate: {crm: always, accounting: always, shop: always}",
			"fallback: [crm, ops]", "fallback: [crm, shop, ops]", "fallback: [ops]", "fallback: [shop, ops]").Replace(c.policy) + policy
	})
	shop := shopifysim.New(shopifysim.Options{Seed: 1, HookScale: 0.0005, Restore: -1, SearchLag: -1, BulkTakes: time.Millisecond})
	t.Cleanup(shop.Close)
	url, err := shop.Listen("127.0.0.1:0")
	must(t, err)
	values := map[string]string{"baseUrl": url, "tokenUrl": url + shop.Credentials()["tokenPath"]}
	maps.Copy(values, shop.Credentials())
	delete(values, "tokenPath")
	_, err = r.engine.Connect(context.Background(), "shop", jobs.Connection{Values: values, Check: true})
	must(t, err)
	return r, shop
}

// Two customers are merged on the shop's own screens: Datum makes one of the two, in the CRM and accounting nothing is lost or made
// again, and the shop's customer that is gone stays gone, at once and after the sweep that follows.
func TestShopMergeIsFollowed(t *testing.T) {
	t.Parallel()
	r, shop := withShop(t, "")
	ctx := context.Background()
	must(t, shop.SetWebhook(ctx, r.web.URL+"/webhooks/shop"))
	ids := []string{}
	for _, name := range []string{"Aisha Rahman", "Luca Rossi", "Grace Cooper"} {
		o, err := shop.Put("customer", "", map[string]any{"name": name, "email": strings.ToLower(strings.ReplaceAll(name, " ", ".")) + "@shoppers.example"})
		must(t, err)
		ids = append(ids, plain(o)["id"].(string))
	}
	living := func() int {
		objects, err := shop.Objects("customer")
		must(t, err)
		return len(objects)
	}
	entity := func(id string) string {
		for _, ext := range []string{id, id[strings.LastIndexByte(id, '/')+1:]} {
			rec, err := store.RecordByID(ctx, r.pool, "shop", domain.KindCustomer, ext)
			must(t, err)
			if rec != nil {
				return rec.EntityID
			}
		}
		return ""
	}
	eventually(t, 30*time.Second, "the shop's customers are everywhere", func() (bool, any) {
		a, b := len(r.ledger("crm")), len(r.ledger("accounting"))
		return a == 3 && b == 3 && len(r.customers()) == 3, []int{a, b, len(r.customers())}
	})
	r.quiet(20 * time.Second)
	kept, gone := entity(ids[0]), entity(ids[1])
	if kept == "" || gone == "" || kept == gone {
		t.Fatalf("the two are %q and %q", kept, gone)
	}
	creates := func() int { return r.crm.Stats().Creates + r.xero.Stats().Creates + shop.Stats().Creates }
	made := creates()

	_, err := shop.Merge("customer", ids[0], ids[1])
	must(t, err)
	eventually(t, 20*time.Second, "the merge in the shop is followed", func() (bool, any) {
		a, err := store.Survivor(ctx, r.pool, kept)
		must(t, err)
		b, err := store.Survivor(ctx, r.pool, gone)
		must(t, err)
		return a == b && entity(ids[0]) == a && len(r.customers()) == 2, []string{a, b}
	})
	r.quiet(20 * time.Second)
	since := time.Now()
	eventually(t, 20*time.Second, "the shop is swept", func() (bool, any) {
		ok, err := r.engine.SweptSince(ctx, "shop", domain.KindCustomer, since)
		return ok && err == nil, err
	})
	r.quiet(20 * time.Second)
	if n := creates(); n != made {
		t.Errorf("%d objects were created by following", n-made)
	}
	if a, b, c := living(), len(r.ledger("crm")), len(r.ledger("accounting")); a != 2 || b != 3 || c != 3 {
		t.Errorf("%d customers in the shop, %d companies and %d contacts; want 2, 3 and 3", a, b, c)
	}
	if s, err := store.Survivor(ctx, r.pool, gone); err != nil || s != kept {
		t.Errorf("%s is %s, not %s: %v", gone, s, kept, err)
	}
}

// The same without a webhook: the shop does not say afterwards what became of the customer that is gone, but its order is the other's.
// A person is asked, with the two side by side; nothing is made again meanwhile, and what is decided is done.
func TestShopMergeThatNobodyTold(t *testing.T) {
	t.Parallel()
	for _, choice := range []string{change.ChoiceSame, change.ChoiceDifferent} {
		t.Run(choice, func(t *testing.T) {
			t.Parallel()
			r, shop := withShop(t, "\nOrder:\n  owner: shop\n  create: [shop]\n  fields:\n    origin: {owner: ops}\n    customFields: {owner: ops}\n")
			ctx := context.Background()
			ids := []string{}
			for _, name := range []string{"Aisha Rahman", "Luca Rossi"} {
				o, err := shop.Put("customer", "", map[string]any{"name": name, "email": strings.ToLower(strings.ReplaceAll(name, " ", ".")) + "@shoppers.example"})
				must(t, err)
				id := plain(o)["id"].(string)
				ids = append(ids, id[strings.LastIndexByte(id, '/')+1:])
			}
			_, err := shop.Put("order", "", map[string]any{"customerId": ids[1], "lines": []any{map[string]any{"title": "Elbow", "quantity": 1, "price": "11.00"}}})
			must(t, err)
			entity := func(id string) string {
				rec, err := store.RecordByID(ctx, r.pool, "shop", domain.KindCustomer, id)
				must(t, err)
				if rec == nil {
					return ""
				}
				return rec.EntityID
			}
			ordered := func() string {
				var id *string
				must(t, r.pool.QueryRow(ctx, `SELECT max(customer) FROM orders`).Scan(&id))
				if id == nil {
					return ""
				}
				return *id
			}
			eventually(t, 30*time.Second, "the shop's customers and the order are here", func() (bool, any) {
				a, b := len(r.ledger("crm")), len(r.ledger("accounting"))
				return a == 2 && b == 2 && entity(ids[1]) != "" && ordered() == entity(ids[1]), []any{a, b, ordered()}
			})
			r.quiet(20 * time.Second)
			kept, gone := entity(ids[0]), entity(ids[1])
			creates := func() int { return r.crm.Stats().Creates + r.xero.Stats().Creates + shop.Stats().Creates }
			made := creates()

			if shop.Silence("") == 0 { // its subscriptions ended without a word
				t.Fatal("there were no webhooks to lose")
			}
			_, err = shop.Merge("customer", ids[0], ids[1])
			must(t, err)
			asked := func() []store.Case {
				cs, err := store.ListCases(ctx, r.pool, store.CaseFilter{Status: "open", Kind: store.CaseDuplicate}, nil, "", 10)
				must(t, err)
				return cs
			}
			eventually(t, 30*time.Second, "a person is asked", func() (bool, any) { return len(asked()) == 1, asked() })
			c := asked()[0]
			if c.Title != "Luca Rossi was deleted or merged in shop" || c.EntityID != gone || c.OtherID != kept || !strings.Contains(c.Detail.Next, "made there again") {
				t.Errorf("%+v", c)
			}
			since := time.Now()
			eventually(t, 30*time.Second, "the shop is swept", func() (bool, any) {
				ok, err := r.engine.SweptSince(ctx, "shop", domain.KindCustomer, since)
				return ok && err == nil, err
			})
			r.quiet(20 * time.Second)
			if n := creates() - made; n != 0 || len(asked()) != 1 {
				t.Errorf("%d objects were created, and %d cases are open", n, len(asked()))
			}
			_, err = r.engine.Applier().Decide(ctx, change.Decision{CaseID: c.ID, Choice: choice, Cause: causeOf("Jo")})
			must(t, err)
			r.quiet(20 * time.Second)
			survivor, err := store.Survivor(ctx, r.pool, gone)
			must(t, err)
			if merged := survivor == kept; merged != (choice == change.ChoiceSame) || len(asked()) > 0 {
				t.Errorf("after %s: merged %v, %d cases open", choice, merged, len(asked()))
			}
			objects, err := shop.Objects("customer")
			must(t, err)
			if n := creates() - made; n != 0 || len(objects) != 1 {
				t.Errorf("after %s: %d objects were created, and the shop has %d customers", choice, n, len(objects))
			}
		})
	}
}
