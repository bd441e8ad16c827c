package demo

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"
)

// mainWarehouse is what the place is called where the shop's goods lie, in the shop and in the inventory.
const mainWarehouse = "Main Warehouse"

// goods are what the shop sells. One is not taxed, prices include GST, and each GST rounds differently.
var goods = []struct {
	sku, name, price string
	taxable          bool
	stock            int
}{
	{"KET-17", "Kettle 1.7 L", "89.95", true, 40}, {"TOA-02", "Toaster, two slices", "64.50", true, 40}, {"MUG-4", "Mugs, set of 4", "33.33", true, 60},
	{"TEA-250", "Tea, 250 g", "12.40", false, 80}, {"POT-1", "Teapot", "19.99", true, 50}, {"TOW-3", "Tea towels, 3", "9.95", true, 90},
	{"SPO-6", "Spoons, 6", "27.05", true, 45}, {"JAR-1", "Jar with lid", "5.00", true, 100}, {"GRI-1", "Burr grinder", "249.00", true, 15}, {"BEA-1", "Beans, 1 kg", "38.60", false, 70},
}

// commerce is the people who buy, sell, pack and keep books.
type commerce struct {
	s    *Sims
	r    *rand.Rand
	note func(format string, args ...any)

	mu    sync.Mutex
	stats struct{ orders, refunds, deals int }
	owing []string // orders not paid in full
	paid  []string
	deals []string
}

// stock fills the shelves: products in the inventory and, by the same SKU, in the shop.
func (c *commerce) stock() error {
	places, err := c.s.Shop.Objects("location")
	if err != nil {
		return err
	}
	if _, err := c.s.Shop.Put("location", fmt.Sprint(plain(places[0])["id"]), map[string]any{"name": mainWarehouse}); err != nil {
		return err
	}
	for _, g := range goods {
		rule := "GST on Income"
		if !g.taxable {
			rule = "GST Free Income"
		}
		if _, err := c.s.Warehouse.Put("products", "", map[string]any{"SKU": g.sku, "Name": g.name, "PriceTier1": g.price, "SaleTaxRule": rule}); err != nil {
			return fmt.Errorf("product %s in Cin7 Core: %w", g.sku, err)
		}
		if _, err := c.s.Warehouse.Put("availability", "", map[string]any{"SKU": g.sku, "Location": mainWarehouse, "OnHand": g.stock}); err != nil {
			return fmt.Errorf("stock of %s in Cin7 Core: %w", g.sku, err)
		}
		if _, err := c.s.Shop.Put("product", "", map[string]any{"title": g.name, "sku": g.sku, "price": g.price, "taxable": g.taxable, "quantity": g.stock}); err != nil {
			return fmt.Errorf("product %s in Shopify: %w", g.sku, err)
		}
	}
	return nil
}

var shoppers = []string{"Aisha Rahman", "Tom O'Neill", "Mei-Ling Zhou", "Grace Te Whare", "Søren Dahl", "Priya Nair", "Luca D'Amico", "Ngaire Cooper", "Hamish McLeod", "Yusuf Kaya"}

// trade runs until ctx ends.
func (c *commerce) trade(ctx context.Context) {
	for n := 0; pause(ctx, 1500*time.Millisecond); n++ {
		switch n % 6 {
		case 0, 2, 4:
			c.buy(n)
		case 1:
			c.settle()
		case 3:
			c.refund()
		case 5:
			c.deal(n)
		}
		c.keepBooks()
		if n%5 == 4 {
			c.send()
		}
	}
}

