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

// link decides which entity the record belongs to and sets cur.EntityID; it creates the entity where the policy lets the
// system do so. In order: the link it has, the entity our write was for, a merge in the vendor, our id in the vendor's
// external-id field, strong keys. Anything ambiguous becomes an entity of its own and a case.
func (r *run) link(in Incoming, old, cur *store.Record, merged []*store.Record, keys []match.Key) (linkResult, error) {
	var res linkResult
	if err := r.followMerge(in, old, cur, merged); err != nil {
		return res, err
	}
	if cur.EntityID != "" {
		id, err := store.Survivor(r.ctx, r.tx, cur.EntityID)
		cur.EntityID = id
		return res, err
	}
	if in.EntityID != "" {
		id, err := store.Survivor(r.ctx, r.tx, in.EntityID)
		cur.Home = in.EntityID
		cur.EntityID, res.linkedBy, res.unmatched = id, "written by Datum", true
		return res, err
	}
	if cur.Deleted {
		return res, r.closeUnlinked(cur, "deleted in "+in.System)
	}
	var rivals []store.Match
	if domain.KindOfID(cur.CanonicalID) == cur.Kind {
		id, err := store.Survivor(r.ctx, r.tx, cur.CanonicalID)
		if err == nil {
			taken, err := r.hasLive(id, in.System, cur.ExternalID)
			if err != nil {
				return res, err
			}
			if !taken {
				cur.Home = cur.CanonicalID
				cur.EntityID, res.linkedBy, res.unmatched = id, "our id in the record", true
				return res, nil
			}
			rivals = append(rivals, store.Match{EntityID: id, Keys: []string{"our id " + cur.CanonicalID}, Systems: []string{in.System}})
		} else if domain.CodeOf(err) != domain.NotFound {
			return res, err
		}
	}
	matches, err := store.MatchesFor(r.ctx, r.tx, cur.Kind, texts(keys), in.System, cur.ExternalID)
	if err != nil {
		return res, err
	}
	against := ""
	if len(rivals) == 0 && len(matches) == 1 && !slices.Contains(matches[0].Systems, in.System) {
		if against, err = r.standsAgainst(cur, matches[0].EntityID); err != nil {
			return res, err
		}
		matches[0].Against = against
	}
	if len(rivals) == 0 && len(matches) == 1 && !slices.Contains(matches[0].Systems, in.System) && against == "" {
		if homes := matches[0].Homes; len(homes) == 1 {
			cur.Home = homes[0]
		}
		cur.EntityID, res.linkedBy = matches[0].EntityID, "same "+describeKeys(matches[0].Keys)
		return res, nil
	}
	for _, m := range matches {
		if !slices.ContainsFunc(rivals, func(x store.Match) bool { return x.EntityID == m.EntityID }) {
			rivals = append(rivals, m)
		}
	}
	if len(rivals) == 0 {
		if c, ok, err := r.sole(cur); err != nil {
			return res, err
		} else if ok {
			cur.Home = c.home
			cur.EntityID, res.linkedBy = c.entityID, fmt.Sprintf("alike (%.0f in 100): %s", 100*c.verdict.Score, strings.Join(c.verdict.Reasons, ", "))
			return res, nil
		}
	}
	pol, _, err := r.Policy(r.ctx, r.tx, 0)
	if err != nil {
		return res, err
	}
	if !pol.Kind(cur.Kind).MayCreate(in.System) {
		key := unlinkedKey(in.System, cur.ExternalID)
		open, err := store.OpenCaseByKey(r.ctx, r.tx, key)
		if err != nil || open != nil {
			return res, err
		}
		if ignored, err := store.CaseDecided(r.ctx, r.tx, key, ChoiceIgnore); err != nil || ignored {
			return res, err
		}
		c := store.Case{ID: domain.NewID("case"), Kind: store.CaseUnlinked, EntityKind: cur.Kind, System: in.System,
			ExternalID: cur.ExternalID, CorrelationID: in.CorrelationID, DedupeKey: key,
			Title: fmt.Sprintf("%s has a %s that is nobody's yet: %s", in.System, strings.ToLower(string(cur.Kind)), NameOf(cur.Values)),
			Detail: store.CaseDetail{Theirs: domain.TextValue(NameOf(cur.Values)), Message: fmt.Sprintf("the policy does not let %s create a %s, and no existing one has the same %s", in.System, cur.Kind, knownBy(cur.Kind)),
				Next: "create it from this record, or ignore it; it is linked by itself once it shares " + knownBy(cur.Kind) + " with one"}}
		store.QueueCase(r.batch, c)
		store.QueueEvent(r.batch, store.TopicCase, "", in.System, c.ID, in.CorrelationID)
		res.Cases = append(res.Cases, c.ID)
		return res, nil
	}
	ki, ok := cur.Kind.Info()
	if !ok {
		return res, domain.Errorf(domain.Internal, "there is no kind %q", cur.Kind)
	}
	e := store.Entity{ID: domain.NewID(ki.Prefix), Kind: cur.Kind, Golden: domain.Values{}, Provenance: map[domain.Field]store.Provenance{}}
	if err := store.QueueEntity(r.batch, &e); err != nil {
		return res, err
	}
	cur.EntityID, res.Created, res.linkedBy = e.ID, true, "new"
	for _, m := range rivals {
		id, err := r.duplicateCase(cur, e.ID, m)
		if err != nil {
			return res, err
		}
		if id != "" {
			res.Cases = append(res.Cases, id)
		}
	}
	return res, nil
}

