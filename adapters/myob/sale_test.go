package myob_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datum/adapters"
	"datum/adapters/myob"
	"datum/adapters/myobsim"
	"datum/adapters/rest"
	"datum/adapters/sim"
	"datum/domain"
)

// shop is a file with customers and items, and one invoice of 110.00 if that is wanted.
func shop(t *testing.T, o myobsim.Options, settings map[string]string) *fixture {
	t.Helper()
	if settings == nil {
		settings = map[string]string{"otherItem": "MISC"}
	}
	f := setup(t, o, settings)
	seed(f.sim, false)
	return f
}

func ext(uid string) domain.Value { return domain.TextValue(domain.Ext(uid)) }

// document is the creation of an invoice or credit note of the lines.
func document(kind domain.Kind, lines ...domain.Line) adapters.Write {
	ki, _ := kind.Info()
	v := domain.Values{"customer": ext(aCustomer), "issueDate": `"2026-03-31"`, "taxMode": `"INCLUSIVE"`, "lines": domain.ValueOf(lines)}
	return adapters.Write{Kind: kind, CanonicalID: domain.NewID(ki.Prefix), Values: v, Golden: v}
}

func of(product, quantity, price string) domain.Line {
	return domain.Line{Product: domain.Ext(product), Quantity: quantity, UnitPrice: price, TaxCode: "GST"}
}

// pay is the creation of a payment.
func pay(direction string, amount string, to domain.Allocation) adapters.Write {
	to.Amount = amount
	v := domain.Values{"direction": domain.TextValue(direction), "customer": ext(aCustomer), "date": `"2026-04-02"`,
		"amount": domain.ValueOf(map[string]string{"amount": amount + ".00", "currency": "AUD"}), "allocations": domain.ValueOf([]domain.Allocation{to})}
	return adapters.Write{Kind: domain.KindPayment, CanonicalID: domain.NewID("pay"), Values: v, Golden: v}
}

func change(r domain.Record, v domain.Values) adapters.Write {
	return adapters.Write{Kind: r.Kind, CanonicalID: r.CanonicalID, ExternalID: r.ExternalID, Base: &r, Values: v, Golden: v}
}

func (f *fixture) get(kind domain.Kind, id string) domain.Record {
	f.Helper()
	r, err := f.a.Fetch(ctx, kind, id)
	if err != nil {
		f.Fatal(err)
	}
	return r
}

func (f *fixture) amounts(what string, r domain.Record, want map[domain.Field]string) {
	f.Helper()
	for field, amount := range want {
		if v := domain.ValueOf(map[string]string{"amount": amount, "currency": "AUD"}); r.Values[field] != v {
			f.Errorf("%s: %s is %s, want %s", what, field, r.Values[field], amount)
		}
	}
}

// quiet polls until nothing of the overlap is left, and returns where the next poll begins.
func (f *fixture) quiet(kind domain.Kind) (cursor string) {
	f.Helper()
	for range 3 {
		_, cursor = f.news(kind, cursor)
		f.sim.Advance(10 * time.Second)
	}
	return cursor
}

// news polls a kind from the cursor to the present; each record comes once, in its last state.
func (f *fixture) news(kind domain.Kind, cursor string) (rs []domain.Record, next string) {
	f.Helper()
	for {
		p, err := f.a.Changes(ctx, kind, cursor)
		if err != nil {
			f.Fatal(err)
		}
		for _, r := range p.Records {
			rs = append(slices.DeleteFunc(rs, func(x domain.Record) bool { return x.ExternalID == r.ExternalID }), r)
		}
		if cursor = p.Cursor; !p.More {
			return rs, cursor
		}
	}
}

