package adapters

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v3"

	"datum/domain"
)

// Problem is one thing that is wrong with a mapping document.
type Problem struct {
	Line    int // from 1
	Message string
}

// Problems are all that is wrong with a mapping document, by line. Find them in an error with errors.As.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = fmt.Sprintf("line %d: %s", p.Line, p.Message)
	}
	return strings.Join(lines, "\n")
}

func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int { return a.Line - b.Line })
	return &domain.Error{Code: domain.Invalid, Message: "the mapping document cannot be used:\n" + ps.Error(), Err: ps}
}

// ParseOverlay reads a mapping document, YAML. The error is Invalid and wraps Problems: everything that is wrong with it in itself,
// each with its line. CheckOverlay compares it with a vendor.
//
//	Customer:
//	  fields:
//	    abn: {path: TaxId}                       # another path than the mapping's; {paths: {old: new}} where it has several
//	  custom:
//	    region: {path: sales_region, type: text, direction: both}
//	  values:
//	    status: {On hold: ARCHIVED}              # further words for values
//	  defaults: {AccountNumber: DATUM}           # written where nothing stands
//	  ignore: [Colour]                           # no drift
func ParseOverlay(src []byte) (Overlay, error) {
	return parseOverlay(src, nil)
}

// CheckOverlay reads a mapping document for an account with the mappings, which are its vendor's own.
func CheckOverlay(src []byte, ms []Mapping) (Overlay, error) {
	return parseOverlay(src, ms)
}

func parseOverlay(src []byte, ms []Mapping) (Overlay, error) {
	p := &overlayParser{o: Overlay{}, ms: ms}
	d := yaml.NewDecoder(strings.NewReader(string(src)))
	var doc, second yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return p.o, nil // nothing differs
	case err != nil:
		p.syntax(err)
	case doc.Content[0].ShortTag() == "!!null":
	default:
		for _, e := range p.entries(doc.Content[0], "the document") {
			p.kind(e)
		}
		if err := d.Decode(&second); err == nil {
			p.add(second.Line, "there is a second document; a mapping is one")
		} else if !errors.Is(err, io.EOF) {
			p.syntax(err)
		}
	}
	if err := p.problems.err(); err != nil {
		return nil, err
	}
	return p.o, nil
}

type overlayParser struct {
	o        Overlay
	ms       []Mapping // nil: not compared
	problems Problems
}

type overlayEntry struct {
	key   string
	line  int
	value *yaml.Node
}

func (p *overlayParser) add(line int, format string, args ...any) {
	p.problems = append(p.problems, Problem{Line: max(line, 1), Message: fmt.Sprintf(format, args...)})
}

var yamlLine = regexp.MustCompile(`^yaml: line (\d+): `)

func (p *overlayParser) syntax(err error) {
	msg, line := err.Error(), 1
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = msg[len(m[0]):]
	}
	p.add(line, "not YAML: %s", strings.TrimPrefix(msg, "yaml: "))
}

func (p *overlayParser) entries(n *yaml.Node, what string) []overlayEntry {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.MappingNode {
		p.add(n.Line, "%s should be a mapping (name: value)", what)
		return nil
	}
	var es []overlayEntry
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if k.Kind != yaml.ScalarNode {
			p.add(k.Line, "a key of %s is not a name", what)
			continue
		}
		if first, ok := seen[k.Value]; ok {
			p.add(k.Line, "%s has %q twice, first on line %d", what, k.Value, first)
			continue
		}
		seen[k.Value] = k.Line
		es = append(es, overlayEntry{k.Value, k.Line, n.Content[i+1]})
	}
	return es
}

// scalar returns a plain value, false with a problem if it is none.
func (p *overlayParser) scalar(n *yaml.Node, what string) (string, bool) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" || n.Value == "" {
		p.add(n.Line, "%s should be one word or number", what)
		return "", false
	}
	return n.Value, true
}

// path returns a vendor path that can be written to.
func (p *overlayParser) path(n *yaml.Node, what string) (string, bool) {
	s, ok := p.scalar(n, what)
	if !ok {
		return "", false
	}
	steps, err := ParsePath(s)
	if err != nil {
		p.add(n.Line, "%v", err)
		return "", false
	}
	if steps[len(steps)-1].List {
		p.add(n.Line, "%q is an element of a list; name one of its members", s)
		return "", false
	}
	return s, true
}

