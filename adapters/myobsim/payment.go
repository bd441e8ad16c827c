package myobsim

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
)

// customerPayments is the resource Sale/CustomerPayment: created and deleted, never changed.
func customerPayments() *resource {
	return &resource{
		path: "Sale/CustomerPayment", typ: "payments", name: "payment", labels: []string{"ReceiptNumber"}, fixed: true,
		schema: []member{
			{name: "DepositTo", kind: text, required: true, values: []string{"Account", "UndepositedFunds"}}, {name: "Account", kind: link, to: "GeneralLedger/Account"},
			{name: "Customer", kind: link, to: "Contact/Customer", required: true}, {name: "TransactionUID", kind: text, readOnly: true, hidden: true},
			{name: "ReceiptNumber", kind: text, max: 13}, {name: "Date", kind: stamp}, {name: "AmountReceived", kind: number, readOnly: true},
			{name: "PaymentMethod", kind: text, max: 255}, {name: "Memo", kind: text, max: 255},
			{name: "Invoices", kind: list, required: true, members: []member{
				{name: "RowID", kind: number, readOnly: true}, {name: "Number", kind: text, readOnly: true}, {name: "UID", kind: text, required: true},
				{name: "AmountApplied", kind: number}, {name: "Type", kind: text, values: []string{"Invoice", "Order"}},
			}},
			{name: "ForeignCurrency", kind: text, readOnly: true, hidden: true},
		},
		assumed: object{"DepositTo": "UndepositedFunds"},
		settle: func(s *Sim, o, _ object) {
			s.settleMoney(o, "ReceiptNumber", "payment", "CR%06d", "Payment; ")
			if o["DepositTo"] == "UndepositedFunds" {
				o["Account"] = s.linkTo("GeneralLedger/Account", s.accountNumbered("1-1180")["UID"])
			}
			sum := new(big.Rat)
			for i, l := range elements(o, "Invoices") {
				sum.Add(sum, rat(l["AmountApplied"]))
				inv := s.find("Sale/Invoice", fmt.Sprint(l["UID"])).object
				l["RowID"], l["Number"], l["UID"], l["Type"] = json.Number(fmt.Sprint(i+1)), inv["Number"], inv["UID"], "Invoice"
			}
			o["AmountReceived"] = amount(sum)
		},
		check: func(s *Sim, o, _ object) []problem {
			ps := s.locked(o["Date"])
			if o["DepositTo"] == "Account" && o["Account"] == nil {
				ps = append(ps, required("Account"))
			}
			if len(elements(o, "Invoices")) == 0 {
				ps = append(ps, required("Invoices"))
			}
			for i, l := range elements(o, "Invoices") {
				ps = append(ps, s.payable(o, fmt.Sprintf("Invoices[%d].", i), fmt.Sprint(l["UID"]), l["AmountApplied"])...)
			}
			return ps
		},
		removable: removableMoney,
		changed: func(s *Sim, was, is object) {
			move(was, is, func(o object, sign int64) {
				for _, l := range elements(o, "Invoices") {
					s.apply(fmt.Sprint(l["UID"]), times(l["AmountApplied"], sign), o["Date"])
				}
			})
		},
	}
}

// creditSettlements is the resource Sale/CreditSettlement: a credit applied to invoices.
func creditSettlements() *resource {
	return &resource{
		path: "Sale/CreditSettlement", typ: "settlements", name: "credit settlement", labels: []string{"Number"}, fixed: true,
		schema: []member{
			{name: "CreditFromInvoice", kind: link, to: "Sale/Invoice", required: true}, {name: "Customer", kind: link, to: "Contact/Customer", readOnly: true},
			{name: "Number", kind: text, max: 13}, {name: "Date", kind: stamp}, {name: "CreditAmount", kind: number, readOnly: true}, {name: "Memo", kind: text, max: 255},
			{name: "Lines", kind: list, required: true, members: []member{
				{name: "Type", kind: text, values: []string{"Invoice", "Order"}}, {name: "Sale", kind: link, to: "Sale/Invoice", required: true}, {name: "AmountApplied", kind: number},
			}},
			{name: "ForeignCurrency", kind: text, readOnly: true, hidden: true},
		},
		settle: func(s *Sim, o, _ object) {
			o["Customer"] = s.find("Sale/Invoice", uidOf(o["CreditFromInvoice"])).object["Customer"]
			s.settleMoney(o, "Number", "settlement", "CN%06d", "Credit; ")
			sum := new(big.Rat)
			for _, l := range elements(o, "Lines") {
				sum.Add(sum, rat(l["AmountApplied"]))
				l["Type"] = "Invoice"
			}
			o["CreditAmount"] = amount(sum)
		},
		check: func(s *Sim, o, _ object) []problem {
			ps := s.locked(o["Date"])
			from := s.find("Sale/Invoice", uidOf(o["CreditFromInvoice"]))
			if from == nil {
				return ps
			}
			sum := new(big.Rat)
			for i, l := range elements(o, "Lines") {
				if l["Sale"] != nil {
					ps = append(ps, s.payable(from.object, fmt.Sprintf("Lines[%d].", i), uidOf(l["Sale"]), l["AmountApplied"])...)
				}
				sum.Add(sum, rat(l["AmountApplied"]))
			}
			return append(ps, spendable(from.object, sum)...)
		},
		removable: removableMoney,
		changed: func(s *Sim, was, is object) {
			move(was, is, func(o object, sign int64) {
				for _, l := range elements(o, "Lines") {
					s.apply(uidOf(l["Sale"]), times(l["AmountApplied"], sign), nil)
					s.apply(uidOf(o["CreditFromInvoice"]), times(l["AmountApplied"], -sign), nil)
				}
			})
		},
	}
}

