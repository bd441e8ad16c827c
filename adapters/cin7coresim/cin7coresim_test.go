package cin7coresim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"datum/adapters/sim"
)

type bench struct {
	*testing.T
	*Sim
	url string
}

func setup(t *testing.T, o Options) *bench {
	t.Helper()
	if o.Seed = 5; o.Limit == 0 {
		o.Limit = -1
	}
	if o.HookScale == 0 {
		o.HookScale = 0.0001
	}
	s := New(o)
	t.Cleanup(s.Close)
	url, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &bench{T: t, Sim: s, url: url}
}

// call makes one call with good headers and returns status and answer.
func (b *bench) call(method, path string, body any) (int, any) {
	b.Helper()
	return b.as(b.Credentials()["accountId"], b.Credentials()["accessToken"], method, path, body)
}

func (b *bench) as(account, key, method, path string, body any) (int, any) {
	b.Helper()
	var r io.Reader
	if text, is := body.(string); is {
		r = strings.NewReader(text)
	} else if body != nil {
		j, err := json.Marshal(body)
		if err != nil {
			b.Fatal(err)
		}
		r = bytes.NewReader(j)
	}
	req, err := http.NewRequestWithContext(b.Context(), method, b.url+"/ExternalApi/v2/"+path, r)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("api-auth-accountid", account)
	req.Header.Set("api-auth-applicationkey", key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	var out any
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, &out); err != nil {
			b.Fatalf("%s %s: %s", method, path, raw)
		}
	}
	return resp.StatusCode, out
}

// good makes a call that must be answered 200.
func (b *bench) good(method, path string, body any) object {
	b.Helper()
	status, out := b.call(method, path, body)
	o, _ := out.(object)
	if status != http.StatusOK || o == nil {
		b.Fatalf("%s %s: %d %v", method, path, status, out)
	}
	return o
}

// refused makes a call that must be refused with the words.
func (b *bench) refused(method, path string, body any, status int, words string) {
	b.Helper()
	got, out := b.call(method, path, body)
	list, _ := out.([]any)
	if got != status || len(list) == 0 || !strings.Contains(fmt.Sprint(list[0].(object)["Exception"]), words) || list[0].(object)["ErrorCode"] != float64(status) {
		b.Errorf("%s %s: %d %v, want %d %q", method, path, got, out, status, words)
	}
}

func (b *bench) put(typ, id string, o object) object {
	b.Helper()
	x, err := b.Put(typ, id, o)
	if err != nil {
		b.Fatal(err)
	}
	return x.(object)
}

func customer(name string) object {
	return object{"Name": name, "Status": "Active", "Currency": "AUD", "PaymentTerm": "30 days", "AccountReceivable": "610", "RevenueAccount": "200", "TaxRule": "GST on Income"}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	c := b.Credentials()
	for _, x := range [][2]string{{"", ""}, {c["accountId"], "wrong"}, {"wrong", c["accessToken"]}} {
		if status, _ := b.as(x[0], x[1], "GET", "me", nil); status != http.StatusForbidden {
			t.Errorf("%v: %d", x, status)
		}
	}
	if me := b.good("GET", "me", nil); me["Currency"] != "AUD" {
		t.Errorf("%v", me)
	}
	b.Revoke()
	b.refused("GET", "me", nil, http.StatusForbidden, "Incorrect credentials")
	if b.Consent()["accessToken"] == c["accessToken"] {
		t.Error("the new key is the old one")
	}
	b.good("GET", "ME", nil)
	b.refused("GET", "products", nil, http.StatusNotFound, "Endpoint")
	b.refused("DELETE", "customer", nil, http.StatusMethodNotAllowed, "not allowed")
	b.refused("POST", "customer", "{", http.StatusInternalServerError, "parsed")
}

func TestLimit(t *testing.T) {
	t.Parallel()
	for _, old := range []bool{false, true} {
		b := setup(t, Options{Limit: 60, Old503: old})
		for range 60 {
			b.good("GET", "me", nil)
		}
		status := http.StatusTooManyRequests
		if old {
			status = http.StatusServiceUnavailable
		}
		b.refused("GET", "me", nil, status, "60 calls")
		if n := b.Stats().Limited; n != 1 {
			t.Errorf("%d refusals", n)
		}
		b.Advance(time.Minute)
		b.good("GET", "me", nil)
	}
}

