package change_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// A member that the mapping does not know is one case for all records, and none any more once a person ignores it.
func TestUnknownMembersAreOneCase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	see := func(id string, n int, unknown ...string) {
		rec := w.record(id, n, w.shelf.carried(crm, values("legalName", "Company "+id)))
		rec.Unknown = unknown
		w.apply(crm, rec, change.FromPoll)
	}
	see("h1", 1)
	if cs := w.open(store.CaseDrift); len(cs) != 0 {
		t.Fatalf("cases without anything unknown: %+v", cs)
	}
	see("h1", 2, "colour")
	see("h2", 3, "colour")
	c := w.one(store.CaseDrift)
	if c.System != crm || c.ExternalID != "h1" {
		t.Errorf("the case is about %s %s", c.System, c.ExternalID)
	}
	if _, err := w.a.Decide(ctx, change.Decision{CaseID: c.ID, Choice: change.ChoiceIgnore, Cause: change.Cause{Actor: "Jo", CorrelationID: domain.NewID("cor")}}); err != nil {
		t.Fatal(err)
	}
	see("h3", 4, "colour")
	if cs := w.open(store.CaseDrift); len(cs) != 0 {
		t.Errorf("an ignored member is asked about again: %+v", cs)
	}
	see("h3", 5, "colour", "shape")
	if c := w.one(store.CaseDrift); c.ExternalID != "h3" {
		t.Errorf("the second case is about %s", c.ExternalID)
	}
}

// A member that is not there at all says nothing: golden is what it said last, whatever comes when. One that is there and empty
// says that it is empty. When it is back everywhere the drift is over, and so is its case.
func TestAbsentIsNotEmpty(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	fields := []domain.Field{"phone", "website", "tradingName"}
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		w.begin(t, ownership.DefaultSource())
		n++
		id := fmt.Sprintf("r%d", n)
		says := domain.Values{}
		gone := map[domain.Field]bool{}
		see := func() string {
			raw := map[string]any{"id": id}
			v := values("legalName", "Company "+id)
			for _, f := range fields {
				v[f] = domain.Null // what a mapping makes of a member that is not there
				if !gone[f] {
					raw[string(f)] = says[f]
					if !says[f].Empty() {
						v[f] = says[f]
					}
				}
			}
			w.clock++
			rec := w.record(id, w.clock, w.shelf.carried(crm, v))
			rec.Raw, _ = json.Marshal(raw)
			return w.apply(crm, rec, change.FromPoll).EntityID
		}
		entity := see()
		last := domain.Values{}
		for range rapid.IntRange(2, 6).Draw(t, "looks") {
			for _, f := range fields {
				switch rapid.SampledFrom([]string{"say", "clear", "drop", "back", "same"}).Draw(t, string(f)) {
				case "say":
					says[f] = domain.TextValue(map[domain.Field]string{"phone": "+6129999%04d", "website": "https://w%d.example", "tradingName": "Shop %d"}[f])
					says[f] = domain.Value(strings.ReplaceAll(strings.ReplaceAll(string(says[f]), "%04d", fmt.Sprintf("%04d", w.clock%10000)), "%d", fmt.Sprint(w.clock)))
				case "clear":
					says[f] = domain.Null
				case "drop":
					gone[f] = true
				case "back":
					delete(gone, f)
				}
				if !gone[f] {
					last[f] = says[f]
				}
			}
			see()
			for _, f := range fields {
				if got := w.golden(entity, f); !same(got, last[f]) {
					t.Fatalf("golden %s is %s and the vendor said %s last (gone: %v)", f, got, last[f], gone[f])
				}
			}
		}
		gone = map[domain.Field]bool{}
		see()
		w.none(store.CaseDrift)
	})
}

// While a field is gone from a vendor nothing that says it goes there, and a person's word ends that.
func TestMissingFieldParks(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	see := func(id string, n int, raw string, v domain.Values) string {
		rec := w.record(id, n, w.shelf.carried(crm, v))
		rec.Raw = []byte(raw)
		return w.apply(crm, rec, change.FromPoll).EntityID
	}
	v := values("legalName", "Hartley", "phone", "+61299990001")
	e := see("h1", 1, `{"phone": "+61299990001"}`, v)
	delete(v, "phone")
	v["phone"] = domain.Null
	see("h1", 2, `{}`, v)
	c := w.one(store.CaseDrift)
	if c.Field != "phone" || len(change.Offered(c)) != 2 {
		t.Fatalf("%+v", c)
	}
	w.isGolden(e, "phone", `"+61299990001"`)
	w.edit(crm, e, values("phone", "+61299990002"))
	if p := w.projection(e, crm); p.Status != store.Parked || p.ErrorCode != domain.Drift {
		t.Fatalf("the projection is %s %s", p.Status, p.ErrorCode)
	}
	if _, err := w.a.Decide(ctx, change.Decision{CaseID: c.ID, Choice: change.ChoiceAccept, Cause: change.Cause{Actor: "Jo", CorrelationID: domain.NewID("cor")}}); err != nil {
		t.Fatal(err)
	}
	free, err := store.UnparkDrifting(ctx, w.pool)
	w.ok(err)
	if len(free) != 1 {
		t.Fatalf("%d projections are free", len(free))
	}
	// It is gone for good: where nobody has decided otherwise it is empty.
	e2 := see("h2", 3, `{"phone": "+61299990003"}`, values("legalName", "Wattle", "phone", "+61299990003"))
	see("h2", 4, `{}`, domain.Values{"legalName": `"Wattle"`, "phone": domain.Null})
	w.isGolden(e2, "phone", domain.Null)
	w.none(store.CaseDrift)
}

// The answer to a write may show less than a look at the object does: it is laid over what the write began with, which may be an
// object that had not been read whole. Nothing is gone, nothing is parked, and what was read meanwhile stands.
func TestAnswerToAWriteIsNoDrift(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	v := values("legalName", "Hartley", "phone", "+61299990001")
	rec := w.record("h1", 1, w.shelf.carried(crm, v))
	rec.Raw = []byte(`{"legalName": "Hartley"}`) // what the vendor answered to the creation
	e := w.apply(crm, rec, change.FromPoll).EntityID
	base := rec.Values
	whole := w.record("h1", 2, w.shelf.carried(crm, with(v, values("website", "https://hartley.example"))))
	whole.Raw = []byte(`{"legalName": "Hartley", "phone": "+61299990001", "website": "https://hartley.example"}`)
	w.apply(crm, whole, change.FromWebhook)

	answer := w.record("h1", 3, with(base, values("legalName", "Hartley & Sons")))
	answer.Raw = []byte(`{"legalName": "Hartley & Sons"}`)
	res, err := w.a.Record(ctx, change.Incoming{System: crm, Record: answer, Base: base, EntityID: e, Wrote: values("legalName", "Hartley & Sons"), Cause: w.cause(crm, change.FromProjection)})
	w.ok(err)
	if res.EntityID != e {
		t.Fatalf("the answer went to %s", res.EntityID)
	}
	w.none(store.CaseDrift)
	for f, want := range values("phone", "+61299990001", "website", "https://hartley.example", "legalName", "Hartley & Sons") {
		if got := w.stored(crm, "h1").Values[f]; got != want {
			t.Errorf("the record's %s is %s, not %s", f, got, want)
		}
	}
	w.edit(crm, e, values("phone", "+61299990002"))
	if p := w.projection(e, crm); p.Status == store.Parked {
		t.Errorf("the projection is parked: %s", p.Error)
	}
}
