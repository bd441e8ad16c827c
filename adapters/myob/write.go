package myob

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/domain"
	"datum/domain/money"
)

// Write creates and updates records, one call each and what must be read before it.
//
// A create looks first for what an earlier, unanswered create has made, and then updates that. An update reads the object,
// since MYOB replaces it whole and wants its RowVersion. If somebody has meanwhile changed a field that is to be written,
// nothing is written and the outcome is Unavailable: the caller looks at the record before it tries again, so that no edit is
// overwritten unseen. The stage VOIDED deletes a document or a payment.
func (a *adapter) Write(ctx context.Context, writes []adapters.Write) []adapters.Outcome {
	outs := make([]adapters.Outcome, len(writes))
	for i, w := range writes {
		b, err := a.book(w.Kind)
		if err == nil && w.ExternalID == "" {
			outs[i], err = a.create(ctx, b, w)
		} else if err == nil {
			outs[i], err = a.update(ctx, b, w, w.ExternalID)
		}
		if code := domain.CodeOf(err); code == domain.Invalid || code == domain.Conflict || code == domain.Unsupported || code == domain.Forbidden && b.memo != "" {
			e := *domain.AsError(err)
			e.System, e.Message = a.s.System, label(b, w)+": "+e.Message
			if b.m.Row(e.Field) == nil {
				e.Field = ""
			}
			err = &e
		}
		domain.Wrap(&err, "myob.Write")
		outs[i].Err = err
	}
	return outs
}

func (a *adapter) create(ctx context.Context, b *book, w adapters.Write) (adapters.Outcome, error) {
	var none adapters.Outcome
	if w.CanonicalID == "" {
		return none, a.err(domain.Internal, "nothing can be created in MYOB without an id of ours")
	}
	if or(w.Values["stage"].Text(), w.Golden["stage"].Text()) == voided {
		e := a.err(domain.Invalid, "MYOB keeps nothing that is voided, so it is not created there")
		e.Field = "stage"
		return none, e
	}
	o, src, err := a.draft(b, w)
	if err != nil {
		return none, err
	}
	b.mark(o, w.CanonicalID)
	earlier, err := a.search(ctx, b, *src, a.traces(b, *src, w, o))
	if err != nil {
		return none, err
	}
	taken := ""
	for _, r := range earlier {
		if r.CanonicalID == w.CanonicalID {
			return a.update(ctx, b, w, r.ExternalID)
		}
		if b.m.Kind != domain.KindCustomer && b.m.Kind != domain.KindPayment && b.matches(r, w.Values) {
			taken = r.ExternalID
		}
	}
	if taken != "" {
		return none, a.err(domain.Conflict, "MYOB has another %s with that number, %s", b.noun, taken)
	}
	if err := a.resolve(ctx, o, ""); err != nil {
		return none, err
	}
	path := src.path
	if b.bare {
		path += "/" + itemLayout
	}
	x, err := a.send(ctx, b, http.MethodPost, path, o, false)
	if err != nil {
		return none, uncertain(err)
	}
	if want := domain.AllocationsOf(w.Values["allocations"]); b.settled && len(want) > 0 {
		if err := a.settle(ctx, x.o, want); err != nil {
			return none, err // the repetition finds the credit note and goes on from there
		}
		if x, err = a.shown(ctx, b, adapters.String(x.o, "UID")); err != nil {
			return none, err
		}
	}
	rec, err := a.record(b, x)
	return adapters.Outcome{Record: rec, Created: err == nil}, err
}

// uncertain makes what a gateway says that gave up waiting the unknown outcome that it is.
func uncertain(err error) error {
	if domain.CodeOf(err) != domain.Unavailable || errors.Is(err, rest.ErrNotSent) {
		return err
	}
	e := *domain.AsError(err)
	e.Code = domain.Unknown
	return &e
}

// draft is the object of a new record and where it goes.
func (a *adapter) draft(b *book, w adapters.Write) (object, *source, error) {
	if b.m.Kind == domain.KindPayment {
		return a.payment(b, w)
	}
	needs := map[domain.Kind][]domain.Field{
		domain.KindCustomer: {"kind", "legalName"}, domain.KindProduct: {"sku"},
		domain.KindInvoice: {"customer", "issueDate", "taxMode", "lines"}, domain.KindCreditNote: {"customer", "issueDate", "taxMode", "lines"},
	}[b.m.Kind]
	values := w.Values.Clone()
	for _, f := range needs { // no object is without them
		if values[f].Empty() && !w.Golden[f].Empty() {
			values[f] = w.Golden[f]
		}
		if values[f].Empty() && f != "kind" {
			e := a.err(domain.Invalid, "MYOB needs its %s; give the %s one", f, b.noun)
			e.Field = f
			return nil, nil, e
		}
	}
	o := object{"IsActive": true}
	switch b.m.Kind {
	case domain.KindCustomer:
		o["IsIndividual"] = false
		a.giveTaxCodes(o)
	case domain.KindProduct:
		o["IsSold"], o["SellingDetails"] = true, object{}
	default:
		delete(o, "IsActive")
	}
	for f, v := range values {
		if v.Empty() && b.m.Row(f) != nil {
			delete(values, f) // a new object has nothing to clear
		}
	}
	if err := b.m.Write(o, values); err != nil {
		return nil, nil, err
	}
	if err := a.checkTotal(b, values); err != nil {
		return nil, nil, err
	}
	return o, &b.own[0], a.finish(b, o, nil)
}

