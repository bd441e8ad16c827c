package jobs_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// asked waits for an open case of a kind whose title has the text.
func (r *rig) asked(kind, title string) (found store.Case) {
	r.t.Helper()
	eventually(r.t, 20*time.Second, "a case "+kind+" about "+title, func() (bool, any) {
		cs, err := store.ListCases(context.Background(), r.pool, store.CaseFilter{Status: "open"}, nil, "", 100)
		must(r.t, err)
		var seen []string
		for _, c := range cs {
			seen = append(seen, c.Kind+" "+c.Title)
			if c.Kind == kind && strings.Contains(c.Title, title) {
				found = c
			}
		}
		return found.ID != "", seen
	})
	return found
}

// answer previews a decision, makes it, and returns what the preview said.
func (r *rig) answer(c store.Case, d change.Decision) change.Preview {
	r.t.Helper()
	d.CaseID, d.Cause = c.ID, causeOf("Jo")
	p, err := r.engine.Applier().Preview(context.Background(), d)
	must(r.t, err)
	_, err = r.engine.Applier().Decide(context.Background(), d)
	must(r.t, err)
	return p
}

// shows waits until a vendor's own ledger says so: what is the name of a company or contact there, by what.
func (r *rig) shows(system, what, want string, of func(o map[string]any) bool) {
	r.t.Helper()
	eventually(r.t, 20*time.Second, fmt.Sprintf("%s shows %s %q", system, what, want), func() (bool, any) {
		objects, err := r.xero.Objects("contacts")
		if system == "crm" {
			objects, err = r.crm.Objects("companies")
		}
		must(r.t, err)
		var got []string
		for _, o := range objects {
			m := plain(o)
			if p, ok := m["properties"].(map[string]any); ok {
				m = p
			}
			if of(m) {
				s, _ := m[what].(string)
				got = append(got, s)
			}
		}
		return len(got) == 1 && got[0] == want, got
	})
}

func is(key, value string) func(map[string]any) bool {
	return func(m map[string]any) bool { return m[key] == value }
}

// TestCasesAreDecidedToTheVendors: for each kind of case that two vendors bring about, a person's answer ends in the vendors' own
// ledgers as the preview said, and nothing is left to ask.
func TestCasesAreDecidedToTheVendors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.quiet(20 * time.Second)
	ctx := context.Background()
	text := domain.TextValue

	// A conflict gets a value that neither had.
	r.inCRM(1)
	r.quiet(20 * time.Second)
	contact := r.ledger("accounting")[0].id
	_, err := r.xero.Put("contacts", contact, map[string]any{"EmailAddress": "theirs@drill.example"})
	must(t, err)
	c := r.asked(store.CaseConflict, named(1))
	p := r.answer(c, change.Decision{Choice: change.ChoicePin, Value: text("third@drill.example")})
	if len(p.Writes) != 2 || p.Writes[0].Values["email"] != text("third@drill.example") || len(p.Golden) != 1 {
		t.Errorf("foretold: %+v", p)
	}
	r.shows("crm", "customer_email", "third@drill.example", is("abn", abn(1)))
	r.shows("accounting", "EmailAddress", "third@drill.example", is("ContactID", contact))

	// Xero refuses a second contact of a name: the case shows what was sent and what was said, and a corrected value goes to both.
	_, err = r.xero.Put("contacts", "", map[string]any{"Name": "Twin Pty Ltd"})
	must(t, err)
	r.quiet(20 * time.Second)
	_, err = r.crm.Put("companies", "", map[string]any{"name": "Twin Pty Ltd", "abn": abn(2)})
	must(t, err)
	c = r.asked(store.CaseRefused, "Twin Pty Ltd")
	eventually(t, 10*time.Second, "the call that was refused", func() (bool, any) {
		ev, err := r.engine.Applier().Evidence(ctx, c)
		must(t, err)
		return ev.Exchange != nil && strings.Contains(ev.Exchange.RequestBody, "Twin Pty Ltd") && strings.Contains(ev.Exchange.ResponseBody, "already assigned"), ev.Exchange
	})
	if !strings.Contains(c.Detail.Message, "already has an active contact") || c.Detail.Sent["legalName"] != text("Twin Pty Ltd") {
		t.Errorf("the refusal says %q, sent %v", c.Detail.Message, c.Detail.Sent)
	}
	if h, err := r.engine.Applier().HoldsUp(ctx, c, 5); err != nil || h.Total != 1 {
		t.Errorf("holds up %+v (%v)", h, err)
	}
	r.answer(c, change.Decision{Choice: change.ChoiceEdit, Field: "legalName", Value: text("Twin the Second Pty Ltd")})
	r.shows("accounting", "Name", "Twin the Second Pty Ltd", is("TaxNumber", abn(2)))
	r.shows("crm", "name", "Twin the Second Pty Ltd", is("abn", abn(2)))

	// A value that cannot be used is written over where it stands.
	_, err = r.crm.Put("companies", "", map[string]any{"name": named(3), "abn": "123", "customer_email": "c3@drill.example"})
	must(t, err)
	r.answer(r.asked(store.CaseInvalid, named(3)), change.Decision{Choice: change.ChoiceEdit, Value: text(abn(3))})
	r.shows("crm", "abn", abn(3), is("name", named(3)))
	r.shows("accounting", "TaxNumber", abn(3), is("Name", named(3)))

	// Two that share an ABN: one is held back until somebody says that they are different.
	_, err = r.crm.Put("companies", "", map[string]any{"name": "A branch of one", "abn": abn(1), "customer_email": "branch@drill.example"})
	must(t, err)
	c = r.asked(store.CaseDuplicate, "A branch of one")
	if n := len(r.ledger("accounting")); n != 4 {
		t.Errorf("accounting has %d contacts while it is not decided", n)
	}
	r.answer(c, change.Decision{Choice: change.ChoiceDifferent})
	r.shows("accounting", "EmailAddress", "branch@drill.example", is("Name", "A branch of one"))

	r.quiet(20 * time.Second)
	if left := r.openCases(); len(left) > 0 {
		t.Errorf("cases left: %v", left)
	}
	if s := r.xero.Stats(); s.Duplicates > 0 {
		t.Errorf("%d duplicates in accounting", s.Duplicates)
	}

	// A revoked account that a person ignores is not asked about again every second, but after the next revocation.
	r.xero.Revoke()
	_, err = r.crm.Put("companies", "", map[string]any{"name": named(5), "abn": abn(5)})
	must(t, err)
	c = r.asked(store.CaseReauth, "accounting")
	r.answer(c, change.Decision{Choice: change.ChoiceIgnore})
	eventually(t, 20*time.Second, "the supervisor has looked twice", func() (bool, any) {
		var later bool
		must(t, r.pool.QueryRow(ctx, "SELECT clock_timestamp() > closed_at + interval '2 s' FROM cases WHERE id = $1", c.ID).Scan(&later))
		return later, c.ID
	})
	if left := r.openCases(); len(left) > 0 {
		t.Errorf("it is asked again: %v", left)
	}
	r.xero.Consent()
	r.connect("accounting")
	r.shows("accounting", "TaxNumber", abn(5), is("Name", named(5)))
}

