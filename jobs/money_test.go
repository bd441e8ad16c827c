package jobs_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/store"
)

// TestMoneyAcrossVendors: what two vendors round differently is shown as that and is no conflict; five cents of cash rounding travel
// from the shop's counter to accounting's total; and the activity statement and what is unfinished are told from the same documents.
func TestMoneyAcrossVendors(t *testing.T) {
	t.Parallel()
	m := newMarket(t, func(policy string) string {
		return strings.Replace(policy, "    rounding: {owner: ops, fallback: []}\n    notes: {owner: ops, fallback: []}\n    origin: {owner: ops, fallback: []}\n    customFields: {owner: ops, fallback: []}\n  stages:",
			"    rounding: {owner: ops, fallback: []}\n    notes: {owner: ops, fallback: []}\n    origin: {owner: ops, fallback: []}\n    customFields: {owner: ops, fallback: []}\n"+
				"    subtotal: {owner: accounting, others: propose}\n    taxTotal: {owner: accounting, others: propose}\n    total: {owner: accounting, others: propose}\n  stages:", 1)
	})
	onScreen(t, m.stock, "products", "", "ID", values{"SKU": "NUT-1", "Name": "Nuts", "PriceTier1": "11.01", "SaleTaxRule": "GST on Income"})
	onScreen(t, m.stock, "availability", "", "ID", values{"SKU": "NUT-1", "Location": "Main Warehouse", "OnHand": 20})
	onScreen(t, m.shop, "product", "", "id", values{"title": "Nuts", "sku": "NUT-1", "price": "11.01", "taxable": true, "quantity": 20})
	shopper := onScreen(t, m.shop, "customer", "", "id", values{"name": "Aisha Rahman", "email": "aisha@shoppers.example"})
	eventually(t, 60*time.Second, "the shopper and the nuts", func() (bool, any) {
		return m.entity("shop", domain.KindCustomer, shopper) != "" && one(t, m.xero, "items", "Code", "NUT-1") != nil, m.openCases()
	})
	m.calm() // the shop's nuts are known: Cin7 Core takes an order's lines once
	customer := m.entity("shop", domain.KindCustomer, shopper)
	invoice := m.enter(domain.KindInvoice, "", fields("customer", customer, "issueDate", "2026-02-02", "dueDate", "2026-02-28", "stage", "AUTHORISED", "taxMode", "EXCLUSIVE",
		"lines", `[{"description":"Kettle","quantity":"1","unitPrice":"19.95","taxCode":"GST"},{"description":"Kettle","quantity":"1","unitPrice":"19.95","taxCode":"GST"},{"description":"Kettle","quantity":"1","unitPrice":"19.95","taxCode":"GST"}]`))
	sold := onScreen(t, m.shop, "order", "", "id", values{"customerId": shopper, "retail": true, "cashRounding": "-0.03", "shipping": "0.00",
		"lines": []any{values{"sku": "NUT-1", "quantity": 3}, values{"title": "A sticker for free", "price": "0.00"}}})
	m.calm()
	note := onScreen(t, m.xero, "creditnotes", "", "CreditNoteID", values{"Type": "ACCRECCREDIT", "Contact": values{"ContactID": m.external("accounting", customer)}, "Date": "2026-03-02", "Status": "AUTHORISED",
		"LineAmountTypes": "Inclusive", "LineItems": []any{values{"Description": "Work", "Quantity": 1, "UnitAmount": 11, "AccountCode": "200", "TaxType": "OUTPUT"}}})
	began := time.Now()
	paid := onScreen(t, m.xero, "payments", "", "PaymentID", values{"Invoice": values{"InvoiceID": m.external("accounting", invoice)}, "Account": values{"Code": "090"}, "Date": "2026-04-10", "Amount": 65.85})
	eventually(t, 60*time.Second, "the credit note and the payment", func() (bool, any) {
		return m.entity("accounting", domain.KindCreditNote, note) != "" && m.entity("accounting", domain.KindPayment, paid) != "", m.openCases()
	})
	m.calm()

	// Xero rounds each line, MYOB the invoice.
	ask := m.api()
	got := ask("", `query($id: ID!) { invoice(id: $id) { total { amount } records { system { name } roundingDifference } history { nodes { action field note } } } }`, values{"id": invoice})["invoice"].(values)
	differs := map[string]any{}
	for _, r := range got["records"].([]any) {
		x := r.(values)
		differs[x["system"].(values)["name"].(string)] = x["roundingDifference"]
	}
	if got["total"].(values)["amount"] != "65.85" || differs["branch"] != "rounding: GST differs by -0.01, total by -0.01" || differs["accounting"] != nil {
		t.Errorf("the invoice is %v, and differs by %v", got["total"], differs)
	}
	if s := fmt.Sprint(got["history"]); !strings.Contains(s, "action:kept field:total note:rounding: GST differs by -0.01") {
		t.Errorf("its history: %s", s)
	}
	if o := one(t, m.branch, "invoices", "UID", m.external("branch", invoice)); fmt.Sprint(o["TotalAmount"]) != "65.84" {
		t.Errorf("MYOB has %v", o["TotalAmount"])
	}

	// Three nuts at 11.01 are 33.00 in cash; a gift and free delivery add lines and nothing to pay.
	order := m.entity("shop", domain.KindOrder, sold)
	made, err := store.MadeFrom(t.Context(), m.pool, domain.KindInvoice, order)
	must(t, err)
	if len(made) != 1 {
		t.Fatalf("the order's invoices: %v; %v", made, m.openCases())
	}
	for system, s := range map[string]struct{ key, total, due string }{"accounting": {"InvoiceID", "Total", "AmountDue"}, "branch": {"UID", "TotalAmount", "BalanceDueAmount"}} {
		o := one(t, m.sims()[system], "invoices", s.key, m.external(system, made[0]))
		if fmt.Sprint(o[s.total]) != "33" || fmt.Sprint(o[s.due]) != "0" {
			t.Errorf("%s has an invoice of %v, %v due, want 33 and 0", system, o[s.total], o[s.due])
		}
	}
	if v := m.golden(made[0]); domain.Amount(v["total"]).String() != "33" || v["stage"] != `"PAID"` {
		t.Errorf("the order's invoice is %s of %s", v["stage"], v["total"])
	}
	// The activity statement.
	credit := m.entity("accounting", domain.KindCreditNote, note)
	for _, c := range []struct{ basis, from, to, labels, behind string }{
		{"ACCRUAL", "2026-01-01", "2026-03-31", "G1 54.85, G2 0.00, G3 0.00, G4 0.00, 1A 5.00", invoice + " 65.85, " + credit + " -11.00"},
		{"ACCRUAL", "2026-04-01", "2026-06-30", "G1 0.00, G2 0.00, G3 0.00, G4 0.00, 1A 0.00", ""},
		{"CASH", "2026-01-01", "2026-03-31", "G1 0.00, G2 0.00, G3 0.00, G4 0.00, 1A 0.00", ""},
		{"CASH", "2026-04-01", "2026-06-30", "G1 65.85, G2 0.00, G3 0.00, G4 0.00, 1A 6.00", invoice + " 65.85"},
	} {
		bas := ask("", `query($from: Date!, $to: Date!, $basis: BasBasis!) { basSummary(from: $from, to: $to, basis: $basis) { labels { label amount { amount } documents { nodes { amount { amount } document { id } } } } leftOut { reason } } }`,
			values{"from": c.from, "to": c.to, "basis": c.basis})["basSummary"].(values)
		var labels, behind []string
		for _, l := range bas["labels"].([]any) {
			x := l.(values)
			labels = append(labels, fmt.Sprint(x["label"], " ", x["amount"].(values)["amount"]))
			for _, d := range x["documents"].(values)["nodes"].([]any) {
				if x["label"] == "G1" {
					behind = append(behind, fmt.Sprint(d.(values)["document"].(values)["id"], " ", d.(values)["amount"].(values)["amount"]))
				}
			}
		}
		if strings.Join(labels, ", ") != c.labels || strings.Join(behind, ", ") != c.behind || len(bas["leftOut"].([]any)) > 0 {
			t.Errorf("%s %s: %v from %v, left out %v", c.basis, c.from, labels, behind, bas["leftOut"])
		}
	}

	// Month by month, a complete comparison adds up to what MYOB itself rounded.
	sums := map[string]bool{}
	sweep := m.rig.sweep("branch", domain.KindInvoice)
	for _, x := range sweep.Money {
		sums[fmt.Sprintf("%s %s %s %s", x.Month, x.Currency, x.Theirs, x.Ours)] = x.Month == "2026-02"
	}
	if !sums["2026-02 AUD 65.84 65.84"] || len(sums) != 2 || !sweep.Complete || !sweep.Level() {
		t.Errorf("MYOB's sums: %+v", sweep)
	}

	// To MYOB the payment is a cent too much, which it says; nothing else is unfinished.
	unfinished := func(olderThan time.Time) (out []string) {
		for _, n := range ask("", `query($t: Time) { unfinished(olderThan: $t) { nodes { kind system status reason entity { id } record { externalId } } } }`, values{"t": olderThan.Format(time.RFC3339Nano)})["unfinished"].(values)["nodes"].([]any) {
			x := n.(values)
			if x["kind"] == "PRODUCT" {
				continue // MYOB's item for lines without a product
			}
			id := ""
			if e, ok := x["entity"].(values); ok {
				id = e["id"].(string)
			}
			out = append(out, fmt.Sprint(x["kind"], " ", x["system"], " ", x["status"], " ", id, ": ", x["reason"]))
		}
		return out
	}
	payment := m.entity("accounting", domain.KindPayment, paid)
	if us := unfinished(time.Now()); len(us) != 1 || !strings.HasPrefix(us[0], "PAYMENT branch REFUSED "+payment) || !strings.Contains(us[0], "more than the balance due") {
		t.Errorf("unfinished: %v", us)
	}
	if us := unfinished(began); len(us) != 0 {
		t.Errorf("unfinished before: %v", us)
	}
	if cs := m.openCases(); len(cs) != 1 || !strings.Contains(cs[0], "more than the balance due") {
		t.Errorf("cases: %v", cs)
	}
}
