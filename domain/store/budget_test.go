package store

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"pgregory.net/rapid"

	"datum/internal/pgtest"
)

// epoch is where injected clocks start.
var epoch = time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)

const hold = time.Minute

func limits(t *testing.T, db DB, system string, ls ...Limit) {
	t.Helper()
	if err := SetLimits(context.Background(), db, system, ls); err != nil {
		t.Fatal(err)
	}
}

// immortal enters a process that has a heartbeat at every injected time.
func immortal(t *testing.T, pool *pgxpool.Pool) string {
	t.Helper()
	p := NewProcess("test", 1)
	if err := Heartbeat(context.Background(), pool, p); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(context.Background(), `UPDATE processes SET heartbeat_at = 'infinity' WHERE id = $1`, p.ID); err != nil {
		t.Fatal(err)
	}
	return p.ID
}

func margin(per time.Duration) time.Duration {
	return min(max((per/60).Truncate(time.Millisecond), 50*time.Millisecond), time.Second)
}

// TestBudgetProperty: whatever the lanes and gaps, no window holds more than the limit, and whoever comes back when told
// to gets on.
func TestBudgetProperty(t *testing.T) {
	t.Parallel()
	pool := pgtest.New(t)
	ctx := context.Background()
	tx, err := pool.Begin(ctx) // one connection, no commits: this is about arithmetic
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(ctx)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		system := fmt.Sprintf("s%d", n)
		per := rapid.SampledFrom([]time.Duration{time.Second, 10 * time.Second, time.Minute, 24 * time.Hour}).Draw(rt, "per")
		calls := rapid.IntRange(1, 12).Draw(rt, "calls")
		limits(t, tx, system, Limit{Name: "w", Calls: calls, Per: per})
		now := epoch
		var granted []time.Time
		lanes := rapid.SampledFrom([][]string{{"live"}, {"bulk"}, {"live", "bulk", "sweep"}}).Draw(rt, "lanes")
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, int(per/time.Millisecond)/calls).Draw(rt, "gap")) * time.Millisecond)
			lane := rapid.SampledFrom(lanes).Draw(rt, "lane")
			g, err := acquire(ctx, tx, system, lane, nil, "p", hold, &now)
			if err != nil {
				t.Fatal(err)
			}
			if g.Wait > 0 && rapid.Bool().Draw(rt, "comes back") {
				if g.Wait > per+margin(per)+per/100+time.Second {
					rt.Fatalf("told to wait %s for a window of %s", g.Wait, per)
				}
				now = now.Add(g.Wait)
				if g, err = acquire(ctx, tx, system, lane, nil, "p", hold, &now); err != nil {
					t.Fatal(err)
				}
				if g.Wait > 0 && len(lanes) == 1 {
					rt.Fatalf("came back when told and must wait %s more", g.Wait)
				}
			}
			if g.Wait > 0 {
				if len(granted) == 0 {
					rt.Fatalf("refused %s of an untouched limit of %d", lane, calls)
				}
				continue
			}
			granted = append(granted, now)
			window := 0
			for _, at := range granted {
				if at.After(now.Add(-per - margin(per))) {
					window++
				}
			}
			if window > calls {
				rt.Fatalf("%d calls granted within %s; the limit is %d", window, per+margin(per), calls)
			}
			if g.Room["w"].Remaining > calls-window || g.Room["w"].Calls != calls {
				rt.Fatalf("room %v with %d of %d used", g.Room["w"], window, calls)
			}
		}
	})
}

// drive lets each asker, named by its lane, have a backlog for the time and returns the calls granted to each lane.
func drive(t *testing.T, db DB, system string, long time.Duration, askers ...string) map[string]int {
	t.Helper()
	got := map[string]int{}
	next := make([]time.Time, len(askers))
	for i := range next {
		next[i] = epoch
	}
	for {
		i := 0 // on a tie the first one
		for j := range next {
			if next[j].Before(next[i]) {
				i = j
			}
		}
		now := next[i]
		if now.Sub(epoch) >= long {
			return got
		}
		g, err := acquire(context.Background(), db, system, askers[i], nil, "p", hold, &now)
		if err != nil {
			t.Fatal(err)
		}
		if g.Wait == 0 {
			got[askers[i]]++
		}
		next[i] = now.Add(g.Wait + time.Millisecond)
	}
}

