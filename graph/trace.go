package graph

import (
	"context"
	"fmt"
	"strings"
	"time"

	"datum/domain"
	"datum/domain/store"
	"datum/graph/model"
)

// parseMoment reads the time that a cursor begins with, nil for the beginning of a list.
func parseMoment(s string) (*time.Time, error) {
	if s == "" {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "after is not a cursor of this list")
	}
	return &t, nil
}

func (r *Resolver) trace(ctx context.Context, id, cause string, first *int, after *string) (*model.TraceConnection, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	from, err := parseCursor(after, "trace", 2)
	if err != nil {
		return nil, err
	}
	since, err := parseMoment(from[0])
	if err != nil {
		return nil, err
	}
	if (id == "") == (cause == "") {
		return nil, domain.Errorf(domain.Invalid, "give either id, of an entity, or correlationId, of what caused something")
	}
	var steps []store.TraceStep
	if id == "" {
		steps, err = store.TraceCause(ctx, r.pool, cause, since, from[1], n+1)
	} else {
		var e model.Keyed
		if e, err = r.entity(ctx, id); err != nil || e == nil {
			return nil, err
		}
		steps, err = store.Trace(ctx, r.pool, e.Key(), since, from[1], n+1)
	}
	if err != nil {
		return nil, err
	}
	p := newPage(each(steps, traceStep), n, after, func(i int) string {
		return cursor("trace", steps[i].At.Format(time.RFC3339Nano), steps[i].Key)
	})
	return &model.TraceConnection{Nodes: p.nodes, PageInfo: p.info, Edges: edges(p, func(cursor string, node *model.TraceStep) *model.TraceEdge {
		return &model.TraceEdge{Cursor: cursor, Node: node}
	})}, nil
}

func traceStep(s store.TraceStep) *model.TraceStep {
	return &model.TraceStep{At: s.At, Kind: *enum[model.TraceKind](s.What), Title: s.Title, System: text(s.System), Actor: text(s.Actor),
		CorrelationID: text(s.CorrelationID), Detail: s.Detail}
}

func (r *Resolver) unfinished(ctx context.Context, olderThan *time.Time, kind *model.EntityKind, system *string, first *int, after *string) (*model.UnfinishedConnection, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	from, err := parseCursor(after, "unfinished", 2)
	if err != nil {
		return nil, err
	}
	since, err := parseMoment(from[0])
	if err != nil {
		return nil, err
	}
	if system != nil {
		if err := r.known(ctx, []string{*system}); err != nil {
			return nil, err
		}
	}
	us, err := store.ListUnfinished(ctx, r.pool, store.UnfinishedFilter{Before: olderThan, Kind: kindNamed(kind), System: value(system)}, since, from[1], n+1)
	if err != nil {
		return nil, err
	}
	p := newPage(each(us, unfinishedModel), n, after, func(i int) string {
		return cursor("unfinished", us[i].Since.Format(time.RFC3339Nano), us[i].Key)
	})
	return &model.UnfinishedConnection{Nodes: p.nodes, PageInfo: p.info, Edges: edges(p, func(cursor string, node *model.Unfinished) *model.UnfinishedEdge {
		return &model.UnfinishedEdge{Cursor: cursor, Node: node}
	})}, nil
}

func unfinishedModel(u store.Unfinished) *model.Unfinished {
	m := &model.Unfinished{Kind: entityKind(u.Kind), System: u.System, Since: u.Since, Status: *enum[model.ProjectionStatus](string(u.Status)),
		EntityID: u.EntityID, ExternalID: u.ExternalID, RecordKind: u.Kind, Reason: u.Error}
	if u.ErrorCode != "" {
		code := model.ErrorCode(u.ErrorCode)
		m.Code = &code
	}
	for _, w := range u.WaitsFor {
		if domain.KindOfID(w) != "" {
			m.WaitsForIDs = append(m.WaitsForIDs, w)
		}
	}
	switch {
	case u.ExternalID != "" && len(u.WaitsFor) > 0:
		m.Reason = fmt.Sprintf("it refers to %s, which %s has not shown or no entity stands for yet", strings.Join(u.WaitsFor, ", "), u.System)
	case u.ExternalID != "":
		m.Reason = fmt.Sprintf("no entity stands for it: it matches none, and the policy does not let %s create one; see its case", u.System)
	case len(u.WaitsFor) > 0:
		m.Reason = fmt.Sprintf("it waits for %s to be in %s first", strings.Join(u.WaitsFor, ", "), u.System)
	case m.Reason == "":
		m.Reason = "it is queued to be written"
	}
	return m
}
