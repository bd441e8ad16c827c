package jobs_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
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

// BenchmarkOrderToInvoice: empty queues, an order is entered as paid, and the time until accounting has its invoice.
func BenchmarkOrderToInvoice(b *testing.B) {
	r := newRig(b, selling, func(c *rigConfig) { c.poll = time.Hour })
	r.quiet(20 * time.Second)
	customer := r.enter(domain.KindCustomer, "", fields("legalName", "Jo Citizen", "email", "jo@example.com"))
	r.quiet(20 * time.Second)
	invoices := func() int { return r.xero.Stats().WriteCalls["PUT /api.xro/2.0/Invoices"] }
	var took spread
	for i := range b.N + 1 {
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
		r.quiet(20 * time.Second)
	}
	took.report(b)
}

// BenchmarkMonthEnd: a burst of paid orders against Xero's own 60 calls a minute, from the first order until the last payment is
// booked, beside the time that the limit alone allows for so many full batches of 50. It takes minutes, so it runs with
// DATUM_DRILL=1 only; DATUM_ORDERS is how many, 5,000 by default. DATUM_SCALE=5 is a model of it to the scale of 1 to 5: a fifth of
// the orders against a fifth of the calls a minute, which takes as long by the limit and a fifth of the machine.
func BenchmarkMonthEnd(b *testing.B) {
	if os.Getenv("DATUM_DRILL") == "" {
		b.Skip("set DATUM_DRILL=1: 5,000 orders at 60 calls a minute take minutes")
	}
	orders := 5000
	if n := os.Getenv("DATUM_ORDERS"); n != "" {
		_, err := fmt.Sscan(n, &orders)
		must(b, err)
	}
	minute := 60
	if n := os.Getenv("DATUM_SCALE"); n != "" {
		var scale int
		_, err := fmt.Sscan(n, &scale)
		must(b, err)
		orders, minute = orders/scale, minute/scale
	}
	r := newRig(b, selling, func(c *rigConfig) {
		c.poll, c.noHooks = time.Hour, true
		c.xero.Limits = xerosim.Limits{Minute: minute, Day: -1, AppMinute: -1, Concurrent: 5}
		c.settings["accounting"]["limit.minute"] = fmt.Sprint(minute)
	})
	r.quiet(10 * time.Minute)
	var customers []string
	for i := range 100 {
		customers = append(customers, r.enter(domain.KindCustomer, "", fields("legalName", fmt.Sprintf("Customer %d", i), "email", fmt.Sprintf("c%d@example.com", i))))
	}
	r.quiet(10 * time.Minute)
	time.Sleep(time.Minute) // the month's last minute is a quiet one: the limit is not used
	b.ResetTimer()
	for range b.N {
		began, calls := time.Now(), r.xero.Stats().Requests
		for i := range orders {
			o := r.enter(domain.KindOrder, "", fields("number", fmt.Sprint("#", i), "customer", customers[i%len(customers)], "orderDate", "2026-03-31", "stage", "CONFIRMED", "paymentStatus", "PAID",
				"lines", `[{"description":"Kettle","quantity":"1","unitPrice":"89.95","taxCode":"GST"}]`))
			r.enter(domain.KindPayment, "", fields("order", o, "amount", aud("89.95"), "date", "2026-03-31"))
		}
		entered := time.Since(began)
		eventually(b, 30*time.Minute, "drained", func() (bool, any) {
			var left int
			must(b, r.pool.QueryRow(context.Background(), `SELECT count(*) FROM projections WHERE system = 'accounting' AND status <> 'confirmed'`).Scan(&left))
			s, busy := r.state()
			return left == 0 && !busy, fmt.Sprint(left, s.Flows)
		})
		took := time.Since(began)
		full := 2 * math.Ceil(float64(orders)/50) // invoices and payments
		allowed := time.Duration(math.Max(0, full-float64(minute)) * float64(time.Minute) / float64(minute))
		b.ReportMetric(0, "ns/op")
		b.ReportMetric(took.Seconds(), "s")
		b.ReportMetric(entered.Seconds(), "s-entering")
		b.ReportMetric(float64(r.xero.Stats().Requests-calls)/full, "×calls")
		b.ReportMetric(took.Seconds()/math.Max(allowed.Seconds(), 1), "×limit")
		if n := r.xero.Stats().Limited; n > 0 {
			b.Errorf("%d calls were refused", n)
		}
	}
}
