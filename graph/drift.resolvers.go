package graph

import (
	"context"
	"strings"

	"datum/domain"
	"datum/domain/store"
	"datum/graph/gen"
	"datum/graph/model"
)

func (r *queryResolver) Drifts(ctx context.Context, first *int, after *string, filter *model.DriftFilter) (*model.DriftConnection, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	from, err := parseCursor(after, "drifts", 4)
	if err != nil {
		return nil, err
	}
	f := store.DriftFilter{Status: []string{store.DriftOpen, store.DriftSuspected}}
	if filter != nil {
		f.System, f.Kind = value(filter.System.Value()), domain.Kind(value(filter.Kind.Value()))
		f.Sort = strings.ToLower(string(value(filter.Sort.Value())))
		if filter.Status.Value() != nil {
			f.Status = each(filter.Status.Value(), func(s model.DriftStatus) string { return strings.ToLower(string(s)) })
		}
	}
	ds, err := store.Drifts(ctx, r.pool, f, [4]string(from), n+1)
	if err != nil {
		return nil, err
	}
	more := len(ds) > n
	ds = ds[:min(n, len(ds))]
	at := func(i int) string { return cursor("drifts", ds[i].System, string(ds[i].Kind), ds[i].Sort, ds[i].Path) }
	conn := &model.DriftConnection{Nodes: each(ds, driftModel), Edges: make([]*model.DriftEdge, len(ds)), PageInfo: pageInfo(len(ds), more, after, at)}
	for i := range ds {
		conn.Edges[i] = &model.DriftEdge{Cursor: at(i), Node: conn.Nodes[i]}
	}
	return conn, nil
}

func driftModel(d store.Drift) *model.Drift {
	return &model.Drift{System: d.System, Kind: text(string(d.Kind)), Sort: model.DriftSort(strings.ToUpper(d.Sort)), Path: d.Path, Field: text(string(d.Field)),
		Was: text(d.Was), Became: text(d.Became), Status: model.DriftStatus(strings.ToUpper(d.Status)), Parks: d.Parks, Seen: int(d.Seen), FirstSeen: d.FirstSeen,
		LastSeen: d.LastSeen, CaseID: d.CaseID, Examples: each(d.Examples, func(x store.DriftExample) *model.DriftExample {
			return &model.DriftExample{ExternalID: text(x.ExternalID), Value: text(x.Value)}
		})}
}

func (r *driftResolver) Case(ctx context.Context, obj *model.Drift) (*model.Case, error) {
	if obj.CaseID == "" {
		return nil, nil
	}
	return r.caseByID(ctx, obj.CaseID)
}

func (r *Resolver) Drift() gen.DriftResolver { return &driftResolver{r} }

type driftResolver struct{ *Resolver }
