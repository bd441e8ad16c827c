package change

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"datum/domain"
	"datum/domain/match"
	"datum/domain/ownership"
	"datum/domain/store"
)

// settlement brings one locked entity to rest after a change: it resolves golden values, judges edits by non-owners,
// decides what each system still has to be told, and queues everything that differs from what is stored.
type settlement struct {
	*run
	st      *state
	pol     *ownership.Policy
	kp      *ownership.KindPolicy
	systems map[string]ownership.System // those of the policy, with settings
	created bool
	parted  bool // it is one of its own again: its golden row is to be made anew

	touched *store.Record         // the record that has just been seen, nil if none
	was     *store.Record         // what it was before, nil if it is new
	changed map[domain.Field]bool // its fields that changed with that
	// answered says that the record is the answer to our own write, and wrote are the values that it set.
	answered bool
	wrote    domain.Values
	before   map[*store.Record]before                // of the records of a merged entity
	decided  map[*store.Record]map[domain.Field]bool // fields that say what was decided of the record's own entity
	echoed   map[domain.Field]bool                   // changed fields of touched that are our own write

	// judged says that the brake is asked before golden changes, fresh that the record is new to the entity, vanishes that it
	// has just been deleted, and rejected that a person wants golden to stay as it was.
	judged, fresh, vanishes, rejected bool
	foretells                         bool  // nothing is kept: it is only looked what would follow
	policyWas                         int64 // the policy that the entity was last resolved under

	res     ownership.Resolution
	golden  domain.Values
	dirty   map[*store.Record]bool // records to store
	pinned  bool                   // pins have changed
	writing *store.WriteState
	events  map[string]bool
	out     Result
}

func (s *settlement) settle() (linkResult, error) {
	if s.dirty == nil {
		s.dirty = map[*store.Record]bool{}
	}
	s.events = map[string]bool{}
	if err := s.know(); err != nil {
		return linkResult{}, err
	}
	e := &s.st.Entity
	s.policyWas = e.Policy
	s.attend()
	if s.touched != nil {
		s.touched.EntityID = e.ID
		s.dirty[s.touched] = true
		for f := range s.changed {
			// Known before anything is resolved: a copy must not speak for itself, and somebody's own word must.
			s.touched.Echo[f] = s.ours(s.touched, f)
		}
	}
	s.giveBack()
	s.resolve()
	s.forgo()
	if s.confirmPins() {
		s.resolve()
		s.pinned = true
	}
	if s.rejected {
		s.keepGolden()
	}
	if s.judged {
		if err := s.brakeIn(); err != nil {
			return linkResult{}, err
		}
	}
	if s.pinned {
		store.QueueMatchKeys(s.batch, "", s.kp.Kind, e.ID, pinnedKeys(s.kp.Kind, s.st.Pins))
	}
	if err := s.updateGolden(); err != nil {
		return linkResult{}, err
	}
	if err := s.judge(); err != nil {
		return linkResult{}, err
	}
	if err := s.cases(); err != nil {
		return linkResult{}, err
	}
	if err := s.project(); err != nil {
		return linkResult{}, err
	}
	s.remember()
	for _, rec := range s.st.Records {
		if s.dirty[rec] {
			store.QueueRecord(s.batch, s.st.stored(rec))
		}
	}
	for _, topic := range slices.Sorted(maps.Keys(s.events)) {
		store.QueueEvent(s.batch, store.TopicEntity, e.ID, topic, "", s.cause.CorrelationID)
	}
	s.out.EntityID, s.out.Version = e.ID, e.Version
	return linkResult{Result: s.out}, nil
}

// know looks up the systems with their settings.
func (s *settlement) know() error {
	s.systems = make(map[string]ownership.System, len(s.pol.Systems))
	for _, x := range s.pol.Systems {
		sys, err := s.system(s.pol, x.Name)
		if err != nil {
			return err
		}
		s.systems[x.Name] = sys
	}
	return nil
}

func (s *settlement) resolve() {
	pins := make(domain.Values, len(s.st.Pins))
	for f, p := range s.st.Pins {
		if !p.Asked {
			pins[f] = p.Value
		}
	}
	s.res = ownership.Resolve(s.kp, s.contributions(), pins)
	s.golden = s.res.Values()
}

// contributions are what the records say, as far as they speak.
func (s *settlement) contributions() []ownership.Contribution {
	cs := make([]ownership.Contribution, 0, len(s.st.Records))
	for _, rec := range s.st.Records {
		if s.superseded(rec) {
			continue
		}
		c := ownership.Contribution{System: rec.System, ExternalID: rec.ExternalID, Values: rec.Values, Echo: rec.Echo, Deleted: rec.Deleted}
		if rec.Deleted && rec.MergedInto == "" && rec.System == s.kp.Owner {
			// The owner of the kind has deleted it: everybody else archives theirs, voids it or calls it off.
			if f, v := ended(s.kp, rec.Values); v != "" {
				c.Values = rec.Values.Clone()
				c.Values[f] = domain.TextValue(v)
			}
		}
		cs = append(cs, withOwn(rec, c))
	}
	return cs
}

