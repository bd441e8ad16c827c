package adapters_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"datum/adapters"
	"datum/domain"
)

func plainMapping() []adapters.Mapping {
	return []adapters.Mapping{{Kind: domain.KindCustomer, Object: "things", Rows: []adapters.Row{
		adapters.TextRow("legalName", "Name", 0, ""), adapters.TextRow("abn", "TaxNumber", 0, ""), adapters.TextRow("status", "State", 0, ""),
		{Field: "contacts", Paths: []string{"People", "FirstName"}, Get: func(adapters.Object) domain.Value { return "" }},
		{Field: "phone", Paths: []string{"Phones[DEFAULT]"}, Get: func(adapters.Object) domain.Value { return "" }}}}}
}

// Everything that is wrong is named with its line.
func TestOverlayProblems(t *testing.T) {
	t.Parallel()
	const src = `Customer:
  fields:
    abn: {path: "a..b"}
    colour: {path: x}
    tags: {path: x}
    contacts: {path: x}
    phone: {path: x}
    legalName: {way: x}
  custom:
    "1st": {path: x}
    region: {type: text}
    size: {path: x, type: money}
    a: {path: x, direction: read}
    b: {path: y, direction: write}
  values:
    abn: {x: y}
    status: {x: GONE}
  defaults:
    "a[b]": 1
    c: [1]
  ignore: [a.b]
  other: 1
Widget: {}
Customer: {}
`
	_, err := adapters.CheckOverlay([]byte(src), plainMapping())
	var ps adapters.Problems
	if !errors.As(err, &ps) || domain.CodeOf(err) != domain.Invalid {
		t.Fatalf("%v", err)
	}
	lines := map[int]bool{}
	for _, p := range ps {
		lines[p.Line] = true
	}
	for _, want := range []int{3, 4, 5, 6, 7, 8, 10, 11, 12, 14, 16, 17, 19, 20, 21, 22, 23, 24} {
		if !lines[want] {
			t.Errorf("line %d is not named:\n%v", want, err)
		}
	}
	if _, err := adapters.ParseOverlay([]byte("a: [")); err == nil || !strings.Contains(err.Error(), "line 1") {
		t.Errorf("what is no YAML: %v", err)
	}
	for _, nothing := range []string{"", "# nothing\n", "{}"} {
		if o, err := adapters.ParseOverlay([]byte(nothing)); err != nil || len(o) != 0 {
			t.Errorf("%q: %v %v", nothing, o, err)
		}
	}
}

// What is written through an overlay reads back, and nothing else of the object changes.
func TestOverlayRoundTrip(t *testing.T) {
	t.Parallel()
	o, err := adapters.CheckOverlay([]byte(`
Customer:
  fields: {abn: {path: Tax.Id}}
  custom:
    region: {path: "Attributes[Name=Region].Value"}
    seats: {path: Seats, type: number}
    vip: {path: Vip, type: boolean}
  values: {status: {On hold: ARCHIVED}}
  defaults: {Account: DATUM, "Tax.Country": AU}
  ignore: [Colour]
`), plainMapping())
	if err != nil {
		t.Fatal(err)
	}
	m := adapters.Vendor{Mapping: o.Over(plainMapping())}.Carried(domain.KindCustomer)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringMatching(`[A-Za-z]{1,8}`)
		custom := map[string]string{}
		if rapid.Bool().Draw(t, "region") {
			custom["region"] = text.Draw(t, "r")
		}
		if rapid.Bool().Draw(t, "seats") {
			custom["seats"] = rapid.StringMatching(`-?[1-9][0-9]{0,5}(\.[1-9])?`).Draw(t, "s")
		}
		if rapid.Bool().Draw(t, "vip") {
			custom["vip"] = rapid.SampledFrom([]string{"true", "false"}).Draw(t, "v")
		}
		want := domain.Values{"legalName": domain.TextValue(text.Draw(t, "name")), "abn": `"51824753556"`, "customFields": domain.ValueOf(custom)}
		obj := adapters.Object{"Colour": "red", "Tax": adapters.Object{"Kept": "x"}, "TaxNumber": "not ours", "State": "On hold"}
		if err := m.Write(obj, want); err != nil {
			t.Fatal(err)
		}
		got, issues, unknown := m.Read(obj)
		if len(issues) > 0 || len(unknown) != 1 || unknown[0] != "TaxNumber" {
			t.Fatalf("issues %v, unknown %v", issues, unknown)
		}
		for f, v := range want {
			if got[f] != v && !(got[f].Empty() && v.Empty()) {
				t.Fatalf("%s is %s, not %s in %v", f, got[f], v, obj)
			}
		}
		tax := obj["Tax"].(adapters.Object)
		if got["status"] != `"ARCHIVED"` || obj["TaxNumber"] != "not ours" || tax["Kept"] != "x" || tax["Country"] != "AU" || obj["Account"] != "DATUM" {
			t.Fatalf("%v %v", got, obj)
		}
	})
	// What a person has put where a default would go stays.
	part := adapters.Object{}
	m.Carry(part, adapters.Object{"Account": "own"})
	if err := m.Write(part, domain.Values{"legalName": `"x"`}); err != nil || part["Account"] != "own" {
		t.Errorf("%v %v", part, err)
	}
	if err := m.Write(adapters.Object{}, domain.Values{"customFields": `{"seats":"many"}`}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("a number that is none: %v", err)
	}
	if plain := plainMapping()[0]; plain.Rows[1].Paths[0] != "TaxNumber" || m.Rows[1].Paths[0] != "Tax.Id" {
		t.Error("the paths")
	}
}

// FuzzParseOverlay: any document is refused with lines, or can be laid over a mapping.
func FuzzParseOverlay(f *testing.F) {
	f.Add("Customer:\n  fields: {abn: {path: TaxId}}\n  custom: {a: {path: b, type: number}}\n  ignore: [x]\n  defaults: {y: 1}\n  values: {status: {z: ACTIVE}}\n")
	f.Add("&a [*a]")
	f.Add("Customer: {fields: {abn: {paths: {TaxNumber: 'a[b].c'}}}}")
	f.Fuzz(func(t *testing.T, src string) {
		o, err := adapters.CheckOverlay([]byte(src), plainMapping())
		if err != nil {
			var ps adapters.Problems
			if !errors.As(err, &ps) || len(ps) == 0 || ps[0].Line < 1 {
				t.Fatalf("no line: %v", err)
			}
			return
		}
		for _, m := range o.Over(plainMapping()) {
			obj, _ := adapters.ParseObject([]byte(`{"Name": "x", "TaxNumber": "1", "a": {"b": 1}, "l": [{"Name": "y"}]}`))
			m.Read(obj)
			_ = m.Write(obj, domain.Values{"abn": `"2"`, "customFields": `{"a":"1"}`})
		}
	})
}

func TestDocumentPath(t *testing.T) {
	t.Parallel()
	const doc = "Customer:\n  fields: {abn: {path: A}, phone: {path: B}}\n  values:\n    status: {x: ACTIVE}\nProduct:\n  ignore:\n  - a\n"
	for line, want := range map[int]string{1: "Customer", 2: "Customer.fields", 3: "Customer.values", 4: "Customer.values.status", 5: "Product", 7: "Product.ignore"} {
		if got := adapters.DocumentPath([]byte(doc), line); got != want {
			t.Errorf("line %d is %q, want %q", line, got, want)
		}
	}
	if got := adapters.DocumentPath([]byte("a: ["), 1); got != "" {
		t.Errorf("what is not YAML has the path %q", got)
	}
}
