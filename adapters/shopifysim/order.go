package shopifysim

import (
	"slices"
	"strings"
	"time"
)

type order struct {
	meta
	number                  int64
	name                    string
	customer                int64 // 0: none, as on the counter
	email, phone, note, po  string
	source, sourceID        string
	tags                    []string
	inclusive, test, edited bool
	processed               time.Time
	cancelled, closed       time.Time
	cancelReason            string
	billing, shipping       *address
	at                      *location // where its stock comes from
	retail                  *location // of a sale at a counter
	lines                   []*line
	freight                 []*freight
	payments                []*transaction
	refunds                 []*refund
	metafields              metafields
}

type line struct {
	id                   int64
	v                    *variant // nil: a custom item, or the product was deleted
	sku, title, variant  string
	quantity             int // as ordered; later additions by editing included
	removed              int // by editing
	fulfilled, restocked int
	price                int64 // of one
	discount             int64 // off the whole line, for the quantity
	taxable              bool
}

type freight struct {
	id              int64
	title           string
	price, discount int64
	taxable         bool
}

type transaction struct {
	meta
	o                     *order
	kind, status, gateway string
	amount, rounding      int64
	parent                *transaction
	paymentID             string
	processed             time.Time
	r                     *refund
}

type refund struct {
	meta
	o           *order
	note        string
	lines       []refundLine
	freight     []refundFreight
	adjustments []adjustment
	payments    []*transaction
}

type refundLine struct {
	id            int64
	l             *line
	quantity      int
	restock       string
	subtotal, tax int64
	at            *location
}

type refundFreight struct {
	id            int64
	f             *freight
	subtotal, tax int64
}

type adjustment struct {
	id     int64
	amount int64
	reason string
}

// gst is the GST in or on an amount: 1/11 of a price that includes it, 1/10 of one that does not.
func (o *order) gst(amount int64, taxable bool) int64 {
	switch {
	case !taxable:
		return 0
	case o.inclusive:
		return share(amount, 1, 11)
	default:
		return share(amount, 1, 10)
	}
}

func (l *line) refundedQuantity(o *order) int {
	n := 0
	for _, r := range o.refunds {
		for _, rl := range r.lines {
			if rl.l == l {
				n += rl.quantity
			}
		}
	}
	return n
}

func (l *line) sold() int { return l.quantity - l.removed }

func (l *line) current(o *order) int { return l.sold() - l.refundedQuantity(o) }

// total is the price of n of the line after discount, in the order's tax mode.
func (l *line) total(n int) int64 {
	return l.price*int64(n) - share(l.discount, int64(n), int64(max(l.quantity, 1)))
}

func (l *line) node(s *Sim, o *order) *node {
	sum := l.total(l.quantity)
	f := fields{"id": gid("LineItem", l.id), "title": l.title, "name": l.name(), "variantTitle": orNull(l.variant), "sku": orNull(l.sku), "quantity": l.quantity,
		"currentQuantity": l.current(o), "taxable": l.taxable, "unfulfilledQuantity": l.sold() - l.fulfilled, "fulfillableQuantity": l.sold() - l.fulfilled,
		"refundableQuantity": l.current(o), "requiresShipping": true, "restockable": true, "fulfillmentStatus": "unfulfilled",
		"originalUnitPriceSet": bag(l.price), "originalTotalSet": bag(l.price * int64(l.quantity)), "totalDiscountSet": bag(l.discount),
		"discountedTotalSet": bag(sum), "discountedUnitPriceSet": bag(share(sum, 1, int64(max(l.quantity, 1)))),
		"discountedUnitPriceAfterAllDiscountsSet": bag(share(sum, 1, int64(max(l.quantity, 1))))}
	if l.v != nil && s.variants[l.v.id] != nil {
		f["variant"] = later(func() *node { return s.variantNode(l.v) })
		f["product"] = later(func() *node { return s.productNode(l.v.product) })
	}
	if l.discount != 0 {
		f["discountAllocations"] = []*node{{"DiscountAllocation", fields{"allocatedAmount": moneyNode(l.discount), "allocatedAmountSet": bag(l.discount)}}}
	}
	f["taxLines"] = taxLines(o.gst(sum, l.taxable), l.taxable)
	return &node{"LineItem", f}
}

func (l *line) name() string {
	if l.variant != "" && l.variant != onlyValue {
		return l.title + " - " + l.variant
	}
	return l.title
}

func taxLines(tax int64, taxable bool) []*node {
	if !taxable {
		return nil
	}
	return []*node{{"TaxLine", fields{"title": "GST", "rate": 0.1, "ratePercentage": 10.0, "price": amount(tax), "priceSet": bag(tax), "channelLiable": false}}}
}

