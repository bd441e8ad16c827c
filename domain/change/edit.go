package change

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/match"
	"datum/domain/ownership"
	"datum/domain/store"
)

// Edit is what a principal wants to change, through the API or an import. The principal acts for one system.
type Edit struct {
	System   string // the system the principal acts for
	Kind     domain.Kind
	EntityID string        // "" creates
	Fields   domain.Values // only the fields to change; Null clears
	// ExpectedVersion refuses the edit if the entity has moved on; 0 does not care.
	ExpectedVersion int64
	// IdempotencyKey makes a repeat of the same request answer as the first time; "" is none. Principal names whose key it is.
	IdempotencyKey, Principal string
	// Through asks the owners of the fields for the change, nil does not.
	Through *WriteThrough
	// Quiet leaves out the history of fields that are refused because somebody else owns them: nobody has asked for them.
	Quiet bool
	Cause
}

// Edit applies an edit, whole or not at all. What cannot be done is in Result.Refused, one error for each field concerned:
// NotOwner with owner and stage, Invalid, Stale or Conflict; then nothing was changed but the history says that it was tried.
// Fields whose owner wants proposals become cases and are in Result.Proposed.
func (a *Applier) Edit(ctx context.Context, e Edit) (res Result, err error) {
	defer domain.Wrap(&err, "change.Edit")
	err = a.transact(ctx, e.Cause, func(r *run) error {
		res = Result{}
		replayed, err := r.replay(e, &res)
		if err != nil || replayed {
			return err
		}
		if e.EntityID == "" {
			err = r.create(e, &res)
		} else {
			err = r.update(e, &res)
		}
		if err != nil || e.IdempotencyKey == "" || len(res.Refused) > 0 {
			return err
		}
		return store.SaveAnswer(ctx, r.tx, e.Principal, e.IdempotencyKey, e.hash(), res.EntityID, answer{res.Version, res.Created, res.Changed, res.Proposed})
	})
	return res, err
}

// answer is what an idempotency key remembers.
type answer struct {
	Version  int64                   `json:"version"`
	Created  bool                    `json:"created"`
	Changed  []domain.Field          `json:"changed"`
	Proposed map[domain.Field]string `json:"proposed"`
}

func (e Edit) hash() []byte {
	b, _ := json.Marshal(e.Fields) // canonical values: cannot fail
	text := fmt.Appendf(nil, "%s|%s|%s|%d|%s", e.System, e.Kind, e.EntityID, e.ExpectedVersion, b)
	if e.Through != nil {
		text = fmt.Appendf(text, "|%s|%s", e.Through.Reason, e.Through.ExpiresAt)
	}
	h := sha256.Sum256(text)
	return h[:]
}

// replay answers a request whose idempotency key is known.
func (r *run) replay(e Edit, res *Result) (bool, error) {
	if e.IdempotencyKey == "" {
		return false, nil
	}
	var a answer
	hash, id, found, err := store.Answer(r.ctx, r.tx, e.Principal, e.IdempotencyKey, &a)
	if err != nil || !found {
		return false, err
	}
	if !bytes.Equal(hash, e.hash()) {
		res.Refused = append(res.Refused, domain.Errorf(domain.Conflict, "idempotency key %q was used for a different request; use a new key", e.IdempotencyKey))
		return true, nil
	}
	*res = Result{EntityID: id, Version: a.Version, Created: a.Created, Changed: a.Changed, Proposed: a.Proposed}
	return true, nil
}

// normalise brings the fields into canonical form; what does not fit is refused.
func (e *Edit) normalise(res *Result) {
	ki, ok := e.Kind.Info()
	if !ok {
		res.Refused = append(res.Refused, domain.Errorf(domain.Invalid, "there is no kind %q", e.Kind))
		return
	}
	fields := make(domain.Values, len(e.Fields))
	for _, f := range e.Fields.Fields() {
		fi, ok := ki.Field(f)
		if !ok {
			res.Refused = append(res.Refused, &domain.Error{Code: domain.Invalid, Field: f, Message: fmt.Sprintf("%s has no field %s", e.Kind, f)})
			continue
		}
		v, issues := domain.Normalize(fi, e.Fields[f])
		for _, is := range issues {
			if is.Severity == domain.Problem {
				res.Refused = append(res.Refused, &domain.Error{Code: domain.Invalid, Field: f, Message: is.Message})
			}
		}
		if v != "" {
			fields[f] = v
		}
	}
	e.Fields = fields
}

