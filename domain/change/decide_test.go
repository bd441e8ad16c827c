package change_test

import (
	"sync"
	"testing"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

func (w *world) pins(id string) (fields []string) {
	w.tb.Helper()
	rows, err := w.pool.Query(ctx, `SELECT field FROM pins WHERE entity_id = $1 AND slept_by = '' ORDER BY field`, id)
	w.ok(err)
	defer rows.Close()
	for rows.Next() {
		var f string
		w.ok(rows.Scan(&f))
		fields = append(fields, f)
	}
	return fields
}

// An edit for the owner through the API counts at once, travels to the owner, and ends when the owner says the same.
func TestPinUntilConfirmed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Fox Pty Ltd", "phone", "+61390000001"))
	res := w.edit(crm, id, values("phone", "+61390000002"))
	if len(res.Refused) > 0 || len(res.Changed) != 1 {
		t.Fatalf("%+v", res)
	}
	w.isGolden(id, "phone", text("+61390000002"))
	if p := w.entity(id).Provenance["phone"]; p.Why != string(ownership.ByPin) || p.Owner != crm {
		t.Errorf("provenance %+v", p)
	}
	w.quietly("reading the owner before it knows", func() { w.change(crm, "h1", nil) })
	w.work(w.faithful)
	w.isAt(id, crm, store.Confirmed)
	w.isAt(id, accounting, store.Confirmed)
	if p := w.pins(id); len(p) != 0 {
		t.Errorf("pins left: %v", p)
	}
	w.isRow(id, store.ActionPinned, "phone", 1)
	w.isRow(id, store.ActionUnpinned, "phone", 1)
	w.change(crm, "h1", values("phone", "+61390000003"))
	w.isGolden(id, "phone", text("+61390000003"))
}

// The owner edits the field while a decision about it is on its way: the decision stands, and the history says what became
// of the edit.
func TestOwnerEditsUnderPin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Gnu Pty Ltd", "phone", "+61390000001"))
	w.edit(crm, id, values("phone", "+61390000002"))
	w.change(crm, "h1", values("phone", "+61390000003"))
	w.isGolden(id, "phone", text("+61390000002"))
	w.isRow(id, store.ActionRestored, "phone", 1)
	w.quietly("reading it again", func() { w.change(crm, "h1", nil) })
	w.work(w.faithful)
	if v := w.stored(crm, "h1").Values["phone"]; v != text("+61390000002") {
		t.Errorf("crm has %s", v)
	}
}

// What a person accepts travels to the owner and everywhere, and what is turned down is written over, whoever proposed it.
func TestConflictDecided(t *testing.T) {
	t.Parallel()
	for _, choice := range []string{change.ChoiceAccept, change.ChoiceKeepOurs} {
		for _, door := range []string{"vendor", "API"} {
			t.Run(choice+" from "+door, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, ownership.DefaultSource())
				id := w.pair(1, values("legalName", "Hen Pty Ltd", "email", "a@hen.example.com"))
				if door == "vendor" {
					w.change(accounting, "x1", values("email", "b@hen.example.com"))
				} else if res := w.edit(ops, id, values("email", "b@hen.example.com")); len(res.Proposed) != 1 {
					t.Fatalf("%+v", res)
				}
				c := w.one(store.CaseConflict)
				if n := w.work(w.faithful); len(n) > 0 {
					t.Fatalf("written before anybody decided: %v", n)
				}
				w.decide(c.ID, choice)
				w.none("")
				w.work(w.faithful)
				want := text("b@hen.example.com")
				if choice == change.ChoiceKeepOurs {
					want = text("a@hen.example.com")
				}
				w.isGolden(id, "email", want)
				for s, r := range map[string]string{crm: "h1", accounting: "x1"} {
					if v := w.stored(s, r).Values["email"]; v != want {
						t.Errorf("%s has %s", s, v)
					}
					w.isAt(id, s, store.Confirmed)
				}
				if p := w.pins(id); len(p) != 0 {
					t.Errorf("pins left: %v", p)
				}
				w.none("")
				w.quietly("reading both again", func() { w.change(crm, "h1", nil); w.change(accounting, "x1", nil) })
				w.change(crm, "h1", values("email", "c@hen.example.com"))
				w.isGolden(id, "email", text("c@hen.example.com"))
				w.none("")
			})
		}
	}
}

