package adaptertest

import (
	"fmt"
	"reflect"
	"slices"

	"datum/adapters"
	"datum/domain"
)

// roundTrip: every writable field comes back as it was written, as far as the vendor can hold it, from the answer to the
// write and from a fetch; so does its emptiness.
func roundTrip(e *env) {
	if !e.need("Writer") {
		return
	}
	ki, _ := e.f.Kind.Info()
	r, w := e.create(0)
	n := 1
	for _, field := range e.m.Writable() {
		fi, _ := ki.Field(field)
		vs, given := e.f.Values[field]
		if !given {
			vs = values(fi)
		}
		if given && len(vs) == 0 {
			continue
		}
		if !slices.ContainsFunc(vs, func(v domain.Value) bool { return !v.Empty() }) {
			e.t.Errorf("%s: there is no value to write", field)
		}
		if !slices.Contains(e.f.Required, field) {
			vs = append(slices.Clone(vs), domain.Null, vs[0])
		}
		for _, v := range vs {
			what := fmt.Sprintf("%s = %s", field, v)
			norm, issues := domain.Normalize(fi, v)
			if norm != v {
				e.t.Errorf("%s: the suite's value is not canonical: %s %v", what, norm, issues)
				continue
			}
			write := e.change(r, w.CanonicalID, domain.Values{field: v})
			if field == ki.StageField {
				write = e.update(r, w.CanonicalID, domain.Values{field: v})
			}
			out := e.write(write)
			if !e.is("write "+what, out.Err) {
				continue
			}
			if write.ExternalID == "" {
				n++
				r, w = out.Record, write
			}
			e.same("answer to "+what, out.Record, domain.Values{field: v})
			before := r
			r = e.fetch(r.ExternalID)
			if before.ExternalID == r.ExternalID {
				e.noDrift("fetch after "+what, out.Record, r, e.m.Sparse)
				e.noDrift("fetch after "+what, before, r, e.m.Sparse)
			}
			e.same("fetch after "+what, r, domain.Values{field: v})
		}
	}
	e.holds("after updates", n)
}

// refusedValues: what the vendor cannot hold is refused, by name, and nothing is changed or cut short.
func refusedValues(e *env) {
	if !e.need("Writer") {
		return
	}
	r, w := e.create(0)
	for field, v := range e.f.Refused {
		out := e.write(e.change(r, w.CanonicalID, domain.Values{field: v}))
		if e.is(fmt.Sprintf("%s = %.60s", field, v), out.Err, domain.Invalid) && domain.AsError(out.Err).Message == "" {
			e.t.Errorf("%s: the refusal says nothing", field)
		}
	}
	for _, field := range e.f.Required {
		out := e.write(e.change(r, w.CanonicalID, domain.Values{field: domain.Null}))
		if fit := e.m.Fit(domain.Values{field: domain.Null})[field]; out.Err == nil && fit.Empty() {
			e.t.Errorf("%s is required, yet it went empty", field)
		}
	}
	after := e.fetch(r.ExternalID)
	for field, v := range r.Values.Diff(after.Values) {
		if fit := e.m.Fit(domain.Values{field: domain.Null})[field]; fit != v {
			e.t.Errorf("a refused write has changed %s from %s to %s", field, r.Values[field], v)
		}
	}
	for _, field := range e.m.Fields() {
		if row := e.m.Row(field); row.Set == nil {
			out := e.write(e.change(r, w.CanonicalID, domain.Values{field: domain.TextValue("x")}))
			e.is("write of read-only "+string(field), out.Err, domain.Unsupported)
		}
	}
}

