package jobs_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// oursAlone is a policy by which everything is entered here and written to every vendor that carries it.
const oursAlone = `
systems: {crm: hubspot, accounting: xero, shop: shopify, warehouse: cin7core, branch: myob, ops: native}
flows: {as: ops}
numbers: {Invoice: {prefix: INV-, digits: 5}, CreditNote: {prefix: CN-, digits: 5}, Quote: {prefix: Q-, digits: 4}}
Customer: {owner: ops, create: [ops], replicate: {crm: always, accounting: always, shop: always, warehouse: always, branch: always}}
Product: {owner: ops, create: [ops], replicate: {crm: always, accounting: always, shop: always, warehouse: always, branch: always}}
Location: {owner: ops, create: [ops, warehouse], replicate: {warehouse: always, shop: always}}
Quote: {owner: ops, create: [ops], replicate: {crm: always, accounting: always}}
Order: {owner: shop, create: [shop], replicate: {crm: always, shop: always, warehouse: always}, fields: {location: ops, taxTotal: ops, origin: ops, customFields: ops, notes: {owner: ops, fallback: [shop]}}}
Invoice:
  owner: ops
  create: [ops]
  replicate: {crm: always, accounting: always, branch: when_confirmed}
  fields: {stage: {owner: accounting, fallback: [ops]}, amountPaid: {owner: accounting, fallback: [ops]}, amountCredited: {owner: accounting, fallback: [ops]}, amountDue: {owner: accounting, fallback: [ops]}}
CreditNote:
  owner: ops
  create: [ops]
  replicate: {accounting: always, branch: when_confirmed}
  fields: {stage: {owner: accounting, fallback: [ops]}, remainingCredit: {owner: accounting, fallback: [ops]}}
Payment: {owner: ops, create: [ops], replicate: {accounting: always, branch: always}, fields: {stage: {owner: accounting, fallback: [ops]}}}
`

