package cin7core

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"datum/adapters"
	"datum/domain"
)

const root = "/ExternalApi/v2"

// meaning tells apart what Cin7 Core answers alike. By its documentation 403 is a refused credential; an account whose plan
// lacks a module answers it too, and says so. 503 was the documented answer beyond 60 calls a minute before 429 was.
func meaning(r *adapters.Response) domain.Code {
	words := strings.ToLower(string(r.Body[:min(len(r.Body), 2000)]))
	switch {
	case r.Status == http.StatusForbidden && !strings.Contains(words, "permission") && !strings.Contains(words, "module"):
		return domain.Unauthorized
	case r.Status == http.StatusServiceUnavailable && strings.Contains(words, "limit"):
		return domain.RateLimited
	}
	return ""
}

// do makes one call and returns the object in the answer; nil if there is none.
func (a *adapter) do(ctx context.Context, method, path string, q url.Values, body object, safe bool) (object, *adapters.Response, error) {
	call := adapters.Call{Method: method, Path: root + path, Header: http.Header{}, Accept: []int{http.StatusBadRequest, http.StatusConflict}}
	call.Header.Set("api-auth-accountid", a.s.Settings["accountId"])
	if len(q) > 0 {
		call.Path += "?" + strings.ReplaceAll(q.Encode(), "+", "%20")
	}
	if method != http.MethodGet {
		call.Write, call.Safe = true, safe
	}
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, nil, a.err(domain.Internal, "the object cannot be written as JSON")
		}
		call.Body = b
	}
	resp, err := a.s.HTTP.Do(ctx, call)
	if err != nil {
		return nil, nil, err
	}
	if resp.Status > 299 {
		return nil, resp, a.refusal(resp)
	}
	if len(resp.Body) == 0 {
		return nil, resp, nil
	}
	o, err := adapters.ParseObject(resp.Body)
	if err != nil {
		code := domain.Unavailable
		if call.Write && !safe {
			code = domain.Unknown
		}
		return nil, resp, a.err(code, "Cin7 Core's answer is not JSON")
	}
	// A part of what was sent can be refused in a 200.
	if words := problems(o["Errors"]); len(words) > 0 {
		return o, resp, a.err(domain.Invalid, "Cin7 Core took a part of it only: %s", strings.Join(words, "; "))
	}
	return o, resp, nil
}

// refusal turns a 400 or 409 into an error in Cin7 Core's words. Its shape is a list of errors, one of them, or text.
func (a *adapter) refusal(resp *adapters.Response) error {
	var v any
	var words []string
	if json.Unmarshal(resp.Body, &v) == nil {
		words = problems(v)
	} else if t := strings.TrimSpace(string(resp.Body)); t != "" && !strings.HasPrefix(t, "<") {
		words = []string{t[:min(len(t), 500)]}
	}
	text := strings.Join(words, "; ")
	if text == "" {
		text = fmt.Sprintf("%d without a reason", resp.Status)
	}
	code := domain.Invalid
	for _, clash := range []string{"already exists", "already authorised", "is voided", "already voided", "can not be changed because", "can not be undone", "can not be voided"} {
		if strings.Contains(text, clash) {
			code = domain.Conflict
		}
	}
	if resp.Status == http.StatusConflict {
		code = domain.Conflict
	}
	if strings.Contains(text, "not found in reference book") {
		text += "; add it to Cin7 Core's reference book of that name, or change it where it is owned"
	}
	e := a.err(code, "Cin7 Core refused it: %s", text)
	e.Field = fieldOf(text)
	return e
}

// problems are the words of an error or of a list of them.
func problems(v any) []string {
	var words []string
	switch v := v.(type) {
	case string:
		if v != "" {
			words = append(words, v)
		}
	case []any:
		for _, x := range v {
			words = append(words, problems(x)...)
		}
	case map[string]any:
		for _, k := range []string{"Exception", "Message", "Error", "Errors"} {
			if w := problems(v[k]); len(w) > 0 {
				return w
			}
		}
	}
	return words
}

// places are the members that Cin7 Core's messages begin with or name, and the fields they are.
var places = []struct {
	text  string
	field domain.Field
}{
	{"Category ", "category"}, {"UOM ", "unit"}, {"Brand ", "brand"}, {"SKU ", "sku"}, {"SaleTaxRule ", "salesTaxCode"}, {"PurchaseTaxRule ", "purchaseTaxCode"},
	{"RevenueAccount ", "salesAccount"}, {"CreditLimit ", "creditLimit"}, {"Comments ", "notes"}, {"Line ", "lines"}, {"Additional charge ", "lines"}, {"Location ", "location"},
}

func fieldOf(text string) domain.Field {
	for _, p := range places {
		if strings.HasPrefix(text, p.text) {
			return p.field
		}
	}
	return ""
}

func (a *adapter) err(code domain.Code, format string, args ...any) *domain.Error {
	e := domain.Errorf(code, format, args...)
	e.System = a.s.System
	return e
}

// label names a write in an error.
func label(w adapters.Write) string {
	kind := strings.ToLower(string(w.Kind))
	id := w.ExternalID
	if id == "" {
		id = w.CanonicalID
	}
	for _, f := range []domain.Field{"legalName", "sku", "name", "number", "reference"} {
		for _, v := range []domain.Values{w.Values, w.Golden} {
			if name := v[f].Text(); name != "" {
				return fmt.Sprintf("%s %q (%s)", kind, name, id)
			}
		}
	}
	return kind + " " + id
}