// ownWrite: the record that a write returns, the one that the changes show and the one that a fetch gives are the same,
// equal to what was written and marked with our id: nothing that looks like somebody's edit.
func ownWrite(e *env) {
	if !e.need("Writer") {
		return
	}
	_, cursor := e.changes("")
	w := e.newWrite(1)
	if e.f.Adopted {
		var r domain.Record
		r, w = e.create(1)
		w = e.update(r, w.CanonicalID, domain.Values{e.f.NameField: e.golden(1)[e.f.NameField]})
	}
	out := e.write(w)
	if out.Err != nil {
		e.t.Fatal(out.Err)
	}
	if out.Created == e.f.Adopted {
		e.t.Error("a creation that is not reported as one")
	}
	r := out.Record
	compare := func(what string, x domain.Record) {
		e.same(what, x, w.Values)
		if !e.f.Adopted && !e.isOf(x, w) {
			e.t.Errorf("%s: canonical id %q, want %q", what, x.CanonicalID, w.CanonicalID)
		}
		for f := range r.Values {
			if a, b := r.Values[f], x.Values[f]; a != b && !(a.Empty() && b.Empty()) {
				e.t.Errorf("%s: %s is %s, the answer to the write said %s", what, f, b, a)
			}
		}
		if x.Version != r.Version {
			e.t.Errorf("%s: version %q, the answer to the write said %q", what, x.Version, r.Version)
		}
	}
	compare("answer to the write", r)
	compare("fetch", e.fetch(r.ExternalID))
	e.eventually("the changes show what was written", func() bool {
		var rs []domain.Record
		rs, cursor = e.changes(cursor)
		for _, x := range rs {
			if x.ExternalID == r.ExternalID {
				compare("changes", x)
				return true
			}
		}
		return false
	})
	e.holds("after one write", 1)
	if e.f.Immutable {
		return
	}
	out = e.write(e.update(r, w.CanonicalID, domain.Values{e.f.NameField: e.golden(2)[e.f.NameField]}))
	if e.is("update", out.Err) && (out.Created || out.Record.ExternalID != r.ExternalID || out.Record.CanonicalID != r.CanonicalID) {
		e.t.Errorf("an update returned created %v, id %s, canonical id %s", out.Created, out.Record.ExternalID, out.Record.CanonicalID)
	}
}

// sameKey: a creation that is repeated makes one record.
func sameKey(e *env) {
	if !e.need("Writer") {
		return
	}
	w := e.newWrite(0)
	a := e.write(w)
	b := e.write(w)
	if e.f.Adopted {
		e.is("creating what people make", a.Err, domain.Unsupported)
		e.holds("after a creation that cannot be", 0)
		return
	}
	e.is("first", a.Err)
	// A vendor without idempotency keys may say that it exists; it must not make another.
	e.is("again", b.Err, "", domain.Conflict)
	if b.Err == nil && a.Record.ExternalID != b.Record.ExternalID {
		e.t.Errorf("two records: %s and %s", a.Record.ExternalID, b.Record.ExternalID)
	}
	e.holds("after the same write twice", 1)
}

// partialWrite: a write touches the fields that it names and nothing else, neither ours nor the vendor's own.
func partialWrite(e *env) {
	if !e.need("Writer") || e.f.Immutable {
		return
	}
	r, w := e.create(0)
	e.person(r.ExternalID, e.f.VendorOnly)
	before, object := e.fetch(r.ExternalID), e.objects()[r.ExternalID]
	name := e.golden(1)[e.f.NameField]
	out := e.write(e.update(before, w.CanonicalID, domain.Values{e.f.NameField: name}))
	if !e.is("write", out.Err) {
		return
	}
	after, objectAfter := e.fetch(r.ExternalID), e.objects()[r.ExternalID]
	for f, v := range before.Values.Diff(after.Values) {
		if f != e.f.NameField && !slices.Contains(e.f.Follows, f) {
			e.t.Errorf("%s went from %s to %s although only %s was written", f, before.Values[f], v, e.f.NameField)
		}
	}
	if after.Values[e.f.NameField] != name {
		e.t.Errorf("%s is %s, want %s", e.f.NameField, after.Values[e.f.NameField], name)
	}
	for key := range e.f.VendorOnly {
		a, b := member(object, key), member(objectAfter, key)
		if a == nil || !reflect.DeepEqual(a, b) {
			e.t.Errorf("the vendor's own %s went from %v to %v", key, a, b)
		}
	}
}

// member finds a property where simulators keep it: in the object or in a member of it ("properties").
func member(o object, key string) any {
	if v, ok := o[key]; ok {
		return v
	}
	for _, m := range o {
		if inner, ok := m.(object); ok && inner[key] != nil {
			return inner[key]
		}
	}
	return nil
}

