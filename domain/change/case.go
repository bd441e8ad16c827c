package change

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"datum/domain"
	"datum/domain/ownership"
	"datum/domain/store"
)

// Choices of cases.
const (
	ChoiceAccept    = "accept"    // theirs becomes golden and travels to the owner
	ChoiceKeepOurs  = "keep_ours" // ours is written back
	ChoiceSame      = "same"      // the two entities are one: merge
	ChoiceDifferent = "different" // they are not, and are not asked about again
	ChoiceRetry     = "retry"     // try again as it is
	ChoiceIgnore    = "ignore"    // close it and do nothing
	ChoiceCreate    = "create"    // make a new entity of an unlinked record
)

func conflictKey(entity, system string, f domain.Field) string {
	return "conflict|" + entity + "|" + system + "|" + string(f)
}

func (s *settlement) openConflict(system, externalID string, f domain.Field, theirs domain.Value, g ownership.Golden) string {
	key := conflictKey(s.st.Entity.ID, system, f)
	for i, c := range s.st.Cases {
		if c.DedupeKey == key {
			if c.Detail.Theirs == theirs && equal(c.Detail.Ours, g.Value) {
				return c.ID
			}
			s.st.Cases[i].Detail.Theirs, s.st.Cases[i].Detail.Ours = theirs, g.Value
			c.Detail.Theirs, c.Detail.Ours = theirs, g.Value
			store.QueueCase(s.batch, c)
			store.QueueEvent(s.batch, store.TopicCase, s.st.Entity.ID, system, c.ID, s.cause.CorrelationID)
			return c.ID
		}
	}
	name := NameOf(s.golden)
	c := store.Case{ID: domain.NewID("case"), Kind: store.CaseConflict, EntityKind: s.kp.Kind, EntityID: s.st.Entity.ID, System: system,
		ExternalID: externalID, Field: f, DedupeKey: key, CorrelationID: s.cause.CorrelationID,
		Title: fmt.Sprintf("%s: %s and %s disagree about %s", name, system, g.Owner, f),
		Detail: store.CaseDetail{Ours: g.Value, Theirs: theirs, Owner: g.Owner,
			Message: fmt.Sprintf("%s says %s; %s owns %s and the value in force is %s. Until this is decided each keeps its own.", system, clip(theirs), g.Owner, f, clip(g.Value)),
			Next:    fmt.Sprintf("accept to write theirs to %s and everywhere, or keep ours to write the value in force back to %s", g.Owner, system)},
		Choices: []string{ChoiceAccept, ChoiceKeepOurs}}
	store.QueueCase(s.batch, c)
	store.QueueEvent(s.batch, store.TopicCase, c.EntityID, system, c.ID, s.cause.CorrelationID)
	s.st.Cases = append(s.st.Cases, c)
	s.out.Cases = append(s.out.Cases, c.ID)
	return c.ID
}

func (s *settlement) refusedCase(p *store.Projection) {
	c := RefusedCase(p, NameOf(s.golden), s.cause.CorrelationID)
	store.QueueCase(s.batch, c)
	store.QueueEvent(s.batch, store.TopicCase, c.EntityID, c.System, c.ID, s.cause.CorrelationID)
	s.out.Cases = append(s.out.Cases, c.ID)
}

// RefusedCase is the case of a projection that the vendor has refused.
func RefusedCase(p *store.Projection, name, correlationID string) store.Case {
	return store.Case{ID: domain.NewID("case"), Kind: store.CaseRefused, EntityKind: p.Kind, EntityID: p.EntityID, System: p.System,
		ExternalID: p.ExternalID, DedupeKey: "refused|" + p.EntityID + "|" + p.System, CorrelationID: correlationID,
		Title:   fmt.Sprintf("%s: %s refused %s", name, p.System, strings.Join(strings.Split(p.Diff.String(), ","), ", ")),
		Detail:  store.CaseDetail{Message: p.Error, Next: "correct the value where it is owned, or the setting in " + p.System + ", then retry"},
		Choices: []string{ChoiceRetry, ChoiceIgnore}}
}

