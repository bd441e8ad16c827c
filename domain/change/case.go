package change

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"datum/domain"
	"datum/domain/store"
)

// Choices of cases. Each means the same wherever it is offered.
const (
	ChoiceAccept    = "accept"    // theirs becomes golden and travels to the owner
	ChoiceKeepOurs  = "keep_ours" // ours is written back
	ChoicePin       = "pin"       // a value that the person gives becomes golden and travels to the owner
	ChoiceEdit      = "edit"      // the same, as the correction of what was refused or cannot be used; then it is tried again
	ChoiceSame      = "same"      // the two entities are one: merge
	ChoiceDifferent = "different" // they are not, and are not asked about again
	ChoiceLink      = "link"      // the record belongs to an entity that the person names
	ChoiceCreate    = "create"    // make a new entity of an unlinked record
	ChoiceRetry     = "retry"     // try again as it is
	ChoiceAllocate  = "allocate"  // what is on the customer's account pays an invoice that the person names
	ChoiceRefund    = "refund"    // it is given back, by the person
	ChoiceCredit    = "credit"    // it stays on the customer's account
	ChoiceApprove   = "approve"   // what was held back goes on
	ChoiceReject    = "reject"    // what was held back does not happen
	ChoiceWithdraw  = "withdraw"  // what was asked of the owner is asked no longer
	ChoiceIgnore    = "ignore"    // close it and do nothing
)

// choiceMerge is another word for ChoiceSame.
const choiceMerge = "merge"

// Choice is one answer that a kind of case can be given.
type Choice struct {
	Name string
	// Effect says in words what it does and what it writes where.
	Effect func(c store.Case) string
	// Value and Target say what a person must give with it: a value for the field, or the id of an entity.
	Value, Target bool
	// when says of which cases it is an answer; nil is all of the kind.
	when func(c store.Case) bool
	// do carries it out, in the transaction that has locked what the case is about and has queued the end of the case.
	do func(r *run, c store.Case, d Decision) error
}

// says is an Effect that is the same for all cases of the kind.
func says(s string) func(store.Case) string { return func(store.Case) string { return s } }

