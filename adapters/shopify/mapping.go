package shopify

import (
	"errors"
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"

	"datum/adapters"
	"datum/domain"
)

type object = adapters.Object

const (
	maxName = 255
	maxNote = 5000
)

// at follows a path through objects.
func at(o object, path ...string) object {
	for _, p := range path {
		o, _ = o[p].(object)
	}
	return o
}

// within returns a text below o.
func within(o object, path ...string) string {
	return adapters.String(at(o, path[:len(path)-1]...), path[len(path)-1])
}

// into sets a member below o, making the objects on the way.
func into(o object, v any, path ...string) {
	for _, p := range path[:len(path)-1] {
		next, _ := o[p].(object)
		if next == nil {
			next = object{}
			o[p] = next
		}
		o = next
	}
	o[path[len(path)-1]] = v
}

// list returns the objects of a list.
func list(o object, path ...string) []object {
	xs, _ := at(o, path[:len(path)-1]...)[path[len(path)-1]].([]any)
	var all []object
	for _, x := range xs {
		if m, ok := x.(object); ok {
			all = append(all, m)
		}
	}
	return all
}

// row maps a text somewhere in the object. What it sets is an input, whose members may be called otherwise.
func row(f domain.Field, limit int, note string, path []string, set ...string) adapters.Row {
	r := adapters.Row{Field: f, Paths: []string{strings.Join(path, ".")}, Note: note, Max: limit,
		Get: func(o object) domain.Value { return domain.TextValue(within(o, path...)) }}
	if len(set) > 0 {
		r.Set = func(o object, v domain.Value) error { into(o, orNil(v.Text()), set...); return nil }
	}
	return r
}

func orNil(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// refRow maps a reference, read-only.
func refRow(f domain.Field, note string, path ...string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{strings.Join(path, ".")}, Note: note, Get: func(o object) domain.Value {
		return domain.TextValue(domain.Ext(within(o, path...)))
	}}
}

// tagsRow maps tags. Shopify splits a tag at commas and knows no two that differ only in case.
func tagsRow(path ...string) adapters.Row {
	return adapters.Row{Field: "tags", Paths: []string{strings.Join(path, ".")}, Note: "no commas; at most 250 tags of 255 characters",
		Get: func(o object) domain.Value {
			parent := at(o, path[:len(path)-1]...)
			if parent == nil {
				return ""
			}
			return domain.ValueOf(parent[path[len(path)-1]])
		},
		Set: func(o object, v domain.Value) error {
			tags := []string{}
			if err := v.Decode(&tags); err != nil {
				return err
			}
			var lower []string
			for _, t := range tags {
				l := strings.ToLower(t)
				switch {
				case strings.Contains(t, ","):
					return fmt.Errorf("the tag %q would be split at its comma by Shopify", t)
				case len([]rune(t)) > maxName:
					return fmt.Errorf("a tag has more than %d characters", maxName)
				case slices.Contains(lower, l):
					return fmt.Errorf("the tag %q is there twice but for its case, which Shopify does not tell apart", t)
				}
				lower = append(lower, l)
			}
			o["tags"] = tags
			return nil
		}}
}

// noteRow maps a note.
func noteRow() adapters.Row { return row("notes", maxNote, "", []string{"note"}, "note") }

// serviceNumber is a 13, 1300 or 1800 number, which Shopify takes only with Australia's code before it.
var serviceNumber = regexp.MustCompile(`^(1300\d{6}|1800\d{6}|13\d{4})$`)

func fullPhone(p string) string {
	if serviceNumber.MatchString(p) {
		return "+61" + p
	}
	return p
}

func plainPhone(p string) string {
	if rest, ok := strings.CutPrefix(p, "+61"); ok && serviceNumber.MatchString(rest) {
		return rest
	}
	return p
}

// addressRow maps an address. Shopify has two lines: what is more goes into the second, separated by commas.
func addressRow(f domain.Field, member string, writes bool) adapters.Row {
	r := adapters.Row{Field: f, Paths: []string{member}, Note: "two lines; company and names of the address stay as they are",
		Get: func(o object) domain.Value {
			a, ok := o[member].(object)
			if !ok {
				if _, carried := o[member]; !carried {
					return ""
				}
				return domain.Null
			}
			country := within(a, "countryCodeV2")
			if country == "" {
				country = within(a, "countryCode")
			}
			d := domain.Address{Suburb: within(a, "city"), State: within(a, "provinceCode"), Postcode: within(a, "zip"), Country: country}
			for _, l := range []string{within(a, "address1"), within(a, "address2")} {
				if l != "" {
					d.Lines = append(d.Lines, l)
				}
			}
			if len(d.Lines) == 0 && d.Suburb == "" && d.Postcode == "" {
				return domain.Null // a country alone is where the shop thinks somebody is
			}
			return domain.ValueOf(d)
		}}
	if !writes {
		return r
	}
	r.Set = func(o object, v domain.Value) error {
		if v.Empty() {
			o[member] = nil
			return nil
		}
		var d domain.Address
		if err := v.Decode(&d); err != nil {
			return err
		}
		if len(d.Lines) == 0 && d.Suburb == "" && d.Postcode == "" {
			return errors.New("an address needs a line, a suburb or a postcode")
		}
		one, two := twoLines(d.Lines)
		o[member] = object{"address1": orNil(one), "address2": orNil(two), "city": orNil(d.Suburb), "provinceCode": orNil(d.State), "zip": orNil(d.Postcode), "countryCode": orNil(d.Country)}
		return nil
	}
	r.Fit = func(v domain.Value) domain.Value {
		var d domain.Address
		if v.Empty() || v.Decode(&d) != nil {
			return v
		}
		one, two := twoLines(d.Lines)
		d.Lines = nil
		for _, l := range []string{one, two} {
			if l != "" {
				d.Lines = append(d.Lines, l)
			}
		}
		if d.Country == "" {
			d.Country = "AU" // as Shopify takes it
		}
		return domain.ValueOf(d)
	}
	return r
}

func twoLines(lines []string) (one, two string) {
	if len(lines) > 0 {
		one = lines[0]
		two = strings.Join(lines[1:], ", ")
	}
	return one, two
}

var (
	lineBreak = regexp.MustCompile(`(?i)<br\s*/?>\n?|</p>\s*<p[^>]*>|</(p|div|li|h[1-6]|tr)>`)
	markup    = regexp.MustCompile(`<[^>]*>`)
)

// plainText is what HTML says, a line for each paragraph.
func plainText(s string) string {
	s = lineBreak.ReplaceAllString(strings.ReplaceAll(s, "\r", ""), "\n")
	return strings.TrimSpace(html.UnescapeString(markup.ReplaceAllString(s, "")))
}

// htmlText is text as HTML.
func htmlText(s string) string {
	return strings.ReplaceAll(html.EscapeString(s), "\n", "<br>\n")
}
