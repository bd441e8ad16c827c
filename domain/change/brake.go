package change

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"datum/domain"
	"datum/domain/ownership"
	"datum/domain/store"
)

// What a person has decided about what the brake held back, see Incoming.Brake.
const (
	Approved = "approved" // it is applied as it is
	Reject   = "rejected" // golden stays as it was: it is pinned, and written back where the system can be written
)

// Braked is the cause of an error of code store.CodeBraked: nothing was changed, because too much would change at once.
type Braked struct{ Changes []store.Change }

func (b *Braked) Error() string {
	return fmt.Sprintf("%d values are not changed: too many records would change at once", len(b.Changes))
}

// gauge is how much has changed lately of one system, kind and way. It is read from the log once a second and counts in
// between what this process has let pass.
type gauge struct {
	at      time.Time
	n, live int64
	ready   bool
	parked  bool // something is held back
	recent  map[string]bool
}

type gaugeKey struct {
	system string
	kind   domain.Kind
	way    ownership.Way
}

// over reports whether one more entity would be too many, and notes it if not. Before its first complete reading a system
// is never too fast. What is held back stays so, however often it is looked at again: externalID is the object whose record
// it is, "" on the way out.
func (r *run) over(b ownership.Brake, k gaugeKey, entity, externalID string) (bool, error) {
	a := r.Applier
	a.mu.Lock()
	g := a.gauges[k]
	fresh := g != nil && time.Since(g.at) < time.Second && (len(g.recent) == 0 || g.n+int64(len(g.recent)) < b.Limit(g.live) || g.recent[entity])
	a.mu.Unlock()
	if !fresh {
		n, live, ready, parked, err := store.Changing(r.ctx, r.tx, k.system, k.kind, string(k.way), b.Window, b.Count)
		if err != nil {
			return false, err
		}
		g = &gauge{at: time.Now(), n: n, live: live, ready: ready, parked: parked, recent: map[string]bool{}}
		a.mu.Lock()
		a.gauges[k] = g
		a.mu.Unlock()
	}
	if externalID != "" && g.parked {
		if held, err := store.HeldBack(r.ctx, r.tx, k.system, k.kind, externalID); err != nil || held {
			return held, err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !g.ready {
		return false, nil
	}
	if !g.recent[entity] && g.n+int64(len(g.recent)) >= b.Limit(g.live) {
		return true, nil
	}
	g.recent[entity] = true
	store.QueueBrakeLog(r.batch, k.system, k.kind, string(k.way), entity)
	return false, nil
}

// young reports whether the entity is a document that is new: what is new moves.
func (s *settlement) young(b ownership.Brake) bool {
	return !b.New && s.kp.Kind != domain.KindCustomer && s.kp.Kind != domain.KindProduct && s.kp.Kind != domain.KindLocation &&
		s.st.Now.Sub(s.st.Entity.CreatedAt) < b.Window
}

// brakeIn refuses to change golden values, or to take a record for deleted, if that would be too many at once. It is asked
// before anything is queued. Stock moves all the time and is not watched.
func (s *settlement) brakeIn() error {
	var changes []store.Change
	before := s.st.Entity.Golden
	name := NameOf(before)
	for f, g := range s.res.Fields {
		if !exact(before[f], g.Value) {
			changes = append(changes, store.Change{EntityID: s.st.Entity.ID, Name: name, Field: f, From: before[f], To: g.Value})
		}
	}
	way := ownership.In
	if s.vanishes {
		way = ownership.Gone
		changes = append(changes, store.Change{EntityID: s.st.Entity.ID, Name: name, From: domain.TextValue("there"), To: domain.TextValue("deleted in " + s.touched.System)})
	}
	b := s.pol.Brake(s.touched.System, way)
	if len(changes) == 0 || b.Off || s.kp.Kind == domain.KindStockLevel || s.fresh && !b.New || s.young(b) {
		return nil
	}
	over, err := s.over(b, gaugeKey{s.touched.System, s.kp.Kind, way}, s.st.Entity.ID, s.touched.ExternalID)
	if err != nil || !over {
		return err
	}
	return &domain.Error{Code: store.CodeBraked, System: s.touched.System, Message: "too many records would change at once; a person is asked", Err: &Braked{changes}}
}

// rejection begins the reason of a pin that keeps what a mass change would have changed. It holds until that has been written over
// where it came from, and tells nobody else anything new.
const rejection = "a mass change of "

func rejected(system string) string { return rejection + system + " was rejected" }

// rejectedElsewhere reports whether the pin keeps what a mass change of another system would have changed.
func rejectedElsewhere(p store.Pin, system string) bool {
	return strings.HasPrefix(p.Reason, rejection) && p.Reason != rejected(system)
}

// keepGolden pins what the record would change: a person has rejected it.
func (s *settlement) keepGolden() {
	for f, g := range s.res.Fields {
		if before := s.st.Entity.Golden[f]; !exact(before, g.Value) {
			if before == "" {
				before = domain.Null
			}
			s.pin(s, f, before, s.cause.Actor, rejected(s.touched.System))
		}
	}
	s.resolve()
}

// brakeOut parks a projection whose write would be one too many of a new policy, an import, a flow, a run of reprocessing or edits
// through the API. Under a new policy
// everything is held until it is known how much that is: nothing is sent before.
func (s *settlement) brakeOut(p *store.Projection, diff domain.Values, rec *store.Record) (bool, error) {
	same := maps.Equal(p.Diff, diff)
	if p.Status == store.Parked && (p.ErrorCode == store.CodeHeld || p.ErrorCode == store.CodeBraked) {
		if !same {
			p.Diff = diff
			p.DesiredVersion++
			s.save(p)
		}
		return true, nil
	}
	way := ownership.Out
	if s.cause.Source == FromMutation {
		way = ownership.Edits
	}
	b := s.pol.Brake(p.System, way)
	if s.foretells || b.Off || same && p.Status != "" || s.kp.Kind == domain.KindStockLevel || rec == nil && !b.New || s.cause.Source == FromProjection {
		return false, nil
	}
	if s.cause.Source == FromPolicy || s.policyWas != 0 && s.policyWas != s.st.Policy {
		live, err := store.LiveRecords(s.ctx, s.tx, p.System, s.kp.Kind)
		if err != nil || live <= int64(b.Count) {
			return false, err
		}
		s.hold(p, diff, store.CodeHeld, "waits until it is known how much the new policy would write to "+p.System)
		return true, nil
	}
	switch s.cause.Source {
	case FromImport, FromFlow, FromMutation:
	case FromReprocess:
		// What waited already was let through before; and what follows from what came in was judged on its way in.
		if p.Status != store.Confirmed || s.touched != nil && (!s.judged || s.touched.System != p.System) {
			return false, nil
		}
	default:
		return false, nil
	}
	if s.young(b) {
		return false, nil
	}
	over, err := s.over(b, gaugeKey{p.System, s.kp.Kind, way}, s.st.Entity.ID, "")
	if err != nil || !over {
		return false, err
	}
	s.hold(p, diff, store.CodeBraked, "more would be written to "+p.System+" at once than could be everyday business; a person is asked")
	return true, nil
}

func (s *settlement) hold(p *store.Projection, diff domain.Values, code domain.Code, message string) {
	s.endTrouble(p, store.CaseRefused)
	p.Status, p.ErrorCode, p.Error, p.Diff, p.Attempts, p.Lane = store.Parked, code, message, diff, 0, "bulk"
	p.DesiredVersion++
	s.save(p)
}

// massKey names the case of what is held back; way is in or out.
func massKey(s store.BrakeState) string {
	return "mass_change|" + s.Way + "|" + s.System + "|" + string(s.Kind)
}

func outward(c store.Case) bool {
	return c.DedupeKey == massKey(store.BrakeState{System: c.System, Kind: c.EntityKind, Way: "out"})
}

// MassCase is the case of what a brake holds back, with what it would change.
func MassCase(s store.BrakeState, records int64, counts map[string]int64, sample []store.Change) store.Case {
	c := store.Case{ID: domain.NewID("case"), Kind: store.CaseMassChange, EntityKind: s.Kind, System: s.System, DedupeKey: massKey(s),
		Detail: store.CaseDetail{Counts: counts, Changes: sample, Held: s.N}}
	if s.Way == "out" {
		c.Title = fmt.Sprintf("%d of %d %ss in %s would be written over at once", s.N, records, s.Kind, s.System)
		c.Detail.Message = fmt.Sprintf("A new policy, an import, a flow, a run of reprocessing or edits through the API would write to %d of the %d %ss in %s: %s. Of these nothing has been sent.", s.N, records, s.Kind, s.System, tally(counts))
		c.Detail.Next = "look at the examples; approve to have exactly these written, or reject to leave them as they are in " + s.System + ". A policy is taken back by publishing the one before: what it wanted is then no longer held and this case closes"
		return c
	}
	c.Title = fmt.Sprintf("%s would change or delete %d of %d %ss at once", s.System, s.N, records, s.Kind)
	c.Detail.Message = fmt.Sprintf("What came from %s would change %d %ss here and everywhere: %s. Until this is decided they stay as they were; everything else goes on.", s.System, s.N, s.Kind, tally(counts))
	c.Detail.Next = "look in " + s.System + " whether somebody meant this; approve to let exactly these through, or reject to keep what was and write it back"
	return c
}

// tally lists how many of each.
func tally(counts map[string]int64) string {
	text := ""
	for _, f := range slices.Sorted(maps.Keys(counts)) {
		what := f
		if f == "" {
			what = "gone"
		}
		text += fmt.Sprintf(", %s of %d", what, counts[f])
	}
	if text == "" {
		return "nothing any more"
	}
	return text[2:]
}

// approve lets through what the brake holds back.
func (r *run) approve(c store.Case, _ Decision) error {
	if mapped(c) {
		return r.approveMapping(c)
	}
	if outward(c) {
		if _, err := store.ReleaseBraked(r.ctx, r.tx, c.System, c.EntityKind, store.CodeBraked); err != nil {
			return err
		}
		r.wakes = append(r.wakes, Wake{System: c.System, Kind: c.EntityKind, EntityID: "*", Lane: "bulk"})
		return nil
	}
	if _, err := store.DecideParked(r.ctx, r.tx, c.System, c.EntityKind, Approved); err != nil {
		return err
	}
	return r.queue.Ingest(r.ctx, r.tx, c.System)
}

// reject keeps what was: inwards golden, outwards what the system has.
func (r *run) reject(c store.Case, _ Decision) error {
	if mapped(c) {
		return store.UnparkMapping(r.ctx, r.tx, c.System)
	}
	if outward(c) {
		return store.RecodeBraked(r.ctx, r.tx, c.System, c.EntityKind, store.CodeBraked, store.CodeRejected,
			"a mass change was rejected: it stays as it is in "+c.System+" until something else changes")
	}
	if _, err := store.DecideParked(r.ctx, r.tx, c.System, c.EntityKind, Reject); err != nil {
		return err
	}
	return r.queue.Ingest(r.ctx, r.tx, c.System)
}
