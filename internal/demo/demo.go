package demo

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"datum/domain"
	"datum/domain/store"
	"datum/jobs"
)

// Options are what the command line says.
type Options struct {
	For       time.Duration // 0 runs until interrupted
	Seed      uint64
	JSON      bool
	Customers int       // to begin with; 0 is 300
	Out       io.Writer // the result; with JSON nothing else is written here
	Talk      io.Writer // everything else
}

// Datum is the running Datum that the demo plays with.
type Datum struct {
	Pool      *pgxpool.Pool
	Engine    *jobs.Engine
	PublicURL string // of the API, without a trailing slash
	Publish   func(ctx context.Context, policy string) error
	Start     func(key string) // begins to serve and to work; the playground gets the API key
}

// Result is the table at the end.
type Result struct {
	OK         bool   `json:"ok"`
	Seed       uint64 `json:"seed"`
	Signals    int64  `json:"signals"`  // accepted
	Entities   int    `json:"entities"` // live customers
	Edits      int    `json:"edits"`    // by people, in the vendors' screens
	Creates    int    `json:"vendorCreates"`
	Duplicates int    `json:"duplicates"`
	Lost       int    `json:"lost"`
	OpenCases  int64  `json:"openCases"`
	// SecondsToLevel is the time from the last edit until every system was level, lost webhooks included.
	SecondsToLevel float64          `json:"secondsToLevel"`
	Cases          map[string]int64 `json:"cases"`
	Webhooks       map[string]int   `json:"webhooks"`  // lost, twice, late, by all vendors
	Ties           []Tie            `json:"ties"`      // money that must agree between systems
	Movements      int              `json:"movements"` // orders that moved stock
	Decided        []decided        `json:"decided"`   // cases by kind, and one of each as a person decided it
	Broken         []string         `json:"broken"`    // invariants that do not hold
}

// policy is the demo's: a business with five vendors and a database of its own.
//
//go:embed policy.yaml
var policy string

// Sims are the demo's vendors, started before Datum is, so that it has something to connect to.
type Sims struct {
	CRM, Accounting, Shop, Warehouse, Branch Simulator

	url map[string]string // by system
}

