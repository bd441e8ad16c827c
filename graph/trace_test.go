package graph_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/store"
)

func (f *fixture) exec(sql string, args ...any) {
	f.t.Helper()
	if _, err := f.pool.Exec(context.Background(), sql, args...); err != nil {
		f.t.Fatal(err)
	}
}

// A customer's way through the systems: heard of, decided, told to accounting, changed by an app, proposed and decided.
func TestTrace(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx := t.Context()
	if _, err := store.InsertSignals(ctx, f.pool, []store.Signal{
		{System: "crm", Kind: domain.KindCustomer, ExternalID: "c1", Source: "webhook", CorrelationID: "cor-c1"},
		{System: "crm", Kind: domain.KindCustomer, ExternalID: "c2", Source: "webhook", CorrelationID: "cor-c2"}}); err != nil {
		t.Fatal(err)
	}
	id := f.customer("c1", "Wattle Pty Ltd")
	f.customer("c2", "Hakea Pty Ltd")
	exchange := func(correlation, path, body string) store.Exchange {
		return store.Exchange{System: "crm", CorrelationID: correlation, SentAt: time.Now(), Method: "GET", Path: path, Status: 200, ResponseBody: body}
	}
	calls := []store.Exchange{exchange("cor-c1", "/contacts/c1", ""), exchange("cor-c2", "/contacts/c2", ""), exchange("", "/nothing", "")}
	for i := range 25 { // one pass over everything
		calls = append(calls, exchange("cor-sweep", fmt.Sprint("/list/", i), map[bool]string{true: `{"id":"c1"}`}[i == 7]))
	}
	if err := store.InsertExchanges(ctx, f.pool, calls); err != nil {
		t.Fatal(err)
	}
	f.exec("UPDATE projections SET correlation_id = 'cor-sweep' WHERE entity_id = $1", id)
	r := f.ask(store.RoleEditor, update, object{"id": id, "values": object{"legalName": "Wattle Group Pty Ltd"}})
	proposal := r.text("updateCustomer", "userErrors", 0, "caseId")
	if proposal == "" {
		t.Fatalf("no proposal: %v", r.Data)
	}
	f.ask(store.RoleOperator, `mutation($id: ID!) { resolveCase(input: {id: $id, choice: "keep_ours"}) { userErrors { message } } }`, object{"id": proposal})

	type step struct{ kind, title, system, actor string }
	walk := func(first int) (steps []step) {
		var after any
		last := ""
		for {
			r := f.ask(store.RoleReader, `query($id: ID!, $first: Int, $after: String) { trace(id: $id, first: $first, after: $after) { nodes { at kind title system actor correlationId detail } pageInfo { hasNextPage endCursor } } }`,
				object{"id": id, "first": first, "after": after})
			for i := range r.list("trace", "nodes") {
				at := func(name string) string { return r.text("trace", "nodes", i, name) }
				steps = append(steps, step{at("kind"), at("title"), at("system"), at("actor")})
				when, err := time.Parse(time.RFC3339Nano, at("at"))
				if now := when.Format("2006-01-02T15:04:05.000000"); err != nil || now < last {
					t.Errorf("step %d is of %s, after one of %s (%v)", i, at("at"), last, err)
				} else {
					last = now
				}
			}
			if r.at("trace", "pageInfo", "hasNextPage") != true {
				return steps
			}
			after = r.at("trace", "pageInfo", "endCursor")
		}
	}
	steps := walk(100)
	if small := walk(3); !slices.Equal(small, steps) {
		t.Errorf("by threes: %v, at once: %v", small, steps)
	}
	for _, want := range []step{
		{"SIGNAL", "webhook about Customer c1: pending", "crm", ""}, {"DECISION", "created", "", "system:crm"}, {"DECISION", "set legalName from crm", "crm", "system:crm"}, {"EXCHANGE", "GET /contacts/c1: 200", "crm", ""},
		{"EXCHANGE", "GET /list/7: 200", "crm", ""}, {"PROJECTION", "accounting is parked: waits for", "accounting", ""}, {"PERSON", "proposed legalName", "ops", "editor"},
		{"CASE", "opened: Wattle Pty Ltd: ops proposes another legalName", "ops", ""}, {"PERSON", "resolved (keep_ours): Wattle Pty Ltd: ops proposes another legalName", "ops", "operator"},
	} {
		if !slices.ContainsFunc(steps, func(s step) bool {
			return s.kind == want.kind && strings.HasPrefix(s.title, want.title) && s.system == want.system && strings.Contains(s.actor, want.actor)
		}) {
			t.Errorf("there is no %v", want)
		}
	}
	for _, s := range steps {
		if strings.Contains(s.title, "c2") || s.kind == "EXCHANGE" && strings.Contains(s.title, "/list/") && !strings.Contains(s.title, "/list/7") || strings.Contains(s.title, "/nothing") {
			t.Errorf("%v does not belong to it", s)
		}
	}
	if t.Failed() {
		for _, s := range steps {
			t.Log(s)
		}
	}
	if r := f.ask(store.RoleReader, `query($id: ID!) { trace(id: $id) { nodes { title } } }`, object{"id": domain.NewID("cus")}); r.at("trace") != nil {
		t.Errorf("the trace of nobody: %v", r.Data)
	}
}

