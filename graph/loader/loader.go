// Package loader batches the reads of one response: resolvers ask for one thing at a time, and everything that was asked
// for within a millisecond is read in one statement. Loaders also remember, so they live for one response and no longer.
package loader

import (
	"context"
	"maps"
	"sync"
	"time"

	"github.com/graph-gophers/dataloader/v7"

	"datum/domain"
	"datum/domain/store"
	"datum/graph/model"
)

// wait is how long a batch is left open. The library's 16 ms would be most of a response's time.
const wait = time.Millisecond

// capacity bounds one statement; a page has at most 100 entities.
const capacity = 500

// CallsLooked is how many of a system's newest calls its health is told from.
const CallsLooked = 3

// Health is what the health of all systems is told from.
type Health struct {
	Projections map[string]store.Backlog
	Signals     map[string]store.Inbox
	Auth        map[string]store.AuthState
	Cases       map[string]int64
	Calls       map[string][]store.LastCall // newest first
	Paused      map[string]int64            // what waits because of a pause
	Pauses      map[string][]store.Pause    // in force
	Recorded    map[string]int64            // requests of dry runs that wait
}

// Loaders are the loaders of one response. They are safe for concurrent use.
type Loaders struct {
	Views       *dataloader.Loader[string, model.Keyed]     // entities by id, following merges; nil if there is none
	Children    *dataloader.Loader[Children, []model.Keyed] // by parent and way
	Movements   *dataloader.Loader[Movements, []store.Movement]
	Entities    *dataloader.Loader[string, *store.Entity]   // with provenance, by id; nil if there is none
	Records     *dataloader.Loader[string, []*store.Record] // by entity
	RecordsByID *dataloader.Loader[Record, *store.Record]   // nil if there is none
	Projections *dataloader.Loader[string, []*store.Projection]
	Pins        *dataloader.Loader[string, []store.Pin]
	Cases       *dataloader.Loader[string, []store.Case]             // open ones, by entity
	CasesByID   *dataloader.Loader[string, *store.Case]              // nil if there is none
	CaseEvents  *dataloader.Loader[string, []store.CaseEvent]        // by case
	Systems     *dataloader.Loader[string, map[string]*store.System] // all of them, by name: the key is ""
	Health      *dataloader.Loader[string, *Health]                  // of all systems: the key is ""
	Convergence *dataloader.Loader[string, []store.Convergence]      // by system
	Webhooks    *dataloader.Loader[string, *store.WebhookHealth]     // by system; nil if it sends none

	mu   sync.Mutex
	then map[store.Children]func([]model.Keyed)
}

// Then has f called with the children that are read by a question, of all parents at once and before anybody gets them. The
// first to say so of a question counts.
func (l *Loaders) Then(q store.Children, f func([]model.Keyed)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.then[q]; !ok {
		l.then[q] = f
	}
}

// done calls what Then was told.
func (l *Loaders) done(q store.Children, read []model.Keyed) {
	l.mu.Lock()
	f := l.then[q]
	l.mu.Unlock()
	if f != nil {
		f(read)
	}
}

// Children are what hangs on one parent.
type Children struct {
	Parent string
	store.Children
}

// Movements are those of one stock level, newest first, before the one with the id.
type Movements struct {
	Level  string
	Before int64
	Limit  int
}

// Record names a record by its system's own id.
type Record struct {
	System     string
	Kind       domain.Kind
	ExternalID string
}

