package domain

import (
	"errors"
	"fmt"
	"slices"

	"github.com/shopspring/decimal"

	"datum/domain/money"
)

// Complete makes new values of a kind whole: it sets what follows from the rest (a status, the amounts of lines, totals) and
// refuses with Invalid what cannot stand for itself (a customer without a name, an invoice whose lines do not add up). It is
// for what is entered here; what a vendor shows is checked by CheckDocument and its figures are kept.
func Complete(kind Kind, v Values, rounding money.Rounding) error {
	need := func(fields ...Field) error {
		for _, f := range fields {
			if !v[f].Empty() {
				return nil
			}
		}
		return &Error{Code: Invalid, Field: fields[0], Message: "a " + string(kind) + " needs " + anyOf(fields)}
	}
	def := func(f Field, x string) {
		if v[f].Empty() {
			v[f] = TextValue(x)
		}
	}
	var err error
	switch kind {
	case KindCustomer:
		def("status", "ACTIVE")
		err = need("legalName", "tradingName")
	case KindProduct:
		def("status", "ACTIVE")
		err = need("sku")
	case KindLocation:
		def("status", "ACTIVE")
		err = need("name", "code")
	case KindStockLevel:
		err = errors.Join(need("product"), need("location"))
	case KindPayment:
		def("stage", "AUTHORISED")
		def("direction", "RECEIVED")
		if err = errors.Join(need("amount"), need("date")); err == nil {
			err = CheckAllocated(kind, v)
		}
	default:
		def("stage", "DRAFT")
		def("currency", "AUD")
		def("taxMode", string(money.Inclusive))
		if err = need("customer"); err == nil {
			err = need("lines")
		}
		if err == nil {
			err = completeDocument(v, rounding)
		}
		if err == nil {
			err = CheckAllocated(kind, v)
		}
	}
	if err != nil {
		return AsError(err)
	}
	return nil
}

// CheckAllocated checks what is entered here of a payment's or credit note's money: cents that are more than nothing, and no more of them
// allocated than there are. It fails with Invalid.
func CheckAllocated(kind Kind, v Values) error {
	refuse := func(f Field, format string, args ...any) error {
		return &Error{Code: Invalid, Field: f, Message: string(f) + ": " + fmt.Sprintf(format, args...)}
	}
	of := Field("total")
	switch kind {
	case KindPayment:
		of = "amount"
		if a := amountOf(v[of]); !v[of].Empty() && !a.IsPositive() {
			return refuse(of, "%s is not more than 0; money given back has the direction REFUNDED", a.StringFixed(2))
		} else if !a.Equal(a.Round(2)) {
			return refuse(of, "%s is not an amount in whole cents", a)
		}
	case KindCreditNote:
	default:
		return nil
	}
	sum := decimal.Zero
	for i, x := range AllocationsOf(v["allocations"]) {
		a := number(x.Amount)
		if !a.IsPositive() || !a.Equal(a.Round(2)) {
			return refuse("allocations", "%s of allocation %d is not an amount in whole cents of more than 0", x.Amount, i+1)
		}
		sum = sum.Add(a)
	}
	if has := amountOf(v[of]); !v[of].Empty() && sum.GreaterThan(has) {
		return refuse("allocations", "they come to %s, which is more than the %s of %s", sum.StringFixed(2), of, has.StringFixed(2))
	}
	return nil
}

func anyOf(fields []Field) string {
	s := string(fields[0])
	for _, f := range fields[1:] {
		s += " or " + string(f)
	}
	return s
}

// completeDocument works out what the lines and totals leave open, and checks what they say.
func completeDocument(v Values, rounding money.Rounding) error {
	if rounding == "" {
		rounding = money.PerLine
	}
	lines := LinesOf(v["lines"])
	issued, open := v["total"] != "" && !v["total"].Empty(), false
	doc := money.Document{Currency: v["currency"].Text(), Mode: money.TaxMode(v["taxMode"].Text()), Rounding: rounding}
	var at []int
	round := decimal.Zero // what rounding lines come to
	for i, l := range lines {
		switch l.Kind {
		case LineText:
			continue
		case LineRounding:
			if l.Amount == "" {
				if l.Quantity == "" {
					l.Quantity = "1"
				}
				l.Amount = number(l.Quantity).Mul(number(l.UnitPrice)).Round(2).String()
				lines[i] = l
			}
			round = round.Add(number(l.Amount))
			continue
		}
		if l.TaxCode == "" && doc.Mode != money.NoTax {
			l.TaxCode = string(money.TaxGST)
			lines[i].TaxCode = l.TaxCode
		}
		if l.Quantity == "" && l.UnitPrice == "" && l.Amount != "" {
			l.Quantity, l.UnitPrice = "1", l.Amount
			lines[i].Quantity, lines[i].UnitPrice = l.Quantity, l.UnitPrice
		}
		if l.Quantity == "" {
			l.Quantity = "1"
			lines[i].Quantity = l.Quantity
		}
		open = open || l.Amount == "" || l.Tax == ""
		doc.Lines = append(doc.Lines, l.money())
		at = append(at, i)
	}
	if issued && !open {
		v["lines"] = ValueOf(lines)
		return refusal(CheckDocument(v))
	}
	r, err := money.Compute(doc)
	if err != nil {
		return refused(err)
	}
	for j, i := range at {
		a := r.Lines[j]
		if given := lines[i].Amount; given != "" && !number(given).Equal(a.Amount) {
			return &Error{Code: Invalid, Field: "lines", Message: "line " + decimal.NewFromInt(int64(i+1)).String() + ": " + lines[i].Quantity + " × " + lines[i].UnitPrice +
				" comes to " + a.Amount.StringFixed(2) + ", but " + given + " is given"}
		}
		lines[i].Amount, lines[i].Tax = a.Amount.String(), a.Tax.String()
	}
	v["lines"] = ValueOf(lines)
	for f, d := range map[Field]decimal.Decimal{"subtotal": r.Totals.Subtotal, "taxTotal": r.Totals.Tax, "rounding": r.Totals.Rounding, "total": r.Totals.Total.Add(round)} {
		sum := ValueOf(money.Money{Amount: d, Currency: doc.Currency})
		if !v[f].Empty() && v[f] != sum {
			return &Error{Code: Invalid, Field: f, Message: "the lines come to a " + string(f) + " of " + d.StringFixed(2) + ", but " + amountOf(v[f]).StringFixed(2) + " is given"}
		}
		v[f] = sum
	}
	return nil
}

