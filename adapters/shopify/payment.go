package shopify

import (
	"datum/adapters"
	"datum/domain"
)

// paymentMapping is the table of Payment: a transaction by which money moved. Authorisations, voids of them, and attempts that
// failed or are still open move none and are no payments. It is only read.
func paymentMapping() adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindPayment, Object: "Order transactions",
		Rows: []adapters.Row{
			refRow("customer", "the order's", "order", "customer", "legacyResourceId"),
			{Field: "stage", Paths: []string{"status"}, Note: "SUCCESS", Get: func(object) domain.Value { return domain.TextValue("AUTHORISED") }},
			enumRow("direction", "kind", map[string]string{"REFUND": "REFUNDED"}, "RECEIVED"),
			dateRow("date", "processedAt"),
			{Field: "amount", Paths: []string{"amountSet", "amountRoundingSet"}, Note: "with the rounding of cash", Get: func(o object) domain.Value {
				return moneyValue(bag(o, "amountSet").Add(bag(o, "amountRoundingSet")), at(o, "amountSet", "shopMoney"))
			}},
			row("method", 0, "", []string{"gateway"}),
			row("reference", 0, "", []string{"paymentId"}),
			refRow("order", "", "order", "legacyResourceId"),
		},
		Known: []string{"id", "formattedGateway", "test", "createdAt", "order", "shop"},
	}
}

// isPayment tells transactions by which money moved.
func isPayment(o object) bool {
	kind := within(o, "kind")
	return within(o, "status") == "SUCCESS" && (kind == "SALE" || kind == "CAPTURE" || kind == "REFUND")
}
