package ownership

import (
	_ "embed"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	yaml "go.yaml.in/yaml/v3"

	"datum/domain"
	"datum/domain/money"
)

//go:embed default.yaml
var defaultSource string

// DefaultSource returns the YAML of the policy that is in force until the business publishes its own.
func DefaultSource() string { return defaultSource }

// Default returns the default policy.
func Default() *Policy {
	p, err := Parse([]byte(defaultSource))
	if err != nil {
		panic("ownership.Default: " + err.Error()) // the document is built in
	}
	return p
}

// Problem is one thing that is wrong with a policy.
type Problem struct {
	Line    int // of the document, from 1; 0 if nothing stands there
	Message string
}

// String returns "line 12: …".
func (p Problem) String() string {
	if p.Line == 0 {
		return p.Message
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Message)
}

// Problems are all that is wrong with a policy, by line. Find them in an error with errors.As.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// err returns the problems as an Invalid error, nil if there are none.
func (ps Problems) err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int { return a.Line - b.Line })
	return &domain.Error{Code: domain.Invalid, Message: "the policy cannot be used:\n" + ps.Error(), Err: ps}
}

// Parse reads a policy document. The error is Invalid and wraps Problems: everything that is wrong with the document in
// itself, each with its line. A policy that Parse returns is consistent: its kinds, fields, stages and conditions exist,
// its systems are declared, and each field has an owner at each stage. Check compares it with the world around it.
func Parse(src []byte) (*Policy, error) {
	p := &parser{policy: &Policy{Kinds: map[domain.Kind]*KindPolicy{}, lines: map[string]int{}}}
	d := yaml.NewDecoder(strings.NewReader(string(src)))
	var doc, second yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		p.add(1, "the document is empty")
	case err != nil:
		p.syntax(err)
	default:
		p.document(doc.Content[0])
		if err := d.Decode(&second); err == nil {
			p.add(second.Line, "there is a second document; a policy is one")
		} else if !errors.Is(err, io.EOF) {
			p.syntax(err)
		}
	}
	if err := p.problems.err(); err != nil {
		return nil, err
	}
	return p.policy, nil
}

type parser struct {
	policy   *Policy
	problems Problems
}

func (p *parser) add(line int, format string, args ...any) {
	p.problems = append(p.problems, Problem{Line: line, Message: fmt.Sprintf(format, args...)})
}

// The YAML package says only in words where a document does not parse. It may name the line before.
var syntaxLine = regexp.MustCompile(`^yaml: line (\d+): `)

func (p *parser) syntax(err error) {
	msg, line := err.Error(), 1
	if m := syntaxLine.FindStringSubmatch(msg); m != nil {
		line, _ = strconv.Atoi(m[1])
		msg = msg[len(m[0]):]
	}
	p.add(line, "not YAML: %s", strings.TrimPrefix(msg, "yaml: "))
}

// entry is one key of a mapping with its value.
type entry struct {
	key   string
	line  int
	value *yaml.Node
}

// mapping returns the entries of a mapping in the order of the document. Keys given twice are a problem: YAML would
// silently let the last one win.
func (p *parser) mapping(n *yaml.Node, what string) []entry {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		p.add(n.Line, "%s should be a mapping (name: value)", what)
		return nil
	}
	var es []entry
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := resolve(n.Content[i])
		if k.Kind != yaml.ScalarNode {
			p.add(k.Line, "a key of %s is not a name", what)
			continue
		}
		if first, ok := seen[k.Value]; ok {
			p.add(k.Line, "%s has %q twice, first on line %d", what, k.Value, first)
			continue
		}
		seen[k.Value] = k.Line
		es = append(es, entry{k.Value, k.Line, n.Content[i+1]})
	}
	return es
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// text returns a plain value, "" with a problem if it is none.
func (p *parser) text(n *yaml.Node, what string) string {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" || n.Value == "" {
		p.add(n.Line, "%s should be one word", what)
		return ""
	}
	return n.Value
}