// superseded reports whether the record was merged into another one of the entity, which speaks for it. Until that one has
// been seen, the last word of the merged one counts. Of Datum's own systems the entity's own record speaks, if it has one.
func (s *settlement) superseded(rec *store.Record) bool {
	if rec.ExternalID != s.st.Entity.ID && s.pol.Adapter(rec.System) == ownership.Native {
		return slices.ContainsFunc(s.st.Records, func(r *store.Record) bool { return r.System == rec.System && r.ExternalID == s.st.Entity.ID })
	}
	return rec.MergedInto != "" && slices.ContainsFunc(s.st.Records, func(r *store.Record) bool {
		return r.System == rec.System && r.ExternalID == rec.MergedInto
	})
}

// ours reports whether the record's value is what our own write has put there: its answer, or a value sent whose outcome is
// not known yet.
func (s *settlement) ours(rec *store.Record, f domain.Field) bool {
	if rec == s.touched && s.answered {
		_, wrote := s.wrote[f]
		return wrote
	}
	p := s.st.Projections[rec.System]
	if p == nil {
		return false
	}
	v, sent := p.Sent[f]
	if f == "allocations" && sent && domain.Begun(v, rec.Values[f]) {
		return true // a payment is made first and allocated then: whoever did it was interrupted
	}
	return sent && equal(s.fitOne(rec.System, f, v), rec.Values[f])
}

// primary returns the live record that speaks for the system, nil if there is none; gone says that there was one and it
// was deleted there.
func (s *settlement) primary(system string) (rec *store.Record, gone bool) {
	var cs []ownership.Contribution
	for _, r := range s.st.Records {
		if r.System == system && !s.superseded(r) {
			cs = append(cs, ownership.Contribution{System: system, ExternalID: r.ExternalID, Deleted: r.Deleted})
		}
	}
	c, ok := ownership.Primary(cs)[system]
	if !ok {
		return nil, false
	}
	if c.Deleted {
		return nil, true
	}
	for _, r := range s.st.Records {
		if r.System == system && r.ExternalID == c.ExternalID {
			return r, false
		}
	}
	return nil, false
}

// confirmPins ends the pins that the owner has confirmed, and those that were only to hold until it has a word.
func (s *settlement) confirmPins() bool {
	ended := false
	for _, f := range slices.Sorted(maps.Keys(s.st.Pins)) {
		p, owner := s.st.Pins[f], s.res.Fields[f].Owner
		if p.Asked {
			s.answer(p, owner)
			continue
		}
		var theirs domain.Value
		var by, home string
		rec, _ := s.primary(owner)
		if rec != nil {
			theirs, by, home = rec.Values[f], rec.ExternalID, rec.Home
		}
		note := ""
		switch {
		case rec != nil && equal(theirs, p.Value), theirs != "" && equal(theirs, s.fitOne(owner, f, p.Value)):
			note = "confirmed by " + owner
			s.decide(p, rec)
		case strings.HasPrefix(p.Reason, provisional) && !theirs.Empty():
			note = owner + ", which owns it, has a word now"
		case strings.HasPrefix(p.Reason, rejection) && theirs.Empty() && s.without(f, p.Value):
			note = "what was rejected is gone, and " + owner + ", which owns it, has no word"
		default:
			continue
		}
		s.unpin(f, owner, by, note, home)
		ended = true
	}
	return ended
}

// without reports whether a field has the value without its pin, too. A system that shows it again where Datum has written it
// back, and nobody else says anything, has its own word back.
func (s *settlement) without(f domain.Field, v domain.Value) bool {
	g := ownership.Resolve(s.kp, s.contributions(), nil).Fields[f]
	if equal(g.Value, v) || g.Why != ownership.ByNobody {
		return equal(g.Value, v)
	}
	for _, system := range s.kp.Rule(f, s.st.Entity.Stage).Fallback {
		if rec, _ := s.primary(system); rec != nil && equal(rec.Values[f], v) {
			rec.Echo[f], s.dirty[rec] = false, true
			delete(rec.Confirmed, f)
			return true
		}
	}
	return false
}

// unpin ends a pin and queues that. by is the home of the record that has confirmed it.
func (s *settlement) unpin(f domain.Field, system, externalID, note, by string) {
	s.endPin(store.ActionUnpinned, f, system, externalID, note, by)
}

