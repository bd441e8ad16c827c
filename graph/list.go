package graph

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/99designs/gqlgen/graphql"

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

var customerOrders = map[model.CustomerOrderField]store.CustomerOrder{
	model.CustomerOrderFieldCreatedAt: store.OrderByID,
	model.CustomerOrderFieldUpdatedAt: store.OrderByUpdated,
	model.CustomerOrderFieldLegalName: store.OrderByName,
}

func (r *Resolver) customers(ctx context.Context, first *int, after *string, filter *model.CustomerFilter, order *model.CustomerOrder) (*model.CustomerConnection, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	page := store.CustomerPage{Order: store.OrderByID, Desc: true, Limit: n + 1}
	if order != nil {
		page.Order, page.Desc = customerOrders[order.Field], order.Direction == model.DirectionDesc
	}
	tag := string(page.Order) + strconv.FormatBool(page.Desc)
	from, err := parseCursor(after, tag, 2)
	if err != nil {
		return nil, err
	}
	page.AfterKey, page.AfterID = from[0], from[1]
	f, err := customerFilter(filter)
	if err != nil {
		return nil, err
	}
	rows, err := store.ListCustomers(ctx, r.pool, f, page)
	if err != nil {
		return nil, err
	}
	more := len(rows) > n
	rows = rows[:min(n, len(rows))]
	conn := &model.CustomerConnection{Edges: make([]*model.CustomerEdge, len(rows)), Nodes: make([]*model.Customer, len(rows))}
	at := func(i int) string { return cursor(tag, rows[i].SortKey, rows[i].ID) }
	for i, row := range rows {
		loader.From(ctx).Customers.Prime(ctx, row.ID, row.Customer)
		conn.Nodes[i] = customerModel(row.Customer)
		conn.Edges[i] = &model.CustomerEdge{Cursor: at(i), Node: conn.Nodes[i]}
	}
	conn.PageInfo = pageInfo(len(rows), more, after, at)
	expect(ctx, each(conn.Nodes, func(c *model.Customer) string { return c.ID }))
	return conn, nil
}

// expect has what the query asks of each customer of a page read at once.
func expect(ctx context.Context, ids []string) {
	l, op := loader.From(ctx), graphql.GetOperationContext(ctx)
	asked := func(fields []graphql.CollectedField, name, on string) (sub []graphql.CollectedField) {
		for _, f := range fields {
			if f.Name == name {
				sub = append(sub, graphql.CollectFields(op, f.Selections, []string{on})...)
			}
		}
		return sub
	}
	conn := graphql.CollectFieldsCtx(ctx, []string{"CustomerConnection"})
	for _, f := range append(asked(conn, "nodes", "Customer"), asked(asked(conn, "edges", "CustomerEdge"), "node", "Customer")...) {
		switch f.Name {
		case "records":
			loader.Expect(ctx, l.Records, ids)
		case "projections":
			loader.Expect(ctx, l.Projections, ids)
		case "cases":
			loader.Expect(ctx, l.Cases, ids)
		case "provenance":
			loader.Expect(ctx, l.Entities, ids)
		}
	}
}

// customerFilter brings the filter's values into the form in which golden values are kept.
func customerFilter(f *model.CustomerFilter) (store.CustomerFilter, error) {
	if f == nil {
		return store.CustomerFilter{}, nil
	}
	out := store.CustomerFilter{
		Search: value(f.Search.Value()), Kind: string(value(f.Kind.Value())), LifecycleStage: string(value(f.LifecycleStage.Value())),
		Status: string(value(f.Status.Value())), State: value(f.State.Value()), HasCase: f.HasOpenCase.Value(),
	}
	ki, _ := domain.KindCustomer.Info()
	for _, n := range []struct {
		field domain.Field
		given *string
		into  *string
	}{{"abn", f.Abn.Value(), &out.ABN}, {"email", f.Email.Value(), &out.Email}} {
		if n.given == nil {
			continue
		}
		fi, _ := ki.Field(n.field)
		v, issues := domain.Normalize(fi, domain.TextValue(*n.given))
		if v.Empty() {
			message := "it is empty"
			if len(issues) > 0 {
				message = issues[0].Message
			}
			return out, &domain.Error{Code: domain.Invalid, Field: n.field, Message: "the filter by " + string(n.field) + " cannot match: " + message}
		}
		*n.into = v.Text()
	}
	if since := f.UpdatedSince.Value(); since != nil {
		s := since.Format(time.RFC3339Nano)
		out.UpdatedSince = &s
	}
	return out, nil
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
	var before *time.Time
	if from[0] != "" {
		t, err := time.Parse(time.RFC3339Nano, from[0])
		if err != nil {
			return nil, domain.Errorf(domain.Invalid, "after is not a cursor of this list")
		}
		before = &t
	}
	f := store.CaseFilter{Status: "open"}
	if filter != nil {
		f = store.CaseFilter{Status: lower(filter.Status.Value()), Kind: lower(filter.Kind.Value()),
			EntityID: value(filter.CustomerID.Value()), System: value(filter.System.Value())}
	}
	cs, err := store.ListCases(ctx, r.pool, f, before, from[1], n+1)
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
