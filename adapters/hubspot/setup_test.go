package hubspot_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"datum/adapters"
	"datum/adapters/hubspot"
	"datum/adapters/hubspotsim"
	"datum/domain"
)

// bench is one portal with one adapter connected to it.
type bench struct {
	t   *testing.T
	sim *hubspotsim.Sim
	url string
	a   adapters.Adapter
	adapters.Abilities
	clock atomic.Int64             // ms; the simulator's base clock
	kept  map[string]domain.Record // by external id: records as Datum would have them stored
}

func (b *bench) now() time.Time { return time.UnixMilli(b.clock.Load()).UTC() }

// newBench starts a portal whose clock stands still until tick; without lag search sees writes at once.
func newBench(t *testing.T, o hubspotsim.Options) *bench {
	t.Helper()
	b := &bench{t: t, kept: map[string]domain.Record{}}
	b.clock.Store(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC).UnixMilli())
	o.Now = b.now
	if o.SearchLag == 0 {
		o.SearchLag = -1
	}
	if o.Limits == (hubspotsim.Limits{}) {
		o.Limits = hubspotsim.Limits{Burst: -1, Search: -1}
	}
	b.sim = hubspotsim.New(o)
	t.Cleanup(b.sim.Close)
	url, err := b.sim.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b.url = url
	v := hubspot.Vendor()
	b.a, err = v.Open(adapters.Session{System: "crm", BaseURL: url, Settings: map[string]string{"portalId": b.sim.Credentials()["portalId"]},
		HTTP: doer{url, b.sim.Credentials()["privateToken"]}, Now: b.now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	b.Abilities = adapters.AbilitiesOf(b.a)
	if err := b.Provisioner.Provision(t.Context()); err != nil {
		t.Fatal(err)
	}
	return b
}

// tick moves the portal's clock on, so that stamps differ.
func (b *bench) tick(d time.Duration) { b.clock.Add(d.Milliseconds()) }

// put edits on the portal's screen and returns the object's id.
func (b *bench) put(typ, id string, p map[string]any) string {
	b.t.Helper()
	b.tick(time.Second)
	o, err := b.sim.Put(typ, id, p)
	if err != nil {
		b.t.Fatal(err)
	}
	return o.(map[string]any)["id"].(string)
}

func (b *bench) write(ws ...adapters.Write) []adapters.Outcome {
	b.t.Helper()
	b.tick(time.Second)
	for i := range ws {
		ws[i].Kind = domain.KindCustomer
		if ws[i].Golden == nil {
			ws[i].Golden = ws[i].Values
		}
	}
	return b.Writer.Write(b.t.Context(), ws)
}

func (b *bench) must(outs []adapters.Outcome) []adapters.Outcome {
	b.t.Helper()
	for i, o := range outs {
		if o.Err != nil {
			b.t.Fatalf("write %d: %v", i, o.Err)
		}
	}
	return outs
}

func (b *bench) fetch(external string) domain.Record {
	b.t.Helper()
	r, err := b.a.Fetch(b.t.Context(), domain.KindCustomer, external)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// poll follows Changes to the end and returns the records and the cursor.
func (b *bench) poll(cursor string) ([]domain.Record, string) {
	b.t.Helper()
	var all []domain.Record
	for range 200 {
		p, err := b.a.Changes(b.t.Context(), domain.KindCustomer, cursor)
		if err != nil {
			b.t.Fatal(err)
		}
		all, cursor = append(all, p.Records...), p.Cursor
		if !p.More {
			return all, cursor
		}
	}
	b.t.Fatal("the poll does not end")
	return nil, ""
}

// keep stores a record as it is now.
func (b *bench) keep(kind domain.Kind, external string) {
	b.t.Helper()
	r, err := b.a.Fetch(b.t.Context(), kind, external)
	if err != nil {
		b.t.Fatal(err)
	}
	b.kept[external] = r
}

// says reports whether the stored record says what the signal hints at.
func (b *bench) says(s adapters.Signal) bool {
	r, ok := b.kept[s.ExternalID]
	return ok && gjson.GetBytes(r.Raw, s.Hint.Path).String() == s.Hint.Value
}

// doer is the least that a Session needs: a bearer token, and statuses as errors.
type doer struct{ base, token string }

func (d doer) Do(ctx context.Context, c adapters.Call) (*adapters.Response, error) {
	req, err := http.NewRequestWithContext(ctx, c.Method, d.base+c.Path, bytes.NewReader(c.Body))
	if err != nil {
		return nil, err
	}
	for k, v := range c.Header {
		req.Header[k] = v
	}
	req.Header.Set("Authorization", "Bearer "+d.token)
	req.Header.Set("Content-Type", "application/json")
	sent := time.Now().UTC()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		if c.Write && !c.Safe {
			return nil, &domain.Error{Code: domain.Unknown, Message: "no answer", Err: err}
		}
		return nil, &domain.Error{Code: domain.Unavailable, Message: "no answer", Err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, &domain.Error{Code: domain.Unavailable, Message: "half an answer", Err: err}
	}
	r := &adapters.Response{Status: resp.StatusCode, Header: resp.Header, Body: body, SentAt: sent}
	for _, s := range append(c.Accept, 200, 201, 204, 207) {
		if s == r.Status {
			return r, nil
		}
	}
	code := map[int]domain.Code{401: domain.Unauthorized, 429: domain.RateLimited}[r.Status]
	if code == "" {
		code = domain.Unavailable
	}
	return nil, &domain.Error{Code: code, Message: "status " + resp.Status}
}

func text(s string) domain.Value { return domain.TextValue(s) }

// values normalises values as change.Apply would have them.
func values(t *testing.T, in map[domain.Field]any) domain.Values {
	t.Helper()
	ki, _ := domain.KindCustomer.Info()
	out := domain.Values{}
	for f, x := range in {
		fi, ok := ki.Field(f)
		if !ok {
			t.Fatalf("no field %s", f)
		}
		v, issues := domain.Normalize(fi, domain.ValueOf(x))
		if len(issues) > 0 {
			t.Fatalf("%s: %v", f, issues)
		}
		out[f] = v
	}
	return out
}

func full(t *testing.T) domain.Values {
	return values(t, map[domain.Field]any{
		"legalName": "O'Brien & Søn Plumbing Pty Ltd", "tradingName": "O'Brien’s", "abn": "51 824 753 556", "acn": "004 085 616", "gstRegistered": true,
		"email": "accounts@obrien.example", "phone": "(03) 9001 0101", "mobile": "0491 570 006", "website": "www.obrien.example/about",
		"contacts": []domain.Contact{{FirstName: "Zoë", LastName: "O'Brien", Email: "zoe@obrien.example", Phone: "0491570156", Role: "Owner"},
			{FirstName: "Al", LastName: "Nguyen", Role: "Accounts"}},
		"billingAddress":  domain.Address{Lines: []string{"Shop 1", "Level 2, East", "Tower B", "1 Collins St"}, Suburb: "Melbourne", State: "VIC", Postcode: "3000", Country: "AU"},
		"shippingAddress": domain.Address{Lines: []string{"12 Smith St"}, Suburb: "Darwin City", State: "NT", Postcode: "0800", Country: "AU"},
		"lifecycleStage":  "OPPORTUNITY", "salesOwner": "sam@sales.example", "paymentTerms": domain.PaymentTerms{Basis: "DAYS_AFTER_MONTH_END", Days: 30},
		"creditLimit": map[string]string{"amount": "12500.50", "currency": "NZD"}, "currency": "AUD", "tags": []string{"wholesale", "vip, really"},
		"notes": "first line\nsecond line", "customFields": map[string]string{"gate code": "4417#"}, "status": "ACTIVE",
	})
}

// without returns v without some fields.
func without(v domain.Values, fs ...domain.Field) domain.Values {
	c := v.Clone()
	for _, f := range fs {
		delete(c, f)
	}
	return c
}

func same(t *testing.T, what string, got, want domain.Values) {
	t.Helper()
	for f, w := range want {
		if g := got[f]; g != w && !(g.Empty() && w.Empty()) {
			t.Errorf("%s: %s is %s, want %s", what, f, g, w)
		}
	}
}

func ids(rs []domain.Record) string {
	var all []string
	for _, r := range rs {
		all = append(all, r.ExternalID)
	}
	return strings.Join(all, " ")
}
