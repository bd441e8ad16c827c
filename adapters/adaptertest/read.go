package adaptertest

import (
	"fmt"
	"slices"

	"datum/adapters"
	"datum/domain"
)

// crowd makes n objects as people do and returns their external ids with their names.
func (e *env) crowd(n int) map[string]string {
	names := map[string]string{}
	for i := range n {
		name := fmt.Sprintf("Crowd %03d Pty Ltd", i)
		names[e.newcomer(name)] = name
	}
	if len(names) != n {
		e.t.Fatalf("%d objects made %d external ids", n, len(names))
	}
	return names
}

// mingle is what people do while pages are read: one renames somebody, if that can be done, another makes somebody new.
func (e *env) mingle(i int, names map[string]string) {
	ids := slices.Sorted(func(yield func(string) bool) {
		for id := range names {
			if !yield(id) {
				return
			}
		}
	})
	if id := ids[(i*7)%len(ids)]; !e.f.Immutable {
		names[id] = fmt.Sprintf("Renamed %02d Pty Ltd", i)
		e.person(id, e.f.Named(names[id]))
	}
	name := fmt.Sprintf("Newcomer %02d Pty Ltd", i)
	names[e.newcomer(name)] = name
}

// resume: reading page by page, each page by a process that has just started, while pages shift under writes, misses
// nobody and ends with everybody's last state.
func resume(e *env) {
	names := e.crowd(e.f.Crowd)
	seen := map[string]domain.Value{}
	cursor, pages := "", 0
	look := func(rs []domain.Record) {
		for _, r := range rs {
			seen[r.ExternalID] = r.Values[e.f.NameField]
		}
	}
	for ; pages < 100; pages++ {
		e.connect()
		p, err := e.adapter.Changes(e.t.Context(), e.f.Kind, cursor)
		if e.code(err) != "" {
			e.t.Fatal(err)
		}
		look(p.Records)
		cursor = p.Cursor
		if pages < 6 {
			e.mingle(pages, names)
		}
		if !p.More {
			break
		}
	}
	if pages == 0 && !e.f.OnePage {
		e.t.Errorf("%d objects came in one page: make pages smaller or Fixture.Crowd larger", len(names))
	}
	e.eventually("every object is seen in its last state", func() bool {
		var rs []domain.Record
		rs, cursor = e.changes(cursor)
		look(rs)
		for id, name := range names {
			if seen[id] != e.f.NameValue(name) {
				return false
			}
		}
		return true
	})
}

// sweep: a listing that says it is complete has everybody who was there all the time, even while pages shift; with
// nobody about it is complete.
func sweep(e *env) {
	if !e.need("Sweeper") {
		return
	}
	names := e.crowd(e.f.Crowd)
	pass := func(between func(page int)) (seen map[string]bool, complete bool) {
		seen = map[string]bool{}
		cursor := ""
		for page := 0; page < 100; page++ {
			e.connect()
			p, err := e.ab.Sweeper.List(e.t.Context(), e.f.Kind, cursor)
			if e.code(err) != "" {
				e.t.Fatal(err)
			}
			if p.Complete && p.More {
				e.t.Error("a page that is not the last says that the listing is complete")
			}
			for _, r := range p.Records {
				seen[r.ExternalID] = true
			}
			if cursor = p.Cursor; !p.More {
				return seen, p.Complete
			}
			between(page)
		}
		e.t.Fatal("the listing does not come to an end")
		return nil, false
	}
	before := slices.Collect(func(yield func(string) bool) {
		for id := range names {
			if !yield(id) {
				return
			}
		}
	})
	seen, complete := pass(func(page int) {
		if page < 4 {
			e.mingle(page, names)
		}
	})
	for _, id := range before {
		if complete && !seen[id] {
			e.t.Errorf("the listing says it is complete and lacks %s, which was there all the time", id)
		}
	}
	e.eventually("a listing with nobody about is complete and has everybody", func() bool {
		seen, complete := pass(func(int) {})
		for id := range names {
			if !seen[id] {
				return false
			}
		}
		return complete && len(seen) == len(names)+e.f.Base
	})
}

