package shopifysim

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

type location struct {
	meta
	name    string
	active  bool
	address address
}

type levelID struct{ item, location int64 }

// level is the stock of one inventory item at one location. On hand is available, committed and reserved together.
type level struct {
	meta
	v                                        *variant
	l                                        *location
	available, committed, incoming, reserved int
}

func (l *level) onHand() int { return l.available + l.committed + l.reserved }

func (s *Sim) firstLocation() *location {
	for _, l := range sorted(s.locations) {
		if l.active {
			return l
		}
	}
	return nil
}

// level returns the level, made if it is missing and wanted.
func (s *Sim) level(v *variant, l *location, make bool) *level {
	if l == nil {
		return nil
	}
	id := levelID{v.item.id, l.id}
	if s.levels[id] == nil && make {
		s.levels[id] = &level{meta: s.made(), v: v, l: l}
		s.tell("inventory_levels/connect", s.levelBody(s.levels[id]))
	}
	return s.levels[id]
}

func (s *Sim) availableOf(v *variant) int {
	n := 0
	for id, l := range s.levels {
		if id.item == v.item.id {
			n += l.available
		}
	}
	return n
}

// move changes quantities of a level and tells the receiver. Stock moves neither the variant's nor the product's stamp.
func (s *Sim) move(l *level, available, committed int) {
	if l == nil || available == 0 && committed == 0 {
		return
	}
	l.available += available
	l.committed += committed
	l.touch(s.Now())
	s.tell("inventory_levels/update", s.levelBody(l))
}

func (s *Sim) locationNode(l *location) *node {
	if l == nil {
		return nil
	}
	a := l.address
	var lines []string
	for _, t := range []string{a.address1, a.address2, strings.TrimSpace(a.city + " " + a.province + " " + a.zip), countries[a.country]} {
		if t != "" {
			lines = append(lines, t)
		}
	}
	f := fields{"id": gid("Location", l.id), "legacyResourceId": text(l.id), "name": l.name, "isActive": l.active, "createdAt": when(l.created), "updatedAt": when(l.updated),
		"fulfillsOnlineOrders": true, "shipsInventory": true, "isPrimary": l == s.firstLocation(), "activatable": !l.active, "deactivatable": true, "addressVerified": true,
		"address": &node{"LocationAddress", fields{"address1": orNull(a.address1), "address2": orNull(a.address2), "city": orNull(a.city), "zip": orNull(a.zip), "provinceCode": orNull(a.province),
			"province": orNull(provinces[a.country][a.province]), "countryCode": orNull(a.country), "country": orNull(countries[a.country]), "phone": orNull(a.phone), "formatted": lines}}}
	f["inventoryLevels"] = lazy(func(a args) (any, *failure) { return s.findLevels(a, func(v *level) bool { return v.l == l }), nil })
	f["inventoryLevel"] = lazy(func(a args) (any, *failure) {
		return s.levelNode(s.levels[levelID{idOf("InventoryItem", a.str("inventoryItemId")), l.id}]), nil
	})
	return &node{"Location", f}
}

func levelGID(l *level) string {
	return fmt.Sprintf("gid://shopify/InventoryLevel/%d?inventory_item_id=%d", l.l.id, l.v.item.id)
}

func (s *Sim) levelNode(l *level) *node {
	if l == nil {
		return nil
	}
	return &node{"InventoryLevel", fields{"id": levelGID(l), "isActive": true, "canDeactivate": true, "createdAt": when(l.created), "updatedAt": when(l.updated),
		"item": later(func() *node { return s.itemNode(l.v) }), "location": later(func() *node { return s.locationNode(l.l) }),
		"quantities": lazy(func(a args) (any, *failure) {
			have := map[string]int{"available": l.available, "committed": l.committed, "incoming": l.incoming, "reserved": l.reserved, "on_hand": l.onHand(),
				"damaged": 0, "quality_control": 0, "safety_stock": 0}
			var all []*node
			for _, name := range a.strs("names") {
				n, ok := have[name]
				if !ok {
					return nil, failed("BAD_REQUEST", "The quantity name '%s' is invalid.", name)
				}
				all = append(all, &node{"InventoryQuantity", fields{"id": gid("InventoryQuantity", l.id) + "?name=" + name, "name": name, "quantity": n, "updatedAt": when(l.updated)}})
			}
			return all, nil
		})}}
}

