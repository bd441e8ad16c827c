package change_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
)

func (w *world) merge(survivor, loser string) change.Merged {
	w.tb.Helper()
	out, err := w.a.Merge(ctx, change.Merging{Survivor: survivor, Loser: loser, Reason: "one firm", Cause: change.Cause{Actor: "Jo", Source: change.FromMutation}})
	w.ok(err)
	return out
}

func (w *world) unmerge(id string) change.Merged {
	w.tb.Helper()
	out, err := w.a.Unmerge(ctx, change.Merging{Loser: id, Reason: "two firms", Cause: change.Cause{Actor: "Jo", Source: change.FromMutation}})
	w.ok(err)
	return out
}

// catchUp brings to date what a merge has left to the pass in the background, and writes what is pending.
func (w *world) catchUp() {
	w.tb.Helper()
	for _, ki := range domain.KindsAll() {
		ids, err := store.OutdatedEntities(ctx, w.pool, ki.Kind, w.policy, "", 1000)
		w.ok(err)
		for _, id := range ids {
			_, err := w.a.Resettle(ctx, id, change.Cause{Actor: "policy", Source: change.FromPolicy, Lane: "bulk"})
			w.ok(err)
		}
	}
	w.work(w.faithful)
}

// invoice lets accounting bring an invoice of one of its contacts.
func (w *world) invoice(id, contact string) string {
	w.tb.Helper()
	w.clock++
	rec := domain.Record{Kind: domain.KindInvoice, ExternalID: id, Version: fmt.Sprint(w.clock), ModifiedAt: at(w.clock), FetchedAt: at(w.clock),
		Values: domain.Values{"number": text("INV-" + id), "customer": text(domain.Ext(contact))}}
	return w.apply(accounting, rec, change.FromPoll).EntityID
}

// picture is what is known of each customer and document: by our ids, unlike portrait.
func (w *world) picture() string {
	w.tb.Helper()
	var b strings.Builder
	for _, kind := range []domain.Kind{customer, domain.KindInvoice} {
		ids, err := store.EntityIDs(ctx, w.pool, kind, "", 1000)
		w.ok(err)
		es, err := store.Entities(ctx, w.pool, ids)
		w.ok(err)
		for _, e := range es {
			fmt.Fprintf(&b, "== %s stage %s\n", e.ID, e.Stage)
			for _, f := range e.Golden.Fields() {
				if !e.Golden[f].Empty() {
					fmt.Fprintf(&b, "%s = %s from %s %s by %s of %s\n", f, e.Golden[f], e.Provenance[f].System, e.Provenance[f].ExternalID, e.Provenance[f].Why, e.Provenance[f].Owner)
				}
			}
			recs, err := store.RecordsOf(ctx, w.pool, []string{e.ID})
			w.ok(err)
			for _, r := range recs {
				fmt.Fprintf(&b, "record %s %s of %s deleted %v\n", r.System, r.ExternalID, r.Home, r.Deleted)
				for _, f := range r.Values.Fields() {
					if !r.Values[f].Empty() {
						fmt.Fprintf(&b, "  %s: %s\n", f, r.Values[f])
					}
				}
				for _, f := range []domain.Field{"email", "phone", "notes", "website"} {
					if h, ok := r.Held[f]; ok {
						fmt.Fprintf(&b, "  held %s: %v\n", f, h)
					}
				}
			}
			ps, err := store.ProjectionsOf(ctx, w.pool, []string{e.ID})
			w.ok(err)
			for _, p := range ps {
				if p.Status != store.Detached {
					fmt.Fprintf(&b, "%s %s is %s\n", p.System, p.ExternalID, p.Status)
				}
			}
			for _, c := range w.open("") {
				if c.EntityID == e.ID || c.OtherID == e.ID {
					fmt.Fprintf(&b, "case %s %s %s: %s or %s\n", c.Kind, c.System, c.Field, c.Detail.Ours, c.Detail.Theirs)
				}
			}
			fmt.Fprintf(&b, "pins %v\n", w.pins(e.ID))
			if kind == domain.KindInvoice {
				var of string
				w.ok(w.pool.QueryRow(ctx, `SELECT coalesce(customer, '') FROM invoices WHERE id = $1`, e.ID).Scan(&of))
				fmt.Fprintf(&b, "typed customer %s\n", of)
			}
		}
	}
	return b.String()
}

