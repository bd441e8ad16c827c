// Package jobs runs Datum's work on River: webhook intake, reading systems (ingest, pull, sweep), writing projections, and
// the upkeep around them. River schedules; the rows in Postgres are the truth, and every job can be lost or run twice.
package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"datum/adapters"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
	"datum/jobs/notify"
)

// Config is what an Engine needs. Pool, Sealer and Vendors are required.
type Config struct {
	Pool    *pgxpool.Pool
	Sealer  store.Sealer
	Vendors []adapters.Vendor
	Log     *slog.Logger
	// Ring tells the feed that events were committed; may be nil.
	Ring func()
	// Poll and Sweep are the times between looks for changes and between complete comparisons.
	Poll, Sweep time.Duration
	// Alerts configures how people are told; AlertRetry says when a try that failed is repeated, nil is River's policy.
	Alerts     notify.Config
	AlertRetry func(attempt int) time.Duration
	// Now is the clock of alerts; nil is time.Now.
	Now func() time.Time
	// StuckAfter is after how many failed tries of one write a person is told; default 20.
	StuckAfter int
	// Hooks is the time between looks at a system's webhook subscriptions, and HookBound how long after a change its webhook
	// may come.
	Hooks, HookBound time.Duration
	// WebhookURL returns the URL under which a vendor reaches the system's webhooks, for signatures that cover it.
	WebhookURL func(system string) string
}

// Engine is one process's share of the work. An Engine that is not started still queues jobs and takes webhooks.
type Engine struct {
	cfg       Config
	pool      *pgxpool.Pool
	log       *slog.Logger
	vendors   map[string]adapters.Vendor
	client    *river.Client[pgx.Tx]
	applier   *change.Applier
	process   store.Process
	exchanges *ExchangeWriter
	inbox     *inbox
	sender    *notify.Sender
	passes    passes
	rests     map[ProjectArgs]time.Time // when the budget has calls for a lane again
	written   map[ProjectArgs]time.Time // when a batch was written last
	turns     turns
	recounted time.Time // when misjudged stock levels were looked for last; only the supervisor's

	mu      sync.Mutex
	systems map[string]*connected
	queues  map[string]bool
	// mappings are what accounts carry, by adapter and settings.
	mappings map[string][]adapters.Mapping
	hooked   map[string]heard            // notifications accepted since they were last noted, by system
	braked   map[string]bool             // systems of which the brake holds signals back
	timers   map[river.JobArgs]time.Time // jobs that wait here, and until when
	running  context.Context             // from Start to Stop; nil before
	stop     context.CancelFunc
	stopped  sync.WaitGroup
}

// connected is an open adapter of one system.
type connected struct {
	store.System
	adapters.Abilities
	vendor  adapters.Vendor
	adapter adapters.Adapter
	// mappings are what the account carries.
	mappings []adapters.Mapping
	checked  time.Time
}

