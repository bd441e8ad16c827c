package domain

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseABN(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"51 824 753 556", "53 004 085 616", "74 172 177 893", "49 093 669 660", "47 555 222 000",
		"91 888 222 000", "83 914 571 673", "25 010 499 966"} {
		d, ok := ParseABN(s)
		if !ok || FormatABN(d) != s {
			t.Errorf("%s: %s, %v", s, FormatABN(d), ok)
		}
	}
	for _, s := range []string{"", "51 824 753 557", "51 824 753 565", "12 345 678 901", "11 111 111 111", "00 000 000 000",
		"10 000 000 000", "5182475355", "518247535560", "5182475355x"} {
		if d, ok := ParseABN(s); ok {
			t.Errorf("%s was taken for %s", s, d)
		}
	}
}

func TestParseACN(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"004 085 616", "000 000 019", "000 250 000", "005 999 977", "010 499 966"} {
		d, ok := ParseACN(s)
		if !ok || FormatACN(d) != s {
			t.Errorf("%s: %s, %v", s, FormatACN(d), ok)
		}
	}
	for _, s := range []string{"", "123 456 789", "004 085 617", "000 000 000", "04 085 616"} {
		if d, ok := ParseACN(s); ok {
			t.Errorf("%s was taken for %s", s, d)
		}
	}
}

// A check sum is there to catch one wrong digit: it must catch every one.
func TestWrongDigitIsNoticed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := []byte(rapid.SampledFrom([]string{"51824753556", "53004085616", "83914571673"}).Draw(t, "abn"))
		i := rapid.IntRange(0, 10).Draw(t, "at")
		was := d[i]
		if d[i] = byte('0' + rapid.IntRange(0, 9).Draw(t, "digit")); d[i] == was {
			return
		}
		if _, ok := ParseABN(string(d)); ok {
			t.Fatalf("%s passes", d)
		}
	})
}

func TestWrongSortOfNumberIsNamed(t *testing.T) {
	t.Parallel()
	_, issues := Normalize(FieldInfo{Name: "abn", Type: TypeABN}, `"004 085 616"`)
	if len(issues) != 1 || !strings.Contains(issues[0].Message, "valid ACN") || issues[0].Value != "004 085 616" {
		t.Errorf("got %+v", issues)
	}
}

func TestParsePhone(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"(02) 5550 1234": "+61255501234", "02-5550-1234": "+61255501234", "+61 (0)2 5550 1234": "+61255501234",
		"+61 02 5550 1234": "+61255501234", "0061 2 5550 1234": "+61255501234", "0011 61 2 5550 1234": "+61255501234",
		"61 2 5550 1234": "+61255501234", "0491 570 006": "+61491570006", "491570006": "+61491570006", "tel:+61491570006": "+61491570006",
		"0491\u00a0570‑006": "+61491570006", "1300 555 010": "1300555010", "1800 160 401": "1800160401", "13 12 34": "131234",
		"+61 1300 555 010": "1300555010", "+64 9 555 0123": "+6495550123", "0011 64 9 555 0123": "+6495550123",
		"+1 (202) 555-0123": "+12025550123", "+44 (0)20 7946 0958": "+442079460958", "07 7010 1234": "+61770101234",
	} {
		if p, ok := ParsePhone(in); !ok || p.String() != want {
			t.Errorf("%s: %q, %v; want %s", in, p.String(), ok, want)
		}
	}
	for _, in := range []string{"", "5550 1234", "255501234", "02 5550 1234 x5", "02 5550 1234 / 0491 570 006", "1300 FLOWERS", "+1300 555 010",
		"0912 345 678", "+61 9 5550 1234", "+0 123 4567", "+44", "+1234567890123456", "n/a", "1900 123 456", "000", "2+2", "+６１491570006"} {
		if p, ok := ParsePhone(in); ok {
			t.Errorf("%q was taken for %s", in, p)
		}
	}
}

