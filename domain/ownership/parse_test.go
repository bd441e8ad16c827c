package ownership_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/ownership"
)

const head = `systems: {crm: hubspot, accounting: xero, ops: native}
Customer:
  owner: crm
  create: [crm]
`

// problemsOf returns the problems of an error, each as "line: message".
func problemsOf(t *testing.T, err error) []string {
	t.Helper()
	if err == nil {
		return nil
	}
	var ps ownership.Problems
	if domain.CodeOf(err) != domain.Invalid || !errors.As(err, &ps) || len(ps) == 0 {
		t.Fatalf("not an error with problems: %v", err)
	}
	var out []string
	for _, p := range ps {
		if p.Line > 0 && !strings.Contains(err.Error(), fmt.Sprintf("line %d: %s", p.Line, p.Message)) {
			t.Errorf("the error does not name %v: %v", p, err)
		}
		out = append(out, fmt.Sprintf("%d: %s", p.Line, p.Message))
	}
	return out
}

func TestDefault(t *testing.T) {
	t.Parallel()
	p := ownership.Default()
	ki, _ := domain.KindCustomer.Info()
	kp := p.Kind(domain.KindCustomer)
	for _, fi := range ki.Fields {
		// The business should find each decision spelled out, with its reason.
		if kp.Fields[fi.Name].Owner == "" {
			t.Errorf("the default policy leaves %s to the kind's owner", fi.Name)
		}
	}
	for i, l := range strings.Split(ownership.DefaultSource(), "\n") {
		if strings.Contains(l, "{owner:") && !strings.Contains(l, "} # ") {
			t.Errorf("line %d gives no reason: %s", i+1, l)
		}
	}
	for f, owner := range map[domain.Field]string{"legalName": "accounting", "abn": "accounting", "billingAddress": "accounting",
		"paymentTerms": "accounting", "phone": "crm", "lifecycleStage": "crm", "creditLimit": "ops", "customFields": "ops"} {
		if got := kp.Rule(f, "CUSTOMER").Owner; got != owner {
			t.Errorf("%s is owned by %s, not %s", f, got, owner)
		}
	}
	if kp.Rule("status", "CUSTOMER").Owner != "crm" || kp.Rule("status", "FORMER_CUSTOMER").Owner != "accounting" {
		t.Error("the stage makes no difference to who owns status")
	}
	if r := kp.Rule("status", "FORMER_CUSTOMER"); r.Others != ownership.Propose {
		t.Errorf("a rule of a stage does not inherit what it leaves out: %+v", r)
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	p, err := ownership.Parse([]byte(head + `  replicate: {accounting: when_billed, crm: never}
  fields:
    abn: {owner: accounting, fallback: [], others: propose}
    email: {others: keep}
    phone: &calls {owner: ops, fallback: [crm, accounting]}
    mobile: *calls
    notes: ops
  stages:
    LEAD: {abn: crm, notes: {others: propose}}
    CUSTOMER: {}
`))
	if err != nil {
		t.Fatal(err)
	}
	kp := p.Kind(domain.KindCustomer)
	for _, c := range []struct {
		field domain.Field
		stage string
		want  ownership.Rule
	}{
		{"abn", "", ownership.Rule{Owner: "accounting", Fallback: []string{}, Others: ownership.Propose}},
		{"abn", "LEAD", ownership.Rule{Owner: "crm", Fallback: []string{}, Others: ownership.Propose}},
		{"abn", "CUSTOMER", ownership.Rule{Owner: "accounting", Fallback: []string{}, Others: ownership.Propose}},
		{"email", "", ownership.Rule{Owner: "crm", Fallback: []string{"crm"}, Others: ownership.Keep}},
		{"mobile", "LEAD", ownership.Rule{Owner: "ops", Fallback: []string{"crm", "accounting"}, Others: ownership.Restore}},
		{"notes", "LEAD", ownership.Rule{Owner: "ops", Fallback: []string{"crm"}, Others: ownership.Propose}},
		{"tags", "LEAD", ownership.Rule{Owner: "crm", Fallback: []string{"crm"}, Others: ownership.Restore}},
	} {
		if got := kp.Rule(c.field, c.stage); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s at %q: %+v, want %+v", c.field, c.stage, got, c.want)
		}
	}
	at := func(stage string) domain.Values { return domain.Values{"lifecycleStage": domain.TextValue(stage)} }
	if !kp.Replicates("accounting", at("CUSTOMER"), false) || kp.Replicates("accounting", at("LEAD"), false) || kp.Replicates("crm", at("CUSTOMER"), false) || kp.Replicates("ops", at("CUSTOMER"), false) {
		t.Error("replicate was not read")
	}
	if p.Adapter("ops") != ownership.Native || p.Adapter("shop") != "" {
		t.Error("systems were not read")
	}
}

