package shopify

import (
	"context"
	"encoding/json"
	"time"

	"datum/adapters"
	"datum/domain"
)

// cursor is where a pass over a list stands. Times are milliseconds since 1970, by Shopify's clock.
type cursor struct {
	Since    int64  `json:"since,omitempty"`    // the pass looks for changes since then; 0 reads everything
	Start    int64  `json:"start,omitempty"`    // when the pass began; the next one reaches back from here
	After    string `json:"after,omitempty"`    // Shopify's own cursor
	Location string `json:"location,omitempty"` // of stock: Shopify's cursor of the location before this one
	On       bool   `json:"on,omitempty"`       // the pass has begun
	Bulk     string `json:"bulk,omitempty"`     // the bulk operation whose result is read
	Asked    int64  `json:"asked,omitempty"`    // when it was asked for, by our clock
	Offset   int64  `json:"offset,omitempty"`   // how much of its result has been read, bytes
	Done     bool   `json:"-"`                  // all of it has
}

func (a *adapter) parse(s string) (c cursor, err error) {
	if s != "" && json.Unmarshal([]byte(s), &c) != nil {
		return c, a.err(domain.Invalid, "the cursor %q is not one of Shopify's; start again from the beginning", s)
	}
	return c, nil
}

func (c cursor) String() string {
	b, err := json.Marshal(c)
	if err != nil {
		panic("shopify: " + err.Error()) // numbers and texts only
	}
	return string(b)
}

// Changes reads what changed since the last pass began, less the overlap. A product's changes come with all of its variants,
// and credit notes and payments with the changes of their orders. Locations are few and read whole.
func (a *adapter) Changes(ctx context.Context, kind domain.Kind, cur string) (page adapters.Page, err error) {
	defer domain.Wrap(&err, "shopify.Changes")
	c, err := a.parse(cur)
	if err != nil {
		return adapters.Page{}, err
	}
	if c == (cursor{}) {
		if c, err = a.startBulk(ctx, kind); err != nil {
			return adapters.Page{}, err
		} else if c.Bulk != "" {
			return adapters.Page{Cursor: c.String(), More: true}, nil
		}
	}
	read := a.page
	if c.Bulk != "" {
		read = a.bulkPage
	}
	recs, next, err := read(ctx, kind, c, true)
	if err != nil {
		return adapters.Page{}, err
	}
	if next.After != "" || next.Location != "" || next.Bulk != "" || c.Bulk != "" && !next.Done {
		return adapters.Page{Records: recs, Cursor: next.String(), More: true}, nil
	}
	again := cursor{Since: time.UnixMilli(next.Start).Add(-a.overlap).UnixMilli()}
	return adapters.Page{Records: recs, Cursor: again.String()}, nil
}

// List reads everything in the order of ids: what is new comes at the end, so nothing is skipped, and the last page is
// Complete, unless the app may read the orders of the last 60 days only.
func (a *adapter) List(ctx context.Context, kind domain.Kind, cur string) (page adapters.Page, err error) {
	defer domain.Wrap(&err, "shopify.List")
	c, err := a.parse(cur)
	if err != nil {
		return adapters.Page{}, err
	}
	recs, next, err := a.page(ctx, kind, c, false)
	if err != nil {
		return adapters.Page{}, err
	}
	if next.After != "" || next.Location != "" {
		return adapters.Page{Records: recs, Cursor: next.String(), More: true}, nil
	}
	complete := true
	if kind == domain.KindOrder || kind == domain.KindCreditNote || kind == domain.KindPayment {
		sh, err := a.theShop(ctx)
		if err != nil {
			return adapters.Page{}, err
		}
		complete = sh.allOrders()
	}
	return adapters.Page{Records: recs, Complete: complete}, nil
}

// connection is a page of objects.
type connection struct {
	Nodes []object `json:"nodes"`
	Info  pageInfo `json:"pageInfo"`
}

type pageInfo struct {
	More bool   `json:"hasNextPage"`
	End  string `json:"endCursor"`
}

// page reads one page of a pass and returns where it goes on: a next cursor without After and Location is the end.
func (a *adapter) page(ctx context.Context, kind domain.Kind, c cursor, changes bool) ([]domain.Record, cursor, error) {
	if _, err := a.mapping(kind); err != nil {
		return nil, c, err
	}
	v := vars{"first": a.size}
	if c.After != "" {
		v["after"] = c.After
	}
	if changes && c.Since > 0 {
		v["query"] = "updated_at:>='" + time.UnixMilli(c.Since).UTC().Format(time.RFC3339) + "'"
	}
	sort := "ID"
	if changes {
		sort = "UPDATED_AT"
	}
	var objects []object
	var info pageInfo
	var s sent
	var err error
	switch kind {
	case domain.KindCustomer:
		v["sort"] = sort
		objects, info, s, err = a.connection(ctx, queryCustomers, v, "customers")
	case domain.KindProduct:
		objects, info, s, err = a.variants(ctx, v, changes)
	case domain.KindLocation:
		delete(v, "query")
		objects, info, s, err = a.connection(ctx, queryLocations, v, "locations")
	case domain.KindStockLevel:
		return a.levels(ctx, c, v)
	case domain.KindOrder:
		v["sort"], v["first"] = sort, min(a.size, ordersAtOnce)
		objects, info, s, err = a.connection(ctx, queryOrders, v, "orders")
	case domain.KindCreditNote:
		v["sort"], v["first"] = sort, min(a.size, headsAtOnce)
		objects, info, s, err = a.refunds(ctx, v)
	default:
		v["sort"], v["first"] = sort, min(a.size, payersAtOnce)
		objects, info, s, err = a.payments(ctx, v)
	}
	if err != nil {
		return nil, c, err
	}
	recs, err := a.records(ctx, kind, objects, s)
	if err != nil {
		return nil, c, err
	}
	return recs, c.next(info, s), nil
}

