package domain

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// cleanText makes one tidy line: NFC, every run of white space one space, ends trimmed, nothing invisible.
func cleanText(s string) string {
	s = strings.Join(strings.Fields(strings.Map(visible, s)), " ")
	return strings.TrimSpace(norm.NFC.String(s))
}

// cleanLongText keeps lines: NFC, line ends as LF, no white space at the end of a line, no empty lines at either end,
// nothing invisible but tabs.
func cleanLongText(s string) string {
	lines := splitLines(s)
	for i, l := range lines {
		lines[i] = strings.TrimRightFunc(norm.NFC.String(strings.Map(visible, l)), unicode.IsSpace)
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// splitLines splits at every line end in use: LF, CRLF, CR, and Unicode's NEL, line and paragraph separators.
func splitLines(s string) []string {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n").Replace(s)
	return strings.Split(s, "\n")
}

// visible drops what nobody can see and nobody means: control characters other than white space, zero-width spaces, soft
// hyphens and marks of writing direction. Joiners stay: they change how some scripts read. Postgres cannot store U+0000.
func visible(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return r
	case unicode.IsControl(r), r == '\u00ad', r == '\u200b', r == '\u200e', r == '\u200f', r == '\u2060', r == '\ufeff',
		r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069':
		return -1
	}
	return r
}

// alphanumeric returns only the letters and digits of s, upper case, full-width forms made plain.
func alphanumeric(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToUpper(r)
		}
		return -1
	}, norm.NFKC.String(s))
}

// digitsOnly reports whether s is one or more ASCII digits.
func digitsOnly(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
