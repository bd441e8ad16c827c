package shopify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/shopspring/decimal"

	"datum/adapters"
	"datum/domain"
	"datum/domain/money"
)

// productMapping is the table of Product: a variant with its inventory item and the product it belongs to. Fields of the
// product are shared by its variants. Set writes three inputs: shared (of the product), variant and item.
func productMapping(currency string) adapters.Mapping {
	const shared, variant, item = "shared", "variant", "item"
	return adapters.Mapping{
		Kind: domain.KindProduct, Object: "Product variants", IDField: "datumId",
		Rows: []adapters.Row{
			row("sku", maxName, "not unique in Shopify", []string{"sku"}, item, "sku"),
			{Field: "name", Paths: []string{"product.title", "title"}, Max: maxName, Note: "the product's title, and the variant's where there are several; then it is named in Shopify",
				Get: func(o object) domain.Value {
					name := within(o, "product", "title")
					if !onlyVariant(o) {
						name += " / " + within(o, "title")
					}
					return domain.TextValue(name)
				},
				Set: func(o object, v domain.Value) error {
					if v.Empty() {
						return errors.New("a product needs a title")
					}
					into(o, v.Text(), shared, "title")
					return nil
				}},
			{Field: "description", Paths: []string{"product.descriptionHtml"}, Note: "HTML there, text here; shared by the product's variants",
				Get: func(o object) domain.Value {
					return domain.TextValue(plainText(within(o, "product", "descriptionHtml")))
				},
				Set: func(o object, v domain.Value) error {
					into(o, htmlText(v.Text()), shared, "descriptionHtml")
					return nil
				}},
			row("barcode", maxName, "", []string{"barcode"}, variant, "barcode"),
			sharedText("category", "productType"),
			sharedText("brand", "vendor"),
			{Field: "salePrice", Paths: []string{"price"}, Note: "in the shop's currency",
				Get: func(o object) domain.Value { return price(within(o, "price"), within(o, "shop", "currencyCode")) },
				Set: func(o object, v domain.Value) error {
					amount, err := amountIn(v, currency)
					if err == nil && amount == "" {
						err = errors.New("a product needs a price")
					}
					into(o, amount, variant, "price")
					return err
				}},
			{Field: "priceIncludesTax", Paths: []string{"shop"}, Note: "a setting of the shop", Get: func(o object) domain.Value {
				return domain.TextValue(within(o, "shop", "taxesIncluded"))
			}},
			{Field: "purchasePrice", Paths: []string{"inventoryItem.unitCost"}, Note: "a change of it alone is noticed by a sweep and not by a poll",
				Get: func(o object) domain.Value {
					return price(within(o, "inventoryItem", "unitCost", "amount"), within(o, "inventoryItem", "unitCost", "currencyCode"))
				},
				Set: func(o object, v domain.Value) error {
					amount, err := amountIn(v, currency)
					into(o, orNil(amount), item, "cost")
					return err
				}},
			{Field: "salesTaxCode", Paths: []string{"taxable"}, Note: "GST or GST_FREE: Shopify knows only whether it is taxed",
				Get: func(o object) domain.Value {
					if within(o, "taxable") == "true" {
						return domain.TextValue(string(money.TaxGST))
					}
					return domain.TextValue(string(money.TaxFree))
				},
				Set: func(o object, v domain.Value) error {
					code := money.TaxCode(v.Text())
					if code != money.TaxGST && code != money.TaxFree {
						return fmt.Errorf("there are only GST and GST_FREE in Shopify, not %q", v.Text())
					}
					into(o, code == money.TaxGST, variant, "taxable")
					return nil
				}},
			{Field: "trackStock", Paths: []string{"inventoryItem.tracked"},
				Get: func(o object) domain.Value { return domain.TextValue(within(o, "inventoryItem", "tracked")) },
				Set: func(o object, v domain.Value) error {
					if v.Empty() {
						return errors.New("whether stock is tracked must be true or false")
					}
					into(o, v == "true", item, "tracked")
					return nil
				}},
			{Field: "weight", Paths: []string{"inventoryItem.measurement"}, Note: "kilograms; 0 is none",
				Get: getWeight,
				Set: func(o object, v domain.Value) error {
					w, err := decimal.NewFromString("0" + strings.TrimPrefix(v.Text(), "+"))
					if err != nil {
						return fmt.Errorf("%q is no weight that Shopify could hold", v.Text())
					}
					f, _ := w.Float64()
					into(o, object{"weight": object{"value": f, "unit": "KILOGRAMS"}}, item, "measurement")
					return nil
				},
				Fit: func(v domain.Value) domain.Value {
					if v.Text() == "0" {
						return domain.Null
					}
					return v
				}},
			sharedTags(),
			{Field: "status", Paths: []string{"product.status"}, Note: "ACTIVE, DRAFT and UNLISTED are ACTIVE",
				Get: func(o object) domain.Value {
					if within(o, "product", "status") == "ARCHIVED" {
						return domain.TextValue("ARCHIVED")
					}
					return domain.TextValue("ACTIVE")
				},
				Set: func(o object, v domain.Value) error {
					if v.Empty() {
						return errors.New("a product is ACTIVE or ARCHIVED")
					}
					into(o, v.Text(), shared, "status")
					return nil
				}},
		},
		Known: []string{"id", "legacyResourceId", "title", "createdAt", "updatedAt", "inventoryItem", "product", "shop"},
	}
}

func onlyVariant(o object) bool { return within(o, "product", "hasOnlyDefaultVariant") == "true" }

