package hubspot_test

import (
	"fmt"
	"strings"
	"testing"

	"datum/adapters"
	"datum/adapters/hubspotsim"
	"datum/adapters/sim"
	"datum/domain"
)

func TestEveryFieldGoesRound(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"BUSINESS", "PERSON"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, hubspotsim.Options{})
			want := full(t)
			if kind == "PERSON" {
				want["legalName"] = text("Mary Ann O'Brien")
			}
			golden := want.Clone()
			golden["kind"] = text(kind)
			id := domain.NewID("cus")
			out := b.must(b.write(adapters.Write{CanonicalID: id, Values: want, Golden: golden}))[0]
			if !out.Created || out.Record.CanonicalID != id || out.Record.FetchedAt.IsZero() || out.Record.ModifiedAt.IsZero() {
				t.Errorf("created %v as %+v", out.Created, out.Record)
			}
			same(t, "the answer", out.Record.Values, golden)
			got := b.fetch(out.Record.ExternalID)
			same(t, "a fetch", got.Values, golden)
			if len(got.Values) != len(golden) || len(got.Issues) > 0 || len(got.Unknown) > 0 {
				t.Errorf("%d values of %d, issues %v, unknown %v", len(got.Values), len(golden), got.Issues, got.Unknown)
			}
			if got.Version != out.Record.Version || !got.ModifiedAt.Equal(out.Record.ModifiedAt) {
				t.Errorf("the answer has version %s, a fetch %s", out.Record.Version, got.Version)
			}

			// Emptied, all of it: the name apart, which no customer lacks.
			empty := domain.Values{}
			for f := range without(want, "legalName") {
				empty[f] = domain.Null
			}
			out = b.must(b.write(adapters.Write{CanonicalID: id, ExternalID: got.ExternalID, Values: empty, Base: &got}))[0]
			same(t, "the answer, emptied", out.Record.Values, empty)
			same(t, "a fetch, emptied", b.fetch(got.ExternalID).Values, empty)
		})
	}
}

func TestCreatingTwiceMakesOne(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	w := adapters.Write{CanonicalID: domain.NewID("cus"), Values: full(t)}
	if _, err := b.sim.AddFault(sim.Fault{Kind: sim.FaultReset, Path: "/batch/upsert", Count: 1}); err != nil {
		t.Fatal(err)
	}
	if out := b.write(w)[0]; domain.CodeOf(out.Err) != domain.Unavailable && domain.CodeOf(out.Err) != domain.Unknown {
		t.Fatalf("a lost answer: %v", out.Err)
	}
	found, err := b.Finder.Find(t.Context(), domain.KindCustomer, []adapters.Query{{CanonicalID: w.CanonicalID}, {CanonicalID: domain.NewID("cus")}})
	if err != nil || len(found[0]) != 1 || len(found[1]) != 0 {
		t.Fatalf("looked up: %v, %v", found, err)
	}
	// Someone adds to it before the second attempt; the answer must not forget that.
	b.put("companies", strings.TrimPrefix(found[0][0].ExternalID, "companies/"), map[string]any{"industry": "PLUMBING"})
	first := b.must(b.write(w))[0]
	second := b.must(b.write(w))[0]
	if first.Created || second.Created || first.Record.ExternalID != second.Record.ExternalID {
		t.Errorf("created again: %+v, %+v", first, second)
	}
	same(t, "the repeat", second.Record.Values, w.Values)
	st := b.sim.Stats()
	if live := b.count("companies"); live != 1 || b.count("contacts") != 2 || st.Duplicates != 0 {
		t.Errorf("%d companies, %d contacts, %d duplicates", live, b.count("contacts"), st.Duplicates)
	}
}

func (b *bench) count(typ string) int {
	b.t.Helper()
	all, err := b.sim.Objects(typ)
	if err != nil {
		b.t.Fatal(err)
	}
	n := 0
	for _, o := range all {
		if o.(map[string]any)["archived"] == false {
			n++
		}
	}
	return n
}

