package xerosim

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/shopspring/decimal"
)

// The where parameter is a small expression language: comparisons of an element's members with literals, the text methods
// Contains, StartsWith, EndsWith, ToLower and ToUpper, joined by AND/&&, OR/||, NOT/! and brackets. A double quote inside
// text is doubled.

// Values of members are string, bool, time.Time, decimal.Decimal or nil.

// contactMembers are the members of a contact that where and order may name, in lower case.
var contactMembers = map[string]func(*contact) any{
	"contactid":       func(c *contact) any { return c.ContactID },
	"contactnumber":   func(c *contact) any { return c.ContactNumber },
	"accountnumber":   func(c *contact) any { return c.AccountNumber },
	"contactstatus":   func(c *contact) any { return c.ContactStatus },
	"name":            func(c *contact) any { return c.Name },
	"firstname":       func(c *contact) any { return c.FirstName },
	"lastname":        func(c *contact) any { return c.LastName },
	"companynumber":   func(c *contact) any { return c.CompanyNumber },
	"emailaddress":    func(c *contact) any { return c.EmailAddress },
	"taxnumber":       func(c *contact) any { return c.TaxNumber },
	"defaultcurrency": func(c *contact) any { return c.DefaultCurrency },
	"issupplier":      func(c *contact) any { return c.IsSupplier },
	"iscustomer":      func(c *contact) any { return c.IsCustomer },
	"updateddateutc":  func(c *contact) any { return c.UpdatedDateUTC.Time },
}

// parseOrder returns the order that s asks for, and by the id in the end. Without one it is by UpdatedDateUTC.
func parseOrder[T any](s, id string, members map[string]func(T) any) (func(a, b T) int, error) {
	if strings.TrimSpace(s) == "" {
		s = "UpdatedDateUTC"
	}
	var by []func(a, b T) int
	for part := range strings.SplitSeq(s, ",") {
		words := strings.Fields(part)
		if len(words) == 0 || len(words) > 2 || members[strings.ToLower(words[0])] == nil {
			return nil, fmt.Errorf("the order %q cannot be read", strings.TrimSpace(part))
		}
		get, sign := members[strings.ToLower(words[0])], 1
		if len(words) == 2 {
			switch strings.ToUpper(words[1]) {
			case "ASC", "ASCENDING":
			case "DESC", "DESCENDING":
				sign = -1
			default:
				return nil, fmt.Errorf("the order %q cannot be read", strings.TrimSpace(part))
			}
		}
		by = append(by, func(a, b T) int { n, _ := compare(get(a), get(b)); return sign * n })
	}
	last := members[strings.ToLower(id)]
	return func(a, b T) int {
		for _, f := range by {
			if n := f(a, b); n != 0 {
				return n
			}
		}
		n, _ := compare(last(a), last(b))
		return n
	}, nil
}

// compare orders two values of one type and reports whether they are of one type. Text compares exactly.
func compare(a, b any) (int, bool) {
	switch x := a.(type) {
	case string:
		y, ok := b.(string)
		return cmp.Compare(x, y), ok
	case bool:
		y, ok := b.(bool)
		switch {
		case x == y:
			return 0, ok
		case y:
			return -1, ok
		default:
			return 1, ok
		}
	case time.Time:
		y, ok := b.(time.Time)
		return x.Compare(y), ok
	case decimal.Decimal:
		y, ok := b.(decimal.Decimal)
		return x.Compare(y), ok
	}
	return 0, false
}

type whereParser[T any] struct {
	typ     string // the element's type, for messages
	members map[string]func(T) any
	tokens  []string
	pos     int
}

// parseWhere returns the condition, nil if there is none.
func parseWhere[T any](s, typ string, members map[string]func(T) any) (func(T) bool, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	tokens, err := lex(s)
	if err != nil {
		return nil, err
	}
	p := &whereParser[T]{typ: typ, members: members, tokens: tokens}
	f, err := p.or()
	if err == nil && p.pos < len(p.tokens) {
		err = fmt.Errorf("syntax error at '%s'", p.peek())
	}
	return f, err
}

// lex splits into words, numbers, quoted text (with its quotes) and operators.
func lex(s string) ([]string, error) {
	var tokens []string
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '"':
			j := i + 1
			for {
				k := strings.IndexByte(s[j:], '"')
				if k < 0 {
					return nil, fmt.Errorf("unterminated string literal")
				}
				if j += k + 1; j >= len(s) || s[j] != '"' {
					break
				}
				j++
			}
			tokens = append(tokens, s[i:j])
			i = j
		case strings.Contains("== != <> <= >= && ||", s[i:min(i+2, len(s))]) && i+2 <= len(s) && s[i+1] != ' ':
			tokens = append(tokens, s[i:i+2])
			i += 2
		case strings.ContainsRune("()=<>!,.", rune(c)):
			tokens = append(tokens, string(c))
			i++
		default:
			j := strings.IndexFunc(s[i:], func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' })
			if j == 0 {
				return nil, fmt.Errorf("syntax error '%s'", string(c))
			}
			if j < 0 {
				j = len(s) - i
			}
			tokens = append(tokens, s[i:i+j])
			i += j
		}
	}
	return tokens, nil
}

func (p *whereParser[T]) peek() string {
	if p.pos < len(p.tokens) {
		return p.tokens[p.pos]
	}
	return ""
}

func (p *whereParser[T]) take(any ...string) bool {
	for _, t := range any {
		if strings.EqualFold(p.peek(), t) && p.pos < len(p.tokens) {
			p.pos++
			return true
		}
	}
	return false
}

func (p *whereParser[T]) need(t string) error {
	if !p.take(t) {
		return fmt.Errorf("'%s' expected at '%s'", t, p.peek())
	}
	return nil
}

