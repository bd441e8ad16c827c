package xero

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// A payment at Xero pays one document and has no rest. One that pays several invoices, or leaves something on the customer's
// account, is an overpayment there: one amount at the bank, allocated to what it pays; what is not allocated is the customer's
// credit. Unlike a batch payment it has a place for our id, so that one whose answer was lost is found again, and its
// allocations can be changed.

// overPath is the collection of overpayments, and with a slash what their ids begin with in ours.
const overPath = "Overpayments"

// overpaymentMapping is the table of Payment <-> Overpayment. It shows no bank account.
func overpaymentMapping(d defaults) adapters.Mapping {
	amount := func(o object) domain.Value {
		return amountValue(o, "Total", defaulted(adapters.String(o, "CurrencyCode"), d.currency))
	}
	return adapters.Mapping{
		Kind: domain.KindPayment, Object: overPath, IDField: "LineItems.Description",
		Rows: []adapters.Row{
			refRow("customer", "Contact", "ContactID", ""),
			{Field: "direction", Paths: []string{"Type"}, Get: func(object) domain.Value { return `"RECEIVED"` }},
			dateRow("date", "Date", ""),
			{Field: "amount", Paths: []string{"Total"}, Get: amount},
			{Field: "reference", Paths: []string{"LineItems.Description"}, Get: func(o object) domain.Value {
				ref, _ := splitMark(domain.KindPayment, overText(o))
				return domain.TextValue(ref)
			}},
			{Field: "allocations", Paths: []string{"Allocations", "RemainingCredit"}, Get: getOverAllocations},
			{Field: "stage", Paths: []string{"Status"}, Get: func(o object) domain.Value {
				if adapters.String(o, "Status") == "VOIDED" {
					return `"VOIDED"`
				}
				return `"AUTHORISED"`
			}},
		},
		Known: append([]string{"OverpaymentID", "ID", "AppliedAmount", "Payments", "LineItems", "LineAmountTypes", "CurrencyCode", "Reference"}, docKnown...),
	}
}

// overText is the description of an overpayment's one line.
func overText(o object) string {
	lines, _ := o["LineItems"].([]any)
	if len(lines) == 0 {
		return ""
	}
	l, _ := lines[0].(object)
	return adapters.String(l, "Description")
}

func getOverAllocations(o object) domain.Value {
	var as []domain.Allocation
	for _, a := range domain.AllocationsOf(getAllocations(o)) {
		a.Date = ""
		as = append(as, a)
	}
	if left := num(adapters.String(o, "RemainingCredit")); left.IsPositive() && adapters.String(o, "Status") != "VOIDED" {
		as = append(as, domain.Allocation{Amount: left.String()})
	}
	return domain.ValueOf(as)
}

// overpays reports whether a write is one of an overpayment: of an existing one, or of money that Xero's payments cannot hold.
func (k *kind) overpays(w adapters.Write) bool {
	if w.ExternalID != "" {
		return strings.HasPrefix(w.ExternalID, overPath+"/")
	}
	as := domain.AllocationsOf(w.Values["allocations"])
	if k.mapping.Kind != domain.KindPayment || len(as) == 0 || len(as) == 1 && !as[0].OnAccount() {
		return false
	}
	return !slices.ContainsFunc(as, func(a domain.Allocation) bool { return a.CreditNote != "" })
}

// writeOverpayment creates an overpayment with its allocations, changes these, or voids it.
func (a *adapter) writeOverpayment(ctx context.Context, k *kind, w adapters.Write) adapters.Outcome {
	if w.ExternalID != "" {
		rec, err := a.changeOverpayment(ctx, k, w)
		return adapters.Outcome{Record: rec, Err: err}
	}
	body, err := a.overpayment(ctx, k, w)
	if err != nil {
		return adapters.Outcome{Err: err}
	}
	data, err := json.Marshal(object{"BankTransactions": []any{body}})
	if err != nil {
		return adapters.Outcome{Err: a.err(domain.Internal, "the payment cannot be written as JSON")}
	}
	resp, err := a.do(ctx, adapters.Call{Method: http.MethodPut, Path: api + "/BankTransactions?summarizeErrors=true", Body: data, Write: true,
		Header: http.Header{"Idempotency-Key": {idempotencyKey([]item{{write: w}}, data)}}})
	if err != nil {
		return adapters.Outcome{Err: a.fault(k, w, err)}
	}
	l, err := a.listOf("BankTransactions", resp)
	if err != nil || len(l.objects) != 1 || adapters.String(l.objects[0], "OverpaymentID") == "" {
		return adapters.Outcome{Err: a.err(domain.Unknown, "Xero took the payment but its answer cannot be read; it is looked up before it is written again")}
	}
	id := k.prefix + adapters.String(l.objects[0], "OverpaymentID")
	rec, err := a.allocateOverpayment(ctx, k, w, id, w.Values["date"])
	if err != nil && domain.CodeOf(err) != domain.Unknown {
		// The money is booked: what is missing shows as a difference, and has its own refusal when it is written as one.
		a.s.Log.WarnContext(ctx, "the payment is booked, but not all of it is allocated", "system", a.s.System, "externalId", id, "code", domain.CodeOf(err))
		rec, err = a.Fetch(ctx, domain.KindPayment, id)
		rec.Version = ""
	}
	if err != nil {
		return adapters.Outcome{Err: a.err(domain.Unknown, "the payment is booked at Xero, and what came of its allocations is not known; it is looked up")}
	}
	return adapters.Outcome{Record: rec, Created: true}
}

