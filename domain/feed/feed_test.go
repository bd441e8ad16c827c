package feed_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"datum/domain"
	"datum/domain/feed"
	"datum/domain/store"
	"datum/internal/pgtest"
)

const patience = 3 * time.Minute

// begin returns a database and a hub that runs on it.
func begin(t *testing.T) (*pgxpool.Pool, *feed.Hub) {
	t.Helper()
	pool := pgtest.New(t)
	return pool, run(t, pool)
}

func run(t *testing.T, pool *pgxpool.Pool) *feed.Hub {
	t.Helper()
	h := feed.NewHub(pool, slog.New(slog.DiscardHandler), 20*time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("the hub does not stop")
		}
	})
	return h
}

func write(t testing.TB, pool *pgxpool.Pool, keys ...string) {
	t.Helper()
	b := &pgx.Batch{}
	for _, k := range keys {
		b.Queue("INSERT INTO feed (topic, key) VALUES ('entity', $1)", k)
	}
	if err := pool.SendBatch(context.Background(), b).Close(); err != nil {
		t.Fatal(err)
	}
}

func everything(feed.Event) bool { return true }

// next waits for one event.
func next(t testing.TB, events <-chan feed.Event) feed.Event {
	t.Helper()
	select {
	case e, ok := <-events:
		if !ok {
			t.Fatal("the subscription has ended")
		}
		return e
	case <-time.After(patience):
		t.Fatal("no event")
	}
	panic("unreachable")
}

