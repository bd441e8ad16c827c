package hubspot_test

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"datum/adapters"
	"datum/adapters/hubspot"
	"datum/adapters/hubspotsim"
	"datum/adapters/sim"
	"datum/domain"
)

// open connects another adapter to the bench's portal, with further settings.
func (b *bench) open(settings map[string]string) adapters.Adapter {
	b.t.Helper()
	a, err := hubspot.Vendor().Open(adapters.Session{System: "crm", BaseURL: b.url, Settings: settings,
		HTTP: doer{b.url, b.sim.Credentials()["privateToken"]}, Now: b.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.t.Fatal(err)
	}
	return a
}

func (b *bench) fetchAs(kind domain.Kind, external string) domain.Record {
	b.t.Helper()
	r, err := b.a.Fetch(b.t.Context(), kind, external)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// change writes values to the record, or makes a new one for nil.
func (b *bench) change(kind domain.Kind, id string, base *domain.Record, v domain.Values) adapters.Outcome {
	b.t.Helper()
	b.tick(time.Second)
	w := adapters.Write{Kind: kind, CanonicalID: id, Values: v, Golden: v, Base: base}
	if base != nil {
		w.ExternalID = base.ExternalID
	}
	return b.Writer.Write(b.t.Context(), []adapters.Write{w})[0]
}

func (b *bench) changed(kind domain.Kind, id string, base *domain.Record, v domain.Values) domain.Record {
	b.t.Helper()
	out := b.change(kind, id, base, v)
	if out.Err != nil {
		b.t.Fatal(out.Err)
	}
	return out.Record
}

// lineIDs are the ids of the live line items of a document, as HubSpot's own people see them.
func (b *bench) lineIDs(typ, external string) []string {
	b.t.Helper()
	all, err := b.sim.Objects(typ)
	if err != nil {
		b.t.Fatal(err)
	}
	var ids []string
	for _, o := range all {
		m := o.(map[string]any)
		if fmt.Sprint(typ, "/", m["id"]) != external {
			continue
		}
		links, _ := m["associations"].(map[string]any)["line_items"].(map[string]any)
		list, _ := links["results"].([]any)
		for _, l := range list {
			ids = append(ids, l.(map[string]string)["id"])
		}
	}
	return ids
}

func TestADealIsReadAsAQuote(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	firm := b.put("companies", "", map[string]any{"name": "Hartley"})
	widget := b.put("products", "", map[string]any{"name": "Widget", "hs_sku": "WID", "price": "12.50", "description": "blue"})
	deal := b.put("deals", "", map[string]any{"dealname": "Fit-out", "dealstage": "closedwon", "companies": firm, "hubspot_owner_id": "710000001", "amount": "99999", "line_items": []any{
		map[string]any{"hs_product_id": widget, "quantity": 3, "hs_discount_percentage": 10, "hs_tax_rate_group_id": hubspotsim.RateGST},
		map[string]any{"name": "Labour", "quantity": 2, "price": 95, "discount": 5, "hs_tax_rate_group_id": hubspotsim.RateFree, "hs_position_on_quote": -1},
		map[string]any{"name": "Said nothing", "quantity": 1, "price": 1}}})
	r := b.fetchAs(domain.KindQuote, "deals/"+deal)
	same(t, "the deal", r.Values, domain.Values{
		"title": text("Fit-out"), "stage": text("ACCEPTED"), "customer": text("ext:companies/" + firm), "salesOwner": text("mel@sales.example"),
		"currency": text("AUD"), "taxMode": text("EXCLUSIVE"), "subtotal": `{"amount":"214.75","currency":"AUD"}`, "total": "",
		"lines": domain.ValueOf([]domain.Line{
			{Description: "Labour", Quantity: "2", UnitPrice: "95", DiscountAmount: "10", TaxCode: "GST_FREE", Amount: "180"},
			{Product: "ext:products/" + widget, SKU: "WID", Description: "Widget\nblue", Quantity: "3", UnitPrice: "12.5", DiscountRate: "10", TaxCode: "GST", Amount: "33.75"},
			{Description: "Said nothing", Quantity: "1", UnitPrice: "1", Amount: "1"}})})
	if len(r.Issues) > 0 || len(r.Unknown) > 0 {
		t.Errorf("issues %v, unknown %v", r.Issues, r.Unknown)
	}
	// HubSpot's own sum of a line, shown to those who read it, is ours.
	for _, id := range b.lineIDs("deals", r.ExternalID) {
		all, _ := b.sim.Objects("line_items")
		for _, o := range all {
			if m := o.(map[string]any); m["id"] == id && !strings.Contains(string(r.Values["lines"]), fmt.Sprintf(`"amount":"%s"`, m["properties"].(map[string]any)["amount"])) {
				t.Errorf("HubSpot's amount %v is not in %s", m["properties"], r.Values["lines"])
			}
		}
	}

	inclusive := b.open(map[string]string{"taxMode": "INCLUSIVE", "currency": "NZD"})
	if r, err := inclusive.Fetch(t.Context(), domain.KindQuote, "deals/"+deal); err != nil || r.Values["subtotal"] != "" || r.Values["total"] != `{"amount":"214.75","currency":"NZD"}` {
		t.Errorf("with GST: %v %v", r.Values, err)
	}

	// A rate that is neither GST nor none is a problem, not a guess.
	b.put("deals", deal, map[string]any{"line_items": []any{map[string]any{"name": "Wine", "quantity": 1, "price": 10, "hs_tax_rate_group_id": hubspotsim.RateWine}}})
	r = b.fetchAs(domain.KindQuote, "deals/"+deal)
	if _, there := r.Values["lines"]; there || len(r.Issues) != 1 || r.Issues[0].Field != "lines" || r.Issues[0].Severity != domain.Problem || !strings.Contains(r.Issues[0].Message, "29%") {
		t.Errorf("a line with another tax: %v, issues %+v", r.Values["lines"], r.Issues)
	}
}

func TestStagesFollowThePipeline(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	const contracts = "738112201"
	deal := func(pipeline, stage string) string {
		return "deals/" + b.put("deals", "", map[string]any{"dealname": "x", "pipeline": pipeline, "dealstage": stage})
	}
	for _, c := range []struct{ pipeline, stage, want string }{
		{"default", "appointmentscheduled", "DRAFT"}, {"default", "contractsent", "SENT"}, {"default", "closedwon", "ACCEPTED"}, {"default", "closedlost", "DECLINED"},
		{contracts, "1090214411", "DRAFT"}, {contracts, "1090214412", "DRAFT"}, {contracts, "1090214413", "ACCEPTED"}, {contracts, "1090214414", "DECLINED"},
	} {
		r := b.fetchAs(domain.KindQuote, deal(c.pipeline, c.stage))
		if r.Values["stage"] != text(c.want) {
			t.Errorf("%s %s is %s, want %s", c.pipeline, c.stage, r.Values["stage"], c.want)
		}
		// From each stage to every other, which keeps the pipeline and shows in HubSpot as what it is nearest to.
		for _, to := range []string{"DRAFT", "SENT", "ACCEPTED", "DECLINED", "EXPIRED", "INVOICED", "ACCEPTED", "DRAFT", c.want} {
			r = b.changed(domain.KindQuote, "quo_1", &r, domain.Values{"stage": text(to)})
			got := b.fetchAs(domain.KindQuote, r.ExternalID)
			if r.Values["stage"] != text(to) || got.Values["stage"] != text(to) || !strings.Contains(string(got.Raw), `"pipeline":"`+c.pipeline+`"`) {
				t.Errorf("%s %s to %s: answer %s, fetch %s %s", c.pipeline, c.stage, to, r.Values["stage"], got.Values["stage"], got.Raw)
			}
			r = got
		}
		b.sim.Reset()
	}
	sent := b.open(map[string]string{"sentStages": "1090214412"})
	id := deal(contracts, "1090214412")
	if r, err := sent.Fetch(t.Context(), domain.KindQuote, id); err != nil || r.Values["stage"] != text("SENT") {
		t.Errorf("a stage named in the settings: %s %v", r.Values["stage"], err)
	}
	// A person who moves an invoiced deal is not overruled by our mark.
	r := b.fetchAs(domain.KindQuote, id)
	b.changed(domain.KindQuote, "quo_2", &r, domain.Values{"stage": text("INVOICED")})
	b.put("deals", strings.TrimPrefix(id, "deals/"), map[string]any{"dealstage": "1090214414"})
	if r := b.fetchAs(domain.KindQuote, id); r.Values["stage"] != text("DECLINED") {
		t.Errorf("moved by a person: %s", r.Values["stage"])
	}
	if out := b.change(domain.KindQuote, "quo_3", nil, domain.Values{"title": text("No stage")}); out.Err != nil || out.Record.Values["stage"] != text("DRAFT") {
		t.Errorf("a new quote without a stage: %v %v", out.Record.Values, out.Err)
	}
	lost := b.open(map[string]string{"pipeline": "nowhere"})
	if out := lost.(adapters.Writer).Write(t.Context(), []adapters.Write{{Kind: domain.KindQuote, CanonicalID: "quo_4", Values: domain.Values{"title": text("x")}}})[0]; domain.CodeOf(out.Err) != domain.Invalid || !strings.Contains(out.Err.Error(), "nowhere") {
		t.Errorf("a pipeline that is not there: %v", out.Err)
	}
}

func TestOnlyLinesThatDifferAreWritten(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	line := func(name, quantity string) domain.Line {
		return domain.Line{Description: name, Quantity: quantity, UnitPrice: "10", TaxCode: "GST"}
	}
	list := func(ls ...domain.Line) domain.Values { return domain.Values{"lines": domain.ValueOf(ls)} }
	v := list(line("a", "1"), line("b", "2"), line("b", "2"), line("c", "3"))
	v["title"] = text("Deal")
	r := b.changed(domain.KindQuote, "quo_1", nil, v)
	before := b.lineIDs("deals", r.ExternalID)
	if len(before) != 4 || !strings.Contains(string(r.Raw), `"amount":"80"`) {
		t.Fatalf("%d line items of %s", len(before), r.Raw)
	}
	steps := func(f func()) (n int) {
		at := b.sim.Stats().Requests
		f()
		return b.sim.Stats().Requests - at
	}
	// One quantity: the deal for its amount, and one line.
	n := steps(func() {
		r = b.changed(domain.KindQuote, "quo_1", &r, list(line("a", "1"), line("b", "2"), line("b", "5"), line("c", "3")))
	})
	if ids := b.lineIDs("deals", r.ExternalID); n != 2 || !slices.Equal(ids, before) {
		t.Errorf("one quantity: %d requests, line items %v, before %v", n, ids, before)
	}
	// Reordered: positions only, the same line items.
	r = b.changed(domain.KindQuote, "quo_1", &r, list(line("c", "3"), line("b", "5"), line("a", "1"), line("b", "2")))
	if ids := b.lineIDs("deals", r.ExternalID); !slices.Equal(ids, before) {
		t.Errorf("reordered: line items %v, before %v", ids, before)
	}
	same(t, "reordered", b.fetchAs(domain.KindQuote, r.ExternalID).Values, r.Values)
	// Two go, one comes.
	r = b.changed(domain.KindQuote, "quo_1", &r, list(line("c", "3"), line("d", "4")))
	ids := b.lineIDs("deals", r.ExternalID)
	if len(ids) != 2 || b.count("line_items") != 2 {
		t.Errorf("two left: %v, %d line items in all", ids, b.count("line_items"))
	}
	same(t, "two left", b.fetchAs(domain.KindQuote, r.ExternalID).Values, r.Values)
	// The same again writes nothing of the lines.
	noop := b.sim.Stats().NoopUpdates
	if n := steps(func() { b.changed(domain.KindQuote, "quo_1", &r, list(line("c", "3"), line("d", "4"))) }); n != 1 {
		t.Errorf("the same again: %d requests, %d without effect", n, b.sim.Stats().NoopUpdates-noop)
	}
	// A line that a person removed meanwhile: the record has to be read again, and then it works.
	if err := b.sim.Delete("line_items", ids[1]); err != nil {
		t.Fatal(err)
	}
	want := list(line("c", "9"), line("d", "4"))
	if out := b.change(domain.KindQuote, "quo_1", &r, want); domain.CodeOf(out.Err) != domain.NotFound {
		t.Errorf("a line that is gone: %v", out.Err)
	}
	r = b.fetchAs(domain.KindQuote, r.ExternalID)
	r = b.changed(domain.KindQuote, "quo_1", &r, want)
	if got := b.fetchAs(domain.KindQuote, r.ExternalID); got.Values["lines"] != r.Values["lines"] || domain.Essence(got.Values["lines"]) != domain.Essence(want["lines"]) {
		t.Errorf("after reading again: %s", got.Values["lines"])
	}
}

func TestLinesAreMadeOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	v := domain.Values{"number": text("#1001"), "lines": domain.ValueOf([]domain.Line{{Description: "a", Quantity: "1", UnitPrice: "1"}, {Description: "a", Quantity: "1", UnitPrice: "1"}, {Description: "b"}})}
	for _, path := range []string{"/objects/line_items/batch/upsert", "/line_items/batch/associate"} {
		for _, kind := range []string{sim.FaultResetBefore, sim.FaultReset} {
			if _, err := b.sim.AddFault(sim.Fault{Kind: kind, Path: path, Count: 1}); err != nil {
				t.Fatal(err)
			}
			out := b.change(domain.KindOrder, "ord_1", nil, v)
			if domain.CodeOf(out.Err) != domain.Unavailable && domain.CodeOf(out.Err) != domain.Unknown || out.Record.ExternalID == "" {
				t.Errorf("%s %s: %v, record %q", kind, path, out.Err, out.Record.ExternalID)
			}
		}
	}
	r := b.changed(domain.KindOrder, "ord_1", nil, v)
	if got := b.fetchAs(domain.KindOrder, r.ExternalID); b.count("orders") != 1 || b.count("line_items") != 3 || domain.Essence(got.Values["lines"]) != domain.Essence(v["lines"]) {
		t.Errorf("%d orders, %d line items, %s", b.count("orders"), b.count("line_items"), got.Values["lines"])
	}
	// What others see in HubSpot's own columns, and what they write there is not ours.
	b.changed(domain.KindOrder, "ord_1", &r, domain.Values{"stage": text("CANCELLED"), "fulfilmentStatus": text("PARTIAL")})
	all, err := b.sim.Objects("orders")
	if p := all[0].(map[string]any)["properties"].(map[string]any); err != nil || p["hs_external_order_status"] != "cancelled" || p["hs_fulfillment_status"] != "partial" {
		t.Errorf("HubSpot's own columns: %v %v", p, err)
	}
	b.put("orders", strings.TrimPrefix(r.ExternalID, "orders/"), map[string]any{"hs_external_order_status": "Shipped by hand"})
	if got := b.fetchAs(domain.KindOrder, r.ExternalID); got.Values["stage"] != text("CANCELLED") || len(got.Issues) > 0 {
		t.Errorf("words of somebody else: %s %v", got.Values["stage"], got.Issues)
	}
	// A line that HubSpot refuses: the order is there, its lines say why they are not.
	out := b.change(domain.KindOrder, "ord_2", nil, domain.Values{"number": text("#1002"), "lines": domain.ValueOf([]domain.Line{{Product: "ext:products/1", Quantity: "1", UnitPrice: "1"}})})
	if e := domain.AsError(out.Err); e == nil || e.Code != domain.Invalid || e.Field != "lines" || out.Record.CanonicalID != "ord_2" || !strings.Contains(e.Message, "does not exist") {
		t.Errorf("a product that is not there: %v, record %q", out.Err, out.Record.CanonicalID)
	}
}

func TestLineEditsLeadToTheirDocument(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	deal := b.put("deals", "", map[string]any{"dealname": "x", "line_items": []any{map[string]any{"name": "a", "quantity": 1, "price": 10}}})
	order := b.put("orders", "", map[string]any{"hs_order_name": "y", "line_items": []any{map[string]any{"name": "b", "quantity": 1, "price": 10}}})
	cursors := map[domain.Kind]string{}
	poll := func(kind domain.Kind) (rs []domain.Record) {
		t.Helper()
		for range 50 {
			p, err := b.a.Changes(t.Context(), kind, cursors[kind])
			if err != nil {
				t.Fatal(err)
			}
			rs, cursors[kind] = append(rs, p.Records...), p.Cursor
			if !p.More {
				return rs
			}
		}
		t.Fatal("the poll does not end")
		return nil
	}
	b.tick(time.Hour)
	if q, o := ids(poll(domain.KindQuote)), ids(poll(domain.KindOrder)); q != "deals/"+deal || o != "orders/"+order {
		t.Errorf("the backfill: quotes %s, orders %s", q, o)
	}
	b.tick(time.Hour)
	line := b.lineIDs("deals", "deals/"+deal)[0]
	b.put("line_items", line, map[string]any{"quantity": 7})
	rs := poll(domain.KindQuote)
	if ids(rs) != "deals/"+deal || len(rs[0].AnswersFor) != 0 || domain.LinesOf(rs[0].Values["lines"])[0].Quantity != "7" {
		t.Errorf("an edit of a line: %s", ids(rs))
	}
	if o := poll(domain.KindOrder); len(o) != 0 {
		t.Errorf("the order of another line came: %s", ids(o))
	}
	if r := b.fetchAs(domain.KindQuote, "line_items/"+line); r.ExternalID != "deals/"+deal || !slices.Equal(r.AnswersFor, []string{"line_items/" + line}) {
		t.Errorf("the line's deal: %s, answers for %v", r.ExternalID, r.AnswersFor)
	}
	if _, err := b.a.Fetch(t.Context(), domain.KindOrder, "line_items/"+line); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("the line's order: %v", err)
	}
	if _, err := b.a.Changes(t.Context(), domain.KindOrder, `{"o":"deals"}`); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("the cursor of another kind: %v", err)
	}
}

