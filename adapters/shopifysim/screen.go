package shopifysim

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"datum/adapters/sim"
)

// Objects returns every object of the type with its plain members; id is the number that ends its global id.
func (s *Sim) Objects(typ string) ([]any, error) {
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []any
	switch typ {
	case "customer":
		for _, c := range sorted(s.customers) {
			all = append(all, show(s.customerNode(c)))
		}
	case "product":
		for _, p := range sorted(s.products) {
			all = append(all, s.showProduct(p))
		}
	case "variant":
		for _, v := range sorted(s.variants) {
			all = append(all, s.showVariant(v))
		}
	case "location":
		for _, l := range sorted(s.locations) {
			all = append(all, show(s.locationNode(l)))
		}
	case "inventoryLevel":
		var levels []*level
		for _, l := range s.levels {
			levels = append(levels, l)
		}
		slices.SortFunc(levels, func(a, b *level) int { return int(a.id - b.id) })
		for _, l := range levels {
			all = append(all, showLevel(l))
		}
	case "order":
		for _, o := range sorted(s.orders) {
			all = append(all, s.showOrder(o))
		}
	case "refund":
		for _, r := range sorted(s.refunds) {
			all = append(all, showRefund(s, r))
		}
	case "transaction":
		for _, t := range sorted(s.payments) {
			all = append(all, showPayment(s, t))
		}
	}
	return all, nil
}

// show is a node's plain members.
func show(n *node) map[string]any {
	if n == nil {
		return nil
	}
	m := map[string]any{}
	for k, v := range n.f {
		switch v := v.(type) {
		case lazy, conn:
		case *node:
			if v != nil {
				m[k] = show(v)
			}
		case []*node:
			list := []any{}
			for _, x := range v {
				list = append(list, show(x))
			}
			m[k] = list
		default:
			m[k] = v
		}
	}
	if id, ok := m["id"].(string); ok && strings.HasPrefix(id, "gid://") {
		m["admin_graphql_api_id"] = id
		m["id"] = id[strings.LastIndexByte(id, '/')+1:]
	}
	return m
}

func (s *Sim) showProduct(p *product) map[string]any {
	m := show(s.productNode(p))
	var list []any
	for _, v := range p.variants {
		list = append(list, show(s.variantNode(v)))
	}
	m["variants"] = list
	return m
}

func (s *Sim) showVariant(v *variant) map[string]any {
	m := show(s.variantNode(v))
	m["product"], m["inventoryItem"] = show(s.productNode(v.product)), show(s.itemNode(v))
	return m
}

func showLevel(l *level) map[string]any {
	return map[string]any{"id": text(l.v.item.id) + "@" + text(l.l.id), "sku": l.v.sku, "inventoryItemId": text(l.v.item.id), "variantId": text(l.v.id), "locationId": text(l.l.id), "location": l.l.name,
		"available": l.available, "committed": l.committed, "incoming": l.incoming, "onHand": l.onHand(), "updatedAt": when(l.updated)}
}

func (s *Sim) showOrder(o *order) map[string]any {
	m := show(s.orderNode(o))
	var lines, refunds, pays []any
	for _, l := range o.lines {
		lm := show(l.node(s, o))
		if l.v != nil {
			lm["variantId"] = text(l.v.id)
		}
		lines = append(lines, lm)
	}
	for _, r := range o.refunds {
		refunds = append(refunds, text(r.id))
	}
	for _, t := range o.payments {
		pays = append(pays, text(t.id))
	}
	m["lineItems"], m["refunds"], m["transactions"], m["customerId"] = lines, refunds, pays, text(o.customer)
	return m
}

func showRefund(s *Sim, r *refund) map[string]any {
	m := show(s.refundNode(r))
	m["orderId"], m["body"] = text(r.o.id), s.refundBody(r)
	return m
}

func showPayment(s *Sim, t *transaction) map[string]any {
	m := show(s.paymentNode(t))
	m["orderId"] = text(t.o.id)
	return m
}

// Put is a person at work in the shop's own screens, or a customer who buys.
func (s *Sim) Put(typ, id string, properties map[string]any) (any, error) {
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.happens()
	in := args(properties)
	switch typ {
	case "customer":
		return s.putCustomer(id, in)
	case "product":
		p, err := s.putProduct(s.products[number(id)], id, nil, in)
		if err != nil {
			return nil, err
		}
		return s.showProduct(p), nil
	case "variant":
		v := s.variants[number(id)]
		var p *product
		if v != nil {
			p = v.product
		}
		p, err := s.putProduct(p, id, v, in)
		if err != nil {
			return nil, err
		}
		if v == nil {
			v = p.variants[0]
		}
		return s.showVariant(v), nil
	case "location":
		return s.putLocation(id, in)
	case "inventoryLevel":
		return s.putLevel(id, in)
	case "order":
		return s.putOrder(id, in)
	case "refund":
		return s.putRefund(id, in)
	default:
		return s.putPayment(id, in)
	}
}

