package shopifysim

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"datum/adapters/sim"
)

// hookRetries are eight further attempts within four hours.
var hookRetries = []time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 40 * time.Minute, time.Hour, 100 * time.Minute}

// subscription is a webhook subscription made through the API. Until there has been one, the app's own configuration counts,
// which subscribes to everything.
type subscription struct {
	meta
	topic, uri string // topic as the API spells it: ORDERS_CREATE
}

// message is one event on its way.
type message struct {
	topic, webhookID, eventID string
	at                        time.Time
	body                      []byte
}

// happens begins an event: what is told until the next one shares its id.
func (s *Sim) happens() { s.event = s.UUID() }

// tell queues a message to the receiver if the topic is subscribed to. The body is the object as it is now.
func (s *Sim) tell(topic string, body map[string]any) {
	if s.managed && !slices.ContainsFunc(s.hooks, func(h *subscription) bool { return h.topic == enumTopic(topic) }) {
		return
	}
	b, err := json.Marshal(body)
	if err != nil {
		panic("shopifysim: a webhook does not marshal: " + err.Error())
	}
	s.Emit(sim.Event{Name: topic, Payload: message{topic: topic, webhookID: s.UUID(), eventID: s.event, at: s.Now(), body: b}})
}

func enumTopic(topic string) string { return strings.ToUpper(strings.ReplaceAll(topic, "/", "_")) }

// Envelope signs a delivery. A retry is the same delivery, with the body of the first attempt.
func (s *Sim) Envelope(_ string, events []sim.Event, _ int) (http.Header, []byte) {
	m := events[0].Payload.(message)
	s.mu.Lock()
	secret := s.app.clientSecret
	s.mu.Unlock()
	h := Sign(secret, m.body)
	h.Set("X-Shopify-Topic", m.topic)
	h.Set("X-Shopify-Shop-Domain", domainName)
	h.Set("X-Shopify-API-Version", "2026-07")
	h.Set("X-Shopify-Webhook-Id", m.webhookID)
	h.Set("X-Shopify-Event-Id", m.eventID)
	h.Set("X-Shopify-Triggered-At", m.at.Format(time.RFC3339Nano))
	return h, m.body
}