func TestParseProblems(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, src string
		want      []string
	}{
		{"empty", "", []string{"1: the document is empty"}},
		{"comment only", "# nothing\n", []string{"1: the document is empty"}},
		{"not YAML", "systems: {crm: hubspot\nCustomer: x\n", []string{"1: not YAML"}},
		{"not YAML on the first line", "{[}\n", []string{"1: not YAML"}},
		{"a list", "- crm\n", []string{"0: Customer is missing", "1: the document should be a mapping", "1: no systems"}},
		{"null", "~\n", []string{"0: Customer is missing", "1: the document should be a mapping", "1: no systems"}},
		{"no kinds", "systems: {crm: hubspot}\n", []string{"0: Customer is missing"}},
		{"second document", head + "---\na: b\n", []string{"5: there is a second document"}},
		{"broken second document", head + "---\na: [\n", []string{"6: not YAML"}},
		{"keys twice", "systems: {crm: hubspot, crm: xero}\n" + strings.TrimPrefix(head, "systems: {crm: hubspot, accounting: xero, ops: native}\n") + "  owner: crm\n",
			[]string{`1: systems has "crm" twice`, `5: Customer has "owner" twice, first on line 3`}},
		{"names", "systems: {CRM: hubspot, crm: hubspot, null: xero, shop: Shop ify, ops: }\nCustomer: {owner: crm, create: [crm]}\n",
			[]string{`1: "CRM" cannot be the name`, `1: "null" cannot be the name`, `1: "Shop ify" cannot be the name of an adapter`, "1: the adapter of ops should be one word"}},
		{"everything is collected, by line", `systems: {crm: hubspot}
Customer:
  owner: boss
  create: [crm, shop, crm]
  replicate: {crm: sometimes, shop: always}
  colour: red
  fields:
    abn: {owner: accounting, fallback: crm, others: shout}
    faxNumber: crm
    email: {wons: crm}
    phone: [crm]
  stages:
    BORED: {abn: crm}
    LEAD:
      lifecycleStage: crm
      bar: crm
Spaceship: {owner: crm}
`, []string{
			`3: owner of Customer: there is no system "boss"`,
			`4: create of Customer: there is no system "shop"`,
			`4: create of Customer names crm twice`,
			`5: replicate of Customer to crm is "sometimes"`,
			`5: replicate of Customer: there is no system "shop"`,
			`6: Customer has no "colour"`,
			`8: owner of abn of Customer: there is no system "accounting"`,
			`8: fallback of abn of Customer should be a list`,
			`8: others of abn of Customer is "shout"; it can be restore, propose or keep`,
			`9: Customer has no field "faxNumber"`,
			`10: email of Customer has no "wons"`,
			`11: phone of Customer should be a mapping`,
			`13: Customer has no stage "BORED"`,
			`15: lifecycleStage says which stage it is`,
			`16: Customer has no field "bar"`,
			`17: "Spaceship" is neither systems, flows, numbers, gst, brake, writeThrough nor a kind`,
		}},
		{"nobody creates", "systems: {crm: hubspot}\nCustomer: {owner: crm}\n", []string{"2: Customer has no create"}},
		{"creates nothing", "systems: {crm: hubspot}\nCustomer: {owner: crm, create: []}\n", []string{"2: create of Customer names no system"}},
		{"owner is its fallback", head + "  fields:\n    abn: {owner: crm, fallback: [crm]}\n  stages:\n    LEAD:\n      tags: {fallback: [ops, crm]}\n",
			[]string{"6: crm owns abn of Customer and cannot be its fallback too", "9: crm owns tags"}},
		{"no default owner", "systems: {crm: hubspot}\nCustomer:\n  create: [crm]\n  fields: {kind: crm}\n",
			slices.Repeat([]string{"2: nobody owns"}, 21)},
	} {
		p, err := ownership.Parse([]byte(c.src))
		got := problemsOf(t, err)
		if (p == nil) != (err != nil) || len(got) != len(c.want) {
			t.Errorf("%s: policy %v with problems\n%s\nwant\n%s", c.name, p != nil, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
			continue
		}
		for i := range got {
			if !strings.HasPrefix(got[i], c.want[i]) {
				t.Errorf("%s:\n got %s\nwant %s", c.name, got[i], c.want[i])
			}
		}
	}
}

