package hubspot

import (
	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

func codes(side money.Side) []string {
	var list []string
	for _, t := range money.TaxCodes() {
		if t.Side == side || t.Side == "" {
			list = append(list, string(t.Code))
		}
	}
	return list
}

func productProperties() []property {
	return []property{
		textProperty("barcode", "Barcode", "GTIN"), textProperty("unit", "Unit of measure", ""), textProperty("product_category", "Category", ""), textProperty("brand", "Brand", ""),
		boolProperty("price_includes_tax", "Price includes GST"),
		choiceProperty("sales_tax_code", "GST on sales", codes(money.Sale)...), choiceProperty("purchase_tax_code", "GST on purchases", codes(money.Purchase)...),
		numberProperty("weight_kg", "Weight, kg", ""), textProperty("sales_account", "Sales account", "Code of the revenue account"),
		textProperty("purchase_account", "Purchase account", "Code of the expense account"), textProperty("product_tags", "Tags", "Separated by semicolons"),
		longProperty("custom_fields", "Custom fields", "A JSON object of text, written by Datum"), choiceProperty("product_status", "Product status", "ACTIVE", "ARCHIVED"),
	}
}

// productMapping is the table of Product.
func productMapping() adapters.Mapping {
	text := adapters.TextRow
	return adapters.Mapping{
		Kind:    domain.KindProduct,
		Object:  "Products",
		IDField: idProperty,
		Rows: []adapters.Row{
			text("sku", "hs_sku", maxText, "HubSpot does not keep it unique"),
			text("name", "name", maxText, ""),
			text("description", "description", maxText, ""),
			text("barcode", "barcode", maxText, "custom"),
			text("unit", "unit", maxText, "custom"),
			text("category", "product_category", maxText, "custom"),
			text("brand", "brand", maxText, "custom"),
			moneyRow("salePrice", "price", "", "in the currency of the HubSpot account (setting currency)"),
			text("priceIncludesTax", "price_includes_tax", 0, "custom; true or false"),
			moneyRow("purchasePrice", "hs_cost_of_goods_sold", "", "in the currency of the HubSpot account (setting currency)"),
			text("salesTaxCode", "sales_tax_code", 0, "custom"),
			text("purchaseTaxCode", "purchase_tax_code", 0, "custom"),
			{Field: "trackStock", Paths: []string{"hs_product_type"}, Note: "inventory is true; non_inventory and service are false",
				Get: func(o adapters.Object) domain.Value {
					switch adapters.String(o, "hs_product_type") {
					case "":
						return domain.Null
					case "inventory":
						return "true"
					default:
						return "false"
					}
				},
				Set: func(o adapters.Object, v domain.Value) error {
					o["hs_product_type"] = map[domain.Value]string{"true": "inventory", "false": "non_inventory"}[v]
					return nil
				}},
			text("weight", "weight_kg", 0, "custom; kg"),
			text("salesAccount", "sales_account", maxText, "custom"),
			text("purchaseAccount", "purchase_account", maxText, "custom"),
			tagsRow("product_tags"),
			customFieldsRow(),
			text("status", "product_status", 0, "custom; ACTIVE or ARCHIVED. A product archived in HubSpot itself is gone"),
		},
		Known: stamps,
	}
}
