package shopifysim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"datum/adapters/shopifysim"
)

type m = map[string]any

// shop is a simulator whose clock stands still until tick.
type shop struct {
	t     *testing.T
	sim   *shopifysim.Sim
	url   string
	token string
	clock atomic.Int64
	head  http.Header // of the last answer
}

func open(t *testing.T, o shopifysim.Options) *shop {
	t.Helper()
	s := &shop{t: t}
	s.clock.Store(time.Date(2026, 8, 3, 1, 0, 0, 0, time.UTC).UnixMilli())
	o.Now = func() time.Time { return time.UnixMilli(s.clock.Load()).UTC() }
	if o.SearchLag == 0 {
		o.SearchLag = -1
	}
	s.sim = shopifysim.New(o)
	t.Cleanup(s.sim.Close)
	server := httptest.NewServer(s.sim.Handler())
	t.Cleanup(server.Close)
	s.url, s.token = server.URL, s.sim.Credentials()["accessToken"]
	return s
}

func (s *shop) tick(d time.Duration) { s.clock.Add(d.Milliseconds()) }

// ask sends an operation to a version of the API.
func (s *shop) ask(version, query string, vars m) (int, m) {
	s.t.Helper()
	b, err := json.Marshal(m{"query": query, "variables": vars})
	if err != nil {
		s.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/admin/api/"+version+"/graphql.json", bytes.NewReader(b))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("X-Shopify-Access-Token", s.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	s.head = resp.Header
	var out m
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, out
}

// do asks 2026-07 and returns what is at a path of the answer.
func (s *shop) do(query string, vars m, path ...string) any {
	s.t.Helper()
	_, out := s.ask("2026-07", query, vars)
	return dig(out, path...)
}

func dig(v any, path ...string) any {
	for _, p := range path {
		switch x := v.(type) {
		case m:
			v = x[p]
		case []any:
			i := 0
			if _, err := fmt.Sscan(p, &i); err != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

func (s *shop) put(typ, id string, p m) m {
	s.t.Helper()
	b, err := json.Marshal(p)
	if err != nil {
		s.t.Fatal(err)
	}
	var plain m
	if err := json.Unmarshal(b, &plain); err != nil {
		s.t.Fatal(err)
	}
	o, err := s.sim.Put(typ, id, plain)
	if err != nil {
		s.t.Fatal(err)
	}
	return o.(m)
}

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func TestDocuments(t *testing.T) {
	t.Parallel()
	s := open(t, shopifysim.Options{})
	_, out := s.ask("2026-07", `{ customers(first: 1) { nodes { nickname } } }`, nil)
	equal(t, "an unknown field", dig(out, "errors", "0", "extensions", "code"), "undefinedField")
	equal(t, "its words", dig(out, "errors", "0", "message"), "Field 'nickname' doesn't exist on type 'Customer'")
	equal(t, "no data", out["data"], nil)
	equal(t, "an unknown argument", s.do(`{ customers(top: 1) { nodes { id } } }`, nil, "errors", "0", "extensions", "code"), "argumentNotAccepted")
	equal(t, "no page size", s.do(`{ customers { nodes { id } } }`, nil, "errors", "0", "message"), "you must provide one of first or last")
	equal(t, "a bad variable", s.do(`query ($i: CustomerInput!) { __typename customer(id: "x") { id } a: customers(first: 1, query: "x") { nodes { id } } b: node(id: "x") { id } }`, m{"i": m{"nickname": "x"}}, "errors", "0", "extensions", "code"), "variableNotUsed")
	equal(t, "a wrong member", s.do(`mutation ($i: CustomerInput!) { customerCreate(input: $i) { customer { id } } }`, m{"i": m{"nickname": "x"}}, "errors", "0", "extensions", "code"), "INVALID_VARIABLE")
	equal(t, "a list too long", s.do(`query ($ids: [ID!]!) { nodes(ids: $ids) { id } }`, m{"ids": make([]string, 251)}, "errors", "0", "extensions", "code"), "MAX_INPUT_SIZE_EXCEEDED")
	equal(t, "syntax", s.do(`{ customers(`, nil, "data"), nil)

	// Aliases, fragments, conditions and __typename: any selection works.
	c := s.put("customer", "", m{"name": "Mary Hartley", "email": "mary@hartley.example"})
	_, out = s.ask("2026-07", `query Q($id: ID!, $no: Boolean = false) { who: node(id: $id) { __typename ...C ... on Order { name } } shop { name currencyCode taxesIncluded } }
		fragment C on Customer { first: firstName last: lastName mail: defaultEmailAddress { emailAddress } note @include(if: $no) orders(first: 1) { pageInfo { hasNextPage } } amountSpent { amount } }`,
		m{"id": "gid://shopify/Customer/" + c["id"].(string)})
	b, err := json.Marshal(dig(out, "data", "who"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "a selection", string(b), `{"__typename":"Customer","amountSpent":{"amount":"0.00"},"first":"Mary","last":"Hartley","mail":{"emailAddress":"mary@hartley.example"},"orders":{"pageInfo":{"hasNextPage":false}}}`)
	s.do(`{ customers(first: 1) { nodes { email } } }`, nil)
	if why := s.head.Get("X-Shopify-API-Deprecated-Reason"); !strings.Contains(why, "Customer.email") {
		t.Errorf("the deprecated field is not named: %q", why)
	}
}

func TestVersionsAndTokens(t *testing.T) {
	t.Parallel()
	s := open(t, shopifysim.Options{})
	for asked, want := range map[string]string{"2026-07": "2026-07", "2024-01": "2025-10", "unstable": "unstable"} {
		if status, _ := s.ask(asked, `{ shop { name } }`, nil); status != 200 || s.head.Get("X-Shopify-API-Version") != want {
			t.Errorf("%s: %d, served %s, want %s", asked, status, s.head.Get("X-Shopify-API-Version"), want)
		}
	}
	status, _ := s.ask("2026-02", `{ shop { name } }`, nil)
	equal(t, "a version that never was", status, 404)

	post := func(form url.Values) (int, m) {
		c := s.sim.Credentials()
		form.Set("client_id", c["clientId"])
		form.Set("client_secret", c["clientSecret"])
		resp, err := http.PostForm(s.url+c["tokenPath"], form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var out m
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, out
	}
	s.tick(61 * time.Minute)
	status, _ = s.ask("2026-07", `{ shop { name } }`, nil)
	equal(t, "an expired token", status, 401)
	first := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {s.sim.Credentials()["refreshToken"]}}
	status, out := post(first)
	equal(t, "a refresh", status, 200)
	s.token = out["access_token"].(string)
	status, _ = s.ask("2026-07", `{ shop { name } }`, nil)
	equal(t, "the new token", status, 200)
	if status, out = post(first); status != 400 || out["error"] != "invalid_grant" {
		t.Errorf("the refresh token that was rotated away: %d %v", status, out)
	}
	_, out = post(url.Values{"grant_type": {"client_credentials"}})
	equal(t, "client credentials", out["expires_in"], 86399)
	equal(t, "they rotate nothing", out["refresh_token"], nil)
	s.token = out["access_token"].(string)
	s.sim.Revoke()
	status, _ = s.ask("2026-07", `{ shop { name } }`, nil)
	equal(t, "a revoked app", status, 401)
}

func TestCost(t *testing.T) {
	t.Parallel()
	s := open(t, shopifysim.Options{})
	for i := range 3 {
		s.put("customer", "", m{"name": fmt.Sprint("C", i)})
	}
	_, out := s.ask("2026-07", `{ customers(first: 250) { nodes { id defaultEmailAddress { emailAddress } defaultAddress { city } } } }`, nil)
	equal(t, "requested", dig(out, "extensions", "cost", "requestedQueryCost"), 752)
	equal(t, "actual", dig(out, "extensions", "cost", "actualQueryCost"), 5)
	equal(t, "left", dig(out, "extensions", "cost", "throttleStatus", "currentlyAvailable"), 1995)
	_, out = s.ask("2026-07", `{ customers(first: 250) { nodes { id orders(first: 10) { nodes { id } } } } }`, nil)
	equal(t, "too dear", dig(out, "errors", "0", "extensions", "code"), "MAX_COST_EXCEEDED")
	for range 200 {
		if _, out = s.ask("2026-07", `mutation { tagsAdd(id: "gid://shopify/Customer/1", tags: ["x"]) { userErrors { message } } }`, nil); out["errors"] != nil {
			break
		}
	}
	status, out := s.ask("2026-07", `mutation { tagsAdd(id: "gid://shopify/Customer/1", tags: ["x"]) { userErrors { message } } }`, nil)
	equal(t, "throttled is 200", status, 200)
	equal(t, "throttled", dig(out, "errors", "0", "extensions", "code"), "THROTTLED")
	equal(t, "nothing was charged", dig(out, "extensions", "cost", "actualQueryCost"), nil)
	s.tick(time.Second)
	equal(t, "after a second", s.do(`{ shop { name } }`, nil, "errors"), nil)
	equal(t, "100 points came back", s.do(`{ shop { name } }`, nil, "extensions", "cost", "throttleStatus", "restoreRate"), 100)
}

func TestPagesShift(t *testing.T) {
	t.Parallel()
	s := open(t, shopifysim.Options{Restore: -1})
	ids := []string{}
	for i := range 5 {
		s.tick(time.Second)
		ids = append(ids, s.put("customer", "", m{"name": fmt.Sprint("C", i)})["id"].(string))
	}
	const q = `query ($after: String) { customers(first: 2, after: $after, sortKey: UPDATED_AT) { nodes { legacyResourceId } pageInfo { hasNextPage endCursor } } }`
	page := func(after any) (string, any) {
		_, out := s.ask("2026-07", q, m{"after": after})
		var got []string
		for _, n := range dig(out, "data", "customers", "nodes").([]any) {
			got = append(got, dig(n, "legacyResourceId").(string))
		}
		return strings.Join(got, " "), dig(out, "data", "customers", "pageInfo", "endCursor")
	}
	got, after := page(nil)
	equal(t, "first", got, ids[0]+" "+ids[1])
	s.tick(time.Second)
	s.put("customer", ids[0], m{"note": "moved"})
	s.put("customer", ids[2], m{"note": "moved too"})
	got, after = page(after)
	equal(t, "second", got, ids[3]+" "+ids[4])
	got, _ = page(after)
	equal(t, "those that moved come again", got, ids[0]+" "+ids[2])
	count := func(query string) any {
		return s.do(`query ($q: String) { customersCount(query: $q) { count } }`, m{"q": query}, "data", "customersCount", "count")
	}
	equal(t, "by time", count("updated_at:>='2026-08-03T01:00:05Z'"), 3)
	equal(t, "and, or, not", count(`(first_name:c1 OR first_name:"C2") AND -first_name:c2`), 1)
	equal(t, "by id", count("id:>="+ids[3]), 2)
	equal(t, "an unknown filter finds all", count("nickname:x"), 5)
}

func TestIdempotentStock(t *testing.T) {
	t.Parallel()
	s := open(t, shopifysim.Options{Restore: -1})
	v := s.put("variant", "", m{"title": "Elbow", "sku": "E", "price": "2.00", "quantity": 5})
	item := "gid://shopify/InventoryItem/" + v["inventoryItem"].(m)["id"].(string)
	location := s.do(`{ locations(first: 1) { nodes { id } } }`, nil, "data", "locations", "nodes", "0", "id")
	const plain = `mutation ($i: InventorySetQuantitiesInput!) { inventorySetQuantities(input: $i) { userErrors { code } } }`
	const keyed = `mutation ($i: InventorySetQuantitiesInput!, $k: String!) { inventorySetQuantities(input: $i) @idempotent(key: $k) { inventoryAdjustmentGroup { id changes { delta } } userErrors { code } } }`
	input := func(from, to any) m {
		return m{"name": "available", "reason": "correction", "quantities": []m{{"inventoryItemId": item, "locationId": location, "quantity": to, "changeFromQuantity": from}}}
	}
	equal(t, "without the directive", s.do(plain, m{"i": input(5, 6)}, "errors", "0", "extensions", "code"), "BAD_REQUEST")
	set := func(key string, from, to any) (code, group any) {
		_, out := s.ask("2026-07", keyed, m{"i": input(from, to), "k": key})
		if e := dig(out, "errors", "0", "message"); e != nil {
			t.Fatal(e)
		}
		return dig(out, "data", "inventorySetQuantities", "userErrors", "0", "code"), dig(out, "data", "inventorySetQuantities", "inventoryAdjustmentGroup", "id")
	}
	code, group := set("a", 5, 6)
	equal(t, "set", code, nil)
	code, again := set("a", 5, 6)
	equal(t, "replayed", fmt.Sprint(code, again), fmt.Sprint(nil, group))
	code, _ = set("a", 6, 7)
	equal(t, "another input", code, "IDEMPOTENCY_KEY_PARAMETER_MISMATCH")
	code, _ = set("b", 5, 9)
	equal(t, "stale", code, "CHANGE_FROM_QUANTITY_STALE")
	code, _ = set("b", 5, 9)
	equal(t, "a key that failed", code, "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED")
	code, _ = set("c", nil, 8)
	equal(t, "without comparison", code, nil)
	s.tick(25 * time.Hour)
	s.sim.Expire()
	s.token = s.sim.Consent()["accessToken"]
	code, _ = set("a", 8, 6)
	equal(t, "a key forgotten after 24 hours", code, nil)
	levels, err := s.sim.Objects("inventoryLevel")
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "available", dig(levels[0], "available"), 6)
}

func TestSetsAndUniqueMetafields(t *testing.T) {
	t.Parallel()
	s := open(t, shopifysim.Options{Restore: -1})
	const set = `mutation ($id: CustomerSetIdentifiers, $in: CustomerSetInput!) { customerSet(identifier: $id, input: $in) { customer { id note addressesV2(first: 5) { nodes { city } } } userErrors { field code message } } }`
	ident := m{"customId": m{"namespace": "crm", "key": "our_id", "value": "7"}}
	equal(t, "without a definition", s.do(set, m{"id": ident, "in": m{"firstName": "A"}}, "errors", "0", "extensions", "code"), "NOT_FOUND")
	s.do(`mutation { metafieldDefinitionCreate(definition: {ownerType: CUSTOMER, namespace: "crm", key: "our_id", name: "Id", type: "id"}) { userErrors { code } } }`, nil)
	in := m{"firstName": "A", "note": "n", "addresses": []m{{"city": "Kew", "countryCode": "AU"}, {"city": "Perth", "countryCode": "AU"}}}
	id := s.do(set, m{"id": ident, "in": in}, "data", "customerSet", "customer", "id")
	_, out := s.ask("2026-07", set, m{"id": ident, "in": m{"addresses": []m{{"city": "Perth", "countryCode": "AU"}}}})
	equal(t, "the same customer", dig(out, "data", "customerSet", "customer", "id"), id)
	equal(t, "a list replaces", dig(out, "data", "customerSet", "customer", "addressesV2", "nodes"), []any{m{"city": "Perth"}})
	equal(t, "what is not given stays", dig(out, "data", "customerSet", "customer", "note"), "n")
	s.put("customer", "", m{"email": "b@hartley.example"})
	_, out = s.ask("2026-07", set, m{"id": ident, "in": m{"email": "B@hartley.example"}})
	equal(t, "a taken address", dig(out, "data", "customerSet", "userErrors", "0", "code"), "TAKEN")
	equal(t, "which member", dig(out, "data", "customerSet", "userErrors", "0", "field"), "[input email]")
	equal(t, "found by our id", s.do(`query ($i: CustomerIdentifierInput!) { customerByIdentifier(identifier: $i) { id } }`, m{"i": ident}, "data", "customerByIdentifier", "id"), id)
	equal(t, "counted", s.sim.Stats().Creates, 1)
}

func TestBulk(t *testing.T) {
	t.Parallel()
	s := open(t, shopifysim.Options{Restore: -1, BulkTakes: 30 * time.Second})
	for i := range 300 {
		s.put("customer", "", m{"name": fmt.Sprint("C ", i)})
	}
	s.put("product", "", m{"title": "Pipe", "variants": []m{{"option": "10", "sku": "P10", "price": 1}, {"option": "20", "sku": "P20", "price": 2}}})
	const run = `mutation ($q: String!) { bulkOperationRunQuery(query: $q, groupObjects: false) { bulkOperation { id status } userErrors { message code } } }`
	_, out := s.ask("2026-07", run, m{"q": `{ shop { name } }`})
	equal(t, "no connection", dig(out, "data", "bulkOperationRunQuery", "userErrors", "0", "code"), "INVALID")
	_, out = s.ask("2026-07", run, m{"q": `{ products { edges { node { id title variants { edges { node { id sku } } } } } } }`})
	id := dig(out, "data", "bulkOperationRunQuery", "bulkOperation", "id")
	equal(t, "created", dig(out, "data", "bulkOperationRunQuery", "bulkOperation", "status"), "CREATED")
	const look = `query ($id: ID!) { bulkOperation(id: $id) { status objectCount rootObjectCount url } }`
	equal(t, "running", s.do(look, m{"id": id}, "data", "bulkOperation", "status"), "RUNNING")
	for range 4 {
		s.do(run, m{"q": `{ customers { edges { node { id } } } }`})
	}
	_, out = s.ask("2026-07", run, m{"q": `{ customers { edges { node { id } } } }`})
	equal(t, "a sixth at once", dig(out, "data", "bulkOperationRunQuery", "userErrors", "0", "code"), "OPERATION_IN_PROGRESS")
	s.tick(time.Minute)
	_, out = s.ask("2026-07", look, m{"id": id})
	equal(t, "done", dig(out, "data", "bulkOperation", "status"), "COMPLETED")
	equal(t, "objects", dig(out, "data", "bulkOperation", "objectCount"), 3)
	resp, err := http.Get(dig(out, "data", "bulkOperation", "url").(string))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != 3 || !strings.Contains(lines[1], `"sku":"P10","__parentId":"gid://shopify/Product/`) {
		t.Errorf("the result is\n%s", b)
	}
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	s := open(t, shopifysim.Options{Restore: -1, HookScale: 1e-6})
	type hook struct{ topic, event, delivery, body string }
	var mu sync.Mutex
	var got []hook
	fail := atomic.Int32{}
	fail.Store(1)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if want := shopifysim.Sign(s.sim.Credentials()["clientSecret"], b).Get("X-Shopify-Hmac-Sha256"); r.Header.Get("X-Shopify-Hmac-Sha256") != want {
			t.Error("the signature does not verify")
		}
		mu.Lock()
		got = append(got, hook{r.Header.Get("X-Shopify-Topic"), r.Header.Get("X-Shopify-Event-Id"), r.Header.Get("X-Shopify-Webhook-Id"), string(b)})
		mu.Unlock()
		if fail.Add(-1) >= 0 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer receiver.Close()
	const subscribe = `mutation ($t: WebhookSubscriptionTopic!, $u: String!) { webhookSubscriptionCreate(topic: $t, webhookSubscription: {uri: $u}) { webhookSubscription { id topic } userErrors { message } } }`
	for _, topic := range []string{"ORDERS_CREATE", "ORDERS_PAID"} {
		equal(t, "subscribe", s.do(subscribe, m{"t": topic, "u": receiver.URL}, "data", "webhookSubscriptionCreate", "webhookSubscription", "topic"), topic)
	}
	s.put("order", "", m{"lines": []m{{"title": "Cutting", "price": "5.50"}}})
	if err := s.sim.Idle(t.Context()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(got) != 3 {
		t.Fatalf("%d deliveries, want two and a repeat", len(got))
	}
	repeats := 0
	for i, a := range got {
		for _, b := range got[:i] {
			if a.delivery == b.delivery {
				repeats++
				equal(t, "a repeat", a, b)
			}
			equal(t, "one event", a.event, b.event)
		}
		if !strings.Contains(a.body, `"total_price":"5.50"`) || !strings.Contains(a.body, `"taxes_included":true`) {
			t.Errorf("the body is no order: %s", a.body)
		}
	}
	equal(t, "repeats", repeats, 1)
}
