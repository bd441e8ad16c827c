package cin7coresim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// place is a product at a location, by their ids.
type place struct{ product, location string }

// amount is what is there and what is on its way there.
type amount struct{ onHand, onOrder decimal.Decimal }

// dec reads a number, or text that is one.
func dec(v any) (decimal.Decimal, bool) {
	d, err := decimal.NewFromString(text(v))
	return d, err == nil
}

func location(id, name string) object {
	return object{"ID": id, "Name": name, "IsDefault": false, "IsDeprecated": false, "Bins": []any{}, "FixedAssetsLocation": false, "ParentID": nil, "ParentName": nil,
		"ReferenceCount": 0, "AddressLine1": "", "AddressLine2": "", "AddressCitySuburb": "", "AddressStateProvince": "", "AddressZipPostCode": "", "AddressCountry": "",
		"PickZones": nil, "IsShopfloor": false, "IsCoMan": false, "IsStaging": false}
}

func (s *Sim) getLocations(r *request) (any, *refused) {
	var list []object
	for _, o := range s.locations.sorted("Name") {
		gone := o["IsDeprecated"] == true
		if id := r.id("id"); id != "" && o["ID"] != id || !starts(o["Name"], r.query["name"]) || id == "" && gone != r.yes("deprecated") {
			continue
		}
		list = append(list, o)
	}
	return page(r, "LocationList", list)
}

// site finds a location by its id or its exact name.
func (s *Sim) site(id, name any) object {
	if text(id) != "" {
		return s.locations[strings.ToLower(text(id))]
	}
	for _, o := range s.locations {
		if text(name) != "" && o["Name"] == name {
			return o
		}
	}
	return nil
}

// allocated is how much of a product authorised orders have taken and not yet picked. The caller holds the lock.
func (s *Sim) allocated(at place) decimal.Decimal {
	var sum decimal.Decimal
	for _, o := range s.sales {
		if order := part(o, "Order"); order["Status"] == authorised && s.site(nil, o["Location"])["ID"] == at.location {
			for _, l := range entries(order["Lines"]) {
				if l["ProductID"] == at.product {
					q, _ := dec(l["Quantity"])
					sum = sum.Add(q).Sub(picked(o, at.product))
				}
			}
		}
	}
	return sum
}

// available is what can still be promised.
func (s *Sim) available(at place) decimal.Decimal { return s.stock[at].onHand.Sub(s.allocated(at)) }

func (s *Sim) row(at place) object {
	p, l, a := s.products[at.product], s.locations[at.location], s.stock[at]
	taken := s.allocated(at)
	cost, _ := dec(p["AverageCost"])
	return object{"ID": at.product, "SKU": p["SKU"], "Name": p["Name"], "Barcode": p["Barcode"], "Location": l["Name"], "Bin": nil, "Batch": nil, "ExpiryDate": nil,
		"Category": p["Category"], "OnHand": num(a.onHand), "Allocated": num(taken), "Available": num(a.onHand.Sub(taken)), "OnOrder": num(a.onOrder), "InTransit": 0,
		"StockOnHand": num(a.onHand.Mul(cost).Round(2)), "MaxAvailable": num(a.onHand)}
}

// rows are the availability: a place where everything is zero has no row.
func (s *Sim) rows() []object {
	places := map[place]bool{}
	for at := range s.stock {
		places[at] = true
	}
	for _, o := range s.sales {
		if order := part(o, "Order"); order["Status"] == authorised {
			for _, l := range entries(order["Lines"]) {
				places[place{text(l["ProductID"]), text(s.site(nil, o["Location"])["ID"])}] = true
			}
		}
	}
	var list []object
	for at := range places {
		if p := s.products[at.product]; p == nil || p["Type"] != typeStock || s.locations[at.location] == nil {
			continue
		}
		if a := s.stock[at]; a.onHand.IsZero() && a.onOrder.IsZero() && s.allocated(at).IsZero() {
			continue
		}
		list = append(list, s.row(at))
	}
	slices.SortFunc(list, func(a, b object) int {
		return cmp.Or(cmp.Compare(text(a["SKU"]), text(b["SKU"])), cmp.Compare(text(a["Location"]), text(b["Location"])))
	})
	return list
}

func (s *Sim) getAvailability(r *request) (any, *refused) {
	var list []object
	for _, o := range s.rows() { // ModifiedSince is ignored
		if id := r.id("id"); id != "" && o["ID"] != id || !starts(o["Name"], r.query["name"]) || !starts(o["SKU"], r.query["sku"]) {
			continue
		}
		if l := r.query["location"]; l != "" && o["Location"] != l {
			continue
		}
		list = append(list, o)
	}
	return page(r, "ProductAvailabilityList", list)
}