// StartSims starts the vendors on free ports.
func StartSims(seed uint64) (*Sims, error) {
	s := &Sims{CRM: simulators["hubspot"](seed), Accounting: simulators["xero"](seed), Shop: simulators["shopify"](seed), Warehouse: simulators["cin7core"](seed),
		Branch: simulators["myob"](seed), url: map[string]string{}}
	for _, name := range vendorSystems {
		var err error
		if s.url[name], err = s.of(name).Listen("127.0.0.1:0"); err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// vendorSystems are the demo's systems that are simulated.
var vendorSystems = []string{"crm", "accounting", "shop", "warehouse", "branch"}

func (s *Sims) of(system string) Simulator {
	return map[string]Simulator{"crm": s.CRM, "accounting": s.Accounting, "shop": s.Shop, "warehouse": s.Warehouse, "branch": s.Branch}[system]
}

// Close stops them.
func (s *Sims) Close() {
	for _, name := range vendorSystems {
		s.of(name).Close()
	}
}

// Run plays the demo until the time is up or ctx ends, then brings everything to rest and proves the invariants. The
// error is non-nil if one is broken.
func Run(ctx context.Context, o Options, s *Sims, d Datum) error {
	if o.Customers == 0 {
		o.Customers = 300
	}
	began := time.Now()
	say := func(format string, args ...any) { fmt.Fprintf(o.Talk, format+"\n", args...) }
	r := rand.New(rand.NewPCG(o.Seed, 0xda7a))
	if err := d.Publish(ctx, policy); err != nil {
		return err
	}
	internal, dsn, err := openInternal(ctx, d.Pool)
	if err != nil {
		return err
	}
	defer internal.Close()
	// Connecting makes the custom fields that the seeded objects use.
	for _, system := range vendorSystems {
		c := connection(s.of(system), s.url[system])
		if system == "branch" {
			c["otherItem"], c["purchaseAccount"], c["stockAccount"], c["depositAccount"] = otherItem, "5-1000", "1-1320", "1-1110"
		}
		if system == "warehouse" {
			if err := services(s.Warehouse); err != nil {
				return err
			}
		}
		if _, err := d.Engine.Connect(ctx, system, jobs.Connection{Values: c, Check: true}); err != nil {
			return err
		}
	}
	if _, err := d.Engine.Connect(ctx, "database", jobs.Connection{Values: map[string]string{"dsn": dsn, "mapping": internalMapping, "outbox": "datum_outbox"}, Check: true}); err != nil {
		return err
	}
	bs := businesses(r, o.Customers)
	if err := enter(s, bs); err != nil {
		return err
	}
	if _, err := s.Branch.Put("items", "", map[string]any{"Number": otherItem, "Name": "Miscellaneous", "IsSold": true}); err != nil {
		return fmt.Errorf("item in MYOB: %w", err)
	}
	p := &people{crm: s.CRM, accounting: s.Accounting, r: r}
	trade := &commerce{s: s, r: rand.New(rand.NewPCG(o.Seed, 0x5a1e)), note: p.note}
	if err := trade.stock(); err != nil {
		return err
	}
	keys, err := createKeys(ctx, d.Pool)
	if err != nil {
		return err
	}
	pause(ctx, time.Second) // HubSpot's search trails behind what was entered
	d.Start(keys.reader)
	for _, system := range vendorSystems {
		if system == "branch" {
			continue // MYOB is polled
		}
		if err := s.of(system).SetWebhook(ctx, d.PublicURL+"/webhooks/"+system); err != nil {
			return err
		}
	}
	introduce(o.Talk, s, d, keys)
	say("\n%d customers are in HubSpot and Xero, about a third of them ugly: %s", len(bs), ugliness(bs))
	say("Datum reads both, matches by ABN and by e-mail with name, and writes to each what it is missing ...")

	w := &watch{d: d, s: s, p: p, out: o.Talk, began: began}
	if err := w.until(ctx, 90*time.Second, func(st status) bool { return st.ready == 6 }); err != nil {
		return err
	}
	say("%5.1fs  all systems have been read completely; from now on people edit, buy, pack and keep books in all of them at once, and webhooks come twice, late or never", time.Since(began).Seconds())
	if err := p.faults(s.CRM, s.Accounting, s.Shop, s.Warehouse); err != nil {
		return err
	}
	edit, stop := context.WithCancel(ctx)
	defer stop()
	if o.For > 0 {
		edit, stop = context.WithDeadline(ctx, began.Add(o.For))
		defer stop()
	}
	go p.edit(edit)
	traded := make(chan struct{})
	go func() { defer close(traded); trade.trade(edit) }()
	tr := &trouble{watch: w, url: d.PublicURL + "/graphql", key: keys.admin, hero: hero(s, bs)}
	troubled := make(chan error, 1)
	go func() { troubled <- tr.make(edit) }()
	w.story(edit, bs)
	<-traded
	if err := <-troubled; err != nil {
		return err
	}
	trade.finish()
	if ctx.Err() != nil {
		say("\nstopped")
		return nil
	}
	say("%5.1fs  people stop, and decide one case of each kind", time.Since(began).Seconds())
	cases, err := tr.decide(ctx)
	if err != nil {
		return err
	}
	tr.finish()
	res, err := prove(ctx, o, s, d, w, cases)
	if err != nil {
		return err
	}
	if o.JSON {
		if err := json.NewEncoder(o.Out).Encode(res); err != nil {
			return err
		}
	} else {
		res.print(o.Out)
	}
	if !res.OK {
		return domain.Errorf(domain.Internal, "an invariant is broken: %s", strings.Join(res.Broken, "; "))
	}
	return nil
}

func enter(s *Sims, bs []business) error {
	for _, b := range bs {
		if b.InCRM {
			typ, props := b.hubspot()
			if _, err := s.CRM.Put(typ, "", props); err != nil {
				return fmt.Errorf("seed %s: %w", b.Name, err)
			}
		}
		if b.InXero {
			if _, err := s.Accounting.Put("contacts", "", b.xero()); err != nil {
				return fmt.Errorf("seed %s: %w", b.Name, err)
			}
		}
	}
	return nil
}

func ugliness(bs []business) string {
	var order []string
	n := map[string]int{}
	for _, b := range bs {
		if b.Why == "" {
			continue
		}
		if n[b.Why] == 0 {
			order = append(order, b.Why)
		}
		n[b.Why]++
	}
	parts := make([]string, len(order))
	for i, w := range order {
		parts[i] = fmt.Sprintf("%d × %s", n[w], w)
	}
	return strings.Join(parts, ", ")
}

// apiKeys are the keys that the demo prints.
type apiKeys struct{ reader, ops, admin string }

func createKeys(ctx context.Context, pool *pgxpool.Pool) (k apiKeys, err error) {
	for _, x := range []struct {
		dst  *string
		role store.Role
	}{{&k.reader, store.RoleReader}, {&k.ops, store.RoleEditor}, {&k.admin, store.RoleAdmin}} {
		_, *x.dst, err = store.CreateKey(ctx, pool, store.NewKey{System: "ops", Role: x.role, Name: "demo " + string(x.role)})
		if err != nil {
			return k, err
		}
	}
	return k, nil
}

// hero is the company in HubSpot that the story follows.
func hero(s *Sims, bs []business) string {
	companies, err := listOf(s.CRM, "companies")
	if err != nil {
		return ""
	}
	for _, b := range bs {
		for _, c := range companies {
			if b.XeroSuburb != "" && strings.ReplaceAll(path(c, "properties", "abn"), " ", "") == b.ABN {
				return path(c, "id")
			}
		}
	}
	return ""
}

// someCompany is the id of a company in the simulated CRM, to play with.
func someCompany(s *Sims) string {
	objects, err := s.CRM.Objects("companies")
	if err != nil || len(objects) < 21 {
		return "ID"
	}
	return fmt.Sprint(plain(objects[20])["id"])
}

func introduce(out io.Writer, s *Sims, d Datum, k apiKeys) {
	fmt.Fprintf(out, `
Datum demo
  GraphQL     %[1]s/graphql      open it in a browser for the playground
  jobs        %[1]s/jobs/        any user name, the admin key as password
  metrics     %[1]s/metrics
  webhooks    %[1]s/webhooks/{crm,accounting,shop,warehouse}
  HubSpot     %[2]s/_sim    simulated, system "crm"
  Xero        %[3]s/_sim    simulated, system "accounting"
  Shopify     %[9]s/_sim    simulated, system "shop"
  Cin7 Core   %[10]s/_sim    simulated, system "warehouse"
  MYOB        %[11]s/_sim    simulated, system "branch"
  PostgreSQL  a database of the business's own beside Datum's, system "database"
  API keys, all for system "ops"
    reader    %[4]s
    editor    %[5]s
    admin     %[6]s
  datum system list, policy show ...  work on this demo with: export DATABASE_URL='%[8]s'

Try it while it runs:
  what does Datum know, and why?
    curl -s %[1]s/graphql -H 'Authorization: Bearer %[4]s' -H 'Content-Type: application/json' \
      -d '{"query":"{customers(first:3){nodes{id displayName abn provenance{field system rule owner}}} cases(first:5){nodes{id kind title detail choices}}}"}'
  break something: Xero stops answering for 20 calls, then see Datum cope
    curl -s %[3]s/_sim/faults -d '{"kind":"status","status":503,"count":20}'
  a person renames a company in HubSpot's own screen, which accounting owns: a case opens
    curl -s %[2]s/_sim/objects -d '{"type":"companies","id":"%[7]s","properties":{"name":"Another Name Pty Ltd"}}'
  what must be decided, and what would a decision do? (an admin's key; choices and ids are in the first answer)
    curl -s %[1]s/graphql -H 'Authorization: Bearer %[6]s' -H 'Content-Type: application/json' \
      -d '{"query":"{caseCounts{kind count} cases(first:5,filter:{kind:MASS_CHANGE}){nodes{id title message options{name effect}}}}"}'
    curl -s %[1]s/graphql -H 'Authorization: Bearer %[6]s' -H 'Content-Type: application/json' \
      -d '{"query":"{previewCase(input:{id:\"case_…\",choice:\"approve\"}){golden{name field from to} writes{system name}}}"}'
    curl -s %[1]s/graphql -H 'Authorization: Bearer %[6]s' -H 'Content-Type: application/json' \
      -d '{"query":"mutation{resolveCase(input:{id:\"case_…\",choice:\"approve\"}){case{status resolution} userErrors{message}}}"}'
  every event as it happens (needs no more than curl)
    curl -sN %[1]s/graphql -H 'Authorization: Bearer %[4]s' -H 'Accept: text/event-stream' -H 'Content-Type: application/json' \
      -d '{"query":"subscription{customerChanged{cursor customer{id displayName phone}}}"}'
`, d.PublicURL, s.url["crm"], s.url["accounting"], k.reader, k.ops, k.admin, someCompany(s), d.Pool.Config().ConnString(), s.url["shop"], s.url["warehouse"], s.url["branch"])
}
