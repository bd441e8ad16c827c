package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// massCase waits for the one open case, which is of a mass change.
func (r *rig) massCase(held int64) store.Case {
	r.t.Helper()
	var cs []store.Case
	eventually(r.t, 20*time.Second, "the case of a mass change", func() (bool, any) {
		var err error
		cs, err = store.ListCases(context.Background(), r.pool, store.CaseFilter{Status: "open"}, nil, "", 100)
		must(r.t, err)
		states, err := store.BrakeStates(context.Background(), r.pool)
		must(r.t, err)
		// Transactions that run beside one another do not see each other: a few more may get through.
		counted := slices.ContainsFunc(states, func(s store.BrakeState) bool { return len(cs) == 1 && s.N == cs[0].Detail.Held })
		return counted && cs[0].Kind == store.CaseMassChange && cs[0].Detail.Held <= held && cs[0].Detail.Held > held-4, fmt.Sprintf("%d cases, held: %+v", len(cs), states)
	})
	return cs[0]
}

// massCaseOf is massCase where nothing runs beside one another, so that it is known how much is held in the end.
func (r *rig) massCaseOf(held int64) (c store.Case) {
	r.t.Helper()
	eventually(r.t, 20*time.Second, "the case counts all that is held", func() (bool, any) {
		c = r.massCase(held)
		return c.Detail.Held == held, c.Detail.Held
	})
	return c
}

func (r *rig) decide(c store.Case, choice string) {
	r.t.Helper()
	_, err := r.engine.Applier().Decide(context.Background(), change.Decision{CaseID: c.ID, Choice: choice, Cause: causeOf("Jo")})
	must(r.t, err)
}

func (r *rig) noCases() {
	r.t.Helper()
	eventually(r.t, 20*time.Second, "no open case", func() (bool, any) {
		cs, err := store.CountCases(context.Background(), r.pool)
		must(r.t, err)
		return len(cs) == 0, cs
	})
}

func (r *rig) publish(policy string) {
	r.t.Helper()
	ctx := context.Background()
	n, err := store.PolicyNumber(ctx, r.pool)
	must(r.t, err)
	_, err = r.engine.Applier().Publish(ctx, n, unbraked(policy), r.around(), change.Cause{Actor: "test"})
	must(r.t, err)
	r.rc.policy = policy
}

// TestPolicyThatWouldRewriteAThird: accounting has other telephone numbers than the CRM for 30 of 90 customers, which the policy
// allows. A new policy gives the numbers to accounting. Nothing is sent; one case says what would be. Taking the policy
// back closes it; approving it has exactly those thirty written.
func TestPolicyThatWouldRewriteAThird(t *testing.T) {
	t.Parallel()
	const n, third = 90, 30
	phones := func(owner string) string {
		rest := map[string]string{"crm": "[accounting, ops], others: keep", "accounting": "[crm, ops], others: restore"}
		lines := strings.Split(customersOnly(), "\n")
		for i, l := range lines {
			if strings.HasPrefix(strings.TrimSpace(l), "phone:") {
				lines[i] = fmt.Sprintf("    phone: {owner: %s, fallback: %s}", owner, rest[owner])
			}
		}
		return strings.Join(lines, "\n")
	}
	r := newRig(t, func(c *rigConfig) { c.policy = phones("crm") })
	r.quiet(20 * time.Second)
	for i := range n {
		_, err := r.crm.Put("companies", "", map[string]any{"name": named(i), "abn": abn(i), "phone": "(03) 5550 0001"})
		must(t, err)
	}
	r.quiet(30 * time.Second)
	for _, o := range r.ledger("accounting")[:third] {
		_, err := r.xero.Put("contacts", o.id, map[string]any{"Phones": []map[string]any{{"PhoneType": "DEFAULT", "PhoneCountryCode": "61", "PhoneAreaCode": "2", "PhoneNumber": "55500002"}}})
		must(t, err)
	}
	r.quiet(20 * time.Second)
	count := func(system, number string) (k int) {
		for _, o := range r.ledger(system) {
			if strings.HasSuffix(strings.NewReplacer(" ", "", ")", "").Replace(o.phone), number) {
				k++
			}
		}
		return k
	}
	if k := count("accounting", "55500002"); k != third {
		t.Fatalf("%d numbers differ at the start", k)
	}
	before := r.crm.Stats().Updates
	r.publish(phones("accounting"))
	c := r.massCaseOf(third)
	if c.System != "crm" || c.Detail.Counts["phone"] != third || len(c.Detail.Changes) != 20 || c.Detail.Changes[0].From != domain.TextValue("+61355500001") || c.Detail.Changes[0].To != domain.TextValue("+61255500002") {
		t.Errorf("the case says %+v", c)
	}
	if w := r.crm.Stats().Updates; w != before || count("crm", "55500002") > 0 {
		t.Errorf("%d writes although nobody has approved", w-before)
	}
	r.publish(phones("crm"))
	r.noCases()
	r.quiet(20 * time.Second)
	if w := r.crm.Stats().Updates; w != before {
		t.Errorf("%d writes for a policy that was taken back", w-before)
	}
	r.publish(phones("accounting"))
	r.decide(r.massCaseOf(third), change.ChoiceReject)
	r.noCases()
	eventually(t, 10*time.Second, "rejected", func() (bool, any) {
		s, _ := r.state()
		for _, b := range s.Backlogs {
			if b.System == "crm" && b.Parked == third && b.Pending == 0 {
				return r.crm.Stats().Updates == before, r.crm.Stats().Updates - before
			}
		}
		return false, s
	})
	r.publish(phones("crm"))
	r.quiet(20 * time.Second)
	r.publish(phones("accounting"))
	r.decide(r.massCaseOf(third), change.ChoiceApprove)
	r.quiet(30 * time.Second)
	r.noCases()
	if k := count("crm", "55500002"); k != third {
		t.Errorf("%d of %d numbers have arrived", k, third)
	}
	r.level(n, map[string]int{"accounting": n})
}

