package money

import (
	"errors"
	"math/big"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// micro draws a number from low up to high in millionths, often in cents as most prices are. It draws evenly: documents of
// integers as rapid draws them by itself are nearly all worth nothing.
func micro(t *rapid.T, label string, low, high int) decimal.Decimal {
	even := func(part string, low, high int) int64 {
		all := make([]int64, high-low)
		for i := range all {
			all[i] = int64(low + i)
		}
		return rapid.SampledFrom(all).Draw(t, label+" "+part)
	}
	v := even("whole", low, high)*1e6 + even("cents", 0, 100)*1e4
	if rapid.Bool().Draw(t, label+" finer") {
		v += even("tenths", 0, 100)*100 + even("rest", 0, 100)
	}
	return decimal.New(v, -6)
}

// drawDocument draws a document that can be worked out; negative lines only if mixed.
func drawDocument(t *rapid.T, mixed bool) Document {
	doc := Document{
		Currency: rapid.SampledFrom([]string{"AUD", "NZD"}).Draw(t, "currency"),
		Mode:     rapid.SampledFrom([]TaxMode{Inclusive, Exclusive, NoTax}).Draw(t, "mode"),
		Rounding: rapid.SampledFrom([]Rounding{PerLine, PerInvoice}).Draw(t, "rounding"),
		Cash:     rapid.Bool().Draw(t, "cash"),
	}
	codes := []TaxCode{TaxGST, TaxGST, TaxFree, TaxExport, TaxInputTaxed, OutOfScope}
	if doc.Mode == NoTax {
		codes = []TaxCode{"", TaxFree, OutOfScope}
	}
	for range rapid.IntRange(0, 12).Draw(t, "lines") {
		low := 0
		if mixed {
			low = -50
		}
		l := Line{Quantity: micro(t, "quantity", low, 50), UnitPrice: micro(t, "price", 0, 1000), TaxCode: rapid.SampledFrom(codes).Draw(t, "code")}
		switch rapid.IntRange(0, 2).Draw(t, "discount") {
		case 1:
			l.DiscountRate = micro(t, "rate", 0, 100)
		case 2:
			share := micro(t, "share", 0, 1)
			l.DiscountAmount = l.Quantity.Mul(l.UnitPrice).Abs().Mul(share).Truncate(6)
		}
		doc.Lines = append(doc.Lines, l)
	}
	return doc
}

func TestComputeAddsUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		doc := drawDocument(t, true)
		r := compute(t, doc)
		var net, tax, gross decimal.Decimal
		for i, l := range r.Lines {
			if !l.Net.Add(l.Tax).Equal(l.Gross) || !inCents(l.Net) || !inCents(l.Tax) {
				t.Fatalf("line %d: %s + %s is not %s in cents", i+1, l.Net, l.Tax, l.Gross)
			}
			// The amount by fractions instead of decimals.
			in := doc.Lines[i]
			want := new(big.Rat).Mul(in.Quantity.Rat(), in.UnitPrice.Rat())
			less := in.DiscountAmount.Rat()
			if want.Sign() < 0 {
				less.Neg(less)
			}
			keep := new(big.Rat).Sub(big.NewRat(1, 1), new(big.Rat).Quo(in.DiscountRate.Rat(), big.NewRat(100, 1)))
			want.Sub(want.Mul(want, keep), less)
			if !l.Amount.Equal(exactly(want)) {
				t.Fatalf("line %d: %+v is %s, want %s", i+1, in, l.Amount, exactly(want))
			}
			shown := l.Net
			if doc.Mode == Inclusive {
				shown = l.Gross
			}
			if !l.Amount.Equal(shown) {
				t.Fatalf("line %d of an %s document shows %s", i+1, doc.Mode, l.Amount)
			}
			if !taxed(l.TaxCode) && !l.Tax.IsZero() {
				t.Fatalf("line %d: %s has GST %s", i+1, l.TaxCode, l.Tax)
			}
			net, tax, gross = net.Add(l.Net), tax.Add(l.Tax), gross.Add(l.Gross)
		}
		if !r.Totals.addUp() || !net.Equal(r.Totals.Subtotal) || !tax.Equal(r.Totals.Tax) || !gross.Add(r.Totals.Rounding).Equal(r.Totals.Total) {
			t.Fatalf("lines %s + %s = %s, totals %+v", net, tax, gross, r.Totals)
		}
		if doc.Cash && !r.Totals.Total.Mod(d("0.05")).IsZero() || !doc.Cash && !r.Totals.Rounding.IsZero() {
			t.Fatalf("cash %v: rounding %s, total %s", doc.Cash, r.Totals.Rounding, r.Totals.Total)
		}
	})
}

