package cin7core

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/domain"
)

// Write creates and updates, one object after another.
//
// A customer or product is created in one call; that its name or SKU is taken is a Conflict. An update sends the members that
// change; if one of them is a list, the object is read just before, so that the list is sent whole as it is now. Stock is
// written as an adjustment, which says what is on hand from then on. For sales see writeSale.
func (a *adapter) Write(ctx context.Context, writes []adapters.Write) []adapters.Outcome {
	outs := make([]adapters.Outcome, len(writes))
	for i, w := range writes {
		m, err := a.mapping(w.Kind)
		switch {
		case err != nil:
		case w.Kind == domain.KindLocation:
			err = a.err(domain.Unsupported, "locations are only read; add and change them in Cin7 Core")
		case w.Kind == domain.KindStockLevel:
			outs[i], err = a.adjust(ctx, m, w)
		case w.Kind == domain.KindOrder:
			outs[i], err = a.writeSale(ctx, m, w)
		case w.ExternalID == "":
			outs[i], err = a.create(ctx, m, w)
		default:
			outs[i], err = a.update(ctx, m, w)
		}
		if code := domain.CodeOf(err); code == domain.Invalid || code == domain.Conflict || code == domain.Unsupported {
			e := *domain.AsError(err)
			e.System, e.Message = a.s.System, label(w)+": "+e.Message
			err = &e
		}
		domain.Wrap(&err, "cin7core.Write")
		if outs[i].Err = err; err != nil {
			outs[i].Record, outs[i].Created = domain.Record{}, false
		}
	}
	return outs
}

// unsure is an error of a call that creates: a gateway that gave up waiting says nothing of what became of it.
func unsure(err error) error {
	if domain.CodeOf(err) == domain.Unavailable && !errors.Is(err, rest.ErrNotSent) {
		e := *domain.AsError(err)
		e.Code = domain.Unknown
		return &e
	}
	return err
}

func (a *adapter) create(ctx context.Context, m *adapters.Mapping, w adapters.Write) (out adapters.Outcome, err error) {
	values := w.Values.Clone()
	o := object{"Status": "Active"}
	need := []domain.Field{"legalName"}
	if w.Kind == domain.KindCustomer {
		o["PaymentTerm"], o["AccountReceivable"], o["RevenueAccount"] = a.setting("paymentTerm"), a.setting("accountReceivable"), a.setting("revenueAccount")
		o["TaxRule"], o["Currency"] = a.habits.rules.name("GST"), a.habits.currency
		o["Contacts"], o["Addresses"] = []any{}, []any{}
	} else {
		need = []domain.Field{"sku", "name"}
		o["Type"], o["CostingMethod"], o["Category"], o["UOM"] = "Stock", "FIFO", a.habits.category, a.habits.unit
	}
	for _, f := range need {
		if values[f].Empty() {
			values[f] = w.Golden[f]
		}
		if values[f].Empty() {
			e := a.err(domain.Invalid, "Cin7 Core needs %s; give it where it is owned", f)
			e.Field = f
			return out, e
		}
	}
	if err := m.Write(o, values); err != nil {
		return out, err
	}
	nameOwn(o)
	rec, err := a.send(ctx, http.MethodPost, w.Kind, o, false)
	return adapters.Outcome{Record: rec, Created: err == nil}, unsure(err)
}

// nameOwn gives the default contact a name, which every contact must have.
func nameOwn(o object) {
	if c := own(o); c != nil && adapters.String(c, "Name") == "" {
		c["Name"] = adapters.String(o, "Name")
	}
}

// send writes a customer or product and returns it as it then is.
func (a *adapter) send(ctx context.Context, method string, kind domain.Kind, o object, safe bool) (rec domain.Record, err error) {
	src := sources[kind]
	in, resp, err := a.do(ctx, method, src.path, nil, o, safe)
	if err != nil {
		return rec, err
	}
	list := entries(in[src.list])
	if len(list) != 1 {
		return rec, a.err(domain.Unknown, "Cin7 Core took the %s but did not show it; it is looked up before it is written again", kind)
	}
	return a.record(ctx, kind, list[0], resp.SentAt)
}

// lists are fields that are kept in lists, which are sent whole.
var lists = map[domain.Field]bool{"email": true, "phone": true, "mobile": true, "website": true, "contacts": true, "billingAddress": true, "shippingAddress": true}

// current is the object to be changed: as last seen, or read now if that is not known or a list of it is to be written.
func (a *adapter) current(ctx context.Context, w adapters.Write) (object, time.Time, error) {
	fresh := w.Base == nil || len(w.Base.Raw) == 0
	for f := range w.Values {
		fresh = fresh || lists[f] && w.Kind == domain.KindCustomer
	}
	if !fresh {
		o, err := adapters.ParseObject(w.Base.Raw)
		return o, w.Base.FetchedAt, err
	}
	o, resp, err := a.one(ctx, w.Kind, idOf(w.ExternalID))
	if err != nil {
		return nil, time.Time{}, err
	}
	return o, resp.SentAt, nil
}

func (a *adapter) update(ctx context.Context, m *adapters.Mapping, w adapters.Write) (out adapters.Outcome, err error) {
	o, _, err := a.current(ctx, w)
	if err != nil {
		return out, err
	}
	before := copyOf(o)
	if err := m.Write(o, w.Values); err != nil {
		return out, err
	}
	nameOwn(o)
	changed := diff(before, o)
	if len(changed) == 0 { // what was asked for is there
		out.Record, err = a.Fetch(ctx, w.Kind, w.ExternalID)
		return out, err
	}
	changed["ID"] = idOf(w.ExternalID)
	out.Record, err = a.send(ctx, http.MethodPut, w.Kind, changed, true)
	return out, err
}

// copyOf is a copy that shares nothing.
func copyOf(o object) object {
	b, err := json.Marshal(o)
	if err != nil {
		panic("cin7core: " + err.Error()) // it came from JSON
	}
	c, err := adapters.ParseObject(b)
	if err != nil {
		panic("cin7core: " + err.Error())
	}
	return c
}

// diff are the members of b that are not the same in a.
func diff(a, b object) object {
	d := object{}
	for k, v := range b {
		x, _ := json.Marshal(a[k])
		y, _ := json.Marshal(v)
		if !bytes.Equal(x, y) {
			d[k] = v
		}
	}
	return d
}

// written is the error of reading back what has just been written.
func (a *adapter) written(err error) error {
	if err == nil {
		return nil
	}
	e := a.err(domain.Unknown, "Cin7 Core took it but could not show it; it is looked up before it is written again")
	e.Err = err
	return e
}
