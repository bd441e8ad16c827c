package cin7core

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/shopspring/decimal"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

type object = adapters.Object

// rules are the account's own names of tax rules by tax code; the others have the names of a new Australian account.
type rules map[money.TaxCode]string

// australian are the tax rules of a new Australian account. If two codes share a name on one side, the first is what it is
// read as.
var australian = []struct {
	code money.TaxCode
	name string
}{
	{money.TaxGST, "GST on Income"}, {money.TaxFree, "GST Free Income"}, {money.TaxExport, "GST Free Exports"}, {money.TaxInputTaxed, "Input Taxed"},
	{money.OutOfScope, "BAS Excluded"}, {money.PurchaseGST, "GST on Expenses"}, {money.CapitalGST, "GST on Capital"}, {money.PurchaseFree, "GST Free Expenses"},
	{money.CapitalFree, "GST Free Capital"}, {money.PurchaseInput, "Input Taxed"}, {money.ImportGST, "GST on Imports"}, {money.CapitalImport, "GST on Capital Imports"},
	{money.Unregistered, "GST Free Expenses"}, {money.NoABNWithheld, "BAS Excluded"},
}

// parseRules reads "GST=GST 10%, EXPORT=Zero rated".
func parseRules(s string) (rules, error) {
	own := rules{}
	for pair := range strings.SplitSeq(s, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		code, name, ok := strings.Cut(pair, "=")
		c := money.TaxCode(strings.TrimSpace(code))
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, fmt.Errorf("%q is not a code and a name", strings.TrimSpace(pair))
		}
		if _, known := c.Info(); !known {
			return nil, fmt.Errorf("%q is not a tax code", c)
		}
		own[c] = name
	}
	return own, nil
}

// name is the account's tax rule for a code, "" if there is none.
func (r rules) name(c money.TaxCode) string {
	if own := r[c]; own != "" {
		return own
	}
	for _, t := range australian {
		if t.code == c {
			return t.name
		}
	}
	return ""
}

// code is the tax code of a rule on one side; a name that is not known is returned as it is, which is a problem to whoever
// reads it.
func (r rules) code(name string, side money.Side) string {
	for _, t := range australian {
		if info, _ := t.code.Info(); name != "" && r.name(t.code) == name && (info.Side == side || info.Side == "") {
			return string(t.code)
		}
	}
	return name
}

// fitted is the Fit of a field that is never empty.
func fitted(otherwise string) func(domain.Value) domain.Value {
	return func(v domain.Value) domain.Value {
		if v.Empty() {
			return domain.TextValue(otherwise)
		}
		return v
	}
}

// required is a text row that cannot go empty.
func required(f domain.Field, key string, limit int, note string) adapters.Row {
	row := adapters.TextRow(f, key, limit, note)
	row.Set = func(o object, v domain.Value) error {
		if v.Empty() {
			return fmt.Errorf("Cin7 Core needs one; give it where it is owned")
		}
		o[key] = v.Text()
		return nil
	}
	return row
}

// within is an error if s is longer than the limit in characters.
func within(name, s string, limit int) error {
	if n := utf8.RuneCountInString(s); n > limit {
		return fmt.Errorf("%s has %d characters and Cin7 Core takes at most %d; shorten it where it is owned", name, n, limit)
	}
	return nil
}

// statusRow maps Active and Deprecated.
func statusRow() adapters.Row {
	return adapters.Row{Field: "status", Paths: []string{"Status"}, Note: "Deprecated is ARCHIVED; none means ACTIVE", Fit: fitted("ACTIVE"),
		Get: func(o object) domain.Value {
			switch adapters.String(o, "Status") {
			case "Active":
				return `"ACTIVE"`
			case "Deprecated":
				return `"ARCHIVED"`
			}
			return ""
		},
		Set: func(o object, v domain.Value) error {
			o["Status"] = "Active"
			if v.Text() == "ARCHIVED" {
				o["Status"] = "Deprecated"
			}
			return nil
		}}
}

