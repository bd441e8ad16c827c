package xero_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"datum/adapters"
	"datum/adapters/sim"
	"datum/domain"
)

func TestWhatXeroCannotHold(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	six := `[{"firstName":"A"}` + strings.Repeat(`,{"firstName":"B"}`, 6) + `]`
	rec := f.must(create("Limits"))
	reads := f.sim.Stats().Requests
	for field, v := range map[domain.Field]domain.Value{
		"legalName": domain.Null, "email": `"jö@example.com"`, "contacts": domain.Value(six), "acn": domain.TextValue(strings.Repeat("1", 51)),
		"billingAddress": `{"lines":["1","2","3","4","5"]}`, "shippingAddress": domain.Value(`{"lines":["` + strings.Repeat("x", 501) + `"]}`),
	} {
		err := f.write(adapters.Write{Kind: domain.KindCustomer, ExternalID: rec.ExternalID, Base: &rec, Values: domain.Values{field: v}, Key: "k"})[0].Err
		if e := domain.AsError(err); e == nil || e.Code != domain.Invalid || e.Field != field {
			t.Errorf("%s: %v", field, err)
		}
	}
	if err := f.write(create("a <b>"))[0].Err; domain.CodeOf(err) != domain.Invalid {
		t.Error(err)
	}
	if err := f.write(adapters.Write{Kind: domain.KindCustomer, ExternalID: rec.ExternalID, Values: domain.Values{"notes": `"x"`}, Key: "k"})[0].Err; domain.CodeOf(err) != domain.Unsupported {
		t.Error(err)
	}
	if n := f.sim.Stats().Requests; n != reads {
		t.Errorf("%d calls for writes that could only fail", n-reads)
	}
}

func TestPartialWriteLeavesTheRest(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	id := f.screen("", map[string]any{
		"Name": "Vendor Only", "AccountNumber": "AC-1", "FirstName": "Jo", "LastName": "Citizen",
		"Phones":         []any{map[string]any{"PhoneType": "DDI", "PhoneNumber": "111"}, map[string]any{"PhoneType": "FAX", "PhoneNumber": "222"}, map[string]any{"PhoneType": "DEFAULT", "PhoneAreaCode": "02", "PhoneNumber": "5550 1234"}},
		"Addresses":      []any{map[string]any{"AddressType": "STREET", "City": "Perth"}, map[string]any{"AddressType": "POBOX", "AttentionTo": "Accounts", "City": "Sydney"}},
		"ContactPersons": []any{map[string]any{"FirstName": "Ann", "EmailAddress": "ann@example.com", "IncludeInEmails": true}},
		"PaymentTerms":   map[string]any{"Bills": map[string]any{"Day": 5, "Type": "OFFOLLOWINGMONTH"}, "Sales": map[string]any{"Day": 14, "Type": "DAYSAFTERBILLDATE"}},
	})
	rec := f.fetch(id)
	if got := rec.Values["phone"]; got != `"+61255501234"` {
		t.Errorf("phone %s", got)
	}
	values := domain.Values{
		"mobile": `"+61491570156"`, "billingAddress": `{"country":"AU","postcode":"2000","state":"NSW","suburb":"Sydney"}`,
		"contacts":     `[{"firstName":"Jo","lastName":"Citizen"},{"firstName":"Bob"},{"email":"ann@example.com","firstName":"Ann"}]`,
		"paymentTerms": `{"basis":"DAYS_AFTER_INVOICE","days":30}`,
	}
	for name, base := range map[string]*domain.Record{"with the base at hand": &rec, "with the base unknown": nil} {
		got := f.must(adapters.Write{Kind: domain.KindCustomer, CanonicalID: domain.NewID("cus"), ExternalID: id, Base: base, Values: values, Key: name})
		raw := string(got.Raw)
		for _, want := range []string{`"PhoneType":"DDI","PhoneNumber":"111"`, `"PhoneType":"FAX","PhoneNumber":"222"`, `"AttentionTo":"Accounts"`, `"City":"Perth"`,
			`"AccountNumber":"AC-1"`, `"Bills":{"Day":5,`, `"EmailAddress":"ann@example.com","IncludeInEmails":true`} {
			if !strings.Contains(raw, want) {
				t.Errorf("%s: %s is gone from %s", name, want, raw)
			}
		}
		if d := got.Values.Diff(values); len(d) > 0 {
			t.Errorf("%s: %v", name, d)
		}
		if got.CanonicalID == "" {
			t.Errorf("%s: our id was not stored", name)
		}
	}
}

func TestForeignNumberIsLeftAlone(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	id := f.screen("", map[string]any{"Name": "Foreign", "ContactNumber": "SHOP-77"})
	rec := f.fetch(id)
	if rec.CanonicalID != "" || len(rec.Issues) != 1 || rec.Issues[0].Severity != domain.Warning || rec.Issues[0].Value != "SHOP-77" {
		t.Errorf("%+v", rec.Issues)
	}
	got := f.must(adapters.Write{Kind: domain.KindCustomer, CanonicalID: domain.NewID("cus"), ExternalID: id, Base: &rec, Values: domain.Values{"acn": `"004085616"`}, Key: "k"})
	if !strings.Contains(string(got.Raw), `"ContactNumber":"SHOP-77"`) {
		t.Error("the foreign number was overwritten")
	}
}

