package graph

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/99designs/gqlgen/graphql"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/graph/loader"
	"datum/graph/model"
)

// given returns the value of an input, Null if it is null and "" if it is absent.
func given[T ~[]byte](v graphql.Omittable[T]) domain.Value {
	switch {
	case !v.IsSet():
		return ""
	case v.Value() == nil:
		return domain.Null
	}
	return domain.Value(v.Value())
}

// decision is an input as a decision in the caller's name.
func decision(ctx context.Context, in model.ResolveCaseInput) change.Decision {
	d := change.Decision{CaseID: in.ID, Choice: in.Choice, Field: domain.Field(value(in.Field.Value())), Value: given(in.Value),
		TargetID: value(in.TargetID.Value()), Comment: value(in.Comment.Value()), Cause: cause(ctx)}
	if m := in.Remember.Value(); m != nil {
		d.Always, d.Pattern = true, value(m.Pattern.Value())
	}
	return d
}

// decide answers a case in the caller's name. The same answer again is no mistake.
func (r *Resolver) decide(ctx context.Context, in model.ResolveCaseInput) error {
	d := decision(ctx, in)
	_, err := r.changes.Decide(ctx, d)
	if domain.CodeOf(err) != domain.Conflict {
		return err
	}
	c, readErr := store.CaseByID(ctx, r.pool, d.CaseID, false)
	if readErr == nil && c.Status == "resolved" && c.Resolution == d.Choice {
		return nil
	}
	return err
}

// decideMany answers several cases in the caller's name.
func (r *Resolver) decideMany(ctx context.Context, in model.ResolveCasesInput) (*model.ResolveCasesPayload, error) {
	p := &model.ResolveCasesPayload{Outcomes: []*model.CaseOutcome{}}
	ids, filter := in.Ids.Value(), in.Filter.Value()
	var err error
	switch {
	case (ids == nil) == (filter == nil):
		err = domain.Errorf(domain.Invalid, "give either ids or a filter")
	case filter != nil && in.ExpectedCount.Value() == nil:
		err = domain.Errorf(domain.Invalid, "with a filter expectedCount is needed: how many cases you have seen to match it")
	case filter != nil:
		ids, err = r.changes.MatchingCases(ctx, awake(filter), *in.ExpectedCount.Value())
	}
	if err != nil {
		p.UserErrors, err = userErrors(err)
		return p, err
	}
	one := model.ResolveCaseInput{Choice: in.Choice, Field: in.Field, Value: in.Value, Comment: in.Comment, Remember: in.Remember}
	outcomes, err := r.changes.DecideMany(ctx, ids, decision(ctx, one))
	for _, o := range outcomes {
		m := &model.CaseOutcome{ID: o.CaseID, Decided: o.Err == nil}
		if o.Err == nil {
			p.Decided++
		} else {
			p.Failed++
			var ok bool
			if m.Error, ok = userError(o.Err); !ok {
				r.log.ErrorContext(ctx, "a case of several was not decided", "case", o.CaseID, "error", o.Err, "correlation_id", domain.Correlation(ctx))
				m.Error = &model.UserError{Code: model.ErrorCode(domain.CodeOf(o.Err)), Message: "something went wrong inside Datum; quote the correlation id " + domain.Correlation(ctx)}
			}
		}
		p.Outcomes = append(p.Outcomes, m)
	}
	loader.From(ctx).Forget()
	if err != nil {
		p.UserErrors, err = userErrors(err)
		return p, err
	}
	p.UserErrors = []*model.UserError{}
	return p, nil
}

// previewed says what a decision would do.
func (r *Resolver) previewed(ctx context.Context, in model.ResolveCaseInput) (*model.CasePreview, error) {
	p, err := r.changes.Preview(ctx, decision(ctx, in))
	ues, err := userErrors(err)
	if err != nil {
		return nil, err
	}
	m, err := r.foreseen(ctx, p)
	if err == nil {
		m.UserErrors = ues
	}
	return m, err
}

