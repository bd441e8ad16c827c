package change

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/ownership"
	"datum/domain/store"
)

// MappingSample is one value that a mapping document would change.
type MappingSample struct {
	ExternalID string
	Field      domain.Field
	From, To   domain.Value
}

// MappingEffect is what a mapping document would change, computed from the stored objects.
type MappingEffect struct {
	Warnings []string             // paths that no stored object shows, and the like
	Records  int                  // read anew
	Values   map[domain.Field]int // values of records that would change
	Samples  []MappingSample      // a few of them
	Failures map[domain.Field]int // values that could not be used
	Failed   []MappingSample      // a few of them: To is what the vendor has
	Effect                        // golden values and writes that would follow

	// Changed are the entities of which golden values would change, Written those that would be written over, by system and kind.
	Changed map[domain.Kind]int
	Written map[WrittenTo]int
}

// WrittenTo is where something would be written.
type WrittenTo struct {
	System string
	Kind   domain.Kind
}

// MappingTable is how one kind is mapped in a system.
type MappingTable struct {
	Kind    domain.Kind
	Object  string // the vendor's word for it
	IDField string // where our id stands, "" if there is no place
	Rows    []MappingRow
	Custom  []MappingCustom
	// Defaults are written where nothing stands, by path; Ignored are members that are no drift.
	Defaults map[string]any
	Ignored  []string
}

// MappingRow is how one field is mapped.
type MappingRow struct {
	Field      domain.Field
	Paths      []string
	Form       string // the type, or the values it can have
	Max        int    // characters, 0 is no limit
	Writable   bool
	Note       string
	Overridden bool          // the system's document says so, and not the vendor's mapping
	ParkedBy   *MappingDrift // writes that say the field are parked because of it
}

// MappingDrift is an open drift of a field.
type MappingDrift struct {
	Sort, Path string
	CaseID     string
	FirstSeen  time.Time
}

// MappingCustom is a custom field: customFields.<Name>.
type MappingCustom struct {
	Name, Path, Type string
	Writable         bool
}

// MappingInForce is how a system's objects are mapped now.
type MappingInForce struct {
	System, Vendor string
	Document       *store.MappingVersion // nil: the vendor's mapping as it is
	Parked         string                // the case that asks about a document that would change much, "" if none does
	Tables         []MappingTable
}

// MappingProblem is one thing that is wrong with a mapping document.
type MappingProblem struct {
	Line    int    // from 1
	Path    string // in the document: Customer.fields.abn
	Message string
}

// MappingPreview is what a document would do, with the name under which exactly that can be applied.
type MappingPreview struct {
	ID       string // "" if the document cannot be used
	Base     int64  // the version in force
	Effect   MappingEffect
	TooMuch  []string // why a person has to see it before it is applied, empty if it is everyday business
	Problems []MappingProblem
}

// MappingPublication asks for a mapping document to be put in force.
type MappingPublication struct {
	System, Source string
	Base           int64  // the version that it was made from
	Preview        string // what a person was shown of it and confirms by this; "": judged by the brake
	Cause
}

// previewHolds is how long what a preview has shown can be confirmed.
const previewHolds = time.Hour

// TooMuch says in words which changes are more than the policy's brakes let pass without a person; empty if none is.
func (a *Applier) TooMuch(ctx context.Context, system string, eff MappingEffect) (why []string, err error) {
	defer domain.Wrap(&err, "change.TooMuch")
	pol, _, err := a.Policy(ctx, a.pool, 0)
	if err != nil {
		return nil, err
	}
	judge := func(n int, b ownership.Brake, system string, kind domain.Kind, what string) error {
		live, err := store.LiveRecords(ctx, a.pool, system, kind)
		if err == nil && !b.Off && int64(n) > b.Limit(live) {
			why = append(why, fmt.Sprintf(what, n, live, kind, system))
		}
		return err
	}
	for _, kind := range slices.Sorted(maps.Keys(eff.Changed)) {
		if err := judge(eff.Changed[kind], pol.Brake(system, ownership.In), system, kind, "golden values of %d of the %d %ss of %s would change"); err != nil {
			return nil, err
		}
	}
	to := slices.SortedFunc(maps.Keys(eff.Written), func(a, b WrittenTo) int {
		return cmp.Or(cmp.Compare(a.System, b.System), cmp.Compare(a.Kind, b.Kind))
	})
	for _, w := range to {
		if err := judge(eff.Written[w], pol.Brake(w.System, ownership.Out), w.System, w.Kind, "%d of the %d %ss in %s would be written over"); err != nil {
			return nil, err
		}
	}
	return why, nil
}

