package change

import (
	"fmt"
	"slices"
	"strings"

	"datum/domain"
	"datum/domain/match"
	"datum/domain/ownership"
	"datum/domain/store"
)

// What a choice does. The end of the case is queued before: resettle flushes it, so the case is no longer in the state.

// accept makes their value golden.
func (r *run) accept(c store.Case, d Decision) error {
	_, err := r.resettle(c.EntityID, func(s *settlement) error {
		return r.decideField(s, c.Field, c.Detail.Theirs, d.Actor, "accepted "+c.System+"'s value, case "+c.ID)
	})
	return err
}

// decideField makes a value golden: through a pin until the owner has it, or as the word of an owner that is Datum's own.
func (r *run) decideField(s *settlement, f domain.Field, v domain.Value, actor, reason string) error {
	owner := s.kp.Rule(f, s.st.Entity.Stage).Owner
	if s.pol.Adapter(owner) != ownership.Native {
		r.pin(s, f, v, actor, reason)
		return nil
	}
	_, err := s.contributeKeyed(owner, domain.Values{f: v})
	return err
}

// keepOurs lets the value in force be written back.
func (r *run) keepOurs(c store.Case, _ Decision) error {
	_, err := r.resettle(c.EntityID, func(s *settlement) error {
		for _, rec := range s.st.Records {
			if rec.System == c.System {
				delete(rec.Held, c.Field)
				rec.Confirmed[c.Field] = rec.Values[c.Field] // answered: no longer an edit
				s.dirty[rec] = true
			}
		}
		return nil
	})
	return err
}

// again settles what the case has held back.
func (r *run) again(c store.Case, _ Decision) error {
	_, err := r.resettle(c.EntityID, nil)
	return err
}

// same merges the two entities of a case. The one that the person names stays, else the other one of the case.
func (r *run) same(c store.Case, d Decision) error {
	loser, survivor := c.EntityID, c.OtherID
	switch d.TargetID {
	case "", survivor:
	case loser:
		loser, survivor = survivor, loser
	default:
		return domain.Errorf(domain.Invalid, "case %s is about %s and %s: one of them has to stay, not %s", c.ID, c.EntityID, c.OtherID, d.TargetID)
	}
	if err := r.mergeEntities(loser, survivor, d.Actor+" decided that they are the same", "case "+c.ID); err != nil {
		return err
	}
	_, err := r.resettle(survivor, nil)
	return err
}

// field returns the field that a decision sets, and the value in canonical form. What is refused keeps its field, so that a
// person can see which value is meant.
func (r *run) field(c store.Case, d Decision) (domain.Field, domain.Value, error) {
	f := d.Field
	if f == "" {
		f = c.Field
	}
	if fields := c.Detail.Sent.Fields(); f == "" && len(fields) == 1 {
		f = fields[0]
	} else if f == "" {
		return "", "", domain.Errorf(domain.Invalid, "case %s concerns %d fields: say which one gets the value", c.ID, len(fields))
	}
	ki, _ := c.EntityKind.Info()
	fi, ok := ki.Field(f)
	if !ok {
		return "", "", &domain.Error{Code: domain.Invalid, Field: f, Message: fmt.Sprintf("a %s has no field %s", strings.ToLower(string(c.EntityKind)), f)}
	}
	v, issues := domain.Normalize(fi, d.Value)
	for _, is := range issues {
		if is.Severity == domain.Problem {
			return "", "", &domain.Error{Code: domain.Invalid, Field: f, Message: is.Message}
		}
	}
	return f, v, nil
}

// correct sets a field to the value that a person gives, as its owner, and sees to it that the system of the case is told.
func (r *run) correct(c store.Case, d Decision) error {
	f, v, err := r.field(c, d)
	if err != nil {
		return err
	}
	if c.Kind == store.CaseInvalid {
		if err := r.overwriteField(c, f); err != nil {
			return err
		}
	}
	return r.setAsOwner(c, domain.Values{f: v}, d)
}

