//go:build unix

package jobs_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"datum/adapters/sim"
	"datum/adapters/xerosim"
	"datum/domain"
)

// TestDrillPaymentsAndRefunds: three real processes are killed while they write payments of several invoices each, and refunds of
// credit notes, to a vendor that resets connections after it has committed. Each payment and each refund is in accounting once, to the
// cent. It runs with DATUM_DRILL=1 and takes about a minute.
func TestDrillPaymentsAndRefunds(t *testing.T) {
	if os.Getenv("DATUM_DRILL") == "" {
		t.Skip("set DATUM_DRILL=1 for a minute of kills while payments of several invoices are written")
	}
	const rounds, kills, processes = 60, 20, 3
	r := newRig(t, documents, func(c *rigConfig) {
		c.idle = true
		c.xero.Latency = 40 * time.Millisecond
		c.xero.Limits = xerosim.Limits{Minute: -1, Day: -1, AppMinute: -1, Concurrent: -1}
	})
	for _, path := range []string{"/Payments", "/BankTransactions", "/Overpayments", "/CreditNotes"} {
		for _, method := range []string{"PUT", "POST"} {
			for _, f := range []sim.Fault{{Kind: sim.FaultReset, Count: 1}, {Kind: sim.FaultReset, Rate: 0.3}, {Kind: sim.FaultStatus, Status: 503, AfterCommit: true, Rate: 0.15}} {
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
	rnd := rand.New(rand.NewPCG(9, 9))
	customer := r.enter(domain.KindCustomer, "", fields("legalName", "Jo Citizen", "email", "jo@example.com"))
	doc := func(kind domain.Kind, price string) string {
		return r.enter(kind, "", fields("customer", customer, "issueDate", "2026-03-02", "dueDate", "2026-03-30", "stage", "AUTHORISED", "lines", fmt.Sprintf(`[{"description":"Work","quantity":"1","unitPrice":%q,"taxCode":"GST"}]`, price)))
	}
	note := func() string {
		return r.enter(domain.KindCreditNote, "", fields("customer", customer, "issueDate", "2026-03-02", "stage", "AUTHORISED", "lines", `[{"description":"Work","quantity":"1","unitPrice":"55","taxCode":"GST"}]`))
	}
	began := time.Now()
	for i := range kills {
		for range rounds / kills {
			a, b, c := doc(domain.KindInvoice, "110"), doc(domain.KindInvoice, "66.05"), note()
			r.enter(domain.KindPayment, "", fields("customer", customer, "amount", aud("200"), "date", "2026-03-05", "allocations",
				domain.ValueOf([]domain.Allocation{{Invoice: a, Amount: "110"}, {Invoice: b, Amount: "66.05"}, {Amount: "23.95"}})))
			r.enter(domain.KindPayment, "", fields("customer", customer, "direction", "REFUNDED", "amount", aud("55"), "date", "2026-03-06", "allocations",
				domain.ValueOf([]domain.Allocation{{CreditNote: c, Amount: "55"}})))
		}
		time.Sleep(time.Duration(rnd.Int64N(int64(800 * time.Millisecond)))) // when it happens is left to chance
		w := workers[(i+rnd.IntN(processes))%processes]
		w.kill()
		w.start()
	}
	resets := r.xero.Stats().Faults[sim.FaultReset]
	r.xero.ClearFaults()
	ended := time.Now()
	r.quiet(180 * time.Second)
	t.Logf("%d payments of two invoices and as many refunds, %d kills in %.1f s, level %.1f s later; %d resets after a commit", rounds, kills, ended.Sub(began).Seconds(), time.Since(ended).Seconds(), resets)
	if resets == 0 {
		t.Error("no connection was reset after a commit: too little is proven")
	}
	var over []struct {
		Status                 string
		Total, RemainingCredit decimal.Decimal
		Allocations            []struct{ Amount decimal.Decimal }
	}
	r.objects("overpayments", &over)
	for _, o := range over {
		if !o.Total.Equal(decimal.NewFromInt(200)) || !o.RemainingCredit.Equal(decimal.RequireFromString("23.95")) || len(o.Allocations) != 2 {
			t.Errorf("a payment of two invoices: %+v", o)
		}
	}
	var payments []struct {
		Status string
		Amount decimal.Decimal
	}
	r.objects("payments", &payments)
	for _, p := range payments {
		if p.Status != "AUTHORISED" || !p.Amount.Equal(decimal.NewFromInt(55)) {
			t.Errorf("a refund: %+v", p)
		}
	}
	if len(over) != rounds || len(payments) != rounds || r.xero.Duplicates() > 0 {
		t.Errorf("%d payments and %d refunds for %d, %d duplicates", len(over), len(payments), rounds, r.xero.Duplicates())
	}
	var invoices, notes []struct {
		Status          string
		AmountDue       decimal.Decimal
		RemainingCredit decimal.Decimal
	}
	r.objects("invoices", &invoices)
	r.objects("creditnotes", &notes)
	for _, x := range append(invoices, notes...) {
		if x.Status != "PAID" || !x.AmountDue.IsZero() || !x.RemainingCredit.IsZero() {
			t.Errorf("a document is %+v", x)
		}
	}
	if len(invoices) != 2*rounds || len(notes) != rounds {
		t.Errorf("%d invoices and %d credit notes", len(invoices), len(notes))
	}
	if cs := r.openCases(); len(cs) > 0 {
		t.Errorf("cases: %v", cs)
	}
}
