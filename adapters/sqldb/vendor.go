// Package sqldb reads and writes a business's own database, Postgres or MySQL/MariaDB, as a connected system: tables are
// mapped to kinds, and columns to fields, by configuration.
//
// It maps, reads and writes. Budgets, the exchange log and retries are its session's; matching, ownership and the memory of
// what was intended are the caller's. It opens a pool of connections of its own, which Close closes.
//
// What it relies on: a key that never changes, a column with a unique index for our id where Datum is to create rows, and,
// to see changes between sweeps, a column with the time of the last change or (Postgres) an outbox that triggers feed.
package sqldb

import (
	"context"
	"database/sql"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"

	"datum/adapters"
	"datum/domain"
)

const (
	defaultLap  = 5 * time.Minute
	defaultPage = 500
	maxPage     = 5000
	maxCalls    = 8
)

// Vendor describes a database. Its Mapping is all that could be carried; Configure says what an account carries.
func Vendor() adapters.Vendor {
	return adapters.Vendor{
		Name: "sqldb", Title: "SQL database", Mapping: everything(),
		Limits: []adapters.Limit{{Name: "concurrent", Calls: maxCalls}},
		Auth:   adapters.AuthNone, Batch: 50, Timeout: 20 * time.Second,
		Settings: []adapters.Setting{
			{Name: "dsn", Help: "address of the database with user and password: postgres://user:password@host:5432/database or mysql://user:password@host:3306/database", Secret: true, Required: true},
			{Name: "mapping", Help: "which tables hold which kinds: the YAML itself or the name of a file with it", Required: true},
			{Name: "timeZone", Help: "zone of times that are stored without one, and of days; a name such as Australia/Sydney", Default: "UTC"},
			{Name: "overlap", Help: "how far each poll reaches back before the last one; longer than the longest transaction", Default: defaultLap.String()},
			{Name: "pageSize", Help: "rows in one page, 1 to 5000", Default: strconv.Itoa(defaultPage)},
			{Name: "connections", Help: "most connections of one Datum process", Default: strconv.Itoa(maxCalls)},
			{Name: "outbox", Help: "Postgres: table that triggers note changes in, made when the system is connected; leave out to go by the time of the last change"},
		},
		Open: open, Configure: configure, OwnMapping: true,
	}
}

// adapter is one connected database. It is safe for concurrent use.
type adapter struct {
	s       adapters.Session
	db      *sql.DB
	d       dialect
	name    string // of the database
	tables  map[domain.Kind]*table
	maps    map[domain.Kind]*adapters.Mapping
	kinds   []domain.Kind
	zone    *time.Location
	overlap time.Duration
	size    int
	outbox  string // table, "" if changes are found by time

	mu    sync.Mutex
	types map[string]types // by table
}

var (
	_ adapters.BatchFetcher = (*adapter)(nil)
	_ adapters.Writer       = (*adapter)(nil)
	_ adapters.Finder       = (*adapter)(nil)
	_ adapters.Sweeper      = (*adapter)(nil)
	_ adapters.Checker      = (*adapter)(nil)
	_ adapters.Provisioner  = (*adapter)(nil)
	_ adapters.Closer       = (*adapter)(nil)
)

// configure returns what the account with these settings carries.
func configure(settings map[string]string) ([]adapters.Mapping, error) {
	zone, err := zoneOf(settings)
	if err != nil {
		return nil, err
	}
	tables, err := configured(settings["mapping"])
	if err != nil {
		return nil, err
	}
	var ms []adapters.Mapping
	for _, t := range tables {
		ms = append(ms, t.mapping(zone))
	}
	return ms, nil
}

func zoneOf(settings map[string]string) (*time.Location, error) {
	zone, err := time.LoadLocation(settings["timeZone"]) // "" is UTC
	if err != nil || settings["timeZone"] == "Local" {
		return nil, domain.Errorf(domain.Invalid, "the setting timeZone must be UTC or a name such as Australia/Sydney")
	}
	return zone, nil
}