func (w *world) isPicture(what, want string) {
	w.tb.Helper()
	got := w.picture()
	if got == want {
		return
	}
	g, p := strings.Split(got, "\n"), strings.Split(want, "\n")
	w.tb.Fatalf("%s: now\n%s\nand not\n%s\nwhole:\n%s", what, strings.Join(without(g, p), "\n"), strings.Join(without(p, g), "\n"), got)
}

// clusterPolicy has every rule about others' edits, and fields of each system's own.
const clusterPolicy = policyHead + `  create: [crm, accounting, ops]
  replicate: {crm: always, accounting: always}
  fields:
    legalName: {owner: accounting, fallback: [crm]}
    email: {owner: crm, fallback: [accounting], others: propose}
    phone: {owner: crm, fallback: [accounting]}
    website: {owner: crm, fallback: [ops], others: keep}
    notes: {owner: ops, fallback: [crm], others: keep}
Invoice:
  owner: accounting
  create: [accounting]
`

// firm is one customer of the property, as its systems have it.
type firm struct {
	tag     int
	id      string
	systems []string
}

func (w *world) record1(f firm, system string) string { return fmt.Sprintf("%s%d", system[:1], f.tag) }

// drawFirms lets customers come: each in one or both vendor systems, with what they say of themselves, pins, documents.
func (w *world) drawFirms(t *rapid.T, n int) []firm {
	var firms []firm
	draw := func(tag int, label string) domain.Values {
		v := domain.Values{}
		for _, f := range []domain.Field{"legalName", "email", "phone", "website", "notes", "tradingName"} {
			ki, _ := customer.Info()
			fi, _ := ki.Field(f)
			if k := rapid.IntRange(-1, 1).Draw(t, label+" "+string(f)); k >= 0 {
				v[f] = sample(fi, k, tag)
			}
		}
		return v
	}
	for tag := 1; tag <= n; tag++ {
		f := firm{tag: tag, systems: rapid.SampledFrom([][]string{{crm}, {accounting}, {crm, accounting}}).Draw(t, "systems")}
		for _, s := range f.systems {
			f.id = w.see(s, w.record1(f, s), with(draw(tag, s), domain.Values{"abn": text(abn(tag))})).EntityID
		}
		if rapid.Bool().Draw(t, "ops") {
			w.edit(ops, f.id, domain.Values{"notes": text(fmt.Sprintf("noted %d", tag))})
		}
		firms = append(firms, f)
	}
	w.work(w.faithful)
	w.strangers()
	for _, f := range firms {
		for i := range rapid.IntRange(0, 2).Draw(t, "invoices") {
			if slices.Contains(f.systems, accounting) {
				w.invoice(fmt.Sprintf("i%d-%d", f.tag, i), w.record1(f, accounting))
			}
		}
		for _, field := range []domain.Field{"phone", "website", "legalName"} {
			if rapid.IntRange(0, 3).Draw(t, "pin "+string(field)) == 0 {
				owner := map[domain.Field]string{"phone": crm, "website": crm, "legalName": accounting}[field]
				ki, _ := customer.Info()
				fi, _ := ki.Field(field)
				w.edit(owner, f.id, domain.Values{field: sample(fi, 7, f.tag)})
			}
		}
	}
	if rapid.Bool().Draw(t, "pins are confirmed") {
		w.work(w.faithful)
	}
	return firms
}

