package xero

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// item is one write on its way: what is sent, and where its outcome goes.
type item struct {
	write       adapters.Write
	body        object
	out         *adapters.Outcome
	then        string // status to set in a second call, "" for none
	allocations []any  // of a credit note, to be brought about in calls of their own; nil for none to write
}

// Write creates and updates up to 50 objects of one kind in one call, or two if some are created and some are not. A create is
// recognised by our id (of an item by its code) when its outcome is unknown; of contacts Created says true also for one that an
// earlier, unanswered create has made, since Xero's answer does not tell. A call that Xero refuses whole is halved until only
// those at fault are refused. Xero keeps refusals under their idempotency key for 6 minutes: a repeat after looking up needs
// another Key.
//
// Allocations of a credit note, and the second step of a quote's status, are calls of their own after the first.
func (a *adapter) Write(ctx context.Context, writes []adapters.Write) []adapters.Outcome {
	outs := make([]adapters.Outcome, len(writes))
	if len(writes) == 0 {
		return outs
	}
	k, err := a.kind(writes[0].Kind)
	if err == nil {
		err = a.write(ctx, k, writes, outs)
	}
	for i := range outs {
		if err != nil {
			outs[i].Err = err
		}
		domain.Wrap(&outs[i].Err, "xero.Write")
	}
	return outs
}

func (a *adapter) write(ctx context.Context, k *kind, writes []adapters.Write, outs []adapters.Outcome) error {
	bases, err := a.bases(ctx, k, writes)
	if err != nil {
		return err
	}
	groups := map[string][]item{} // by method
	var ids []string
	lines := false
	for i, w := range writes {
		if k.overpays(w) {
			outs[i] = a.writeOverpayment(ctx, a.second(k.mapping.Kind), w)
			continue
		}
		it, err := a.item(k, w, bases[i])
		if err != nil {
			outs[i].Err = err
			continue
		}
		it.out = &outs[i]
		if w.ExternalID != "" && k.mapping.Kind == domain.KindPayment {
			outs[i].Record, outs[i].Err = a.deletePayment(ctx, k, it)
			continue
		}
		if w.ExternalID != "" && it.allocations != nil && len(it.body) == 1 {
			// Nothing of the note itself is written, which would be refused once it is spent.
			if outs[i].Record, outs[i].Err = a.Fetch(ctx, w.Kind, w.ExternalID); outs[i].Err == nil {
				a.finish(ctx, k, it)
			}
			continue
		}
		method := http.MethodPost
		if k.puts && w.ExternalID == "" {
			method = http.MethodPut
		}
		ids = append(ids, products(it.body)...)
		lines = lines || it.body["LineItems"] != nil || k.mapping.Kind == domain.KindProduct
		groups[method] = append(groups[method], it)
	}
	if lines {
		if err := a.settleLines(ctx, k, groups, ids, bases, writes); err != nil {
			return err
		}
	}
	for _, method := range []string{http.MethodPut, http.MethodPost} {
		for items := groups[method]; len(items) > 0; {
			n := min(len(items), batch)
			a.send(ctx, k, method, items[:n])
			items = items[n:]
		}
	}
	for _, method := range []string{http.MethodPut, http.MethodPost} {
		for _, it := range groups[method] {
			if it.out.Err == nil {
				a.finish(ctx, k, it)
			}
		}
	}
	if k.mapping.Kind == domain.KindCustomer {
		a.nameClashes(ctx, writes, outs)
	}
	return nil
}

