package jobs_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// TestErasureLeavesNothing plants a person everywhere, erases him, and looks through the whole database: every table, every column.
// What the law wants of his invoice is there; the vendors' records are named, and do not come back.
func TestErasureLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rigConfig) {
		c.policy = opsOwns("phone") + "\nOrder: {owner: ops, create: [ops]}\nInvoice: {owner: ops, create: [ops]}\n"
	})
	ctx := t.Context()
	r.quiet(20 * time.Second)
	ask := r.api()
	_, err := r.crm.Put("companies", "", map[string]any{"name": "Xylotheque Zyzzogeton Pty Ltd", "abn": abn(7), "customer_email": "office@canarybird.example", "phone": "(03) 5550 9753",
		"address": "17 Quetzalcoatl St", "city": "Melbourne", "state": "VIC", "zip": "3000"})
	must(t, err)
	company := r.ledger("crm")[0].id
	_, err = r.crm.Put("contacts", "", map[string]any{"firstname": "Wilhelmina", "lastname": "Zyzzogeton", "email": "wzyzz@canarybird.example", "companies": company})
	must(t, err)
	r.quiet(30 * time.Second)
	other := ask("other-1", `mutation { createCustomer(input: {values: {legalName: "Somebody Else Pty Ltd", email: "else@other.example"}}) { customer { id } userErrors { message } } }`, nil)["createCustomer"].(map[string]any)["customer"].(map[string]any)["id"].(string)
	r.quiet(30 * time.Second)
	var id string
	must(t, r.pool.QueryRow(ctx, `SELECT entity_id FROM records WHERE system = 'crm' AND external_id = $1`, "companies/"+company).Scan(&id))
	// Edits, a conflict and its comment, answers to idempotency keys, a pin, and traces of all that.
	ask("edit-1", `mutation($id: ID!) { updateCustomer(input: {id: $id, idempotencyKey: "k-Zyzzogeton-1", values: {phone: "+61355509754"}}) { userErrors { message } } }`, map[string]any{"id": id})
	ask("edit-2", `mutation($id: ID!) { updateCustomer(input: {id: $id, values: {notes: "Vivaldi fan, call Wilhelmina Zyzzogeton"}}) { userErrors { message } } }`, map[string]any{"id": id})
	_, err = r.crm.Put("companies", company, map[string]any{"name": "Zyzzogeton and Vivaldi Pty Ltd"})
	must(t, err)
	r.quiet(30 * time.Second)
	for _, o := range r.ledger("accounting") {
		if strings.Contains(o.name, "Zyzzogeton") {
			_, err := r.xero.Put("contacts", o.id, map[string]any{"EmailAddress": "xero@canarybird.example"})
			must(t, err)
		}
	}
	r.quiet(30 * time.Second)
	// An invoice of $1,100 and one of $110, an order with his address: stored as their kinds store them.
	address := domain.ValueOf(domain.Address{Lines: []string{"17 Quetzalcoatl St"}, Suburb: "Melbourne", State: "VIC", Postcode: "3000", Country: "AU"})
	invoice := func(number, price string) domain.Values {
		return domain.Values{"number": domain.TextValue(number), "stage": `"AUTHORISED"`, "issueDate": domain.TextValue(time.Now().Format(time.DateOnly)), "currency": `"AUD"`, "taxMode": `"EXCLUSIVE"`,
			"notes": `"for Wilhelmina Zyzzogeton"`, "reference": `"PO of Wilhelmina Zyzzogeton"`,
			"lines": domain.ValueOf([]domain.Line{{Description: "Work for Wilhelmina Zyzzogeton", Quantity: "1", UnitPrice: price, TaxCode: "GST"}})}
	}
	order := domain.Values{"number": `"ORD-1"`, "stage": `"CONFIRMED"`, "email": `"wzyzz@canarybird.example"`, "billingAddress": address, "shippingAddress": address, "currency": `"AUD"`, "taxMode": `"EXCLUSIVE"`,
		"lines": domain.ValueOf([]domain.Line{{Description: "Left at 17 Quetzalcoatl St", Quantity: "1", UnitPrice: "10", TaxCode: "GST"}})}
	docs := map[string]string{}
	for name, d := range map[string]struct {
		kind   domain.Kind
		values domain.Values
	}{"large": {domain.KindInvoice, invoice("INV-1", "1000")}, "small": {domain.KindInvoice, invoice("INV-2", "100")}, "order": {domain.KindOrder, order}} {
		d.values["customer"] = domain.TextValue(id)
		res, err := r.engine.Applier().Edit(ctx, change.Edit{System: "ops", Kind: d.kind, Fields: d.values, Cause: causeOf("key:dat_app (Jo)")})
		must(t, err)
		if docs[name] = res.EntityID; len(res.Refused) > 0 {
			t.Fatal(res.Refused)
		}
	}
	for _, sql := range []string{
		`INSERT INTO cases (id, kind, title, detail, dedupe_key) VALUES ('case_x', 'stuck', 'Zyzzogeton and Vivaldi Pty Ltd cannot be written', '{"message": "xero@canarybird.example is taken"}', 'x')`,
		`INSERT INTO alert_deliveries (id, channel, event, rule, title, body, since) VALUES ('msg_x', 'ops', 'test', 'x', 'x', 'about wzyzz@canarybird.example', now())`,
		`INSERT INTO drifts (system, kind, sort, path, examples) VALUES ('crm', 'Customer', 'unknown', 'hobby', '[{"externalId": "1", "value": "Vivaldi fan, call Wilhelmina Zyzzogeton"}]')`,
	} {
		_, err := r.pool.Exec(ctx, sql)
		must(t, err)
	}
	_, err = r.pool.Exec(ctx, `UPDATE cases SET entity_id = $1 WHERE id = 'case_x'`, id)
	must(t, err)
	// Nothing is asked of the vendors any more, and what was is logged.
	for _, system := range []string{"crm", "accounting"} {
		must(t, r.engine.SetMode(ctx, system, store.ModeOff, causeOf("key:dat_admin (Jo)")))
	}
	last, since := int64(-1), time.Now()
	eventually(t, 20*time.Second, "no more calls", func() (bool, any) {
		var n int64
		must(t, r.pool.QueryRow(ctx, `SELECT coalesce(max(id), 0) FROM exchanges`).Scan(&n))
		if n != last {
			last, since = n, time.Now()
		}
		return time.Since(since) > 2*time.Second, n
	})

	personal := regexp.MustCompile(`(?i)zyzzogeton|canarybird|quetzalcoatl|vivaldi|wilhelmina|xylotheque|5550 ?975|55509754|` + abn(7))
	found := func() map[string]string {
		out := map[string]string{}
		for table, text := range r.everything() {
			if at := personal.FindStringIndex(text); at != nil {
				out[table] = around(text, at[0])
			}
		}
		return out
	}
	before := found()
	for _, table := range []string{"records", "history", "customers", "exchanges", "match_keys", "match_locks", "cases", "entities", "orders", "invoices", "drifts", "alert_deliveries", "idempotency"} {
		if before[table] == "" {
			t.Errorf("the canary is not in %s: nothing is proven", table)
		}
	}
	// The person may have all of it before: one JSON with everything, and nothing of anybody else.
	story := ask("", `query($id: ID!) { exportEntity(id: $id) }`, map[string]any{"id": id})["exportEntity"].(map[string]any)
	for section, want := range map[string]string{"golden": "Zyzzogeton", "provenance": "legalName", "records": `"raw":{`, "history": "55509754", "cases": "canarybird", "projections": "confirmed", "signals": "webhook",
		"exchanges": company, "documents": "INV-1", "entity": id, "pins": "[", "merges": "[", "movements": "["} {
		b, err := json.Marshal(story[section])
		must(t, err)
		if !strings.Contains(string(b), want) {
			t.Errorf("the export's %s has no %s: %s", section, want, b[:min(len(b), 300)])
		}
		if strings.Contains(string(b), "else@other.example") {
			t.Errorf("the export's %s speaks of somebody else", section)
		}
	}
	// Tried first: it says what would be done, and does nothing.
	cause := causeOf("key:dat_admin (Jo)")
	tried, err := r.engine.Applier().Erase(ctx, change.Erasure{EntityID: id, Reason: "request of 2026-11-28", DryRun: true, Cause: cause})
	must(t, err)
	if len(found()) < len(before) || tried.Report.Changed["records"] == 0 {
		t.Errorf("a dry run: %+v", tried.Report)
	}
	if refused := ask("", `mutation($id: ID!) { eraseCustomer(input: {id: $id, reason: ""}) { erasure { id } userErrors { code } } }`, map[string]any{"id": id})["eraseCustomer"].(map[string]any); refused["erasure"] != nil {
		t.Errorf("erased without a reason: %v", refused)
	}
	proof, err := r.engine.Applier().Erase(ctx, change.Erasure{EntityID: id, Reason: "request of 2026-11-28", Cause: cause})
	must(t, err)
	list := ask("", `{ erasures { id entityId hash reason kept { document until } held { system externalId next seenAt } changed { name count } left { name } documents } }`, nil)["erasures"].([]any)
	if shown := list[0].(map[string]any); len(list) != 1 || shown["hash"] != proof.Hash || len(shown["documents"].([]any)) != 3 || shown["held"].([]any)[0].(map[string]any)["externalId"] != nil {
		t.Errorf("%v", list)
	}
	after := found()
	delete(after, "erasure_identities")
	for table, text := range after {
		t.Errorf("%s: …%s…", table, text)
	}
	if len(proof.Report.Left) > 0 {
		t.Errorf("the proof itself says that something is left: %v", proof.Report.Left)
	}
	// The law: the large invoice names its buyer, the small one need not; numbers and amounts are as they were.
	var kept, name string
	must(t, r.pool.QueryRow(ctx, `SELECT string_agg(document, ','), max(name) FROM erasure_identities`).Scan(&kept, &name))
	if kept != docs["large"] || !strings.Contains(name, "Zyzzogeton") || len(proof.Report.Kept) != 1 || proof.Report.Kept[0].Until == nil || time.Until(*proof.Report.Kept[0].Until) < 4*365*24*time.Hour {
		t.Errorf("kept %s of %s: %+v", name, kept, proof.Report.Kept)
	}
	for _, d := range []struct{ doc, number, total string }{{"large", "INV-1", "1100"}, {"small", "INV-2", "110"}} {
		var number, total, customer string
		must(t, r.pool.QueryRow(ctx, `SELECT number, trim_scale(total)::text, customer FROM invoices WHERE id = $1`, docs[d.doc]).Scan(&number, &total, &customer))
		if number != d.number || total != d.total || customer != id {
			t.Errorf("%s: %s %s of %s", d.doc, number, total, customer)
		}
	}
	var elses int
	must(t, r.pool.QueryRow(ctx, `SELECT count(*) FROM records WHERE entity_id = $1 AND values::text LIKE '%else@other.example%'`, other).Scan(&elses))
	if elses == 0 {
		t.Error("somebody else was hurt")
	}
	systems := map[string]bool{}
	for _, h := range proof.Report.Held {
		systems[h.System] = true
		if h.ExternalID == "" || !strings.Contains(h.Next, "delete it in") {
			t.Errorf("%+v", h)
		}
	}
	if !systems["crm"] || !systems["accounting"] {
		t.Errorf("held at %v", systems)
	}
	// A document that comes in anew for him: it refers to the mark, and says no more of him than it must.
	for _, h := range proof.Report.Held {
		if h.System != "accounting" {
			continue
		}
		_, err := r.engine.Applier().Record(ctx, change.Incoming{System: "accounting", Cause: cause, Record: domain.Record{Kind: domain.KindInvoice, ExternalID: "late", ModifiedAt: time.Now(), FetchedAt: time.Now(),
			Raw: json.RawMessage(`{"Contact": {"Name": "Wilhelmina Zyzzogeton"}}`), Values: domain.Values{"number": `"INV-9"`, "customer": domain.TextValue(domain.Ext(h.ExternalID)), "notes": `"for Wilhelmina Zyzzogeton"`}}})
		must(t, err)
	}
	var customer, number string
	must(t, r.pool.QueryRow(ctx, `SELECT values ->> 'customer', values ->> 'number' FROM records WHERE external_id = 'late' AND raw IS NULL AND waits = '{}'`).Scan(&customer, &number))
	if customer != id || number != "INV-9" {
		t.Errorf("a late invoice %s of %s", number, customer)
	}
	for table, text := range found() {
		if table != "erasure_identities" {
			t.Errorf("with a late document in %s: …%s…", table, text)
		}
	}
	for _, system := range []string{"crm", "accounting"} {
		must(t, r.engine.SetMode(ctx, system, store.ModeLive, cause))
	}
	// The vendor still has him, and shows him at every look: he does not come back, and it is visible that he is there.
	_, err = r.crm.Put("companies", company, map[string]any{"name": "Zyzzogeton once more Pty Ltd", "phone": "(03) 5550 9755"})
	must(t, err)
	eventually(t, 20*time.Second, "the vendor's record was seen and left aside", func() (bool, any) {
		es, err := store.Erasures(ctx, r.pool, proof.ID, 1)
		must(t, err)
		for _, h := range es[0].Report.Held {
			if h.System == "crm" && h.SeenAt != nil {
				return true, nil
			}
		}
		return false, es[0].Report.Held
	})
	r.quiet(30 * time.Second)
	for table, text := range found() {
		if table != "erasure_identities" {
			t.Errorf("back in %s: …%s…", table, text)
		}
	}
	es, err := store.Erasures(ctx, r.pool, "", 10)
	must(t, err)
	if sum, err := es[0].Report.Sum(); err != nil || len(es) != 1 || sum != es[0].Hash || es[0].ErasedBy != cause.Actor {
		t.Errorf("the proof does not hold: %v, %+v", err, es)
	}
	// Gone there at last.
	must(t, r.crm.Delete("companies", company))
	eventually(t, 20*time.Second, "the vendor's record is gone", func() (bool, any) {
		es, err := store.Erasures(ctx, r.pool, proof.ID, 1)
		must(t, err)
		for _, h := range es[0].Report.Held {
			if h.System == "crm" && h.GoneAt != nil {
				return true, nil
			}
		}
		return false, es[0].Report.Held
	})
	// Errors say what to do.
	for _, c := range []struct {
		e    change.Erasure
		code domain.Code
	}{{change.Erasure{EntityID: docs["large"], Reason: "x"}, domain.Invalid}, {change.Erasure{EntityID: other}, domain.Invalid}, {change.Erasure{EntityID: domain.NewID("cus"), Reason: "x"}, domain.NotFound}} {
		if _, err := r.engine.Applier().Erase(ctx, c.e); domain.CodeOf(err) != c.code {
			t.Errorf("%+v: %v", c.e, err)
		}
	}
}
