package graph_test

import (
	"testing"

	"datum/domain/store"
)

const mergePayload = `{ survivor { id ... on Customer { legalName } } loser { id } userErrors { code message }
	effect { records references golden { entityId field from to } writes { entityId system values } opens { kind } ends { kind } } }`

// Two customers are made one and parted again through the API, each with a preview that changes nothing.
func TestMergeAndUnmerge(t *testing.T) {
	t.Parallel()
	f := setup(t)
	kept, gone := f.customer("c1", "First Pty Ltd"), f.customer("c2", "Second Pty Ltd")
	merge := func(dry bool) reply {
		return f.ask(store.RoleOperator, `mutation($s: ID!, $l: ID!, $dry: Boolean) { mergeEntities(input: {survivorId: $s, loserId: $l, reason: "one firm", dryRun: $dry}) `+mergePayload+` }`,
			object{"s": kept, "l": gone, "dry": dry})
	}
	unmerge := func(id string, dry bool) reply {
		return f.ask(store.RoleOperator, `mutation($id: ID!, $dry: Boolean) { unmergeEntity(input: {id: $id, reason: "two firms", dryRun: $dry}) `+mergePayload+` }`,
			object{"id": id, "dry": dry})
	}
	node := func(id string) string {
		return f.ask(store.RoleReader, `query($id: ID!) { node(id: $id) { id } }`, object{"id": id}).text("node", "id")
	}
	if r := f.send(f.keys[store.RoleEditor], `mutation($s: ID!, $l: ID!) { mergeEntities(input: {survivorId: $s, loserId: $l, reason: "one firm"}) { loser { id } } }`,
		object{"s": kept, "l": gone}); len(r.Errors) == 0 {
		t.Fatalf("an editor may not merge: %v", r.Data)
	}
	if r := merge(true); r.at("mergeEntities", "effect", "records") != 1.0 || node(gone) != gone {
		t.Fatalf("the preview: %v, and %s is %s", r.Data, gone, node(gone))
	}
	r := merge(false)
	if r.text("mergeEntities", "survivor", "id") != kept || r.text("mergeEntities", "loser", "id") != kept || node(gone) != kept {
		t.Fatalf("merged: %v", r.Data)
	}
	if r := merge(false); r.text("mergeEntities", "userErrors", 0, "code") != "INVALID" {
		t.Errorf("again: %v", r.Data)
	}
	for _, id := range []string{kept, gone} {
		h := f.ask(store.RoleReader, `query($id: ID!) { history(id: $id) { nodes { action note } } merges(id: $id) { loserId survivorId reason undoneAt } }`, object{"id": id})
		if h.text("history", "nodes", 0, "action") != "merged" || h.text("merges", 0, "loserId") != gone || h.at("merges", 0, "undoneAt") != nil {
			t.Errorf("the story of %s: %v", id, h.Data)
		}
	}
	if r := unmerge(kept, false); r.text("unmergeEntity", "userErrors", 0, "code") != "INVALID" {
		t.Errorf("the survivor is part of nothing: %v", r.Data)
	}
	if r := unmerge(gone, true); r.at("unmergeEntity", "effect", "records") != 1.0 || r.text("unmergeEntity", "effect", "golden", 1, "field") != "legalName" || node(gone) != kept {
		t.Errorf("the preview: %v", r.Data)
	}
	if r := unmerge(gone, false); r.text("unmergeEntity", "survivor", "legalName") != "First Pty Ltd" || r.text("unmergeEntity", "loser", "id") != gone || node(gone) != gone {
		t.Errorf("parted: %v", r.Data)
	}
	h := f.ask(store.RoleReader, `query($id: ID!) { history(id: $id) { nodes { action } } customer(id: $id) { legalName records { externalId } } merges(id: $id) { undoneReason } }`, object{"id": gone})
	if h.text("history", "nodes", 0, "action") != "unmerged" || h.text("customer", "legalName") != "Second Pty Ltd" || h.text("customer", "records", 0, "externalId") != "c2" ||
		h.text("merges", 0, "undoneReason") != "two firms" {
		t.Errorf("the one that is its own again: %v", h.Data)
	}
	if r := f.ask(store.RoleReader, `{ customers { nodes { id } } cases { nodes { id } } }`, nil); len(r.list("customers", "nodes")) != 2 || len(r.list("cases", "nodes")) != 0 {
		t.Errorf("what is left: %v", r.Data)
	}
}
