package shopifysim

import (
	"slices"
	"strings"
)

// refundWish is what a refund should give back.
type refundWish struct {
	note    string
	lines   []refundLine
	freight int64 // -1 is all of it
	pay     []*transaction
	over    bool // may give back more than was received
}

// give makes a refund: goods, freight and money. What money and goods differ by becomes an adjustment.
func (s *Sim) give(o *order, w refundWish) (*refund, *problem) {
	r := &refund{o: o, note: w.note}
	var owed int64
	count := map[*line]int{}
	for _, rl := range w.lines {
		count[rl.l] += rl.quantity
		if rl.quantity <= 0 || count[rl.l] > rl.l.current(o) {
			return nil, &problem{[]string{"refundLineItems"}, "Quantity cannot refund more items than were purchased", ""}
		}
		if rl.restock == "CANCEL" && rl.quantity > rl.l.sold()-rl.l.fulfilled {
			return nil, &problem{[]string{"refundLineItems"}, "Quantity cannot cancel items that are fulfilled", ""}
		}
		rl.id = s.made().id
		rl.subtotal = rl.l.total(rl.quantity)
		rl.tax = o.gst(rl.subtotal, rl.l.taxable)
		// The last of a line takes what rounding has left.
		if rl.quantity == rl.l.current(o) {
			rl.subtotal, rl.tax = rl.l.total(rl.l.sold()), o.gst(rl.l.total(rl.l.sold()), rl.l.taxable)
			for _, old := range o.refunds {
				for _, ol := range old.lines {
					if ol.l == rl.l {
						rl.subtotal, rl.tax = rl.subtotal-ol.subtotal, rl.tax-ol.tax
					}
				}
			}
		}
		if rl.at == nil {
			rl.at = o.at
		}
		owed += rl.subtotal
		if !o.inclusive {
			owed += rl.tax
		}
		r.lines = append(r.lines, rl)
	}
	if w.freight != 0 && len(o.freight) > 0 {
		f := o.freight[0]
		left := f.price - f.discount
		for _, old := range o.refunds {
			for _, rf := range old.freight {
				left -= rf.subtotal
			}
		}
		give := w.freight
		if give < 0 {
			give = left
		}
		if give > left {
			return nil, &problem{[]string{"shipping"}, "Shipping cannot refund more than was paid", ""}
		}
		rf := refundFreight{id: s.made().id, f: f, subtotal: give, tax: o.gst(give, f.taxable)}
		owed += rf.subtotal
		if !o.inclusive {
			owed += rf.tax
		}
		r.freight = append(r.freight, rf)
	}
	var back int64
	for _, t := range w.pay {
		back += t.amount
	}
	if back > o.received()-o.refunded() && !w.over {
		return nil, &problem{[]string{"transactions"}, "Refund cannot exceed the available amount", ""}
	}
	if len(w.pay) > 0 && back != owed {
		r.adjustments = append(r.adjustments, adjustment{id: s.made().id, amount: owed - back, reason: "REFUND_DISCREPANCY"})
	}
	if len(r.lines)+len(r.freight)+len(w.pay) == 0 {
		return nil, &problem{nil, "Refund must have at least one line item, shipping or transaction", ""}
	}
	r.meta = s.made()
	for _, rl := range r.lines {
		open := min(rl.quantity, max(rl.l.sold()-rl.l.fulfilled-rl.l.refundedQuantity(o)-rl.l.restocked, 0))
		tracked := rl.l.v != nil && rl.l.v.tracked && s.variants[rl.l.v.id] != nil
		if tracked {
			lv, back := s.level(rl.l.v, rl.at, true), rl.quantity
			if rl.restock == "NO_RESTOCK" {
				back = 0
			}
			s.move(lv, back, -open)
		}
	}
	o.refunds = append(o.refunds, r)
	s.refunds[r.id] = r
	for _, t := range w.pay {
		t.kind, t.r = "REFUND", r
		r.payments = append(r.payments, s.pay(o, t))
	}
	s.tell("refunds/create", s.refundBody(r))
	s.changedOrder(o, "orders/updated")
	return r, nil
}

func createRefund(x *exec, a args) (any, *failure) {
	s, in := x.s, a.obj("input")
	bad := func(field, message string) (any, *failure) {
		return payload("RefundCreate", []problem{{[]string{field}, message, ""}}, fields{}), nil
	}
	o := s.orders[idOf("Order", in.str("orderId"))]
	if o == nil {
		return bad("orderId", "Order does not exist")
	}
	w := refundWish{note: in.str("note"), over: in.bool("allowOverRefunding")}
	for _, l := range in.objs("refundLineItems") {
		i := slices.IndexFunc(o.lines, func(ol *line) bool { return ol.id == idOf("LineItem", l.str("lineItemId")) })
		if i < 0 {
			return bad("refundLineItems", "Line item does not exist in the order")
		}
		rl := refundLine{l: o.lines[i], quantity: l.int("quantity"), restock: l.str("restockType"), at: s.locations[idOf("Location", l.str("locationId"))]}
		if rl.restock == "" {
			rl.restock = "NO_RESTOCK"
		}
		if rl.restock == "RETURN" && rl.at == nil {
			return bad("refundLineItems", "Location must be given to restock returned items")
		}
		w.lines = append(w.lines, rl)
	}
	if sh := in.obj("shipping"); sh != nil {
		if w.freight = cents(sh["amount"]); sh.bool("fullRefund") {
			w.freight = -1
		}
	}
	for _, t := range in.objs("transactions") {
		parent := s.payments[idOf("OrderTransaction", t.str("parentId"))]
		if strings.ToUpper(t.str("kind")) != "REFUND" || parent == nil || parent.o != o {
			return bad("transactions", "Transactions must be refunds of a transaction of the order")
		}
		w.pay = append(w.pay, &transaction{amount: cents(t["amount"]), gateway: t.str("gateway"), parent: parent})
	}
	r, p := s.give(o, w)
	if p != nil {
		return payload("RefundCreate", []problem{*p}, fields{}), nil
	}
	x.created++
	return payload("RefundCreate", nil, fields{"refund": later(func() *node { return s.refundNode(r) }), "order": later(func() *node { return s.orderNode(o) })}), nil
}
