package hubspotsim

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"datum/adapters/sim"
)

const tokenLife = 30 * time.Minute

// scoped are the types that have scopes of their own; all others are "custom".
var scoped = []string{"companies", "contacts", "deals", "products", "line_items", "orders", "invoices", "quotes", "tickets", "custom"}

func allScopes() []string {
	all := []string{"oauth", "crm.objects.owners.read", "tax_rates.read", "e-commerce"}
	for _, typ := range scoped {
		for _, access := range []string{"read", "write"} {
			all = append(all, "crm.objects."+typ+"."+access)
			if typ != "products" { // whose properties are under e-commerce
				all = append(all, "crm.schemas."+typ+"."+access)
			}
		}
	}
	return all
}

// app is the one app installed in the portal.
type app struct {
	id           int64
	portal       int64
	clientID     string
	clientSecret string
	access       map[string]time.Time // token to expiry
	static       string               // private app token: no expiry
	refresh      map[string]bool      // whether it is good: a revoked one is not
	codes        map[string]time.Time

	firstAccess, firstRefresh string
}

func (s *Sim) newApp() app {
	a := app{id: 1_160_452, portal: 442_810_337, clientID: s.UUID(), clientSecret: s.UUID(),
		access: map[string]time.Time{}, refresh: map[string]bool{}, codes: map[string]time.Time{}}
	s.authorise(&a)
	return a
}

// authorise makes the first tokens, and the new ones after a revocation.
func (s *Sim) authorise(a *app) {
	a.firstAccess, a.firstRefresh = "CK"+s.Token(86), "au1-"+s.UUID()
	a.static = "pat-au1-" + s.UUID()
	a.access[a.firstAccess] = s.Now().Add(tokenLife)
	a.refresh[a.firstRefresh] = true
}

// Credentials connect to the portal as it is now: after a revocation they are those of a renewed authorisation.
func (s *Sim) Credentials() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]string{"clientId": s.app.clientID, "clientSecret": s.app.clientSecret, "accessToken": s.app.firstAccess,
		"refreshToken": s.app.firstRefresh, "privateToken": s.app.static, "webhookKey": s.app.clientSecret,
		"portalId": strconv.FormatInt(s.app.portal, 10), "tokenPath": "/oauth/2026-03/token"}
}

// Expire ends every OAuth access token now.
func (s *Sim) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.app.access {
		s.app.access[t] = s.Now()
	}
}

// Revoke ends every token: the app was uninstalled. Credentials are those of the next installation.
func (s *Sim) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.app.access)
	for t := range s.app.refresh {
		s.app.refresh[t] = false
	}
	s.authorise(&s.app)
}

// Consent is a person who installs the app again. It returns the new credentials.
func (s *Sim) Consent() map[string]string {
	s.mu.Lock()
	s.authorise(&s.app)
	s.mu.Unlock()
	return s.Credentials()
}

// restore makes every refresh token good again.
func (a *app) restore() {
	for t := range a.refresh {
		a.refresh[t] = true
	}
	clear(a.codes)
}

// authenticate checks the bearer token.
func (s *Sim) authenticate(r *http.Request) *apiError {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	until, known := s.app.access[token]
	switch {
	case !ok || token == "":
		return &apiError{http: http.StatusUnauthorized, Category: "INVALID_AUTHENTICATION", Message: "Authentication credentials not found. This API supports OAuth 2.0 authentication and you can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview"}
	case token == s.app.static:
		return nil
	case !known:
		return &apiError{http: http.StatusUnauthorized, Category: "INVALID_AUTHENTICATION", Message: "The OAuth token used to make this call is invalid or was revoked."}
	case !s.Now().Before(until):
		return &apiError{http: http.StatusUnauthorized, Category: "EXPIRED_AUTHENTICATION", Message: fmt.Sprintf("The OAuth token used to make this call expired %d second(s) ago.", int(s.Now().Sub(until)/time.Second))}
	}
	return nil
}

