package myob

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"datum/adapters"
	"datum/domain"
)

// Paths below the company file.
const (
	customers   = "/Contact/Customer"
	items       = "/Inventory/Item"
	invoices    = "/Sale/Invoice"
	payments    = "/Sale/CustomerPayment"
	refunds     = "/Sale/CreditRefund"
	settlements = "/Sale/CreditSettlement"
)

// book says where a kind's records are in a company file and how they are found.
type book struct {
	m    adapters.Mapping
	noun string // "customer"
	// own are the resources whose objects are the kind's records.
	own []source
	// others are resources whose objects bear upon records of the kind without moving their LastModified: payments of invoices.
	others []source
	// memo is the member that holds our id among other words and can be filtered by; "" for the custom field, which cannot.
	memo string
	keys []domain.Field // strong keys
	// together says that a record must have all the keys: numbers of receipts are anybody's own and repeat.
	together bool
	most     int  // objects in one page, where that is less than the setting; 0 is no limit
	bare     bool // lists show the objects without their lines
	// settled says that credit settlements are read with the object.
	settled bool
}

// source is one resource.
type source struct {
	path   string
	filter string // of every listing, "" for none
	prefix string // of external ids, before the UID
	// about are the UIDs of the records that an object bears upon, for others.
	about func(o object) []string
	// terms are the conditions that objects with one of the strong keys meet.
	terms func(v domain.Values) []string
}

// item is one object as it came.
type item struct {
	o    object
	raw  []byte
	resp *adapters.Response
}

func books(currency, idField, other string) []*book {
	number := func(member string, f domain.Field) func(domain.Values) []string {
		return func(v domain.Values) []string {
			if text := v[f].Text(); text != "" {
				return []string{member + " eq " + quoted(text)}
			}
			return nil
		}
	}
	uids := func(list string, to func(object) string) func(object) []string {
		return func(o object) []string {
			if list == "" {
				return []string{to(o)}
			}
			var out []string
			all, _ := o[list].([]any)
			for _, x := range all {
				l, _ := x.(object)
				out = append(out, to(l))
			}
			return out
		}
	}
	link := func(key string) func(object) string {
		return func(o object) string { return adapters.String(part(o, key), "UID") }
	}
	invoiceKeys, productKeys := []domain.Field{"number"}, []domain.Field{"sku"}
	return []*book{
		{m: customerMapping(currency, idField), noun: "customer", keys: []domain.Field{"abn", "email", "legalName"}, own: []source{{path: customers, terms: strongTerms}}},
		{m: productMapping(currency, idField), noun: "product", keys: productKeys, own: []source{{path: items, terms: number("Number", "sku")}}},
		{m: invoiceMapping(currency, other), noun: "invoice", keys: invoiceKeys, memo: "JournalMemo", most: 100, bare: true,
			own: []source{{path: invoices, filter: "TotalAmount ge 0", terms: number("Number", "number")}},
			others: []source{
				{path: payments, about: uids("Invoices", func(o object) string { return adapters.String(o, "UID") })},
				{path: settlements, about: uids("Lines", link("Sale"))},
			}},
		{m: creditNoteMapping(currency, other), noun: "credit note", keys: invoiceKeys, memo: "JournalMemo", most: 100, bare: true, settled: true,
			own: []source{{path: invoices, filter: "TotalAmount lt 0", terms: number("Number", "number")}},
			others: []source{
				{path: settlements, about: uids("", link("CreditFromInvoice"))}, {path: refunds, about: uids("", link("Invoice"))},
			}},
		{m: paymentMapping(currency), noun: "payment", keys: []domain.Field{"reference", "customer", "date", "amount"}, together: true, memo: "Memo",
			own: []source{{path: payments, terms: number("ReceiptNumber", "reference")}, {path: refunds, prefix: refundID, terms: number("Number", "reference")}}},
	}
}

func (a *adapter) book(kind domain.Kind) (*book, error) {
	for _, b := range a.books {
		if b.m.Kind == kind {
			return b, nil
		}
	}
	return nil, a.err(domain.Unsupported, "MYOB does not carry %s", kind)
}

// at finds the resource of an external id and the UID in it.
func (b *book) at(externalID string) (src *source, uid string) {
	for i := range b.own {
		if uid, ok := strings.CutPrefix(externalID, b.own[i].prefix); ok && uuidForm.MatchString(uid) {
			return &b.own[i], uid
		}
	}
	return nil, ""
}