// strangers answers that customers who look alike are not the same.
func (w *world) strangers() {
	w.tb.Helper()
	for _, c := range w.open(store.CaseDuplicate) {
		w.decide(c.ID, change.ChoiceDifferent)
	}
	w.work(w.faithful)
}

// Customers that are made one in any order, and parted again in any other, are what they were: golden values and where they come
// from, records and what they say, references, pins, cases and what each system is to be told; whether or not anything was
// written meanwhile.
func TestUnmergeIsIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t, clusterPolicy)
	rapid.Check(t, func(rt *rapid.T) {
		w.begin(rt, clusterPolicy)
		firms := w.drawFirms(rt, rapid.IntRange(2, 4).Draw(rt, "firms"))
		written := rapid.Bool().Draw(rt, "written meanwhile")
		if written {
			w.work(w.faithful)
		}
		want := w.picture()
		w.mergeAll(rt, firms, written)
		if es := w.entities(); len(es) != 1 {
			rt.Fatalf("%d customers after all were made one", len(es))
		}
		w.unmergeAll(rt, firms, written)
		if !written {
			w.catchUpOnly()
		}
		w.isPicture("after all were parted", want)
	})
}

// mergeAll makes all one, in a drawn order.
func (w *world) mergeAll(t *rapid.T, firms []firm, written bool) {
	w.tb.Helper()
	left := slices.Clone(firms)
	for len(left) > 1 {
		left = rapid.Permutation(left).Draw(t, "merged")
		w.merge(left[0].id, left[1].id)
		left = slices.Delete(left, 1, 2)
		if written && rapid.Bool().Draw(t, "caught up") {
			w.catchUp()
		}
	}
}

// unmergeAll parts all, in a drawn order.
func (w *world) unmergeAll(t *rapid.T, firms []firm, written bool) {
	w.tb.Helper()
	for _, f := range rapid.Permutation(firms).Draw(t, "parted") {
		if w.entity(f.id).MergedInto == "" {
			continue // the survivor of what is left
		}
		w.unmerge(f.id)
		if written && rapid.Bool().Draw(t, "caught up") {
			w.catchUp()
		}
	}
	if written {
		w.catchUp()
	}
}

// catchUpOnly is catchUp without writing anything.
func (w *world) catchUpOnly() {
	w.tb.Helper()
	for _, kind := range []domain.Kind{customer, domain.KindInvoice} {
		ids, err := store.OutdatedEntities(ctx, w.pool, kind, w.policy, "", 1000)
		w.ok(err)
		for _, id := range ids {
			_, err := w.a.Resettle(ctx, id, change.Cause{Actor: "policy", Source: change.FromPolicy, Lane: "bulk"})
			w.ok(err)
		}
	}
}

// change1 is an edit in one of a firm's systems, of a field that the system owns.
type change1 struct {
	tag    int
	system string
	field  domain.Field
	value  domain.Value
}

// record of a firm in a system: the one that its own entity was linked to.
func (w *world) home(f firm, system string) string {
	w.tb.Helper()
	var id string
	w.ok(w.pool.QueryRow(ctx, `SELECT external_id FROM records WHERE home = $1 AND system = $2 ORDER BY external_id LIMIT 1`, f.id, system).Scan(&id))
	return id
}

// named is the picture with customers and made records called by the firms' numbers, so that two worlds can be compared.
func (w *world) named(firms []firm) string {
	w.tb.Helper()
	p := w.picture()
	for _, f := range firms {
		p = strings.ReplaceAll(p, f.id, fmt.Sprintf("firm %d", f.tag))
	}
	for _, f := range firms {
		for _, s := range []string{crm, accounting} {
			p = regexp.MustCompile(`\b`+w.home(f, s)+`\b`).ReplaceAllString(p, fmt.Sprintf("%s of firm %d", s, f.tag))
		}
	}
	return p
}