// cases opens cases for values that cannot be used, and closes those that the world has overtaken.
func (s *settlement) cases() error {
	wanted := map[string]bool{}
	for _, rec := range s.st.Records {
		if rec.Deleted {
			continue
		}
		for f, h := range rec.Held {
			if h.Others == string(ownership.Propose) {
				wanted[conflictKey(s.st.Entity.ID, rec.System, f)] = true
			}
		}
		for _, is := range rec.Issues {
			if is.Severity != domain.Problem {
				continue
			}
			key := "invalid|" + rec.System + "|" + rec.ExternalID + "|" + string(is.Field)
			wanted[key] = true
			if i := slices.IndexFunc(s.st.Cases, func(c store.Case) bool { return c.DedupeKey == key }); i >= 0 && s.st.Cases[i].Detail.Theirs == domain.TextValue(is.Value) {
				continue
			}
			if ignored, err := store.CaseIgnored(s.ctx, s.tx, key, domain.TextValue(is.Value)); err != nil {
				return err
			} else if ignored {
				continue
			}
			c := store.Case{ID: domain.NewID("case"), Kind: store.CaseInvalid, EntityKind: s.kp.Kind, EntityID: s.st.Entity.ID, System: rec.System,
				ExternalID: rec.ExternalID, Field: is.Field, DedupeKey: key, CorrelationID: s.cause.CorrelationID,
				Title: fmt.Sprintf("%s: the %s in %s cannot be used", NameOf(s.golden), is.Field, rec.System),
				Detail: store.CaseDetail{Theirs: domain.TextValue(is.Value), Ours: s.golden[is.Field], Message: is.Message,
					Next: "correct it in " + rec.System + "; everything else of the record is used as it is"},
				Choices: []string{ChoiceIgnore}}
			store.QueueCase(s.batch, c)
			store.QueueEvent(s.batch, store.TopicCase, c.EntityID, rec.System, c.ID, s.cause.CorrelationID)
			s.out.Cases = append(s.out.Cases, c.ID)
		}
	}
	for _, c := range slices.Clone(s.st.Cases) {
		overtaken := (c.Kind == store.CaseConflict && !strings.HasPrefix(c.ExternalID, "proposal:") || c.Kind == store.CaseInvalid) && !wanted[c.DedupeKey]
		if c.Kind == store.CaseConflict && strings.HasPrefix(c.ExternalID, "proposal:") && equal(c.Detail.Theirs, s.golden[c.Field]) {
			overtaken = true
		}
		if overtaken && c.EntityID == s.st.Entity.ID {
			s.endCase(c.ID, "closed", "no longer so", "")
		}
	}
	return nil
}

func (s *settlement) endCase(id, status, resolution, by string) {
	store.QueueCaseEnd(s.batch, id, status, resolution, by)
	store.QueueEvent(s.batch, store.TopicCase, s.st.Entity.ID, "", id, s.cause.CorrelationID)
	s.st.Cases = slices.DeleteFunc(s.st.Cases, func(c store.Case) bool { return c.ID == id })
}

// Decision is a person's answer to a case.
type Decision struct {
	CaseID string
	Choice string
	Cause
}

// Decide carries a decision out. Conflict if the case has ended meanwhile, Invalid if it has no such choice.
func (a *Applier) Decide(ctx context.Context, d Decision) (c store.Case, err error) {
	defer domain.Wrap(&err, "change.Decide")
	d.Cause.Source = FromCase
	err = a.transact(ctx, d.Cause, func(r *run) error {
		if c, err = store.CaseByID(ctx, r.tx, d.CaseID, false); err != nil {
			return err
		}
		if err = r.lockCase(&c); err != nil {
			return err
		}
		if c.Status != "open" {
			return domain.Errorf(domain.Conflict, "case %s is no longer open: %s", c.ID, c.Resolution)
		}
		if !slices.Contains(c.Choices, d.Choice) {
			return domain.Errorf(domain.Invalid, "case %s can be answered with %s, not %q", c.ID, strings.Join(c.Choices, " or "), d.Choice)
		}
		return r.decide(c, d)
	})
	if err != nil {
		return c, err
	}
	return store.CaseByID(ctx, a.pool, d.CaseID, false)
}

// lockCase locks what the case is about, and then the case, and reads it again: of two decisions at once one is heard.
func (r *run) lockCase(c *store.Case) error {
	for _, id := range []string{min(c.EntityID, c.OtherID), max(c.EntityID, c.OtherID)} {
		if domain.KindOfID(id) == "" {
			continue
		}
		if _, err := store.LockEntity(r.ctx, r.tx, id); err != nil {
			return err
		}
	}
	locked, err := store.CaseByID(r.ctx, r.tx, c.ID, true)
	if err == nil {
		*c = locked
	}
	return err
}

func (r *run) decide(c store.Case, d Decision) error {
	end := func() {
		store.QueueCaseEnd(r.batch, c.ID, "resolved", d.Choice, d.Actor)
		store.QueueEvent(r.batch, store.TopicCase, c.EntityID, c.System, c.ID, d.CorrelationID)
	}
	if c.Kind == store.CaseDuplicate && d.Choice == ChoiceSame {
		end()
		if err := r.mergeEntities(c.EntityID, c.OtherID, d.Actor+" decided that they are the same"); err != nil {
			return err
		}
		_, err := r.resettle(c.OtherID, nil)
		return err
	}
	end()
	if c.Kind == store.CaseUnlinked && d.Choice == ChoiceCreate {
		return r.createFrom(c)
	}
	if c.EntityID == "" {
		return nil
	}
	_, err := r.resettle(c.EntityID, func(s *settlement) error {
		s.st.Cases = slices.DeleteFunc(s.st.Cases, func(x store.Case) bool { return x.ID == c.ID })
		switch {
		case c.Kind == store.CaseConflict && d.Choice == ChoiceAccept:
			return r.accept(s, c, d)
		case c.Kind == store.CaseConflict && d.Choice == ChoiceKeepOurs:
			for _, rec := range s.st.Records {
				if rec.System == c.System {
					delete(rec.Held, c.Field)
					rec.Confirmed[c.Field] = rec.Values[c.Field] // answered: no longer an edit
					s.dirty[rec] = true
				}
			}
		case (c.Kind == store.CaseRefused || c.Kind == store.CaseStuck) && d.Choice == ChoiceRetry:
			if p := s.st.Projections[c.System]; p != nil {
				p.Diff = domain.Values{} // differs from anything: due again
			}
		}
		return nil
	})
	return err
}

