package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"go.yaml.in/yaml/v3"

	"datum/domain"
	"datum/domain/alert"
	"datum/domain/store"
	"datum/jobs"
	"datum/jobs/notify"
)

// receiver is somebody who is told: it may be down, and notes what came.
type receiver struct {
	*httptest.Server
	down  atomic.Bool
	beats atomic.Int32
	mu    sync.Mutex
	ids   map[string]int // webhook-id: how often it was taken
	tried int
	got   []notify.Payload
}

func newReceiver(t *testing.T) *receiver {
	r := &receiver{ids: map[string]int{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/beat" {
			r.beats.Add(1)
			return
		}
		body, _ := io.ReadAll(q.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.tried++
		if r.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var p notify.Payload
		if err := json.Unmarshal(body, &p); err != nil {
			t.Error(err)
		}
		r.ids[q.Header.Get("webhook-id")]++
		r.got = append(r.got, p)
	}))
	t.Cleanup(r.Close)
	return r
}

// events are what was taken about a rule, in order.
func (r *receiver) events(rule string) (es []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.got {
		if p.Data.Rule == rule {
			es = append(es, strings.TrimPrefix(p.Type, "alert."))
		}
	}
	return es
}

const watched = `
interval: 1s
remind: 1h
heartbeat: {url: "%[1]s/beat", every: 1m}
channels:
  - {name: ops, type: webhook, url: "%[1]s/hook", secrets: [whsec_bm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm5ubm4=]}
rules:
  - {name: stuck, metric: datum_cases_open, labels: {kind: flow}, above: 0, for: 5m, severity: critical, summary: Something is stuck, next: see the case}
`

