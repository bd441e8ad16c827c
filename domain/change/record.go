package change

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/match"
	"datum/domain/ownership"
	"datum/domain/store"
)

// Incoming is one vendor object as it was just seen.
type Incoming struct {
	System string
	Record domain.Record
	Cause
	// Wrote are the values that our own write has just set, with Source FromProjection, and Base the values of the record
	// that the write started from: fields of the answer that merely repeat Base say nothing new.
	Wrote, Base domain.Values
	// EntityID is the entity the write was for; the record is linked to it.
	EntityID string
	// Lease is the fence of an outcome: if the projection is not under it any more, nothing is changed and the error is
	// Stale. The zero lease is no fence.
	Lease uuid.UUID
	// Brake is what a person has decided about this change, which the brake had held back: Approved or Reject. "" is that it
	// is to be judged.
	Brake string
}

// Record applies one vendor object in a transaction of its own.
func (a *Applier) Record(ctx context.Context, in Incoming) (res Result, err error) {
	defer domain.Wrap(&err, "change.Record")
	err = a.transact(ctx, in.Cause, func(r *run) error {
		res, err = r.record(in)
		return err
	})
	return res, err
}

// RecordTx is Record within the caller's transaction; call Ring after its commit.
func (a *Applier) RecordTx(ctx context.Context, tx pgx.Tx, in Incoming) (res Result, err error) {
	defer domain.Wrap(&err, "change.Record")
	err = a.within(ctx, tx, in.Cause, func(r *run) error {
		res, err = r.record(in)
		return err
	})
	return res, err
}