func (r *run) create(e Edit, res *Result) error {
	if e.normalise(res); len(res.Refused) > 0 {
		return nil
	}
	if err := r.checkRefs(e, res); err != nil || len(res.Refused) > 0 {
		return err
	}
	pol, _, err := r.Policy(r.ctx, r.tx, 0)
	if err != nil {
		return err
	}
	kp := pol.Kind(e.Kind)
	adapter := pol.Adapter(e.System)
	if adapter == "" || !kp.MayCreate(e.System) {
		res.Refused = append(res.Refused, &domain.Error{Code: domain.Forbidden, System: e.System, Owner: kp.Owner,
			Message: fmt.Sprintf("the policy lets only %s create a %s", strings.Join(kp.Create, ", "), e.Kind)})
		return nil
	}
	if err := domain.Complete(e.Kind, e.Fields, pol.GST); err != nil {
		res.Refused = append(res.Refused, domain.AsError(err))
		return nil
	}
	if refused, err := r.locked(pol, e, nil, func(string) bool { return false }); err != nil || refused != nil {
		if refused != nil {
			res.Refused = append(res.Refused, refused)
		}
		return err
	}
	keys := texts(match.Keys(e.Kind, e.Fields))
	if err := store.LockKeys(r.ctx, r.tx, e.Kind, keys); err != nil {
		return err
	}
	matches, err := store.MatchesFor(r.ctx, r.tx, e.Kind, keys, "", "")
	if err != nil {
		return err
	}
	if len(matches) > 0 {
		res.EntityID = matches[0].EntityID
		res.Refused = append(res.Refused, &domain.Error{Code: domain.Conflict, Message: fmt.Sprintf(
			"there is one already with the same %s: %s; update that one", describeKeys(matches[0].Keys), matches[0].EntityID)})
		return nil
	}
	if n, ours := pol.Numbers[e.Kind]; ours && e.Fields["number"].Empty() {
		// Last, so that a number is never taken for what is then refused.
		next, err := store.NextNumber(r.ctx, r.tx, e.Kind)
		if err != nil {
			return err
		}
		e.Fields["number"] = domain.TextValue(fmt.Sprintf("%s%0*d", n.Prefix, n.Digits, next))
	}
	ki, _ := e.Kind.Info()
	ent := store.Entity{ID: domain.NewID(ki.Prefix), Kind: e.Kind, Golden: domain.Values{}, Provenance: map[domain.Field]store.Provenance{}}
	if err := store.QueueEntity(r.batch, &ent); err != nil {
		return err
	}
	out, err := r.resettle(ent.ID, func(s *settlement) error {
		s.created = true
		if adapter == ownership.Native {
			s.contribute(e.System, e.Fields)
			store.QueueMatchKeys(r.batch, e.System, e.Kind, ent.ID, indexed(e.Kind, s.touched.Values))
			return s.compare()
		}
		for _, f := range e.Fields.Fields() {
			if e.Fields[f].Empty() {
				continue
			}
			reason := "created for " + e.System
			if kp.Rule(f, e.Fields[ki.StageField].Text()).Owner != e.System {
				reason = provisional + reason
			}
			r.pin(s, f, e.Fields[f], e.Actor, reason)
		}
		return nil
	})
	out.Created = true
	*res = out
	return err
}

