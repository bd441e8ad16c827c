package change_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

var jo = change.Cause{Actor: "Jo", CorrelationID: "cor_jo"}

// timeline returns what was done with a case, as "action by actor: note".
func (w *world) timeline(id string) (lines []string) {
	w.tb.Helper()
	es, err := store.CaseEvents(ctx, w.pool, []string{id})
	w.ok(err)
	for _, e := range es {
		lines = append(lines, e.Action+" by "+e.Actor+": "+e.Note)
	}
	return lines
}

// news counts the events that subscribers get of a case.
func (w *world) news(id string) (n int) {
	w.tb.Helper()
	w.ok(w.pool.QueryRow(ctx, "SELECT count(*) FROM feed WHERE topic = 'case' AND key = $1", id).Scan(&n))
	return n
}

// A case is given to somebody, talked about, left to rest, comes back by itself, and is decided: all of it is in its timeline
// and told to subscribers.
func TestCaseWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	conflicting(w)
	id := w.one(store.CaseConflict).ID
	c, err := w.a.AssignCase(ctx, id, " Kim ", jo)
	w.ok(err)
	if c.Assignee != "Kim" {
		t.Errorf("assigned to %q", c.Assignee)
	}
	_, err = w.a.CommentCase(ctx, id, "I have asked Ant about it", jo)
	w.ok(err)
	now := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	later := now.Add(24 * time.Hour)
	if _, err := w.a.SnoozeCase(ctx, id, now, now, jo); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("a rest until now: %v", err)
	}
	_, err = w.a.SnoozeCase(ctx, id, now, later, jo)
	w.ok(err)

	awake, kim := false, "Kim"
	list := func(at time.Time) int {
		cs, err := store.ListCases(ctx, w.pool, store.CaseFilter{Status: "open", Snoozed: &awake, Assignee: &kim, Now: at}, nil, "", 10)
		w.ok(err)
		return len(cs)
	}
	if list(now) != 0 || list(later) != 1 {
		t.Errorf("%d cases while it rests, %d after", list(now), list(later))
	}
	counts, err := store.CaseCounts(ctx, w.pool, store.CaseFilter{Status: "open", Now: now})
	w.ok(err)
	if len(counts) != 1 || counts[0].Count != 1 || counts[0].Snoozed != 1 {
		t.Errorf("counts %+v", counts)
	}
	for at, want := range map[time.Time]int64{now: 0, later.Add(-time.Second): 0} {
		if n, err := store.WakeCases(ctx, w.pool, at); err != nil || n != want {
			t.Errorf("woke %d at %s (%v)", n, at, err)
		}
	}
	before := w.news(id)
	if n, err := store.WakeCases(ctx, w.pool, later); err != nil || n != 1 || w.news(id) != before+1 {
		t.Errorf("woke %d, %d news (%v)", n, w.news(id)-before, err)
	}
	if n, err := store.WakeCases(ctx, w.pool, later); err != nil || n != 0 {
		t.Errorf("woke %d once more (%v)", n, err)
	}
	_, err = w.a.SnoozeCase(ctx, id, now, later, jo)
	w.ok(err)
	_, err = w.a.Decide(ctx, change.Decision{CaseID: id, Choice: change.ChoiceAccept, Comment: "Ant says so", Cause: jo})
	w.ok(err)
	want := []string{"opened by datum: ", "assigned by Jo: to Kim", "commented by Jo: I have asked Ant about it", "snoozed by Jo: until 2026-11-29T09:00:00Z",
		"woke by datum: its rest is over", "snoozed by Jo: until 2026-11-29T09:00:00Z", "resolved by Jo: accept: Ant says so"}
	got := w.timeline(id)
	if len(got) != len(want) {
		t.Fatalf("timeline %q", got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("timeline has %q, not %q", got[i], want[i])
		}
	}
	if n := w.news(id); n != 7 {
		t.Errorf("%d news of 7 things that were done", n)
	}
	if c, err := store.CaseByID(ctx, w.pool, id, false); err != nil || c.SnoozedUntil != nil {
		t.Errorf("a decided case rests until %v (%v)", c.SnoozedUntil, err)
	}
	for name, err := range map[string]error{
		"assigned": second(w.a.AssignCase(ctx, id, "Kim", jo)), "snoozed": second(w.a.SnoozeCase(ctx, id, now, later, jo)),
	} {
		if domain.CodeOf(err) != domain.Conflict {
			t.Errorf("a decided case was %s: %v", name, err)
		}
	}
	if _, err := w.a.CommentCase(ctx, id, "it was right", jo); err != nil {
		t.Errorf("a comment afterwards: %v", err)
	}
	if _, err := w.a.CommentCase(ctx, "case_none", "hello", jo); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("a comment on nothing: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }

// What a rule covers is answered at once, with a trace that says so, and only that; when the rule is gone it is asked again.
func TestCaseRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	w.pair(1, values("legalName", "Roo Pty Ltd", "email", "a@roo.example.com", "tradingName", "Roo"))
	w.pair(2, values("legalName", "Emu Pty Ltd", "email", "a@emu.example.com"))
	w.change(accounting, "x1", values("email", "noreply@roo.example.com"))
	first := w.one(store.CaseConflict)
	_, err := w.a.Decide(ctx, change.Decision{CaseID: first.ID, Choice: change.ChoiceKeepOurs, Always: true, Cause: jo})
	if domain.CodeOf(err) != domain.Invalid {
		t.Errorf("a rule to keep ours: %v", err)
	}
	_, err = w.a.Decide(ctx, change.Decision{CaseID: first.ID, Choice: change.ChoiceIgnore, Always: true, Pattern: "noreply@*", Comment: "a robot's", Cause: jo})
	w.ok(err)
	w.none("")
	w.quietly("reading what was ignored", func() { w.change(accounting, "x1", nil); w.change(crm, "h1", nil) })

	w.change(accounting, "x2", values("email", "noreply@emu.example.com"))
	w.none("")
	w.quietly("reading what the rule has answered", func() { w.change(accounting, "x2", nil); w.change(crm, "h2", nil) })
	w.work(w.faithful)
	w.shows(accounting, "x2", "email", text("noreply@emu.example.com")) // ignored: each keeps its own
	rules, err := store.CaseRules(ctx, w.pool, false)
	w.ok(err)
	if len(rules) != 1 || rules[0].Used != 1 || rules[0].LastUsed == nil || rules[0].CreatedBy != "Jo" || rules[0].Field != "email" || rules[0].System != accounting {
		t.Fatalf("rules %+v", rules)
	}
	byRule, err := store.ListCases(ctx, w.pool, store.CaseFilter{RuleID: rules[0].ID}, nil, "", 10)
	w.ok(err)
	if len(byRule) != 1 || byRule[0].Status != "resolved" || byRule[0].ResolvedBy != "rule "+rules[0].ID || byRule[0].ID == first.ID {
		t.Fatalf("answered by rule: %+v", byRule)
	}
	if got := w.timeline(byRule[0].ID); len(got) != 2 || got[1] != "resolved by rule "+rules[0].ID+": ignored, as the rule says" {
		t.Errorf("timeline %q", got)
	}
	if w.news(byRule[0].ID) == 0 {
		t.Error("subscribers were not told of what a rule has answered")
	}

	// Another value, another system's edit, another kind of case: a person is asked.
	w.change(accounting, "x2", values("email", "emu@noreply.example.com"))
	w.one(store.CaseConflict)
	w.change(accounting, "x2", values("email", "noreply@emu.example.com"))
	unusable(w, accounting, "x1")
	w.one(store.CaseInvalid)

	w.ok(w.a.RemoveCaseRule(ctx, rules[0].ID, jo))
	if err := w.a.RemoveCaseRule(ctx, rules[0].ID, jo); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("removed again: %v", err)
	}
	w.change(accounting, "x2", nil)
	if cs := w.open(store.CaseConflict); len(cs) != 1 || cs[0].Detail.Theirs != text("noreply@emu.example.com") {
		t.Errorf("after the rule: %+v", cs)
	}
	if rules, err := store.CaseRules(ctx, w.pool, true); err != nil || len(rules) != 1 || rules[0].RemovedBy != "Jo" {
		t.Errorf("rules that held once: %+v (%v)", rules, err)
	}
}

