package cin7core

import (
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// orderMapping is the table of Order <-> sale and its order. LocationID is the adapter's own member: a sale names its location
// by Location, and which that is takes a look into the list of locations.
func orderMapping(h habits) adapters.Mapping {
	currency := func(o object) string { return adapters.String(o, "CustomerCurrency") }
	total := func(f domain.Field, key string) adapters.Row {
		return adapters.Row{Field: f, Paths: []string{"Order." + key}, Note: "Cin7 Core's figure", Get: func(o object) domain.Value {
			order := part(o, "Order")
			if order == nil {
				return ""
			}
			d, err := decimal.NewFromString(adapters.String(order, key))
			if err != nil {
				return ""
			}
			if key == "TotalBeforeTax" { // a rounding line is no part of what is sold
				d = d.Sub(h.rounded(order))
			}
			return moneyOf(d.String(), currency(o))
		}}
	}
	return adapters.Mapping{
		Kind: domain.KindOrder, Object: "sale", IDField: "ExternalID",
		Rows: []adapters.Row{
			{Field: "number", Paths: []string{"Order.SaleOrderNumber"}, Note: "given by Cin7 Core", Get: func(o object) domain.Value {
				return domain.TextValue(adapters.String(part(o, "Order"), "SaleOrderNumber"))
			}},
			refRow("customer", "CustomerID", "required"),
			{Field: "orderDate", Paths: []string{"SaleOrderDate"}, Note: "required; a local date",
				Get: func(o object) domain.Value {
					day, _, _ := strings.Cut(adapters.String(o, "SaleOrderDate"), "T")
					return domain.TextValue(day)
				},
				Set: func(o object, v domain.Value) error {
					if v.Empty() {
						return fmt.Errorf("Cin7 Core needs the date of an order; give it where it is owned")
					}
					o["SaleOrderDate"] = v.Text() + "T00:00:00"
					return nil
				}},
			refRow("location", "LocationID", "required; where the stock is taken from"),
			{Field: "currency", Paths: []string{"CustomerCurrency"}, Note: "the customer's", Get: func(o object) domain.Value { return domain.TextValue(currency(o)) }},
			{Field: "taxMode", Paths: []string{"TaxCalculation"}, Fit: fitMode, Note: "Inclusive or Exclusive; a document without GST is EXCLUSIVE with a tax rule to match on each line, and so is none",
				Get: func(o object) domain.Value { return domain.TextValue(adapters.String(o, "TaxCalculation")) },
				Set: func(o object, v domain.Value) error {
					o["TaxCalculation"] = "Exclusive"
					if v.Text() == string(money.Inclusive) {
						o["TaxCalculation"] = "Inclusive"
					}
					return nil
				}},
			linesRow(h),
			total("subtotal", "TotalBeforeTax"), total("taxTotal", "Tax"), total("total", "Total"),
			{Field: "amountPaid", Paths: []string{"Invoices[].Paid"}, Get: func(o object) domain.Value { return summed(o, "Invoices", "", "Paid") }},
			{Field: "amountRefunded", Paths: []string{"CreditNotes[].Refunds[].Amount"}, Get: func(o object) domain.Value { return summed(o, "CreditNotes", "Refunds", "Amount") }},
			{Field: "paymentStatus", Paths: []string{"CombinedPaymentStatus"}, Get: getPaymentStatus},
			{Field: "fulfilmentStatus", Paths: []string{"FulFilmentStatus", "CombinedShippingStatus", "Status"}, Get: getFulfilment, Note: "what has been shipped"},
			adapters.TextRow("reference", "CustomerReference", 256, ""),
			adapters.TextRow("email", "Email", 256, ""),
			saleAddressRow("billingAddress", "BillingAddress"),
			saleAddressRow("shippingAddress", "ShippingAddress"),
			{Field: "channel", Paths: []string{"SourceChannel"}, Get: func(o object) domain.Value { return domain.TextValue(adapters.String(o, "SourceChannel")) }},
			adapters.TextRow("notes", "Note", 0, ""),
			{Field: "stage", Paths: []string{"Status", "Order.Status"}, Get: getStage, Set: setStage, Fit: fitted("DRAFT"),
				Note: "CONFIRMED authorises the order, which allocates its stock; DRAFT takes that back; CANCELLED voids the sale; Cin7 Core closes one itself"},
		},
		Known: []string{"ID", "LastModifiedOn", "Customer", "Contact", "Phone", "DefaultAccount", "SkipQuote", "BaseCurrency", "CurrencyRate", "TaxRule", "Terms", "PriceTier",
			"Location", "LocationID", "ShipBy", "ShippingNotes", "SalesRepresentative", "Carrier", "Type", "ServiceOnly", "COGSAmount", "CombinedInvoiceStatus",
			"CombinedPackingStatus", "CombinedPickingStatus", "CombinedTrackingNumbers", "AdditionalAttributes", "Attachments", "InventoryMovements", "Transactions",
			"ManualJournals", "Quote", "Order", "Fulfilments", "Invoices", "CreditNotes"},
	}
}

func moneyOf(amount, currency string) domain.Value {
	d, err := decimal.NewFromString(amount)
	if err != nil || currency == "" {
		return ""
	}
	return domain.ValueOf(object{"amount": d.Round(2).StringFixed(2), "currency": currency})
}

// summed adds up a member of every object in a list, or in a list inside of each.
func summed(o object, list, inner, key string) domain.Value {
	if _, ok := o[list]; !ok {
		return ""
	}
	sum := decimal.Zero
	for _, x := range entries(o[list]) {
		xs := []object{x}
		if inner != "" {
			xs = entries(x[inner])
		}
		for _, y := range xs {
			if d, err := decimal.NewFromString(adapters.String(y, key)); err == nil {
				sum = sum.Add(d)
			}
		}
	}
	return moneyOf(sum.String(), adapters.String(o, "CustomerCurrency"))
}

func refRow(f domain.Field, key, note string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{key}, Note: note,
		Get: func(o object) domain.Value {
			if id := adapters.String(o, key); id != "" {
				return domain.TextValue(domain.Ext(idOf(id)))
			}
			return "" // a sale always has one; it is not known which
		},
		Set: func(o object, v domain.Value) error {
			id, ok := domain.ExtID(v.Text())
			if !ok {
				return fmt.Errorf("a sale needs one; give it where it is owned")
			}
			o[key] = idOf(id)
			return nil
		}}
}

