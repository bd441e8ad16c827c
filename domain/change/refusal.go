package change

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/store"
)

// apart is how many projections that a vendor refuses for the same reason have cases of their own. The others are gathered in one
// case, so that a permission that is missing, or a field that the vendor has come to require, is one question. Workers that are at
// it at the same moment may open a few more.
const apart = 5

// causeOf names why a projection is refused: one system, kind and error code, and the vendor's words without what differs from
// record to record.
func causeOf(p *store.Projection) string {
	return strings.Join([]string{"refused", p.System, string(p.Kind), string(p.ErrorCode), Class(p.Error)}, "|")
}

// gathers reports whether a case gathers refusals of one cause.
func gathers(c store.Case) bool { return c.Kind == store.CaseRefused && c.EntityID == "" }

// Refusal is the case to queue for a projection that the vendor has refused, whose error says why; nil if an open one says it
// already. It sets the projection's Cause. asked are the fields in which the vendor was asked for a change of its own values.
func Refusal(ctx context.Context, tx pgx.Tx, p *store.Projection, asked []domain.Field, name, correlationID string) (*store.Case, error) {
	p.Cause = causeOf(p)
	own := refusedCase(p, asked, name, correlationID)
	if len(asked) > 0 { // somebody waits for an answer
		return &own, nil
	}
	alike, err := store.RefusedAlike(ctx, tx, p.Cause, p.EntityID, apart)
	if err != nil || alike < apart {
		return &own, err
	}
	if has, err := store.OpenCaseByKey(ctx, tx, own.DedupeKey); err != nil || has != nil {
		return &own, err
	}
	if open, err := store.OpenCaseByKey(ctx, tx, p.Cause); err != nil || open != nil {
		return nil, err
	}
	c := store.Case{ID: domain.NewID("case"), Kind: store.CaseRefused, EntityKind: p.Kind, System: p.System, DedupeKey: p.Cause, CorrelationID: correlationID,
		Detail: store.CaseDetail{Message: Class(p.Error),
			Next: fmt.Sprintf("put right in %s what it asks for, or say a default with `datum mapping apply %s FILE`; then retry: all of them are sent again", p.System, p.System)}}
	counted(&c, int64(alike)+1)
	return &c, nil
}

// counted makes a case that gathers refusals say how many there are.
func counted(c *store.Case, n int64) {
	c.Detail.Held = n
	c.Title = fmt.Sprintf("%s refuses %d %ss for the same reason", c.System, n, c.EntityKind)
}

func refusedCase(p *store.Projection, asked []domain.Field, name, correlationID string) store.Case {
	return store.Case{ID: domain.NewID("case"), Kind: store.CaseRefused, EntityKind: p.Kind, EntityID: p.EntityID, System: p.System,
		ExternalID: p.ExternalID, DedupeKey: "refused|" + p.EntityID + "|" + p.System, CorrelationID: correlationID,
		Title:  fmt.Sprintf("%s: %s refused %s", name, p.System, strings.Join(strings.Split(p.Diff.String(), ","), ", ")),
		Detail: store.CaseDetail{Message: p.Error, Sent: p.Diff, Asked: asked, Next: "correct the value where it is owned, or the setting in " + p.System + ", then retry"}}
}

// refused opens the case of a projection that is refused.
func (s *settlement) refused(p *store.Projection) error {
	var asked []domain.Field
	for _, f := range p.Diff.Fields() {
		if s.asked(p.System, f) {
			asked = append(asked, f)
		}
	}
	name, err := s.called()
	if err != nil {
		return err
	}
	c, err := Refusal(s.ctx, s.tx, p, asked, name, s.cause.CorrelationID)
	if err != nil || c == nil {
		return err
	}
	store.QueueCase(s.batch, *c)
	store.QueueEvent(s.batch, store.TopicCase, c.EntityID, c.System, c.ID, s.cause.CorrelationID)
	s.out.Cases = append(s.out.Cases, c.ID)
	return nil
}

// retryAll has everything sent again that is refused for the cause of a case, in a run.
func (r *run) retryAll(c store.Case) error {
	part := strings.SplitN(c.DedupeKey, "|", 5) // as causeOf has put it together
	q := Reprocess{Action: Retry, Filter: store.ReprocessFilter{What: []string{"projection"}, System: c.System, Kind: c.EntityKind, Status: string(store.Refused),
		Code: domain.Code(part[3]), Class: part[4]}}
	if err := q.check(r.cause); err != nil {
		return err
	}
	r.resent = c.DedupeKey
	if _, err := r.reprocess(q); err != nil && domain.CodeOf(err) != domain.NotFound {
		return err
	}
	return nil
}

// countGathered makes the cases that gather refusals say how many there are now.
func (a *Applier) countGathered(ctx context.Context) error {
	moved, err := store.MovedGathered(ctx, a.pool)
	if err != nil {
		return err
	}
	for _, g := range moved {
		cause := Cause{Actor: "datum", Source: FromSweep, CorrelationID: domain.NewID("cor")}
		err := a.transact(ctx, cause, func(r *run) error {
			c, err := store.CaseByID(ctx, r.tx, g.ID, true)
			if err != nil || c.Status != "open" {
				return err
			}
			counted(&c, g.Held)
			store.QueueCase(r.batch, c)
			store.QueueEvent(r.batch, store.TopicCase, "", c.System, c.ID, cause.CorrelationID)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
