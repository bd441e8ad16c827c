package cin7core

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"datum/adapters"
	"datum/domain"
)

// locationMapping is the table of Location <-> location; bins, which have a parent, are not locations of the business.
func locationMapping() adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindLocation, Object: "ref/location",
		Rows: []adapters.Row{
			{Field: "name", Paths: []string{"Name"}, Get: func(o object) domain.Value { return domain.TextValue(adapters.String(o, "Name")) }},
			{Field: "address", Paths: []string{"AddressLine1", "AddressLine2", "AddressCitySuburb", "AddressStateProvince", "AddressZipPostCode", "AddressCountry"},
				Get: func(o object) domain.Value {
					return addressOf(object{"Line1": o["AddressLine1"], "Line2": o["AddressLine2"], "City": o["AddressCitySuburb"], "State": o["AddressStateProvince"],
						"Postcode": o["AddressZipPostCode"], "Country": o["AddressCountry"]})
				}},
			{Field: "status", Paths: []string{"IsDeprecated"}, Note: "deprecated is ARCHIVED", Get: func(o object) domain.Value {
				if o["IsDeprecated"] == true {
					return `"ARCHIVED"`
				}
				return `"ACTIVE"`
			}},
		},
		Known: []string{"ID", "IsDefault", "Bins", "FixedAssetsLocation", "ParentID", "ParentName", "ReferenceCount", "PickZones", "IsShopfloor", "IsCoMan", "IsStaging", "Deprecated"},
	}
}

// stockMapping is the table of StockLevel <-> the rows of the availability of one product at one location, added up over bins
// and batches: the adapter's own object around the vendor's rows. Its id is "<product>@<location>".
func stockMapping() adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindStockLevel, Object: "ref/productavailability",
		Rows: []adapters.Row{
			placeRow("product", "ID", "chosen when the level is made"),
			placeRow("location", "LocationID", "chosen when the level is made; the row names it by Location"),
			{Field: "onHand", Paths: []string{"OnHand"}, Note: "written as a completed stock adjustment; no row is 0",
				Get: func(o object) domain.Value { return domain.TextValue(adapters.String(o, "OnHand")) },
				Set: func(o object, v domain.Value) error {
					d, err := decimal.NewFromString(fitted("0")(v).Text())
					switch {
					case err != nil:
						return err
					case d.IsNegative():
						return fmt.Errorf("Cin7 Core cannot hold less than nothing; count the stock there")
					case !d.Equal(d.Round(4)):
						return fmt.Errorf("Cin7 Core takes at most 4 decimals")
					}
					o["OnHand"] = json.Number(d.String())
					return nil
				},
				Fit: fitted("0")},
			{Field: "committed", Paths: []string{"Allocated"}, Get: func(o object) domain.Value { return domain.TextValue(adapters.String(o, "Allocated")) }},
			{Field: "available", Paths: []string{"Available"}, Get: func(o object) domain.Value { return domain.TextValue(adapters.String(o, "Available")) }},
			{Field: "incoming", Paths: []string{"OnOrder"}, Note: "on purchase orders; stock in transit between locations is not in it",
				Get: func(o object) domain.Value { return domain.TextValue(adapters.String(o, "OnOrder")) }},
		},
		Known: []string{"SKU", "Name", "Location", "Rows"},
	}
}

func placeRow(f domain.Field, key, note string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{key}, Note: note,
		Get: func(o object) domain.Value { return domain.TextValue(domain.Ext(adapters.String(o, key))) },
		Set: func(o object, v domain.Value) error {
			id, ok := domain.ExtID(v.Text())
			if !ok {
				return fmt.Errorf("a stock level needs one")
			}
			if was := adapters.String(o, key); was != "" && was != idOf(id) {
				return fmt.Errorf("a stock level stays with its product and location; there is another one for the other")
			}
			o[key] = idOf(id)
			return nil
		}}
}

