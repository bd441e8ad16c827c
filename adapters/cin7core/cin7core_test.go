package cin7core_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"datum/adapters"
	"datum/adapters/cin7core"
	"datum/adapters/cin7coresim"
	"datum/adapters/rest"
	"datum/adapters/sim"
	"datum/domain"
)

var ctx = context.Background()

type fixture struct {
	*testing.T
	seeded
	url string
	a   adapters.Adapter
	ab  adapters.Abilities
}

// key lends the application key.
type key struct{ s *cin7coresim.Sim }

func (k key) Token(context.Context) (string, error)                  { return k.s.Credentials()["accessToken"], nil }
func (k key) Refresh(_ context.Context, used string) (string, error) { return used, nil }
func (k key) Reject(context.Context, string, string) error           { return nil }

// setup starts a simulator and connects an adapter to it.
func setup(t *testing.T, o cin7coresim.Options, settings map[string]string) *fixture {
	t.Helper()
	f := &fixture{T: t, seeded: seed(t, o, "customers", "products", "locations")}
	t.Cleanup(f.Close)
	var err error
	if f.url, err = f.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if f.a, err = cin7core.Vendor().Open(f.session(settings)); err != nil {
		t.Fatal(err)
	}
	f.ab = adapters.AbilitiesOf(f.a)
	return f
}

func (f *fixture) session(settings map[string]string) adapters.Session {
	f.Helper()
	v := cin7core.Vendor()
	client, err := rest.New(rest.Config{System: "warehouse", BaseURL: f.url, Auth: key{f.Sim}, TokenHeader: v.TokenHeader, Meaning: v.Meaning, Timeout: 5 * time.Second, Trip: 1000})
	if err != nil {
		f.Fatal(err)
	}
	all := map[string]string{"accountId": f.Credentials()["accountId"]}
	maps.Copy(all, settings)
	return adapters.Session{System: "warehouse", BaseURL: f.url, Settings: all, HTTP: client, Now: f.Now}
}

func (f *fixture) write(w adapters.Write) adapters.Outcome {
	f.Helper()
	return f.ab.Writer.Write(ctx, []adapters.Write{w})[0]
}

// must writes one record and returns it.
func (f *fixture) must(w adapters.Write) domain.Record {
	f.Helper()
	o := f.write(w)
	if o.Err != nil {
		f.Fatal(o.Err)
	}
	return o.Record
}

func update(r domain.Record, values domain.Values) adapters.Write {
	return adapters.Write{Kind: r.Kind, CanonicalID: r.CanonicalID, ExternalID: r.ExternalID, Base: &r, Values: values}
}

func (f *fixture) fetch(kind domain.Kind, id string) domain.Record {
	f.Helper()
	r, err := f.a.Fetch(ctx, kind, id)
	if err != nil {
		f.Fatal(err)
	}
	return r
}

// person edits on Cin7 Core's own screens; id "" creates.
func (f *fixture) person(typ, id string, properties map[string]any) map[string]any {
	f.Helper()
	o, err := f.Put(typ, id, properties)
	if err != nil {
		f.Fatal(err)
	}
	return o.(map[string]any)
}

func (f *fixture) fault(x sim.Fault) {
	f.Helper()
	if _, err := f.AddFault(x); err != nil {
		f.Fatal(err)
	}
}

// is compares values of a record with what they should be, as JSON.
func (f *fixture) is(what string, r domain.Record, want domain.Values) {
	f.Helper()
	for field, v := range want {
		if r.Values[field] != v {
			f.Errorf("%s: %s is %s, want %s", what, field, r.Values[field], v)
		}
	}
}

func (f *fixture) order(lines ...domain.Line) adapters.Write {
	return adapters.Write{Kind: domain.KindOrder, CanonicalID: domain.NewID("ord"), Values: domain.Values{
		"customer": domain.TextValue(domain.Ext(f.customers[0])), "orderDate": `"2026-03-31"`, "location": domain.TextValue(domain.Ext(f.site)), "taxMode": `"EXCLUSIVE"`,
		"reference": `"PO 7"`, "lines": domain.ValueOf(lines), "stage": `"CONFIRMED"`}}
}

