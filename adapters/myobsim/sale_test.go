package myobsim_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"datum/adapters/myobsim"
)

const (
	itemInvoice = "/Sale/Invoice/Item"
	payment     = "/Sale/CustomerPayment"
)

// shop is a file with a customer and an item; it returns links to them.
func shop(t *testing.T, o myobsim.Options) (f *fixture, customer, item object) {
	t.Helper()
	o.Limits = myobsim.Limits{Second: -1}
	f = setup(t, o)
	put := func(typ string, p object) object {
		x, err := f.sim.Put(typ, "", p)
		if err != nil {
			t.Fatal(err)
		}
		return object{"UID": x.(object)["UID"]}
	}
	return f, put("customers", object{"CompanyName": "Banksia Pty Ltd"}), put("items", object{"Number": "PIPE", "Name": "Pipe"})
}

func (f *fixture) invoice(customer object, inclusive bool, lines ...object) object {
	f.Helper()
	all := []any{}
	for _, l := range lines {
		all = append(all, l)
	}
	return object{"Customer": customer, "Date": "2026-03-31 00:00:00", "IsTaxInclusive": inclusive, "Lines": all}
}

func figures(o object) string {
	return fmt.Sprint(o["Subtotal"], " ", o["TotalTax"], " ", o["TotalAmount"], " ", o["BalanceDueAmount"], " ", o["Status"])
}

// TestTotals: lines are rounded to cents, half a cent up, and the tax of all of them once.
func TestTotals(t *testing.T) {
	t.Parallel()
	f, customer, item := shop(t, myobsim.Options{})
	gst, free := f.taxCode("GST"), f.taxCode("FRE")
	times := func(n int, price any) (ls []object) {
		for range n {
			ls = append(ls, object{"Item": item, "ShipQuantity": 1, "UnitPrice": price, "TaxCode": gst})
		}
		return ls
	}
	for _, c := range []struct {
		inclusive bool
		lines     []object
		want      string
	}{
		{false, times(3, 19.95), "59.85 5.99 65.84 65.84 Open"}, {false, append(times(2, 33.33), times(1, 33.34)...), "100 10 110 110 Open"},
		{false, times(4, 1.05), "4.2 0.42 4.62 4.62 Open"}, {false, times(10, 9.99), "99.9 9.99 109.89 109.89 Open"},
		{true, times(3, 9.95), "27.14 2.71 29.85 29.85 Open"}, {true, times(3, 19.99), "54.52 5.45 59.97 59.97 Open"},
		{true, times(7, 5), "31.82 3.18 35 35 Open"}, {true, times(10, 0.05), "0.45 0.05 0.5 0.5 Open"}, {true, times(1, -110), "-100 -10 -110 -110 Credit"},
		{false, append(times(1, 10.555555), object{"Item": item, "ShipQuantity": 1, "UnitPrice": 10.588888, "TaxCode": free}), "21.15 1.06 22.21 22.21 Open"},
		{false, []object{{"Item": item, "ShipQuantity": 30, "UnitPrice": 0.3333, "DiscountPercent": 10, "TaxCode": free}, {"Type": "Header", "Description": "thanks"}}, "9 0 9 9 Open"},
		{true, times(1, 0), "0 0 0 0 Closed"},
	} {
		o := f.ok(201, "POST", itemInvoice+"?returnBody=true", f.invoice(customer, c.inclusive, c.lines...))
		if got := figures(o); got != c.want {
			t.Errorf("inclusive %v, %v: %s, want %s", c.inclusive, c.lines, got, c.want)
		}
	}
	in := f.invoice(customer, true, times(1, 110)...)
	in["Freight"], in["FreightTaxCode"] = 11, gst
	if o := f.ok(201, "POST", itemInvoice+"?returnBody=true", in); figures(o) != "100 11 121 121 Open" {
		t.Errorf("with freight: %s", figures(o))
	}
	delete(in, "IsTaxInclusive")
	if o := f.ok(201, "POST", itemInvoice+"?returnBody=true", in); o["IsTaxInclusive"] != true || o["Number"] != "00000014" || o["JournalMemo"] != "Sale; Banksia Pty Ltd" {
		t.Errorf("by itself: %v", o)
	}
}