func TestPagesAndChanges(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	b := setup(t, Options{Now: func() time.Time { return now }})
	for i := range 7 {
		b.put("customers", "", object{"Name": fmt.Sprintf("Customer %d", i)})
	}
	names := func(q string) string {
		b.Helper()
		var s []string
		in := b.good("GET", "customer?"+q, nil)
		for _, o := range entries(in["CustomerList"]) {
			s = append(s, strings.TrimPrefix(text(o["Name"]), "Customer "))
		}
		return fmt.Sprintf("%v%v", in["Total"], s)
	}
	if got := names("page=2&limit=3"); got != "7[3 4 5]" {
		t.Error(got)
	}
	if got := names("Page=9&Limit=3"); got != "7[]" {
		t.Error(got)
	}
	b.refused("GET", "customer?Limit=1001", nil, http.StatusBadRequest, "Limit")
	b.refused("GET", "customer?Page=0", nil, http.StatusBadRequest, "Page")
	b.refused("GET", "customer?ModifiedSince=yesterday", nil, http.StatusBadRequest, "ModifiedSince")
	b.Advance(time.Hour)
	all := entries(b.good("GET", "customer?Name=customer%206", nil)["CustomerList"])
	b.good("PUT", "customer", object{"ID": all[0]["ID"], "Name": "A customer"})
	if got := names("ModifiedSince=2026-03-01T09:30:00.000"); got != "1[A customer]" {
		t.Error(got)
	}
	if got := names("Limit=2"); got != "7[A customer 0]" {
		t.Errorf("a rename does not move it: %s", got)
	}
	if err := b.Delete("customers", text(all[0]["ID"])); err != nil {
		t.Fatal(err)
	}
	if a, d := names("Limit=1"), names("Limit=1&IncludeDeprecated=true"); a != "6[0]" || d != "7[A customer]" {
		t.Errorf("deprecated: %s, %s", a, d)
	}
}

func TestCustomers(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	in := customer("Banksia Pty Ltd")
	in["Contacts"] = []object{{"Name": "Jo Lee", "Email": "jo@example.com.au"}, {"Email": "nameless@example.com.au"}}
	in["Addresses"] = []object{{"Line1": "1 High Street", "Type": "Billing", "Country": "Australia"}, {"Line1": "2 High Street", "Type": "Billing"}}
	out := b.good("POST", "customer", in)
	if problems, _ := out["Errors"].([]any); len(problems) != 2 {
		t.Errorf("two entries that are not valid: %v", out["Errors"])
	}
	o := entries(out["CustomerList"])[0]
	contacts := entries(o["Contacts"])
	if len(contacts) != 1 || len(entries(o["Addresses"])) != 1 || contacts[0]["ID"] == "" {
		t.Errorf("%v", o)
	}
	out = b.good("PUT", "customer", object{"ID": upper(o["ID"]), "Contacts": []object{{"Name": "Sam Ng"}, {"ID": contacts[0]["ID"], "Name": "Jo van Lee"}}, "Comments": "x"})
	o = entries(out["CustomerList"])[0]
	if list := entries(o["Contacts"]); len(list) != 2 || list[1]["ID"] != contacts[0]["ID"] || list[0]["ID"] == contacts[0]["ID"] || o["Name"] != "Banksia Pty Ltd" {
		t.Errorf("%v", o)
	}
	b.refused("POST", "customer", customer("BANKSIA Pty Ltd"), http.StatusBadRequest, "already exists")
	for k, v := range map[string]string{"PaymentTerm": "31 days", "AccountReceivable": "611", "RevenueAccount": "x", "TaxRule": "gst on income", "Currency": "XYZ", "Status": "Gone", "PriceTier": "Tier 99"} {
		c := customer("Wattle Pty Ltd")
		c[k] = v
		b.refused("POST", "customer", c, http.StatusBadRequest, k)
		delete(c, k)
		if k != "PriceTier" {
			b.refused("POST", "customer", c, http.StatusBadRequest, k+" is required")
		}
	}
	long := customer(strings.Repeat("x", 257))
	b.refused("POST", "customer", long, http.StatusBadRequest, "256")
	b.good("PUT", "customer", object{"ID": o["ID"], "Comments": "x"})
	if st := b.Stats(); st.Creates != 1 || st.CreatesOf["customers"] != 1 || st.Updates != 1 || st.NoopUpdates != 1 {
		t.Errorf("the ledger says %+v", st)
	}
	b.refused("PUT", "customer", object{"ID": "00000000-0000-4000-8000-000000000000"}, http.StatusBadRequest, "not found")
	if len(entries(b.good("GET", "customer?ContactFilter=jo%40example", nil)["CustomerList"])) != 0 {
		t.Error("the e-mail address went with the entry that replaced it")
	}
}