func TestTheCustomerOfADeal(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	first, second, third := b.put("companies", "", map[string]any{"name": "A"}), b.put("companies", "", map[string]any{"name": "B"}), b.put("companies", "", map[string]any{"name": "C"})
	staff := b.put("contacts", "", map[string]any{"firstname": "Staff", "companies": third})
	solo, other := b.put("contacts", "", map[string]any{"firstname": "Solo"}), b.put("contacts", "", map[string]any{"firstname": "Other"})
	deal := b.put("deals", "", map[string]any{"dealname": "x", "companies": second + ";" + first, "contacts": solo})
	customer := func(want string) domain.Record {
		t.Helper()
		r := b.fetchAs(domain.KindQuote, "deals/"+deal)
		if got := r.Values["customer"].Text(); got != want {
			t.Errorf("the customer is %q, want %q", got, want)
		}
		return r
	}
	set := func(r domain.Record, to string) {
		t.Helper()
		out := b.changed(domain.KindQuote, "quo_1", &r, domain.Values{"customer": text(to)})
		if got := out.Values["customer"].Text(); got != to {
			t.Errorf("the answer says %q, want %q", got, to)
		}
	}
	r := customer("ext:companies/" + second) // the first associated is the primary one
	set(r, "ext:companies/"+third)
	r = customer("ext:companies/" + third)
	if !strings.Contains(string(r.Raw), first) || strings.Contains(string(r.Raw), `"`+second+`"`) || !strings.Contains(string(r.Raw), solo) {
		t.Errorf("another company and the contact stay, the former customer goes: %s", r.Raw)
	}
	set(r, "ext:companies/"+first)
	r = customer("ext:companies/" + first)
	b.put("deals", deal, map[string]any{"contacts": other})
	set(b.fetchAs(domain.KindQuote, "deals/"+deal), "ext:contacts/"+other)
	r = customer("ext:contacts/" + other) // although there is an older contact
	set(r, "")
	r = customer("")
	b.put("deals", deal, map[string]any{"contacts": staff})
	customer("ext:companies/" + third) // a contact of a company stands for it
	if out := b.change(domain.KindQuote, "quo_1", &r, domain.Values{"customer": text("cus_01")}); domain.CodeOf(out.Err) != domain.Invalid {
		t.Errorf("an id of ours: %v", out.Err)
	}
}

