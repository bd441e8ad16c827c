package zztmp

import (
	"fmt"
	"strings"
	"testing"

	"datum/adapters/adaptertest"
	"datum/adapters/xero"
	"datum/adapters/xerosim"
	"datum/domain"
)

func TestXero(t *testing.T) {
	adaptertest.Run(t, adaptertest.Fixture{
		Vendor: xero.Vendor(), Kind: domain.KindCustomer,
		New: func() adaptertest.Simulator {
			return xerosim.New(xerosim.Options{HookScale: 0.001, Limits: xerosim.Limits{Concurrent: -1, Minute: -1, Day: -1, AppMinute: -1}})
		},
		Settings:  func(c map[string]string) map[string]string { return map[string]string{"pageSize": "5", "tenantId": c["tenantId"]} },
		TokenPath: "/connect/token", Path: "/Contacts",
		Must:       []string{"BatchFetcher", "Writer", "Finder", "Sweeper", "Notifier", "Checker"},
		Type:       "Contacts",
		Named:      func(name string) map[string]any { return map[string]any{"Name": name} },
		ExternalID: func(o map[string]any) string { return o["ContactID"].(string) },
		ObjectID:   func(id string) string { return id },
		VendorOnly: map[string]any{"AccountNumber": "A-17"},
		Golden: func(n int) domain.Values {
			abns := []domain.Value{`"51824753556"`, `"53004085616"`, `"83914571673"`}
			v := domain.Values{"legalName": domain.TextValue(fmt.Sprintf("Hartley %d Pty Ltd", n)), "email": domain.TextValue(fmt.Sprintf("a%d@hartley.com.au", n)), "status": `"ACTIVE"`}
			if n < len(abns) {
				v["abn"] = abns[n]
			}
			return v
		},
		Required: []domain.Field{"legalName", "status"},
		Refused:  map[domain.Field]domain.Value{"legalName": domain.TextValue(strings.Repeat("x", 256)), "email": domain.TextValue("not-an-address")},
		Merges:   true,
	})
}
