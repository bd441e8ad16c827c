package shopify_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"datum/adapters"
	"datum/adapters/shopifysim"
	"datum/domain"
	"datum/domain/money"
)

type m = map[string]any

// stocked makes a product with stock and returns its variant.
func (b *bench) stocked(sku, price string, quantity int) m {
	b.t.Helper()
	return b.put("variant", "", m{"title": "Product " + sku, "sku": sku, "price": price, "quantity": quantity})
}

func (b *bench) levelOf(variant m) domain.Record {
	b.t.Helper()
	item := variant["inventoryItem"].(m)["id"]
	locations, _ := b.list(domain.KindLocation)
	return b.fetch(domain.KindStockLevel, fmt.Sprint(item, "@", locations[0].ExternalID))
}

func TestOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{})
	c := b.put("customer", "", m{"name": "Mary Hartley", "email": "mary@hartley.example", "address": m{"address1": "1 High Street", "city": "Kew", "provinceCode": "VIC", "zip": "3101", "countryCode": "AU"}})
	elbow, bread := b.stocked("CE-15", "11.00", 20), b.stocked("BR-1", "4.50", 8)
	b.clock.Store(time.Date(2026, 8, 31, 15, 30, 0, 0, time.UTC).Unix()) // already September in Melbourne
	o := b.put("order", "", m{"customerId": c["id"], "lines": []m{{"sku": "CE-15", "quantity": 3, "discount": "3.30"}, {"sku": "BR-1", "quantity": 2, "taxable": false}, {"title": "Cutting", "price": "5.50"}},
		"shipping": "9.95", "shippingTitle": "Courier", "poNumber": "PO 7", "note": "ring first", "tags": "trade, web"})
	r := b.fetch(domain.KindOrder, o["id"])
	lines := []domain.Line{
		{Product: "ext:" + elbow["id"].(string), SKU: "CE-15", Description: "Product CE-15", Quantity: "3", UnitPrice: "11", DiscountAmount: "3.3", TaxCode: "GST", Amount: "29.7", Tax: "2.7"},
		{Product: "ext:" + bread["id"].(string), SKU: "BR-1", Description: "Product BR-1", Quantity: "2", UnitPrice: "4.5", TaxCode: "GST_FREE", Amount: "9"},
		{Description: "Cutting", Quantity: "1", UnitPrice: "5.5", TaxCode: "GST", Amount: "5.5", Tax: "0.5"},
		{Kind: "SHIPPING", Description: "Courier", Quantity: "1", UnitPrice: "9.95", TaxCode: "GST", Amount: "9.95", Tax: "0.9"},
	}
	sold := domain.Values{"number": text("#1001"), "customer": text("ext:" + c["id"].(string)), "stage": text("CONFIRMED"), "paymentStatus": text("PAID"), "fulfilmentStatus": text("UNFULFILLED"),
		"orderDate": text("2026-09-01"), "currency": text("AUD"), "taxMode": text("INCLUSIVE"), "lines": domain.ValueOf(lines), "subtotal": dollars("50.05"), "taxTotal": dollars("4.10"),
		"rounding": dollars("0.00"), "total": dollars("54.15"), "amountPaid": dollars("54.15"), "amountRefunded": dollars("0.00"), "reference": text("PO 7"), "email": text("mary@hartley.example"),
		"channel": text("web"), "notes": text("ring first"), "tags": `["trade","web"]`, "location": domain.Null,
		"billingAddress": domain.ValueOf(domain.Address{Lines: []string{"1 High Street"}, Suburb: "Kew", State: "VIC", Postcode: "3101", Country: "AU"})}
	same(t, "the order", r.Values, sold)
	if len(r.Unknown) > 0 {
		t.Errorf("unknown: %v", r.Unknown)
	}
	same(t, "stock after the sale", b.levelOf(elbow).Values, domain.Values{"available": text("17"), "committed": text("3"), "onHand": text("20"), "product": text("ext:" + elbow["id"].(string))})

	// A refund changes what is paid back and not what was sold.
	rf := b.put("refund", "", m{"orderId": o["id"], "lines": []m{{"sku": "CE-15", "quantity": 1}}, "shipping": "2.00", "note": "one was bent"})
	r = b.fetch(domain.KindOrder, o["id"])
	after := sold.Clone()
	after["paymentStatus"], after["amountRefunded"] = text("PARTIALLY_REFUNDED"), dollars("11.90")
	same(t, "the order after a refund", r.Values, after)
	same(t, "stock after the refund", b.levelOf(elbow).Values, domain.Values{"available": text("18"), "committed": text("2"), "onHand": text("20")})
	note := b.fetch(domain.KindCreditNote, rf["id"])
	same(t, "the credit note", note.Values, domain.Values{"customer": text("ext:" + c["id"].(string)), "order": text("ext:" + o["id"].(string)), "stage": text("PAID"), "issueDate": text("2026-09-01"),
		"currency": text("AUD"), "taxMode": text("INCLUSIVE"), "subtotal": dollars("10.82"), "taxTotal": dollars("1.08"), "total": dollars("11.90"), "remainingCredit": dollars("0.00"),
		"reference": text("#1001"), "reason": text("one was bent"), "lines": domain.ValueOf([]domain.Line{
			{Product: "ext:" + elbow["id"].(string), SKU: "CE-15", Description: "Product CE-15", Quantity: "1", UnitPrice: "9.9", TaxCode: "GST", Amount: "9.9", Tax: "0.9"},
			{Kind: "SHIPPING", Description: "Courier", Quantity: "1", UnitPrice: "2", TaxCode: "GST", Amount: "2", Tax: "0.18"}})})
	pays, _ := b.poll(domain.KindPayment, "")
	if len(pays) != 2 {
		t.Fatalf("%d payments, want the sale and the refund", len(pays))
	}
	same(t, "the sale", pays[0].Values, domain.Values{"direction": text("RECEIVED"), "amount": dollars("54.15"), "date": text("2026-09-01"), "method": text("shopify_payments"), "order": text("ext:" + o["id"].(string)),
		"customer": text("ext:" + c["id"].(string)), "stage": text("AUTHORISED"), "reference": text("#1001.1")})
	same(t, "the money back", pays[1].Values, domain.Values{"direction": text("REFUNDED"), "amount": dollars("11.90"), "order": text("ext:" + o["id"].(string))})

	// An edit takes a line off: it was not sold.
	b.put("order", o["id"].(string), m{"lines": []m{{"title": "Cutting", "quantity": 0}}})
	edited := b.fetch(domain.KindOrder, o["id"])
	same(t, "the order after an edit", edited.Values, domain.Values{"lines": domain.ValueOf([]domain.Line{lines[0], lines[1], lines[3]}), "total": dollars("48.65"), "taxTotal": dollars("3.60"), "subtotal": dollars("45.05")})
	check(t, edited)
}