// TestRounding: the issuer's figures are kept: MYOB rounds lines to cents and their tax once (GST Act 1999 s 9-90(2)(a)).
func TestRounding(t *testing.T) {
	t.Parallel()
	f := shop(t, myobsim.Options{}, nil)
	line := of(pipe, "1", "19.95")
	for mode, want := range map[string]map[domain.Field]string{
		"EXCLUSIVE": {"subtotal": "59.85", "taxTotal": "5.99", "total": "65.84", "amountDue": "65.84"},
		"INCLUSIVE": {"subtotal": "54.41", "taxTotal": "5.44", "total": "59.85", "amountDue": "59.85"},
	} {
		w := document(domain.KindInvoice, line, line, line)
		w.Values["taxMode"] = domain.TextValue(mode)
		r := f.must(w)
		f.amounts(mode, r, want)
		if r.Values["taxMode"] != domain.TextValue(mode) || r.Values["stage"] != `"AUTHORISED"` || r.Values["number"].Empty() || r.Values["dueDate"] != `"2026-04-30"` {
			t.Errorf("%s: %v", mode, map[domain.Field]domain.Value(r.Values))
		}
	}
	w := document(domain.KindInvoice, domain.Line{Product: domain.Ext(pipe), Quantity: "2", UnitPrice: "5"})
	w.Values["taxMode"] = `"NO_TAX"`
	r := f.must(w)
	f.amounts("no tax", r, map[domain.Field]string{"subtotal": "10.00", "taxTotal": "0.00", "total": "10.00"})
	if l := domain.LinesOf(r.Values["lines"]); r.Values["taxMode"] != `"EXCLUSIVE"` || len(l) != 1 || l[0].TaxCode != "OUT_OF_SCOPE" {
		t.Errorf("no tax: %s %v", r.Values["taxMode"], l)
	}
}

// TestPaid: a payment shows at the invoice at the next poll although MYOB does not stamp the invoice, and again when it is
// deleted, at the next fetch.
func TestPaid(t *testing.T) {
	t.Parallel()
	f := shop(t, myobsim.Options{}, map[string]string{"overlap": "1s"})
	inv := f.must(document(domain.KindInvoice, of(pipe, "1", "110")))
	cursor := f.quiet(domain.KindInvoice)
	if rs, next := f.news(domain.KindInvoice, cursor); len(rs) != 0 {
		t.Errorf("nothing happened, and %d invoices are news", len(rs))
	} else {
		cursor = next
	}
	part := f.must(pay("RECEIVED", "60", domain.Allocation{Invoice: domain.Ext(inv.ExternalID)}))
	rs, cursor := f.news(domain.KindInvoice, cursor)
	if len(rs) != 1 || rs[0].ExternalID != inv.ExternalID || rs[0].Version == inv.Version || !rs[0].ModifiedAt.Equal(inv.ModifiedAt) {
		t.Fatalf("after a payment %d invoices are news", len(rs))
	}
	f.amounts("partly paid", rs[0], map[domain.Field]string{"total": "110.00", "amountDue": "50.00"})
	f.must(pay("RECEIVED", "50", domain.Allocation{Invoice: domain.Ext(inv.ExternalID)}))
	if rs, _ = f.news(domain.KindInvoice, cursor); len(rs) != 1 || rs[0].Values["stage"] != `"PAID"` {
		t.Errorf("all paid: %d", len(rs))
	}
	// An edit after a payment needs the RowVersion that the payment has moved.
	if r := f.must(change(inv, domain.Values{"notes": `"thank you"`})); r.Values["stage"] != `"PAID"` || r.Values["notes"] != `"thank you"` {
		t.Errorf("%v", r.Values)
	}
	if o := f.write(change(inv, domain.Values{"stage": `"VOIDED"`})); domain.CodeOf(o.Err) != domain.Unavailable {
		t.Errorf("voiding what was not known to be paid: %v", o.Err)
	}
	if o := f.write(change(f.get(domain.KindInvoice, inv.ExternalID), domain.Values{"stage": `"VOIDED"`})); domain.CodeOf(o.Err) != domain.Invalid || !strings.Contains(o.Err.Error(), "payments") {
		t.Errorf("voiding what is paid: %v", o.Err)
	}
	if o := f.write(change(part, domain.Values{"stage": `"VOIDED"`})); o.Err != nil || !o.Record.Deleted || o.Record.Values["stage"] != `"VOIDED"` {
		t.Errorf("voiding a payment: %v %v", o.Err, o.Record)
	}
	if o := f.write(change(part, domain.Values{"stage": `"VOIDED"`})); o.Err != nil || !o.Record.Deleted {
		t.Errorf("voiding it again: %v", o.Err)
	}
	f.amounts("after that", f.get(domain.KindInvoice, inv.ExternalID), map[domain.Field]string{"amountDue": "60.00"})
	for name, w := range map[string]adapters.Write{
		"more than is due":          pay("RECEIVED", "61", domain.Allocation{Invoice: domain.Ext(inv.ExternalID)}),
		"an invoice that is none":   pay("RECEIVED", "1", domain.Allocation{Invoice: domain.Ext(pipe)}),
		"without an account":        pay("REFUNDED", "1", domain.Allocation{CreditNote: domain.Ext(inv.ExternalID)}),
		"a refund of an invoice":    pay("REFUNDED", "1", domain.Allocation{Invoice: domain.Ext(inv.ExternalID)}),
		"a payment of credit notes": pay("RECEIVED", "1", domain.Allocation{CreditNote: domain.Ext(inv.ExternalID)}),
	} {
		if o := f.write(w); domain.CodeOf(o.Err) != domain.Invalid {
			t.Errorf("%s: %v", name, o.Err)
		}
	}
	w := pay("RECEIVED", "10", domain.Allocation{Invoice: domain.Ext(inv.ExternalID)})
	w.Values["amount"] = `{"amount":"12.00","currency":"AUD"}`
	if o := f.write(w); domain.CodeOf(o.Err) != domain.Invalid || domain.AsError(o.Err).Field != "amount" || !strings.Contains(o.Err.Error(), "10.00") {
		t.Errorf("an over-payment: %v", o.Err)
	}
	// What voids never makes anything.
	w.Values = domain.Values{"stage": `"VOIDED"`}
	if o := f.write(w); domain.CodeOf(o.Err) != domain.Invalid || f.sim.Stats().CreatesOf["payments"] != 2 {
		t.Errorf("a voided payment that was never there: %v, %v", o.Err, f.sim.Stats().CreatesOf)
	}
}

