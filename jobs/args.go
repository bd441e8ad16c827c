package jobs

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"datum/domain"
	"datum/domain/change"
)

// Every system has two queues, so that reading and writing, and one slow vendor and another, do not hold each other up.
func inQueue(system string) string  { return "in_" + system }
func outQueue(system string) string { return "out_" + system }

const (
	inWorkers  = 6
	outWorkers = 4
)

// IngestArgs asks for the pending signals of a system to be worked off.
type IngestArgs struct {
	System string `json:"system"`
	// Later marks the one job that waits for the next turn while the system's budget is tight.
	Later bool `json:"later,omitempty"`
}

// Kind implements river.JobArgs.
func (IngestArgs) Kind() string { return "ingest" }

// ProjectArgs asks for the due projections of a system and kind to be worked off. Lane is that of what has just become due, "" if
// that is not known.
type ProjectArgs struct {
	System string      `json:"system" river:"unique"`
	Of     domain.Kind `json:"kind" river:"unique"`
	Lane   string      `json:"lane,omitempty"`
}

// Kind implements river.JobArgs.
func (ProjectArgs) Kind() string { return "project" }

// PullArgs asks a system what has changed since the cursor.
type PullArgs struct {
	System string      `json:"system" river:"unique"`
	Of     domain.Kind `json:"kind" river:"unique"`
}

// Kind implements river.JobArgs.
func (PullArgs) Kind() string { return "pull" }

// SweepArgs asks for a complete comparison with a system.
type SweepArgs struct {
	System string      `json:"system" river:"unique"`
	Of     domain.Kind `json:"kind" river:"unique"`
}

// Kind implements river.JobArgs.
func (SweepArgs) Kind() string { return "sweep" }

// HooksArgs asks for a system's webhook subscriptions to be looked at, and made again where they are dead.
type HooksArgs struct {
	System string `json:"system" river:"unique"`
}

// Kind implements river.JobArgs.
func (HooksArgs) Kind() string { return "hooks" }

// LockArgs asks for the lock date of a system's books to be read.
type LockArgs struct {
	System string `json:"system" river:"unique"`
}

// Kind implements river.JobArgs.
func (LockArgs) Kind() string { return "lock" }

// FlowArgs asks for the flows that follow from an entity to be brought up to date.
type FlowArgs struct {
	EntityID string `json:"entityId"`
}

// Kind implements river.JobArgs.
func (FlowArgs) Kind() string { return "flow" }

// ResettleArgs asks for every entity that was resolved under an older policy to be resolved anew.
type ResettleArgs struct {
	Version int64  `json:"version"`
	After   string `json:"after,omitempty"`
}

// Kind implements river.JobArgs.
func (ResettleArgs) Kind() string { return "resettle" }

// RetentionArgs asks for what is older than its retention to be deleted.
type RetentionArgs struct{}

// Kind implements river.JobArgs.
func (RetentionArgs) Kind() string { return "retention" }

// unique makes one waiting or running job stand for all with the same arguments.
func unique(queue string) *river.InsertOpts {
	return &river.InsertOpts{Queue: queue, MaxAttempts: 1000, UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: active}}
}

// queue implements change.Queue.
type queue struct{ *Engine }

// Wake queues one job for each system and kind of which projections have become due, and one for each entity that flows follow.
// They are not unique: one that runs may have looked before this change is committed.
func (q queue) Wake(ctx context.Context, tx pgx.Tx, wakes []change.Wake, changed []string) error {
	var params []river.InsertManyParams
	for _, w := range wakes {
		args := ProjectArgs{System: w.System, Of: w.Kind, Lane: w.Lane}
		if !slices.ContainsFunc(params, func(p river.InsertManyParams) bool { return p.Args == args }) {
			params = append(params, river.InsertManyParams{Args: args, InsertOpts: &river.InsertOpts{Queue: outQueue(w.System), MaxAttempts: 1000}})
		}
	}
	for _, id := range changed {
		params = append(params, river.InsertManyParams{Args: FlowArgs{EntityID: id}, InsertOpts: &river.InsertOpts{Queue: flowQueue, MaxAttempts: 100}})
	}
	// Not the fast way, which is a COPY: for so few it is slower.
	_, err := q.client.InsertManyTx(ctx, tx, params)
	return err
}

