package ownership_test

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/ownership"
)

// drawContributions draws records of one entity, each with an id of its own; values, echoes and deletions at random.
func drawContributions(t *rapid.T) []ownership.Contribution {
	ki, _ := domain.KindCustomer.Info()
	ids := rapid.SliceOfNDistinct(rapid.IntRange(1, 120), 0, 6, rapid.ID[int]).Draw(t, "ids")
	var cs []ownership.Contribution
	for _, id := range ids {
		c := ownership.Contribution{
			System:     rapid.SampledFrom([]string{"crm", "accounting", "ops"}).Draw(t, "system"),
			ExternalID: fmt.Sprint(id), Values: domain.Values{}, Echo: map[domain.Field]bool{},
			Deleted: rapid.IntRange(0, 3).Draw(t, "deleted") == 0,
		}
		for _, fi := range ki.Fields {
			v := rapid.SampledFrom([]domain.Value{"", domain.Null, `"a"`, `"b"`}).Draw(t, "value")
			if fi.Name == ki.StageField && !v.Empty() {
				v = domain.TextValue(rapid.SampledFrom(ki.Stages).Draw(t, "stage"))
			}
			c.Values[fi.Name] = v
			c.Echo[fi.Name] = rapid.Bool().Draw(t, "echo")
		}
		cs = append(cs, c)
	}
	return cs
}

// In whatever order records are known, the entity is the same.
func TestResolveDoesNotDependOnOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		kp := parse(t, drawPolicy(t)).Kind(domain.KindCustomer)
		cs := drawContributions(t)
		pins := domain.Values{}
		if rapid.Bool().Draw(t, "pin?") {
			pins["abn"] = rapid.SampledFrom([]domain.Value{"", domain.Null, `"pinned"`}).Draw(t, "pin")
		}
		given := slices.Clone(cs)
		want := ownership.Resolve(kp, cs, pins)
		if !reflect.DeepEqual(cs, given) {
			t.Fatal("Resolve changed its arguments")
		}
		if got := ownership.Resolve(kp, rapid.Permutation(cs).Draw(t, "order"), pins); !reflect.DeepEqual(got, want) {
			t.Fatalf("another order resolves to\n%+v\nnot\n%+v", got, want)
		}
	})
}

// Each golden value is what the rules of selection say, and says truthfully where it is from.
func TestResolveFollowsRules(t *testing.T) {
	t.Parallel()
	ki, _ := domain.KindCustomer.Info()
	rapid.Check(t, func(t *rapid.T) {
		kp := parse(t, drawPolicy(t)).Kind(domain.KindCustomer)
		cs := drawContributions(t)
		pins := domain.Values{"email": `"pinned"`}
		res := ownership.Resolve(kp, cs, pins)
		if len(res.Fields) != len(ki.Fields) || res.Stage != res.Fields[ki.StageField].Value.Text() {
			t.Fatalf("%d fields at stage %q", len(res.Fields), res.Stage)
		}
		speaks := ownership.Primary(cs)
		for _, c := range cs {
			if p := speaks[c.System]; p.Deleted && !c.Deleted {
				t.Fatalf("deleted %s speaks for %s although %s is alive", p.ExternalID, c.System, c.ExternalID)
			}
		}
		for f, g := range res.Fields {
			stage := res.Stage
			if f == ki.StageField {
				stage = ""
			}
			rule := kp.Rule(f, stage)
			owners := speaks[rule.Owner].Values[f]
			src := speaks[g.System]
			switch {
			case g.Owner != rule.Owner:
				t.Fatalf("%s: owner %q, rule %+v", f, g.Owner, rule)
			case f == "email":
				if g.Why != ownership.ByPin || g.Value != `"pinned"` || g.System != "" {
					t.Fatalf("%s is pinned and is %+v", f, g)
				}
			case !owners.Empty():
				if g.Why != ownership.ByOwner || g.Value != owners || g.System != rule.Owner || g.ExternalID != src.ExternalID {
					t.Fatalf("%s: the owner has %s, golden is %+v", f, owners, g)
				}
			case g.Why == ownership.ByFallback:
				if g.System == rule.Owner || !slices.Contains(rule.Fallback, g.System) || src.Echo[f] || g.Value != src.Values[f] || g.Value.Empty() {
					t.Fatalf("%s: %+v from %+v by %+v", f, g, src, rule)
				}
				for _, s := range rule.Fallback[:slices.Index(rule.Fallback, g.System)] {
					if c, ok := speaks[s]; ok && s != rule.Owner && !c.Values[f].Empty() && !c.Echo[f] {
						t.Fatalf("%s: %s was passed over for %+v", f, s, g)
					}
				}
			default:
				if g.Why != ownership.ByNobody || g.Value != domain.Null || g.System != "" {
					t.Fatalf("%s: %+v", f, g)
				}
				for _, s := range rule.Fallback {
					if c, ok := speaks[s]; ok && s != rule.Owner && !c.Values[f].Empty() && !c.Echo[f] {
						t.Fatalf("%s: %s has %s and was not asked", f, s, c.Values[f])
					}
				}
			}
		}
	})
}
