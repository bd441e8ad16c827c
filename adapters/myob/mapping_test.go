package myob_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"datum/adapters"
	"datum/adapters/myob"
	"datum/domain"
	"datum/domain/money"
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

// TestDocumentsReadBack: any document that can be written to MYOB reads back as its fit, from an invoice and from a credit
// note, whatever lines were there before; and fitting twice changes nothing. The sums of what is written are those of the fit.
func TestDocumentsReadBack(t *testing.T) {
	t.Parallel()
	decimals := func(places int, negative bool) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string {
			low := 0
			if negative {
				low = -9_999_999
			}
			d := decimal.New(int64(rapid.IntRange(low, 9_999_999).Draw(t, "digits")), -int32(rapid.IntRange(0, places).Draw(t, "places")))
			return d.String()
		})
	}
	line := rapid.Custom(func(t *rapid.T) domain.Line {
		l := domain.Line{
			Kind:        rapid.SampledFrom([]string{"", "", "", domain.LineShipping, domain.LineDiscount, domain.LineRounding, domain.LineText}).Draw(t, "kind"),
			Description: rapid.SampledFrom([]string{"", "Pipe", "O'Brien"}).Draw(t, "description"), SKU: "as the shop says", Account: "4-2000",
		}
		if l.Kind == domain.LineText {
			return l
		}
		l.Product = domain.Ext(rapid.SampledFrom([]string{"", pipe, valve}).Draw(t, "product"))
		l.Quantity, l.UnitPrice = decimals(6, true).Draw(t, "quantity"), decimals(6, true).Draw(t, "price")
		l.TaxCode = rapid.SampledFrom([]string{"GST", "GST_FREE", "EXPORT", "INPUT_TAXED", "OUT_OF_SCOPE"}).Draw(t, "code")
		switch rapid.IntRange(0, 2).Draw(t, "discount") {
		case 1:
			l.DiscountRate = rapid.SampledFrom([]string{"10", "33.333", "100"}).Draw(t, "rate")
		case 2:
			full := decimal.RequireFromString(l.Quantity).Mul(decimal.RequireFromString(l.UnitPrice)).Abs()
			if off := decimal.RequireFromString("5.5"); off.LessThan(full) {
				l.DiscountAmount = off.String()
			}
		}
		return l
	})
	documents := rapid.Custom(func(t *rapid.T) domain.Value {
		return domain.ValueOf(rapid.SliceOfN(line, 1, 5).Draw(t, "lines"))
	})
	for _, kind := range []domain.Kind{domain.KindInvoice, domain.KindCreditNote} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			a := myob.Vendor()
			ms, err := a.Configure(map[string]string{"otherItem": "MISC"})
			if err != nil {
				t.Fatal(err)
			}
			m := adapters.Vendor{Mapping: ms}.Carried(kind)
			ki, _ := kind.Info()
			fi, _ := ki.Field("lines")
			rapid.Check(t, func(t *rapid.T) {
				o := adapters.Object{}
				for _, step := range []string{"first", "second"} {
					v, _ := domain.Normalize(fi, documents.Draw(t, step))
					fit := m.Fit(domain.Values{"lines": v})["lines"]
					if again := m.Fit(domain.Values{"lines": fit})["lines"]; again != fit {
						t.Fatalf("fitting twice: %s became %s", fit, again)
					}
					if err := m.Write(o, domain.Values{"lines": v}); err != nil {
						t.Fatal(err)
					}
					o = there(t, o)
					got, issues, _ := m.Read(served(o))
					want, _ := domain.Normalize(fi, fit)
					if domain.Essence(got["lines"]) != domain.Essence(want) && !(len(domain.LinesOf(want)) == 0) || len(issues) > 0 {
						t.Fatalf("wrote %s\nread  %s\nwant  %s %v", v, got["lines"], want, issues)
					}
					if a, b := worth(t, v), worth(t, fit); a.Sub(b).Abs().GreaterThan(decimal.New(int64(len(domain.LinesOf(v))), -2)) {
						t.Fatalf("%s is %s and its fit %s is %s", v, a, fit, b)
					}
				}
			})
		})
	}
}

// served is what the server shows of an object that was sent: links with what they are known by.
func served(o adapters.Object) adapters.Object {
	numbers := map[string]string{pipe: "PIPE-20", valve: "VALVE"}
	for _, x := range o["Lines"].([]any) {
		if item, _ := x.(adapters.Object)["Item"].(adapters.Object); item["UID"] != nil {
			item["Number"] = numbers[item["UID"].(string)]
		}
	}
	return o
}

