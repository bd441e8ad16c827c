package shopify

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/shopspring/decimal"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// orderMapping is the table of Order. An order's lines and figures are what was sold: after edits and before refunds, which
// are credit notes of their own. Of an order only stage, tags and notes are written.
func orderMapping() adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindOrder, Object: "Orders",
		Rows: []adapters.Row{
			row("number", 0, "", []string{"name"}),
			refRow("customer", "none at the counter", "customer", "legacyResourceId"),
			{Field: "stage", Paths: []string{"cancelledAt", "closedAt"}, Note: "CANCELLED takes the stock back and refunds nothing; CLOSED is archived",
				Get: func(o object) domain.Value {
					switch {
					case within(o, "cancelledAt") != "":
						return domain.TextValue("CANCELLED")
					case within(o, "closedAt") != "":
						return domain.TextValue("CLOSED")
					}
					return domain.TextValue("CONFIRMED")
				},
				Set: func(o object, v domain.Value) error {
					if s := v.Text(); s != "CONFIRMED" && s != "CLOSED" && s != "CANCELLED" {
						return errors.New("an order in Shopify is CONFIRMED, CLOSED or CANCELLED")
					}
					o["stage"] = v.Text()
					return nil
				}},
			enumRow("paymentStatus", "displayFinancialStatus", map[string]string{"PAID": "PAID", "PARTIALLY_PAID": "PARTIALLY_PAID", "PARTIALLY_REFUNDED": "PARTIALLY_REFUNDED", "REFUNDED": "REFUNDED"}, "UNPAID"),
			enumRow("fulfilmentStatus", "displayFulfillmentStatus", map[string]string{"FULFILLED": "FULFILLED", "PARTIALLY_FULFILLED": "PARTIAL"}, "UNFULFILLED"),
			dateRow("orderDate", "processedAt"),
			refRow("location", "of a sale at a counter", "retailLocation", "legacyResourceId"),
			row("currency", 0, "the shop's", []string{"currencyCode"}),
			{Field: "taxMode", Paths: []string{"taxesIncluded"}, Get: taxMode},
			{Field: "lines", Paths: []string{"lineItems", "shippingLines"}, Note: "what was sold; removed by editing is left out, refunded is not", Get: orderLines},
			totalRow("subtotal", "currentTotalPriceSet", func(t totals) decimal.Decimal { return t.total.Sub(t.tax) }),
			totalRow("taxTotal", "currentTotalTaxSet", func(t totals) decimal.Decimal { return t.tax }),
			totalRow("rounding", "totalCashRoundingAdjustment", func(t totals) decimal.Decimal { return t.rounding }),
			totalRow("total", "currentTotalPriceSet", func(t totals) decimal.Decimal { return t.total.Add(t.rounding) }),
			{Field: "amountPaid", Paths: []string{"totalReceivedSet"}, Get: func(o object) domain.Value {
				t, ok := orderTotals(o)
				if !ok {
					return ""
				}
				return moneyValue(bag(o, "totalReceivedSet").Add(t.rounding), o)
			}},
			{Field: "amountRefunded", Paths: []string{"totalRefundedSet"}, Get: func(o object) domain.Value { return moneyValue(bag(o, "totalRefundedSet"), o) }},
			row("reference", 0, "the customer's own number", []string{"poNumber"}),
			row("email", 0, "", []string{"email"}),
			addressRow("billingAddress", "billingAddress", false),
			addressRow("shippingAddress", "shippingAddress", false),
			row("channel", 0, "web, pos, …", []string{"sourceName"}),
			noteRow(),
			tagsRow("tags"),
		},
		Known: []string{"id", "legacyResourceId", "createdAt", "updatedAt", "test", "edited", "refunds", "shop"},
	}
}

func enumRow(f domain.Field, member string, known map[string]string, otherwise string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{member}, Get: func(o object) domain.Value {
		if v := known[within(o, member)]; v != "" {
			return domain.TextValue(v)
		}
		return domain.TextValue(otherwise)
	}}
}

// dateRow maps an instant to the date that it was in the shop.
func dateRow(f domain.Field, member string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{member}, Note: "in the shop's time zone", Get: func(o object) domain.Value {
		return domain.TextValue(localDate(within(o, member), o))
	}}
}

// localDate is the day of an instant in the zone that the record notes of the shop.
func localDate(instant string, o object) string {
	t, err := time.Parse(time.RFC3339, instant)
	if err != nil {
		return instant // Normalize makes it an issue
	}
	zone, err := time.LoadLocation(within(o, "shop", "ianaTimezone"))
	if err != nil {
		minutes, _ := decimal.NewFromString(within(o, "shop", "timezoneOffsetMinutes")) // 0, UTC, if it is unknown
		zone = time.FixedZone("", int(minutes.IntPart())*60)
	}
	return t.In(zone).Format(time.DateOnly)
}

