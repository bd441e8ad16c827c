package graph_test

import (
	"strings"
	"testing"

	"datum/domain/store"
	"datum/graph"
)

// sealer seals by turning bytes around: enough to see that nothing is stored as it comes.
type sealer struct{}

func (sealer) KeyID() string { return "k" }

func (s sealer) Seal(_ string, plain []byte) (string, []byte, error) {
	out := make([]byte, len(plain))
	for i, b := range plain {
		out[i] = ^b
	}
	return "k", out, nil
}

func (s sealer) Open(_, _ string, sealed []byte) ([]byte, error) {
	_, out, err := s.Seal("", sealed)
	return out, err
}

// TestAlertsOverGraphQL: who may sees what is watched and puts it right; secrets are not shown again.
func TestAlertsOverGraphQL(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *graph.Config) { c.Sealer, c.Metrics = sealer{}, []string{"datum_cases_open"} })
	const source = `
interval: 30s
remind: 1h
channels:
  - {name: chat, type: slack, url: "https://hooks.example/services/secret-2"}
rules:
  - {name: many, metric: datum_cases_open, above: 5, severity: warning, summary: Many cases, next: decide them}
`
	const apply = `mutation($s: String!) { applyAlerts(input: {source: $s}) { alerts { source version setBy firing { rule } deliveries { id } } userErrors { code message } } }`
	r := f.ask(store.RoleAdmin, apply, object{"s": source})
	if v := r.at("applyAlerts", "alerts", "version"); v == nil || strings.Contains(r.text("applyAlerts", "alerts", "source"), "secret-2") || !strings.Contains(r.text("applyAlerts", "alerts", "source"), "sealed") {
		t.Fatalf("%v", r.Data)
	}
	if r := f.ask(store.RoleAdmin, apply, object{"s": strings.Replace(source, "cases_open", "casess", 1)}); !strings.Contains(r.text("applyAlerts", "userErrors", 0, "message"), "there is no metric") {
		t.Errorf("a metric that is none: %v", r.Data)
	}
	if r := f.ask(store.RoleOperator, `mutation { testAlert(input: {channel: "chat"}) { delivery { status title attempts event } userErrors { message } } }`, nil); r.text("testAlert", "delivery", "status") != "pending" {
		t.Errorf("a test: %v", r.Data)
	}
	if r := f.ask(store.RoleOperator, `mutation { testAlert(input: {channel: "nobody"}) { userErrors { code } } }`, nil); r.text("testAlert", "userErrors", 0, "code") != "NOT_FOUND" {
		t.Errorf("a test of nobody: %v", r.Data)
	}
	if r := f.ask(store.RoleOperator, `{ alerts { deliveries(first: 5) { channel event } } }`, nil); r.text("alerts", "deliveries", 0, "event") != "test" {
		t.Errorf("%v", r.Data)
	}
	for role, query := range map[store.Role]string{store.RoleReader: `{ alerts { source } }`, store.RoleOperator: `mutation { applyAlerts(input: {source: ""}) { userErrors { code } } }`} {
		if r := f.send(f.keys[role], query, nil); len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != "FORBIDDEN" {
			t.Errorf("%s: %+v", role, r)
		}
	}
}

// TestRetentionOverGraphQL: what the law wants cannot be undercut, and whoever sets it is named.
func TestRetentionOverGraphQL(t *testing.T) {
	t.Parallel()
	f := setup(t)
	const set = `mutation($n: String!, $d: Int) { setRetention(input: {name: $n, days: $d}) { retention { name days setBy leastReason } userErrors { code message } } }`
	if r := f.ask(store.RoleAdmin, set, object{"n": "history", "d": 30}); r.text("setRetention", "userErrors", 0, "code") != "INVALID" || !strings.Contains(r.text("setRetention", "userErrors", 0, "message"), "five years") {
		t.Errorf("%v", r.Data)
	}
	r := f.ask(store.RoleAdmin, set, object{"n": "exchanges", "d": 14})
	for i := range r.list("setRetention", "retention") {
		if r.text("setRetention", "retention", i, "name") == "exchanges" && (r.text("setRetention", "retention", i, "setBy") == "" || r.at("setRetention", "retention", i, "days") == nil) {
			t.Errorf("%v", r.Data)
		}
	}
	if r := f.ask(store.RoleAdmin, set, object{"n": "exchanges", "d": 0}); r.text("setRetention", "userErrors", 0, "code") != "INVALID" {
		t.Errorf("no days: %v", r.Data)
	}
	if r := f.ask(store.RoleReader, `{ retention { name days leastDays what } }`, nil); len(r.list("retention")) < 5 {
		t.Errorf("%v", r.Data)
	}
}
