package xero

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

const unitDecimals = 4 // of Xero's quantities and unit amounts, with unitdp=4

// linesRow maps the lines of a document. A credit note at Xero has no discounts: they go into the price.
func linesRow(d defaults, discounts bool) adapters.Row {
	note := "whole list; SHIPPING, DISCOUNT and ROUNDING lines become plain ones; a sku without product is left out; account " + d.sales + " unless the line names another; " +
		"tax codes by the table, EXPORT as EXEMPTOUTPUT where the organisation has archived EXEMPTEXPORT; quantities and prices of at most 4 decimals"
	if !discounts {
		note += "; discounts go into the price"
	}
	fit := func(v domain.Value) domain.Value {
		ls := domain.LinesOf(v)
		for i := range ls {
			ls[i] = fitLine(ls[i], d, discounts)
		}
		return domain.ValueOf(ls)
	}
	return adapters.Row{
		Field: "lines", Paths: []string{"LineItems"}, Note: note,
		Get: func(o object) domain.Value { return getLines(o, d) },
		Set: func(o object, v domain.Value) error {
			// The account that is left out on reading is written all the same.
			return setLines(o, domain.LinesOf(v), d, discounts)
		},
		Fit: fit,
	}
}

// fitLine returns the line as it reads back.
func fitLine(l domain.Line, d defaults, discounts bool) domain.Line {
	if l.Kind == domain.LineText {
		return domain.Line{Kind: domain.LineText, Description: l.Description}
	}
	if l.Kind == domain.LineRounding {
		l.Account = defaulted(l.Account, d.rounding)
		l.TaxCode = defaulted(l.TaxCode, string(money.OutOfScope))
	}
	l.Kind = ""
	l.Description = defaulted(l.Description, l.SKU)
	if l.Product == "" {
		l.SKU = ""
	}
	l.Quantity = defaulted(l.Quantity, "1")
	l.UnitPrice = defaulted(l.UnitPrice, defaulted(l.Amount, "0"))
	if !discounts && (l.DiscountRate != "" || l.DiscountAmount != "") {
		l = undiscounted(l)
	}
	if l.Account == d.sales {
		l.Account = ""
	}
	if l.TaxCode != "" {
		l.TaxCode = fitTax(l.TaxCode, money.Sale)
	}
	return l
}

// undiscounted moves a discount into the price or, where that cannot be divided, makes the line one of its amount.
func undiscounted(l domain.Line) domain.Line {
	quantity, price := num(l.Quantity), num(l.UnitPrice)
	full := quantity.Mul(price)
	switch {
	case l.DiscountRate != "":
		full = full.Mul(decimal.New(100, 0).Sub(num(l.DiscountRate))).Shift(-2)
	case full.IsNegative():
		full = full.Add(num(l.DiscountAmount))
	default:
		full = full.Sub(num(l.DiscountAmount))
	}
	full = full.Round(2)
	l.DiscountRate, l.DiscountAmount = "", ""
	if !quantity.IsZero() {
		if unit := full.DivRound(quantity, unitDecimals); unit.Mul(quantity).Equal(full) {
			l.UnitPrice = unit.String()
			return l
		}
	}
	l.Quantity, l.UnitPrice = "1", full.String()
	return l
}

// num reads a decimal of a line, which was normalised; what is not one is 0.
func num(s string) decimal.Decimal {
	d, err := decimal.NewFromString(s)
	if err != nil {
		return decimal.Zero
	}
	return d
}

func fourDecimals(what, s string) error {
	if d := num(s); !d.Equal(d.Truncate(unitDecimals)) {
		return fmt.Errorf("%s has more than %d decimals, which is all that xero keeps; round it where it is owned", what, unitDecimals)
	}
	return nil
}

// xeroType is the TaxType of a tax code.
func xeroType(code string, active func(string) bool) (string, error) {
	if code == "" {
		return "", nil
	}
	return money.TaxCode(code).XeroTaxType(active)
}

// fitTax is what the code reads as where Xero has archived its type and it falls back on another, or where two codes have one
// type. Where nothing is archived the code reads as itself, which is not this, and equal all the same.
func fitTax(code string, side money.Side) string {
	info, ok := money.TaxCode(code).Info()
	if !ok {
		return code
	}
	if fit, ok := money.FromXero(defaulted(info.XeroElse, info.Xero), side); ok {
		return string(fit)
	}
	return code
}

// getLines reads the lines. A tax type that is not in the table stands as it is, which Normalize reports. Lists without pages
// leave lines out: they are absent then.
func getLines(o object, d defaults) domain.Value {
	items, ok := o["LineItems"].([]any)
	if !ok {
		return ""
	}
	noTax := strings.EqualFold(adapters.String(o, "LineAmountTypes"), "NoTax")
	ls := make([]domain.Line, 0, len(items))
	for _, x := range items {
		li, _ := x.(object)
		str := func(key string) string { return adapters.String(li, key) }
		item := inner(li, "Item")
		l := domain.Line{
			Product: domain.Ext(adapters.String(item, "ItemID")), SKU: defaulted(str("ItemCode"), adapters.String(item, "Code")), Description: str("Description"),
			Quantity: str("Quantity"), UnitPrice: str("UnitAmount"), DiscountRate: str("DiscountRate"), DiscountAmount: str("DiscountAmount"),
			Amount: str("LineAmount"), Tax: str("TaxAmount"), Account: str("AccountCode"),
		}
		if l.Quantity == "" && l.Account == "" && l.Product == "" && num(l.Amount).IsZero() {
			ls = append(ls, domain.Line{Kind: domain.LineText, Description: l.Description})
			continue
		}
		if l.Account == d.sales {
			l.Account = ""
		}
		if l.Product == "" && str("ItemCode") == "" {
			l.SKU = ""
		}
		t := str("TaxType")
		if code, ok := money.FromXero(t, money.Sale); ok {
			t = string(code)
		}
		if !noTax {
			l.TaxCode = t
		}
		ls = append(ls, l)
	}
	return domain.ValueOf(ls)
}

