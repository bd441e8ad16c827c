package hubspot

import (
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/money"
)

// TestLinesGoRound: whatever a line says, it reads back from the line item as what Fit promised, and is worth to the cent what
// the line is worth by the rules of money.
func TestLinesGoRound(t *testing.T) {
	t.Parallel()
	ki, _ := domain.KindQuote.Info()
	fi, _ := ki.Field("lines")
	rapid.Check(t, func(t *rapid.T) {
		in := money.Line{Quantity: decimal.New(rapid.Int64Range(-5_000_000, 5_000_000).Filter(func(n int64) bool { return n != 0 }).Draw(t, "quantity"), -rapid.Int32Range(0, 4).Draw(t, "places")),
			UnitPrice: decimal.New(rapid.Int64Range(-9_999_999, 9_999_999).Draw(t, "price"), -rapid.Int32Range(0, 6).Draw(t, "price places")), TaxCode: money.TaxGST}
		full := in.Quantity.Mul(in.UnitPrice).Abs()
		switch rapid.IntRange(0, 2).Draw(t, "discount") {
		case 1:
			in.DiscountRate = decimal.New(rapid.Int64Range(1, 100_00).Draw(t, "rate"), -2)
		case 2:
			in.DiscountAmount = full.Mul(decimal.New(rapid.Int64Range(0, 100).Draw(t, "share"), -2)).Truncate(2)
		}
		l := domain.Line{Description: rapid.StringMatching(`[a-zé"]{0,5}(\n[a-z]{1,3})?`).Draw(t, "description"), SKU: rapid.StringMatching(`[A-Z]{0,3}`).Draw(t, "sku"),
			Quantity: in.Quantity.String(), UnitPrice: in.UnitPrice.String(), TaxCode: string(in.TaxCode), Kind: rapid.SampledFrom([]string{"", domain.LineShipping}).Draw(t, "kind"),
			Product: rapid.SampledFrom([]string{"", "ext:products/7"}).Draw(t, "product"), Account: "200", Tax: "1"}
		if !in.DiscountRate.IsZero() {
			l.DiscountRate = in.DiscountRate.String()
		}
		if !in.DiscountAmount.IsZero() {
			l.DiscountAmount = in.DiscountAmount.String()
		}
		value, issues := domain.Normalize(fi, domain.ValueOf([]domain.Line{l}))
		if len(issues) > 0 {
			t.Fatal(issues)
		}
		l = domain.LinesOf(value)[0]
		p, err := writtenLine(l, 0)
		if err != nil {
			if each := in.DiscountAmount.DivRound(in.Quantity.Abs(), 6); !each.Mul(in.Quantity.Abs()).Round(2).Equal(in.DiscountAmount) && strings.Contains(err.Error(), "one unit") {
				return // it cannot be said in HubSpot, and is refused
			}
			t.Fatal(err)
		}
		got, issues := domain.Normalize(fi, domain.ValueOf([]domain.Line{readLine(object{Properties: p})}))
		if fit, _ := domain.Normalize(fi, fitLines(value)); len(issues) > 0 || got != fit || domain.Essence(got) != domain.Essence(value) {
			t.Fatalf("%s reads back as %s, Fit says %s, issues %v", value, got, fit, issues)
		}
		r, err := money.Compute(money.Document{Currency: "AUD", Mode: money.Exclusive, Rounding: money.PerLine, Lines: []money.Line{in}})
		if err != nil {
			t.Fatal(err)
		}
		if a := number(domain.LinesOf(got)[0].Amount); !a.Equal(r.Lines[0].Amount) {
			t.Fatalf("%s is worth %s, and %s by the rules", value, a, r.Lines[0].Amount)
		}
	})
}

func TestWhatHubSpotCannotHoldOfALine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want domain.Line }{
		{domain.Line{Product: "prd_01", Description: "by our id", Quantity: "2", UnitPrice: "5", Tax: "1", Amount: "11"}, domain.Line{Product: "prd_01", Description: "by our id", Quantity: "2", UnitPrice: "5", Amount: "10"}},
		{domain.Line{Description: "an amount", Amount: "99.5", DiscountRate: "10", TaxCode: "GST"}, domain.Line{Description: "an amount", Quantity: "1", UnitPrice: "99.5", Amount: "99.5", TaxCode: "GST"}},
		{domain.Line{Kind: domain.LineText, Description: "words"}, domain.Line{Kind: domain.LineText, Description: "words"}},
		{domain.Line{Kind: domain.LineRounding, Quantity: "1", UnitPrice: "-0.02"}, domain.Line{Kind: domain.LineRounding, Quantity: "1", UnitPrice: "-0.02", Amount: "-0.02"}},
	} {
		if got := fitLines(domain.ValueOf([]domain.Line{c.in})); got != domain.ValueOf([]domain.Line{c.want}) {
			t.Errorf("%+v fits as %s", c.in, got)
		}
	}
	if fitLines(domain.Null) != domain.Null || fitLines("") != "" {
		t.Error("no lines must fit as they are")
	}
	// Named by a person, the line is the person's.
	p, err := writtenLine(domain.Line{SKU: "W", Quantity: "1", UnitPrice: "1"}, 0)
	if err != nil || p["name"] != "W" || readLine(object{Properties: p}).Description != "" {
		t.Errorf("a line without a description: %v %v", p, err)
	}
	if p["name"] = "Widget"; readLine(object{Properties: p}).Description != "Widget" {
		t.Error("a name that a person gave is lost")
	}
}
