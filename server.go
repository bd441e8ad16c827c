// Datum keeps one canonical copy of a business's customers and every connected system level with it. This file is the
// command: subcommands, wiring and shutdown. docs/architecture.md says how the rest hangs together.
package main

import (
	"context"
	"crypto/subtle"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"riverqueue.com/riverui"

	"datum/adapters/all"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/feed"
	"datum/domain/ownership"
	"datum/domain/store"
	"datum/graph"
	"datum/internal/admin"
	"datum/internal/config"
	"datum/internal/demo"
	"datum/internal/pgdev"
	"datum/internal/telemetry"
	"datum/internal/vault"
	"datum/jobs"
	"datum/jobs/notify"
	"datum/migrations"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr, os.Getenv)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "datum:", explain(err))
		os.Exit(1)
	}
}

// explain is an error as a person should see it: the message without operations and codes.
func explain(err error) string {
	var ps ownership.Problems
	if errors.As(err, &ps) {
		return ps.Error()
	}
	if de := (*domain.Error)(nil); errors.As(err, &de) && de.Message != "" {
		if de.System != "" {
			return de.System + ": " + de.Message
		}
		return de.Message
	}
	return err.Error()
}

const usage = `datum keeps one canonical customer level between the systems of a business.

  datum demo [--for 45s] [--seed N] [--json] [--addr host:port]   everything in one command, no accounts needed
  datum migrate                         bring the database up to date and publish the default policy if there is none
  datum serve [--work]                  the API; with --work the workers too
  datum work                            the workers
  datum policy show|check FILE|diff FILE|apply FILE
  datum system list|authorise NAME FILE|connect NAME FILE|mode NAME off|observe|dry_run|live|sweep NAME|rewrap
  datum sweep level|hooks|list|show ID  how far each system is level, what its webhooks miss, and what each complete comparison found
  datum pause [SYSTEM --reason WHY [--kind K] [--direction in|out] [--until WHEN]] | resume SYSTEM [--kind K] [--direction in|out]
  datum deadletters [--system S] [--kind K]   what does not go on by itself, by cause
  datum reprocess start retry|skip|resend|refetch|replay [ID…] [filter flags]|list|show RUN|cancel RUN
  datum write list|show ID|approve ID…|approve --all|reject ID… --reason WHY   what a dry run would have sent
  datum key create --system ops --role editor [--name N] | list | revoke ID
  datum alert show|check FILE|apply FILE|test CHANNEL|list   what is watched, and who is told
  datum export ID [--out FILE]          everything that is stored of one customer, document or other entity, as JSON
  datum erase ID --reason WHY [--yes] | list   erase a person's data; without --yes only say what that would do
  datum retention show|set NAME 30d|7y|forever   how long what only grows is kept
  datum merge [--reason WHY] [--dry-run] SURVIVOR LOSER | unmerge ID   make two entities one; part them again
  datum case list|show ID|resolve ID… CHOICE [--dry-run]|assign|comment|snooze|rules   what people must decide; datum case alone says more
  datum drift list [--all]              what vendors have changed: fields gone, new or in another form, versions, sunsets
  datum pin list [ENTITY] | withdraw ENTITY FIELD   what people have decided about single fields, or ask of their owners
  datum mapping VENDOR                  which vendor field is which canonical field
  datum mapping show SYSTEM | check|diff|apply SYSTEM FILE   custom fields, other paths and defaults of one account; tried on stored objects, applied as shown with --preview ID
  datum import --system ops [--kind Product] FILE.csv   from a CSV file, by the same rules as the API
  datum match --csv FILE [--csv FILE2] --id COLUMN [--map column=field,...]   which records of CSV files are one
  datum match [--kind Product] [--dry-run]   ask about the duplicates in the database
  datum sim cin7core|hubspot|myob|shopify|xero [--addr host:port] [--webhook URL]   a simulated vendor by itself
  datum version

Settings come from the environment and flags; datum serve -h lists them.
`

// command is one subcommand and what it needs.
type command struct {
	ctx    context.Context
	args   []string
	out    io.Writer
	errs   io.Writer
	getenv func(string) string
	flags  *flag.FlagSet
	cfg    config.Config
	log    *slog.Logger

	stuckAfter int // failed tries of a write before a person is told; 0 is the default
}