// worth adds up lines in cents as they stand.
func worth(t rapid.TB, v domain.Value) decimal.Decimal {
	var sum decimal.Decimal
	for _, l := range domain.LinesOf(v) {
		if l.Kind == domain.LineText {
			continue
		}
		d := func(s string) decimal.Decimal {
			if s == "" {
				return decimal.Zero
			}
			return decimal.RequireFromString(s)
		}
		r, err := money.Compute(money.Document{Currency: "AUD", Mode: money.Exclusive, Rounding: money.PerInvoice, Lines: []money.Line{{Quantity: d(l.Quantity), UnitPrice: d(l.UnitPrice),
			DiscountRate: d(l.DiscountRate), DiscountAmount: d(l.DiscountAmount), TaxCode: money.TaxCode(l.TaxCode)}}})
		if err != nil {
			t.Fatal(err)
		}
		sum = sum.Add(r.Totals.Subtotal)
	}
	return sum
}

// TestReadingDocuments: what people and other programs leave in MYOB.
func TestReadingDocuments(t *testing.T) {
	t.Parallel()
	v := myob.Vendor()
	invoice, credit, product := v.Carried(domain.KindInvoice), v.Carried(domain.KindCreditNote), v.Carried(domain.KindProduct)
	for name, c := range map[string]struct {
		m     *adapters.Mapping
		raw   string
		field domain.Field
		want  domain.Value
		issue string
	}{
		"a code of the file's own": {invoice, `{"Lines":[{"Type":"Transaction","ShipQuantity":1,"UnitPrice":5,"Total":5,"TaxCode":{"Code":"WET"},"Item":{"UID":"` + pipe + `","Number":"P"}}]}`, "lines", "", "unknown_tax_code"},
		"negative prices":          {credit, `{"Lines":[{"ShipQuantity":1,"UnitPrice":-5,"Total":-5,"TaxCode":{"Code":"GST"},"Item":{"UID":"` + pipe + `","Number":"P"}}]}`, "lines", domain.ValueOf([]domain.Line{{Product: domain.Ext(pipe), SKU: "P", Quantity: "1", UnitPrice: "5", TaxCode: "GST", Amount: "5"}}), ""},
		"no lines in the answer":   {invoice, `{"Number":"1"}`, "lines", "", ""},
		"a service line":           {invoice, `{"Lines":[{"Description":"Advice","Total":-7.5,"TaxCode":{"Code":"N-T"},"Account":{"DisplayID":"4-2000"}}]}`, "lines", domain.ValueOf([]domain.Line{{Description: "Advice", Quantity: "1", UnitPrice: "-7.5", TaxCode: "OUT_OF_SCOPE", Amount: "-7.5", Account: "4-2000"}}), ""},
		"dollars":                  {invoice, `{"ForeignCurrency":{"Code":"USD"},"TotalAmount":5}`, "total", "", ""},
		"nothing to pay":           {invoice, `{"Status":"Closed","TotalAmount":0}`, "stage", `"AUTHORISED"`, ""},
		"overpaid":                 {invoice, `{"Status":"Credit"}`, "stage", `"PAID"`, ""},
		"a credit that is left":    {credit, `{"Status":"Credit"}`, "stage", `"AUTHORISED"`, ""},
		"half a cent":              {invoice, `{"TotalAmount":13.2}`, "total", `{"amount":"13.20","currency":"AUD"}`, ""},
		"not for sale":             {product, `{"Number":"1","IsSold":false,"SellingDetails":null}`, "salePrice", domain.Null, ""},
		"a stocked item":           {product, `{"IsInventoried":true,"CostOfSalesAccount":{"DisplayID":"5-1000"}}`, "purchaseAccount", `"5-1000"`, ""},
	} {
		o, err := adapters.ParseObject([]byte(c.raw))
		if err != nil {
			t.Fatal(err)
		}
		values, issues, unknown := c.m.Read(o)
		if values[c.field] != c.want || len(unknown) > 0 {
			t.Errorf("%s: %s is %s, want %s (unknown %v)", name, c.field, values[c.field], c.want, unknown)
		}
		if found := slices.ContainsFunc(issues, func(i domain.Issue) bool { return i.Code == c.issue && i.Field == c.field }); found != (c.issue != "") {
			t.Errorf("%s: issues %v", name, issues)
		}
	}
}