// schemaOf builds a GraphQL schema that fits the vocabulary, after edit has changed its text.
func schemaOf(t *testing.T, edit func(string) string) *ast.Schema {
	t.Helper()
	ki, _ := domain.KindCustomer.Info()
	var fields strings.Builder
	for _, fi := range ki.Fields {
		typ := "String"
		if fi.Name == ki.StageField {
			typ = "LifecycleStage"
		}
		fmt.Fprintf(&fields, "  %s: %s\n", fi.Name, typ)
	}
	src := "type Query { customer: Customer }\nenum LifecycleStage { " + strings.Join(ki.Stages, " ") + " }\n" +
		"type Customer {\n  id: ID!\n" + fields.String() + "}\ninput CustomerInput {\n" + fields.String() + "}\n"
	s, err := gqlparser.LoadSchema(&ast.Source{Name: "test", Input: edit(src)})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestCheck(t *testing.T) {
	t.Parallel()
	same := func(s string) string { return s }
	first := func(old, repl string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, repl, 1) }
	}
	const src = head + `  fields:
    abn: accounting
    tags: {owner: ops}
  stages:
    OPPORTUNITY: {notes: accounting}
`
	for _, c := range []struct {
		name     string
		edit     func(string) string
		adapters []string
		lacks    map[string]bool
		want     []string
	}{
		{"fits", same, []string{"hubspot", "xero"}, nil, nil},
		{"native carries everything", same, nil, map[string]bool{"native tags": true}, nil},
		{"no such adapter", same, []string{"hubspot"}, nil, []string{`1: accounting: there is no adapter "xero"; there are hubspot and native`}},
		{"field not in the schema", first("  abn: String\n", ""), nil, nil, []string{"6: the GraphQL type Customer has no field abn"}},
		{"kind not in the schema", func(s string) string { return strings.ReplaceAll(s, "Customer", "Client") }, nil, nil,
			[]string{"2: the GraphQL schema has no type Customer"}},
		{"writable field that nobody owns", first("input CustomerInput {\n", "input CustomerInput {\n  fax: String\n"), nil, nil,
			[]string{"2: apps can write fax of Customer"}},
		{"stage not in the schema", first("OPPORTUNITY ", ""), nil, nil, []string{"9: stage OPPORTUNITY of Customer cannot be reached"}},
		{"owner lacks its field", same, nil, map[string]bool{"xero abn": true}, []string{"6: accounting owns abn of Customer, and xero does not have it"}},
		{"owner at a stage lacks its field", same, nil, map[string]bool{"xero notes": true}, []string{"9: accounting owns notes"}},
		{"stages out of reach", same, nil, map[string]bool{"hubspot lifecycleStage": true}, []string{"3: crm owns lifecycleStage of Customer, and hubspot does not have it: no stage"}},
	} {
		p, err := ownership.Parse([]byte(src))
		if err != nil {
			t.Fatal(err)
		}
		got := problemsOf(t, ownership.Check(p, ownership.Surroundings{Schema: schemaOf(t, c.edit), Adapters: c.adapters,
			Carries: func(a string, k domain.Kind, f domain.Field) bool {
				return k == domain.KindCustomer && !c.lacks[a+" "+string(f)]
			}}))
		if len(got) != len(c.want) || len(got) > 0 && !strings.HasPrefix(got[0], c.want[0]) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
	// What its owner at a stage has no place for stands still there, if somebody else is named who has.
	p, err := ownership.Parse([]byte(strings.Replace(src, "notes: accounting", "notes: {owner: accounting, fallback: [crm]}", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if err := ownership.Check(p, ownership.Surroundings{Carries: func(a string, _ domain.Kind, f domain.Field) bool { return a != "xero" || f != "notes" }}); err != nil {
		t.Errorf("a field that stands still at a stage: %v", err)
	}
	if err := ownership.Check(&ownership.Policy{}, ownership.Surroundings{}); len(problemsOf(t, err)) != 1 {
		t.Errorf("a policy without kinds: %v", err)
	}
	if err := ownership.Check(ownership.Default(), ownership.Surroundings{}); err != nil {
		t.Errorf("nothing to check against: %v", err)
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	p := ownership.Default()
	for _, c := range []struct {
		field       domain.Field
		stage, want string
	}{
		{"legalName", "", "accounting owns legalName; where it has none, the value of crm, else of ops counts; others' edits become a proposal"},
		{"phone", "LEAD", "at LEAD crm owns phone; where it has none, the value of accounting, else of ops counts; others' edits are undone"},
	} {
		if got := p.Explain(domain.KindCustomer, c.field, c.stage); got != c.want {
			t.Errorf("%s: %q", c.field, got)
		}
	}
	if got := p.Explain("Spaceship", "abn", ""); got != "nobody owns abn" {
		t.Error(got)
	}
}

// parse is for documents that are known to be good.
func parse(t interface{ Fatal(...any) }, src string) *ownership.Policy {
	p, err := ownership.Parse([]byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDiffPolicies(t *testing.T) {
	t.Parallel()
	base := parse(t, head+"  fields: {abn: accounting}\n  stages: {LEAD: {abn: crm}}\n")
	for _, c := range []struct{ name, src, want string }{
		{"same", head + "  fields: {abn: accounting}\n  stages: {LEAD: {abn: crm}}\n", ""},
		{"spelled otherwise", head + "  replicate: {crm: never}\n  fields: {abn: {owner: accounting, others: restore, fallback: [crm]}, tags: crm}\n  stages: {LEAD: {abn: {owner: crm, fallback: []}}, CUSTOMER: {}}\n", ""},
		{"rule", head + "  fields: {abn: accounting, tags: {others: keep}}\n  stages: {LEAD: {abn: crm}}\n", "Customer.tags"},
		{"stage", head + "  fields: {abn: accounting}\n  stages: {LEAD: {abn: ops}}\n", "Customer.abn at LEAD"},
		{"stage dropped", head + "  fields: {abn: accounting}\n", "Customer.abn at LEAD"},
		{"the rest", "systems: {crm: hubspot, accounting: myob, shop: shopify}\nCustomer:\n  owner: crm\n  create: [crm]\n  replicate: {shop: always}\n  fields: {abn: accounting}\n  stages: {LEAD: {abn: crm}}\n",
			"systems.accounting systems.ops systems.shop Customer.replicate.shop"},
	} {
		if got := strings.Join(ownership.DiffPolicies(base, parse(t, c.src)), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	if got := ownership.DiffPolicies(nil, base); !slices.Contains(got, "systems.crm") || !slices.Contains(got, "Customer.create") || !slices.Contains(got, "Customer.abn") {
		t.Errorf("from nothing: %q", got)
	}
}

// drawPolicy draws a document that is good, in a spelling of its own.
func drawPolicy(t *rapid.T) string {
	ki, _ := domain.KindCustomer.Info()
	systems := []string{"crm", "accounting", "ops"}
	list := func(label, but string) string {
		l := rapid.SliceOfDistinct(rapid.SampledFrom(slices.DeleteFunc(slices.Clone(systems), func(s string) bool { return s == but })), rapid.ID[string]).Draw(t, label)
		return "[" + strings.Join(l, ", ") + "]"
	}
	rules := func(indent string) string {
		var b strings.Builder
		for _, fi := range rapid.Permutation(ki.Fields).Draw(t, "fields")[:rapid.IntRange(0, 6).Draw(t, "n")] {
			if fi.Name == ki.StageField {
				continue
			}
			owner := rapid.SampledFrom(systems).Draw(t, "owner")
			fmt.Fprintf(&b, "%s%s: {owner: %s", indent, fi.Name, owner)
			if rapid.Bool().Draw(t, "fallback?") {
				b.WriteString(", fallback: " + list("fallback", owner))
			}
			if rapid.Bool().Draw(t, "others?") {
				b.WriteString(", others: " + rapid.SampledFrom([]string{"restore", "propose", "keep"}).Draw(t, "others"))
			}
			b.WriteString("}\n")
		}
		return b.String()
	}
	block := func(key, body, indent string) string {
		if body == "" {
			return indent + key + ": {}\n"
		}
		return indent + key + ":\n" + body
	}
	return head + "  replicate: {ops: never, crm: " + rapid.SampledFrom([]string{"always", "never", "when_billed"}).Draw(t, "replicate") + "}\n" +
		block("fields", rules("    "), "  ") +
		"  stages:\n" + block("LEAD", rules("      "), "    ") + block("CUSTOMER", rules("      "), "    ")
}

// The canonical document says the same as the policy it was written from, and is its own canonical form.
func TestStringRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := parse(t, drawPolicy(t))
		q := parse(t, p.String())
		if p.String() != q.String() {
			t.Fatalf("%s\nbecame\n%s", p, q)
		}
		a, b := p.Kind(domain.KindCustomer), q.Kind(domain.KindCustomer)
		if !reflect.DeepEqual(p.Systems, q.Systems) || !reflect.DeepEqual(a.Fields, b.Fields) || !reflect.DeepEqual(a.Create, b.Create) ||
			!maps.Equal(a.Replicate, b.Replicate) || !reflect.DeepEqual(a.Stages, b.Stages) || a.Owner != b.Owner {
			t.Fatalf("%+v\nbecame\n%+v", a, b)
		}
		if d := ownership.DiffPolicies(p, q); d != nil {
			t.Fatalf("the same policy differs in %q", d)
		}
	})
}

// A difference is named exactly where the effective decision differs.
func TestDiffNamesWhatDiffers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, q := parse(t, drawPolicy(t)), parse(t, drawPolicy(t))
		d := ownership.DiffPolicies(p, q)
		ki, _ := domain.KindCustomer.Info()
		for _, fi := range ki.Fields {
			a, b := p.Kind(ki.Kind).Rule(fi.Name, ""), q.Kind(ki.Kind).Rule(fi.Name, "")
			named := slices.Contains(d, "Customer."+string(fi.Name))
			if (a.Owner != b.Owner || a.Others != b.Others) && !named {
				t.Fatalf("%s is %+v, then %+v, and is not among %q", fi.Name, a, b, d)
			}
			if reflect.DeepEqual(a, b) && named {
				t.Fatalf("%s is %+v in both and is among %q", fi.Name, a, d)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(ownership.DefaultSource())
	f.Add(head + "  fields: {abn: &a {owner: crm, others: *a}}\n")
	f.Add("systems: &s {crm: *s}\nCustomer: *s\n? [a]\n: b\n")
	f.Fuzz(func(t *testing.T, src string) {
		p, err := ownership.Parse([]byte(src))
		if err != nil {
			problemsOf(t, err)
			return
		}
		if q, err := ownership.Parse([]byte(p.String())); err != nil || q.String() != p.String() {
			t.Fatalf("%q reads as\n%s\nwhich reads as\n%v, %v", src, p, q, err)
		}
	})
}

// The built-in policy must fit the schema that apps see: it is what a new deployment starts with.
func TestDefaultFitsSchema(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../graph/schema/*.graphqls")
	if err != nil || len(files) == 0 {
		t.Fatalf("no schema: %v, %v", files, err)
	}
	var sources []*ast.Source
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, &ast.Source{Name: f, Input: string(b)})
	}
	schema, err := gqlparser.LoadSchema(sources...)
	if err != nil {
		t.Fatal(err)
	}
	if err := ownership.Check(ownership.Default(), ownership.Surroundings{Schema: schema, Adapters: []string{"hubspot", "xero"}}); err != nil {
		t.Error(err)
	}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	const head = "systems: {crm: hubspot, ops: native}\nCustomer:\n  owner: crm\n  create: [crm]\n"
	p, err := ownership.Parse([]byte(head + "  match: {ask: 0.7, link: 0.95}\n"))
	if err != nil || p.Kind(domain.KindCustomer).Match != (ownership.Match{Ask: 0.7, Link: 0.95}) {
		t.Errorf("%+v, %v", p, err)
	}
	for text, want := range map[string]string{
		"  match: {ask: 80}\n":             "line 5: ask of match of Customer is",
		"  match: {ask: high}\n":           "line 5: ask of match of Customer is",
		"  match: {maybe: 0.5}\n":          "line 5: match of Customer has no",
		"  match: {link: 0.9}\n":           "line 5: match of Customer: ask should be given",
		"  match: {ask: 0.9, link: 0.8}\n": "line 5: match of Customer: ask should be given",
		"Location:\n  owner: crm\n  create: [crm]\n  match: {ask: 0.5}\n": "line 8: match of Location: only",
	} {
		if _, err := ownership.Parse([]byte(head + text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// How long an owner is asked for a change: a kind's own word, else that for all kinds, else seven days.
func TestExpires(t *testing.T) {
	t.Parallel()
	const head = "systems: {crm: hubspot, ops: native}\nCustomer:\n  owner: crm\n  create: [crm]\n"
	base := parse(t, head)
	for text, want := range map[string]time.Duration{
		"":                                 ownership.AskedFor,
		"writeThrough: {expires: 36h}\n":   36 * time.Hour,
		"  writeThrough: {expires: 14d}\n": 14 * 24 * time.Hour,
		"  match: {ask: 0.75, link: 0.9}\n  writeThrough: {expires: 90m}\nwriteThrough: {expires: 2d}\n": 90 * time.Minute,
	} {
		p := parse(t, head+text)
		if got := p.AskedFor(domain.KindCustomer); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
		again := parse(t, p.String())
		if d := ownership.DiffPolicies(p, again); len(d) > 0 || again.Kind(domain.KindCustomer).Match != p.Kind(domain.KindCustomer).Match {
			t.Errorf("%q is described as %q, which differs in %q", text, p.String(), d)
		}
		if named := slices.Contains(ownership.DiffPolicies(base, p), "Customer.writeThrough"); named != (text != "") {
			t.Errorf("%q: a difference is named: %v", text, named)
		}
	}
	for text, want := range map[string]string{
		"  writeThrough: {expires: soon}\n":           `line 5: expires of writeThrough of Customer is "soon"; it should be a time such as`,
		"  writeThrough: {expires: -2d}\n":            "line 5: expires of writeThrough of Customer is",
		"writeThrough: {expires: 999999999999999d}\n": "line 5: expires of writeThrough is",
		"writeThrough:\n  expires: 10s\n":             "line 6: expires of writeThrough is",
		"writeThrough: {after: 2d}\n":                 `line 5: writeThrough has no "after"`,
		"writeThrough: editor\n":                      "line 5: writeThrough should be a mapping",
	} {
		if _, err := ownership.Parse([]byte(head + text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}
