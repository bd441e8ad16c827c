package myob

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/shopspring/decimal"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// refundID begins the external id of a refund, which is another resource than a payment received.
const refundID = "CreditRefund/"

const (
	received = "RECEIVED"
	refunded = "REFUNDED"
)

// paymentMapping is the table of Payment <-> customer payment, or credit refund for one that is REFUNDED. Neither can be changed.
func paymentMapping(currency string) adapters.Mapping {
	either := func(f domain.Field, payment, refund string) adapters.Row {
		return adapters.Row{Field: f, Paths: []string{payment, refund}, Max: 13,
			Get: func(o object) domain.Value { return domain.TextValue(adapters.String(o, pick(o, payment, refund))) },
			Set: func(o object, v domain.Value) error { o[pick(o, payment, refund)] = v.Text(); return nil }}
	}
	reference := needed(either("reference", "ReceiptNumber", "Number"))
	reference.Note = "MYOB counts on if none is given; at most 13"
	return adapters.Mapping{
		Kind: domain.KindPayment, Object: "Sale/CustomerPayment", IDField: "Memo",
		Rows: []adapters.Row{
			needed(customerRow()),
			{Field: "stage", Paths: []string{"UID"}, Note: "to void a payment is to delete it, which a preference can forbid", Fit: fitStage,
				Get: func(object) domain.Value { return domain.TextValue(authorised) }, Set: func(object, domain.Value) error { return nil }},
			{Field: "direction", Paths: []string{"Invoices", "Invoice"}, Fit: fitted(received), Note: "REFUNDED is a Sale/CreditRefund",
				Get: func(o object) domain.Value { return domain.TextValue(pick(o, received, refunded)) },
				Set: func(o object, v domain.Value) error {
					if want := fitted(received)(v).Text(); want != pick(o, received, refunded) {
						return fmt.Errorf("a payment cannot become a refund")
					}
					return nil
				}},
			dateRow("date"),
			needed(adapters.Row{Field: "amount", Paths: []string{"AmountReceived", "Amount"}, Note: "the sum of the allocations",
				Get: func(o object) domain.Value {
					if foreign(o) != "" {
						return ""
					}
					return domain.ValueOf(money.Money{Amount: number(o, pick(o, "AmountReceived", "Amount")), Currency: currency})
				},
				Set: func(o object, v domain.Value) error {
					var m money.Money
					if err := v.Decode(&m); err != nil {
						return err
					}
					if m.Currency != currency || !m.Amount.Equal(m.Amount.Round(2)) {
						return fmt.Errorf("MYOB takes whole cents of %s, not %s", currency, m)
					}
					o[pick(o, "AmountReceived", "Amount")] = json.Number(m.Decimal())
					return nil
				}}),
			{Field: "method", Paths: []string{"PaymentMethod"}, Note: "refunds have none",
				Get: func(o object) domain.Value {
					if isRefund(o) {
						return ""
					}
					return domain.TextValue(adapters.String(o, "PaymentMethod"))
				},
				Set: func(o object, v domain.Value) error {
					if !isRefund(o) {
						o["PaymentMethod"] = v.Text()
					}
					return nil
				}},
			reference,
			{Field: "account", Paths: []string{"Account", "DepositTo"}, Note: "number of the account; none is undeposited funds, or the setting depositAccount",
				Get: func(o object) domain.Value {
					if o["DepositTo"] == undeposited {
						return domain.Null
					}
					return accountOf(o, "Account")
				},
				Set: func(o object, v domain.Value) error {
					if !v.Empty() {
						o["Account"] = object{"DisplayID": v.Text()}
					}
					return nil
				}},
			needed(adapters.Row{Field: "allocations", Paths: []string{"Invoices", "Invoice"}, Get: getApplied, Set: setApplied, Fit: fitAllocations,
				Note: "of a payment the invoices it pays, of a refund the one credit note it pays out; payments of orders are not carried"}),
		},
		Known: append(common(), "TransactionUID", "AmountReceivedForeign", "ForeignCurrency", "CurrencyExchangeRate", "Payee", "ChequePrinted", "DeliveryStatus"),
	}
}