// New returns fresh loaders that read from db.
func New(db store.DB) *Loaders {
	l := &Loaders{then: map[store.Children]func([]model.Keyed){}}
	l.Views = one(func(ctx context.Context, ids []string) (map[string]model.Keyed, error) {
		vs, err := store.Views(ctx, db, ids)
		if err != nil {
			return nil, err
		}
		m := make(map[string]model.Keyed, len(vs))
		for _, v := range vs {
			if m[v.Of], err = model.EntityOf(v.Kind, v.JSON); err != nil {
				return nil, err
			}
		}
		return m, nil
	})
	l.Children = one(func(ctx context.Context, keys []Children) (map[Children][]model.Keyed, error) {
		return together(keys, func(k Children) (string, store.Children) { return k.Parent, k.Children },
			func(parents []string, c store.Children) (map[Children][]model.Keyed, error) {
				vs, err := store.ChildViews(ctx, db, c, parents)
				if err != nil {
					return nil, err
				}
				m, read := make(map[Children][]model.Keyed, len(parents)), make([]model.Keyed, len(vs))
				for i, v := range vs {
					if read[i], err = model.EntityOf(v.Kind, v.JSON); err != nil {
						return nil, err
					}
					k := Children{v.Of, c}
					m[k] = append(m[k], read[i])
				}
				l.done(c, read)
				return m, nil
			})
	})
	l.Movements = one(func(ctx context.Context, keys []Movements) (map[Movements][]store.Movement, error) {
		return together(keys, func(k Movements) (string, Movements) { return k.Level, Movements{"", k.Before, k.Limit} },
			func(levels []string, q Movements) (map[Movements][]store.Movement, error) {
				return group(ctx, db, levels, func(ctx context.Context, db store.DB, levels []string) ([]store.Movement, error) {
					return store.Movements(ctx, db, levels, q.Before, q.Limit)
				}, func(m store.Movement) Movements { return Movements{m.StockLevel, q.Before, q.Limit} })
			})
	})
	l.Entities = one(func(ctx context.Context, ids []string) (map[string]*store.Entity, error) {
		es, err := store.Entities(ctx, db, ids)
		m := make(map[string]*store.Entity, len(es))
		for i := range es {
			m[es[i].ID] = &es[i]
		}
		return m, err
	})
	l.Records = one(func(ctx context.Context, ids []string) (map[string][]*store.Record, error) {
		return group(ctx, db, ids, store.RecordsOf, func(r *store.Record) string { return r.EntityID })
	})
	l.RecordsByID = one(func(ctx context.Context, keys []Record) (map[Record]*store.Record, error) {
		return together(keys, func(k Record) (string, Record) { return k.ExternalID, Record{k.System, k.Kind, ""} },
			func(ids []string, q Record) (map[Record]*store.Record, error) {
				rs, err := store.Records(ctx, db, q.System, q.Kind, ids)
				m := make(map[Record]*store.Record, len(rs))
				for _, r := range rs {
					m[Record{r.System, r.Kind, r.ExternalID}] = r
				}
				return m, err
			})
	})
	l.Pins = one(func(ctx context.Context, ids []string) (map[string][]store.Pin, error) {
		return group(ctx, db, ids, store.PinsOf, func(p store.Pin) string { return p.EntityID })
	})
	l.Projections = one(func(ctx context.Context, ids []string) (map[string][]*store.Projection, error) {
		return group(ctx, db, ids, store.ProjectionsOf, func(p *store.Projection) string { return p.EntityID })
	})
	l.Cases = one(func(ctx context.Context, ids []string) (map[string][]store.Case, error) {
		cs, err := store.CasesOf(ctx, db, ids)
		m := make(map[string][]store.Case, len(ids))
		for _, c := range cs {
			m[c.EntityID] = append(m[c.EntityID], c)
			if c.OtherID != "" && c.OtherID != c.EntityID {
				m[c.OtherID] = append(m[c.OtherID], c)
			}
		}
		return m, err
	})
	l.CasesByID = one(func(ctx context.Context, ids []string) (map[string]*store.Case, error) {
		cs, err := store.CasesByID(ctx, db, ids)
		m := make(map[string]*store.Case, len(cs))
		for i := range cs {
			m[cs[i].ID] = &cs[i]
		}
		return m, err
	})
	l.CaseEvents = one(func(ctx context.Context, ids []string) (map[string][]store.CaseEvent, error) {
		es, err := store.CaseEvents(ctx, db, ids)
		m := make(map[string][]store.CaseEvent, len(ids))
		for _, e := range es {
			m[e.CaseID] = append(m[e.CaseID], e)
		}
		return m, err
	})
	l.Systems = one(func(ctx context.Context, _ []string) (map[string]map[string]*store.System, error) {
		ss, err := store.Systems(ctx, db) // there are few
		m := make(map[string]*store.System, len(ss))
		for i := range ss {
			m[ss[i].Name] = &ss[i]
		}
		return map[string]map[string]*store.System{"": m}, err
	})
	l.Health = one(func(ctx context.Context, _ []string) (map[string]*Health, error) {
		h, err := ReadHealth(ctx, db)
		return map[string]*Health{"": h}, err
	})
	l.Webhooks = one(func(ctx context.Context, _ []string) (map[string]*store.WebhookHealth, error) {
		hs, err := store.WebhookHealths(ctx, db)
		m := map[string]*store.WebhookHealth{}
		for i := range hs {
			m[hs[i].System] = &hs[i]
		}
		return m, err
	})
	l.Convergence = one(func(ctx context.Context, _ []string) (map[string][]store.Convergence, error) {
		cs, err := store.Convergences(ctx, db)
		m := map[string][]store.Convergence{}
		for _, c := range cs {
			m[c.System] = append(m[c.System], c)
		}
		return m, err
	})
	return l
}

