package change_test

import (
	"maps"
	"testing"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// Nothing is created in a system before it has been read completely: it may have the customer already.
func TestCreateWaitsForFirstReading(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	if _, err := w.pool.Exec(ctx, `DELETE FROM cursors`); err != nil {
		t.Fatal(err)
	}
	id := w.see(crm, "h1", values("abn", abn(1), "legalName", "Kea Pty Ltd")).EntityID
	if p := w.isAt(id, accounting, store.Parked); p.ErrorCode != domain.Unready {
		t.Errorf("parked for %s", p.ErrorCode)
	}
	if n := w.bell.take(); len(n) > 0 {
		t.Errorf("woken: %v", n)
	}
	w.quietly("reading it again", func() { w.change(crm, "h1", nil) })
	w.ready(accounting)
	n, err := store.Unpark(ctx, w.pool, accounting, customer, domain.Unready)
	w.ok(err)
	if n != 1 {
		t.Errorf("%d unparked", n)
	}
	w.work(w.faithful)
	w.isAt(id, accounting, store.Confirmed)
}

// An entity that may be somebody else's double is not written to systems that do not have it, until a person has decided.
func TestPossibleDuplicate(t *testing.T) {
	t.Parallel()
	for _, choice := range []string{change.ChoiceDifferent, change.ChoiceSame} {
		t.Run(choice, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ownership.DefaultSource())
			a := w.pair(1, values("legalName", "Kiwi Pty Ltd"))
			b := w.see(crm, "h2", values("abn", abn(1), "legalName", "Kiwi (Hobart)")).EntityID
			if a == b {
				t.Fatal("two records of crm became one entity")
			}
			c := w.one(store.CaseDuplicate)
			if c.EntityID != b || c.OtherID != a {
				t.Errorf("case %+v", c)
			}
			if p := w.isAt(b, accounting, store.Parked); p.ErrorCode != domain.Conflict {
				t.Errorf("parked for %s", p.ErrorCode)
			}
			w.quietly("reading it again", func() { w.change(crm, "h2", nil) })
			w.decide(c.ID, choice)
			w.none("")
			if choice == change.ChoiceDifferent {
				w.isAt(b, accounting, store.Pending)
				w.work(w.faithful)
				w.isAt(b, accounting, store.Confirmed)
				w.change(crm, "h2", values("legalName", "Kiwi (Perth)", "phone", "+61390000001"))
				w.work(w.faithful)
				w.none(store.CaseDuplicate) // not asked again
				if len(w.entities()) != 2 {
					t.Error("they were to be two")
				}
				return
			}
			if es := w.entities(); len(es) != 1 {
				t.Fatalf("%d entities", len(es))
			}
			if s, err := store.Survivor(ctx, w.pool, b); err != nil || s != a {
				t.Errorf("%s leads to %s, %v", b, s, err)
			}
			if r := w.stored(crm, "h2"); r.EntityID != a {
				t.Errorf("the record is linked to %s", r.EntityID)
			}
			w.work(w.faithful)
			w.isAt(a, accounting, store.Confirmed)
			var n int
			w.ok(w.pool.QueryRow(ctx, `SELECT count(*) FROM records WHERE system = 'accounting'`).Scan(&n))
			if n != 1 {
				t.Errorf("%d records in accounting", n)
			}
		})
	}
}

// A record that comes to share a strong key with another entity only later is not another customer silently.
func TestKeyGainedLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	a := w.see(crm, "h1", values("abn", abn(1), "legalName", "Lark Pty Ltd")).EntityID
	w.see(accounting, "x1", values("legalName", "Lark"))
	b := w.stored(accounting, "x1").EntityID
	if a == b {
		t.Fatal("linked without a key")
	}
	w.change(accounting, "x1", values("abn", abn(1)))
	c := w.one(store.CaseDuplicate)
	if c.EntityID != b || c.OtherID != a {
		t.Errorf("case %+v", c)
	}
	w.quietly("reading it again", func() { w.change(accounting, "x1", nil) })
	w.decide(c.ID, change.ChoiceDifferent)
	w.change(accounting, "x1", values("phone", "+61390000001"))
	w.none(store.CaseDuplicate)
}

