package change_test

import (
	"maps"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// What its owner has cleared is cleared everywhere, and no copy brings it back, whenever the copies are read.
func TestClearedByItsOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Ash Pty Ltd", "phone", "+61390000001"))
	w.change(crm, "h1", values("phone", ""))
	w.isGolden(id, "phone", domain.Null)
	p := w.isAt(id, accounting, store.Pending)
	if v, ok := p.Diff["phone"]; !ok || v != domain.Null {
		t.Fatalf("accounting is to be told %v", p.Diff)
	}
	w.change(accounting, "x1", nil) // a poll reads the copy once more
	w.isGolden(id, "phone", domain.Null)
	w.work(w.faithful)
	w.isAt(id, accounting, store.Confirmed)
	if v := w.stored(accounting, "x1").Values["phone"]; !v.Empty() {
		t.Errorf("accounting still has %s", v)
	}
	w.isGolden(id, "phone", domain.Null)
	w.quietly("reading both again", func() { w.change(crm, "h1", nil); w.change(accounting, "x1", nil) })
}

// The owner clears a field while a copy of its old value is being created elsewhere: the copy does not bring it back.
func TestClearedWhileItsCopyIsWritten(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"answer first", "webhook first"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ownership.DefaultSource())
			id := w.see(crm, "h1", values("legalName", "Elm Pty Ltd", "phone", "+61390000002")).EntityID
			p := w.claim(accounting)
			rec := w.call(p, w.faithful)
			w.change(crm, "h1", values("phone", ""))
			if name == "webhook first" {
				w.apply(accounting, rec, change.FromWebhook)
				w.isGolden(id, "phone", domain.Null)
			}
			w.finish(p, rec)
			w.isGolden(id, "phone", domain.Null)
			w.work(w.faithful)
			w.isAt(id, accounting, store.Confirmed)
			w.isGolden(id, "phone", domain.Null)
			w.none("")
		})
	}
}

// A person who types into a field that was cleared has a word of his own again, and it stays what it was taken for.
func TestTypedAfterClearing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Oak Pty Ltd", "phone", "+61390000003"))
	w.change(crm, "h1", values("phone", ""))
	w.work(w.faithful)
	w.change(accounting, "x1", values("phone", "+61390000003"))
	first := w.golden(id, "phone")
	w.quietly("reading it again", func() { w.change(accounting, "x1", nil) })
	w.isGolden(id, "phone", first)
	// crm owns it and has none: accounting is the policy's fallback, and this is nobody's copy.
	w.isGolden(id, "phone", text("+61390000003"))
}

// Two systems that have never met differ: each rule of the policy is followed, in whichever order they come.
func TestFirstLinkDifferences(t *testing.T) {
	t.Parallel()
	theirs := values("abn", abn(1), "legalName", "Fig Pty Ltd", "phone", "+61390000010", "email", "books@fig.example.com", "status", "ACTIVE")
	ours := values("abn", abn(1), "legalName", "Figs", "phone", "+61390000011", "email", "sales@fig.example.com")
	for _, order := range [][]string{{crm, accounting}, {accounting, crm}} {
		t.Run(order[0]+" first", func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ownership.DefaultSource())
			for _, s := range order {
				if s == crm {
					w.see(crm, "h1", ours)
				} else {
					w.see(accounting, "x1", theirs)
				}
			}
			id := w.entities()[0].ID
			w.isGolden(id, "legalName", text("Fig Pty Ltd"))
			w.isGolden(id, "phone", text("+61390000011"))
			w.isGolden(id, "email", text("sales@fig.example.com"))
			w.isRow(id, store.ActionRestored, "phone", 1)
			p := w.isAt(id, accounting, store.Pending)
			if !maps.Equal(p.Diff, values("phone", "+61390000011")) {
				t.Errorf("accounting is to be told %v", p.Diff)
			}
			// E-mail and legal name are for a person to decide.
			cases := map[domain.Field]string{}
			for _, c := range w.open(store.CaseConflict) {
				cases[c.Field] = c.System
			}
			if !maps.Equal(cases, map[domain.Field]string{"email": accounting, "legalName": crm}) {
				t.Errorf("cases: %v", cases)
			}
			w.work(w.faithful)
			w.isAt(id, accounting, store.Confirmed)
			w.isAt(id, crm, store.Confirmed)
			if v := w.stored(accounting, "x1").Values["email"]; v != text("books@fig.example.com") {
				t.Errorf("accounting's e-mail was written over before anybody decided: %s", v)
			}
		})
	}
}

