package myobsim

import (
	"encoding/json"
	"fmt"
	"regexp"
)

var abnForm = regexp.MustCompile(`^\d\d \d\d\d \d\d\d \d\d\d$`)

// customers is the resource Contact/Customer.
func customers() *resource {
	custom := func(name string) member {
		return member{name: name, kind: group, hidden: true, members: []member{{name: "Label", kind: text, readOnly: true}, {name: "Value", kind: text, max: 255}}}
	}
	address := []member{
		{name: "Location", kind: number, required: true},
		{name: "Street", kind: text, max: 255}, {name: "City", kind: text, max: 255}, {name: "State", kind: text, max: 255},
		{name: "PostCode", kind: text, max: 10}, {name: "Country", kind: text, max: 255},
		{name: "Phone1", kind: text, max: 21}, {name: "Phone2", kind: text, max: 21}, {name: "Phone3", kind: text, max: 21},
		{name: "Fax", kind: text, max: 21}, {name: "Email", kind: text, max: 255}, {name: "Website", kind: text, max: 255},
		{name: "ContactName", kind: text, max: 25}, {name: "Salutation", kind: text, max: 15},
	}
	selling := []member{
		{name: "SaleLayout", kind: text, values: []string{"NoDefault", "Service", "Item", "Professional", "TimeBilling", "Miscellaneous"}},
		{name: "InvoiceDelivery", kind: text, values: []string{"Nothing", "Print", "Email", "PrintAndEmail"}},
		{name: "PrintedForm", kind: text, max: 34}, {name: "ItemPriceLevel", kind: text, readOnly: true}, {name: "ReceiptMemo", kind: text, max: 255},
		{name: "SaleComment", kind: text, max: 255}, {name: "ShippingMethod", kind: text, max: 255}, {name: "HourlyBillingRate", kind: number},
		{name: "ABN", kind: text, max: 14, form: abnForm}, {name: "ABNBranch", kind: text, max: 11},
		{name: "TaxCode", kind: link, to: "GeneralLedger/TaxCode", required: true},
		{name: "FreightTaxCode", kind: link, to: "GeneralLedger/TaxCode", required: true},
		{name: "UseCustomerTaxCode", kind: flag},
		{name: "Terms", kind: group, members: []member{
			{name: "PaymentIsDue", kind: text, required: true, values: []string{"CashOnDelivery", "Prepaid", "InAGivenNumberOfDays", "OnADayOfTheMonth", "NumberOfDaysAfterEOM", "DayOfMonthAfterEOM"}},
			{name: "DiscountDate", kind: number}, {name: "BalanceDueDate", kind: number}, {name: "DiscountForEarlyPayment", kind: number},
			{name: "MonthlyChargeForLatePayment", kind: number}, {name: "VolumeDiscount", kind: number},
		}},
		{name: "Credit", kind: group, members: []member{
			{name: "Limit", kind: number}, {name: "Available", kind: number, readOnly: true}, {name: "PastDue", kind: number, readOnly: true}, {name: "OnHold", kind: flag},
		}},
		{name: "TaxIdNumber", kind: text, max: 19}, {name: "Memo", kind: text, max: 255},
	}
	return &resource{
		path: "Contact/Customer", typ: "customers", name: "customer", labels: []string{"DisplayID"},
		schema: []member{
			{name: "CompanyName", kind: text, max: 50}, {name: "LastName", kind: text, max: 30}, {name: "FirstName", kind: text, max: 20},
			{name: "IsIndividual", kind: flag}, {name: "DisplayID", kind: text, max: 15}, {name: "IsActive", kind: flag},
			{name: "Addresses", kind: list, members: address, most: 5}, {name: "Notes", kind: text, max: 255},
			{name: "Identifiers", kind: list, hidden: true, members: []member{{name: "Label", kind: text, max: 3}, {name: "Value", kind: text, max: 255}}},
			custom("CustomList1"), custom("CustomList2"), custom("CustomList3"), custom("CustomField1"), custom("CustomField2"), custom("CustomField3"),
			{name: "CurrentBalance", kind: number, readOnly: true}, {name: "PhotoURI", kind: text, readOnly: true, hidden: true},
			{name: "SellingDetails", kind: group, required: true, members: selling},
			{name: "PaymentDetails", kind: group, members: []member{
				{name: "Method", kind: text, max: 255}, {name: "CardNumber", kind: text, max: 4}, {name: "NameOnCard", kind: text, max: 32},
				{name: "BSBNumber", kind: text, max: 7}, {name: "BankAccountNumber", kind: text, max: 9}, {name: "BankAccountName", kind: text, max: 32},
				{name: "Notes", kind: text, max: 255},
			}},
			{name: "ForeignCurrency", kind: text, readOnly: true, hidden: true},
		},
		blank: func(s *Sim) object {
			return object{"IsActive": true, "SellingDetails": object{"TaxCode": s.taxCode("GST"), "FreightTaxCode": s.taxCode("GST")}}
		},
		settle: settleCustomer, check: checkCustomer, removable: removableCustomer, computed: []string{"CurrentBalance"},
	}
}

// settleCustomer fills in what the file decides: labels, the card id of a card without one, and the terms of payment.
func settleCustomer(s *Sim, o, _ object) {
	if o["DisplayID"] == nil {
		o["DisplayID"] = "*None"
	}
	for i := range 3 {
		for _, kind := range []string{"Field", "List"} {
			name := fmt.Sprintf("Custom%s%d", kind, i+1)
			f, _ := o[name].(object)
			if f["Value"] == nil {
				o[name] = nil
				continue
			}
			f["Label"] = fmt.Sprintf("Custom %s No. %d", kind, i+1)
		}
	}
	sd, _ := o["SellingDetails"].(object)
	if sd == nil {
		return
	}
	if sd["Terms"] == nil {
		sd["Terms"] = s.terms()
	}
	if sd["ItemPriceLevel"] == nil {
		sd["ItemPriceLevel"] = "Base Selling Price"
	}
	c, _ := sd["Credit"].(object)
	if c == nil {
		c = object{"Limit": json.Number("0"), "PastDue": json.Number("0"), "OnHold": false}
		sd["Credit"] = c
	}
	c["Available"] = difference(c["Limit"], o["CurrentBalance"])
}

func checkCustomer(_ *Sim, o, _ object) []problem {
	var ps []problem
	switch {
	case o["IsIndividual"] == true && o["LastName"] == nil:
		ps = append(ps, required("LastName"))
	case o["IsIndividual"] != true && o["CompanyName"] == nil:
		ps = append(ps, required("CompanyName"))
	}
	seen := map[string]bool{}
	all, _ := o["Addresses"].([]any)
	for _, x := range all {
		n := fmt.Sprint(x.(object)["Location"])
		if seen[n] || len(n) != 1 || n < "1" || n > "5" {
			ps = append(ps, problem{Name: "ValidationError", Message: "Location must be a number from 1 to 5 that no other address has", AdditionalDetails: "Addresses"})
		}
		seen[n] = true
	}
	return ps
}

func removableCustomer(s *Sim, o object) *problem {
	if rat(o["CurrentBalance"]).Sign() == 0 && !s.named("Customer", o["UID"]) {
		return nil
	}
	return &problem{Name: "CannotDelete", Message: "The contact has transactions and cannot be deleted", AdditionalDetails: "CurrentBalance"}
}
