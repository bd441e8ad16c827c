package cin7core

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"datum/adapters"
	"datum/domain"
)

// Check reads the company, its tax rules and its webhooks, of which Cin7 Core deactivates those that failed six times and
// tells nobody.
func (a *adapter) Check(ctx context.Context) (h adapters.Health, err error) {
	defer domain.Wrap(&err, "cin7core.Check")
	h.Details = map[string]string{}
	me, _, err := a.do(ctx, http.MethodGet, "/me", nil, nil, false)
	if err != nil {
		return h, err
	}
	if h.Account = adapters.String(me, "Company"); h.Account == "" {
		return h, a.err(domain.Unavailable, "Cin7 Core's answer names no company")
	}
	for detail, key := range map[string]string{"currency": "Currency", "timeZone": "TimeZone", "lockDate": "LockDate", "taxCalculation": "TaxCalculationMethod"} {
		if v := adapters.String(me, key); v != "" {
			h.Details[detail], _, _ = strings.Cut(v, "T00:00:00")
		}
	}
	if c := adapters.String(me, "Currency"); c != a.habits.currency {
		h.Problems = append(h.Problems, fmt.Sprintf("the account's base currency is %s; set currency to it", c))
	}
	if u := adapters.String(me, "DefaultWeightUnits"); u != "" && u != a.habits.weightUnit {
		h.Problems = append(h.Problems, fmt.Sprintf("the account's default unit of weight is %s; set weightUnit to it", u))
	}
	taxes, _, _, err := a.all(ctx, "/ref/tax", "TaxRuleList", url.Values{}, func(o object) string { return adapters.String(o, "ID") })
	if err != nil {
		return h, err
	}
	var names []string
	for _, t := range taxes {
		if t["IsActive"] == true {
			names = append(names, adapters.String(t, "Name"))
		}
	}
	slices.Sort(names)
	if rule := a.habits.rules.name("GST"); !slices.Contains(names, rule) {
		h.Problems = append(h.Problems, fmt.Sprintf("the account has no tax rule %q: set taxRules, such as GST=GST 10%%; it has %s", rule, strings.Join(names, ", ")))
	}
	hooks, _, err := a.do(ctx, http.MethodGet, "/webhooks", nil, nil, false)
	if domain.CodeOf(err) == domain.Forbidden {
		h.Details["webhooks"] = "not in the account's plan (Automation module); changes are polled"
		return h, nil
	}
	if err != nil {
		return h, err
	}
	for _, w := range entries(hooks["Webhooks"]) {
		if w["IsActive"] == false {
			h.Problems = append(h.Problems, fmt.Sprintf("the webhook %s is inactive: Cin7 Core deactivates one whose deliveries failed six times; activate it under Integrations & API",
				adapters.String(w, "Type")))
		}
	}
	return h, nil
}
