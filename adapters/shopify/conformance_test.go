package shopify_test

import (
	"fmt"
	"strings"
	"testing"

	"datum/adapters/adaptertest"
	"datum/adapters/shopify"
	"datum/adapters/shopifysim"
	"datum/domain"
)

// TestConformance runs the suite for each kind that it can be run for; stock and orders have tests of their own.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, f := range []adaptertest.Fixture{customers(), products(), locations(), payments()} {
		f.Vendor = shopify.Vendor()
		f.New = func() adaptertest.Simulator {
			return shopifysim.New(shopifysim.Options{Seed: 7, Restore: -1, SearchLag: -1, Bare: f.Kind == domain.KindLocation, HookScale: 1e-6})
		}
		f.Settings = func(c map[string]string) map[string]string {
			return map[string]string{"shop": c["shop"], "pageSize": "5"}
		}
		f.TokenPath, f.Path = "/admin/oauth/access_token", "/admin/api/"
		f.Must = []string{"BatchFetcher", "Writer", "Finder", "Sweeper", "Notifier", "Checker", "Provisioner"}
		f.ExternalID = func(o map[string]any) string { return fmt.Sprint(o["id"]) }
		f.ObjectID = func(id string) string { return id }
		t.Run(string(f.Kind), func(t *testing.T) {
			t.Parallel()
			adaptertest.Run(t, f)
		})
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
