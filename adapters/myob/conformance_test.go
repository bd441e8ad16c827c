package myob_test

import (
	"fmt"
	"hash/fnv"
	"strings"
	"testing"

	"github.com/shopspring/decimal"

	"datum/adapters/adaptertest"
	"datum/adapters/myob"
	"datum/adapters/myobsim"
	"datum/domain"
	"datum/domain/money"
)

// What the file holds beforehand, by the UIDs that golden values name.
const (
	aCustomer = "11111111-1111-4111-8111-111111111111"
	another   = "22222222-2222-4222-8222-222222222222"
	pipe      = "33333333-3333-4333-8333-333333333333"
	valve     = "44444444-4444-4444-8444-444444444444"
	misc      = "55555555-5555-4555-8555-555555555555"
	bigSale   = "66666666-6666-4666-8666-666666666666"
	otherSale = "77777777-7777-4777-8777-777777777777"
)

type props = map[string]any

// seed puts customers, items and, if wanted, invoices into a file.
func seed(s *myobsim.Sim, invoices bool) {
	put := func(typ, uid string, p props) {
		if err := s.Seed(typ, uid, p); err != nil {
			panic("seed: " + err.Error())
		}
	}
	put("customers", aCustomer, props{"CompanyName": "Golden Pty Ltd"})
	put("customers", another, props{"CompanyName": "Silver Pty Ltd"})
	put("items", pipe, props{"Number": "PIPE-20", "Name": "Pipe 20 mm"})
	put("items", valve, props{"Number": "VALVE", "Name": "Ball valve"})
	put("items", misc, props{"Number": "MISC", "Name": "Anything else"})
	if invoices {
		for _, uid := range []string{bigSale, otherSale} {
			put("invoices", uid, sale("big", 1000000))
		}
	}
}

