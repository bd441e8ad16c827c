package change_test

import (
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// ask lets an operator of ops ask the owners of fields for a change.
func (w *world) ask(entity string, fields domain.Values) change.Result {
	w.tb.Helper()
	return w.askAs(entity, fields, change.WriteThrough{Reason: "the customer rang", Authorised: true})
}

func (w *world) askAs(entity string, fields domain.Values, through change.WriteThrough) change.Result {
	w.tb.Helper()
	res, err := w.a.Edit(ctx, change.Edit{System: ops, Kind: customer, EntityID: entity, Fields: fields, Through: &through, Cause: w.cause(ops, change.FromMutation)})
	w.ok(err)
	return res
}

// asked returns the change that is asked for of a field, nil if there is none.
func (w *world) asked(entity string, f domain.Field) *store.Pin {
	w.tb.Helper()
	ps, err := store.PinsOf(ctx, w.pool, []string{entity})
	w.ok(err)
	for _, p := range ps {
		if p.Field == f && p.Asked {
			return &p
		}
	}
	return nil
}

// A change of a field that another system owns travels to the owner, counts once the owner shows it, and then everywhere.
func TestAskedUntilConfirmed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Ant Pty Ltd", "phone", "+61390000001"))
	if res := w.edit(ops, id, values("phone", "+61390000002")); len(res.Refused) != 1 || res.Refused[0].Code != domain.NotOwner {
		t.Fatalf("without asking: %+v", res)
	}
	res := w.ask(id, values("phone", "+61390000002"))
	if len(res.Refused) > 0 || len(res.Changed) > 0 {
		t.Fatalf("asked: %+v", res)
	}
	w.isGolden(id, "phone", text("+61390000001"))
	w.isAt(id, crm, store.Pending)
	w.isAt(id, accounting, store.Confirmed)
	if p := w.asked(id, "phone"); p == nil || p.System != crm || p.Reason != "the customer rang" || p.Was != text("+61390000001") || p.ExpiresAt.Sub(p.CreatedAt) != ownership.AskedFor {
		t.Fatalf("asked for: %+v", p)
	}
	w.quietly("reading the owner before it knows", func() { w.change(crm, "h1", nil) })
	w.quietly("resolving it again", w.resettleAll)
	if n := w.work(w.faithful); n[crm] != 1 || n[accounting] != 1 {
		t.Errorf("written: %v", n)
	}
	w.isGolden(id, "phone", text("+61390000002"))
	if p := w.entity(id).Provenance["phone"]; p.Why != string(ownership.ByOwner) || p.System != crm {
		t.Errorf("provenance %+v", p)
	}
	if v := w.stored(accounting, "x1").Values["phone"]; v != text("+61390000002") {
		t.Errorf("accounting has %s", v)
	}
	if p := w.asked(id, "phone"); p != nil {
		t.Errorf("still asked for: %+v", p)
	}
	w.isRow(id, store.ActionAsked, "phone", 1)
	w.isRow(id, store.ActionConfirmed, "phone", 1)
	w.replays(id)
	w.none("")
	w.quietly("reading both again", func() { w.change(crm, "h1", nil); w.change(accounting, "x1", nil) })
}

// The owner says something else while it is asked: its word stands, and the history says what became of the change.
func TestAskedAndOvertaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Bee Pty Ltd", "phone", "+61390000001"))
	w.ask(id, values("phone", "+61390000002"))
	w.change(crm, "h1", values("phone", "+61390000003"))
	w.isGolden(id, "phone", text("+61390000003"))
	w.isRow(id, store.ActionOvertaken, "phone", 1)
	w.work(w.faithful)
	w.isAt(id, crm, store.Confirmed)
	if v := w.stored(crm, "h1").Values["phone"]; v != text("+61390000003") {
		t.Errorf("crm has %s", v)
	}
	// An edit elsewhere meanwhile is judged as ever.
	w.ask(id, values("phone", "+61390000004"))
	w.change(accounting, "x1", values("phone", "+61390000005"))
	w.isRow(id, store.ActionRestored, "phone", 1)
	w.work(w.faithful)
	w.isGolden(id, "phone", text("+61390000004"))
	w.isAt(id, accounting, store.Confirmed)
}

