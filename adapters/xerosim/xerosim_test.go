package xerosim_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"datum/adapters/xerosim"
)

const contacts = "/api.xro/2.0/Contacts"

type fixture struct {
	*testing.T
	sim *xerosim.Sim
	url string
}

func setup(t *testing.T, o xerosim.Options) *fixture {
	t.Helper()
	if o.Seed == 0 {
		o.Seed = 7
	}
	s := xerosim.New(o)
	t.Cleanup(s.Close)
	u, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &fixture{t, s, u}
}

// call sends one request with the current access token and the tenant; header pairs override.
func (f *fixture) call(method, path, body string, header ...string) (*http.Response, []byte) {
	f.Helper()
	req, err := http.NewRequest(method, f.url+path, strings.NewReader(body))
	if err != nil {
		f.Fatal(err)
	}
	cr := f.sim.Credentials()
	req.Header.Set("Authorization", "Bearer "+cr["accessToken"])
	req.Header.Set("xero-tenant-id", cr["tenantId"])
	req.Header.Set("Accept", "application/json")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
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
	return resp, b
}

type listed struct {
	Pagination *struct{ Page, PageSize, PageCount, ItemCount int } `json:"pagination"`
	Contacts   []struct {
		ContactID, MergedToContactID, ContactNumber, ContactStatus, Name, EmailAddress, UpdatedDateUTC, StatusAttributeString string
		HasValidationErrors                                                                                                   bool
		ValidationErrors                                                                                                      []struct{ Message string }
		Phones                                                                                                                []struct{ PhoneType, PhoneNumber string }
	}
}

// contacts calls and reads a list of contacts; the status must be as wanted.
func (f *fixture) contacts(status int, method, path, body string, header ...string) listed {
	f.Helper()
	resp, b := f.call(method, path, body, header...)
	if resp.StatusCode != status {
		f.Fatalf("%s %s: status %d, want %d: %s", method, path, resp.StatusCode, status, b)
	}
	var l listed
	if err := json.Unmarshal(b, &l); err != nil {
		f.Fatalf("%s %s: %v in %s", method, path, err, b)
	}
	return l
}

func (f *fixture) create(name, number string) string {
	f.Helper()
	return f.contacts(200, "POST", contacts, fmt.Sprintf(`{"Contacts":[{"Name":%q,"ContactNumber":%q}]}`, name, number)).Contacts[0].ContactID
}

func (f *fixture) token(form url.Values, basic bool) (int, map[string]any) {
	f.Helper()
	req, err := http.NewRequest("POST", f.url+"/connect/token", strings.NewReader(form.Encode()))
	if err != nil {
		f.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if cr := f.sim.Credentials(); basic {
		req.SetBasicAuth(cr["clientId"], cr["clientSecret"])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.Fatal(err)
	}
	defer resp.Body.Close()
	var m map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
		f.Fatal(err)
	}
	return resp.StatusCode, m
}