// requires checks one scope.
func (s *Sim) requires(scope string) *apiError {
	if slices.Contains(s.opts.Scopes, scope) {
		return nil
	}
	return &apiError{http: http.StatusForbidden, Category: "MISSING_SCOPES", Message: "This app hasn't been granted all required scopes to make this call. Read more about required scopes here: https://developers.hubspot.com/scopes.",
		Errors: []errorDetail{{Message: "One or more of the following scopes are required.", Context: map[string][]string{"requiredGranularScopes": {scope}}}}}
}

// authorize shows no page: the person always says yes.
func (s *Sim) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	to, err := url.Parse(q.Get("redirect_uri"))
	s.mu.Lock()
	known := q.Get("client_id") == s.app.clientID
	code := s.UUID()
	s.app.codes[code] = s.Now().Add(5 * time.Minute)
	s.mu.Unlock()
	if err != nil || !to.IsAbs() || !known {
		http.Error(w, "client_id or redirect_uri is wrong", http.StatusBadRequest)
		return
	}
	back := to.Query()
	back.Set("code", code)
	if st := q.Get("state"); st != "" {
		back.Set("state", st)
	}
	to.RawQuery = back.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// token is the token endpoint, of every version.
func (s *Sim) token(w http.ResponseWriter, r *http.Request) {
	fail := func(status int, code, oauth, message string) {
		sim.WriteJSON(w, status, map[string]string{"status": code, "message": message, "error": oauth, "error_description": message, "correlationId": s.UUID()})
	}
	if err := r.ParseForm(); err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		fail(http.StatusUnsupportedMediaType, "BAD_REQUEST", "invalid_request", "the body must be a form")
		return
	}
	f := r.PostForm
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case f.Get("client_id") != s.app.clientID:
		fail(http.StatusBadRequest, "BAD_CLIENT_ID", "invalid_client", "missing or unknown client id")
		return
	case f.Get("client_secret") != s.app.clientSecret:
		fail(http.StatusBadRequest, "BAD_CLIENT_SECRET", "invalid_client", "missing or invalid client secret")
		return
	}
	now := s.Now()
	refresh := f.Get("refresh_token")
	switch f.Get("grant_type") {
	case "refresh_token":
		if !s.app.refresh[refresh] {
			s.Count(func(st *sim.Stats) { st.InvalidRefreshes++ })
			fail(http.StatusBadRequest, "BAD_REFRESH_TOKEN", "invalid_grant", "missing or unknown refresh token")
			return
		}
		s.Count(func(st *sim.Stats) { st.TokenRefreshes++ })
	case "authorization_code":
		until, ok := s.app.codes[f.Get("code")]
		delete(s.app.codes, f.Get("code"))
		if !ok || now.After(until) {
			fail(http.StatusBadRequest, "BAD_AUTH_CODE", "invalid_grant", "missing or unknown auth code")
			return
		}
		refresh = "au1-" + s.UUID()
		s.app.refresh[refresh] = true
	default:
		fail(http.StatusBadRequest, "BAD_GRANT_TYPE", "unsupported_grant_type", "missing or unknown grant type")
		return
	}
	access := "CK" + s.Token(86)
	s.app.access[access] = now.Add(tokenLife)
	sim.WriteJSON(w, http.StatusOK, map[string]any{"token_type": "bearer", "refresh_token": refresh, "access_token": access, "id_token": nil,
		"expires_in": int(tokenLife / time.Second), "hub_id": s.app.portal, "scopes": s.opts.Scopes})
}

// tokenInfo describes an access token; unknown ones are 404.
func (s *Sim) tokenInfo(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, ok := s.app.access[r.PathValue("token")]
	if !ok || !s.Now().Before(until) {
		s.writeError(w, &apiError{http: http.StatusNotFound, Category: "OBJECT_NOT_FOUND", Message: "access token not found"})
		return
	}
	sim.WriteJSON(w, http.StatusOK, map[string]any{"token": r.PathValue("token"), "token_type": "access", "user": "owner@portal.example", "hub_domain": "portal.example",
		"scopes": s.opts.Scopes, "hub_id": s.app.portal, "app_id": s.app.id, "user_id": 9_000_001, "expires_in": int(until.Sub(s.Now()) / time.Second)})
}

