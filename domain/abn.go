package domain

import "strings"

// ParseABN reads an Australian Business Number in any usual spelling and returns its 11 digits. It reports false unless the
// check digits fit and the number is one that can be issued: never 0 first, never all zeros after the check digits
// (10 000 000 000 passes the sum). A valid number need not be registered.
// Source: Australian Business Register, "Format of the ABN": weights 10, 1, 3 … 19, modulus 89.
func ParseABN(s string) (string, bool) {
	d := strings.TrimPrefix(alphanumeric(s), "ABN")
	if len(d) != 11 || !digitsOnly(d) || d[0] == '0' || d[2:] == "000000000" {
		return "", false
	}
	sum := 10 * (int(d[0]-'0') - 1)
	for i := 1; i < 11; i++ {
		sum += (2*i - 1) * int(d[i]-'0')
	}
	return d, sum%89 == 0
}

// FormatABN shows 11 digits as "51 824 753 556"; anything else is returned as it is.
func FormatABN(d string) string {
	if len(d) != 11 || !digitsOnly(d) {
		return d
	}
	return d[:2] + " " + d[2:5] + " " + d[5:8] + " " + d[8:]
}

// ParseACN reads an Australian Company Number in any usual spelling and returns its 9 digits. It reports false unless the
// check digit fits and the number is not all zeros.
// Source: ASIC, "Australian Company Number digit check": weights 8 … 1, complement to 10.
func ParseACN(s string) (string, bool) {
	d := strings.TrimPrefix(alphanumeric(s), "ACN")
	if len(d) != 9 || !digitsOnly(d) || d == "000000000" {
		return "", false
	}
	sum := 0
	for i := range 8 {
		sum += (8 - i) * int(d[i]-'0')
	}
	return d, (10-sum%10)%10 == int(d[8]-'0')
}

// FormatACN shows 9 digits as "004 085 616"; anything else is returned as it is.
func FormatACN(d string) string {
	if len(d) != 9 || !digitsOnly(d) {
		return d
	}
	return d[:3] + " " + d[3:6] + " " + d[6:]
}

// businessNumber normalises an ABN or ACN. A number of one sort in the other's field is named in the message, because
// that is what people mix up.
func (n *normalizer) businessNumber(parse func(string) (string, bool), code, name, form string) Value {
	s, ok := n.scalar()
	if !ok {
		return ""
	}
	if alphanumeric(s) == "" {
		return Null
	}
	if d, ok := parse(s); ok {
		return TextValue(d)
	}
	hint := ""
	if _, ok := ParseABN(s); ok {
		hint = "; it is a valid ABN"
	} else if _, ok := ParseACN(s); ok {
		hint = "; it is a valid ACN"
	}
	return n.problem(code, s, "%s is not a valid %s (%s)%s", s, name, form, hint)
}
