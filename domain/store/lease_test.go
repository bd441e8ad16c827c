package store_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"datum/domain"
	"datum/domain/store"
	"datum/internal/pgtest"
)

const (
	xero = "accounting"
	kind = domain.KindCustomer
)

// due makes projections to accounting that are due, and returns their entities.
func due(t testing.TB, pool *pgxpool.Pool, n int, lane string) []string {
	t.Helper()
	must(t, store.EnsureSystem(ctx, pool, xero, "xero", store.ModeLive))
	ids := customers(t, pool, make([]domain.Values, n)...)
	b := &pgx.Batch{}
	for _, id := range ids {
		store.QueueProjection(b, &store.Projection{EntityID: id, System: xero, Kind: kind, Status: store.Pending, DesiredVersion: 1, Lane: lane,
			Diff: domain.Values{"phone": text("1")}})
	}
	must(t, pool.SendBatch(ctx, b).Close())
	return ids
}

// living returns the id of a process whose heart beats while the test lasts.
func living(t testing.TB, pool *pgxpool.Pool) string {
	t.Helper()
	p := store.NewProcess("test", 1)
	must(t, store.Heartbeat(ctx, pool, p))
	_, err := pool.Exec(ctx, "UPDATE processes SET heartbeat_at = 'infinity' WHERE id = $1", p.ID)
	must(t, err)
	return p.ID
}

func claim(t testing.TB, pool *pgxpool.Pool, lease uuid.UUID, process string, d time.Duration, limit int) []*store.Projection {
	t.Helper()
	ps, err := store.ClaimProjections(ctx, pool, xero, kind, lease, process, d, limit)
	must(t, err)
	return ps
}

func projection(t testing.TB, pool *pgxpool.Pool, id string) *store.Projection {
	t.Helper()
	ps, err := store.ProjectionsOf(ctx, pool, []string{id})
	must(t, err)
	if len(ps) != 1 {
		t.Fatalf("%d projections", len(ps))
	}
	return ps[0]
}

// However many workers claim at once, each projection is one worker's, live ones first, and none that is not due.
func TestClaimEachOnce(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	process := living(t, pool)
	due(t, pool, 20, "bulk")
	live := due(t, pool, 20, "live")
	later := due(t, pool, 1, "live")[0]
	_, err := pool.Exec(ctx, "UPDATE projections SET due_at = now() + interval '1 hour' WHERE entity_id = $1", later)
	must(t, err)
	first := claim(t, pool, uuid.New(), process, time.Minute, 20)
	for _, p := range first {
		if p.Lane != "live" {
			t.Errorf("a bulk one came before live ones")
		}
	}
	if len(first) != len(live) {
		t.Errorf("%d claimed", len(first))
	}
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				ps, err := store.ClaimProjections(ctx, pool, xero, kind, uuid.New(), process, time.Minute, 3)
				if err != nil {
					t.Error(err)
				}
				if len(ps) == 0 {
					return
				}
				mu.Lock()
				for _, p := range ps {
					seen[p.EntityID]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for id, n := range seen {
		if n != 1 || id == later {
			t.Errorf("%s was claimed %d times", id, n)
		}
	}
	if len(seen) != 20 {
		t.Errorf("%d claimed", len(seen))
	}
	n, next, err := store.Due(ctx, pool, xero, kind, 100)
	if err != nil || n != 0 || next == nil || time.Until(*next) < 50*time.Minute {
		t.Errorf("%d due, next %v, %v", n, next, err)
	}
}

// A lease ends when it runs out or its process is gone, and whoever has lost it can neither begin a write nor settle one.
func TestLeaseEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		d    time.Duration
		lose func(t *testing.T, pool *pgxpool.Pool, process string)
		free bool
	}{
		"held":         {time.Minute, func(*testing.T, *pgxpool.Pool, string) {}, false},
		"run out":      {-time.Second, func(*testing.T, *pgxpool.Pool, string) {}, true},
		"process gone": {time.Minute, func(t *testing.T, pool *pgxpool.Pool, p string) { must(t, store.StopProcess(ctx, pool, p)) }, true},
		"process dead": {time.Minute, func(t *testing.T, pool *pgxpool.Pool, p string) {
			_, err := pool.Exec(ctx, "UPDATE processes SET heartbeat_at = now() - interval '6 s' WHERE id = $1", p)
			must(t, err)
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := pgtest.New(t)
			id := due(t, pool, 1, "live")[0]
			process, lease := living(t, pool), uuid.New()
			if ps := claim(t, pool, lease, process, c.d, 5); len(ps) != 1 {
				t.Fatalf("%d claimed", len(ps))
			}
			c.lose(t, pool, process)
			second := uuid.New()
			if got := len(claim(t, pool, second, living(t, pool), time.Minute, 5)); (got == 1) != c.free {
				t.Fatalf("claimed by a second worker: %d", got)
			}
			intend := func(lease uuid.UUID) bool {
				ok, err := store.Intend(ctx, pool, xero, kind, store.ModeLive, lease, []string{id}, []string{"key of " + lease.String()}, []string{"update"}, []domain.Values{{"phone": text("1")}})
				must(t, err)
				return ok[id]
			}
			if intend(lease) == c.free {
				t.Errorf("the first worker may write: %v", !c.free)
			}
			if c.free && !intend(second) {
				t.Error("the second worker may not write")
			}
			held, err := store.Release{EntityID: id, System: xero, Lease: lease, Status: store.Confirmed}.Apply(ctx, pool)
			must(t, err)
			if held == c.free {
				t.Errorf("the first worker settles: %v", held)
			}
			if p := projection(t, pool, id); c.free && (p.Status != store.Pending || p.IntentKey != "key of "+second.String() || p.Lease == nil || *p.Lease != second) {
				t.Errorf("the first worker has spoilt it: %+v", p)
			}
		})
	}
}

