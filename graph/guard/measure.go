package guard

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
)

// size is what a selection amounts to with its fragments expanded. Numbers stop at most.
type size struct {
	depth, fields, roots, introspection, cost int
	open                                      bool // being measured: meeting it again is a cycle
}

const most = math.MaxInt32

func add(a, b int) int { return min(a+b, most) }

func mul(a, b int) int {
	if a != 0 && b > most/a {
		return most
	}
	return a * b
}

type measure struct {
	g         *Guard
	doc       *ast.QueryDocument
	vars      map[string]any
	op        *ast.OperationDefinition
	fragments map[string]*size
	work      Work

	aliases, directives int
}

// document measures all operations and fragments. What does not depend on variables is skipped for a known document.
func (m *measure) document(known bool) *gqlerror.Error {
	g, l := m.g, m.g.limits
	if !known {
		if err := g.over("operations", len(m.doc.Operations), l.Operations); err != nil {
			return err
		}
		if err := g.over("fragments", len(m.doc.Fragments), l.Fragments); err != nil {
			return err
		}
		if err := m.count(); err != nil {
			return err
		}
	}
	total := size{}
	for _, op := range m.doc.Operations {
		m.op = op
		clear(m.fragments) // their cost depends on this operation's variables
		s, err := m.selections(op.SelectionSet, m.rootType(op))
		if err != nil {
			return err
		}
		if err := g.over("root fields", s.roots, l.RootFields); err != nil {
			return err
		}
		total.depth = max(total.depth, s.depth)
		total.fields = add(total.fields, s.fields)
		total.introspection = add(total.introspection, s.introspection)
		total.cost = add(total.cost, s.cost)
	}
	spread := 0
	for _, f := range m.doc.Fragments { // an unused one is validated too
		s, err := m.fragment(f)
		if err != nil {
			return err
		}
		total.depth = max(total.depth, s.depth)
		spread = add(spread, s.fields)
	}
	if err := g.over("fields in fragments", spread, 4*l.Fields); err != nil {
		return err
	}
	m.work.Depth, m.work.Fields, m.work.Cost = total.depth, total.fields, total.cost
	for _, e := range []*gqlerror.Error{
		g.over("levels", total.depth, l.Depth),
		g.over("fields", total.fields, l.Fields),
		g.over("introspections", total.introspection, l.Introspection),
	} {
		if e != nil {
			return e
		}
	}
	if total.cost > l.Cost {
		return refuse("cost", l.Cost, fmt.Sprintf(
			"the answer could have %d objects and fields, at most %d: ask for smaller pages or fewer fields", total.cost, l.Cost))
	}
	if !known {
		return m.checkRepeats()
	}
	return nil
}

// count counts what the text has of aliases, directives, variables and list elements.
func (m *measure) count() *gqlerror.Error {
	l := m.g.limits
	for _, op := range m.doc.Operations {
		if err := m.g.over("variables", len(op.VariableDefinitions), l.Variables); err != nil {
			return err
		}
		for _, v := range op.VariableDefinitions {
			m.directives += len(v.Directives)
			if _, err := m.literal(v.DefaultValue); err != nil {
				return err
			}
		}
		m.directives += len(op.Directives)
		if err := m.countSelections(op.SelectionSet); err != nil {
			return err
		}
	}
	for _, f := range m.doc.Fragments {
		m.directives += len(f.Directives)
		if err := m.countSelections(f.SelectionSet); err != nil {
			return err
		}
	}
	if err := m.g.over("aliases", m.aliases, l.Aliases); err != nil {
		return err
	}
	return m.g.over("directives", m.directives, l.Directives)
}

func (m *measure) countSelections(ss ast.SelectionSet) *gqlerror.Error {
	for _, s := range ss {
		m.work.Visits++
		var ds ast.DirectiveList
		var sub ast.SelectionSet
		switch s := s.(type) {
		case *ast.Field:
			if s.Alias != "" && s.Alias != s.Name {
				m.aliases++
			}
			ds, sub = s.Directives, s.SelectionSet
			for _, a := range s.Arguments {
				if _, err := m.literal(a.Value); err != nil {
					return err
				}
			}
		case *ast.InlineFragment:
			ds, sub = s.Directives, s.SelectionSet
		case *ast.FragmentSpread:
			ds = s.Directives
		}
		m.directives += len(ds)
		for _, d := range ds {
			if d.Name == "defer" {
				return &gqlerror.Error{Message: "@defer is not supported", Extensions: map[string]any{"code": "UNSUPPORTED"}}
			}
		}
		if err := m.countSelections(sub); err != nil {
			return err
		}
	}
	return nil
}

