package myobsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// companyFile is what the server says about the one file.
type companyFile struct {
	id, name, serial string
	lockedBefore     time.Time // entries dated before it are refused
}

func (s *Sim) newFile() companyFile {
	return companyFile{id: s.UUID(), name: "Banksia Trade Supplies Pty Ltd", serial: "6" + s.digits(11),
		lockedBefore: time.Date(s.Now().Year()-1, time.July, 1, 0, 0, 0, 0, time.UTC)}
}

func (s *Sim) digits(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('0' + s.IntN(10))
	}
	return string(b)
}

func base(r *http.Request, file string) string { return "http://" + r.Host + "/accountright/" + file }

// shown is the file as the API describes it.
func (f companyFile) shown(r *http.Request) object {
	return object{
		"Id": f.id, "Name": f.name, "LibraryPath": f.name, "ProductVersion": "2026.1",
		"ProductLevel": object{"Code": 30, "Name": "Plus"}, "Uri": base(r, f.id), "SerialNumber": f.serial, "Country": "AU", "UIAccessFlags": 3,
	}
}

func (s *Sim) listFiles(r *http.Request, _ []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.NewKey {
		return answer{status: http.StatusOK, body: []object{}}
	}
	return answer{status: http.StatusOK, body: []object{s.file.shown(r)}}
}

func (s *Sim) getFile(r *http.Request, _ []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := base(r, s.file.id)
	var links []string
	for _, x := range resources() {
		links = append(links, at+"/"+x.path)
	}
	return answer{status: http.StatusOK, body: object{"CompanyFile": s.file.shown(r), "Resources": links}}
}

func (s *Sim) getPreferences(*http.Request, []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return answer{status: http.StatusOK, body: object{
		"System": object{
			"CategoryTracking": "Off", "TransactionsCannotBeChangedMustBeReversed": s.opts.MustReverse,
			"LockPeriodPriorTo": s.file.lockedBefore.Format("2006-01-02T15:04:05"), "UseAlphaAccountIdentifier": false,
		},
		"Sales":      object{"Terms": s.salesTerms()},
		"RowVersion": fmt.Sprint(s.version),
	}}
}

// terms are the file's own terms of payment, which a customer gets who is given none.
func (s *Sim) terms() object {
	return object{"PaymentIsDue": "InAGivenNumberOfDays", "BalanceDueDate": 30, "DiscountDate": 0, "DiscountForEarlyPayment": 0,
		"MonthlyChargeForLatePayment": 0, "VolumeDiscount": 0}
}

// salesTerms are the file's terms as its preferences show them: a discount by volume is a customer's own.
func (s *Sim) salesTerms() object {
	t := s.terms()
	delete(t, "VolumeDiscount")
	return t
}

// taxCodes are the usual Australian ones. They are read only here.
func taxCodes() *resource {
	var rows []object
	for _, t := range []struct {
		code, name, typ string
		rate            int
	}{
		{"CAP", "Capital Acquisitions", "GST_VAT", 10}, {"EXP", "GST Free Exports", "GST_VAT", 0}, {"FRE", "GST Free", "GST_VAT", 0},
		{"GST", "Goods & Services Tax", "GST_VAT", 10}, {"INP", "Input Taxed", "InputTaxed", 0}, {"ITS", "Input Taxed Sales", "InputTaxed", 0},
		{"N-T", "Not Reportable", "GST_VAT", 0},
	} {
		rows = append(rows, object{"Code": t.code, "Description": t.name, "Type": t.typ, "Rate": t.rate})
	}
	return &resource{path: "GeneralLedger/TaxCode", typ: "taxcodes", name: "tax code", labels: []string{"Code"}, readOnly: true, rows: rows, schema: []member{
		{name: "Code", kind: text, max: 3, required: true}, {name: "Description", kind: text, max: 30},
		{name: "Type", kind: text, values: []string{"Consolidated", "ImportDuty", "SalesTax", "GST_VAT", "InputTaxed", "LuxuryCarTax", "WithholdingsTax", "NoABN_TFN"}},
		{name: "Rate", kind: number},
	}}
}

// accounts are a few of every file's. They are read only here.
func accounts() *resource {
	var rows []object
	for _, a := range []struct{ id, name, class, typ string }{
		{"1-1110", "Business Bank Account #1", "Asset", "Bank"}, {"1-1180", "Undeposited Funds", "Asset", "Bank"},
		{"1-1310", "Trade Debtors", "Asset", "AccountReceivable"}, {"1-1320", "Inventory", "Asset", "OtherCurrentAsset"},
		{"4-1000", "Sales of Goods", "Income", "Income"}, {"4-2000", "Services", "Income", "Income"}, {"4-3000", "Freight Collected", "Income", "Income"},
		{"5-1000", "Cost of Goods Sold", "CostOfSales", "CostOfSales"}, {"6-1000", "Purchases", "Expense", "Expense"},
	} {
		n, _ := strconv.Atoi(a.id[2:])
		rows = append(rows, object{"DisplayID": a.id, "Name": a.name, "Number": json.Number(strconv.Itoa(n)), "Classification": a.class, "Type": a.typ, "IsActive": true, "IsHeader": false})
	}
	return &resource{path: "GeneralLedger/Account", typ: "accounts", name: "account", labels: []string{"DisplayID", "Name"}, readOnly: true, rows: rows, schema: []member{
		{name: "DisplayID", kind: text, max: 6}, {name: "Name", kind: text, max: 60}, {name: "Number", kind: number}, {name: "Classification", kind: text},
		{name: "Type", kind: text}, {name: "IsActive", kind: flag}, {name: "IsHeader", kind: flag},
	}}
}

// accountNumbered returns a link to the account. The caller holds the lock.
func (s *Sim) accountNumbered(id string) object {
	for uid, x := range s.tables["GeneralLedger/Account"].rows {
		if x.object["DisplayID"] == id {
			return object{"UID": uid}
		}
	}
	return nil
}

// Account returns a link to the account of that number, as people choose one in a form.
func (s *Sim) Account(id string) (map[string]any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.accountNumbered(id); l != nil {
		return l, nil
	}
	return nil, fmt.Errorf("there is no account %s", id)
}

// next returns the next automatic number of a series. The caller holds the lock.
func (s *Sim) next(series string, form string) string {
	s.numbers[series]++
	return fmt.Sprintf(form, s.numbers[series])
}