// settleLines makes the lines and tax codes of the bodies what the organisation takes.
func (a *adapter) settleLines(ctx context.Context, k *kind, groups map[string][]item, ids []string, bases []object, writes []adapters.Write) error {
	active, err := a.activeRates(ctx)
	if err != nil {
		return err
	}
	codes, err := a.itemCodes(ctx, ids)
	if err != nil {
		return err
	}
	base := func(w adapters.Write) object {
		for i := range writes {
			if writes[i].CanonicalID == w.CanonicalID && writes[i].ExternalID == w.ExternalID {
				return bases[i]
			}
		}
		return nil
	}
	for method, items := range groups {
		groups[method] = slices.DeleteFunc(items, func(it item) bool {
			var err error
			b := base(it.write)
			if k.mapping.Kind == domain.KindProduct {
				err = fallBack(it.body, active)
			} else {
				err = complete(it.body, taxMode(it.write, b), codes, active, b)
			}
			if err != nil {
				it.out.Err = a.fault(k, it.write, &domain.Error{Code: domain.Invalid, Field: "lines", Message: err.Error()})
			}
			return err != nil
		})
	}
	return nil
}

// taxMode is the tax mode of a document after a write.
func taxMode(w adapters.Write, base object) money.TaxMode {
	row := taxModeRow(false)
	return money.TaxMode(defaulted(w.Values["taxMode"].Text(), defaulted(w.Golden["taxMode"].Text(), defaulted(row.Get(base).Text(), string(money.Exclusive)))))
}

// fallBack writes the types that Xero itself falls back on for those that the organisation has archived.
func fallBack(o object, active func(string) bool) error {
	for details, side := range map[string]money.Side{"SalesDetails": money.Sale, "PurchaseDetails": money.Purchase} {
		m := inner(o, details)
		code, ok := money.FromXero(adapters.String(m, "TaxType"), side)
		if !ok {
			continue
		}
		t, err := xeroType(string(code), active)
		if err != nil {
			return err
		}
		m["TaxType"] = t
	}
	return nil
}

// finish makes the calls that follow the first. If one fails after a create, the object is there and the outcome says so: what
// is missing shows as a difference, and its own refusal when it is written as one.
func (a *adapter) finish(ctx context.Context, k *kind, it item) {
	first := *it.out
	o, err := adapters.ParseObject(first.Record.Raw)
	if err != nil {
		it.out.Err = err
		return
	}
	if it.then != "" {
		next := it
		next.then, next.body, next.write.ExternalID = "", object{k.id: first.Record.ExternalID, "Status": it.then}, first.Record.ExternalID
		a.send(ctx, k, http.MethodPost, []item{next})
	}
	if it.allocations != nil {
		if rec, err := a.allocate(ctx, k, it, o, ""); err != nil {
			it.out.Err = a.fault(k, it.write, err)
		} else {
			it.out.Record = rec
		}
	}
	if it.out.Created = first.Created; it.out.Created && it.out.Err != nil {
		a.s.Log.WarnContext(ctx, "created, but not all of it was written", "system", a.s.System, "kind", k.mapping.Kind, "externalId", first.Record.ExternalID, "code", domain.CodeOf(it.out.Err))
		it.out.Record, it.out.Err = first.Record, nil
		it.out.Record.Version = "" // it may have been changed further
	}
}

// fault adds to an error which object it is about.
func (a *adapter) fault(k *kind, w adapters.Write, err error) error {
	e := *domain.AsError(err)
	e.System = a.s.System
	e.Message = k.name(w) + ": " + e.Message
	return &e
}

// needsBase reports whether a write of the field sends more of the object than the field.
func needsBase(f domain.Field) bool {
	switch f {
	case "lines", "stage", "reference", "salePrice", "purchasePrice", "salesTaxCode", "purchaseTaxCode", "salesAccount", "purchaseAccount":
		return true
	}
	return whole[f] != ""
}

// bases returns the objects as last seen, for what must be sent whole. Those that the caller does not have are read in
// one call.
func (a *adapter) bases(ctx context.Context, k *kind, writes []adapters.Write) ([]object, error) {
	bases := make([]object, len(writes))
	var missing []string
	for i, w := range writes {
		if w.Base != nil && len(w.Base.Raw) > 0 {
			o, err := adapters.ParseObject(w.Base.Raw)
			if err != nil {
				return nil, err
			}
			bases[i] = o
			continue
		}
		for f := range w.Values {
			if w.ExternalID != "" && needsBase(f) {
				missing = append(missing, w.ExternalID)
				break
			}
		}
	}
	if len(missing) == 0 {
		return bases, nil
	}
	recs, err := a.FetchMany(ctx, k.mapping.Kind, missing)
	if err != nil {
		return nil, err
	}
	for i, w := range writes {
		for _, r := range recs {
			if bases[i] != nil || w.ExternalID == "" || !strings.EqualFold(r.ExternalID, w.ExternalID) {
				continue
			}
			if bases[i], err = adapters.ParseObject(r.Raw); err != nil {
				return nil, err
			}
		}
	}
	return bases, nil
}

