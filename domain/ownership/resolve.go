package ownership

import (
	"cmp"
	"slices"

	"datum/domain"
)

// Contribution is what one record says of an entity.
type Contribution struct {
	System     string
	ExternalID string
	Values     domain.Values
	// Echo are the fields whose value Datum itself wrote there: the owner's word counts all the same, but an echo is
	// nobody's own opinion and never serves as a fallback. Otherwise a value cleared by its owner would live on in the
	// copies.
	Echo map[domain.Field]bool
	// Deleted records keep their last values, so that nothing is lost with them, and count after live ones.
	Deleted bool
}

// Why says by which rule a golden value was chosen.
type Why string

// Rules of selection.
const (
	ByPin      Why = "pin"
	ByOwner    Why = "owner"
	ByFallback Why = "fallback"
	ByNobody   Why = "none"
)

// Golden is one field's selected value and its provenance.
type Golden struct {
	Value      domain.Value // Null if nobody has one
	System     string       // whose value it is; "" for ByPin and ByNobody
	ExternalID string       // the record
	Why        Why
	Owner      string // who owns the field at this stage
}

// Resolution is the outcome of Resolve.
type Resolution struct {
	Stage  string
	Fields map[domain.Field]Golden
}

// Values returns the golden values.
func (r Resolution) Values() domain.Values {
	v := make(domain.Values, len(r.Fields))
	for f, g := range r.Fields {
		v[f] = g.Value
	}
	return v
}

// Resolve selects the golden values of one entity. It is a pure function of its arguments and does not depend on the
// order of contributions: of several records of one system the live one with the lowest id speaks.
//
// A pin wins. Otherwise the owner's value counts if it has one. If the owner has none, the fallback systems are asked in
// order for a value of their own (not an echo of ours).
func Resolve(kp *KindPolicy, contributions []Contribution, pins domain.Values) Resolution {
	ki, _ := kp.Kind.Info()
	primary := Primary(contributions)
	res := Resolution{Fields: make(map[domain.Field]Golden, len(ki.Fields))}
	if ki.StageField != "" {
		// Ownership of the stage field does not depend on the stage.
		g := resolveField(kp.Rule(ki.StageField, ""), ki.StageField, primary, pins)
		res.Fields[ki.StageField] = g
		res.Stage = g.Value.Text()
	}
	for _, fi := range ki.Fields {
		if fi.Name != ki.StageField {
			res.Fields[fi.Name] = resolveField(kp.Rule(fi.Name, res.Stage), fi.Name, primary, pins)
		}
	}
	return res
}

// Primary returns the one record per system that speaks for it.
func Primary(contributions []Contribution) map[string]Contribution {
	cs := slices.Clone(contributions)
	slices.SortFunc(cs, compareContributions)
	primary := make(map[string]Contribution, len(cs))
	for _, c := range cs {
		if _, ok := primary[c.System]; !ok {
			primary[c.System] = c
		}
	}
	return primary
}

func compareContributions(a, b Contribution) int {
	if c := cmp.Compare(a.System, b.System); c != 0 {
		return c
	}
	if a.Deleted != b.Deleted {
		if b.Deleted {
			return -1
		}
		return 1
	}
	// Numeric ids grow in length: the shorter is the older.
	if c := cmp.Compare(len(a.ExternalID), len(b.ExternalID)); c != 0 {
		return c
	}
	return cmp.Compare(a.ExternalID, b.ExternalID)
}

func resolveField(r Rule, f domain.Field, primary map[string]Contribution, pins domain.Values) Golden {
	if v, ok := pins[f]; ok {
		return Golden{Value: cmp.Or(v, domain.Null), Why: ByPin, Owner: r.Owner}
	}
	if c, ok := primary[r.Owner]; ok && !c.Values[f].Empty() {
		return Golden{Value: c.Values[f], System: c.System, ExternalID: c.ExternalID, Why: ByOwner, Owner: r.Owner}
	}
	for _, s := range r.Fallback {
		if c, ok := primary[s]; ok && s != r.Owner && !c.Values[f].Empty() && !c.Echo[f] {
			return Golden{Value: c.Values[f], System: c.System, ExternalID: c.ExternalID, Why: ByFallback, Owner: r.Owner}
		}
	}
	return Golden{Value: domain.Null, Why: ByNobody, Owner: r.Owner}
}