// sharedText maps a text of the product.
func sharedText(f domain.Field, member string) adapters.Row {
	return adapters.Row{Field: f, Paths: []string{"product." + member}, Max: maxName, Note: "shared by the product's variants",
		Get: func(o object) domain.Value { return domain.TextValue(within(o, "product", member)) },
		Set: func(o object, v domain.Value) error { into(o, v.Text(), "shared", member); return nil }}
}

func sharedTags() adapters.Row {
	r := tagsRow("product", "tags")
	set := r.Set
	r.Set = func(o object, v domain.Value) error {
		t := object{}
		if err := set(t, v); err != nil {
			return err
		}
		into(o, t["tags"], "shared", "tags")
		return nil
	}
	return r
}

// price is an amount as a value; without a currency nothing is known of it.
func price(amount, currency string) domain.Value {
	switch {
	case amount == "":
		return domain.Null
	case currency == "":
		return ""
	}
	return domain.ValueOf(map[string]string{"amount": amount, "currency": currency})
}

// amountIn returns the amount of a money value in the shop's currency, "" for none.
func amountIn(v domain.Value, currency string) (string, error) {
	if v.Empty() {
		return "", nil
	}
	var m money.Money
	if err := v.Decode(&m); err != nil {
		return "", err
	}
	if m.Currency != currency {
		return "", fmt.Errorf("the shop's prices are in %s, not in %s", currency, m.Currency)
	}
	if m.Amount.IsNegative() || !m.Amount.Equal(m.Amount.Round(2)) {
		return "", fmt.Errorf("prices in Shopify have two decimals and are not negative; this is %s", m.Decimal())
	}
	return m.Decimal(), nil
}

// kilograms are what one of a unit weighs.
var kilograms = map[string]string{"KILOGRAMS": "1", "GRAMS": "0.001", "POUNDS": "0.45359237", "OUNCES": "0.028349523125"}

func getWeight(o object) domain.Value {
	w := at(o, "inventoryItem", "measurement", "weight")
	value, unit := within(w, "value"), kilograms[within(w, "unit")]
	d, err := decimal.NewFromString(value)
	if value == "" || err != nil || d.IsZero() {
		return domain.Null
	}
	if unit == "" {
		return domain.ValueOf(within(w, "unit")) // not a number: Normalize makes it an issue
	}
	return domain.TextValue(d.Mul(decimal.RequireFromString(unit)).Round(money.UnitDecimals).String())
}

// parts of the inputs of a product, as the mapping sets them.
func productInputs(set object) (shared, variant object) {
	shared, variant = at(set, "shared"), at(set, "variant")
	if shared == nil {
		shared = object{}
	}
	if variant == nil {
		variant = object{}
	}
	if item := at(set, "item"); item != nil {
		variant["inventoryItem"] = item
	}
	return shared, variant
}

func (a *adapter) createProduct(ctx context.Context, w adapters.Write, set object) (domain.Record, error) {
	shared, variant := productInputs(set)
	if within(shared, "title") == "" {
		e := a.err(domain.Invalid, "a product needs a name to be made in Shopify")
		e.Field = "name"
		return domain.Record{}, e
	}
	variant["optionValues"] = []object{{"optionName": "Title", "name": "Default Title"}}
	if m := marks(w, nil); m != nil {
		variant["metafields"] = m
	}
	shared["productOptions"] = []object{{"name": "Title", "values": []object{{"name": "Default Title"}}}}
	shared["variants"] = []object{variant}
	if _, ok := shared["vendor"]; !ok {
		shared["vendor"] = "" // else Shopify names the shop
	}
	var out struct {
		Set struct {
			Product object      `json:"product"`
			Errors  []userError `json:"userErrors"`
		} `json:"productSet"`
	}
	v := vars{"input": shared}
	if w.CanonicalID != "" {
		v["identifier"] = customID(w.CanonicalID)
	}
	s, err := a.mutate(ctx, mutationSetProduct, v, &out, w.CanonicalID != "")
	if err == nil {
		err = a.refused(out.Set.Errors)
	}
	if err != nil {
		return domain.Record{}, err
	}
	vs := list(out.Set.Product, "variants", "nodes")
	if len(vs) == 0 {
		vs = []object{nil}
	}
	return a.answered(ctx, w.Kind, vs[0], s)
}

func (a *adapter) updateProduct(ctx context.Context, w adapters.Write, set, base object) (domain.Record, error) {
	shared, variant := productInputs(set)
	if _, named := shared["title"]; named && !onlyVariant(base) {
		e := a.err(domain.Invalid, "%s is one of several variants: its name is made of the product's and its options, so rename it in Shopify", within(base, "sku"))
		e.Field = "name"
		return domain.Record{}, e
	}
	id := within(base, "product", "id")
	shared["id"], variant["id"] = id, gid("ProductVariant", w.ExternalID)
	if m := marks(w, base); m != nil {
		variant["metafields"] = m
	}
	var out struct {
		Product struct {
			Errors []userError `json:"userErrors"`
		} `json:"productUpdate"`
		Variants struct {
			Variants []object    `json:"productVariants"`
			Errors   []userError `json:"userErrors"`
		} `json:"productVariantsBulkUpdate"`
	}
	s, err := a.mutate(ctx, mutationUpdateProduct, vars{"product": shared, "id": id, "variants": []object{variant}, "shared": len(shared) > 1}, &out, true)
	if err == nil {
		err = a.refused(slices.Concat(out.Product.Errors, out.Variants.Errors))
	}
	if err != nil {
		return domain.Record{}, err
	}
	if len(out.Variants.Variants) == 0 {
		return a.answered(ctx, w.Kind, nil, s)
	}
	return a.answered(ctx, w.Kind, out.Variants.Variants[0], s)
}
