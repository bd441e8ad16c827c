package xerosim

import (
	"cmp"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// overpayment is money received of a contact that stands on the contact's account: a bank transaction of the type
// RECEIVE-OVERPAYMENT, and what of it is allocated to invoices. It is replaced, never changed, once it is stored.
type overpayment struct {
	id, bank                           string // bank is the BankTransactionID
	contact, account, url, description string // account is the id of the bank account
	currency, status                   string
	date                               date
	total                              amount
	allocations                        []allocation
	updated                            time.Time
}

func (o *overpayment) clone() *overpayment {
	n := *o
	n.allocations = append([]allocation(nil), o.allocations...)
	return &n
}

// remaining is what of it is not allocated.
func (o *overpayment) remaining() amount {
	left := o.total.Decimal
	for _, a := range o.allocations {
		left = left.Sub(a.amount.Decimal)
	}
	return amount{left}
}

func (s *Sim) overpaymentRoutes(mux *http.ServeMux, base string) {
	mux.HandleFunc("GET "+base+"/BankTransactions", s.api(s.listBankTransactions))
	mux.HandleFunc("GET "+base+"/BankTransactions/{id}", s.api(s.getBankTransaction))
	mux.HandleFunc("PUT "+base+"/BankTransactions", s.api(s.writeBankTransactions))
	mux.HandleFunc("POST "+base+"/BankTransactions/{id}", s.api(s.writeBankTransactions))
	mux.HandleFunc("GET "+base+"/Overpayments", s.api(s.listOverpayments))
	mux.HandleFunc("GET "+base+"/Overpayments/{id}", s.api(s.getOverpayment))
	mux.HandleFunc("PUT "+base+"/Overpayments/{id}/Allocations", s.api(s.putOverpaymentAllocations))
	mux.HandleFunc("DELETE "+base+"/Overpayments/{id}/Allocations/{allocation}", s.api(s.deleteOverpaymentAllocation))
}

// bankTransactionIn is a bank transaction as a client sends it.
type bankTransactionIn struct {
	BankTransactionID, Type, Status, Reference, LineAmountTypes, CurrencyCode *string
	URL                                                                       *string `json:"Url"`
	Contact                                                                   *contactRef
	BankAccount                                                               *struct{ AccountID, Code string }
	Date                                                                      *date
	LineItems                                                                 []lineIn
}

// byBank finds an overpayment by the id of its bank transaction.
func (s *Sim) byBank(id string) *overpayment {
	for _, o := range s.overpayments {
		if o.bank == strings.ToLower(id) {
			return o
		}
	}
	return nil
}

func (s *Sim) writeBankTransactions(r *http.Request, body []byte) answer {
	only := r.PathValue("id")
	s.mu.Lock()
	known := s.byBank(only) != nil
	s.mu.Unlock()
	if only != "" && !known {
		return answer{status: http.StatusNotFound, text: missing}
	}
	return batch(s, r, body, "BankTransactions", only != "", func(in *bankTransactionIn) outcome {
		if only != "" {
			in.BankTransactionID = &only
		}
		o, msgs, events := s.putBankTransaction(in)
		out := outcome{shown: s.showBankTransaction(o), msgs: msgs, did: didCreate, events: events}
		if only != "" {
			out.did = didUpdate
		}
		return out
	})
}

// putBankTransaction makes an overpayment, or deletes the one of an id. The caller holds the lock.
func (s *Sim) putBankTransaction(in *bankTransactionIn) (o *overpayment, msgs []string, events []hookEvent) {
	bad := func(format string, args ...any) { msgs = append(msgs, fmt.Sprintf(format, args...)) }
	now := s.Now().Truncate(time.Millisecond)
	if id := text(in.BankTransactionID); id != "" {
		old := s.byBank(id)
		switch {
		case old == nil:
			return &overpayment{bank: id, id: noID}, []string{"The bank transaction with the id " + id + " could not be found."}, nil
		case text(in.Status) != "DELETED":
			return old, []string{"This simulator changes nothing of an overpayment but its Status, to DELETED."}, nil
		case old.status == "VOIDED":
			return old, []string{"The overpayment has been voided already."}, nil
		case len(old.allocations) > 0:
			return old, []string{"The overpayment cannot be deleted because it is allocated to invoices."}, nil
		}
		if lock := s.locked(old.date.Time); lock != "" {
			return old, []string{"The date cannot be before the period lock date, currently set at " + lock}, nil
		}
		gone := old.clone()
		gone.status = "VOIDED"
		return gone, nil, []hookEvent{s.storeOverpayment(gone)}
	}
	o = &overpayment{id: noID, bank: noID, status: "AUTHORISED", currency: cmp.Or(text(in.CurrencyCode), s.org.BaseCurrency), url: text(in.URL), date: date{s.today()}, updated: now}
	if in.Date != nil && !in.Date.IsZero() {
		o.date = *in.Date
	}
	if t := text(in.Type); t != "RECEIVE-OVERPAYMENT" {
		return o, []string{fmt.Sprintf("This simulator takes bank transactions of the Type RECEIVE-OVERPAYMENT only, not %q.", t)}, nil
	}
	if text(in.Reference) != "" {
		bad("Reference is only supported for SPEND and RECEIVE transactions.")
	}
	if in.Contact == nil || s.contactOf(in.Contact) == nil {
		bad("The Contact does not exist. Enter a ContactID of an existing contact.")
	} else {
		o.contact = s.contactOf(in.Contact).ContactID
	}
	var account *account
	if in.BankAccount != nil {
		account = s.account(cmp.Or(in.BankAccount.AccountID, in.BankAccount.Code))
	}
	if account == nil || account.Type != "BANK" {
		bad("The BankAccount of the transaction is not a bank account.")
	} else {
		o.account = account.AccountID
	}
	if len(in.LineItems) != 1 {
		bad("An overpayment has exactly one line.")
	} else {
		l := in.LineItems[0]
		o.description = text(l.Description)
		quantity := decimal.New(1, 0)
		if l.Quantity != nil {
			quantity = l.Quantity.Decimal
		}
		o.total = amount{decimalOf(l.UnitAmount).Mul(quantity)}
		if a := s.account(text(l.AccountCode)); a == nil || a.SystemAccount != "DEBTORS" {
			bad("The line of an overpayment must use the Accounts Receivable account.")
		}
		if t := text(l.TaxType); t != "" && t != "NONE" {
			bad("An overpayment has no tax; its line must have the TaxType NONE.")
		}
	}
	if m := text(in.LineAmountTypes); m != "" && m != "NoTax" {
		bad("An overpayment has no tax; its LineAmountTypes must be NoTax.")
	}
	if !o.total.IsPositive() || !o.total.Equal(o.total.Round(2)) {
		bad("The amount must be greater than zero, in whole cents.")
	}
	if lock := s.locked(o.date.Time); lock != "" {
		bad("The date cannot be before the period lock date, currently set at %s", lock)
	}
	if len(msgs) > 0 {
		return o, msgs, nil
	}
	o.id, o.bank = s.UUID(), s.UUID()
	e := s.storeOverpayment(o)
	e.kind = "CREATE"
	return o, nil, []hookEvent{e}
}

// storeOverpayment keeps o, stamped, with the status that follows from what is left of it.
func (s *Sim) storeOverpayment(o *overpayment) hookEvent {
	if o.status != "VOIDED" {
		o.status = "AUTHORISED"
		if !o.remaining().IsPositive() {
			o.status = "PAID"
		}
	}
	o.updated = s.Now().Truncate(time.Millisecond)
	s.overpayments[o.id] = o
	return hookEvent{category: "OVERPAYMENT", id: o.id, kind: "UPDATE", at: o.updated}
}

var overpaymentMembers = map[string]func(*overpayment) any{
	"overpaymentid":     func(o *overpayment) any { return o.id },
	"banktransactionid": func(o *overpayment) any { return o.bank },
	"type":              func(*overpayment) any { return "RECEIVE-OVERPAYMENT" },
	"status":            func(o *overpayment) any { return o.status },
	"url":               func(o *overpayment) any { return o.url },
	"date":              func(o *overpayment) any { return o.date.Time },
	"total":             func(o *overpayment) any { return o.total.Decimal },
	"contact.contactid": func(o *overpayment) any { return o.contact },
	"updateddateutc":    func(o *overpayment) any { return o.updated },
}

func (s *Sim) listBankTransactions(r *http.Request, _ []byte) answer {
	return s.listOver(r, "BankTransactions", "BankTransactionID", s.showBankTransaction)
}

func (s *Sim) listOverpayments(r *http.Request, _ []byte) answer {
	return s.listOver(r, "Overpayments", "OverpaymentID", s.showOverpayment)
}

func (s *Sim) listOver(r *http.Request, name, id string, show func(*overpayment) object) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, bad := readListing(r, strings.TrimSuffix(name, "s"), id, overpaymentMembers)
	if bad != nil {
		return *bad
	}
	found, page := paged(r, l.pick(s.overpayments, func(o *overpayment) time.Time { return o.updated }, nil))
	shown := make([]any, len(found))
	for i, o := range found {
		shown[i] = show(o)
	}
	return s.envelope(name, shown, page)
}