func TestTokens(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	first := f.sim.Credentials()["refreshToken"]
	refresh := func(token string) (int, map[string]any) {
		return f.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, true)
	}
	if st, m := f.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {first}}, false); st != 400 || m["error"] != "invalid_client" {
		t.Errorf("without client credentials: %d %v", st, m)
	}
	st, one := refresh(first)
	if st != 200 || one["refresh_token"] == first || one["expires_in"] != 1800.0 {
		t.Fatalf("refresh: %d %v", st, one)
	}
	parts := strings.Split(one["access_token"].(string), ".")
	claims, err := base64.RawURLEncoding.DecodeString(parts[1])
	if len(parts) != 3 || err != nil || !strings.Contains(string(claims), `"exp":`) {
		t.Errorf("the access token is no JWT: %s", claims)
	}
	// The answer was lost: the spent token works again, and what it gives replaces what was lost.
	st, two := refresh(first)
	if st != 200 {
		t.Fatalf("within the grace: %d %v", st, two)
	}
	if st, m := refresh(one["refresh_token"].(string)); st != 400 || m["error"] != "invalid_grant" {
		t.Errorf("the replaced token: %d %v", st, m)
	}
	f.sim.Advance(31 * time.Minute)
	if st, _ := refresh(first); st != 400 {
		t.Errorf("after the grace: %d", st)
	}
	resp, b := f.call("GET", contacts, "")
	if resp.StatusCode != 401 || !strings.Contains(string(b), "TokenExpired") {
		t.Errorf("an access token of 31 minutes: %d %s", resp.StatusCode, b)
	}
	if st, m := refresh(two["refresh_token"].(string)); st != 200 {
		t.Fatalf("refresh with the current token: %d %v", st, m)
	}
	if resp, _ := f.call("GET", contacts, ""); resp.StatusCode != 200 {
		t.Errorf("with the new token: %d", resp.StatusCode)
	}
	f.sim.Advance(61 * 24 * time.Hour)
	if st, _ := refresh(f.sim.Credentials()["refreshToken"]); st != 400 {
		t.Errorf("a refresh token unused for 61 days: %d", st)
	}
	if s := f.sim.Stats(); s.TokenRefreshes != 3 || s.InvalidRefreshes != 3 {
		t.Errorf("refreshes %d, invalid %d", s.TokenRefreshes, s.InvalidRefreshes)
	}
}

func TestAuthorizationCodeAndRevocation(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	f.sim.Revoke()
	if resp, _ := f.call("GET", "/connections", ""); resp.StatusCode != 401 {
		t.Errorf("after revoke: %d", resp.StatusCode)
	}
	c := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	q := url.Values{"response_type": {"code"}, "client_id": {f.sim.Credentials()["clientId"]}, "redirect_uri": {"http://localhost:9/cb"}, "state": {"s1"}}
	resp, err := c.Get(f.url + "/identity/connect/authorize?" + q.Encode())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	to, err := resp.Location()
	if err != nil || to.Query().Get("state") != "s1" {
		t.Fatalf("no redirect back: %v %v", to, err)
	}
	form := url.Values{"grant_type": {"authorization_code"}, "code": {to.Query().Get("code")}, "redirect_uri": {"http://localhost:9/cb"}}
	if st, m := f.token(form, true); st != 200 {
		t.Fatalf("code: %d %v", st, m)
	}
	if st, _ := f.token(form, true); st != 400 {
		t.Errorf("a code used twice: %d", st)
	}
	r2, b := f.call("GET", "/connections", "")
	if r2.StatusCode != 200 || !strings.Contains(string(b), f.sim.Credentials()["tenantId"]) {
		t.Errorf("connections: %d %s", r2.StatusCode, b)
	}
	if r3, _ := f.call("GET", contacts, "", "xero-tenant-id", "someone-else"); r3.StatusCode != 403 {
		t.Errorf("another tenant: %d", r3.StatusCode)
	}
	req, _ := http.NewRequest("POST", f.url+"/connect/revocation", strings.NewReader(url.Values{"token": {f.sim.Credentials()["refreshToken"]}}.Encode()))
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.SetBasicAuth(f.sim.Credentials()["clientId"], f.sim.Credentials()["clientSecret"])
	r4, err := http.DefaultClient.Do(req)
	if err != nil || r4.StatusCode != 200 {
		t.Fatalf("revocation: %v %v", r4, err)
	}
	r4.Body.Close()
	if r5, _ := f.call("GET", contacts, ""); r5.StatusCode != 401 {
		t.Errorf("after revocation: %d", r5.StatusCode)
	}
	f.sim.Consent()
	if r6, _ := f.call("GET", contacts, ""); r6.StatusCode != 200 {
		t.Errorf("after a new consent: %d", r6.StatusCode)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{Limits: xerosim.Limits{Minute: 3, Day: 5}, Now: func() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }})
	for i := range 3 {
		resp, _ := f.call("GET", contacts, "")
		if got := resp.Header.Get("X-MinLimit-Remaining"); resp.StatusCode != 200 || got != strconv.Itoa(2-i) {
			t.Fatalf("call %d: %d, %s left", i, resp.StatusCode, got)
		}
	}
	resp, b := f.call("GET", contacts, "")
	if resp.StatusCode != 429 || resp.Header.Get("X-Rate-Limit-Problem") != "minute" || resp.Header.Get("Retry-After") != "60" || len(b) > 0 {
		t.Fatalf("fourth call: %d %v %s", resp.StatusCode, resp.Header, b)
	}
	f.sim.Advance(time.Minute)
	if resp, _ := f.call("GET", contacts, ""); resp.StatusCode != 200 || resp.Header.Get("X-DayLimit-Remaining") != "0" {
		t.Fatalf("next minute: %d, %v", resp.StatusCode, resp.Header)
	}
	f.sim.Advance(time.Minute)
	if resp, _ := f.call("GET", contacts, ""); resp.StatusCode != 429 || resp.Header.Get("X-Rate-Limit-Problem") != "day" {
		t.Fatalf("day spent: %d, %v", resp.StatusCode, resp.Header)
	}
	if s := f.sim.Stats(); s.Limited != 2 {
		t.Errorf("limited %d, want 2", s.Limited)
	}
}

