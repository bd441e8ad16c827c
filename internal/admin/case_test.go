package admin_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

func TestCases(t *testing.T) {
	t.Parallel()
	a, out := setup(t)
	ctx := t.Context()
	run := func(args ...string) string {
		t.Helper()
		before := len(out.String())
		must(t, a.Case(ctx, args))
		return out.String()[before:]
	}
	propose := func(id, name string) string {
		t.Helper()
		res, err := a.Engine.Applier().Edit(ctx, change.Edit{System: "ops", Kind: domain.KindCustomer, EntityID: id, Fields: domain.Values{"legalName": domain.TextValue(name)},
			Cause: change.Cause{Actor: "app", Source: change.FromMutation}})
		must(t, err)
		return res.Proposed["legalName"]
	}
	var ids, cases []string
	for i := range 3 {
		res, err := a.Engine.Applier().Record(ctx, change.Incoming{System: "crm", Cause: change.Cause{Actor: "system:crm", Source: change.FromPoll}, Record: domain.Record{
			Kind: domain.KindCustomer, ExternalID: fmt.Sprint(i), Values: domain.Values{"legalName": domain.TextValue(fmt.Sprintf("Fern %d Pty Ltd", i))}}})
		must(t, err)
		ids = append(ids, res.EntityID)
		cases = append(cases, propose(res.EntityID, fmt.Sprintf("Fern %d Holdings Pty Ltd", i)))
	}

	for _, args := range [][]string{{"list", "--kind", "bogus"}, {"list", "--status", "bogus"}} {
		if err := a.Case(ctx, args); domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), "open") && !strings.Contains(err.Error(), "conflict") {
			t.Errorf("%v: %v", args, err)
		}
	}
	if s := run("list", "--kind", "conflict,stuck", "--system", "ops", "--field", "legalName", "--assignee", "nobody"); strings.Count(s, "case_") != 3 || !strings.Contains(s, "Fern 0 Pty Ltd") {
		t.Errorf("list: %s", s)
	}
	if s := run("list", "--json", "--limit", "2"); strings.Count(s, "\n") != 2 || !json.Valid([]byte(strings.SplitN(s, "\n", 2)[0])) {
		t.Errorf("list as JSON: %s", s)
	}
	s := run("show", cases[0])
	for _, want := range []string{"Fern 0 Holdings Pty Ltd", "accounting", "PROPOSED FOR OPS", "nothing waits", "accept", "pin --value V", "opened"} {
		if !strings.Contains(s, want) {
			t.Errorf("show lacks %q: %s", want, s)
		}
	}
	if s := run("show", cases[0], "--json"); !json.Valid([]byte(s)) {
		t.Errorf("show as JSON: %s", s)
	}
	if s := run("assign", cases[0], "kim"); !strings.Contains(s, "with kim") {
		t.Errorf("assign: %s", s)
	}
	run("comment", cases[0], "asked them")
	if s := run("snooze", cases[0], "3d"); !strings.Contains(s, "rests until") {
		t.Errorf("snooze: %s", s)
	}
	if s := run("list"); strings.Contains(s, cases[0]) {
		t.Errorf("what rests is listed: %s", s)
	}
	if s := run("list", "--snoozed"); !strings.Contains(s, cases[0]) || strings.Contains(s, cases[1]) {
		t.Errorf("what rests: %s", s)
	}
	run("snooze", cases[0], "never")

	s = run("resolve", cases[0], "pin", "--value", "Ferns Pty Ltd", "--dry-run")
	if !strings.Contains(s, "legalName Fern 0 Pty Ltd -> Ferns Pty Ltd") || !strings.Contains(s, "ends conflict") {
		t.Errorf("dry run: %s", s)
	}
	if c, err := store.CaseByID(ctx, a.Pool, cases[0], false); err != nil || c.Status != "open" {
		t.Errorf("a dry run decided: %v (%v)", c.Status, err)
	}
	run("resolve", cases[0], "pin", "--value", "Ferns Pty Ltd", "--comment", "they say so")
	es, err := store.Entities(ctx, a.Pool, ids[:1])
	must(t, err)
	if es[0].Golden["legalName"] != domain.TextValue("Ferns Pty Ltd") {
		t.Errorf("resolved: %v", es[0].Golden)
	}
	if s := run("show", cases[0]); !strings.Contains(s, "pin: they say so") || !strings.Contains(s, "asked them") || !strings.Contains(s, "command line") {
		t.Errorf("timeline: %s", s)
	}

	for _, args := range [][]string{{"resolve", "--all", "ignore"}, {"resolve", "--all", "--count", "3", "ignore"}, {"resolve", cases[0], "accept"}, {"resolve", cases[1], cases[0], "accept", "--dry-run"},
		{"resolve", "accept"}, {"snooze", cases[1], "soon"}, {"snooze", cases[1], "2001-01-01"}, {"rules", "remove", "rule_none"}, {"show"}, {"sing"}, {}, {"show", "case_none"}} {
		if err := a.Case(ctx, args); err == nil {
			t.Errorf("%v was taken", args)
		}
	}
	run("resolve", "--all", "--count", "2", "--kind", "conflict", "ignore", "--always", "--pattern", "Fern*Holdings*")
	propose(ids[1], "Fern 8 Holdings Pty Ltd")
	if s := run("list"); strings.Contains(s, "case_") {
		t.Errorf("a rule does not hold: %s", s)
	}
	s = run("rules")
	rule := strings.Fields(strings.Split(s, "\n")[1])[0]
	if !strings.HasPrefix(rule, "rule_") || !strings.Contains(s, `that says "Fern*Holdings*"`) {
		t.Fatalf("rules: %s", s)
	}
	run("rules", "remove", rule)
	if s := run("rules", "--json"); s != "" {
		t.Errorf("rules that hold: %s", s)
	}
	if s := run("rules", "--all"); !strings.Contains(s, rule) {
		t.Errorf("rules that held: %s", s)
	}
}