func (p *overlayParser) kind(e overlayEntry) {
	ki, ok := domain.Kind(e.key).Info()
	if !ok {
		p.add(e.line, "%q is no kind; kinds are Customer, Product, Invoice and so on", e.key)
		return
	}
	var m *Mapping
	if p.ms != nil {
		if m = (Vendor{Mapping: p.ms}).Carried(ki.Kind); m == nil {
			p.add(e.line, "the system does not carry %s", e.key)
			return
		}
	}
	k := &KindOverlay{Paths: map[domain.Field]map[string]string{}, Values: map[domain.Field]map[string]string{}, Defaults: map[string]any{}}
	p.o[ki.Kind] = k
	for _, part := range p.entries(e.value, e.key) {
		switch part.key {
		case "fields":
			for _, f := range p.entries(part.value, "fields") {
				p.field(k, ki, m, f)
			}
		case "custom":
			p.custom(k, ki, part)
		case "values":
			for _, f := range p.entries(part.value, "values") {
				p.values(k, ki, m, f)
			}
		case "defaults":
			for _, d := range p.entries(part.value, "defaults") {
				p.byDefault(k, d)
			}
		case "ignore":
			if part.value.Kind != yaml.SequenceNode {
				p.add(part.line, "ignore should be a list: [Colour, Shape]")
				continue
			}
			for _, n := range part.value.Content {
				if s, ok := p.scalar(n, "a member to ignore"); ok && strings.ContainsAny(s, ".[]") {
					p.add(n.Line, "%q: name the member at the top, without what is below it", s)
				} else if ok {
					k.Ignore = append(k.Ignore, s)
				}
			}
		default:
			p.add(part.line, "%q is none of fields, custom, values, defaults and ignore", part.key)
		}
	}
}

// row returns the mapping's row of a field; false with a problem if the field is none, or is not carried.
func (p *overlayParser) row(ki domain.KindInfo, m *Mapping, f overlayEntry) (*Row, bool) {
	if _, ok := ki.Field(domain.Field(f.key)); !ok {
		p.add(f.line, "%s has no field %q", ki.Kind, f.key)
		return nil, false
	}
	if m == nil {
		return nil, true
	}
	r := m.Row(domain.Field(f.key))
	if r == nil {
		p.add(f.line, "the system does not carry %s; make it a custom field", f.key)
	}
	return r, r != nil
}

func (p *overlayParser) field(k *KindOverlay, ki domain.KindInfo, m *Mapping, f overlayEntry) {
	r, ok := p.row(ki, m, f)
	if !ok {
		return
	}
	to := map[string]string{}
	for _, e := range p.entries(f.value, f.key) {
		switch e.key {
		case "path":
			path, ok := p.path(e.value, "path")
			switch {
			case !ok:
			case r != nil && len(r.Paths) != 1:
				p.add(e.line, "%s is made of %s: say which with paths: {%s: ...}", f.key, strings.Join(r.Paths, ", "), r.Paths[0])
			case r != nil:
				to[r.Paths[0]] = path
			default:
				to[anyPath] = path
			}
		case "paths":
			for _, pp := range p.entries(e.value, "paths") {
				path, ok := p.path(pp.value, "a path")
				if r != nil && !slices.Contains(r.Paths, pp.key) {
					p.add(pp.line, "%s is not made of %q but of %s", f.key, pp.key, strings.Join(r.Paths, ", "))
				} else if ok {
					to[pp.key] = path
				}
			}
		default:
			p.add(e.line, "%q is neither path nor paths; the conversion stays the mapping's own", e.key)
		}
	}
	for from := range to {
		if steps, err := ParsePath(from); from != anyPath && (err != nil || steps[len(steps)-1].List) {
			p.add(f.line, "%s stands in an element of a list (%s) and cannot be read from elsewhere", f.key, from)
			return
		}
	}
	k.Paths[domain.Field(f.key)] = to
}