func (s *Sim) getBankTransaction(r *http.Request, _ []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.byBank(r.PathValue("id"))
	if o == nil {
		return answer{status: http.StatusNotFound, text: missing}
	}
	return s.envelope("BankTransactions", []any{s.showBankTransaction(o)}, nil)
}

func (s *Sim) getOverpayment(r *http.Request, _ []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.overpayments[strings.ToLower(r.PathValue("id"))]
	if o == nil {
		return answer{status: http.StatusNotFound, text: missing}
	}
	return s.envelope("Overpayments", []any{s.showOverpayment(o)}, nil)
}

// showOverBoth is what the bank transaction and the overpayment have in common.
func (s *Sim) showOverBoth(o *overpayment) object {
	line := object{{"LineItemID", o.id}, {"Description", filled(o.description)}, {"UnitAmount", o.total}, {"TaxType", "NONE"}, {"TaxAmount", amount{}}, {"LineAmount", o.total},
		{"AccountCode", "610"}, {"Tracking", []any{}}, {"Quantity", amount{one}}}
	return object{{"Type", "RECEIVE-OVERPAYMENT"}, {"Contact", s.showContact(o.contact, invoiceType)}, {"DateString", o.date.text()}, {"Date", o.date}, {"LineAmountTypes", "NoTax"},
		{"LineItems", []any{line}}, {"SubTotal", o.total}, {"TotalTax", amount{}}, {"Total", o.total}, {"UpdatedDateUTC", msTime{o.updated}}, {"CurrencyCode", o.currency},
		{"CurrencyRate", amount{one}}, {"HasAttachments", false}}
}

