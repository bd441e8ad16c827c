package xero

import (
	"net/url"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// kind is what tells one of Xero's collections from the others.
type kind struct {
	mapping adapters.Mapping
	path    string // below the API's base, and the list's member in an answer: "Contacts"
	id      string // "ContactID"
	word    string // "contact"
	label   []domain.Field
	ids     bool   // the list takes IDs
	where   bool   // the list takes where
	pages   bool   // the list says how many pages there are; without, it ends with a page that is not full
	full    int    // elements of a full page where the size cannot be chosen; 0 for lists that come whole
	filter  string // condition that lists of the kind are read with, "" for none
	leaves  bool   // deleted objects leave the list, so that pages shift to the front
	// prefix is what ids of a second collection of a kind begin with in ours: payments are Payments and Overpayments.
	prefix string
	// puts says that a create is a PUT, which never changes what has the same number already. A contact of the same
	// ContactNumber and an item of the same Code are the same one: their create may be repeated.
	puts bool
	// ours reports whether the object is one of the kind: not a supplier, a bill, a payment made.
	ours func(o object) bool
	// canonicalID is our id in the object, "" if there is none.
	canonicalID func(o object) string
	// stamp writes our id into an object that is created, or whose marked member is written.
	stamp func(o object, id string, create bool)
}

func always(object) bool { return true }

// newKinds returns the kinds in the order in which they depend on one another. Xero leaves out what is empty.
func newKinds(d defaults) []*kind {
	ks := []*kind{
		{
			mapping: customerMapping(), path: "Contacts", id: "ContactID", word: "contact", label: []domain.Field{"legalName"}, ids: true, where: true, pages: true,
			ours: isCustomer, canonicalID: contactID, stamp: func(o object, id string, _ bool) { o["ContactNumber"] = id },
		},
		{
			mapping: productMapping(d), path: "Items", id: "ItemID", word: "item", label: []domain.Field{"sku", "name"}, where: true,
			ours: always, canonicalID: func(object) string { return "" }, stamp: func(object, string, bool) {},
		},
		{
			mapping: quoteMapping(d), path: "Quotes", id: "QuoteID", word: "quote", label: []domain.Field{"number", "title"}, full: 100, leaves: true, puts: true,
			ours: always, canonicalID: marked(domain.KindQuote), stamp: mark,
		},
		{
			mapping: invoiceMapping(d), path: "Invoices", id: "InvoiceID", word: "invoice", label: []domain.Field{"number", "reference"}, ids: true, where: true, pages: true,
			filter: `Type=="ACCREC"`, leaves: true, puts: true, ours: typed("Type", "ACCREC"), canonicalID: linkedID, stamp: func(o object, id string, create bool) {
				if create {
					o["Url"] = d.link + id
				}
			},
		},
		{
			mapping: creditNoteMapping(d), path: "CreditNotes", id: "CreditNoteID", word: "credit note", label: []domain.Field{"number", "reference"}, where: true, pages: true,
			filter: `Type=="ACCRECCREDIT"`, leaves: true, puts: true, ours: typed("Type", "ACCRECCREDIT"), canonicalID: marked(domain.KindCreditNote), stamp: mark,
		},
		{
			mapping: paymentMapping(d), path: "Payments", id: "PaymentID", word: "payment", label: []domain.Field{"reference"}, where: true, pages: true, puts: true,
			ours: typed("PaymentType", "ACCRECPAYMENT", "ARCREDITPAYMENT"), canonicalID: marked(domain.KindPayment), stamp: mark,
		},
		{
			mapping: overpaymentMapping(d), path: overPath, id: "OverpaymentID", word: "overpayment", label: []domain.Field{"reference"}, where: true, pages: true, prefix: overPath + "/",
			filter: `Type=="RECEIVE-OVERPAYMENT"`, ours: typed("Type", "RECEIVE-OVERPAYMENT"), canonicalID: func(o object) string {
				_, id := splitMark(domain.KindPayment, overText(o))
				return id
			},
		},
	}
	for _, k := range ks {
		k.mapping.Sparse = true
	}
	return ks
}

// kind returns the collection of a kind, nil with the error if Xero does not carry it.
func (a *adapter) kind(k domain.Kind) (*kind, error) {
	for _, c := range a.kinds {
		if c.mapping.Kind == k {
			return c, nil
		}
	}
	return nil, a.err(domain.Unsupported, "Xero does not carry %s", k)
}

// second returns the second collection of a kind, nil if there is none.
func (a *adapter) second(k domain.Kind) *kind {
	for _, c := range a.kinds {
		if c.mapping.Kind == k && c.prefix != "" {
			return c
		}
	}
	return nil
}

// holding returns the collection that holds the object of an id of ours, and its id there.
func (a *adapter) holding(of domain.Kind, externalID string) (k *kind, id string, err error) {
	if k = a.second(of); k != nil && strings.HasPrefix(externalID, k.prefix) {
		return k, strings.TrimPrefix(externalID, k.prefix), nil
	}
	k, err = a.kind(of)
	return k, externalID, err
}

func typed(key string, types ...string) func(object) bool {
	return func(o object) bool {
		for _, t := range types {
			if adapters.String(o, key) == t {
				return true
			}
		}
		return false
	}
}

// linkedID is our id at the end of an invoice's Url.
func linkedID(o object) string {
	u := adapters.String(o, "Url")
	if id := u[strings.LastIndexByte(u, '/')+1:]; domain.KindOfID(id) == domain.KindInvoice {
		return id
	}
	return ""
}

// Quotes, credit notes and payments have no place for our id but their reference: it stands in square brackets at its end.

// splitMark parts a reference from our id of the kind at its end.
func splitMark(k domain.Kind, s string) (reference, id string) {
	i := strings.LastIndexByte(s, '[')
	if i < 0 || !strings.HasSuffix(s, "]") {
		return s, ""
	}
	if id = s[i+1 : len(s)-1]; domain.KindOfID(id) != k {
		return s, ""
	}
	return strings.TrimSpace(s[:i]), id
}

func marked(k domain.Kind) func(object) string {
	return func(o object) string {
		_, id := splitMark(k, adapters.String(o, "Reference"))
		return id
	}
}

// mark adds our id to the reference of an object that is created, or that gets another reference.
func mark(o object, id string, create bool) {
	ref, written := o["Reference"].(string)
	if !written && !create {
		return
	}
	o["Reference"] = strings.TrimSpace(ref + " [" + id + "]")
}

// referenceRow maps a reference that our id may follow.
func referenceRow(k domain.Kind, limit int) adapters.Row {
	return adapters.Row{
		Field: "reference", Paths: []string{"Reference"}, Max: limit, Note: "our id follows in square brackets, where Xero has no other place for it",
		Get: func(o object) domain.Value {
			ref, _ := splitMark(k, adapters.String(o, "Reference"))
			return domain.TextValue(ref)
		},
		Set: setText("Reference"),
	}
}

// madeAt is when one of our ids was made, which is before anything could be created under it. Ids begin with 48 bits of
// milliseconds, five bits to a character after two zero bits.
func madeAt(id string) (time.Time, bool) {
	i := strings.LastIndexByte(id, '_')
	if i < 0 || len(id)-i-1 < 10 {
		return time.Time{}, false
	}
	var ms int64
	for _, c := range id[i+1 : i+11] {
		n := strings.IndexRune("0123456789abcdefghjkmnpqrstvwxyz", c)
		if n < 0 {
			return time.Time{}, false
		}
		ms = ms<<5 | int64(n)
	}
	return time.UnixMilli(ms).UTC(), true
}

// unitdp asks for unit amounts of four decimals, which is also what is written then.
func unitdp(q url.Values) url.Values {
	if q == nil {
		q = url.Values{}
	}
	q.Set("unitdp", "4")
	return q
}