func (s *Sim) levelByGID(id string) *level {
	rest, ok := strings.CutPrefix(id, "gid://shopify/InventoryLevel/")
	loc, item, both := strings.Cut(rest, "?inventory_item_id=")
	if !ok || !both {
		return nil
	}
	return s.levels[levelID{number(item), number(loc)}]
}

func (s *Sim) findLevels(a args, belongs func(*level) bool) conn {
	var all []*level
	for _, l := range s.levels {
		if belongs(l) {
			all = append(all, l)
		}
	}
	slices.SortFunc(all, func(a, b *level) int { return int(a.id - b.id) })
	return find(s, all, a, "InventoryLevel", func(l *level, t term) (bool, bool) {
		if t.field == "inventory_item_id" {
			return t.number(l.v.item.id), true
		}
		return false, false
	}, s.levelNode)
}

func listLocations(x *exec, a args) (any, *failure) {
	all := slices.DeleteFunc(sorted(x.s.locations), func(l *location) bool { return !l.active && !a.bool("includeInactive") })
	c := find(x.s, all, a, "Location", func(l *location, t term) (bool, bool) {
		if t.field == "name" || t.field == "" {
			return t.text(l.name), true
		}
		return false, false
	}, x.s.locationNode)
	return c, nil
}

func listItems(x *exec, a args) (any, *failure) {
	var items []*itemView
	for _, v := range sorted(x.s.variants) {
		items = append(items, &itemView{v})
	}
	return find(x.s, items, a, "InventoryItem", func(i *itemView, t term) (bool, bool) {
		if t.field == "sku" || t.field == "" {
			return t.text(i.v.sku), true
		}
		return false, false
	}, func(i *itemView) *node { return x.s.itemNode(i.v) }), nil
}

// itemView is a variant seen as its inventory item.
type itemView struct{ v *variant }

func (i *itemView) base() *meta { return &i.v.item }

var setNames = []string{"available", "on_hand"}

var reasons = strings.Fields("correction cycle_count_available damaged movement_created movement_updated movement_received movement_canceled other promotion quality_control received reservation_created reservation_deleted reservation_updated restock safety_stock shrinkage")

// setQuantities is inventorySetQuantities: all or none.
func setQuantities(x *exec, a args) (any, *failure) {
	s, in := x.s, a.obj("input")
	var ps []problem
	bad := func(path []string, message, code string) {
		ps = append(ps, problem{append([]string{"input"}, path...), message, code})
	}
	name := in.str("name")
	if !slices.Contains(setNames, name) {
		bad([]string{"name"}, "The quantity name must be either 'available' or 'on_hand'.", "INVALID_NAME")
	}
	if !slices.Contains(reasons, in.str("reason")) {
		bad([]string{"reason"}, "The specified reason is invalid. Visit our developer docs for accepted values.", "INVALID_REASON")
	}
	if uri := in.str("referenceDocumentUri"); uri != "" && (!strings.Contains(uri, "://") || strings.HasPrefix(uri, "gid://shopify/")) {
		bad([]string{"referenceDocumentUri"}, "The specified reference document is invalid.", "INVALID_REFERENCE_DOCUMENT")
	}
	type change struct {
		l     *level
		delta int
	}
	var changes []change
	for i, q := range in.objs("quantities") {
		path := []string{"quantities", strconv.Itoa(i)}
		v, l, n := s.items[idOf("InventoryItem", q.str("inventoryItemId"))], s.locations[idOf("Location", q.str("locationId"))], q.int("quantity")
		switch {
		case v == nil:
			bad(append(path, "inventoryItemId"), "The specified inventory item could not be found.", "INVALID_INVENTORY_ITEM")
			continue
		case l == nil:
			bad(append(path, "locationId"), "The specified location could not be found.", "INVALID_LOCATION")
			continue
		case n > 1_000_000_000:
			bad(append(path, "quantity"), "The quantity can't be higher than 1,000,000,000.", "INVALID_QUANTITY_TOO_HIGH")
			continue
		case n < 0 && name == "on_hand":
			bad(append(path, "quantity"), "The quantity can't be negative.", "INVALID_QUANTITY_NEGATIVE")
			continue
		case !q.has("changeFromQuantity"):
			return nil, failed("BAD_REQUEST", "changeFromQuantity must be given; null opts out of the comparison.")
		}
		lv := s.levels[levelID{v.item.id, l.id}]
		if lv == nil {
			bad(append(path, "locationId"), "The specified inventory item is not stocked at the location.", "ITEM_NOT_STOCKED_AT_LOCATION")
			continue
		}
		now := lv.available
		if name == "on_hand" {
			now = lv.onHand()
		}
		if q["changeFromQuantity"] != nil && q.int("changeFromQuantity") != now {
			bad(append(path, "changeFromQuantity"), "The changeFromQuantity argument no longer matches the persisted quantity.", "CHANGE_FROM_QUANTITY_STALE")
			continue
		}
		changes = append(changes, change{lv, n - now})
	}
	if len(ps) > 0 {
		return payload("InventorySetQuantities", ps, fields{}), nil
	}
	var made []*node
	for _, c := range changes {
		if c.delta == 0 {
			x.noop++
			continue
		}
		x.updated++
		s.move(c.l, c.delta, 0)
		made = append(made, s.changeNode(c.l, name, c.delta))
	}
	f := fields{}
	if len(made) > 0 {
		f["inventoryAdjustmentGroup"] = s.group(in.str("reason"), in.str("referenceDocumentUri"), made)
	}
	return payload("InventorySetQuantities", nil, f), nil
}

