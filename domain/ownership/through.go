package ownership

import (
	"strconv"
	"strings"
	"time"

	"datum/domain"
)

// AskedFor is how long an owner is asked for a change if neither the policy nor whoever asks says otherwise.
const AskedFor = 7 * 24 * time.Hour

// AskedFor is how long the owner of a field of the kind is asked for a change unless whoever asks says otherwise.
func (p *Policy) AskedFor(k domain.Kind) time.Duration {
	for _, d := range []time.Duration{p.Kind(k).Expires, p.Expires} {
		if d != 0 {
			return d
		}
	}
	return AskedFor
}

// expires reads {expires: 7d} into d. of is the kind, "" for all.
func (p *parser) expires(e entry, of string, d *time.Duration) {
	what := "writeThrough"
	if of != "" {
		what += " of " + of
	}
	for _, m := range p.mapping(e.value, what) {
		if m.key != "expires" {
			p.add(m.line, "%s has no %q; it has expires: how long an owner is asked for a change", what, m.key)
			continue
		}
		text := p.text(m.value, "expires of "+what)
		if text == "" {
			continue
		}
		x, err := time.ParseDuration(text)
		if days, whole := strings.CutSuffix(text, "d"); whole {
			var n int
			n, err = strconv.Atoi(days)
			x = time.Duration(min(n, 1000)) * 24 * time.Hour
		}
		if err != nil || x < time.Minute || x > 366*24*time.Hour {
			p.add(m.line, "expires of %s is %q; it should be a time such as 36h or 7d, from 1m to 366d", what, text)
			continue
		}
		*d = x
	}
}

// writeExpires writes how long owners are asked.
func writeExpires(b *strings.Builder, indent string, d time.Duration) {
	if d == 0 {
		return
	}
	text := d.String()
	if d%(24*time.Hour) == 0 {
		text = strconv.Itoa(int(d/(24*time.Hour))) + "d"
	}
	b.WriteString(indent + "writeThrough: {expires: " + text + "}\n")
}

// writeMatch writes from which likeness something follows.
func writeMatch(b *strings.Builder, m Match) {
	var parts []string
	for _, x := range []struct {
		key string
		at  float64
	}{{"ask", m.Ask}, {"link", m.Link}} {
		if x.at > 0 {
			parts = append(parts, x.key+": "+strconv.FormatFloat(x.at, 'f', -1, 64))
		}
	}
	if len(parts) > 0 {
		b.WriteString("  match: {" + strings.Join(parts, ", ") + "}\n")
	}
}
