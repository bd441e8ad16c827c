package myob_test

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"datum/adapters"
	"datum/adapters/myob"
	"datum/adapters/myobsim"
	"datum/adapters/rest"
	"datum/adapters/sim"
	"datum/domain"
)

var ctx = context.Background()

type fixture struct {
	*testing.T
	sim *myobsim.Sim
	url string
	a   adapters.Adapter
	ab  adapters.Abilities
}

// tokens lends the simulator's current access token.
type tokens struct{ s *myobsim.Sim }

func (t tokens) Token(context.Context) (string, error) { return t.s.Credentials()["accessToken"], nil }
func (t tokens) Refresh(_ context.Context, used string) (string, error) {
	return used, nil
}
func (t tokens) Reject(context.Context, string, string) error { return nil }

// setup starts a simulator, without limits unless o has some, and connects an adapter to it.
func setup(t *testing.T, o myobsim.Options, settings map[string]string) *fixture {
	t.Helper()
	if o.Seed = 3; o.Limits == (myobsim.Limits{}) {
		o.Limits = myobsim.Limits{Second: -1, Day: -1}
	}
	s := myobsim.New(o)
	t.Cleanup(s.Close)
	base, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{T: t, sim: s, url: base}
	if f.a, err = myob.Vendor().Open(f.session(settings)); err != nil {
		t.Fatal(err)
	}
	f.ab = adapters.AbilitiesOf(f.a)
	return f
}

func (f *fixture) session(settings map[string]string) adapters.Session {
	f.Helper()
	client, err := rest.New(rest.Config{System: "accounting", BaseURL: f.url, Auth: tokens{f.sim}, Timeout: 5 * time.Second, Trip: 1000})
	if err != nil {
		f.Fatal(err)
	}
	all := map[string]string{"apiKey": f.sim.Credentials()["clientId"], "businessId": f.sim.Credentials()["businessId"]}
	maps.Copy(all, settings)
	return adapters.Session{System: "accounting", BaseURL: f.url, Settings: all, HTTP: client, Now: time.Now}
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

func create(name string) adapters.Write {
	return adapters.Write{Kind: domain.KindCustomer, CanonicalID: domain.NewID("cus"), Values: domain.Values{"legalName": domain.TextValue(name)}}
}

func update(r domain.Record, values domain.Values) adapters.Write {
	return adapters.Write{Kind: domain.KindCustomer, CanonicalID: r.CanonicalID, ExternalID: r.ExternalID, Base: &r, Values: values}
}

func (f *fixture) fetch(id string) domain.Record {
	f.Helper()
	r, err := f.a.Fetch(ctx, domain.KindCustomer, id)
	if err != nil {
		f.Fatal(err)
	}
	return r
}

// screen is a person editing in MYOB; id "" creates. It returns the UID.
func (f *fixture) screen(id string, properties map[string]any) string {
	f.Helper()
	o, err := f.sim.Put("customers", id, properties)
	if err != nil {
		f.Fatal(err)
	}
	return o.(map[string]any)["UID"].(string)
}

func (f *fixture) fault(x sim.Fault) {
	f.Helper()
	if _, err := f.sim.AddFault(x); err != nil {
		f.Fatal(err)
	}
}

// TestRefusals: 403 is the rate limit or a refusal, and a lost lock is no refusal; only the body tells.
func TestRefusals(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{}, nil)
	rec := f.must(create("Refusals Pty Ltd"))
	const list = `{"Errors":[{"Name":%,"Severity":"Error","ErrorCode":null}],"Information":""}`
	for name, c := range map[string]struct {
		status int
		body   string
		code   domain.Code
		after  time.Duration
		field  domain.Field
	}{
		"second":        {403, `"RateLimitError","Message":"API key has exceeded the per-second rate limit","AdditionalDetails":"Header: x-myobapi-key"`, domain.RateLimited, time.Second, ""},
		"day":           {403, `"RateLimitError","Message":"API key has exceeded the daily rate limit"`, domain.RateLimited, 15 * time.Minute, ""},
		"access":        {403, `"AccessDenied","Message":"You are not authorised"`, domain.Forbidden, 0, ""},
		"flat access":   {403, `{"Message":"You are not authorised","ErrorCode":"AccessDenied"}`, domain.Forbidden, 0, ""},
		"lost lock":     {409, `"IncorrectRowVersionSupplied","Message":"An update needs the latest RowVersion"`, domain.Unavailable, 0, ""},
		"lost lock 400": {400, `"IncorrectRowVersionSupplied","Message":"An update needs the latest RowVersion"`, domain.Unavailable, 0, ""},
		"conflict":      {409, `"Duplicate","Message":"Taken"`, domain.Conflict, 0, ""},
		"a field":       {400, `"Required","Message":"CompanyName is required","AdditionalDetails":"CompanyName"`, domain.Invalid, 0, "legalName"},
		"no words":      {400, `{}`, domain.Invalid, 0, ""},
		"no JSON":       {403, `"<html>"`, domain.Forbidden, 0, ""},
	} {
		body := c.body
		if strings.HasPrefix(body, `"`) && strings.Contains(body, "Message") {
			body = strings.Replace(list, "%", body, 1)
		}
		f.fault(sim.Fault{Kind: sim.FaultStatus, Status: c.status, Body: json.RawMessage(body)})
		_, err := f.a.Fetch(ctx, domain.KindCustomer, rec.ExternalID)
		w := f.write(update(rec, domain.Values{"notes": `"x"`})).Err
		f.sim.ClearFaults()
		for _, err := range []error{err, w} {
			if e := domain.AsError(err); e == nil || e.Code != c.code || e.RetryAfter != c.after || e.Field != c.field || e.System != "accounting" || e.Message == "" {
				t.Errorf("%s: %v, want %s", name, err, c.code)
			}
		}
	}
}