func TestConcurrencyLimit(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{Latency: 300 * time.Millisecond})
	var wg sync.WaitGroup
	statuses := make([]int, 8)
	for i := range statuses {
		wg.Go(func() {
			resp, _ := f.call("GET", contacts, "")
			statuses[i] = resp.StatusCode
		})
	}
	wg.Wait()
	n := map[int]int{}
	for _, s := range statuses {
		n[s]++
	}
	if n[200] < 5 || n[429] == 0 || n[200]+n[429] != 8 {
		t.Errorf("8 calls at once: %v", n)
	}
}

func TestWritesOneByOne(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	id := f.create("Hartley Plumbing", "n1")
	body := `{"Contacts":[{"ContactNumber":"n1","TaxNumber":"51824753556"},{"Name":"hartley plumbing"},{"Name":"Bad  Name"},{"Name":"Mail","EmailAddress":"no"},
		{"Name":"Land","Addresses":[{"AddressType":"POBOX","Country":"A1"}]},{"Name":"` + strings.Repeat("x", 256) + `"}]}`
	l := f.contacts(200, "POST", contacts+"?summarizeErrors=false", body)
	if c := l.Contacts[0]; c.StatusAttributeString != "OK" || c.ContactID != id || c.Name != "Hartley Plumbing" {
		t.Errorf("by ContactNumber: %+v", c)
	}
	for i, want := range []string{"", "The contact name hartley plumbing is already assigned to another contact. The contact name must be unique across all active contacts.",
		"double spaces", "Email address must be valid", "letters only", "255"} {
		c := l.Contacts[i]
		if want != "" && (c.StatusAttributeString != "ERROR" || !c.HasValidationErrors || len(c.ValidationErrors) != 1 || !strings.Contains(c.ValidationErrors[0].Message, want)) {
			t.Errorf("element %d: %+v, want %q", i, c, want)
		}
	}
	resp, b := f.call("POST", contacts, `{"Contacts":[{"Name":"Good One"},{"Name":"Hartley Plumbing"}]}`)
	if resp.StatusCode != 400 || !strings.Contains(string(b), `"ErrorNumber":10,"Type":"ValidationException"`) || strings.Contains(string(b), "Good One") {
		t.Errorf("summarised: %d %s", resp.StatusCode, b)
	}
	if n := len(f.contacts(200, "GET", contacts, "").Contacts); n != 1 {
		t.Errorf("%d contacts after a refused call, want 1", n)
	}
	if resp, _ := f.call("PUT", contacts, `{"Contacts":[{"Name":"Other","ContactNumber":"n1"}]}`); resp.StatusCode != 400 {
		t.Errorf("PUT of a known number: %d", resp.StatusCode)
	}
	// Archived names are free, and a restored contact must have its name to itself.
	f.contacts(200, "POST", contacts+"/"+id, `{"ContactStatus":"ARCHIVED"}`)
	f.create("Hartley Plumbing", "n2")
	if resp, _ := f.call("POST", contacts+"/n1", `{"ContactStatus":"ACTIVE"}`); resp.StatusCode != 400 {
		t.Errorf("restoring onto a taken name: %d", resp.StatusCode)
	}
	// Lists are replaced whole.
	l = f.contacts(200, "POST", contacts+"/n2", `{"Phones":[{"PhoneType":"FAX","PhoneNumber":"1"}]}`)
	l = f.contacts(200, "POST", contacts+"/n2", `{"Phones":[{"PhoneType":"MOBILE","PhoneNumber":"2"}]}`)
	for _, p := range l.Contacts[0].Phones {
		if want := map[string]string{"MOBILE": "2"}[p.PhoneType]; p.PhoneNumber != want {
			t.Errorf("phone %s is %q, want %q", p.PhoneType, p.PhoneNumber, want)
		}
	}
	st := f.sim.Stats()
	if st.Creates != 2 || st.Updates != 4 || st.Duplicates != 0 {
		t.Errorf("creates %d updates %d duplicates %d", st.Creates, st.Updates, st.Duplicates)
	}
}

