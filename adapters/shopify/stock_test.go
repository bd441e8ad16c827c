package shopify_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"datum/adapters"
	"datum/adapters/shopifysim"
	"datum/domain"
)

func TestStock(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{})
	v := b.stocked("A", "11.00", 10)
	r := b.levelOf(v)
	if len(r.Unknown) > 0 || r.Values["location"].Empty() {
		t.Errorf("unknown %v, location %s", r.Unknown, r.Values["location"])
	}

	out := b.update(r, domain.Values{"available": text("7")})
	is(t, "set", out.Err, "")
	same(t, "set", out.Record.Values, domain.Values{"available": text("7"), "onHand": text("7")})
	if now := b.fetch(domain.KindStockLevel, r.ExternalID); now.Version != out.Record.Version {
		t.Errorf("version %s, the answer said %s", now.Version, out.Record.Version)
	}

	// Somebody buys between our reading and our writing: what we saw is no longer so.
	b.put("order", "", m{"lines": []m{{"sku": "A", "quantity": 2}}})
	w := adapters.Write{Kind: domain.KindStockLevel, ExternalID: r.ExternalID, Base: &out.Record, Values: domain.Values{"available": text("20")}, Key: "same key"}
	stale := b.write(w)
	is(t, "a stale write", stale.Err, domain.Unavailable)
	// Shopify remembers that the key failed, also where what we saw is not read anew in between, or comes to be so again.
	is(t, "a stale write once more", b.write(w).Err, domain.Unavailable)
	b.put("inventoryLevel", r.ExternalID, m{"available": 7})
	is(t, "what was stale and is so no more", b.write(w).Err, "")
	b.put("inventoryLevel", r.ExternalID, m{"available": 5})
	fresh := b.fetch(domain.KindStockLevel, r.ExternalID)
	same(t, "nothing was overwritten", fresh.Values, domain.Values{"available": text("5"), "committed": text("2"), "onHand": text("7")})
	w.Base = &fresh
	is(t, "with what is there now, under the same key", b.write(w).Err, "")
	b.put("order", "", m{"lines": []m{{"sku": "A", "quantity": 1}}})
	is(t, "the same write again", b.write(w).Err, "")
	same(t, "a repeat sets nothing again", b.fetch(domain.KindStockLevel, r.ExternalID).Values, domain.Values{"available": text("19"), "committed": text("3")})

	for what, v := range map[string]domain.Value{"half a piece": text("2.5"), "nothing": domain.Null} {
		is(t, what, b.update(fresh, domain.Values{"available": v}).Err, domain.Invalid)
	}
	is(t, "on hand", b.update(fresh, domain.Values{"onHand": text("2")}).Err, domain.Unsupported)
	is(t, "another product", b.update(fresh, domain.Values{"product": text("ext:12")}).Err, domain.Invalid)

	// A second location has no level until one is made.
	depot := b.put("location", "", m{"name": "Depot"})
	create := adapters.Write{Kind: domain.KindStockLevel, CanonicalID: domain.NewID("stk"), Values: domain.Values{"product": text("ext:" + v["id"].(string)), "location": text("ext:" + depot["id"].(string)), "available": text("4")}}
	out = b.write(create)
	is(t, "a new level", out.Err, "")
	same(t, "a new level", out.Record.Values, create.Values)
	found, err := b.Finder.Find(t.Context(), domain.KindStockLevel, []adapters.Query{{Values: create.Values}})
	if err != nil || len(found[0]) != 1 || found[0][0].ExternalID != out.Record.ExternalID {
		t.Errorf("find: %v %v", found, err)
	}
	b.tick(time.Hour)
	recs, cursor := b.poll(domain.KindStockLevel, "")
	if len(recs) != 2 {
		t.Errorf("%d levels, want one at each of two locations", len(recs))
	}
	b.put("inventoryLevel", out.Record.ExternalID, m{"available": 9})
	b.tick(time.Hour)
	if recs, _ = b.poll(domain.KindStockLevel, cursor); len(recs) != 1 || recs[0].Values["available"] != text("9") {
		t.Errorf("a poll after one count has %d levels", len(recs))
	}

	loose := b.put("variant", "", m{"title": "Service call", "sku": "S", "price": "90.00"})
	if recs, complete := b.list(domain.KindStockLevel); len(recs) != 2 || !complete {
		t.Errorf("%d levels, complete %v: what is not tracked has no stock", len(recs), complete)
	}
	create.Values["product"] = text("ext:" + loose["id"].(string))
	is(t, "stock of what is not tracked", b.write(create).Err, domain.Invalid)
}