// level is the object of one product at one location, made of its rows; none is zeros. What no row shows is not zero: it is left out.
func level(product, site, siteName, sku string, rows []object) object {
	o := object{"ID": product, "LocationID": site, "Location": siteName, "SKU": sku}
	sums := map[string]decimal.Decimal{"OnHand": {}, "Allocated": {}, "Available": {}, "OnOrder": {}}
	list := []any{}
	for _, r := range rows {
		for k, sum := range sums {
			if d, err := decimal.NewFromString(adapters.String(r, k)); err == nil {
				sums[k] = sum.Add(d)
			}
		}
		o["SKU"], o["Name"] = r["SKU"], r["Name"]
		list = append(list, r)
	}
	for k, sum := range sums {
		if len(rows) == 0 || slices.ContainsFunc(rows, func(r object) bool { _, shown := r[k]; return shown }) {
			o[k] = json.Number(sum.String())
		}
	}
	o["Rows"] = list
	return o
}

func (a *adapter) locations(ctx context.Context, deprecated bool) ([]object, bool, time.Time, error) {
	q := url.Values{}
	if deprecated {
		q.Set("Deprecated", "true")
	}
	rows, sure, sent, err := a.all(ctx, "/ref/location", "LocationList", q, func(o object) string { return adapters.String(o, "ID") })
	rows = slices.DeleteFunc(rows, func(o object) bool { return strings.Trim(adapters.String(o, "ParentID"), "0-") != "" }) // bins
	return rows, sure, sent, err
}

// readLocations reads the locations in use and then the others.
func (a *adapter) readLocations(ctx context.Context, c cursor) (page adapters.Page, next cursor, err error) {
	deprecated := c.Page == 2
	rows, sure, sent, err := a.locations(ctx, deprecated)
	if err != nil {
		return page, c, err
	}
	for _, o := range rows {
		r, err := a.record(ctx, domain.KindLocation, o, sent)
		if err != nil {
			return page, c, err
		}
		page.Records = append(page.Records, r)
	}
	c.Round += map[bool]int{true: 0, false: 1}[sure]
	if !deprecated {
		c.Page, page.More = 2, true
		return page, c, nil
	}
	page.Complete = c.Round == 0
	return page, cursor{Page: 1}, nil
}

