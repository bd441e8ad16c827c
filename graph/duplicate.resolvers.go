package graph

import (
	"context"
	"strconv"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/graph/gen"
	"datum/graph/model"
)

func (r *queryResolver) DuplicateScans(ctx context.Context, first *int) ([]*model.DuplicateScan, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	ss, err := store.DuplicateScans(ctx, r.pool, "", n)
	return each(ss, scanModel), err
}

func (r *queryResolver) DuplicateScan(ctx context.Context, id string) (*model.DuplicateScan, error) {
	s, err := store.DuplicateScanByID(ctx, r.pool, id)
	if domain.CodeOf(err) == domain.NotFound {
		return nil, nil
	}
	return scanModel(s), err
}

func (r *mutationResolver) ScanDuplicates(ctx context.Context, input model.ScanDuplicatesInput) (*model.ScanDuplicatesPayload, error) {
	s, err := r.changes.StartScan(ctx, change.Scan{Kind: kindNamed(input.Kind.Value()), Dry: value(input.DryRun.Value()), Ask: value(input.Ask.Value()),
		PerSecond: value(input.PerSecond.Value())}, cause(ctx))
	p := &model.ScanDuplicatesPayload{}
	if err == nil {
		p.Scan = scanModel(s)
	}
	p.UserErrors, err = userErrors(err)
	return p, err
}

func (r *mutationResolver) CancelDuplicateScan(ctx context.Context, input model.CancelDuplicateScanInput) (*model.CancelDuplicateScanPayload, error) {
	s, err := r.changes.CancelScan(ctx, input.ID, cause(ctx))
	p := &model.CancelDuplicateScanPayload{}
	if s.ID != "" {
		p.Scan = scanModel(s)
	}
	p.UserErrors, err = userErrors(err)
	return p, err
}

func scanModel(s store.DuplicateScan) *model.DuplicateScan {
	return &model.DuplicateScan{ID: s.ID, Kind: entityKind(s.Kind), DryRun: s.Dry, Ask: s.Ask, PerSecond: s.PerSecond, Status: *enum[model.ReprocessStatus](s.Status), Actor: s.Actor,
		CorrelationID: text(s.CorrelationID), StartedAt: s.CreatedAt, FinishedAt: s.FinishedAt, EndedBy: text(s.EndedBy), Total: int(s.Total), Compared: int(s.Compared),
		Found: int(s.Pairs), Eta: s.ETA(time.Now())}
}

type (
	duplicateScanResolver struct{ *Resolver }
	duplicatePairResolver struct{ *Resolver }
)

// DuplicateScan implements gen.ResolverRoot.
func (r *Resolver) DuplicateScan() gen.DuplicateScanResolver { return duplicateScanResolver{r} }

// DuplicatePair implements gen.ResolverRoot.
func (r *Resolver) DuplicatePair() gen.DuplicatePairResolver { return duplicatePairResolver{r} }

func (r duplicateScanResolver) Pairs(ctx context.Context, obj *model.DuplicateScan, first *int, after *string) (*model.DuplicatePairConnection, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	from, err := parseCursor(after, "pairs", 3)
	if err != nil {
		return nil, err
	}
	last := store.DuplicatePair{EntityID: from[1], OtherID: from[2]}
	if last.Score, err = strconv.ParseFloat(from[0], 64); from[0] != "" && err != nil {
		return nil, domain.Errorf(domain.Invalid, "after is not a cursor of this list")
	}
	ps, err := store.DuplicatePairs(ctx, r.pool, obj.ID, last, n+1)
	if err != nil {
		return nil, err
	}
	more := len(ps) > n
	ps = ps[:min(n, len(ps))]
	at := func(i int) string {
		return cursor("pairs", strconv.FormatFloat(ps[i].Score, 'g', -1, 64), ps[i].EntityID, ps[i].OtherID)
	}
	conn := &model.DuplicatePairConnection{Nodes: each(ps, pairModel), Edges: make([]*model.DuplicatePairEdge, len(ps)), PageInfo: pageInfo(len(ps), more, after, at)}
	for i := range ps {
		conn.Edges[i] = &model.DuplicatePairEdge{Cursor: at(i), Node: conn.Nodes[i]}
	}
	return conn, nil
}

func pairModel(p store.DuplicatePair) *model.DuplicatePair {
	return &model.DuplicatePair{EntityID: p.EntityID, OtherID: p.OtherID, Score: p.Score, Reasons: orEmpty(p.Reasons), Decision: *enum[model.DuplicateDecision](p.Decision), CaseID: p.CaseID}
}

func (r duplicatePairResolver) Entity(ctx context.Context, obj *model.DuplicatePair) (model.Entity, error) {
	return ref[model.Entity](ctx, obj.EntityID)
}

func (r duplicatePairResolver) Other(ctx context.Context, obj *model.DuplicatePair) (model.Entity, error) {
	return ref[model.Entity](ctx, obj.OtherID)
}

func (r duplicatePairResolver) Case(ctx context.Context, obj *model.DuplicatePair) (*model.Case, error) {
	if obj.CaseID == "" {
		return nil, nil
	}
	return r.caseByID(ctx, obj.CaseID)
}