func TestIdempotency(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	post := func(body string) (int, string) {
		resp, b := f.call("POST", contacts, body, "Idempotency-Key", "k1")
		return resp.StatusCode, string(b)
	}
	_, one := post(`{"Contacts":[{"Name":"Once"}]}`)
	if st, again := post(`{"Contacts":[{"Name":"Once"}]}`); st != 200 || again != one {
		t.Errorf("repeat: %d %s", st, again)
	}
	if st, b := post(`{"Contacts":[{"Name":"Twice"}]}`); st != 400 || !strings.Contains(b, "used with a different request") {
		t.Errorf("another request: %d %s", st, b)
	}
	f.sim.Advance(6 * time.Minute)
	// The key is forgotten, so the request is carried out, and refused; the refusal is remembered in its turn.
	if st, b := post(`{"Contacts":[{"Name":"Once"}]}`); st != 400 || !strings.Contains(b, "already assigned") {
		t.Errorf("after 6 minutes: %d %s", st, b)
	}
	all := f.contacts(200, "GET", contacts, "")
	f.contacts(200, "POST", contacts+"/"+all.Contacts[0].ContactID, `{"Name":"Renamed"}`)
	if st, _ := post(`{"Contacts":[{"Name":"Once"}]}`); st != 400 {
		t.Errorf("a cached refusal: %d", st)
	}
}

