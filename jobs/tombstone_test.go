package jobs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/store"
)

// entity returns the entity of a system's record; "" if there is none.
func (r *rig) entity(system string, kind domain.Kind, external string) string {
	r.t.Helper()
	for _, ext := range []string{external, external[strings.LastIndexByte(external, '/')+1:]} {
		rec, err := store.RecordByID(context.Background(), r.pool, system, kind, ext)
		must(r.t, err)
		if rec != nil {
			return rec.EntityID
		}
	}
	return ""
}

func (r *rig) projection(id, system string) *store.Projection {
	r.t.Helper()
	ps, err := store.ProjectionsOf(context.Background(), r.pool, []string{id})
	must(r.t, err)
	for _, p := range ps {
		if p.System == system {
			return p
		}
	}
	return nil
}

// onScreen enters something on a vendor's own screen and returns the member that is its id.
func onScreen(t testing.TB, s simulator, typ, id, member string, v values) string {
	t.Helper()
	o, err := s.Put(typ, id, v)
	must(t, err)
	return fmt.Sprint(plain(o)[member])
}

// one finds the object of a type by a member.
func one(t testing.TB, s simulator, typ, member, value string) values {
	t.Helper()
	objects, err := s.Objects(typ)
	must(t, err)
	for _, o := range objects {
		if m := plain(o); strings.EqualFold(fmt.Sprint(m[member]), value) {
			return m
		}
	}
	return nil
}

