package xero

import (
	"encoding/json"
	"fmt"
	"maps"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// productMapping is the table of Product <-> Item. Xero has no place for our id: an item is recognised by its Code.
func productMapping(d defaults) adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindProduct, Object: "Items",
		Rows: []adapters.Row{
			{Field: "sku", Paths: []string{"Code"}, Max: 30, Get: textOf("Code"), Set: setRequired("Code", "every item needs a code; give the product a SKU"),
				Note: "required and unique; it takes the place of our id, for which items have none"},
			{Field: "name", Paths: []string{"Name"}, Max: 50, Get: textOf("Name"), Set: setText("Name")},
			{Field: "description", Paths: []string{"Description"}, Max: 4000, Get: textOf("Description"), Set: setText("Description"), Note: "on sales"},
			priceRow("salePrice", "SalesDetails", d),
			priceRow("purchasePrice", "PurchaseDetails", d),
			itemTaxRow("salesTaxCode", "SalesDetails", money.Sale),
			itemTaxRow("purchaseTaxCode", "PurchaseDetails", money.Purchase),
			itemTextRow("salesAccount", "SalesDetails", "AccountCode"),
			itemTextRow("purchaseAccount", "PurchaseDetails", "AccountCode"),
			{Field: "trackStock", Paths: []string{"IsTrackedAsInventory"}, Note: "read-only: only the item's first stock account decides",
				Get: func(o object) domain.Value {
					if v, ok := o["IsTrackedAsInventory"].(bool); ok {
						return domain.ValueOf(v)
					}
					return ""
				}},
		},
		Known: []string{"ItemID", "UpdatedDateUTC", "PurchaseDescription", "IsSold", "IsPurchased", "InventoryAssetAccountCode", "TotalCostPool", "QuantityOnHand",
			"StatusAttributeString", "ValidationErrors"},
	}
}

func setRequired(key, why string) func(object, domain.Value) error {
	return func(o object, v domain.Value) error {
		if v.Empty() {
			return fmt.Errorf("%s", why)
		}
		o[key] = v.Text()
		return nil
	}
}

// inner returns the object in a member.
func inner(o object, key string) object {
	m, _ := o[key].(object)
	return m
}

// innerFor is inner for writing: a copy of what is there, in its place.
func innerFor(o object, key string) object {
	m := maps.Clone(inner(o, key))
	if m == nil {
		m = object{}
	}
	o[key] = m
	return m
}

func itemTextRow(f domain.Field, details, key string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{details + "." + key}, Max: 10,
		Get: func(o object) domain.Value { return domain.TextValue(adapters.String(inner(o, details), key)) },
		Set: func(o object, v domain.Value) error { innerFor(o, details)[key] = v.Text(); return nil },
	}
}

// itemTaxRow reads a type that is not in the table as it stands, which Normalize reports.
func itemTaxRow(f domain.Field, details string, side money.Side) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{details + ".TaxType"}, Note: "by the table of tax codes; a capital or export code that the organisation has archived is written as the plain one",
		Get: func(o object) domain.Value {
			t := adapters.String(inner(o, details), "TaxType")
			if code, ok := money.FromXero(t, side); ok {
				return domain.TextValue(string(code))
			}
			return domain.TextValue(t)
		},
		Set: func(o object, v domain.Value) error {
			t, err := xeroType(v.Text(), nil)
			innerFor(o, details)["TaxType"] = t
			return err
		},
		Fit: func(v domain.Value) domain.Value { return domain.TextValue(fitTax(v.Text(), side)) },
	}
}

func priceRow(f domain.Field, details string, d defaults) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{details + ".UnitPrice"}, Note: "as it was entered, in the organisation's own currency (" + d.currency + "): Xero does not say whether it has GST; at most 4 decimals",
		Get: func(o object) domain.Value {
			p := adapters.String(inner(o, details), "UnitPrice")
			if p == "" {
				return domain.Null
			}
			return domain.ValueOf(object{"amount": p, "currency": d.currency})
		},
		Set: func(o object, v domain.Value) error {
			if v.Empty() {
				return fmt.Errorf("xero cannot take a price away; set it to 0")
			}
			var m money.Money
			if err := v.Decode(&m); err != nil {
				return err
			}
			if m.Currency != d.currency {
				return fmt.Errorf("the price is in %s and items at Xero are in %s only", m.Currency, d.currency)
			}
			if err := fourDecimals("the price", m.Decimal()); err != nil {
				return err
			}
			innerFor(o, details)["UnitPrice"] = json.Number(m.Decimal())
			return nil
		},
	}
}
