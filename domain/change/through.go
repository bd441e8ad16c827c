package change

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"datum/domain"
	"datum/domain/ownership"
	"datum/domain/store"
)

// WriteThrough makes an edit of fields that other systems own a change that is asked of them: it is written to the owner and
// counts once the owner shows it. Until then it is a pin that is Asked.
type WriteThrough struct {
	Reason    string
	ExpiresAt time.Time // zero is as long as the policy says
	// Authorised says that the principal may ask for any field; else only for those whose rule lets editors.
	Authorised bool
}

// asked reports whether the system, as the owner of the field, is asked to change it.
func (s *settlement) asked(system string, f domain.Field) bool {
	p, ok := s.st.Pins[f]
	return ok && p.Asked && p.System == system
}

// ask adds a change that the system is asked for to what its record is to be told.
func (s *settlement) ask(d domain.Values, f domain.Field, rec *store.Record) {
	p := s.st.Pins[f]
	if rec != nil {
		if theirs, carried := rec.Values[f]; !carried || s.says(p.System, f, theirs, p.Value) {
			return
		}
	} else if p.Value.Empty() {
		return
	}
	d[f] = p.Value
}

// says reports whether what a system shows is as much of a value as it can hold.
func (s *settlement) says(system string, f domain.Field, theirs, v domain.Value) bool {
	return equal(theirs, v) || theirs != "" && equal(theirs, s.fitOne(system, f, v))
}

// answer ends a change that was asked if the owner has answered it: with the value, or with another one.
func (s *settlement) answer(p store.Pin, owner string) {
	if owner != p.System {
		s.endPin(store.ActionWithdrawn, p.Field, p.System, "", fmt.Sprintf("%s no longer owns %s", p.System, p.Field), "")
		return
	}
	rec, _ := s.primary(owner)
	if rec == nil {
		return
	}
	switch theirs := rec.Values[p.Field]; {
	case s.says(owner, p.Field, theirs, p.Value):
		s.decide(p, rec)
		s.endPin(store.ActionConfirmed, p.Field, owner, rec.ExternalID, fmt.Sprintf("%s has made the change that %s asked for: %s", owner, p.Actor, p.Reason), rec.Home)
	case !equal(theirs, p.Was):
		s.endPin(store.ActionOvertaken, p.Field, owner, rec.ExternalID, fmt.Sprintf("%s was asked for %s and has %s now, which stands", owner, clip(p.Value), clip(theirs)), rec.Home)
	}
}

// through makes a change of a field that another system owns one that is asked of it; the error says why that cannot be.
func (s *settlement) through(e Edit, f domain.Field, rule ownership.Rule) *domain.Error {
	fail := func(code domain.Code, format string, args ...any) *domain.Error {
		return &domain.Error{Code: code, System: e.System, Field: f, Owner: rule.Owner, Stage: s.res.Stage, Message: fmt.Sprintf(format, args...)}
	}
	if !e.Through.Authorised && !rule.Editors {
		return fail(domain.NotOwner, "%s belongs to %s%s; an operator may ask %s for the change, an editor only where the policy says so", f, rule.Owner, atStage(s.res.Stage), rule.Owner)
	}
	if s.pol.Adapter(rule.Owner) == ownership.Native {
		return fail(domain.NotOwner, "%s belongs to %s, which is Datum's own: change it with a key of %s", f, rule.Owner, rule.Owner)
	}
	rec, gone := s.primary(rule.Owner)
	if c := s.kp.Replicate[rule.Owner]; c == "" || c == ownership.Never || !s.writable(rule.Owner)[f] || gone || rec == nil && !s.kp.Replicates(rule.Owner, s.golden, false) {
		return fail(domain.Unsupported, "%s belongs to %s, and Datum does not write it there: change it there", f, rule.Owner)
	}
	until := e.Through.ExpiresAt
	if until.IsZero() {
		until = s.st.Now.Add(s.pol.AskedFor(s.kp.Kind))
	}
	p := store.Pin{Field: f, Value: e.Fields[f], Actor: e.Actor, Reason: e.Through.Reason, Asked: true, System: rule.Owner, ExpiresAt: &until, CorrelationID: e.CorrelationID}
	if rec != nil {
		p.Was = rec.Values[f]
	}
	s.request(p)
	return nil
}

// request queues a change that is asked of an owner.
func (s *settlement) request(p store.Pin) {
	if was, ok := s.st.Pins[p.Field]; ok && !was.Asked {
		s.unpin(p.Field, "", "", p.System+" is asked for a change in its place", "")
	}
	s.st.Pins[p.Field], s.pinned = p, true
	store.QueuePin(s.batch, s.st.Entity.ID, p)
	s.history(&s.st.Entity, store.History{Action: store.ActionAsked, Field: p.Field, Old: s.st.Entity.Golden[p.Field], New: p.Value, Owner: p.System, System: p.System,
		Note: fmt.Sprintf("%s is asked for it until %s: %s", p.System, p.ExpiresAt.UTC().Format(time.RFC3339), p.Reason)})
}

// Withdrawal takes back a person's decision about a field.
type Withdrawal struct {
	EntityID string
	Field    domain.Field
	Reason   string
	Asked    bool // a change that is asked of the owner; else a pin
	Cause
}

