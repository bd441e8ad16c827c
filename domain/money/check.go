package money

import (
	"fmt"

	"github.com/shopspring/decimal"
)

// IssuedLine is a line of a document that somebody else issued, with the issuer's own figures.
type IssuedLine struct {
	Line
	AmountOnly bool                // the line has an amount but no quantity and price, like a MYOB service line
	Amount     decimal.Decimal     // after discount, in cents; with GST if the document is Inclusive
	Tax        decimal.NullDecimal // if the issuer gives GST by line; may be finer than a cent, s 9-90(2)(b)
}

// Issued is a document that somebody else issued. Totals is as the issuer states it, except that Subtotal is without GST.
type Issued struct {
	Mode   TaxMode
	Lines  []IssuedLine
	Totals Totals
}

// Check verifies that an issued document adds up and returns it with the issuer's figures; it recomputes none of them. Where
// the issuer gives no GST by line, its total is shared among the taxable lines. A document is refused, with a *Refusal that
// names the line, what was expected and what is given, unless
//   - each amount is quantity × price less discount, rounded to cents;
//   - each line's GST is within a cent of what its code gives, and their sum rounds to the tax total;
//   - the tax total is within MaxRounding of the exact GST, so that some lawful rounding can have led to it;
//   - the lines add up to the subtotal, and with GST and rounding to the total;
//   - the rounding is no more than 10 cents (the most that Xero allows) or MaxRounding if that is more.
func Check(doc Issued) (Result, error) {
	if err := checkHead(doc.Totals.Currency, doc.Mode); err != nil {
		return Result{}, err
	}
	for _, f := range []struct {
		name  string
		value decimal.Decimal
	}{
		{"subtotal", doc.Totals.Subtotal}, {"tax", doc.Totals.Tax}, {"rounding", doc.Totals.Rounding}, {"total", doc.Totals.Total},
	} {
		if !inCents(f.value) {
			return Result{}, refuse(0, f.name, "is not an amount in whole cents")
		}
	}
	lines := make([]Amounts, len(doc.Lines))
	for i, l := range doc.Lines {
		code, err := l.check(i+1, doc.Mode)
		if err != nil {
			return Result{}, err
		}
		lines[i] = Amounts{TaxCode: code, Amount: l.Amount}
	}
	if err := doc.checkTax(lines); err != nil {
		return Result{}, err
	}
	r, given := total(doc.Totals.Currency, doc.Mode, lines), doc.Totals
	if !r.Totals.Subtotal.Equal(given.Subtotal) {
		return Result{}, wrongSum(0, "subtotal", "the sum of "+count(len(lines), "line")+" without GST", r.Totals.Subtotal, given.Subtotal)
	}
	if sum := given.Subtotal.Add(given.Tax).Add(given.Rounding); !sum.Equal(given.Total) {
		how := fmt.Sprintf("subtotal %s + tax %s + rounding %s", text(given.Subtotal), text(given.Tax), text(given.Rounding))
		return Result{}, wrongSum(0, "total", how, sum, given.Total)
	}
	if most := decimal.Max(decimal.New(10, -2), MaxRounding(r.TaxableLines())); given.Rounding.Abs().GreaterThan(most) {
		return Result{}, refuse(0, "rounding", "%s is more than the %s that rounding can come to", text(given.Rounding), text(most))
	}
	r.Totals = given
	return r, nil
}

// check verifies the line by itself and returns its tax code.
func (l IssuedLine) check(line int, mode TaxMode) (TaxCode, error) {
	code, err := l.taxCode(line, mode)
	if err != nil {
		return "", err
	}
	if !inCents(l.Amount) {
		return "", refuse(line, "amount", "is not an amount in whole cents")
	}
	if !l.AmountOnly {
		amount, err := l.amount(line)
		if err != nil {
			return "", err
		}
		if !amount.Equal(l.Amount) {
			return "", wrongSum(line, "amount", l.sum(), amount, l.Amount)
		}
	}
	if !l.Tax.Valid {
		if code.assessed() {
			return "", refuse(line, "tax", "%s is assessed by customs, so it must be given for the line", code)
		}
		return code, nil
	}
	tax := l.Tax.Decimal
	if !fits(tax, UnitDecimals) {
		return "", refuse(line, "tax", "has more than %d digits or %d decimals", maxWhole, UnitDecimals)
	}
	switch {
	case code.assessed():
	case !taxed(code):
		if !tax.IsZero() {
			return "", wrongSum(line, "tax", "GST of a line with tax code "+string(code), decimal.Zero, tax)
		}
	default: // compared as products: an eleventh has no end
		divisor := mode.divisor()
		if off := tax.Mul(divisor).Sub(l.Amount).Abs(); off.GreaterThan(divisor.Shift(-2)) {
			return "", wrongSum(line, "tax", "GST of "+text(l.Amount)+" "+mode.contains(), GST(l.Amount, mode), tax)
		}
	}
	return code, nil
}

