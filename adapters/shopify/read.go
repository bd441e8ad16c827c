package shopify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"datum/adapters"
	"datum/domain"
)

// Most objects in one call, by what they cost: a call may take 1,000 points.
const (
	ordersAtOnce   = 6
	productsAtOnce = 11
	refundsAtOnce  = 3
	headsAtOnce    = 25 // orders of which only refunds are looked for
	payersAtOnce   = 15 // orders of which transactions are read
	paymentsAtOnce = 50
	refundsInOrder = 10
	paysInOrder    = 10
)

// gids of the kinds.
var gidTypes = map[domain.Kind]string{domain.KindCustomer: "Customer", domain.KindProduct: "ProductVariant", domain.KindLocation: "Location", domain.KindOrder: "Order",
	domain.KindCreditNote: "Refund", domain.KindPayment: "OrderTransaction"}

func gid(typ, number string) string { return "gid://shopify/" + typ + "/" + number }

// Fetch reads one object. A transaction that moved no money, the stock of an item that is not tracked, and a test order are
// NotFound.
func (a *adapter) Fetch(ctx context.Context, kind domain.Kind, externalID string) (rec domain.Record, err error) {
	defer domain.Wrap(&err, "shopify.Fetch")
	recs, err := a.fetch(ctx, kind, []string{externalID})
	switch {
	case err != nil:
		return domain.Record{}, err
	case len(recs) == 0:
		return domain.Record{}, a.err(domain.NotFound, "Shopify has no %s %s", kind, externalID)
	}
	return recs[0], nil
}

// FetchMany reads objects by their ids.
func (a *adapter) FetchMany(ctx context.Context, kind domain.Kind, externalIDs []string) (recs []domain.Record, err error) {
	defer domain.Wrap(&err, "shopify.FetchMany")
	return a.fetch(ctx, kind, externalIDs)
}

func (a *adapter) fetch(ctx context.Context, kind domain.Kind, ids []string) ([]domain.Record, error) {
	if _, err := a.mapping(kind); err != nil {
		return nil, err
	}
	if kind == domain.KindStockLevel {
		return a.fetchLevels(ctx, ids)
	}
	var gids []string
	for _, id := range ids {
		if !isNumber(id) {
			return nil, a.err(domain.Invalid, "%q is not the id of a %s in Shopify; it should be a number", id, kind)
		}
		gids = append(gids, gid(gidTypes[kind], id))
	}
	objects, s, err := a.nodes(ctx, kind, gids)
	if err != nil {
		return nil, err
	}
	return a.records(ctx, kind, objects, s)
}

// byID are the operations that read objects of a kind by their global ids, and how many at once.
var byID = map[domain.Kind]struct {
	text string
	most int
}{
	domain.KindCustomer: {queryCustomersByID, maxPage}, domain.KindProduct: {queryVariantsByID, maxPage}, domain.KindLocation: {queryLocationsByID, maxPage},
	domain.KindOrder: {queryOrdersByID, ordersAtOnce}, domain.KindCreditNote: {queryRefundsByID, refundsAtOnce}, domain.KindPayment: {queryPaymentsByID, paymentsAtOnce},
}

// nodes reads objects by their global ids; those that are gone are left out.
func (a *adapter) nodes(ctx context.Context, kind domain.Kind, gids []string) (objects []object, s sent, err error) {
	q := byID[kind]
	for len(gids) > 0 {
		n := min(len(gids), q.most)
		var out struct {
			Nodes []object `json:"nodes"`
		}
		if s, err = a.query(ctx, q.text, vars{"ids": gids[:n]}, &out); err != nil {
			return nil, s, err
		}
		for _, o := range out.Nodes {
			if len(o) > 0 {
				objects = append(objects, o)
			}
		}
		gids = gids[n:]
	}
	return objects, s, nil
}