func taxMode(o object) domain.Value {
	if within(o, "taxesIncluded") == "true" {
		return domain.TextValue(string(money.Inclusive))
	}
	return domain.TextValue(string(money.Exclusive))
}

// bag is the amount of a MoneyBag in the shop's currency, 0 if there is none.
func bag(o object, member string) decimal.Decimal {
	return decimalOf(within(o, member, "shopMoney", "amount"))
}

func decimalOf(s string) decimal.Decimal {
	d, err := decimal.NewFromString(s)
	if err != nil {
		return decimal.Decimal{}
	}
	return d
}

func moneyValue(d decimal.Decimal, o object) domain.Value {
	return domain.ValueOf(money.Money{Amount: d, Currency: within(o, "currencyCode")})
}

func totalRow(f domain.Field, path string, of func(totals) decimal.Decimal) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{path}, Note: "Shopify's figure, with what was refunded added again", Get: func(o object) domain.Value {
		t, ok := orderTotals(o)
		if !ok {
			return ""
		}
		return moneyValue(of(t), o)
	}}
}

// totals are an order's figures as sold. Shopify's present figures are after refunds, so what was refunded of lines and
// shipping is added again; orders edited or not, its own sums before refunds leave edits aside.
type totals struct{ total, tax, rounding decimal.Decimal }

func orderTotals(o object) (totals, bool) {
	t := totals{total: bag(o, "currentTotalPriceSet"), tax: bag(o, "currentTotalTaxSet"), rounding: bag(at(o, "totalCashRoundingAdjustment"), "paymentSet")}
	inclusive := within(o, "taxesIncluded") == "true"
	for _, r := range list(o, "refunds") {
		if r["refundLineItems"] == nil {
			return t, false // not read: nothing is known
		}
		for _, l := range list(r, "refundLineItems", "nodes") {
			t.add(bag(l, "subtotalSet"), bag(l, "totalTaxSet"), inclusive)
		}
		for _, l := range list(r, "refundShippingLines", "nodes") {
			t.add(bag(l, "subtotalAmountSet"), bag(l, "taxAmountSet"), inclusive)
		}
	}
	return t, true
}

func (t *totals) add(subtotal, tax decimal.Decimal, inclusive bool) {
	t.total, t.tax = t.total.Add(subtotal), t.tax.Add(tax)
	if !inclusive {
		t.total = t.total.Add(tax)
	}
}

// orderLines are the lines as sold. A rate that is neither 10% nor 0% becomes an issue, as does a list that is not whole.
func orderLines(o object) domain.Value {
	back := map[string]decimal.Decimal{}
	for _, r := range list(o, "refunds") {
		if r["refundLineItems"] == nil {
			return ""
		}
		for _, l := range list(r, "refundLineItems", "nodes") {
			id := within(l, "lineItem", "id")
			back[id] = back[id].Add(decimalOf(within(l, "quantity")))
		}
	}
	lines := []domain.Line{}
	taxes, edited := decimal.Decimal{}, -1 // edited is the last line that was edited and is taxed
	for _, l := range list(o, "lineItems", "nodes") {
		ordered := decimalOf(within(l, "quantity"))
		sold := decimalOf(within(l, "currentQuantity")).Add(back[within(l, "id")])
		if sold.Sign() <= 0 {
			continue // removed by editing
		}
		discount := decimal.Decimal{}
		for _, d := range list(l, "discountAllocations") {
			discount = discount.Add(bag(d, "allocatedAmountSet"))
		}
		tax := taxOf(l)
		if !sold.Equal(ordered) { // edited: Shopify's figures of the line are still for what was ordered
			discount, tax = discount.Mul(sold).Div(ordered).Round(2), tax.Mul(sold).Div(ordered).Round(2)
			if !tax.IsZero() {
				edited = len(lines)
			}
		}
		taxes = taxes.Add(tax)
		unit := bag(l, "originalUnitPriceSet")
		lines = append(lines, domain.Line{Product: domain.Ext(within(l, "variant", "legacyResourceId")), SKU: within(l, "sku"), Description: within(l, "name"), Quantity: sold.String(),
			UnitPrice: unit.String(), DiscountAmount: nonZero(discount), TaxCode: taxCode(l), Amount: unit.Mul(sold).Sub(discount).Round(2).String(), Tax: taxOn(l, tax)})
	}
	for _, l := range list(o, "shippingLines", "nodes") {
		taxes = taxes.Add(taxOf(l))
		full, net := bag(l, "originalPriceSet"), bag(l, "discountedPriceSet")
		lines = append(lines, domain.Line{Kind: domain.LineShipping, Description: within(l, "title"), Quantity: "1", UnitPrice: full.String(), DiscountAmount: nonZero(full.Sub(net)),
			TaxCode: taxCode(l), Amount: net.String(), Tax: taxOn(l, taxOf(l))})
	}
	// Shopify shows no tax of what is left of an edited line, only of the order: the last such line bears the odd cent.
	if t, ok := orderTotals(o); ok && edited >= 0 {
		lines[edited].Tax = decimalOf(lines[edited].Tax).Add(t.tax.Sub(taxes)).String()
	}
	if len(lines) == 0 {
		return domain.Null
	}
	return domain.ValueOf(lines)
}

