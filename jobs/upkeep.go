package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// supervise runs every second in every working process. Everything it does is safe to do in several at once: it opens
// queues for new systems, queues pulls and sweeps that are due, lets a system take part once it has been read completely,
// and wakes work that nobody is at.
func (e *Engine) supervise(ctx context.Context) error {
	systems, err := store.Systems(ctx, e.pool)
	if err != nil {
		return err
	}
	auth, err := store.AuthStates(ctx, e.pool)
	if err != nil {
		return err
	}
	for _, a := range auth {
		if err := e.watchAuth(ctx, a); err != nil {
			return err
		}
	}
	for _, s := range systems {
		if s.Adapter == ownership.Native {
			continue
		}
		if err := e.openQueues(s.Name); err != nil {
			return err
		}
		if s.Mode == store.ModeOff {
			continue
		}
		c, err := e.system(ctx, s.Name)
		if err != nil {
			e.log.DebugContext(ctx, "system is not connected yet", "system", s.Name, "error", err)
			continue
		}
		if ok, err := e.authorised(ctx, s.Name); err != nil || !ok {
			continue
		}
		if err := e.watchHooks(ctx, c); err != nil {
			return err
		}
		if err := e.watchLock(ctx, c); err != nil {
			return err
		}
		kinds, err := e.kinds(ctx, c)
		if err != nil {
			return err
		}
		for _, kind := range kinds {
			if err := e.schedule(ctx, c, kind, kinds); err != nil {
				return err
			}
		}
	}
	if _, err := e.client.Insert(ctx, RetentionArgs{}, &river.InsertOpts{UniqueOpts: river.UniqueOpts{ByPeriod: time.Hour}}); err != nil {
		return err
	}
	if err := e.noteHeard(ctx); err != nil {
		return err
	}
	if err := store.JudgeFindings(ctx, e.pool, e.cfg.HookBound, 7*24*time.Hour); err != nil {
		return err
	}
	if err := e.unwait(ctx); err != nil {
		return err
	}
	if err := e.report(ctx); err != nil {
		return err
	}
	if err := e.brakes(ctx); err != nil {
		return err
	}
	if err := e.applier.EndExpiredPauses(ctx); err != nil {
		return err
	}
	if _, err := e.applier.ExpireChanges(ctx, time.Time{}); err != nil {
		return err
	}
	if err := store.LapseOvertaken(ctx, e.pool); err != nil {
		return err
	}
	if _, err := e.applier.EndOvertaken(ctx); err != nil {
		return err
	}
	if _, err := e.applier.AlikeAgain(ctx); err != nil {
		return err
	}
	if n, err := store.WakeCases(ctx, e.pool, time.Time{}); err != nil {
		return err
	} else if n > 0 {
		e.applier.Ring()
	}
	if err := e.watchDrift(ctx); err != nil {
		return err
	}
	if err := e.wakeRuns(ctx); err != nil {
		return err
	}
	if err := e.wakeScans(ctx); err != nil {
		return err
	}
	if err := e.recount(ctx); err != nil {
		return err
	}
	return e.wakeStranded(ctx)
}

// unwait wakes records and projections whose wait has ended while nobody noticed.
func (e *Engine) unwait(ctx context.Context) error {
	systems, err := store.SignalOverlooked(ctx, e.pool)
	if err != nil {
		return err
	}
	for _, s := range systems {
		if err := e.wakeIngest(ctx, s, 0); err != nil {
			return err
		}
	}
	needed, err := store.Needed(ctx, e.pool, 3*time.Second)
	if err != nil {
		return err
	}
	for _, id := range needed {
		if _, err := e.applier.Resettle(ctx, id, change.Cause{Actor: "datum", Source: change.FromProjection, CorrelationID: domain.NewID("cor")}); err != nil {
			return err
		}
	}
	free, err := store.UnparkWaiting(ctx, e.pool, "", "")
	if err != nil {
		return err
	}
	read, err := store.UnparkRead(ctx, e.pool)
	for _, u := range append(free, read...) {
		err = errors.Join(err, e.wakeProject(ctx, u.System, u.Kind, 0))
	}
	return err
}

func (e *Engine) openQueues(system string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for q, n := range map[string]int{inQueue(system): inWorkers, outQueue(system): outWorkers} {
		if !e.queues[q] {
			if err := e.client.Queues().Add(q, river.QueueConfig{MaxWorkers: n}); err != nil {
				return fmt.Errorf("queue %s: %w", q, err)
			}
			e.queues[q] = true
		}
	}
	return nil
}

