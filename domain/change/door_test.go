package change_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

const policyHead = `systems: {crm: hubspot, accounting: xero, ops: native}
Customer:
  owner: crm
`

// drawPolicy draws a policy: for any field, at any stage, any owner that has the field, any fallback, and any rule for others.
func drawPolicy(t *rapid.T, create string) string {
	ki, _ := customer.Info()
	s := newShelf()
	var names []domain.Field
	for _, fi := range ki.Fields {
		names = append(names, fi.Name)
	}
	rules := func(indent string, most int) string {
		var b strings.Builder
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, most, rapid.ID[domain.Field]).Draw(t, "fields") {
			fi, _ := ki.Field(name)
			owners := slices.DeleteFunc([]string{crm, accounting, ops}, func(o string) bool { return !s.carries(adapterOf[o], customer, fi.Name) })
			if fi.Name == ki.StageField && indent != "    " {
				continue
			}
			owner := rapid.SampledFrom(owners).Draw(t, "owner")
			others := rapid.SampledFrom([]string{"restore", "propose", "keep"}).Draw(t, "others")
			fallback := slices.DeleteFunc(rapid.Permutation([]string{crm, accounting, ops}).Draw(t, "fallback"), func(o string) bool { return o == owner })
			fmt.Fprintf(&b, "%s%s: {owner: %s, others: %s, fallback: [%s]}\n", indent, fi.Name, owner, others,
				strings.Join(fallback[:rapid.IntRange(0, 2).Draw(t, "fallbacks")], ", "))
		}
		return b.String()
	}
	block := func(key, body, indent string) string {
		if body == "" {
			return indent + key + ": {}\n"
		}
		return indent + key + ":\n" + body
	}
	condition := func(s string) string {
		return s + ": " + rapid.SampledFrom([]string{"always", "always", "when_billed", "never"}).Draw(t, s)
	}
	return policyHead + "  create: " + create + "\n  replicate: {" + condition(crm) + ", " + condition(accounting) + "}\n" +
		block("fields", rules("    ", len(ki.Fields)), "  ") +
		"  stages:\n" + block("PROSPECT", rules("      ", 6), "    ") + block("FORMER_CUSTOMER", rules("      ", 6), "    ")
}

// door is a way in for a system: through the API for its principals, or what its vendor is seen to say.
type door struct {
	system string
	source change.Source
}

func doors() (all []door) {
	for _, s := range []string{crm, accounting, ops} {
		all = append(all, door{s, change.FromMutation}, door{s, change.FromImport})
		if s != ops {
			all = append(all, door{s, change.FromWebhook}, door{s, change.FromPoll}, door{s, change.FromSweep})
		}
	}
	return all
}

func (d door) api() bool { return d.source == change.FromMutation || d.source == change.FromImport }

// level makes a customer at the stage that all three systems agree about in every field.
func (w *world) level(tag int, stage string) string {
	w.tb.Helper()
	v := with(full(0, tag), domain.Values{"lifecycleStage": text(stage)})
	res := w.edit(ops, "", v)
	if len(res.Refused) > 0 {
		w.tb.Fatalf("%v", res.Refused)
	}
	for _, s := range []string{crm, accounting} {
		if got := w.see(s, fmt.Sprintf("%s-%d", s, tag), v); got.EntityID != res.EntityID {
			w.tb.Fatalf("%s is linked to %s, not %s", s, got.EntityID, res.EntityID)
		}
	}
	w.work(w.faithful)
	w.none("")
	return res.EntityID
}

