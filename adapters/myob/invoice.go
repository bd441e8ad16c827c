package myob

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// invoiceMapping is the table of Invoice <-> sale invoice whose total is not negative. other is the number of the item for
// lines without a product.
func invoiceMapping(currency, other string) adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindInvoice, Object: "Sale/Invoice", IDField: "JournalMemo",
		Rows: append(saleRows(currency, other, 1),
			adapters.Row{Field: "dueDate", Paths: []string{"Terms.DueDate"}, Get: getDue, Set: setDue, Note: "written as days after the date; MYOB works it out from the terms"},
			amountRow("amountDue", "BalanceDueAmount", currency, 1),
			adapters.TextRow("notes", "Comment", 255, "not on miscellaneous invoices"),
		),
		Known: saleKnown(),
	}
}

// creditNoteMapping is the table of CreditNote <-> sale invoice with a negative total: MYOB has no other credit notes.
func creditNoteMapping(currency, other string) adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindCreditNote, Object: "Sale/Invoice", IDField: "JournalMemo",
		Rows: append(saleRows(currency, other, -1),
			amountRow("remainingCredit", "BalanceDueAmount", currency, -1),
			adapters.TextRow("reason", "Comment", 255, ""),
			adapters.Row{Field: "allocations", Paths: []string{"Settlements"}, Get: getSettled, Set: setSettled, Fit: fitAllocations,
				Note: "Sale/CreditSettlement, one for each invoice; read with the credit note, as its member Settlements"},
		),
		Known: append(saleKnown(), "Terms"),
	}
}

func saleKnown() []string {
	return append(common(), "InvoiceType", "PromisedDate", "ShipToAddress", "SubtotalForeign", "FreightForeign", "TotalTaxForeign", "TotalAmountForeign",
		"BalanceDueAmountForeign", "Category", "Salesperson", "ShippingMethod", "ReferralSource", "LastPaymentDate", "InvoiceDeliveryStatus", "Order",
		"CurrencyExchangeRate", "CanApplySurcharge", "CanApplyBPay", "OnlinePaymentMethod", "Subtotal")
}

// saleRows are what invoices and credit notes have in common. sign is -1 for credit notes.
func saleRows(currency, other string, sign int64) []adapters.Row {
	return []adapters.Row{
		needed(adapters.TextRow("number", "Number", 13, "MYOB counts on if none is given; at most 13")),
		customerRow(),
		{Field: "stage", Paths: []string{"Status"}, Get: getStage(sign), Set: setStage, Fit: fitStage,
			Note: "MYOB has no drafts: an invoice is AUTHORISED as soon as it is there, and PAID when nothing is due, which payments do and not this field; to void it is to delete it, which a preference can forbid"},
		dateRow("issueDate"),
		{Field: "currency", Paths: []string{"ForeignCurrency"}, Note: "only the file's own currency is carried", Fit: fitted(currency),
			Get: func(o object) domain.Value {
				if code := foreign(o); code != "" {
					return domain.TextValue(code)
				}
				return domain.TextValue(currency)
			},
			Set: func(_ object, v domain.Value) error {
				if !v.Empty() && v.Text() != currency {
					return fmt.Errorf("the file keeps its books in %s", currency)
				}
				return nil
			}},
		needed(adapters.Row{Field: "taxMode", Paths: []string{"IsTaxInclusive"}, Note: "MYOB has no documents without GST: NO_TAX is EXCLUSIVE with the codes of its lines",
			Get: getTaxMode,
			Set: func(o object, v domain.Value) error {
				o["IsTaxInclusive"] = v.Text() == string(money.Inclusive)
				return nil
			},
			Fit: func(v domain.Value) domain.Value {
				if v.Text() == string(money.NoTax) {
					return domain.TextValue(string(money.Exclusive))
				}
				return v
			}}),
		{Field: "lines", Paths: []string{"Lines", "Freight", "FreightTaxCode"}, Get: getLines(other, sign), Set: setLines(other, sign), Fit: fitLines,
			Note: "one SHIPPING line beside others is Freight, at the end and without description; other lines without a product are on the item of the setting otherItem, " +
				"and DISCOUNT and ROUNDING are then plain lines; an amount off a line is a line of its own; accounts are those of the items"},
		{Field: "subtotal", Paths: []string{"TotalAmount", "TotalTax"}, Note: "TotalAmount less TotalTax", Get: func(o object) domain.Value {
			return amountOf(o, number(o, "TotalAmount").Sub(number(o, "TotalTax")), currency, sign)
		}},
		amountRow("taxTotal", "TotalTax", currency, sign),
		amountRow("total", "TotalAmount", currency, sign),
		adapters.TextRow("reference", "CustomerPurchaseOrderNumber", 255, "MYOB's screens take 20"),
	}
}

