package shopifysim

import (
	"slices"
	"strings"
)

// metafield is one custom field of one object.
type metafield struct {
	meta
	namespace, key, typ, value string
}

type metafields []*metafield

// definition is a metafield definition: what a unique metafield needs.
type definition struct {
	meta
	owner, namespace, key, name, typ string
	unique                           bool
}

func (ms metafields) find(namespace, key string) *metafield {
	if i := slices.IndexFunc(ms, func(m *metafield) bool { return m.namespace == namespace && m.key == key }); i >= 0 {
		return ms[i]
	}
	return nil
}

// space resolves the namespace of a request: "$app" stands for the app's own.
func space(namespace string) string {
	if namespace == "" || namespace == "$app" {
		return "app--548380009"
	}
	if rest, ok := strings.CutPrefix(namespace, "$app:"); ok {
		return "app--548380009--" + rest
	}
	return namespace
}

func (s *Sim) definition(owner, namespace, key string) *definition {
	for _, d := range s.definitions {
		if d.owner == owner && d.namespace == namespace && d.key == key {
			return d
		}
	}
	return nil
}

// holder is an object that has metafields.
type holder struct {
	owner string
	id    int64
	list  *metafields
}

// holders of the type of owner, in the order of their ids.
func (s *Sim) holders(owner string) []holder {
	var all []holder
	switch owner {
	case "CUSTOMER":
		for _, c := range sorted(s.customers) {
			all = append(all, holder{owner, c.id, &c.metafields})
		}
	case "PRODUCT":
		for _, p := range sorted(s.products) {
			all = append(all, holder{owner, p.id, &p.metafields})
		}
	case "PRODUCTVARIANT":
		for _, v := range sorted(s.variants) {
			all = append(all, holder{owner, v.id, &v.metafields})
		}
	case "ORDER":
		for _, o := range sorted(s.orders) {
			all = append(all, holder{owner, o.id, &o.metafields})
		}
	}
	return all
}

// byCustomID finds the object whose unique metafield has the value; 0 if there is none.
func (s *Sim) byCustomID(owner string, a args) (int64, *failure) {
	ns, key := space(a.str("namespace")), a.str("key")
	d := s.definition(owner, ns, key)
	if d == nil || !d.unique {
		return 0, failed("NOT_FOUND", "Metafield definition of type 'id' is required when using custom ids.")
	}
	for _, h := range s.holders(owner) {
		if m := h.list.find(ns, key); m != nil && m.value == a.str("value") {
			return h.id, nil
		}
	}
	return 0, nil
}

// problem is one user error.
type problem struct {
	field   []string
	message string
	code    string
}

// setMetafield writes one metafield of an object; the code tells why not.
func (s *Sim) setMetafield(h holder, a args, path []string) (changed bool, p *problem) {
	ns, key, typ := space(a.str("namespace")), a.str("key"), a.str("type")
	value := a.str("value")
	m, d := h.list.find(ns, key), s.definition(h.owner, ns, key)
	switch {
	case d != nil && typ != "" && typ != d.typ:
		return false, &problem{append(path, "type"), "Type can't be different from the definition's " + d.typ + ".", "INVALID_TYPE"}
	case d != nil:
		typ = d.typ
	case m != nil && typ == "":
		typ = m.typ
	case typ == "":
		return false, &problem{append(path, "type"), "Type can't be blank", "BLANK"}
	}
	if value == "" {
		return false, &problem{append(path, "value"), "Value can't be blank", "BLANK"}
	}
	if typ == "single_line_text_field" && strings.ContainsAny(value, "\n\r") {
		return false, &problem{append(path, "value"), "Value must not contain newline characters.", "INVALID_VALUE"}
	}
	if d != nil && d.unique {
		for _, o := range s.holders(h.owner) {
			if x := o.list.find(ns, key); x != nil && x.value == value && o.id != h.id {
				return false, &problem{append(path, "value"), "Value has already been assigned to another object and must be unique.", "TAKEN"}
			}
		}
	}
	if m != nil && m.value == value && m.typ == typ {
		return false, nil
	}
	if m == nil {
		m = &metafield{meta: s.made(), namespace: ns, key: key}
		*h.list = append(*h.list, m)
	}
	m.typ, m.value = typ, value
	m.touch(s.Now())
	return true, nil
}

