package change_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

func address(street, suburb, postcode string) domain.Value {
	return domain.ValueOf(domain.Address{Lines: []string{street}, Suburb: suburb, State: "NSW", Postcode: postcode, Country: "AU"})
}

// Two that share no strong key and are much alike: a case says why, the later one is not created elsewhere until it is decided.
func TestAlikeIsAskedAbout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	a := w.see(crm, "h1", values("legalName", "Harbour Freight Pty Ltd", "phone", "+61295550101", "email", "info@harbour.example.com")).EntityID
	b := w.see(accounting, "x1", values("legalName", "Harbor Freight", "phone", "+61295550101", "email", "accounts@harbour.example.com")).EntityID
	if a == b {
		t.Fatal("they were linked without asking")
	}
	c := w.one(store.CaseDuplicate)
	if c.EntityID != b || c.OtherID != a || c.Detail.Score < 0.8 || c.Detail.Score > 1 || !strings.Contains(strings.Join(c.Detail.Reasons, "; "), "same telephone number") ||
		!strings.Contains(c.Detail.Message, "same telephone number") {
		t.Errorf("case %+v", c)
	}
	if p := w.isAt(b, crm, store.Parked); p.ErrorCode != domain.Conflict {
		t.Errorf("parked for %s", p.ErrorCode)
	}
	w.quietly("reading it again", func() { w.change(accounting, "x1", nil) })
	w.decide(c.ID, change.ChoiceDifferent)
	w.change(accounting, "x1", values("legalName", "Harbour Freight"))
	w.none(store.CaseDuplicate) // not asked again
}

// Two that come in the same instant do not see each other. They are compared once more as soon as both are there, and not before.
func TestAlikeAtTheSameInstant(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	bring := func(system, id, name string) pgx.Tx {
		tx, err := w.pool.Begin(ctx)
		w.ok(err)
		_, err = w.a.RecordTx(ctx, tx, change.Incoming{System: system, Record: w.record(id, 1, w.shelf.carried(system, values("legalName", name, "phone", "+61295550101"))),
			Cause: w.cause(system, change.FromWebhook)})
		w.ok(err)
		return tx
	}
	first, second := bring(crm, "h1", "Harbour Freight Pty Ltd"), bring(accounting, "x1", "Harbor Freight")
	w.ok(second.Commit(ctx))
	w.none(store.CaseDuplicate)
	if n, err := w.a.AlikeAgain(ctx); n > 0 || err != nil {
		t.Fatalf("%d compared once more while the first is still under way, %v", n, err)
	}
	w.ok(first.Commit(ctx))
	w.none(store.CaseDuplicate)
	if n := w.alikeAgain(); n != 1 {
		t.Errorf("%d compared once more", n)
	}
	c := w.one(store.CaseDuplicate)
	if a, b := w.stored(crm, "h1").EntityID, w.stored(accounting, "x1").EntityID; c.EntityID != b || c.OtherID != a {
		t.Errorf("case %+v, not of %s and %s", c, b, a)
	}
	w.isAt(c.EntityID, crm, store.Parked)
	w.change(crm, "h1", values("email", "office@harbour.example.com"))
	if n := w.alikeAgain(); n != 0 {
		t.Errorf("%d compared once more although nobody else was at it", n)
	}
}

// alikeAgain compares what is to be compared once more, when the transactions of other tests on this server let it, and returns how many.
func (w *world) alikeAgain() (n int) {
	w.tb.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		k, err := w.a.AlikeAgain(ctx)
		w.ok(err)
		n += k
		var left int
		w.ok(w.pool.QueryRow(ctx, "SELECT count(*) FROM alike_checks").Scan(&left))
		if left == 0 {
			return n
		}
		if time.Now().After(deadline) {
			w.tb.Fatalf("%d are still to be compared", left)
		}
	}
}