func (p *parser) document(n *yaml.Node) {
	es := p.mapping(n, "the document")
	// The systems come first, wherever they stand: all else names them.
	for _, e := range es {
		if e.key == "systems" {
			p.systems(e)
		}
	}
	if len(p.policy.Systems) == 0 {
		p.add(1, "no systems: say which there are, for example systems: {crm: hubspot, accounting: xero}")
	}
	for _, e := range es {
		switch e.key {
		case "systems":
			continue
		case "flows":
			p.flows(e)
			continue
		case "numbers":
			p.numbers(e)
			continue
		case "gst":
			p.gst(e)
			continue
		case "brake":
			p.brake(e)
			continue
		case "writeThrough":
			p.expires(e, "", &p.policy.Expires)
			continue
		}
		ki, ok := domain.Kind(e.key).Info()
		if !ok {
			p.add(e.line, "%q is neither systems, flows, numbers, gst, brake, writeThrough nor a kind (%s)", e.key, strings.Join(kindNames(), ", "))
			continue
		}
		p.kind(ki, e)
	}
	if !slices.ContainsFunc(es, func(e entry) bool { return e.key == string(domain.KindCustomer) }) {
		p.add(0, "%s is missing: nobody would own it", domain.KindCustomer)
	}
}

// flows reads {as: ops, quote_to_invoice: on, ...}.
func (p *parser) flows(e entry) {
	f := Flows{On: map[Flow]bool{}}
	for _, m := range p.mapping(e.value, "flows") {
		if m.key == "as" {
			if f.As = p.system(m.value, "as of flows"); f.As != "" && p.policy.Adapter(f.As) != Native {
				p.add(m.line, "flows write for a %s system, and %s is not", Native, f.As)
			}
			continue
		}
		if !slices.Contains(AllFlows(), Flow(m.key)) {
			p.add(m.line, "there is no flow %q; there are %s", m.key, join(AllFlows()))
			continue
		}
		switch v := p.text(m.value, m.key); v {
		case "":
		case "on", "off":
			f.On[Flow(m.key)] = v == "on"
		default:
			p.add(m.line, "%s is %q; it can be on or off", m.key, v)
		}
	}
	if f.As == "" {
		p.add(e.line, "flows need as: the %s system that they write for", Native)
	}
	p.policy.Flows = f
}

// numbers reads {Invoice: {prefix: INV-, digits: 5}}.
func (p *parser) numbers(e entry) {
	p.policy.Numbers = map[domain.Kind]Number{}
	for _, m := range p.mapping(e.value, "numbers") {
		ki, ok := domain.Kind(m.key).Info()
		if _, has := ki.Field("number"); !ok || !has {
			p.add(m.line, "numbers: %q is not a kind that has numbers", m.key)
			continue
		}
		n := Number{Digits: 5}
		for _, x := range p.mapping(m.value, "numbers of "+m.key) {
			switch x.key {
			case "prefix":
				if n.Prefix = p.text(x.value, "prefix of "+m.key); len(n.Prefix) > 8 {
					p.add(x.line, "the prefix %q is longer than 8: MYOB's invoice numbers have 13 characters in all", n.Prefix)
				}
			case "digits":
				d, err := strconv.Atoi(p.text(x.value, "digits of "+m.key))
				if err != nil || d < 1 || d > 12 {
					p.add(x.line, "digits of %s should be a number from 1 to 12", m.key)
				}
				n.Digits = d
			default:
				p.add(x.line, "numbers of %s have no %q; they have prefix and digits", m.key, x.key)
			}
		}
		p.policy.Numbers[ki.Kind] = n
	}
}

// gst reads the rule by which Datum rounds GST: s 9-90 allows both.
func (p *parser) gst(e entry) {
	switch r := p.text(e.value, "gst"); r {
	case "":
	case "per_line":
		p.policy.GST = money.PerLine
	case "per_invoice":
		p.policy.GST = money.PerInvoice
	default:
		p.add(e.line, "gst is %q; it can be per_line or per_invoice", r)
	}
}

func join[T ~string](list []T) string {
	s := make([]string, len(list))
	for i, x := range list {
		s[i] = string(x)
	}
	return strings.Join(s, ", ")
}

func kindNames() []string {
	var names []string
	for _, ki := range domain.KindsAll() {
		names = append(names, string(ki.Kind))
	}
	return names
}