// shop is an account with something to sell.
func shop(b *bench) (buyer, tap object) {
	b.put("products", "", object{"SKU": "DEL", "Name": "Delivery", "Type": "Service"})
	return b.put("customers", "", object{"Name": "Banksia Pty Ltd"}), b.put("products", "", object{"SKU": "TAP", "Name": "Tap"})
}

func TestSale(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	buyer, tap := shop(b)
	b.put("availability", "", object{"SKU": "TAP", "Location": "Main Warehouse", "OnHand": 5})
	row := func() object {
		b.Helper()
		rows := entries(b.good("GET", "ref/productavailability?Sku=TAP", nil)["ProductAvailabilityList"])
		if len(rows) == 0 {
			return nil
		}
		return rows[0]
	}
	b.refused("POST", "sale", object{"Customer": "Nobody"}, http.StatusBadRequest, "Nobody")
	b.refused("POST", "sale", object{"CustomerID": buyer["ID"], "Location": "Nowhere"}, http.StatusBadRequest, "Nowhere")
	quoted := b.good("POST", "sale", object{"CustomerID": buyer["ID"]})
	if quoted["Status"] != draft {
		t.Errorf("%v", quoted["Status"])
	}
	order := func(id any, status string, quantity, total, tax float64) object {
		return object{"SaleID": id, "Status": status, "Memo": "", "TotalBeforeTax": total, "Tax": tax, "Total": total + tax,
			"Lines": []object{{"SKU": "TAP", "Quantity": quantity, "Price": 10, "TaxRule": "GST on Income", "Total": total, "Tax": tax}}}
	}
	b.refused("POST", "sale/order", order(quoted["ID"], draft, 1, 10, 1), http.StatusBadRequest, "quote")
	sale := b.good("POST", "sale", object{"Customer": "Banksia Pty Ltd", "SkipQuote": true, "ExternalID": "ours-1"})
	if sale["Status"] != "ESTIMATED" || part(sale, "Order")["SaleOrderNumber"] != "SO-00002" {
		t.Errorf("%v %v", sale["Status"], sale["Order"])
	}
	id := sale["ID"]
	b.refused("POST", "sale/order", order(id, draft, 3, 30, 2), http.StatusBadRequest, "Tax")
	b.refused("POST", "sale/order", order(id, draft, 3, 20, 3), http.StatusBadRequest, "Total")
	b.refused("POST", "sale/order", object{"SaleID": id, "Status": authorised, "TotalBeforeTax": 0, "Tax": 0, "Total": 0}, http.StatusBadRequest, "without lines")
	b.refused("POST", "sale/order", object{"SaleID": id, "Status": draft, "TotalBeforeTax": 5, "Tax": 0, "Total": 5,
		"AdditionalCharges": []object{{"Description": "Magic", "Quantity": 1, "Price": 5, "TaxRule": "BAS Excluded", "Total": 5, "Tax": 0}}}, http.StatusBadRequest, "Magic")
	b.good("POST", "sale/order", order(id, draft, 3, 30, 3))
	if got := b.good("GET", "sale?ID="+upper(id), nil); got["Status"] != "ORDERING" {
		t.Errorf("%v", got["Status"])
	}
	if r := row(); r["Allocated"] != float64(0) {
		t.Errorf("a draft allocates: %v", r)
	}
	b.good("POST", "sale/order", order(id, authorised, 4, 40, 4))
	if r := row(); r["OnHand"] != float64(5) || r["Allocated"] != float64(4) || r["Available"] != float64(1) {
		t.Errorf("authorised: %v", r)
	}
	b.refused("POST", "sale/order", order(id, draft, 3, 30, 3), http.StatusBadRequest, "already authorised")
	b.refused("PUT", "sale", object{"ID": id, "TaxCalculation": "Inclusive"}, http.StatusBadRequest, "TaxCalculation")
	b.good("PUT", "sale", object{"ID": id, "Note": "ring first"})
	if got := entries(b.good("GET", "saleList?ExternalID=ours-1", nil)["SaleList"]); len(got) != 1 || got[0]["Status"] != "ORDERED" || got[0]["OrderLocationID"] == nil {
		t.Errorf("%v", got)
	}

	// Another order for more than there is.
	more := b.good("POST", "sale", object{"CustomerID": buyer["ID"], "SkipQuote": true, "ExternalID": "ours-1", "TaxCalculation": "Inclusive"})
	b.good("POST", "sale/order", object{"SaleID": more["ID"], "Status": authorised, "TotalBeforeTax": 18.18, "Tax": 1.82, "Total": 20.0,
		"Lines": []object{{"ProductID": tap["ID"], "Quantity": 2, "Price": 10, "TaxRule": "GST on Income", "Total": 20, "Tax": 1.82}}})
	if got := b.good("GET", "sale?ID="+text(more["ID"]), nil); got["Status"] != "BACKORDERED" {
		t.Errorf("%v", got["Status"])
	}
	if b.Duplicates() != 1 {
		t.Error("two sales with one ExternalID are no duplicate")
	}
	b.refused("POST", "sale/fulfilment/ship", object{"TaskID": id, "Status": authorised}, http.StatusBadRequest, "Pick")
	b.good("POST", "sale/fulfilment/pick", object{"TaskID": id, "Status": authorised})
	if r := row(); r["OnHand"] != float64(1) || r["Allocated"] != float64(2) || r["Available"] != float64(-1) {
		t.Errorf("picked: %v", r)
	}
	b.refused("DELETE", "sale?ID="+text(id), nil, http.StatusBadRequest, "picked")
	b.good("POST", "sale/fulfilment/ship", object{"TaskID": id, "Status": authorised})
	b.good("POST", "sale/invoice", object{"SaleID": id})
	b.refused("POST", "sale/payment", object{"TaskID": id, "Type": "Payment", "Account": "090", "Amount": 45}, http.StatusBadRequest, "44")
	b.good("POST", "sale/payment", object{"TaskID": id, "Type": "Payment", "Account": "090", "Amount": 44})
	if got := b.good("GET", "sale?ID="+text(id), nil); got["Status"] != "COMPLETED" || got["CombinedPaymentStatus"] != "PAID" {
		t.Errorf("%v %v", got["Status"], got["CombinedPaymentStatus"])
	}
	b.refused("DELETE", "sale?ID="+text(id)+"&Void=true", nil, http.StatusBadRequest, "payments")
	b.good("DELETE", "sale?ID="+text(more["ID"])+"&Void=true", nil)
	if r := row(); r["OnHand"] != float64(1) || r["Allocated"] != float64(0) {
		t.Errorf("voided: %v", r)
	}
	b.refused("PUT", "sale", object{"ID": more["ID"], "Note": "x"}, http.StatusBadRequest, "voided")
	b.refused("GET", "sale?ID=00000000-0000-4000-8000-000000000000", nil, http.StatusBadRequest, "not found")
}