func TestComposePhone(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ country, area, number, want string }{
		{"61", "02", "5550 1234", "+61255501234"}, {"+61", "2", "55501234", "+61255501234"}, {"0011 61", "2", "55501234", "+61255501234"},
		{"", "02", "5550 1234", "+61255501234"}, {"", "2", "5550 1234", "+61255501234"}, {"", "0491", "570 006", "+61491570006"},
		{"61", "", "0491 570 006", "+61491570006"}, {"61", "", "491 570 006", "+61491570006"}, {"", "1300", "555 010", "1300555010"},
		{"61", "", "+61 2 5550 1234", "+61255501234"}, {"64", "9", "555 0123", "+6495550123"}, {"64", "09", "555 0123", "+64 09 555 0123"},
		{"1", "", "300 555 010", "+1 300 555 010"}, {"", "", "ask reception", "ask reception"}, {"", "", "", ""},
	} {
		if got := ComposePhone(c.country, c.area, c.number); got != c.want {
			t.Errorf("%q %q %q: %q, want %q", c.country, c.area, c.number, got, c.want)
		}
	}
}

// Systems that keep a number in parts must give back the number they were given.
func TestPhonePartsRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(
			rapid.StringMatching(`0[23478][0-9]{8}`), rapid.StringMatching(`1[38]00[0-9]{6}`), rapid.StringMatching(`13[1-9][0-9]{3}`),
			rapid.StringMatching(`\+[1-9][0-9]{7,14}`)).Draw(t, "number")
		p, ok := ParsePhone(s)
		if !ok {
			return
		}
		if back := ComposePhone(p.Country, p.Area, p.Number); back != p.String() {
			t.Fatalf("%s: %+v came back as %s", s, p, back)
		}
		if again, ok := ParsePhone(p.String()); !ok || again != p {
			t.Fatalf("%s: %+v is read as %+v", s, p, again)
		}
	})
}

func TestCountry(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"au": "AU", "AUSTRALIA": "AU", " Aust. ": "AU", "U.K.": "GB", "The Netherlands": "NL", "Côte d’Ivoire": "CI", "Türkiye": "TR",
		"Guinea-Bissau": "GW", "Trinidad & Tobago": "TT", "Réunion": "RE", "U.S.A.": "US", "New Zealand": "NZ",
	} {
		if got, ok := CountryCode(in); !ok || got != want {
			t.Errorf("%q: %q, %v; want %s", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "ZZ", "Oz", "Atlantis", "123"} {
		if got, ok := CountryCode(in); ok {
			t.Errorf("%q was taken for %s", in, got)
		}
	}
	if len(countryNames) != 249 {
		t.Errorf("%d countries, ISO 3166-1 has 249", len(countryNames))
	}
	for code, name := range countryNames {
		if got, ok := CountryCode(name); !ok || got != code {
			t.Errorf("%s (%s) is read as %q", name, code, got)
		}
		if strings.ContainsFunc(name, func(r rune) bool { return r != ' ' && (r < 'A' || r > 'z') }) {
			t.Errorf("%s has more than letters and spaces", name)
		}
	}
	for alias, code := range countryAliases {
		if foldCountry(alias) != alias || countryNames[code] == "" {
			t.Errorf("alias %q of %q cannot be found", alias, code)
		}
	}
	if CountryName("AU") != "Australia" || CountryName("Oz") != "Oz" {
		t.Error("CountryName")
	}
}

func TestNormalizeAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, want, issues string }{
		{`{"lines":["Unit 3\r\n12 Smith  St",""],"suburb":"Sydney ","state":"New South Wales","postcode":"2000"}`,
			`{"country":"AU","lines":["Unit 3","12 Smith St"],"postcode":"2000","state":"NSW","suburb":"Sydney"}`, ""},
		{`{"lines":"1 Mitchell St","suburb":"Darwin","state":"N.T.","postcode":800}`,
			`{"country":"AU","lines":["1 Mitchell St"],"postcode":"0800","state":"NT","suburb":"Darwin"}`, ""},
		{`{"state":"act","postcode":"200"}`, `{"country":"AU","postcode":"0200","state":"ACT"}`, ""},
		{`{"state":"NSW","postcode":"800"}`, `{"postcode":"800","state":"NSW"}`, ""},
		{`{"state":"NSW","postcode":"800","country":"au"}`, `{"country":"AU","postcode":"800","state":"NSW"}`, "unknown_postcode"},
		{`{"postcode":"3 0 0 0"}`, `{"country":"AU","postcode":"3000"}`, ""},
		{`{"state":"AU-VIC"}`, `{"country":"AU","state":"VIC"}`, ""},
		{`{"state":"VIC","postcode":"2000"}`, `{"country":"AU","postcode":"2000","state":"VIC"}`, "postcode_state_mismatch"},
		{`{"state":"NSW","postcode":"4383"}`, `{"country":"AU","postcode":"4383","state":"NSW"}`, ""},
		{`{"state":"WA","postcode":"0872"}`, `{"country":"AU","postcode":"0872","state":"WA"}`, ""},
		{`{"state":"WA","postcode":"98101"}`, `{"postcode":"98101","state":"WA"}`, ""},
		{`{"state":"wa","postcode":"98101","country":"USA"}`, `{"country":"US","postcode":"98101","state":"wa"}`, ""},
		{`{"state":"Zürich","postcode":"8001"}`, `{"postcode":"8001","state":"Zürich"}`, ""},
		{`{"suburb":"Auckland","postcode":"1010","country":"New Zealand"}`, `{"country":"NZ","postcode":"1010","suburb":"Auckland"}`, ""},
		{`{"state":"Sydney","country":"Australia"}`, `{"country":"AU","state":"Sydney"}`, "unknown_state"},
		{`{"suburb":"X","country":"Oz"}`, `{"country":"Oz","suburb":"X"}`, "unknown_country"},
		{`{"lines":["a","b","c","d","e"]}`, `{"lines":["a","b","c","d, e"]}`, ""},
		{`{"lines":[],"suburb":null,"state":" "}`, `null`, ""},
		{`"1 Smith St\nSydney"`, `{"lines":["1 Smith St","Sydney"]}`, "address_unstructured"},
		{`{"suburb":"X","planet":"Earth"}`, `{"suburb":"X"}`, "unknown_member"},
		{`{"lines":[{}]}`, ``, "wrong_shape!"},
		{`{"lines":{}}`, ``, "wrong_shape!"},
		{`[1]`, ``, "wrong_shape!"},
	} {
		got, codes := normalized(t, "billingAddress", Value(c.in))
		if string(got) != c.want || codes != c.issues {
			t.Errorf("%s:\n got %s [%s]\nwant %s [%s]", c.in, got, codes, c.want, c.issues)
		}
	}
}

