package domain

import (
	"strings"
	"unicode"
)

// PhoneNumber is a telephone number in parts, digits only.
type PhoneNumber struct {
	Country string // calling code: "61"; "" for 13, 1300 and 1800 numbers, which cannot be dialled from abroad
	Area    string // Australian area code without the trunk 0: "2"; "" for mobiles, 13 numbers and foreign numbers
	Number  string // the rest: "55501234", "491570006", "1300555010"
}

// String returns the canonical form: E.164 ("+61255501234"), or the digits of a 13, 1300 or 1800 number.
func (p PhoneNumber) String() string {
	if p.Country == "" {
		return p.Area + p.Number
	}
	return "+" + p.Country + p.Area + p.Number
}

// ParsePhone reads an Australian number in any usual spelling, or a foreign one that starts with + (or 00, or 0011), and
// reports whether it is complete. A local number without its area code, an extension, or two numbers in one field are
// not: nothing is guessed. The one repair is a mobile that lost its leading zero to a spreadsheet (9 digits from 4).
// Source: ACMA Telecommunications Numbering Plan 2015; ITU-T E.164 for calling codes.
func ParsePhone(s string) (PhoneNumber, bool) {
	d, ok := phoneDigits(s)
	if !ok {
		return PhoneNumber{}, false
	}
	switch {
	case d[0] == '+':
		return international(d[1:])
	case strings.HasPrefix(d, "0011"):
		return international(d[4:])
	case strings.HasPrefix(d, "00"):
		return international(d[2:])
	case len(d) == 11 && strings.HasPrefix(d, "61"):
		return australian(d[2:])
	case len(d) == 10 && d[0] == '0':
		return australian(d[1:])
	case len(d) == 9 && d[0] == '4':
		return australian(d)
	case serviceNumber(d):
		return PhoneNumber{Number: d}, true
	}
	return PhoneNumber{}, false
}

// phoneDigits drops what people write between digits and returns digits, with a leading + if there was one. The "(0)" of
// "+61 (0)2" is not dialled.
func phoneDigits(s string) (string, bool) {
	s = cleanText(s)
	if len(s) >= 4 && strings.EqualFold(s[:4], "tel:") {
		s = s[4:]
	}
	if strings.Contains(s, "+") {
		s = strings.Replace(s, "(0)", "", 1)
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9', r == '+' && b.Len() == 0:
			b.WriteRune(r)
		case r == ' ', r == '.', r == '(', r == ')', unicode.Is(unicode.Pd, r):
		default:
			return "", false
		}
	}
	d := b.String()
	return d, len(d) >= 6
}

// international reads the digits after the +.
func international(d string) (PhoneNumber, bool) {
	cc := callingCode(d)
	if cc == "" || len(d) < 7 || len(d) > 15 {
		return PhoneNumber{}, false
	}
	rest := d[len(cc):]
	switch cc {
	case "61":
		if len(rest) == 10 && rest[0] == '0' {
			rest = rest[1:]
		}
		if serviceNumber(rest) {
			return PhoneNumber{Number: rest}, true
		}
		return australian(rest)
	case "1":
		if len(rest) != 10 {
			return PhoneNumber{}, false
		}
	}
	return PhoneNumber{Country: cc, Number: rest}, len(rest) >= 4
}

// australian reads the nine digits of a geographic or mobile number without the trunk 0.
func australian(d string) (PhoneNumber, bool) {
	if len(d) != 9 {
		return PhoneNumber{}, false
	}
	switch d[0] {
	case '2', '3', '7', '8':
		return PhoneNumber{Country: "61", Area: d[:1], Number: d[1:]}, true
	case '4', '5':
		return PhoneNumber{Country: "61", Number: d}, true
	}
	return PhoneNumber{}, false
}

// serviceNumber reports whether d is a 13, 1300 or 1800 number.
func serviceNumber(d string) bool {
	return len(d) == 6 && strings.HasPrefix(d, "13") && d[2] != '0' ||
		len(d) == 10 && (strings.HasPrefix(d, "1300") || strings.HasPrefix(d, "1800"))
}

// callingCode returns the ITU calling code that d starts with, "" if none: 1 and 7 stand alone, the pairs below have two
// digits, all others three.
func callingCode(d string) string {
	const pairs = "20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65 66 " +
		"81 82 84 86 90 91 92 93 94 95 98 "
	switch {
	case d == "" || d[0] == '0':
		return ""
	case d[0] == '1' || d[0] == '7':
		return d[:1]
	case len(d) > 2 && strings.Contains(pairs, d[:2]+" "):
		return d[:2]
	case len(d) > 3:
		return d[:3]
	}
	return ""
}

// ComposePhone puts the parts that some systems keep apart back together and returns the canonical form, or, if they do
// not make a number, the parts as they stand with spaces between. Country may be spelled "61", "+61" or "0011 61" and
// area "02" or "2"; without a country an area makes the number Australian.
func ComposePhone(country, area, number string) string {
	country, area, number = cleanText(country), cleanText(area), cleanText(number)
	plain := strings.Join(strings.Fields(country+" "+area+" "+number), " ")
	tries := []string{plain}
	if strings.HasPrefix(number, "+") {
		tries = []string{number}
	} else if country != "" {
		cc := strings.TrimLeft(strings.TrimPrefix(alphanumeric(country), "0011"), "0")
		if cc == "61" {
			area = strings.TrimPrefix(area, "0")
		}
		plain = "+" + strings.TrimLeft(plain, "+0")
		tries = nil
		// A foreign trunk 0 is dropped in most countries and dialled in some: which, is not for us to guess.
		if cc == "61" || !strings.HasPrefix(area, "0") {
			tries = []string{"+" + cc + area + number}
		}
	} else if area != "" {
		tries = append(tries, "0"+plain)
	}
	for _, t := range tries {
		if p, ok := ParsePhone(t); ok {
			return p.String()
		}
	}
	return plain
}

func (n *normalizer) phone() Value {
	s, ok := n.scalar()
	if !ok {
		return ""
	}
	return TextValue(n.phoneText(s))
}

// phoneText returns the canonical form of s, or s itself with a warning.
func (n *normalizer) phoneText(s string) string {
	if s == "" {
		return ""
	}
	if p, ok := ParsePhone(s); ok {
		return p.String()
	}
	n.warn("phone_unrecognised", s, "%s: %q is not a complete telephone number; it is kept as it is written", n.field, s)
	return s
}