// learn reads the names of all locations.
func (a *adapter) learn(ctx context.Context) (map[string]string, error) {
	sites := map[string]string{}
	for _, deprecated := range []bool{true, false} {
		rows, _, _, err := a.locations(ctx, deprecated)
		if err != nil {
			return nil, err
		}
		for _, o := range rows {
			sites[idOf(adapters.String(o, "ID"))] = adapters.String(o, "Name")
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sites = sites
	return sites, nil
}

// site finds a location by its id or its name among those that are known, else among all; both are "" if there is none.
func (a *adapter) site(ctx context.Context, id, name string) (string, string, error) {
	a.mu.Lock()
	sites := a.sites
	a.mu.Unlock()
	for range 2 {
		for i, n := range sites {
			if id != "" && i == id || id == "" && n == name {
				return i, n, nil
			}
		}
		var err error
		if sites, err = a.learn(ctx); err != nil {
			return "", "", err
		}
	}
	return "", "", nil
}

func (a *adapter) forgetSites() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.sites = nil
}

// withSite is the sale with the id of the location that it names.
func (a *adapter) withSite(ctx context.Context, o object) (object, error) {
	name := adapters.String(o, "Location")
	if name == "" {
		return o, nil
	}
	id, _, err := a.site(ctx, "", name)
	if err != nil || id == "" {
		return o, err
	}
	c := make(object, len(o)+1)
	for k, v := range o {
		c[k] = v
	}
	c["LocationID"] = id
	return c, nil
}

// readStock reads the stock of one location after another.
func (a *adapter) readStock(ctx context.Context, c cursor) (page adapters.Page, next cursor, err error) {
	a.mu.Lock()
	sites := a.sites
	a.mu.Unlock()
	if c.Site == "" || sites == nil {
		if sites, err = a.learn(ctx); err != nil {
			return page, c, err
		}
	}
	var ids []string
	for id := range sites {
		if id > c.Site {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if len(ids) == 0 {
		page.Complete = c.Round == 0
		return page, cursor{}, nil
	}
	id := ids[0]
	rows, sure, sent, err := a.availability(ctx, url.Values{"Location": {sites[id]}})
	if err != nil {
		return page, c, err
	}
	byProduct := map[string][]object{}
	for _, r := range rows {
		p := idOf(adapters.String(r, "ID"))
		byProduct[p] = append(byProduct[p], r)
	}
	for p, rs := range byProduct {
		rec, err := a.record(ctx, domain.KindStockLevel, level(p, id, sites[id], "", rs), sent)
		if err != nil {
			return page, c, err
		}
		page.Records = append(page.Records, rec)
	}
	slices.SortFunc(page.Records, func(x, y domain.Record) int { return strings.Compare(x.ExternalID, y.ExternalID) })
	c.Round += map[bool]int{true: 0, false: 1}[sure]
	if c.Site, page.More = id, len(ids) > 1; !page.More {
		page.Complete = c.Round == 0
		return page, cursor{}, nil
	}
	return page, c, nil
}

func (a *adapter) availability(ctx context.Context, q url.Values) ([]object, bool, time.Time, error) {
	rows, sure, sent, err := a.all(ctx, "/ref/productavailability", "ProductAvailabilityList", q, func(o object) string {
		return fmt.Sprint(o["ID"], "|", o["Location"], "|", o["Bin"], "|", o["Batch"], "|", o["ExpiryDate"])
	})
	if name := q.Get("Location"); name != "" { // whether the filter compares names whole is not documented
		rows = slices.DeleteFunc(rows, func(o object) bool { return adapters.String(o, "Location") != name })
	}
	return rows, sure, sent, err
}

// fetchLevel reads the stock of a product at a location. The location can be named instead of given by id, as webhooks do.
func (a *adapter) fetchLevel(ctx context.Context, externalID string) (domain.Record, error) {
	product, at, _ := strings.Cut(externalID, "@")
	product = idOf(product)
	if !guidForm.MatchString(product) || at == "" {
		return domain.Record{}, a.gone(domain.KindStockLevel, externalID)
	}
	var id, name string
	var err error
	if guidForm.MatchString(idOf(at)) {
		id, name, err = a.site(ctx, idOf(at), "")
	} else {
		id, name, err = a.site(ctx, "", at)
	}
	if err != nil {
		return domain.Record{}, err
	}
	if id == "" {
		return domain.Record{}, a.gone(domain.KindStockLevel, externalID)
	}
	rows, _, sent, err := a.availability(ctx, url.Values{"ID": {product}, "Location": {name}})
	if err != nil {
		return domain.Record{}, err
	}
	sku := ""
	if len(rows) == 0 { // zeros, if the product is there
		p, _, err := a.one(ctx, domain.KindProduct, product)
		if domain.CodeOf(err) == domain.NotFound {
			return domain.Record{}, a.gone(domain.KindStockLevel, externalID)
		}
		if err != nil {
			return domain.Record{}, err
		}
		sku = adapters.String(p, "SKU")
	}
	rec, err := a.record(ctx, domain.KindStockLevel, level(product, id, name, sku, rows), sent)
	if err == nil && rec.ExternalID != externalID {
		rec.AnswersFor = []string{externalID}
	}
	return rec, err
}

// fetchLevels reads many levels with one call for each location that is named: there is no other list of stock.
func (a *adapter) fetchLevels(ctx context.Context, ids []string) ([]domain.Record, error) {
	wanted := map[string][]string{} // ids by location, as they name it
	for _, id := range ids {
		if product, at, ok := strings.Cut(id, "@"); ok && guidForm.MatchString(idOf(product)) {
			wanted[at] = append(wanted[at], id)
		}
	}
	var recs []domain.Record
	for _, at := range slices.Sorted(maps.Keys(wanted)) {
		id, name := idOf(at), ""
		var err error
		if guidForm.MatchString(id) {
			id, name, err = a.site(ctx, id, "")
		} else {
			id, name, err = a.site(ctx, "", at)
		}
		if err != nil {
			return nil, err
		}
		if id == "" {
			continue
		}
		rows, _, sent, err := a.availability(ctx, url.Values{"Location": {name}})
		if err != nil {
			return nil, err
		}
		byProduct := map[string][]object{}
		for _, r := range rows {
			p := idOf(adapters.String(r, "ID"))
			byProduct[p] = append(byProduct[p], r)
		}
		for _, asked := range wanted[at] {
			product, _, _ := strings.Cut(asked, "@")
			rs := byProduct[idOf(product)]
			if len(rs) == 0 {
				continue // 0, or no such product: asked for by itself
			}
			rec, err := a.record(ctx, domain.KindStockLevel, level(idOf(product), id, name, "", rs), sent)
			if err != nil {
				return nil, err
			}
			if rec.ExternalID != asked {
				rec.AnswersFor = []string{asked}
			}
			recs = append(recs, rec)
		}
	}
	return recs, nil
}

// adjust sets what is on hand of a product at a location. The adjustment carries our id as its reference.
func (a *adapter) adjust(ctx context.Context, m *adapters.Mapping, w adapters.Write) (out adapters.Outcome, err error) {
	o := object{}
	id := w.ExternalID
	if id == "" {
		values := w.Values.Clone()
		for _, f := range []domain.Field{"product", "location"} {
			if values[f].Empty() {
				values[f] = w.Golden[f]
			}
		}
		if err := m.Write(o, values); err != nil {
			return out, err
		}
		id = adapters.String(o, "ID") + "@" + adapters.String(o, "LocationID")
	}
	// What is there now decides whether it is new stock, which needs a cost.
	now, err := a.fetchLevel(ctx, id)
	if domain.CodeOf(err) == domain.NotFound && w.ExternalID == "" {
		return out, &domain.Error{Code: domain.Invalid, System: a.s.System, Message: "Cin7 Core has no such product or location; a stock level needs both"}
	}
	if err != nil {
		return out, err
	}
	o, err = adapters.ParseObject(now.Raw)
	if err != nil {
		return out, err
	}
	was := now.Values["onHand"]
	if err := m.Write(o, w.Values); err != nil {
		return out, err
	}
	if want, given := w.Values["onHand"]; !given || m.Fit(domain.Values{"onHand": want})["onHand"] == was {
		return adapters.Outcome{Record: now, Created: w.ExternalID == ""}, nil
	}
	line := object{"ProductID": o["ID"], "LocationID": o["LocationID"], "Quantity": o["OnHand"]}
	day := a.s.Now().UTC().Format("2006-01-02") + "T00:00:00"
	if was == `"0"` {
		p, _, err := a.one(ctx, domain.KindProduct, adapters.String(o, "ID"))
		if err != nil {
			return out, err
		}
		line["UnitCost"], line["ReceivedDate"] = json.Number("0"), day
		if c := adapters.String(p, "AverageCost"); c != "" {
			line["UnitCost"] = json.Number(c)
		}
	}
	_, _, err = a.do(ctx, http.MethodPost, "/stockadjustment", nil, object{
		"EffectiveDate": day, "Status": "COMPLETED", "Account": a.setting("adjustmentAccount"), "Reference": w.CanonicalID, "Lines": []any{line}}, false)
	if err != nil {
		return out, unsure(err)
	}
	out.Record, err = a.fetchLevel(ctx, id)
	return adapters.Outcome{Record: out.Record, Created: w.ExternalID == ""}, a.written(err)
}
