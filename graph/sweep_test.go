package graph_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/store"
)

// TestConvergence: a report can be read with both sides and their sums, and convergence names it.
func TestConvergence(t *testing.T) {
	t.Parallel()
	f := setup(t)
	f.customer("c1", "Wattle Pty Ltd") // of the CRM; accounting has not got it yet
	err := store.Transact(t.Context(), f.pool, func(tx pgx.Tx) error {
		for _, system := range []string{"crm", "accounting"} {
			s, err := store.BeginSweep(t.Context(), tx, system, domain.KindCustomer)
			if err != nil {
				return err
			}
			if err := store.InsertSweepItems(t.Context(), tx, s.ID, []store.SweepItem{{ExternalID: "c1", What: store.ItemSame}}); err != nil {
				return err
			}
			s.Complete, s.TheirsCount, s.TheirsHash, s.OursHash = true, 1, "aa", "bb"
			s.Money = []store.SweepMoney{{Month: "2026-07", Currency: "AUD", Theirs: "100.10", Ours: "88.00"}}
			if err := store.FinishSweep(t.Context(), tx, &s); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.NoteWebhooks(t.Context(), f.pool, "crm", 3, 0); err != nil {
		t.Fatal(err)
	}
	r := f.ask(store.RoleReader, `{
		systems { name convergence { kind share wanted level open ageSeconds sweep { id system } } webhooks { received untold wanted problem } }
		sweeps(first: 1, system: "crm") { nodes { id complete level durationSeconds theirs { count hash } ours { hash } money { month difference } } pageInfo { hasNextPage } }
	}`, nil)
	for _, c := range []struct {
		want any
		path []any
	}{
		{"accounting", []any{"systems", 0, "name"}}, {0.0, []any{"systems", 0, "convergence", 0, "share"}}, {1.0, []any{"systems", 0, "convergence", 0, "open"}},
		{"accounting", []any{"systems", 0, "convergence", 0, "sweep", "system"}},
		{1.0, []any{"systems", 1, "convergence", 0, "share"}}, {true, []any{"sweeps", "nodes", 0, "complete"}}, {false, []any{"sweeps", "nodes", 0, "level"}},
		{nil, []any{"systems", 0, "webhooks"}}, {3.0, []any{"systems", 1, "webhooks", "received"}}, {nil, []any{"systems", 1, "webhooks", "problem"}},
		{"aa", []any{"sweeps", "nodes", 0, "theirs", "hash"}}, {"12.10", []any{"sweeps", "nodes", 0, "money", 0, "difference"}},
		{false, []any{"sweeps", "pageInfo", "hasNextPage"}}, {r.at("systems", 1, "convergence", 0, "sweep", "id"), []any{"sweeps", "nodes", 0, "id"}},
	} {
		if got := r.at(c.path...); got != c.want {
			t.Errorf("%v is %v, want %v", c.path, got, c.want)
		}
	}
}
