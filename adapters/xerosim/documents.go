package xerosim

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// docMembers are the members that where and order may name, in lower case.
func docMembers(t *docType, s *Sim) map[string]func(*document) any {
	m := map[string]func(*document) any{
		strings.ToLower(t.id):     func(d *document) any { return d.id },
		strings.ToLower(t.number): func(d *document) any { return d.number },
		"reference":               func(d *document) any { return d.reference },
		"type":                    func(d *document) any { return d.typ },
		"status":                  func(d *document) any { return d.status },
		"url":                     func(d *document) any { return d.url },
		"date":                    func(d *document) any { return d.date.Time },
		"duedate":                 func(d *document) any { return d.due.Time },
		"currencycode":            func(d *document) any { return d.currency },
		"total":                   func(d *document) any { return d.total.Decimal },
		"amountdue":               func(d *document) any { return s.open(d).Decimal },
		"remainingcredit":         func(d *document) any { return s.open(d).Decimal },
		"amountpaid":              func(d *document) any { paid, _ := s.paid(d); return paid.Decimal },
		"amountcredited":          func(d *document) any { _, credited := s.paid(d); return credited.Decimal },
		"totaltax":                func(d *document) any { return d.tax.Decimal },
		"subtotal":                func(d *document) any { return d.total.Sub(d.tax.Decimal) },
		"contact.contactid":       func(d *document) any { return d.contact },
		"contact.name":            func(d *document) any { return s.contacts[d.contact].Name },
		"contact.contactnumber":   func(d *document) any { return s.contacts[d.contact].ContactNumber },
		"updateddateutc":          func(d *document) any { return d.updated },
	}
	return m
}

func (s *Sim) docRoutes(mux *http.ServeMux, base string, t *docType) {
	path := base + "/" + t.name
	mux.HandleFunc("GET "+path, s.api(func(r *http.Request, _ []byte) answer { return s.listDocuments(t, r) }))
	mux.HandleFunc("GET "+path+"/{id}", s.api(func(r *http.Request, _ []byte) answer { return s.getDocument(t, r) }))
	write := func(r *http.Request, body []byte) answer { return s.writeDocuments(t, r, body) }
	mux.HandleFunc("PUT "+path, s.api(write))
	mux.HandleFunc("POST "+path, s.api(write))
	mux.HandleFunc("POST "+path+"/{id}", s.api(write))
}

func (s *Sim) listDocuments(t *docType, r *http.Request) answer {
	q := r.URL.Query()
	s.mu.Lock()
	defer s.mu.Unlock()
	if t == quoteType { // quotes have filters of their own instead of where, and always pages of 100
		q.Del("where")
		q.Del("pageSize")
		q.Set("page", q.Get("page"))
		r = r.Clone(r.Context())
		r.URL.RawQuery = q.Encode()
	}
	l, bad := readListing(r, t.word, t.id, docMembers(t, s))
	if bad != nil {
		return *bad
	}
	ids, bad := readIDs(r, "IDs")
	if bad != nil {
		return *bad
	}
	contacts, bad := readIDs(r, "ContactIDs")
	if bad != nil {
		return *bad
	}
	list := func(name string) []string {
		if v := q.Get(name); v != "" {
			return strings.Split(v, ",")
		}
		return nil
	}
	numbers, statuses := list("InvoiceNumbers"), list("Statuses")
	if t == quoteType {
		numbers, statuses = list("QuoteNumber"), list("Status")
		if v := q.Get("ContactID"); v != "" {
			contacts = []string{strings.ToLower(v)}
		}
	}
	term := strings.ToLower(q.Get("searchTerm"))
	in := func(list []string, v string) bool { return list == nil || slices.Contains(list, v) }
	found, page := paged(r, l.pick(s.docs, func(d *document) time.Time { return d.updated }, func(d *document) bool {
		return d.of == t && in(ids, d.id) && in(contacts, d.contact) && in(numbers, d.number) && in(statuses, d.status) &&
			(d.status != "DELETED" || statuses != nil || ids != nil) &&
			(term == "" || strings.Contains(strings.ToLower(d.number+" "+d.reference+" "+s.contacts[d.contact].Name), term))
	}))
	whole := page != nil && q.Get("summaryOnly") != "true"
	if t == quoteType {
		page = nil
	}
	shown := make([]any, len(found))
	for i, d := range found {
		shown[i] = s.showDocument(d, whole, unitDecimals(r))
	}
	return s.envelope(t.name, shown, page)
}

// unitDecimals is how many decimals unit amounts have in the answer to r: 2, or 4 with unitdp=4.
func unitDecimals(r *http.Request) int32 {
	if r.URL.Query().Get("unitdp") == "4" {
		return 4
	}
	return 2
}

func (s *Sim) getDocument(t *docType, r *http.Request) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.document(t, r.PathValue("id"))
	if d == nil {
		return answer{status: http.StatusNotFound, text: missing}
	}
	return s.envelope(t.name, []any{s.showDocument(d, true, unitDecimals(r))}, nil)
}

