package jobs_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/common/expfmt"

	"datum/adapters/sim"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/graph"
	"datum/internal/telemetry"
)

// TestCanary plants unique personal data and secrets everywhere, has much go right and wrong, and looks for them. Secrets are
// nowhere: no log, no row, no answer. Personal data is where it belongs and not in logs, jobs and metrics.
func TestCanary(t *testing.T) {
	t.Parallel()
	var logged buffer
	r := newRig(t, func(c *rigConfig) {
		c.policy = opsOwns("phone")
		c.log = telemetry.NewLogger(&logged, telemetry.Options{Level: slog.LevelDebug, Format: "json"})
	})
	ctx := context.Background()
	_, key, err := store.CreateKey(ctx, r.pool, store.NewKey{System: "ops", Role: store.RoleAdmin, Name: "canary"})
	must(t, err)
	api, err := graph.NewHandler(graph.Config{Pool: r.pool, Feed: r.hub, Changes: r.engine.Applier(), Log: r.logger()})
	must(t, err)
	r.quiet(20 * time.Second)

	personal := []string{"Wilhelmina Zyzzogeton", "Zyzzogeton", "wzyzz@canarybird.example", "canarybird", "5550", "9753", "17 Quetzalcoatl", "Quetzalcoatl", "xylotheque", "Vivaldi"}
	secrets := []string{key, strings.SplitN(key, "_", 3)[2]}
	remember := func() {
		for _, c := range []map[string]string{r.crm.Credentials(), r.xero.Credentials()} {
			for _, k := range []string{"clientSecret", "accessToken", "refreshToken", "webhookKey"} {
				if c[k] != "" && !slices.Contains(secrets, c[k]) {
					secrets = append(secrets, c[k])
				}
			}
		}
	}
	remember()
	person := func(n int) map[string]any {
		return map[string]any{"firstname": "Wilhelmina", "lastname": fmt.Sprint("Zyzzogeton", strings.Repeat("a", n)), "email": fmt.Sprintf("wzyzz%d@canarybird.example", n), "phone": fmt.Sprintf("(03) 5550 97%02d", n),
			"address": fmt.Sprintf("%d Quetzalcoatl St", 17+20*n), "city": "Melbourne", "state": "VIC", "zip": "3000"}
	}
	put := func(s interface {
		Put(typ, id string, properties map[string]any) (any, error)
	}, typ, id string, p map[string]any) map[string]any {
		o, err := s.Put(typ, id, p)
		must(t, err)
		return plain(o)
	}
	// What goes right: people, a company with its contact, edits on both sides, a conflict that becomes a case.
	put(r.crm, "contacts", "", person(0))
	company := put(r.crm, "companies", "", map[string]any{"name": "Xylotheque Wilhelmina Zyzzogeton Pty Ltd", "abn": abn(1), "customer_email": "office@canarybird.example"})
	put(r.crm, "contacts", "", map[string]any{"firstname": "Vivaldi", "lastname": "Zyzzogeton", "email": "vivaldi@canarybird.example", "companies": company["id"]})
	put(r.xero, "contacts", "", map[string]any{"Name": "Zyzzogeton In Xero", "EmailAddress": "xero@canarybird.example"})
	r.quiet(30 * time.Second)
	for _, o := range r.ledger("accounting") {
		put(r.xero, "contacts", o.id, map[string]any{"EmailAddress": "other" + o.id[:4] + "@canarybird.example"})
	}
	put(r.crm, "companies", company["id"].(string), map[string]any{"name": "Zyzzogeton & Vivaldi Pty Ltd", "abn": "12345678901", "phone": "(03) 5550 9753"})
	r.quiet(30 * time.Second)
	// What goes wrong: the vendor refuses, answers nonsense with personal data in it, breaks off, asks for another token.
	put(r.xero, "contacts", "", map[string]any{"Name": "Taken Zyzzogeton"})
	for _, f := range []sim.Fault{{Kind: sim.FaultStatus, Status: 400, Count: 1, Method: "POST", Path: "/Contacts", Body: []byte(`{"Type":"ValidationException","Message":"Wilhelmina Zyzzogeton wzyzz@canarybird.example is not valid"}`)},
		{Kind: sim.FaultReset, Count: 1, Method: "POST", Path: "/Contacts"}, {Kind: sim.FaultStatus, Status: 503, Count: 1, Method: "POST", Path: "/Contacts"}} {
		_, err := r.xero.AddFault(f)
		must(t, err)
	}
	r.byOpsNamed("Taken Zyzzogeton", "taken@canarybird.example")
	r.byOpsNamed("<Zyzzogeton>", "lt@canarybird.example")
	r.byOpsNamed("Vivaldi "+strings.Repeat("Zyzzogeton ", 40), "long@canarybird.example")
	put(r.crm, "contacts", "", person(1))
	r.crm.Expire()
	r.xero.Expire()
	put(r.crm, "contacts", "", person(2))
	for _, hook := range []string{`not JSON: Wilhelmina Zyzzogeton wzyzz@canarybird.example`, `[{"objectId":"Zyzzogeton"}]`} {
		resp, err := http.Post(r.web.URL+"/webhooks/crm", "application/json", strings.NewReader(hook))
		must(t, err)
		resp.Body.Close()
		if resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("a forged webhook was answered %d", resp.StatusCode)
		}
	}
	var answers strings.Builder
	ask := func(body string) {
		q := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
		q.Header.Set("Content-Type", "application/json")
		q.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		api.ServeHTTP(w, q)
		answers.WriteString(w.Body.String() + "\n")
	}
	ask(`Wilhelmina Zyzzogeton wzyzz@canarybird.example`)
	ask(`{"query":"query($a: Int!) { customers(first: $a) { nodes { id } } }","variables":{"a":"Zyzzogeton wzyzz@canarybird.example"}}`)
	requestErrors := answers.String()
	ask(`{"query":"{ customers(first: 50) { nodes { id displayName email provenance { field system why } history(first: 5) { nodes { note } } projections { system status error } } } cases(first: 50) { nodes { kind title message next } } systems { name mode } }"}`)
	r.quiet(40 * time.Second)
	remember()
	r.xero.Revoke()
	remember()
	r.byOpsNamed("After Zyzzogeton", "after@canarybird.example")
	eventually(t, 15*time.Second, "needs authorisation", func() (bool, any) {
		c, err := store.CountCases(ctx, r.pool)
		must(t, err)
		return c[string(store.CaseReauth)] == 1, c
	})
	r.xero.Consent()
	r.connect("accounting")
	remember()
	r.quiet(40 * time.Second)

	families, err := r.engine.Metrics().Gather()
	must(t, err)
	var metrics bytes.Buffer
	for _, f := range families {
		_, err := expfmt.MetricFamilyToText(&metrics, f)
		must(t, err)
	}
	rows := r.everything()
	eventually(t, 5*time.Second, "exchanges are stored", func() (bool, any) {
		rows = r.everything()
		return strings.Count(rows["exchanges"], "\n") > 10, nil
	})
	if !strings.Contains(rows["exchanges"], "Zyzzogeton") || !strings.Contains(rows["records"], "Zyzzogeton") || strings.Count(logged.String(), "\n") < 50 {
		t.Fatal("the canary was not where it belongs: nothing is proven")
	}
	if len(secrets) < 8 {
		t.Fatalf("only %d secrets planted", len(secrets))
	}
	places := map[string]string{"the log": logged.String(), "metrics": metrics.String(), "answers": answers.String()}
	for table, text := range rows {
		places["table "+table] = text
	}
	for place, text := range places {
		for i, s := range secrets {
			if at := strings.Index(text, s); at >= 0 {
				t.Errorf("secret %d is in %s: …%s…", i, place, around(text, at))
			}
		}
	}
	for place, text := range map[string]string{"the log": logged.String(), "metrics": metrics.String(), "jobs": rows["river_job"], "request errors": requestErrors} {
		for _, p := range personal {
			// Short numbers turn up in times and ids by chance: they count where they stand alone.
			if at := regexp.MustCompile(`(?i)(^|[^0-9a-z.:_-])` + regexp.QuoteMeta(p)).FindStringIndex(text); at != nil {
				t.Errorf("%q is in %s: …%s…", p, place, around(text, at[0]))
			}
		}
	}
}

func around(text string, at int) string { return text[max(0, at-200):min(len(text), at+100)] }

// byOpsNamed creates one customer; whether it can be written anywhere is another matter.
func (r *rig) byOpsNamed(name, email string) {
	r.t.Helper()
	_, err := r.engine.Applier().Edit(context.Background(), change.Edit{System: "ops", Kind: domain.KindCustomer,
		Fields: domain.Values{"legalName": domain.TextValue(name), "email": domain.TextValue(email)}, Cause: causeOf("key:dat_canary (Jo)")})
	must(r.t, err)
}

// everything returns each table as text, but for what is sealed.
func (r *rig) everything() map[string]string {
	r.t.Helper()
	ctx := context.Background()
	rows, err := r.pool.Query(ctx, `SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`)
	must(r.t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	must(r.t, err)
	out := map[string]string{}
	for _, table := range tables {
		rows, err := r.pool.Query(ctx, `SELECT coalesce(x::text, '') FROM `+pgx.Identifier{table}.Sanitize()+` x`)
		must(r.t, err)
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		must(r.t, err)
		out[table] = strings.Join(lines, "\n")
	}
	return out
}