// node shows a metafield. The object that has it is read when it is selected.
func (m *metafield) node(owner string, of func() *node) *node {
	return &node{"Metafield", fields{"id": gid("Metafield", m.id), "namespace": m.namespace, "key": m.key, "type": m.typ, "value": m.value,
		"jsonValue": m.value, "createdAt": when(m.created), "updatedAt": when(m.updated), "ownerType": owner, "legacyResourceId": text(m.id),
		"compareDigest": fingerprint([]byte(m.value)), "owner": later(of)}}
}

// metafieldMembers are the members of n that read its metafields.
func metafieldMembers(n *node, owner string, ms metafields) *node {
	f, of := n.f, func() *node { return n }
	f["metafield"] = lazy(func(a args) (any, *failure) {
		if m := ms.find(space(a.str("namespace")), a.str("key")); m != nil {
			return m.node(owner, of), nil
		}
		return nil, nil
	})
	f["metafields"] = lazy(func(a args) (any, *failure) {
		var c conn
		for _, m := range ms {
			full := m.namespace + "." + m.key
			if ns := a.str("namespace"); ns != "" && space(ns) != m.namespace || len(a.strs("keys")) > 0 && !slices.Contains(a.strs("keys"), full) {
				continue
			}
			c = append(c, item{id: m.id, make: func() *node { return m.node(owner, of) }})
		}
		sortConn(c)
		return c, nil
	})
	return n
}

func (d *definition) node() *node {
	return &node{"MetafieldDefinition", fields{"id": gid("MetafieldDefinition", d.id), "namespace": d.namespace, "key": d.key, "name": d.name,
		"ownerType": d.owner, "type": &node{"MetafieldDefinitionType", fields{"name": d.typ, "category": "TEXT"}},
		"capabilities": &node{"MetafieldCapabilities", fields{"uniqueValues": &node{"MetafieldCapabilityUniqueValues", fields{"enabled": d.unique, "eligible": true}}}}}}
}

func listDefinitions(x *exec, a args) (any, *failure) {
	var c conn
	for _, d := range x.s.definitions {
		if d.owner != a.str("ownerType") || a.str("namespace") != "" && space(a.str("namespace")) != d.namespace || a.str("key") != "" && a.str("key") != d.key {
			continue
		}
		c = append(c, item{id: d.id, make: d.node})
	}
	return c, nil
}

func createDefinition(x *exec, a args) (any, *failure) {
	in := a.obj("definition")
	d := &definition{owner: in.str("ownerType"), namespace: space(in.str("namespace")), key: in.str("key"), name: in.str("name"), typ: in.str("type")}
	d.unique = in.obj("capabilities").obj("uniqueValues").bool("enabled") || d.typ == "id"
	var ps []problem
	switch {
	case len(d.key) < 2 || len(d.key) > 64:
		ps = append(ps, problem{[]string{"definition", "key"}, "Key must be 2 to 64 characters long", "INVALID"})
	case x.s.definition(d.owner, d.namespace, d.key) != nil:
		ps = append(ps, problem{[]string{"definition", "key"}, "Key is in use for " + d.owner + " metafields on the '" + d.namespace + "' namespace.", "TAKEN"})
	case d.unique && d.typ != "id" && d.typ != "single_line_text_field" && d.typ != "url" && d.typ != "number_integer":
		ps = append(ps, problem{[]string{"definition", "type"}, "Type does not support unique values.", "INVALID_CAPABILITY"})
	}
	if len(ps) > 0 {
		return payload("MetafieldDefinitionCreate", ps, fields{}), nil
	}
	d.meta = x.s.made()
	x.s.definitions = append(x.s.definitions, d)
	return payload("MetafieldDefinitionCreate", nil, fields{"createdDefinition": d.node()}), nil
}

