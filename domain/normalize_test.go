package domain

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// normalized runs Normalize on the customer's field and returns the value and the codes of the issues, problems with "!".
func normalized(t *testing.T, f Field, v Value) (Value, string) {
	t.Helper()
	ki, _ := KindCustomer.Info()
	fi, ok := ki.Field(f)
	if !ok {
		t.Fatalf("no field %s", f)
	}
	got, issues := Normalize(fi, v)
	var codes []string
	for _, i := range issues {
		if i.Field != f || i.Message == "" {
			t.Errorf("%s of %s: issue %+v", v, f, i)
		}
		if c := i.Code; i.Severity == Problem {
			codes = append(codes, c+"!")
		} else {
			codes = append(codes, c)
		}
	}
	return got, strings.Join(codes, " ")
}

func TestNormalize(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		field  Field
		in     string
		want   string
		issues string
	}{
		{"legalName", ``, ``, ""},
		{"legalName", `null`, `null`, ""},
		{"legalName", ` null `, `null`, ""},
		{"legalName", `" \t "`, `null`, ""},
		{"legalName", `"  Seán\u00a0O'Brien \u0000\u200b&\r\n Sons\tPty  Ltd "`, `"Seán O'Brien & Sons Pty Ltd"`, ""},
		{"legalName", `"Cafe\u0301"`, `"Café"`, ""},
		{"legalName", `42`, `"42"`, ""},
		{"legalName", `{"a":1}`, ``, "wrong_shape!"},
		{"legalName", `not json`, ``, "not_json!"},
		{"legalName", `"a" "b"`, ``, "not_json!"},
		{"notes", `" one \r\n\r\n two\r\u2028three\u0007\n"`, `"one\n\n two\n\nthree"`, ""},
		{"kind", `" business "`, `"BUSINESS"`, ""},
		{"lifecycleStage", `"Former customer"`, `"FORMER_CUSTOMER"`, ""},
		{"lifecycleStage", `"evangelist"`, ``, "unknown_value!"},
		{"gstRegistered", `true`, `true`, ""},
		{"gstRegistered", `"Yes"`, `true`, ""},
		{"gstRegistered", `0`, `false`, ""},
		{"gstRegistered", `"maybe"`, ``, "invalid_boolean!"},
		{"email", `" Jo.Citizen@Example.COM.AU "`, `"Jo.Citizen@example.com.au"`, ""},
		{"email", `"mailto:jo@example.com"`, `"jo@example.com"`, ""},
		{"email", `"Jo Citizen <jo@example.com>"`, `"jo@example.com"`, "email_with_name"},
		{"email", `"a@example.com; b@example.com"`, ``, "invalid_email!"},
		{"email", `"jo@example"`, ``, "invalid_email!"},
		{"email", `"jo..c@example.com"`, ``, "invalid_email!"},
		{"email", `"jo@exa mple.com"`, ``, "invalid_email!"},
		{"website", `"Example.COM.au/"`, `"https://example.com.au"`, ""},
		{"website", `"HTTP://Example.com:8080/A b?q=1#x"`, `"http://example.com:8080/A%20b?q=1#x"`, ""},
		{"website", `"//münchen.example/"`, `"https://münchen.example"`, ""},
		{"website", `"example"`, ``, "invalid_url!"},
		{"website", `"ftp://example.com"`, ``, "invalid_url!"},
		{"website", `"info@example.com"`, ``, "invalid_url!"},
		{"abn", `"ABN 51 824-753.556"`, `"51824753556"`, ""},
		{"abn", `51824753556`, `"51824753556"`, ""},
		{"abn", `"５１ 824 753 556"`, `"51824753556"`, ""},
		{"abn", `" - "`, `null`, ""},
		{"abn", `"N/A"`, ``, "invalid_abn!"},
		{"abn", `"51 824 753 557"`, ``, "invalid_abn!"},
		{"acn", `"004 085 616"`, `"004085616"`, ""},
		{"acn", `"123 456 789"`, ``, "invalid_acn!"},
		{"tags", `["vip"," vip ","",null,"Ärzte","1"]`, `["1","vip","Ärzte"]`, ""},
		{"tags", `"b; a,c ;b"`, `["a,c","b"]`, ""},
		{"tags", `"b, a"`, `["a","b"]`, ""},
		{"tags", `[]`, `null`, ""},
		{"tags", `[["a"]]`, ``, "wrong_shape!"},
		{"creditLimit", `{"amount":"5000","currency":"aud"}`, `{"amount":"5000.00","currency":"AUD"}`, ""},
		{"creditLimit", `{"amount":0.3333,"currency":"AUD"}`, `{"amount":"0.3333","currency":"AUD"}`, ""},
		{"creditLimit", `"$1,250.5 AUD"`, `{"amount":"1250.50","currency":"AUD"}`, ""},
		{"creditLimit", `"-1,250,000 aud"`, `{"amount":"-1250000.00","currency":"AUD"}`, ""},
		{"creditLimit", `"12,50 AUD"`, ``, "invalid_money!"},
		{"creditLimit", `5000`, ``, "unknown_currency!"},
		{"creditLimit", `{"amount":"lots","currency":"AUD"}`, ``, "invalid_money!"},
		{"creditLimit", `{"amount":1e999999999,"currency":"AUD"}`, ``, "invalid_money!"},
		{"creditLimit", `{"amount":[1],"currency":"AUD"}`, ``, "wrong_shape wrong_shape!"},
		{"creditLimit", `{"amount":null,"currency":""}`, `null`, ""},
		{"currency", `" aud"`, `"AUD"`, ""},
		{"currency", `"dollars"`, ``, "unknown_currency!"},
		{"paymentTerms", `{"basis":"days after invoice","days":"30"}`, `{"basis":"DAYS_AFTER_INVOICE","days":30}`, ""},
		{"paymentTerms", `{"basis":"DAY_OF_FOLLOWING_MONTH","days":0}`, ``, "invalid_payment_terms!"},
		{"paymentTerms", `{"basis":"WHENEVER","days":1}`, ``, "invalid_payment_terms!"},
		{"paymentTerms", `{"basis":"DAYS_AFTER_INVOICE"}`, ``, "invalid_payment_terms!"},
		{"paymentTerms", `{}`, `null`, ""},
		{"paymentTerms", `"30 days"`, ``, "wrong_shape!"},
		{"customFields", `{" a ":" 1 ","b":2,"c":{"d":[]},"e":null,"f":"","g":true}`, `{"a":"1","b":"2","c":"{\"d\":[]}","g":"true"}`, ""},
		{"customFields", `{"a":"1"," a":"2","":"3"}`, `{"a":"2"}`, "unnamed_custom_field duplicate_custom_field"},
		{"customFields", `[1]`, ``, "wrong_shape!"},
		{"contacts", `[{"firstName":" Jo ","email":"JO@Example.com","phone":"0491 570 006"},{"lastName":""},{"firstName":"Al"}]`,
			`[{"email":"JO@example.com","firstName":"Jo","phone":"+61491570006"},{"firstName":"Al"}]`, ""},
		{"contacts", `{"firstName":"Jo","email":"jo at example","fax":"1"}`, `[{"firstName":"Jo"}]`, "unknown_member invalid_email"},
		{"contacts", `[{"firstName":{"x":1},"lastName":"C"}]`, `[{"lastName":"C"}]`, "wrong_shape"},
		{"contacts", `"Jo"`, ``, "wrong_shape!"},
		{"phone", `"(02) 5550 1234"`, `"+61255501234"`, ""},
		{"phone", `"5550 1234"`, `"5550 1234"`, "phone_unrecognised"},
		{"phone", `["1"]`, ``, "wrong_shape!"},
	} {
		got, codes := normalized(t, c.field, Value(c.in))
		if string(got) != c.want || codes != c.issues {
			t.Errorf("%s %s:\n got %s [%s]\nwant %s [%s]", c.field, c.in, got, codes, c.want, c.issues)
		}
	}
}

