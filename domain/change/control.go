package change

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"datum/domain"
	"datum/domain/ownership"
	"datum/domain/store"
)

// A switch waits for the writes that have begun. None outlives its lease, which is shorter.
const (
	switchPatience = 60 * time.Second
	switchLease    = 90 * time.Second
	switchLook     = 20 * time.Millisecond
)

// Parked codes of projections that wait for a person.
const (
	DryRun  = domain.Code("DRY_RUN") // recorded; waits for approval, or for the mode live
	Skipped = domain.Code("SKIPPED") // a person has left it out; a later change takes it up again
)

// SetMode changes what Datum may do with a system, and notes who did, from what, and why. Writes that are under way end
// first and are stored; when SetMode returns nil, none of the old mode begins any more, in any process. If ctx ends before
// that the mode is as it was.
func (a *Applier) SetMode(ctx context.Context, system string, mode store.Mode, cause Cause) (err error) {
	defer domain.Wrap(&err, "change.SetMode")
	if !slices.Contains(store.Modes, mode) {
		return domain.Errorf(domain.Invalid, "a mode is off, observe, dry_run or live, not %q", mode)
	}
	now, err := store.SystemByName(ctx, a.pool, system)
	if err != nil || now.Mode == mode {
		return err
	}
	token := uuid.New()
	if err := store.BeginSwitch(ctx, a.pool, system, token, switchLease); err != nil {
		return err
	}
	err = a.quiet(ctx, system)
	if err == nil {
		err = a.transact(ctx, cause, func(r *run) error {
			c := store.ModeChange{System: system, ModeTo: mode, Actor: cause.Actor, Reason: cause.Reason, CorrelationID: cause.CorrelationID}
			if err := store.EndSwitch(ctx, r.tx, c, token); err != nil {
				return err
			}
			if mode == store.ModeLive {
				if err := store.UnparkSystem(ctx, r.tx, system, DryRun); err != nil {
					return err
				}
				if err := store.LapseWrites(ctx, r.tx, system, "the system was switched to live, and it is written in the usual way"); err != nil {
					return err
				}
			}
			return r.rouse(system, "mode")
		})
	}
	if err != nil {
		if derr := store.DropSwitch(context.WithoutCancel(ctx), a.pool, system, token); derr != nil {
			a.log.WarnContext(ctx, "a switch that was given up ends by itself", "system", system, "error", derr)
		}
		return err
	}
	a.log.InfoContext(ctx, "mode changed", "system", system, "mode", string(mode), "correlation_id", cause.CorrelationID)
	return nil
}

// quiet waits until no write to the system is under way.
func (a *Applier) quiet(ctx context.Context, system string) error {
	for began := time.Now(); ; {
		n, err := store.WritesUnderWay(ctx, a.pool, system)
		if err != nil || n == 0 {
			return err
		}
		if time.Since(began) > switchPatience {
			return &domain.Error{Code: domain.Unavailable, System: system, Message: "writes that have begun do not end; the mode is as it was, try again"}
		}
		t := time.NewTimer(switchLook)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		}
	}
}

// rouse wakes everything that waits for a system and tells its subscribers what has happened.
func (r *run) rouse(system, what string) error {
	store.QueueEvent(r.batch, store.TopicSystem, "", system, what, r.cause.CorrelationID)
	kinds, err := store.PendingKinds(r.ctx, r.tx, system)
	if err != nil {
		return err
	}
	if err := r.queue.Rouse(r.ctx, r.tx, system, kinds); err != nil {
		return err
	}
	return r.queue.Ingest(r.ctx, r.tx, system)
}

// Hold says what is to be paused or resumed: of a system, one kind or all (""), in one direction or both ("").
type Hold struct {
	System    string
	Kind      domain.Kind
	Direction store.Direction
	Until     *time.Time // of a pause: it ends by itself then
}