// check verifies an order's figures as Datum does.
func check(t *testing.T, r domain.Record) {
	t.Helper()
	if err := domain.CheckDocument(r.Values); err != nil {
		t.Errorf("%v: %s", err, r.Values["lines"])
	}
	var total, tax money.Money
	if r.Values["total"].Decode(&total) != nil || r.Values["taxTotal"].Decode(&tax) != nil {
		t.Fatal("no figures")
	}
	var sum, taxes money.Money
	for _, l := range domain.LinesOf(r.Values["lines"]) {
		a, err := money.Parse(l.Amount, "AUD")
		if err != nil {
			t.Fatal(err)
		}
		sum.Amount = sum.Amount.Add(a.Amount)
		if l.Tax != "" {
			x, err := money.Parse(l.Tax, "AUD")
			if err != nil {
				t.Fatal(err)
			}
			taxes.Amount = taxes.Amount.Add(x.Amount)
		}
	}
	if r.Values["taxMode"].Text() == "EXCLUSIVE" {
		sum.Amount = sum.Amount.Add(taxes.Amount)
	}
	if !sum.Amount.Equal(total.Amount) || !taxes.Amount.Equal(tax.Amount) {
		t.Errorf("lines add up to %s with %s GST, the order says %s with %s", sum.Amount, taxes.Amount, total.Amount, tax.Amount)
	}
}