// number reads a decimal that has been normalised.
func number(s string) decimal.Decimal {
	d, err := decimal.NewFromString(s)
	if err != nil {
		return decimal.Zero
	}
	return d
}

func amountOf(v Value) decimal.Decimal {
	var m money.Money
	if v.Decode(&m) != nil {
		return decimal.Zero
	}
	return m.Amount
}

// Amount returns the amount of a value of TypeMoney, or the number of one of TypeDecimal; 0 if it is empty.
func Amount(v Value) decimal.Decimal {
	if s := v.Text(); s != "" && s[0] != '{' {
		return number(s)
	}
	return amountOf(v)
}

func (l Line) money() money.Line {
	return money.Line{Quantity: number(l.Quantity), UnitPrice: number(l.UnitPrice), DiscountRate: number(l.DiscountRate),
		DiscountAmount: number(l.DiscountAmount), TaxCode: money.TaxCode(l.TaxCode)}
}

// CheckDocument verifies that a document whose issuer is somebody else adds up: each line, the GST and the totals. Nothing is
// worked out anew. It returns nil, or what is wrong with the sum in it. A document without lines or totals is not checked.
func CheckDocument(v Values) error {
	_, _, err := Issued(v)
	return err
}

// Issued returns the figures of a document as its issuer gives them, once they have been checked as by CheckDocument; ok is
// false if it has no lines or totals.
func Issued(v Values) (r money.Result, ok bool, err error) {
	lines := LinesOf(v["lines"])
	if len(lines) == 0 || v["total"].Empty() || v["currency"].Empty() || v["taxMode"].Empty() || v["subtotal"].Empty() || v["taxTotal"].Empty() {
		return money.Result{}, false, nil
	}
	doc := money.Issued{Mode: money.TaxMode(v["taxMode"].Text()), Totals: money.Totals{Currency: v["currency"].Text(), Subtotal: amountOf(v["subtotal"]),
		Tax: amountOf(v["taxTotal"]), Rounding: amountOf(v["rounding"]), Total: amountOf(v["total"])}}
	for _, l := range lines {
		switch l.Kind {
		case LineText:
			continue
		case LineRounding:
			doc.Totals.Rounding = doc.Totals.Rounding.Add(number(l.Amount))
			continue
		}
		il := money.IssuedLine{Line: l.money(), AmountOnly: l.Quantity == "" || l.UnitPrice == "", Amount: number(l.Amount)}
		if l.Tax != "" {
			il.Tax = decimal.NewNullDecimal(number(l.Tax))
		}
		doc.Lines = append(doc.Lines, il)
	}
	r, err = money.Check(doc)
	return r, true, err
}

// RoundingDifference says how another system's totals of a document differ from those in force because both round GST lawfully and
// not alike; "" if they do not differ, or by more than that.
func RoundingDifference(golden, theirs Values) string {
	ours, ok, err := Issued(golden)
	if err != nil || !ok {
		return ""
	}
	other, ok, err := Issued(theirs)
	if err != nil || !ok {
		return ""
	}
	if c := money.Compare(ours.Totals, other.Totals, ours.TaxableLines()); c.Difference == money.RoundingDifference {
		return c.String()
	}
	return ""
}

// Checked returns the record with lines that do not add up left out and reported.
func Checked(rec Record) Record {
	err := CheckDocument(rec.Values)
	if err == nil {
		return rec
	}
	rec.Issues = append(slices.Clone(rec.Issues), Issue{Field: "lines", Code: "does_not_add_up", Message: err.Error(),
		Value: amountOf(rec.Values["total"]).StringFixed(2), Severity: Problem})
	rec.Values = rec.Values.Clone()
	delete(rec.Values, "lines")
	return rec
}

func refusal(err error) error {
	if err == nil {
		return nil
	}
	return refused(err)
}

// refused is money's refusal as an error of the document.
func refused(err error) error {
	e := &Error{Code: Invalid, Field: "lines", Message: err.Error(), Err: err}
	if r, ok := errors.AsType[*money.Refusal](err); ok && r.Line == 0 && r.Field != "mode" {
		e.Field = map[string]Field{"tax": "taxTotal", "subtotal": "subtotal", "total": "total", "rounding": "rounding", "currency": "currency"}[r.Field]
		if e.Field == "" {
			e.Field = "lines"
		}
	}
	return e
}
