package xerosim

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"datum/adapters/sim"
)

const contactType = "contacts"

// Types lists the types of objects; contacts are meant where none is named.
func (s *Sim) Types() []string {
	return []string{contactType, "items", "quotes", "invoices", "creditnotes", "payments", "overpayments"}
}

// docTypes are the documents by the control surface's word.
var docTypes = map[string]*docType{"quotes": quoteType, "invoices": invoiceType, "creditnotes": creditNoteType}

// shown is a contact as the control surface shows it.
type shown struct {
	*contact
	Archived bool `json:"archived"`
}

// Objects returns every object of the type, in the order of creation as far as UpdatedDateUTC tells it.
func (s *Sim) Objects(typ string) ([]any, error) {
	typ = cmp.Or(typ, contactType)
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if typ != contactType {
		return s.otherObjects(typ), nil
	}
	all := make([]*contact, 0, len(s.contacts))
	for _, c := range s.contacts {
		all = append(all, c)
	}
	slices.SortFunc(all, byUpdated)
	out := make([]any, len(all))
	for i, c := range all {
		out[i] = shown{c.clone(), c.ContactStatus != "ACTIVE"}
	}
	return out, nil
}

// Put is a person in Xero's own screens: beside what the API takes they can set Website, and make the contact a supplier
// or a customer (IsSupplier, IsCustomer) as entering a bill or an invoice would, which does not move UpdatedDateUTC. Of
// credit notes and overpayments they can set Allocations, beside what the API takes, and payments they can delete by the Status.
func (s *Sim) Put(typ, id string, properties map[string]any) (any, error) {
	typ = cmp.Or(typ, contactType)
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return nil, err
	}
	if typ != contactType {
		return s.putOther(typ, id, properties)
	}
	var in struct {
		incoming
		Website                *string
		IsSupplier, IsCustomer *bool
	}
	if err := readScreen(properties, &in); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	old := emptyContact("")
	if id != "" {
		if old = s.contacts[strings.ToLower(id)]; old == nil {
			return nil, fmt.Errorf("there is no contact %s", id)
		}
	}
	c, msgs := in.apply(old)
	if in.Website != nil {
		c.Website = *in.Website
	}
	if msgs = append(msgs, s.clashes(c)...); len(msgs) > 0 {
		return nil, errors.New(strings.Join(msgs, " "))
	}
	unseen := c.same(old)
	c.IsSupplier, c.IsCustomer = or(in.IsSupplier, c.IsSupplier), or(in.IsCustomer, c.IsCustomer)
	switch {
	case id == "":
		c.ContactID = s.UUID()
		s.store(c)
		s.notify(hookEvent{category: "CONTACT", id: c.ContactID, kind: "CREATE", at: c.UpdatedDateUTC.Time})
	case unseen:
		s.contacts[c.ContactID] = c
	default:
		s.store(c)
		s.notify(hookEvent{category: "CONTACT", id: c.ContactID, kind: "UPDATE", at: c.UpdatedDateUTC.Time})
	}
	return shown{c.clone(), c.ContactStatus != "ACTIVE"}, nil
}

// readScreen decodes what a person entered. What the screen shows and nobody can enter may be there and is left alone; a
// member that no contact has is an error.
func readScreen(properties map[string]any, in any) error {
	properties = maps.Clone(properties)
	maps.DeleteFunc(properties, func(name string, _ any) bool {
		return slices.ContainsFunc(shownOnly, func(s string) bool { return strings.EqualFold(s, name) })
	})
	b, err := json.Marshal(properties)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(in); err != nil {
		return fmt.Errorf("the properties are not those of a Xero contact such as Name, EmailAddress, TaxNumber, Addresses, Phones: %w", err)
	}
	return nil
}

var shownOnly = []string{"archived", "UpdatedDateUTC", "UpdatedDateUTCString", "MergedToContactID", "Balances", "ContactGroups",
	"HasAttachments", "HasValidationErrors"}

func or(p *bool, otherwise bool) bool {
	if p == nil {
		return otherwise
	}
	return *p
}