// buy is an order in the shop: mostly paid at once, some in two parts, some later.
func (c *commerce) buy(n int) {
	who := shoppers[c.r.IntN(len(shoppers))]
	email := strings.ToLower(strings.NewReplacer(" ", ".", "'", "", "ø", "o").Replace(who)) + "@shoppers.example"
	var lines []any
	first := c.r.IntN(len(goods))
	for i := range 1 + c.r.IntN(3) {
		lines = append(lines, map[string]any{"sku": goods[(first+3*i)%len(goods)].sku, "quantity": 1 + c.r.IntN(3)})
	}
	place := pick(c.r, places)
	customer, err := c.shopper(who, email, map[string]any{"address1": fmt.Sprintf("%d %s", 1+c.r.IntN(90), pick(c.r, streets)), "city": place.suburb, "provinceCode": place.state, "zip": place.postcode, "countryCode": "AU"})
	if err != nil {
		return
	}
	order := map[string]any{"customerId": customer, "lines": lines, "financialStatus": "paid"}
	if n%4 == 0 {
		order["shipping"] = "9.95"
	}
	switch n % 8 {
	case 2:
		order["financialStatus"] = "pending"
	case 4:
		order["financialStatus"], order["amount"] = "partially_paid", "10.00"
	}
	o, err := c.s.Shop.Put("order", "", order)
	if err != nil {
		c.note("an order failed: %v", err)
		return
	}
	m := plain(o)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stats.orders++
	id := fmt.Sprint(m["id"])
	if order["financialStatus"] == "paid" {
		c.paid = append(c.paid, id)
	} else {
		c.owing = append(c.owing, id)
	}
	c.note("%s ordered %v (%v)", who, m["name"], order["financialStatus"])
}

// shopper is the customer with the address in the shop, entered if there is none.
func (c *commerce) shopper(name, email string, address map[string]any) (string, error) {
	all, err := c.s.Shop.Objects("customer")
	if err != nil {
		return "", err
	}
	for _, o := range all {
		if m := plain(o); strings.Contains(fmt.Sprint(m), email) {
			return fmt.Sprint(m["id"]), nil
		}
	}
	o, err := c.s.Shop.Put("customer", "", map[string]any{"name": name, "email": email, "address": address})
	if err != nil {
		return "", err
	}
	return fmt.Sprint(plain(o)["id"]), nil
}

// settle pays what is owed on an order.
func (c *commerce) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.owing) == 0 {
		return
	}
	id := c.owing[0]
	if _, err := c.s.Shop.Put("order", id, map[string]any{"financialStatus": "paid"}); err == nil {
		c.owing, c.paid = c.owing[1:], append(c.paid, id)
		c.note("an order was paid later")
	}
}

// refund gives one piece of a paid order back.
func (c *commerce) refund() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.paid) < 3 {
		return
	}
	i := c.r.IntN(len(c.paid))
	id := c.paid[i]
	o := c.order(id)
	lines, _ := o["lineItems"].([]any)
	if len(lines) == 0 {
		return
	}
	line := plain(lines[0])
	if _, err := c.s.Shop.Put("refund", "", map[string]any{"orderId": id, "lines": []any{map[string]any{"variantId": line["variantId"], "quantity": 1}}, "note": "arrived broken"}); err == nil {
		c.stats.refunds++
		c.paid = slices.Delete(c.paid, i, i+1) // once is enough
		c.note("%v was refunded in part", o["name"])
	}
}

func (c *commerce) order(id string) map[string]any {
	all, err := c.s.Shop.Objects("order")
	if err != nil {
		return nil
	}
	for _, o := range all {
		if m := plain(o); fmt.Sprint(m["id"]) == id {
			return m
		}
	}
	return nil
}

// deal is sales at work: deals are opened, and won a little later.
func (c *commerce) deal(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.deals) > 0 && n%2 == 1 {
		id := c.deals[0]
		if _, err := c.s.CRM.Put("deals", id, map[string]any{"dealstage": "closedwon"}); err == nil {
			c.deals = c.deals[1:]
			c.note("sales won a deal")
		}
	}
	companies, err := c.s.CRM.Objects("companies")
	if err != nil || len(companies) == 0 {
		return
	}
	o := plain(companies[c.r.IntN(min(len(companies), 100))])
	if !live(o) {
		return
	}
	d, err := c.s.CRM.Put("deals", "", map[string]any{"dealname": fmt.Sprintf("Office fit-out %d", n), "dealstage": "contractsent", "companies": []any{o["id"]},
		"line_items": []any{map[string]any{"name": "Coffee machine, installed", "quantity": "1", "price": "1450.00", "datum_tax_code": "GST"}, map[string]any{"name": "Hours", "quantity": "2.5", "price": "95.00", "datum_tax_code": "GST"}}})
	if err != nil {
		c.note("a deal failed: %v", err)
		return
	}
	c.stats.deals++
	c.deals = append(c.deals, fmt.Sprint(plain(d)["id"]))
}

