package cin7coresim

import (
	"encoding/json"
	"fmt"
)

// book is a reference book: entries that other objects name.
type book struct {
	path, list string
	rows       []object
}

func tax(name string, percent int, sale, purchase bool) object {
	return object{"Name": name, "Account": "820", "IsActive": true, "TaxInclusive": false, "TaxPercent": percent, "IsTaxForSale": sale, "IsTaxForPurchase": purchase,
		"Components": []object{{"ID": "B1151EEA-3364-4534-88E6-DF2C6B59A6D8", "Name": "Tax", "Percent": fmt.Sprintf("%d.0000000000", percent), "AccountCode": "820", "ComponentOrder": "1"}}}
}

func account(code, name, class, typ string) object {
	return object{"Code": code, "Name": name, "Class": class, "Type": typ, "Status": "ACTIVE", "Description": "", "DisplayName": code + ": " + name, "OldCode": nil,
		"SystemAccount": nil, "ForPayments": typ == "BANK", "BankAccountId": nil, "BankAccountNumber": nil}
}

// bookList is what a new Australian account has.
var bookList = []book{
	{"ref/tax", "TaxRuleList", []object{
		tax("GST on Income", 10, true, false), tax("GST Free Income", 0, true, false), tax("GST Free Exports", 0, true, false), tax("Input Taxed", 0, true, true),
		tax("BAS Excluded", 0, true, true), tax("GST on Expenses", 10, false, true), tax("GST on Capital", 10, false, true), tax("GST Free Expenses", 0, false, true),
		tax("GST Free Capital", 0, false, true), tax("GST on Imports", 0, false, true), tax("WET", 29, true, false),
	}},
	{"ref/account", "AccountsList", []object{
		account("200", "Sales", "REVENUE", "REVENUE"), account("260", "Other revenue", "REVENUE", "REVENUE"), account("310", "Cost of goods sold", "EXPENSE", "DIRECTCOSTS"),
		account("403", "Stock adjustments", "EXPENSE", "EXPENSE"), account("610", "Accounts receivable", "ASSET", "CURRENT"), account("630", "Inventory", "ASSET", "INVENTORY"), account("090", "Bank", "ASSET", "BANK"),
	}},
	{"ref/paymentterm", "PaymentTermList", []object{
		{"Name": "30 days", "Duration": 30, "Method": "number of days", "IsActive": true, "IsDefault": true},
		{"Name": "7 days", "Duration": 7, "Method": "number of days", "IsActive": true, "IsDefault": false},
		{"Name": "C.O.D.", "Duration": 0, "Method": "number of days", "IsActive": true, "IsDefault": false},
	}},
	{"ref/category", "CategoryList", []object{{"Name": "Other"}, {"Name": "Plumbing"}}},
	{"ref/brand", "BrandList", []object{{"Name": "Rheem"}, {"Name": "Dulux"}}},
	{"ref/unit", "UnitList", []object{{"Name": "Item"}, {"Name": "Box"}, {"Name": "Metre"}}},
	{tierPath, "PriceTiers", []object{{"Code": 1, "Name": "Tier 1"}, {"Code": 2, "Name": "Tier 2"}}},
}

const tierPath = "ref/pricetier"

var currencies = map[string]bool{"AUD": true, "NZD": true, "USD": true}

func books(newID func() string) map[string]table {
	all := map[string]table{}
	for _, b := range bookList {
		t := table{}
		for _, row := range b.rows {
			o := copyOf(row)
			id := newID()
			o["ID"] = id
			t[id] = o
		}
		all[b.path] = t
	}
	return all
}

func (s *Sim) getBook(b book) handler {
	return func(r *request) (any, *refused) {
		var list []object
		for _, o := range s.books[b.path].sorted("Name") {
			if starts(o["Name"], r.query["name"]) && starts(o["Code"], r.query["code"]) {
				list = append(list, shownEntry(b, o))
			}
		}
		if b.path == tierPath { // a short list that has no pages
			return object{b.list: list}, nil
		}
		return page(r, b.list, list)
	}
}

// shownEntry is an entry as the API shows it: those that are known by a code have no id.
func shownEntry(b book, o object) object {
	if b.path != "ref/account" && b.path != tierPath {
		return o
	}
	c := copyOf(o)
	delete(c, "ID")
	return c
}

// entry finds an entry by its exact name (of an account by its code); nil if there is none.
func (s *Sim) entry(path, member, name string) object {
	for _, o := range s.books[path] {
		if o[member] == name {
			return o
		}
	}
	return nil
}

// named checks that the members, where they are given, are in their books. They are listed as member, path, key of the book.
func (s *Sim) named(o object, members ...[3]string) *refused {
	for _, m := range members {
		name := text(o[m[0]])
		if name == "" {
			continue
		}
		if s.entry(m[1], m[2], name) == nil {
			return bad("%s '%s' was not found in reference book", m[0], name)
		}
	}
	return nil
}

func (s *Sim) me(*request) (any, *refused) {
	return object{"Company": "Hartley Plumbing Supplies Pty Ltd", "Currency": "AUD", "TimeZone": "AUS Eastern Standard Time", "LockDate": "2024-06-30T00:00:00",
		"DefaultWeightUnits": "kg", "DefaultDimensionsUnits": "cm", "TaxCalculationMethod": "Line", "DefaultSaleTaxRuleName": "GST on Income",
		"DefaultSaleTaxRuleId": s.entry("ref/tax", "Name", "GST on Income")["ID"], "DiscountRule": "", "AutomaticallyApplyDiscounts": false, "ApplyCustomerDiscountsAfterOtherDiscounts": false,
		"OpeningBalanceDate": "2020-07-01T00:00:00", "MaximumDecimalPlacesInQuantity": "N4", "RoundingTable": []object{}}, nil
}

// number reads a JSON number or a number as text.
func number(v any) (json.Number, bool) {
	d, ok := dec(v)
	return json.Number(d.String()), ok
}
