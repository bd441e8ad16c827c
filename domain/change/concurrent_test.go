package change_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// deadlocks returns how many deadlocks this database has seen: each costs a second.
func (w *world) deadlocks() (n int64) {
	w.tb.Helper()
	w.ok(w.pool.QueryRow(ctx, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").Scan(&n))
	return n
}

// Many bring the same customer from both systems at once: one entity, whatever it is recognised by.
func TestOneCustomerFromEverywhereAtOnce(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]domain.Values{
		"ABN":             values("abn", abn(1)),
		"e-mail and name": values("email", "jo@pug.example.com", "legalName", "Pug Pty Ltd"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, ownership.DefaultSource())
			for round := range 5 {
				v := with(key, nil)
				if name == "ABN" {
					v["abn"] = text(abn(round + 1))
				} else {
					v["email"] = text(fmt.Sprintf("jo%d@pug.example.com", round))
				}
				start := make(chan struct{})
				var wg sync.WaitGroup
				for i := range 16 {
					a := w.process()
					wg.Go(func() {
						<-start
						system, id := crm, fmt.Sprintf("h%d", round)
						if i%2 == 1 {
							system, id = accounting, fmt.Sprintf("x%d", round)
						}
						rec := w.record(id, 1, w.shelf.carried(system, with(v, values("phone", fmt.Sprintf("+61390%02d%04d", round, i%2)))))
						if _, err := a.Record(ctx, change.Incoming{System: system, Record: rec, Cause: w.cause(system, change.FromWebhook)}); err != nil {
							t.Error(err)
						}
					})
				}
				close(start)
				wg.Wait()
				a, b := w.stored(crm, fmt.Sprintf("h%d", round)), w.stored(accounting, fmt.Sprintf("x%d", round))
				if a.EntityID == "" || a.EntityID != b.EntityID {
					t.Fatalf("crm's is %s, accounting's is %s", a.EntityID, b.EntityID)
				}
				w.replays(a.EntityID)
				if n := len(w.entities()); n != round+1 {
					t.Fatalf("%d entities after %d customers", n, round+1)
				}
			}
			w.none(store.CaseDuplicate)
			if n := w.deadlocks(); n > 0 {
				t.Errorf("%d deadlocks", n)
			}
		})
	}
}

// A record that has no key to be recognised by, seen by many at once, is one entity, and none is left without a record.
func TestOneRecordWithoutKeysAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			<-start
			rec := w.record("h1", 1+i%3, w.shelf.carried(crm, values("legalName", "Kid")))
			if _, err := w.process().Record(ctx, change.Incoming{System: crm, Record: rec, Cause: w.cause(crm, change.FromWebhook)}); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	if n := len(w.entities()); n != 1 {
		t.Errorf("%d entities", n)
	}
}

// The same through the API and a vendor: the second of the two finds the first.
func TestCreatedHereAndThereAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	for n := range 10 {
		v := values("abn", abn(n+1), "legalName", fmt.Sprintf("Rat %d Pty Ltd", n))
		start := make(chan struct{})
		var wg sync.WaitGroup
		for _, system := range []string{crm, ops} {
			wg.Go(func() {
				<-start
				res, err := w.process().Edit(ctx, change.Edit{System: system, Kind: customer, Fields: v, Cause: w.cause(system, change.FromMutation)})
				if err != nil || len(res.Refused) > 0 && res.Refused[0].Code != domain.Conflict {
					t.Error(err, res.Refused)
				}
			})
		}
		wg.Go(func() {
			<-start
			rec := w.record(fmt.Sprintf("x%d", n), 1, w.shelf.carried(accounting, v))
			if _, err := w.process().Record(ctx, change.Incoming{System: accounting, Record: rec, Cause: w.cause(accounting, change.FromWebhook)}); err != nil {
				t.Error(err)
			}
		})
		close(start)
		wg.Wait()
		if got := len(w.entities()); got != n+1 {
			t.Fatalf("%d entities after %d customers", got, n+1)
		}
	}
	w.none("")
}

