package graph

import (
	"context"
	"crypto/sha256"
	"strings"
	"sync"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/graph/model"
)

// Principal is the caller: an API key of our own rows, acting for one system in one role. Nothing that the caller sends
// adds to it.
type Principal struct {
	KeyID  string
	Prefix string // of the key; may be logged
	Name   string
	System string
	Role   store.Role
}

func (p Principal) String() string { return "key:" + p.Prefix + " (" + p.Name + ")" }

type principalKey struct{}

// PrincipalOf returns the caller of a request that the handler has let in.
func PrincipalOf(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}

// cause is what a change by the caller of ctx is put down to.
func cause(ctx context.Context) change.Cause {
	p, _ := PrincipalOf(ctx)
	return change.Cause{Actor: p.String(), Source: change.FromMutation, CorrelationID: domain.Correlation(ctx)}
}

// because is cause with the caller's own reason.
func because(ctx context.Context, reason *string) change.Cause {
	c := cause(ctx)
	c.Reason = strings.TrimSpace(value(reason))
	return c
}

// requires implements the schema's directive of that name.
func requires(ctx context.Context, _ any, next graphql.Resolver, role model.Role) (any, error) {
	p, ok := PrincipalOf(ctx)
	least := store.Role(strings.ToLower(string(role)))
	if !ok || !p.Role.Includes(least) {
		return nil, domain.Errorf(domain.Forbidden, "this needs an API key with the role %s; the key %q has the role %s", least, p.Name, p.Role)
	}
	return next(ctx)
}

// keyTTL is how long a verified key is believed: a revoked one is out after that.
const keyTTL = 5 * time.Second

// keysKept bounds what is remembered.
const keysKept = 1000

// gate implements transport.Gate with API keys.
type gate struct {
	db  store.DB
	now func() time.Time

	mu    sync.Mutex
	known map[[32]byte]verified // by hash of the key's text: the text itself is not kept
}

type verified struct {
	principal Principal
	until     time.Time
}

func newGate(db store.DB, now func() time.Time) *gate {
	return &gate{db: db, now: now, known: map[[32]byte]verified{}}
}

// Enter implements transport.Gate.
func (g *gate) Enter(ctx context.Context, authorization string) (context.Context, error) {
	scheme, key, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "Bearer") {
		key = ""
	}
	key = strings.TrimSpace(key)
	hash := sha256.Sum256([]byte(key))
	now := g.now()
	g.mu.Lock()
	v, ok := g.known[hash]
	g.mu.Unlock()
	if !ok || !now.Before(v.until) {
		k, err := store.AuthenticateKey(ctx, g.db, key)
		if err != nil {
			return nil, err
		}
		v = verified{Principal{KeyID: k.ID, Prefix: k.Prefix, Name: k.Name, System: k.System, Role: k.Role}, now.Add(keyTTL)}
		if k.ExpiresAt != nil && k.ExpiresAt.Before(v.until) {
			v.until = *k.ExpiresAt
		}
		g.remember(hash, v, now)
	}
	return context.WithValue(ctx, principalKey{}, v.principal), nil
}

func (g *gate) remember(hash [32]byte, v verified, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.known) >= keysKept {
		for h, old := range g.known {
			if !now.Before(old.until) {
				delete(g.known, h)
			}
		}
		if len(g.known) >= keysKept {
			clear(g.known)
		}
	}
	g.known[hash] = v
}

// Still implements transport.Gate. While the database cannot tell, the caller may stay.
func (g *gate) Still(ctx context.Context) error {
	p, _ := PrincipalOf(ctx)
	_, err := store.LiveKey(ctx, g.db, p.KeyID)
	if domain.CodeOf(err) == domain.Unauthentic {
		return err
	}
	return nil
}

// Who implements transport.Gate.
func (g *gate) Who(ctx context.Context) string {
	p, _ := PrincipalOf(ctx)
	return p.KeyID
}
