package xerosim

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"
)

// docType is what tells invoices, credit notes and quotes apart.
type docType struct {
	name, word, id, number string // "Invoices", "Invoice", "InvoiceID", "InvoiceNumber"
	types                  []string
	prefix                 string // of numbers that Xero gives
	category               string // of webhooks, "" for none
	upper                  bool   // LineAmountTypes in capitals
	due                    string // "DueDate", "ExpiryDate", "" for none
	discounts              bool
	first                  []string            // statuses of a new document, the default first
	next                   map[string][]string // statuses that a client may set
	fixed                  []string            // statuses in which nothing but the status can be changed
	posted                 []string            // statuses in which the document is in the accounts
}

var invoiceType = &docType{
	name: "Invoices", word: "Invoice", id: "InvoiceID", number: "InvoiceNumber", types: []string{"ACCREC", "ACCPAY"}, prefix: "INV-", category: "INVOICE",
	due: "DueDate", discounts: true, first: []string{"DRAFT", "SUBMITTED", "AUTHORISED"},
	next:  map[string][]string{"DRAFT": {"SUBMITTED", "AUTHORISED", "DELETED"}, "SUBMITTED": {"AUTHORISED", "DELETED"}, "AUTHORISED": {"VOIDED"}},
	fixed: []string{"PAID", "VOIDED", "DELETED"}, posted: []string{"AUTHORISED", "PAID", "VOIDED"},
}

var creditNoteType = &docType{
	name: "CreditNotes", word: "Credit note", id: "CreditNoteID", number: "CreditNoteNumber", types: []string{"ACCRECCREDIT", "ACCPAYCREDIT"}, prefix: "CN-", category: "CREDITNOTE",
	first: invoiceType.first, next: invoiceType.next, fixed: invoiceType.fixed, posted: invoiceType.posted,
}

var quoteType = &docType{
	name: "Quotes", word: "Quote", id: "QuoteID", number: "QuoteNumber", types: []string{""}, prefix: "QU-", upper: true, due: "ExpiryDate", discounts: true,
	first: []string{"DRAFT", "SENT"},
	next: map[string][]string{
		"DRAFT": {"SENT", "DELETED"}, "SENT": {"DRAFT", "ACCEPTED", "DECLINED", "INVOICED", "DELETED"},
		"ACCEPTED": {"DRAFT", "SENT", "DECLINED", "INVOICED", "DELETED"}, "DECLINED": {"DRAFT", "SENT", "ACCEPTED", "INVOICED", "DELETED"},
		"INVOICED": {"DRAFT", "SENT", "ACCEPTED", "DECLINED", "DELETED"},
	},
	fixed: []string{"INVOICED", "DELETED"},
}

// document is an invoice, a credit note or a quote. It is replaced, never changed, once it is stored.
type document struct {
	of                                      *docType
	id, number, typ, status, reference, url string
	title, summary, terms                   string // of quotes
	contact                                 string
	mode, currency, branding                string
	date, due                               date
	sent                                    bool
	lines                                   []line
	subtotal, tax, total, discount          amount
	paidOn                                  date
	updated                                 time.Time

	payments    []string     // ids of the payments that count
	credits     []allocation // of an invoice: what credit notes and overpayments paid
	allocations []allocation // of a credit note
}

// line is one line as it is kept, with unit amounts of four decimals.
type line struct {
	id, item, code, description, account, taxType string // item is the ItemID, code what it was called
	quantity, unit, tax, amount                   amount
	rate, less                                    *amount // discounts
	text                                          bool    // a description and nothing else
}

// allocation is a part of a credit note or an overpayment that pays an invoice.
type allocation struct {
	id, invoice, creditNote, overpayment string
	amount                               amount
	date                                 date
}

func (d *document) clone() *document {
	n := *d
	n.lines, n.payments, n.credits, n.allocations = slices.Clone(d.lines), slices.Clone(d.payments), slices.Clone(d.credits), slices.Clone(d.allocations)
	return &n
}