// notFound: an object that never was or is gone is NotFound, or shown as deleted or archived where the vendor keeps it.
func notFound(e *env) {
	id := e.newcomer("Gone Pty Ltd")
	_, err := e.adapter.Fetch(e.t.Context(), e.f.Kind, other(id))
	e.is("an object that never was", err, domain.NotFound)
	if e.f.Lasting {
		return
	}
	e.sim("POST", "/delete", object{"type": e.f.Type, "id": e.f.ObjectID(id)}, nil)
	r, err := e.adapter.Fetch(e.t.Context(), e.f.Kind, id)
	if e.code(err) != domain.NotFound && (err != nil || !isGone(r)) {
		e.t.Errorf("a deleted object: %v, deleted %v, status %s, stage %s", err, r.Deleted, r.Values["status"], r.Values["stage"])
	}
}

// other returns a well-formed id that names nobody while there are few objects.
func other(id string) string {
	b := []byte(id)
	last := &b[len(b)-1]
	switch {
	case *last >= '0' && *last <= '9':
		*last = '0' + (*last-'0'+5)%10
	case *last == 'a':
		*last = 'b'
	default:
		*last = 'a'
	}
	return string(b)
}

// fetchMany: what is there comes, what is gone is missing, and one fetch shows the same.
func fetchMany(e *env) {
	if !e.need("BatchFetcher") {
		return
	}
	names := e.crowd(7)
	var ids []string
	for id := range names {
		ids = append(ids, id)
	}
	gone := ids[0]
	if e.f.Lasting {
		gone = ""
	} else {
		e.sim("POST", "/delete", object{"type": e.f.Type, "id": e.f.ObjectID(gone)}, nil)
	}
	rs, err := e.ab.BatchFetcher.FetchMany(e.t.Context(), e.f.Kind, append(ids, other(ids[1])))
	if !e.is("fetch many", err) {
		return
	}
	got := map[string]bool{}
	for _, r := range rs {
		if got[r.ExternalID] {
			e.t.Errorf("%s came twice", r.ExternalID)
		}
		got[r.ExternalID] = true
		if names[r.ExternalID] == "" {
			e.t.Errorf("nobody asked for %s", r.ExternalID)
		}
		if r.ExternalID == gone {
			if !isGone(r) {
				e.t.Error("a deleted object came as if nothing had happened")
			}
			continue
		}
		if one := e.fetch(r.ExternalID); len(one.Values.Diff(r.Values)) > 0 || one.Version != r.Version || one.CanonicalID != r.CanonicalID {
			e.t.Errorf("%s: fetched alone it differs: %s", r.ExternalID, one.Values.Diff(r.Values))
		}
	}
	for _, id := range ids {
		if id != gone && !got[id] {
			e.t.Errorf("%s is missing", id)
		}
	}
}

// find: by our id first, then by strong keys; one answer per query, in order.
func find(e *env) {
	if !e.need("Writer") || !e.need("Finder") || e.f.Adopted {
		return
	}
	a, wa := e.create(0)
	b, wb := e.create(1)
	absent := adapters.Query{CanonicalID: e.newID(), Values: e.golden(2)}
	if e.f.Always {
		absent.Values = nil
	}
	ask := func(qs ...adapters.Query) [][]string {
		found, err := e.ab.Finder.Find(e.t.Context(), e.f.Kind, qs)
		if e.code(err) != "" || len(found) != len(qs) {
			e.t.Fatalf("%d answers to %d queries: %v", len(found), len(qs), err)
		}
		ids := make([][]string, len(found))
		for i, rs := range found {
			for _, r := range rs {
				ids[i] = append(ids[i], r.ExternalID)
			}
		}
		return ids
	}
	qa := adapters.Query{CanonicalID: wa.CanonicalID, Values: wb.Values}
	if !e.marked() {
		qa = e.query(wa)
	}
	if e.f.Keyless {
		qa.Values = wa.Values
	}
	got := ask(e.query(wb), absent, qa)
	if want := fmt.Sprint([][]string{{b.ExternalID}, nil, {a.ExternalID}}); fmt.Sprint(got) != want {
		e.t.Errorf("by our id: %v, want %v", got, want)
	}
	e.eventually("a record is found by its strong keys", func() bool {
		if e.f.Keyless {
			return true
		}
		got := ask(absent, adapters.Query{CanonicalID: e.newID(), Values: wa.Values})
		return len(got[0]) == 0 && len(got[1]) == 1 && got[1][0] == a.ExternalID
	})
	if got := ask(); len(got) != 0 {
		e.t.Errorf("no query has %d answers", len(got))
	}
}

