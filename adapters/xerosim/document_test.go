package xerosim_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"datum/adapters/xerosim"
)

const base = "/api.xro/2.0/"

type doc struct {
	InvoiceID, CreditNoteID, QuoteID, InvoiceNumber, QuoteNumber, Status, StatusAttributeString, UpdatedDateUTC, LineAmountTypes string
	SubTotal, TotalTax, Total, AmountDue, AmountPaid, AmountCredited, RemainingCredit                                            json.Number
	LineItems                                                                                                                    []struct {
		LineItemID, Description, TaxType, AccountCode, ItemCode string
		UnitAmount, LineAmount, TaxAmount                       json.Number
	}
	ValidationErrors []struct{ Message string }
	Allocations      []struct{ AllocationID string }
}

type answer struct {
	Pagination                    *struct{ ItemCount int } `json:"pagination"`
	Invoices, CreditNotes, Quotes []doc
	Items                         []struct{ ItemID, Code, Name string }
	Payments                      []struct{ PaymentID, Status, PaymentType string }
	Elements                      []doc
}

// ask calls with a body that is marshalled and reads the answer; the status must be as wanted.
func (f *fixture) ask(status int, method, path string, body any, header ...string) answer {
	f.Helper()
	text := ""
	if body != nil {
		text = f.text(body)
	}
	resp, b := f.call(method, base+path, text, header...)
	if resp.StatusCode != status {
		f.Fatalf("%s %s: status %d, want %d: %s", method, path, resp.StatusCode, status, b)
	}
	var a answer
	if len(b) > 0 && b[0] == '{' {
		if err := json.Unmarshal(b, &a); err != nil {
			f.Fatalf("%s %s: %v in %s", method, path, err, b)
		}
	}
	return a
}

// text is a body as it is sent.
func (f *fixture) text(body any) string {
	f.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		f.Fatal(err)
	}
	return string(b)
}

type m = map[string]any

// row is one line of 10% GST.
func row(quantity, unit any) m {
	return m{"Description": "Goods", "Quantity": quantity, "UnitAmount": unit, "AccountCode": "200", "TaxType": "OUTPUT"}
}

// invoice is one that can be authorised.
func invoice(contact string, more m, lines ...any) m {
	o := m{"Type": "ACCREC", "Contact": m{"ContactID": contact}, "Date": "2026-03-01", "DueDate": "2026-03-31", "LineItems": lines}
	for k, v := range more {
		o[k] = v
	}
	return o
}

func (f *fixture) put(of string, o m) doc {
	f.Helper()
	a := f.ask(200, "PUT", of+"?summarizeErrors=false&unitdp=4", m{of: []any{o}})
	return append(append(a.Invoices, a.CreditNotes...), a.Quotes...)[0]
}

// refused makes a write of one element that must be refused with the words.
func (f *fixture) refused(words, method, path string, o m) {
	f.Helper()
	of, _, _ := strings.Cut(path, "/")
	a := f.ask(200, method, path+"?summarizeErrors=false", m{of: []any{o}})
	all := append(append(a.Invoices, a.CreditNotes...), a.Quotes...)
	if len(all) != 1 || all[0].StatusAttributeString != "ERROR" || !strings.Contains(fmt.Sprint(all[0].ValidationErrors), words) {
		f.Errorf("%s %s %v: %+v, want %q", method, path, o, all, words)
	}
}