// What was sent is remembered until the outcome is known, and what the change that an outcome brought has noted stays.
func TestRelease(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	id := due(t, pool, 1, "live")[0]
	process := living(t, pool)
	begin := func(sent domain.Values) uuid.UUID {
		lease := uuid.New()
		if ps := claim(t, pool, lease, process, time.Minute, 1); len(ps) != 1 {
			t.Fatalf("%d claimed", len(ps))
		}
		ok, err := store.Intend(ctx, pool, xero, kind, store.ModeLive, lease, []string{id}, []string{"k"}, []string{"create"}, []domain.Values{sent})
		must(t, err)
		if !ok[id] {
			t.Fatal("no lease")
		}
		return lease
	}
	release := func(r store.Release) *store.Projection {
		r.EntityID, r.System = id, xero
		ok, err := r.Apply(ctx, pool)
		must(t, err)
		if !ok {
			t.Fatal("no lease")
		}
		return projection(t, pool, id)
	}
	lease := begin(domain.Values{"phone": text("1")})
	p := release(store.Release{Lease: lease, KeepIntent: true, CountAttempt: true, ErrorCode: domain.Unknown, Error: "no answer"})
	if p.IntentKey != "k" || p.IntentOp != "create" || len(p.Sent) != 1 || p.Attempts != 1 || p.Error != "no answer" || p.Lease != nil {
		t.Errorf("%+v", p)
	}
	lease = begin(domain.Values{"email": text("2")})
	if p := projection(t, pool, id); len(p.Sent) != 2 {
		t.Errorf("of two writes without an outcome only %v is remembered", p.Sent)
	}
	// The change that the outcome brings goes through QueueProjection: the lease is not its business.
	b := &pgx.Batch{}
	changed := projection(t, pool, id)
	changed.Status, changed.ErrorCode, changed.Error, changed.Lease = store.Refused, domain.Invalid, "the vendor shows something else", nil
	store.QueueProjection(b, changed)
	must(t, pool.SendBatch(ctx, b).Close())
	if p := projection(t, pool, id); p.Lease == nil || *p.Lease != lease || p.IntentKey != "k" {
		t.Errorf("the lease or the intent is gone: %+v", p)
	}
	p = release(store.Release{Lease: lease, NextEpoch: true})
	if p.Status != store.Refused || p.Error != "the vendor shows something else" || p.ErrorCode != domain.Invalid || p.IntentKey != "" || len(p.Sent) != 0 || p.IntentEpoch != 1 {
		t.Errorf("%+v", p)
	}
	if held, err := (store.Release{EntityID: id, System: xero, Lease: lease}).Apply(ctx, pool); err != nil || held {
		t.Errorf("released twice: %v, %v", held, err)
	}
}

func TestUnpark(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	ids := due(t, pool, 3, "live")
	for i, code := range []domain.Code{domain.Unready, domain.Conflict} {
		_, err := pool.Exec(ctx, "UPDATE projections SET status = 'parked', error_code = $2 WHERE entity_id = $1", ids[i], code)
		must(t, err)
	}
	n, err := store.Unpark(ctx, pool, xero, kind, domain.Unready)
	if err != nil || n != 1 {
		t.Errorf("%d unparked, %v", n, err)
	}
	if a, b := projection(t, pool, ids[0]), projection(t, pool, ids[1]); a.Status != store.Pending || b.Status != store.Parked {
		t.Errorf("%s and %s", a.Status, b.Status)
	}
}