func TestAnUpdateTouchesNothingElse(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	id := b.put("companies", "", map[string]any{"name": "Hartley Plumbing", "industry": "PLUMBING", "domain": "hartley.example", "phone": "03 9001 0101", "abn": "51824753556"})
	base := b.fetch("companies/" + id)
	before := b.sim.Stats().Requests
	out := b.must(b.write(adapters.Write{CanonicalID: "cus_x", ExternalID: base.ExternalID, Base: &base, Values: domain.Values{"phone": text("+61390010202")}}))[0]
	if n := b.sim.Stats().Requests - before; n != 1 {
		t.Errorf("%d requests for one update", n)
	}
	same(t, "the answer", out.Record.Values, domain.Values{"phone": text("+61390010202"), "legalName": text("Hartley Plumbing"), "abn": text("51824753556"), "website": text("https://hartley.example")})
	got := b.fetch(base.ExternalID)
	same(t, "the answer against a fetch", out.Record.Values, got.Values)
	if !strings.Contains(string(got.Raw), "hartley.example") || got.CanonicalID != "cus_x" {
		t.Errorf("after the update: %s", got.Raw)
	}
	// The same again is no change, and nothing at all is no call.
	b.must(b.write(adapters.Write{CanonicalID: "cus_x", ExternalID: base.ExternalID, Base: &got, Values: domain.Values{}}))
	st := b.sim.Stats()
	if st.NoopUpdates != 0 || st.Updates != 1 {
		t.Errorf("updates %d, noop %d", st.Updates, st.NoopUpdates)
	}
}

func TestOneBadElementFailsAlone(t *testing.T) {
	t.Parallel()
	for _, all := range []bool{false, true} {
		t.Run(fmt.Sprintf("all or nothing %v", all), func(t *testing.T) {
			t.Parallel()
			b := newBench(t, hubspotsim.Options{AllOrNothing: all})
			taken := b.put("contacts", "", map[string]any{"email": "taken@example.com"})
			var ws []adapters.Write
			for i := range 100 {
				ws = append(ws, adapters.Write{CanonicalID: fmt.Sprintf("cus_%d", i), Values: domain.Values{"legalName": text(fmt.Sprintf("Person %d", i)),
					"email": text(fmt.Sprintf("p%d@example.com", i))}, Golden: domain.Values{"kind": text("PERSON")}})
			}
			ws[17].Values["email"] = text("taken@example.com")
			ws[60].Values["salesOwner"] = text("nobody@sales.example")
			ws[61].Values["legalName"] = text(strings.Repeat("x", 65_537))
			ws[80].Values["email"] = text("no address at all")
			outs := b.write(ws...)
			for i, o := range outs {
				want := map[int]domain.Code{17: domain.Conflict, 60: domain.Invalid, 61: domain.Invalid, 80: domain.Invalid}[i]
				if domain.CodeOf(o.Err) != want {
					t.Errorf("element %d: %v, want %q", i, o.Err, want)
				} else if want == "" && (!o.Created || o.Record.CanonicalID != ws[i].CanonicalID) {
					t.Errorf("element %d: %+v", i, o)
				}
			}
			if e := domain.AsError(outs[80].Err); e.Field != "email" || !strings.Contains(e.Message, "invalid") {
				t.Errorf("the error does not say what is wrong: %+v", e)
			}
			if e := domain.AsError(outs[17].Err); !strings.Contains(e.Message, taken) {
				t.Errorf("the clash does not name the other one: %+v", e)
			}
			if n := b.count("contacts"); n != 97 {
				t.Errorf("%d contacts, want 97", n)
			}
			st := b.sim.Stats()
			calls := st.WriteCalls["POST /crm/v3/objects/contacts/batch/upsert"]
			if limit := map[bool]int{false: 1, true: 30}[all]; calls > limit {
				t.Errorf("%d calls, want at most %d", calls, limit)
			}
		})
	}
}

func TestAnUpdateOfWhatIsGone(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	a, c := b.put("companies", "", map[string]any{"name": "A"}), b.put("companies", "", map[string]any{"name": "C"})
	ra, rc := b.fetch("companies/"+a), b.fetch("companies/"+c)
	if err := b.sim.Delete("companies", a); err != nil {
		t.Fatal(err)
	}
	outs := b.write(adapters.Write{CanonicalID: "cus_a", ExternalID: ra.ExternalID, Base: &ra, Values: domain.Values{"phone": text("1")}},
		adapters.Write{CanonicalID: "cus_c", ExternalID: rc.ExternalID, Base: &rc, Values: domain.Values{"phone": text("1300555010")}})
	if domain.CodeOf(outs[0].Err) != domain.NotFound || outs[1].Err != nil {
		t.Errorf("%v, %v", outs[0].Err, outs[1].Err)
	}
	if _, err := b.a.Fetch(t.Context(), domain.KindCustomer, ra.ExternalID); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("fetch of an archived company: %v", err)
	}
}

func TestTheStageCanGoBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	id := b.put("companies", "", map[string]any{"name": "A", "lifecyclestage": "customer"})
	base := b.fetch("companies/" + id)
	out := b.must(b.write(adapters.Write{CanonicalID: "cus_a", ExternalID: base.ExternalID, Base: &base, Values: domain.Values{"lifecycleStage": text("LEAD")}}))[0]
	same(t, "the answer", out.Record.Values, domain.Values{"lifecycleStage": text("LEAD")})
	same(t, "a fetch", b.fetch(base.ExternalID).Values, domain.Values{"lifecycleStage": text("LEAD")})
}

