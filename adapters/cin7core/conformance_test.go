package cin7core_test

import (
	"fmt"
	"hash/fnv"
	"strings"
	"testing"

	"datum/adapters/adaptertest"
	"datum/adapters/cin7core"
	"datum/adapters/cin7coresim"
	"datum/domain"
)

// seeded is an account whose seed gives the same ids every time: two customers, products to sell and their services.
type seeded struct {
	*cin7coresim.Sim
	customers, products []string
	site, depot         string
}

func seed(t *testing.T, o cin7coresim.Options, with ...string) seeded {
	t.Helper()
	if o.Seed = 7; o.Limit == 0 {
		o.Limit = -1
	}
	o.HookScale = 0.0001
	s := seeded{Sim: cin7coresim.New(o)}
	put := func(typ string, o map[string]any) string {
		x, err := s.Put(typ, "", o)
		if err != nil {
			t.Fatal(err)
		}
		return x.(map[string]any)["ID"].(string)
	}
	for _, kind := range with {
		switch kind {
		case "customers":
			for _, name := range []string{"Banksia Plumbing Pty Ltd", "Wattle Homes Pty Ltd"} {
				s.customers = append(s.customers, put("customers", map[string]any{"Name": name}))
			}
		case "products":
			for _, sku := range []string{"TAP-1", "TAP-2"} {
				s.products = append(s.products, put("products", map[string]any{"SKU": sku, "Name": "Tap " + sku, "SaleTaxRule": "GST on Income"}))
			}
			for _, name := range []string{"Shipping", "Discount", "Rounding", "Miscellaneous"} {
				put("products", map[string]any{"SKU": "S-" + name, "Name": name, "Type": "Service"})
			}
		case "locations":
			s.depot = put("locations", map[string]any{"Name": "Depot"})
		case "stock":
			for i := range stocked {
				s.products = append(s.products, put("products", map[string]any{"SKU": fmt.Sprintf("S-%d", i), "Name": fmt.Sprintf("Stocked %d", i)}))
			}
		}
	}
	sites, err := s.Objects("locations")
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range sites {
		if o := x.(map[string]any); o["Name"] == "Main Warehouse" {
			s.site = o["ID"].(string)
		}
	}
	return s
}

const stocked = 60

