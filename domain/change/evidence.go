package change

import (
	"context"
	"fmt"
	"slices"
	"time"

	"datum/domain"
	"datum/domain/store"
)

// Evidence is what is known about a case, side by side.
type Evidence struct {
	Columns  []EvidenceColumn
	Rows     []EvidenceRow
	Exchange *store.Exchange // the call that was refused; nil if there was none or it is past its retention
}

// EvidenceColumn is one who says something: the value in force, a record, a proposal, or what was sent.
type EvidenceColumn struct {
	Label      string // for people
	System     string // "" is Datum
	ExternalID string
	EntityID   string
}

// EvidenceRow is what everybody says about one field.
type EvidenceRow struct {
	Field domain.Field
	Owner string // the system that owns it
	Equal bool   // all who say something say the same
	Cells []EvidenceCell
}

// EvidenceCell is what one says about one field.
type EvidenceCell struct {
	Value   domain.Value // "" says nothing
	At      *time.Time   // since when, nil if that is not known
	By      string       // who did it, "" if that is not known
	InForce bool         // it is the golden value, or where that comes from
	Owns    bool         // its system owns the field
}

// Evidence puts what is known about a case side by side.
func (a *Applier) Evidence(ctx context.Context, c store.Case) (ev Evidence, err error) {
	defer domain.Wrap(&err, "change.Evidence")
	if c.Kind == store.CaseUnlinked {
		rec, err := store.RecordByID(ctx, a.pool, c.System, c.EntityKind, c.ExternalID)
		if err != nil || rec == nil {
			return ev, err
		}
		ev.Columns = []EvidenceColumn{{Label: c.System, System: c.System, ExternalID: c.ExternalID}}
		for _, f := range rec.Values.Fields() {
			if !rec.Values[f].Empty() {
				ev.Rows = append(ev.Rows, EvidenceRow{Field: f, Equal: true, Cells: []EvidenceCell{{Value: rec.Values[f], At: &rec.ModifiedAt}}})
			}
		}
		return ev, nil
	}
	if gathers(c) {
		ev.Exchange, err = store.RefusingExchange(ctx, a.pool, c.System, c.CorrelationID)
		return ev, err
	}
	if c.EntityID == "" {
		return ev, nil
	}
	w := &witness{c: c}
	ids := []string{c.EntityID}
	if c.OtherID != "" {
		ids = append(ids, c.OtherID)
	}
	if w.entities, err = store.Entities(ctx, a.pool, ids); err != nil || len(w.entities) != len(ids) {
		return ev, err
	}
	if w.words, err = store.LastWords(ctx, a.pool, ids); err != nil {
		return ev, err
	}
	pol, _, err := a.Policy(ctx, a.pool, 0)
	if err != nil {
		return ev, err
	}
	w.owner = func(f domain.Field, e store.Entity) string { return pol.Kind(e.Kind).Rule(f, e.Stage).Owner }
	if c.Kind == store.CaseDuplicate {
		return w.sideBySide(), nil
	}
	recs, err := store.RecordsOf(ctx, a.pool, ids[:1])
	if err != nil {
		return ev, err
	}
	fields := c.Detail.Sent.Fields()
	if c.Field != "" {
		fields = []domain.Field{c.Field}
	}
	sent := c.Detail.Sent
	if c.Kind == store.CaseStuck {
		ps, err := store.ProjectionsOf(ctx, a.pool, ids[:1])
		if err != nil {
			return ev, err
		}
		for _, p := range ps {
			if p.System == c.System {
				fields, sent = p.Diff.Fields(), p.Diff
			}
		}
	}
	ev = w.byRecord(recs, fields, sent)
	if c.Kind == store.CaseRefused {
		ev.Exchange, err = store.RefusingExchange(ctx, a.pool, c.System, c.CorrelationID)
	}
	return ev, err
}

// witness puts evidence together.
type witness struct {
	c        store.Case
	entities []store.Entity
	words    []store.LastWord
	owner    func(f domain.Field, e store.Entity) string
}

// entity returns the entity with the id.
func (w *witness) entity(id string) store.Entity {
	return w.entities[slices.IndexFunc(w.entities, func(e store.Entity) bool { return e.ID == id })]
}

// last adds to a cell since when and by whom it is, as far as the history knows.
func (w *witness) last(cell EvidenceCell, entity, system, externalID string, f domain.Field) EvidenceCell {
	for _, x := range w.words {
		if x.EntityID == entity && x.System == system && x.ExternalID == externalID && x.Field == f {
			cell.At, cell.By = &x.At, x.Actor
		}
	}
	return cell
}

// golden is the cell of a golden value.
func (w *witness) golden(e store.Entity, f domain.Field) EvidenceCell {
	cell := EvidenceCell{Value: e.Golden[f], InForce: true}
	if p := e.Provenance[f]; !p.Since.IsZero() {
		cell.At = &p.Since
	}
	return w.last(cell, e.ID, "", "", f)
}

// sideBySide compares the two entities of a possible duplicate field by field.
func (w *witness) sideBySide() Evidence {
	var ev Evidence
	a, b := w.entity(w.c.EntityID), w.entity(w.c.OtherID)
	for _, e := range []store.Entity{a, b} {
		ev.Columns = append(ev.Columns, EvidenceColumn{Label: NameOf(e.Golden), EntityID: e.ID})
	}
	ki, _ := a.Kind.Info()
	for _, fi := range ki.Fields {
		f := fi.Name
		if a.Golden[f].Empty() && b.Golden[f].Empty() {
			continue
		}
		ev.Rows = append(ev.Rows, EvidenceRow{Field: f, Owner: w.owner(f, a), Equal: equal(a.Golden[f], b.Golden[f]),
			Cells: []EvidenceCell{w.golden(a, f), w.golden(b, f)}})
	}
	return ev
}

