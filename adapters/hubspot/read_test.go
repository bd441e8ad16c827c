package hubspot_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"datum/adapters"
	"datum/adapters/hubspot"
	"datum/adapters/hubspotsim"
	"datum/adapters/sim"
	"datum/domain"
)

func TestPollSeesEverythingThroughTiesAndShifts(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	want := map[string]bool{}
	add := func(n int, what string) {
		for i := range n {
			o, err := b.sim.Put("companies", "", map[string]any{"name": fmt.Sprintf("%s %d", what, i)})
			if err != nil {
				t.Fatal(err)
			}
			want["companies/"+o.(map[string]any)["id"].(string)] = true
		}
	}
	add(30, "early")
	b.tick(time.Second)
	add(450, "bulk") // one stamp for more than two pages
	b.tick(time.Second)
	add(250, "late")
	b.tick(time.Second)

	seen := map[string]int{}
	cursor := ""
	for step := range 100 {
		p, err := b.a.Changes(t.Context(), domain.KindCustomer, cursor)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range p.Records {
			seen[r.ExternalID]++
		}
		if cursor = p.Cursor; !p.More {
			break
		}
		// Between pages people edit what was not read yet: it moves to the end.
		b.tick(time.Millisecond)
		moving := 0
		for _, x := range slices.Sorted(maps(want)) {
			if seen[x] == 0 && moving < 3 && step < 4 {
				moving++
				b.put("companies", strings.TrimPrefix(x, "companies/"), map[string]any{"phone": fmt.Sprint(step)})
			}
		}
	}
	for x := range want {
		if seen[x] == 0 {
			t.Errorf("%s was never seen", x)
		}
	}
	if rs, next := b.poll(cursor); len(rs) != 0 {
		t.Errorf("nothing changed, yet %d records came again", len(rs))
	} else {
		cursor = next
	}
	b.tick(time.Hour)
	one := slices.Sorted(maps(want))[5]
	b.put("companies", strings.TrimPrefix(one, "companies/"), map[string]any{"phone": "1300 555 010"})
	rs, cursor := b.poll(cursor)
	if ids(rs) != one {
		t.Errorf("one edit: %s", ids(rs))
	}
	before := b.sim.Stats().Requests
	if rs, _ := b.poll(cursor); len(rs) != 0 || b.sim.Stats().Requests-before != 2 {
		t.Errorf("a level poll: %d records in %d requests, want none in 2", len(rs), b.sim.Stats().Requests-before)
	}
}

func maps(m map[string]bool) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestPollOverlapCoversSearchLag(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{SearchLag: 20 * time.Second})
	b.put("companies", "", map[string]any{"name": "slow to show"})
	rs, cursor := b.poll("")
	if len(rs) != 0 {
		t.Fatal("search should trail behind")
	}
	b.tick(30 * time.Second)
	if rs, _ = b.poll(cursor); len(rs) != 1 {
		t.Errorf("%d records after the lag, want 1", len(rs))
	}
}

func TestContactsLeadToTheirCompany(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	firm := b.put("companies", "", map[string]any{"name": "A Pty Ltd"})
	other := firm
	firm = b.put("companies", "", map[string]any{"name": "B Pty Ltd"})
	jo := b.put("contacts", "", map[string]any{"firstname": "Jo", "email": "Jo@A.example", "companies": firm + ";" + other}) // the first is the primary one
	solo := b.put("contacts", "", map[string]any{"firstname": "Mary Ann", "lastname": "Solo", "phone": "0491 570 006"})

	if r := b.fetch("contacts/" + jo); r.ExternalID != "companies/"+firm || !slices.Equal(r.AnswersFor, []string{"contacts/" + jo}) || len(r.Aliases) != 0 || !strings.Contains(string(r.Values["contacts"]), "jo@a.example") {
		t.Errorf("the contact's company: %s %s", r.ExternalID, r.Values["contacts"])
	}
	r := b.fetch("contacts/" + solo)
	same(t, "a person", r.Values, domain.Values{"kind": text("PERSON"), "legalName": text("Mary Ann Solo"), "phone": text("+61491570006")})
	rs, cursor := b.poll("")
	want := []string{"companies/" + firm, "companies/" + other, "contacts/" + solo}
	for _, w := range want {
		if !strings.Contains(ids(rs), w) {
			t.Errorf("the poll misses %s: %s", w, ids(rs))
		}
	}
	b.tick(time.Hour)
	b.put("contacts", jo, map[string]any{"jobtitle": "Owner"})
	rs, _ = b.poll(cursor)
	if got := ids(rs); got != "companies/"+other+" companies/"+firm {
		t.Errorf("an edit of the contact leads to %s, want both companies", got)
	}
	many, err := b.BatchFetcher.FetchMany(t.Context(), domain.KindCustomer, []string{"contacts/" + jo, "companies/" + firm, "contacts/" + solo, "companies/1"})
	if err != nil || len(many) != 2 {
		t.Errorf("FetchMany: %s %v", ids(many), err)
	}
}

func TestTheBackfillReadsCompaniesOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	for i := range 30 {
		firm := b.put("companies", "", map[string]any{"name": fmt.Sprint("Firm ", i)})
		b.put("contacts", "", map[string]any{"firstname": fmt.Sprint("Jo ", i), "companies": firm})
	}
	solo := b.put("contacts", "", map[string]any{"firstname": "Solo"})
	b.tick(time.Hour)
	late := b.put("companies", "", map[string]any{"name": "Late"})
	var all []domain.Record
	first, err := b.a.Changes(t.Context(), domain.KindCustomer, "")
	if err != nil {
		t.Fatal(err)
	}
	all = append(all, first.Records...)
	b.put("contacts", "", map[string]any{"firstname": "Kim", "companies": late}) // after its company was read
	rest, cursor := b.poll(first.Cursor)
	all = append(all, rest...)
	times := map[string]int{}
	for _, r := range all {
		times[r.ExternalID]++
	}
	if len(times) != 32 || len(all) != 33 || times["companies/"+late] != 2 || times["contacts/"+solo] != 1 {
		t.Errorf("%d records of %d customers, the late one %d times", len(all), len(times), times["companies/"+late])
	}
	if !strings.Contains(string(all[len(all)-1].Values["contacts"])+string(all[len(all)-2].Values["contacts"]), "Kim") {
		t.Error("the contact that came meanwhile was missed")
	}
	if again, _ := b.poll(cursor); len(again) != 0 {
		t.Errorf("%d records again", len(again))
	}
}

func TestMergedCompanies(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	w, l := b.put("companies", "", map[string]any{"name": "Winner"}), b.put("companies", "", map[string]any{"name": "Loser", "phone": "1300 555 010"})
	b.put("contacts", "", map[string]any{"firstname": "Jo", "companies": l})
	if _, err := b.sim.Merge("companies", w, l); err != nil {
		t.Fatal(err)
	}
	r := b.fetch("companies/" + l)
	if r.ExternalID == "companies/"+w || r.ExternalID == "companies/"+l || !slices.Contains(r.Aliases, "companies/"+w) || !slices.Contains(r.Aliases, "companies/"+l) {
		t.Errorf("survivor %s, aliases %v", r.ExternalID, r.Aliases)
	}
	same(t, "the survivor", r.Values, domain.Values{"legalName": text("Winner"), "phone": text("1300555010"), "contacts": domain.ValueOf([]domain.Contact{{FirstName: "Jo"}})})
	// A write that still goes by the old id reaches the survivor.
	base := r
	base.ExternalID = "companies/" + w
	out := b.must(b.write(adapters.Write{CanonicalID: "cus_w", ExternalID: base.ExternalID, Base: &base, Values: domain.Values{"abn": text("51824753556")}}))[0]
	if out.Record.ExternalID != r.ExternalID {
		t.Errorf("written to %s, want %s", out.Record.ExternalID, r.ExternalID)
	}
}

func TestListIsCompleteAndShowsTheArchived(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	for i := range 150 {
		b.put("companies", "", map[string]any{"name": fmt.Sprint(i)})
	}
	firm := b.put("companies", "", map[string]any{"name": "firm"})
	b.put("contacts", "", map[string]any{"firstname": "of the firm", "companies": firm})
	solo := b.put("contacts", "", map[string]any{"firstname": "solo"})
	gone := b.put("companies", "", map[string]any{"name": "gone"})
	if err := b.sim.Delete("companies", gone); err != nil {
		t.Fatal(err)
	}
	var all []domain.Record
	cursor, pages := "", 0
	for {
		p, err := b.Sweeper.List(t.Context(), domain.KindCustomer, cursor)
		if err != nil {
			t.Fatal(err)
		}
		all, cursor, pages = append(all, p.Records...), p.Cursor, pages+1
		if p.Complete == p.More {
			t.Fatalf("page %d: more %v, complete %v", pages, p.More, p.Complete)
		}
		if !p.More {
			break
		}
	}
	live, dead := 0, ""
	for _, r := range all {
		if r.Deleted {
			dead += r.ExternalID
		} else {
			live++
		}
	}
	if live != 152 || dead != "companies/"+gone || !strings.Contains(ids(all), "contacts/"+solo) {
		t.Errorf("%d live, deleted %s in %d pages", live, dead, pages)
	}
}

