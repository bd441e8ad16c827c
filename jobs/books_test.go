package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// documents is the whole default policy.
func documents(c *rigConfig) { c.policy = ownership.DefaultSource() }

func (r *rig) entities(kind domain.Kind) []store.Entity {
	r.t.Helper()
	ids, err := store.EntityIDs(context.Background(), r.pool, kind, "", 10000)
	must(r.t, err)
	es, err := store.Entities(context.Background(), r.pool, ids)
	must(r.t, err)
	return es
}

func (r *rig) enter(kind domain.Kind, id string, v domain.Values) string {
	r.t.Helper()
	res, err := r.engine.Applier().Edit(context.Background(), change.Edit{System: "ops", Kind: kind, EntityID: id, Fields: v, Cause: causeOf("ops")})
	must(r.t, err)
	if len(res.Refused) > 0 {
		r.t.Fatalf("%s refused: %v", kind, res.Refused)
	}
	return res.EntityID
}

func text(objects []any) string {
	b, _ := json.Marshal(objects)
	return string(b)
}

// TestInvoiceWaitsForItsCustomer: an invoice made here for a customer and a product that accounting does not have yet arrives
// after them, once, with the cents that were agreed; what is paid there shows here.
func TestInvoiceWaitsForItsCustomer(t *testing.T) {
	t.Parallel()
	r := newRig(t, documents)
	r.quiet(30 * time.Second)
	cus := r.enter(domain.KindCustomer, "", fields("legalName", "Hartley Plumbing Pty Ltd", "abn", "51824753556"))
	prd := r.enter(domain.KindProduct, "", fields("sku", "TAP-1", "name", "Tap"))
	inv := r.enter(domain.KindInvoice, "", fields("customer", cus, "issueDate", "2026-03-02", "dueDate", "2026-03-30", "stage", "AUTHORISED", "reference", "PO 7", "taxMode", "EXCLUSIVE",
		"lines", fmt.Sprintf(`[{"product":%q,"description":"Tap","quantity":"3","unitPrice":"19.95","taxCode":"GST"},{"description":"Call-out","quantity":"1","unitPrice":"80","taxCode":"GST"}]`, prd)))
	r.quiet(30 * time.Second)
	var id string
	objects, err := r.xero.Objects("invoices")
	must(t, err)
	if len(objects) != 1 {
		t.Fatalf("%d invoices in Xero: %s; %v", len(objects), text(objects), r.openCases())
	}
	var o struct {
		InvoiceID, Status, Reference string
		Total                        json.Number
	}
	b, _ := json.Marshal(objects[0])
	must(t, json.Unmarshal(b, &o))
	id = o.InvoiceID
	if o.Status != "AUTHORISED" || o.Total.String() != "153.84" {
		t.Errorf("in Xero: %s", b)
	}
	es := r.entities(domain.KindInvoice)
	if len(es) != 1 || es[0].ID != inv || es[0].Golden["number"].Empty() || domain.Amount(es[0].Golden["total"]).String() != "153.84" || es[0].Golden["customer"].Text() != cus {
		t.Fatalf("invoices: %+v", es)
	}
	if ls := domain.LinesOf(es[0].Golden["lines"]); len(ls) != 2 || ls[0].Product != prd {
		t.Errorf("lines: %+v", ls)
	}
	if cs := r.openCases(); len(cs) > 0 {
		t.Errorf("cases: %v", cs)
	}
	_, err = r.xero.Put("payments", "", map[string]any{"Invoice": map[string]any{"InvoiceID": id}, "Account": map[string]any{"Code": "090"}, "Date": "2026-03-20", "Amount": 153.84})
	must(t, err)
	eventually(t, 20*time.Second, "the payment", func() (bool, any) { n := len(r.entities(domain.KindPayment)); return n > 0, n })
	r.quiet(30 * time.Second)
	if e := r.entities(domain.KindInvoice)[0]; e.Stage != "PAID" || !domain.Amount(e.Golden["amountDue"]).IsZero() {
		t.Errorf("the invoice is %s, due %s", e.Stage, e.Golden["amountDue"])
	}
	if ps := r.entities(domain.KindPayment); len(ps) != 1 || domain.AllocationsOf(ps[0].Golden["allocations"])[0].Invoice != inv {
		t.Errorf("payments: %+v", ps)
	}
	if s := r.xero.Stats(); s.Creates != 3 { // contact, item, invoice: the payment was entered there
		t.Errorf("%d creates: %v", s.Creates, s.WriteCalls)
	}
}

