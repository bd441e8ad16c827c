package jobs_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"testing"
	"time"

	"datum/adapters/sim"
	"datum/domain"
	"datum/domain/change"
	"datum/domain/store"
	"datum/jobs"
)

// writes returns the recorded writes of a system with a status; all if it is "".
func (r *rig) writes(system string, status store.WriteStatus) []store.RecordedWrite {
	r.t.Helper()
	f := store.WriteFilter{System: system}
	if status != "" {
		f.Statuses = []store.WriteStatus{status}
	}
	ws, err := store.ListWrites(context.Background(), r.pool, f, "", 1000)
	must(r.t, err)
	return ws
}

// recorded waits until so many writes of a system wait for approval.
func (r *rig) recorded(system string, n int) []store.RecordedWrite {
	r.t.Helper()
	eventually(r.t, 20*time.Second, "recorded", func() (bool, any) { ws := r.writes(system, store.WriteRecorded); return len(ws) == n, len(ws) })
	return r.writes(system, store.WriteRecorded)
}

// exchange is a call that writes, as it was kept.
type exchange struct {
	Method, Path, Body string
	Header             map[string]string
}

// sent returns the calls to a system that write, oldest first.
func (r *rig) sent(system string) []exchange {
	r.t.Helper()
	rows, err := r.pool.Query(context.Background(), `SELECT method, path, request_body, request_header FROM exchanges WHERE system = $1 AND method IN ('POST', 'PUT')
		AND path NOT LIKE '%/search%' AND path NOT LIKE '%/read%' ORDER BY sent_at, id`, system)
	must(r.t, err)
	defer rows.Close()
	var xs []exchange
	for rows.Next() {
		var x exchange
		must(r.t, rows.Scan(&x.Method, &x.Path, &x.Body, &x.Header))
		xs = append(xs, x)
	}
	must(r.t, rows.Err())
	return xs
}

func jsonOf(t *testing.T, s string) (v any) {
	t.Helper()
	must(t, json.Unmarshal([]byte(s), &v))
	return v
}

