package graph

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"datum/domain"
	"datum/domain/feed"
	"datum/domain/store"
	"datum/graph/loader"
	"datum/graph/model"
)

// each converts the elements of a list; the result is never nil.
func each[A, B any](as []A, f func(A) B) []B {
	bs := make([]B, len(as))
	for i, a := range as {
		bs[i] = f(a)
	}
	return bs
}

// value returns what an optional argument holds, the zero value if it is absent or null.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func (r *Resolver) cases(ctx context.Context, first *int, after *string, filter *model.CaseFilter) (*model.CaseConnection, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	from, err := parseCursor(after, "cases", 2)
	if err != nil {
		return nil, err
	}
	before, err := parseTime(from[0])
	if err != nil {
		return nil, err
	}
	cs, err := store.ListCases(ctx, r.pool, awake(filter), before, from[1], n+1)
	if err != nil {
		return nil, err
	}
	more := len(cs) > n
	cs = cs[:min(n, len(cs))]
	conn := &model.CaseConnection{Edges: make([]*model.CaseEdge, len(cs)), Nodes: make([]*model.Case, len(cs))}
	at := func(i int) string { return cursor("cases", cs[i].OpenedAt.Format(time.RFC3339Nano), cs[i].ID) }
	for i := range cs {
		conn.Nodes[i] = caseModel(&cs[i])
		conn.Edges[i] = &model.CaseEdge{Cursor: at(i), Node: conn.Nodes[i]}
	}
	conn.PageInfo = pageInfo(len(cs), more, after, at)
	return conn, nil
}

func (r *Resolver) history(ctx context.Context, entityID string, asOf *time.Time, first *int, after *string) (*model.HistoryConnection, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	from, err := parseCursor(after, "history", 1)
	if err != nil {
		return nil, err
	}
	before, err := strconv.ParseInt("0"+from[0], 10, 64)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "after is not a cursor of this list")
	}
	hs, err := store.HistoryPage(ctx, r.pool, entityID, before, asOf, n+1)
	if err != nil {
		return nil, err
	}
	more := len(hs) > n
	hs = hs[:min(n, len(hs))]
	conn := &model.HistoryConnection{EntityID: entityID, AsOf: asOf, Edges: make([]*model.HistoryEdge, len(hs)), Nodes: make([]*model.HistoryEntry, len(hs))}
	at := func(i int) string { return cursor("history", historyID(hs[i].ID)) }
	for i := range hs {
		conn.Nodes[i] = historyModel(&hs[i])
		conn.Edges[i] = &model.HistoryEdge{Cursor: at(i), Node: conn.Nodes[i]}
	}
	conn.PageInfo = pageInfo(len(hs), more, after, at)
	return conn, nil
}

// asOf returns an entity's golden values that are not empty, and its version, at the time of a page of its history.
func (r *Resolver) asOf(ctx context.Context, h *model.HistoryConnection) (json.RawMessage, int, error) {
	var values domain.Values
	var version int64
	if h.AsOf == nil {
		e, err := loader.From(ctx).Entities.Load(ctx, h.EntityID)()
		if err != nil || e == nil {
			return json.RawMessage("{}"), 0, err
		}
		values, version = e.Golden, e.Version
	} else {
		var err error
		if values, version, err = store.AsOf(ctx, r.pool, h.EntityID, *h.AsOf); err != nil {
			return nil, 0, err
		}
	}
	held := domain.Values{}
	for f, v := range values {
		if !v.Empty() {
			held[f] = v
		}
	}
	return rawJSON(held), int(version), nil
}

func (r *Resolver) events(ctx context.Context, after *string, first *int) (*model.EventPage, error) {
	if first == nil {
		n := 50
		first = &n
	}
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	var from feed.Position
	if after != nil && *after != "" {
		if from, err = feed.ParseCursor(*after); err != nil {
			return nil, err
		}
	}
	es, err := feed.Read(ctx, r.pool, from, n)
	if err != nil {
		return nil, err
	}
	page := &model.EventPage{Cursor: from.Cursor(), Nodes: each(es, func(e feed.Event) *model.Event {
		return &model.Event{Cursor: e.Cursor(), At: e.At, Topic: *enum[model.EventTopic](e.Topic), ID: eventID(e), CorrelationID: text(e.CorrelationID)}
	})}
	if len(es) > 0 {
		page.Cursor = es[len(es)-1].Cursor()
	}
	return page, nil
}