// TestMassEditIsHeld: somebody overwrites the telephone numbers of all customers in the CRM, which owns them. A few get through,
// the others are held back with one case. Rejected, they keep their numbers and the CRM gets them back; approved, the
// next lot goes everywhere.
func TestMassEditIsHeld(t *testing.T) {
	t.Parallel()
	const n, free = 40, 5
	r := newRig(t, func(c *rigConfig) {
		c.policy = strings.Replace(customersOnly(), "\nCustomer:", "\nbrake:\n  in: {count: 5, share: 10%, window: 1h}\n\nCustomer:", 1)
	})
	r.quiet(20 * time.Second)
	for i := range n {
		_, err := r.crm.Put("companies", "", map[string]any{"name": named(i), "abn": abn(i), "phone": "(03) 5550 0001"})
		must(t, err)
	}
	r.quiet(30 * time.Second)
	phones := func(system, number string) (k int) {
		for _, o := range r.ledger(system) {
			if strings.HasSuffix(strings.NewReplacer(" ", "", ")", "").Replace(o.phone), number) {
				k++
			}
		}
		return k
	}
	edit := func(number string) {
		for _, o := range r.ledger("crm") {
			_, err := r.crm.Put("companies", o.id, map[string]any{"phone": "(03) " + number[:4] + " " + number[4:]})
			must(t, err)
		}
	}
	edit("55500002")
	r.quiet(30 * time.Second) // all has come that is held
	c := r.massCase(n - free)
	held := int(c.Detail.Held)
	if c.Detail.Counts["phone"] != c.Detail.Held || c.Detail.Changes[0].To != domain.TextValue("+61355500002") || phones("accounting", "55500002") > n-held {
		t.Errorf("the case says %+v, %d have got through", c, phones("accounting", "55500002"))
	}
	if a, err := r.engine.Audit(context.Background(), "crm", domain.KindCustomer); err != nil || len(a.Different) > 0 || len(a.Held) != held {
		t.Errorf("what a case asks about is not lost: %d held of %d, %s differ, %v", len(a.Held), held, few(a.Different), err)
	}
	// The window passes and the CRM is looked through again and again: nothing of what is held gets through.
	ctx, through := context.Background(), phones("accounting", "55500002")
	_, err := r.pool.Exec(ctx, `UPDATE brake_log SET at = at - interval '2 hours'`)
	must(t, err)
	for until := time.Now().Add(2 * time.Second); time.Now().Before(until); { // more than the gauge is trusted
		since := time.Now()
		eventually(t, 20*time.Second, "swept", func() (bool, any) {
			var ok bool
			must(t, r.engine.Sweep(ctx, "crm", domain.KindCustomer)) // one that still ends swallows it
			must(t, r.pool.QueryRow(ctx, `SELECT coalesce(bool_or(finished_at > $1), false) FROM cursors WHERE system = 'crm' AND kind = 'Customer' AND name = 'sweep'`, since).Scan(&ok))
			return ok, nil
		})
	}
	r.quiet(20 * time.Second)
	if is := phones("accounting", "55500002"); is != through {
		t.Errorf("%d numbers have arrived without a decision, %d before it was looked again", is, through)
	}
	c = r.massCase(int64(held))
	_, err = r.pool.Exec(ctx, `UPDATE brake_log SET at = at + interval '2 hours'`)
	must(t, err)
	moved := time.Now()
	p, err := r.engine.Applier().Preview(ctx, change.Decision{CaseID: c.ID, Choice: change.ChoiceApprove, Cause: causeOf("Jo")})
	must(t, err)
	if len(p.Golden) != held || p.Deeper || p.Golden[0].Field != "phone" || p.Golden[0].From.Text() != "+61355500001" || p.Golden[0].To.Text() != "+61355500002" || p.Golden[0].Name == "" {
		t.Errorf("the preview of an approval says %d: %+v", len(p.Golden), p)
	}
	if p, err = r.engine.Applier().Preview(ctx, change.Decision{CaseID: c.ID, Choice: change.ChoiceReject, Cause: causeOf("Jo")}); err != nil || len(p.Golden) != 0 {
		t.Errorf("the preview of a rejection says %+v, %v", p, err)
	}
	r.decide(c, change.ChoiceReject)
	r.noCases()
	r.quiet(30 * time.Second)
	if was, is := phones("crm", "55500001"), phones("accounting", "55500001"); was != held || is != held {
		t.Errorf("after the rejection %d numbers are restored in the CRM, %d are in accounting; want %d", was, is, held)
	}
	r.level(n, map[string]int{"accounting": n})
	eventually(t, 20*time.Second, "what was read of the log in between is trusted no more", func() (bool, any) { return time.Since(moved) > time.Second, nil })
	edit("55500003")
	r.quiet(30 * time.Second)
	r.decide(r.massCase(n), change.ChoiceApprove) // the window has had its five
	r.noCases()
	r.quiet(30 * time.Second)
	if is := phones("accounting", "55500003"); is != n {
		t.Errorf("after the approval %d of %d numbers have arrived", is, n)
	}
	r.level(n, map[string]int{"accounting": n})
}

