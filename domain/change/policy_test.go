package change_test

import (
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

func TestPublishConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	var wg sync.WaitGroup
	var mu sync.Mutex
	published := 0
	for range 6 {
		wg.Go(func() {
			_, err := w.process().Publish(ctx, w.policy, ownership.DefaultSource()+"# another\n", change.Surroundings{}, change.Cause{Actor: "admin"})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				published++
			} else if domain.CodeOf(err) != domain.Conflict {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if published != 1 {
		t.Errorf("%d were published on the same base", published)
	}
	if n, err := store.PolicyNumber(ctx, w.pool); err != nil || n != w.policy+1 {
		t.Errorf("version %d, %v", n, err)
	}
	if n := len(w.bell.resettles); n != 2 || w.bell.resettles[1] != w.policy+1 {
		t.Errorf("resettled: %v", w.bell.resettles)
	}
	if _, err := w.a.Publish(ctx, w.policy+1, "systems: {crm: hubspot}\nCustomer: {owner: nobody}\n", change.Surroundings{}, change.Cause{}); domain.CodeOf(err) != domain.Invalid {
		t.Errorf("a policy that cannot be: %v", err)
	}
}

// A new policy counts for the next change in every process.
func TestPolicyCountsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	other := w.process()
	id := w.pair(1, values("legalName", "Asp Pty Ltd", "phone", "+61390000001"))
	edit := func(phone string) change.Result {
		res, err := other.Edit(ctx, change.Edit{System: ops, Kind: customer, EntityID: id, Fields: values("phone", phone), Cause: w.cause(ops, change.FromMutation)})
		w.ok(err)
		return res
	}
	if res := edit("+61390000002"); len(res.Refused) != 1 {
		t.Fatalf("%+v", res)
	}
	w.publish(strings.Replace(ownership.DefaultSource(), "phone: {owner: crm, fallback: [accounting, ops]", "phone: {owner: ops, fallback: [crm, accounting]", 1))
	if res := edit("+61390000002"); len(res.Refused) != 0 {
		t.Fatalf("%+v", res)
	}
	w.isGolden(id, "phone", text("+61390000002"))
	if e := w.entity(id); e.Policy != w.policy {
		t.Errorf("resolved under policy %d", e.Policy)
	}
}

// Changes that are under way while a policy is published are resolved anew by the pass that follows; new entities too.
func TestPublishWhileChanging(t *testing.T) {
	t.Parallel()
	w := newWorld(t, policyHead+"  create: [crm, accounting]\n")
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range 6 {
		wg.Go(func() {
			<-start
			for n := range 15 {
				rec := w.record(fmt.Sprintf("h%d-%d", i, n%5), n, w.shelf.carried(crm, values("abn", abn(10*i+n%5+1), "legalName", "A", "phone", fmt.Sprintf("+6139000%04d", n))))
				if _, err := w.process().Record(ctx, change.Incoming{System: crm, Record: rec, Cause: w.cause(crm, change.FromPoll)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		<-start
		for v := range 5 {
			_, err := w.process().Publish(ctx, w.policy+int64(v), policyHead+fmt.Sprintf("  create: [crm, accounting] # %d\n", v), change.Surroundings{}, change.Cause{Actor: "admin"})
			if err != nil {
				t.Error(err)
			}
		}
	})
	close(start)
	wg.Wait()
	n, err := store.PolicyNumber(ctx, w.pool)
	w.ok(err)
	for after := ""; ; {
		ids, err := store.OutdatedEntities(ctx, w.pool, customer, n, after, 7)
		w.ok(err)
		if len(ids) == 0 {
			break
		}
		for _, id := range ids {
			_, err := w.a.Resettle(ctx, id, change.Cause{Actor: "policy", Source: change.FromPolicy})
			w.ok(err)
			after = id
		}
	}
	for _, e := range w.entities() {
		if e.Policy != n {
			t.Errorf("%s was last resolved under policy %d, in force is %d", e.ID, e.Policy, n)
		}
	}
	if len(w.entities()) != 30 {
		t.Errorf("%d entities", len(w.entities()))
	}
}

// A policy comes into force after the changes that were made under the one before: the pass that follows sees them all, the
// entities that they have made too.
func TestPublishWaitsForChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	tx, err := w.pool.Begin(ctx)
	w.ok(err)
	rec := w.record("h1", 1, w.shelf.carried(crm, values("legalName", "Bug Pty Ltd")))
	_, err = w.a.RecordTx(ctx, tx, change.Incoming{System: crm, Record: rec, Cause: w.cause(crm, change.FromPoll)})
	w.ok(err)
	published := make(chan []string, 1)
	go func() {
		v, err := w.process().Publish(ctx, w.policy, ownership.DefaultSource()+"# another\n", change.Surroundings{}, change.Cause{Actor: "admin"})
		if err != nil {
			t.Error(err)
		}
		ids, err := store.OutdatedEntities(ctx, w.pool, customer, v, "", 10)
		if err != nil {
			t.Error(err)
		}
		published <- ids
	}()
	w.waiting(1)
	w.ok(tx.Commit(ctx))
	if ids := <-published; len(ids) != 1 {
		t.Errorf("the pass finds %v", ids)
	}
}

// What Diff foretells is exactly what happens once the policy is published, and foretelling it changes nothing.
func TestDiffForetells(t *testing.T) {
	t.Parallel()
	w := newWorld(t, ownership.DefaultSource())
	rapid.Check(t, func(rt *rapid.T) {
		w.begin(rt, drawPolicy(rt, "[crm, accounting, ops]"))
		w.play(drawSteps(rt, w))
		if rapid.Bool().Draw(rt, "level") {
			w.work(w.faithful)
			w.resettleAll()
			w.work(w.faithful)
		}
		next := drawPolicy(rt, "[crm, accounting, ops]")
		var eff change.Effect
		w.quietly("Diff", func() {
			var err error
			eff, err = w.a.Diff(ctx, next, nil)
			w.ok(err)
		})
		w.bell.take()
		before := w.trace()
		w.publish(next)
		w.resettleAll()
		golden, writes := map[domain.Field]int{}, map[string]int{}
		for _, e := range w.entities() {
			for _, h := range w.history(e.ID) {
				if h.Action == store.ActionSet && h.Source == string(change.FromPolicy) {
					golden[h.Field]++
				}
			}
		}
		for _, wake := range w.bell.take() {
			writes[wake.System]++
		}
		if !maps.Equal(eff.Golden, golden) || !maps.Equal(eff.Writes, writes) || eff.Cases != w.trace().Cases-before.Cases || eff.Entities != len(w.entities()) {
			rt.Fatalf("foretold: golden %v, writes %v, %d cases, %d entities; happened: golden %v, writes %v, %d cases, %d entities", eff.Golden, eff.Writes,
				eff.Cases, eff.Entities, golden, writes, w.trace().Cases-before.Cases, len(w.entities()))
		}
		w.quietly("settling once more", w.resettleAll)
	})
}
