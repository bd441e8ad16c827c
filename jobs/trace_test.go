package jobs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"datum/adapters/sim"
	"datum/domain/store"
	"datum/graph"
)

// api serves GraphQL over the rig and returns how to ask it as an admin, under a correlation id of the caller's choice.
func (r *rig) api() func(correlation, query string, variables map[string]any) map[string]any {
	r.t.Helper()
	return r.apiOf("ops")
}

// apiOf is api for an app that speaks for another system.
func (r *rig) apiOf(system string) func(correlation, query string, variables map[string]any) map[string]any {
	r.t.Helper()
	_, key, err := store.CreateKey(context.Background(), r.pool, store.NewKey{System: system, Role: store.RoleAdmin, Name: "app"})
	must(r.t, err)
	h, err := graph.NewHandler(graph.Config{Pool: r.pool, Feed: r.hub, Changes: r.engine.Applier(), Log: r.logger()})
	must(r.t, err)
	return func(correlation, query string, variables map[string]any) map[string]any {
		r.t.Helper()
		body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
		must(r.t, err)
		q := httptest.NewRequest(http.MethodPost, "/graphql", bytes.NewReader(body))
		q.Header.Set("Content-Type", "application/json")
		q.Header.Set("Authorization", "Bearer "+key)
		if correlation != "" {
			q.Header.Set("X-Correlation-Id", correlation)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, q)
		if got := w.Header().Get("X-Correlation-Id"); correlation != "" && got != correlation {
			r.t.Errorf("the request under %s is answered under %s", correlation, got)
		}
		var reply struct {
			Data   map[string]any
			Errors []any
		}
		must(r.t, json.Unmarshal(w.Body.Bytes(), &reply))
		if len(reply.Errors) > 0 {
			r.t.Fatalf("%s: %v", query, reply.Errors)
		}
		return reply.Data
	}
}

// steps is what `trace` shows of a cause, as "KIND system title".
func steps(data map[string]any) (out []string) {
	nodes := data["trace"].(map[string]any)["nodes"].([]any)
	for _, n := range nodes {
		m := n.(map[string]any)
		out = append(out, fmt.Sprint(m["kind"], " ", m["system"], " ", m["title"]))
	}
	return out
}

const traceOf = `query($c: String) { trace(correlationId: $c, first: 100) { nodes { kind system title correlationId } } }`

// TestOneCauseIsFoundEverywhere: a mutation under an id of the caller's, and a webhook, are found by that id in the history, the
// inbox, the projections, the calls to vendors and the cases that they led to; and a call that served many is found from each.
func TestOneCauseIsFoundEverywhere(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rigConfig) { c.policy, c.poll = opsOwns("phone"), time.Hour }) // the webhook tells first
	r.quiet(20 * time.Second)
	ask := r.api()
	has := func(cause string, want ...string) func() (bool, any) {
		return func() (bool, any) {
			got := steps(ask("", traceOf, map[string]any{"c": cause}))
			for _, w := range want {
				if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, w) }) {
					return false, fmt.Sprintf("%q is not among\n%s", w, strings.Join(got, "\n"))
				}
			}
			return true, got
		}
	}
	const create = `mutation($n: String, $e: String) { createCustomer(input: {values: {legalName: $n, email: $e}}) { customer { id } userErrors { message } } }`
	made := ask("order-4711", create, map[string]any{"n": "Traced Pty Ltd", "e": "traced@drill.example"})
	id := made["createCustomer"].(map[string]any)["customer"].(map[string]any)["id"].(string)
	eventually(t, 20*time.Second, "the mutation is traced", has("order-4711", "PERSON <nil> created", "EXCHANGE crm POST", "PROJECTION crm crm is level"))

	// A vendor that refuses: the case has the id too.
	_, err := r.crm.AddFault(sim.Fault{Kind: sim.FaultStatus, Status: 400, Count: 1, Method: "POST", Path: "/companies/batch/update", Body: []byte(`{"status":"error","category":"VALIDATION_ERROR","message":"no"}`)})
	must(t, err)
	ask("phone-change", `mutation($id: ID!) { updateCustomer(input: {id: $id, values: {phone: "0355501234"}}) { userErrors { message } } }`, map[string]any{"id": id})
	eventually(t, 20*time.Second, "the refusal is traced", has("phone-change", "PERSON ops set phone", "EXCHANGE crm POST", "CASE crm opened", "PROJECTION crm crm is refused"))

	// A webhook: its id is in the answer to the vendor, and on everything that follows.
	crmID := r.ledger("crm")[0].id
	_, err = r.crm.Put("companies", crmID, map[string]any{"name": "Traced Anew Pty Ltd"})
	must(t, err)
	var cause string
	eventually(t, 20*time.Second, "the webhook is traced", func() (bool, any) {
		rows, err := r.pool.Query(context.Background(), `SELECT DISTINCT correlation_id FROM signals WHERE source = 'webhook' AND external_id = $1`, "companies/"+crmID)
		must(t, err)
		var seen any = "no webhook about " + crmID
		for rows.Next() {
			must(t, rows.Scan(&cause))
			ok, got := has(cause, "SIGNAL crm webhook about Customer", "EXCHANGE crm", "DECISION crm proposed legalName", "CASE crm opened")()
			if seen = got; ok {
				rows.Close()
				return true, got
			}
		}
		return false, seen
	})

	// A burst is written in batches: the call is found from every one of the causes.
	for n := range 8 {
		ask(fmt.Sprint("burst-", n), create, map[string]any{"n": fmt.Sprint("Burst ", n), "e": fmt.Sprintf("burst%d@drill.example", n)})
	}
	r.quiet(30 * time.Second)
	for n := range 8 {
		eventually(t, 10*time.Second, "each of a batch is traced", has(fmt.Sprint("burst-", n), "EXCHANGE crm POST", "EXCHANGE accounting", "PROJECTION accounting accounting is level"))
	}
	var shared int
	must(t, r.pool.QueryRow(context.Background(), `SELECT count(*) FROM exchange_links WHERE correlation_id LIKE 'burst-%'`).Scan(&shared))
	if shared == 0 {
		t.Error("no call served more than one: nothing is proven about batches")
	}
}

// TestWebhooksAnswerTheirID: a vendor, or the proxy before Datum, is told by which id its notification is found.
func TestWebhooksAnswerTheirID(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rigConfig) { c.idle, c.noHooks = true, true })
	for given, want := range map[string]string{"": "cor_", "proxy-1234": "proxy-1234", "not one: x@y": "cor_"} {
		q, err := http.NewRequest(http.MethodPost, r.web.URL+"/webhooks/crm", strings.NewReader("[]"))
		must(t, err)
		q.Header.Set("X-Correlation-Id", given)
		resp, err := http.DefaultClient.Do(q)
		must(t, err)
		resp.Body.Close()
		if got := resp.Header.Get("X-Correlation-Id"); !strings.HasPrefix(got, want) {
			t.Errorf("given %q: %q", given, got)
		}
	}
}
