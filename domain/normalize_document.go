package domain

import (
	"slices"
	"strings"
	"time"

	"datum/domain/money"
)

// decimal takes text or a number of at most money.UnitDecimals places.
func (n *normalizer) decimal() Value {
	s, ok := n.scalar()
	if !ok {
		return ""
	}
	if s == "" {
		return Null
	}
	d, ok := decimalText(s)
	if !ok {
		return n.problem("invalid_decimal", s, "%s should be a decimal number of at most %d decimals and is %q", n.field, money.UnitDecimals, s)
	}
	return TextValue(d)
}

// decimalText returns the canonical spelling of a decimal, without trailing zeros.
func decimalText(s string) (string, bool) {
	d, err := money.ParseDecimal(ungrouped(s), money.UnitDecimals)
	if err != nil {
		return "", false
	}
	return d.String(), true
}

// date takes a date, or the date that a local time without zone begins with. An instant is a problem: whose day it was is not
// for us to say.
func (n *normalizer) date() Value {
	s, ok := n.scalar()
	if !ok {
		return ""
	}
	if s == "" {
		return Null
	}
	day, ok := dateText(s)
	if !ok {
		return n.problem("invalid_date", s, "%s should be a date such as 2026-03-31 and is %q", n.field, s)
	}
	return TextValue(day)
}

func dateText(s string) (string, bool) {
	for _, layout := range []string{time.DateOnly, "2006-01-02T15:04:05", "2006-01-02T15:04:05.999999999", time.DateTime} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1900 {
			return t.Format(time.DateOnly), true
		}
	}
	return "", false
}

func (n *normalizer) time() Value {
	s, ok := n.scalar()
	if !ok {
		return ""
	}
	if s == "" {
		return Null
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return n.problem("invalid_time", s, "%s should be a time such as 2026-03-31T10:00:00Z and is %q", n.field, s)
	}
	return TextValue(t.UTC().Format(time.RFC3339Nano))
}

// ref takes an id of ours of the kind, or a reference by Ext.
func (n *normalizer) ref(kind Kind) Value {
	s, ok := n.scalar()
	if !ok {
		return ""
	}
	if s == "" {
		return Null
	}
	if !refers(kind, s) {
		return n.problem("invalid_reference", s, "%s should be the id of a %s and is %q", n.field, strings.ToLower(string(kind)), s)
	}
	return TextValue(s)
}

func refers(kind Kind, s string) bool {
	ext, ok := ExtID(s)
	return ok && ext != "" || KindOfID(s) == kind
}

var lineMembers = []string{"kind", "product", "sku", "description", "quantity", "unitPrice", "discountRate", "discountAmount",
	"taxCode", "amount", "tax", "account"}

// lines takes a list of lines, each an object of text and numbers. What does not fit makes the whole list unusable: half a
// document is none.
func (n *normalizer) lines() Value {
	list, ok := n.x.([]any)
	if !ok {
		return n.wrongShape("a list of lines")
	}
	out := make([]Line, 0, len(list))
	for i, x := range list {
		before := len(n.issues)
		m, ok := n.object(x, lineMembers...)
		if !ok {
			return n.wrongShape("a list of lines")
		}
		l := Line{Kind: strings.ToUpper(n.member(m, "kind")), Product: n.member(m, "product"), SKU: n.member(m, "sku"),
			TaxCode: strings.ToUpper(n.member(m, "taxCode")), Account: n.member(m, "account")}
		if s, ok := scalarText(m["description"]); ok {
			l.Description = cleanLongText(s)
		}
		if len(n.issues) > before {
			return n.problem("invalid_line", string(ValueOf(x)), "line %d of %s has a member that is not known or not text", i+1, n.field)
		}
		if l.Kind == "ITEM" {
			l.Kind = ""
		}
		if l.Kind != "" && !slices.Contains([]string{LineShipping, LineDiscount, LineRounding, LineText}, l.Kind) {
			return n.problem("invalid_line", l.Kind, "line %d of %s: %q is not a kind of line", i+1, n.field, l.Kind)
		}
		if l.Product != "" && !refers(KindProduct, l.Product) {
			return n.problem("invalid_reference", l.Product, "line %d of %s: %q is not the id of a product", i+1, n.field, l.Product)
		}
		if _, known := money.TaxCode(l.TaxCode).Info(); l.TaxCode != "" && !known {
			return n.problem("unknown_tax_code", l.TaxCode, "line %d of %s: %q is not a tax code", i+1, n.field, l.TaxCode)
		}
		for _, d := range []struct {
			name string
			dst  *string
		}{{"quantity", &l.Quantity}, {"unitPrice", &l.UnitPrice}, {"discountRate", &l.DiscountRate}, {"discountAmount", &l.DiscountAmount}, {"amount", &l.Amount}, {"tax", &l.Tax}} {
			s := n.member(m, d.name)
			if s == "" {
				continue
			}
			if *d.dst, ok = decimalText(s); !ok {
				return n.problem("invalid_decimal", s, "line %d of %s: %s should be a decimal number of at most %d decimals and is %q", i+1, n.field, d.name, money.UnitDecimals, s)
			}
			if *d.dst == "0" && (d.name == "discountRate" || d.name == "discountAmount") {
				*d.dst = ""
			}
		}
		out = append(out, l)
	}
	return ValueOf(out)
}

func (n *normalizer) allocations() Value {
	list, ok := n.x.([]any)
	if !ok {
		return n.wrongShape("a list of allocations")
	}
	out := make([]Allocation, 0, len(list))
	for i, x := range list {
		before := len(n.issues)
		m, ok := n.object(x, "invoice", "creditNote", "amount", "date")
		if !ok {
			return n.wrongShape("a list of allocations")
		}
		a := Allocation{Invoice: n.member(m, "invoice"), CreditNote: n.member(m, "creditNote")}
		amount, day := n.member(m, "amount"), n.member(m, "date")
		if len(n.issues) > before {
			return n.problem("invalid_allocation", string(ValueOf(x)), "allocation %d of %s has a member that is not known or not text", i+1, n.field)
		}
		if a.Invoice != "" && a.CreditNote != "" || a.Invoice != "" && !refers(KindInvoice, a.Invoice) || a.CreditNote != "" && !refers(KindCreditNote, a.CreditNote) {
			return n.problem("invalid_allocation", string(ValueOf(x)), "allocation %d of %s should name one invoice or one credit note, or neither for what stays on the customer's account", i+1, n.field)
		}
		if a.Amount, ok = decimalText(amount); !ok {
			return n.problem("invalid_decimal", amount, "allocation %d of %s: the amount should be a decimal number and is %q", i+1, n.field, amount)
		}
		if day != "" {
			if a.Date, ok = dateText(day); !ok {
				return n.problem("invalid_date", day, "allocation %d of %s: the date should be like 2026-03-31 and is %q", i+1, n.field, day)
			}
		}
		out = append(out, a)
	}
	sortAllocations(out)
	return ValueOf(out)
}
