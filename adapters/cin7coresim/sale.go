package cin7coresim

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"datum/adapters/sim"
)

// Statuses of sales and of their parts.
const (
	draft        = "DRAFT"
	authorised   = "AUTHORISED"
	voided       = "VOIDED"
	paid         = "PAID"
	notAvailable = "NOT AVAILABLE"
)

var saleSchema = schema{
	"Contact": 256, "Phone": 50, "Email": 256, "TaxRule": 50, "TaxCalculation": 20, "Terms": 256, "PriceTier": 50, "Location": 256, "CustomerReference": 256,
	"SaleOrderDate": 40, "ShipBy": 40, "SkipQuote": -1, "ExternalID": 256, "SourceChannel": 256, "Note": 100000, "ShippingNotes": 1000, "SalesRepresentative": 256,
	"Carrier": 256, "BillingAddress": -1, "ShippingAddress": -1,
}

var saleAddressSchema = schema{"Line1": 256, "Line2": 256, "City": 256, "State": 256, "Postcode": 20, "Country": 256, "Company": 128, "Contact": 512, "ShipToOther": -1}

// frozen are the members that cannot be changed once the order is authorised.
var frozen = []string{"CustomerID", "Customer", "Location", "TaxRule", "TaxCalculation", "SaleOrderDate", "SkipQuote"}

// part is a member that is an object itself.
func part(o object, key string) object {
	p, _ := o[key].(object)
	return p
}

func num(d decimal.Decimal) json.Number { return json.Number(d.String()) }

func upper(v any) string { return strings.ToUpper(text(v)) }

// wrote counts one object that a client wrote; old is nil if it was made.
func (s *Sim) wrote(typ string, old, now object) {
	same := old != nil && reflect.DeepEqual(unstamped(old), unstamped(now))
	s.Count(func(st *sim.Stats) {
		switch {
		case old == nil:
			st.Creates++
			st.CreatesOf[typ]++
		case same:
			st.NoopUpdates++
		default:
			st.Updates++
		}
	})
}

func unstamped(o object) object {
	c := copyOf(o)
	delete(c, "LastModifiedOn")
	return c
}

func (s *Sim) getSaleList(r *request) (any, *refused) {
	at, ok := since(r.query["updatedsince"])
	made, ok2 := since(r.query["createdsince"])
	if !ok || !ok2 {
		return nil, bad("Date is not valid")
	}
	sales := s.sales.sorted("created")
	slices.Reverse(sales)
	var list []object
	for _, o := range sales {
		q := r.query
		switch {
		case !changedSince(o, "LastModifiedOn", at), !changedSince(o, "created", made):
		case q["externalid"] != "" && o["ExternalID"] != q["externalid"]:
		case q["status"] != "" && o["Status"] != q["status"], q["orderstatus"] != "" && part(o, "Order")["Status"] != q["orderstatus"]:
		case q["search"] != "" && !found(o, q["search"]):
		default:
			order := part(o, "Order")
			row := object{"SaleID": o["ID"], "OrderNumber": order["SaleOrderNumber"], "OrderStatus": order["Status"], "QuoteStatus": part(o, "Quote")["Status"], "OrderDate": o["SaleOrderDate"],
				"OrderLocationID": s.site(nil, o["Location"])["ID"], "Updated": o["LastModifiedOn"]}
			for _, k := range []string{"Status", "Customer", "CustomerID", "BaseCurrency", "CustomerCurrency", "CustomerReference", "ExternalID", "SourceChannel", "ShipBy", "Type",
				"FulFilmentStatus", "CombinedPickingStatus", "CombinedPackingStatus", "CombinedShippingStatus", "CombinedInvoiceStatus", "CombinedPaymentStatus", "CombinedTrackingNumbers"} {
				row[k] = o[k]
			}
			row["CreditNoteNumber"], row["CreditNoteStatus"] = nil, notAvailable
			row["InvoiceNumber"], row["InvoiceDate"], row["InvoiceDueDate"], row["InvoiceAmount"], row["PaidAmount"] = nil, nil, nil, 0, 0
			for _, inv := range entries(o["Invoices"]) {
				row["InvoiceNumber"], row["InvoiceDate"], row["InvoiceDueDate"], row["InvoiceAmount"], row["PaidAmount"] = inv["InvoiceNumber"], inv["InvoiceDate"], inv["InvoiceDueDate"], inv["Total"], inv["Paid"]
			}
			list = append(list, row)
		}
	}
	return page(r, "SaleList", list)
}

