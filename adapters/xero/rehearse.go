package xero

import (
	"net/http"
	"strings"

	"datum/adapters"
)

// rehearse answers as Xero does to what it takes: with the elements as they were sent, and their ids.
func rehearse(c adapters.Call, step int) *adapters.Response {
	path, _, _ := strings.Cut(strings.TrimPrefix(c.Path, api+"/"), "?")
	name, rest, _ := strings.Cut(path, "/")
	id := strings.TrimSuffix(name, "s") + "ID"
	switch {
	case strings.Contains(rest, "/Allocations"):
		return adapters.Rehearsed(http.StatusOK, object{"Allocations": []any{}})
	case c.Method == http.MethodGet:
		return adapters.Rehearsed(http.StatusOK, object{name: []any{object{id: rest}}})
	}
	body, err := adapters.ParseObject(c.Body)
	if err != nil {
		return nil
	}
	list, _ := body[name].([]any)
	for i, x := range list {
		o, _ := x.(object)
		if o == nil {
			return nil
		}
		if adapters.String(o, id) == "" {
			o[id] = adapters.Placeholder(step, i)
		}
		if name == "BankTransactions" {
			o["OverpaymentID"] = o[id]
		}
		delete(o, "Allocations")                                                            // which are made by a call of their own
		o["StatusAttributeString"], o["UpdatedDateUTC"] = "OK", "/Date(946684800000+0000)/" // a time that nobody looks at
	}
	return adapters.Rehearsed(http.StatusOK, object{name: list})
}