// byRecord compares, for some fields, the value in force with what each record says, and with what was proposed or sent.
func (w *witness) byRecord(recs []*store.Record, fields []domain.Field, sent domain.Values) Evidence {
	e := w.entity(w.c.EntityID)
	ev := Evidence{Columns: []EvidenceColumn{{Label: "in force", EntityID: e.ID}}}
	recs = slices.DeleteFunc(recs, func(r *store.Record) bool { return r.Deleted || r.MergedInto != "" })
	for _, r := range recs {
		ev.Columns = append(ev.Columns, EvidenceColumn{Label: fmt.Sprintf("%s record %s", r.System, r.ExternalID), System: r.System, ExternalID: r.ExternalID, EntityID: e.ID})
	}
	switch {
	case proposal(w.c):
		ev.Columns = append(ev.Columns, EvidenceColumn{Label: "proposed for " + w.c.System, System: w.c.System, EntityID: e.ID})
	case len(sent) > 0:
		ev.Columns = append(ev.Columns, EvidenceColumn{Label: "sent to " + w.c.System, System: w.c.System, EntityID: e.ID})
	}
	for _, f := range fields {
		row := EvidenceRow{Field: f, Owner: w.owner(f, e), Cells: []EvidenceCell{w.golden(e, f)}}
		from := e.Provenance[f]
		for _, r := range recs {
			cell := EvidenceCell{Value: r.Values[f], Owns: r.System == row.Owner, At: &r.ModifiedAt, InForce: from.System == r.System && from.ExternalID == r.ExternalID}
			if w.c.Kind == store.CaseInvalid && r.System == w.c.System && r.ExternalID == w.c.ExternalID {
				cell.Value = w.c.Detail.Theirs // what cannot be used is in no value
			}
			row.Cells = append(row.Cells, w.last(cell, e.ID, r.System, r.ExternalID, f))
		}
		switch {
		case proposal(w.c):
			row.Cells = append(row.Cells, w.last(EvidenceCell{Value: w.c.Detail.Theirs, At: &w.c.UpdatedAt}, e.ID, w.c.System, "", f))
		case len(sent) > 0:
			row.Cells = append(row.Cells, EvidenceCell{Value: sent[f], At: &w.c.UpdatedAt, By: "datum"})
		}
		row.Equal = !slices.ContainsFunc(row.Cells, func(x EvidenceCell) bool { return !equal(x.Value, row.Cells[0].Value) })
		ev.Rows = append(ev.Rows, row)
	}
	return ev
}

// Held is what a case holds up.
type Held struct {
	Total int
	Items []HeldItem // some of them
}

// HeldItem is one thing that waits.
type HeldItem struct {
	store.Waiter
	Name string
}

// HoldsUp returns what waits because of a case, up to limit by name.
func (a *Applier) HoldsUp(ctx context.Context, c store.Case, limit int) (h Held, err error) {
	defer domain.Wrap(&err, "change.HoldsUp")
	if c.Status != "open" {
		return h, nil
	}
	ws, err := store.CaseWaiters(ctx, a.pool, c, max(limit, 1))
	if err != nil {
		return h, err
	}
	ids := make([]string, len(ws))
	for i, w := range ws {
		ids[i], h.Total = w.EntityID, w.Total
	}
	es, err := store.Entities(ctx, a.pool, ids)
	for _, w := range ws[:min(limit, len(ws))] {
		item := HeldItem{Waiter: w, Name: w.System + " " + w.ExternalID}
		for _, e := range es {
			if e.ID == w.EntityID {
				item.Name = NameOf(e.Golden)
			}
		}
		h.Items = append(h.Items, item)
	}
	return h, err
}

// Says is what a case holds up, in words.
func (h Held) Says() string {
	switch h.Total {
	case 0:
		return "nothing waits because of it"
	case 1:
		return "1 thing waits because of it"
	}
	return fmt.Sprintf("%d things wait because of it", h.Total)
}

// EndOvertaken ends the open cases whose cause has gone, and lets go on what they held back. It returns how many ended. Cases that
// count what they hold up are brought up to date.
func (a *Applier) EndOvertaken(ctx context.Context) (n int, err error) {
	defer domain.Wrap(&err, "change.EndOvertaken")
	if err := a.countGathered(ctx); err != nil {
		return 0, err
	}
	gone, err := store.OvertakenCases(ctx, a.pool)
	if err != nil {
		return 0, err
	}
	for _, g := range gone {
		cause := Cause{Actor: "datum", Source: FromSweep, CorrelationID: domain.NewID("cor")}
		err := a.transact(ctx, cause, func(r *run) error {
			c, err := store.CaseByID(ctx, r.tx, g.ID, false)
			if err != nil {
				return err
			}
			if err := r.lockCase(&c); err != nil || c.Status != "open" {
				return err
			}
			store.QueueCaseAnswer(r.batch, c.ID, "closed", "no longer so", "", g.Why, cause.CorrelationID)
			store.QueueEvent(r.batch, store.TopicCase, c.EntityID, c.System, c.ID, cause.CorrelationID)
			if c.Kind == store.CaseDuplicate {
				_, err = r.resettle(c.EntityID, nil)
			}
			return err
		})
		if err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}
