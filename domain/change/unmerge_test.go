package change_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
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

var _ = ownership.Native
