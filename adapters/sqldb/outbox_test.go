package sqldb

import (
	"database/sql"
	"fmt"
	"strings"
	"testing"

	"datum/adapters"
	"datum/domain"
)

func outboxed(t *testing.T) (*base, *adapter) {
	b := newPostgres(t)
	ops(t, b)
	a := b.open(opsMapping, "outbox", "datum_outbox", "pageSize", "3")
	h, err := a.Check(t.Context())
	must(t, err)
	if text := fmt.Sprint(h.Problems); !strings.Contains(text, "missing are datum_outbox, the trigger on clients") {
		t.Errorf("before it is made: %q", h.Problems)
	}
	for range 2 { // it may be repeated
		must(t, a.Provision(t.Context()))
	}
	h, err = a.Check(t.Context())
	must(t, err)
	if len(h.Problems) > 0 {
		t.Fatalf("problems: %q", h.Problems)
	}
	return b, a
}

// TestOutbox: every change of a row or of its lists is seen once it is committed, deletions too, in whatever order
// transactions end, and whoever makes it.
func TestOutbox(t *testing.T) {
	t.Parallel()
	b, a := outboxed(t)
	for n := range 7 {
		a.create(t, domain.KindCustomer, client(n))
	}
	recs, cursor := a.changes(t, domain.KindCustomer, "")
	if len(recs) != 7 {
		t.Fatalf("the backfill saw %d rows", len(recs))
	}
	if recs, cursor = a.changes(t, domain.KindCustomer, cursor); len(recs) != 0 {
		t.Errorf("nothing has changed, and %d rows are seen", len(recs))
	}
	expect := func(what string, want ...string) {
		t.Helper()
		recs, cursor = a.changes(t, domain.KindCustomer, cursor)
		names := map[string]bool{}
		for id, r := range recs {
			name := id + " " + r.Values["legalName"].Text()
			if r.Deleted {
				name = id + " deleted"
			}
			names[name] = true
		}
		for _, w := range want {
			if !names[w] {
				t.Errorf("%s: %s is not seen", what, w)
			}
		}
		if len(names) != len(want) {
			t.Errorf("%s: seen are %v, want %q", what, names, want)
		}
	}
	b.exec(`UPDATE clients SET name = 'twice' WHERE id = 1`, `UPDATE clients SET name = 'once' WHERE id = 1`, `DELETE FROM clients WHERE id = 2`,
		`UPDATE clients SET id = 1003 WHERE id = 3`, `UPDATE clients SET deleted_at = now() WHERE id = 4`)
	expect("by statements", "1 once", "2 deleted", "3 deleted", "1003 Client 002", "4 deleted")

	early, err := b.db.BeginTx(t.Context(), &sql.TxOptions{})
	must(t, err)
	defer func() { _ = early.Rollback() }()
	_, err = early.Exec(`UPDATE clients SET name = 'early' WHERE id = 5`)
	must(t, err)
	b.exec(`UPDATE clients SET name = 'later' WHERE id = 6`)
	expect("before an earlier one ends", "6 later")
	must(t, early.Commit())
	expect("after it has ended", "5 early")

	// A page whose cursor was not stored is given again.
	b.exec(`UPDATE clients SET name = 'again' WHERE id = 6`)
	for range 2 {
		p, err := a.Changes(t.Context(), domain.KindCustomer, cursor)
		must(t, err)
		if len(p.Records) != 1 || p.Records[0].ExternalID != "6" {
			t.Errorf("a page that was not stored is given as %v", p.Records)
		}
	}
	expect("after that", "6 again")

	// Somebody who may write the table and knows nothing of the outbox.
	role := "app_" + strings.ToLower(domain.NewID("x")[20:28])
	b.exec(`CREATE ROLE `+role, `GRANT USAGE ON SCHEMA ops TO `+role, `GRANT SELECT, UPDATE ON clients TO `+role)
	t.Cleanup(func() { b.exec(`DROP OWNED BY `+role, `DROP ROLE `+role) })
	app, err := b.db.Conn(t.Context())
	must(t, err)
	_, err = app.ExecContext(t.Context(), `SET ROLE `+role)
	must(t, err)
	_, err = app.ExecContext(t.Context(), `SET search_path = ops, public`)
	must(t, err)
	_, err = app.ExecContext(t.Context(), `UPDATE clients SET name = 'by the app' WHERE id = 7`)
	must(t, err)
	_, err = app.ExecContext(t.Context(), `RESET ROLE`)
	must(t, err)
	must(t, app.Close())
	expect("by another role", "7 by the app")

	// A line, a key of two columns, and a row of another kind in the same table.
	p, _ := a.create(t, domain.KindProduct, domain.Values{"sku": `"A,1"`})
	o, _ := a.create(t, domain.KindOrder, domain.Values{"lines": domain.ValueOf([]domain.Line{{Quantity: "1", UnitPrice: "2"}})})
	products, pc := a.changes(t, domain.KindProduct, "")
	_, oc := a.changes(t, domain.KindOrder, "")
	_, ic := a.changes(t, domain.KindInvoice, "")
	if len(products) != 1 {
		t.Errorf("%d products", len(products))
	}
	b.exec(`UPDATE document_lines SET qty = 7`, `DELETE FROM items`)
	orders, _ := a.changes(t, domain.KindOrder, oc)
	if got := domain.LinesOf(orders[o.ExternalID].Values["lines"]); len(got) != 1 || got[0].Quantity != "7" {
		t.Errorf("a line that was changed is seen as %v", got)
	}
	if gone, _ := a.changes(t, domain.KindProduct, pc); !gone[p.ExternalID].Deleted {
		t.Errorf("a product %s that was deleted is seen as %v", p.ExternalID, gone)
	}
	if invoices, _ := a.changes(t, domain.KindInvoice, ic); len(invoices) != 0 {
		t.Errorf("an order is seen as an invoice: %v", invoices)
	}
}

// TestOutboxBegin: a backfill does not give what it has read once more, and what was polled by time before goes on by the
// outbox.
func TestOutboxBegin(t *testing.T) {
	t.Parallel()
	b, a := outboxed(t)
	for n := range 4 {
		a.create(t, domain.KindCustomer, client(n))
	}
	first, err := a.Changes(t.Context(), domain.KindCustomer, "")
	must(t, err)
	b.exec(`UPDATE clients SET name = 'meanwhile' WHERE id = 1`)
	recs, cursor := a.changes(t, domain.KindCustomer, first.Cursor)
	if !first.More || len(recs) != 1 {
		t.Errorf("the second page has %d rows", len(recs))
	}
	if recs, _ := a.changes(t, domain.KindCustomer, cursor); len(recs) != 1 || recs["1"].Values["legalName"] != `"meanwhile"` {
		t.Errorf("after the backfill %v is given, want only what changed during it", recs)
	}
	if recs, _ := a.changes(t, domain.KindCustomer, `{"from":"2026-01-01T00:00:00Z"}`); len(recs) != 4 {
		t.Errorf("with a cursor by time %d rows are read, want all", len(recs))
	}
	_, err = Vendor().Open(adapters.Session{System: "ops", Settings: map[string]string{"dsn": "mysql://u:p@localhost/db", "mapping": opsMapping, "outbox": "o"}})
	is(t, "an outbox in MySQL", err, domain.Invalid)
}