// introspect describes the token of a form, as the dated endpoints do; one that is not good is not active.
func (s *Sim) introspect(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm() // an empty form names no app
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.PostForm.Get("client_id") != s.app.clientID || r.PostForm.Get("client_secret") != s.app.clientSecret {
		s.writeError(w, &apiError{http: http.StatusBadRequest, Category: "INVALID_AUTHENTICATION", Message: "missing or unknown client id or secret"})
		return
	}
	token, answer := r.PostForm.Get("token"), map[string]any{"active": false}
	until, access := s.app.access[token]
	if refresh := s.app.refresh[token]; refresh || access && s.Now().Before(until) {
		answer = map[string]any{"active": true, "token": token, "token_use": "refresh_token", "token_type": "bearer", "scopes": s.opts.Scopes, "hub_id": s.app.portal,
			"app_id": s.app.id, "client_id": s.app.clientID, "user_id": 9_000_001}
		if !refresh {
			answer["token_use"], answer["expires_in"] = "access_token", int(until.Sub(s.Now())/time.Second)
		}
	}
	sim.WriteJSON(w, http.StatusOK, answer)
}

func (s *Sim) refreshInfo(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.app.refresh[r.PathValue("token")] {
		s.writeError(w, &apiError{http: http.StatusNotFound, Category: "OBJECT_NOT_FOUND", Message: "refresh token not found"})
		return
	}
	if r.Method == http.MethodDelete {
		delete(s.app.refresh, r.PathValue("token"))
		w.WriteHeader(http.StatusNoContent)
		return
	}
	sim.WriteJSON(w, http.StatusOK, map[string]any{"token": r.PathValue("token"), "token_type": "refresh", "user": "owner@portal.example", "hub_domain": "portal.example",
		"scopes": s.opts.Scopes, "hub_id": s.app.portal, "client_id": s.app.clientID, "user_id": 9_000_001})
}

func (s *Sim) revokeToken(w http.ResponseWriter, r *http.Request) {
	_ = r.ParseForm() // an empty form revokes nothing
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.app.refresh, r.PostForm.Get("token"))
	delete(s.app.access, r.PostForm.Get("token"))
	w.WriteHeader(http.StatusOK)
}

// limit counts a call against the limits and sets HubSpot's headers. Search has no headers.
func (s *Sim) limit(w http.ResponseWriter, search bool) *apiError {
	now := s.Now()
	h := w.Header()
	if search {
		if ok, _, _ := s.search.Take(now); !ok {
			return &apiError{http: http.StatusTooManyRequests, Message: "You have reached your secondly limit.", Type: "RATE_LIMIT", Policy: "SECONDLY"}
		}
	}
	if s.opts.Limits.Day > 0 {
		ok, left, _ := s.day.Take(now)
		h.Set("X-HubSpot-RateLimit-Daily", strconv.Itoa(s.opts.Limits.Day))
		h.Set("X-HubSpot-RateLimit-Daily-Remaining", strconv.Itoa(left))
		if !ok {
			return &apiError{http: http.StatusTooManyRequests, Message: "You have reached your daily limit.", Type: "RATE_LIMIT", Policy: "DAILY"}
		}
	}
	if s.opts.Limits.Burst < 0 {
		return nil
	}
	ok, left, _ := s.burst.Take(now)
	if !search {
		h.Set("X-HubSpot-RateLimit-Max", strconv.Itoa(s.opts.Limits.Burst))
		h.Set("X-HubSpot-RateLimit-Remaining", strconv.Itoa(left))
		h.Set("X-HubSpot-RateLimit-Interval-Milliseconds", strconv.Itoa(int(s.opts.Limits.Per/time.Millisecond)))
	}
	if !ok {
		return &apiError{http: http.StatusTooManyRequests, Message: "You have reached your ten_secondly_rolling limit.", Type: "RATE_LIMIT", Policy: "TEN_SECONDLY_ROLLING"}
	}
	return nil
}