// overpayment is the bank transaction of a payment.
func (a *adapter) overpayment(ctx context.Context, k *kind, w adapters.Write) (object, error) {
	d := defaultsOf(a.s.Settings)
	refuse := func(f domain.Field, format string, args ...any) error {
		e := domain.Errorf(domain.Invalid, format, args...)
		e.Field = f
		return a.fault(k, w, e)
	}
	var m money.Money
	if err := w.Values["amount"].Decode(&m); err != nil || !m.Amount.IsPositive() {
		return nil, refuse("amount", "xero needs an amount above 0")
	}
	sum := money.Money{}.Amount
	for _, x := range domain.AllocationsOf(w.Values["allocations"]) {
		sum = sum.Add(num(x.Amount))
	}
	contact, ok := domain.ExtID(w.Golden["customer"].Text())
	switch {
	case w.Values["stage"].Text() == "VOIDED":
		return nil, refuse("stage", "a payment that is void already is not made at xero")
	case w.Golden["direction"].Text() == "REFUNDED":
		return nil, refuse("allocations", "xero takes money given back against one credit note; make a payment for each")
	case !sum.Equal(m.Amount):
		return nil, refuse("allocations", "%s of the payment of %s are allocated; add an allocation without a document for what is to stay on the customer's account", sum, m.Decimal())
	case w.Values["date"].Empty():
		return nil, refuse("date", "xero needs a date for every payment")
	case defaulted(w.Values["account"].Text(), d.bank) != d.bank:
		return nil, refuse("account", "xero does not show the bank account of a payment of several invoices or with a rest; such payments go into the account %s of the setting bankAccount", d.bank)
	case !ok:
		e := domain.Errorf(domain.Conflict, "its customer is not at xero yet")
		e.Field = "customer"
		return nil, a.fault(k, w, e)
	case w.CanonicalID == "":
		return nil, a.err(domain.Internal, "a payment cannot be created at Xero without an id of ours")
	}
	code, err := a.debtors(ctx)
	if err != nil {
		return nil, err
	}
	text := strings.TrimSpace(w.Values["reference"].Text() + " [" + w.CanonicalID + "]")
	if err := within("the reference", text, 4000); err != nil {
		return nil, refuse("reference", "%v", err)
	}
	o := object{"Type": "RECEIVE-OVERPAYMENT", "Contact": object{"ContactID": contact}, "Date": w.Values["date"].Text(), "BankAccount": object{"Code": d.bank},
		"LineAmountTypes": "NoTax", "Url": d.link + w.CanonicalID,
		"LineItems": []any{object{"Description": text, "Quantity": 1, "UnitAmount": json.Number(m.Decimal()), "AccountCode": code, "TaxType": "NONE"}}}
	if m.Currency != "" && string(m.Currency) != d.currency {
		o["CurrencyCode"] = m.Currency
	}
	return o, nil
}

// debtors is the code of the organisation's accounts receivable, on whose account overpayments are.
func (a *adapter) debtors(ctx context.Context) (string, error) {
	a.known.mu.Lock()
	code := a.known.debtors
	a.known.mu.Unlock()
	if code != "" {
		return code, nil
	}
	resp, err := a.do(ctx, adapters.Call{Method: http.MethodGet, Path: api + "/Accounts?" + url.Values{"where": {`SystemAccount=="DEBTORS"`}}.Encode()})
	if err != nil {
		return "", err
	}
	l, err := a.listOf("Accounts", resp)
	if err != nil {
		return "", err
	}
	if len(l.objects) == 0 || adapters.String(l.objects[0], "Code") == "" {
		return "", a.err(domain.Invalid, "Xero's accounts receivable account has no code, so that nothing can be left on a customer's account; give it one in Xero")
	}
	code = adapters.String(l.objects[0], "Code")
	a.known.mu.Lock()
	a.known.debtors = code
	a.known.mu.Unlock()
	return code, nil
}

