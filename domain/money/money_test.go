package money

import (
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"1234.5": "1234.50", "0": "0.00", "-0": "0.00", "-0.00": "0.00", "10": "10.00", "1e3": "1000.00", "0.3333": "0.3333",
		"1.5000": "1.50", "-12.345": "-12.345", "999999999999999999.99": "999999999999999999.99", ".5": "0.50",
		"1.000000000000000000000": "1.00",
	} {
		m, err := Parse(in, "AUD")
		if err != nil || m.String() != want+" AUD" {
			t.Errorf("Parse(%q) = %v, %v; want %s AUD", in, m, err, want)
		}
	}
	for _, in := range []string{"", " ", "x", "1,000", "$5", "NaN", "Inf", "0x10", "1e19", "1e999999999", "1e-999999999",
		"1e2147483648", "1234567890123456789", "0.00000000001", "--1", strings.Repeat("0", 100)} {
		if m, err := Parse(in, "AUD"); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", in, m)
		}
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		amount := rapid.StringMatching(`-?[0-9]{1,18}(\.[0-9]{1,10})?`).Draw(t, "amount")
		m, err := Parse(amount, "AUD")
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back Money
		if err := json.Unmarshal(b, &back); err != nil || !back.Equal(m) {
			t.Fatalf("%s came back as %v, %v", b, back, err)
		}
		if again, _ := json.Marshal(back); string(again) != string(b) {
			t.Fatalf("%s was written as %s the second time", b, again)
		}
	})
	var m Money
	if err := json.Unmarshal([]byte(`{"amount":1234567890.1,"currency":"NZD"}`), &m); err != nil || m.String() != "1234567890.10 NZD" {
		t.Errorf("a number was read as %v, %v", m, err)
	}
	for _, bad := range []string{`{"amount":null,"currency":"AUD"}`, `{"amount":"x"}`, `[]`, `{"amount":true}`, `{"currency":"AUD"}`} {
		if err := json.Unmarshal([]byte(bad), &m); err == nil {
			t.Errorf("%s was read as %v", bad, m)
		}
	}
}

func TestKnown(t *testing.T) {
	t.Parallel()
	for _, c := range []string{"AUD", "NZD", "USD", "ZWG", "AED"} {
		if !Known(c) {
			t.Errorf("%s is not known", c)
		}
	}
	for _, c := range []string{"", "aud", "AU", "AUDX", "XXX", "XAU", "D A", "AN ", " AN"} {
		if Known(c) {
			t.Errorf("%q is known", c)
		}
	}
	// Each entry is three letters and a space, sorted: a slip of the pen would make a code unreachable.
	last := ""
	for c := range strings.SplitSeq(strings.TrimSpace(currencies), " ") {
		if len(c) != 3 || c <= last {
			t.Errorf("%q follows %q", c, last)
		}
		last = c
	}
}

func TestParseDecimal(t *testing.T) {
	t.Parallel()
	if q, err := ParseDecimal("-0.333333", UnitDecimals); err != nil || !q.Equal(d("-0.333333")) {
		t.Errorf("6 decimals were read as %v, %v", q, err)
	}
	if q, err := ParseDecimal("0.3333333", UnitDecimals); err == nil || !strings.Contains(err.Error(), "6 decimals") {
		t.Errorf("7 decimals were read as %v, %v", q, err)
	}
}

// FuzzParse: whatever is read is within the limits, is written out at little cost, and is read back as the same.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"1234.50", "-0.005", "1e3", "1e-10", ".5", "1e999999999", "-1e17", "0e18", "١٢", "+1", "1_000", "0x1p-2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, err := Parse(s, "AUD")
		if err != nil {
			if len(err.Error()) > 400 {
				t.Fatalf("the refusal of %q has %d bytes", s, len(err.Error()))
			}
			return
		}
		whole, frac, _ := strings.Cut(strings.TrimPrefix(m.Decimal(), "-"), ".")
		if len(whole) > maxWhole || len(frac) < 2 || len(frac) > maxDecimals {
			t.Fatalf("%q was read as %s", s, m)
		}
		if back, err := Parse(m.Decimal(), "AUD"); err != nil || !back.Equal(m) {
			t.Fatalf("%q was read as %s, and that as %s, %v", s, m, back, err)
		}
	})
}
