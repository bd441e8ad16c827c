package myob

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"datum/adapters"
	"datum/domain"
)

// companyFile is what MYOB says of a file.
type companyFile struct {
	ID             string `json:"Id"`
	Name           string
	ProductVersion string
	SerialNumber   string
	Country        string
	ProductLevel   struct{ Name string }
}

// discover finds the businessId if the key may list the files and there is only one. Keys made after 12 March 2025 may not.
func discover(ctx context.Context, s adapters.Session) (map[string]string, error) {
	if s.Settings["apiKey"] == "" {
		return nil, domain.Errorf(domain.Invalid, "apiKey is missing; it is the app's API key, which is also its clientId")
	}
	const byHand = "set businessId to the one in the address that MYOB returned to after consent"
	resp, err := send(ctx, s, adapters.Call{Method: http.MethodGet, Path: "/accountright/", Header: header(s.Settings["apiKey"])})
	if code := domain.CodeOf(err); code == domain.Forbidden || code == domain.NotFound {
		return nil, domain.Errorf(domain.Invalid, "the key may not list its company files; %s", byHand)
	}
	if err != nil {
		return nil, err
	}
	var files []companyFile
	if err := json.Unmarshal(resp.Body, &files); err != nil {
		return nil, domain.Errorf(domain.Unavailable, "MYOB's list of company files cannot be read")
	}
	var names []string
	for _, f := range files {
		names = append(names, fmt.Sprintf("%s (%s)", f.Name, f.ID))
	}
	switch len(files) {
	case 0:
		return nil, domain.Errorf(domain.Invalid, "MYOB lists no company file for the key; %s", byHand)
	case 1:
		return map[string]string{"businessId": files[0].ID}, nil
	default:
		return nil, domain.Errorf(domain.Invalid, "the app has access to several company files; set businessId to one of %s", strings.Join(names, ", "))
	}
}

// Check reads the company file, its lock date, one object of each sort and the codes that the settings name.
func (a *adapter) Check(ctx context.Context) (h adapters.Health, err error) {
	defer domain.Wrap(&err, "myob.Check")
	h.Details = map[string]string{}
	// refused notes a refusal of access and its remedy; any other error ends the check.
	refused := func(err error, remedy string) error {
		if domain.CodeOf(err) == domain.Forbidden {
			h.Problems = append(h.Problems, remedy)
			return nil
		}
		return err
	}
	resp, err := a.do(ctx, adapters.Call{Method: http.MethodGet, Path: "/"})
	if code := domain.CodeOf(err); code == domain.Forbidden || code == domain.NotFound {
		h.Problems = append(h.Problems, "the company file "+a.s.Settings["businessId"]+
			" cannot be opened: an administrator of the file must authorise the app; check businessId, and companyFileUser if the file has its own login")
		return h, nil
	}
	if err != nil {
		return h, err
	}
	var in struct{ CompanyFile companyFile }
	if err := json.Unmarshal(resp.Body, &in); err != nil || in.CompanyFile.Name == "" {
		return h, a.err(domain.Unavailable, "MYOB's answer names no company file")
	}
	h.Account = in.CompanyFile.Name
	for detail, v := range map[string]string{
		"country": in.CompanyFile.Country, "plan": in.CompanyFile.ProductLevel.Name, "version": in.CompanyFile.ProductVersion, "serialNumber": in.CompanyFile.SerialNumber,
	} {
		if v != "" {
			h.Details[detail] = v
		}
	}
	prefs, err := a.preferences(ctx)
	if err := refused(err, "the file's preferences cannot be read: authorise the app with the scope sme-company-settings"); err != nil {
		return h, err
	}
	if lock := prefs.System.LockPeriodPriorTo; lock != "" {
		h.Details["lockPeriodPriorTo"], _, _ = strings.Cut(lock, "T")
		h.LockedUntil = prefs.lastLocked()
	}
	if prefs.System.TransactionsCannotBeChangedMustBeReversed {
		h.Details["transactionsMustBeReversed"] = "true: invoices and payments cannot be changed or voided from here"
	}
	for path, remedy := range map[string]string{
		customers: "customers cannot be read: authorise the app with the scope sme-contacts-customer",
		items:     "items cannot be read: authorise the app with the scope sme-inventory",
		invoices:  "invoices cannot be read: authorise the app with the scope sme-sales",
	} {
		_, err = a.list(ctx, source{path: path}, url.Values{}, 0, 1)
		if err := refused(err, remedy); err != nil {
			return h, err
		}
	}
	for _, c := range []struct{ setting, member, code string }{
		{"taxCode", "TaxCode", "Code"}, {"freightTaxCode", "FreightTaxCode", "Code"}, {"salesAccount", "IncomeAccount", "DisplayID"}, {"purchaseAccount", "ExpenseAccount", "DisplayID"},
		{"stockAccount", "AssetAccount", "DisplayID"}, {"depositAccount", "Account", "DisplayID"}, {"otherItem", "Item", "Number"},
	} {
		err := a.resolve(ctx, object{c.member: object{c.code: a.setting(c.setting)}}, "")
		if domain.CodeOf(err) == domain.Invalid {
			h.Problems = append(h.Problems, "the setting "+c.setting+": "+domain.AsError(err).Message)
			continue
		}
		if err := refused(err, "tax codes and accounts cannot be read, so nothing can be created: authorise the app with the scope sme-general-ledger"); err != nil {
			return h, err
		}
	}
	slices.Sort(h.Problems)
	h.Problems = slices.Compact(h.Problems)
	return h, nil
}
