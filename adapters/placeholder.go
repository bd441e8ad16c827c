package adapters

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// placeholder begins every id that a vendor would have given, had it been asked.
const placeholder = "id-from-step-"

// Placeholder stands for the i-th id that the vendor gives in its answer to the n-th step of a write. It is the same in a path, a
// query and JSON, and nobody takes it for an id.
func Placeholder(n, i int) string {
	if i == 0 {
		return fmt.Sprint(placeholder, n)
	}
	return fmt.Sprint(placeholder, n, ".", i+1)
}

// HasPlaceholder reports whether the call names what a rehearsed step would have made.
func HasPlaceholder(c Call) bool {
	return strings.Contains(c.Path, placeholder) || bytes.Contains(c.Body, []byte(placeholder))
}

// Rehearsed is an answer of JSON to a call that was not made.
func Rehearsed(status int, v any) *Response {
	b, err := json.Marshal(v)
	if err != nil {
		return nil // what cannot be said is not known
	}
	return &Response{Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: b}
}
