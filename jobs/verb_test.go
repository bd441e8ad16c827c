package jobs_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// TestNumbersAreNeverReused: Datum's numbers have no gaps, whatever is refused in between, and the number of a voided invoice is
// nobody else's, not even when somebody asks for it.
func TestNumbersAreNeverReused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	try := func(v domain.Values) change.Result {
		t.Helper()
		res, err := s.engine.Applier().Edit(s.ctx, change.Edit{System: "ops", Kind: domain.KindInvoice, Fields: v, Cause: change.Cause{Actor: "test", Source: change.FromMutation}})
		must(t, err)
		return res
	}
	good := fields("customer", s.customer, "stage", "AUTHORISED", "lines", s.lines("1"))
	var ids []string
	for i := range 4 {
		if i == 2 {
			s.edit("ops", domain.KindInvoice, ids[1], fields("stage", "VOIDED"))
		}
		if res := try(fields("customer", s.customer, "lines", `[{"description":"x","quantity":"2","unitPrice":"5","amount":"11"}]`)); len(res.Refused) == 0 {
			t.Fatal("a line that does not add up is taken")
		}
		res := try(good)
		if len(res.Refused) > 0 {
			t.Fatal(res.Refused)
		}
		ids = append(ids, res.EntityID)
	}
	for i, id := range ids {
		if got := s.get(id).Golden["number"].Text(); got != fmt.Sprintf("INV-%05d", i+1) {
			t.Errorf("invoice %d has the number %s", i+1, got)
		}
	}
	again := good.Clone()
	again["number"] = `"INV-00002"`
	if res := try(again); len(res.Refused) == 0 || res.Refused[0].Code != domain.Conflict || res.EntityID != ids[1] {
		t.Errorf("the voided invoice's number is given to another: %v %s", res.Refused, res.EntityID)
	}
}

// TestNegativeStock: less than nothing on hand is asked about, though nothing is promised, and no more once it is counted again.
func TestNegativeStock(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.edit("stock", domain.KindStockLevel, s.level, fields("onHand", "-2"))
	s.rest()
	if cs := s.cases(); len(cs) != 1 || cs[0] != "Kettle is oversold by 2" {
		t.Errorf("cases: %v", cs)
	}
	if got := s.get(s.level).Golden["available"].Text(); got != "0" {
		t.Errorf("the shop may sell %s", got)
	}
	s.edit("stock", domain.KindStockLevel, s.level, fields("onHand", "5"))
	s.rest()
	if cs := s.cases(); len(cs) != 0 {
		t.Errorf("cases: %v", cs)
	}
}