// literal returns the number of values in a literal.
func (m *measure) literal(v *ast.Value) (int, *gqlerror.Error) {
	if v == nil {
		return 0, nil
	}
	if v.Kind == ast.ListValue && len(v.Children) > m.g.limits.List {
		return 0, refuse("list", m.g.limits.List, fmt.Sprintf("a list has %d elements, at most %d", len(v.Children), m.g.limits.List))
	}
	n := 1
	for _, c := range v.Children {
		k, err := m.literal(c.Value)
		if err != nil {
			return 0, err
		}
		n += k
	}
	return n, nil
}

func (m *measure) rootType(op *ast.OperationDefinition) *ast.Definition {
	switch op.Operation {
	case ast.Mutation:
		return m.g.schema.Mutation
	case ast.Subscription:
		return m.g.schema.Subscription
	default:
		return m.g.schema.Query
	}
}

func (m *measure) fragment(f *ast.FragmentDefinition) (size, *gqlerror.Error) {
	if s, ok := m.fragments[f.Name]; ok {
		if s.open {
			return size{}, refuse("fragments", m.g.limits.Fragments, "a fragment spreads itself")
		}
		return *s, nil
	}
	m.fragments[f.Name] = &size{open: true}
	s, err := m.selections(f.SelectionSet, m.g.schema.Types[f.TypeCondition])
	if err != nil {
		return size{}, err
	}
	m.fragments[f.Name] = &s
	return s, nil
}

// selections measures a selection set on a type; t is nil where the schema does not know it.
func (m *measure) selections(ss ast.SelectionSet, t *ast.Definition) (size, *gqlerror.Error) {
	var total size
	for _, s := range ss {
		m.work.Visits++
		var one size
		var err *gqlerror.Error
		switch s := s.(type) {
		case *ast.Field:
			one, err = m.field(s, t)
		case *ast.InlineFragment:
			on := t
			if s.TypeCondition != "" {
				on = m.g.schema.Types[s.TypeCondition]
			}
			one, err = m.selections(s.SelectionSet, on)
		case *ast.FragmentSpread:
			if f := m.doc.Fragments.ForName(s.Name); f != nil {
				one, err = m.fragment(f)
			}
		}
		if err != nil {
			return size{}, err
		}
		total.depth = max(total.depth, one.depth)
		total.fields = add(total.fields, one.fields)
		total.roots = add(total.roots, one.roots)
		total.introspection = add(total.introspection, one.introspection)
		total.cost = add(total.cost, one.cost)
	}
	return total, nil
}

func (m *measure) field(f *ast.Field, t *ast.Definition) (size, *gqlerror.Error) {
	var def *ast.FieldDefinition
	if t != nil {
		def = t.Fields.ForName(f.Name)
	}
	own := size{depth: 1, fields: 1, roots: 1, cost: 1}
	if f.Name == "__schema" || f.Name == "__type" {
		own.introspection = 1
	}
	for _, a := range f.Arguments {
		own.cost = add(own.cost, m.values(a.Value))
	}
	if len(f.SelectionSet) == 0 {
		return own, nil
	}
	var sub *ast.Definition
	if def != nil {
		sub = m.g.schema.Types[def.Type.Name()]
	}
	children, err := m.selections(f.SelectionSet, sub)
	if err != nil {
		return size{}, err
	}
	times, err := m.times(f, t, def)
	if err != nil {
		return size{}, err
	}
	own.depth = add(own.depth, children.depth)
	own.fields = add(own.fields, children.fields)
	own.introspection = add(own.introspection, children.introspection)
	own.cost = add(own.cost, mul(times, children.cost))
	return own, nil
}

