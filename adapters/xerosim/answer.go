package xerosim

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"datum/adapters/sim"
)

// answer is what an API handler returns: a status and a body that is rendered as JSON or XML.
type answer struct {
	status int
	root   string // the XML document element
	body   any
	text   string // instead of body
}

// stored is an answer kept under an idempotency key.
type stored struct {
	request string
	answer  answer
	at      time.Time
}

// keyLife is how long Xero remembers an idempotency key; maxUpload is the largest body it takes.
const (
	keyLife   = 6 * time.Minute
	maxUpload = 10 << 20
)

// api wraps a handler of the accounting API in authentication, limits, idempotency and rendering.
func (s *Sim) api(h func(*http.Request, []byte) answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !s.bearer(w, r) {
			return
		}
		if err := s.tenantOf(r); err != nil {
			s.problem(w, http.StatusForbidden, err.Error())
			return
		}
		leave, ok := s.limits.enter(w, s.Now())
		if !ok {
			return
		}
		defer leave()
		if s.opts.Latency > 0 {
			select {
			case <-time.After(s.opts.Latency):
			case <-r.Context().Done():
				return
			}
		}
		var body bytes.Buffer
		if _, err := body.ReadFrom(r.Body); err != nil {
			return // the client went away
		}
		if r.Method == http.MethodGet {
			s.render(w, r, h(r, nil))
			return
		}
		s.render(w, r, s.write(r, body.Bytes(), h))
	}
}

// write carries a write out, once for each idempotency key.
func (s *Sim) write(r *http.Request, body []byte, h func(*http.Request, []byte) answer) answer {
	if len(body) > maxUpload {
		return answer{status: http.StatusRequestEntityTooLarge, text: "The request is larger than 10 MB."}
	}
	s.writes.Lock()
	defer s.writes.Unlock()
	key := r.Header.Get("Idempotency-Key")
	if key == "" {
		return h(r, body)
	}
	if len(key) > 128 {
		return refusal(http.StatusBadRequest, 10, "ValidationException", "The Idempotency-Key must not be longer than 128 characters.")
	}
	request := r.Method + " " + r.URL.RequestURI() + " " + string(body)
	now := s.Now()
	s.mu.Lock()
	for k, v := range s.answers {
		if now.Sub(v.at) >= keyLife {
			delete(s.answers, k)
		}
	}
	old, found := s.answers[key]
	s.mu.Unlock()
	if found {
		if old.request != request {
			return refusal(http.StatusBadRequest, 10, "ValidationException", "The Idempotency-Key "+key+" is used with a different request.")
		}
		return old.answer
	}
	a := h(r, body)
	s.mu.Lock()
	s.answers[key] = stored{request: request, answer: a, at: now}
	s.mu.Unlock()
	return a
}

// exception is Xero's error body.
type exception struct {
	ErrorNumber int
	Type        string
	Message     string
	Elements    []any `json:",omitempty"`
}

func refusal(status, number int, typ, message string, elements ...any) answer {
	return answer{status: status, root: "ApiException", body: exception{number, typ, message, elements}}
}

// envelope is what every successful answer is wrapped in. Name is the list's member: "Contacts".
func (s *Sim) envelope(name string, list any, page *pagination) answer {
	type member struct {
		key   string
		value any
	}
	members := []member{
		{"Id", s.UUID()}, {"Status", "OK"}, {"ProviderName", "Simulated App"}, {"DateTimeUTC", fmt.Sprintf("/Date(%d)/", s.Now().UnixMilli())},
	}
	if page != nil {
		members = append(members, member{"pagination", page})
	}
	members = append(members, member{name, list})
	var b bytes.Buffer
	for i, m := range members {
		sep := ","
		if i == 0 {
			sep = "{"
		}
		v, err := marshal(m.value)
		if err != nil {
			panic("xerosim: " + err.Error())
		}
		fmt.Fprintf(&b, "%s%q:%s", sep, m.key, v)
	}
	b.WriteByte('}')
	return answer{status: http.StatusOK, root: "Response", body: json.RawMessage(b.Bytes())}
}

