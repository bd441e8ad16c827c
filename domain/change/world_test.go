package change_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
	"datum/internal/pgtest"
)

const (
	crm        = "crm"
	accounting = "accounting"
	ops        = "ops"
	customer   = domain.KindCustomer
)

var ctx = context.Background()

// TestMain lets the properties run fewer times than rapid would: each of theirs is many transactions.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	if !given {
		if err := flag.Set("rapid.checks", "20"); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

// world is a database with a policy in force and both vendor systems read completely.
type world struct {
	tb     rapid.TB
	pool   *pgxpool.Pool
	a      *change.Applier
	bell   *bell
	shelf  shelf
	policy int64
	expect []change.WriteAhead // what the last preview said would be written
	clock  int                 // of vendors: each change there is a second later
}

func newWorld(t testing.TB, policy string) *world {
	t.Helper()
	w := &world{tb: t, pool: pgtest.New(t), shelf: newShelf()}
	w.begin(t, policy)
	return w
}

// begin empties the database and puts a policy in force.
func (w *world) begin(tb rapid.TB, policy string) {
	tb.Helper()
	w.tb = tb
	b := &pgx.Batch{}
	for _, table := range []string{"feed", "history", "cases", "case_events", "case_rules", "projections", "pins", "merges", "match_keys", "match_locks", "record_aliases", "records",
		"customer_contacts", "customers", "entities", "idempotency", "policies", "cursors", "brake_log", "signals", "drifts", "alike_checks", "duplicate_scans"} {
		b.Queue("DELETE FROM " + table)
	}
	w.ok(w.pool.SendBatch(ctx, b).Close())
	w.bell = &bell{}
	w.a = w.process()
	w.policy = 0
	w.publish(policy)
	w.ready(crm)
	w.ready(accounting)
	w.bell.take()
}

// process returns an Applier such as another process has.
func (w *world) process() *change.Applier {
	return change.New(w.pool, w.bell, w.shelf, nil, slog.New(slog.DiscardHandler))
}

func (w *world) ok(err error) {
	w.tb.Helper()
	if err != nil {
		w.tb.Fatalf("%v", err)
	}
}

func (w *world) ready(system string) {
	w.tb.Helper()
	w.ok(store.SetCursor(ctx, w.pool, system, customer, "changes", store.Cursor{Ready: true}, true))
}

func (w *world) publish(policy string) {
	w.tb.Helper()
	v, err := w.a.Publish(ctx, w.policy, policy, change.Surroundings{Carries: w.shelf.carries}, change.Cause{Actor: "admin"})
	w.ok(err)
	w.policy = v
}

// bell records whom the Applier wakes.
type bell struct {
	mu        sync.Mutex
	wakes     []change.Wake
	resettles []int64
}

func (b *bell) Wake(_ context.Context, _ pgx.Tx, wakes []change.Wake, _ []string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, w := range wakes {
		if slices.ContainsFunc(wakes[:i], func(x change.Wake) bool { return x.System == w.System && x.EntityID == w.EntityID && x.Kind == w.Kind }) {
			return fmt.Errorf("%s of %s is woken twice at once, which River refuses", w.System, w.EntityID)
		}
	}
	b.wakes = append(b.wakes, wakes...)
	return nil
}

func (b *bell) Resettle(_ context.Context, _ pgx.Tx, version int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.resettles = append(b.resettles, version)
	return nil
}

func (b *bell) Ingest(context.Context, pgx.Tx, string) error { return nil }

func (b *bell) Remap(context.Context, pgx.Tx, string, int64) error         { return nil }
func (b *bell) Rouse(context.Context, pgx.Tx, string, []domain.Kind) error { return nil }

func (b *bell) take() []change.Wake {
	b.mu.Lock()
	defer b.mu.Unlock()
	w := b.wakes
	b.wakes = nil
	return w
}

// shelf tells what the vendors can hold: as much as theirs really do.
type shelf struct {
	reads, writes map[string]map[domain.Field]bool
}