func TestGSTIsRoundedOnEachLine(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	contact := f.create("Rounded", "R-1")
	rows := func(n int, line m) []any {
		var ls []any
		for range n {
			ls = append(ls, line)
		}
		return ls
	}
	for _, c := range []struct {
		mode                 string
		lines                []any
		subtotal, tax, total string
	}{
		{"Exclusive", rows(3, row(1, 19.95)), "59.85", "6.00", "65.85"},
		{"Exclusive", []any{row(1, 33.33), row(1, 33.33), row(1, 33.34)}, "100.00", "9.99", "109.99"},
		{"Exclusive", rows(4, row(1, 1.05)), "4.20", "0.44", "4.64"},
		{"Exclusive", rows(10, row(1, 9.99)), "99.90", "10.00", "109.90"},
		{"Inclusive", rows(3, row(1, 9.95)), "27.15", "2.70", "29.85"},
		{"Inclusive", rows(3, row(1, 19.99)), "54.51", "5.46", "59.97"},
		{"Inclusive", rows(7, row(1, "5.00")), "31.85", "3.15", "35.00"},
		{"Inclusive", rows(10, row(1, 0.05)), "0.50", "0.00", "0.50"},
		{"NoTax", rows(2, row(1, 10)), "20.00", "0.00", "20.00"},
		{"Exclusive", rows(1, row(30, 0.3333)), "10.00", "1.00", "11.00"},
	} {
		d := f.put("Invoices", invoice(contact, m{"LineAmountTypes": c.mode}, c.lines...))
		if d.SubTotal.String() != c.subtotal || d.TotalTax.String() != c.tax || d.Total.String() != c.total || d.AmountDue != d.Total {
			t.Errorf("%s %v: %s + %s = %s, due %s; want %s + %s = %s", c.mode, c.lines, d.SubTotal, d.TotalTax, d.Total, d.AmountDue, c.subtotal, c.tax, c.total)
		}
		if c.mode == "NoTax" && d.LineItems[0].TaxType != "NONE" {
			t.Errorf("a line without tax has the type %s", d.LineItems[0].TaxType)
		}
	}
	// Without unitdp=4 a unit amount has two decimals.
	a := f.ask(200, "PUT", "Invoices", invoice(contact, nil, row(30, 0.3333)))
	if d := a.Invoices[0]; d.SubTotal != "9.90" || d.LineItems[0].UnitAmount != "0.33" {
		t.Errorf("two decimals: %+v", d)
	}
	// A client may set the GST of a line, and its discount.
	less := row(2, 50)
	less["DiscountRate"], less["TaxAmount"] = 12.5, 8.76
	if d := f.put("Invoices", invoice(contact, nil, less)); d.SubTotal != "87.50" || d.TotalTax != "8.76" {
		t.Errorf("with a discount and a tax of its own: %+v", d)
	}
	wrong := row(2, 50)
	wrong["LineAmount"] = 99
	f.refused("The line total 99.00 does not match the expected line total 100.00", "PUT", "Invoices", invoice(contact, nil, wrong))
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	contact := f.create("Moved", "S-1")
	for _, status := range []string{"PAID", "VOIDED", "DELETED"} {
		f.refused("not of valid status for creation", "PUT", "Invoices", invoice(contact, m{"Status": status}, row(1, 10)))
	}
	moves := map[string]map[string]bool{
		"DRAFT": {"SUBMITTED": true, "AUTHORISED": true, "DELETED": true}, "SUBMITTED": {"AUTHORISED": true, "DELETED": true}, "AUTHORISED": {"VOIDED": true},
	}
	for from, to := range moves {
		for _, status := range []string{"DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED", "DELETED"} {
			if status == from {
				continue
			}
			d := f.put("Invoices", invoice(contact, m{"Status": from}, row(1, 10)))
			if to[status] {
				if a := f.ask(200, "POST", "Invoices/"+d.InvoiceID, m{"Status": status}); a.Invoices[0].Status != status {
					t.Errorf("%s to %s: %+v", from, status, a)
				}
			} else {
				f.refused("not of valid status for modification", "POST", "Invoices/"+d.InvoiceID, m{"Status": status})
			}
		}
	}
	for words, o := range map[string]m{
		"Due Date is required":          invoice(contact, m{"Status": "AUTHORISED", "DueDate": nil}, row(1, 10)),
		"line items must be specified":  invoice(contact, m{"Status": "AUTHORISED"}),
		"Account code must be":          invoice(contact, m{"Status": "AUTHORISED"}, m{"Description": "x", "Quantity": 1, "UnitAmount": 1}),
		"Description is required":       invoice(contact, m{"Status": "AUTHORISED"}, m{"AccountCode": "200", "Quantity": 1, "UnitAmount": 1}),
		"A Contact must be specified":   invoice("", nil, row(1, 10)),
		"greater than or equal to zero": invoice(contact, nil, row(1, -10)),
		"'OUTPUT' cannot be used with":  invoice(contact, nil, m{"Description": "x", "Quantity": 1, "UnitAmount": 1, "AccountCode": "400", "TaxType": "OUTPUT"}),
		"'EXEMPTEXPORT' does not exist": invoice(contact, nil, m{"Description": "x", "Quantity": 1, "UnitAmount": 1, "AccountCode": "200", "TaxType": "EXEMPTEXPORT"}),
		"Account code '999' is not":     invoice(contact, nil, m{"Description": "x", "Quantity": 1, "UnitAmount": 1, "AccountCode": "999"}),
		"Item code 'NONE-SUCH' is not":  invoice(contact, nil, m{"ItemCode": "NONE-SUCH", "Quantity": 1, "UnitAmount": 1}),
	} {
		f.refused(words, "PUT", "Invoices", o)
	}
	less := row(1, 10)
	less["DiscountRate"] = 5
	f.refused("Discounts are not supported", "PUT", "CreditNotes", m{"Type": "ACCRECCREDIT", "Contact": m{"ContactID": contact}, "LineItems": []any{less}})
}