// A rule that ignores can be made of every kind of case that has that choice, but for those that must be looked at each time; what a
// choice says about that is so, and the next case like it is answered.
func TestRulesByKind(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.see(crm, "h1", values("legalName", "Emu Pty Ltd")).EntityID
	queue := func(kind, key string) string {
		t.Helper()
		c := store.Case{ID: domain.NewID("case"), Kind: kind, EntityKind: customer, EntityID: id, System: crm, ExternalID: "h1", Field: "email", Title: "x", DedupeKey: key,
			Detail: store.CaseDetail{Theirs: text("robot@emu.example.com"), Message: "of a robot"}}
		b := &pgx.Batch{}
		store.QueueCase(b, c)
		w.ok(w.pool.SendBatch(ctx, b).Close())
		return c.ID
	}
	none := []string{store.CaseDuplicate, store.CaseMassChange, store.CaseReauth}
	for _, kind := range store.CaseKinds {
		c, err := store.CaseByID(ctx, w.pool, queue(kind, kind+"|first"), false)
		w.ok(err)
		can := false
		for _, x := range change.Offered(c) {
			can = can || x.CanRemember(c)
			if x.CanRemember(c) != (x.Name == change.ChoiceIgnore && !slices.Contains(none, kind)) {
				t.Errorf("%s: %s can be remembered: %v", kind, x.Name, x.CanRemember(c))
			}
		}
		_, err = w.a.Decide(ctx, change.Decision{CaseID: c.ID, Choice: change.ChoiceIgnore, Always: true, Pattern: "*", Cause: jo})
		if can != (err == nil) || err != nil && domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%s: a rule can be made: %v, and was: %v", kind, can, err)
		}
		next, err := store.CaseByID(ctx, w.pool, queue(kind, kind+"|second"), false)
		if w.ok(err); (next.Status == "resolved") != can {
			t.Errorf("%s: the next one is %s", kind, next.Status)
		}
	}
}

