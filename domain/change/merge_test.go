package change_test

import (
	"slices"
	"testing"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// merged is what a vendor's merge looks like: in Xero the loser names its survivor, in HubSpot the survivor its losers.
func (w *world) merged(system, winner string, losers ...string) []domain.Record {
	w.clock++
	if system == accounting {
		var recs []domain.Record
		for _, l := range losers {
			r := w.record(l, w.clock, w.stored(system, l).Values)
			r.MergedInto = winner
			recs = append(recs, r)
		}
		return append(recs, w.record(winner, w.clock, w.stored(system, winner).Values))
	}
	r := w.record(winner, w.clock, w.stored(system, winner).Values)
	r.Aliases = losers
	recs := []domain.Record{r}
	for _, l := range losers {
		recs = append(recs, domain.Record{Kind: customer, ExternalID: l, Deleted: true, FetchedAt: at(w.clock)})
	}
	return recs
}

// Three customers that a vendor has made one become one here, with everything they were linked to, in whichever order the
// vendor's records come.
func TestMergedInVendor(t *testing.T) {
	t.Parallel()
	for _, system := range []string{crm, accounting} {
		for _, backwards := range []bool{false, true} {
			t.Run(system+map[bool]string{true: " backwards"}[backwards], func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, ownership.DefaultSource())
				ids := []string{w.pair(1, values("legalName", "Yew Pty Ltd", "phone", "+61390000001")),
					w.pair(2, values("legalName", "Yew Two Pty Ltd", "phone", "+61390000002")), w.pair(3, values("legalName", "Yew Three Pty Ltd"))}
				winner, losers := "h2", []string{"h1", "h3"}
				if system == accounting {
					winner, losers = "x2", []string{"x1", "x3"}
				}
				recs := w.merged(system, winner, losers...)
				if backwards {
					slices.Reverse(recs)
				}
				for _, r := range recs {
					w.apply(system, r, change.FromPoll)
				}
				es := w.entities()
				if len(es) != 1 {
					t.Fatalf("%d entities", len(es))
				}
				for _, id := range ids {
					if s, err := store.Survivor(ctx, w.pool, id); err != nil || s != es[0].ID {
						t.Errorf("%s leads to %s, %v", id, s, err)
					}
					if vs, err := store.Views(ctx, w.pool, []string{id}); err != nil || len(vs) != 1 || vs[0].ID != es[0].ID {
						t.Errorf("%s is %v, %v", id, vs, err)
					}
				}
				live := 0
				rs, err := store.RecordsOf(ctx, w.pool, []string{es[0].ID})
				w.ok(err)
				for _, r := range rs {
					if r.System == system && !r.Deleted {
						live++
						if r.ExternalID != winner {
							t.Errorf("%s is alive", r.ExternalID)
						}
					}
				}
				if len(rs) != 6 || live != 1 {
					t.Errorf("%d records, %d alive in %s", len(rs), live, system)
				}
				leads, err := store.Aliases(ctx, w.pool, system, customer, losers)
				w.ok(err)
				for _, l := range losers {
					if leads[l] != winner {
						t.Errorf("%s leads to %q", l, leads[l])
					}
				}
				if system == crm {
					w.isGolden(es[0].ID, "phone", text("+61390000002"))
				} else {
					w.isGolden(es[0].ID, "legalName", text("Yew Two Pty Ltd"))
				}
				w.isGolden(es[0].ID, "status", domain.Null)
				w.none(store.CaseDuplicate)
				w.quietly("hearing of it again", func() {
					for _, r := range recs {
						w.apply(system, r, change.FromPoll)
					}
				})
				w.work(w.faithful)
				w.isAt(es[0].ID, system, store.Confirmed)
			})
		}
	}
}

// A record that says it was merged into one that nobody has seen yet keeps speaking: nothing is cleared, nothing created.
func TestMergedIntoUnseen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Zed Pty Ltd", "phone", "+61390000001", "paymentTerms", ""))
	w.clock++
	loser := w.record("x1", w.clock, w.stored(accounting, "x1").Values)
	loser.MergedInto = "x9"
	w.apply(accounting, loser, change.FromPoll)
	w.isGolden(id, "legalName", text("Zed Pty Ltd"))
	if n := w.work(w.faithful); len(n) != 0 {
		t.Errorf("written: %v", n)
	}
	w.isAt(id, accounting, store.Detached)
	w.see(accounting, "x9", values("legalName", "Zed Holdings Pty Ltd"))
	if got := w.stored(accounting, "x9").EntityID; got != id {
		t.Fatalf("the survivor is linked to %s", got)
	}
	w.isGolden(id, "legalName", text("Zed Holdings Pty Ltd"))
	w.work(w.faithful)
	w.isAt(id, accounting, store.Confirmed)
	if v := w.stored(crm, "h1").Values["legalName"]; v != text("Zed Holdings Pty Ltd") {
		t.Errorf("crm has %s", v)
	}
}

