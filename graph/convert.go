package graph

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
	"datum/graph/loader"
	"datum/graph/model"
)

// text returns nil for "", which in Datum means that there is no value.
func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func enum[E ~string](s string) *E {
	if s == "" {
		return nil
	}
	e := E(strings.ToUpper(s))
	return &e
}

// orEmpty keeps a non-null list from being null.
func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func rawJSON(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}

func recordModel(r *store.Record) *model.Record {
	m := &model.Record{
		ID: recordID(r.System, r.Kind, r.ExternalID), SystemName: r.System, Kind: r.Kind, ExternalID: r.ExternalID, EntityID: r.EntityID,
		Version: text(r.Version), ModifiedAt: r.ModifiedAt, FetchedAt: r.FetchedAt, Deleted: r.Deleted, MergedInto: text(r.MergedInto),
		Values: rawJSON(r.Values), Issues: make([]*model.Issue, len(r.Issues)), UnknownFields: orEmpty(r.Unknown), Raw: r.Raw,
	}
	for i, s := range r.Issues {
		m.Issues[i] = issueModel(s)
	}
	return m
}

func provenanceModel(e *store.Entity) []*model.FieldProvenance {
	ps := make([]*model.FieldProvenance, 0, len(e.Provenance))
	for f, p := range e.Provenance {
		fp := &model.FieldProvenance{Field: string(f), System: text(p.System), ExternalID: text(p.ExternalID),
			Rule: model.ProvenanceRule(strings.ToUpper(p.Why)), Owner: text(p.Owner)}
		if !p.Since.IsZero() {
			fp.Since = &p.Since
		}
		ps = append(ps, fp)
	}
	slices.SortFunc(ps, func(a, b *model.FieldProvenance) int { return cmp.Compare(a.Field, b.Field) })
	return ps
}

func projectionModel(p *store.Projection) *model.Projection {
	m := &model.Projection{
		ID: projectionID(p.EntityID, p.System), EntityID: p.EntityID, SystemName: p.System, Kind: p.Kind,
		Status: model.ProjectionStatus(strings.ToUpper(string(p.Status))), DesiredVersion: int(p.DesiredVersion), ConfirmedVersion: int(p.ConfirmedVersion),
		ExternalID: text(p.ExternalID), Pending: rawJSON(p.Diff), Attempts: p.Attempts, PendingSince: p.PendingSince,
		ConfirmedAt: p.ConfirmedAt, UpdatedAt: p.UpdatedAt,
	}
	if p.Diff == nil {
		m.Pending = json.RawMessage("{}")
	}
	if p.Status == store.Pending {
		m.DueAt = &p.DueAt
	}
	if p.ErrorCode != "" {
		m.LastError = &model.ProjectionError{Code: model.ErrorCode(p.ErrorCode), Message: p.Error}
	}
	return m
}

func caseModel(c *store.Case) *model.Case {
	if c == nil {
		return nil
	}
	return &model.Case{
		ID: c.ID, Kind: model.CaseKind(strings.ToUpper(c.Kind)), Status: model.CaseStatus(strings.ToUpper(c.Status)), Title: c.Title,
		Message: text(c.Detail.Message), Next: text(c.Detail.Next),
		Detail: rawJSON(c.Detail), Choices: each(change.Offered(*c), func(x change.Choice) string { return x.Name }),
		Options: each(change.Offered(*c), caseOption(c)), EntityID: c.EntityID, OtherID: c.OtherID, System: text(c.System),
		ExternalID: text(c.ExternalID), Field: text(string(c.Field)), CorrelationID: text(c.CorrelationID), OpenedAt: c.OpenedAt,
		UpdatedAt: c.UpdatedAt, ClosedAt: c.ClosedAt, Resolution: text(c.Resolution), ResolvedBy: text(c.ResolvedBy),
		Assignee: text(c.Assignee), SnoozedUntil: c.SnoozedUntil, RuleID: text(c.RuleID),
	}
}