const undeposited = "UndepositedFunds"

// isRefund tells a credit refund from a customer payment.
func isRefund(o object) bool {
	_, is := o["Invoice"]
	return is
}

func pick(o object, payment, refund string) string {
	if isRefund(o) {
		return refund
	}
	return payment
}

func getApplied(o object) domain.Value {
	if foreign(o) != "" {
		return ""
	}
	if isRefund(o) {
		return domain.ValueOf([]domain.Allocation{{CreditNote: refOf(o, "Invoice").Text(), Amount: number(o, "Amount").String()}})
	}
	all, _ := o["Invoices"].([]any)
	var out []domain.Allocation
	for _, x := range all {
		l, _ := x.(object)
		if typ := adapters.String(l, "Type"); typ == "" || typ == "Invoice" {
			out = append(out, domain.Allocation{Invoice: domain.Ext(adapters.String(l, "UID")), Amount: number(l, "AmountApplied").String()})
		}
	}
	return domain.ValueOf(out)
}

func setApplied(o object, v domain.Value) error {
	all := domain.AllocationsOf(v)
	if isRefund(o) {
		if len(all) != 1 || all[0].CreditNote == "" {
			return fmt.Errorf("MYOB pays out one credit note at a time; allocate the refund to one")
		}
		o["Refunded"] = all[0].Amount
		return setRef(o, "Invoice", domain.TextValue(all[0].CreditNote))
	}
	out := make([]any, len(all))
	for i, a := range all {
		if a.OnAccount() {
			return fmt.Errorf("%s of the payment is on the customer's account, which MYOB has no place for; set it against an invoice, or make the payment smaller", a.Amount)
		}
		l := object{}
		if err := setRef(l, "Sale", domain.TextValue(a.Invoice)); err != nil {
			return fmt.Errorf("allocation %d: the invoice: %w", i+1, err)
		}
		out[i] = object{"UID": part(l, "Sale")["UID"], "Type": "Invoice", "AmountApplied": json.Number(a.Amount)}
	}
	o["Invoices"] = out
	return nil
}

// payment is the object of a new payment or refund.
func (a *adapter) payment(b *book, w adapters.Write) (object, *source, error) {
	values := w.Values.Clone()
	for _, f := range []domain.Field{"direction", "customer", "amount", "date", "allocations"} { // no payment is without them
		if values[f].Empty() && !w.Golden[f].Empty() {
			values[f] = w.Golden[f]
		}
	}
	src, o := &b.own[0], object{"Invoices": []any{}}
	if values["direction"].Text() == refunded {
		src, o = &b.own[1], object{"Invoice": nil}
	}
	if err := b.m.Write(o, values); err != nil {
		return nil, nil, err
	}
	short := func(f domain.Field, format string, args ...any) error {
		e := a.err(domain.Invalid, format, args...)
		e.Field = f
		return e
	}
	var applied decimal.Decimal
	for _, x := range domain.AllocationsOf(values["allocations"]) {
		applied = applied.Add(dec(x.Amount))
	}
	amount := number(o, pick(o, "AmountReceived", "Amount"))
	switch {
	case values["customer"].Empty():
		return nil, nil, short("customer", "MYOB needs the customer of a payment")
	case values["date"].Empty():
		return nil, nil, short("date", "MYOB needs the date of a payment")
	case values["amount"].Empty() && values["allocations"].Empty() || applied.IsZero():
		return nil, nil, short("allocations", "MYOB takes a payment against invoices only; allocate it first")
	case !values["amount"].Empty() && !amount.Equal(applied):
		return nil, nil, short("amount", "the payment is %s and %s of it is allocated; MYOB takes a payment only for what it is applied to", amount.StringFixed(2), applied.StringFixed(2))
	}
	delete(o, "AmountReceived")
	delete(o, "Refunded")
	if o["Account"] == nil && a.setting("depositAccount") != "" {
		o["Account"] = object{"DisplayID": a.setting("depositAccount")}
	}
	switch {
	case isRefund(o):
		delete(o, "Customer") // the credit note's
		o["Amount"] = json.Number(applied.StringFixed(2))
		if o["Account"] == nil {
			return nil, nil, short("account", "MYOB pays a refund out of an account; name one, or one for all in the setting depositAccount")
		}
	case o["Account"] != nil:
		o["DepositTo"] = "Account"
	default:
		o["DepositTo"] = undeposited
	}
	return o, src, nil
}

