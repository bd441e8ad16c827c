package money

import (
	"strconv"

	"github.com/shopspring/decimal"
)

// TaxMode says what the prices of a document contain.
type TaxMode string

// Tax modes.
const (
	Inclusive TaxMode = "INCLUSIVE" // prices contain GST
	Exclusive TaxMode = "EXCLUSIVE" // GST is added to the prices
	NoTax     TaxMode = "NO_TAX"    // the document has no GST at all
)

// Rounding says where the GST of a document is rounded to cents. The supplier may choose either, and the recipient need not
// choose the same: GST Act 1999 s 9-90(2) and (3).
type Rounding string

// Rounding rules. They agree if only one line is taxable: s 9-90(1).
const (
	PerLine    Rounding = "PER_LINE"    // each line, then the sum: "taxable supply rule", s 9-90(2)(b); Xero, Shopify, Cin7
	PerInvoice Rounding = "PER_INVOICE" // the sum, once: "total invoice rule", s 9-90(2)(a); MYOB
)

// GST returns the GST of one taxable amount, rounded to the nearest cent, half a cent away from zero: a tenth of a price
// without GST (s 9-70 of the GST Act 1999), an eleventh of one with it (s 9-75). An unknown mode has none, like NoTax.
func GST(amount decimal.Decimal, mode TaxMode) decimal.Decimal {
	if divisor := mode.divisor(); !divisor.IsZero() {
		return amount.DivRound(divisor, 2)
	}
	return decimal.Zero
}

// MaxRounding returns the most that two lawful roundings of the GST of the same taxable lines can differ by: half a cent for
// each line.
func MaxRounding(taxableLines int) decimal.Decimal {
	return decimal.New(int64(taxableLines)*5, -3)
}

// divisor is what a taxable amount is divided by to give its GST, 0 if there is none.
func (m TaxMode) divisor() decimal.Decimal {
	switch m {
	case Exclusive:
		return decimal.New(10, 0)
	case Inclusive:
		return decimal.New(11, 0)
	}
	return decimal.Zero
}

func (m TaxMode) known() bool { return m == Inclusive || m == Exclusive || m == NoTax }

// share splits the tax total of the given taxable amounts among them in whole cents: each gets its exact GST and the
// fraction that the one before left over, as MYOB Classic does. If total is another than the exact GST gives, which an issuer may
// have, each carries the same part of the difference. The shares always add up to total.
func share(total decimal.Decimal, taxable []decimal.Decimal, mode TaxMode) []decimal.Decimal {
	shares := make([]decimal.Decimal, len(taxable))
	divisor, n := mode.divisor(), decimal.New(int64(len(taxable)), 0)
	var sum, before decimal.Decimal
	for _, amount := range taxable {
		sum = sum.Add(amount)
	}
	extra := total.Sub(GST(sum, mode))
	sum = decimal.Zero
	for i, amount := range taxable {
		sum = sum.Add(amount)
		// sum/divisor + extra*(i+1)/n over one denominator, so that it is rounded once.
		part := extra.Mul(decimal.New(int64(i)+1, 0)).Mul(divisor)
		upTo := sum.Mul(n).Add(part).DivRound(divisor.Mul(n), 2)
		if i == len(taxable)-1 {
			upTo = total // half a cent may have been rounded the other way before extra was added
		}
		shares[i], before = upTo.Sub(before), upTo
	}
	return shares
}

func cents(d decimal.Decimal) decimal.Decimal { return d.Round(2) } // half away from zero

func inCents(d decimal.Decimal) bool { return fits(d, 2) }

func text(d decimal.Decimal) string { return Money{Amount: d}.Decimal() }

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