func (r *run) record(in Incoming) (Result, error) {
	r.outcome = in.Lease
	in.Record.Issues = storable(in.Record.Issues)
	rec := in.Record
	if rec.ExternalID == "" || rec.Kind == "" {
		return Result{}, domain.Errorf(domain.Internal, "%s: a record without kind or id was handed over", in.System)
	}
	waits, err := r.refer(&in)
	if err != nil {
		return Result{}, err
	}
	if gone, err := r.erased(&in.Record); err != nil {
		return Result{}, err
	} else if gone {
		Anonymise(&in.Record)
	}
	rec = in.Record
	if in.Source != FromProjection {
		rec = domain.Checked(rec)
		in.Record = rec
	}
	keys := match.Keys(rec.Kind, rec.Values)
	if rec.Deleted || rec.MergedInto != "" {
		keys = nil
	}
	old, merged, err := store.LockKeysOf(r.ctx, r.tx, in.System, rec.Kind, rec.ExternalID, texts(keys))
	if err != nil {
		return Result{}, err
	}
	if old == nil && rec.Kind == domain.KindCustomer {
		// It may be of somebody who was erased, and is still held there: it is not taken in again.
		for _, id := range append([]string{rec.ExternalID}, rec.Aliases...) {
			if who, err := store.Suppressed(r.ctx, r.tx, in.System, rec.Kind, id, rec.Deleted); err != nil || who != "" {
				if err == nil {
					err = store.ForgetKeys(r.ctx, r.tx, rec.Kind, append(texts(keys), store.NameKey(in.System, rec.ExternalID)))
				}
				return Result{EntityID: who}, err
			}
		}
	}
	if err := r.reshape(&in, old); err != nil {
		return Result{}, err
	}
	rec = in.Record
	if again := match.Keys(rec.Kind, rec.Values); keys != nil && !slices.Equal(again, keys) {
		keys = again // values that are kept have keys
		if err := store.LockKeys(r.ctx, r.tx, rec.Kind, texts(keys)); err != nil {
			return Result{}, err
		}
	}
	cur, changed := merge(in, old)
	if cur == nil {
		return Result{EntityID: old.EntityID, Stale: true}, nil
	}
	if in.Source != FromProjection && in.Source != FromMapping || old == nil {
		cur.Waits = waits
	}
	if cur.Deleted && cur.MergedInto == "" && old == nil {
		store.QueueRecord(r.batch, cur) // gone before it was ever seen: an older state of it must not bring it back
		return Result{}, nil
	}
	res, err := r.link(in, old, cur, merged, keys)
	if err != nil {
		return res.Result, err
	}
	if cur.EntityID != "" && !cur.Deleted && (old != nil && old.EntityID != "" || res.unmatched) {
		var before []match.Key
		if !res.unmatched {
			before = match.Keys(rec.Kind, old.Values)
		}
		cases, err := r.gained(cur, before, keys)
		if err != nil {
			return res.Result, err
		}
		res.Cases = append(res.Cases, cases...)
	}
	if cur.EntityID != "" && in.Source != FromProjection && restated(old, cur) {
		cases, err := r.alikeCases(cur, cur.EntityID)
		if err != nil {
			return res.Result, err
		}
		for _, c := range cases {
			res.Cases = append(res.Cases, c.ID)
		}
	}
	var index []string
	if !rec.Deleted && rec.MergedInto == "" {
		index = indexed(rec.Kind, rec.Values)
	}
	store.QueueMatchKeys(r.batch, in.System, rec.Kind, rec.ExternalID, index)
	if cur.EntityID == "" {
		if err := r.refresh(old, cur); err != nil {
			return res.Result, err
		}
		store.QueueRecord(r.batch, cur)
		return res.Result, nil
	}
	st, pol, err := r.lock(cur.EntityID)
	if err != nil {
		return res.Result, err
	}
	cur.EntityID = st.Entity.ID
	if err := r.refresh(old, cur); err != nil {
		return res.Result, err
	}
	if p := st.Projections[in.System]; in.Lease != uuid.Nil && (p == nil || p.Lease == nil || *p.Lease != in.Lease) {
		return res.Result, domain.Errorf(domain.Stale, "%s: somebody else has taken over the projection of %s", in.System, st.Entity.ID)
	}
	if old != nil && old.EntityID != cur.EntityID || old == nil {
		r.history(&st.Entity, store.History{Action: store.ActionLinked, System: in.System, ExternalID: rec.ExternalID, Note: res.linkedBy})
	}
	if old != nil && cur.Deleted && !old.Deleted {
		note := "deleted in " + in.System
		if cur.MergedInto != "" {
			note = "merged into " + cur.MergedInto + " in " + in.System
		}
		r.history(&st.Entity, store.History{Action: store.ActionDeleted, System: in.System, ExternalID: rec.ExternalID, Note: note})
	}
	if err := r.drift(old, cur); err != nil {
		return res.Result, err
	}
	asked, err := r.handedOver(in.System, old, cur)
	if err == nil && old != nil { // gone before, too: its documents may have been read since
		var gone []string
		gone, err = r.goneOrMerged(cur)
		asked = append(asked, gone...)
	}
	if err != nil {
		return res.Result, err
	}
	res.Cases = append(res.Cases, asked...)
	st.put(cur)
	st.lead(cur)
	adopted, err := r.adopt(st, cur, keys)
	if err != nil {
		return res.Result, err
	}
	s := settlement{run: r, st: st, pol: pol, kp: pol.Kind(rec.Kind), created: res.Created, touched: cur, was: old, changed: changed,
		dirty: adopted}
	switch in.Source {
	case FromWebhook, FromPoll, FromSweep, FromReprocess:
		s.judged, s.rejected = in.Brake == "", in.Brake == Reject
		s.fresh = old == nil || old.EntityID != cur.EntityID || res.Created
		s.vanishes = cur.Deleted && cur.MergedInto == "" && !s.fresh && !old.Deleted
	}
	if in.Source == FromProjection {
		s.answered, s.wrote = true, domain.Values{}
		for f, v := range in.Wrote {
			if equal(cur.Values[f], rec.Values[f]) {
				s.wrote[f] = v // the answer's word counts, not something newer
			}
		}
	}
	out, err := s.settle()
	if err != nil {
		return out.Result, err
	}
	out.Created = res.Created
	out.Cases = append(res.Cases, out.Cases...)
	if old != nil && restated(old, cur) {
		if err := s.apart(); err != nil {
			return out.Result, err
		}
	}
	if !cur.Deleted && (old == nil || old.EntityID != cur.EntityID) {
		if err := r.flush(); err != nil {
			return out.Result, err
		}
		err = r.arrived(in.System, cur)
	}
	return out.Result, err
}

// storable returns the issues without NUL characters, which the database cannot hold.
func storable(issues []domain.Issue) []domain.Issue {
	issues = slices.Clone(issues)
	for i := range issues {
		issues[i].Value = strings.ReplaceAll(issues[i].Value, "\x00", "\uFFFD")
		issues[i].Message = strings.ReplaceAll(issues[i].Message, "\x00", "\uFFFD")
	}
	return issues
}

// refresh locks the record, now that its entity is locked, and takes over what others have noted about it since it was read.
// If it has been linked elsewhere meanwhile, everything is to be done again.
func (r *run) refresh(old, cur *store.Record) error {
	now, err := store.LockRecord(r.ctx, r.tx, cur.System, cur.Kind, cur.ExternalID)
	if err != nil || old == nil || now == nil {
		return err
	}
	if now.EntityID != old.EntityID && now.EntityID != cur.EntityID {
		return store.ErrAgain
	}
	cur.Confirmed, cur.Held, cur.Echo, cur.Own = now.Confirmed, now.Held, now.Echo, now.Own
	return nil
}

