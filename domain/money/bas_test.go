package money

import (
	"fmt"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"
)

// mixed is a document with a line of each kind of sale: 110 with GST, 50 free, 30 exported, 20 input-taxed, 5 outside.
func mixed(t *testing.T) Result {
	doc := Document{Currency: "AUD", Mode: Inclusive, Rounding: PerInvoice, Cash: true}
	for code, price := range map[TaxCode]string{TaxGST: "110.02", TaxFree: "50", TaxExport: "30", TaxInputTaxed: "20", OutOfScope: "5"} {
		doc.Lines = append(doc.Lines, Line{Quantity: d("1"), UnitPrice: d(price), TaxCode: code})
	}
	return compute(t, doc)
}

func labels(amounts []LabelAmount) string {
	var s []string
	for _, a := range amounts {
		s = append(s, fmt.Sprintf("%s %s", a.Label, text(a.Amount)))
	}
	return strings.Join(s, ", ")
}

func TestLabels(t *testing.T) {
	t.Parallel()
	if got := labels(Labels(mixed(t), false)); got != "G1 210.02, G2 30.00, G3 50.00, G4 20.00, 1A 10.00" {
		t.Errorf("an invoice has %s", got)
	}
	if got := labels(Labels(mixed(t), true)); got != "G1 -210.02, G2 -30.00, G3 -50.00, G4 -20.00, 1A -10.00" {
		t.Errorf("a credit note has %s", got)
	}
	bill := Issued{Mode: Exclusive, Totals: Totals{Currency: "AUD", Subtotal: d("653"), Tax: d("73"), Total: d("726")}}
	for _, l := range []struct{ code, amount, tax string }{
		{string(PurchaseGST), "100", "10"}, {string(CapitalGST), "500", "50"}, {string(PurchaseFree), "40", "0"}, {string(CapitalFree), "30", "0"},
		{string(PurchaseInput), "20", "0"}, {string(Unregistered), "10", "0"}, {string(ImportGST), "0", "13"}, {string(NoABNWithheld), "-47", "0"},
	} {
		bill.Lines = append(bill.Lines, IssuedLine{AmountOnly: true, Line: Line{TaxCode: TaxCode(l.code)}, Amount: d(l.amount), Tax: given(l.tax)})
	}
	r, err := Check(bill)
	if err != nil {
		t.Fatal(err)
	}
	if got := labels(Labels(r, false)); got != "G10 580.00, G11 180.00, G13 20.00, G14 80.00, 1B 73.00" {
		t.Errorf("a bill has %s", got)
	}
}

func TestSummarise(t *testing.T) {
	t.Parallel()
	invoice := compute(t, Document{Currency: "AUD", Mode: Inclusive, Rounding: PerLine, Lines: lines("1100", "0.05")})
	credit := compute(t, Document{Currency: "AUD", Mode: Inclusive, Rounding: PerLine, Lines: lines("110")})
	export := compute(t, Document{Currency: "USD", Mode: Exclusive, Rounding: PerLine, Lines: []Line{
		{Quantity: d("1"), UnitPrice: d("1000.01"), TaxCode: TaxExport}}})
	docs := []Reported{
		{ID: "INV-1", Result: invoice},
		{ID: "CN-1", Result: credit, CreditNote: true},
		{ID: "INV-2", Result: export, AUDRate: d("1.5")},
		{ID: "INV-3", Result: mixed(t)},
	}
	s, err := Summarise(docs)
	if err != nil {
		t.Fatal(err)
	}
	want := `G1 2700.09: INV-1 1100.05, CN-1 -110.00, INV-2 1500.02, INV-3 210.02
G2 1530.02: INV-2 1500.02, INV-3 30.00
G3 50.00: INV-3 50.00
G4 20.00: INV-3 20.00
1A 100.00: INV-1 100.00, CN-1 -10.00, INV-3 10.00
`
	var got strings.Builder
	for _, l := range s.Labels {
		var docs []string
		for _, doc := range l.Documents {
			docs = append(docs, doc.ID+" "+text(doc.Amount))
		}
		fmt.Fprintf(&got, "%s %s: %s\n", l.Label, text(l.Amount), strings.Join(docs, ", "))
	}
	if got.String() != want {
		t.Errorf("the summary is\n%swant\n%s", got.String(), want)
	}
	equal(t, "G1", s.Amount(G1), "2700.09")
	equal(t, "G11", s.Amount(G11), "0")
	equal(t, "G1 on the form", WholeDollars(d("2700.99")), "2700")
	equal(t, "a negative label on the form", WholeDollars(d("-10.99")), "-10")

	docs[2].AUDRate = decimal.Zero
	if _, err := Summarise(docs); err == nil || !strings.Contains(err.Error(), "INV-2") || !strings.Contains(err.Error(), "USD") {
		t.Errorf("without a rate: %v", err)
	}
}

