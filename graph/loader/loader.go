// Package loader batches the reads of one response: resolvers ask for one thing at a time, and everything that was asked
// for within a millisecond is read in one statement. Loaders also remember, so they live for one response and no longer.
package loader

import (
	"context"
	"time"

	"github.com/graph-gophers/dataloader/v7"

	"datum/domain"
	"datum/domain/store"
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
}

// Loaders are the loaders of one response. They are safe for concurrent use.
type Loaders struct {
	Customers   *dataloader.Loader[string, *domain.Customer] // by id; nil if there is none
	Entities    *dataloader.Loader[string, *store.Entity]    // by id; nil if there is none
	Records     *dataloader.Loader[string, []*store.Record]  // by entity
	Projections *dataloader.Loader[string, []*store.Projection]
	Cases       *dataloader.Loader[string, []store.Case]             // open ones, by entity
	CasesByID   *dataloader.Loader[string, *store.Case]              // nil if there is none
	Systems     *dataloader.Loader[string, map[string]*store.System] // all of them, by name: the key is ""
	Health      *dataloader.Loader[string, *Health]                  // of all systems: the key is ""
}

// New returns fresh loaders that read from db.
func New(db store.DB) *Loaders {
	return &Loaders{
		Customers: one(func(ctx context.Context, ids []string) (map[string]*domain.Customer, error) {
			return index(ctx, db, ids, store.Customers, func(c *domain.Customer) string { return c.ID })
		}),
		Entities: one(func(ctx context.Context, ids []string) (map[string]*store.Entity, error) {
			es, err := store.Entities(ctx, db, ids)
			m := make(map[string]*store.Entity, len(es))
			for i := range es {
				m[es[i].ID] = &es[i]
			}
			return m, err
		}),
		Records: one(func(ctx context.Context, ids []string) (map[string][]*store.Record, error) {
			return group(ctx, db, ids, store.RecordsOf, func(r *store.Record) string { return r.EntityID })
		}),
		Projections: one(func(ctx context.Context, ids []string) (map[string][]*store.Projection, error) {
			return group(ctx, db, ids, store.ProjectionsOf, func(p *store.Projection) string { return p.EntityID })
		}),
		Cases: one(func(ctx context.Context, ids []string) (map[string][]store.Case, error) {
			cs, err := store.CasesOf(ctx, db, ids)
			m := make(map[string][]store.Case, len(ids))
			for _, c := range cs {
				m[c.EntityID] = append(m[c.EntityID], c)
				if c.OtherID != "" && c.OtherID != c.EntityID {
					m[c.OtherID] = append(m[c.OtherID], c)
				}
			}
			return m, err
		}),
		CasesByID: one(func(ctx context.Context, ids []string) (map[string]*store.Case, error) {
			cs, err := store.CasesByID(ctx, db, ids)
			m := make(map[string]*store.Case, len(cs))
			for i := range cs {
				m[cs[i].ID] = &cs[i]
			}
			return m, err
		}),
		Systems: one(func(ctx context.Context, _ []string) (map[string]map[string]*store.System, error) {
			ss, err := store.Systems(ctx, db) // there are few
			m := make(map[string]*store.System, len(ss))
			for i := range ss {
				m[ss[i].Name] = &ss[i]
			}
			return map[string]map[string]*store.System{"": m}, err
		}),
		Health: one(func(ctx context.Context, _ []string) (map[string]*Health, error) {
			h, err := ReadHealth(ctx, db)
			return map[string]*Health{"": h}, err
		}),
	}
}

// ReadHealth reads what the health of all systems is told from.
func ReadHealth(ctx context.Context, db store.DB) (*Health, error) {
	h := &Health{Projections: map[string]store.Backlog{}, Signals: map[string]store.Inbox{}, Auth: map[string]store.AuthState{},
		Calls: map[string][]store.LastCall{}}
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
	h.Cases, err = store.OpenCasesBySystem(ctx, db)
	return h, err
}

// one returns a loader over a function that reads many; a key that is missing from its answer gets the zero value.
func one[V any](read func(ctx context.Context, keys []string) (map[string]V, error)) *dataloader.Loader[string, V] {
	batch := func(ctx context.Context, keys []string) []*dataloader.Result[V] {
		m, err := read(ctx, keys)
		results := make([]*dataloader.Result[V], len(keys))
		for i, k := range keys {
			results[i] = &dataloader.Result[V]{Data: m[k], Error: err}
		}
		return results
	}
	return dataloader.NewBatchedLoader(batch, dataloader.WithWait[string, V](wait), dataloader.WithBatchCapacity[string, V](capacity))
}

type readMany[T any] func(ctx context.Context, db store.DB, ids []string) ([]T, error)

func index[T any](ctx context.Context, db store.DB, ids []string, read readMany[T], key func(T) string) (map[string]T, error) {
	rows, err := read(ctx, db, ids)
	m := make(map[string]T, len(rows))
	for _, r := range rows {
		m[key(r)] = r
	}
	return m, err
}

func group[T any](ctx context.Context, db store.DB, ids []string, read readMany[T], key func(T) string) (map[string][]T, error) {
	rows, err := read(ctx, db, ids)
	m := make(map[string][]T, len(ids))
	for _, r := range rows {
		m[key(r)] = append(m[key(r)], r)
	}
	return m, err
}

// Expect asks a loader for several keys at once and does not wait. The list that knows them uses it, so that they are
// read in one statement however long the resolvers of its elements take to come for them.
func Expect[V any](ctx context.Context, l *dataloader.Loader[string, V], keys []string) {
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
	l.Customers.ClearAll()
	l.Entities.ClearAll()
	l.Records.ClearAll()
	l.Projections.ClearAll()
	l.Cases.ClearAll()
	l.CasesByID.ClearAll()
	l.Systems.ClearAll()
	l.Health.ClearAll()
}
