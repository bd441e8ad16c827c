package hubspotsim

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"datum/adapters/sim"
)

// apiError is an error in HubSpot's shape.
type apiError struct {
	http     int
	Status   string              `json:"status"`
	Message  string              `json:"message"`
	Corr     string              `json:"correlationId,omitempty"`
	Category string              `json:"category,omitempty"`
	Sub      string              `json:"subCategory,omitempty"`
	Errors   []errorDetail       `json:"errors,omitempty"`
	Context  map[string][]string `json:"context,omitempty"`
	Links    map[string]string   `json:"links,omitempty"`
	Policy   string              `json:"policyName,omitempty"`
	Type     string              `json:"errorType,omitempty"`
}

type errorDetail struct {
	Message string              `json:"message"`
	Code    string              `json:"code,omitempty"`
	In      string              `json:"in,omitempty"`
	Context map[string][]string `json:"context,omitempty"`
}

// badValue is one value that was refused.
type badValue struct{ name, code, message string }

func invalid(message string) *apiError {
	return &apiError{http: http.StatusBadRequest, Category: "VALIDATION_ERROR", Message: message}
}

// invalidValues spells refused values as HubSpot does: once as JSON inside the message and once in errors.
func invalidValues(bad []badValue) *apiError {
	e := invalid("")
	var inner []map[string]any
	for _, b := range bad {
		inner = append(inner, map[string]any{"isValid": false, "message": b.message, "error": b.code, "name": b.name, "localizedErrorMessage": b.message})
		e.Errors = append(e.Errors, errorDetail{Message: b.message, Code: b.code, Context: map[string][]string{"propertyName": {b.name}}})
	}
	j, _ := json.Marshal(inner) // strings and booleans always marshal
	e.Message = "Property values were not valid: " + string(j)
	return e
}

func notFound(typ string) *apiError {
	return &apiError{http: http.StatusNotFound, Category: "OBJECT_NOT_FOUND", Message: fmt.Sprintf("Object not found.  objectType=%s", typ)}
}

func (s *Sim) writeError(w http.ResponseWriter, e *apiError) {
	c := *e
	c.Status, c.Corr = "error", s.UUID()
	sim.WriteJSON(w, e.http, &c)
}

// WriteFault answers an injected status as HubSpot would.
func (s *Sim) WriteFault(w http.ResponseWriter, r *http.Request, status int) {
	e := &apiError{http: status, Message: "internal error"}
	switch status {
	case http.StatusTooManyRequests:
		e.Message, e.Policy, e.Type = "You have reached your ten_secondly_rolling limit.", "TEN_SECONDLY_ROLLING", "RATE_LIMIT"
	case http.StatusUnauthorized:
		e.Category, e.Message = "EXPIRED_AUTHENTICATION", "The OAuth token used to make this call expired."
	case http.StatusForbidden:
		e.Category, e.Message = "MISSING_SCOPES", "This app hasn't been granted all required scopes to make this call."
	case http.StatusNotFound:
		e.Category, e.Message = "OBJECT_NOT_FOUND", "resource not found"
	case http.StatusConflict:
		e.Category, e.Message = "CONFLICT", "Conflict"
	case http.StatusBadRequest:
		e.Category, e.Message = "VALIDATION_ERROR", sim.Words(r, "Invalid input")
	case http.StatusLocked:
		e.Message = "the resource is locked"
	}
	s.writeError(w, e)
}

func decode[T any](r *http.Request) (T, *apiError) {
	var v T
	d := json.NewDecoder(r.Body)
	d.UseNumber()
	if err := d.Decode(&v); err != nil && err != io.EOF {
		return v, invalid("Invalid input JSON on line 1: " + err.Error())
	}
	return v, nil
}
