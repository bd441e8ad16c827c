package xero

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strings"

	"datum/adapters"
	"datum/domain"
)

const api = "/api.xro/2.0"

// do makes one call to the organisation. Statuses whose meaning is in Xero's body become errors here, the others in the
// session.
func (a *adapter) do(ctx context.Context, call adapters.Call) (*adapters.Response, error) {
	h := http.Header{"Accept": {"application/json"}, "Xero-Tenant-Id": {a.s.Settings["tenantId"]}}
	maps.Copy(h, call.Header)
	call.Header = h
	call.Accept = []int{http.StatusBadRequest, http.StatusForbidden, http.StatusPreconditionFailed}
	resp, err := a.s.HTTP.Do(ctx, call)
	if err != nil {
		return nil, err
	}
	switch resp.Status {
	case http.StatusBadRequest:
		return resp, a.refused(resp.Body)
	case http.StatusForbidden:
		return resp, a.err(domain.Forbidden, "Xero refused access to the organisation (%s); check the app's scopes and that the organisation is still connected", detail(resp.Body))
	case http.StatusPreconditionFailed:
		return resp, a.err(domain.Unavailable, "the organisation is offline at Xero; it will be tried again")
	}
	return resp, nil
}

func (a *adapter) err(code domain.Code, format string, args ...any) *domain.Error {
	e := domain.Errorf(code, format, args...)
	e.System = a.s.System
	return e
}

// detail is the word of an authorisation problem: {"Title":"Forbidden","Detail":"AuthenticationUnsuccessful"}.
func detail(body []byte) string {
	var p struct{ Title, Detail string }
	if json.Unmarshal(body, &p) != nil {
		return "403"
	}
	word, _, _ := strings.Cut(defaulted(p.Detail, defaulted(p.Title, "403")), ":")
	return word
}

// exception is the body of a 400.
type exception struct {
	ErrorNumber int
	Type        string
	Message     string
	Elements    []struct {
		ValidationErrors []struct{ Message string }
	}
}

// refused turns the body of a 400 into an error in Xero's words.
func (a *adapter) refused(body []byte) *domain.Error {
	var x exception
	if json.Unmarshal(body, &x) != nil || x.Message == "" {
		return a.err(domain.Invalid, "Xero refused the request without saying why")
	}
	var msgs []string
	for _, e := range x.Elements {
		for _, v := range e.ValidationErrors {
			msgs = append(msgs, v.Message)
		}
	}
	if len(msgs) == 0 {
		msgs = []string{x.Message}
	}
	if strings.Contains(strings.ToLower(x.Message), "different request") {
		return a.err(domain.Conflict, "Xero has seen this idempotency key with another request; look the record up and use a new key")
	}
	return a.invalid("", msgs)
}

// Phrases by which Xero's validation messages are told apart, in lower case.
var phrases = []struct {
	text  string
	code  domain.Code
	field domain.Field
}{
	{"period lock date", domain.Forbidden, ""},
	{"contact name must be unique", domain.Conflict, "legalName"},
	{"# must be unique", domain.Conflict, "number"},
	{"price list item with code", domain.Conflict, "sku"},
	{"not of valid status", domain.Conflict, "stage"},
	{"because it has payments", domain.Conflict, "stage"},
	{"payments can only be made against", domain.Conflict, "allocations"},
	{"exceeds the", domain.Invalid, "amount"},
	{"price list item code", domain.Invalid, "sku"},
	{"price list item name", domain.Invalid, "name"},
	{"due date", domain.Invalid, "dueDate"},
	{"expiry date", domain.Invalid, "expiryDate"},
	{"line item", domain.Invalid, "lines"},
	{"line total", domain.Invalid, "lines"},
	{"taxtype", domain.Invalid, "lines"},
	{"item code", domain.Invalid, "lines"},
	{"account", domain.Invalid, ""},
	{"is already assigned to another contact", domain.Conflict, ""},
	{"contact person", domain.Invalid, "contacts"},
	{"email address must be valid", domain.Invalid, "email"},
	{"contact name", domain.Invalid, "legalName"},
	{"tax number", domain.Invalid, "abn"},
	{"company number", domain.Invalid, "acn"},
	{"phone", domain.Invalid, "phone"},
	{"payment term", domain.Invalid, "paymentTerms"},
	{"currency", domain.Invalid, "currency"},
	{"contact status", domain.Invalid, "status"},
}

// invalid turns the validation messages of one object into an error that names the object and, where it can, the field.
func (a *adapter) invalid(which string, msgs []string) *domain.Error {
	text := strings.Join(msgs, " ")
	e := a.err(domain.Invalid, "Xero refused %s: %s", defaulted(which, "the request"), text)
	low := strings.ToLower(text)
	for _, p := range phrases {
		if strings.Contains(low, p.text) {
			e.Code, e.Field = p.code, p.field
			break
		}
	}
	return e
}

// name names a write in an error.
func (k *kind) name(w adapters.Write) string {
	id := defaulted(w.ExternalID, w.CanonicalID)
	for _, f := range k.label {
		if name := defaulted(w.Values[f].Text(), w.Golden[f].Text()); name != "" {
			return fmt.Sprintf("%s %q (%s)", k.word, name, id)
		}
	}
	return k.word + " " + id
}
