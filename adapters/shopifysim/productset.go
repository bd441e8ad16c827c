package shopifysim

import (
	"slices"
	"strconv"
)

// setProduct is productSet: lists in the input, such as the variants, replace what there was.
func setProduct(x *exec, a args) (any, *failure) {
	s, ident, in := x.s, a.obj("identifier"), a.obj("input")
	answer := func(p *product, ps []problem) (any, *failure) {
		for i := range ps {
			ps[i].field = append([]string{"input"}, ps[i].field...)
		}
		f := fields{}
		if p != nil && len(ps) == 0 {
			made := later(func() *node { return s.productNode(s.products[p.id]) })
			f["product"] = made
			if a["synchronous"] == false { // it is done at once all the same
				f["product"] = nil
				f["productSetOperation"] = &node{"ProductSetOperation", fields{"id": "gid://shopify/ProductSetOperation/" + text(p.id), "status": "COMPLETE", "product": made, "userErrors": []*node{}}}
			}
		}
		return payload("ProductSet", ps, f), nil
	}
	p, fail := s.identifyProduct(ident)
	if fail != nil {
		return nil, fail
	}
	if p == nil && ident.has("id") {
		return answer(nil, []problem{{[]string{"identifier"}, "Product does not exist", "PRODUCT_DOES_NOT_EXIST"}})
	}
	isNew := p == nil
	if isNew {
		p = &product{meta: s.made(), status: "ACTIVE", vendor: shopName}
	}
	before := s.productBody(p)
	undo := *p
	undo.variants = slices.Clone(p.variants)
	if ps := s.applyProduct(p, in); len(ps) > 0 {
		return answer(nil, ps)
	}
	s.products[p.id] = p
	revert := func(ps []problem) (any, *failure) {
		for _, v := range slices.Clone(p.variants) {
			if !slices.Contains(undo.variants, v) {
				s.dropVariant(v)
			}
		}
		*p = undo
		if isNew {
			delete(s.products, p.id)
		}
		return answer(nil, ps)
	}
	if in.has("productOptions") {
		p.options = nil
		for _, o := range in.objs("productOptions") {
			op := option{name: o.str("name")}
			for _, v := range o.objs("values") {
				op.values = append(op.values, v.str("name"))
			}
			p.options = append(p.options, op)
		}
	}
	if len(p.options) == 0 {
		p.options = []option{{onlyOption, []string{onlyValue}}}
	}
	if in.has("variants") {
		if ps := s.setVariants(p, in.objs("variants")); len(ps) > 0 {
			return revert(ps)
		}
	} else if len(p.variants) == 0 {
		s.newVariant(p, []string{onlyValue})
	}
	h := holder{"PRODUCT", p.id, &p.metafields}
	if id := ident.obj("customId"); id != nil {
		if _, pr := s.setMetafield(h, id, []string{"identifier", "customId"}); pr != nil {
			return revert([]problem{*pr})
		}
	}
	for i, m := range in.objs("metafields") {
		if _, pr := s.setMetafield(h, m, []string{"metafields", strconv.Itoa(i)}); pr != nil {
			return revert([]problem{*pr})
		}
	}
	switch {
	case isNew:
		x.created++
		s.tell("products/create", s.productBody(p))
	case equalJSON(before, s.productBody(p)):
		x.noop++
	default:
		x.updated++
		s.changedProduct(p, "products/update")
	}
	return answer(p, nil)
}

// setVariants makes the list of variants the one that is given.
func (s *Sim) setVariants(p *product, list []args) (ps []problem) {
	var kept []*variant
	for i, in := range list {
		path := []string{"variants", strconv.Itoa(i)}
		var values []string
		for _, o := range p.options {
			for _, v := range in.objs("optionValues") {
				if v.str("optionName") == o.name {
					values = append(values, v.str("name"))
				}
			}
		}
		if len(values) != len(p.options) {
			return []problem{{append(path, "optionValues"), "You need to add option values for every option", "OPTION_VALUE_DOES_NOT_EXIST"}}
		}
		var v *variant
		for _, o := range p.variants {
			if in.str("id") != "" && o.id == idOf("ProductVariant", in.str("id")) || in.str("id") == "" && slices.Equal(o.values, values) {
				v = o
			}
		}
		fresh := v == nil
		if fresh {
			v = s.newVariant(p, values)
		}
		found := s.applyVariant(v, in)
		for j, m := range in.objs("metafields") {
			if _, pr := s.setMetafield(holder{"PRODUCTVARIANT", v.id, &v.metafields}, m, []string{"metafields", strconv.Itoa(j)}); pr != nil {
				found = append(found, *pr)
			}
		}
		for _, f := range found {
			f.field = append(slices.Clone(path), f.field...)
			ps = append(ps, f)
		}
		if !fresh && len(found) == 0 {
			v.touch(s.Now())
		}
		kept = append(kept, v)
	}
	for _, v := range slices.Clone(p.variants) {
		if !slices.Contains(kept, v) && len(ps) == 0 {
			s.dropVariant(v)
		}
	}
	return ps
}