// Drift of paths like one is ignored by rule, and what a rule has ignored is not held up; without the rule it is asked again.
func TestDriftRule(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	see := func(id string, unknown ...string) {
		w.clock++
		rec := w.record(id, w.clock, w.shelf.carried(crm, values("legalName", id)))
		rec.Unknown = unknown
		w.apply(crm, rec, change.FromPoll)
	}
	see("h1", "cf_colour")
	_, err := w.a.Decide(ctx, change.Decision{CaseID: w.one(store.CaseDrift).ID, Choice: change.ChoiceIgnore, Always: true, Pattern: "cf_*", Cause: jo})
	w.ok(err)
	see("h2", "cf_shape")
	w.none(store.CaseDrift)
	status := func() (s string) {
		w.ok(w.pool.QueryRow(ctx, "SELECT status FROM drifts WHERE path = 'cf_shape'").Scan(&s))
		return s
	}
	if s := status(); s != store.DriftIgnored {
		t.Errorf("the drift is %s", s)
	}
	see("h2", "cf_shape", "shape")
	if c := w.one(store.CaseDrift); c.Field != "shape" {
		t.Errorf("asked about %s", c.Field)
	}
	rules, err := store.CaseRules(ctx, w.pool, false)
	w.ok(err)
	w.ok(w.a.RemoveCaseRule(ctx, rules[0].ID, jo))
	if s := status(); s != store.DriftOpen {
		t.Errorf("without the rule the drift is %s", s)
	}
	see("h3", "cf_shape")
	if n := len(w.open(store.CaseDrift)); n != 2 {
		t.Errorf("%d cases without the rule", n)
	}
}

// A pattern is what it says: only * is special, in whatever is compared.
func TestCaseRulePatterns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	for i, c := range []struct {
		pattern, says string
		want          bool
	}{
		{"", "anything", true}, {"*", "", true}, {"period is locked", "period is locked", true}, {"period is locked", "the period is locked", false},
		{"*locked*", "the period is locked until June", true}, {"100%", "1000", false}, {"100%", "100%", true}, {"a_b", "axb", false}, {"a_b", "a_b", true},
		{`a\b`, `a\b`, true}, {`a\*`, `a\anything`, true}, {"*x*y*", "1x2y3", true}, {"*x*y*", "1y2x3", false},
	} {
		b := &pgx.Batch{}
		kind := fmt.Sprintf("kind %d", i)
		store.QueueCaseRule(b, store.CaseRule{ID: fmt.Sprintf("rule_%d", i), Kind: kind, Pattern: c.pattern, CreatedBy: "Jo"})
		store.QueueCase(b, store.Case{ID: kind, Kind: kind, DedupeKey: kind, Title: "x", Detail: store.CaseDetail{Message: c.says}})
		w.ok(w.pool.SendBatch(ctx, b).Close())
		got, err := store.CaseByID(ctx, w.pool, kind, false)
		w.ok(err)
		if (got.Status == "resolved") != c.want {
			t.Errorf("%q against %q: %s", c.pattern, c.says, got.Status)
		}
	}
}