func TestNumbersAndLines(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	contact := f.create("Numbered", "N-1")
	taken := f.put("Invoices", invoice(contact, m{"InvoiceNumber": "INV-0001"}, row(1, 10), row(2, 20)))
	next := f.put("Invoices", invoice(contact, nil, row(1, 10)))
	if next.InvoiceNumber != "INV-0002" {
		t.Errorf("the next number is %s", next.InvoiceNumber)
	}
	f.refused("Invoice # must be unique.", "PUT", "Invoices", invoice(contact, m{"InvoiceNumber": "INV-0001"}, row(1, 10)))
	f.refused("Invoice # must be unique.", "POST", "Invoices/"+next.InvoiceID, m{"InvoiceNumber": "INV-0001"})
	// POST of a number that exists edits that invoice.
	if a := f.ask(200, "POST", "Invoices", invoice(contact, m{"InvoiceNumber": "INV-0001", "Reference": "edited"}, row(1, 10))); a.Invoices[0].InvoiceID != taken.InvoiceID {
		t.Error("another invoice was made")
	}
	// Lines that are not sent are gone, those sent with their id stay, and no lines sent leaves them alone.
	d := f.put("Invoices", invoice(contact, nil, row(1, 10), row(2, 20)))
	keep := d.LineItems[1].LineItemID
	d = f.ask(200, "POST", "Invoices/"+d.InvoiceID, m{"LineItems": []any{m{"LineItemID": keep, "UnitAmount": 25}}}).Invoices[0]
	if len(d.LineItems) != 1 || d.LineItems[0].LineItemID != keep || d.LineItems[0].LineAmount != "50.00" || d.LineItems[0].Description != "Goods" {
		t.Errorf("%+v", d.LineItems)
	}
	if d = f.ask(200, "POST", "Invoices/"+d.InvoiceID, m{"Reference": "x"}).Invoices[0]; len(d.LineItems) != 1 {
		t.Errorf("%+v", d.LineItems)
	}
	// Lists without pages have no lines.
	if a := f.ask(200, "GET", "Invoices", nil); len(a.Invoices) != 3 || len(a.Invoices[0].LineItems) != 0 || a.Pagination != nil {
		t.Errorf("%+v", a)
	}
	a := f.ask(200, "GET", "Invoices?page=1&where="+where(`InvoiceNumber=="INV-0002" OR (Reference=="edited" AND Contact.ContactID==Guid("`+contact+`") AND Total>=10.5)`), nil)
	if len(a.Invoices) != 2 || len(a.Invoices[0].LineItems) == 0 || a.Pagination.ItemCount != 2 {
		t.Errorf("%+v", a)
	}
	// One bad element refuses all unless the answer is asked for by element.
	both := m{"Invoices": []any{invoice(contact, m{"Reference": "good"}, row(1, 1)), invoice("", m{"Reference": "bad"}, row(1, 1))}}
	if a := f.ask(400, "PUT", "Invoices", both); len(a.Elements) != 1 {
		t.Errorf("%+v", a)
	}
	if a := f.ask(200, "GET", "Invoices?page=1", nil); a.Pagination.ItemCount != 3 {
		t.Errorf("%d invoices after a refused call", a.Pagination.ItemCount)
	}
	first := f.ask(200, "PUT", "Invoices?summarizeErrors=false", both, "Idempotency-Key", "k1")
	again := f.ask(200, "PUT", "Invoices?summarizeErrors=false", both, "Idempotency-Key", "k1")
	if first.Invoices[0].InvoiceID != again.Invoices[0].InvoiceID || first.Invoices[1].StatusAttributeString != "ERROR" {
		t.Errorf("%+v %+v", first, again)
	}
}

