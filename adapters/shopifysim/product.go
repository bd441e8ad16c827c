package shopifysim

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

type product struct {
	meta
	title, html, handle, status, vendor, typ string
	tags                                     []string
	options                                  []option
	variants                                 []*variant
	metafields                               metafields
}

type option struct {
	name   string
	values []string
}

// variant is a variant with its inventory item.
type variant struct {
	meta
	product      *product
	sku, barcode string
	values       []string // one of each option
	price        int64
	compareAt    *int64
	taxable      bool
	metafields   metafields

	item     meta
	tracked  bool
	cost     *int64
	weight   float64
	unit     string
	shipping bool
}

const onlyOption, onlyValue = "Title", "Default Title"

func (p *product) simple() bool { return len(p.variants) == 1 && p.variants[0].title() == onlyValue }

func (v *variant) title() string { return strings.Join(v.values, " / ") }

var notHandle = regexp.MustCompile(`[^a-z0-9]+`)

func (s *Sim) handleFor(title string) string {
	base := strings.Trim(notHandle.ReplaceAllString(strings.ToLower(title), "-"), "-")
	if base == "" {
		base = "product"
	}
	h := base
	for n := 1; slices.ContainsFunc(sorted(s.products), func(p *product) bool { return p.handle == h }); n++ {
		h = base + "-" + strconv.Itoa(n)
	}
	return h
}

// applyProduct sets what an input gives of the product itself.
func (s *Sim) applyProduct(p *product, in args) (ps []problem) {
	n := *p
	bad := func(field, message, code string) { ps = append(ps, problem{[]string{field}, message, code}) }
	if in.has("title") || p.title == "" {
		if n.title = strings.TrimSpace(in.str("title")); n.title == "" {
			bad("title", "Title can't be blank", "BLANK")
		} else if len([]rune(n.title)) > 255 {
			bad("title", "Title is too long (maximum is 255 characters)", "TOO_LONG")
		}
	}
	for k, dst := range map[string]*string{"descriptionHtml": &n.html, "status": &n.status, "vendor": &n.vendor, "productType": &n.typ, "handle": &n.handle} {
		if in.has(k) && (k != "status" || in.str(k) != "") {
			*dst = strings.TrimSpace(in.str(k))
			if k != "descriptionHtml" && len([]rune(*dst)) > 255 {
				bad(k, strings.ToUpper(k[:1])+k[1:]+" is too long (maximum is 255 characters)", "TOO_LONG")
			}
		}
	}
	if in.has("tags") {
		tags, p := cleanTags(in.strs("tags"))
		if p != nil {
			ps = append(ps, *p)
		}
		n.tags = tags
	}
	if len(ps) == 0 {
		*p = n
		if p.handle == "" {
			p.handle = s.handleFor(p.title)
		}
	}
	return ps
}

// applyVariant sets what an input gives of a variant and its inventory item.
func (s *Sim) applyVariant(v *variant, in args) (ps []problem) {
	n := *v
	bad := func(field, message, code string) { ps = append(ps, problem{[]string{field}, message, code}) }
	for k, dst := range map[string]*string{"sku": &n.sku, "barcode": &n.barcode} {
		if in.has(k) {
			*dst = strings.TrimSpace(in.str(k))
			if len([]rune(*dst)) > 255 {
				bad(k, strings.ToUpper(k[:1])+k[1:]+" is too long (maximum is 255 characters)", "TOO_LONG")
			}
		}
	}
	if in["price"] != nil {
		if n.price = cents(in["price"]); n.price < 0 {
			bad("price", "Price must be greater than or equal to 0", "GREATER_THAN_OR_EQUAL_TO")
		}
	}
	if in.has("compareAtPrice") {
		n.compareAt = nil
		if in["compareAtPrice"] != nil {
			c := cents(in["compareAtPrice"])
			n.compareAt = &c
		}
	}
	if in["taxable"] != nil {
		n.taxable = in.bool("taxable")
	}
	it := in.obj("inventoryItem")
	if it.has("sku") {
		if n.sku = strings.TrimSpace(it.str("sku")); len([]rune(n.sku)) > 255 {
			bad("sku", "SKU is too long (maximum is 255 characters)", "TOO_LONG")
		}
	}
	if it["tracked"] != nil {
		n.tracked = it.bool("tracked")
	}
	if it["requiresShipping"] != nil {
		n.shipping = it.bool("requiresShipping")
	}
	if it.has("cost") {
		n.cost = nil
		if it["cost"] != nil {
			c := cents(it["cost"])
			n.cost = &c
		}
	}
	if w := it.obj("measurement").obj("weight"); w != nil {
		n.weight, n.unit = float(w["value"]), w.str("unit")
		if n.weight < 0 {
			bad("weight", "Weight must be greater than or equal to 0", "GREATER_THAN_OR_EQUAL_TO")
		}
	}
	if len(ps) == 0 {
		*v = n
	}
	return ps
}