func TestConformance(t *testing.T) {
	t.Parallel()
	example := seed(t, cin7coresim.Options{}, "customers", "products", "locations")
	t.Cleanup(example.Close)
	ext := func(id string) domain.Value { return domain.TextValue(domain.Ext(id)) }
	text := func(ss ...string) []domain.Value {
		var vs []domain.Value
		for _, s := range ss {
			vs = append(vs, domain.TextValue(s))
		}
		return vs
	}
	must := []string{"BatchFetcher", "Writer", "Finder", "Sweeper", "Notifier", "Subscriber", "Checker"}
	for _, f := range []adaptertest.Fixture{{
		Kind: domain.KindCustomer, Type: "customers", Path: "/customer",
		Named: func(name string) map[string]any { return map[string]any{"Name": name} },
		VendorOnly: map[string]any{"PriceTier": "Tier 2", "Discount": 5, "IsOnCreditHold": true, "AdditionalAttribute3": "Queensland",
			"Contacts":  []any{map[string]any{"Name": "Jo Lee", "Comment": "ring first", "Fax": "03 5550 1234"}},
			"Addresses": []any{map[string]any{"Line1": "1 Yard Road", "Country": "Australia", "Type": "Business"}}},
		Golden: func(n int) domain.Values {
			return domain.Values{
				"legalName": domain.TextValue(fmt.Sprintf("Customer %04d Pty Ltd", n)), "email": domain.TextValue(fmt.Sprintf("accounts%04d@example.com.au", n)),
				"abn": `"51824753556"`, "phone": `"+61255501234"`, "status": `"ACTIVE"`, "currency": `"AUD"`,
			}
		},
		Required: []domain.Field{"legalName"},
		Refused: map[domain.Field]domain.Value{"legalName": domain.TextValue(strings.Repeat("Very Long ", 26)), "notes": domain.TextValue(strings.Repeat("x", 2001)),
			"billingAddress": `{"lines":["1 Somewhere"]}`},
	}, {
		Kind: domain.KindProduct, Type: "products", Path: "/product", NameField: "name",
		Named: func(name string) map[string]any {
			return map[string]any{"Name": name, "SKU": strings.ReplaceAll(name, " ", "-")}
		},
		VendorOnly: map[string]any{"PriceTier2": 7.5, "COGSAccount": "310", "InternalNote": "fragile", "MinimumBeforeReorder": 3},
		Golden: func(n int) domain.Values {
			return domain.Values{"sku": domain.TextValue(fmt.Sprintf("SKU-%04d", n)), "name": domain.TextValue(fmt.Sprintf("Product %04d", n)),
				"salePrice": `{"amount":"19.95","currency":"AUD"}`, "salesTaxCode": `"GST"`, "trackStock": "true", "unit": `"Item"`, "category": `"Other"`}
		},
		Values: map[domain.Field][]domain.Value{"unit": text("Box", "Metre"), "category": text("Plumbing"), "brand": text("Rheem"), "salesAccount": text("260"),
			"salesTaxCode":    text("GST", "GST_FREE", "EXPORT", "INPUT_TAXED", "OUT_OF_SCOPE"),
			"purchaseTaxCode": text("GST_PURCHASE", "GST_CAPITAL", "GST_FREE_PURCHASE", "UNREGISTERED_SUPPLIER", "GST_ON_IMPORTS")},
		Required: []domain.Field{"sku", "name"},
		Refused: map[domain.Field]domain.Value{"sku": domain.TextValue(strings.Repeat("x", 51)), "brand": `"Nobody"`, "tags": `["a,b"]`,
			"salePrice": `{"amount":"1.00","currency":"USD"}`},
	}, {
		Kind: domain.KindLocation, Type: "locations", Path: "/ref/location", NameField: "name", ReadOnly: true, Silent: true,
		Named: func(name string) map[string]any { return map[string]any{"Name": name} },
	}, {
		Kind: domain.KindOrder, Type: "sales", Path: "/sale", NameField: "reference", Unsigned: true,
		Named:      func(name string) map[string]any { return map[string]any{"CustomerReference": name} },
		VendorOnly: map[string]any{"ShippingNotes": "leave at the gate", "ShipBy": "2026-05-01T00:00:00", "Contact": "Jo Lee"},
		Golden: func(n int) domain.Values {
			return domain.Values{"reference": domain.TextValue(fmt.Sprintf("PO %04d", n)), "customer": ext(example.customers[0]), "orderDate": `"2026-03-31"`,
				"location": ext(example.site), "taxMode": `"INCLUSIVE"`, "stage": `"DRAFT"`,
				"lines": domain.ValueOf([]domain.Line{{Product: domain.Ext(example.products[0]), Quantity: "3", UnitPrice: "19.95", TaxCode: "GST"}})}
		},
		Values: map[domain.Field][]domain.Value{
			"customer": {ext(example.customers[1]), ext(example.customers[0])}, "location": {ext(example.depot), ext(example.site)},
			"lines": {
				domain.ValueOf([]domain.Line{{Description: "Delivery to site", Quantity: "1", UnitPrice: "49.5", TaxCode: "GST"}}),
				domain.ValueOf([]domain.Line{
					{Kind: domain.LineText, Description: "for the kitchen"},
					{Kind: domain.LineShipping, Quantity: "1", UnitPrice: "12.1", TaxCode: "GST"},
					{Product: domain.Ext(example.products[0]), SKU: "TAP-1", Description: "O'Brien's \"special\" – 50%", Quantity: "2.5", UnitPrice: "19.95", DiscountRate: "10", TaxCode: "GST"},
					{Product: domain.Ext(example.products[1]), Quantity: "30", UnitPrice: "0.3333", DiscountAmount: "1.5", TaxCode: "GST_FREE", Account: "200"},
					{Kind: domain.LineRounding, Quantity: "1", UnitPrice: "-0.02"},
				}),
			},
			"stage": text("CONFIRMED", "DRAFT", "CONFIRMED", "CANCELLED"),
		},
		Required: []domain.Field{"customer", "orderDate", "location", "stage"},
		Refused: map[domain.Field]domain.Value{
			"reference": domain.TextValue(strings.Repeat("x", 257)), "stage": `"CLOSED"`, "customer": ext("00000000-0000-4000-8000-000000000000"),
			"lines": domain.ValueOf([]domain.Line{{Product: domain.Ext(example.products[0]), Quantity: "1", UnitPrice: "0.33333", TaxCode: "GST"}}),
		},
	}, stock(t)} {
		f.Vendor, f.Must, f.Unsigned = cin7core.Vendor(), must, true
		f.New = func() adaptertest.Simulator {
			if f.Kind == domain.KindOrder {
				return seed(t, cin7coresim.Options{}, "customers", "products", "locations")
			}
			if f.Kind == domain.KindStockLevel {
				return seed(t, cin7coresim.Options{}, "locations", "stock")
			}
			s := seed(t, cin7coresim.Options{})
			if f.Kind == domain.KindLocation {
				if err := s.Delete("locations", s.site); err != nil {
					t.Error(err)
				}
			}
			return s
		}
		f.Settings = func(c map[string]string) map[string]string {
			return map[string]string{"accountId": c["accountId"], "pageSize": "5", "salePageSize": "5"}
		}
		if f.ExternalID == nil {
			f.ExternalID = func(o map[string]any) string { return fmt.Sprint(o["ID"]) }
		}
		f.ObjectID = func(id string) string { return id }
		t.Run(string(f.Kind), func(t *testing.T) {
			t.Parallel()
			adaptertest.Run(t, f)
		})
	}
}