// next is the cursor after a page.
func (c cursor) next(info pageInfo, s sent) cursor {
	if !c.On {
		c.On, c.Start = true, s.clock.UnixMilli()
	}
	c.After = ""
	if info.More {
		c.After = info.End
	}
	return c
}

// connection reads a page of a root connection.
func (a *adapter) connection(ctx context.Context, text string, v vars, member string) ([]object, pageInfo, sent, error) {
	var out map[string]connection
	s, err := a.query(ctx, text, v, &out)
	return out[member].Nodes, out[member].Info, s, err
}

// variants reads variants by their ids or, for changes, products with all of their variants.
func (a *adapter) variants(ctx context.Context, v vars, changes bool) ([]object, pageInfo, sent, error) {
	if !changes {
		return a.connection(ctx, queryVariants, v, "productVariants")
	}
	v["first"] = min(a.size, productsAtOnce)
	products, info, s, err := a.connection(ctx, queryProducts, v, "products")
	var all []object
	for _, p := range products {
		for err == nil && within(p, "variants", "pageInfo", "hasNextPage") == "true" {
			var out struct {
				Product object `json:"product"`
			}
			if _, err = a.query(ctx, queryMoreVariants, vars{"id": within(p, "id"), "after": within(p, "variants", "pageInfo", "endCursor")}, &out); err == nil {
				if out.Product == nil {
					break // deleted meanwhile
				}
				extend(p, out.Product, "variants")
			}
		}
		all = append(all, list(p, "variants", "nodes")...)
	}
	return all, info, s, err
}

// levels reads stock location by location.
func (a *adapter) levels(ctx context.Context, c cursor, v vars) ([]domain.Record, cursor, error) {
	if c.Location != "" {
		v["location"] = c.Location
	}
	var out struct {
		Locations struct {
			Nodes []struct {
				Levels connection `json:"inventoryLevels"`
			} `json:"nodes"`
			Info pageInfo `json:"pageInfo"`
		} `json:"locations"`
	}
	s, err := a.query(ctx, queryLevels, v, &out)
	if err != nil || len(out.Locations.Nodes) == 0 {
		n := c.next(pageInfo{}, s)
		n.Location = ""
		return nil, n, err
	}
	page := out.Locations.Nodes[0].Levels
	recs, err := a.records(ctx, domain.KindStockLevel, page.Nodes, s)
	if err != nil {
		return nil, c, err
	}
	n := c.next(page.Info, s)
	if !page.Info.More {
		n.Location = ""
		if out.Locations.Info.More {
			n.Location = out.Locations.Info.End
		}
	}
	return recs, n, nil
}

// refunds reads the refunds of a page of orders.
func (a *adapter) refunds(ctx context.Context, v vars) ([]object, pageInfo, sent, error) {
	orders, info, s, err := a.connection(ctx, queryOrdersWithRefunds, v, "orders")
	if err != nil {
		return nil, info, s, err
	}
	var gids []string
	for _, o := range orders {
		refunds := list(o, "refunds")
		if len(refunds) >= 30 {
			var out struct {
				Order object `json:"order"`
			}
			if _, err := a.query(ctx, queryRefundsOfOrder, vars{"id": within(o, "id")}, &out); err != nil {
				return nil, info, s, err
			}
			refunds = list(out.Order, "refunds")
		}
		for _, r := range refunds {
			gids = append(gids, within(r, "id"))
		}
	}
	objects, _, err := a.nodes(ctx, domain.KindCreditNote, gids)
	return objects, info, s, err
}

// payments reads the transactions of a page of orders.
func (a *adapter) payments(ctx context.Context, v vars) ([]object, pageInfo, sent, error) {
	orders, info, s, err := a.connection(ctx, queryOrdersWithPayments, v, "orders")
	var all []object
	for _, o := range orders {
		pays := list(o, "transactions")
		if err == nil && len(pays) >= paysInOrder {
			var out struct {
				Order object `json:"order"`
			}
			if _, err = a.query(ctx, queryPaymentsOfOrder, vars{"id": within(o, "id")}, &out); err == nil {
				pays = list(out.Order, "transactions")
			}
		}
		all = append(all, paymentsOf(o, pays)...)
	}
	return all, info, s, err
}

// paymentsOf are an order's transactions, each with the head of its order.
func paymentsOf(o object, pays []object) []object {
	head := object{"id": o["id"], "legacyResourceId": o["legacyResourceId"], "name": o["name"], "test": o["test"], "customer": o["customer"]}
	for _, p := range pays {
		p["order"] = head
	}
	return pays
}
