package myob

import (
	"encoding/json"
	"fmt"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// productMapping is the table of Product <-> item. What is written of tax codes and accounts are their codes, which resolve
// turns into UIDs.
func productMapping(currency, idField string) adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindProduct, Object: "Inventory/Item", IDField: idField,
		Rows: []adapters.Row{
			needed(adapters.TextRow("sku", "Number", 30, "required and unique; at most 30")),
			adapters.TextRow("name", "Name", 30, ""),
			adapters.TextRow("description", "Description", 255, ""),
			{Field: "unit", Paths: []string{"SellingDetails.SellingUnitOfMeasure"}, Get: getSold("SellingUnitOfMeasure"), Set: setDetail("SellingDetails", "SellingUnitOfMeasure")},
			priceRow("salePrice", "SellingDetails", "BaseSellingPrice", currency),
			{Field: "priceIncludesTax", Paths: []string{"SellingDetails.IsTaxInclusive"}, Fit: fitFlag,
				Get: func(o object) domain.Value { return flagOf(part(o, "SellingDetails"), "IsTaxInclusive") },
				Set: func(o object, v domain.Value) error {
					partFor(o, "SellingDetails")["IsTaxInclusive"] = v == "true"
					return nil
				}},
			priceRow("purchasePrice", "BuyingDetails", "StandardCost", currency),
			codeRow("salesTaxCode", "SellingDetails", money.Sale),
			codeRow("purchaseTaxCode", "BuyingDetails", money.Purchase),
			{Field: "trackStock", Paths: []string{"IsInventoried"}, Get: func(o object) domain.Value { return flagOf(o, "IsInventoried") }, Set: setStocked, Fit: fitFlag,
				Note: "needs the setting stockAccount"},
			{Field: "salesAccount", Paths: []string{"IncomeAccount"}, Note: "number of the account, 4-1000; if none is given, the setting salesAccount",
				Get: func(o object) domain.Value { return accountOf(o, "IncomeAccount") },
				Set: func(o object, v domain.Value) error { return setAccount(o, "IncomeAccount", v) }},
			{Field: "purchaseAccount", Paths: []string{"ExpenseAccount", "CostOfSalesAccount"}, Note: "of an item whose stock is tracked the cost of sales account",
				Get: func(o object) domain.Value { return accountOf(o, costAccount(o)) },
				Set: func(o object, v domain.Value) error { return setAccount(o, costAccount(o), v) }},
			{Field: "status", Paths: []string{"IsActive"}, Get: getStatus, Set: setStatus, Fit: fitted("ACTIVE"), Note: "an inactive item is ARCHIVED"},
		},
		Known: append(common(), "UseDescription", "CustomList1", "CustomList2", "CustomList3", "CustomField1", "CustomField2", "CustomField3", "QuantityOnHand",
			"QuantityCommitted", "QuantityOnOrder", "QuantityAvailable", "AverageCost", "CurrentValue", "BaseSellingPrice", "IsBought", "IsSold", "AssetAccount",
			"LocationDetails", "DefaultSellLocation", "DefaultReceiveLocation", "BillOfMaterials", "PhotoURI"),
	}
}

// common are members of every object that say nothing of its content.
func common() []string {
	return []string{"UID", "URI", "RowVersion", "RowID", "LastModified", "Created", "ETag"}
}

// needed makes a row refuse to go empty.
func needed(r adapters.Row) adapters.Row {
	set := r.Set
	r.Set = func(o object, v domain.Value) error {
		if v.Empty() {
			return fmt.Errorf("MYOB does not let it go empty")
		}
		return set(o, v)
	}
	return r
}

func flagOf(o object, key string) domain.Value {
	if b, ok := o[key].(bool); ok {
		return domain.ValueOf(b)
	}
	return ""
}

func fitFlag(v domain.Value) domain.Value {
	if v.Empty() {
		return "false"
	}
	return v
}

func getSold(key string) func(object) domain.Value {
	return func(o object) domain.Value { return domain.TextValue(adapters.String(part(o, "SellingDetails"), key)) }
}

func setDetail(group, key string) func(object, domain.Value) error {
	return func(o object, v domain.Value) error {
		partFor(o, group)[key] = v.Text()
		return nil
	}
}

// uses are the members that say whether an item has the details at all.
var uses = map[string]string{"SellingDetails": "IsSold", "BuyingDetails": "IsBought"}