// The owner that finds a value where a fallback spoke before asks about it like about any other difference.
func TestOwnerSpeaksUpLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.see(accounting, "x1", values("abn", abn(1), "legalName", "Gum Pty Ltd", "email", "a@gum.example.com")).EntityID
	w.see(crm, "h1", values("abn", abn(1), "legalName", "Gum Pty Ltd"))
	w.isGolden(id, "email", text("a@gum.example.com"))
	w.change(crm, "h1", values("email", "b@gum.example.com"))
	w.isGolden(id, "email", text("b@gum.example.com"))
	if c := w.one(store.CaseConflict); c.System != accounting || c.Field != "email" || c.Detail.Theirs != text("a@gum.example.com") {
		t.Errorf("case %+v", c)
	}
	// Once agreed, the owner's changes go through without asking.
	w.decide(w.one(store.CaseConflict).ID, change.ChoiceKeepOurs)
	w.work(w.faithful)
	w.change(crm, "h1", values("email", "c@gum.example.com"))
	w.none("")
	w.work(w.faithful)
	if v := w.stored(accounting, "x1").Values["email"]; v != text("c@gum.example.com") {
		t.Errorf("accounting has %s", v)
	}
}

// A write that a webhook shows before its outcome is stored is nobody's edit, even when golden has moved on meanwhile.
func TestOwnWriteSeenEarly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Bay Pty Ltd", "phone", "+61390000021", "email", "a@bay.example.com"))
	w.change(crm, "h1", values("phone", "+61390000022", "email", "b@bay.example.com"))
	p := w.claim(accounting)
	rec := w.call(p, w.faithful)
	w.change(crm, "h1", values("phone", "+61390000023", "email", "c@bay.example.com"))
	w.apply(accounting, rec, change.FromWebhook)
	w.none("")
	w.isRow(id, store.ActionRestored, "phone", 0)
	w.finish(p, rec)
	w.none("")
	if n := w.work(w.faithful); n[accounting] != 1 || n[crm] != 0 {
		t.Errorf("writes: %v", n)
	}
	w.isAt(id, accounting, store.Confirmed)
	w.isGolden(id, "phone", text("+61390000023"))
	w.isRow(id, store.ActionRestored, "phone", 0)
	w.isRow(id, store.ActionProposed, "email", 0)
}

// A person's edit that is seen before the answer to an older write of ours is not undone by that answer.
func TestAnswerOlderThanWhatWasSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Bee Pty Ltd", "email", "a@bee.example.com", "phone", "+61390000031"))
	w.change(crm, "h1", values("email", "b@bee.example.com", "phone", "+61390000032"))
	p := w.claim(accounting)
	rec := w.call(p, w.faithful)
	w.clock++
	edited := w.record("x1", w.clock, with(rec.Values, values("email", "jo@bee.example.com")))
	w.apply(accounting, edited, change.FromWebhook)
	w.finish(p, rec)
	if v := w.stored(accounting, "x1").Values["email"]; v != text("jo@bee.example.com") {
		t.Fatalf("the record shows %s", v)
	}
	if c := w.one(store.CaseConflict); c.Field != "email" || c.Detail.Theirs != text("jo@bee.example.com") {
		t.Errorf("case %+v", c)
	}
	w.isAt(id, accounting, store.Confirmed)
	w.isGolden(id, "phone", text("+61390000032"))
}

