package cin7core

import (
	"encoding/json"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// TestOrdersSurvive: whatever the lines, quantities, prices, discounts and tax mode of an order, it reads back as it was written as
// far as a sale can hold it, fitting it twice changes nothing more, and the figures that Cin7 Core is sent are those that Datum works
// out per line: they add up to the cent.
func TestOrdersSurvive(t *testing.T) {
	t.Parallel()
	m := orderMapping(defaults())
	number := func(t *rapid.T, what string, most int64, places int32) string {
		return decimal.New(rapid.Int64Range(1, most).Draw(t, what), -rapid.Int32Range(0, places).Draw(t, what+" places")).String()
	}
	line := rapid.Custom(func(t *rapid.T) domain.Line {
		l := domain.Line{
			Kind:        rapid.SampledFrom([]string{"", "", "", domain.LineShipping, domain.LineDiscount, domain.LineRounding, domain.LineText}).Draw(t, "kind"),
			Description: rapid.SampledFrom([]string{"", "Pipe", "O'Brien\n– “x”"}).Draw(t, "description"), Account: rapid.SampledFrom([]string{"", "200"}).Draw(t, "account"),
		}
		switch l.Kind {
		case domain.LineText:
			return l
		case domain.LineRounding: // to five cents
			l.Quantity, l.UnitPrice, l.TaxCode = "1", rapid.SampledFrom([]string{"-0.02", "-0.01", "0.01", "0.02"}).Draw(t, "rounding"), "OUT_OF_SCOPE"
			return l
		}
		if rapid.Bool().Draw(t, "has a product") {
			l.Product, l.SKU = domain.Ext("a70d26f2-7831-443e-af0c-831d0fc59613"), "A-1"
		}
		l.Quantity, l.UnitPrice = number(t, "quantity", 99_999, 4), number(t, "price", 9_999_999, 4)
		if l.Kind == domain.LineDiscount {
			l.UnitPrice = "-" + l.UnitPrice
		}
		l.TaxCode = rapid.SampledFrom([]string{"GST", "GST", "GST_FREE", "EXPORT", "INPUT_TAXED", "OUT_OF_SCOPE"}).Draw(t, "code")
		switch rapid.IntRange(0, 3).Draw(t, "discount") {
		case 0:
			l.DiscountRate = number(t, "rate", 9_999, 2)
			if decimal.RequireFromString(l.DiscountRate).GreaterThan(decimal.NewFromInt(100)) {
				l.DiscountRate = "100"
			}
		case 1:
			l.DiscountAmount = "0.05"
		}
		return l
	})
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(line, 1, 6).Draw(t, "lines")
		mode := rapid.SampledFrom([]money.TaxMode{money.Inclusive, money.Exclusive}).Draw(t, "mode")
		written := domain.Values{"taxMode": domain.TextValue(string(mode)), "lines": domain.ValueOf(lines)}
		fit := m.Fit(written)
		if again := m.Fit(fit); again["lines"] != fit["lines"] {
			t.Fatalf("fitting twice: %s became %s", fit["lines"], again["lines"])
		}
		o := object{"CustomerCurrency": "AUD"}
		if err := m.Write(o, written); err != nil {
			t.Fatal(err)
		}
		if err := defaults().price(part(o, "Order"), mode == money.Inclusive); err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		back, err := adapters.ParseObject(b)
		if err != nil {
			t.Fatal(err)
		}
		got, issues, _ := m.Read(back)
		ki, _ := domain.KindOrder.Info()
		fi, _ := ki.Field("lines")
		want, _ := domain.Normalize(fi, fit["lines"])
		if len(issues) > 0 || domain.Essence(got["lines"]) != domain.Essence(want) || got["taxMode"] != fit["taxMode"] {
			t.Fatalf("wrote %s\nread  %s\nwant  %s %v", written["lines"], got["lines"], want, issues)
		}
		if len(domain.LinesOf(want)) == 0 {
			return
		}
		if err := domain.CheckDocument(got); err != nil {
			t.Fatalf("what is read does not add up: %v", err)
		}
		sums := domain.Values{"customer": domain.TextValue("cus_x"), "currency": domain.TextValue("AUD"), "taxMode": fit["taxMode"], "lines": want}
		if err := domain.Complete(domain.KindOrder, sums, money.PerLine); err != nil {
			t.Fatal(err)
		}
		for _, f := range []domain.Field{"subtotal", "taxTotal", "total"} {
			if !domain.Amount(got[f]).Equal(domain.Amount(sums[f])) {
				t.Fatalf("%s is %s at Cin7 Core and %s here: %s", f, got[f], sums[f], want)
			}
		}
	})
}

// TestTooFine: more decimals than Cin7 Core holds are refused, with the line, and never cut short.
func TestTooFine(t *testing.T) {
	t.Parallel()
	m := orderMapping(defaults())
	for _, l := range []domain.Line{{Quantity: "1.00001", UnitPrice: "1"}, {Quantity: "1", UnitPrice: "0.00005"}, {Quantity: "1", UnitPrice: "1", DiscountRate: "33.333"}} {
		l.TaxCode = "GST"
		err := m.Write(object{}, domain.Values{"lines": domain.ValueOf([]domain.Line{l})})
		if domain.CodeOf(err) != domain.Invalid || domain.AsError(err).Field != "lines" {
			t.Errorf("%+v: %v", l, err)
		}
	}
}