// paid is what payments of the document add up to, and credited what credit notes paid of it or it paid of invoices.
func (s *Sim) paid(d *document) (paid, credited amount) {
	for _, id := range d.payments {
		paid.Decimal = paid.Add(s.payments[id].amount.Decimal)
	}
	for _, c := range append(slices.Clone(d.credits), d.allocations...) {
		credited.Decimal = credited.Add(c.amount.Decimal)
	}
	return paid, credited
}

// open is what is still to be paid of an invoice, or left of a credit note.
func (s *Sim) open(d *document) amount {
	paid, credited := s.paid(d)
	return amount{d.total.Sub(paid.Decimal).Sub(credited.Decimal)}
}

// reference to another object by its id, or by another key.
type contactRef struct{ ContactID, ContactNumber, Name string }

// lineIn is a line as a client sends it: absent members keep the line of the LineItemID as it is.
type lineIn struct {
	LineItemID, ItemCode, Description, AccountCode, TaxType                   *string
	Quantity, UnitAmount, TaxAmount, LineAmount, DiscountRate, DiscountAmount *amount
}

// documentIn is a document as a client sends it: absent members leave the document's alone, and lines that are not among
// those sent are deleted.
type documentIn struct {
	InvoiceID, CreditNoteID, QuoteID, InvoiceNumber, CreditNoteNumber, QuoteNumber *string
	Type, Status, Reference, LineAmountTypes, CurrencyCode, BrandingThemeID        *string
	Title, Summary, Terms                                                          *string
	URL                                                                            *string `json:"Url"`
	Contact                                                                        *contactRef
	Date, DueDate, ExpiryDate                                                      *date
	SentToContact                                                                  *bool
	LineItems                                                                      *[]lineIn
}

func (in *documentIn) id(t *docType) string {
	return text(map[*docType]*string{invoiceType: in.InvoiceID, creditNoteType: in.CreditNoteID, quoteType: in.QuoteID}[t])
}

func (in *documentIn) number(t *docType) *string {
	return map[*docType]*string{invoiceType: in.InvoiceNumber, creditNoteType: in.CreditNoteNumber, quoteType: in.QuoteNumber}[t]
}

func (in *documentIn) due(t *docType) *date {
	return map[*docType]*date{invoiceType: in.DueDate, quoteType: in.ExpiryDate}[t]
}

// put creates or updates one document. With messages nothing was written. The caller holds the lock.
func (s *Sim) putDocument(t *docType, in *documentIn, createOnly bool, unitdp int32) (d *document, msgs []string, kind did) {
	var old *document
	id, no := in.id(t), text(in.number(t))
	switch {
	case id != "" && id != noID && !createOnly:
		if old = s.document(t, id); old == nil {
			return &document{of: t, id: id}, []string{"The " + strings.ToLower(t.word) + " with the id " + id + " could not be found."}, didNothing
		}
	case no != "" && !createOnly:
		old = s.docs[s.numbers[t.name+" "+no]] // POST of a number that exists edits that document
	}
	if old == nil {
		d = &document{of: t, id: noID, typ: t.types[0], status: t.first[0], mode: "Exclusive", currency: s.org.BaseCurrency, date: date{s.today()}}
	} else {
		d = old.clone()
	}
	msgs = s.applyDocument(d, old, in, unitdp)
	msgs = append(msgs, s.wrongDocument(d, old)...)
	if len(msgs) > 0 {
		return d, msgs, didNothing
	}
	kind = didUpdate
	if old == nil {
		kind, d.id = didCreate, s.UUID()
		if d.number == "" && d.typ != "ACCPAY" {
			d.number = s.nextNumber(t)
		}
		if c := s.contacts[d.contact]; c != nil { // seen by nobody who asks what has changed
			c = c.clone()
			c.IsCustomer, c.IsSupplier = c.IsCustomer || !strings.HasPrefix(d.typ, "ACCPAY"), c.IsSupplier || strings.HasPrefix(d.typ, "ACCPAY")
			s.contacts[c.ContactID] = c
		}
	}
	unseen := old != nil && len(old.payments)+len(old.credits) > 0 && d.status == old.status && d.reference == old.reference && d.url == old.url &&
		d.branding == old.branding // DueDate and SentToContact of a part-paid invoice do not move UpdatedDateUTC
	s.storeDocument(d, unseen)
	return d, nil, kind
}

