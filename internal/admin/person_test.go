package admin_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/jobs"
)

// TestExportAndErase: a person's data can be handed over and then erased from the command line, and nothing is erased by a slip.
func TestExportAndErase(t *testing.T) {
	t.Parallel()
	a, out := setup(t)
	ctx := t.Context()
	res, err := a.Engine.Applier().Edit(ctx, change.Edit{System: "ops", Kind: domain.KindCustomer, Cause: change.Cause{Actor: "test", Source: change.FromMutation, CorrelationID: "cor-1"},
		Fields: domain.Values{"legalName": `"Wilhelmina Zyzzogeton"`, "email": `"wz@canarybird.example"`}})
	must(t, err)
	file := filepath.Join(t.TempDir(), "story.json")
	must(t, a.Export(ctx, []string{res.EntityID, "--out", file}))
	text, err := os.ReadFile(file)
	must(t, err)
	var story map[string]any
	if err := json.Unmarshal(text, &story); err != nil || !strings.Contains(string(text), "wz@canarybird.example") || story["format"] != "datum-entity/1" {
		t.Errorf("%v: %s", err, text)
	}
	if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("anybody can read it: %v, %v", st.Mode(), err)
	}
	if err := a.Export(ctx, []string{domain.NewID("cus")}); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("an entity that is none: %v", err)
	}
	if err := a.Erase(ctx, []string{"cus_nobody", "--reason", "request"}); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("a customer that is none: %v", err)
	}
	must(t, a.Erase(ctx, []string{res.EntityID, "--reason", "request"}))
	if n := known(t, a.Pool, "canarybird"); n == 0 || !strings.Contains(out.String(), "would be erased") {
		t.Errorf("without --yes %d rows are left: %s", n, out)
	}
	if err := a.Erase(ctx, []string{res.EntityID, "--yes"}); domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), "reason") {
		t.Errorf("without a reason: %v", err)
	}
	must(t, a.Erase(ctx, []string{res.EntityID, "--yes", "--reason", "request of 28 November"}))
	if n := known(t, a.Pool, "canarybird"); n != 0 || !strings.Contains(out.String(), "proof era_") {
		t.Errorf("%d rows are left: %s", n, out)
	}
	must(t, a.Erase(ctx, []string{"list"}))
	if !strings.Contains(out.String(), "request of 28 November") {
		t.Errorf("the list: %s", out)
	}
	// Again there is little to do, and it does no harm.
	must(t, a.Erase(ctx, []string{res.EntityID, "--yes", "--reason", "again"}))
	if es, err := store.Erasures(ctx, a.Pool, "", 10); err != nil || len(es) != 2 {
		t.Errorf("%d proofs, %v", len(es), err)
	}
}

func known(t *testing.T, db store.DB, text string) (n int) {
	t.Helper()
	must(t, db.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM records WHERE strpos(values::text, $1) > 0) + (SELECT count(*) FROM entities WHERE strpos(golden::text, $1) > 0)
		+ (SELECT count(*) FROM customers c WHERE strpos(c::text, $1) > 0) + (SELECT count(*) FROM history h WHERE strpos(h::text, $1) > 0)`, text).Scan(&n))
	return n
}

// TestAlertAndRetention: the commands show, check and apply, and say what is wrong.
func TestAlertAndRetention(t *testing.T) {
	t.Parallel()
	a, out := setup(t)
	ctx := t.Context()
	must(t, a.Alert(ctx, []string{"show"}))
	file := filepath.Join(t.TempDir(), "alerts.yaml")
	must(t, os.WriteFile(file, []byte(strings.Replace(out.String(), "channels: []", `channels: [{name: chat, type: slack, url: "https://hooks.example/secret-9"}]`, 1)), 0o600))
	must(t, a.Alert(ctx, []string{"check", file}))
	must(t, a.Alert(ctx, []string{"apply", file}))
	must(t, a.Alert(ctx, []string{"show"}))
	must(t, a.Alert(ctx, []string{"test", "chat"}))
	must(t, a.Alert(ctx, []string{"list"}))
	if s := out.String(); strings.Contains(s, "secret-9") || !strings.Contains(s, "version 1") || !strings.Contains(s, "Datum can reach this channel") {
		t.Error(s)
	}
	n, err := store.RewrapAlertSecrets(ctx, a.Pool, a.Sealer)
	if err != nil || n != 0 {
		t.Errorf("%d rewrapped, %v", n, err)
	}
	must(t, os.WriteFile(file, []byte("interval: 1m\nrules: [{name: x, metric: datum_nothing, above: 1, severity: warning, summary: x}]"), 0o600))
	if err := a.Alert(ctx, []string{"apply", file}); domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), jobs.MetricNames()[0]) {
		t.Errorf("a metric that is none: %v", err)
	}
	must(t, a.Retention(ctx, []string{"set", "history", "7y"}))
	must(t, a.Retention(ctx, []string{"show"}))
	if !strings.Contains(out.String(), "2557 days") {
		t.Error(out)
	}
	for _, args := range [][]string{{"set", "history", "1y"}, {"set", "exchanges", "soon"}, {"set", "exchanges"}, {"set", "exchanges", ""}} {
		if err := a.Retention(ctx, args); domain.CodeOf(err) != domain.Invalid {
			t.Errorf("%v: %v", args, err)
		}
	}
}
