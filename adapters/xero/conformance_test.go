package xero_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"datum/adapters/adaptertest"
	"datum/adapters/xero"
	"datum/adapters/xerosim"
	"datum/domain"
)

// seeds are the ids of what a simulator holds before a case begins. They are the same every time, since the simulator draws
// them from its seed.
type seeds struct{ contact, other, item, invoice, note string }

// seeded returns a simulator with contacts and an item and so many of an invoice and a credit note that are authorised.
func seeded(t *testing.T, documents int) (*xerosim.Sim, seeds) {
	t.Helper()
	s := xerosim.New(xerosim.Options{Seed: 11, Limits: xerosim.Limits{Concurrent: -1, Minute: -1, Day: -1}, HookScale: 1e-6})
	put := func(typ, id string, properties map[string]any) string {
		o, err := s.Put(typ, "", properties)
		if err != nil {
			t.Fatal(err)
		}
		return member(t, o, id)
	}
	var x seeds
	x.contact = put("contacts", "ContactID", map[string]any{"Name": "Seed Pty Ltd"})
	x.other = put("contacts", "ContactID", map[string]any{"Name": "Other Seed Pty Ltd"})
	x.item = put("items", "ItemID", map[string]any{"Code": "WIDGET", "Name": "Widget", "Description": "A widget", "SalesDetails": map[string]any{"UnitPrice": 12.5, "AccountCode": "200", "TaxType": "OUTPUT"}})
	if documents > 0 {
		doc := map[string]any{"Contact": map[string]any{"ContactID": x.contact}, "Status": "AUTHORISED", "Date": "2026-03-01", "DueDate": "2026-03-31",
			"LineItems": []any{map[string]any{"Description": "Much", "Quantity": 1, "UnitAmount": 50_000_000, "AccountCode": "200"}}}
		x.invoice = put("invoices", "InvoiceID", doc)
		if documents > 1 {
			x.note = put("creditnotes", "CreditNoteID", doc)
		}
	}
	return s, x
}

// member is one member of an object as JSON shows it.
func member(t *testing.T, o any, name string) string {
	t.Helper()
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(b, &m); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(m[name])
}

