package graph_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"datum/domain"
	"datum/domain/store"
	"datum/graph"
)

// events opens a stream of server-sent events and returns what comes, "next" payloads only. The channel is closed when
// the stream ends; complete tells whether it ended with "complete".
func (f *fixture) events(t *testing.T, ctx context.Context, role store.Role, query string, vars map[string]any) (next <-chan reply, complete *bool) {
	t.Helper()
	body, _ := json.Marshal(map[string]any{"query": query, "variables": vars})
	req, err := http.NewRequestWithContext(ctx, "POST", f.url, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", appJSON)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+f.keys[role])
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %s", res.StatusCode, res.Header.Get("Content-Type"))
	}
	out, done := make(chan reply, 1000), false
	go func() {
		defer close(out)
		defer func() { _ = res.Body.Close() }()
		lines, event := bufio.NewScanner(res.Body), ""
		for lines.Scan() {
			name, value, _ := strings.Cut(lines.Text(), ":")
			switch name {
			case "event":
				event = strings.TrimSpace(value)
			case "data":
				switch event {
				case "next":
					var r reply
					if json.Unmarshal([]byte(value), &r) == nil {
						out <- r
					}
				case "complete":
					done = true
				}
			}
		}
	}()
	return out, &done
}

// take receives n events.
func take(t *testing.T, ch <-chan reply, n int) []reply {
	t.Helper()
	var rs []reply
	timeout := time.After(3 * time.Minute)
	for len(rs) < n {
		select {
		case r, ok := <-ch:
			if !ok {
				t.Fatalf("the stream ended after %d of %d events", len(rs), n)
			}
			rs = append(rs, r)
		case <-timeout:
			t.Fatalf("%d of %d events within 10 s", len(rs), n)
		}
	}
	return rs
}

func TestEventStream(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()

	next, complete := f.events(t, ctx, store.RoleReader, `{ viewer { name } }`, nil)
	if r := take(t, next, 1)[0]; r.text("viewer", "name") != "reader" {
		t.Errorf("a query: %+v", r)
	}
	if _, more := <-next; more || !*complete {
		t.Errorf("a query's stream ends with complete: more %v, complete %v", more, *complete)
	}

	next, complete = f.events(t, ctx, store.RoleReader, `subscription { nothing }`, nil)
	if r := take(t, next, 1)[0]; len(r.Errors) != 1 || r.Data != nil {
		t.Errorf("an invalid subscription: %+v", r)
	}
	if _, more := <-next; more || !*complete {
		t.Errorf("and its end: more %v, complete %v", more, *complete)
	}

	// A GET, as a browser's EventSource sends it; and never a mutation with one.
	get := map[string]string{"Accept": "text/event-stream", "Authorization": "Bearer " + f.keys[store.RoleAdmin]}
	if status, _, body := f.request("GET", f.url+"?query={__typename}", get, ""); status != 200 || !strings.Contains(body, "event: next\ndata: {\"data\":{\"__typename\":\"Query\"}}\n\nevent: complete\ndata:\n\n") {
		t.Errorf("%d %q", status, body)
	}
	if status, h, _ := f.request("GET", f.url+"?query=mutation{__typename}", get, ""); status != http.StatusMethodNotAllowed || h.Get("Allow") != "POST" {
		t.Errorf("a mutation with GET: %d", status)
	}

	// The end of the process is not the end of the subscription.
	next, complete = f.events(t, ctx, store.RoleReader, `subscription { customerChanged { cursor } }`, nil)
	close(f.done)
	if _, more := <-next; more || *complete {
		t.Errorf("when the process stops: more %v, complete %v", more, *complete)
	}
}

func TestEventStreamCap(t *testing.T) {
	t.Parallel()
	f := setup(t, func(c *graph.Config) { c.Transport.MaxStreams = 2 })
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	for range 2 {
		f.events(t, ctx, store.RoleReader, `subscription { customerChanged { cursor } }`, nil)
	}
	header := map[string]string{"Accept": "text/event-stream", "Content-Type": appJSON, "Authorization": "Bearer " + f.keys[store.RoleReader]}
	status, h, _ := f.request("POST", f.url, header, `{"query":"subscription { customerChanged { cursor } }"}`)
	if status != http.StatusTooManyRequests || h.Get("Retry-After") == "" {
		t.Errorf("a third stream: %d, Retry-After %q", status, h.Get("Retry-After"))
	}
}

