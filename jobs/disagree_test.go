//go:build unix

package jobs_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"datum/adapters/sim"
	"datum/domain"
	"datum/domain/store"
)

// TestDrillTwoPeopleEditOneCustomer: sales and accounting edit the same customers in their own systems at the same moment, what they
// own and what they do not, while three real processes sync, one of which is killed again and again, and webhooks come
// late, twice or never. It ends with the owner's word in both systems, except for exactly those names and e-mail addresses
// about which a person is to decide: each of those is one case, with both values, however fast they type. Nobody was created twice. It runs with DATUM_DRILL=1 and takes about 40 s.
func TestDrillTwoPeopleEditOneCustomer(t *testing.T) {
	if os.Getenv("DATUM_DRILL") == "" {
		t.Skip("set DATUM_DRILL=1 for 40 s of two people and three processes")
	}
	const n, rounds, sweepEvery = 12, 6, 4 * time.Second
	r := newRig(t, func(c *rigConfig) {
		c.idle, c.poll, c.sweep = true, time.Second, sweepEvery
	})
	victim := r.startWorker()
	r.startWorker()
	r.startWorker()
	r.quiet(30 * time.Second)
	for i := range n {
		r.inCRM(i)
	}
	eventually(t, 30*time.Second, "everybody on both sides", func() (bool, any) {
		a, b := len(r.ledger("crm")), len(r.ledger("accounting"))
		return a == n && b == n, fmt.Sprint(a, b)
	})
	r.quiet(30 * time.Second)
	crm, acc := make([]string, n), make([]string, n)
	for _, o := range r.ledger("crm") {
		crm[numberOf(o.name)] = o.id
	}
	for _, o := range r.ledger("accounting") {
		acc[numberOf(o.name)] = o.id
	}
	r.rudely()

	// What each side typed last; name and e-mail are the other side's to own on one side each.
	type word struct{ phone, name, email, street string }
	sales, books := make([]word, n), make([]word, n)
	var people sync.WaitGroup
	edit := func(seed uint64, one func(rnd *rand.Rand, i, k int)) {
		people.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, 1))
			for k := range rounds {
				for _, i := range rnd.Perm(n) {
					one(rnd, i, k)
				}
			}
		})
	}
	edit(1, func(rnd *rand.Rand, i, k int) {
		w := word{phone: phone(1000*k + i), name: fmt.Sprintf("Sales %d of Drill %05d", k, i), email: fmt.Sprintf("sales%d-%d@drill.example", k, i)}
		props := map[string]any{"phone": w.phone, "city": "Perth", "state": "WA", "zip": fmt.Sprint(6000 + k)} // accounting owns addresses: put back
		if i%3 == 0 {
			props["name"] = w.name // accounting owns names: a person decides
		}
		if i%4 == 0 {
			props["customer_email"] = w.email
		}
		_, err := r.crm.Put("companies", crm[i], props)
		if err != nil {
			t.Error(err)
		}
		sales[i] = w
	})
	edit(2, func(rnd *rand.Rand, i, k int) {
		w := word{phone: phone(50_000 + 1000*k + i), name: fmt.Sprintf("Books %d of Drill %05d", k, i), email: fmt.Sprintf("books%d-%d@drill.example", k, i), street: fmt.Sprintf("%d Collins St", 100*k+i)}
		props := map[string]any{"Addresses": []any{map[string]any{"AddressType": "POBOX", "AddressLine1": w.street, "City": "Melbourne", "Region": "VIC", "PostalCode": "3000", "Country": "Australia"}},
			"Phones": []any{map[string]any{"PhoneType": "DEFAULT", "PhoneNumber": w.phone[4:], "PhoneAreaCode": w.phone[3:4], "PhoneCountryCode": "61"}}} // sales owns phones: put back
		if i%2 == 0 {
			props["Name"] = w.name
		}
		if i%5 == 0 {
			props["EmailAddress"] = w.email // sales owns e-mail addresses: a person decides
		}
		_, err := r.xero.Put("contacts", acc[i], props)
		if err != nil {
			t.Error(err)
		}
		books[i] = w
	})
	stop, killed := make(chan struct{}), make(chan int)
	go func() {
		kills := 0
		for {
			select {
			case <-stop:
				killed <- kills
				return
			default:
				victim.kill()
				victim.start()
				kills++
				time.Sleep(400 * time.Millisecond)
			}
		}
	}()
	people.Wait()
	close(stop)
	if <-killed == 0 {
		t.Error("nobody was killed")
	}
	r.swept(sweepEvery + 20*time.Second)
	r.quiet(40 * time.Second)
	r.swept(sweepEvery + 20*time.Second)
	r.quiet(40 * time.Second)

	ctx := context.Background()
	anyRestored := false
	open, err := store.ListCases(ctx, r.pool, store.CaseFilter{Status: "open"}, nil, "", 1000)
	must(t, err)
	cases := map[string]store.Case{} // by entity, system and field
	for _, c := range open {
		key := c.EntityID + "|" + c.System + "|" + string(c.Field)
		if _, twice := cases[key]; twice || c.Kind != store.CaseConflict {
			t.Errorf("a case too many: %s %s, %s", c.Kind, key, c.Title)
		}
		cases[key] = c
	}
	for i := range n {
		id := r.entityOf("crm", "companies/"+crm[i])
		if other := r.entityOf("accounting", acc[i]); id == "" || id != other {
			t.Fatalf("customer %d is %s in crm and %s in accounting", i, id, other)
		}
		es, err := store.Entities(ctx, r.pool, []string{id})
		must(t, err)
		g := es[0].Golden
		name, email := named(i), fmt.Sprintf("c%d@drill.example", i)
		if i%2 == 0 {
			name = books[i].name
		}
		if i%4 == 0 {
			email = sales[i].email
		}
		for f, want := range map[domain.Field]string{"phone": sales[i].phone, "legalName": name, "email": email} {
			if got := g[f].Text(); got != want {
				t.Errorf("customer %d: %s is %q, want its owner's %q\n%s", i, f, got, want, r.dump(id))
			}
		}
		if !strings.Contains(string(g["billingAddress"]), books[i].street) {
			t.Errorf("customer %d: the address is %s, want accounting's %s", i, g["billingAddress"], books[i].street)
		}
		expect := map[string]string{}
		if i%3 == 0 {
			expect[id+"|crm|legalName"] = sales[i].name
		}
		if i%5 == 0 {
			expect[id+"|accounting|email"] = books[i].email
		}
		for key, theirs := range expect {
			if c, ok := cases[key]; !ok || c.Detail.Theirs.Text() != theirs {
				t.Errorf("customer %d: the case about %s says %s, want one about %q", i, key, c.Detail.Theirs, theirs)
			}
			delete(cases, key)
		}
		hs, err := store.HistoryOf(ctx, r.pool, id, 0, 1000)
		must(t, err)
		restored := map[string]bool{}
		for _, h := range hs {
			if h.Action == store.ActionRestored {
				restored[h.System+" "+string(h.Field)] = true
			}
		}
		anyRestored = anyRestored || restored["accounting phone"] && restored["crm billingAddress"]
	}
	if !anyRestored { // whoever is overwritten before anybody saw it leaves no trace; that cannot be everybody
		t.Error("nothing that was put back is in any history")
	}
	for key, c := range cases {
		t.Errorf("a case about nothing: %s, %s", key, c.Title)
	}
	for _, o := range r.ledger("crm") {
		i := numberOfID(crm, o.id)
		want := named(i)
		switch {
		case i%3 == 0:
			want = sales[i].name // theirs, until it is decided
		case i%2 == 0:
			want = books[i].name
		}
		if o.name != want || o.phone != sales[i].phone {
			t.Errorf("HubSpot says %s, %s of customer %d; want %s, %s", o.name, o.phone, i, want, sales[i].phone)
		}
	}
	for _, o := range r.ledger("accounting") {
		i := numberOfID(acc, o.id)
		want := named(i)
		if i%2 == 0 {
			want = books[i].name
		}
		if o.name != want || "+"+o.phone != sales[i].phone {
			t.Errorf("Xero says %s, +%s of customer %d; want %s, %s", o.name, o.phone, i, want, sales[i].phone)
		}
	}
	for system, s := range map[string]int{"crm": r.crm.Stats().Duplicates, "accounting": r.xero.Stats().Duplicates} {
		if s > 0 {
			t.Errorf("%d duplicates in %s", s, system)
		}
	}
	if a, b := len(r.ledger("crm")), len(r.ledger("accounting")); a != n || b != n {
		t.Errorf("%d and %d customers, want %d in each", a, b, n)
	}
}