// TestDeletionsAreTombstones: what is deleted, voided, cancelled or deprecated on a vendor's own screens is followed, kept readable
// with its lines, and never made again; what is the owner's ends everywhere, what is another's ends only there.
func TestDeletionsAreTombstones(t *testing.T) {
	t.Parallel()
	m := newMarket(t)
	const main = "Main Warehouse"
	for _, sku := range []string{"TAP-1", "SINK-1", "HOSE-1"} {
		onScreen(t, m.stock, "products", "", "ID", values{"SKU": sku, "Name": sku + " of steel", "PriceTier1": "110.00", "SaleTaxRule": "GST on Income"})
		onScreen(t, m.stock, "availability", "", "ID", values{"SKU": sku, "Location": main, "OnHand": 20})
		onScreen(t, m.shop, "product", "", "id", values{"title": sku + " of steel", "sku": sku, "price": "110.00", "taxable": true, "quantity": 20})
	}
	bin := onScreen(t, m.stock, "locations", "", "ID", values{"Name": "Old shed"})
	shopper := onScreen(t, m.shop, "customer", "", "id", values{"name": "Aisha Rahman", "email": "aisha@shoppers.example"})
	eventually(t, 60*time.Second, "what was entered is known and everywhere", func() (bool, any) {
		known := 0
		for _, e := range m.entities(domain.KindProduct) {
			if p := m.projection(e.ID, "accounting"); p != nil && p.Status == store.Confirmed && strings.HasSuffix(e.Golden["sku"].Text(), "-1") {
				known++
			}
		}
		return known == 3 && m.entity("shop", domain.KindCustomer, shopper) != "" && m.entity("warehouse", domain.KindLocation, bin) != "", known
	})
	m.calm()
	customer := m.entity("shop", domain.KindCustomer, shopper)
	sku := func(id string) string { return m.golden(id)["sku"].Text() }
	products := map[string]string{}
	for _, e := range m.entities(domain.KindProduct) {
		products[sku(e.ID)] = e.ID
	}
	buy := func() string {
		return onScreen(t, m.shop, "order", "", "id", values{"customerId": shopper, "lines": []any{values{"sku": "SINK-1", "quantity": 2}}, "financialStatus": "paid"})
	}
	cancelledIn, deletedIn, closedIn := buy(), buy(), buy()
	invoice := func(stage string) string {
		return m.enter(domain.KindInvoice, "", fields("customer", customer, "issueDate", "2026-03-02", "dueDate", "2026-03-30", "stage", stage,
			"lines", fmt.Sprintf(`[{"product":%q,"quantity":"1","unitPrice":"110","taxCode":"GST"}]`, products["TAP-1"])))
	}
	draft, issued, paid, kept := invoice("DRAFT"), invoice("AUTHORISED"), invoice("AUTHORISED"), invoice("AUTHORISED")
	m.calm()
	order := func(id string) string { return m.entity("shop", domain.KindOrder, id) }
	eventually(t, 60*time.Second, "the sales", func() (bool, any) {
		n := 0
		for _, id := range []string{cancelledIn, deletedIn, closedIn} {
			if o := order(id); o != "" {
				if p := m.projection(o, "warehouse"); p != nil && p.Status == store.Confirmed {
					n++
				}
			}
		}
		return n == 3, m.openCases()
	})
	cancelled, deleted, closed := order(cancelledIn), order(deletedIn), order(closedIn)
	contact := m.external("accounting", customer)
	paymentIn := onScreen(t, m.xero, "payments", "", "PaymentID", values{"Invoice": values{"InvoiceID": m.external("accounting", paid)}, "Account": values{"Code": "090"}, "Date": "2026-03-20", "Amount": 110})
	noteIn := onScreen(t, m.xero, "creditnotes", "", "CreditNoteID", values{"Type": "ACCRECCREDIT", "Contact": values{"ContactID": contact}, "Date": "2026-03-02", "Status": "AUTHORISED",
		"LineItems": []any{values{"Description": "Work", "Quantity": 1, "UnitAmount": 11, "AccountCode": "200", "TaxType": "OUTPUT"}}})
	eventually(t, 30*time.Second, "the payment and the credit note", func() (bool, any) {
		p, n := m.entity("accounting", domain.KindPayment, paymentIn), m.entity("accounting", domain.KindCreditNote, noteIn)
		return p != "" && n != "", []string{p, n}
	})
	m.calm()
	payment, note := m.entity("accounting", domain.KindPayment, paymentIn), m.entity("accounting", domain.KindCreditNote, noteIn)
	if cs := m.openCases(); len(cs) > 0 || payment == "" || note == "" || m.golden(paid)["stage"] != `"PAID"` {
		t.Fatalf("before: payment %q, credit note %q, invoice %s, cases %v", payment, note, m.golden(paid)["stage"], cs)
	}
	creates := func() (all string) {
		for _, name := range []string{"accounting", "branch", "crm", "shop", "warehouse"} {
			all += fmt.Sprint(name, " ", m.sims()[name].Stats().Creates, " ")
		}
		return all
	}
	before := creates()
	lines := map[string]domain.Value{}
	for _, id := range []string{cancelled, deleted, closed, draft, issued, paid, kept, note} {
		lines[id] = m.golden(id)["lines"]
	}

	branchInvoice := m.external("branch", kept)
	branchItem := m.external("branch", products["TAP-1"])
	must(t, m.xero.Delete("payments", paymentIn))
	must(t, m.xero.Delete("creditnotes", noteIn))
	must(t, m.xero.Delete("invoices", m.external("accounting", draft)))
	must(t, m.xero.Delete("invoices", m.external("accounting", issued)))
	must(t, m.branch.Delete("invoices", branchInvoice))
	must(t, m.stock.Delete("products", m.external("warehouse", products["SINK-1"])))
	must(t, m.stock.Delete("locations", bin))
	must(t, m.xero.Delete("items", m.external("accounting", products["HOSE-1"])))
	must(t, m.shop.Delete("product", one(t, m.shop, "product", "title", "HOSE-1 of steel")["id"].(string)))
	onScreen(t, m.shop, "order", cancelledIn, "id", values{"cancelled": true})
	onScreen(t, m.shop, "order", closedIn, "id", values{"closed": true})
	m.calm()
	must(t, m.shop.Delete("order", closedIn))
	must(t, m.shop.Delete("order", deletedIn))
	m.calm()
	m.sweep("branch", domain.KindInvoice, domain.KindProduct, domain.KindPayment, domain.KindCreditNote)
	m.sweep("accounting", domain.KindProduct, domain.KindInvoice, domain.KindPayment, domain.KindCreditNote)
	m.sweep("shop", domain.KindOrder, domain.KindProduct)
	m.sweep("warehouse", domain.KindProduct, domain.KindLocation, domain.KindOrder)

	for what, c := range map[string]struct{ id, field, want string }{
		"a draft deleted in Xero":                           {draft, "stage", "VOIDED"},
		"an invoice voided in Xero":                         {issued, "stage", "VOIDED"},
		"a credit note voided in Xero":                      {note, "stage", "VOIDED"},
		"a payment deleted in Xero":                         {payment, "stage", "VOIDED"},
		"what the payment paid":                             {paid, "stage", "AUTHORISED"},
		"an invoice deleted in MYOB, which does not own it": {kept, "stage", "AUTHORISED"},
		"an order cancelled in Shopify":                     {cancelled, "stage", "CANCELLED"},
		"an order deleted in Shopify":                       {deleted, "stage", "CANCELLED"},
		"an order that was archived before":                 {closed, "stage", "CLOSED"},
		"a product deprecated in Cin7 Core":                 {products["SINK-1"], "status", "ARCHIVED"},
		"a product deleted in Xero and Shopify":             {products["HOSE-1"], "status", "ACTIVE"},
		"a location deleted in Cin7 Core":                   {m.entity("warehouse", domain.KindLocation, bin), "status", "ARCHIVED"},
	} {
		if got := m.golden(c.id)[domain.Field(c.field)].Text(); got != c.want {
			t.Errorf("%s is %s, want %s", what, got, c.want)
		}
	}
	if due := domain.Amount(m.golden(paid)["amountDue"]).String(); due != "110" {
		t.Errorf("%s is due of what the payment paid", due)
	}
	// Lines stay readable, to the product.
	ask := m.api()
	for id, was := range lines {
		if got := m.golden(id)["lines"]; got != was {
			t.Errorf("the lines of %s were %s and are %s", id, was, got)
		}
		e := ask("", `query($id: ID!) { node(id: $id) { ... on Invoice { lines { product { sku } quantity } } ... on Order { lines { product { sku } quantity } } ... on CreditNote { lines { product { sku } quantity } } } }`, values{"id": id})
		if ls, _ := e["node"].(values)["lines"].([]any); len(ls) != 1 || id != note && ls[0].(values)["product"] == nil {
			t.Errorf("the lines of %s over GraphQL: %v", id, e)
		}
	}
	// What the owner ended is ended in the other systems; what another has deleted is left deleted there.
	if o := one(t, m.crm, "invoices", "id", m.external("crm", issued)); fmt.Sprint(o["properties"].(values)["invoice_stage"]) != "VOIDED" {
		t.Errorf("the CRM's copy of the voided invoice: %v", o)
	}
	if n := len(objectsOf(t, m.branch, "invoices")); n != 4 { // of the three orders, and what was paid; the voided one is deleted there
		t.Errorf("%d invoices in MYOB: %s", n, text(objectsOf(t, m.branch, "invoices")))
	}
	for what, c := range map[string]struct{ id, system string }{"an invoice in MYOB": {kept, "branch"}, "a product in Xero": {products["HOSE-1"], "accounting"}} {
		if p := m.projection(c.id, c.system); p == nil || p.Status != store.Detached || !strings.Contains(p.Error, "not created again") {
			t.Errorf("%s that was deleted there: %+v", what, p)
		}
	}
	if o := one(t, m.branch, "items", "UID", branchItem); o == nil {
		t.Error("the product that is still sold is gone from MYOB")
	}
	for _, id := range []string{cancelled, deleted} {
		if o := one(t, m.stock, "sales", "ID", m.external("warehouse", id)); o["Status"] != "VOIDED" {
			t.Errorf("the sale of an order called off: %v", o)
		}
	}
	if o := one(t, m.stock, "sales", "ID", m.external("warehouse", closed)); o["Status"] == "VOIDED" {
		t.Error("the sale of an order that was sent is voided")
	}
	// A change of what was deleted in one system reaches the others and does not bring it back.
	m.enter(domain.KindProduct, products["HOSE-1"], fields("purchasePrice", aud("20")))
	m.calm()
	m.sweep("accounting", domain.KindProduct)
	if after := creates(); after != before {
		t.Errorf("something was made again: %s, before %s", after, before)
	}
	if one(t, m.xero, "items", "Code", "HOSE-1") != nil {
		t.Error("the item is in Xero again")
	}
}

func objectsOf(t testing.TB, s simulator, typ string) []any {
	t.Helper()
	objects, err := s.Objects(typ)
	must(t, err)
	return objects
}