func (f *fixture) tap(quantity string) domain.Line {
	return domain.Line{Product: domain.Ext(f.products[0]), Quantity: quantity, UnitPrice: "19.95", TaxCode: "GST"}
}

// TestOrderTakesStock: a confirmed order allocates stock, a person picks and ships it, and cancelling gives it back.
func TestOrderTakesStock(t *testing.T) {
	t.Parallel()
	f := setup(t, cin7coresim.Options{}, nil)
	at := f.products[0] + "@" + f.site
	f.person("availability", "", map[string]any{"ProductID": f.products[0], "Location": "Main Warehouse", "OnHand": 10, "OnOrder": 4})
	level := func(what, onHand, committed, available string) {
		t.Helper()
		f.is(what, f.fetch(domain.KindStockLevel, at), domain.Values{"onHand": domain.TextValue(onHand), "committed": domain.TextValue(committed),
			"available": domain.TextValue(available), "incoming": `"4"`, "product": domain.TextValue(domain.Ext(f.products[0])), "location": domain.TextValue(domain.Ext(f.site))})
	}
	level("before", "10", "0", "10")
	first := f.must(f.order(f.tap("3")))
	f.is("a confirmed order", first, domain.Values{"stage": `"CONFIRMED"`, "number": `"SO-00001"`, "fulfilmentStatus": `"UNFULFILLED"`, "paymentStatus": `"UNPAID"`, "currency": `"AUD"`,
		"subtotal": `{"amount":"59.85","currency":"AUD"}`, "taxTotal": `{"amount":"5.99","currency":"AUD"}`, "total": `{"amount":"65.84","currency":"AUD"}`})
	level("confirmed", "10", "3", "7")
	second := f.must(f.order(f.tap("5")))
	if second.ExternalID == first.ExternalID {
		t.Fatal("two orders are one sale")
	}
	level("twice", "10", "8", "2")

	f.person("sales", first.ExternalID, map[string]any{"Pick": "AUTHORISED"})
	level("picked", "7", "5", "2")
	f.person("sales", first.ExternalID, map[string]any{"Ship": "AUTHORISED", "Invoice": "AUTHORISED", "Pay": "65.84"})
	f.is("shipped and paid", f.fetch(domain.KindOrder, first.ExternalID), domain.Values{"stage": `"CLOSED"`, "fulfilmentStatus": `"FULFILLED"`, "paymentStatus": `"PAID"`,
		"amountPaid": `{"amount":"65.84","currency":"AUD"}`})
	if o := f.write(update(first, domain.Values{"stage": `"CANCELLED"`})); domain.CodeOf(o.Err) != domain.Conflict || !strings.Contains(o.Err.Error(), "payments") {
		t.Errorf("cancelling what is paid: %v", o.Err)
	}

	f.person("sales", second.ExternalID, map[string]any{"Pick": "AUTHORISED", "PickLines": []any{map[string]any{"SKU": "TAP-1", "Quantity": 2}}, "Ship": "AUTHORISED"})
	f.is("shipped in part", f.fetch(domain.KindOrder, second.ExternalID), domain.Values{"fulfilmentStatus": `"PARTIAL"`, "stage": `"CONFIRMED"`})
	level("picked in part", "5", "3", "2")
	void := f.must(update(second, domain.Values{"stage": `"CANCELLED"`}))
	f.is("cancelled", void, domain.Values{"stage": `"CANCELLED"`})
	level("cancelled", "7", "0", "7")
	if o := f.write(update(void, domain.Values{"stage": `"CONFIRMED"`})); domain.CodeOf(o.Err) != domain.Invalid || domain.AsError(o.Err).Field != "stage" {
		t.Errorf("confirming what is cancelled: %v", o.Err)
	}
}

