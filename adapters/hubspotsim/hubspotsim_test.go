package hubspotsim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"datum/adapters/hubspotsim"
	"datum/adapters/sim"
)

type object = map[string]any

// portal is one running simulator with a clock that stands still until tick.
type portal struct {
	t     *testing.T
	sim   *hubspotsim.Sim
	url   string
	token string
	clock atomic.Int64
}

func newPortal(t *testing.T, o hubspotsim.Options) *portal {
	t.Helper()
	p := &portal{t: t}
	p.clock.Store(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixMilli())
	o.Now = func() time.Time { return time.UnixMilli(p.clock.Load()) }
	p.sim = hubspotsim.New(o)
	t.Cleanup(p.sim.Close)
	u, err := p.sim.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p.url, p.token = u, p.sim.Credentials()["accessToken"]
	return p
}

func (p *portal) tick(d time.Duration) { p.clock.Add(d.Milliseconds()) }

// call sends a request and returns status, header and body.
func (p *portal) call(method, path string, in any) (int, http.Header, object) {
	p.t.Helper()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			p.t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(p.t.Context(), method, p.url+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	if p.token != "" {
		req.Header.Set("Authorization", "Bearer "+p.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	var out object
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil && err != io.EOF {
		p.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp.StatusCode, resp.Header, out
}

// want sends a request and fails the test unless it has the status.
func (p *portal) want(status int, method, path string, in any) object {
	p.t.Helper()
	got, _, out := p.call(method, path, in)
	if got != status {
		p.t.Fatalf("%s %s answered %d %v, want %d", method, path, got, out, status)
	}
	return out
}

func props(kv ...string) object {
	m := object{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return object{"properties": m}
}

func list(o object, key string) []any { l, _ := o[key].([]any); return l }

func property(o any, name string) any { return o.(object)["properties"].(object)[name] }

func TestLimitsRollAndAreShown(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{Limits: hubspotsim.Limits{Burst: 3, Search: 1, Day: 6}})
	for i := range 3 {
		status, h, _ := p.call("GET", "/crm/v3/owners", nil)
		if status != 200 || h.Get("X-HubSpot-RateLimit-Remaining") != fmt.Sprint(2-i) || h.Get("X-HubSpot-RateLimit-Max") != "3" || h.Get("X-HubSpot-RateLimit-Interval-Milliseconds") != "10000" || h.Get("X-HubSpot-RateLimit-Daily-Remaining") != fmt.Sprint(5-i) {
			t.Errorf("call %d: %d %v", i, status, h)
		}
		p.tick(4 * time.Second)
	}
	// 12 s later the first call has left the window, so one is free again and no more.
	p.want(200, "GET", "/crm/v3/owners", nil)
	if e := p.want(429, "GET", "/crm/v3/owners", nil); e["policyName"] != "TEN_SECONDLY_ROLLING" || e["errorType"] != "RATE_LIMIT" {
		t.Errorf("the refusal: %v", e)
	}
	p.tick(10 * time.Second)
	status, h, _ := p.call("POST", "/crm/v3/objects/companies/search", object{})
	if status != 200 || h.Get("X-HubSpot-RateLimit-Remaining") != "" {
		t.Errorf("a search: %d %v", status, h)
	}
	if e := p.want(429, "POST", "/crm/v3/objects/companies/search", object{}); e["message"] != "You have reached your secondly limit." {
		t.Errorf("a second search in a second: %v", e)
	}
	if e := p.want(429, "GET", "/crm/v3/owners", nil); e["policyName"] != "DAILY" {
		t.Errorf("after the day's calls: %v", e)
	}
	if st := p.sim.Stats(); st.Limited != 3 || st.Statuses["429"] != 3 {
		t.Errorf("stats %+v", st)
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{})
	cred := p.sim.Credentials()
	token := func(form url.Values) (int, object) {
		t.Helper()
		form.Set("client_id", cred["clientId"])
		if form.Get("client_secret") == "" {
			form.Set("client_secret", cred["clientSecret"])
		}
		resp, err := http.PostForm(p.url+"/oauth/2026-03/token", form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var out object
		if err := json.NewDecoder(resp.Body).Decode(&out); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, out
	}
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {cred["refreshToken"]}}

	p.tick(29 * time.Minute)
	p.want(200, "GET", "/account-info/v3/details", nil)
	p.tick(time.Minute)
	if e := p.want(401, "GET", "/account-info/v3/details", nil); e["category"] != "EXPIRED_AUTHENTICATION" {
		t.Errorf("after 30 minutes: %v", e)
	}
	status, out := token(refresh)
	if status != 200 || out["expires_in"] != 1800.0 || out["refresh_token"] != cred["refreshToken"] {
		t.Fatalf("refresh: %d %v", status, out)
	}
	p.token = out["access_token"].(string)
	p.want(200, "GET", "/account-info/2026-03/details", nil)

	p.sim.Revoke()
	p.want(401, "GET", "/account-info/v3/details", nil)
	if status, out := token(refresh); status != 400 || out["status"] != "BAD_REFRESH_TOKEN" || out["error"] != "invalid_grant" {
		t.Errorf("refresh after a revocation: %d %v", status, out)
	}
	if status, _ := token(url.Values{"grant_type": {"refresh_token"}, "client_secret": {"wrong"}, "refresh_token": {p.sim.Credentials()["refreshToken"]}}); status != 400 {
		t.Errorf("a wrong secret: %d", status)
	}

	// The customer installs the app again: the person says yes and comes back with a code, which is good once.
	noRedirect := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := noRedirect.Get(p.url + "/oauth/authorize?client_id=" + cred["clientId"] + "&redirect_uri=" + url.QueryEscape("https://datum.example/back?x=1") + "&state=s")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	back, err := resp.Location()
	if err != nil || back.Query().Get("state") != "s" || back.Query().Get("x") != "1" {
		t.Fatalf("sent back to %v: %v", back, err)
	}
	code := url.Values{"grant_type": {"authorization_code"}, "code": {back.Query().Get("code")}, "redirect_uri": {"https://datum.example/back?x=1"}}
	status, out = token(code)
	if status != 200 {
		t.Fatalf("the code: %d %v", status, out)
	}
	p.token = out["access_token"].(string)
	p.want(200, "GET", "/account-info/v3/details", nil)
	if status, _ := token(code); status != 400 {
		t.Errorf("the code a second time: %d", status)
	}
	if st := p.sim.Stats(); st.TokenRefreshes != 1 || st.InvalidRefreshes != 1 {
		t.Errorf("stats %+v", st)
	}
	p.token = p.sim.Credentials()["privateToken"]
	p.tick(1000 * time.Hour)
	p.want(200, "GET", "/account-info/v3/details", nil)
}

func TestSearchTrailsBehindAndEndsAtTenThousand(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{Limits: hubspotsim.Limits{Burst: -1, Search: -1}, SearchLag: time.Second})
	id := p.want(201, "POST", "/crm/v3/objects/companies", props("name", "Hartley Plumbing", "domain", "https://www.Hartley.example/x"))["id"].(string)
	byName := object{"filterGroups": []any{object{"filters": []any{object{"propertyName": "name", "operator": "EQ", "value": "hartley plumbing"}}}}, "properties": []string{"name", "website"}}
	if out := p.want(200, "POST", "/crm/objects/2026-03/companies/search", byName); out["total"] != 0.0 {
		t.Errorf("seen at once: %v", out)
	}
	p.tick(time.Second)
	if out := p.want(200, "POST", "/crm/objects/2026-03/companies/search", byName); out["total"] != 1.0 || property(list(out, "results")[0], "website") != "hartley.example" {
		t.Errorf("after the lag: %v", out)
	}
	p.want(200, "PATCH", "/crm/objects/2026-09/0-2/"+id, props("name", "Renamed"))
	if out := p.want(200, "POST", "/crm/v3/objects/companies/search", byName); out["total"] != 1.0 || property(list(out, "results")[0], "name") != "Hartley Plumbing" {
		t.Errorf("a search within the lag shows the old: %v", out)
	}
	p.want(204, "DELETE", "/crm/v3/objects/companies/"+id, nil)
	p.tick(2 * time.Second)
	if out := p.want(200, "POST", "/crm/v3/objects/companies/search", object{}); out["total"] != 0.0 {
		t.Errorf("archived objects do not appear: %v", out)
	}
	p.want(200, "POST", "/crm/v3/objects/companies/search", object{"limit": 200, "after": "9800"})
	for _, bad := range []object{{"limit": 200, "after": "9801"}, {"limit": 201}, {"sorts": []string{"name", "domain"}},
		{"filterGroups": []any{object{"filters": []any{object{"propertyName": "nope", "operator": "EQ", "value": "x"}}}}},
		{"filterGroups": []any{object{"filters": []any{object{"propertyName": "name", "operator": "LIKE", "value": "x"}}}}},
		{"filterGroups": []any{object{}, object{}, object{}, object{}, object{}, object{}}}} {
		p.want(400, "POST", "/crm/v3/objects/companies/search", bad)
	}
}

func TestOperators(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{Limits: hubspotsim.Limits{Burst: -1, Search: -1}, SearchLag: -1})
	for i, n := range []string{"9", "10", "200"} {
		p.tick(time.Second)
		p.want(201, "POST", "/crm/v3/objects/companies", props("name", "Firm "+n, "numberofemployees", n, "city", []string{"Perth", "", "Hobart"}[i]))
	}
	at := fmt.Sprint(time.Date(2026, 3, 2, 9, 0, 2, 0, time.UTC).UnixMilli())
	for name, c := range map[string]struct {
		filter object
		want   string
	}{
		"numbers, not text": {object{"propertyName": "numberofemployees", "operator": "GT", "value": "9"}, "10 200"},
		"between":           {object{"propertyName": "numberofemployees", "operator": "BETWEEN", "value": "9", "highValue": "10"}, "9 10"},
		"in":                {object{"propertyName": "city", "operator": "IN", "values": []string{"perth", "hobart"}}, "9 200"},
		"not in":            {object{"propertyName": "city", "operator": "NOT_IN", "values": []string{"perth"}}, "10 200"},
		"has":               {object{"propertyName": "city", "operator": "HAS_PROPERTY"}, "9 200"},
		"has not":           {object{"propertyName": "city", "operator": "NOT_HAS_PROPERTY"}, "10"},
		"not equal":         {object{"propertyName": "city", "operator": "NEQ", "value": "Perth"}, "10 200"},
		"a time, in ms":     {object{"propertyName": "hs_lastmodifieddate", "operator": "GTE", "value": at}, "10 200"},
		"a time, exactly":   {object{"propertyName": "hs_lastmodifieddate", "operator": "EQ", "value": at}, "10"},
		"a word":            {object{"propertyName": "name", "operator": "CONTAINS_TOKEN", "value": "10"}, "10"},
		"a part of a word":  {object{"propertyName": "city", "operator": "CONTAINS_TOKEN", "value": "*ob*"}, "200"},
	} {
		out := p.want(200, "POST", "/crm/v3/objects/companies/search", object{"filterGroups": []any{object{"filters": []any{c.filter}}},
			"sorts": []any{object{"propertyName": "numberofemployees", "direction": "ASCENDING"}}, "properties": []string{"numberofemployees"}})
		var got []string
		for _, o := range list(out, "results") {
			got = append(got, property(o, "numberofemployees").(string))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v, want %s", name, got, c.want)
		}
	}
}

func TestWritesAreChecked(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{Limits: hubspotsim.Limits{Burst: -1}})
	p.want(201, "POST", "/crm/v3/properties/companies", object{"name": "datum_id", "label": "Id", "type": "string", "fieldType": "text", "groupName": "companyinformation", "hasUniqueValue": true})
	a := p.want(201, "POST", "/crm/v3/objects/companies", props("name", "A", "datum_id", "cus_1", "lifecyclestage", "customer"))["id"].(string)
	for name, c := range map[string]struct {
		properties object
		code       string
	}{
		"an unknown property": {props("abn", "1"), "PROPERTY_DOESNT_EXIST"},
		"a read-only one":     {props("hs_object_id", "1"), "READ_ONLY_VALUE"},
		"a taken unique one":  {props("datum_id", "CUS_1"), "CONFLICTING_UNIQUE_VALUE"},
		"no number":           {props("numberofemployees", "many"), "INVALID_INTEGER"},
		"no option":           {props("lifecyclestage", "friend"), "INVALID_OPTION"},
		"no owner":            {props("hubspot_owner_id", "1"), "INVALID_OWNER_ID"},
		"too long":            {props("name", strings.Repeat("x", 65_537)), "INVALID_STRING_LENGTH"},
	} {
		e := p.want(400, "POST", "/crm/v3/objects/companies", c.properties)
		detail := list(e, "errors")[0].(object)
		if e["category"] != "VALIDATION_ERROR" || detail["code"] != c.code || !strings.Contains(e["message"].(string), c.code) {
			t.Errorf("%s: %v", name, e)
		}
	}
	// Backwards is ignored, cleared first it is not.
	if o := p.want(200, "PATCH", "/crm/v3/objects/companies/"+a, props("lifecyclestage", "lead")); property(o, "lifecyclestage") != "customer" {
		t.Errorf("back at once: %v", o)
	}
	p.want(200, "PATCH", "/crm/v3/objects/companies/"+a, props("lifecyclestage", ""))
	if o := p.want(200, "PATCH", "/crm/v3/objects/companies/cus_1?idProperty=datum_id", props("lifecyclestage", "lead")); property(o, "lifecyclestage") != "lead" {
		t.Errorf("cleared first: %v", o)
	}
	// E-mail is unique among contacts and kept in lower case.
	jo := p.want(201, "POST", "/crm/v3/objects/contacts", props("email", "Jo@Example.com"))
	if e := p.want(409, "POST", "/crm/v3/objects/contacts", props("email", "jo@example.COM")); e["message"] != "Contact already exists. Existing ID: "+jo["id"].(string) {
		t.Errorf("the clash: %v", e)
	}
	// The same values again are no change.
	before := p.want(200, "GET", "/crm/v3/objects/contacts/"+jo["id"].(string), nil)
	p.tick(time.Minute)
	p.want(200, "PATCH", "/crm/v3/objects/contacts/"+jo["id"].(string), props("email", "jo@example.com"))
	if after := p.want(200, "GET", "/crm/v3/objects/contacts/jo@example.com?idProperty=email", nil); after["updatedAt"] != before["updatedAt"] {
		t.Errorf("a write without a change moved the stamp: %v %v", before, after)
	}
	st := p.sim.Stats()
	if st.NoopUpdates != 2 || st.Creates != 2 || st.CreatesOf["contacts"] != 1 || st.Updates != 2 {
		t.Errorf("stats %+v", st)
	}
}

func TestBatches(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{Limits: hubspotsim.Limits{Burst: -1}})
	p.want(201, "POST", "/crm/v3/properties/companies", object{"name": "datum_id", "label": "Id", "type": "string", "fieldType": "text", "groupName": "companyinformation", "hasUniqueValue": true})
	in := func(id, name, trace string) object {
		o := props("name", name)
		o["id"], o["idProperty"] = id, "datum_id"
		if trace != "" {
			o["objectWriteTraceId"] = trace
		}
		return o
	}
	bad := in("cus_3", "C", "t3")
	bad["properties"].(object)["nope"] = "x"
	out := p.want(207, "POST", "/crm/v3/objects/companies/batch/upsert", object{"inputs": []any{in("cus_1", "A", "t1"), in("cus_2", "B", "t2"), bad}})
	if len(list(out, "results")) != 2 || out["numErrors"] != 1.0 || list(list(out, "errors")[0].(object)["context"].(object), "objectWriteTraceId")[0] != "t3" {
		t.Errorf("with trace ids: %v", out)
	}
	delete(bad, "objectWriteTraceId")
	p.want(400, "POST", "/crm/v3/objects/companies/batch/upsert", object{"inputs": []any{in("cus_1", "changed", ""), bad}})
	out = p.want(207, "POST", "/crm/v3/objects/companies/batch/read", object{"idProperty": "datum_id", "properties": []string{"name"}, "inputs": []any{object{"id": "cus_1"}, object{"id": "cus_9"}}})
	if got := list(out, "results"); len(got) != 1 || property(got[0], "name") != "A" {
		t.Errorf("one bad input refuses the batch, and nothing is changed: %v", out)
	}
	p.want(400, "POST", "/crm/v3/objects/companies/batch/upsert", object{"inputs": []any{in("cus_1", "A", "1"), in("cus_1", "A", "2")}})
	var many []any
	for i := range 101 {
		many = append(many, in(fmt.Sprint("x", i), "X", fmt.Sprint(i)))
	}
	p.want(400, "POST", "/crm/v3/objects/companies/batch/upsert", object{"inputs": many})
	out = p.want(200, "POST", "/crm/v3/objects/companies/batch/upsert", object{"inputs": many[:100]})
	first := list(out, "results")[0].(object)
	if len(list(out, "results")) != 100 || first["new"] != true || len(first["id"].(string)) < 11 {
		t.Errorf("a full batch: %d results, first %v", len(list(out, "results")), first)
	}
}