// item builds what is sent for one write: the fields to set, and of what Xero replaces whole also the rest.
func (a *adapter) item(k *kind, w adapters.Write, base object) (item, error) {
	it := item{write: w, body: object{}}
	o := it.body
	of := k.mapping.Kind
	for f := range w.Values {
		if key := whole[f]; key != "" && of == domain.KindCustomer && base[key] != nil {
			o[key] = base[key]
		}
	}
	if of == domain.KindProduct && base != nil { // sent whole, whatever of them is written
		for _, key := range []string{"SalesDetails", "PurchaseDetails"} {
			if m := inner(base, key); m != nil && touches(k, w.Values, key) {
				o[key] = m
			}
		}
	}
	values := w.Values
	if w.ExternalID == "" {
		values = values.Clone()
		for f, v := range values {
			if v.Empty() {
				delete(values, f) // a new object has nothing to clear, and gives itself a number
			}
		}
		if name := k.label[0]; of == domain.KindCustomer || of == domain.KindProduct {
			if values[name].Empty() && !w.Golden[name].Empty() {
				values[name] = w.Golden[name]
			}
			if values[name].Empty() {
				e := a.err(domain.Invalid, "%s: xero needs %s for every %s", k.name(w), name, k.word)
				e.Field = name
				return it, e
			}
		}
	}
	if of == domain.KindPayment {
		if err := a.paymentWrite(k, w); err != nil {
			return it, err
		}
	}
	k.mapping.Carry(o, base)
	if err := k.mapping.Write(o, values); err != nil {
		return it, a.fault(k, w, err)
	}
	if list, ok := o["Allocations"].([]any); ok {
		it.allocations = list
		delete(o, "Allocations")
	}
	if of == domain.KindQuote {
		a.steps(&it, base)
	}
	if w.ExternalID != "" {
		o[k.id] = w.ExternalID
		id := defaulted(k.canonicalID(base), w.CanonicalID)
		switch {
		case of == domain.KindCustomer:
			if base != nil && w.CanonicalID != "" && adapters.String(base, "ContactNumber") == "" {
				o["ContactNumber"] = w.CanonicalID
			}
		case id != "":
			k.stamp(o, id, false)
		}
		return it, nil
	}
	if w.CanonicalID == "" || len(w.CanonicalID) > keyLimit {
		return it, a.err(domain.Internal, "a %s cannot be created at Xero without an id of ours of at most %d characters", k.word, keyLimit)
	}
	k.stamp(o, w.CanonicalID, true)
	switch of {
	case domain.KindInvoice, domain.KindCreditNote:
		o["Type"] = map[domain.Kind]string{domain.KindInvoice: "ACCREC", domain.KindCreditNote: "ACCRECCREDIT"}[of]
		if o["Contact"] == nil {
			return it, a.without(k, w, "customer")
		}
	case domain.KindQuote:
		if o["Contact"] == nil {
			return it, a.without(k, w, "customer")
		}
	case domain.KindPayment:
		if o["Invoice"] == nil && o["CreditNote"] == nil {
			return it, a.without(k, w, "allocations")
		}
		if o["Amount"] == nil {
			return it, a.without(k, w, "amount")
		}
		if o["Date"] == nil {
			return it, a.without(k, w, "date")
		}
		if o["Account"] == nil {
			o["Account"] = object{"Code": defaultsOf(a.s.Settings).bank}
		}
		delete(o, "Status")
	}
	return it, nil
}