// checkTax verifies the tax total and gives each of lines its share of it.
func (doc Issued) checkTax(lines []Amounts) error {
	var taxable []decimal.Decimal
	var sum, assessed, given decimal.Decimal
	byLine, missing := 0, 0 // lines with GST that have it given; the first that has not
	for i, l := range doc.Lines {
		code := lines[i].TaxCode
		switch {
		case code.assessed():
			assessed = assessed.Add(l.Tax.Decimal)
			byLine++
		case taxed(code):
			taxable, sum = append(taxable, l.Amount), sum.Add(l.Amount)
			if l.Tax.Valid {
				byLine++
			} else if missing == 0 {
				missing = i + 1
			}
		}
		if l.Tax.Valid {
			// Rounding the running sum keeps lines in cents and their sum right, also if they are given finer than that.
			before := cents(given)
			given = given.Add(l.Tax.Decimal)
			lines[i].Tax = cents(given).Sub(before)
		}
	}
	if byLine > 0 && missing > 0 {
		return refuse(missing, "tax", "is not given, though other lines have theirs")
	}
	tax := doc.Totals.Tax
	if byLine > 0 && !cents(given).Equal(tax) {
		return wrongSum(0, "tax", "the sum of the lines' GST", cents(given), tax)
	}
	if len(taxable) == 0 {
		if byLine == 0 && !tax.IsZero() {
			return wrongSum(0, "tax", "GST of a document without taxable lines", decimal.Zero, tax)
		}
		return nil
	}
	divisor, most := doc.Mode.divisor(), MaxRounding(len(taxable))
	if byLine > 0 {
		most = decimal.New(int64(len(taxable)), -2) // as each line was let pass: one of three that is given back bears its share of GST that was rounded once
	}
	if off := tax.Sub(assessed).Mul(divisor).Sub(sum).Abs(); off.GreaterThan(most.Mul(divisor)) {
		how := fmt.Sprintf("GST of %s %s, which rounding of %s can move by %s,", text(sum), doc.Mode.contains(), count(len(taxable), "line"), text(most))
		return wrongSum(0, "tax", how, GST(sum, doc.Mode).Add(cents(assessed)), tax)
	}
	if byLine == 0 {
		taxes := share(tax, taxable, doc.Mode)
		for i := range lines {
			if taxed(lines[i].TaxCode) {
				lines[i].Tax, taxes = taxes[0], taxes[1:]
			}
		}
	}
	return nil
}

func (m TaxMode) contains() string {
	if m == Inclusive {
		return "with GST"
	}
	return "without GST"
}

// Difference classifies how the totals of one document differ between two systems.
type Difference string

// Differences.
const (
	Equal              Difference = "EQUAL"
	RoundingDifference Difference = "ROUNDING" // lawful on both sides; shown, but nobody has to decide anything
	RealDifference     Difference = "REAL"     // one of them has another document
)

// Comparison is the outcome of Compare. The amounts are what the other system has more than the issuer.
type Comparison struct {
	Difference Difference
	Subtotal   decimal.Decimal
	Tax        decimal.Decimal
	Rounding   decimal.Decimal
	Total      decimal.Decimal
	Allowed    decimal.Decimal // the most that rounding can make of the tax: MaxRounding
}

// Compare classifies how another system's totals of a document differ from the issuer's, which stand. taxableLines is the
// number of lines with GST (Result.TaxableLines). A difference is one of rounding if the tax differs by no more than lawful
// rounding of so many lines can make; if nothing but this tax and rounding accounts for the rest, which shows in the total
// of a document whose prices are without GST and in the subtotal of one whose prices are with GST; and if the
// rounding differs by cash rounding or makes the total meet the issuer's again. Totals that do not add up by themselves are
// a real difference, and so are two currencies.
func Compare(issuer, other Totals, taxableLines int) Comparison {
	c := Comparison{
		Difference: RealDifference,
		Subtotal:   other.Subtotal.Sub(issuer.Subtotal),
		Tax:        other.Tax.Sub(issuer.Tax),
		Rounding:   other.Rounding.Sub(issuer.Rounding),
		Total:      other.Total.Sub(issuer.Total),
		Allowed:    MaxRounding(taxableLines),
	}
	cash := decimal.New(2, -2)
	explained := issuer.addUp() && other.addUp() && issuer.Currency == other.Currency &&
		c.Tax.Abs().LessThanOrEqual(c.Allowed) &&
		(c.Subtotal.IsZero() || c.Subtotal.Equal(c.Tax.Neg())) &&
		(c.Rounding.Abs().LessThanOrEqual(cash) || c.Total.Abs().LessThanOrEqual(cash))
	switch {
	case explained && c.Tax.IsZero() && c.Rounding.IsZero():
		c.Difference = Equal
	case explained:
		c.Difference = RoundingDifference
	}
	return c
}

func (t Totals) addUp() bool { return t.Subtotal.Add(t.Tax).Add(t.Rounding).Equal(t.Total) }

// String tells the difference to a person: "rounding: GST differs by -0.01, total by -0.01".
func (c Comparison) String() string {
	what := fmt.Sprintf("GST differs by %s, total by %s", text(c.Tax), text(c.Total))
	switch c.Difference {
	case Equal:
		return "equal"
	case RoundingDifference:
		return "rounding: " + what
	}
	return fmt.Sprintf("different: %s, subtotal by %s; rounding explains at most %s of GST", what, text(c.Subtotal), text(c.Allowed))
}
