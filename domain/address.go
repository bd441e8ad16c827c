package domain

import (
	"slices"
	"strings"
)

// maxAddressLines is what Address allows; further lines are joined to the last one, with commas.
const maxAddressLines = 4

// address takes an object, or text with one line each.
func (n *normalizer) address() Value {
	if s, ok := scalarText(n.x); ok {
		a := Address{Lines: addressLines(s)}
		if len(a.Lines) == 0 {
			return Null
		}
		n.warn("address_unstructured", s, "%s is plain text; its suburb, state and postcode are not known", n.field)
		return ValueOf(a)
	}
	m, ok := n.object(n.x, "lines", "suburb", "state", "postcode", "country")
	if !ok {
		return n.wrongShape("an address")
	}
	a := Address{Suburb: n.member(m, "suburb"), State: n.member(m, "state"), Postcode: n.member(m, "postcode"), Country: n.member(m, "country")}
	if list, ok := m["lines"].([]any); ok {
		var text []string
		for _, l := range list {
			s, ok := scalarText(l)
			if !ok {
				return n.wrongShape("an address")
			}
			text = append(text, s)
		}
		a.Lines = addressLines(strings.Join(text, "\n"))
	} else if s, ok := scalarText(m["lines"]); ok {
		a.Lines = addressLines(s)
	} else {
		return n.wrongShape("an address")
	}
	a.settle()
	n.issues = append(n.issues, a.issues(n.field)...)
	return ValueOf(a)
}

func addressLines(s string) []string {
	var lines []string
	for _, l := range splitLines(s) {
		if l = cleanText(l); l != "" {
			lines = append(lines, l)
		}
	}
	if len(lines) > maxAddressLines {
		lines = append(lines[:maxAddressLines-1], strings.Join(lines[maxAddressLines-1:], ", "))
	}
	return lines
}

// settle puts country, state and postcode into their codes.
func (a *Address) settle() {
	if code, ok := CountryCode(a.Country); ok {
		a.Country = code
	}
	if a.Country != "" && a.Country != "AU" {
		return
	}
	state, known := StateCode(a.State)
	postcode := strings.ReplaceAll(a.Postcode, " ", "")
	if known && len(postcode) == 3 && slices.Contains(PostcodeStates("0"+postcode), state) {
		postcode = "0" + postcode // a spreadsheet took the zero; only the NT and the ACT have one
	}
	if a.Country == "" {
		// An Australian state abroad (WA 98101) or a state of elsewhere says nothing about Australia.
		australian := known && (postcode == "" || PostcodeStates(postcode) != nil) ||
			a.State == "" && PostcodeStates(postcode) != nil
		if !australian {
			return
		}
		a.Country = "AU"
	}
	a.Postcode = postcode
	if known {
		a.State = state
	}
}

// issues are what a person might want to look at in a settled address. All are warnings: the post finds its way, and
// postcodes cross borders.
func (a *Address) issues(f Field) []Issue {
	var is []Issue
	warn := func(code, value, message string) {
		is = append(is, Issue{Field: f, Code: code, Message: string(f) + ": " + message, Value: value, Severity: Warning})
	}
	if a.Country != "" && countryNames[a.Country] == "" {
		warn("unknown_country", a.Country, "the country "+a.Country+" is not known")
	}
	if a.Country != "AU" {
		return is
	}
	_, known := StateCode(a.State)
	if a.State != "" && !known {
		warn("unknown_state", a.State, a.State+" is not an Australian state or territory")
	}
	if a.Postcode == "" {
		return is
	}
	switch states := PostcodeStates(a.Postcode); {
	case states == nil:
		warn("unknown_postcode", a.Postcode, a.Postcode+" is not an Australian postcode")
	case known && !slices.Contains(states, a.State):
		warn("postcode_state_mismatch", a.State+" "+a.Postcode, "postcode "+a.Postcode+" is in "+strings.Join(states, " or ")+", not in "+a.State)
	}
	return is
}

// StateCode returns the usual abbreviation (NSW, VIC, QLD, SA, WA, TAS, ACT, NT) of an Australian state or territory given
// by name, abbreviation or ISO 3166-2 code in any case, and whether s is one.
func StateCode(s string) (string, bool) {
	key := strings.ReplaceAll(foldCountry(s), " ", "")
	if len(key) > 3 && strings.HasPrefix(foldCountry(s), "au ") {
		key = key[2:]
	}
	code, ok := states[key]
	return code, ok
}

var states = map[string]string{
	"nsw": "NSW", "newsouthwales": "NSW", "vic": "VIC", "victoria": "VIC", "qld": "QLD", "queensland": "QLD", "qlnd": "QLD",
	"sa": "SA", "southaustralia": "SA", "wa": "WA", "westernaustralia": "WA", "westaustralia": "WA", "tas": "TAS", "tasmania": "TAS",
	"act": "ACT", "australiancapitalterritory": "ACT", "nt": "NT", "northernterritory": "NT",
}

// postcodes are the ranges that Australia Post gives to each state and territory, street addresses and boxes alike.
var postcodes = []struct {
	from, to, state string
}{
	{"0200", "0299", "ACT"}, {"0800", "0999", "NT"}, {"1000", "2599", "NSW"}, {"2600", "2618", "ACT"}, {"2619", "2899", "NSW"},
	{"2900", "2920", "ACT"}, {"2921", "2999", "NSW"}, {"3000", "3996", "VIC"}, {"4000", "4999", "QLD"}, {"5000", "5999", "SA"},
	{"6000", "6999", "WA"}, {"7000", "7999", "TAS"}, {"8000", "8999", "VIC"}, {"9000", "9999", "QLD"},
}

// borderPostcodes also serve places in another state.
var borderPostcodes = map[string][]string{
	"0872": {"SA", "WA"}, "2406": {"QLD"}, "2540": {"ACT"}, "2611": {"NSW"}, "2618": {"NSW"}, "2619": {"ACT"}, "2620": {"ACT"},
	"3585": {"NSW"}, "3586": {"NSW"}, "3644": {"NSW"}, "3691": {"NSW"}, "3707": {"NSW"},
	"4375": {"NSW"}, "4377": {"NSW"}, "4380": {"NSW"}, "4383": {"NSW"}, "4385": {"NSW"}, "5440": {"NSW"},
}

// PostcodeStates returns the states a postcode of four digits lies in, the main one first, nil if it is none.
func PostcodeStates(postcode string) []string {
	if len(postcode) != 4 || !digitsOnly(postcode) {
		return nil
	}
	for _, r := range postcodes {
		if postcode >= r.from && postcode <= r.to {
			return append([]string{r.state}, borderPostcodes[postcode]...)
		}
	}
	return nil
}