func (s *Sim) showBankTransaction(o *overpayment) object {
	status := o.status
	if status != "VOIDED" {
		status = "AUTHORISED"
	} else {
		status = "DELETED"
	}
	shown := append(object{{"BankTransactionID", o.bank}, {"OverpaymentID", o.id}, {"Status", status}, {"Url", filled(o.url)}, {"IsReconciled", false}}, s.showOverBoth(o)...)
	if a := s.account(o.account); a != nil {
		shown = append(shown, member{"BankAccount", object{{"AccountID", a.AccountID}, {"Code", a.Code}, {"Name", a.Name}}})
	}
	return shown
}

func (s *Sim) showOverpayment(o *overpayment) object {
	return append(object{{"OverpaymentID", o.id}, {"ID", o.id}, {"Status", o.status}, {"RemainingCredit", o.remaining()}, {"Allocations", s.showAllocations(o.allocations, true)},
		{"Payments", []any{}}, {"UpdatedDateUTCString", o.updated.Format("2006-01-02T15:04:05.999Z")}}, s.showOverBoth(o)...)
}

func (s *Sim) putOverpaymentAllocations(r *http.Request, body []byte) answer {
	id := strings.ToLower(r.PathValue("id"))
	s.mu.Lock()
	known := s.overpayments[id] != nil
	s.mu.Unlock()
	if !known {
		return answer{status: http.StatusNotFound, text: missing}
	}
	return batch(s, r, body, "Allocations", false, func(in *allocationIn) outcome {
		a, msgs, events := s.allocateOverpayment(id, in)
		return outcome{shown: s.showAllocation(a), msgs: msgs, did: didUpdate, events: events}
	})
}

// allocateOverpayment pays an invoice with a part of an overpayment. The caller holds the lock.
func (s *Sim) allocateOverpayment(id string, in *allocationIn) (a allocation, msgs []string, events []hookEvent) {
	o := s.overpayments[id]
	a = allocation{id: noID, overpayment: id, amount: decimalOf(in.Amount), date: date{s.today()}}
	if in.Date != nil && !in.Date.IsZero() {
		a.date = *in.Date
	}
	inv := s.allocated(in)
	if inv == nil {
		return a, []string{"The Invoice of the allocation could not be found."}, nil
	}
	a.invoice = inv.id
	if o.status == "VOIDED" {
		msgs = append(msgs, "Only an authorised overpayment can be allocated; this one is "+o.status)
	}
	if msgs = append(msgs, s.wrongAllocation(a, inv, o.contact, o.remaining())...); len(msgs) > 0 {
		return a, msgs, nil
	}
	a.id = s.UUID()
	o, inv = o.clone(), inv.clone()
	o.allocations, inv.credits = append(o.allocations, a), append(inv.credits, a)
	return a, nil, []hookEvent{s.storeOverpayment(o), s.settle(inv)}
}

func (s *Sim) deleteOverpaymentAllocation(r *http.Request, _ []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.overpayments[strings.ToLower(r.PathValue("id"))]
	if o == nil {
		return answer{status: http.StatusNotFound, text: missing}
	}
	for _, a := range o.allocations {
		if a.id == strings.ToLower(r.PathValue("allocation")) {
			o, inv := o.clone(), s.docs[a.invoice].clone()
			o.allocations, inv.credits = dropped(o.allocations, a.id), dropped(inv.credits, a.id)
			return s.tookBack(r, a, s.storeOverpayment(o), s.settle(inv))
		}
	}
	return answer{status: http.StatusNotFound, text: missing}
}

// showOverpaid are the overpayments inside an invoice that they have paid.
func (s *Sim) showOverpaid(d *document, whole bool) []any {
	list := []any{}
	for _, c := range d.credits {
		if o := s.overpayments[c.overpayment]; whole && o != nil {
			list = append(list, object{{"OverpaymentID", o.id}, {"ID", o.id}, {"Date", o.date}, {"Total", o.total}, {"AppliedAmount", c.amount}})
		}
	}
	return list
}