func newShelf() shelf {
	set := func(fs ...domain.Field) map[domain.Field]bool {
		m := map[domain.Field]bool{}
		for _, f := range fs {
			m[f] = true
		}
		return m
	}
	ki, _ := customer.Info()
	all := map[domain.Field]bool{}
	for _, fi := range ki.Fields {
		all[fi.Name] = true
	}
	hub := maps.Clone(all)
	delete(hub, "kind") // fixed at creation
	xero := set("legalName", "abn", "acn", "email", "phone", "mobile", "contacts", "billingAddress", "paymentTerms", "currency", "status")
	xeroReads := maps.Clone(xero)
	xeroReads["website"] = true
	return shelf{reads: map[string]map[domain.Field]bool{"hubspot": all, "xero": xeroReads}, writes: map[string]map[domain.Field]bool{"hubspot": hub, "xero": xero}}
}

func (s shelf) Writable(sys ownership.System, kind domain.Kind) ([]domain.Field, bool) {
	adapter := sys.Adapter
	w := s.writes[adapter]
	return slices.Sorted(maps.Keys(w)), w != nil && kind == customer
}

func (s shelf) Fit(sys ownership.System, _ domain.Kind, values domain.Values) domain.Values {
	adapter := sys.Adapter
	if adapter != "xero" {
		return values
	}
	fit := values.Clone()
	if v, ok := fit["status"]; ok && v.Empty() {
		fit["status"] = domain.TextValue("ACTIVE")
	}
	if v := fit["contacts"]; !v.Empty() {
		var people []domain.Contact
		if err := v.Decode(&people); err == nil {
			for i := range people {
				people[i].Phone = ""
			}
			fit["contacts"] = domain.ValueOf(people)
		}
	}
	return fit
}

func (s shelf) carries(adapter string, kind domain.Kind, f domain.Field) bool {
	if kind != customer {
		return true // these tests are about customers
	}
	return adapter == ownership.Native || s.reads[adapter][f]
}

var adapterOf = map[string]string{crm: "hubspot", accounting: "xero", ops: ownership.Native}

// carried returns the values that the system's objects have fields for; fields without a value are carried and empty.
func (s shelf) carried(system string, v domain.Values) domain.Values {
	c := domain.Values{}
	ki, _ := customer.Info()
	for _, fi := range ki.Fields {
		if s.carries(adapterOf[system], customer, fi.Name) {
			c[fi.Name] = domain.Null
			if x := v[fi.Name]; x != "" {
				c[fi.Name] = x
			}
		}
	}
	return c
}

var epoch = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func at(n int) time.Time { return epoch.Add(time.Duration(n) * time.Second) }

// record returns a vendor object with all fields that the system carries, changed and fetched at the time.
func (w *world) record(id string, n int, values domain.Values) domain.Record {
	return domain.Record{Kind: customer, ExternalID: id, Version: fmt.Sprint(n), ModifiedAt: at(n), FetchedAt: at(n), Values: values,
		Raw: []byte(fmt.Sprintf(`{"id":%q,"n":%d}`, id, n))}
}

func (w *world) cause(system string, source change.Source) change.Cause {
	return change.Cause{Actor: "system:" + system, Source: source, CorrelationID: domain.NewID("cor")}
}

// see lets a poll bring what the system's object is now.
func (w *world) see(system, id string, values domain.Values) change.Result {
	w.tb.Helper()
	w.clock++
	return w.apply(system, w.record(id, w.clock, w.shelf.carried(system, values)), change.FromPoll)
}

func (w *world) apply(system string, rec domain.Record, source change.Source) change.Result {
	w.tb.Helper()
	res, err := w.a.Record(ctx, change.Incoming{System: system, Record: rec, Cause: w.cause(system, source)})
	w.ok(err)
	return res
}

// change lets a person change fields of the object in the system, and a poll bring it.
func (w *world) change(system, id string, values domain.Values) change.Result {
	w.tb.Helper()
	v := w.stored(system, id).Values.Clone()
	maps.Copy(v, values)
	return w.see(system, id, v)
}

