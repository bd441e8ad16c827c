package cin7core

import (
	"context"
	"net/http"
	"net/url"

	"datum/adapters"
	"datum/domain"
)

// writeSale creates or changes a sale: its head, then its order, whose lines are sent whole, then what is done with it as a
// whole. A create looks first for a sale with our id, which an earlier, unanswered create has made. A sale whose lines are
// refused stays as a draft without an order, and is completed by the next write.
func (a *adapter) writeSale(ctx context.Context, m *adapters.Mapping, w adapters.Write) (out adapters.Outcome, err error) {
	var before object
	var resp *adapters.Response
	id := idOf(w.ExternalID)
	if id == "" {
		if w.CanonicalID == "" {
			return out, a.err(domain.Internal, "a sale cannot be created in Cin7 Core without an id of ours")
		}
		if err := m.Write(object{}, w.Values); err != nil { // before anything is made
			return out, err
		}
		found, err := a.findSales(ctx, adapters.Query{CanonicalID: w.CanonicalID})
		if err != nil {
			return out, err
		}
		if len(found) > 0 {
			id = found[0].ExternalID
		}
	}
	if id == "" {
		if before, resp, err = a.newSale(ctx, m, w); err != nil {
			return out, err
		}
		out.Created = true
	} else if before, resp, err = a.sale(ctx, id); err != nil {
		return out, err
	}
	id = idOf(adapters.String(before, "ID"))
	if before, err = a.withSite(ctx, before); err != nil {
		return out, err
	}
	o := copyOf(before)
	if err := m.Write(o, w.Values); err != nil {
		return out, err
	}
	if adapters.String(o, m.IDField) == "" && w.CanonicalID != "" {
		o[m.IDField] = w.CanonicalID
	}
	after, err := a.steps(ctx, id, before, o)
	if after == nil && err == nil {
		after, resp, err = a.sale(ctx, id)
		err = a.written(err)
	}
	if err != nil {
		return adapters.Outcome{}, err
	}
	if out.Record, err = a.record(ctx, w.Kind, after, resp.SentAt); err == nil {
		a.remember(id, adapters.String(after, "LastModifiedOn"))
	}
	return out, err
}

// mostWrote is how many sales are remembered; then it begins anew.
const mostWrote = 10_000

// remember notes how a write has left a sale.
func (a *adapter) remember(id, stamp string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.wrote == nil || len(a.wrote) >= mostWrote {
		a.wrote = map[string]string{}
	}
	a.wrote[id] = stamp
}

// echoes reports whether a sale is as a write has left it: nothing was changed since.
func (a *adapter) echoes(id, stamp string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	was, ok := a.wrote[id]
	return ok && stamp != "" && timeOf(was).Equal(timeOf(stamp))
}

// newSale makes the head of a sale; it has no quote, so that its order can be written.
func (a *adapter) newSale(ctx context.Context, m *adapters.Mapping, w adapters.Write) (object, *adapters.Response, error) {
	values := w.Values.Clone()
	delete(values, "lines")
	delete(values, "stage")
	if values["customer"].Empty() {
		values["customer"] = w.Golden["customer"]
	}
	o := object{}
	if err := m.Write(o, values); err != nil {
		return nil, nil, err
	}
	if err := a.nameSite(ctx, o); err != nil {
		return nil, nil, err
	}
	o[m.IDField], o["SkipQuote"] = w.CanonicalID, true
	made, resp, err := a.do(ctx, http.MethodPost, "/sale", nil, o, false)
	if err == nil && adapters.String(made, "ID") == "" {
		err = a.err(domain.Unknown, "Cin7 Core took the sale but did not show it; it is looked up before it is written again")
	}
	if domain.CodeOf(err) == domain.Invalid {
		a.forgetSites() // a renamed one may be what was refused
	}
	return made, resp, unsure(err)
}

// nameSite replaces the id of a location by its name, which is what a sale takes.
func (a *adapter) nameSite(ctx context.Context, o object) error {
	id := adapters.String(o, "LocationID")
	if id == "" {
		return nil
	}
	_, name, err := a.site(ctx, id, "")
	if err != nil {
		return err
	}
	if name == "" {
		e := a.err(domain.Invalid, "Cin7 Core has no location %s (any more)", id)
		e.Field = "location"
		return e
	}
	delete(o, "LocationID")
	o["Location"] = name
	return nil
}

// steps make the sale before into o, with the calls that that takes: PUT of the head, POST of the order, DELETE to void or to
// take the authorisation back. It returns the sale if the last answer showed it.
func (a *adapter) steps(ctx context.Context, id string, before, o object) (object, error) {
	if adapters.String(o, "Status") == voided && adapters.String(before, "Status") != voided {
		return a.undo(ctx, id, true)
	}
	was, order := adapters.String(part(before, "Order"), "Status"), part(o, "Order")
	var after object
	var err error
	if status := adapters.String(order, "Status"); status == draft && getStage(before) == `"CONFIRMED"` {
		if after, err = a.undo(ctx, id, false); err != nil {
			return nil, err
		}
		was = draft
	}
	head := diff(before, o)
	delete(head, "Order")
	delete(head, "Status")
	if len(head) > 0 {
		if err := a.nameSite(ctx, head); err != nil {
			return nil, err
		}
		head["ID"] = id
		if after, _, err = a.do(ctx, http.MethodPut, "/sale", nil, head, true); err != nil {
			return nil, err
		}
	}
	_, mode := head["TaxCalculation"]
	changed := diff(part(before, "Order"), order)
	lines := changed["Lines"] != nil || changed["AdditionalCharges"] != nil
	empty := len(entries(order["Lines"]))+len(entries(order["AdditionalCharges"])) == 0
	if !lines && (!mode || empty) && (adapters.String(order, "Status") != authorised || was == authorised) {
		return after, nil
	}
	if err := a.habits.price(order, adapters.String(o, "TaxCalculation") == "Inclusive"); err != nil {
		e := a.err(domain.Invalid, "%v", err)
		e.Field = "lines"
		return nil, e
	}
	send := object{"SaleID": id, "Memo": adapters.String(order, "Memo"), "Status": draft, "Lines": list(order["Lines"]), "AdditionalCharges": list(order["AdditionalCharges"]),
		"TotalBeforeTax": order["TotalBeforeTax"], "Tax": order["Tax"], "Total": order["Total"]}
	if adapters.String(order, "Status") == authorised {
		send["Status"] = authorised
	}
	// Sent again it says the same, or is refused because the order is authorised, and is then looked at.
	_, _, err = a.do(ctx, http.MethodPost, "/sale/order", nil, send, true)
	return nil, err
}

// list is v, or an empty list.
func list(v any) any {
	if v == nil {
		return []any{}
	}
	return v
}

// undo voids a sale, or takes the authorisation of its order back.
func (a *adapter) undo(ctx context.Context, id string, void bool) (object, error) {
	o, _, err := a.do(ctx, http.MethodDelete, "/sale", url.Values{"ID": {id}, "Void": {map[bool]string{true: "true", false: "false"}[void]}}, nil, true)
	if err != nil {
		return nil, err
	}
	if adapters.String(o, "LastModifiedOn") == "" {
		return nil, nil
	}
	return o, nil
}
