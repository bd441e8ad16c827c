package shopifysim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

var orderProperties = strings.Fields(`customer customerId email note tags poNumber lines shipping shippingTitle shippingDiscount taxesIncluded financialStatus gateway amount
cashRounding test sourceName locationId retail billingAddress shippingAddress processedAt cancelled closed fulfilled restock`)

// putOrder is a customer who buys (no id): lines are {variantId or sku, or title and price; quantity, price, discount, taxable},
// shipping is its price, financialStatus is paid (the default), pending, authorized or partially_paid with amount. With an id a
// person edits the order: note, tags, email, poNumber; lines sets quantities of lines by lineId, variantId or sku, or adds lines;
// fulfilled, cancelled and closed are true or false; financialStatus paid takes the rest of the payment.
func (s *Sim) putOrder(id string, in args) (any, error) {
	if err := in.reject(orderProperties...); err != nil {
		return nil, err
	}
	if id == "" {
		o, err := s.buy(in)
		if err != nil {
			return nil, err
		}
		return s.showOrder(o), nil
	}
	o := s.orders[number(id)]
	if o == nil {
		return nil, fmt.Errorf("there is no order %s", id)
	}
	if err := s.editOrder(o, in); err != nil {
		return nil, err
	}
	return s.showOrder(o), nil
}

func (s *Sim) buy(in args) (*order, error) {
	o := &order{meta: s.made(), inclusive: !s.opts.TaxesExcluded, source: "web", at: s.firstLocation()}
	if in.has("taxesIncluded") {
		o.inclusive = in.bool("taxesIncluded")
	}
	if l := s.locations[number(in["locationId"])]; l != nil {
		o.at = l
	}
	if in.bool("retail") {
		o.source, o.retail = "pos", o.at
	}
	if in.str("sourceName") != "" {
		o.source = in.str("sourceName")
	}
	o.email, o.note, o.po, o.test = strings.ToLower(in.str("email")), in.str("note"), in.str("poNumber"), in.bool("test")
	tags, p := cleanTags(in.strs("tags"))
	if p != nil {
		return nil, trouble([]problem{*p})
	}
	o.tags = tags
	o.processed = o.created
	if at, err := time.Parse(time.RFC3339, in.str("processedAt")); err == nil {
		o.processed = at
	}
	o.customer = number(in["customerId"])
	if o.customer == 0 {
		o.customer = number(in["customer"])
	}
	c := s.customers[o.customer]
	if o.customer != 0 && c == nil {
		return nil, errors.New("there is no such customer")
	}
	if c == nil && o.email != "" { // the shop knows its customers by their address, and makes them
		for _, known := range sorted(s.customers) {
			if known.email == o.email {
				c = known
			}
		}
		if c == nil {
			made, ps := s.newCustomer(args{"email": o.email})
			if len(ps) > 0 {
				return nil, trouble(ps)
			}
			c = made
			s.tell("customers/create", s.customerBody(c))
		}
		o.customer = c.id
	}
	if c != nil && o.email == "" {
		o.email = c.email
	}
	for k, dst := range map[string]**address{"billingAddress": &o.billing, "shippingAddress": &o.shipping} {
		if ad := in.obj(k); ad != nil {
			read, p := s.readAddress(ad, address{})
			if p != nil {
				return nil, trouble([]problem{*p})
			}
			*dst = &read
		} else if c != nil {
			for _, a := range c.addresses {
				if a.id == c.def {
					cp := *a
					*dst = &cp
				}
			}
		}
	}
	for _, l := range in.objs("lines") {
		if _, err := s.addLine(o, l); err != nil {
			return nil, err
		}
	}
	if len(o.lines) == 0 {
		return nil, errors.New("an order needs lines")
	}
	if in.has("shipping") {
		f := &freight{id: s.made().id, title: in.str("shippingTitle"), price: cents(in["shipping"]), taxable: true}
		if f.title == "" {
			f.title = "Standard"
		}
		if in.has("shippingDiscount") {
			f.discount = cents(in["shippingDiscount"])
		}
		o.freight = []*freight{f}
	}
	s.orderNumber++
	o.number = s.orderNumber
	o.name = "#" + text(o.number)
	s.orders[o.id] = o
	for _, l := range o.lines {
		s.take(l, o.at, l.quantity)
	}
	s.tell("orders/create", s.orderBody(o))
	if err := s.checkout(o, in); err != nil {
		return nil, err
	}
	if in.bool("fulfilled") {
		s.fulfil(o)
	}
	return o, nil
}