// adopt links records that were nobody's, in systems that may not create entities, to the entity of a record that shares a
// strong key with them. Where a system has several, a person decides.
func (r *run) adopt(st *state, cur *store.Record, keys []match.Key) (map[*store.Record]bool, error) {
	free, err := store.UnlinkedMatches(r.ctx, r.tx, cur.Kind, texts(keys))
	if err != nil || len(free) == 0 {
		return nil, err
	}
	adopted := map[*store.Record]bool{}
	for i, f := range free {
		alone := (i == 0 || free[i-1].System != f.System) && (i == len(free)-1 || free[i+1].System != f.System)
		taken := slices.ContainsFunc(st.Records, func(x *store.Record) bool { return x.System == f.System && !x.Deleted })
		if !alone || taken {
			continue
		}
		f.EntityID, f.Home = st.Entity.ID, cur.Home
		st.put(f)
		adopted[f] = true
		r.history(&st.Entity, store.History{Action: store.ActionLinked, System: f.System, ExternalID: f.ExternalID, Note: "same " + describeKeys(texts(keys))})
		if err := r.closeUnlinked(f, "linked to "+st.Entity.ID); err != nil {
			return nil, err
		}
	}
	return adopted, nil
}

func unlinkedKey(system, externalID string) string { return "unlinked|" + system + "|" + externalID }

// closeUnlinked closes the case of a record that is no longer waiting for an entity.
func (r *run) closeUnlinked(rec *store.Record, why string) error {
	open, err := store.OpenCaseByKey(r.ctx, r.tx, unlinkedKey(rec.System, rec.ExternalID))
	if err != nil || open == nil {
		return err
	}
	store.QueueCaseEnd(r.batch, open.ID, "closed", why, "")
	store.QueueEvent(r.batch, store.TopicCase, rec.EntityID, rec.System, open.ID, r.cause.CorrelationID)
	return nil
}

// gained opens a case for every other entity with which a linked record has come to share a strong key.
func (r *run) gained(cur *store.Record, before, now []match.Key) (cases []string, err error) {
	fresh := slices.DeleteFunc(slices.Clone(now), func(k match.Key) bool { return slices.Contains(before, k) })
	matches, err := store.MatchesFor(r.ctx, r.tx, cur.Kind, texts(fresh), cur.System, cur.ExternalID)
	if err != nil {
		return nil, err
	}
	for _, m := range matches {
		if m.EntityID == cur.EntityID {
			continue
		}
		id, err := r.duplicateCase(cur, cur.EntityID, m)
		if err != nil {
			return nil, err
		}
		if id != "" {
			cases = append(cases, id)
		}
	}
	return cases, nil
}

