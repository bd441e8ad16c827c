package jobs

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/singleflight"

	"datum/adapters"
	"datum/adapters/rest"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// SessionConfig is what the sessions of one process share. Everything but Transport, Now and Log is required.
type SessionConfig struct {
	Pool    *pgxpool.Pool
	Sealer  store.Sealer
	Process string // id of a process that has a heartbeat
	// Exchanges keeps what is said to vendors; see NewExchangeWriter.
	Exchanges rest.ExchangeLog
	// Applier is told what vendors say about the future of their API; nil tells nobody.
	Applier   *change.Applier
	Transport http.RoundTripper
	Now       func() time.Time
	Log       *slog.Logger
}

// OpenSession connects an adapter's calls for one system to what is stored for it: its credential, its budget and its
// exchanges. Settings named "limit.<name>" override the calls of the vendor's limit of that name, "tokenUrl" the token
// endpoint. It makes no vendor call. Open a session once per process and system: the circuit breaker and the cached
// token live in it.
func OpenSession(ctx context.Context, cfg SessionConfig, system, baseURL string, v adapters.Vendor, settings map[string]string) (s adapters.Session, err error) {
	defer domain.Wrap(&err, "jobs.OpenSession")
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	all := withDefaults(v, settings)
	rc := rest.Config{System: system, BaseURL: baseURL, Exchanges: cfg.Exchanges, ReadLimits: v.ReadLimits,
		TokenHeader: v.TokenHeader, Meaning: v.Meaning, Notices: v.Notices,
		Guard: liveOnly{cfg.Pool, system}, Timeout: v.Timeout, Transport: cfg.Transport, Now: cfg.Now, Log: cfg.Log}
	if v.Auth != adapters.AuthNone && v.Auth != "" || hasSecret(v) {
		c, err := store.GetCredential(ctx, cfg.Pool, cfg.Sealer, system)
		if err != nil {
			return s, err
		}
		for k, x := range c.Settings {
			all[k] = x
		}
		rc.Secrets = c.Secrets()
		t := &tokens{pool: cfg.Pool, sealer: cfg.Sealer, system: system, now: cfg.Now, log: cfg.Log}
		if v.Auth == adapters.AuthOAuth2 {
			if v.OAuth == nil {
				return s, domain.Errorf(domain.Internal, "vendor %s authorises by OAuth but names no endpoints", v.Name)
			}
			t.oauth = &rest.OAuth{Endpoints: *v.OAuth, Now: cfg.Now, HTTP: &http.Client{Transport: cfg.Transport}}
			if u := all["tokenUrl"]; u != "" {
				t.oauth.Endpoints.TokenURL = u
			}
		}
		if v.Auth != adapters.AuthNone && v.Auth != "" {
			rc.Auth = t
		}
	}
	limits, err := limitsOf(v, all)
	if err != nil {
		return s, err
	}
	if err := store.SetLimits(ctx, cfg.Pool, system, limits); err != nil {
		return s, err
	}
	if len(limits) > 0 {
		rc.Budget = &budget{pool: cfg.Pool, system: system, process: cfg.Process}
	}
	if cfg.Applier != nil {
		rc.Noticer = newNotices(ctx, cfg, system)
	}
	open := rest.New
	if baseURL == "" {
		open = rest.NewRunner // a vendor that is not spoken to by HTTP
	}
	client, err := open(rc)
	if err != nil {
		return s, err
	}
	return adapters.Session{System: system, BaseURL: strings.TrimRight(baseURL, "/"), Settings: all, HTTP: client, Now: cfg.Now,
		Log: cfg.Log.With("system", system)}, nil
}

// withDefaults are an account's settings with the vendor's defaults where it says nothing.
func withDefaults(v adapters.Vendor, settings map[string]string) map[string]string {
	all := map[string]string{}
	for _, st := range v.Settings {
		if st.Default != "" {
			all[st.Name] = st.Default
		}
	}
	maps.Copy(all, settings)
	return all
}

// hasSecret reports whether the vendor has a setting that is kept sealed.
func hasSecret(v adapters.Vendor) bool {
	return slices.ContainsFunc(v.Settings, func(s adapters.Setting) bool { return s.Secret })
}

func limitsOf(v adapters.Vendor, settings map[string]string) ([]store.Limit, error) {
	var ls []store.Limit
	for _, l := range v.Limits {
		if text := settings["limit."+l.Name]; text != "" {
			n, err := strconv.Atoi(text)
			if err != nil || n <= 0 {
				return nil, domain.Errorf(domain.Invalid, "setting limit.%s must be a positive number of calls", l.Name)
			}
			l.Calls = n
		}
		ls = append(ls, store.Limit{Name: l.Name, Calls: l.Calls, Per: l.Per, Extra: l.Extra})
	}
	return ls, nil
}

// budget is rest.Budget over the shared rows.
type budget struct {
	pool    *pgxpool.Pool
	system  string
	process string
}

