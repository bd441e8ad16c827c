package change

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/ownership"
	"datum/domain/store"
)

// Actions of a reprocess run.
const (
	Retry   = "retry"   // try again what failed or was refused
	Skip    = "skip"    // leave it out, with a reason; a later change takes it up again
	Resend  = "resend"  // compare with the vendor again and write what differs; with force write everything
	Refetch = "refetch" // ask the vendor again, and take in what it says
	Replay  = "replay"  // map what is stored of the vendor's objects anew, without asking the vendor
)

// FromReprocess is the source of what a run brings in.
const FromReprocess Source = "reprocess"

// goesThrough is what each action goes through if the filter does not say.
var goesThrough = map[string][]string{
	Retry: {"signal", "projection", "job"}, Skip: {"signal", "projection", "job"}, Resend: {"projection"}, Refetch: {"record", "signal"}, Replay: {"record"},
}

// Reprocess asks for a run.
type Reprocess struct {
	Action    string
	Filter    store.ReprocessFilter
	Force     bool // of resend
	PerSecond int  // 0 is 20
}

// mostAtOnce bounds a run.
const mostAtOnce = 200_000

// StartReprocess begins a run over what the filter finds now, in the order in which it was received; a worker takes it up
// within a second. Invalid if the action cannot go through that, or nothing is found.
func (a *Applier) StartReprocess(ctx context.Context, q Reprocess, cause Cause) (got store.ReprocessRun, err error) {
	defer domain.Wrap(&err, "change.StartReprocess")
	if err := q.check(cause); err != nil {
		return got, err
	}
	if q.Filter.System != "" {
		if _, err := store.SystemByName(ctx, a.pool, q.Filter.System); err != nil {
			return got, err
		}
	}
	err = a.transact(ctx, cause, func(r *run) error {
		got, err = r.reprocess(q)
		return err
	})
	if err != nil {
		return got, err
	}
	return store.RunByID(ctx, a.pool, got.ID)
}

// reprocess stores a run that has been checked.
func (r *run) reprocess(q Reprocess) (got store.ReprocessRun, err error) {
	got = store.ReprocessRun{ID: domain.NewID("run"), Action: q.Action, Filter: q.Filter, Force: q.Force, PerSecond: q.PerSecond, Actor: r.cause.Actor,
		Reason: strings.TrimSpace(r.cause.Reason), CorrelationID: r.cause.CorrelationID}
	found, err := store.Candidates(r.ctx, r.tx, q.Filter)
	if err != nil {
		return got, err
	}
	if q.Filter.Class != "" {
		found = slices.DeleteFunc(found, func(c store.Candidate) bool { return Class(c.Error) != q.Filter.Class })
	}
	switch {
	case len(found) == 0:
		return got, domain.Errorf(domain.NotFound, "nothing is to be done: the filter finds nothing; `datum deadletters` shows what waits for somebody")
	case len(found) > mostAtOnce:
		return got, domain.Errorf(domain.Invalid, "the filter finds %d, and a run goes through %d at most: narrow it by system, kind or time", len(found), mostAtOnce)
	}
	store.QueueEvent(r.batch, store.TopicSystem, "", q.Filter.System, got.ID, r.cause.CorrelationID)
	return got, store.InsertRun(r.ctx, r.tx, got, found)
}