// sale is an invoice as a person enters it; a negative price makes a credit note.
func sale(reference string, price int) props {
	return props{"CustomerPurchaseOrderNumber": reference, "Customer": props{"UID": aCustomer}, "Date": "2026-03-31", "IsTaxInclusive": true,
		"Lines": []any{props{"Item": props{"UID": pipe}, "ShipQuantity": 1, "UnitPrice": price, "TaxCode": props{"UID": ""}}}}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	list := func(ss ...string) (vs []domain.Value) {
		for _, s := range ss {
			vs = append(vs, domain.TextValue(s))
		}
		return vs
	}
	ref := func(uid string) domain.Value { return domain.TextValue(domain.Ext(uid)) }
	lines := []domain.Value{
		domain.ValueOf([]domain.Line{{Product: domain.Ext(pipe), Description: "O'Brien's \"special\" – 50%", Quantity: "2.5", UnitPrice: "19.95", TaxCode: "GST"}}),
		domain.ValueOf([]domain.Line{
			{Kind: "TEXT", Description: "As agreed"},
			{Product: domain.Ext(pipe), Quantity: "30", UnitPrice: "0.333333", DiscountRate: "10", TaxCode: "GST", Account: "4-2000", SKU: "PIPE-20"},
			{Product: domain.Ext(valve), Quantity: "4", UnitPrice: "25", DiscountAmount: "5.5", TaxCode: "GST_FREE"},
			{Description: "Labour", Quantity: "1", UnitPrice: "49.5", TaxCode: "GST"},
			{Kind: "SHIPPING", Description: "Courier", UnitPrice: "15", Quantity: "1", TaxCode: "GST"},
			{Kind: "ROUNDING", Quantity: "1", UnitPrice: "-0.02", TaxCode: "OUT_OF_SCOPE"},
		}),
		domain.ValueOf([]domain.Line{{Product: domain.Ext(valve), Quantity: "1", UnitPrice: "10", TaxCode: "EXPORT"}}),
	}
	document := func(n int) domain.Values {
		return domain.Values{
			"reference": domain.TextValue(fmt.Sprintf("PO %04d", n)), "number": domain.TextValue(fmt.Sprintf("D%06d", n)), "customer": ref(aCustomer), "stage": `"AUTHORISED"`,
			"issueDate": `"2026-03-31"`, "currency": `"AUD"`, "taxMode": `"INCLUSIVE"`, "lines": lines[0],
		}
	}
	abilities := []string{"BatchFetcher", "Writer", "Finder", "Sweeper", "Checker", "Locker"}
	for name, f := range map[string]adaptertest.Fixture{
		"customers": {
			Kind: domain.KindCustomer, Path: "/Contact/Customer", Type: "customers",
			Named: func(name string) props { return props{"CompanyName": name} },
			VendorOnly: props{
				"DisplayID": "CUS00042", "CustomField1": props{"Value": "Queensland"}, "Identifiers": []any{props{"Label": "AZZ", "Value": "A"}},
				"Addresses": []any{props{"Location": 1, "Phone2": "03 5550 1234", "Salutation": "Mx"}, props{"Location": 4, "City": "Hobart"}},
				"SellingDetails": props{"SaleComment": "ring first", "ABNBranch": "002", "Credit": props{"OnHold": true},
					"Terms": props{"PaymentIsDue": "Prepaid", "DiscountForEarlyPayment": 2.5}},
				"PaymentDetails": props{"Method": "EFT"},
			},
			Golden: func(n int) domain.Values {
				return domain.Values{
					"legalName": domain.TextValue(fmt.Sprintf("Customer %04d Pty Ltd", n)), "email": domain.TextValue(fmt.Sprintf("accounts%04d@example.com.au", n)),
					"abn": domain.TextValue(abn(n)), "phone": `"+61255501234"`, "status": `"ACTIVE"`,
				}
			},
			Required: []domain.Field{"legalName"},
			Refused: map[domain.Field]domain.Value{
				"legalName": domain.TextValue(strings.Repeat("Very Long ", 5) + "Name"), "phone": `"ring the shop and ask for Jo"`,
				"creditLimit": `{"amount":"100.00","currency":"USD"}`,
			},
		},
		"products": {
			Kind: domain.KindProduct, Path: "/Inventory/Item", Type: "items", NameField: "name",
			Named: func(name string) props {
				h := fnv.New32()
				h.Write([]byte(name))
				return props{"Name": name, "Number": fmt.Sprintf("N%08x", h.Sum32())}
			},
			VendorOnly: props{"CustomField1": props{"Value": "Queensland"}, "UseDescription": true, "SellingDetails": props{"CalculateSalesTaxOn": "LevelA", "ItemsPerSellingUnit": 12}},
			Golden: func(n int) domain.Values {
				return domain.Values{"sku": domain.TextValue(fmt.Sprintf("SKU-%04d", n)), "name": domain.TextValue(fmt.Sprintf("Product %04d", n)),
					"salePrice": `{"amount":"19.95","currency":"AUD"}`, "salesTaxCode": `"GST"`, "purchaseTaxCode": `"GST_PURCHASE"`, "status": `"ACTIVE"`}
			},
			Values: map[domain.Field][]domain.Value{
				"sku": list("A", "O'Brien/1"), "name": list("Pipe", "Müller–Łukasz 株式会社"), "unit": list("each", "m"),
				"salePrice":    {`{"amount":"12500.00","currency":"AUD"}`, `{"amount":"0.1234","currency":"AUD"}`, `{"amount":"0.00","currency":"AUD"}`},
				"salesAccount": list("4-2000", "4-1000"), "purchaseAccount": list("6-1000", "5-1000"),
				"purchaseTaxCode": list("GST_PURCHASE", "GST_CAPITAL", "GST_FREE_PURCHASE", "GST_FREE_CAPITAL", "INPUT_TAXED_PURCHASE", "OUT_OF_SCOPE"),
			},
			Required: []domain.Field{"sku", "salesTaxCode", "purchaseTaxCode", "salesAccount", "purchaseAccount"},
			Refused: map[domain.Field]domain.Value{"name": domain.TextValue(strings.Repeat("long ", 7)), "sku": domain.TextValue(strings.Repeat("x", 31)),
				"salePrice": `{"amount":"1.00","currency":"USD"}`, "salesAccount": `"9-9999"`, "purchaseTaxCode": `"GST_ON_IMPORTS"`},
		},
		"invoices": {
			Kind: domain.KindInvoice, Path: "/Sale/Invoice", Type: "invoices", NameField: "reference",
			Named:      func(name string) props { return sale(name, 110) },
			VendorOnly: props{"ShippingMethod": "Best way", "ReferralSource": "Radio", "PromisedDate": "2026-05-01T00:00:00"},
			Golden: func(n int) domain.Values {
				v := document(n)
				v["dueDate"] = `"2026-04-30"`
				return v
			},
			Values: map[domain.Field][]domain.Value{
				"number": list("A-1", "O'B 株式"), "customer": {ref(another), ref(aCustomer)}, "stage": list("AUTHORISED", "DRAFT", "SUBMITTED"), "lines": lines,
				"issueDate": list("2026-03-31", "2026-02-28"), "dueDate": list("2026-03-01", "2026-12-31"), "currency": list("AUD"),
			},
			Required: []domain.Field{"number", "customer", "issueDate", "taxMode", "lines", "dueDate"},
			Refused: map[domain.Field]domain.Value{
				"number": `"D00000000000001"`, "currency": `"NZD"`, "dueDate": `"2026-01-01"`, "customer": ref("00000000-0000-4000-8000-000000000000"),
				"lines": domain.ValueOf([]domain.Line{{Product: domain.Ext(pipe), Quantity: "1", UnitPrice: "1", TaxCode: "GST_ON_IMPORTS"}}),
			},
		},
		"credit notes": {
			Kind: domain.KindCreditNote, Path: "/Sale/Invoice", Type: "creditnotes", NameField: "reference",
			Named:      func(name string) props { return sale(name, -110) },
			VendorOnly: props{"ShippingMethod": "Best way", "ReferralSource": "Radio"},
			Golden:     document,
			Values: map[domain.Field][]domain.Value{
				"number": list("A-1", "O'B 株式"), "customer": {ref(aCustomer)}, "stage": list("AUTHORISED", "DRAFT"), "lines": lines,
				"issueDate": list("2026-03-31", "2026-02-28"), "currency": list("AUD"),
				"allocations": {
					domain.ValueOf([]domain.Allocation{{Invoice: domain.Ext(bigSale), Amount: "5"}}),
					domain.ValueOf([]domain.Allocation{{Invoice: domain.Ext(bigSale), Amount: "2.5", Date: "2026-04-02"}, {Invoice: domain.Ext(otherSale), Amount: "1.05"}}),
				},
			},
			Required: []domain.Field{"number", "customer", "issueDate", "taxMode", "lines"},
			Refused: map[domain.Field]domain.Value{
				"number": `"D00000000000001"`, "currency": `"NZD"`,
				"allocations": domain.ValueOf([]domain.Allocation{{CreditNote: domain.Ext(bigSale), Amount: "5"}}),
			},
		},
		"payments": {
			Kind: domain.KindPayment, Path: "/Sale/CustomerPayment", Type: "payments", NameField: "method", Immutable: true,
			Named: func(name string) props {
				return props{"PaymentMethod": name, "Customer": props{"UID": aCustomer}, "Date": "2026-04-01", "Invoices": []any{props{"UID": bigSale, "AmountApplied": 5}}}
			},
			Golden: func(n int) domain.Values {
				return domain.Values{
					"reference": domain.TextValue(fmt.Sprintf("R%06d", n)), "customer": ref(aCustomer), "stage": `"AUTHORISED"`, "direction": `"RECEIVED"`, "date": `"2026-04-01"`,
					"amount": aud(1000), "method": domain.TextValue(fmt.Sprintf("EFT %d", n)),
					"account": `"1-1110"`, "allocations": paying(bigSale, 1000),
				}
			},
			Values: map[domain.Field][]domain.Value{
				"customer": {ref(aCustomer)}, "stage": list("AUTHORISED"), "direction": list("RECEIVED"), "date": list("2026-03-31", "2027-02-28"), "reference": list("R-1", "O'B 株式"),
				"account": list("1-1110", "1-1180"), "method": list("Card", `"quoted" \\back\\ 50% #1; a=b`), "amount": {aud(1000)}, "allocations": {paying(otherSale, 1000)},
			},
			Required: []domain.Field{"customer", "date", "amount", "reference", "allocations"},
			Refused: map[domain.Field]domain.Value{
				"amount": aud(1), "allocations": paying(otherSale, 1), "reference": `"R0000000000001"`, "account": `"9-9999"`, "customer": ref(another),
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f.Vendor, f.Must, f.TokenPath = myob.Vendor(), abilities, "/oauth2/v1/authorize"
			f.New = func() adaptertest.Simulator {
				s := myobsim.New(myobsim.Options{Seed: 11, Limits: myobsim.Limits{Second: -1, Day: -1}})
				switch f.Kind {
				case domain.KindInvoice:
					seed(s, false)
				case domain.KindCreditNote, domain.KindPayment:
					seed(s, true)
				}
				return s
			}
			f.Settings = func(credentials map[string]string) map[string]string {
				return map[string]string{"apiKey": credentials["clientId"], "businessId": credentials["businessId"], "pageSize": "5", "purchaseAccount": "5-1000", "stockAccount": "1-1320",
					"otherItem": map[bool]string{true: "MISC"}[f.Kind != domain.KindCustomer && f.Kind != domain.KindProduct]}
			}
			f.ExternalID = func(o map[string]any) string { return fmt.Sprint(o["UID"]) }
			f.ObjectID = func(externalID string) string { return externalID }
			adaptertest.Run(t, f)
		})
	}
}

func aud(cents int64) domain.Value {
	return domain.ValueOf(money.Money{Amount: decimal.New(cents, -2), Currency: "AUD"})
}

func paying(invoice string, cents int64) domain.Value {
	return domain.ValueOf([]domain.Allocation{{Invoice: domain.Ext(invoice), Amount: decimal.New(cents, -2).String()}})
}

// abn returns the n-th of many valid ABNs.
func abn(n int) string {
	tail := fmt.Sprintf("%09d", 100_000_000+n)
	sum := 0
	for i, w := range []int{3, 5, 7, 9, 11, 13, 15, 17, 19} {
		sum += w * int(tail[i]-'0')
	}
	// The two check digits d make 10(d1-1) + d2 + sum a multiple of 89; d1 is at least 1.
	return fmt.Sprintf("%d%s", 10+(89-sum%89)%89, tail)
}
