package ownership

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"datum/domain"
)

// String returns the policy as a YAML document in canonical form: systems in their order, kinds, fields and stages in the
// order of the vocabulary, only what was said. Parse reads it back to an equal policy; comments are not kept.
func (p *Policy) String() string {
	var b strings.Builder
	b.WriteString("systems:\n")
	for _, s := range p.Systems {
		fmt.Fprintf(&b, "  %s: %s\n", s.Name, s.Adapter)
	}
	p.writeOptions(&b)
	for _, ki := range domain.KindsAll() {
		kp := p.Kinds[ki.Kind]
		if kp == nil {
			continue
		}
		fmt.Fprintf(&b, "\n%s:\n", ki.Kind)
		if kp.Owner != "" {
			fmt.Fprintf(&b, "  owner: %s\n", kp.Owner)
		}
		fmt.Fprintf(&b, "  create: [%s]\n", strings.Join(kp.Create, ", "))
		if len(kp.Replicate) > 0 {
			var rs []string
			for _, s := range p.Systems {
				if c := kp.Replicate[s.Name]; c != "" {
					rs = append(rs, s.Name+": "+string(c))
				}
			}
			fmt.Fprintf(&b, "  replicate: {%s}\n", strings.Join(rs, ", "))
		}
		writeMatch(&b, kp.Match)
		writeExpires(&b, "  ", kp.Expires)
		if len(kp.Fields) > 0 {
			b.WriteString("  fields:\n")
			writeRules(&b, ki, kp.Fields, "    ")
		}
		if len(kp.Stages) > 0 {
			b.WriteString("  stages:\n")
		}
		for _, stage := range ki.Stages {
			if rules, ok := kp.Stages[stage]; ok && len(rules) == 0 {
				fmt.Fprintf(&b, "    %s: {}\n", stage)
			} else if ok {
				fmt.Fprintf(&b, "    %s:\n", stage)
				writeRules(&b, ki, rules, "      ")
			}
		}
	}
	return b.String()
}

func (p *Policy) writeOptions(b *strings.Builder) {
	if p.Flows.As != "" {
		fmt.Fprintf(b, "\nflows:\n  as: %s\n", p.Flows.As)
		for _, f := range AllFlows() {
			if on, said := p.Flows.On[f]; said {
				fmt.Fprintf(b, "  %s: %s\n", f, map[bool]string{true: "on", false: "off"}[on])
			}
		}
	}
	if len(p.Numbers) > 0 {
		b.WriteString("\nnumbers:\n")
		for _, ki := range domain.KindsAll() {
			if n, ok := p.Numbers[ki.Kind]; ok {
				prefix := ""
				if n.Prefix != "" {
					prefix = fmt.Sprintf("prefix: %q, ", n.Prefix)
				}
				fmt.Fprintf(b, "  %s: {%sdigits: %d}\n", ki.Kind, prefix, n.Digits)
			}
		}
	}
	if p.GST != "" {
		fmt.Fprintf(b, "\ngst: %s\n", strings.ToLower(string(p.GST)))
	}
	p.writeBrakes(b)
	if p.Expires != 0 {
		b.WriteString("\n")
		writeExpires(b, "", p.Expires)
	}
}

func writeRules(b *strings.Builder, ki domain.KindInfo, rules map[domain.Field]Rule, indent string) {
	for _, fi := range ki.Fields {
		r, ok := rules[fi.Name]
		if !ok {
			continue
		}
		var parts []string
		if r.Owner != "" {
			parts = append(parts, "owner: "+r.Owner)
		}
		if r.Fallback != nil {
			parts = append(parts, "fallback: ["+strings.Join(r.Fallback, ", ")+"]")
		}
		if r.Others != "" {
			parts = append(parts, "others: "+string(r.Others))
		}
		if r.Editors {
			parts = append(parts, "writeThrough: editor")
		}
		fmt.Fprintf(b, "%s%s: {%s}\n", indent, fi.Name, strings.Join(parts, ", "))
	}
}