// A password in a pasted web address must not reach an issue, which people see and logs may count.
func TestNormalizeHidesPassword(t *testing.T) {
	t.Parallel()
	_, issues := Normalize(FieldInfo{Name: "website", Type: TypeURL}, `"https://jo:hunter2@example.com/"`)
	if len(issues) != 1 || strings.Contains(issues[0].Value+issues[0].Message, "hunter2") {
		t.Errorf("got %+v", issues)
	}
}

// What Normalize makes must be what the typed customer writes, or golden and observed values would never be equal.
func TestNormalizedSurvivesCustomer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ki, _ := KindCustomer.Info()
		v := Values{}
		for _, fi := range ki.Fields {
			v[fi.Name] = Null
			if n, _ := Normalize(fi, drawValue(t, fi)); n != "" {
				v[fi.Name] = n
			}
		}
		c, err := CustomerOf(v)
		if err != nil {
			t.Fatalf("%v: %v", v, err)
		}
		back := c.Values()
		for f, want := range v {
			if back[f] != want {
				t.Fatalf("%s: %s came back as %s", f, want, back[f])
			}
		}
	})
}

func TestNormalizeIsIdempotent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ki, _ := KindCustomer.Info()
		fi := rapid.SampledFrom(ki.Fields).Draw(t, "field")
		checkNormalize(t, fi, drawValue(t, fi))
	})
}

