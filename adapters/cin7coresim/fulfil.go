package cin7coresim

import (
	"slices"
	"strings"

	"github.com/shopspring/decimal"
)

// fulfilment is the pick or the shipment of a simple sale, which has one of each.
func fulfilment(o object, step string) object {
	for _, f := range entries(o["Fulfilments"]) {
		return part(f, step)
	}
	return nil
}

// picked is how much of a product has been picked for a sale.
func picked(o object, product string) decimal.Decimal {
	var sum decimal.Decimal
	if pick := fulfilment(o, "Pick"); pick["Status"] == authorised {
		for _, l := range entries(pick["Lines"]) {
			if q, _ := dec(l["Quantity"]); l["ProductID"] == product {
				sum = sum.Add(q)
			}
		}
	}
	return sum
}

func (s *Sim) fulfil(step string) handler {
	return func(r *request) (any, *refused) {
		o, e := s.sale(r.body["TaskID"])
		if e == nil && text(r.body["Status"]) != authorised {
			e = bad("Status '%s' is not valid. Available values are AUTHORISED", text(r.body["Status"]))
		}
		if e == nil && step == "Pick" {
			e = s.pick(o, entries(r.body["Lines"]))
		} else if e == nil {
			e = s.ship(o)
		}
		if e != nil {
			return nil, e
		}
		s.wrote("sales", o, s.sales[text(o["ID"])])
		a := copyOf(fulfilment(s.sales[text(o["ID"])], step))
		a["TaskID"] = o["ID"]
		return a, nil
	}
}

// pick authorises the pick of the lines, or of the whole order if there are none: stock leaves the shelf.
func (s *Sim) pick(o object, lines []object) *refused {
	o = copyOf(o)
	order := part(o, "Order")
	switch {
	case o["Status"] == voided || order["Status"] != authorised:
		return bad("Sale order should be authorised first")
	case fulfilment(o, "Pick")["Status"] == authorised:
		return bad("Pick is already authorised")
	}
	site := s.site(nil, o["Location"])
	var rows []any
	taken := map[place]decimal.Decimal{}
	for _, l := range entries(order["Lines"]) {
		p := s.products[text(l["ProductID"])]
		if p["Type"] != typeStock {
			continue
		}
		want, _ := dec(l["Quantity"])
		if len(lines) > 0 {
			want = decimal.Zero
			for _, given := range lines {
				if g := s.product(given); g != nil && g["ID"] == p["ID"] {
					want, _ = dec(given["Quantity"])
				}
			}
		}
		at := place{text(p["ID"]), text(site["ID"])}
		if total := taken[at].Add(want); total.GreaterThan(s.stock[at].onHand) {
			return bad("Product '%s': there are only %s at %s", text(p["SKU"]), s.stock[at].onHand, text(site["Name"]))
		}
		taken[at] = taken[at].Add(want)
		rows = append(rows, object{"ProductID": p["ID"], "SKU": p["SKU"], "Name": p["Name"], "Location": site["Name"], "LocationID": site["ID"], "Quantity": num(want), "BatchSN": "", "ExpiryDate": ""})
	}
	lists := copyOf(rows)
	for _, l := range entries(lists) {
		l["Box"] = "Box 1"
	}
	o["Fulfilments"] = []any{object{"TaskID": o["ID"], "FulfillmentNumber": 1, "LinkedInvoiceNumber": "", "FulFilmentStatus": "NOT FULFILLED",
		"Pick": object{"Status": authorised, "Lines": rows}, "Pack": object{"Status": authorised, "Lines": lists}, "Ship": object{"Status": notAvailable, "Lines": []any{}, "RequireBy": nil, "ShippingAddress": copyOf(part(o, "ShippingAddress")), "ShippingNotes": o["ShippingNotes"]}}}
	s.keep(o)
	s.notify("Sale/PickAuthorised", object{"SaleTaskID": upper(o["ID"]), "OrderNumber": order["SaleOrderNumber"], "CustomerName": o["Customer"]})
	for at, q := range taken {
		s.setStock(at, s.stock[at].onHand.Sub(q))
	}
	return nil
}

// ship authorises the shipment of what was picked.
func (s *Sim) ship(o object) *refused {
	o = copyOf(o)
	if fulfilment(o, "Pick")["Status"] != authorised {
		return bad("Pick should be authorised first")
	}
	if fulfilment(o, "Ship")["Status"] == authorised {
		return bad("Shipment is already authorised")
	}
	for _, f := range entries(o["Fulfilments"]) {
		ship := part(f, "Ship")
		ship["Status"], ship["Lines"] = authorised, []any{object{"ID": s.UUID(), "Carrier": o["Carrier"], "ShipmentDate": s.Now().Format("2006-01-02") + "T00:00:00", "IsShipped": true, "TrackingNumber": "", "TrackingURL": "", "Boxes": "Box 1"}}
		f["FulFilmentStatus"] = "FULFILLED"
	}
	s.keep(o)
	s.notify("Sale/ShipmentAuthorised", object{"SaleTaskID": upper(o["ID"]), "TenantID": upper(s.account), "OrderNumber": part(o, "Order")["SaleOrderNumber"], "CustomerName": o["Customer"]})
	return nil
}

