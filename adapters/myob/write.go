package myob

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/domain"
)

// Write creates and updates cards, one call each and what must be read before it.
//
// A create looks first for a card of that name with our id, which an earlier, unanswered create has made, and then updates
// that one. An update reads the card, since MYOB replaces it whole and wants its RowVersion. If somebody has meanwhile
// changed a field that is to be written, nothing is written and the outcome is Unavailable: the caller looks at the card
// before it tries again, so that no edit is overwritten unseen.
func (a *adapter) Write(ctx context.Context, writes []adapters.Write) []adapters.Outcome {
	outs := make([]adapters.Outcome, len(writes))
	for i, w := range writes {
		var err error
		if err = a.carries(w.Kind); err == nil && w.ExternalID == "" {
			outs[i], err = a.create(ctx, w)
		} else if err == nil {
			outs[i], err = a.update(ctx, w, w.ExternalID)
		}
		if code := domain.CodeOf(err); code == domain.Invalid || code == domain.Conflict {
			e := *domain.AsError(err)
			e.System, e.Message = a.s.System, label(w)+": "+e.Message
			err = &e
		}
		domain.Wrap(&err, "myob.Write")
		outs[i].Err = err
	}
	return outs
}

func (a *adapter) create(ctx context.Context, w adapters.Write) (adapters.Outcome, error) {
	var none adapters.Outcome
	values := w.Values.Clone()
	for _, f := range []domain.Field{"kind", "legalName"} { // no card is without them
		if values[f].Empty() && !w.Golden[f].Empty() {
			values[f] = w.Golden[f]
		}
	}
	if values["legalName"].Empty() {
		e := a.err(domain.Invalid, "MYOB needs a name on every card; give the customer a legal name")
		e.Field = "legalName"
		return none, e
	}
	if w.CanonicalID == "" {
		return none, a.err(domain.Internal, "a card cannot be created in MYOB without an id of ours")
	}
	o := object{"IsIndividual": false, "IsActive": true}
	if err := a.mapping.Write(o, values); err != nil {
		return none, err
	}
	o[a.mapping.IDField] = object{"Value": w.CanonicalID}
	namesakes, err := a.search(ctx, named(nameOf(o)))
	if err != nil {
		return none, err
	}
	for _, r := range namesakes {
		if r.CanonicalID == w.CanonicalID {
			return a.update(ctx, w, r.ExternalID)
		}
	}
	if err := a.giveTaxCodes(ctx, o); err != nil {
		return none, err
	}
	out, err := a.send(ctx, http.MethodPost, customers, o, false)
	switch code := domain.CodeOf(err); {
	case code == domain.Invalid:
		a.forgetTaxCodes() // one of them may be what was refused
	case code == domain.Unavailable && !errors.Is(err, rest.ErrNotSent):
		// A gateway that gave up waiting says nothing of what became of the card.
		e := *domain.AsError(err)
		e.Code = domain.Unknown
		err = &e
	}
	out.Created = err == nil
	return out, err
}

func (a *adapter) update(ctx context.Context, w adapters.Write, uid string) (adapters.Outcome, error) {
	var none adapters.Outcome
	o, now, err := a.card(ctx, uid)
	if err != nil {
		return none, err
	}
	if w.Base != nil {
		for f, v := range now.Values {
			want, ours := w.Values[f]
			if before, known := w.Base.Values[f]; ours && known && !same(v, before) && !same(v, a.mapping.Fit(domain.Values{f: want})[f]) {
				return none, a.err(domain.Unavailable, "%s of the card was changed in MYOB since it was last read; it is read again before it is written", f)
			}
		}
	}
	if err := a.mapping.Write(o, w.Values); err != nil {
		return none, err
	}
	if w.CanonicalID != "" && adapters.String(part(o, a.mapping.IDField), "Value") == "" {
		partFor(o, a.mapping.IDField)["Value"] = w.CanonicalID
	}
	// Sent again, the call would meet another RowVersion and do nothing.
	return a.send(ctx, http.MethodPut, customers+"/"+uid, o, true)
}

func same(a, b domain.Value) bool { return a == b || a.Empty() && b.Empty() }

// send writes a card and returns it as it is then. Older servers answer with its address only, from which it is read.
func (a *adapter) send(ctx context.Context, method, path string, o object, safe bool) (out adapters.Outcome, err error) {
	body, err := json.Marshal(o)
	if err != nil {
		return out, a.err(domain.Internal, "the card cannot be written as JSON")
	}
	resp, err := a.do(ctx, adapters.Call{Method: method, Path: path + "?returnBody=true", Body: body, Write: true, Safe: safe})
	if err != nil {
		return out, err
	}
	if len(resp.Body) > 0 {
		_, out.Record, err = a.parse(resp)
	} else {
		at := resp.Header.Get("Location")
		_, out.Record, err = a.card(ctx, at[strings.LastIndexByte(at, '/')+1:])
	}
	if err != nil {
		return adapters.Outcome{}, a.err(domain.Unknown, "MYOB took the card but did not show it; it is looked up before it is written again")
	}
	return out, nil
}

// giveTaxCodes sets the codes of the settings, which every card must have.
func (a *adapter) giveTaxCodes(ctx context.Context, o object) error {
	sd := partFor(o, "SellingDetails")
	for member, setting := range map[string]string{"TaxCode": "taxCode", "FreightTaxCode": "freightTaxCode"} {
		code := a.s.Settings[setting]
		if code == "" {
			code = "GST"
		}
		uid, err := a.taxCode(ctx, code)
		if err != nil {
			return err
		}
		if uid == "" {
			return a.err(domain.Invalid, "the file has no tax code %q: set %s to one of its tax codes", code, setting)
		}
		sd[member] = object{"UID": uid}
	}
	return nil
}

// taxCode returns the UID of a tax code, "" if the file has none such. What was found is remembered.
func (a *adapter) taxCode(ctx context.Context, code string) (string, error) {
	a.mu.Lock()
	uid := a.codes[code]
	a.mu.Unlock()
	if uid != "" {
		return uid, nil
	}
	resp, err := a.do(ctx, adapters.Call{Method: http.MethodGet, Path: "/GeneralLedger/TaxCode?" + query(url.Values{"$filter": {"Code eq " + quoted(code)}})})
	if err != nil {
		return "", err
	}
	var in struct{ Items []struct{ UID, Code string } }
	if err := json.Unmarshal(resp.Body, &in); err != nil {
		return "", a.err(domain.Unavailable, "MYOB's list of tax codes cannot be read; it will be tried again")
	}
	for _, t := range in.Items {
		if t.Code == code {
			a.mu.Lock()
			a.codes[code] = t.UID
			a.mu.Unlock()
			return t.UID, nil
		}
	}
	return "", nil
}

func (a *adapter) forgetTaxCodes() {
	a.mu.Lock()
	defer a.mu.Unlock()
	clear(a.codes)
}
