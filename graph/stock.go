package graph

import (
	"context"
	"strconv"

	"datum/domain"
	"datum/domain/store"
	"datum/graph/loader"
	"datum/graph/model"
)

// movements returns a page of what moved a stock level.
func (r *Resolver) movements(ctx context.Context, level string, first *int, after *string) (*model.StockMovementConnection, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	from, err := parseCursor(after, "movements", 1)
	if err != nil {
		return nil, err
	}
	before, err := strconv.ParseInt("0"+from[0], 10, 64)
	if err != nil {
		return nil, domain.Errorf(domain.Invalid, "after is not a cursor of this list")
	}
	ms, err := loader.From(ctx).Movements.Load(ctx, loader.Movements{Level: level, Before: before, Limit: n + 1})()
	if err != nil {
		return nil, err
	}
	p := newPage(each(ms, movementModel), n, after, func(i int) string { return cursor("movements", historyID(ms[i].ID)) })
	return &model.StockMovementConnection{Nodes: p.nodes, PageInfo: p.info, Edges: edges(p, func(cursor string, node *model.StockMovement) *model.StockMovementEdge {
		return &model.StockMovementEdge{Cursor: cursor, Node: node}
	})}, nil
}

func movementModel(m store.Movement) *model.StockMovement {
	return &model.StockMovement{ID: historyID(m.ID), LevelID: m.StockLevel, DocumentID: m.Document, Reason: model.StockMovementReason(m.Reason),
		OnHand: model.Exact(m.OnHand), Committed: model.Exact(m.Committed), ExternalID: m.ExternalID, System: text(m.System),
		CorrelationID: text(m.CorrelationID), At: m.At}
}