// However many come at once from whichever process, each that is alike to another is asked about.
func TestManyAlikeAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	const n = 12
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		for system, name := range map[string]string{crm: "Harbour Freight %d Pty Ltd", accounting: "Harbor Freight %d"} {
			a, name := w.process(), fmt.Sprintf(name, 100+i)
			wg.Go(func() {
				<-start
				rec := w.record(fmt.Sprintf("%s%d", system, i), 1, w.shelf.carried(system, values("legalName", name, "phone", fmt.Sprintf("+612955501%02d", i))))
				if _, err := a.Record(ctx, change.Incoming{System: system, Record: rec, Cause: w.cause(system, change.FromWebhook)}); err != nil {
					t.Error(err)
				}
			})
		}
	}
	close(start)
	wg.Wait()
	w.alikeAgain()
	asked := map[string]bool{}
	for _, c := range w.open(store.CaseDuplicate) {
		asked[c.EntityID+" "+c.OtherID], asked[c.OtherID+" "+c.EntityID] = true, true
	}
	for i := range n {
		if a, b := w.stored(crm, fmt.Sprintf("crm%d", i)).EntityID, w.stored(accounting, fmt.Sprintf("accounting%d", i)).EntityID; a == b || !asked[a+" "+b] {
			t.Errorf("nobody is asked whether %s and %s are one", a, b)
		}
	}
	if n := w.deadlocks(); n > 0 {
		t.Errorf("%d deadlocks", n)
	}
}

// What comes to be alike later, through a vendor or through the API, is noticed.
func TestAlikeLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	w.see(crm, "h1", values("legalName", "Harbour Freight Pty Ltd", "phone", "+61295550101"))
	w.see(crm, "h2", values("legalName", "Pyrmont Storage Pty Ltd", "phone", "+61295550102"))
	w.none(store.CaseDuplicate)
	w.change(crm, "h2", values("legalName", "Harbour Freight", "phone", "+61295550101"))
	c := w.one(store.CaseDuplicate)
	w.decide(c.ID, change.ChoiceDifferent)
}

// A case is over by itself once later values make the two unlike, whichever of them changes, and what was held back is written;
// it is asked again when they come to be alike again.
func TestAlikeNoLonger(t *testing.T) {
	t.Parallel()
	freight, storage := values("legalName", "Harbour Freight Pty Ltd", "phone", "+61295550101"), values("legalName", "Pyrmont Storage Pty Ltd", "phone", "+61295550102")
	for _, older := range []bool{true, false} {
		w := newWorld(t, ownership.DefaultSource())
		a := w.see(crm, "h1", freight).EntityID
		b := w.see(accounting, "x1", values("legalName", "Harbor Freight", "phone", "+61295550101")).EntityID
		c := w.one(store.CaseDuplicate)
		w.isAt(b, crm, store.Parked)
		system, id, own := accounting, "x1", "Harbor Freight"
		if older {
			system, id, own = crm, "h1", "Harbour Freight"
		}
		w.change(system, id, values("email", "office@harbour.example.com"))
		w.one(store.CaseDuplicate) // still alike
		w.change(system, id, storage)
		w.none(store.CaseDuplicate)
		w.isAt(b, crm, store.Pending)
		if c, err := store.CaseByID(ctx, w.pool, c.ID, false); err != nil || c.Status != "closed" || c.ResolvedBy != "" {
			t.Errorf("case %+v, %v", c, err)
		}
		w.change(system, id, values("legalName", own, "phone", "+61295550101"))
		if again := w.one(store.CaseDuplicate); again.ID == c.ID || !slices.Contains([]string{a, b}, again.OtherID) {
			t.Errorf("case %+v", again)
		}
	}
}

