//go:build unix

package jobs_test

import (
	"context"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// What people merge, archive and delete on a vendor's own screens is followed, in both systems: nothing is fought and nothing is
// created again, neither at once nor by the sweep that comes after, nor when a person parts the two in Datum.
func TestVendorMergesAreFollowed(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rigConfig) { c.sweep = 2 * time.Second })
	ctx := context.Background()
	r.quiet(20 * time.Second)
	ids := make([]string, 6)
	for i := range ids {
		ids[i] = r.inCRM(i)
	}
	r.ledgers("everybody is in both", 6, 6)
	entity := func(system, id string) string {
		if system == "crm" {
			id = "companies/" + id
		}
		rec, err := store.RecordByID(ctx, r.pool, system, domain.KindCustomer, id)
		must(t, err)
		if rec == nil {
			return ""
		}
		return rec.EntityID
	}
	contact := map[string]string{} // by company
	for _, o := range r.ledger("accounting") {
		contact[ids[numberOf(o.name)]] = o.id
	}
	first, second := entity("crm", ids[0]), entity("crm", ids[1])
	creates := func() int { return r.crm.Stats().Creates + r.xero.Stats().Creates }
	made := creates()

	// Sales merge the second company into the first. HubSpot's survivor is a new object or one of the two: Datum is told.
	o, err := r.crm.Merge("companies", ids[0], ids[1])
	must(t, err)
	survivor := plain(o)["id"].(string)
	eventually(t, 20*time.Second, "the merge in the CRM is followed", func() (bool, any) {
		a, err := store.Survivor(ctx, r.pool, first)
		must(t, err)
		b, err := store.Survivor(ctx, r.pool, second)
		must(t, err)
		return a == b && entity("crm", survivor) == a, []string{a, b}
	})
	// Accounting merges its third contact into its fourth.
	_, err = r.xero.Merge("contacts", contact[ids[3]], contact[ids[2]])
	must(t, err)
	eventually(t, 20*time.Second, "the merge in accounting is followed", func() (bool, any) {
		a, b := entity("accounting", contact[ids[2]]), entity("accounting", contact[ids[3]])
		return a == b && len(r.customers()) == 4, []string{a, b}
	})
	// One is deleted in the CRM, which owns customers, and another one archived in accounting.
	must(t, r.crm.Delete("companies", ids[4]))
	must(t, r.xero.Delete("contacts", contact[ids[5]]))
	r.quiet(20 * time.Second)
	r.swept(20 * time.Second)
	r.quiet(20 * time.Second)
	if n := creates(); n != made {
		t.Errorf("%d objects were created by following", n-made)
	}
	if n := len(r.ledger("crm")); n != 4 {
		t.Errorf("%d companies are left, not 4", n)
	}
	for _, o := range r.ledger("accounting") {
		if o.id == contact[ids[2]] {
			t.Errorf("accounting's merged contact is alive: %+v", o)
		}
	}

	// A person parts what sales have merged. The company that is gone stays gone, whatever the vendor repeats.
	loser := second
	if s, err := store.Survivor(ctx, r.pool, second); err != nil || s == second {
		loser = first
	}
	_, err = r.engine.Applier().Unmerge(ctx, change.Merging{Loser: loser, Reason: "two firms", Cause: causeOf("Jo")})
	must(t, err)
	_, err = r.crm.Put("companies", survivor, map[string]any{"phone": "+61390001234"})
	must(t, err)
	r.quiet(20 * time.Second)
	r.swept(20 * time.Second)
	r.quiet(20 * time.Second)
	if s, err := store.Survivor(ctx, r.pool, loser); err != nil || s != loser {
		t.Errorf("the vendor's old merge was followed again: %s, %v", s, err)
	}
	if n := creates(); n != made {
		t.Errorf("%d objects were created after the two were parted", n-made)
	}
}

// ledgers waits until both vendors have as many customers.
func (r *rig) ledgers(what string, crm, accounting int) {
	r.t.Helper()
	eventually(r.t, 30*time.Second, what, func() (bool, any) {
		a, b := len(r.ledger("crm")), len(r.ledger("accounting"))
		return a == crm && b == accounting, []int{a, b}
	})
	r.quiet(20 * time.Second)
}
