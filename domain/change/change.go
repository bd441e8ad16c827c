// Package change is the only write path for golden data. Records from vendors, edits from the API or an import, decisions
// about cases and new policies all go through an Applier, which in one transaction links, stores, resolves, judges edits by
// systems that do not own a field, bumps projections, opens and closes cases, and writes history and feed events.
//
// Locks are taken in one order everywhere: strong keys and the names of vendor records (sorted), entities (sorted), records,
// projections, cases. An outcome's lease is checked under the entity's lock for the same reason, see Incoming.Lease.
package change

import (
	"context"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"datum/domain"
	"datum/domain/ownership"
	"datum/domain/store"
)

// Queue wakes the workers. It inserts its jobs in the transaction it is given.
type Queue interface {
	// Wake wakes the workers of projections that have become due, and has the flows look at entities that have changed.
	Wake(ctx context.Context, tx pgx.Tx, wakes []Wake, changed []string) error
	// Rouse wakes the workers of all due projections of a system, of the kinds given.
	Rouse(ctx context.Context, tx pgx.Tx, system string, kinds []domain.Kind) error
	// Ingest wakes the workers of a system's signals.
	Ingest(ctx context.Context, tx pgx.Tx, system string) error
	// Resettle starts the pass over all entities that were resolved under an older policy than version.
	Resettle(ctx context.Context, tx pgx.Tx, version int64) error
	// Remap starts the pass over all stored records of a system under a version of its mapping document.
	Remap(ctx context.Context, tx pgx.Tx, system string, version int64) error
}

// Wake names a projection that has become due.
type Wake struct {
	System   string
	Kind     domain.Kind
	EntityID string
	Lane     string
}

// Carrier tells what a system can hold.
type Carrier interface {
	// Writable returns the fields of a kind that can be written to the system; ok is false if it does not carry the kind.
	Writable(system ownership.System, kind domain.Kind) (fields []domain.Field, ok bool)
	// Fit returns as much of each value as a record can hold: what it should show once the values are written.
	Fit(system ownership.System, kind domain.Kind, values domain.Values) domain.Values
	// Drift returns how an object's shape differs from that of the stored one, nil if it is new, which had the issues before;
	// see adapters.Mapping.
	Drift(system ownership.System, kind domain.Kind, old, now json.RawMessage, before []domain.Issue) []domain.Issue
	// Shows returns those of the vendor's paths that the object shows.
	Shows(system ownership.System, kind domain.Kind, raw json.RawMessage, paths []string) []string
}

// Applier applies changes. It is safe for concurrent use by any number of processes.
type Applier struct {
	pool    *pgxpool.Pool
	queue   Queue
	carrier Carrier
	ring    func() // tells the feed that events were committed
	log     *slog.Logger

	mu       sync.Mutex
	gauges   map[gaugeKey]*gauge
	policies map[int64]*ownership.Policy // parsed, by version; versions never change
	systems  map[string]store.System     // as they were at settled
	live     map[string][]store.Drift    // by system, likewise
	settled  time.Time
}

// settingsAge is how long a change of a system's settings, or of what drifts, may take to be known to every process.
const settingsAge = time.Second

// system returns a system of the policy with its account's settings.
func (r *run) system(pol *ownership.Policy, name string) (ownership.System, error) {
	s := pol.System(name)
	k, _, err := r.known(name)
	s.Settings = k.Settings
	return s, err
}

// known returns a system with its account's settings, and its drifts that are not gone.
func (r *run) known(name string) (ownership.System, []store.Drift, error) {
	a := r.Applier
	a.mu.Lock()
	systems, live, fresh := a.systems, a.live, time.Since(a.settled) < settingsAge
	a.mu.Unlock()
	if !fresh {
		all, err := store.Systems(r.ctx, r.tx) // in this transaction: another connection may not be had while it holds one
		if err != nil {
			return ownership.System{}, nil, err
		}
		drifts, err := store.LiveDrifts(r.ctx, r.tx)
		if err != nil {
			return ownership.System{}, nil, err
		}
		systems, live = make(map[string]store.System, len(all)), map[string][]store.Drift{}
		for _, x := range all {
			systems[x.Name] = x
		}
		for _, d := range drifts {
			live[d.System] = append(live[d.System], d)
		}
		a.mu.Lock()
		a.systems, a.live, a.settled = systems, live, time.Now()
		a.mu.Unlock()
	}
	if r.instead != nil && r.instead.Name == name {
		return *r.instead, live[name], nil
	}
	s := systems[name]
	return ownership.System{Name: name, Adapter: s.Adapter, Settings: s.Settings}, live[name], nil
}

// lockedUntil is the last locked day of a system's books, as it was when systems were looked at last.
func (a *Applier) lockedUntil(name string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.systems[name].LockedUntil
}

// forget makes the next look at systems and drifts a fresh one.
func (a *Applier) forget() {
	a.mu.Lock()
	a.settled = time.Time{}
	a.mu.Unlock()
}

