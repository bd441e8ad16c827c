package hubspot

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"datum/adapters"
	"datum/domain"
)

// vendorError is an error in HubSpot's shape; every member is optional.
type vendorError struct {
	Message  string              `json:"message"`
	Category string              `json:"category"`
	Context  map[string][]string `json:"context"`
	Errors   []errorDetail       `json:"errors"`
}

type errorDetail struct {
	Message string              `json:"message"`
	Code    string              `json:"code"`
	Context map[string][]string `json:"context"`
}

// refusal turns an answer outside 2xx into an error.
func (a *Adapter) refusal(path string, r *adapters.Response) error {
	var v vendorError
	_ = json.Unmarshal(r.Body, &v) // an answer in another shape still has its status
	typ, _, _ := strings.Cut(strings.TrimPrefix(path, objectsPath), "/")
	return a.classify(typ, v, r.Status)
}

// classify, of an error about an object of the type, names the code from the category, or from the status where there is none, and repeats HubSpot's own words.
func (a *Adapter) classify(typ string, v vendorError, status int) *domain.Error {
	e := &domain.Error{System: a.s.System, Message: a.words(&v)}
	for _, d := range v.Errors {
		if names := d.Context["propertyName"]; len(names) > 0 && e.Field == "" {
			e.Field = a.fieldOf(typ, names[0])
		}
	}
	const taken = "CONFLICTING_UNIQUE_VALUE"
	unique := slices.ContainsFunc(v.Errors, func(d errorDetail) bool { return d.Code == taken }) || strings.Contains(v.Message, taken)
	switch {
	case v.Category == "CONFLICT" || v.Category == "OBJECT_ALREADY_EXISTS" || status == http.StatusConflict || unique:
		e.Code = domain.Conflict
	case v.Category == "OBJECT_NOT_FOUND" || status == http.StatusNotFound:
		e.Code = domain.NotFound
	case v.Category == "MISSING_SCOPES" || status == http.StatusForbidden:
		e.Code = domain.Forbidden
		if scopes := missingScopes(v); len(scopes) > 0 {
			e.Message += "; connect the account again with " + strings.Join(scopes, ", ")
		}
	default:
		e.Code = domain.Invalid
	}
	return e
}

// words are what HubSpot says is wrong, without the JSON that it puts into its sentence.
func (a *Adapter) words(v *vendorError) string {
	var says []string
	for _, d := range v.Errors {
		if d.Message != "" {
			says = append(says, d.Message)
		}
	}
	if head, list, ok := strings.Cut(v.Message, ": ["); ok && len(says) == 0 {
		var inner []struct{ Message string }
		if json.Unmarshal([]byte("["+list), &inner) == nil {
			for _, i := range inner {
				says = append(says, i.Message)
			}
			v.Message = head
		}
	}
	switch {
	case len(says) > 0:
		return "HubSpot refused: " + strings.Join(says, "; ")
	case v.Message != "":
		return "HubSpot refused: " + v.Message
	default:
		return "HubSpot refused without a reason"
	}
}

func missingScopes(v vendorError) []string {
	var all []string
	for _, d := range v.Errors {
		all = append(all, d.Context["requiredGranularScopes"]...)
	}
	return all
}

// fieldOf returns the field that a property of the object belongs to, "" if none.
func (a *Adapter) fieldOf(typ, property string) domain.Field {
	for _, r := range a.mappings[kindOf(typ)].Rows {
		if slices.Contains(r.Paths, property) {
			return r.Field
		}
	}
	return ""
}

// about adds the record to an error's message, once.
func about(err error, typ, id string) error {
	if err == nil {
		return nil
	}
	e := *domain.AsError(err)
	if id != "" {
		e.Message = fmt.Sprintf("%s (%s)", e.Message, externalID(typ, id))
	}
	return &e
}
