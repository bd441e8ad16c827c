package shopify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/shopspring/decimal"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// creditNoteMapping is the table of CreditNote: a refund. It cannot be changed once it is made. One that Datum makes takes
// goods back in the shop's books and moves no money and no stock: people refund, and stock has an owner.
func creditNoteMapping() adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindCreditNote, Object: "Refunds", IDField: "note",
		Rows: []adapters.Row{
			refRow("customer", "the order's", "order", "customer", "legacyResourceId"),
			{Field: "stage", Paths: []string{"totalRefundedSet"}, Note: "PAID once as much money was given back", Get: func(o object) domain.Value {
				if remaining(o).Sign() <= 0 {
					return domain.TextValue("PAID")
				}
				return domain.TextValue("AUTHORISED")
			}},
			dateRow("issueDate", "processedAt"),
			row("currency", 0, "the shop's", []string{"order", "currencyCode"}),
			{Field: "taxMode", Paths: []string{"order"}, Get: func(o object) domain.Value { return taxMode(at(o, "order")) }},
			{Field: "lines", Paths: []string{"refundLineItems", "refundShippingLines", "orderAdjustments"}, Note: "adjustments are lines without a product",
				Get: refundLines,
				Set: func(o object, v domain.Value) error {
					ls := domain.LinesOf(v)
					if len(ls) == 0 {
						return errors.New("a refund needs lines")
					}
					o["lines"] = ls
					return nil
				},
				Fit: fitRefundLines},
			refundTotal("subtotal", func(t totals) decimal.Decimal { return t.total.Sub(t.tax) }),
			refundTotal("taxTotal", func(t totals) decimal.Decimal { return t.tax }),
			refundTotal("total", func(t totals) decimal.Decimal { return t.total }),
			{Field: "remainingCredit", Paths: []string{"totalRefundedSet"}, Get: func(o object) domain.Value {
				return moneyValue(decimal.Max(remaining(o), decimal.Decimal{}), at(o, "order"))
			}},
			row("reference", 0, "the order's number", []string{"order", "name"}),
			{Field: "reason", Paths: []string{"note"}, Max: maxNote - 40, Note: "our id stands after it",
				Get: func(o object) domain.Value {
					reason, _ := splitNote(within(o, "note"))
					return domain.TextValue(reason)
				},
				Set: func(o object, v domain.Value) error { o["note"] = v.Text(); return nil }},
			{Field: "order", Paths: []string{"order"}, Note: "fixed when it is made",
				Get: func(o object) domain.Value {
					return domain.TextValue(domain.Ext(within(o, "order", "legacyResourceId")))
				},
				Set: setRef("order")},
		},
		Known: []string{"id", "legacyResourceId", "createdAt", "updatedAt", "shop"},
	}
}

// refundTotals adds a refund up: Shopify has no total of what is credited, only of the money given back.
func refundTotals(o object) (t totals) {
	inclusive := within(o, "order", "taxesIncluded") == "true"
	for _, l := range list(o, "refundLineItems", "nodes") {
		t.add(bag(l, "subtotalSet"), bag(l, "totalTaxSet"), inclusive)
	}
	for _, l := range list(o, "refundShippingLines", "nodes") {
		t.add(bag(l, "subtotalAmountSet"), bag(l, "taxAmountSet"), inclusive)
	}
	for _, a := range list(o, "orderAdjustments", "nodes") { // what goods and money differ by; negative gives more
		t.add(bag(a, "amountSet").Neg(), bag(a, "taxAmountSet").Neg(), inclusive)
	}
	return t
}

func refundTotal(f domain.Field, of func(totals) decimal.Decimal) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{"refundLineItems"}, Note: "the sum of Shopify's figures", Get: func(o object) domain.Value {
		return moneyValue(of(refundTotals(o)), at(o, "order"))
	}}
}

func remaining(o object) decimal.Decimal {
	return refundTotals(o).total.Sub(bag(o, "totalRefundedSet"))
}

func refundLines(o object) domain.Value {
	lines := []domain.Line{}
	for _, l := range list(o, "refundLineItems", "nodes") {
		n, unit, sum := decimalOf(within(l, "quantity")), bag(l, "priceSet"), bag(l, "subtotalSet")
		lines = append(lines, domain.Line{Product: domain.Ext(within(l, "lineItem", "variant", "legacyResourceId")), SKU: within(l, "lineItem", "sku"), Description: within(l, "lineItem", "name"),
			Quantity: n.String(), UnitPrice: unit.String(), DiscountAmount: nonZero(unit.Mul(n).Sub(sum)), TaxCode: taxCode(at(l, "lineItem")), Amount: sum.String(), Tax: taxOn(at(l, "lineItem"), bag(l, "totalTaxSet"))})
	}
	for _, l := range list(o, "refundShippingLines", "nodes") {
		sum, tax := bag(l, "subtotalAmountSet"), bag(l, "taxAmountSet")
		lines = append(lines, domain.Line{Kind: domain.LineShipping, Description: within(l, "shippingLine", "title"), Quantity: "1", UnitPrice: sum.String(), TaxCode: codeByTax(tax), Amount: sum.String(), Tax: nonZero(tax)})
	}
	for _, a := range list(o, "orderAdjustments", "nodes") {
		sum, tax := bag(a, "amountSet").Neg(), bag(a, "taxAmountSet").Neg()
		lines = append(lines, domain.Line{Description: "Adjustment: " + within(a, "reason"), Quantity: "1", UnitPrice: sum.String(), TaxCode: codeByTax(tax), Amount: sum.String(), Tax: nonZero(tax)})
	}
	if len(lines) == 0 {
		return domain.Null
	}
	return domain.ValueOf(lines)
}