// TestDealBecomesInvoice: a deal that is won in the CRM is a draft invoice in accounting, once, however often it is touched.
func TestDealBecomesInvoice(t *testing.T) {
	t.Parallel()
	r := newRig(t, documents)
	r.quiet(30 * time.Second)
	q := r.enter(domain.KindCustomer, "", fields("legalName", "Jo Citizen", "email", "jo@example.com"))
	r.quiet(30 * time.Second)
	quote := r.enter(domain.KindQuote, "", fields("customer", q, "title", "Kitchen", "stage", "SENT", "taxMode", "EXCLUSIVE", "lines", `[{"description":"Kitchen","quantity":"2","unitPrice":"100","taxCode":"GST"}]`))
	r.quiet(30 * time.Second)
	deals, err := r.crm.Objects("deals")
	must(t, err)
	if len(deals) != 1 {
		t.Fatalf("%d deals in the CRM; %v", len(deals), r.openCases())
	}
	deal := deals[0]
	b, _ := json.Marshal(deal)
	var d struct{ ID string }
	must(t, json.Unmarshal(b, &d))
	for i := range 3 {
		_, err = r.crm.Put("deals", d.ID, map[string]any{"dealstage": "closedwon", "description": fmt.Sprint("call ", i)})
		must(t, err)
	}
	eventually(t, 20*time.Second, "an invoice", func() (bool, any) {
		o, err := r.xero.Objects("invoices")
		return err == nil && len(o) > 0, r.openCases()
	})
	r.quiet(30 * time.Second)
	invoices, err := r.xero.Objects("invoices")
	must(t, err)
	es := r.entities(domain.KindInvoice)
	if len(invoices) != 1 || len(es) != 1 || es[0].Golden["origin"].Text() != quote || es[0].Stage != "DRAFT" || domain.Amount(es[0].Golden["total"]).String() != "220" {
		t.Fatalf("%d invoices in Xero %s; here %+v; cases %v", len(invoices), text(invoices), es, r.openCases())
	}
}

// TestDocumentsThatAreThereAlready: what accounting holds when Datum first looks is read in the order in which it refers to
// one another, without asking for every contact of every invoice.
func TestDocumentsThatAreThereAlready(t *testing.T) {
	t.Parallel()
	const n = 60
	r := newRig(t, documents, func(c *rigConfig) {
		c.poll = time.Hour // later looks are not counted
		c.seed = func(r *rig) {
			for i := range n {
				o, err := r.xero.Put("contacts", "", map[string]any{"Name": fmt.Sprintf("Company %d", i)})
				must(t, err)
				b, _ := json.Marshal(o)
				var contact struct{ ContactID string }
				must(t, json.Unmarshal(b, &contact))
				_, err = r.xero.Put("invoices", "", map[string]any{"Type": "ACCREC", "Contact": map[string]any{"ContactID": contact.ContactID}, "Date": "2026-03-02", "DueDate": "2026-03-30",
					"Status": "AUTHORISED", "LineItems": []any{map[string]any{"Description": "Work", "Quantity": 1, "UnitAmount": 100 + i, "AccountCode": "200", "TaxType": "OUTPUT"}}})
				must(t, err)
			}
		}
	})
	r.quiet(60 * time.Second)
	es := r.entities(domain.KindInvoice)
	linked := 0
	for _, e := range es {
		if !e.Golden["customer"].Empty() {
			linked++
		}
	}
	if len(es) != n || linked != n {
		t.Errorf("%d invoices, %d with a customer; want %d", len(es), linked, n)
	}
	if calls := r.xero.Stats().Requests; calls > 40 {
		t.Errorf("%d calls to read %d contacts and invoices", calls, n)
	}
}

func (r *rig) openCases() []string {
	r.t.Helper()
	cs, err := store.ListCases(context.Background(), r.pool, store.CaseFilter{Status: "open"}, nil, "", 100)
	must(r.t, err)
	var titles []string
	for _, c := range cs {
		titles = append(titles, c.Title+": "+c.Detail.Message)
	}
	return titles
}