func TestOrderShapes(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{TaxesExcluded: true})
	b.stocked("A", "10.01", 500)
	var many []m
	for i := range 23 {
		many = append(many, m{"title": fmt.Sprintf("Line %02d", i), "price": "3.33", "quantity": i%4 + 1})
	}
	long := b.put("order", "", m{"email": "long@hartley.example", "lines": many})
	r := b.fetch(domain.KindOrder, long["id"])
	if n := len(domain.LinesOf(r.Values["lines"])); n != 23 || r.Values["taxMode"] != text("EXCLUSIVE") {
		t.Errorf("%d lines, %s", n, r.Values["taxMode"])
	}
	check(t, r)
	if r.Values["customer"].Empty() {
		t.Error("a buyer with an address became no customer")
	}

	cash := b.put("order", "", m{"lines": []m{{"sku": "A", "quantity": 3}}, "retail": true, "cashRounding": "-0.03"})
	r = b.fetch(domain.KindOrder, cash["id"])
	same(t, "cash at the counter", r.Values, domain.Values{"total": dollars("33.00"), "rounding": dollars("-0.03"), "subtotal": dollars("30.03"), "taxTotal": dollars("3.00"), "customer": domain.Null,
		"channel": text("pos"), "amountPaid": dollars("33.00"), "paymentStatus": text("PAID")})
	if r.Values["location"].Empty() {
		t.Error("the counter has no location")
	}
	same(t, "the cash", b.fetch(domain.KindPayment, cash["transactions"].([]any)[0]).Values, domain.Values{"amount": dollars("33.00"), "method": text("cash")})

	test := b.put("order", "", m{"lines": []m{{"sku": "A"}}, "test": true})
	_, err := b.a.Fetch(t.Context(), domain.KindOrder, test["id"].(string))
	is(t, "a test order", err, domain.NotFound)

	// Money only promised is no payment; once it comes it is.
	later := b.put("order", "", m{"lines": []m{{"sku": "A"}}, "financialStatus": "pending"})
	same(t, "a bank transfer on its way", b.fetch(domain.KindOrder, later["id"]).Values, domain.Values{"paymentStatus": text("UNPAID"), "amountPaid": dollars("0.00")})
	pay := later["transactions"].([]any)[0].(string)
	_, err = b.a.Fetch(t.Context(), domain.KindPayment, pay)
	is(t, "a pending payment", err, domain.NotFound)
	b.put("transaction", pay, m{"status": "success"})
	same(t, "it came", b.fetch(domain.KindPayment, pay).Values, domain.Values{"amount": dollars("11.01")})

	// A refund of money alone is an adjustment.
	rf := b.put("refund", "", m{"orderId": long["id"], "amount": "5.00", "note": "sorry"})
	same(t, "goodwill", b.fetch(domain.KindCreditNote, rf["id"]).Values, domain.Values{"total": dollars("5.00"), "taxTotal": dollars("0.00"),
		"lines": domain.ValueOf([]domain.Line{{Description: "Adjustment: REFUND_DISCREPANCY", Quantity: "1", UnitPrice: "5", TaxCode: "GST_FREE", Amount: "5"}})})
	// Goods back without money leave something to give.
	rf = b.put("refund", "", m{"orderId": long["id"], "lines": []m{{"title": "Line 03", "quantity": 2}}, "amount": 0})
	same(t, "goods alone", b.fetch(domain.KindCreditNote, rf["id"]).Values, domain.Values{"stage": text("AUTHORISED"), "total": dollars("7.33"), "remainingCredit": dollars("7.33"), "taxTotal": dollars("0.67")})
	check(t, b.fetch(domain.KindOrder, long["id"]))
}