// System and adapter names stand in URLs, metrics and environment variables.
var systemName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,30}$`)

func (p *parser) systems(e entry) {
	for _, s := range p.mapping(e.value, "systems") {
		p.policy.lines["systems."+s.key] = s.line
		if !systemName.MatchString(s.key) || s.key == "null" {
			p.add(s.line, "%q cannot be the name of a system: use small letters, digits and _, at most 31", s.key)
			continue
		}
		if adapter := p.text(s.value, "the adapter of "+s.key); adapter == "" {
			continue
		} else if !systemName.MatchString(adapter) {
			p.add(s.line, "%q cannot be the name of an adapter", adapter)
		} else {
			p.policy.Systems = append(p.policy.Systems, System{Name: s.key, Adapter: adapter})
		}
	}
}

// system returns the name of a declared system.
func (p *parser) system(n *yaml.Node, what string) string {
	s := p.text(n, what)
	if s != "" && p.policy.Adapter(s) == "" {
		p.add(n.Line, "%s: there is no system %q", what, s)
		return ""
	}
	return s
}

// systemList returns a list of distinct systems, never nil.
func (p *parser) systemList(n *yaml.Node, what string) []string {
	n = resolve(n)
	list := []string{}
	if n.Kind != yaml.SequenceNode {
		p.add(n.Line, "%s should be a list of systems, such as [crm, shop]", what)
		return list
	}
	for _, c := range n.Content {
		s := p.system(c, what)
		switch {
		case s == "":
		case slices.Contains(list, s):
			p.add(c.Line, "%s names %s twice", what, s)
		default:
			list = append(list, s)
		}
	}
	return list
}

func (p *parser) kind(ki domain.KindInfo, e entry) {
	name := string(ki.Kind)
	kp := &KindPolicy{Kind: ki.Kind, Replicate: map[string]Condition{}, Fields: map[domain.Field]Rule{}, Stages: map[string]map[domain.Field]Rule{}}
	p.policy.Kinds[ki.Kind] = kp
	p.policy.lines[name] = e.line
	before := len(p.problems)
	for _, m := range p.mapping(e.value, name) {
		p.policy.lines[name+"."+m.key] = m.line
		switch m.key {
		case "owner":
			kp.Owner = p.system(m.value, "owner of "+name)
		case "create":
			if kp.Create = p.systemList(m.value, "create of "+name); len(kp.Create) == 0 {
				p.add(m.line, "create of %s names no system: there would never be any %s", name, name)
			}
		case "replicate":
			p.replicate(kp, m)
		case "fields":
			kp.Fields = p.rules(ki, m, name+".fields", "")
		case "stages":
			p.stages(ki, kp, m)
		case "match":
			p.match(kp, m)
		case "writeThrough":
			p.expires(m, name, &kp.Expires)
		default:
			p.add(m.line, "%s has no %q; it has owner, create, replicate, fields, stages, match and writeThrough", name, m.key)
		}
	}
	if kp.Create == nil {
		p.add(e.line, "%s has no create: say which systems' new objects become a %s", name, name)
	}
	if len(p.problems) > before {
		return // what follows would repeat them
	}
	for _, fi := range ki.Fields {
		for _, stage := range append([]string{""}, ki.Stages...) {
			said := kp.Stages[stage][fi.Name]
			if stage == "" {
				said = kp.Fields[fi.Name]
			}
			owner := kp.Rule(fi.Name, stage).Owner
			if owner == "" {
				p.add(e.line, "nobody owns %s of %s: give %s an owner, or the field a rule", fi.Name, name, name)
				break
			}
			if slices.Contains(said.Fallback, owner) {
				p.add(p.policy.line(name, fi.Name, stage), "%s owns %s of %s and cannot be its fallback too", owner, fi.Name, name)
			}
		}
	}
}

func (p *parser) replicate(kp *KindPolicy, e entry) {
	what := "replicate of " + string(kp.Kind)
	for _, r := range p.mapping(e.value, what) {
		if p.policy.Adapter(r.key) == "" {
			p.add(r.line, "%s: there is no system %q", what, r.key)
			continue
		}
		switch c := Condition(p.text(r.value, what+" to "+r.key)); c {
		case "":
		default:
			if !slices.Contains(conditions, c) {
				p.add(r.line, "%s to %s is %q; it can be %s", what, r.key, c, join(conditions))
				continue
			}
			kp.Replicate[r.key] = c
		}
	}
}

func (p *parser) stages(ki domain.KindInfo, kp *KindPolicy, e entry) {
	for _, s := range p.mapping(e.value, "stages of "+string(ki.Kind)) {
		path := string(ki.Kind) + ".stages." + s.key
		p.policy.lines[path] = s.line
		if !slices.Contains(ki.Stages, s.key) {
			p.add(s.line, "%s has no stage %q; it has %s", ki.Kind, s.key, strings.Join(ki.Stages, ", "))
			continue
		}
		kp.Stages[s.key] = p.rules(ki, s, path, s.key)
	}
}

// Kinds whose records can be compared by more than their strong keys; match.Fuzzy says the same.
var compared = []domain.Kind{domain.KindCustomer, domain.KindProduct, domain.KindInvoice, domain.KindCreditNote}

// match reads {ask: 0.8, link: 0.99}.
func (p *parser) match(kp *KindPolicy, e entry) {
	if !slices.Contains(compared, kp.Kind) {
		p.add(e.line, "match of %s: only %s can be compared", kp.Kind, join(compared))
		return
	}
	for _, m := range p.mapping(e.value, "match of "+string(kp.Kind)) {
		at := map[string]*float64{"ask": &kp.Match.Ask, "link": &kp.Match.Link}[m.key]
		if at == nil {
			p.add(m.line, "match of %s has no %q; it has ask and link", kp.Kind, m.key)
			continue
		}
		text := p.text(m.value, m.key+" of match")
		if text == "" {
			continue
		}
		x, err := strconv.ParseFloat(text, 64)
		if err != nil || !(x > 0 && x <= 1) {
			p.add(m.line, "%s of match of %s is %q; it should be a probability above 0 and at most 1, such as 0.8", m.key, kp.Kind, text)
			continue
		}
		*at = x
	}
	if m := kp.Match; m.Link > 0 && (m.Ask == 0 || m.Ask > m.Link) {
		p.add(e.line, "match of %s: ask should be given and not be above link", kp.Kind)
	}
}

// rules reads the rules of fields, all or those of one stage.
func (p *parser) rules(ki domain.KindInfo, e entry, path, stage string) map[domain.Field]Rule {
	rules := map[domain.Field]Rule{}
	for _, m := range p.mapping(e.value, path) {
		f := domain.Field(m.key)
		p.policy.lines[path+"."+m.key] = m.line
		if _, ok := ki.Field(f); !ok {
			p.add(m.line, "%s has no field %q", ki.Kind, m.key)
			continue
		}
		if stage != "" && f == ki.StageField {
			p.add(m.line, "%s says which stage it is, so its owner cannot depend on the stage", f)
			continue
		}
		rules[f] = p.rule(m, string(f)+" of "+string(ki.Kind))
	}
	return rules
}

// rule reads {owner, fallback, others, writeThrough}, or a system alone, which is its owner.
func (p *parser) rule(e entry, what string) Rule {
	var r Rule
	if resolve(e.value).Kind == yaml.ScalarNode {
		r.Owner = p.system(e.value, "owner of "+what)
		return r
	}
	for _, m := range p.mapping(e.value, what) {
		switch m.key {
		case "owner":
			r.Owner = p.system(m.value, "owner of "+what)
		case "fallback":
			r.Fallback = p.systemList(m.value, "fallback of "+what)
		case "others":
			switch o := Others(p.text(m.value, "others of "+what)); o {
			case "", Restore, Propose, Keep:
				r.Others = o
			default:
				p.add(m.line, "others of %s is %q; it can be %s, %s or %s", what, o, Restore, Propose, Keep)
			}
		case "writeThrough":
			switch by := p.text(m.value, "writeThrough of "+what); by {
			case "", "operator":
			case "editor":
				r.Editors = true
			default:
				p.add(m.line, "writeThrough of %s is %q; it can be operator or editor: who may ask the owner for a change", what, by)
			}
		default:
			p.add(m.line, "%s has no %q; a rule has owner, fallback, others and writeThrough", what, m.key)
		}
	}
	return r
}

// line returns where the rule of the field at the stage stands, or what it follows from.
func (p *Policy) line(kind string, f domain.Field, stage string) int {
	for _, path := range []string{kind + ".stages." + stage + "." + string(f), kind + ".fields." + string(f), kind + ".owner", kind} {
		if l := p.lines[path]; l != 0 {
			return l
		}
	}
	return 0
}