// accept makes their value golden: through a pin until the owner has it, or as the word of an owner that is Datum's own.
func (r *run) accept(s *settlement, c store.Case, d Decision) error {
	owner := s.kp.Rule(c.Field, s.st.Entity.Stage).Owner
	if s.pol.Adapter(owner) != ownership.Native {
		r.pin(s, c.Field, c.Detail.Theirs, d.Actor, "accepted "+c.System+"'s value, case "+c.ID)
		return nil
	}
	_, err := s.contributeKeyed(owner, domain.Values{c.Field: c.Detail.Theirs})
	return err
}

// provisional begins the reason of a pin that holds only until the owner of the field has a value.
const provisional = "until its owner has a word: "

// pin sets a pin in the state and queues it.
func (r *run) pin(s *settlement, f domain.Field, v domain.Value, actor, reason string) {
	p := store.Pin{Field: f, Value: v, Actor: actor, Reason: reason}
	s.st.Pins[f] = p
	s.pinned = true
	store.QueuePin(r.batch, s.st.Entity.ID, p)
	r.history(&s.st.Entity, store.History{Action: store.ActionPinned, Field: f, Old: s.st.Entity.Golden[f], New: v, Note: reason})
}

// createFrom makes an entity of an unlinked record, on a person's word.
func (r *run) createFrom(c store.Case) error {
	rec, err := store.LockRecord(r.ctx, r.tx, c.System, c.EntityKind, c.ExternalID)
	if err != nil {
		return err
	}
	if rec == nil || rec.EntityID != "" {
		return nil
	}
	ki, _ := c.EntityKind.Info()
	e := store.Entity{ID: domain.NewID(ki.Prefix), Kind: c.EntityKind, Golden: domain.Values{}, Provenance: map[domain.Field]store.Provenance{}}
	if err := store.QueueEntity(r.batch, &e); err != nil {
		return err
	}
	_, err = r.resettle(e.ID, func(s *settlement) error {
		rec.EntityID = e.ID
		s.created = true
		s.st.put(rec)
		s.dirty[rec] = true
		r.history(&s.st.Entity, store.History{Action: store.ActionLinked, System: rec.System, ExternalID: rec.ExternalID, Note: "new, case " + c.ID})
		s.resolve()
		for _, f := range rec.Values.Fields() {
			// The policy would not ask this system; there is nobody else to ask yet.
			if g := s.res.Fields[f]; !rec.Values[f].Empty() && g.Value.Empty() {
				r.pin(s, f, rec.Values[f], r.cause.Actor, provisional+"created from "+rec.System+"'s record")
			}
		}
		return nil
	})
	return err
}

// resettle locks an entity, lets edit change its state, and settles it.
func (r *run) resettle(id string, edit func(s *settlement) error) (Result, error) {
	st, pol, err := r.lock(id)
	if err != nil {
		return Result{}, err
	}
	s := &settlement{run: r, st: st, pol: pol, kp: pol.Kind(st.Entity.Kind), dirty: map[*store.Record]bool{}}
	if edit != nil {
		if err := edit(s); err != nil {
			return Result{}, err
		}
	}
	res, err := s.settle()
	return res.Result, err
}

// Resettle resolves an entity again: after a new policy, or when something it waited for has happened.
func (a *Applier) Resettle(ctx context.Context, id string, cause Cause) (res Result, err error) {
	defer domain.Wrap(&err, "change.Resettle")
	err = a.transact(ctx, cause, func(r *run) error {
		res, err = r.resettle(id, nil)
		return err
	})
	return res, err
}

// Retry makes a refused or waiting projection due at once. NotFound if the entity has none in the system.
func (a *Applier) Retry(ctx context.Context, entityID, system string, cause Cause) error {
	return a.transact(ctx, cause, func(r *run) error {
		_, err := r.resettle(entityID, func(s *settlement) error {
			p := s.st.Projections[system]
			if p == nil {
				return domain.Errorf(domain.NotFound, "%s has no projection to %s", entityID, system)
			}
			for _, c := range slices.Clone(s.st.Cases) {
				if c.Kind == store.CaseRefused && c.System == system {
					s.endCase(c.ID, "resolved", ChoiceRetry, cause.Actor)
				}
			}
			if p.Status != store.Confirmed {
				p.Diff = domain.Values{}
			}
			return nil
		})
		return err
	})
}