// anyPath stands for the one path of a field until the vendor's mapping says which that is.
const anyPath = "*"

var customName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,49}$`)

func (p *overlayParser) custom(k *KindOverlay, ki domain.KindInfo, part overlayEntry) {
	if _, ok := ki.Field(customFields); !ok {
		p.add(part.line, "%s has no custom fields", ki.Kind)
		return
	}
	for _, f := range p.entries(part.value, "custom") {
		c := Custom{Name: f.key, Type: "text"}
		if !customName.MatchString(f.key) {
			p.add(f.line, "%q is no name of a custom field: letters, digits and _, at most 50, a letter first", f.key)
			continue
		}
		for _, e := range p.entries(f.value, f.key) {
			switch e.key {
			case "path":
				c.Path, _ = p.path(e.value, "path")
			case "type":
				if c.Type, _ = p.scalar(e.value, "type"); !slices.Contains(CustomTypes, c.Type) {
					p.add(e.line, "type %q is none of %s", c.Type, strings.Join(CustomTypes, ", "))
				}
			case "direction":
				d, _ := p.scalar(e.value, "direction")
				if c.ReadOnly = d == "read"; d != "read" && d != "both" {
					p.add(e.line, "direction %q is neither both nor read", d)
				}
			default:
				p.add(e.line, "%q is none of path, type and direction", e.key)
			}
		}
		if c.Path == "" {
			p.add(f.line, "%s needs the vendor's path", f.key)
			continue
		}
		if len(k.Custom) > 0 && k.Custom[0].ReadOnly != c.ReadOnly {
			p.add(f.line, "%s and %s have different directions; what a system may write of customFields is one decision", k.Custom[0].Name, c.Name)
		}
		k.Custom = append(k.Custom, c)
	}
}

func (p *overlayParser) values(k *KindOverlay, ki domain.KindInfo, m *Mapping, f overlayEntry) {
	if _, ok := p.row(ki, m, f); !ok {
		return
	}
	fi, _ := ki.Field(domain.Field(f.key))
	if fi.Type != domain.TypeEnum {
		p.add(f.line, "%s can have any value; only fields with a list of values have words for them", f.key)
		return
	}
	words := map[string]string{}
	for _, e := range p.entries(f.value, f.key) {
		to, ok := p.scalar(e.value, "a value")
		if ok && !slices.Contains(fi.Enum, to) {
			p.add(e.line, "%s cannot be %q; it is one of %s", f.key, to, strings.Join(fi.Enum, ", "))
		} else if ok {
			words[e.key] = to
		}
	}
	k.Values[fi.Name] = words
}

func (p *overlayParser) byDefault(k *KindOverlay, d overlayEntry) {
	steps, err := ParsePath(d.key)
	if err != nil || steps[len(steps)-1].List {
		p.add(d.line, "%q is no path that can be written to", d.key)
		return
	}
	if _, ok := p.scalar(d.value, "a default"); !ok {
		return
	}
	var v any
	if err := d.value.Decode(&v); err != nil {
		p.add(d.line, "the default for %s cannot be read", d.key)
		return
	}
	switch v.(type) {
	case string, bool, int, int64, uint64:
	default:
		v = d.value.Value // a decimal stays as it is written
	}
	k.Defaults[d.key] = v
}

// DocumentPath names what stands on a line of a YAML document, such as Customer.fields.abn, as far as that can be told.
func DocumentPath(src []byte, line int) string {
	var doc yaml.Node
	if yaml.Unmarshal(src, &doc) != nil || len(doc.Content) == 0 {
		return ""
	}
	var path []string
	for n := doc.Content[0]; n.Kind == yaml.MappingNode; {
		at, here := -1, 0
		for i := 0; i+1 < len(n.Content) && n.Content[i].Line <= line; i += 2 {
			if at = i; n.Content[i].Line == line {
				here++
			}
		}
		if at < 0 || here > 1 { // several on one line: which one is meant, the message says
			break
		}
		path = append(path, n.Content[at].Value)
		if here == 1 {
			break
		}
		n = n.Content[at+1]
	}
	return strings.Join(path, ".")
}
