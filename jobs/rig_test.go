package jobs_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"datum/adapters/all"
	"datum/adapters/hubspotsim"
	"datum/adapters/xerosim"
	"datum/domain/change"
	"datum/domain/feed"
	"datum/domain/ownership"
	"datum/domain/store"
	"datum/internal/pgtest"
	"datum/internal/vault"
	"datum/jobs"
)

// rig is a whole Datum in one process: both simulators over HTTP, a database of its own, and an engine at work.
type rig struct {
	t      testing.TB
	pool   *pgxpool.Pool
	crm    *hubspotsim.Sim
	xero   *xerosim.Sim
	engine *jobs.Engine
	sealer *vault.Vault
	hub    *feed.Hub
	cfg    jobs.Config
	web    *httptest.Server
}

type rigOption func(*rigConfig)

type rigConfig struct {
	policy      string
	xeroLimits  xerosim.Limits
	hubLimits   hubspotsim.Limits
	poll, sweep time.Duration
	noHooks     bool
	seed        func(r *rig) // puts objects into the vendors before Datum looks
}

func newRig(t testing.TB, opts ...rigOption) *rig {
	t.Helper()
	rc := rigConfig{policy: ownership.DefaultSource(), poll: time.Second, sweep: time.Hour,
		xeroLimits: xerosim.Limits{Minute: -1, Day: -1, AppMinute: -1, Concurrent: -1}, hubLimits: hubspotsim.Limits{Burst: 100000, Search: 10000}}
	for _, o := range opts {
		o(&rc)
	}
	r := &rig{t: t, pool: pgtest.New(t)}
	r.crm = hubspotsim.New(hubspotsim.Options{Seed: 1, Limits: rc.hubLimits, SearchLag: -1, HookScale: 0.0005})
	r.xero = xerosim.New(xerosim.Options{Seed: 1, Limits: rc.xeroLimits, HookScale: 0.0005})
	t.Cleanup(r.crm.Close)
	t.Cleanup(r.xero.Close)
	crmURL, err := r.crm.Listen("127.0.0.1:0")
	must(t, err)
	xeroURL, err := r.xero.Listen("127.0.0.1:0")
	must(t, err)
	crmURL, xeroURL = url(crmURL), url(xeroURL)

	r.sealer, err = vault.Parse("test:" + base64.StdEncoding.EncodeToString(make([]byte, 32)))
	must(t, err)
	level := slog.LevelWarn
	if testing.Verbose() && os.Getenv("DATUM_TEST_LOG") != "" {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level}))
	r.hub = feed.NewHub(r.pool, log, 0)
	mux := http.NewServeMux()
	r.web = httptest.NewServer(mux)
	r.cfg = jobs.Config{Pool: r.pool, Sealer: r.sealer, Vendors: all.Vendors(), Log: log, Ring: r.hub.Ring, Poll: rc.poll, Sweep: rc.sweep,
		WebhookURL: func(s string) string { return r.web.URL + "/webhooks/" + s }}
	r.engine, err = jobs.New(r.cfg, true)
	must(t, err)
	mux.Handle("/webhooks/{system}", r.engine.Webhooks())

	ctx := context.Background()
	_, err = r.engine.Applier().Publish(ctx, 0, rc.policy, change.Surroundings{Adapters: r.engine.Adapters(), Carries: r.engine.Carries}, change.Cause{Actor: "test"})
	must(t, err)
	r.connect("crm", crmURL, r.crm.Credentials(), map[string]string{"limit.burst": "100000", "limit.search": "10000"})
	r.connect("accounting", xeroURL, r.xero.Credentials(), map[string]string{"limit.minute": "100000", "limit.day": "1000000", "limit.concurrent": "50"})
	if rc.seed != nil {
		rc.seed(r)
	}
	if !rc.noHooks {
		must(t, r.crm.SetWebhook(ctx, r.web.URL+"/webhooks/crm"))
		must(t, r.xero.SetWebhook(ctx, r.web.URL+"/webhooks/accounting"))
	}
	run, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); _ = r.hub.Run(run) }()
	must(t, r.engine.Start(run))
	t.Cleanup(func() {
		stop, c := context.WithTimeout(context.Background(), 10*time.Second)
		defer c()
		r.web.Close()
		if err := r.engine.Stop(stop); err != nil {
			t.Error("stop:", err)
		}
		cancel()
		<-done
	})
	return r
}

func url(s string) string {
	if strings.HasPrefix(s, "http") {
		return s
	}
	return "http://" + s
}

func (r *rig) connect(system, base string, creds, extra map[string]string) {
	r.t.Helper()
	v := map[string]string{"baseUrl": base, "tokenUrl": base + creds["tokenPath"]}
	for _, k := range []string{"clientId", "clientSecret", "accessToken", "refreshToken", "webhookKey", "tenantId", "portalId"} {
		if creds[k] != "" {
			v[k] = creds[k]
		}
	}
	for k, x := range extra {
		v[k] = x
	}
	_, err := r.engine.Connect(context.Background(), system, jobs.Connection{Values: v, Check: true})
	must(r.t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits until ok, and fails with what was seen last.
func eventually(t testing.TB, within time.Duration, what string, ok func() (bool, any)) {
	t.Helper()
	end := time.Now().Add(within)
	for {
		good, seen := ok()
		if good {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s; last seen: %v", what, within, seen)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// quiet waits until nothing is pending: no signals, no projections.
func (r *rig) quiet(within time.Duration) {
	r.t.Helper()
	eventually(r.t, within, "quiet", func() (bool, any) {
		in, err := store.Inboxes(context.Background(), r.pool)
		must(r.t, err)
		out, err := store.Backlogs(context.Background(), r.pool)
		must(r.t, err)
		busy := false
		for _, i := range in {
			busy = busy || i.Pending > 0
		}
		for _, b := range out {
			busy = busy || b.Pending > 0
		}
		ready, err := store.ReadySystems(context.Background(), r.pool, "Customer")
		must(r.t, err)
		b, _ := json.Marshal([]any{in, out, ready})
		return !busy && len(ready) == 2 && r.crm.Idle(context.Background()) == nil && r.xero.Idle(context.Background()) == nil, string(b)
	})
}