// number is a decimal member, 0 if there is none.
func number(o object, key string) decimal.Decimal {
	d, err := money.ParseDecimal(adapters.String(o, key), 10)
	if err != nil {
		return decimal.Zero
	}
	return d
}

// foreign is the currency of a document that is not in the file's own, "" otherwise.
func foreign(o object) string { return adapters.String(part(o, "ForeignCurrency"), "Code") }

func amountOf(o object, d decimal.Decimal, currency string, sign int64) domain.Value {
	if foreign(o) != "" || o["TotalAmount"] == nil {
		return ""
	}
	return domain.ValueOf(money.Money{Amount: d.Mul(decimal.New(sign, 0)), Currency: currency})
}

func amountRow(f domain.Field, key, currency string, sign int64) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{key}, Get: func(o object) domain.Value { return amountOf(o, number(o, key), currency, sign) }}
}

func customerRow() adapters.Row {
	return adapters.Row{Field: "customer", Paths: []string{"Customer"},
		Get: func(o object) domain.Value { return refOf(o, "Customer") },
		Set: func(o object, v domain.Value) error { return setRef(o, "Customer", v) }}
}

func refOf(o object, key string) domain.Value {
	return domain.TextValue(domain.Ext(adapters.String(part(o, key), "UID")))
}

func setRef(o object, key string, v domain.Value) error {
	uid, ok := domain.ExtID(v.Text())
	if !ok || !uuidForm.MatchString(uid) {
		return fmt.Errorf("MYOB needs one, by its UID")
	}
	o[key] = object{"UID": uid}
	return nil
}

// dateRow maps a document's Date, which is a day of the file's own calendar.
func dateRow(f domain.Field) adapters.Row {
	return needed(adapters.Row{Field: f, Paths: []string{"Date"},
		Get: func(o object) domain.Value { return domain.TextValue(day(o, "Date")) },
		Set: func(o object, v domain.Value) error {
			o["Date"] = v.Text() + " 00:00:00"
			return nil
		}})
}

func day(o object, key string) string {
	s := adapters.String(o, key)
	return s[:min(len(s), len(time.DateOnly))]
}

func getDue(o object) domain.Value {
	if part(o, "Terms") == nil {
		return ""
	}
	return domain.TextValue(day(part(o, "Terms"), "DueDate"))
}

// setDue notes the day; finishTerms writes it as MYOB's terms.
func setDue(o object, v domain.Value) error {
	if v.Empty() {
		if part(o, "Terms") == nil {
			return nil
		}
		return fmt.Errorf("MYOB always has one")
	}
	partFor(o, "Terms")["DueDate"] = v.Text()
	return nil
}

