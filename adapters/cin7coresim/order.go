package cin7coresim

import (
	"strings"

	"github.com/shopspring/decimal"
)

func (s *Sim) getOrder(r *request) (any, *refused) {
	o, e := s.sale(r.query["saleid"])
	if e != nil {
		return nil, e
	}
	return orderAnswer(o), nil
}

func orderAnswer(o object) object {
	a := copyOf(part(o, "Order"))
	a["SaleID"] = o["ID"]
	return a
}

func (s *Sim) postOrder(r *request) (any, *refused) {
	o, e := s.sale(r.body["SaleID"])
	if e == nil {
		e = s.saveOrder(o, r.body)
	}
	if e != nil {
		return nil, e
	}
	s.wrote("sales", o, s.sales[text(o["ID"])])
	return orderAnswer(s.sales[text(o["ID"])]), nil
}

// saveOrder replaces the lines of an order that is a draft, and authorises it if that is asked: its stock is then allocated.
func (s *Sim) saveOrder(o, given object) *refused {
	o = copyOf(o)
	order := part(o, "Order")
	status := text(given["Status"])
	switch {
	case o["Status"] == voided:
		return bad("Sale is voided and can not be changed")
	case order["Status"] == authorised:
		return bad("Sale order is already authorised and can not be changed")
	case o["SkipQuote"] != true && part(o, "Quote")["Status"] != authorised:
		return bad("Sale quote should be authorised first")
	case status != draft && status != authorised:
		return bad("Status '%s' is not valid. Available values are DRAFT, AUTHORISED", status)
	}
	lines, charges := []any{}, []any{}
	var before, taxes decimal.Decimal
	inclusive := o["TaxCalculation"] == "Inclusive"
	for i, l := range entries(given["Lines"]) {
		p := s.product(l)
		if p == nil {
			return bad("Line %d: product '%s' was not found", i+1, text(l["ProductID"])+text(l["SKU"]))
		}
		if p["Status"] == deprecated || p["Sellable"] != true {
			return bad("Line %d: product '%s' can not be sold", i+1, text(p["SKU"]))
		}
		line, e := s.priced(l, inclusive, i, &before, &taxes)
		if e != nil {
			return e
		}
		line["ProductID"], line["SKU"], line["Name"] = p["ID"], p["SKU"], p["Name"]
		line["AverageCost"], line["DropShip"], line["BackorderQuantity"] = p["AverageCost"], false, 0
		if p["Type"] == typeStock && status == authorised {
			q, _ := dec(line["Quantity"])
			free := s.available(place{text(p["ID"]), text(s.site(nil, o["Location"])["ID"])})
			line["BackorderQuantity"] = num(decimal.Max(decimal.Zero, q.Sub(decimal.Max(free, decimal.Zero))))
		}
		backordered, _ := dec(line["BackorderQuantity"])
		line["Backorder"] = backordered.IsPositive()
		lines = append(lines, line)
	}
	for i, l := range entries(given["AdditionalCharges"]) {
		service := false
		for _, p := range s.products {
			service = service || p["Type"] == typeService && p["Name"] == l["Description"]
		}
		if !service {
			return bad("Additional charge %d: service product '%s' was not found", i+1, text(l["Description"]))
		}
		line, e := s.priced(l, inclusive, i, &before, &taxes)
		if e != nil {
			return e
		}
		line["Description"] = l["Description"]
		charges = append(charges, line)
	}
	if len(lines)+len(charges) == 0 && status == authorised {
		return bad("Sale order without lines can not be authorised")
	}
	for k, want := range map[string]decimal.Decimal{"TotalBeforeTax": before, "Tax": taxes, "Total": before.Add(taxes)} {
		if got, ok := dec(given[k]); !ok || !near(got, want) {
			return bad("%s '%s' does not match the lines, expected %s", k, text(given[k]), want)
		}
		order[k] = num(want)
	}
	order["Lines"], order["AdditionalCharges"], order["Memo"], order["Status"] = lines, charges, text(given["Memo"]), status
	s.keep(o)
	if status == authorised {
		event := "Sale/OrderAuthorised"
		s.notify(event, object{"SaleID": upper(o["ID"]), "SaleOrderNumber": order["SaleOrderNumber"]})
		if o["Status"] == "BACKORDERED" {
			s.notify("Sale/Backordered", object{"SaleID": upper(o["ID"]), "SaleOrderNumber": order["SaleOrderNumber"]})
		}
		for _, l := range entries(order["Lines"]) {
			if p := s.products[text(l["ProductID"])]; p["Type"] == typeStock {
				s.levelChanged(place{text(p["ID"]), text(s.site(nil, o["Location"])["ID"])})
			}
		}
	}
	return nil
}

// near allows a cent, as Cin7 Core's own validation does not say how it rounds.
func near(a, b decimal.Decimal) bool { return a.Sub(b).Abs().LessThanOrEqual(decimal.New(1, -2)) }

// priced checks the figures of a line and adds them to the document's.
func (s *Sim) priced(l object, inclusive bool, i int, before, taxes *decimal.Decimal) (object, *refused) {
	figures := map[string]decimal.Decimal{}
	for k, places := range map[string]int32{"Quantity": 4, "Price": 4, "Discount": 2, "Tax": 4, "Total": 4} {
		d, ok := dec(l[k])
		if l[k] == nil && k == "Discount" {
			ok = true
		}
		if !ok || !d.Equal(d.Round(places)) {
			return nil, bad("Line %d: %s must be a number with up to %d decimal places", i+1, k, places)
		}
		figures[k] = d
	}
	rule := s.entry("ref/tax", "Name", text(l["TaxRule"]))
	hundred := decimal.NewFromInt(100)
	switch {
	case !figures["Quantity"].IsPositive():
		return nil, bad("Line %d: Quantity must be greater than 0", i+1)
	case figures["Discount"].IsNegative() || figures["Discount"].GreaterThan(hundred):
		return nil, bad("Line %d: Discount must be between 0 and 100", i+1)
	case rule == nil || rule["IsTaxForSale"] != true || rule["IsActive"] != true:
		return nil, bad("Line %d: TaxRule '%s' was not found in reference book", i+1, text(l["TaxRule"]))
	case len([]rune(text(l["Comment"]))) > 256:
		return nil, bad("Line %d: Comment length should be less or equal to 256", i+1)
	}
	total := figures["Quantity"].Mul(figures["Price"]).Mul(hundred.Sub(figures["Discount"])).Div(hundred).Round(2)
	percent, _ := dec(rule["TaxPercent"])
	tax := total.Mul(percent).Div(hundred).Round(2)
	if inclusive {
		tax = total.Mul(percent).Div(hundred.Add(percent)).Round(2)
	}
	if !near(figures["Total"], total) {
		return nil, bad("Line %d: Total '%s' does not match, expected %s", i+1, figures["Total"], total)
	}
	if !near(figures["Tax"], tax) {
		return nil, bad("Line %d: Tax '%s' does not match, expected %s", i+1, figures["Tax"], tax)
	}
	*taxes = taxes.Add(tax)
	if *before = before.Add(total); inclusive {
		*before = before.Sub(tax)
	}
	return object{"Quantity": num(figures["Quantity"]), "Price": num(figures["Price"]), "Discount": num(figures["Discount"]), "Tax": num(tax), "Total": num(total),
		"TaxRule": l["TaxRule"], "Comment": strings.TrimSpace(text(l["Comment"]))}, nil
}
