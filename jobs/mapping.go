package jobs

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"datum/adapters"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// RemapArgs asks for the stored records of a system to be read anew under a version of its mapping document.
type RemapArgs struct {
	System  string      `json:"system"`
	Version int64       `json:"version"`
	Of      domain.Kind `json:"kind,omitempty"`
	After   string      `json:"after,omitempty"`
}

// Kind implements river.JobArgs.
func (RemapArgs) Kind() string { return "remap" }

func (q queue) Remap(ctx context.Context, tx pgx.Tx, system string, version int64) error {
	_, err := q.client.InsertTx(ctx, tx, RemapArgs{System: system, Version: version}, nil)
	return err
}

// mappingKnown is how long it takes until every process knows of a new document.
const mappingKnown = 2 * time.Second

// remapBatch is how many records are tried out in one transaction, and noted as done at once.
const remapBatch = 50

// mappingOf reads a system with the mappings of its vendor and, under the document, of its account.
func (e *Engine) mappingOf(ctx context.Context, system, source string) (row store.System, over adapters.Overlay, own, next []adapters.Mapping, err error) {
	if row, err = store.SystemByName(ctx, e.pool, system); err != nil {
		return
	}
	v, ok := e.vendors[row.Adapter]
	if !ok {
		err = &domain.Error{Code: domain.Unsupported, System: system, Message: "it is Datum's own and has no mapping"}
		return
	}
	if v.OwnMapping {
		err = &domain.Error{Code: domain.Unsupported, System: system, Message: "its mapping is what it was connected with; change that and connect it again (datum system connect)"}
		return
	}
	plain := withDefaults(v, row.Settings)
	delete(plain, adapters.OverlaySetting)
	if own, err = v.Mappings(plain); err != nil {
		return
	}
	if over, err = adapters.CheckOverlay([]byte(source), own); err != nil {
		return
	}
	row.Settings = maps.Clone(row.Settings)
	if row.Settings == nil {
		row.Settings = map[string]string{}
	}
	row.Settings[adapters.OverlaySetting] = source
	return row, over, own, over.Over(own), nil
}

// CheckMapping says what is wrong with a mapping document of a system: an Invalid error with line numbers, or warnings about
// paths that no stored object shows.
func (e *Engine) CheckMapping(ctx context.Context, system, source string) (warnings []string, err error) {
	defer domain.Wrap(&err, "jobs.CheckMapping")
	_, over, _, next, err := e.mappingOf(ctx, system, source)
	if err != nil {
		return nil, err
	}
	return e.unseenPaths(ctx, system, over, next)
}

// unseenPaths names the paths of a document that none of the latest stored objects shows.
func (e *Engine) unseenPaths(ctx context.Context, system string, over adapters.Overlay, next []adapters.Mapping) ([]string, error) {
	var warnings []string
	for _, kind := range slices.Sorted(maps.Keys(over)) {
		m := adapters.Vendor{Mapping: next}.Carried(kind)
		var paths []string
		for _, to := range over[kind].Paths {
			paths = append(paths, slices.Collect(maps.Values(to))...)
		}
		for _, c := range over[kind].Custom {
			paths = append(paths, c.Path)
		}
		recs, err := store.RecordsAfter(ctx, e.pool, system, kind, "", 500)
		if err != nil {
			return nil, err
		}
		seen := map[string]bool{}
		for _, r := range recs {
			for _, p := range adapters.Seen(m.Stored(r.Raw), paths) {
				seen[p] = true
			}
		}
		slices.Sort(paths)
		for _, p := range slices.Compact(paths) {
			if !seen[p] && len(recs) > 0 {
				warnings = append(warnings, fmt.Sprintf("%s: none of %d stored objects of %s shows %s; look whether it is spelt as the vendor does", kind, len(recs), system, p))
			}
		}
	}
	return warnings, nil
}

