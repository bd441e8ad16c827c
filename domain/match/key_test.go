package match_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/match"
)

func TestName(t *testing.T) {
	t.Parallel()
	for want, spellings := range map[string][]string{
		"obrien and sons": {"O'Brien & Sons Pty Ltd", "OBRIEN AND SONS PTY. LTD.", "O’Brien + Sons P/L", " o'brien  and sons (Pty) Limited",
			"O'Brien & Sons Proprietary Limited"},
		"cafe zoe":       {"Café Zoë", "Cafe\u0301 Zoe\u0308", "CAFE ZOE Inc.", "ＣＡＦＥ　ＺＯＥ"},
		"abc plumbing":   {"A.B.C. Plumbing", "ABC  Plumbing Ltd"},
		"strasse":        {"Straße", "STRASSE GmbH"},
		"sorensen lodz":  {"Sørensen Łódź"},
		"limited":        {"Limited"},
		"pty ltd":        {"P/L"},
		"limited brands": {"Limited Brands"},
		"日本 商事":          {"日本 商事"},
		"":               {"", " ", "—", "'"},
	} {
		for _, s := range spellings {
			if got := match.Name(s); got != want {
				t.Errorf("%q: %q, want %q", s, got, want)
			}
		}
	}
	if match.Name("Smith Plumbing") == match.Name("Smith Plumbers") || match.Name("Smith & Co") == match.Name("Smith") {
		t.Error("different names are one")
	}
}

func TestNameIsIdempotent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`(Pty|Ltd|P/L|[A-Za-zÀ-ž'&. ]{0,9}){0,5}`)).Draw(t, "name")
		once := match.Name(s)
		if twice := match.Name(once); twice != once {
			t.Fatalf("%q: %q, then %q", s, once, twice)
		}
		if up := match.Name(strings.ToUpper(once)); up != match.Name(strings.ToLower(strings.ToUpper(once))) {
			t.Fatalf("%q depends on case: %q", once, up)
		}
	})
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   domain.Values
		want []match.Key
	}{
		{"nothing", domain.Values{}, nil},
		{"e-mail alone", domain.Values{"email": `"a@example.com"`, "legalName": domain.Null}, nil},
		{"name alone", domain.Values{"legalName": `"Acme"`}, nil},
		{"name of marks only", domain.Values{"legalName": `"--"`, "email": `"a@example.com"`}, nil},
		{"ABN", domain.Values{"abn": `"51824753556"`}, []match.Key{"abn:51824753556"}},
		{"invalid ABN is no key", domain.Values{"abn": `"51824753557"`}, nil},
		{"both names", domain.Values{"legalName": `"Jo Smith Pty Ltd"`, "tradingName": `"Jo's Café"`, "email": `"Jo@example.com"`},
			[]match.Key{"email+name:jo@example.com jo smith", "email+name:jo@example.com jos cafe"}},
		{"one name twice", domain.Values{"legalName": `"Acme Pty Ltd"`, "tradingName": `"ACME"`, "email": `"a@example.com"`, "abn": `"53004085616"`},
			[]match.Key{"abn:53004085616", "email+name:a@example.com acme"}},
	} {
		if got := match.Keys(domain.KindCustomer, c.in); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := match.Keys("Spaceship", domain.Values{"abn": `"51824753556"`}); got != nil {
		t.Errorf("a kind without keys has %q", got)
	}
}

func ExampleKeys() {
	crm := domain.Values{"tradingName": `"O'Brien & Sons"`, "email": `"accounts@obrien.example"`}
	xero := domain.Values{"legalName": `"OBRIEN AND SONS PTY LTD"`, "email": `"Accounts@obrien.example"`}
	fmt.Println(match.Keys(domain.KindCustomer, crm)[0] == match.Keys(domain.KindCustomer, xero)[0])
	// Output: true
}
