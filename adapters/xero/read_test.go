package xero_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"datum/adapters"
	"datum/domain"
)

func TestFindByStrongKeys(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	abn := f.screen("", map[string]any{"Name": "By ABN", "TaxNumber": "53 004 085 616", "IsSupplier": true})
	mail := f.screen("", map[string]any{"Name": "By Mail", "EmailAddress": "who@example.com"})
	name := f.screen("", map[string]any{"Name": `The "Best" Café`, "ContactStatus": "ARCHIVED"})
	found, err := f.ab.Finder.Find(context.Background(), domain.KindCustomer, []adapters.Query{
		{Values: domain.Values{"abn": `"53004085616"`}},
		{CanonicalID: domain.NewID("cus"), Values: domain.Values{"email": `"who@example.com"`, "legalName": `"No One"`}},
		{Values: domain.Values{"legalName": domain.TextValue(`The "Best" Café`)}},
		{Values: domain.Values{"legalName": `"Nobody"`}},
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{abn, mail, name, ""} {
		var got []string
		for _, r := range found[i] {
			got = append(got, r.ExternalID)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("query %d found %v, want %s", i, got, want)
		}
	}
	if n := f.sim.Stats().Requests; n != 2 {
		t.Errorf("%d calls, want 2", n)
	}
}

func TestChangesWhilePagesShift(t *testing.T) {
	t.Parallel()
	f := setup(t, map[string]string{"pageSize": "7"})
	ctx := context.Background()
	var ids []string
	for i := range 40 {
		ids = append(ids, f.screen("", map[string]any{"Name": fmt.Sprintf("Shift %02d", i)}))
	}
	seen := map[string]string{}
	cursor, edits := "", 0
	for {
		p, err := f.a.Changes(ctx, domain.KindCustomer, cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Records {
			seen[r.ExternalID] = string(r.Values["acn"])
		}
		cursor = p.Cursor
		if !p.More {
			break
		}
		// Meanwhile people edit what was read and what was not, and add more.
		for _, i := range []int{edits, 20 + edits} {
			f.screen(ids[i], map[string]any{"CompanyNumber": "004085616"})
		}
		ids = append(ids, f.screen("", map[string]any{"Name": fmt.Sprintf("New %02d", edits)}))
		edits++
	}
	if edits < 5 {
		t.Fatalf("only %d pages", edits)
	}
	// The next poll, which resumes from the stored text of the cursor, has everything that the first pass missed.
	for {
		p, err := f.a.Changes(ctx, domain.KindCustomer, cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Records {
			seen[r.ExternalID] = string(r.Values["acn"])
		}
		if cursor = p.Cursor; !p.More {
			break
		}
	}
	for i, id := range ids {
		want := "null"
		if i < edits || i >= 20 && i < 20+edits {
			want = `"004085616"`
		}
		if seen[id] != want {
			t.Errorf("contact %d: seen as %q, want %s", i, seen[id], want)
		}
	}
	f.sim.Advance(10 * time.Minute)
	for _, want := range []int{len(ids), 0} { // the second poll's window still reaches back to the first
		p, err := f.a.Changes(ctx, domain.KindCustomer, cursor)
		for err == nil && p.More {
			want -= len(p.Records)
			p, err = f.a.Changes(ctx, domain.KindCustomer, p.Cursor)
		}
		if err != nil || len(p.Records) != want {
			t.Errorf("an idle poll: %d records, want %d, %v", len(p.Records), want, err)
		}
		cursor = p.Cursor
	}
}

func TestListIsCompleteOnlyWhenItIs(t *testing.T) {
	t.Parallel()
	f := setup(t, map[string]string{"pageSize": "4"})
	for i := range 10 {
		f.screen("", map[string]any{"Name": fmt.Sprintf("List %02d", i), "ContactStatus": []string{"ACTIVE", "ARCHIVED"}[i%2]})
	}
	f.screen("", map[string]any{"Name": "Only a supplier", "IsSupplier": true})
	f.screen("", map[string]any{"Name": "Both", "IsSupplier": true, "IsCustomer": true})
	pass := func(meanwhile func()) (n int, complete bool) {
		cursor := ""
		for {
			p, err := f.ab.Sweeper.List(context.Background(), domain.KindCustomer, cursor)
			if err != nil {
				t.Fatal(err)
			}
			n += len(p.Records)
			if !p.More {
				return n, p.Complete
			}
			if p.Complete {
				t.Error("complete before the last page")
			}
			cursor = p.Cursor
			if meanwhile != nil {
				meanwhile()
				meanwhile = nil
			}
		}
	}
	if n, complete := pass(nil); n != 11 || !complete {
		t.Errorf("%d customers, complete %v", n, complete)
	}
	if _, complete := pass(func() { f.screen("", map[string]any{"Name": "Added meanwhile"}) }); complete {
		t.Error("complete although a contact was added meanwhile")
	}
}

func TestSupplierMergedAndGone(t *testing.T) {
	t.Parallel()
	f := setup(t, nil)
	ctx := context.Background()
	supplier := f.screen("", map[string]any{"Name": "Supplier", "IsSupplier": true})
	if _, err := f.a.Fetch(ctx, domain.KindCustomer, supplier); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("a supplier: %v", err)
	}
	// A supplier that carries our id was linked by us and is a customer.
	f.screen(supplier, map[string]any{"ContactNumber": domain.NewID("cus")})
	f.fetch(supplier)
	if _, err := f.a.Fetch(ctx, domain.KindCustomer, "00000000-0000-4000-8000-000000000000"); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("nobody: %v", err)
	}
	winner, loser := f.must(create("Winner")), f.must(create("Loser"))
	if _, err := f.sim.Merge("contacts", winner.ExternalID, loser.ExternalID); err != nil {
		t.Fatal(err)
	}
	recs, err := f.ab.BatchFetcher.FetchMany(ctx, domain.KindCustomer, []string{winner.ExternalID, loser.ExternalID, "00000000-0000-4000-8000-000000000000"})
	if err != nil || len(recs) != 2 {
		t.Fatalf("%v %v", recs, err)
	}
	for _, r := range recs {
		want := map[string]string{loser.ExternalID: winner.ExternalID}[r.ExternalID]
		if r.MergedInto != want || (want != "") != (r.Values["status"] == `"ARCHIVED"`) {
			t.Errorf("%s: merged into %q, status %s", r.Values["legalName"], r.MergedInto, r.Values["status"])
		}
	}
}