// native returns the record by which one of Datum's own systems speaks of the entity. An entity that others were merged into
// gets one of its own, which begins with what theirs said: what is decided from now on is not theirs when they are parted.
func (s *settlement) native(system string) *store.Record {
	id := s.st.Entity.ID
	rec := &store.Record{System: system, Confirmed: domain.Values{}, Held: map[domain.Field]store.Held{}, Echo: map[domain.Field]bool{},
		Record: domain.Record{Kind: s.kp.Kind, ExternalID: id, Values: domain.Values{}}, EntityID: id}
	if r, _ := s.primary(system); r != nil {
		if !s.st.Merged || r.ExternalID == id {
			return r
		}
		rec.Values, rec.Own = r.Values.Clone(), map[domain.Field]store.Own{}
		for f := range rec.Values {
			rec.Own[f] = store.Own{Value: domain.Null}
		}
	}
	return rec
}

// contribute lays values over the native system's record of the entity.
func (s *settlement) contribute(system string, values domain.Values) {
	rec := s.native(system)
	s.was = rec.Clone()
	s.changed = map[domain.Field]bool{}
	for _, f := range values.Fields() {
		if !equal(rec.Values[f], values[f]) {
			s.changed[f] = true
		}
		rec.Values[f] = values[f]
		if _, ok := s.st.Pins[f]; ok && s.kp.Rule(f, s.st.Entity.Stage).Owner == system {
			s.unpin(f, system, rec.ExternalID, system+", which owns it, has decided anew", "")
			s.pinned = true
		}
	}
	rec.ModifiedAt, rec.FetchedAt = s.st.Now, s.st.Now
	s.st.put(rec)
	s.touched = rec
}