func (s *settlement) endPin(action string, f domain.Field, system, externalID, note, by string) {
	p := s.st.Pins[f]
	delete(s.st.Pins, f)
	store.QueueUnpin(s.batch, s.st.Entity.ID, f, by)
	s.history(&s.st.Entity, store.History{Action: action, Field: f, New: p.Value, Owner: system, System: system, ExternalID: externalID, Note: note})
}

// pinnedKeys are the strong keys of what people have decided: an entity that no record speaks for yet is found by them.
func pinnedKeys(kind domain.Kind, pins map[domain.Field]store.Pin) []string {
	v := domain.Values{}
	for f, p := range pins {
		if !p.Asked {
			v[f] = p.Value
		}
	}
	return texts(match.Keys(kind, v))
}

// equal reports whether two values say the same: of lines, whatever each issuer makes of their GST.
func equal(a, b domain.Value) bool { return exact(a, b) || domain.Same(a, b) }

func exact(a, b domain.Value) bool { return a == b || a.Empty() && b.Empty() }

// updateGolden brings the golden row, its provenance and the history up to date.
func (s *settlement) updateGolden() error {
	e := &s.st.Entity
	now := s.st.Now.UTC()
	changes := []domain.Field{}
	moved := false
	prov := maps.Clone(e.Provenance)
	if prov == nil {
		prov = map[domain.Field]store.Provenance{}
	}
	for f, g := range s.res.Fields {
		differs := !exact(e.Golden[f], g.Value)
		if differs {
			changes = append(changes, f)
		}
		p, q := prov[f], store.Provenance{System: g.System, ExternalID: g.ExternalID, Why: string(g.Why), Owner: g.Owner}
		q.Since = p.Since
		if p != q {
			if differs || p.Since.IsZero() {
				q.Since = now
			}
			prov[f] = q
			moved = true
		}
	}
	slices.Sort(changes)
	if s.created || len(changes) > 0 {
		e.Version++
	}
	if s.created {
		s.history(e, store.History{Action: store.ActionCreated})
	}
	if s.created {
		s.made = append(s.made, e.ID)
	}
	for _, f := range changes {
		g := s.res.Fields[f]
		s.run.golden = append(s.run.golden, GoldenChange{EntityID: e.ID, Name: NameOf(s.golden), Field: f, From: e.Golden[f], To: g.Value})
		s.history(e, store.History{Action: store.ActionSet, Field: f, Old: e.Golden[f], New: g.Value, System: g.System,
			ExternalID: g.ExternalID, Why: string(g.Why), Owner: g.Owner})
	}
	s.out.Changed = changes
	if len(changes) == 0 && !moved && !s.created && !s.parted && e.Policy == s.st.Policy {
		return nil
	}
	if len(changes) == 0 && !moved && !s.created && !s.parted && e.Policy != 0 {
		store.QueueEntityPolicy(s.batch, e.ID, s.st.Policy)
		return nil
	}
	e.Golden, e.Provenance, e.Stage, e.Policy = s.golden, prov, s.res.Stage, s.st.Policy
	if s.created || len(changes) > 0 {
		if s.pol.Flows.As != "" && ownership.Followed(s.kp.Kind) {
			s.moved = append(s.moved, e.ID)
		}
		s.events[""] = true // only where a value comes from has changed otherwise, and that is no news to subscribers
	}
	return store.QueueEntity(s.batch, e)
}

// judge compares every record with golden, field by field: a value that its system changed itself, without owning the
// field, is restored, proposed or kept as the policy says.
func (s *settlement) judge() error {
	for _, rec := range s.st.Records {
		if rec.Deleted {
			continue
		}
		native := s.pol.Adapter(rec.System) == ownership.Native
		prim, _ := s.primary(rec.System)
		writable := s.writable(rec.System)
		if c := s.kp.Replicate[rec.System]; c == "" || c == ownership.Never {
			writable = nil
		}
		fit := s.carrier.Fit(s.systems[rec.System], s.kp.Kind, s.golden)
		before := rec.Clone()
		for _, f := range rec.Values.Fields() {
			if err := s.judgeField(rec, f, fit[f], native, rec == prim, writable[f]); err != nil {
				return err
			}
		}
		if !maps.Equal(before.Confirmed, rec.Confirmed) || !maps.Equal(before.Held, rec.Held) || !maps.Equal(before.Echo, rec.Echo) {
			s.dirty[rec] = true
		}
	}
	return nil
}