// duplicateCase opens a case that two entities may be one, unless a person has decided that they are not.
func (r *run) duplicateCase(cur *store.Record, id string, m store.Match) (string, error) {
	detail := store.CaseDetail{Keys: m.Keys, Message: fmt.Sprintf("%s record %s has the same %s as %s; until this is decided it is not written to other systems",
		cur.System, cur.ExternalID, describeKeys(m.Keys), m.EntityID), Next: "say whether they are the same customer or different ones"}
	if m.Against != "" {
		detail.Reasons = []string{m.Against}
		detail.Message += "; what stands against it: " + m.Against
	}
	c, err := r.openDuplicate(store.Case{Kind: store.CaseDuplicate, EntityKind: cur.Kind, EntityID: id, OtherID: m.EntityID,
		System: cur.System, ExternalID: cur.ExternalID, DedupeKey: duplicateKey(id, m.EntityID),
		Title: fmt.Sprintf("%s may be in twice: same %s", NameOf(cur.Values), describeKeys(m.Keys)), Detail: detail})
	if err != nil || c == nil {
		return "", err
	}
	return c.ID, nil
}

// openDuplicate opens the case unless it is open already, or a person has decided that the two are different; then it returns nil.
func (r *run) openDuplicate(c store.Case) (*store.Case, error) {
	if decided, err := store.CaseDecided(r.ctx, r.tx, c.DedupeKey, ChoiceDifferent); err != nil || decided {
		return nil, err
	}
	if open, err := store.OpenCaseByKey(r.ctx, r.tx, c.DedupeKey); err != nil || open != nil {
		return nil, err
	}
	c.ID, c.CorrelationID = domain.NewID("case"), r.cause.CorrelationID
	store.QueueCase(r.batch, c)
	store.QueueEvent(r.batch, store.TopicCase, c.EntityID, c.System, c.ID, r.cause.CorrelationID)
	return &c, nil
}

func duplicateKey(a, b string) string {
	if b < a {
		a, b = b, a
	}
	return "duplicate|" + a + "|" + b
}

func (r *run) hasLive(entityID, system, except string) (bool, error) {
	recs, err := store.RecordsOf(r.ctx, r.tx, []string{entityID})
	return slices.ContainsFunc(recs, func(x *store.Record) bool {
		return x.System == system && !x.Deleted && x.ExternalID != except
	}), err
}

// followMerge carries a merge made in the vendor into Datum: the losers' records become tombstones that lead to the
// survivor, and entities that the vendor has made one become one. told are the records that say they were merged into this one.
func (r *run) followMerge(in Incoming, old, cur *store.Record, told []*store.Record) error {
	var losers []*store.Record
	if len(cur.Aliases) > 0 {
		recs, err := store.Records(r.ctx, r.tx, in.System, cur.Kind, cur.Aliases)
		if err != nil {
			return err
		}
		losers = recs
	}
	for _, t := range told {
		if !slices.ContainsFunc(losers, func(l *store.Record) bool { return l.ExternalID == t.ExternalID }) {
			losers = append(losers, t)
		}
	}
	for _, l := range losers {
		if l.ExternalID == cur.ExternalID {
			continue
		}
		store.QueueAlias(r.batch, in.System, cur.Kind, l.ExternalID, cur.ExternalID)
		news := !l.Deleted || l.MergedInto != cur.ExternalID
		if news {
			l.Deleted, l.MergedInto = true, cur.ExternalID
			store.QueueRecord(r.batch, l)
			store.QueueMatchKeys(r.batch, in.System, cur.Kind, l.ExternalID, nil)
		}
		if !news && l.EntityID != "" && cur.EntityID != "" {
			parted, err := r.parted(l.EntityID, cur.EntityID)
			if err != nil {
				return err
			}
			if parted {
				continue // it was followed once, and a person has undone it since
			}
		}
		if err := r.mergeInto(cur, l, in.System+" merged "+l.ExternalID+" into "+cur.ExternalID); err != nil {
			return err
		}
	}
	if cur.MergedInto == "" {
		return nil
	}
	// This record is the loser: if its survivor is known, their entities become one.
	cur.Deleted = true
	store.QueueAlias(r.batch, in.System, cur.Kind, cur.ExternalID, cur.MergedInto)
	winners, err := store.Records(r.ctx, r.tx, in.System, cur.Kind, []string{cur.MergedInto})
	if err != nil || len(winners) == 0 || winners[0].EntityID == "" {
		return err
	}
	w := winners[0]
	if cur.EntityID == "" {
		cur.EntityID, cur.Home = w.EntityID, w.Home
		return nil
	}
	if old != nil && old.MergedInto == cur.MergedInto {
		if parted, err := r.parted(cur.EntityID, w.EntityID); err != nil || parted {
			return err
		}
	}
	loser := cur.EntityID
	cur.EntityID = w.EntityID
	return r.mergeEntities(loser, w.EntityID, in.System+" merged "+cur.ExternalID+" into "+cur.MergedInto, "")
}

