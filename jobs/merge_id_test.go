package jobs_test

import (
	"context"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// Two customers that a person has made one go on being written, in each system to the record that stands for both. It keeps the
// id of ours that it has: the survivor's is on its other record there, and no vendor takes one id twice.
func TestMergedCustomerIsWritten(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rigConfig) { c.policy = customersOnly() })
	ctx := context.Background()
	r.quiet(20 * time.Second)
	company := []string{r.inCRM(0), r.inCRM(1)}
	r.ledgers("both are in both", 2, 2)
	entities, contacts := make([]string, 2), make([]string, 2)
	marks := map[string]string{}
	for i, id := range company {
		rec, err := store.RecordByID(ctx, r.pool, "crm", domain.KindCustomer, "companies/"+id)
		must(t, err)
		entities[i] = rec.EntityID
	}
	for _, o := range r.ledger("accounting") {
		contacts[numberOf(o.name)] = o.id
	}
	rename := func(name string) {
		for _, id := range contacts {
			_, err := r.xero.Put("contacts", id, map[string]any{"Name": name + " " + id[:4]})
			must(t, err)
		}
		r.quiet(30 * time.Second)
	}
	rename("Apart Pty Ltd")
	for _, o := range r.ledger("crm") {
		if marks[o.id] = o.ours; o.ours == "" {
			t.Fatalf("company %s was written without our id", o.id)
		}
	}
	// The one with the higher company id stays, so the lower company is the other's.
	_, err := r.engine.Applier().Merge(ctx, change.Merging{Survivor: entities[1], Loser: entities[0], Reason: "one firm", Cause: causeOf("Jo")})
	must(t, err)
	r.quiet(30 * time.Second)
	rename("Together Pty Ltd")
	r.noCases()
	ps, err := store.ProjectionsOf(ctx, r.pool, []string{entities[1]})
	must(t, err)
	for _, p := range ps {
		if p.Status != store.Confirmed {
			t.Errorf("%s: %s, %s %s", p.System, p.Status, p.ErrorCode, p.Error)
		}
	}
	golden, err := store.Entities(ctx, r.pool, []string{entities[1]})
	must(t, err)
	wrote := false
	for _, o := range r.ledger("crm") {
		wrote = wrote || o.name == golden[0].Golden["legalName"].Text()
		if o.ours != marks[o.id] {
			t.Errorf("company %s has our id %q, it was %q", o.id, o.ours, marks[o.id])
		}
	}
	if !wrote {
		t.Errorf("no company is called %s", golden[0].Golden["legalName"])
	}
}