func systemModel(s *store.System) *model.System {
	if s == nil {
		return nil
	}
	return &model.System{ID: systemID(s.Name), Name: s.Name, Adapter: s.Adapter, Mode: model.SystemMode(strings.ToUpper(string(s.Mode))), LockedUntil: text(s.LockedUntil)}
}

func historyModel(h *store.History) *model.HistoryEntry {
	return &model.HistoryEntry{
		ID: historyID(h.ID), Version: int(h.Version), At: h.At, Action: h.Action, Field: text(string(h.Field)),
		Old: json.RawMessage(h.Old), New: json.RawMessage(h.New), System: text(h.System), ExternalID: text(h.ExternalID),
		Why: text(h.Why), Owner: text(h.Owner), Actor: text(h.Actor), Source: text(h.Source), CorrelationID: text(h.CorrelationID), Note: text(h.Note),
	}
}

func policyModel(p *store.PolicyVersion) *model.Policy {
	return &model.Policy{Version: int(p.Version), Source: p.Source, PublishedBy: p.PublishedBy, PublishedAt: p.PublishedAt}
}

// policyRules lists the effective rules of one kind: each field for every stage, then the stages that have a rule of
// their own.
func policyRules(kp *ownership.KindPolicy) []*model.PolicyRule {
	ki, _ := kp.Kind.Info()
	var rules []*model.PolicyRule
	add := func(f domain.Field, stage string) {
		r := kp.Rule(f, stage)
		rules = append(rules, &model.PolicyRule{Kind: string(kp.Kind), Field: string(f), Stage: text(stage), Owner: r.Owner,
			Fallback: orEmpty(r.Fallback), Others: model.OthersEdits(strings.ToUpper(string(r.Others)))})
	}
	for _, fi := range ki.Fields {
		add(fi.Name, "")
		for _, stage := range ki.Stages {
			if _, ok := kp.Stages[stage][fi.Name]; ok {
				add(fi.Name, stage)
			}
		}
	}
	return rules
}

// callProblem says in words that none of the newest calls was answered, nil if one was or nothing has been called. One or
// two failures are everyday.
func callProblem(calls []store.LastCall) *string {
	if len(calls) < loader.CallsLooked {
		return nil
	}
	for _, c := range calls {
		if c.ErrorCode != domain.Unavailable && c.ErrorCode != domain.Unknown {
			return nil
		}
	}
	how := "got no answer"
	if status := calls[0].Status; status != 0 {
		how = fmt.Sprintf("was answered %d %s", status, http.StatusText(status))
	}
	return text(fmt.Sprintf("the last %d calls failed; the latest %s", len(calls), how))
}

// healthState puts a system's numbers into one word.
func healthState(mode store.Mode, h *model.SystemHealth, now time.Time) model.SystemState {
	late := func(t *time.Time) bool { return t != nil && now.Sub(*t) > time.Minute }
	switch {
	case mode == store.ModeOff:
		return model.SystemStateOff
	case h.NeedsReauth != nil:
		return model.SystemStateNeedsReauth
	case h.Problem != nil:
		return model.SystemStateUnavailable
	case h.Paused > 0:
		return model.SystemStatePaused
	case late(h.PendingSince) || late(h.SignalsSince):
		return model.SystemStateBehind
	case h.Refused > 0 || h.FailedSignals > 0 || h.OpenCases > 0:
		return model.SystemStateAttention
	default:
		return model.SystemStateOk
	}
}

// lower returns an optional enum value as it is stored.
func lower[E ~string](e *E) string {
	if e == nil {
		return ""
	}
	return strings.ToLower(string(*e))
}

func issueModel(s domain.Issue) *model.Issue {
	return &model.Issue{Field: text(string(s.Field)), Code: s.Code, Message: s.Message, Value: text(s.Value),
		Severity: model.IssueSeverity(strings.ToUpper(string(s.Severity)))}
}