func TestListPagesByIDAndDoesNotShift(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{Limits: hubspotsim.Limits{Burst: -1}})
	var ids []string
	for i := range 6 {
		ids = append(ids, p.want(201, "POST", "/crm/v3/objects/deals", props("dealname", fmt.Sprint(i)))["id"].(string))
	}
	page := p.want(200, "GET", "/crm/v3/objects/deals?limit=3", nil)
	after := page["paging"].(object)["next"].(object)["after"].(string)
	p.want(204, "DELETE", "/crm/v3/objects/deals/"+ids[0], nil)
	page = p.want(200, "GET", "/crm/v3/objects/deals?limit=3&after="+after, nil)
	if got := list(page, "results"); len(got) != 3 || got[0].(object)["id"] != ids[3] || page["paging"] != nil {
		t.Errorf("second page: %v", page)
	}
	page = p.want(200, "GET", "/crm/v3/objects/deals?archived=true", nil)
	if got := list(page, "results"); len(got) != 1 || got[0].(object)["archivedAt"] == nil {
		t.Errorf("archived: %v", page)
	}
	p.want(201, "POST", "/crm/v3/objects/spaceships", props("anything", "goes"))
	p.want(400, "GET", "/crm/v3/objects/Bad%20Type", nil)
}

func TestPrimaryCompanyFollowsAssociations(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{Limits: hubspotsim.Limits{Burst: -1}})
	a := p.want(201, "POST", "/crm/v3/objects/companies", props("name", "A"))["id"].(string)
	b := p.want(201, "POST", "/crm/v3/objects/companies", props("name", "B"))["id"].(string)
	jo := p.want(201, "POST", "/crm/v3/objects/contacts", props("firstname", "Jo"))["id"].(string)
	link := func(company string) object {
		return object{"inputs": []any{object{"from": object{"id": jo}, "to": object{"id": company}}}}
	}
	primary := func() any {
		t.Helper()
		return property(p.want(200, "GET", "/crm/v3/objects/contacts/"+jo+"?properties=associatedcompanyid", nil), "associatedcompanyid")
	}
	p.want(200, "POST", "/crm/v4/associations/contacts/companies/batch/associate/default", link(a))
	p.want(200, "POST", "/crm/v4/associations/contacts/companies/batch/associate/default", link(b))
	if primary() != a {
		t.Errorf("the first company is the primary one: %v", primary())
	}
	out := p.want(200, "POST", "/crm/v4/associations/companies/contacts/batch/read", object{"inputs": []any{object{"id": b}}})
	if to := list(list(out, "results")[0].(object), "to"); len(to) != 1 || to[0].(object)["toObjectId"] != jo {
		t.Errorf("from the other side: %v", out)
	}
	p.want(204, "POST", "/crm/v4/associations/contacts/companies/batch/archive", object{"inputs": []any{object{"from": object{"id": jo}, "to": []any{object{"id": a}}}}})
	if primary() != b {
		t.Errorf("the next one takes over: %v", primary())
	}
	p.want(204, "DELETE", "/crm/v3/objects/companies/"+b, nil)
	if primary() != nil {
		t.Errorf("none is left: %v", primary())
	}
	if out := p.want(207, "POST", "/crm/v4/associations/contacts/companies/batch/read", object{"inputs": []any{object{"id": jo}}}); out["numErrors"] != 1.0 {
		t.Errorf("no associations: %v", out)
	}
}

