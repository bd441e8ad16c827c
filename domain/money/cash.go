package money

import "github.com/shopspring/decimal"

// RoundCash rounds the total of a cash sale or refund in Australian dollars to 5 cents (1 and 2 down, 3 and 4 up, 6 and 7
// down, 8 and 9 up) and returns with it what was added, -0.02 to 0.02. It is done once, on the total after GST, which is not
// worked out again; card payments stay exact. Rounding is the seller's choice since 1 and 2 cent coins were withdrawn (1992).
func RoundCash(total decimal.Decimal) (rounded, added decimal.Decimal) {
	five := decimal.New(5, -2)
	rounded = cents(total).DivRound(five, 0).Mul(five)
	return rounded, rounded.Sub(total)
}