func (s *Sim) postInvoice(r *request) (any, *refused) {
	o, e := s.sale(r.body["SaleID"])
	if e == nil {
		e = s.invoice(o)
	}
	if e != nil {
		return nil, e
	}
	s.wrote("sales", o, s.sales[text(o["ID"])])
	o = s.sales[text(o["ID"])]
	return object{"SaleID": o["ID"], "Invoices": o["Invoices"]}, nil
}

// invoice authorises an invoice over the whole order; a simple sale has one.
func (s *Sim) invoice(o object) *refused {
	o = copyOf(o)
	order := part(o, "Order")
	if o["Status"] == voided || order["Status"] != authorised {
		return bad("Sale order should be authorised first")
	}
	if len(entries(o["Invoices"])) > 0 {
		return bad("Simple sale has an invoice already")
	}
	inv := copyOf(order)
	delete(inv, "SaleOrderNumber")
	for _, l := range slices.Concat(entries(inv["Lines"]), entries(inv["AdditionalCharges"])) {
		delete(l, "BackorderQuantity")
		delete(l, "Backorder")
		delete(l, "DropShip")
		l["Account"] = o["DefaultAccount"]
	}
	bill := part(o, "BillingAddress")
	inv["BillingAddressLine1"], inv["BillingAddressLine2"], inv["LinkedFulfillmentNumber"] = bill["DisplayAddressLine1"], bill["DisplayAddressLine2"], "1"
	day := s.Now().Format("2006-01-02") + "T00:00:00"
	inv["TaskID"], inv["InvoiceNumber"], inv["Status"], inv["InvoiceDate"], inv["InvoiceDueDate"] = o["ID"], s.next("INV-"), authorised, day, day
	inv["Payments"], inv["Paid"], inv["CurrencyConversionRate"] = []any{}, 0, 1
	o["Invoices"] = []any{inv}
	s.keep(o)
	s.notify("Sale/InvoiceAuthorised", object{"SaleTaskID": upper(o["ID"]), "OrderNumber": order["SaleOrderNumber"], "InvoiceNumber": inv["InvoiceNumber"]})
	return nil
}

func (s *Sim) postPayment(r *request) (any, *refused) {
	o, e := s.sale(r.body["TaskID"])
	if e == nil && text(r.body["Type"]) != "Payment" {
		e = bad("Type '%s' is not valid here. Available value is Payment", text(r.body["Type"]))
	}
	if e == nil && s.entry("ref/account", "Code", text(r.body["Account"])) == nil {
		e = bad("Account '%s' was not found in reference book", text(r.body["Account"]))
	}
	if e == nil {
		e = s.pay(o, r.body["Amount"], text(r.body["Account"]), text(r.body["Reference"]))
	}
	if e != nil {
		return nil, e
	}
	s.wrote("sales", o, s.sales[text(o["ID"])])
	list := entries(entries(s.sales[text(o["ID"])]["Invoices"])[0]["Payments"])
	return list[len(list)-1], nil
}

// pay receives money for the invoice of a sale.
func (s *Sim) pay(o object, amount any, code, reference string) *refused {
	o = copyOf(o)
	invoices := entries(o["Invoices"])
	if len(invoices) == 0 {
		return bad("Sale has no authorised invoice")
	}
	inv := invoices[0]
	sum, ok := dec(amount)
	got, _ := dec(inv["Paid"])
	total, _ := dec(inv["Total"])
	if !ok || !sum.IsPositive() || !sum.Equal(sum.Round(2)) || got.Add(sum).GreaterThan(total) {
		return bad("Amount '%s' is not valid, %s is due", text(amount), total.Sub(got))
	}
	payments, _ := inv["Payments"].([]any)
	inv["Payments"] = append(payments, object{"ID": s.UUID(), "Reference": reference, "Amount": num(sum), "DatePaid": s.Now().Format("2006-01-02") + "T00:00:00", "Account": code,
		"CurrencyRate": 1, "DateCreated": s.Now().Format("2006-01-02T15:04:05.000Z")})
	inv["Paid"] = num(got.Add(sum))
	event := "Sale/PartialPaymentReceived"
	if got.Add(sum).Equal(total) {
		inv["Status"], event = paid, "Sale/FullPaymentReceived"
	}
	o["Invoices"] = []any{inv}
	s.keep(o)
	s.notify(event, object{"SaleTaskID": upper(o["ID"]), "OrderNumber": part(o, "Order")["SaleOrderNumber"], "CustomerName": strings.TrimSpace(text(o["Customer"]))})
	return nil
}