// document finds one by id or number.
func (s *Sim) document(t *docType, key string) *document {
	d := s.docs[strings.ToLower(key)]
	if d == nil {
		d = s.docs[s.numbers[t.name+" "+key]]
	}
	if d == nil || d.of != t {
		return nil
	}
	return d
}

func (s *Sim) nextNumber(t *docType) string {
	for {
		s.counters[t.name]++
		if no := fmt.Sprintf("%s%04d", t.prefix, s.counters[t.name]); s.numbers[t.name+" "+no] == "" {
			return no
		}
	}
}

// storeDocument keeps d and stamps it. The caller holds the lock.
func (s *Sim) storeDocument(d *document, unseen bool) {
	if !unseen {
		d.updated = s.Now().Truncate(time.Millisecond)
	}
	if old := s.docs[d.id]; old != nil && old.number != d.number && s.numbers[d.of.name+" "+old.number] == d.id {
		delete(s.numbers, d.of.name+" "+old.number)
	}
	if d.number != "" && d.typ != "ACCPAY" && d.typ != "ACCPAYCREDIT" {
		s.numbers[d.of.name+" "+d.number] = d.id
	}
	if d.status == "DELETED" && s.numbers[d.of.name+" "+d.number] == d.id {
		delete(s.numbers, d.of.name+" "+d.number)
	}
	s.docs[d.id] = d
}

// settle stamps a document after money moved and sets the status that follows from it.
func (s *Sim) settle(d *document) hookEvent {
	switch open := s.open(d); {
	case d.status == "AUTHORISED" && !open.IsPositive() && d.total.IsPositive():
		d.status, d.paidOn = "PAID", date{s.today()}
	case d.status == "PAID" && open.IsPositive():
		d.status, d.paidOn = "AUTHORISED", date{}
	}
	s.storeDocument(d, false)
	return s.docEvent(d, "UPDATE")
}

func (s *Sim) docEvent(d *document, kind string) hookEvent {
	e := hookEvent{category: d.of.category, id: d.id, kind: kind, at: d.updated}
	if d.of == creditNoteType {
		e.data = &hookData{d.typ, d.status}
	}
	return e
}

// today is the organisation's date.
func (s *Sim) today() time.Time {
	// Sydney without its summer time: nobody's test depends on the hour between.
	return s.Now().Add(10 * time.Hour).Truncate(24 * time.Hour)
}

// applyDocument makes d what the client asks for and returns what cannot be read.
func (s *Sim) applyDocument(d, old *document, in *documentIn, unitdp int32) (msgs []string) {
	t := d.of
	bad := func(format string, args ...any) { msgs = append(msgs, fmt.Sprintf(format, args...)) }
	for _, m := range []struct {
		to   *string
		from *string
	}{
		{&d.reference, in.Reference}, {&d.url, in.URL}, {&d.branding, in.BrandingThemeID}, {&d.title, in.Title}, {&d.summary, in.Summary}, {&d.terms, in.Terms},
	} {
		if m.from != nil {
			*m.to = *m.from
		}
	}
	if v := text(in.number(t)); v != "" {
		d.number = v
	}
	if v := text(in.Type); v != "" {
		if old != nil && v != old.typ {
			bad("The Type of an existing document cannot be changed.")
		}
		if d.typ = v; !slices.Contains(t.types, v) {
			bad("The Type %q is not valid.", v)
		}
	}
	if v := text(in.CurrencyCode); v != "" {
		if d.currency = v; !currencyCode.MatchString(v) {
			bad("The currency code %q is not valid.", v)
		}
	}
	mode := d.mode
	if v := text(in.LineAmountTypes); v != "" {
		i := slices.IndexFunc([]string{"Exclusive", "Inclusive", "NoTax"}, func(m string) bool { return strings.EqualFold(m, v) })
		if i < 0 {
			bad("The LineAmountTypes %q is not valid.", v)
		} else {
			d.mode = []string{"Exclusive", "Inclusive", "NoTax"}[i]
		}
	}
	if in.Contact != nil {
		if c := s.contactOf(in.Contact); c == nil {
			bad("The Contact does not exist. Enter a ContactID of an existing contact.")
		} else {
			d.contact = c.ContactID
		}
	}
	if in.Date != nil && !in.Date.IsZero() {
		d.date = *in.Date
	}
	if p := in.due(t); p != nil {
		d.due = *p
	}
	if in.SentToContact != nil {
		d.sent = *in.SentToContact
	}
	if v := text(in.Status); v != "" {
		d.status = v
	}
	switch {
	case in.LineItems != nil:
		msgs = append(msgs, s.applyLines(d, *in.LineItems, unitdp)...)
	case mode != d.mode:
		for i := range d.lines {
			l := &d.lines[i]
			if d.mode == "NoTax" {
				l.taxType = "NONE"
			}
			l.tax = s.taxOf(l, d.mode)
		}
	}
	d.add()
	return msgs
}