func trouble(ps []problem) error {
	var all []error
	for _, p := range ps {
		all = append(all, fmt.Errorf("%s: %s", strings.Join(p.field, "."), p.message))
	}
	return errors.Join(all...)
}

// reject refuses property names that mean nothing.
func (a args) reject(known ...string) error {
	for k := range a {
		if !slices.Contains(known, k) {
			return fmt.Errorf("property %q is not one of %s", k, strings.Join(known, ", "))
		}
	}
	return nil
}

func (s *Sim) putCustomer(id string, in args) (any, error) {
	if err := in.reject("name", "firstName", "lastName", "email", "phone", "note", "tags", "taxExempt", "addresses", "address", "defaultAddress", "metafields"); err != nil {
		return nil, err
	}
	if name := in.str("name"); name != "" {
		in["firstName"], in["lastName"] = name, ""
		if i := strings.LastIndexByte(name, ' '); i > 0 {
			in["firstName"], in["lastName"] = name[:i], name[i+1:]
		}
	}
	for _, k := range []string{"address", "defaultAddress"} {
		if in[k] != nil {
			in["addresses"] = []any{in[k]}
		}
	}
	var c *customer
	if id == "" {
		made, ps := s.newCustomer(in)
		if len(ps) > 0 {
			return nil, trouble(ps)
		}
		c = made
	} else if c = s.customers[number(id)]; c == nil {
		return nil, fmt.Errorf("there is no customer %s", id)
	} else if ps := s.apply(c, in); len(ps) > 0 {
		return nil, trouble(ps)
	}
	for i, m := range in.objs("metafields") {
		if _, p := s.setMetafield(holder{"CUSTOMER", c.id, &c.metafields}, m, []string{"metafields", text(int64(i))}); p != nil {
			return nil, trouble([]problem{*p})
		}
	}
	if id == "" {
		s.tell("customers/create", s.customerBody(c))
	} else {
		s.changedCustomer(c, "customers/update")
	}
	return show(s.customerNode(c)), nil
}

// putProduct takes a product's properties, and those of its one variant or of each in variants; quantity is its stock at the
// first location.
func (s *Sim) putProduct(p *product, id string, v *variant, in args) (*product, error) {
	if err := in.reject("title", "description", "descriptionHtml", "vendor", "productType", "status", "tags", "handle", "sku", "barcode", "price", "compareAtPrice", "taxable",
		"tracked", "cost", "weight", "quantity", "variants", "option"); err != nil {
		return nil, err
	}
	if id != "" && p == nil {
		return nil, fmt.Errorf("there is no product %s", id)
	}
	if in["description"] != nil {
		in["descriptionHtml"] = in["description"]
	}
	fresh := p == nil
	if fresh {
		p = &product{meta: s.made(), status: "ACTIVE", vendor: shopName}
	}
	if ps := s.applyProduct(p, in); len(ps) > 0 {
		return nil, trouble(ps)
	}
	s.products[p.id] = p
	list := in.objs("variants")
	if fresh && len(list) == 0 {
		p.options = []option{{onlyOption, []string{onlyValue}}}
		v = s.newVariant(p, []string{onlyValue})
	}
	if v == nil && len(p.variants) == 1 && len(list) == 0 {
		v = p.variants[0]
	}
	if v != nil {
		if err := s.putVariant(v, in); err != nil {
			return nil, err
		}
	}
	for _, one := range list {
		if err := one.reject("option", "sku", "barcode", "price", "compareAtPrice", "taxable", "tracked", "cost", "weight", "quantity"); err != nil {
			return nil, err
		}
		value := one.str("option")
		i := slices.IndexFunc(p.variants, func(o *variant) bool { return o.title() == value || o.sku != "" && o.sku == one.str("sku") })
		if i < 0 {
			if value == "" {
				value = one.str("sku")
			}
			if len(p.options) == 0 {
				p.options = []option{{"Option", nil}}
			}
			p.options[0].values = append(p.options[0].values, value)
			s.newVariant(p, []string{value})
			i = len(p.variants) - 1
		}
		if err := s.putVariant(p.variants[i], one); err != nil {
			return nil, err
		}
	}
	if fresh {
		s.tell("products/create", s.productBody(p))
	} else {
		s.changedProduct(p, "products/update")
	}
	return p, nil
}

func (s *Sim) putVariant(v *variant, in args) error {
	old := *v
	ch := args(mergeArgs(in, nil))
	it := map[string]any{}
	for _, k := range []string{"cost", "tracked"} {
		if in.has(k) {
			it[k] = in[k]
		}
	}
	if in.has("weight") {
		it["measurement"] = map[string]any{"weight": map[string]any{"value": in["weight"], "unit": "KILOGRAMS"}}
	}
	ch["inventoryItem"] = it
	if in.has("quantity") {
		it["tracked"] = true
	}
	if ps := s.applyVariant(v, ch); len(ps) > 0 {
		return trouble(ps)
	}
	if !equalJSON(s.variantBody(v), s.variantBody(&old)) {
		v.touch(s.Now())
	}
	if v.tracked != old.tracked || !equalCents(v.cost, old.cost) || v.weight != old.weight || v.sku != old.sku {
		v.item.touch(s.Now())
		s.tell("inventory_items/update", s.itemBody(v))
	}
	if in.has("quantity") {
		l := s.level(v, s.firstLocation(), true)
		s.move(l, in.int("quantity")-l.available, 0)
	}
	return nil
}

