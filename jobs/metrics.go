package jobs

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"datum/domain/alert"
	"datum/domain/feed"
	"datum/domain/store"
)

// Metrics are what an operator watches, read from the rows when they are asked for, so that any process answers for all.
func (e *Engine) Metrics() prometheus.Gatherer {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{Engine: e})
	return r
}

// collector reads metrics; failed hears of those that cannot be read, and may be nil.
type collector struct {
	*Engine
	failed func(error)
}

// metricNames are the names of all metrics that the collector has.
var metricNames []string

// MetricNames returns the names of Datum's own metrics, by which alerts' rules call them.
func MetricNames() []string { return slices.Clone(metricNames) }

func desc(name, help string, labels ...string) *prometheus.Desc {
	metricNames = append(metricNames, "datum_"+name)
	return prometheus.NewDesc("datum_"+name, help, labels, nil)
}

var (
	descUp          = desc("database_up", "1 if the database answers.")
	descPending     = desc("projections", "Projections that are not confirmed.", "system", "kind", "status")
	descOldest      = desc("projections_oldest_seconds", "Age of the oldest projection that waits to be written.", "system", "kind")
	descAttempts    = desc("projections_attempts", "Failed tries of projections that wait.", "system", "kind")
	descSignals     = desc("signals", "Signals that are not done.", "system", "status")
	descSignalsAge  = desc("signals_oldest_seconds", "Age of the oldest signal that waits.", "system")
	descPaused      = desc("paused", "What waits because somebody has paused it; 0 if it is paused and nothing waits.", "system", "kind", "direction")
	descRecorded    = desc("recorded_writes", "Requests of a dry run that wait for approval.", "system")
	descBudget      = desc("budget_left", "Calls left in the vendor's limit.", "system", "limit")
	descBudgetCalls = desc("budget_calls", "Calls the vendor's limit allows in its window.", "system", "limit")
	descAuth        = desc("authorised", "0 if the system must be authorised again.", "system")
	descCases       = desc("cases_open", "Open cases.", "kind")
	descLevel       = desc("convergence_ratio", "Share of the entities of a system whose record equals what is wanted.", "system", "kind")
	descOpen        = desc("convergence_open", "Entities of a system whose record does not equal what is wanted.", "system", "kind")
	descLevelAge    = desc("convergence_age_seconds", "Time since the last complete comparison began; -1 if there was none.", "system", "kind")
	descHookAge     = desc("webhook_age_seconds", "Time since the last webhook was accepted; -1 if none ever was.", "system")
	descHooks       = desc("webhooks_received", "Webhooks accepted in all.", "system")
	descUntold      = desc("webhooks_untold", "Changes of the last day that a poll or sweep has found and no webhook had told of.", "system")
	descSubscribed  = desc("webhook_subscriptions", "Webhook subscriptions that Datum looks after.", "system", "state")
	descFeedEvents  = desc("feed_held_events", "Committed events held back behind a running transaction.")
	descFeedLag     = desc("feed_lag_seconds", "Age of the oldest event that is held back.")
	descJobs        = desc("jobs", "Jobs by queue and state.", "queue", "state")
	descJobsAge     = desc("jobs_oldest_seconds", "Age of the oldest job that could run.", "queue")
	descBudgetRatio = desc("budget_left_ratio", "Share of the vendor's limit that is left.", "system", "limit")
	descTokenAge    = desc("token_overdue_seconds", "Time since the access token expired without having been renewed; 0 if it is good.", "system")
	descKeyExpires  = desc("api_key_expires_seconds", "Time until the last API key of a name expires.", "system", "name")
	descSweepOver   = desc("sweep_overdue_seconds", "How much later than it should be the next complete comparison is; 0 if it is in time.", "system", "kind")
	descErrorRatio  = desc("exchange_error_ratio", "Share of the calls of the last 15 minutes that found the vendor not working; only from 20 calls on.", "system")
	descCalls       = desc("exchange_calls", "Calls to the vendor in the last 15 minutes.", "system")
	descWorkers     = desc("workers", "Working processes.")
	descSilent      = desc("worker_silent_seconds", "Time since a working process was last heard of.", "host", "process")
	descAlerts      = desc("alerts", "What is wrong now, by the rules of alerts.", "rule", "severity")
	descDeliveries  = desc("alert_deliveries", "Alerts that were not delivered: pending, or given up.", "status")
)