// setAsOwner edits fields in the name of the systems that own them, and makes the projection of the case due.
func (r *run) setAsOwner(c store.Case, values domain.Values, d Decision) error {
	st, pol, err := r.lock(c.EntityID)
	if err != nil {
		return err
	}
	byOwner := map[string]domain.Values{}
	for _, f := range values.Fields() {
		owner := pol.Kind(st.Entity.Kind).Rule(f, st.Entity.Stage).Owner
		if byOwner[owner] == nil {
			byOwner[owner] = domain.Values{}
		}
		byOwner[owner][f] = values[f]
	}
	for _, sys := range pol.Systems {
		if byOwner[sys.Name] == nil {
			continue
		}
		var res Result
		if err := r.update(Edit{System: sys.Name, Kind: c.EntityKind, EntityID: st.Entity.ID, Fields: byOwner[sys.Name], Cause: d.Cause}, &res); err != nil {
			return err
		}
		if len(res.Refused) > 0 {
			return res.Refused[0]
		}
	}
	_, err = r.resettle(st.Entity.ID, func(s *settlement) error {
		for f, v := range values {
			for _, rec := range s.st.Records {
				if v.Empty() && rec.System != s.kp.Rule(f, s.st.Entity.Stage).Owner {
					rec.Echo[f] = true // a person has cleared it, knowing what is there: that must not fill the gap
					s.dirty[rec] = true
				}
			}
		}
		s.dueAgain(c)
		return nil
	})
	return err
}

// acceptRecord makes what the vendor's record says golden, for the fields whose values it has refused.
func (r *run) acceptRecord(c store.Case, d Decision) error {
	st, _, err := r.lock(c.EntityID)
	if err != nil {
		return err
	}
	p := st.Projections[c.System]
	i := slices.IndexFunc(st.Records, func(x *store.Record) bool { return x.System == c.System && x.ExternalID == c.ExternalID && !x.Deleted })
	if p == nil || i < 0 {
		return domain.Errorf(domain.Conflict, "%s has no such record any more", c.System)
	}
	values := domain.Values{}
	for _, f := range p.Diff.Fields() {
		if v, carried := st.Records[i].Values[f]; carried {
			values[f] = v
		}
	}
	return r.setAsOwner(c, values, d)
}

// overwrite lets the value in force be written over one that cannot be used.
func (r *run) overwrite(c store.Case, _ Decision) error {
	if err := r.overwriteField(c, c.Field); err != nil {
		return err
	}
	_, err := r.resettle(c.EntityID, nil)
	return err
}

// overwriteField notes that what a record has in a field is to be written over. It is noted with the record because a value
// that cannot be used is in no comparison.
func (r *run) overwriteField(c store.Case, f domain.Field) error {
	st, pol, err := r.lock(c.EntityID)
	if err != nil {
		return err
	}
	s := &settlement{run: r, st: st, pol: pol, kp: pol.Kind(st.Entity.Kind)}
	if err := s.know(); err != nil {
		return err
	}
	if cond := s.kp.Replicate[c.System]; !s.writable(c.System)[f] || cond == "" || cond == ownership.Never {
		return &domain.Error{Code: domain.Unsupported, System: c.System, Field: f, Message: fmt.Sprintf("%s cannot be written to %s: correct it there, it is read again by itself", f, c.System)}
	}
	for _, rec := range st.Records {
		if rec.System == c.System && rec.ExternalID == c.ExternalID {
			rec.Held[f] = store.Held{Others: string(ownership.Restore)}
			store.QueueRecord(r.batch, rec)
		}
	}
	return nil
}

// overwritten reports whether a person has said that what a record has in a field is to be written over.
func overwritten(rec *store.Record, f domain.Field) bool {
	h, ok := rec.Held[f]
	return ok && h.Value.Empty() && h.Others == string(ownership.Restore)
}

// retry makes what was refused or keeps failing due at once.
func (r *run) retry(c store.Case, d Decision) error {
	if gathers(c) {
		return r.retryAll(c)
	}
	if c.EntityID == "" {
		n, err := store.RetrySignals(r.ctx, r.tx, c.System, c.EntityKind, c.ExternalID)
		if err != nil || n == 0 {
			return err
		}
		return r.queue.Ingest(r.ctx, r.tx, c.System)
	}
	_, err := r.resettle(c.EntityID, func(s *settlement) error {
		s.dueAgain(c)
		return nil
	})
	return err
}

