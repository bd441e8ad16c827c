package shopify

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"datum/domain"
)

// vendorError is an error at the top of an answer.
type vendorError struct {
	Message    string `json:"message"`
	Extensions struct {
		Code           string `json:"code"`
		RequiredAccess string `json:"requiredAccess"`
	} `json:"extensions"`
}

// refusal turns the errors at the top of an answer into one; wait is how long the bucket needs.
func (a *adapter) refusal(list []vendorError, wait time.Duration, writes bool) *domain.Error {
	var says []string
	for _, v := range list {
		says = append(says, strings.TrimSuffix(v.Message, "."))
	}
	text := strings.Join(says, "; ")
	switch code := list[0].Extensions.Code; code {
	case "THROTTLED":
		e := a.err(domain.RateLimited, "Shopify's bucket of points is empty; it has enough again in %s", wait)
		e.RetryAfter = wait
		return e
	case "ACCESS_DENIED":
		need := list[0].Extensions.RequiredAccess
		if need == "" {
			return a.err(domain.Forbidden, "Shopify refused: %s; install the app again with the access it lacks", text)
		}
		return a.err(domain.Forbidden, "Shopify refused: %s; install the app again with %s", text, need)
	case "INTERNAL_SERVER_ERROR", "TIMEOUT":
		if writes {
			return a.err(domain.Unknown, "Shopify failed: %s; whether the write was done must be looked up", text)
		}
		return a.err(domain.Unavailable, "Shopify failed: %s", text)
	case "IDEMPOTENCY_CONCURRENT_REQUEST":
		return a.err(domain.Unavailable, "Shopify is still busy with the same write")
	case "NOT_FOUND":
		return a.err(domain.NotFound, "Shopify refused: %s", text)
	case "MAX_COST_EXCEEDED":
		return a.err(domain.Invalid, "Shopify refused: %s; make the setting pageSize smaller", text)
	}
	return a.err(domain.Invalid, "Shopify refused: %s", text)
}

// keyHasFailed is the code of an idempotency key under which a write has failed before: it can only be sent under another one.
const keyHasFailed = "IDEMPOTENCY_PREVIOUS_ATTEMPT_FAILED"

// userError is an error of a mutation's own.
type userError struct {
	Field   []string `json:"field"`
	Message string   `json:"message"`
	Code    string   `json:"code"`
}

// refused turns user errors into one; nil if there are none. Some mutations give no codes, only sentences.
func (a *adapter) refused(list []userError) error {
	if len(list) == 0 {
		return nil
	}
	var says []string
	for _, u := range list {
		if !slices.Contains(says, u.Message) {
			says = append(says, strings.TrimSuffix(u.Message, "."))
		}
	}
	u := list[0]
	e := a.err(domain.Invalid, "Shopify refused: %s", strings.Join(says, "; "))
	text := strings.ToLower(u.Message)
	switch {
	case u.Code == "CHANGE_FROM_QUANTITY_STALE":
		e.Code = domain.Unavailable
		e.Message = "the stock in Shopify has changed meanwhile; it is read again before it is written"
	case u.Code == "IDEMPOTENCY_CONCURRENT_REQUEST":
		e.Code = domain.Unavailable
	case u.Code == keyHasFailed, u.Code == "IDEMPOTENCY_KEY_PARAMETER_MISMATCH", u.Code == "TAKEN", strings.Contains(text, "already been taken"),
		strings.Contains(text, "already been assigned"), strings.Contains(text, "already active"):
		e.Code = domain.Conflict
	case u.Code == "NOT_FOUND", strings.HasSuffix(u.Code, "DOES_NOT_EXIST"), u.Code == "INVALID_INVENTORY_ITEM", u.Code == "INVALID_LOCATION", u.Code == "ITEM_NOT_STOCKED_AT_LOCATION",
		strings.HasSuffix(strings.TrimSuffix(text, "."), "does not exist"), strings.Contains(text, "can't be found"):
		e.Code = domain.NotFound
	}
	if len(u.Field) > 0 {
		e.Field = fieldOf[u.Field[len(u.Field)-1]]
	}
	return e
}

// fieldOf names the field that a member of an input belongs to.
var fieldOf = map[string]domain.Field{
	"firstName": "legalName", "lastName": "legalName", "email": "email", "phone": "phone", "note": "notes", "tags": "tags", "title": "name", "descriptionHtml": "description",
	"vendor": "brand", "productType": "category", "status": "status", "sku": "sku", "barcode": "barcode", "price": "salePrice", "cost": "purchasePrice", "weight": "weight",
	"province": "billingAddress", "address": "billingAddress", "addresses": "billingAddress", "quantity": "available", "changeFromQuantity": "available",
}

// decode reads the answer to an operation.
func decode(b []byte, out any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	return d.Decode(out)
}