// ShowMapping keeps what a person is shown of a document, so that it can be confirmed, and returns its name.
func (a *Applier) ShowMapping(ctx context.Context, p MappingPublication, eff MappingEffect) (id string, err error) {
	defer domain.Wrap(&err, "change.ShowMapping")
	err = a.transact(ctx, p.Cause, func(r *run) error {
		id, err = r.keepMapping(p, eff, false)
		return err
	})
	return id, err
}

func (r *run) keepMapping(p MappingPublication, eff MappingEffect, parked bool) (string, error) {
	numbers, err := json.Marshal(map[string]any{"records": eff.Records, "values": eff.Values, "failures": eff.Failures, "golden": eff.Golden, "writes": eff.Writes, "cases": eff.Cases})
	if err != nil {
		return "", err
	}
	id := domain.NewID("mpv")
	return id, store.InsertMappingPreview(r.ctx, r.tx, store.MappingPreview{ID: id, System: p.System, Base: p.Base, Source: p.Source, Effect: numbers, Actor: r.cause.Actor, Parked: parked})
}

// PublishMapping puts a system's mapping document in force, in every process within a second. The caller has checked it, and judged it
// if no preview is confirmed. Conflict if another version is in force than it was made from, or the preview is of something else.
func (a *Applier) PublishMapping(ctx context.Context, p MappingPublication) (version int64, err error) {
	defer domain.Wrap(&err, "change.PublishMapping")
	err = a.transact(ctx, p.Cause, func(r *run) error {
		version, err = r.publishMapping(p)
		return err
	})
	a.forget()
	return version, err
}

func (r *run) publishMapping(p MappingPublication) (int64, error) {
	r.cause.Source = FromMapping
	if p.Preview != "" {
		shown, err := store.MappingPreviewOf(r.ctx, r.tx, p.System, p.Preview)
		switch {
		case err != nil:
			return 0, err
		case shown.Source != p.Source || shown.Base != p.Base:
			return 0, domain.Errorf(domain.Conflict, "preview %s is of another document or of another version: try this one out, look at what it does, and apply it with its own preview", p.Preview)
		case time.Since(shown.CreatedAt) > previewHolds && !shown.Parked:
			return 0, domain.Errorf(domain.Conflict, "preview %s is more than an hour old: try the document out again", p.Preview)
		}
	}
	version, err := store.PublishMapping(r.ctx, r.tx, p.System, p.Base, p.Source, r.cause.Actor)
	if err != nil {
		return 0, err
	}
	// Whoever is asked about another document is asked no longer: it was made from a version that is past.
	if c, err := store.OpenCaseByKey(r.ctx, r.tx, mappingKey(p.System)); err != nil {
		return 0, err
	} else if c != nil {
		store.QueueCaseAnswer(r.batch, c.ID, "closed", "another mapping was applied", "", fmt.Sprintf("version %d of the mapping was applied", version), r.cause.CorrelationID)
		store.QueueEvent(r.batch, store.TopicCase, "", c.System, c.ID, r.cause.CorrelationID)
	}
	if err := store.UnparkMapping(r.ctx, r.tx, p.System); err != nil {
		return 0, err
	}
	store.QueueEvent(r.batch, store.TopicSystem, "", p.System, "mapping", r.cause.CorrelationID)
	return version, r.queue.Remap(r.ctx, r.tx, p.System, version)
}

// ParkMapping asks a person about a document that would change too much to be applied unseen. It returns the case.
func (a *Applier) ParkMapping(ctx context.Context, p MappingPublication, eff MappingEffect, why []string) (c store.Case, err error) {
	defer domain.Wrap(&err, "change.ParkMapping")
	err = a.transact(ctx, p.Cause, func(r *run) error {
		if _, err := r.keepMapping(p, eff, true); err != nil {
			return err
		}
		c = mappingCase(p, eff, why)
		c.CorrelationID = r.cause.CorrelationID
		store.QueueCase(r.batch, c)
		store.QueueEvent(r.batch, store.TopicCase, "", p.System, c.ID, r.cause.CorrelationID)
		if err := r.flush(); err != nil {
			return err
		}
		open, err := store.OpenCaseByKey(r.ctx, r.tx, c.DedupeKey)
		if open != nil {
			c = *open
		}
		return err
	})
	return c, err
}

// mappingKey names the case of a system's parked mapping document.
func mappingKey(system string) string { return "mapping_change|" + system }