// merged: after a merge the loser's id leads to the survivor.
func merged(e *env) {
	if !e.f.Merges {
		return
	}
	winner, loser := e.newcomer("Winner Pty Ltd"), e.newcomer("Loser Pty Ltd")
	var o object
	e.sim("POST", "/merge", object{"type": e.f.Type, "winner": e.f.ObjectID(winner), "loser": e.f.ObjectID(loser)}, &o)
	survivor := e.f.ExternalID(o)
	for _, id := range []string{winner, loser} {
		if id == survivor {
			continue
		}
		r := e.fetch(id)
		if r.MergedInto != survivor && (r.ExternalID != survivor || !slices.Contains(r.Aliases, id)) {
			e.t.Errorf("%s was merged into %s; fetched it is %s with aliases %q, merged into %q", id, survivor, r.ExternalID, r.Aliases, r.MergedInto)
		}
	}
	if r := e.fetch(survivor); r.MergedInto != "" || r.Deleted {
		e.t.Error("the survivor looks merged or deleted")
	}
}

// oneShape: an object that has not changed shows the same members however it is read, else one way of reading would look like
// drift to the other.
func oneShape(e *env) {
	id := ""
	if e.f.ReadOnly || e.ab.Writer == nil {
		id = e.newcomer("Shape Pty Ltd")
	} else {
		r, _ := e.create(0)
		id = r.ExternalID
	}
	ways := map[string]domain.Record{"fetched": e.fetch(id)}
	note := func(way string, rs []domain.Record) {
		for _, r := range rs {
			if r.ExternalID == id {
				ways[way] = r
			}
		}
	}
	cursor := ""
	e.eventually("the changes show the object", func() bool {
		var rs []domain.Record
		rs, cursor = e.changes(cursor)
		note("from the changes", rs)
		_, ok := ways["from the changes"]
		return ok
	})
	if e.ab.BatchFetcher != nil {
		rs, err := e.ab.BatchFetcher.FetchMany(e.t.Context(), e.f.Kind, []string{id})
		e.is("fetch many", err)
		note("fetched with others", rs)
	}
	if e.ab.Sweeper != nil {
		for cursor, more := "", true; more; {
			p, err := e.ab.Sweeper.List(e.t.Context(), e.f.Kind, cursor)
			if !e.is("list", err) {
				return
			}
			note("listed", p.Records)
			cursor, more = p.Cursor, p.More
		}
	}
	if e.ab.Finder != nil {
		found, err := e.ab.Finder.Find(e.t.Context(), e.f.Kind, []adapters.Query{{CanonicalID: ways["fetched"].CanonicalID, Values: ways["fetched"].Values}})
		if e.is("find", err) && len(found) == 1 {
			note("found", found[0])
		}
	}
	for a, old := range ways {
		for b, now := range ways {
			e.noDrift(a+", then "+b, old, now, false)
		}
	}
}