func priceRow(f domain.Field, group, key, currency string) adapters.Row {
	return adapters.Row{
		Field: f, Paths: []string{group + "." + key}, Note: "in the file's own currency; MYOB does not tell a price of 0 from none",
		Get: func(o object) domain.Value {
			d := number(part(o, group), key)
			if d.IsZero() {
				return domain.Null
			}
			return domain.ValueOf(money.Money{Amount: d, Currency: currency})
		},
		Fit: func(v domain.Value) domain.Value {
			var m money.Money
			if v.Decode(&m) == nil && m.Amount.IsZero() {
				return domain.Null
			}
			return v
		},
		Set: func(o object, v domain.Value) error {
			m := money.Money{Currency: currency}
			if err := v.Decode(&m); err != nil {
				return err
			}
			if m.Currency != currency {
				return fmt.Errorf("the file keeps its books in %s, and the price is in %s", currency, m.Currency)
			}
			if !m.Amount.IsZero() {
				o[uses[group]] = true
			}
			if part(o, group) != nil || !m.Amount.IsZero() {
				partFor(o, group)[key] = json.Number(m.Amount.String())
			}
			return nil
		},
	}
}

func codeRow(f domain.Field, group string, side money.Side) adapters.Row {
	return adapters.Row{
		Field: f, Paths: []string{group + ".TaxCode"}, Note: "by the code's three letters",
		Get: func(o object) domain.Value { return domain.TextValue(taxCodeOf(part(o, group), "TaxCode", side)) },
		Fit: func(v domain.Value) domain.Value {
			if code, err := money.TaxCode(v.Text()).MYOBCode(); err == nil {
				if c, ok := money.FromMYOB(code, side); ok {
					return domain.TextValue(string(c))
				}
			}
			return v
		},
		Set: func(o object, v domain.Value) error {
			if v.Empty() && o[uses[group]] != true {
				return nil
			}
			if v.Empty() {
				return fmt.Errorf("MYOB needs one for what is bought or sold")
			}
			o[uses[group]] = true
			return setTaxCode(partFor(o, group), "TaxCode", v.Text())
		},
	}
}

// taxCodeOf is the canonical code of a link to a tax code, MYOB's own if there is none, which is then reported.
func taxCodeOf(o object, key string, side money.Side) string {
	code := adapters.String(part(o, key), "Code")
	if c, ok := money.FromMYOB(code, side); ok {
		return string(c)
	}
	return code
}

// setTaxCode writes a link by the code, unless it is there already.
func setTaxCode(o object, key, canonical string) error {
	code, err := money.TaxCode(canonical).MYOBCode()
	if err != nil {
		return err
	}
	if adapters.String(part(o, key), "Code") != code {
		o[key] = object{"Code": code}
	}
	return nil
}

func accountOf(o object, key string) domain.Value {
	return domain.TextValue(adapters.String(part(o, key), "DisplayID"))
}

func setAccount(o object, key string, v domain.Value) error {
	if v.Empty() {
		return fmt.Errorf("MYOB needs an account; give its number, such as 4-1000")
	}
	if accountOf(o, key) != v {
		o[key] = object{"DisplayID": v.Text()}
	}
	if key == "IncomeAccount" {
		o["IsSold"] = true
	} else {
		o["IsBought"] = true
	}
	return nil
}

// costAccount is where an item keeps the account of what it costs.
func costAccount(o object) string {
	if o["IsInventoried"] == true {
		return "CostOfSalesAccount"
	}
	return "ExpenseAccount"
}

// setStocked moves the account to where an item of the sort has it.
func setStocked(o object, v domain.Value) error {
	from := costAccount(o)
	o["IsInventoried"] = v == "true"
	if to := costAccount(o); to != from && o[from] != nil {
		o[to], o[from] = o[from], nil
	}
	return nil
}

// finishProduct gives an item what MYOB wants of one that is sold, bought or stocked and the values do not say.
func (a *adapter) finishProduct(o object) error {
	want := func(o object, key, setting, member string) error {
		if o[key] != nil {
			return nil
		}
		v := a.setting(setting)
		if v == "" {
			return a.err(domain.Invalid, "MYOB needs the item's %s; name it in the setting %s", key, setting)
		}
		o[key] = object{member: v}
		return nil
	}
	if o["IsSold"] == true {
		if err := want(partFor(o, "SellingDetails"), "TaxCode", "taxCode", "Code"); err != nil {
			return err
		}
		if err := want(o, "IncomeAccount", "salesAccount", "DisplayID"); err != nil {
			return err
		}
	}
	if o["IsBought"] == true {
		if err := want(partFor(o, "BuyingDetails"), "TaxCode", "taxCode", "Code"); err != nil {
			return err
		}
		if o["IsInventoried"] != true {
			return want(o, "ExpenseAccount", "purchaseAccount", "DisplayID")
		}
	}
	if o["IsInventoried"] == true {
		if err := want(o, "CostOfSalesAccount", "purchaseAccount", "DisplayID"); err != nil {
			return err
		}
		return want(o, "AssetAccount", "stockAccount", "DisplayID")
	}
	return nil
}