func TestScopesAreChecked(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{Scopes: []string{"oauth", "crm.objects.companies.read"}})
	p.want(200, "GET", "/crm/v3/objects/companies", nil)
	for path, method := range map[string]string{"/crm/v3/objects/companies": "POST", "/crm/v3/objects/contacts": "GET", "/crm/v3/owners": "GET", "/crm/v3/properties/companies": "GET"} {
		if e := p.want(403, method, path, object{}); e["category"] != "MISSING_SCOPES" {
			t.Errorf("%s: %v", path, e)
		}
	}
}

func TestAFaultLooksLikeHubSpot(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{})
	for _, status := range []int{400, 401, 403, 404, 409, 423, 429, 500, 502} {
		if _, err := p.sim.AddFault(sim.Fault{Kind: sim.FaultStatus, Status: status, Count: 1}); err != nil {
			t.Fatal(err)
		}
		if e := p.want(status, "GET", "/crm/v3/owners", nil); e["status"] != "error" || e["message"] == "" || e["correlationId"] == "" {
			t.Errorf("%d: %v", status, e)
		}
	}
	if st := p.sim.Stats(); st.Limited != 0 || st.Faults["status"] != 9 {
		t.Errorf("stats %+v", st)
	}
}

func TestPeopleAtTheScreen(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{})
	a := p.want(200, "POST", "/_sim/objects", object{"type": "companies", "properties": object{"name": "A", "numberofemployees": 12}})
	b := p.want(200, "POST", "/_sim/objects", object{"type": "companies", "properties": object{"name": "B", "phone": "1"}})
	jo := p.want(200, "POST", "/_sim/objects", object{"type": "contacts", "properties": object{"firstname": "Jo", "companies": b["id"]}})
	p.want(400, "POST", "/_sim/objects", object{"type": "companies", "id": "1", "properties": object{"name": "x"}})
	p.want(400, "POST", "/_sim/objects", object{"type": "companies", "properties": object{"nope": "x"}})
	m := p.want(200, "POST", "/_sim/merge", object{"type": "companies", "winner": a["id"], "loser": b["id"]})
	if m["id"] == a["id"] || property(m, "name") != "A" || property(m, "phone") != "1" || property(m, "hs_merged_object_ids") != fmt.Sprintf("%s;%s", a["id"], b["id"]) {
		t.Errorf("the survivor: %v", m)
	}
	for _, old := range []any{a["id"], b["id"]} {
		if o := p.want(200, "GET", fmt.Sprint("/crm/v3/objects/companies/", old), nil); o["id"] != m["id"] {
			t.Errorf("the old id %v leads to %v", old, o["id"])
		}
	}
	if o := p.want(200, "GET", fmt.Sprint("/crm/v3/objects/contacts/", jo["id"], "?associations=companies&properties=associatedcompanyid"), nil); property(o, "associatedcompanyid") != m["id"] {
		t.Errorf("the loser's contact is the survivor's: %v", o)
	}
	objects, err := p.sim.Objects("companies")
	if err != nil || len(objects) != 3 || objects[0].(object)["archived"] != true || objects[0].(object)["mergedInto"] != m["id"] || objects[2].(object)["archived"] != false {
		t.Errorf("objects %v, %v", objects, err)
	}
	if st := p.sim.Stats(); st.Edits != 3 || st.Creates != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestResetKeepsTheConnection(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{})
	cred := p.sim.Credentials()
	p.want(201, "POST", "/crm/v3/properties/companies", object{"name": "datum_id", "label": "Datum id", "type": "string", "fieldType": "text", "groupName": "companyinformation", "hasUniqueValue": true})
	p.want(201, "POST", "/crm/v3/objects/companies", object{"properties": object{"name": "A", "datum_id": "1"}})
	p.want(200, "POST", "/_sim/reset", nil)
	if list := p.want(200, "GET", "/crm/v3/objects/companies", nil); len(list["results"].([]any)) != 0 {
		t.Errorf("after a reset: %v", list)
	}
	p.want(201, "POST", "/crm/v3/objects/companies", object{"properties": object{"name": "A", "datum_id": "1"}})

	p.want(200, "POST", "/_sim/revoke", nil)
	p.want(401, "GET", "/crm/v3/objects/companies", nil)
	p.want(200, "POST", "/_sim/reset", nil)
	resp, err := http.PostForm(p.url+cred["tokenPath"], url.Values{"grant_type": {"refresh_token"}, "refresh_token": {cred["refreshToken"]},
		"client_id": {cred["clientId"]}, "client_secret": {cred["clientSecret"]}})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("renewing at the path that the credentials name: %d", resp.StatusCode)
	}
	p.want(200, "POST", "/_sim/revoke", nil)
	p.token = p.want(200, "POST", "/_sim/authorise", nil)["accessToken"].(string)
	p.want(200, "GET", "/crm/v3/objects/companies", nil)
}