func tagsRow() adapters.Row {
	return adapters.Row{Field: "tags", Paths: []string{"Tags"}, Max: 256, Note: "separated by commas",
		Get: func(o object) domain.Value {
			tags := []string{}
			for t := range strings.SplitSeq(adapters.String(o, "Tags"), ",") {
				tags = append(tags, t)
			}
			return domain.ValueOf(tags)
		},
		Set: func(o object, v domain.Value) error {
			var tags []string
			if err := v.Decode(&tags); err != nil {
				return err
			}
			for _, t := range tags {
				if strings.Contains(t, ",") {
					return fmt.Errorf("Cin7 Core separates tags by commas, so %q cannot be one", t)
				}
			}
			o["Tags"] = strings.Join(tags, ",")
			return nil
		}}
}

// amountRow maps a number that is an amount of money; 0 is none. The currency is what of says of the object.
func amountRow(f domain.Field, key, note string, places int32, of func(object) string) adapters.Row {
	zero := func(v domain.Value) bool {
		var m money.Money
		return v.Decode(&m) == nil && m.Amount.IsZero()
	}
	return adapters.Row{Field: f, Paths: []string{key}, Note: note,
		Get: func(o object) domain.Value {
			text := adapters.String(o, key)
			if d, err := decimal.NewFromString(text); err != nil || d.IsZero() {
				return domain.Null
			}
			return domain.ValueOf(object{"amount": text, "currency": of(o)})
		},
		Set: func(o object, v domain.Value) error {
			m := money.Money{Currency: of(o)}
			if err := v.Decode(&m); err != nil {
				return err
			}
			if m.Currency != of(o) {
				return fmt.Errorf("it is in %s there, not in %s", of(o), m.Currency)
			}
			if !m.Amount.Equal(m.Amount.Round(places)) {
				return fmt.Errorf("Cin7 Core takes at most %d decimals", places)
			}
			o[key] = json.Number(m.Amount.String())
			return nil
		},
		Fit: func(v domain.Value) domain.Value {
			if zero(v) {
				return domain.Null
			}
			return v
		},
	}
}

// noLine stands where Cin7 Core wants a first line and there is none.
const noLine = "-"

// addressOf reads the members that Cin7 Core's addresses have in common.
func addressOf(e object) domain.Value {
	a := domain.Address{Suburb: adapters.String(e, "City"), State: adapters.String(e, "State"), Postcode: adapters.String(e, "Postcode"), Country: adapters.String(e, "Country")}
	for _, k := range []string{"Line1", "Line2"} {
		if l := adapters.String(e, k); l != "" && l != noLine {
			a.Lines = append(a.Lines, l)
		}
	}
	return domain.ValueOf(a)
}

// fitAddress joins what is beyond the second line to it.
func fitAddress(v domain.Value) domain.Value {
	var a domain.Address
	if v.Empty() || v.Decode(&a) != nil || len(a.Lines) < 3 {
		return v
	}
	a.Lines = []string{a.Lines[0], strings.Join(a.Lines[1:], ", ")}
	return domain.ValueOf(a)
}

// putAddress writes an address that is not empty.
func putAddress(e object, v domain.Value) error {
	var a domain.Address
	if err := fitAddress(v).Decode(&a); err != nil {
		return err
	}
	if a.Country == "" {
		return fmt.Errorf("Cin7 Core needs the country of an address; give it where it is owned")
	}
	lines := append(a.Lines, "", "")
	if lines[0] == "" {
		lines[0] = noLine
	}
	country := domain.CountryName(a.Country)
	if country == "" {
		country = a.Country
	}
	for _, m := range []struct {
		key, name, text string
		limit           int
	}{
		{"Line1", "the first line", lines[0], 256}, {"Line2", "the second line", lines[1], 256}, {"City", "the suburb", a.Suburb, 256},
		{"State", "the state", a.State, 256}, {"Postcode", "the postcode", a.Postcode, 20}, {"Country", "the country", country, 256},
	} {
		if err := within(m.name, m.text, m.limit); err != nil {
			return err
		}
		e[m.key] = m.text
	}
	return nil
}

// part returns the object's member that is an object itself, nil if it has none.
func part(o object, key string) object {
	p, _ := o[key].(object)
	return p
}

// entries are the objects of a list.
func entries(v any) []object {
	list, _ := v.([]any)
	var out []object
	for _, x := range list {
		if o, ok := x.(object); ok {
			out = append(out, o)
		}
	}
	return out
}

// idOf is a vendor's id: webhooks write it in upper case.
func idOf(s string) string { return strings.ToLower(strings.TrimSpace(s)) }