func run(ctx context.Context, args []string, out, errs io.Writer, getenv func(string) string) error {
	if len(args) == 0 {
		fmt.Fprint(errs, usage)
		return flag.ErrHelp
	}
	c := &command{ctx: ctx, args: args[1:], out: out, errs: errs, getenv: getenv, flags: flag.NewFlagSet("datum "+args[0], flag.ContinueOnError)}
	c.flags.SetOutput(errs)
	commands := map[string]func() error{"serve": c.serve, "work": c.work, "migrate": c.migrate, "demo": c.demo, "sim": c.sim,
		"policy": c.policy, "system": c.system, "sweep": c.sweep, "drift": c.drift, "key": c.key, "mapping": c.mapping, "import": c.imports, "version": c.version,
		"retention": c.retention,
		"match":     c.match,
		"help":      func() error { fmt.Fprint(out, usage); return nil }}
	maps.Copy(commands, c.control())
	commands["merge"], commands["unmerge"], commands["pin"] = c.merge, c.unmerge, c.pin
	commands["alert"] = c.alert
	commands["case"] = c.cases
	commands["export"], commands["erase"] = c.export, c.erase
	f := commands[strings.TrimLeft(args[0], "-")]
	if f == nil {
		return domain.Errorf(domain.Invalid, "there is no command %q; datum help lists them", args[0])
	}
	return f()
}

// load reads settings and flags; what is left over is in c.args.
func (c *command) load() (err error) {
	if c.cfg, c.args, err = config.Load(c.getenv, c.flags, c.args); err != nil {
		return err
	}
	c.log = telemetry.NewLogger(c.errs, telemetry.Options{Level: c.cfg.LogLevel, Format: c.cfg.LogFormat})
	return nil
}

// app is Datum, wired: what every command but the simulators is made of.
type app struct {
	cfg     config.Config
	log     *slog.Logger
	cluster *pgdev.Cluster
	pool    *pgxpool.Pool
	vault   *vault.Vault
	hub     *feed.Hub
	engine  *jobs.Engine
	closers []func()
	pageKey string // an API key for everybody who opens the playground: the demo's
}

// open connects to Postgres, starting a private one if none is given. database names another database of the same server.
func (c *command) open(work bool, database func(context.Context, *pgdev.Cluster) (url string, drop func(), err error)) (a *app, err error) {
	a = &app{cfg: c.cfg, log: c.log}
	defer func() {
		if err != nil {
			a.close()
		}
	}()
	if a.vault, err = openVault(c.cfg); err != nil {
		return a, err
	}
	stopTracing, err := telemetry.Tracing(c.ctx, c.getenv, version(), c.log)
	if err != nil {
		return a, err
	}
	a.closers = append(a.closers, func() { _ = stopTracing(context.WithoutCancel(c.ctx)) })
	if a.cluster, err = pgdev.Start(c.ctx, pgdev.Options{URL: c.cfg.DatabaseURL, Dir: c.cfg.Dir, Log: c.log}); err != nil {
		return a, err
	}
	a.closers = append(a.closers, func() {
		if err := a.cluster.Stop(); err != nil {
			c.log.Warn("postgres did not stop cleanly; it recovers at the next start", "error", err)
		}
	})
	url := a.cluster.URL(pgdev.Database)
	if a.cluster.External() {
		url = c.cfg.DatabaseURL
	}
	if database != nil {
		var drop func()
		if url, drop, err = database(c.ctx, a.cluster); err != nil {
			return a, err
		}
		a.closers = append(a.closers, drop)
	}
	pc, err := pgxpool.ParseConfig(url)
	if err != nil {
		return a, domain.Errorf(domain.Invalid, "DATABASE_URL cannot be read: %w", err)
	}
	pc.MaxConns = max(pc.MaxConns, 24)
	pc.ConnConfig.Tracer = otelpgx.NewTracer()
	if a.pool, err = pgxpool.NewWithConfig(c.ctx, pc); err != nil {
		return a, err
	}
	a.closers = append(a.closers, a.pool.Close)
	a.hub = feed.NewHub(a.pool, c.log, 0)
	a.engine, err = jobs.New(jobs.Config{Pool: a.pool, Sealer: a.vault, Vendors: all.Vendors(), Log: c.log, Ring: a.hub.Ring,
		Poll: c.cfg.PollInterval, Sweep: c.cfg.SweepInterval, StuckAfter: c.stuckAfter,
		Alerts: notify.Config{Private: c.cfg.AlertPrivate}, WebhookURL: func(s string) string { return c.cfg.PublicURL + "/webhooks/" + s }}, work)
	return a, err
}

