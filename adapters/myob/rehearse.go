package myob

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"

	"datum/adapters"
)

// rehearse answers as MYOB does to what it takes: with the object as it was sent, and its UID.
func rehearse(c adapters.Call, step int) *adapters.Response {
	path, _, _ := strings.Cut(c.Path, "?")
	switch {
	case c.Method == http.MethodDelete:
		return adapters.Rehearsed(http.StatusOK, nil)
	case c.Method == http.MethodGet && strings.HasSuffix(path, settlements):
		return adapters.Rehearsed(http.StatusOK, object{"Items": []any{}})
	case c.Method == http.MethodGet:
		return nil
	}
	o, err := adapters.ParseObject(c.Body)
	if err != nil {
		return nil
	}
	if adapters.String(o, "UID") == "" {
		o["UID"] = adapters.Placeholder(step, 0)
	}
	o["RowVersion"], o["LastModified"] = adapters.Placeholder(step, 0), "2000-01-01T00:00:00" // a time that nobody looks at
	if lines, _ := o["Lines"].([]any); len(lines) > 0 && o["TotalAmount"] == nil {            // a credit note is told by the sign of it
		o["TotalAmount"] = json.Number("1")
		if bytes.Contains(c.Body, []byte(`"ShipQuantity":-`)) || bytes.Contains(c.Body, []byte(`"Total":-`)) {
			o["TotalAmount"] = json.Number("-1")
		}
	}
	return adapters.Rehearsed(http.StatusOK, o)
}
