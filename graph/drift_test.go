package graph_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/store"
)

// TestDrifts: drifts can be read page by page, those that are over only if they are asked for.
func TestDrifts(t *testing.T) {
	t.Parallel()
	f := setup(t)
	err := store.Transact(t.Context(), f.pool, func(tx pgx.Tx) error {
		for _, d := range []store.Drift{
			{System: "accounting", Kind: domain.KindCustomer, Sort: store.DriftMissing, Path: "TaxNumber", Field: "abn", Was: "text", Status: store.DriftOpen, Parks: true,
				Examples: []store.DriftExample{{ExternalID: "x1", Value: "51824753556"}}},
			{System: "crm", Kind: domain.KindCustomer, Sort: store.DriftUnknown, Path: "colour", Status: store.DriftOpen},
			{System: "crm", Kind: domain.KindCustomer, Sort: store.DriftUnknown, Path: "shape", Status: store.DriftGone},
		} {
			if _, err := store.NoteDrift(t.Context(), tx, d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r := f.ask(store.RoleReader, `{
		page: drifts(first: 1) { nodes { system kind sort path field was status parks seen examples { externalId value } case { id } } pageInfo { hasNextPage endCursor } }
		gone: drifts(filter: {system: "crm", status: [GONE]}) { nodes { path } }
		enum: drifts(filter: {sort: ENUM}) { nodes { path } }
	}`, nil)
	for _, c := range []struct {
		want any
		path []any
	}{
		{"MISSING", []any{"page", "nodes", 0, "sort"}}, {"abn", []any{"page", "nodes", 0, "field"}}, {true, []any{"page", "nodes", 0, "parks"}},
		{"51824753556", []any{"page", "nodes", 0, "examples", 0, "value"}}, {true, []any{"page", "pageInfo", "hasNextPage"}}, {nil, []any{"page", "nodes", 0, "case"}},
		{"shape", []any{"gone", "nodes", 0, "path"}},
	} {
		if got := r.at(c.path...); got != c.want {
			t.Errorf("%v is %v, want %v", c.path, got, c.want)
		}
	}
	next := f.ask(store.RoleReader, `query($after: String) { drifts(first: 5, after: $after) { nodes { path } pageInfo { hasNextPage } } }`,
		map[string]any{"after": r.at("page", "pageInfo", "endCursor")})
	if next.at("drifts", "nodes", 0, "path") != "colour" || next.at("drifts", "pageInfo", "hasNextPage") != false {
		t.Errorf("the second page: %v", next)
	}
}
