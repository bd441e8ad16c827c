package change_test

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// refuse lets the system refuse the write that is due, as the workers do.
func (w *world) refuse(system, reason string) {
	w.tb.Helper()
	p := w.claim(system)
	if p == nil {
		w.tb.Fatalf("nothing is due for %s", system)
	}
	p.ErrorCode, p.Error = domain.Invalid, reason
	held := false
	w.ok(store.Transact(ctx, w.pool, func(tx pgx.Tx) error {
		c, err := change.Refusal(ctx, tx, p.Projection, nil, change.NameOf(w.entity(p.EntityID).Golden), "cor")
		if err != nil {
			return err
		}
		if c != nil {
			b := &pgx.Batch{}
			store.QueueCase(b, *c)
			if err := tx.SendBatch(ctx, b).Close(); err != nil {
				return err
			}
		}
		held, err = store.Release{EntityID: p.EntityID, System: system, Lease: *p.Lease, Status: store.Refused, ErrorCode: p.ErrorCode, Error: reason, Cause: p.Cause}.Apply(ctx, tx)
		return err
	}))
	if !held {
		w.tb.Fatal("the lease was lost")
	}
}

// answer decides the only open case of a kind, and checks that it does what the preview says.
func (w *world) answer(kind string, d change.Decision) {
	w.tb.Helper()
	d.CaseID, d.Cause = w.one(kind).ID, change.Cause{Actor: "Jo", CorrelationID: domain.NewID("cor")}
	if !w.foretold(d) {
		w.tb.Fatalf("%s was refused", d.Choice)
	}
}

// shows checks what a system's object says.
func (w *world) shows(system, id string, f domain.Field, want domain.Value) {
	w.tb.Helper()
	if got := w.stored(system, id).Values[f]; !same(got, want) {
		w.tb.Fatalf("%s shows %s as %s, not %s", system, f, got, want)
	}
}

// conflicting makes a customer whose e-mail address accounting has changed without owning it.
func conflicting(w *world) string {
	id := w.pair(1, values("legalName", "Ant Pty Ltd", "email", "a@ant.example.com"))
	w.change(accounting, "x1", values("email", "b@ant.example.com"))
	return id
}

// refused makes a customer whose new telephone number accounting has refused.
func refused(w *world) string {
	id := w.pair(1, values("legalName", "Bee Pty Ltd", "phone", "+61390000001"))
	w.change(crm, "h1", values("phone", "+61390000002"))
	w.refuse(accounting, "the telephone number is not one")
	return id
}

// unusable makes a customer with an ABN in a system that is none.
func unusable(w *world, system, id string) {
	w.clock++
	v := w.stored(system, id).Values.Clone()
	delete(v, "abn")
	rec := w.record(id, w.clock, v)
	rec.Issues = []domain.Issue{{Field: "abn", Code: "invalid_abn", Message: "not an ABN", Value: "123", Severity: domain.Problem}}
	w.apply(system, rec, change.FromPoll)
}

// unlinked makes a record of a system that may not create customers.
func unlinked(w *world) {
	w.see(accounting, "x1", values("legalName", "Elk Pty Ltd", "phone", "+61390000005"))
}

