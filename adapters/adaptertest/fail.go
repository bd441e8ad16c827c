package adaptertest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"datum/adapters"
	"datum/domain"
)

// operation is one kind of call that an adapter makes.
type operation struct {
	name   string
	writes bool
	call   func(ctx context.Context) error
}

// operations are all that the adapter can do with one record that exists.
func (e *env) operations(r domain.Record, w adapters.Write) []operation {
	ops := []operation{
		{name: "Fetch", call: func(ctx context.Context) error { _, err := e.adapter.Fetch(ctx, e.f.Kind, r.ExternalID); return err }},
		{name: "Changes", call: func(ctx context.Context) error { _, err := e.adapter.Changes(ctx, e.f.Kind, ""); return err }},
	}
	if e.need("BatchFetcher") {
		ops = append(ops, operation{name: "FetchMany", call: func(ctx context.Context) error {
			_, err := e.ab.BatchFetcher.FetchMany(ctx, e.f.Kind, []string{r.ExternalID})
			return err
		}})
	}
	if e.need("Sweeper") {
		ops = append(ops, operation{name: "List", call: func(ctx context.Context) error { _, err := e.ab.Sweeper.List(ctx, e.f.Kind, ""); return err }})
	}
	if e.need("Finder") && !e.f.ReadOnly && !e.f.Adopted { // looking up is for what is written
		ops = append(ops, operation{name: "Find", call: func(ctx context.Context) error {
			_, err := e.ab.Finder.Find(ctx, e.f.Kind, []adapters.Query{{CanonicalID: w.CanonicalID, Values: w.Values}})
			return err
		}})
	}
	if e.need("Writer") {
		ops = append(ops, operation{name: "Write", writes: true, call: func(ctx context.Context) error {
			name := e.another(nil).Values[e.f.NameField]
			outs := e.ab.Writer.Write(ctx, []adapters.Write{e.change(r, w.CanonicalID, domain.Values{e.f.NameField: name})})
			if len(outs) != 1 {
				return fmt.Errorf("%d outcomes for one write", len(outs))
			}
			return outs[0].Err
		}})
	}
	return ops
}

// subject is a record to try operations on.
func (e *env) subject() (domain.Record, adapters.Write) {
	if e.f.has("Writer") && !e.f.ReadOnly {
		return e.create(0)
	}
	id := e.newcomer("Subject Pty Ltd")
	return e.fetch(id), adapters.Write{CanonicalID: e.newID()}
}

// errorClasses: every status becomes the error with its code and Retry-After, in one attempt.
func errorClasses(e *env) {
	r, w := e.subject()
	for _, op := range e.operations(r, w) {
		for _, c := range []struct {
			status int
			after  int
			code   []domain.Code
		}{
			{400, 0, []domain.Code{domain.Invalid}},
			{401, 0, []domain.Code{domain.Unauthorized}},
			{403, 0, []domain.Code{domain.Forbidden}},
			{409, 0, []domain.Code{domain.Conflict}},
			{423, 2, []domain.Code{domain.Unavailable}},
			{429, 7, []domain.Code{domain.RateLimited}},
			{429, 0, []domain.Code{domain.RateLimited}},
			{500, 0, []domain.Code{domain.Unavailable}},
			{502, 0, []domain.Code{domain.Unavailable}},
			{503, 3, []domain.Code{domain.Unavailable}},
		} {
			what := fmt.Sprintf("%s when the vendor answers %d", op.name, c.status)
			e.fault(object{"kind": "status", "status": c.status, "retryAfter": c.after})
			err := op.call(e.t.Context())
			fired := e.fired()
			e.clear()
			if fired == 0 {
				e.t.Fatalf("%s: the fault met no call: Fixture.Path must be a part of the path", what)
			}
			if !e.is(what, err, c.code...) {
				continue
			}
			if x := domain.AsError(err); x.RetryAfter != time.Duration(c.after)*time.Second {
				e.t.Errorf("%s: retry after %s, want %d s", what, x.RetryAfter, c.after)
			} else if x.Message == "" || x.System != "sys" {
				e.t.Errorf("%s: the error does not name its system or say anything: %v", what, err)
			}
			// A refused token is worth one new one; nothing else is worth a repeat.
			if most := 1 + b2i(c.status == 401); fired > most {
				e.t.Errorf("%s: it called %d times", what, fired)
			}
		}
		if !e.is(op.name+" after all that", op.call(e.t.Context())) {
			return
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// lostAnswers: a call without an answer is Unavailable, and Unknown if it writes and is not safe to repeat.
func lostAnswers(e *env) {
	r, w := e.subject()
	e.timeout = 250 * time.Millisecond
	e.connect()
	for _, op := range e.operations(r, w) {
		want := []domain.Code{domain.Unavailable}
		if op.writes {
			want = append(want, domain.Unknown)
		}
		for _, kind := range []string{"hang", "reset_before", "reset"} {
			e.fault(object{"kind": kind})
			e.is(op.name+" when the vendor does "+kind, op.call(e.t.Context()), want...)
			e.clear()
		}
	}
}

// cancellation: every operation ends at once when its context does.
func cancellation(e *env) {
	r, w := e.subject()
	e.timeout = 29 * time.Second
	e.connect()
	for _, op := range e.operations(r, w) {
		e.fault(object{"kind": "hang"})
		ctx, cancel := context.WithCancel(e.t.Context())
		ended := make(chan error, 1)
		go func() { ended <- op.call(ctx) }()
		e.eventually(op.name+" calls the vendor", func() bool { return e.fired() > 0 })
		cancel()
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				e.t.Errorf("%s, cancelled: the context's error is not in %v", op.name, err)
			}
			e.is(op.name+", cancelled", err, domain.Unavailable, domain.Unknown)
		case <-time.After(5 * time.Second):
			e.t.Errorf("%s goes on although its context has ended", op.name)
		}
		e.clear()
	}
}

// expiredAndRevoked: an expired token is renewed without anybody noticing; a revoked account is Unauthorized.
func expiredAndRevoked(e *env) {
	if e.f.Vendor.Auth == adapters.AuthNone {
		return
	}
	id := e.newcomer("Expiry Pty Ltd")
	if e.f.Vendor.Auth == adapters.AuthOAuth2 {
		e.sim("POST", "/expire", nil, nil)
		_, err := e.adapter.Fetch(e.t.Context(), e.f.Kind, id)
		e.is("an expired token", err)
	}
	e.sim("POST", "/revoke", nil, nil)
	_, err := e.adapter.Fetch(e.t.Context(), e.f.Kind, id)
	e.is("a revoked account", err, domain.Unauthorized)
}

// check: a healthy account has a name and no problems.
func check(e *env) {
	if !e.need("Checker") {
		return
	}
	h, err := e.ab.Checker.Check(e.t.Context())
	if e.is("check", err) && (h.Account == "" || len(h.Problems) > 0) {
		e.t.Errorf("account %q, problems %q", h.Account, h.Problems)
	}
	e.sim("POST", "/revoke", nil, nil)
	if _, err := e.ab.Checker.Check(e.t.Context()); e.f.Vendor.Auth != adapters.AuthNone {
		e.is("check of a revoked account", err, domain.Unauthorized)
	}
}
