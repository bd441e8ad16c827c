package xero_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"datum/adapters"
	"datum/adapters/xero"
	"datum/domain"
)

func mapping(t testing.TB) *adapters.Mapping {
	t.Helper()
	v := xero.Vendor()
	return v.Carried(domain.KindCustomer)
}

// there sends an object through JSON, as a call does.
func there(t rapid.TB, o adapters.Object) adapters.Object {
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	back, err := adapters.ParseObject(b)
	if err != nil {
		t.Fatal(err)
	}
	return back
}

// TestPeopleSurvive: whatever list of people was there before, writing another one reads back as that one, less what Xero
// has no place for, and fitting twice changes nothing more.
func TestPeopleSurvive(t *testing.T) {
	t.Parallel()
	m := mapping(t)
	word := rapid.SampledFrom([]string{"", "", "Jo", "O'Brien", "Nguyễn"})
	mail := rapid.SampledFrom([]string{"", "jo@example.com", "ann@example.com"})
	person := rapid.Custom(func(t *rapid.T) domain.Contact {
		return domain.Contact{FirstName: word.Draw(t, "first"), LastName: word.Draw(t, "last"), Email: mail.Draw(t, "email"),
			Phone: rapid.SampledFrom([]string{"", "+61491570006"}).Draw(t, "phone"), Role: word.Draw(t, "role")}
	})
	ki, _ := domain.KindCustomer.Info()
	fi, _ := ki.Field("contacts")
	list := rapid.Custom(func(t *rapid.T) domain.Value {
		v, _ := domain.Normalize(fi, domain.ValueOf(rapid.SliceOfN(person, 0, 5).Draw(t, "people")))
		return v
	})
	rapid.Check(t, func(t *rapid.T) {
		o := adapters.Object{"ContactPersons": []any{}}
		for _, step := range []string{"before", "after"} {
			v := list.Draw(t, step)
			if err := m.Write(o, domain.Values{"contacts": v}); err != nil {
				t.Fatal(err)
			}
			o = there(t, o)
			got, issues, _ := m.Read(o)
			fit := m.Fit(domain.Values{"contacts": v})
			if got["contacts"] != fit["contacts"] || len(issues) > 0 {
				t.Fatalf("wrote %s, read %s, want %s (%v)", v, got["contacts"], fit["contacts"], issues)
			}
			if again := m.Fit(fit); again["contacts"] != fit["contacts"] {
				t.Fatalf("fitting %s again gives %s", fit["contacts"], again["contacts"])
			}
		}
	})
}

// TestPhonesSurvive: every canonical number reads back as itself.
func TestPhonesSurvive(t *testing.T) {
	t.Parallel()
	m := mapping(t)
	ki, _ := domain.KindCustomer.Info()
	fi, _ := ki.Field("phone")
	rapid.Check(t, func(t *rapid.T) {
		v, _ := domain.Normalize(fi, domain.TextValue(rapid.StringMatching(`(\+?[0-9]{1,3} ?)?\(?0?[0-9]{1,2}\)?[ 0-9]{0,14}|[A-Za-z0-9 +]{0,20}`).Draw(t, "phone")))
		o := adapters.Object{}
		if err := m.Write(o, domain.Values{"phone": v, "mobile": domain.Null}); err != nil {
			t.Fatal(err)
		}
		if got, _, _ := m.Read(there(t, o)); got["phone"] != v && !(got["phone"].Empty() && v.Empty()) {
			t.Fatalf("wrote %s, read %s", v, got["phone"])
		}
	})
}

func TestReading(t *testing.T) {
	t.Parallel()
	m := mapping(t)
	for name, c := range map[string]struct {
		raw   string
		field domain.Field
		want  domain.Value
		issue string
	}{
		"a number typed into one field":  {`{"Phones":[{"PhoneType":"DEFAULT","PhoneNumber":"(02) 5550 1234"}]}`, "phone", `"+61255501234"`, ""},
		"a country and a trunk zero":     {`{"Phones":[{"PhoneType":"DEFAULT","PhoneCountryCode":"61","PhoneAreaCode":"02","PhoneNumber":"55501234"}]}`, "phone", `"+61255501234"`, ""},
		"a 1300 number with a country":   {`{"Phones":[{"PhoneType":"DEFAULT","PhoneCountryCode":"61","PhoneNumber":"1300 555 010"}]}`, "phone", `"1300555010"`, ""},
		"no phones in the answer":        {`{"Name":"x"}`, "phone", "", ""},
		"a country without a number":     {`{"Phones":[{"PhoneType":"MOBILE","PhoneCountryCode":"61","PhoneNumber":""}]}`, "mobile", domain.Null, ""},
		"an ABN with spaces":             {`{"TaxNumber":"53 004 085 616"}`, "abn", `"53004085616"`, ""},
		"an invalid ABN":                 {`{"TaxNumber":"12 345 678 901"}`, "abn", "", "abn"},
		"a state in words":               {`{"Addresses":[{"AddressType":"POBOX","City":"Darwin","Region":"Northern Territory","PostalCode":"800","Country":"Australia"}]}`, "billingAddress", `{"country":"AU","postcode":"0800","state":"NT","suburb":"Darwin"}`, ""},
		"an empty address":               {`{"Addresses":[{"AddressType":"STREET","City":"","Region":"","PostalCode":"","Country":""}]}`, "shippingAddress", domain.Null, ""},
		"terms that nobody knows":        {`{"PaymentTerms":{"Sales":{"Day":3,"Type":"FULLMOON"}}}`, "paymentTerms", "", "paymentTerms"},
		"terms for bills only":           {`{"PaymentTerms":{"Bills":{"Day":3,"Type":"OFCURRENTMONTH"}}}`, "paymentTerms", domain.Null, ""},
		"a request to forget":            {`{"ContactStatus":"GDPRREQUEST"}`, "status", `"ARCHIVED"`, ""},
		"one person under two headings":  {`{"FirstName":"Jo","LastName":"Li","ContactPersons":[{"FirstName":"Jo","LastName":"Li","EmailAddress":"jo@example.com"}]}`, "contacts", `[{"email":"jo@example.com","firstName":"Jo","lastName":"Li"}]`, ""},
		"two people under two headings":  {`{"FirstName":"Jo","ContactPersons":[{"FirstName":"Li","EmailAddress":"li@example.com"}]}`, "contacts", `[{"firstName":"Jo"},{"email":"li@example.com","firstName":"Li"}]`, ""},
		"a web site, which is read-only": {`{"Website":"Example.com.au"}`, "website", `"https://example.com.au"`, ""},
	} {
		o, err := adapters.ParseObject([]byte(c.raw))
		if err != nil {
			t.Fatal(err)
		}
		values, issues, unknown := m.Read(o)
		if values[c.field] != c.want || len(unknown) > 0 {
			t.Errorf("%s: %s is %s, want %s (unknown %v)", name, c.field, values[c.field], c.want, unknown)
		}
		found := false
		for _, i := range issues {
			found = found || i.Severity == domain.Problem && string(i.Field) == c.issue
		}
		if found != (c.issue != "") {
			t.Errorf("%s: issues %v", name, issues)
		}
	}
	if _, _, unknown := m.Read(adapters.Object{"Name": "x", "LoyaltyTier": "gold"}); len(unknown) != 1 || unknown[0] != "LoyaltyTier" {
		t.Errorf("drift: %v", unknown)
	}
}