// finishTerms makes the terms of an invoice end on the day it is due, also when its date has moved. before is the invoice as
// MYOB shows it, nil for a new one.
func finishTerms(o, before object) error {
	t := part(o, "Terms")
	if t == nil || t["DueDate"] == nil || before != nil && day(o, "Date") == day(before, "Date") && day(t, "DueDate") == day(part(before, "Terms"), "DueDate") {
		return nil
	}
	from, err := time.Parse(time.DateOnly, day(o, "Date"))
	if err != nil {
		return fmt.Errorf("an invoice with a due date needs an issue date")
	}
	to, err := time.Parse(time.DateOnly, day(t, "DueDate"))
	if err != nil || to.Before(from) {
		return fmt.Errorf("the due date %s is before the issue date %s", day(t, "DueDate"), day(o, "Date"))
	}
	t["PaymentIsDue"], t["BalanceDueDate"] = "InAGivenNumberOfDays", int(to.Sub(from).Hours()/24)
	return nil
}

func getTaxMode(o object) domain.Value {
	switch o["IsTaxInclusive"] {
	case true:
		return domain.TextValue(string(money.Inclusive))
	case false:
		return domain.TextValue(string(money.Exclusive))
	}
	return ""
}

// Stages.
const (
	authorised = "AUTHORISED"
	paid       = "PAID"
	voided     = "VOIDED"
)

func getStage(sign int64) func(object) domain.Value {
	return func(o object) domain.Value {
		switch adapters.String(o, "Status") {
		case "":
			return ""
		case "Closed":
			if o["TotalAmount"] != nil && number(o, "TotalAmount").IsZero() {
				return domain.TextValue(authorised) // nothing to pay: nobody has settled it
			}
			return domain.TextValue(paid)
		case "Credit": // overpaid, or a credit note that is not used up
			if sign > 0 {
				return domain.TextValue(paid)
			}
		}
		return domain.TextValue(authorised)
	}
}

func fitStage(v domain.Value) domain.Value {
	if v.Text() == voided {
		return v
	}
	return domain.TextValue(authorised)
}

// setStage sees to it that the stage is what MYOB makes of the document; voiding is the writer's. That it is paid elsewhere is
// nothing that can be written: it follows from the payments.
func setStage(o object, v domain.Value) error {
	if adapters.String(o, "Status") == "Closed" && v.Text() != paid && fitStage(v).Text() == authorised {
		return fmt.Errorf("it is settled in MYOB; delete the payment or settlement there to open it again")
	}
	return nil
}

// getLines reads the lines of every layout. Those that show no quantity are one of their total.
func getLines(other string, sign int64) func(object) domain.Value {
	sgn := decimal.New(sign, 0)
	text := func(d decimal.Decimal) string { return d.String() }
	return func(o object) domain.Value {
		all, ok := o["Lines"].([]any)
		if !ok || foreign(o) != "" {
			return ""
		}
		var out []domain.Line
		for _, x := range all {
			l, _ := x.(object)
			d := domain.Line{Description: adapters.String(l, "Description")}
			switch adapters.String(l, "Type") {
			case "Header":
				d.Kind = domain.LineText
				out = append(out, d)
				continue
			case "SubTotal":
				continue
			}
			d.TaxCode, d.Amount = taxCodeOf(l, "TaxCode", money.Sale), text(number(l, "Total").Mul(sgn))
			if item := part(l, "Item"); item != nil || l["ShipQuantity"] != nil {
				q, p := number(l, "ShipQuantity").Mul(sgn), number(l, "UnitPrice")
				if q.IsNegative() && p.IsNegative() {
					q, p = q.Neg(), p.Neg() // a credit note made of negative prices
				}
				d.Quantity, d.UnitPrice = text(q), text(p)
				if rate := number(l, "DiscountPercent"); !rate.IsZero() {
					d.DiscountRate = text(rate)
				}
				if sku := adapters.String(item, "Number"); other == "" || sku != other {
					d.Product, d.SKU = domain.Ext(adapters.String(item, "UID")), sku
				}
			} else {
				d.Quantity, d.UnitPrice, d.Account = "1", d.Amount, adapters.String(part(l, "Account"), "DisplayID")
			}
			out = append(out, d)
		}
		if f := number(o, "Freight"); !f.IsZero() {
			f := text(f.Mul(sgn))
			out = append(out, domain.Line{Kind: domain.LineShipping, Quantity: "1", UnitPrice: f, Amount: f, TaxCode: taxCodeOf(o, "FreightTaxCode", money.Sale)})
		}
		return domain.ValueOf(out)
	}
}