func found(o object, want string) bool {
	for _, v := range []any{part(o, "Order")["SaleOrderNumber"], o["Status"], o["Customer"], o["CustomerReference"]} {
		if strings.Contains(strings.ToLower(text(v)), strings.ToLower(want)) {
			return true
		}
	}
	return false
}

// sale finds a sale; of a simple sale every task has the sale's id.
func (s *Sim) sale(id any) (object, *refused) {
	o := s.sales[strings.ToLower(text(id))]
	if o == nil {
		return nil, bad("Sale with ID '%s' was not found", text(id))
	}
	return o, nil
}

// shown is a sale as the API shows it.
func shown(o object) object {
	c := copyOf(o)
	delete(c, "created")
	return c
}

func (s *Sim) getSale(r *request) (any, *refused) {
	o, e := s.sale(r.query["id"])
	if e != nil {
		return nil, e
	}
	return shown(o), nil
}

func (s *Sim) postSale(r *request) (any, *refused) {
	o, e := s.saveSale(nil, r.body)
	if e != nil {
		return nil, e
	}
	s.wrote("sales", nil, o)
	return shown(o), nil
}

func (s *Sim) putSale(r *request) (any, *refused) {
	old, e := s.sale(r.body["ID"])
	if e != nil {
		return nil, e
	}
	o, e := s.saveSale(old, r.body)
	if e != nil {
		return nil, e
	}
	s.wrote("sales", old, o)
	return shown(o), nil
}

// saveSale makes or changes the head of a sale. What is not given stays; what a new sale lacks comes from its customer.
func (s *Sim) saveSale(old, given object) (object, *refused) {
	o := object{}
	if old != nil {
		if o = copyOf(old); o["Status"] == voided {
			return nil, bad("Sale is voided and can not be changed")
		}
		for _, k := range frozen {
			if v, ok := given[k]; ok && part(o, "Order")["Status"] == authorised && text(v) != text(o[k]) {
				return nil, bad("%s can not be changed because sale order is already authorised", k)
			}
		}
	}
	if text(given["CustomerID"]) != "" || text(given["Customer"]) != "" || old == nil {
		c := s.buyer(given)
		switch {
		case c == nil:
			return nil, bad("Customer '%s' was not found", text(given["CustomerID"])+text(given["Customer"]))
		case c["Status"] == deprecated:
			return nil, bad("Customer '%s' is deprecated", text(c["Name"]))
		}
		if old == nil {
			o = s.newSale(c)
		}
		o["Customer"], o["CustomerID"], o["CustomerCurrency"] = c["Name"], c["ID"], c["Currency"]
	}
	if e := saleSchema.lay(o, given); e != nil {
		return nil, e
	}
	if s.site(nil, o["Location"]) == nil {
		return nil, bad("Location '%s' was not found", text(o["Location"]))
	}
	if c := o["TaxCalculation"]; c != "Inclusive" && c != "Exclusive" {
		return nil, bad("TaxCalculation '%s' is not valid. Available values are Inclusive, Exclusive", text(c))
	}
	if _, ok := since(text(o["SaleOrderDate"])); !ok || text(o["SaleOrderDate"]) == "" {
		return nil, bad("SaleOrderDate is not valid date")
	}
	if e := s.named(o, [3]string{"TaxRule", "ref/tax", "Name"}, [3]string{"Terms", "ref/paymentterm", "Name"}, [3]string{"PriceTier", "ref/pricetier", "Name"}); e != nil {
		return nil, e
	}
	for _, k := range []string{"BillingAddress", "ShippingAddress"} {
		a := object{}
		for m := range saleAddressSchema {
			a[m] = ""
		}
		in, _ := o[k].(object)
		if e := saleAddressSchema.lay(a, in); e != nil {
			return nil, e
		}
		if a["ShipToOther"] = in["ShipToOther"] == true; k == "BillingAddress" {
			delete(a, "Company")
			delete(a, "Contact")
			delete(a, "ShipToOther")
		}
		if empty := text(a["Line1"])+text(a["Line2"])+text(a["City"])+text(a["State"])+text(a["Postcode"])+text(a["Country"]) == ""; !empty && (text(a["Line1"]) == "" || text(a["Country"]) == "") {
			return nil, bad("%s: Line1 and Country are required", k)
		}
		a["DisplayAddressLine1"] = strings.TrimSpace(text(a["Line1"]) + " " + text(a["Line2"]))
		a["DisplayAddressLine2"] = strings.Join(strings.Fields(text(a["City"])+" "+text(a["State"])+" "+text(a["Postcode"])+" "+text(a["Country"])), " ")
		o[k] = a
	}
	if old == nil {
		o["ID"] = s.UUID()
		o["created"] = s.stamp()
		part(o, "Order")["SaleOrderNumber"] = s.next("SO-")
	}
	s.keep(o)
	if old == nil {
		s.notify("Sale/Created", object{"SaleID": upper(o["ID"]), "SaleOrderNumber": part(o, "Order")["SaleOrderNumber"], "CustomerName": o["Customer"],
			"SaleOrderDate": text(o["SaleOrderDate"])[:10], "TaskTypeSign": "0", "IsServiceOnly": "0"})
	}
	return o, nil
}

