//go:build unix

package jobs_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"datum/adapters/sim"
	"datum/adapters/xerosim"
	"datum/domain"
	"datum/domain/store"
)

// TestDrillOrderToCash is the whole drill: about two minutes of kill -9 against three real processes that turn orders into paid
// invoices. It runs with DATUM_DRILL=1.
func TestDrillOrderToCash(t *testing.T) {
	if os.Getenv("DATUM_DRILL") == "" {
		t.Skip("set DATUM_DRILL=1 for the two minutes of the whole drill; TestKilledFlowsInvoiceOnce is the short one")
	}
	cashDrill(t, 400, 30, 600*time.Millisecond)
}

// TestKilledFlowsInvoiceOnce: processes die while orders become invoices and payments, the vendor resets connections after it has
// committed, payments come before their orders and things are said twice; yet every order is one invoice, paid once.
func TestKilledFlowsInvoiceOnce(t *testing.T) {
	t.Parallel()
	cashDrill(t, 40, 4, 400*time.Millisecond)
}

func cashDrill(t *testing.T, orders, kills int, between time.Duration) {
	const processes = 3
	r := newRig(t, documents, func(c *rigConfig) {
		c.idle = true
		c.policy = strings.Replace(c.policy, "  quote_to_invoice: on", "  order_to_invoice: on\n  order_to_stock: on\n  refund_to_credit_note: on\n  quote_to_invoice: on", 1)
		c.policy += "\nLocation: {owner: ops, create: [ops]}\nStockLevel: {owner: ops, create: [ops]}\n"
		c.xero.Latency = 40 * time.Millisecond
		c.xero.Limits = xerosim.Limits{Minute: -1, Day: -1, AppMinute: -1, Concurrent: -1}
	})
	for _, path := range []string{"/Invoices", "/Payments", "/Contacts"} {
		for _, method := range []string{"PUT", "POST"} {
			for _, f := range []sim.Fault{{Kind: sim.FaultReset, Count: 1}, {Kind: sim.FaultReset, Rate: 0.2}, {Kind: sim.FaultStatus, Status: 503, AfterCommit: true, Rate: 0.1}} {
				f.Method, f.Path = method, path
				_, err := r.xero.AddFault(f)
				must(t, err)
			}
		}
	}
	workers := make([]*worker, processes)
	for i := range workers {
		workers[i] = r.startWorker()
	}
	rnd := rand.New(rand.NewPCG(5, 5))
	product := r.enter(domain.KindProduct, "", fields("sku", "KET-1", "name", "Kettle"))
	place := r.enter(domain.KindLocation, "", fields("name", "Warehouse"))
	level := r.enter(domain.KindStockLevel, "", fields("product", product, "location", place, "onHand", fmt.Sprint(5*orders), "committed", "0"))
	var customers []string
	for i := range 1 + orders/4 {
		customers = append(customers, r.enter(domain.KindCustomer, "", fields("legalName", fmt.Sprintf("Shopper %d", i), "email", fmt.Sprintf("s%d@example.com", i))))
	}
	began := time.Now()
	total := decimal.Zero
	for i := range kills {
		for n := orders * i / kills; n < orders*(i+1)/kills; n++ {
			q := 1 + rnd.IntN(4)
			price := decimal.New(int64(995+rnd.IntN(9000)), -2)
			sum := price.Mul(decimal.NewFromInt(int64(q)))
			total = total.Add(sum)
			o := r.enter(domain.KindOrder, "", fields("number", fmt.Sprintf("#%d", n), "customer", customers[rnd.IntN(len(customers))], "orderDate", "2026-03-02", "stage", "DRAFT",
				"lines", fmt.Sprintf(`[{"product":%q,"quantity":"%d","unitPrice":%q,"taxCode":"GST"}]`, product, q, price.String())))
			confirm := func() { r.enter(domain.KindOrder, o, fields("stage", "CONFIRMED", "paymentStatus", "PAID")) }
			first := sum.Div(decimal.NewFromInt(2)).Round(2)
			parts := []func(){confirm, confirm,
				func() {
					r.enter(domain.KindPayment, "", fields("order", o, "amount", aud(first.StringFixed(2)), "date", "2026-03-02"))
				},
				func() {
					r.enter(domain.KindPayment, "", fields("order", o, "amount", aud(sum.Sub(first).StringFixed(2)), "date", "2026-03-03"))
				}}
			rnd.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
			for _, part := range parts {
				part()
			}
		}
		time.Sleep(time.Duration(rnd.Int64N(int64(between)))) // when it happens is left to chance
		w := workers[rnd.IntN(processes)]
		w.kill()
		w.start()
	}
	r.xero.ClearFaults()
	ended := time.Now()
	r.quiet(120 * time.Second)
	t.Logf("%d orders and %d kills in %.1f s, level %.1f s later; %d resets after commit", orders, kills, ended.Sub(began).Seconds(), time.Since(ended).Seconds(), r.xero.Stats().Faults[sim.FaultReset])
	if r.xero.Stats().Faults[sim.FaultReset] == 0 {
		t.Error("no connection was reset after a commit: too little is proven")
	}
	r.tiedOut(orders, total)
	ctx := t.Context()
	sold := decimal.Zero
	for _, o := range r.entities(domain.KindOrder) {
		for _, l := range domain.LinesOf(o.Golden["lines"]) {
			d, _ := decimal.NewFromString(l.Quantity)
			sold = sold.Add(d)
		}
	}
	var promised string
	must(t, r.pool.QueryRow(ctx, `SELECT trim_scale(sum(committed))::text FROM stock_movements WHERE stock_level = $1`, level).Scan(&promised))
	if promised != sold.String() {
		t.Errorf("%s are promised and %s were sold", promised, sold)
	}
	cases, err := store.ListCases(ctx, r.pool, store.CaseFilter{Status: "open"}, nil, "", 10)
	must(t, err)
	for _, c := range cases {
		t.Errorf("case: %s: %s", c.Title, c.Detail.Message)
	}
}

// objects reads everything of a type that Xero has.
func (r *rig) objects(typ string, dst any) {
	r.t.Helper()
	objects, err := r.xero.Objects(typ)
	must(r.t, err)
	b, err := json.Marshal(objects)
	must(r.t, err)
	must(r.t, json.Unmarshal(b, dst))
}

// tiedOut checks Xero's own books: one invoice for each order, paid in two payments, to the cent.
func (r *rig) tiedOut(orders int, total decimal.Decimal) {
	r.t.Helper()
	type invoice struct {
		InvoiceID, Reference, Status string
		Total, AmountDue             decimal.Decimal
	}
	var invoices []invoice
	r.objects("invoices", &invoices)
	seen, sum := map[string]int{}, decimal.Zero
	for _, i := range invoices {
		seen[i.Reference]++
		sum = sum.Add(i.Total)
		if i.Status != "PAID" || !i.AmountDue.IsZero() {
			r.t.Errorf("invoice %s is %s, %s is due", i.Reference, i.Status, i.AmountDue)
		}
	}
	for ref, n := range seen {
		if n != 1 {
			r.t.Errorf("%d invoices for order %s", n, ref)
		}
	}
	var payments []struct {
		Status string
		Amount decimal.Decimal
	}
	r.objects("payments", &payments)
	paid := decimal.Zero
	for _, p := range payments {
		paid = paid.Add(p.Amount)
	}
	if len(invoices) != orders || len(payments) != 2*orders || !sum.Equal(total) || !paid.Equal(total) {
		r.t.Errorf("%d invoices over %s and %d payments over %s for %d orders over %s", len(invoices), sum, len(payments), paid, orders, total)
	}
}
