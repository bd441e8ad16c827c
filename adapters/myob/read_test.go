package myob_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"datum/adapters"
	"datum/adapters/myobsim"
	"datum/adapters/sim"
	"datum/domain"
)

// pass reads Changes to the end and calls between after each page.
func (f *fixture) pass(cursor string, between func(page int)) (rs []domain.Record, next string) {
	f.Helper()
	for page := range 1000 {
		p, err := f.a.Changes(ctx, domain.KindCustomer, cursor)
		if err != nil {
			f.Fatal(err)
		}
		rs, cursor = append(rs, p.Records...), p.Cursor
		if !p.More {
			return rs, cursor
		}
		between(page)
	}
	f.Fatal("the pass does not end")
	return nil, ""
}

// TestChangesOfOneInstant: cards that an import stamped all at once are each read once, whole pages of them.
func TestChangesOfOneInstant(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 7, 1, 10, 0, 0, 123e6, time.UTC)
	f := setup(t, myobsim.Options{Now: func() time.Time { return at }}, map[string]string{"pageSize": "5"})
	var want []string
	for i := range 23 {
		if i == 9 {
			f.sim.Advance(time.Millisecond)
		}
		want = append(want, f.screen("", map[string]any{"CompanyName": fmt.Sprintf("Instant %02d", i)}))
	}
	slices.Sort(want)
	f.sim.Advance(time.Minute)
	rs, cursor := f.pass("", func(int) {})
	if got := slices.Compact(ids(rs)); !slices.Equal(got, want) {
		t.Errorf("%d cards of %d were read", len(got), len(want))
	}
	f.sim.Advance(4 * time.Minute)
	late := f.screen("", map[string]any{"CompanyName": "Late Pty Ltd"})
	if rs, cursor = f.pass(cursor, func(int) {}); !slices.Contains(ids(rs), late) || len(slices.Compact(ids(rs))) != 24 {
		t.Errorf("the overlap of 5 minutes shows %d cards", len(slices.Compact(ids(rs))))
	}
	f.sim.Advance(6 * time.Minute)
	_, cursor = f.pass(cursor, func(int) {})
	if rs, _ = f.pass(cursor, func(int) {}); len(rs) != 0 {
		t.Errorf("long after the last change a poll reads %d cards", len(rs))
	}
}

// TestChangesWhilePagesShift: one pass sees everybody's last state, whatever is changed, added or deleted meanwhile, be it
// within one second.
func TestChangesWhilePagesShift(t *testing.T) {
	t.Parallel()
	for _, step := range []time.Duration{400 * time.Millisecond, time.Millisecond} {
		at := time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC)
		f := setup(t, myobsim.Options{Now: func() time.Time { return at }}, map[string]string{"pageSize": "7"})
		var all []string
		for i := range 40 {
			f.sim.Advance(step)
			all = append(all, f.screen("", map[string]any{"CompanyName": fmt.Sprintf("Shift %02d", i)}))
		}
		last, gone := map[string]string{}, map[string]bool{}
		rs, _ := f.pass("", func(page int) {
			f.sim.Advance(step)
			if page >= 5 {
				return
			}
			for _, i := range []int{page, 20 + page} {
				last[all[i]] = fmt.Sprintf("edited %d", page)
				f.screen(all[i], map[string]any{"Notes": last[all[i]]})
			}
			gone[all[10+page]] = true
			if err := f.sim.Delete("customers", all[10+page]); err != nil {
				t.Fatal(err)
			}
			all = append(all, f.screen("", map[string]any{"CompanyName": "New Pty Ltd"}))
		})
		seen := map[string]string{}
		for _, r := range rs {
			seen[r.ExternalID] = r.Values["notes"].Text()
		}
		for i, id := range all {
			if notes, ok := seen[id]; !gone[id] && (!ok || notes != last[id]) {
				t.Errorf("steps of %s: card %d was seen %v with %q, want %q", step, i, ok, notes, last[id])
			}
		}
	}
}

// TestListIsCompleteOnlyIfItIs: additions shift pages and hide nothing; a deletion may hide a card, so the pass says so.
func TestListIsCompleteOnlyIfItIs(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{}, map[string]string{"pageSize": "4"})
	var all []string
	for i := range 21 {
		all = append(all, f.screen("", map[string]any{"CompanyName": fmt.Sprintf("List %02d", i), "IsActive": i%2 == 0}))
	}
	slices.Sort(all)
	pass := func(between func(page int)) (got []string, complete bool) {
		t.Helper()
		cursor := ""
		for page := range 100 {
			p, err := f.ab.Sweeper.List(ctx, domain.KindCustomer, cursor)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, ids(p.Records)...)
			if cursor = p.Cursor; !p.More {
				return got, p.Complete
			}
			between(page)
		}
		t.Fatal("the listing does not end")
		return nil, false
	}
	if got, complete := pass(func(int) {}); !complete || !slices.Equal(got, all) {
		t.Errorf("complete %v, %d cards of %d", complete, len(got), len(all))
	}
	got, complete := pass(func(page int) { f.screen("", map[string]any{"CompanyName": "Added"}) })
	slices.Sort(got)
	for _, id := range all {
		if _, found := slices.BinarySearch(got, id); complete && !found {
			t.Errorf("complete without %s", id)
		}
	}
	if _, complete = pass(func(page int) {
		if page == 1 {
			for _, id := range all[:3] {
				if err := f.sim.Delete("customers", id); err != nil {
					t.Fatal(err)
				}
			}
		}
	}); complete {
		t.Error("complete although the pages moved up under it")
	}
	if got, complete = pass(func(int) {}); !complete || slices.Contains(got, all[0]) {
		t.Errorf("with nobody about: complete %v", complete)
	}
	if _, err := f.a.Fetch(ctx, domain.KindCustomer, all[0]); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("a deleted card: %v", err)
	}
	if _, err := f.a.Fetch(ctx, domain.KindCustomer, "42' or true"); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("no id at all: %v", err)
	}
}

