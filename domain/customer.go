package domain

import (
	"encoding/json"
	"time"

	"datum/domain/money"
)

// Customer is the golden customer. Empty strings and nil mean that no system has a value.
type Customer struct {
	ID        string    `json:"-"`
	Version   int64     `json:"-"` // grows by one with every golden change
	CreatedAt time.Time `json:"-"`
	UpdatedAt time.Time `json:"-"`

	Kind            string            `json:"kind,omitempty"` // BUSINESS or PERSON
	LegalName       string            `json:"legalName,omitempty"`
	TradingName     string            `json:"tradingName,omitempty"`
	ABN             string            `json:"abn,omitempty"` // 11 digits
	ACN             string            `json:"acn,omitempty"` // 9 digits
	GSTRegistered   *bool             `json:"gstRegistered,omitempty"`
	Email           string            `json:"email,omitempty"`
	Phone           string            `json:"phone,omitempty"`
	Mobile          string            `json:"mobile,omitempty"`
	Website         string            `json:"website,omitempty"`
	Contacts        []Contact         `json:"contacts,omitempty"`
	BillingAddress  *Address          `json:"billingAddress,omitempty"`
	ShippingAddress *Address          `json:"shippingAddress,omitempty"`
	LifecycleStage  string            `json:"lifecycleStage,omitempty"`
	SalesOwner      string            `json:"salesOwner,omitempty"`
	PaymentTerms    *PaymentTerms     `json:"paymentTerms,omitempty"`
	CreditLimit     *money.Money      `json:"creditLimit,omitempty"`
	Currency        string            `json:"currency,omitempty"` // ISO 4217
	Tags            []string          `json:"tags,omitempty"`
	Notes           string            `json:"notes,omitempty"`
	CustomFields    map[string]string `json:"customFields,omitempty"`
	Status          string            `json:"status,omitempty"` // ACTIVE or ARCHIVED
}

// Contact is a person at a customer.
type Contact struct {
	FirstName string `json:"firstName,omitempty"`
	LastName  string `json:"lastName,omitempty"`
	Email     string `json:"email,omitempty"`
	Phone     string `json:"phone,omitempty"`
	Role      string `json:"role,omitempty"`
}

// Address is an Australian postal address, or a foreign one as given. Postcode is text: 0800 is Darwin.
type Address struct {
	Lines    []string `json:"lines,omitempty"` // at most 4
	Suburb   string   `json:"suburb,omitempty"`
	State    string   `json:"state,omitempty"` // NSW, VIC, ... for Australia
	Postcode string   `json:"postcode,omitempty"`
	Country  string   `json:"country,omitempty"` // ISO 3166-1 alpha-2; AU when unknown and the state is Australian
}

// PaymentTerms say when an invoice falls due.
type PaymentTerms struct {
	// Basis is DAYS_AFTER_INVOICE, DAYS_AFTER_MONTH_END, DAY_OF_CURRENT_MONTH or DAY_OF_FOLLOWING_MONTH.
	Basis string `json:"basis"`
	Days  int    `json:"days"` // days, or the day of the month
}

// Values returns the customer's fields; fields without a value are Null.
func (c *Customer) Values() Values {
	v := Values{}
	ki, _ := KindCustomer.Info()
	for _, fi := range ki.Fields {
		v[fi.Name] = Null
	}
	b, err := json.Marshal(c)
	if err != nil {
		panic("domain.Customer.Values: " + err.Error())
	}
	var m map[Field]Value
	if err := json.Unmarshal(b, &m); err != nil {
		panic("domain.Customer.Values: " + err.Error())
	}
	for f, x := range m {
		v[f] = x
	}
	return v
}

// CustomerOf builds a customer from values. Values of an unexpected shape are an Internal error: they were normalised
// on the way in.
func CustomerOf(v Values) (Customer, error) {
	var c Customer
	b, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil {
		return Customer{}, &Error{Code: Internal, Op: "domain.CustomerOf", Message: "stored values do not fit the customer", Err: err}
	}
	return c, nil
}

// DisplayName is what people call the customer: trading name, else legal name, else e-mail, else "unnamed".
func (c *Customer) DisplayName() string {
	for _, s := range []string{c.TradingName, c.LegalName, c.Email} {
		if s != "" {
			return s
		}
	}
	return "unnamed customer"
}
