package change_test

import (
	"testing"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// A member that the mapping does not know is one case for all records, and none any more once a person ignores it.
func TestUnknownMembersAreOneCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	see := func(id string, n int, unknown ...string) {
		rec := w.record(id, n, w.shelf.carried(crm, values("legalName", "Company "+id)))
		rec.Unknown = unknown
		w.apply(crm, rec, change.FromPoll)
	}
	see("h1", 1)
	if cs := w.open(store.CaseDrift); len(cs) != 0 {
		t.Fatalf("cases without anything unknown: %+v", cs)
	}
	see("h1", 2, "colour")
	see("h2", 3, "colour")
	c := w.one(store.CaseDrift)
	if c.System != crm || c.ExternalID != "h1" {
		t.Errorf("the case is about %s %s", c.System, c.ExternalID)
	}
	if _, err := w.a.Decide(ctx, change.Decision{CaseID: c.ID, Choice: change.ChoiceIgnore, Cause: change.Cause{Actor: "Jo", CorrelationID: domain.NewID("cor")}}); err != nil {
		t.Fatal(err)
	}
	see("h3", 4, "colour")
	if cs := w.open(store.CaseDrift); len(cs) != 0 {
		t.Errorf("an ignored member is asked about again: %+v", cs)
	}
	see("h3", 5, "colour", "shape")
	if c := w.one(store.CaseDrift); c.ExternalID != "h3" {
		t.Errorf("the second case is about %s", c.ExternalID)
	}
}