// TestOrderFigures: whatever is bought, gifts and free delivery too, discounted, edited and given back, the lines add up to what Shopify says, and refunds
// leave the order as it was sold.
func TestOrderFigures(t *testing.T) {
	t.Parallel()
	benches := map[bool]*bench{false: newBench(t, shopifysim.Options{}), true: newBench(t, shopifysim.Options{TaxesExcluded: true})}
	rapid.Check(t, func(rt *rapid.T) {
		b := benches[rapid.Bool().Draw(rt, "excluded")]
		var lines []m
		for i := range rapid.IntRange(1, 13).Draw(rt, "lines") {
			n, price := rapid.IntRange(1, 9).Draw(rt, "quantity"), rapid.OneOf(rapid.Just(0), rapid.IntRange(1, 5), rapid.IntRange(1, 9999)).Draw(rt, "cents")
			lines = append(lines, m{"title": fmt.Sprint("Line ", i), "quantity": n, "price": fmt.Sprintf("%d.%02d", price/100, price%100), "taxable": rapid.Bool().Draw(rt, "taxable"),
				"discount": fmt.Sprintf("%d.%02d", n*price/400, n*price/4%100)})
		}
		o := b.put("order", "", m{"lines": lines, "shipping": rapid.SampledFrom([]string{"9.95", "0.00"}).Draw(rt, "shipping")})
		id := o["id"].(string)
		if rapid.Bool().Draw(rt, "edit") {
			i := rapid.IntRange(0, len(lines)-1).Draw(rt, "edited line")
			b.put("order", id, m{"lines": []m{{"title": lines[i]["title"], "quantity": lines[i]["quantity"].(int) - 1}}})
		}
		sold := b.fetch(domain.KindOrder, id)
		check(t, sold)
		for range rapid.IntRange(0, 3).Draw(rt, "refunds") {
			i := rapid.IntRange(0, len(lines)-1).Draw(rt, "refunded line")
			rf, err := b.sim.Put("refund", "", m{"orderId": id, "lines": []any{m{"title": lines[i]["title"], "quantity": 1}}})
			if err != nil {
				continue // nothing of it is left
			}
			check(t, b.fetch(domain.KindCreditNote, rf.(m)["id"]))
		}
		now := b.fetch(domain.KindOrder, id)
		check(t, now)
		for _, f := range []domain.Field{"lines", "total", "taxTotal", "subtotal"} {
			if now.Values[f] != sold.Values[f] {
				t.Errorf("a refund changed %s of the order from %s to %s", f, sold.Values[f], now.Values[f])
			}
		}
	})
}

func TestOrderPollAndList(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{})
	b.stocked("A", "11.00", 500)
	ids := map[string]bool{}
	var first string
	for i := range 20 {
		o := b.put("order", "", m{"lines": []m{{"sku": "A", "quantity": 1}}})
		ids[o["id"].(string)] = true
		if i == 0 {
			first = o["id"].(string)
		}
		if i%5 == 0 {
			b.put("refund", "", m{"orderId": o["id"], "lines": []m{{"sku": "A"}}})
		}
	}
	b.tick(time.Hour) // longer than a poll reaches back
	recs, cursor := b.poll(domain.KindOrder, "")
	if len(recs) != 20 {
		t.Errorf("a backfill has %d orders, want 20", len(recs))
	}
	b.put("order", first, m{"note": "call"})
	b.tick(time.Hour)
	recs, cursor = b.poll(domain.KindOrder, cursor)
	if len(recs) != 1 || recs[0].ExternalID != first || recs[0].Values["notes"] != text("call") {
		t.Errorf("after one edit a poll has %d orders", len(recs))
	}
	b.tick(time.Hour)
	if recs, _ = b.poll(domain.KindOrder, cursor); len(recs) != 0 {
		t.Errorf("with nothing new a poll has %d orders", len(recs))
	}
	for kind, want := range map[domain.Kind]int{domain.KindOrder: 20, domain.KindCreditNote: 4, domain.KindPayment: 24} {
		if recs, complete := b.list(kind); len(recs) != want || !complete {
			t.Errorf("the listing of %s has %d, complete %v; want %d", kind, len(recs), complete, want)
		}
	}
	recent := newBench(t, shopifysim.Options{Scopes: []string{"read_orders", "read_products", "write_products", "write_inventory", "read_customers", "write_customers", "read_inventory", "write_orders", "read_locations"}})
	recent.stocked("A", "11.00", 500)
	recent.put("order", "", m{"lines": []m{{"sku": "A"}}})
	recent.tick(61 * 24 * time.Hour)
	if recs, complete := recent.list(domain.KindOrder); len(recs) != 0 || complete {
		t.Errorf("an app that sees 60 days says that its listing of %d orders is complete: %v", len(recs), complete)
	}
}

