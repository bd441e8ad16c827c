package myobsim

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"
)

// The $filter parameter is a part of OData 3: comparisons of members with literals (text, datetime'…', guid'…', numbers,
// true, false, null), substringof, startswith, endswith, any and all over lists, joined by and, or, not and brackets. A
// quote inside text is doubled. Names of members are written as they are spelled.

type predicate = func(object) bool

type parser struct {
	tokens []string
	pos    int
	vars   map[string][]member // of any and all: the schema behind each name
}

var token = regexp.MustCompile(`^(?:(datetime|guid)?'(?:[^']|'')*'|[A-Za-z_][A-Za-z0-9_]*(?:/[A-Za-z_][A-Za-z0-9_]*)*|-?\d+(?:\.\d+)?|[(),:])`)

func parseFilter(s string, schema []member) (predicate, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	p := &parser{vars: map[string][]member{"": schema}}
	for rest := strings.TrimSpace(s); rest != ""; rest = strings.TrimSpace(rest) {
		t := token.FindString(rest)
		if t == "" {
			return nil, fmt.Errorf("syntax error in $filter at '%.20s'", rest)
		}
		p.tokens = append(p.tokens, t)
		rest = rest[len(t):]
	}
	f, err := p.or()
	if err == nil && p.pos < len(p.tokens) {
		err = fmt.Errorf("syntax error in $filter at '%s'", p.peek())
	}
	if err != nil {
		return nil, err
	}
	return func(o object) bool { return f(map[string]object{"": o}) }, nil
}

// parseOrder reads $orderby, nil if there is none.
func parseOrder(s string, schema []member) (func(a, b object) int, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var by []func(a, b object) int
	for part := range strings.SplitSeq(s, ",") {
		words := strings.Fields(part)
		if len(words) == 0 || len(words) > 2 || len(words) == 2 && words[1] != "asc" && words[1] != "desc" {
			return nil, fmt.Errorf("the order '%s' cannot be read", strings.TrimSpace(part))
		}
		path := strings.Split(words[0], "/")
		if _, err := resolve(schema, path); err != nil {
			return nil, err
		}
		sign := 1
		if len(words) == 2 && words[1] == "desc" {
			sign = -1
		}
		by = append(by, func(a, b object) int { return sign * compare(lookUp(a, path), lookUp(b, path)) })
	}
	return func(a, b object) int {
		for _, f := range by {
			if n := f(a, b); n != 0 {
				return n
			}
		}
		return 0
	}, nil
}

// resolve finds the member at the end of a path.
func resolve(schema []member, path []string) (*member, error) {
	var m *member
	for i, name := range path {
		if m = find(schema, name); m == nil || m.hidden {
			return nil, fmt.Errorf("could not find a property named '%s'", strings.Join(path[:i+1], "/"))
		}
		schema = m.members
		if m.kind == link {
			schema = []member{{name: "UID", kind: guid}, {name: "Code", kind: text}, {name: "DisplayID", kind: text}, {name: "Number", kind: text}}
		}
	}
	return m, nil
}

func lookUp(o object, path []string) any {
	var v any = o
	for _, name := range path {
		o, _ := v.(object)
		v = o[name]
	}
	return v
}

// compare orders two values of one type; null comes first.
func compare(a, b any) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	switch x := a.(type) {
	case string:
		y, _ := b.(string)
		return cmp.Compare(x, y)
	case bool:
		y, _ := b.(bool)
		return b2i(x) - b2i(y)
	case time.Time:
		y, _ := b.(time.Time)
		return x.Compare(y)
	default:
		return rat(a).Cmp(rat(b))
	}
}

func rat(v any) *big.Rat {
	if r, ok := new(big.Rat).SetString(fmt.Sprint(v)); ok {
		return r
	}
	return new(big.Rat)
}

func sum(a, b any) json.Number { return json.Number(new(big.Rat).Add(rat(a), rat(b)).FloatString(2)) }

func difference(a, b any) json.Number {
	return json.Number(new(big.Rat).Sub(rat(a), rat(b)).FloatString(2))
}

func (p *parser) peek() string {
	if p.pos < len(p.tokens) {
		return p.tokens[p.pos]
	}
	return ""
}

func (p *parser) take(words ...string) bool {
	if p.pos < len(p.tokens) && slices.Contains(words, p.tokens[p.pos]) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) need(t string) error {
	if !p.take(t) {
		return fmt.Errorf("'%s' expected in $filter at '%s'", t, p.peek())
	}
	return nil
}

// scope is what the names in an expression stand for; "" is the row.
type scope = map[string]object
type test = func(scope) bool

func (p *parser) or() (test, error) {
	left, err := p.and()
	for err == nil && p.take("or") {
		l := left
		var r test
		r, err = p.and()
		left = func(o scope) bool { return l(o) || r(o) }
	}
	return left, err
}

func (p *parser) and() (test, error) {
	left, err := p.not()
	for err == nil && p.take("and") {
		l := left
		var r test
		r, err = p.not()
		left = func(o scope) bool { return l(o) && r(o) }
	}
	return left, err
}