// DiffMapping reads every stored object of a system anew under a mapping document, and reports what would follow. Nothing is
// kept and the vendor is not called.
func (e *Engine) DiffMapping(ctx context.Context, system, source string, progress func(done int)) (eff change.MappingEffect, err error) {
	defer domain.Wrap(&err, "jobs.DiffMapping")
	row, over, _, next, err := e.mappingOf(ctx, system, source)
	if err != nil {
		return eff, err
	}
	eff.Values, eff.Failures = map[domain.Field]int{}, map[domain.Field]int{}
	eff.Golden, eff.Writes = map[domain.Field]int{}, map[string]int{}
	eff.Changed, eff.Written = map[domain.Kind]int{}, map[change.WrittenTo]int{}
	if eff.Warnings, err = e.unseenPaths(ctx, system, over, next); err != nil {
		return eff, err
	}
	touched, err := e.touched(ctx, system, over)
	if err != nil {
		return eff, err
	}
	under := ownership.System{Name: system, Adapter: row.Adapter, Settings: row.Settings}
	for _, ki := range domain.KindsAll() {
		m := adapters.Vendor{Mapping: next}.Carried(ki.Kind)
		if m == nil || len(touched[ki.Kind]) == 0 && over[ki.Kind] == nil {
			continue
		}
		for after := ""; ; {
			recs, err := store.RecordsAfter(ctx, e.pool, system, ki.Kind, after, remapBatch)
			if err != nil {
				return eff, err
			}
			var anew []domain.Record
			for _, r := range recs {
				after = r.ExternalID
				if rec, changed := reread(m, r, touched[ki.Kind]); changed {
					anew = append(anew, rec)
					sample(&eff, r, rec, touched[ki.Kind])
				}
			}
			eff.Records += len(recs)
			if len(anew) > 0 {
				if err := e.applier.RemapEffect(ctx, under, anew, &eff); err != nil {
					return eff, err
				}
			}
			if progress != nil {
				progress(eff.Records)
			}
			if len(recs) < remapBatch {
				break
			}
		}
	}
	return eff, nil
}

// sample adds what one record read anew says to the report.
func sample(eff *change.MappingEffect, old *store.Record, rec domain.Record, touched []domain.Field) {
	const most = 20
	for _, f := range touched {
		from, to := old.Values[f], rec.Values[f]
		if from != to && !(from.Empty() && to.Empty()) {
			eff.Values[f]++
			if len(eff.Samples) < most {
				eff.Samples = append(eff.Samples, change.MappingSample{ExternalID: rec.ExternalID, Field: f, From: from, To: to})
			}
		}
		for _, is := range rec.Issues {
			if is.Field == f && (is.Severity == domain.Problem || is.Code == domain.UnknownValue) {
				eff.Failures[f]++
				if len(eff.Failed) < most {
					eff.Failed = append(eff.Failed, change.MappingSample{ExternalID: rec.ExternalID, Field: f, From: from, To: domain.TextValue(is.Value)})
				}
			}
		}
	}
}

// touched are the fields that any document of the system, in force or before, reads otherwise than the vendor's mapping: those
// are taken from the stored objects anew, and all else stays as it was read.
func (e *Engine) touched(ctx context.Context, system string, over adapters.Overlay) (map[domain.Kind][]domain.Field, error) {
	vs, err := store.MappingVersions(ctx, e.pool, system)
	if err != nil {
		return nil, err
	}
	all := map[domain.Kind][]domain.Field{}
	add := func(o adapters.Overlay) {
		for kind, k := range o {
			all[kind] = append(all[kind], k.Touched()...)
			slices.Sort(all[kind])
			all[kind] = slices.Compact(all[kind])
		}
	}
	add(over)
	for _, v := range vs {
		if o, err := adapters.ParseOverlay([]byte(v.Source)); err == nil {
			add(o)
		}
	}
	return all, nil
}