// A proposal ends by itself when the world agrees or the proposer takes it back.
func TestConflictOvertaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Ibis Pty Ltd", "email", "a@ibis.example.com", "phone", "+61390000001"))
	w.change(accounting, "x1", values("email", "b@ibis.example.com"))
	w.one(store.CaseConflict)
	w.change(accounting, "x1", values("email", "c@ibis.example.com"))
	if c := w.one(store.CaseConflict); c.Detail.Theirs != text("c@ibis.example.com") {
		t.Errorf("case %+v", c.Detail)
	}
	w.change(accounting, "x1", values("email", "a@ibis.example.com"))
	w.none("")
	w.change(accounting, "x1", values("email", ""))
	if c := w.one(store.CaseConflict); !c.Detail.Theirs.Empty() {
		t.Errorf("case %+v", c.Detail)
	}
	w.quietly("reading it again", func() { w.change(accounting, "x1", nil) })
	w.change(crm, "h1", values("email", ""))
	w.none("")
	w.edit(ops, id, values("tradingName", "Ibis", "email", "d@ibis.example.com"))
	if n := len(w.open(store.CaseConflict)); n != 2 {
		t.Fatalf("%d cases", n)
	}
	w.change(crm, "h1", values("email", "d@ibis.example.com", "tradingName", "Ibis"))
	w.none("")
}

// Who changes a value again while what was decided about it is still on its way to the owner is asked about too, and not written over.
func TestChangedAfterTheDecision(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"c@hen.example.com", ""} {
		t.Run("to "+value, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ownership.DefaultSource())
			id := w.pair(1, values("legalName", "Hen Pty Ltd", "email", "a@hen.example.com"))
			w.change(accounting, "x1", values("email", "b@hen.example.com"))
			w.decide(w.one(store.CaseConflict).ID, change.ChoiceAccept)
			w.change(accounting, "x1", values("email", value))
			c := w.one(store.CaseConflict)
			w.quietly("reading it again", func() { w.change(accounting, "x1", nil) })
			w.work(w.faithful)
			if v := w.stored(crm, "h1").Values["email"]; v != text("b@hen.example.com") {
				t.Errorf("crm has %s", v)
			}
			if v := w.stored(accounting, "x1").Values["email"]; v != text(value) && !(value == "" && v.Empty()) {
				t.Errorf("accounting was written over: %s", v)
			}
			if again := w.one(store.CaseConflict); again.ID != c.ID {
				t.Errorf("another case: %+v", again)
			}
			w.decide(c.ID, change.ChoiceKeepOurs)
			w.work(w.faithful)
			if v := w.stored(accounting, "x1").Values["email"]; v != text("b@hen.example.com") {
				t.Errorf("accounting has %s", v)
			}
			w.isGolden(id, "email", text("b@hen.example.com"))
			w.none("")
		})
	}
}

// Where the owner is Datum's own system, an accepted value becomes its word, and its next edit counts.
func TestAcceptForNativeOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t, policyHead+"  create: [crm, accounting, ops]\n  replicate: {crm: always, accounting: always}\n  fields:\n    notes: {owner: ops, fallback: [crm], others: propose}\n")
	id := w.pair(1, values("legalName", "Jay Pty Ltd"))
	w.edit(ops, id, values("notes", "one"))
	w.work(w.faithful)
	w.change(crm, "h1", values("notes", "two"))
	w.decide(w.one(store.CaseConflict).ID, change.ChoiceAccept)
	w.isGolden(id, "notes", text("two"))
	if p := w.pins(id); len(p) != 0 {
		t.Errorf("pins that nobody will confirm: %v", p)
	}
	w.edit(ops, id, values("notes", "three"))
	w.isGolden(id, "notes", text("three"))
	w.work(w.faithful)
	if v := w.stored(crm, "h1").Values["notes"]; v != text("three") {
		t.Errorf("crm has %s", v)
	}
}