func TestVariants(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{})
	var vs []m
	for i := range 27 {
		vs = append(vs, m{"option": fmt.Sprintf("%d mm", i+10), "sku": fmt.Sprintf("P-%02d", i+10), "price": "3.00", "cost": "1.20", "weight": 0.25})
	}
	p := b.put("product", "", m{"title": "Pipe", "vendor": "Kembla", "productType": "Copper", "description": "<p>Hard drawn &amp; straight.</p><p>6 m</p>", "variants": vs})
	b.tick(time.Hour)
	recs, cursor := b.poll(domain.KindProduct, "")
	if len(recs) != 27 {
		t.Fatalf("%d products, want one for each of 27 variants", len(recs))
	}
	r := recs[0]
	same(t, "a variant", r.Values, domain.Values{"sku": text("P-10"), "name": text("Pipe / 10 mm"), "brand": text("Kembla"), "category": text("Copper"), "salePrice": dollars("3.00"), "purchasePrice": dollars("1.20"),
		"weight": text("0.25"), "salesTaxCode": text("GST"), "priceIncludesTax": "true", "description": text("Hard drawn & straight.\n6 m"), "status": text("ACTIVE"), "trackStock": "false"})
	is(t, "renaming one of several", b.update(r, domain.Values{"name": text("Tube")}).Err, domain.Invalid)
	out := b.update(r, domain.Values{"salePrice": dollars("3.50"), "brand": text("MM Kembla")})
	is(t, "a price and the brand", out.Err, "")
	same(t, "a price and the brand", out.Record.Values, domain.Values{"salePrice": dollars("3.50"), "brand": text("MM Kembla"), "name": text("Pipe / 10 mm")})
	same(t, "the brand is shared", b.fetch(domain.KindProduct, recs[5].ExternalID).Values, domain.Values{"salePrice": dollars("3.00"), "brand": text("MM Kembla")})
	b.tick(time.Hour)
	if recs, _ = b.poll(domain.KindProduct, cursor); len(recs) != 27 {
		t.Errorf("a change of the product shows %d of its variants", len(recs))
	}
	if n := len(p["variants"].([]any)); n != 27 {
		t.Errorf("%d variants", n)
	}
	found, err := b.Finder.Find(t.Context(), domain.KindProduct, []adapters.Query{{Values: domain.Values{"sku": text("P-12")}}, {Values: domain.Values{"sku": text("P-1*")}}, {Values: domain.Values{"sku": text(`x" OR sku:"P-12`)}}})
	if err != nil || len(found[0]) != 1 || len(found[1]) != 0 || len(found[2]) != 0 {
		t.Errorf("find by SKU: %d %d %d %v", len(found[0]), len(found[1]), len(found[2]), err)
	}
}

func TestCustomerTraps(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{})
	c := b.put("customer", "", m{"name": "Mary Hartley", "email": "Mary@Hartley.example", "phone": "1300 975 707", "tags": "b, A"})
	r := b.fetch(domain.KindCustomer, c["id"])
	same(t, "the customer", r.Values, domain.Values{"legalName": text("Mary Hartley"), "email": text("mary@hartley.example"), "phone": text("1300975707"), "tags": `["A","b"]`})
	// Linking gives the customer our id, which stays.
	id := domain.NewID("cus")
	out := b.write(adapters.Write{Kind: r.Kind, CanonicalID: id, ExternalID: r.ExternalID, Base: &r, Values: domain.Values{"notes": text("n")}})
	if out.Err != nil || out.Record.CanonicalID != id {
		t.Errorf("our id is %q, %v", out.Record.CanonicalID, out.Err)
	}
	// Another with her address is a conflict and no second customer.
	out = b.write(adapters.Write{Kind: domain.KindCustomer, CanonicalID: domain.NewID("cus"), Values: domain.Values{"legalName": text("M. Hartley"), "email": text("mary@hartley.example")}})
	is(t, "a taken address", out.Err, domain.Conflict)
	if e := domain.AsError(out.Err); e == nil || e.Field != "email" || !strings.Contains(e.Message, "already been taken") {
		t.Errorf("the refusal is %v", out.Err)
	}
	for what, q := range map[string]adapters.Query{"id": {CanonicalID: id}, "address": {Values: domain.Values{"email": text("MARY@hartley.example")}}, "phone": {Values: domain.Values{"phone": text("1300975707")}}} {
		if found, err := b.Finder.Find(t.Context(), domain.KindCustomer, []adapters.Query{q}); err != nil || len(found[0]) != 1 || found[0][0].ExternalID != r.ExternalID {
			t.Errorf("find by %s: %v %v", what, found, err)
		}
	}
}
