package money

import (
	"fmt"

	"github.com/shopspring/decimal"
)

// Line is what is sold or bought on one line of a document. Returned goods have a negative quantity, a deduction has a
// negative price. At most one of the discounts is set.
type Line struct {
	Quantity       decimal.Decimal // at most UnitDecimals
	UnitPrice      decimal.Decimal // at most UnitDecimals; with GST if the document is Inclusive
	DiscountRate   decimal.Decimal // per cent of the line, 0 to 100
	DiscountAmount decimal.Decimal // taken off the size of the whole line, 0 or more, so also off a negative line
	TaxCode        TaxCode         // may be empty in a NoTax document only, where it means OutOfScope
}

// Document is a document that is to be worked out. A credit note has positive lines, as the vendors show it.
type Document struct {
	Currency string // ISO 4217
	Mode     TaxMode
	Rounding Rounding
	Cash     bool // paid in cash: the total is rounded to 5 cents
	Lines    []Line
}

// Amounts are the figures of one line, in whole cents: Net + Tax = Gross.
type Amounts struct {
	TaxCode TaxCode
	Amount  decimal.Decimal // as the document shows it: Gross if it is Inclusive, else Net
	Net     decimal.Decimal // without GST
	Tax     decimal.Decimal // this line's share of the document's GST
	Gross   decimal.Decimal // with GST
}

// Totals are the figures of a document, in whole cents: Subtotal + Tax + Rounding = Total.
type Totals struct {
	Currency string          // ISO 4217
	Subtotal decimal.Decimal // of the lines, without GST, in every tax mode
	Tax      decimal.Decimal // GST
	Rounding decimal.Decimal // what was added so that the total is round, such as cash rounding
	Total    decimal.Decimal // what is to be paid
}

// Result is a document worked out. The lines' Net, Tax and Gross add up to Subtotal, Tax and Subtotal + Tax.
type Result struct {
	Mode   TaxMode
	Lines  []Amounts
	Totals Totals
}

// TaxableLines returns how many lines carry GST at 10%, which is what MaxRounding and Compare ask for.
func (r Result) TaxableLines() int {
	n := 0
	for _, l := range r.Lines {
		if taxed(l.TaxCode) {
			n++
		}
	}
	return n
}

// Refusal is the error of a document that cannot be right. Its message is for the person who has to correct it.
type Refusal struct {
	Line   int    // from 1; 0 for the document
	Field  string // what is wrong: "amount", "taxCode"
	Reason string // the rest of the message, with the sum if one does not come out
	// Expected and Got are the two sides of a sum that does not come out. They are equal in any other refusal.
	Expected, Got decimal.Decimal
}

func (r *Refusal) Error() string {
	if r.Line > 0 {
		return fmt.Sprintf("line %d, %s: %s", r.Line, r.Field, r.Reason)
	}
	return r.Field + ": " + r.Reason
}

func refuse(line int, field, format string, args ...any) *Refusal {
	return &Refusal{Line: line, Field: field, Reason: fmt.Sprintf(format, args...)}
}

// wrongSum is the refusal of an amount that another was expected for; sum says of what.
func wrongSum(line int, field, sum string, expected, got decimal.Decimal) *Refusal {
	return &Refusal{
		Line: line, Field: field, Expected: expected, Got: got,
		Reason: fmt.Sprintf("%s is %s, but %s is given", sum, text(expected), text(got)),
	}
}

// Compute works out a document by its own tax mode and rounding rule. Line amounts are rounded to cents before GST is worked
// out. It fails with a *Refusal: it never rounds what it is given, and never guesses a tax code.
func Compute(doc Document) (Result, error) {
	if doc.Rounding != PerLine && doc.Rounding != PerInvoice {
		return Result{}, refuse(0, "rounding", "%q is not %s or %s", doc.Rounding, PerLine, PerInvoice)
	}
	if err := checkHead(doc.Currency, doc.Mode); err != nil {
		return Result{}, err
	}
	lines := make([]Amounts, len(doc.Lines))
	var taxable []decimal.Decimal // amounts of the lines with GST
	var sum decimal.Decimal       // of taxable
	for i, l := range doc.Lines {
		code, err := l.taxCode(i+1, doc.Mode)
		if err != nil {
			return Result{}, err
		}
		if code.assessed() {
			return Result{}, refuse(i+1, "taxCode", "%s is assessed by customs and cannot be worked out from the price", code)
		}
		amount, err := l.amount(i + 1)
		if err != nil {
			return Result{}, err
		}
		lines[i] = Amounts{TaxCode: code, Amount: amount}
		if taxed(code) {
			taxable, sum = append(taxable, amount), sum.Add(amount)
		}
	}
	var taxes []decimal.Decimal
	if doc.Rounding == PerInvoice {
		taxes = share(GST(sum, doc.Mode), taxable, doc.Mode)
	} else {
		for _, amount := range taxable {
			taxes = append(taxes, GST(amount, doc.Mode))
		}
	}
	for i := range lines {
		if taxed(lines[i].TaxCode) {
			lines[i].Tax, taxes = taxes[0], taxes[1:]
		}
	}
	r := total(doc.Currency, doc.Mode, lines)
	if doc.Cash {
		r.Totals.Total, r.Totals.Rounding = RoundCash(r.Totals.Total)
	}
	if !inCents(r.Totals.Total) {
		return Result{}, refuse(0, "total", "is larger than %d digits", maxWhole)
	}
	return r, nil
}