// TestCredit: a credit note is an invoice with negative lines; it is used up by settlements and refunds, which its poll notices.
func TestCredit(t *testing.T) {
	t.Parallel()
	f := shop(t, myobsim.Options{}, map[string]string{"otherItem": "MISC", "depositAccount": "1-1110", "overlap": "1s"})
	inv := f.must(document(domain.KindInvoice, of(pipe, "1", "110")))
	w := document(domain.KindCreditNote, of(pipe, "2", "40"), domain.Line{Kind: "SHIPPING", UnitPrice: "8", Quantity: "1", TaxCode: "GST"})
	w.Values["allocations"] = domain.ValueOf([]domain.Allocation{{Invoice: domain.Ext(inv.ExternalID), Amount: "30", Date: "2026-04-01"}})
	w.Values["reason"] = `"two were cracked"`

	// A dry run shows the settlement of a credit note that is not there yet.
	dry := &rest.Recorder{Rehearse: myob.Vendor().Rehearse}
	f.ab.Writer.Write(rest.WithGuard(t.Context(), dry), []adapters.Write{w})
	if steps := dry.Steps(); len(steps) != 2 || !strings.HasSuffix(steps[1].Path, "/Sale/CreditSettlement") || !strings.Contains(steps[1].Body, `"CreditFromInvoice":{"UID":"id-from-step-1"}`) {
		t.Errorf("the steps are %+v", steps)
	}

	// The answer to the settlement is lost: the repetition makes neither a second credit note nor a second settlement.
	f.fault(sim.Fault{Kind: sim.FaultReset, Method: "POST", Path: "/Sale/CreditSettlement", Count: 1})
	if o := f.write(w); domain.CodeOf(o.Err) != domain.Unknown {
		t.Fatalf("a settlement without an answer: %v", o.Err)
	}
	crn := f.must(w)
	if c := f.sim.Stats().CreatesOf; c["creditnotes"] != 1 || c["settlements"] != 1 {
		t.Errorf("created: %v", c)
	}
	f.amounts("credit note", crn, map[domain.Field]string{"total": "88.00", "taxTotal": "8.00", "subtotal": "80.00", "remainingCredit": "58.00"})
	if l := domain.LinesOf(crn.Values["lines"]); len(l) != 2 || l[0].Quantity != "2" || l[0].UnitPrice != "40" || l[0].Amount != "80" || l[1].Kind != "SHIPPING" || l[1].UnitPrice != "8" {
		t.Errorf("lines: %v", l)
	}
	if crn.Values["stage"] != `"AUTHORISED"` || crn.Values["reason"] != `"two were cracked"` || !strings.Contains(string(crn.Raw), `"ShipQuantity":-2`) {
		t.Errorf("%v", crn.Values)
	}
	f.amounts("invoice", f.get(domain.KindInvoice, inv.ExternalID), map[domain.Field]string{"amountDue": "80.00"})

	cursor, invCursor := f.quiet(domain.KindCreditNote), f.quiet(domain.KindInvoice)
	back := f.must(pay("REFUNDED", "28", domain.Allocation{CreditNote: domain.Ext(crn.ExternalID)}))
	if back.Values["direction"] != `"REFUNDED"` || back.Values["account"] != `"1-1110"` || back.CanonicalID == "" {
		t.Errorf("refund: %v", back.Values)
	}
	rs, cursor := f.news(domain.KindCreditNote, cursor)
	if len(rs) != 1 || rs[0].ExternalID != crn.ExternalID {
		t.Fatalf("after a refund %d credit notes are news", len(rs))
	}
	f.amounts("after a refund", rs[0], map[domain.Field]string{"remainingCredit": "30.00"})

	// The rest is allocated to the invoice, and what was allocated before is put right.
	crn = f.must(change(rs[0], domain.Values{"allocations": domain.ValueOf([]domain.Allocation{{Invoice: domain.Ext(inv.ExternalID), Amount: "60"}})}))
	f.amounts("used up", crn, map[domain.Field]string{"remainingCredit": "0.00"})
	if crn.Values["stage"] != `"PAID"` || crn.Values["allocations"] != domain.ValueOf([]domain.Allocation{{Invoice: domain.Ext(inv.ExternalID), Amount: "60"}}) {
		t.Errorf("used up: %v", crn.Values)
	}
	if rs, _ = f.news(domain.KindInvoice, invCursor); len(rs) != 1 || rs[0].ExternalID != inv.ExternalID {
		t.Errorf("after a settlement %d invoices are news", len(rs))
	}
	if rs, _ = f.news(domain.KindCreditNote, cursor); len(rs) != 1 {
		t.Errorf("after a settlement %d credit notes are news", len(rs))
	}
	o := f.write(change(crn, domain.Values{"allocations": domain.ValueOf([]domain.Allocation{{Invoice: domain.Ext(inv.ExternalID), Amount: "500"}})}))
	if domain.CodeOf(o.Err) != domain.Invalid {
		t.Errorf("more than the credit: %v", o.Err)
	}

	// The two are told apart by their totals.
	for kind, id := range map[domain.Kind]string{domain.KindInvoice: crn.ExternalID, domain.KindCreditNote: inv.ExternalID} {
		if _, err := f.a.Fetch(ctx, kind, id); domain.CodeOf(err) != domain.NotFound {
			t.Errorf("%s %s: %v", kind, id, err)
		}
		if rs, err := f.ab.BatchFetcher.FetchMany(ctx, kind, []string{id}); err != nil || len(rs) != 0 {
			t.Errorf("%s %s among many: %v %v", kind, id, rs, err)
		}
	}
	for _, id := range []string{back.ExternalID} {
		if rs, err := f.ab.BatchFetcher.FetchMany(ctx, domain.KindPayment, []string{id}); err != nil || len(rs) != 1 || rs[0].ExternalID != id {
			t.Errorf("a refund among many: %v %v", rs, err)
		}
		f.get(domain.KindPayment, id)
	}
	if p, err := f.ab.Sweeper.List(ctx, domain.KindPayment, ""); err != nil || !p.More || p.Complete {
		t.Errorf("payments listed without refunds: %+v %v", p, err)
	} else if p, err = f.ab.Sweeper.List(ctx, domain.KindPayment, p.Cursor); err != nil || !p.Complete || len(p.Records) != 1 {
		t.Errorf("refunds listed: %+v %v", p, err)
	}
	found, err := f.ab.Finder.Find(ctx, domain.KindPayment, []adapters.Query{{CanonicalID: back.CanonicalID}})
	if err != nil || len(found[0]) != 1 || found[0][0].ExternalID != back.ExternalID {
		t.Errorf("a refund by our id: %v %v", found, err)
	}
}