func where(s string) string {
	return strings.NewReplacer(" ", "%20", `"`, "%22", ">", "%3E", "<", "%3C", "&", "%26").Replace(s)
}

func TestMoneyMoves(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	contact, stranger := f.create("Payer", "P-1"), f.create("Stranger", "P-2")
	inv := f.put("Invoices", invoice(contact, m{"Status": "AUTHORISED"}, row(1, 100)))
	pay := func(amount any, more m) m {
		o := m{"Invoice": m{"InvoiceID": inv.InvoiceID}, "Account": m{"Code": "090"}, "Date": "2026-03-05", "Amount": amount}
		for k, v := range more {
			o[k] = v
		}
		return o
	}
	look := func() doc { f.Helper(); return f.ask(200, "GET", "Invoices/"+inv.InvoiceID, nil).Invoices[0] }
	draft := f.put("Invoices", invoice(contact, nil, row(1, 10)))
	for words, o := range map[string]m{
		"exceeds the amount outstanding": pay(110.01, nil), "greater than zero": pay(0, nil), "cannot be paid into": pay(1, m{"Account": m{"Code": "200"}}),
		"Account of the payment": pay(1, m{"Account": m{"Code": "nope"}}), "only be made against Authorised": pay(1, m{"Invoice": m{"InvoiceID": draft.InvoiceID}}),
	} {
		_, b := f.call("PUT", base+"Payments", f.text(m{"Payments": []any{o}}))
		if !strings.Contains(string(b), words) {
			t.Errorf("%v: %s, want %q", o, b, words)
		}
	}
	part := f.ask(200, "PUT", "Payments", m{"Payments": []any{pay(40, nil)}}).Payments[0]
	if d := look(); d.AmountPaid != "40.00" || d.AmountDue != "70.00" || d.Status != "AUTHORISED" {
		t.Errorf("%+v", d)
	}
	f.refused("because it has payments or credit notes allocated to it", "POST", "Invoices/"+inv.InvoiceID, m{"Status": "VOIDED"})
	f.refused("has a payment or credit note allocated", "POST", "Invoices/"+inv.InvoiceID, m{"LineItems": []any{row(1, 90)}})

	note := f.put("CreditNotes", m{"Type": "ACCRECCREDIT", "Contact": m{"ContactID": contact}, "Date": "2026-03-02", "Status": "AUTHORISED", "LineItems": []any{row(1, 70)}})
	allocate := func(status int, of string, amount any) (int, string) {
		f.Helper()
		resp, b := f.call("PUT", base+"CreditNotes/"+of+"/Allocations", f.text(m{"Allocations": []any{m{"Invoice": m{"InvoiceID": inv.InvoiceID}, "Amount": amount, "Date": "2026-03-06"}}}))
		if resp.StatusCode != status {
			t.Errorf("allocation of %v: %d %s", amount, resp.StatusCode, b)
		}
		return resp.StatusCode, string(b)
	}
	foreign := f.put("CreditNotes", m{"Type": "ACCRECCREDIT", "Contact": m{"ContactID": stranger}, "Status": "AUTHORISED", "LineItems": []any{row(1, 70)}})
	allocate(400, foreign.CreditNoteID, 1)
	allocate(400, note.CreditNoteID, 70.01)
	allocate(200, note.CreditNoteID, 70)
	paid := look()
	if paid.Status != "PAID" || paid.AmountCredited != "70.00" || paid.AmountDue != "0.00" || paid.UpdatedDateUTC == inv.UpdatedDateUTC {
		t.Errorf("%+v", paid)
	}
	f.refused("not of valid status for modification", "POST", "Invoices/"+inv.InvoiceID, m{"Reference": "late"})
	left := f.ask(200, "GET", "CreditNotes/"+note.CreditNoteID, nil).CreditNotes[0]
	if left.RemainingCredit != "7.00" || left.Status != "AUTHORISED" || len(left.Allocations) != 1 {
		t.Fatalf("%+v", left)
	}
	// What is left is given back.
	refund := f.ask(200, "PUT", "Payments", m{"CreditNote": m{"CreditNoteID": note.CreditNoteID}, "Account": m{"Code": "090"}, "Amount": 7}).Payments[0]
	if d := f.ask(200, "GET", "CreditNotes/"+note.CreditNoteID, nil).CreditNotes[0]; refund.PaymentType != "ARCREDITPAYMENT" || d.Status != "PAID" {
		t.Errorf("%+v %+v", refund, d)
	}
	// A payment is only ever deleted, once, and the invoice is open again.
	if resp, _ := f.call("POST", base+"Payments/"+part.PaymentID, `{"Status":"AUTHORISED","Amount":41}`); resp.StatusCode != 400 {
		t.Errorf("a payment was changed: %d", resp.StatusCode)
	}
	if a := f.ask(200, "POST", "Payments/"+part.PaymentID, m{"Status": "DELETED"}); a.Payments[0].Status != "DELETED" {
		t.Errorf("%+v", a)
	}
	if resp, _ := f.call("POST", base+"Payments/"+part.PaymentID, `{"Status":"DELETED"}`); resp.StatusCode != 400 {
		t.Errorf("a payment was deleted twice: %d", resp.StatusCode)
	}
	if d := look(); d.Status != "AUTHORISED" || d.AmountDue != "40.00" {
		t.Errorf("%+v", d)
	}
	f.ask(200, "DELETE", "CreditNotes/"+note.CreditNoteID+"/Allocations/"+left.Allocations[0].AllocationID, nil)
	if a := f.ask(200, "POST", "Invoices/"+inv.InvoiceID, m{"Status": "VOIDED"}); a.Invoices[0].Status != "VOIDED" {
		t.Errorf("%+v", a)
	}
}