// Eight writers whose transactions commit in another order than they began, and subscribers that keep up, that come back
// again and again, and that are slow: each gets every event once, in the order of the feed, and no writer's out of order.
func TestNoneMissedNoneRepeated(t *testing.T) {
	t.Parallel()
	pool, hub := begin(t)
	another := run(t, pool) // that of another process, whom nobody rings
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	const writers, each = 8, 20
	total := 0
	sizes := [writers][each]int{}
	for w := range writers {
		for n := range each {
			sizes[w][n] = 1 + rand.IntN(3)
			total += sizes[w][n]
		}
	}
	check := func(name string, got []feed.Event) {
		t.Helper()
		last := map[int]int{}
		for i, e := range got {
			if i > 0 && !got[i-1].Less(e.Position) {
				t.Errorf("%s: %v came after %v", name, e.Position, got[i-1].Position)
			}
			var w, n int
			if _, err := fmt.Sscanf(e.Key, "%d %d", &w, &n); err != nil {
				t.Fatal(err)
			}
			if n != last[w] {
				t.Errorf("%s: of writer %d number %d came instead of %d", name, w, n, last[w])
			}
			last[w] = n + 1
		}
		if len(got) != total {
			t.Errorf("%s: %d events of %d", name, len(got), total)
		}
	}
	var readers, writing sync.WaitGroup
	start := feed.Position{}.Cursor()
	readers.Go(func() { // keeps up
		events, err := hub.Subscribe(ctx, start, everything)
		if err != nil {
			t.Error(err)
			return
		}
		var got []feed.Event
		for len(got) < total && ctx.Err() == nil {
			if e, ok := <-events; ok {
				got = append(got, e)
			}
		}
		check("keeping up", got)
	})
	readers.Go(func() { // comes back after every few events, sometimes to another process
		var got []feed.Event
		cursor := start
		for i := 0; len(got) < total && ctx.Err() == nil; i++ {
			sub, stop := context.WithCancel(ctx)
			h := hub
			if i%2 == 1 {
				h = another
			}
			events, err := h.Subscribe(sub, cursor, everything)
			if err != nil {
				t.Error(err)
			}
			for range 1 + rand.IntN(7) {
				if len(got) == total {
					break
				}
				e, ok := <-events
				if !ok {
					break
				}
				got, cursor = append(got, e), e.Cursor()
			}
			stop()
		}
		check("coming back", got)
	})
	readers.Go(func() { // takes its time
		events, err := another.Subscribe(ctx, start, everything)
		if err != nil {
			t.Error(err)
			return
		}
		var got []feed.Event
		for len(got) < total && ctx.Err() == nil {
			time.Sleep(time.Duration(rand.IntN(3)) * time.Millisecond)
			if e, ok := <-events; ok {
				got = append(got, e)
			}
		}
		check("slow", got)
	})
	for w := range writers {
		writing.Go(func() {
			n := 0
			for tx := range each {
				err := pgx.BeginFunc(ctx, pool, func(db pgx.Tx) error {
					for range sizes[w][tx] {
						if _, err := db.Exec(ctx, "INSERT INTO feed (topic, key) VALUES ('entity', $1)", fmt.Sprintf("%d %d", w, n)); err != nil {
							return err
						}
						n++
						if _, err := db.Exec(ctx, "SELECT pg_sleep(random() * 0.01)"); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				hub.Ring()
			}
		})
	}
	writing.Wait()
	readers.Wait()
}

// A subscriber that falls behind what the hub keeps in memory is served from the table, and holds up nobody.
func TestSlowSubscriberFallsBehind(t *testing.T) {
	t.Parallel()
	pool, hub := begin(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	slow, err := hub.Subscribe(ctx, feed.Position{}.Cursor(), everything)
	if err != nil {
		t.Fatal(err)
	}
	fast, err := hub.Subscribe(ctx, feed.Position{}.Cursor(), func(e feed.Event) bool { return e.Key == "last" })
	if err != nil {
		t.Fatal(err)
	}
	const n = 9500 // more than twice what is kept
	for range 5 {
		if _, err := pool.Exec(ctx, "INSERT INTO feed (topic, key) SELECT 'entity', i::text FROM generate_series(1, $1::int) i", n/5); err != nil {
			t.Fatal(err)
		}
		hub.Ring()
	}
	write(t, pool, "last")
	hub.Ring()
	next(t, fast)
	var before feed.Position
	for i := range n + 1 {
		e := next(t, slow)
		if !before.Less(e.Position) {
			t.Fatalf("event %d: %v after %v", i, e.Position, before)
		}
		before = e.Position
	}
	write(t, pool, "next")
	if e := next(t, slow); e.Key != "next" {
		t.Errorf("then came %+v", e)
	}
}

// A transaction that is still open holds back what began after it, and nothing is lost behind it.
func TestOpenTransactionHoldsBack(t *testing.T) {
	t.Parallel()
	pool, hub := begin(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events, err := hub.Subscribe(ctx, "", everything)
	if err != nil {
		t.Fatal(err)
	}
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(ctx)
	if _, err := tx.Exec(ctx, "INSERT INTO feed (topic, key) VALUES ('entity', 'early')"); err != nil {
		t.Fatal(err)
	}
	write(t, pool, "late")
	if n, age, err := feed.Lag(ctx, pool); err != nil || n < 1 || age < 0 {
		t.Errorf("%d events are held back for %s, %v", n, age, err)
	}
	select {
	case e := <-events:
		t.Fatalf("%s was delivered past a transaction that may yet commit before it", e.Key)
	case <-time.After(100 * time.Millisecond):
	}
	if err := tx.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	if a, b := next(t, events), next(t, events); a.Key != "early" || b.Key != "late" {
		t.Errorf("%s, then %s", a.Key, b.Key)
	}
}

// The loss of every connection is survived.
func TestSurvivesLossOfConnections(t *testing.T) {
	t.Parallel()
	pool, hub := begin(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events, err := hub.Subscribe(ctx, "", everything)
	if err != nil {
		t.Fatal(err)
	}
	write(t, pool, "before")
	next(t, events)
	if _, err := pool.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"); err != nil {
		t.Fatal(err)
	}
	// The pool may hand out a connection that is gone once for each.
	for range pgtest.MaxConns + 1 {
		if _, err = pool.Exec(ctx, "INSERT INTO feed (topic, key) VALUES ('entity', 'after')"); err == nil {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if e := next(t, events); e.Key != "after" {
		t.Errorf("%+v", e)
	}
}

func TestSubscriptionEnds(t *testing.T) {
	t.Parallel()
	_, hub := begin(t)
	ctx, cancel := context.WithCancel(context.Background())
	events, err := hub.Subscribe(ctx, "", everything)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case _, ok := <-events:
		if ok {
			t.Error("an event out of nowhere")
		}
	case <-time.After(patience):
		t.Error("the channel stays open")
	}
	if _, err := hub.Subscribe(context.Background(), "nonsense", everything); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("a cursor that is none: %v", err)
	}
}

// TestCursorOlderThanTheFeed: who comes back after what he missed was dropped is told so, and not served the rest as if it were
// all.
func TestCursorOlderThanTheFeed(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	ctx := t.Context()
	hub := feed.NewHub(pool, slog.New(slog.DiscardHandler), 0)
	before := end(t, pool)
	write(t, pool, "old")
	between := end(t, pool)
	write(t, pool, "new")
	if _, err := pool.Exec(ctx, "UPDATE feed SET at = now() - interval '2 days' WHERE key = 'old'"); err != nil {
		t.Fatal(err)
	}
	if k, err := store.KeepPartitions(ctx, pool, time.Now(), []store.Retention{{Name: "feed", Days: 1}}); err != nil || k.Deleted != 1 {
		t.Fatalf("%+v, %v", k, err)
	}
	all := func(feed.Event) bool { return true }
	if _, err := hub.Subscribe(ctx, before.Cursor(), all); domain.CodeOf(err) != domain.Invalid || !strings.Contains(err.Error(), "older than") {
		t.Errorf("an event after the cursor is gone: %v", err)
	}
	if _, err := hub.Subscribe(ctx, between.Cursor(), all); err != nil {
		t.Errorf("all events after the cursor are there: %v", err)
	}
}

// end is the position after everything that was written: once no older transaction runs, which other tests' may.
func end(t *testing.T, pool *pgxpool.Pool) feed.Position {
	t.Helper()
	var tx, id string
	err := pool.QueryRow(t.Context(), `SELECT coalesce(max(tx::text::bigint), 0)::text, coalesce(max(id), 0)::text FROM feed`).Scan(&tx, &id)
	if err != nil {
		t.Fatal(err)
	}
	var p feed.Position
	if _, err := fmt.Sscan(tx+" "+id, &p.Tx, &p.ID); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(patience); ; {
		if e, err := feed.End(t.Context(), pool); err != nil || time.Now().After(until) {
			t.Fatal(e, err)
		} else if !e.Less(p) {
			return p
		}
	}
}

// Any text is either a cursor, and then the only one of its position, or Invalid.
func FuzzParseCursor(f *testing.F) {
	for _, p := range []feed.Position{{}, {Tx: 1, ID: 2}, {Tx: 1<<64 - 1, ID: 1<<63 - 1}} {
		f.Add(p.Cursor())
	}
	for _, s := range []string{"", "x", "MS4y\n", "Ky4x", "MDEuMDI"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := feed.ParseCursor(s)
		if err != nil {
			if domain.CodeOf(err) != domain.Invalid {
				t.Errorf("%q: %v", s, err)
			}
			return
		}
		if p.Cursor() != s {
			t.Errorf("%q is the position %v, whose cursor is %q", s, p, p.Cursor())
		}
	})
}

func TestCursorOfAnotherDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	hub := feed.NewHub(pool, slog.New(slog.DiscardHandler), 0)
	end, err := feed.End(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	ahead := feed.Position{Tx: end.Tx + 1000, ID: 1}
	if _, err := hub.Subscribe(t.Context(), ahead.Cursor(), func(feed.Event) bool { return true }); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("a cursor that this database has not reached: %v", err)
	}
	if _, err := hub.Subscribe(t.Context(), end.Cursor(), func(feed.Event) bool { return true }); err != nil {
		t.Errorf("a cursor at the end: %v", err)
	}
}