func TestControlSaysWhichTypesThereAre(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{})
	for _, c := range []struct {
		method, path string
		in           any
	}{{"GET", "/_sim/objects?type=compnies", nil}, {"POST", "/_sim/objects", object{"type": "compnies", "properties": object{"name": "A"}}}, {"POST", "/_sim/objects", object{"name": "A"}}} {
		if e := p.want(400, c.method, c.path, c.in); !strings.Contains(fmt.Sprint(e["error"]), "companies") {
			t.Errorf("%s %s: %v", c.method, c.path, e)
		}
	}
	if o := p.want(200, "POST", "/_sim/objects", object{"type": "Company", "Name": "A"}); o["properties"].(object)["name"] != "A" {
		t.Errorf("fields beside the type, in another case: %v", o)
	}
}

func TestLineItemsAreCopiesOfTheirProduct(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{Limits: hubspotsim.Limits{Burst: -1}})
	widget := p.want(201, "POST", "/crm/v3/objects/products", props("name", "Widget", "hs_sku", "W", "price", "12.50", "description", "blue"))["id"].(string)
	deal := p.want(201, "POST", "/crm/v3/objects/deals", props("dealname", "x", "dealstage", "closedwon"))["id"].(string)
	line := p.want(201, "POST", "/crm/v3/objects/line_items", props("hs_product_id", widget, "quantity", "3", "description", ""))["id"].(string)
	p.want(200, "POST", "/crm/v4/associations/deals/line_items/batch/associate/default", object{"inputs": []any{object{"from": object{"id": deal}, "to": object{"id": line}}}})
	at := p.want(200, "GET", "/crm/v3/objects/deals/"+deal, nil)["updatedAt"]
	p.tick(time.Minute)
	p.want(200, "PATCH", "/crm/v3/objects/products/"+widget, props("price", "99", "name", "Gadget"))
	path := "/crm/v3/objects/line_items/" + line + "?properties=name,price,hs_sku,description,amount"
	o := p.want(200, "GET", path, nil)
	if property(o, "name") != "Widget" || property(o, "price") != "12.50" || property(o, "hs_sku") != "W" || property(o, "description") != nil || property(o, "amount") != "37.5" {
		t.Errorf("a copy, but for what was written empty: %v", o)
	}
	for _, c := range []struct{ name, value, amount string }{{"discount", "0.25", "36.75"}, {"hs_discount_percentage", "10", "33.75"}, {"quantity", "", ""}} {
		p.want(200, "PATCH", "/crm/v3/objects/line_items/"+line, props(c.name, c.value))
		if got, _ := property(p.want(200, "GET", path, nil), "amount").(string); got != c.amount {
			t.Errorf("%s = %s: amount %s, want %s", c.name, c.value, got, c.amount)
		}
	}
	for _, bad := range []object{props("price", "-1"), props("amount", "1"), props("hs_product_id", "1")} {
		p.want(400, "PATCH", "/crm/v3/objects/line_items/"+line, bad)
	}
	if o := p.want(200, "GET", "/crm/v3/objects/deals/"+deal+"?properties=hs_deal_stage_probability", nil); o["updatedAt"] != at || property(o, "hs_deal_stage_probability") != "1.0" {
		t.Errorf("lines must not move the deal's stamp: %v", o)
	}
	p.want(400, "PATCH", "/crm/v3/objects/deals/"+deal, props("dealstage", "nowhere"))
	p.want(400, "PATCH", "/crm/v3/objects/deals/"+deal, props("deal_currency_code", "JPY"))
	p.want(204, "DELETE", "/crm/v3/objects/deals/"+deal, nil)
	p.want(404, "GET", "/crm/v3/objects/line_items/"+line, nil)
}

