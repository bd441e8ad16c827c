package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/domain"
	"datum/domain/ownership"
	"datum/domain/store"
)

// Connection is what a person gives to connect a vendor account.
type Connection struct {
	// Values are credentials (clientId, clientSecret, accessToken, refreshToken, webhookKey) and the vendor's settings,
	// among them baseUrl and tokenUrl where they differ from the vendor's own.
	Values map[string]string
	// Check calls the vendor to see that it works, and makes what the mapping needs there.
	Check bool
}

// connectPatience is how long a person who connects a system waits for its budget.
const connectPatience = 30 * time.Second

// Connect stores the credentials and settings of a system that the policy names, sealed where they are secret, and ends
// needs_reauth. Everything that waited for it goes on by itself. Invalid names what is missing.
func (e *Engine) Connect(ctx context.Context, system string, conn Connection) (h adapters.Health, err error) {
	defer domain.Wrap(&err, "jobs.Connect")
	row, err := store.SystemByName(ctx, e.pool, system)
	if err != nil {
		return h, err
	}
	if row.Adapter == ownership.Native {
		return h, &domain.Error{Code: domain.Unsupported, System: system, Message: "it is Datum's own and needs no connection"}
	}
	v, ok := e.vendors[row.Adapter]
	if !ok {
		return h, &domain.Error{Code: domain.Unsupported, System: system, Message: fmt.Sprintf("there is no adapter %q", row.Adapter)}
	}
	named := func(err error) error {
		de := *domain.AsError(err)
		de.System = system
		return &de
	}
	cred, settings, err := sortValues(v, conn.Values)
	if err != nil {
		return h, named(err)
	}
	if m := row.Settings[adapters.OverlaySetting]; m != "" {
		settings[adapters.OverlaySetting] = m // published, and no matter of the connection
	}
	// What worked before is put back if this does not.
	before, err := store.GetCredential(ctx, e.pool, e.cfg.Sealer, system)
	had := err == nil
	if err != nil && domain.CodeOf(err) != domain.NotFound && domain.CodeOf(err) != domain.Unauthorized {
		return h, err
	}
	if err := store.PutCredential(ctx, e.pool, e.cfg.Sealer, system, cred); err != nil {
		return h, err
	}
	defer func() {
		if err == nil || !had {
			return
		}
		ctx := context.WithoutCancel(ctx)
		if before.AuthState.Status != store.AuthNeedsReauth {
			err = errors.Join(err, store.PutCredential(ctx, e.pool, e.cfg.Sealer, system, before))
		}
		err = errors.Join(err, store.SetSettings(ctx, e.pool, system, row.Settings))
		e.reread(system)
	}()
	if missing := required(v, settings); missing != "" && v.Discover != nil {
		s, err := e.session(ctx, system, v, settings)
		if err != nil {
			return h, err
		}
		found, err := v.Discover(ctx, s)
		if err != nil {
			return h, named(err)
		}
		maps.Copy(settings, found)
	}
	if missing := required(v, settings); missing != "" {
		return h, named(domain.Errorf(domain.Invalid, "%s needs %s", v.Title, missing))
	}
	if err := store.SetSettings(ctx, e.pool, system, settings); err != nil {
		return h, err
	}
	e.mu.Lock()
	delete(e.systems, system)
	e.mu.Unlock()
	c, err := e.system(ctx, system)
	if err != nil || !conn.Check {
		return h, err
	}
	ctx = rest.WithPatience(ctx, connectPatience)
	unmade := ""
	if c.Provisioner != nil {
		err := c.Provisioner.Provision(ctx)
		if errors.Is(err, rest.ErrHeld) {
			unmade, err = fmt.Sprintf("what the mapping needs in %s was not made: %s. Connect it again once it is live", system, domain.AsError(err).Message), nil
		}
		if err != nil {
			return h, err
		}
	}
	if c.Checker == nil {
		return h, nil
	}
	if h, err = c.Checker.Check(ctx); err == nil {
		if c.Locker != nil {
			err = store.SetLockedUntil(ctx, e.pool, system, h.LockedUntil)
		}
	}
	if err == nil {
		if problem := e.subscribe(ctx, c, false); problem != "" {
			h.Problems = append(h.Problems, problem)
		}
	}
	if unmade != "" && err == nil && h.Account != "" {
		h.Problems = append(h.Problems, unmade)
	}
	if err == nil && h.Account == "" && len(h.Problems) > 0 {
		err = named(domain.Errorf(domain.Invalid, "it is not connected: %s", strings.Join(h.Problems, "; ")))
	}
	return h, err
}