func open(s adapters.Session) (_ adapters.Adapter, err error) {
	defer func() {
		if e := domain.AsError(err); e != nil {
			e.System, e.Op = s.System, "sqldb.Open"
			err = e
		}
	}()
	set := func(name, otherwise string) string {
		if v := s.Settings[name]; v != "" {
			return v
		}
		return otherwise
	}
	a := &adapter{s: s, tables: map[domain.Kind]*table{}, maps: map[domain.Kind]*adapters.Mapping{}, types: map[string]types{}, outbox: s.Settings["outbox"]}
	if a.zone, err = zoneOf(s.Settings); err != nil {
		return nil, err
	}
	if a.overlap, err = time.ParseDuration(set("overlap", defaultLap.String())); err != nil || a.overlap < 0 {
		return nil, domain.Errorf(domain.Invalid, `the setting overlap must be a duration such as "5m"`)
	}
	if a.size, err = strconv.Atoi(set("pageSize", strconv.Itoa(defaultPage))); err != nil || a.size < 1 || a.size > maxPage {
		return nil, domain.Errorf(domain.Invalid, "the setting pageSize must be a number from 1 to %d", maxPage)
	}
	conns, err := strconv.Atoi(set("connections", strconv.Itoa(maxCalls)))
	if err != nil || conns < 1 {
		return nil, domain.Errorf(domain.Invalid, "the setting connections must be a number from 1")
	}
	tables, err := configured(s.Settings["mapping"])
	if err != nil {
		return nil, err
	}
	for _, t := range tables {
		m := t.mapping(a.zone)
		a.tables[t.kind], a.maps[t.kind], a.kinds = t, &m, append(a.kinds, t.kind)
	}
	if a.s.Now == nil {
		a.s.Now = time.Now
	}
	if a.db, a.d, a.name, err = connect(s.Settings["dsn"]); err != nil {
		return nil, err
	}
	a.db.SetMaxOpenConns(conns)
	a.db.SetMaxIdleConns(conns)
	a.db.SetConnMaxIdleTime(time.Minute)
	if a.outbox != "" && a.d != postgres {
		return nil, domain.Errorf(domain.Invalid, "the setting outbox needs Postgres; name a changed column in the mapping instead")
	}
	return a, nil
}

// Close closes the connections. The adapter cannot be used afterwards.
func (a *adapter) Close() error { return a.db.Close() }

// carries returns the configuration and the mapping of a kind, Unsupported if there is none.
func (a *adapter) carries(kind domain.Kind) (*table, *adapters.Mapping, error) {
	t := a.tables[kind]
	if t == nil {
		return nil, nil, a.err(domain.Unsupported, "no table of this database is mapped to %s", kind)
	}
	return t, a.maps[kind], nil
}

// run makes one call through the session, which keeps to the budget and logs it. sent and got are for the log.
func (a *adapter) run(ctx context.Context, method, path string, sent any, write bool, do func(ctx context.Context) (got any, err error)) error {
	call := adapters.Call{Method: method, Path: "/" + strings.TrimPrefix(path, "/"), Write: write}
	if sent != nil {
		call.Body, _ = json.Marshal(sent) // values of JSON
	}
	work := func(ctx context.Context) (*adapters.Response, error) {
		got, err := do(ctx)
		if err != nil {
			return nil, err
		}
		body, _ := json.Marshal(got)
		return &adapters.Response{Body: body}, nil
	}
	var err error
	if r, ok := a.s.HTTP.(adapters.Runner); ok {
		_, err = r.Run(ctx, call, work)
	} else {
		_, err = work(ctx)
	}
	return err
}

// reading runs f in one snapshot of the database, which is not older than at.
func (a *adapter) reading(ctx context.Context, f func(tx *sql.Tx, at time.Time) error) error {
	at := a.s.Now().UTC()
	tx, err := a.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		return a.failure(ctx, nil, err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := f(tx, at); err != nil {
		return a.failure(ctx, nil, err)
	}
	return nil
}
