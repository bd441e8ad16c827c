package myobsim_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"datum/adapters/myobsim"
)

const customer = "/Contact/Customer"

type fixture struct {
	*testing.T
	sim *myobsim.Sim
	url string
}

type object = map[string]any

func setup(t *testing.T, o myobsim.Options) *fixture {
	t.Helper()
	o.Seed = 7
	s := myobsim.New(o)
	t.Cleanup(s.Close)
	u, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t, s, u}
}

// call sends one request below the company file with the current access token; header pairs override.
func (f *fixture) call(method, path string, body any, header ...string) (*http.Response, object) {
	f.Helper()
	text := ""
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			f.Fatal(err)
		}
		text = string(b)
	}
	cr := f.sim.Credentials()
	if !strings.HasPrefix(path, "/accountright") {
		path = "/accountright/" + cr["businessId"] + path
	}
	req, err := http.NewRequest(method, f.url+path, strings.NewReader(text))
	if err != nil {
		f.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+cr["accessToken"])
	req.Header.Set("x-myobapi-key", cr["clientId"])
	req.Header.Set("x-myobapi-version", "v2")
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.Fatal(err)
	}
	var o object
	if len(b) > 0 && b[0] == '{' {
		if err := json.Unmarshal(b, &o); err != nil {
			f.Fatalf("%s %s: %v in %s", method, path, err, b)
		}
	}
	return resp, o
}

// ok calls and fails the test unless the status is as wanted.
func (f *fixture) ok(status int, method, path string, body any, header ...string) object {
	f.Helper()
	resp, o := f.call(method, path, body, header...)
	if resp.StatusCode != status {
		f.Fatalf("%s %s: status %d, want %d: %v", method, path, resp.StatusCode, status, o)
	}
	return o
}

// refused calls and returns the names in the error body.
func (f *fixture) refused(status int, method, path string, body any, header ...string) string {
	f.Helper()
	o := f.ok(status, method, path, body, header...)
	var names []string
	all, _ := o["Errors"].([]any)
	for _, x := range all {
		e := x.(object)
		for _, member := range []string{"Name", "Message", "AdditionalDetails", "Severity"} {
			if _, ok := e[member].(string); !ok {
				f.Errorf("%s %s: no %s in %v", method, path, member, e)
			}
		}
		names = append(names, e["Name"].(string))
	}
	return strings.Join(names, " ")
}

func (f *fixture) taxCode(code string) object {
	f.Helper()
	o := f.ok(200, "GET", "/GeneralLedger/TaxCode?$filter="+url.QueryEscape("Code eq '"+code+"'"), nil)
	return object{"UID": o["Items"].([]any)[0].(object)["UID"]}
}

func (f *fixture) card(name string) object {
	gst := f.taxCode("GST")
	return object{"CompanyName": name, "IsIndividual": false, "SellingDetails": object{"TaxCode": gst, "FreightTaxCode": gst}}
}

func (f *fixture) post(name string) object {
	f.Helper()
	return f.ok(201, "POST", customer+"?returnBody=true", f.card(name))
}

