package shopifysim

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
)

const currency = "AUD"

// Amounts are in cents.

func amount(cents int64) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return fmt.Sprintf("%s%d.%02d", sign, cents/100, cents%100)
}

// cents reads an amount; more than two decimals are rounded.
func cents(v any) int64 {
	f, err := strconv.ParseFloat(strings.TrimSpace(fmt.Sprint(v)), 64)
	if err != nil {
		return 0
	}
	return int64(math.Round(f * 100))
}

func moneyNode(c int64) *node {
	return &node{"MoneyV2", fields{"amount": amount(c), "currencyCode": currency}}
}

// bag is an amount in the shop's currency and the customer's, which are the same here.
func bag(c int64) *node {
	return &node{"MoneyBag", fields{"shopMoney": moneyNode(c), "presentmentMoney": moneyNode(c)}}
}

// restBag is a bag in the REST form of webhooks.
func restBag(c int64) map[string]any {
	m := map[string]any{"amount": amount(c), "currency_code": currency}
	return map[string]any{"shop_money": m, "presentment_money": m}
}

// share is c times part/whole, rounded half up away from zero.
func share(c, part, whole int64) int64 {
	if whole == 0 {
		return 0
	}
	n := 2*c*part + whole
	if c*part < 0 {
		n = 2*c*part - whole
	}
	return n / (2 * whole)
}

func text(n int64) string { return strconv.FormatInt(n, 10) }

func equalJSON(a, b map[string]any) bool {
	strip := func(m map[string]any) any {
		var x map[string]any
		j, _ := json.Marshal(m)
		_ = json.Unmarshal(j, &x) // it has just been marshalled
		delete(x, "updated_at")
		return x
	}
	return reflect.DeepEqual(strip(a), strip(b))
}

// plain spells a JSON value as text.
func plain(v any) string {
	if v == nil {
		return ""
	}
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}