func TestPostcodeStates(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"0200": "ACT", "0800": "NT", "1000": "NSW", "2599": "NSW", "2600": "ACT", "2618": "ACT NSW", "2619": "NSW ACT", "2899": "NSW",
		"2900": "ACT", "2920": "ACT", "2921": "NSW", "3000": "VIC", "3996": "VIC", "4000": "QLD", "5999": "SA", "6999": "WA", "7800": "TAS",
		"8000": "VIC", "9999": "QLD", "0872": "NT SA WA", "2620": "NSW ACT", "4383": "QLD NSW",
		"0000": "", "0199": "", "0300": "", "0799": "", "3999": "", "800": "", "20000": "", "abcd": "", "": "",
	} {
		if got := strings.Join(PostcodeStates(in), " "); got != want {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
	if !slices.IsSortedFunc(postcodes, func(a, b struct{ from, to, state string }) int { return strings.Compare(a.to, b.from) }) {
		t.Error("postcode ranges overlap or are out of order")
	}
	// The table of exceptions must stay one list: asking must not change it.
	before := len(borderPostcodes["0872"])
	_ = append(PostcodeStates("0872"), "QLD")
	if len(borderPostcodes["0872"]) != before || len(PostcodeStates("0872")) != 3 {
		t.Error("PostcodeStates shares its table")
	}
}

func TestValidateCustomer(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   Values
		want string
	}{
		{Values{}, ""},
		{Values{"abn": `"53004085616"`, "acn": `"004085616"`, "gstRegistered": "true"}, ""},
		{Values{"abn": `"51824753556"`, "acn": `"004085616"`}, "acn abn_acn_mismatch"},
		{Values{"acn": `"004085616"`, "kind": `"PERSON"`}, "acn person_with_acn"},
		{Values{"gstRegistered": "true", "abn": Null}, "abn gst_without_abn"},
		{Values{"gstRegistered": "false"}, ""},
		{Values{"shippingAddress": `{"country":"AU","postcode":"2000","state":"VIC"}`}, "shippingAddress postcode_state_mismatch"},
		{Values{"billingAddress": `"not an object"`}, ""},
	} {
		var got []string
		for _, i := range ValidateCustomer(c.in) {
			if i.Severity != Warning || i.Message == "" {
				t.Errorf("%v", i)
			}
			got = append(got, string(i.Field)+" "+i.Code)
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%v: %q, want %q", c.in, got, c.want)
		}
	}
}