// Each answer does what it says, and once it is done nothing is left to do or to ask.
func TestAnswers(t *testing.T) {
	t.Parallel()
	onlyCRM := policyHead + "  create: [crm]\n  replicate: {accounting: always, crm: always}\n"
	for _, c := range []struct {
		name, policy, kind string
		open               func(w *world) string
		answer             change.Decision
		want               func(w *world, id string)
	}{
		{"a conflict gets a third value", "", store.CaseConflict, conflicting, change.Decision{Choice: change.ChoicePin, Value: text("C@Ant.Example.com")}, func(w *world, id string) {
			w.shows(crm, "h1", "email", text("C@ant.example.com"))
			w.shows(accounting, "x1", "email", text("C@ant.example.com"))
		}},
		{"a conflict is cleared", "", store.CaseConflict, conflicting, change.Decision{Choice: change.ChoicePin, Value: domain.Null}, func(w *world, id string) {
			w.shows(crm, "h1", "email", "")
			w.shows(accounting, "x1", "email", "")
		}},
		{"what was refused is corrected", "", store.CaseRefused, refused, change.Decision{Choice: change.ChoiceEdit, Value: text("+61390000003")}, func(w *world, id string) {
			w.shows(crm, "h1", "phone", text("+61390000003"))
			w.shows(accounting, "x1", "phone", text("+61390000003"))
		}},
		{"what was refused gives way to what the vendor has", "", store.CaseRefused, refused, change.Decision{Choice: change.ChoiceAccept}, func(w *world, id string) {
			w.shows(crm, "h1", "phone", text("+61390000001"))
			w.shows(accounting, "x1", "phone", text("+61390000001"))
		}},
		{"what was refused is tried again", "", store.CaseRefused, refused, change.Decision{Choice: change.ChoiceRetry}, func(w *world, id string) {
			w.shows(accounting, "x1", "phone", text("+61390000002"))
		}},
		{"the owner's value cannot be used and is corrected", "", store.CaseInvalid, func(w *world) string {
			id := w.pair(1, values("legalName", "Cat Pty Ltd"))
			unusable(w, accounting, "x1")
			return id
		}, change.Decision{Choice: change.ChoiceEdit, Value: text(abn(7))}, func(w *world, id string) {
			w.shows(accounting, "x1", "abn", text(abn(7)))
			w.shows(crm, "h1", "abn", text(abn(7)))
		}},
		{"a copy cannot be used and is corrected", "", store.CaseInvalid, func(w *world) string {
			id := w.pair(1, values("legalName", "Cow Pty Ltd"))
			unusable(w, crm, "h1")
			return id
		}, change.Decision{Choice: change.ChoiceEdit, Value: text(abn(7))}, func(w *world, id string) {
			w.shows(accounting, "x1", "abn", text(abn(7)))
			w.shows(crm, "h1", "abn", text(abn(7)))
		}},
		{"a copy cannot be used and is written over", "", store.CaseInvalid, func(w *world) string {
			id := w.pair(1, values("legalName", "Dog Pty Ltd"))
			unusable(w, crm, "h1")
			return id
		}, change.Decision{Choice: change.ChoiceKeepOurs}, func(w *world, id string) {
			w.shows(crm, "h1", "abn", text(abn(1)))
		}},
		{"a record is linked", onlyCRM, store.CaseUnlinked, func(w *world) string {
			unlinked(w)
			return w.see(crm, "h1", values("legalName", "Elks and Sons", "phone", "+61390000001")).EntityID
		}, change.Decision{Choice: change.ChoiceLink, TargetID: "here"}, func(w *world, id string) {
			if got := w.stored(accounting, "x1").EntityID; got != id {
				w.tb.Errorf("linked to %q", got)
			}
			w.shows(accounting, "x1", "legalName", text("Elks and Sons"))
			w.isRow(id, store.ActionLinked, "", 2)
		}},
		{"two are one, and the first stays", "", store.CaseDuplicate, twice, change.Decision{Choice: "merge", TargetID: "here"}, func(w *world, id string) {
			if len(w.entities()) != 1 || w.stored(crm, "h2").EntityID != id {
				w.tb.Errorf("it stands in %v", w.stored(crm, "h2"))
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.policy == "" {
				c.policy = ownership.DefaultSource()
			}
			w := newWorld(t, c.policy)
			id := c.open(w)
			if c.answer.TargetID == "here" {
				c.answer.TargetID = id
			}
			w.answer(c.kind, c.answer)
			w.workAsForetold()
			c.want(w, id)
			w.none("")
			if p := w.pins(id); len(p) != 0 {
				t.Errorf("pins left: %v", p)
			}
			for _, s := range []string{crm, accounting} {
				w.isAt(id, s, store.Confirmed)
			}
			w.replays(id)
		})
	}
}

// twice makes one customer that is in the CRM twice, and returns the entity of the second record.
func twice(w *world) string {
	w.pair(1, values("legalName", "Fly Pty Ltd"))
	return w.see(crm, "h2", values("legalName", "Fly", "abn", abn(1))).EntityID
}

// What a choice needs and does not get, or what cannot be, is refused, and the case stays open.
func TestAnswersThatCannotBe(t *testing.T) {
	t.Parallel()
	w := newWorld(t, policyHead+"  create: [crm]\n  replicate: {accounting: always, crm: always}\n  fields:\n    email: {owner: crm, fallback: [], others: propose}\n")
	unlinked(w)
	id := w.see(crm, "h1", values("legalName", "Gnu Pty Ltd", "abn", abn(1), "email", "a@gnu.example.com")).EntityID
	w.see(accounting, "x2", values("legalName", "Gnu Pty Ltd", "abn", abn(1), "email", "b@gnu.example.com"))
	for _, c := range []struct {
		kind string
		d    change.Decision
		code domain.Code
		says string
	}{
		{store.CaseConflict, change.Decision{Choice: change.ChoicePin}, domain.Invalid, "needs a value"},
		{store.CaseConflict, change.Decision{Choice: change.ChoicePin, Value: text("nobody")}, domain.Invalid, "e-mail"},
		{store.CaseConflict, change.Decision{Choice: change.ChoicePin, Field: "nose", Value: text("big")}, domain.Invalid, "no field nose"},
		{store.CaseConflict, change.Decision{Choice: change.ChoiceLink, TargetID: id}, domain.Invalid, "accept or keep_ours or pin or ignore"},
		{store.CaseUnlinked, change.Decision{Choice: change.ChoiceLink}, domain.Invalid, "needs the id"},
		{store.CaseUnlinked, change.Decision{Choice: change.ChoiceLink, TargetID: domain.NewID("prd")}, domain.Invalid, "no customer"},
		{store.CaseUnlinked, change.Decision{Choice: change.ChoiceLink, TargetID: domain.NewID("cus")}, domain.NotFound, "no entity"},
		{store.CaseUnlinked, change.Decision{Choice: change.ChoiceLink, TargetID: id}, domain.Conflict, "has the record x2"},
	} {
		c.d.CaseID, c.d.Cause = w.one(c.kind).ID, change.Cause{Actor: "Jo"}
		w.quietly(c.says, func() {
			if _, err := w.a.Decide(ctx, c.d); domain.CodeOf(err) != c.code || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%s: %v", c.says, err)
			}
		})
		w.one(c.kind)
	}
}

// Every kind of case can be answered, and every answer says what it does.
func TestEveryKindHasChoices(t *testing.T) {
	t.Parallel()
	for _, kind := range store.CaseKinds {
		c := store.Case{Kind: kind, System: "shop", Field: "email"}
		if len(change.Offered(c)) == 0 {
			t.Errorf("%s has no choices", kind)
		}
		for _, x := range change.Offered(c) {
			if x.Effect(c) == "" {
				t.Errorf("%s of %s does not say what it does", x.Name, kind)
			}
		}
		if c.Choices = []string{"ignore"}; len(change.Offered(c)) > 1 {
			t.Errorf("%s offers more than it was opened with", kind)
		}
	}
}