// touches reports whether a value is written below the member.
func touches(k *kind, v domain.Values, member string) bool {
	for f := range v {
		if r := k.mapping.Row(f); r != nil && strings.HasPrefix(r.Paths[0], member+".") {
			return true
		}
	}
	return false
}

func (a *adapter) without(k *kind, w adapters.Write, f domain.Field) error {
	e := a.err(domain.Invalid, "%s: xero needs %s for every %s", k.name(w), f, k.word)
	e.Field = f
	return e
}

// paymentWrite refuses what Xero cannot do with a payment.
func (a *adapter) paymentWrite(k *kind, w adapters.Write) error {
	if w.ExternalID == "" {
		if w.Values["stage"].Text() == "VOIDED" {
			return a.fault(k, w, domain.Errorf(domain.Invalid, "a payment that is void already is not made at xero"))
		}
		if err := wholePayment(w.Values); err != nil {
			return a.fault(k, w, domain.Errorf(domain.Invalid, "%v", err))
		}
		return nil
	}
	for f := range w.Values {
		if f != "stage" {
			e := domain.Errorf(domain.Unsupported, "a payment at xero cannot be changed; void it and make another")
			e.Field = f
			return a.fault(k, w, e)
		}
	}
	if w.Values["stage"].Text() != "VOIDED" {
		return a.fault(k, w, domain.Errorf(domain.Invalid, "a payment that was deleted at xero does not come back; make another"))
	}
	return nil
}

// steps splits a quote's way from a draft to what only a sent quote can become.
func (a *adapter) steps(it *item, base object) {
	status, _ := it.body["Status"].(string)
	if s := adapters.String(base, "Status"); status == "" || status == "DRAFT" || status == "SENT" || base != nil && s != "DRAFT" {
		return
	}
	it.body["Status"], it.then = "SENT", status
}

// send writes the items in one call, or in smaller ones if Xero refuses the call as a whole.
func (a *adapter) send(ctx context.Context, k *kind, method string, items []item) {
	fail := func(err error) {
		for _, it := range items {
			it.out.Err = err
		}
	}
	bodies, creates := make([]object, len(items)), false
	for i, it := range items {
		bodies[i] = it.body
		creates = creates || it.write.ExternalID == ""
	}
	body, err := json.Marshal(map[string]any{k.path: bodies})
	if err != nil {
		fail(a.err(domain.Internal, "the %ss cannot be written as JSON", k.word))
		return
	}
	q := url.Values{"summarizeErrors": {"false"}}
	if k.path != "Contacts" {
		q = unitdp(q)
	}
	resp, err := a.do(ctx, adapters.Call{
		Method: method, Path: api + "/" + k.path + "?" + q.Encode(), Body: body,
		Header: http.Header{"Idempotency-Key": {idempotencyKey(items, body)}},
		// Setting members of a known object twice is harmless; a create is looked up by our id first.
		Write: true, Safe: !creates,
	})
	switch {
	case err == nil:
	case resp != nil && resp.Status == http.StatusBadRequest && len(items) > 1 && perContact(resp.Body):
		half := len(items) / 2
		a.send(ctx, k, method, items[:half])
		a.send(ctx, k, method, items[half:])
		return
	default:
		if resp != nil && resp.Status == http.StatusBadRequest && len(items) == 1 {
			err = a.fault(k, items[0].write, err)
		}
		fail(err)
		return
	}
	l, err := a.list(k, resp)
	if err != nil {
		fail(a.err(domain.Unknown, "Xero took the %ss but its answer cannot be read; they are looked up before they are written again", k.word))
		return
	}
	for i, it := range items {
		a.outcome(k, it, i, len(items), l, resp.SentAt)
	}
}

// perContact tells refusals that some contact of the call is to blame for from those that would meet any call.
func perContact(body []byte) bool {
	var x exception
	return json.Unmarshal(body, &x) == nil && (x.Type == "ValidationException" || x.Type == "PostDataInvalidException")
}