// TestOnlyWhatIsNeeded: a system gets the customers that its invoices name, and no others.
func TestOnlyWhatIsNeeded(t *testing.T) {
	t.Parallel()
	r := newRig(t, documents, func(c *rigConfig) {
		c.policy = strings.Replace(c.policy, "replicate: {crm: always, accounting: always} # so that an invoice", "replicate: {crm: always, accounting: when_needed} # so that an invoice", 1)
	})
	r.quiet(30 * time.Second)
	var ids []string
	for i := range 3 {
		ids = append(ids, r.enter(domain.KindCustomer, "", fields("legalName", fmt.Sprint("Customer ", i), "email", fmt.Sprintf("c%d@example.com", i))))
	}
	r.enter(domain.KindInvoice, "", fields("customer", ids[1], "issueDate", "2026-03-02", "dueDate", "2026-03-30", "lines", `[{"description":"Work","unitPrice":"110"}]`))
	r.quiet(30 * time.Second)
	contacts, err := r.xero.Objects("contacts")
	must(t, err)
	invoices, err := r.xero.Objects("invoices")
	must(t, err)
	if len(contacts) != 1 || len(invoices) != 1 || !strings.Contains(text(contacts), "Customer 1") {
		t.Errorf("contacts %s, invoices %s; %v", text(contacts), text(invoices), r.openCases())
	}
}

// TestPaymentBeforeItsInvoiceIsIssued: a payment that accounting refuses because the invoice is still a draft is made when it is
// issued, by itself.
func TestPaymentBeforeItsInvoiceIsIssued(t *testing.T) {
	t.Parallel()
	r := newRig(t, documents)
	r.quiet(30 * time.Second)
	customer := r.enter(domain.KindCustomer, "", fields("legalName", "Jo Citizen", "email", "jo@example.com"))
	inv := r.enter(domain.KindInvoice, "", fields("customer", customer, "issueDate", "2026-03-02", "dueDate", "2026-03-30", "lines", `[{"description":"Work","unitPrice":"110"}]`))
	r.quiet(30 * time.Second)
	r.enter(domain.KindPayment, "", fields("customer", customer, "amount", aud("110"), "date", "2026-03-03", "allocations", fmt.Sprintf(`[{"invoice":%q,"amount":"110"}]`, inv)))
	eventually(t, 20*time.Second, "a case", func() (bool, any) { cs := r.openCases(); return len(cs) == 1, cs })
	var o struct{ InvoiceID string }
	invoices, err := r.xero.Objects("invoices")
	must(t, err)
	b, _ := json.Marshal(invoices[0])
	must(t, json.Unmarshal(b, &o))
	_, err = r.xero.Put("invoices", o.InvoiceID, map[string]any{"Status": "AUTHORISED"})
	must(t, err)
	eventually(t, 20*time.Second, "paid", func() (bool, any) { e := r.entities(domain.KindInvoice)[0]; return e.Stage == "PAID", e.Stage })
	r.quiet(30 * time.Second)
	if cs := r.openCases(); len(cs) > 0 {
		t.Errorf("cases: %v", cs)
	}
}

// TestQuietWithDocuments: looks at what accounting holds bring nothing in when nothing has changed, whatever the documents refer to.
func TestQuietWithDocuments(t *testing.T) {
	t.Parallel()
	r := newRig(t, documents)
	r.quiet(30 * time.Second)
	customer := r.enter(domain.KindCustomer, "", fields("legalName", "Jo Citizen", "email", "jo@example.com"))
	product := r.enter(domain.KindProduct, "", fields("sku", "TAP-1", "name", "Tap"))
	r.enter(domain.KindInvoice, "", fields("customer", customer, "issueDate", "2026-03-02", "dueDate", "2026-03-30", "stage", "AUTHORISED", "lines", fmt.Sprintf(`[{"product":%q,"unitPrice":"110"}]`, product)))
	r.quiet(30 * time.Second)
	pulls := func() (n int) {
		must(t, r.pool.QueryRow(context.Background(), `SELECT count(*) FROM river_job WHERE kind = 'pull' AND state = 'completed' AND args ->> 'kind' = 'Invoice'`).Scan(&n))
		return n
	}
	signals := func() (n int) {
		must(t, r.pool.QueryRow(context.Background(), `SELECT count(*) FROM signals`).Scan(&n))
		return n
	}
	looked := func(more int) {
		from := pulls()
		eventually(t, 30*time.Second, "looks", func() (bool, any) { n := pulls(); return n >= from+more, n })
	}
	looked(4) // the first looks after a write complete what its answer did not show
	r.quiet(30 * time.Second)
	before := signals()
	looked(4)
	if after := signals(); after != before {
		t.Errorf("%d signals while nothing has changed", after-before)
	}
}