func TestRateLimitOfTheSimulator(t *testing.T) {
	t.Parallel()
	now := time.Now()
	f := setup(t, myobsim.Options{Limits: myobsim.Limits{Second: 3}, Now: func() time.Time { return now }}, nil)
	var err error
	for range 4 {
		if err != nil {
			t.Fatalf("refused within the limit: %v", err)
		}
		_, err = f.a.Changes(ctx, domain.KindCustomer, "")
	}
	if e := domain.AsError(err); e == nil || e.Code != domain.RateLimited || e.RetryAfter != time.Second {
		t.Errorf("the fourth call in a second: %v", err)
	}
	if n := f.sim.Stats().Limited; n != 1 {
		t.Errorf("the simulator counts %d refusals", n)
	}
}

func TestFileLogin(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{Login: true}, nil)
	if _, err := f.a.Changes(ctx, domain.KindCustomer, ""); domain.CodeOf(err) != domain.Forbidden {
		t.Errorf("without the file's login: %v", err)
	}
	for password, want := range map[string]domain.Code{f.sim.Credentials()["companyFilePassword"]: "", "wrong": domain.Forbidden} {
		a, err := myob.Vendor().Open(f.session(map[string]string{"companyFileUser": "Administrator", "companyFilePassword": password}))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := a.Changes(ctx, domain.KindCustomer, ""); domain.CodeOf(err) != want {
			t.Errorf("password %q: %v, want %q", password, err, want)
		}
	}
}

func TestSettings(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{}, nil)
	for name, value := range map[string]string{"apiKey": "", "businessId": "banksia", "idField": "Notes", "currency": "bucks", "overlap": "soon", "pageSize": "1"} {
		_, err := myob.Vendor().Open(f.session(map[string]string{name: value}))
		if domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), name) {
			t.Errorf("%s = %q: %v", name, value, err)
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{}, nil)
	check := func(settings map[string]string) adapters.Health {
		t.Helper()
		a, err := myob.Vendor().Open(f.session(settings))
		if err != nil {
			t.Fatal(err)
		}
		h, err := adapters.AbilitiesOf(a).Checker.Check(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if h := check(nil); h.Account == "" || len(h.Problems) > 0 || h.Details["country"] != "AU" || len(h.Details["lockPeriodPriorTo"]) != 10 {
		t.Errorf("%+v", h)
	}
	if h := check(map[string]string{"businessId": "00000000-0000-4000-8000-000000000000"}); len(h.Problems) != 1 || !strings.Contains(h.Problems[0], "businessId") {
		t.Errorf("another file: %+v", h)
	}
	if h := check(map[string]string{"freightTaxCode": "VAT"}); len(h.Problems) != 1 || !strings.Contains(h.Problems[0], "freightTaxCode") {
		t.Errorf("a tax code that the file does not have: %+v", h)
	}
	for path, word := range map[string]string{"Preferences": "sme-company-settings", "Customer": "sme-contacts-customer", "TaxCode": "sme-general-ledger"} {
		f.fault(sim.Fault{Kind: sim.FaultStatus, Status: 403, Path: path})
		if h := check(nil); len(h.Problems) != 1 || !strings.Contains(h.Problems[0], word) {
			t.Errorf("without %s: %+v", word, h)
		}
		f.sim.ClearFaults()
	}
}

func TestDiscover(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{}, nil)
	found, err := myob.Vendor().Discover(ctx, f.session(map[string]string{"businessId": ""}))
	if err != nil || found["businessId"] != f.sim.Credentials()["businessId"] {
		t.Errorf("%v %v", found, err)
	}
	if _, err := myob.Vendor().Discover(ctx, f.session(map[string]string{"apiKey": ""})); domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), "apiKey") {
		t.Errorf("without a key: %v", err)
	}
	f = setup(t, myobsim.Options{NewKey: true}, nil)
	if _, err := myob.Vendor().Discover(ctx, f.session(nil)); domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), "businessId") {
		t.Errorf("a key that may not list files: %v", err)
	}
}

// ids returns the external ids of records, sorted.
func ids(rs []domain.Record) []string {
	var out []string
	for _, r := range rs {
		out = append(out, r.ExternalID)
	}
	slices.Sort(out)
	return out
}
