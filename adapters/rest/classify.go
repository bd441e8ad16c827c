package rest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// meaning is what the vendor's own reading makes of the answer, "" if that is what the status says.
func (c *Client) meaning(r *adapters.Response) domain.Code {
	if c.cfg.Meaning == nil {
		return ""
	}
	return c.cfg.Meaning(r)
}

// classify returns the error that an answer means, nil for 2xx. Bodies do not enter the message: they can repeat what was
// sent. An adapter that can say more accepts the status and reads the body itself.
func (c *Client) classify(r *adapters.Response) error {
	said := c.meaning(r)
	if said == "" && r.Status >= 200 && r.Status <= 299 {
		return nil
	}
	e := &domain.Error{Message: strings.TrimSpace(fmt.Sprintf("the vendor answered %d %s", r.Status, http.StatusText(r.Status)))}
	switch r.Status {
	case http.StatusUnauthorized:
		e.Code = domain.Unauthorized
		e.Message += "; the account must be authorised again"
	case http.StatusForbidden:
		e.Code = domain.Forbidden
		e.Message += "; check the account's permissions and scopes"
	case http.StatusNotFound, http.StatusGone:
		e.Code = domain.NotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		e.Code = domain.Conflict
	case http.StatusTooManyRequests:
		e.Code = domain.RateLimited
	case http.StatusRequestTimeout, http.StatusLocked, http.StatusTooEarly:
		e.Code = domain.Unavailable
	default:
		e.Code = domain.Invalid
		if r.Status >= 500 {
			e.Code = domain.Unavailable
		}
		if r.Status >= 300 && r.Status <= 399 {
			e.Message += "; redirects are not followed, check the base URL"
		}
	}
	switch {
	case said == "" || said == e.Code:
	case said == domain.Unauthorized:
		e.Code, e.Message = said, fmt.Sprintf("the vendor refuses the credential (%d); the account must be authorised again", r.Status)
	case said == domain.RateLimited:
		e.Code, e.Message = said, fmt.Sprintf("the vendor is called too often (%d)", r.Status)
	default:
		e.Code = said
	}
	if e.Code == domain.RateLimited || e.Code == domain.Unavailable {
		e.RetryAfter = RetryAfter(r.Header, c.cfg.Now())
	}
	return e
}

// RetryAfter reads the Retry-After header, seconds or a date (RFC 9110, 10.2.3); 0 if there is none or it is past. More
// than a day is taken for a day.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	var d time.Duration
	if s, err := strconv.ParseFloat(text, 64); err == nil {
		d = time.Duration(min(s, 86400) * float64(time.Second))
	} else if at, err := http.ParseTime(text); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), 24*time.Hour)
}
