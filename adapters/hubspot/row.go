package hubspot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// defaultCurrency is that of an account whose settings name none.
const defaultCurrency = "AUD"

var taxModes = []string{string(money.Exclusive), string(money.Inclusive), string(money.NoTax)}

// stamps are properties that every object has and no field maps to.
var stamps = []string{"id", "hs_object_id", "hs_createdate", "createdate", "hs_lastmodifieddate", "lastmodifieddate", "hs_merged_object_ids"}

func ownerRow() adapters.Row {
	return adapters.Row{Field: "salesOwner", Paths: []string{"hubspot_owner_id", keyOwner}, Note: "the e-mail of a HubSpot user",
		Get: func(o adapters.Object) domain.Value {
			if adapters.String(o, "hubspot_owner_id") == "" {
				return domain.Null
			}
			if e := adapters.String(o, keyOwner); e != "" {
				return domain.TextValue(e)
			}
			return "" // the user could not be read: no opinion
		},
		Set: func(o adapters.Object, v domain.Value) error { o[keyOwner] = v.Text(); return nil }}
}

func tagsRow(key string) adapters.Row {
	return adapters.Row{Field: "tags", Paths: []string{key}, Max: maxText, Note: "custom; separated by semicolons",
		Get: func(o adapters.Object) domain.Value {
			return domain.ValueOf(strings.FieldsFunc(adapters.String(o, key), func(r rune) bool { return r == ';' }))
		},
		Set: func(o adapters.Object, v domain.Value) error {
			var tags []string
			if err := v.Decode(&tags); err != nil {
				return err
			}
			if i := slices.IndexFunc(tags, func(t string) bool { return strings.Contains(t, ";") }); i >= 0 {
				return fmt.Errorf("the tag %q holds a semicolon, which separates tags in HubSpot", tags[i])
			}
			o[key] = strings.Join(tags, ";")
			return nil
		}}
}

func customFieldsRow() adapters.Row {
	return adapters.Row{Field: "customFields", Paths: []string{"custom_fields"}, Max: maxText, Note: "custom; a JSON object of text",
		Get: func(o adapters.Object) domain.Value {
			s := adapters.String(o, "custom_fields")
			if c, err := domain.Canonical([]byte(s)); err == nil {
				return c
			}
			return domain.TextValue(s)
		},
		Set: func(o adapters.Object, v domain.Value) error {
			o["custom_fields"] = ""
			if !v.Empty() {
				o["custom_fields"] = string(v)
			}
			return nil
		}}
}

// fixedRow maps a text member that takes the account's setting where HubSpot's object is silent; it cannot be emptied.
func fixedRow(f domain.Field, key, setting, note string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{key}, Note: note,
		Get: func(o adapters.Object) domain.Value {
			if v := adapters.String(o, key); v != "" {
				return domain.TextValue(v)
			}
			return domain.TextValue(adapters.String(o, setting))
		},
		Set: func(o adapters.Object, v domain.Value) error {
			if v.Empty() {
				return fmt.Errorf("a document without %s would get the account's", f)
			}
			o[key] = v.Text()
			return nil
		}}
}

func currencyRow(key, note string) adapters.Row {
	return fixedRow("currency", key, keyCurrency, note+"; where it is empty the setting currency holds")
}

func taxModeRow() adapters.Row {
	return fixedRow("taxMode", taxModeProperty, keyTaxMode, "custom; where it is empty the setting taxMode holds")
}

// moneyRow maps an amount whose currency is that of the document (or, with no key for it, of the account).
func moneyRow(f domain.Field, key, currencyKey, note string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{key}, Note: note,
		Get: func(o adapters.Object) domain.Value {
			amount := adapters.String(o, key)
			if amount == "" {
				return domain.Null
			}
			return domain.ValueOf(map[string]string{"amount": amount, "currency": currencyOf(o, currencyKey)})
		},
		Set: func(o adapters.Object, v domain.Value) error {
			var m struct{ Amount, Currency string }
			if err := v.Decode(&m); err != nil {
				return err
			}
			o[key] = m.Amount
			if m.Amount == "" {
				return nil
			}
			noted, _ := o[keyMoney].(map[domain.Field]string)
			if noted == nil {
				noted = map[domain.Field]string{}
				o[keyMoney] = noted
			}
			noted[f] = m.Currency
			return nil
		}}
}

func currencyOf(o adapters.Object, key string) string {
	if c := adapters.String(o, key); key != "" && c != "" {
		return strings.ToUpper(c)
	}
	return adapters.String(o, keyCurrency)
}

// dayRow maps a date. A property of HubSpot's own may hold an instant: at midnight UTC it is that day, else it is nobody's.
func dayRow(f domain.Field, key, note string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{key}, Note: note,
		Get: func(o adapters.Object) domain.Value {
			s := adapters.String(o, key)
			if t, ok := moment(s); ok && t.Equal(t.Truncate(24*time.Hour)) {
				s = t.Format(time.DateOnly)
			}
			return domain.TextValue(s)
		},
		Set: func(o adapters.Object, v domain.Value) error { o[key] = v.Text(); return nil }}
}

func customerRow() adapters.Row {
	return adapters.Row{Field: "customer", Paths: []string{keyCustomer}, Note: "the associated company, the primary one of several; without any company the associated contact. " +
		"Writing replaces the former customer's association",
		Get: func(o adapters.Object) domain.Value {
			return domain.TextValue(domain.Ext(adapters.String(o, keyCustomer)))
		},
		Set: func(o adapters.Object, v domain.Value) error {
			id, ok := domain.ExtID(v.Text())
			if t, _ := tableOf(domain.KindCustomer); !v.Empty() {
				if _, _, err := t.splitID(id); !ok || err != nil {
					return fmt.Errorf("%q is not a customer in HubSpot", v.Text())
				}
			}
			o[keyCustomer] = id
			return nil
		}}
}