// TestAlerts: two processes watch, and one notice comes of one incident, after its time, even if the receiver was down meanwhile; a
// reminder when it lasts, and one when it is over; and a sign of life all the time.
func TestAlerts(t *testing.T) {
	t.Parallel()
	to := newReceiver(t)
	var clock atomic.Int64
	clock.Store(time.Now().UnixNano())
	r := newRig(t, func(c *rigConfig) { c.idle, c.noHooks = true, true })
	ctx := t.Context()
	cfg := r.cfg
	cfg.Alerts, cfg.AlertRetry = notify.Config{Private: true}, func(int) time.Duration { return 100 * time.Millisecond }
	cfg.Now = func() time.Time { return time.Unix(0, clock.Load()) }
	for range 2 {
		e, err := jobs.New(cfg, true)
		must(t, err)
		must(t, e.Start(context.Background()))
		t.Cleanup(func() {
			stop, cancel := context.WithTimeout(context.Background(), 10*patience*time.Second)
			defer cancel()
			_ = e.Stop(stop)
		})
	}
	_, err := alert.Apply(ctx, r.pool, r.sealer, jobs.MetricNames(), fmt.Sprintf(watched, to.URL), "jo")
	must(t, err)
	// looked moves the clock on and waits for a look and until what it found is told.
	looked := func(d time.Duration) {
		t.Helper()
		now := time.Unix(0, clock.Add(int64(d)))
		eventually(t, 15*time.Second, "a look", func() (bool, any) {
			var at time.Time
			must(t, r.pool.QueryRow(ctx, `SELECT greatest(looked_at, 'epoch') FROM alert_clock`).Scan(&at))
			return !at.Before(now.Truncate(time.Microsecond)), at
		})
	}
	told := func(want ...string) {
		t.Helper()
		eventually(t, 15*time.Second, "told", func() (bool, any) {
			got := to.events("stuck")
			return slices.Equal(got, want), got
		})
	}
	looked(time.Second)
	_, err = r.pool.Exec(ctx, `INSERT INTO cases (id, kind, title, dedupe_key) VALUES ('case_1', 'flow', 'x', 'x')`)
	must(t, err)
	looked(2 * time.Second)
	looked(4 * time.Minute)
	told()
	to.down.Store(true)
	looked(2 * time.Minute)
	eventually(t, 15*time.Second, "a try", func() (bool, any) { to.mu.Lock(); defer to.mu.Unlock(); return to.tried >= 2, to.tried })
	to.down.Store(false)
	told("firing")
	_, err = r.pool.Exec(ctx, `INSERT INTO cases (id, kind, title, dedupe_key) VALUES ('case_2', 'flow', 'y', 'y')`)
	must(t, err)
	looked(30 * time.Minute)
	looked(40 * time.Minute)
	told("firing", "reminder")
	_, err = r.pool.Exec(ctx, `UPDATE cases SET status = 'closed', closed_at = now()`)
	must(t, err)
	looked(time.Minute)
	told("firing", "reminder", "resolved")
	looked(2 * time.Hour)
	told("firing", "reminder", "resolved")
	to.mu.Lock()
	for id, n := range to.ids {
		if n != 1 {
			t.Errorf("%s came %d times", id, n)
		}
	}
	incident := to.got[0].Data.Incident
	for _, p := range to.got {
		if p.Data.Incident != incident || incident == "" || p.Data.Severity != "critical" {
			t.Errorf("%+v is not of %s", p, incident)
		}
	}
	to.mu.Unlock()
	eventually(t, 10*time.Second, "signs of life", func() (bool, any) { return to.beats.Load() >= 4, to.beats.Load() })
	if n := to.beats.Load(); n > 9 {
		t.Errorf("%d signs of life at 8 moves of the clock", n)
	}

	// A receiver that stays down: given up after its tries, with a case, which the first delivery that arrives closes.
	to.down.Store(true)
	id, err := alert.TestChannel(ctx, r.pool, jobs.MetricNames(), "ops", "jo", time.Now())
	must(t, err)
	state := func() (store.Delivery, int) {
		d, err := store.DeliveryByID(ctx, r.pool, id)
		must(t, err)
		cases, err := store.CountCases(ctx, r.pool)
		must(t, err)
		return d, int(cases[store.CaseStuck])
	}
	eventually(t, 30*time.Second, "given up", func() (bool, any) {
		d, cases := state()
		return d.Status == "dead" && d.Attempts == 8 && cases == 1 && strings.Contains(d.Error, "503"), d
	})
	to.down.Store(false)
	id, err = alert.TestChannel(ctx, r.pool, jobs.MetricNames(), "ops", "jo", time.Now())
	must(t, err)
	eventually(t, 15*time.Second, "delivered, and the case closed", func() (bool, any) {
		d, cases := state()
		return d.Status == "sent" && cases == 0, d
	})
	if _, err := alert.TestChannel(ctx, r.pool, jobs.MetricNames(), "nobody", "jo", time.Now()); domain.CodeOf(err) != domain.NotFound {
		t.Errorf("a channel that is none: %v", err)
	}
	noSecrets(t, r.pool, "bm5ubm5ubm5u", "/beat")
}

// noSecrets fails if a table has one of the texts.
func noSecrets(t *testing.T, pool *pgxpool.Pool, texts ...string) {
	t.Helper()
	for _, table := range []string{"alert_configs", "alert_secrets", "alert_deliveries", "river_job"} {
		for _, s := range texts {
			var n int
			must(t, pool.QueryRow(t.Context(), `SELECT count(*) FROM `+table+` x WHERE strpos(x::text, $1) > 0`, s).Scan(&n))
			if n > 0 {
				t.Errorf("%s has %s", table, s)
			}
		}
	}
}

// exported are the metrics, with their labels, of a rig in which everything is there once.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("metrics.go")
	must(t, err)
	out := map[string][]string{}
	for _, m := range regexp.MustCompile(`desc\("([a-z_]+)", "[^"]*"((?:, "[a-z]+")*)\)`).FindAllStringSubmatch(string(text), -1) {
		for _, l := range regexp.MustCompile(`"([a-z]+)"`).FindAllStringSubmatch(m[2], -1) {
			out["datum_"+m[1]] = append(out["datum_"+m[1]], l[1])
		}
		if len(m[2]) == 0 {
			out["datum_"+m[1]] = nil
		}
	}
	if len(out) != len(jobs.MetricNames()) {
		t.Fatalf("%d metrics in the source, %d exported", len(out), len(jobs.MetricNames()))
	}
	return out
}

