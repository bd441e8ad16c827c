package xero

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"datum/adapters"
	"datum/domain"
)

type object = adapters.Object

// customerMapping is the table of Customer <-> Contact. A contact that is only a supplier (IsSupplier and not IsCustomer)
// and does not carry our id is not a customer; see isCustomer.
func customerMapping() adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindCustomer, Object: "Contacts", IDField: "ContactNumber",
		Rows: []adapters.Row{
			{Field: "legalName", Paths: []string{"Name"}, Max: 255, Get: textOf("Name"), Set: setName,
				Note: "required, and unique among active contacts; no < or >"},
			{Field: "abn", Paths: []string{"TaxNumber"}, Max: 50, Get: textOf("TaxNumber"), Set: setText("TaxNumber"), Note: "11 digits"},
			{Field: "acn", Paths: []string{"CompanyNumber"}, Max: 50, Get: textOf("CompanyNumber"), Set: setText("CompanyNumber"), Note: "9 digits"},
			{Field: "email", Paths: []string{"EmailAddress"}, Max: 255, Get: textOf("EmailAddress"), Set: setEmail, Note: "ASCII only"},
			phoneRow("phone", "DEFAULT"),
			phoneRow("mobile", "MOBILE"),
			{Field: "website", Paths: []string{"Website"}, Get: textOf("Website"), Note: "read-only in Xero's API"},
			{Field: "contacts", Paths: []string{"ContactPersons", "FirstName", "LastName"}, Get: getPeople, Set: setPeople, Fit: fitPeople,
				Note: "the first person's name is the contact's own FirstName and LastName; at most 5 with an e-mail address or after the first; phone and role are not carried"},
			addressRow("billingAddress", "POBOX"),
			addressRow("shippingAddress", "STREET"),
			{Field: "paymentTerms", Paths: []string{"PaymentTerms.Sales"}, Get: getTerms, Set: setTerms, Note: "terms for sales; those for bills stay as they are"},
			{Field: "currency", Paths: []string{"DefaultCurrency"}, Max: 3, Get: textOf("DefaultCurrency"), Set: setText("DefaultCurrency"),
				Note: "must be one of the organisation's currencies"},
			{Field: "status", Paths: []string{"ContactStatus"}, Get: getStatus, Set: setStatus, Fit: fitStatus,
				Note: "GDPRREQUEST reads as ARCHIVED; a contact always has a status, so none means ACTIVE"},
		},
		Known: []string{
			"ContactID", "MergedToContactID", "AccountNumber", "BankAccountDetails", "TaxNumberType", "AccountsReceivableTaxType", "AccountsPayableTaxType",
			"Addresses", "Phones", "PaymentTerms", "IsSupplier", "IsCustomer", "SalesDefaultLineAmountType", "PurchasesDefaultLineAmountType",
			"XeroNetworkKey", "SalesDefaultAccountCode", "PurchasesDefaultAccountCode", "SalesTrackingCategories", "PurchasesTrackingCategories",
			"TrackingCategoryName", "TrackingCategoryOption", "UpdatedDateUTC", "UpdatedDateUTCString", "ContactGroups", "BrandingTheme", "BatchPayments",
			"Discount", "Balances", "Attachments", "HasAttachments", "ValidationErrors", "HasValidationErrors", "StatusAttributeString", "SkypeUserName",
			"Warnings",
		},
	}
}

// whole names the member that must be sent whole for a field, since Xero replaces it.
var whole = map[domain.Field]string{
	"phone": "Phones", "mobile": "Phones", "billingAddress": "Addresses", "shippingAddress": "Addresses",
	"contacts": "ContactPersons", "paymentTerms": "PaymentTerms",
}

func textOf(key string) func(object) domain.Value {
	return func(o object) domain.Value { return domain.TextValue(adapters.String(o, key)) }
}

func setText(key string) func(object, domain.Value) error {
	return func(o object, v domain.Value) error { o[key] = v.Text(); return nil }
}

func setName(o object, v domain.Value) error {
	name := v.Text()
	switch {
	case name == "":
		return fmt.Errorf("xero needs a name for every contact; give the customer one")
	case strings.ContainsAny(name, "<>"):
		return fmt.Errorf("xero takes no < or > in a name; take them out where the name is owned")
	}
	o["Name"] = name
	return nil
}

func setEmail(o object, v domain.Value) error {
	if err := ascii(v.Text()); err != nil {
		return err
	}
	o["EmailAddress"] = v.Text()
	return nil
}

func ascii(email string) error {
	if strings.ContainsFunc(email, func(r rune) bool { return r > 126 }) {
		return fmt.Errorf("xero takes only plain ASCII e-mail addresses")
	}
	return nil
}