func TestInvoices(t *testing.T) {
	t.Parallel()
	f, customer, item := shop(t, myobsim.Options{})
	gst := f.taxCode("GST")
	line := object{"Item": item, "ShipQuantity": 2, "UnitPrice": 55, "TaxCode": gst}
	resp, _ := f.call("POST", itemInvoice, f.invoice(customer, true, line, line))
	at := strings.TrimPrefix(resp.Header.Get("Location"), f.url)
	o := f.ok(200, "GET", at, nil)
	rows := o["Lines"].([]any)
	if resp.StatusCode != 201 || len(rows) != 2 || rows[1].(object)["RowID"] != 2.0 || rows[0].(object)["Item"].(object)["Number"] != "PIPE" || rows[0].(object)["Total"] != 110.0 {
		t.Fatalf("%d %v", resp.StatusCode, o)
	}
	if terms := o["Terms"].(object); o["Date"] != "2026-03-31T00:00:00" || terms["DueDate"] != "2026-04-30T00:00:00" || terms["PaymentIsDue"] != "InAGivenNumberOfDays" {
		t.Errorf("dates: %v %v", o["Date"], terms)
	}
	card := func() object { return f.ok(200, "GET", customer2(customer), nil) }
	if c := card(); c["CurrentBalance"] != 220.0 {
		t.Errorf("the customer owes %v", c["CurrentBalance"])
	}
	change := func(o object, name string, v any) object {
		c := object{}
		for k, x := range o {
			c[k] = x
		}
		c[name] = v
		return c
	}
	stale := object{"RowID": 1, "RowVersion": "1", "Item": item, "ShipQuantity": 1, "UnitPrice": 1, "TaxCode": gst}
	for name, c := range map[string]struct {
		status int
		body   object
		want   string
	}{
		"the version before":       {409, change(o, "RowVersion", "1"), "IncorrectRowVersionSupplied"},
		"a line's version before":  {409, change(o, "Lines", []any{stale}), "IncorrectRowVersionSupplied"},
		"no lines":                 {400, change(o, "Lines", []any{}), "Required"},
		"a line without item":      {400, change(o, "Lines", []any{object{"ShipQuantity": 1, "UnitPrice": 1, "TaxCode": gst}}), "Required"},
		"a line without code":      {400, change(o, "Lines", []any{object{"Item": item, "ShipQuantity": 1, "UnitPrice": 1}}), "Required"},
		"seven places":             {400, change(o, "Lines", []any{object{"Item": item, "ShipQuantity": 1, "UnitPrice": 0.1234567, "TaxCode": gst}}), "ValidationError"},
		"a sum that does not add":  {400, change(o, "Lines", []any{object{"Item": item, "ShipQuantity": 1, "UnitPrice": 1, "Total": 2, "TaxCode": gst}}), "ValidationError"},
		"no customer":              {400, change(o, "Customer", nil), "Required"},
		"a customer who is none":   {400, change(o, "Customer", item), "NotFound Required"},
		"a long number":            {400, change(o, "Number", "12345678901234"), "ValidationError"},
		"freight without code":     {400, change(o, "Freight", 5), "Required"},
		"a date in a locked month": {400, change(o, "Date", "2020-01-01"), "PeriodLocked"},
		"no date at all":           {400, change(o, "Date", "soon"), "SerializationError"},
	} {
		if got := f.refused(c.status, "PUT", at, c.body); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	f.refused(400, "POST", itemInvoice, change(f.invoice(customer, true, line), "Number", o["Number"]))
	// A row that is left out goes; one without RowID is new.
	o = f.ok(200, "PUT", at+"?returnBody=true", change(o, "Lines", []any{rows[1], line}))
	if got := o["Lines"].([]any); len(got) != 2 || got[0].(object)["RowID"] != 2.0 || got[1].(object)["RowID"] != 3.0 {
		t.Errorf("rows: %v", got)
	}
	all := f.ok(200, "GET", "/Sale/Invoice?$filter="+url.QueryEscape("TotalAmount ge 0 and Customer/UID eq guid'"+customer["UID"].(string)+"'"), nil)["Items"].([]any)
	if x := all[0].(object); len(all) != 1 || x["InvoiceType"] != "Item" || x["Lines"] != nil || x["URI"] != f.url+at {
		t.Errorf("every layout: %v", all)
	}
	f.refused(404, "POST", "/Sale/Invoice", f.invoice(customer, true, line))
	f.refused(400, "DELETE", customer2(customer), nil)
	f.refused(400, "DELETE", "/Inventory/Item/"+item["UID"].(string), nil)
	f.ok(200, "DELETE", at, nil)
	if c := card(); c["CurrentBalance"] != 0.0 {
		t.Errorf("after that the customer owes %v", c["CurrentBalance"])
	}
}

func customer2(customer object) string { return "/Contact/Customer/" + customer["UID"].(string) }

// TestMoney: payments, credits and refunds move what is due, and RowVersion with it, but not LastModified.
func TestMoney(t *testing.T) {
	t.Parallel()
	f, customer, item := shop(t, myobsim.Options{})
	make1 := func(price int) object {
		return f.ok(201, "POST", itemInvoice+"?returnBody=true", f.invoice(customer, true, object{"Item": item, "ShipQuantity": 1, "UnitPrice": price, "TaxCode": f.taxCode("GST")}))
	}
	sale, credit := make1(110), make1(-44)
	link := func(o object) object { return object{"UID": o["UID"]} }
	now := func(o object) object { return f.ok(200, "GET", itemInvoice+"/"+o["UID"].(string), nil) }
	is := func(what string, o object, want string) {
		t.Helper()
		n := now(o)
		if got := fmt.Sprint(n["BalanceDueAmount"], " ", n["Status"]); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
		if n["LastModified"] != o["LastModified"] || n["RowVersion"] == o["RowVersion"] {
			t.Errorf("%s: modified %v, version %v; before %v, %v", what, n["LastModified"], n["RowVersion"], o["LastModified"], o["RowVersion"])
		}
	}
	f.sim.Advance(time.Minute)
	pay := func(amount any) object {
		return object{"DepositTo": "UndepositedFunds", "Customer": customer, "Date": "2026-04-02", "Invoices": []any{object{"UID": sale["UID"], "Type": "Invoice", "AmountApplied": amount}}}
	}
	paid := f.ok(201, "POST", payment+"?returnBody=true", pay(60))
	if paid["AmountReceived"] != 60.0 || paid["ReceiptNumber"] != "CR000001" || paid["Account"].(object)["DisplayID"] != "1-1180" || paid["Invoices"].([]any)[0].(object)["Number"] != sale["Number"] {
		t.Errorf("%v", paid)
	}
	is("partly paid", sale, "50 Open")
	for name, body := range map[string]object{"too much": pay(50.01), "nothing": pay(0), "less": pay(-1)} {
		if got := f.refused(400, "POST", payment, body); got != "ValidationError" {
			t.Errorf("%s: %s", name, got)
		}
	}
	f.refused(404, "PUT", payment+"/"+paid["UID"].(string), paid)
	f.refused(400, "DELETE", itemInvoice+"/"+sale["UID"].(string), nil)

	settle := func(amount any) object {
		return object{"CreditFromInvoice": link(credit), "Date": "2026-04-02", "Lines": []any{object{"Type": "Invoice", "Sale": link(sale), "AmountApplied": amount}}}
	}
	f.refused(400, "POST", "/Sale/CreditSettlement", settle(45))
	s := f.ok(201, "POST", "/Sale/CreditSettlement?returnBody=true", settle(40))
	is("settled", sale, "10 Open")
	is("used in part", credit, "-4 Credit")
	refund := object{"Invoice": link(credit), "Amount": 5, "Date": "2026-04-03"}
	if got := f.refused(400, "POST", "/Sale/CreditRefund", refund); !slices.Contains(strings.Fields(got), "Required") {
		t.Errorf("no account, and too much: %s", got)
	}
	account, err := f.sim.Account("1-1110")
	if err != nil {
		t.Fatal(err)
	}
	refund["Account"], refund["Amount"] = account, 4
	f.ok(201, "POST", "/Sale/CreditRefund", refund)
	is("used up", credit, "0 Closed")
	f.ok(200, "DELETE", "/Sale/CreditSettlement/"+s["UID"].(string), nil)
	is("settlement deleted", credit, "-40 Credit")
	is("settlement deleted", sale, "50 Open")
	f.ok(200, "DELETE", payment+"/"+paid["UID"].(string), nil)
	is("payment deleted", sale, "110 Open")
	if c := f.ok(200, "GET", customer2(customer), nil); c["CurrentBalance"] != 70.0 {
		t.Errorf("the customer owes %v", c["CurrentBalance"])
	}
	found := f.ok(200, "GET", "/Sale/CreditRefund?$filter="+url.QueryEscape("Invoice/UID eq guid'"+credit["UID"].(string)+"' and substringof('Banksia', Memo)"), nil)
	if len(found["Items"].([]any)) != 1 {
		t.Errorf("refunds found: %v", found)
	}
}

// TestMustReverse: with the preference nothing that was posted is changed or deleted.
func TestMustReverse(t *testing.T) {
	t.Parallel()
	f, customer, item := shop(t, myobsim.Options{MustReverse: true})
	o := f.ok(201, "POST", itemInvoice+"?returnBody=true", f.invoice(customer, true, object{"Item": item, "ShipQuantity": 1, "UnitPrice": 5, "TaxCode": f.taxCode("GST")}))
	at := itemInvoice + "/" + o["UID"].(string)
	for method, body := range map[string]any{"PUT": o, "DELETE": nil} {
		if got := f.refused(400, method, at, body); got != "TransactionsCannotBeDeleted" {
			t.Errorf("%s: %s", method, got)
		}
	}
	if p := f.ok(200, "GET", "/Company/Preferences", nil)["System"].(object); p["TransactionsCannotBeChangedMustBeReversed"] != true {
		t.Errorf("%v", p)
	}
}

func TestItems(t *testing.T) {
	t.Parallel()
	f, _, _ := shop(t, myobsim.Options{})
	account := func(id string) object {
		a, err := f.sim.Account(id)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	in := object{"Number": "VALVE", "IsSold": true, "IncomeAccount": account("4-1000"), "SellingDetails": object{"BaseSellingPrice": 12.5, "TaxCode": f.taxCode("GST"), "IsTaxInclusive": true}}
	o := f.ok(201, "POST", "/Inventory/Item?returnBody=true", in)
	if o["IsActive"] != true || o["BaseSellingPrice"] != 12.5 || o["BuyingDetails"] != nil || o["QuantityOnHand"] != 0.0 || o["IncomeAccount"].(object)["DisplayID"] != "4-1000" {
		t.Errorf("%v", o)
	}
	for name, c := range map[string]struct {
		with object
		want string
	}{
		"the same number":     {object{}, "DuplicateNumber"},
		"no number":           {object{"Number": ""}, "Required"},
		"bought":              {object{"Number": "x", "IsBought": true}, "Required Required"},
		"stocked":             {object{"Number": "x", "IsInventoried": true}, "Required Required"},
		"sold without a code": {object{"Number": "x", "SellingDetails": object{}}, "Required"},
		"a long name":         {object{"Number": "x", "Name": strings.Repeat("n", 31)}, "ValidationError"},
	} {
		body := object{}
		for _, m := range []object{in, c.with} {
			for k, v := range m {
				body[k] = v
			}
		}
		if got := f.refused(400, "POST", "/Inventory/Item", body); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
