package money

import (
	"errors"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// issue gives a document out the way its issuer would: with its figures, and with GST by line or without.
func issue(doc Document, r Result, taxByLine bool) Issued {
	out := Issued{Mode: doc.Mode, Totals: r.Totals}
	for i, l := range doc.Lines {
		out.Lines = append(out.Lines, IssuedLine{Line: l, Amount: r.Lines[i].Amount,
			Tax: decimal.NullDecimal{Decimal: r.Lines[i].Tax, Valid: taxByLine}})
	}
	return out
}

// TestCheckKeeps: what Compute makes is accepted with all its figures; without GST by line, with figures that add up too.
func TestCheckKeeps(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		doc := drawDocument(t, true)
		want := compute(t, doc)
		byLine := rapid.Bool().Draw(t, "GST by line")
		got, err := Check(issue(doc, want, byLine))
		if err != nil {
			t.Fatal(err)
		}
		if c := Compare(want.Totals, got.Totals, 0); c.Difference != Equal || got.TaxableLines() != want.TaxableLines() {
			t.Fatalf("%+v was kept as %+v", want.Totals, got.Totals)
		}
		var tax, gross decimal.Decimal
		for i, l := range got.Lines {
			w := want.Lines[i]
			if l.TaxCode != w.TaxCode || !l.Amount.Equal(w.Amount) || byLine && !(l.Tax.Equal(w.Tax) && l.Net.Equal(w.Net)) {
				t.Fatalf("line %d: %+v was kept as %+v", i+1, w, l)
			}
			tax, gross = tax.Add(l.Tax), gross.Add(l.Gross)
		}
		if !tax.Equal(got.Totals.Tax) || !gross.Add(got.Totals.Rounding).Equal(got.Totals.Total) {
			t.Fatalf("lines %+v do not add up to %+v", got.Lines, got.Totals)
		}
	})
}

// TestCheckRefusesAnyChange: one figure changed by a cent, and nothing else, is always noticed.
func TestCheckRefusesAnyChange(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		doc := drawDocument(t, true)
		out := issue(doc, compute(t, doc), true)
		cent := decimal.New(rapid.SampledFrom([]int64{-1, 1}).Draw(t, "cent"), -2)
		figures := []*decimal.Decimal{&out.Totals.Subtotal, &out.Totals.Tax, &out.Totals.Rounding, &out.Totals.Total}
		for i := range out.Lines {
			figures = append(figures, &out.Lines[i].Amount, &out.Lines[i].Tax.Decimal)
		}
		f := rapid.SampledFrom(figures).Draw(t, "figure")
		*f = f.Add(cent)
		_, err := Check(out)
		var r *Refusal
		if !errors.As(err, &r) {
			t.Fatalf("a figure changed by %s gives %v", cent, err)
		}
		if r.Expected.Equal(r.Got) {
			t.Fatalf("the refusal %q does not tell the sum", r)
		}
	})
}

// xero19 is three lines of 19.95 without GST as Xero issues them.
func xero19() Issued {
	doc := Document{Currency: "AUD", Mode: Exclusive, Rounding: PerLine, Lines: repeat(3, "19.95")}
	r, err := Compute(doc)
	if err != nil {
		panic(err)
	}
	return issue(doc, r, true)
}

func given(s string) decimal.NullDecimal { return decimal.NullDecimal{Decimal: d(s), Valid: true} }

