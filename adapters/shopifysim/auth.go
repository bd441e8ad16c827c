package shopifysim

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"datum/adapters/sim"
)

const (
	accessLife  = time.Hour
	ownAppLife  = 24 * time.Hour
	refreshLife = 90 * 24 * time.Hour
	domainName  = "hartley-trade.myshopify.com"
)

var allScopes = []string{"read_all_orders", "read_customers", "write_customers", "read_products", "write_products", "read_inventory", "write_inventory",
	"read_locations", "read_orders", "write_orders"}

// app is the one app installed in the shop.
type app struct {
	clientID, clientSecret string
	access                 map[string]time.Time // token to expiry
	refresh                map[string]grant
	codes                  map[string]time.Time
	firstAccess            string
	firstRefresh           string
}

type grant struct {
	until time.Time
	good  bool
}

func (s *Sim) newApp() app {
	a := app{clientID: s.Token(32), clientSecret: "shpss_" + s.Token(32), access: map[string]time.Time{}, refresh: map[string]grant{}, codes: map[string]time.Time{}}
	a.firstAccess, a.firstRefresh = s.issue(&a, accessLife)
	return a
}

// issue makes a pair of tokens.
func (s *Sim) issue(a *app, life time.Duration) (access, refresh string) {
	access, refresh = "shpat_"+s.Token(32), "shprt_"+s.Token(32)
	now := s.Now()
	a.access[access] = now.Add(life)
	a.refresh[refresh] = grant{now.Add(refreshLife), true}
	return access, refresh
}

// restore makes every refresh token good again.
func (a *app) restore() {
	for t, g := range a.refresh {
		g.good = true
		a.refresh[t] = g
	}
	clear(a.codes)
}

// Credentials connect to the shop as it is now: after a revocation they are those of a renewed installation.
func (s *Sim) Credentials() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]string{"clientId": s.app.clientID, "clientSecret": s.app.clientSecret, "accessToken": s.app.firstAccess,
		"refreshToken": s.app.firstRefresh, "webhookKey": s.app.clientSecret, "shop": domainName, "tokenPath": "/admin/oauth/access_token"}
}

// Expire ends every access token now.
func (s *Sim) Expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for t := range s.app.access {
		s.app.access[t] = s.Now()
	}
}

// Revoke ends every token: the app was uninstalled. Its webhook subscriptions end with it, after one last message.
func (s *Sim) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.happens()
	s.tell("app/uninstalled", map[string]any{"id": 548380009, "domain": domainName, "myshopify_domain": domainName, "name": shopName})
	clear(s.app.access)
	for t := range s.app.refresh {
		s.app.refresh[t] = grant{}
	}
	s.hooks, s.managed = nil, false
	s.app.firstAccess, s.app.firstRefresh = s.issue(&s.app, accessLife)
}

// Consent is a person who installs the app again. It returns the new credentials.
func (s *Sim) Consent() map[string]string {
	s.mu.Lock()
	s.app.firstAccess, s.app.firstRefresh = s.issue(&s.app, accessLife)
	s.mu.Unlock()
	return s.Credentials()
}

// authorize is the consent screen, with a person who always agrees.
func (s *Sim) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	to, err := url.Parse(q.Get("redirect_uri"))
	s.mu.Lock()
	defer s.mu.Unlock()
	if q.Get("client_id") != s.app.clientID || err != nil || !to.IsAbs() {
		http.Error(w, "Oauth error invalid_request", http.StatusBadRequest)
		return
	}
	code := s.Token(32)
	s.app.codes[code] = s.Now().Add(time.Minute)
	back := to.Query()
	back.Set("code", code)
	back.Set("shop", domainName)
	back.Set("state", q.Get("state"))
	to.RawQuery = back.Encode()
	http.Redirect(w, r, to.String(), http.StatusFound)
}

// token is the token endpoint: authorization_code (the default), refresh_token, which rotates, and client_credentials.
func (s *Sim) token(w http.ResponseWriter, r *http.Request) {
	f := form(r)
	fail := func(status int, code, why string) {
		s.Count(func(st *sim.Stats) {
			if f["grant_type"] == "refresh_token" {
				st.InvalidRefreshes++
			}
		})
		sim.WriteJSON(w, status, map[string]string{"error": code, "error_description": why})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f["client_id"] != s.app.clientID || f["client_secret"] != s.app.clientSecret {
		fail(http.StatusUnauthorized, "invalid_client", "the client is not known or its secret is wrong")
		return
	}
	now, life := s.Now(), accessLife
	switch f["grant_type"] {
	case "", "authorization_code":
		until, ok := s.app.codes[f["code"]]
		delete(s.app.codes, f["code"])
		if !ok || now.After(until) {
			fail(http.StatusBadRequest, "invalid_request", "The authorization code was not found or was already used")
			return
		}
	case "refresh_token":
		g := s.app.refresh[f["refresh_token"]]
		if !g.good || now.After(g.until) {
			fail(http.StatusBadRequest, "invalid_grant", "the refresh token is not valid")
			return
		}
		g.good = false
		s.app.refresh[f["refresh_token"]] = g
		s.Count(func(st *sim.Stats) { st.TokenRefreshes++ })
	case "client_credentials":
		life = ownAppLife
		access, refresh := s.issue(&s.app, life)
		delete(s.app.refresh, refresh)
		sim.WriteJSON(w, http.StatusOK, map[string]any{"access_token": access, "scope": strings.Join(s.opts.Scopes, ","), "expires_in": int(life/time.Second) - 1})
		return
	default:
		fail(http.StatusBadRequest, "unsupported_grant_type", "this grant type is not supported")
		return
	}
	access, refresh := s.issue(&s.app, life)
	sim.WriteJSON(w, http.StatusOK, map[string]any{"access_token": access, "scope": strings.Join(s.opts.Scopes, ","), "expires_in": int(life / time.Second),
		"refresh_token": refresh, "refresh_token_expires_in": int(refreshLife / time.Second)})
}

// form reads a form or a JSON object of texts.
func form(r *http.Request) map[string]string {
	f := map[string]string{}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		b, _ := io.ReadAll(r.Body)
		_ = json.Unmarshal(b, &f) // what is not an object of texts names no client
		return f
	}
	_ = r.ParseForm()
	for k := range r.Form {
		f[k] = r.Form.Get(k)
	}
	return f
}

// signedIn checks the access token.
func (s *Sim) signedIn(r *http.Request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	until, ok := s.app.access[r.Header.Get("X-Shopify-Access-Token")]
	return ok && s.Now().Before(until)
}

func fingerprint(b []byte) string {
	h := sha256.Sum256(b)
	return hex.EncodeToString(h[:8])
}