// What is asked for can be taken back, by itself or by wanting what is in force after all.
func TestAskedAndWithdrawn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Cod Pty Ltd", "phone", "+61390000001"))
	for _, how := range []string{"withdrawn", "the same again"} {
		w.ask(id, values("phone", "+61390000002"))
		if how == "withdrawn" {
			_, err := w.a.Withdraw(ctx, change.Withdrawal{EntityID: id, Field: "phone", Asked: true, Reason: "a mistake", Cause: change.Cause{Actor: "Jo"}})
			w.ok(err)
		} else {
			w.ask(id, values("phone", "+61390000001"))
		}
		w.isAt(id, crm, store.Confirmed)
		if n := w.work(w.faithful); len(n) > 0 || w.asked(id, "phone") != nil {
			t.Errorf("%s: written %v, asked for %v", how, n, w.asked(id, "phone"))
		}
	}
	w.isRow(id, store.ActionWithdrawn, "phone", 2)
	if _, err := w.a.Withdraw(ctx, change.Withdrawal{EntityID: id, Field: "phone", Asked: true, Cause: change.Cause{Actor: "Jo"}}); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("withdrawing again: %v", err)
	}
	// A pin likewise.
	w.edit(crm, id, values("phone", "+61390000009"))
	w.isGolden(id, "phone", text("+61390000009"))
	if _, err := w.a.Withdraw(ctx, change.Withdrawal{EntityID: id, Field: "phone", Asked: true, Cause: change.Cause{Actor: "Jo"}}); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("a pin is no change that is asked for: %v", err)
	}
	_, err := w.a.Withdraw(ctx, change.Withdrawal{EntityID: id, Field: "phone", Reason: "a mistake", Cause: change.Cause{Actor: "Jo"}})
	w.ok(err)
	w.isGolden(id, "phone", text("+61390000001"))
	if n := w.work(w.faithful); len(n) > 0 {
		t.Errorf("written: %v", n)
	}
}

// What its owner does not confirm in time is no longer asked for, and a case says so; it can be asked for again.
func TestAskedAndExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Dab Pty Ltd", "phone", "+61390000001"))
	w.ask(id, values("phone", "+61390000002"))
	expire := func(after time.Duration) int {
		n, err := w.a.ExpireChanges(ctx, time.Now().Add(after))
		w.ok(err)
		return n
	}
	if n := expire(ownership.AskedFor - time.Hour); n != 0 {
		t.Fatalf("%d expired before their time", n)
	}
	if n := expire(ownership.AskedFor + time.Hour); n != 1 {
		t.Fatalf("%d expired", n)
	}
	w.isRow(id, store.ActionExpired, "phone", 1)
	w.isAt(id, crm, store.Confirmed)
	if n := w.work(w.faithful); len(n) > 0 {
		t.Errorf("written: %v", n)
	}
	c := w.one(store.CaseUnconfirmed)
	if c.Detail.Owner != crm || c.Detail.Theirs != text("+61390000002") || c.Detail.Ours != text("+61390000001") {
		t.Errorf("case %+v", c)
	}
	w.decide(c.ID, change.ChoiceRetry)
	if p := w.asked(id, "phone"); p == nil {
		t.Fatal("it is not asked for again")
	}
	expire(ownership.AskedFor + time.Hour)
	w.one(store.CaseUnconfirmed)
	w.change(crm, "h1", values("phone", "+61390000002")) // somebody has done it there
	w.none("")
}

// The policy says how long an owner is asked.
func TestAskedAsLongAsThePolicySays(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource()+"\nwriteThrough: {expires: 36h}\n")
	id := w.pair(1, values("legalName", "Dab Pty Ltd", "phone", "+61390000001"))
	w.ask(id, values("phone", "+61390000002"))
	for _, x := range []struct {
		after time.Duration
		want  int
	}{{35 * time.Hour, 0}, {37 * time.Hour, 1}} {
		if n, err := w.a.ExpireChanges(ctx, time.Now().Add(x.after)); err != nil || n != x.want {
			t.Fatalf("%d expired after %s (%v)", n, x.after, err)
		}
	}
	w.one(store.CaseUnconfirmed)
}

