package cin7coresim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

const (
	active     = "Active"
	deprecated = "Deprecated"
)

// schema says which members an object has and how long text may be; -1 is not text.
type schema map[string]int

var customerSchema = schema{
	"Name": 256, "Status": 20, "Currency": 3, "PaymentTerm": 256, "AccountReceivable": 50, "RevenueAccount": 50, "TaxRule": 50, "PriceTier": 50, "Carrier": 256,
	"SalesRepresentative": 256, "Location": 256, "Discount": -1, "Comments": 2000, "TaxNumber": 50, "CreditLimit": -1, "Tags": 256, "AttributeSet": 50,
	"IsOnCreditHold": -1, "Addresses": -1, "Contacts": -1,
}

var addressSchema = schema{"Line1": 256, "Line2": 256, "City": 256, "State": 256, "Postcode": 20, "Country": 256, "Type": 20, "DefaultForType": -1}

var contactSchema = schema{"Name": 256, "JobTitle": 256, "Phone": 50, "MobilePhone": 50, "Fax": 50, "Email": 256, "Website": 256, "Comment": 256, "Default": -1, "IncludeInEmail": -1}

func attributes(s schema) schema {
	s = maps.Clone(s)
	for i := range 10 {
		s[fmt.Sprintf("AdditionalAttribute%d", i+1)] = 256
	}
	return s
}

// lay puts what is given of the schema's members over the object; others are ignored. Text that is too long is refused.
func (s schema) lay(o, given object) *refused {
	for _, k := range slices.Sorted(maps.Keys(given)) {
		limit, known := s[k]
		if !known {
			continue
		}
		v := given[k]
		if limit >= 0 {
			t := text(v)
			if n := utf8.RuneCountInString(t); n > limit {
				return bad("%s length should be less or equal to %d", k, limit)
			}
			if v != nil {
				v = t
			}
		}
		o[k] = v
	}
	return nil
}

func (s *Sim) getCustomers(r *request) (any, *refused) {
	at, ok := since(r.query["modifiedsince"])
	if !ok {
		return nil, bad("Parameter ModifiedSince is not valid date")
	}
	var list []object
	for _, o := range s.customers.sorted("Name") {
		id := r.id("id")
		switch {
		case id != "" && o["ID"] != id, !starts(o["Name"], r.query["name"]), !changedSince(o, "LastModifiedOn", at):
		case o["Status"] == deprecated && id == "" && !r.yes("includedeprecated"):
		case r.query["contactfilter"] != "" && !s.hasContact(o, r.query["contactfilter"]):
		default:
			list = append(list, o)
		}
	}
	return page(r, "CustomerList", list)
}

// hasContact looks for text in names, numbers and addresses of the contacts.
func (s *Sim) hasContact(o object, want string) bool {
	for _, c := range entries(o["Contacts"]) {
		for _, k := range []string{"Name", "Phone", "MobilePhone", "Email"} {
			if strings.Contains(strings.ToLower(text(c[k])), strings.ToLower(want)) {
				return true
			}
		}
	}
	return false
}

// entries are the objects of a list.
func entries(v any) []object {
	var list []object
	switch v := v.(type) {
	case []object:
		return v
	case []any:
		for _, x := range v {
			if o, ok := x.(object); ok {
				list = append(list, o)
			}
		}
	}
	return list
}

func (s *Sim) postCustomer(r *request) (any, *refused) {
	o, problems, e := s.saveCustomer(nil, r.body)
	if e != nil {
		return nil, e
	}
	s.wrote("customers", nil, o)
	return answered("CustomerList", o, problems), nil
}

func (s *Sim) putCustomer(r *request) (any, *refused) {
	old := s.customers[strings.ToLower(text(r.body["ID"]))]
	if old == nil {
		return nil, bad("Customer with ID '%s' was not found", text(r.body["ID"]))
	}
	o, problems, e := s.saveCustomer(old, r.body)
	if e != nil {
		return nil, e
	}
	s.wrote("customers", old, o)
	return answered("CustomerList", o, problems), nil
}

// answered is the answer to a write: the list with the one object, and what was left out of it.
func answered(list string, o object, problems []string) object {
	out := object{"Total": 1, "Page": 1, list: []object{o}}
	if len(problems) > 0 {
		out["Errors"] = problems
	}
	return out
}