// TestOtherLayouts are read, and their lines are left to MYOB.
func TestOtherLayouts(t *testing.T) {
	t.Parallel()
	f := shop(t, myobsim.Options{}, nil)
	account := func(id string) props {
		t.Helper()
		items, err := f.sim.Account(id)
		if err != nil {
			t.Fatal(err)
		}
		return items
	}
	o, err := f.sim.Put("serviceinvoices", "", props{"Customer": props{"UID": aCustomer}, "Date": "2026-03-31", "Lines": []any{
		props{"Type": "Header", "Description": "March"}, props{"Description": "Advice", "Total": 220, "Account": account("4-2000"), "TaxCode": props{"UID": ""}},
		props{"Type": "SubTotal"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	id := o.(map[string]any)["UID"].(string)
	r := f.get(domain.KindInvoice, id)
	want := domain.ValueOf([]domain.Line{{Kind: "TEXT", Description: "March"}, {Description: "Advice", Quantity: "1", UnitPrice: "220", TaxCode: "GST", Amount: "220", Account: "4-2000"}})
	if r.Values["lines"] != want || len(r.Issues) > 0 || len(r.Unknown) > 0 {
		t.Errorf("%s, want %s (%v %v)", r.Values["lines"], want, r.Issues, r.Unknown)
	}
	if rs, _ := f.news(domain.KindInvoice, ""); len(rs) != 1 || rs[0].Values["lines"] != want {
		t.Errorf("polled: %d", len(rs))
	}
	if r = f.must(change(r, domain.Values{"reference": `"PO 7"`})); r.Values["reference"] != `"PO 7"` || r.Values["lines"] != want {
		t.Errorf("%v", r.Values)
	}
	if o := f.write(change(r, domain.Values{"lines": domain.ValueOf([]domain.Line{of(pipe, "1", "1")})})); domain.CodeOf(o.Err) != domain.Invalid || !strings.Contains(o.Err.Error(), "Service") {
		t.Errorf("other lines: %v", o.Err)
	}
}

// TestLinesKeepTheirRows: lines that stay keep what only MYOB knows of them.
func TestLinesKeepTheirRows(t *testing.T) {
	t.Parallel()
	f := shop(t, myobsim.Options{}, nil)
	r := f.must(document(domain.KindInvoice, of(pipe, "1", "10"), of(valve, "2", "20")))
	rows := func(r domain.Record) map[string]string {
		o, err := adapters.ParseObject(r.Raw)
		if err != nil {
			t.Fatal(err)
		}
		by := map[string]string{}
		for _, x := range o["Lines"].([]any) {
			l := x.(map[string]any)
			by[adapters.String(l["Item"].(map[string]any), "Number")] = adapters.String(l, "RowID")
		}
		return by
	}
	before := rows(r)
	r = f.must(change(r, domain.Values{"lines": domain.ValueOf([]domain.Line{of(valve, "3", "20"), {Description: "Labour", Quantity: "1", UnitPrice: "5", TaxCode: "GST"}})}))
	after := rows(r)
	if after["VALVE"] != before["VALVE"] || after["PIPE-20"] != "" || after["MISC"] == "" || len(after) != 2 {
		t.Errorf("rows %v became %v", before, after)
	}
	f.amounts("new lines", r, map[domain.Field]string{"total": "65.00"})

	a, err := myob.Vendor().Open(f.session(nil))
	if err != nil {
		t.Fatal(err)
	}
	w := document(domain.KindInvoice, domain.Line{Description: "Labour", Quantity: "1", UnitPrice: "5", TaxCode: "GST"})
	if o := adapters.AbilitiesOf(a).Writer.Write(ctx, []adapters.Write{w})[0]; domain.CodeOf(o.Err) != domain.Invalid || !strings.Contains(o.Err.Error(), "otherItem") || domain.AsError(o.Err).Field != "lines" {
		t.Errorf("a line without an item: %v", o.Err)
	}
}

// TestDeliveryGivenBack: a credit note of delivery alone has a line all the same.
func TestDeliveryGivenBack(t *testing.T) {
	t.Parallel()
	f := shop(t, myobsim.Options{}, nil)
	r := f.must(document(domain.KindCreditNote, domain.Line{Kind: "SHIPPING", Description: "Courier", Quantity: "1", UnitPrice: "11", TaxCode: "GST"}))
	f.amounts("delivery", r, map[domain.Field]string{"total": "11.00", "taxTotal": "1.00", "remainingCredit": "11.00"})
	if l := domain.LinesOf(r.Values["lines"]); len(l) != 1 || l[0].Description != "Courier" || l[0].UnitPrice != "11" {
		t.Errorf("%v", l)
	}
}

// TestTheWrongSign: what MYOB would take for another kind of document is not sent; a repetition would not find it again.
func TestTheWrongSign(t *testing.T) {
	t.Parallel()
	f := shop(t, myobsim.Options{}, nil)
	free := of(pipe, "1", "10")
	free.TaxCode = "GST_FREE"
	inv, crn := document(domain.KindInvoice, free, of(valve, "1", "-9.50")), document(domain.KindCreditNote, of(pipe, "1", "0"))
	inv.Values["taxMode"] = `"EXCLUSIVE"` // 10.00 - 9.50 - 0.95
	for _, w := range []adapters.Write{inv, crn} {
		if o := f.write(w); domain.CodeOf(o.Err) != domain.Invalid || domain.AsError(o.Err).Field != "lines" {
			t.Errorf("%s: %v", w.Kind, o.Err)
		}
	}
	r := f.must(document(domain.KindInvoice, free, of(valve, "1", "-9.50")))
	if o := f.write(change(r, domain.Values{"taxMode": `"EXCLUSIVE"`})); domain.CodeOf(o.Err) != domain.Invalid {
		t.Errorf("turned round: %v", o.Err)
	}
	if c := f.sim.Stats().CreatesOf; c["invoices"] != 1 || c["creditnotes"] != 0 {
		t.Errorf("created: %v", c)
	}
}

// TestReceiptsRepeat: the number of a receipt is the payer's own, and two payments may have it.
func TestReceiptsRepeat(t *testing.T) {
	t.Parallel()
	f := shop(t, myobsim.Options{}, nil)
	inv := f.must(document(domain.KindInvoice, of(pipe, "1", "110")))
	var ids []string
	for _, amount := range []string{"10", "20"} {
		w := pay("RECEIVED", amount, domain.Allocation{Invoice: domain.Ext(inv.ExternalID)})
		w.Values["reference"] = `"EFT"`
		ids = append(ids, f.must(w).ExternalID)
		found, err := f.ab.Finder.Find(ctx, domain.KindPayment, []adapters.Query{{CanonicalID: domain.NewID("pay"), Values: w.Values}})
		if err != nil || len(found[0]) != 1 || found[0][0].ExternalID != ids[len(ids)-1] {
			t.Errorf("%s found: %d, %v", amount, len(found[0]), err)
		}
	}
	if ids[0] == ids[1] {
		t.Error("the second payment became the first")
	}
}

// TestNumberTaken: a number that another invoice has is a conflict, not a second invoice.
func TestNumberTaken(t *testing.T) {
	t.Parallel()
	f := shop(t, myobsim.Options{}, nil)
	first := document(domain.KindInvoice, of(pipe, "1", "10"))
	first.Values["number"] = `"INV-1"`
	f.must(first)
	second := document(domain.KindInvoice, of(pipe, "1", "10"))
	second.Values["number"] = `"INV-1"`
	if o := f.write(second); domain.CodeOf(o.Err) != domain.Conflict {
		t.Errorf("%v", o.Err)
	}
	product := adapters.Write{Kind: domain.KindProduct, CanonicalID: domain.NewID("prd"), Values: domain.Values{"sku": `"VALVE"`, "name": `"Another valve"`}}
	if o := f.write(product); domain.CodeOf(o.Err) != domain.Conflict || !strings.Contains(o.Err.Error(), valve) {
		t.Errorf("%v", o.Err)
	}
}

// TestLockedAndReversed: a locked period and a file that only reverses refuse in words that say what to do.
func TestLockedAndReversed(t *testing.T) {
	t.Parallel()
	f := shop(t, myobsim.Options{}, nil)
	lock := time.Date(time.Now().Year()-1, time.July, 1, 0, 0, 0, 0, time.UTC).Format(time.DateOnly)
	w := document(domain.KindInvoice, of(pipe, "1", "10"))
	w.Values["issueDate"] = `"2020-01-01"`
	if o := f.write(w); domain.CodeOf(o.Err) != domain.Forbidden || !strings.Contains(o.Err.Error(), lock) {
		t.Errorf("a locked period: %v", o.Err)
	}
	last := fmt.Sprint(time.Now().Year()-1, "-06-30") // the day before the one that MYOB names
	if h, err := f.ab.Checker.Check(ctx); err != nil || h.LockedUntil != last {
		t.Errorf("locked until %q: %v", h.LockedUntil, err)
	}
	if day, err := f.ab.Locker.LockedUntil(ctx); err != nil || day != last {
		t.Errorf("locked until %q: %v", day, err)
	}
	f = shop(t, myobsim.Options{MustReverse: true}, nil)
	r := f.must(document(domain.KindInvoice, of(pipe, "1", "10")))
	for _, v := range []domain.Values{{"stage": `"VOIDED"`}, {"reference": `"x"`}} {
		if o := f.write(change(r, v)); domain.CodeOf(o.Err) != domain.Invalid || !strings.Contains(o.Err.Error(), "reversed") {
			t.Errorf("%v: %v", v, o.Err)
		}
	}
	if h, err := f.ab.Checker.Check(ctx); err != nil || h.Details["transactionsMustBeReversed"] == "" {
		t.Errorf("%v %v", h, err)
	}
}

// TestStage: what MYOB does not know as a stage is not written to it.
func TestStage(t *testing.T) {
	t.Parallel()
	f := shop(t, myobsim.Options{}, nil)
	w := document(domain.KindInvoice, of(pipe, "1", "10"))
	w.Values["stage"] = `"DRAFT"`
	r := f.must(w)
	if m := myob.Vendor().Carried(domain.KindInvoice); r.Values["stage"] != m.Fit(w.Values)["stage"] {
		t.Errorf("a draft is %s", r.Values["stage"])
	}
	f.must(pay("RECEIVED", "10", domain.Allocation{Invoice: domain.Ext(r.ExternalID)}))
	f.must(change(r, domain.Values{"stage": `"PAID"`}))
	if o := f.write(adapters.Write{Kind: r.Kind, ExternalID: r.ExternalID, Values: domain.Values{"stage": `"AUTHORISED"`}}); domain.CodeOf(o.Err) != domain.Invalid {
		t.Errorf("opening what is paid: %v", o.Err)
	}
	crn := f.must(document(domain.KindCreditNote, of(pipe, "1", "10")))
	if o := f.write(change(crn, domain.Values{"stage": `"VOIDED"`})); o.Err != nil || !o.Record.Deleted {
		t.Errorf("voiding a credit note: %v", o.Err)
	}
	if _, err := f.a.Fetch(ctx, domain.KindCreditNote, crn.ExternalID); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("it is still there: %v", err)
	}
}

// TestLimitIsTold: the session learns from a 403 that it calls too often, so that all of them wait.
func TestLimitIsTold(t *testing.T) {
	t.Parallel()
	v := myob.Vendor()
	for body, want := range map[string]domain.Code{
		`{"Errors":[{"Name":"RateLimitError","Message":"API key has exceeded the per-second rate limit"}]}`: domain.RateLimited,
		`{"Errors":[{"Name":"RateLimitError","Message":"API key has exceeded the daily rate limit"}]}`:      "",
		`{"Errors":[{"Name":"AccessDenied","Message":"You are not authorised to access this resource"}]}`:   "",
		`<html>`: "",
	} {
		if got := v.Meaning(&adapters.Response{Status: 403, Body: []byte(body)}); got != want {
			t.Errorf("%s: %q", body, got)
		}
		if got := v.Meaning(&adapters.Response{Status: 400, Body: []byte(body)}); got != "" {
			t.Errorf("400 %s: %q", body, got)
		}
	}
}
