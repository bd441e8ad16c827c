package myob_test

import (
	"fmt"
	"strings"
	"testing"

	"datum/adapters/adaptertest"
	"datum/adapters/myob"
	"datum/adapters/myobsim"
	"datum/domain"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, adaptertest.Fixture{
		Vendor: myob.Vendor(), Kind: domain.KindCustomer,
		New: func() adaptertest.Simulator {
			return myobsim.New(myobsim.Options{Seed: 11, Limits: myobsim.Limits{Second: -1, Day: -1}})
		},
		Settings: func(credentials map[string]string) map[string]string {
			return map[string]string{"apiKey": credentials["clientId"], "businessId": credentials["businessId"], "pageSize": "5"}
		},
		TokenPath: "/oauth2/v1/authorize", Path: "/Contact/Customer",
		Must: []string{"BatchFetcher", "Writer", "Finder", "Sweeper", "Checker"},
		Type: "customers", ExternalID: func(o map[string]any) string { return fmt.Sprint(o["UID"]) }, ObjectID: func(externalID string) string { return externalID },
		Named: func(name string) map[string]any { return map[string]any{"CompanyName": name} },
		VendorOnly: map[string]any{
			"DisplayID": "CUS00042", "CustomField1": map[string]any{"Value": "Queensland"}, "Identifiers": []any{map[string]any{"Label": "AZZ", "Value": "A"}},
			"Addresses": []any{map[string]any{"Location": 1, "Phone2": "03 5550 1234", "Salutation": "Mx"}, map[string]any{"Location": 4, "City": "Hobart"}},
			"SellingDetails": map[string]any{"SaleComment": "ring first", "ABNBranch": "002", "Credit": map[string]any{"OnHold": true},
				"Terms": map[string]any{"PaymentIsDue": "Prepaid", "DiscountForEarlyPayment": 2.5}},
			"PaymentDetails": map[string]any{"Method": "EFT"},
		},
		Golden: func(n int) domain.Values {
			return domain.Values{
				"legalName": domain.TextValue(fmt.Sprintf("Customer %04d Pty Ltd", n)), "email": domain.TextValue(fmt.Sprintf("accounts%04d@example.com.au", n)),
				"abn": domain.TextValue(abn(n)), "phone": `"+61255501234"`, "status": `"ACTIVE"`,
			}
		},
		Required: []domain.Field{"legalName"},
		Refused: map[domain.Field]domain.Value{
			"legalName": domain.TextValue(strings.Repeat("Very Long ", 5) + "Name"), "phone": `"ring the shop and ask for Jo"`,
			"creditLimit": `{"amount":"100.00","currency":"USD"}`,
		},
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