// TestDryRunRecordsWhatIsSent: in a dry run nothing is sent; what would be is recorded, and what is approved is sent exactly so,
// once. What has changed meanwhile is recorded anew instead, and what is rejected stays away until it is retried.
func TestDryRunRecordsWhatIsSent(t *testing.T) {
	t.Parallel()
	const n = 4
	r := newRig(t, func(c *rigConfig) { c.policy, c.poll = opsOwns("phone"), time.Hour })
	r.quiet(20 * time.Second)
	ctx, apply := context.Background(), r.engine.Applier()
	must(t, r.engine.SetMode(ctx, "accounting", store.ModeDryRun, causeOf("test")))
	ids := r.byOps(0, n)
	ws := r.recorded("accounting", n)
	if made := r.xero.Stats().Creates; made > 0 || len(r.sent("accounting")) > 0 {
		t.Fatalf("a dry run has made %d contacts; sent: %v", made, r.sent("accounting"))
	}
	of := map[string]store.RecordedWrite{}
	for _, w := range ws {
		of[w.EntityID] = w
	}

	// One by one: it is sent as it was recorded, to the byte and the idempotency key.
	w := of[ids[0]]
	got, err := apply.ApproveWrites(ctx, store.WriteFilter{IDs: []string{w.ID}}, causeOf("Ana"))
	must(t, err)
	if len(got) != 1 {
		t.Errorf("approved %v", got)
	}
	eventually(t, 20*time.Second, "sent", func() (bool, any) { s := r.writes("accounting", store.WriteSent); return len(s) == 1, s })
	eventually(t, 20*time.Second, "kept", func() (bool, any) { s := r.sent("accounting"); return len(s) == 1, s })
	x := r.sent("accounting")[0]
	if x.Method != w.Method || x.Path != w.Path || !maps.Equal(x.Header, w.Header) || w.Header["Idempotency-Key"] == "" || !reflect.DeepEqual(jsonOf(t, x.Body), jsonOf(t, w.Body)) {
		t.Errorf("approved\n%s %s %v %s\nand sent\n%s %s %v %s", w.Method, w.Path, w.Header, w.Body, x.Method, x.Path, x.Header, x.Body)
	}
	_, err = apply.ApproveWrites(ctx, store.WriteFilter{IDs: []string{w.ID}}, causeOf("Ana"))
	if domain.CodeOf(err) != domain.Conflict {
		t.Errorf("approved twice: %v", err)
	}

	// It has changed between the look and the approval: another request is recorded, and nothing is sent.
	must(t, r.engine.SetMode(ctx, "accounting", store.ModeObserve, causeOf("test")))
	w = of[ids[1]]
	if _, err := apply.ApproveWrites(ctx, store.WriteFilter{IDs: []string{w.ID}}, causeOf("Ana")); domain.CodeOf(err) != domain.Conflict {
		t.Errorf("approved while observing: %v", err)
	}
	_, err = r.pool.Exec(ctx, `UPDATE recorded_writes SET digest = 'what it was before' WHERE id = $1`, w.ID)
	must(t, err)
	must(t, r.engine.SetMode(ctx, "accounting", store.ModeDryRun, causeOf("test")))
	_, err = apply.ApproveWrites(ctx, store.WriteFilter{IDs: []string{w.ID}}, causeOf("Ana"))
	must(t, err)
	eventually(t, 20*time.Second, "replaced", func() (bool, any) {
		s := r.writes("accounting", store.WriteReplaced)
		return len(s) == 1 && s[0].ID == w.ID, s
	})
	again, err := store.WritesOf(ctx, r.pool, ids[1], "accounting", 5)
	must(t, err)
	if len(again) != 2 || again[0].Status != store.WriteRecorded || again[0].Note == "" || len(r.sent("accounting")) != 1 {
		t.Errorf("after another request was approved: %+v; sent %d", again, len(r.sent("accounting")))
	}

	// Another value is another request.
	r.set(ids[1:2], "phone", func(int) string { return phone(7) })
	eventually(t, 20*time.Second, "recorded anew", func() (bool, any) {
		ws, err := store.WritesOf(ctx, r.pool, ids[1], "accounting", 5)
		must(t, err)
		return len(ws) == 3 && ws[0].Status == store.WriteRecorded && ws[1].Status == store.WriteReplaced, ws
	})

	// Rejected: it stays away, visibly, whatever the mode; a retry takes it up again.
	_, err = apply.RejectWrites(ctx, store.WriteFilter{IDs: []string{of[ids[2]].ID}}, causeOf("Ana"))
	if domain.CodeOf(err) != domain.Invalid {
		t.Errorf("rejected without a reason: %v", err)
	}
	c := causeOf("Ana")
	c.Reason = "not our customer"
	_, err = apply.RejectWrites(ctx, store.WriteFilter{IDs: []string{of[ids[2]].ID}}, c)
	must(t, err)
	must(t, r.engine.SetMode(ctx, "accounting", store.ModeLive, causeOf("test")))
	eventually(t, 20*time.Second, "the others", func() (bool, any) { n := r.xero.Stats().Creates; return n == 3, n })
	ps, err := store.ProjectionsOf(ctx, r.pool, ids[2:3])
	must(t, err)
	if p := ps[0]; p.System != "accounting" || p.Status != store.Parked || p.ErrorCode != change.Skipped || p.Error != "Ana has rejected it: not our customer" {
		t.Errorf("rejected: %+v", p)
	}
	must(t, apply.Retry(ctx, ids[2], "accounting", causeOf("Ana")))
	r.quiet(20 * time.Second)
	r.level(n, map[string]int{"crm": n, "accounting": n})
	for _, w := range r.writes("accounting", "") {
		if w.Status == store.WriteRecorded || w.Status == store.WriteApproved {
			t.Errorf("still open though the system is live: %+v", w)
		}
	}
}

