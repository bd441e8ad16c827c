package xerosim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"datum/adapters/sim"
)

// Lives of Xero's tokens.
const (
	accessLife   = 30 * time.Minute
	refreshLife  = 60 * 24 * time.Hour
	refreshGrace = 30 * time.Minute
	codeLife     = 5 * time.Minute
)

var scopes = []string{"offline_access", "accounting.contacts", "accounting.settings", "accounting.invoices", "accounting.payments", "accounting.banktransactions"}

// app is the one registered app and what it was granted.
type app struct {
	id, secret, webhookKey string
	signingKey             string // of the access tokens
	tenant, connection     string
	connected              bool
	connectedAt            time.Time
	authEvent              string

	grants map[string]*grant // by every refresh token that was ever issued
	access map[string]issued
	codes  map[string]code
	first  *grant
}

// grant is one consent: a chain of refresh tokens of which one is current.
type grant struct {
	current, previous string
	graceUntil        time.Time // until which previous may be used again
	usedAt            time.Time
	access            string // the latest
	revoked           bool
}

type issued struct {
	grant   *grant
	expires time.Time
}

type code struct {
	redirect string
	expires  time.Time
}

// newApp registers an app that has one consent already.
func (s *Sim) newApp() app {
	a := app{
		id: strings.ToUpper(s.Token(32)), secret: s.Token(48), webhookKey: s.Token(64), signingKey: s.Token(64),
		tenant: s.UUID(), connection: s.UUID(), authEvent: s.UUID(), connected: true, connectedAt: s.Now(),
		grants: map[string]*grant{}, access: map[string]issued{}, codes: map[string]code{},
	}
	a.first = &grant{}
	s.issue(&a, a.first)
	return a
}

// restore makes every consent good again.
func (a *app) restore() {
	for _, g := range a.grants {
		g.revoked = false
	}
	a.connected = true
	clear(a.codes)
}

// issue gives the grant a new pair of tokens.
func (s *Sim) issue(a *app, g *grant) {
	now := s.Now()
	g.current, g.usedAt = s.Token(43), now
	g.access = s.jwt(a, now)
	a.grants[g.current] = g
	for t, i := range a.access {
		if now.After(i.expires.Add(24 * time.Hour)) {
			delete(a.access, t)
		}
	}
	a.access[g.access] = issued{grant: g, expires: now.Add(accessLife)}
}

// jwt returns an access token with the claims that Xero's have.
func (s *Sim) jwt(a *app, now time.Time) string {
	enc := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic("xerosim: " + err.Error())
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	head := enc(map[string]string{"alg": "HS256", "kid": "SIMULATED", "typ": "JWT"})
	body := enc(map[string]any{
		"nbf": now.Unix(), "exp": now.Add(accessLife).Unix(), "iss": "https://identity.xero.com", "aud": "https://identity.xero.com/resources",
		"client_id": a.id, "sub": a.authEvent, "auth_time": now.Unix(), "xero_userid": a.authEvent, "jti": s.Token(32),
		"authentication_event_id": a.authEvent, "scope": scopes,
	})
	return head + "." + body + "." + base64.RawURLEncoding.EncodeToString(sign(a.signingKey, []byte(head+"."+body)))
}

func (s *Sim) client(r *http.Request) bool {
	id, secret, ok := r.BasicAuth()
	if ok {
		// RFC 6749 section 2.3.1: both parts are form-encoded inside Basic.
		id, _ = url.QueryUnescape(id)
		secret, _ = url.QueryUnescape(secret)
	} else {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	return id == s.app.id && secret == s.app.secret
}

func oauthError(w http.ResponseWriter, code string) {
	sim.WriteJSON(w, http.StatusBadRequest, map[string]string{"error": code})
}

func (s *Sim) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.client(r) {
		oauthError(w, "invalid_client")
		return
	}
	now, a := s.Now(), &s.app
	var g *grant
	switch r.PostFormValue("grant_type") {
	case "refresh_token":
		token := r.PostFormValue("refresh_token")
		g = a.grants[token]
		good := g != nil && !g.revoked && now.Before(g.usedAt.Add(refreshLife)) &&
			(token == g.current || token == g.previous && now.Before(g.graceUntil))
		if !good {
			s.Count(func(st *sim.Stats) { st.InvalidRefreshes++ })
			oauthError(w, "invalid_grant")
			return
		}
		if token == g.current {
			g.previous, g.graceUntil = token, now.Add(refreshGrace)
		}
		s.Count(func(st *sim.Stats) { st.TokenRefreshes++ })
	case "authorization_code":
		c, ok := a.codes[r.PostFormValue("code")]
		delete(a.codes, r.PostFormValue("code"))
		if !ok || now.After(c.expires) || c.redirect != r.PostFormValue("redirect_uri") {
			oauthError(w, "invalid_grant")
			return
		}
		g = &grant{}
		if !a.connected {
			a.connected, a.connection, a.connectedAt = true, s.UUID(), now
		}
		a.first = g
	default:
		oauthError(w, "unsupported_grant_type")
		return
	}
	s.issue(a, g)
	sim.WriteJSON(w, http.StatusOK, map[string]any{
		"access_token": g.access, "expires_in": int(accessLife / time.Second), "token_type": "Bearer",
		"refresh_token": g.current, "scope": strings.Join(scopes, " "),
	})
}