func TestContactsOfACompany(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	list := func(cs ...domain.Contact) domain.Values { return values(t, map[domain.Field]any{"contacts": cs}) }
	zoe := domain.Contact{FirstName: "Zoë", LastName: "Adams", Email: "zoe@a.example"}
	al := domain.Contact{FirstName: "Al", LastName: "Nguyen", Phone: "+61390010101"}
	loose := b.put("contacts", "", map[string]any{"email": "kim@a.example", "firstname": "Kim", "fax": "03 1"})
	kim := domain.Contact{FirstName: "Kim", LastName: "Lee", Email: "kim@a.example", Role: "Director"}

	v := list(zoe, al, kim)
	v["legalName"] = text("A Pty Ltd")
	r := b.must(b.write(adapters.Write{CanonicalID: "cus_a", Values: v}))[0].Record
	same(t, "created", r.Values, v)
	same(t, "created, fetched", b.fetch(r.ExternalID).Values, v)
	if n := b.count("contacts"); n != 3 {
		t.Fatalf("%d contacts: the one who was there is not to be created again", n)
	}

	update := func(what string, want domain.Values) {
		t.Helper()
		r = b.must(b.write(adapters.Write{CanonicalID: "cus_a", ExternalID: r.ExternalID, Base: &r, Values: want}))[0].Record
		same(t, what, r.Values, want)
		got := b.fetch(r.ExternalID)
		same(t, what+", fetched", got.Values, want)
		r = got
	}
	update("another order", list(kim, al, zoe))
	kim.Email = "kim.lee@a.example"
	update("a new e-mail for the same person", list(kim, al, zoe))
	if n := b.count("contacts"); n != 3 {
		t.Errorf("%d contacts after a change of e-mail", n)
	}
	update("one taken off", list(kim, zoe))
	update("and put back among others", list(kim, domain.Contact{FirstName: "New", LastName: "One"}, al, zoe))
	update("none", list())
	if n := b.count("contacts"); n < 4 {
		t.Errorf("%d contacts: unlinking is not deleting", n)
	}
	if _, err := b.a.Fetch(t.Context(), domain.KindCustomer, "contacts/"+loose); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("a contact taken off a company's list must not become a customer of its own: %v", err)
	}
	records, _ := b.poll("")
	if ids(records) != r.ExternalID {
		t.Errorf("a poll finds %s, want the company alone", ids(records))
	}
}

func TestTwoCompaniesWantOneNewContact(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	v := func(name string) domain.Values {
		return values(t, map[domain.Field]any{"legalName": name, "contacts": []domain.Contact{{FirstName: "Jo", LastName: "Both", Email: "jo@both.example"}}})
	}
	outs := b.must(b.write(adapters.Write{CanonicalID: "cus_a", Values: v("A")}, adapters.Write{CanonicalID: "cus_b", Values: v("B")}))
	for i, name := range []string{"A", "B"} {
		same(t, name, b.fetch(outs[i].Record.ExternalID).Values, v(name))
	}
	if n := b.count("contacts"); n != 1 {
		t.Errorf("%d contacts, want 1", n)
	}
}

func TestABatchIsFewCalls(t *testing.T) {
	t.Parallel()
	b := newBench(t, hubspotsim.Options{})
	var ws []adapters.Write
	for i := range 100 {
		ws = append(ws, adapters.Write{CanonicalID: fmt.Sprintf("cus_%d", i), Values: values(t, map[domain.Field]any{"legalName": fmt.Sprintf("Company %d", i),
			"contacts": []domain.Contact{{FirstName: "Jo", LastName: fmt.Sprint(i), Email: fmt.Sprintf("jo%d@example.com", i)}}})})
	}
	before := b.sim.Stats().Requests
	outs := b.must(b.write(ws...))
	if n := b.sim.Stats().Requests - before; n > 4 { // upsert companies, look up, upsert contacts, link
		t.Errorf("%d requests to create 100 companies with contacts", n)
	}
	before = b.sim.Stats().Requests
	for i := range ws {
		ws[i] = adapters.Write{CanonicalID: ws[i].CanonicalID, ExternalID: outs[i].Record.ExternalID, Base: &outs[i].Record, Values: domain.Values{"phone": text("1300555010")}}
	}
	b.must(b.write(ws...))
	if n := b.sim.Stats().Requests - before; n != 1 {
		t.Errorf("%d requests to update 100 companies", n)
	}
}