// idempotencyKey is the same for every repeat of the same writes and for nothing else. The body is part of it: Xero
// refuses a key that returns with another request, and what is sent whole can differ between two attempts.
func idempotencyKey(items []item, body []byte) string {
	h := sha256.New()
	for _, it := range items {
		fmt.Fprintf(h, "%d:%s", len(it.write.Key), it.write.Key)
	}
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// outcome finds the answer to one item, which is the i-th of n, and stores what became of it.
func (a *adapter) outcome(k *kind, it item, i, n int, l *listing, sent time.Time) {
	at := -1
	if len(l.objects) == n && (refusedElement(l.objects[i]) || k.answers(l.objects[i], it.write)) {
		at = i
	} else {
		for j, o := range l.objects {
			if k.answers(o, it.write) {
				at = j
			}
		}
	}
	if at < 0 {
		it.out.Err = a.err(domain.Unknown, "Xero's answer does not mention the %s; it is looked up before it is written again", k.name(it.write))
		return
	}
	o := l.objects[at]
	if refusedElement(o) {
		var msgs []string
		all, _ := o["ValidationErrors"].([]any)
		for _, x := range all {
			if e, ok := x.(object); ok {
				msgs = append(msgs, adapters.String(e, "Message"))
			}
		}
		if len(msgs) == 0 {
			msgs = []string{"no reason given"}
		}
		err := a.invalid("the "+k.name(it.write), msgs)
		if strings.Contains(strings.ToLower(err.Message), "item code") {
			a.forgetCodes()
		}
		it.out.Err = err
		return
	}
	it.out.Record, it.out.Err = a.record(k, o, l.raw[at], sent)
	it.out.Created = it.out.Err == nil && it.write.ExternalID == ""
}

func refusedElement(o object) bool {
	errs, _ := o["ValidationErrors"].([]any)
	status := adapters.String(o, "StatusAttributeString")
	return strings.EqualFold(status, "ERROR") || status == "" && len(errs) > 0
}

// answers reports whether o is the object that w was about.
func (k *kind) answers(o object, w adapters.Write) bool {
	switch {
	case w.ExternalID != "":
		return strings.EqualFold(adapters.String(o, k.id), w.ExternalID)
	case k.mapping.IDField == "":
		return adapters.String(o, "Code") == defaulted(w.Values["sku"].Text(), w.Golden["sku"].Text())
	default:
		return k.canonicalID(o) == w.CanonicalID
	}
}

// nameClashes adds to each refusal for a name that is taken which contact has it.
func (a *adapter) nameClashes(ctx context.Context, writes []adapters.Write, outs []adapters.Outcome) {
	var terms []string
	name := func(w adapters.Write) string {
		return defaulted(w.Values["legalName"].Text(), w.Golden["legalName"].Text())
	}
	clash := func(i int) bool {
		e := domain.AsError(outs[i].Err)
		return e != nil && e.Code == domain.Conflict && e.Field == "legalName" && name(writes[i]) != ""
	}
	for i, w := range writes {
		if clash(i) {
			terms = append(terms, named(name(w)))
		}
	}
	if len(terms) == 0 {
		return
	}
	k, err := a.kind(domain.KindCustomer)
	if err != nil {
		return
	}
	found, err := a.search(ctx, k, terms)
	if err != nil {
		a.s.Log.WarnContext(ctx, "the contacts that have the names could not be read", "system", a.s.System, "code", domain.CodeOf(err))
		return
	}
	for i, w := range writes {
		if !clash(i) {
			continue
		}
		for _, r := range found {
			if r.Values["status"] == domain.TextValue("ACTIVE") && r.ExternalID != w.ExternalID && strings.EqualFold(r.Values["legalName"].Text(), name(w)) {
				e := *domain.AsError(outs[i].Err)
				e.Message = fmt.Sprintf("Xero already has an active contact called %q: ContactID %s, ContactNumber %q; link the customer to that contact or change one of the names",
					name(w), r.ExternalID, r.CanonicalID)
				outs[i].Err = &e
			}
		}
	}
}