// checkout takes the first payment.
func (s *Sim) checkout(o *order, in args) error {
	t := &transaction{kind: "SALE", gateway: in.str("gateway"), amount: o.current().total - o.received()}
	if t.gateway == "" {
		t.gateway = "shopify_payments"
	}
	if in.has("amount") {
		t.amount = cents(in["amount"])
	}
	if in.has("cashRounding") {
		t.rounding, t.gateway = cents(in["cashRounding"]), "cash"
	}
	switch strings.ToLower(in.str("financialStatus")) {
	case "", "paid", "partially_paid":
	case "pending":
		t.status, t.gateway = "PENDING", "bank_deposit"
	case "authorized":
		t.kind = "AUTHORIZATION"
	case "unpaid":
		return nil
	default:
		return errors.New("financialStatus must be paid, partially_paid, pending, authorized or unpaid")
	}
	if t.amount != 0 {
		s.pay(o, t)
	}
	return nil
}

// addLine adds a line to an order.
func (s *Sim) addLine(o *order, in args) (*line, error) {
	if err := in.reject("variantId", "sku", "title", "price", "quantity", "discount", "taxable", "lineId"); err != nil {
		return nil, err
	}
	l := &line{id: s.made().id, quantity: 1, taxable: true, v: s.variantFor(in), sku: in.str("sku"), title: in.str("title")}
	if l.v != nil {
		l.sku, l.price, l.taxable, l.variant = l.v.sku, l.v.price, l.v.taxable, l.v.title()
		if l.title == "" {
			l.title = l.v.product.title
		}
	} else if l.title == "" || !in.has("price") {
		return nil, errors.New("a line needs variantId or sku of a product, or title and price")
	}
	if in.has("quantity") {
		l.quantity = in.int("quantity")
	}
	if in.has("price") {
		l.price = cents(in["price"])
	}
	if in.has("discount") {
		l.discount = cents(in["discount"])
	}
	if in.has("taxable") {
		l.taxable = in.bool("taxable")
	}
	if l.quantity < 1 {
		return nil, errors.New("the quantity of a line must be at least 1")
	}
	o.lines = append(o.lines, l)
	return l, nil
}

func (s *Sim) editOrder(o *order, in args) error {
	for k, dst := range map[string]*string{"note": &o.note, "email": &o.email, "poNumber": &o.po} {
		if in.has(k) {
			*dst = in.str(k)
		}
	}
	if in.has("tags") {
		tags, p := cleanTags(in.strs("tags"))
		if p != nil {
			return trouble([]problem{*p})
		}
		o.tags = tags
	}
	topics := []string{"orders/updated"}
	for _, l := range in.objs("lines") {
		if err := s.editLine(o, l); err != nil {
			return err
		}
		o.edited = true
	}
	if len(in.list("lines")) > 0 {
		topics = append(topics, "orders/edited")
	}
	if in.has("closed") {
		o.closed = time.Time{}
		if in.bool("closed") {
			o.closed = s.Now().Truncate(time.Second)
		}
	}
	s.changedOrder(o, topics...)
	if in.bool("fulfilled") {
		s.fulfil(o)
	}
	if strings.EqualFold(in.str("financialStatus"), "paid") && o.received() < o.current().total {
		if err := s.checkout(o, in); err != nil {
			return err
		}
	}
	if in.bool("cancelled") && o.cancelled.IsZero() {
		s.cancel(o, "CUSTOMER", !in.has("restock") || in.bool("restock"))
	}
	return nil
}

// editLine sets a line's quantity as order editing does: what is removed stays in quantity, what is added makes a new line.
func (s *Sim) editLine(o *order, in args) error {
	i := slices.IndexFunc(o.lines, func(l *line) bool {
		return l.id == number(in["lineId"]) || l.v != nil && l.v == s.variantFor(in) || in["title"] != nil && l.title == in.str("title")
	})
	if i < 0 {
		l, err := s.addLine(o, in)
		if err == nil {
			s.take(l, o.at, l.quantity)
		}
		return err
	}
	l, n := o.lines[i], in.int("quantity")
	switch now := l.current(o); {
	case n < l.fulfilled:
		return errors.New("a line cannot go below what is fulfilled of it")
	case n <= now:
		s.take(l, o.at, n-now)
		l.removed += now - n
	default:
		more := mergeArgs(in, map[string]any{"quantity": n - now})
		added, err := s.addLine(o, more)
		if err == nil {
			s.take(added, o.at, added.quantity)
		}
		return err
	}
	return nil
}

// fulfil sends everything that is open.
func (s *Sim) fulfil(o *order) {
	for _, l := range o.lines {
		open := l.current(o) - l.fulfilled
		if open <= 0 {
			continue
		}
		if l.v != nil && l.v.tracked && s.variants[l.v.id] != nil {
			s.move(s.level(l.v, o.at, true), 0, -open)
		}
		l.fulfilled += open
	}
	s.changedOrder(o, "orders/fulfilled", "orders/updated")
}

