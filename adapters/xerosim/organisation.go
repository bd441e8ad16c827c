package xerosim

import (
	"net/http"
	"time"
)

// organisation is what GET Organisation answers, for an Australian company.
type organisation struct {
	OrganisationID         string
	Name                   string
	LegalName              string
	PaysTax                bool
	Version                string
	OrganisationType       string
	OrganisationEntityType string
	BaseCurrency           string
	CountryCode            string
	IsDemoCompany          bool
	OrganisationStatus     string
	RegistrationNumber     string
	FinancialYearEndDay    int
	FinancialYearEndMonth  int
	SalesTaxBasis          string
	SalesTaxPeriod         string
	DefaultSalesTax        string
	DefaultPurchasesTax    string
	PeriodLockDate         *msTime `json:",omitempty"`
	EndOfYearLockDate      *msTime `json:",omitempty"`
	CreatedDateUTC         msTime
	Timezone               string
	ShortCode              string
	Class                  string
	Edition                string
	Addresses              []any
	Phones                 []any
	ExternalLinks          []any
	PaymentTerms           struct{}
}

func (s *Sim) newOrganisation() organisation {
	now := s.Now()
	lock := msTime{time.Date(now.Year()-1, time.June, 30, 0, 0, 0, 0, time.UTC)}
	none := []any{}
	return organisation{
		OrganisationID: s.UUID(), Name: "Banksia Trade Supplies", LegalName: "Banksia Trade Supplies Pty Ltd", PaysTax: true, Version: "AU",
		OrganisationType: "COMPANY", OrganisationEntityType: "COMPANY", BaseCurrency: "AUD", CountryCode: "AU", OrganisationStatus: "ACTIVE",
		RegistrationNumber: "53004085616", FinancialYearEndDay: 30, FinancialYearEndMonth: 6, SalesTaxBasis: "ACCRUALS", SalesTaxPeriod: "QUARTERLY1",
		DefaultSalesTax: "Tax Exclusive", DefaultPurchasesTax: "Tax Exclusive", PeriodLockDate: &lock, EndOfYearLockDate: &lock,
		CreatedDateUTC: msTime{now.AddDate(-3, 0, 0)}, Timezone: "AUSEASTERNSTANDARDTIME", ShortCode: "!" + s.Token(5), Class: "GROW", Edition: "BUSINESS",
		Addresses: none, Phones: none, ExternalLinks: none,
	}
}

func (s *Sim) getOrganisation(*http.Request, []byte) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.envelope("Organisations", []organisation{s.org}, nil)
}

type taxRate struct {
	Name, TaxType, ReportTaxType, Status                                          string
	CanApplyToAssets, CanApplyToEquity, CanApplyToExpenses, CanApplyToLiabilities bool
	CanApplyToRevenue                                                             bool
	DisplayTaxRate, EffectiveRate                                                 float64
	TaxComponents                                                                 []taxComponent
}

type taxComponent struct {
	Name                         string
	Rate                         float64
	IsCompound, IsNonRecoverable bool
}

// getTaxRates answers with the usual Australian rates.
func (s *Sim) getTaxRates(*http.Request, []byte) answer {
	rate := func(name, typ, report string, percent float64, revenue, expenses bool) taxRate {
		return taxRate{Name: name, TaxType: typ, ReportTaxType: report, Status: "ACTIVE", CanApplyToAssets: true, CanApplyToEquity: true, CanApplyToLiabilities: true,
			CanApplyToRevenue: revenue, CanApplyToExpenses: expenses, DisplayTaxRate: percent, EffectiveRate: percent,
			TaxComponents: []taxComponent{{Name: "GST", Rate: percent}}}
	}
	return s.envelope("TaxRates", []taxRate{
		rate("GST on Income", "OUTPUT", "OUTPUT", 10, true, false),
		rate("GST Free Income", "EXEMPTOUTPUT", "EXEMPTOUTPUT", 0, true, false),
		rate("GST on Expenses", "INPUT", "INPUT", 10, false, true),
		rate("GST Free Expenses", "EXEMPTEXPENSES", "EXEMPTEXPENSES", 0, false, true),
		rate("BAS Excluded", "BASEXCLUDED", "BASEXCLUDED", 0, true, true),
	}, nil)
}

type account struct {
	AccountID, Code, Name, Type, Class, TaxType, Status string
	EnablePaymentsToAccount                             bool
	BankAccountNumber                                   string `json:",omitempty"`
	CurrencyCode                                        string `json:",omitempty"`
}

// getAccounts answers with a small chart of accounts.
func (s *Sim) getAccounts(*http.Request, []byte) answer {
	id := func(n string) string { return "acc00000-0000-4000-8000-000000000" + n }
	return s.envelope("Accounts", []account{
		{AccountID: id("090"), Code: "090", Name: "Business Bank Account", Type: "BANK", Class: "ASSET", TaxType: "BASEXCLUDED", Status: "ACTIVE",
			BankAccountNumber: "0000000000000", CurrencyCode: "AUD"},
		{AccountID: id("200"), Code: "200", Name: "Sales", Type: "REVENUE", Class: "REVENUE", TaxType: "OUTPUT", Status: "ACTIVE"},
		{AccountID: id("310"), Code: "310", Name: "Cost of Goods Sold", Type: "DIRECTCOSTS", Class: "EXPENSE", TaxType: "INPUT", Status: "ACTIVE"},
		{AccountID: id("610"), Code: "610", Name: "Accounts Receivable", Type: "CURRENT", Class: "ASSET", TaxType: "BASEXCLUDED", Status: "ACTIVE"},
	}, nil)
}
