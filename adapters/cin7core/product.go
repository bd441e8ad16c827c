package cin7core

import (
	"encoding/json"
	"fmt"

	"github.com/shopspring/decimal"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// productMapping is the table of Product <-> product. Its SKU is unique there, so a look-up by SKU needs no id of ours.
func productMapping(h habits) adapters.Mapping {
	return adapters.Mapping{
		Kind: domain.KindProduct, Object: "product",
		Rows: []adapters.Row{
			required("sku", "SKU", 50, "required and unique"),
			required("name", "Name", 256, "required"),
			adapters.TextRow("description", "Description", 0, ""),
			adapters.TextRow("barcode", "Barcode", 256, ""),
			entryRow("unit", "UOM", 50, h.unit, "a unit of measure of the reference book"),
			entryRow("category", "Category", 256, h.category, "a category of the reference book"),
			adapters.TextRow("brand", "Brand", 256, "a brand of the reference book"),
			amountRow("salePrice", "PriceTier1", "the first price tier, in the account's currency, at most 4 decimals; 0 is none", 4, func(object) string { return h.currency }),
			taxRow("salesTaxCode", "SaleTaxRule", money.Sale, h.rules),
			taxRow("purchaseTaxCode", "PurchaseTaxRule", money.Purchase, h.rules),
			{Field: "trackStock", Paths: []string{"Type"}, Note: "Stock, else Service; cannot change once there are transactions; none means Stock",
				Get: func(o object) domain.Value {
					if t := adapters.String(o, "Type"); t != "" {
						return domain.ValueOf(t == "Stock")
					}
					return ""
				},
				Set: func(o object, v domain.Value) error {
					switch {
					case v != "false":
						o["Type"] = "Stock"
					case adapters.String(o, "Type") == "" || adapters.String(o, "Type") == "Stock": // else it is no stock already
						o["Type"] = "Service"
					}
					return nil
				},
				Fit: func(v domain.Value) domain.Value {
					if v.Empty() {
						return "true"
					}
					return v
				}},
			{Field: "weight", Paths: []string{"Weight", "WeightUnits"}, Get: h.getWeight, Set: h.setWeight, Note: "in the product's own unit, else in the setting weightUnit; 0 is none",
				Fit: func(v domain.Value) domain.Value {
					if v.Text() == "0" {
						return domain.Null
					}
					return v
				}},
			adapters.TextRow("salesAccount", "RevenueAccount", 50, "code of an account"),
			tagsRow(),
			statusRow(),
		},
		Known: append(attributes(), "ID", "LastModifiedOn", "CostingMethod", "PriceTiers", "PriceTier2", "PriceTier3", "PriceTier4", "PriceTier5", "PriceTier6", "PriceTier7",
			"PriceTier8", "PriceTier9", "PriceTier10", "AverageCost", "Sellable", "ShortDescription", "InternalNote", "Length", "Width", "Height", "DimensionsUnits", "COGSAccount",
			"InventoryAccount", "ExpenseAccount", "DiscountRule", "DefaultLocation", "StockLocator", "DropShipMode", "MinimumBeforeReorder", "ReorderQuantity", "ReorderLevels",
			"Suppliers", "Movements", "Attachments", "BillOfMaterial", "BillOfMaterialsProducts", "BillOfMaterialsServices", "AutoAssembly", "AutoDisassembly", "QuantityToProduce",
			"AssemblyInstructionURL", "AssemblyCostEstimationMethod", "AttributeSet", "PickZones", "HSCode", "CountryOfOrigin", "CountryOfOriginCode", "CartonHeight",
			"CartonInnerQuantity", "CartonLength", "CartonQuantity", "CartonWidth", "CustomPrices"),
	}
}

// entryRow maps the name of an entry of a reference book that every product needs.
func entryRow(f domain.Field, key string, limit int, otherwise, note string) adapters.Row {
	row := adapters.TextRow(f, key, limit, note+"; none means "+otherwise)
	row.Fit = fitted(otherwise)
	row.Set = func(o object, v domain.Value) error { o[key] = row.Fit(v).Text(); return nil }
	return row
}

func taxRow(f domain.Field, key string, side money.Side, r rules) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{key}, Note: "by the name of the tax rule; see the setting taxRules",
		Get: func(o object) domain.Value { return domain.TextValue(r.code(adapters.String(o, key), side)) },
		Set: func(o object, v domain.Value) error {
			if o[key] = nil; v.Empty() {
				return nil
			}
			name := r.name(money.TaxCode(v.Text()))
			if name == "" {
				return fmt.Errorf("no tax rule is known for %s; name it in the setting taxRules", v.Text())
			}
			o[key] = name
			return nil
		},
		Fit: func(v domain.Value) domain.Value {
			if v.Empty() {
				return v
			}
			return domain.TextValue(r.code(r.name(money.TaxCode(v.Text())), side))
		}}
}

// weights are Cin7 Core's units of weight in kilograms.
var weights = map[string]decimal.Decimal{"kg": decimal.New(1, 0), "g": decimal.New(1, -3), "mg": decimal.New(1, -6),
	"lb": decimal.RequireFromString("0.45359237"), "oz": decimal.RequireFromString("0.028349523125")}

// unitOf is the product's unit of weight: its own or, where Cin7 Core does not show it, the account's.
func (h habits) unitOf(o object) string {
	if u := adapters.String(o, "WeightUnits"); u != "" {
		return u
	}
	return h.weightUnit
}

func (h habits) getWeight(o object) domain.Value {
	d, err := decimal.NewFromString(adapters.String(o, "Weight"))
	if err != nil || d.IsZero() {
		return domain.Null
	}
	unit, known := weights[h.unitOf(o)]
	if !known {
		return "" // of what, nobody knows
	}
	return domain.TextValue(d.Mul(unit).Round(money.UnitDecimals).String())
}

func (h habits) setWeight(o object, v domain.Value) error {
	unit := h.unitOf(o)
	if _, known := weights[unit]; !known {
		unit = h.weightUnit
	}
	d := decimal.Zero
	if !v.Empty() {
		var err error
		if d, err = decimal.NewFromString(v.Text()); err != nil {
			return err
		}
	}
	o["Weight"], o["WeightUnits"] = json.Number(d.Div(weights[unit]).String()), unit
	return nil
}