// saveCustomer makes or changes a customer. What is not given stays.
func (s *Sim) saveCustomer(old, given object) (object, []string, *refused) {
	o := object{"Discount": 0, "CreditLimit": 0, "IsOnCreditHold": false, "Tags": "", "Comments": "", "TaxNumber": "", "Addresses": []any{}, "Contacts": []any{},
		"AttributeSet": nil, "Carrier": "DEFAULT Carrier", "SalesRepresentative": "", "Location": "", "PriceTier": "Tier 1"}
	maps.Copy(o, blankAttributes())
	if old != nil {
		o = copyOf(old)
	}
	if e := attributes(customerSchema).lay(o, given); e != nil {
		return nil, nil, e
	}
	for _, k := range []string{"Name", "Status", "Currency", "PaymentTerm", "AccountReceivable", "RevenueAccount", "TaxRule"} {
		if strings.TrimSpace(text(o[k])) == "" {
			return nil, nil, bad("%s is required", k)
		}
	}
	if o["Status"] != active && o["Status"] != deprecated {
		return nil, nil, bad("Status '%s' is not valid. Available values are Active, Deprecated", text(o["Status"]))
	}
	if !currencies[text(o["Currency"])] {
		return nil, nil, bad("Currency '%s' was not found in reference book", text(o["Currency"]))
	}
	if e := s.named(o, [3]string{"PaymentTerm", "ref/paymentterm", "Name"}, [3]string{"AccountReceivable", "ref/account", "Code"}, [3]string{"RevenueAccount", "ref/account", "Code"},
		[3]string{"TaxRule", "ref/tax", "Name"}, [3]string{"PriceTier", "ref/pricetier", "Name"}); e != nil {
		return nil, nil, e
	}
	for k, most := range map[string]string{"Discount": "100", "CreditLimit": "1000000000"} {
		d, ok := dec(o[k])
		if limit, _ := dec(most); !ok || d.IsNegative() || d.GreaterThan(limit) {
			return nil, nil, bad("%s must be a number from 0 to %s", k, most)
		}
		o[k], _ = number(o[k])
	}
	for _, x := range s.customers {
		if x["ID"] != o["ID"] && strings.EqualFold(text(x["Name"]), text(o["Name"])) {
			return nil, nil, bad("Customer with name '%s' already exists", text(o["Name"]))
		}
	}
	var problems []string
	o["Addresses"] = s.list(o["Addresses"], addressSchema, "Address", &problems, func(a object) string {
		switch {
		case text(a["Line1"]) == "":
			return "Line1 is required"
		case text(a["Country"]) == "":
			return "Country is required"
		case !slices.Contains([]string{"Billing", "Business", "Shipping"}, text(a["Type"])):
			return "Type should be Billing, Business or Shipping"
		}
		return ""
	})
	o["Contacts"] = s.list(o["Contacts"], contactSchema, "Contact", &problems, func(c object) string {
		if text(c["Name"]) == "" {
			return "Name is required"
		}
		return ""
	})
	if old == nil {
		o["ID"] = s.UUID()
	}
	o["LastModifiedOn"] = s.stamp()
	s.customers[text(o["ID"])] = o
	s.notify("Customer/Updated", object{"CustomerID": upper(o["ID"]), "CustomerName": o["Name"]})
	return o, problems, nil
}

// list reads a list of entries that each may have an id; one that is not valid is left out and reported.
func (s *Sim) list(v any, sc schema, name string, problems *[]string, check func(object) string) []any {
	out := []any{}
	for _, given := range entries(v) {
		o := object{}
		for k := range sc {
			o[k] = ""
			if k == "Default" || k == "DefaultForType" || k == "IncludeInEmail" {
				o[k] = false
			}
		}
		words := ""
		if e := sc.lay(o, given); e != nil {
			words = e.Error()
		} else {
			words = check(o)
		}
		if words != "" {
			*problems = append(*problems, fmt.Sprintf("%s '%s' was not saved: %s", name, text(o["Name"])+text(o["Line1"]), words))
			continue
		}
		if o["ID"] = text(given["ID"]); o["ID"] == "" {
			o["ID"] = s.UUID()
		}
		out = append(out, o)
	}
	return out
}