// The same through the API: ops gives its customer the ABN of another.
func TestKeyGainedThroughAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, policyHead+"  create: [crm, ops]\n  fields:\n    abn: {owner: ops, fallback: [crm]}\n")
	a := w.see(crm, "h1", values("abn", abn(1), "legalName", "Moa Pty Ltd")).EntityID
	b := w.edit(ops, "", values("legalName", "Moa")).EntityID
	w.edit(ops, b, values("abn", abn(1)))
	if c := w.one(store.CaseDuplicate); c.EntityID != b || c.OtherID != a {
		t.Errorf("case %+v", c)
	}
}

// The vendor's refusal stands while the same would be asked again, and ends when something else is wanted.
func TestRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Nut Pty Ltd", "phone", "+61390000001"))
	refuse := func() { w.refuse(accounting, "the telephone number is not one") }
	w.change(crm, "h1", values("phone", "+61390000002"))
	refuse()
	w.quietly("reading both again", func() { w.change(crm, "h1", nil); w.change(accounting, "x1", nil) })
	if p := w.isAt(id, accounting, store.Refused); p.Error != "the telephone number is not one" {
		t.Errorf("the reason became %q", p.Error)
	}
	w.change(crm, "h1", values("phone", "+61390000003"))
	w.isAt(id, accounting, store.Pending)
	w.none("")
	refuse()
	w.decide(w.one(store.CaseRefused).ID, change.ChoiceIgnore)
	w.isAt(id, accounting, store.Refused)
	w.none("")
	w.ok(w.a.Retry(ctx, id, accounting, change.Cause{Actor: "Jo", Source: change.FromCase}))
	w.isAt(id, accounting, store.Pending)
	refuse()
	w.decide(w.one(store.CaseRefused).ID, change.ChoiceRetry)
	w.isAt(id, accounting, store.Pending)
	refuse()
	// Back to what accounting shows: nothing is left to refuse.
	w.change(crm, "h1", values("phone", "+61390000001"))
	w.isAt(id, accounting, store.Confirmed)
	w.none("")
}

// What was deleted in a vendor stays deleted there, and what the owner deletes is archived everywhere.
func TestDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Owl Pty Ltd", "phone", "+61390000001", "status", "ACTIVE"))
	w.gone(accounting, "x1")
	w.isAt(id, accounting, store.Detached)
	w.isGolden(id, "legalName", text("Owl Pty Ltd"))
	w.isGolden(id, "status", text("ACTIVE"))
	w.isRow(id, store.ActionDeleted, "", 1)
	w.quietly("hearing of it again", func() { w.gone(accounting, "x1") })
	w.change(crm, "h1", values("phone", "+61390000002"))
	w.isAt(id, accounting, store.Detached)
	if n := w.work(w.faithful); n[accounting] != 0 {
		t.Error("it was created again")
	}
	w.quietly("an older state of it", func() {
		rec := w.record("x1", 1, w.shelf.carried(accounting, values("legalName", "Owl Pty Ltd")))
		if res := w.apply(accounting, rec, change.FromPoll); !res.Stale {
			t.Error("it was believed")
		}
	})
	// Taken out of the vendor's bin, it is kept level again.
	w.see(accounting, "x1", with(w.stored(accounting, "x1").Values, nil))
	w.isAt(id, accounting, store.Pending)
	w.work(w.faithful)
	w.isAt(id, accounting, store.Confirmed)

	w.gone(crm, "h1")
	w.isGolden(id, "status", text("ARCHIVED"))
	w.isGolden(id, "phone", text("+61390000002"))
	w.isAt(id, crm, store.Detached)
	w.work(w.faithful)
	if v := w.stored(accounting, "x1").Values["status"]; v != text("ARCHIVED") {
		t.Errorf("accounting says %s", v)
	}
}

// An object whose end is heard of before anything else does not come to life through an older state.
func TestGoneBeforeItWasSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	w.clock = 10
	w.gone(crm, "h1")
	rec := w.record("h1", 5, w.shelf.carried(crm, values("legalName", "Pear Pty Ltd")))
	if res := w.apply(crm, rec, change.FromPoll); !res.Stale || res.EntityID != "" {
		t.Errorf("it came to life: %+v", res)
	}
	if n := len(w.entities()); n != 0 {
		t.Errorf("%d entities", n)
	}
	w.see(crm, "h1", values("legalName", "Pear Pty Ltd")) // back from the bin
	if n := len(w.entities()); n != 1 {
		t.Errorf("%d entities", n)
	}
}