// setLines writes the lines. Items stand by their id and tax codes by their first type; complete makes both what Xero takes.
func setLines(o object, ls []domain.Line, d defaults, discounts bool) error {
	items := make([]any, 0, len(ls))
	for i, l := range ls {
		account := l.Account
		l = fitLine(l, d, discounts)
		if account == "" {
			account = defaulted(l.Account, d.sales)
		}
		if l.Kind == domain.LineText {
			items = append(items, object{"Description": l.Description})
			continue
		}
		where := fmt.Sprintf("line %d: ", i+1)
		for what, s := range map[string]string{"the quantity": l.Quantity, "the price": l.UnitPrice, "the discount": l.DiscountRate + l.DiscountAmount} {
			if err := fourDecimals(where+what, s); err != nil {
				return err
			}
		}
		li := object{"Description": l.Description, "Quantity": json.Number(l.Quantity), "UnitAmount": json.Number(l.UnitPrice), "AccountCode": account}
		for key, s := range map[string]string{"DiscountRate": l.DiscountRate, "DiscountAmount": l.DiscountAmount, "TaxAmount": l.Tax} {
			if s != "" {
				li[key] = json.Number(s)
			}
		}
		if l.Product != "" {
			id, ok := domain.ExtID(l.Product)
			if !ok {
				return fmt.Errorf("%sits product is not at xero yet", where)
			}
			li["Item"] = object{"ItemID": id}
		}
		code := ls[i].TaxCode
		if ls[i].Kind == domain.LineRounding {
			code = l.TaxCode
		}
		t, err := xeroType(code, nil)
		if err != nil {
			return fmt.Errorf("%s%w", where, err)
		}
		if t != "" {
			li["TaxType"] = t
		}
		items = append(items, li)
	}
	o["LineItems"] = items
	return nil
}

// products lists the ids of the items that the lines of a body name.
func products(o object) []string {
	var ids []string
	items, _ := o["LineItems"].([]any)
	for _, x := range items {
		li, _ := x.(object)
		if id := adapters.String(inner(li, "Item"), "ItemID"); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// complete makes the lines of a body what Xero takes: items by code, tax types that the organisation has, GST only where it
// is another cent than Xero's own, and what was kept of a line that is still there (its id, its tracking).
func complete(o object, mode money.TaxMode, codes map[string]string, active func(string) bool, base object) error {
	items, _ := o["LineItems"].([]any)
	before, _ := base["LineItems"].([]any)
	used := make([]bool, len(before))
	for i, x := range items {
		li, _ := x.(object)
		text := li["Quantity"] == nil
		if id := adapters.String(inner(li, "Item"), "ItemID"); id != "" {
			delete(li, "Item")
			if codes[id] == "" {
				return fmt.Errorf("line %d: xero has no item %s; link the product to another item", i+1, id)
			}
			li["ItemCode"] = codes[id]
		}
		t := adapters.String(li, "TaxType")
		switch {
		case text:
		case mode == money.NoTax:
			delete(li, "TaxType")
			delete(li, "TaxAmount")
		case t == "":
			return fmt.Errorf("line %d has no tax code; give it one where the document is owned", i+1)
		default:
			code, _ := money.FromXero(t, money.Sale)
			t, err := xeroType(string(code), active)
			if err != nil {
				return fmt.Errorf("line %d: %w", i+1, err)
			}
			li["TaxType"] = t
			keepTax(li, mode, code)
		}
		for j, y := range before {
			b, _ := y.(object)
			if !used[j] && b["LineItemID"] != nil && adapters.String(b, "ItemCode") == adapters.String(li, "ItemCode") &&
				adapters.String(b, "Description") == adapters.String(li, "Description") {
				used[j] = true
				li["LineItemID"] = b["LineItemID"]
				if tracking, ok := b["Tracking"].([]any); ok && len(tracking) > 0 {
					li["Tracking"] = tracking
				}
				break
			}
		}
	}
	return nil
}

// keepTax keeps the GST that the issuer gave a line if it is a cent off what Xero works out, as lawful roundings are. Xero's
// own needs no telling, and anything else is of another price or quantity and not the line's any more.
func keepTax(li object, mode money.TaxMode, code money.TaxCode) {
	given, ok := li["TaxAmount"].(json.Number)
	if !ok {
		return
	}
	n := func(key string) decimal.Decimal { return num(adapters.String(li, key)) }
	r, err := money.Compute(money.Document{Currency: "AUD", Mode: mode, Rounding: money.PerLine, Lines: []money.Line{
		{Quantity: n("Quantity"), UnitPrice: n("UnitAmount"), DiscountRate: n("DiscountRate"), DiscountAmount: n("DiscountAmount"), TaxCode: code}}})
	if err == nil {
		if off := num(given.String()).Sub(r.Lines[0].Tax).Abs(); !off.IsZero() && off.LessThanOrEqual(decimal.New(1, -2)) {
			return
		}
	}
	delete(li, "TaxAmount")
}
