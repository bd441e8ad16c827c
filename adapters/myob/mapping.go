package myob

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

type object = adapters.Object

// Locations of addresses on a card, as MYOB's forms use them.
const (
	billTo = 1
	shipTo = 2
)

// customerMapping is the table of Customer <-> customer card of a file that keeps its books in currency.
func customerMapping(currency, idField string) adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindCustomer, Object: "Contact/Customer", IDField: idField,
		Rows: []adapters.Row{
			{Field: "kind", Paths: []string{"IsIndividual"}, Get: getKind, Set: setKind, Fit: fitted("BUSINESS"),
				Note: "an individual is a PERSON; a card is always one or the other, so none means BUSINESS"},
			{Field: "legalName", Paths: []string{"CompanyName", "FirstName", "LastName"}, Get: getName, Set: setName,
				Note: "required; CompanyName, at most 50; of an individual LastName, at most 30, and before it FirstName, at most 20"},
			{Field: "abn", Paths: []string{"SellingDetails.ABN"}, Get: getABN, Set: setABN, Note: "written 51 824 753 556; ABNBranch stays as it is"},
			contactRow("email", "Email", 255, ""),
			contactRow("phone", "Phone1", 21, "MYOB's three numbers have no labels: only the first is carried"),
			contactRow("website", "Website", 255, ""),
			{Field: "contacts", Paths: []string{"Addresses[1].ContactName"}, Get: getPerson, Set: setPerson, Fit: fitPerson,
				Note: "the first person's name and nothing else; the last word is the last name"},
			addressRow("billingAddress", billTo),
			addressRow("shippingAddress", shipTo),
			{Field: "paymentTerms", Paths: []string{"SellingDetails.Terms"}, Get: getTerms, Set: setTerms, Fit: fitTerms,
				Note: "a card always has terms, so none means due at once; CashOnDelivery and Prepaid both read as due at once and stay as they are"},
			creditRow(currency),
			adapters.TextRow("notes", "Notes", 255, ""),
			{Field: "status", Paths: []string{"IsActive"}, Get: getStatus, Set: setStatus, Fit: fitted("ACTIVE"),
				Note: "an inactive card is ARCHIVED; a card is always one or the other, so none means ACTIVE"},
		},
		Known: []string{
			"UID", "URI", "RowVersion", "LastModified", "Created", "Type", "DisplayID", "Tags", "Identifiers", "CustomList1", "CustomList2",
			"CustomList3", "CustomField1", "CustomField2", "CustomField3", "CurrentBalance", "PhotoURI", "PaymentDetails", "ForeignCurrency",
		},
	}
}

// fitted is the Fit of a field that is never empty.
func fitted(otherwise string) func(domain.Value) domain.Value {
	return func(v domain.Value) domain.Value {
		if v.Empty() {
			return domain.TextValue(otherwise)
		}
		return v
	}
}

// part returns the object's member that is an object itself, nil if it has none.
func part(o object, key string) object {
	p, _ := o[key].(object)
	return p
}

// partFor is part for writing: it adds what is not there.
func partFor(o object, key string) object {
	p := part(o, key)
	if p == nil {
		p = object{}
		o[key] = p
	}
	return p
}

// address returns the card's address at the location, nil if it has none there.
func address(o object, location int) object {
	all, _ := o["Addresses"].([]any)
	for _, x := range all {
		if a, ok := x.(object); ok && adapters.String(a, "Location") == fmt.Sprint(location) {
			return a
		}
	}
	return nil
}

// addressFor is address for writing: it adds what is not there.
func addressFor(o object, location int) object {
	if a := address(o, location); a != nil {
		return a
	}
	a := object{"Location": json.Number(fmt.Sprint(location))}
	all, _ := o["Addresses"].([]any)
	o["Addresses"] = append(all, a)
	return a
}

// within is an error if s is longer than the limit in characters.
func within(name, s string, limit int) error {
	if n := utf8.RuneCountInString(s); n > limit {
		return fmt.Errorf("%s has %d characters and MYOB takes at most %d; shorten it where it is owned", name, n, limit)
	}
	return nil
}

func getKind(o object) domain.Value {
	if o["IsIndividual"] == true {
		return domain.TextValue("PERSON")
	}
	return domain.TextValue("BUSINESS")
}

// setKind moves the name to where a card of the kind has it.
func setKind(o object, v domain.Value) error {
	name, person := nameOf(o), v.Text() == "PERSON"
	if person == (o["IsIndividual"] == true) {
		return nil
	}
	o["IsIndividual"], o["CompanyName"], o["FirstName"], o["LastName"] = person, nil, nil, nil
	if name == "" {
		return nil
	}
	return setName(o, domain.TextValue(name))
}

