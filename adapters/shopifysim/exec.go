package shopifysim

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

//go:embed schema.graphql
var schemaText string

// Schema is the part of Shopify's Admin schema, version 2026-07, that the simulator serves.
func Schema() string { return schemaText }

func loadSchema() *ast.Schema {
	return gqlparser.MustLoadSchema(&ast.Source{Name: "schema.graphql", Input: schemaText})
}

// node is an object on its way into an answer. A member is a leaf, a node, a list, a conn, or a lazy one.
type node struct {
	typ string
	f   fields
}

type fields map[string]any

// lazy is a member that takes arguments or leads on to other objects.
type lazy func(a args) (any, *failure)

// conn is what a connection pages through, in ascending order of key and id.
type conn []item

type item struct {
	key  string
	id   int64
	make func() *node
}

// failure is an error at the top of the answer.
type failure struct {
	Message    string         `json:"message"`
	Locations  []any          `json:"locations,omitempty"`
	Path       []any          `json:"path,omitempty"`
	Extensions map[string]any `json:"extensions,omitempty"`
}

func failed(code, format string, a ...any) *failure {
	f := &failure{Message: fmt.Sprintf(format, a...)}
	if code != "" {
		f.Extensions = map[string]any{"code": code}
	}
	return f
}

// ordered is an object whose members keep the order of the query.
type ordered []member

type member struct {
	key   string
	value any
}

// MarshalJSON writes the members in order.
func (o ordered) MarshalJSON() ([]byte, error) {
	var b strings.Builder
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		k, _ := json.Marshal(m.key)
		v, err := json.Marshal(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
	}
	b.WriteByte('}')
	return []byte(b.String()), nil
}

// exec executes one operation.
type exec struct {
	s          *Sim
	vars       map[string]any
	spent      int
	errors     []*failure
	deprecated []string
	created    int
	updated    int
	noop       int
	// onConn sees every connection before it is paged; a bulk operation reads them whole.
	whole bool
}

// fields collects the fields that a selection asks of a type, with merged selections. Any says that the object's type is not
// known yet: then every fragment counts.
func (x *exec) fields(typ string, set ast.SelectionSet, anyType bool) []*ast.Field {
	var all []*ast.Field
	index := map[string]int{}
	var collect func(set ast.SelectionSet)
	collect = func(set ast.SelectionSet) {
		for _, sel := range set {
			switch sel := sel.(type) {
			case *ast.Field:
				if x.skipped(sel.Directives) {
					continue
				}
				if i, ok := index[sel.Alias]; ok {
					merged := *all[i]
					merged.SelectionSet = append(slices.Clone(merged.SelectionSet), sel.SelectionSet...)
					all[i] = &merged
					continue
				}
				index[sel.Alias] = len(all)
				all = append(all, sel)
			case *ast.InlineFragment:
				if !x.skipped(sel.Directives) && (anyType || x.is(typ, sel.TypeCondition)) {
					collect(sel.SelectionSet)
				}
			case *ast.FragmentSpread:
				if !x.skipped(sel.Directives) && (anyType || x.is(typ, sel.Definition.TypeCondition)) {
					collect(sel.Definition.SelectionSet)
				}
			}
		}
	}
	collect(set)
	return all
}

func (x *exec) skipped(ds ast.DirectiveList) bool {
	for _, d := range ds {
		on, _ := d.ArgumentMap(x.vars)["if"].(bool)
		if d.Name == "skip" && on || d.Name == "include" && !on {
			return true
		}
	}
	return false
}

func (x *exec) is(typ, condition string) bool {
	return condition == "" || condition == typ || slices.Contains(x.s.schema.Types[typ].Interfaces, condition)
}

// object answers a selection of a node.
func (x *exec) object(n *node, set ast.SelectionSet, path []any) ordered {
	out := ordered{}
	for _, f := range x.fields(n.typ, set, false) {
		p := append(slices.Clone(path), f.Alias)
		if f.Name == "__typename" {
			out = append(out, member{f.Alias, n.typ})
			continue
		}
		if d := f.Definition.Directives.ForName("deprecated"); d != nil {
			if why := n.typ + "." + f.Name; !slices.Contains(x.deprecated, why) {
				x.deprecated = append(x.deprecated, why)
			}
		}
		raw := n.f[f.Name]
		if l, ok := raw.(lazy); ok {
			v, fail := l(args(f.ArgumentMap(x.vars)))
			if fail != nil {
				fail.Path = p
				x.errors = append(x.errors, fail)
			}
			raw = v
		}
		out = append(out, member{f.Alias, x.value(f, f.Definition.Type, raw, p)})
	}
	return out
}

// value completes one member.
func (x *exec) value(f *ast.Field, t *ast.Type, raw any, path []any) any {
	if strings.HasSuffix(t.Name(), "Connection") {
		c, ok := raw.(conn)
		if raw == nil && !t.NonNull {
			return nil
		}
		if !ok && raw != nil {
			return nil
		}
		n, fail := x.page(t.Name(), c, args(f.ArgumentMap(x.vars)))
		if fail != nil {
			fail.Path = path
			x.errors = append(x.errors, fail)
			return nil
		}
		x.spent += 2
		return x.object(n, f.SelectionSet, path)
	}
	if raw == nil || isNil(raw) {
		if !t.NonNull {
			return nil
		}
		if raw = x.empty(t); raw == nil {
			return nil
		}
	}
	if t.Elem != nil {
		list := []any{}
		each := func(v any) { list = append(list, x.value(f, t.Elem, v, append(slices.Clone(path), len(list)))) }
		switch raw := raw.(type) {
		case []*node:
			if n := args(f.ArgumentMap(x.vars)).int("first"); n > 0 && len(raw) > n {
				raw = raw[:n]
			}
			for _, n := range raw {
				each(n)
			}
		case []string:
			for _, v := range raw {
				each(v)
			}
		case []any:
			for _, v := range raw {
				each(v)
			}
		}
		return list
	}
	n, ok := raw.(*node)
	if !ok {
		return raw
	}
	if n.typ == "" {
		n = &node{t.Name(), n.f}
	}
	if n.typ != "PageInfo" && !strings.HasSuffix(n.typ, "Edge") {
		x.spent++
	}
	return x.object(n, f.SelectionSet, path)
}