// TestEchoOfAnOrderCostsNoCall: of the 60 calls a minute an order takes four, one to look for it, two to write it, one to read it
// back; that the list of changes then shows it costs none, unless somebody has touched it.
func TestEchoOfAnOrderCostsNoCall(t *testing.T) {
	t.Parallel()
	f := setup(t, cin7coresim.Options{}, nil)
	f.person("availability", "", map[string]any{"SKU": "TAP-1", "Location": "Main Warehouse", "OnHand": 10})
	first, err := f.a.Changes(t.Context(), domain.KindOrder, "")
	if err != nil {
		t.Fatal(err)
	}
	f.must(f.order(f.tap("1"))) // reads what the adapter has to know
	before := f.Stats().Requests
	r := f.must(f.order(f.tap("3")))
	if n := f.Stats().Requests - before; n > 4 {
		t.Errorf("an order took %d calls", n)
	}
	reads := func() int { return f.Stats().Routes["GET /ExternalApi/v2/sale"] }
	changes := func() int {
		t.Helper()
		was := reads()
		page, err := f.a.Changes(t.Context(), domain.KindOrder, first.Cursor)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Records) != reads()-was {
			t.Errorf("%d records and %d reads", len(page.Records), reads()-was)
		}
		return len(page.Records)
	}
	if n := changes(); n != 0 {
		t.Errorf("%d sales were read that nobody has touched", n)
	}
	f.person("sales", r.ExternalID, map[string]any{"Pick": "AUTHORISED"})
	for range 2 { // until the caller has it, it is a change
		if n := changes(); n != 1 {
			t.Errorf("%d sales were read of the one that was picked", n)
		}
	}
}

// TestAuthorisedOrder: lines of an authorised order are refused in Cin7 Core's words, the same lines again are not an edit, and
// taking the confirmation back makes them free.
func TestAuthorisedOrder(t *testing.T) {
	t.Parallel()
	f := setup(t, cin7coresim.Options{}, nil)
	w := f.order(f.tap("3"))
	r := f.must(w)
	posts := func() int { return f.Stats().Routes["POST /ExternalApi/v2/sale/order"] }
	before := posts()
	same := f.must(update(r, domain.Values{"lines": w.Values["lines"], "notes": `"ring first"`}))
	if posts() != before || same.Values["notes"] != `"ring first"` {
		t.Errorf("the same lines were sent again, or the note was not: %d calls, %s", posts()-before, same.Values["notes"])
	}
	more := domain.ValueOf([]domain.Line{f.tap("4")})
	if o := f.write(update(r, domain.Values{"lines": more})); domain.CodeOf(o.Err) != domain.Conflict || !strings.Contains(o.Err.Error(), "already authorised") {
		t.Errorf("other lines: %v", o.Err)
	}
	r = f.must(update(r, domain.Values{"lines": more, "stage": `"DRAFT"`}))
	f.is("taken back", r, domain.Values{"stage": `"DRAFT"`, "total": `{"amount":"87.78","currency":"AUD"}`})
	r = f.must(update(r, domain.Values{"stage": `"CONFIRMED"`}))
	f.is("confirmed again", r, domain.Values{"stage": `"CONFIRMED"`, "total": `{"amount":"87.78","currency":"AUD"}`})
}

// TestInterruptedOrder: a sale whose lines never arrived is completed by the next write, and there is one sale.
func TestInterruptedOrder(t *testing.T) {
	t.Parallel()
	f := setup(t, cin7coresim.Options{}, nil)
	w := f.order(f.tap("3"))
	f.fault(sim.Fault{Kind: sim.FaultResetBefore, Path: "/sale/order", Count: 1})
	if o := f.write(w); o.Err == nil {
		t.Fatal("the fault met no call")
	}
	r := f.must(w)
	f.is("completed", r, domain.Values{"stage": `"CONFIRMED"`, "total": `{"amount":"65.84","currency":"AUD"}`})
	if sales, err := f.Objects("sales"); err != nil || len(sales) != 1 {
		t.Errorf("%d sales, %v", len(sales), err)
	}
}