func (q *Reprocess) check(cause Cause) error {
	may := goesThrough[q.Action]
	switch {
	case may == nil:
		return domain.Errorf(domain.Invalid, "an action is retry, skip, resend, refetch or replay, not %q", q.Action)
	case q.Action == Skip && strings.TrimSpace(cause.Reason) == "":
		return domain.Errorf(domain.Invalid, "say why it is left out: it is shown wherever it is missed")
	case q.Force && q.Action != Resend:
		return domain.Errorf(domain.Invalid, "only resend can be forced")
	case q.PerSecond < 0 || q.PerSecond > 1000:
		return domain.Errorf(domain.Invalid, "%d a second cannot be: it is 1 to 1000", q.PerSecond)
	case q.Filter.System == "" && !q.Filter.Named() && (q.Action == Resend || q.Action == Refetch || q.Action == Replay):
		return domain.Errorf(domain.Invalid, "%s needs a system or ids: over everything it would take every vendor's limit for hours", q.Action)
	}
	if q.PerSecond == 0 {
		q.PerSecond = 20
	}
	for _, w := range q.Filter.What {
		if !slices.Contains(may, w) {
			return domain.Errorf(domain.Invalid, "%s goes through %s, not %q", q.Action, strings.Join(may, "s and ")+"s", w)
		}
	}
	if len(q.Filter.What) == 0 {
		q.Filter.What = may
		if q.Action == Refetch && q.Filter.Status == "" && len(q.Filter.Signals) == 0 && q.Filter.Code == "" && q.Filter.Class == "" {
			q.Filter.What = []string{"record"}
		} else if q.Action == Refetch {
			q.Filter.What = []string{"signal"}
		}
	}
	if q.Filter.Status == "" && q.Action == Resend {
		q.Filter.Status = "any"
	}
	if s := q.Filter.Status; s != "" && !slices.Contains([]string{"any", "failed", "refused", "pending", "parked", "confirmed", "skipped"}, s) {
		return domain.Errorf(domain.Invalid, "a status is any, failed, refused, pending, parked, confirmed or skipped, not %q", s)
	}
	return nil
}

// CancelReprocess ends a run: what is handed over already goes on, what is still to be done is left out.
func (a *Applier) CancelReprocess(ctx context.Context, id string, cause Cause) (got store.ReprocessRun, err error) {
	defer domain.Wrap(&err, "change.CancelReprocess")
	err = a.transact(ctx, cause, func(r *run) error {
		ran, err := store.EndRun(ctx, r.tx, id, "cancelled", cause.Actor)
		if err != nil || ran {
			return err
		}
		was, err := store.RunByID(ctx, r.tx, id)
		if err == nil {
			err = domain.Errorf(domain.Conflict, "run %s is %s already", id, was.Status)
		}
		return err
	})
	if err != nil {
		return got, err
	}
	return store.RunByID(ctx, a.pool, id)
}

// AgainTx makes a projection due in the caller's transaction, whatever it waits for; with force even what is level is written.
// Call Ring after the commit. NotFound if the entity has none in the system.
func (a *Applier) AgainTx(ctx context.Context, tx pgx.Tx, entityID, system string, force bool, cause Cause) error {
	return a.within(ctx, tx, cause, func(r *run) error { return r.sendAgain(entityID, system, force) })
}

func (r *run) sendAgain(entityID, system string, force bool) error {
	_, err := r.resettle(entityID, func(s *settlement) error {
		p := s.st.Projections[system]
		if p == nil {
			return domain.Errorf(domain.NotFound, "%s has no projection to %s", entityID, system)
		}
		s.endRefusals(system, ChoiceRetry)
		if p.Status != store.Confirmed || force {
			p.Diff = domain.Values{}
		}
		p.Forced = p.Forced || force
		return nil
	})
	return err
}

// SkipTx leaves a projection out in the caller's transaction: it is parked with the words until something else is to be
// written. Conflict if nothing of it waits.
func (a *Applier) SkipTx(ctx context.Context, tx pgx.Tx, entityID, system, words string, cause Cause) error {
	return a.within(ctx, tx, cause, func(r *run) error {
		_, err := r.resettle(entityID, func(s *settlement) error {
			p := s.st.Projections[system]
			if p == nil || p.Status == store.Confirmed || p.Status == store.Detached {
				return domain.Errorf(domain.Conflict, "nothing of %s waits to be written to %s", entityID, system)
			}
			s.endRefusals(system, Skip)
			p.Status, p.ErrorCode, p.Error = store.Parked, Skipped, words
			s.save(p)
			return nil
		})
		return err
	})
}

