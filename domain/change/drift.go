package change

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"datum/domain"
	"datum/domain/ownership"
	"datum/domain/store"
)

// Drift is what becomes of a vendor's objects that are not as they were: a member that nobody knows, one that is gone, text
// that became an object, a value that is on no list. A record's value that can no longer be read stays the last one that could
// be, marked by an issue; nothing is concluded from silence. One case tells a person, whatever the number of records.

// reshape compares the incoming object with the stored one and keeps the values of fields that can no longer be read.
func (r *run) reshape(in *Incoming, old *store.Record) error {
	rec := &in.Record
	if rec.Deleted && rec.Values == nil {
		return nil
	}
	sys, live, err := r.known(in.System)
	if err != nil {
		return err
	}
	live = slices.DeleteFunc(slices.Clone(live), func(d store.Drift) bool { return d.Kind != rec.Kind })
	if err := r.witness(in, sys, live); err != nil {
		return err
	}
	var before []domain.Issue
	var raw json.RawMessage
	values := domain.Values{}
	if old != nil {
		before, raw, values = old.Issues, old.Raw, old.Values
	} else {
		for _, d := range live { // what is gone from all others is not empty here
			if d.Sort == store.DriftMissing && d.Status == store.DriftOpen {
				before = append(before, domain.Issue{Field: d.Field, Path: d.Path, Code: domain.FieldMissing, Was: d.Was, Severity: domain.Warning,
					Message: d.Path + " is not in the vendor's answer any more"})
			}
		}
	}
	found := r.carrier.Drift(sys, rec.Kind, raw, rec.Raw, before)
	for i, is := range rec.Issues {
		if is.Code == domain.UnknownValue && isList(rec.Kind, is.Field) {
			is.Path, is.Severity = string(is.Field)+"="+is.Value, domain.Warning
			rec.Issues[i] = is
			keep(rec, values, is.Field)
		}
	}
	if len(found) == 0 {
		return nil
	}
	decided, err := store.Drifts(r.ctx, r.tx, store.DriftFilter{System: in.System, Kind: rec.Kind}, [4]string{}, 10_000)
	if err != nil {
		return err
	}
	for _, is := range found {
		if v, ours := in.Wrote[is.Field]; is.Code == domain.FieldLeftOut || is.Code == domain.FieldMissing {
			if ours && v.Empty() {
				continue // we have cleared it
			}
			if in.Source == FromProjection && !ours && !slices.ContainsFunc(before, func(b domain.Issue) bool { return b.Path == is.Path }) {
				keep(rec, values, is.Field)
				continue // the answer to a write need not show what was not written, and is laid over an object that may be older
			}
		}
		sort := sortOf(is)
		i := slices.IndexFunc(decided, func(d store.Drift) bool { return d.Sort == sort && d.Path == is.Path })
		if is.Since.IsZero() {
			is.Since = rec.FetchedAt
		}
		if i >= 0 && (decided[i].Status == store.DriftAccepted || is.Code == domain.FieldLeftOut && decided[i].RefutedAt.After(is.Since)) {
			continue // a person has said so, or others still have it: it is empty here
		}
		unreadable := is.Code != domain.FormChanged || rec.Values[is.Field].Empty() || composite(is.Was) || composite(formOf(is.Value))
		rec.Issues = slices.DeleteFunc(slices.Clone(rec.Issues), func(x domain.Issue) bool { return unreadable && x.Field == is.Field })
		rec.Issues = append(rec.Issues, is)
		if unreadable {
			keep(rec, values, is.Field)
		}
	}
	return nil
}

// keep makes the record say of the field what it said last.
func keep(rec *domain.Record, last domain.Values, f domain.Field) {
	if rec.Values == nil {
		rec.Values = domain.Values{}
	}
	delete(rec.Values, f)
	if v, ok := last[f]; ok {
		rec.Values[f] = v
	}
}

func isList(k domain.Kind, f domain.Field) bool {
	ki, _ := k.Info()
	fi, ok := ki.Field(f)
	return ok && fi.Type == domain.TypeEnum
}

func composite(form string) bool { return form == "object" || form == "list" }

func formOf(example string) string {
	switch {
	case strings.HasPrefix(example, "{"):
		return "object"
	case strings.HasPrefix(example, "["):
		return "list"
	}
	return ""
}

