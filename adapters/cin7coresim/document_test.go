package cin7coresim

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What the vendor's OpenAPI document requires of answers: members that must be there, and texts that are never null.
func TestAnswersAreAsTheDocumentRequires(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	has := func(what string, o object, names string) {
		t.Helper()
		for name := range strings.FieldsSeq(names) {
			name, isText := strings.CutSuffix(name, "$")
			if v, there := o[name]; !there {
				t.Errorf("%s has no %s", what, name)
			} else if _, is := v.(string); isText && !is {
				t.Errorf("%s of %s is %v, not text", name, what, v)
			}
		}
	}
	first := func(o object, list string) object { return entries(o[list])[0] }
	attributes := ""
	for i := range 10 {
		attributes += fmt.Sprintf(" AdditionalAttribute%d$", i+1)
	}

	has("me", b.good("GET", "me", nil), "DiscountRule$ Company$")
	has("account", first(b.good("GET", "ref/account", nil), "AccountsList"), "Code$ Name$ Class$ Type$ Status$ Description$ DisplayName$ OldCode SystemAccount ForPayments BankAccountId BankAccountNumber")
	tiers := b.good("GET", "ref/priceTier", nil)
	if has("tier", first(tiers, "PriceTiers"), "Code Name$"); tiers["Page"] != nil || first(tiers, "PriceTiers")["ID"] != nil {
		t.Errorf("price tiers have neither pages nor ids: %v", tiers)
	}
	c := customer("Hartley Plumbing")
	c["Addresses"] = []any{object{"Line1": "1 High St", "Country": "Australia", "Type": "Billing"}}
	cust := first(b.good("POST", "customer", c), "CustomerList")
	has("customer", cust, "Location$"+attributes)
	has("address", first(cust, "Addresses"), "Line1$ Line2$ City$ State$ Postcode$ Country$")
	p := first(b.good("POST", "product", object{"SKU": "EL-20", "Name": "Elbow", "Category": "Other", "UOM": "Item", "CostingMethod": "FIFO", "Type": "Service", "Status": "Active"}), "Products")
	has("product", p, "Description$ ShortDescription$ StockLocator$ PickZones$ HSCode$ CountryOfOrigin$ CountryOfOriginCode$ AssemblyInstructionURL$")

	sale := b.good("POST", "sale", object{"CustomerID": cust["ID"], "SkipQuote": true})
	has("sale", sale, "SalesRepresentative$ ShipBy$ SourceChannel$ ExternalID$")
	has("sale's attributes", part(sale, "AdditionalAttributes"), attributes)
	row := first(b.good("GET", "saleList", nil), "SaleList")
	has("row", row, "InvoiceNumber InvoiceDate InvoiceDueDate InvoiceAmount PaidAmount")
	if row["PaidAmount"] != 0.0 {
		t.Errorf("nothing is paid: %v", row["PaidAmount"])
	}
	b.good("POST", "sale/order", object{"SaleID": sale["ID"], "Status": "AUTHORISED", "Lines": []any{object{"ProductID": p["ID"], "SKU": "EL-20", "Name": "Elbow", "Quantity": 1, "Price": 10, "Tax": 1,
		"TaxRule": "GST on Income", "Total": 10}}, "AdditionalCharges": []any{}, "TotalBeforeTax": 10, "Tax": 1, "Total": 11})
	b.put("sales", sale["ID"].(string), object{"Pick": "AUTHORISED", "Invoice": "AUTHORISED", "Pay": 5})

	query := "?SaleID=" + sale["ID"].(string)
	has("quote", b.good("GET", "sale/quote"+query, nil), "SaleID$ Status$ Lines AdditionalCharges Memo$ TotalBeforeTax Tax Total")
	has("invoice", first(b.good("GET", "sale/invoice"+query, nil), "Invoices"), "TaskID$ InvoiceNumber$ Status$ Lines Total Paid")
	has("fulfilment", first(b.good("GET", "sale/fulfilment"+query, nil), "Fulfilments"), "TaskID$ FulfillmentNumber LinkedInvoiceNumber$ Pick Pack Ship")
	status, out := b.call("GET", "sale/payment"+query, nil)
	if list := entries(out); status != 200 || len(list) != 1 || list[0]["Amount"] != 5.0 || list[0]["Type"] != "Payment" || list[0]["InvoiceNumber"] == nil {
		t.Errorf("payments: %d %v", status, out)
	}
	if l := b.good("GET", "saleCreditNoteList?UpdatedSince=2020-01-01T00:00:00", nil); l["Total"] != 0.0 || !slices.Equal(l["SaleList"].([]any), []any{}) {
		t.Errorf("credit notes: %v", l)
	}
	b.refused("GET", "saleCreditNoteList?UpdatedSince=soon", nil, 400, "not valid")
	b.refused("GET", "sale/invoice?SaleID=nothing", nil, 400, "not found")
}