// required names the first required setting that is missing, with its help, "" if there is none.
func required(v adapters.Vendor, settings map[string]string) string {
	for _, st := range v.Settings {
		if st.Required && !st.Secret && st.Default == "" && settings[st.Name] == "" {
			return st.Name + ": " + st.Help
		}
	}
	return ""
}

// Authorisation is an OAuth authorisation that a person has begun.
type Authorisation struct {
	URL    string // where the person says yes
	State  string // comes back with the code
	finish func(ctx context.Context, code string) (adapters.Health, error)
}

// Finish trades the code that came back for tokens and connects the system.
func (a Authorisation) Finish(ctx context.Context, code string) (adapters.Health, error) {
	return a.finish(ctx, code)
}

// Authorise begins the authorisation of a system whose vendor uses OAuth. values hold clientId, clientSecret and settings;
// redirect is where the vendor sends the person back to with a code, and must be registered with the app.
func (e *Engine) Authorise(ctx context.Context, system string, values map[string]string, redirect string) (a Authorisation, err error) {
	defer domain.Wrap(&err, "jobs.Authorise")
	row, err := store.SystemByName(ctx, e.pool, system)
	if err != nil {
		return a, err
	}
	v, ok := e.vendors[row.Adapter]
	if !ok || v.OAuth == nil {
		return a, &domain.Error{Code: domain.Unsupported, System: system, Message: "it is not authorised by OAuth; use datum system connect"}
	}
	o := rest.OAuth{Endpoints: *v.OAuth}
	if u := values["tokenUrl"]; u != "" {
		o.Endpoints.TokenURL = u
	}
	if u := values["authorizeUrl"]; u != "" {
		o.Endpoints.AuthorizeURL = u
	}
	if values["clientId"] == "" || values["clientSecret"] == "" {
		return a, &domain.Error{Code: domain.Invalid, System: system, Message: v.Title + " needs clientId and clientSecret of your app"}
	}
	a.State = domain.NewID("auth")
	a.URL = o.AuthorizeURL(values["clientId"], redirect, a.State)
	a.finish = func(ctx context.Context, code string) (adapters.Health, error) {
		t, err := o.Exchange(ctx, values["clientId"], values["clientSecret"], code, redirect)
		if err != nil {
			return adapters.Health{}, err
		}
		given := maps.Clone(values)
		delete(given, "authorizeUrl")
		given["accessToken"], given["refreshToken"] = t.AccessToken, t.RefreshToken
		return e.Connect(ctx, system, Connection{Values: given, Check: true})
	}
	return a, nil
}

// sortValues parts what a person gave into the sealed credential and plain settings.
func sortValues(v adapters.Vendor, values map[string]string) (store.Credential, map[string]string, error) {
	cred := store.Credential{ClientID: values["clientId"], ClientSecret: values["clientSecret"], AccessToken: values["accessToken"],
		RefreshToken: values["refreshToken"], Settings: map[string]string{}}
	if s := values["webhookKey"]; s != "" {
		cred.WebhookSecrets = strings.Split(s, ",")
	}
	if cred.AccessToken != "" && cred.RefreshToken != "" {
		cred.ExpiresAt = time.Now().Add(5 * time.Minute) // not known: renewed soon, and at the first 401
	}
	settings := map[string]string{}
	known := map[string]bool{"clientId": true, "clientSecret": true, "accessToken": true, "refreshToken": true, "webhookKey": true}
	for _, k := range []string{"baseUrl", "tokenUrl"} {
		known[k] = true
		if values[k] != "" {
			settings[k] = values[k]
		}
	}
	for _, st := range v.Settings {
		known[st.Name] = true
		x := values[st.Name]
		switch {
		case x == "":
		case st.Secret:
			cred.Settings[st.Name] = x
		default:
			settings[st.Name] = x
		}
	}
	for _, k := range slices.Sorted(maps.Keys(values)) {
		if strings.HasPrefix(k, "limit.") {
			settings[k] = values[k]
		} else if !known[k] {
			return cred, nil, domain.Errorf(domain.Invalid, "%s has no setting %q", v.Title, k)
		}
	}
	if v.Auth == adapters.AuthOAuth2 && (cred.ClientID == "" || cred.ClientSecret == "" || cred.RefreshToken == "") {
		return cred, nil, domain.Errorf(domain.Invalid, "%s needs clientId, clientSecret and refreshToken", v.Title)
	}
	if v.Auth == adapters.AuthToken && cred.AccessToken == "" {
		return cred, nil, domain.Errorf(domain.Invalid, "%s needs accessToken", v.Title)
	}
	return cred, settings, nil
}