func TestCursorsOfOthers(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{}, nil)
	if _, err := f.a.Changes(ctx, domain.KindCustomer, "page-2"); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("%v", err)
	}
	if _, err := f.ab.Sweeper.List(ctx, domain.KindCustomer, "page-2"); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("%v", err)
	}
}

func TestFindByStrongKeys(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{}, nil)
	abn := f.screen("", map[string]any{"CompanyName": "By ABN", "SellingDetails": map[string]any{"ABN": "53 004 085 616"}})
	mail := f.screen("", map[string]any{"CompanyName": "By Mail", "Addresses": []any{
		map[string]any{"Location": 1, "Email": "o'hara@example.com"}, map[string]any{"Location": 2, "Email": "second@example.com"}}})
	name := f.screen("", map[string]any{"CompanyName": "O'Brien & \"Sons\"", "IsActive": false})
	person := f.screen("", map[string]any{"IsIndividual": true, "FirstName": "Frank", "LastName": "Grimes"})
	mono := f.screen("", map[string]any{"IsIndividual": true, "LastName": "Plato"})
	found, err := f.ab.Finder.Find(ctx, domain.KindCustomer, []adapters.Query{
		{Values: domain.Values{"abn": `"53004085616"`}},
		{CanonicalID: domain.NewID("cus"), Values: domain.Values{"email": `"o'hara@example.com"`, "legalName": `"No One"`}},
		{Values: domain.Values{"legalName": domain.TextValue("O'Brien & \"Sons\"")}},
		{Values: domain.Values{"legalName": `"Frank Grimes"`}},
		{Values: domain.Values{"legalName": `"Plato"`}},
		{Values: domain.Values{"legalName": `"Nobody"`, "email": `"second@example.com"`}}, // an address that is not the customer's
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]string{{abn}, {mail}, {name}, {person}, {mono}, nil} {
		if got := ids(found[i]); !slices.Equal(got, want) {
			t.Errorf("query %d found %v, want %v", i, got, want)
		}
	}
}

// TestFindReadsSinceTheIDWasMade: our id tells how far back to look, and one that does not tell is looked for everywhere.
func TestFindReadsSinceTheIDWasMade(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{Now: func() time.Time { return time.Now().Add(-time.Hour) }}, nil)
	for i := range 12 {
		f.screen("", map[string]any{"CompanyName": fmt.Sprintf("Old %02d", i)})
	}
	now := domain.NewID("cus")
	undated := now[:len("cus_")+10] + "0" + now[len("cus_")+11:] // of no version that has a time
	old := f.screen("", map[string]any{"CompanyName": "Undated", "CustomField3": map[string]any{"Value": undated}})
	f.sim.Advance(time.Hour)
	f.sim.Consent() // the first token has run out
	w := create("Dated Pty Ltd")
	rec := f.must(w)
	twin := f.screen("", map[string]any{"CompanyName": "Copied card", "CustomField3": map[string]any{"Value": w.CanonicalID}})
	for _, c := range []struct {
		id   string
		want []string
	}{{w.CanonicalID, []string{rec.ExternalID, twin}}, {undated, []string{old}}, {domain.NewID("cus"), nil}} {
		found, err := f.ab.Finder.Find(ctx, domain.KindCustomer, []adapters.Query{{CanonicalID: c.id}, {CanonicalID: domain.NewID("cus")}})
		slices.Sort(c.want)
		if err != nil || !slices.Equal(ids(found[0]), c.want) || len(found[1]) > 0 {
			t.Errorf("%s: %v %v, want %v", c.id, err, ids(found[0]), c.want)
		}
	}
	found, err := f.ab.Finder.Find(ctx, domain.KindCustomer, []adapters.Query{{CanonicalID: w.CanonicalID}, {CanonicalID: undated}})
	if err != nil || len(found[0]) != 2 || len(found[1]) != 1 {
		t.Errorf("both at once: %v %v", found, err)
	}
	if n := f.sim.Stats().Duplicates; n != 1 {
		t.Errorf("%d duplicates, want the copied card", n)
	}
}

// TestFiltersThatAreIgnored: MYOB may answer a filter that it does not understand with everything.
func TestFiltersThatAreIgnored(t *testing.T) {
	t.Parallel()
	f := setup(t, myobsim.Options{}, nil)
	one, two := f.must(create("One Pty Ltd")), f.must(create("Two Pty Ltd"))
	f.fault(sim.Fault{Kind: sim.FaultStatus, Status: 200, Method: "GET", Body: json.RawMessage(fmt.Sprintf(`{"Items":[%s,%s],"NextPageLink":null,"Count":2}`, one.Raw, two.Raw))})
	rs, err := f.ab.BatchFetcher.FetchMany(ctx, domain.KindCustomer, []string{one.ExternalID, "not-an-id"})
	if err != nil || !slices.Equal(ids(rs), []string{one.ExternalID}) {
		t.Errorf("fetched %v %v", ids(rs), err)
	}
	found, err := f.ab.Finder.Find(ctx, domain.KindCustomer, []adapters.Query{{CanonicalID: two.CanonicalID}, {Values: domain.Values{"legalName": `"one pty ltd"`}}, {Values: domain.Values{"legalName": `"Three"`}}})
	if err != nil || len(found[0]) != 1 || !slices.Equal(ids(found[1]), []string{one.ExternalID}) || len(found[2]) != 0 {
		t.Errorf("found %v %v", found, err)
	}
}