// keepBooks is accounting: drafts that came from deals are issued, and some are paid at the bank.
func (c *commerce) keepBooks() {
	all, err := c.s.Accounting.Objects("invoices")
	if err != nil {
		return
	}
	for _, o := range all {
		m := plain(o)
		switch {
		case m["Status"] == "DRAFT":
			if _, err := c.s.Accounting.Put("invoices", fmt.Sprint(m["InvoiceID"]), map[string]any{"Status": "AUTHORISED"}); err == nil {
				c.note("accounting issued %v", m["InvoiceNumber"])
			}
			return
		case m["Status"] == "AUTHORISED" && strings.Contains(fmt.Sprint(m["Reference"]), "fit-out") && c.r.IntN(3) == 0:
			due, _ := decimal.NewFromString(fmt.Sprint(m["AmountDue"]))
			if _, err := c.s.Accounting.Put("payments", "", map[string]any{"Invoice": map[string]any{"InvoiceID": m["InvoiceID"]}, "Account": map[string]any{"Code": "090"},
				"Date": time.Now().Format(time.DateOnly), "Amount": due.String()}); err == nil {
				c.note("the bank received %s for %v", due.StringFixed(2), m["InvoiceNumber"])
			}
			return
		}
	}
}

// send is the warehouse: an order that is there is picked and sent.
func (c *commerce) send() {
	all, err := c.s.Warehouse.Objects("sales")
	if err != nil {
		return
	}
	for _, o := range all {
		m := plain(o)
		if m["Status"] == "ORDERED" {
			if _, err := c.s.Warehouse.Put("sales", fmt.Sprint(m["ID"]), map[string]any{"Pick": "AUTHORISED"}); err != nil {
				return
			}
			if _, err := c.s.Warehouse.Put("sales", fmt.Sprint(m["ID"]), map[string]any{"Ship": "AUTHORISED"}); err == nil {
				c.note("the warehouse sent %v", m["CustomerReference"])
			}
			return
		}
	}
}

// finish pays what is owed still, so that everything that was ordered comes to its end.
func (c *commerce) finish() {
	for range 50 {
		c.mu.Lock()
		n := len(c.owing)
		c.mu.Unlock()
		if n == 0 {
			return
		}
		c.settle()
	}
}

// internalMapping says which table of the internal database is what.
const internalMapping = `
Customer:
  table: clients
  key: id
  id: datum_id
  changed: updated_at
  created: created_at
  fields:
    legalName: legal_name
    tradingName: trading_name
    abn: abn
    email: email
    phone: phone
    status: {column: state, values: {A: ACTIVE, X: ARCHIVED}}
Product:
  table: items
  key: id
  id: datum_id
  changed: updated_at
  fields: {sku: sku, name: name, salePrice: {columns: {amount: price}, constants: {currency: AUD}}}
`

// internalTables are what the business's own programs have long used.
const internalTables = `
CREATE TABLE clients (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, datum_id text UNIQUE, legal_name text, trading_name text, abn text, email text, phone text,
	state char(1) NOT NULL DEFAULT 'A', created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now());
CREATE TABLE items (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, datum_id text UNIQUE, sku text, name text, price numeric(12, 2), updated_at timestamptz NOT NULL DEFAULT now());
`

// openInternal makes the internal database beside Datum's own and returns its URL.
func openInternal(ctx context.Context, datum *pgxpool.Pool) (*pgxpool.Pool, string, error) {
	cfg := datum.Config().ConnConfig
	name := cfg.Database + "_internal"
	if _, err := datum.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return nil, "", fmt.Errorf("internal database: %w", err)
	}
	url := strings.Replace(datum.Config().ConnString(), "/"+cfg.Database, "/"+name, 1)
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return nil, "", err
	}
	if _, err := pool.Exec(ctx, internalTables); err != nil {
		pool.Close()
		return nil, "", fmt.Errorf("internal database: %w", err)
	}
	return pool, url, nil
}

// otherItem is the item for lines without a product in MYOB.
const otherItem = "Miscellaneous"

// services are what the inventory books as charges and not as goods.
func services(v Simulator) error {
	for _, name := range []string{"Shipping", "Discount", "Rounding", "Miscellaneous"} {
		if _, err := v.Put("products", "", map[string]any{"SKU": name, "Name": name, "Type": "Service"}); err != nil {
			return fmt.Errorf("service %s in Cin7 Core: %w", name, err)
		}
	}
	return nil
}