// Rouse queues jobs that are not unique: one that runs may have looked at the gate before it was opened.
func (q queue) Rouse(ctx context.Context, tx pgx.Tx, system string, kinds []domain.Kind) error {
	if len(kinds) == 0 {
		return nil
	}
	params := make([]river.InsertManyParams, len(kinds))
	for i, k := range kinds {
		params[i] = river.InsertManyParams{Args: ProjectArgs{System: system, Of: k}, InsertOpts: &river.InsertOpts{Queue: outQueue(system), MaxAttempts: 1000}}
	}
	_, err := q.client.InsertManyFastTx(ctx, tx, params)
	return err
}

func (q queue) Ingest(ctx context.Context, tx pgx.Tx, system string) error {
	return q.ingestTx(ctx, tx, system)
}

func (q queue) Resettle(ctx context.Context, tx pgx.Tx, version int64) error {
	_, err := q.client.InsertTx(ctx, tx, ResettleArgs{Version: version}, nil)
	return err
}

// ingestTx queues a job for new signals of the system.
func (e *Engine) ingestTx(ctx context.Context, tx pgx.Tx, system string) error {
	_, err := e.client.InsertTx(ctx, tx, IngestArgs{System: system}, &river.InsertOpts{Queue: inQueue(system), MaxAttempts: 1000})
	return err
}

// wakeIngest queues a job for signals that become due after d.
func (e *Engine) wakeIngest(ctx context.Context, system string, d time.Duration) error {
	return e.insertIn(ctx, IngestArgs{System: system}, river.InsertOpts{Queue: inQueue(system), MaxAttempts: 1000}, d)
}

// ingestLater makes sure that one job waits for the next turn.
func (e *Engine) ingestLater(ctx context.Context, system string, d time.Duration) error {
	return e.insertIn(ctx, IngestArgs{System: system, Later: true}, *unique(inQueue(system)), d)
}

// wakeProject queues a wake-up for projections that become due after d.
func (e *Engine) wakeProject(ctx context.Context, system string, kind domain.Kind, d time.Duration) error {
	return e.insertIn(ctx, ProjectArgs{System: system, Of: kind}, river.InsertOpts{Queue: outQueue(system), MaxAttempts: 1000}, d)
}

// longestTimer is how long a job waits in this process instead of in River, which looks for what is due every five seconds.
const longestTimer = time.Minute

// insertIn queues a job that is to run after d. If it waits here and the process dies, the supervisors of the others find
// the work.
func (e *Engine) insertIn(ctx context.Context, args river.JobArgs, opts river.InsertOpts, d time.Duration) error {
	if d > 0 && d < longestTimer && e.timer(args, d, func(ctx context.Context) error { return e.insertIn(ctx, args, opts, 0) }) {
		return nil
	}
	if d > 0 {
		opts.ScheduledAt = time.Now().Add(d)
	}
	_, err := e.client.Insert(ctx, args, &opts)
	return err
}

// timer runs f after d unless one for the same job ends earlier. It is false in a process that does not work, or no longer.
func (e *Engine) timer(args river.JobArgs, d time.Duration, f func(context.Context) error) bool {
	at := time.Now().Add(d)
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running == nil || e.running.Err() != nil {
		return false
	}
	if t, ok := e.timers[args]; ok && !t.After(at) {
		return true
	}
	e.timers[args] = at
	ctx := e.running
	e.stopped.Go(func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		e.mu.Lock()
		if e.timers[args].Equal(at) {
			delete(e.timers, args)
		}
		e.mu.Unlock()
		if err := f(ctx); err != nil && ctx.Err() == nil {
			e.log.WarnContext(ctx, "a job was not queued; the supervisor finds its work", "job_kind", args.Kind(), "error", err)
		}
	})
	return true
}
