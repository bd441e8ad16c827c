package rest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"

	"datum/adapters"
	"datum/domain"
)

// Request is a call that writes, as it would be sent.
type Request struct {
	Method string
	Path   string            // with query
	Header map[string]string // of a list: none that holds a secret
	Body   string
	// Digest is the same for the same request and for no other: of all of the above, before secrets were hidden.
	Digest string
}

// Guard decides about calls that write. Calls that read are not asked about.
type Guard interface {
	// Look is shown the request before anything is done for it. With an error nothing is sent.
	Look(ctx context.Context, r Request) error
	// Now is asked at the last moment before the request is sent. With an error nothing is sent.
	Now(ctx context.Context) error
}

// ErrHeld is in the chain of errors of calls that a guard kept from being sent.
var ErrHeld = errors.New("held back")

type guardKey struct{}

// WithGuard returns a context whose calls that write are decided about by g, and not by the client's own guard.
func WithGuard(ctx context.Context, g Guard) context.Context {
	return context.WithValue(ctx, guardKey{}, g)
}

// guard is who decides about the call, nil if nobody does. What a method says counts as much as the adapter's word.
func (c *Client) guard(ctx context.Context, call adapters.Call) Guard {
	if !call.Write && !slices.Contains([]string{http.MethodPut, http.MethodPatch, http.MethodDelete}, call.Method) {
		return nil
	}
	if g, ok := ctx.Value(guardKey{}).(Guard); ok {
		return g
	}
	return c.cfg.Guard
}

func (c *Client) look(ctx context.Context, call adapters.Call) error {
	g := c.guard(ctx, call)
	if g == nil {
		return nil
	}
	r := Request{Method: call.Method, Path: call.Path, Header: map[string]string{}, Body: string(call.Body)}
	red := redactor{secrets: c.cfg.Secrets}
	if c.cfg.BaseURL != "" {
		req, err := c.request(ctx, call, "")
		if err != nil {
			return err
		}
		r.Header = red.header(req.Header)
	}
	h := sha256.New()
	for _, part := range []string{r.Method, r.Path, r.Body} {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	for _, k := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(h, "%s: %s\n", k, r.Header[k])
	}
	r.Digest = hex.EncodeToString(h.Sum(nil))
	r.Path, r.Body = red.path(r.Path), red.text(r.Body)
	return held(g.Look(ctx, r))
}

func (c *Client) now(ctx context.Context, call adapters.Call) error {
	if g := c.guard(ctx, call); g != nil {
		return held(g.Now(ctx))
	}
	return nil
}

// held makes a guard's refusal the error of a call that was not sent.
func held(err error) error {
	if err == nil {
		return nil
	}
	e := *domain.AsError(err)
	e.Code, e.Err = domain.Unavailable, errors.Join(ErrNotSent, ErrHeld, err)
	return &e
}