// linkResult is a Result with a note on how the record found its entity.
type linkResult struct {
	Result
	linkedBy  string
	unmatched bool // linked without a look at its strong keys
}

// merge lays an incoming record over the stored one and returns the outcome and the fields whose value changed. It returns
// nil if the incoming one is older.
func merge(in Incoming, old *store.Record) (*store.Record, map[domain.Field]bool) {
	rec := in.Record
	rec.Values = rec.Values.Clone()
	changed := map[domain.Field]bool{}
	if old == nil {
		for f := range rec.Values {
			changed[f] = true
		}
		return &store.Record{Record: rec, System: in.System, Confirmed: domain.Values{}, Held: map[domain.Field]store.Held{},
			Echo: map[domain.Field]bool{}}, changed
	}
	if rec.Deleted && rec.Values == nil {
		// A tombstone says no more than that the object is gone; what it last said is kept.
		if rec.FetchedAt.Before(old.FetchedAt) {
			return nil, nil
		}
		cur := old.Clone()
		cur.Deleted = true
		cur.MergedInto = cmp.Or(rec.MergedInto, old.MergedInto)
		cur.FetchedAt = rec.FetchedAt
		return cur, changed
	}
	if in.Source != FromProjection {
		if rec.ModifiedAt.Before(old.ModifiedAt) || (rec.ModifiedAt.Equal(old.ModifiedAt) || old.Deleted) && rec.FetchedAt.Before(old.FetchedAt) {
			return nil, nil
		}
	} else {
		older := rec.ModifiedAt.Before(old.ModifiedAt)
		for f, v := range rec.Values {
			if _, ours := in.Wrote[f]; ours && !older || ours && equal(old.Values[f], in.Base[f]) || !ours && !older && v != in.Base[f] {
				continue
			}
			// The answer repeats what the write started from, or something newer has been seen.
			if rec.Values[f] = old.Values[f]; rec.Values[f] == "" {
				delete(rec.Values, f)
			}
		}
		if older {
			rec.ModifiedAt, rec.Version, rec.Raw = old.ModifiedAt, "", old.Raw
		}
	}
	cur := old.Clone()
	cur.Record = rec
	for _, f := range unionFields(old.Values, rec.Values) {
		if o, n := old.Values[f], rec.Values[f]; o != n && !(o.Empty() && n.Empty()) {
			changed[f] = true
		}
	}
	return cur, changed
}

func unionFields(a, b domain.Values) []domain.Field {
	fs := append(a.Fields(), b.Fields()...)
	slices.Sort(fs)
	return slices.Compact(fs)
}

func texts(keys []match.Key) []string {
	s := make([]string, len(keys))
	for i, k := range keys {
		s[i] = string(k)
	}
	return s
}

// lock locks an entity, following merges, and reads its state and the policy in force.
func (r *run) lock(id string) (*state, *ownership.Policy, error) {
	for range 50 {
		// Anything queued may concern the entity: it must be in the database before the state is read.
		if err := r.flush(); err != nil {
			return nil, nil, err
		}
		es, err := store.LockEntity(r.ctx, r.tx, id)
		if err != nil {
			return nil, nil, err
		}
		if es.Entity.MergedInto != "" {
			id = es.Entity.MergedInto
			continue
		}
		st := &state{EntityState: es}
		if err := r.survive(st); err != nil {
			return nil, nil, err
		}
		pol, n, err := r.Policy(r.ctx, r.tx, es.Policy)
		if err != nil {
			return nil, nil, err
		}
		st.Policy = n
		return st, pol, nil
	}
	return nil, nil, domain.Errorf(domain.Internal, "the merges of %s run in a circle", id)
}

// state is an entity's state while it is being changed.
type state struct {
	store.EntityState
	survivors map[string]string // of merged entities that the records refer to
	said      map[*store.Record]said
	decided   map[domain.Field]bool // pinned just now, by somebody who knew what is there
}

// decide notes that a field has just been pinned.
func (st *state) decide(f domain.Field) {
	if st.decided == nil {
		st.decided = map[domain.Field]bool{}
	}
	st.decided[f] = true
}

// said are the values of a record as they are stored, where they refer to entities that others stand for now: they go on
// saying which one was meant, so that a merge can be undone.
type said struct{ values, confirmed domain.Values }

// put adds or replaces a record.
func (st *state) put(rec *store.Record) {
	for i, x := range st.Records {
		if x.System == rec.System && x.ExternalID == rec.ExternalID {
			st.Records[i] = rec
			return
		}
	}
	st.Records = append(st.Records, rec)
}
