package match_test

import (
	"fmt"
	"strings"
	"testing"

	"datum/domain/match"
)

// business is a table of made-up businesses with, in front, the two that the case is about.
func business(t *testing.T, a, b string) match.Table {
	t.Helper()
	var s strings.Builder
	s.WriteString("rec_id,legal,trading,first,last,abn,email,phone,street,suburb,postcode,state\na," + a + "\nb," + b + "\n")
	c := newCorpus(11, 60, 0, 1, 1, 1)
	tab := c.tables()
	for i := range 60 {
		p := c.original(tab)
		fmt.Fprintf(&s, "o%d,%s %s Pty Ltd,%s %s,%s,%s,,%s@%s.example,0%d %d,%s %s,%s,%s,%s\n", i, p[1], tab.street[i][:4], p[1], tab.place[i],
			p[0], p[1], p[0], p[1], 2+i%7, 90000000+i*131, p[2], p[3], p[5], p[6], p[7])
	}
	return read(t, "legal=legalName,trading=tradingName,first=firstName,last=lastName,abn=abn,email=email,phone=phone,street=street,suburb=suburb,postcode=postcode,state=state", s.String(), "")
}

func TestBusinesses(t *testing.T) {
	t.Parallel()
	const sydney = "Harbour Freight Pty Ltd,Harbour Freight,,,51824753556,info@harbourfreight.example,0412345678,9 Quay Street,Pyrmont,2009,NSW"
	for _, c := range []struct {
		name, a, b string
		want       match.Decision
		reason     string
	}{
		{"one business in two spellings",
			"O'Brien & Sons Plumbing Pty Ltd,O'Brien Plumbing,,,51 824 753 556,accounts@obrien.example,(02) 9555 0101,Unit 3 12 Smith Street,Mount Eliza,3930,VIC",
			"OBRIEN AND SONS PLUMBING P/L,OBrien Plumbing,,,51824753556,Accounts@obrien.example,02 9555 0101,3/12 Smith St,Mt Eliza,3930,Victoria", match.Link, "the same"},
		{"without ABN, with slips",
			"Harbour Freight Pty Ltd,Harbour Freight,,,,info@harbourfreight.example,0412 345 678,9 Quay Street,Pyrmont,2009,NSW",
			"Harbor Freight,Harbour Frieght,,,,info@harbourfreight.example,+61 412 345 678,9 Quay St,Pyrmont,2009,NSW", match.Link, ""},
		{"two ABNs", sydney, strings.Replace(sydney, "51824753556", "53004085616", 1), match.New, ""},
		{"an ABN with a slip does not decide", sydney, strings.Replace(sydney, "51824753556", "51824753565", 1), match.Link, ""},
		{"branches", sydney,
			"Harbour Freight Pty Ltd,Harbour Freight,,,51824753556,info@harbourfreight.example,0412345678,77 Port Road,Hindmarsh,5007,SA", match.Ask, "branches"},
		{"a franchise",
			"Kowalski Family Trust,Jim's Mowing,,,,kowalski@mowing.example,0412345678,9 Quay Street,Pyrmont,2009,NSW",
			"Delgado Services Pty Ltd,Jim's Mowing,,,,delgado@mowing.example,0887654321,77 Port Road,Hindmarsh,5007,SA", match.New, ""},
		{"a person and the own company",
			"Jo Bloggs Pty Ltd,,,,,jo@bloggs.example,0412345678,9 Quay Street,Pyrmont,2009,NSW",
			",,Jo,Bloggs,,jo@bloggs.example,0412345678,9 Quay Street,Pyrmont,2009,NSW", match.Ask, "a person and a company"},
		{"one household",
			",,Jo,Bloggs,,jo@bloggs.example,0412345678,9 Quay Street,Pyrmont,2009,NSW",
			",,Peter,Bloggs,,peter@mail.example,0487654321,9 Quay Street,Pyrmont,2009,NSW", match.Ask, "household"},
	} {
		for _, turn := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			tab := business(t, turn[0], turn[1])
			got, reasons := match.New, ""
			for _, p := range match.Scan(tab, match.DefaultThresholds) {
				if p.A == 0 && p.B == 1 {
					got, reasons = p.Decision, strings.Join(p.Reasons, "; ")
				}
			}
			if got != c.want || !strings.Contains(reasons, c.reason) {
				t.Errorf("%s: %s (%s), want %s with %q", c.name, got, reasons, c.want, c.reason)
			}
		}
	}
}
