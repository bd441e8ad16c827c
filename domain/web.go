package domain

import (
	"net/url"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// ParseEmail returns a single e-mail address with its domain in lower case, and whether s is one. A display name
// ("Jo <jo@example.com>") is not: the caller decides where the name belongs.
// Source: RFC 5321 section 4.5.3.1 for lengths, RFC 5322 dot-atoms, RFC 6531 for letters outside ASCII. Quoted local parts
// are refused: no system we speak to takes them.
func ParseEmail(s string) (string, bool) {
	s = cleanText(s)
	if len(s) >= 7 && strings.EqualFold(s[:7], "mailto:") {
		s = s[7:]
	}
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at > 64 || len(s) > 254 {
		return "", false
	}
	local, host := s[:at], lowerHost(s[at+1:])
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.ContainsFunc(atom, notAtext) {
			return "", false
		}
	}
	if !hostName(host) {
		return "", false
	}
	s = local + "@" + host
	return s, len(s) <= 254
}

func notAtext(r rune) bool {
	if r > unicode.MaxASCII {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r)
	}
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r))
}

func lowerHost(s string) string { return norm.NFC.String(strings.ToLower(norm.NFC.String(s))) }

// hostName reports whether s is a domain name of two labels or more whose last is not a number.
func hostName(s string) bool {
	labels := strings.Split(s, ".")
	for _, l := range labels {
		bad := strings.ContainsFunc(l, func(r rune) bool {
			return r != '-' && !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
		})
		if bad || l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
	}
	return len(labels) > 1 && len(s) <= 253 && !digitsOnly(labels[len(labels)-1])
}

func (n *normalizer) email() Value {
	s, ok := n.scalar()
	if !ok {
		return ""
	}
	if s == "" {
		return Null
	}
	if e, ok := ParseEmail(s); ok {
		return TextValue(e)
	}
	// "Jo Citizen <jo@example.com>": the address can be used, the name is reported.
	if i := strings.LastIndexByte(s, '<'); i >= 0 && strings.HasSuffix(s, ">") {
		if e, ok := ParseEmail(s[i+1 : len(s)-1]); ok {
			n.warn("email_with_name", s, "%s holds a name as well as an address; the address was used", n.field)
			return TextValue(e)
		}
	}
	return n.problem("invalid_email", s, "%s should be one e-mail address and is %q", n.field, s)
}

// ParseURL returns a web address with scheme (https if none is given) and host in lower case, without a lone final slash,
// and whether s is one. Addresses with a user name or password are refused.
func ParseURL(s string) (string, bool) {
	r, ok := parseURL(s)
	if !ok {
		return "", false
	}
	// net/url does not promise that its spelling is stable; an address that will not settle is refused.
	again, ok := parseURL(r)
	return r, ok && again == r
}

func parseURL(s string) (string, bool) {
	s = cleanText(s)
	if !strings.Contains(s, "://") {
		s = "https://" + strings.TrimPrefix(s, "//")
	}
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Opaque != "" || strings.ContainsRune(u.Host, '%') {
		return "", false
	}
	host := lowerHost(u.Hostname())
	if u.Scheme != "http" && u.Scheme != "https" || !hostName(host) {
		return "", false
	}
	// Not u.String: it would escape letters outside ASCII in the host.
	s = u.Scheme + "://" + host
	if p := u.Port(); p != "" {
		s += ":" + p
	}
	if u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		s += u.EscapedPath()
	}
	if u.RawQuery != "" {
		s += "?" + u.RawQuery
	}
	if u.Fragment != "" {
		s += "#" + u.EscapedFragment()
	}
	return s, true
}

func (n *normalizer) url() Value {
	s, ok := n.scalar()
	if !ok {
		return ""
	}
	if s == "" {
		return Null
	}
	if u, ok := ParseURL(s); ok {
		return TextValue(u)
	}
	if u, err := url.Parse(s); err == nil && u.User != nil {
		s = u.Redacted() // a password pasted with the address is a secret
	}
	return n.problem("invalid_url", s, "%s should be a web address such as https://example.com.au and is not", n.field)
}
