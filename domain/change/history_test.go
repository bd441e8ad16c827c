package change_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// replays checks that the entity's history leads to its golden values and version, that the golden row and the typed row say
// the same, and that its provenance is true.
func (w *world) replays(id string) {
	w.tb.Helper()
	e := w.entity(id)
	now := domain.Values{}
	version := int64(0)
	for _, h := range w.history(id) {
		if h.Version < version && h.Action != store.ActionMerged {
			w.tb.Fatalf("version %d after %d: %+v", h.Version, version, h)
		}
		version = max(version, h.Version)
		if h.Action != store.ActionSet {
			continue
		}
		if !same(now[h.Field], h.Old) {
			w.tb.Fatalf("%s was %s, and the history says %s: %+v", h.Field, now[h.Field], h.Old, h)
		}
		if h.Actor == "" || h.Source == "" || h.CorrelationID == "" || h.Why == "" {
			w.tb.Fatalf("somebody did something: %+v", h)
		}
		now[h.Field] = h.New
	}
	if version != e.Version {
		w.tb.Fatalf("the history ends at version %d, the entity is at %d", version, e.Version)
	}
	// The typed row, by what of it lists are filtered and ordered by.
	var typedVersion int64
	var legalName, abn, email, phone, status, suburb string
	w.ok(w.pool.QueryRow(ctx, `SELECT version, coalesce(legal_name, ''), coalesce(abn, ''), coalesce(email, ''), coalesce(phone, ''), coalesce(status, ''), coalesce(billing_suburb, '')
		FROM customers WHERE id = $1`, id).Scan(&typedVersion, &legalName, &abn, &email, &phone, &status, &suburb))
	typed := domain.Values{"legalName": domain.TextValue(legalName), "abn": domain.TextValue(abn), "email": domain.TextValue(email), "phone": domain.TextValue(phone), "status": domain.TextValue(status)}
	golden, err := domain.CustomerOf(e.Golden)
	w.ok(err)
	if a := golden.BillingAddress; a != nil && a.Suburb != suburb || a == nil && suburb != "" {
		w.tb.Fatalf("the typed row's suburb is %q, golden %+v", suburb, a)
	}
	asOf, v, err := store.AsOf(ctx, w.pool, id, time.Now().Add(time.Hour))
	w.ok(err)
	if v != e.Version || typedVersion != e.Version {
		w.tb.Fatalf("version %d, as of now %d, the customer's %d", e.Version, v, typedVersion)
	}
	ki, _ := customer.Info()
	for _, fi := range ki.Fields {
		f := fi.Name
		if g := e.Golden[f]; !same(now[f], g) || typed[f] != "" && !same(typed[f], g) || !same(asOf[f], g) {
			w.tb.Fatalf("%s: golden %s, by the history %s, typed %s, as of now %s", f, g, now[f], typed[f], asOf[f])
		}
		p := e.Provenance[f]
		switch ownership.Why(p.Why) {
		case ownership.ByOwner, ownership.ByFallback:
			if r := w.stored(p.System, p.ExternalID); r.Values[f] != e.Golden[f] || r.EntityID != id || (p.System == p.Owner) != (p.Why == string(ownership.ByOwner)) {
				w.tb.Fatalf("%s: golden %s, %+v, the record has %s", f, e.Golden[f], p, r.Values[f])
			}
		case ownership.ByPin:
			if p.System != "" {
				w.tb.Fatalf("%s: %+v", f, p)
			}
		case ownership.ByNobody:
			if !e.Golden[f].Empty() {
				w.tb.Fatalf("%s is %s and nobody's", f, e.Golden[f])
			}
		default:
			w.tb.Fatalf("%s: %+v", f, p)
		}
		if p.Since.IsZero() {
			w.tb.Fatalf("%s: since when? %+v", f, p)
		}
	}
}

// Whatever happens to a customer, its history replays, its provenance is true, each moment can be read again, and hearing
// the same again changes nothing. When everything is written, everything is level.
func TestHistoryReplays(t *testing.T) {
	t.Parallel()
	ki, _ := customer.Info()
	w := newWorld(t, ownership.DefaultSource())
	rapid.Check(t, func(rt *rapid.T) {
		w.begin(rt, drawPolicy(rt, "[crm, accounting, ops]"))
		id := w.level(1, rapid.SampledFrom([]string{"", "PROSPECT", "FORMER_CUSTOMER"}).Draw(rt, "stage"))
		type moment struct {
			at     time.Time
			golden domain.Values
			n      int64
		}
		var moments []moment
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			system := rapid.SampledFrom([]string{crm, accounting, ops}).Draw(rt, "system")
			v := domain.Values{}
			for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, len(ki.Fields)-1), 1, 3, rapid.ID[int]).Draw(rt, "fields") {
				fi := ki.Fields[n]
				if system == accounting && !w.shelf.carries("xero", customer, fi.Name) {
					continue
				}
				if n := rapid.IntRange(-1, 2).Draw(rt, "value"); n < 0 {
					v[fi.Name] = domain.Null
				} else {
					v[fi.Name] = sample(fi, n, 1)
				}
			}
			switch rapid.SampledFrom([]string{"vendor", "API", "work", "decide"}).Draw(rt, "what") {
			case "vendor":
				if system == ops {
					continue
				}
				w.change(system, system+"-1", v)
				w.quietly("the same again", func() { w.change(system, system+"-1", nil) })
			case "API":
				w.edit(system, id, v)
			case "work":
				w.work(w.faithful)
			case "decide":
				if cs := w.open(store.CaseConflict); len(cs) > 0 {
					w.decide(cs[0].ID, rapid.SampledFrom([]string{change.ChoiceAccept, change.ChoiceKeepOurs}).Draw(rt, "choice"))
				}
			}
			w.replays(id)
			e := w.entity(id)
			var now time.Time
			w.ok(w.pool.QueryRow(ctx, "SELECT clock_timestamp()").Scan(&now))
			moments = append(moments, moment{now, e.Golden, e.Version})
		}
		for _, m := range moments {
			got, n, err := store.AsOf(ctx, w.pool, id, m.at)
			w.ok(err)
			for _, fi := range ki.Fields {
				if !same(got[fi.Name], m.golden[fi.Name]) {
					rt.Fatalf("%s as of version %d: %s, was %s", fi.Name, m.n, got[fi.Name], m.golden[fi.Name])
				}
			}
			if n != m.n {
				rt.Fatalf("as of version %d it is version %d", m.n, n)
			}
		}
		w.work(w.faithful)
		w.resettleAll()
		w.quietly("settling once more", w.resettleAll)
		for _, s := range []string{crm, accounting} {
			if p := w.projection(id, s); p.Status == store.Pending || p.Status == store.Refused {
				rt.Fatalf("%s is not level: %+v", s, p)
			}
		}
	})
}

func TestAsOfBeforeItExisted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.see(crm, "h1", values("legalName", "Newt Pty Ltd")).EntityID
	v, n, err := store.AsOf(ctx, w.pool, id, time.Now().Add(-time.Hour))
	if err != nil || n != 0 || len(v) != 0 {
		t.Errorf("%v, version %d, %v", v, n, err)
	}
}