// try lets the door's system change one field of a level customer, and checks what the policy says must follow: the owner's
// word counts everywhere; anybody else's changes nothing and is answered, with a row in the history.
func (w *world) try(d door, id string, tag int, fi domain.FieldInfo) {
	w.tb.Helper()
	if !d.api() && !w.shelf.carries(adapterOf[d.system], customer, fi.Name) {
		return
	}
	pol, _, err := w.a.Policy(ctx, w.pool, 0)
	w.ok(err)
	kp := pol.Kind(customer)
	before := w.entity(id)
	rule := kp.Rule(fi.Name, before.Stage)
	ours, theirs := before.Golden[fi.Name], sample(fi, 1, tag)
	if theirs == ours {
		theirs = sample(fi, 2, tag)
	}
	label := fmt.Sprintf("%s through %s changes %s at stage %q, rule %+v", d.system, d.source, fi.Name, before.Stage, rule)
	fail := func(format string, args ...any) {
		w.tb.Helper()
		w.tb.Fatalf("%s: %s", label, fmt.Sprintf(format, args...))
	}
	seen := len(w.history(id))
	var res change.Result
	if d.api() {
		res, err = w.a.Edit(ctx, change.Edit{System: d.system, Kind: customer, EntityID: id, Fields: domain.Values{fi.Name: theirs}, Cause: w.cause(d.system, d.source)})
		w.ok(err)
	} else {
		w.clock++
		rec := w.record(fmt.Sprintf("%s-%d", d.system, tag), w.clock, with(w.stored(d.system, fmt.Sprintf("%s-%d", d.system, tag)).Values, domain.Values{fi.Name: theirs}))
		res = w.apply(d.system, rec, d.source)
	}
	after := w.entity(id)
	var rows []store.History
	for _, h := range w.history(id)[seen:] {
		if h.Field == fi.Name {
			rows = append(rows, h)
		}
	}
	has := func(action string) bool {
		return slices.ContainsFunc(rows, func(h store.History) bool {
			return h.Action == action && h.Source == string(d.source) && h.CorrelationID != "" && h.Actor == "system:"+d.system
		})
	}
	var conflict *store.Case
	for _, c := range w.open(store.CaseConflict) {
		if c.EntityID == id && c.System == d.system && c.Field == fi.Name {
			conflict = &c
		}
	}
	if rule.Owner == d.system && fi.Name == "status" && d.api() && d.system != ops && kp.Replicate[d.system] == ownership.Never {
		// Not taken here only: Datum does not write it where it is kept.
		if len(res.Refused) != 1 || res.Refused[0].Code != domain.Unsupported || after.Golden[fi.Name] != ours {
			fail("golden is %s; %+v", after.Golden[fi.Name], res)
		}
		return
	}
	if rule.Owner == d.system {
		if after.Golden[fi.Name] != theirs || len(res.Refused)+len(res.Proposed) > 0 || conflict != nil {
			fail("the owner says %s and golden is %s; %+v", theirs, after.Golden[fi.Name], res)
		}
		if !has(store.ActionSet) {
			fail("no history of it: %+v", rows)
		}
		for _, s := range []string{crm, accounting} {
			p := w.projection(id, s)
			writes := w.shelf.writes[adapterOf[s]][fi.Name]
			told := p.Status == store.Pending && p.Diff[fi.Name] == theirs
			if want := writes && kp.Replicate[s] != ownership.Never && (s != d.system || d.api()); told != want {
				fail("%s is told: %v, should be: %v; %+v", s, told, want, p)
			}
		}
		return
	}
	if ours.Empty() && !d.api() && slices.Contains(rule.Fallback, d.system) {
		if after.Golden[fi.Name] != theirs { // nobody had a value, and the policy asks this system then
			fail("the fallback says %s and golden is %s", theirs, after.Golden[fi.Name])
		}
		return
	}
	for f := range after.Golden {
		if after.Golden[f] != before.Golden[f] {
			fail("golden %s was %s and became %s", f, before.Golden[f], after.Golden[f])
		}
	}
	if after.Version != before.Version {
		fail("the version moved")
	}
	others := rule.Others
	switch {
	case others == ownership.Propose:
		if conflict == nil || conflict.Detail.Theirs != theirs || conflict.Detail.Owner != rule.Owner || !has(store.ActionProposed) {
			fail("case %+v, history %+v", conflict, rows)
		}
		if d.api() && (res.Proposed[fi.Name] != conflict.ID || len(res.Refused) > 0) {
			fail("the answer is %+v", res)
		}
	case d.api() && (others == ownership.Restore || d.system != ops):
		if len(res.Refused) != 1 || res.Refused[0].Code != domain.NotOwner || res.Refused[0].Owner != rule.Owner || res.Refused[0].Stage != before.Stage ||
			res.Refused[0].Field != fi.Name || res.Refused[0].System != d.system {
			fail("refused: %+v", res.Refused)
		}
		if !has(store.ActionRefused) || conflict != nil {
			fail("case %+v, history %+v", conflict, rows)
		}
	case others == ownership.Restore && !ours.Empty() && w.shelf.writes[adapterOf[d.system]][fi.Name] && kp.Replicate[d.system] != ownership.Never:
		if p := w.projection(id, d.system); p.Status != store.Pending || p.Diff[fi.Name] != ours {
			fail("the projection is %+v", p)
		}
		if !has(store.ActionRestored) || conflict != nil {
			fail("case %+v, history %+v", conflict, rows)
		}
	default: // kept, or it could not be restored, or nobody has a value to restore
		if !has(store.ActionKept) || conflict != nil {
			fail("case %+v, history %+v", conflict, rows)
		}
		if _, told := w.projection(id, d.system).Diff[fi.Name]; told && d.system != ops {
			fail("it is written over: %+v", w.projection(id, d.system))
		}
	}
	if others == ownership.Propose {
		if _, told := w.projection(id, d.system).Diff[fi.Name]; told {
			fail("it is written over before anybody has decided: %+v", w.projection(id, d.system))
		}
	}
}

