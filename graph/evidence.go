package graph

import (
	"context"
	"strconv"

	"datum/domain/change"
	"datum/domain/store"
	"datum/graph/model"
)

// evidence puts what is known about a case side by side.
func (r *Resolver) evidence(ctx context.Context, id string) (*model.CaseEvidence, error) {
	c, err := store.CaseByID(ctx, r.pool, id, false)
	if err != nil {
		return nil, err
	}
	ev, err := r.changes.Evidence(ctx, c)
	if err != nil {
		return nil, err
	}
	m := &model.CaseEvidence{Words: text(c.Detail.Message), Common: orEmpty(c.Detail.Keys),
		Columns: each(ev.Columns, func(x change.EvidenceColumn) *model.EvidenceColumn {
			return &model.EvidenceColumn{Label: x.Label, System: text(x.System), ExternalID: text(x.ExternalID), EntityID: text(x.EntityID)}
		}),
		Rows: each(ev.Rows, func(x change.EvidenceRow) *model.EvidenceRow {
			return &model.EvidenceRow{Field: string(x.Field), Owner: text(x.Owner), Equal: x.Equal, Cells: each(x.Cells, evidenceCell)}
		}),
		Sample: each(c.Detail.Changes, func(x store.Change) *model.CaseSample {
			return &model.CaseSample{Name: x.Name, EntityID: text(x.EntityID), Field: text(string(x.Field)), From: []byte(x.From), To: []byte(x.To)}
		})}
	if len(c.Detail.Sent) > 0 {
		m.Sent = rawJSON(c.Detail.Sent)
	}
	if x := ev.Exchange; x != nil {
		m.Exchange = &model.CaseExchange{ID: strconv.FormatInt(x.ID, 10), SentAt: x.SentAt, Method: x.Method, Path: x.Path, Status: x.Status,
			Request: text(x.RequestBody), Response: text(x.ResponseBody), CorrelationID: text(x.CorrelationID)}
	}
	return m, nil
}

func evidenceCell(x change.EvidenceCell) *model.EvidenceCell {
	return &model.EvidenceCell{Value: []byte(x.Value), ChangedAt: x.At, ChangedBy: text(x.By), InForce: x.InForce, Owns: x.Owns}
}

// holdsUp says what goes no further because of a case.
func (r *Resolver) holdsUp(ctx context.Context, id string, first *int) (*model.CaseHolds, error) {
	n, err := pageSize(first)
	if err != nil {
		return nil, err
	}
	c, err := store.CaseByID(ctx, r.pool, id, false)
	if err != nil {
		return nil, err
	}
	h, err := r.changes.HoldsUp(ctx, c, n)
	if err != nil {
		return nil, err
	}
	return &model.CaseHolds{Total: h.Total, Says: h.Says(), Items: each(h.Items, func(x change.HeldItem) *model.CaseHold {
		return &model.CaseHold{Name: x.Name, Kind: string(x.Kind), System: x.System, EntityID: text(x.EntityID), ExternalID: text(x.ExternalID), Why: x.Why}
	})}, nil
}