func TestArchivedBeforeItReachedASystem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.see(crm, "h1", values("legalName", "Quail Pty Ltd", "status", "ACTIVE")).EntityID
	w.isAt(id, accounting, store.Pending)
	w.change(crm, "h1", values("status", "ARCHIVED"))
	w.isAt(id, accounting, store.Detached)
	w.change(crm, "h1", values("status", "ACTIVE"))
	w.isAt(id, accounting, store.Pending)
}

func TestReplicateWhenBilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, policyHead+"  create: [crm, accounting]\n  replicate: {accounting: when_billed, crm: never}\n  fields:\n    legalName: {owner: accounting, fallback: [crm], others: restore}\n")
	id := w.see(crm, "h1", values("abn", abn(1), "legalName", "Ray Pty Ltd", "lifecycleStage", "LEAD")).EntityID
	if p := w.projection(id, accounting); p.Status != "" {
		t.Errorf("a lead is on its way to accounting: %+v", p)
	}
	w.change(crm, "h1", values("lifecycleStage", "CUSTOMER"))
	w.isAt(id, accounting, store.Pending)
	w.work(w.faithful)
	w.isAt(id, accounting, store.Confirmed)
	w.change(crm, "h1", values("lifecycleStage", "LEAD", "phone", "+61390000001"))
	if p := w.isAt(id, accounting, store.Pending); !maps.Equal(p.Diff, values("phone", "+61390000001")) {
		t.Errorf("what is there already is kept level: %v", p.Diff)
	}
	// Nothing is written to crm, so nothing is promised there.
	w.change(crm, "h1", values("legalName", "Rays"))
	w.isGolden(id, "legalName", text("Ray Pty Ltd"))
	w.isRow(id, store.ActionRestored, "legalName", 0)
	w.isRow(id, store.ActionKept, "legalName", 1)
}

// Values that cannot be used open a case, do not count, and close it when they are put right. Ignored ones are not asked
// about again.
func TestInvalidValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	see := func(bad string) change.Result {
		w.clock++
		v := w.shelf.carried(crm, values("legalName", "Sun Pty Ltd", "phone", "+61390000001"))
		rec := w.record("h1", w.clock, v)
		if bad != "none" {
			delete(v, "abn")
			rec.Issues = []domain.Issue{{Field: "abn", Code: "invalid_abn", Message: "not an ABN", Value: bad, Severity: domain.Problem}}
		}
		return w.apply(crm, rec, change.FromPoll)
	}
	id := see("123").EntityID
	w.isGolden(id, "abn", domain.Null)
	w.isGolden(id, "phone", text("+61390000001"))
	c := w.one(store.CaseInvalid)
	if c.Field != "abn" || c.Detail.Theirs != text("123") || c.System != crm {
		t.Errorf("case %+v", c)
	}
	w.quietly("reading it again", func() { see("123") })
	see("124")
	if c2 := w.one(store.CaseInvalid); c2.ID != c.ID || c2.Detail.Theirs != text("124") {
		t.Errorf("case %+v", c2)
	}
	see("none")
	w.none("")
	see("")
	w.one(store.CaseInvalid)
	w.quietly("reading it again", func() { see("") })
	see("125")
	w.decide(w.one(store.CaseInvalid).ID, change.ChoiceIgnore)
	w.none("")
	w.quietly("reading it again", func() { see("125") })
	see("126")
	w.one(store.CaseInvalid)
}

// What the database cannot hold in the vendor's raw object must not keep the record out.
func TestUnstorableRaw(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	for i, raw := range []string{`{"n":"a\u0000b"}`, "{\"n\":\"\xff\"}", `{"n":"\ud800"}`, `{"n":"a\\u0000b"}`} {
		rec := w.record("h1", i+1, w.shelf.carried(crm, values("legalName", "Tea Pty Ltd")))
		rec.Raw = []byte(raw)
		if _, err := w.a.Record(ctx, change.Incoming{System: crm, Record: rec, Cause: w.cause(crm, change.FromPoll)}); err != nil {
			t.Errorf("%q: %v", raw, err)
		}
	}
}