// It goes on asking while they share a strong key, and when one is deleted, which takes nothing back. An app's edit counts as well.
func TestAlikeStill(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strings.Replace(ownership.DefaultSource(), "phone: {owner: crm, fallback: [accounting, ops]", "phone: {owner: ops, fallback: [crm, accounting]", 1))
	w.see(crm, "h1", values("legalName", "Harbour Freight Pty Ltd", "phone", "+61295550101"))
	w.see(crm, "h2", values("legalName", "Harbor Freight", "phone", "+61295550101"))
	w.one(store.CaseDuplicate)
	w.change(crm, "h2", values("abn", abn(1), "legalName", "Pyrmont Storage", "phone", ""))
	w.none(store.CaseDuplicate)
	w.change(crm, "h2", values("abn", "", "legalName", "Harbor Freight", "phone", "+61295550101"))
	w.change(crm, "h1", values("abn", abn(1)))
	w.change(crm, "h2", values("abn", abn(1), "legalName", "Pyrmont Storage", "phone", ""))
	w.one(store.CaseDuplicate)
	w.change(crm, "h2", values("abn", ""))
	w.none(store.CaseDuplicate)
	id := w.edit(ops, "", values("legalName", "Harbour Freight", "phone", "+61295550101")).EntityID
	c := w.one(store.CaseDuplicate)
	w.edit(ops, id, values("phone", "+61295550109"))
	if c, err := store.CaseByID(ctx, w.pool, c.ID, false); err != nil || c.Status != "closed" {
		t.Errorf("case %+v, %v", c, err)
	}
	w.edit(ops, id, values("phone", "+61295550101"))
	w.one(store.CaseDuplicate)
	w.gone(crm, "h1")
	w.one(store.CaseDuplicate)
}

// A business's branches share its ABN and are not made one by themselves; the same ABN at one place still is.
func TestBranchesAreAskedAbout(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	a := w.see(crm, "h1", values("abn", abn(1), "legalName", "Harbour Freight Pty Ltd")).EntityID
	w.change(crm, "h1", domain.Values{"billingAddress": address("9 Quay Street", "Pyrmont", "2009")})
	far := with(values("abn", abn(1), "legalName", "Harbour Freight Pty Ltd"), domain.Values{"billingAddress": address("77 Port Road", "Newcastle", "2300")})
	b := w.see(accounting, "x1", far).EntityID
	if a == b {
		t.Fatal("two branches were made one")
	}
	if c := w.one(store.CaseDuplicate); !strings.Contains(c.Detail.Message, "branches") || len(c.Detail.Keys) == 0 {
		t.Errorf("case %+v", c)
	}
	near := with(values("abn", abn(2), "legalName", "Kiwi Pty Ltd"), domain.Values{"billingAddress": address("1 Low St", "Yass", "2582")})
	if k := w.see(crm, "h2", near).EntityID; k != w.see(accounting, "x2", near).EntityID {
		t.Error("one ABN at one place is two")
	}
}

// With link in the policy the record of a system that has none is linked to the only candidate; with two it is asked.
func TestAlikeIsLinkedIfThePolicySaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strings.Replace(ownership.DefaultSource(), "match: {ask: 0.8}", "match: {ask: 0.8, link: 0.95}", 1))
	a := w.see(crm, "h1", values("legalName", "Harbour Freight Pty Ltd", "phone", "+61295550101")).EntityID
	if b := w.see(accounting, "x1", values("legalName", "Harbour Freight", "phone", "+61295550101")).EntityID; a != b {
		t.Errorf("%s is not %s", b, a)
	}
	w.none(store.CaseDuplicate)
	if b := w.see(accounting, "x2", values("legalName", "Harbour Freight", "phone", "+61295550101")).EntityID; a == b {
		t.Error("two records of one system were linked")
	}
	w.one(store.CaseDuplicate)
}