func TestListing(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	f := setup(t, xerosim.Options{Now: func() time.Time { return now }, Limits: xerosim.Limits{Minute: -1}})
	for i := range 5 {
		f.create(fmt.Sprintf("Customer %d", i), fmt.Sprintf("n%d", i))
		f.sim.Advance(10 * time.Second)
	}
	f.contacts(200, "POST", contacts+"/n0", `{"ContactStatus":"ARCHIVED","EmailAddress":"zero@example.com"}`)
	for _, c := range []struct {
		query, since, want string
	}{
		{"", "", "1 2 3 4"},
		{"includeArchived=true", "", "1 2 3 4 0"},
		{"page=2&pageSize=2", "", "3 4"},
		{"page=9", "", ""},
		{"order=Name+DESC", "", "4 3 2 1"},
		{`where=Name=="Customer+2"+OR+ContactNumber=="n4"`, "", "2 4"},
		{`where=(Name.StartsWith("Cust")+AND+!(Name.EndsWith("1")))+%26%26+IsSupplier==false`, "", "2 3 4"},
		{`where=Name.ToLower().Contains("customer+3")`, "", "3"},
		{`where=UpdatedDateUTC>=DateTime(2026,03,01,12,00,30)`, "", "3 4"},
		{`where=EmailAddress!=null&includeArchived=true`, "", "0"},
		{`where=EmailAddress==null`, "", "1 2 3 4"},
		{"searchTerm=ZERO&includeArchived=true", "", "0"},
		{"", "Sun, 01 Mar 2026 12:00:25 GMT", "3 4"},
		{"includeArchived=true", "2026-03-01T12:00:25.900Z", "3 4 0"},
		{"", "2026-03-01T22:00:25+10:00", "3 4"},
		{"", "2026-03-01T12:00:25", "3 4"},
	} {
		l := f.contacts(200, "GET", contacts+"?"+strings.ReplaceAll(c.query, `"`, "%22"), "", "If-Modified-Since", c.since)
		var got []string
		for _, x := range l.Contacts {
			got = append(got, strings.TrimPrefix(x.ContactNumber, "n"))
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s since %q: %v, want %s", c.query, c.since, got, c.want)
		}
	}
	l := f.contacts(200, "GET", contacts+"?page=1&pageSize=3&includeArchived=true", "")
	if p := l.Pagination; p == nil || p.PageCount != 2 || p.ItemCount != 5 || p.PageSize != 3 {
		t.Errorf("pagination %+v", p)
	}
	for _, bad := range []string{`where=Colour=="red"`, `where=Name=="open`, "order=Colour", "IDs=x"} {
		if resp, b := f.call("GET", contacts+"?"+strings.ReplaceAll(bad, `"`, "%22"), ""); resp.StatusCode != 400 || !strings.Contains(string(b), "QueryParseException") {
			t.Errorf("%s: %d %s", bad, resp.StatusCode, b)
		}
	}
	if resp, _ := f.call("GET", contacts+"/nowhere", ""); resp.StatusCode != 404 {
		t.Errorf("unknown number: %d", resp.StatusCode)
	}
}

func TestXMLIsTheDefault(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	f.create("O'Brien & Söhne", "n1")
	resp, b := f.call("GET", contacts, "", "Accept", "*/*")
	var doc struct {
		Status   string
		Contacts struct {
			Contact []struct {
				Name, UpdatedDateUTC string
				Addresses            struct {
					Address []struct{ AddressType string }
				}
			}
		}
	}
	if err := xml.Unmarshal(b, &doc); err != nil {
		t.Fatalf("%v in %s", err, b)
	}
	c := doc.Contacts.Contact
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/xml") || doc.Status != "OK" || len(c) != 1 || c[0].Name != "O'Brien & Söhne" || len(c[0].Addresses.Address) != 2 {
		t.Errorf("%s", b)
	}
	if _, err := time.Parse("2006-01-02T15:04:05.999", c[0].UpdatedDateUTC); err != nil {
		t.Error(err)
	}
}