// sums are an order's figures.
type sums struct{ subtotal, freight, tax, total, discounts int64 }

// sums adds up the order, with n saying how many of a line count and freight by how much less was refunded.
func (o *order) sums(n func(*line) int, afterRefunds bool) (t sums) {
	for _, l := range o.lines {
		sum := l.total(n(l))
		t.subtotal += sum
		t.discounts += l.price*int64(n(l)) - sum
		t.tax += o.gst(sum, l.taxable)
	}
	for _, f := range o.freight {
		sum, tax := f.price-f.discount, o.gst(f.price-f.discount, f.taxable)
		t.discounts += f.discount
		if afterRefunds {
			for _, r := range o.refunds {
				for _, rf := range r.freight {
					if rf.f == f {
						sum, tax = sum-rf.subtotal, tax-rf.tax
					}
				}
			}
		}
		t.freight += sum
		t.tax += tax
	}
	t.total = t.subtotal + t.freight
	if !o.inclusive {
		t.total += t.tax
	}
	return t
}

func (o *order) original() sums {
	return o.sums(func(l *line) int { return l.quantity }, false)
}

// current is after edits and refunds. Tax goes down by exactly what was refunded of it.
func (o *order) current() sums {
	sold := o.sums((*line).sold, false)
	for _, r := range o.refunds {
		for _, rl := range r.lines {
			sold.subtotal, sold.tax = sold.subtotal-rl.subtotal, sold.tax-rl.tax
			sold.total -= rl.subtotal
			if !o.inclusive {
				sold.total -= rl.tax
			}
		}
		for _, rf := range r.freight {
			sold.freight, sold.tax = sold.freight-rf.subtotal, sold.tax-rf.tax
			sold.total -= rf.subtotal
			if !o.inclusive {
				sold.total -= rf.tax
			}
		}
	}
	return sold
}

func (o *order) received() (n int64) {
	for _, t := range o.payments {
		if (t.kind == "SALE" || t.kind == "CAPTURE") && t.status == "SUCCESS" {
			n += t.amount
		}
	}
	return n
}

func (o *order) refunded() (n int64) {
	for _, t := range o.payments {
		if t.kind == "REFUND" && t.status == "SUCCESS" {
			n += t.amount
		}
	}
	return n
}

func (o *order) rounding(kind string) (n int64) {
	for _, t := range o.payments {
		if t.kind == kind && t.status == "SUCCESS" {
			n += t.rounding
		}
	}
	return n
}

func (o *order) financial() string {
	paid, back := o.received(), o.refunded()
	authorised, voided, pending := false, false, false
	for _, t := range o.payments {
		authorised = authorised || t.kind == "AUTHORIZATION" && t.status == "SUCCESS"
		voided = voided || t.kind == "VOID" && t.status == "SUCCESS"
		pending = pending || t.status == "PENDING"
	}
	switch {
	case back > 0 && back >= paid:
		return "REFUNDED"
	case back > 0:
		return "PARTIALLY_REFUNDED"
	case paid > 0 && paid >= o.current().total:
		return "PAID"
	case paid > 0:
		return "PARTIALLY_PAID"
	case voided:
		return "VOIDED"
	case authorised:
		return "AUTHORIZED"
	case o.original().total == 0 && !pending:
		return "PAID"
	}
	return "PENDING"
}

func (o *order) fulfilment() string {
	done, open := 0, 0
	for _, l := range o.lines {
		done += l.fulfilled
		open += max(l.current(o)-l.fulfilled, 0)
	}
	switch {
	case done == 0:
		return "UNFULFILLED"
	case open > 0:
		return "PARTIALLY_FULFILLED"
	}
	return "FULFILLED"
}

func (s *Sim) ordersOf(customer int64) []*order {
	of := map[int64]*order{}
	for id, o := range s.orders {
		if o.customer == customer {
			of[id] = o
		}
	}
	return sorted(of)
}

func (s *Sim) changedOrder(o *order, topics ...string) {
	o.touch(s.Now())
	for _, t := range topics {
		s.tell(t, s.orderBody(o))
	}
}