func fitMode(v domain.Value) domain.Value {
	if v.Text() == string(money.Inclusive) {
		return v
	}
	return domain.TextValue(string(money.Exclusive))
}

func getPaymentStatus(o object) domain.Value {
	refunded, _ := decimal.NewFromString(decimalOf(summed(o, "CreditNotes", "Refunds", "Amount")))
	received, _ := decimal.NewFromString(decimalOf(summed(o, "Invoices", "", "Paid")))
	switch status := adapters.String(o, "CombinedPaymentStatus"); {
	case refunded.IsPositive() && refunded.GreaterThanOrEqual(received):
		return `"REFUNDED"`
	case refunded.IsPositive():
		return `"PARTIALLY_REFUNDED"`
	case status == "PAID":
		return `"PAID"`
	case strings.HasPrefix(status, "PARTIAL"):
		return `"PARTIALLY_PAID"`
	case status == "":
		return ""
	}
	return `"UNPAID"`
}

func decimalOf(v domain.Value) string {
	var m money.Money
	if v.Decode(&m) != nil {
		return "0"
	}
	return m.Amount.String()
}

func getFulfilment(o object) domain.Value {
	all, shipped := adapters.String(o, "FulFilmentStatus"), adapters.String(o, "CombinedShippingStatus")
	switch {
	case strings.HasPrefix(all, "PARTIAL"), strings.HasPrefix(shipped, "PARTIAL"):
		return `"PARTIAL"`
	case all == "FULFILLED", all == "" && shipped == "SHIPPED", adapters.String(o, "Status") == "COMPLETED":
		return `"FULFILLED"`
	}
	return `"UNFULFILLED"`
}

// addressMembers are those that Datum carries.
var addressMembers = []string{"Line1", "Line2", "City", "State", "Postcode", "Country"}

func saleAddressRow(f domain.Field, key string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{key}, Fit: fitAddress, Note: "City is the suburb, Country by name and required; further lines are joined to the second",
		Get: func(o object) domain.Value { return addressOf(part(o, key)) },
		Set: func(o object, v domain.Value) error {
			e, is := object{}, part(o, key)
			if v.Empty() {
				for _, k := range addressMembers {
					e[k] = ""
				}
			} else if err := putAddress(e, v); err != nil {
				return err
			}
			if !slices.ContainsFunc(addressMembers, func(k string) bool { return adapters.String(is, k) != adapters.String(e, k) }) {
				return nil
			}
			for k, x := range is {
				if _, written := e[k]; !written {
					e[k] = x
				}
			}
			delete(e, "DisplayAddressLine1")
			delete(e, "DisplayAddressLine2")
			delete(e, "ID") // an id would bring back the customer's address
			if key == "ShippingAddress" {
				e["ShipToOther"] = true // else it would become one of the customer's addresses
			}
			o[key] = e
			return nil
		}}
}

// Statuses of a sale and of its order.
const (
	authorised = "AUTHORISED"
	voided     = "VOIDED"
	completed  = "COMPLETED"
	draft      = "DRAFT"
)

func getStage(o object) domain.Value {
	order := adapters.String(part(o, "Order"), "Status")
	switch {
	case adapters.String(o, "Status") == voided:
		return `"CANCELLED"`
	case adapters.String(o, "Status") == completed, order == "CLOSED":
		return `"CLOSED"`
	case slices.Contains([]string{authorised, "AUTH_NO_ALLOC", "FULFILLED"}, order):
		return `"CONFIRMED"`
	}
	return `"DRAFT"`
}

func setStage(o object, v domain.Value) error {
	want, is := fitted("DRAFT")(v), getStage(o)
	switch {
	case is == want:
		return nil
	case is == `"CANCELLED"`:
		return fmt.Errorf("the sale is voided in Cin7 Core, which is for good; make a new order")
	}
	order := part(o, "Order")
	if order == nil {
		order = object{}
		o["Order"] = order
	}
	switch want.Text() {
	case "CANCELLED":
		o["Status"] = voided
	case "CONFIRMED":
		order["Status"] = authorised
	case "DRAFT":
		order["Status"] = draft
	default:
		return fmt.Errorf("Cin7 Core closes a sale itself, when it is shipped, invoiced and paid")
	}
	return nil
}