func (r *run) update(e Edit, res *Result) error {
	if e.normalise(res); len(res.Refused) > 0 {
		return nil
	}
	if err := r.checkRefs(e, res); err != nil || len(res.Refused) > 0 {
		return err
	}
	if err := r.lockKeysOf(e); err != nil {
		return err
	}
	st, pol, err := r.lock(e.EntityID)
	if err != nil {
		return err
	}
	res.EntityID, res.Version = st.Entity.ID, st.Entity.Version
	if e.ExpectedVersion != 0 && e.ExpectedVersion != st.Entity.Version {
		res.Refused = append(res.Refused, domain.Errorf(domain.Stale, "%s is at version %d, not %d: read it again and repeat the edit on what it is now",
			st.Entity.ID, st.Entity.Version, e.ExpectedVersion))
		return nil
	}
	s := &settlement{run: r, st: st, pol: pol, kp: pol.Kind(st.Entity.Kind)}
	has := func(system string) bool { rec, _ := s.primary(system); return rec != nil && !rec.Deleted }
	if refused, err := r.locked(pol, e, st.Entity.Golden, has); err != nil || refused != nil {
		if refused != nil {
			res.Refused = append(res.Refused, refused)
			r.keepOnlyRefusals(st, res.Refused, e)
		}
		return err
	}
	if e.Through != nil {
		if e.Through.Reason = strings.TrimSpace(e.Through.Reason); e.Through.Reason == "" {
			res.Refused = append(res.Refused, domain.Errorf(domain.Invalid, "say why the change is asked of the owner: give a reason"))
			return nil
		}
		if !e.Through.ExpiresAt.IsZero() && !e.Through.ExpiresAt.After(st.Now) {
			res.Refused = append(res.Refused, domain.Errorf(domain.Invalid, "the change would expire before it is asked for: give a later time"))
			return nil
		}
		if err := s.know(); err != nil {
			return err
		}
	}
	s.resolve()
	if refused, err := s.halfway(e); err != nil || refused != nil {
		if refused != nil {
			res.Refused = append(res.Refused, refused)
			r.keepOnlyRefusals(st, res.Refused, e)
		}
		return err
	}
	native := pol.Adapter(e.System) == ownership.Native
	if !e.Fields["allocations"].Empty() || !e.Fields["amount"].Empty() {
		whole := st.Entity.Golden.Clone()
		maps.Copy(whole, e.Fields)
		if err := domain.CheckAllocated(e.Kind, whole); err != nil {
			res.Refused = append(res.Refused, domain.AsError(err))
			return nil
		}
	}
	if lines := e.Fields["lines"]; !lines.Empty() {
		whole := st.Entity.Golden.Clone()
		for _, f := range []domain.Field{"subtotal", "taxTotal", "rounding", "total"} {
			delete(whole, f) // of the lines before
		}
		maps.Copy(whole, e.Fields)
		if err := domain.Complete(e.Kind, whole, pol.GST); err != nil {
			res.Refused = append(res.Refused, domain.AsError(err))
			return nil
		}
		for _, f := range []domain.Field{"lines", "subtotal", "taxTotal", "rounding", "total"} {
			if s.kp.Rule(f, s.res.Stage).Owner == e.System || f == "lines" {
				e.Fields[f] = whole[f]
			}
		}
	}
	contributed, proposals, kept := domain.Values{}, []domain.Field{}, []domain.Field{}
	for _, f := range e.Fields.Fields() {
		v, g := e.Fields[f], s.res.Fields[f]
		rule := s.kp.Rule(f, s.res.Stage)
		switch {
		case native && (rule.Owner == e.System || s.speaksFor(e.System, rule)):
			contributed[f] = v
		case equal(v, g.Value):
			if native && s.variesFrom(e.System, f, v) {
				contributed[f] = v // a variation is given up
			}
			if p := st.Pins[f]; p.Asked && e.Through != nil {
				s.withdraw(p, e.Actor, e.Through.Reason) // what is in force is what is wanted after all
			}
		case e.Through != nil:
			if refused := s.through(e, f, rule); refused != nil {
				res.Refused = append(res.Refused, refused)
			}
		case rule.Owner == e.System:
			r.pin(s, f, v, e.Actor, "set for "+e.System+", which owns it")
		case rule.Others == ownership.Propose:
			proposals = append(proposals, f)
		case rule.Others == ownership.Keep && native:
			contributed[f] = v
			kept = append(kept, f)
		default:
			res.Refused = append(res.Refused, &domain.Error{Code: domain.NotOwner, System: e.System, Field: f, Owner: rule.Owner, Stage: s.res.Stage,
				Message: fmt.Sprintf("%s belongs to %s%s; change it there", f, rule.Owner, atStage(s.res.Stage))})
		}
	}
	if len(res.Refused) > 0 {
		// Whole or not at all: pins that were set are taken back, only the history rows of the refusals stay.
		if e.Quiet {
			r.batch = &pgx.Batch{}
			return nil
		}
		r.keepOnlyRefusals(st, res.Refused, e)
		return nil
	}
	res.Proposed = map[domain.Field]string{}
	for _, f := range proposals {
		res.Proposed[f] = s.propose(e, f)
	}
	for _, f := range kept {
		r.history(&st.Entity, store.History{Action: store.ActionKept, Field: f, Old: e.Fields[f], New: s.golden[f], System: e.System,
			Owner: s.res.Fields[f].Owner, Note: "a local variation in " + e.System})
	}
	var cases []string
	if len(contributed) > 0 {
		if cases, err = s.contributeKeyed(e.System, contributed); err != nil {
			return err
		}
	}
	out, err := s.settle()
	if err == nil && len(contributed) > 0 {
		err = s.apart()
	}
	proposed := res.Proposed
	*res = out.Result
	res.Proposed, res.Cases = proposed, append(cases, res.Cases...)
	return err
}

// speaksFor reports whether the system's word counts because the owner has no part in this entity: it has no record of it, is
// never sent one, and the system is the first after it that has.
func (s *settlement) speaksFor(system string, rule ownership.Rule) bool {
	if c := s.kp.Replicate[rule.Owner]; c != "" && c != ownership.Never || s.pol.Adapter(rule.Owner) == ownership.Native {
		return false
	}
	has := func(name string) bool {
		return slices.ContainsFunc(s.st.Records, func(r *store.Record) bool { return r.System == name && !r.Deleted })
	}
	if has(rule.Owner) {
		return false
	}
	i := slices.IndexFunc(rule.Fallback, has)
	return i >= 0 && rule.Fallback[i] == system
}

