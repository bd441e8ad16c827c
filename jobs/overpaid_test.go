package jobs_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"datum/adapters/sim"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// order enters a paid order of so many kettles at 11 and returns it with its invoice.
func (s *shop) order(number, quantity, status string) (order, invoice string) {
	s.t.Helper()
	order = s.edit("till", domain.KindOrder, "", fields("number", number, "customer", s.customer, "stage", "CONFIRMED", "paymentStatus", status, "lines", s.lines(quantity)))
	s.rest()
	ids, err := store.MadeFrom(s.ctx, s.pool, domain.KindInvoice, order)
	must(s.t, err)
	if len(ids) != 1 {
		s.t.Fatalf("order %s has the invoices %v", number, ids)
	}
	return order, ids[0]
}

func (s *shop) paid(order, amount, day string) string {
	s.t.Helper()
	p := s.edit("till", domain.KindPayment, "", fields("order", order, "amount", aud(amount), "date", day))
	s.rest()
	return p
}

func (s *shop) pays(payment string, want ...domain.Allocation) {
	s.t.Helper()
	if got := s.get(payment).Golden["allocations"]; got != domain.ValueOf(want) {
		s.t.Errorf("the payment pays %s, want %s", got, domain.ValueOf(want))
	}
}

// decide answers the only open case.
func (s *shop) decide(choice, target string) error {
	s.t.Helper()
	cs, err := store.ListCases(s.ctx, s.pool, store.CaseFilter{Status: "open"}, nil, "", 10)
	must(s.t, err)
	if len(cs) != 1 {
		s.t.Fatalf("%d open cases", len(cs))
	}
	_, err = s.engine.Applier().Decide(s.ctx, change.Decision{CaseID: cs[0].ID, Choice: choice, TargetID: target, Cause: change.Cause{Actor: "bookkeeper"}})
	s.rest()
	return err
}

// TestOverpaymentIsCredit: what is more than open stands on the customer's account, and a person sets it against another invoice,
// gives it back or leaves it. The answer lasts until the figures change.
func TestOverpaymentIsCredit(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o, inv := s.order("#1", "1", "PAID")
	_, other := s.order("#2", "1", "PARTIALLY_PAID")
	p := s.paid(o, "15", "2026-03-02")
	if cs := s.cases(); !slices.Equal(cs, []string{"order #1 is overpaid by 4.00"}) {
		t.Fatalf("cases: %v", cs)
	}
	if err := s.decide(change.ChoiceAllocate, s.customer); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("set against a customer: %v", err)
	}
	if err := s.decide(change.ChoiceAllocate, inv); domain.CodeOf(err) != domain.Conflict {
		t.Errorf("set against an invoice that is paid: %v", err)
	}
	must(t, s.decide(change.ChoiceAllocate, other))
	s.pays(p, domain.Allocation{Invoice: inv, Amount: "11"}, domain.Allocation{Invoice: other, Amount: "4"})
	if cs := s.cases(); len(cs) != 0 {
		t.Errorf("cases: %v", cs)
	}

	second := s.paid(o, "5", "2026-03-03")
	s.pays(second, domain.Allocation{Amount: "5"})
	must(t, s.decide(change.ChoiceCredit, ""))
	s.edit("till", domain.KindPayment, second, fields("reference", "again"))
	s.rest()
	if cs := s.cases(); len(cs) != 0 {
		t.Errorf("asked again about what was answered: %v", cs)
	}
	s.edit("till", domain.KindPayment, second, fields("amount", aud("6")))
	s.rest()
	if cs := s.cases(); !slices.Equal(cs, []string{"order #1 is overpaid by 6.00"}) {
		t.Errorf("other figures: cases: %v", cs)
	}
	s.edit("till", domain.KindPayment, second, fields("stage", "VOIDED"))
	s.rest()
	if cs := s.cases(); len(cs) != 0 {
		t.Errorf("the payment is void and the case is open: %v", cs)
	}
}