// reread reads a stored object anew. Only the fields that mapping documents touch are taken from it; what an adapter has added to
// the others since stays.
func reread(m *adapters.Mapping, r *store.Record, touched []domain.Field) (domain.Record, bool) {
	o := m.Stored(r.Raw)
	if o == nil {
		return r.Record, false
	}
	values, issues, unknown := m.Read(o)
	rec := r.Record
	rec.Values = r.Values.Clone()
	if rec.Values == nil {
		rec.Values = domain.Values{}
	}
	touched = slices.DeleteFunc(slices.Clone(touched), func(f domain.Field) bool {
		// An object that was stored before the vendor had the member says nothing about it.
		row := m.Row(f)
		return row != nil && len(adapters.Seen(o, row.Paths)) == 0
	})
	is := func(f domain.Field) bool { return slices.Contains(touched, f) }
	changed := false
	rec.Issues = slices.DeleteFunc(slices.Clone(r.Issues), func(x domain.Issue) bool { return is(x.Field) })
	for _, x := range issues {
		if is(x.Field) {
			rec.Issues = append(rec.Issues, x)
		}
	}
	changed = len(rec.Issues) != len(r.Issues)
	for _, f := range touched {
		v, ok := values[f]
		if v != rec.Values[f] && !(v.Empty() && rec.Values[f].Empty()) {
			changed = true
		}
		delete(rec.Values, f)
		if ok {
			rec.Values[f] = v
		}
	}
	// Of what was unknown, what no document names stays so.
	rec.Unknown = slices.DeleteFunc(slices.Clone(r.Unknown), func(path string) bool { return !slices.Contains(unknown, path) })
	return rec, changed || len(rec.Unknown) != len(r.Unknown)
}

// Mapping returns how a system's objects are mapped now. Unsupported if it is Datum's own.
func (e *Engine) Mapping(ctx context.Context, system string) (m change.MappingInForce, err error) {
	defer domain.Wrap(&err, "jobs.Mapping")
	row, err := store.SystemByName(ctx, e.pool, system)
	if err != nil {
		return m, err
	}
	v, ok := e.vendors[row.Adapter]
	if !ok {
		return m, &domain.Error{Code: domain.Unsupported, System: system, Message: "it is Datum's own and has no mapping"}
	}
	m.System, m.Vendor = system, v.Title
	ms, err := v.Mappings(withDefaults(v, row.Settings))
	if err != nil {
		return m, err
	}
	over, err := adapters.ParseOverlay([]byte(row.Settings[adapters.OverlaySetting]))
	if err != nil {
		return m, err
	}
	vs, err := store.MappingVersions(ctx, e.pool, system)
	if err != nil {
		return m, err
	}
	if len(vs) > 0 {
		m.Document = &vs[0]
	}
	if m.Parked, err = e.applier.ParkedMapping(ctx, system); err != nil {
		return m, err
	}
	drifts, err := store.Drifts(ctx, e.pool, store.DriftFilter{System: system, Status: []string{store.DriftOpen}}, [4]string{}, 1000)
	m.Tables = mappingTables(ms, over, drifts)
	return m, err
}

// PreviewMapping tries a document out on what is stored, and keeps what it shows so that exactly this can be applied. What is
// wrong with the document is no error but in the preview.
func (e *Engine) PreviewMapping(ctx context.Context, system, source string, cause change.Cause, progress func(done int)) (p change.MappingPreview, err error) {
	defer domain.Wrap(&err, "jobs.PreviewMapping")
	if p.Base, err = e.mappingVersion(ctx, system); err != nil {
		return p, err
	}
	p.Effect, err = e.DiffMapping(ctx, system, source, progress)
	if ps, ok := errors.AsType[adapters.Problems](err); ok {
		for _, x := range ps {
			p.Problems = append(p.Problems, change.MappingProblem{Line: x.Line, Path: adapters.DocumentPath([]byte(source), x.Line), Message: x.Message})
		}
		return p, nil
	}
	if err != nil {
		return p, err
	}
	if p.TooMuch, err = e.applier.TooMuch(ctx, system, p.Effect); err != nil {
		return p, err
	}
	p.ID, err = e.applier.ShowMapping(ctx, change.MappingPublication{System: system, Source: source, Base: p.Base, Cause: cause}, p.Effect)
	return p, err
}

func (e *Engine) mappingVersion(ctx context.Context, system string) (int64, error) {
	if _, err := store.SystemByName(ctx, e.pool, system); err != nil {
		return 0, err
	}
	vs, err := store.MappingVersions(ctx, e.pool, system)
	if err != nil || len(vs) == 0 {
		return 0, err
	}
	return vs[0].Version, nil
}