// records completes and maps objects, leaving out what is no record.
func (a *adapter) records(ctx context.Context, kind domain.Kind, objects []object, s sent) ([]domain.Record, error) {
	recs := make([]domain.Record, 0, len(objects))
	for _, o := range objects {
		switch kind {
		case domain.KindOrder:
			if within(o, "test") == "true" && !a.tests {
				continue
			}
			if err := a.wholeOrder(ctx, o); err != nil {
				return nil, err
			}
		case domain.KindCreditNote:
			if within(o, "order", "test") == "true" && !a.tests {
				continue
			}
			if err := a.wholeRefund(ctx, o); err != nil {
				return nil, err
			}
		case domain.KindPayment:
			if !isPayment(o) || within(o, "order", "test") == "true" && !a.tests {
				continue
			}
		case domain.KindStockLevel:
			if within(o, "item", "tracked") != "true" {
				continue
			}
		}
		r, err := a.record(ctx, kind, o, s.at)
		if err != nil {
			return nil, err
		}
		recs = append(recs, r)
	}
	return recs, nil
}

// record maps one object. Its version is updatedAt, which has whole seconds, and a print of what was read.
func (a *adapter) record(ctx context.Context, kind domain.Kind, o object, fetched time.Time) (domain.Record, error) {
	m, err := a.mapping(kind)
	if err != nil {
		return domain.Record{}, err
	}
	if kind != domain.KindCustomer && kind != domain.KindLocation && kind != domain.KindStockLevel {
		sh, err := a.theShop(ctx)
		if err != nil {
			return domain.Record{}, err
		}
		o["shop"] = object{"currencyCode": sh.Currency, "taxesIncluded": sh.Included, "ianaTimezone": sh.Zone}
		if sh.fixed {
			into(o, json.Number(fmt.Sprint(sh.Offset)), "shop", "timezoneOffsetMinutes")
		}
	}
	r := domain.Record{Kind: kind, ExternalID: externalID(kind, o), FetchedAt: fetched}
	if r.ExternalID == "" {
		return r, a.err(domain.Unavailable, "Shopify's answer holds a %s without its id", kind)
	}
	if id := within(o, "datumId", "value"); domain.KindOfID(id) == kind {
		r.CanonicalID = id
	}
	if _, id := splitNote(within(o, "note")); kind == domain.KindCreditNote {
		r.CanonicalID = id
	}
	if r.Raw, err = json.Marshal(o); err != nil {
		return r, err
	}
	if r.ModifiedAt, err = modified(o); err != nil {
		return r, a.err(domain.Unavailable, "Shopify's %s %s has no readable updatedAt", kind, r.ExternalID)
	}
	print := sha256.Sum256(r.Raw)
	r.Version = fmt.Sprintf("%d-%s", r.ModifiedAt.Unix(), hex.EncodeToString(print[:6]))
	// The mapping sees plain JSON, as it does when a stored record is read again.
	plain, err := adapters.ParseObject(r.Raw)
	if err != nil {
		return r, err
	}
	r.Values, r.Issues, r.Unknown = m.Read(plain)
	return r, nil
}

func externalID(kind domain.Kind, o object) string {
	switch kind {
	case domain.KindStockLevel:
		item, location := within(o, "item", "legacyResourceId"), within(o, "location", "legacyResourceId")
		if item == "" || location == "" {
			return ""
		}
		return item + "@" + location
	case domain.KindPayment: // it has no legacyResourceId
		return lastPart(within(o, "id"))
	}
	return within(o, "legacyResourceId")
}

func lastPart(gid string) string {
	for i := len(gid) - 1; i >= 0; i-- {
		if gid[i] == '/' {
			return gid[i+1:]
		}
	}
	return gid
}

// modified is the latest stamp of an object and its parts.
func modified(o object) (latest time.Time, err error) {
	for _, s := range []string{within(o, "updatedAt"), within(o, "product", "updatedAt"), within(o, "inventoryItem", "updatedAt"), within(o, "createdAt")} {
		if s == "" {
			continue
		}
		t, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return latest, err
		}
		if t.After(latest) {
			latest = t.UTC()
		}
	}
	if latest.IsZero() {
		return latest, fmt.Errorf("no stamp")
	}
	return latest, nil
}

