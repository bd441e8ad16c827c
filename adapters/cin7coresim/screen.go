package cin7coresim

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"datum/adapters/sim"
)

// Types lists the types of objects that people work with. A sale also takes what people do with it: "Lines" (of its order),
// "Order": "AUTHORISED", "Pick", "Ship" and "Invoice": "AUTHORISED" (a Pick may have "PickLines"), "Pay": an amount, "Void" and
// "Undo": true. An availability is a stocktake: ProductID or SKU, Location (or the id "<ProductID>@<LocationID>"), OnHand, and OnOrder as purchasing changes it.
func (s *Sim) Types() []string {
	return []string{"customers", "products", "locations", "sales", "availability"}
}

// Objects returns every object of the type as the API shows it, sorted as there.
func (s *Sim) Objects(typ string) ([]any, error) {
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []object
	switch typ {
	case "customers":
		list = s.customers.sorted("Name")
	case "products":
		list = s.products.sorted("Name")
	case "locations":
		list = s.locations.sorted("Name")
	case "sales":
		list = s.sales.sorted("created")
	default:
		list = s.rows()
	}
	out := []any{}
	for _, o := range list {
		out = append(out, onScreen(o))
	}
	return out, nil
}

func onScreen(o object) object {
	o = shown(o)
	o["archived"] = o["Status"] == deprecated || o["Status"] == voided || o["IsDeprecated"] == true
	return o
}

// Put is a person in Cin7 Core's own screens. What is given is laid over what is there, lists are replaced. A new customer or
// product gets what the form proposes.
func (s *Sim) Put(typ, id string, properties map[string]any) (any, error) {
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return nil, err
	}
	given := copyOf(properties)
	for _, k := range []string{"archived", "ID", "LastModifiedOn"} {
		delete(given, k)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id = strings.ToLower(id)
	var o object
	var e *refused
	var problems []string
	switch typ {
	case "customers":
		old := s.customers[id]
		if id == "" {
			given = over(object{"Status": active, "Currency": "AUD", "PaymentTerm": "30 days", "AccountReceivable": "610", "RevenueAccount": "200", "TaxRule": "GST on Income"}, given)
		} else if old == nil {
			return nil, fmt.Errorf("there is no customer %s", id)
		}
		if o, problems, e = s.saveCustomer(old, given); e == nil && len(problems) > 0 {
			return nil, errors.New(strings.Join(problems, "; "))
		}
	case "products":
		old := s.products[id]
		if id == "" {
			given = over(object{"Status": active, "Type": typeStock, "Category": "Other", "UOM": "Item", "CostingMethod": "FIFO"}, given)
		} else if old == nil {
			return nil, fmt.Errorf("there is no product %s", id)
		}
		o, e = s.saveProduct(old, given)
	case "locations":
		return s.putLocation(id, given)
	case "sales":
		o, e = s.putSaleScreen(id, given)
	default:
		if product, site, ok := strings.Cut(id, "@"); ok {
			given["ProductID"], given["LocationID"] = product, site
		}
		return s.count(given)
	}
	if e != nil {
		return nil, e
	}
	return onScreen(o), nil
}

// over lays b over a.
func over(a, b object) object {
	c := maps.Clone(a)
	maps.Copy(c, b)
	return c
}

func (s *Sim) putLocation(id string, given object) (any, error) {
	o := location(id, "")
	if id != "" {
		if o = copyOf(s.locations[id]); o == nil {
			return nil, fmt.Errorf("there is no location %s", id)
		}
	}
	for k, v := range given {
		if _, known := o[k]; !known {
			return nil, fmt.Errorf("a location has no member %s", k)
		}
		o[k] = v
	}
	if text(o["Name"]) == "" || len([]rune(text(o["Name"]))) > 50 {
		return nil, errors.New("Name is required and has at most 50 characters")
	}
	if x := s.site(nil, o["Name"]); x != nil && x["ID"] != o["ID"] {
		return nil, fmt.Errorf("location '%s' already exists", text(o["Name"]))
	}
	if id == "" {
		o["ID"] = s.UUID()
	} else if old := s.locations[id]["Name"]; old != o["Name"] { // what names it goes with it
		for _, sale := range s.sales {
			if sale["Location"] == old {
				sale["Location"] = o["Name"]
			}
		}
	}
	s.locations[text(o["ID"])] = o
	return onScreen(o), nil
}

// actions are what a person can do with a sale, in the order in which they are done.
var actions = []string{"Lines", "AdditionalCharges", "Order", "Pick", "PickLines", "Ship", "Invoice", "Pay", "Undo", "Void"}