func float(v any) float64 {
	f, err := strconv.ParseFloat(plain(v), 64)
	if err != nil {
		return 0
	}
	return f
}

// newVariant adds a variant with its inventory item, which is stocked at the first location.
func (s *Sim) newVariant(p *product, values []string) *variant {
	v := &variant{meta: s.made(), product: p, values: values, taxable: true, item: s.made(), unit: "KILOGRAMS", shipping: true}
	p.variants = append(p.variants, v)
	s.variants[v.id], s.items[v.item.id] = v, v
	s.level(v, s.firstLocation(), true)
	return v
}

func (s *Sim) dropVariant(v *variant) {
	v.product.variants = slices.DeleteFunc(v.product.variants, func(o *variant) bool { return o == v })
	delete(s.variants, v.id)
	delete(s.items, v.item.id)
	for id := range s.levels {
		if id.item == v.item.id {
			delete(s.levels, id)
		}
	}
}

func (s *Sim) changedProduct(p *product, topic string) {
	p.touch(s.Now())
	s.tell(topic, s.productBody(p))
}

// changedVariant moves the stamps of a variant, its item and its product.
func (s *Sim) changedVariant(v *variant) {
	v.touch(s.Now())
	s.changedProduct(v.product, "products/update")
}

func (s *Sim) productNode(p *product) *node {
	if p == nil {
		return nil
	}
	f := fields{"id": gid("Product", p.id), "legacyResourceId": text(p.id), "title": p.title, "descriptionHtml": p.html, "bodyHtml": p.html, "description": plainText(p.html),
		"handle": p.handle, "status": p.status, "vendor": p.vendor, "productType": p.typ, "tags": p.tags, "createdAt": when(p.created), "updatedAt": when(p.updated),
		"hasOnlyDefaultVariant": p.simple(), "totalVariants": len(p.variants), "variantsCount": &node{"Count", fields{"count": len(p.variants), "precision": "EXACT"}},
		"tracksInventory": slices.ContainsFunc(p.variants, func(v *variant) bool { return v.tracked })}
	var opts []*node
	for i, o := range p.options {
		opts = append(opts, &node{"ProductOption", fields{"id": gid("ProductOption", p.id+int64(i)+1), "name": o.name, "position": i + 1, "values": o.values}})
	}
	f["options"] = opts
	f["variants"] = lazy(func(args) (any, *failure) {
		var c conn
		for i, v := range p.variants {
			c = append(c, item{key: position(i), id: v.id, make: func() *node { return s.variantNode(v) }})
		}
		return c, nil
	})
	f["totalInventory"] = lazy(func(args) (any, *failure) {
		n := 0
		for _, v := range p.variants {
			n += s.availableOf(v)
		}
		return n, nil
	})
	return metafieldMembers(&node{"Product", f}, "PRODUCT", p.metafields)
}

// position is a sort key for the i-th of a list.
func position(i int) string { return strconv.Itoa(100_000 + i) }

var tag = regexp.MustCompile(`<[^>]*>`)

func plainText(html string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("&amp;", "&", "&lt;", "<", "&gt;", ">", "&#39;", "'", "&quot;", `"`, "&#34;", `"`).Replace(tag.ReplaceAllString(html, " "))), " ")
}

func (s *Sim) variantNode(v *variant) *node {
	if v == nil {
		return nil
	}
	f := fields{"id": gid("ProductVariant", v.id), "legacyResourceId": text(v.id), "title": v.title(), "displayName": v.product.title + " - " + v.title(), "sku": orNull(v.sku), "barcode": orNull(v.barcode),
		"price": amount(v.price), "taxable": v.taxable, "createdAt": when(v.created), "updatedAt": when(v.updated),
		"position": slices.Index(v.product.variants, v) + 1, "inventoryPolicy": "DENY",
		"product": later(func() *node { return s.productNode(v.product) }), "inventoryItem": later(func() *node { return s.itemNode(v) })}
	if v.compareAt != nil {
		f["compareAtPrice"] = amount(*v.compareAt)
	}
	stock := lazy(func(args) (any, *failure) { return s.availableOf(v), nil })
	f["inventoryQuantity"], f["sellableOnlineQuantity"] = stock, stock
	f["availableForSale"] = lazy(func(args) (any, *failure) { return !v.tracked || s.availableOf(v) > 0, nil })
	var opts []*node
	for i, o := range v.product.options {
		if i < len(v.values) {
			opts = append(opts, &node{"SelectedOption", fields{"name": o.name, "value": v.values[i]}})
		}
	}
	f["selectedOptions"] = opts
	return metafieldMembers(&node{"ProductVariant", f}, "PRODUCTVARIANT", v.metafields)
}