// TestBudgetUse: a backlog uses at least 95% of what is allowed, alone and together, and nobody starves.
func TestBudgetUse(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(ctx)
	const windows = 16
	for _, l := range []Limit{{Name: "w", Calls: 60, Per: time.Minute}, {Name: "w", Calls: 30, Per: 3 * time.Second}} {
		for _, lanes := range [][]string{{"live"}, {"bulk"}, {"live", "sweep", "bulk"},
			{"live", "live", "live", "live", "live", "live", "bulk"}, {"bulk", "bulk", "bulk", "bulk", "bulk", "bulk", "live"}} {
			if l.Calls < 60 && len(lanes) < 4 {
				continue
			}
			system := fmt.Sprint(l.Calls, l.Per, lanes)
			limits(t, tx, system, l)
			got := drive(t, tx, system, windows*l.Per, lanes...)
			sum := 0
			for _, n := range got {
				sum += n
			}
			use := float64(sum) / float64(windows*l.Calls)
			t.Logf("%d per %s, %v: %.1f%% %v", l.Calls, l.Per, lanes, 100*use, got)
			if use < 0.95 || use > 1 {
				t.Errorf("%d per %s, %v: %.1f%% of the allowed calls used", l.Calls, l.Per, lanes, 100*use)
			}
			if len(lanes) > 1 {
				if live := float64(got["live"]) / float64(sum); live < 0.6 || live > 0.9 {
					t.Errorf("%d per %s, %v: live has %.0f%%, want about 80%%", l.Calls, l.Per, lanes, 100*live)
				}
			}
		}
	}
}

// TestBudgetNobodyStarves: a lane whose askers come late still gets its share beside one that asks all the time.
func TestBudgetNobodyStarves(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(ctx)
	for lazy, share := range map[string]float64{"bulk": 0.12, "live": 0.5} {
		eager := map[string]string{"bulk": "live", "live": "bulk"}[lazy]
		system := "lazy " + lazy
		limits(t, tx, system, Limit{Name: "w", Calls: 30, Per: 10 * time.Second})
		got := map[string]int{}
		back := epoch
		for now := epoch; now.Sub(epoch) < 80*time.Second; now = now.Add(40 * time.Millisecond) {
			for _, lane := range []string{eager, lazy} {
				if lane == lazy && now.Before(back) {
					continue
				}
				g, err := acquire(ctx, tx, system, lane, nil, "p", hold, &now)
				if err != nil {
					t.Fatal(err)
				}
				if g.Wait == 0 {
					got[lane]++
				} else if lane == lazy {
					back = now.Add(g.Wait + 300*time.Millisecond)
				}
			}
		}
		sum := float64(got["live"] + got["bulk"])
		t.Logf("%s comes late: %v", lazy, got)
		if have := float64(got[lazy]) / sum; have < share {
			t.Errorf("%s comes late and gets %.0f%%, want %.0f%%", lazy, 100*have, 100*share)
		}
		if use := sum / (8 * 30); use < 0.9 {
			t.Errorf("%s comes late and only %.0f%% of the calls are used", lazy, 100*use)
		}
	}
}

// TestBudgetFirstEdit: while a backfill has taken all it may, the first edit need not wait.
func TestBudgetFirstEdit(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	limits(t, pool, "crm", Limit{Name: "w", Calls: 60, Per: time.Minute})
	now := epoch
	for range 200 {
		if _, err := acquire(ctx, pool, "crm", "bulk", nil, "p", hold, &now); err != nil {
			t.Fatal(err)
		}
		now = now.Add(10 * time.Millisecond)
	}
	g, err := acquire(ctx, pool, "crm", "live", nil, "p", hold, &now)
	if err != nil || g.Wait > 0 {
		t.Errorf("the first edit must wait %s: %v", g.Wait, err)
	}
}

func TestBudgetExtraLimits(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	limits(t, pool, "crm", Limit{Name: "burst", Calls: 100, Per: 10 * time.Second}, Limit{Name: "search", Calls: 2, Per: time.Second, Extra: true})
	now := epoch
	for i := range 3 {
		g, err := acquire(ctx, pool, "crm", "live", []string{"search"}, "p", hold, &now)
		if err != nil || (g.Wait > 0) != (i == 2) {
			t.Fatalf("search %d: wait %s, %v", i, g.Wait, err)
		}
	}
	g, err := acquire(ctx, pool, "crm", "live", nil, "p", hold, &now)
	if err != nil || g.Wait > 0 {
		t.Fatalf("a call that does not search waits %s: %v", g.Wait, err)
	}
	if r := g.Room["burst"].Remaining; r != 97 {
		t.Errorf("burst has %d left, want 97: the refused search must not count", r)
	}
	if _, ok := g.Room["search"]; ok {
		t.Error("a call that does not search counts against search")
	}
	if g, err := acquire(ctx, pool, "unknown", "live", nil, "p", hold, &now); err != nil || g.Wait > 0 {
		t.Errorf("a system without limits: %v, %v", g.Wait, err)
	}
}