// TestBulkEditsAreHeld: an app writes over the telephone numbers of all customers through the API. They are in force at once, and
// accounting, which has no brake for that, is told; the CRM is told of a few, and of the rest once a person has approved.
func TestBulkEditsAreHeld(t *testing.T) {
	t.Parallel()
	const n, free = 30, 5
	r := newRig(t, func(c *rigConfig) {
		c.policy = strings.Replace(opsOwns("phone"), "\nCustomer:", "\nbrake:\n  edits: off\n  systems:\n    crm:\n      edits: {count: 5, share: 10%, window: 1h}\n\nCustomer:", 1)
	})
	r.quiet(20 * time.Second)
	ids := r.byOps(0, n) // new ones do not count
	r.quiet(30 * time.Second)
	for i, id := range ids { // one after the other: those that run beside one another do not see each other
		_, err := r.engine.Applier().Edit(context.Background(), change.Edit{System: "ops", Kind: domain.KindCustomer, EntityID: id, Fields: domain.Values{"phone": domain.TextValue(phone(i))}, Cause: byTest()})
		must(t, err)
	}
	c := r.massCaseOf(n - free)
	if c.System != "crm" || c.Detail.Counts["phone"] != c.Detail.Held || !strings.Contains(c.Detail.Message, "edits through the API") {
		t.Errorf("the case says %+v", c)
	}
	has := func(system string) (k int) {
		for _, o := range r.ledger(system) {
			if o.phone != "" {
				k++
			}
		}
		return k
	}
	eventually(t, 30*time.Second, "accounting is told of all, the CRM of a few", func() (bool, any) {
		a, c2 := has("accounting"), has("crm")
		return a == n && c2 == n-int(c.Detail.Held), fmt.Sprint(a, c2)
	})
	for i, id := range ids {
		if r.golden(id)["phone"].Text() != phone(i) {
			t.Errorf("%s is not in force", phone(i))
		}
	}
	r.decide(c, change.ChoiceApprove)
	r.noCases()
	r.quiet(30 * time.Second)
	if k := has("crm"); k != n {
		t.Errorf("after the approval the CRM has %d numbers of %d", k, n)
	}
}

