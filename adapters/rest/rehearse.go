package rest

import (
	"context"
	"sync"

	"datum/adapters"
	"datum/domain"
)

// mostSteps ends a rehearsal that would not end by itself.
const mostSteps = 50

// Recorder is a Guard that keeps the requests of a write and lets none of them out. With Rehearse it answers each as the vendor
// would, so that the steps that follow are seen too, with placeholders for what the vendor has not given; it ends where the answer is
// not known.
type Recorder struct {
	Rehearse func(c adapters.Call, step int) *adapters.Response

	mu    sync.Mutex
	steps []Request
}

// Steps are the requests so far, in order.
func (r *Recorder) Steps() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.steps
}

// Look keeps the request.
func (r *Recorder) Look(_ context.Context, q Request) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.steps) == mostSteps {
		return unsent()
	}
	if r.steps = append(r.steps, q); r.Rehearse == nil {
		return unsent()
	}
	return nil
}

// Now lets nothing out.
func (r *Recorder) Now(context.Context) error { return unsent() }

func unsent() error { return domain.Errorf(domain.Unavailable, "a dry run sends nothing") }

// rehearsed is the answer to a call in a rehearsal; false if the call is made: it reads what is really there.
func (c *Client) rehearsed(ctx context.Context, call adapters.Call) (*adapters.Response, bool, error) {
	r, ok := ctx.Value(guardKey{}).(*Recorder)
	if !ok || c.guard(ctx, call) == nil && !adapters.HasPlaceholder(call) {
		return nil, false, nil
	}
	if r.Rehearse == nil {
		return nil, true, held(unsent())
	}
	resp := r.Rehearse(call, len(r.Steps()))
	if resp == nil {
		return nil, true, held(unsent())
	}
	resp.SentAt = c.cfg.Now().UTC()
	resp, err := c.judge(call, resp)
	return resp, true, err
}
