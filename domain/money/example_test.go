package money_test

import (
	"fmt"

	"github.com/shopspring/decimal"

	"datum/domain/money"
)

// Three lines of 19.95 without GST come to one cent more when each line's GST is rounded. Both are lawful.
func ExampleCompute() {
	price := decimal.RequireFromString("19.95")
	line := money.Line{Quantity: decimal.NewFromInt(1), UnitPrice: price, TaxCode: money.TaxGST}
	doc := money.Document{Currency: "AUD", Mode: money.Exclusive, Lines: []money.Line{line, line, line}}
	for _, doc.Rounding = range []money.Rounding{money.PerLine, money.PerInvoice} {
		r, err := money.Compute(doc)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(doc.Rounding, r.Totals.Subtotal, r.Totals.Tax.StringFixed(2), r.Totals.Total)
	}
	// Output:
	// PER_LINE 59.85 6.00 65.85
	// PER_INVOICE 59.85 5.99 65.84
}

// A line that does not add up is refused with the sum.
func ExampleCheck() {
	_, err := money.Check(money.Issued{
		Mode: money.Inclusive,
		Lines: []money.IssuedLine{{
			Line: money.Line{
				Quantity: decimal.NewFromInt(3), UnitPrice: decimal.RequireFromString("9.95"),
				DiscountRate: decimal.NewFromInt(10), TaxCode: money.TaxGST,
			},
			Amount: decimal.RequireFromString("26.85"),
		}},
		Totals: money.Totals{Currency: "AUD", Total: decimal.RequireFromString("26.85")},
	})
	fmt.Println(err)
	// Output: line 1, amount: 3 × 9.95 less 10% is 26.87, but 26.85 is given
}

// The same invoice in two systems, one rounding GST per line and one per invoice.
func ExampleCompare() {
	totals := func(tax, total string) money.Totals {
		return money.Totals{
			Currency: "AUD", Subtotal: decimal.RequireFromString("59.85"),
			Tax: decimal.RequireFromString(tax), Total: decimal.RequireFromString(total),
		}
	}
	fmt.Println(money.Compare(totals("6.00", "65.85"), totals("5.99", "65.84"), 3))
	fmt.Println(money.Compare(totals("6.00", "65.85"), totals("5.90", "65.75"), 3))
	// Output:
	// rounding: GST differs by -0.01, total by -0.01
	// different: GST differs by -0.10, total by -0.10, subtotal by 0.00; rounding explains at most 0.015 of GST
}

func ExampleTaxCode_XeroTaxType() {
	basic := func(taxType string) bool { return taxType != "EXEMPTEXPORT" } // archived in Xero's basic rates
	fmt.Println(money.TaxExport.XeroTaxType(nil))
	fmt.Println(money.TaxExport.XeroTaxType(basic))
	// Output:
	// EXEMPTEXPORT <nil>
	// EXEMPTOUTPUT <nil>
}

func ExampleRoundCash() {
	fmt.Println(money.RoundCash(decimal.RequireFromString("22.98")))
	// Output: 23 0.02
}