func (h Hold) check(ctx context.Context, db store.DB) error {
	if h.Kind != "" {
		if _, ok := h.Kind.Info(); !ok {
			return domain.Errorf(domain.Invalid, "there is no kind %q; it is Customer, Product, Location, StockLevel, Quote, Order, Invoice, CreditNote or Payment", h.Kind)
		}
	}
	if h.Direction != "" && h.Direction != store.In && h.Direction != store.Out {
		return domain.Errorf(domain.Invalid, "a direction is in or out, not %q", h.Direction)
	}
	s, err := store.SystemByName(ctx, db, h.System)
	if err == nil && s.Adapter == ownership.Native {
		return &domain.Error{Code: domain.Unsupported, System: h.System, Message: "it is Datum's own: nothing is read from it or written to it"}
	}
	return err
}

// Pause holds work of a system back until it is resumed. Webhooks are still taken; what they bring waits, and so does what is to
// be written; what is under way ends. A reason is needed, for whoever wonders why nothing moves.
func (a *Applier) Pause(ctx context.Context, h Hold, cause Cause) (ps []store.Pause, err error) {
	defer domain.Wrap(&err, "change.Pause")
	if strings.TrimSpace(cause.Reason) == "" {
		return nil, domain.Errorf(domain.Invalid, "say why it is paused: others will wonder why nothing moves")
	}
	if h.Until != nil && !h.Until.After(time.Now()) {
		return nil, domain.Errorf(domain.Invalid, "a pause ends in the future, and %s is past", h.Until.Format(time.RFC3339))
	}
	err = a.transact(ctx, cause, func(r *run) error {
		if err := h.check(ctx, r.tx); err != nil {
			return err
		}
		ps = nil
		for _, d := range []store.Direction{store.In, store.Out} {
			if h.Direction != "" && h.Direction != d {
				continue
			}
			p := store.Pause{ID: domain.NewID("pause"), System: h.System, Kind: h.Kind, Direction: d, Until: h.Until, Actor: cause.Actor, Reason: cause.Reason,
				Since: time.Now(), CorrelationID: cause.CorrelationID}
			if err := store.InsertPause(ctx, r.tx, p); err != nil {
				return err
			}
			ps = append(ps, p)
		}
		store.QueueEvent(r.batch, store.TopicSystem, "", h.System, "paused", cause.CorrelationID)
		return nil
	})
	return ps, err
}

// Resume ends pauses; what waited goes on by itself. Conflict if nothing of it is paused.
func (a *Applier) Resume(ctx context.Context, h Hold, cause Cause) (ps []store.Pause, err error) {
	defer domain.Wrap(&err, "change.Resume")
	err = a.transact(ctx, cause, func(r *run) error {
		if err := h.check(ctx, r.tx); err != nil {
			return err
		}
		if ps, err = store.EndPauses(ctx, r.tx, h.System, h.Kind, h.Direction, cause.Actor); err != nil {
			return err
		}
		if len(ps) == 0 && h.Kind != "" {
			return domain.Errorf(domain.Conflict, "no pause is for %s of %s alone; if all kinds are paused, resume without a kind", h.Kind, h.System)
		}
		if len(ps) == 0 {
			return domain.Errorf(domain.Conflict, "nothing of %s is paused", h.System)
		}
		return r.rouse(h.System, "resumed")
	})
	return ps, err
}

// EndExpiredPauses ends the pauses whose time has come and wakes what waited.
func (a *Applier) EndExpiredPauses(ctx context.Context) error {
	due, err := store.PauseExpired(ctx, a.pool)
	if err != nil || !due {
		return err
	}
	return a.transact(ctx, Cause{Actor: "datum", CorrelationID: domain.NewID("cor")}, func(r *run) error {
		ps, err := store.EndExpiredPauses(ctx, r.tx)
		if err != nil {
			return err
		}
		for i, p := range ps {
			if i > 0 && ps[i-1].System == p.System {
				continue
			}
			if err := r.rouse(p.System, "resumed"); err != nil {
				return err
			}
		}
		return nil
	})
}
