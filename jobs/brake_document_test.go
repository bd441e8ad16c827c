package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// TestDocumentsAreBraked: an import, and a flow, that would write over the due dates of all draft invoices in accounting gets a few through;
// the others are held by one case, and go on once it is approved.
func TestDocumentsAreBraked(t *testing.T) {
	t.Parallel()
	for _, source := range []change.Source{change.FromImport, change.FromFlow} {
		t.Run(string(source), func(t *testing.T) {
			t.Parallel()
			const n, free = 8, 3
			ctx := context.Background()
			r := newRig(t, func(c *rigConfig) {
				c.noHooks, c.poll = true, time.Hour
				c.policy = strings.Replace(ownership.DefaultSource(), "\nCustomer:", "\nbrake:\n  edits: off\n  out: {count: 3, share: 10%, window: 1h}\n\nCustomer:", 1)
			})
			r.quiet(30 * time.Second)
			cus := r.enter(domain.KindCustomer, "", fields("legalName", "Hartley Plumbing Pty Ltd", "abn", "51824753556"))
			var ids []string
			for i := range n {
				ids = append(ids, r.enter(domain.KindInvoice, "", fields("customer", cus, "issueDate", "2026-03-02", "dueDate", "2026-03-30", "stage", "DRAFT", "reference", fmt.Sprintf("PO %d", i), "taxMode", "EXCLUSIVE",
					"lines", `[{"description":"Call-out","quantity":"1","unitPrice":"80","taxCode":"GST"}]`)))
			}
			due := func(day string) (k int) {
				objects, err := r.xero.Objects("invoices")
				must(t, err)
				for _, o := range objects {
					b, err := json.Marshal(o)
					must(t, err)
					if strings.Contains(string(b), day) {
						k++
					}
				}
				return k
			}
			eventually(t, 60*time.Second, "the invoices are in accounting", func() (bool, any) { k := due("2026-03-30"); return k == n, k })
			r.quiet(60 * time.Second)
			_, err := r.pool.Exec(ctx, `UPDATE entities SET created_at = created_at - interval '2 days' WHERE kind = 'Invoice'`) // what is new moves
			must(t, err)
			for _, id := range ids {
				c := causeOf("a file")
				c.Source = source
				res, err := r.engine.Applier().Edit(ctx, change.Edit{System: "ops", Kind: domain.KindInvoice, EntityID: id, Fields: fields("dueDate", "2026-04-15"), Cause: c})
				must(t, err)
				if len(res.Refused) > 0 {
					t.Fatalf("refused: %v", res.Refused)
				}
			}
			var c store.Case
			eventually(t, 30*time.Second, "a case", func() (bool, any) {
				cs, err := store.ListCases(ctx, r.pool, store.CaseFilter{Status: "open"}, nil, "", 10)
				must(t, err)
				if len(cs) == 1 {
					c = cs[0]
				}
				return len(cs) == 1 && c.Kind == store.CaseMassChange && c.Detail.Held == n-free, cs
			})
			if c.System != "accounting" || c.EntityKind != domain.KindInvoice || c.Detail.Counts["dueDate"] != n-free || c.Detail.Changes[0].To.Text() != "2026-04-15" {
				t.Errorf("the case says %+v", c)
			}
			eventually(t, 30*time.Second, "a few are written", func() (bool, any) { k := due("2026-04-15"); return k == free, k })
			r.decide(c, change.ChoiceApprove)
			r.noCases()
			eventually(t, 30*time.Second, "all are written", func() (bool, any) { k := due("2026-04-15"); return k == n, k })

			// Both sides of a complete comparison add up to the same, month by month; drafts are in no sum.
			for _, month := range []string{"03", "03", "04"} {
				r.enter(domain.KindInvoice, "", fields("customer", cus, "issueDate", "2026-"+month+"-05", "dueDate", "2026-06-30", "stage", "AUTHORISED", "taxMode", "EXCLUSIVE",
					"lines", `[{"description":"Tap","quantity":"3","unitPrice":"19.95","taxCode":"GST"}]`))
			}
			r.quiet(60 * time.Second)
			s := r.sweep("accounting", domain.KindInvoice)
			want := []store.SweepMoney{{Month: "2026-04", Currency: "AUD", Theirs: "65.84", Ours: "65.84"}, {Month: "2026-03", Currency: "AUD", Theirs: "131.68", Ours: "131.68"}}
			if fmt.Sprint(s.Money) != fmt.Sprint(want) || !s.Complete || !s.Level() {
				t.Errorf("sums are %+v, want %+v; %+v", s.Money, want, s)
			}
		})
	}
}