// setMetafields is metafieldsSet: at most 25, all or none.
func setMetafields(x *exec, a args) (any, *failure) {
	in := a.objs("metafields")
	if len(in) > 25 {
		return payload("MetafieldsSet", []problem{{[]string{"metafields"}, "Exceeded the maximum metafields input limit of 25.", "LESS_THAN_OR_EQUAL_TO"}}, fields{}), nil
	}
	s := x.s
	var ps []problem
	var written []*node
	for i, m := range in {
		path := []string{"metafields", text(int64(i))}
		h, done := s.holderOf(m.str("ownerId"))
		if h == nil {
			ps = append(ps, problem{append(path, "ownerId"), "Owner does not exist.", "INVALID"})
			continue
		}
		if d := m.str("compareDigest"); m["compareDigest"] != nil {
			if old := h.list.find(space(m.str("namespace")), m.str("key")); old == nil || fingerprint([]byte(old.value)) != d {
				ps = append(ps, problem{path, "The resource has been updated since it was loaded. Try again with an updated `compareDigest` value.", "STALE_OBJECT"})
				continue
			}
		}
		changed, p := s.setMetafield(*h, m, path)
		if p != nil {
			ps = append(ps, *p)
			continue
		}
		if changed {
			done()
			x.updated++
		}
		written = append(written, h.list.find(space(m.str("namespace")), m.str("key")).node(h.owner, func() *node { return s.node(m.str("ownerId")) }))
	}
	return payload("MetafieldsSet", ps, fields{"metafields": written}), nil
}

// deleteMetafields is metafieldsDelete; one that is not there is null in the answer.
func deleteMetafields(x *exec, a args) (any, *failure) {
	s := x.s
	var gone []*node
	for i, m := range a.objs("metafields") {
		h, done := s.holderOf(m.str("ownerId"))
		if h == nil {
			return payload("MetafieldsDelete", []problem{{[]string{"metafields", text(int64(i)), "ownerId"}, "Owner does not exist.", ""}}, fields{}), nil
		}
		ns, key := space(m.str("namespace")), m.str("key")
		if h.list.find(ns, key) == nil {
			gone = append(gone, nil)
			continue
		}
		*h.list = slices.DeleteFunc(slices.Clone(*h.list), func(f *metafield) bool { return f.namespace == ns && f.key == key })
		done()
		x.updated++
		gone = append(gone, &node{"MetafieldIdentifier", fields{"ownerId": m.str("ownerId"), "namespace": ns, "key": key}})
	}
	return payload("MetafieldsDelete", nil, fields{"deletedMetafields": gone}), nil
}

// holderOf finds the owner of a metafield, and what to do when one of its metafields has changed.
func (s *Sim) holderOf(id string) (*holder, func()) {
	if c := s.customers[idOf("Customer", id)]; c != nil {
		return &holder{"CUSTOMER", c.id, &c.metafields}, func() { s.changedCustomer(c, "customers/update") }
	}
	if p := s.products[idOf("Product", id)]; p != nil {
		return &holder{"PRODUCT", p.id, &p.metafields}, func() { s.changedProduct(p, "products/update") }
	}
	if v := s.variants[idOf("ProductVariant", id)]; v != nil {
		return &holder{"PRODUCTVARIANT", v.id, &v.metafields}, func() { s.changedVariant(v) }
	}
	if o := s.orders[idOf("Order", id)]; o != nil {
		return &holder{"ORDER", o.id, &o.metafields}, func() { s.changedOrder(o, "orders/updated") }
	}
	return nil, nil
}

// payload is a mutation's answer. The type of its errors is the schema's.
func payload(mutation string, ps []problem, f fields) *node {
	errs := []*node{}
	for _, p := range ps {
		errs = append(errs, &node{"", fields{"field": p.field, "message": p.message, "code": orNull(p.code)}})
	}
	f["userErrors"] = errs
	return &node{mutation + "Payload", f}
}

// later is a member that is read when it is selected, so that an answer shows the present state.
func later(make func() *node) lazy {
	return func(args) (any, *failure) { return make(), nil }
}

func sortConn(c conn) {
	slices.SortStableFunc(c, func(a, b item) int {
		if d := strings.Compare(a.key, b.key); d != 0 {
			return d
		}
		return int(min(max(a.id-b.id, -1), 1))
	})
}

func (m *meta) base() *meta { return m }