// choicesOf is the table of what can be decided about each kind of case. To add a kind: a constant in domain/store, its row
// here, its value in CaseKind of graph/schema/case.graphqls. To add a choice: a Choice in the row. Whoever opens a case leaves
// its Choices empty to offer all that the kind has.
func choicesOf(kind string) []Choice {
	ignore := func(effect string) Choice {
		return Choice{Name: ChoiceIgnore, Effect: says(effect), do: func(*run, store.Case, Decision) error { return nil }}
	}
	switch kind {
	case store.CaseConflict:
		return []Choice{
			{Name: ChoiceAccept, do: (*run).accept, Effect: func(c store.Case) string {
				return fmt.Sprintf("%s becomes %s: it is written to %s, which owns it, and to every system that carries it", c.Field, clip(c.Detail.Theirs), c.Detail.Owner)
			}},
			{Name: ChoiceKeepOurs, do: (*run).keepOurs, Effect: func(c store.Case) string {
				if proposal(c) {
					return fmt.Sprintf("%s stays %s; nothing is written, the proposal is turned down", c.Field, clip(c.Detail.Ours))
				}
				return fmt.Sprintf("%s stays %s, which is written back to %s", c.Field, clip(c.Detail.Ours), c.System)
			}},
			{Name: ChoicePin, Value: true, do: (*run).correct, Effect: func(c store.Case) string {
				return fmt.Sprintf("%s becomes the value you give: it is written to %s, which owns it, and to every system that carries it", c.Field, c.Detail.Owner)
			}},
			ignore("nothing is written, each keeps its own value; it is asked again when theirs becomes another one"),
		}
	case store.CaseDuplicate:
		return []Choice{
			{Name: ChoiceSame, do: (*run).same, Effect: func(c store.Case) string {
				return fmt.Sprintf("%s becomes part of %s: one record in each system stands for both, and what was held back is written", c.EntityID, c.OtherID)
			}},
			{Name: ChoiceDifferent, do: (*run).again, Effect: func(c store.Case) string {
				if mergedElsewhere(c) {
					return goneEffect(c)
				}
				return "both stay, what was held back is written, and these two are not asked about again"
			}},
		}
	case store.CaseRefused:
		return []Choice{
			{Name: ChoiceRetry, do: (*run).retry, Effect: func(c store.Case) string {
				if gathers(c) {
					return fmt.Sprintf("everything that %s refuses for this reason is sent once more, twenty a second at most", c.System)
				}
				return "the same values are sent to " + c.System + " once more"
			}},
			{Name: ChoiceEdit, Value: true, do: (*run).correct, when: func(c store.Case) bool { return !gathers(c) }, Effect: func(c store.Case) string {
				return "the field that you name gets the value you give, in the system that owns it too; then it is sent to " + c.System
			}},
			{Name: ChoiceAccept, do: (*run).acceptRecord, when: func(c store.Case) bool { return c.ExternalID != "" }, Effect: func(c store.Case) string {
				return "what " + c.System + " has stays there and becomes the value in force: it is written to the owner and to every system that carries it"
			}},
			{Name: ChoiceWithdraw, do: (*run).withdrawAsked, when: func(c store.Case) bool { return len(c.Detail.Asked) > 0 }, Effect: func(c store.Case) string {
				return fmt.Sprintf("%s is no longer asked to change %s, and keeps its value; anything else is sent once more", c.System, fieldNames(c.Detail.Asked))
			}},
			ignore("nothing is written; it is tried again when one of the values changes"),
		}
	case store.CaseUnconfirmed:
		return []Choice{
			{Name: ChoiceRetry, do: (*run).askAgain, Effect: func(c store.Case) string {
				return fmt.Sprintf("%s is asked once more to make %s %s", c.Detail.Owner, c.Field, clip(c.Detail.Theirs))
			}},
			ignore(`the value in force stays as it is; nothing is written`),
		}
	case store.CaseInvalid:
		return []Choice{
			{Name: ChoiceEdit, Value: true, do: (*run).correct, Effect: func(c store.Case) string {
				return fmt.Sprintf("the value you give is written to %s over the one that cannot be used, to the owner of %s and to every system that carries it", c.System, c.Field)
			}},
			{Name: ChoiceKeepOurs, do: (*run).overwrite, when: func(c store.Case) bool { return !c.Detail.Ours.Empty() }, Effect: func(c store.Case) string {
				return fmt.Sprintf("the value in force, %s, is written to %s over the one that cannot be used", clip(c.Detail.Ours), c.System)
			}},
			ignore("nothing is written; it is asked again when the value there changes to another one that cannot be used"),
		}
	case store.CaseUnlinked:
		return []Choice{
			{Name: ChoiceCreate, do: (*run).createFrom, Effect: func(c store.Case) string {
				return fmt.Sprintf("a new %s is made of the record and written to the systems that are to have it", strings.ToLower(string(c.EntityKind)))
			}},
			{Name: ChoiceLink, Target: true, do: (*run).linkTo, Effect: func(c store.Case) string {
				return fmt.Sprintf("the record stands for the %s that you name in %s from now on; values that differ are settled as the policy says", strings.ToLower(string(c.EntityKind)), c.System)
			}},
			ignore("the record stays nobody's; nothing is written"),
		}
	case store.CaseStuck:
		return []Choice{
			{Name: ChoiceRetry, do: (*run).retry, Effect: func(c store.Case) string {
				if c.EntityID == "" {
					return "what came in about it is taken in once more"
				}
				return "it is sent to " + c.System + " at once, and the tries are counted anew"
			}},
			ignore("the case is closed; tries go on"),
		}
	case store.CaseReauth:
		return []Choice{
			{Name: ChoiceRetry, do: (*run).retryAuth, Effect: func(c store.Case) string {
				return "the stored credentials of " + c.System + " are tried once more; everything that waits goes on if they work"
			}},
			ignore("nothing is read from the system or written to it until it is authorised again"),
		}
	case store.CaseGap:
		return []Choice{ignore("what was missed is found by the next sweep")}
	case store.CaseDrift:
		return []Choice{
			{Name: ChoiceAccept, do: (*run).decideDrift, when: func(c store.Case) bool {
				return strings.HasSuffix(c.DedupeKey, "|missing") || strings.HasSuffix(c.DedupeKey, "|type")
			},
				Effect: func(c store.Case) string {
					if strings.HasSuffix(c.DedupeKey, "|type") {
						return fmt.Sprintf("what %s shows of %s counts as far as it can be read, and what waits is written", c.System, c.Field)
					}
					return fmt.Sprintf("%s of %s counts as empty, and what waits is written", c.Field, c.System)
				}},
			{Name: ChoiceIgnore, do: (*run).decideDrift, Effect: func(c store.Case) string {
				if c.Field != "" {
					return fmt.Sprintf("the last known values of %s stay in force, what waits is written to %s, and it is not asked about again", c.Field, c.System)
				}
				return "all stays as it is, and it is not asked about again"
			}},
		}
	case store.CaseMassChange:
		return []Choice{
			{Name: ChoiceApprove, do: (*run).approve, Effect: func(c store.Case) string {
				if mapped(c) {
					return "the document is put in force: what is stored of " + c.System + " is read anew under it, and what follows is written to every system that carries it"
				}
				if outward(c) {
					return fmt.Sprintf("exactly the %d held back are written to %s, after everything that somebody waits for", c.Detail.Held, c.System)
				}
				return fmt.Sprintf("exactly the %d held back are applied: what %s says becomes the value in force and is written to every system that carries it", c.Detail.Held, c.System)
			}},
			{Name: ChoiceReject, do: (*run).reject, Effect: func(c store.Case) string {
				if mapped(c) {
					return "the document is dropped; the mapping of " + c.System + " stays as it is, and nothing changes"
				}
				if outward(c) {
					return "nothing is written: they stay as they are in " + c.System + " until something else about them changes"
				}
				return "the values in force stay, and are written back to " + c.System + "; what was deleted there stays here and in the other systems"
			}},
		}
	case store.CaseFlow:
		overpaid := func(c store.Case) bool { return c.Field == "allocations" }
		nothing := func(*run, store.Case, Decision) error { return nil }
		return []Choice{
			{Name: ChoiceAllocate, Target: true, when: overpaid, do: (*run).allocate, Effect: says("what is on the customer's account pays the invoice that you name, as far as it is open, in accounting too")},
			{Name: ChoiceRefund, when: overpaid, do: nothing, Effect: says("nothing is written: give the money back in the shop or at the bank, and in accounting out of the customer's credit")},
			{Name: ChoiceCredit, when: overpaid, do: nothing, Effect: says("nothing is written: it stays as credit on the customer's account, for a later invoice")},
			ignore("nothing is done; it is asked again if the document changes"),
		}
	}
	return nil
}

