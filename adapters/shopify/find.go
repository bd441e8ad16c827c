package shopify

import (
	"context"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// Find looks records up by our id, which Shopify answers from its present state, and then by strong keys: a customer's e-mail
// address or telephone number, a product's SKU or barcode (by search, which trails behind), a stock level's product and
// location. A refund is looked for in its order, or in the orders that changed within a day.
func (a *adapter) Find(ctx context.Context, kind domain.Kind, queries []adapters.Query) (found [][]domain.Record, err error) {
	defer domain.Wrap(&err, "shopify.Find")
	if _, err := a.mapping(kind); err != nil {
		return nil, err
	}
	found = make([][]domain.Record, len(queries))
	for i, q := range queries {
		var objects []object
		var s sent
		switch kind {
		case domain.KindCustomer:
			objects, s, err = a.findCustomer(ctx, q)
		case domain.KindProduct:
			objects, s, err = a.findProduct(ctx, q)
		case domain.KindStockLevel:
			found[i], err = a.findLevel(ctx, q)
		case domain.KindCreditNote:
			objects, s, err = a.findRefund(ctx, q)
		}
		if err == nil && objects != nil {
			found[i], err = a.records(ctx, kind, objects, s)
		}
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// one asks for the object with an identifier.
func (a *adapter) one(ctx context.Context, text, member string, identifier object) ([]object, sent, error) {
	var out map[string]object
	s, err := a.query(ctx, text, vars{"identifier": identifier}, &out)
	if domain.CodeOf(err) == domain.NotFound { // no definition of our metafield: the shop has not been provisioned
		return nil, s, nil
	}
	if err != nil || len(out[member]) == 0 {
		return nil, s, err
	}
	return []object{out[member]}, s, nil
}

func (a *adapter) findCustomer(ctx context.Context, q adapters.Query) (objects []object, s sent, err error) {
	var keys []object
	if q.CanonicalID != "" {
		keys = append(keys, customID(q.CanonicalID))
	}
	if e := q.Values["email"].Text(); e != "" {
		keys = append(keys, object{"emailAddress": strings.ToLower(e)})
	}
	if p := fullPhone(q.Values["phone"].Text()); strings.HasPrefix(p, "+") {
		keys = append(keys, object{"phoneNumber": p})
	}
	for _, k := range keys {
		if objects, s, err = a.one(ctx, queryCustomerByKey, "customerByIdentifier", k); err != nil || objects != nil {
			return objects, s, err
		}
	}
	return nil, s, nil
}

func (a *adapter) findProduct(ctx context.Context, q adapters.Query) (objects []object, s sent, err error) {
	if q.CanonicalID != "" {
		if objects, s, err = a.one(ctx, queryVariantByKey, "productVariantByIdentifier", customID(q.CanonicalID)); err != nil || objects != nil {
			return objects, s, err
		}
	}
	for _, key := range []string{"sku", "barcode"} {
		value := q.Values[domain.Field(key)].Text()
		if value == "" {
			continue
		}
		all, _, s, err := a.connection(ctx, queryVariants, vars{"first": 50, "query": key + ":" + quote(value)}, "productVariants")
		if err != nil {
			return nil, s, err
		}
		for _, o := range all { // the search does not look at case, and takes a star for anything
			if within(o, key) == value {
				objects = append(objects, o)
			}
		}
		if objects != nil {
			return objects, s, nil
		}
	}
	return nil, s, nil
}

// quote makes a text one term of a search.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

func (a *adapter) findLevel(ctx context.Context, q adapters.Query) ([]domain.Record, error) {
	variant, _ := domain.ExtID(q.Values["product"].Text())
	location, _ := domain.ExtID(q.Values["location"].Text())
	if !isNumber(variant) || !isNumber(location) {
		return nil, nil
	}
	var out struct {
		Variant object `json:"productVariant"`
	}
	if _, err := a.query(ctx, queryItemOfVariant, vars{"id": gid("ProductVariant", variant)}, &out); err != nil {
		return nil, err
	}
	item := within(out.Variant, "inventoryItem", "legacyResourceId")
	if item == "" {
		return nil, nil
	}
	return a.fetchLevels(ctx, []string{item + "@" + location})
}

func (a *adapter) findRefund(ctx context.Context, q adapters.Query) ([]object, sent, error) {
	if q.CanonicalID == "" {
		return nil, sent{}, nil
	}
	var gids []string
	var s sent
	if id, ok := domain.ExtID(q.Values["order"].Text()); ok && isNumber(id) {
		var out struct {
			Order object `json:"order"`
		}
		var err error
		if s, err = a.query(ctx, queryRefundsOfOrder, vars{"id": gid("Order", id)}, &out); err != nil {
			return nil, s, err
		}
		for _, r := range list(out.Order, "refunds") {
			gids = append(gids, within(r, "id"))
		}
		return a.marked(ctx, gids, q.CanonicalID)
	}
	v := vars{"first": headsAtOnce, "sort": "UPDATED_AT", "query": "updated_at:>='" + a.s.Now().Add(-24*time.Hour).UTC().Format(time.RFC3339) + "'"}
	for {
		orders, info, s, err := a.connection(ctx, queryOrdersWithRefunds, v, "orders")
		if err != nil {
			return nil, s, err
		}
		gids = gids[:0]
		for _, o := range orders {
			for _, r := range list(o, "refunds") {
				gids = append(gids, within(r, "id"))
			}
		}
		if found, s, err := a.marked(ctx, gids, q.CanonicalID); err != nil || found != nil || !info.More {
			return found, s, err
		}
		v["after"] = info.End
	}
}

// marked returns the refunds that carry our id.
func (a *adapter) marked(ctx context.Context, gids []string, id string) (found []object, s sent, err error) {
	all, s, err := a.nodes(ctx, domain.KindCreditNote, gids)
	for _, r := range all {
		if _, mark := splitNote(within(r, "note")); mark == id {
			found = append(found, r)
		}
	}
	return found, s, err
}