func TestUnfinished(t *testing.T) {
	t.Parallel()
	f := kinds(t)
	var ids []string
	for i := range 4 {
		ids = append(ids, f.customer(fmt.Sprint("c", i), fmt.Sprint("Customer ", i)))
	}
	for i, set := range []string{"status = 'refused', error_code = 'INVALID', error = 'the name is taken', pending_since = NULL", "status = 'confirmed'", "status = 'pending', error_code = '', error = '', pending_since = now()",
		"status = 'parked', error_code = 'WAITS', waits_for = ARRAY['" + ids[0] + "'], pending_since = NULL"} {
		f.exec("UPDATE projections SET "+set+" WHERE entity_id = $1 AND system = 'accounting'", ids[i])
		f.exec("UPDATE projections SET created_at = now() - interval '1 day' WHERE entity_id = $1", ids[i])
	}
	invoice := domain.Record{Kind: domain.KindInvoice, ExternalID: "i1", ModifiedAt: time.Now(), FetchedAt: time.Now(),
		Values: domain.Values{"number": `"X-1"`, "customer": domain.TextValue(domain.Ext("77"))}}
	unlinked := domain.Record{Kind: domain.KindProduct, ExternalID: "p1", ModifiedAt: time.Now(), FetchedAt: time.Now(), Values: domain.Values{"sku": `"S"`}}
	for system, rec := range map[string]domain.Record{"accounting": invoice, "crm": unlinked} {
		if _, err := f.changes.Record(t.Context(), incoming(system, rec)); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(args string) reply {
		t.Helper()
		return f.ask(store.RoleReader, `{ unfinished`+args+` { nodes { kind system status code reason since entity { id } record { externalId } waitsFor { id } } pageInfo { hasNextPage endCursor } } }`, nil)
	}
	all := ask("")
	got := map[string]string{}
	for i := range all.list("unfinished", "nodes") {
		at := func(path ...any) string { return all.text(append([]any{"unfinished", "nodes", i}, path...)...) }
		got[at("kind")+" "+at("system")+" "+at("status")+" "+at("code")] = at("entity", "id") + " " + at("record", "externalId") + " " + at("waitsFor", 0, "id") + ": " + at("reason")
	}
	for k, want := range map[string]string{
		"CUSTOMER accounting REFUSED INVALID": ids[0] + "  : the name is taken",
		"CUSTOMER accounting PENDING ":        ids[2] + "  : it is queued to be written",
		"CUSTOMER accounting PARKED WAITS":    ids[3] + "  " + ids[0] + ": it waits for " + ids[0] + " to be in accounting first",
		"PRODUCT crm PARKED NOT_READY":        " p1 : no entity stands for it",
	} {
		if !strings.HasPrefix(got[k], want) {
			t.Errorf("%s is %q, want %q", k, got[k], want)
		}
	}
	if s := got["INVOICE accounting PARKED WAITS"]; !strings.Contains(s, " i1 : it refers to Customer 77,") {
		t.Errorf("an invoice whose customer is not known: %q", s)
	}
	if len(got) != 5 {
		t.Errorf("%d things: %v", len(got), got)
	}
	for args, n := range map[string]int{`(kind: PRODUCT)`: 1, `(system: "crm")`: 1, `(olderThan: "` + time.Now().Add(-time.Hour).Format(time.RFC3339) + `")`: 2, `(first: 2)`: 2} {
		if got := len(ask(args).list("unfinished", "nodes")); got != n {
			t.Errorf("unfinished%s has %d, want %d", args, got, n)
		}
	}
	seen := 0
	for after := ""; ; {
		r := ask(`(first: 2, after: "` + after + `")`)
		seen += len(r.list("unfinished", "nodes"))
		if after = r.text("unfinished", "pageInfo", "endCursor"); r.at("unfinished", "pageInfo", "hasNextPage") != true {
			break
		}
	}
	if seen != 5 {
		t.Errorf("page by page there are %d, want 5", seen)
	}
	if r := f.send(f.keys[store.RoleReader], `{ unfinished(system: "nobody") { nodes { kind } } }`, nil); len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != "INVALID" {
		t.Errorf("of a system that is none: %+v", r)
	}
}

func TestBasSummary(t *testing.T) {
	t.Parallel()
	f := setup(t)
	line := func(code, amount, tax string) domain.Line {
		return domain.Line{Description: "x", Quantity: "1", UnitPrice: amount, TaxCode: code, Amount: amount, Tax: tax}
	}
	doc := func(kind domain.Kind, stage, date, subtotal, tax, total string, lines ...domain.Line) *store.Entity {
		return entity(kind, map[domain.Field]any{"stage": stage, "issueDate": date, "currency": "AUD", "taxMode": "INCLUSIVE", "lines": lines, "subtotal": money(subtotal),
			"taxTotal": money(tax), "total": money(total)})
	}
	gst, free := line("GST", "110", "10"), line("GST_FREE", "50", "0")
	sale := doc(domain.KindInvoice, "AUTHORISED", "2026-01-15", "150.00", "10.00", "160.00", gst, free)
	export := doc(domain.KindInvoice, "PAID", "2026-02-10", "200.00", "0.00", "200.00", line("EXPORT", "200", "0"))
	wrong := doc(domain.KindInvoice, "AUTHORISED", "2026-03-01", "100.00", "10.00", "111.00", gst)
	foreign := doc(domain.KindInvoice, "AUTHORISED", "2026-03-02", "100.00", "10.00", "110.00", gst)
	for _, f := range []domain.Field{"subtotal", "taxTotal", "total"} {
		foreign.Golden[f] = domain.Value(strings.Replace(string(foreign.Golden[f]), "AUD", "USD", 1))
	}
	foreign.Golden["currency"] = `"USD"`
	credit := doc(domain.KindCreditNote, "AUTHORISED", "2026-02-20", "20.00", "2.00", "22.00", line("GST", "22", "2"))
	credit.Golden["allocations"] = domain.ValueOf([]domain.Allocation{{Invoice: sale.ID, Amount: "22", Date: "2026-03-05"}})
	pay := func(stage, date, amount string) *store.Entity {
		return entity(domain.KindPayment, map[domain.Field]any{"stage": stage, "direction": "RECEIVED", "date": date, "amount": money(amount),
			"allocations": []domain.Allocation{{Invoice: sale.ID, Amount: amount}}})
	}
	f.insert(sale, export, wrong, foreign, credit, doc(domain.KindInvoice, "DRAFT", "2026-02-01", "100.00", "10.00", "110.00", gst),
		doc(domain.KindInvoice, "VOIDED", "2026-02-01", "100.00", "10.00", "110.00", gst), doc(domain.KindInvoice, "PAID", "2025-12-31", "100.00", "10.00", "110.00", gst),
		pay("AUTHORISED", "2026-01-20", "80"), pay("VOIDED", "2026-01-21", "80"), pay("AUTHORISED", "2026-04-02", "58"))
	ask := func(from, to, basis string) reply {
		t.Helper()
		return f.ask(store.RoleReader, `query($from: Date!, $to: Date!, $basis: BasBasis!) { basSummary(from: $from, to: $to, basis: $basis) {
			labels { label amount { amount currency } wholeDollars documents(first: 1) { nodes { amount { amount } document { id } } pageInfo { hasNextPage endCursor } } } leftOut { reason document { id } } } }`,
			object{"from": from, "to": to, "basis": basis})
	}
	for _, c := range []struct{ from, to, basis, want string }{
		{"2026-01-01", "2026-03-31", "ACCRUAL", "G1 338.00, G2 200.00, G3 50.00, G4 0.00, 1A 8.00"},
		{"2026-01-01", "2026-03-31", "CASH", "G1 80.00, G2 0.00, G3 31.88, G4 0.00, 1A 4.38"}, // 102 of 160 are paid, and 22 set off
		{"2026-04-01", "2026-06-30", "CASH", "G1 58.00, G2 0.00, G3 18.12, G4 0.00, 1A 3.62"}, // the rest, to the cent
		{"2026-04-01", "2026-06-30", "ACCRUAL", "G1 0.00, G2 0.00, G3 0.00, G4 0.00, 1A 0.00"},
	} {
		r := ask(c.from, c.to, c.basis)
		var got []string
		for i := range r.list("basSummary", "labels") {
			got = append(got, r.text("basSummary", "labels", i, "label")+" "+r.text("basSummary", "labels", i, "amount", "amount"))
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s to %s, %s: %s, want %s", c.from, c.to, c.basis, s, c.want)
		}
	}
	r := ask("2026-01-01", "2026-03-31", "ACCRUAL")
	if r.text("basSummary", "labels", 0, "wholeDollars") != "338" || r.text("basSummary", "labels", 0, "documents", "nodes", 0, "document", "id") != sale.ID {
		t.Errorf("behind G1: %v", r.at("basSummary", "labels", 0))
	}
	left := map[string]string{}
	for i := range r.list("basSummary", "leftOut") {
		left[r.text("basSummary", "leftOut", i, "document", "id")] = r.text("basSummary", "leftOut", i, "reason")
	}
	if len(left) != 2 || !strings.Contains(left[wrong.ID], "111.00") || !strings.Contains(left[foreign.ID], "USD") {
		t.Errorf("left out: %v", left)
	}
	next := f.ask(store.RoleReader, `query($after: String) { basSummary(from: "2026-01-01", to: "2026-03-31", basis: ACCRUAL) { labels { label documents(first: 5, after: $after) { nodes { amount { amount } document { id } } } } } }`, nil)
	docs := next.list("basSummary", "labels", 0, "documents", "nodes")
	if len(docs) != 3 || next.text("basSummary", "labels", 0, "documents", "nodes", 2, "amount", "amount") != "-22.00" || next.text("basSummary", "labels", 0, "documents", "nodes", 2, "document", "id") != credit.ID {
		t.Errorf("the documents of G1: %v", docs)
	}
	if r := f.send(f.keys[store.RoleReader], `{ basSummary(from: "2026-04-01", to: "2026-03-31", basis: CASH) { from } }`, nil); len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != "INVALID" {
		t.Errorf("a period that ends before it begins: %+v", r)
	}
}