// What becomes due between the last look of a slot's holder and whoever finds the slot taken is nobody's: it must not be.
// A job runs for each projection, as River would run it, and none runs after the last of them.
func TestSlotsLoseNoWakeUp(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	process := living(t, pool)
	const slots, batch, producers, each = 2, 4, 6, 12
	ids := due(t, pool, producers*each, "live")
	_, err := pool.Exec(ctx, "UPDATE projections SET status = 'confirmed'")
	must(t, err)
	job := func() error {
		lease := uuid.New()
		slot := -1
		err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
			slot, _, err = store.TakeSlot(ctx, tx, xero, kind, process, lease, time.Minute, slots, batch)
			return err
		})
		for released := slot < 0; err == nil && !released; {
			var ps []*store.Projection
			if ps, err = store.ClaimProjections(ctx, pool, xero, kind, lease, process, time.Minute, batch); err != nil {
				return err
			}
			for _, p := range ps {
				if _, err = (store.Release{EntityID: p.EntityID, System: xero, Lease: lease, Status: store.Confirmed}).Apply(ctx, pool); err != nil {
					return err
				}
			}
			err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) (err error) {
				released, err = store.ReleaseSlot(ctx, tx, xero, kind, slot, slots, batch, lease, false)
				return err
			})
		}
		return err
	}
	var wg sync.WaitGroup
	for i := range producers {
		wg.Go(func() {
			for n := range each {
				if _, err := pool.Exec(ctx, "UPDATE projections SET status = 'pending', due_at = now() WHERE entity_id = $1", ids[i*each+n]); err != nil {
					t.Error(err)
				}
				if err := job(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n, _, err := store.Due(ctx, pool, xero, kind, 1000); err != nil || n != 0 {
		t.Errorf("%d projections are left although nobody is at it, %v", n, err)
	}
	var taken int
	must(t, pool.QueryRow(ctx, "SELECT count(*) FROM writer_slots WHERE lease IS NOT NULL").Scan(&taken))
	if taken != 0 {
		t.Errorf("%d slots are still taken", taken)
	}
}

// The holder's last look sees what has become due while it waited for the slots, though its transaction is older.
func TestLastLookIsNow(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	process, lease := living(t, pool), uuid.New()
	due(t, pool, 1, "live")
	take := func(tx pgx.Tx) error {
		slot, idle, err := store.TakeSlot(ctx, tx, xero, kind, process, lease, time.Minute, 1, 10)
		if err == nil && (slot != 0 || idle) {
			err = fmt.Errorf("slot %d, idle %v", slot, idle)
		}
		return err
	}
	must(t, pgx.BeginFunc(ctx, pool, take))
	claim(t, pool, lease, process, time.Minute, 10)
	must(t, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		due(t, pool, 1, "live") // commits after the transaction has begun
		released, err := store.ReleaseSlot(ctx, tx, xero, kind, 0, 1, 10, lease, false)
		if released {
			t.Error("the slot was given back with work left")
		}
		return err
	}))
}

// A further writer comes only when there is a batch for it, and a slot of the dead is free.
func TestSlots(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	process := living(t, pool)
	take := func(want int, wantIdle bool) {
		t.Helper()
		must(t, pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			slot, idle, err := store.TakeSlot(ctx, tx, xero, kind, process, uuid.New(), time.Minute, 2, 3)
			if slot != want || idle != wantIdle {
				t.Errorf("slot %d, idle %v, not %d, %v", slot, idle, want, wantIdle)
			}
			return err
		}))
	}
	take(-1, true)
	due(t, pool, 2, "live")
	take(0, false)
	take(-1, false)
	due(t, pool, 1, "live")
	take(1, false)
	take(-1, false)
	must(t, store.StopProcess(ctx, pool, process))
	process = living(t, pool)
	take(0, false)
	lost := uuid.New()
	if ok, err := store.KeepSlot(ctx, pool, xero, kind, 0, lost, time.Minute); err != nil || ok {
		t.Errorf("a lease that never was is kept: %v, %v", ok, err)
	}
}

// Never more than asked for, however Postgres plans the statement: one that looks anew for each row would take others each time.
func TestClaimsAreNoLargerThanAsked(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	process := living(t, pool)
	due(t, pool, 9, "live")
	var signals []store.Signal
	for n := range 9 {
		signals = append(signals, store.Signal{System: xero, Kind: kind, ExternalID: fmt.Sprint(n), Source: "webhook"})
	}
	_, err := store.InsertSignals(ctx, pool, signals)
	must(t, err)
	_, err = pool.Exec(ctx, "INSERT INTO alert_deliveries (id, channel, event, rule, title, body, since) SELECT 'msg_' || n, 'ops', 'test', 'x', 'x', 'x', now() FROM generate_series(1, 150) n")
	must(t, err)
	for _, off := range []string{"", "hashjoin, mergejoin", "hashjoin, mergejoin, hashagg, sort, material, memoize", "nestloop, mergejoin", "nestloop, hashjoin"} {
		tx, err := pool.Begin(ctx)
		must(t, err)
		for _, o := range strings.FieldsFunc(off, func(r rune) bool { return r == ',' || r == ' ' }) {
			_, err := tx.Exec(ctx, "SET LOCAL enable_"+o+" = off")
			must(t, err)
		}
		ps, err := store.ClaimProjections(ctx, tx, xero, kind, uuid.New(), process, time.Minute, 2)
		must(t, err)
		ss, err := store.ClaimSignals(ctx, tx, xero, process, time.Minute, 3)
		must(t, err)
		ds, err := store.QueueDeliveries(ctx, tx)
		must(t, err)
		if len(ps) != 2 || len(ss) != 3 || len(ds) != 100 {
			t.Errorf("without %q: %d projections, %d signals and %d deliveries", off, len(ps), len(ss), len(ds))
		}
		must(t, tx.Rollback(ctx))
	}
}
