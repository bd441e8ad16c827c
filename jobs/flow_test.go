package jobs_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"datum/domain/store"
)

func (r *rig) customers() []store.CustomerRow {
	r.t.Helper()
	cs, err := store.ListCustomers(context.Background(), r.pool, store.CustomerFilter{}, store.CustomerPage{Order: store.OrderByID, Limit: 5000})
	must(r.t, err)
	return cs
}

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
		t.Fatalf("customers: %+v", cs[0].Customer)
	}
	o, _ := r.xero.Objects("contacts")
	b, _ := json.Marshal(o)
	t.Log(string(b))
	if s := r.xero.Stats(); s.Creates != 1 || s.Updates != 0 {
		t.Errorf("xero: %d creates, %d updates", s.Creates, s.Updates)
	}
}
