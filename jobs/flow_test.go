package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"datum/domain/store"
)

func TestCustomerTravelsFromCRMToAccounting(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.quiet(20 * time.Second)
	_, err := r.crm.Put("companies", "", map[string]any{"name": "  O'Brien & Söhne   Pty Ltd ", "abn": "51 824 753 556", "phone": "(03) 5550 1234",
		"address": "1 Collins St", "city": "Melbourne", "state": "VIC", "zip": "3000", "country": "Australia"})
	must(t, err)
	eventually(t, 15*time.Second, "in Xero", func() (bool, any) {
		o, err := r.xero.Objects("contacts")
		must(t, err)
		b, _ := json.Marshal(o)
		return len(o) == 1, string(b)
	})
	r.quiet(10 * time.Second)
	cs := r.customers()
	if len(cs) != 1 || cs[0].LegalName != "O'Brien & Söhne Pty Ltd" || cs[0].ABN != "51824753556" {
		t.Fatalf("customers: %+v", cs)
	}
	o, _ := r.xero.Objects("contacts")
	b, _ := json.Marshal(o)
	t.Log(string(b))
	if s := r.xero.Stats(); s.Creates != 1 || s.Updates != 0 {
		t.Errorf("xero: %d creates, %d updates", s.Creates, s.Updates)
	}
}

func TestBackfillBringsWhatBothSystemsHold(t *testing.T) {
	t.Parallel()
	const n = 250
	r := newRig(t, func(c *rigConfig) {
		c.seed = func(r *rig) {
			for i := range n {
				_, err := r.crm.Put("companies", "", map[string]any{"name": fmt.Sprintf("Company %d Pty Ltd", i), "customer_email": fmt.Sprintf("c%d@example.com", i)})
				must(t, err)
				if i%2 == 0 {
					_, err := r.xero.Put("contacts", "", map[string]any{"Name": fmt.Sprintf("Company %d Pty Ltd", i), "EmailAddress": fmt.Sprintf("c%d@example.com", i)})
					must(t, err)
				}
			}
		}
	})
	r.quiet(60 * time.Second)
	if got := len(r.customers()); got != n {
		t.Errorf("%d customers, want %d", got, n)
	}
	if s := r.xero.Stats(); s.Creates != n/2 || s.WriteCalls["POST /api.xro/2.0/Contacts"] > 4 {
		left, err := store.Unlevel(context.Background(), r.pool, "accounting", "Customer")
		t.Errorf("xero: %d creates in %v; %v %v", s.Creates, s.WriteCalls, left, err)
	}
	if s := r.crm.Stats(); s.Creates != 0 {
		t.Errorf("hubspot: %d creates", s.Creates)
	}
}