func (s *Sim) revocation(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.client(r) {
		oauthError(w, "invalid_client")
		return
	}
	// RFC 7009 section 2.2: an unknown token is answered like a known one.
	if g := s.app.grants[r.PostFormValue("token")]; g != nil {
		g.revoked = true
		s.app.connected = false
	}
	w.WriteHeader(http.StatusOK)
}

// authorize is the consent screen with a user who always agrees.
func (s *Sim) authorize(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := r.URL.Query()
	to, err := url.Parse(q.Get("redirect_uri"))
	switch {
	case q.Get("client_id") != s.app.id:
		http.Error(w, "unauthorized_client: unknown client_id", http.StatusBadRequest)
		return
	case q.Get("response_type") != "code":
		http.Error(w, "unsupported_response_type", http.StatusBadRequest)
		return
	case err != nil || to.Scheme != "https" && (to.Scheme != "http" || to.Hostname() != "localhost"):
		http.Error(w, "invalid redirect_uri: https or http://localhost", http.StatusBadRequest)
		return
	}
	c := s.Token(43)
	s.app.codes[c] = code{redirect: q.Get("redirect_uri"), expires: s.Now().Add(codeLife)}
	v := to.Query()
	v.Set("code", c)
	v.Set("state", q.Get("state"))
	v.Set("scope", q.Get("scope"))
	to.RawQuery = v.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// bearer checks the access token and answers 401 if it is not good.
func (s *Sim) bearer(w http.ResponseWriter, r *http.Request) bool {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	i, ok := s.app.access[token]
	revoked := ok && i.grant.revoked
	s.mu.Unlock()
	switch {
	case !ok || revoked:
		s.problem(w, http.StatusUnauthorized, "AuthenticationUnsuccessful")
	case !s.Now().Before(i.expires):
		s.problem(w, http.StatusUnauthorized, "TokenExpired: token expired at "+i.expires.Format("01/02/2006 15:04:05"))
	default:
		return true
	}
	return false
}

// problem answers in the shape that Xero uses for authentication and authorisation.
func (s *Sim) problem(w http.ResponseWriter, status int, detail string) {
	sim.WriteJSON(w, status, map[string]any{
		"Type": nil, "Title": http.StatusText(status), "Status": status, "Detail": detail, "Instance": s.UUID(), "Extensions": map[string]any{},
	})
}

func (s *Sim) listConnections(w http.ResponseWriter, r *http.Request) {
	if !s.bearer(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []map[string]string{}
	event := r.URL.Query().Get("authEventId")
	if s.app.connected && (event == "" || event == s.app.authEvent) {
		at := s.app.connectedAt.Format("2006-01-02T15:04:05.0000000")
		list = append(list, map[string]string{
			"id": s.app.connection, "authEventId": s.app.authEvent, "tenantId": s.app.tenant, "tenantType": "ORGANISATION",
			"tenantName": s.org.Name, "createdDateUtc": at, "updatedDateUtc": at,
		})
	}
	sim.WriteJSON(w, http.StatusOK, list)
}

func (s *Sim) deleteConnection(w http.ResponseWriter, r *http.Request) {
	if !s.bearer(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.app.connected || r.PathValue("id") != s.app.connection {
		notFound(w)
		return
	}
	s.app.connected = false
	w.WriteHeader(http.StatusNoContent)
}

// Expire ends every access token now.
func (s *Sim) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.Now()
	for t, i := range s.app.access {
		if i.expires.After(now) {
			i.expires = now
			s.app.access[t] = i
		}
	}
}

// Revoke ends every consent: a person disconnected the app.
func (s *Sim) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.app.grants {
		g.revoked = true
	}
	s.app.connected = false
}

// Credentials are what an administrator would have: the app's, and the tokens of the latest consent.
func (s *Sim) Credentials() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]string{
		"clientId": s.app.id, "clientSecret": s.app.secret, "webhookKey": s.app.webhookKey, "tenantId": s.app.tenant,
		"accessToken": s.app.first.access, "refreshToken": s.app.first.current, "tokenPath": "/connect/token",
		"authorizePath": "/identity/connect/authorize", "scopes": strings.Join(scopes, " "),
	}
}

// Consent is a person who connects the app anew after Revoke. It returns the new credentials.
func (s *Sim) Consent() map[string]string {
	s.mu.Lock()
	if !s.app.connected {
		s.app.connected, s.app.connection, s.app.connectedAt = true, s.UUID(), s.Now()
	}
	s.app.first = &grant{}
	s.issue(&s.app, s.app.first)
	s.mu.Unlock()
	return s.Credentials()
}

func (s *Sim) tenantOf(r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := r.Header.Get("Xero-Tenant-Id"); !strings.EqualFold(t, s.app.tenant) || !s.app.connected {
		return fmt.Errorf("AuthenticationUnsuccessful")
	}
	return nil
}