func (s *Sim) changeNode(l *level, name string, delta int) *node {
	return &node{"InventoryChange", fields{"name": name, "delta": delta, "quantityAfterChange": l.available,
		"item": later(func() *node { return s.itemNode(l.v) }), "location": later(func() *node { return s.locationNode(l.l) })}}
}

func (s *Sim) group(reason, uri string, changes []*node) *node {
	return &node{"InventoryAdjustmentGroup", fields{"id": gid("InventoryAdjustmentGroup", s.made().id), "createdAt": when(s.Now()), "reason": reason, "referenceDocumentUri": orNull(uri), "changes": changes}}
}

// adjustQuantities is inventoryAdjustQuantities of what is available.
func adjustQuantities(x *exec, a args) (any, *failure) {
	s, in := x.s, a.obj("input")
	var ps []problem
	if in.str("name") != "available" {
		ps = append(ps, problem{[]string{"input", "name"}, "The simulator adjusts only 'available'.", "INVALID_QUANTITY_NAME"})
	}
	for i, c := range in.objs("changes") {
		l := s.levels[levelID{idOf("InventoryItem", c.str("inventoryItemId")), idOf("Location", c.str("locationId"))}]
		if l == nil {
			ps = append(ps, problem{[]string{"input", "changes", strconv.Itoa(i), "locationId"}, "The quantity couldn't be adjusted because the item is not stocked at this location.", "ITEM_NOT_STOCKED_AT_LOCATION"})
		} else if c["changeFromQuantity"] != nil && c.int("changeFromQuantity") != l.available {
			ps = append(ps, problem{[]string{"input", "changes", strconv.Itoa(i), "changeFromQuantity"}, "The changeFromQuantity argument no longer matches the persisted quantity.", "CHANGE_FROM_QUANTITY_STALE"})
		}
	}
	if len(ps) > 0 {
		return payload("InventoryAdjustQuantities", ps, fields{}), nil
	}
	var made []*node
	for _, c := range in.objs("changes") {
		l := s.levels[levelID{idOf("InventoryItem", c.str("inventoryItemId")), idOf("Location", c.str("locationId"))}]
		s.move(l, c.int("delta"), 0)
		x.updated++
		made = append(made, s.changeNode(l, "available", c.int("delta")))
	}
	return payload("InventoryAdjustQuantities", nil, fields{"inventoryAdjustmentGroup": s.group(in.str("reason"), in.str("referenceDocumentUri"), made)}), nil
}

func activate(x *exec, a args) (any, *failure) {
	s := x.s
	v, l := s.items[idOf("InventoryItem", a.str("inventoryItemId"))], s.locations[idOf("Location", a.str("locationId"))]
	if v == nil || l == nil {
		return payload("InventoryActivate", []problem{{[]string{"inventoryItemId"}, "The inventory item or location could not be found.", ""}}, fields{}), nil
	}
	lv := s.level(v, l, false)
	if lv == nil {
		lv = s.level(v, l, true)
		s.move(lv, a.int("available"), 0)
		x.created++
	} else if a["available"] != nil && a.int("available") != lv.available {
		return payload("InventoryActivate", []problem{{[]string{"available"}, "Not allowed to set available quantity when the item is already active at the location.", ""}}, fields{}), nil
	}
	return payload("InventoryActivate", nil, fields{"inventoryLevel": later(func() *node { return s.levelNode(lv) })}), nil
}
