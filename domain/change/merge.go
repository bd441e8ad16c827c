package change

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"datum/domain"
	"datum/domain/ownership"
	"datum/domain/store"
)

// Merging is a wish to make two entities one, or to part them again.
type Merging struct {
	Survivor string // goes on; of no meaning for Unmerge
	Loser    string // becomes part of the survivor, or is parted from it
	Reason   string
	DryRun   bool // keep nothing: say what would follow
	Cause
}

// Merged is what a merge or its undoing has changed, or would change.
type Merged struct {
	Preview         // what changed; the loser's values compared with those of the two as one
	Survivor, Loser string
	Records         int // that have changed sides
	References      int // entities that refer to what has moved, and are resolved anew
}

// Merge makes the loser part of the survivor. Both ids go on resolving to the survivor. NotFound if one of them does not exist,
// Invalid if they cannot be one.
func (a *Applier) Merge(ctx context.Context, m Merging) (out Merged, err error) {
	defer domain.Wrap(&err, "change.Merge")
	if m.Reason = strings.TrimSpace(m.Reason); m.Reason == "" {
		return out, domain.Errorf(domain.Invalid, "say why the two are one: the reason is kept in their history")
	}
	if k := domain.KindOfID(m.Survivor); k == "" || k != domain.KindOfID(m.Loser) {
		return out, domain.Errorf(domain.Invalid, "%s and %s are not two entities of one kind", m.Survivor, m.Loser)
	}
	err = a.tried(ctx, m, func(r *run) error {
		out = Merged{}
		a, err := store.Survivor(r.ctx, r.tx, m.Loser)
		if err != nil {
			return err
		}
		if out.Survivor, err = store.Survivor(r.ctx, r.tx, m.Survivor); err != nil {
			return err
		}
		if out.Loser = a; out.Loser == out.Survivor {
			return domain.Errorf(domain.Invalid, "%s and %s are one already: %s", m.Survivor, m.Loser, a)
		}
		recs, err := store.RecordsOf(r.ctx, r.tx, []string{out.Loser})
		if err != nil {
			return err
		}
		refs, err := store.Referring(r.ctx, r.tx, domain.KindOfID(out.Loser), out.Loser)
		if err != nil {
			return err
		}
		out.Records, out.References = len(recs), len(refs)
		if err := r.mergeEntities(out.Loser, out.Survivor, m.Actor+" decided that they are the same", m.Reason); err != nil {
			return err
		}
		if _, err := r.resettle(out.Survivor, func(s *settlement) error { s.pinned = true; return nil }); err != nil {
			return err
		}
		return r.look(&out)
	})
	return out, err
}

// Unmerge parts an entity from the one that it was merged into, at any later time: everything that came from it, or arrived
// for it since, goes with it; everything that was decided meanwhile stays. The two are not taken for one again.
// NotFound if there is no such entity, Invalid if it is part of no other.
func (a *Applier) Unmerge(ctx context.Context, m Merging) (out Merged, err error) {
	defer domain.Wrap(&err, "change.Unmerge")
	if m.Reason = strings.TrimSpace(m.Reason); m.Reason == "" {
		return out, domain.Errorf(domain.Invalid, "say why the two are not one: the reason is kept in their history")
	}
	err = a.tried(ctx, m, func(r *run) error {
		out = Merged{Loser: m.Loser}
		merged, err := r.part(&out, m.Reason)
		if err != nil {
			return err
		}
		for _, id := range []string{out.Survivor, out.Loser} {
			if _, err := r.resettle(id, r.parting); err != nil {
				return err
			}
		}
		if err := r.look(&out); err != nil {
			return err
		}
		return r.compare(&out, merged)
	})
	return out, err
}

// tried runs f in a transaction, which is rolled back if nothing is to be kept.
func (a *Applier) tried(ctx context.Context, m Merging, f func(r *run) error) error {
	if m.DryRun {
		return a.rolledBack(ctx, m.Cause, f)
	}
	return a.transact(ctx, m.Cause, f)
}

// parting has everything of an entity count again that slept or was written over because of a merge that is undone.
func (r *run) parting(s *settlement) error {
	s.pinned, s.parted = true, true
	s.returned()
	return r.wakePins(s)
}

// look notes what the transaction has changed.
func (r *run) look(out *Merged) (err error) {
	if err = r.flush(); err != nil {
		return err
	}
	out.Preview, err = r.seen()
	return err
}

