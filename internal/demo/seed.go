package demo

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// business is one generated customer as it is in the world; each vendor knows its own part of it, in its own words.
type business struct {
	Name, Trading, ABN, Email, Phone string
	Street, Suburb, State, Postcode  string
	Stage                            string
	InCRM, InXero                    bool
	Person                           bool
	XeroName                         string // where accounting writes it differently
	XeroSuburb, XeroState, XeroPost  string // where accounting has another address
	Why                              string // what is ugly about it
}

var (
	firstWords = []string{"Hartley", "Banksia", "O'Brien", "Wattle", "Coolabah", "Nguyễn", "Østergaard", "Murray", "Kookaburra", "Southern Cross",
		"D'Angelo", "Müller", "Ironbark", "Kelly", "Te Rangi", "Papadopoulos", "Billabong", "Yarra", "Derwent", "Mäkinen", "Swan River", "Top End", "O'Shea", "Șerban"}
	trades  = []string{"Plumbing", "Electrical", "Joinery", "Landscapes", "Bakery", "Logistics", "Engineering", "Dental", "Physio", "Roofing", "Café", "Seafood", "Motors", "Print & Sign"}
	endings = []string{"Pty Ltd", "Pty. Ltd.", "PTY LTD", "P/L", "Pty Limited", "", "& Sons", "Group Pty Ltd"}
	streets = []string{"Collins St", "King St", "O'Connell Street", "Harbour Esplanade", "Smith Lane", "The Parade", "Stirling Hwy", "Mitchell St"}
	persons = []string{"Mary-Anne O'Brien", "Nguyễn Văn An", "José Álvarez", "Siobhán Kelly", "Li Wei", "Zoë Papadopoulos", "Jack de la Cruz", "Anaïs Müller"}
	places  = []struct{ suburb, state, postcode, area string }{
		{"Melbourne", "VIC", "3000", "03"}, {"Sydney", "NSW", "2000", "02"}, {"Brisbane", "QLD", "4000", "07"}, {"Perth", "WA", "6000", "08"},
		{"Adelaide", "SA", "5000", "08"}, {"Hobart", "TAS", "7000", "03"}, {"Darwin", "NT", "0800", "08"}, {"Canberra", "ACT", "2600", "02"},
		{"Ballarat", "VIC", "3350", "03"}, {"Newcastle", "NSW", "2300", "02"}, {"Cairns", "QLD", "4870", "07"}}
	stages = []string{"lead", "opportunity", "customer", "customer", "customer"}
)

// abn makes a valid ABN: the two check digits are chosen so that the weighted sum is divisible by 89.
func abn(r *rand.Rand) string {
	weights := [11]int{10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19}
	for {
		var d [11]int
		sum := 0
		for i := 2; i < 11; i++ {
			d[i] = r.IntN(10)
			sum += d[i] * weights[i]
		}
		for check := 10; check < 100; check++ {
			if (sum+(check/10-1)*10+check%10)%89 == 0 && d[10]+d[9]+d[8] > 0 {
				d[0], d[1] = check/10, check%10
				s := ""
				for _, x := range d {
					s += fmt.Sprint(x)
				}
				return s
			}
		}
	}
}

func spaced(abn string) string { return abn[:2] + " " + abn[2:5] + " " + abn[5:8] + " " + abn[8:] }

func pick[T any](r *rand.Rand, s []T) T { return s[r.IntN(len(s))] }