// Explain says in one sentence who owns the field at the stage ("" for an entity without one), who is asked next, and what
// becomes of everybody else's edits.
func (p *Policy) Explain(k domain.Kind, f domain.Field, stage string) string {
	r := p.Kind(k).Rule(f, stage)
	if r.Owner == "" {
		return fmt.Sprintf("nobody owns %s", f)
	}
	var b strings.Builder
	if stage != "" {
		fmt.Fprintf(&b, "at %s ", stage)
	}
	fmt.Fprintf(&b, "%s owns %s", r.Owner, f)
	asked := slices.DeleteFunc(slices.Clone(r.Fallback), func(s string) bool { return s == r.Owner })
	if len(asked) > 0 {
		fmt.Fprintf(&b, "; where it has none, the value of %s counts", strings.Join(asked, ", else of "))
	}
	switch r.Others {
	case Propose:
		b.WriteString("; others' edits become a proposal")
	case Keep:
		b.WriteString("; others may differ")
	default:
		b.WriteString("; others' edits are undone")
	}
	return b.String()
}

// DiffPolicies names what is decided differently in the two policies, effectively: a rule that is only spelled otherwise
// is not named. Names look like "systems.crm", "Customer.create", "Customer.replicate.crm", "Customer.abn" and, for a rule
// of a stage, "Customer.abn at LEAD". A nil policy decides nothing.
func DiffPolicies(from, to *Policy) []string {
	if from == nil {
		from = &Policy{}
	}
	if to == nil {
		to = &Policy{}
	}
	var names []string
	systems := systemNames(from, to)
	for _, s := range systems {
		if from.Adapter(s) != to.Adapter(s) {
			names = append(names, "systems."+s)
		}
	}
	if from.Flows.As != to.Flows.As {
		names = append(names, "flows.as")
	}
	for _, f := range AllFlows() {
		if from.Flows.On[f] != to.Flows.On[f] {
			names = append(names, "flows."+string(f))
		}
	}
	names = append(names, diffBrakes(from, to, systems)...)
	if from.GST != to.GST {
		names = append(names, "gst")
	}
	for _, ki := range domain.KindsAll() {
		a, b, kind := from.Kind(ki.Kind), to.Kind(ki.Kind), string(ki.Kind)
		if from.Numbers[ki.Kind] != to.Numbers[ki.Kind] {
			names = append(names, "numbers."+kind)
		}
		if !slices.Equal(a.Create, b.Create) {
			names = append(names, kind+".create")
		}
		if a.Match != b.Match {
			names = append(names, kind+".match")
		}
		if (from.Kinds[ki.Kind] != nil || to.Kinds[ki.Kind] != nil) && from.AskedFor(ki.Kind) != to.AskedFor(ki.Kind) {
			names = append(names, kind+".writeThrough")
		}
		for _, s := range systems {
			if condition(a, s) != condition(b, s) {
				names = append(names, kind+".replicate."+s)
			}
		}
		for _, fi := range ki.Fields {
			if !sameRule(a, b, fi.Name, "") {
				names = append(names, kind+"."+string(fi.Name))
			}
			for _, stage := range ki.Stages {
				_, inA := a.Stages[stage][fi.Name]
				_, inB := b.Stages[stage][fi.Name]
				if (inA || inB) && !sameRule(a, b, fi.Name, stage) {
					names = append(names, kind+"."+string(fi.Name)+" at "+stage)
				}
			}
		}
	}
	return names
}

func systemNames(ps ...*Policy) []string {
	var names []string
	for _, p := range ps {
		for _, s := range p.Systems {
			if !slices.Contains(names, s.Name) {
				names = append(names, s.Name)
			}
		}
	}
	return names
}

func condition(kp *KindPolicy, system string) Condition {
	if c := kp.Replicate[system]; c != "" {
		return c
	}
	return Never
}

// sameRule compares effective rules; the owner among its own fallbacks makes no difference.
func sameRule(a, b *KindPolicy, f domain.Field, stage string) bool {
	x, y := a.Rule(f, stage), b.Rule(f, stage)
	for _, r := range []*Rule{&x, &y} {
		r.Fallback = slices.DeleteFunc(append([]string{}, r.Fallback...), func(s string) bool { return s == r.Owner })
	}
	return reflect.DeepEqual(x, y)
}
