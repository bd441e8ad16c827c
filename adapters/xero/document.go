package xero

import (
	"fmt"
	"strings"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// What quotes, invoices and credit notes have in common. The status comes last in their tables: it closes a document.

// docKnown are members of every document that are understood and not canonical.
var docKnown = []string{
	"Type", "Contact", "DateString", "DueDateString", "ExpiryDateString", "SubTotal", "TotalTax", "Total", "TotalDiscount", "UpdatedDateUTC", "UpdatedDateUTCString",
	"CurrencyRate", "BrandingThemeID", "SentToContact", "HasAttachments", "HasErrors", "Attachments", "ValidationErrors", "Warnings", "StatusAttributeString",
	"FullyPaidOnDate", "InvoiceAddresses", "CISDeduction", "CISRate",
}

// refRow maps a reference to the object in a member.
func refRow(f domain.Field, key, id, note string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{key + "." + id}, Note: note,
		Get: func(o object) domain.Value { return domain.TextValue(domain.Ext(adapters.String(inner(o, key), id))) },
		Set: func(o object, v domain.Value) error {
			x, ok := domain.ExtID(v.Text())
			if !ok {
				return fmt.Errorf("xero needs a %s, and one that it has", f)
			}
			o[key] = object{id: x} // more would change the contact itself
			return nil
		},
	}
}

func dateRow(f domain.Field, key, note string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{key}, Note: note,
		Get: func(o object) domain.Value { return dateValue(o, key) },
		Set: func(o object, v domain.Value) error {
			if v.Empty() {
				return fmt.Errorf("xero cannot take a date away; set another")
			}
			o[key] = v.Text()
			return nil
		},
	}
}

// dateValue reads a local date, which Xero writes as the instant of its midnight in UTC.
func dateValue(o object, key string) domain.Value {
	at, ok := parseTime(adapters.String(o, key))
	if !ok {
		return domain.TextValue(adapters.String(o, key))
	}
	return domain.TextValue(at.Format("2006-01-02"))
}

// totalRow is an amount that Xero works out.
func totalRow(f domain.Field, key string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{key}, Note: "Xero's own", Get: func(o object) domain.Value { return amountValue(o, key, adapters.String(o, "CurrencyCode")) }}
}

func amountValue(o object, key, currency string) domain.Value {
	n := adapters.String(o, key)
	if n == "" {
		return ""
	}
	return domain.ValueOf(object{"amount": n, "currency": currency})
}

// taxModeRow maps LineAmountTypes, which quotes write in capitals.
func taxModeRow(upper bool) adapters.Row {
	words := map[string]string{"Exclusive": string(money.Exclusive), "Inclusive": string(money.Inclusive), "NoTax": string(money.NoTax)}
	return adapters.Row{Field: "taxMode", Paths: []string{"LineAmountTypes"},
		Get: func(o object) domain.Value {
			w := adapters.String(o, "LineAmountTypes")
			for word, mode := range words {
				if strings.EqualFold(word, w) {
					return domain.TextValue(mode)
				}
			}
			return domain.TextValue(w)
		},
		Set: func(o object, v domain.Value) error {
			for word, mode := range words {
				if mode == v.Text() {
					if o["LineAmountTypes"] = word; upper {
						o["LineAmountTypes"] = strings.ToUpper(word)
					}
					return nil
				}
			}
			return fmt.Errorf("xero needs to know whether the prices have GST: INCLUSIVE, EXCLUSIVE or NO_TAX")
		},
	}
}

func currencyRow() adapters.Row {
	return adapters.Row{Field: "currency", Paths: []string{"CurrencyCode"}, Max: 3, Get: textOf("CurrencyCode"), Note: "must be one of the organisation's currencies",
		Set: setRequired("CurrencyCode", "every document at xero has a currency")}
}

func numberRow(key, note string) adapters.Row {
	return adapters.Row{Field: "number", Paths: []string{key}, Max: 255, Note: note, Get: textOf(key),
		Set: setRequired(key, "xero does not take a number away; set another")}
}

// stageRow maps the status. Fit says as what the stages that Xero has no status for, or sets itself, are written.
func stageRow(fit map[string]string, note string) adapters.Row {
	fitted := func(v domain.Value) domain.Value {
		if to := fit[v.Text()]; to != "" {
			return domain.TextValue(to)
		}
		return v
	}
	return adapters.Row{Field: "stage", Paths: []string{"Status"}, Note: note,
		Get: func(o object) domain.Value {
			switch s := adapters.String(o, "Status"); s {
			case "DELETED":
				return "" // the record says so
			default:
				return domain.TextValue(s)
			}
		},
		Set: func(o object, v domain.Value) error {
			if v.Empty() {
				return fmt.Errorf("a document at xero always has a status")
			}
			o["Status"] = fitted(v).Text()
			return nil
		},
		Fit: fitted,
	}
}

func invoiceMapping(d defaults) adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindInvoice, Object: "Invoices", IDField: "Url",
		Rows: []adapters.Row{
			numberRow("InvoiceNumber", "unique; Xero gives the next one to an invoice that is created without"),
			refRow("customer", "Contact", "ContactID", "only the ContactID is sent"),
			dateRow("issueDate", "Date", ""),
			dateRow("dueDate", "DueDate", "required to authorise"),
			currencyRow(), taxModeRow(false), linesRow(d, true),
			totalRow("subtotal", "SubTotal"), totalRow("taxTotal", "TotalTax"), totalRow("total", "Total"),
			paidRow(), creditedRow(), totalRow("amountDue", "AmountDue"),
			{Field: "reference", Paths: []string{"Reference"}, Max: 255, Get: textOf("Reference"), Set: setText("Reference")},
			stageRow(map[string]string{"PAID": "AUTHORISED"}, "sales invoices (ACCREC) only; PAID is set by Xero when payments and credit notes cover it, so it is written as AUTHORISED; VOIDED is refused while there are any"),
		},
		Known: append([]string{"InvoiceID", "RepeatingInvoiceID", "ExpectedPaymentDate", "PlannedPaymentDate", "IsDiscounted", "Payments", "Prepayments", "Overpayments", "CreditNotes"}, docKnown...),
	}
}

func quoteMapping(d defaults) adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindQuote, Object: "Quotes", IDField: "Reference",
		Rows: []adapters.Row{
			numberRow("QuoteNumber", "unique; Xero gives the next one to a quote that is created without"),
			{Field: "title", Paths: []string{"Title"}, Max: 100, Get: textOf("Title"), Set: setText("Title")},
			refRow("customer", "Contact", "ContactID", "only the ContactID is sent"),
			dateRow("issueDate", "Date", ""),
			dateRow("expiryDate", "ExpiryDate", ""),
			currencyRow(), taxModeRow(true), linesRow(d, true),
			totalRow("subtotal", "SubTotal"), totalRow("taxTotal", "TotalTax"), totalRow("total", "Total"),
			referenceRow(domain.KindQuote, 3900),
			{Field: "notes", Paths: []string{"Summary"}, Max: 3000, Get: textOf("Summary"), Set: setText("Summary")},
			stageRow(map[string]string{"EXPIRED": "SENT"}, "EXPIRED is no status of Xero's and is written as SENT; a draft is sent before it is accepted, declined or invoiced, in two calls"),
		},
		Known: append([]string{"QuoteID", "Terms"}, docKnown...),
	}
}
