package hubspot_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"datum/adapters/adaptertest"
	"datum/adapters/hubspot"
	"datum/adapters/hubspotsim"
	"datum/domain"
)

// world is a portal with what documents refer to: its ids are the same in every portal with one seed.
type world struct {
	sim               *hubspotsim.Sim
	firm, other, solo string // references
	widget, labour    string
}

// portalOptions leave the limits out of the way.
var portalOptions = hubspotsim.Options{Seed: 7, Limits: hubspotsim.Limits{Burst: -1, Search: -1}, HookScale: 1e-6}

// prompt is a portal whose search does not lag, for kinds that are polled in one search: a lagging one has no second page.
var prompt = hubspotsim.Options{Seed: 7, Limits: hubspotsim.Limits{Burst: -1, Search: -1}, HookScale: 1e-6, SearchLag: -1}

func newWorld(o hubspotsim.Options) world {
	s := hubspotsim.New(o)
	put := func(typ string, p map[string]any) string {
		o, err := s.Put(typ, "", p)
		if err != nil {
			panic(err)
		}
		return domain.Ext(fmt.Sprint(typ, "/", o.(map[string]any)["id"]))
	}
	return world{sim: s, firm: put("companies", map[string]any{"name": "Hartley Plumbing Pty Ltd"}), other: put("companies", map[string]any{"name": "Banksia Café"}),
		solo:   put("contacts", map[string]any{"firstname": "Mary", "lastname": "O'Brien"}),
		widget: put("products", map[string]any{"name": "Widget", "hs_sku": "WID-1", "price": "12.5", "description": "A widget"}), labour: put("products", map[string]any{"name": "Labour", "hs_sku": "LAB"})}
}