func (s *Sim) contactOf(ref *contactRef) *contact {
	switch {
	case ref.ContactID != "":
		return s.contacts[strings.ToLower(ref.ContactID)]
	case ref.ContactNumber != "":
		return s.contacts[s.byNumber[ref.ContactNumber]]
	}
	for _, c := range s.contacts {
		if ref.Name != "" && c.ContactStatus == "ACTIVE" && strings.EqualFold(c.Name, ref.Name) {
			return c
		}
	}
	return nil
}

// add works out the totals: GST is rounded on each line, then added up.
func (d *document) add() {
	d.subtotal, d.tax, d.discount = amount{}, amount{}, amount{}
	for _, l := range d.lines {
		net := l.amount.Decimal
		if d.mode == "Inclusive" {
			net = net.Sub(l.tax.Decimal)
		}
		d.subtotal.Decimal, d.tax.Decimal = d.subtotal.Add(net), d.tax.Add(l.tax.Decimal)
		if l.rate != nil || l.less != nil {
			d.discount.Decimal = d.discount.Add(l.quantity.Mul(l.unit.Decimal).Round(2).Sub(l.amount.Decimal))
		}
	}
	d.total.Decimal = d.subtotal.Add(d.tax.Decimal)
}

// applyLines replaces the lines by those given; a line with a LineItemID of the document keeps what is not given.
func (s *Sim) applyLines(d *document, ins []lineIn, unitdp int32) (msgs []string) {
	before := d.lines
	d.lines = nil
	for _, in := range ins {
		var l line
		if id := text(in.LineItemID); id != "" {
			if i := slices.IndexFunc(before, func(l line) bool { return l.id == id }); i >= 0 {
				l = before[i]
			}
		}
		msgs = append(msgs, s.applyLine(d, &l, in, unitdp)...)
		if l.id == "" {
			l.id = s.UUID()
		}
		d.lines = append(d.lines, l)
	}
	return msgs
}

