package xerosim

import (
	"net/http"
	"time"
)

// organisation is what GET Organisation answers, for an Australian company. Its id is the tenant's: xero-node finds the organisation
// of a connection by that.
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

func (s *Sim) newOrganisation(tenant string) organisation {
	now := s.Now()
	lock := msTime{time.Date(now.Year()-1, time.June, 30, 0, 0, 0, 0, time.UTC)}
	none := []any{}
	return organisation{
		OrganisationID: tenant, Name: "Banksia Trade Supplies", LegalName: "Banksia Trade Supplies Pty Ltd", PaysTax: true, Version: "AU",
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

// SetLock sets the date up to which the accounts are locked; the zero time unlocks them.
func (s *Sim) SetLock(day time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.org.PeriodLockDate, s.org.EndOfYearLockDate = nil, nil
	if !day.IsZero() {
		s.org.PeriodLockDate = &msTime{day.UTC().Truncate(24 * time.Hour)}
	}
}