func TestTokens(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{})
	cr := f.sim.Credentials()
	token := func(form url.Values) (int, object) {
		t.Helper()
		resp, err := http.PostForm(f.url+cr["tokenPath"], form)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var o object
		if err := json.NewDecoder(resp.Body).Decode(&o); err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, o
	}
	refresh := func(rt string) (int, object) {
		return token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {rt}, "client_id": {cr["clientId"]}, "client_secret": {cr["clientSecret"]}})
	}
	if st, o := token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {cr["refreshToken"]}}); st != 400 || o["error"] != "invalid_client" {
		t.Errorf("without the client: %d %v", st, o)
	}
	st, one := refresh(cr["refreshToken"])
	if st != 200 || one["expires_in"] != "1200" || one["refresh_token"] == cr["refreshToken"] {
		t.Fatalf("%d %v", st, one)
	}
	if st, o := refresh(cr["refreshToken"]); st != 400 || o["error"] != "invalid_grant" {
		t.Errorf("a refresh token that was used: %d %v", st, o)
	}
	f.sim.Advance(19 * time.Minute)
	f.ok(200, "GET", customer, nil, "Authorization", "Bearer "+one["access_token"].(string))
	f.sim.Advance(time.Minute)
	if names := f.refused(401, "GET", customer, nil, "Authorization", "Bearer "+one["access_token"].(string)); names != "OAuthTokenIsInvalid" {
		t.Errorf("after 20 minutes: %s", names)
	}
	f.sim.Advance(8 * 24 * time.Hour)
	if st, _ := refresh(one["refresh_token"].(string)); st != 400 {
		t.Errorf("after a week: %d", st)
	}

	// A person authorises the app: the file is named only if consent was asked for.
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for prompt, want := range map[string]string{"": "", "consent": cr["businessId"]} {
		q := url.Values{"response_type": {"code"}, "client_id": {cr["clientId"]}, "redirect_uri": {"http://localhost:9/cb"}, "state": {"s1"},
			"scope": {"sme-contacts-customer"}, "prompt": {prompt}}
		resp, err := c.Get(f.url + cr["authorizePath"] + "?" + q.Encode())
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		to, err := resp.Location()
		if err != nil || to.Query().Get("state") != "s1" || to.Query().Get("businessId") != want {
			t.Fatalf("prompt %q: %v %v", prompt, to, err)
		}
		form := url.Values{"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {"http://localhost:9/cb"},
			"client_id": {cr["clientId"]}, "client_secret": {cr["clientSecret"]}}
		if st, o := token(form); st != 200 {
			t.Errorf("code: %d %v", st, o)
		}
		if st, _ := token(form); st != 400 {
			t.Errorf("a code used twice: %d", st)
		}
	}
	f.ok(200, "GET", customer, nil)
	f.sim.Revoke()
	f.refused(401, "GET", customer, nil)
	f.sim.Reset()
	f.ok(200, "GET", customer, nil)
}

func TestAccess(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{Limits: myobsim.Limits{Second: -1}})
	if n := f.refused(403, "GET", customer, nil, "x-myobapi-key", "another"); n != "DeveloperInactive" {
		t.Errorf("another key: %s", n)
	}
	if n := f.refused(403, "GET", "/accountright/00000000-0000-4000-8000-000000000000"+customer, nil); n != "AccessDenied" {
		t.Errorf("another file: %s", n)
	}
	if n := f.refused(403, "GET", customer, nil, "x-myobapi-cftoken", "nonsense"); n != "AccessDenied" {
		t.Errorf("a wrong login: %s", n)
	}
	cr := f.sim.Credentials()
	f.ok(200, "GET", customer, nil, "x-myobapi-cftoken", base64.StdEncoding.EncodeToString([]byte(cr["companyFileUser"]+":"+cr["companyFilePassword"])))
	f.refused(404, "GET", "/Contact/Robot", nil)
	if o := f.ok(200, "GET", "/", nil); o["CompanyFile"].(object)["Id"] != cr["businessId"] || len(o["Resources"].([]any)) < 2 {
		t.Errorf("the file: %v", o)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	now := time.Now()
	f := setup(t, myobsim.Options{Limits: myobsim.Limits{Day: 12}, Now: func() time.Time { return now }})
	for range 8 {
		f.ok(200, "GET", customer, nil)
	}
	resp, o := f.call("GET", customer, nil)
	if e := o["Errors"].([]any)[0].(object); resp.StatusCode != 403 || e["Name"] != "RateLimitError" || !strings.Contains(e["Message"].(string), "per-second") || resp.Header.Get("Retry-After") != "" {
		t.Errorf("the ninth call in a second: %d %v", resp.StatusCode, o)
	}
	f.sim.Advance(time.Second)
	for range 3 {
		f.ok(200, "GET", customer, nil)
	}
	if _, o := f.call("GET", customer, nil); !strings.Contains(fmt.Sprint(o), "daily") {
		t.Errorf("the day's 13th call: %v", o)
	}
	if n := f.sim.Stats().Limited; n != 2 {
		t.Errorf("%d refusals are counted", n)
	}
}