// Webhooks, edits, outcomes of writes and merges of the same few customers at once: nothing fails, nothing is lost, every
// history replays. The outcome is stored as workers do it, behind the fence of their lease.
func TestEverythingAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	ids := make([]string, 3)
	for i := range ids {
		ids[i] = w.pair(i+1, values("legalName", fmt.Sprintf("Sow %d Pty Ltd", i), "phone", "+61390000000"))
	}
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range ids {
		wg.Go(func() { // people in crm
			<-start
			for n := range 12 {
				rec := w.record(fmt.Sprintf("h%d", i+1), 1000+n, w.shelf.carried(crm, values("abn", abn(i+1), "phone", fmt.Sprintf("+6139000%04d", n+1))))
				if _, err := w.a.Record(ctx, change.Incoming{System: crm, Record: rec, Cause: w.cause(crm, change.FromWebhook)}); err != nil {
					t.Error(err)
				}
			}
		})
		wg.Go(func() { // and apps
			<-start
			for n := range 8 {
				e := change.Edit{System: ops, Kind: customer, EntityID: ids[i], Fields: domain.Values{"customFields": domain.ValueOf(map[string]string{"n": fmt.Sprint(n)})}, Cause: w.cause(ops, change.FromMutation)}
				if res, err := w.a.Edit(ctx, e); err != nil || len(res.Refused) > 0 {
					t.Error(err, res.Refused)
				}
			}
		})
	}
	process := w.process1()
	for _, system := range []string{crm, accounting} {
		wg.Go(func() { // a worker, whose writes are seen by a webhook too
			<-start
			for n := range 25 {
				lease := uuid.New()
				ps, err := store.ClaimProjections(ctx, w.pool, system, customer, lease, process, 1e10, 2)
				if err != nil {
					t.Error(err)
				}
				for _, p := range ps {
					base, err := store.Records(ctx, w.pool, system, customer, []string{p.ExternalID})
					if err != nil || len(base) != 1 {
						t.Error(base, err)
						continue
					}
					if _, err := store.Intend(ctx, w.pool, system, customer, store.ModeLive, lease, []string{p.EntityID}, []string{"k"}, []string{"update"}, []domain.Values{p.Diff}); err != nil {
						t.Error(err)
					}
					rec := w.record(p.ExternalID, 2000+n, w.faithful(system, base[0].Values, p.Diff))
					if system == crm {
						rec.ModifiedAt = base[0].ModifiedAt // people's edits are newer
					}
					var both sync.WaitGroup
					both.Go(func() {
						if _, err := w.a.Record(ctx, change.Incoming{System: system, Record: rec, Cause: w.cause(system, change.FromWebhook)}); err != nil {
							t.Error(err)
						}
					})
					in := change.Incoming{System: system, Record: rec, Wrote: p.Diff, Base: base[0].Values, EntityID: p.EntityID, Lease: lease, Cause: w.cause("datum", change.FromProjection)}
					err = store.Transact(ctx, w.pool, func(tx pgx.Tx) error {
						if _, err := w.a.RecordTx(ctx, tx, in); err != nil {
							return err
						}
						_, err := store.Release{EntityID: p.EntityID, System: system, Lease: lease}.Apply(ctx, tx)
						return err
					})
					if err != nil {
						t.Error(err)
					}
					both.Wait()
				}
			}
		})
	}
	close(start)
	wg.Wait()
	if t.Failed() {
		return
	}
	for i := range ids {
		w.see(crm, fmt.Sprintf("h%d", i+1), nil)
	}
	for i, id := range ids {
		w.clock = 5000 + i
		w.see(crm, fmt.Sprintf("h%d", i+1), values("abn", abn(i+1), "phone", "+61390009999"))
		w.replays(id)
	}
	w.work(w.faithful)
	for _, id := range ids {
		w.isGolden(id, "phone", text("+61390009999"))
		w.isGolden(id, "customFields", domain.ValueOf(map[string]string{"n": "7"}))
		w.isAt(id, crm, store.Confirmed)
		w.isAt(id, accounting, store.Confirmed)
	}
	if n := w.deadlocks(); n > 0 {
		t.Errorf("%d deadlocks: each holds its entity up for a second", n)
	}
}

// The outcome of a write whose lease was lost changes nothing.
func TestFence(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	id := w.pair(1, values("legalName", "Tui Pty Ltd", "phone", "+61390000001"))
	w.change(crm, "h1", values("phone", "+61390000002"))
	p := w.claim(accounting)
	if _, err := w.pool.Exec(ctx, "UPDATE projections SET lease = gen_random_uuid() WHERE entity_id = $1", id); err != nil {
		t.Fatal(err)
	}
	rec := w.call(p, w.faithful)
	w.quietly("its outcome", func() {
		_, err := w.a.Record(ctx, change.Incoming{System: accounting, Record: rec, Wrote: p.Diff, Base: p.base.Values, EntityID: id, Lease: *p.Lease,
			Cause: w.cause("datum", change.FromProjection)})
		if domain.CodeOf(err) != domain.Stale {
			t.Errorf("answered %v", err)
		}
	})
	if v := w.stored(accounting, "x1").Values["phone"]; v != text("+61390000001") {
		t.Errorf("the record was stored: %s", v)
	}
}