// gone lets the system say that the object is not there any more.
func (w *world) gone(system, id string) change.Result {
	w.tb.Helper()
	w.clock++
	return w.apply(system, domain.Record{Kind: customer, ExternalID: id, Deleted: true, FetchedAt: at(w.clock)}, change.FromPoll)
}

func (w *world) edit(system, entity string, fields domain.Values) change.Result {
	w.tb.Helper()
	res, err := w.a.Edit(ctx, change.Edit{System: system, Kind: customer, EntityID: entity, Fields: fields, Cause: w.cause(system, change.FromMutation)})
	w.ok(err)
	return res
}

func (w *world) decide(caseID, choice string) {
	w.tb.Helper()
	_, err := w.a.Decide(ctx, change.Decision{CaseID: caseID, Choice: choice, Cause: change.Cause{Actor: "Jo", CorrelationID: domain.NewID("cor")}})
	w.ok(err)
}

func (w *world) resettleAll() {
	w.tb.Helper()
	for _, e := range w.entities() {
		_, err := w.a.Resettle(ctx, e.ID, change.Cause{Actor: "policy", Source: change.FromPolicy, Lane: "bulk", CorrelationID: domain.NewID("cor")})
		w.ok(err)
	}
}

// vendor answers a write: the values that the object shows afterwards.
type vendor func(system string, before, sent domain.Values) domain.Values

// faithful takes every value as far as the system can hold it.
func (w *world) faithful(system string, before, sent domain.Values) domain.Values {
	after := before.Clone()
	for f, v := range w.shelf.Fit(ownership.System{Name: system, Adapter: adapterOf[system]}, customer, sent) {
		after[f] = v
	}
	return after
}

// work writes what is pending, as the workers do, until nothing is, and returns the number of writes by system.
func (w *world) work(answer vendor) map[string]int {
	w.tb.Helper()
	writes := map[string]int{}
	for range 20 {
		busy := false
		for _, system := range []string{crm, accounting} {
			p := w.claim(system)
			if p == nil {
				continue
			}
			busy = true
			writes[system]++
			w.finish(p, w.call(p, answer))
		}
		if !busy {
			return writes
		}
	}
	w.tb.Fatalf("still busy after 20 rounds: %v", writes)
	return nil
}

// hold locks an entity until the returned function is called.
func (w *world) hold(id string) func() {
	w.tb.Helper()
	tx, err := w.pool.Begin(ctx)
	w.ok(err)
	_, err = tx.Exec(ctx, "SELECT 1 FROM entities WHERE id = $1 FOR UPDATE", id)
	w.ok(err)
	return func() { w.ok(tx.Commit(ctx)) }
}

// waiting waits until n transactions of this database wait for a lock.
func (w *world) waiting(n int) {
	w.tb.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		var m int
		w.ok(w.pool.QueryRow(ctx, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&m))
		if m >= n {
			return
		}
		if time.Now().After(end) {
			w.tb.Fatalf("%d transactions wait, not %d", m, n)
		}
	}
}

// inFlight is a projection that is being written.
type inFlight struct {
	*store.Projection
	base *store.Record
}

// claim claims one due projection of the system and stores the intent, as a worker does before the call; nil if none is due.
func (w *world) claim(system string) *inFlight {
	w.tb.Helper()
	p := w.process1()
	ps, err := store.ClaimProjections(ctx, w.pool, system, customer, uuid.New(), p, time.Minute, 1)
	w.ok(err)
	if len(ps) == 0 {
		return nil
	}
	f := &inFlight{Projection: ps[0]}
	held, err := store.Intend(ctx, w.pool, system, customer, store.ModeLive, *f.Lease, []string{f.EntityID}, []string{"key"}, []string{"update"}, []domain.Values{f.Diff})
	w.ok(err)
	if !held[f.EntityID] {
		w.tb.Fatalf("the lease of %s was lost", f.EntityID)
	}
	if f.ExternalID != "" {
		f.base = w.stored(system, f.ExternalID)
	}
	return f
}

