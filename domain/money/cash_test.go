package money

import "testing"

func TestRoundCash(t *testing.T) {
	t.Parallel()
	for total, want := range map[string]string{
		"10.00": "10.00", "10.01": "10.00", "10.02": "10.00", "10.03": "10.05", "10.04": "10.05", "10.05": "10.05", "10.06": "10.05",
		"10.07": "10.05", "10.08": "10.10", "10.09": "10.10", "0.02": "0", "0.03": "0.05", "-10.02": "-10.00", "-10.03": "-10.05", "9.99": "10.00",
	} {
		rounded, added := RoundCash(d(total))
		equal(t, total+" in cash", rounded, want)
		equal(t, "what was added to "+total, added, d(want).Sub(d(total)).String())
	}
}

func TestCashLeavesGST(t *testing.T) {
	t.Parallel()
	doc := Document{Currency: "AUD", Mode: Inclusive, Rounding: PerLine, Cash: true, Lines: lines("19.99", "2.99")}
	r := compute(t, doc)
	equal(t, "GST", r.Totals.Tax, "2.09") // 1.82 + 0.27, of 22.98 and not of 23.00
	equal(t, "rounding", r.Totals.Rounding, "0.02")
	equal(t, "total", r.Totals.Total, "23.00")
}
