package xerosim_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"testing"

	"datum/adapters/xerosim"
)

// xero-node looks for the organisation of a connection by its tenant's id, reads single bank transactions, and filters documents by
// what is paid.
func TestWhatXeroNodeReliesOn(t *testing.T) {
	t.Parallel()
	f := setup(t, xerosim.Options{})
	contact := f.create("Hartley Plumbing Pty Ltd", "n1")
	read := func(path string, into any) {
		t.Helper()
		resp, b := f.call("GET", path, "")
		if err := json.Unmarshal(b, into); resp.StatusCode != 200 || err != nil {
			t.Fatalf("%s: %d %v %s", path, resp.StatusCode, err, b)
		}
	}
	var orgs struct {
		Organisations []struct{ OrganisationID string }
	}
	if read("/api.xro/2.0/Organisation", &orgs); orgs.Organisations[0].OrganisationID != f.sim.Credentials()["tenantId"] {
		t.Errorf("organisation %s, tenant %s", orgs.Organisations[0].OrganisationID, f.sim.Credentials()["tenantId"])
	}

	resp, b := f.call("PUT", "/api.xro/2.0/BankTransactions", fmt.Sprintf(`{"BankTransactions":[{"Type":"RECEIVE-OVERPAYMENT","Contact":{"ContactID":%q},"BankAccount":{"Code":"090"},
		"LineAmountTypes":"NoTax","LineItems":[{"Description":"Paid twice","Quantity":1,"UnitAmount":50,"AccountCode":"610"}]}]}`, contact))
	var made struct {
		BankTransactions []struct{ BankTransactionID string }
	}
	if err := json.Unmarshal(b, &made); resp.StatusCode != 200 || err != nil {
		t.Fatalf("%d %v %s", resp.StatusCode, err, b)
	}
	want := made.BankTransactions[0].BankTransactionID
	made.BankTransactions = nil
	if read("/api.xro/2.0/BankTransactions/"+want, &made); len(made.BankTransactions) != 1 || made.BankTransactions[0].BankTransactionID != want {
		t.Errorf("the bank transaction by its id: %+v", made)
	}
	if resp, _ := f.call("GET", "/api.xro/2.0/BankTransactions/"+contact, ""); resp.StatusCode != 404 {
		t.Errorf("an unknown bank transaction: %d", resp.StatusCode)
	}

	if resp, b := f.call("PUT", "/api.xro/2.0/Invoices", fmt.Sprintf(`{"Invoices":[{"Type":"ACCREC","InvoiceNumber":"INV-9","Contact":{"ContactID":%q},"DueDate":"2030-01-31","Status":"AUTHORISED",
		"LineItems":[{"Description":"Pipe","Quantity":1,"UnitAmount":100,"AccountCode":"200","TaxType":"OUTPUT"}]}]}`, contact)); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, b)
	}
	if resp, b := f.call("PUT", "/api.xro/2.0/Payments", `{"Payments":[{"Invoice":{"InvoiceNumber":"INV-9"},"Account":{"Code":"090"},"Amount":40}]}`); resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, b)
	}
	for where, n := range map[string]int{
		"AmountPaid==40": 1, "AmountPaid==0": 0, "AmountCredited==0": 1, "SubTotal==100": 1, "TotalTax>10": 0, "AmountDue==70": 1,
	} {
		var found struct{ Invoices []any }
		if read("/api.xro/2.0/Invoices?where="+url.QueryEscape(where), &found); len(found.Invoices) != n {
			t.Errorf("%s finds %d, want %d", where, len(found.Invoices), n)
		}
	}
}
