package xero

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// connection is one organisation that has authorised the app.
type connection struct{ TenantID, TenantName, TenantType string }

func connections(ctx context.Context, doer adapters.Doer) ([]connection, error) {
	resp, err := doer.Do(ctx, adapters.Call{Method: http.MethodGet, Path: "/connections", Header: http.Header{"Accept": {"application/json"}}})
	if err != nil {
		return nil, err
	}
	var cs []connection
	if err := json.Unmarshal(resp.Body, &cs); err != nil {
		return nil, domain.Errorf(domain.Unavailable, "Xero's list of connections cannot be read")
	}
	return cs, nil
}

// discover finds the tenantId if the app is connected to one organisation only.
func discover(ctx context.Context, s adapters.Session) (map[string]string, error) {
	cs, err := connections(ctx, s.HTTP)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range cs {
		names = append(names, fmt.Sprintf("%s (%s)", c.TenantName, c.TenantID))
	}
	switch len(cs) {
	case 0:
		return nil, domain.Errorf(domain.Invalid, "no organisation has authorised the app: authorise it in Xero")
	case 1:
		return map[string]string{"tenantId": cs[0].TenantID}, nil
	default:
		return nil, domain.Errorf(domain.Invalid, "the app is connected to several organisations; set tenantId to one of %s", strings.Join(names, ", "))
	}
}

// Check reads the app's connections, the organisation, its tax rates and its accounts: whether the tenant is the right one and
// has the accounts that the settings name, the lock dates, the time zone, and what is left of the day's calls.
func (a *adapter) Check(ctx context.Context) (h adapters.Health, err error) {
	defer domain.Wrap(&err, "xero.Check")
	cs, err := connections(ctx, a.s.HTTP)
	if err != nil {
		return h, err
	}
	h.Details = map[string]string{}
	tenant := a.s.Settings["tenantId"]
	var others []string
	connected := false
	for _, c := range cs {
		if strings.EqualFold(c.TenantID, tenant) {
			connected = true
			h.Account, h.Details["tenantType"] = c.TenantName, c.TenantType
		} else {
			others = append(others, fmt.Sprintf("%s (%s)", c.TenantName, c.TenantID))
		}
	}
	if !connected {
		p := "the organisation " + tenant + " is not connected to the app: connect it again in Xero"
		if len(others) > 0 {
			slices.Sort(others)
			p += ", or set tenantId to one of those that are: " + strings.Join(others, ", ")
		}
		h.Problems = append(h.Problems, p)
		return h, nil
	}
	resp, err := a.do(ctx, adapters.Call{Method: http.MethodGet, Path: api + "/Organisation"})
	if domain.CodeOf(err) == domain.Forbidden {
		h.Problems = append(h.Problems, "the organisation's settings cannot be read: authorise the app with the scope accounting.settings.read")
		return h, nil
	}
	if err != nil {
		return h, err
	}
	var in struct{ Organisations []json.RawMessage }
	if err := json.Unmarshal(resp.Body, &in); err != nil || len(in.Organisations) == 0 {
		return h, a.err(domain.Unavailable, "Xero's answer holds no organisation")
	}
	org, err := adapters.ParseObject(in.Organisations[0])
	if err != nil {
		return h, err
	}
	h.Account = defaulted(adapters.String(org, "LegalName"), h.Account)
	for detail, member := range map[string]string{
		"name": "Name", "country": "CountryCode", "currency": "BaseCurrency", "timezone": "Timezone", "plan": "Class", "edition": "Edition",
		"salesTaxBasis": "SalesTaxBasis", "shortCode": "ShortCode",
	} {
		if v := adapters.String(org, member); v != "" {
			h.Details[detail] = v
		}
	}
	for detail, member := range lockDates {
		if at, ok := parseTime(adapters.String(org, member)); ok {
			h.Details[detail] = at.Format("2006-01-02")
		}
	}
	h.LockedUntil = lockedUntil(org)
	if err := a.checkBooks(ctx, &h, adapters.String(org, "BaseCurrency")); err != nil {
		return h, err
	}
	if left := resp.Header.Get("X-DayLimit-Remaining"); left != "" {
		h.Details["dayCallsLeft"] = left
	}
	if s := adapters.String(org, "OrganisationStatus"); s != "" && s != "ACTIVE" {
		h.Problems = append(h.Problems, "the organisation's status at Xero is "+s+": its subscription must be active for the API to be used")
	}
	return h, nil
}

// checkBooks compares the settings with the organisation's accounts, and says which of the tax rates that we write are archived.
func (a *adapter) checkBooks(ctx context.Context, h *adapters.Health, currency string) error {
	rates, err := a.rates(ctx)
	if err != nil {
		return err
	}
	accounts, err := a.accounts(ctx)
	if err != nil {
		return err
	}
	active := map[string]bool{}
	for _, r := range rates {
		active[adapters.String(r, "TaxType")] = adapters.String(r, "Status") == "ACTIVE"
	}
	var archived []string
	for _, t := range money.TaxCodes() {
		if t.Side != money.Purchase && !active[t.Xero] {
			archived = append(archived, t.Xero)
			if _, err := t.Code.XeroTaxType(func(s string) bool { return active[s] }); err == nil {
				archived[len(archived)-1] += " (written as " + t.XeroElse + ")"
			}
		}
	}
	if len(archived) > 0 {
		h.Details["archivedTaxRates"] = strings.Join(archived, ", ")
	}
	byCode := map[string]object{}
	for _, x := range accounts {
		byCode[adapters.String(x, "Code")] = x
	}
	d := defaultsOf(a.s.Settings)
	for setting, code := range map[string]string{"salesAccount": d.sales, "bankAccount": d.bank} {
		switch x := byCode[code]; {
		case x == nil:
			h.Problems = append(h.Problems, "the organisation has no active account "+code+": set "+setting+" to the code of one")
		case setting == "bankAccount" && adapters.String(x, "Type") != "BANK" && x["EnablePaymentsToAccount"] != true:
			h.Problems = append(h.Problems, "account "+code+" takes no payments: set bankAccount to a bank account, or enable payments to it in Xero")
		}
	}
	if currency != "" && currency != d.currency {
		h.Problems = append(h.Problems, "the organisation's currency is "+currency+": set currency to it")
	}
	slices.Sort(h.Problems)
	return nil
}

// lockDates are the organisation's members that lock the books, by the name that people see.
var lockDates = map[string]string{"periodLockDate": "PeriodLockDate", "endOfYearLockDate": "EndOfYearLockDate"}

// lockedUntil is the later of the organisation's lock dates; the earlier one is for people without the adviser's role.
func lockedUntil(org object) (last string) {
	for _, member := range lockDates {
		if at, ok := parseTime(adapters.String(org, member)); ok {
			last = max(last, at.Format("2006-01-02"))
		}
	}
	return last
}

// LockedUntil reads the organisation's lock dates.
func (a *adapter) LockedUntil(ctx context.Context) (day string, err error) {
	defer domain.Wrap(&err, "xero.LockedUntil")
	resp, err := a.do(ctx, adapters.Call{Method: http.MethodGet, Path: api + "/Organisation"})
	if err != nil {
		return "", err
	}
	var in struct{ Organisations []object }
	if err := json.Unmarshal(resp.Body, &in); err != nil || len(in.Organisations) == 0 {
		return "", a.err(domain.Unavailable, "Xero's answer holds no organisation")
	}
	return lockedUntil(in.Organisations[0]), nil
}
