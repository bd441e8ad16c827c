// Package money provides exact amounts of money and the arithmetic of Australian business documents: GST, both lawful ways
// of rounding it, discounts, totals, cash rounding, tax codes and what a document adds to the business activity statement.
// Amounts are decimals, never floats.
//
// Compute works out a document that Datum issues. Check verifies one that somebody else issued and keeps its figures;
// Compare tells a difference that rounding explains from a real one. Summarise adds documents up by BAS label.
//
// Everything here is pure and safe for concurrent use. Documents as they are kept, their numbers, currencies' rates and the
// choice of a rule are left to others. All amounts of one document are in one currency and are rounded to two decimals,
// "cents", whatever the currency, as the accounting systems do.
package money

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"
)

// Money is an amount in a currency. In JSON the amount is a string with at least two decimals: "1234.50".
type Money struct {
	Amount   decimal.Decimal
	Currency string // ISO 4217
}

// Limits of an amount as it is read: no document of a business comes near them, and an exponent without limit
// ("1e999999999") would take all memory when it is written out.
const (
	maxWhole    = 18 // digits before the point
	maxDecimals = 10
)

// UnitDecimals is how many decimals a quantity, a unit price and a discount may have.
const UnitDecimals = 6

// Parse reads a decimal amount such as "1234.5", "-0.005" or "1e3". It refuses amounts of more than 18 digits before the
// point or 10 after it, rather than rounding them.
func Parse(amount, currency string) (Money, error) {
	d, err := ParseDecimal(amount, maxDecimals)
	if err != nil {
		return Money{}, err
	}
	return Money{Amount: d, Currency: currency}, nil
}

// ParseDecimal reads a decimal such as a quantity or a unit price (UnitDecimals) that has at most 18 digits before the point
// and the given number after it. It refuses what has more, rather than rounding it.
func ParseDecimal(text string, decimals int32) (decimal.Decimal, error) {
	if len(text) <= 64 {
		if d, err := decimal.NewFromString(text); err == nil && fits(d, decimals) {
			return d, nil
		}
	}
	return decimal.Decimal{}, fmt.Errorf("money: %.40q is not a decimal amount of at most %d digits and %d decimals", text, maxWhole, decimals)
}

// fits reports whether d keeps within maxWhole digits before the point and the given decimals after it.
func fits(d decimal.Decimal, decimals int32) bool {
	return d.Exponent() >= -64 && d.NumDigits()+int(d.Exponent()) <= maxWhole && d.Equal(d.Truncate(decimals))
}

// Decimal returns the amount as text with at least two decimals and no further trailing zeros.
func (m Money) Decimal() string {
	s := m.Amount.String() // without trailing zeros
	if _, frac, _ := strings.Cut(s, "."); len(frac) < 2 {
		return m.Amount.StringFixed(2)
	}
	return s
}

// String returns the amount and the currency: "1234.50 AUD".
func (m Money) String() string { return m.Decimal() + " " + m.Currency }

// Equal reports whether both are the same amount of the same currency.
func (m Money) Equal(o Money) bool { return m.Currency == o.Currency && m.Amount.Equal(o.Amount) }

type wire struct {
	Amount   json.RawMessage `json:"amount"`
	Currency string          `json:"currency"`
}

// MarshalJSON writes {"amount":"1234.50","currency":"AUD"}.
func (m Money) MarshalJSON() ([]byte, error) {
	return json.Marshal(wire{Amount: json.RawMessage(`"` + m.Decimal() + `"`), Currency: m.Currency})
}

// UnmarshalJSON reads an amount as a string or as a number, without going through a float.
func (m *Money) UnmarshalJSON(b []byte) error {
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		return err
	}
	p, err := Parse(strings.Trim(string(w.Amount), `"`), w.Currency)
	if err != nil {
		return err
	}
	*m = p
	return nil
}

// Known reports whether code is a currency code of ISO 4217 in use, in upper case.
func Known(code string) bool {
	return len(code) == 3 && strings.Contains(currencies, code+" ") && !strings.Contains(code, " ")
}

// currencies are the codes of ISO 4217 for money (no metals, funds or test codes), with a space after each.
const currencies = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD " +
	"CAD CDF CHF CLP CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD " +
	"HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD " +
	"MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG " +
	"QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS " +
	"UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG "
