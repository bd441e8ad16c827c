package memory_test

import (
	"fmt"
	"strings"
	"testing"

	"datum/adapters/adaptertest"
	"datum/adapters/adaptertest/memory"
	"datum/domain"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	adaptertest.Run(t, adaptertest.Fixture{
		Vendor: memory.Vendor(), Kind: domain.KindCustomer,
		New:       func() adaptertest.Simulator { return NewSim() },
		Settings:  func(map[string]string) map[string]string { return map[string]string{"pageSize": "5"} },
		TokenPath: "/token", Path: "/v1/customers",
		Must:       []string{"BatchFetcher", "Writer", "Finder", "Sweeper", "Notifier", "Checker"},
		Type:       "customers",
		Named:      func(name string) map[string]any { return map[string]any{"legalName": name} },
		ExternalID: func(o map[string]any) string { return o["id"].(string) },
		ObjectID:   func(id string) string { return id },
		VendorOnly: map[string]any{"colour": "green"},
		Golden: func(n int) domain.Values {
			abns := []domain.Value{`"51824753556"`, `"53004085616"`, `"83914571673"`}
			v := domain.Values{"legalName": domain.TextValue(fmt.Sprintf("Hartley %d Pty Ltd", n)), "email": domain.TextValue(fmt.Sprintf("a%d@hartley.com.au", n)), "status": `"ACTIVE"`}
			if n < len(abns) {
				v["abn"] = abns[n]
			}
			return v
		},
		Required:  []domain.Field{"legalName"},
		Refused:   map[domain.Field]domain.Value{"notes": domain.TextValue(strings.Repeat("x", 1000))},
		SignsTime: true, Merges: true,
	})
}