// putRefund is a refund at the counter: orderId, lines {lineId, variantId or sku, quantity}, restock (default true), shipping
// (an amount or true), amount (of money given back; default what the goods are worth, 0 is none), note. Without lines it is
// the amount alone.
func (s *Sim) putRefund(id string, in args) (any, error) {
	if err := in.reject("orderId", "order", "lines", "restock", "shipping", "amount", "note", "gateway"); err != nil {
		return nil, err
	}
	if id != "" {
		return nil, errors.New("a refund cannot be changed")
	}
	o := s.orders[number(in["orderId"])]
	if o == nil {
		o = s.orders[number(in["order"])]
	}
	if o == nil {
		return nil, errors.New("orderId names no order")
	}
	w := refundWish{note: in.str("note")}
	for _, l := range in.objs("lines") {
		i := slices.IndexFunc(o.lines, func(ol *line) bool {
			return ol.id == number(l["lineId"]) || ol.v != nil && ol.v == s.variantFor(l) || l["title"] != nil && ol.title == l.str("title")
		})
		if i < 0 {
			return nil, errors.New("the order has no such line")
		}
		rl := refundLine{l: o.lines[i], quantity: max(l.int("quantity"), 1), restock: "NO_RESTOCK"}
		if !in.has("restock") || in.bool("restock") {
			if rl.restock = "RETURN"; rl.l.fulfilled == 0 {
				rl.restock = "CANCEL"
			}
		}
		w.lines = append(w.lines, rl)
	}
	if in.has("shipping") {
		if w.freight = cents(in["shipping"]); in.bool("shipping") {
			w.freight = -1
		}
	}
	var paid *transaction
	for _, t := range o.payments {
		if t.status == "SUCCESS" && (t.kind == "SALE" || t.kind == "CAPTURE") {
			paid = t
		}
	}
	give := cents(in["amount"])
	if !in.has("amount") {
		try := *o
		for _, rl := range w.lines {
			sum := rl.l.total(rl.quantity)
			if give += sum; !try.inclusive {
				give += try.gst(sum, rl.l.taxable)
			}
		}
		if w.freight < 0 && len(o.freight) > 0 {
			give += o.freight[0].price - o.freight[0].discount
		} else {
			give += w.freight
		}
		give = min(give, o.received()-o.refunded())
	}
	if give > 0 {
		if paid == nil {
			return nil, errors.New("nothing was paid that could be given back; amount 0 takes goods back only")
		}
		w.pay = []*transaction{{amount: give, gateway: paid.gateway, parent: paid}}
	}
	r, p := s.give(o, w)
	if p != nil {
		return nil, trouble([]problem{*p})
	}
	return showRefund(s, r), nil
}

// putPayment is a payment on an order: orderId (none is a sale at the counter), kind (sale, capture, void, authorization),
// amount, gateway, status.
func (s *Sim) putPayment(id string, in args) (any, error) {
	if err := in.reject("orderId", "order", "kind", "amount", "gateway", "status", "cashRounding"); err != nil {
		return nil, err
	}
	if id != "" {
		t := s.payments[number(id)]
		if t == nil || in.str("status") == "" {
			return nil, errors.New("only the status of a transaction that exists can be changed")
		}
		was := t.o.financial()
		t.status = strings.ToUpper(in.str("status"))
		topics := []string{"orders/updated"}
		if was != "PAID" && t.o.financial() == "PAID" {
			topics = append(topics, "orders/paid")
		}
		s.changedOrder(t.o, topics...)
		return showPayment(s, t), nil
	}
	o := s.orders[number(in["orderId"])]
	if o == nil {
		o = s.orders[number(in["order"])]
	}
	if o == nil && in["orderId"] == nil && in["order"] == nil {
		sold, err := s.buy(args{"lines": []any{map[string]any{"title": "Counter sale", "price": in["amount"]}}, "financialStatus": "unpaid"})
		if err != nil {
			return nil, err
		}
		o = sold
	}
	if o == nil {
		return nil, errors.New("orderId names no order")
	}
	t := &transaction{kind: strings.ToUpper(in.str("kind")), gateway: in.str("gateway"), status: strings.ToUpper(in.str("status")), amount: o.current().total - o.received()}
	if t.kind == "" {
		t.kind = "SALE"
	}
	if !slices.Contains([]string{"SALE", "CAPTURE", "VOID", "AUTHORIZATION"}, t.kind) {
		return nil, errors.New("kind must be sale, capture, void or authorization; refunds are a type of their own")
	}
	if in.has("amount") {
		t.amount = cents(in["amount"])
	}
	if in.has("cashRounding") {
		t.rounding = cents(in["cashRounding"])
	}
	if t.gateway == "" {
		t.gateway = "manual"
	}
	return showPayment(s, s.pay(o, t)), nil
}
