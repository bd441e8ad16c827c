package match

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"datum/domain"
)

// Normalisers bring spellings that say the same into one form for comparing. They are idempotent, accept any bytes and
// return "" for a value that says nothing. None of their results is for showing.

// Text keeps the words: letters and digits, lower case, without accents and marks.
func Text(s string) string {
	words := plainWords(s)
	switch t := strings.Join(words, " "); t {
	case "n a", "null", "none", "nil", "unknown", "na":
		return ""
	default:
		return t
	}
}

// Company is Name without a leading "the" and with what follows "trading as" left to Trading.
func Company(s string) string {
	return settled(s, func(s string) string {
		legal, _ := TradingAs(s)
		name := Name(legal)
		if rest, ok := strings.CutPrefix(name, "the "); ok {
			return rest
		}
		return name
	})
}

// settled repeats f until it changes nothing, so that it is idempotent whatever comes in.
func settled(s string, f func(string) string) string {
	for {
		t := f(s)
		if t == s {
			return t
		}
		s = t
	}
}

// TradingAs takes "J Smith Pty Ltd t/a Smith's Plumbing" apart; trading is "" if there is no such part. A trustee is named
// by its trust's name only where nothing else is left: "X Pty Ltd ATF Y Trust" is X.
func TradingAs(s string) (legal, trading string) {
	low := strings.ToLower(s)
	if len(low) != len(s) {
		return s, "" // lower case moves the places
	}
	for _, sep := range []string{" trading as ", " t/as ", " t/a ", " t.a. "} {
		if i := strings.Index(low, sep); i > 0 {
			return strings.TrimSpace(s[:i]), strings.TrimSpace(s[i+len(sep):])
		}
	}
	for _, sep := range []string{" as trustee for ", " atf "} {
		if i := strings.Index(low, sep); i > 0 {
			return strings.TrimSpace(s[:i]), ""
		}
	}
	return s, ""
}

// Phone is the canonical form of domain.ParsePhone, else the digits. A local number stays without its area code.
func Phone(s string) string {
	return settled(s, func(s string) string {
		if p, ok := domain.ParsePhone(s); ok {
			return p.String()
		}
		return strings.Map(func(r rune) rune {
			if r < '0' || r > '9' {
				return -1
			}
			return r
		}, norm.NFKC.String(s))
	})
}

// Email is the address in lower case without a tag (jo+shop@) and, at Google, without dots, which its post office ignores.
func Email(s string) string { return settled(s, email) }

func email(s string) string {
	s = strings.ToLower(strings.Join(strings.Fields(s), ""))
	s = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(s, "mailto:"), "<"), ">")
	local, host, ok := strings.Cut(s, "@")
	if !ok {
		return s
	}
	if tag := strings.IndexByte(local, '+'); tag > 0 {
		local = local[:tag]
	}
	if host == "googlemail.com" {
		host = "gmail.com"
	}
	if bare := strings.ReplaceAll(local, ".", ""); host == "gmail.com" && bare != "" {
		local = bare
	}
	return local + "@" + host
}

// Identifier is the letters and digits of a number that somebody issued, without leading zeros.
func Identifier(s string) string {
	id := strings.TrimLeft(strings.Join(plainWords(s), ""), "0")
	return Text(id)
}

// Date is yyyymmdd where the text is a date (Australian order: day first), else its letters and digits.
func Date(s string) string {
	t := Text(strings.ReplaceAll(s, ".", " "))
	parts := strings.FieldsFunc(t, func(r rune) bool { return r == ' ' })
	if len(parts) >= 3 {
		if m := monthOf(parts[1]); m != "" { // 3 march 1970
			parts[1] = m
		} else if m := monthOf(parts[0]); m != "" { // march 3 1970
			parts[0], parts[1] = parts[1], m
		}
		if len(parts) > 3 && len(parts[0]) == 4 || len(parts) == 3 {
			y, m, d := parts[0], parts[1], parts[2]
			if len(d) == 4 {
				y, d = d, y
			}
			if d, _, _ = strings.Cut(d, "t"); len(y) == 4 && allDigits(y+m+d) && len(m) <= 2 && len(d) <= 2 {
				return y + pad(m, 2) + pad(d, 2)
			}
		}
	}
	return strings.Join(parts, "")
}

func monthOf(s string) string {
	if len(s) < 3 {
		return ""
	}
	for i, m := range []string{"january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"} {
		if strings.HasPrefix(m, s) {
			return pad(strconv.Itoa(i+1), 2)
		}
	}
	return ""
}