// stock is counted at the depot. A person's count names product and location in its members, not in its id.
func stock(t *testing.T) adaptertest.Fixture {
	t.Helper()
	example := seed(t, cin7coresim.Options{}, "locations", "stock")
	example.Close()
	quantity := func(name string) int {
		h := fnv.New32a()
		h.Write([]byte(name))
		return 1 + int(h.Sum32()%100_000)
	}
	return adaptertest.Fixture{
		Kind: domain.KindStockLevel, Type: "availability", Path: "/", NameField: "onHand", Always: true, OnePage: true,
		Follows: []domain.Field{"available"}, CreateCall: `"EffectiveDate"`,
		Named:     func(name string) map[string]any { return map[string]any{"OnHand": quantity(name)} },
		NameValue: func(name string) domain.Value { return domain.TextValue(fmt.Sprint(quantity(name))) },
		Make: func(n int, name string) map[string]any {
			return map[string]any{"ProductID": example.products[n], "LocationID": example.depot, "OnHand": quantity(name)}
		},
		ExternalID: func(o map[string]any) string { return fmt.Sprint(o["ID"], "@", example.depot) },
		Golden: func(n int) domain.Values {
			if n >= 1000 {
				n = n - 1000 + 20
			}
			return domain.Values{"product": domain.TextValue(domain.Ext(example.products[n%stocked])), "location": domain.TextValue(domain.Ext(example.depot)), "onHand": domain.TextValue(fmt.Sprint(n + 1))}
		},
		Values:     map[domain.Field][]domain.Value{"product": {}, "location": {}, "onHand": {`"17"`, `"2.5"`, `"4"`}},
		Required:   []domain.Field{"product", "location"},
		Refused:    map[domain.Field]domain.Value{"onHand": `"-1"`, "product": domain.TextValue(domain.Ext("00000000-0000-4000-8000-000000000000"))},
		VendorOnly: map[string]any{},
	}
}
