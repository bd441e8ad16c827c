// Package feed delivers committed events to subscribers, in commit order, none missed and none repeated. Readers follow
// (transaction id, id) below the oldest transaction still running, because the order of a sequence is not the order of
// commits. NOTIFY is only a doorbell; reading the table is the truth, and goes on without it.
package feed

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"datum/domain"
)

const channel = "datum_feed"

// Position is a place in the feed. It is comparable and ordered by Less.
type Position struct {
	Tx uint64
	ID int64
}

// Less reports whether p comes before q.
func (p Position) Less(q Position) bool { return p.Tx < q.Tx || p.Tx == q.Tx && p.ID < q.ID }

// Cursor returns the position as an opaque text.
func (p Position) Cursor() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d.%d", p.Tx, p.ID))
}

// ParseCursor reads what Cursor wrote; anything else is Invalid.
func ParseCursor(s string) (Position, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		tx, id, ok := strings.Cut(string(b), ".")
		t, err1 := strconv.ParseUint(tx, 10, 64)
		i, err2 := strconv.ParseInt(id, 10, 64)
		if p := (Position{t, i}); ok && err1 == nil && err2 == nil && p.Cursor() == s {
			return p, nil
		}
	}
	return Position{}, domain.Errorf(domain.Invalid, "the cursor is not one that a subscription returned; leave it out to begin with the next event")
}

// Event says that something changed. It names the thing; what it is now is read when it is delivered.
type Event struct {
	Position
	At            time.Time
	Topic         string
	EntityID      string
	System        string
	Key           string
	CorrelationID string
}

// Querier is a pool, connection or transaction.
type Querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Read returns up to limit events after the position, in order.
func Read(ctx context.Context, db Querier, after Position, limit int) ([]Event, error) {
	rows, err := db.Query(ctx, `-- name: FeedRead
		SELECT tx::text, id, at, topic, entity_id, system, key, correlation_id FROM feed
		WHERE (tx, id) > ($1::text::xid8, $2) AND tx < pg_snapshot_xmin(pg_current_snapshot())
		ORDER BY tx, id LIMIT $3`, strconv.FormatUint(after.Tx, 10), after.ID, limit)
	if err != nil {
		return nil, fmt.Errorf("feed.Read: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (Event, error) {
		var e Event
		var tx string
		if err := row.Scan(&tx, &e.ID, &e.At, &e.Topic, &e.EntityID, &e.System, &e.Key, &e.CorrelationID); err != nil {
			return e, err
		}
		var err error
		e.Tx, err = strconv.ParseUint(tx, 10, 64)
		return e, err
	})
}

// End returns the position after everything that is visible to readers now.
func End(ctx context.Context, db Querier) (Position, error) {
	var tx string
	err := db.QueryRow(ctx, `SELECT (pg_snapshot_xmin(pg_current_snapshot())::text::bigint - 1)::text`).Scan(&tx)
	if err != nil {
		return Position{}, fmt.Errorf("feed.End: %w", err)
	}
	t, err := strconv.ParseUint(tx, 10, 64)
	return Position{Tx: t, ID: 1<<63 - 1}, err
}

// Lag returns how many events are committed but held back behind a running transaction, and the age of the oldest.
func Lag(ctx context.Context, db Querier) (n int64, age time.Duration, err error) {
	var secs float64
	err = db.QueryRow(ctx, `-- name: FeedLag
		SELECT count(*), coalesce(extract(epoch FROM now() - min(at)), 0)::float8 FROM feed
		WHERE tx >= pg_snapshot_xmin(pg_current_snapshot())`).Scan(&n, &secs)
	if err != nil {
		return 0, 0, fmt.Errorf("feed.Lag: %w", err)
	}
	return n, time.Duration(secs * float64(time.Second)), nil
}

const window = 4096 // events kept in memory for subscribers that keep up

// Hub reads the feed once per process and hands events to any number of subscriptions.
type Hub struct {
	pool *pgxpool.Pool
	log  *slog.Logger
	poll time.Duration

	ring chan struct{} // somebody in this process committed

	mu     sync.Mutex
	events []Event       // the last ones, in order
	start  Position      // events holds everything after start
	moved  chan struct{} // closed and replaced when events grow
}

// NewHub returns a hub; Run makes it live. poll is how often the table is read without a doorbell; 0 means 250 ms.
func NewHub(pool *pgxpool.Pool, log *slog.Logger, poll time.Duration) *Hub {
	if poll <= 0 {
		poll = 250 * time.Millisecond
	}
	return &Hub{pool: pool, log: log, poll: poll, ring: make(chan struct{}, 1), moved: make(chan struct{})}
}

// Ring tells all processes, soon and in batches, that events were committed. It never blocks.
func (h *Hub) Ring() {
	select {
	case h.ring <- struct{}{}:
	default:
	}
}