func TestFindByStrongKeys(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	byABN := b.put("companies", "", map[string]any{"name": "ABN Pty Ltd", "abn": "51824753556"})
	twin := b.put("companies", "", map[string]any{"name": "Twin", "abn": "51824753556"})
	byName := b.put("companies", "", map[string]any{"name": "Only A Name"})
	byMail := b.put("contacts", "", map[string]any{"firstname": "Mail", "email": "mail@example.com"})
	firm := b.put("companies", "", map[string]any{"name": "Firm"})
	b.put("contacts", "", map[string]any{"firstname": "Not A Customer", "email": "staff@example.com", "companies": firm})
	found, err := b.Finder.Find(t.Context(), domain.KindCustomer, []adapters.Query{
		{Values: domain.Values{"abn": text("51824753556")}},
		{Values: domain.Values{"legalName": text("only a name"), "abn": text("53004085616")}},
		{CanonicalID: "cus_unknown", Values: domain.Values{"email": text("Mail@example.com")}},
		{Values: domain.Values{"email": text("staff@example.com")}},
		{},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"companies/" + byABN + " companies/" + twin, "companies/" + byName, "contacts/" + byMail, "", ""}
	for i := range want {
		if got := ids(found[i]); got != want[i] {
			t.Errorf("query %d: %q, want %q", i, got, want[i])
		}
	}
}

func TestDriftIsSeen(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	c := doer{b.url, b.sim.Credentials()["privateToken"]}
	if _, err := c.Do(t.Context(), adapters.Call{Method: "POST", Path: "/crm/v3/properties/companies",
		Body: []byte(`{"name":"loyalty","label":"Loyalty","type":"string","fieldType":"text","groupName":"companyinformation"}`)}); err != nil {
		t.Fatal(err)
	}
	id := b.put("companies", "", map[string]any{"name": "A", "loyalty": "gold"})
	r := b.fetch("companies/" + id)
	if !slices.Equal(r.Unknown, []string{"loyalty"}) || !strings.Contains(string(r.Raw), "gold") {
		t.Errorf("unknown %v in %s", r.Unknown, r.Raw)
	}
}

func TestBadValuesAreIssuesAndNothingIsLost(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	id := b.put("companies", "", map[string]any{"name": "A", "abn": "12345", "credit_limit": "100", "hubspot_owner_id": "710000004"})
	r := b.fetch("companies/" + id)
	if len(r.Issues) != 2 || r.Values["legalName"] != text("A") || r.Values["abn"] != "" || r.Values["creditLimit"] != "" {
		t.Errorf("values %v, issues %+v", r.Values, r.Issues)
	}
	same(t, "a former user", r.Values, domain.Values{"salesOwner": text("jo@sales.example")})
}

func TestCheckAndScopes(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	h, err := b.Checker.Check(t.Context())
	if err != nil || len(h.Problems) != 0 || h.Details["portalId"] != b.sim.Credentials()["portalId"] {
		t.Errorf("after provisioning: %+v %v", h, err)
	}
	if err := b.Provisioner.Provision(t.Context()); err != nil {
		t.Errorf("provisioning again: %v", err)
	}
	b.sim.Reset()
	poor := &bench{t: t, sim: hubspotsim.New(hubspotsim.Options{Scopes: []string{"oauth", "crm.objects.companies.read", "crm.schemas.companies.read", "crm.schemas.companies.write"}})}
	t.Cleanup(poor.sim.Close)
	url, err := poor.sim.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a, _ := hubspot.Vendor().Open(adapters.Session{System: "crm", HTTP: doer{url, poor.sim.Credentials()["privateToken"]}, Settings: map[string]string{"portalId": "1"}})
	h, err = a.(adapters.Checker).Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(h.Problems, "\n")
	for _, want := range []string{"portalId", "companies lack the properties", "datum_id", "crm.schemas.contacts.read", "crm.objects.owners.read", "crm.objects.contacts.read"} {
		if !strings.Contains(all, want) {
			t.Errorf("the problems do not name %s:\n%s", want, all)
		}
	}
	if err := a.(adapters.Provisioner).Provision(t.Context()); domain.CodeOf(err) != domain.Forbidden {
		t.Errorf("provisioning without scopes: %v", err)
	}
}

func TestVendorErrorsPassWithTheirCodes(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	id := b.put("companies", "", map[string]any{"name": "A"})
	b.fetch("companies/" + id)
	for status, want := range map[int]domain.Code{401: domain.Unauthorized, 403: domain.Forbidden, 429: domain.RateLimited, 500: domain.Unavailable, 503: domain.Unavailable, 423: domain.Unavailable} {
		if _, err := b.sim.AddFault(sim.Fault{Kind: sim.FaultStatus, Status: status, Count: 1, Path: "/batch/read"}); err != nil {
			t.Fatal(err)
		}
		if _, err := b.a.Fetch(t.Context(), domain.KindCustomer, "companies/"+id); domain.CodeOf(err) != want {
			t.Errorf("%d: %v, want %s", status, err, want)
		}
	}
	for _, bad := range []string{"companies/", "deals/1", "1", "companies/../x"} {
		if _, err := b.a.Fetch(t.Context(), domain.KindCustomer, bad); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("id %q: %v", bad, err)
		}
	}
}