// mergeInto makes the loser's entity the record's: it takes it over if the record has none, else the two become one.
func (r *run) mergeInto(cur, loser *store.Record, note string) error {
	if loser.EntityID == "" {
		return nil
	}
	id, err := store.Survivor(r.ctx, r.tx, loser.EntityID)
	if err != nil {
		return err
	}
	if cur.EntityID == "" {
		cur.EntityID, cur.Home = id, loser.Home
		return nil
	}
	return r.mergeEntities(id, cur.EntityID, note, "")
}

// NameOf is what people call the object with these values.
func NameOf(v domain.Values) string {
	for _, f := range []domain.Field{"tradingName", "legalName", "name", "number", "sku", "title", "email", "reference"} {
		if s := v[f].Text(); s != "" {
			return s
		}
	}
	return unnamed
}

const unnamed = "an unnamed record"

// Called is NameOf for one entity, also of what has no name of its own: stock goes by its product and where that lies, a payment
// without a reference by who paid.
func Called(ctx context.Context, db store.DB, kind domain.Kind, v domain.Values) (string, error) {
	name := NameOf(v)
	if name != unnamed {
		return name, nil
	}
	ids := []string{v["product"].Text(), v["location"].Text(), v["customer"].Text()}
	es, err := store.Entities(ctx, db, ids)
	if err != nil {
		return "", err
	}
	known := map[string]string{}
	for _, e := range es {
		known[e.ID] = NameOf(e.Golden)
	}
	product, location, customer := known[ids[0]], known[ids[1]], known[ids[2]]
	switch {
	case product != "" && location != "":
		return product + " at " + location, nil
	case product != "":
		return product, nil
	case customer != "":
		return strings.ToLower(string(kind)) + " of " + customer, nil
	}
	return name, nil
}

// called is Called for the entity that is settled.
func (s *settlement) called() (string, error) { return Called(s.ctx, s.tx, s.kp.Kind, s.golden) }

// knownBy says what makes two records of a kind one.
func knownBy(kind domain.Kind) string {
	switch kind {
	case domain.KindCustomer:
		return "ABN, or e-mail and name"
	case domain.KindProduct:
		return "SKU or barcode"
	case domain.KindLocation:
		return "code or name"
	case domain.KindStockLevel:
		return "product and location"
	default:
		return "number or origin"
	}
}

func describeKeys(keys []string) string {
	var words []string
	for _, k := range keys {
		sort, _, _ := strings.Cut(k, ":")
		switch sort {
		case "abn":
			sort = "ABN"
		case "email+name":
			sort = "e-mail and name"
		}
		if !slices.Contains(words, sort) {
			words = append(words, sort)
		}
	}
	return strings.Join(words, ", ")
}