func TestAnInvoiceIsAMirror(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	firm := b.put("companies", "", map[string]any{"name": "A"})
	who := b.put("contacts", "", map[string]any{"firstname": "Jo"})
	v := domain.Values{"number": text("INV-0042"), "customer": text("ext:companies/" + firm), "stage": text("AUTHORISED"), "dueDate": text("2026-03-31"), "currency": text("AUD"),
		"total": `{"amount":"110.00","currency":"AUD"}`, "amountDue": `{"amount":"110.00","currency":"AUD"}`}
	r := b.changed(domain.KindInvoice, "inv_1", nil, v)
	same(t, "the mirror", b.fetchAs(domain.KindInvoice, r.ExternalID).Values, v)
	paid := domain.Values{"stage": text("PAID"), "amountDue": `{"amount":"0.00","currency":"AUD"}`, "amountPaid": `{"amount":"110.00","currency":"AUD"}`}
	r = b.changed(domain.KindInvoice, "inv_1", &r, paid)
	same(t, "paid", b.fetchAs(domain.KindInvoice, r.ExternalID).Values, paid)
	all, err := b.sim.Objects("invoices")
	if err != nil || len(all) != 1 || all[0].(map[string]any)["properties"].(map[string]any)["hs_invoice_status"] != "draft" {
		t.Errorf("HubSpot must not bill it: %v %v", all, err)
	}
	// Somebody opens it on HubSpot's screen: its stage is still shown, its own dates are HubSpot's from then on.
	id := strings.TrimPrefix(r.ExternalID, "invoices/")
	b.put("invoices", id, map[string]any{"contacts": who, "line_items": []any{map[string]any{"name": "x", "quantity": 1, "price": 5}}})
	b.put("invoices", id, map[string]any{"hs_invoice_status": "open"})
	r = b.fetchAs(domain.KindInvoice, r.ExternalID)
	b.changed(domain.KindInvoice, "inv_1", &r, domain.Values{"stage": text("VOIDED")})
	if out := b.change(domain.KindInvoice, "inv_1", &r, domain.Values{"dueDate": text("2026-04-30")}); domain.CodeOf(out.Err) != domain.Invalid || domain.AsError(out.Err).Field != "dueDate" || !strings.Contains(out.Err.Error(), "open") {
		t.Errorf("a date of an open invoice: %v", out.Err)
	}
	if out := b.change(domain.KindPayment, "pay_1", nil, domain.Values{}); domain.CodeOf(out.Err) != domain.Unsupported {
		t.Errorf("a kind that HubSpot does not carry: %v", out.Err)
	}
	if h, err := b.open(map[string]string{"currency": "NZD"}).(adapters.Checker).Check(t.Context()); err != nil || len(h.Problems) != 1 || !strings.Contains(h.Problems[0], "NZD") {
		t.Errorf("prices in another currency than the account's: %v %v", h.Problems, err)
	}
	for name, settings := range map[string]map[string]string{"currency": {"currency": "dollars"}, "taxMode": {"taxMode": "some"}, "pageSize": {"pageSize": "0"}} {
		if _, err := hubspot.Vendor().Open(adapters.Session{Settings: settings}); domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), name) {
			t.Errorf("the setting %s: %v", name, err)
		}
	}
}