// variesFrom reports whether the system's record says something other than v.
func (s *settlement) variesFrom(system string, f domain.Field, v domain.Value) bool {
	return slices.ContainsFunc(s.st.Records, func(r *store.Record) bool {
		return r.System == system && !equal(r.Values[f], v)
	})
}

// contributeKeyed is contribute to an entity that exists: the values may be the strong keys of another one.
func (s *settlement) contributeKeyed(system string, values domain.Values) (cases []string, err error) {
	var before []match.Key
	for _, rec := range s.st.Records {
		if rec.System == system {
			before = match.Keys(s.kp.Kind, rec.Values)
		}
	}
	s.contribute(system, values)
	now := match.Keys(s.kp.Kind, s.touched.Values)
	store.QueueMatchKeys(s.batch, system, s.kp.Kind, s.touched.ExternalID, indexed(s.kp.Kind, s.touched.Values))
	if cases, err = s.gained(s.touched, before, now); err != nil {
		return nil, err
	}
	return cases, s.compare()
}

// lockKeysOf locks the strong keys that a native system's record will have after the edit, before anything else is locked.
func (r *run) lockKeysOf(e Edit) error {
	recs, err := store.RecordsOf(r.ctx, r.tx, []string{e.EntityID})
	if err != nil {
		return err
	}
	v := domain.Values{}
	for _, rec := range recs {
		if rec.System == e.System {
			v = rec.Values
		}
	}
	before := match.Keys(e.Kind, v)
	maps.Copy(v, e.Fields)
	keys := match.Keys(e.Kind, v)
	if slices.Equal(keys, before) {
		return nil
	}
	return store.LockKeys(r.ctx, r.tx, e.Kind, texts(keys))
}

func atStage(stage string) string {
	if stage == "" {
		return ""
	}
	return " at stage " + stage
}

// keepOnlyRefusals drops everything queued but the record of what was refused.
func (r *run) keepOnlyRefusals(st *state, refused []*domain.Error, e Edit) {
	r.batch = &pgx.Batch{}
	for _, x := range refused {
		r.history(&st.Entity, store.History{Action: store.ActionRefused, Field: x.Field, Old: e.Fields[x.Field], New: st.Entity.Golden[x.Field],
			System: e.System, Owner: x.Owner, Note: x.Message})
	}
}

// propose opens a case for an edit of a field that another system owns.
func (s *settlement) propose(e Edit, f domain.Field) string {
	g := s.res.Fields[f]
	key := "proposal|" + s.st.Entity.ID + "|" + e.System + "|" + string(f)
	c := store.Case{ID: domain.NewID("case"), Kind: store.CaseConflict, EntityKind: s.kp.Kind, EntityID: s.st.Entity.ID, System: e.System,
		ExternalID: "proposal:" + e.System, Field: f, DedupeKey: key, CorrelationID: s.cause.CorrelationID,
		Title: fmt.Sprintf("%s: %s proposes another %s", NameOf(s.golden), e.System, f),
		Detail: store.CaseDetail{Ours: g.Value, Theirs: e.Fields[f], Owner: g.Owner,
			Message: fmt.Sprintf("%s (for %s) wants %s to be %s; %s owns it and the value in force is %s", e.Actor, e.System, f, clip(e.Fields[f]), g.Owner, clip(g.Value)),
			Next:    fmt.Sprintf("accept to write it to %s and everywhere, or keep ours to turn it down", g.Owner)}}
	for _, open := range s.st.Cases {
		if open.DedupeKey == key {
			c.ID = open.ID
		}
	}
	store.QueueCase(s.batch, c)
	store.QueueEvent(s.batch, store.TopicCase, c.EntityID, e.System, c.ID, s.cause.CorrelationID)
	s.history(&s.st.Entity, store.History{Action: store.ActionProposed, Field: f, Old: e.Fields[f], New: g.Value, System: e.System, Owner: g.Owner, Note: "case " + c.ID})
	return c.ID
}
