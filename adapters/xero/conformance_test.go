package xero_test

import (
	"fmt"
	"testing"

	"datum/adapters/adaptertest"
	"datum/adapters/xero"
	"datum/adapters/xerosim"
	"datum/domain"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	contactID := func(o map[string]any) string { return fmt.Sprint(o["ContactID"]) }
	adaptertest.Run(t, adaptertest.Fixture{
		Vendor: xero.Vendor(), Kind: domain.KindCustomer,
		New: func() adaptertest.Simulator {
			return xerosim.New(xerosim.Options{Seed: 11, Limits: xerosim.Limits{Concurrent: -1, Minute: -1, Day: -1}, HookScale: 1e-6})
		},
		Settings: func(credentials map[string]string) map[string]string {
			return map[string]string{"tenantId": credentials["tenantId"], "pageSize": "5"}
		},
		TokenPath: "/connect/token", Path: "/Contacts",
		Must: []string{"BatchFetcher", "Writer", "Finder", "Sweeper", "Notifier", "Checker"},
		Type: "contacts", ExternalID: contactID, ObjectID: func(externalID string) string { return externalID },
		Named:      func(name string) map[string]any { return map[string]any{"Name": name} },
		VendorOnly: map[string]any{"AccountNumber": "AC-9", "BankAccountDetails": "062000 12345678", "SalesDefaultAccountCode": "200", "AccountsPayableTaxType": "INPUT"},
		Golden: func(n int) domain.Values {
			return domain.Values{
				"legalName": domain.TextValue(fmt.Sprintf("Customer %04d Pty Ltd", n)), "email": domain.TextValue(fmt.Sprintf("accounts%04d@example.com.au", n)),
				"abn": domain.TextValue(abn(n)), "phone": `"+61255501234"`, "status": `"ACTIVE"`,
			}
		},
		Required: []domain.Field{"legalName"},
		Refused:  map[domain.Field]domain.Value{"legalName": `"no <angles> at Xero"`, "email": `"jö@example.com"`},
		Merges:   true,
	})
}

// abn returns the n-th of many valid ABNs.
func abn(n int) string {
	tail := fmt.Sprintf("%09d", 100_000_000+n)
	sum := 0
	for i, w := range []int{3, 5, 7, 9, 11, 13, 15, 17, 19} {
		sum += w * int(tail[i]-'0')
	}
	// The two check digits d make 10(d1-1) + d2 + sum a multiple of 89; d1 is at least 1.
	return fmt.Sprintf("%d%s", 10+(89-sum%89)%89, tail)
}
