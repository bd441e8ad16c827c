package jobs

import (
	"slices"
	"strings"

	"datum/adapters"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

// MappingTables describes a vendor's mappings as they are before any document.
func MappingTables(ms []adapters.Mapping) []change.MappingTable { return mappingTables(ms, nil, nil) }

// mappingTables describes mappings, with what a document says over them and what is parked by drift.
func mappingTables(ms []adapters.Mapping, over adapters.Overlay, drifts []store.Drift) []change.MappingTable {
	var ts []change.MappingTable
	for _, m := range ms {
		t := change.MappingTable{Kind: m.Kind, Object: m.Object, IDField: m.IDField}
		ki, _ := m.Kind.Info()
		touched := over[m.Kind].Touched()
		for _, r := range m.Rows {
			fi, _ := ki.Field(r.Field)
			row := change.MappingRow{Field: r.Field, Paths: r.Paths, Form: string(fi.Type), Max: r.Max, Writable: r.Set != nil, Note: r.Note, Overridden: slices.Contains(touched, r.Field)}
			if len(fi.Enum) > 0 {
				row.Form = strings.Join(fi.Enum, "|")
			}
			row.ParkedBy = parkedBy(m.Kind, r.Field, drifts)
			t.Rows = append(t.Rows, row)
		}
		if k := over[m.Kind]; k != nil {
			t.Defaults, t.Ignored = k.Defaults, k.Ignore
			for _, c := range k.Custom {
				t.Custom = append(t.Custom, change.MappingCustom{Name: c.Name, Path: c.Path, Type: c.Type, Writable: !c.ReadOnly})
			}
		}
		ts = append(ts, t)
	}
	return ts
}

func parkedBy(kind domain.Kind, f domain.Field, drifts []store.Drift) *change.MappingDrift {
	for _, d := range drifts {
		if d.Kind == kind && d.Field == f && d.Parks {
			return &change.MappingDrift{Sort: d.Sort, Path: d.Path, CaseID: d.CaseID, FirstSeen: d.FirstSeen}
		}
	}
	return nil
}
