package jobs

import (
	"context"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// payment: a payment of an order pays the order's invoice, and what it leaves may be used for another.
func (f *flow) payment(ctx context.Context, p *store.Entity) error {
	if err := f.used(ctx, p); err != nil {
		return err
	}
	o, err := f.entity(ctx, p.Golden["order"].Text())
	if err != nil || !f.on(ownership.OrderToInvoice) {
		return err
	}
	if o == nil {
		return f.overpaid(ctx, p, "", "")
	}
	inv, err := f.made(ctx, domain.KindInvoice, o.ID)
	if err != nil || inv == nil {
		return err // the order's own flow comes back to it
	}
	if p.Stage == "VOIDED" {
		return f.order(ctx, o) // what it has paid is open for the others
	}
	return f.pay(ctx, p, o, inv)
}

// used takes over what somebody has done in accounting with what was on the customer's account, and with nothing else: set it
// against another invoice.
func (f *flow) used(ctx context.Context, p *store.Entity) error {
	ours := domain.AllocationsOf(p.Golden["allocations"])
	free := onAccount(ours)
	if !free.IsPositive() {
		return nil
	}
	recs, err := store.RecordsOf(ctx, f.pool, []string{p.ID})
	if err != nil {
		return err
	}
	for _, r := range recs {
		theirs := domain.AllocationsOf(r.Values["allocations"])
		if r.System == f.pol.Flows.As || r.Deleted || len(r.Waits) > 0 || len(theirs) == 0 || !onAccount(theirs).LessThan(free) || !total(theirs).Equal(total(ours)) {
			continue
		}
		if slices.ContainsFunc(ours, func(a domain.Allocation) bool { return !a.OnAccount() && paidTo(theirs, a).LessThan(paidTo(ours, a)) }) {
			continue // something else was changed as well, which is a conflict like any other
		}
		p.Golden = p.Golden.Clone()
		if err := f.set(ctx, ownership.OrderToInvoice, p, domain.Values{"allocations": r.Values["allocations"]}); err != nil {
			return err
		}
		p.Golden["allocations"] = r.Values["allocations"]
		return nil
	}
	return nil
}

func dec(s string) decimal.Decimal {
	d, _ := decimal.NewFromString(s) // what is no number was refused when it came in
	return d
}

func total(as []domain.Allocation) (sum decimal.Decimal) {
	for _, a := range as {
		sum = sum.Add(dec(a.Amount))
	}
	return sum
}

// paidTo is how much the allocations pay of the document that one of them names.
func paidTo(as []domain.Allocation, of domain.Allocation) (sum decimal.Decimal) {
	for _, a := range as {
		if a.Invoice == of.Invoice && a.CreditNote == of.CreditNote {
			sum = sum.Add(dec(a.Amount))
		}
	}
	return sum
}

func onAccount(as []domain.Allocation) decimal.Decimal { return paidTo(as, domain.Allocation{}) }

// pay says what a payment pays: the order's invoice as far as it is open, in the order in which payments were made, so that
// partial payments add up and nothing is paid twice. What is more stands on the customer's account until there is something to set
// it against, and a person is told.
func (f *flow) pay(ctx context.Context, p, o, inv *store.Entity) error {
	if p.Stage == "VOIDED" {
		return f.settled(ctx, overpaidKey(p))
	}
	had := domain.AllocationsOf(p.Golden["allocations"])
	if p.Golden["direction"].Text() == "REFUNDED" {
		if len(had) > 0 {
			return nil
		}
		return f.refund(ctx, p, o, inv)
	}
	amount := domain.Amount(p.Golden["amount"])
	rest := amount.Sub(total(had)).Add(onAccount(had))
	if !rest.IsPositive() || len(had) > 0 && onAccount(had).IsZero() { // what is allocated by hand stays as it is
		return f.settled(ctx, overpaidKey(p))
	}
	allocated, err := store.AllocatedTo(ctx, f.pool, inv.ID)
	if err != nil {
		return err
	}
	open := decimal.Zero
	if inv.Stage != "VOIDED" {
		open = decimal.Max(decimal.Zero, domain.Amount(inv.Golden["total"]).Sub(allocated))
		if short := rest.Sub(open); short.IsPositive() && !near(rest, open) {
			freed, err := f.uncredit(ctx, o, inv, short)
			if err != nil {
				return err
			}
			open = open.Add(freed)
		}
	}
	var as []domain.Allocation
	pays := decimal.Min(rest, open)
	for _, a := range had {
		if a.Invoice == inv.ID {
			pays = pays.Add(dec(a.Amount))
		} else if !a.OnAccount() {
			as = append(as, a)
		}
	}
	if pays.IsPositive() {
		as = append(as, domain.Allocation{Invoice: inv.ID, Amount: pays.String()})
	}
	if left := amount.Sub(total(as)); left.IsPositive() {
		as = append(as, domain.Allocation{Amount: left.String()})
	}
	p.Golden = p.Golden.Clone()
	fields := domain.Values{"customer": inv.Golden["customer"], "allocations": normal(as)}
	if err := f.set(ctx, ownership.OrderToInvoice, p, fields); err != nil {
		return err
	}
	p.Golden["allocations"] = fields["allocations"]
	return f.overpaid(ctx, p, "order "+o.Golden["number"].Text(), inv.Golden["number"].Text())
}

// normal is the value of allocations in the order in which they are kept.
func normal(as []domain.Allocation) domain.Value {
	ki, _ := domain.KindPayment.Info()
	fi, _ := ki.Field("allocations")
	v, _ := domain.Normalize(fi, domain.ValueOf(as))
	return v
}

func overpaidKey(p *store.Entity) string { return "overpaid|" + p.ID }

// overpaid tells a person what of a payment stands on the customer's account, as long as it does. The cents of another rounding
// are nobody's money.
func (f *flow) overpaid(ctx context.Context, p *store.Entity, of, invoice string) error {
	left := onAccount(domain.AllocationsOf(p.Golden["allocations"]))
	if near(left, decimal.Zero) || p.Stage == "VOIDED" || p.Golden["direction"].Text() == "REFUNDED" {
		return f.settled(ctx, overpaidKey(p))
	}
	if of == "" {
		return nil // no order's payment: whoever left it on the account knows
	}
	f.open[overpaidKey(p)] = true
	return store.OpenCase(ctx, f.pool, store.Case{ID: domain.NewID("case"), Kind: store.CaseFlow, EntityKind: p.Kind, EntityID: p.ID, DedupeKey: overpaidKey(p), Field: "allocations",
		Title: fmt.Sprintf("%s is overpaid by %s", of, left.StringFixed(2)),
		Detail: store.CaseDetail{Message: fmt.Sprintf("%s was received, and %s of it is more than was open of invoice %s; it stands as credit on the customer's account",
			domain.Amount(p.Golden["amount"]).StringFixed(2), left.StringFixed(2), invoice),
			Next: "set it against another invoice here or in accounting, give it back, or leave it as credit; it closes by itself once it is used up"},
		Choices: []string{change.ChoiceAllocate, change.ChoiceRefund, change.ChoiceCredit}})
}

// uncredit takes back what credit notes of the order have taken off its invoice, as far as is missing for a payment: they came
// before it, as if the invoice would stay unpaid. They stay open for the refund, or as the customer's credit.
func (f *flow) uncredit(ctx context.Context, o, inv *store.Entity, missing decimal.Decimal) (freed decimal.Decimal, err error) {
	if !f.on(ownership.RefundToCreditNote) {
		return freed, nil
	}
	ids, err := f.ofOrder(ctx, domain.KindCreditNote, o.ID)
	if err != nil {
		return freed, err
	}
	for _, id := range ids {
		c, err := f.entity(ctx, id)
		if err != nil {
			return freed, err
		}
		had := domain.AllocationsOf(c.Golden["allocations"])
		take := decimal.Min(missing.Sub(freed), paidTo(had, domain.Allocation{Invoice: inv.ID}))
		if c.Stage == "VOIDED" || !take.IsPositive() {
			continue
		}
		var as []domain.Allocation
		back := take
		for _, a := range had {
			if a.Invoice == inv.ID && back.IsPositive() {
				less := decimal.Min(back, dec(a.Amount))
				back = back.Sub(less)
				if a.Amount = dec(a.Amount).Sub(less).String(); dec(a.Amount).IsZero() {
					continue
				}
			}
			as = append(as, a)
		}
		if err := f.set(ctx, ownership.RefundToCreditNote, c, domain.Values{"allocations": normal(as)}); err != nil {
			return freed, err
		}
		freed = freed.Add(take)
	}
	return freed, nil
}

// refund says what money given back pays: the credit notes of the order as far as they are open. What they have taken off the invoice
// is open again for it: money that was given back is nobody's credit.
func (f *flow) refund(ctx context.Context, p, o, inv *store.Entity) error {
	left := domain.Amount(p.Golden["amount"])
	as, open, err := f.refundable(ctx, o, left)
	if err != nil {
		return err
	}
	if left = left.Sub(open); left.IsPositive() && !near(left, decimal.Zero) {
		freed, err := f.uncredit(ctx, o, inv, left)
		if err != nil {
			return err
		}
		if freed.IsPositive() {
			if as, _, err = f.refundable(ctx, o, domain.Amount(p.Golden["amount"])); err != nil {
				return err
			}
		}
	}
	if len(as) == 0 {
		return nil // the credit note's own flow comes back to it
	}
	customer := o.Golden["customer"]
	return f.set(ctx, ownership.RefundToCreditNote, p, domain.Values{"customer": customer, "allocations": domain.ValueOf(as)})
}

// refundable is what of an amount the order's credit notes are open for, and how much that is.
func (f *flow) refundable(ctx context.Context, o *store.Entity, amount decimal.Decimal) (as []domain.Allocation, sum decimal.Decimal, err error) {
	ids, err := f.ofOrder(ctx, domain.KindCreditNote, o.ID)
	if err != nil {
		return nil, sum, err
	}
	for _, id := range ids {
		c, err := f.entity(ctx, id)
		if err != nil {
			return nil, sum, err
		}
		allocated, err := store.AllocatedTo(ctx, f.pool, id)
		if err != nil {
			return nil, sum, err
		}
		// Less what was given back of it, and what it has itself taken off invoices.
		open := domain.Amount(c.Golden["total"]).Sub(allocated).Sub(total(domain.AllocationsOf(c.Golden["allocations"])))
		if pays := decimal.Min(amount.Sub(sum), open); c.Stage != "VOIDED" && pays.IsPositive() {
			as, sum = append(as, domain.Allocation{CreditNote: id, Amount: pays.String()}), sum.Add(pays)
		}
	}
	return as, sum, nil
}

// creditNote: a refund of an order credits the order's invoice.
func (f *flow) creditNote(ctx context.Context, c *store.Entity) error {
	o, err := f.entity(ctx, c.Golden["order"].Text())
	if err != nil || o == nil {
		return err
	}
	inv, err := f.made(ctx, domain.KindInvoice, o.ID)
	if err != nil || inv == nil {
		return err
	}
	if c.Stage == "VOIDED" {
		return f.order(ctx, o) // what it has credited is open for payments
	}
	if err := f.credit(ctx, c, o, inv); err != nil {
		return err
	}
	return f.calledOff(ctx, o, inv)
}

// credit says what a credit note credits: the invoice as far as it is not paid; what is paid is given back by the refund's
// payment, which then pays the credit note.
func (f *flow) credit(ctx context.Context, c, o, inv *store.Entity) error {
	if !f.on(ownership.RefundToCreditNote) || c.Stage == "VOIDED" || c.Stage == "DRAFT" {
		return nil
	}
	if f.on(ownership.OrderToStock) {
		if err := f.restock(ctx, c, o); err != nil {
			return err
		}
	}
	fields := domain.Values{"invoice": domain.TextValue(inv.ID), "customer": inv.Golden["customer"]}
	if c.Golden["allocations"].Empty() && c.Stage != "PAID" { // all of it was given back in money
		allocated, err := store.AllocatedTo(ctx, f.pool, inv.ID)
		if err != nil {
			return err
		}
		paid, err := store.PaidOf(ctx, f.pool, o.ID)
		if err != nil {
			return err
		}
		// The order knows what was paid before its payments have arrived.
		paid = decimal.Max(allocated, paid, domain.Amount(o.Golden["amountPaid"]))
		switch o.Golden["paymentStatus"].Text() {
		case "PAID", "PARTIALLY_REFUNDED", "REFUNDED":
			paid = domain.Amount(inv.Golden["total"])
		}
		back, err := store.AllocatedTo(ctx, f.pool, c.ID)
		if err != nil {
			return err
		}
		open := domain.Amount(inv.Golden["total"]).Sub(paid)
		if take := decimal.Min(open, domain.Amount(c.Golden["total"]).Sub(back)); take.IsPositive() && !near(take, decimal.Zero) {
			fields["allocations"] = domain.ValueOf([]domain.Allocation{{Invoice: inv.ID, Amount: take.String()}})
		}
	}
	if err := f.set(ctx, ownership.RefundToCreditNote, c, fields); err != nil {
		return err
	}
	ids, err := f.ofOrder(ctx, domain.KindPayment, o.ID)
	if err != nil {
		return err
	}
	for _, id := range ids {
		p, err := f.entity(ctx, id)
		if err != nil {
			return err
		}
		if p.Stage != "VOIDED" && p.Golden["allocations"].Empty() && p.Golden["direction"].Text() == "REFUNDED" {
			if err := f.refund(ctx, p, o, inv); err != nil {
				return err
			}
		}
	}
	return nil
}
