package graph

import (
	"context"
	"fmt"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/graph/model"
)

// Mappings knows how systems' objects are mapped, and puts documents in force that say so.
type Mappings interface {
	Mapping(ctx context.Context, system string) (change.MappingInForce, error)
	PreviewMapping(ctx context.Context, system, source string, cause change.Cause, progress func(done int)) (change.MappingPreview, error)
	ApplyMapping(ctx context.Context, p change.MappingPublication) (version int64, parked *store.Case, err error)
}

// noMappings is the answer where nothing is known of vendors.
type noMappings struct{}

var errNoMappings = domain.Errorf(domain.Unsupported, "this API knows nothing of vendors' mappings")

func (noMappings) Mapping(context.Context, string) (change.MappingInForce, error) {
	return change.MappingInForce{}, errNoMappings
}

func (noMappings) PreviewMapping(context.Context, string, string, change.Cause, func(int)) (change.MappingPreview, error) {
	return change.MappingPreview{}, errNoMappings
}

func (noMappings) ApplyMapping(context.Context, change.MappingPublication) (int64, *store.Case, error) {
	return 0, nil, errNoMappings
}

func mappingModel(m change.MappingInForce) *model.SystemMapping {
	out := &model.SystemMapping{System: m.System, Vendor: m.Vendor, ParkedID: m.Parked, Tables: each(m.Tables, kindMapping)}
	if d := m.Document; d != nil {
		out.Document = &model.MappingDocument{Version: int(d.Version), Source: d.Source, AppliedBy: d.PublishedBy, AppliedAt: d.PublishedAt, Read: int(d.Applied), ReadAt: d.AppliedAt}
	}
	return out
}

func kindMapping(t change.MappingTable) *model.KindMapping {
	m := &model.KindMapping{Kind: entityKind(t.Kind), Object: t.Object, IDField: text(t.IDField), Ignored: orEmpty(t.Ignored), Defaults: []byte("{}"),
		Fields: each(t.Rows, fieldMapping), Custom: each(t.Custom, func(c change.MappingCustom) *model.CustomFieldMapping {
			return &model.CustomFieldMapping{Name: c.Name, Path: c.Path, Type: c.Type, Writable: c.Writable}
		})}
	if len(t.Defaults) > 0 {
		m.Defaults = rawJSON(t.Defaults)
	}
	return m
}

func fieldMapping(r change.MappingRow) *model.FieldMapping {
	m := &model.FieldMapping{Field: string(r.Field), Paths: orEmpty(r.Paths), Form: r.Form, Writable: r.Writable, Note: text(r.Note), Overridden: r.Overridden}
	if r.Max > 0 {
		m.Max = &r.Max
	}
	if d := r.ParkedBy; d != nil {
		m.ParkedBy = &model.MappingDrift{Sort: *enum[model.DriftSort](d.Sort), Path: d.Path, FirstSeen: d.FirstSeen, CaseID: text(d.CaseID)}
	}
	return m
}

func mappingPreview(p change.MappingPreview) *model.MappingPreview {
	example := func(s change.MappingSample) *model.MappingExample {
		return &model.MappingExample{ExternalID: s.ExternalID, Field: string(s.Field), From: []byte(s.From), To: []byte(s.To)}
	}
	eff := p.Effect
	return &model.MappingPreview{ID: text(p.ID), Version: int(p.Base), UserErrors: []*model.UserError{}, Warnings: orEmpty(eff.Warnings), Records: eff.Records,
		Values: counted(eff.Values), Examples: each(eff.Samples, example), Failures: counted(eff.Failures), Failed: each(eff.Failed, example),
		Golden: counted(eff.Golden), Writes: counted(eff.Writes), Cases: eff.Cases, TooMuch: orEmpty(p.TooMuch),
		GoldenExamples: each(eff.Examples, func(x change.Example) *model.GoldenAhead {
			return &model.GoldenAhead{EntityID: text(x.EntityID), Name: x.Name, Field: string(x.Field), From: []byte(x.Old), To: []byte(x.New)}
		}),
		Problems: each(p.Problems, func(x change.MappingProblem) *model.MappingProblem {
			return &model.MappingProblem{Line: x.Line, Path: text(x.Path), Message: fmt.Sprintf("line %d: %s", x.Line, x.Message)}
		})}
}
