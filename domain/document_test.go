package domain_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/money"
)

// drawLines makes lines as a business writes them.
func drawLines(t *rapid.T, mode money.TaxMode) []domain.Line {
	codes := []string{"GST", "GST_FREE", "EXPORT", "INPUT_TAXED", "OUT_OF_SCOPE"}
	if mode == money.NoTax {
		codes = []string{"", "OUT_OF_SCOPE", "GST_FREE"}
	}
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) domain.Line {
		l := domain.Line{Description: rapid.SampledFrom([]string{"Kettle", "Fitting, 2 h", "  "}).Draw(t, "description"),
			Quantity:  decimal.New(rapid.Int64Range(1, 5000000).Draw(t, "quantity"), -rapid.Int32Range(0, 6).Draw(t, "places")).String(),
			UnitPrice: decimal.New(rapid.Int64Range(0, 99999999).Draw(t, "price"), -rapid.Int32Range(0, 6).Draw(t, "places")).String(),
			TaxCode:   rapid.SampledFrom(codes).Draw(t, "code")}
		if rapid.IntRange(0, 3).Draw(t, "discounted") == 0 {
			l.DiscountRate = decimal.New(rapid.Int64Range(1, 1000).Draw(t, "rate"), -1).String()
		}
		return l
	}), 1, 12).Draw(t, "lines")
}

// TestDocumentsAddUp: whatever the lines, the tax mode and the rule of rounding, a document that is worked out adds up by the
// check that other people's documents must pass, the two rules are within what they may differ by, and doing it again changes
// nothing.
func TestDocumentsAddUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		mode := rapid.SampledFrom([]money.TaxMode{money.Inclusive, money.Exclusive, money.NoTax}).Draw(t, "mode")
		lines := drawLines(t, mode)
		goods := len(lines)
		if rapid.Bool().Draw(t, "rounded") { // to five cents
			lines = append(lines, domain.Line{Kind: domain.LineRounding, UnitPrice: rapid.SampledFrom([]string{"-0.02", "0.01"}).Draw(t, "rounding"), TaxCode: "OUT_OF_SCOPE"})
		}
		var totals []money.Totals
		taxable := 0
		for _, l := range lines {
			if l.TaxCode == "GST" {
				taxable++
			}
		}
		for _, rule := range []money.Rounding{money.PerLine, money.PerInvoice} {
			v := domain.Values{"customer": domain.TextValue("cus_x"), "currency": domain.TextValue("AUD"), "taxMode": domain.TextValue(string(mode)), "lines": domain.ValueOf(lines)}
			if err := domain.Complete(domain.KindInvoice, v, rule); err != nil {
				t.Fatalf("%s: %v", rule, err)
			}
			if err := domain.CheckDocument(v); err != nil {
				t.Fatalf("%s: what was worked out does not pass the check: %v", rule, err)
			}
			rounded := domain.Amount(v["rounding"])
			for _, l := range domain.LinesOf(v["lines"]) {
				if l.Kind == domain.LineRounding {
					rounded = rounded.Add(decimal.RequireFromString(l.UnitPrice))
				}
			}
			if sum := domain.Amount(v["subtotal"]).Add(domain.Amount(v["taxTotal"])).Add(rounded); !sum.Equal(domain.Amount(v["total"])) {
				t.Fatalf("%s: the total is %s and everything comes to %s", rule, v["total"], sum)
			}
			again := v.Clone()
			if err := domain.Complete(domain.KindInvoice, again, rule); err != nil {
				t.Fatalf("%s: again: %v", rule, err)
			}
			for f := range v {
				if again[f] != v[f] {
					t.Fatalf("%s: %s was %s and is %s", rule, f, v[f], again[f])
				}
			}
			if e := domain.Essence(v["lines"]); e != domain.Essence(again["lines"]) || strings.Contains(string(e), `"tax"`) {
				t.Fatalf("essence %s", e)
			}
			totals = append(totals, money.Totals{Currency: "AUD", Subtotal: domain.Amount(v["subtotal"]), Tax: domain.Amount(v["taxTotal"]),
				Rounding: rounded, Total: domain.Amount(v["total"])})
			// A cent more on any line is found, with the sum.
			broken := domain.LinesOf(v["lines"])
			n := rapid.IntRange(0, goods-1).Draw(t, "broken")
			d, _ := decimal.NewFromString(broken[n].Amount)
			broken[n].Amount = d.Add(decimal.New(1, -2)).String()
			wrong := v.Clone()
			wrong["lines"] = domain.ValueOf(broken)
			if err := domain.CheckDocument(wrong); err == nil || !strings.Contains(err.Error(), d.StringFixed(2)) {
				t.Fatalf("a cent too much on line %d passes: %v", n+1, err)
			}
		}
		if c := money.Compare(totals[0], totals[1], taxable); c.Difference == money.RealDifference {
			t.Fatalf("the two rules differ by more than rounding: %s", c)
		}
	})
}