// TestVerbsAtEveryVendor: what is done over GraphQL with a whole object is done at every vendor that has it, or refused by that one
// with the reason and a case; there is nothing in between.
func TestVerbsAtEveryVendor(t *testing.T) {
	t.Parallel()
	m := newMarket(t, func(string) string { return oursAlone })
	do, books, sales := m.mutations("ops"), m.mutations("accounting"), m.mutations("shop")
	ok := func(name string, input values) string {
		t.Helper()
		id, refused := do(name, input)
		if len(refused) > 0 {
			t.Fatalf("%s: %v", name, refused)
		}
		return id
	}
	made := func(kind string, v values) string { return ok("create"+kind, values{"values": v}) }
	money := func(s string) values { return values{"amount": s, "currency": "AUD"} }
	customer := made("Customer", values{"legalName": "Hartley Plumbing Pty Ltd", "abn": "51824753556", "email": "jo@hartley.example"})
	gone := made("Customer", values{"legalName": "Gone Pty Ltd", "abn": abn(7)})
	tap := made("Product", values{"sku": "TAP-1", "name": "Tap", "salePrice": money("88"), "priceIncludesTax": true, "salesTaxCode": "GST"})
	old := made("Product", values{"sku": "OLD-1", "name": "Old tap", "salePrice": money("44"), "priceIncludesTax": true, "salesTaxCode": "GST"})
	lines := []values{{"product": tap, "description": "Tap", "quantity": "1", "unitPrice": "88", "taxCode": "GST"}}
	doc := func(kind, stage string) string {
		v := values{"customer": customer, "stage": stage, "lines": lines, "taxMode": "INCLUSIVE"}
		day := time.Now().Format(time.DateOnly)
		switch kind {
		case "Invoice":
			v["issueDate"], v["dueDate"] = day, day
		default:
			v["issueDate"] = day
		}
		return made(kind, v)
	}
	pay := func(allocations ...values) string {
		return made("Payment", values{"customer": customer, "amount": money("88"), "date": time.Now().Format(time.DateOnly), "allocations": allocations})
	}
	m.calm()
	quote, lost := doc("Quote", "DRAFT"), doc("Quote", "DRAFT")
	ordered := onScreen(t, m.shop, "order", "", "id", values{"email": "jo@hartley.example", "lines": []any{values{"sku": "TAP-1", "quantity": 1}}, "financialStatus": "pending"})
	draft, issued, paid, owed, owedToo := doc("Invoice", "DRAFT"), doc("Invoice", "AUTHORISED"), doc("Invoice", "AUTHORISED"), doc("Invoice", "AUTHORISED"), doc("Invoice", "AUTHORISED")
	draftNote, issuedNote, note, back := doc("CreditNote", "DRAFT"), doc("CreditNote", "AUTHORISED"), doc("CreditNote", "AUTHORISED"), doc("CreditNote", "AUTHORISED")
	m.calm()
	order := m.entity("shop", domain.KindOrder, ordered)
	payment := pay(values{"invoice": paid, "amount": "88"})
	reversed := pay(values{"invoice": owedToo, "amount": "88"})
	m.calm()
	if cs := m.openCases(); len(cs) > 0 {
		t.Fatalf("before: %s", strings.Join(cs, "\n"))
	}
	_ = payment

	at := func(o values, path string) string {
		var v any = o
		for _, p := range strings.Split(path, ".") {
			x, _ := v.(values)
			v = x[p]
		}
		return fmt.Sprint(v)
	}
	ids := map[string]string{"crm": "id", "shop": "id", "warehouse": "ID", "branch": "UID"}
	types := map[string]string{"contacts": "ContactID", "items": "ItemID", "quotes": "QuoteID", "invoices": "InvoiceID", "creditnotes": "CreditNoteID", "payments": "PaymentID", "overpayments": "OverpaymentID"}
	type says struct{ system, typ, member, want, refused string }
	for _, c := range []struct {
		verb, of string
		input    values
		says     []says
	}{
		{"archiveCustomer", gone, nil, []says{{"crm", "companies", "properties.customer_status", "ARCHIVED", ""}, {"accounting", "contacts", "ContactStatus", "ARCHIVED", ""},
			{"warehouse", "customers", "Status", "Deprecated", ""}, {"branch", "customers", "IsActive", "false", ""}}},
		{"archiveProduct", old, nil, []says{{"crm", "products", "properties.product_status", "ARCHIVED", ""}, {"shop", "variant", "product.status", "ARCHIVED", ""},
			{"warehouse", "products", "Status", "Deprecated", ""}, {"branch", "items", "IsActive", "false", ""}}},
		{"sendQuote", quote, nil, []says{{"crm", "deals", "properties.dealstage", "contractsent", ""}, {"accounting", "quotes", "Status", "SENT", ""}}},
		{"acceptQuote", quote, nil, []says{{"crm", "deals", "properties.dealstage", "closedwon", ""}, {"accounting", "quotes", "Status", "ACCEPTED", ""}}},
		{"declineQuote", lost, nil, []says{{"crm", "deals", "properties.dealstage", "closedlost", ""}, {"accounting", "quotes", "Status", "DECLINED", ""}}},
		{"cancelOrder", order, nil, []says{{"crm", "orders", "properties.order_stage", "CANCELLED", ""}, {"shop", "order", "cancelReason", "OTHER", ""}, {"warehouse", "sales", "Status", "VOIDED", ""}}},
		{"authoriseInvoice", draft, nil, []says{{"crm", "invoices", "properties.invoice_stage", "AUTHORISED", ""}, {"accounting", "invoices", "Status", "AUTHORISED", ""}, {"branch", "invoices", "Status", "Open", ""}}},
		{"voidInvoice", issued, nil, []says{{"crm", "invoices", "properties.invoice_stage", "VOIDED", ""}, {"accounting", "invoices", "Status", "VOIDED", ""}, {"branch", "invoices", "", "", ""}}},
		{"voidInvoice", paid, nil, []says{{"accounting", "invoices", "Status", "PAID", "payments"}, {"branch", "invoices", "Status", "Closed", "payment"}}},
		{"authoriseCreditNote", draftNote, nil, []says{{"accounting", "creditnotes", "Status", "AUTHORISED", ""}, {"branch", "creditnotes", "Status", "Credit", ""}}},
		{"voidCreditNote", issuedNote, nil, []says{{"accounting", "creditnotes", "Status", "VOIDED", ""}, {"branch", "creditnotes", "", "", ""}}},
		{"allocateCreditNote", note, values{"allocations": []values{{"invoice": owed, "amount": "88"}}}, []says{{"accounting", "creditnotes", "RemainingCredit", "0", ""}}},
		{"voidPayment", reversed, nil, []says{{"accounting", "payments", "Status", "DELETED", ""}, {"branch", "payments", "", "", ""}}},
	} {
		input := values{"id": c.of}
		for k, v := range c.input {
			input[k] = v
		}
		by := do
		if strings.Contains(c.verb, "Invoice") || strings.Contains(c.verb, "CreditNote") || c.verb == "voidPayment" {
			by = books // which the stage belongs to
		}
		switch c.verb {
		case "allocateCreditNote":
			by = do
		case "cancelOrder":
			by = sales
		}
		if _, refused := by(c.verb, input); len(refused) > 0 {
			t.Errorf("%s: %v", c.verb, refused)
			continue
		}
		m.calm()
		ps, err := store.ProjectionsOf(context.Background(), m.pool, []string{c.of})
		must(t, err)
		for _, p := range ps {
			if p.Status == store.Confirmed && len(p.Diff) == 0 || p.Status == store.Detached || p.Status == store.Refused && p.Error != "" {
				continue
			}
			t.Errorf("%s: %s is neither done nor refused: %s %s, still to say %v", c.verb, p.System, p.Status, p.Error, p.Diff.Fields())
		}
		for _, s := range c.says {
			i := slices.IndexFunc(ps, func(p *store.Projection) bool { return p.System == s.system })
			if i < 0 {
				t.Errorf("%s does not concern %s", c.verb, s.system)
				continue
			}
			if refused := ps[i].Status == store.Refused; refused != (s.refused != "") || !strings.Contains(strings.ToLower(ps[i].Error), s.refused) {
				t.Errorf("%s in %s: %s %s", c.verb, s.system, ps[i].Status, ps[i].Error)
			}
			key := ids[s.system]
			if s.system == "accounting" {
				key = types[s.typ]
			}
			o := one(t, m.sims()[s.system], s.typ, key, m.external(s.system, c.of))
			if s.member == "" { // the vendor deletes it
				if o != nil {
					t.Errorf("%s in %s: it is still there: %v", c.verb, s.system, o)
				}
				continue
			}
			if got := at(o, s.member); got != s.want {
				t.Errorf("%s in %s: %s is %s, want %s (%s %s)", c.verb, s.system, s.member, got, s.want, ps[i].Status, ps[i].Error)
			}
		}
	}

	// Money on account: Xero keeps it as an overpayment, MYOB has no place for it and says so, until it is allocated whole.
	ahead := made("Payment", values{"customer": customer, "amount": money("88"), "date": time.Now().Format(time.DateOnly), "allocations": []values{{"amount": "88"}}})
	m.calm()
	if p := m.projection(ahead, "branch"); p == nil || p.Status != store.Refused || !strings.Contains(p.Error, "88 of the payment is on the customer's account, which MYOB has no place for; set it against an invoice") {
		t.Errorf("money on account in MYOB: %+v", p)
	}
	if n := len(objectsOf(t, m.branch, "payments")); n != 1 {
		t.Errorf("%d payments in MYOB", n)
	}
	left := func() string {
		return at(one(t, m.xero, "overpayments", "OverpaymentID", m.external("accounting", ahead)), "RemainingCredit")
	}
	if got := left(); got != "88" {
		t.Errorf("Xero has %s on account", got)
	}
	ok("allocatePayment", values{"id": ahead, "allocations": []values{{"invoice": owedToo, "amount": "88"}}})
	m.calm()
	if p := m.projection(ahead, "branch"); p.Status != store.Confirmed || one(t, m.branch, "payments", "UID", m.external("branch", ahead)) == nil {
		t.Errorf("the allocated payment in MYOB: %s %s", p.Status, p.Error)
	}
	if got := left(); got != "0" || at(one(t, m.xero, "invoices", "InvoiceID", m.external("accounting", owedToo)), "Status") != "PAID" {
		t.Errorf("Xero has %s on account after it was allocated", got)
	}
	// Xero tells of a settled credit note only when it is polled. If MYOB is first, it is right, since the money is known: it is not
	// asked to open it again, which it would refuse.
	hold, cause := change.Hold{System: "accounting", Direction: store.In, Kind: domain.KindCreditNote}, causeOf("bookkeeper")
	cause.Reason = "month end"
	_, err := m.engine.Applier().Pause(context.Background(), hold, cause)
	must(t, err)
	refund := ok("refundCreditNote", values{"id": back, "amount": money("88"), "date": time.Now().Format(time.DateOnly)})
	eventually(t, 60*time.Second, "MYOB is read, which says that it is paid", func() (bool, any) {
		var stage string
		must(t, m.pool.QueryRow(context.Background(), `SELECT "values"->>'stage' FROM records WHERE system = 'branch' AND kind = 'CreditNote' AND external_id = $1`, m.external("branch", back)).Scan(&stage))
		p := m.projection(back, "branch")
		return stage == "PAID" && m.golden(back)["stage"].Text() == "AUTHORISED" && p.Status == store.Confirmed, fmt.Sprint(stage, m.golden(back)["stage"], p.Status, p.Error, m.openCases())
	})
	_, err = m.engine.Applier().Resume(context.Background(), hold, cause)
	must(t, err)
	m.calm()
	if got := at(one(t, m.xero, "creditnotes", "CreditNoteID", m.external("accounting", back)), "Status"); got != "PAID" {
		t.Errorf("the refunded credit note is %s in Xero", got)
	}
	if o := one(t, m.branch, "refunds", "UID", m.external("branch", refund)); o == nil {
		t.Errorf("the refund is not in MYOB: %+v", m.projection(refund, "branch"))
	}
	// Neither Cin7 Core nor Shopify lets others close a location, so it is not closed here either.
	place := m.entity("warehouse", domain.KindLocation, at(plain(objectsOf(t, m.stock, "locations")[0]), "ID"))
	if _, refused := do("archiveLocation", values{"id": place}); len(refused) != 1 || !strings.HasPrefix(refused[0], "UNSUPPORTED status") || !strings.Contains(refused[0], "do it in") {
		t.Errorf("archiving a location: %v", refused)
	}
	if got := m.golden(place)["status"].Text(); got != "ACTIVE" {
		t.Errorf("the location is %s", got)
	}
	// Each refusal is a case with the vendor's reason, and there are no others.
	eventually(t, 30*time.Second, "the two refusals, and no others", func() (bool, any) {
		cs := m.openCases()
		slices.Sort(cs)
		return len(cs) == 2 && strings.Contains(cs[0], "accounting refused stage") && strings.Contains(cs[1], "branch refused stage"), strings.Join(cs, "\n")
	})
}