func TestCheckMessages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change  func(*Issued)
		message string
	}{
		"a line": {func(i *Issued) { i.Lines[1].Amount = d("19.96") },
			"line 2, amount: 1 × 19.95 is 19.95, but 19.96 is given"},
		"a discount": {func(i *Issued) { i.Lines[0].DiscountRate = d("2.5") },
			"line 1, amount: 1 × 19.95 less 2.5% is 19.45, but 19.95 is given"},
		"a discount by amount": {func(i *Issued) { i.Lines[0].DiscountAmount = d("2.5") },
			"line 1, amount: 1 × 19.95 less 2.50 is 17.45, but 19.95 is given"},
		"part of a cent": {func(i *Issued) { i.Lines[0].Amount = d("19.951") }, "line 1, amount: is not an amount in whole cents"},
		"GST of a line": {func(i *Issued) { i.Lines[2].Tax = given("1.98") },
			"line 3, tax: GST of 19.95 without GST is 2.00, but 1.98 is given"},
		"GST of a free line": {func(i *Issued) { i.Lines[2].TaxCode = TaxFree },
			"line 3, tax: GST of a line with tax code GST_FREE is 0.00, but 2.00 is given"},
		"GST of one line missing": {func(i *Issued) { i.Lines[2].Tax.Valid = false },
			"line 3, tax: is not given, though other lines have theirs"},
		"sum of GST": {func(i *Issued) { i.Totals.Tax = d("5.99") }, "tax: the sum of the lines' GST is 6.00, but 5.99 is given"},
		"too much GST": {func(i *Issued) {
			for n := range i.Lines {
				i.Lines[n].Tax.Valid = false
			}
			i.Totals.Tax = d("6.01")
		}, "tax: GST of 59.85 without GST, which rounding of 3 lines can move by 0.015, is 5.99, but 6.01 is given"},
		"GST from nowhere": {func(i *Issued) {
			for n := range i.Lines {
				i.Lines[n].TaxCode, i.Lines[n].Tax.Valid = TaxFree, false
			}
		}, "tax: GST of a document without taxable lines is 0.00, but 6.00 is given"},
		"subtotal": {func(i *Issued) { i.Totals.Subtotal = d("59.84") },
			"subtotal: the sum of 3 lines without GST is 59.85, but 59.84 is given"},
		"total": {func(i *Issued) { i.Totals.Total = d("65.84") },
			"total: subtotal 59.85 + tax 6.00 + rounding 0.00 is 65.85, but 65.84 is given"},
		"rounding without end": {func(i *Issued) { i.Totals.Rounding, i.Totals.Total = d("-5.85"), d("60") },
			"rounding: -5.85 is more than the 0.10 that rounding can come to"},
		"total in parts of a cent": {func(i *Issued) { i.Totals.Total = d("65.845") }, "total: is not an amount in whole cents"},
		"customs without GST": {func(i *Issued) { i.Lines[1].TaxCode, i.Lines[1].Tax.Valid = ImportGST, false },
			"line 2, tax: GST_ON_IMPORTS is assessed by customs, so it must be given for the line"},
		"customs without tax": {func(i *Issued) { i.Mode, i.Lines[0].TaxCode = NoTax, ImportGST },
			"line 1, taxCode: GST_ON_IMPORTS has GST, but the document is NO_TAX"},
		"GST beyond all bounds": {func(i *Issued) { i.Lines[1].Tax.Decimal = decimal.New(1, 1<<30) },
			"line 2, tax: has more than 18 digits or 6 decimals"},
	} {
		doc := xero19()
		c.change(&doc)
		if _, err := Check(doc); err == nil || err.Error() != c.message {
			t.Errorf("%s: %v\nwant %s", name, err, c.message)
		}
	}
}