// TestMetricsThatAreNamedExist: the default rules, the Prometheus rules and the dashboard name only metrics and labels that there are.
func TestMetricsThatAreNamedExist(t *testing.T) {
	t.Parallel()
	have := exported(t)
	c, err := alert.Parse(alert.DefaultSource(), jobs.MetricNames())
	must(t, err)
	for _, r := range c.Rules {
		for l := range r.Labels {
			if !slices.Contains(have[r.Metric], l) {
				t.Errorf("rule %s: %s has no label %s", r.Name, r.Metric, l)
			}
		}
		if r.Next == "" {
			t.Errorf("rule %s does not say what to do", r.Name)
		}
	}
	check := func(where, expr string) {
		t.Helper()
		for _, pair := range []string{"()", "{}"} {
			if strings.Count(expr, pair[:1]) != strings.Count(expr, pair[1:]) {
				t.Errorf("%s: %q does not close its %s", where, expr, pair)
			}
		}
		found := regexp.MustCompile(`(datum_[a-z_]+)(\{[^}]*\})?`).FindAllStringSubmatch(expr, -1)
		if len(found) == 0 {
			t.Errorf("%s: %q names no metric of ours", where, expr)
		}
		var labels []string
		for _, m := range found {
			ls, ok := have[m[1]]
			if !ok {
				t.Errorf("%s: there is no metric %s", where, m[1])
			}
			labels = append(labels, ls...)
			for _, l := range regexp.MustCompile(`([a-z_]+)\s*(?:=~|!=|=)`).FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(ls, l[1]) {
					t.Errorf("%s: %s has no label %s", where, m[1], l[1])
				}
			}
		}
		for _, m := range regexp.MustCompile(`by \(([^)]*)\)`).FindAllStringSubmatch(expr, -1) {
			for _, l := range strings.Split(m[1], ", ") {
				if !slices.Contains(labels, l) {
					t.Errorf("%s: by %s, which no metric of it has", where, l)
				}
			}
		}
	}
	var rules struct {
		Groups []struct {
			Name  string
			Rules []struct {
				Alert, Expr, For    string
				Labels, Annotations map[string]string
			}
		}
	}
	text, err := os.ReadFile("../docs/prometheus/datum.rules.yml")
	must(t, err)
	d := yaml.NewDecoder(strings.NewReader(string(text)))
	d.KnownFields(true)
	must(t, d.Decode(&rules))
	if len(rules.Groups) != 1 || len(rules.Groups[0].Rules) < 12 {
		t.Fatalf("%d groups", len(rules.Groups))
	}
	for _, r := range rules.Groups[0].Rules {
		if _, err := time.ParseDuration(r.For); err != nil || r.Alert == "" || r.Labels["severity"] == "" || r.Annotations["summary"] == "" {
			t.Errorf("%+v: %v", r, err)
		}
		check(r.Alert, r.Expr)
		for _, m := range regexp.MustCompile(`\$labels\.([a-z_]+)`).FindAllStringSubmatch(r.Annotations["summary"], -1) {
			if !strings.Contains(r.Expr, m[1]) {
				t.Errorf("%s: its summary names the label %s, which its expression drops", r.Alert, m[1])
			}
		}
	}
	var board struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text, err = os.ReadFile("../docs/grafana/datum.json")
	must(t, err)
	must(t, json.Unmarshal(text, &board))
	for _, p := range board.Panels {
		if len(p.Targets) == 0 {
			t.Errorf("the panel %s shows nothing", p.Title)
		}
		for _, target := range p.Targets {
			check(p.Title, target.Expr)
		}
	}
}