func TestBudgetHeaders(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	limits(t, pool, "acc", Limit{Name: "minute", Calls: 60, Per: time.Minute}, Limit{Name: "day", Calls: 1000, Per: 24 * time.Hour})
	now := epoch
	take := func(lane string) Grant {
		t.Helper()
		g, err := acquire(ctx, pool, "acc", lane, nil, "p", hold, &now)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	end := func(g Grant, blockedFor time.Duration, blocked []string, rs ...Reading) {
		t.Helper()
		if err := done(ctx, pool, g, rs, blocked, blockedFor, &now); err != nil {
			t.Fatal(err)
		}
	}
	// Somebody else has made 20 calls: the vendor has 39 left where we count 59.
	g := take("live")
	end(g, 0, nil, Reading{Name: "minute", Remaining: 39})
	if g = take("live"); g.Room["minute"].Remaining != 38 {
		t.Errorf("after others' calls: %v left, want 38", g.Room["minute"])
	}
	// An answer that took long says what was true when it was sent: calls that expired since do not come back as others'.
	// The call itself counts from its end, as the vendor may have counted it that late.
	slow := g
	now = now.Add(62 * time.Second)
	end(slow, 0, nil, Reading{Name: "minute", Remaining: 38})
	if g = take("live"); g.Room["minute"].Remaining != 58 {
		t.Errorf("after a slow answer: %v left, want 58", g.Room["minute"])
	}
	// So do calls that expire between a call and its answer.
	now = now.Add(50 * time.Second)
	late, beside := take("live"), take("live")
	now = now.Add(13 * time.Second)
	end(late, 0, nil, Reading{Name: "minute", Remaining: beside.Room["minute"].Remaining})
	if g = take("live"); g.Room["minute"].Remaining != 57 {
		t.Errorf("after calls that expired on the way: %v left, want 57", g.Room["minute"])
	}
	now = now.Add(62 * time.Second)
	// Concurrent calls of ours lower the vendor's number too: nothing to learn.
	a, b := take("live"), take("live")
	end(a, 0, nil, Reading{Name: "minute", Remaining: b.Room["minute"].Remaining})
	if g = take("live"); g.Room["minute"].Remaining != 57 {
		t.Errorf("after concurrent answers: %v left, want 57", g.Room["minute"])
	}
	// A vendor's ceiling below ours is the ceiling.
	end(g, 0, nil, Reading{Name: "minute", Remaining: 26, Calls: 30})
	if g = take("live"); g.Room["minute"] != (Room{Calls: 30, Remaining: 25, MarginMS: 1000}) {
		t.Errorf("after the vendor's ceiling of 30: %v", g.Room["minute"])
	}
	// The vendor's day has started afresh: ours starts with it.
	end(g, 0, nil, Reading{Name: "day", Remaining: 200})
	if g = take("live"); g.Room["day"].Remaining != 199 {
		t.Fatalf("day: %v left, want 199", g.Room["day"])
	}
	end(g, 0, nil, Reading{Name: "day", Remaining: 999})
	if g = take("live"); g.Room["day"].Remaining != 998 {
		t.Errorf("after the vendor's midnight: %v left of the day, want 998", g.Room["day"])
	}
	// Retry-After.
	end(g, 7*time.Second, []string{"minute"})
	if g = take("live"); g.Wait != 7*time.Second {
		t.Errorf("blocked for 7 s, told to wait %s", g.Wait)
	}
	now = now.Add(7 * time.Second)
	if g = take("live"); g.Wait > 0 {
		t.Errorf("still blocked after 7 s: %s", g.Wait)
	}
}

// TestBudgetSlowCalls: the vendor counts a call when it arrives, somewhere between grant and answer. Whenever that is, no
// window of the vendor's holds more than the limit.
func TestBudgetSlowCalls(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	tx, err := pool.Begin(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(ctx)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		system := fmt.Sprintf("s%d", n)
		const per, calls = 10 * time.Second, 5
		limits(t, tx, system, Limit{Name: "w", Calls: calls, Per: per})
		now := epoch
		type flight struct {
			g     Grant
			until time.Time
		}
		var flying []flight
		var arrived []time.Time
		land := func(until time.Time) {
			slices.SortFunc(flying, func(a, b flight) int { return a.until.Compare(b.until) })
			for len(flying) > 0 && !flying[0].until.After(until) {
				if err := done(ctx, tx, flying[0].g, nil, nil, 0, &flying[0].until); err != nil {
					t.Fatal(err)
				}
				flying = flying[1:]
			}
		}
		for range rapid.IntRange(5, 40).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2500).Draw(rt, "gap")) * time.Millisecond)
			land(now)
			g, err := acquire(ctx, tx, system, rapid.SampledFrom([]string{"live", "bulk"}).Draw(rt, "lane"), nil, "p", hold, &now)
			if err != nil {
				t.Fatal(err)
			}
			if g.Wait > 0 {
				continue
			}
			took := time.Duration(rapid.IntRange(1, 5000).Draw(rt, "took")) * time.Millisecond
			flying = append(flying, flight{g, now.Add(took)})
			arrived = append(arrived, now.Add(time.Duration(rapid.Float64Range(0, 1).Draw(rt, "arrives")*float64(took))))
		}
		slices.SortFunc(arrived, time.Time.Compare)
		for i := calls; i < len(arrived); i++ {
			if gap := arrived[i].Sub(arrived[i-calls]); gap < per {
				rt.Fatalf("%d calls arrived within %s; the limit is %d in %s", calls+1, gap, calls, per)
			}
		}
	})
}