func (s *Sim) buyer(given object) object {
	if id := strings.ToLower(text(given["CustomerID"])); id != "" {
		return s.customers[id]
	}
	for _, c := range s.customers {
		if c["Name"] == given["Customer"] {
			return c
		}
	}
	return nil
}

func (s *Sim) newSale(c object) object {
	o := object{"Type": "Simple Sale", "BaseCurrency": "AUD", "CurrencyRate": 1, "COGSAmount": 0, "Contact": nil, "Phone": nil, "Email": nil, "DefaultAccount": c["RevenueAccount"],
		"TaxRule": c["TaxRule"], "TaxCalculation": "Exclusive", "Terms": c["PaymentTerm"], "PriceTier": c["PriceTier"], "Location": "Main Warehouse", "CustomerReference": "",
		"SaleOrderDate": s.Now().Format("2006-01-02") + "T00:00:00", "ShipBy": "", "SkipQuote": false, "ExternalID": "", "SourceChannel": "", "Note": "", "ShippingNotes": "",
		"SalesRepresentative": c["SalesRepresentative"], "Carrier": c["Carrier"], "ServiceOnly": false, "CombinedTrackingNumbers": "", "AdditionalAttributes": blankAttributes(),
		"Attachments": []any{}, "InventoryMovements": []any{}, "Transactions": []any{}, "ManualJournals": object{"Lines": []any{}, "Status": notAvailable},
		"Quote": document(object{"Prepayments": []any{}}), "Order": document(object{"SaleOrderNumber": ""}), "Fulfilments": []any{}, "Invoices": []any{}, "CreditNotes": []any{}}
	for _, x := range entries(c["Contacts"]) {
		if x["Default"] == true {
			o["Contact"], o["Phone"], o["Email"] = x["Name"], x["Phone"], x["Email"]
		}
	}
	for _, a := range entries(c["Addresses"]) {
		if k := text(a["Type"]) + "Address"; (k == "BillingAddress" || k == "ShippingAddress") && a["DefaultForType"] == true {
			o[k] = copyOf(a)
		}
	}
	return o
}

func blankAttributes() object {
	o := object{}
	for i := range 10 {
		o[fmt.Sprintf("AdditionalAttribute%d", i+1)] = ""
	}
	return o
}

func document(more object) object {
	d := object{"Memo": "", "Status": notAvailable, "Lines": []any{}, "AdditionalCharges": []any{}, "TotalBeforeTax": 0, "Tax": 0, "Total": 0}
	for k, v := range more {
		d[k] = v
	}
	return d
}

