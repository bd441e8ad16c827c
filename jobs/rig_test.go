package jobs_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"datum/adapters"
	"datum/adapters/all"
	"datum/adapters/hubspotsim"
	"datum/adapters/sim"
	"datum/adapters/xerosim"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/feed"
	"datum/domain/ownership"
	"datum/domain/store"
	"datum/internal/pgtest"
	"datum/internal/vault"
	"datum/jobs"
)

// rig is a whole Datum: both simulators over HTTP, a database of its own, and workers, in this process or in others.
type rig struct {
	t      testing.TB
	url    string
	pool   *pgxpool.Pool
	crm    *hubspotsim.Sim
	xero   *xerosim.Sim
	engine *jobs.Engine // takes webhooks and edits; takes jobs too unless there are others for them
	sealer *vault.Vault
	hub    *feed.Hub
	cfg    jobs.Config
	rc     rigConfig
	web    *httptest.Server
	repeat atomic.Int32 // how often the receiver is told each webhook; 0 is once
	// arrived is when the last webhook came, in Unix nanoseconds.
	arrived atomic.Int64
	crmURL  string
	accURL  string
}

type rigOption func(*rigConfig)

type rigConfig struct {
	policy      string
	xero        xerosim.Options
	crm         hubspotsim.Options
	settings    map[string]map[string]string // by system, beside the credentials
	poll, sweep time.Duration
	noHooks     bool
	idle        bool     // no workers in this process
	url         string   // of a database with all migrations; a fresh one if empty
	workerEnv   []string // of real processes, beside what they need
	log         *slog.Logger
	tracer      pgx.QueryTracer          // of every statement; may be nil
	minute      time.Duration            // how long Xero's minute lasts, for it and for Datum; 0 is a minute
	between     func(base string) string // puts something between Datum and the CRM, and returns its address
	seed        func(r *rig)             // puts objects into the vendors before Datum looks
	// hooks and bound are Config's Hooks and HookBound.
	hooks, bound time.Duration
}

const drillKey = "test:" // the vault key's id; its bytes are zero

func newRig(t testing.TB, opts ...rigOption) *rig {
	t.Helper()
	rc := rigConfig{policy: customersOnly(), poll: time.Second, sweep: time.Hour,
		xero: xerosim.Options{Seed: 1, HookScale: 0.0005, Limits: xerosim.Limits{Minute: -1, Day: -1, AppMinute: -1, Concurrent: -1}},
		crm:  hubspotsim.Options{Seed: 1, HookScale: 0.0005, SearchLag: -1, Limits: hubspotsim.Limits{Burst: 100000, Search: 10000}},
		settings: map[string]map[string]string{"crm": {"limit.burst": "100000", "limit.search": "10000"},
			"accounting": {"limit.minute": "100000", "limit.day": "1000000", "limit.concurrent": "50"}}}
	for _, o := range opts {
		o(&rc)
	}
	if rc.url == "" {
		rc.url = pgtest.URL(t)
	}
	r := &rig{t: t, rc: rc, url: rc.url, crm: hubspotsim.New(rc.crm), xero: xerosim.New(rc.xero)}
	t.Cleanup(r.crm.Close)
	t.Cleanup(r.xero.Close)
	var err error
	r.crmURL, err = r.crm.Listen("127.0.0.1:0")
	must(t, err)
	if rc.between != nil {
		r.crmURL = rc.between(r.crmURL)
	}
	r.accURL, err = r.xero.Listen("127.0.0.1:0")
	must(t, err)
	r.pool = poolOn(t, r.url, rc.tracer)
	r.sealer, err = vault.Parse(drillKey + base64.StdEncoding.EncodeToString(make([]byte, 32)))
	must(t, err)
	r.hub = feed.NewHub(r.pool, r.logger(), 0)
	mux := http.NewServeMux()
	r.web = httptest.NewServer(mux)
	t.Cleanup(r.web.Close)
	r.cfg = jobs.Config{Pool: r.pool, Sealer: r.sealer, Vendors: rc.vendors(), Log: r.logger(), Ring: r.hub.Ring, Poll: rc.poll, Sweep: rc.sweep, Hooks: rc.hooks, HookBound: rc.bound,
		WebhookURL: func(s string) string { return r.web.URL + "/webhooks/" + s }}
	r.engine, err = jobs.New(r.cfg, !rc.idle)
	must(t, err)
	hooks := r.engine.Webhooks()
	mux.HandleFunc("/webhooks/{system}", func(w http.ResponseWriter, q *http.Request) {
		r.arrived.Store(time.Now().UnixNano())
		body, err := io.ReadAll(q.Body)
		if err != nil {
			return
		}
		for i := int32(1); i < r.repeat.Load(); i++ {
			q.Body = io.NopCloser(bytes.NewReader(body))
			hooks.ServeHTTP(httptest.NewRecorder(), q)
		}
		q.Body = io.NopCloser(bytes.NewReader(body))
		hooks.ServeHTTP(w, q)
	})

	ctx := context.Background()
	_, err = r.engine.Applier().Publish(ctx, 0, unbraked(rc.policy), r.around(), change.Cause{Actor: "test"})
	must(t, err)
	r.connect("crm")
	r.connect("accounting")
	if rc.seed != nil {
		rc.seed(r)
	}
	if !rc.noHooks {
		must(t, r.crm.SetWebhook(ctx, r.web.URL+"/webhooks/crm"))
		must(t, r.xero.SetWebhook(ctx, r.web.URL+"/webhooks/accounting"))
	}
	r.run()
	return r
}