func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return bytes.TrimRight(b.Bytes(), "\n"), err
}

func (s *Sim) render(w http.ResponseWriter, r *http.Request, a answer) {
	w.Header().Set("Xero-Correlation-Id", s.UUID())
	switch {
	case a.body == nil:
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(a.status)
		_, _ = w.Write([]byte(a.text))
	case strings.Contains(r.Header.Get("Accept"), "json"):
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		b, err := marshal(a.body)
		if err != nil {
			panic("xerosim: " + err.Error())
		}
		w.WriteHeader(a.status)
		_, _ = w.Write(b)
	default:
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		w.WriteHeader(a.status)
		_, _ = w.Write(renderXML(a.root, a.body))
	}
}

func notFound(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(missing))
}

const missing = "The resource you're looking for cannot be found"

// WriteFault answers an injected status as Xero would.
func (s *Sim) WriteFault(w http.ResponseWriter, r *http.Request, status int) {
	if r.URL.Path == "/connect/token" && status == http.StatusBadRequest {
		oauthError(w, "invalid_grant")
		return
	}
	switch status {
	case http.StatusTooManyRequests:
		s.limits.refuse(w, "minute", 0)
	case http.StatusUnauthorized:
		s.problem(w, status, "TokenExpired: token expired at "+s.Now().Format("01/02/2006 15:04:05"))
	case http.StatusForbidden:
		s.problem(w, status, "AuthorizationUnsuccessful")
	case http.StatusNotFound:
		notFound(w)
	case http.StatusBadRequest:
		s.render(w, r, refusal(status, 10, "ValidationException", "A validation exception occurred",
			map[string]any{"ValidationErrors": []validationError{{sim.Words(r, "An injected validation error")}}}))
	case http.StatusServiceUnavailable, http.StatusPreconditionFailed:
		s.render(w, r, answer{status: status, text: "The organisation is currently offline."})
	default:
		sim.WriteJSON(w, status, exception{0, "InternalError", "An error occurred in Xero. Check the API status page.", nil})
	}
}

var jsonDate = regexp.MustCompile(`^/Date\((-?\d+)(\+0000)?\)/$`)

// renderXML writes what v looks like in JSON as XML: members become elements, the members of a list are named in the
// singular, dates are ISO 8601.
func renderXML(root string, v any) []byte {
	b, err := marshal(v)
	if err != nil {
		panic("xerosim: " + err.Error())
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var out bytes.Buffer
	out.WriteString(`<?xml version="1.0" encoding="utf-8"?>`)
	xmlValue(&out, d, root)
	return out.Bytes()
}

func xmlValue(out *bytes.Buffer, d *json.Decoder, name string) {
	t, err := d.Token()
	if err != nil || t == nil {
		return
	}
	fmt.Fprintf(out, "<%s>", name)
	switch t := t.(type) {
	case json.Delim:
		for d.More() {
			child := singular(name)
			if t == '{' {
				k, err := d.Token()
				if err != nil {
					return
				}
				child, _ = k.(string)
			}
			xmlValue(out, d, child)
		}
		_, _ = d.Token() // the closing delimiter, known to be there
	case string:
		if m := jsonDate.FindStringSubmatch(t); m != nil {
			ms, _ := strconv.ParseInt(m[1], 10, 64)
			t = time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.999")
		}
		_ = xml.EscapeText(out, []byte(t))
	default:
		fmt.Fprint(out, t)
	}
	fmt.Fprintf(out, "</%s>", name)
}

func singular(name string) string {
	switch {
	case strings.HasSuffix(name, "sses"):
		return strings.TrimSuffix(name, "es")
	case strings.HasSuffix(name, "ies"):
		return strings.TrimSuffix(name, "ies") + "y"
	default:
		return strings.TrimSuffix(name, "s")
	}
}
