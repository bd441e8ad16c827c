package hubspot

import (
	"strings"

	"datum/adapters"
	"datum/domain"
)

func orderProperties() []property {
	list := append(documentProperties(),
		choiceProperty("order_stage", "Order stage", "DRAFT", "CONFIRMED", "CANCELLED", "CLOSED"),
		choiceProperty("fulfilment_status", "Fulfilment", "UNFULFILLED", "PARTIAL", "FULFILLED"),
		choiceProperty("payment_status", "Payment status", "UNPAID", "PARTIALLY_PAID", "PAID", "PARTIALLY_REFUNDED", "REFUNDED"),
		dateProperty("order_date", "Order date"), textProperty("order_email", "E-mail", ""), longProperty("order_notes", "Notes", ""),
		numberProperty("order_rounding", "Rounding", ""), numberProperty("amount_paid", "Amount paid", ""), numberProperty("amount_refunded", "Amount refunded", ""),
		textProperty("order_tags", "Tags", "Separated by semicolons"))
	for _, which := range []string{"billing", "shipping"} {
		for _, n := range []string{"2", "3", "4"} {
			list = append(list, textProperty(which+"_line"+n, "Address line "+n+", "+which, ""))
		}
	}
	return list
}

// shownRow maps a state, and writes it into HubSpot's own property of free text as well, which others may fill with words of
// their own and is therefore not read.
func shownRow(f domain.Field, key, shown string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{key, shown}, Note: "custom; written to " + shown + " too, for HubSpot's own views",
		Get: func(o adapters.Object) domain.Value { return domain.TextValue(adapters.String(o, key)) },
		Set: func(o adapters.Object, v domain.Value) error {
			o[key], o[shown] = v.Text(), strings.ToLower(v.Text())
			return nil
		}}
}

// orderMapping is the table of Order. HubSpot works nothing out on an order: totals are written as they were issued.
func orderMapping() adapters.Mapping {
	text := adapters.TextRow
	const currency = "hs_currency_code"
	address := func(f domain.Field, which string) adapters.Row {
		own := "hs_" + which + "_address_"
		return addressRow(f, own+"street", which+"_line2", which+"_line3", which+"_line4", own+"city", own+"state", own+"postal_code", own+"country")
	}
	return adapters.Mapping{
		Kind:    domain.KindOrder,
		Object:  "Orders",
		IDField: idProperty,
		Rows: []adapters.Row{
			text("number", "hs_order_name", maxText, "what HubSpot shows as the order's name"),
			customerRow(),
			shownRow("stage", "order_stage", "hs_external_order_status"),
			text("paymentStatus", "payment_status", 0, "custom"),
			shownRow("fulfilmentStatus", "fulfilment_status", "hs_fulfillment_status"),
			dayRow("orderDate", "order_date", "custom"),
			currencyRow(currency, ""),
			taxModeRow(),
			linesRow(""),
			moneyRow("subtotal", "hs_subtotal_price", currency, ""),
			moneyRow("taxTotal", "hs_tax", currency, ""),
			moneyRow("rounding", "order_rounding", currency, "custom"),
			moneyRow("total", "hs_total_price", currency, ""),
			moneyRow("amountPaid", "amount_paid", currency, "custom"),
			moneyRow("amountRefunded", "amount_refunded", currency, "custom"),
			text("reference", "customer_reference", maxText, "custom"),
			text("email", "order_email", maxText, "custom"),
			address("billingAddress", "billing"),
			address("shippingAddress", "shipping"),
			text("channel", "hs_source_store", maxText, ""),
			text("notes", "order_notes", maxText, "custom"),
			tagsRow("order_tags"),
			customFieldsRow(),
		},
		Known: append([]string{customerContact}, stamps...),
	}
}