// TestComputeRoundings: the rule never changes what an inclusive document comes to, and moves the GST of any document by at
// most half a cent a line, in whole cents.
func TestComputeRoundings(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		doc := drawDocument(t, true)
		doc.Cash, doc.Rounding = false, PerLine
		line := compute(t, doc)
		doc.Rounding = PerInvoice
		invoice := compute(t, doc)
		if doc.Mode != Exclusive && !line.Totals.Total.Equal(invoice.Totals.Total) {
			t.Fatalf("%s: %s per line, %s per invoice", doc.Mode, line.Totals.Total, invoice.Totals.Total)
		}
		off := line.Totals.Tax.Sub(invoice.Totals.Tax).Abs()
		if off.GreaterThan(MaxRounding(line.TaxableLines())) {
			t.Fatalf("%d lines: GST %s per line, %s per invoice", line.TaxableLines(), line.Totals.Tax, invoice.Totals.Tax)
		}
		c := Compare(line.Totals, invoice.Totals, line.TaxableLines())
		if want := map[bool]Difference{true: Equal, false: RoundingDifference}[off.IsZero()]; c.Difference != want {
			t.Fatalf("%+v and %+v: %s, want %s", line.Totals, invoice.Totals, c, want)
		}
	})
}

// TestComputeMirrors: a document of the opposite quantities has the opposite figures.
func TestComputeMirrors(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		doc := drawDocument(t, true)
		r := compute(t, doc)
		for i := range doc.Lines {
			doc.Lines[i].Quantity = doc.Lines[i].Quantity.Neg()
		}
		m := compute(t, doc)
		opposite := func(a, b decimal.Decimal) bool { return a.Equal(b.Neg()) }
		for i, l := range r.Lines {
			o := m.Lines[i]
			if !opposite(l.Amount, o.Amount) || !opposite(l.Net, o.Net) || !opposite(l.Tax, o.Tax) || !opposite(l.Gross, o.Gross) {
				t.Fatalf("line %d: %+v and %+v", i+1, l, o)
			}
		}
		a, b := r.Totals, m.Totals
		if !opposite(a.Subtotal, b.Subtotal) || !opposite(a.Tax, b.Tax) || !opposite(a.Rounding, b.Rounding) || !opposite(a.Total, b.Total) {
			t.Fatalf("%+v and %+v", a, b)
		}
	})
}

// TestComputeIsIdempotent: working out the amounts that came out changes nothing.
func TestComputeIsIdempotent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		doc := drawDocument(t, true)
		r := compute(t, doc)
		for i, l := range r.Lines {
			doc.Lines[i] = Line{Quantity: d("1"), UnitPrice: l.Amount, TaxCode: l.TaxCode}
		}
		again := compute(t, doc)
		for i := range r.Lines {
			a, b := r.Lines[i], again.Lines[i]
			if a.TaxCode != b.TaxCode || !a.Amount.Equal(b.Amount) || !a.Tax.Equal(b.Tax) || !a.Gross.Equal(b.Gross) {
				t.Fatalf("line %d: %+v, then %+v", i+1, a, b)
			}
		}
		if c := Compare(r.Totals, again.Totals, 0); c.Difference != Equal {
			t.Fatal(c)
		}
	})
}

