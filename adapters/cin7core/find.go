package cin7core

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"datum/adapters"
	"datum/domain"
)

// Find looks records up: sales by our id in ExternalID; customers by name, which is unique there, and else by e-mail address,
// since an ABN cannot be asked for; products by SKU, which is unique; locations by name; stock levels by their product and location.
func (a *adapter) Find(ctx context.Context, kind domain.Kind, queries []adapters.Query) (found [][]domain.Record, err error) {
	defer domain.Wrap(&err, "cin7core.Find")
	if _, err := a.mapping(kind); err != nil {
		return nil, err
	}
	found = make([][]domain.Record, len(queries))
	for i, q := range queries {
		switch kind {
		case domain.KindCustomer:
			if found[i], err = a.search(ctx, kind, "Name", q.Values, "legalName"); err == nil && len(found[i]) == 0 {
				found[i], err = a.search(ctx, kind, "ContactFilter", q.Values, "email")
			}
		case domain.KindProduct:
			found[i], err = a.search(ctx, kind, "Sku", q.Values, "sku")
		case domain.KindLocation:
			found[i], err = a.findLocations(ctx, q.Values["name"].Text())
		case domain.KindOrder:
			found[i], err = a.findSales(ctx, q)
		case domain.KindStockLevel:
			product, ok := domain.ExtID(q.Values["product"].Text())
			site, ok2 := domain.ExtID(q.Values["location"].Text())
			if ok && ok2 {
				var r domain.Record
				if r, err = a.fetchLevel(ctx, idOf(product)+"@"+idOf(site)); err == nil {
					found[i] = []domain.Record{r}
				} else if domain.CodeOf(err) == domain.NotFound {
					err = nil
				}
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// search asks for one value and keeps what has exactly it: Cin7 Core finds what begins with a name.
func (a *adapter) search(ctx context.Context, kind domain.Kind, param string, values domain.Values, f domain.Field) ([]domain.Record, error) {
	want := values[f].Text()
	if want == "" {
		return nil, nil
	}
	src := sources[kind]
	rows, _, sent, err := a.all(ctx, src.path, src.list, url.Values{param: {want}, "IncludeDeprecated": {"true"}}, func(o object) string { return adapters.String(o, "ID") })
	if err != nil {
		return nil, err
	}
	var recs []domain.Record
	for _, o := range rows {
		r, err := a.record(ctx, kind, o, sent)
		if err != nil {
			return nil, err
		}
		if strings.EqualFold(r.Values[f].Text(), want) {
			recs = append(recs, r)
		}
	}
	return recs, nil
}

func (a *adapter) findLocations(ctx context.Context, name string) ([]domain.Record, error) {
	var recs []domain.Record
	for _, deprecated := range []bool{false, true} {
		rows, _, sent, err := a.locations(ctx, deprecated)
		if err != nil {
			return nil, err
		}
		for _, o := range rows {
			if name == "" || !strings.EqualFold(adapters.String(o, "Name"), name) {
				continue
			}
			r, err := a.record(ctx, domain.KindLocation, o, sent)
			if err != nil {
				return nil, err
			}
			recs = append(recs, r)
		}
	}
	return recs, nil
}

// findSales looks sales up by our id, else by their number, else by customer, date and reference together. Voided ones are
// left out unless there is no other.
func (a *adapter) findSales(ctx context.Context, q adapters.Query) ([]domain.Record, error) {
	var recs, void []domain.Record
	v := q.Values
	for _, by := range []struct {
		param, want string
		same        func(row object) bool
	}{
		{"ExternalID", q.CanonicalID, func(row object) bool { return adapters.String(row, "ExternalID") == q.CanonicalID }},
		{"Search", v["number"].Text(), func(row object) bool { return adapters.String(row, "OrderNumber") == v["number"].Text() }},
		{"Search", v["reference"].Text(), func(row object) bool {
			day, _, _ := strings.Cut(adapters.String(row, "OrderDate"), "T")
			return adapters.String(row, "CustomerReference") == v["reference"].Text() && day == v["orderDate"].Text() &&
				domain.Ext(idOf(adapters.String(row, "CustomerID"))) == v["customer"].Text()
		}},
	} {
		if by.want == "" || len(recs)+len(void) > 0 {
			continue
		}
		in, _, err := a.do(ctx, http.MethodGet, "/saleList", url.Values{by.param: {by.want}, "Limit": {"100"}}, nil, false)
		if err != nil {
			return nil, err
		}
		rows, _, err := a.rows(in, "SaleList")
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			if !by.same(row) {
				continue
			}
			o, resp, err := a.sale(ctx, idOf(adapters.String(row, "SaleID")))
			if err != nil {
				return nil, err
			}
			r, err := a.record(ctx, domain.KindOrder, o, resp.SentAt)
			if err != nil {
				return nil, err
			}
			if adapters.String(o, "Status") == voided {
				void = append(void, r)
			} else {
				recs = append(recs, r)
			}
		}
	}
	if len(recs) == 0 {
		return void, nil
	}
	return recs, nil
}