func (p *whereParser[T]) or() (func(T) bool, error) {
	left, err := p.and()
	for err == nil && p.take("OR", "||") {
		var right func(T) bool
		l := left
		right, err = p.and()
		left = func(c T) bool { return l(c) || right(c) }
	}
	return left, err
}

func (p *whereParser[T]) and() (func(T) bool, error) {
	left, err := p.not()
	for err == nil && p.take("AND", "&&") {
		var right func(T) bool
		l := left
		right, err = p.not()
		left = func(c T) bool { return l(c) && right(c) }
	}
	return left, err
}

func (p *whereParser[T]) not() (func(T) bool, error) {
	if p.take("NOT", "!") {
		f, err := p.not()
		return func(c T) bool { return !f(c) }, err
	}
	if p.take("(") {
		f, err := p.or()
		if err != nil {
			return nil, err
		}
		return f, p.need(")")
	}
	return p.comparison()
}

func (p *whereParser[T]) comparison() (func(T) bool, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	op := p.peek()
	switch op {
	case "==", "=", "!=", "<>", "<", "<=", ">", ">=":
		p.pos++
	default:
		return func(c T) bool { b, _ := left(c).(bool); return b }, nil
	}
	right, err := p.operand()
	if err != nil {
		return nil, err
	}
	return func(c T) bool {
		a, b := left(c), right(c)
		// An empty member is null.
		if a == nil || b == nil {
			if a == nil {
				a = b
			}
			empty := a == nil || a == ""
			return empty == (op == "==" || op == "=")
		}
		n, ok := compare(a, b)
		switch op {
		case "==", "=":
			return ok && n == 0
		case "!=", "<>":
			return !ok || n != 0
		case "<":
			return ok && n < 0
		case "<=":
			return ok && n <= 0
		case ">":
			return ok && n > 0
		default:
			return ok && n >= 0
		}
	}, nil
}

// operand is a literal or a member with methods.
func (p *whereParser[T]) operand() (func(T) any, error) {
	t := p.peek()
	p.pos++
	switch {
	case t == "":
		return nil, fmt.Errorf("expression expected")
	case t[0] == '"':
		v := unquote(t)
		return func(T) any { return v }, nil
	case strings.EqualFold(t, "null"):
		return func(T) any { return nil }, nil
	case strings.EqualFold(t, "true"), strings.EqualFold(t, "false"):
		v := strings.EqualFold(t, "true")
		return func(T) any { return v }, nil
	case strings.EqualFold(t, "Guid"):
		if err := p.need("("); err != nil {
			return nil, err
		}
		v := strings.ToLower(unquote(p.peek()))
		p.pos++
		return func(T) any { return v }, p.need(")")
	case strings.EqualFold(t, "DateTime"):
		v, err := p.dateTime()
		return func(T) any { return v }, err
	}
	if d, err := decimal.NewFromString(t); err == nil && unicode.IsDigit(rune(t[0])) {
		if p.peek() == "." && p.pos+1 < len(p.tokens) { // the point is a token of its own
			if d, err = decimal.NewFromString(t + "." + p.tokens[p.pos+1]); err != nil {
				return nil, fmt.Errorf("syntax error at '%s'", t)
			}
			p.pos += 2
		}
		return func(T) any { return d }, nil
	}
	get := p.members[strings.ToLower(t)]
	for get == nil && p.peek() == "." && p.pos+1 < len(p.tokens) { // Contact.ContactID
		t += "." + p.tokens[p.pos+1]
		p.pos += 2
		get = p.members[strings.ToLower(t)]
	}
	if get == nil {
		return nil, fmt.Errorf("no property or field '%s' exists in type '%s'", t, p.typ)
	}
	for p.take(".") {
		method := strings.ToLower(p.peek())
		p.pos++
		if err := p.need("("); err != nil {
			return nil, err
		}
		arg := ""
		if a := p.peek(); strings.HasPrefix(a, `"`) {
			arg = unquote(a)
			p.pos++
		}
		if err := p.need(")"); err != nil {
			return nil, err
		}
		inner := get
		str := func(c T) string { v, _ := inner(c).(string); return v }
		switch method {
		case "tolower":
			get = func(c T) any { return strings.ToLower(str(c)) }
		case "toupper":
			get = func(c T) any { return strings.ToUpper(str(c)) }
		case "contains":
			get = func(c T) any { return strings.Contains(str(c), arg) }
		case "startswith":
			get = func(c T) any { return strings.HasPrefix(str(c), arg) }
		case "endswith":
			get = func(c T) any { return strings.HasSuffix(str(c), arg) }
		default:
			return nil, fmt.Errorf("no applicable method '%s' exists in type 'String'", method)
		}
	}
	return get, nil
}

func (p *whereParser[T]) dateTime() (time.Time, error) {
	if err := p.need("("); err != nil {
		return time.Time{}, err
	}
	parts := []int{0, 1, 1, 0, 0, 0}
	n := 0
	for n < len(parts) {
		v, err := strconv.Atoi(p.peek())
		if err != nil {
			return time.Time{}, fmt.Errorf("a number is expected in DateTime at '%s'", p.peek())
		}
		parts[n] = v
		n++
		p.pos++
		if !p.take(",") {
			break
		}
	}
	if n < 3 {
		return time.Time{}, fmt.Errorf("DateTime needs a year, a month and a day")
	}
	return time.Date(parts[0], time.Month(parts[1]), parts[2], parts[3], parts[4], parts[5], 0, time.UTC), p.need(")")
}

func unquote(t string) string {
	if len(t) < 2 || t[0] != '"' {
		return t
	}
	return strings.ReplaceAll(t[1:len(t)-1], `""`, `"`)
}