func (s *Sim) orderNode(o *order) *node {
	if o == nil {
		return nil
	}
	first, now := o.original(), o.current()
	sold := o.sums((*line).sold, false)
	f := fields{"id": gid("Order", o.id), "legacyResourceId": text(o.id), "name": o.name, "number": o.number, "createdAt": when(o.created), "updatedAt": when(o.updated),
		"processedAt": when(o.processed), "cancelledAt": when(o.cancelled), "closedAt": when(o.closed), "closed": !o.closed.IsZero(), "cancelReason": orNull(o.cancelReason),
		"confirmed": true, "test": o.test, "edited": o.edited, "email": orNull(o.email), "phone": orNull(o.phone), "note": orNull(o.note), "poNumber": orNull(o.po), "tags": o.tags,
		"sourceName": orNull(o.source), "sourceIdentifier": orNull(o.sourceID), "currencyCode": currency, "presentmentCurrencyCode": currency, "taxesIncluded": o.inclusive,
		"displayFinancialStatus": o.financial(), "displayFulfillmentStatus": o.fulfilment(), "fullyPaid": o.received() >= now.total, "unpaid": o.received() == 0,
		"originalTotalPriceSet": bag(first.total), "totalPriceSet": bag(sold.total), "currentTotalPriceSet": bag(now.total),
		"totalTaxSet": bag(sold.tax), "currentTotalTaxSet": bag(now.tax), "subtotalPriceSet": bag(sold.subtotal), "currentSubtotalPriceSet": bag(now.subtotal),
		"totalShippingPriceSet": bag(sold.freight), "currentShippingPriceSet": bag(now.freight), "totalDiscountsSet": bag(sold.discounts), "currentTotalDiscountsSet": bag(now.discounts),
		"totalReceivedSet": bag(o.received()), "totalRefundedSet": bag(o.refunded()), "netPaymentSet": bag(o.received() - o.refunded()),
		"totalOutstandingSet": bag(now.total - o.received() + o.refunded()), "totalPrice": amount(sold.total), "totalTax": amount(sold.tax),
		"totalCashRoundingAdjustment": &node{"CashRoundingAdjustment", fields{"paymentSet": bag(o.rounding("SALE") + o.rounding("CAPTURE")), "refundSet": bag(o.rounding("REFUND"))}},
		"billingAddress":              o.billing.node(), "shippingAddress": o.shipping.node(), "paymentGatewayNames": o.gateways(), "statusPageUrl": "https://" + domainName + "/orders/" + text(o.id),
		"retailLocation": s.locationNode(o.retail), "currentTaxLines": taxLines(now.tax, now.tax != 0), "taxLines": taxLines(sold.tax, sold.tax != 0)}
	if c := s.customers[o.customer]; c != nil {
		f["customer"] = later(func() *node { return s.customerNode(c) })
	}
	f["lineItems"] = lazy(func(args) (any, *failure) {
		var c conn
		for i, l := range o.lines {
			c = append(c, item{key: position(i), id: l.id, make: func() *node { return l.node(s, o) }})
		}
		return c, nil
	})
	f["shippingLines"] = lazy(func(args) (any, *failure) {
		var c conn
		for i, fr := range o.freight {
			c = append(c, item{key: position(i), id: fr.id, make: func() *node { return fr.node(o) }})
		}
		return c, nil
	})
	if len(o.freight) > 0 {
		f["shippingLine"] = o.freight[0].node(o)
	}
	f["transactions"] = lazy(func(args) (any, *failure) {
		var all []*node
		for _, t := range o.payments {
			all = append(all, s.paymentNode(t))
		}
		return all, nil
	})
	f["transactionsCount"] = &node{"Count", fields{"count": len(o.payments), "precision": "EXACT"}}
	f["refunds"] = lazy(func(args) (any, *failure) {
		var all []*node
		for _, r := range o.refunds {
			all = append(all, s.refundNode(r))
		}
		return all, nil
	})
	return metafieldMembers(&node{"Order", f}, "ORDER", o.metafields)
}

func (o *order) gateways() []string {
	names := []string{}
	for _, t := range o.payments {
		if !slices.Contains(names, t.gateway) {
			names = append(names, t.gateway)
		}
	}
	return names
}

func (f *freight) node(o *order) *node {
	net := f.price - f.discount
	return &node{"ShippingLine", fields{"id": gid("ShippingLine", f.id), "title": f.title, "code": f.title, "originalPriceSet": bag(f.price), "discountedPriceSet": bag(net),
		"currentDiscountedPriceSet": bag(net), "taxLines": taxLines(o.gst(net, f.taxable), f.taxable), "source": "shopify"}}
}

