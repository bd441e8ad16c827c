package sqldb

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// TestDocumentsSurvive: whatever the lines, quantities, prices, discounts, tax mode and rule of rounding of a document, tables with a
// place for everything, its amounts in cents or in dollars, give it back to the last digit, and it still adds up.
func TestDocumentsSurvive(t *testing.T) {
	t.Parallel()
	_, all := everyField(postgres)
	cents := strings.NewReplacer("amount: c_subtotal,", "amount: {column: c_subtotal, cents: true},", "amount: c_taxtotal,", "amount: {column: c_taxtotal, cents: true},",
		"amount: c_rounding,", "amount: {column: c_rounding, cents: true},", "amount: c_total,", "amount: {column: c_total, cents: true},").Replace(all)
	if cents == all {
		t.Fatal("no amount is in cents")
	}
	line := rapid.Custom(func(t *rapid.T) domain.Line {
		l := domain.Line{
			Kind:        rapid.SampledFrom([]string{"", "", domain.LineShipping, domain.LineText}).Draw(t, "kind"),
			Description: rapid.SampledFrom([]string{"", "Pipe", "O'Brien, “x”"}).Draw(t, "description"),
		}
		if l.Kind == domain.LineText {
			return l
		}
		l.Product, l.SKU, l.Account = rapid.SampledFrom([]string{"", domain.Ext("7")}).Draw(t, "product"), rapid.SampledFrom([]string{"", "A-1"}).Draw(t, "sku"), "200"
		number := func(what string, least, most int64) string {
			return decimal.New(rapid.Int64Range(least, most).Draw(t, what), -rapid.Int32Range(0, 6).Draw(t, what+" places")).String()
		}
		l.Quantity, l.UnitPrice = number("quantity", 1, 5_000_000), number("price", 0, 99_999_999)
		l.TaxCode = rapid.SampledFrom([]string{"GST", "GST_FREE", "EXPORT", "INPUT_TAXED", "OUT_OF_SCOPE"}).Draw(t, "code")
		if rapid.IntRange(0, 3).Draw(t, "discounted") == 0 {
			l.DiscountRate = decimal.New(rapid.Int64Range(1, 1000).Draw(t, "rate"), -1).String()
		}
		return l
	})
	for _, config := range []string{all, cents} {
		tables, err := configured(config)
		must(t, err)
		for _, tab := range tables {
			m := tab.mapping(time.UTC)
			if m.Row("lines") == nil {
				continue
			}
			rapid.Check(t, func(t *rapid.T) {
				mode := rapid.SampledFrom([]money.TaxMode{money.Inclusive, money.Exclusive, money.NoTax}).Draw(t, "mode")
				lines := rapid.SliceOfN(line, 1, 6).Draw(t, "lines")
				for i := range lines {
					if mode == money.NoTax && lines[i].TaxCode == "GST" {
						lines[i].TaxCode = "OUT_OF_SCOPE"
					}
				}
				v := domain.Values{"customer": domain.TextValue(domain.Ext("7")), "currency": domain.TextValue("AUD"), "taxMode": domain.TextValue(string(mode)), "lines": domain.ValueOf(lines)}
				if err := domain.Complete(tab.kind, v, rapid.SampledFrom([]money.Rounding{money.PerLine, money.PerInvoice}).Draw(t, "rule")); err != nil {
					t.Fatal(err)
				}
				for f := range v {
					if m.Row(f) == nil {
						delete(v, f)
					}
				}
				o := object{}
				if err := m.Write(o, v); err != nil {
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
				if len(issues) > 0 {
					t.Fatal(issues)
				}
				ki, _ := tab.kind.Info()
				for f := range v {
					fi, _ := ki.Field(f)
					if want, _ := domain.Normalize(fi, v[f]); got[f] != want {
						t.Fatalf("%s of %s was written as %s and reads as %s", f, tab.kind, want, got[f])
					}
				}
				if err := domain.CheckDocument(got); err != nil {
					t.Fatalf("%s: what is read does not add up: %v", tab.kind, err)
				}
				if fit := m.Fit(v); fit["lines"] != got["lines"] {
					t.Fatalf("the fit of the lines is %s and they read as %s", fit["lines"], got["lines"])
				}
			})
		}
	}
}