func TestInvoicesOpenOnceAndForAll(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{Limits: hubspotsim.Limits{Burst: -1}})
	p.want(400, "POST", "/crm/v3/objects/invoices", props("hs_due_date", "2026-03-31"))
	p.want(400, "POST", "/crm/v3/objects/invoices", props("hs_currency", "AUD", "hs_invoice_status", "open"))
	id := p.want(201, "POST", "/crm/v3/objects/invoices", props("hs_currency", "AUD", "hs_due_date", "2026-03-31"))["id"].(string)
	path := "/crm/v3/objects/invoices/" + id
	p.want(400, "PATCH", path, props("hs_invoice_status", "open")) // nothing to pay, and nobody to pay it
	p.want(400, "PATCH", path, props("hs_invoice_status", "paid"))
	p.want(200, "POST", "/_sim/objects", object{"type": "contacts", "properties": object{"firstname": "Jo", "invoices": id}})
	p.want(200, "POST", "/_sim/objects", object{"type": "invoices", "id": id, "properties": object{"line_items": []any{object{"name": "x", "quantity": 2, "price": 5}}}})
	p.want(200, "PATCH", path, props("hs_invoice_status", "open"))
	if o := p.want(200, "GET", path+"?properties=hs_number,hs_balance_due", nil); property(o, "hs_number") != "INV-1001" || property(o, "hs_balance_due") != "10" {
		t.Errorf("an open invoice: %v", o)
	}
	if e := p.want(400, "PATCH", path, props("hs_due_date", "2026-04-30")); !strings.Contains(e["message"].(string), "INVOICE_NOT_EDITABLE") {
		t.Errorf("the refusal: %v", e)
	}
	p.want(400, "PATCH", path, props("hs_invoice_status", "draft"))
	p.want(200, "PATCH", path, props("hs_invoice_status", "voided"))
}

