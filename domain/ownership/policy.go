// Package ownership is the published business decision of which system owns each field at each stage, and the pure
// function that selects golden values by it. It leaves storing and enforcing to others.
package ownership

import (
	"slices"

	"datum/domain"
)

// Native is the adapter of a system that is Datum's own: apps write through GraphQL and nothing is called.
const Native = "native"

// Policy is one version of the decision.
type Policy struct {
	Systems []System // in the order of the document
	Kinds   map[domain.Kind]*KindPolicy

	lines map[string]int // of the parsed document, by the path of what stands there: "Customer.fields.abn"
}

// System is a connected system and the adapter it uses.
type System struct {
	Name    string
	Adapter string
}

// KindPolicy is the decision for one kind.
type KindPolicy struct {
	Kind      domain.Kind
	Owner     string               // owns every field without a rule of its own
	Create    []string             // systems whose new objects become new entities
	Replicate map[string]Condition // when the kind is written to a system; unlisted is Never
	Fields    map[domain.Field]Rule
	Stages    map[string]map[domain.Field]Rule // overrides by lifecycle stage
}

// Condition says when an entity is replicated to a system.
type Condition string

// Conditions.
const (
	Always     Condition = "always"
	Never      Condition = "never"
	WhenBilled Condition = "when_billed" // from lifecycle stage CUSTOMER on
)

// Others says what happens to an edit by a system that does not own the field.
type Others string

// Answers to a non-owner's edit.
const (
	Restore Others = "restore" // the golden value is written back
	Propose Others = "propose" // a case opens; theirs stays in their system until it is decided
	Keep    Others = "keep"    // a local variation is fine
)

// Rule is the decision for one field.
type Rule struct {
	Owner    string
	Fallback []string // who is asked when the owner has no value, in order; nil means KindPolicy.Create
	Others   Others   // "" means Restore
}

// Adapter returns the adapter of the system, "" if the policy does not know it.
func (p *Policy) Adapter(system string) string {
	for _, s := range p.Systems {
		if s.Name == system {
			return s.Adapter
		}
	}
	return ""
}

// Kind returns the decision for a kind; a kind the policy does not mention is owned by nobody and replicated nowhere.
func (p *Policy) Kind(k domain.Kind) *KindPolicy {
	if kp := p.Kinds[k]; kp != nil {
		return kp
	}
	return &KindPolicy{Kind: k}
}

// Rule returns the effective rule of the field at the stage, with defaults filled in.
func (kp *KindPolicy) Rule(f domain.Field, stage string) Rule {
	r, ok := kp.Stages[stage][f]
	base := kp.Fields[f]
	if !ok {
		r = base
	}
	if r.Owner == "" {
		r.Owner = base.Owner
	}
	if r.Owner == "" {
		r.Owner = kp.Owner
	}
	if r.Fallback == nil {
		r.Fallback = base.Fallback
	}
	if r.Fallback == nil {
		r.Fallback = kp.Create
	}
	if r.Others == "" {
		r.Others = base.Others
	}
	if r.Others == "" {
		r.Others = Restore
	}
	return r
}

// MayCreate reports whether new objects of the system become new entities.
func (kp *KindPolicy) MayCreate(system string) bool { return slices.Contains(kp.Create, system) }

// Replicates reports whether an entity at the stage is to be written to the system.
func (kp *KindPolicy) Replicates(system, stage string) bool {
	switch kp.Replicate[system] {
	case Always:
		return true
	case WhenBilled:
		return stage == "CUSTOMER" || stage == "FORMER_CUSTOMER"
	default:
		return false
	}
}