// Rules that would hide too much, or what must be looked at each time, are refused.
func TestRulesThatHideTooMuch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	refused(w)
	c := w.one(store.CaseRefused)
	for _, pattern := range []string{"", "*", " ** "} {
		_, err := w.a.Decide(ctx, change.Decision{CaseID: c.ID, Choice: change.ChoiceIgnore, Always: true, Pattern: pattern, Cause: jo})
		if domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), "the telephone number is not one") {
			t.Errorf("pattern %q: %v", pattern, err)
		}
	}
	other := newWorld(t, ownership.DefaultSource())
	twice(other)
	_, err := other.a.Decide(ctx, change.Decision{CaseID: other.one(store.CaseDuplicate).ID, Choice: change.ChoiceDifferent, Always: true, Pattern: "x", Cause: jo})
	if domain.CodeOf(err) != domain.Invalid {
		t.Errorf("a rule about duplicates: %v", err)
	}
	_, err = w.a.Decide(ctx, change.Decision{CaseID: c.ID, Choice: change.ChoiceIgnore, Always: true, Pattern: "*telephone*", Cause: jo})
	w.ok(err)
	id := w.pair(3, values("legalName", "Cub Pty Ltd", "phone", "+61390000001"))
	w.change(crm, "h3", values("phone", "+61390000009"))
	w.refuse(accounting, "this telephone number is not one either")
	w.none(store.CaseRefused)
	w.isAt(id, accounting, store.Refused) // it is ignored, not forgotten
}

// Many cases are decided at once, each by itself: one that cannot be decided spoils none of the others and is named.
func TestDecideMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	var ids []string
	for i := 1; i <= 4; i++ {
		w.pair(i, values("legalName", fmt.Sprintf("Owl %d Pty Ltd", i), "email", fmt.Sprintf("a@owl%d.example.com", i)))
		w.change(accounting, fmt.Sprintf("x%d", i), values("email", fmt.Sprintf("b@owl%d.example.com", i)))
	}
	for _, c := range w.open(store.CaseConflict) {
		ids = append(ids, c.ID)
	}
	conflicts := store.CaseFilter{Kind: store.CaseConflict, System: accounting}
	for _, n := range []int{0, 3, 5} {
		if _, err := w.a.MatchingCases(ctx, conflicts, n); domain.CodeOf(err) != domain.Conflict || !strings.Contains(err.Error(), "4 open cases") {
			t.Errorf("%d expected: %v", n, err)
		}
	}
	matching, err := w.a.MatchingCases(ctx, conflicts, 4)
	w.ok(err)
	slices.Sort(matching)
	slices.Sort(ids)
	if !slices.Equal(matching, ids) {
		t.Fatalf("%v match, not %v", matching, ids)
	}
	w.decide(ids[1], change.ChoiceKeepOurs) // somebody was faster
	out, err := w.a.DecideMany(ctx, append(ids, "case_none"), change.Decision{Choice: change.ChoiceAccept, Cause: jo})
	w.ok(err)
	for i, o := range out {
		want := map[int]domain.Code{1: domain.Conflict, 4: domain.NotFound}[i]
		if domain.CodeOf(o.Err) != want {
			t.Errorf("%d: %v", i, o.Err)
		}
	}
	w.none("")
	w.work(w.faithful)
	for i := 1; i <= 4; i++ {
		letter := "b"
		if w.byTag(i, ids[1]) {
			letter = "a"
		}
		w.shows(crm, fmt.Sprintf("h%d", i), "email", text(fmt.Sprintf("%s@owl%d.example.com", letter, i)))
		w.shows(accounting, fmt.Sprintf("x%d", i), "email", text(fmt.Sprintf("%s@owl%d.example.com", letter, i)))
	}
	if _, err := w.a.DecideMany(ctx, make([]string, change.MostAtOnce+1), change.Decision{Choice: change.ChoiceAccept, Cause: jo}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("too many: %v", err)
	}
}

// byTag reports whether the case is about the customer with the tag.
func (w *world) byTag(tag int, caseID string) bool {
	c, err := store.CaseByID(ctx, w.pool, caseID, false)
	w.ok(err)
	return w.stored(crm, fmt.Sprintf("h%d", tag)).EntityID == c.EntityID
}