func codeByTax(tax decimal.Decimal) string {
	if tax.IsZero() {
		return string(money.TaxFree)
	}
	return string(money.TaxGST)
}

// fitRefundLines leaves of a line what the order decides nothing about.
func fitRefundLines(v domain.Value) domain.Value {
	ls := domain.LinesOf(v)
	for i := range ls {
		ls[i].Account, ls[i].DiscountRate = "", ""
	}
	return domain.ValueOf(ls)
}

// refundInput is the input of a refund of the lines: each line names a product that the order holds, or is shipping.
func refundInput(o object, ls []domain.Line, order object) error {
	var items []object
	shipping := decimal.Decimal{}
	left := map[string]decimal.Decimal{}
	for _, l := range list(order, "lineItems", "nodes") {
		left[within(l, "id")] = decimalOf(within(l, "currentQuantity"))
	}
	for i, l := range ls {
		if l.Kind == domain.LineShipping {
			shipping = shipping.Add(decimalOf(l.UnitPrice).Mul(decimalOf(l.Quantity)))
			continue
		}
		n := decimalOf(l.Quantity)
		if l.Kind != "" || !n.IsInteger() || n.Sign() <= 0 {
			return fmt.Errorf("line %d: Shopify refunds whole pieces of what was ordered, and shipping", i+1)
		}
		product, _ := domain.ExtID(l.Product)
		for _, ol := range list(order, "lineItems", "nodes") {
			id := within(ol, "id")
			same := product != "" && within(ol, "variant", "legacyResourceId") == product || product == "" && within(ol, "name") == l.Description
			if take := decimal.Min(n, left[id]); same && take.Sign() > 0 {
				items = append(items, object{"lineItemId": id, "quantity": take.IntPart(), "restockType": "NO_RESTOCK"})
				left[id], n = left[id].Sub(take), n.Sub(take)
			}
		}
		if n.Sign() > 0 {
			return fmt.Errorf("line %d: the order does not hold so many of %q that are not refunded yet", i+1, l.Description)
		}
	}
	o["refundLineItems"] = items
	if shipping.Sign() > 0 {
		o["shipping"] = object{"amount": shipping.StringFixed(2)}
	}
	return nil
}

// joinNote puts our id after a refund's note, splitNote parts them again.
func joinNote(reason, id string) string {
	if id == "" {
		return reason
	}
	return strings.TrimSpace(reason + " [" + id + "]")
}

func splitNote(note string) (reason, id string) {
	head, tail, ok := strings.Cut(strings.TrimSuffix(note, "]"), "[crn_")
	if !ok || domain.KindOfID("crn_"+tail) != domain.KindCreditNote {
		return note, ""
	}
	return strings.TrimSpace(head), "crn_" + tail
}

// createRefund makes a refund of an order's lines. Our id stands at the end of its note, by which one that was made before is
// found among the order's refunds.
func (a *adapter) createRefund(ctx context.Context, w adapters.Write, set object) (domain.Record, error) {
	id := adapters.String(set, "order")
	ls, _ := set["lines"].([]domain.Line)
	if id == "" || len(ls) == 0 {
		return domain.Record{}, a.err(domain.Invalid, "a refund needs its order and lines to be made in Shopify")
	}
	orders, s, err := a.nodes(ctx, domain.KindOrder, []string{gid("Order", id)})
	if err != nil {
		return domain.Record{}, err
	}
	if len(orders) == 0 {
		return domain.Record{}, a.err(domain.NotFound, "Shopify has no order %s", id)
	}
	if err := a.wholeOrder(ctx, orders[0]); err != nil {
		return domain.Record{}, err
	}
	for _, r := range list(orders[0], "refunds") {
		if _, mark := splitNote(within(r, "note")); mark == w.CanonicalID && mark != "" {
			r["order"] = headOf(orders[0])
			return a.answered(ctx, w.Kind, r, s)
		}
	}
	input := object{"orderId": gid("Order", id), "note": joinNote(adapters.String(set, "note"), w.CanonicalID)}
	if err := refundInput(input, ls, orders[0]); err != nil {
		e := a.err(domain.Invalid, "%v", err)
		e.Field = "lines"
		return domain.Record{}, e
	}
	var out struct {
		Create struct {
			Refund object      `json:"refund"`
			Errors []userError `json:"userErrors"`
		} `json:"refundCreate"`
	}
	s, err = a.mutate(ctx, mutationRefund, vars{"input": input, "key": keyFor(w)}, &out, true)
	if err == nil {
		err = a.refused(out.Create.Errors)
	}
	if err != nil {
		return domain.Record{}, err
	}
	return a.answered(ctx, w.Kind, out.Create.Refund, s)
}

// headOf is what a refund shows of its order.
func headOf(o object) object {
	return object{"legacyResourceId": o["legacyResourceId"], "name": o["name"], "currencyCode": o["currencyCode"], "taxesIncluded": o["taxesIncluded"], "test": o["test"], "customer": o["customer"]}
}