// settle makes the settlements of a credit note those that are wanted: what is there stays, what is missing is made, what is too
// much goes. A repetition after a lost answer finds what the first attempt has done.
func (a *adapter) settle(ctx context.Context, o object, want []domain.Allocation) error {
	have, _ := o["Settlements"].([]any)
	open := make([]domain.Allocation, len(want))
	for i, w := range want {
		open[i] = domain.Allocation{Invoice: w.Invoice, Amount: w.Amount, Date: w.Date}
	}
	var surplus []string
	for _, x := range have {
		s, _ := x.(object)
		lines := domain.AllocationsOf(getSettled(object{"Settlements": []any{s}}))
		rest, all := open, len(lines) > 0
		for _, l := range lines {
			i := -1
			for j, w := range rest {
				if w.Invoice == l.Invoice && dec(w.Amount).Equal(dec(l.Amount)) {
					i = j
				}
			}
			if i < 0 {
				all = false
				break
			}
			rest = append(append([]domain.Allocation{}, rest[:i]...), rest[i+1:]...)
		}
		if all {
			open = rest
		} else if len(lines) > 0 {
			surplus = append(surplus, adapters.String(s, "UID"))
		}
	}
	for _, uid := range surplus {
		if _, err := a.do(ctx, adapters.Call{Method: http.MethodDelete, Path: settlements + "/" + uid, Write: true, Safe: true}); err != nil && domain.CodeOf(err) != domain.NotFound {
			return err
		}
	}
	for _, w := range open {
		uid, _ := domain.ExtID(w.Invoice)
		date := or(w.Date, day(o, "Date"))
		body, err := json.Marshal(object{"CreditFromInvoice": object{"UID": o["UID"]}, "Date": date + " 00:00:00",
			"Lines": []any{object{"Type": "Invoice", "Sale": object{"UID": uid}, "AmountApplied": json.Number(w.Amount)}}})
		if err != nil {
			return a.err(domain.Internal, "the settlement cannot be written as JSON")
		}
		if _, err := a.do(ctx, adapters.Call{Method: http.MethodPost, Path: settlements, Body: body, Write: true}); err != nil {
			return uncertain(err)
		}
	}
	return nil
}

// withSettlements adds to credit notes what they were applied to, which is a resource of its own.
func (a *adapter) withSettlements(ctx context.Context, items []item) error {
	by := map[string][]any{}
	var terms []string
	for _, x := range items {
		terms = append(terms, "CreditFromInvoice/UID eq guid'"+adapters.String(x.o, "UID")+"'")
	}
	src := source{path: settlements}
	found, err := a.gather(ctx, src, terms)
	if err != nil {
		return err
	}
	for _, x := range found {
		uid := adapters.String(part(x.o, "CreditFromInvoice"), "UID")
		by[uid] = append(by[uid], x.o)
	}
	for i := range items {
		all := by[adapters.String(items[i].o, "UID")]
		if all == nil {
			all = []any{}
		}
		items[i].o["Settlements"] = all
		raw, err := json.Marshal(items[i].o)
		if err != nil {
			return a.err(domain.Internal, "the credit note cannot be written as JSON")
		}
		items[i].raw = raw
	}
	return nil
}

// byUID is the filter of a listing of these ids.
func byUID(uids []string) []string {
	var terms []string
	for _, uid := range uids {
		if uuidForm.MatchString(uid) {
			terms = append(terms, "UID eq guid'"+uid+"'")
		}
	}
	return terms
}