// TestShape: an answer has the members of the vendor's contract, with their types.
func TestShape(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{Limits: myobsim.Limits{Second: -1}})
	card := f.card("Shape Pty Ltd")
	card["Addresses"] = []any{object{"Location": 1, "Street": "1 High St\nRear", "Email": "a@example.com"}}
	card["CustomField1"] = object{"Value": "Queensland"}
	card["SellingDetails"].(object)["ABN"] = "53 004 085 616"
	created := f.ok(201, "POST", customer+"?returnBody=true", card)
	f.is("", created, map[string]string{
		"UID": "string", "CompanyName": "string", "LastName": "nil", "IsIndividual": "bool", "DisplayID": "string", "IsActive": "bool", "Addresses": "list",
		"Notes": "nil", "CustomField1": "object", "CustomField2": "nil", "CurrentBalance": "number", "SellingDetails": "object", "PaymentDetails": "nil",
		"LastModified": "string", "RowVersion": "string", "URI": "string", "ForeignCurrency": "nil",
	})
	f.is("CustomField1.", created["CustomField1"].(object), map[string]string{"Label": "string", "Value": "string"})
	f.is("Addresses.", created["Addresses"].([]any)[0].(object), map[string]string{"Location": "number", "Street": "string", "City": "nil", "Phone1": "nil", "Email": "string"})
	sd := created["SellingDetails"].(object)
	f.is("SellingDetails.", sd, map[string]string{"ABN": "string", "TaxCode": "object", "FreightTaxCode": "object", "UseCustomerTaxCode": "bool", "Terms": "object", "Credit": "object"})
	f.is("TaxCode.", sd["TaxCode"].(object), map[string]string{"UID": "string", "Code": "string", "URI": "string"})
	f.is("Terms.", sd["Terms"].(object), map[string]string{"PaymentIsDue": "string", "BalanceDueDate": "number", "DiscountForEarlyPayment": "number"})
	f.is("Credit.", sd["Credit"].(object), map[string]string{"Limit": "number", "Available": "number", "PastDue": "number", "OnHold": "bool"})
	if created["DisplayID"] != "*None" || created["IsActive"] != true || len(created["RowVersion"].(string)) < 17 {
		t.Errorf("%v", created)
	}
	if at, err := time.Parse("2006-01-02T15:04:05.999", created["LastModified"].(string)); err != nil || time.Since(at) > time.Minute {
		t.Errorf("LastModified %v: %v", created["LastModified"], err)
	}
	at := created["URI"].(string)
	resp, same := f.call("GET", strings.TrimPrefix(at, f.url), nil)
	if resp.StatusCode != 200 || same["RowVersion"] != created["RowVersion"] {
		t.Errorf("at its own address: %d %v", resp.StatusCode, same)
	}
	if again, _ := f.call("GET", customer+"/"+created["UID"].(string), nil, "If-None-Match", resp.Header.Get("ETag")); again.StatusCode != 304 {
		t.Errorf("unchanged since: %d", again.StatusCode)
	}
	if o := f.ok(200, "GET", customer+"/"+created["UID"].(string)+"?generateUris=false", nil); o["URI"] != nil || o["SellingDetails"].(object)["TaxCode"].(object)["URI"] != nil {
		t.Errorf("addresses although none were wanted: %v", o)
	}
	prefs := f.ok(200, "GET", "/Company/Preferences", nil)
	if terms := prefs["Sales"].(object)["Terms"].(object); terms["PaymentIsDue"] == nil || len(terms) != 5 {
		t.Errorf("the SDK knows five of these terms: %v", terms)
	}
	resp, o := f.call("POST", customer, f.card("Terse Pty Ltd"))
	if resp.StatusCode != 201 || o != nil || !strings.HasPrefix(resp.Header.Get("Location"), f.url) {
		t.Errorf("without returnBody: %d, Location %s, %v", resp.StatusCode, resp.Header.Get("Location"), o)
	}
}

func (f *fixture) is(path string, o object, want map[string]string) {
	f.Helper()
	for name, typ := range want {
		v, there := o[name]
		got := map[string]string{"string": "string", "bool": "bool", "float64": "number", "map[string]interface {}": "object", "[]interface {}": "list", "<nil>": "nil"}[fmt.Sprintf("%T", v)]
		if !there || got != typ {
			f.Errorf("%s%s is %s (there: %v), want %s", path, name, got, there, typ)
		}
	}
}