// wholeOrder reads the lines beyond the first page, and the refunds.
func (a *adapter) wholeOrder(ctx context.Context, o object) error {
	for {
		info := at(o, "lineItems", "pageInfo")
		if within(info, "hasNextPage") != "true" {
			break
		}
		var out struct {
			Order object `json:"order"`
		}
		if _, err := a.query(ctx, queryMoreLines, vars{"id": within(o, "id"), "after": within(info, "endCursor")}, &out); err != nil {
			return err
		}
		if out.Order == nil {
			return a.err(domain.Unavailable, "order %s went away while it was read", within(o, "name"))
		}
		extend(o, out.Order, "lineItems")
	}
	delete(at(o, "lineItems"), "pageInfo")
	if within(o, "shippingLines", "pageInfo", "hasNextPage") == "true" {
		return a.err(domain.Unsupported, "order %s has more than two shipping lines, which Datum does not read", within(o, "name"))
	}
	delete(at(o, "shippingLines"), "pageInfo")
	refunds := list(o, "refunds")
	if len(refunds) == 0 {
		return nil
	}
	if len(refunds) >= refundsInOrder {
		var out struct {
			Order object `json:"order"`
		}
		if _, err := a.query(ctx, queryRefundsOfOrder, vars{"id": within(o, "id")}, &out); err != nil {
			return err
		}
		refunds = list(out.Order, "refunds")
	}
	var gids []string
	for _, r := range refunds {
		gids = append(gids, within(r, "id"))
	}
	whole, _, err := a.nodes(ctx, domain.KindCreditNote, gids)
	if err != nil {
		return err
	}
	all := make([]any, 0, len(whole))
	for _, r := range whole {
		if err := a.wholeRefund(ctx, r); err != nil {
			return err
		}
		delete(r, "order")
		all = append(all, r)
	}
	o["refunds"] = all
	return nil
}

// wholeRefund reads the lines beyond the first page.
func (a *adapter) wholeRefund(ctx context.Context, o object) error {
	for {
		info := at(o, "refundLineItems", "pageInfo")
		if within(info, "hasNextPage") != "true" {
			break
		}
		var out struct {
			Refund object `json:"refund"`
		}
		if _, err := a.query(ctx, queryMoreRefundLines, vars{"id": within(o, "id"), "after": within(info, "endCursor")}, &out); err != nil {
			return err
		}
		if out.Refund == nil {
			return a.err(domain.Unavailable, "refund %s went away while it was read", within(o, "legacyResourceId"))
		}
		extend(o, out.Refund, "refundLineItems")
	}
	for _, m := range []string{"refundShippingLines", "orderAdjustments"} {
		if within(o, m, "pageInfo", "hasNextPage") == "true" {
			return a.err(domain.Unsupported, "refund %s has more %s than Datum reads", within(o, "legacyResourceId"), m)
		}
		delete(at(o, m), "pageInfo")
	}
	delete(at(o, "refundLineItems"), "pageInfo")
	return nil
}

// extend adds a further page of a connection to an object.
func extend(o, more object, member string) {
	have, _ := at(o, member)["nodes"].([]any)
	next, _ := at(more, member)["nodes"].([]any)
	into(o, append(have, next...), member, "nodes")
	into(o, at(more, member)["pageInfo"], member, "pageInfo")
}

// fetchLevels reads stock levels, a call for each location.
func (a *adapter) fetchLevels(ctx context.Context, ids []string) ([]domain.Record, error) {
	items := map[string][]string{}
	var order []string
	for _, id := range ids {
		item, location, ok := levelID(id)
		if !ok {
			return nil, a.err(domain.Invalid, "%q is not the id of a stock level in Shopify; it should look like 123@456", id)
		}
		if items[location] == nil {
			order = append(order, location)
		}
		items[location] = append(items[location], gid("InventoryItem", item))
	}
	var recs []domain.Record
	for _, location := range order {
		for gids := items[location]; len(gids) > 0; {
			n := min(len(gids), maxPage)
			var out struct {
				Nodes []struct {
					Level object `json:"inventoryLevel"`
				} `json:"nodes"`
			}
			s, err := a.query(ctx, queryLevelsByItem, vars{"items": gids[:n], "location": gid("Location", location)}, &out)
			if err != nil {
				return nil, err
			}
			var objects []object
			for _, x := range out.Nodes {
				if len(x.Level) > 0 {
					objects = append(objects, x.Level)
				}
			}
			rs, err := a.records(ctx, domain.KindStockLevel, objects, s)
			if err != nil {
				return nil, err
			}
			recs, gids = append(recs, rs...), gids[n:]
		}
	}
	return recs, nil
}
