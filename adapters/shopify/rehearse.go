package shopify

import (
	"encoding/json"

	"datum/adapters"
)

// rehearse answers as Shopify does to a customer that it takes, which is the one write of several steps: the ABN follows.
func rehearse(c adapters.Call, step int) *adapters.Response {
	var q struct {
		OperationName string
		Variables     struct {
			Input      object
			Identifier struct{ CustomID struct{ Value string } }
		}
	}
	if json.Unmarshal(c.Body, &q) != nil || q.OperationName != "SetCustomer" {
		return nil
	}
	id := adapters.Placeholder(step, 0)
	customer := object{"id": gid("Customer", id), "legacyResourceId": id, "defaultAddress": nil, "datumId": object{"value": q.Variables.Identifier.CustomID.Value}}
	if list, _ := q.Variables.Input["addresses"].([]any); len(list) > 0 {
		customer["defaultAddress"] = object{"id": gid("MailingAddress", adapters.Placeholder(step, 1))}
	}
	return adapters.Rehearsed(200, object{"data": object{"customerSet": object{"customer": customer, "userErrors": []any{}}}})
}