// TestApproveAll: everything that waits is approved at once; a vendor that answers nothing, after it has done it or before,
// makes nothing twice.
func TestApproveAll(t *testing.T) {
	t.Parallel()
	const n = 12
	r := newRig(t, func(c *rigConfig) { c.policy, c.poll = opsOwns("phone"), time.Hour })
	r.quiet(20 * time.Second)
	ctx := context.Background()
	must(t, r.engine.SetMode(ctx, "accounting", store.ModeDryRun, causeOf("test")))
	r.byOps(0, n)
	r.recorded("accounting", n)
	_, err := r.xero.AddFault(sim.Fault{Kind: sim.FaultReset, Count: 2, Method: "POST", Path: "/Contacts"})
	must(t, err)
	eventually(t, 40*time.Second, "all sent", func() (bool, any) {
		ids, err := r.engine.Applier().ApproveWrites(ctx, store.WriteFilter{System: "accounting"}, causeOf("Ana"))
		must(t, err)
		var open int
		must(t, r.pool.QueryRow(ctx, `SELECT count(*) FROM projections WHERE system = 'accounting' AND status <> 'confirmed'`).Scan(&open))
		time.Sleep(50 * time.Millisecond) // what was recorded anew is approved again
		return open == 0, fmt.Sprint(open, " open; approved ", len(ids))
	})
	r.level(n, map[string]int{"crm": n, "accounting": n})
}

// TestNothingIsSentAfterASwitch: while customers come in and two engines write, the system is switched to observe and back
// again and again. What is under way ends and is stored; between two switches the vendor is not written to; nothing is lost,
// and every switch is noted.
func TestNothingIsSentAfterASwitch(t *testing.T) {
	t.Parallel()
	const switches, each = 5, 12
	r := newRig(t, func(c *rigConfig) {
		c.policy, c.poll, c.xero.Latency = opsOwns("phone"), time.Hour, 60*time.Millisecond
	})
	second, err := jobs.New(r.cfg, true)
	must(t, err)
	ctx := context.Background()
	must(t, second.Start(ctx))
	t.Cleanup(func() { _ = second.Stop(ctx) })
	r.quiet(20 * time.Second)
	written := func() int {
		n := 0
		for _, c := range r.xero.Stats().WriteCalls {
			n += c
		}
		return n
	}
	busy := 0
	for i := range switches {
		before := written()
		r.byOps(i*each, (i+1)*each)
		eventually(t, 20*time.Second, "writing", func() (bool, any) { return written() > before, written() })
		under, err := store.WritesUnderWay(ctx, r.pool, "accounting")
		must(t, err)
		if under > 0 {
			busy++
		}
		c := causeOf("Ana")
		c.Reason = "looking at something"
		must(t, []*jobs.Engine{r.engine, second}[i%2].SetMode(ctx, "accounting", store.ModeObserve, c))
		after := written()
		if under, err := store.WritesUnderWay(ctx, r.pool, "accounting"); err != nil || under > 0 {
			t.Errorf("%d writes are under way after the switch (%v)", under, err)
		}
		r.byOps(1000+i, 1001+i)
		time.Sleep(250 * time.Millisecond) // in which nothing may happen
		if n := written(); n != after {
			t.Errorf("%d calls wrote after switch %d", n-after, i)
		}
		must(t, r.engine.SetMode(ctx, "accounting", store.ModeLive, causeOf("Bo")))
	}
	if busy == 0 {
		t.Error("no switch met a write under way: too little is proven")
	}
	r.quiet(30 * time.Second)
	const n = switches*each + switches
	r.level(n, map[string]int{"crm": n, "accounting": n})
	cs, err := store.ModeChanges(ctx, r.pool, "accounting", 0, 100)
	must(t, err)
	if len(cs) != 2*switches || cs[0].Actor != "Bo" || cs[0].ModeFrom != store.ModeObserve || cs[0].ModeTo != store.ModeLive || cs[1].Reason != "looking at something" {
		t.Errorf("switches: %+v", cs)
	}
}

