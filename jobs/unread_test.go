package jobs_test

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// TestUnreadProductsAreWaitedFor: an order of a product that nobody has read yet is not sold in the warehouse without it, because that
// takes lines once; one of a product that turns out to be gone is not waited for.
func TestUnreadProductsAreWaitedFor(t *testing.T) {
	t.Parallel()
	m, ctx := newMarket(t), context.Background()
	onScreen(t, m.stock, "products", "", "ID", values{"SKU": "NUT-1", "Name": "Nuts", "PriceTier1": "11.00", "SaleTaxRule": "GST on Income"})
	onScreen(t, m.stock, "availability", "", "ID", values{"SKU": "NUT-1", "Location": "Main Warehouse", "OnHand": 20})
	shopper := onScreen(t, m.shop, "customer", "", "id", values{"name": "Aisha Rahman", "email": "aisha@shoppers.example"})
	eventually(t, 60*time.Second, "the shopper", func() (bool, any) { return m.entity("shop", domain.KindCustomer, shopper) != "", m.openCases() })
	c := causeOf("shopkeeper")
	c.Reason = "relabelling"
	hold := change.Hold{System: "shop", Direction: store.In, Kind: domain.KindProduct}
	_, err := m.engine.Applier().Pause(ctx, hold, c)
	must(t, err)
	order := func(sku string) (product, order string) {
		product = onScreen(t, m.shop, "product", "", "id", values{"title": sku + " of steel", "sku": sku, "price": "11.00", "taxable": true, "quantity": 20})
		return product, onScreen(t, m.shop, "order", "", "id", values{"customerId": shopper, "lines": []any{values{"sku": sku, "quantity": 3}}})
	}
	_, kept := order("NUT-1")
	product, gone := order("BOLT-1")
	parked := func(id string) *store.Projection {
		if e := m.entity("shop", domain.KindOrder, id); e != "" {
			return m.projection(e, "warehouse")
		}
		return nil
	}
	for _, id := range []string{kept, gone} {
		eventually(t, 60*time.Second, "the order waits", func() (bool, any) {
			p := parked(id)
			return p != nil && p.Status == store.Parked && p.ErrorCode == store.Unread && strings.Contains(p.Error, "waits until Product ") && strings.HasSuffix(p.Error, " of shop has been read"), p
		})
	}
	must(t, m.shop.Delete("product", product))
	_, err = m.engine.Applier().Resume(ctx, hold, c)
	must(t, err)
	for id, want := range map[string]string{kept: "Lines [Nuts]", gone: "AdditionalCharges [Miscellaneous]"} {
		eventually(t, 60*time.Second, "the sale", func() (bool, any) {
			p := parked(id)
			return p.Status == store.Confirmed, p
		})
		sale := one(t, m.stock, "sales", "ID", m.external("warehouse", m.entity("shop", domain.KindOrder, id)))
		member, name, _ := strings.Cut(want, " ")
		var got []any
		for _, l := range sale["Order"].(map[string]any)[member].([]any) {
			got = append(got, cmp.Or(l.(map[string]any)["Name"], l.(map[string]any)["Description"]))
		}
		if fmt.Sprint(got) != name {
			t.Errorf("a sale has %v, want %s: %v", got, want, sale["Order"])
		}
	}
}
