package store_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/shopspring/decimal"
	"pgregory.net/rapid"

	"datum/domain/store"
	"datum/internal/pgtest"
)

// TestStockIsWhatTheInventoryHas: once the inventory has taken in every order and has been read completely after that, the sum of the
// movements is what it has, whatever came first: an order's promise or the report that has it already, or no stock level at all when
// it was promised; and whatever cancelled out within one report, people's own entries among it.
func TestStockIsWhatTheInventoryHas(t *testing.T) {
	t.Parallel()
	pool, ctx := pgtest.New(t), context.Background()
	for _, sql := range []string{`INSERT INTO systems (name, adapter) VALUES ('inventory', 'cin7core')`, `INSERT INTO cursors (system, kind, name) VALUES ('inventory', 'StockLevel', 'changes')`} {
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	world := 0
	rapid.Check(t, func(t *rapid.T) {
		world++
		level, product := fmt.Sprintf("stk_%d", world), fmt.Sprintf("prd_%d", world)
		ok := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		exec := func(sql string, args ...any) {
			t.Helper()
			_, err := pool.Exec(ctx, sql, args...)
			ok(err)
		}
		type order struct {
			id                         string
			quantity                   int
			known, sent, off, offKnown bool
		}
		var orders []*order
		onHand, committed, version := rapid.IntRange(0, 20).Draw(t, "on hand"), rapid.IntRange(0, 5).Draw(t, "promised by hand"), 0
		report := func() {
			if version++; version == 1 {
				exec(`INSERT INTO entities (id, kind, version) VALUES ($1, 'StockLevel', 1)`, level)
				exec(`INSERT INTO stock_levels (id, version, product, location) VALUES ($1, 1, $2, 'loc')`, level, product)
			}
			exec(`UPDATE stock_levels SET version = $2, on_hand = $3, committed = $4 WHERE id = $1`, level, version, onHand, committed)
			_, err := store.Book(ctx, pool, level, "inventory")
			ok(err)
		}
		promise := func(o *order) {
			want := map[string]decimal.Decimal{product: decimal.NewFromInt(int64(o.quantity))}
			if o.off {
				want = nil
			}
			moved, err := store.Promise(ctx, pool, o.id, "loc", want, o.off, "")
			ok(err)
			for _, l := range moved {
				_, err := store.Book(ctx, pool, l, "inventory")
				ok(err)
			}
		}
		confirm := func(o *order) {
			exec(`UPDATE projections SET status = 'confirmed', confirmed_at = clock_timestamp() WHERE entity_id = $1`, o.id)
		}
		know := func(o *order) { // what the inventory is told
			switch {
			case !o.known && !o.off:
				o.known = true
				committed += o.quantity
				confirm(o)
			case o.known && o.off && !o.offKnown:
				o.offKnown = true
				committed -= o.quantity
				confirm(o)
			}
		}
		read := func() { // completely
			exec(`UPDATE cursors SET passed_at = clock_timestamp()`)
			report()
		}
		if rapid.Bool().Draw(t, "known product") {
			report()
		}
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			step := rapid.SampledFrom([]string{"order", "promise", "know", "send", "call off", "by hand", "report", "read"}).Draw(t, "step")
			switch step {
			case "order":
				o := &order{id: fmt.Sprintf("ord_%d_%d", world, len(orders)), quantity: rapid.IntRange(1, 4).Draw(t, "quantity")}
				exec(`INSERT INTO entities (id, kind, version) VALUES ($1, 'Order', 1)`, o.id)
				exec(`INSERT INTO projections (entity_id, system, kind) VALUES ($1, 'inventory', 'Order')`, o.id)
				orders = append(orders, o)
				continue
			case "by hand":
				onHand += rapid.IntRange(-2, 5).Draw(t, "counted")
				committed += rapid.IntRange(-1, 3).Draw(t, "sold by hand")
				continue
			case "read":
				read()
				continue
			case "report":
				report()
				continue
			}
			if len(orders) == 0 {
				continue
			}
			o := rapid.SampledFrom(orders).Draw(t, "of")
			switch step {
			case "promise":
				promise(o)
			case "know":
				know(o)
			case "send":
				if o.known && !o.off && !o.sent {
					o.sent = true
					onHand, committed = onHand-o.quantity, committed-o.quantity
				}
			case "call off":
				if o.off || o.sent {
					continue
				}
				o.off = true
				if o.known {
					exec(`UPDATE projections SET status = 'pending' WHERE entity_id = $1`, o.id)
				} else {
					exec(`DELETE FROM projections WHERE entity_id = $1`, o.id)
				}
			}
		}
		for _, o := range orders {
			know(o)
			promise(o)
		}
		read()
		wrong, err := store.MisjudgedLevels(ctx, pool, "inventory")
		ok(err)
		if len(wrong) > 0 {
			t.Errorf("misjudged: %v", wrong)
		}
		pos, err := store.Book(ctx, pool, level, "inventory")
		ok(err)
		if !pos.OnHand.Equal(decimal.NewFromInt(int64(onHand))) || !pos.Committed.Equal(decimal.NewFromInt(int64(committed))) || !pos.Unreported.IsZero() {
			t.Errorf("the movements add up to %s on hand and %s promised; the inventory has %d and %d", pos.OnHand, pos.Committed, onHand, committed)
		}
	})
}