func isNil(v any) bool {
	n, ok := v.(*node)
	return ok && n == nil
}

// empty is the value of a member that is never null and not modelled.
func (x *exec) empty(t *ast.Type) any {
	if t.Elem != nil {
		return []any{}
	}
	d := x.s.schema.Types[t.Name()]
	switch {
	case d.Kind == ast.Enum:
		return d.EnumValues[0].Name
	case d.Kind == ast.Object && d.Name == "MoneyBag":
		return bag(0)
	case d.Kind == ast.Object && d.Name == "MoneyV2":
		return moneyNode(0)
	case d.Kind == ast.Object:
		return &node{d.Name, fields{}}
	}
	switch d.Name {
	case "Int":
		return 0
	case "Float":
		return 0.0
	case "Boolean":
		return false
	case "UnsignedInt64":
		return "0"
	case "Money", "Decimal":
		return "0.0"
	case "DateTime":
		return "1970-01-01T00:00:00Z"
	case "URL":
		return "https://" + domainName + "/"
	default:
		return ""
	}
}

type cursor struct {
	LastID    int64  `json:"last_id"`
	LastValue string `json:"last_value"`
}

func (c cursor) String() string {
	b, _ := json.Marshal(c)
	return base64.StdEncoding.EncodeToString(b)
}

// page cuts a page out of a connection. A cursor names a place in the order and not an object, so pages shift as real ones do.
func (x *exec) page(typ string, c conn, a args) (*node, *failure) {
	if a.bool("reverse") {
		c = slices.Clone(c)
		slices.Reverse(c)
	}
	first, last := a.int("first"), a.int("last")
	switch {
	case x.whole:
		first, last = len(c), 0
	case a["first"] == nil && a["last"] == nil:
		return nil, failed("BAD_REQUEST", "you must provide one of first or last")
	case first < 0 || last < 0 || first > 250 || last > 250:
		return nil, failed("BAD_REQUEST", "first and last must be between 0 and 250")
	}
	place := func(name string) (int, bool, *failure) {
		text := a.str(name)
		if text == "" {
			return 0, false, nil
		}
		var at cursor
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil || json.Unmarshal(b, &at) != nil {
			return 0, false, failed("BAD_REQUEST", "Invalid cursor for current pagination sort.")
		}
		i := slices.IndexFunc(c, func(it item) bool {
			d := strings.Compare(it.key, at.LastValue)
			if d == 0 {
				d = int(min(max(it.id-at.LastID, -1), 1))
			}
			if a.bool("reverse") {
				d = -d
			}
			return d > 0 || d == 0 && name == "before"
		})
		if i < 0 {
			i = len(c)
		}
		return i, true, nil
	}
	from, _, fail := place("after")
	if fail != nil {
		return nil, fail
	}
	to, bounded, fail := place("before")
	if fail != nil {
		return nil, fail
	}
	if !bounded {
		to = len(c)
	}
	to = max(from, to)
	next, previous := to < len(c), from > 0
	if first > 0 || a["first"] != nil {
		if from+first < to {
			to, next = from+first, true
		}
	} else if to-last > from {
		from, previous = to-last, true
	}
	var nodes, edges []*node
	for _, it := range c[from:to] {
		n := it.make()
		nodes = append(nodes, n)
		edges = append(edges, &node{strings.TrimSuffix(typ, "Connection") + "Edge", fields{"cursor": cursor{it.id, it.key}.String(), "node": n}})
	}
	info := fields{"hasNextPage": next, "hasPreviousPage": previous}
	if len(edges) > 0 {
		info["startCursor"], info["endCursor"] = edges[0].f["cursor"], edges[len(edges)-1].f["cursor"]
	}
	return &node{typ, fields{"nodes": nodes, "edges": edges, "pageInfo": &node{"PageInfo", info}}}, nil
}

// args are the arguments of a field or the members of an input.
type args map[string]any

func (a args) str(k string) string {
	s, _ := a[k].(string)
	return s
}

func (a args) bool(k string) bool {
	b, _ := a[k].(bool)
	return b
}

func (a args) int(k string) int { return int(number(a[k])) }

func (a args) has(k string) bool {
	_, ok := a[k]
	return ok
}

func (a args) list(k string) []any {
	switch l := a[k].(type) {
	case nil:
		return nil
	case []any:
		return l
	default:
		return []any{l} // a list of one may be written without brackets
	}
}

func (a args) obj(k string) args {
	m, _ := a[k].(map[string]any)
	return m
}

func (a args) objs(k string) []args {
	var all []args
	for _, x := range a.list(k) {
		m, _ := x.(map[string]any)
		all = append(all, m)
	}
	return all
}

func (a args) strs(k string) []string {
	var all []string
	for _, x := range a.list(k) {
		s, _ := x.(string)
		all = append(all, s)
	}
	return all
}
