package change_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// step is something that happens in the order property.
type step struct {
	system string
	rec    domain.Record // of a vendor
	final  bool
	who    int           // the customer
	edit   domain.Values // through the API for ops
}

// drawSteps draws customers that are known in both vendor systems, in one of them, with older versions of their records,
// and what ops says of them.
func drawSteps(t *rapid.T, w *world) []step {
	ki, _ := customer.Info()
	var steps []step
	for who := range rapid.IntRange(1, 3).Draw(t, "customers") {
		keyed := domain.Values{"abn": text(abn(who + 1))}
		if rapid.Bool().Draw(t, "by e-mail and name") {
			keyed = domain.Values{"email": text(fmt.Sprintf("c%d@example.com", who)), "legalName": text(fmt.Sprintf("Customer %d Pty Ltd", who))}
		}
		draw := func(label string, choices ...int) domain.Values {
			v := domain.Values{}
			for _, fi := range ki.Fields {
				if n := rapid.SampledFrom(choices).Draw(t, label); n >= 0 {
					v[fi.Name] = sample(fi, n, who)
				}
			}
			// The keys are unambiguous: nobody else has them, and every version of a record has them.
			delete(v, "abn")
			return with(v, keyed)
		}
		for _, system := range []string{crm, accounting} {
			if system == accounting && rapid.IntRange(0, 3).Draw(t, "only in crm") == 0 {
				continue
			}
			id := fmt.Sprintf("%s%d", system[:1], who)
			stage := rapid.SampledFrom(append([]string{""}, ki.Stages...)).Draw(t, "stage")
			// What has been overwritten since was said by nobody else, and the rules were the same: what two systems once agreed
			// about is no difference of opinion later, as it would be between systems that have never met.
			for v := range rapid.IntRange(0, 2).Draw(t, "older versions") {
				old := 10 + 10*v
				if system == accounting {
					old += 40
				}
				vals := w.shelf.carried(system, draw("old", -1, old))
				for _, fi := range ki.Fields {
					if fi.Type == domain.TypeEnum || fi.Type == domain.TypeBool || fi.Type == domain.TypeCurrency {
						delete(vals, fi.Name)
					}
				}
				if system == crm {
					vals[ki.StageField] = text(stage)
				}
				steps = append(steps, step{system: system, who: who, rec: w.record(id, 1+v, vals)})
			}
			steps = append(steps, step{system: system, who: who, final: true, rec: w.record(id, 9, w.shelf.carried(system, with(draw("now", -1, 0, 1), domain.Values{ki.StageField: text(stage)})))})
		}
		edit := domain.Values{}
		for _, f := range []domain.Field{"creditLimit", "customFields"} { // what ops owns at every stage
			if n := rapid.SampledFrom([]int{-1, 0, 1}).Draw(t, "ops"); n >= 0 {
				fi, _ := ki.Field(f)
				edit[f] = sample(fi, n, who)
			}
		}
		if len(edit) > 0 {
			steps = append(steps, step{system: ops, who: who, edit: edit})
		}
	}
	return steps
}

// play lets the steps happen. An edit of a customer that nobody has heard of yet comes when somebody has.
func (w *world) play(steps []step) {
	w.tb.Helper()
	entity := map[int]string{}
	w.clock = max(w.clock, 9)
	for queue := slices.Clone(steps); len(queue) > 0; queue = queue[1:] {
		s := queue[0]
		switch {
		case s.edit == nil:
			rec := s.rec
			rec.Values = rec.Values.Clone()
			if res := w.apply(s.system, rec, change.FromPoll); entity[s.who] == "" {
				entity[s.who] = res.EntityID
			}
		case entity[s.who] == "":
			queue = append(queue, s)
		default:
			w.edit(s.system, entity[s.who], s.edit)
		}
	}
}

// portrait describes everything that has become of the steps, without ids of ours.
func (w *world) portrait() string {
	w.tb.Helper()
	var all []string
	cases := w.open("")
	for _, e := range w.entities() {
		var b strings.Builder
		recs, err := store.RecordsOf(ctx, w.pool, []string{e.ID})
		w.ok(err)
		for _, r := range recs {
			id := r.ExternalID
			if r.System == ops {
				id = "its own"
			}
			fmt.Fprintf(&b, "%s %s held %v\n", r.System, id, r.Held)
		}
		fmt.Fprintf(&b, "stage %s\n", e.Stage)
		for _, f := range e.Golden.Fields() {
			if !e.Golden[f].Empty() {
				fmt.Fprintf(&b, "%s = %s from %s %s\n", f, e.Golden[f], e.Provenance[f].System, e.Provenance[f].Why)
			}
		}
		ps, err := store.ProjectionsOf(ctx, w.pool, []string{e.ID})
		w.ok(err)
		for _, p := range ps {
			if p.Status == store.Detached {
				continue // as good as none
			}
			fmt.Fprintf(&b, "%s is %s, to be told %s\n", p.System, p.Status, maps.Collect(maps.All(p.Diff)))
		}
		var open []string
		for _, c := range cases {
			if c.EntityID == e.ID || c.OtherID == e.ID {
				open = append(open, fmt.Sprintf("case %s %s %s: %s or %s\n", c.Kind, c.System, c.Field, c.Detail.Ours, c.Detail.Theirs))
			}
		}
		slices.Sort(open)
		all = append(all, b.String()+strings.Join(open, ""))
	}
	slices.Sort(all)
	return strings.Join(all, "--\n")
}

// Whatever the order in which records and edits come, however often they come again, and whatever older versions come with
// them: the same customers, links, golden values, open cases, and things left to write.
func TestOrderAndRepetitionDoNotMatter(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	rapid.Check(t, func(rt *rapid.T) {
		policy := ownership.DefaultSource()
		if rapid.Bool().Draw(rt, "another policy") {
			policy = drawPolicy(rt, "[crm, accounting, ops]")
		}
		w.begin(rt, policy)
		p, _, err := w.a.Policy(ctx, w.pool, 0)
		w.ok(err)
		steps := drawSteps(rt, w)
		steps = slices.DeleteFunc(steps, func(s step) bool { return !ownedAlways(p, s) })
		polite := slices.DeleteFunc(slices.Clone(steps), func(s step) bool { return s.edit == nil && !s.final })
		w.play(polite)
		want := w.portrait()

		w.begin(rt, policy)
		mixed := append(slices.Clone(steps), rapid.SliceOfN(rapid.SampledFrom(steps), 0, len(steps)).Draw(rt, "again")...)
		w.play(rapid.Permutation(mixed).Draw(rt, "order"))
		if got := w.portrait(); got != want {
			g, p := strings.Split(got, "\n"), strings.Split(want, "\n")
			rt.Fatalf("only in another order:\n%s\nonly in the polite one:\n%s", strings.Join(without(g, p), "\n"), strings.Join(without(p, g), "\n"))
		}
	})
}

func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// ownedAlways reports whether an edit by ops is of fields that it owns at every stage: what else becomes of it depends on
// what is known when it comes, as it must.
func ownedAlways(p *ownership.Policy, s step) bool {
	ki, _ := customer.Info()
	for f := range s.edit {
		for _, stage := range append([]string{""}, ki.Stages...) {
			if p.Kind(customer).Rule(f, stage).Owner != ops {
				return false
			}
		}
	}
	return true
}
