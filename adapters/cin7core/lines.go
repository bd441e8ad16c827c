package cin7core

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

func linesRow(h habits) adapters.Row {
	return adapters.Row{Field: "lines", Paths: []string{"Order.Lines", "Order.AdditionalCharges"}, Get: h.getLines, Set: h.setLines, Fit: h.fitLines,
		Note: "lines with a product come first, with Comment as description; the others are additional charges of the service products named in the settings; " +
			"a discount amount becomes a discount line; texts and accounts are left out; prices of at most 4 decimals"}
}

func (h habits) getLines(o object) domain.Value {
	order := part(o, "Order")
	if order == nil {
		return ""
	}
	lines := []domain.Line{}
	read := func(l object) domain.Line {
		return domain.Line{Description: adapters.String(l, "Comment"), Quantity: adapters.String(l, "Quantity"), UnitPrice: adapters.String(l, "Price"),
			DiscountRate: adapters.String(l, "Discount"), TaxCode: h.rules.code(adapters.String(l, "TaxRule"), money.Sale), Amount: cents(adapters.String(l, "Total")), Tax: adapters.String(l, "Tax")}
	}
	for _, l := range entries(order["Lines"]) {
		x := read(l)
		x.Product, x.SKU = domain.Ext(idOf(adapters.String(l, "ProductID"))), adapters.String(l, "SKU")
		lines = append(lines, x)
	}
	for _, l := range entries(order["AdditionalCharges"]) {
		x, name := read(l), adapters.String(l, "Description")
		known := false
		for kind, service := range h.charges {
			if name == service {
				x.Kind, known = kind, true
			}
		}
		if !known { // a person's own charge
			x.Description = strings.TrimSpace(name + "\n" + x.Description)
		}
		lines = append(lines, x)
	}
	return domain.ValueOf(lines)
}

// cents is an amount that Cin7 Core may keep finer, as a document shows it.
func cents(s string) string {
	d, err := decimal.NewFromString(s)
	if err != nil {
		return s
	}
	return d.Round(2).String()
}

// rounded is what the rounding lines of an order come to.
func (h habits) rounded(order object) decimal.Decimal {
	sum := decimal.Zero
	for _, l := range entries(order["AdditionalCharges"]) {
		if d, err := decimal.NewFromString(adapters.String(l, "Total")); err == nil && adapters.String(l, "Description") == h.charges[domain.LineRounding] {
			sum = sum.Add(d)
		}
	}
	return sum
}

// arranged are the lines as a sale can hold them, first those with a product, then the others.
func arranged(v domain.Value) []domain.Line {
	var lines, charges []domain.Line
	for _, l := range domain.LinesOf(v) {
		if l.Kind == domain.LineText {
			continue
		}
		if l.Quantity == "" {
			l.Quantity = "1"
			if l.UnitPrice == "" {
				l.UnitPrice, l.DiscountRate, l.DiscountAmount = l.Amount, "", "" // an amount is after discount
			}
		}
		if l.UnitPrice == "" {
			l.UnitPrice = "0"
		}
		off := l.DiscountAmount
		l.DiscountAmount, l.Account, l.Amount, l.Tax = "", "", "", ""
		if l.Kind == domain.LineRounding && l.TaxCode == "" {
			l.TaxCode = string(money.OutOfScope)
		}
		if l.Product != "" && l.Kind == "" {
			lines = append(lines, l)
		} else {
			l.Product, l.SKU = "", ""
			charges = append(charges, l)
		}
		if off != "" {
			if d, err := decimal.NewFromString(off); err == nil {
				charges = append(charges, domain.Line{Kind: domain.LineDiscount, Quantity: "1", UnitPrice: d.Neg().String(), TaxCode: l.TaxCode})
			}
		}
	}
	return append(lines, charges...)
}

func (h habits) fitLines(v domain.Value) domain.Value {
	if v.Empty() {
		return v
	}
	lines := arranged(v)
	for i := range lines {
		lines[i].TaxCode = h.rules.code(h.rules.name(money.TaxCode(lines[i].TaxCode)), money.Sale)
	}
	return domain.ValueOf(lines)
}

