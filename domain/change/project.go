package change

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"datum/domain"
	"datum/domain/ownership"
	"datum/domain/store"
)

// project decides, for every connected system, whether its record still has to be told something.
func (s *settlement) project() error {
	for _, sys := range s.pol.Systems {
		if sys.Adapter == ownership.Native {
			continue
		}
		p := s.st.Projections[sys.Name]
		rec, gone := s.primary(sys.Name)
		if _, carried := s.carrier.Writable(s.systems[sys.Name], s.kp.Kind); !carried {
			continue
		}
		if s.kp.Replicate[sys.Name] == "" || s.kp.Replicate[sys.Name] == ownership.Never || (rec == nil && !gone && !s.kp.Replicates(sys.Name, s.golden, p != nil && p.Needed)) {
			if p != nil && p.Status != store.Detached {
				s.set(p, store.Detached, "", "the policy does not replicate it to "+sys.Name)
			}
			continue
		}
		if p == nil {
			p = &store.Projection{EntityID: s.st.Entity.ID, System: sys.Name, Kind: s.kp.Kind, Lane: s.lane(), Diff: domain.Values{}}
		}
		if gone && rec == nil {
			if p.Status != store.Detached || p.Error == "" {
				s.set(p, store.Detached, domain.NotFound, "deleted in "+sys.Name+"; it is not created again")
			}
			continue
		}
		diff := s.diff(sys.Name, rec)
		if rec != nil && diff["stage"].Text() == "AUTHORISED" && rec.Values["stage"].Text() == "PAID" {
			if paid, err := s.paidFor(); err != nil {
				return err
			} else if paid {
				delete(diff, "stage")
			}
		}
		if rec == nil && p.ExternalID != "" {
			p.ExternalID, p.Diff = "", domain.Values{} // its record has gone with another entity
		}
		if p.Forced = p.Forced && rec != nil && !(s.answered && rec == s.touched); p.Forced {
			diff = s.whole(sys.Name, rec)
		}
		if rec != nil {
			if p.ExternalID != rec.ExternalID {
				// What was wanted of another record, or of a new one.
				p.ExternalID, p.Diff, p.ConfirmedVersion = rec.ExternalID, domain.Values{}, 0
			}
			if len(diff) == 0 {
				s.confirm(p)
				continue
			}
		} else {
			if s.golden["status"] == domain.TextValue("ARCHIVED") {
				if p.Status != "" && p.Status != store.Detached {
					s.set(p, store.Detached, "", "archived before it reached "+sys.Name)
				}
				continue
			}
			if c := s.heldBack(); c != "" {
				s.park(p, diff, domain.Conflict, "it may be a duplicate: decide case "+c+" first")
				continue
			}
			if w, err := s.writeState(); err != nil {
				return err
			} else if !w.Ready[sys.Name] {
				s.park(p, diff, domain.Unready, "waits for the first complete reading of "+sys.Name+", which may hold it already")
				continue
			}
		}
		w, err := s.writeState()
		if err != nil {
			return err
		}
		if fs := slices.DeleteFunc(diff.Fields(), func(f domain.Field) bool { return !slices.Contains(w.Unsafe[sys.Name], f) }); len(fs) > 0 {
			s.park(p, diff, domain.Drift, sys.Name+" does not show "+string(fs[0])+" as it did: see the case")
			continue
		}
		if held, err := s.brakeOut(p, diff, rec); err != nil {
			return err
		} else if !held {
			if err := s.bump(p, diff, rec); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeState reads it once for all systems.
func (s *settlement) writeState() (*store.WriteState, error) {
	if s.writing == nil {
		w, err := store.WriteStateOf(s.ctx, s.tx, s.kp.Kind)
		if err != nil {
			return nil, err
		}
		s.writing = &w
	}
	return s.writing, nil
}

func (s *settlement) lane() string {
	if s.cause.Lane == "" {
		return "live"
	}
	return s.cause.Lane
}

// diff is what the system's record would have to be told: golden values of carried fields it does not own, and pins on
// those it does, less what is held. A new record is told everything.
func (s *settlement) diff(system string, rec *store.Record) domain.Values {
	d := domain.Values{}
	fit := s.carrier.Fit(s.systems[system], s.kp.Kind, s.golden)
	for f := range s.writable(system) {
		g := s.res.Fields[f]
		if s.asked(system, f) {
			s.ask(d, f, rec)
			continue
		}
		if rec == nil {
			if !g.Value.Empty() {
				d[f] = g.Value
			}
			continue
		}
		theirs, carried := rec.Values[f]
		if carried && (equal(theirs, g.Value) || equal(theirs, fit[f])) {
			continue
		}
		if !carried && (g.Value.Empty() || !hasIssue(rec, f) || s.kp.Rule(f, s.res.Stage).Others != ownership.Restore && !overwritten(rec, f)) {
			continue // this object does not carry the field; or its value cannot be read and a person has to see to it
		}
		if g.Owner == system && (g.Why != ownership.ByPin || rejectedElsewhere(s.st.Pins[f], system)) && !overwritten(rec, f) && !rec.Own[f].Back {
			continue
		}
		if h, ok := rec.Held[f]; ok && h.Value == theirs && h.Others != string(ownership.Restore) {
			continue
		}
		if d[f] = g.Value; rec.Own[f].Back {
			d[f] = rec.Own[f].Value
		}
	}
	return d
}

// paidFor reports whether what is known of payments and credits settles the document: a system that says that it is paid is then right,
// before the owner of the stage has said so, and has nothing to be told.
func (s *settlement) paidFor() (bool, error) {
	if s.kp.Kind != domain.KindInvoice && s.kp.Kind != domain.KindCreditNote {
		return false, nil
	}
	settled, err := store.AllocatedTo(s.ctx, s.tx, s.st.Entity.ID)
	if err != nil {
		return false, err
	}
	if s.kp.Kind == domain.KindCreditNote {
		for _, a := range domain.AllocationsOf(s.golden["allocations"]) {
			settled = settled.Add(domain.Amount(domain.TextValue(a.Amount)))
		}
	}
	open := domain.Amount(s.golden["total"]).Sub(settled)
	return open.LessThanOrEqual(decimal.New(5, -2)), nil // two lawful roundings of one document may differ by cents
}

func hasIssue(rec *store.Record, f domain.Field) bool {
	return slices.ContainsFunc(rec.Issues, func(i domain.Issue) bool { return i.Field == f })
}

// heldBack returns an open case that keeps the entity from being created anywhere else.
func (s *settlement) heldBack() string {
	for _, c := range s.st.Cases {
		if c.Kind == store.CaseDuplicate && c.EntityID == s.st.Entity.ID {
			return c.ID
		}
	}
	return ""
}

func (s *settlement) set(p *store.Projection, status store.ProjectionStatus, code domain.Code, msg string) {
	p.Status, p.ErrorCode, p.Error, p.Diff = status, code, msg, domain.Values{}
	s.endTrouble(p, store.CaseRefused, store.CaseStuck)
	s.save(p)
}

func (s *settlement) save(p *store.Projection) {
	p.CorrelationID = s.cause.CorrelationID
	store.QueueProjection(s.batch, p)
	store.QueueEvent(s.batch, store.TopicProjection, p.EntityID, p.System, "", s.cause.CorrelationID)
}

func (s *settlement) confirm(p *store.Projection) {
	if p.Status == store.Confirmed && p.ConfirmedVersion == s.st.Entity.Version {
		return
	}
	s.endTrouble(p, store.CaseRefused, store.CaseStuck)
	quiet := p.Status == store.Confirmed // nothing was ever different here: only the version moves on
	p.Status, p.ConfirmedVersion, p.Diff, p.Attempts, p.ErrorCode, p.Error = store.Confirmed, s.st.Entity.Version, domain.Values{}, 0, "", ""
	if p.DesiredVersion == 0 {
		p.DesiredVersion = 1
	}
	if quiet {
		p.CorrelationID = s.cause.CorrelationID
		store.QueueProjection(s.batch, p)
		return
	}
	s.save(p)
}

// endTrouble closes the cases of these kinds about the projection, which is no longer in that trouble.
func (s *settlement) endTrouble(p *store.Projection, kinds ...string) {
	for _, c := range slices.Clone(s.st.Cases) {
		if slices.Contains(kinds, c.Kind) && c.System == p.System && c.EntityID == p.EntityID {
			s.endCase(c.ID, "closed", "no longer so", "")
		}
	}
}

func (s *settlement) park(p *store.Projection, diff domain.Values, code domain.Code, msg string) {
	if p.Status == store.Parked && p.Error == msg && maps.Equal(p.Diff, diff) {
		return
	}
	p.Status, p.ErrorCode, p.Error, p.Diff = store.Parked, code, msg, diff
	s.save(p)
}

// stays are the codes with which a projection remains parked while it would ask for the same.
var stays = []domain.Code{DryRun, Skipped, store.Waits, store.CodeRejected}

// bump makes the projection pending. A refused one stays refused while it would ask for the same again, and a value that
// the vendor took and shows differently is refused too: writing it again and again would never end.
func (s *settlement) bump(p *store.Projection, diff domain.Values, rec *store.Record) error {
	if rec != nil && rec == s.touched && s.hasWritten(diff) {
		f := diff.Fields()[0]
		p.Status, p.ErrorCode, p.Diff = store.Refused, domain.Invalid, diff
		p.Error = fmt.Sprintf("%s was written and %s shows something else: %s instead of %s", f, p.System, clip(rec.Values[f]), clip(diff[f]))
		err := s.refused(p)
		s.save(p)
		return err
	}
	same := maps.Equal(p.Diff, diff)
	if p.Status == store.Refused && same || p.Status == store.Pending && same || p.Status == store.Parked && slices.Contains(stays, p.ErrorCode) && same {
		return nil
	}
	s.endTrouble(p, store.CaseRefused)
	p.Status, p.Diff, p.DueAt, p.Attempts, p.ErrorCode, p.Error, p.Lane = store.Pending, diff, time.Time{}, 0, "", "", s.lane()
	p.DesiredVersion++
	s.save(p)
	s.wakes = append(s.wakes, Wake{System: p.System, Kind: p.Kind, EntityID: p.EntityID, Lane: p.Lane})
	return nil
}

// hasWritten reports whether our own write, whose answer the record is, said all of this.
func (s *settlement) hasWritten(diff domain.Values) bool {
	for f, v := range diff {
		if w, ok := s.wrote[f]; !ok || w != v {
			return false
		}
	}
	return true
}