// crm merges two contacts, and only the survivor was ever seen; or only the loser.
func TestMergedPartlyUnseen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	w.clock++
	r := w.record("h2", w.clock, w.shelf.carried(crm, values("legalName", "Ant Pty Ltd")))
	r.Aliases = []string{"h1"}
	id := w.apply(crm, r, change.FromPoll).EntityID
	w.gone(crm, "h1")
	if n := len(w.entities()); n != 1 {
		t.Errorf("%d entities", n)
	}
	w.isGolden(id, "status", domain.Null)

	other := w.see(crm, "h3", values("legalName", "Bat Pty Ltd")).EntityID
	w.clock++
	r = w.record("h4", w.clock, w.shelf.carried(crm, values("legalName", "Bat Pty Ltd")))
	r.Aliases = []string{"h3"}
	if got := w.apply(crm, r, change.FromPoll).EntityID; got != other {
		t.Errorf("the survivor is %s, its loser was %s", got, other)
	}
}

// When entities become one, what people have decided about either stays; where both were decided on, the survivor's counts.
func TestMergeKeepsPins(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	a := w.pair(1, values("legalName", "Cat Pty Ltd", "phone", "+61390000001"))
	b := w.see(crm, "h2", values("abn", abn(1), "legalName", "Cat")).EntityID
	w.edit(crm, a, values("phone", "+61390000009"))
	w.edit(crm, b, values("phone", "+61390000008", "website", "https://cat.example.com"))
	w.decide(w.one(store.CaseDuplicate).ID, change.ChoiceSame)
	w.isGolden(a, "phone", text("+61390000009"))
	w.isGolden(a, "website", text("https://cat.example.com"))
	w.replays(a)
	w.work(w.faithful)
	w.isAt(a, crm, store.Confirmed)
	if p := w.pins(a); len(p) != 0 {
		t.Errorf("pins left: %v", p)
	}
}

// Records of a system that may not create customers wait for one, are linked when it comes, and are a person's to decide
// meanwhile.
func TestUnlinked(t *testing.T) {
	t.Parallel()
	policy := policyHead + "  create: [crm]\n  replicate: {accounting: always, crm: always}\n"
	t.Run("adopted", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, policy)
		if res := w.see(accounting, "x1", values("abn", abn(1), "legalName", "Dog Pty Ltd")); res.EntityID != "" {
			t.Fatalf("it became %s", res.EntityID)
		}
		w.one(store.CaseUnlinked)
		w.quietly("reading it again", func() { w.change(accounting, "x1", nil) })
		id := w.see(crm, "h1", values("abn", abn(1), "legalName", "Dog Pty Ltd")).EntityID
		w.none("")
		if got := w.stored(accounting, "x1").EntityID; got != id {
			t.Errorf("linked to %q", got)
		}
		w.isAt(id, accounting, store.Confirmed)
		w.isRow(id, store.ActionLinked, "", 2)
	})
	t.Run("created", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, policy)
		w.see(accounting, "x1", values("abn", abn(1), "legalName", "Dog Pty Ltd"))
		w.decide(w.one(store.CaseUnlinked).ID, change.ChoiceCreate)
		w.none("")
		id := w.stored(accounting, "x1").EntityID
		w.isGolden(id, "legalName", text("Dog Pty Ltd"))
		w.isRow(id, store.ActionLinked, "", 1)
		w.replays(id)
		w.work(w.faithful)
		w.isAt(id, crm, store.Confirmed)
		if got := w.see(crm, "h1", values("abn", abn(1))).EntityID; got == id {
			t.Error("a second record of crm was linked without asking")
		}
	})
	t.Run("ignored", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, policy)
		w.see(accounting, "x1", values("legalName", "Dog Pty Ltd"))
		w.decide(w.one(store.CaseUnlinked).ID, change.ChoiceIgnore)
		w.quietly("reading it again", func() { w.change(accounting, "x1", values("legalName", "Dogs")) })
		w.none("")
	})
	t.Run("gone", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, policy)
		w.see(accounting, "x1", values("legalName", "Dog Pty Ltd"))
		w.gone(accounting, "x1")
		w.none("")
	})
	t.Run("two of one system", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, policy)
		w.see(accounting, "x1", values("abn", abn(1), "legalName", "Dog Pty Ltd"))
		w.see(accounting, "x2", values("abn", abn(1), "legalName", "Dog Pty Ltd"))
		w.see(crm, "h1", values("abn", abn(1), "legalName", "Dog Pty Ltd"))
		if n := len(w.open(store.CaseUnlinked)); n != 2 {
			t.Errorf("%d cases", n)
		}
	})
}

// Our id in the vendor's field links a record, and a copy of a record that carries it too is not taken for the same.
func TestOurIDInRecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.see(crm, "h1", values("legalName", "Eel Pty Ltd")).EntityID
	w.clock++
	r := w.record("x1", w.clock, w.shelf.carried(accounting, values("legalName", "Eels")))
	r.CanonicalID = id
	if got := w.apply(accounting, r, change.FromPoll).EntityID; got != id {
		t.Errorf("linked to %s", got)
	}
	r.ExternalID = "x2"
	if got := w.apply(accounting, r, change.FromPoll).EntityID; got == id {
		t.Error("the copy was linked too")
	}
	w.one(store.CaseDuplicate)
}