func (b *budget) Acquire(ctx context.Context, lane rest.Lane, extra []string, hold time.Duration) (rest.Permit, time.Duration, error) {
	g, err := store.Acquire(ctx, b.pool, b.system, string(lane), extra, b.process, hold)
	if err != nil || g.Wait > 0 {
		return nil, g.Wait, err
	}
	return permit{b.pool, g}, 0, nil
}

type permit struct {
	pool  *pgxpool.Pool
	grant store.Grant
}

func (p permit) Done(ctx context.Context, u rest.Usage) error {
	var rs []store.Reading
	for _, r := range u.Readings {
		rs = append(rs, store.Reading(r))
	}
	var blocked []string
	if u.Blocked > 0 {
		if blocked = u.Limits; len(blocked) == 0 {
			for name := range p.grant.Room {
				blocked = append(blocked, name)
			}
		}
	}
	return store.Done(ctx, p.pool, p.grant, rs, blocked, u.Blocked)
}

// early is how long before its end a token is renewed, so that it does not end on the way.
const early = time.Minute

// tokens is rest.TokenSource over the stored credential. oauth is nil for a static token.
type tokens struct {
	pool   *pgxpool.Pool
	sealer store.Sealer
	system string
	oauth  *rest.OAuth
	now    func() time.Time
	log    *slog.Logger
	flight singleflight.Group

	mu     sync.Mutex
	cached store.Credential // AccessToken "" if none
}

func (t *tokens) Token(ctx context.Context) (string, error) {
	c := t.get()
	if c.AccessToken == "" {
		var err error
		if c, err = store.GetCredential(ctx, t.pool, t.sealer, t.system); err != nil {
			return "", err
		}
		if c.AuthState.Status == store.AuthNeedsReauth {
			return "", &domain.Error{Code: domain.Unauthorized, System: t.system, Message: "the account must be authorised again (" + c.AuthState.Reason + ")"}
		}
		t.set(c)
	}
	// Twice at most: the stored token that replaces ours may itself be at its end.
	for range 2 {
		if c.AccessToken != "" && !t.ending(c) {
			return c.AccessToken, nil
		}
		var err error
		if c, err = t.renew(ctx, c.AccessToken); err != nil {
			return "", err
		}
	}
	return c.AccessToken, nil // the vendor's tokens live less than a minute
}

func (t *tokens) ending(c store.Credential) bool {
	return t.oauth != nil && !c.ExpiresAt.IsZero() && c.ExpiresAt.Sub(t.now()) < early
}

func (t *tokens) Refresh(ctx context.Context, used string) (string, error) {
	if c := t.get(); c.AccessToken != "" && c.AccessToken != used {
		return c.AccessToken, nil // somebody here was faster
	}
	c, err := t.renew(ctx, used)
	return c.AccessToken, err
}

func (t *tokens) Reject(ctx context.Context, used, reason string) error {
	t.set(store.Credential{})
	return store.RejectCredential(ctx, t.pool, t.sealer, t.system, used, reason)
}

// renew replaces the token used, once for all callers here and, by the row's lock, everywhere. It goes on when its caller
// is gone: a rotated pair must not be lost.
func (t *tokens) renew(ctx context.Context, used string) (store.Credential, error) {
	done := t.flight.DoChan(used, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 35*time.Second)
		defer cancel()
		var c store.Credential
		var err error
		if t.oauth == nil {
			c, err = store.GetCredential(ctx, t.pool, t.sealer, t.system)
		} else {
			c, err = store.RefreshCredential(ctx, t.pool, t.sealer, t.system, used, t.refresh)
		}
		if err != nil {
			t.set(store.Credential{})
			return c, err
		}
		t.set(c)
		return c, nil
	})
	select {
	case r := <-done:
		return r.Val.(store.Credential), r.Err
	case <-ctx.Done():
		return store.Credential{}, &domain.Error{Code: domain.Unavailable, System: t.system, Message: "stopped while the authorisation was renewed", Err: context.Cause(ctx)}
	}
}

func (t *tokens) refresh(ctx context.Context, c store.Credential) (store.Credential, error) {
	if c.RefreshToken == "" {
		return c, store.ErrGrantInvalid
	}
	n, err := t.oauth.Refresh(ctx, c.ClientID, c.ClientSecret, c.RefreshToken)
	if errors.Is(err, rest.ErrInvalidGrant) {
		t.log.WarnContext(ctx, "authorisation refused", "system", t.system, "error", err)
		return c, store.ErrGrantInvalid
	}
	if err != nil {
		return c, err
	}
	c.AccessToken, c.ExpiresAt = n.AccessToken, n.ExpiresAt
	if n.RefreshToken != "" {
		c.RefreshToken = n.RefreshToken
	}
	t.log.InfoContext(ctx, "access token renewed", "system", t.system, "expires", c.ExpiresAt)
	return c, nil
}

func (t *tokens) get() store.Credential {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.cached
}

func (t *tokens) set(c store.Credential) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cached = c
}