func TestBudgetSlots(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	limits(t, pool, "acc", Limit{Name: "concurrent", Calls: 2})
	alive, dying := immortal(t, pool), NewProcess("test", 2)
	if err := Heartbeat(ctx, pool, dying); err != nil {
		t.Fatal(err)
	}
	take := func(process string) Grant {
		t.Helper()
		g, err := Acquire(ctx, pool, "acc", "live", nil, process, hold)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	a, b := take(alive), take(dying.ID)
	if a.Wait > 0 || b.Wait > 0 {
		t.Fatalf("two of two refused: %s, %s", a.Wait, b.Wait)
	}
	if g := take(alive); g.Wait == 0 {
		t.Fatal("a third call at once was granted")
	}
	if bs, err := Budgets(ctx, pool); err != nil || len(bs) != 1 || bs[0].Used != 2 {
		t.Errorf("budgets: %+v, %v", bs, err)
	}
	// A process that has not been heard of for 5 s holds nothing.
	if _, err := pool.Exec(ctx, `UPDATE processes SET heartbeat_at = clock_timestamp() - interval '5 s' WHERE id = $1`, dying.ID); err != nil {
		t.Fatal(err)
	}
	c := take(alive)
	if c.Wait > 0 {
		t.Fatal("the dead process still holds its slot")
	}
	if err := Done(ctx, pool, a, nil, nil, 0); err != nil {
		t.Fatal(err)
	}
	if g := take(alive); g.Wait > 0 {
		t.Error("a slot given back is not free")
	}
	// A lease that is never given back ends by itself.
	if _, err := pool.Exec(ctx, `UPDATE budget_leases SET expires_at = clock_timestamp() WHERE id = $1`, c.Lease); err != nil {
		t.Fatal(err)
	}
	if g := take(alive); g.Wait > 0 {
		t.Error("an expired lease is still held")
	}
}

func TestSetLimits(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	pool := pgtest.New(t)
	now := epoch
	limits(t, pool, "crm", Limit{Name: "a", Calls: 10, Per: time.Minute}, Limit{Name: "b", Calls: 5, Per: time.Second})
	if _, err := acquire(ctx, pool, "crm", "live", nil, "p", hold, &now); err != nil {
		t.Fatal(err)
	}
	limits(t, pool, "crm", Limit{Name: "a", Calls: 20, Per: time.Minute}) // raised, and b is gone
	g, err := acquire(ctx, pool, "crm", "live", nil, "p", hold, &now)
	if err != nil || g.Room["a"] != (Room{Calls: 20, Remaining: 18, MarginMS: 1000}) || len(g.Room) != 1 {
		t.Errorf("after the change: %v, %v", g.Room, err)
	}
	if err := SetLimits(ctx, pool, "crm", []Limit{{Name: "a"}}); err == nil {
		t.Error("a limit of no calls was taken")
	}
}

func BenchmarkAcquire(b *testing.B) {
	ctx := context.Background()
	pool := pgtest.New(b)
	if err := SetLimits(ctx, pool, "crm", []Limit{{Name: "w", Calls: 1 << 30, Per: 10 * time.Second}}); err != nil {
		b.Fatal(err)
	}
	p := NewProcess("bench", 1)
	if err := Heartbeat(ctx, pool, p); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Acquire(ctx, pool, "crm", "live", nil, p.ID, hold); err != nil {
			b.Fatal(err)
		}
	}
}
