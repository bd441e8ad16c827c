package change_test

import (
	"strings"
	"testing"

	"datum/domain/change"
)

func TestClass(t *testing.T) {
	t.Parallel()
	for want, messages := range map[string][]string{
		"… already exists": {`"Hartley Plumbing" already exists (CONFLICT)`, `"O'Brien & Sons" already exists (CONFLICT)`},
		"INVALID: Account code … is not a valid code for this document.": {
			"INVALID: Account code '200' is not a valid code for this document.", "INVALID: Account code '4-1100' is not a valid code for this document."},
		"the document cannot be dated before …":      {"the document cannot be dated before 2026-06-30", "the document cannot be dated before 2025-06-30"},
		"tried … times; last: no contact …, try …":   {"tried 20 times; last: no contact ann@example.com.au, try 01m8h2jqsmfvcvbs5gjrgb8f1q", "tried 20 times; last: no contact b.c+d@x.io, try 9f"},
		"it refers to …, which nobody knows":         {"it refers to cus_01m8h2jqsmfvcvbs5gjrgb8f1q, which nobody knows", "it refers to bd2270c3-8706-4c11-9cfb-000b551c3f51, which nobody knows"},
		"crm's owner isn't there, and so isn't ours": {"crm's owner isn't there, and so isn't ours"},
		"": {"", " (INTERNAL)"},
	} {
		for _, m := range messages {
			if got := change.Class(m); got != want {
				t.Errorf("%q is %q, want %q", m, got, want)
			}
		}
	}
}

func FuzzClass(f *testing.F) {
	f.Add(`"a" and 'b' (INVALID)`)
	f.Fuzz(func(t *testing.T, s string) {
		c := change.Class(s)
		if len([]rune(c)) > 200 || strings.ContainsAny(c, "0123456789\n") {
			t.Errorf("%q is %q", s, c)
		}
	})
}
