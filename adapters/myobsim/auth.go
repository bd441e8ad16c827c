package myobsim

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"datum/adapters/sim"
)

// Lives of MYOB's tokens.
const (
	accessLife  = 20 * time.Minute
	refreshLife = 7 * 24 * time.Hour
	codeLife    = 2 * time.Minute
)

var scopes = []string{"sme-company-file", "sme-company-settings", "sme-contacts-customer", "sme-general-ledger", "sme-inventory", "sme-sales"}

// app is the one registered app, what it was granted, and the file's own login.
type app struct {
	id, secret     string
	user, password string // of the company file

	grants map[string]*grant // by every refresh token that was ever issued
	access map[string]issued
	codes  map[string]code
	first  *grant
}

// grant is one consent: a chain of refresh tokens of which one is current.
type grant struct {
	current  string
	issuedAt time.Time
	access   string // the latest
	revoked  bool
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
	a := app{id: s.UUID(), secret: s.Token(24), user: "Administrator", password: s.Token(12),
		grants: map[string]*grant{}, access: map[string]issued{}, codes: map[string]code{}, first: &grant{}}
	s.issue(&a, a.first)
	return a
}

// restore makes every consent good again.
func (a *app) restore() {
	for _, g := range a.grants {
		g.revoked = false
	}
	clear(a.codes)
}

// issue gives the grant a new pair of tokens.
func (s *Sim) issue(a *app, g *grant) {
	now := s.Now()
	g.current, g.issuedAt, g.access = s.Token(64), now, s.Token(96)
	a.grants[g.current] = g
	for t, i := range a.access {
		if now.After(i.expires.Add(24 * time.Hour)) {
			delete(a.access, t)
		}
	}
	a.access[g.access] = issued{grant: g, expires: now.Add(accessLife)}
}

func oauthError(w http.ResponseWriter, code string) {
	sim.WriteJSON(w, http.StatusBadRequest, map[string]string{"error": code})
}

// token answers both grants: MYOB has one address for them. The client's id and secret are in the form.
func (s *Sim) token(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, a := s.Now(), &s.app
	if r.PostFormValue("client_id") != a.id || r.PostFormValue("client_secret") != a.secret {
		oauthError(w, "invalid_client")
		return
	}
	var g *grant
	switch r.PostFormValue("grant_type") {
	case "refresh_token":
		t := r.PostFormValue("refresh_token")
		if g = a.grants[t]; g == nil || g.revoked || t != g.current || now.After(g.issuedAt.Add(refreshLife)) {
			s.Count(func(st *sim.Stats) { st.InvalidRefreshes++ })
			oauthError(w, "invalid_grant")
			return
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
		a.first = g
	default:
		oauthError(w, "unsupported_grant_type")
		return
	}
	s.issue(a, g)
	sim.WriteJSON(w, http.StatusOK, map[string]any{
		"access_token": g.access, "expires_in": strconv.Itoa(int(accessLife / time.Second)), "token_type": "bearer",
		"refresh_token": g.current, "scope": strings.Join(scopes, " "),
	})
}

// authorize is the consent screen with an administrator who always agrees. The file is named only after prompt=consent.
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
	case strings.Contains(q.Get("scope"), "CompanyFile"):
		http.Error(w, "invalid_scope: keys made after 12 March 2025 ask for sme- scopes", http.StatusBadRequest)
		return
	case err != nil || to.Host == "":
		http.Error(w, "invalid redirect_uri", http.StatusBadRequest)
		return
	}
	c := s.Token(48)
	s.app.codes[c] = code{redirect: q.Get("redirect_uri"), expires: s.Now().Add(codeLife)}
	v := to.Query()
	v.Set("code", c)
	v.Set("state", q.Get("state"))
	v.Set("scope", q.Get("scope"))
	if q.Get("prompt") == "consent" {
		v.Set("businessId", s.file.id)
		v.Set("businessName", s.file.name)
	}
	to.RawQuery = v.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// admit checks everything that comes before the file is opened: token, key and limits.
func (s *Sim) admit(r *http.Request) *answer {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	i, ok := s.app.access[token]
	known, revoked := r.Header.Get("x-myobapi-key") == s.app.id, ok && i.grant.revoked
	s.mu.Unlock()
	var a answer
	switch {
	case !ok || revoked || !s.Now().Before(i.expires):
		a = refusal(http.StatusUnauthorized, tokenInvalid)
	case !known:
		a = refusal(http.StatusForbidden, problem{Name: "DeveloperInactive", Message: "API key is missing or inactive"})
	default:
		limit := s.limits.exceeded(s.Now())
		if limit == "" {
			return nil
		}
		s.Count(func(st *sim.Stats) { st.Limited++ })
		a = refusal(http.StatusForbidden, rateLimit(limit))
	}
	return &a
}

// open checks that the caller may use the file.
func (s *Sim) open(r *http.Request) *answer {
	s.mu.Lock()
	id, login := s.file.id, base64.StdEncoding.EncodeToString([]byte(s.app.user+":"+s.app.password))
	s.mu.Unlock()
	given := r.Header.Get("x-myobapi-cftoken")
	if strings.EqualFold(r.PathValue("file"), id) && (given == login || given == "" && !s.opts.Login) {
		return nil
	}
	a := refusal(http.StatusForbidden, accessDenied)
	return &a
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

// Revoke ends every consent: a person removed the app.
func (s *Sim) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.app.grants {
		g.revoked = true
	}
}

// Consent is a person who connects the app anew after Revoke. It returns the new credentials.
func (s *Sim) Consent() map[string]string {
	s.mu.Lock()
	s.app.first = &grant{}
	s.issue(&s.app, s.app.first)
	s.mu.Unlock()
	return s.Credentials()
}

// Credentials are what an administrator would have: the app's, the tokens of the latest consent, and the file's login.
func (s *Sim) Credentials() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]string{
		"clientId": s.app.id, "clientSecret": s.app.secret, "businessId": s.file.id, "accessToken": s.app.first.access,
		"refreshToken": s.app.first.current, "companyFileUser": s.app.user, "companyFilePassword": s.app.password,
		"tokenPath": "/oauth2/v1/authorize", "authorizePath": "/oauth2/account/authorize", "scopes": strings.Join(scopes, " "),
	}
}