func TestCheckAccepts(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Issued){
		"as it is": func(*Issued) {},
		"overridden to meet another system": func(i *Issued) {
			i.Lines[1].Tax, i.Totals.Tax, i.Totals.Total = given("1.99"), d("5.99"), d("65.84")
		},
		"GST finer than cents": func(i *Issued) {
			for n := range i.Lines {
				i.Lines[n].Tax = given("1.995")
			}
			i.Totals.Tax, i.Totals.Total = d("5.99"), d("65.84")
		},
		"a rounding line to meet another system": func(i *Issued) { i.Totals.Rounding, i.Totals.Total = d("-0.01"), d("65.84") },
		"an amount alone": func(i *Issued) {
			i.Lines[0].AmountOnly, i.Lines[0].Quantity, i.Lines[0].UnitPrice = true, d("0"), d("0")
		},
		"customs": func(i *Issued) {
			i.Lines = append(i.Lines, IssuedLine{AmountOnly: true, Line: Line{TaxCode: ImportGST}, Tax: given("512.34")})
			i.Totals.Tax, i.Totals.Total = d("518.34"), d("578.19")
		},
	} {
		doc := xero19()
		change(&doc)
		r, err := Check(doc)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var tax decimal.Decimal
		for _, l := range r.Lines {
			if !inCents(l.Tax) {
				t.Errorf("%s: a line has GST %s", name, l.Tax)
			}
			tax = tax.Add(l.Tax)
		}
		if !tax.Equal(doc.Totals.Tax) || r.Totals != doc.Totals {
			t.Errorf("%s: lines have GST %s, totals are %+v", name, tax, r.Totals)
		}
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	totals := func(subtotal, tax, rounding, total string) Totals {
		return Totals{Currency: "AUD", Subtotal: d(subtotal), Tax: d(tax), Rounding: d(rounding), Total: d(total)}
	}
	xero := totals("59.85", "6.00", "0", "65.85")
	dollars := xero
	dollars.Currency = "USD"
	for name, c := range map[string]struct {
		issuer, other Totals
		lines         int
		want          Difference
	}{
		"the same":                     {xero, totals("59.850", "6", "0.00", "65.850"), 3, Equal},
		"once per invoice":             {xero, totals("59.85", "5.99", "0", "65.84"), 3, RoundingDifference},
		"the other way round":          {totals("59.85", "5.99", "0", "65.84"), xero, 3, RoundingDifference},
		"and one line only":            {xero, totals("59.85", "5.99", "0", "65.84"), 1, RealDifference},
		"two cents of three lines":     {xero, totals("59.85", "5.98", "0", "65.83"), 3, RealDifference},
		"two cents of four lines":      {totals("4.20", "0.44", "0", "4.64"), totals("4.20", "0.42", "0", "4.62"), 4, RoundingDifference},
		"inclusive":                    {totals("31.85", "3.15", "0", "35"), totals("31.82", "3.18", "0", "35"), 7, RoundingDifference},
		"inclusive, four lines":        {totals("31.85", "3.15", "0", "35"), totals("31.82", "3.18", "0", "35"), 4, RealDifference},
		"with a rounding line":         {xero, totals("59.85", "5.99", "0.01", "65.85"), 3, RoundingDifference},
		"rounding line of ten lines":   {totals("100", "10.05", "0", "110.05"), totals("100", "10.00", "0.05", "110.05"), 10, RoundingDifference},
		"five cents of ten lines":      {totals("99.90", "10.00", "0", "109.90"), totals("99.90", "9.95", "0", "109.85"), 10, RoundingDifference},
		"cash":                         {totals("9.08", "0.91", "0.01", "10"), totals("9.08", "0.91", "0", "9.99"), 1, RoundingDifference},
		"cash and GST":                 {xero, totals("59.85", "5.99", "0.01", "65.85"), 3, RoundingDifference},
		"a rounding of ten cents":      {xero, totals("59.85", "6.00", "0.10", "65.95"), 3, RealDifference},
		"another line amount":          {xero, totals("59.84", "6.00", "0", "65.84"), 3, RealDifference},
		"another line amount and GST":  {xero, totals("59.86", "6.01", "0", "65.87"), 3, RealDifference},
		"a freight line more":          {xero, totals("69.85", "7.00", "0", "76.85"), 3, RealDifference},
		"totals that do not add up":    {xero, totals("59.85", "6.00", "0", "65.84"), 3, RealDifference},
		"both not adding up":           {totals("1", "1", "0", "1"), totals("1", "1", "0", "1"), 3, RealDifference},
		"another currency":             {xero, dollars, 3, RealDifference},
		"no line with GST, a cent off": {totals("10", "0", "0", "10"), totals("9.99", "0.01", "0", "10"), 0, RealDifference},
	} {
		got := Compare(c.issuer, c.other, c.lines)
		if got.Difference != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if prefix := map[Difference]string{Equal: "equal", RoundingDifference: "rounding: ", RealDifference: "different: "}[c.want]; !strings.HasPrefix(got.String(), prefix) {
			t.Errorf("%s: %q", name, got)
		}
	}
}