func TestComputeRefuses(t *testing.T) {
	t.Parallel()
	line := func(change func(*Line)) Document {
		l := Line{Quantity: d("2"), UnitPrice: d("10"), TaxCode: TaxGST}
		change(&l)
		return Document{Currency: "AUD", Mode: Exclusive, Rounding: PerLine, Lines: []Line{{Quantity: d("1"), TaxCode: TaxFree}, l}}
	}
	head := func(change func(*Document)) Document {
		doc := line(func(*Line) {})
		change(&doc)
		return doc
	}
	for name, c := range map[string]struct {
		doc   Document
		line  int
		field string
	}{
		"no rounding rule":         {head(func(d *Document) { d.Rounding = "" }), 0, "rounding"},
		"no mode":                  {head(func(d *Document) { d.Mode = "" }), 0, "mode"},
		"no currency":              {head(func(d *Document) { d.Currency = "" }), 0, "currency"},
		"no tax code":              {line(func(l *Line) { l.TaxCode = "" }), 2, "taxCode"},
		"foreign tax code":         {line(func(l *Line) { l.TaxCode = "OUTPUT" }), 2, "taxCode"},
		"GST by customs":           {line(func(l *Line) { l.TaxCode = ImportGST }), 2, "taxCode"},
		"GST without tax":          {head(func(d *Document) { d.Mode = NoTax }), 2, "taxCode"},
		"7 decimals of quantity":   {line(func(l *Line) { l.Quantity = d("0.0000001") }), 2, "quantity"},
		"7 decimals of price":      {line(func(l *Line) { l.UnitPrice = d("0.1234567") }), 2, "unitPrice"},
		"price beyond all bounds":  {line(func(l *Line) { l.UnitPrice = decimal.New(1, 1<<30) }), 2, "unitPrice"},
		"amount beyond all bounds": {line(func(l *Line) { l.UnitPrice, l.Quantity = d("1e17"), d("10") }), 2, "amount"},
		"total beyond all bounds": {head(func(d *Document) {
			d.Lines[0].Quantity, d.Lines[0].UnitPrice = decimal.New(1, 9), decimal.New(999999999, 0)
			d.Lines[1] = d.Lines[0]
			d.Lines = append(d.Lines, d.Lines...)
		}), 0, "total"},
		"discount of 101%":          {line(func(l *Line) { l.DiscountRate = d("101") }), 2, "discountRate"},
		"discount of -1%":           {line(func(l *Line) { l.DiscountRate = d("-1") }), 2, "discountRate"},
		"discount beyond the line":  {line(func(l *Line) { l.DiscountAmount = d("20.01") }), 2, "discountAmount"},
		"discount below zero":       {line(func(l *Line) { l.DiscountAmount = d("-1") }), 2, "discountAmount"},
		"two discounts":             {line(func(l *Line) { l.DiscountAmount, l.DiscountRate = d("1"), d("1") }), 2, "discountAmount"},
		"discount of a cent's part": {line(func(l *Line) { l.DiscountRate = d("0.0000001") }), 2, "discountRate"},
	} {
		_, err := Compute(c.doc)
		var r *Refusal
		if !errors.As(err, &r) || r.Line != c.line || r.Field != c.field || r.Reason == "" {
			t.Errorf("%s: %v, want a refusal of line %d, %s", name, err, c.line, c.field)
		}
	}
}

func TestComputeEmpty(t *testing.T) {
	t.Parallel()
	r := compute(t, Document{Currency: "AUD", Mode: Inclusive, Rounding: PerInvoice, Cash: true})
	if len(r.Lines) != 0 || !r.Totals.Total.IsZero() {
		t.Errorf("an empty document comes to %+v", r)
	}
	r = compute(t, Document{Currency: "NZD", Mode: NoTax, Rounding: PerLine, Lines: []Line{{Quantity: d("1"), UnitPrice: d("5")}}})
	if r.Lines[0].TaxCode != OutOfScope || !r.Totals.Total.Equal(d("5")) || r.Totals.Currency != "NZD" {
		t.Errorf("a document without tax comes to %+v", r)
	}
}
