package hubspot_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"datum/adapters/adaptertest"
	"datum/adapters/hubspot"
	"datum/adapters/hubspotsim"
	"datum/domain"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, adaptertest.Fixture{
		Vendor: hubspot.Vendor(), Kind: domain.KindCustomer,
		New: func() adaptertest.Simulator {
			return hubspotsim.New(hubspotsim.Options{Seed: 7, Limits: hubspotsim.Limits{Burst: -1, Search: -1}, HookScale: 1e-6})
		},
		Settings: func(credentials map[string]string) map[string]string {
			return map[string]string{"portalId": credentials["portalId"], "pageSize": "5"}
		},
		TokenPath: "/oauth/2026-03/token", Path: "/crm/v3/objects",
		Must:       []string{"BatchFetcher", "Writer", "Finder", "Sweeper", "Notifier", "Checker", "Provisioner"},
		Type:       "companies",
		ExternalID: func(o map[string]any) string { return fmt.Sprint("companies/", o["id"]) },
		ObjectID:   func(externalID string) string { return strings.TrimPrefix(externalID, "companies/") },
		Named:      func(name string) map[string]any { return map[string]any{"name": name} },
		VendorOnly: map[string]any{"industry": "PLUMBING", "numberofemployees": "12", "hs_lead_status": "OPEN", "domain": "hartley.example"},
		Golden: func(n int) domain.Values {
			return domain.Values{
				"legalName": text(fmt.Sprintf("Customer %04d Pty Ltd", n)), "email": text(fmt.Sprintf("accounts%04d@example.com.au", n)),
				"abn": text(abn(n)), "phone": `"+61255501234"`, "status": `"ACTIVE"`, "lifecycleStage": `"CUSTOMER"`,
			}
		},
		Values: map[domain.Field][]domain.Value{"salesOwner": {text("mel@sales.example"), text("priya@sales.example")}},
		Refused: map[domain.Field]domain.Value{"salesOwner": text("nobody@sales.example"), "tags": `["a;b"]`, "legalName": text(strings.Repeat("x", 65_537)),
			"contacts": domain.ValueOf([]domain.Contact{{FirstName: "A", Email: "same@example.com"}, {FirstName: "B", Email: "Same@example.com"}})},
		SignsTime: true,
		Merges:    true,
		Lag:       300 * time.Millisecond,
	})
}

// abn returns the n-th of many valid ABNs.
func abn(n int) string {
	tail := fmt.Sprintf("%09d", 200_000_000+n)
	sum := 0
	for i, w := range []int{3, 5, 7, 9, 11, 13, 15, 17, 19} {
		sum += w * int(tail[i]-'0')
	}
	return fmt.Sprintf("%d%s", 10+(89-sum%89)%89, tail)
}