func TestWriting(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{Limits: myobsim.Limits{Second: -1}})
	o := f.post("Writing Pty Ltd")
	at := customer + "/" + o["UID"].(string)
	put := func(o object) (*http.Response, object) { return f.call("PUT", at+"?returnBody=true", o) }
	with := func(o object, member string, v any) object {
		c := object{}
		for k, x := range o {
			c[k] = x
		}
		c[member] = v
		return c
	}
	resp, two := put(with(o, "Notes", "first"))
	if resp.StatusCode != 200 || two["Notes"] != "first" || two["RowVersion"] == o["RowVersion"] || two["UID"] != o["UID"] {
		t.Fatalf("%d %v", resp.StatusCode, two)
	}
	for name, c := range map[string]struct {
		body   object
		status int
		want   string
	}{
		"the version before":         {with(o, "Notes", "second"), 409, "IncorrectRowVersionSupplied"},
		"no version":                 {with(two, "RowVersion", nil), 409, "IncorrectRowVersionSupplied"},
		"no UID":                     {with(two, "UID", nil), 400, "Required"},
		"no selling details":         {with(two, "SellingDetails", nil), 400, "Required"},
		"no tax codes":               {with(two, "SellingDetails", object{}), 400, "Required Required"},
		"a tax code that is none":    {with(two, "SellingDetails", object{"TaxCode": object{"UID": "x"}, "FreightTaxCode": f.taxCode("GST")}), 400, "NotFound Required"},
		"no name":                    {with(two, "CompanyName", ""), 400, "Required"},
		"an individual without one":  {with(two, "IsIndividual", true), 400, "Required"},
		"a long name":                {with(two, "CompanyName", strings.Repeat("x", 51)), 400, "ValidationError"},
		"a number for a name":        {with(two, "CompanyName", 7), 400, "SerializationError"},
		"a word for a flag":          {with(two, "IsActive", "yes"), 400, "SerializationError"},
		"six addresses":              {with(two, "Addresses", []any{object{"Location": 1}, object{"Location": 2}, object{"Location": 3}, object{"Location": 4}, object{"Location": 5}, object{"Location": 6}}), 400, "ValidationError ValidationError"},
		"two addresses in one place": {with(two, "Addresses", []any{object{"Location": 1}, object{"Location": 1}}), 400, "ValidationError"},
	} {
		if resp, _ := put(c.body); resp.StatusCode != c.status {
			t.Errorf("%s: %d", name, resp.StatusCode)
		} else if got := f.refused(c.status, "PUT", at, c.body); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
	sd := two["SellingDetails"].(object)
	if got := f.refused(400, "PUT", at, with(two, "SellingDetails", with(sd, "ABN", "53004085616"))); got != "ValidationError" {
		t.Errorf("an ABN without spaces: %s", got)
	}
	if got := f.refused(409, "POST", customer, two); got != "IncorrectRowVersionSupplied" {
		t.Errorf("a new card with a UID: %s", got)
	}
	f.refused(404, "PUT", customer+"/00000000-0000-4000-8000-000000000000", two)
	// What is left out is gone, and the card with it from the active ones.
	resp, three := put(object{"UID": two["UID"], "RowVersion": two["RowVersion"], "CompanyName": "Bare Pty Ltd",
		"SellingDetails": object{"TaxCode": f.taxCode("FRE"), "FreightTaxCode": f.taxCode("FRE")}})
	if resp.StatusCode != 200 || three["Notes"] != nil || three["IsActive"] != false || three["DisplayID"] != "*None" {
		t.Errorf("%d %v", resp.StatusCode, three)
	}
	if st := f.sim.Stats(); st.Creates != 1 || st.Updates != 2 || st.NoopUpdates != 0 {
		t.Errorf("%d creates, %d updates, %d without effect", st.Creates, st.Updates, st.NoopUpdates)
	}
	if resp, _ := put(three); resp.StatusCode != 200 || f.sim.Stats().NoopUpdates != 1 {
		t.Errorf("the same again: %d", resp.StatusCode)
	}
	if _, err := f.sim.Put("customers", o["UID"].(string), object{"CurrentBalance": 5}); err != nil {
		t.Fatal(err)
	}
	if got := f.refused(400, "DELETE", at, nil); got != "CannotDelete" {
		t.Errorf("a card with a balance: %s", got)
	}
	if _, err := f.sim.Put("customers", o["UID"].(string), object{"CurrentBalance": 0}); err != nil {
		t.Fatal(err)
	}
	f.ok(200, "DELETE", at, nil)
	f.refused(404, "GET", at, nil)
}