// New returns an Applier. ring may be nil.
func New(pool *pgxpool.Pool, queue Queue, carrier Carrier, ring func(), log *slog.Logger) *Applier {
	if ring == nil {
		ring = func() {}
	}
	return &Applier{pool: pool, queue: queue, carrier: carrier, ring: ring, log: log, policies: map[int64]*ownership.Policy{}, gauges: map[gaugeKey]*gauge{}}
}

// Source says through which door a change came.
type Source string

// Doors.
const (
	FromWebhook    Source = "webhook"
	FromPoll       Source = "poll"
	FromSweep      Source = "sweep"
	FromProjection Source = "projection" // the answer to our own write
	FromMutation   Source = "mutation"
	FromImport     Source = "import"
	FromCase       Source = "case"
	FromFlow       Source = "flow"
	FromPolicy     Source = "policy"
	FromMapping    Source = "mapping" // stored objects, read anew
)

// Cause is who and what brought a change about.
type Cause struct {
	Actor         string // "system:crm", "key:dat_1a2b (Jo)"
	Source        Source
	CorrelationID string
	Lane          string // live or bulk: the lane of the projections that follow; "" is live
	Reason        string // a person's own words for why, "" if none were given
}

// Result is what became of a change.
type Result struct {
	EntityID string         // "" if the record stays unlinked
	Version  int64          // of the entity, after
	Created  bool           // the entity is new
	Changed  []domain.Field // golden fields that changed
	Stale    bool           // the record was older than the one stored and was left aside
	Refused  []*domain.Error
	Cases    []string // opened
	// Proposed are the fields whose edit became a case, with the case's id.
	Proposed map[domain.Field]string
}

// Policy returns the policy of a version, parsed; 0 is the version in force.
func (a *Applier) Policy(ctx context.Context, db store.DB, version int64) (*ownership.Policy, int64, error) {
	if version == 0 {
		var err error
		if version, err = store.PolicyNumber(ctx, db); err != nil {
			return nil, 0, err
		}
	}
	a.mu.Lock()
	p := a.policies[version]
	a.mu.Unlock()
	if p != nil {
		return p, version, nil
	}
	pv, err := store.Policy(ctx, db, version)
	if err != nil {
		return nil, 0, err
	}
	p, err = ownership.Parse([]byte(pv.Source))
	if err != nil {
		return nil, 0, &domain.Error{Code: domain.Internal, Op: "change.Policy", Message: "the published policy cannot be read", Err: err}
	}
	a.mu.Lock()
	a.policies[pv.Version] = p
	a.mu.Unlock()
	return p, pv.Version, nil
}

// run is one transaction of the Applier and what it has queued.
type run struct {
	*Applier
	ctx   context.Context
	tx    pgx.Tx
	batch *pgx.Batch
	cause Cause
	wakes []Wake
	// instead is a system with settings that are only being tried out; nil if there is none.
	instead *ownership.System
	// outcome is the lease of the write whose outcome is being applied; zero if it is none.
	outcome uuid.UUID
	moved   []string // entities whose golden values have changed, of kinds that flows follow

	// For a preview: golden values that have changed, entities that are new, and those that are part of another one now.
	golden []GoldenChange
	made   []string
	merged map[string]string
	resent string // the cause of refusals of which all are sent again
}

// transact runs f in a transaction, flushes what it queued, wakes the workers and rings the feed.
func (a *Applier) transact(ctx context.Context, cause Cause, f func(r *run) error) error {
	err := store.Transact(ctx, a.pool, func(tx pgx.Tx) error { return a.within(ctx, tx, cause, f) })
	if err == nil {
		a.ring()
	}
	return err
}

// within runs f in the caller's transaction; the caller rings the feed after its commit.
func (a *Applier) within(ctx context.Context, tx pgx.Tx, cause Cause, f func(r *run) error) error {
	r := &run{Applier: a, ctx: ctx, tx: tx, batch: &pgx.Batch{}, cause: cause}
	if err := f(r); err != nil {
		return err
	}
	if err := r.flush(); err != nil {
		return err
	}
	if len(r.wakes)+len(r.moved) == 0 {
		return nil
	}
	slices.Sort(r.moved)
	return a.queue.Wake(ctx, tx, once(r.wakes), slices.Compact(r.moved))
}

// once leaves out what is woken twice: an entity may have been settled several times.
func once(wakes []Wake) (ws []Wake) {
	seen := make(map[Wake]bool, len(wakes))
	for _, w := range wakes {
		key := w
		key.Lane = ""
		if !seen[key] {
			seen[key] = true
			ws = append(ws, w)
		}
	}
	return ws
}

func (r *run) flush() error {
	if r.batch.Len() == 0 {
		return nil
	}
	err := r.tx.SendBatch(r.ctx, r.batch).Close()
	r.batch = &pgx.Batch{}
	return err
}

// Ring tells the feed that a transaction in which the caller used the Applier has committed.
func (a *Applier) Ring() { a.ring() }

func (r *run) history(e *store.Entity, h store.History) {
	h.EntityID, h.Version = e.ID, e.Version
	h.Actor, h.Source, h.CorrelationID = r.cause.Actor, string(r.cause.Source), r.cause.CorrelationID
	store.QueueHistory(r.batch, h)
}
