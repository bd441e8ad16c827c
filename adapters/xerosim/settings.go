package xerosim

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

type taxRate struct {
	Name, TaxType, ReportTaxType, Status                                          string
	CanApplyToAssets, CanApplyToEquity, CanApplyToExpenses, CanApplyToLiabilities bool
	CanApplyToRevenue                                                             bool
	DisplayTaxRate, EffectiveRate                                                 amount
	TaxComponents                                                                 []taxComponent
}

type taxComponent struct {
	Name                         string
	Rate                         amount
	IsCompound, IsNonRecoverable bool
}

func (r *taxRate) appliesTo(class string) bool {
	switch class {
	case "REVENUE":
		return r.CanApplyToRevenue
	case "EXPENSE":
		return r.CanApplyToExpenses
	}
	return r.CanApplyToAssets
}

// newRates are the Australian rates of an organisation; those that only "full" organisations have are archived in the others.
func newRates(full bool) []*taxRate {
	rate := func(name, typ string, percent int64, revenue, expenses, basic bool) *taxRate {
		status := "ARCHIVED"
		if basic || full {
			status = "ACTIVE"
		}
		p := amount{decimal.New(percent, 0)}
		return &taxRate{Name: name, TaxType: typ, ReportTaxType: typ, Status: status, CanApplyToAssets: true, CanApplyToEquity: true, CanApplyToLiabilities: true,
			CanApplyToRevenue: revenue, CanApplyToExpenses: expenses, DisplayTaxRate: p, EffectiveRate: p, TaxComponents: []taxComponent{{Name: "GST", Rate: p}}}
	}
	return []*taxRate{
		rate("BAS Excluded", "BASEXCLUDED", 0, true, true, true),
		rate("GST Free Capital", "EXEMPTCAPITAL", 0, false, true, false),
		rate("GST Free Expenses", "EXEMPTEXPENSES", 0, false, true, true),
		rate("GST Free Exports", "EXEMPTEXPORT", 0, true, false, false),
		rate("GST Free Income", "EXEMPTOUTPUT", 0, true, false, true),
		rate("GST on Capital", "CAPEXINPUT", 10, false, true, false),
		rate("GST on Capital Imports", "GSTONCAPIMPORTS", 0, false, true, false),
		rate("GST on Expenses", "INPUT", 10, false, true, true),
		rate("GST on Imports", "GSTONIMPORTS", 0, false, true, true),
		rate("GST on Income", "OUTPUT", 10, true, false, true),
		rate("Input Taxed", "INPUTTAXED", 0, true, true, false),
	}
}

// rate returns the rate of a type, nil if the organisation has none.
func (s *Sim) rate(taxType string) *taxRate {
	for _, r := range s.rates {
		if r.TaxType == taxType {
			return r
		}
	}
	return nil
}

var rateMembers = map[string]func(*taxRate) any{
	"name": func(r *taxRate) any { return r.Name }, "taxtype": func(r *taxRate) any { return r.TaxType },
	"status": func(r *taxRate) any { return r.Status }, "updateddateutc": func(r *taxRate) any { return r.Name },
}

// getTaxRates answers with every rate, or with the one of the path, and never in pages.
func (s *Sim) getTaxRates(r *http.Request, _ []byte) answer {
	l, bad := readListing(r, "TaxRate", "TaxType", rateMembers)
	if bad != nil {
		return *bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]*taxRate{}
	for _, x := range s.rates {
		if typ := r.PathValue("type"); typ == "" || typ == x.TaxType {
			all[x.TaxType] = x
		}
	}
	if len(all) == 0 {
		return answer{status: http.StatusNotFound, text: missing}
	}
	return s.envelope("TaxRates", orEmpty(l.pick(all, func(*taxRate) time.Time { return s.Now() }, nil)), nil)
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

type account struct {
	AccountID, Code, Name, Status, Type, TaxType, Class string
	SystemAccount                                       string `json:",omitempty"`
	EnablePaymentsToAccount, ShowInExpenseClaims        bool
	BankAccountNumber                                   string `json:",omitempty"`
	BankAccountType                                     string `json:",omitempty"`
	CurrencyCode                                        string `json:",omitempty"`
	UpdatedDateUTC                                      msTime
}

// newAccounts are a small chart of accounts.
func newAccounts(at time.Time) []*account {
	acc := func(code, name, typ, class, tax string) *account {
		return &account{AccountID: "acc00000-0000-4000-8000-000000000" + code, Code: code, Name: name, Status: "ACTIVE", Type: typ, Class: class, TaxType: tax, UpdatedDateUTC: msTime{at}}
	}
	bank := acc("090", "Business Bank Account", "BANK", "ASSET", "BASEXCLUDED")
	bank.BankAccountNumber, bank.BankAccountType, bank.CurrencyCode = "0000000000000", "BANK", "AUD"
	clearing := acc("092", "Card Clearing", "CURRENT", "ASSET", "BASEXCLUDED")
	clearing.EnablePaymentsToAccount = true
	debtors := acc("610", "Accounts Receivable", "CURRENT", "ASSET", "BASEXCLUDED")
	debtors.SystemAccount = "DEBTORS"
	rounding := acc("860", "Rounding", "CURRLIAB", "LIABILITY", "BASEXCLUDED")
	rounding.SystemAccount = "ROUNDING"
	return []*account{
		bank, clearing, acc("200", "Sales", "REVENUE", "REVENUE", "OUTPUT"), acc("220", "Freight Income", "REVENUE", "REVENUE", "OUTPUT"),
		acc("260", "Other Revenue", "REVENUE", "REVENUE", "OUTPUT"), acc("310", "Cost of Goods Sold", "DIRECTCOSTS", "EXPENSE", "INPUT"),
		acc("400", "Advertising", "EXPENSE", "EXPENSE", "INPUT"), debtors, acc("630", "Inventory", "INVENTORY", "ASSET", "BASEXCLUDED"), rounding,
	}
}

// account finds one by code or id.
func (s *Sim) account(key string) *account {
	for _, a := range s.accounts {
		if key != "" && (a.Code == key || strings.EqualFold(a.AccountID, key)) {
			return a
		}
	}
	return nil
}

var accountMembers = map[string]func(*account) any{
	"accountid": func(a *account) any { return a.AccountID }, "code": func(a *account) any { return a.Code }, "name": func(a *account) any { return a.Name },
	"status": func(a *account) any { return a.Status }, "type": func(a *account) any { return a.Type }, "class": func(a *account) any { return a.Class },
	"taxtype": func(a *account) any { return a.TaxType }, "systemaccount": func(a *account) any { return a.SystemAccount },
	"enablepaymentstoaccount": func(a *account) any { return a.EnablePaymentsToAccount },
	"updateddateutc":          func(a *account) any { return a.UpdatedDateUTC.Time },
}

func (s *Sim) getAccounts(r *http.Request, _ []byte) answer {
	l, bad := readListing(r, "Account", "AccountID", accountMembers)
	if bad != nil {
		return *bad
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]*account{}
	for _, a := range s.accounts {
		if id := r.PathValue("id"); id == "" || a == s.account(id) {
			all[a.AccountID] = a
		}
	}
	if len(all) == 0 {
		return answer{status: http.StatusNotFound, text: missing}
	}
	list := l.pick(all, func(a *account) time.Time { return a.UpdatedDateUTC.Time }, nil)
	if r.URL.Query().Get("order") == "" {
		slices.SortFunc(list, func(a, b *account) int { return cmp.Compare(a.Code, b.Code) })
	}
	return s.envelope("Accounts", orEmpty(list), nil)
}