func TestCashBasis(t *testing.T) {
	t.Parallel()
	invoice := compute(t, Document{Currency: "AUD", Mode: Inclusive, Rounding: PerLine, Lines: lines("110")})
	for _, c := range []struct{ before, after, g1, tax string }{
		{"0", "0", "0", "0"}, {"0", "33", "33", "3"}, {"33", "110", "77", "7"}, {"0", "110", "110", "10"},
		{"110", "110", "0", "0"}, {"100", "150", "10", "0.91"}, {"33", "0", "-33", "-3"}, {"0", "-20", "0", "0"},
	} {
		s, err := Summarise([]Reported{{ID: "INV-1", Result: invoice, Paid: &Paid{Before: d(c.before), After: d(c.after)}}})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "G1 of "+c.before+" to "+c.after, s.Amount(G1), c.g1)
		equal(t, "1A of "+c.before+" to "+c.after, s.Amount(Label1A), c.tax)
	}
	// A sale set off whole against a deposit leaves nothing to be paid, and is a sale all the same.
	setOff := compute(t, Document{Currency: "AUD", Mode: Inclusive, Rounding: PerLine, Lines: append(lines("110"),
		Line{Quantity: d("-1"), UnitPrice: d("110"), TaxCode: OutOfScope})})
	s, err := Summarise([]Reported{{ID: "INV-2", Result: setOff, Paid: &Paid{}}})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "G1 of a sale set off", s.Amount(G1), "110")
}

// TestSummaryAddsUp: 1A is the GST of the documents as issued, each label is the sum of its documents, and on the cash basis
// the periods in which a document is paid add up to what it counts on the accruals basis.
func TestSummaryAddsUp(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		doc := drawDocument(t, false)
		doc.Currency = "AUD"
		r := compute(t, doc)
		credit := rapid.Bool().Draw(t, "credit note")
		whole, err := Summarise([]Reported{{ID: "x", Result: r, CreditNote: credit}})
		if err != nil {
			t.Fatal(err)
		}
		tax := r.Totals.Tax
		if credit {
			tax = tax.Neg()
		}
		if !whole.Amount(Label1A).Equal(tax) {
			t.Fatalf("1A is %s, GST is %s", whole.Amount(Label1A), tax)
		}
		if r.Totals.Total.IsZero() {
			return
		}
		sums := map[Label]decimal.Decimal{}
		paid := decimal.Zero
		for paid.LessThan(r.Totals.Total) {
			next := paid.Add(r.Totals.Total.Mul(micro(t, "part", 0, 1)).Round(2)).Add(d("0.01"))
			if rapid.Bool().Draw(t, "settles") {
				next = r.Totals.Total
			}
			s, err := Summarise([]Reported{{ID: "x", Result: r, CreditNote: credit, Paid: &Paid{Before: paid, After: next}}})
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range s.Labels {
				var sum decimal.Decimal
				for _, d := range l.Documents {
					sum = sum.Add(d.Amount)
				}
				if !sum.Equal(l.Amount) {
					t.Fatalf("%s is %s, its documents %s", l.Label, l.Amount, sum)
				}
				sums[l.Label] = sums[l.Label].Add(l.Amount)
			}
			paid = next
		}
		for _, label := range form {
			if !sums[label].Equal(whole.Amount(label)) {
				t.Fatalf("%s is %s in periods and %s at once", label, sums[label], whole.Amount(label))
			}
		}
	})
}
