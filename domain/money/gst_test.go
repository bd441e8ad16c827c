package money

import (
	"math/big"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

func d(s string) decimal.Decimal { return decimal.RequireFromString(s) }

// lines makes n taxable lines of quantity 1, one for each price.
func lines(prices ...string) []Line {
	out := make([]Line, len(prices))
	for i, p := range prices {
		out[i] = Line{Quantity: d("1"), UnitPrice: d(p), TaxCode: TaxGST}
	}
	return out
}

func repeat(n int, price string) []Line {
	var out []Line
	for range n {
		out = append(out, lines(price)...)
	}
	return out
}

func compute(t interface{ Fatal(...any) }, doc Document) Result {
	r, err := Compute(doc)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func equal(t *testing.T, what string, got decimal.Decimal, want string) {
	t.Helper()
	if !got.Equal(d(want)) {
		t.Errorf("%s is %s, want %s", what, got, want)
	}
}

func TestGST(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		amount string
		mode   TaxMode
		want   string
	}{
		{"82.50", Inclusive, "7.50"}, {"1000", Inclusive, "90.91"}, {"1000", Exclusive, "100"}, {"0.05", Exclusive, "0.01"},
		{"0.04", Exclusive, "0"}, {"-0.05", Exclusive, "-0.01"}, {"-1000", Inclusive, "-90.91"}, {"0.05", Inclusive, "0"},
		{"0.06", Inclusive, "0.01"}, {"100", NoTax, "0"}, {"100", "", "0"},
	} {
		equal(t, "GST of "+c.amount+" "+string(c.mode), GST(d(c.amount), c.mode), c.want)
	}
}

// TestRoundingTable holds both lawful roundings of documents on which they differ.
func TestRoundingTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                string
		mode                TaxMode
		lines               []Line
		sum                 string // of the line amounts
		perLine, perInvoice string // GST
	}{
		{"3 x 19.95", Exclusive, repeat(3, "19.95"), "59.85", "6.00", "5.99"},
		{"33.33 33.33 33.34", Exclusive, lines("33.33", "33.33", "33.34"), "100.00", "9.99", "10.00"},
		{"4 x 1.05", Exclusive, repeat(4, "1.05"), "4.20", "0.44", "0.42"},
		{"10 x 9.99", Exclusive, repeat(10, "9.99"), "99.90", "10.00", "9.99"},
		{"3 x 9.95", Inclusive, repeat(3, "9.95"), "29.85", "2.70", "2.71"},
		{"3 x 19.99", Inclusive, repeat(3, "19.99"), "59.97", "5.46", "5.45"},
		{"7 x 5.00", Inclusive, repeat(7, "5.00"), "35.00", "3.15", "3.18"},
		{"10 x 0.05", Inclusive, repeat(10, "0.05"), "0.50", "0.00", "0.05"},
	} {
		for rule, gst := range map[Rounding]string{PerLine: c.perLine, PerInvoice: c.perInvoice} {
			r := compute(t, Document{Currency: "AUD", Mode: c.mode, Rounding: rule, Lines: c.lines})
			name := c.name + " " + string(c.mode) + " " + string(rule)
			equal(t, name+": GST", r.Totals.Tax, gst)
			total, subtotal := d(c.sum), d(c.sum).Sub(d(gst))
			if c.mode == Exclusive {
				total, subtotal = d(c.sum).Add(d(gst)), d(c.sum)
			}
			equal(t, name+": subtotal", r.Totals.Subtotal, subtotal.String())
			equal(t, name+": total", r.Totals.Total, total.String())
		}
	}
}

func TestUnitPricePrecision(t *testing.T) {
	t.Parallel()
	one := func(q, p string) decimal.Decimal {
		r := compute(t, Document{Currency: "AUD", Mode: Exclusive, Rounding: PerLine, Lines: []Line{
			{Quantity: d(q), UnitPrice: d(p), TaxCode: TaxGST}}})
		return r.Lines[0].Amount
	}
	equal(t, "30 x 0.3333", one("30", "0.3333"), "10.00")
	equal(t, "30 x 0.33", one("30", "0.33"), "9.90")
	equal(t, "10.555555 + 10.588888", one("1", "10.555555").Add(one("1", "10.588888")), "21.15")
	equal(t, "0.000001 x 4999.999999", one("0.000001", "4999.999999"), "0.00")
	equal(t, "0.000001 x 5000", one("0.000001", "5000"), "0.01")
}

// TestShareCarries: a fraction of a cent is carried from line to line.
func TestShareCarries(t *testing.T) {
	t.Parallel()
	r := compute(t, Document{Currency: "AUD", Mode: Exclusive, Rounding: PerInvoice, Lines: repeat(3, "19.95")})
	for i, want := range []string{"2.00", "1.99", "2.00"} {
		equal(t, "GST of a line", r.Lines[i].Tax, want)
	}
}

// exactly rounds a fraction to cents by its numerator and denominator, half away from zero: the rule written another way.
func exactly(r *big.Rat) decimal.Decimal {
	num := new(big.Int).Mul(r.Num(), big.NewInt(200))
	num.Add(num, new(big.Int).Mul(r.Denom(), big.NewInt(int64(r.Sign()))))
	return decimal.NewFromBigInt(num.Quo(num, new(big.Int).Mul(r.Denom(), big.NewInt(2))), -2)
}

func TestGSTIsTheFraction(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amount := decimal.New(rapid.Int64Range(-1e12, 1e12).Draw(t, "cents"), -2)
		if want := exactly(new(big.Rat).Mul(amount.Rat(), big.NewRat(1, 11))); !GST(amount, Inclusive).Equal(want) {
			t.Fatalf("GST in %s is %s, want %s", amount, GST(amount, Inclusive), want)
		}
		if want := exactly(new(big.Rat).Mul(amount.Rat(), big.NewRat(1, 10))); !GST(amount, Exclusive).Equal(want) {
			t.Fatalf("GST on %s is %s, want %s", amount, GST(amount, Exclusive), want)
		}
	})
}

func TestShare(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		mode := rapid.SampledFrom([]TaxMode{Inclusive, Exclusive}).Draw(t, "mode")
		var taxable []decimal.Decimal
		var sum decimal.Decimal
		for range rapid.IntRange(1, 20).Draw(t, "n") {
			a := decimal.New(rapid.Int64Range(-1e6, 1e6).Draw(t, "cents"), -2)
			taxable, sum = append(taxable, a), sum.Add(a)
		}
		most := int64(len(taxable)) / 2
		total := GST(sum, mode).Add(decimal.New(rapid.Int64Range(-most, most).Draw(t, "extra"), -2))
		var got decimal.Decimal
		for i, s := range share(total, taxable, mode) {
			got = got.Add(s)
			// Carrying moves a line by less than a cent, its part of what the issuer has more by half of one.
			if off := s.Sub(taxable[i].DivRound(mode.divisor(), 6)).Abs(); off.GreaterThan(d("0.015001")) || !inCents(s) {
				t.Fatalf("line %d of %v has %s", i+1, taxable, s)
			}
		}
		if !got.Equal(total) {
			t.Fatalf("the shares add up to %s, want %s", got, total)
		}
	})
}