// checkTotal sees to it that a document stays of its kind: MYOB tells credit notes from invoices by the total, which is worked
// out here as MYOB does.
func (a *adapter) checkTotal(b *book, values domain.Values) error {
	if !b.bare {
		return nil
	}
	doc := money.Document{Currency: a.setting("currency"), Mode: money.TaxMode(b.m.Fit(values)["taxMode"].Text()), Rounding: money.PerInvoice}
	for _, l := range domain.LinesOf(fitLines(values["lines"])) {
		if l.Kind != domain.LineText {
			doc.Lines = append(doc.Lines, money.Line{Quantity: dec(l.Quantity), UnitPrice: dec(l.UnitPrice), DiscountRate: dec(l.DiscountRate), TaxCode: money.TaxCode(l.TaxCode)})
		}
	}
	r, err := money.Compute(doc)
	switch {
	case err != nil:
		err = a.err(domain.Invalid, "%v", err)
	case b.settled && r.Totals.Total.Sign() <= 0:
		err = a.err(domain.Invalid, "the lines of the credit note add up to %s, and MYOB knows a credit note by a total that gives something back", r.Totals.Total.StringFixed(2))
	case !b.settled && r.Totals.Total.IsNegative():
		err = a.err(domain.Invalid, "the lines add up to %s, which to MYOB is a credit note; make it one", r.Totals.Total.StringFixed(2))
	}
	if err != nil {
		e := *domain.AsError(err)
		e.Field = "lines"
		return &e
	}
	return nil
}

// finish completes an object that is to be sent by what no single field says. before is nil for a new one.
func (a *adapter) finish(b *book, o, before object) error {
	switch b.m.Kind {
	case domain.KindProduct:
		return a.finishProduct(o)
	case domain.KindInvoice:
		if err := finishTerms(o, before); err != nil {
			e := a.err(domain.Invalid, "%v", err)
			e.Field = "dueDate"
			return e
		}
	}
	return nil
}

// traces are the conditions that an earlier attempt at the same create meets, or an object that has its number.
func (a *adapter) traces(b *book, src source, w adapters.Write, o object) []string {
	var terms []string
	switch {
	case b.m.Kind == domain.KindPayment:
		return []string{b.marked(w.CanonicalID)}
	case b.memo != "":
		terms = []string{b.marked(w.CanonicalID)}
	case b.m.Kind == domain.KindCustomer:
		return named(nameOf(o))
	}
	return append(terms, src.terms(w.Values)...)
}

func (a *adapter) update(ctx context.Context, b *book, w adapters.Write, externalID string) (adapters.Outcome, error) {
	var none adapters.Outcome
	layout := ""
	if w.Base != nil && b.bare {
		if o, err := adapters.ParseObject(w.Base.Raw); err == nil {
			layout = layoutOf(o)
		}
	}
	voids := b.memo != "" && w.Values["stage"].Text() == voided
	x, err := a.one(ctx, b, externalID, layout)
	if voids && w.Base != nil && domain.CodeOf(err) == domain.NotFound {
		return gone(*w.Base), nil // an earlier, unanswered attempt has done it, or a person
	}
	if err != nil {
		return none, err
	}
	now, err := a.record(b, x)
	if err != nil {
		return none, err
	}
	if w.Base != nil {
		for f, v := range now.Values {
			want, ours := w.Values[f]
			if before, known := w.Base.Values[f]; ours && known && !same(v, before) && !same(v, want) && !same(v, b.m.Fit(domain.Values{f: want})[f]) {
				return none, a.err(domain.Unavailable, "%s of the %s was changed in MYOB since it was last read; it is read again before it is written", f, b.noun)
			}
		}
	}
	src, uid := b.at(externalID)
	path := src.path + "/" + uid
	if b.bare {
		path = src.path + "/" + or(layoutOf(x.o), itemLayout) + "/" + uid
	}
	if voids {
		return a.void(ctx, b, path, now, x.o)
	}
	if b.m.Kind == domain.KindPayment {
		return a.unchanged(b, w, now)
	}
	before, err := adapters.ParseObject(x.raw)
	if err != nil {
		return none, err
	}
	if err := b.m.Write(x.o, w.Values); err != nil {
		return none, err
	}
	if w.Values["lines"] != "" || w.Values["taxMode"] != "" {
		values := now.Values.Clone()
		maps.Copy(values, w.Values)
		if err := a.checkTotal(b, values); err != nil {
			return none, err
		}
	}
	if err := a.finish(b, x.o, before); err != nil {
		return none, err
	}
	b.mark(x.o, w.CanonicalID)
	want, allocates := w.Values["allocations"]
	if !allocates || len(w.Values) > 1 {
		delete(x.o, "Settlements")
		if err := a.resolve(ctx, x.o, ""); err != nil {
			return none, err
		}
		// Sent again, the call would meet another RowVersion and do nothing.
		if x, err = a.send(ctx, b, http.MethodPut, path, x.o, true); err != nil {
			return none, err
		}
	}
	if b.settled && allocates {
		if err := a.settle(ctx, x.o, domain.AllocationsOf(want)); err != nil {
			return none, err
		}
		if x, err = a.shown(ctx, b, uid); err != nil {
			return none, err
		}
	}
	rec, err := a.record(b, x)
	return adapters.Outcome{Record: rec}, err
}