// vendors are all of them, with Xero's minute as it is to last.
func (rc *rigConfig) vendors() []adapters.Vendor {
	vs := all.Vendors()
	if i := slices.IndexFunc(vs, func(v adapters.Vendor) bool { return v.Name == "xero" }); rc.minute > 0 {
		vs[i].Limits = slices.Clone(vs[i].Limits)
		j := slices.IndexFunc(vs[i].Limits, func(l adapters.Limit) bool { return l.Name == "minute" })
		vs[i].Limits[j].Per = rc.minute
	}
	return vs
}

// logger is the test's own, or logs errors to the test.
func (r *rig) logger() *slog.Logger {
	if r.rc.log != nil {
		return r.rc.log
	}
	var w io.Writer = r.t.Output()
	level := slog.LevelError
	if path := os.Getenv("DATUM_TEST_LOG"); path != "" { // everything, into a file
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		must(r.t, err)
		r.t.Cleanup(func() { f.Close() })
		w, level = f, slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// run starts the hub, and the engine unless it is idle, until the test ends.
func (r *rig) run() {
	run, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.hub.Run(run) }()
	if !r.rc.idle {
		must(r.t, r.engine.Start(run))
	}
	r.t.Cleanup(func() {
		stop, c := context.WithTimeout(context.Background(), 10*patience*time.Second)
		defer c()
		r.web.Close()
		if err := r.engine.Stop(stop); err != nil {
			r.t.Error("stop:", err)
		}
		cancel()
		<-done
	})
}

func poolOn(t testing.TB, url string, tracer pgx.QueryTracer) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(url)
	must(t, err)
	cfg.MaxConns, cfg.ConnConfig.Tracer = pgtest.MaxConns, tracer
	pool, err := pgxpool.NewWithConfig(context.Background(), cfg)
	must(t, err)
	t.Cleanup(pool.Close)
	return pool
}

func (r *rig) around() change.Surroundings {
	return change.Surroundings{Adapters: r.engine.Adapters(), Carries: r.engine.Carries}
}

