package sim

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// Event is one thing that happened, to be told to the webhook receiver.
type Event struct {
	Name    string // what webhook faults match: "company.propertyChange"
	Payload any    // the vendor's own event, rendered by Vendor.Envelope
}

// HookPolicy is how a vendor delivers webhooks. Zero members take the default.
type HookPolicy struct {
	MaxBatch int             // most events in one delivery; default 1
	Retries  []time.Duration // the vendor's waits before each further attempt; none by default
	Timeout  time.Duration   // of one delivery, real time; default 5 s
	Linger   time.Duration   // how long events gather before a delivery, real time; default 10 ms
	// Scale multiplies Retries: 0.001 makes a minute 60 ms. Default 1.
	Scale float64
}

// Delivery is one attempt to tell the receiver.
type Delivery struct {
	Events  []Event
	Attempt int // from 0
	Status  int // 0 if there was no answer
	Err     error
	Last    bool // no further attempt will be made
}

// OK reports whether the receiver accepted.
func (d Delivery) OK() bool { return d.Err == nil && d.Status >= 200 && d.Status < 300 }

// dispatcher sends events in the order in which they happened, one delivery at a time. A delivery that failed waits
// apart and does not hold up the others.
type dispatcher struct {
	s      *Server
	policy HookPolicy
	client *http.Client
	wake   chan struct{}

	mu      sync.Mutex
	url     string
	epoch   int // grows with clear, so that what was waiting then is not sent
	queue   []Event
	held    []Event // reordered events, waiting for the next one
	pending int     // events queued, held, delayed, being sent or waiting for a retry
	idle    chan struct{}
}

func newDispatcher(s *Server, p HookPolicy) *dispatcher {
	if p.MaxBatch == 0 {
		p.MaxBatch = 1
	}
	if p.Timeout == 0 {
		p.Timeout = 5 * time.Second
	}
	if p.Linger == 0 {
		p.Linger = 10 * time.Millisecond
	}
	if p.Scale == 0 {
		p.Scale = 1
	}
	d := &dispatcher{s: s, policy: p, client: &http.Client{Timeout: p.Timeout}, wake: make(chan struct{}, 1), idle: make(chan struct{})}
	d.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	s.run(d.run)
	return d
}

// SetWebhook sets the receiver; "" stops deliveries, and events that happen without a receiver are forgotten.
func (s *Server) SetWebhook(ctx context.Context, url string) error {
	if r, ok := s.vendor.(Registrar); ok && url != "" {
		if err := r.Register(ctx, url); err != nil {
			return err
		}
	}
	s.hooks.mu.Lock()
	s.hooks.url = url
	s.hooks.mu.Unlock()
	s.hooks.poke()
	return nil
}

// WebhookURL is the receiver, "" if there is none.
func (s *Server) WebhookURL() string {
	s.hooks.mu.Lock()
	defer s.hooks.mu.Unlock()
	return s.hooks.url
}

// Emit queues events for the receiver, in order, and returns at once. The vendor may hold its lock.
func (s *Server) Emit(events ...Event) {
	for _, e := range events {
		s.hooks.emit(e)
	}
	s.hooks.poke()
}

// Idle waits until no event is waiting, delayed or due for another attempt, or ctx ends.
func (s *Server) Idle(ctx context.Context) error {
	for {
		s.hooks.mu.Lock()
		n, ch := s.hooks.pending, s.hooks.idle
		s.hooks.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return fmt.Errorf("%d webhook events are still waiting: %w", n, ctx.Err())
		case <-s.ctx.Done():
			return s.ctx.Err()
		}
	}
}

// Post sends one signed request outside the queue (a registration check) and returns the receiver's status.
func (s *Server) Post(ctx context.Context, url string, header http.Header, body []byte) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	if header != nil {
		req.Header = header
	}
	if req.Header.Get("Content-Type") == "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := s.hooks.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<16))
	return resp.StatusCode, nil
}

func (d *dispatcher) pendingEvents() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.pending
}

