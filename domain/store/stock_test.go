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

// TestStockIsWhatTheInventoryHas: once the inventory has taken in every order and reported what it has, the sum of the movements is
// that, whatever came first: an order's promise or the report that has it already, or no stock level at all when it was promised.
func TestStockIsWhatTheInventoryHas(t *testing.T) {
	t.Parallel()
	pool, ctx := pgtest.New(t), context.Background()
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
			_, err := store.Book(ctx, pool, level)
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
				_, err := store.Book(ctx, pool, l)
				ok(err)
			}
		}
		know := func(o *order) { // what the inventory is told
			switch {
			case !o.known && !o.off:
				o.known = true
				committed += o.quantity
			case o.known && o.off && !o.offKnown:
				report()
				o.offKnown = true
				committed -= o.quantity
				report()
			}
		}
		if rapid.Bool().Draw(t, "known product") {
			report()
		}
		for range rapid.IntRange(1, 15).Draw(t, "steps") {
			step := rapid.SampledFrom([]string{"order", "promise", "know", "send", "call off", "by hand", "report"}).Draw(t, "step")
			switch step {
			case "order":
				o := &order{id: fmt.Sprintf("ord_%d_%d", world, len(orders)), quantity: rapid.IntRange(1, 4).Draw(t, "quantity")}
				exec(`INSERT INTO entities (id, kind, version) VALUES ($1, 'Order', 1)`, o.id)
				orders = append(orders, o)
				continue
			case "by hand": // while no order is on its way: what is reported then could be that order as well
				for _, o := range orders {
					know(o)
					promise(o)
				}
				report()
				onHand += rapid.IntRange(-2, 5).Draw(t, "counted")
				committed += rapid.IntRange(0, 3).Draw(t, "sold by hand")
				report()
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
					promise(o)
					report() // what is sold and what is sent in one report, as many, tell of neither
					o.sent = true
					onHand, committed = onHand-o.quantity, committed-o.quantity
					report()
				}
			case "call off":
				o.off = o.off || !o.sent
			}
		}
		for _, o := range orders {
			know(o)
			promise(o)
		}
		report()
		for _, o := range orders {
			promise(o)
		}
		pos, err := store.Book(ctx, pool, level)
		ok(err)
		if !pos.OnHand.Equal(decimal.NewFromInt(int64(onHand))) || !pos.Committed.Equal(decimal.NewFromInt(int64(committed))) || !pos.Unreported.IsZero() {
			t.Errorf("the movements add up to %s on hand and %s promised; the inventory has %d and %d", pos.OnHand, pos.Committed, onHand, committed)
		}
	})
}