// TestPaymentsFindRoomLater: what looked overpaid because of what came first is allocated again when there is room for it, and the
// case closes by itself.
func TestPaymentsFindRoomLater(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o, inv := s.order("#1", "3", "PAID")
	first, second := s.paid(o, "33", "2026-03-02"), s.paid(o, "33", "2026-03-03")
	if cs := s.cases(); !slices.Equal(cs, []string{"order #1 is overpaid by 33.00"}) {
		t.Fatalf("cases: %v", cs)
	}
	s.edit("till", domain.KindPayment, first, fields("stage", "VOIDED")) // the card was charged back
	s.rest()
	s.pays(second, domain.Allocation{Invoice: inv, Amount: "33"})
	if cs := s.cases(); len(cs) != 0 {
		t.Errorf("cases: %v", cs)
	}
}

// TestCreditMakesRoomForPayment: a credit note that came before the payment had taken off what the payment pays. It is given free
// for the refund.
func TestCreditMakesRoomForPayment(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	o, inv := s.order("#1", "3", "PARTIALLY_PAID")
	first := s.paid(o, "20", "2026-03-02")
	note := s.edit("till", domain.KindCreditNote, "", fields("order", o, "customer", s.customer, "stage", "AUTHORISED", "lines", s.lines("1"), "reason", "dented"))
	s.rest()
	if got := sumOf(s.get(note).Golden["allocations"]); !got.Equal(decimal.NewFromInt(11)) {
		t.Fatalf("the credit note takes off %s", got)
	}
	second := s.paid(o, "13", "2026-03-03")
	s.pays(first, domain.Allocation{Invoice: inv, Amount: "20"})
	s.pays(second, domain.Allocation{Invoice: inv, Amount: "13"})
	back := s.edit("till", domain.KindPayment, "", fields("order", o, "direction", "REFUNDED", "amount", aud("11"), "date", "2026-03-04"))
	s.rest()
	s.pays(back, domain.Allocation{CreditNote: note, Amount: "11"})
	if got := s.get(note).Golden["allocations"]; !got.Empty() {
		t.Errorf("the credit note still takes off %s", got)
	}
	if cs := s.cases(); len(cs) != 0 {
		t.Errorf("cases: %v", cs)
	}
}

// TestOnePaymentOfSeveralOrders: one amount at the bank pays two orders' invoices and something more. Accounting has it as one
// payment, follows what is allocated here, and Datum follows what is allocated there.
func TestOnePaymentOfSeveralOrders(t *testing.T) {
	t.Parallel()
	r := newRig(t, selling)
	r.quiet(30 * time.Second)
	customer := r.enter(domain.KindCustomer, "", fields("legalName", "Jo Citizen", "email", "jo@example.com"))
	var orders, invoices []string
	for i := range 3 {
		orders = append(orders, r.enter(domain.KindOrder, "", fields("number", fmt.Sprint("#", i), "customer", customer, "orderDate", "2026-03-02", "stage", "CONFIRMED", "paymentStatus", "PARTIALLY_PAID",
			"lines", `[{"description":"Kettle","quantity":"1","unitPrice":"110","taxCode":"GST"}]`)))
	}
	r.quiet(30 * time.Second)
	for _, o := range orders {
		ids, err := store.MadeFrom(t.Context(), r.pool, domain.KindInvoice, o)
		must(t, err)
		invoices = append(invoices, ids...)
	}
	if len(invoices) != 3 {
		t.Fatalf("invoices: %v", invoices)
	}
	p := r.enter(domain.KindPayment, "", fields("customer", customer, "amount", aud("250"), "date", "2026-03-05", "allocations",
		domain.ValueOf([]domain.Allocation{{Invoice: invoices[0], Amount: "110"}, {Invoice: invoices[1], Amount: "110"}, {Amount: "30"}})))
	r.quiet(30 * time.Second)
	var over []struct {
		OverpaymentID, Status  string
		Total, RemainingCredit decimal.Decimal
		Allocations            []struct{ Amount decimal.Decimal }
	}
	r.objects("overpayments", &over)
	if len(over) != 1 || !over[0].Total.Equal(decimal.NewFromInt(250)) || !over[0].RemainingCredit.Equal(decimal.NewFromInt(30)) || len(over[0].Allocations) != 2 {
		t.Fatalf("accounting has %+v", over)
	}
	for i, want := range []string{"PAID", "PAID", "PARTIALLY_PAID"} {
		if got := r.golden(orders[i])["paymentStatus"].Text(); i < 2 && got != want {
			t.Errorf("order %d is %s, want %s", i, got, want)
		}
	}
	// The bookkeeper sets what is left against the third invoice, in accounting.
	ext, err := store.ExternalOf(t.Context(), r.pool, "accounting", []string{invoices[2]})
	must(t, err)
	_, err = r.xero.Put("overpayments", over[0].OverpaymentID, map[string]any{"Allocations": []any{map[string]any{"Invoice": map[string]any{"InvoiceID": ext[invoices[2]]}, "Amount": 30}}})
	must(t, err)
	r.quiet(30 * time.Second)
	got := map[string]string{}
	for _, a := range domain.AllocationsOf(r.golden(p)["allocations"]) {
		got[a.Invoice] = a.Amount
	}
	if !maps.Equal(got, map[string]string{invoices[0]: "110", invoices[1]: "110", invoices[2]: "30"}) {
		t.Errorf("the payment pays %v", got)
	}
	cases, err := store.ListCases(t.Context(), r.pool, store.CaseFilter{Status: "open"}, nil, "", 10)
	must(t, err)
	for _, c := range cases {
		t.Errorf("case: %s: %s", c.Title, c.Detail.Message)
	}
	if n := r.xero.Duplicates(); n > 0 {
		t.Errorf("%d duplicates", n)
	}
}