// Customers that were one for a while, and went on being edited by their owners, are what they would be if they never had been one:
// also if the policy has changed meanwhile, and a record has arrived that is one of them.
func TestUnmergeAfterEdits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, clusterPolicy)
	later := strings.Replace(clusterPolicy, "phone: {owner: crm, fallback: [accounting]}", "phone: {owner: accounting, fallback: [crm]}", 1)
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.IntRange(2, 3).Draw(rt, "firms")
		var plan []change1
		for range rapid.IntRange(1, 6).Draw(rt, "edits") {
			c := change1{tag: rapid.IntRange(1, seed).Draw(rt, "of")}
			c.field = rapid.SampledFrom([]domain.Field{"website", "tradingName", "legalName"}).Draw(rt, "field")
			c.system = map[bool]string{true: accounting, false: crm}[c.field == "legalName"]
			ki, _ := customer.Info()
			fi, _ := ki.Field(c.field)
			c.value = sample(fi, rapid.IntRange(20, 22).Draw(rt, "value"), c.tag)
			plan = append(plan, c)
		}
		policy, both := rapid.Bool().Draw(rt, "another policy"), rapid.Bool().Draw(rt, "written meanwhile")
		live := func(firms []firm) {
			for i, c := range plan {
				f := firms[c.tag-1]
				w.change(c.system, w.home(f, c.system), domain.Values{c.field: c.value})
				if both {
					w.catchUp()
				}
				if policy && i == 0 {
					w.publish(later)
					w.catchUp()
				}
			}
		}
		firmsOf := func() []firm {
			var firms []firm
			for tag := 1; tag <= seed; tag++ {
				firms = append(firms, firm{tag: tag, id: w.pair(tag, values("legalName", fmt.Sprintf("Firm %d Pty Ltd", tag), "phone", fmt.Sprintf("+6139000000%d", tag),
					"website", fmt.Sprintf("https://firm%d.example.com", tag)))})
			}
			w.strangers()
			return firms
		}
		w.begin(rt, clusterPolicy)
		firms := firmsOf()
		live(firms)
		w.catchUp()
		want := w.named(firms)

		w.begin(rt, clusterPolicy)
		firms = firmsOf()
		w.mergeAll(rt, firms, both)
		live(firms)
		w.unmergeAll(rt, firms, true)
		if got := w.named(firms); got != want {
			g, p := strings.Split(got, "\n"), strings.Split(want, "\n")
			rt.Fatalf("only after having been one:\n%s\nonly without:\n%s", strings.Join(without(g, p), "\n"), strings.Join(without(p, g), "\n"))
		}
	})
}

// A record that arrives while two are one goes with the one whose keys it shares.
func TestArrivedWhileMerged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, clusterPolicy)
	a := w.see(crm, "h1", values("abn", abn(1), "legalName", "Ibis Pty Ltd")).EntityID
	b := w.see(crm, "h2", values("abn", abn(2), "legalName", "Jay Pty Ltd")).EntityID
	w.merge(a, b)
	w.see(accounting, "x2", values("abn", abn(2), "legalName", "Jay Holdings Pty Ltd"))
	if got := w.stored(accounting, "x2").EntityID; got != a {
		t.Fatalf("while they are one it is of %s", got)
	}
	w.unmerge(b)
	w.isGolden(b, "legalName", text("Jay Holdings Pty Ltd"))
	w.isGolden(a, "legalName", text("Ibis Pty Ltd"))
	w.catchUp()
	w.isAt(a, accounting, store.Confirmed)
	w.none("")
}