// Merge archives the loser, points it at the winner and gives the winner its documents, which does not move their UpdatedDateUTC.
func (s *Sim) Merge(typ, winner, loser string) (any, error) {
	if err := sim.CheckType(typ, []string{contactType}); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	w, l := s.contacts[strings.ToLower(winner)], s.contacts[strings.ToLower(loser)]
	switch {
	case w == nil || l == nil:
		return nil, errors.New("winner and loser must be two contacts")
	case w.MergedToContactID != "" || l.MergedToContactID != "":
		return nil, errors.New("a contact that was merged away cannot be merged again")
	}
	w, l = w.clone(), l.clone()
	l.ContactStatus, l.MergedToContactID = "ARCHIVED", w.ContactID
	w.IsCustomer, w.IsSupplier = w.IsCustomer || l.IsCustomer, w.IsSupplier || l.IsSupplier
	for id, d := range s.docs {
		if d.contact == l.ContactID {
			d = d.clone()
			d.contact = w.ContactID
			s.docs[id] = d
		}
	}
	s.store(l)
	s.store(w)
	s.notify(hookEvent{category: "CONTACT", id: l.ContactID, kind: "UPDATE", at: l.UpdatedDateUTC.Time}, hookEvent{category: "CONTACT", id: w.ContactID, kind: "UPDATE", at: w.UpdatedDateUTC.Time})
	return shown{w.clone(), w.ContactStatus != "ACTIVE"}, nil
}

// Delete does what the screen offers: contacts are archived, items and payments deleted, quotes and drafts deleted, and
// what is authorised is voided.
func (s *Sim) Delete(typ, id string) error {
	if typ == contactType {
		_, err := s.Put(typ, cmp.Or(id, noID), map[string]any{"ContactStatus": "ARCHIVED"})
		return err
	}
	if err := sim.CheckType(typ, s.Types()); err != nil {
		return err
	}
	status := "DELETED"
	s.mu.Lock()
	if d := s.docs[strings.ToLower(id)]; d != nil && d.of != quoteType && d.status != "DRAFT" && d.status != "SUBMITTED" {
		status = "VOIDED"
	}
	if i := s.items[strings.ToLower(id)]; i != nil && typ == "items" {
		delete(s.items, i.ItemID)
		delete(s.codes, i.Code)
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	_, err := s.Put(typ, cmp.Or(id, noID), map[string]any{"Status": status})
	return err
}

// ourMark is an id in square brackets at the end of a reference, which clients use where Xero has no place for theirs.
var ourMark = regexp.MustCompile(`\[[a-z]+_[0-9a-z]{26}\]$`)

// Duplicates counts the surplus live objects that carry one id of a client: contacts by ContactNumber, invoices by Url,
// others by a mark in their reference.
func (s *Sim) Duplicates() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen, surplus := map[string]bool{}, 0
	count := func(key string) {
		if seen[key] {
			surplus++
		}
		seen[key] = true
	}
	for _, c := range s.contacts {
		if c.ContactNumber != "" && c.ContactStatus == "ACTIVE" {
			count("contact " + c.ContactNumber)
		}
	}
	for _, d := range s.docs {
		if d.status == "DELETED" || d.status == "VOIDED" {
			continue
		}
		if d.url != "" {
			count(d.of.name + " " + d.url)
		}
		if m := ourMark.FindString(d.reference); m != "" {
			count(d.of.name + " " + m)
		}
	}
	for _, p := range s.payments {
		if m := ourMark.FindString(p.reference); m != "" && p.status != "DELETED" {
			count("payment " + m)
		}
	}
	for _, o := range s.overpayments {
		if o.url != "" && o.status != "VOIDED" {
			count("payment " + o.url)
		}
	}
	return surplus
}