// sortOf is the sort of drift that an issue shows, "" if it is none.
func sortOf(is domain.Issue) string {
	switch {
	case is.Path == "":
		return ""
	case is.Code == domain.FieldMissing, is.Code == domain.FieldLeftOut:
		return store.DriftMissing
	case is.Code == domain.FormChanged:
		return store.DriftType
	case is.Code == domain.UnknownValue:
		return store.DriftEnum
	}
	return ""
}

// witness notes that the record shows a member which others have lost: they were cleared, and it is not gone.
func (r *run) witness(in *Incoming, sys ownership.System, live []store.Drift) error {
	var paths []string
	for _, d := range live {
		if d.Sort == store.DriftMissing && (d.Status == store.DriftSuspected || d.Status == store.DriftOpen) && in.Record.FetchedAt.After(d.FetchedAt) {
			paths = append(paths, d.Path)
		}
	}
	if len(paths) == 0 {
		return nil
	}
	for _, path := range r.carrier.Shows(sys, in.Record.Kind, in.Record.Raw, paths) {
		d, err := store.LockDrift(r.ctx, r.tx, in.System, in.Record.Kind, store.DriftMissing, path)
		if err != nil {
			return err
		}
		if d == nil || d.Status != store.DriftSuspected && d.Status != store.DriftOpen || !in.Record.FetchedAt.After(d.FetchedAt) {
			continue
		}
		d.RefutedAt = in.Record.FetchedAt
		if d.Status == store.DriftSuspected {
			if err := r.driftEnds(d, "others still have it"); err != nil {
				return err
			}
		} else if err := store.SetDrift(r.ctx, r.tx, *d); err != nil {
			return err
		}
		if err := r.lookAgain(*d); err != nil {
			return err
		}
	}
	return nil
}

// lookAgain has every record looked at again that shows the drift.
func (r *run) lookAgain(d store.Drift) error {
	n, err := store.SignalDrifted(r.ctx, r.tx, d, r.cause.CorrelationID)
	if err != nil || n == 0 {
		return err
	}
	return r.queue.Ingest(r.ctx, r.tx, d.System)
}

