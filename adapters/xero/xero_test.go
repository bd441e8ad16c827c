package xero_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/adapters/sim"
	"datum/adapters/xero"
	"datum/adapters/xerosim"
	"datum/domain"
)

type fixture struct {
	*testing.T
	sim *xerosim.Sim
	a   adapters.Adapter
	ab  adapters.Abilities
	log *lockedBuffer
}

// tokens lends the simulator's current access token.
type tokens struct{ s *xerosim.Sim }

func (t tokens) Token(context.Context) (string, error) { return t.s.Credentials()["accessToken"], nil }
func (t tokens) Refresh(_ context.Context, used string) (string, error) {
	return used, nil
}
func (t tokens) Reject(context.Context, string, string) error { return nil }

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func setup(t *testing.T, settings map[string]string) *fixture {
	t.Helper()
	return setupOf(t, xerosim.Options{}, settings)
}

func setupOf(t *testing.T, o xerosim.Options, settings map[string]string) *fixture {
	t.Helper()
	o.Seed, o.Limits = 3, xerosim.Limits{Minute: -1, Day: -1}
	s := xerosim.New(o)
	t.Cleanup(s.Close)
	base, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{T: t, sim: s, log: &lockedBuffer{}}
	log := slog.New(slog.NewTextHandler(f.log, nil))
	client, err := rest.New(rest.Config{System: "accounting", BaseURL: base, Auth: tokens{s}, ReadLimits: xero.Vendor().ReadLimits, Timeout: 5 * time.Second, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{"tenantId": s.Credentials()["tenantId"]}
	maps.Copy(all, settings)
	f.a, err = xero.Vendor().Open(adapters.Session{System: "accounting", BaseURL: base, Settings: all, HTTP: client, Now: time.Now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	f.ab = adapters.AbilitiesOf(f.a)
	return f
}

func (f *fixture) write(ws ...adapters.Write) []adapters.Outcome {
	f.Helper()
	return f.ab.Writer.Write(context.Background(), ws)
}

// must writes one record and returns it.
func (f *fixture) must(w adapters.Write) domain.Record {
	f.Helper()
	o := f.write(w)[0]
	if o.Err != nil {
		f.Fatal(o.Err)
	}
	return o.Record
}

func create(name string) adapters.Write {
	id := domain.NewID("cus")
	return adapters.Write{Kind: domain.KindCustomer, CanonicalID: id, Key: "create-" + id, Values: domain.Values{"legalName": domain.TextValue(name)}}
}

func (f *fixture) fetch(id string) domain.Record {
	f.Helper()
	r, err := f.a.Fetch(context.Background(), domain.KindCustomer, id)
	if err != nil {
		f.Fatal(err)
	}
	return r
}

// screen is a person editing in Xero; id "" creates. It returns the ContactID.
func (f *fixture) screen(id string, properties map[string]any) string {
	f.Helper()
	o, err := f.sim.Put("contacts", id, properties)
	if err != nil {
		f.Fatal(err)
	}
	b, err := json.Marshal(o)
	if err != nil {
		f.Fatal(err)
	}
	var c struct{ ContactID string }
	if err := json.Unmarshal(b, &c); err != nil {
		f.Fatal(err)
	}
	return c.ContactID
}

var samples = map[domain.Field][]domain.Value{
	"legalName": {`"O'Brien & Söhne Pty Ltd"`, `"日本 \"quoted\" 株式会社"`},
	"abn":       {`"53004085616"`, domain.Null},
	"acn":       {`"004085616"`, domain.Null},
	"email":     {`"jo+accounts@example.com.au"`, domain.Null},
	"phone":     {`"+61255501234"`, `"1300555010"`, `"+6493001234"`, `"call the shop"`, domain.Null},
	"mobile":    {`"+61491570006"`, domain.Null},
	"contacts": {
		`[{"firstName":"Jo","lastName":"Citizen"},{"email":"accounts@example.com","firstName":"Accounts"}]`,
		`[{"email":"jo@example.com","firstName":"Jo","lastName":"O'Brien"},{"firstName":"Mai","lastName":"Nguyễn"}]`,
		`[{"email":"only@example.com"}]`, domain.Null,
	},
	"billingAddress": {
		`{"country":"AU","lines":["Level 2","1 Smith St"],"postcode":"0800","state":"NT","suburb":"Darwin"}`,
		`{"country":"NZ","lines":["PO Box 1"],"postcode":"6011","suburb":"Wellington"}`, domain.Null,
	},
	"shippingAddress": {`{"country":"AU","lines":["Unit 1","Dock 4","9 Long Rd","Rear"],"postcode":"3000","state":"VIC","suburb":"Melbourne"}`, domain.Null},
	"paymentTerms": {
		`{"basis":"DAYS_AFTER_INVOICE","days":14}`, `{"basis":"DAYS_AFTER_MONTH_END","days":30}`, `{"basis":"DAY_OF_CURRENT_MONTH","days":31}`,
		`{"basis":"DAY_OF_FOLLOWING_MONTH","days":20}`, domain.Null,
	},
	"currency": {`"NZD"`, domain.Null},
	"status":   {`"ARCHIVED"`, `"ACTIVE"`},
}

func TestRoundTripOfEveryField(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	vendor := xero.Vendor()
	fields := vendor.Carried(domain.KindCustomer).Writable()
	rec := f.must(create("Round Trip"))
	for _, field := range fields {
		if len(samples[field]) == 0 {
			t.Errorf("no sample for %s", field)
		}
		for _, v := range samples[field] {
			w := adapters.Write{Kind: domain.KindCustomer, ExternalID: rec.ExternalID, Base: &rec, Values: domain.Values{field: v}, Key: string(field + "|" + domain.Field(v))}
			before := rec.Values.Clone()
			rec = f.must(w)
			before[field] = v
			if d := rec.Values.Diff(before); len(d) > 0 {
				t.Errorf("%s = %s: the answer shows %s instead of %s (%v)", field, v, rec.Values[field], v, d)
			}
			if again := f.fetch(rec.ExternalID); !maps.Equal(again.Values, rec.Values) || again.Version != rec.Version {
				t.Errorf("%s = %s: a read shows %v, the write's answer %v", field, v, again.Values, rec.Values)
			}
			if len(rec.Issues) > 0 && v != `"call the shop"` || len(rec.Unknown) > 0 {
				t.Errorf("%s = %s: issues %v, unknown %v", field, v, rec.Issues, rec.Unknown)
			}
		}
	}
	p, err := f.a.Changes(context.Background(), domain.KindCustomer, "")
	if err != nil || len(p.Records) != 1 || !maps.Equal(p.Records[0].Values, rec.Values) {
		t.Errorf("Changes shows %v, %v", p.Records, err)
	}
}

func TestErrorsHaveTheirCodes(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	rec := f.must(create("Errors"))
	ctx := context.Background()
	for _, c := range []struct {
		fault sim.Fault
		code  domain.Code
		after time.Duration
	}{
		{sim.Fault{Kind: sim.FaultStatus, Status: 401}, domain.Unauthorized, 0},
		{sim.Fault{Kind: sim.FaultStatus, Status: 403}, domain.Forbidden, 0},
		{sim.Fault{Kind: sim.FaultStatus, Status: 404}, domain.NotFound, 0},
		{sim.Fault{Kind: sim.FaultStatus, Status: 400}, domain.Invalid, 0},
		{sim.Fault{Kind: sim.FaultStatus, Status: 412}, domain.Unavailable, 0},
		{sim.Fault{Kind: sim.FaultStatus, Status: 429, RetryAfter: 33}, domain.RateLimited, 33 * time.Second},
		{sim.Fault{Kind: sim.FaultStatus, Status: 500}, domain.Unavailable, 0},
		{sim.Fault{Kind: sim.FaultStatus, Status: 503, RetryAfter: 7}, domain.Unavailable, 7 * time.Second},
		{sim.Fault{Kind: sim.FaultStatus, Status: 200, Body: json.RawMessage(`{}`)}, domain.Unavailable, 0},
		{sim.Fault{Kind: sim.FaultResetBefore}, domain.Unavailable, 0},
	} {
		if _, err := f.sim.AddFault(c.fault); err != nil {
			t.Fatal(err)
		}
		_, err := f.a.Fetch(ctx, domain.KindCustomer, rec.ExternalID)
		if e := domain.AsError(err); e == nil || e.Code != c.code || e.RetryAfter != c.after || e.System != "accounting" {
			t.Errorf("%s %d: %v, want %s", c.fault.Kind, c.fault.Status, err, c.code)
		}
		w := f.write(adapters.Write{Kind: domain.KindCustomer, ExternalID: rec.ExternalID, Values: domain.Values{"acn": `"004085616"`}, Key: "k"})[0].Err
		if want := map[int]domain.Code{200: domain.Unknown}[c.fault.Status]; want != "" && domain.CodeOf(w) != want || want == "" && domain.CodeOf(w) != c.code {
			t.Errorf("%s %d: a write fails with %v, want %s", c.fault.Kind, c.fault.Status, w, c.code)
		}
		for _, text := range []string{err.Error(), w.Error()} {
			for name, secret := range f.sim.Credentials() {
				if strings.HasSuffix(name, "Token") && strings.Contains(text, secret) {
					t.Errorf("the %s is in the error", name)
				}
			}
		}
		f.sim.ClearFaults()
	}
	if _, err := f.sim.AddFault(sim.Fault{Kind: sim.FaultHang}); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := f.a.Changes(short, domain.KindCustomer, ""); err == nil || time.Since(start) > 2*time.Second {
		t.Errorf("cancellation took %v: %v", time.Since(start), err)
	}
	f.log.mu.Lock()
	defer f.log.mu.Unlock()
	if strings.Contains(f.log.b.String(), f.sim.Credentials()["accessToken"]) {
		t.Error("the access token is in the log")
	}
}

func TestLimitsAreRead(t *testing.T) {
	t.Parallel()
	rs := xero.Vendor().ReadLimits(http.Header{"X-Minlimit-Remaining": {"12"}, "X-Daylimit-Remaining": {"4000"}, "X-Rate-Limit-Problem": {"Minute"}})
	want := []adapters.LimitReading{{Name: "minute"}, {Name: "day", Remaining: 4000}}
	if !slices.Equal(rs, want) {
		t.Errorf("%v, want %v", rs, want)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	h, err := f.ab.Checker.Check(context.Background())
	if err != nil || h.Account == "" || len(h.Problems) > 0 {
		t.Fatalf("%+v %v", h, err)
	}
	for _, k := range []string{"periodLockDate", "endOfYearLockDate", "timezone", "currency", "dayCallsLeft"} {
		if h.Details[k] == "" {
			t.Errorf("no %s in %v", k, h.Details)
		}
	}
	other := setup(t, map[string]string{"tenantId": "11111111-1111-4111-8111-111111111111"})
	h, err = other.ab.Checker.Check(context.Background())
	if err != nil || len(h.Problems) != 1 || !strings.Contains(h.Problems[0], other.sim.Credentials()["tenantId"]) {
		t.Errorf("%+v %v", h, err)
	}
}