// values returns how many values an argument has, with variables filled in.
func (m *measure) values(v *ast.Value) int {
	if v == nil {
		return 0
	}
	if v.Kind == ast.Variable {
		switch x := m.vars[v.Raw].(type) {
		case []any:
			return len(x)
		case map[string]any:
			return len(x)
		}
		return 0
	}
	n := 0
	for _, c := range v.Children {
		n = add(n, 1+m.values(c.Value))
	}
	return n
}

// times returns how often the field's selection may be answered: the page size of a connection, the assumed size of a
// list, else once. The lists inside a connection are counted with the connection.
func (m *measure) times(f *ast.Field, t *ast.Definition, def *ast.FieldDefinition) (int, *gqlerror.Error) {
	if def == nil {
		return 1, nil
	}
	if first := def.Arguments.ForName("first"); first != nil {
		n, ok := m.integer(f.Arguments.ForName("first"), first)
		if !ok {
			return 1, nil // validation will say so
		}
		if n > m.g.limits.Page {
			return 0, refuse("page", m.g.limits.Page, fmt.Sprintf("first is %d, at most %d: fetch the rest with after", n, m.g.limits.Page))
		}
		return max(n, 1), nil
	}
	if def.Type.Elem == nil || strings.HasPrefix(t.Name, "__") {
		return 1, nil // introspection is bounded by depth and by its own count
	}
	if d := def.Directives.ForName("listSize"); d != nil {
		if n, err := strconv.Atoi(d.Arguments.ForName("assumedSize").Value.Raw); err == nil {
			return n, nil
		}
	}
	if strings.HasSuffix(t.Name, "Connection") || strings.HasSuffix(t.Name, "Page") {
		return 1, nil
	}
	return 10, nil
}

func (m *measure) integer(a *ast.Argument, def *ast.ArgumentDefinition) (int, bool) {
	v := def.DefaultValue
	if a != nil {
		v = a.Value
	}
	if v != nil && v.Kind == ast.Variable {
		if x, ok := m.vars[v.Raw]; ok {
			switch x := x.(type) {
			case json.Number:
				n, err := strconv.Atoi(x.String())
				return n, err == nil
			case float64:
				return int(min(x, most)), true
			case int64:
				return int(x), true
			case int:
				return x, true
			case string: // the executor takes digits in text for an Int
				n, err := strconv.Atoi(x)
				return n, err == nil
			case nil:
				v = def.DefaultValue
			default:
				return 0, false
			}
		} else {
			d := m.op.VariableDefinitions.ForName(v.Raw)
			v = def.DefaultValue
			if d != nil && d.DefaultValue != nil {
				v = d.DefaultValue
			}
		}
	}
	if v == nil {
		return 0, false
	}
	if v.Kind == ast.NullValue && def.DefaultValue != nil {
		v = def.DefaultValue
	}
	n, err := strconv.Atoi(v.Raw)
	if err != nil && v.Kind == ast.IntValue {
		return most, true // too long for an int
	}
	return n, err == nil
}

// checkRepeats expands the document, which is known to be small by now, and counts fields that occur again at a place.
func (m *measure) checkRepeats() *gqlerror.Error {
	repeats := 0
	var walk func(sets []ast.SelectionSet)
	walk = func(sets []ast.SelectionSet) {
		places := map[string][]ast.SelectionSet{}
		var flat func(ss ast.SelectionSet)
		flat = func(ss ast.SelectionSet) {
			for _, s := range ss {
				m.work.Visits++
				switch s := s.(type) {
				case *ast.Field:
					if _, again := places[s.Alias]; again {
						repeats++
					}
					places[s.Alias] = append(places[s.Alias], s.SelectionSet)
				case *ast.InlineFragment:
					flat(s.SelectionSet)
				case *ast.FragmentSpread:
					if f := m.doc.Fragments.ForName(s.Name); f != nil {
						flat(f.SelectionSet)
					}
				}
			}
		}
		for _, ss := range sets {
			flat(ss)
		}
		for _, sub := range places {
			walk(sub)
		}
	}
	for _, op := range m.doc.Operations {
		walk([]ast.SelectionSet{op.SelectionSet})
	}
	for _, f := range m.doc.Fragments {
		walk([]ast.SelectionSet{f.SelectionSet})
	}
	return m.g.over("repeated fields", repeats, m.g.limits.Repeats)
}
