package match_test

import (
	"testing"

	"pgregory.net/rapid"

	"datum/domain/match"
)

var normalisers = map[string]func(string) string{"Text": match.Text, "Name": match.Name, "Company": match.Company, "Phone": match.Phone,
	"Email": match.Email, "Identifier": match.Identifier, "Date": match.Date, "Postcode": match.Postcode, "State": match.State,
	"Suburb": match.Suburb, "Street": match.Street}

func TestNormalisers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		f         string
		want      string
		spellings []string
	}{
		{"Company", "harbour freight", []string{"The Harbour Freight Pty Ltd", "HARBOUR FREIGHT P/L", "Harbour Freight Pty Ltd t/a Quick Ship", "Harbour Freight Pty. Ltd. ATF the Harbour Trust"}},
		{"Phone", "+61412345678", []string{"0412 345 678", "+61 (0)412 345 678", "61412345678", "412345678"}},
		{"Phone", "1300555010", []string{"1300 555 010"}},
		{"Phone", "90001234", []string{"9000 1234"}},
		{"Email", "jobloggs@gmail.com", []string{"Jo.Bloggs@Gmail.com", "jobloggs+shop@googlemail.com", " mailto:jo.bloggs@gmail.com"}},
		{"Email", "jo.bloggs@example.com", []string{"JO.BLOGGS@example.com", "jo.bloggs+x@example.com"}},
		{"Street", "3/12 smith st", []string{"Unit 3, 12 Smith Street", "U3/12 Smith St.", "3/12 SMITH STREET", "Flat 3 12 Smith St", "Shop 3, 12 Smith Str"}},
		{"Street", "12 nth tce", []string{"12 North Terrace", "12 NORTH TCE"}},
		{"Street", "po box 77", []string{"PO Box 77", "P.O. Box 77", "Post Office Box 77", "GPO Box 77"}},
		{"Suburb", "mt eliza", []string{"Mount Eliza", "MT ELIZA", "Mt. Eliza"}},
		{"State", "nsw", []string{"NSW", "New South Wales", "n.s.w."}},
		{"Postcode", "0800", []string{"800", "0800"}},
		{"Date", "19700303", []string{"3/3/1970", "1970-03-03", "19700303", "3 March 1970", "Mar 3, 1970", "1970-03-03T00:00:00Z", "03.03.1970"}},
		{"Identifier", "inv42", []string{"INV-42", "inv 42", "INV.42"}},
		{"Identifier", "42", []string{"0042", "42"}},
		{"Text", "", []string{"", "N/A", "unknown", "--"}},
	} {
		for _, s := range c.spellings {
			if got := normalisers[c.f](s); got != c.want {
				t.Errorf("%s(%q) = %q, want %q", c.f, s, got, c.want)
			}
		}
	}
}

func TestNormalisersAreIdempotent(t *testing.T) {
	t.Parallel()
	for name, f := range normalisers {
		rapid.Check(t, func(t *rapid.T) {
			s := rapid.OneOf(rapid.String(), rapid.StringMatching(`((Pty|Ltd|the|t/a|atf|P/L|unit|u|no|post|office|st|mount|north|/|\\+|@|mar|\\.|-|0|[A-Za-zÀ-ž0-9'&. ]{0,4}) ?){0,7}`)).Draw(t, "text")
			once := f(s)
			if twice := f(once); twice != once {
				t.Fatalf("%s(%q) is %q, and of that %q", name, s, once, twice)
			}
		})
	}
}