// total completes lines, whose Amount and Tax are known, and adds them up.
func total(currency string, mode TaxMode, lines []Amounts) Result {
	t := Totals{Currency: currency}
	for i := range lines {
		l := &lines[i]
		l.Net, l.Gross = l.Amount, l.Amount.Add(l.Tax)
		if mode == Inclusive {
			l.Net, l.Gross = l.Amount.Sub(l.Tax), l.Amount
		}
		t.Subtotal, t.Tax = t.Subtotal.Add(l.Net), t.Tax.Add(l.Tax)
	}
	t.Total = t.Subtotal.Add(t.Tax)
	return Result{Mode: mode, Lines: lines, Totals: t}
}

func checkHead(currency string, mode TaxMode) error {
	if !mode.known() {
		return refuse(0, "mode", "%q is not %s, %s or %s", mode, Inclusive, Exclusive, NoTax)
	}
	if !Known(currency) {
		return refuse(0, "currency", "%q is not a currency code", currency)
	}
	return nil
}

// taxCode returns the line's tax code, or why it cannot be in a document of that mode.
func (l Line) taxCode(line int, mode TaxMode) (TaxCode, error) {
	if l.TaxCode == "" && mode == NoTax {
		return OutOfScope, nil
	}
	if l.TaxCode.row() == nil {
		return "", refuse(line, "taxCode", "%q is not a tax code", l.TaxCode)
	}
	if mode == NoTax && (taxed(l.TaxCode) || l.TaxCode.assessed()) {
		return "", refuse(line, "taxCode", "%s has GST, but the document is %s", l.TaxCode, NoTax)
	}
	return l.TaxCode, nil
}

// amount is quantity × price less discount in cents, in the document's tax mode.
func (l Line) amount(line int) (decimal.Decimal, error) {
	for _, f := range []struct {
		name  string
		value decimal.Decimal
	}{
		{"quantity", l.Quantity}, {"unitPrice", l.UnitPrice}, {"discountRate", l.DiscountRate}, {"discountAmount", l.DiscountAmount},
	} {
		if !fits(f.value, UnitDecimals) {
			return decimal.Zero, refuse(line, f.name, "has more than %d digits or %d decimals", maxWhole, UnitDecimals)
		}
	}
	hundred := decimal.New(100, 0)
	full := l.Quantity.Mul(l.UnitPrice)
	switch {
	case l.DiscountRate.IsNegative() || l.DiscountRate.GreaterThan(hundred):
		return decimal.Zero, refuse(line, "discountRate", "%s%% is not between 0%% and 100%%", l.DiscountRate)
	case l.DiscountAmount.IsNegative() || l.DiscountAmount.GreaterThan(full.Abs()):
		return decimal.Zero, refuse(line, "discountAmount", "%s is not between 0 and the line's %s", text(l.DiscountAmount), text(full.Abs()))
	case !l.DiscountRate.IsZero() && !l.DiscountAmount.IsZero():
		return decimal.Zero, refuse(line, "discountAmount", "the line has a discount rate as well")
	}
	less := l.DiscountAmount
	if full.IsNegative() {
		less = less.Neg()
	}
	amount := cents(full.Mul(hundred.Sub(l.DiscountRate)).Shift(-2).Sub(less))
	if !inCents(amount) {
		return decimal.Zero, refuse(line, "amount", "is larger than %d digits", maxWhole)
	}
	return amount, nil
}

// sum tells how the line's amount comes about: "3 × 19.95 less 10%".
func (l Line) sum() string {
	s := l.Quantity.String() + " × " + text(l.UnitPrice)
	if !l.DiscountRate.IsZero() {
		s += " less " + l.DiscountRate.String() + "%"
	}
	if !l.DiscountAmount.IsZero() {
		s += " less " + text(l.DiscountAmount)
	}
	return s
}