func (s *Sim) putLocation(id string, in args) (any, error) {
	if err := in.reject("name", "active", "address"); err != nil {
		return nil, err
	}
	l, topic := s.locations[number(id)], "locations/update"
	if id == "" {
		l, topic = &location{meta: s.made(), active: true, address: address{country: "AU"}}, "locations/create"
	} else if l == nil {
		return nil, fmt.Errorf("there is no location %s", id)
	}
	if name := in.str("name"); name != "" {
		l.name = name
	}
	if in.has("active") {
		l.active = in.bool("active")
	}
	if ad := in.obj("address"); ad != nil {
		read, p := s.readAddress(ad, address{})
		if p != nil {
			return nil, trouble([]problem{*p})
		}
		l.address = read
	}
	s.locations[l.id] = l
	l.touch(s.Now())
	s.tell(topic, s.locationBody(l))
	return show(s.locationNode(l)), nil
}

// putLevel counts stock: id is "item@location", or variantId or sku and locationId are given. available or onHand is set, or
// adjust is added to what is available; incoming is set.
func (s *Sim) putLevel(id string, in args) (any, error) {
	if err := in.reject("variantId", "sku", "locationId", "available", "onHand", "adjust", "incoming"); err != nil {
		return nil, err
	}
	item, loc, _ := strings.Cut(id, "@")
	v, l := s.items[number(item)], s.locations[number(loc)]
	if id == "" {
		v, l = s.variantFor(in), s.locations[number(in["locationId"])]
		if in["locationId"] == nil {
			l = s.firstLocation()
		}
	}
	if v == nil || l == nil {
		return nil, errors.New("there is no such inventory item or location")
	}
	lv := s.level(v, l, true)
	switch {
	case in.has("available"):
		s.move(lv, in.int("available")-lv.available, 0)
	case in.has("onHand"):
		s.move(lv, in.int("onHand")-lv.onHand(), 0)
	case in.has("adjust"):
		s.move(lv, in.int("adjust"), 0)
	}
	if in.has("incoming") {
		lv.incoming = in.int("incoming")
		lv.touch(s.Now())
		s.tell("inventory_levels/update", s.levelBody(lv))
	}
	return showLevel(lv), nil
}

// variantFor finds the variant that properties name by variantId or sku.
func (s *Sim) variantFor(in args) *variant {
	if id := number(in["variantId"]); id != 0 {
		return s.variants[id]
	}
	for _, v := range sorted(s.variants) {
		if sku := in.str("sku"); sku != "" && v.sku == sku {
			return v
		}
	}
	return nil
}

// Merge merges two customers.
func (s *Sim) Merge(typ, winner, loser string) (any, error) {
	if typ != "customer" {
		return nil, errors.New("only customers can be merged")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.happens()
	a, b := s.customers[number(winner)], s.customers[number(loser)]
	if a == nil || b == nil {
		return nil, errors.New("there are no such two customers")
	}
	s.join(a, b)
	return show(s.customerNode(a)), nil
}

// Delete deletes an object for good; refunds and transactions go with their order.
func (s *Sim) Delete(typ, id string) error {
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.happens()
	n := number(id)
	switch {
	case typ == "customer" && s.customers[n] != nil:
		if len(s.ordersOf(n)) > 0 {
			return errors.New("a customer with orders cannot be deleted")
		}
		delete(s.customers, n)
		s.tell("customers/delete", body{"id": n, "admin_graphql_api_id": gid("Customer", n)})
	case typ == "product" && s.products[n] != nil:
		s.removeProduct(s.products[n])
	case typ == "variant" && s.variants[n] != nil:
		if v := s.variants[n]; len(v.product.variants) == 1 {
			s.removeProduct(v.product)
		} else {
			s.dropVariant(v)
			s.changedProduct(v.product, "products/update")
		}
	case typ == "location" && s.locations[n] != nil:
		s.locations[n].active = false
		s.locations[n].touch(s.Now())
		s.tell("locations/deactivate", s.locationBody(s.locations[n]))
	case typ == "order" && s.orders[n] != nil:
		s.removeOrder(s.orders[n])
	case typ == "refund" && s.refunds[n] != nil:
		s.removeOrder(s.refunds[n].o)
	case typ == "transaction" && s.payments[n] != nil:
		s.removeOrder(s.payments[n].o)
	default:
		return fmt.Errorf("there is no %s %s that could be deleted", typ, id)
	}
	return nil
}

func (s *Sim) removeOrder(o *order) {
	for _, t := range o.payments {
		delete(s.payments, t.id)
	}
	for _, r := range o.refunds {
		delete(s.refunds, r.id)
	}
	delete(s.orders, o.id)
	s.tell("orders/delete", body{"id": o.id})
}