func nonZero(d decimal.Decimal) string {
	if d.IsZero() {
		return ""
	}
	return d.String()
}

// taxOn is the tax of a line. Of a taxed one it is given even where it is nothing: a gift, free delivery, a washer at one cent.
func taxOn(l object, tax decimal.Decimal) string {
	if taxCode(l) == string(money.TaxFree) {
		return nonZero(tax)
	}
	return tax.String()
}

func taxOf(l object) (sum decimal.Decimal) {
	for _, t := range list(l, "taxLines") {
		sum = sum.Add(bag(t, "priceSet"))
	}
	return sum
}

// taxCode reads the code from the rates: 10% is GST, none is free of it. Other rates are spelled out, which no table knows.
func taxCode(l object) string {
	sum := decimal.Decimal{}
	for _, t := range list(l, "taxLines") {
		sum = sum.Add(decimalOf(within(t, "rate")))
	}
	switch {
	case sum.IsZero():
		return string(money.TaxFree)
	case sum.Equal(decimal.New(1, -1)):
		return string(money.TaxGST)
	}
	return fmt.Sprintf("tax at %s%%", sum.Shift(2))
}

// updateOrder writes tags and notes, then the stage, and reads the order again after a change of stage.
func (a *adapter) updateOrder(ctx context.Context, w adapters.Write, set, base object) (domain.Record, error) {
	id := gid("Order", w.ExternalID)
	stage := adapters.String(set, "stage")
	delete(set, "stage")
	set["id"] = id
	var rec domain.Record
	if len(set) > 1 {
		var out struct {
			Update struct {
				Order  object      `json:"order"`
				Errors []userError `json:"userErrors"`
			} `json:"orderUpdate"`
		}
		s, err := a.mutate(ctx, mutationUpdateOrder, vars{"input": set}, &out, true)
		if err == nil {
			err = a.refused(out.Update.Errors)
		}
		if err != nil {
			return rec, err
		}
		if rec, err = a.answered(ctx, w.Kind, out.Update.Order, s); err != nil {
			return rec, err
		}
	}
	m, err := a.mapping(w.Kind)
	if err != nil {
		return rec, err
	}
	if was := m.Row("stage").Get(base).Text(); stage != "" && stage != was {
		if err := a.moveOrder(ctx, id, was, stage); err != nil {
			return rec, err
		}
		rec = domain.Record{}
	}
	if rec.ExternalID != "" {
		return rec, nil
	}
	recs, err := a.fetch(ctx, w.Kind, []string{w.ExternalID})
	if err != nil {
		return rec, err
	}
	if len(recs) == 0 {
		return rec, a.err(domain.NotFound, "Shopify has no order %s", w.ExternalID)
	}
	return recs[0], nil
}

// moveOrder cancels, closes or opens an order. Each may be repeated: what is done already is refused and changes nothing.
func (a *adapter) moveOrder(ctx context.Context, id, was, stage string) error {
	if was == "CANCELLED" {
		return a.err(domain.Invalid, "an order that is cancelled in Shopify stays so")
	}
	text := map[string]string{"CANCELLED": mutationCancelOrder, "CLOSED": mutationCloseOrder, "CONFIRMED": mutationOpenOrder}[stage]
	var out map[string]struct {
		Errors       []userError `json:"userErrors"`
		CancelErrors []userError `json:"orderCancelUserErrors"`
	}
	if _, err := a.mutate(ctx, text, vars{"id": id}, &out, true); err != nil {
		return err
	}
	for _, p := range out {
		if err := a.refused(append(p.Errors, p.CancelErrors...)); err != nil {
			return err
		}
	}
	return nil
}
