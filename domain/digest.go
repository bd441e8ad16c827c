package domain

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/bits"
	"slices"

	"github.com/shopspring/decimal"

	"datum/domain/money"
)

// Hash returns the canonical hash of normalised values: fields in alphabetical order, empty ones left out, since absent and
// null say the same. 32 hexadecimal digits.
func Hash(v Values) string {
	h := sha256.New()
	for _, f := range v.Fields() {
		if !v[f].Empty() {
			fmt.Fprintf(h, "%s=%d:%s\n", f, len(v[f]), v[f])
		}
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// Total is an order-independent total of hashes: two sides whose totals are equal hold the same records, whatever order they
// were read in. The zero Total is that of nothing.
type Total struct {
	Count  int64
	hi, lo uint64
}

// Add adds one hash made by Hash; anything else is left out of the sum and counted.
func (t *Total) Add(hash string) {
	t.Count++
	b, err := hex.DecodeString(hash)
	if err != nil || len(b) != 16 {
		return
	}
	var carry uint64
	t.lo, carry = bits.Add64(t.lo, binary.BigEndian.Uint64(b[8:]), 0)
	t.hi, _ = bits.Add64(t.hi, binary.BigEndian.Uint64(b[:8]), carry)
}

// String returns the sum as 32 hexadecimal digits.
func (t *Total) String() string { return fmt.Sprintf("%016x%016x", t.hi, t.lo) }

// MonthOf returns what a document counts for in the sum of its month: the month of its own date (a local date, so no time zone
// comes into it), its currency and its total. ok is false for kinds without money, for drafts and for what was called off.
func MonthOf(kind Kind, v Values) (month, currency string, amount decimal.Decimal, ok bool) {
	f, is := summed[kind]
	date := v[f.date].Text()
	if !is || len(date) < 7 || v[f.amount].Empty() || slices.Contains([]string{"DRAFT", "CANCELLED", "VOIDED", "DECLINED", "EXPIRED"}, v["stage"].Text()) {
		return "", "", decimal.Zero, false
	}
	var m money.Money
	if v[f.amount].Decode(&m) != nil {
		return "", "", decimal.Zero, false
	}
	if v["direction"].Text() == "REFUNDED" {
		m.Amount = m.Amount.Neg()
	}
	return date[:7], m.Currency, m.Amount, true
}

// summed are the kinds with money, and the fields of their date and amount.
var summed = map[Kind]struct{ date, amount Field }{KindQuote: {"issueDate", "total"}, KindOrder: {"orderDate", "total"},
	KindInvoice: {"issueDate", "total"}, KindCreditNote: {"issueDate", "total"}, KindPayment: {"date", "amount"}}