// fitLines returns the lines as an item invoice can hold them.
func fitLines(v domain.Value) domain.Value {
	lines := domain.LinesOf(v)
	if len(lines) == 0 {
		return v
	}
	var out []domain.Line
	var freight *domain.Line
	var delivery string
	for _, l := range lines {
		if l.Kind == domain.LineText {
			out = append(out, domain.Line{Kind: l.Kind, Description: l.Description})
			continue
		}
		f := domain.Line{Product: l.Product, Description: l.Description, Quantity: l.Quantity, UnitPrice: l.UnitPrice, DiscountRate: l.DiscountRate, TaxCode: l.TaxCode}
		if f.TaxCode == "" {
			f.TaxCode = string(money.OutOfScope)
		}
		if f.UnitPrice == "" {
			f.Quantity, f.UnitPrice, f.DiscountRate, l.DiscountAmount = "1", or(l.Amount, "0"), "", ""
		}
		f.Quantity = or(f.Quantity, "1")
		if q, p := dec(f.Quantity), dec(f.UnitPrice); q.IsNegative() && p.IsNegative() {
			f.Quantity, f.UnitPrice = q.Neg().String(), p.Neg().String() // as getLines reads it
		}
		off := dec(l.DiscountAmount)
		if full := dec(f.Quantity).Mul(dec(f.UnitPrice)); full.IsNegative() {
			off = off.Neg()
		}
		if l.Kind == domain.LineShipping && freight == nil {
			rate := decimal.New(100, 0).Sub(dec(f.DiscountRate)).Shift(-2)
			sum := dec(f.Quantity).Mul(dec(f.UnitPrice)).Mul(rate).Sub(off).Round(2)
			freight, delivery = &domain.Line{Kind: l.Kind, Quantity: "1", UnitPrice: sum.String(), TaxCode: f.TaxCode}, l.Description
			continue
		}
		out = append(out, f)
		if !off.IsZero() {
			out = append(out, domain.Line{Description: "Discount", Quantity: "1", UnitPrice: off.Neg().String(), TaxCode: f.TaxCode})
		}
	}
	goods := slices.ContainsFunc(out, func(l domain.Line) bool { return l.Kind == "" })
	switch {
	case freight == nil:
	case !goods: // an invoice needs a line beside its freight: delivery alone, or given back, is one
		freight.Kind, freight.Description = "", or(delivery, "Delivery")
		out = append(out, *freight)
	case freight.UnitPrice != "0": // free delivery leaves nothing
		out = append(out, *freight)
	}
	return domain.ValueOf(out)
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// dec reads a decimal of a normalised value.
func dec(s string) decimal.Decimal {
	d, err := money.ParseDecimal(or(s, "0"), 10)
	if err != nil {
		return decimal.Zero
	}
	return d
}

// setLines writes the lines of an item invoice. A line that was there before keeps its row and what we do not carry of it.
func setLines(other string, sign int64) func(object, domain.Value) error {
	get := getLines(other, sign)
	return func(o object, v domain.Value) error {
		lines := domain.LinesOf(fitLines(v))
		before, _ := o["Lines"].([]any)
		switch layout := layoutOf(o); {
		case len(lines) == 0:
			return fmt.Errorf("MYOB needs at least one line")
		case before != nil && domain.Essence(get(o)) == domain.Essence(domain.ValueOf(lines)):
			return nil
		case layout != "" && layout != itemLayout:
			return fmt.Errorf("the document is in MYOB's layout %s, whose lines have no quantities or products; change them there", layout)
		case foreign(o) != "":
			return fmt.Errorf("the document is in %s; change its lines in MYOB", foreign(o))
		}
		before = append([]any(nil), before...)
		out, freight := []any{}, domain.Line{}
		for i, l := range lines {
			item := object{"Number": other}
			if l.Product != "" {
				if err := setRef(item, "Item", domain.TextValue(l.Product)); err != nil {
					return fmt.Errorf("line %d: the product %w", i+1, err)
				}
				item = part(item, "Item")
			}
			switch {
			case l.Kind == domain.LineShipping:
				freight = l
				continue
			case l.Kind == domain.LineText:
				out = append(out, object{"Type": "Header", "Description": l.Description})
				continue
			case l.Product == "" && other == "":
				return fmt.Errorf("line %d (%s) names no product, and a line in MYOB needs an item; name one for such lines in the setting otherItem", i+1, l.Description)
			}
			row := takeRow(before, item)
			row["Type"], row["Item"], row["Description"] = "Transaction", item, l.Description
			row["ShipQuantity"], row["UnitPrice"] = json.Number(dec(l.Quantity).Mul(decimal.New(sign, 0)).String()), json.Number(l.UnitPrice)
			row["DiscountPercent"] = json.Number(or(l.DiscountRate, "0"))
			if err := setTaxCode(row, "TaxCode", l.TaxCode); err != nil {
				return fmt.Errorf("line %d: %w", i+1, err)
			}
			delete(row, "Total")
			out = append(out, row)
		}
		o["Lines"], o["Freight"] = out, json.Number(dec(freight.UnitPrice).Mul(decimal.New(sign, 0)).String())
		if freight.TaxCode != "" {
			return setTaxCode(o, "FreightTaxCode", freight.TaxCode)
		}
		return nil
	}
}

// takeRow takes the first row of the item out of rows, or makes a new one.
func takeRow(rows []any, item object) object {
	for i, x := range rows {
		l, _ := x.(object)
		had := part(l, "Item")
		if had != nil && (item["UID"] != nil && strings.EqualFold(adapters.String(had, "UID"), adapters.String(item, "UID")) ||
			item["UID"] == nil && had["Number"] == item["Number"]) {
			rows[i] = nil
			return l
		}
	}
	return object{}
}

const itemLayout = "Item"

// layoutOf is the layout of an invoice as its address says, "" for one that has none yet.
func layoutOf(o object) string {
	parts := strings.Split(adapters.String(o, "URI"), "/")
	if len(parts) < 2 {
		return ""
	}
	return parts[len(parts)-2]
}

// getSettled reads the settlements that were read with a credit note.
func getSettled(o object) domain.Value {
	all, ok := o["Settlements"].([]any)
	if !ok {
		return ""
	}
	var out []domain.Allocation
	for _, x := range all {
		s, _ := x.(object)
		lines, _ := s["Lines"].([]any)
		for _, y := range lines {
			l, _ := y.(object)
			if typ := adapters.String(l, "Type"); typ == "" || typ == "Invoice" {
				out = append(out, domain.Allocation{Invoice: domain.Ext(adapters.String(part(l, "Sale"), "UID")),
					Amount: number(l, "AmountApplied").String()})
			}
		}
	}
	return domain.ValueOf(out)
}

// setSettled checks what the writer then settles one by one.
func setSettled(_ object, v domain.Value) error {
	for i, a := range domain.AllocationsOf(v) {
		if err := setRef(object{}, "Sale", domain.TextValue(a.Invoice)); err != nil {
			return fmt.Errorf("allocation %d: the invoice: %w", i+1, err)
		}
	}
	return nil
}

// fitAllocations leaves out the dates: when something was settled is the payment's or the settlement's own date.
func fitAllocations(v domain.Value) domain.Value {
	all := domain.AllocationsOf(v)
	for i := range all {
		all[i].Date = ""
	}
	slices.SortFunc(all, func(a, b domain.Allocation) int {
		return strings.Compare(a.Invoice+a.CreditNote+a.Amount, b.Invoice+b.CreditNote+b.Amount)
	})
	return domain.ValueOf(all)
}