func TestDealsHaveAPrimaryCompany(t *testing.T) {
	t.Parallel()
	p := newPortal(t, hubspotsim.Options{Limits: hubspotsim.Limits{Burst: -1}})
	deal := p.want(201, "POST", "/crm/v3/objects/deals", props("dealname", "x"))["id"].(string)
	var firms []string
	for range 2 {
		firms = append(firms, p.want(201, "POST", "/crm/v3/objects/companies", props("name", "Firm"))["id"].(string))
		p.want(200, "POST", "/crm/v4/associations/deals/companies/batch/associate/default", object{"inputs": []any{object{"from": object{"id": deal}, "to": object{"id": firms[len(firms)-1]}}}})
	}
	primary := func() string {
		t.Helper()
		for _, l := range list(p.want(200, "GET", "/crm/v4/objects/deals/"+deal+"/associations/companies", nil), "results") {
			if len(list(l.(object), "associationTypes")) == 2 {
				return l.(object)["toObjectId"].(string)
			}
		}
		return ""
	}
	if primary() != firms[0] {
		t.Errorf("the first is the primary one: %s", primary())
	}
	p.want(201, "POST", "/crm/v4/associations/deals/companies/batch/create", object{"inputs": []any{object{"from": object{"id": deal}, "to": object{"id": firms[1]},
		"types": []any{object{"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 5}}}}})
	if primary() != firms[1] {
		t.Errorf("asked for: %s", primary())
	}
	p.want(204, "DELETE", "/crm/v4/objects/deals/"+deal+"/associations/companies/"+firms[1], nil)
	if primary() != "" {
		t.Errorf("none takes over: %s", primary())
	}
	if all := list(p.want(200, "GET", "/crm/v3/pipelines/deals", nil), "results"); len(all) != 2 {
		t.Errorf("pipelines: %v", all)
	}
	p.want(404, "GET", "/crm/v3/pipelines/deals/nowhere", nil)
	if rates := list(p.want(200, "GET", "/tax-rates/v1/tax-rates", nil), "results"); len(rates) != 3 {
		t.Errorf("tax rates: %v", rates)
	}
}
