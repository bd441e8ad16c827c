package change

import (
	"cmp"
	"fmt"
	"slices"

	"datum/domain"
	"datum/domain/store"
)

// refer replaces the vendor's ids in a record's values by ours. What no entity stands for yet is left out of the values and
// noted in waits: the record is looked at again when one does. Objects that were never seen are asked for.
func (r *run) refer(in *Incoming) (waits []domain.Ref, err error) {
	rec := &in.Record
	var ask []domain.Ref // by the vendor's ids
	for _, ref := range domain.Refs(rec.Kind, rec.Values) {
		if id, ok := domain.ExtID(ref.ID); ok {
			ask = append(ask, domain.Ref{Kind: ref.Kind, ID: id})
		}
	}
	if len(ask) == 0 {
		return nil, nil
	}
	linked, err := store.LinkedRefs(r.ctx, r.tx, in.System, ask)
	if err != nil {
		return nil, err
	}
	var unseen []store.Signal
	for _, ref := range ask {
		entity, seen := linked[ref]
		if entity == "" {
			waits = append(waits, ref)
		}
		if !seen && r.carries(in.System, ref.Kind) {
			unseen = append(unseen, store.Signal{System: in.System, Kind: ref.Kind, ExternalID: ref.ID, Source: "reference",
				DedupeKey: fmt.Sprintf("reference|%s|%s", ref.Kind, ref.ID), CorrelationID: in.CorrelationID})
		}
	}
	rec.Values = domain.MapRefs(rec.Kind, rec.Values, func(ref domain.Ref) string {
		if id, ok := domain.ExtID(ref.ID); ok {
			return linked[domain.Ref{Kind: ref.Kind, ID: id}]
		}
		return ref.ID
	})
	if len(unseen) > 0 {
		n, err := store.InsertSignals(r.ctx, r.tx, unseen)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			return waits, r.queue.Ingest(r.ctx, r.tx, in.System)
		}
	}
	return waits, nil
}

// carries reports whether the system's adapter has objects of the kind.
func (r *run) carries(system string, kind domain.Kind) bool {
	pol, _, err := r.Policy(r.ctx, r.tx, 0)
	if err != nil || pol.Kinds[kind] == nil {
		return false
	}
	s, err := r.system(pol, system)
	if err != nil {
		return false
	}
	_, ok := r.carrier.Writable(s, kind)
	return ok
}

// arrived wakes what has waited for the entity to have a record in the system: records that refer to it and projections.
func (r *run) arrived(system string, rec *store.Record) error {
	n, err := store.SignalWaiting(r.ctx, r.tx, system, domain.Ref{Kind: rec.Kind, ID: rec.ExternalID}, r.cause.CorrelationID)
	if err != nil {
		return err
	}
	if n > 0 {
		if err := r.queue.Ingest(r.ctx, r.tx, system); err != nil {
			return err
		}
	}
	free, err := store.UnparkWaiting(r.ctx, r.tx, system, rec.EntityID)
	for _, u := range free {
		r.wakes = append(r.wakes, Wake(u))
	}
	return err
}

// survive makes references in the records' values lead to the entities that stand for merged ones.
func (r *run) survive(st *state) error {
	var ids []string
	note := func(v domain.Values) {
		for _, ref := range domain.Refs(st.Entity.Kind, v) {
			if !slices.Contains(ids, ref.ID) {
				ids = append(ids, ref.ID)
			}
		}
	}
	for _, rec := range st.Records {
		note(rec.Values)
		note(rec.Confirmed)
	}
	for f, p := range st.Pins {
		note(domain.Values{f: p.Value})
	}
	var err error
	if st.survivors, err = store.Survivors(r.ctx, r.tx, ids); err != nil || len(st.survivors) == 0 {
		return err
	}
	for _, rec := range st.Records {
		st.lead(rec)
	}
	for f, p := range st.Pins {
		p.Value = domain.MapRefs(st.Entity.Kind, domain.Values{f: p.Value}, st.survivor)[f]
		st.Pins[f] = p
	}
	return nil
}

// survivor leads a reference to the entity that stands for what was merged.
func (st *state) survivor(ref domain.Ref) string { return cmp.Or(st.survivors[ref.ID], ref.ID) }

// lead makes the references of one record lead to survivors, and keeps what it says itself.
func (st *state) lead(rec *store.Record) {
	if len(st.survivors) == 0 {
		return
	}
	if st.said == nil {
		st.said = map[*store.Record]said{}
	}
	st.said[rec] = said{rec.Values, rec.Confirmed}
	rec.Values, rec.Confirmed = domain.MapRefs(rec.Kind, rec.Values, st.survivor), domain.MapRefs(rec.Kind, rec.Confirmed, st.survivor)
}

// stored returns the record as it is to be stored: what it said itself, where that still leads to what it is.
func (st *state) stored(rec *store.Record) *store.Record {
	was, led := st.said[rec]
	if !led {
		return rec
	}
	rec = rec.Clone()
	values, confirmed := domain.MapRefs(rec.Kind, was.values, st.survivor), domain.MapRefs(rec.Kind, was.confirmed, st.survivor)
	for f, v := range rec.Confirmed {
		switch v {
		case values[f]:
			rec.Confirmed[f] = was.values[f]
		case confirmed[f]:
			rec.Confirmed[f] = was.confirmed[f]
		}
	}
	for f, v := range rec.Values {
		if v == values[f] {
			rec.Values[f] = was.values[f]
		}
	}
	return rec
}

// checkRefs verifies that what an edit refers to is there. A line that names a product and says nothing else of it gets the
// product's name and SKU: a document must read as it was meant, whatever becomes of the product.
func (r *run) checkRefs(e Edit, res *Result) error {
	refs := domain.Refs(e.Kind, e.Fields)
	if len(refs) == 0 {
		return nil
	}
	ids := make([]string, len(refs))
	for i, ref := range refs {
		ids[i] = ref.ID
	}
	found, err := store.Goldens(r.ctx, r.tx, ids)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if !slices.ContainsFunc(found, func(e store.Entity) bool { return e.ID == ref.ID && e.Kind == ref.Kind }) {
			res.Refused = append(res.Refused, domain.Errorf(domain.Invalid, "there is no %s %s", ref.Kind, ref.ID))
		}
	}
	lines := domain.LinesOf(e.Fields["lines"])
	for i, l := range lines {
		p := slices.IndexFunc(found, func(e store.Entity) bool { return e.ID == l.Product })
		if p < 0 || l.Description != "" {
			continue
		}
		if lines[i].Description = found[p].Golden["name"].Text(); l.SKU == "" {
			lines[i].SKU = found[p].Golden["sku"].Text()
		}
	}
	if len(lines) > 0 {
		e.Fields["lines"] = domain.ValueOf(lines)
	}
	return nil
}