func TestLockDates(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	contact := f.create("Locked", "L-1")
	inv := f.put("Invoices", invoice(contact, m{"Status": "AUTHORISED"}, row(1, 100)))
	draft := f.put("Invoices", invoice(contact, nil, row(1, 100)))
	f.sim.SetLock(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	const words = "The document date cannot be before the period lock date, currently set at 1 March 2026"
	f.refused(words, "PUT", "Invoices", invoice(contact, m{"Status": "AUTHORISED"}, row(1, 100)))
	f.refused(words, "POST", "Invoices/"+draft.InvoiceID, m{"Status": "AUTHORISED"})
	f.refused(words, "POST", "Invoices/"+inv.InvoiceID, m{"Status": "VOIDED"})
	f.refused(words, "POST", "Invoices/"+inv.InvoiceID, m{"Date": "2026-03-02"})
	if _, b := f.call("PUT", base+"Payments", `{"Invoice":{"InvoiceID":"`+inv.InvoiceID+`"},"Account":{"Code":"090"},"Amount":1,"Date":"2026-03-01"}`); !strings.Contains(string(b), "currently set at 1 March 2026") {
		t.Errorf("a payment on the lock date: %s", b)
	}
	f.ask(200, "POST", "Invoices/"+draft.InvoiceID, m{"Date": "2026-03-02", "Status": "AUTHORISED"})
	f.sim.SetLock(time.Time{})
	f.ask(200, "POST", "Invoices/"+inv.InvoiceID, m{"Status": "VOIDED"})
}

func TestItems(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	a := f.ask(200, "PUT", "Items?unitdp=4", m{"Items": []any{m{"Code": "A", "Name": "First", "SalesDetails": m{"UnitPrice": 1.2345, "AccountCode": "200", "TaxType": "OUTPUT"}}, m{"Code": "B"}}})
	id := a.Items[0].ItemID
	for words, o := range map[string]m{
		"with Code 'A' already exists": {"Code": "A"}, "Code must be specified": {"Name": "x"}, "than 30 characters": {"Code": strings.Repeat("x", 31)},
		"than 50 characters": {"Code": "C", "Name": strings.Repeat("x", 51)}, "'999' is not a valid code": {"Code": "C", "SalesDetails": m{"AccountCode": "999"}},
		"cannot be used with account": {"Code": "C", "PurchaseDetails": m{"AccountCode": "310", "TaxType": "OUTPUT"}}, "is not an inventory account": {"Code": "C", "InventoryAssetAccountCode": "200"},
	} {
		if resp, b := f.call("PUT", base+"Items", f.text(o)); resp.StatusCode != 400 || !strings.Contains(string(b), words) {
			t.Errorf("%v: %d %s, want %q", o, resp.StatusCode, b, words)
		}
	}
	// POST of a code that exists edits that item; lists are whole whatever page is asked for.
	if a := f.ask(200, "POST", "Items", m{"Code": "A", "Name": "Again"}); a.Items[0].ItemID != id {
		t.Error("another item was made")
	}
	if a := f.ask(200, "GET", "Items?page=1&pageSize=1", nil); len(a.Items) != 2 || a.Pagination != nil {
		t.Errorf("%+v", a)
	}
	if a := f.ask(200, "GET", "Items?where="+where(`Code=="B"`), nil); len(a.Items) != 1 {
		t.Errorf("%+v", a)
	}
	// Whoever names an item gets what it says of its sale.
	contact := f.create("Buyer", "I-1")
	d := f.put("Invoices", invoice(contact, nil, m{"ItemCode": "A", "Quantity": 2}))
	if l := d.LineItems[0]; l.UnitAmount != "1.2345" || l.TaxType != "OUTPUT" || l.AccountCode != "200" || l.LineAmount != "2.47" {
		t.Errorf("%+v", l)
	}
	f.ask(200, "POST", "Items/"+id, m{"Code": "A2"})
	if d := f.ask(200, "GET", "Invoices/"+d.InvoiceID, nil).Invoices[0]; d.LineItems[0].ItemCode != "A2" {
		t.Errorf("after the item was renamed: %+v", d.LineItems)
	}
	if resp, b := f.call("DELETE", base+"Items/"+id, ""); resp.StatusCode != http.StatusNoContent || len(b) > 0 {
		t.Errorf("deletion: %d %s", resp.StatusCode, b)
	}
	f.ask(404, "GET", "Items/"+id, nil)
}

func TestQuotes(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{Limits: xerosim.Limits{Minute: -1}})
	contact := f.create("Asker", "Q-1")
	var all []any
	for range 101 {
		all = append(all, m{"Contact": m{"ContactID": contact}, "Date": "2026-03-01", "LineAmountTypes": "INCLUSIVE", "LineItems": []any{row(1, 11)}})
	}
	made := f.ask(200, "PUT", "Quotes", m{"Quotes": all}).Quotes
	one := made[0]
	if one.QuoteNumber != "QU-0001" || one.LineAmountTypes != "INCLUSIVE" || one.TotalTax != "1.00" || one.SubTotal != "10.00" {
		t.Errorf("%+v", one)
	}
	for path, n := range map[string]int{"Quotes": 100, "Quotes?page=2&pageSize=1000": 1, "Quotes?QuoteNumber=QU-0007": 1, "Quotes?Status=SENT": 0} {
		if a := f.ask(200, "GET", path, nil); len(a.Quotes) != n || a.Pagination != nil {
			t.Errorf("%s: %d quotes, %v", path, len(a.Quotes), a.Pagination)
		}
	}
	f.refused("cannot be set when it is DRAFT", "POST", "Quotes/"+one.QuoteID, m{"Status": "ACCEPTED"})
	for _, status := range []string{"SENT", "ACCEPTED", "INVOICED"} {
		if a := f.ask(200, "POST", "Quotes/"+one.QuoteID, m{"Status": status}); a.Quotes[0].Status != status {
			t.Errorf("%+v", a)
		}
	}
	f.refused("not of valid status for modification", "POST", "Quotes/"+one.QuoteID, m{"Title": "late"})
	f.ask(200, "POST", "Quotes/"+made[1].QuoteID, m{"Status": "DELETED"})
	if a := f.ask(200, "GET", "Quotes?Status=DELETED", nil); len(a.Quotes) != 1 {
		t.Errorf("%d deleted quotes", len(a.Quotes))
	}
}
