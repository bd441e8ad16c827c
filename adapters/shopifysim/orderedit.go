package shopifysim

import (
	"slices"
	"strings"
	"time"
)

func updateOrder(x *exec, a args) (any, *failure) {
	s, in := x.s, a.obj("input")
	o := s.orders[idOf("Order", in.str("id"))]
	if o == nil {
		return payload("OrderUpdate", []problem{{[]string{"id"}, "Order does not exist", ""}}, fields{}), nil
	}
	before, n := s.orderBody(o), *o
	var ps []problem
	for k, dst := range map[string]*string{"note": &n.note, "email": &n.email, "poNumber": &n.po, "phone": &n.phone} {
		if in.has(k) {
			*dst = strings.TrimSpace(in.str(k))
		}
	}
	if n.email != "" && !emailForm.MatchString(n.email) {
		ps = append(ps, problem{[]string{"email"}, "Email is invalid", ""})
	}
	if len([]rune(n.note)) > 5000 {
		ps = append(ps, problem{[]string{"note"}, "Note is too long (maximum is 5000 characters)", ""})
	}
	if in.has("tags") {
		tags, p := cleanTags(in.strs("tags"))
		if p != nil {
			ps = append(ps, *p)
		}
		n.tags = tags
	}
	if ad := in.obj("shippingAddress"); ad != nil {
		read, p := s.readAddress(ad, address{})
		if p != nil {
			ps = append(ps, problem{append([]string{"shippingAddress"}, p.field...), p.message, ""})
		}
		n.shipping = &read
	}
	if len(ps) > 0 {
		return payload("OrderUpdate", ps, fields{}), nil
	}
	*o = n
	changed := !equalJSON(before, s.orderBody(o))
	for _, m := range in.objs("metafields") {
		ch, p := s.setMetafield(holder{"ORDER", o.id, &o.metafields}, m, []string{"metafields"})
		if p != nil {
			return payload("OrderUpdate", []problem{*p}, fields{}), nil
		}
		changed = changed || ch
	}
	if changed {
		x.updated++
		s.changedOrder(o, "orders/updated")
	} else {
		x.noop++
	}
	return payload("OrderUpdate", nil, fields{"order": later(func() *node { return s.orderNode(o) })}), nil
}

func cancelOrder(x *exec, a args) (any, *failure) {
	s := x.s
	o := s.orders[idOf("Order", a.str("orderId"))]
	answer := func(message, code string) (any, *failure) {
		f := fields{"orderCancelUserErrors": []*node{}, "userErrors": []*node{}}
		if message != "" {
			f["orderCancelUserErrors"] = []*node{{"OrderCancelUserError", fields{"field": []string{"orderId"}, "message": message, "code": code}}}
			f["userErrors"] = []*node{{"UserError", fields{"field": []string{"orderId"}, "message": message}}}
		} else {
			f["job"] = s.job()
		}
		return &node{"OrderCancelPayload", f}, nil
	}
	switch {
	case o == nil:
		return answer("Order does not exist", "NOT_FOUND")
	case !o.cancelled.IsZero():
		return answer("Order has already been cancelled", "INVALID")
	case slices.ContainsFunc(o.lines, func(l *line) bool { return l.fulfilled > 0 }):
		return answer("Cannot cancel an order that has fulfilled items", "INVALID")
	}
	s.cancel(o, a.str("reason"), a.bool("restock"))
	x.updated++
	return answer("", "")
}

// cancel ends an order and gives its stock back. Money is not refunded by it.
func (s *Sim) cancel(o *order, reason string, restock bool) {
	for _, l := range o.lines {
		open := l.current(o) - l.fulfilled - l.restocked
		if open > 0 && restock {
			s.take(l, o.at, -open)
			l.restocked += open
		}
	}
	o.cancelled, o.cancelReason = s.Now().Truncate(time.Second), reason
	if o.closed.IsZero() {
		o.closed = o.cancelled
	}
	s.changedOrder(o, "orders/cancelled", "orders/updated")
}

// take commits stock to a line; a negative number gives it back.
func (s *Sim) take(l *line, at *location, n int) {
	if l.v != nil && l.v.tracked && s.variants[l.v.id] != nil {
		s.move(s.level(l.v, at, true), -n, n)
	}
}

func closeOrder(open bool) resolver {
	mutation := map[bool]string{true: "OrderOpen", false: "OrderClose"}[open]
	return func(x *exec, a args) (any, *failure) {
		s := x.s
		o := s.orders[idOf("Order", a.obj("input").str("id"))]
		switch {
		case o == nil:
			return payload(mutation, []problem{{[]string{"id"}, "Order does not exist", ""}}, fields{}), nil
		case open && !o.cancelled.IsZero():
			return payload(mutation, []problem{{[]string{"id"}, "A cancelled order cannot be opened", ""}}, fields{}), nil
		}
		if open {
			o.closed = time.Time{}
		} else if o.closed.IsZero() {
			o.closed = s.Now().Truncate(time.Second)
		}
		x.updated++
		s.changedOrder(o, "orders/updated")
		return payload(mutation, nil, fields{"order": later(func() *node { return s.orderNode(o) })}), nil
	}
}

func markPaid(x *exec, a args) (any, *failure) {
	s := x.s
	o := s.orders[idOf("Order", a.obj("input").str("id"))]
	if o == nil || o.received() >= o.current().total {
		return payload("OrderMarkAsPaid", []problem{{[]string{"id"}, "Order cannot be marked as paid", ""}}, fields{}), nil
	}
	s.pay(o, &transaction{kind: "SALE", gateway: "manual", amount: o.current().total - o.received()})
	x.updated++
	return payload("OrderMarkAsPaid", nil, fields{"order": later(func() *node { return s.orderNode(o) })}), nil
}

// pay adds a transaction to an order and tells of it.
func (s *Sim) pay(o *order, t *transaction) *transaction {
	was := o.financial()
	t.meta, t.o = s.made(), o
	if t.status == "" {
		t.status = "SUCCESS"
	}
	if t.processed.IsZero() {
		t.processed = t.created
	}
	if t.paymentID == "" {
		t.paymentID = o.name + "." + text(int64(len(o.payments)+1))
	}
	o.payments = append(o.payments, t)
	s.payments[t.id] = t
	s.tell("order_transactions/create", s.paymentBody(t))
	topics := []string{"orders/updated"}
	if now := o.financial(); now == "PAID" && was != "PAID" {
		topics = append(topics, "orders/paid")
	}
	s.changedOrder(o, topics...)
	return t
}
