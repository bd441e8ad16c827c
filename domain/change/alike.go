package change

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"datum/domain"
	"datum/domain/match"
	"datum/domain/store"
)

// Records that share no strong key may still be one. Each record is indexed under its blocks beside its strong keys; one that is
// new, or says something else than before, is compared with the records that share a block, which are a bounded number
// however many there are. What is alike enough becomes a case. Nobody waits for that: where another transaction is at one of the same
// blocks, the two do not see each other, so the later one is noted and compared once more when both have ended (AlikeAgain).

// indexed is what a live record is found by: its strong keys and its blocks.
func indexed(kind domain.Kind, v domain.Values) []string {
	return append(texts(match.Keys(kind, v)), texts(match.Blocks(kind, v))...)
}

// candidate is another entity that a record may belong to.
type candidate struct {
	entityID string
	home     string // of the record that is most alike
	systems  []string
	verdict  match.Verdict
}

// alike returns the entities that are as alike to the record as the policy wants to be asked about, the most alike first.
func (r *run) alike(cur *store.Record, entityID string) ([]candidate, error) {
	pol, _, err := r.Policy(r.ctx, r.tx, 0)
	if err != nil {
		return nil, err
	}
	ask := pol.Kind(cur.Kind).Match.Ask
	if ask == 0 || cur.Deleted {
		return nil, nil
	}
	recs, alone, err := store.AlikeNow(r.ctx, r.tx, cur.Kind, texts(match.Blocks(cur.Kind, cur.Values)), entityID)
	if err != nil {
		return nil, err
	}
	if !alone {
		store.QueueAlikeCheck(r.batch, cur.System, cur.Kind, cur.ExternalID)
	}
	return weighed(cur, recs, ask), nil
}

// among compares the record with those that are found by one of the keys.
func (r *run) among(cur *store.Record, entityID string, keys []string, ask float64) ([]candidate, error) {
	recs, err := store.Alike(r.ctx, r.tx, cur.Kind, keys, entityID)
	if err != nil {
		return nil, err
	}
	return weighed(cur, recs, ask), nil
}

// AlikeAgain compares once more what came in beside something alike, and opens the cases that were missed. It returns how many records
// it has looked at.
func (a *Applier) AlikeAgain(ctx context.Context) (n int, err error) {
	defer domain.Wrap(&err, "change.AlikeAgain")
	checks, err := store.AlikeChecks(ctx, a.pool, 200)
	for _, c := range checks {
		if err := a.alikeAgain(ctx, c); err != nil {
			return n, err
		}
		if err := store.AlikeChecked(ctx, a.pool, c); err != nil {
			return n, err
		}
		n++
	}
	return n, err
}

