package change

import (
	"context"
	"strings"

	"datum/domain"
	"datum/domain/store"
)

// approveAtOnce is how many recorded writes are decided in one transaction.
const approveAtOnce = 500

// ApproveWrites approves the recorded writes of a filter that still wait, and returns their ids. Each is sent if it is still
// the same request, and else recorded anew. Conflict if a named one no longer waits, or its system is in a mode in which
// nothing is sent.
func (a *Applier) ApproveWrites(ctx context.Context, f store.WriteFilter, cause Cause) (ids []string, err error) {
	defer domain.Wrap(&err, "change.ApproveWrites")
	return a.decideWrites(ctx, f, store.WriteApproved, cause)
}

// RejectWrites rejects the recorded writes of a filter that still wait, and returns their ids. Their projections stay as they
// are, with the reason, until something else is to be written or somebody retries them.
func (a *Applier) RejectWrites(ctx context.Context, f store.WriteFilter, cause Cause) (ids []string, err error) {
	defer domain.Wrap(&err, "change.RejectWrites")
	if strings.TrimSpace(cause.Reason) == "" {
		return nil, domain.Errorf(domain.Invalid, "say why it is rejected: it is shown wherever the write is missed")
	}
	return a.decideWrites(ctx, f, store.WriteRejected, cause)
}

func (a *Applier) decideWrites(ctx context.Context, f store.WriteFilter, status store.WriteStatus, cause Cause) (all []string, err error) {
	named := len(f.IDs)
	for {
		var ids []string
		err := a.transact(ctx, cause, func(r *run) error {
			ws, err := store.LockWrites(ctx, r.tx, f, approveAtOnce)
			if err != nil {
				return err
			}
			if named > len(ws)+len(all) && named <= approveAtOnce {
				return r.notWaiting(f, ws)
			}
			ids = nil
			modes := map[string]store.Mode{}
			for _, w := range ws {
				if modes[w.System] == "" {
					if modes[w.System], err = store.ModeOf(ctx, r.tx, w.System); err != nil {
						return err
					}
				}
				if m := modes[w.System]; status == store.WriteApproved && m != store.ModeDryRun && m != store.ModeLive {
					return domain.Errorf(domain.Conflict, "%s is in the mode %s, in which nothing is sent; switch it to dry_run or live first", w.System, m)
				}
				ids = append(ids, w.ID)
				if status == store.WriteApproved {
					r.wakes = append(r.wakes, Wake{System: w.System, Kind: w.Kind, EntityID: w.EntityID})
				}
				store.QueueEvent(r.batch, store.TopicProjection, w.EntityID, w.System, "", cause.CorrelationID)
			}
			if len(ids) == 0 {
				return nil
			}
			note := ""
			if status == store.WriteRejected {
				note = cause.Actor + " has rejected it: " + cause.Reason
			}
			return store.DecideWrites(ctx, r.tx, ids, status, cause.Actor, note, Skipped)
		})
		if err != nil {
			return all, err
		}
		all = append(all, ids...)
		if len(ids) < approveAtOnce {
			return all, nil
		}
	}
}

// notWaiting says which of the named writes no longer waits, and what has become of it.
func (r *run) notWaiting(f store.WriteFilter, waiting []store.RecordedWrite) error {
	known, err := store.ListWrites(r.ctx, r.tx, store.WriteFilter{IDs: f.IDs}, "", len(f.IDs))
	if err != nil {
		return err
	}
	waits, is := map[string]bool{}, map[string]store.RecordedWrite{}
	for _, w := range waiting {
		waits[w.ID] = true
	}
	for _, w := range known {
		is[w.ID] = w
	}
	for _, id := range f.IDs {
		w, found := is[id]
		switch {
		case waits[id]:
		case !found:
			return domain.Errorf(domain.NotFound, "there is no recorded write %q", id)
		case w.Status == store.WriteRecorded:
			return domain.Errorf(domain.Conflict, "write %s no longer waits: its projection has changed meanwhile; list the writes again", id)
		default:
			return domain.Errorf(domain.Conflict, "write %s no longer waits: it is %s. %s", id, w.Status, w.Note)
		}
	}
	return domain.Errorf(domain.Conflict, "one of the writes is named twice")
}
