package xero_test

import (
	"context"
	"testing"

	"github.com/shopspring/decimal"

	"datum/adapters"
	"datum/adapters/sim"
	"datum/domain"
)

// receipt is a payment of 250 for two invoices of 110, with 30 that stay on the customer's account.
func receipt(f *fixture) (w adapters.Write, who string, a, b domain.Record) {
	f.Helper()
	who = f.party("Payer")
	a, b = f.must(sale(domain.KindInvoice, who, nil)), f.must(sale(domain.KindInvoice, who, nil))
	w = payment("invoice", a.ExternalID, "250", domain.Values{"customer": domain.TextValue(who), "reference": `"Bank 77"`, "allocations": domain.ValueOf([]domain.Allocation{
		{Amount: "30"}, {Invoice: domain.Ext(a.ExternalID), Amount: "110"}, {Invoice: domain.Ext(b.ExternalID), Amount: "110"}})})
	return w, who, a, b
}

func amountIs(t *testing.T, r domain.Record, f domain.Field, want string) {
	t.Helper()
	var m struct{ Amount decimal.Decimal }
	if err := r.Values[f].Decode(&m); err != nil || !m.Amount.Equal(decimal.RequireFromString(want)) {
		t.Errorf("%s of %s is %s, want %s", f, r.ExternalID, r.Values[f], want)
	}
}

// One amount at the bank pays two invoices and leaves a rest on the customer's account; it reads back as the one payment it is,
// can be allocated otherwise, and voided.
func TestPaymentOfSeveralInvoices(t *testing.T) {
	t.Parallel()
	f := setup(t, map[string]string{"pageSize": "1"})
	w, who, a, b := receipt(f)
	out := f.write(w)[0]
	if out.Err != nil || !out.Created || out.Record.CanonicalID != w.CanonicalID {
		t.Fatalf("%+v", out)
	}
	norm := func(v domain.Value) domain.Value {
		ki, _ := domain.KindPayment.Info()
		fi, _ := ki.Field("allocations")
		n, issues := domain.Normalize(fi, v)
		if len(issues) > 0 {
			t.Errorf("allocations: %v", issues)
		}
		return n
	}
	for what, r := range map[string]domain.Record{"answer": out.Record, "read": f.read(out.Record)} {
		for _, x := range []domain.Field{"customer", "date", "amount", "reference"} {
			if r.Values[x] != w.Values[x] {
				t.Errorf("%s: %s is %s, want %s", what, x, r.Values[x], w.Values[x])
			}
		}
		if norm(r.Values["allocations"]) != norm(w.Values["allocations"]) || r.Values["direction"] != `"RECEIVED"` || r.Values["stage"] != `"AUTHORISED"` {
			t.Errorf("%s: %v", what, r.Values)
		}
		if len(r.Issues)+len(r.Unknown) > 0 {
			t.Errorf("%s: %v %v", what, r.Issues, r.Unknown)
		}
	}
	for _, inv := range []domain.Record{a, b} {
		r := f.read(inv)
		if r.Values["stage"] != `"PAID"` {
			t.Errorf("an invoice is %s", r.Values["stage"])
		}
		amountIs(t, r, "amountPaid", "110")
		amountIs(t, r, "amountCredited", "0")
		amountIs(t, r, "amountDue", "0")
	}

	// It is found by our id, and in every kind of reading, once.
	found, err := f.ab.Finder.Find(context.Background(), domain.KindPayment, []adapters.Query{{CanonicalID: w.CanonicalID}, {CanonicalID: domain.NewID("pay")}})
	if err != nil || len(found[0]) != 1 || found[0][0].ExternalID != out.Record.ExternalID || len(found[1]) != 0 {
		t.Errorf("found %v, %v", found, err)
	}
	single := f.must(sale(domain.KindInvoice, who, nil))
	f.must(payment("invoice", single.ExternalID, "110", nil))
	for what, read := range map[string]func(context.Context, domain.Kind, string) (adapters.Page, error){"changes": f.a.Changes, "list": f.ab.Sweeper.List} {
		var ids []string
		var p adapters.Page
		for p.More = true; p.More; {
			if p, err = read(context.Background(), domain.KindPayment, p.Cursor); err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Records {
				ids = append(ids, r.ExternalID)
			}
		}
		if len(ids) != 2 || ids[1] != out.Record.ExternalID || what == "list" && !p.Complete {
			t.Errorf("%s: %v, complete %t", what, ids, p.Complete)
		}
	}
	if many, err := f.ab.BatchFetcher.FetchMany(context.Background(), domain.KindPayment, []string{out.Record.ExternalID}); err != nil || len(many) != 1 {
		t.Errorf("%v, %v", many, err)
	}

	// What was on the account pays a third invoice.
	c := f.must(sale(domain.KindInvoice, who, nil))
	all := domain.ValueOf([]domain.Allocation{{Invoice: domain.Ext(a.ExternalID), Amount: "110"}, {Invoice: domain.Ext(b.ExternalID), Amount: "110"}, {Invoice: domain.Ext(c.ExternalID), Amount: "30"}})
	if again := f.change(out.Record, domain.Values{"allocations": all}); again.Err != nil || again.Created {
		t.Errorf("%+v", again)
	}
	amountIs(t, f.read(c), "amountPaid", "30")
	f.refuses("another amount", f.change(out.Record, domain.Values{"amount": `{"amount":"1.00","currency":"AUD"}`}).Err, domain.Unsupported, "void it and make another")
	gone := f.change(f.read(out.Record), domain.Values{"stage": `"VOIDED"`})
	if gone.Err != nil || gone.Record.Values["stage"] != `"VOIDED"` {
		t.Errorf("%+v", gone)
	}
	amountIs(t, f.read(a), "amountDue", "110")
}