func (s *Sim) putSaleScreen(id string, given object) (object, *refused) {
	head := maps.Clone(given)
	for _, k := range actions {
		delete(head, k)
	}
	old := s.sales[id]
	if id != "" && old == nil {
		return nil, bad("there is no sale %s", id)
	}
	o := old
	if id == "" || len(head) > 0 {
		var e *refused
		if id == "" {
			head = over(object{"SkipQuote": true}, head)
			if text(head["Customer"])+text(head["CustomerID"]) == "" { // a walk-in customer
				for _, c := range s.customers.sorted("Name") {
					head["CustomerID"] = c["ID"]
				}
			}
		}
		if o, e = s.saveSale(old, head); e != nil {
			return nil, e
		}
	}
	now := func() object { return s.sales[text(o["ID"])] }
	_, lines := given["Lines"]
	_, charges := given["AdditionalCharges"]
	steps := []struct {
		asked bool
		do    func() *refused
	}{
		{lines || charges || given["Order"] == authorised, func() *refused { return s.enter(now(), given) }},
		{given["Pick"] == authorised, func() *refused { return s.pick(now(), entries(given["PickLines"])) }},
		{given["Ship"] == authorised, func() *refused { return s.ship(now()) }},
		{given["Invoice"] == authorised, func() *refused { return s.invoice(now()) }},
		{given["Pay"] != nil, func() *refused { return s.pay(now(), given["Pay"], "090", "") }},
		{given["Undo"] == true, func() *refused { return s.undo(now(), false) }},
		{given["Void"] == true, func() *refused { return s.undo(now(), true) }},
	}
	for _, st := range steps {
		if st.asked {
			if e := st.do(); e != nil {
				return nil, e
			}
		}
	}
	return now(), nil
}

// enter is a person entering the lines of an order, whose figures the form works out. A line needs SKU or ProductID, Quantity
// and Price; its tax rule is the sale's if none is given.
func (s *Sim) enter(o, given object) *refused {
	order := copyOf(part(o, "Order"))
	for _, k := range []string{"Lines", "AdditionalCharges"} {
		if v, ok := given[k]; ok {
			order[k] = v
		}
	}
	order["Status"] = draft
	if given["Order"] == authorised {
		order["Status"] = authorised
	}
	sum := map[string]any{}
	var before, taxes decimal.Decimal
	for _, l := range slices.Concat(entries(order["Lines"]), entries(order["AdditionalCharges"])) {
		if text(l["TaxRule"]) == "" {
			l["TaxRule"] = o["TaxRule"]
		}
		percent, _ := dec(s.entry("ref/tax", "Name", text(l["TaxRule"]))["TaxPercent"])
		q, _ := dec(l["Quantity"])
		p, _ := dec(l["Price"])
		d, _ := dec(l["Discount"])
		hundred, _ := dec("100")
		total := q.Mul(p).Mul(hundred.Sub(d)).Div(hundred).Round(2)
		t := total.Mul(percent).Div(hundred).Round(2)
		net := total
		if o["TaxCalculation"] == "Inclusive" {
			t = total.Mul(percent).Div(hundred.Add(percent)).Round(2)
			net = total.Sub(t)
		}
		l["Total"], l["Tax"] = num(total), num(t)
		before, taxes = before.Add(net), taxes.Add(t)
	}
	sum["TotalBeforeTax"], sum["Tax"], sum["Total"] = num(before), num(taxes), num(before.Add(taxes))
	maps.Copy(order, sum)
	return s.saveOrder(o, order)
}

// count is a person counting stock at a location, or a purchase that is on its way there.
func (s *Sim) count(given object) (any, error) {
	p, site := s.product(given), s.site(given["LocationID"], given["Location"])
	if p == nil || site == nil {
		return nil, errors.New("an availability needs ProductID or SKU, and Location or LocationID, of what there is")
	}
	at := place{text(p["ID"]), text(site["ID"])}
	if v, ok := given["OnOrder"]; ok {
		q, ok := dec(v)
		if !ok || q.IsNegative() {
			return nil, errors.New("OnOrder is not a quantity")
		}
		a := s.stock[at]
		a.onOrder = q
		s.stock[at] = a
	}
	if v, ok := given["OnHand"]; ok {
		q, ok := dec(v)
		if !ok || q.IsNegative() {
			return nil, errors.New("OnHand is not a quantity")
		}
		s.setStock(at, q)
	}
	return onScreen(s.row(at)), nil
}

// Merge is refused: Cin7 Core has no merging.
func (s *Sim) Merge(string, string, string) (any, error) {
	return nil, errors.New("Cin7 Core cannot merge objects; deprecate one of them")
}

// Delete deprecates a customer or product, voids a sale, and deletes a location that nothing is at, else deprecates it.
func (s *Sim) Delete(typ, id string) error {
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return err
	}
	switch typ {
	case "customers", "products":
		_, err := s.Put(typ, id, object{"Status": deprecated})
		return err
	case "sales":
		_, err := s.Put(typ, id, object{"Void": true})
		return err
	case "availability":
		return errors.New("stock cannot be deleted; count it as 0")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.locations[strings.ToLower(id)]
	if o == nil {
		return fmt.Errorf("there is no location %s", id)
	}
	used := false
	for at := range s.stock {
		used = used || at.location == o["ID"]
	}
	for _, sale := range s.sales {
		used = used || sale["Location"] == o["Name"]
	}
	if used {
		o["IsDeprecated"] = true
		return nil
	}
	delete(s.locations, text(o["ID"]))
	return nil
}