func updateProduct(x *exec, a args) (any, *failure) {
	s, in := x.s, a.obj("product")
	p, fail := s.identifyProduct(mergeArgs(a.obj("identifier"), nil))
	if fail != nil {
		return nil, fail
	}
	if p == nil {
		p = s.products[idOf("Product", in.str("id"))]
	}
	if p == nil {
		return payload("ProductUpdate", []problem{{[]string{"id"}, "Product does not exist", ""}}, fields{}), nil
	}
	before := s.productBody(p)
	ps := s.applyProduct(p, in)
	changed := false
	for i, m := range in.objs("metafields") {
		ch, pr := s.setMetafield(holder{"PRODUCT", p.id, &p.metafields}, m, []string{"metafields", strconv.Itoa(i)})
		if pr != nil {
			ps = append(ps, *pr)
		}
		changed = changed || ch
	}
	if len(ps) > 0 {
		return payload("ProductUpdate", ps, fields{}), nil
	}
	if changed || !equalJSON(before, s.productBody(p)) {
		x.updated++
		s.changedProduct(p, "products/update")
	} else {
		x.noop++
	}
	return payload("ProductUpdate", nil, fields{"product": later(func() *node { return s.productNode(p) })}), nil
}

func deleteProduct(x *exec, a args) (any, *failure) {
	p := x.s.products[idOf("Product", a.obj("input").str("id"))]
	if p == nil {
		return payload("ProductDelete", []problem{{[]string{"id"}, "Product does not exist", ""}}, fields{}), nil
	}
	x.s.removeProduct(p)
	x.updated++
	return payload("ProductDelete", nil, fields{"deletedProductId": gid("Product", p.id)}), nil
}

func (s *Sim) removeProduct(p *product) {
	for _, v := range slices.Clone(p.variants) {
		s.dropVariant(v)
	}
	delete(s.products, p.id)
	s.tell("products/delete", map[string]any{"id": p.id})
}

// updateVariants is productVariantsBulkUpdate: all or none unless partial updates are allowed.
func updateVariants(x *exec, a args) (any, *failure) {
	s := x.s
	p := s.products[idOf("Product", a.str("productId"))]
	if p == nil {
		return payload("ProductVariantsBulkUpdate", []problem{{[]string{"productId"}, "Product does not exist", "PRODUCT_DOES_NOT_EXIST"}}, fields{}), nil
	}
	var ps []problem
	var done []*variant
	type old struct {
		v     *variant
		state variant
	}
	var olds []old
	for i, in := range a.objs("variants") {
		v := s.variants[idOf("ProductVariant", in.str("id"))]
		if v == nil || v.product != p {
			ps = append(ps, problem{[]string{"variants", strconv.Itoa(i), "id"}, "Product variant does not exist", "PRODUCT_VARIANT_DOES_NOT_EXIST"})
			continue
		}
		olds = append(olds, old{v, *v})
		found := s.applyVariant(v, in)
		for j, m := range in.objs("metafields") {
			if _, pr := s.setMetafield(holder{"PRODUCTVARIANT", v.id, &v.metafields}, m, []string{"metafields", strconv.Itoa(j)}); pr != nil {
				found = append(found, *pr)
			}
		}
		for _, f := range found {
			f.field = append([]string{"variants", strconv.Itoa(i)}, f.field...)
			ps = append(ps, f)
		}
		if len(found) == 0 {
			done = append(done, v)
		}
	}
	if len(ps) > 0 && !a.bool("allowPartialUpdates") {
		for _, o := range olds {
			*o.v = o.state
		}
		return payload("ProductVariantsBulkUpdate", ps, fields{}), nil
	}
	var nodes []*node
	for _, o := range olds {
		if slices.Contains(done, o.v) {
			s.edited(x, o.v, o.state)
			nodes = append(nodes, s.variantNode(o.v))
		}
	}
	return payload("ProductVariantsBulkUpdate", ps, fields{"productVariants": nodes, "product": later(func() *node { return s.productNode(p) })}), nil
}

// edited moves the stamps that a change of a variant moves: the cost and weight are the inventory item's alone.
func (s *Sim) edited(x *exec, v *variant, old variant) {
	own, of := s.variantBody(v), s.variantBody(&old)
	itemChanged := v.tracked != old.tracked || v.weight != old.weight || v.unit != old.unit || v.sku != old.sku || !equalCents(v.cost, old.cost)
	if itemChanged {
		v.item.touch(s.Now())
		s.tell("inventory_items/update", s.itemBody(v))
	}
	ownChanged := !equalJSON(own, of) || len(v.metafields) != len(old.metafields)
	if ownChanged {
		s.changedVariant(v)
	}
	if ownChanged || itemChanged {
		x.updated++
	} else {
		x.noop++
	}
}

func equalCents(a, b *int64) bool { return a == b || a != nil && b != nil && *a == *b }

func updateItem(x *exec, a args) (any, *failure) {
	v := x.s.items[idOf("InventoryItem", a.str("id"))]
	if v == nil {
		return payload("InventoryItemUpdate", []problem{{[]string{"id"}, "The product couldn't be updated because it does not exist.", ""}}, fields{}), nil
	}
	old := *v
	if ps := x.s.applyVariant(v, args{"inventoryItem": map[string]any(a.obj("input"))}); len(ps) > 0 {
		return payload("InventoryItemUpdate", ps, fields{}), nil
	}
	x.s.edited(x, v, old)
	return payload("InventoryItemUpdate", nil, fields{"inventoryItem": later(func() *node { return x.s.itemNode(v) })}), nil
}