// one reads one object whole. Of an invoice the layout must be known, since its address has it.
func (a *adapter) one(ctx context.Context, b *book, externalID, layout string) (item, error) {
	src, uid := b.at(externalID)
	if src == nil {
		return item{}, a.err(domain.NotFound, "MYOB has no %s %q: that is no id of MYOB's", b.noun, externalID)
	}
	path := src.path
	if b.bare {
		path += "/" + or(layout, itemLayout)
	}
	resp, err := a.do(ctx, adapters.Call{Method: http.MethodGet, Path: path + "/" + uid})
	if domain.CodeOf(err) == domain.NotFound {
		if b.bare && layout == "" { // it may have another layout
			found, err := a.gather(ctx, *src, byUID([]string{uid}))
			if err != nil {
				return item{}, err
			}
			for _, x := range found {
				if typ := adapters.String(x.o, "InvoiceType"); typ != "" && typ != itemLayout {
					return a.one(ctx, b, externalID, typ)
				}
			}
		}
		return item{}, a.err(domain.NotFound, "MYOB has no %s %s", b.noun, externalID)
	}
	if err != nil {
		return item{}, err
	}
	return a.parse(ctx, b, resp)
}

// parse reads the object of an answer.
func (a *adapter) parse(ctx context.Context, b *book, resp *adapters.Response) (item, error) {
	o, err := adapters.ParseObject(resp.Body)
	if err != nil {
		return item{}, a.err(domain.Unavailable, "MYOB's answer holds no %s; it will be tried again", b.noun)
	}
	all := []item{{o: o, raw: resp.Body, resp: resp}}
	if b.bare {
		if credit := number(o, "TotalAmount").IsNegative(); credit != b.settled {
			return item{}, a.err(domain.NotFound, "MYOB has no %s %s: its total makes it another kind of document", b.noun, adapters.String(o, "UID"))
		}
	}
	if b.settled {
		err = a.withSettlements(ctx, all)
	}
	return all[0], err
}

// withLines are the layouts of invoices that have a resource of their own.
var withLines = []string{"Item", "Service", "Professional", "TimeBilling", "Miscellaneous"}

// whole completes what was listed of the kind.
func (a *adapter) whole(ctx context.Context, b *book, listed []item) ([]item, error) {
	if !b.bare {
		return listed, nil
	}
	by := map[string][]string{}
	for _, x := range listed {
		layout := adapters.String(x.o, "InvoiceType")
		by[layout] = append(by[layout], adapters.String(x.o, "UID"))
	}
	full := map[string]item{}
	for layout, uids := range by {
		if !slices.Contains(withLines, layout) {
			continue
		}
		found, err := a.gather(ctx, source{path: b.own[0].path + "/" + layout}, byUID(uids))
		if err != nil {
			return nil, err
		}
		for _, x := range found {
			full[adapters.String(x.o, "UID")] = x
		}
	}
	var out []item
	for _, x := range listed { // what is gone meanwhile is left to the next look
		y, there := full[adapters.String(x.o, "UID")]
		if !slices.Contains(withLines, adapters.String(x.o, "InvoiceType")) {
			y, there = x, true // taken over from an older file, without lines that could be read
		}
		if there && number(y.o, "TotalAmount").IsNegative() == b.settled {
			out = append(out, y)
		}
	}
	if b.settled && len(out) > 0 {
		if err := a.withSettlements(ctx, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// gather reads the objects that meet any of the terms, in as few calls as the length of a URL allows.
func (a *adapter) gather(ctx context.Context, src source, terms []string) ([]item, error) {
	slices.Sort(terms)
	terms = slices.Compact(terms)
	var out []item
	seen := map[string]bool{}
	for len(terms) > 0 {
		n, length := 1, len(terms[0])
		for n < len(terms) && length+len(terms[n])+4 <= filterLimit {
			length += len(terms[n]) + 4
			n++
		}
		filter := strings.Join(terms[:n], " or ")
		terms = terms[n:]
		for skip, more := 0, true; more; {
			l, err := a.list(ctx, src, url.Values{"$filter": {filter}, "$orderby": {"UID"}}, skip, maxPage)
			if err != nil {
				return nil, err
			}
			for _, x := range l.items {
				if uid := adapters.String(x.o, "UID"); !seen[uid] {
					seen[uid] = true
					out = append(out, x)
				}
			}
			skip, more = skip+len(l.items), l.more && len(l.items) > 0
		}
	}
	return out, nil
}