// ParkedMapping returns the case that asks about a system's mapping document, "" if nobody is asked.
func (a *Applier) ParkedMapping(ctx context.Context, system string) (string, error) {
	c, err := store.OpenCaseByKey(ctx, a.pool, mappingKey(system))
	if err != nil || c == nil {
		return "", err
	}
	return c.ID, nil
}

// mapped reports whether the case is about a mapping document.
func mapped(c store.Case) bool {
	return c.Kind == store.CaseMassChange && c.DedupeKey == mappingKey(c.System)
}

func mappingCase(p MappingPublication, eff MappingEffect, why []string) store.Case {
	c := store.Case{ID: domain.NewID("case"), Kind: store.CaseMassChange, System: p.System, DedupeKey: mappingKey(p.System),
		Title:  fmt.Sprintf("a new mapping document of %s would change a great deal", p.System),
		Detail: store.CaseDetail{Held: int64(eff.Entities), Counts: map[string]int64{}}}
	for f, n := range eff.Golden {
		c.Detail.Counts[string(f)] = int64(n)
	}
	for _, x := range eff.Examples {
		c.Detail.Changes = append(c.Detail.Changes, store.Change{EntityID: x.EntityID, Name: x.Name, Field: x.Field, From: x.Old, To: x.New})
	}
	c.Detail.Message = fmt.Sprintf("%s wants to apply a mapping document of %s (made from version %d) under which %s: %s. It is not in force, and nothing has changed.",
		p.Actor, p.System, p.Base, strings.Join(why, ", and "), tally(c.Detail.Counts))
	c.Detail.Next = "look at the examples; approve to put it in force, or reject to drop it. Who has seen a preview can apply it with that preview's id without being asked"
	return c
}

// approveMapping puts the parked document in force, if the version that it was made from still is.
func (r *run) approveMapping(c store.Case) error {
	p, err := store.MappingPreviewOf(r.ctx, r.tx, c.System, "")
	if err != nil {
		return err
	}
	if err := r.flush(); err != nil { // the case has ended
		return err
	}
	_, err = r.publishMapping(MappingPublication{System: p.System, Source: p.Source, Base: p.Base, Preview: p.ID})
	r.forget()
	return err
}

// Remap applies a stored record that has been read anew under the system's settings.
func (a *Applier) Remap(ctx context.Context, system ownership.System, rec domain.Record, cause Cause) error {
	cause.Source = FromMapping
	return a.transact(ctx, cause, func(r *run) error {
		r.instead = &system
		_, err := r.record(Incoming{System: system.Name, Record: rec, Cause: cause})
		return err
	})
}

// RemapEffect adds to eff what would follow from records read anew under the settings, and keeps nothing.
func (a *Applier) RemapEffect(ctx context.Context, system ownership.System, recs []domain.Record, eff *MappingEffect) error {
	err := pgx.BeginFunc(ctx, a.pool, func(tx pgx.Tx) error {
		r := &run{Applier: a, ctx: ctx, tx: tx, batch: &pgx.Batch{}, cause: Cause{Source: FromMapping}, instead: &system}
		for _, rec := range recs {
			in := Incoming{System: system.Name, Record: rec, Cause: r.cause}
			old, err := store.RecordByID(ctx, tx, system.Name, rec.Kind, rec.ExternalID)
			if err != nil {
				return err
			}
			if old == nil {
				continue // gone since it was read
			}
			var before domain.Values
			if old.EntityID != "" {
				es, err := store.Entities(ctx, tx, []string{old.EntityID})
				if err != nil {
					return err
				}
				if len(es) > 0 {
					before = maps.Clone(es[0].Golden)
				}
			}
			res, err := r.record(in)
			if err != nil {
				return err
			}
			if err := r.flush(); err != nil {
				return err
			}
			eff.Entities++
			eff.Cases += len(res.Cases)
			if len(res.Changed) == 0 {
				continue
			}
			es, err := store.Entities(ctx, tx, []string{res.EntityID})
			if err != nil {
				return err
			}
			eff.Changed[rec.Kind]++
			for _, f := range res.Changed {
				eff.Golden[f]++
				if len(eff.Examples) < 20 && len(es) > 0 {
					eff.Examples = append(eff.Examples, Example{EntityID: res.EntityID, Name: NameOf(es[0].Golden), Field: f, Old: before[f], New: es[0].Golden[f],
						System: es[0].Provenance[f].System})
				}
			}
		}
		for _, w := range r.wakes {
			eff.Writes[w.System]++
			eff.Written[WrittenTo{w.System, w.Kind}]++
		}
		return errRollback
	})
	if errors.Is(err, errRollback) {
		return nil
	}
	return err
}
