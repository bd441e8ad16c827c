package jobs_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// TestPaidOrderIsNeverUnpaid: between the moment that an order is paid and the one that accounting has booked it, nobody is told
// that it is not.
func TestPaidOrderIsNeverUnpaid(t *testing.T) {
	t.Parallel()
	r := newRig(t, selling)
	customer := r.enter(domain.KindCustomer, "", fields("legalName", "Jo Citizen", "email", "jo@example.com"))
	o := r.enter(domain.KindOrder, "", fields("number", "#1", "customer", customer, "orderDate", "2026-03-02", "stage", "CONFIRMED", "paymentStatus", "PAID",
		"lines", `[{"description":"Kettle","quantity":"1","unitPrice":"89.95","taxCode":"GST"}]`))
	r.enter(domain.KindPayment, "", fields("order", o, "amount", aud("89.95"), "date", "2026-03-02"))
	eventually(t, time.Minute, "booked", func() (bool, any) {
		got := r.golden(o)
		return domain.Amount(got["amountPaid"]).String() == "89.95", got
	})
	rows, err := r.pool.Query(context.Background(), `SELECT new #>> '{}' FROM history WHERE entity_id = $1 AND field = 'paymentStatus' ORDER BY id`, o)
	must(t, err)
	said, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(t, err)
	if !slices.Equal(said, []string{"PAID"}) {
		t.Errorf("the order said it was %v, want PAID alone", said)
	}
}
