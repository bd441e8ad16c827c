package xerosim

import (
	"fmt"
	"net/mail"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// contact is a Xero contact in the order in which Xero writes its members.
type contact struct {
	ContactID             string
	MergedToContactID     string `json:",omitempty"`
	ContactNumber         string `json:",omitempty"`
	AccountNumber         string `json:",omitempty"`
	ContactStatus         string
	Name                  string
	FirstName             string `json:",omitempty"`
	LastName              string `json:",omitempty"`
	CompanyNumber         string `json:",omitempty"`
	EmailAddress          string
	BankAccountDetails    string
	TaxNumber             string `json:",omitempty"`
	AccountsReceivableTax string `json:"AccountsReceivableTaxType,omitempty"`
	AccountsPayableTax    string `json:"AccountsPayableTaxType,omitempty"`
	Addresses             []address
	Phones                []phone
	UpdatedDateUTC        msTime `json:",omitzero"`
	UpdatedDateUTCString  string `json:",omitempty"`
	ContactGroups         []any  `json:",omitempty"`
	IsSupplier            bool
	IsCustomer            bool
	DefaultCurrency       string        `json:",omitempty"`
	SalesDefaultAccount   string        `json:"SalesDefaultAccountCode,omitempty"`
	PurchasesDefaultAcct  string        `json:"PurchasesDefaultAccountCode,omitempty"`
	XeroNetworkKey        string        `json:",omitempty"`
	PaymentTerms          *paymentTerms `json:",omitempty"`
	Website               string        `json:",omitempty"`
	Balances              any           `json:",omitempty"`
	ContactPersons        []person
	HasAttachments        bool
	HasValidationErrors   bool
}

type address struct {
	AddressType  string
	AddressLine1 string `json:",omitempty"`
	AddressLine2 string `json:",omitempty"`
	AddressLine3 string `json:",omitempty"`
	AddressLine4 string `json:",omitempty"`
	City         string
	Region       string
	PostalCode   string
	Country      string
	AttentionTo  string `json:",omitempty"`
}

type phone struct {
	PhoneType        string
	PhoneNumber      string
	PhoneAreaCode    string
	PhoneCountryCode string
}

type person struct {
	FirstName       string
	LastName        string
	EmailAddress    string
	IncludeInEmails bool
}

type paymentTerms struct {
	Bills *bill `json:",omitempty"`
	Sales *bill `json:",omitempty"`
}

type bill struct {
	Day  int
	Type string
}

type validationError struct{ Message string }

// msTime is written as "/Date(1573755038314+0000)/".
type msTime struct{ time.Time }

// MarshalJSON writes Microsoft's JSON form.
func (t msTime) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, `"/Date(%d+0000)/"`, t.UnixMilli()), nil
}

var (
	addressTypes = []string{"STREET", "POBOX"}
	phoneTypes   = []string{"DEFAULT", "DDI", "FAX", "MOBILE"}
	termTypes    = []string{"DAYSAFTERBILLDATE", "DAYSAFTERBILLMONTH", "OFCURRENTMONTH", "OFFOLLOWINGMONTH"}
)

func emptyContact(id string) *contact {
	c := &contact{ContactID: id, ContactStatus: "ACTIVE", ContactPersons: []person{}}
	c.Addresses, c.Phones = addresses(nil), phones(nil)
	return c
}

// addresses returns one address of each type, those given and otherwise empty ones; phones likewise.
func addresses(given []address) []address {
	all := make([]address, len(addressTypes))
	for i, t := range addressTypes {
		all[i].AddressType = t
		for _, g := range given {
			if g.AddressType == t {
				all[i] = g
			}
		}
	}
	return all
}

func phones(given []phone) []phone {
	all := make([]phone, len(phoneTypes))
	for i, t := range phoneTypes {
		all[i].PhoneType = t
		for _, g := range given {
			if g.PhoneType == t || g.PhoneType == "OFFICE" && t == "DEFAULT" {
				all[i] = g
				all[i].PhoneType = t
			}
		}
	}
	return all
}