// moved reports whether a product has ever had stock or been sold.
func (s *Sim) moved(product string) bool {
	for at := range s.stock {
		if at.product == product {
			return true
		}
	}
	for _, o := range s.sales {
		if slices.ContainsFunc(entries(part(o, "Order")["Lines"]), func(l object) bool { return l["ProductID"] == product }) {
			return true
		}
	}
	return false
}

// setStock changes what is on hand and tells it. The caller holds the lock.
func (s *Sim) setStock(at place, onHand decimal.Decimal) {
	a := s.stock[at]
	a.onHand = onHand
	s.stock[at] = a
	s.levelChanged(at)
}

func (s *Sim) levelChanged(at place) {
	row := s.row(at)
	row["ID"] = upper(row["ID"])
	s.notify("Stock/AvailableStockLevelChanged", row)
}

// postAdjustment sets what is on hand. Quantity is the new on-hand quantity, of stock that is there and of new stock; new
// stock needs its cost.
func (s *Sim) postAdjustment(r *request) (any, *refused) {
	b := r.body
	status := text(b["Status"])
	if status != "DRAFT" && status != "COMPLETED" {
		return nil, bad("Status '%s' is not valid. Available values are DRAFT, COMPLETED", status)
	}
	if _, ok := since(text(b["EffectiveDate"])); !ok || text(b["EffectiveDate"]) == "" {
		return nil, bad("EffectiveDate is required")
	}
	if s.entry("ref/account", "Code", text(b["Account"])) == nil {
		return nil, bad("Account '%s' was not found in reference book", text(b["Account"]))
	}
	lines := entries(b["Lines"])
	if len(lines) == 0 {
		return nil, bad("Lines are required")
	}
	type change struct {
		at       place
		quantity decimal.Decimal
		cost     decimal.Decimal
		fresh    bool
	}
	var changes []change
	existing, fresh := []object{}, []object{}
	for i, l := range lines {
		p, site := s.product(l), s.site(l["LocationID"], l["Location"])
		quantity, ok := dec(l["Quantity"])
		switch {
		case p == nil:
			return nil, bad("Line %d: product '%s' was not found", i+1, text(l["ProductID"])+text(l["SKU"]))
		case p["Type"] != typeStock:
			return nil, bad("Line %d: product '%s' is not a stock product", i+1, text(p["SKU"]))
		case site == nil:
			return nil, bad("Line %d: location '%s' was not found", i+1, text(l["LocationID"])+text(l["Location"]))
		case !ok || quantity.IsNegative() || !quantity.Equal(quantity.Round(4)):
			return nil, bad("Line %d: Quantity must be a positive number with up to 4 decimal places", i+1)
		}
		c := change{at: place{text(p["ID"]), text(site["ID"])}, quantity: quantity}
		was := s.stock[c.at].onHand
		line := object{"ProductID": p["ID"], "SKU": p["SKU"], "ProductName": p["Name"], "LocationID": site["ID"], "Location": site["Name"], "BatchSN": nil, "ExpiryDate": nil, "Comments": text(l["Comments"])}
		if was.IsZero() && !quantity.IsZero() {
			if c.cost, ok = dec(l["UnitCost"]); !ok || c.cost.IsNegative() || text(l["ReceivedDate"]) == "" {
				return nil, bad("Line %d: UnitCost and ReceivedDate are required for new stock", i+1)
			}
			c.fresh = true
			line["Quantity"], line["UnitCost"], line["ReceivedDate"] = num(quantity), num(c.cost), l["ReceivedDate"]
			fresh = append(fresh, line)
		} else {
			line["QuantityOnHand"], line["Available"], line["Adjustment"] = num(was), num(s.available(c.at)), num(quantity)
			existing = append(existing, line)
		}
		changes = append(changes, c)
	}
	o := object{"TaskID": s.UUID(), "EffectiveDate": b["EffectiveDate"], "Account": b["Account"], "Reference": text(b["Reference"]), "Status": status,
		"StocktakeNumber": s.next("ST-"), "ExistingStockLines": existing, "NewStockLines": fresh, "Transactions": []object{}}
	s.adjustments[text(o["TaskID"])] = o
	if status == "COMPLETED" {
		for _, c := range changes {
			if c.fresh {
				s.products[c.at.product]["AverageCost"] = num(c.cost)
			}
			s.setStock(c.at, c.quantity)
		}
	}
	s.wrote("stockadjustments", nil, o)
	return o, nil
}

func (s *Sim) getAdjustment(r *request) (any, *refused) {
	o := s.adjustments[r.id("taskid")]
	if o == nil {
		return nil, bad("Stock adjustment with ID '%s' was not found", r.query["taskid"])
	}
	return o, nil
}

// next is the next number of a series: SO-00001.
func (s *Sim) next(series string) string {
	s.numbers[series]++
	return fmt.Sprintf("%s%05d", series, s.numbers[series])
}
