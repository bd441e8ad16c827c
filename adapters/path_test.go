package adapters_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"datum/adapters"
	"datum/domain"
)

func TestParsePath(t *testing.T) {
	t.Parallel()
	for path, ok := range map[string]bool{
		"TaxNumber": true, "SellingDetails.ABN": true, "Addresses[POBOX].City": true, "Addresses[1]": true, "Custom[Name=Region].Value": true, "lines[]": true,
		"": false, ".": false, "a.": false, ".a": false, "a[": false, "a]": false, "a[b": false, "a[b]c": false, "a[[b]]": false, "a[=b]": false, "a[b=]": false, " a": false, "a\nb": false,
	} {
		if _, err := adapters.ParsePath(path); (err == nil) != ok {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// FuzzParsePath: whatever is written is refused or leads somewhere, and what is put there is found there.
func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"a", "a.b", "a[b].c", "a[k=v].c", "a[]", "[", "a..b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		steps, err := adapters.ParsePath(path)
		if err != nil {
			return
		}
		o := adapters.Object{}
		if adapters.Put(o, steps, "x") != nil {
			return
		}
		if v, ok := adapters.At(o, steps); !ok || v != "x" {
			t.Errorf("%q: put x, found %v in %v", path, v, o)
		}
	})
}

// What is put does not change what the object shares with another.
func TestPutCopies(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		path := rapid.SampledFrom([]string{"a.b.c", "list[Name=x].v", "list[Name=y].v", "a.d"}).Draw(t, "path")
		const src = `{"a": {"b": {"c": 1}, "z": 2}, "list": [{"Name": "x", "v": 1}, {"Name": "w"}]}`
		whole, err := adapters.ParseObject([]byte(src))
		if err != nil {
			t.Fatal(err)
		}
		top := adapters.Object{}
		for k, v := range whole {
			top[k] = v
		}
		steps, err := adapters.ParsePath(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := adapters.Put(top, steps, "new"); err != nil {
			t.Fatal(err)
		}
		if v, _ := adapters.At(top, steps); v != "new" {
			t.Fatalf("%s is %v", path, v)
		}
		again, _ := adapters.ParseObject([]byte(src))
		if !reflect.DeepEqual(whole, again) {
			b, _ := json.Marshal(whole)
			t.Fatalf("the other object changed: %s", b)
		}
	})
}

func TestMappingDrift(t *testing.T) {
	t.Parallel()
	m := &adapters.Mapping{Kind: domain.KindCustomer, Rows: []adapters.Row{adapters.TextRow("abn", "TaxNumber", 0, ""),
		{Field: "billingAddress", Paths: []string{"Addresses[POBOX].City"}}, {Field: "email", Paths: []string{"as configured"}}}}
	object := func(s string) adapters.Object {
		if s == "" {
			return nil
		}
		o, err := adapters.ParseObject([]byte(s))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	for name, c := range map[string]struct {
		old, now string
		sparse   bool
		want     string
	}{
		"the same":               {`{"TaxNumber":"1"}`, `{"TaxNumber":"2"}`, false, ""},
		"emptied":                {`{"TaxNumber":"1"}`, `{"TaxNumber":null}`, false, ""},
		"gone":                   {`{"TaxNumber":"1"}`, `{"TaxId":"1"}`, false, "field_missing abn"},
		"gone while empty":       {`{"TaxNumber":null}`, `{}`, false, "field_missing abn"},
		"left out":               {`{"TaxNumber":"1"}`, `{}`, true, "field_left_out abn"},
		"left out when empty":    {`{"TaxNumber":""}`, `{}`, false, "field_missing abn"},
		"never there":            {`{}`, `{}`, false, ""},
		"new":                    {``, `{}`, false, ""},
		"object":                 {`{"TaxNumber":"1"}`, `{"TaxNumber":{"v":"1"}}`, false, "form_changed abn"},
		"number":                 {`{"TaxNumber":"1"}`, `{"TaxNumber":1}`, false, "form_changed abn"},
		"member of an element":   {`{"Addresses":[{"City":"a"}]}`, `{"Addresses":[{"Town":"a"}]}`, false, "field_missing billingAddress"},
		"an element less":        {`{"Addresses":[{"City":"a"}]}`, `{"Addresses":[]}`, false, ""},
		"one of several without": {`{"Addresses":[{"City":"a"}]}`, `{"Addresses":[{"City":"a"},{"Town":"b"}]}`, false, ""},
	} {
		m.Sparse = c.sparse
		var got []string
		found := m.Drift(object(c.old), object(c.now), nil)
		for _, is := range found {
			got = append(got, is.Code+" "+string(is.Field))
		}
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %v, want %q", name, got, c.want)
		}
		if c.want != "" { // and stays, until it is as it was
			if still := m.Drift(object(c.now), object(c.now), found); len(still) != len(found) {
				t.Errorf("%s: seen once more it is over", name)
			}
			if back := m.Drift(object(c.now), object(c.old), found); len(back) != 0 && !strings.Contains(name, "empty") {
				t.Errorf("%s: as it was before, it is still %v", name, back)
			}
		}
	}
}
