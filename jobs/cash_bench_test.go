package jobs_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"datum/adapters/xerosim"
	"datum/domain"
)

// selling is the default policy of a business whose own apps take orders.
func selling(c *rigConfig) {
	documents(c)
	c.policy = strings.Replace(c.policy, "  quote_to_invoice: on", "  order_to_invoice: on\n  quote_to_invoice: on", 1)
}

// BenchmarkOrderToInvoice: empty queues, an order is entered as paid, and the time until accounting has its invoice; 200 times at
// least, or a p99 would say nothing, which takes two minutes.
func BenchmarkOrderToInvoice(b *testing.B) {
	r := newRig(b, selling, func(c *rigConfig) { c.poll = time.Hour })
	r.allRead()
	customer := r.enter(domain.KindCustomer, "", fields("legalName", "Jo Citizen", "email", "jo@example.com"))
	r.quiet(20 * time.Second)
	invoices := func() int { return r.xero.Stats().WriteCalls["PUT /api.xro/2.0/Invoices"] }
	var took spread
	for i := range max(b.N, 200) + 1 {
		before, began := invoices(), time.Now()
		r.enter(domain.KindOrder, "", fields("number", fmt.Sprint("#", i), "customer", customer, "orderDate", "2026-03-02", "stage", "CONFIRMED", "paymentStatus", "PAID",
			"lines", `[{"description":"Kettle","quantity":"1","unitPrice":"89.95","taxCode":"GST"}]`))
		for invoices() == before {
			if time.Since(began) > 20*time.Second {
				b.Fatalf("order %d is not invoiced", i)
			}
			time.Sleep(time.Millisecond)
		}
		if i > 0 {
			took = append(took, time.Since(began))
		} else { // Datum has just begun: it reads the organisation's tax rates, and Postgres has no plans yet
			b.ReportMetric(float64(time.Since(began).Milliseconds()), "first-ms")
		}
		eventually(b, 20*time.Second, "at rest", func() (bool, any) { s, busy := r.state(); return !busy, s })
	}
	took.report(b)
}

// allRead waits until every kind of every system has been read completely: until then nothing new is created there.
func (r *rig) allRead() {
	r.t.Helper()
	eventually(r.t, time.Minute, "read completely", func() (bool, any) {
		var ready int
		must(r.t, r.pool.QueryRow(context.Background(), `SELECT count(*) FROM cursors WHERE ready AND (system, kind) IN (('accounting', 'Invoice'), ('accounting', 'Payment'), ('crm', 'Invoice'), ('crm', 'Order'))`).Scan(&ready))
		return ready == 4, ready
	})
	r.quiet(time.Minute)
}

// BenchmarkMonthEnd: a burst of paid orders against Xero's own 60 calls a minute, in real time, from the first order until the last
// payment is booked in accounting. Each order and its payment are entered through the API's way, become an invoice and a payment in
// Xero and an order and an invoice in the CRM, all in one process that also runs the vendors' simulators, beside Postgres.
//
// ×limit compares that with the least time in which any program could make as many full batches of 50: 5,000 orders are 200
// calls, of which Xero lets 60 through at once and, since its minute rolls, 60 more a minute later each time, so the last 20 go after
// three minutes. ×calls compares the calls with the full batches. What Xero tells back later of paid invoices is not waited for.
//
// It takes minutes, so it runs with DATUM_DRILL=1 only; DATUM_ORDERS is how many, 5,000 by default. DATUM_CLOCK=2 slows the vendor's
// clock down, and with it Datum's budget: its minute lasts two, and everything else runs as fast as it can, for a machine that does
// other things beside. The limit is then 60 calls in two minutes.
func BenchmarkMonthEnd(b *testing.B) {
	if os.Getenv("DATUM_DRILL") == "" {
		b.Skip("set DATUM_DRILL=1: 5,000 orders at 60 calls a minute take minutes")
	}
	const perMinute = 60
	number := func(name string, usual int) int {
		if n := os.Getenv(name); n != "" {
			_, err := fmt.Sscan(n, &usual)
			must(b, err)
		}
		return usual
	}
	orders, minute := number("DATUM_ORDERS", 5000), time.Duration(number("DATUM_CLOCK", 1))*time.Minute
	asked := &statements{}
	r := newRig(b, selling, func(c *rigConfig) {
		c.poll, c.noHooks, c.tracer, c.minute = time.Hour, true, asked, minute
		c.xero.Limits = xerosim.Limits{Minute: perMinute, MinutePer: minute, Day: -1, AppMinute: -1, Concurrent: 5}
		c.settings["accounting"]["limit.minute"] = fmt.Sprint(perMinute)
	})
	r.allRead()
	var customers []string
	for i := range 100 {
		customers = append(customers, r.enter(domain.KindCustomer, "", fields("legalName", fmt.Sprintf("Customer %d", i), "email", fmt.Sprintf("c%d@example.com", i))))
	}
	r.quiet(10 * time.Minute)
	time.Sleep(minute + 2*time.Second) // the month's last minute is a quiet one: the limit is not used
	b.ResetTimer()
	for range b.N {
		began, calls, cost := time.Now(), r.xero.Stats().Requests, r.load(asked)
		var next atomic.Int64
		var clerks sync.WaitGroup
		for range 4 {
			clerks.Go(func() {
				for i := int(next.Add(1)) - 1; i < orders; i = int(next.Add(1)) - 1 {
					o := r.enter(domain.KindOrder, "", fields("number", fmt.Sprint("#", i), "customer", customers[i%len(customers)], "orderDate", "2026-03-31", "stage", "CONFIRMED", "paymentStatus", "PAID",
						"lines", `[{"description":"Kettle","quantity":"1","unitPrice":"89.95","taxCode":"GST"}]`))
					r.enter(domain.KindPayment, "", fields("order", o, "amount", aud("89.95"), "date", "2026-03-31"))
				}
			})
		}
		clerks.Wait()
		entered := time.Since(began)
		for drained := false; !drained; time.Sleep(250 * time.Millisecond) {
			var booked int
			must(b, r.pool.QueryRow(context.Background(), `SELECT count(*) FROM projections WHERE system = 'accounting' AND kind = 'Payment' AND status = 'confirmed'`).Scan(&booked))
			if drained = booked == orders; !drained && time.Since(began) > 30*time.Minute {
				b.Fatalf("%d of %d payments are booked", booked, orders)
			}
		}
		took := time.Since(began)
		full := 2 * ((orders + 49) / 50) // invoices and payments
		allowed := time.Duration((full-1)/perMinute) * minute
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(took.Seconds(), "s")
		b.ReportMetric(allowed.Seconds(), "s-allowed")
		b.ReportMetric(entered.Seconds(), "s-entering")
		b.ReportMetric(float64(r.xero.Stats().Requests-calls)/float64(full), "×calls")
		b.ReportMetric(took.Seconds()/max(allowed.Seconds(), 1), "×limit")
		cost.report(b, orders, "order")
		if n := r.xero.Stats().Limited; n > 0 {
			b.Errorf("%d calls were refused", n)
		}
	}
}
