package admin_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/store"
)

// A mapping document is checked, tried out, put in force and shown; one that is wrong is refused with the line.
func TestMappingDocument(t *testing.T) {
	t.Parallel()
	a, out := setup(t)
	ctx := t.Context()
	must(t, a.Mapping(ctx, []string{"show", "accounting"}))
	contains(t, out, "# nothing of its own", "TaxNumber")
	doc := file(t, "m.yaml", "Customer:\n  fields: {abn: {path: TaxId}}\n")
	bad := file(t, "bad.yaml", "Customer:\n  fields:\n    colour: {path: TaxId}\n")
	for _, does := range []string{"check", "diff", "apply"} {
		if err := a.Mapping(ctx, []string{does, "accounting", bad}); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%s of a field that there is not: %v", does, err)
		}
	}
	must(t, a.Mapping(ctx, []string{"check", "accounting", doc}))
	contains(t, out, "the mapping document is valid")
	must(t, a.Mapping(ctx, []string{"diff", "accounting", doc}))
	contains(t, out, "of 0 stored records", "cases that would open: 0")
	if vs, err := store.MappingVersions(ctx, a.Pool, "accounting"); err != nil || len(vs) != 0 {
		t.Errorf("trying out has published %v, %v", vs, err)
	}
	must(t, a.Mapping(ctx, []string{"apply", "accounting", doc}))
	contains(t, out, "version 1 of accounting's mapping is in force")
	must(t, a.Mapping(ctx, []string{"show", "accounting"}))
	contains(t, out, "# version 1, published by", "TaxId")
	shown := regexp.MustCompile(`--preview (mpv_\w+)`).FindStringSubmatch(out.String())
	if shown == nil {
		t.Fatalf("diff does not say how to apply what it has shown:\n%s", out)
	}
	if err := a.Mapping(ctx, []string{"apply", "accounting", doc, "--preview", shown[1]}); domain.CodeOf(err) != domain.Conflict {
		t.Errorf("a preview of what was in force before: %v", err)
	}
	for _, args := range [][]string{{"apply", "accounting", doc, "--previw", "x"}, {"check", "accounting", doc, "more"}, {"apply", "nowhere", doc}} {
		if err := a.Mapping(ctx, args); domain.CodeOf(err) != domain.Invalid && domain.CodeOf(err) != domain.NotFound {
			t.Errorf("%v: %v", args, err)
		}
	}
	if err := a.Mapping(ctx, []string{"frobnicate", "accounting", doc}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("an unknown subcommand: %v", err)
	}
}

// What has drifted is listed with what it holds up; what is over only if it is asked for.
func TestDriftIsListed(t *testing.T) {
	t.Parallel()
	a, out := setup(t)
	must(t, store.Transact(t.Context(), a.Pool, func(tx pgx.Tx) error {
		for _, d := range []store.Drift{
			{System: "accounting", Kind: domain.KindCustomer, Sort: store.DriftMissing, Path: "TaxNumber", Field: "abn", Was: "text", Status: store.DriftOpen, Parks: true,
				Examples: []store.DriftExample{{ExternalID: "x1", Value: "51824753556"}}},
			{System: "crm", Kind: domain.KindCustomer, Sort: store.DriftUnknown, Path: "shape", Status: store.DriftGone},
		} {
			if _, err := store.NoteDrift(t.Context(), tx, d); err != nil {
				return err
			}
		}
		return nil
	}))
	must(t, a.Drift(t.Context(), []string{"list"}))
	contains(t, out, "TaxNumber", "writes of abn to accounting", "x1 51824753556")
	if strings.Contains(out.String(), "shape") {
		t.Errorf("what is over is listed:\n%s", out)
	}
	must(t, a.Drift(t.Context(), []string{"list", "--system", "crm", "--all"}))
	contains(t, out, "shape")
	if err := a.Drift(t.Context(), []string{"show"}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("an unknown subcommand: %v", err)
	}
}
