package shopify_test

import (
	"fmt"
	"hash/fnv"
	"strings"
	"testing"

	"datum/adapters/adaptertest"
	"datum/adapters/shopify"
	"datum/adapters/shopifysim"
	"datum/domain"
)

// TestConformance runs the suite for every kind that is carried.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, f := range []adaptertest.Fixture{customers(), products(), locations(), levels(seed(t, domain.KindStockLevel)), orders(), refunds(seed(t, domain.KindCreditNote)), payments()} {
		f.Vendor = shopify.Vendor()
		f.New = func() adaptertest.Simulator { return seed(t, f.Kind).Sim }
		f.Settings = func(c map[string]string) map[string]string {
			return map[string]string{"shop": c["shop"], "pageSize": "5"}
		}
		f.TokenPath, f.Path = "/admin/oauth/access_token", "/admin/api/"
		f.Must = []string{"BatchFetcher", "Writer", "Finder", "Sweeper", "Notifier", "Subscriber", "Checker", "Provisioner"}
		f.ExternalID = func(o map[string]any) string { return fmt.Sprint(o["id"]) }
		f.ObjectID = func(id string) string { return id }
		t.Run(string(f.Kind), func(t *testing.T) {
			t.Parallel()
			adaptertest.Run(t, f)
		})
	}
}

// seeded is a shop whose seed gives the same ids every time, with what records of the kind refer to.
type seeded struct {
	*shopifysim.Sim
	variants, orders []string
	depot            string
}

const (
	seededVariants = 60
	seededOrders   = 60
)

func seed(t *testing.T, kind domain.Kind) seeded {
	t.Helper()
	s := seeded{Sim: shopifysim.New(shopifysim.Options{Seed: 7, Restore: -1, SearchLag: -1, Bare: kind == domain.KindLocation, HookScale: 1e-6})}
	put := func(typ string, p map[string]any) string {
		o, err := s.Put(typ, "", p)
		if err != nil {
			t.Fatal(err)
		}
		return o.(map[string]any)["id"].(string)
	}
	switch kind {
	case domain.KindStockLevel:
		s.depot = put("location", map[string]any{"name": "Depot"})
		for i := range seededVariants {
			s.variants = append(s.variants, put("variant", map[string]any{"title": fmt.Sprintf("Tap %d", i), "sku": fmt.Sprintf("TAP-%d", i), "tracked": true, "quantity": 5}))
		}
	case domain.KindCreditNote:
		s.variants = []string{put("variant", map[string]any{"title": "Tap", "sku": "TAP", "price": "11.00"})}
		for range seededOrders {
			s.orders = append(s.orders, put("order", map[string]any{"lines": []any{map[string]any{"sku": "TAP", "quantity": 5}}, "shipping": "9.90"}))
		}
	}
	return s
}

// levels are at the depot, except for the one that every product has from the beginning.
func levels(example seeded) adaptertest.Fixture {
	example.Close()
	quantity := func(name string) int {
		h := fnv.New32a()
		h.Write([]byte(name))
		return 1 + int(h.Sum32()%100_000)
	}
	return adaptertest.Fixture{
		Kind: domain.KindStockLevel, Type: "inventoryLevel", NameField: "available", Base: seededVariants, Follows: []domain.Field{"onHand"}, Lasting: true,
		CreateCall: "inventoryActivate(",
		Named:      func(name string) map[string]any { return map[string]any{"available": quantity(name)} },
		NameValue:  func(name string) domain.Value { return text(fmt.Sprint(quantity(name))) },
		Make: func(n int, name string) map[string]any {
			return map[string]any{"sku": fmt.Sprintf("TAP-%d", n), "locationId": example.depot, "available": quantity(name)}
		},
		Golden: func(n int) domain.Values {
			if n >= 1000 {
				n = n - 1000 + 20
			}
			return domain.Values{"product": text(domain.Ext(example.variants[n%seededVariants])), "location": text(domain.Ext(example.depot)), "available": text(fmt.Sprint(n + 1))}
		},
		Values:   map[domain.Field][]domain.Value{"product": {}, "location": {}, "available": {text("17"), text("0"), text("-3"), text("4")}},
		Required: []domain.Field{"product", "location", "available"},
		Refused:  map[domain.Field]domain.Value{"available": text("2.5"), "location": text(domain.Ext("999"))},
	}
}

// orders are made by customers; Datum writes their stage, tags and notes.
func orders() adaptertest.Fixture {
	return adaptertest.Fixture{
		Kind: domain.KindOrder, Type: "order", NameField: "notes", Adopted: true, CreateCall: "orderUpdate(",
		Named: func(name string) map[string]any { return map[string]any{"note": name} },
		Make: func(_ int, name string) map[string]any {
			return map[string]any{"note": name, "lines": []any{map[string]any{"title": "Cutting", "price": "5.50", "quantity": 2}}}
		},
		VendorOnly: map[string]any{"poNumber": "PO 7"},
		Golden: func(n int) domain.Values {
			return domain.Values{"notes": text(fmt.Sprintf("leave at the gate, %d", n))}
		},
		Values:   map[domain.Field][]domain.Value{"stage": {text("CLOSED"), text("CONFIRMED")}},
		Required: []domain.Field{"stage"},
		Refused:  map[domain.Field]domain.Value{"stage": text("DRAFT"), "tags": `["a,b"]`, "notes": text(strings.Repeat("x", 6000))},
	}
}