// TestInterruptedPaymentIsFinished: the answer to a payment of two invoices is lost before they are set off against it. It is found,
// and finished; nobody is asked what was meant.
func TestInterruptedPaymentIsFinished(t *testing.T) {
	t.Parallel()
	r := newRig(t, documents)
	r.quiet(30 * time.Second)
	_, err := r.xero.AddFault(sim.Fault{Kind: sim.FaultReset, Path: "/BankTransactions", Count: 1})
	must(t, err)
	customer := r.enter(domain.KindCustomer, "", fields("legalName", "Jo Citizen", "email", "jo@example.com"))
	var parts []domain.Allocation
	for _, price := range []string{"110", "66"} {
		parts = append(parts, domain.Allocation{Amount: price, Invoice: r.enter(domain.KindInvoice, "", fields("customer", customer, "issueDate", "2026-03-02", "dueDate", "2026-03-30", "stage", "AUTHORISED",
			"lines", fmt.Sprintf(`[{"description":"Work","quantity":"1","unitPrice":%q}]`, price)))})
	}
	r.enter(domain.KindPayment, "", fields("customer", customer, "amount", aud("200"), "date", "2026-03-05", "allocations", domain.ValueOf(append(parts, domain.Allocation{Amount: "24"}))))
	r.quiet(60 * time.Second)
	var over []struct {
		RemainingCredit decimal.Decimal
		Allocations     []struct{ Amount decimal.Decimal }
	}
	r.objects("overpayments", &over)
	if len(over) != 1 || len(over[0].Allocations) != 2 || !over[0].RemainingCredit.Equal(decimal.NewFromInt(24)) {
		t.Errorf("accounting has %+v", over)
	}
	if r.xero.Stats().Faults[sim.FaultReset] != 1 {
		t.Error("no answer was lost: nothing is proven")
	}
	if cs := r.openCases(); len(cs) > 0 {
		t.Errorf("cases: %v", cs)
	}
}

