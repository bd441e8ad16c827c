package jobs_test

import (
	"context"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// TestSentBetweenTwoReports: an order that is promised here, and arrives in the inventory and leaves it before the inventory is read
// again, is not promised for good.
func TestSentBetweenTwoReports(t *testing.T) {
	t.Parallel()
	m, ctx := newMarket(t), context.Background()
	onScreen(t, m.stock, "products", "", "ID", values{"SKU": "NUT-1", "Name": "Nuts", "PriceTier1": "11.00", "SaleTaxRule": "GST on Income"})
	onScreen(t, m.stock, "availability", "", "ID", values{"SKU": "NUT-1", "Location": "Main Warehouse", "OnHand": 20})
	onScreen(t, m.shop, "product", "", "id", values{"title": "Nuts", "sku": "NUT-1", "price": "11.00", "taxable": true, "quantity": 20})
	shopper := onScreen(t, m.shop, "customer", "", "id", values{"name": "Aisha Rahman", "email": "aisha@shoppers.example"})
	sums := func() (onHand, committed string) {
		must(t, m.pool.QueryRow(ctx, `SELECT trim_scale(coalesce(sum(on_hand), 0))::text, trim_scale(coalesce(sum(committed), 0))::text FROM stock_movements`).Scan(&onHand, &committed))
		return onHand, committed
	}
	is := func(what, onHand, committed string) {
		t.Helper()
		eventually(t, 60*time.Second, what, func() (bool, any) {
			h, c := sums()
			return h == onHand && c == committed, h + " on hand, " + c + " promised"
		})
	}
	is("what the warehouse has", "20", "0")
	m.calm()
	c := causeOf("storeman")
	c.Reason = "stocktake"
	hold := change.Hold{System: "warehouse", Direction: store.In, Kind: domain.KindStockLevel}
	_, err := m.engine.Applier().Pause(ctx, hold, c)
	must(t, err)
	onScreen(t, m.shop, "order", "", "id", values{"customerId": shopper, "lines": []any{values{"sku": "NUT-1", "quantity": 3}}})
	is("promised", "20", "3")
	var sale values
	eventually(t, 60*time.Second, "the warehouse has the order", func() (bool, any) {
		list, err := m.stock.Objects("sales")
		must(t, err)
		for _, o := range list {
			sale = plain(o)
		}
		return sale["Status"] == "ORDERED", sale
	})
	onScreen(t, m.stock, "sales", sale["ID"].(string), "ID", values{"Pick": "AUTHORISED", "Ship": "AUTHORISED"})
	_, err = m.engine.Applier().Resume(ctx, hold, c)
	must(t, err)
	is("sent", "17", "0")
}