// Run reads and rings until ctx ends. It survives the loss of the database.
func (h *Hub) Run(ctx context.Context) error {
	for {
		p, err := End(ctx, h.pool)
		if err == nil {
			h.mu.Lock()
			h.start = p
			h.mu.Unlock()
			break
		}
		if ctx.Err() != nil {
			return nil
		}
		h.log.WarnContext(ctx, "feed: reading the position failed; trying again", "err", err)
		sleep(ctx, time.Second)
	}
	bell := make(chan struct{}, 1)
	go h.listen(ctx, bell)
	tick := time.NewTicker(h.poll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.ring:
			// One doorbell for a burst: NOTIFY takes a global lock in every commit that uses it.
			sleep(ctx, 10*time.Millisecond)
			select {
			case <-h.ring:
			default:
			}
			if _, err := h.pool.Exec(ctx, "NOTIFY "+channel); err != nil && ctx.Err() == nil {
				h.log.WarnContext(ctx, "feed: doorbell failed", "err", err)
			}
		case <-bell:
		case <-tick.C:
		}
		h.read(ctx)
	}
}

func (h *Hub) read(ctx context.Context) {
	for {
		h.mu.Lock()
		after := h.start
		if n := len(h.events); n > 0 {
			after = h.events[n-1].Position
		}
		h.mu.Unlock()
		events, err := Read(ctx, h.pool, after, 1000)
		if err != nil {
			if ctx.Err() == nil {
				h.log.WarnContext(ctx, "feed: reading failed; trying again", "err", err)
			}
			return
		}
		if len(events) == 0 {
			return
		}
		h.mu.Lock()
		h.events = append(h.events, events...)
		if cut := len(h.events) - window; cut > 0 {
			h.start = h.events[cut-1].Position
			h.events = append([]Event(nil), h.events[cut:]...)
		}
		close(h.moved)
		h.moved = make(chan struct{})
		h.mu.Unlock()
	}
}

func (h *Hub) listen(ctx context.Context, bell chan<- struct{}) {
	for ctx.Err() == nil {
		err := func() error {
			conn, err := h.pool.Acquire(ctx)
			if err != nil {
				return err
			}
			defer conn.Release()
			defer func() { _ = conn.Conn().Close(context.WithoutCancel(ctx)) }() // a listening connection is not given back
			if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
				return err
			}
			for {
				if _, err := conn.Conn().WaitForNotification(ctx); err != nil {
					return err
				}
				select {
				case bell <- struct{}{}:
				default:
				}
			}
		}()
		if ctx.Err() == nil {
			h.log.WarnContext(ctx, "feed: listening was interrupted; polling goes on", "err", err)
			sleep(ctx, time.Second)
		}
	}
}

// Subscribe delivers the events after the cursor that want accepts, in order, until ctx ends; then the channel is
// closed. An empty cursor begins with the next event. A slow receiver holds up nobody else and misses nothing.
func (h *Hub) Subscribe(ctx context.Context, cursor string, want func(Event) bool) (<-chan Event, error) {
	end, err := End(ctx, h.pool)
	if err != nil {
		return nil, err
	}
	at := end
	if cursor != "" {
		if at, err = ParseCursor(cursor); err != nil {
			return nil, err
		}
	}
	if at.Tx > end.Tx {
		// Events are delivered below End only, and End never goes back: this one is from before a restore.
		return nil, domain.Errorf(domain.Invalid, "the cursor is of another database, or of this one before it was restored; leave it out, and read again what you keep")
	}
	if cursor != "" {
		gone, err := floor(ctx, h.pool)
		if err != nil {
			return nil, err
		}
		if at.Less(gone) {
			return nil, domain.Errorf(domain.Invalid, "the cursor is older than the events that are kept (`datum retention show` says for how long), so some after it are gone; leave it out, and read again what you keep")
		}
	}
	out := make(chan Event)
	go func() {
		defer close(out)
		for {
			events, moved, err := h.after(ctx, at)
			if err != nil {
				if ctx.Err() != nil {
					return
				}
				h.log.WarnContext(ctx, "feed: catching up failed; trying again", "err", err)
				sleep(ctx, time.Second)
				continue
			}
			for _, e := range events {
				at = e.Position
				if !want(e) {
					continue
				}
				select {
				case out <- e:
				case <-ctx.Done():
					return
				}
			}
			if moved != nil {
				select {
				case <-moved:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out, nil
}

// after returns events after the position, from memory or, for one who is behind, from the table. A non-nil channel says
// that there are no more for now, and is closed when there are.
func (h *Hub) after(ctx context.Context, at Position) ([]Event, <-chan struct{}, error) {
	h.mu.Lock()
	moved := h.moved
	if h.start != (Position{}) && !at.Less(h.start) {
		i := len(h.events)
		for i > 0 && at.Less(h.events[i-1].Position) {
			i--
		}
		events := h.events[i:len(h.events):len(h.events)]
		h.mu.Unlock()
		return events, moved, nil
	}
	h.mu.Unlock()
	events, err := Read(ctx, h.pool, at, 500)
	if err != nil || len(events) > 0 {
		return events, nil, err
	}
	return nil, moved, nil // nothing between here and what the hub holds: wait for it to move
}

// floor returns the last position that retention has removed; zero if none was.
func floor(ctx context.Context, db Querier) (Position, error) {
	var tx string
	var p Position
	err := db.QueryRow(ctx, `-- name: FeedFloorRead
		SELECT tx::text, id FROM feed_floor`).Scan(&tx, &p.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, nil
	}
	if err == nil {
		p.Tx, err = strconv.ParseUint(tx, 10, 64)
	}
	if err != nil {
		return p, fmt.Errorf("feed.floor: %w", err)
	}
	return p, nil
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