func pad(s string, n int) string {
	if len(s) >= n {
		return s
	}
	return strings.Repeat("0", n-len(s)) + s
}

// Postcode gives back the zero that a spreadsheet took from 0800.
func Postcode(s string) string {
	p := strings.Join(plainWords(s), "")
	if len(p) == 3 && allDigits(p) && domain.PostcodeStates("0"+p) != nil {
		return "0" + p
	}
	return p
}

// State is the state's code, in lower case.
func State(s string) string { return settled(s, state) }

func state(s string) string {
	if code, ok := domain.StateCode(s); ok {
		return strings.ToLower(code)
	}
	return Text(s)
}

// Suburb spells out nothing and shortens what is shortened by some: mount, saint, north.
func Suburb(s string) string { return shorten(plainWords(s), suburbWords) }

// Street is one line of an address: unit and number in front ("3/12"), street types and usual words shortened. "Unit 3, 12
// Smith Street", "U3/12 Smith St." and "3/12 SMITH ST" are one.
func Street(s string) string { return settled(s, street) }

func street(s string) string {
	words := plainWords(s)
	var out []string
	for i, w := range words {
		numbered := i+1 < len(words) && startsWithDigit(words[i+1])
		switch {
		case numbered && slices.Contains(unitWords, w):
			continue
		case len(w) > 1 && w[0] == 'u' && allDigits(w[1:]):
			w = w[1:]
		case w == "office" && i > 0 && words[i-1] == "post":
			continue
		}
		out = append(out, w)
	}
	if len(out) > 2 && startsWithDigit(out[0]) && startsWithDigit(out[1]) {
		out = append([]string{out[0] + "/" + out[1]}, out[2:]...)
	}
	return shorten(out, streetWords)
}

func shorten(words []string, short map[string]string) string {
	out := make([]string, 0, len(words))
	for _, w := range words {
		if s, ok := short[w]; ok {
			w = s
		}
		if w != "" {
			out = append(out, w)
		}
	}
	if len(out) == 0 {
		return strings.Join(words, " ")
	}
	return strings.Join(out, " ")
}

var unitWords = []string{"unit", "u", "flat", "apartment", "apt", "suite", "ste", "shop", "level", "lvl", "villa", "no"}

var suburbWords = map[string]string{"mount": "mt", "saint": "st", "north": "nth", "south": "sth", "east": "e", "west": "w", "point": "pt",
	"port": "pt", "heights": "hts", "upper": "upr", "lower": "lwr", "fort": "ft", "and": ""}

// streetWords are Australia Post's street types (AS 4590) and what addresses are full of.
var streetWords = map[string]string{"street": "st", "str": "st", "road": "rd", "avenue": "av", "ave": "av", "drive": "dr", "drv": "dr",
	"court": "ct", "crt": "ct", "crescent": "cr", "cres": "cr", "place": "pl", "circuit": "cct", "cir": "cct", "close": "cl", "parade": "pde",
	"highway": "hwy", "terrace": "tce", "lane": "ln", "boulevard": "bvd", "blvd": "bvd", "boulevarde": "bvd", "square": "sq", "way": "wy",
	"parkway": "pwy", "pkwy": "pwy", "grove": "gr", "gardens": "gdns", "garden": "gdns", "esplanade": "esp", "promenade": "prom", "mews": "mws",
	"village": "vlge", "vge": "vlge", "retirement": "retrmnt", "building": "bldg", "centre": "ctr", "center": "ctr", "floor": "fl",
	"mount": "mt", "saint": "st", "north": "nth", "south": "sth", "post": "po", "box": "box", "gpo": "po", "pobox": "po box",
	"allotment": "allot", "station": "stn", "park": "pk", "hills": "hls", "heights": "hts", "house": "hse", "estate": "est", "corner": "cnr"}

// plainWords are the words of a text: letters and digits only, lower case, no accents, no apostrophes.
func plainWords(s string) []string {
	if plainASCII(s) {
		return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9')
		})
	}
	return strings.FieldsFunc(fold(s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.Is(unicode.Mc, r)
	})
}

func plainASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 || s[i] == '\'' || s[i] == '.' || s[i] == '`' || s[i] == '&' || s[i] == '+' {
			return false
		}
	}
	return true
}

func allDigits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func startsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }
