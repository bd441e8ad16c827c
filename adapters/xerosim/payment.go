package xerosim

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

var one = decimal.New(1, 0)

// payment pays an invoice, or gives back what is left of a credit note. It never changes but to be deleted.
type payment struct {
	id, doc, account, reference, status string // doc is the id of the invoice or credit note, account that of the account
	date                                date
	amount                              amount
	reconciled                          bool
	updated                             time.Time
}

// paymentIn is a payment as a client sends it.
type paymentIn struct {
	PaymentID                                                *string
	Invoice                                                  *struct{ InvoiceID, InvoiceNumber string }
	CreditNote                                               *struct{ CreditNoteID, CreditNoteNumber string }
	Account                                                  *struct{ AccountID, Code string }
	InvoiceNumber, CreditNoteNumber, Code, Reference, Status *string
	Date                                                     *date
	Amount                                                   *amount
	IsReconciled                                             *bool
}

func paymentMembers(s *Sim) map[string]func(*payment) any {
	of := func(t *docType) func(*payment) any {
		return func(p *payment) any {
			if d := s.docs[p.doc]; d.of == t {
				return d.id
			}
			return ""
		}
	}
	return map[string]func(*payment) any{
		"paymentid":               func(p *payment) any { return p.id },
		"reference":               func(p *payment) any { return p.reference },
		"status":                  func(p *payment) any { return p.status },
		"date":                    func(p *payment) any { return p.date.Time },
		"amount":                  func(p *payment) any { return p.amount.Decimal },
		"paymenttype":             func(p *payment) any { return s.paymentType(p) },
		"updateddateutc":          func(p *payment) any { return p.updated },
		"isreconciled":            func(p *payment) any { return p.reconciled },
		"invoice.invoiceid":       of(invoiceType),
		"creditnote.creditnoteid": of(creditNoteType),
	}
}

func (s *Sim) paymentType(p *payment) string {
	return map[string]string{"ACCREC": "ACCRECPAYMENT", "ACCPAY": "ACCPAYPAYMENT", "ACCRECCREDIT": "ARCREDITPAYMENT", "ACCPAYCREDIT": "APCREDITPAYMENT"}[s.docs[p.doc].typ]
}

func (s *Sim) listPayments(r *http.Request, _ []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, bad := readListing(r, "Payment", "PaymentID", paymentMembers(s))
	if bad != nil {
		return *bad
	}
	found, page := paged(r, l.pick(s.payments, func(p *payment) time.Time { return p.updated }, nil))
	shown := make([]any, len(found))
	for i, p := range found {
		shown[i] = s.showPayment(p)
	}
	return s.envelope("Payments", shown, page)
}

func (s *Sim) getPayment(r *http.Request, _ []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.payments[strings.ToLower(r.PathValue("id"))]
	if p == nil {
		return answer{status: http.StatusNotFound, text: missing}
	}
	return s.envelope("Payments", []any{s.showPayment(p)}, nil)
}

func (s *Sim) writePayments(r *http.Request, body []byte) answer {
	only := strings.ToLower(r.PathValue("id"))
	s.mu.Lock()
	known := s.payments[only] != nil
	s.mu.Unlock()
	if only != "" && !known {
		return answer{status: http.StatusNotFound, text: missing}
	}
	return batch(s, r, body, "Payments", only != "", func(in *paymentIn) outcome {
		if only != "" {
			in.PaymentID = &only
		}
		p, msgs, events := s.putPayment(in)
		o := outcome{shown: s.showPayment(p), msgs: msgs, did: didCreate, events: events}
		if in.PaymentID != nil {
			o.did = didUpdate
		}
		return o
	})
}

// putPayment makes a payment, or deletes one that has an id. The caller holds the lock.
func (s *Sim) putPayment(in *paymentIn) (p *payment, msgs []string, events []hookEvent) {
	bad := func(format string, args ...any) { msgs = append(msgs, fmt.Sprintf(format, args...)) }
	now := s.Now().Truncate(time.Millisecond)
	if id := strings.ToLower(text(in.PaymentID)); id != "" {
		old := s.payments[id]
		switch {
		case old == nil:
			return &payment{id: id}, []string{"The payment with the id " + id + " could not be found."}, nil
		case text(in.Status) != "DELETED" || in.Amount != nil || in.Date != nil || in.Reference != nil:
			return old, []string{"A payment cannot be changed; it can only be deleted, by the Status DELETED."}, nil
		case old.status == "DELETED":
			return old, []string{"The payment has been deleted already."}, nil
		case old.reconciled:
			return old, []string{"The payment is reconciled and cannot be deleted."}, nil
		}
		if lock := s.locked(old.date.Time); lock != "" {
			return old, []string{"The payment date cannot be before the period lock date, currently set at " + lock}, nil
		}
		gone := *old
		gone.status, gone.updated = "DELETED", now
		s.payments[id] = &gone
		d := s.docs[gone.doc].clone()
		d.payments = without(d.payments, id)
		return &gone, nil, []hookEvent{s.settle(d)}
	}
	p = &payment{id: noID, status: "AUTHORISED", reference: text(in.Reference), amount: decimalOf(in.Amount), date: date{s.today()}, updated: now}
	if in.Date != nil && !in.Date.IsZero() {
		p.date = *in.Date
	}
	if in.IsReconciled != nil {
		p.reconciled = *in.IsReconciled
	}
	d := s.paidDocument(in)
	if d == nil {
		return p, []string{"The payment must name an Invoice or a CreditNote that exists."}, nil
	}
	p.doc = d.id
	a := s.paymentAccount(in)
	switch {
	case a == nil:
		bad("The Account of the payment could not be found. Enter the Code or AccountID of an existing account.")
	case a.Status != "ACTIVE" || a.Type != "BANK" && !a.EnablePaymentsToAccount:
		bad("Account code '%s' cannot be paid into: it is not a bank account and payments to it are not enabled.", a.Code)
	default:
		p.account = a.AccountID
	}
	switch {
	case d.status != "AUTHORISED":
		bad("Payments can only be made against Authorised documents")
	case !p.amount.IsPositive() || !p.amount.Equal(p.amount.Round(2)):
		bad("The payment Amount must be greater than zero, in whole cents.")
	case p.amount.GreaterThan(s.open(d).Decimal):
		bad("Payment amount exceeds the amount outstanding on this document")
	}
	if lock := s.locked(p.date.Time); lock != "" {
		bad("The payment date cannot be before the period lock date, currently set at %s", lock)
	}
	if len(msgs) > 0 {
		return p, msgs, nil
	}
	p.id = s.UUID()
	s.payments[p.id] = p
	d = d.clone()
	d.payments = append(d.payments, p.id)
	return p, nil, []hookEvent{s.settle(d)}
}

func without(ids []string, id string) []string {
	var left []string
	for _, x := range ids {
		if x != id {
			left = append(left, x)
		}
	}
	return left
}

func (s *Sim) paidDocument(in *paymentIn) *document {
	key := func(id, number string) string {
		if id != "" {
			return id
		}
		return number
	}
	switch {
	case in.Invoice != nil:
		return s.document(invoiceType, key(in.Invoice.InvoiceID, in.Invoice.InvoiceNumber))
	case in.CreditNote != nil:
		return s.document(creditNoteType, key(in.CreditNote.CreditNoteID, in.CreditNote.CreditNoteNumber))
	case text(in.InvoiceNumber) != "":
		return s.document(invoiceType, *in.InvoiceNumber)
	case text(in.CreditNoteNumber) != "":
		return s.document(creditNoteType, *in.CreditNoteNumber)
	}
	return nil
}

func (s *Sim) paymentAccount(in *paymentIn) *account {
	if in.Account != nil {
		if in.Account.AccountID != "" {
			return s.account(in.Account.AccountID)
		}
		return s.account(in.Account.Code)
	}
	return s.account(text(in.Code))
}