// TestRoundingTable: the rows of the published comparison, worked out as a document.
func TestRoundingTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode             money.TaxMode
		prices           string // separated by spaces; each is one line
		perLine, invoice string
	}{
		{money.Exclusive, "19.95 19.95 19.95", "6", "5.99"}, {money.Exclusive, "33.33 33.33 33.34", "9.99", "10"},
		{money.Exclusive, strings.Repeat("1.05 ", 4), "0.44", "0.42"}, {money.Exclusive, strings.Repeat("9.99 ", 10), "10", "9.99"},
		{money.Inclusive, strings.Repeat("9.95 ", 3), "2.7", "2.71"}, {money.Inclusive, strings.Repeat("19.99 ", 3), "5.46", "5.45"},
		{money.Inclusive, strings.Repeat("5.00 ", 7), "3.15", "3.18"}, {money.Inclusive, strings.Repeat("0.05 ", 10), "0", "0.05"},
	} {
		for rule, want := range map[money.Rounding]string{money.PerLine: c.perLine, money.PerInvoice: c.invoice} {
			var lines []domain.Line
			for p := range strings.FieldsSeq(c.prices) {
				lines = append(lines, domain.Line{Quantity: "1", UnitPrice: p, TaxCode: "GST"})
			}
			v := domain.Values{"customer": domain.TextValue("cus_x"), "taxMode": domain.TextValue(string(c.mode)), "lines": domain.ValueOf(lines)}
			if err := domain.Complete(domain.KindInvoice, v, rule); err != nil {
				t.Fatal(err)
			}
			if got := domain.Amount(v["taxTotal"]).String(); got != want {
				t.Errorf("%s %s by %s: GST %s, want %s", c.prices, c.mode, rule, got, want)
			}
		}
	}
}

// TestRefs: references are found wherever they stand and replaced without touching anything else.
func TestRefs(t *testing.T) {
	t.Parallel()
	v := domain.Values{"customer": domain.TextValue(domain.Ext("c/1")), "number": domain.TextValue("ext:not one"),
		"lines":       domain.Value(`[{"description":"a","product":"ext:p1","quantity":"1"},{"description":"b","product":"ext:p2","quantity":"2"}]`),
		"allocations": domain.Value(`[{"amount":"1","invoice":"ext:i1"},{"amount":"2","invoice":"ext:i2"}]`)}
	if got := fmt.Sprint(domain.Refs(domain.KindCreditNote, v)); got != "[{Customer ext:c/1} {Product ext:p1} {Product ext:p2} {Invoice ext:i1} {Invoice ext:i2}]" {
		t.Errorf("refs %s", got)
	}
	known := map[string]string{"p1": "prd_1", "i2": "inv_2"}
	out := domain.MapRefs(domain.KindCreditNote, v, func(r domain.Ref) string {
		id, _ := domain.ExtID(r.ID)
		return known[id]
	})
	for f, want := range map[domain.Field]domain.Value{"customer": "", "number": `"ext:not one"`,
		"lines":       `[{"description":"a","product":"prd_1","quantity":"1"},{"description":"b","quantity":"2"}]`,
		"allocations": `[{"amount":"2","invoice":"inv_2"}]`} {
		if out[f] != want {
			t.Errorf("%s: %s, want %s", f, out[f], want)
		}
	}
	if v["customer"] == "" {
		t.Error("the original was changed")
	}
	if domain.Essence(v["allocations"]) != v["allocations"] {
		t.Error("allocations are taken for lines")
	}
}

// TestBegun: what is a part of the allocations that are wanted is one, and nothing else.
func TestBegun(t *testing.T) {
	t.Parallel()
	const wanted = `[{"amount":"30"},{"amount":"110.00","invoice":"inv_a"},{"amount":"66","creditNote":"crn_b"}]`
	for theirs, want := range map[string]bool{
		``: true, `[{"amount":"206"}]`: true, `[{"amount":"96"},{"amount":"110","invoice":"inv_a","date":"2026-03-01"}]`: true, wanted: true,
		`[{"amount":"100","invoice":"inv_a"}]`: false, `[{"amount":"110","invoice":"inv_c"}]`: false, `[{"amount":"66","invoice":"crn_b"}]`: false,
	} {
		if domain.Begun(wanted, domain.Value(theirs)) != want {
			t.Errorf("%s is a part: not %v", theirs, want)
		}
	}
	if domain.Begun("", `[{"amount":"1"}]`) {
		t.Error("a part of nothing")
	}
}

// TestSame: an allocation without a date is any day's, and nothing else may differ.
func TestSame(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{`[{"amount":"5","invoice":"inv_a"}]`, `[{"amount":"5","date":"2026-03-01","invoice":"inv_a"}]`, true},
		{`[{"amount":"5","invoice":"inv_a"},{"amount":"6","invoice":"inv_a"}]`, `[{"amount":"6","date":"2026-03-01","invoice":"inv_a"},{"amount":"5","date":"2026-03-02","invoice":"inv_a"}]`, true},
		{`[{"amount":"5","date":"2026-03-02","invoice":"inv_a"}]`, `[{"amount":"5","date":"2026-03-01","invoice":"inv_a"}]`, false},
		{`[{"amount":"5","invoice":"inv_a"}]`, `[{"amount":"6","date":"2026-03-01","invoice":"inv_a"}]`, false},
		{`[{"amount":"5","invoice":"inv_a"}]`, `[{"amount":"5","creditNote":"inv_a"}]`, false},
		{`[{"amount":"5","invoice":"inv_a"}]`, `[{"amount":"5","invoice":"inv_a"},{"amount":"5","invoice":"inv_a"}]`, false},
		{`[{"description":"x","quantity":"1","unitPrice":"2"}]`, `[{"amount":"2.00","description":"x","quantity":"1","tax":"0.2","unitPrice":"2"}]`, true},
		{`[{"description":"x","quantity":"1","unitPrice":"2"}]`, `[{"description":"x","quantity":"1","unitPrice":"3"}]`, false},
	} {
		if domain.Same(domain.Value(c.a), domain.Value(c.b)) != c.same || domain.Same(domain.Value(c.b), domain.Value(c.a)) != c.same {
			t.Errorf("%s and %s: the same is not %v", c.a, c.b, c.same)
		}
	}
}