// entityOf is the entity that a vendor's record is linked to, "" if there is none.
func (r *rig) entityOf(system, externalID string) string {
	r.t.Helper()
	recs, err := store.Records(context.Background(), r.pool, system, domain.KindCustomer, []string{externalID})
	must(r.t, err)
	if len(recs) != 1 {
		return ""
	}
	return recs[0].EntityID
}

func numberOfID(ids []string, id string) int {
	for i, x := range ids {
		if x == id {
			return i
		}
	}
	return -1
}

// TestWordsNobodySawAreNotWrittenOver: sales renames a customer and the webhook is lost; accounting, which owns names, renames it
// too. What sales typed is not written over: a person decides between both.
func TestWordsNobodySawAreNotWrittenOver(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rigConfig) { c.poll = time.Hour })
	r.quiet(30 * time.Second)
	id := r.inCRM(1)
	eventually(t, 20*time.Second, "it is in Xero", func() (bool, any) { n := len(r.ledger("accounting")); return n == 1, n })
	r.quiet(20 * time.Second)
	_, err := r.crm.AddFault(sim.Fault{Kind: sim.FaultDrop})
	must(t, err)
	_, err = r.crm.Put("companies", id, map[string]any{"name": "What sales typed"})
	must(t, err)
	_, err = r.xero.Put("contacts", r.ledger("accounting")[0].id, map[string]any{"Name": "What accounting typed"})
	must(t, err)
	eventually(t, 20*time.Second, "a person is asked", func() (bool, any) {
		cs, err := store.ListCases(context.Background(), r.pool, store.CaseFilter{Status: "open"}, nil, "", 10)
		must(t, err)
		return len(cs) == 1 && cs[0].Kind == store.CaseConflict && cs[0].Detail.Theirs.Text() == "What sales typed" && cs[0].Detail.Ours.Text() == "What accounting typed", cs
	})
	r.quiet(20 * time.Second)
	if o := r.ledger("crm")[0]; o.name != "What sales typed" {
		t.Errorf("HubSpot says %q", o.name)
	}
}