// CloseStuckTx ends the case that says that an object of a system cannot be taken in, in the caller's transaction.
func (a *Applier) CloseStuckTx(ctx context.Context, tx pgx.Tx, system, externalID, resolution string, cause Cause) error {
	return a.within(ctx, tx, cause, func(r *run) error {
		c, err := store.OpenCaseByKey(ctx, tx, StuckKey(system, externalID))
		if err != nil || c == nil {
			return err
		}
		store.QueueCaseEnd(r.batch, c.ID, "resolved", resolution, cause.Actor)
		store.QueueEvent(r.batch, store.TopicCase, c.EntityID, c.System, c.ID, cause.CorrelationID)
		return nil
	})
}

// StuckKey is the key of the case of an object that cannot be taken in.
func StuckKey(system, externalID string) string { return "stuck|" + system + "|" + externalID }

// endRefusals ends the cases that say that a system does not take the entity.
func (s *settlement) endRefusals(system, resolution string) {
	for _, c := range slices.Clone(s.st.Cases) {
		if (c.Kind == store.CaseRefused || c.Kind == store.CaseStuck) && c.System == system && c.EntityID == s.st.Entity.ID {
			s.endCase(c.ID, "resolved", resolution, s.cause.Actor)
		}
	}
}

// whole is everything that the system's record can be told: golden values of carried fields it does not own, and pins on those
// it does, less what is held.
func (s *settlement) whole(system string, rec *store.Record) domain.Values {
	d := domain.Values{}
	for f := range s.writable(system) {
		g := s.res.Fields[f]
		theirs, carried := rec.Values[f]
		h, held := rec.Held[f]
		if g.Value.Empty() || !carried || g.Owner == system && g.Why != ownership.ByPin || held && h.Value == theirs && h.Others != string(ownership.Restore) {
			continue
		}
		d[f] = g.Value
	}
	return d
}

// EditSignal corrects values of a failed signal that came with its object, and has it tried again: what a person says stands in
// for what came in. Conflict if it is not failed, or only names its object; projections are corrected through their case.
func (a *Applier) EditSignal(ctx context.Context, id int64, values domain.Values, cause Cause) (err error) {
	defer domain.Wrap(&err, "change.EditSignal")
	return a.transact(ctx, cause, func(r *run) error {
		s, err := store.LockFailedSignal(ctx, r.tx, id)
		if err != nil {
			return err
		}
		if s.Record == nil {
			return domain.Errorf(domain.Conflict, "signal:%d only names %s of %s: correct the record there, then refetch it", id, s.ExternalID, s.System)
		}
		ki, _ := s.Kind.Info()
		s.Record.Values = s.Record.Values.Clone()
		for _, f := range values.Fields() {
			fi, ok := ki.Field(f)
			if !ok {
				return domain.Errorf(domain.Invalid, "a %s has no field %q", s.Kind, f)
			}
			v, issues := domain.Normalize(fi, values[f])
			for _, is := range issues {
				if is.Severity == domain.Problem {
					return &domain.Error{Code: domain.Invalid, Field: f, Message: is.Message}
				}
			}
			s.Record.Values[f] = v
			s.Record.Issues = slices.DeleteFunc(s.Record.Issues, func(is domain.Issue) bool { return is.Field == f })
		}
		if err := store.CorrectSignal(ctx, r.tx, s, cause.Actor+" has corrected "+fieldNames(values.Fields())); err != nil {
			return err
		}
		if c, err := store.OpenCaseByKey(ctx, r.tx, StuckKey(s.System, s.ExternalID)); err != nil {
			return err
		} else if c != nil {
			store.QueueCaseEnd(r.batch, c.ID, "resolved", ChoiceEdit, cause.Actor)
			store.QueueEvent(r.batch, store.TopicCase, c.EntityID, c.System, c.ID, cause.CorrelationID)
		}
		return r.queue.Ingest(ctx, r.tx, s.System)
	})
}
