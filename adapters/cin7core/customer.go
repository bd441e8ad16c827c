package cin7core

import (
	"strings"

	"datum/adapters"
	"datum/domain"
)

// customerMapping is the table of Customer <-> customer. Its name is unique there, so a look-up by name needs no id of ours.
func customerMapping(h habits) adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindCustomer, Object: "customer",
		Rows: []adapters.Row{
			required("legalName", "Name", 256, "required and unique"),
			{Field: "abn", Paths: []string{"TaxNumber"}, Note: "written 51 824 753 556",
				Get: func(o object) domain.Value { return domain.TextValue(adapters.String(o, "TaxNumber")) },
				Set: func(o object, v domain.Value) error { o["TaxNumber"] = domain.FormatABN(v.Text()); return nil }},
			ownRow("email", "Email", 256, "of the default contact, which is the customer itself; its name stays"),
			ownRow("phone", "Phone", 50, "of the default contact"),
			ownRow("mobile", "MobilePhone", 50, "of the default contact"),
			ownRow("website", "Website", 256, "of the default contact"),
			{Field: "contacts", Paths: []string{"Contacts"}, Get: getPeople, Set: setPeople, Fit: fitPeople,
				Note: "the contacts that are not the default; the last word of Name is the last name, JobTitle is the role"},
			addressRow("billingAddress", "Billing"),
			addressRow("shippingAddress", "Shipping"),
			amountRow("creditLimit", "CreditLimit", "in the customer's currency; 0 is none", 2, func(o object) string {
				if c := adapters.String(o, "Currency"); c != "" {
					return c
				}
				return h.currency
			}),
			{Field: "currency", Paths: []string{"Currency"}, Note: "cannot change once there are transactions; none means the account's own", Fit: fitted(h.currency),
				Get: func(o object) domain.Value { return domain.TextValue(adapters.String(o, "Currency")) },
				Set: func(o object, v domain.Value) error { o["Currency"] = fitted(h.currency)(v).Text(); return nil }},
			tagsRow(),
			adapters.TextRow("notes", "Comments", 2000, ""),
			statusRow(),
		},
		Known: append(attributes(), "ID", "LastModifiedOn", "Addresses", "PaymentTerm", "AccountReceivable", "RevenueAccount", "TaxRule", "PriceTier", "Discount", "Carrier",
			"SalesRepresentative", "Location", "IsOnCreditHold", "AttributeSet", "ProductPrices", "CustomerID"),
	}
}

func attributes() []string {
	var names []string
	for _, n := range strings.Fields("1 2 3 4 5 6 7 8 9 10") {
		names = append(names, "AdditionalAttribute"+n)
	}
	return names
}

// own is the default contact, nil if there is none.
func own(o object) object {
	for _, c := range entries(o["Contacts"]) {
		if c["Default"] == true {
			return c
		}
	}
	return nil
}

// ownRow maps a member of the default contact. If there is none one is made, with the customer's name.
func ownRow(f domain.Field, key string, limit int, note string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{"Contacts[default]." + key}, Max: limit, Note: note,
		Get: func(o object) domain.Value {
			if _, ok := o["Contacts"]; !ok {
				return ""
			}
			return domain.TextValue(adapters.String(own(o), key))
		},
		Set: func(o object, v domain.Value) error {
			c := own(o)
			if c == nil {
				if v.Empty() {
					return nil
				}
				c = object{"Default": true}
				list, _ := o["Contacts"].([]any)
				o["Contacts"] = append([]any{c}, list...)
			}
			c[key] = v.Text()
			return nil
		}}
}

func getPeople(o object) domain.Value {
	if _, ok := o["Contacts"]; !ok {
		return ""
	}
	people := []domain.Contact{}
	for _, c := range entries(o["Contacts"]) {
		if c["Default"] != true {
			people = append(people, person(c))
		}
	}
	return domain.ValueOf(people)
}

