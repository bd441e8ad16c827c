package shopifysim

import (
	"strings"
	"time"
	"unicode"
)

// A search has terms such as updated_at:>='2026-07-01T00:00:00Z', sku:"AB 1", -tag:old or plain words, joined by AND (also
// unsaid), OR, NOT and parentheses. A field that Shopify does not know is ignored, as Shopify does: the term finds everything.

// term is one condition; field "" is plain text.
type term struct{ field, op, value string }

// filter decides about one object by asking what its terms say about it.
type filter func(is func(t term) bool) bool

type searchParser struct {
	words []string
	at    int
}

func parseSearch(query string) filter {
	p := &searchParser{words: searchWords(query)}
	if len(p.words) == 0 {
		return func(func(term) bool) bool { return true }
	}
	return p.or()
}

// searchWords splits at spaces and parentheses outside quotes.
func searchWords(q string) []string {
	var words []string
	var b strings.Builder
	flush := func() {
		if b.Len() > 0 {
			words = append(words, b.String())
			b.Reset()
		}
	}
	var quote rune
	escaped := false
	for _, c := range q {
		switch {
		case escaped:
			b.WriteRune(c)
			escaped = false
		case c == '\\':
			b.WriteRune(c)
			escaped = true
		case quote != 0:
			b.WriteRune(c)
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			b.WriteRune(c)
			quote = c
		case unicode.IsSpace(c):
			flush()
		case c == '(' || c == ')':
			flush()
			words = append(words, string(c))
		default:
			b.WriteRune(c)
		}
	}
	flush()
	return words
}

func (p *searchParser) peek() string {
	if p.at < len(p.words) {
		return p.words[p.at]
	}
	return ""
}

func (p *searchParser) or() filter {
	left := p.and()
	for p.peek() == "OR" {
		p.at++
		a, b := left, p.and()
		left = func(is func(term) bool) bool { return a(is) || b(is) }
	}
	return left
}

func (p *searchParser) and() filter {
	left := p.not()
	for {
		switch p.peek() {
		case "", "OR", ")":
			return left
		case "AND":
			p.at++
		}
		a, b := left, p.not()
		left = func(is func(term) bool) bool { return a(is) && b(is) }
	}
}

func (p *searchParser) not() filter {
	w := p.peek()
	p.at++
	switch {
	case w == "NOT":
		f := p.not()
		return func(is func(term) bool) bool { return !f(is) }
	case w == "(":
		f := p.or()
		p.at++ // the closing parenthesis
		return f
	case strings.HasPrefix(w, "-") && len(w) > 1:
		t := readTerm(w[1:])
		return func(is func(term) bool) bool { return !is(t) }
	default:
		t := readTerm(w)
		return func(is func(term) bool) bool { return is(t) }
	}
}

func readTerm(w string) term {
	t := term{op: "="}
	if i := strings.IndexByte(w, ':'); i > 0 && !strings.ContainsAny(w[:i], `"'`) {
		t.field, w = strings.ToLower(w[:i]), w[i+1:]
	}
	for _, op := range []string{">=", "<=", ">", "<"} {
		if strings.HasPrefix(w, op) {
			t.op, w = op, w[len(op):]
			break
		}
	}
	if n := len(w); n >= 2 && (w[0] == '"' || w[0] == '\'') && w[n-1] == w[0] {
		w = w[1 : n-1]
	}
	t.value = strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\'`, `'`, `\:`, `:`).Replace(w)
	return t
}

// number compares an id.
func (t term) number(n int64) bool {
	v := number(t.value)
	if i := strings.LastIndexByte(t.value, '/'); i >= 0 {
		v = number(t.value[i+1:])
	}
	switch t.op {
	case ">=":
		return n >= v
	case "<=":
		return n <= v
	case ">":
		return n > v
	case "<":
		return n < v
	}
	return n == v
}

// time compares a time; a value that is none finds nothing.
func (t term) time(x time.Time) bool {
	v, err := time.Parse(time.RFC3339, t.value)
	if err != nil {
		if v, err = time.Parse(time.DateOnly, t.value); err != nil {
			return false
		}
	}
	switch t.op {
	case ">=":
		return !x.Before(v)
	case "<=":
		return !x.After(v)
	case ">":
		return x.After(v)
	case "<":
		return x.Before(v)
	}
	return x.Equal(v)
}

// text compares without case; a star at the end stands for anything.
func (t term) text(values ...string) bool {
	want := strings.ToLower(t.value)
	for _, v := range values {
		v = strings.ToLower(v)
		if head, ok := strings.CutSuffix(want, "*"); ok && strings.HasPrefix(v, head) || v == want {
			return true
		}
	}
	return false
}

// common answers the terms that every object has.
func (t term) common(m *meta, indexed time.Time) (found, known bool) {
	switch t.field {
	case "id":
		return t.number(m.id), true
	case "updated_at":
		return t.time(indexed), true
	case "created_at":
		return t.time(m.created), true
	}
	return true, t.field != ""
}

// find searches objects: those that the index sees, in its order.
func find[T interface{ base() *meta }](s *Sim, all []T, a args, typ string, matches func(o T, t term) (found, known bool), show func(T) *node) conn {
	f, horizon := parseSearch(a.str("query")), s.horizon()
	searching := a.str("query") != "" || a.str("sortKey") == "UPDATED_AT"
	var c conn
	for _, o := range all {
		m := o.base()
		at, seen := m.indexed(horizon)
		if !searching {
			at, seen = m.updated, true
		}
		if !seen {
			continue
		}
		ok := f(func(t term) bool {
			if found, known := matches(o, t); known {
				return found
			}
			found, known := t.common(m, at)
			return found && (known || t.field == "")
		})
		if !ok {
			continue
		}
		key := ""
		switch a.str("sortKey") {
		case "UPDATED_AT":
			key = at.UTC().Format(time.RFC3339)
		case "CREATED_AT", "PROCESSED_AT":
			key = m.created.UTC().Format(time.RFC3339)
		}
		c = append(c, item{key: key, id: m.id, make: func() *node { return show(o) }})
	}
	sortConn(c)
	return c
}