func (c *contact) clone() *contact {
	n := *c
	n.Addresses, n.Phones, n.ContactPersons = slices.Clone(c.Addresses), slices.Clone(c.Phones), slices.Clone(c.ContactPersons)
	if c.PaymentTerms != nil {
		pt := *c.PaymentTerms
		n.PaymentTerms = &pt
	}
	return &n
}

// same reports whether nothing but the time of the update differs.
func (c *contact) same(o *contact) bool {
	a, b := c.clone(), o.clone()
	a.UpdatedDateUTC, b.UpdatedDateUTC = msTime{}, msTime{}
	a.UpdatedDateUTCString, b.UpdatedDateUTCString = "", ""
	return reflect.DeepEqual(a, b)
}

// incoming is a contact as a client sends it: members that are absent leave the contact's alone.
type incoming struct {
	ContactID, ContactNumber, AccountNumber, ContactStatus, Name, FirstName, LastName, CompanyNumber, EmailAddress,
	BankAccountDetails, TaxNumber, AccountsReceivableTaxType, AccountsPayableTaxType, DefaultCurrency,
	SalesDefaultAccountCode, PurchasesDefaultAccountCode, XeroNetworkKey *string
	Addresses      *[]address
	Phones         *[]phone
	ContactPersons *[]person
	PaymentTerms   *struct{ Bills, Sales *termsIn }
}

// termsIn is a Bill that may be empty: {} clears it.
type termsIn struct {
	Day  *int
	Type string
}

func (t *termsIn) bill() *bill {
	if t == nil || t.Day == nil && t.Type == "" {
		return nil
	}
	b := &bill{Type: t.Type}
	if t.Day != nil {
		b.Day = *t.Day
	}
	return b
}

// apply returns c as it would be after the change, and what is wrong with it.
func (in *incoming) apply(c *contact) (*contact, []string) {
	n := c.clone()
	for _, m := range []struct {
		to   *string
		from *string
	}{
		{&n.ContactNumber, in.ContactNumber}, {&n.AccountNumber, in.AccountNumber}, {&n.ContactStatus, in.ContactStatus}, {&n.Name, in.Name},
		{&n.FirstName, in.FirstName}, {&n.LastName, in.LastName}, {&n.CompanyNumber, in.CompanyNumber}, {&n.EmailAddress, in.EmailAddress},
		{&n.BankAccountDetails, in.BankAccountDetails}, {&n.TaxNumber, in.TaxNumber}, {&n.AccountsReceivableTax, in.AccountsReceivableTaxType},
		{&n.AccountsPayableTax, in.AccountsPayableTaxType}, {&n.DefaultCurrency, in.DefaultCurrency},
		{&n.SalesDefaultAccount, in.SalesDefaultAccountCode}, {&n.PurchasesDefaultAcct, in.PurchasesDefaultAccountCode}, {&n.XeroNetworkKey, in.XeroNetworkKey},
	} {
		if m.from != nil {
			*m.to = *m.from
		}
	}
	if in.Addresses != nil {
		n.Addresses = addresses(*in.Addresses)
	}
	if in.Phones != nil {
		n.Phones = phones(*in.Phones)
	}
	if in.ContactPersons != nil {
		n.ContactPersons = slices.Clone(*in.ContactPersons)
		if n.ContactPersons == nil {
			n.ContactPersons = []person{}
		}
	}
	if in.PaymentTerms != nil {
		n.PaymentTerms = &paymentTerms{Bills: in.PaymentTerms.Bills.bill(), Sales: in.PaymentTerms.Sales.bill()}
		if *n.PaymentTerms == (paymentTerms{}) {
			n.PaymentTerms = nil
		}
	}
	return n, append(in.wrong(), n.wrong()...)
}

// wrong checks what only the request shows: types of addresses and phones that do not exist.
func (in *incoming) wrong() []string {
	var msgs []string
	if in.Addresses != nil {
		for _, a := range *in.Addresses {
			if !slices.Contains(addressTypes, a.AddressType) {
				msgs = append(msgs, fmt.Sprintf("The AddressType %q is not valid.", a.AddressType))
			}
		}
	}
	if in.Phones != nil {
		for _, p := range *in.Phones {
			if p.PhoneType != "OFFICE" && !slices.Contains(phoneTypes, p.PhoneType) {
				msgs = append(msgs, fmt.Sprintf("The PhoneType %q is not valid.", p.PhoneType))
			}
		}
	}
	return msgs
}