// dueAgain makes the projection due that a case is about.
func (s *settlement) dueAgain(c store.Case) {
	p := s.st.Projections[c.System]
	if (c.Kind == store.CaseRefused || c.Kind == store.CaseStuck) && p != nil && p.Status != store.Confirmed {
		p.Diff = domain.Values{} // differs from anything
	}
}

// retryAuth lets the system's credentials be tried once more.
func (r *run) retryAuth(c store.Case, _ Decision) error {
	return store.TryCredentialAgain(r.ctx, r.tx, c.System)
}

// provisional begins the reason of a pin that holds only until the owner of the field has a value.
const provisional = "until its owner has a word: "

// pin sets a pin in the state and queues it.
func (r *run) pin(s *settlement, f domain.Field, v domain.Value, actor, reason string) {
	if was, ok := s.st.Pins[f]; ok && was.Asked {
		s.endPin(store.ActionWithdrawn, f, was.System, "", "a decision stands in its place: "+reason, "")
	}
	p := store.Pin{Field: f, Value: v, Actor: actor, Reason: reason}
	s.st.Pins[f] = p
	s.st.decide(f)
	s.pinned = true
	store.QueuePin(r.batch, s.st.Entity.ID, p)
	r.history(&s.st.Entity, store.History{Action: store.ActionPinned, Field: f, Old: s.st.Entity.Golden[f], New: v, Note: reason})
}

// createFrom makes an entity of an unlinked record, on a person's word.
func (r *run) createFrom(c store.Case, _ Decision) error {
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
	return r.adoptInto(e.ID, rec, func(s *settlement) {
		s.created = true
		r.history(&s.st.Entity, store.History{Action: store.ActionLinked, System: rec.System, ExternalID: rec.ExternalID, Note: "new, case " + c.ID})
		s.resolve()
		for _, f := range rec.Values.Fields() {
			// The policy would not ask this system; there is nobody else to ask yet.
			if g := s.res.Fields[f]; !rec.Values[f].Empty() && g.Value.Empty() {
				r.pin(s, f, rec.Values[f], r.cause.Actor, provisional+"created from "+rec.System+"'s record")
			}
		}
	})
}

// linkTo links an unlinked record to the entity that a person names.
func (r *run) linkTo(c store.Case, d Decision) error {
	if domain.KindOfID(d.TargetID) != c.EntityKind {
		return domain.Errorf(domain.Invalid, "there is no %s %s", strings.ToLower(string(c.EntityKind)), d.TargetID)
	}
	st, _, err := r.lock(d.TargetID)
	if err != nil {
		return err
	}
	for _, x := range st.Records {
		if x.System == c.System && !x.Deleted {
			return domain.Errorf(domain.Conflict, "%s has the record %s for %s already: merge the two there, or link this one to another", c.System, x.ExternalID, NameOf(st.Entity.Golden))
		}
	}
	rec, err := store.LockRecord(r.ctx, r.tx, c.System, c.EntityKind, c.ExternalID)
	if err != nil || rec == nil || rec.EntityID != "" {
		return err
	}
	rec.Home = d.TargetID
	return r.adoptInto(st.Entity.ID, rec, func(s *settlement) {
		r.history(&s.st.Entity, store.History{Action: store.ActionLinked, System: rec.System, ExternalID: rec.ExternalID, Note: d.Actor + " said so, case " + c.ID})
	})
}

// adoptInto settles an entity with one more record, and wakes what has waited for that.
func (r *run) adoptInto(entity string, rec *store.Record, edit func(s *settlement)) error {
	var cases []string
	_, err := r.resettle(entity, func(s *settlement) error {
		rec.EntityID = s.st.Entity.ID
		s.st.put(rec)
		s.dirty[rec] = true
		edit(s)
		return nil
	})
	if err != nil {
		return err
	}
	if cases, err = r.gained(rec, nil, match.Keys(rec.Kind, rec.Values)); err != nil {
		return err
	}
	if len(cases) > 0 {
		if _, err := r.resettle(entity, nil); err != nil { // what may be a duplicate is held back
			return err
		}
	}
	if err := r.flush(); err != nil {
		return err
	}
	return r.arrived(rec.System, rec)
}
