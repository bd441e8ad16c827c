package jobs

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"datum/domain/store"
)

const (
	inboxBatch   = 200 // deliveries in one transaction
	inboxAtOnce  = 2   // transactions at once
	inboxTimeout = 10 * time.Second
)

// inbox stores deliveries of webhooks. Those that come while a transaction is under way share the next one, so that a
// burst costs few commits; one that comes alone waits for nobody.
type inbox struct {
	*Engine
	mu      sync.Mutex
	waiting []*delivery
	running int
}

// delivery is what one webhook request brought.
type delivery struct {
	system      *connected
	signals     []store.Signal
	first, last int64 // the vendor's event numbers, 0 if it has none
	done        chan error
}

// put returns nil once the delivery is committed. If ctx ends before that it may have been committed all the same.
func (b *inbox) put(ctx context.Context, d *delivery) error {
	d.done = make(chan error, 1)
	b.mu.Lock()
	b.waiting = append(b.waiting, d)
	if b.running < inboxAtOnce {
		b.running++
		go b.run()
	}
	b.mu.Unlock()
	select {
	case err := <-d.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run stores what waits until nothing does.
func (b *inbox) run() {
	for {
		b.mu.Lock()
		n := min(len(b.waiting), inboxBatch)
		batch := slices.Clone(b.waiting[:n])
		b.waiting = slices.Delete(b.waiting, 0, n)
		if n == 0 {
			b.running--
		}
		b.mu.Unlock()
		if n == 0 {
			return
		}
		err := b.store(batch)
		if err == nil {
			for _, d := range batch {
				b.hear(d.system.Name)
			}
		}
		_, refused := errors.AsType[*pgconn.PgError](err)
		for _, d := range batch {
			if refused && n > 1 {
				d.done <- b.store([]*delivery{d}) // one that the database refuses must not refuse the others
			} else {
				d.done <- err
			}
		}
	}
}

// store stores deliveries, and one job for each system that has news, in one transaction.
func (b *inbox) store(batch []*delivery) error {
	ctx, cancel := context.WithTimeout(context.Background(), inboxTimeout)
	defer cancel()
	// One order for everybody who locks systems' sequences; within a system as they came.
	slices.SortStableFunc(batch, func(x, y *delivery) int { return cmp.Compare(x.system.Name, y.system.Name) })
	return store.Transact(ctx, b.pool, func(tx pgx.Tx) error {
		for i := 0; i < len(batch); {
			j := i
			var signals []store.Signal
			for ; j < len(batch) && batch[j].system.Name == batch[i].system.Name; j++ {
				signals = append(signals, batch[j].signals...)
			}
			if err := b.storeSystem(ctx, tx, batch[i:j], signals); err != nil {
				return err
			}
			i = j
		}
		return nil
	})
}

func (b *inbox) storeSystem(ctx context.Context, tx pgx.Tx, batch []*delivery, signals []store.Signal) error {
	c := batch[0].system
	if len(signals) > 0 {
		added, err := store.InsertSignals(ctx, tx, signals)
		if err != nil {
			return err
		}
		if added > 0 {
			if err := b.ingestTx(ctx, tx, c.Name); err != nil {
				return err
			}
		}
	}
	for _, d := range batch {
		if d.last > 0 {
			if err := b.sequence(ctx, tx, c, d.first, d.last); err != nil {
				return err
			}
		}
	}
	return nil
}