// nameOf is the name of a card: an individual's first and last name, or the company's. Old cards can have either in the
// other's place.
func nameOf(o object) string {
	company, person := adapters.String(o, "CompanyName"), strings.TrimSpace(adapters.String(o, "FirstName")+" "+adapters.String(o, "LastName"))
	if company == "" || person != "" && o["IsIndividual"] == true {
		return person
	}
	return company
}

func getName(o object) domain.Value { return domain.TextValue(nameOf(o)) }

func setName(o object, v domain.Value) error {
	name := v.Text()
	switch {
	case name == "":
		return fmt.Errorf("MYOB needs a name on every card; give the customer one")
	case o["IsIndividual"] != true:
		o["CompanyName"] = name
		return within("the name", name, 50)
	case nameOf(o) == name:
		return nil // split as the card has it
	}
	first, last := split(name)
	if last == "" {
		first, last = "", name // an individual needs a last name
	}
	o["FirstName"], o["LastName"] = first, last
	if err := within("the first name ("+first+")", first, 20); err != nil {
		return err
	}
	return within("the last name ("+last+")", last, 30)
}

// split takes the last word of a name for the last name; a single word is a first name.
func split(name string) (first, last string) {
	i := strings.LastIndexByte(name, ' ')
	if i < 0 {
		return name, ""
	}
	return name[:i], name[i+1:]
}

func getABN(o object) domain.Value {
	sd := part(o, "SellingDetails")
	if sd == nil {
		return ""
	}
	return domain.TextValue(adapters.String(sd, "ABN"))
}

func setABN(o object, v domain.Value) error {
	partFor(o, "SellingDetails")["ABN"] = domain.FormatABN(v.Text())
	return nil
}

// contactRow maps a text that MYOB keeps with the first address.
func contactRow(f domain.Field, key string, limit int, note string) adapters.Row {
	return adapters.Row{
		Field: f, Paths: []string{"Addresses[1]." + key}, Max: limit, Note: note,
		Get: func(o object) domain.Value {
			if _, ok := o["Addresses"]; !ok {
				return ""
			}
			return domain.TextValue(adapters.String(address(o, billTo), key))
		},
		Set: func(o object, v domain.Value) error { return setContact(o, key, v.Text()) },
	}
}

func setContact(o object, key, text string) error {
	if text != "" || address(o, billTo) != nil {
		addressFor(o, billTo)[key] = text
	}
	return nil
}

func addressRow(f domain.Field, location int) adapters.Row {
	return adapters.Row{
		Field: f, Paths: []string{fmt.Sprintf("Addresses[%d]", location)}, Note: "lines are lines of Street, City is the suburb, Country by name",
		Get: func(o object) domain.Value {
			if _, ok := o["Addresses"]; !ok {
				return ""
			}
			e := address(o, location)
			a := domain.Address{Suburb: adapters.String(e, "City"), State: adapters.String(e, "State"), Postcode: adapters.String(e, "PostCode"), Country: adapters.String(e, "Country")}
			for l := range strings.Lines(strings.ReplaceAll(adapters.String(e, "Street"), "\r", "\n")) {
				if l = strings.TrimSpace(l); l != "" {
					a.Lines = append(a.Lines, l)
				}
			}
			return domain.ValueOf(a)
		},
		Set: func(o object, v domain.Value) error {
			var a domain.Address
			if err := v.Decode(&a); err != nil {
				return err
			}
			if v.Empty() && address(o, location) == nil {
				return nil
			}
			e := addressFor(o, location)
			for _, m := range []struct {
				key, name, text string
				limit           int
			}{
				{"Street", "the street", strings.Join(a.Lines, "\n"), 255}, {"City", "the suburb", a.Suburb, 255}, {"State", "the state", a.State, 255},
				{"PostCode", "the postcode", a.Postcode, 10}, {"Country", "the country", domain.CountryName(a.Country), 255},
			} {
				if err := within(m.name, m.text, m.limit); err != nil {
					return err
				}
				e[m.key] = m.text
			}
			return nil
		},
	}
}

func getPerson(o object) domain.Value {
	if _, ok := o["Addresses"]; !ok {
		return ""
	}
	return personOf(adapters.String(address(o, billTo), "ContactName"))
}