func TestReading(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{Limits: myobsim.Limits{Second: -1}, Now: func() time.Time { return time.Date(2026, 7, 1, 10, 0, 0, 250e6, time.UTC) }})
	for i, properties := range []object{
		{"CompanyName": "Alpha", "Addresses": []any{object{"Location": 1, "Email": "a@example.com"}, object{"Location": 2, "Email": "z@example.com"}}},
		{"CompanyName": "Bravo's", "SellingDetails": object{"ABN": "53 004 085 616", "Credit": object{"Limit": 500}}, "CustomField1": object{"Value": "x"}},
		{"IsIndividual": true, "FirstName": "Frank", "LastName": "Grimes", "IsActive": false},
		{"CompanyName": "Delta", "Notes": "alpha"},
	} {
		if i > 0 {
			f.sim.Advance(time.Second)
		}
		if _, err := f.sim.Put("customers", "", properties); err != nil {
			t.Fatal(err)
		}
	}
	names := func(query string) string {
		t.Helper()
		var out []string
		for _, x := range f.ok(200, "GET", customer+"?"+query, nil)["Items"].([]any) {
			o := x.(object)
			out = append(out, strings.Trim(fmt.Sprint(o["CompanyName"], "/", o["LastName"]), "<nil>/"))
		}
		return strings.Join(out, " ")
	}
	first := f.ok(200, "GET", customer, nil)["Items"].([]any)[0].(object)["UID"].(string)
	for filter, want := range map[string]string{
		"CompanyName eq 'Alpha'":                                                                 "Alpha",
		"CompanyName eq 'alpha'":                                                                 "",
		"CompanyName eq 'Bravo''s'":                                                              "Bravo's",
		"CompanyName eq null":                                                                    "Grimes",
		"CompanyName ne null and not IsActive eq false":                                          "Alpha Bravo's Delta",
		"IsIndividual eq true or startswith(CompanyName,'Del')":                                  "Grimes Delta",
		"substringof('lph', CompanyName) or endswith(Notes, 'pha')":                              "Alpha Delta",
		"SellingDetails/ABN eq '53 004 085 616'":                                                 "Bravo's",
		"SellingDetails/Credit/Limit gt 499.5":                                                   "Bravo's",
		"SellingDetails/TaxCode/Code eq 'GST' and IsActive":                                      "Alpha Bravo's Delta",
		"Addresses/any(x: x/Email eq 'z@example.com')":                                           "Alpha",
		"Addresses/any(a: a/Location eq 2 and a/Email ne null)":                                  "Alpha",
		"(Addresses/all(x: x/Location gt 1)) and CompanyName ne null":                            "Bravo's Delta",
		"UID eq guid'" + strings.ToUpper(first) + "'":                                            "Alpha",
		"LastModified ge datetime'2026-07-01T10:00:02.25'":                                       "Grimes Delta",
		"LastModified gt datetime'2026-07-01T10:00:02.25'":                                       "Delta",
		"LastModified lt datetime'2026-07-02' and LastModified le datetime'2026-07-01T10:00:01'": "Alpha",
	} {
		if got := names("$filter=" + url.QueryEscape(filter)); got != want {
			t.Errorf("%s: %q, want %q", filter, got, want)
		}
	}
	for _, filter := range []string{
		"companyname eq 'Alpha'", "CustomField1/Value eq 'x'", "Identifiers/any(x: x/Value eq 'x')", "UID eq '" + first + "'", "UID gt guid'" + first + "'",
		"LastModified ge '2026-07-01'", "LastModified ge datetime'July'", "CompanyName eq", "CompanyName = 'Alpha'", "(IsActive eq true", "CompanyName",
		"Addresses/any(x: y/Email eq 'a')", "CompanyName/any(x: x eq 'a')", "IsActive eq true)", "'Alpha", "substringof('a' CompanyName)",
	} {
		if got := f.refused(400, "GET", customer+"?$filter="+url.QueryEscape(filter), nil); got != "InvalidQuery" {
			t.Errorf("%s: %s", filter, got)
		}
	}
	if got := names("$orderby=" + url.QueryEscape("IsActive desc, CompanyName desc")); got != "Delta Bravo's Alpha Grimes" {
		t.Errorf("ordered: %s", got)
	}
	for _, q := range []string{"$orderby=Colour", "$orderby=CompanyName%20up", "$top=1001", "$top=0", "$skip=-1"} {
		f.refused(400, "GET", customer+"?"+q, nil)
	}
	page := f.ok(200, "GET", customer+"?$orderby=CompanyName&$top=3", nil)
	if len(page["Items"].([]any)) != 3 || page["Count"] != 4.0 || page["NextPageLink"] == nil {
		t.Fatalf("%v", page)
	}
	next := f.ok(200, "GET", strings.TrimPrefix(page["NextPageLink"].(string), f.url), nil)
	if items := next["Items"].([]any); len(items) != 1 || items[0].(object)["CompanyName"] != "Delta" || next["NextPageLink"] != nil {
		t.Errorf("the next page: %v", next)
	}
}

