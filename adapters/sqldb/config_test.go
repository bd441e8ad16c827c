package sqldb

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datum/domain"
)

// TestConfigure: what is wrong with a mapping is said by name and, where that can be, by line.
func TestConfigure(t *testing.T) {
	t.Parallel()
	const start = "Customer:\n  table: t\n  key: id\n  fields:\n    "
	for mapping, want := range map[string]string{
		"": "is missing",
		"Customer:\n  table: t\n  kee: id\n  fields: {email: e}":                        `line 3: there is no option "kee" here`,
		"Custmer: {table: t, key: id, fields: {email: e}}":                              "Custmer: there is no such kind",
		"Customer: {key: id, fields: {email: e}}":                                       "needs a table and its key",
		"Customer: {table: t, key: id}":                                                 "maps no field",
		start + "emial: e":                                                              "there is no field emial",
		start + "email: {colum: e}":                                                     `line 5: there is no option "colum" here`,
		start + "email: {columns: {a: e}}":                                              "it has no members",
		start + "email: [a, b]":                                                         "several columns",
		start + "email: {readOnly: true}":                                               "needs a column",
		start + "creditLimit: c":                                                        "needs a currency",
		start + "creditLimit: {column: c, constants: {coin: A}}":                        "coin cannot be constant",
		start + "billingAddress: {columns: {zip: z}}":                                   "it has no member zip",
		start + "paymentTerms: {columns: {days: d}}":                                    "days and a basis",
		start + "contacts: {table: c, columns: {email: e}}":                             "needs parent",
		start + "status: {column: s, values: [A]}":                                      "must pair",
		start + "email: {table: c}":                                                     "no list",
		"Order:\n  table: t\n  key: id\n  fields:\n    lines: {columns: {quantity: q}}": "a table of its own",
		"- x\n- y":           "cannot",
		"/nowhere/else.yaml": "cannot be read",
	} {
		_, err := configured(mapping)
		e := domain.AsError(err)
		if e == nil || e.Code != domain.Invalid || !strings.Contains(e.Message, want) {
			t.Errorf("%q: got %v, want something with %q", mapping, err, want)
		}
	}
	file := filepath.Join(t.TempDir(), "mapping.yaml")
	must(t, os.WriteFile(file, []byte(opsMapping), 0o600))
	tables, err := configured(file)
	if err != nil || len(tables) != 4 || tables[0].kind != domain.KindCustomer || tables[3].kind != domain.KindInvoice {
		t.Errorf("from a file: %v %v", tables, err)
	}
}

// TestFit: what the columns have no room for is left out beforehand, and what they keep reads back so.
func TestFit(t *testing.T) {
	t.Parallel()
	ms, err := configure(map[string]string{"mapping": opsMapping})
	must(t, err)
	m := ms[0]
	address := domain.ValueOf(domain.Address{Lines: []string{"a", "b", "c"}, Suburb: "Perth", State: "WA", Postcode: "6000", Country: "AU"})
	for f, c := range map[domain.Field][2]domain.Value{
		"billingAddress": {address, `{"country":"AU","lines":["a","b, c"],"postcode":"6000","state":"WA","suburb":"Perth"}`},
		"customFields":   {`{"Route":"N","Other":"x"}`, `{"Route":"N"}`},
		"status":         {`"ARCHIVED"`, `"ARCHIVED"`},
		"tags":           {domain.Null, domain.Null},
	} {
		if got := m.Fit(domain.Values{f: c[0]})[f]; got != c[1] {
			t.Errorf("%s: %s fits as %s, want %s", f, c[0], got, c[1])
		}
	}
	for f, v := range map[domain.Field]domain.Value{"tags": `["a;b"]`, "status": `"GONE"`, "creditLimit": `{"amount":"1.00","currency":"NZD"}`,
		"paymentTerms": `{"basis":"DAYS_AFTER_MONTH_END","days":3}`} {
		if err := m.Write(object{}, domain.Values{f: v}); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%s = %s: %v", f, v, err)
		}
	}
}

// TestDocument: the mapping that the document shows is one.
func TestDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/sqldb.md")
	must(t, err)
	_, example, _ := strings.Cut(string(text), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	ms, err := configure(map[string]string{"mapping": example})
	must(t, err)
	if len(ms) != 3 || len(ms[0].Rows) != 9 {
		t.Errorf("%d kinds, the first with %d fields", len(ms), len(ms[0].Rows))
	}
	for _, s := range Vendor().Settings {
		if !strings.Contains(string(text), "`"+s.Name+"`") {
			t.Errorf("docs/sqldb.md does not say what the setting %s is", s.Name)
		}
	}
}