func TestWebhooksOfDocuments(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	h := newHooks(t, b)
	signals := func() map[string]bool {
		t.Helper()
		all := map[string]bool{}
		for _, hook := range h.wait(t, b) {
			n, err := b.Notifier.Receive(hook, []string{b.sim.Credentials()["webhookKey"]})
			if err != nil {
				t.Fatal(err)
			}
			seen := map[string]bool{}
			for _, s := range n.Signals {
				if s.DedupeKey == "" || seen[s.DedupeKey] {
					t.Errorf("the dedupe key of %s is %q", s.ExternalID, s.DedupeKey)
				}
				seen[s.DedupeKey] = true
				id := string(s.Kind) + " " + s.ExternalID
				if s.Deleted {
					id += " deleted"
				}
				// What the stored record says already is an echo.
				all[id] = all[id] || s.Hint == nil || s.Deleted || !b.says(s)
			}
		}
		return all
	}
	expect := func(what string, want ...string) {
		t.Helper()
		got := signals()
		for _, w := range want {
			if !got[w] {
				t.Errorf("%s: no news of %s in %v", what, w, got)
			}
		}
		for g, news := range got {
			if news && !slices.Contains(want, g) {
				t.Errorf("%s: news of %s", what, g)
			}
		}
	}
	firm := b.put("companies", "", map[string]any{"name": "A"})
	deal := b.put("deals", "", map[string]any{"dealname": "x"})
	product := b.put("products", "", map[string]any{"name": "Widget"})
	order := b.put("orders", "", map[string]any{"hs_order_name": "#1"})
	h.wait(t, b)
	b.keep(domain.KindQuote, "deals/"+deal)
	b.keep(domain.KindOrder, "orders/"+order)
	b.keep(domain.KindCustomer, "companies/"+firm)

	b.put("deals", deal, map[string]any{"dealstage": "closedwon"})
	expect("a stage", "Quote deals/"+deal)
	b.keep(domain.KindQuote, "deals/"+deal)
	b.put("deals", deal, map[string]any{"companies": firm})
	expect("a customer", "Quote deals/"+deal)
	b.put("products", product, map[string]any{"price": "2"})
	expect("a price", "Product products/"+product)
	b.put("orders", order, map[string]any{"hs_source_store": "web"})
	expect("an order", "Order orders/"+order)
	b.put("deals", deal, map[string]any{"line_items": []any{map[string]any{"name": "a", "quantity": 1, "price": 1}}})
	line := b.lineIDs("deals", "deals/"+deal)[0]
	expect("a new line", "Quote deals/"+deal, "Quote line_items/"+line)
	b.put("line_items", line, map[string]any{"quantity": 2})
	expect("an edited line", "Quote line_items/"+line)
	b.keep(domain.KindQuote, "deals/"+deal)
	if err := b.sim.Delete("line_items", line); err != nil {
		t.Fatal(err)
	}
	expect("a line that goes", "Quote deals/"+deal)

	// Our own writes say nothing that the answers to them did not.
	r := b.fetchAs(domain.KindQuote, "deals/"+deal)
	for _, v := range []domain.Values{{"lines": domain.ValueOf([]domain.Line{{Description: "ours", Quantity: "1", UnitPrice: "1"}})}, {"customer": domain.Null, "stage": text("SENT")}, {"lines": domain.Null}} {
		r = b.changed(domain.KindQuote, "quo_1", &r, v)
		b.kept["deals/"+deal] = r
		expect(fmt.Sprintf("our own write of %s", v))
	}
	if err := b.sim.Delete("deals", deal); err != nil {
		t.Fatal(err)
	}
	expect("a deletion", "Quote deals/"+deal+" deleted")
}
