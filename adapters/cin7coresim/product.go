package cin7coresim

import (
	"fmt"
	"strings"
)

const (
	typeStock   = "Stock"
	typeService = "Service"
)

var productSchema = func() schema {
	s := schema{
		"SKU": 50, "Name": 256, "Category": 256, "Brand": 256, "Type": 50, "CostingMethod": 50, "DropShipMode": 50, "DefaultLocation": 256, "UOM": 50, "Barcode": 256,
		"Description": 100000, "ShortDescription": 100000, "InternalNote": 1000, "Tags": 256, "Status": 20, "Sellable": -1, "Weight": -1, "WeightUnits": 10, "Length": -1, "Width": -1,
		"Height": -1, "SaleTaxRule": 50, "PurchaseTaxRule": 50, "RevenueAccount": 50, "COGSAccount": 50, "InventoryAccount": 50, "ExpenseAccount": 50, "DiscountRule": 50,
		"StockLocator": 50, "MinimumBeforeReorder": -1, "ReorderQuantity": -1, "AttributeSet": 50, "HSCode": 50, "CountryOfOrigin": 256, "PickZones": 256,
	}
	for i := range 10 {
		s[fmt.Sprintf("PriceTier%d", i+1)] = -1
	}
	return attributes(s)
}()

func (s *Sim) getProducts(r *request) (any, *refused) {
	at, ok := since(r.query["modifiedsince"])
	if !ok {
		return nil, bad("Parameter ModifiedSince is not valid date")
	}
	var list []object
	for _, o := range s.products.sorted("Name") {
		id := r.id("id")
		switch {
		case id != "" && o["ID"] != id, !starts(o["Name"], r.query["name"]), !starts(o["SKU"], r.query["sku"]), !changedSince(o, "LastModifiedOn", at):
		case o["Status"] == deprecated && id == "" && !r.yes("includedeprecated"):
		default:
			list = append(list, o)
		}
	}
	return page(r, "Products", list)
}

func (s *Sim) postProduct(r *request) (any, *refused) {
	o, e := s.saveProduct(nil, r.body)
	if e != nil {
		return nil, e
	}
	s.wrote("products", nil, o)
	return answered("Products", o, nil), nil
}

func (s *Sim) putProduct(r *request) (any, *refused) {
	old := s.products[strings.ToLower(text(r.body["ID"]))]
	if old == nil {
		return nil, bad("Product with ID '%s' was not found", text(r.body["ID"]))
	}
	o, e := s.saveProduct(old, r.body)
	if e != nil {
		return nil, e
	}
	s.wrote("products", old, o)
	return answered("Products", o, nil), nil
}

// saveProduct makes or changes a product. What is not given stays.
func (s *Sim) saveProduct(old, given object) (object, *refused) {
	o := object{"Brand": nil, "Barcode": nil, "Description": "", "ShortDescription": "", "InternalNote": "", "Tags": "", "Sellable": true, "Weight": 0, "WeightUnits": nil,
		"Length": 0, "Width": 0, "Height": 0, "SaleTaxRule": nil, "PurchaseTaxRule": nil, "RevenueAccount": nil, "COGSAccount": nil, "InventoryAccount": nil, "ExpenseAccount": nil,
		"DefaultLocation": nil, "DropShipMode": "No Drop Ship", "AverageCost": 0, "BillOfMaterial": false, "AutoAssembly": false, "AutoDisassembly": false, "AttributeSet": nil,
		"Suppliers": []any{}, "ReorderLevels": []any{}, "Movements": []any{}, "Attachments": []any{}, "BillOfMaterialsProducts": []any{}, "BillOfMaterialsServices": []any{},
		"MinimumBeforeReorder": 0, "ReorderQuantity": 0, "StockLocator": "", "DiscountRule": nil, "PickZones": "", "HSCode": "", "CountryOfOrigin": "", "CountryOfOriginCode": "",
		"AssemblyCostEstimationMethod": "Average Cost", "AssemblyInstructionURL": "", "QuantityToProduce": 1, "CartonHeight": 0, "CartonWidth": 0, "CartonLength": 0,
		"CartonQuantity": 0, "CartonInnerQuantity": 0}
	for i := range 10 {
		o[fmt.Sprintf("PriceTier%d", i+1)] = 0
	}
	if old != nil {
		o = copyOf(old)
	}
	if e := productSchema.lay(o, given); e != nil {
		return nil, e
	}
	for _, k := range []string{"SKU", "Name", "Category", "UOM", "CostingMethod", "Type", "Status"} {
		if strings.TrimSpace(text(o[k])) == "" {
			return nil, bad("%s is required", k)
		}
	}
	kinds := map[any]bool{typeStock: true, typeService: true, "Fixed Asset": true, "Non Inventory": true}
	switch {
	case o["Status"] != active && o["Status"] != deprecated:
		return nil, bad("Status '%s' is not valid. Available values are Active, Deprecated", text(o["Status"]))
	case !kinds[o["Type"]]:
		return nil, bad("Type '%s' is not valid. Available values are Stock, Service, Fixed Asset, Non Inventory", text(o["Type"]))
	case old != nil && old["Type"] != o["Type"] && s.moved(text(o["ID"])):
		return nil, bad("Type can not be changed because product has transactions")
	}
	if e := s.named(o, [3]string{"Category", "ref/category", "Name"}, [3]string{"Brand", "ref/brand", "Name"}, [3]string{"UOM", "ref/unit", "Name"},
		[3]string{"SaleTaxRule", "ref/tax", "Name"}, [3]string{"PurchaseTaxRule", "ref/tax", "Name"}, [3]string{"RevenueAccount", "ref/account", "Code"},
		[3]string{"COGSAccount", "ref/account", "Code"}, [3]string{"InventoryAccount", "ref/account", "Code"}); e != nil {
		return nil, e
	}
	tiers := object{}
	for i := range 10 {
		k := fmt.Sprintf("PriceTier%d", i+1)
		d, ok := dec(o[k])
		if !ok || d.IsNegative() || !d.Equal(d.Round(4)) {
			return nil, bad("%s must be a positive number with up to 4 decimal places", k)
		}
		o[k], _ = number(o[k])
		tiers[fmt.Sprintf("Tier %d", i+1)] = o[k]
	}
	o["PriceTiers"] = tiers
	for _, k := range []string{"Weight", "Length", "Width", "Height"} {
		if d, ok := dec(o[k]); !ok || d.IsNegative() {
			return nil, bad("%s must be a positive number", k)
		}
		o[k], _ = number(o[k])
	}
	for _, x := range s.products {
		if x["ID"] != o["ID"] && strings.EqualFold(text(x["SKU"]), text(o["SKU"])) {
			return nil, bad("Product with SKU '%s' already exists", text(o["SKU"]))
		}
	}
	if old == nil {
		o["ID"] = s.UUID()
	}
	o["LastModifiedOn"] = s.stamp()
	s.products[text(o["ID"])] = o
	s.notify("Product/Updated", object{"ProductID": upper(o["ID"]), "SKU": o["SKU"], "Name": o["Name"]})
	return o, nil
}

// product finds a product by the id or the SKU of a line.
func (s *Sim) product(line object) object {
	if id := strings.ToLower(text(line["ProductID"])); id != "" {
		return s.products[id]
	}
	for _, o := range s.products {
		if text(line["SKU"]) != "" && strings.EqualFold(text(o["SKU"]), text(line["SKU"])) {
			return o
		}
	}
	return nil
}