func (p *parser) not() (test, error) {
	if p.take("not") {
		f, err := p.not()
		return func(o scope) bool { return !f(o) }, err
	}
	if p.take("(") {
		f, err := p.or()
		if err != nil {
			return nil, err
		}
		return f, p.need(")")
	}
	if word := p.peek(); strings.HasSuffix(word, "/any") || strings.HasSuffix(word, "/all") {
		return p.quantifier(word)
	}
	return p.comparison()
}

// quantifier reads Addresses/any(x: x/Email eq 'a').
func (p *parser) quantifier(word string) (test, error) {
	p.pos++
	path := strings.Split(word, "/")
	all := path[len(path)-1] == "all"
	path = path[:len(path)-1]
	m, err := resolve(p.vars[""], path)
	if err != nil {
		return nil, err
	}
	if m.kind != list {
		return nil, fmt.Errorf("'%s' is no collection", strings.Join(path, "/"))
	}
	if err := p.need("("); err != nil {
		return nil, err
	}
	name := p.peek()
	p.pos++
	if err := p.need(":"); err != nil {
		return nil, err
	}
	p.vars[name] = m.members
	f, err := p.or()
	delete(p.vars, name)
	if err != nil {
		return nil, err
	}
	return func(o scope) bool {
		elements, _ := lookUp(o[""], path).([]any)
		for _, x := range elements {
			if f(scope{"": o[""], name: x.(object)}) != all {
				return !all
			}
		}
		return all
	}, p.need(")")
}

func (p *parser) comparison() (test, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	op := p.peek()
	if !p.take("eq", "ne", "gt", "ge", "lt", "le") {
		if left.kind != flag {
			return nil, fmt.Errorf("a comparison is expected in $filter at '%s'", op)
		}
		return func(o scope) bool { return left.value(o) == true }, nil
	}
	right, err := p.operand()
	if err != nil {
		return nil, err
	}
	if left.kind != right.kind && !left.null && !right.null {
		return nil, fmt.Errorf("a binary operator with incompatible types was found in $filter at '%s'", op)
	}
	if left.kind == guid && op != "eq" && op != "ne" {
		return nil, fmt.Errorf("'%s' is not defined for identifiers", op)
	}
	return func(o scope) bool {
		a, b := left.value(o), right.value(o)
		n := compare(a, b)
		switch op {
		case "eq":
			return n == 0
		case "ne":
			return n != 0
		}
		if a == nil || b == nil {
			return false
		}
		switch op {
		case "gt":
			return n > 0
		case "ge":
			return n >= 0
		case "lt":
			return n < 0
		default:
			return n <= 0
		}
	}, nil
}

// operand is a literal, a member or a function of members.
type operand struct {
	kind  kind
	null  bool
	value func(scope) any
}

func (p *parser) operand() (operand, error) {
	t := p.peek()
	p.pos++
	fixed := func(k kind, v any) (operand, error) {
		return operand{kind: k, null: v == nil, value: func(scope) any { return v }}, nil
	}
	switch {
	case t == "":
		return operand{}, fmt.Errorf("an expression is expected at the end of $filter")
	case strings.HasSuffix(t, "'"):
		kindOf, quoted, _ := strings.Cut(t, "'")
		v := strings.ReplaceAll(quoted[:len(quoted)-1], "''", "'")
		switch kindOf {
		case "guid":
			return fixed(guid, strings.ToLower(v))
		case "datetime":
			if at, ok := readTime(v); ok && !strings.Contains(v, " ") {
				return fixed(stamp, at)
			}
			return operand{}, fmt.Errorf("'%s' is no datetime", v)
		}
		return fixed(text, v)
	case t == "null":
		return fixed(text, nil)
	case t == "true" || t == "false":
		return fixed(flag, t == "true")
	case t[0] == '-' || t[0] >= '0' && t[0] <= '9':
		return fixed(number, json.Number(t))
	case t == "substringof" || t == "startswith" || t == "endswith":
		return p.function(t)
	}
	path := strings.Split(t, "/")
	name := ""
	if _, ok := p.vars[path[0]]; ok && len(path) > 1 {
		name, path = path[0], path[1:]
	}
	m, err := resolve(p.vars[name], path)
	if err != nil {
		return operand{}, err
	}
	return operand{kind: m.kind, value: func(o scope) any { return lookUp(o[name], path) }}, nil
}

// function reads substringof('part', Member), startswith(Member, 'start') and endswith(Member, 'end').
func (p *parser) function(name string) (operand, error) {
	var args [2]operand
	for i, before := range []string{"(", ","} {
		if err := p.need(before); err != nil {
			return operand{}, err
		}
		var err error
		if args[i], err = p.operand(); err != nil {
			return operand{}, err
		}
	}
	return operand{kind: flag, value: func(o scope) any {
		a, okA := args[0].value(o).(string)
		b, okB := args[1].value(o).(string)
		switch {
		case !okA || !okB:
			return false
		case name == "substringof":
			return strings.Contains(b, a)
		case name == "startswith":
			return strings.HasPrefix(a, b)
		default:
			return strings.HasSuffix(a, b)
		}
	}}, p.need(")")
}
