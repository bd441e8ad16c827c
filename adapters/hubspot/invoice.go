package hubspot

import (
	"errors"

	"datum/adapters"
	"datum/domain"
)

func invoiceProperties() []property {
	return []property{
		textProperty("invoice_number", "Invoice number", "As issued by accounting"),
		choiceProperty("invoice_stage", "Invoice stage", "DRAFT", "SUBMITTED", "AUTHORISED", "PAID", "VOIDED"),
		numberProperty("invoice_subtotal", "Subtotal", "Without GST"), numberProperty("invoice_tax", "GST", ""), numberProperty("invoice_rounding", "Rounding", ""),
		numberProperty("invoice_total", "Total", ""), numberProperty("invoice_paid", "Amount paid", ""), numberProperty("invoice_credited", "Amount credited", ""),
		numberProperty("invoice_due", "Amount due", ""), textProperty("customer_reference", "Customer's reference", ""),
		textProperty(customerContact, "Datum customer", "Written by Datum; do not edit"),
	}
}

// invoiceMapping is the table of Invoice: how an invoice that accounting issued stands, shown to those who sell. The invoice
// stays a draft in HubSpot, which therefore neither numbers, sends nor collects it; HubSpot's own numbers, balances and states
// of an invoice cannot be written. Lines stay where it was issued.
func invoiceMapping() adapters.Mapping {
	text := adapters.TextRow
	const currency = "hs_currency"
	return adapters.Mapping{
		Kind:    domain.KindInvoice,
		Object:  "Invoices",
		IDField: idProperty,
		Rows: []adapters.Row{
			text("number", "invoice_number", maxText, "custom; HubSpot numbers only invoices that it bills"),
			customerRow(),
			text("stage", "invoice_stage", 0, "custom; hs_invoice_status stays draft"),
			dayRow("issueDate", "hs_invoice_date", ""),
			dayRow("dueDate", "hs_due_date", ""),
			{Field: "currency", Paths: []string{currency}, Note: "HubSpot has no invoice without one",
				Get: func(o adapters.Object) domain.Value { return domain.TextValue(adapters.String(o, currency)) },
				Set: func(o adapters.Object, v domain.Value) error {
					if v.Empty() {
						return errors.New("HubSpot has no invoice without a currency")
					}
					o[currency] = v.Text()
					return nil
				}},
			moneyRow("subtotal", "invoice_subtotal", currency, "custom"),
			moneyRow("taxTotal", "invoice_tax", currency, "custom"),
			moneyRow("rounding", "invoice_rounding", currency, "custom"),
			moneyRow("total", "invoice_total", currency, "custom"),
			moneyRow("amountPaid", "invoice_paid", currency, "custom"),
			moneyRow("amountCredited", "invoice_credited", currency, "custom"),
			moneyRow("amountDue", "invoice_due", currency, "custom"),
			text("reference", "customer_reference", maxText, "custom"),
		},
		Known: append([]string{"hs_invoice_status", "hs_number", "hs_balance_due", "hs_amount_billed", customerContact}, stamps...),
	}
}
