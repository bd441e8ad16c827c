package money

import (
	"fmt"

	"github.com/shopspring/decimal"
)

// Label is a label of the business activity statement (BAS).
type Label string

// Labels. Below $10 million turnover the simpler BAS has only G1, 1A and 1B.
const (
	G1      Label = "G1"  // total sales, with GST
	G2      Label = "G2"  // exports
	G3      Label = "G3"  // other GST-free sales
	G4      Label = "G4"  // input-taxed sales
	G10     Label = "G10" // capital purchases, with GST
	G11     Label = "G11" // other purchases, with GST
	G13     Label = "G13" // purchases for input-taxed sales
	G14     Label = "G14" // GST-free purchases
	Label1A Label = "1A"  // GST on sales
	Label1B Label = "1B"  // GST on purchases
	LabelW4 Label = "W4"  // withheld because no ABN was quoted
)

// form is the order of the labels on the statement.
var form = []Label{G1, G2, G3, G4, G10, G11, G13, G14, Label1A, Label1B}

// LabelAmount is what falls under one label.
type LabelAmount struct {
	Label  Label
	Amount decimal.Decimal
}

// Labels returns what the lines of a document put under each GST label, in the order of the form, leaving out what comes to
// nothing. A line with several labels counts under each: exports under G1 and G2. A credit note's lines are positive, as in
// Document, and count negative. Rounding of the total is not part of any supply and counts nowhere.
func Labels(doc Result, creditNote bool) []LabelAmount {
	sums := map[Label]decimal.Decimal{}
	for _, l := range doc.Lines {
		t := l.TaxCode.row()
		if t == nil {
			continue // Compute and Check make no such line
		}
		for _, label := range t.Labels {
			sums[label] = sums[label].Add(l.Gross)
		}
		if t.TaxLabel != "" {
			sums[t.TaxLabel] = sums[t.TaxLabel].Add(l.Tax)
		}
	}
	var out []LabelAmount
	for _, label := range form {
		if amount := sums[label]; !amount.IsZero() {
			if creditNote {
				amount = amount.Neg()
			}
			out = append(out, LabelAmount{label, amount})
		}
	}
	return out
}

// Reported is a document that counts in the period of a statement.
type Reported struct {
	ID         string // the document's, given back in Summary
	CreditNote bool   // counts negative; also a supplier's
	Result     Result
	// AUDRate is what one unit of the document's currency is worth in Australian dollars, which is what the statement is in
	// (GST Act 1999 s 9-85). It is not needed for AUD.
	AUDRate decimal.Decimal
	// Paid is nil on the accruals basis: the document counts whole, in the period of its date.
	Paid *Paid
}

// Paid is how much of a document's total had been paid, refunded or set off before the period and by its end. On the cash
// basis a document counts in each period to the extent that it was paid in it (GST Act 1999 s 29-5(2)); over all periods
// these parts add up to the whole, to the cent. What is paid beyond the total is not consideration for it and does not count.
// A document whose total is zero has nothing to be paid and counts whole whenever it is given.
type Paid struct{ Before, After decimal.Decimal }

// Summary is the GST part of a statement, in Australian dollars.
type Summary struct {
	Labels []LabelSummary // in the order of the form; only those that a document puts something under
}

// LabelSummary is one label of a Summary: its amount, and what each document adds to it, in the order they were given.
type LabelSummary struct {
	Label     Label
	Amount    decimal.Decimal
	Documents []DocumentAmount
}

// DocumentAmount is what one document adds to a label.
type DocumentAmount struct {
	ID     string
	Amount decimal.Decimal
}

// Amount returns what is under the label, zero if nothing is.
func (s Summary) Amount(label Label) decimal.Decimal {
	for _, l := range s.Labels {
		if l.Label == label {
			return l.Amount
		}
	}
	return decimal.Zero
}

// Summarise adds the documents up by label. The amounts are those of the documents' issuers. It fails if a document in
// another currency comes without its rate, naming the document.
func Summarise(docs []Reported) (Summary, error) {
	byLabel := map[Label]*LabelSummary{}
	for _, d := range docs {
		rate := decimal.New(1, 0)
		if currency := d.Result.Totals.Currency; currency != "AUD" {
			if rate = d.AUDRate; !rate.IsPositive() {
				return Summary{}, fmt.Errorf("money: document %s is in %s and has no exchange rate to AUD", d.ID, currency)
			}
		}
		for _, l := range Labels(d.Result, d.CreditNote) {
			// Converted before it is divided by periods, so that the periods add up.
			amount := d.Paid.part(cents(l.Amount.Mul(rate)), d.Result.Totals.Total)
			if amount.IsZero() {
				continue
			}
			sum := byLabel[l.Label]
			if sum == nil {
				sum = &LabelSummary{Label: l.Label}
				byLabel[l.Label] = sum
			}
			sum.Amount = sum.Amount.Add(amount)
			sum.Documents = append(sum.Documents, DocumentAmount{d.ID, amount})
		}
	}
	var s Summary
	for _, label := range form {
		if sum := byLabel[label]; sum != nil {
			s.Labels = append(s.Labels, *sum)
		}
	}
	return s, nil
}

// part is how much of amount counts in the period, given the document's total.
func (p *Paid) part(amount, total decimal.Decimal) decimal.Decimal {
	if p == nil || total.IsZero() {
		return amount
	}
	upTo := func(paid decimal.Decimal) decimal.Decimal {
		switch {
		case paid.Sign() != total.Sign():
			return decimal.Zero
		case paid.Abs().GreaterThanOrEqual(total.Abs()):
			return amount
		}
		return amount.Mul(paid).DivRound(total, 2)
	}
	return upTo(p.After).Sub(upTo(p.Before))
}

// WholeDollars returns an amount as it is entered on the statement: without the cents, which are dropped and not rounded.
func WholeDollars(amount decimal.Decimal) decimal.Decimal { return amount.Truncate(0) }
