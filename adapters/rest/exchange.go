package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"datum/adapters"
	"datum/domain"
)

// Exchange is one request and its answer without secrets: only headers of a list, only JSON bodies, members and values
// that look or are known to be secret replaced, at most 64 KB each.
type Exchange struct {
	System         string
	CorrelationID  string
	Also           []string  // correlation ids of the other causes that it served
	SentAt         time.Time // UTC
	Duration       time.Duration
	Method         string
	Path           string // with query
	Status         int    // 0: no answer
	Code           domain.Code
	RequestHeader  map[string]string
	RequestBody    string
	ResponseHeader map[string]string
	ResponseBody   string
}

const (
	maxLogged = 64 << 10  // bytes kept of one body
	maxParsed = 256 << 10 // bytes of a body that is looked into at all: the call waits for it
	hidden    = "[hidden]"
)

// loggedHeaders are the headers worth keeping. Everything else is left out.
var loggedHeaders = map[string]bool{
	"Accept": true, "Content-Type": true, "Content-Length": true, "Date": true, "Etag": true, "If-Match": true,
	"If-Modified-Since": true, "If-None-Match": true, "Idempotency-Key": true, "Last-Modified": true, "Location": true,
	"Retry-After": true, "User-Agent": true, "Warning": true, "X-Correlation-Id": true, "X-Hubspot-Correlation-Id": true,
	"X-Request-Id": true, "Xero-Correlation-Id": true, "Xero-Tenant-Id": true,
}

// loggedHeaderPart are parts of names of headers worth keeping: vendors' limits.
var loggedHeaderPart = regexp.MustCompile(`(?i)limit`)

// secretName are names of JSON members and query parameters whose values are not kept.
var secretName = regexp.MustCompile(`(?i)(token|secret|passw|authori[sz]ation|api[-_]?key|access[-_]?key|private[-_]?key|signature|credential|^jwt$|cookie)`)

func (c *Client) record(ctx context.Context, call adapters.Call, sent http.Header, token string, at time.Time, took time.Duration, resp *adapters.Response, err error) {
	if c.cfg.Exchanges == nil {
		return
	}
	r := redactor{secrets: c.cfg.Secrets}
	if token != "" {
		r.secrets = append([]string{token}, r.secrets...)
	}
	x := Exchange{
		System: c.cfg.System, CorrelationID: domain.Correlation(ctx), Also: domain.Correlations(ctx), SentAt: at, Duration: took,
		Method: call.Method, Path: r.path(call.Path), Code: domain.CodeOf(err),
		RequestHeader: r.header(sent), RequestBody: r.body("application/json", call.Body),
	}
	if resp != nil {
		x.Status = resp.Status
		x.Code = domain.CodeOf(c.classify(resp))
		x.ResponseHeader = r.header(resp.Header)
		x.ResponseBody = r.body(resp.Header.Get("Content-Type"), resp.Body)
	}
	c.cfg.Exchanges.Log(x)
}

type redactor struct{ secrets []string }

// text replaces known secrets wherever they appear, as they are and as JSON and queries write them.
func (r redactor) text(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD") // Postgres takes neither
	for _, secret := range r.secrets {
		if len(secret) < 4 {
			continue // would hide half the text
		}
		s = strings.ReplaceAll(s, secret, hidden)
		if e := url.QueryEscape(secret); e != secret {
			s = strings.ReplaceAll(s, e, hidden)
		}
		if b, err := json.Marshal(secret); err == nil {
			s = strings.ReplaceAll(s, string(b[1:len(b)-1]), hidden)
		}
	}
	return s
}

func (r redactor) header(h http.Header) map[string]string {
	m := map[string]string{}
	for k, vs := range h {
		if loggedHeaders[k] || loggedHeaderPart.MatchString(k) {
			m[k] = cut(r.text(strings.Join(vs, ", ")), 1<<10)
		}
	}
	return m
}

func (r redactor) path(p string) string {
	path, query, _ := strings.Cut(p, "?")
	if query != "" {
		parts := strings.Split(query, "&")
		for i, part := range parts {
			if k, _, ok := strings.Cut(part, "="); ok && secretName.MatchString(k) {
				parts[i] = k + "=" + hidden
			}
		}
		path += "?" + strings.Join(parts, "&")
	}
	return cut(r.text(path), 4<<10)
}

func (r redactor) body(contentType string, b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if t, _, _ := mime.ParseMediaType(contentType); t != "application/json" && !strings.HasSuffix(t, "+json") {
		return fmt.Sprintf("[%d bytes of %s not kept]", len(b), cut(t, 100))
	}
	if len(b) > maxParsed {
		return fmt.Sprintf("[%d bytes not kept: more than %d]", len(b), maxParsed)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return fmt.Sprintf("[%d bytes that are not JSON not kept]", len(b))
	}
	var out strings.Builder
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if e.Encode(hideMembers(v)) != nil {
		return ""
	}
	return cut(r.text(strings.TrimSuffix(out.String(), "\n")), maxLogged)
}

func hideMembers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if secretName.MatchString(k) {
				v[k] = hidden
			} else {
				v[k] = hideMembers(x)
			}
		}
	case []any:
		for i, x := range v {
			v[i] = hideMembers(x)
		}
	}
	return v
}

// cut shortens s to at most n bytes of whole characters and says so.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const mark = " [cut]"
	n -= len(mark)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + mark
}