// A vendor whose answers carry an older time than its objects (of a part of them) is believed about what was written.
func TestAnswerWithOlderTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Doe Pty Ltd", "phone", "+61390000031"))
	w.change(crm, "h1", values("phone", "+61390000032", "email", "a@doe.example.com"))
	p := w.claim(accounting)
	rec := w.call(p, w.faithful)
	rec.ModifiedAt = p.base.ModifiedAt.Add(-time.Hour)
	w.finish(p, rec)
	w.isAt(id, accounting, store.Confirmed)
	if r := w.stored(accounting, "x1"); r.Values["phone"] != text("+61390000032") || !r.ModifiedAt.Equal(p.base.ModifiedAt) {
		t.Errorf("the record shows %s of %s", r.Values["phone"], r.ModifiedAt)
	}
	w.none("")
}

// Fields of an answer that merely repeat what the write started from say nothing about what was seen meanwhile.
func TestAnswerOfPartialWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Cod Pty Ltd", "phone", "+61390000041", "billingAddress", ""))
	w.change(crm, "h1", values("phone", "+61390000042"))
	p := w.claim(accounting)
	// While the call is on its way, a poll shows that accounting has changed its name; the answer was put together before.
	w.change(accounting, "x1", values("legalName", "Cod & Sons Pty Ltd"))
	rec := w.call(p, w.faithful)
	w.finish(p, rec)
	w.isGolden(id, "legalName", text("Cod & Sons Pty Ltd"))
	w.work(w.faithful)
	if v := w.stored(crm, "h1").Values["legalName"]; v != text("Cod & Sons Pty Ltd") {
		t.Errorf("crm has %s", v)
	}
	w.isAt(id, accounting, store.Confirmed)
	w.none("")
}

// A vendor that shows something else than it was given is refused once, says so in a case, and is left alone; nobody is
// accused of an edit. Whatever else there is to write is written.
func TestVendorThatNormalises(t *testing.T) {
	t.Parallel()
	for _, others := range []string{"restore", "propose", "keep"} {
		t.Run(others, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, policyHead+"  create: [crm]\n  replicate: {accounting: always}\n  fields:\n    phone: {owner: crm, others: "+others+"}\n")
			spoil := func(system string, before, sent domain.Values) domain.Values {
				after := w.faithful(system, before, sent)
				if v, ok := sent["phone"]; ok && system == accounting && !v.Empty() {
					after["phone"] = text("tel " + v.Text())
				}
				return after
			}
			id := w.see(crm, "h1", values("legalName", "Dam Pty Ltd", "phone", "+61390000051")).EntityID
			if n := w.work(spoil); n[accounting] > 2 {
				t.Errorf("written %d times", n[accounting])
			}
			p := w.isAt(id, accounting, store.Refused)
			if !maps.Equal(p.Diff, values("phone", "+61390000051")) || p.ErrorCode != domain.Invalid || p.Error == "" {
				t.Errorf("refused: %+v", p)
			}
			w.one(store.CaseRefused)
			w.none(store.CaseConflict)
			for _, a := range []string{store.ActionRestored, store.ActionProposed, store.ActionKept} {
				w.isRow(id, a, "phone", 0)
			}
			w.quietly("reading it again", func() { w.change(accounting, p.ExternalID, nil); w.change(crm, "h1", nil) })

			// Another field is written all the same, and the case stays.
			w.change(crm, "h1", values("email", "a@dam.example.com"))
			w.work(spoil)
			w.isAt(id, accounting, store.Refused)
			if v := w.stored(accounting, p.ExternalID).Values["email"]; v != text("a@dam.example.com") {
				t.Errorf("accounting has the e-mail %s", v)
			}
			w.one(store.CaseRefused)

			// A value that the vendor takes ends it.
			w.change(crm, "h1", values("phone", ""))
			w.work(spoil)
			w.isAt(id, accounting, store.Confirmed)
			w.none("")
		})
	}
}

// What a system can hold less of is level when it holds that much.
func TestFit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	people := domain.ValueOf([]domain.Contact{{FirstName: "Jo", LastName: "Li", Phone: "+61390000061"}})
	id := w.see(crm, "h1", with(values("legalName", "Fir Pty Ltd"), domain.Values{"contacts": people})).EntityID
	if n := w.work(w.faithful); n[accounting] != 1 {
		t.Errorf("writes: %v", n)
	}
	w.isAt(id, accounting, store.Confirmed)
	w.isGolden(id, "contacts", people)
	w.none("")
}