func TestAdjustment(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	_, tap := shop(b)
	adjust := func(more object) object {
		line := object{"ProductID": tap["ID"], "Location": "Main Warehouse", "Quantity": 3}
		for k, v := range more {
			line[k] = v
		}
		return object{"EffectiveDate": "2026-03-31T00:00:00", "Status": "COMPLETED", "Account": "403", "Lines": []object{line}}
	}
	b.refused("POST", "stockadjustment", adjust(nil), http.StatusBadRequest, "UnitCost")
	b.refused("POST", "stockadjustment", adjust(object{"Location": "Nowhere"}), http.StatusBadRequest, "Nowhere")
	b.refused("POST", "stockadjustment", adjust(object{"ProductID": nil, "SKU": "DEL"}), http.StatusBadRequest, "stock product")
	b.refused("POST", "stockadjustment", adjust(object{"Quantity": -1}), http.StatusBadRequest, "Quantity")
	rows := func() []object {
		return entries(b.good("GET", "ref/productavailability?ModifiedSince=2030-01-01T00:00:00", nil)["ProductAvailabilityList"])
	}
	if len(rows()) != 0 {
		t.Errorf("%v", rows())
	}
	fresh := b.good("POST", "stockadjustment", adjust(object{"UnitCost": 2.5, "ReceivedDate": "2026-03-31T00:00:00"}))
	if len(entries(fresh["NewStockLines"])) != 1 || len(rows()) != 1 || rows()[0]["StockOnHand"] != 7.5 {
		t.Errorf("%v %v", fresh, rows())
	}
	old := b.good("POST", "stockadjustment", adjust(object{"Quantity": 1}))
	if len(entries(old["ExistingStockLines"])) != 1 || rows()[0]["OnHand"] != float64(1) {
		t.Errorf("%v %v", old, rows())
	}
	b.good("GET", "stockadjustment?TaskID="+text(old["TaskID"]), nil)
	b.good("POST", "stockadjustment", adjust(object{"Quantity": 0}))
	if len(rows()) != 0 {
		t.Errorf("a row of zeros: %v", rows())
	}
}