// TestStockWrites: what is on hand is adjusted, new stock too; what has no row is 0; a level that nothing can hold is NotFound.
func TestStockWrites(t *testing.T) {
	t.Parallel()
	f := setup(t, cin7coresim.Options{}, map[string]string{"pageSize": "2"})
	product, site := domain.TextValue(domain.Ext(f.products[0])), domain.TextValue(domain.Ext(f.depot))
	r := f.fetch(domain.KindStockLevel, f.products[0]+"@"+f.depot)
	f.is("no row", r, domain.Values{"onHand": `"0"`, "available": `"0"`})
	w := adapters.Write{Kind: domain.KindStockLevel, CanonicalID: domain.NewID("stk"), Values: domain.Values{"product": product, "location": site, "onHand": `"12.5"`}}
	out := f.write(w)
	if out.Err != nil || !out.Created || out.Record.ExternalID != f.products[0]+"@"+f.depot {
		t.Fatalf("%+v %v", out.Record, out.Err)
	}
	f.is("new stock", out.Record, domain.Values{"onHand": `"12.5"`, "available": `"12.5"`})
	calls := f.Stats().Creates
	f.must(w)
	if f.Stats().Creates != calls {
		t.Error("the same stock again was an adjustment")
	}
	r = f.must(update(out.Record, domain.Values{"onHand": `"7"`}))
	f.is("less", r, domain.Values{"onHand": `"7"`})
	f.person("availability", "", map[string]any{"SKU": "TAP-2", "Location": "Main Warehouse", "OnHand": 1})
	f.person("availability", "", map[string]any{"SKU": "TAP-1", "Location": "Main Warehouse", "OnHand": 2})
	type reader func(context.Context, domain.Kind, string) (adapters.Page, error)
	readers := map[string]reader{"Changes": f.a.Changes, "List": f.ab.Sweeper.List}
	for what, read := range readers {
		got, cursor := map[string]domain.Value{}, ""
		for more, complete := true, false; more; {
			p, err := read(ctx, domain.KindStockLevel, cursor)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Records {
				got[r.ExternalID] = r.Values["onHand"]
			}
			cursor, more, complete = p.Cursor, p.More, p.Complete
			if !more && complete != (what == "List") {
				t.Errorf("%s: complete is %v", what, complete)
			}
		}
		want := map[string]domain.Value{f.products[0] + "@" + f.depot: `"7"`, f.products[0] + "@" + f.site: `"2"`, f.products[1] + "@" + f.site: `"1"`}
		if !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	r = f.must(update(r, domain.Values{"onHand": domain.Null}))
	f.is("none", r, domain.Values{"onHand": `"0"`})
	refused := domain.Values{"onHand": `"-1"`, "product": domain.TextValue(domain.Ext(f.products[1])), "location": domain.Null}
	for field, v := range refused {
		if o := f.write(update(r, domain.Values{field: v})); domain.CodeOf(o.Err) != domain.Invalid {
			t.Errorf("%s = %s: %v", field, v, o.Err)
		}
	}
	if o := f.write(update(r, domain.Values{"available": `"3"`})); domain.CodeOf(o.Err) != domain.Unsupported {
		t.Errorf("available: %v", o.Err)
	}
	for _, id := range []string{f.customers[0] + "@" + f.depot, f.products[0] + "@" + f.customers[0], f.products[0], f.products[0] + "@Nowhere", "x@y"} {
		if _, err := f.a.Fetch(ctx, domain.KindStockLevel, id); domain.CodeOf(err) != domain.NotFound {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// TestStockWebhook: the webhook names the location, and the level is found by it; a renamed location is learnt.
func TestStockWebhook(t *testing.T) {
	t.Parallel()
	f := setup(t, cin7coresim.Options{}, nil)
	secret := []string{"s3cret-token"}
	hook := func(body string) []adapters.Signal {
		t.Helper()
		n, err := f.ab.Notifier.Receive(adapters.Webhook{Method: "POST", Header: http.Header{"Authorization": {"Bearer s3cret-token"}}, Body: []byte(body)}, secret)
		if err != nil {
			t.Fatal(err)
		}
		return n.Signals
	}
	f.person("locations", f.depot, map[string]any{"Name": "North Depot"})
	f.person("availability", "", map[string]any{"SKU": "TAP-1", "Location": "North Depot", "OnHand": 3})
	got := hook(`[{"ID":"` + strings.ToUpper(f.products[0]) + `","SKU":"TAP-1","Location":"North Depot","Available":3,"EventType":"Stock/AvailableStockLevelChanged"}]`)
	if len(got) != 1 || got[0].Kind != domain.KindStockLevel || got[0].ExternalID != f.products[0]+"@North Depot" {
		t.Fatalf("%+v", got)
	}
	r := f.fetch(domain.KindStockLevel, got[0].ExternalID)
	if r.ExternalID != f.products[0]+"@"+f.depot || len(r.AnswersFor) != 1 || r.AnswersFor[0] != got[0].ExternalID || r.Values["onHand"] != `"3"` {
		t.Errorf("%+v", r)
	}
	for body, want := range map[string]adapters.Signal{
		`{"SaleID":"91EE7B1D-BD35-4E43-B98A-DB86BE777624","EventType":"Sale/OrderAuthorised"}`:        {Kind: domain.KindOrder, ExternalID: "91ee7b1d-bd35-4e43-b98a-db86be777624"},
		`{"SaleTaskID":"91EE7B1D-BD35-4E43-B98A-DB86BE777624","EventType":"Sale/ShipmentAuthorised"}`: {Kind: domain.KindOrder, ExternalID: "91ee7b1d-bd35-4e43-b98a-db86be777624"},
		`{"ID":"91EE7B1D-BD35-4E43-B98A-DB86BE777624","EventType":"Product/Updated"}`:                 {Kind: domain.KindProduct, ExternalID: "91ee7b1d-bd35-4e43-b98a-db86be777624"},
		`{"ID":"91EE7B1D-BD35-4E43-B98A-DB86BE777624","EventType":"Purchase/Updated"}`:                {},
	} {
		got := hook(body)
		if want.Kind == "" && len(got) > 0 || want.Kind != "" && (len(got) != 1 || got[0].Kind != want.Kind || got[0].ExternalID != want.ExternalID || got[0].DedupeKey != "") {
			t.Errorf("%s: %+v", body, got)
		}
	}
	if _, err := f.ab.Notifier.Receive(adapters.Webhook{Header: http.Header{"Authorization": {"Bearer s3cret-token"}}, Body: []byte("{")}, secret); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("half a body: %v", err)
	}
	if _, err := f.ab.Notifier.Receive(adapters.Webhook{Header: http.Header{"Authorization": {"s3cret-token"}}, Body: []byte("{}")}, secret); domain.CodeOf(err) != domain.Unauthentic {
		t.Errorf("without Bearer: %v", err)
	}
}

// TestLimit: both answers beyond the limit are RateLimited; a page of sales that the limit cuts short keeps what it has read.
func TestLimit(t *testing.T) {
	t.Parallel()
	for _, old := range []bool{false, true} {
		f := setup(t, cin7coresim.Options{Limit: 8, Old503: old}, map[string]string{"salePageSize": "10"})
		for range 9 {
			f.person("sales", "", map[string]any{"CustomerID": f.customers[0]})
		}
		seen, cursor, limited := map[string]int{}, "", 0
		for more := true; more && limited < 20; {
			p, err := f.a.Changes(ctx, domain.KindOrder, cursor)
			if domain.CodeOf(err) == domain.RateLimited {
				limited++
				f.Advance(time.Minute)
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range p.Records {
				seen[r.ExternalID]++
			}
			cursor, more = p.Cursor, p.More
		}
		for id, n := range seen {
			if n != 1 {
				t.Errorf("%s was read %d times", id, n)
			}
		}
		if len(seen) != 9 || limited == 0 || f.Stats().Limited == 0 {
			t.Errorf("503 %v: %d sales, refused %d times, %d by the simulator's ledger", old, len(seen), limited, f.Stats().Limited)
		}
	}
}

// TestMeaning: 403 is the credential unless it says otherwise.
func TestMeaning(t *testing.T) {
	t.Parallel()
	f := setup(t, cin7coresim.Options{}, nil)
	for body, want := range map[string]domain.Code{`[{"ErrorCode":403,"Exception":"Incorrect credentials!"}]`: domain.Unauthorized, `"<html>no</html>"`: domain.Unauthorized,
		`[{"ErrorCode":403,"Exception":"The Automation module is not in your plan"}]`: domain.Forbidden} {
		f.fault(sim.Fault{Kind: sim.FaultStatus, Status: 403, Body: json.RawMessage(body)})
		if _, err := f.a.Fetch(ctx, domain.KindCustomer, f.customers[0]); domain.CodeOf(err) != want {
			t.Errorf("%s: %v, want %s", body, err, want)
		}
		f.ClearFaults()
	}
	f.Revoke()
	if _, err := f.a.Fetch(ctx, domain.KindCustomer, f.customers[0]); domain.CodeOf(err) != domain.Unauthorized {
		t.Errorf("a key that was deleted: %v", err)
	}
	f.Consent()
	f.fetch(domain.KindCustomer, f.customers[0])
}

// TestRefusals: Cin7 Core's shapes of errors, and the code and field of each.
func TestRefusals(t *testing.T) {
	t.Parallel()
	f := setup(t, cin7coresim.Options{}, nil)
	rec := f.fetch(domain.KindProduct, f.products[0])
	for body, want := range map[string]struct {
		status int
		code   domain.Code
		field  domain.Field
	}{
		`[{"ErrorCode":400,"Exception":"Brand 'X' was not found in reference book"}]`: {400, domain.Invalid, "brand"},
		`{"ErrorCode":400,"Exception":"Product with SKU 'X' already exists"}`:         {400, domain.Conflict, ""},
		`"SKU is required"`: {400, domain.Invalid, "sku"}, `[]`: {400, domain.Invalid, ""}, `"<html>"`: {400, domain.Invalid, ""},
		`{"Products":[],"Errors":["Supplier was not saved"]}`: {200, domain.Invalid, ""}, `{"Products":[]}`: {200, domain.Unknown, ""},
	} {
		f.fault(sim.Fault{Kind: sim.FaultStatus, Status: want.status, Method: "PUT", Body: json.RawMessage(body)})
		e := domain.AsError(f.write(update(rec, domain.Values{"barcode": `"9300000000017"`})).Err)
		if e == nil || e.Code != want.code || e.Field != want.field || e.System != "warehouse" || e.Message == "" {
			t.Errorf("%s: %v, field %q", body, e, e.Field)
		}
		f.ClearFaults()
	}
	w := adapters.Write{Kind: domain.KindCustomer, CanonicalID: domain.NewID("cus"), Values: domain.Values{"legalName": `"banksia plumbing PTY LTD"`}}
	if o := f.write(w); domain.CodeOf(o.Err) != domain.Conflict || !strings.Contains(o.Err.Error(), "banksia plumbing PTY LTD") {
		t.Errorf("a name that is taken: %v", o.Err)
	}
}

// TestContacts: people keep their ids and what Datum does not carry; the default contact is the customer itself.
func TestContacts(t *testing.T) {
	t.Parallel()
	f := setup(t, cin7coresim.Options{}, nil)
	id := f.customers[0]
	before := f.person("customers", id, map[string]any{"Contacts": []any{map[string]any{"Name": "Front desk", "Default": true, "Email": "desk@example.com.au", "Fax": "03 5550 1111"},
		map[string]any{"Name": "Jo van Lee", "Email": "jo@example.com.au", "Comment": "ring first"}}})
	r := f.fetch(domain.KindCustomer, id)
	f.is("read", r, domain.Values{"email": `"desk@example.com.au"`, "contacts": `[{"email":"jo@example.com.au","firstName":"Jo van","lastName":"Lee"}]`})
	r = f.must(update(r, domain.Values{"phone": `"+61255501234"`,
		"contacts": `[{"firstName":"Sam","lastName":"Ng"},{"email":"jo@example.com.au","firstName":"Joanne","lastName":"Lee","role":"Owner"}]`}))
	f.is("written", r, domain.Values{"email": `"desk@example.com.au"`, "phone": `"+61255501234"`,
		"contacts": `[{"firstName":"Sam","lastName":"Ng"},{"email":"jo@example.com.au","firstName":"Joanne","lastName":"Lee","role":"Owner"}]`})
	var o struct {
		Contacts []struct{ ID, Name, Fax, Comment string }
	}
	if err := json.Unmarshal(r.Raw, &o); err != nil || len(o.Contacts) != 3 {
		t.Fatalf("%v %s", err, r.Raw)
	}
	was := before["Contacts"].([]any)
	if o.Contacts[0].Name != "Front desk" || o.Contacts[0].Fax != "03 5550 1111" || o.Contacts[2].Comment != "ring first" || o.Contacts[2].ID != was[1].(map[string]any)["ID"] {
		t.Errorf("%+v", o.Contacts)
	}
}

// TestTaxRules: the account's own names win; a rule that nobody named is a problem and not a guess.
func TestTaxRules(t *testing.T) {
	t.Parallel()
	f := setup(t, cin7coresim.Options{}, map[string]string{"taxRules": "EXPORT=WET, INPUT_TAXED = GST Free Exports"})
	rec := f.must(update(f.fetch(domain.KindProduct, f.products[0]), domain.Values{"salesTaxCode": `"INPUT_TAXED"`}))
	if !strings.Contains(string(rec.Raw), `"SaleTaxRule":"GST Free Exports"`) || rec.Values["salesTaxCode"] != `"INPUT_TAXED"` {
		t.Errorf("%s %s", rec.Values["salesTaxCode"], rec.Raw)
	}
	m, err := cin7core.Vendor().CarriedBy(map[string]string{"taxRules": "GST_FREE_PURCHASE=None, GST_FREE_CAPITAL=None"}, domain.KindProduct)
	if err != nil || m.Fit(domain.Values{"purchaseTaxCode": `"GST_FREE_CAPITAL"`})["purchaseTaxCode"] != `"GST_FREE_PURCHASE"` {
		t.Errorf("two codes with one rule: %v", err)
	}
	g := setup(t, cin7coresim.Options{}, nil)
	g.person("products", g.products[0], map[string]any{"SaleTaxRule": "WET"})
	r := g.fetch(domain.KindProduct, g.products[0])
	if _, has := r.Values["salesTaxCode"]; has || len(r.Issues) != 1 || r.Issues[0].Severity != domain.Problem {
		t.Errorf("a rule that is not known: %s %+v", r.Values["salesTaxCode"], r.Issues)
	}
	sale := g.person("sales", "", map[string]any{"CustomerID": g.customers[0], "Lines": []any{map[string]any{"SKU": "TAP-1", "Quantity": 1, "Price": 10, "TaxRule": "WET"}}})
	r = g.fetch(domain.KindOrder, sale["ID"].(string))
	if _, has := r.Values["lines"]; has || len(r.Issues) != 1 {
		t.Errorf("lines with a rule that is not known: %s %+v", r.Values["lines"], r.Issues)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	check := func(f *fixture, settings map[string]string) adapters.Health {
		t.Helper()
		a, err := cin7core.Vendor().Open(f.session(settings))
		if err != nil {
			t.Fatal(err)
		}
		h, err := adapters.AbilitiesOf(a).Checker.Check(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	f := setup(t, cin7coresim.Options{}, nil)
	if h := check(f, nil); h.Account == "" || len(h.Problems) > 0 || h.Details["currency"] != "AUD" || h.Details["lockDate"] != "2024-06-30" {
		t.Errorf("%+v", h)
	}
	if h := check(f, map[string]string{"currency": "NZD", "taxRules": "GST=GST 15%", "weightUnit": "g"}); len(h.Problems) != 3 || !strings.Contains(h.Problems[2], "GST on Income") {
		t.Errorf("%+v", h)
	}
	if h := check(setup(t, cin7coresim.Options{NoAutomation: true}, nil), nil); len(h.Problems) > 0 || h.Details["webhooks"] == "" {
		t.Errorf("without the module: %+v", h)
	}
	// Six deliveries fail, and the webhook is off.
	if err := f.SetWebhook(ctx, "http://127.0.0.1:1/nobody"); err != nil {
		t.Fatal(err)
	}
	f.person("customers", f.customers[0], map[string]any{"Comments": "x"})
	wait, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := f.Idle(wait); err != nil {
		t.Fatal(err)
	}
	if sent := f.Stats().Webhooks.Sent; sent != 6 {
		t.Errorf("%d attempts, want 6", sent)
	}
	if h := check(f, nil); len(h.Problems) != 1 || !strings.Contains(h.Problems[0], "Customer/Updated") {
		t.Errorf("%+v", h)
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	f := setup(t, cin7coresim.Options{}, nil)
	for name, value := range map[string]string{"accountId": "", "currency": "bucks", "taxRules": "GST", "overlap": "soon", "weightUnit": "stone", "pageSize": "1", "salePageSize": "0"} {
		_, err := cin7core.Vendor().Open(f.session(map[string]string{name: value}))
		if domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), name) {
			t.Errorf("%s = %q: %v", name, value, err)
		}
	}
	if _, err := cin7core.Vendor().Open(f.session(map[string]string{"taxRules": "VAT=x"})); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("a code that is none: %v", err)
	}
}

// TestWeight: weights are kilograms here and in the product's own unit there.
func TestWeight(t *testing.T) {
	t.Parallel()
	f := setup(t, cin7coresim.Options{}, map[string]string{"weightUnit": "g"})
	for unit, want := range map[string]string{"kg": "1.5", "g": "1500", "": "1500", "lb": "3.3069339327731637"} {
		f.person("products", f.products[0], map[string]any{"Weight": 1, "WeightUnits": unit})
		r := f.must(update(f.fetch(domain.KindProduct, f.products[0]), domain.Values{"weight": `"1.5"`}))
		var o struct{ Weight json.Number }
		if err := json.Unmarshal(r.Raw, &o); err != nil || o.Weight.String() != want || r.Values["weight"] != `"1.5"` {
			t.Errorf("in %q: %s there and %s here, want %s", unit, o.Weight, r.Values["weight"], want)
		}
	}
}

// TestFiguresAddUp: what Cin7 Core makes of our lines is a document that adds up, in both tax modes, rounding line and all.
func TestFiguresAddUp(t *testing.T) {
	t.Parallel()
	f := setup(t, cin7coresim.Options{}, nil)
	for mode, total := range map[string]string{"INCLUSIVE": "87.01", "EXCLUSIVE": "94.84"} {
		w := f.order(f.tap("3"), domain.Line{Product: domain.Ext(f.products[1]), Quantity: "7", UnitPrice: "1.4333", DiscountRate: "12.5", TaxCode: "GST_FREE"},
			domain.Line{Product: domain.Ext(f.products[1]), Quantity: "1", UnitPrice: "10", DiscountAmount: "3.5", TaxCode: "GST"},
			domain.Line{Kind: domain.LineShipping, Quantity: "1", UnitPrice: "11.9", TaxCode: "GST"}, domain.Line{Kind: domain.LineRounding, Quantity: "1", UnitPrice: "-0.02"})
		w.Values["taxMode"] = domain.TextValue(mode)
		r := f.must(w)
		if err := domain.CheckDocument(r.Values); err != nil {
			t.Errorf("%s: %v", mode, err)
		}
		f.is(mode, r, domain.Values{"total": domain.Value(`{"amount":"` + total + `","currency":"AUD"}`)})
	}
}