func TestConformance(t *testing.T) {
	t.Parallel()
	sim, seed := seeded(t, 2)
	sim.Close()
	must := []string{"BatchFetcher", "Writer", "Finder", "Sweeper", "Notifier", "Checker", "Locker"}
	text := func(format string, args ...any) domain.Value { return domain.TextValue(fmt.Sprintf(format, args...)) }
	long := func(n int) domain.Value { return domain.TextValue(strings.Repeat("x", n)) }
	contact := domain.TextValue(domain.Ext(seed.contact))
	customers := []domain.Value{domain.TextValue(domain.Ext(seed.other)), contact}
	modes := []domain.Value{`"INCLUSIVE"`, `"NO_TAX"`, `"EXCLUSIVE"`}
	lines := func(ls ...domain.Line) domain.Value { return domain.ValueOf(ls) }
	usual := []domain.Value{
		lines(domain.Line{Product: domain.Ext(seed.item), SKU: "WIDGET", Description: "Widgets", Quantity: "3", UnitPrice: "19.95", TaxCode: "GST"}),
		lines(domain.Line{Description: "O'Brien – “café”\nand more", Quantity: "30", UnitPrice: "0.3333", TaxCode: "GST_FREE", Account: "260"},
			domain.Line{Kind: domain.LineText, Description: "With thanks"},
			domain.Line{Description: "Abroad", Quantity: "2", UnitPrice: "5", TaxCode: "EXPORT"}),
		lines(domain.Line{Kind: domain.LineShipping, Description: "Freight", Quantity: "1", UnitPrice: "9.5", TaxCode: "GST", Account: "220"},
			domain.Line{Description: "Goods", SKU: "NOT-HERE", Quantity: "4", UnitPrice: "25", DiscountRate: "12.5", TaxCode: "GST"},
			domain.Line{Description: "More goods", Quantity: "3", UnitPrice: "10", DiscountAmount: "1.05", TaxCode: "GST"},
			domain.Line{Kind: domain.LineDiscount, Description: "Loyal", Quantity: "1", UnitPrice: "-2", TaxCode: "GST"},
			domain.Line{Kind: domain.LineRounding, Description: "Rounding", Quantity: "1", UnitPrice: "0.02"}),
	}
	badLines := lines(domain.Line{Description: "No such account", Quantity: "1", UnitPrice: "1", TaxCode: "GST", Account: "999"})
	// properties are a document as people enter it.
	properties := func(more map[string]any) map[string]any {
		m := map[string]any{"Contact": map[string]any{"ContactID": seed.contact}, "Date": "2026-03-01",
			"LineItems": []any{map[string]any{"Description": "Work", "Quantity": 1, "UnitAmount": 100, "AccountCode": "200"}}}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	document := func(n int, more domain.Values) domain.Values {
		v := domain.Values{"number": text("D-%04d", n), "customer": contact, "reference": text("PO %04d", n), "issueDate": `"2026-03-01"`, "currency": `"AUD"`,
			"taxMode": `"EXCLUSIVE"`, "lines": usual[0], "stage": `"DRAFT"`}
		for f, x := range more {
			v[f] = x
		}
		return v
	}
	needed := []domain.Field{"number", "customer", "issueDate", "currency", "taxMode", "stage"}

	for _, f := range []adaptertest.Fixture{
		{
			Kind: domain.KindCustomer, Type: "contacts", Path: "/Contacts", Merges: true,
			Named:      func(name string) map[string]any { return map[string]any{"Name": name} },
			VendorOnly: map[string]any{"AccountNumber": "AC-9", "BankAccountDetails": "062000 12345678", "SalesDefaultAccountCode": "200", "AccountsPayableTaxType": "INPUT"},
			Golden: func(n int) domain.Values {
				return domain.Values{"legalName": text("Customer %04d Pty Ltd", n), "email": text("accounts%04d@example.com.au", n),
					"abn": domain.TextValue(abn(n)), "phone": `"+61255501234"`, "status": `"ACTIVE"`}
			},
			Required: []domain.Field{"legalName"},
			Refused:  map[domain.Field]domain.Value{"legalName": `"no <angles> at Xero"`, "email": `"jö@example.com"`},
		},
		{
			Kind: domain.KindProduct, Type: "items", Path: "/Items", NameField: "name", Silent: true, OnePage: true,
			Named:      func(name string) map[string]any { return map[string]any{"Code": code(name), "Name": name} },
			VendorOnly: map[string]any{"PurchaseDescription": "From the maker"},
			Golden: func(n int) domain.Values {
				return domain.Values{"sku": text("SKU-%04d", n), "name": text("Thing %04d", n), "salePrice": `{"amount":"12.3456","currency":"AUD"}`, "salesTaxCode": `"GST"`, "salesAccount": `"200"`}
			},
			Values: map[domain.Field][]domain.Value{
				"sku":       {`"A-1"`, `"Ä/2 'x'"`},
				"salePrice": {`{"amount":"0.3333","currency":"AUD"}`, `{"amount":"1250.00","currency":"AUD"}`}, "purchasePrice": {`{"amount":"7.00","currency":"AUD"}`},
				"salesTaxCode": {`"GST_FREE"`, `"EXPORT"`, `"OUT_OF_SCOPE"`, `"GST"`}, "purchaseTaxCode": {`"GST_PURCHASE"`, `"GST_CAPITAL"`, `"GST_FREE_PURCHASE"`},
				"salesAccount": {`"260"`}, "purchaseAccount": {`"310"`, `"400"`},
			},
			Required: []domain.Field{"sku", "salePrice", "purchasePrice"},
			Refused:  map[domain.Field]domain.Value{"name": long(51), "salesAccount": `"999"`, "salesTaxCode": `"INPUT_TAXED"`},
		},
		{
			Kind: domain.KindQuote, Type: "quotes", Path: "/Quotes", NameField: "title", Silent: true, CreateMethod: "PUT", Crowd: 103,
			Named:      func(name string) map[string]any { return properties(map[string]any{"Title": name}) },
			VendorOnly: map[string]any{"Terms": "30 days", "BrandingThemeID": "4c82c365-35cb-467f-bb11-dce1f2f2f67c"},
			Golden: func(n int) domain.Values {
				return document(n, domain.Values{"title": text("Quote %04d", n), "expiryDate": `"2026-04-01"`})
			},
			Values:   map[domain.Field][]domain.Value{"customer": customers, "taxMode": modes, "lines": usual, "stage": {`"SENT"`, `"DECLINED"`, `"ACCEPTED"`, `"EXPIRED"`, `"DRAFT"`, `"ACCEPTED"`, `"INVOICED"`}},
			Required: append([]domain.Field{"expiryDate"}, needed...),
			Refused:  map[domain.Field]domain.Value{"title": long(101), "lines": badLines},
		},
		{
			Kind: domain.KindInvoice, Type: "invoices", Path: "/Invoices", NameField: "reference", CreateMethod: "PUT",
			Named:      func(name string) map[string]any { return properties(map[string]any{"Reference": name}) },
			VendorOnly: map[string]any{"SentToContact": true, "BrandingThemeID": "4c82c365-35cb-467f-bb11-dce1f2f2f67c"},
			Golden:     func(n int) domain.Values { return document(n, domain.Values{"dueDate": `"2026-04-01"`}) },
			Values:     map[domain.Field][]domain.Value{"customer": customers, "taxMode": modes, "lines": usual, "stage": {`"SUBMITTED"`, `"AUTHORISED"`, `"PAID"`, `"VOIDED"`}},
			Required:   append([]domain.Field{"dueDate"}, needed...),
			Refused:    map[domain.Field]domain.Value{"reference": long(256), "lines": badLines},
		},
		{
			Kind: domain.KindCreditNote, Type: "creditnotes", Path: "/CreditNotes", NameField: "reference", CreateMethod: "PUT",
			Named:      func(name string) map[string]any { return properties(map[string]any{"Reference": name}) },
			VendorOnly: map[string]any{"SentToContact": true, "BrandingThemeID": "4c82c365-35cb-467f-bb11-dce1f2f2f67c"},
			Golden:     func(n int) domain.Values { return document(n, nil) },
			Values: map[domain.Field][]domain.Value{"customer": customers, "taxMode": modes, "lines": usual, "stage": {`"AUTHORISED"`, `"PAID"`},
				"allocations": {allocations(domain.Allocation{Invoice: domain.Ext(seed.invoice), Amount: "1.5", Date: "2026-03-02"}),
					allocations(domain.Allocation{Invoice: domain.Ext(seed.invoice), Amount: "1.5", Date: "2026-03-02"}, domain.Allocation{Invoice: domain.Ext(seed.invoice), Amount: "2", Date: "2026-03-03"})}},
			Required: needed,
			Refused:  map[domain.Field]domain.Value{"reference": long(221), "lines": badLines},
		},
		{
			Kind: domain.KindPayment, Type: "payments", Path: "/Payments", NameField: "reference", CreateMethod: "PUT", Silent: true, Immutable: true,
			Named: func(name string) map[string]any {
				return map[string]any{"Invoice": map[string]any{"InvoiceID": seed.invoice}, "Account": map[string]any{"Code": "090"}, "Amount": 1, "Date": "2026-03-05", "Reference": name}
			},
			VendorOnly: map[string]any{},
			Golden: func(n int) domain.Values {
				return domain.Values{"date": `"2026-03-05"`, "amount": domain.Value(fmt.Sprintf(`{"amount":"%d.05","currency":"AUD"}`, n+1)), "reference": text("Receipt %04d", n),
					"allocations": allocations(domain.Allocation{Invoice: domain.Ext(seed.invoice), Amount: fmt.Sprintf("%d.05", n+1)}), "stage": `"AUTHORISED"`}
			},
			Values: map[domain.Field][]domain.Value{
				"account": {`"090"`, `"092"`}, "stage": {`"VOIDED"`},
				"amount": {}, "allocations": {}, // which are equal
			},
			Required: []domain.Field{"date", "amount", "allocations", "stage"},
			Refused:  map[domain.Field]domain.Value{"reference": long(221), "account": `"200"`},
		},
	} {
		f.Vendor, f.TokenPath, f.Must = xero.Vendor(), "/connect/token", must
		m := f.Vendor.Carried(f.Kind)
		f.New = func() adaptertest.Simulator {
			if f.Kind == domain.KindCustomer || f.Kind == domain.KindProduct {
				return xerosim.New(xerosim.Options{Seed: 11, Limits: xerosim.Limits{Concurrent: -1, Minute: -1, Day: -1}, HookScale: 1e-6})
			}
			s, _ := seeded(t, map[domain.Kind]int{domain.KindCreditNote: 1, domain.KindPayment: 2}[f.Kind])
			return s
		}
		f.Settings = func(credentials map[string]string) map[string]string {
			return map[string]string{"tenantId": credentials["tenantId"], "pageSize": "5"}
		}
		id := map[string]string{"Contacts": "ContactID", "Items": "ItemID", "Quotes": "QuoteID", "Invoices": "InvoiceID", "CreditNotes": "CreditNoteID", "Payments": "PaymentID"}[m.Object]
		f.ExternalID = func(o map[string]any) string { return fmt.Sprint(o[id]) }
		f.ObjectID = func(externalID string) string { return externalID }
		t.Run(string(f.Kind), func(t *testing.T) {
			t.Parallel()
			adaptertest.Run(t, f)
		})
	}
}

func allocations(as ...domain.Allocation) domain.Value { return domain.ValueOf(as) }

// code is an item's code for a name.
func code(name string) string {
	return strings.ReplaceAll(strings.TrimSuffix(name, " Pty Ltd"), " ", "-")
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