// keep stores a sale with the statuses that follow from its parts. The caller holds the lock.
func (s *Sim) keep(o object) {
	order, pick, ship := part(o, "Order"), fulfilment(o, "Pick"), fulfilment(o, "Ship")
	invoice := object{"Status": notAvailable}
	for _, inv := range entries(o["Invoices"]) {
		invoice = inv
	}
	backordered := slices.ContainsFunc(entries(order["Lines"]), func(l object) bool { q, _ := dec(l["BackorderQuantity"]); return q.IsPositive() })
	o["CombinedPickingStatus"], o["CombinedPackingStatus"], o["CombinedShippingStatus"] = notAvailable, notAvailable, notAvailable
	o["CombinedInvoiceStatus"], o["CombinedPaymentStatus"], o["FulFilmentStatus"] = "NOT INVOICED", "UNPAID", notAvailable
	if pick["Status"] == authorised {
		o["CombinedPickingStatus"], o["CombinedPackingStatus"] = "PICKED", "PACKED"
	}
	if ship["Status"] == authorised {
		o["CombinedShippingStatus"] = "SHIPPED"
	}
	if order["Status"] == authorised {
		o["FulFilmentStatus"] = "NOT FULFILLED"
		if ship["Status"] == authorised {
			o["FulFilmentStatus"] = "FULFILLED"
			for _, l := range entries(order["Lines"]) {
				if q, _ := dec(l["Quantity"]); q.GreaterThan(picked(o, text(l["ProductID"]))) {
					o["FulFilmentStatus"] = "PARTIALLY FULFILLED"
				}
			}
		}
	}
	if invoice["Status"] == authorised || invoice["Status"] == paid {
		o["CombinedInvoiceStatus"] = "INVOICED"
		total, _ := dec(invoice["Total"])
		switch got, _ := dec(invoice["Paid"]); {
		case got.GreaterThanOrEqual(total):
			o["CombinedPaymentStatus"] = "PAID"
		case got.IsPositive():
			o["CombinedPaymentStatus"] = "PARTIALLY PAID"
		}
	}
	switch {
	case o["Status"] == voided:
	case invoice["Status"] == paid && ship["Status"] == authorised && o["FulFilmentStatus"] == "FULFILLED":
		o["Status"] = "COMPLETED"
	case invoice["Status"] == authorised || invoice["Status"] == paid:
		o["Status"] = "INVOICED"
	case ship["Status"] == authorised:
		o["Status"] = "SHIPPED"
	case pick["Status"] == authorised:
		o["Status"] = "PACKED"
	case order["Status"] == authorised && backordered:
		o["Status"] = "BACKORDERED"
	case order["Status"] == authorised:
		o["Status"] = "ORDERED"
	case order["Status"] == draft:
		o["Status"] = "ORDERING"
	case o["SkipQuote"] == true:
		o["Status"] = "ESTIMATED"
	default:
		o["Status"] = draft
	}
	o["LastModifiedOn"] = s.stamp()
	s.sales[text(o["ID"])] = o
}

// deleteSale voids a sale, or with Void=false takes the authorisation of its order back.
func (s *Sim) deleteSale(r *request) (any, *refused) {
	o, e := s.sale(r.query["id"])
	if e == nil {
		e = s.undo(o, r.yes("void"))
	}
	if e != nil {
		return nil, e
	}
	s.wrote("sales", o, s.sales[text(o["ID"])])
	return shown(s.sales[text(o["ID"])]), nil
}

// undo reverses a sale: what was allocated is free again, what was picked is back, and if it is voided that is the end of it.
func (s *Sim) undo(o object, void bool) *refused {
	o = copyOf(o)
	if o["Status"] == voided {
		return bad("Sale is already voided")
	}
	for _, inv := range entries(o["Invoices"]) {
		if got, _ := dec(inv["Paid"]); got.IsPositive() {
			return bad("Sale can not be voided because it has payments")
		}
	}
	if !void && fulfilment(o, "Pick")["Status"] == authorised {
		return bad("Sale order can not be undone because it is picked. Undo fulfilment first")
	}
	order := part(o, "Order")
	back := map[place]decimal.Decimal{}
	if order["Status"] == authorised {
		for _, l := range entries(order["Lines"]) {
			at := place{text(l["ProductID"]), text(s.site(nil, o["Location"])["ID"])}
			back[at] = picked(o, at.product)
		}
	}
	event := "Sale/Undo"
	order["Status"] = draft
	if void {
		event, o["Status"], order["Status"] = "Sale/Voided", voided, voided
		o["Fulfilments"], o["Invoices"] = []any{}, []any{}
	}
	s.keep(o)
	s.notify(event, object{"SaleID": upper(o["ID"]), "SaleOrderNumber": order["SaleOrderNumber"]})
	for at, q := range back {
		if p := s.products[at.product]; p != nil && p["Type"] == typeStock {
			s.setStock(at, s.stock[at].onHand.Add(q))
		}
	}
	return nil
}
