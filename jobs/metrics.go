package jobs

import (
	"context"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"datum/domain/feed"
	"datum/domain/store"
)

// Metrics are what an operator watches, read from the rows when they are asked for, so that any process answers for all.
func (e *Engine) Metrics() prometheus.Gatherer {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &collector{e})
	return r
}

type collector struct{ *Engine }

func desc(name, help string, labels ...string) *prometheus.Desc {
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
	descFeedEvents  = desc("feed_held_events", "Committed events held back behind a running transaction.")
	descFeedLag     = desc("feed_lag_seconds", "Age of the oldest event that is held back.")
	descJobs        = desc("jobs", "Jobs by queue and state.", "queue", "state")
	descJobsAge     = desc("jobs_oldest_seconds", "Age of the oldest job that could run.", "queue")
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
		return
	}
	gauge(descUp, 1)
	collect := func(what string, err error) {
		if err != nil {
			c.log.WarnContext(ctx, "metrics: "+what+" could not be read", "error", err)
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
	}
	auth, err := store.AuthStates(ctx, c.pool)
	collect("authorisation", err)
	for _, a := range auth {
		ok := 1.0
		if a.Status == store.AuthNeedsReauth {
			ok = 0
		}
		gauge(descAuth, ok, a.System)
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
}

// left is how many calls the limit still allows now.
func left(b store.Budget) int64 {
	if b.BlockedUntil != nil && b.BlockedUntil.After(time.Now()) {
		return 0
	}
	return max(int64(b.Calls)-b.Used, 0)
}