func TestOrderWrites(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{})
	v := b.stocked("A", "11.00", 10)
	o := b.put("order", "", m{"lines": []m{{"sku": "A", "quantity": 4}}, "note": "old", "tags": "x"})
	r := b.fetch(domain.KindOrder, o["id"])
	out := b.update(r, domain.Values{"notes": text("new"), "tags": `["checked","x"]`})
	is(t, "tags and notes", out.Err, "")
	same(t, "tags and notes", out.Record.Values, domain.Values{"notes": text("new"), "tags": `["checked","x"]`, "total": dollars("44.00")})
	if now := b.fetch(domain.KindOrder, o["id"]); now.Version != out.Record.Version {
		t.Errorf("version %s, the answer said %s", now.Version, out.Record.Version)
	}
	is(t, "a total", b.update(r, domain.Values{"total": dollars("1.00")}).Err, domain.Unsupported)
	is(t, "a new order", b.write(adapters.Write{Kind: domain.KindOrder, Values: domain.Values{"notes": text("n")}}).Err, domain.Unsupported)
	is(t, "a draft", b.update(r, domain.Values{"stage": text("DRAFT")}).Err, domain.Invalid)
	for _, stage := range []string{"CLOSED", "CONFIRMED", "CANCELLED"} {
		out = b.update(out.Record, domain.Values{"stage": text(stage)})
		is(t, stage, out.Err, "")
		same(t, stage, out.Record.Values, domain.Values{"stage": text(stage)})
	}
	same(t, "stock of a cancelled order", b.levelOf(v).Values, domain.Values{"available": text("10"), "committed": text("0")})
	is(t, "back from cancelled", b.update(out.Record, domain.Values{"stage": text("CONFIRMED")}).Err, domain.Invalid)
	sent := b.put("order", "", m{"lines": []m{{"sku": "A"}}, "fulfilled": true})
	err := b.update(b.fetch(domain.KindOrder, sent["id"]), domain.Values{"stage": text("CANCELLED")}).Err
	is(t, "cancelling what is sent", err, domain.Invalid)
}

func TestCreditNoteWrite(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{})
	v := b.stocked("A", "11.00", 10)
	o := b.put("order", "", m{"lines": []m{{"sku": "A", "quantity": 4}, {"title": "Cutting", "price": "5.00"}}, "shipping": "10.00"})
	w := adapters.Write{Kind: domain.KindCreditNote, CanonicalID: domain.NewID("crn"), Key: "k1", Values: domain.Values{"order": text("ext:" + o["id"].(string)), "reason": text("two too many"),
		"lines": domain.ValueOf([]domain.Line{{Product: "ext:" + v["id"].(string), Quantity: "2", UnitPrice: "11"}, {Description: "Cutting", Quantity: "1", UnitPrice: "5"}, {Kind: "SHIPPING", Quantity: "1", UnitPrice: "4"}})}}
	out := b.write(w)
	is(t, "create", out.Err, "")
	same(t, "create", out.Record.Values, domain.Values{"total": dollars("31.00"), "remainingCredit": dollars("31.00"), "stage": text("AUTHORISED"), "reason": text("two too many"), "order": text("ext:" + o["id"].(string))})
	if out.Record.CanonicalID != w.CanonicalID {
		t.Errorf("canonical id %q", out.Record.CanonicalID)
	}
	again := b.write(w)
	is(t, "again", again.Err, "")
	if again.Record.ExternalID != out.Record.ExternalID || len(again.Record.Values.Diff(out.Record.Values)) > 0 {
		t.Errorf("the same refund again is %s with %s", again.Record.ExternalID, again.Record.Values.Diff(out.Record.Values))
	}
	for what, q := range map[string]adapters.Query{"by its order": {CanonicalID: w.CanonicalID, Values: w.Values}, "by our id alone": {CanonicalID: w.CanonicalID}} {
		found, err := b.Finder.Find(t.Context(), domain.KindCreditNote, []adapters.Query{q, {CanonicalID: domain.NewID("crn")}})
		if err != nil || len(found[0]) != 1 || found[0][0].ExternalID != out.Record.ExternalID || len(found[1]) != 0 {
			t.Errorf("%s: %v %v", what, found, err)
		}
	}
	w.CanonicalID, w.Key = domain.NewID("crn"), "k2"
	w.Values["lines"] = domain.ValueOf([]domain.Line{{Product: "ext:" + v["id"].(string), Quantity: "3", UnitPrice: "11"}})
	is(t, "more than is left", b.write(w).Err, domain.Invalid)
	is(t, "a change", b.update(out.Record, domain.Values{"reason": text("x")}).Err, domain.Unsupported)
	w.Values["order"] = text("ext:1")
	is(t, "an order that is not there", b.write(w).Err, domain.NotFound)
}