// TestReprocessIsBraked: a replay that would change many golden values, and a forced resend that would write many records, are held
// back like anything else, and the runs say so. Approved, they happen.
func TestReprocessIsBraked(t *testing.T) {
	t.Parallel()
	const n, free = 20, 5
	r := newRig(t, func(c *rigConfig) {
		c.noHooks, c.poll = true, time.Hour
		c.policy = strings.Replace(customersOnly(), "\nCustomer:", "\nbrake:\n  edits: off\n  in: {count: 5, share: 10%, window: 1h}\n  out: {count: 5, share: 10%, window: 1h}\n\nCustomer:", 1)
		c.seed = func(r *rig) {
			for i := range n {
				_, err := r.crm.Put("companies", "", map[string]any{"name": named(i), "abn": abn(i), "phone": "(03) 5550 0001", "lifecyclestage": "customer"})
				must(t, err)
			}
		}
	})
	ctx := context.Background()
	r.quiet(30 * time.Second)
	changed := func() (k int) {
		for _, c := range r.customers() {
			if c.Phone == "+61355500009" {
				k++
			}
		}
		return k
	}
	// What is stored of the vendor's objects reads otherwise from now on, as after a change of the mapping.
	_, err := r.pool.Exec(ctx, `UPDATE records SET raw = jsonb_set(raw, '{properties,phone}', '"(03) 5550 0009"') WHERE system = 'crm'`)
	must(t, err)
	run := r.reprocess(change.Reprocess{Action: change.Replay, Filter: store.ReprocessFilter{System: "crm"}, PerSecond: 200})
	c := r.massCaseOf(n - free)
	is, err := store.RunItems(ctx, r.pool, run.ID, "", 0, 100)
	must(t, err)
	told := 0
	for _, it := range is {
		if strings.Contains(it.Error, "mass change") {
			told++
		}
	}
	if run.Failed > 0 || told != int(c.Detail.Held) || changed() != n-told || c.Detail.Counts["phone"] != c.Detail.Held {
		t.Errorf("replayed: %+v, %d items held, %d changed, the case says %+v", run, told, changed(), c.Detail)
	}
	r.decide(c, change.ChoiceApprove)
	r.noCases()
	eventually(t, 30*time.Second, "approved", func() (bool, any) { k := changed(); return k == n, k })
	r.quiet(30 * time.Second)

	sent := func() int { st := r.xero.Stats(); return st.Updates + st.NoopUpdates }
	before := sent()
	r.reprocess(change.Reprocess{Action: change.Resend, Force: true, Filter: store.ReprocessFilter{System: "accounting"}, PerSecond: 200})
	c = r.massCaseOf(n - free)
	held := int(c.Detail.Held)
	eventually(t, 30*time.Second, "a few are sent", func() (bool, any) { k := sent() - before; return k == n-held, fmt.Sprintf("%d, held %d", k, held) })
	if c.System != "accounting" {
		t.Errorf("the case says %+v", c)
	}
	r.decide(c, change.ChoiceApprove)
	r.noCases()
	eventually(t, 30*time.Second, "all are sent", func() (bool, any) { k := sent() - before; return k == n, k })
}