// drift notes what the record shows that it did not show before, opens cases, and ends the drifts that no record shows any
// more.
func (r *run) drift(old, cur *store.Record) error {
	was, is := shown(old), shown(cur)
	if cur.Deleted {
		is = nil
	}
	keys := slices.Collect(maps.Keys(is))
	keys = append(keys, slices.Collect(maps.Keys(was))...)
	slices.Sort(keys) // rows of drifts are locked in this order
	for _, key := range slices.Compact(keys) {
		before, had := was[key]
		now, has := is[key]
		var err error
		switch {
		case has && !had:
			err = r.drifts(cur, now)
		case has && now.Sort != store.DriftUnknown:
			err = store.TouchDrift(r.ctx, r.tx, cur.System, cur.Kind, now.Sort, now.Path)
		case had && !has:
			err = r.driftedBack(before, cur.ExternalID)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// shown are the drifts that a record shows.
func shown(rec *store.Record) map[string]store.Drift {
	all := map[string]store.Drift{}
	if rec == nil || rec.Deleted {
		return all
	}
	put := func(d store.Drift) {
		d.System, d.Kind, d.Status = rec.System, rec.Kind, store.DriftOpen
		d.FetchedAt = rec.FetchedAt
		all[d.Sort+" "+d.Path] = d
	}
	for _, path := range rec.Unknown {
		put(store.Drift{Sort: store.DriftUnknown, Path: path})
	}
	for _, is := range rec.Issues {
		sort := sortOf(is)
		if sort == "" {
			continue
		}
		d := store.Drift{Sort: sort, Path: is.Path, Field: is.Field, Was: is.Was, Became: formOf(is.Value), Parks: sort != store.DriftEnum,
			Examples: []store.DriftExample{{ExternalID: rec.ExternalID, Value: is.Value}}}
		if sort == store.DriftMissing {
			d.Examples[0].Value = clip(rec.Values[is.Field])
		}
		put(d)
		if is.Code == domain.FieldLeftOut {
			x := all[sort+" "+is.Path]
			x.Status = store.DriftSuspected
			all[sort+" "+is.Path] = x
		}
	}
	return all
}

// drifts notes a drift that the record shows, with a case unless there is one or a person has decided.
func (r *run) drifts(rec *store.Record, d store.Drift) error {
	if d.Sort == store.DriftUnknown {
		d.Examples = []store.DriftExample{{ExternalID: rec.ExternalID, Value: example(rec.Raw, d.Path)}}
	}
	d, err := store.NoteDrift(r.ctx, r.tx, d)
	if err != nil || d.Status != store.DriftOpen || d.CaseID != "" {
		return err
	}
	return r.driftCase(d, rec.ExternalID)
}

// example is what a raw object says at a path, clipped.
func example(raw json.RawMessage, path string) string {
	var o map[string]json.RawMessage
	if json.Unmarshal(raw, &o) != nil {
		return ""
	}
	if v, ok := o[path]; ok {
		return clip(domain.Value(v))
	}
	for _, v := range o { // objects that keep their fields apart
		var in map[string]json.RawMessage
		if json.Unmarshal(v, &in) == nil && in[path] != nil {
			return clip(domain.Value(in[path]))
		}
	}
	return ""
}

func (r *run) driftCase(d store.Drift, externalID string) error {
	c := DriftCase(d, externalID, r.cause.CorrelationID)
	d.CaseID = c.ID
	if err := store.SetDrift(r.ctx, r.tx, d); err != nil {
		return err
	}
	store.QueueCase(r.batch, c)
	store.QueueEvent(r.batch, store.TopicCase, "", d.System, c.ID, r.cause.CorrelationID)
	if err := r.flush(); err != nil {
		return err
	}
	if c, err := store.CaseByID(r.ctx, r.tx, c.ID, false); err != nil || c.RuleID == "" {
		return err
	}
	d.Status = store.DriftIgnored // as a rule says
	r.forget()
	return store.SetDrift(r.ctx, r.tx, d)
}

// DriftCase is the case of a drift.
func DriftCase(d store.Drift, externalID, correlationID string) store.Case {
	c := store.Case{ID: domain.NewID("case"), Kind: store.CaseDrift, EntityKind: d.Kind, System: d.System, ExternalID: externalID, Field: domain.Field(or(string(d.Field), d.Path)),
		DedupeKey: "drift|" + d.System + "|" + string(d.Kind) + "|" + d.Path, CorrelationID: correlationID}
	if d.Sort != store.DriftUnknown {
		c.DedupeKey += "|" + d.Sort
	}
	say := func(title, message, next string) {
		c.Title, c.Detail.Message, c.Detail.Next = title, message, next
	}
	what := fmt.Sprintf("the %s of %s", d.Kind, d.System)
	file := fmt.Sprintf("`datum mapping apply %s FILE`", d.System)
	if len(d.Examples) > 0 {
		c.Detail.Theirs = domain.TextValue(d.Examples[0].Value)
	}
	switch d.Sort {
	case store.DriftUnknown:
		say(fmt.Sprintf("%s has something new: %s", d.System, d.Path),
			fmt.Sprintf("%s carries %s, which the mapping does not know; it is kept with the record %s and goes nowhere else", what, d.Path, externalID),
			"ignore it, or have it mapped as a custom field with "+file+"; `datum mapping` prints what is known")
	case store.DriftMissing:
		say(fmt.Sprintf("%s no longer shows %s", d.System, d.Path),
			fmt.Sprintf("%s used to carry %s, which is %s here. It is not there any more, not even empty. The last known values stay in force, and nothing that says %s is written to %s meanwhile.",
				what, d.Path, d.Field, d.Field, d.System),
			fmt.Sprintf("if the vendor has renamed it, say its new name with %s; accept if it is gone for good: it then counts as empty; ignore to keep the last known values and write again; closes by itself when it is back", file))
	case store.DriftType:
		say(fmt.Sprintf("%s shows %s in another form", d.System, d.Path),
			fmt.Sprintf("%s used to carry %s as %s and now does as %s. What cannot be read leaves the last known value of %s in force, and nothing that says %s is written to %s meanwhile.",
				what, d.Path, d.Was, or(d.Became, "something else"), d.Field, d.Field, d.System),
			fmt.Sprintf("if it is to be read from elsewhere, say where with %s; accept to take what can be read from now on; ignore to keep the last known values and write again; closes by itself when it is as before", file))
	case store.DriftEnum:
		f, v, _ := strings.Cut(d.Path, "=")
		say(fmt.Sprintf("%s uses a new value for %s: %s", d.System, f, v),
			fmt.Sprintf("%s says %q, which is none of the values that %s can have; records that say so keep the last known one", what, v, f),
			fmt.Sprintf("say what it means under `values` with %s, or correct it in %s; ignore to leave it", file, d.System))
	case store.DriftVersion:
		say(fmt.Sprintf("%s answers with another version of its API", d.System),
			fmt.Sprintf("%s was asked for version %s and answers with %s: the one asked for has expired, and what it answers may differ", d.System, d.Was, d.Became),
			"have Datum brought up to date; ignore if everything is as it should be; closes by itself when the version is the one asked for")
	case store.DriftDeprecated:
		say(fmt.Sprintf("%s says that %s is deprecated", d.System, d.Path), fmt.Sprintf("%s still works and will end. %s", d.Path, d.Became), "have Datum brought up to date before then; ignore to be left in peace")
	case store.DriftSunset:
		say(fmt.Sprintf("%s ends %s on %s", d.System, d.Path, d.Became), fmt.Sprintf("%s will stop working at %s by the vendor's word", d.Path, d.Became),
			"have Datum brought up to date before then; ignore to be left in peace")
	}
	return c
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// driftedBack ends a drift if the record was the last that showed it.
func (r *run) driftedBack(d store.Drift, externalID string) error {
	cur, err := store.LockDrift(r.ctx, r.tx, d.System, d.Kind, d.Sort, d.Path)
	if err != nil || cur == nil || cur.Status == store.DriftGone {
		return err
	}
	// A question of its own after the lock: it sees what those have committed who had the lock before.
	var still bool
	if d.Sort == store.DriftUnknown {
		still, err = store.StillUnknown(r.ctx, r.tx, d.System, d.Kind, d.Path, externalID)
	} else {
		still, err = store.StillDrifting(r.ctx, r.tx, *cur, externalID)
	}
	if err != nil || still || cur.Status == store.DriftIgnored && d.Sort == store.DriftUnknown {
		return err
	}
	return r.driftEnds(cur, "no longer so")
}

func (r *run) driftEnds(d *store.Drift, why string) error {
	if d.CaseID != "" {
		store.QueueCaseEnd(r.batch, d.CaseID, "closed", why, "")
		store.QueueEvent(r.batch, store.TopicCase, "", d.System, d.CaseID, r.cause.CorrelationID)
	}
	d.Status = store.DriftGone
	r.forget()
	return store.SetDrift(r.ctx, r.tx, *d)
}

// decideDrift carries a person's decision about a drift out.
func (r *run) decideDrift(c store.Case, d Decision) error {
	x, err := store.DriftOfCase(r.ctx, r.tx, c.ID)
	if err != nil || x == nil {
		return err
	}
	x.Status = store.DriftIgnored
	if d.Choice == ChoiceAccept {
		x.Status = store.DriftAccepted
	}
	r.forget()
	if err := store.SetDrift(r.ctx, r.tx, *x); err != nil || x.Status != store.DriftAccepted {
		return err
	}
	return r.lookAgain(*x)
}

// ConfirmDrift opens a case for a member that may have been cleared or may be gone, when there is nobody else to tell by.
func (a *Applier) ConfirmDrift(ctx context.Context, d store.Drift, cause Cause) error {
	return a.transact(ctx, cause, func(r *run) error {
		cur, err := store.LockDrift(ctx, r.tx, d.System, d.Kind, d.Sort, d.Path)
		if err != nil || cur == nil || cur.Status != store.DriftSuspected {
			return err
		}
		cur.Status = store.DriftOpen
		id := ""
		if len(cur.Examples) > 0 {
			id = cur.Examples[0].ExternalID
		}
		r.forget()
		return r.driftCase(*cur, id)
	})
}

// Notices notes what a vendor's answers say about the future of an endpoint, each with a case, and ends the sorts that they say
// no more.
func (a *Applier) Notices(ctx context.Context, system, path string, tell []store.Drift, over []string, cause Cause) error {
	return a.transact(ctx, cause, func(r *run) error {
		for _, d := range tell {
			if err := r.drifts(&store.Record{System: system}, d); err != nil {
				return err
			}
		}
		for _, sort := range over {
			d, err := store.LockDrift(r.ctx, r.tx, system, "", sort, path)
			if err != nil {
				return err
			}
			if d != nil && d.Status == store.DriftOpen {
				if err := r.driftEnds(d, "the vendor does not say so any more"); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