func (s *Sim) itemNode(v *variant) *node {
	if v == nil {
		return nil
	}
	f := fields{"id": gid("InventoryItem", v.item.id), "legacyResourceId": text(v.item.id), "sku": orNull(v.sku), "tracked": v.tracked, "requiresShipping": v.shipping,
		"createdAt": when(v.item.created), "updatedAt": when(v.item.updated),
		"variant": later(func() *node { return s.variantNode(v) }),
		"measurement": &node{"InventoryItemMeasurement", fields{"id": gid("InventoryItemMeasurement", v.item.id),
			"weight": &node{"Weight", fields{"value": v.weight, "unit": v.unit}}}}}
	f["duplicateSkuCount"] = lazy(func(args) (any, *failure) {
		same := 0
		for _, o := range s.variants {
			if o != v && v.sku != "" && o.sku == v.sku {
				same++
			}
		}
		return same, nil
	})
	if v.cost != nil {
		f["unitCost"] = moneyNode(*v.cost)
	}
	f["variants"] = conn{{id: v.id, make: func() *node { return s.variantNode(v) }}}
	f["inventoryLevels"] = lazy(func(a args) (any, *failure) { return s.findLevels(a, func(l *level) bool { return l.v == v }), nil })
	f["inventoryLevel"] = lazy(func(a args) (any, *failure) {
		return s.levelNode(s.levels[levelID{v.item.id, idOf("Location", a.str("locationId"))}]), nil
	})
	return &node{"InventoryItem", f}
}

func matchProduct(p *product, t term) (found, known bool) {
	anyOf := func(f func(v *variant) bool) bool { return slices.ContainsFunc(p.variants, f) }
	switch t.field {
	case "title", "handle", "vendor", "product_type", "status":
		return t.text(map[string]string{"title": p.title, "handle": p.handle, "vendor": p.vendor, "product_type": p.typ, "status": p.status}[t.field]), true
	case "sku":
		return anyOf(func(v *variant) bool { return t.text(v.sku) }), true
	case "barcode":
		return anyOf(func(v *variant) bool { return t.text(v.barcode) }), true
	case "tag":
		return t.text(p.tags...), true
	case "":
		return t.text(append(strings.Fields(p.title), p.title, p.vendor)...) || anyOf(func(v *variant) bool { return t.text(v.sku) }), true
	}
	return false, false
}

func matchVariant(v *variant, t term) (found, known bool) {
	switch t.field {
	case "sku":
		return t.text(v.sku), true
	case "barcode":
		return t.text(v.barcode), true
	case "product_id", "product_ids":
		for _, id := range strings.Split(t.value, ",") {
			if (term{op: "=", value: id}).number(v.product.id) {
				return true, true
			}
		}
		return false, true
	case "title":
		return t.text(v.title(), v.product.title), true
	case "":
		return t.text(v.sku, v.barcode, v.product.title), true
	}
	return false, false
}

func listProducts(x *exec, a args) (any, *failure) {
	return find(x.s, sorted(x.s.products), a, "Product", matchProduct, x.s.productNode), nil
}

func listVariants(x *exec, a args) (any, *failure) {
	return find(x.s, sorted(x.s.variants), a, "ProductVariant", matchVariant, x.s.variantNode), nil
}

func (s *Sim) identifyProduct(in args) (*product, *failure) {
	switch {
	case in.has("id"):
		return s.products[idOf("Product", in.str("id"))], nil
	case in.has("customId"):
		id, fail := s.byCustomID("PRODUCT", in.obj("customId"))
		return s.products[id], fail
	}
	for _, p := range sorted(s.products) {
		if in.has("handle") && p.handle == in.str("handle") {
			return p, nil
		}
	}
	return nil, nil
}
