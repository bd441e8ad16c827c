package domain_test

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"datum/domain"
)

// TestTotals: the total does not depend on the order, and any change of any value changes it.
func TestTotals(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		field := rapid.SampledFrom([]domain.Field{"legalName", "abn", "email", "phone"})
		value := rapid.Custom(func(t *rapid.T) domain.Value { return domain.TextValue(rapid.StringN(0, 8, -1).Draw(t, "text")) })
		recs := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) domain.Values {
			return rapid.MapOfN(field, value, 0, 4).Draw(t, "values")
		}), 1, 20).Draw(t, "records")
		total := func(recs []domain.Values) string {
			var sum domain.Total
			for _, r := range recs {
				sum.Add(domain.Hash(r))
			}
			if sum.Count != int64(len(recs)) {
				t.Fatalf("counted %d of %d", sum.Count, len(recs))
			}
			return sum.String()
		}
		want := total(recs)
		mixed := append([]domain.Values(nil), recs...)
		rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1)).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if got := total(mixed); got != want {
			t.Fatalf("%s in another order, was %s", got, want)
		}
		i, f := rapid.IntRange(0, len(recs)-1).Draw(t, "record"), field.Draw(t, "field")
		changed := recs[i].Clone()
		if changed == nil {
			changed = domain.Values{}
		}
		changed[f] = value.Draw(t, "new")
		same := len(recs[i].Diff(changed)) == 0
		mixed = append([]domain.Values(nil), recs...)
		mixed[i] = changed
		if got := total(mixed); (got == want) != same {
			t.Fatalf("record %d with %s=%s has the total %s, before %s", i, f, changed[f], got, want)
		}
	})
}