// unknownOutcome: a creation whose answer is lost is found by our id if it was carried out and not found if it was not;
// repeating it with the same key leaves one record either way.
func unknownOutcome(e *env) {
	if !e.need("Writer") || !e.need("Finder") {
		return
	}
	if e.f.Adopted {
		e.lostUpdate()
		return
	}
	for n, c := range []struct {
		fault object
		done  bool
	}{
		{object{"kind": "reset", "method": e.f.CreateMethod, "count": 1}, true},
		{object{"kind": "reset_before", "method": e.f.CreateMethod, "count": 1}, false},
		{object{"kind": "status", "status": 503, "afterCommit": true, "method": e.f.CreateMethod, "count": 1}, true},
	} {
		what := fmt.Sprint(c.fault["kind"], " ", c.fault["status"])
		w := e.newWrite(n)
		e.fault(c.fault)
		out := e.write(w)
		if e.fired() != 1 {
			e.t.Fatalf("%s: the fault did not meet the write: is Fixture.Path a part of its path, and is it a %s?", what, e.f.CreateMethod)
		}
		e.clear()
		e.is(what, out.Err, domain.Unknown, domain.Unavailable)
		found, err := e.ab.Finder.Find(e.t.Context(), e.f.Kind, []adapters.Query{e.query(w)})
		if !e.is(what+": find", err) || len(found) != 1 {
			e.t.Fatalf("%s: %d answers to one query", what, len(found))
		}
		switch {
		case c.done && (len(found[0]) != 1 || !e.isOf(found[0][0], w)):
			e.t.Errorf("%s: the record is there but the look-up finds %d", what, len(found[0]))
		case !c.done && e.f.Always && (len(found[0]) != 1 || e.isOf(found[0][0], w)):
			e.t.Errorf("%s: nothing was written but the look-up does not show that", what)
		case !c.done && !e.f.Always && len(found[0]) != 0:
			e.t.Errorf("%s: nothing was created but the look-up finds %d", what, len(found[0]))
		}
		again := e.write(w)
		e.is(what+": again", again.Err, "", domain.Conflict)
		e.holds(what+" and the same again", n+1)
	}
}

// lostUpdate: a change whose answer is lost is seen by a fetch, and repeating it with the same key changes nothing more.
func (e *env) lostUpdate() {
	r, w := e.create(0)
	w = e.update(r, w.CanonicalID, domain.Values{e.f.NameField: e.golden(1)[e.f.NameField]})
	e.fault(object{"kind": "reset", "method": e.f.CreateMethod, "count": 1})
	out := e.write(w)
	if e.fired() != 1 {
		e.t.Fatal("the fault did not meet the write: is Fixture.CreateCall a part of its body?")
	}
	e.clear()
	e.is("a change whose answer is lost", out.Err, domain.Unknown, domain.Unavailable)
	e.same("after it", e.fetch(r.ExternalID), w.Values)
	e.is("again", e.write(w).Err)
	e.same("after it was repeated", e.fetch(r.ExternalID), w.Values)
	e.holds("after changes", 1)
}

// oneBadElement: in a batch with one bad element only that one fails, with the vendor's reason.
func oneBadElement(e *env) {
	if !e.need("Writer") || e.f.Adopted { // refused values are tried on what is there
		return
	}
	size := min(e.f.Vendor.Batch, 5)
	n, good := 0, 0
	for field, v := range e.f.Refused {
		var writes []adapters.Write
		for range size {
			writes = append(writes, e.newWrite(n))
			n++
		}
		bad := size / 2
		writes[bad].Values[field] = v
		outs := e.ab.Writer.Write(e.t.Context(), writes)
		if len(outs) != size {
			e.t.Fatalf("%d outcomes for %d writes", len(outs), size)
		}
		for i, out := range outs {
			if i == bad {
				e.is(fmt.Sprintf("the bad element, %s", field), out.Err, domain.Invalid)
				continue
			}
			if e.is(fmt.Sprintf("element %d beside the bad one", i), out.Err) && !e.isOf(out.Record, writes[i]) {
				e.t.Errorf("outcome %d is that of another write", i)
			}
		}
		good += size - 1
		e.holds(fmt.Sprintf("after %d good elements", good), good)
	}
}

// immutable: no field but the stage can be changed, and a refused change changes nothing.
func immutable(e *env) {
	if !e.f.Immutable || !e.need("Writer") {
		return
	}
	ki, _ := e.f.Kind.Info()
	r, w := e.create(0)
	other := e.golden(1)
	for _, field := range e.m.Writable() {
		if v := other[field]; field != ki.StageField && !v.Empty() && v != r.Values[field] {
			out := e.write(e.update(r, w.CanonicalID, domain.Values{field: v}))
			e.is(fmt.Sprintf("a change of %s", field), out.Err, domain.Invalid, domain.Conflict, domain.Unsupported)
		}
	}
	for f, v := range r.Values.Diff(e.fetch(r.ExternalID).Values) {
		e.t.Errorf("a refused change has changed %s from %s to %s", f, r.Values[f], v)
	}
	e.holds("after refused changes", 1)
}

// readOnly: the kind is not written.
func readOnly(e *env) {
	if !e.f.ReadOnly || e.ab.Writer == nil {
		return
	}
	r, _ := e.subject()
	v := domain.Values{e.f.NameField: r.Values[e.f.NameField]}
	for what, w := range map[string]adapters.Write{
		"a creation": {Kind: e.f.Kind, CanonicalID: e.newID(), Values: v, Golden: v, Key: domain.NewID("key")},
		"an update":  e.update(r, e.newID(), v),
	} {
		e.is(what+" of what is only read", e.write(w).Err, domain.Unsupported)
	}
	e.holds("after refused writes", 1)
}
