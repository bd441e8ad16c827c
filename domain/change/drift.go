package change

import (
	"fmt"
	"slices"

	"datum/domain"
	"datum/domain/store"
)

// drift opens one case for each member of a vendor's object that the mapping does not know and that this record has not
// had before. The record keeps it; nothing is guessed. A case that a person has told to ignore stays closed.
func (r *run) drift(old, cur *store.Record) error {
	for _, path := range cur.Unknown {
		if old != nil && slices.Contains(old.Unknown, path) {
			continue
		}
		key := "drift|" + cur.System + "|" + string(cur.Kind) + "|" + path
		open, err := store.OpenCaseByKey(r.ctx, r.tx, key)
		if err != nil {
			return err
		}
		ignored, err := store.CaseDecided(r.ctx, r.tx, key, ChoiceIgnore)
		if err != nil {
			return err
		}
		if open != nil || ignored {
			continue
		}
		c := store.Case{ID: domain.NewID("case"), Kind: store.CaseDrift, EntityKind: cur.Kind, System: cur.System, ExternalID: cur.ExternalID, Field: domain.Field(path),
			DedupeKey: key, CorrelationID: r.cause.CorrelationID, Title: fmt.Sprintf("%s has something new: %s", cur.System, path),
			Detail: store.CaseDetail{Message: fmt.Sprintf("the %s of %s carries %s, which the mapping does not know; it is kept with the record %s and goes nowhere else", cur.Kind, cur.System, path, cur.ExternalID),
				Next: "ignore it, or have it mapped: `datum mapping` prints what is known"}}
		store.QueueCase(r.batch, c)
		store.QueueEvent(r.batch, store.TopicCase, cur.EntityID, cur.System, c.ID, r.cause.CorrelationID)
	}
	return nil
}