// connect connects a system to its simulator, with the simulator's credentials as they are now.
func (r *rig) connect(system string) {
	r.t.Helper()
	base, creds := r.crmURL, r.crm.Credentials()
	if system == "accounting" {
		base, creds = r.accURL, r.xero.Credentials()
	}
	v := map[string]string{"baseUrl": base, "tokenUrl": base + creds["tokenPath"]}
	for _, k := range []string{"clientId", "clientSecret", "accessToken", "refreshToken", "webhookKey", "tenantId", "portalId"} {
		if creds[k] != "" {
			v[k] = creds[k]
		}
	}
	maps.Copy(v, r.rc.settings[system])
	_, err := r.engine.Connect(context.Background(), system, jobs.Connection{Values: v, Check: true})
	must(r.t, err)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// patience is how many times longer a wait may take than on a machine that does nothing else: only a failure costs the time.
const patience = 6

// eventually waits until ok, and fails with what was seen last.
func eventually(t testing.TB, within time.Duration, what string, ok func() (bool, any)) {
	t.Helper()
	within *= patience
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

// state is what waits, for quiet and its failure message.
type state struct {
	Inboxes  []store.Inbox
	Backlogs []store.Backlog
	Unread   []string // of a system a kind that has not been read completely yet
	Flows    int
}

func (r *rig) state() (s state, busy bool) {
	r.t.Helper()
	var err error
	s.Inboxes, err = store.Inboxes(context.Background(), r.pool)
	must(r.t, err)
	s.Backlogs, err = store.Backlogs(context.Background(), r.pool)
	must(r.t, err)
	s.Unread = r.unread()
	for _, i := range s.Inboxes {
		busy = busy || i.Pending > 0
	}
	for _, b := range s.Backlogs {
		busy = busy || b.Pending+b.Parked > 0
	}
	must(r.t, r.pool.QueryRow(context.Background(), `SELECT count(*) FROM river_job WHERE kind = 'flow' AND state IN ('available', 'pending', 'running', 'retryable', 'scheduled')`).Scan(&s.Flows))
	return s, busy || s.Flows > 0 || len(s.Unread) > 0
}

// unread lists what the policy speaks of, a connected system carries, and its first reading has not brought yet.
func (r *rig) unread() (left []string) {
	r.t.Helper()
	ctx := context.Background()
	pol, _, err := r.engine.Applier().Policy(ctx, r.pool, 0)
	must(r.t, err)
	systems, err := store.Systems(ctx, r.pool)
	must(r.t, err)
	var known []string // a connected system, or of one a kind that has been read
	must(r.t, r.pool.QueryRow(ctx, `SELECT array(SELECT system FROM credentials UNION ALL SELECT system || ' ' || kind FROM cursors WHERE name = 'changes' AND ready)`).Scan(&known))
	for _, s := range systems {
		i := slices.IndexFunc(r.cfg.Vendors, func(v adapters.Vendor) bool { return v.Name == s.Adapter })
		if i < 0 || !slices.Contains(known, s.Name) {
			continue
		}
		for kind := range pol.Kinds {
			m, err := r.cfg.Vendors[i].CarriedBy(s.Settings, kind)
			if what := s.Name + " " + string(kind); err == nil && m != nil && !slices.Contains(known, what) {
				left = append(left, what)
			}
		}
	}
	return left
}

// quiet waits until all systems are read, every webhook is delivered and nothing waits: no signals, no projections.
func (r *rig) quiet(within time.Duration) {
	r.t.Helper()
	eventually(r.t, within, "quiet", func() (bool, any) {
		told := r.crm.Stats().Webhooks.Pending + r.xero.Stats().Webhooks.Pending
		s, busy := r.state()
		b, _ := json.Marshal(s)
		return !busy && told == 0, fmt.Sprintf("%d webhooks, %s", told, b)
	})
}

// swept waits until a sweep of every system that began after now is done and what it brought is applied. The sweeps are the
// scheduled ones.
func (r *rig) swept(within time.Duration) {
	r.t.Helper()
	since := time.Now()
	eventually(r.t, within, "swept", func() (bool, any) {
		for _, s := range []string{"crm", "accounting"} {
			ok, err := r.engine.SweptSince(context.Background(), s, domain.KindCustomer, since)
			must(r.t, err)
			if !ok {
				return false, s
			}
		}
		return true, nil
	})
}

// customersOnly is what the default policy says of customers: a business that keeps nothing else here.
func customersOnly() string {
	source, _, _ := strings.Cut(ownership.DefaultSource(), "\n# What Datum does by itself")
	return source
}

// unbraked is the policy with edits in any number, as tests make them, unless it says something about brakes itself.
func unbraked(policy string) string {
	if strings.Contains(policy, "\nbrake:") {
		return policy
	}
	return strings.Replace(policy, "\nCustomer:", "\nbrake:\n  edits: off\n\nCustomer:", 1)
}

// opsOwns is that policy with a field of Customer given to ops.
func opsOwns(field string) string {
	lines := strings.Split(customersOnly(), "\n")
	for i, l := range lines {
		if strings.HasPrefix(strings.TrimSpace(l), field+":") {
			lines[i] = "    " + field + ": {owner: ops, fallback: [crm, accounting], others: restore}"
			return strings.Join(lines, "\n")
		}
	}
	panic("the default policy has no rule for " + field)
}

// abn makes the n-th valid ABN.
func abn(n int) string {
	weights := [11]int{10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19}
	var d [11]int
	sum := 0
	for i, x := 10, 100_000_000+n; i >= 2; i, x = i-1, x/10 {
		d[i] = x % 10
		sum += d[i] * weights[i]
	}
	for check := 10; check < 100; check++ {
		if (sum+(check/10-1)*10+check%10)%89 == 0 {
			return fmt.Sprintf("%d%09d", check, 100_000_000+n)
		}
	}
	panic("there are check digits for every number")
}

// named is the n-th customer's name, unique.
func named(n int) string { return fmt.Sprintf("Drill %05d Pty Ltd", n) }

// byOps creates customers from to below to as an internal app would, some at once, and returns their ids in order.
func (r *rig) byOps(from, to int) []string {
	r.t.Helper()
	ids := make([]string, to-from)
	g := new(errgroup.Group)
	g.SetLimit(6)
	for i := range ids {
		g.Go(func() error {
			n := from + i
			res, err := r.engine.Applier().Edit(context.Background(), change.Edit{System: "ops", Kind: domain.KindCustomer, Fields: domain.Values{
				"legalName": domain.TextValue(named(n)), "abn": domain.TextValue(abn(n)), "email": domain.TextValue(fmt.Sprintf("c%d@drill.example", n))},
				Cause: change.Cause{Actor: "test", Source: change.FromMutation, CorrelationID: domain.NewID("cor")}})
			if err == nil && len(res.Refused) > 0 {
				err = res.Refused[0]
			}
			ids[i] = res.EntityID
			return err
		})
	}
	must(r.t, g.Wait())
	return ids
}

// set changes one field of each entity for ops, some at once.
func (r *rig) set(ids []string, field domain.Field, value func(i int) string) {
	r.t.Helper()
	g := new(errgroup.Group)
	g.SetLimit(6)
	for i, id := range ids {
		g.Go(func() error {
			res, err := r.engine.Applier().Edit(context.Background(), change.Edit{System: "ops", Kind: domain.KindCustomer, EntityID: id,
				Fields: domain.Values{field: domain.TextValue(value(i))}, Cause: change.Cause{Actor: "test", Source: change.FromMutation, CorrelationID: domain.NewID("cor")}})
			if err == nil && len(res.Refused) > 0 {
				err = res.Refused[0]
			}
			return err
		})
	}
	must(r.t, g.Wait())
}

// inCRM and inXero enter the n-th customer on the vendor's own screen and return its id.
func (r *rig) inCRM(n int) string {
	r.t.Helper()
	o, err := r.crm.Put("companies", "", map[string]any{"name": named(n), "abn": abn(n), "customer_email": fmt.Sprintf("c%d@drill.example", n)})
	must(r.t, err)
	return plain(o)["id"].(string)
}

func (r *rig) inXero(n int) string {
	r.t.Helper()
	o, err := r.xero.Put("contacts", "", map[string]any{"Name": named(n), "TaxNumber": abn(n), "EmailAddress": fmt.Sprintf("c%d@drill.example", n)})
	must(r.t, err)
	return plain(o)["ContactID"].(string)
}

func plain(o any) map[string]any {
	b, err := json.Marshal(o)
	if err != nil {
		panic(err)
	}
	m := map[string]any{}
	if err := json.Unmarshal(b, &m); err != nil {
		panic(err)
	}
	return m
}

// object is one live customer in a vendor's own ledger.
type object struct{ id, name, abn, phone, ours string }

// ledger returns the live customers of a vendor's own ledger.
func (r *rig) ledger(system string) []object {
	r.t.Helper()
	var out []object
	str := func(v any) string { s, _ := v.(string); return s }
	if system == "crm" {
		objects, err := r.crm.Objects("companies")
		must(r.t, err)
		for _, o := range objects {
			m := plain(o)
			p, _ := m["properties"].(map[string]any)
			if m["archived"] != true {
				out = append(out, object{str(m["id"]), str(p["name"]), str(p["abn"]), str(p["phone"]), str(p["datum_id"])})
			}
		}
		return out
	}
	objects, err := r.xero.Objects("contacts")
	must(r.t, err)
	for _, o := range objects {
		m := plain(o)
		if m["archived"] == true {
			continue
		}
		phone := ""
		ps, _ := m["Phones"].([]any)
		for _, x := range ps {
			if p, _ := x.(map[string]any); p["PhoneType"] == "DEFAULT" {
				phone = str(p["PhoneCountryCode"]) + str(p["PhoneAreaCode"]) + str(p["PhoneNumber"])
			}
		}
		out = append(out, object{str(m["ContactID"]), str(m["Name"]), str(m["TaxNumber"]), phone, str(m["ContactNumber"])})
	}
	return out
}

// level proves from the vendors' own ledgers that each has every customer exactly once, and from Datum's rows that it
// knows it: nothing waits, nothing differs, and the policy in force would change nothing.
func (r *rig) level(want int, made map[string]int) {
	r.t.Helper()
	ctx := context.Background()
	stats := map[string]sim.Stats{"crm": r.crm.Stats(), "accounting": r.xero.Stats()}
	for _, system := range []string{"crm", "accounting"} {
		names, abns := map[string]int{}, map[string]int{}
		live := r.ledger(system)
		for _, o := range live {
			names[o.name]++
			abns[o.abn]++
		}
		if len(live) != want || len(names) != want || len(abns) != want {
			r.t.Errorf("%s has %d live customers with %d names and %d ABNs, want %d", system, len(live), len(names), len(abns), want)
		}
		if s := stats[system]; s.Duplicates != 0 || s.Creates != made[system] {
			r.t.Errorf("%s: %d duplicates; %d creates, want %d", system, s.Duplicates, s.Creates, made[system])
		}
		a, err := r.engine.Audit(ctx, system, domain.KindCustomer)
		must(r.t, err)
		if a.Seen != want || len(a.Linked) != want || len(a.Different) > 0 || len(a.Unlevel) > 0 || a.Twice > 0 || a.Made != made[system] {
			r.t.Errorf("audit of %s: seen %d, linked %d, made %d, twice %d; different %s; unlevel %s", system, a.Seen, len(a.Linked), a.Made, a.Twice, few(a.Different), few(a.Unlevel))
		}
	}
	if n := len(r.customers()); n != want {
		r.t.Errorf("%d customers, want %d", n, want)
	}
	eff, err := r.engine.Applier().Diff(ctx, r.rc.policy, nil)
	must(r.t, err)
	if len(eff.Golden) > 0 || len(eff.Writes) > 0 || eff.Cases > 0 {
		r.t.Errorf("the policy in force would still change %v, write %v and open %d cases", eff.Golden, eff.Writes, eff.Cases)
	}
}

func few(s []string) []string { return s[:min(len(s), 5)] }

func (r *rig) customers() []domain.Customer {
	r.t.Helper()
	ids, err := store.EntityIDs(context.Background(), r.pool, domain.KindCustomer, "", 10000)
	must(r.t, err)
	es, err := store.Entities(context.Background(), r.pool, ids)
	must(r.t, err)
	cs := make([]domain.Customer, len(es))
	for i, e := range es {
		cs[i], err = domain.CustomerOf(e.Golden)
		must(r.t, err)
		cs[i].ID = e.ID
	}
	return cs
}

// buffer is a writer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// phone is the n-th telephone number.
func phone(n int) string { return fmt.Sprintf("+613555%05d", n%100000) }

func causeOf(actor string) change.Cause {
	return change.Cause{Actor: actor, Source: change.FromMutation, CorrelationID: domain.NewID("cor")}
}