// schedule queues a pull or sweep that is due, and lets a system whose first reading is done take part.
func (e *Engine) schedule(ctx context.Context, c *connected, kind domain.Kind, kinds []domain.Kind) error {
	if ok, err := e.inOrder(ctx, c, kind, kinds); err != nil || !ok {
		return err
	}
	held, err := store.PausedIn(ctx, e.pool, c.Name, kind)
	if err != nil {
		return err
	}
	due, err := store.DueReadings(ctx, e.pool, c.Name, kind, e.cfg.Poll, e.cfg.Sweep)
	if err != nil {
		return err
	}
	if due.Pull && !held {
		if _, err := e.client.Insert(ctx, PullArgs{System: c.Name, Of: kind}, unique(inQueue(c.Name))); err != nil {
			return err
		}
	}
	if due.Sweep && c.Sweeper != nil && !held {
		if _, err := e.client.Insert(ctx, SweepArgs{System: c.Name, Of: kind}, unique(inQueue(c.Name))); err != nil {
			return err
		}
	}
	if due.Ready {
		if err := e.ready(ctx, c, kind); err != nil {
			return err
		}
	}
	// Again and again, for a change that parked its projection while the system was just becoming ready.
	n := int64(0)
	if due.IsReady || due.Ready {
		if n, err = store.Unpark(ctx, e.pool, c.Name, kind, domain.Unready); err != nil {
			return err
		}
	}
	if c.Mode == store.ModeLive {
		m, err := store.Unpark(ctx, e.pool, c.Name, kind, change.DryRun)
		if err != nil {
			return err
		}
		n += m
	}
	if n > 0 {
		return e.wakeProject(ctx, c.Name, kind, 0)
	}
	return nil
}

// inOrder reports whether a kind may be read: what it refers to has been read completely, so that a first reading does not
// have to ask for every customer of every invoice.
func (e *Engine) inOrder(ctx context.Context, c *connected, kind domain.Kind, kinds []domain.Kind) (bool, error) {
	ki, _ := kind.Info()
	for _, fi := range ki.Fields {
		need := fi.Ref
		if fi.Type == domain.TypeLines {
			need = domain.KindProduct
		}
		if need == "" || need == kind || !slices.Contains(kinds, need) {
			continue
		}
		at, err := store.CursorFor(ctx, e.pool, c.Name, need, "changes", false)
		if err != nil || !at.Ready {
			return false, err
		}
	}
	return true, nil
}

// ready lets new records be created in a system, now that everything it held is known.
func (e *Engine) ready(ctx context.Context, c *connected, kind domain.Kind) error {
	err := store.Transact(ctx, e.pool, func(tx pgx.Tx) error {
		at, err := store.CursorFor(ctx, tx, c.Name, kind, "changes", true)
		if err != nil || at.Ready {
			return err
		}
		at.Ready = true
		if err := store.SetCursor(ctx, tx, c.Name, kind, "changes", at, false); err != nil {
			return err
		}
		b := &pgx.Batch{}
		store.QueueEvent(b, store.TopicSystem, "", c.Name, "ready", "")
		return tx.SendBatch(ctx, b).Close()
	})
	if err != nil {
		return err
	}
	e.log.InfoContext(ctx, "first complete reading done", "system", c.Name, "kind", kind)
	e.applier.Ring()
	return nil
}

// wakeStranded wakes work that is due and that nobody is at: what a crash, or a swallowed wake-up, has left behind.
func (e *Engine) wakeStranded(ctx context.Context) error {
	if _, err := store.FreeJobs(ctx, e.pool); err != nil {
		return err
	}
	stranded, err := store.Stranded(ctx, e.pool, 3*time.Second)
	if err != nil {
		return err
	}
	for _, s := range stranded {
		if _, err := e.client.Insert(ctx, ProjectArgs{System: s.System, Of: s.Kind}, unique(outQueue(s.System))); err != nil {
			return err
		}
	}
	systems, err := store.StrandedSignals(ctx, e.pool, 3*time.Second)
	if err != nil {
		return err
	}
	for _, s := range systems {
		opts := unique(inQueue(s))
		if _, err := e.client.Insert(ctx, IngestArgs{System: s}, opts); err != nil {
			return err
		}
	}
	return nil
}