// One that is being created in a vendor at this moment is not merged away: its record would be a second one.
func TestMergeWaitsForCreation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, clusterPolicy)
	a := w.see(crm, "h1", values("abn", abn(1), "legalName", "Kite Pty Ltd")).EntityID
	w.work(w.faithful)
	b := w.see(crm, "h2", values("abn", abn(2), "legalName", "Lark Pty Ltd")).EntityID
	p := w.claim(accounting)
	_, err := w.pool.Exec(ctx, `UPDATE projections SET intent_op = 'create' WHERE entity_id = $1 AND system = $2`, b, accounting)
	w.ok(err)
	m := change.Merging{Survivor: a, Loser: b, Reason: "one firm", Cause: change.Cause{Actor: "Jo", Source: change.FromMutation}}
	if _, err := w.a.Merge(ctx, m); domain.CodeOf(err) != domain.Conflict {
		t.Fatalf("merging while it is created: %v", err)
	}
	w.finish(p, w.call(p, w.faithful))
	w.merge(a, b)
	w.catchUp()
	w.isAt(a, accounting, store.Confirmed)
}

// What a vendor has merged is followed when it is known what became of the loser's creation elsewhere: a worker that crashed after
// the call leaves an intent, and without it the record would be made a second time.
func TestVendorMergeWaitsForCreation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, clusterPolicy)
	a := w.see(crm, "h1", values("abn", abn(1), "legalName", "Kite Pty Ltd")).EntityID
	b := w.see(crm, "h2", values("abn", abn(2), "legalName", "Lark Pty Ltd")).EntityID
	held := w.claim(accounting)
	other := w.claim(accounting)
	if held.EntityID != b {
		held, other = other, held
	}
	w.finish(other, w.call(other, w.faithful))
	_, err := w.pool.Exec(ctx, `UPDATE projections SET intent_op = 'create' WHERE entity_id = $1 AND system = $2`, b, accounting)
	w.ok(err)
	made := w.call(held, w.faithful) // it is there, and the worker is not any more
	w.clock++
	merged := w.record("h1", w.clock, w.stored(crm, "h1").Values)
	merged.Aliases = []string{"h2"}
	follow := func() error {
		_, err := w.a.Record(ctx, change.Incoming{System: crm, Record: merged, Cause: w.cause(crm, change.FromPoll)})
		return err
	}
	if err := follow(); domain.CodeOf(err) != domain.Unavailable || domain.AsError(err).RetryAfter <= 0 {
		t.Fatalf("followed while it is created: %v", err)
	}
	if p := w.projection(b, accounting); p.IntentKey == "" || w.stored(crm, "h2").Deleted {
		t.Fatalf("something was kept of it: %+v", p)
	}
	w.finish(held, made) // as the look-up finds it
	w.ok(follow())
	if got := w.stored(accounting, made.ExternalID).EntityID; got != a {
		t.Errorf("the record is of %s, not %s", got, a)
	}
	if n := w.work(func(system string, before, sent domain.Values) domain.Values {
		if before.Clone()["legalName"].Empty() {
			t.Errorf("something is created in %s: %v", system, sent)
		}
		return w.faithful(system, before, sent)
	}); n[accounting] > 2 {
		t.Errorf("written: %v", n)
	}
}

// A preview says what would follow, and keeps nothing.
func TestMergePreview(t *testing.T) {
	t.Parallel()
	w := newWorld(t, clusterPolicy)
	a := w.pair(1, values("legalName", "Myna Pty Ltd"))
	b := w.see(crm, "h2", values("abn", abn(2), "legalName", "Owl Pty Ltd", "phone", "+61390000002")).EntityID
	w.edit(crm, b, values("phone", "+61390000003"))
	m := change.Merging{Survivor: a, Loser: b, Reason: "one firm", DryRun: true, Cause: change.Cause{Actor: "Jo", Source: change.FromMutation}}
	w.quietly("a preview", func() {
		out, err := w.a.Merge(ctx, m)
		w.ok(err)
		if len(out.Golden) != 1 || out.Golden[0].Field != "phone" || out.Golden[0].To != text("+61390000003") || len(out.Writes) != 2 || out.Records != 1 {
			t.Errorf("the preview: %+v", out)
		}
	})
	if m.Reason = " "; domain.CodeOf(func() error { _, err := w.a.Merge(ctx, m); return err }()) != domain.Invalid {
		t.Error("no reason was needed")
	}
}
