package change

import (
	"fmt"
	"slices"
	"strings"

	"datum/domain"
	"datum/domain/ownership"
	"datum/domain/store"
)

func conflictKey(entity, system string, f domain.Field) string {
	return "conflict|" + entity + "|" + system + "|" + string(f)
}

// proposal reports whether a conflict is an edit through the API rather than a record.
func proposal(c store.Case) bool { return strings.HasPrefix(c.ExternalID, "proposal:") }

func (s *settlement) openConflict(system, externalID string, f domain.Field, theirs domain.Value, g ownership.Golden) error {
	key := conflictKey(s.st.Entity.ID, system, f)
	for i, c := range s.st.Cases {
		if c.DedupeKey == key {
			if c.Detail.Theirs == theirs && equal(c.Detail.Ours, g.Value) {
				return nil
			}
			s.st.Cases[i].Detail.Theirs, s.st.Cases[i].Detail.Ours = theirs, g.Value
			c.Detail.Theirs, c.Detail.Ours = theirs, g.Value
			store.QueueCase(s.batch, c)
			store.QueueEvent(s.batch, store.TopicCase, s.st.Entity.ID, system, c.ID, s.cause.CorrelationID)
			return nil
		}
	}
	if ignored, err := store.CaseIgnored(s.ctx, s.tx, key, theirs); err != nil || ignored {
		return err
	}
	name, err := s.called()
	if err != nil {
		return err
	}
	c := store.Case{ID: domain.NewID("case"), Kind: store.CaseConflict, EntityKind: s.kp.Kind, EntityID: s.st.Entity.ID, System: system,
		ExternalID: externalID, Field: f, DedupeKey: key, CorrelationID: s.cause.CorrelationID,
		Title: fmt.Sprintf("%s: %s and %s disagree about %s", name, system, g.Owner, f),
		Detail: store.CaseDetail{Ours: g.Value, Theirs: theirs, Owner: g.Owner,
			Message: fmt.Sprintf("%s says %s; %s owns %s and the value in force is %s. Until this is decided each keeps its own.", system, clip(theirs), g.Owner, f, clip(g.Value)),
			Next:    fmt.Sprintf("accept to write theirs to %s and everywhere, or keep ours to write the value in force back to %s", g.Owner, system)}}
	store.QueueCase(s.batch, c)
	store.QueueEvent(s.batch, store.TopicCase, c.EntityID, system, c.ID, s.cause.CorrelationID)
	s.st.Cases = append(s.st.Cases, c)
	s.out.Cases = append(s.out.Cases, c.ID)
	return nil
}

// cases opens cases for values that cannot be used, and closes those that the world has overtaken.
func (s *settlement) cases() error {
	wanted := map[string]bool{}
	for _, rec := range s.st.Records {
		if rec.Deleted {
			continue
		}
		for f, h := range rec.Held {
			if h.Others == string(ownership.Propose) {
				wanted[conflictKey(s.st.Entity.ID, rec.System, f)] = true
			}
		}
		for _, is := range rec.Issues {
			if is.Severity != domain.Problem {
				continue
			}
			if overwritten(rec, is.Field) {
				continue // on its way
			}
			key := "invalid|" + rec.System + "|" + rec.ExternalID + "|" + string(is.Field)
			wanted[key] = true
			if i := slices.IndexFunc(s.st.Cases, func(c store.Case) bool { return c.DedupeKey == key }); i >= 0 && s.st.Cases[i].Detail.Theirs == domain.TextValue(is.Value) {
				continue
			}
			if ignored, err := store.CaseIgnored(s.ctx, s.tx, key, domain.TextValue(is.Value)); err != nil {
				return err
			} else if ignored {
				continue
			}
			name, err := s.called()
			if err != nil {
				return err
			}
			c := store.Case{ID: domain.NewID("case"), Kind: store.CaseInvalid, EntityKind: s.kp.Kind, EntityID: s.st.Entity.ID, System: rec.System,
				ExternalID: rec.ExternalID, Field: is.Field, DedupeKey: key, CorrelationID: s.cause.CorrelationID,
				Title: fmt.Sprintf("%s: the %s in %s cannot be used", name, is.Field, rec.System),
				Detail: store.CaseDetail{Theirs: domain.TextValue(is.Value), Ours: s.golden[is.Field], Message: is.Message,
					Next: "correct it in " + rec.System + "; everything else of the record is used as it is"}}
			store.QueueCase(s.batch, c)
			store.QueueEvent(s.batch, store.TopicCase, c.EntityID, rec.System, c.ID, s.cause.CorrelationID)
			s.out.Cases = append(s.out.Cases, c.ID)
		}
	}
	for _, c := range slices.Clone(s.st.Cases) {
		overtaken := (c.Kind == store.CaseConflict && !proposal(c) || c.Kind == store.CaseInvalid) && !wanted[c.DedupeKey]
		if (c.Kind == store.CaseConflict && proposal(c) || c.Kind == store.CaseUnconfirmed) && equal(c.Detail.Theirs, s.golden[c.Field]) {
			overtaken = true
		}
		if overtaken && c.EntityID == s.st.Entity.ID {
			s.endCase(c.ID, "closed", "no longer so", "")
		}
	}
	return nil
}

func (s *settlement) endCase(id, status, resolution, by string) {
	store.QueueCaseEnd(s.batch, id, status, resolution, by)
	store.QueueEvent(s.batch, store.TopicCase, s.st.Entity.ID, "", id, s.cause.CorrelationID)
	s.st.Cases = slices.DeleteFunc(s.st.Cases, func(c store.Case) bool { return c.ID == id })
}
