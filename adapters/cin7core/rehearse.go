package cin7core

import (
	"net/http"
	"strings"

	"datum/adapters"
)

// rehearse answers as Cin7 Core does to what it takes: with the object as it was sent, and its id.
func rehearse(c adapters.Call, step int) *adapters.Response {
	path, _, _ := strings.Cut(strings.ToLower(c.Path), "?")
	if c.Method == http.MethodGet {
		return nil
	}
	if c.Method == http.MethodDelete {
		return adapters.Rehearsed(http.StatusOK, object{})
	}
	o, err := adapters.ParseObject(c.Body)
	if err != nil {
		return nil
	}
	if adapters.String(o, "ID") == "" && !strings.HasSuffix(path, "/sale/order") {
		o["ID"] = adapters.Placeholder(step, 0)
	}
	for _, src := range sources {
		if src.list != "" && strings.HasSuffix(path, src.path) {
			return adapters.Rehearsed(http.StatusOK, object{src.list: []any{o}})
		}
	}
	if strings.HasSuffix(path, "/sale") && c.Method == http.MethodPost {
		o["Status"], o["Order"] = "ESTIMATED", object{"Status": "NOT AVAILABLE", "Lines": []any{}, "AdditionalCharges": []any{}}
	}
	return adapters.Rehearsed(http.StatusOK, o)
}
