package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/riverqueue/river"
	"github.com/shopspring/decimal"

	"datum/domain"
	"datum/domain/change"
	"datum/domain/ownership"
	"datum/domain/store"
)

// goods are the quantities of products in lines.
func goods(v domain.Value) map[string]decimal.Decimal {
	q := map[string]decimal.Decimal{}
	for _, l := range domain.LinesOf(v) {
		if l.Product == "" || l.Quantity == "" {
			continue
		}
		if d, err := decimal.NewFromString(l.Quantity); err == nil {
			q[l.Product] = q[l.Product].Add(d)
		}
	}
	return q
}

// commit promises the goods of a confirmed order, and takes the promise back when it is called off. The movement of an order
// and product bears their names: however often this runs it is made once, and what has changed since is a movement more.
func (f *flow) commit(ctx context.Context, o *store.Entity) error {
	want, off := goods(o.Golden["lines"]), o.Stage == "CANCELLED" || o.Stage == "DRAFT"
	if off {
		want = nil
	}
	// What the inventory had sent before it was looked at here is not in its stock any more.
	inventory := f.pol.Kind(domain.KindStockLevel).Rule("onHand", "").Owner
	if o.Golden["fulfilmentStatus"].Text() == "FULFILLED" && o.Provenance["fulfilmentStatus"].System == inventory {
		if n, err := store.MovedBy(ctx, f.pool, o.ID); err != nil || n == 0 {
			return err
		}
	}
	// The order shows what was sold; what was given back before it was sent is not promised any more.
	notes, err := f.ofOrder(ctx, domain.KindCreditNote, o.ID)
	if err != nil {
		return err
	}
	unsent, err := store.Unsent(ctx, f.pool, notes)
	if err != nil {
		return err
	}
	for _, id := range unsent {
		c, err := f.entity(ctx, id)
		if err != nil {
			return err
		}
		for product, q := range goods(c.Golden["lines"]) {
			if have, ok := want[product]; ok {
				want[product] = decimal.Max(have.Sub(q), decimal.Zero)
			}
		}
	}
	levels, err := store.Promise(ctx, f.pool, o.ID, o.Golden["location"].Text(), want, off, domain.Correlation(ctx))
	if err != nil {
		return err
	}
	for _, id := range levels {
		if err := f.level(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// restock brings goods of a refund back: what was sent is on hand again, what was not is no longer promised. Which of the two it
// was is decided once.
func (f *flow) restock(ctx context.Context, c, o *store.Entity) error {
	sent := o.Golden["fulfilmentStatus"].Text() == "FULFILLED"
	levels, err := store.Restock(ctx, f.pool, c.ID, o.Golden["location"].Text(), goods(c.Golden["lines"]), sent, domain.Correlation(ctx))
	if err != nil {
		return err
	}
	if !sent {
		if err := f.commit(ctx, o); err != nil {
			return err
		}
	}
	for _, id := range levels {
		if err := f.level(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// level looks at a stock level anew after a movement.
func (f *flow) level(ctx context.Context, id string) error {
	delete(f.seen, id)
	e, err := f.entity(ctx, id)
	if err != nil || e == nil {
		return err
	}
	return f.stockLevel(ctx, e)
}

// stockLevel books what the inventory has reported as movements, works out what may still be sold, and tells people when more
// is promised than there is.
func (f *flow) stockLevel(ctx context.Context, e *store.Entity) error {
	if !f.on(ownership.OrderToStock) {
		return nil
	}
	owner := f.pol.Kind(e.Kind).Rule("onHand", e.Stage).Owner
	sum, err := store.Book(ctx, f.pool, e.ID, owner)
	if err != nil {
		return err
	}
	// Goods that came back are told to the inventory as its new count, until it confirms that.
	if sum.Unreported.IsPositive() && e.Provenance["onHand"].Why != string(ownership.ByPin) {
		res, err := f.edit(ctx, change.Edit{System: owner, Kind: e.Kind, EntityID: e.ID,
			Fields: domain.Values{"onHand": domain.TextValue(sum.OnHand.String())}, Cause: f.cause(e, ownership.OrderToStock)})
		if err != nil {
			return err
		}
		if len(res.Refused) > 0 {
			return f.stuckAt(ctx, ownership.OrderToStock, e, res.Refused[0])
		}
	}
	free := sum.OnHand.Sub(sum.Committed)
	if f.pol.Kind(e.Kind).Rule("available", e.Stage).Owner == f.pol.Flows.As {
		if err := f.set(ctx, ownership.OrderToStock, e, domain.Values{"available": domain.TextValue(decimal.Max(free, decimal.Zero).String())}); err != nil {
			return err
		}
	}
	key := "oversold|" + e.ID
	if !free.IsNegative() && !sum.OnHand.IsNegative() {
		return f.settled(ctx, key)
	}
	p, err := f.entity(ctx, e.Golden["product"].Text())
	if err != nil || p == nil {
		return err
	}
	return f.ask(ctx, e, key, fmt.Sprintf("%s is oversold by %s", change.NameOf(p.Golden), free.Neg().String()),
		fmt.Sprintf("%s on hand and %s promised", sum.OnHand.String(), sum.Committed.String()),
		"buy or make more, or cancel orders; this closes by itself when there is enough")
}

// recount has stock levels looked at whose promises have been misjudged, as often as the inventory is read.
func (e *Engine) recount(ctx context.Context) error {
	if time.Since(e.recounted) < e.cfg.Poll {
		return nil
	}
	e.recounted = time.Now()
	pol, _, err := e.applier.Policy(ctx, e.pool, 0)
	if err != nil || pol.Flows.As == "" || !pol.Flows.On[ownership.OrderToStock] {
		return err
	}
	levels, err := store.MisjudgedLevels(ctx, e.pool, pol.Kind(domain.KindStockLevel).Rule("onHand", "").Owner)
	for _, id := range levels {
		if _, err := e.client.Insert(ctx, FlowArgs{EntityID: id}, &river.InsertOpts{Queue: flowQueue, MaxAttempts: 100}); err != nil {
			return err
		}
	}
	return err
}