func (a *Applier) alikeAgain(ctx context.Context, c store.AlikeCheck) error {
	rec, err := store.RecordByID(ctx, a.pool, c.System, c.Kind, c.ExternalID)
	if err != nil || rec == nil || rec.EntityID == "" || rec.Deleted {
		return err
	}
	pol, _, err := a.Policy(ctx, a.pool, 0)
	if err != nil || pol.Kind(c.Kind).Match.Ask == 0 {
		return err
	}
	recs, err := store.Alike(ctx, a.pool, c.Kind, texts(match.Blocks(c.Kind, rec.Values)), rec.EntityID)
	if err != nil {
		return err
	}
	cause := Cause{Actor: "datum", Source: FromSweep, CorrelationID: domain.NewID("cor")}
	for _, x := range weighed(rec, recs, pol.Kind(c.Kind).Match.Ask) {
		err := a.transact(ctx, cause, func(r *run) error {
			_, err := r.askWhether(alikeCase(c.Kind, NameOf(rec.Values), max(rec.EntityID, x.entityID), min(rec.EntityID, x.entityID), "", "", x.verdict), false)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// weighed are the entities of records that are as alike to cur as ask says, the most alike first.
func weighed(cur *store.Record, recs []*store.Record, ask float64) []candidate {
	var found []candidate
	for _, rec := range recs {
		v := match.Compare(cur.Kind, cur.Values, rec.Values)
		i := slices.IndexFunc(found, func(c candidate) bool { return c.entityID == rec.EntityID })
		if i < 0 {
			i = len(found)
			found = append(found, candidate{entityID: rec.EntityID, home: rec.Home, verdict: v})
		}
		found[i].systems = append(found[i].systems, rec.System)
		if v.Score > found[i].verdict.Score {
			found[i].verdict, found[i].home = v, rec.Home
		}
	}
	found = slices.DeleteFunc(found, func(c candidate) bool { return c.verdict.Score < ask })
	slices.SortStableFunc(found, func(a, b candidate) int {
		switch {
		case a.verdict.Score > b.verdict.Score:
			return -1
		case a.verdict.Score < b.verdict.Score:
			return 1
		}
		return strings.Compare(a.entityID, b.entityID)
	})
	return found
}

// alikeCases opens a case for every entity that the record's is much like, but does not share a strong key with.
func (r *run) alikeCases(cur *store.Record, entityID string) (cases []store.Case, err error) {
	if err := r.flush(); err != nil { // a case of the same two may be queued
		return nil, err
	}
	found, err := r.alike(cur, entityID)
	if err != nil {
		return nil, err
	}
	for _, c := range found {
		opened, err := r.openDuplicate(alikeCase(cur.Kind, NameOf(cur.Values), entityID, c.entityID, cur.System, cur.ExternalID, c.verdict))
		if err != nil {
			return nil, err
		}
		if opened != nil {
			cases = append(cases, *opened)
		}
	}
	return cases, nil
}

// alikeCase is the case that two entities may be one because they are alike.
func alikeCase(kind domain.Kind, name, id, other, system, externalID string, v match.Verdict) store.Case {
	word := strings.ToLower(string(kind))
	return store.Case{Kind: store.CaseDuplicate, EntityKind: kind, EntityID: id, OtherID: other, System: system, ExternalID: externalID,
		DedupeKey: duplicateKey(id, other), Title: fmt.Sprintf("%s may be in twice: %s", name, strings.Join(v.Reasons[:min(2, len(v.Reasons))], ", ")),
		Detail: store.CaseDetail{Score: v.Score, Reasons: v.Reasons,
			Message: fmt.Sprintf("this %s and %s are alike (%.0f in 100 that they are one): %s; until this is decided it is not written to other systems",
				word, other, 100*v.Score, strings.Join(v.Reasons, ", ")),
			Next: "say whether they are the same " + word + " or different ones"}}
}

// sole returns the only candidate if the policy lets a record be linked to it without asking: alike enough, nothing stands
// against it, no other is worth asking about, and the system has no record of it.
func (r *run) sole(cur *store.Record) (candidate, bool, error) {
	pol, _, err := r.Policy(r.ctx, r.tx, 0)
	if err != nil {
		return candidate{}, false, err
	}
	link := pol.Kind(cur.Kind).Match.Link
	if link == 0 {
		return candidate{}, false, nil
	}
	found, err := r.alike(cur, "")
	if err != nil || len(found) != 1 {
		return candidate{}, false, err
	}
	c := found[0]
	if c.verdict.Score < link || c.verdict.Against != "" || slices.Contains(c.systems, cur.System) {
		return candidate{}, false, nil
	}
	taken, err := r.hasLive(c.entityID, cur.System, cur.ExternalID)
	return c, !taken && err == nil, err
}

// standsAgainst returns why the record is not the entity's although it shares a strong key with it: a branch of one business.
func (r *run) standsAgainst(cur *store.Record, entityID string) (string, error) {
	pol, _, err := r.Policy(r.ctx, r.tx, 0)
	if err != nil || pol.Kind(cur.Kind).Match.Ask == 0 {
		return "", err
	}
	recs, err := store.RecordsOf(r.ctx, r.tx, []string{entityID})
	if err != nil {
		return "", err
	}
	for _, rec := range recs {
		if rec.Deleted {
			continue
		}
		if v := match.Compare(cur.Kind, cur.Values, rec.Values); v.Against != "" {
			return v.Against, nil
		}
	}
	return "", nil
}

// restated reports whether the record says something else than before about what records are compared by.
func restated(old, cur *store.Record) bool {
	if old == nil || old.EntityID == "" || old.Deleted != cur.Deleted {
		return true
	}
	for _, f := range match.Evidence(cur.Kind) {
		if !equal(old.Values[f], cur.Values[f]) {
			return true
		}
	}
	return false
}

// compare opens cases for what a native record that was just touched is much like.
func (s *settlement) compare() error {
	cases, err := s.alikeCases(s.touched, s.st.Entity.ID)
	for _, c := range cases {
		s.st.Cases = append(s.st.Cases, c)
		s.out.Cases = append(s.out.Cases, c.ID)
	}
	return err
}

// apart closes the cases that ask whether a settled entity is another one that it was only alike to, where there is nothing left
// to ask about. What either was kept from is written then. If they come to be alike again, it is asked again.
func (s *settlement) apart() error {
	cases := slices.DeleteFunc(slices.Clone(s.st.Cases), func(c store.Case) bool { return c.Kind != store.CaseDuplicate || len(c.Detail.Keys) > 0 })
	if len(cases) == 0 {
		return nil
	}
	if err := s.flush(); err != nil {
		return err
	}
	for _, c := range cases {
		if asks, err := s.asks(c); err != nil || asks {
			if err == nil {
				continue
			}
			return err
		}
		store.QueueCaseAnswer(s.batch, c.ID, "closed", "no longer so", "", "what the two say is no longer alike", s.cause.CorrelationID)
		store.QueueEvent(s.batch, store.TopicCase, c.EntityID, c.System, c.ID, s.cause.CorrelationID)
		if _, err := s.run.resettle(c.EntityID, nil); err != nil {
			return err
		}
	}
	return nil
}

// asks reports whether there is still reason to ask whether two entities are one: they share a strong key or are alike. While
// one of them has no live record, there is: a record that is deleted has not taken back what it said.
func (s *settlement) asks(c store.Case) (bool, error) {
	ask := s.kp.Match.Ask
	if c.Detail.Score > 0 && (ask == 0 || c.Detail.Score < ask) {
		ask = c.Detail.Score // a scan may have asked about less
	}
	var recs [2][]*store.Record
	var keys [2][]string
	for i, id := range slices.Sorted(slices.Values([]string{c.EntityID, c.OtherID})) {
		st, err := store.LockEntity(s.ctx, s.tx, id)
		if err != nil || st.Entity.MergedInto != "" {
			return true, err
		}
		keys[i] = pinnedKeys(c.EntityKind, st.Pins)
		for _, rec := range st.Records {
			if !rec.Deleted {
				recs[i] = append(recs[i], rec)
				keys[i] = append(keys[i], texts(match.Keys(c.EntityKind, rec.Values))...)
			}
		}
	}
	if len(recs[0]) == 0 || len(recs[1]) == 0 || slices.ContainsFunc(keys[0], func(k string) bool { return slices.Contains(keys[1], k) }) {
		return true, nil
	}
	for _, a := range recs[0] {
		for _, b := range recs[1] {
			if ask > 0 && match.Compare(c.EntityKind, a.Values, b.Values).Score >= ask {
				return true, nil
			}
		}
	}
	return false, nil
}