func personOf(name string) domain.Value {
	first, last := split(strings.Join(strings.Fields(name), " "))
	if first == "" {
		return domain.Null
	}
	return domain.ValueOf([]domain.Contact{{FirstName: first, LastName: last}})
}

// personName is the name of the first person who has one.
func personName(v domain.Value) string {
	var people []domain.Contact
	if v.Decode(&people) != nil {
		return ""
	}
	for _, p := range people {
		if name := strings.TrimSpace(p.FirstName + " " + p.LastName); name != "" {
			return name
		}
	}
	return ""
}

func fitPerson(v domain.Value) domain.Value { return personOf(personName(v)) }

func setPerson(o object, v domain.Value) error { return setContact(o, "ContactName", personName(v)) }

// terms pairs MYOB's words for payment terms with ours.
var terms = map[string]string{
	"InAGivenNumberOfDays": domain.DaysAfterInvoice, "NumberOfDaysAfterEOM": domain.DaysAfterMonthEnd,
	"OnADayOfTheMonth": domain.DayOfCurrentMonth, "DayOfMonthAfterEOM": domain.DayOfFollowingMonth,
}

const cashOnDelivery = "CashOnDelivery"

// atOnce is what a card without time to pay says.
var atOnce = domain.ValueOf(domain.PaymentTerms{Basis: domain.DaysAfterInvoice})

func getTerms(o object) domain.Value {
	sd := part(o, "SellingDetails")
	if sd == nil {
		return ""
	}
	t := part(sd, "Terms")
	typ := adapters.String(t, "PaymentIsDue")
	if typ == "" || typ == cashOnDelivery || typ == "Prepaid" {
		return atOnce
	}
	basis := terms[typ]
	if basis == "" {
		basis = typ // Normalize reports what it does not know
	}
	return domain.ValueOf(map[string]any{"basis": basis, "days": t["BalanceDueDate"]})
}

func fitTerms(v domain.Value) domain.Value {
	if v.Empty() {
		return atOnce
	}
	return v
}

// setTerms keeps discounts and charges as they are.
func setTerms(o object, v domain.Value) error {
	var want domain.PaymentTerms
	if err := fitTerms(v).Decode(&want); err != nil {
		return err
	}
	if part(part(o, "SellingDetails"), "Terms") != nil && getTerms(o) == fitTerms(v) {
		return nil
	}
	t := partFor(partFor(o, "SellingDetails"), "Terms")
	if want == (domain.PaymentTerms{Basis: domain.DaysAfterInvoice}) {
		t["PaymentIsDue"], t["BalanceDueDate"] = cashOnDelivery, 0
		return nil
	}
	for word, basis := range terms {
		if basis == want.Basis {
			t["PaymentIsDue"], t["BalanceDueDate"] = word, want.Days
			return nil
		}
	}
	return fmt.Errorf("MYOB has no payment terms %q", want.Basis)
}

func creditRow(currency string) adapters.Row {
	return adapters.Row{
		Field: "creditLimit", Paths: []string{"SellingDetails.Credit.Limit"}, Note: "in the file's own currency; 0 is no limit",
		Get: func(o object) domain.Value {
			sd := part(o, "SellingDetails")
			if sd == nil {
				return ""
			}
			limit := adapters.String(part(sd, "Credit"), "Limit")
			if m, err := money.Parse(limit, currency); limit == "" || err == nil && m.Amount.IsZero() {
				return domain.Null
			}
			return domain.ValueOf(map[string]any{"amount": limit, "currency": currency})
		},
		Set: func(o object, v domain.Value) error {
			m := money.Money{Currency: currency}
			if err := v.Decode(&m); err != nil {
				return err
			}
			switch {
			case m.Currency != currency:
				return fmt.Errorf("the file keeps its books in %s, and the limit is in %s", currency, m.Currency)
			case !v.Empty() && m.Amount.IsZero():
				return fmt.Errorf("a limit of 0 is no limit in MYOB; put the customer on hold there instead")
			case !m.Amount.Equal(m.Amount.Round(2)):
				return fmt.Errorf("MYOB takes whole cents, not %s", m.Decimal())
			}
			partFor(partFor(o, "SellingDetails"), "Credit")["Limit"] = json.Number(m.Decimal())
			return nil
		},
	}
}

func getStatus(o object) domain.Value {
	switch o["IsActive"] {
	case true:
		return domain.TextValue("ACTIVE")
	case false:
		return domain.TextValue("ARCHIVED")
	}
	return ""
}

func setStatus(o object, v domain.Value) error {
	o["IsActive"] = v.Text() != "ARCHIVED"
	return nil
}
