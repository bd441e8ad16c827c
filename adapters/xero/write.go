package xero

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// item is one write on its way: what is sent, and where its outcome goes.
type item struct {
	write adapters.Write
	body  object
	out   *adapters.Outcome
}

// Write creates and updates up to 50 contacts in one call. A create sends our id as ContactNumber, by which Xero finds a
// contact that an earlier, unanswered create has made; Created then still says true, since Xero's answer does not tell. A
// call that Xero refuses whole is halved until only the contacts at fault are refused. Xero keeps refusals under their
// idempotency key for 6 minutes: a repeat after looking up needs another Key.
func (a *adapter) Write(ctx context.Context, writes []adapters.Write) []adapters.Outcome {
	outs := make([]adapters.Outcome, len(writes))
	bases, err := a.bases(ctx, writes)
	items := make([]item, 0, len(writes))
	for i, w := range writes {
		if outs[i].Err = err; err != nil {
			continue
		}
		body, err := a.body(w, bases[i])
		if err != nil {
			outs[i].Err = err
			continue
		}
		items = append(items, item{write: w, body: body, out: &outs[i]})
	}
	for len(items) > 0 {
		n := min(len(items), batch)
		a.send(ctx, items[:n])
		items = items[n:]
	}
	a.nameClashes(ctx, writes, outs)
	for i := range outs {
		domain.Wrap(&outs[i].Err, "xero.Write")
	}
	return outs
}

// bases returns the objects as last seen, for what must be sent whole. Those that the caller does not have are read in
// one call.
func (a *adapter) bases(ctx context.Context, writes []adapters.Write) ([]object, error) {
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
			if w.ExternalID != "" && whole[f] != "" {
				missing = append(missing, w.ExternalID)
				break
			}
		}
	}
	if len(missing) == 0 {
		return bases, nil
	}
	l, _, err := a.contacts(ctx, url.Values{"IDs": {strings.Join(missing, ",")}}, 1, max(len(missing), fetchSize), time.Time{})
	if err != nil {
		return nil, err
	}
	for i, w := range writes {
		for _, o := range l.contacts {
			if bases[i] == nil && w.ExternalID != "" && strings.EqualFold(adapters.String(o, "ContactID"), w.ExternalID) {
				bases[i] = o
			}
		}
	}
	return bases, nil
}

// body builds what is sent for one write: the fields to set, and of what Xero replaces whole also the rest.
func (a *adapter) body(w adapters.Write, base object) (object, error) {
	if err := a.carries(w.Kind); err != nil {
		return nil, err
	}
	o := object{}
	for f := range w.Values {
		if key := whole[f]; key != "" && base[key] != nil {
			o[key] = base[key]
		}
	}
	values := w.Values
	if w.ExternalID == "" && values["legalName"].Empty() && !w.Golden["legalName"].Empty() {
		values = values.Clone()
		values["legalName"] = w.Golden["legalName"]
	}
	if err := a.mapping.Write(o, values); err != nil {
		var e *domain.Error
		if errors.As(err, &e) {
			e.System = a.s.System
			e.Message = label(w) + ": " + e.Message
		}
		return nil, err
	}
	if w.ExternalID != "" {
		o["ContactID"] = w.ExternalID
		if base != nil && w.CanonicalID != "" && adapters.String(base, "ContactNumber") == "" {
			o["ContactNumber"] = w.CanonicalID
		}
		return o, nil
	}
	if adapters.String(o, "Name") == "" {
		e := a.err(domain.Invalid, "%s: xero needs a name for every contact; give the customer a legal name", label(w))
		e.Field = "legalName"
		return nil, e
	}
	if w.CanonicalID == "" || len(w.CanonicalID) > keyLimit {
		return nil, a.err(domain.Internal, "a contact cannot be created at Xero without an id of ours of at most %d characters", keyLimit)
	}
	o["ContactNumber"] = w.CanonicalID
	return o, nil
}

// send writes the items in one call, or in smaller ones if Xero refuses the call as a whole.
func (a *adapter) send(ctx context.Context, items []item) {
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
	body, err := json.Marshal(map[string]any{"Contacts": bodies})
	if err != nil {
		fail(a.err(domain.Internal, "the contacts cannot be written as JSON"))
		return
	}
	resp, err := a.do(ctx, adapters.Call{
		Method: http.MethodPost, Path: api + "/Contacts?summarizeErrors=false", Body: body,
		Header: http.Header{"Idempotency-Key": {idempotencyKey(items, body)}},
		// Setting members of a known contact twice is harmless; a create is looked up by our id first.
		Write: true, Safe: !creates,
	})
	switch {
	case err == nil:
	case resp != nil && resp.Status == http.StatusBadRequest && len(items) > 1 && perContact(resp.Body):
		half := len(items) / 2
		a.send(ctx, items[:half])
		a.send(ctx, items[half:])
		return
	default:
		if resp != nil && resp.Status == http.StatusBadRequest && len(items) == 1 {
			e := domain.AsError(err)
			e.Message = label(items[0].write) + ": " + e.Message
			err = e
		}
		fail(err)
		return
	}
	l, err := a.list(resp)
	if err != nil {
		fail(a.err(domain.Unknown, "Xero took the contacts but its answer cannot be read; they are looked up before they are written again"))
		return
	}
	for i, it := range items {
		a.outcome(it, i, len(items), l, resp.SentAt)
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
func (a *adapter) outcome(it item, i, n int, l *listing, sent time.Time) {
	at := -1
	if len(l.contacts) == n && (refusedElement(l.contacts[i]) || answers(l.contacts[i], it.write)) {
		at = i
	} else {
		for j, o := range l.contacts {
			if answers(o, it.write) {
				at = j
			}
		}
	}
	if at < 0 {
		it.out.Err = a.err(domain.Unknown, "Xero's answer does not mention the %s; it is looked up before it is written again", label(it.write))
		return
	}
	o := l.contacts[at]
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
		it.out.Err = a.invalid("the "+label(it.write), msgs)
		return
	}
	it.out.Record, it.out.Err = a.record(o, l.raw[at], sent)
	it.out.Created = it.out.Err == nil && it.write.ExternalID == ""
}

func refusedElement(o object) bool {
	errs, _ := o["ValidationErrors"].([]any)
	status := adapters.String(o, "StatusAttributeString")
	return strings.EqualFold(status, "ERROR") || status == "" && len(errs) > 0
}

// answers reports whether o is the object that w was about.
func answers(o object, w adapters.Write) bool {
	if w.ExternalID != "" {
		return strings.EqualFold(adapters.String(o, "ContactID"), w.ExternalID)
	}
	return adapters.String(o, "ContactNumber") == w.CanonicalID
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
	found, err := a.search(ctx, terms)
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