// Withdraw ends a pin, or a change that is asked of the field's owner: the policy's value counts again, and the owner keeps its own.
// NotFound if there is none.
func (a *Applier) Withdraw(ctx context.Context, w Withdrawal) (res Result, err error) {
	defer domain.Wrap(&err, "change.Withdraw")
	err = a.transact(ctx, w.Cause, func(r *run) error {
		res, err = r.resettle(w.EntityID, func(s *settlement) error {
			p, ok := s.st.Pins[w.Field]
			if !ok || p.Asked != w.Asked {
				what := "no pin"
				if w.Asked {
					what = "no change asked for"
				}
				return &domain.Error{Code: domain.NotFound, Field: w.Field, Message: fmt.Sprintf("%s has %s of %s; `datum pin list %s` shows what there is", s.st.Entity.ID, what, w.Field, s.st.Entity.ID)}
			}
			s.withdraw(p, w.Actor, w.Reason)
			return nil
		})
		return err
	})
	return res, err
}

func (s *settlement) withdraw(p store.Pin, actor, reason string) {
	action, note := store.ActionUnpinned, "withdrawn by "+actor
	if p.Asked {
		action = store.ActionWithdrawn
	}
	if reason = strings.TrimSpace(reason); reason != "" {
		note += ": " + reason
	}
	s.endPin(action, p.Field, p.System, "", note, "")
	s.pinned = true
}

// withdrawAsked ends the changes that a vendor was asked for and has refused.
func (r *run) withdrawAsked(c store.Case, d Decision) error {
	_, err := r.resettle(c.EntityID, func(s *settlement) error {
		for _, f := range c.Detail.Asked {
			if s.asked(c.System, f) {
				s.withdraw(s.st.Pins[f], d.Actor, "case "+c.ID)
			}
		}
		s.dueAgain(c)
		return nil
	})
	return err
}

// askAgain asks an owner once more for a change that it has not confirmed in time.
func (r *run) askAgain(c store.Case, d Decision) error {
	_, err := r.resettle(c.EntityID, func(s *settlement) error {
		if err := s.know(); err != nil {
			return err
		}
		s.resolve()
		e := Edit{System: s.res.Fields[c.Field].Owner, Fields: domain.Values{c.Field: c.Detail.Theirs}, Through: &WriteThrough{Reason: "asked again, case " + c.ID, Authorised: true}, Cause: d.Cause}
		if refused := s.through(e, c.Field, s.kp.Rule(c.Field, s.res.Stage)); refused != nil {
			return refused
		}
		return nil
	})
	return err
}

// ExpireChanges ends the changes whose owners have not confirmed them in time, and opens a case for each. The zero time is now.
// It returns how many entities were concerned.
func (a *Applier) ExpireChanges(ctx context.Context, at time.Time) (n int, err error) {
	defer domain.Wrap(&err, "change.ExpireChanges")
	ids, err := store.ExpiredChanges(ctx, a.pool, at, 100)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		cause := Cause{Actor: "datum", Source: FromPolicy, CorrelationID: domain.NewID("cor")}
		err := a.transact(ctx, cause, func(r *run) error {
			_, err := r.resettle(id, func(s *settlement) error {
				now := at
				if now.IsZero() {
					now = s.st.Now
				}
				if err := s.know(); err != nil {
					return err
				}
				s.resolve()
				s.confirmPins() // what has been answered at this very moment has not expired
				for _, f := range slices.Sorted(maps.Keys(s.st.Pins)) {
					if p := s.st.Pins[f]; p.Asked && p.ExpiresAt != nil && !p.ExpiresAt.After(now) {
						s.expire(p)
					}
				}
				return nil
			})
			return err
		})
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// expire ends a change that was not confirmed in time.
func (s *settlement) expire(p store.Pin) {
	g, name := s.res.Fields[p.Field], NameOf(s.golden)
	s.endPin(store.ActionExpired, p.Field, p.System, "", fmt.Sprintf("%s has not confirmed it since %s", p.System, p.CreatedAt.UTC().Format(time.RFC3339)), "")
	s.pinned = true
	why := "it is not known why"
	if pr := s.st.Projections[p.System]; pr != nil && pr.Error != "" {
		why = pr.Error
	}
	c := store.Case{ID: domain.NewID("case"), Kind: store.CaseUnconfirmed, EntityKind: s.kp.Kind, EntityID: s.st.Entity.ID, System: p.System, Field: p.Field,
		DedupeKey: "unconfirmed|" + s.st.Entity.ID + "|" + string(p.Field), CorrelationID: s.cause.CorrelationID,
		Title: fmt.Sprintf("%s: %s has not confirmed another %s", name, p.System, p.Field),
		Detail: store.CaseDetail{Ours: g.Value, Theirs: p.Value, Owner: p.System,
			Message: fmt.Sprintf("%s asked %s to make %s %s (%s). It was not confirmed in time: %s. The value in force is %s.", p.Actor, p.System, p.Field, clip(p.Value), p.Reason, why, clip(g.Value)),
			Next:    fmt.Sprintf("retry to ask %s once more, change it in %s yourself, or ignore it", p.System, p.System)}}
	for i, open := range s.st.Cases {
		if open.DedupeKey == c.DedupeKey {
			c.ID = s.st.Cases[i].ID
		}
	}
	store.QueueCase(s.batch, c)
	store.QueueEvent(s.batch, store.TopicCase, c.EntityID, c.System, c.ID, s.cause.CorrelationID)
}

func fieldNames(fs []domain.Field) string {
	names := make([]string, len(fs))
	for i, f := range fs {
		names[i] = string(f)
	}
	return strings.Join(names, ", ")
}