func (a *app) close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
	a.closers = nil
}

func openVault(cfg config.Config) (*vault.Vault, error) {
	if cfg.Key != "" {
		return vault.Parse(cfg.Key)
	}
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("directory for Datum's own files: %w", err)
	}
	return vault.File(filepath.Join(cfg.Dir, "key"))
}

// prepare brings the database up to date and publishes the default policy if there is none.
func (a *app) prepare(ctx context.Context) error {
	if err := migrations.Apply(ctx, a.pool, a.log); err != nil {
		return err
	}
	n, err := store.PolicyNumber(ctx, a.pool)
	if err != nil || n > 0 {
		return err
	}
	_, err = a.engine.Applier().Publish(ctx, 0, ownership.DefaultSource(), a.around(), change.Cause{Actor: "datum"})
	return err
}

func (a *app) around() change.Surroundings {
	return change.Surroundings{Schema: graph.Schema(), Adapters: a.engine.Adapters(), Carries: a.engine.Carries}
}

// runs serves and works until ctx ends, then shuts down: no new requests, streams ended, running jobs finished. With
// nil listener it only works, and serves nothing but health and metrics if addr is set.
func (a *app) runs(ctx context.Context, l net.Listener, api, work bool) error {
	if err := migrations.Check(ctx, a.pool); err != nil {
		return err
	}
	hubCtx, stopHub := context.WithCancel(context.WithoutCancel(ctx))
	defer stopHub()
	go func() { _ = a.hub.Run(hubCtx) }()
	done := make(chan struct{})
	h, err := a.handler(ctx, done, api)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug)}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	if work {
		if err := a.engine.Start(context.WithoutCancel(ctx)); err != nil {
			return err
		}
	}
	a.log.Info("running", "addr", l.Addr().String(), "api", api, "work", work)
	select {
	case err = <-failed:
	case <-ctx.Done():
		a.log.Info("stopping")
	}
	close(done)
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 25*time.Second)
	defer cancel()
	if serr := srv.Shutdown(stop); serr != nil {
		_ = srv.Close()
	}
	return errors.Join(err, a.engine.Stop(stop))
}

func (a *app) handler(ctx context.Context, done <-chan struct{}, api bool) (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		if err := migrations.Check(ctx, a.pool); err != nil {
			http.Error(w, "not ready: the database cannot be reached or is not up to date", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.engine.Metrics(), promhttp.HandlerOpts{}))
	if !api {
		return mux, nil
	}
	g, err := graph.NewHandler(graph.Config{Pool: a.pool, Feed: a.hub, Changes: a.engine.Applier(), Log: a.log, Policy: a.around(), Sealer: a.vault, Metrics: jobs.MetricNames(), Mappings: a.engine,
		Introspection: a.cfg.Introspection, Playground: a.cfg.Playground, PlaygroundKey: a.pageKey, Done: done})
	if err != nil {
		return nil, err
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "Datum. GraphQL is at /graphql, jobs at /jobs/, webhooks at /webhooks/{system}, metrics at /metrics, health at /healthz and /readyz.")
	})
	mux.Handle("/graphql", otelhttp.NewHandler(g, "graphql"))
	if a.cfg.Playground {
		mux.Handle("GET /graphql/graphiql/", g)
	}
	mux.Handle("/webhooks/{system}", otelhttp.NewHandler(a.engine.Webhooks(), "webhook"))
	ui, err := riverui.NewHandler(&riverui.HandlerOpts{Endpoints: riverui.NewEndpoints(a.engine.Client(), nil), Logger: a.log, Prefix: "/jobs"})
	if err != nil {
		return nil, err
	}
	if err := ui.Start(ctx); err != nil {
		return nil, err
	}
	mux.Handle("/jobs/", http.NewCrossOriginProtection().Handler(a.operators(ui)))
	return mux, nil
}