// Which pairs are asked about does not depend on the order in which records come.
func TestAlikeDoesNotDependOnOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	draw := rapid.Custom(func(t *rapid.T) domain.Values {
		v := domain.Values{}
		for f, choices := range map[domain.Field][]string{"legalName": {"Harbour Freight Pty Ltd", "Harbor Freight", "Kiwi"}, "phone": {"", "+61295550101", "+61295550102"},
			"email": {"", "a@harbour.example.com", "b@harbour.example.com"}} {
			if s := rapid.SampledFrom(choices).Draw(t, string(f)); s != "" {
				v[f] = text(s)
			}
		}
		return v
	})
	asked := func(rt *rapid.T, recs []domain.Values, order []int) map[string]bool {
		w.begin(rt, ownership.DefaultSource())
		names := map[string]string{}
		for _, i := range order {
			id := string(rune('a' + i))
			res := w.apply(crm, w.record(id, 1, w.shelf.carried(crm, recs[i])), change.FromPoll)
			names[res.EntityID] = id
		}
		pairs := map[string]bool{}
		for _, c := range w.open(store.CaseDuplicate) {
			x, y := names[c.EntityID], names[c.OtherID]
			pairs[min(x, y)+max(x, y)] = true
		}
		return pairs
	}
	rapid.Check(t, func(rt *rapid.T) {
		recs := rapid.SliceOfN(draw, 2, 4).Draw(rt, "records")
		order := make([]int, len(recs))
		for i := range order {
			order[i] = i
		}
		want := asked(rt, recs, order)
		got := asked(rt, recs, rapid.Permutation(order).Draw(rt, "order"))
		for p := range want {
			if !got[p] {
				rt.Errorf("%s is asked about only in the first order", p)
			}
		}
		if len(got) != len(want) {
			rt.Errorf("%v or %v", want, got)
		}
	})
}

// The whole database: pairs are found once, cases opened for them unless they are decided, and nothing on a dry run.
func TestDuplicatesOfTheWholeDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strings.Replace(ownership.DefaultSource(), "match: {ask: 0.8}", "match: {}", 1))
	a := w.see(crm, "h1", values("legalName", "Harbour Freight Pty Ltd", "phone", "+61295550101")).EntityID
	b := w.see(accounting, "x1", values("legalName", "Harbor Freight", "phone", "+61295550101")).EntityID
	w.see(crm, "h2", values("legalName", "Pyrmont Storage Pty Ltd", "phone", "+61295550102"))
	w.none(store.CaseDuplicate)
	_, err := w.pool.Exec(ctx, `DELETE FROM match_keys WHERE key LIKE '~%'`) // as a version before this one left them
	w.ok(err)
	scan := func(dry bool) (pairs [][2]string, records int64) {
		t.Helper()
		s, err := w.a.StartScan(ctx, change.Scan{Kind: customer, Dry: dry}, w.cause(ops, change.FromCase))
		w.ok(err)
		s, err = w.a.RunScan(ctx, s.ID, "", 0, nil)
		if w.ok(err); s.Status != "done" || s.Compared != s.Total {
			t.Errorf("it stands at %+v", s)
		}
		found, err := store.DuplicatePairs(ctx, w.pool, s.ID, store.DuplicatePair{}, 100)
		w.ok(err)
		for _, p := range found {
			if p.Score < 0.8 || len(p.Reasons) == 0 || p.Decision != "ask" || (p.CaseID == "") != dry {
				t.Errorf("found %+v", p)
			}
			pairs = append(pairs, [2]string{p.OtherID, p.EntityID})
		}
		return pairs, s.Compared
	}
	if pairs, n := scan(true); len(pairs) != 1 || pairs[0] != [2]string{a, b} || n != 3 {
		t.Errorf("dry: %v of %d records", pairs, n)
	}
	w.none(store.CaseDuplicate)
	if pairs, _ := scan(false); len(pairs) != 1 {
		t.Errorf("found %v", pairs)
	}
	c := w.one(store.CaseDuplicate)
	if c.EntityID != b || c.OtherID != a {
		t.Errorf("case %+v", c)
	}
	w.isAt(b, crm, store.Parked)
	if pairs, _ := scan(false); len(pairs) != 0 {
		t.Errorf("asked twice: %v", pairs)
	}
	w.decide(c.ID, change.ChoiceDifferent)
	if pairs, _ := scan(false); len(pairs) != 0 {
		t.Errorf("asked again: %v", pairs)
	}
	w.none(store.CaseDuplicate)
	if _, err := w.a.StartScan(ctx, change.Scan{Kind: domain.KindLocation}, w.cause(ops, change.FromCase)); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("locations: %v", err)
	}
}

