package myob

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

var uuidForm = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// do makes one call to the company file. Statuses whose meaning is in MYOB's body become errors here, the others in the
// session.
func (a *adapter) do(ctx context.Context, call adapters.Call) (*adapters.Response, error) {
	call.Path = a.file + call.Path
	call.Header = header(a.key)
	if a.login != "" {
		call.Header.Set("x-myobapi-cftoken", a.login)
	}
	return send(ctx, a.s, call)
}

func header(key string) http.Header {
	h := http.Header{"Accept": {"application/json"}}
	h.Set("x-myobapi-key", key)
	h.Set("x-myobapi-version", "v2")
	return h
}

func send(ctx context.Context, s adapters.Session, call adapters.Call) (*adapters.Response, error) {
	call.Accept = []int{http.StatusBadRequest, http.StatusForbidden, http.StatusConflict}
	resp, err := s.HTTP.Do(ctx, call)
	if err != nil {
		return nil, err
	}
	if resp.Status >= 200 && resp.Status <= 299 {
		return resp, nil
	}
	e := refusal(resp.Status, resp.Body)
	e.System = s.System
	return nil, e
}

// problem is one entry of an error body. Some refusals of access are a single one without the list.
type problem struct {
	Name, Message, AdditionalDetails string
}

// meaning is what an answer means: MYOB's limits are a 403 like any refusal, and only the body tells. The limit of a second is
// the session's to wait for, all callers together; that of a day is left to the caller, who is told a long wait.
func meaning(r *adapters.Response) domain.Code {
	if r.Status != http.StatusForbidden {
		return ""
	}
	if e := refusal(r.Status, r.Body); e.Code == domain.RateLimited && e.RetryAfter == secondWait {
		return domain.RateLimited
	}
	return ""
}

// Waits after MYOB's limits, about which it says no more than which one it was.
const (
	secondWait = time.Second
	dayWait    = 15 * time.Minute
)

// refusal turns the body of a 400, 403 or 409 into an error in MYOB's words.
func refusal(status int, body []byte) *domain.Error {
	var in struct {
		Errors []problem
		problem
	}
	_ = json.Unmarshal(body, &in) // a body that is not JSON says nothing, which is noticed below
	if len(in.Errors) == 0 && in.Message != "" {
		in.Errors = []problem{in.problem}
	}
	var msgs []string
	var field domain.Field
	for _, p := range in.Errors {
		switch {
		case p.Name == "RateLimitError" || status == http.StatusForbidden && strings.Contains(p.Message, "rate limit"):
			e := domain.Errorf(domain.RateLimited, "MYOB is called too often: %s", p.Message)
			if e.RetryAfter = secondWait; strings.Contains(p.Message, "daily") {
				e.RetryAfter = dayWait
			}
			return e
		case p.Name == "IncorrectRowVersionSupplied":
			return domain.Errorf(domain.Unavailable, "somebody changed the record in MYOB at the same time; it is read again before it is written")
		}
		text := p.Message
		if p.AdditionalDetails != "" && !strings.Contains(text, p.AdditionalDetails) {
			text += " (" + p.AdditionalDetails + ")"
		}
		msgs = append(msgs, text)
		if field == "" {
			field = fieldOf(p.AdditionalDetails + " " + p.Message)
		}
	}
	if len(msgs) == 0 {
		msgs = []string{fmt.Sprintf("%d without a reason", status)}
	}
	text := strings.Join(msgs, "; ")
	switch status {
	case http.StatusForbidden:
		return domain.Errorf(domain.Forbidden, "MYOB refused access (%s); check the app's key and scopes, the company file and its login", text)
	case http.StatusConflict:
		return domain.Errorf(domain.Conflict, "MYOB refused the request: %s", text)
	}
	e := domain.Errorf(domain.Invalid, "MYOB refused the request: %s", text)
	e.Field = field
	return e
}

// places are the members that MYOB's messages name, and the fields they are.
var places = []struct {
	text  string
	field domain.Field
}{
	{"CompanyName", "legalName"}, {"LastName", "legalName"}, {"FirstName", "legalName"}, {"ABN", "abn"}, {"Email", "email"}, {"Phone1", "phone"},
	{"Website", "website"}, {"ContactName", "contacts"}, {"Terms", "paymentTerms"}, {"Credit", "creditLimit"}, {"Notes", "notes"},
	{"Invoices", "allocations"}, {"Lines", "lines"}, {"CustomerPurchaseOrderNumber", "reference"},
	{"Addresses[0]", "billingAddress"}, {"Addresses[1]", "shippingAddress"},
}

func fieldOf(text string) domain.Field {
	for _, p := range places {
		if strings.Contains(text, p.text) {
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
func label(b *book, w adapters.Write) string {
	var name string
	for _, f := range []domain.Field{"legalName", "sku", "number", "reference", "name"} {
		if name = or(w.Values[f].Text(), w.Golden[f].Text()); name != "" && b.m.Row(f) != nil {
			break
		}
	}
	id := or(w.ExternalID, w.CanonicalID)
	if name == "" {
		return b.noun + " " + id
	}
	return fmt.Sprintf("%s %q (%s)", b.noun, name, id)
}