func TestScreens(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{Limits: myobsim.Limits{Second: -1}})
	put := func(id string, properties object) object {
		t.Helper()
		o, err := f.sim.Put("customers", id, properties)
		if err != nil {
			t.Fatal(err)
		}
		return o.(object)
	}
	a := put("", object{"CompanyName": "A", "SellingDetails": object{"SaleComment": "ring"}})
	uid := a["UID"].(string)
	b := put(uid, object{"SellingDetails": object{"ABNBranch": "2"}, "archived": false})
	if sd := b["SellingDetails"].(object); sd["SaleComment"] != "ring" || sd["ABNBranch"] != "2" || sd["TaxCode"].(object)["Code"] != "GST" {
		t.Errorf("%v", sd)
	}
	f.sim.Advance(time.Minute)
	paid := put(uid, object{"CurrentBalance": "12.50"})
	if paid["LastModified"] != b["LastModified"] || paid["RowVersion"] == b["RowVersion"] || fmt.Sprint(paid["CurrentBalance"]) != "12.50" {
		t.Errorf("an invoice: %v", paid)
	}
	if edited := put(uid, object{"Notes": "x"}); edited["LastModified"] == b["LastModified"] || fmt.Sprint(edited["CurrentBalance"]) != "12.50" {
		t.Errorf("an edit: %v", edited)
	}
	for name, properties := range map[string]object{"an unknown member": {"Colour": "red"}, "no name": {"CompanyName": nil}, "a wrong type": {"IsActive": "maybe"}} {
		if _, err := f.sim.Put("customers", uid, properties); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := f.sim.Put("suppliers", "", object{}); err == nil {
		t.Error("another type: taken")
	}
	loser := put("", object{"CompanyName": "B", "CurrentBalance": 1, "CustomField3": object{"Value": "ours"}})["UID"].(string)
	put("", object{"CompanyName": "C", "CustomField3": object{"Value": "ours"}})
	if n := f.sim.Duplicates(); n != 1 {
		t.Errorf("%d duplicates", n)
	}
	if o, err := f.sim.Merge("customers", uid, loser); err != nil || fmt.Sprint(o.(object)["CurrentBalance"]) != "13.50" {
		t.Errorf("combined: %v %v", o, err)
	}
	f.refused(404, "GET", customer+"/"+loser, nil)
	if err := f.sim.Delete("customers", uid); err == nil {
		t.Error("a card with a balance was deleted")
	}
	f.sim.Server.Reset()
	all, err := f.sim.Objects("customers")
	if err != nil || len(all) != 0 || !slices.Equal(f.sim.Types(), []string{"customers", "items", "invoices", "creditnotes", "serviceinvoices", "servicecreditnotes", "payments", "settlements", "refunds"}) {
		t.Errorf("after a reset: %v %v", all, err)
	}
	f.ok(200, "GET", customer, nil)
}
