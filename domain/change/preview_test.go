package change_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// happened is what a decision does, in a form that can be compared.
type happened struct {
	Golden, Writes, Opens, Ends []string
}

func (w *world) goldens() map[string]domain.Values {
	all := map[string]domain.Values{}
	for _, e := range w.entities() {
		all[e.ID] = e.Golden
	}
	return all
}

// foretold previews a decision, makes it, and checks that what happens is what was foretold. It returns false if both refuse.
func (w *world) foretold(d change.Decision) bool {
	w.tb.Helper()
	var p change.Preview
	var refused error
	w.quietly("a preview", func() { p, refused = w.a.Preview(ctx, d) })
	var want, got happened
	before, open := w.goldens(), w.open("")
	w.bell.take()
	if _, err := w.a.Decide(ctx, d); (err == nil) != (refused == nil) {
		w.tb.Fatalf("%s: the preview says %v, the decision %v", d.Choice, refused, err)
	} else if err != nil {
		return false
	}
	for _, g := range p.Golden {
		want.Golden = append(want.Golden, fmt.Sprint(g.EntityID, g.Field, orNull(g.From), orNull(g.To)))
	}
	for id, now := range w.goldens() {
		then, known := before[id]
		if !known {
			id = ""
		}
		for _, f := range slices.Sorted(maps.Keys(now)) {
			if !same(then[f], now[f]) {
				got.Golden = append(got.Golden, fmt.Sprint(id, f, orNull(then[f]), orNull(now[f])))
			}
		}
	}
	for _, c := range p.Opens {
		want.Opens = append(want.Opens, c.Kind+" "+c.Title) // the key may hold the id of a new entity
	}
	for _, c := range p.Ends {
		want.Ends = append(want.Ends, c.ID)
	}
	after := w.open("")
	has := func(cs []store.Case, id string) bool {
		return slices.ContainsFunc(cs, func(c store.Case) bool { return c.ID == id })
	}
	for _, c := range after {
		if !has(open, c.ID) {
			got.Opens = append(got.Opens, c.Kind+" "+c.Title)
		}
	}
	for _, c := range open {
		if !has(after, c.ID) {
			got.Ends = append(got.Ends, c.ID)
		}
	}
	for _, x := range p.Writes {
		want.Writes = append(want.Writes, fmt.Sprint(x.System, x.EntityID, x.ExternalID, written(x.Values)))
	}
	woken := w.bell.take()
	for _, x := range woken {
		pr := w.projection(x.EntityID, x.System)
		if pr.Status != store.Pending {
			continue // it was held back after all
		}
		id := x.EntityID
		if _, known := before[id]; !known {
			id = ""
		}
		if line := fmt.Sprint(x.System, id, pr.ExternalID, written(pr.Diff)); !slices.Contains(got.Writes, line) {
			got.Writes = append(got.Writes, line)
		}
	}
	for _, h := range []*happened{&want, &got} {
		for _, l := range []*[]string{&h.Golden, &h.Writes, &h.Opens, &h.Ends} {
			slices.Sort(*l)
		}
	}
	if fmt.Sprint(want) != fmt.Sprint(got) {
		w.tb.Fatalf("%s: foretold\n%v\nbut it was\n%v", d.Choice, want, got)
	}
	w.expect = p.Writes
	return true
}

// written is what a write sets, to be compared.
func written(v domain.Values) string { return string(domain.ValueOf(v)) }

// workAsForetold lets the workers write what is pending, and checks that it is what the last preview said and nothing else.
func (w *world) workAsForetold() {
	w.tb.Helper()
	var want, got []string
	for _, x := range w.expect {
		want = append(want, x.System+" "+written(x.Values))
	}
	w.work(func(system string, before, sent domain.Values) domain.Values {
		got = append(got, system+" "+written(sent))
		return w.faithful(system, before, sent)
	})
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		w.tb.Fatalf("foretold were the writes\n%v\nwritten was\n%v", want, got)
	}
}

func orNull(v domain.Value) domain.Value {
	if v.Empty() {
		return domain.Null
	}
	return v
}

// Whatever the state of the world and whatever is decided: what happens is what the preview said.
func TestPreviewIsWhatHappens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	policies := []string{ownership.DefaultSource(),
		policyHead + "  create: [crm]\n  replicate: {accounting: always, crm: always}\n  fields:\n    email: {owner: crm, fallback: [accounting], others: propose}\n    phone: {owner: accounting, fallback: [crm], others: propose}\n"}
	decided := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		w.begin(rt, rapid.SampledFrom(policies).Draw(rt, "policy"))
		some := func(tag int) domain.Values {
			v := values("legalName", fmt.Sprintf("Newt %d Pty Ltd", tag))
			if rapid.Bool().Draw(rt, "abn") {
				v["abn"] = text(abn(tag))
			}
			for _, f := range []domain.Field{"email", "phone"} {
				switch n := rapid.IntRange(0, 3).Draw(rt, string(f)); {
				case n > 0 && f == "email":
					v[f] = text(fmt.Sprintf("m%d@newt.example.com", n))
				case n > 0:
					v[f] = text(fmt.Sprintf("+6139000000%d", n))
				}
			}
			return v
		}
		for range rapid.IntRange(1, 8).Draw(rt, "steps") {
			system, tag := rapid.SampledFrom([]string{crm, accounting}).Draw(rt, "system"), rapid.IntRange(1, 2).Draw(rt, "tag")
			id := fmt.Sprintf("%c%d", system[0], tag+rapid.IntRange(0, 1).Draw(rt, "twin")*10)
			switch rapid.IntRange(0, 5).Draw(rt, "step") {
			case 0:
				w.work(w.faithful)
			case 1:
				if p := w.projection(w.first(), accounting); p.Status == store.Pending {
					w.refuse(accounting, "no")
				}
			case 2:
				w.see(system, id, some(tag))
				unusable(w, system, id)
			default:
				w.see(system, id, some(tag))
			}
		}
		for range 6 {
			cs := w.open("")
			if len(cs) == 0 {
				return
			}
			c := rapid.SampledFrom(cs).Draw(rt, "case")
			x := rapid.SampledFrom(change.Offered(c)).Draw(rt, "choice")
			d := change.Decision{CaseID: c.ID, Choice: x.Name, Cause: change.Cause{Actor: "Jo", CorrelationID: domain.NewID("cor")}}
			if x.Value {
				ki, _ := customer.Info()
				f := c.Field
				if fs := c.Detail.Sent.Fields(); f == "" {
					f = rapid.SampledFrom(fs).Draw(rt, "field")
				}
				fi, _ := ki.Field(f)
				d.Field, d.Value = f, sample(fi, rapid.IntRange(0, 2).Draw(rt, "value"), 9)
			}
			if x.Target {
				d.TargetID = rapid.SampledFrom(append(slices.Sorted(maps.Keys(w.goldens())), domain.NewID("cus"))).Draw(rt, "target")
			}
			if w.foretold(d) {
				decided[c.Kind+" "+x.Name]++
				if rapid.Bool().Draw(rt, "work") {
					w.work(w.faithful)
				}
			}
		}
	})
	t.Logf("decided: %v", decided)
	if len(decided) < 6 {
		t.Errorf("too little was decided to prove anything: %v", decided)
	}
}

// first returns the id of the first entity, "" if there is none.
func (w *world) first() string {
	es := w.entities()
	if len(es) == 0 {
		return ""
	}
	return es[0].ID
}