func TestRepeatsMakeOneContact(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	w := create("Once Only")
	first := f.must(w)
	for _, wait := range []time.Duration{0, 7 * time.Minute} { // within Xero's memory of the key, and after it
		f.sim.Advance(wait)
		if again := f.must(w); again.ExternalID != first.ExternalID {
			t.Errorf("after %v: another contact", wait)
		}
	}
	if s := f.sim.Stats(); s.Creates != 1 || s.Duplicates != 0 {
		t.Errorf("creates %d, duplicates %d", s.Creates, s.Duplicates)
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	taken := f.must(create("Taken"))
	ws := make([]adapters.Write, 50)
	for i := range ws {
		ws[i] = create(fmt.Sprintf("Batch %02d", i))
	}
	ws[7].Values["legalName"] = `"taken"`
	ws[20].Values["email"] = `"a@localhost"` // fits us, not Xero
	ws[30].Values["legalName"] = `"with <angle>"`
	before := f.sim.Stats()
	outs := f.write(ws...)
	for i, o := range outs {
		switch i {
		case 7:
			if e := domain.AsError(o.Err); e == nil || e.Code != domain.Conflict || e.Field != "legalName" || !strings.Contains(e.Message, taken.ExternalID) || e.System != "accounting" {
				t.Errorf("the name clash: %v", o.Err)
			}
		case 20:
			if e := domain.AsError(o.Err); e == nil || e.Code != domain.Invalid || e.Field != "email" || !strings.Contains(e.Message, "Email address must be valid") {
				t.Errorf("the bad address: %v", o.Err)
			}
		case 30:
			if domain.CodeOf(o.Err) != domain.Invalid {
				t.Errorf("the bad name: %v", o.Err)
			}
		default:
			if o.Err != nil || o.Record.CanonicalID != ws[i].CanonicalID || !o.Created {
				t.Errorf("%d: %+v", i, o)
			}
		}
	}
	after := f.sim.Stats()
	if after.Creates-before.Creates != 47 || after.Requests-before.Requests != 2 {
		t.Errorf("creates %d in %d calls, want 47 in 2 (the write, and one look at the name)", after.Creates-before.Creates, after.Requests-before.Requests)
	}
}

func TestRefusedCallIsSplit(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	ws := []adapters.Write{create("A1"), create("A2"), create("A3"), create("A4")}
	// Xero refuses the whole, then the first half, then the first of that.
	if _, err := f.sim.AddFault(sim.Fault{Kind: sim.FaultStatus, Status: 400, Method: "POST", Path: "/Contacts", Count: 3}); err != nil {
		t.Fatal(err)
	}
	for i, o := range f.write(ws...) {
		if bad := i == 0; (o.Err != nil) != bad || bad && domain.CodeOf(o.Err) != domain.Invalid {
			t.Errorf("%d: %v", i, o.Err)
		}
	}
	// A refusal that no contact is to blame for is not split.
	if _, err := f.sim.AddFault(sim.Fault{Kind: sim.FaultStatus, Status: 400, Method: "POST", Path: "/Contacts", Body: json.RawMessage(`{"ErrorNumber":99,"Type":"OrganisationException","Message":"The trial has ended"}`)}); err != nil {
		t.Fatal(err)
	}
	n := f.sim.Stats().Requests
	for i, o := range f.write(create("B1"), create("B2")) {
		if o.Err == nil || !strings.Contains(o.Err.Error(), "The trial has ended") {
			t.Errorf("%d: %v", i, o.Err)
		}
	}
	if d := f.sim.Stats().Requests - n; d != 1 {
		t.Errorf("%d calls, want 1", d)
	}
}

func TestUnknownOutcomeIsFound(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	if _, err := f.sim.AddFault(sim.Fault{Kind: sim.FaultReset, Method: "POST", Count: 1}); err != nil {
		t.Fatal(err)
	}
	w := create("Lost Answer")
	if err := f.write(w)[0].Err; domain.CodeOf(err) != domain.Unknown {
		t.Fatalf("a create without an answer: %v", err)
	}
	found, err := f.ab.Finder.Find(context.Background(), domain.KindCustomer, []adapters.Query{{CanonicalID: w.CanonicalID}, {CanonicalID: domain.NewID("cus")}})
	if err != nil || len(found) != 2 || len(found[0]) != 1 || len(found[1]) != 0 || found[0][0].CanonicalID != w.CanonicalID {
		t.Fatalf("%v %v", found, err)
	}
	// An update may be repeated, so a lost answer is no mystery.
	if _, err := f.sim.AddFault(sim.Fault{Kind: sim.FaultReset, Method: "POST", Count: 1}); err != nil {
		t.Fatal(err)
	}
	rec := found[0][0]
	err = f.write(adapters.Write{Kind: domain.KindCustomer, ExternalID: rec.ExternalID, Base: &rec, Values: domain.Values{"acn": `"004085616"`}, Key: "u"})[0].Err
	if domain.CodeOf(err) != domain.Unavailable {
		t.Errorf("an update without an answer: %v", err)
	}
}
