package graph

import (
	"strings"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/graph/model"
)

func reprocessFilter(in *model.ReprocessFilter) (store.ReprocessFilter, error) {
	if in == nil {
		return store.ReprocessFilter{}, nil
	}
	f := store.ReprocessFilter{System: value(in.System.Value()), Kind: kindNamed(in.Kind.Value()), Status: strings.ToLower(value(in.Status.Value())),
		Code: domain.Code(value(in.Code.Value())), Class: value(in.Class.Value()), Before: in.Before.Value(), After: in.After.Value()}
	for _, w := range in.What.Value() {
		f.What = append(f.What, lower(&w))
	}
	return f, f.Name(in.Ids.Value()...)
}

func deadLetterModel(d change.DeadLetter) *model.DeadLetter {
	m := &model.DeadLetter{What: *enum[model.ReprocessItemKind](d.What), System: text(d.System), Code: string(d.Code), Class: d.Class, Count: int(d.Count), Oldest: d.Oldest,
		Next: d.Next, ExampleID: d.Example.ID(), ExampleMessage: d.Example.Error, ExampleExternalID: text(d.Example.ExternalID), ExampleEntityID: text(d.Example.EntityID)}
	if _, ok := d.Kind.Info(); ok {
		k := entityKind(d.Kind)
		m.Kind = &k
	}
	return m
}

func runModel(r store.ReprocessRun, now time.Time) *model.ReprocessRun {
	return &model.ReprocessRun{ID: r.ID, Action: *enum[model.ReprocessAction](r.Action), Filter: rawJSON(r.Filter), Force: r.Force, PerSecond: r.PerSecond,
		Status: *enum[model.ReprocessStatus](r.Status), Actor: r.Actor, Reason: text(r.Reason), CorrelationID: text(r.CorrelationID), StartedAt: r.CreatedAt,
		FinishedAt: r.FinishedAt, EndedBy: text(r.EndedBy), Total: int(r.Total), Done: int(r.Done), Failed: int(r.Failed), Cancelled: int(r.Cancelled), Eta: r.ETA(now)}
}

func itemModel(it store.ReprocessItem) *model.ReprocessItem {
	return &model.ReprocessItem{Number: int(it.Seq), What: *enum[model.ReprocessItemKind](it.What), System: text(it.System), ExternalID: text(it.ExternalID),
		EntityID: text(it.EntityID), Status: it.Status, Message: text(it.Error)}
}