// New returns an Engine. With work, Start makes it take jobs; else it only queues them.
func New(cfg Config, work bool) (*Engine, error) {
	if cfg.Pool == nil || cfg.Sealer == nil || len(cfg.Vendors) == 0 {
		return nil, errors.New("jobs.New: pool, sealer and vendors are required")
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.StuckAfter <= 0 {
		cfg.StuckAfter = 20
	}
	if cfg.Poll <= 0 {
		cfg.Poll = time.Minute
	}
	if cfg.Hooks <= 0 {
		cfg.Hooks = 15 * time.Minute
	}
	if cfg.HookBound <= 0 {
		cfg.HookBound = 2 * time.Minute
	}
	if cfg.Sweep <= 0 {
		cfg.Sweep = 6 * time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.WebhookURL == nil {
		cfg.WebhookURL = func(string) string { return "" }
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	e := &Engine{cfg: cfg, pool: cfg.Pool, log: cfg.Log, vendors: map[string]adapters.Vendor{}, process: store.NewProcess(host, os.Getpid()),
		exchanges: NewExchangeWriter(cfg.Pool, cfg.Log), systems: map[string]*connected{}, queues: map[string]bool{}, mappings: map[string][]adapters.Mapping{}, timers: map[river.JobArgs]time.Time{}}
	e.rests, e.written = map[ProjectArgs]time.Time{}, map[ProjectArgs]time.Time{}
	e.passes.at, e.turns.at = map[ProjectArgs]*passing{}, map[string]*turn{}
	e.inbox, e.sender = &inbox{Engine: e}, notify.New(cfg.Alerts)
	for _, v := range cfg.Vendors {
		e.vendors[v.Name] = v
	}
	e.applier = change.New(cfg.Pool, queue{e}, carrier{e}, cfg.Ring, cfg.Log)
	rc := &river.Config{
		// What a job says of who runs it is the process, so that the jobs of a dead one can be told.
		ID:     e.process.ID,
		Logger: slog.New(quieter{cfg.Log.Handler()}),
		// Vendor calls end before jobs do, and a job whose process died is taken over soon after it would have ended.
		JobTimeout: jobTimeout, RescueStuckJobsAfter: 90 * time.Second,
		FetchCooldown: 5 * time.Millisecond, FetchPollInterval: 500 * time.Millisecond,
		CompletedJobRetentionPeriod: time.Hour,
	}
	if work {
		rc.Workers = river.NewWorkers()
		river.AddWorker(rc.Workers, &ingestWorker{Engine: e})
		river.AddWorker(rc.Workers, &projectWorker{Engine: e})
		river.AddWorker(rc.Workers, &pullWorker{Engine: e})
		river.AddWorker(rc.Workers, &sweepWorker{Engine: e})
		river.AddWorker(rc.Workers, &hooksWorker{Engine: e})
		river.AddWorker(rc.Workers, &lockWorker{Engine: e})
		river.AddWorker(rc.Workers, &resettleWorker{Engine: e})
		river.AddWorker(rc.Workers, &remapWorker{Engine: e})
		river.AddWorker(rc.Workers, &retentionWorker{Engine: e})
		river.AddWorker(rc.Workers, &deliverWorker{Engine: e})
		river.AddWorker(rc.Workers, &beatWorker{Engine: e})
		river.AddWorker(rc.Workers, &flowWorker{Engine: e})
		river.AddWorker(rc.Workers, &reprocessWorker{Engine: e})
		river.AddWorker(rc.Workers, &scanWorker{Engine: e})
		rc.Queues = map[string]river.QueueConfig{river.QueueDefault: {MaxWorkers: 4}, flowQueue: {MaxWorkers: 4}, alertQueue: {MaxWorkers: 2},
			reprocessQueue: {MaxWorkers: 3}}
	}
	if e.client, err = river.NewClient(riverpgxv5.New(cfg.Pool), rc); err != nil {
		return nil, fmt.Errorf("jobs.New: %w", err)
	}
	return e, nil
}

const jobTimeout = 30 * time.Second

// Client is the River client, for the operators' page.
func (e *Engine) Client() *river.Client[pgx.Tx] { return e.client }

// Applier is the one write path, wired to this engine's queue.
func (e *Engine) Applier() *change.Applier { return e.applier }

// Start begins to work; Stop ends it.
func (e *Engine) Start(ctx context.Context) error {
	if err := store.Heartbeat(ctx, e.pool, e.process); err != nil {
		return err
	}
	if err := e.client.Start(ctx); err != nil {
		return fmt.Errorf("jobs.Start: %w", err)
	}
	run, cancel := context.WithCancel(ctx)
	e.mu.Lock()
	e.running, e.stop = run, cancel
	e.mu.Unlock()
	e.every(run, time.Second, "heartbeat", func(ctx context.Context) error { return store.Heartbeat(ctx, e.pool, e.process) })
	e.every(run, time.Second, "supervise", e.supervise)
	e.every(run, time.Second, "watch", e.Watch)
	return nil
}

// Stop lets running jobs finish for as long as ctx allows, then cancels them.
func (e *Engine) Stop(ctx context.Context) error {
	if e.stop != nil {
		err := e.client.Stop(ctx)
		if err != nil {
			hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			err = e.client.StopAndCancel(hard)
		}
		e.stop()
		e.stopped.Wait()
		if err != nil {
			e.log.WarnContext(ctx, "stopping the workers took too long; what they held is free when its lease ends", "error", err)
		}
	}
	e.mu.Lock()
	for _, c := range e.systems {
		if c.Closer != nil {
			_ = c.Closer.Close()
		}
	}
	e.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(e.exchanges.Close(ctx), store.StopProcess(ctx, e.pool, e.process.ID))
}

func (e *Engine) every(ctx context.Context, d time.Duration, name string, f func(context.Context) error) {
	e.stopped.Add(1)
	go func() {
		defer e.stopped.Done()
		tick := time.NewTicker(d)
		defer tick.Stop()
		for {
			if err := f(ctx); err != nil && ctx.Err() == nil {
				e.log.WarnContext(ctx, name+" failed; it is tried again", "error", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
}

// system returns the connected system, opening its adapter if need be. NotFound if there is none, Unsupported if it is
// native and there is nothing to call.
func (e *Engine) system(ctx context.Context, name string) (*connected, error) {
	e.mu.Lock()
	c := e.systems[name]
	e.mu.Unlock()
	if c != nil && time.Since(c.checked) < 500*time.Millisecond {
		return c, nil
	}
	row, err := store.SystemByName(ctx, e.pool, name)
	if err != nil {
		return nil, err
	}
	if row.Adapter == ownership.Native {
		return nil, &domain.Error{Code: domain.Unsupported, System: name, Message: "it is Datum's own; there is nothing to call"}
	}
	if c != nil && c.Adapter == row.Adapter && maps.Equal(c.Settings, row.Settings) {
		fresh := *c
		fresh.System, fresh.checked = row, time.Now()
		e.put(&fresh)
		return &fresh, nil
	}
	v, ok := e.vendors[row.Adapter]
	if !ok {
		return nil, &domain.Error{Code: domain.Unsupported, System: name, Message: fmt.Sprintf("there is no adapter %q", row.Adapter)}
	}
	session, err := e.session(ctx, name, v, row.Settings)
	if err != nil {
		return nil, err
	}
	mappings, err := v.Mappings(session.Settings)
	if err != nil {
		return nil, err
	}
	a, err := v.Open(session)
	if err != nil {
		return nil, err
	}
	if c != nil && c.Closer != nil {
		_ = c.Closer.Close() // its last calls fail as unavailable and are made again
	}
	c = &connected{System: row, Abilities: adapters.AbilitiesOf(a), vendor: v, adapter: a, mappings: mappings, checked: time.Now()}
	e.put(c)
	return c, nil
}

func (e *Engine) session(ctx context.Context, system string, v adapters.Vendor, settings map[string]string) (adapters.Session, error) {
	cfg := SessionConfig{Pool: e.pool, Sealer: e.cfg.Sealer, Process: e.process.ID, Exchanges: e.exchanges, Applier: e.applier, Log: e.log}
	return OpenSession(ctx, cfg, system, cmp.Or(settings["baseUrl"], v.BaseURL), v, settings)
}

func (e *Engine) put(c *connected) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.systems[c.Name] = c
}

// reread makes the next look at the system read its row anew. The adapter stays, with what it has learnt of the vendor.
func (e *Engine) reread(system string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if c := e.systems[system]; c != nil {
		again := *c
		again.checked = time.Time{}
		e.systems[system] = &again
	}
}

// carried returns the system's mapping of a kind, nil if it does not carry it.
func (c *connected) carried(kind domain.Kind) *adapters.Mapping {
	for i := range c.mappings {
		if c.mappings[i].Kind == kind {
			return &c.mappings[i]
		}
	}
	return nil
}

// kinds returns the kinds that the system carries and the policy speaks of, in the order in which they refer to one another.
func (e *Engine) kinds(ctx context.Context, c *connected) ([]domain.Kind, error) {
	pol, _, err := e.applier.Policy(ctx, e.pool, 0)
	if err != nil {
		return nil, err
	}
	var ks []domain.Kind
	for _, ki := range domain.KindsAll() {
		if pol.Kinds[ki.Kind] != nil && c.carried(ki.Kind) != nil {
			ks = append(ks, ki.Kind)
		}
	}
	return ks, nil
}

// carrier answers change.Carrier from the mapping tables.
type carrier struct{ *Engine }

// mapping is the vendor's, or the account's own where each has one.
func (c carrier) mapping(s ownership.System, kind domain.Kind) *adapters.Mapping {
	v := c.vendors[s.Adapter]
	if v.Configure == nil && s.Settings[adapters.OverlaySetting] == "" {
		return v.Carried(kind)
	}
	// By the settings' text: to read a mapping anew for every change would cost more than the change.
	b, err := json.Marshal(s.Settings)
	if err != nil {
		return nil
	}
	key := s.Adapter + string(b)
	c.mu.Lock()
	ms, known := c.mappings[key]
	c.mu.Unlock()
	if !known {
		if ms, err = v.Mappings(withDefaults(v, s.Settings)); err != nil {
			c.log.Warn("the settings do not say what the system carries", "system", s.Name, "error", err)
			ms = nil
		}
		c.mu.Lock()
		c.mappings[key] = ms
		c.mu.Unlock()
	}
	return adapters.Vendor{Mapping: ms}.Carried(kind)
}

func (c carrier) Writable(s ownership.System, kind domain.Kind) ([]domain.Field, bool) {
	m := c.mapping(s, kind)
	if m == nil {
		return nil, false
	}
	return m.Writable(), true
}

func (c carrier) Fit(s ownership.System, kind domain.Kind, values domain.Values) domain.Values {
	if m := c.mapping(s, kind); m != nil {
		return m.Fit(values)
	}
	return values
}

func (c carrier) Drift(s ownership.System, kind domain.Kind, old, now json.RawMessage, before []domain.Issue) []domain.Issue {
	m := c.mapping(s, kind)
	if m == nil {
		return nil
	}
	o := m.Stored(now)
	if o == nil {
		return nil
	}
	return m.Drift(m.Stored(old), o, before)
}

func (c carrier) Shows(s ownership.System, kind domain.Kind, raw json.RawMessage, paths []string) []string {
	if m := c.mapping(s, kind); m != nil {
		return adapters.Seen(m.Stored(raw), paths)
	}
	return nil
}

// Carries reports whether an adapter carries a field, for checking policies; Datum's own systems carry everything.
func (e *Engine) Carries(adapter string, kind domain.Kind, f domain.Field) bool {
	if adapter == ownership.Native {
		return true
	}
	if m := e.vendors[adapter].Carried(kind); m == nil || m.Row(f) != nil {
		return m != nil
	}
	// Or an account of it has been given a place for the field.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	systems, err := store.Systems(ctx, e.pool)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(systems, func(s store.System) bool {
		m, err := e.vendors[adapter].CarriedBy(s.Settings, kind)
		return s.Adapter == adapter && err == nil && m != nil && m.Row(f) != nil
	})
}

// Adapters returns the names of the vendors and of the native adapter.
func (e *Engine) Adapters() []string {
	return append(slices.Sorted(maps.Keys(e.vendors)), ownership.Native)
}

// quieter leaves out River's routine messages.
type quieter struct{ slog.Handler }

func (h quieter) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

func (h quieter) WithAttrs(as []slog.Attr) slog.Handler { return quieter{h.Handler.WithAttrs(as)} }
func (h quieter) WithGroup(name string) slog.Handler    { return quieter{h.Handler.WithGroup(name)} }

// active are the states in which a unique job stands for the next one too.
var active = []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRunning,
	rivertype.JobStateRetryable, rivertype.JobStateScheduled}