// compare notes what the loser says, of itself, other than what the two said as one.
func (r *run) compare(out *Merged, whole domain.Values) error {
	es, err := store.Entities(r.ctx, r.tx, []string{out.Loser})
	if err != nil {
		return err
	}
	out.Golden = slices.DeleteFunc(out.Golden, func(g GoldenChange) bool { return g.EntityID == out.Loser })
	for _, f := range unionFields(whole, es[0].Golden) {
		if from, to := whole[f], es[0].Golden[f]; !exact(from, to) {
			out.Golden = append(out.Golden, GoldenChange{EntityID: out.Loser, Name: NameOf(es[0].Golden), Field: f, From: from, To: to})
		}
	}
	return nil
}

// followAgain is how long a vendor's merge waits for the outcome of a write before it is looked at again.
const followAgain = 2 * time.Second

// mergeEntities makes the loser part of the survivor. Both ids go on resolving; the caller settles the survivor.
func (r *run) mergeEntities(loser, survivor, note, reason string) error {
	a, err := store.Survivor(r.ctx, r.tx, loser)
	if err != nil {
		return err
	}
	b, err := store.Survivor(r.ctx, r.tx, survivor)
	if err != nil || a == b {
		return err
	}
	states, err := r.lockBoth(a, b)
	if err != nil {
		return err
	}
	for _, p := range states[a].Projections {
		if p.IntentKey == "" || p.IntentOp != "create" || p.Lease != nil && *p.Lease == r.outcome {
			continue
		}
		// Its record would come to be beside the survivor's, and if nobody learnt what became of it, a second one. A person tries
		// again; what a vendor has merged is followed when that is known, however long it takes.
		busy := &domain.Error{Code: domain.Conflict, System: p.System, Message: fmt.Sprintf("%s is being created in %s at this moment: try again in a minute", a, p.System)}
		if r.cause.Source != FromMutation && r.cause.Source != FromCase {
			busy.Code, busy.RetryAfter = domain.Unavailable, followAgain
		}
		return busy
	}
	kind := domain.KindOfID(b)
	store.QueueMatchKeys(r.batch, "", kind, a, nil)
	if reason != "" {
		note += ": " + reason
	}
	r.history(&states[b].Entity, store.History{Action: store.ActionMerged, Note: note + "; " + a + " is now part of this"})
	r.history(&states[a].Entity, store.History{Action: store.ActionMerged, Note: note + "; now part of " + b})
	store.QueueCaseMove(r.batch, a, b)
	store.QueueMerge(r.batch, store.Merge{Kind: kind, Loser: a, Survivor: b, Actor: r.cause.Actor, Source: string(r.cause.Source), Reason: note,
		CorrelationID: r.cause.CorrelationID})
	pins := states[b].Pins
	for f, p := range states[a].Pins {
		if _, decided := pins[f]; !decided {
			pins[f] = p
		}
	}
	store.QueueMatchKeys(r.batch, "", kind, b, pinnedKeys(kind, pins))
	if r.merged == nil {
		r.merged = map[string]string{}
	}
	r.merged[a] = b
	store.QueueEvent(r.batch, store.TopicEntity, a, "", b, r.cause.CorrelationID)
	if err := r.flush(); err != nil {
		return err
	}
	return r.outdated(states[b].Policy)
}

// lockBoth locks two entities in the order in which everybody does.
func (r *run) lockBoth(a, b string) (map[string]*store.EntityState, error) {
	if err := r.flush(); err != nil {
		return nil, err
	}
	states := map[string]*store.EntityState{}
	for _, id := range []string{min(a, b), max(a, b)} {
		st, err := store.LockEntity(r.ctx, r.tx, id)
		if err != nil {
			return nil, err
		}
		states[id] = &st
	}
	if states[a].Entity.MergedInto != "" || states[b].Entity.MergedInto != "" {
		return nil, store.ErrAgain // merged by somebody else since it was looked up
	}
	return states, nil
}

// outdated has what refers to a merged entity resolved anew, in the background.
func (r *run) outdated(policy int64) error { return r.queue.Resettle(r.ctx, r.tx, policy) }