func (s *Sim) showPayment(p *payment) object {
	o := object{{"PaymentID", p.id}, {"Date", p.date}, {"BankAmount", p.amount}, {"Amount", p.amount}, {"Reference", p.reference}, {"CurrencyRate", amount{one}}}
	if d := s.docs[p.doc]; d != nil {
		o = append(o, member{"PaymentType", s.paymentType(p)})
	}
	o = append(o, object{{"Status", p.status}, {"UpdatedDateUTC", msTime{p.updated}}, {"UpdatedDateUTCString", p.updated.Format("2006-01-02T15:04:05.999Z")},
		{"HasAccount", p.account != ""}, {"IsReconciled", p.reconciled}}...)
	if a := s.account(p.account); a != nil {
		o = append(o, member{"Account", object{{"AccountID", a.AccountID}, {"Code", a.Code}, {"Name", a.Name}}})
	}
	if d := s.docs[p.doc]; d != nil {
		none := []any{}
		of := object{{"Type", d.typ}, {d.of.id, d.id}, {d.of.number, d.number}, {"Payments", none}, {"LineItems", none},
			{"Contact", s.showContact(d.contact, d.of)}, {"CurrencyCode", d.currency}, {"HasErrors", false}}
		key := "Invoice"
		if d.of == creditNoteType {
			key = "CreditNote"
		}
		o = append(o, member{key, of})
	}
	return append(o, member{"HasValidationErrors", false})
}

// showPayments are the payments inside a document.
func (s *Sim) showPayments(d *document, whole bool) []any {
	list := []any{}
	for _, id := range d.payments {
		if p := s.payments[id]; whole {
			list = append(list, object{{"PaymentID", p.id}, {"Date", p.date}, {"Amount", p.amount}, {"Reference", p.reference}, {"CurrencyRate", amount{one}},
				{"HasAccount", false}, {"HasValidationErrors", false}})
		}
	}
	return list
}

// showCredits are the credit notes inside an invoice that they have paid.
func (s *Sim) showCredits(d *document, whole bool) []any {
	list := []any{}
	for _, c := range d.credits {
		if n := s.docs[c.creditNote]; whole && n != nil {
			list = append(list, object{{"CreditNoteID", n.id}, {"CreditNoteNumber", n.number}, {"ID", n.id}, {"Date", n.date}, {"Total", n.total}, {"AppliedAmount", c.amount}})
		}
	}
	return list
}

func (s *Sim) showAllocations(as []allocation, whole bool) []any {
	list := []any{}
	for _, a := range as {
		if whole {
			list = append(list, s.showAllocation(a))
		}
	}
	return list
}

func (s *Sim) showAllocation(a allocation) object {
	o := object{{"AllocationID", a.id}, {"Amount", a.amount}, {"Date", a.date}}
	none := []any{}
	if d := s.docs[a.invoice]; d != nil {
		o = append(o, member{"Invoice", object{{"InvoiceID", d.id}, {"InvoiceNumber", d.number}, {"Payments", none}, {"LineItems", none}, {"HasErrors", false}, {"ValidationErrors", none}}})
	}
	return append(o, member{"IsDeleted", false})
}

// allocationIn is an allocation as a client sends it.
type allocationIn struct {
	Invoice *struct{ InvoiceID, InvoiceNumber string }
	Amount  *amount
	Date    *date
}

func (s *Sim) putAllocations(r *http.Request, body []byte) answer {
	s.mu.Lock()
	note := s.document(creditNoteType, r.PathValue("id"))
	s.mu.Unlock()
	if note == nil {
		return answer{status: http.StatusNotFound, text: missing}
	}
	return batch(s, r, body, "Allocations", false, func(in *allocationIn) outcome {
		a, msgs, events := s.allocate(note.id, in)
		return outcome{shown: s.showAllocation(a), msgs: msgs, did: didUpdate, events: events}
	})
}