// fieldsToTry has the stage at the end: with it the rules change.
func fieldsToTry() []domain.FieldInfo {
	ki, _ := customer.Info()
	fs := slices.DeleteFunc(slices.Clone(ki.Fields), func(fi domain.FieldInfo) bool { return fi.Name == ki.StageField })
	stage, _ := ki.Field(ki.StageField)
	return append(fs, stage)
}

// Every system, every field, every stage, every door, under the policy that comes with Datum.
func TestOnlyOwnersChangeFields(t *testing.T) {
	t.Parallel()
	ki, _ := customer.Info()
	for i, d := range doors() {
		t.Run(d.system+"/"+string(d.source), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ownership.DefaultSource())
			for j, stage := range append([]string{""}, ki.Stages...) {
				tag := 10*i + j + 1
				id := w.level(tag, stage)
				for _, fi := range fieldsToTry() {
					w.try(d, id, tag, fi)
				}
				for _, c := range w.open("") { // the next customer starts without
					w.decide(c.ID, change.ChoiceKeepOurs)
				}
				w.work(w.faithful)
			}
		})
	}
}

// The same under any policy.
func TestOnlyOwnersChangeFieldsUnderAnyPolicy(t *testing.T) {
	t.Parallel()
	ki, _ := customer.Info()
	w := newWorld(t, ownership.DefaultSource())
	rapid.Check(t, func(rt *rapid.T) {
		w.begin(rt, drawPolicy(rt, "[crm, accounting, ops]"))
		stage := rapid.SampledFrom(append([]string{""}, ki.Stages...)).Draw(rt, "stage")
		d := rapid.SampledFrom(doors()).Draw(rt, "door")
		id := w.level(1, stage)
		for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(ki.Fields)-1), 1, 4, rapid.ID[int]).Draw(rt, "fields") {
			if fi := ki.Fields[n]; fi.Name != ki.StageField {
				w.try(d, id, 1, fi)
			}
		}
		if rapid.Bool().Draw(rt, "stage too") {
			fi, _ := ki.Field(ki.StageField)
			w.try(d, id, 1, fi)
		}
	})
}