// A payment whose answer is lost is found again by our id and is not made twice; its allocations are brought about then.
func TestLostPaymentOfSeveralInvoices(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/BankTransactions", "/Allocations"} {
		f := setup(t, nil)
		w, _, a, b := receipt(f)
		if _, err := f.sim.AddFault(sim.Fault{Kind: sim.FaultReset, Method: "PUT", Path: path, Count: 1}); err != nil {
			t.Fatal(err)
		}
		if err := f.write(w)[0].Err; domain.CodeOf(err) != domain.Unknown {
			t.Fatalf("%s: %v, want %s", path, err, domain.Unknown)
		}
		found, err := f.ab.Finder.Find(context.Background(), domain.KindPayment, []adapters.Query{{CanonicalID: w.CanonicalID}})
		if err != nil || len(found[0]) != 1 {
			t.Fatalf("%s: found %v, %v", path, found, err)
		}
		if out := f.change(found[0][0], domain.Values{"allocations": w.Values["allocations"]}); out.Err != nil {
			t.Fatalf("%s: %v", path, out.Err)
		}
		for _, inv := range []domain.Record{a, b} {
			amountIs(t, f.read(inv), "amountPaid", "110")
		}
		objects, err := f.sim.Objects("overpayments")
		if err != nil || len(objects) != 1 || f.sim.Duplicates() != 0 {
			t.Errorf("%s: %d overpayments, %d duplicates, %v", path, len(objects), f.sim.Duplicates(), err)
		}
	}
}

// An allocation that Xero refuses leaves the money booked and only the allocation missing.
func TestOverpaymentWhoseAllocationIsRefused(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	w, _, a, _ := receipt(f)
	f.must(payment("invoice", a.ExternalID, "100", nil))
	out := f.write(w)[0]
	if out.Err != nil || !out.Created || out.Record.Version != "" {
		t.Fatalf("%+v", out)
	}
	f.refuses("the allocation", f.change(out.Record, domain.Values{"allocations": w.Values["allocations"]}).Err, domain.Invalid, "exceeds the amount outstanding")
}