// Describe implements prometheus.Collector.
func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements prometheus.Collector.
func (c *collector) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	age := func(t *time.Time) float64 {
		if t == nil {
			return 0
		}
		return max(time.Since(*t).Seconds(), 0)
	}
	if err := c.pool.Ping(ctx); err != nil {
		gauge(descUp, 0)
		if c.failed != nil {
			c.failed(err)
		}
		return
	}
	gauge(descUp, 1)
	collect := func(what string, err error) {
		if err != nil {
			c.log.WarnContext(ctx, "metrics: "+what+" could not be read", "error", err)
			if c.failed != nil {
				c.failed(err)
			}
		}
	}
	backlogs, err := store.Backlogs(ctx, c.pool)
	collect("projections", err)
	for _, b := range backlogs {
		s, k := b.System, string(b.Kind)
		gauge(descPending, float64(b.Pending), s, k, "pending")
		gauge(descPending, float64(b.Refused), s, k, "refused")
		gauge(descPending, float64(b.Parked), s, k, "parked")
		gauge(descPending, float64(b.Detached), s, k, "detached")
		gauge(descOldest, age(b.OldestPending), s, k)
		gauge(descAttempts, float64(b.Attempts), s, k)
	}
	inboxes, err := store.Inboxes(ctx, c.pool)
	collect("signals", err)
	for _, i := range inboxes {
		gauge(descSignals, float64(i.Pending), i.System, "pending")
		gauge(descSignals, float64(i.Failed), i.System, "failed")
		gauge(descSignalsAge, age(i.Oldest), i.System)
	}
	paused, err := store.CountPaused(ctx, c.pool)
	collect("pauses", err)
	pauses, err := store.Pauses(ctx, c.pool)
	collect("pauses", err)
	for _, p := range pauses { // a pause of one kind counts that kind, of all kinds whatever waits
		if !slices.ContainsFunc(paused, func(w store.PausedWork) bool {
			return w.System == p.System && w.Direction == p.Direction && (p.Kind == "" || w.Kind == p.Kind)
		}) {
			paused = append(paused, store.PausedWork{System: p.System, Kind: p.Kind, Direction: p.Direction})
		}
	}
	for _, w := range paused {
		gauge(descPaused, float64(w.Waiting), w.System, string(w.Kind), string(w.Direction))
	}
	recorded, err := store.CountRecorded(ctx, c.pool)
	collect("recorded writes", err)
	for system, n := range recorded {
		gauge(descRecorded, float64(n), system)
	}
	budgets, err := store.Budgets(ctx, c.pool)
	collect("budgets", err)
	for _, b := range budgets {
		gauge(descBudget, float64(left(b)), b.System, b.Name)
		gauge(descBudgetCalls, float64(b.Calls), b.System, b.Name)
		gauge(descBudgetRatio, float64(left(b))/float64(max(b.Calls, 1)), b.System, b.Name)
	}
	auth, err := store.AuthStates(ctx, c.pool)
	collect("authorisation", err)
	for _, a := range auth {
		ok := 1.0
		if a.Status == store.AuthNeedsReauth {
			ok = 0
		}
		gauge(descAuth, ok, a.System)
		if a.ExpiresAt != nil {
			gauge(descTokenAge, age(a.ExpiresAt), a.System)
		}
	}
	cases, err := store.CountCases(ctx, c.pool)
	collect("cases", err)
	for k, n := range cases {
		gauge(descCases, float64(n), k)
	}
	levels, err := store.Convergences(ctx, c.pool)
	collect("convergence", err)
	for _, l := range levels {
		k := string(l.Kind)
		gauge(descLevel, l.Share(), l.System, k)
		gauge(descOpen, float64(l.Open()), l.System, k)
		if l.AsOf != nil {
			gauge(descLevelAge, age(l.AsOf), l.System, k)
		} else {
			gauge(descLevelAge, -1, l.System, k)
		}
	}
	hooks, err := store.WebhookHealths(ctx, c.pool)
	collect("webhooks", err)
	for _, h := range hooks {
		if h.ReceivedAt != nil {
			gauge(descHookAge, age(h.ReceivedAt), h.System)
		} else {
			gauge(descHookAge, -1, h.System)
		}
		gauge(descHooks, float64(h.Received), h.System)
		gauge(descUntold, float64(h.Untold), h.System)
		gauge(descSubscribed, float64(h.Active), h.System, "active")
		gauge(descSubscribed, float64(h.Wanted-h.Active), h.System, "dead")
	}
	held, lag, err := feed.Lag(ctx, c.pool)
	collect("feed", err)
	gauge(descFeedEvents, float64(held))
	gauge(descFeedLag, lag.Seconds())
	queues, err := store.Queues(ctx, c.pool)
	collect("jobs", err)
	for _, q := range queues {
		gauge(descJobs, float64(q.Jobs), q.Queue, q.State)
		if q.State == "available" {
			gauge(descJobsAge, age(q.Oldest), q.Queue)
		}
	}
	c.watched(ctx, gauge, age, collect)
}

