package myob_test

import (
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"datum/adapters"
	"datum/adapters/myob"
	"datum/domain"
)

func mapping(t testing.TB) *adapters.Mapping {
	t.Helper()
	v := myob.Vendor()
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

// TestWhatIsWrittenReadsBack: whatever card was there before, values that can be written read back as their fit, and
// nothing else moves. Names follow the kind.
func TestWhatIsWrittenReadsBack(t *testing.T) {
	t.Parallel()
	m := mapping(t)
	ki, _ := domain.KindCustomer.Info()
	word := rapid.SampledFrom([]string{"Jo", "O'Brien", "Nguyễn", "van der Berg", "&", "x"})
	name := rapid.Custom(func(t *rapid.T) string {
		s := word.Draw(t, "first")
		if rapid.Bool().Draw(t, "two") {
			s += " " + word.Draw(t, "second")
		}
		return s
	})
	values := rapid.Custom(func(t *rapid.T) domain.Values {
		person := domain.Contact{FirstName: rapid.SampledFrom([]string{"", "Jo", "Mary Jane"}).Draw(t, "given"),
			LastName: rapid.SampledFrom([]string{"", "Li", "van Dyke"}).Draw(t, "family"), Email: rapid.SampledFrom([]string{"", "a@example.com"}).Draw(t, "mail")}
		all := domain.Values{
			"kind": rapid.SampledFrom([]domain.Value{`"PERSON"`, `"BUSINESS"`, domain.Null}).Draw(t, "kind"), "legalName": domain.TextValue(name.Draw(t, "name")),
			"abn":      rapid.SampledFrom([]domain.Value{`"53004085616"`, domain.Null}).Draw(t, "abn"),
			"contacts": domain.ValueOf([]domain.Contact{person, {FirstName: "Second"}}),
			"billingAddress": rapid.SampledFrom([]domain.Value{domain.Null, `{"suburb":"Perth"}`,
				`{"country":"AU","lines":["Level 2","1 Smith St"],"postcode":"0800","state":"NT","suburb":"Darwin"}`}).Draw(t, "address"),
			"paymentTerms": rapid.SampledFrom([]domain.Value{domain.Null, `{"basis":"DAYS_AFTER_INVOICE","days":0}`, `{"basis":"DAYS_AFTER_MONTH_END","days":0}`,
				`{"basis":"DAY_OF_FOLLOWING_MONTH","days":20}`, `{"basis":"DAY_OF_CURRENT_MONTH","days":31}`, `{"basis":"DAYS_AFTER_INVOICE","days":7}`}).Draw(t, "terms"),
			"creditLimit": rapid.SampledFrom([]domain.Value{domain.Null, `{"amount":"0.05","currency":"AUD"}`}).Draw(t, "limit"),
			"status":      rapid.SampledFrom([]domain.Value{domain.Null, `"ARCHIVED"`, `"ACTIVE"`}).Draw(t, "status"),
		}
		some := domain.Values{}
		for _, f := range all.Fields() {
			fi, _ := ki.Field(f)
			if v, _ := domain.Normalize(fi, all[f]); rapid.Bool().Draw(t, "set "+string(f)) {
				some[f] = v
			}
		}
		return some
	})
	rapid.Check(t, func(t *rapid.T) {
		o := adapters.Object{"IsIndividual": false, "IsActive": true, "CompanyName": "Before", "Addresses": []any{}, "SellingDetails": adapters.Object{}}
		for _, step := range []string{"one", "two", "three"} {
			before, _, _ := m.Read(there(t, o))
			v := values.Draw(t, step)
			if err := m.Write(o, v); err != nil {
				t.Fatal(err)
			}
			o = there(t, o)
			got, issues, unknown := m.Read(o)
			want := before
			for f, x := range m.Fit(v) {
				want[f] = x
			}
			if d := got.Diff(want); len(d) > 0 || len(issues) > 0 || len(unknown) > 0 {
				t.Fatalf("wrote %v: %v instead of %v (%v %v)", map[domain.Field]domain.Value(v), map[domain.Field]domain.Value(got), map[domain.Field]domain.Value(d), issues, unknown)
			}
			if d := m.Fit(m.Fit(v)).Diff(m.Fit(v)); len(d) > 0 {
				t.Fatalf("fitting twice changes %v", d)
			}
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
		"an individual":                  {`{"IsIndividual":true,"FirstName":"Frank","LastName":"Grimes"}`, "legalName", `"Frank Grimes"`, ""},
		"a company in the wrong place":   {`{"IsIndividual":false,"LastName":"Grimes Holdings"}`, "legalName", `"Grimes Holdings"`, ""},
		"a person in the wrong place":    {`{"IsIndividual":true,"CompanyName":"Frank Grimes"}`, "legalName", `"Frank Grimes"`, ""},
		"a local number":                 {`{"Addresses":[{"Location":1,"Phone1":"(02) 5550 1234","Phone2":"0491 570 006"}]}`, "phone", `"+61255501234"`, ""},
		"no addresses in the answer":     {`{"CompanyName":"x"}`, "phone", "", ""},
		"no addresses":                   {`{"Addresses":null}`, "billingAddress", domain.Null, ""},
		"a street of Windows lines":      {`{"Addresses":[{"Location":1,"Street":"Unit 3\r\n\r\n 12 High St \r\n","City":"Perth","State":"Western Australia","PostCode":"6000","Country":"Australia"}]}`, "billingAddress", `{"country":"AU","lines":["Unit 3","12 High St"],"postcode":"6000","state":"WA","suburb":"Perth"}`, ""},
		"a second address only":          {`{"Addresses":[{"Location":2,"City":"Perth"}]}`, "billingAddress", domain.Null, ""},
		"an invalid ABN":                 {`{"SellingDetails":{"ABN":"12 345 678 901"}}`, "abn", "", "abn"},
		"no selling details":             {`{"CompanyName":"x"}`, "abn", "", ""},
		"prepaid":                        {`{"SellingDetails":{"Terms":{"PaymentIsDue":"Prepaid","BalanceDueDate":0}}}`, "paymentTerms", `{"basis":"DAYS_AFTER_INVOICE","days":0}`, ""},
		"terms that nobody knows":        {`{"SellingDetails":{"Terms":{"PaymentIsDue":"FullMoon","BalanceDueDate":1}}}`, "paymentTerms", "", "paymentTerms"},
		"no limit":                       {`{"SellingDetails":{"Credit":{"Limit":0.00}}}`, "creditLimit", domain.Null, ""},
		"a limit":                        {`{"SellingDetails":{"Credit":{"Limit":5000}}}`, "creditLimit", `{"amount":"5000.00","currency":"AUD"}`, ""},
		"one word for a contact":         {`{"Addresses":[{"Location":1,"ContactName":"Clint"}]}`, "contacts", `[{"firstName":"Clint"}]`, ""},
		"two e-mail addresses in one":    {`{"Addresses":[{"Location":1,"Email":"a@example.com; b@example.com"}]}`, "email", "", "email"},
		"an inactive card":               {`{"IsActive":false}`, "status", `"ARCHIVED"`, ""},
		"a card that says no such thing": {`{"CompanyName":"x"}`, "status", "", ""},
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
	if _, _, unknown := m.Read(adapters.Object{"CompanyName": "x", "LoyaltyTier": "gold"}); len(unknown) != 1 || unknown[0] != "LoyaltyTier" {
		t.Errorf("drift: %v", unknown)
	}
}

// TestWhatMYOBCannotHold is refused by name and not cut short.
func TestWhatMYOBCannotHold(t *testing.T) {
	t.Parallel()
	m := mapping(t)
	person := func() adapters.Object { return adapters.Object{"IsIndividual": true, "LastName": "Grimes"} }
	for name, v := range map[string]domain.Values{
		"a long last name":  {"legalName": `"Frank Wolfeschlegelsteinhausenbergerdorff"`},
		"a long first name": {"legalName": `"Hubert Blaine Wolfeschlegel Grimes"`},
		"no name":           {"legalName": domain.Null},
		"a zero limit":      {"creditLimit": `{"amount":"0.00","currency":"AUD"}`},
		"parts of a cent":   {"creditLimit": `{"amount":"1.005","currency":"AUD"}`},
		"another currency":  {"creditLimit": `{"amount":"1.00","currency":"NZD"}`},
		"a long street":     {"billingAddress": domain.ValueOf(domain.Address{Lines: []string{string(make([]rune, 128)), string(make([]rune, 128))}})},
		"a long postcode":   {"shippingAddress": `{"postcode":"12345678901"}`},
		"a field of others": {"tradingName": `"x"`},
	} {
		err := m.Write(person(), v)
		if code := domain.CodeOf(err); code != domain.Invalid && code != domain.Unsupported || domain.AsError(err).Field == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestTermsThatMeanTheSame stay as the card has them.
func TestTermsThatMeanTheSame(t *testing.T) {
	t.Parallel()
	m := mapping(t)
	for _, word := range []string{"Prepaid", "CashOnDelivery"} {
		terms := adapters.Object{"PaymentIsDue": word, "DiscountForEarlyPayment": json.Number("2")}
		o := adapters.Object{"SellingDetails": adapters.Object{"Terms": terms}}
		for _, v := range []domain.Value{`{"basis":"DAYS_AFTER_INVOICE","days":0}`, domain.Null} {
			if err := m.Write(o, domain.Values{"paymentTerms": v}); err != nil || terms["PaymentIsDue"] != word {
				t.Errorf("%s became %v: %v", word, terms, err)
			}
		}
		if err := m.Write(o, domain.Values{"paymentTerms": `{"basis":"DAYS_AFTER_MONTH_END","days":30}`}); err != nil || terms["PaymentIsDue"] != "NumberOfDaysAfterEOM" || terms["DiscountForEarlyPayment"] == nil {
			t.Errorf("%v: %v", terms, err)
		}
	}
}