func (w *world) process1() string {
	w.tb.Helper()
	p := store.NewProcess("test", 1)
	w.ok(store.Heartbeat(ctx, w.pool, p))
	return p.ID
}

// call is the vendor's part: it returns the object as the write left it.
func (w *world) call(p *inFlight, answer vendor) domain.Record {
	w.clock++
	id, before := p.ExternalID, w.shelf.carried(p.System, domain.Values{})
	if p.base != nil {
		before = p.base.Values.Clone()
	}
	if id == "" {
		id = fmt.Sprintf("%s-made-%d", p.System, w.clock)
	}
	rec := w.record(id, w.clock, answer(p.System, before, p.Diff))
	rec.CanonicalID = p.EntityID
	return rec
}

// finish stores the outcome of a write, as a worker does.
func (w *world) finish(p *inFlight, rec domain.Record) {
	w.tb.Helper()
	in := change.Incoming{System: p.System, Record: rec, Wrote: p.Diff, EntityID: p.EntityID,
		Cause: change.Cause{Actor: "datum", Source: change.FromProjection, CorrelationID: p.CorrelationID, Lane: p.Lane}}
	if p.base != nil {
		in.Base = p.base.Values
	}
	w.ok(store.Transact(ctx, w.pool, func(tx pgx.Tx) error {
		if _, err := w.a.RecordTx(ctx, tx, in); err != nil {
			return err
		}
		_, err := store.Release{EntityID: p.EntityID, System: p.System, Lease: *p.Lease}.Apply(ctx, tx)
		return err
	}))
}

func (w *world) entities() []store.Entity {
	w.tb.Helper()
	ids, err := store.EntityIDs(ctx, w.pool, customer, "", 10000)
	w.ok(err)
	es, err := store.Entities(ctx, w.pool, ids)
	w.ok(err)
	return es
}

func (w *world) entity(id string) store.Entity {
	w.tb.Helper()
	es, err := store.Entities(ctx, w.pool, []string{id})
	w.ok(err)
	if len(es) != 1 {
		w.tb.Fatalf("there is no entity %q", id)
	}
	return es[0]
}

func (w *world) golden(id string, f domain.Field) domain.Value {
	w.tb.Helper()
	return w.entity(id).Golden[f]
}

// isGolden checks one golden value.
func (w *world) isGolden(id string, f domain.Field, want domain.Value) {
	w.tb.Helper()
	if got := w.golden(id, f); !same(got, want) {
		w.tb.Fatalf("%s is %s, not %s", f, got, want)
	}
}

func same(a, b domain.Value) bool { return a == b || a.Empty() && b.Empty() }

func (w *world) stored(system, id string) *store.Record {
	w.tb.Helper()
	rs, err := store.Records(ctx, w.pool, system, customer, []string{id})
	w.ok(err)
	if len(rs) != 1 {
		w.tb.Fatalf("there is no record %s %s", system, id)
	}
	return rs[0]
}

func (w *world) projection(id, system string) *store.Projection {
	w.tb.Helper()
	ps, err := store.ProjectionsOf(ctx, w.pool, []string{id})
	w.ok(err)
	for _, p := range ps {
		if p.System == system {
			return p
		}
	}
	return &store.Projection{}
}

// isAt checks the status of a projection and returns it.
func (w *world) isAt(id, system string, want store.ProjectionStatus) *store.Projection {
	w.tb.Helper()
	p := w.projection(id, system)
	if p.Status != want {
		w.tb.Fatalf("the projection to %s is %q (%s %s, %v), not %q", system, p.Status, p.ErrorCode, p.Error, p.Diff, want)
	}
	return p
}

// open returns the open cases of a kind, "" for all.
func (w *world) open(kind string) []store.Case {
	w.tb.Helper()
	cs, err := store.ListCases(ctx, w.pool, store.CaseFilter{Status: "open", Kind: kind}, nil, "", 10000)
	w.ok(err)
	return cs
}