// person reads a contact; one that is named for its e-mail address or number has no name of its own.
func person(c object) domain.Contact {
	p := domain.Contact{Email: adapters.String(c, "Email"), Phone: adapters.String(c, "Phone"), Role: adapters.String(c, "JobTitle")}
	if name := strings.Join(strings.Fields(adapters.String(c, "Name")), " "); name != p.Email && name != p.Phone {
		p.FirstName, p.LastName = split(name)
	}
	return p
}

// split takes the last word of a name for the last name; a single word is a first name.
func split(name string) (first, last string) {
	i := strings.LastIndexByte(name, ' ')
	if i < 0 {
		return name, ""
	}
	return name[:i], name[i+1:]
}

func nameOf(p domain.Contact) string {
	for _, name := range []string{strings.TrimSpace(p.FirstName + " " + p.LastName), p.Email, p.Phone} {
		if name != "" {
			return name
		}
	}
	return ""
}

// fitPeople splits names as they will be read and leaves out who has neither name nor address.
func fitPeople(v domain.Value) domain.Value {
	var people []domain.Contact
	if v.Empty() || v.Decode(&people) != nil {
		return v
	}
	out := []domain.Contact{}
	for _, p := range people {
		if nameOf(p) == "" {
			continue
		}
		p.FirstName, p.LastName = split(strings.TrimSpace(p.FirstName + " " + p.LastName))
		out = append(out, p)
	}
	return domain.ValueOf(out)
}

// setPeople replaces the people. One who was there before, by name or address, keeps the id and what Datum does not carry.
func setPeople(o object, v domain.Value) error {
	var people []domain.Contact
	if err := fitPeople(v).Decode(&people); err != nil {
		return err
	}
	var list []any
	var before []object
	for _, c := range entries(o["Contacts"]) {
		if c["Default"] == true {
			list = append(list, c)
		} else {
			before = append(before, c)
		}
	}
	for _, p := range people {
		c := object{"Default": false}
		for i, b := range before {
			if strings.EqualFold(adapters.String(b, "Name"), nameOf(p)) || p.Email != "" && strings.EqualFold(adapters.String(b, "Email"), p.Email) {
				c = b
				before = append(before[:i:i], before[i+1:]...)
				break
			}
		}
		for _, m := range []struct {
			key, text string
			limit     int
		}{{"Name", nameOf(p), 256}, {"Email", p.Email, 256}, {"Phone", p.Phone, 50}, {"JobTitle", p.Role, 256}} {
			if err := within(m.key+" of "+nameOf(p), m.text, m.limit); err != nil {
				return err
			}
			c[m.key] = m.text
		}
		list = append(list, c)
	}
	if list == nil {
		list = []any{}
	}
	o["Contacts"] = list
	return nil
}

// typed returns the default address of a type, else the first of it; -1 if there is none.
func typed(o object, typ string) int {
	first := -1
	for i, a := range entries(o["Addresses"]) {
		if adapters.String(a, "Type") != typ {
			continue
		}
		if a["DefaultForType"] == true {
			return i
		}
		if first < 0 {
			first = i
		}
	}
	return first
}

func addressRow(f domain.Field, typ string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{"Addresses[" + typ + "]"}, Fit: fitAddress,
		Note: "the default of its type; City is the suburb, Country by name and required; further lines are joined to the second",
		Get: func(o object) domain.Value {
			if _, ok := o["Addresses"]; !ok {
				return ""
			}
			i := typed(o, typ)
			if i < 0 {
				return domain.Null
			}
			return addressOf(entries(o["Addresses"])[i])
		},
		Set: func(o object, v domain.Value) error {
			list, _ := o["Addresses"].([]any)
			i := typed(o, typ)
			switch {
			case v.Empty() && i < 0:
				return nil
			case v.Empty():
				o["Addresses"] = append(list[:i:i], list[i+1:]...)
				return nil
			case i < 0:
				i, list = len(list), append(list[:len(list):len(list)], object{"Type": typ, "DefaultForType": true})
				o["Addresses"] = list
			}
			return putAddress(list[i].(object), v)
		}}
}