// part takes the loser out of the entity that stands for it and returns what the two said as one.
func (r *run) part(out *Merged, reason string) (domain.Values, error) {
	id := out.Loser
	es, err := store.Entities(r.ctx, r.tx, []string{id})
	if err != nil {
		return nil, err
	}
	if len(es) == 0 {
		return nil, domain.Errorf(domain.NotFound, "there is no entity %s", id)
	}
	if es[0].MergedInto == "" {
		return nil, r.notMerged(id)
	}
	parent := es[0].MergedInto
	if out.Survivor, err = store.Survivor(r.ctx, r.tx, id); err != nil {
		return nil, err
	}
	var whole store.EntityState
	for _, x := range []string{min(id, out.Survivor), max(id, out.Survivor)} {
		st, err := store.LockEntity(r.ctx, r.tx, x)
		if err != nil {
			return nil, err
		}
		if (x == id) != (st.Entity.MergedInto != "") {
			return nil, store.ErrAgain
		}
		if x == out.Survivor {
			whole = st
		}
	}
	all, err := store.Part(r.ctx, r.tx, id)
	if err != nil {
		return nil, err
	}
	for _, rec := range whole.Records {
		if slices.Contains(all, rec.Home) {
			out.Records++
		}
	}
	kind := domain.KindOfID(id)
	refs, err := store.Referring(r.ctx, r.tx, kind, out.Survivor)
	if err != nil {
		return nil, err
	}
	out.References = len(refs)
	store.QueueUnmerge(r.batch, kind, id, out.Survivor, all, r.cause.Actor, reason)
	why := r.cause.Actor + " decided that they are not the same: " + reason
	r.history(&whole.Entity, store.History{Action: store.ActionUnmerged, Note: why + "; " + id + " is no longer part of this, nor taken for the same again"})
	r.history(&es[0], store.History{Action: store.ActionUnmerged, Note: why + "; no longer part of " + out.Survivor + ", nor taken for the same again"})
	for _, other := range slices.Compact([]string{parent, out.Survivor}) {
		if err := r.different(id, other); err != nil {
			return nil, err
		}
	}
	store.QueueEvent(r.batch, store.TopicEntity, id, "", out.Survivor, r.cause.CorrelationID)
	if err := r.flush(); err != nil {
		return nil, err
	}
	return whole.Entity.Golden.Clone(), r.outdated(whole.Policy)
}

// notMerged says what could be parted instead.
func (r *run) notMerged(id string) error {
	parts, err := store.Part(r.ctx, r.tx, id)
	if err != nil {
		return err
	}
	if parts = slices.DeleteFunc(parts, func(p string) bool { return p == id }); len(parts) > 0 {
		return domain.Errorf(domain.Invalid, "%s is part of no other; what is part of it and can be parted: %s", id, strings.Join(parts, ", "))
	}
	return domain.Errorf(domain.Invalid, "%s is part of no other, and nothing is part of it", id)
}

// different remembers that two entities are not the same, as if a person had answered the case that asks.
func (r *run) different(a, b string) error {
	key := duplicateKey(a, b)
	if open, err := store.OpenCaseByKey(r.ctx, r.tx, key); err != nil {
		return err
	} else if open != nil {
		store.QueueCaseEnd(r.batch, open.ID, "resolved", ChoiceDifferent, r.cause.Actor)
		return nil
	}
	c := store.Case{ID: domain.NewID("case"), Kind: store.CaseDuplicate, EntityKind: domain.KindOfID(a), EntityID: a, OtherID: b,
		CorrelationID: r.cause.CorrelationID, DedupeKey: key, Title: fmt.Sprintf("%s and %s were parted", a, b),
		Detail:  store.CaseDetail{Message: "they were merged, and a person has undone that", Next: "nothing: they are not taken for the same again"},
		Choices: []string{ChoiceSame, ChoiceDifferent}}
	store.QueueCase(r.batch, c)
	store.QueueCaseEnd(r.batch, c.ID, "resolved", ChoiceDifferent, r.cause.Actor)
	return nil
}

// parted reports whether a person has undone a merge of the two: what a vendor keeps repeating is no news then.
func (r *run) parted(a, b string) (bool, error) {
	if a == b {
		return false, nil
	}
	return store.CaseDecided(r.ctx, r.tx, duplicateKey(a, b), ChoiceDifferent)
}

// wakePins has the pins count again that slept because of an entity that this one is no longer one with.
func (r *run) wakePins(s *settlement) error {
	part, err := store.Part(r.ctx, r.tx, s.st.Entity.ID)
	if err != nil {
		return err
	}
	asleep, err := store.PinsAsleep(r.ctx, r.tx, s.st.Entity.ID)
	if err != nil {
		return err
	}
	for _, p := range asleep {
		if _, decided := s.st.Pins[p.Field]; decided || slices.Contains(part, p.SleptBy) {
			continue
		}
		s.st.Pins[p.Field] = p
		s.st.decide(p.Field)
		store.QueuePinWake(r.batch, p)
		r.history(&s.st.Entity, store.History{Action: store.ActionPinned, Field: p.Field, Old: s.st.Entity.Golden[p.Field], New: p.Value, Why: string(ownership.ByPin),
			Note: "counts again, since what it had given way to is no longer part of this: " + p.Reason})
	}
	return nil
}