func (s *Sim) applyLine(d *document, l *line, in lineIn, unitdp int32) (msgs []string) {
	bad := func(format string, args ...any) { msgs = append(msgs, fmt.Sprintf(format, args...)) }
	if in.ItemCode != nil {
		l.item, l.code = s.codes[*in.ItemCode], *in.ItemCode
		if it := s.items[l.item]; it != nil {
			l.fromItem(it)
		} else if l.code != "" {
			bad("Item code '%s' is not valid", l.code)
		}
	}
	for _, m := range []struct {
		to   *string
		from *string
	}{{&l.description, in.Description}, {&l.account, in.AccountCode}, {&l.taxType, in.TaxType}} {
		if m.from != nil && (*m.from != "" || in.ItemCode == nil) {
			*m.to = *m.from
		}
	}
	for _, m := range []struct {
		to       *amount
		from     *amount
		decimals int32
	}{{&l.quantity, in.Quantity, 4}, {&l.unit, in.UnitAmount, unitdp}} {
		if m.from != nil {
			*m.to = m.from.to(m.decimals)
		}
	}
	if in.DiscountRate != nil || in.DiscountAmount != nil {
		l.rate, l.less = in.DiscountRate, in.DiscountAmount
		switch {
		case l.rate != nil && l.rate.IsZero():
			l.rate = nil
		case l.less != nil && l.less.IsZero():
			l.less = nil
		}
		if l.rate != nil && l.less != nil {
			bad("A line may have a DiscountRate or a DiscountAmount, not both.")
		}
		if (l.rate != nil || l.less != nil) && !d.of.discounts {
			bad("Discounts are not supported on credit notes.")
		}
	} else if in.UnitAmount != nil || in.LineItemID == nil {
		l.rate, l.less = nil, nil
	}
	if l.text = l.description != "" && in.Quantity == nil && in.UnitAmount == nil && in.LineAmount == nil && l.item == "" && l.quantity.IsZero() && l.unit.IsZero(); l.text {
		return msgs
	}
	if in.Quantity == nil && l.quantity.IsZero() {
		l.quantity = amount{decimal.New(1, 0)}
	}
	if in.LineAmount != nil && in.UnitAmount == nil && l.unit.IsZero() && !l.quantity.IsZero() {
		l.unit = amount{in.LineAmount.DivRound(l.quantity.Decimal, unitdp)}
	}
	l.amount = l.sum()
	if in.LineAmount != nil && !in.LineAmount.Equal(l.amount.Decimal) {
		bad("The line total %s does not match the expected line total %s", in.LineAmount.StringFixed(2), l.amount.StringFixed(2))
	}
	if a := s.account(l.account); a == nil && l.account != "" {
		bad("Account code '%s' is not a valid code for this document.", l.account)
	} else if a != nil && l.taxType == "" {
		l.taxType = a.TaxType
	}
	if d.mode == "NoTax" {
		l.taxType = "NONE"
	}
	msgs = append(msgs, s.wrongTax(l.taxType, l.account)...)
	l.tax = s.taxOf(l, d.mode)
	if in.TaxAmount != nil && d.mode != "NoTax" {
		l.tax = in.TaxAmount.to(2)
	}
	return msgs
}

// fromItem fills in what an item says of its sale.
func (l *line) fromItem(it *item) {
	if l.description == "" {
		l.description = it.Description
	}
	if it.SalesDetails.AccountCode != "" && l.account == "" {
		l.account = it.SalesDetails.AccountCode
	}
	if it.SalesDetails.TaxType != "" && l.taxType == "" {
		l.taxType = it.SalesDetails.TaxType
	}
	if p := it.SalesDetails.UnitPrice; p != nil && l.unit.IsZero() {
		l.unit = *p
	}
}

// sum is quantity × unit amount less the discount, in cents.
func (l *line) sum() amount {
	full := l.quantity.Mul(l.unit.Decimal)
	switch {
	case l.rate != nil:
		full = full.Mul(decimal.New(100, 0).Sub(l.rate.Decimal)).Shift(-2)
	case l.less != nil:
		full = full.Sub(l.less.Decimal)
	}
	return amount{full.Round(2)}
}

// taxOf is the GST of a line, rounded to cents.
func (s *Sim) taxOf(l *line, mode string) amount {
	r := s.rate(l.taxType)
	if r == nil || mode == "NoTax" {
		return amount{}
	}
	hundred := decimal.New(100, 0)
	if mode == "Inclusive" {
		return amount{l.amount.Mul(r.EffectiveRate.Decimal).DivRound(hundred.Add(r.EffectiveRate.Decimal), 2)}
	}
	return amount{l.amount.Mul(r.EffectiveRate.Decimal).DivRound(hundred, 2)}
}

// wrongTax says why a tax type cannot be used with the account.
func (s *Sim) wrongTax(taxType, code string) []string {
	if taxType == "" || taxType == "NONE" {
		return nil
	}
	r, a := s.rate(taxType), s.account(code)
	switch {
	case r == nil || r.Status != "ACTIVE":
		return []string{fmt.Sprintf("The TaxType code '%s' does not exist or cannot be used for this type of transaction.", taxType)}
	case a != nil && !r.appliesTo(a.Class):
		return []string{fmt.Sprintf("The TaxType code '%s' cannot be used with account code '%s'.", taxType, code)}
	}
	return nil
}