// The owner refuses: a case offers to try again and to take it back, and the value in force stays what it is.
func TestAskedAndRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Eel Pty Ltd", "phone", "+61390000001"))
	stubborn := func(_ string, before, _ domain.Values) domain.Values { return before.Clone() }
	w.ask(id, values("phone", "+61390000002"))
	w.work(stubborn)
	w.isAt(id, crm, store.Refused)
	w.isGolden(id, "phone", text("+61390000001"))
	c := w.one(store.CaseRefused)
	w.decide(c.ID, change.ChoiceRetry)
	w.isAt(id, crm, store.Pending)
	w.work(stubborn)
	w.decide(w.one(store.CaseRefused).ID, change.ChoiceWithdraw)
	w.none("")
	w.isAt(id, crm, store.Confirmed)
	if p := w.asked(id, "phone"); p != nil {
		t.Errorf("still asked for: %+v", p)
	}
	w.isRow(id, store.ActionWithdrawn, "phone", 1)
}

// Who may ask, and for what.
func TestAskingNeedsLeave(t *testing.T) {
	t.Parallel()
	w := newWorld(t, policyHead+`  create: [crm, accounting, ops]
  replicate: {crm: always, accounting: always}
  fields:
    phone: {owner: crm, writeThrough: editor}
    website: {owner: accounting, fallback: [crm]}
    notes: {owner: ops}
`)
	id := w.pair(1, values("legalName", "Fly Pty Ltd", "phone", "+61390000001"))
	editor := change.WriteThrough{Reason: "asked"}
	if res := w.askAs(id, values("phone", "+61390000002", "notes", "one"), editor); len(res.Refused) > 0 || w.asked(id, "phone") == nil {
		t.Errorf("a field that editors may ask for, and one of their own: %+v", res)
	}
	w.isGolden(id, "notes", text("one"))
	for _, c := range []struct {
		what    string
		fields  domain.Values
		through change.WriteThrough
		code    domain.Code
	}{
		{"a field that only operators may ask for", values("legalName", "Flies"), editor, domain.NotOwner},
		{"one that cannot be written to its owner", values("website", "https://fly.example.com"), change.WriteThrough{Reason: "asked", Authorised: true}, domain.Unsupported},
		{"no reason", values("phone", "+61390000003"), change.WriteThrough{Authorised: true}, domain.Invalid},
		{"a time that is over", values("phone", "+61390000003"), change.WriteThrough{Reason: "asked", Authorised: true, ExpiresAt: time.Now().Add(-time.Hour)}, domain.Invalid},
	} {
		if res := w.askAs(id, c.fields, c.through); len(res.Refused) != 1 || res.Refused[0].Code != c.code {
			t.Errorf("%s: %+v", c.what, res)
		}
	}
	w.publish(policyHead + "  create: [crm, accounting, ops]\n  replicate: {crm: always, accounting: always}\n  fields:\n    phone: {owner: accounting}\n    notes: {owner: ops}\n")
	w.resettleAll()
	if p := w.asked(id, "phone"); p != nil {
		t.Errorf("asked of a system that no longer owns it: %+v", p)
	}
}

// A change asked for of a merged customer stays with the survivor when they are parted, confirmed or not.
func TestAskedOfMerged(t *testing.T) {
	t.Parallel()
	for _, confirmed := range []bool{false, true} {
		w := newWorld(t, ownership.DefaultSource())
		a := w.pair(1, values("legalName", "Gar Pty Ltd", "phone", "+61390000001"))
		b := w.pair(2, values("legalName", "Hake Pty Ltd", "phone", "+61390000002"))
		w.merge(a, b)
		w.catchUp()
		w.ask(a, values("phone", "+61390000003"))
		w.edit(accounting, a, values("legalName", "Gar and Hake Pty Ltd"))
		if confirmed {
			w.work(w.faithful)
		}
		w.unmerge(b)
		w.catchUp()
		w.isGolden(a, "phone", text("+61390000003"))
		w.isGolden(a, "legalName", text("Gar and Hake Pty Ltd"))
		w.isGolden(b, "phone", text("+61390000002"))
		w.isGolden(b, "legalName", text("Hake Pty Ltd"))
		for s, r := range map[string]string{crm: "h2", accounting: "x2"} {
			if v := w.stored(s, r).Values["phone"]; v != text("+61390000002") {
				t.Errorf("%s has %s", s, v)
			}
		}
		w.isAt(a, crm, store.Confirmed)
		w.isAt(b, crm, store.Confirmed)
	}
}