// TestSwitchGivenUp: a switch that its caller gives up while a write is under way leaves the old mode, and writes go on.
func TestSwitchGivenUp(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(c *rigConfig) {
		c.policy, c.poll, c.xero.Latency = opsOwns("phone"), time.Hour, 700*time.Millisecond
	})
	r.quiet(20 * time.Second)
	ctx := context.Background()
	r.byOps(0, 1)
	eventually(t, 10*time.Second, "a write is under way", func() (bool, any) {
		n, err := store.WritesUnderWay(ctx, r.pool, "accounting")
		must(t, err)
		return n > 0, n
	})
	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	if err := r.engine.SetMode(short, "accounting", store.ModeOff, causeOf("Ana")); err == nil {
		t.Error("switched off while a write was under way")
	}
	r.byOps(1, 2)
	r.quiet(20 * time.Second)
	r.level(2, map[string]int{"crm": 2, "accounting": 2})
	if cs, err := store.ModeChanges(ctx, r.pool, "accounting", 0, 9); err != nil || len(cs) > 0 {
		t.Errorf("noted: %v, %v", cs, err)
	}
}

// TestPausesHoldAndLoseNothing: writing to one system and reading from the other are paused. Webhooks are taken, nothing moves,
// and what waits is counted; one pause is ended by a person, the other by its time; then everybody is level.
func TestPausesHoldAndLoseNothing(t *testing.T) {
	t.Parallel()
	const n = 12
	r := newRig(t, func(c *rigConfig) { c.policy = opsOwns("phone") })
	r.quiet(20 * time.Second)
	ctx, apply := context.Background(), r.engine.Applier()
	c := causeOf("Ana")
	if _, err := apply.Pause(ctx, change.Hold{System: "accounting"}, c); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("paused without a reason: %v", err)
	}
	c.Reason = "stocktake"
	_, err := apply.Pause(ctx, change.Hold{System: "accounting", Direction: store.Out, Kind: domain.KindCustomer}, c)
	must(t, err)
	until := time.Now().Add(12 * time.Second)
	_, err = apply.Pause(ctx, change.Hold{System: "crm", Direction: store.In, Until: &until}, c)
	must(t, err)
	if _, err = apply.Pause(ctx, change.Hold{System: "crm", Direction: store.In}, c); domain.CodeOf(err) != domain.Conflict {
		t.Errorf("paused twice: %v", err)
	}
	r.byOps(0, n/2)
	for i := n / 2; i < n; i++ {
		r.inCRM(i)
	}
	eventually(t, 10*time.Second, "webhooks are taken while reading is paused", func() (bool, any) {
		w := r.crm.Stats().Webhooks
		return w.Pending == 0 && w.OK > 0 && w.Failed == 0, w
	})
	want := map[string]bool{"accounting out Customer": true, "crm in Customer": true}
	eventually(t, 3*time.Second, "what waits is counted", func() (bool, any) {
		ws, err := store.CountPaused(ctx, r.pool)
		must(t, err)
		got := map[string]bool{}
		for _, w := range ws {
			got[fmt.Sprint(w.System, " ", w.Direction, " ", w.Kind)] = w.Waiting >= n/2 && w.Oldest != nil
		}
		return maps.Equal(got, want), ws
	})
	if made := r.xero.Stats().Creates; made > 0 || len(r.customers()) > n/2 {
		t.Errorf("paused, and yet %d contacts were made and %d customers are known", made, len(r.customers()))
	}
	eventually(t, 15*time.Second, "the pause ends by itself", func() (bool, any) { k := len(r.customers()); return k == n, k })
	if made := r.xero.Stats().Creates; made > 0 {
		t.Errorf("%d contacts were made while writing was still paused", made)
	}
	_, err = apply.Resume(ctx, change.Hold{System: "accounting"}, causeOf("Bo"))
	must(t, err)
	if _, err = apply.Resume(ctx, change.Hold{System: "accounting"}, causeOf("Bo")); domain.CodeOf(err) != domain.Conflict {
		t.Errorf("resumed twice: %v", err)
	}
	r.quiet(20 * time.Second)
	r.level(n, map[string]int{"crm": n / 2, "accounting": n})
	for system, by := range map[string]string{"accounting": "Bo", "crm": "datum"} {
		eventually(t, 10*time.Second, "what paused "+system, func() (bool, any) { // an end by itself is noted a little later
			ps, err := store.PauseHistory(ctx, r.pool, system, 9)
			must(t, err)
			return len(ps) == 1 && ps[0].EndedBy == by && ps[0].Actor == "Ana" && ps[0].Reason == "stocktake", ps
		})
	}
}