// Offered returns the choices that a case has.
func Offered(c store.Case) []Choice {
	return slices.DeleteFunc(choicesOf(c.Kind), func(x Choice) bool {
		return len(c.Choices) > 0 && !slices.Contains(c.Choices, x.Name) || x.when != nil && !x.when(c)
	})
}

// Decision is a person's answer to a case.
type Decision struct {
	CaseID string
	Choice string
	// Field and Value are what to set, for choices that need a value. Field is needed where the case concerns several.
	Field domain.Field
	Value domain.Value
	// TargetID is the entity meant, for choices that need one. Of two entities that are the same it is the one that stays;
	// "" is the older one.
	TargetID string
	// Comment is why, for the case's timeline.
	Comment string
	// Always makes a rule of the decision to ignore: cases of the same kind, system and field whose value or words are like
	// Pattern (* stands for anything, "" is any) are answered in the same way from now on.
	Always  bool
	Pattern string
	Cause
}

// Decide carries a decision out. Conflict if the case has ended meanwhile, Invalid if it has no such choice or if what the
// choice needs is missing or cannot be.
func (a *Applier) Decide(ctx context.Context, d Decision) (c store.Case, err error) {
	defer domain.Wrap(&err, "change.Decide")
	d.Cause.Source = FromCase
	if err = a.transact(ctx, d.Cause, func(r *run) error { return r.decide(d) }); err != nil {
		return c, err
	}
	return store.CaseByID(ctx, a.pool, d.CaseID, false)
}