// nul is the character U+0000 in JSON, and not a backslash with u0000 behind it, which is text about it.
var nul = regexp.MustCompile(`(^|[^\\])(\\\\)*\\u0000`)

// checkNormalize checks what holds for every input: canonical JSON out, a second round changes nothing and finds no
// problem, and nothing that carries a letter or digit vanishes without an issue.
func checkNormalize(t interface {
	Helper()
	Fatalf(string, ...any)
}, fi FieldInfo, v Value) {
	t.Helper()
	got, issues := Normalize(fi, v)
	problem := slices.ContainsFunc(issues, func(i Issue) bool { return i.Severity == Problem })
	if (got == "" && v != "") != problem {
		t.Fatalf("%s %q: value %q with issues %+v", fi.Name, v, got, issues)
	}
	if got != "" {
		if c, err := Canonical([]byte(got)); err != nil || c != got {
			t.Fatalf("%s %q: %q is not canonical: %q, %v", fi.Name, v, got, c, err)
		}
		if nul.MatchString(string(got)) {
			t.Fatalf("%s %q: %q holds a character that Postgres cannot store", fi.Name, v, got)
		}
	}
	again, issues2 := Normalize(fi, got)
	if again != got || slices.ContainsFunc(issues2, func(i Issue) bool { return i.Severity == Problem }) {
		t.Fatalf("%s %q: %q became %q with %+v", fi.Name, v, got, again, issues2)
	}
	if got.Empty() && len(issues) == 0 {
		var s string
		if json.Unmarshal([]byte(v), &s) == nil && alphanumeric(visibleText(s)) != "" {
			t.Fatalf("%s %q vanished", fi.Name, v)
		}
	}
}

func visibleText(s string) string { return strings.Map(visible, s) }

// drawValue draws a value that has the field's shape more often than not.
func drawValue(t *rapid.T, fi FieldInfo) Value {
	if rapid.IntRange(0, 9).Draw(t, "raw") == 0 {
		return Value(rapid.String().Draw(t, "bytes"))
	}
	word := rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"", " ", "NSW", "new south wales", "WA", "nt", "800", "0872", "2000", "98101", "Australia", "nz",
			"Oz", "51 824 753 556", "004085616", "10 000 000 000", "0491 570 006", "+61 (0)2 5550 1234", "1300 555 010", "02 5550 1234 x5",
			"a@B.com", "Jo <jo@Example.com>", "x@İ.com", "HTTP://EXAMPLE.com/%zz", "example.com/ü?a b#c", "http://[::1]/", "//a.b//c/..",
			"true", "No", "aud", "1,000.50", "$5 AUD", "1e5", "-0", "DAYS_AFTER_INVOICE", "day of current month", "30", "Customer", "business",
			"a;b;a", "a\r\nb\n\n\nc\rd\ne\u2028f", "e\u0301", "\u0000", "\u1100\u1161", "\u00a0x\u200b"}))
	text := rapid.Custom(func(t *rapid.T) any {
		switch rapid.IntRange(0, 7).Draw(t, "scalar") {
		case 0:
			return nil
		case 1:
			return rapid.Float64Range(-1e9, 1e9).Draw(t, "number")
		case 2:
			return []any{word.Draw(t, "w"), rapid.Int().Draw(t, "n")}
		default:
			return word.Draw(t, "word")
		}
	})
	object := func(names ...string) any {
		m := map[string]any{}
		for _, n := range append(names, "extra") {
			if n != "extra" || rapid.Bool().Draw(t, "more") {
				m[n] = text.Draw(t, n)
			}
		}
		return m
	}
	var x any
	switch fi.Type {
	case TypeAddress:
		x = object("lines", "suburb", "state", "postcode", "country")
	case TypeContacts:
		x = []any{object("firstName", "lastName", "email", "phone", "role"), object("email", "phone")}
	case TypeMoney:
		x = object("amount", "currency")
	case TypePaymentTerms:
		x = object("basis", "days")
	case TypeCustomFields:
		x = object(word.Draw(t, "k1"), word.Draw(t, "k2"))
	case TypeTags:
		x = []any{word.Draw(t, "t1"), word.Draw(t, "t2"), word.Draw(t, "t3")}
	}
	if x == nil || rapid.IntRange(0, 4).Draw(t, "other") == 0 {
		x = text.Draw(t, "text")
	}
	return ValueOf(x)
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{``, `null`, `"x"`, `{"amount":1e99,"currency":"AUD"}`, `[[]]`, `{"lines":["a"],"state":"nt","postcode":800}`,
		`"http://a.b/%2f?%"`, `"+61 (0)2 5550 1234"`, `{"":1}`, "\"\xff\"", `"\ud800"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ki, _ := KindCustomer.Info()
		for _, fi := range ki.Fields {
			checkNormalize(t, fi, Value(s))
		}
	})
}