// Sign returns the headers that every delivery has.
func Sign(secret string, body []byte) http.Header {
	mac := hmac.New(sha256.New, []byte(secret))
	_, _ = mac.Write(body)
	h := http.Header{}
	h.Set("Content-Type", "application/json")
	h.Set("User-Agent", "Shopify-Captain-Hook")
	h.Set("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	return h
}

// Delivered removes the subscriptions of a receiver that refused a message for four hours.
func (s *Sim) Delivered(d sim.Delivery) {
	if d.OK() || !d.Last {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	topic := enumTopic(d.Events[0].Payload.(message).topic)
	s.hooks = slices.DeleteFunc(s.hooks, func(h *subscription) bool { return h.topic == topic })
}

// Silence removes subscriptions to a topic without a word, as after four hours of failed deliveries; "" is all of them.
func (s *Sim) Silence(topic string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.hooks)
	s.hooks = slices.DeleteFunc(s.hooks, func(h *subscription) bool { return topic == "" || h.topic == enumTopic(topic) })
	return n - len(s.hooks)
}

func (h *subscription) node() *node {
	return &node{"WebhookSubscription", fields{"id": gid("WebhookSubscription", h.id), "legacyResourceId": text(h.id), "topic": h.topic, "uri": h.uri, "callbackUrl": h.uri,
		"format": "JSON", "createdAt": when(h.created), "updatedAt": when(h.updated), "apiVersion": &node{"ApiVersion", fields{"handle": "2026-07", "displayName": "2026-07", "supported": true}}}}
}

func listHooks(x *exec, a args) (any, *failure) {
	var c conn
	for _, h := range x.s.hooks {
		if ts := a.strs("topics"); len(ts) == 0 || slices.Contains(ts, h.topic) {
			c = append(c, item{id: h.id, make: h.node})
		}
	}
	return c, nil
}

// createHook subscribes to a topic. All subscriptions go to one receiver: the last that was named.
func createHook(x *exec, a args) (any, *failure) {
	s, in := x.s, a.obj("webhookSubscription")
	uri := in.str("uri")
	if uri == "" {
		uri = in.str("callbackUrl")
	}
	h := &subscription{topic: a.str("topic"), uri: uri}
	bad := func(message string) (any, *failure) {
		return payload("WebhookSubscriptionCreate", []problem{{[]string{"webhookSubscription", "callbackUrl"}, message, ""}}, fields{}), nil
	}
	if !strings.HasPrefix(uri, "http://") && !strings.HasPrefix(uri, "https://") {
		return bad("Address is invalid")
	}
	if slices.ContainsFunc(s.hooks, func(o *subscription) bool { return o.topic == h.topic && o.uri == h.uri }) {
		return bad("Address for this topic has already been taken")
	}
	h.meta = s.made()
	s.hooks, s.managed = append(s.hooks, h), true
	if err := s.SetWebhook(context.Background(), uri); err != nil {
		return bad(err.Error())
	}
	return payload("WebhookSubscriptionCreate", nil, fields{"webhookSubscription": h.node()}), nil
}

func (s *Sim) hook(id string) *subscription {
	i := slices.IndexFunc(s.hooks, func(h *subscription) bool { return gid("WebhookSubscription", h.id) == id })
	if i < 0 {
		return nil
	}
	return s.hooks[i]
}

// updateHook moves a subscription to another receiver.
func updateHook(x *exec, a args) (any, *failure) {
	s, in := x.s, a.obj("webhookSubscription")
	h, uri := s.hook(a.str("id")), in.str("uri")
	if uri == "" {
		uri = in.str("callbackUrl")
	}
	bad := func(field, message string) (any, *failure) {
		return payload("WebhookSubscriptionUpdate", []problem{{[]string{field}, message, ""}}, fields{}), nil
	}
	switch {
	case h == nil:
		return bad("id", "Webhook subscription does not exist")
	case uri == "" || uri == h.uri:
	case !strings.HasPrefix(uri, "http://") && !strings.HasPrefix(uri, "https://"):
		return bad("webhookSubscription", "Address is invalid")
	default:
		if err := s.SetWebhook(context.Background(), uri); err != nil {
			return bad("webhookSubscription", err.Error())
		}
		h.uri = uri
		h.touch(s.Now())
	}
	return payload("WebhookSubscriptionUpdate", nil, fields{"webhookSubscription": h.node()}), nil
}

func deleteHook(x *exec, a args) (any, *failure) {
	n := len(x.s.hooks)
	x.s.hooks = slices.DeleteFunc(x.s.hooks, func(h *subscription) bool { return gid("WebhookSubscription", h.id) == a.str("id") })
	if n == len(x.s.hooks) {
		return payload("WebhookSubscriptionDelete", []problem{{[]string{"id"}, "Webhook subscription does not exist", ""}}, fields{}), nil
	}
	return payload("WebhookSubscriptionDelete", nil, fields{"deletedWebhookSubscriptionId": a.str("id")}), nil
}

// Bodies are shaped as the old REST API's.

type body = map[string]any

func (a *address) body() any {
	if a == nil {
		return nil
	}
	return body{"id": a.id, "first_name": orNull(a.first), "last_name": orNull(a.last), "company": orNull(a.company), "address1": orNull(a.address1), "address2": orNull(a.address2),
		"city": orNull(a.city), "province": orNull(provinces[a.country][a.province]), "province_code": orNull(a.province), "zip": orNull(a.zip), "country": orNull(countries[a.country]),
		"country_code": orNull(a.country), "phone": orNull(a.phone)}
}

func (s *Sim) customerBody(c *customer) body {
	var list []any
	var def any
	for _, a := range c.addresses {
		b := a.body().(body)
		b["customer_id"], b["default"] = c.id, a.id == c.def
		list = append(list, b)
		if a.id == c.def {
			def = b
		}
	}
	return body{"id": c.id, "admin_graphql_api_id": gid("Customer", c.id), "first_name": orNull(c.first), "last_name": orNull(c.last), "email": orNull(c.email), "phone": orNull(c.phone),
		"note": orNull(c.note), "tags": strings.Join(c.tags, ", "), "tax_exempt": c.taxExempt, "state": strings.ToLower(c.state), "verified_email": true, "currency": currency,
		"created_at": when(c.created), "updated_at": when(c.updated), "addresses": list, "default_address": def}
}

func (s *Sim) variantBody(v *variant) body {
	b := body{"id": v.id, "admin_graphql_api_id": gid("ProductVariant", v.id), "product_id": v.product.id, "title": v.title(), "sku": orNull(v.sku), "barcode": orNull(v.barcode), "price": amount(v.price),
		"taxable": v.taxable, "inventory_item_id": v.item.id, "created_at": when(v.created), "updated_at": when(v.updated), "compare_at_price": nil}
	if v.compareAt != nil {
		b["compare_at_price"] = amount(*v.compareAt)
	}
	for i, value := range v.values {
		b["option"+text(int64(i+1))] = value
	}
	return b
}

func (s *Sim) productBody(p *product) body {
	var vs []any
	for _, v := range p.variants {
		vs = append(vs, s.variantBody(v))
	}
	return body{"id": p.id, "admin_graphql_api_id": gid("Product", p.id), "title": p.title, "body_html": p.html, "vendor": p.vendor, "product_type": p.typ, "handle": p.handle,
		"status": strings.ToLower(p.status), "tags": strings.Join(p.tags, ", "), "created_at": when(p.created), "updated_at": when(p.updated), "variants": vs}
}

func (s *Sim) itemBody(v *variant) body {
	b := body{"id": v.item.id, "admin_graphql_api_id": gid("InventoryItem", v.item.id), "sku": orNull(v.sku), "tracked": v.tracked, "cost": nil, "created_at": when(v.item.created),
		"updated_at": when(v.item.updated), "requires_shipping": v.shipping, "weight_value": v.weight, "weight_unit": v.unit}
	if v.cost != nil {
		b["cost"] = amount(*v.cost)
	}
	return b
}

func (s *Sim) levelBody(l *level) body {
	return body{"inventory_item_id": l.v.item.id, "location_id": l.l.id, "available": l.available, "updated_at": when(l.updated), "admin_graphql_api_id": levelGID(l)}
}

func (s *Sim) locationBody(l *location) body {
	return body{"id": l.id, "admin_graphql_api_id": gid("Location", l.id), "name": l.name, "active": l.active, "address1": orNull(l.address.address1), "city": orNull(l.address.city),
		"zip": orNull(l.address.zip), "province_code": orNull(l.address.province), "country_code": orNull(l.address.country), "created_at": when(l.created), "updated_at": when(l.updated)}
}

func restTax(tax int64, taxable bool) []any {
	if !taxable {
		return []any{}
	}
	return []any{body{"title": "GST", "rate": 0.1, "price": amount(tax), "price_set": restBag(tax)}}
}

func (s *Sim) orderBody(o *order) body {
	sold, now := o.sums((*line).sold, false), o.current()
	var lines, freights, refunds []any
	for _, l := range o.lines {
		b := body{"id": l.id, "admin_graphql_api_id": gid("LineItem", l.id), "title": l.title, "name": l.name(), "sku": orNull(l.sku), "quantity": l.quantity, "current_quantity": l.current(o),
			"fulfillable_quantity": l.sold() - l.fulfilled, "price": amount(l.price), "price_set": restBag(l.price), "total_discount": amount(l.discount), "taxable": l.taxable,
			"tax_lines": restTax(o.gst(l.total(l.quantity), l.taxable), l.taxable), "variant_id": nil, "product_id": nil}
		if l.v != nil {
			b["variant_id"], b["product_id"] = l.v.id, l.v.product.id
		}
		lines = append(lines, b)
	}
	for _, f := range o.freight {
		freights = append(freights, body{"id": f.id, "title": f.title, "price": amount(f.price), "discounted_price": amount(f.price - f.discount), "tax_lines": restTax(o.gst(f.price-f.discount, f.taxable), f.taxable)})
	}
	for _, r := range o.refunds {
		refunds = append(refunds, s.refundBody(r))
	}
	b := body{"id": o.id, "admin_graphql_api_id": gid("Order", o.id), "name": o.name, "order_number": o.number, "email": orNull(o.email), "note": orNull(o.note), "po_number": orNull(o.po),
		"tags": strings.Join(o.tags, ", "), "currency": currency, "taxes_included": o.inclusive, "test": o.test, "source_name": orNull(o.source), "created_at": when(o.created),
		"updated_at": when(o.updated), "processed_at": when(o.processed), "cancelled_at": when(o.cancelled), "closed_at": when(o.closed), "cancel_reason": orNull(strings.ToLower(o.cancelReason)),
		"financial_status": strings.ToLower(o.financial()), "fulfillment_status": map[string]any{"FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial"}[o.fulfilment()],
		"total_price": amount(sold.total), "current_total_price": amount(now.total), "total_tax": amount(sold.tax), "current_total_tax": amount(now.tax), "subtotal_price": amount(sold.subtotal),
		"total_discounts": amount(sold.discounts), "total_price_set": restBag(sold.total), "line_items": lines, "shipping_lines": freights, "refunds": refunds,
		"billing_address": o.billing.body(), "shipping_address": o.shipping.body(), "customer": nil}
	if c := s.customers[o.customer]; c != nil {
		b["customer"] = s.customerBody(c)
	}
	return b
}

func (s *Sim) refundBody(r *refund) body {
	lines, pays := []any{}, []any{}
	for _, l := range r.lines {
		lines = append(lines, body{"id": l.id, "line_item_id": l.l.id, "quantity": l.quantity, "restock_type": strings.ToLower(l.restock), "subtotal": amount(l.subtotal), "total_tax": amount(l.tax)})
	}
	for _, t := range r.payments {
		pays = append(pays, s.paymentBody(t))
	}
	return body{"id": r.id, "admin_graphql_api_id": gid("Refund", r.id), "order_id": r.o.id, "note": orNull(r.note), "created_at": when(r.created), "processed_at": when(r.created),
		"refund_line_items": lines, "transactions": pays}
}

func (s *Sim) paymentBody(t *transaction) body {
	b := body{"id": t.id, "admin_graphql_api_id": gid("OrderTransaction", t.id), "order_id": t.o.id, "kind": strings.ToLower(t.kind), "status": strings.ToLower(t.status), "gateway": t.gateway,
		"amount": amount(t.amount), "currency": currency, "created_at": when(t.created), "processed_at": when(t.processed), "payment_id": orNull(t.paymentID), "parent_id": nil, "test": t.o.test}
	if t.parent != nil {
		b["parent_id"] = t.parent.id
	}
	return b
}
