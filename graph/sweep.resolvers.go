package graph

import (
	"context"
	"time"

	"github.com/shopspring/decimal"

	"datum/domain"
	"datum/domain/store"
	"datum/graph/gen"
	"datum/graph/loader"
	"datum/graph/model"
)

func (r *queryResolver) Sweeps(ctx context.Context, first *int, after *string, system *string, kind *string) (*model.SweepConnection, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	from, err := parseCursor(after, "sweeps", 2)
	if err != nil {
		return nil, err
	}
	before, err := parseTime(from[0])
	if err != nil {
		return nil, err
	}
	ss, err := store.ListSweeps(ctx, r.pool, value(system), domain.Kind(value(kind)), before, from[1], n+1)
	if err != nil {
		return nil, err
	}
	more := len(ss) > n
	ss = ss[:min(n, len(ss))]
	conn := &model.SweepConnection{Edges: make([]*model.SweepEdge, len(ss)), Nodes: make([]*model.Sweep, len(ss))}
	at := func(i int) string { return cursor("sweeps", ss[i].StartedAt.Format(time.RFC3339Nano), ss[i].ID) }
	for i := range ss {
		conn.Nodes[i] = sweepModel(ss[i])
		conn.Edges[i] = &model.SweepEdge{Cursor: at(i), Node: conn.Nodes[i]}
	}
	conn.PageInfo = pageInfo(len(ss), more, after, at)
	return conn, nil
}

func (r *systemResolver) Convergence(ctx context.Context, obj *model.System) ([]*model.Convergence, error) {
	cs, err := loader.From(ctx).Convergence.Load(ctx, obj.Name)()
	return each(cs, func(c store.Convergence) *model.Convergence {
		m := &model.Convergence{Kind: string(c.Kind), Share: c.Share(), Wanted: int(c.Wanted), Level: int(c.Level), Open: int(c.Open()), AsOf: c.AsOf, SweepID: c.Sweep}
		if c.AsOf != nil {
			age := int(time.Since(*c.AsOf).Seconds())
			m.AgeSeconds = &age
		}
		return m
	}), err
}

func (r *systemResolver) Webhooks(ctx context.Context, obj *model.System) (*model.WebhookHealth, error) {
	h, err := loader.From(ctx).Webhooks.Load(ctx, obj.Name)()
	if err != nil || h == nil {
		return nil, err
	}
	return &model.WebhookHealth{ReceivedAt: h.ReceivedAt, Received: int(h.Received), Found: int(h.Found), Untold: int(h.Untold), Silent: int(h.Silent), Gaps: int(h.Gaps),
		Wanted: h.Wanted, Active: h.Active, CheckedAt: h.CheckedAt, Repaired: int(h.Repaired), RepairedAt: h.RepairedAt, Problem: text(h.Problem)}, nil
}

func (r *convergenceResolver) Sweep(ctx context.Context, obj *model.Convergence) (*model.Sweep, error) {
	if obj.SweepID == "" {
		return nil, nil
	}
	s, err := store.SweepByID(ctx, r.pool, obj.SweepID)
	if err != nil {
		return nil, err
	}
	return sweepModel(s), nil
}

func sweepModel(s store.Sweep) *model.Sweep {
	m := &model.Sweep{ID: s.ID, System: s.System, Kind: string(s.Kind), StartedAt: s.StartedAt, FinishedAt: s.FinishedAt, Complete: s.Complete && s.FinishedAt != nil,
		Why: text(s.Why), Level: s.FinishedAt != nil && s.SweepReport.Level(), Theirs: &model.SweepSide{Count: int(s.TheirsCount), Hash: s.TheirsHash},
		Ours: &model.SweepSide{Count: int(s.OursCount), Hash: s.OursHash}, Differ: int(s.Differ), OnlyTheirs: int(s.OnlyTheirs), OnlyOurs: int(s.OnlyOurs),
		Repaired: int(s.Repaired), Unknown: int(s.Unknown), Missing: int(s.Missing), Tombstoned: int(s.Tombstoned), LeftOut: int(s.LeftOut), Moved: int(s.Moved),
		Money: each(s.Money, func(x store.SweepMoney) *model.SweepMoney {
			return &model.SweepMoney{Month: x.Month, Currency: x.Currency, Theirs: exact(x.Theirs), Ours: exact(x.Ours), Difference: x.Difference()}
		})}
	if s.FinishedAt != nil {
		took := s.FinishedAt.Sub(s.StartedAt).Seconds()
		m.DurationSeconds = &took
	}
	return m
}

// exact reads a decimal that Datum has written.
func exact(s string) decimal.Decimal {
	d, _ := decimal.NewFromString(s)
	return d
}

func (r *Resolver) Convergence() gen.ConvergenceResolver { return &convergenceResolver{r} }

type convergenceResolver struct{ *Resolver }