// creditRefunds is the resource Sale/CreditRefund: a credit paid out.
func creditRefunds() *resource {
	return &resource{
		path: "Sale/CreditRefund", typ: "refunds", name: "credit refund", labels: []string{"Number"}, fixed: true,
		schema: []member{
			{name: "Account", kind: link, to: "GeneralLedger/Account", required: true}, {name: "Invoice", kind: link, to: "Sale/Invoice", required: true},
			{name: "Customer", kind: link, to: "Contact/Customer", readOnly: true}, {name: "Payee", kind: text, max: 255}, {name: "Number", kind: text, max: 13},
			{name: "Date", kind: stamp}, {name: "Amount", kind: number}, {name: "Memo", kind: text, max: 255}, {name: "ChequePrinted", kind: flag},
			{name: "DeliveryStatus", kind: text, values: []string{"Nothing", "Print", "Email", "PrintAndEmail"}},
			{name: "ForeignCurrency", kind: text, readOnly: true, hidden: true},
		},
		settle: func(s *Sim, o, _ object) {
			o["Customer"] = s.find("Sale/Invoice", uidOf(o["Invoice"])).object["Customer"]
			s.settleMoney(o, "Number", "refund", "%08d", "Refund; ")
			o["Amount"] = amount(rat(o["Amount"]))
		},
		check: func(s *Sim, o, _ object) []problem {
			ps := s.locked(o["Date"])
			if from := s.find("Sale/Invoice", uidOf(o["Invoice"])); from != nil {
				ps = append(ps, spendable(from.object, rat(o["Amount"]))...)
			}
			return ps
		},
		removable: removableMoney,
		changed: func(s *Sim, was, is object) {
			move(was, is, func(o object, sign int64) { s.apply(uidOf(o["Invoice"]), times(o["Amount"], -sign), nil) })
		},
	}
}

// settleMoney fills in number, date and memo of a movement of money.
func (s *Sim) settleMoney(o object, number, series, form, memo string) {
	if o[number] == nil {
		o[number] = s.next(series, form)
	}
	if o["Date"] == nil {
		o["Date"] = s.today()
	}
	if o["Memo"] == nil {
		o["Memo"] = memo + cardName(s.find("Contact/Customer", uidOf(o["Customer"])).object)
	}
}

func elements(o object, name string) []object {
	all, _ := o[name].([]any)
	out := make([]object, len(all))
	for i, x := range all {
		out[i] = x.(object)
	}
	return out
}

func uidOf(l any) string {
	o, _ := l.(object)
	return fmt.Sprint(o["UID"])
}

// linkTo is a link as it is stored.
func (s *Sim) linkTo(path string, uid any) object {
	r := reading{s: s}
	l, _ := r.link("", member{to: path}, fmt.Sprint(uid)).(object)
	return l
}

func times(v any, sign int64) *big.Rat { return new(big.Rat).Mul(rat(v), big.NewRat(sign, 1)) }

func move(was, is object, f func(o object, sign int64)) {
	if was != nil {
		f(was, -1)
	}
	if is != nil {
		f(is, 1)
	}
}

// payable says why so much cannot be applied to an invoice of the customer of o. The wording is ours.
func (s *Sim) payable(o object, at, uid string, applied any) []problem {
	wrong := func(format string, args ...any) []problem {
		return []problem{{Name: "ValidationError", Message: fmt.Sprintf(format, args...), AdditionalDetails: at + "AmountApplied"}}
	}
	x := s.find("Sale/Invoice", uid)
	switch {
	case x == nil:
		return []problem{coded(150, "NotFound", "There is no invoice "+uid, at+"UID")}
	case uidOf(x.object["Customer"]) != strings.ToLower(uidOf(o["Customer"])):
		return wrong("The invoice %s is another customer's", x.object["Number"])
	case rat(applied).Sign() <= 0:
		return wrong("The amount applied must be more than zero")
	case rat(applied).Cmp(rat(x.object["BalanceDueAmount"])) > 0:
		return wrong("The amount applied is more than the balance due of invoice %s, %s", x.object["Number"], x.object["BalanceDueAmount"])
	}
	return nil
}

// spendable says why so much cannot be taken from a credit.
func spendable(from object, sum *big.Rat) []problem {
	due := rat(from["BalanceDueAmount"])
	if sum.Sign() > 0 && sum.Cmp(due.Neg(due)) <= 0 {
		return nil
	}
	return []problem{{Name: "ValidationError", Message: fmt.Sprintf("The credit %s has %s left", from["Number"], amount(due)), AdditionalDetails: "Amount"}}
}

func removableMoney(s *Sim, o object) *problem {
	if s.opts.MustReverse {
		return &mustReverse
	}
	if ps := s.locked(o["Date"]); ps != nil {
		return &ps[0]
	}
	return nil
}