func (s *Sim) writeDocuments(t *docType, r *http.Request, body []byte) answer {
	only := r.PathValue("id")
	if only != "" {
		s.mu.Lock()
		d := s.document(t, only)
		s.mu.Unlock()
		if d == nil {
			return answer{status: http.StatusNotFound, text: missing}
		}
		only = d.id
	}
	dp := unitDecimals(r)
	return batch(s, r, body, t.name, only != "", func(in *documentIn) outcome {
		if only != "" {
			in.InvoiceID, in.CreditNoteID, in.QuoteID = &only, &only, &only
		}
		d, msgs, kind := s.putDocument(t, in, r.Method == http.MethodPut, dp)
		o := outcome{shown: s.showDocument(d, true, dp), msgs: msgs, did: kind}
		if len(msgs) == 0 && t.category != "" {
			o.events = []hookEvent{s.docEvent(d, eventKind(kind))}
		}
		return o
	})
}

// showDocument is a document as Xero writes it; without lines and payments unless whole.
func (s *Sim) showDocument(d *document, whole bool, dp int32) object {
	t := d.of
	o := object{}
	add := func(key string, v any) { o = append(o, member{key, v}) }
	paid, credited := s.paid(d)
	if t != quoteType {
		add("Type", d.typ)
	}
	add(t.id, d.id)
	add(t.number, d.number)
	add("Reference", d.reference)
	switch t {
	case invoiceType:
		add("Url", filled(d.url))
		add("Payments", s.showPayments(d, whole))
		add("CreditNotes", s.showCredits(d, whole))
		add("Prepayments", []any{})
		add("Overpayments", s.showOverpaid(d, whole))
		add("AmountDue", s.open(d))
		add("AmountPaid", paid)
		add("AmountCredited", credited)
		add("IsDiscounted", !d.discount.IsZero())
	case creditNoteType:
		add("ID", d.id)
		add("Payments", s.showPayments(d, whole))
		add("RemainingCredit", s.open(d))
		add("Allocations", s.showAllocations(d.allocations, whole))
	case quoteType:
		add("Title", filled(d.title))
		add("Summary", filled(d.summary))
		add("Terms", filled(d.terms))
	}
	add("Contact", s.showContact(d.contact, t))
	add("DateString", d.date.text())
	add("Date", d.date)
	if !d.due.IsZero() && t.due != "" {
		add(t.due+"String", d.due.text())
		add(t.due, d.due)
	}
	add("BrandingThemeID", filled(d.branding))
	add("Status", d.status)
	mode := d.mode
	if t.upper {
		mode = strings.ToUpper(mode)
	}
	add("LineAmountTypes", mode)
	lines := make([]any, 0, len(d.lines))
	for i := range d.lines {
		if whole {
			lines = append(lines, s.showLine(&d.lines[i], dp))
		}
	}
	add("LineItems", lines)
	add("SubTotal", d.subtotal)
	add("TotalTax", d.tax)
	add("Total", d.total)
	if !d.discount.IsZero() {
		add("TotalDiscount", d.discount)
	}
	add("UpdatedDateUTC", msTime{d.updated})
	if t != quoteType {
		add("UpdatedDateUTCString", d.updated.Format("2006-01-02T15:04:05.999Z"))
		add("SentToContact", d.sent)
		add("HasAttachments", false)
		add("HasErrors", false)
	}
	add("CurrencyRate", amount{one})
	add("CurrencyCode", d.currency)
	if !d.paidOn.IsZero() {
		add("FullyPaidOnDate", d.paidOn)
	}
	return o
}

func (s *Sim) showContact(id string, t *docType) object {
	c := s.contacts[id]
	if c == nil {
		return object{}
	}
	o := object{{"ContactID", c.ContactID}, {"ContactNumber", filled(c.ContactNumber)}, {"Name", c.Name}}
	if t != quoteType {
		none := []any{}
		o = append(o, object{{"Addresses", none}, {"Phones", none}, {"ContactGroups", none}, {"ContactPersons", none}, {"HasValidationErrors", false}}...)
	}
	return o
}

func (s *Sim) showLine(l *line, dp int32) object {
	o := object{{"LineItemID", l.id}, {"Description", filled(l.description)}, {"UnitAmount", l.unit.to(dp)}, {"TaxType", filled(l.taxType)},
		{"TaxAmount", l.tax}, {"LineAmount", l.amount}, {"AccountCode", filled(l.account)}, {"Tracking", []any{}}}
	if !l.text {
		o = append(o, member{"Quantity", l.quantity})
	}
	if l.rate != nil {
		o = append(o, member{"DiscountRate", *l.rate})
	}
	if l.less != nil {
		o = append(o, member{"DiscountAmount", *l.less})
	}
	if it := s.items[l.item]; it != nil {
		o = append(o, member{"ItemCode", it.Code}, member{"Item", object{{"ItemID", it.ItemID}, {"Name", it.Name}, {"Code", it.Code}}})
	} else if l.code != "" {
		o = append(o, member{"ItemCode", l.code})
	}
	if a := s.account(l.account); a != nil {
		o = append(o, member{"AccountID", a.AccountID})
	}
	return o
}
