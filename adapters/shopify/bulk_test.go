package shopify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datum/adapters/shopifysim"
	"datum/domain"
)

// TestFirstReadingInBulk: a first reading by a bulk operation, which takes a while and is read in parts by processes that have
// just started, brings the same as one by pages, and what changes meanwhile comes with the poll that follows.
func TestFirstReadingInBulk(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{BulkTakes: 30 * time.Second})
	customer := b.put("customer", "", m{"name": "Mary Hartley", "email": "mary@hartley.example"})
	for i := range 9 {
		b.stocked(fmt.Sprintf("S-%d", i), "11.00", 100)
		b.put("customer", "", m{"name": fmt.Sprintf("Customer %d", i)})
	}
	for i := range 12 {
		var lines []m
		for n := range 1 + i { // more than a page of lines
			lines = append(lines, m{"sku": fmt.Sprintf("S-%d", n%9), "quantity": 1 + n%3})
		}
		o := b.put("order", "", m{"customerId": customer["id"], "lines": lines, "shipping": "9.95"})
		if i%4 == 0 {
			b.put("refund", "", m{"orderId": o["id"], "lines": []m{{"sku": "S-0", "quantity": 1}}})
		}
	}
	for _, kind := range []domain.Kind{domain.KindCustomer, domain.KindProduct, domain.KindOrder, domain.KindCreditNote, domain.KindPayment} {
		b.open(nil)
		want, _ := b.poll(kind, "")
		b.open(map[string]string{"bulkFrom": "5"})
		p, err := b.a.Changes(t.Context(), kind, "")
		if err != nil || len(p.Records) > 0 || !p.More {
			t.Fatalf("%s: the start: %d records, more %v, %v", kind, len(p.Records), p.More, err)
		}
		_, err = b.a.Changes(t.Context(), kind, p.Cursor)
		is(t, "while it runs", err, domain.Unavailable)
		if e := domain.AsError(err); e.RetryAfter <= 0 || !strings.Contains(e.Message, "preparing") {
			t.Errorf("%s: %v, again in %s", kind, err, e.RetryAfter)
		}
		b.tick(31 * time.Second)
		b.open(nil)
		got, cursor := b.poll(kind, p.Cursor)
		byID := func(rs []domain.Record) map[string]domain.Record {
			all := map[string]domain.Record{}
			for _, r := range rs {
				all[r.ExternalID] = r
			}
			return all
		}
		g, w := byID(got), byID(want)
		if len(g) != len(got) || len(g) != len(w) || len(w) < 3 {
			t.Errorf("%s: %d records in bulk, %d by pages", kind, len(got), len(want))
		}
		for id, x := range w {
			if r := g[id]; len(r.Values.Diff(x.Values)) > 0 || len(x.Values.Diff(r.Values)) > 0 || r.Version != x.Version || string(r.Raw) != string(x.Raw) {
				t.Errorf("%s %s: in bulk\n  %s\nby pages\n  %s", kind, id, r.Raw, x.Raw)
			}
		}
		if kind == domain.KindCustomer {
			b.put("customer", fmt.Sprint(customer["id"]), m{"note": "changed while it ran"})
			changed, _ := b.poll(kind, cursor)
			if !slices.ContainsFunc(changed, func(r domain.Record) bool { return r.Values["notes"] == text("changed while it ran") }) {
				t.Error("the poll after it does not show what changed")
			}
		}
	}
}

// TestBulkThatFails: an operation that comes to nothing, and a result that is gone, are gone on with by pages.
func TestBulkThatFails(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{BulkTakes: 10 * time.Second})
	for i := range 6 {
		b.put("customer", "", m{"name": fmt.Sprintf("Customer %d", i)})
	}
	b.open(map[string]string{"bulkFrom": "5", "pageSize": "4"})
	for _, what := range []string{"cancelled", "its file is gone"} {
		p, err := b.a.Changes(t.Context(), domain.KindCustomer, "")
		if err != nil {
			t.Fatal(err)
		}
		if what == "cancelled" {
			b.sim.CancelBulk()
		} else {
			b.tick(9 * 24 * time.Hour)
			_, err := b.a.Changes(t.Context(), domain.KindCustomer, p.Cursor) // it is done now, and kept for seven days
			if err != nil {
				t.Fatal(err)
			}
			b.tick(9 * 24 * time.Hour)
		}
		got, _ := b.poll(domain.KindCustomer, p.Cursor)
		if len(got) != 6 {
			t.Errorf("%s: %d customers", what, len(got))
		}
	}
}

func TestTooManyBulks(t *testing.T) {
	t.Parallel()
	b := newBench(t, shopifysim.Options{BulkTakes: time.Hour})
	b.put("customer", "", m{"name": "Mary"})
	b.open(map[string]string{"bulkFrom": "1"})
	for range 5 {
		if _, err := b.a.Changes(t.Context(), domain.KindCustomer, ""); err != nil {
			t.Fatal(err)
		}
	}
	_, err := b.a.Changes(t.Context(), domain.KindCustomer, "")
	is(t, "a sixth at once", err, domain.Unavailable)
	if domain.AsError(err).RetryAfter <= 0 {
		t.Error("it does not say when to try again")
	}
}
