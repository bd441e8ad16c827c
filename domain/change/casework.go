package change

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/store"
)

// AssignCase gives an open case to a person; "" takes it back.
func (a *Applier) AssignCase(ctx context.Context, id, assignee string, cause Cause) (store.Case, error) {
	assignee = strings.TrimSpace(assignee)
	note := "to " + assignee
	if assignee == "" {
		note = "to nobody"
	}
	return a.work(ctx, id, cause, "assigned", note, true, func(b *pgx.Batch) { store.QueueCaseAssign(b, id, assignee) })
}

// CommentCase notes what a person has to say about a case, open or not.
func (a *Applier) CommentCase(ctx context.Context, id, comment string, cause Cause) (store.Case, error) {
	if strings.TrimSpace(comment) == "" {
		return store.Case{}, domain.Errorf(domain.Invalid, "a comment must say something")
	}
	return a.work(ctx, id, cause, "commented", comment, false, func(*pgx.Batch) {})
}

// SnoozeCase lets an open case rest until the time, which must be after now; the zero time ends its rest.
func (a *Applier) SnoozeCase(ctx context.Context, id string, now, until time.Time, cause Cause) (store.Case, error) {
	if until.IsZero() {
		return a.work(ctx, id, cause, "woke", "its rest was ended", true, func(b *pgx.Batch) { store.QueueCaseSnooze(b, id, nil) })
	}
	if !until.After(now) {
		return store.Case{}, domain.Errorf(domain.Invalid, "a case can rest until a time to come, not until %s", until.Format(time.RFC3339))
	}
	return a.work(ctx, id, cause, "snoozed", "until "+until.UTC().Format(time.RFC3339), true, func(b *pgx.Batch) { store.QueueCaseSnooze(b, id, &until) })
}

// work does something with a case that decides nothing, notes who did, and tells subscribers.
func (a *Applier) work(ctx context.Context, id string, cause Cause, action, note string, open bool, do func(b *pgx.Batch)) (c store.Case, err error) {
	defer domain.Wrap(&err, "change.work")
	err = a.transact(ctx, cause, func(r *run) error {
		if c, err = store.CaseByID(ctx, r.tx, id, true); err != nil {
			return err
		}
		if open && c.Status != "open" {
			return domain.Errorf(domain.Conflict, "case %s is no longer open; its outcome was: %s", c.ID, c.Resolution)
		}
		do(r.batch)
		store.QueueCaseEvent(r.batch, store.CaseEvent{CaseID: id, Action: action, Actor: cause.Actor, Note: note, CorrelationID: cause.CorrelationID})
		store.QueueEvent(r.batch, store.TopicCase, c.EntityID, c.System, c.ID, cause.CorrelationID)
		return nil
	})
	if err != nil {
		return c, err
	}
	return store.CaseByID(ctx, a.pool, id, false)
}

// ruled reports whether cases of a kind can be ignored by rule. Of a possible duplicate it is remembered by itself that the two are
// different; a mass change and a lost authorisation are to be looked at each time.
func ruled(kind string) bool {
	return kind != store.CaseReauth && kind != store.CaseMassChange && kind != store.CaseDuplicate
}

// CanRemember reports whether Decision.Always can make a rule of the choice about the case.
func (x Choice) CanRemember(c store.Case) bool { return x.Name == ChoiceIgnore && ruled(c.Kind) }

// remember makes a rule of a decision to ignore: cases like this one are answered in the same way from now on.
func (r *run) remember(c store.Case, d Decision) error {
	if d.Choice != ChoiceIgnore {
		return domain.Errorf(domain.Invalid, "only ignore can be remembered as a rule, not %s", d.Choice)
	}
	if !ruled(c.Kind) {
		return domain.Errorf(domain.Invalid, "a case of this kind must be looked at each time it comes; it cannot be ignored by rule")
	}
	if c.Field == "" && strings.Trim(d.Pattern, "* ") == "" && c.Kind != store.CaseUnlinked {
		return domain.Errorf(domain.Invalid, "a rule for all cases %s of %s would hide too much: give a pattern of what they say, such as %q", c.Kind, c.System, "*"+clip(domain.Value(c.Subject()))+"*")
	}
	rule := store.CaseRule{ID: domain.NewID("rule"), Kind: c.Kind, System: c.System, EntityKind: c.EntityKind, Field: c.Field, Pattern: d.Pattern, Note: d.Comment, CreatedBy: d.Actor}
	if c.Kind == store.CaseDrift && d.Pattern != "" {
		rule.Field = "" // the pattern is of paths
	}
	store.QueueCaseRule(r.batch, rule)
	store.QueueCaseEvent(r.batch, store.CaseEvent{CaseID: c.ID, Action: "commented", Actor: d.Actor, Note: "made the rule " + rule.ID + ": " + RuleText(rule), CorrelationID: d.CorrelationID})
	return nil
}

// RuleText is what a rule does, in words.
func RuleText(r store.CaseRule) string {
	s := "ignore every case of kind " + r.Kind
	if r.System != "" {
		s += " in " + r.System
	}
	if r.EntityKind != "" {
		s += " about a " + string(r.EntityKind)
	}
	if r.Field != "" {
		s += ", field " + string(r.Field)
	}
	if r.Pattern != "" {
		s += fmt.Sprintf(", that says %q", r.Pattern)
	}
	return s
}

// RemoveCaseRule ends a rule. What it has answered is asked again when it is next seen.
func (a *Applier) RemoveCaseRule(ctx context.Context, id string, cause Cause) error {
	return a.transact(ctx, cause, func(r *run) error { return store.RemoveCaseRule(ctx, r.tx, id, cause.Actor) })
}

// MostAtOnce is how many cases one call may decide.
const MostAtOnce = 500

// Outcome is what became of one case of many.
type Outcome struct {
	CaseID string
	Err    error // nil if it was decided
}

// MatchingCases returns the ids of the open cases that match, which must be as many as the person has counted: who decides
// about a number of cases must have seen that number.
func (a *Applier) MatchingCases(ctx context.Context, f store.CaseFilter, expected int) ([]string, error) {
	f.Status = "open"
	cs, err := store.ListCases(ctx, a.pool, f, nil, "", MostAtOnce+1)
	if err != nil {
		return nil, err
	}
	if len(cs) > MostAtOnce {
		return nil, domain.Errorf(domain.Invalid, "more than %d cases match; narrow the filter", MostAtOnce)
	}
	if len(cs) != expected {
		return nil, domain.Errorf(domain.Conflict, "%d open cases match, not %d: look at them again, then say how many you mean", len(cs), expected)
	}
	ids := make([]string, len(cs))
	for i, c := range cs {
		ids[i] = c.ID
	}
	return ids, nil
}

// DecideMany gives several cases the same answer, each in a transaction of its own, and says what became of each.
func (a *Applier) DecideMany(ctx context.Context, ids []string, d Decision) ([]Outcome, error) {
	if len(ids) > MostAtOnce {
		return nil, domain.Errorf(domain.Invalid, "%d cases at once are too many, at most %d", len(ids), MostAtOnce)
	}
	out := make([]Outcome, len(ids))
	for i, id := range ids {
		d.CaseID = id
		out[i] = Outcome{CaseID: id, Err: ctx.Err()}
		if out[i].Err == nil {
			_, out[i].Err = a.Decide(ctx, d)
		}
		if out[i].Err == nil {
			d.Always = false // one rule is enough
		}
	}
	return out, nil
}