// A scan that is stopped goes on where it stood, whoever takes it up; one at a time is at it; cancelled it ends. What it has found says
// what became of it.
func TestScanIsResumed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strings.Replace(ownership.DefaultSource(), "match: {ask: 0.8}", "match: {}", 1))
	const n = 8
	for i := range n {
		w.see(crm, fmt.Sprintf("h%d", i), values("legalName", fmt.Sprintf("Harbour Freight %d Pty Ltd", 100+i/2), "phone", fmt.Sprintf("+6129555010%d", i/2)))
	}
	start := func(dry bool) store.DuplicateScan {
		t.Helper()
		s, err := w.a.StartScan(ctx, change.Scan{Kind: customer, PerSecond: 50, Dry: dry}, w.cause(ops, change.FromCase)) // one at a time
		w.ok(err)
		return s
	}
	s := start(false)
	if _, err := w.a.StartScan(ctx, change.Scan{Kind: customer}, w.cause(ops, change.FromCase)); domain.CodeOf(err) != domain.Conflict {
		t.Errorf("two at once: %v", err)
	}
	at := w.process1()
	_, err := w.pool.Exec(ctx, `UPDATE processes SET heartbeat_at = now() + interval '1 hour'`) // however slow this machine is
	w.ok(err)
	stopped, stop := context.WithCancel(ctx)
	_, err = w.a.RunScan(stopped, s.ID, at, 0, func(s store.DuplicateScan) {
		if s.Compared == 3 {
			if other, err := w.process().RunScan(ctx, s.ID, at, 0, nil); err != nil || other.Compared != 3 || other.Status != "running" {
				t.Errorf("another process beside it: %+v, %v", other, err)
			}
			stop()
		}
	})
	if err == nil {
		t.Error("it did not stop")
	}
	half, err := store.DuplicateScanByID(ctx, w.pool, s.ID)
	if w.ok(err); half.Status != "running" || half.Compared < 3 || half.Compared == n || half.AtExternalID == "" {
		t.Fatalf("stopped at %+v", half)
	}
	if ids, err := store.StrandedDuplicateScans(ctx, w.pool); err != nil || !slices.Equal(ids, []string{s.ID}) {
		t.Errorf("nobody is to take it up: %v, %v", ids, err)
	}
	first := true
	s, err = w.process().RunScan(ctx, s.ID, at, 0, func(s store.DuplicateScan) {
		if first && s.Compared != half.Compared {
			t.Errorf("it goes on at %d, not %d", s.Compared, half.Compared)
		}
		first = false
	})
	if w.ok(err); s.Status != "done" || s.Compared != n || s.Pairs != n/2 {
		t.Errorf("ended as %+v", s)
	}
	cs := w.open(store.CaseDuplicate)
	if len(cs) != n/2 {
		t.Fatalf("%d cases", len(cs))
	}
	w.decide(cs[0].ID, change.ChoiceDifferent)
	w.decide(cs[1].ID, change.ChoiceSame)
	decided := map[string]int{}
	var last store.DuplicatePair
	for range n { // page by page
		page, err := store.DuplicatePairs(ctx, w.pool, s.ID, last, 1)
		if w.ok(err); len(page) == 0 {
			break
		}
		if last.EntityID != "" && page[0].Score > last.Score {
			t.Errorf("%v comes after %v", page[0], last)
		}
		last = page[0]
		decided[last.Decision]++
	}
	if decided["different"] != 1 || decided["same"] != 1 || decided["ask"] != n/2-2 {
		t.Errorf("what became of them: %v", decided)
	}

	s = start(true)
	if s, err = w.a.CancelScan(ctx, s.ID, w.cause(ops, change.FromCase)); err != nil || s.Status != "cancelled" || s.EndedBy == "" {
		t.Errorf("cancelled: %+v, %v", s, err)
	}
	if s, err = w.a.RunScan(ctx, s.ID, at, 0, nil); err != nil || s.Compared != 0 {
		t.Errorf("it goes on all the same: %+v, %v", s, err)
	}
	if _, err = w.a.CancelScan(ctx, s.ID, w.cause(ops, change.FromCase)); domain.CodeOf(err) != domain.Conflict {
		t.Errorf("cancelled twice: %v", err)
	}
	if _, err = w.a.CancelScan(ctx, "scan_none", w.cause(ops, change.FromCase)); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("cancelled what is not: %v", err)
	}
}