// within reports the first text that is longer than its limit in characters.
func within(texts ...any) error {
	for i := 0; i+2 < len(texts); i += 3 {
		name, s, limit := texts[i].(string), texts[i+1].(string), texts[i+2].(int)
		if n := utf8.RuneCountInString(s); n > limit {
			return fmt.Errorf("%s has %d characters and xero takes at most %d; shorten it where it is owned", name, n, limit)
		}
	}
	return nil
}

// element returns the member of the list whose typeKey is typ, nil if there is none.
func element(o object, list, typeKey, typ string) object {
	all, _ := o[list].([]any)
	for _, x := range all {
		if e, ok := x.(object); ok && strings.EqualFold(adapters.String(e, typeKey), typ) {
			return e
		}
	}
	return nil
}

// elementFor is element for writing: it adds what is not there.
func elementFor(o object, list, typeKey, typ string) object {
	if e := element(o, list, typeKey, typ); e != nil {
		return e
	}
	e := object{typeKey: typ}
	all, _ := o[list].([]any)
	o[list] = append(all, e)
	return e
}

func phoneRow(f domain.Field, typ string) adapters.Row {
	read := func(e object) string {
		if adapters.String(e, "PhoneNumber") == "" {
			return ""
		}
		return domain.ComposePhone(adapters.String(e, "PhoneCountryCode"), adapters.String(e, "PhoneAreaCode"), adapters.String(e, "PhoneNumber"))
	}
	return adapters.Row{
		Field: f, Paths: []string{"Phones[" + typ + "]"}, Max: 50, Note: "country code, area code and number apart; text that is no number goes to PhoneNumber",
		Get: func(o object) domain.Value {
			if _, ok := o["Phones"]; !ok {
				return ""
			}
			return domain.TextValue(read(element(o, "Phones", "PhoneType", typ)))
		},
		Set: func(o object, v domain.Value) error {
			e := elementFor(o, "Phones", "PhoneType", typ)
			p, ok := domain.ParsePhone(v.Text())
			if !ok {
				p = domain.PhoneNumber{Number: v.Text()}
			}
			e["PhoneCountryCode"], e["PhoneAreaCode"], e["PhoneNumber"] = p.Country, p.Area, p.Number
			return nil
		},
	}
}