// businesses makes n customers, about one in three of them ugly in a way that real ones are.
func businesses(r *rand.Rand, n int) []business {
	bs := make([]business, 0, n+20)
	for i := range n {
		p := pick(r, places)
		b := business{ABN: abn(r), Suburb: p.suburb, State: p.state, Postcode: p.postcode, Street: fmt.Sprintf("%d %s", 1+r.IntN(400), pick(r, streets)),
			Phone: fmt.Sprintf("(%s) 5550 %04d", p.area, r.IntN(10000)), Stage: pick(r, stages), InCRM: true, InXero: i%5 < 2}
		word := fmt.Sprintf("%s %s", pick(r, firstWords), pick(r, trades))
		// A number keeps names apart that chance would make equal: names are unique in Xero.
		b.Name = strings.TrimSpace(fmt.Sprintf("%s %d %s", word, 100+i, pick(r, endings)))
		b.Trading = word
		b.Email = fmt.Sprintf("accounts%d@%s.example", i, strings.ToLower(strings.NewReplacer("'", "", " ", "", "ễ", "e", "Ø", "o", "ü", "u", "ä", "a", "Ș", "s").Replace(pick(r, firstWords))))
		switch i % 15 {
		case 0:
			b.ABN, b.Why = "", "no ABN"
		case 1:
			b.ABN, b.InXero, b.Why = b.ABN[:10]+fmt.Sprint((int(b.ABN[10]-'0')+1)%10), false, "invalid ABN"
		case 2:
			b.InXero, b.XeroName, b.Why = true, strings.ToUpper(b.Name), "legal name written differently"
		case 3:
			b.InXero, b.XeroSuburb, b.XeroState, b.XeroPost, b.Why = true, "Sydney", "NSW", "2000", "Melbourne here and Sydney there"
			b.Suburb, b.State, b.Postcode = "Melbourne", "VIC", "3000"
		case 4:
			b.Name, b.Why = "  "+strings.ReplaceAll(b.Name, " ", "  ")+" ", "stray whitespace"
			b.InXero = false
		case 5:
			b.Person, b.ABN, b.Why = true, "", "a person"
			b.Name, b.Trading, b.InXero = fmt.Sprintf("%s %c%s", pick(r, persons), 'A'+rune(i%26), strings.Repeat("a", 1+i/26%4)), "", false
		case 6:
			b.ABN, b.InXero, b.Why = "10 000 000 000", false, "an ABN that passes the checksum and cannot be"
		}
		bs = append(bs, b)
	}
	// The same business twice in the CRM, once with another name.
	for i := 7; i < n; i += 30 {
		d := bs[i]
		d.Name, d.Email, d.InXero, d.Why = strings.TrimSpace(d.Trading)+fmt.Sprintf(" %d (dup)", i), "info@"+strings.Split(d.Email, "@")[1], false, "entered twice"
		bs = append(bs, d)
	}
	long := bs[n-1]
	long.ABN, long.InXero, long.Why = abn(r), false, "a 300-character name"
	long.Name = strings.TrimSpace(strings.Repeat("The Trustee for the Extended Family Discretionary Trust of ", 6))[:294] + " Trust"
	long.Email = "trustee@longname.example"
	return append(bs, long)
}

// hubspot is the business as sales typed it.
func (b business) hubspot() (typ string, properties map[string]any) {
	addr := map[string]any{"phone": b.Phone, "address": b.Street, "city": b.Suburb, "state": b.State, "zip": b.Postcode, "country": "Australia", "lifecyclestage": b.Stage}
	if b.Person {
		i := strings.LastIndexByte(b.Name, ' ')
		addr["firstname"], addr["lastname"], addr["email"] = b.Name[:i], b.Name[i+1:], b.Email
		return "contacts", addr
	}
	addr["name"], addr["customer_email"] = b.Name, b.Email
	if b.ABN != "" {
		addr["abn"] = b.ABN
		if len(b.ABN) == 11 && b.ABN[0]%2 == 0 {
			addr["abn"] = spaced(b.ABN)
		}
	}
	if b.Trading != "" {
		addr["trading_name"] = b.Trading
	}
	return "companies", addr
}

// xero is the business as accounting has it.
func (b business) xero() map[string]any {
	name, suburb, state, post := strings.Join(strings.Fields(b.Name), " "), b.Suburb, b.State, b.Postcode
	if b.XeroName != "" {
		name = b.XeroName
	}
	if b.XeroSuburb != "" {
		suburb, state, post = b.XeroSuburb, b.XeroState, b.XeroPost
	}
	c := map[string]any{"Name": name, "EmailAddress": b.Email,
		"Addresses": []any{map[string]any{"AddressType": "POBOX", "AddressLine1": b.Street, "City": suburb, "Region": state, "PostalCode": post, "Country": "Australia"}}}
	if len(b.ABN) == 11 {
		c["TaxNumber"] = b.ABN
	}
	return c
}
