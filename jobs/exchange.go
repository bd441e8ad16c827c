package jobs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"datum/adapters/rest"
	"datum/domain/store"
)

const (
	exchangeEvery = 500 * time.Millisecond
	exchangeBatch = 200
	exchangeBytes = 32 << 20 // kept in memory while the database is away
)

// ExchangeWriter stores exchanges in batches behind the calls. Log never blocks. What is waiting when Close is called is
// stored before it returns; a process that is killed loses at most the last half second. When the database has been
// away for so long that 32 MB wait, the oldest are given up and counted in the log.
type ExchangeWriter struct {
	pool *pgxpool.Pool
	log  *slog.Logger
	wake chan struct{}
	stop chan struct{}
	done chan struct{}
	once sync.Once

	mu      sync.Mutex
	waiting []store.Exchange
	bytes   int
	lost    int
}

var _ rest.ExchangeLog = (*ExchangeWriter)(nil)

// NewExchangeWriter starts a writer; Close ends it.
func NewExchangeWriter(pool *pgxpool.Pool, log *slog.Logger) *ExchangeWriter {
	w := &ExchangeWriter{pool: pool, log: log, wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{})}
	go w.run()
	return w
}

// Log takes an exchange to be stored soon.
func (w *ExchangeWriter) Log(x rest.Exchange) {
	e := store.Exchange{System: x.System, CorrelationID: x.CorrelationID, Also: x.Also, SentAt: x.SentAt, DurationMS: int(x.Duration.Milliseconds()),
		Method: x.Method, Path: x.Path, Status: x.Status, ErrorCode: string(x.Code),
		RequestHeader: x.RequestHeader, RequestBody: x.RequestBody, ResponseHeader: x.ResponseHeader, ResponseBody: x.ResponseBody}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, e)
	w.bytes += size(e)
	for w.bytes > exchangeBytes {
		w.bytes -= size(w.waiting[0])
		w.waiting = w.waiting[1:]
		w.lost++
	}
	if len(w.waiting) >= exchangeBatch {
		select {
		case w.wake <- struct{}{}:
		default:
		}
	}
}

func size(x store.Exchange) int { return len(x.RequestBody) + len(x.ResponseBody) + len(x.Path) + 1000 }

// Close stores what is waiting and ends the writer. Calls after the first only wait. It returns the context's error if
// the database does not take the rest in time.
func (w *ExchangeWriter) Close(ctx context.Context) error {
	w.once.Do(func() { close(w.stop) })
	select {
	case <-w.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		if more, err := w.flush(ctx); err != nil || !more {
			return err
		}
	}
}

func (w *ExchangeWriter) run() {
	defer close(w.done)
	t := time.NewTicker(exchangeEvery)
	defer t.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-t.C:
		case <-w.wake:
		}
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		for more := true; more; {
			more, _ = w.flush(ctx) // logged there, tried again at the next tick
		}
		cancel()
	}
}

// flush stores one batch and reports whether there may be another one.
func (w *ExchangeWriter) flush(ctx context.Context) (more bool, err error) {
	w.mu.Lock()
	n := min(len(w.waiting), exchangeBatch)
	batch := w.waiting[:n:n]
	w.waiting = w.waiting[n:]
	for _, x := range batch {
		w.bytes -= size(x)
	}
	lost := w.lost
	w.lost = 0
	w.mu.Unlock()
	if lost > 0 {
		w.log.WarnContext(ctx, "exchanges given up: the database takes them too slowly", "count", lost)
	}
	if n == 0 {
		return false, nil
	}
	if err := store.InsertExchanges(ctx, w.pool, batch); err != nil {
		if _, refused := errors.AsType[*pgconn.PgError](err); refused {
			// It would be refused again, and hold up those behind it.
			w.log.ErrorContext(ctx, "exchanges refused by the database are given up", "count", n, "error", err)
			return true, nil
		}
		w.log.WarnContext(ctx, "exchanges not stored yet", "count", n, "error", err)
		w.mu.Lock()
		w.waiting = append(batch, w.waiting...)
		for _, x := range batch {
			w.bytes += size(x)
		}
		w.mu.Unlock()
		return false, err
	}
	return true, nil
}
