package match_test

import (
	"strings"
	"testing"

	"datum/domain"
	"datum/domain/match"
)

func TestReadTableGuesses(t *testing.T) {
	t.Parallel()
	text := "\ufeffrec_id, given_name, surname, street_number, address_1, suburb, postcode, state, date_of_birth, soc_sec_id, Email Address, ABN, Company, x, y, z, empty\n" +
		"1, jo, smith, 1, high street, yass, 2582, nsw, 19700303, 1234567, a@b.c, 51824753556, Acme, A12345, 1970-01-31, hello,\n" +
		"2, al, jones, 2, low street, yass, 2582, nsw, 19710303, 1234568, b@b.c, 53004085616, Bolt, A12346, 1970-01-30, there,\n"
	tab := read(t, "", text, "")
	var got []string
	for _, c := range tab.Columns {
		got = append(got, c.Name+"="+string(c.Field))
	}
	want := "given_name=firstName surname=lastName street_number=text address_1=street suburb=suburb postcode=postcode state=state " +
		"date_of_birth=date soc_sec_id=identifier Email Address=email ABN=abn Company=legalName x=identifier y=date z=text"
	if strings.Join(got, " ") != want {
		t.Errorf("guessed\n%s, want\n%s", strings.Join(got, " "), want)
	}
	if tab.Rows[1][1] != "jones" || tab.IDs[1] != "2" {
		t.Errorf("rows %q %q", tab.IDs, tab.Rows)
	}
}

func TestReadTableOfTwoFiles(t *testing.T) {
	t.Parallel()
	tab := read(t, "", "rec_id,surname,postcode,note\n1,smith,2582,a\n", "postcode,REC_ID,last name\n2583,1,jones\n")
	if tab.Split != 1 || len(tab.Columns) != 2 || tab.Rows[1][0] != "jones" || tab.Rows[1][1] != "2583" {
		t.Errorf("%+v", tab)
	}
}

func TestReadTableRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ mapping, one, two, want string }{
		{"", "", "", "the file is empty"},
		{"", "a;b\n1;2\n", "", "separated by commas"},
		{"", "id,a\n1,2\n", "", `there is no column "rec_id" for --id; there are id, a`},
		{"", "rec_id,a,A\n", "", `both named`},
		{"", "rec_id,a\n1,x\n,y\n", "", "line 3 has no rec_id"},
		{"", "rec_id,a\n1,x\n1,y\n", "", "line 3 has the same rec_id as line 2"},
		{"", "rec_id,a\n1,x,y\n", "", "line 2 has 3 columns and the header has 2"},
		{"b=text", "rec_id,a\n1,x\n", "", `there is no column "b" for --map`},
		{"rec_id=text", "rec_id,a\n1,x\n", "", "is the --id"},
		{"", "rec_id\n1\n", "", "no column to compare"},
		{"", "rec_id,surname\n1,x\n", "rec_id,postcode\n1,2000\n", "have no column in common"},
	} {
		m, err := match.ParseMapping(c.mapping)
		if err != nil {
			t.Fatal(err)
		}
		sources := []match.Source{{Name: "one.csv", Reader: strings.NewReader(c.one)}}
		if c.two != "" {
			sources = append(sources, match.Source{Name: "two.csv", Reader: strings.NewReader(c.two)})
		}
		if _, err := match.ReadTable("rec_id", m, sources...); domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %q", c.one, err, c.want)
		}
	}
	for mapping, want := range map[string]string{"a": "column=field", "a=colour": "no field", "=text": "names no column", "a=text,A=date": "twice", ",": "names no column"} {
		if _, err := match.ParseMapping(mapping); domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", mapping, err, want)
		}
	}
}

func FuzzReadTable(f *testing.F) {
	f.Add("given=firstName,b=date", "id,given,b\n1,jo,1/2/1970\n2,\"jo\",\n")
	f.Add("", "id, a\n1, \"x\ny\"\n")
	f.Add("a=abn", "\ufeffid,a\n1,51824753556\n2,51824753557\n")
	f.Fuzz(func(t *testing.T, mapping, text string) {
		m, err := match.ParseMapping(mapping)
		if err != nil {
			if domain.CodeOf(err) != domain.Invalid {
				t.Fatal(err)
			}
			return
		}
		tab, err := match.ReadTable("id", m, match.Source{Name: "x.csv", Reader: strings.NewReader(text)})
		if err != nil {
			if domain.CodeOf(err) != domain.Invalid {
				t.Fatal(err)
			}
			return
		}
		for _, p := range match.Scan(tab, match.DefaultThresholds) {
			if p.A >= p.B || p.B >= len(tab.IDs) || p.Score < 0 || p.Score > 1 || p.Decision != match.Link && p.Decision != match.Ask {
				t.Fatalf("%+v", p)
			}
		}
	})
}