// operators lets in who has the API key of an operator, as a bearer token or as the password of the browser's dialog.
func (a *app) operators(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, p, ok := r.BasicAuth(); ok {
			text = p
		}
		k, err := store.AuthenticateKey(r.Context(), a.pool, text)
		if err != nil || !k.Role.Includes(store.RoleOperator) || subtle.ConstantTimeEq(int32(len(text)), 0) == 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="Datum: the password is the API key of an operator"`)
			http.Error(w, "the API key of an operator is needed: datum key create --role operator", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

func (c *command) listen() (net.Listener, error) {
	l, err := net.Listen("tcp", c.cfg.Addr)
	if err != nil {
		return nil, domain.Errorf(domain.Unavailable, "cannot listen on %s: %w; choose another with --addr", c.cfg.Addr, err)
	}
	return l, nil
}

func (c *command) serve() error {
	work := c.flags.Bool("work", false, "take jobs too")
	return c.runs(work, true)
}

func (c *command) work() error {
	work := true
	return c.runs(&work, false)
}

func (c *command) runs(work *bool, api bool) error {
	if err := c.load(); err != nil {
		return err
	}
	a, err := c.open(*work, nil)
	if err != nil {
		return err
	}
	defer a.close()
	l, err := c.listen()
	if err != nil {
		return err
	}
	return a.runs(c.ctx, l, api, *work)
}

func (c *command) migrate() error {
	if err := c.load(); err != nil {
		return err
	}
	a, err := c.open(false, nil)
	if err != nil {
		return err
	}
	defer a.close()
	if err := a.prepare(c.ctx); err != nil {
		return err
	}
	fmt.Fprintln(c.out, "the database is up to date")
	return nil
}

// admin runs a command of internal/admin against the database.
func (c *command) admin(f func(a *admin.Admin) error) error {
	if err := c.load(); err != nil {
		return err
	}
	a, err := c.open(false, nil)
	if err != nil {
		return err
	}
	defer a.close()
	if err := migrations.Check(c.ctx, a.pool); err != nil {
		return err
	}
	defer func() { _ = a.engine.Stop(c.ctx) }()
	return f(&admin.Admin{Pool: a.pool, Engine: a.engine, Around: a.around(), Sealer: a.vault, Vendors: all.Vendors(), Out: c.out, Err: c.errs, In: os.Stdin})
}

// split keeps a subcommand's own flags from being read as settings.
func (c *command) split() (rest []string) { rest, c.args = c.args, nil; return rest }

// administer is a command that takes all its arguments itself.
func (c *command) administer(f func(*admin.Admin, context.Context, []string) error) func() error {
	return func() error {
		args := c.split()
		return c.admin(func(a *admin.Admin) error { return f(a, c.ctx, args) })
	}
}

// control are the commands that hold work back and let it go on.
func (c *command) control() map[string]func() error {
	return map[string]func() error{
		"pause": c.administer((*admin.Admin).Pause), "resume": c.administer((*admin.Admin).Resume), "write": c.administer((*admin.Admin).Write),
		"reprocess": c.administer((*admin.Admin).Reprocess), "deadletters": c.administer((*admin.Admin).DeadLetters),
	}
}

func (c *command) policy() error {
	args := c.split()
	return c.admin(func(a *admin.Admin) error { return a.Policy(c.ctx, args) })
}

func (c *command) system() error {
	args := c.split()
	return c.admin(func(a *admin.Admin) error { return a.System(c.ctx, args) })
}

func (c *command) drift() error {
	args := c.split()
	return c.admin(func(a *admin.Admin) error { return a.Drift(c.ctx, args) })
}

func (c *command) sweep() error {
	args := c.split()
	return c.admin(func(a *admin.Admin) error { return a.Sweep(c.ctx, args) })
}

func (c *command) cases() error {
	args := c.split()
	return c.admin(func(a *admin.Admin) error { return a.Case(c.ctx, args) })
}

func (c *command) key() error {
	args := c.split()
	return c.admin(func(a *admin.Admin) error { return a.Key(c.ctx, args) })
}

func (c *command) alert() error {
	args := c.split()
	return c.admin(func(a *admin.Admin) error { return a.Alert(c.ctx, args) })
}

func (c *command) export() error {
	args := c.split()
	return c.admin(func(a *admin.Admin) error { return a.Export(c.ctx, args) })
}

func (c *command) erase() error {
	args := c.split()
	return c.admin(func(a *admin.Admin) error { return a.Erase(c.ctx, args) })
}

func (c *command) retention() error {
	args := c.split()
	return c.admin(func(a *admin.Admin) error { return a.Retention(c.ctx, args) })
}

func (c *command) merge() error {
	args := c.split()
	return c.admin(func(a *admin.Admin) error { return a.Merge(c.ctx, args) })
}

func (c *command) pin() error {
	args := c.split()
	return c.admin(func(a *admin.Admin) error { return a.Pin(c.ctx, args) })
}

func (c *command) unmerge() error {
	args := c.split()
	return c.admin(func(a *admin.Admin) error { return a.Unmerge(c.ctx, args) })
}

func (c *command) imports() error {
	args := c.split()
	return c.admin(func(a *admin.Admin) error { return a.Import(c.ctx, args) })
}

func (c *command) match() error {
	o, err := admin.ParseMatch(c.errs, c.split())
	if err != nil {
		return err
	}
	if len(o.CSV) > 0 {
		return admin.MatchCSV(c.ctx, o, c.out, c.errs)
	}
	return c.admin(func(a *admin.Admin) error { return a.Match(c.ctx, o) })
}

func (c *command) mapping() error {
	if len(c.args) > 1 {
		args := c.split()
		return c.admin(func(a *admin.Admin) error { return a.Mapping(c.ctx, args) })
	}
	return admin.Mapping(c.out, all.Vendors(), c.args)
}

func (c *command) sim() error {
	if len(c.args) == 0 {
		return domain.Errorf(domain.Invalid, "usage: datum sim cin7core|hubspot|myob|shopify|xero [--addr host:port] [--webhook URL]")
	}
	vendor := c.args[0]
	if strings.HasPrefix(vendor, "-") {
		vendor = "" // only flags: -h explains them
	}
	addr := c.flags.String("addr", "127.0.0.1:0", "address to listen on")
	webhook := c.flags.String("webhook", "", "URL that gets its webhooks")
	seed := c.flags.Uint64("seed", 1, "seed of ids and credentials")
	if err := c.flags.Parse(c.args[min(1, len(vendor)):]); err != nil {
		return err
	}
	return demo.Sim(c.ctx, c.out, vendor, *addr, *webhook, *seed)
}

func (c *command) demo() error {
	var o demo.Options
	c.flags.DurationVar(&o.For, "for", 0, "run so long, bring everything to rest, prove the invariants and exit; 0 runs until interrupted")
	c.flags.Uint64Var(&o.Seed, "seed", 1, "repeats a run")
	c.flags.BoolVar(&o.JSON, "json", false, "print the result as one JSON object on the last line")
	if err := c.load(); err != nil {
		return err
	}
	c.cfg.Playground, c.cfg.Introspection = true, true
	if c.getenv("DATUM_POLL_INTERVAL") == "" {
		c.cfg.PollInterval = 20 * time.Second // a lost webhook is made up for while somebody watches
	}
	c.stuckAfter = 3
	// Warnings about faults that the demo makes on purpose would only hide what it shows.
	c.log = telemetry.NewLogger(c.errs, telemetry.Options{Level: max(c.cfg.LogLevel, slog.LevelError), Format: c.cfg.LogFormat})
	o.Out, o.Talk = c.out, c.errs
	fmt.Fprintln(o.Talk, "starting Postgres, five simulated vendors, a database of the business's own, the API and the workers ...")
	l, err := c.listen()
	if err != nil {
		return err
	}
	c.cfg.PublicURL = "http://" + l.Addr().String()
	sims, err := demo.StartSims(o.Seed)
	if err != nil {
		return err
	}
	defer sims.Close()
	a, err := c.open(true, demo.Database)
	if err != nil {
		return err
	}
	defer a.close()
	if err := a.prepare(c.ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	stopped := make(chan error, 1)
	started := false
	start := func(key string) {
		started, a.pageKey = true, key
		go func() { stopped <- a.runs(ctx, l, true, true) }()
	}
	publish := func(ctx context.Context, source string) error {
		now, err := store.Policy(ctx, a.pool, 0)
		if err != nil {
			return err
		}
		_, err = a.engine.Applier().Publish(ctx, now.Version, source, a.around(), change.Cause{Actor: "datum"})
		return err
	}
	err = demo.Run(ctx, o, sims, demo.Datum{Pool: a.pool, Engine: a.engine, PublicURL: c.cfg.PublicURL, Publish: publish, Start: start})
	cancel()
	if started {
		err = errors.Join(err, <-stopped)
	}
	return err
}

// version is the commit that the binary was built from.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(12, len(s.Value))]
			}
		}
	}
	return "development"
}

func (c *command) version() error {
	_, err := fmt.Fprintln(c.out, "datum", version())
	return err
}