// TestCancelledAfterPaid: an order that was paid and called off ends in the same documents whether Datum saw it in between or not:
// invoiced, paid, credited and given back. As long as its invoice stands a person is told.
func TestCancelledAfterPaid(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	called := func(number string, seen bool) (order string) {
		v := fields("number", number, "customer", s.customer, "stage", "CONFIRMED", "paymentStatus", "PAID", "amountPaid", aud("22"), "lines", s.lines("2"))
		if !seen {
			v["stage"] = domain.TextValue("CANCELLED")
		}
		order = s.edit("till", domain.KindOrder, "", v)
		if seen {
			s.rest()
			s.edit("till", domain.KindOrder, order, fields("stage", "CANCELLED"))
		}
		return order
	}
	for number, seen := range map[string]bool{"#1": true, "#2": false} {
		o := called(number, seen)
		p := s.paid(o, "22", "2026-03-02")
		ids, err := store.MadeFrom(s.ctx, s.pool, domain.KindInvoice, o)
		must(t, err)
		if len(ids) != 1 {
			t.Fatalf("order %s has the invoices %v", number, ids)
		}
		s.pays(p, domain.Allocation{Invoice: ids[0], Amount: "22"})
		if cs := s.cases(); !slices.Equal(cs, []string{"order " + number + " was cancelled and its invoice stands"}) {
			t.Errorf("cases: %v", cs)
		}
		// It is given back: first the order says so, then the credit note and the money come.
		s.edit("till", domain.KindOrder, o, fields("paymentStatus", "REFUNDED", "amountRefunded", aud("22")))
		s.rest()
		if cs := s.cases(); len(cs) > 0 {
			t.Errorf("cases while the credit note is on its way: %v", cs)
		}
		note := s.edit("till", domain.KindCreditNote, "", fields("order", o, "customer", s.customer, "stage", "AUTHORISED", "lines", s.lines("2"), "reason", "cancelled"))
		back := s.edit("till", domain.KindPayment, "", fields("order", o, "direction", "REFUNDED", "amount", aud("22"), "date", "2026-03-04"))
		s.rest()
		s.pays(back, domain.Allocation{CreditNote: note, Amount: "22"})
		if cs := s.cases(); len(cs) > 0 || s.get(note).Golden["invoice"].Text() != ids[0] || !s.get(note).Golden["allocations"].Empty() {
			t.Errorf("cases: %v; the credit note: %v", cs, s.get(note).Golden)
		}
	}
	// Half of it is given back, and the rest voided by hand.
	o := called("#3", true)
	s.edit("till", domain.KindCreditNote, "", fields("order", o, "customer", s.customer, "stage", "AUTHORISED", "lines", s.lines("1"), "reason", "cancelled"))
	s.rest()
	if cs := s.cases(); !slices.Equal(cs, []string{"order #3 was cancelled and its invoice stands"}) {
		t.Errorf("cases: %v", cs)
	}
	ids, err := store.MadeFrom(s.ctx, s.pool, domain.KindInvoice, o)
	must(t, err)
	s.edit("ops", domain.KindInvoice, ids[0], fields("stage", "VOIDED"))
	s.rest()
	if cs := s.cases(); len(cs) > 0 {
		t.Errorf("cases: %v", cs)
	}
	// Nothing was to be paid: nothing is invoiced.
	free := s.edit("till", domain.KindOrder, "", fields("number", "#4", "customer", s.customer, "stage", "CANCELLED", "paymentStatus", "PAID",
		"lines", `[{"description":"A sticker","quantity":"1","unitPrice":"0","taxCode":"GST"}]`))
	s.rest()
	if ids, err := store.MadeFrom(s.ctx, s.pool, domain.KindInvoice, free); err != nil || len(ids) > 0 {
		t.Errorf("an order of nothing that was cancelled has the invoices %v: %v", ids, err)
	}
}

// TestMoneyBackOfAPartPaidOrder: money that was given back is the credit note's, and not set off against what of the invoice is still
// open, whichever of the credit note and the money comes first.
func TestMoneyBackOfAPartPaidOrder(t *testing.T) {
	t.Parallel()
	for _, first := range []string{"note", "money"} {
		s := newShop(t)
		o, inv := s.order("#1", "3", "PARTIALLY_PAID")
		p := s.paid(o, "11", "2026-03-02")
		var note, back string
		credit := func() {
			note = s.edit("till", domain.KindCreditNote, "", fields("order", o, "customer", s.customer, "stage", "AUTHORISED", "lines", s.lines("1"), "reason", "dented"))
			s.rest()
		}
		if first == "note" {
			credit()
			if got := sumOf(s.get(note).Golden["allocations"]); !got.Equal(decimal.NewFromInt(11)) {
				t.Fatalf("the credit note takes off %s", got)
			}
		}
		back = s.edit("till", domain.KindPayment, "", fields("order", o, "direction", "REFUNDED", "amount", aud("11"), "date", "2026-03-04"))
		s.rest()
		if first == "money" {
			credit()
		}
		s.pays(p, domain.Allocation{Invoice: inv, Amount: "11"})
		s.pays(back, domain.Allocation{CreditNote: note, Amount: "11"})
		if got := s.get(note).Golden["allocations"]; !got.Empty() {
			t.Errorf("%s first: the credit note still takes off %s", first, got)
		}
	}
}
