package shopify_test

import (
	"testing"

	"datum/adapters"
	"datum/adapters/shopifysim"
	"datum/domain"
)

// TestLostAnswers: a write that was carried out and whose answer was lost is found again, and repeating it changes nothing.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{})
	v := b.stocked("A", "11.00", 10)
	o := b.put("order", "", m{"lines": []m{{"sku": "A", "quantity": 4}}})
	depot := b.put("location", "", m{"name": "Depot"})
	stock := b.levelOf(v)
	product := text("ext:" + v["id"].(string))
	count := func(typ string) int {
		t.Helper()
		all, err := b.sim.Objects(typ)
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	for _, c := range []struct {
		lose, typ string
		w         adapters.Write
		want      domain.Values
	}{
		{"customerSet(", "customer", adapters.Write{Kind: domain.KindCustomer, Values: domain.Values{"legalName": text("Mary Hartley"), "abn": text("51824753556")}}, domain.Values{"abn": text("51824753556")}},
		{"customerUpdate(", "customer", adapters.Write{Kind: domain.KindCustomer, Values: domain.Values{"legalName": text("Second Call"), "abn": text("53004085616")}}, domain.Values{"abn": text("53004085616")}},
		{"productSet(", "variant", adapters.Write{Kind: domain.KindProduct, Values: domain.Values{"name": text("Valve"), "sku": text("V-1")}}, domain.Values{"sku": text("V-1")}},
		{"refundCreate(", "refund", adapters.Write{Kind: domain.KindCreditNote, Values: domain.Values{"order": text("ext:" + o["id"].(string)), "lines": domain.ValueOf([]domain.Line{{Product: product.Text(), Quantity: "1", UnitPrice: "11"}})}},
			domain.Values{"total": dollars("11.00")}},
		{"inventoryActivate(", "inventoryLevel", adapters.Write{Kind: domain.KindStockLevel, Values: domain.Values{"product": product, "location": text("ext:" + depot["id"].(string)), "available": text("6")}}, domain.Values{"available": text("6")}},
		{"inventorySetQuantities(", "inventoryLevel", adapters.Write{Kind: domain.KindStockLevel, ExternalID: stock.ExternalID, Base: &stock, Values: domain.Values{"available": text("2")}}, domain.Values{"available": text("2")}},
	} {
		ki, _ := c.w.Kind.Info()
		c.w.CanonicalID, c.w.Key = domain.NewID(ki.Prefix), "key "+c.lose
		had := count(c.typ)
		b.lose.Store(c.lose)
		out := b.write(c.w)
		is(t, c.lose+" lost", out.Err, domain.Unavailable)
		if b.lose.Load() != "" {
			t.Fatalf("%s was not called", c.lose)
		}
		made := count(c.typ)
		if c.w.ExternalID == "" {
			if made != had+1 {
				t.Errorf("%s made %d", c.lose, made-had)
			}
			found, err := b.Finder.Find(t.Context(), c.w.Kind, []adapters.Query{{CanonicalID: c.w.CanonicalID, Values: c.w.Values}})
			if err != nil || len(found[0]) != 1 {
				t.Errorf("%s: the look-up finds %d, %v", c.lose, len(found[0]), err)
			}
		}
		out = b.write(c.w)
		is(t, c.lose+" again", out.Err, "")
		same(t, c.lose+" again", out.Record.Values, c.want)
		if n := count(c.typ); n != made {
			t.Errorf("%s again made %d more", c.lose, n-made)
		}
	}
}
