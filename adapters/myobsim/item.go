package myobsim

import "fmt"

// items is the resource Inventory/Item. Stock itself is not simulated: quantities are what a person sets on the screen.
func items() *resource {
	custom := func(name string) member {
		return member{name: name, kind: group, hidden: true, members: []member{{name: "Label", kind: text, readOnly: true}, {name: "Value", kind: text, max: 255}}}
	}
	account := func(name string) member { return member{name: name, kind: link, to: "GeneralLedger/Account"} }
	return &resource{
		path: "Inventory/Item", typ: "items", name: "item", labels: []string{"Number", "Name"},
		schema: []member{
			{name: "Number", kind: text, max: 30, required: true}, {name: "Name", kind: text, max: 30}, {name: "IsActive", kind: flag},
			{name: "Description", kind: text, max: 255}, {name: "UseDescription", kind: flag},
			custom("CustomList1"), custom("CustomList2"), custom("CustomList3"), custom("CustomField1"), custom("CustomField2"), custom("CustomField3"),
			{name: "QuantityOnHand", kind: number, readOnly: true}, {name: "QuantityCommitted", kind: number, readOnly: true},
			{name: "QuantityOnOrder", kind: number, readOnly: true}, {name: "QuantityAvailable", kind: number, readOnly: true},
			{name: "AverageCost", kind: number, readOnly: true}, {name: "CurrentValue", kind: number, readOnly: true},
			{name: "BaseSellingPrice", kind: number, readOnly: true},
			{name: "IsBought", kind: flag}, {name: "IsSold", kind: flag}, {name: "IsInventoried", kind: flag},
			account("ExpenseAccount"), account("CostOfSalesAccount"), account("IncomeAccount"), account("AssetAccount"),
			{name: "BuyingDetails", kind: group, members: []member{
				{name: "LastPurchasePrice", kind: number, readOnly: true}, {name: "StandardCost", kind: number}, {name: "StandardCostTaxInclusive", kind: flag},
				{name: "BuyingUnitOfMeasure", kind: text, max: 5}, {name: "ItemsPerBuyingUnit", kind: number},
				{name: "TaxCode", kind: link, to: "GeneralLedger/TaxCode"},
			}},
			{name: "SellingDetails", kind: group, members: []member{
				{name: "BaseSellingPrice", kind: number}, {name: "SellingUnitOfMeasure", kind: text, max: 5}, {name: "ItemsPerSellingUnit", kind: number},
				{name: "TaxCode", kind: link, to: "GeneralLedger/TaxCode"}, {name: "IsTaxInclusive", kind: flag},
				{name: "CalculateSalesTaxOn", kind: text, values: []string{"ActualSellingPrice", "BaseSellingPrice", "LevelA", "LevelB", "LevelC", "LevelD", "LevelE", "LevelF"}},
			}},
			{name: "PhotoURI", kind: text, readOnly: true, hidden: true},
		},
		blank: func(s *Sim) object {
			return object{"IsActive": true, "IsSold": true, "IncomeAccount": s.accountNumbered("4-1000"), "SellingDetails": object{"TaxCode": s.taxCode("GST")}}
		},
		settle: settleItem, check: checkItem, removable: removableItem,
		computed: []string{"QuantityOnHand", "QuantityCommitted", "QuantityOnOrder", "QuantityAvailable"},
	}
}

// settleItem leaves out the details of what the item is not.
func settleItem(_ *Sim, o, _ object) {
	for i := range 3 {
		for _, kind := range []string{"Field", "List"} {
			name := fmt.Sprintf("Custom%s%d", kind, i+1)
			f, _ := o[name].(object)
			if f["Value"] == nil {
				o[name] = nil
				continue
			}
			f["Label"] = fmt.Sprintf("Custom %s No. %d", kind, i+1)
		}
	}
	if o["IsSold"] != true {
		o["SellingDetails"], o["IncomeAccount"] = nil, nil
	}
	if o["IsBought"] != true {
		o["BuyingDetails"] = nil
	}
	if sd, _ := o["SellingDetails"].(object); sd != nil {
		o["BaseSellingPrice"] = sd["BaseSellingPrice"]
		if sd["CalculateSalesTaxOn"] == nil {
			sd["CalculateSalesTaxOn"] = "ActualSellingPrice"
		}
	}
}

func checkItem(s *Sim, o, old object) []problem {
	var ps []problem
	need := func(when bool, path string, v any) {
		if when && v == nil {
			ps = append(ps, required(path))
		}
	}
	in := func(group string) any {
		g, _ := o[group].(object)
		return g["TaxCode"]
	}
	sold, bought, stocked := o["IsSold"] == true, o["IsBought"] == true, o["IsInventoried"] == true
	need(sold, "IncomeAccount", o["IncomeAccount"])
	need(sold, "SellingDetails.TaxCode", in("SellingDetails"))
	need(bought, "BuyingDetails.TaxCode", in("BuyingDetails"))
	need(bought && !stocked, "ExpenseAccount", o["ExpenseAccount"])
	need(stocked, "AssetAccount", o["AssetAccount"])
	need(stocked && sold, "CostOfSalesAccount", o["CostOfSalesAccount"])
	for _, x := range s.tables["Inventory/Item"].rows {
		if x.object["Number"] == o["Number"] && x.object["UID"] != old["UID"] {
			ps = append(ps, problem{Name: "DuplicateNumber", Message: "An item with the same number exists", AdditionalDetails: "Number"})
		}
	}
	return ps
}

func removableItem(s *Sim, o object) *problem {
	for _, path := range layouts {
		for _, x := range s.tables[path].rows {
			for _, l := range lines(x.object) {
				if item, _ := l["Item"].(object); item != nil && item["UID"] == o["UID"] {
					return &problem{Name: "CannotDelete", Message: "The item is used in transactions and cannot be deleted", AdditionalDetails: "Number"}
				}
			}
		}
	}
	return nil
}