// ApplyMapping checks a mapping document of a system and puts it in force. A job then reads the stored objects anew, in the bulk
// lane and without calls to the vendor, and what the vendor has refused is tried again. Without a preview that a person
// confirms it is tried out first: if it would change more than the policy's brakes let pass it is not applied, and the case that
// asks about it is returned. Conflict if base is not the version in force.
func (e *Engine) ApplyMapping(ctx context.Context, p change.MappingPublication) (version int64, parked *store.Case, err error) {
	defer domain.Wrap(&err, "jobs.ApplyMapping")
	if _, err := e.CheckMapping(ctx, p.System, p.Source); err != nil {
		return 0, nil, err
	}
	now, err := e.mappingVersion(ctx, p.System)
	if err != nil {
		return 0, nil, err
	}
	if p.Preview == "" && now == p.Base {
		eff, err := e.DiffMapping(ctx, p.System, p.Source, nil)
		if err != nil {
			return 0, nil, err
		}
		why, err := e.applier.TooMuch(ctx, p.System, eff)
		if err != nil {
			return 0, nil, err
		}
		if len(why) > 0 {
			c, err := e.applier.ParkMapping(ctx, p, eff, why)
			return 0, &c, err
		}
	}
	if version, err = e.applier.PublishMapping(ctx, p); err == nil {
		e.reread(p.System)
	}
	return version, nil, err
}

type remapWorker struct {
	river.WorkerDefaults[RemapArgs]
	*Engine
}

// Work reads some stored objects anew and queues the rest. A version that is no longer in force ends.
func (w *remapWorker) Work(ctx context.Context, job *river.Job[RemapArgs]) error {
	args := job.Args
	vs, err := store.MappingVersions(ctx, w.pool, args.System)
	if err != nil || len(vs) == 0 || vs[0].Version != args.Version {
		return err
	}
	row, over, _, next, err := w.mappingOf(ctx, args.System, vs[0].Source)
	if err != nil {
		return err
	}
	touched, err := w.touched(ctx, args.System, over)
	if err != nil {
		return err
	}
	// By then every process reads under this version, so that nothing is read the old way after it has been read anew.
	if wait := time.Until(vs[0].PublishedAt.Add(mappingKnown)); wait > 0 {
		t := time.NewTimer(min(wait, mappingKnown))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
	under := ownership.System{Name: args.System, Adapter: row.Adapter, Settings: row.Settings}
	cause := change.Cause{Actor: "mapping", CorrelationID: domain.NewID("cor"), Lane: "bulk"}
	started := time.Now()
	for _, ki := range domain.KindsAll() {
		m := adapters.Vendor{Mapping: next}.Carried(ki.Kind)
		if m == nil || args.Of != "" && ki.Kind != args.Of {
			continue
		}
		args.Of = ""
		after := args.After
		args.After = ""
		for {
			recs, err := store.RecordsAfter(ctx, w.pool, args.System, ki.Kind, after, remapBatch)
			if err != nil {
				return err
			}
			for _, r := range recs {
				after = r.ExternalID
				if rec, changed := reread(m, r, touched[ki.Kind]); changed {
					if err := w.applier.Remap(ctx, under, rec, cause); err != nil {
						return err
					}
				}
			}
			if err := store.MappingApplied(ctx, w.pool, args.System, args.Version, len(recs), false); err != nil {
				return err
			}
			if len(recs) < remapBatch {
				break
			}
			if time.Since(started) > jobTimeout/2 {
				_, err := w.client.Insert(ctx, RemapArgs{System: args.System, Version: args.Version, Of: ki.Kind, After: after}, nil)
				return err
			}
		}
		if over[ki.Kind] != nil {
			if n, err := store.RetryRefused(ctx, w.pool, args.System, ki.Kind); err != nil {
				return err
			} else if n > 0 {
				if err := w.wakeProject(ctx, args.System, ki.Kind, 0); err != nil {
					return err
				}
			}
		}
	}
	return store.MappingApplied(ctx, w.pool, args.System, args.Version, 0, true)
}