func (d *dispatcher) poke() {
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *dispatcher) emit(e Event) {
	d.mu.Lock()
	url := d.url
	d.mu.Unlock()
	d.s.Count(func(st *Stats) { st.Webhooks.Events++ })
	if url == "" {
		return
	}
	if f := d.s.fire(dropKinds, "POST", nil, e.Name, url); f != nil {
		d.s.Count(func(st *Stats) { st.Webhooks.Dropped++ })
		return
	}
	copies := 1
	if f := d.s.fire(duplicateKinds, "POST", nil, e.Name, url); f != nil {
		copies = 2
		d.s.Count(func(st *Stats) { st.Webhooks.Duplicated++ })
	}
	delay, reorder := time.Duration(0), false
	if f := d.s.fire(delayKinds, "POST", nil, e.Name, url); f != nil {
		delay = time.Duration(f.Delay)
		d.s.Count(func(st *Stats) { st.Webhooks.Delayed++ })
	} else if f := d.s.fire(reorderKinds, "POST", nil, e.Name, url); f != nil {
		reorder = true
		if delay = time.Duration(f.Delay); delay == 0 {
			delay = time.Second
		}
		d.s.Count(func(st *Stats) { st.Webhooks.Reordered++ })
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for range copies {
		d.pending++
		switch {
		case reorder:
			d.held = append(d.held, e)
			d.after(delay, d.releaseHeld)
		case delay > 0:
			d.after(delay, func() { d.queue = append(d.queue, e) })
		default:
			d.queue = append(d.queue, e)
			d.releaseHeld()
		}
	}
}

func (d *dispatcher) releaseHeld() {
	d.queue = append(d.queue, d.held...)
	d.held = nil
}

// after runs f under the lock after a real delay, unless the queue was cleared meanwhile; the caller holds the lock.
func (d *dispatcher) after(delay time.Duration, f func()) {
	epoch := d.epoch
	d.s.run(func() {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-t.C:
		case <-d.s.ctx.Done():
			return
		}
		d.mu.Lock()
		if d.epoch == epoch {
			f()
		}
		d.mu.Unlock()
		d.poke()
	})
}

func (d *dispatcher) clear() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.epoch++
	d.queue, d.held = nil, nil
	d.settle(d.pending)
}

// settle takes n events off the count of pending ones; the caller holds the lock.
func (d *dispatcher) settle(n int) {
	if d.pending -= n; d.pending == 0 {
		close(d.idle)
		d.idle = make(chan struct{})
	}
}

func (d *dispatcher) run() {
	for {
		select {
		case <-d.wake:
		case <-d.s.ctx.Done():
			return
		}
		t := time.NewTimer(d.policy.Linger)
		select {
		case <-t.C:
		case <-d.s.ctx.Done():
			t.Stop()
			return
		}
		for d.s.ctx.Err() == nil {
			url, events, epoch := d.take()
			if len(events) == 0 {
				break
			}
			d.deliver(url, events, 0, epoch)
		}
	}
}

func (d *dispatcher) take() (string, []Event, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := min(len(d.queue), d.policy.MaxBatch)
	events := d.queue[:n:n]
	d.queue = d.queue[n:]
	return d.url, events, d.epoch
}

func (d *dispatcher) deliver(url string, events []Event, attempt, epoch int) {
	header, body := d.s.vendor.Envelope(url, events, attempt)
	del := Delivery{Events: events, Attempt: attempt, Last: attempt >= len(d.policy.Retries)}
	del.Status, del.Err = d.s.Post(d.s.ctx, url, header, body)
	ok := del.OK()
	d.s.Count(func(st *Stats) {
		st.Webhooks.Sent++
		switch {
		case ok:
			st.Webhooks.OK++
		case del.Last:
			st.Webhooks.Failed++
			st.Webhooks.GivenUp++
		default:
			st.Webhooks.Failed++
		}
	})
	if w, is := d.s.vendor.(Watcher); is {
		w.Delivered(del)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.epoch != epoch {
		return
	}
	if ok || del.Last {
		d.settle(len(events))
		return
	}
	wait := time.Duration(float64(d.policy.Retries[attempt]) * d.policy.Scale)
	d.s.run(func() {
		t := time.NewTimer(wait)
		defer t.Stop()
		select {
		case <-t.C:
			d.deliver(url, events, attempt+1, epoch)
		case <-d.s.ctx.Done():
		}
	})
}