// A client that reconnects again and again, at any time, with the last cursor it saw, sees every change once.
func TestCustomerChangedResumes(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	after := f.ask(store.RoleReader, `{ feedCursor }`, nil).text("feedCursor")

	const customers = 40
	var arriving sync.WaitGroup
	defer arriving.Wait()
	arriving.Go(func() {
		for i := range customers {
			f.customer(fmt.Sprint("c", i), fmt.Sprint("Customer ", i))
		}
	})
	seen := map[string]int{}
	cursors := map[string]bool{}
	query := `subscription($after: String) { customerChanged(after: $after) { cursor customerId customer { legalName } } }`
	for len(seen) < customers {
		stream, hangUp := context.WithCancel(ctx)
		next, _ := f.events(t, stream, store.RoleReader, query, map[string]any{"after": after})
		for _, r := range take(t, next, 1) {
			after = r.text("customerChanged", "cursor")
			if cursors[after] {
				t.Fatalf("event %s came twice", after)
			}
			cursors[after] = true
			if r.text("customerChanged", "customer", "legalName") == "" {
				t.Errorf("an event without its customer: %+v", r)
			}
			seen[r.text("customerChanged", "customerId")]++
		}
		hangUp()
	}

	// The same events, to a client that polls.
	polled := map[string]bool{}
	for from := ""; ; {
		r := f.ask(store.RoleReader, `query($after: String) { events(after: $after, first: 7) { cursor nodes { topic id cursor } } }`, map[string]any{"after": from})
		for i := range r.list("events", "nodes") {
			if r.text("events", "nodes", i, "topic") == "ENTITY" {
				polled[r.text("events", "nodes", i, "id")] = true
			}
		}
		if from = r.text("events", "cursor"); len(r.list("events", "nodes")) == 0 {
			break
		}
	}
	if len(polled) != customers {
		t.Errorf("polling found %d customers, want %d", len(polled), customers)
	}
}

func TestSubscriptionsFilterAndReadFresh(t *testing.T) {
	t.Parallel()
	f := setup(t)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	one, two := f.customer("c1", "First Pty Ltd"), f.customer("c2", "Second Pty Ltd")
	changed, _ := f.events(t, ctx, store.RoleReader,
		`subscription($ids: [ID!]) { customerChanged(ids: $ids) { customer { id version tradingName records { externalId } } } }`, map[string]any{"ids": []string{two}})
	projections, _ := f.events(t, ctx, store.RoleReader,
		`subscription($id: ID!) { projectionChanged(customerId: $id, systems: ["accounting"]) { projection { status system { name } customer { tradingName } } } }`, map[string]any{"id": two})
	cases, _ := f.events(t, ctx, store.RoleReader,
		`subscription($id: ID!) { caseChanged(customerId: $id) { case { kind field status } } }`, map[string]any{"id": two})
	health, _ := f.events(t, ctx, store.RoleReader, `subscription { systemHealth(systems: ["ops"]) { cursor system { mode } health { state openCases } } }`, nil)
	if r := take(t, health, 1)[0]; r.text("systemHealth", "health", "state") != "OK" || r.text("systemHealth", "cursor") == "" {
		t.Errorf("health to begin with: %+v", r)
	}

	for _, name := range []string{"Zwei", "Drei"} {
		f.record("crm", "c1", time.Now(), map[domain.Field]any{"kind": "BUSINESS", "legalName": "First Pty Ltd", "tradingName": name, "email": "c1@example.com.au", "status": "ACTIVE"})
		f.record("crm", "c2", time.Now(), map[domain.Field]any{"kind": "BUSINESS", "legalName": "Second Pty Ltd", "tradingName": name, "email": "c2@example.com.au", "status": "ACTIVE"})
		// A change may be more than one event; the last of them shows it.
		for got := ""; got != name; {
			r := take(t, changed, 1)[0]
			got = r.text("customerChanged", "customer", "tradingName")
			if r.text("customerChanged", "customer", "id") != two {
				t.Fatalf("an event of another customer: %+v", r)
			}
		}
	}
	if r := take(t, projections, 1)[0]; r.text("projectionChanged", "projection", "system", "name") != "accounting" || r.text("projectionChanged", "projection", "customer", "tradingName") == "" {
		t.Errorf("a projection: %+v", r)
	}
	update := `mutation($id: ID!) { updateCustomer(input: {id: $id, values: {legalName: "Other Pty Ltd"}}) { userErrors { code caseId } } }`
	f.ask(store.RoleEditor, update, map[string]any{"id": one})
	f.ask(store.RoleEditor, update, map[string]any{"id": two})
	if r := take(t, cases, 1)[0]; r.text("caseChanged", "case", "kind") != "CONFLICT" || r.text("caseChanged", "case", "field") != "legalName" {
		t.Errorf("a case: %+v", r)
	}
	f.ask(store.RoleOperator, `mutation { setSystemMode(input: {system: "ops", mode: OBSERVE}) { system { mode } userErrors { code } } }`, nil)
	eventually(t, "health follows the mode", func() bool {
		return take(t, health, 1)[0].text("systemHealth", "system", "mode") == "OBSERVE"
	})
}