// otherObjects are all objects of a type that is not contacts. The caller holds the lock.
func (s *Sim) otherObjects(typ string) []any {
	type stamped struct {
		at    time.Time
		id    string
		shown any
	}
	var all []stamped
	switch t := docTypes[typ]; {
	case t != nil:
		for _, d := range s.docs {
			if d.of == t {
				all = append(all, stamped{d.updated, d.id, s.shownDocument(d)})
			}
		}
	case typ == "items":
		for _, i := range s.items {
			all = append(all, stamped{i.UpdatedDateUTC.Time, i.ItemID, i.at(4)})
		}
	case typ == "overpayments":
		for _, o := range s.overpayments {
			all = append(all, stamped{o.updated, o.id, s.shownOverpayment(o)})
		}
	default:
		for _, p := range s.payments {
			all = append(all, stamped{p.updated, p.id, s.shownPayment(p)})
		}
	}
	slices.SortFunc(all, func(a, b stamped) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	out := make([]any, len(all))
	for i, x := range all {
		out[i] = x.shown
	}
	return out
}

func (s *Sim) shownDocument(d *document) object {
	return append(s.showDocument(d, true, 4), member{"archived", d.status == "DELETED" || d.status == "VOIDED"})
}

func (s *Sim) shownPayment(p *payment) object {
	return append(s.showPayment(p), member{"archived", p.status == "DELETED"})
}

func (s *Sim) shownOverpayment(o *overpayment) object {
	return append(s.showOverpayment(o), member{"archived", o.status == "VOIDED"})
}

// putOther is Put for what is not a contact.
func (s *Sim) putOther(typ, id string, properties map[string]any) (any, error) {
	b, err := json.Marshal(properties)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	refused := func(msgs []string) error { return errors.New(strings.Join(msgs, " ")) }
	switch t := docTypes[typ]; {
	case t != nil:
		var in struct {
			documentIn
			Allocations []allocationIn
		}
		if err := json.Unmarshal(b, &in); err != nil {
			return nil, fmt.Errorf("the properties are not those of %s: %w", t.name, err)
		}
		in.InvoiceID, in.CreditNoteID, in.QuoteID = &id, &id, &id
		d, msgs, kind := s.putDocument(t, &in.documentIn, id == "", 4)
		if len(msgs) > 0 {
			return nil, refused(msgs)
		}
		var events []hookEvent
		if t.category != "" {
			events = append(events, s.docEvent(d, eventKind(kind)))
		}
		for i := range in.Allocations {
			_, msgs, more := s.allocate(d.id, &in.Allocations[i])
			if len(msgs) > 0 {
				return nil, refused(msgs)
			}
			events = append(events, more...)
		}
		s.notify(events...)
		return s.shownDocument(s.docs[d.id]), nil
	case typ == "items":
		var in itemIn
		if err := json.Unmarshal(b, &in); err != nil {
			return nil, fmt.Errorf("the properties are not those of an item such as Code, Name, SalesDetails: %w", err)
		}
		in.ItemID = &id
		i, msgs, _ := s.putItem(&in, id == "", 4)
		if len(msgs) > 0 {
			return nil, refused(msgs)
		}
		return i.at(4), nil
	case typ == "overpayments":
		var in struct {
			bankTransactionIn
			Allocations []allocationIn
		}
		if err := json.Unmarshal(b, &in); err != nil {
			return nil, fmt.Errorf("the properties are not those of an overpayment such as Contact, BankAccount, LineItems, Date, Allocations: %w", err)
		}
		id = strings.ToLower(id)
		var events []hookEvent
		if old := s.overpayments[id]; old == nil || in.Status != nil {
			if old != nil {
				in.BankTransactionID = &old.bank
			}
			o, msgs, more := s.putBankTransaction(&in.bankTransactionIn)
			if len(msgs) > 0 {
				return nil, refused(msgs)
			}
			id, events = o.id, more
		}
		for i := range in.Allocations {
			_, msgs, more := s.allocateOverpayment(id, &in.Allocations[i])
			if len(msgs) > 0 {
				return nil, refused(msgs)
			}
			events = append(events, more...)
		}
		s.notify(events...)
		return s.shownOverpayment(s.overpayments[id]), nil
	default:
		var in paymentIn
		if err := json.Unmarshal(b, &in); err != nil {
			return nil, fmt.Errorf("the properties are not those of a payment such as Invoice, Account, Amount, Date: %w", err)
		}
		in.PaymentID = &id
		p, msgs, events := s.putPayment(&in)
		if len(msgs) > 0 {
			return nil, refused(msgs)
		}
		s.notify(events...)
		return s.shownPayment(p), nil
	}
}