// TestDefaultRulesFire: with the rules that hold until others are applied, what they are about is noticed: each is made true once.
func TestDefaultRulesFire(t *testing.T) {
	t.Parallel()
	var clock atomic.Int64
	clock.Store(time.Now().UnixNano())
	r := newRig(t, func(c *rigConfig) { c.idle, c.noHooks = true, true })
	ctx := t.Context()
	_, _, err := store.CreateKey(ctx, r.pool, store.NewKey{System: "ops", Role: store.RoleReader, Name: "soon", ExpiresAt: time.Now().Add(24 * time.Hour)})
	must(t, err)
	for _, sql := range []string{
		`UPDATE credentials SET auth_state = 'needs_reauth', expires_at = now() - interval '1 hour' WHERE system = 'crm'`,
		`INSERT INTO entities (id, kind) SELECT 'cus_' || n, 'Customer' FROM generate_series(1, 3) n`,
		`INSERT INTO projections (entity_id, system, kind, status, pending_since) VALUES ('cus_1', 'crm', 'Customer', 'refused', NULL), ('cus_2', 'crm', 'Customer', 'pending', now() - interval '1 hour'), ('cus_3', 'crm', 'Customer', 'parked', NULL)`,
		`INSERT INTO signals (system, kind, external_id, source, status, received_at) VALUES ('crm', 'Customer', '1', 'poll', 'failed', now()), ('crm', 'Customer', '2', 'poll', 'pending', now() - interval '1 hour')`,
		`INSERT INTO cases (id, kind, title, dedupe_key) SELECT k, k, 'x', k FROM unnest(ARRAY['drift', 'mass_change', 'stuck']) k`,
		`INSERT INTO cases (id, kind, title, dedupe_key) SELECT 'c' || n, 'conflict', 'x', n FROM generate_series(1, 101) n`,
		`INSERT INTO exchanges (system, sent_at, duration_ms, method, path, status) SELECT 'accounting', now(), 1, 'GET', '/', CASE WHEN n % 2 = 0 THEN 503 ELSE 200 END FROM generate_series(1, 30) n`,
		`INSERT INTO cursors (system, kind, name, ready, ready_at, finished_at) VALUES ('crm', 'Customer', 'changes', true, now() - interval '1 day', NULL), ('crm', 'Customer', 'sweep', false, NULL, now() - interval '1 day')
			ON CONFLICT (system, kind, name) DO UPDATE SET ready_at = excluded.ready_at, finished_at = excluded.finished_at`,
		`INSERT INTO processes (id, host, pid, heartbeat_at) VALUES ('prc_dead', 'h', 1, now() - interval '1 minute')`,
		`INSERT INTO river_job (kind, args, queue, state, max_attempts, scheduled_at) VALUES ('ingest', '{}', 'nobody', 'available', 1, now() - interval '1 hour')`,
		`INSERT INTO budgets (system, name, calls, per_ms, slots, live, bulk, other) VALUES ('accounting', 'day', 100, 86400000, ARRAY[now()], ARRAY[95], ARRAY[0], ARRAY[0])
			ON CONFLICT (system, name) DO UPDATE SET calls = 100, slots = excluded.slots, live = excluded.live, bulk = excluded.bulk, other = excluded.other`,
	} {
		_, err := r.pool.Exec(ctx, sql)
		must(t, err)
	}
	cfg := r.cfg
	cfg.Now = func() time.Time { return time.Unix(0, clock.Load()) }
	e, err := jobs.New(cfg, false)
	must(t, err)
	t.Cleanup(func() { _ = e.Stop(context.Background()) })
	must(t, e.Watch(ctx))
	clock.Add(int64(25 * time.Hour))
	must(t, e.Watch(ctx))
	c, _, err := alert.InForce(ctx, r.pool, jobs.MetricNames())
	must(t, err)
	as, err := store.Alerts(ctx, r.pool)
	must(t, err)
	for _, rule := range c.Rules {
		if !slices.ContainsFunc(as, func(a store.Alert) bool { return a.Rule == rule.Name && a.Incident != "" }) {
			t.Errorf("%s has not fired", rule.Name)
		}
	}
}