// authorised reports whether the system's credential works; a system that needs none always does.
func (e *Engine) authorised(ctx context.Context, system string) (bool, error) {
	states, err := store.AuthStates(ctx, e.pool)
	if err != nil {
		return false, err
	}
	for _, a := range states {
		if a.System == system {
			return a.Status != store.AuthNeedsReauth, nil
		}
	}
	return true, nil
}

// watchAuth opens a case for a system that must be authorised again, and closes it when that is done.
func (e *Engine) watchAuth(ctx context.Context, a store.AuthState) error {
	key := "reauth|" + a.System
	if a.Status != store.AuthNeedsReauth {
		return e.closeCase(ctx, key)
	}
	open, err := store.OpenCaseByKey(ctx, e.pool, key)
	if err != nil || open != nil {
		return err
	}
	if ignored, err := store.CaseIgnoredSince(ctx, e.pool, key, a.Since); err != nil || ignored {
		return err
	}
	return e.openCase(ctx, store.Case{Kind: store.CaseReauth, System: a.System, DedupeKey: key,
		Title:  a.System + " must be authorised again",
		Detail: store.CaseDetail{Message: a.Reason, Next: fmt.Sprintf("run `datum system authorise %s FILE.json`, or connect with fresh credentials; everything that waits goes on by itself", a.System)}})
}

// openCase opens a case that belongs to a system rather than to an entity.
func (e *Engine) openCase(ctx context.Context, c store.Case) error {
	c.ID = domain.NewID("case")
	if c.CorrelationID == "" {
		c.CorrelationID = domain.Correlation(ctx)
	}
	b := &pgx.Batch{}
	store.QueueCase(b, c)
	store.QueueEvent(b, store.TopicCase, c.EntityID, c.System, c.ID, c.CorrelationID)
	if err := e.pool.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("open case: %w", err)
	}
	e.applier.Ring()
	return nil
}

func (e *Engine) closeCase(ctx context.Context, key string) error {
	open, err := store.OpenCaseByKey(ctx, e.pool, key)
	if err != nil || open == nil {
		return err
	}
	b := &pgx.Batch{}
	store.QueueCaseEnd(b, open.ID, "closed", "no longer so", "")
	store.QueueEvent(b, store.TopicCase, open.EntityID, open.System, open.ID, "")
	if err := e.pool.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("close case: %w", err)
	}
	e.applier.Ring()
	return nil
}

// stuck opens a case for signals that cannot be applied and marks them failed; they are kept.
func (e *Engine) stuck(ctx context.Context, c *connected, v *visit, cause *domain.Error) error {
	if err := store.FailSignals(ctx, e.pool, v.signalIDs(), cause.Error()); err != nil {
		return err
	}
	return e.openCase(ctx, store.Case{Kind: store.CaseStuck, EntityKind: v.kind, System: c.Name, ExternalID: v.id, DedupeKey: change.StuckKey(c.Name, v.id),
		CorrelationID: v.signals[0].CorrelationID, Title: fmt.Sprintf("%s %s of %s cannot be taken in", v.kind, v.id, c.Name),
		Detail: store.CaseDetail{Message: cause.Message, Next: "look at the record in " + c.Name + "; the next change or sweep brings it again"}})
}

// SetMode changes what Datum may do with a system; see change.Applier.SetMode.
func (e *Engine) SetMode(ctx context.Context, system string, mode store.Mode, cause change.Cause) error {
	if err := e.applier.SetMode(ctx, system, mode, cause); err != nil {
		return err
	}
	e.reread(system)
	return nil
}

type resettleWorker struct {
	river.WorkerDefaults[ResettleArgs]
	*Engine
}

// Work resolves entities that were last resolved under an older policy, some at a time; each batch queues the next.
func (w *resettleWorker) Work(ctx context.Context, job *river.Job[ResettleArgs]) error {
	after := job.Args.After
	cause := change.Cause{Actor: "policy", Source: change.FromPolicy, CorrelationID: domain.NewID("cor"), Lane: "bulk"}
	started := time.Now()
	for _, ki := range domain.KindsAll() {
		for {
			ids, err := store.OutdatedEntities(ctx, w.pool, ki.Kind, job.Args.Version, after, 100)
			if err != nil {
				return err
			}
			if len(ids) == 0 {
				after = ""
				break
			}
			for _, id := range ids {
				if _, err := w.applier.Resettle(ctx, id, cause); err != nil {
					return err
				}
				after = id
			}
			if time.Since(started) > jobTimeout/2 {
				_, err := w.client.Insert(ctx, ResettleArgs{Version: job.Args.Version}, nil)
				return err
			}
		}
	}
	return nil
}