// TestShape holds the answers against the members and types that Xero's published schemas require clients to expect.
func TestShape(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	f.contacts(200, "POST", contacts, `{"Contacts":[{"Name":"Full","ContactNumber":"n1","EmailAddress":"a@example.com","FirstName":"A","LastName":"B",
		"CompanyNumber":"004085616","TaxNumber":"53004085616","DefaultCurrency":"AUD","ContactPersons":[{"FirstName":"C","EmailAddress":"c@example.com"}],
		"PaymentTerms":{"Sales":{"Day":20,"Type":"OFFOLLOWINGMONTH"}}}]}`)
	date := `^/Date\(\d+(\+0000)?\)/$`
	list := func(of map[string]any) []any { return []any{of} }
	contact := map[string]any{
		"ContactID": "uuid", "ContactNumber": "string", "ContactStatus": "string", "Name": "string", "FirstName": "string", "LastName": "string",
		"EmailAddress": "string", "CompanyNumber": "string", "TaxNumber": "string", "DefaultCurrency": "string", "IsSupplier": true, "IsCustomer": true,
		"UpdatedDateUTC": date, "HasAttachments": true, "HasValidationErrors": true,
		"Addresses":      list(map[string]any{"AddressType": "string", "City": "string", "Region": "string", "PostalCode": "string", "Country": "string"}),
		"Phones":         list(map[string]any{"PhoneType": "string", "PhoneNumber": "string", "PhoneAreaCode": "string", "PhoneCountryCode": "string"}),
		"ContactPersons": list(map[string]any{"FirstName": "string", "LastName": "string", "EmailAddress": "string", "IncludeInEmails": true}),
		"PaymentTerms":   map[string]any{"Sales": map[string]any{"Day": 1.0, "Type": "string"}},
	}
	envelope := func(name string, of map[string]any) map[string]any {
		return map[string]any{"Id": "uuid", "Status": "string", "ProviderName": "string", "DateTimeUTC": date, name: list(of)}
	}
	paged := envelope("Contacts", contact)
	paged["pagination"] = map[string]any{"page": 1.0, "pageSize": 1.0, "pageCount": 1.0, "itemCount": 1.0}
	for path, want := range map[string]any{
		"/api.xro/2.0/Contacts?page=1": paged,
		"/api.xro/2.0/Contacts/n1":     envelope("Contacts", contact),
		"/api.xro/2.0/Organisation": envelope("Organisations", map[string]any{"OrganisationID": "uuid", "Name": "string", "LegalName": "string", "PaysTax": true,
			"BaseCurrency": "string", "CountryCode": "string", "Timezone": "string", "PeriodLockDate": date, "EndOfYearLockDate": date, "FinancialYearEndDay": 1.0, "Class": "string"}),
		"/api.xro/2.0/TaxRates": envelope("TaxRates", map[string]any{"Name": "string", "TaxType": "string", "EffectiveRate": 1.0, "Status": "string",
			"TaxComponents": list(map[string]any{"Name": "string", "Rate": 1.0})}),
		"/api.xro/2.0/Accounts": envelope("Accounts", map[string]any{"AccountID": "string", "Code": "string", "Name": "string", "Type": "string", "TaxType": "string"}),
		"/connections": list(map[string]any{"id": "uuid", "tenantId": "uuid", "authEventId": "uuid", "tenantType": "string", "tenantName": "string",
			"createdDateUtc": "string", "updatedDateUtc": "string"}),
	} {
		resp, b := f.call("GET", path, "")
		var got any
		if err := json.Unmarshal(b, &got); err != nil || resp.StatusCode != 200 {
			t.Errorf("%s: %d %v", path, resp.StatusCode, err)
			continue
		}
		fits(t, path, want, got)
	}
}