func (h habits) setLines(o object, v domain.Value) error {
	order := part(o, "Order")
	if order == nil {
		order = object{}
		o["Order"] = order
	}
	if h.sameLines(o, v) {
		return nil
	}
	lines, charges := []any{}, []any{}
	for i, l := range arranged(v) {
		x := object{"Comment": l.Description}
		if err := within(fmt.Sprintf("the description of line %d", i+1), l.Description, 256); err != nil {
			return err
		}
		for _, m := range []struct {
			key, text string
			places    int32
		}{{"Quantity", l.Quantity, 4}, {"Price", l.UnitPrice, 4}, {"Discount", l.DiscountRate, 2}} {
			if m.text == "" {
				m.text = "0"
			}
			d, err := decimal.NewFromString(m.text)
			if err != nil {
				return err
			}
			if !d.Equal(d.Round(m.places)) {
				return fmt.Errorf("%s of line %d is %s and Cin7 Core takes at most %d decimals", strings.ToLower(m.key), i+1, m.text, m.places)
			}
			x[m.key] = json.Number(d.String())
		}
		rule := h.rules.name(money.TaxCode(l.TaxCode))
		switch {
		case l.TaxCode == "":
			return fmt.Errorf("line %d has no tax code, and Cin7 Core needs one on every line", i+1)
		case rule == "":
			return fmt.Errorf("no tax rule is known for %s of line %d; name it in the setting taxRules", l.TaxCode, i+1)
		}
		x["TaxRule"] = rule
		if l.Product == "" {
			x["Description"] = h.charges[l.Kind]
			charges = append(charges, x)
			continue
		}
		id, ok := domain.ExtID(l.Product)
		if !ok {
			return fmt.Errorf("the product of line %d is not in Cin7 Core", i+1)
		}
		x["ProductID"] = idOf(id)
		lines = append(lines, x)
	}
	order["Lines"], order["AdditionalCharges"] = lines, charges
	return nil
}

// sameLines reports whether the sale's lines say the same already: an authorised order is not to be touched for nothing.
func (h habits) sameLines(o object, v domain.Value) bool {
	ki, _ := domain.KindOrder.Info()
	fi, _ := ki.Field("lines")
	is, issues := domain.Normalize(fi, h.getLines(o))
	return len(issues) == 0 && domain.Essence(is) == domain.Essence(h.fitLines(v))
}

// price works out the figures of an order that Cin7 Core checks: per line, with GST of a line rounded to the cent.
func (h habits) price(order object, inclusive bool) error {
	before, taxes := decimal.Zero, decimal.Zero
	for i, l := range slices.Concat(entries(order["Lines"]), entries(order["AdditionalCharges"])) {
		figures := map[string]decimal.Decimal{}
		for _, k := range []string{"Quantity", "Price", "Discount"} {
			figures[k], _ = decimal.NewFromString(adapters.String(l, k))
		}
		info, known := money.TaxCode(h.rules.code(adapters.String(l, "TaxRule"), money.Sale)).Info()
		if !known {
			return fmt.Errorf("line %d has the tax rule %q, which Datum does not know; name it in the setting taxRules", i+1, adapters.String(l, "TaxRule"))
		}
		hundred := decimal.NewFromInt(100)
		amount := figures["Quantity"].Mul(figures["Price"]).Mul(hundred.Sub(figures["Discount"])).Div(hundred).Round(2)
		tax, net := decimal.Zero, amount
		if info.Taxed && inclusive {
			tax = amount.Div(decimal.NewFromInt(11)).Round(2)
			net = amount.Sub(tax)
		} else if info.Taxed {
			tax = amount.Div(decimal.NewFromInt(10)).Round(2)
		}
		l["Total"], l["Tax"] = json.Number(amount.String()), json.Number(tax.String())
		before, taxes = before.Add(net), taxes.Add(tax)
	}
	order["TotalBeforeTax"], order["Tax"], order["Total"] = json.Number(before.String()), json.Number(taxes.String()), json.Number(before.Add(taxes).String())
	return nil
}