var (
	currencyCode = regexp.MustCompile(`^[A-Z]{3}$`)
	countryName  = regexp.MustCompile(`^[A-Za-z ]*$`)
)

// wrong lists what Xero refuses in a contact by itself. Uniqueness is checked where the others are known.
func (c *contact) wrong() []string {
	var msgs []string
	bad := func(format string, args ...any) { msgs = append(msgs, fmt.Sprintf(format, args...)) }
	limit := func(name, value string, n int) {
		if utf8.RuneCountInString(value) > n {
			bad("%s must not be more than %d characters in length.", name, n)
		}
	}
	switch {
	case c.Name == "":
		bad("The contact name must be specified.")
	case strings.ContainsAny(c.Name, "<>"):
		bad("The contact name must not contain < or >.")
	case strings.TrimSpace(c.Name) != c.Name || strings.Contains(c.Name, "  "):
		bad("The contact name must not have leading, trailing or double spaces.")
	}
	for _, f := range []struct {
		name, value string
		limit       int
	}{
		{"Contact Name", c.Name, 255}, {"First Name", c.FirstName, 255}, {"Last Name", c.LastName, 255}, {"Email Address", c.EmailAddress, 255},
		{"Contact Number", c.ContactNumber, 50}, {"Account Number", c.AccountNumber, 50}, {"Company Number", c.CompanyNumber, 50}, {"Tax Number", c.TaxNumber, 50},
	} {
		limit(f.name, f.value, f.limit)
	}
	if !validEmail(c.EmailAddress) {
		bad("Email address must be valid")
	}
	for _, a := range c.Addresses {
		for _, l := range []string{a.AddressLine1, a.AddressLine2, a.AddressLine3, a.AddressLine4} {
			limit("Address Line", l, 500)
		}
		limit("City", a.City, 255)
		limit("Region", a.Region, 255)
		limit("Postal Code", a.PostalCode, 50)
		limit("Country", a.Country, 50)
		limit("Attention To", a.AttentionTo, 255)
		if !countryName.MatchString(a.Country) {
			bad("Country must contain letters only.")
		}
	}
	for _, p := range c.Phones {
		limit("Phone Number", p.PhoneNumber, 50)
		limit("Phone Area Code", p.PhoneAreaCode, 10)
		limit("Phone Country Code", p.PhoneCountryCode, 20)
	}
	if len(c.ContactPersons) > 5 {
		bad("A contact can have at most 5 contact persons.")
	}
	for _, p := range c.ContactPersons {
		limit("Contact Person First Name", p.FirstName, 255)
		limit("Contact Person Last Name", p.LastName, 255)
		if !validEmail(p.EmailAddress) {
			bad("Contact person email address must be valid")
		}
	}
	if c.PaymentTerms != nil {
		for _, b := range []*bill{c.PaymentTerms.Bills, c.PaymentTerms.Sales} {
			if b == nil {
				continue
			}
			low, high := 0, 999
			if strings.HasPrefix(b.Type, "OF") {
				low, high = 1, 31
			}
			if !slices.Contains(termTypes, b.Type) {
				bad("The payment term type %q is not valid.", b.Type)
			} else if b.Day < low || b.Day > high {
				bad("The payment term day must be between %d and %d.", low, high)
			}
		}
	}
	if c.DefaultCurrency != "" && !currencyCode.MatchString(c.DefaultCurrency) {
		bad("The currency code %q is not valid.", c.DefaultCurrency)
	}
	if !slices.Contains([]string{"ACTIVE", "ARCHIVED", "GDPRREQUEST"}, c.ContactStatus) {
		bad("The contact status %q is not valid.", c.ContactStatus)
	}
	return msgs
}

// validEmail takes "" and plain ASCII addresses: Xero does not take umlauts.
func validEmail(s string) bool {
	if s == "" {
		return true
	}
	if strings.ContainsFunc(s, func(r rune) bool { return r > 126 || r <= ' ' }) {
		return false
	}
	a, err := mail.ParseAddress(s)
	_, host, _ := strings.Cut(s, "@")
	return err == nil && a.Address == s && strings.Contains(host, ".")
}