// TestVerbsReachTheVendors: what is done with a whole object here is done at the vendor that has it, or refused with the reason:
// here if it is not the caller's to do, by the vendor if it will not.
func TestVerbsReachTheVendors(t *testing.T) {
	t.Parallel()
	r := newRig(t, documents)
	r.quiet(30 * time.Second)
	cus := r.enter(domain.KindCustomer, "", fields("legalName", "Hartley Plumbing Pty Ltd", "abn", "51824753556"))
	lines := `[{"description":"Call-out","quantity":"1","unitPrice":"80","taxCode":"GST"}]`
	doc := func(kind domain.Kind, stage string) string {
		date := domain.Field("issueDate")
		if kind == domain.KindOrder {
			date = "orderDate"
		}
		v := fields("customer", cus, string(date), "2026-03-02", "stage", stage, "taxMode", "EXCLUSIVE", "lines", lines)
		if kind == domain.KindInvoice {
			v["dueDate"] = `"2026-03-30"`
		}
		return r.enter(kind, "", v)
	}
	pay := func(invoice string) string {
		return r.enter(domain.KindPayment, "", fields("customer", cus, "amount", aud("88"), "date", "2026-03-03", "allocations", domain.ValueOf([]domain.Allocation{{Invoice: invoice, Amount: "88"}})))
	}
	made := map[string]string{"product": r.enter(domain.KindProduct, "", fields("sku", "TAP-1", "name", "Tap")), "customer": r.enter(domain.KindCustomer, "", fields("legalName", "Gone Pty Ltd", "abn", abn(7))),
		"draft": doc(domain.KindInvoice, "DRAFT"), "issued": doc(domain.KindInvoice, "AUTHORISED"), "paid": doc(domain.KindInvoice, "AUTHORISED"), "owed": doc(domain.KindInvoice, "AUTHORISED"),
		"draft note": doc(domain.KindCreditNote, "DRAFT"), "issued note": doc(domain.KindCreditNote, "AUTHORISED"), "note": doc(domain.KindCreditNote, "AUTHORISED"),
		"note to give back": doc(domain.KindCreditNote, "AUTHORISED"), "order": doc(domain.KindOrder, "CONFIRMED")}
	r.quiet(30 * time.Second)
	pay(made["paid"])
	made["payment"] = pay(made["owed"])
	r.quiet(30 * time.Second)

	external := func(system, id string) string {
		t.Helper()
		recs, err := store.RecordsOf(context.Background(), r.pool, []string{id})
		must(t, err)
		i := slices.IndexFunc(recs, func(x *store.Record) bool { return x.System == system })
		if i < 0 {
			t.Fatalf("%s has no record in %s: %v", id, system, r.openCases())
		}
		_, x, ok := strings.Cut(recs[i].ExternalID, "/")
		if !ok {
			x = recs[i].ExternalID
		}
		return x
	}
	says := func(system, typ, id, member string) string {
		t.Helper()
		var objects []any
		var err error
		if system == "crm" {
			objects, err = r.crm.Objects(typ)
		} else {
			objects, err = r.xero.Objects(typ)
		}
		must(t, err)
		want := external(system, id)
		for _, o := range objects {
			m := plain(o)
			for _, key := range []string{"id", "ContactID", "InvoiceID", "CreditNoteID", "PaymentID", "ItemID"} {
				if m[key] == want && (key != "ContactID" || typ == "contacts") && (key != "InvoiceID" || typ == "invoices") {
					if p, ok := m["properties"].(map[string]any); ok {
						m = p
					}
					return fmt.Sprint(m[member])
				}
			}
		}
		return "not there"
	}
	for _, c := range []struct {
		verb, of   string
		kind       domain.Kind
		field      string
		value      string
		by         string
		system     string
		typ        string
		member     string
		want       string // what the vendor shows then
		refused    string // or the code of the refusal here
		refusedFor string // or a word of the vendor's own
	}{
		{verb: "archive", of: "customer", kind: domain.KindCustomer, field: "status", value: "ARCHIVED", by: "crm", system: "accounting", typ: "contacts", member: "ContactStatus", want: "ARCHIVED"},
		{verb: "cancel", of: "order", kind: domain.KindOrder, field: "stage", value: "CANCELLED", by: "ops", system: "crm", typ: "orders", member: "order_stage", want: "CANCELLED"},
		{verb: "authorise by another than the owner", of: "draft", kind: domain.KindInvoice, field: "stage", value: "AUTHORISED", by: "crm", refused: "NOT_OWNER"},
		{verb: "authorise", of: "draft", kind: domain.KindInvoice, field: "stage", value: "AUTHORISED", by: "accounting", system: "accounting", typ: "invoices", member: "Status", want: "AUTHORISED"},
		{verb: "void", of: "issued", kind: domain.KindInvoice, field: "stage", value: "VOIDED", by: "accounting", system: "accounting", typ: "invoices", member: "Status", want: "VOIDED"},
		{verb: "void what is paid", of: "paid", kind: domain.KindInvoice, field: "stage", value: "VOIDED", by: "accounting", system: "accounting", typ: "invoices", member: "Status", want: "PAID", refusedFor: "void"},
		{verb: "authorise a credit note", of: "draft note", kind: domain.KindCreditNote, field: "stage", value: "AUTHORISED", by: "accounting", system: "accounting", typ: "creditnotes", member: "Status", want: "AUTHORISED"},
		{verb: "void a credit note", of: "issued note", kind: domain.KindCreditNote, field: "stage", value: "VOIDED", by: "accounting", system: "accounting", typ: "creditnotes", member: "Status", want: "VOIDED"},
		{verb: "void a payment", of: "payment", kind: domain.KindPayment, field: "stage", value: "VOIDED", by: "accounting", system: "accounting", typ: "payments", member: "Status", want: "DELETED"},
		{verb: "allocate", of: "note", kind: domain.KindCreditNote, field: "allocations", value: string(domain.ValueOf([]domain.Allocation{{Invoice: made["owed"], Amount: "88"}})), by: "accounting",
			system: "accounting", typ: "creditnotes", member: "RemainingCredit", want: "0"},
	} {
		res, err := r.engine.Applier().Edit(context.Background(), change.Edit{System: c.by, Kind: c.kind, EntityID: made[c.of], Fields: fields(c.field, c.value), Cause: causeOf(c.by)})
		must(t, err)
		if c.refused != "" {
			if len(res.Refused) == 0 || string(res.Refused[0].Code) != c.refused || res.Refused[0].Message == "" {
				t.Errorf("%s: %v", c.verb, res.Refused)
			}
			continue
		}
		if len(res.Refused) > 0 {
			t.Errorf("%s: refused: %v", c.verb, res.Refused[0])
			continue
		}
		var p *store.Projection
		eventually(t, 20*time.Second, c.verb, func() (bool, any) {
			ps, err := store.ProjectionsOf(context.Background(), r.pool, []string{made[c.of]})
			must(t, err)
			for _, x := range ps {
				if x.System == c.system {
					p = x
				}
			}
			return p != nil && (p.Status == store.Confirmed || p.Status == store.Refused), fmt.Sprintf("%+v", p)
		})
		if got := says(c.system, c.typ, made[c.of], c.member); got != c.want {
			t.Errorf("%s: %s says %s, want %s (%s %s)", c.verb, c.system, got, c.want, p.Status, p.Error)
		}
		if refused := p.Status == store.Refused; refused != (c.refusedFor != "") || !strings.Contains(strings.ToLower(p.Error), c.refusedFor) {
			t.Errorf("%s: the projection is %s: %s", c.verb, p.Status, p.Error)
		}
	}
	// A refund of a credit note is a payment of it.
	refund := r.enter(domain.KindPayment, "", fields("customer", cus, "direction", "REFUNDED", "amount", aud("88"), "date", "2026-03-05",
		"allocations", domain.ValueOf([]domain.Allocation{{CreditNote: made["note to give back"], Amount: "88"}})))
	eventually(t, 20*time.Second, "the refund", func() (bool, any) {
		ps, err := store.ProjectionsOf(context.Background(), r.pool, []string{refund})
		must(t, err)
		return len(ps) > 0 && ps[0].Status == store.Confirmed, r.openCases()
	})
	if got := says("accounting", "creditnotes", made["note to give back"], "Status"); got != "PAID" {
		t.Errorf("after the refund the credit note is %s in accounting", got)
	}
}