// wrongDocument lists what Xero refuses in d, which was old.
func (s *Sim) wrongDocument(d, old *document) (msgs []string) {
	t := d.of
	bad := func(format string, args ...any) { msgs = append(msgs, fmt.Sprintf(format, args...)) }
	switch {
	case old == nil && !slices.Contains(t.first, d.status):
		bad("%s not of valid status for creation", t.word)
	case old == nil:
	case d.status != old.status && !slices.Contains(t.next[old.status], d.status):
		bad("%s not of valid status for modification: the status %s cannot be set when it is %s.", t.word, d.status, old.status)
	case slices.Contains(t.fixed, old.status) && d.status == old.status:
		bad("%s not of valid status for modification", t.word)
	}
	moved := old != nil && len(old.payments)+len(old.credits)+len(old.allocations) > 0
	if moved && d.status == "VOIDED" {
		bad("The status VOIDED cannot be applied to the %s because it has payments or credit notes allocated to it.", strings.ToLower(t.word))
	} else if moved && !d.sameMoney(old) {
		bad("%s not of valid status for modification: this document cannot be edited as it has a payment or credit note allocated to it.", t.word)
	}
	limit := func(name, v string, n int) {
		if utf8.RuneCountInString(v) > n {
			bad("%s must not be more than %d characters in length.", name, n)
		}
	}
	limit(t.number, d.number, 255)
	limit("Reference", d.reference, map[*docType]int{quoteType: 4000}[t]+255)
	limit("Title", d.title, 100)
	limit("Summary", d.summary, 3000)
	limit("Terms", d.terms, 4000)
	if d.url != "" && !strings.HasPrefix(d.url, "https://") && !strings.HasPrefix(d.url, "http://") {
		bad("Url must be a valid absolute URL")
	}
	c := s.contacts[d.contact]
	if d.contact == "" {
		bad("A Contact must be specified for this type of transaction")
	} else if c.ContactStatus != "ACTIVE" && (old == nil || old.contact != d.contact) {
		bad("The Contact is archived. Use an active contact.")
	}
	if id := s.numbers[t.name+" "+d.number]; d.number != "" && id != "" && id != d.id && d.typ == t.types[0] {
		bad("%s # must be unique.", t.word)
	}
	if d.total.IsNegative() {
		bad("The total for this document must be greater than or equal to zero.")
	}
	if slices.Contains(t.posted, d.status) && (old == nil || d.status != old.status || !d.sameMoney(old)) {
		msgs = append(msgs, s.wrongPosting(d)...)
		lock := s.locked(d.date.Time)
		if lock == "" && old != nil && slices.Contains(t.posted, old.status) {
			lock = s.locked(old.date.Time)
		}
		if lock != "" {
			bad("The document date cannot be before the period lock date, currently set at %s", lock)
		}
	}
	return msgs
}

// sameMoney reports whether everything that the accounts see is as it was.
func (d *document) sameMoney(o *document) bool {
	return d.contact == o.contact && d.currency == o.currency && d.mode == o.mode && d.date.Equal(o.date.Time) && d.total.Equal(o.total.Decimal) &&
		d.tax.Equal(o.tax.Decimal) && slices.EqualFunc(d.lines, o.lines, func(a, b line) bool {
		return a.item == b.item && a.description == b.description && a.account == b.account && a.taxType == b.taxType &&
			a.quantity.Equal(b.quantity.Decimal) && a.unit.Equal(b.unit.Decimal) && a.amount.Equal(b.amount.Decimal)
	})
}

// wrongPosting lists what a document that is in the accounts must have.
func (s *Sim) wrongPosting(d *document) (msgs []string) {
	if d.due.IsZero() && d.of.due != "" && d.status == "AUTHORISED" {
		msgs = append(msgs, "The document Due Date is required")
	}
	if len(d.lines) == 0 {
		msgs = append(msgs, "One or more line items must be specified")
	}
	for _, l := range d.lines {
		if l.text {
			continue
		}
		if l.description == "" {
			msgs = append(msgs, "Description is required for an approved document")
		}
		if l.account == "" {
			msgs = append(msgs, "Account code must be specified")
		}
	}
	return msgs
}

// locked returns the lock date that the day is on or before, as Xero writes it, "" if none.
func (s *Sim) locked(day time.Time) string {
	for _, lock := range []*msTime{s.org.PeriodLockDate, s.org.EndOfYearLockDate} {
		if lock != nil && !day.After(lock.Time) {
			return lock.Format("2 January 2006")
		}
	}
	return ""
}