// ReadHealth reads what the health of all systems is told from.
func ReadHealth(ctx context.Context, db store.DB) (*Health, error) {
	h := &Health{Projections: map[string]store.Backlog{}, Signals: map[string]store.Inbox{}, Auth: map[string]store.AuthState{},
		Calls: map[string][]store.LastCall{}, Paused: map[string]int64{}, Pauses: map[string][]store.Pause{}}
	bs, err := store.Backlogs(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, b := range bs { // of several kinds
		sum := h.Projections[b.System]
		sum.Pending, sum.Refused, sum.Parked = sum.Pending+b.Pending, sum.Refused+b.Refused, sum.Parked+b.Parked
		if b.OldestPending != nil && (sum.OldestPending == nil || b.OldestPending.Before(*sum.OldestPending)) {
			sum.OldestPending = b.OldestPending
		}
		h.Projections[b.System] = sum
	}
	is, err := store.Inboxes(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, i := range is {
		h.Signals[i.System] = i
	}
	as, err := store.AuthStates(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, a := range as {
		h.Auth[a.System] = a
	}
	cs, err := store.LastCalls(ctx, db, CallsLooked)
	if err != nil {
		return nil, err
	}
	for _, c := range cs {
		h.Calls[c.System] = append(h.Calls[c.System], c)
	}
	pw, err := store.CountPaused(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, w := range pw {
		h.Paused[w.System] += w.Waiting
	}
	ps, err := store.Pauses(ctx, db)
	if err != nil {
		return nil, err
	}
	for _, p := range ps {
		h.Pauses[p.System] = append(h.Pauses[p.System], p)
	}
	if h.Recorded, err = store.CountRecorded(ctx, db); err != nil {
		return nil, err
	}
	h.Cases, err = store.OpenCasesBySystem(ctx, db)
	return h, err
}

// one returns a loader over a function that reads many; a key that is missing from its answer gets the zero value.
func one[K comparable, V any](read func(ctx context.Context, keys []K) (map[K]V, error)) *dataloader.Loader[K, V] {
	batch := func(ctx context.Context, keys []K) []*dataloader.Result[V] {
		m, err := read(ctx, keys)
		results := make([]*dataloader.Result[V], len(keys))
		for i, k := range keys {
			results[i] = &dataloader.Result[V]{Data: m[k], Error: err}
		}
		return results
	}
	return dataloader.NewBatchedLoader(batch, dataloader.WithWait[K, V](wait), dataloader.WithBatchCapacity[K, V](capacity))
}

// together asks one question for all parents that it is asked for, and another question for itself.
func together[K, Q comparable, V any](keys []K, split func(K) (parent string, question Q), ask func(parents []string, q Q) (map[K]V, error)) (map[K]V, error) {
	questions := map[Q][]string{}
	for _, k := range keys {
		parent, q := split(k)
		questions[q] = append(questions[q], parent)
	}
	all := make(map[K]V, len(keys))
	for q, parents := range questions {
		m, err := ask(parents, q)
		if err != nil {
			return nil, err
		}
		maps.Copy(all, m)
	}
	return all, nil
}

func group[K comparable, T any](ctx context.Context, db store.DB, ids []string, read func(ctx context.Context, db store.DB, ids []string) ([]T, error), key func(T) K) (map[K][]T, error) {
	rows, err := read(ctx, db, ids)
	m := make(map[K][]T, len(ids))
	for _, r := range rows {
		m[key(r)] = append(m[key(r)], r)
	}
	return m, err
}

// Expect asks a loader for several keys at once and does not wait. The list that knows them uses it, so that they are
// read in one statement however long the resolvers of its elements take to come for them.
func Expect[K comparable, V any](ctx context.Context, l *dataloader.Loader[K, V], keys []K) {
	for _, k := range keys {
		l.Load(ctx, k)
	}
}

type contextKey struct{}

// With returns a context that carries the loaders.
func With(ctx context.Context, l *Loaders) context.Context {
	return context.WithValue(ctx, contextKey{}, l)
}

// From returns the loaders of the response that is being made.
func From(ctx context.Context) *Loaders {
	l, ok := ctx.Value(contextKey{}).(*Loaders)
	if !ok {
		panic("loader.From: no loaders in the context; they are set for every response")
	}
	return l
}

// Forget makes every next read a fresh one: after a mutation, for the mutations beside it in the same request.
func (l *Loaders) Forget() {
	l.Views.ClearAll()
	l.Children.ClearAll()
	l.Movements.ClearAll()
	l.Entities.ClearAll()
	l.Records.ClearAll()
	l.RecordsByID.ClearAll()
	l.Projections.ClearAll()
	l.Pins.ClearAll()
	l.Cases.ClearAll()
	l.CasesByID.ClearAll()
	l.CaseEvents.ClearAll()
	l.Systems.ClearAll()
	l.Health.ClearAll()
	l.Convergence.ClearAll()
	l.Webhooks.ClearAll()
}
