package change

import (
	"fmt"
	"slices"
	"strings"

	"datum/domain"
	"datum/domain/store"
)

// byMove says in a case that two customers may be one because documents of one are the other's now.
const byMove = "documents"

// handedOver notes that a document has passed from one customer to another in a system. Merging customers does that in Shopify, which
// tells of it once and leaves nothing to be read later: the customer that it was taken from is looked at, and if it is gone a
// person is asked.
func (r *run) handedOver(system string, old, cur *store.Record) ([]string, error) {
	if old == nil || old.Kind == domain.KindCustomer {
		return nil, nil
	}
	from, to := old.Values["customer"].Text(), cur.Values["customer"].Text()
	if from == "" || to == "" || from == to {
		return nil, nil
	}
	from, err := store.Survivor(r.ctx, r.tx, from)
	if err != nil || from == to {
		return nil, err
	}
	if err := store.NoteMove(r.ctx, r.tx, system, from, to); err != nil {
		return nil, err
	}
	recs, err := store.RecordsOf(r.ctx, r.tx, []string{from})
	if err != nil {
		return nil, err
	}
	var look []store.Signal
	var cases []string
	for _, rec := range recs {
		switch {
		case rec.System != system || rec.MergedInto != "":
		case rec.Deleted:
			c, err := r.goneOrMerged(rec)
			if err != nil {
				return nil, err
			}
			cases = append(cases, c...)
		default:
			look = append(look, store.Signal{System: system, Kind: rec.Kind, ExternalID: rec.ExternalID, Source: "reference", CorrelationID: r.cause.CorrelationID,
				DedupeKey: fmt.Sprintf("moved|%s|%s|%s", rec.ExternalID, cur.ExternalID, cur.Version)})
		}
	}
	if len(look) == 0 {
		return cases, nil
	}
	if n, err := store.InsertSignals(r.ctx, r.tx, look); err != nil || n == 0 {
		return cases, err
	}
	return cases, r.queue.Ingest(r.ctx, r.tx, system)
}

// goneOrMerged asks what became of a customer that a system does not have any more, if another has its documents there. Nothing is
// made there again meanwhile, as with everything that is deleted.
func (r *run) goneOrMerged(rec *store.Record) ([]string, error) {
	if rec.Kind != domain.KindCustomer || !rec.Deleted || rec.MergedInto != "" || rec.EntityID == "" {
		return nil, nil
	}
	to, err := store.MovedTo(r.ctx, r.tx, rec.System, rec.EntityID)
	if err != nil || to == "" {
		return nil, err
	}
	to, err = store.Survivor(r.ctx, r.tx, to)
	if err != nil || to == rec.EntityID {
		return nil, err
	}
	if there, err := r.hasLive(to, rec.System, rec.ExternalID); err != nil || !there {
		return nil, err
	}
	name := NameOf(rec.Values)
	c, err := r.openDuplicate(store.Case{Kind: store.CaseDuplicate, EntityKind: rec.Kind, EntityID: rec.EntityID, OtherID: to, System: rec.System, ExternalID: rec.ExternalID,
		DedupeKey: duplicateKey(rec.EntityID, to), Title: fmt.Sprintf("%s was deleted or merged in %s", name, rec.System),
		Detail: store.CaseDetail{Keys: []string{byMove}, Message: fmt.Sprintf("%s does not have %s any more, and documents that were its are those of %s there now: either it was merged into that one, or it was deleted. It does not say which",
			rec.System, name, to), Next: "look into " + rec.System + ": same if it was merged there, different if it was deleted. Until then nothing is merged, and it is not made there again"}})
	if err != nil || c == nil {
		return nil, err
	}
	return []string{c.ID}, nil
}

// mergedElsewhere reports whether a case asks what became of a customer that is gone.
func mergedElsewhere(c store.Case) bool { return slices.Equal(c.Detail.Keys, []string{byMove}) }

// goneEffect is what it does to say that the customer was deleted.
func goneEffect(c store.Case) string {
	return fmt.Sprintf("%s was deleted in %s: it stays here and in the other systems, it is not made in %s again, and these two are not asked about again", strings.TrimSuffix(c.Title, " was deleted or merged in "+c.System), c.System, c.System)
}