// conformance is the part of a fixture that all kinds share.
func conformance(kind domain.Kind, typ string) adaptertest.Fixture {
	return adaptertest.Fixture{
		Vendor: hubspot.Vendor(), Kind: kind, Type: typ,
		New: func() adaptertest.Simulator { return newWorld(portalOptions).sim },
		Settings: func(credentials map[string]string) map[string]string {
			return map[string]string{"portalId": credentials["portalId"], "pageSize": "5"}
		},
		TokenPath: "/oauth/2026-03/token", Path: "/crm/v3/objects",
		Must:       []string{"BatchFetcher", "Writer", "Finder", "Sweeper", "Notifier", "Checker", "Provisioner", "Remapper"},
		ExternalID: func(o map[string]any) string { return fmt.Sprint(typ, "/", o["id"]) },
		ObjectID:   func(externalID string) string { return strings.TrimPrefix(externalID, typ+"/") },
		SignsTime:  true,
		Merges:     true,
		Lag:        300 * time.Millisecond,
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	w := newWorld(portalOptions)
	t.Cleanup(w.sim.Close)
	for _, fixture := range []func(world) adaptertest.Fixture{customerFixture, productFixture, quoteFixture, orderFixture, invoiceFixture} {
		f := fixture(w)
		t.Run(string(f.Kind), func(t *testing.T) {
			t.Parallel()
			adaptertest.Run(t, f)
		})
	}
}

func customerFixture(world) adaptertest.Fixture {
	f := conformance(domain.KindCustomer, "companies")
	f.New = func() adaptertest.Simulator {
		return hubspotsim.New(portalOptions)
	}
	f.Named = func(name string) map[string]any { return map[string]any{"name": name} }
	f.VendorOnly = map[string]any{"industry": "PLUMBING", "numberofemployees": "12", "hs_lead_status": "OPEN", "domain": "hartley.example"}
	f.Golden = func(n int) domain.Values {
		return domain.Values{
			"legalName": text(fmt.Sprintf("Customer %04d Pty Ltd", n)), "email": text(fmt.Sprintf("accounts%04d@example.com.au", n)),
			"abn": text(abn(n)), "phone": `"+61255501234"`, "status": `"ACTIVE"`, "lifecycleStage": `"CUSTOMER"`,
		}
	}
	f.Values = map[domain.Field][]domain.Value{"salesOwner": owners}
	f.Refused = map[domain.Field]domain.Value{"salesOwner": text("nobody@sales.example"), "tags": `["a;b"]`, "legalName": text(strings.Repeat("x", 65_537)),
		"contacts": domain.ValueOf([]domain.Contact{{FirstName: "A", Email: "same@example.com"}, {FirstName: "B", Email: "Same@example.com"}})}
	return f
}

// currencies end with the one that the suite's amounts are in.
var currencies = []domain.Value{text("NZD"), text("AUD")}

var owners = []domain.Value{text("mel@sales.example"), text("priya@sales.example")}

func productFixture(world) adaptertest.Fixture {
	f := conformance(domain.KindProduct, "products")
	f.New = func() adaptertest.Simulator {
		return hubspotsim.New(prompt)
	}
	f.NameField = "name"
	f.Named = func(name string) map[string]any { return map[string]any{"name": name} }
	f.VendorOnly = map[string]any{"hs_url": "https://example.com/widget", "hs_recurring_billing_period": "P12M"}
	f.Golden = func(n int) domain.Values {
		return domain.Values{"name": text(fmt.Sprintf("Widget %04d", n)), "sku": text(fmt.Sprintf("WID-%04d", n)), "salePrice": `{"amount":"12.50","currency":"AUD"}`,
			"salesTaxCode": text("GST"), "trackStock": "true", "status": text("ACTIVE")}
	}
	f.Refused = map[domain.Field]domain.Value{"salePrice": `{"amount":"12.50","currency":"NZD"}`, "tags": `["a;b"]`, "name": text(strings.Repeat("x", 65_537))}
	return f
}

// lines are two lists of lines that HubSpot holds whole.
func (w world) lines() []domain.Value {
	return []domain.Value{
		domain.ValueOf([]domain.Line{
			{Product: w.widget, Description: "Widget, blue\nwith \"thread\" & nut", Quantity: "3", UnitPrice: "12.345678", DiscountRate: "12.5", TaxCode: "GST", Account: "200"},
			{SKU: "DEL", Description: "Delivery", Kind: domain.LineShipping, Quantity: "1", UnitPrice: "15", TaxCode: "GST"},
			{Description: "Thank you — 株式会社", Kind: domain.LineText},
			{Product: w.labour, Quantity: "0.5", UnitPrice: "110", DiscountAmount: "5", TaxCode: "GST_FREE"}}),
		domain.ValueOf([]domain.Line{
			{Product: w.labour, Quantity: "0.5", UnitPrice: "110", DiscountAmount: "5", TaxCode: "GST_FREE"},
			{Product: w.widget, Description: "Widget, red", Quantity: "7", UnitPrice: "12.5", DiscountAmount: "10", TaxCode: "GST"},
			{Description: "Goodwill", Kind: domain.LineDiscount, Quantity: "1", UnitPrice: "-20", TaxCode: "GST"}}),
		domain.ValueOf([]domain.Line{{Description: "One", Quantity: "1", UnitPrice: "1"}, {Description: "One", Quantity: "1", UnitPrice: "1"}}),
	}
}

func quoteFixture(w world) adaptertest.Fixture {
	f := conformance(domain.KindQuote, "deals")
	f.NameField = "title"
	f.Named = func(name string) map[string]any { return map[string]any{"dealname": name} }
	f.VendorOnly = map[string]any{"dealtype": "newbusiness", "hs_next_step": "call back"}
	f.Golden = func(n int) domain.Values {
		return domain.Values{"number": text(fmt.Sprintf("QU-%04d", n)), "title": text(fmt.Sprintf("Fit-out %04d", n)), "customer": text(w.firm), "stage": text("SENT"),
			"issueDate": text("2026-03-02"), "currency": text("AUD"), "taxMode": text("EXCLUSIVE"), "lines": w.lines()[0]}
	}
	f.Values = map[domain.Field][]domain.Value{"salesOwner": owners, "customer": {text(w.other), text(w.solo), text(w.firm)}, "lines": w.lines(), "currency": currencies}
	f.Required = []domain.Field{"stage", "currency", "taxMode"}
	f.Refused = map[domain.Field]domain.Value{"title": text(strings.Repeat("x", 65_537)), "currency": text("JPY"), "customer": text(domain.Ext("deals/1")),
		"lines": domain.ValueOf([]domain.Line{{Description: "both", Quantity: "1", UnitPrice: "10", DiscountRate: "5", DiscountAmount: "1"}})}
	return f
}

func orderFixture(w world) adaptertest.Fixture {
	f := conformance(domain.KindOrder, "orders")
	f.NameField = "number"
	f.Named = func(name string) map[string]any { return map[string]any{"hs_order_name": name} }
	f.VendorOnly = map[string]any{"hs_external_order_url": "https://shop.example/1", "hs_discount_codes": "MARCH"}
	f.Golden = func(n int) domain.Values {
		return domain.Values{"number": text(fmt.Sprintf("#%04d", n)), "customer": text(w.solo), "stage": text("CONFIRMED"), "paymentStatus": text("PAID"),
			"orderDate": text("2026-03-02"), "currency": text("AUD"), "taxMode": text("INCLUSIVE"), "lines": w.lines()[1], "total": `{"amount":"85.00","currency":"AUD"}`}
	}
	f.Values = map[domain.Field][]domain.Value{"customer": {text(w.other), text(w.solo), text(w.firm)}, "lines": w.lines(), "currency": currencies}
	f.Required = []domain.Field{"currency", "taxMode"}
	f.Refused = map[domain.Field]domain.Value{"number": text(strings.Repeat("x", 65_537)), "total": `{"amount":"12.50","currency":"NZD"}`,
		"lines": domain.ValueOf([]domain.Line{{Product: domain.Ext("orders/1"), Description: "no product", Quantity: "1", UnitPrice: "10"}})}
	return f
}

func invoiceFixture(w world) adaptertest.Fixture {
	f := conformance(domain.KindInvoice, "invoices")
	f.New = func() adaptertest.Simulator { return newWorld(prompt).sim }
	f.NameField = "number"
	f.Named = func(name string) map[string]any {
		return map[string]any{"invoice_number": name, "hs_currency": "AUD"}
	}
	f.VendorOnly = map[string]any{"hs_comments": "call before", "hs_purchase_order_number": "PO 7"}
	f.Golden = func(n int) domain.Values {
		return domain.Values{"number": text(fmt.Sprintf("INV-%04d", n)), "customer": text(w.firm), "stage": text("AUTHORISED"), "issueDate": text("2026-03-02"), "dueDate": text("2026-03-31"),
			"currency": text("AUD"), "total": `{"amount":"110.00","currency":"AUD"}`, "amountDue": `{"amount":"60.00","currency":"AUD"}`}
	}
	f.Values = map[domain.Field][]domain.Value{"customer": {text(w.other), text(w.solo), text(w.firm)}, "currency": currencies}
	f.Required = []domain.Field{"currency"}
	f.Refused = map[domain.Field]domain.Value{"number": text(strings.Repeat("x", 65_537)), "amountDue": `{"amount":"12.50","currency":"NZD"}`}
	return f
}

// abn returns the n-th of many valid ABNs.
func abn(n int) string {
	tail := fmt.Sprintf("%09d", 200_000_000+n)
	sum := 0
	for i, w := range []int{3, 5, 7, 9, 11, 13, 15, 17, 19} {
		sum += w * int(tail[i]-'0')
	}
	return fmt.Sprintf("%d%s", 10+(89-sum%89)%89, tail)
}