// decide checks a decision against the case as it is now, ends the case and carries the decision out.
func (r *run) decide(d Decision) error {
	c, err := store.CaseByID(r.ctx, r.tx, d.CaseID, false)
	if err != nil {
		return err
	}
	if err := r.lockCase(&c); err != nil {
		return err
	}
	if c.Status != "open" {
		return domain.Errorf(domain.Conflict, "case %s is no longer open; its outcome was: %s", c.ID, c.Resolution)
	}
	if d.Choice == choiceMerge {
		d.Choice = ChoiceSame
	}
	offered := Offered(c)
	i := slices.IndexFunc(offered, func(x Choice) bool { return x.Name == d.Choice })
	if i < 0 {
		names := make([]string, len(offered))
		for i, x := range offered {
			names[i] = x.Name
		}
		return domain.Errorf(domain.Invalid, "case %s can be answered with %s, not %q", c.ID, strings.Join(names, " or "), d.Choice)
	}
	switch choice := offered[i]; {
	case choice.Value && d.Value == "":
		return domain.Errorf(domain.Invalid, "%s needs a value; null clears the field", d.Choice)
	case choice.Target && d.TargetID == "":
		return domain.Errorf(domain.Invalid, "%s needs the id of the %s that is meant", d.Choice, strings.ToLower(string(c.EntityKind)))
	}
	if d.Always {
		if err := r.remember(c, d); err != nil {
			return err
		}
	}
	note := d.Choice
	if d.Comment != "" {
		note += ": " + d.Comment
	}
	store.QueueCaseAnswer(r.batch, c.ID, "resolved", d.Choice, d.Actor, note, d.CorrelationID)
	store.QueueEvent(r.batch, store.TopicCase, c.EntityID, c.System, c.ID, d.CorrelationID)
	return offered[i].do(r, c, d)
}

// lockCase locks what the case is about, and then the case, and reads it again: of two decisions at once one is heard.
func (r *run) lockCase(c *store.Case) error {
	for _, id := range []string{min(c.EntityID, c.OtherID), max(c.EntityID, c.OtherID)} {
		if domain.KindOfID(id) == "" {
			continue
		}
		if _, err := store.LockEntity(r.ctx, r.tx, id); err != nil {
			return err
		}
	}
	locked, err := store.CaseByID(r.ctx, r.tx, c.ID, true)
	if err == nil {
		*c = locked
	}
	return err
}

// resettle locks an entity, lets edit change its state, and settles it.
func (r *run) resettle(id string, edit func(s *settlement) error) (Result, error) {
	st, pol, err := r.lock(id)
	if err != nil {
		return Result{}, err
	}
	s := &settlement{run: r, st: st, pol: pol, kp: pol.Kind(st.Entity.Kind), dirty: map[*store.Record]bool{}}
	if edit != nil {
		if err := edit(s); err != nil {
			return Result{}, err
		}
	}
	res, err := s.settle()
	return res.Result, err
}

// Resettle resolves an entity again: after a new policy, or when something it waited for has happened.
func (a *Applier) Resettle(ctx context.Context, id string, cause Cause) (res Result, err error) {
	defer domain.Wrap(&err, "change.Resettle")
	err = a.transact(ctx, cause, func(r *run) error {
		res, err = r.resettle(id, nil)
		return err
	})
	return res, err
}

// Retry makes a refused or waiting projection due at once. NotFound if the entity has none in the system.
func (a *Applier) Retry(ctx context.Context, entityID, system string, cause Cause) error {
	return a.transact(ctx, cause, func(r *run) error {
		_, err := r.resettle(entityID, func(s *settlement) error {
			p := s.st.Projections[system]
			if p == nil {
				return domain.Errorf(domain.NotFound, "%s has no projection to %s", entityID, system)
			}
			for _, c := range slices.Clone(s.st.Cases) {
				if c.Kind == store.CaseRefused && c.System == system {
					s.endCase(c.ID, "resolved", ChoiceRetry, cause.Actor)
				}
			}
			if p.Status != store.Confirmed {
				p.Diff = domain.Values{}
			}
			return nil
		})
		return err
	})
}