// watched are the metrics that exist for alerts.
func (c *collector) watched(ctx context.Context, gauge func(*prometheus.Desc, float64, ...string), age func(*time.Time) float64, collect func(string, error)) {
	keys, err := store.KeyExpiries(ctx, c.pool)
	collect("API keys", err)
	for _, k := range keys {
		gauge(descKeyExpires, time.Until(k.ExpiresAt).Seconds(), k.System, k.Name)
	}
	sweeps, err := store.SweepAges(ctx, c.pool)
	collect("sweeps", err)
	for _, s := range sweeps {
		gauge(descSweepOver, max(age(&s.Since)-c.cfg.Sweep.Seconds(), 0), s.System, string(s.Kind))
	}
	rates, err := store.CallRates(ctx, c.pool, 15*time.Minute)
	collect("exchanges", err)
	for _, r := range rates {
		gauge(descCalls, float64(r.Calls), r.System)
		if r.Calls >= 20 {
			gauge(descErrorRatio, float64(r.Failed)/float64(r.Calls), r.System)
		}
	}
	processes, err := store.Processes(ctx, c.pool)
	collect("processes", err)
	alive := 0
	for _, p := range processes {
		if p.Alive {
			alive++
		}
		gauge(descSilent, age(&p.HeartbeatAt), p.Host, p.ID)
	}
	gauge(descWorkers, float64(alive))
	firing, err := store.Alerts(ctx, c.pool)
	collect("alerts", err)
	cfg, _, err := alert.InForce(ctx, c.pool, MetricNames())
	collect("rules of alerts", err)
	if err == nil {
		for _, r := range cfg.Rules {
			n := 0
			for _, a := range firing {
				if a.Rule == r.Name && a.Incident != "" {
					n++
				}
			}
			gauge(descAlerts, float64(n), r.Name, r.Severity)
		}
	}
	pending, dead, err := store.CountDeliveries(ctx, c.pool)
	collect("deliveries", err)
	gauge(descDeliveries, float64(pending), "pending")
	gauge(descDeliveries, float64(dead), "dead")
}

// left is how many calls the limit still allows now.
func left(b store.Budget) int64 {
	if b.BlockedUntil != nil && b.BlockedUntil.After(time.Now()) {
		return 0
	}
	return max(int64(b.Calls)-b.Used, 0)
}
