package graph

import (
	"context"
	"strings"

	"datum/domain"
	"datum/domain/store"
	"datum/graph/model"
)

func (r *Resolver) recordedWrites(ctx context.Context, first *int, after *string, filter *model.RecordedWriteFilter) (*model.RecordedWriteConnection, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	from, err := parseCursor(after, "writes", 1)
	if err != nil {
		return nil, err
	}
	ws, err := store.ListWrites(ctx, r.pool, writeFilter(filter), from[0], n+1)
	if err != nil {
		return nil, err
	}
	p := newPage(each(ws, writeModel), n, after, func(i int) string { return cursor("writes", ws[i].ID) })
	return &model.RecordedWriteConnection{Nodes: p.nodes, PageInfo: p.info, Edges: edges(p, func(cursor string, node *model.RecordedWrite) *model.RecordedWriteEdge {
		return &model.RecordedWriteEdge{Cursor: cursor, Node: node}
	})}, nil
}

func writeFilter(f *model.RecordedWriteFilter) store.WriteFilter {
	w := store.WriteFilter{}
	if f != nil {
		w = store.WriteFilter{System: value(f.System.Value()), Kind: kindNamed(f.Kind.Value()), EntityID: value(f.EntityID.Value())}
		for _, s := range f.Statuses.Value() {
			w.Statuses = append(w.Statuses, store.WriteStatus(lower(&s)))
		}
	}
	if len(w.Statuses) == 0 {
		w.Statuses = []store.WriteStatus{store.WriteRecorded}
	}
	return w
}

// approve approves in the caller's name what the input names, and returns the ids.
func (r *Resolver) approve(ctx context.Context, in model.ApproveWritesInput) ([]string, error) {
	ids, f := in.Ids.Value(), in.Filter.Value()
	switch {
	case (len(ids) > 0) == (f != nil):
		return nil, domain.Errorf(domain.Invalid, "give ids or a filter; an empty filter, {}, means all that wait")
	case len(ids) > 500:
		return nil, domain.Errorf(domain.Invalid, "%d ids are too many: give at most 500, or a filter", len(ids))
	case f != nil:
		return r.changes.ApproveWrites(ctx, writeFilter(f), cause(ctx))
	}
	return r.changes.ApproveWrites(ctx, store.WriteFilter{IDs: ids}, cause(ctx))
}

func writeModel(w store.RecordedWrite) *model.RecordedWrite {
	next := make([]*model.NextStep, len(w.NextSteps))
	for i, s := range w.NextSteps {
		next[i] = &model.NextStep{Method: s.Method, Path: s.Path, Headers: rawJSON(s.Header), Body: s.Body}
	}
	return &model.RecordedWrite{NextSteps: next, ID: w.ID, SystemName: w.System, EntityID: w.EntityID, Status: *enum[model.RecordedWriteStatus](string(w.Status)), Creates: w.Op == "create",
		ExternalID: text(w.ExternalID), Values: rawJSON(w.Values), Method: w.Method, Path: w.Path, Headers: rawJSON(w.Header), Body: w.Body, RecordedAt: w.RecordedAt,
		DecidedAt: w.DecidedAt, DecidedBy: text(w.DecidedBy), SentAt: w.SentAt, Note: text(w.Note), CorrelationID: text(w.CorrelationID)}
}

func modeChangeModel(c store.ModeChange) *model.ModeChange {
	return &model.ModeChange{At: c.At, Actor: c.Actor, From: *enum[model.SystemMode](string(c.ModeFrom)), To: *enum[model.SystemMode](string(c.ModeTo)),
		Reason: text(c.Reason), CorrelationID: text(c.CorrelationID)}
}

func pauseModel(p store.Pause) *model.Pause {
	m := &model.Pause{Direction: model.PauseDirection(strings.ToUpper(string(p.Direction))), Actor: p.Actor, Reason: p.Reason, Since: p.Since, Until: p.Until,
		EndedAt: p.EndedAt, EndedBy: text(p.EndedBy)}
	if p.Kind != "" {
		k := entityKind(p.Kind)
		m.Kind = &k
	}
	return m
}
