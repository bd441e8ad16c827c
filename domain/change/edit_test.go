package change_test

import (
	"reflect"
	"sync"
	"testing"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

func (w *world) request(e change.Edit) change.Result {
	w.tb.Helper()
	e.Kind, e.Cause = customer, w.cause(e.System, change.FromMutation)
	res, err := w.a.Edit(ctx, e)
	w.ok(err)
	return res
}

func TestExpectedVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.edit(ops, "", values("legalName", "Ute Pty Ltd")).EntityID
	custom := func(n string) domain.Values {
		return domain.Values{"customFields": domain.ValueOf(map[string]string{"n": n})}
	}
	res := w.request(change.Edit{System: ops, EntityID: id, Fields: custom("1"), ExpectedVersion: 1})
	if len(res.Refused) > 0 || res.Version != 2 {
		t.Fatalf("%+v", res)
	}
	w.quietly("an edit of an old version", func() {
		res = w.request(change.Edit{System: ops, EntityID: id, Fields: custom("2"), ExpectedVersion: 1})
	})
	if len(res.Refused) != 1 || res.Refused[0].Code != domain.Stale {
		t.Errorf("%+v", res)
	}
	w.isGolden(id, "customFields", custom("1")["customFields"])
}

// An edit is whole or not at all, and the history says what was tried.
func TestWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Vat Pty Ltd", "phone", "+61390000001"))
	before := w.entity(id)
	res := w.edit(ops, id, with(values("phone", "+61390000002", "email", "a@vat.example.com"), domain.Values{"customFields": `{"n":"1"}`}))
	if len(res.Refused) != 1 || res.Refused[0].Field != "phone" || res.Refused[0].Code != domain.NotOwner || res.Refused[0].Owner != crm {
		t.Fatalf("%+v", res)
	}
	if e := w.entity(id); !reflect.DeepEqual(e.Golden, before.Golden) || e.Version != before.Version {
		t.Error("something was done")
	}
	w.none("")
	w.isRow(id, store.ActionRefused, "phone", 1)
	res = w.edit(crm, id, values("phone", "+61390000002", "legalName", "Vats", "paymentTerms", "whenever"))
	if len(res.Refused) != 1 || res.Refused[0].Code != domain.Invalid || res.Refused[0].Field != "paymentTerms" {
		t.Fatalf("%+v", res)
	}
	if p := w.pins(id); len(p) > 0 {
		t.Errorf("pins: %v", p)
	}
	w.none("")
	if _, err := w.a.Edit(ctx, change.Edit{System: ops, Kind: customer, EntityID: "cus_0", Fields: values("notes", "x"), Cause: w.cause(ops, change.FromMutation)}); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("an edit of nobody: %v", err)
	}
}

func TestCreateRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, policyHead+"  create: [crm, ops]\n")
	id := w.edit(ops, "", values("legalName", "Wok Pty Ltd", "abn", abn(1))).EntityID
	for name, c := range map[string]struct {
		system string
		fields domain.Values
		code   domain.Code
	}{
		"the same ABN":              {ops, values("legalName", "Wok Two Pty Ltd", "abn", abn(1)), domain.Conflict},
		"a system that may not":     {accounting, values("legalName", "Xat Pty Ltd"), domain.Forbidden},
		"a system that there isn't": {"shop", values("legalName", "Xat Pty Ltd"), domain.Forbidden},
		"no name":                   {ops, values("email", "a@xat.example.com"), domain.Invalid},
		"an ABN that is none":       {ops, values("legalName", "Xat Pty Ltd", "abn", "123"), domain.Invalid},
		"a field that there isn't":  {ops, values("legalName", "Xat Pty Ltd", "shoeSize", "44"), domain.Invalid},
	} {
		w.quietly(name, func() {
			res := w.edit(c.system, "", c.fields)
			if len(res.Refused) != 1 || res.Refused[0].Code != c.code || res.Refused[0].Message == "" {
				t.Errorf("%s: %+v", name, res.Refused)
			}
			if c.code == domain.Conflict && res.EntityID != id {
				t.Errorf("%s: it is %s, not %s", name, res.EntityID, id)
			}
		})
	}
}

// A request that is repeated with its idempotency key is answered as the first time, and done once, even at once.
func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	create := change.Edit{System: ops, Fields: values("legalName", "Yak Pty Ltd", "phone", "03 9000 0001"), IdempotencyKey: "k1", Principal: "app"}
	var mu sync.Mutex
	var all []change.Result
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			e := create
			e.Kind, e.Cause = customer, w.cause(ops, change.FromMutation)
			res, err := w.process().Edit(ctx, e)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, res)
		})
	}
	wg.Wait()
	for _, res := range all {
		if !reflect.DeepEqual(res, all[0]) && (res.EntityID != all[0].EntityID || res.Version != all[0].Version || !res.Created || len(res.Refused) > 0) {
			t.Errorf("%+v is not %+v", res, all[0])
		}
	}
	if n := len(w.entities()); n != 1 {
		t.Fatalf("%d entities", n)
	}
	w.quietly("a repeat", func() { w.request(create) })
	w.quietly("another request with the same key", func() {
		other := create
		other.Fields = values("legalName", "Zoo Pty Ltd")
		if res := w.request(other); len(res.Refused) != 1 || res.Refused[0].Code != domain.Conflict {
			t.Errorf("%+v", res)
		}
	})
	other := create
	other.Principal, other.Fields = "another app", values("legalName", "Zoo Pty Ltd")
	if res := w.request(other); !res.Created {
		t.Errorf("another principal's key: %+v", res)
	}

	// A refusal is not remembered: the same request may be possible later.
	id := w.pair(2, values("legalName", "Zip Pty Ltd", "email", "a@zip.example.com"))
	refused := change.Edit{System: ops, EntityID: id, Fields: values("phone", "+61390000002"), IdempotencyKey: "k2", Principal: "app"}
	if res := w.request(refused); len(res.Refused) != 1 {
		t.Fatalf("%+v", res)
	}
	if res := w.request(refused); len(res.Refused) != 1 || res.Refused[0].Code != domain.NotOwner {
		t.Errorf("%+v", res)
	}
	// Proposals are answered with their case again.
	proposal := change.Edit{System: ops, EntityID: id, Fields: values("email", "b@zip.example.com"), IdempotencyKey: "k3", Principal: "app"}
	first := w.request(proposal)
	if again := w.request(proposal); len(first.Proposed) != 1 || !reflect.DeepEqual(again.Proposed, first.Proposed) {
		t.Errorf("%+v is not %+v", again.Proposed, first.Proposed)
	}
}

// A local variation of Datum's own system can be changed and given up again.
func TestNativeVariation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, policyHead+"  create: [crm, ops]\n  replicate: {crm: always}\n  fields:\n    notes: {owner: crm, fallback: [ops], others: keep}\n")
	id := w.see(crm, "h1", values("legalName", "Ape Pty Ltd", "notes", "theirs")).EntityID
	w.edit(ops, id, values("notes", "ours"))
	w.isGolden(id, "notes", text("theirs"))
	if v := w.stored(ops, id).Values["notes"]; v != text("ours") {
		t.Errorf("ops keeps %s", v)
	}
	w.isRow(id, store.ActionKept, "notes", 1)
	w.edit(ops, id, values("notes", "theirs"))
	w.change(crm, "h1", values("notes", ""))
	w.isGolden(id, "notes", domain.Null)
}