// A pin from before the policy gave the field to Datum's own system ends with that system's next edit.
func TestNativeOwnerEndsPin(t *testing.T) {
	t.Parallel()
	w := newWorld(t, policyHead+"  create: [crm, ops]\n  replicate: {crm: always}\n")
	id := w.see(crm, "h1", values("legalName", "Koi Pty Ltd", "notes", "one")).EntityID
	w.edit(crm, id, values("notes", "two"))
	w.publish(policyHead + "  create: [crm, ops]\n  replicate: {crm: always}\n  fields:\n    notes: {owner: ops, fallback: [crm]}\n")
	w.resettleAll()
	w.edit(ops, id, values("notes", "three"))
	w.isGolden(id, "notes", text("three"))
	w.isRow(id, store.ActionUnpinned, "notes", 1)
	if p := w.pins(id); len(p) != 0 {
		t.Errorf("pins left: %v", p)
	}
}

// What somebody says of fields that they do not own when they create a customer gives way to their owners.
func TestCreatedForVendor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.edit(crm, "", values("legalName", "Lynx", "abn", abn(1), "phone", "+61390000001")).EntityID
	w.isGolden(id, "legalName", text("Lynx"))
	w.see(accounting, "x1", values("abn", abn(1), "legalName", "Lynx Holdings Pty Ltd", "phone", "+61390000002"))
	if got := w.stored(accounting, "x1").EntityID; got != id {
		t.Fatalf("accounting's record is linked to %s", got)
	}
	w.isGolden(id, "legalName", text("Lynx Holdings Pty Ltd"))
	w.isGolden(id, "phone", text("+61390000001"))
	w.work(w.faithful)
	w.isAt(id, crm, store.Confirmed)
	w.isAt(id, accounting, store.Confirmed)
	if v := w.stored(accounting, "x1").Values["legalName"]; v != text("Lynx Holdings Pty Ltd") {
		t.Errorf("accounting has %s", v)
	}
	if p := w.pins(id); len(p) != 0 {
		t.Errorf("pins left: %v", p)
	}
	w.replays(id)
}

// Of many who answer one case at once, one is heard.
func TestDecidedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Mole Pty Ltd", "email", "a@mole.example.com"))
	w.change(accounting, "x1", values("email", "b@mole.example.com"))
	c := w.one(store.CaseConflict)
	free := w.hold(id)
	var mu sync.Mutex
	var heard []string
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			choice := []string{change.ChoiceAccept, change.ChoiceKeepOurs}[i%2]
			_, err := w.process().Decide(ctx, change.Decision{CaseID: c.ID, Choice: choice, Cause: change.Cause{Actor: "Jo"}})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				heard = append(heard, choice)
			} else if domain.CodeOf(err) != domain.Conflict {
				t.Error(err)
			}
		})
	}
	w.waiting(8)
	free()
	wg.Wait()
	if len(heard) != 1 {
		t.Fatalf("heard: %v", heard)
	}
	w.work(w.faithful)
	want := map[string]string{change.ChoiceAccept: "b@mole.example.com", change.ChoiceKeepOurs: "a@mole.example.com"}[heard[0]]
	w.isGolden(id, "email", text(want))
	if _, err := w.a.Decide(ctx, change.Decision{CaseID: c.ID, Choice: "perhaps", Cause: change.Cause{Actor: "Jo"}}); domain.CodeOf(err) != domain.Conflict {
		t.Errorf("deciding again: %v", err)
	}
	w.change(accounting, "x1", values("email", "d@mole.example.com"))
	if _, err := w.a.Decide(ctx, change.Decision{CaseID: w.one(store.CaseConflict).ID, Choice: "perhaps", Cause: change.Cause{Actor: "Jo"}}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("an answer that is none: %v", err)
	}
}
