package graph_test

import (
	"testing"

	"datum/domain/store"
)

func TestCustomerReads(t *testing.T) {
	t.Parallel()
	f := setup(t)
	id := f.customer("c1", "Wattle & Sons Pty Ltd")
	r := f.ask(store.RoleOperator, `query($id: ID!) {
		viewer { name system role }
		customer(id: $id) {
			id version displayName legalName tags customFields { key value }
			records { system { name } externalId values raw }
			provenance { field system rule owner since }
			history { nodes { action field new source correlationId } values version }
			projections { status system { name } pending lastError { code } }
			cases { id }
		}
		node(id: $id) { id ... on Customer { email } }
	}`, map[string]any{"id": id})
	t.Logf("%+v", r.Data)
	if got := r.text("customer", "legalName"); got != "Wattle & Sons Pty Ltd" {
		t.Errorf("legalName is %q", got)
	}
}