// one returns the only open case of a kind.
func (w *world) one(kind string) store.Case {
	w.tb.Helper()
	cs := w.open(kind)
	if len(cs) != 1 {
		w.tb.Fatalf("%d open cases %q, not 1: %+v", len(cs), kind, cs)
	}
	return cs[0]
}

func (w *world) none(kind string) {
	w.tb.Helper()
	if cs := w.open(kind); len(cs) > 0 {
		w.tb.Fatalf("%d open cases %q: %+v", len(cs), kind, cs[0])
	}
}

func (w *world) history(id string) []store.History {
	w.tb.Helper()
	hs, err := store.HistoryOf(ctx, w.pool, id, 0, 10000)
	w.ok(err)
	return hs
}

// rows returns the history rows of an action about a field.
func (w *world) rows(id, action string, f domain.Field) []store.History {
	w.tb.Helper()
	return slices.DeleteFunc(w.history(id), func(h store.History) bool { return h.Action != action || h.Field != f })
}

func (w *world) isRow(id, action string, f domain.Field, n int) {
	w.tb.Helper()
	if rows := w.rows(id, action, f); len(rows) != n {
		w.tb.Fatalf("%d history rows %q about %s, not %d: %+v", len(rows), action, f, n, w.history(id))
	}
}

// trace counts everything that somebody could notice: events, history, cases, jobs, versions.
type trace struct {
	Events, History, Cases int
	Versions, Desired      int64
	Wakes                  int
}

func (w *world) trace() (t trace) {
	w.tb.Helper()
	w.ok(w.pool.QueryRow(ctx, `SELECT (SELECT count(*) FROM feed), (SELECT count(*) FROM history), (SELECT count(*) FROM cases),
		(SELECT coalesce(sum(version), 0)::bigint FROM entities), (SELECT coalesce(sum(desired_version), 0)::bigint FROM projections)`).Scan(
		&t.Events, &t.History, &t.Cases, &t.Versions, &t.Desired))
	w.bell.mu.Lock()
	defer w.bell.mu.Unlock()
	t.Wakes = len(w.bell.wakes)
	return t
}

// quietly checks that f leaves no trace.
func (w *world) quietly(what string, f func()) {
	w.tb.Helper()
	before := w.trace()
	f()
	if after := w.trace(); after != before {
		w.tb.Fatalf("%s left a trace: %+v, before %+v", what, after, before)
	}
}

// pair makes one customer known in both vendor systems, level, and returns its entity.
func (w *world) pair(tag int, v domain.Values) string {
	w.tb.Helper()
	if v["abn"] == "" {
		v = with(v, values("abn", abn(tag)))
	}
	res := w.see(crm, fmt.Sprintf("h%d", tag), v)
	w.see(accounting, fmt.Sprintf("x%d", tag), v)
	w.work(w.faithful)
	return res.EntityID
}

// Drift compares objects whose members are fields: {"phone": "0298765432"}.
func (s shelf) Drift(_ ownership.System, _ domain.Kind, old, now json.RawMessage, before []domain.Issue) []domain.Issue {
	var a, b map[string]any
	if json.Unmarshal(now, &b) != nil {
		return nil
	}
	_ = json.Unmarshal(old, &a)
	var found []domain.Issue
	for _, is := range before {
		if _, back := b[is.Path]; !back && is.Path != "" && is.Code == domain.FieldMissing {
			found = append(found, is)
		}
	}
	for _, f := range slices.Sorted(maps.Keys(a)) {
		if _, there := b[f]; !there {
			found = append(found, domain.Issue{Field: domain.Field(f), Path: f, Code: domain.FieldMissing, Severity: domain.Warning, Message: f + " is not there any more"})
		}
	}
	return found
}

func (s shelf) Shows(_ ownership.System, _ domain.Kind, raw json.RawMessage, paths []string) []string {
	var o map[string]any
	_ = json.Unmarshal(raw, &o)
	return slices.DeleteFunc(slices.Clone(paths), func(p string) bool { _, ok := o[p]; return !ok })
}