// same reports whether two values are the same to a business.
func same(a, b domain.Value) bool {
	return domain.Essence(a) == domain.Essence(b) || a.Empty() && b.Empty()
}

// void deletes a document or payment: MYOB has no other way through its API.
func (a *adapter) void(ctx context.Context, b *book, path string, now domain.Record, o object) (adapters.Outcome, error) {
	_, err := a.do(ctx, adapters.Call{Method: http.MethodDelete, Path: path, Write: true, Safe: true})
	if err != nil && domain.CodeOf(err) != domain.NotFound {
		return adapters.Outcome{}, a.locked(ctx, err, day(o, "Date"))
	}
	return gone(now), nil
}

// gone is the outcome of voiding a record.
func gone(r domain.Record) adapters.Outcome {
	r.Deleted, r.Version, r.Values = true, "", r.Values.Clone()
	r.Values["stage"] = domain.TextValue(voided)
	return adapters.Outcome{Record: r}
}

// unchanged is the outcome of a write of what a payment is already; nothing of it can be changed.
func (a *adapter) unchanged(b *book, w adapters.Write, now domain.Record) (adapters.Outcome, error) {
	for f, v := range b.m.Fit(w.Values) {
		if b.m.Row(f) == nil || b.m.Row(f).Set == nil {
			return adapters.Outcome{}, a.err(domain.Unsupported, "MYOB does not carry %s of a payment", f)
		}
		if has, carried := now.Values[f]; carried && !same(has, v) && !v.Empty() {
			e := a.err(domain.Invalid, "MYOB cannot change the %s of a payment; void it and record it anew", f)
			e.Field = f
			return adapters.Outcome{}, e
		}
	}
	return adapters.Outcome{Record: now}, nil
}

// send writes an object and returns it as it is then. Older servers answer with its address only, from which it is read.
func (a *adapter) send(ctx context.Context, b *book, method, path string, o object, safe bool) (item, error) {
	body, err := json.Marshal(o)
	if err != nil {
		return item{}, a.err(domain.Internal, "the %s cannot be written as JSON", b.noun)
	}
	resp, err := a.do(ctx, adapters.Call{Method: method, Path: path + "?returnBody=true", Body: body, Write: true, Safe: safe})
	if err != nil {
		if domain.CodeOf(err) == domain.Invalid {
			a.forget() // a code that is no more may be what was refused
			if b.memo != "" {
				err = a.locked(ctx, err, day(o, "Date"))
			}
		}
		return item{}, err
	}
	if len(resp.Body) == 0 {
		at := strings.Split(resp.Header.Get("Location"), "/")
		return a.shown(ctx, b, b.external(path, at[len(at)-1]))
	}
	x, err := a.parse(ctx, b, resp)
	if err != nil {
		return item{}, a.unseen(b)
	}
	return x, nil
}

// external is the external id of an object that was written to the path.
func (b *book) external(path, uid string) string {
	for _, src := range b.own {
		if src.prefix != "" && strings.HasPrefix(path, src.path) {
			return src.prefix + uid
		}
	}
	return uid
}

// shown reads what was just written.
func (a *adapter) shown(ctx context.Context, b *book, externalID string) (item, error) {
	x, err := a.one(ctx, b, externalID, "")
	if err != nil {
		return item{}, a.unseen(b)
	}
	return x, nil
}

func (a *adapter) unseen(b *book) error {
	return a.err(domain.Unknown, "MYOB took the %s but did not show it; it is looked up before it is written again", b.noun)
}

// giveTaxCodes sets the codes of the settings, which every card must have.
func (a *adapter) giveTaxCodes(o object) {
	sd := partFor(o, "SellingDetails")
	for member, setting := range map[string]string{"TaxCode": "taxCode", "FreightTaxCode": "freightTaxCode"} {
		sd[member] = object{"Code": a.setting(setting)}
	}
}