func TestMergeAndScreen(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	winner, loser := f.create("Winner", "n1"), f.create("Loser", "n2")
	post := func(path, body string) (int, string) {
		resp, err := http.Post(f.url+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return resp.StatusCode, string(b)
	}
	if st, b := post("/_sim/merge", fmt.Sprintf(`{"type":"contacts","winner":%q,"loser":%q}`, winner, loser)); st != 200 {
		t.Fatalf("%d %s", st, b)
	}
	c := f.contacts(200, "GET", contacts+"/"+loser, "").Contacts[0]
	if c.ContactStatus != "ARCHIVED" || c.MergedToContactID != winner {
		t.Errorf("the loser: %+v", c)
	}
	if resp, _ := f.call("POST", contacts+"/"+loser, `{"Name":"Back"}`); resp.StatusCode != 400 {
		t.Errorf("editing a merged contact: %d", resp.StatusCode)
	}
	before := f.contacts(200, "GET", contacts+"/"+winner, "").Contacts[0].UpdatedDateUTC
	if st, b := post("/_sim/objects", fmt.Sprintf(`{"type":"contacts","id":%q,"properties":{"IsSupplier":true}}`, winner)); st != 200 || !strings.Contains(b, `"IsSupplier":true`) {
		t.Errorf("%d %s", st, b)
	}
	if after := f.contacts(200, "GET", contacts+"/"+winner, "").Contacts[0].UpdatedDateUTC; after != before {
		t.Error("IsSupplier moved UpdatedDateUTC")
	}
	if st, b := post("/_sim/objects", `{"type":"contacts","properties":{"Name":"Winner"}}`); st != 400 || !strings.Contains(b, "already assigned") {
		t.Errorf("a taken name: %d %s", st, b)
	}
	if st, b := post("/_sim/delete", fmt.Sprintf(`{"type":"contacts","id":%q}`, winner)); st != 200 {
		t.Errorf("%d %s", st, b)
	}
	resp, err := http.Get(f.url + "/_sim/objects?type=contacts")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all []struct {
		ContactID string
		Archived  bool `json:"archived"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&all); err != nil || len(all) != 2 || !all[0].Archived || !all[1].Archived {
		t.Errorf("%v %+v", err, all)
	}
}

func idle(t *testing.T, s *xerosim.Sim) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Idle(ctx); err != nil {
		t.Fatal(err)
	}
}

func readBody(r *http.Request) []byte {
	var b bytes.Buffer
	_, _ = b.ReadFrom(r.Body)
	return b.Bytes()
}

func TestResetKeepsTheConnection(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	renew := func(token string) (int, map[string]any) {
		return f.token(url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}, true)
	}
	first := f.sim.Credentials()
	_, m := renew(first["refreshToken"])
	held := m["access_token"].(string)
	_, m = renew(m["refresh_token"].(string))
	rotated := m["refresh_token"].(string)
	f.sim.Revoke()
	f.sim.Reset()
	if again := f.sim.Credentials(); again["tenantId"] != first["tenantId"] || again["clientSecret"] != first["clientSecret"] || again["webhookKey"] != first["webhookKey"] {
		t.Errorf("a reset changed the credentials: %v, then %v", first, again)
	}
	if resp, b := f.call("GET", contacts, "", "Authorization", "Bearer "+held); resp.StatusCode != 200 {
		t.Errorf("the access token that was in use: %d %s", resp.StatusCode, b)
	}
	if st, m := renew(rotated); st != 200 {
		t.Errorf("the refresh token that was in use: %d %v", st, m)
	}
}

func TestScreenRefusesWhatNoContactHas(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	resp, b := f.call("POST", "/_sim/objects", `{"type":"Contact","Name":"A","Email":"a@b.example"}`)
	if resp.StatusCode != 400 || !strings.Contains(string(b), "Email") {
		t.Errorf("an unknown member: %d %s", resp.StatusCode, b)
	}
	resp, b = f.call("POST", "/_sim/objects", `{"type":"Contact","name":"A","EmailAddress":"a@b.example"}`)
	var shown map[string]any
	if err := json.Unmarshal(b, &shown); err != nil || resp.StatusCode != 200 || shown["Name"] != "A" {
		t.Fatalf("a new contact: %d %s", resp.StatusCode, b)
	}
	shown["Name"] = "B"
	again, err := json.Marshal(map[string]any{"type": "contacts", "properties": shown})
	if err != nil {
		t.Fatal(err)
	}
	if resp, b = f.call("PUT", "/_sim/objects", string(again)); resp.StatusCode != 200 || !strings.Contains(string(b), `"Name":"B"`) || len(must(f.sim.Objects("contacts"))) != 1 {
		t.Errorf("a contact sent back as it was shown: %d %s", resp.StatusCode, b)
	}
}

func must(objects []any, err error) []any {
	if err != nil {
		panic(err)
	}
	return objects
}