func addressRow(f domain.Field, typ string) adapters.Row {
	return adapters.Row{
		Field: f, Paths: []string{"Addresses[" + typ + "]"}, Note: "AddressLine1 to 4, City is the suburb, Region the state, Country by name in letters; AttentionTo stays as it is",
		Get: func(o object) domain.Value {
			if _, ok := o["Addresses"]; !ok {
				return ""
			}
			e := element(o, "Addresses", "AddressType", typ)
			a := domain.Address{Suburb: adapters.String(e, "City"), State: adapters.String(e, "Region"), Postcode: adapters.String(e, "PostalCode"), Country: adapters.String(e, "Country")}
			for i := 1; i <= 4; i++ {
				if l := adapters.String(e, fmt.Sprintf("AddressLine%d", i)); l != "" {
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
			country := domain.CountryName(a.Country)
			switch {
			case len(a.Lines) > 4:
				return fmt.Errorf("the address has %d lines and xero takes at most 4", len(a.Lines))
			case strings.ContainsFunc(country, func(r rune) bool { return r != ' ' && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') }):
				return fmt.Errorf("xero takes a country in plain letters only, not %q", country)
			}
			if err := within("the suburb", a.Suburb, 255, "the state", a.State, 255, "the postcode", a.Postcode, 50, "the country", country, 50); err != nil {
				return err
			}
			e := elementFor(o, "Addresses", "AddressType", typ)
			for i := range 4 {
				line := ""
				if i < len(a.Lines) {
					line = a.Lines[i]
				}
				if err := within("the address line", line, 500); err != nil {
					return err
				}
				e[fmt.Sprintf("AddressLine%d", i+1)] = line
			}
			e["City"], e["Region"], e["PostalCode"], e["Country"] = a.Suburb, a.State, a.Postcode, country
			return nil
		},
	}
}

// getPeople reads the contact's own FirstName and LastName as the first person, unless the first of ContactPersons bears
// the same name and is that person with an e-mail address.
func getPeople(o object) domain.Value {
	if _, ok := o["ContactPersons"]; !ok {
		return ""
	}
	var people []domain.Contact
	all, _ := o["ContactPersons"].([]any)
	for _, x := range all {
		e, _ := x.(object)
		p := domain.Contact{FirstName: adapters.String(e, "FirstName"), LastName: adapters.String(e, "LastName"), Email: adapters.String(e, "EmailAddress")}
		if p != (domain.Contact{}) {
			people = append(people, p)
		}
	}
	own := domain.Contact{FirstName: adapters.String(o, "FirstName"), LastName: adapters.String(o, "LastName")}
	if own != (domain.Contact{}) && (len(people) == 0 || !sameName(own, people[0])) {
		people = slices.Insert(people, 0, own)
	}
	return domain.ValueOf(people)
}

func sameName(a, b domain.Contact) bool {
	return a.FirstName == b.FirstName && a.LastName == b.LastName
}

// fitPeople leaves out telephone numbers and roles, people who are nothing else, and a first person who is the second
// without their e-mail address.
func fitPeople(v domain.Value) domain.Value {
	var people []domain.Contact
	if v.Decode(&people) != nil {
		return v
	}
	var fit []domain.Contact
	for _, p := range people {
		p.Phone, p.Role = "", ""
		if p != (domain.Contact{}) {
			fit = append(fit, p)
		}
	}
	for len(fit) > 1 && fit[0].Email == "" && sameName(fit[0], fit[1]) {
		fit = fit[1:]
	}
	return domain.ValueOf(fit)
}

// setPeople keeps IncludeInEmails of people who were there already.
func setPeople(o object, v domain.Value) error {
	var people []domain.Contact
	if err := fitPeople(v).Decode(&people); err != nil {
		return err
	}
	var own domain.Contact
	if len(people) > 0 {
		if own = people[0]; own.Email == "" {
			people = people[1:]
		}
	}
	if len(people) > 5 {
		return fmt.Errorf("the customer has %d people beside the first and xero takes at most 5; take some out where they are owned", len(people))
	}
	before, _ := o["ContactPersons"].([]any)
	persons := make([]any, len(people))
	for i, p := range people {
		if err := within("the first name", p.FirstName, 255, "the last name", p.LastName, 255, "the e-mail address", p.Email, 255); err != nil {
			return err
		}
		if err := ascii(p.Email); err != nil {
			return err
		}
		e := object{"FirstName": p.FirstName, "LastName": p.LastName, "EmailAddress": p.Email, "IncludeInEmails": false}
		for _, x := range before {
			if b, ok := x.(object); ok && samePerson(b, p) {
				e["IncludeInEmails"] = b["IncludeInEmails"] == true
				break
			}
		}
		persons[i] = e
	}
	o["FirstName"], o["LastName"], o["ContactPersons"] = own.FirstName, own.LastName, persons
	return nil
}

func samePerson(e object, p domain.Contact) bool {
	if p.Email != "" {
		return strings.EqualFold(adapters.String(e, "EmailAddress"), p.Email)
	}
	return adapters.String(e, "FirstName") == p.FirstName && adapters.String(e, "LastName") == p.LastName
}

// terms pairs Xero's words for payment terms with ours.
var terms = map[string]string{
	"DAYSAFTERBILLDATE": domain.DaysAfterInvoice, "DAYSAFTERBILLMONTH": domain.DaysAfterMonthEnd,
	"OFCURRENTMONTH": domain.DayOfCurrentMonth, "OFFOLLOWINGMONTH": domain.DayOfFollowingMonth,
}

func getTerms(o object) domain.Value {
	pt, _ := o["PaymentTerms"].(object)
	sales, _ := pt["Sales"].(object)
	typ := adapters.String(sales, "Type")
	if typ == "" {
		return domain.Null
	}
	basis := terms[strings.ToUpper(typ)]
	if basis == "" {
		basis = typ // Normalize reports what it does not know
	}
	return domain.ValueOf(map[string]any{"basis": basis, "days": json.Number(defaulted(adapters.String(sales, "Day"), "0"))})
}

func defaulted(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func setTerms(o object, v domain.Value) error {
	pt, _ := o["PaymentTerms"].(object)
	pt = maps.Clone(pt)
	if pt == nil {
		pt = object{}
	}
	o["PaymentTerms"] = pt
	if v.Empty() {
		pt["Sales"] = object{}
		return nil
	}
	var t domain.PaymentTerms
	if err := v.Decode(&t); err != nil {
		return err
	}
	for word, basis := range terms {
		if basis == t.Basis {
			pt["Sales"] = object{"Type": word, "Day": t.Days}
			return nil
		}
	}
	return fmt.Errorf("xero has no payment terms %q", t.Basis)
}

func getStatus(o object) domain.Value {
	switch s := adapters.String(o, "ContactStatus"); s {
	case "":
		return ""
	case "GDPRREQUEST":
		return domain.TextValue("ARCHIVED")
	default:
		return domain.TextValue(s)
	}
}

func fitStatus(v domain.Value) domain.Value {
	if v.Empty() {
		return domain.TextValue("ACTIVE")
	}
	return v
}

func setStatus(o object, v domain.Value) error {
	o["ContactStatus"] = fitStatus(v).Text()
	return nil
}
