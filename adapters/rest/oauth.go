package rest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// OAuth speaks to a vendor's OAuth 2.0 token endpoint (RFC 6749). It stores nothing and logs nothing: its bodies are
// nothing but secrets.
type OAuth struct {
	Endpoints adapters.OAuth
	HTTP      *http.Client // default: NewTransport(), 10 s, no redirects
	Now       func() time.Time
}

// Tokens are what the token endpoint gave.
type Tokens struct {
	AccessToken  string
	RefreshToken string    // "" if it gave none: the one used stays good
	ExpiresAt    time.Time // of the access token; zero if it did not say
}

// String keeps tokens out of logs.
func (Tokens) String() string { return "tokens" }

// GoString keeps tokens out of logs.
func (Tokens) GoString() string { return "tokens" }

// ErrInvalidGrant is in the chain of an Unauthorized error when the vendor no longer accepts what was presented: a person
// must authorise the account again.
var ErrInvalidGrant = errors.New("the vendor refuses the grant")

// Refresh renews the access token. The vendor may rotate the refresh token: store both, at once.
func (o OAuth) Refresh(ctx context.Context, clientID, clientSecret, refreshToken string) (Tokens, error) {
	return o.post(ctx, clientID, clientSecret, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}})
}

// Exchange turns the code of an authorisation into tokens.
func (o OAuth) Exchange(ctx context.Context, clientID, clientSecret, code, redirectURI string) (Tokens, error) {
	return o.post(ctx, clientID, clientSecret, url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {redirectURI}})
}

// AuthorizeURL is where a person authorises the account; state comes back with the code.
func (o OAuth) AuthorizeURL(clientID, redirectURI, state string) string {
	q := url.Values{"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {redirectURI}, "state": {state},
		"scope": {strings.Join(o.Endpoints.Scopes, " ")}}
	join := "?"
	if strings.Contains(o.Endpoints.AuthorizeURL, "?") { // what a vendor always wants said ("prompt=consent")
		join = "&"
	}
	return o.Endpoints.AuthorizeURL + join + q.Encode()
}

func (o OAuth) post(ctx context.Context, clientID, clientSecret string, form url.Values) (Tokens, error) {
	client, now := o.HTTP, o.Now
	if now == nil {
		now = time.Now
	}
	if client == nil {
		client = &http.Client{Transport: NewTransport()}
		defer client.CloseIdleConnections()
	}
	c := *client
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if !o.Endpoints.BasicAuth {
		form.Set("client_id", clientID)
		form.Set("client_secret", clientSecret)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.Endpoints.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return Tokens{}, domain.Errorf(domain.Invalid, "the token URL is not a URL")
	}
	req.GetBody = nil // a rotating refresh token must not be sent twice behind our back
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	if o.Endpoints.BasicAuth {
		req.SetBasicAuth(url.QueryEscape(clientID), url.QueryEscape(clientSecret)) // RFC 6749, 2.3.1
	}
	sent := now()
	resp, err := c.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err
		}
		return Tokens{}, &domain.Error{Code: domain.Unavailable, Message: "the vendor's token endpoint does not answer", Err: err}
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return Tokens{}, &domain.Error{Code: domain.Unavailable, Message: "the answer of the vendor's token endpoint was lost", Err: err}
	}
	return parseTokens(resp, body, sent)
}

// refusals are the words by which vendors say that the grant or the client is no good: RFC 6749, 5.2, and HubSpot's own.
var refusals = []string{"invalid_grant", "invalid_client", "unauthorized_client",
	"BAD_REFRESH_TOKEN", "BAD_AUTH_CODE", "BAD_CLIENT_ID", "BAD_CLIENT_SECRET", "EXPIRED_AUTHENTICATION"}

func parseTokens(resp *http.Response, body []byte, sent time.Time) (Tokens, error) {
	var a struct {
		AccessToken  string      `json:"access_token"`
		RefreshToken string      `json:"refresh_token"`
		ExpiresIn    json.Number `json:"expires_in"`
		Error        string      `json:"error"`
		Status       string      `json:"status"`
	}
	_ = json.Unmarshal(body, &a) // an answer that is not JSON has no token, which is noticed below
	switch {
	case resp.StatusCode == http.StatusOK && a.AccessToken != "":
		t := Tokens{AccessToken: a.AccessToken, RefreshToken: a.RefreshToken}
		if s, err := a.ExpiresIn.Float64(); err == nil && s > 0 {
			t.ExpiresAt = sent.Add(time.Duration(s * float64(time.Second))).UTC()
		}
		return t, nil
	case resp.StatusCode == http.StatusTooManyRequests:
		return Tokens{}, &domain.Error{Code: domain.RateLimited, RetryAfter: RetryAfter(resp.Header, sent), Message: "the vendor's token endpoint is called too often"}
	case resp.StatusCode >= 500:
		return Tokens{}, &domain.Error{Code: domain.Unavailable, RetryAfter: RetryAfter(resp.Header, sent),
			Message: fmt.Sprintf("the vendor's token endpoint answered %d", resp.StatusCode)}
	}
	for _, word := range []string{a.Error, a.Status} {
		if slices.Contains(refusals, word) {
			return Tokens{}, &domain.Error{Code: domain.Unauthorized, Err: ErrInvalidGrant,
				Message: fmt.Sprintf("the vendor refuses the authorisation (%s); the account must be authorised again", word)}
		}
	}
	// Whatever this is, it is about the whole system and not about one record: everything waits, and is tried again.
	return Tokens{}, &domain.Error{Code: domain.Unavailable, Message: fmt.Sprintf("the vendor's token endpoint answered %d without a token; see that tokenUrl is right", resp.StatusCode)}
}