// receiver keeps what it is sent and answers with a status.
func receiver(t *testing.T, status int) (string, chan *http.Request, chan []byte) {
	t.Helper()
	reqs, bodies := make(chan *http.Request, 100), make(chan []byte, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		reqs <- r
		bodies <- body
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s.URL, reqs, bodies
}

func TestWebhooks(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	shop(b)
	url, reqs, bodies := receiver(t, http.StatusOK)
	b.refused("POST", "webhooks", object{"Type": "Sale/Exploded", "ExternalURL": url}, http.StatusBadRequest, "Type")
	b.good("POST", "webhooks", object{"Type": "Stock/AvailableStockLevelChanged", "ExternalURL": url, "ExternalAuthorizationType": "basicauth", "ExternalUserName": "u", "ExternalPassword": "p",
		"ExternalHeaders": []object{{"Key": "X-Own", "Value": "1"}}})
	b.put("availability", "", object{"SKU": "TAP", "Location": "Main Warehouse", "OnHand": 5})
	b.put("customers", "", object{"Name": "Not told"})
	r, body := <-reqs, <-bodies
	var rows []object
	if user, password, ok := r.BasicAuth(); !ok || user != "u" || password != "p" || r.Header.Get("X-Own") != "1" {
		t.Errorf("%v", r.Header)
	}
	if err := json.Unmarshal(body, &rows); err != nil || len(rows) != 1 || rows[0]["OnHand"] != float64(5) || rows[0]["ID"] != strings.ToUpper(text(rows[0]["ID"])) {
		t.Errorf("%s", body)
	}
	if err := b.Idle(b.Context()); err != nil || len(reqs) != 0 || b.Stats().Webhooks.Sent != 1 {
		t.Errorf("%d deliveries, %v", b.Stats().Webhooks.Sent, err)
	}
}

// TestDeactivated: after six attempts a webhook is off, nobody is told, and a person can put it on again.
func TestDeactivated(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{HookScale: 0.00001})
	url, reqs, _ := receiver(t, http.StatusInternalServerError)
	if err := b.SetWebhook(b.Context(), url); err != nil {
		t.Fatal(err)
	}
	b.put("customers", "", object{"Name": "Banksia Pty Ltd"})
	wait, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	if err := b.Idle(wait); err != nil {
		t.Fatal(err)
	}
	if len(reqs) != 6 || b.Stats().Webhooks.GivenUp != 1 {
		t.Errorf("%d attempts", len(reqs))
	}
	var off object
	for _, h := range entries(b.good("GET", "webhooks", nil)["Webhooks"]) {
		if h["IsActive"] == false {
			off = h
		}
	}
	if off["Type"] != "Customer/Updated" {
		t.Fatalf("%v", off)
	}
	b.put("customers", "", object{"Name": "Not told"})
	if err := b.Idle(wait); err != nil || len(reqs) != 6 {
		t.Errorf("an inactive webhook was sent: %d", len(reqs))
	}
	b.good("PUT", "webhooks", object{"ID": off["ID"], "IsActive": true})
	b.put("customers", "", object{"Name": "Told"})
	if err := b.Idle(wait); err != nil || len(reqs) != 12 {
		t.Errorf("%d attempts", len(reqs))
	}
	if status, _ := b.call("DELETE", "webhooks?ID="+text(off["ID"]), nil); status != http.StatusNoContent {
		t.Errorf("delete: %d", status)
	}
	no := setup(t, Options{NoAutomation: true})
	no.refused("GET", "webhooks", nil, http.StatusForbidden, "Automation")
}

// TestReset: the account is empty, but for its books and main location, and the same ids come again.
func TestReset(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	shop(b)
	b.Revoke()
	b.Reset()
	for typ, want := range map[string]int{"customers": 0, "products": 0, "sales": 0, "availability": 0, "locations": 1} {
		if list, err := b.Objects(typ); err != nil || len(list) != want {
			t.Errorf("%d %s, %v", len(list), typ, err)
		}
	}
	if len(entries(b.good("GET", "ref/tax", nil)["TaxRuleList"])) < 5 {
		t.Error("the books are gone")
	}
	if _, err := b.Objects("widgets"); err == nil {
		t.Error("there are widgets")
	}
	if _, err := b.Merge("customers", "a", "b"); err == nil {
		t.Error("customers were merged")
	}
	var _ sim.Vendor = b.Sim
}