// refunds are of an order each: they are deleted with it.
func refunds(example seeded) adaptertest.Fixture {
	example.Close()
	lines := func(ls ...domain.Line) domain.Value { return domain.ValueOf(ls) }
	tap := domain.Line{Product: domain.Ext(example.variants[0]), SKU: "TAP", Description: "Tap", Quantity: "1", UnitPrice: "11", TaxCode: "GST"}
	two := tap
	two.Quantity = "2"
	return adaptertest.Fixture{
		Kind: domain.KindCreditNote, Type: "refund", NameField: "reason", Immutable: true, Keyless: true, CreateCall: "refundCreate(",
		Named: func(name string) map[string]any { return map[string]any{"note": name} },
		Make: func(n int, name string) map[string]any {
			return map[string]any{"orderId": example.orders[n], "note": name, "lines": []any{map[string]any{"sku": "TAP", "quantity": 1}}}
		},
		Golden: func(n int) domain.Values {
			if n >= 1000 {
				n = n - 1000 + 20
			}
			return domain.Values{"order": text(domain.Ext(example.orders[n%seededOrders])), "reason": text(fmt.Sprintf("one was bent, %d", n)), "lines": lines(tap)}
		},
		Values: map[domain.Field][]domain.Value{"order": {text(domain.Ext(example.orders[seededOrders-1]))},
			"lines": {lines(two), lines(tap, domain.Line{Kind: domain.LineShipping, Description: "Standard", Quantity: "1", UnitPrice: "9.9", TaxCode: "GST"})}},
		Required: []domain.Field{"order", "lines"},
		Refused: map[domain.Field]domain.Value{"lines": lines(domain.Line{Product: domain.Ext("1"), Quantity: "1", UnitPrice: "11"}), "reason": text(strings.Repeat("x", 6000)),
			"order": text("somebody else's")},
	}
}

func customers() adaptertest.Fixture {
	return adaptertest.Fixture{
		Kind: domain.KindCustomer, Type: "customer",
		Named:      func(name string) map[string]any { return map[string]any{"name": name} },
		VendorOnly: map[string]any{"taxExempt": true},
		Golden: func(n int) domain.Values {
			return domain.Values{"legalName": text(fmt.Sprintf("Customer %04d", n)), "email": text(fmt.Sprintf("accounts%04d@example.com.au", n)), "phone": text(fmt.Sprintf("+6139%07d", n)),
				"abn": text("51824753556"), "notes": text("gate code 4417#")}
		},
		Values: map[domain.Field][]domain.Value{"billingAddress": {
			domain.ValueOf(domain.Address{Lines: []string{"Unit 3", "12 O'Connell Street"}, Suburb: "Parramatta", State: "NSW", Postcode: "2150", Country: "AU"}),
			domain.ValueOf(domain.Address{Lines: []string{"Shop 1", "Level 2", "Tower B", "1 Collins Street"}, Suburb: "Melbourne", State: "VIC", Postcode: "3000", Country: "AU"}),
			domain.ValueOf(domain.Address{Lines: []string{"GPO Box 9"}, Suburb: "Darwin", State: "NT", Postcode: "0801", Country: "AU"}),
			domain.ValueOf(domain.Address{Lines: []string{"7 Cuba Street"}, Suburb: "Wellington", Postcode: "6011", Country: "NZ"}),
		}},
		Refused: map[domain.Field]domain.Value{"tags": `["a,b"]`, "legalName": text(strings.Repeat("x", 300)), "email": text("not an address"), "phone": text("call Bob"),
			"billingAddress": domain.ValueOf(domain.Address{Lines: []string{"1 Main Street"}, Suburb: "Perth", State: "XX", Postcode: "6000", Country: "AU"})},
	}
}

func products() adaptertest.Fixture {
	return adaptertest.Fixture{
		Kind: domain.KindProduct, Type: "variant", NameField: "name",
		Named:      func(name string) map[string]any { return map[string]any{"title": name} },
		VendorOnly: map[string]any{"compareAtPrice": "99.00"},
		Golden: func(n int) domain.Values {
			return domain.Values{"name": text(fmt.Sprintf("Copper elbow %04d", n)), "sku": text(fmt.Sprintf("CE-%04d", n)), "barcode": text(fmt.Sprintf("931234%07d", n)),
				"salePrice": `{"amount":"12.50","currency":"AUD"}`, "salesTaxCode": text("GST"), "trackStock": "true", "status": text("ACTIVE")}
		},
		Values: map[domain.Field][]domain.Value{"salesTaxCode": {text("GST_FREE"), text("GST")}, "weight": {text("0.35"), text("12.125"), text("3")},
			"sku": {text("ab C-1"), text(`9" "pipe"`)}},
		Required: []domain.Field{"name", "salePrice", "salesTaxCode", "trackStock", "status"},
		Refused: map[domain.Field]domain.Value{"salesTaxCode": text("EXPORT"), "salePrice": `{"amount":"10.00","currency":"USD"}`, "name": text(strings.Repeat("x", 256)),
			"purchasePrice": `{"amount":"0.3333","currency":"AUD"}`},
	}
}

func locations() adaptertest.Fixture {
	return adaptertest.Fixture{
		Kind: domain.KindLocation, Type: "location", NameField: "name", ReadOnly: true, Crowd: 12,
		Named: func(name string) map[string]any { return map[string]any{"name": name} },
	}
}

func payments() adaptertest.Fixture {
	return adaptertest.Fixture{
		Kind: domain.KindPayment, Type: "transaction", NameField: "method", ReadOnly: true, Immutable: true, Crowd: 36,
		Named: func(name string) map[string]any { return map[string]any{"gateway": name, "amount": "12.50"} },
	}
}

func text(s string) domain.Value { return domain.TextValue(s) }