// foreseen shows what a transaction would do, or has done.
func (r *Resolver) foreseen(ctx context.Context, p change.Preview) (*model.CasePreview, error) {
	systems, err := store.Systems(ctx, r.pool)
	if err != nil {
		return nil, err
	}
	mode := func(name string) model.SystemMode {
		for _, s := range systems {
			if s.Name == name {
				return model.SystemMode(strings.ToUpper(string(s.Mode)))
			}
		}
		return model.SystemModeOff
	}
	ahead := func(c store.Case) *model.CaseAhead {
		id := text(c.ID)
		if c.Status == "open" {
			id = nil // it will get another one
		}
		return &model.CaseAhead{ID: id, Kind: *enum[model.CaseKind](c.Kind), Title: c.Title}
	}
	m := &model.CasePreview{Opens: each(p.Opens, ahead), Ends: each(p.Ends, ahead), Merges: []*model.MergeAhead{}, MoreGolden: p.Deeper,
		Golden: each(p.Golden, func(g change.GoldenChange) *model.GoldenAhead {
			return &model.GoldenAhead{EntityID: text(g.EntityID), Name: g.Name, Field: string(g.Field), From: []byte(g.From), To: []byte(g.To)}
		}),
		Writes: each(p.Writes, func(w change.WriteAhead) *model.WriteAhead {
			return &model.WriteAhead{System: w.System, Mode: mode(w.System), Kind: string(w.Kind), EntityID: text(w.EntityID), Name: w.Name,
				ExternalID: text(w.ExternalID), Values: rawJSON(w.Values)}
		})}
	for _, from := range slices.Sorted(maps.Keys(p.Merged)) {
		m.Merges = append(m.Merges, &model.MergeAhead{From: from, Into: p.Merged[from]})
	}
	return m, nil
}

// worked is the payload of something that was done with a case.
func (r *Resolver) worked(ctx context.Context, id string, err error) (*model.CasePayload, error) {
	ues, err := userErrors(err)
	if err != nil {
		return nil, err
	}
	loader.From(ctx).Forget()
	c, err := r.caseByID(ctx, id)
	return &model.CasePayload{Case: c, UserErrors: ues}, err
}

// caseFilter is a filter as the store has it.
func caseFilter(f *model.CaseFilter) store.CaseFilter {
	if f == nil {
		return store.CaseFilter{Status: "open"}
	}
	return store.CaseFilter{Status: lower(f.Status.Value()), Kind: lower(f.Kind.Value()), Kinds: kindsOfCases(f.Kinds.Value()),
		EntityID: cmp.Or(value(f.EntityID.Value()), value(f.CustomerID.Value())), EntityKind: domain.Kind(value(f.EntityKind.Value())),
		System: value(f.System.Value()), Field: domain.Field(value(f.Field.Value())), Assignee: f.Assignee.Value(), Snoozed: f.Snoozed.Value(),
		OpenedBefore: f.OpenedBefore.Value(), OpenedSince: f.OpenedSince.Value(), RuleID: value(f.RuleID.Value())}
}

// awake leaves out cases that rest, unless the caller has said something about them.
func awake(f *model.CaseFilter) store.CaseFilter {
	s := caseFilter(f)
	if s.Status == "open" && (f == nil || !f.Snoozed.IsSet()) {
		s.Snoozed = new(bool)
	}
	return s
}

func kindsOfCases(kinds []model.CaseKind) []string {
	if kinds == nil {
		return nil
	}
	return each(kinds, func(k model.CaseKind) string { return strings.ToLower(string(k)) })
}

func caseOption(c *store.Case) func(x change.Choice) *model.CaseOption {
	return func(x change.Choice) *model.CaseOption {
		return &model.CaseOption{Name: x.Name, Effect: x.Effect(*c), NeedsValue: x.Value, NeedsTarget: x.Target, CanRemember: x.CanRemember(*c)}
	}
}

func caseEntry(e store.CaseEvent) *model.CaseEntry {
	return &model.CaseEntry{At: e.At, Action: e.Action, Actor: text(e.Actor), Note: text(e.Note), CorrelationID: text(e.CorrelationID)}
}

func caseCount(c store.CaseCount) *model.CaseCount {
	return &model.CaseCount{Kind: *enum[model.CaseKind](c.Kind), Count: c.Count, Snoozed: c.Snoozed, Oldest: c.Oldest}
}

func caseRule(r store.CaseRule) *model.CaseRule {
	return &model.CaseRule{ID: r.ID, Text: change.RuleText(r), Kind: *enum[model.CaseKind](r.Kind), System: text(r.System), EntityKind: text(string(r.EntityKind)),
		Field: text(string(r.Field)), Pattern: text(r.Pattern), Note: text(r.Note), CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt,
		RemovedBy: text(r.RemovedBy), RemovedAt: r.RemovedAt, Used: r.Used, LastUsed: r.LastUsed}
}

// ruleByID returns a rule, nil if there is none.
func (r *Resolver) ruleByID(ctx context.Context, id string) (*model.CaseRule, error) {
	rules, err := store.CaseRules(ctx, r.pool, true)
	i := slices.IndexFunc(rules, func(x store.CaseRule) bool { return x.ID == id })
	if err != nil || i < 0 {
		return nil, err
	}
	return caseRule(rules[i]), nil
}

// snooze lets a case rest; nil ends its rest.
func (r *Resolver) snooze(ctx context.Context, id string, until *time.Time) error {
	_, err := r.changes.SnoozeCase(ctx, id, time.Now(), value(until), cause(ctx))
	return err
}