// judgeField compares one field with golden as far as the system can hold it.
func (s *settlement) judgeField(rec *store.Record, f domain.Field, fit domain.Value, native, primary, writable bool) error {
	theirs, g := rec.Values[f], s.res.Fields[f]
	if rec.Own[f].Back && !equal(theirs, g.Value) {
		if !s.stands(rec, f, rec.Own[f].Value) {
			delete(rec.Held, f)
		}
		return nil // its own word is on its way back to it
	}
	if equal(theirs, g.Value) || equal(theirs, fit) {
		delete(rec.Held, f)
		if g.ExternalID == rec.ExternalID && g.System == rec.System {
			// Its own word. It has agreed to nobody else's, and will be heard when somebody else's comes to count.
			delete(rec.Confirmed, f)
			rec.Echo[f] = false
		} else {
			rec.Confirmed[f], rec.Echo[f] = theirs, true
		}
		return nil
	}
	if s.ours(rec, f) && !s.stands(rec, f, theirs) {
		// Seen before or after its outcome was known, or as the vendor has changed it: not somebody's edit.
		rec.Confirmed[f], rec.Echo[f] = theirs, true
		delete(rec.Held, f)
		return nil
	}
	if rec == s.touched && s.changed[f] && g.Owner == rec.System && g.Why == ownership.ByPin && primary {
		s.history(&s.st.Entity, store.History{Action: store.ActionRestored, Field: f, Old: theirs, New: g.Value, System: rec.System, ExternalID: rec.ExternalID,
			Owner: g.Owner, Why: string(g.Why), Note: "a decision that " + rec.System + " has not confirmed yet is written over it: " + s.st.Pins[f].Reason})
	}
	if native || !primary || g.Owner == rec.System {
		return nil
	}
	if g.Why == ownership.ByPin && (s.st.decided[f] || !(rec == s.touched && s.changed[f])) {
		if h, ok := rec.Held[f]; ok && h.Value == theirs && !s.st.decided[f] {
			return nil // changed after the decision, which is still on its way to the owner
		}
		// A person has decided, knowing what is there: it is overwritten and no edit any more.
		rec.Confirmed[f] = theirs
		delete(rec.Held, f)
		return nil
	}
	confirmed, known := rec.Confirmed[f]
	edited := known && !equal(theirs, confirmed) || !known && !theirs.Empty()
	if !known && edited {
		// What the vendor shows where there is nothing (an object that is just there is active) is nobody's edit.
		edited = !equal(theirs, s.fitOne(rec.System, f, domain.Null))
	}
	if !edited {
		delete(rec.Held, f) // taken back
		return nil
	}
	rule := s.kp.Rule(f, s.res.Stage)
	others := rule.Others
	if others == ownership.Restore && (!writable || g.Why == ownership.ByNobody) {
		others = ownership.Keep // it cannot be restored, or there is nothing to restore
	}
	note := "a local variation in " + rec.System
	if totals[f] {
		if d := domain.RoundingDifference(s.golden, rec.Values); d != "" { // lawful on both sides
			others, note = ownership.Keep, d
		}
	}
	h := store.History{Field: f, Old: theirs, New: g.Value, System: rec.System, ExternalID: rec.ExternalID, Owner: g.Owner, Why: string(others)}
	if held := (store.Held{Value: theirs, Others: string(others)}); rec.Held[f] != held {
		rec.Held[f] = held
		switch others {
		case ownership.Restore:
			h.Action, h.Note = store.ActionRestored, fmt.Sprintf("%s does not own %s; the value of %s is written back", rec.System, f, g.Owner)
		case ownership.Keep:
			h.Action, h.Note = store.ActionKept, note
		case ownership.Propose:
			h.Action, h.Note = store.ActionProposed, fmt.Sprintf("%s owns %s; a person decides", g.Owner, f)
		}
		s.history(&s.st.Entity, h)
	}
	if others == ownership.Propose {
		if f == "allocations" && s.pol.Flows.As != "" {
			s.moved = append(s.moved, s.st.Entity.ID) // it may only use what was on the customer's account, which a flow sees
		}
		return s.openConflict(rec.System, rec.ExternalID, f, theirs, g)
	}
	return nil
}

// totals are the fields in which two lawful roundings of a document may differ.
var totals = map[domain.Field]bool{"subtotal": true, "taxTotal": true, "rounding": true, "total": true}

func (s *settlement) fitOne(system string, f domain.Field, v domain.Value) domain.Value {
	return s.carrier.Fit(s.systems[system], s.kp.Kind, domain.Values{f: v})[f]
}

// writable returns the fields that can be written to the system.
func (s *settlement) writable(system string) map[domain.Field]bool {
	fs, ok := s.carrier.Writable(s.systems[system], s.kp.Kind)
	if !ok {
		return nil
	}
	w := make(map[domain.Field]bool, len(fs))
	for _, f := range fs {
		w[f] = true
	}
	return w
}

func clip(v domain.Value) string {
	const most = 80
	if r := []rune(string(v)); len(r) > most {
		return string(r[:most]) + "…"
	}
	if v == "" || v == "null" {
		return "nothing"
	}
	return string(v)
}