// TestUnlinkedIsLinked: a record that nobody could place is linked to the customer that a person names, and written as that
// customer's: no second one is made.
func TestUnlinkedIsLinked(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rigConfig) {
		c.policy = strings.Replace(customersOnly(), "create: [crm, accounting, ops]", "create: [crm, ops]", 1)
	})
	r.quiet(20 * time.Second)
	ctx := context.Background()
	must(t, r.engine.SetMode(ctx, "accounting", store.ModeObserve, causeOf("test")))
	_, err := r.crm.Put("companies", "", map[string]any{"name": "Ironbark Timber", "phone": "03 5550 1111"})
	must(t, err)
	var id string
	eventually(t, 20*time.Second, "a customer", func() (bool, any) {
		ids, err := store.EntityIDs(ctx, r.pool, domain.KindCustomer, "", 10)
		must(t, err)
		if len(ids) == 1 {
			id = ids[0]
		}
		return len(ids) == 1, ids
	})
	_, err = r.xero.Put("contacts", "", map[string]any{"Name": "Ironbark Timber Company Pty Ltd", "TaxNumber": abn(7)})
	must(t, err)
	c := r.asked(store.CaseUnlinked, "Ironbark Timber Company")
	p := r.answer(c, change.Decision{Choice: change.ChoiceLink, TargetID: id})
	if len(p.Golden) == 0 || len(p.Opens) != 1 {
		t.Errorf("foretold: %+v", p)
	}
	// The two names differ, and accounting owns it: that is asked, as the preview said.
	r.answer(r.asked(store.CaseConflict, "Ironbark"), change.Decision{Choice: change.ChoiceKeepOurs})
	must(t, r.engine.SetMode(ctx, "accounting", store.ModeLive, causeOf("test")))
	r.shows("crm", "name", "Ironbark Timber Company Pty Ltd", is("abn", abn(7)))
	r.quiet(20 * time.Second)
	if n := len(r.ledger("accounting")); n != 1 {
		t.Errorf("accounting has %d contacts", n)
	}
	if s := r.xero.Stats(); s.Creates != 0 || s.Updates == 0 {
		t.Errorf("accounting: %d creates, %d updates", s.Creates, s.Updates)
	}
}
