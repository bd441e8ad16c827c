package graph

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"datum/domain"
	"datum/domain/feed"
	"datum/domain/store"
	"datum/graph/loader"
	"datum/graph/model"
)

// follow delivers the events after the cursor that want accepts, made into a subscription's own, until ctx ends.
func follow[E any](ctx context.Context, hub *feed.Hub, after *string, want func(feed.Event) bool, event func(feed.Event) E) (<-chan E, error) {
	var from string
	if after != nil {
		from = *after
	}
	src, err := hub.Subscribe(ctx, from, want)
	if err != nil {
		return nil, err
	}
	out := make(chan E)
	go func() {
		defer close(out)
		for e := range src {
			select {
			case out <- event(e):
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// eventID returns the global id of what the event is about.
func eventID(e feed.Event) string {
	switch e.Topic {
	case store.TopicProjection:
		return projectionID(e.EntityID, e.System)
	case store.TopicCase:
		return e.Key
	case store.TopicSystem:
		return systemID(e.System)
	default:
		return e.EntityID
	}
}

// snapshot is the health of all systems at a time.
type snapshot struct {
	at      time.Time
	cursor  string
	systems []store.System
	health  map[string]*model.SystemHealth
}

// healthWatch looks at the health of all systems for any number of subscriptions, at most once per interval.
type healthWatch struct {
	pool     *pgxpool.Pool
	interval time.Duration

	mu   sync.Mutex
	last *snapshot
}

func newHealthWatch(pool *pgxpool.Pool, interval time.Duration) *healthWatch {
	return &healthWatch{pool: pool, interval: interval}
}

func (w *healthWatch) look(ctx context.Context) (*snapshot, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last != nil && time.Since(w.last.at) < w.interval/2 {
		return w.last, nil
	}
	at, err := feed.End(ctx, w.pool)
	if err != nil {
		return nil, err
	}
	s := &snapshot{at: time.Now(), cursor: at.Cursor(), health: map[string]*model.SystemHealth{}}
	if s.systems, err = store.Systems(ctx, w.pool); err != nil {
		return nil, err
	}
	h, err := loader.ReadHealth(ctx, w.pool)
	if err != nil {
		return nil, err
	}
	for _, sys := range s.systems {
		s.health[sys.Name] = healthModel(sys, h, s.at)
	}
	w.last = s
	return s, nil
}

// follow sends the present health of the systems, all if names is empty, and then every change of it.
func (w *healthWatch) follow(ctx context.Context, names []string) (<-chan *model.SystemHealthEvent, error) {
	s, err := w.look(ctx)
	if err != nil {
		return nil, err
	}
	out := make(chan *model.SystemHealthEvent)
	go func() {
		defer close(out)
		tick := time.NewTicker(w.interval)
		defer tick.Stop()
		sent := map[string]string{}
		for {
			for _, sys := range s.systems {
				if len(names) > 0 && !slices.Contains(names, sys.Name) {
					continue
				}
				state := string(sys.Mode) + string(rawJSON(s.health[sys.Name]))
				if sent[sys.Name] == state {
					continue
				}
				sent[sys.Name] = state
				e := &model.SystemHealthEvent{Cursor: s.cursor, At: s.at, System: systemModel(&sys), Health: s.health[sys.Name]}
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if next, err := w.look(ctx); err == nil { // else it is looked at again at the next tick
				s = next
			}
		}
	}()
	return out, nil
}

func healthModel(sys store.System, h *loader.Health, now time.Time) *model.SystemHealth {
	p, in := h.Projections[sys.Name], h.Signals[sys.Name]
	m := &model.SystemHealth{
		Pending: int(p.Pending), PendingSince: p.OldestPending, Refused: int(p.Refused), Parked: int(p.Parked),
		Signals: int(in.Pending), SignalsSince: in.Oldest, FailedSignals: int(in.Failed), OpenCases: int(h.Cases[sys.Name]),
		Paused: int(h.Paused[sys.Name]), RecordedWrites: int(h.Recorded[sys.Name]),
	}
	if a, ok := h.Auth[sys.Name]; ok && a.Status == store.AuthNeedsReauth {
		m.NeedsReauth = &a.Reason
	}
	m.Problem = callProblem(h.Calls[sys.Name])
	m.State = healthState(sys.Mode, m, now)
	return m
}

// known refuses names that no system has: nothing would ever come for them.
func (r *Resolver) known(ctx context.Context, systems []string) error {
	if len(systems) == 0 {
		return nil
	}
	ss, err := store.Systems(ctx, r.pool)
	if err != nil {
		return err
	}
	names := each(ss, func(s store.System) string { return s.Name })
	for _, name := range systems {
		if !slices.Contains(names, name) {
			return domain.Errorf(domain.Invalid, "there is no system %q; there are %s", capped(name), strings.Join(names, ", "))
		}
	}
	return nil
}

// set returns the strings as a set; nil if there are none.
func set(ss []string) map[string]bool {
	if len(ss) == 0 {
		return nil
	}
	m := make(map[string]bool, len(ss))
	for _, s := range ss {
		m[s] = true
	}
	return m
}