// allocate pays an invoice with a part of a credit note. The caller holds the lock.
func (s *Sim) allocate(noteID string, in *allocationIn) (a allocation, msgs []string, events []hookEvent) {
	note := s.docs[noteID]
	a = allocation{id: noID, creditNote: noteID, amount: decimalOf(in.Amount), date: date{s.today()}}
	if in.Date != nil && !in.Date.IsZero() {
		a.date = *in.Date
	}
	inv := s.allocated(in)
	if inv == nil {
		return a, []string{"The Invoice of the allocation could not be found."}, nil
	}
	a.invoice = inv.id
	if note.status != "AUTHORISED" {
		msgs = append(msgs, "Only an authorised credit note can be allocated; this one is "+note.status)
	}
	msgs = append(msgs, s.wrongAllocation(a, inv, note.contact, s.open(note))...)
	if len(msgs) > 0 {
		return a, msgs, nil
	}
	a.id = s.UUID()
	note, inv = note.clone(), inv.clone()
	note.allocations, inv.credits = append(note.allocations, a), append(inv.credits, a)
	return a, nil, []hookEvent{s.settle(note), s.settle(inv)}
}

// allocated is the invoice that an allocation names, nil if there is none.
func (s *Sim) allocated(in *allocationIn) *document {
	if in.Invoice == nil {
		return nil
	}
	if inv := s.document(invoiceType, in.Invoice.InvoiceID); inv != nil || in.Invoice.InvoiceNumber == "" {
		return inv
	}
	return s.document(invoiceType, in.Invoice.InvoiceNumber)
}

// wrongAllocation lists what Xero refuses in an allocation of what a contact has left.
func (s *Sim) wrongAllocation(a allocation, inv *document, contact string, left amount) (msgs []string) {
	switch {
	case inv.status != "AUTHORISED":
		msgs = append(msgs, "Credit can only be allocated to authorised invoices; this one is "+inv.status)
	case inv.contact != contact:
		msgs = append(msgs, "The credit and the invoice must be for the same contact")
	case !a.amount.IsPositive() || !a.amount.Equal(a.amount.Round(2)):
		msgs = append(msgs, "The allocation Amount must be greater than zero, in whole cents.")
	case a.amount.GreaterThan(left.Decimal):
		msgs = append(msgs, "The allocation amount exceeds the remaining credit")
	case a.amount.GreaterThan(s.open(inv).Decimal):
		msgs = append(msgs, "The allocation amount exceeds the amount outstanding on the invoice")
	}
	if lock := s.locked(a.date.Time); lock != "" {
		msgs = append(msgs, "The allocation date cannot be before the period lock date, currently set at "+lock)
	}
	return msgs
}

// deleteAllocation takes an allocation back.
func (s *Sim) deleteAllocation(r *http.Request, _ []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	note := s.document(creditNoteType, r.PathValue("id"))
	if note == nil {
		return answer{status: http.StatusNotFound, text: missing}
	}
	for _, a := range note.allocations {
		if a.id != strings.ToLower(r.PathValue("allocation")) {
			continue
		}
		if lock := s.locked(a.date.Time); lock != "" {
			return refusal(http.StatusBadRequest, 10, "ValidationException", "The allocation date cannot be before the period lock date, currently set at "+lock)
		}
		note, inv := note.clone(), s.docs[a.invoice].clone()
		note.allocations, inv.credits = dropped(note.allocations, a.id), dropped(inv.credits, a.id)
		return s.tookBack(r, a, s.settle(note), s.settle(inv))
	}
	return answer{status: http.StatusNotFound, text: missing}
}

// tookBack is the answer to an allocation's deletion.
func (s *Sim) tookBack(r *http.Request, a allocation, events ...hookEvent) answer {
	s.notify(events...)
	s.Wrote(r, 0, 1, 0)
	return answer{status: http.StatusOK, root: "Allocation", body: object{{"AllocationID", a.id}, {"Amount", a.amount}, {"Date", a.date},
		{"Invoice", object{{"InvoiceID", a.invoice}}}, {"IsDeleted", true}}}
}

func dropped(as []allocation, id string) (left []allocation) {
	for _, x := range as {
		if x.id != id {
			left = append(left, x)
		}
	}
	return left
}