// changeOverpayment writes the allocations of an overpayment, or voids it: nothing else of it can be changed.
func (a *adapter) changeOverpayment(ctx context.Context, k *kind, w adapters.Write) (domain.Record, error) {
	for f := range w.Values {
		if f != "stage" && f != "allocations" {
			e := domain.Errorf(domain.Unsupported, "of a payment at xero that pays several invoices or leaves a rest only the allocations can be changed; void it and make another")
			e.Field = f
			return domain.Record{}, a.fault(k, w, e)
		}
	}
	if w.Values["stage"].Empty() {
		return a.allocateOverpayment(ctx, k, w, w.ExternalID, "")
	}
	if w.Values["stage"].Text() != "VOIDED" {
		return domain.Record{}, a.fault(k, w, domain.Errorf(domain.Invalid, "a payment that was deleted at xero does not come back; make another"))
	}
	w.Values = domain.Values{"allocations": "[]"}
	if _, err := a.allocateOverpayment(ctx, k, w, w.ExternalID, ""); err != nil {
		return domain.Record{}, err
	}
	banks, err := a.bankTransactions(ctx, []string{`OverpaymentID==Guid("` + strings.TrimPrefix(w.ExternalID, k.prefix) + `")`})
	if err != nil {
		return domain.Record{}, err
	}
	if len(banks) != 1 {
		return domain.Record{}, a.err(domain.NotFound, "Xero has no bank transaction of the overpayment %s", w.ExternalID)
	}
	body := []byte(`{"Status":"DELETED"}`)
	if _, err := a.do(ctx, adapters.Call{Method: http.MethodPost, Path: api + "/BankTransactions/" + url.PathEscape(adapters.String(banks[0], "BankTransactionID")), Body: body,
		Header: http.Header{"Idempotency-Key": {idempotencyKey([]item{{write: w}}, body)}}, Write: true, Safe: true}); err != nil {
		return domain.Record{}, a.fault(k, w, err)
	}
	return a.Fetch(ctx, domain.KindPayment, w.ExternalID)
}

// allocateOverpayment brings the allocations to those of the write; day is that of new ones, today's if empty.
func (a *adapter) allocateOverpayment(ctx context.Context, k *kind, w adapters.Write, id string, day domain.Value) (domain.Record, error) {
	body := object{}
	if err := setAllocations(body, w.Values["allocations"]); err != nil {
		return domain.Record{}, a.fault(k, w, err)
	}
	rec, err := a.Fetch(ctx, domain.KindPayment, id)
	if err != nil {
		return domain.Record{}, err
	}
	o, err := adapters.ParseObject(rec.Raw)
	if err != nil {
		return domain.Record{}, err
	}
	it := item{write: w}
	it.allocations, _ = body["Allocations"].([]any)
	if rec, err = a.allocate(ctx, k, it, o, day); err != nil {
		return domain.Record{}, a.fault(k, w, err)
	}
	return rec, nil
}

// bankTransactions reads overpayments' bank transactions that meet any of the conditions.
func (a *adapter) bankTransactions(ctx context.Context, terms []string) (found []object, err error) {
	for len(terms) > 0 {
		n := min(len(terms), fetchWhere/2)
		q := url.Values{"where": {strings.Join(terms[:n], " OR ")}, "page": {"1"}, "pageSize": {"1000"}}
		resp, err := a.do(ctx, adapters.Call{Method: http.MethodGet, Path: api + "/BankTransactions?" + q.Encode()})
		if err != nil {
			return nil, err
		}
		l, err := a.listOf("BankTransactions", resp)
		if err != nil {
			return nil, err
		}
		found, terms = append(found, l.objects...), terms[n:]
	}
	return found, nil
}

// overpaymentsOf looks overpayments up by our ids, which are in the links of their bank transactions.
func (a *adapter) overpaymentsOf(ctx context.Context, k *kind, canonicalIDs []string) ([]domain.Record, error) {
	terms := make([]string, len(canonicalIDs))
	for i, id := range canonicalIDs {
		terms[i] = equals("Url", defaultsOf(a.s.Settings).link+id)
	}
	banks, err := a.bankTransactions(ctx, terms)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, b := range banks {
		if id := adapters.String(b, "OverpaymentID"); id != "" && adapters.String(b, "Status") == "AUTHORISED" {
			ids = append(ids, k.prefix+id)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	return a.FetchMany(ctx, k.mapping.Kind, ids)
}

// paidRow is what was received for an invoice: payments, and what of overpayments and prepayments is allocated to it, which Xero
// counts as credited. creditedRow is the rest of that.
func paidRow() adapters.Row {
	return adapters.Row{Field: "amountPaid", Paths: []string{"AmountPaid", "Overpayments", "Prepayments"}, Note: "Xero's own; with what overpayments and prepayments paid",
		Get: func(o object) domain.Value { return receivedValue(o, "AmountPaid", 1) }}
}

func creditedRow() adapters.Row {
	return adapters.Row{Field: "amountCredited", Paths: []string{"AmountCredited"}, Note: "Xero's own; without what overpayments and prepayments paid",
		Get: func(o object) domain.Value { return receivedValue(o, "AmountCredited", -1) }}
}

func receivedValue(o object, key string, sign int64) domain.Value {
	if adapters.String(o, key) == "" {
		return ""
	}
	sum := num(adapters.String(o, key))
	for _, list := range []string{"Overpayments", "Prepayments"} {
		all, _ := o[list].([]any)
		for _, x := range all {
			if e, ok := x.(object); ok {
				sum = sum.Add(num(adapters.String(e, "AppliedAmount")).Mul(num(fmt.Sprint(sign))))
			}
		}
	}
	return domain.ValueOf(object{"amount": sum.StringFixed(2), "currency": adapters.String(o, "CurrencyCode")})
}
