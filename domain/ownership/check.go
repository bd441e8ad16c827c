package ownership

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"datum/domain"
)

// Surroundings are what a policy must fit.
type Surroundings struct {
	// Schema is the GraphQL schema that apps see; nil skips its checks.
	Schema *ast.Schema
	// Adapters are the names there are, apart from Native; nil skips the check.
	Adapters []string
	// Carries reports whether the adapter's objects of the kind have the field; nil skips the check. It is not asked of
	// Native, which carries everything.
	Carries func(adapter string, k domain.Kind, f domain.Field) bool
}

// Check compares a parsed policy with its surroundings: every kind, field and stage it names exists in the GraphQL schema, every
// field that apps can write has an owner, every adapter exists, and every owner has the field it owns; a
// stage whose field's owner cannot hold it would never be reached. At a stage, a field may belong to a system that has no place
// for it if the rule names a fallback that has: then it stands still. The error is Invalid and wraps Problems.
func Check(p *Policy, s Surroundings) error {
	c := checker{policy: p, Surroundings: s}
	for _, sys := range p.Systems {
		if s.Adapters != nil && sys.Adapter != Native && !slices.Contains(s.Adapters, sys.Adapter) {
			c.add(p.lines["systems."+sys.Name], "%s: there is no adapter %q; there are %s and %s", sys.Name, sys.Adapter, strings.Join(s.Adapters, ", "), Native)
		}
	}
	for _, ki := range domain.KindsAll() {
		kp := p.Kinds[ki.Kind]
		if kp == nil {
			if ki.Kind == domain.KindCustomer {
				c.add(0, "%s is missing: nobody would own it", ki.Kind)
			}
			continue // the business does not keep the kind here
		}
		c.schema(ki, kp)
		c.carried(ki, kp)
	}
	return c.problems.err()
}

type checker struct {
	Surroundings
	policy   *Policy
	problems Problems
}

func (c *checker) add(line int, format string, args ...any) {
	c.problems = append(c.problems, Problem{Line: line, Message: fmt.Sprintf(format, args...)})
}

// schema checks names against the kind's GraphQL type, and the fields that apps can write against the policy's.
func (c *checker) schema(ki domain.KindInfo, kp *KindPolicy) {
	if c.Schema == nil {
		return
	}
	kind := string(ki.Kind)
	def := c.Schema.Types[kind]
	if def == nil || def.Kind != ast.Object {
		c.add(c.policy.lines[kind], "the GraphQL schema has no type %s", kind)
		return
	}
	for _, fi := range ki.Fields {
		if def.Fields.ForName(string(fi.Name)) == nil {
			c.add(c.policy.line(kind, fi.Name, ""), "the GraphQL type %s has no field %s", kind, fi.Name)
		}
	}
	if in := c.Schema.Types[kind+"Input"]; in != nil {
		for _, f := range in.Fields {
			if _, ok := ki.Field(domain.Field(f.Name)); !ok {
				c.add(c.policy.lines[kind], "apps can write %s of %s in the GraphQL schema, and nobody owns it", f.Name, kind)
			}
		}
	}
	stage := def.Fields.ForName(string(ki.StageField))
	if stage == nil {
		return // reported above
	}
	enum := c.Schema.Types[stage.Type.Name()]
	for _, s := range ki.Stages {
		if enum == nil || enum.EnumValues.ForName(s) == nil {
			line := c.policy.lines[kind+".stages."+s]
			c.add(line, "stage %s of %s cannot be reached: %s in the GraphQL schema has no such value", s, kind, ki.StageField)
		}
	}
}

// carried checks that owners have what they own.
func (c *checker) carried(ki domain.KindInfo, kp *KindPolicy) {
	if c.Carries == nil {
		return
	}
	kind := string(ki.Kind)
	for _, fi := range ki.Fields {
		for _, stage := range append([]string{""}, ki.Stages...) {
			if _, ok := kp.Stages[stage][fi.Name]; stage != "" && !ok {
				continue
			}
			owner := kp.Rule(fi.Name, stage).Owner
			adapter := c.policy.Adapter(owner)
			holds := func(system string) bool {
				a := c.policy.Adapter(system)
				return a == Native || c.Carries(a, ki.Kind, fi.Name)
			}
			if owner == "" || holds(owner) || stage != "" && slices.ContainsFunc(kp.Stages[stage][fi.Name].Fallback, holds) {
				continue
			}
			line := c.policy.line(kind, fi.Name, stage)
			if fi.Name == ki.StageField {
				c.add(line, "%s owns %s of %s, and %s does not have it: no stage would ever be reached", owner, fi.Name, kind, adapter)
			} else {
				c.add(line, "%s owns %s of %s, and %s does not have it", owner, fi.Name, kind, adapter)
			}
		}
	}
}
