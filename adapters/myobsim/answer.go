package myobsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"datum/adapters/sim"
)

// answer is what a handler returns: a status, headers, and a body that is rendered as JSON; nil is no body.
type answer struct {
	status int
	header map[string]string
	body   any
}

// problem is one entry of MYOB's error body.
type problem struct {
	Name              string
	Message           string
	AdditionalDetails string
	ErrorCode         *int
	Severity          string
}

func coded(n int, name, message, details string) problem {
	return problem{Name: name, Message: message, AdditionalDetails: details, ErrorCode: &n}
}

var (
	tokenInvalid = coded(31001, "OAuthTokenIsInvalid", "The supplied OAuth token (Bearer) is not valid", "")
	accessDenied = problem{Name: "AccessDenied", Message: "You are not authorised to access this resource"}
	notFound     = problem{Name: "ResourceNotFound", Message: "The specified resource was not found"}
	lockLost     = coded(111, "IncorrectRowVersionSupplied",
		"An update needs the latest RowVersion of every entity that it changes", "")
)

// mustReverse is what the preference of that name answers. The wording of its refusal to change is ours.
var mustReverse = coded(25003, "TransactionsCannotBeDeleted", "Transactions cannot be changed or deleted in this file; they must be reversed",
	"Company/Preferences/System/TransactionsCannotBeChangedMustBeReversed")

func rateLimit(which string) problem {
	return problem{Name: "RateLimitError", Message: "API key has exceeded the " + which + " rate limit", AdditionalDetails: "Header: x-myobapi-key"}
}

func required(path string) problem {
	return coded(100, "Required", path+" is required", path)
}

func unreadable(path, want string) problem {
	return coded(50, "SerializationError", fmt.Sprintf("Error converting value of %s to type %s", path, want), path)
}

func refusal(status int, problems ...problem) answer {
	for i := range problems {
		problems[i].Severity = "Error"
	}
	return answer{status: status, body: map[string]any{"Errors": problems, "Information": ""}}
}

// key wraps a handler in what comes before a file is opened.
func (s *Sim) key(h func(*http.Request, []byte) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if a := s.admit(r); a != nil {
			s.write(w, *a)
			return
		}
		var body bytes.Buffer
		if _, err := body.ReadFrom(r.Body); err != nil {
			return // the client went away
		}
		s.write(w, h(r, body.Bytes()))
	}
}

// api wraps a handler of the file's own API.
func (s *Sim) api(h func(*http.Request, []byte) answer) http.HandlerFunc {
	return s.key(func(r *http.Request, body []byte) answer {
		if a := s.open(r); a != nil {
			return *a
		}
		return h(r, body)
	})
}

func (s *Sim) write(w http.ResponseWriter, a answer) {
	h := w.Header()
	h.Set("Date", s.Now().Format(http.TimeFormat))
	for k, v := range a.header {
		h.Set(k, v)
	}
	if a.body == nil {
		w.WriteHeader(a.status)
		return
	}
	b, err := marshal(a.body)
	if err != nil {
		panic("myobsim: " + err.Error())
	}
	h.Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(a.status)
	_, _ = w.Write(b) // the client is gone: nobody to tell
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

// WriteFault answers an injected status as MYOB would. 403 is a refusal of access; for the rate limit give the fault a body.
func (s *Sim) WriteFault(w http.ResponseWriter, r *http.Request, status int) {
	if r.URL.Path == "/oauth2/v1/authorize" && status == http.StatusBadRequest {
		oauthError(w, "invalid_grant")
		return
	}
	p := problem{Name: "InternalError", Message: "An injected failure"}
	switch status {
	case http.StatusBadRequest:
		p = required("CompanyName")
		p.Message = sim.Words(r, p.Message)
	case http.StatusUnauthorized:
		p = tokenInvalid
	case http.StatusForbidden:
		p = accessDenied
	case http.StatusNotFound:
		p = notFound
	case http.StatusConflict:
		p = problem{Name: "Conflict", Message: "An injected conflict"}
	case http.StatusTooManyRequests:
		p = rateLimit("per-second")
	case http.StatusGatewayTimeout:
		p = problem{Name: "GatewayTimeout", Message: "Connection to the API has timed out", AdditionalDetails: "Maximum call time is 120 seconds"}
	}
	s.write(w, refusal(status, p))
}
