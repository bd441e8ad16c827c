package xero

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// paymentMapping is the table of Payment <-> Payment of an invoice or of what is left of a credit note. A payment at Xero
// belongs to one of either and cannot be changed, only deleted, which is our stage VOIDED. What pays several invoices or leaves a
// rest is an overpayment.
func paymentMapping(d defaults) adapters.Mapping {
	document := func(o object) (ref domain.Allocation, of object) {
		if of = inner(o, "CreditNote"); of != nil {
			return domain.Allocation{CreditNote: domain.Ext(adapters.String(of, "CreditNoteID"))}, of
		}
		of = inner(o, "Invoice")
		return domain.Allocation{Invoice: domain.Ext(adapters.String(of, "InvoiceID"))}, of
	}
	return adapters.Mapping{
		Kind: domain.KindPayment, Object: "Payments", IDField: "Reference",
		Rows: []adapters.Row{
			{Field: "customer", Paths: []string{"Invoice.Contact", "CreditNote.Contact"}, Note: "that of the document, read-only", Get: func(o object) domain.Value {
				_, of := document(o)
				return domain.TextValue(domain.Ext(adapters.String(inner(of, "Contact"), "ContactID")))
			}},
			{Field: "direction", Paths: []string{"PaymentType"}, Note: "follows from what is paid, an invoice or a credit note; read-only", Get: func(o object) domain.Value {
				if adapters.String(o, "PaymentType") == "ARCREDITPAYMENT" {
					return `"REFUNDED"`
				}
				return `"RECEIVED"`
			}},
			dateRow("date", "Date", ""),
			{Field: "amount", Paths: []string{"Amount"}, Note: "at most what is due; equal to its one allocation",
				Get: func(o object) domain.Value {
					_, of := document(o)
					return amountValue(o, "Amount", defaulted(adapters.String(of, "CurrencyCode"), d.currency))
				},
				Set: func(o object, v domain.Value) error {
					var m money.Money
					if err := v.Decode(&m); err != nil || v.Empty() || !m.Amount.IsPositive() {
						return fmt.Errorf("xero needs an amount above 0")
					}
					o["Amount"] = json.Number(m.Decimal())
					return nil
				}},
			referenceRow(domain.KindPayment, 220),
			{Field: "account", Paths: []string{"Account.Code"}, Max: 10, Note: "left out if it is " + d.bank,
				Get: func(o object) domain.Value { return hidden(adapters.String(inner(o, "Account"), "Code"), d.bank) },
				Set: func(o object, v domain.Value) error {
					o["Account"] = object{"Code": defaulted(v.Text(), d.bank)}
					return nil
				},
				Fit: func(v domain.Value) domain.Value { return hidden(v.Text(), d.bank) }},
			{Field: "allocations", Paths: []string{"Invoice.InvoiceID", "CreditNote.CreditNoteID"}, Note: "its date is the payment's; several invoices, or a rest on the customer's account, make it an overpayment, which is booked in the account of the setting bankAccount",
				Get: func(o object) domain.Value {
					a, of := document(o)
					if of == nil {
						return ""
					}
					a.Amount = adapters.String(o, "Amount")
					return domain.ValueOf([]domain.Allocation{a})
				},
				Set: setPaid,
				Fit: func(v domain.Value) domain.Value {
					as := domain.AllocationsOf(v)
					for i := range as {
						as[i].Date = ""
					}
					return domain.ValueOf(as)
				}},
			{Field: "stage", Paths: []string{"Status"}, Note: "DELETED reads as VOIDED; a payment that is reconciled cannot be deleted",
				Get: func(o object) domain.Value {
					if s := adapters.String(o, "Status"); s != "DELETED" {
						return domain.TextValue(s)
					}
					return `"VOIDED"`
				},
				Fit: func(v domain.Value) domain.Value {
					if v.Empty() {
						return `"AUTHORISED"`
					}
					return v
				},
				Set: func(o object, v domain.Value) error {
					switch v.Text() {
					case "AUTHORISED":
						o["Status"] = "AUTHORISED"
					case "VOIDED":
						o["Status"] = "DELETED"
					default:
						return fmt.Errorf("a payment at xero is authorised or deleted")
					}
					return nil
				}},
		},
		Known: []string{"PaymentID", "BatchPaymentID", "BatchPayment", "BankAmount", "CurrencyRate", "UpdatedDateUTC", "UpdatedDateUTCString", "HasAccount", "IsReconciled",
			"Invoice", "CreditNote", "Account", "HasValidationErrors", "ValidationErrors", "StatusAttributeString", "Warnings", "BankAccountNumber", "Particulars", "Details", "Code"},
	}
}

// hidden is the code of an account, empty if it is the one that is meant where none is named.
func hidden(code, usual string) domain.Value {
	if code == usual {
		return domain.Null
	}
	return domain.TextValue(code)
}

// setPaid names the document that is paid.
func setPaid(o object, v domain.Value) error {
	as := domain.AllocationsOf(v)
	if len(as) != 1 {
		return fmt.Errorf("xero takes money given back against one credit note and this payment has %d; make a payment for each", len(as))
	}
	for key, ref := range map[string]string{"Invoice": as[0].Invoice, "CreditNote": as[0].CreditNote} {
		if ref == "" {
			continue
		}
		id, ok := domain.ExtID(ref)
		if !ok {
			return fmt.Errorf("what it pays is not at xero yet")
		}
		o[key] = object{key + "ID": id}
	}
	return nil
}

// wholePayment reports an allocation of another amount than the payment's, which Xero has no place for.
func wholePayment(v domain.Values) error {
	var m money.Money
	as := domain.AllocationsOf(v["allocations"])
	if v["amount"].Decode(&m) == nil && len(as) == 1 && !m.Amount.Equal(num(as[0].Amount)) {
		return fmt.Errorf("%s of the payment of %s are allocated, and xero takes no payment with a rest; allocate it whole, or add an allocation without a document for what is to stay on the customer's account", as[0].Amount, m.Decimal())
	}
	return nil
}

// deletePayment voids a payment: the only thing that can become of one.
func (a *adapter) deletePayment(ctx context.Context, k *kind, it item) (domain.Record, error) {
	body := []byte(`{"Status":"DELETED"}`)
	resp, err := a.do(ctx, adapters.Call{Method: http.MethodPost, Path: api + "/Payments/" + url.PathEscape(it.write.ExternalID), Body: body,
		Header: http.Header{"Idempotency-Key": {idempotencyKey([]item{it}, body)}}, Write: true, Safe: true})
	if err != nil {
		return domain.Record{}, err
	}
	l, err := a.list(k, resp)
	if err != nil || len(l.objects) != 1 {
		return domain.Record{}, a.err(domain.Unknown, "Xero took the deletion of payment %s but its answer cannot be read; it is looked up before it is written again", it.write.ExternalID)
	}
	return a.record(k, l.objects[0], l.raw[0], resp.SentAt)
}