// noDrift fails the test if the later object looks as if the vendor had changed its form; cleared says that a member that is left
// out may have been cleared.
func (e *env) noDrift(what string, old, now domain.Record, cleared bool) {
	e.t.Helper()
	for _, is := range e.m.Drift(e.m.Stored(old.Raw), e.m.Stored(now.Raw), nil) {
		if !cleared || is.Code != domain.FieldLeftOut {
			e.t.Errorf("%s: %s of %s looks like drift: %s", what, is.Path, is.Field, is.Message)
		}
	}
}

// drift: a vendor that renames a member, or leaves it out, says nothing about the field: whatever the record then lacks is told to be
// missing, so that nobody takes it for cleared. A member that is there and empty is cleared. A new member is shown as unknown, and
// changes nothing else.
func drift(e *env) {
	name := "Drift Pty Ltd"
	if e.f.NameValue(name).Empty() {
		e.t.Fatalf("NameValue(%q) is empty", name)
	}
	id := e.newcomer(name)
	before := e.fetch(id)
	made := e.f.Always // the adapter makes the object of the vendor's rows: new members stay in them
	var members []string
	for _, p := range adapters.Seen(e.m.Stored(before.Raw), e.m.Row(e.f.NameField).Paths) {
		steps, _ := adapters.ParsePath(p)
		members = append(members, steps[len(steps)-1].Name)
	}
	if len(members) == 0 {
		e.t.Fatalf("no path of %s is in the object: %s", e.f.NameField, before.Raw)
	}
	// told returns the fields that are told to be missing, after checking that no other was lost.
	told := func(what string, now domain.Record) map[domain.Field]bool {
		e.t.Helper()
		fields := map[domain.Field]bool{}
		for _, is := range e.m.Drift(e.m.Stored(before.Raw), e.m.Stored(now.Raw), nil) {
			fields[is.Field] = fields[is.Field] || is.Code == domain.FieldMissing || is.Code == domain.FieldLeftOut
		}
		for f, v := range before.Values {
			if !v.Empty() && now.Values[f].Empty() && !fields[f] {
				e.t.Errorf("%s: %s was %s and is nothing, and no drift says so", what, f, v)
			}
		}
		return fields
	}
	for what, f := range map[string]object{"renamed": {"kind": "rename_field"}, "left out": {"kind": "drop_field"}} {
		for _, m := range members {
			f["field"], f["to"] = m, "renamed_"+m
			e.fault(f)
		}
		now, err := e.adapter.Fetch(e.t.Context(), e.f.Kind, id)
		if code := e.code(err); code == domain.NotFound || now.Deleted {
			e.t.Errorf("%s: the object counts as gone: %v", what, err)
		} else if err == nil && !told(what, now)[e.f.NameField] {
			e.t.Errorf("%s: %s is not told to be missing", what, e.f.NameField)
		} else if err == nil && what == "renamed" && !made && !slices.ContainsFunc(members, func(m string) bool { return slices.Contains(now.Unknown, "renamed_"+m) }) {
			e.t.Errorf("the new name is not among the unknown members %q", now.Unknown)
		}
		e.clear()
	}
	e.fault(object{"kind": "add_field", "field": "brand_new", "beside": members[0], "value": "x"})
	now := e.fetch(id)
	if d := before.Values.Diff(now.Values); len(d) > 0 || !made && !slices.Contains(now.Unknown, "brand_new") {
		e.t.Errorf("a new member changes %s; unknown are %q", d, now.Unknown)
	}
	e.clear()
	e.fault(object{"kind": "retype_field", "field": members[0], "to": "null"})
	if now, err := e.adapter.Fetch(e.t.Context(), e.f.Kind, id); e.code(err) == "" {
		for _, is := range e.m.Drift(e.m.Stored(before.Raw), e.m.Stored(now.Raw), nil) {
			if is.Code == domain.FieldMissing || is.Code == domain.FieldLeftOut {
				e.t.Errorf("%s is there and empty, and %s is told to be missing", members[0], is.Field)
			}
		}
	}
}