// TestHalfReadListing: the CRM answers a listing with half of its objects and no word of the other half. Nothing is taken for
// deleted and nobody is asked, because what is missing is there when it is asked for; the next sweep is complete. When half
// of the customers really are gone at once and unheard, one case asks, and approved they are archived.
func TestHalfReadListing(t *testing.T) {
	t.Parallel()
	const n = 60
	cut := &halver{gone: map[string]bool{}}
	r := newRig(t, func(c *rigConfig) {
		c.noHooks, c.poll = true, time.Hour
		c.between = func(base string) string { return cut.between(t, base) }
	})
	r.quiet(20 * time.Second)
	r.byOps(0, n)
	r.quiet(30 * time.Second)
	cut.half.Store(true)
	s := r.sweep("crm", domain.KindCustomer)
	if s.Complete || s.TheirsCount != n/2 || s.Tombstoned > 0 || !strings.Contains(s.Why, "left out 30 of 60") {
		t.Errorf("a listing that was cut in half: %+v", s)
	}
	cut.half.Store(false)
	if s = r.sweep("crm", domain.KindCustomer); !s.Complete || !s.Level() || s.TheirsCount != n {
		t.Errorf("the next sweep: %+v", s)
	}
	r.noCases()
	r.level(n, map[string]int{"crm": n, "accounting": n})
	cut.vanish.Store(true) // and now they are not there when they are asked for either
	r.sweep("crm", domain.KindCustomer)
	c := r.massCaseOf(n / 2)
	if c.Detail.Counts[""] != n/2 || len(c.Detail.Changes) != 20 {
		t.Errorf("the case says %+v", c)
	}
	if k := r.archived(); k > 0 {
		t.Errorf("%d are archived although nobody has approved", k)
	}
	// What is parked stalls nothing else: the next pass is complete, takes nothing for gone, and what it finds beside is repaired.
	since := time.Now()
	for _, o := range r.ledger("crm") {
		if !cut.missing(o.id) {
			_, err := r.crm.Put("companies", o.id, map[string]any{"phone": "(03) 5550 0004"})
			must(t, err)
			break
		}
	}
	if s = r.sweep("crm", domain.KindCustomer); !s.Complete || s.Missing != n/2 || s.Tombstoned > 0 || s.Repaired != 1 {
		t.Errorf("a sweep while half is parked: %+v", s)
	}
	if ok, err := r.engine.SweptSince(context.Background(), "crm", domain.KindCustomer, since); !ok || err != nil {
		t.Errorf("a sweep while half is parked is not made: %v", err)
	}
	if conv := r.convergence("crm"); conv.AsOf == nil || conv.AsOf.Before(since.Add(-time.Second)) || conv.Sweep != s.ID {
		t.Errorf("how far it is level is not known anew: %+v", conv)
	}
	c = r.massCaseOf(n / 2)
	r.decide(c, change.ChoiceApprove)
	r.noCases()
	eventually(t, 20*time.Second, "they are archived", func() (bool, any) { k := r.archived(); return k == n/2, k })
}

// convergence is how far a system is level in customers.
func (r *rig) convergence(system string) store.Convergence {
	r.t.Helper()
	cs, err := store.Convergences(context.Background(), r.pool)
	must(r.t, err)
	i := slices.IndexFunc(cs, func(c store.Convergence) bool { return c.System == system && c.Kind == domain.KindCustomer })
	if i < 0 {
		r.t.Fatalf("nothing is known of %s", system)
	}
	return cs[i]
}

// archived counts customers that are archived.
func (r *rig) archived() (n int) {
	for _, c := range r.customers() {
		if c.Status == "ARCHIVED" {
			n++
		}
	}
	return n
}

// halver cuts listings of companies in half while it is told to. With vanish the other half is not there at all.
type halver struct {
	half, vanish atomic.Bool
	mu           sync.Mutex
	gone         map[string]bool
}

// missing reports whether the object is in the other half.
func (h *halver) missing(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.gone[id]
}

// between is a proxy in front of a vendor that does so.
func (h *halver) between(t testing.TB, base string) string {
	u, err := url.Parse(base)
	must(t, err)
	p := httputil.NewSingleHostReverseProxy(u)
	p.ModifyResponse = func(resp *http.Response) error {
		q := resp.Request
		list := q.Method == http.MethodGet && strings.HasSuffix(q.URL.Path, "/companies") && (h.half.Load() || h.vanish.Load())
		if !list && (!h.vanish.Load() || !strings.HasSuffix(q.URL.Path, "/companies/batch/read")) {
			return nil
		}
		var m map[string]any
		if err := json.NewDecoder(resp.Body).Decode(&m); err != nil {
			return err
		}
		rs, _ := m["results"].([]any)
		h.mu.Lock()
		if list && len(h.gone) == 0 {
			for _, x := range rs[len(rs)/2:] {
				h.gone[x.(map[string]any)["id"].(string)] = true
			}
		}
		m["results"] = slices.DeleteFunc(rs, func(x any) bool { return h.gone[x.(map[string]any)["id"].(string)] })
		h.mu.Unlock()
		if list {
			delete(m, "paging")
		}
		b, err := json.Marshal(m)
		if err != nil {
			return err
		}
		resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		resp.Header.Set("Content-Length", fmt.Sprint(len(b)))
		return nil
	}
	srv := httptest.NewServer(p)
	t.Cleanup(srv.Close)
	return srv.URL
}