func (s *Sim) paymentNode(t *transaction) *node {
	if t == nil {
		return nil
	}
	f := fields{"id": gid("OrderTransaction", t.id), "kind": t.kind, "status": t.status, "gateway": t.gateway, "formattedGateway": strings.ReplaceAll(t.gateway, "_", " "),
		"amountSet": bag(t.amount), "createdAt": when(t.created), "processedAt": when(t.processed), "test": t.o.test, "paymentId": orNull(t.paymentID),
		"manualPaymentGateway": t.gateway == "manual" || t.gateway == "cash",
		"order":                later(func() *node { return s.orderNode(t.o) }), "parentTransaction": later(func() *node { return s.paymentNode(t.parent) })}
	if t.rounding != 0 {
		f["amountRoundingSet"] = bag(t.rounding)
	}
	return &node{"OrderTransaction", f}
}

func (s *Sim) refundNode(r *refund) *node {
	if r == nil {
		return nil
	}
	f := fields{"id": gid("Refund", r.id), "legacyResourceId": text(r.id), "note": orNull(r.note), "createdAt": when(r.created), "processedAt": when(r.created), "updatedAt": when(r.updated),
		"order": later(func() *node { return s.orderNode(r.o) })}
	var back int64
	var pays, lines, freights, adjusts conn
	for _, t := range r.payments {
		if t.status == "SUCCESS" {
			back += t.amount
		}
		pays = append(pays, item{id: t.id, make: func() *node { return s.paymentNode(t) }})
	}
	for i, rl := range r.lines {
		lines = append(lines, item{key: position(i), id: rl.id, make: func() *node {
			return &node{"RefundLineItem", fields{"id": gid("RefundLineItem", rl.id), "quantity": rl.quantity, "restockType": rl.restock, "restocked": rl.restock != "NO_RESTOCK",
				"priceSet": bag(share(rl.subtotal, 1, int64(max(rl.quantity, 1)))), "subtotalSet": bag(rl.subtotal), "totalTaxSet": bag(rl.tax),
				"lineItem": later(func() *node { return rl.l.node(s, r.o) }), "location": s.locationNode(rl.at)}}
		}})
	}
	for _, rf := range r.freight {
		freights = append(freights, item{id: rf.id, make: func() *node {
			return &node{"RefundShippingLine", fields{"id": gid("RefundShippingLine", rf.id), "shippingLine": rf.f.node(r.o), "subtotalAmountSet": bag(rf.subtotal), "taxAmountSet": bag(rf.tax)}}
		}})
	}
	for _, a := range r.adjustments {
		adjusts = append(adjusts, item{id: a.id, make: func() *node {
			return &node{"OrderAdjustment", fields{"id": gid("OrderAdjustment", a.id), "amountSet": bag(a.amount), "taxAmountSet": bag(0), "reason": a.reason}}
		}})
	}
	f["totalRefundedSet"], f["transactions"], f["refundLineItems"], f["refundShippingLines"], f["orderAdjustments"] = bag(back), pays, lines, freights, adjusts
	return &node{"Refund", f}
}

func matchOrder(o *order, t term) (found, known bool) {
	switch t.field {
	case "name":
		return t.text(o.name, strings.TrimPrefix(o.name, "#")), true
	case "email":
		return t.text(o.email), true
	case "customer_id":
		return t.number(o.customer), true
	case "sku":
		return slices.ContainsFunc(o.lines, func(l *line) bool { return t.text(l.sku) }), true
	case "tag":
		return t.text(o.tags...), true
	case "financial_status":
		return t.text(o.financial()), true
	case "fulfillment_status":
		return t.text(o.fulfilment()), true
	case "source_identifier":
		return t.text(o.sourceID), true
	case "test":
		return t.text(map[bool]string{true: "true", false: "false"}[o.test]), true
	case "status":
		open := o.closed.IsZero() && o.cancelled.IsZero()
		return t.text("any") || t.text("open") && open || t.text("closed") && !o.closed.IsZero() || t.text("cancelled") && !o.cancelled.IsZero(), true
	case "processed_at":
		return t.time(o.processed), true
	case "":
		return t.text(o.name, o.email, strings.TrimPrefix(o.name, "#")), true
	}
	return false, false
}

// findOrders leaves out orders of more than 60 days ago unless the app may read all.
func (s *Sim) findOrders(all []*order, a args) conn {
	if !slices.Contains(s.opts.Scopes, "read_all_orders") {
		since := s.Now().AddDate(0, 0, -60)
		all = slices.DeleteFunc(slices.Clone(all), func(o *order) bool { return o.created.Before(since) })
	}
	return find(s, all, a, "Order", matchOrder, s.orderNode)
}

func listOrders(x *exec, a args) (any, *failure) { return x.s.findOrders(sorted(x.s.orders), a), nil }
