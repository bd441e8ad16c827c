package jobs_test

import (
	"context"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// An operator changes a telephone number that the CRM owns: it is written there, counts when the CRM shows it, and reaches
// accounting after that. What the CRM does not hear in time is no longer asked for.
func TestChangeTravelsToItsOwner(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := context.Background()
	r.quiet(20 * time.Second)
	r.inCRM(1)
	r.ledgers("the customer is in both", 1, 1)
	id := r.customers()[0].ID
	ask := func(number string, until time.Time) {
		t.Helper()
		res, err := r.engine.Applier().Edit(ctx, change.Edit{System: "ops", Kind: domain.KindCustomer, EntityID: id, Fields: domain.Values{"phone": domain.TextValue(number)},
			Through: &change.WriteThrough{Reason: "they rang", Authorised: true, ExpiresAt: until}, Cause: causeOf("Jo")})
		must(t, err)
		if len(res.Refused) > 0 || len(res.Changed) > 0 {
			t.Fatalf("asked: %+v", res)
		}
	}
	ask("+61390001111", time.Time{})
	eventually(t, 20*time.Second, "both systems have the number", func() (bool, any) {
		a, b := r.ledger("crm")[0].phone, r.ledger("accounting")[0].phone
		return a != "" && b != "" && r.customers()[0].Phone == "+61390001111", []string{a, b, r.customers()[0].Phone}
	})
	r.quiet(20 * time.Second)
	if ps, err := store.PinsOf(ctx, r.pool, []string{id}); err != nil || len(ps) != 0 {
		t.Errorf("still asked for: %+v, %v", ps, err)
	}

	must(t, r.engine.SetMode(ctx, "crm", store.ModeObserve, causeOf("test")))
	ask("+61390002222", time.Now().Add(5*time.Second))
	eventually(t, 20*time.Second, "a case says that it was not confirmed", func() (bool, any) {
		cs, err := store.ListCases(ctx, r.pool, store.CaseFilter{Status: "open", Kind: store.CaseUnconfirmed}, nil, "", 10)
		must(t, err)
		return len(cs) == 1 && cs[0].EntityID == id, cs
	})
	if p := r.customers()[0].Phone; p != "+61390001111" {
		t.Errorf("the number in force is %s", p)
	}
}
