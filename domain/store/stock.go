package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"datum/domain"
)

// Reasons of stock movements.
const (
	MovedByOpening      = "OPENING"      // the first that was heard of a level
	MovedBySale         = "SALE"         // promised to an order
	MovedByRefund       = "REFUND"       // given back
	MovedByCancellation = "CANCELLATION" // an order was called off
	MovedByAdjustment   = "ADJUSTMENT"   // the inventory says so
	MovedByFulfilment   = "FULFILMENT"   // sent: less on hand and less promised
)

// Position is the sum of a stock level's movements.
type Position struct {
	OnHand, Committed decimal.Decimal
	// Unreported is the part of OnHand that the inventory has not said yet.
	Unreported decimal.Decimal
}

// lockLevel locks a stock level until the transaction ends.
func lockLevel(ctx context.Context, tx pgx.Tx, id string) error {
	_, err := tx.Exec(ctx, `-- name: lockLevel
		SELECT FROM entities WHERE id = $1 FOR UPDATE`, id)
	return err
}

// move books one movement; the same external id moves a level once.
func move(ctx context.Context, tx pgx.Tx, level, reason string, onHand, committed decimal.Decimal, externalID, document, correlation string) error {
	_, err := tx.Exec(ctx, `-- name: move
		INSERT INTO stock_movements (stock_level, product, location, reason, on_hand, committed, external_id, document, correlation_id)
		SELECT id, coalesce(product, ''), coalesce(location, ''), $2, $3::text::numeric, $4::text::numeric, $5, $6, $7 FROM stock_levels WHERE id = $1
		ON CONFLICT (stock_level, external_id) DO NOTHING`, level, reason, onHand.String(), committed.String(), externalID, document, correlation)
	if err != nil {
		return fmt.Errorf("store.move: %w", err)
	}
	return nil
}

// levelsOf returns the stock level of each product at the location, or where there is none the product's first. Products
// without a level are missing: nobody keeps stock of them.
func levelsOf(ctx context.Context, tx pgx.Tx, location string, products []string) (map[string]string, error) {
	rows, err := tx.Query(ctx, `-- name: levelsOf
		SELECT DISTINCT ON (product) product, id FROM stock_levels WHERE product = ANY($1) ORDER BY product, (location = $2) DESC NULLS LAST, id`, products, location)
	if err != nil {
		return nil, fmt.Errorf("store.levelsOf: %w", err)
	}
	levels := map[string]string{}
	var p, l string
	_, err = pgx.ForEachRow(rows, []any{&p, &l}, func() error { levels[p] = l; return nil })
	return levels, err
}

// Promise brings what is promised to a document to the wanted quantities by product and returns the levels that moved. It
// compares with the movements there are, so repeating it moves nothing.
func Promise(ctx context.Context, pool *pgxpool.Pool, document, location string, want map[string]decimal.Decimal, calledOff bool, correlation string) (moved []string, err error) {
	defer domain.Wrap(&err, "store.Promise")
	err = Transact(ctx, pool, func(tx pgx.Tx) error {
		moved = nil
		levels, err := levelsOf(ctx, tx, location, slices.Sorted(maps.Keys(want)))
		if err != nil {
			return err
		}
		target := map[string]decimal.Decimal{}
		for product, q := range want {
			if l := levels[product]; l != "" {
				target[l] = target[l].Add(q)
			}
		}
		rows, err := tx.Query(ctx, `-- name: promised
			SELECT DISTINCT stock_level FROM stock_movements WHERE document = $1 ORDER BY stock_level`, document)
		if err != nil {
			return err
		}
		before, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, l := range before {
			if _, ok := target[l]; !ok {
				target[l] = decimal.Zero
			}
		}
		for _, l := range slices.Sorted(maps.Keys(target)) {
			if err := lockLevel(ctx, tx, l); err != nil {
				return err
			}
			var sum string
			var n int
			if err := tx.QueryRow(ctx, `-- name: promisedOn
				SELECT coalesce(sum(committed), 0)::text, count(*) FROM stock_movements WHERE stock_level = $1 AND document = $2`, l, document).Scan(&sum, &n); err != nil {
				return err
			}
			have, err := decimal.NewFromString(sum)
			if err != nil {
				return err
			}
			delta := target[l].Sub(have)
			if delta.IsZero() {
				continue
			}
			reason := MovedBySale
			if delta.IsNegative() {
				reason = MovedByRefund
				if calledOff {
					reason = MovedByCancellation
				}
			}
			if err := move(ctx, tx, l, reason, decimal.Zero, delta, fmt.Sprintf("%s/%d", document, n+1), document, correlation); err != nil {
				return err
			}
			moved = append(moved, l)
		}
		return nil
	})
	return moved, err
}

// Restock books goods that came back with a credit note, once, and returns their levels. What was not sent moves nothing: that
// it is noted is what Unsent goes by.
func Restock(ctx context.Context, pool *pgxpool.Pool, creditNote, location string, goods map[string]decimal.Decimal, sent bool, correlation string) (moved []string, err error) {
	defer domain.Wrap(&err, "store.Restock")
	err = Transact(ctx, pool, func(tx pgx.Tx) error {
		levels, err := levelsOf(ctx, tx, location, slices.Sorted(maps.Keys(goods)))
		if err != nil {
			return err
		}
		moved = slices.Sorted(maps.Values(levels))
		for _, product := range slices.Sorted(maps.Keys(levels)) {
			if err := lockLevel(ctx, tx, levels[product]); err != nil {
				return err
			}
			q := goods[product]
			if !sent {
				q = decimal.Zero
			}
			if err := move(ctx, tx, levels[product], MovedByRefund, q, decimal.Zero, creditNote+"/"+product, creditNote, correlation); err != nil {
				return err
			}
		}
		return nil
	})
	return moved, err
}

// Unsent returns those of the credit notes whose goods had not been sent when they were given back.
func Unsent(ctx context.Context, db DB, creditNotes []string) ([]string, error) {
	rows, err := db.Query(ctx, `-- name: Unsent
		SELECT DISTINCT document FROM stock_movements WHERE document = ANY($1) AND reason = 'REFUND' AND on_hand = 0 AND committed = 0 ORDER BY document`, creditNotes)
	if err != nil {
		return nil, fmt.Errorf("store.Unsent: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Book turns what the inventory reports of a level, its golden onHand and committed, into movements: what was moved here
// before it reported it is not moved again, and the rest is an adjustment, or a fulfilment where both sank alike. Afterwards
// the movements add up to the report and what it does not know of yet. If it knows everything, they add up to the report:
// movements alone cannot tell what came first, and what cancels out within one report.
func Book(ctx context.Context, pool *pgxpool.Pool, level, inventory string) (pos Position, err error) {
	defer domain.Wrap(&err, "store.Book")
	err = Transact(ctx, pool, func(tx pgx.Tx) error {
		if err := lockLevel(ctx, tx, level); err != nil {
			return err
		}
		var version int64
		var s [6]string
		var first bool
		err := tx.QueryRow(ctx, `-- name: bookable
			SELECT l.version, coalesce(l.on_hand, 0)::text, coalesce(l.committed, 0)::text, coalesce(p.on_hand, 0)::text, coalesce(p.committed, 0)::text,
				p.stock_level IS NULL, (SELECT coalesce(sum(on_hand), 0)::text FROM stock_movements WHERE stock_level = l.id),
				(SELECT coalesce(sum(committed), 0)::text FROM stock_movements WHERE stock_level = l.id)
			FROM stock_levels l LEFT JOIN stock_positions p ON p.stock_level = l.id WHERE l.id = $1`, level).Scan(&version, &s[0], &s[1], &s[2], &s[3], &first, &s[4], &s[5])
		if errors.Is(err, pgx.ErrNoRows) {
			return domain.Errorf(domain.NotFound, "there is no stock level %s", level)
		}
		if err != nil {
			return err
		}
		var d [6]decimal.Decimal
		for i := range s {
			if d[i], err = decimal.NewFromString(s[i]); err != nil {
				return err
			}
		}
		onHand := unexplained(d[0].Sub(d[2]), d[4].Sub(d[2]))
		committed := unexplained(d[1].Sub(d[3]), d[5].Sub(d[3]))
		if !onHand.IsZero() || !committed.IsZero() {
			reason := MovedByAdjustment
			switch {
			case first:
				reason = MovedByOpening
			case onHand.IsNegative() && onHand.Equal(committed):
				reason = MovedByFulfilment
			}
			if err := move(ctx, tx, level, reason, onHand, committed, fmt.Sprintf("reported/%d", version), "", ""); err != nil {
				return err
			}
		}
		if first || !d[0].Equal(d[2]) || !d[1].Equal(d[3]) {
			if _, err := tx.Exec(ctx, `-- name: setPosition
				INSERT INTO stock_positions (stock_level, on_hand, committed) VALUES ($1, $2::text::numeric, $3::text::numeric)
				ON CONFLICT (stock_level) DO UPDATE SET on_hand = excluded.on_hand, committed = excluded.committed`, level, s[0], s[1]); err != nil {
				return err
			}
		}
		pos = Position{OnHand: d[4].Add(onHand), Committed: d[5].Add(committed)}
		if off := d[1].Sub(pos.Committed); !off.IsZero() {
			var known bool
			if err := tx.QueryRow(ctx, `-- name: promisesKnown
				SELECT `+promisesKnown, inventory, level).Scan(&known); err != nil {
				return err
			}
			if known {
				if err := move(ctx, tx, level, MovedByAdjustment, decimal.Zero, off, "known/"+domain.NewID("mov"), "", ""); err != nil {
					return err
				}
				pos.Committed = d[1]
			}
		}
		pos.Unreported = pos.OnHand.Sub(d[0])
		return nil
	})
	return pos, err
}

// promisesKnown is whether the inventory $1 has every document that is promised on the level $2 as it should be, and has been read
// completely since and that taken in: then what it reports of the level is all there is.
const promisesKnown = `NOT EXISTS (
	SELECT FROM (SELECT document, sum(committed) AS promised FROM stock_movements WHERE stock_level = $2 AND document <> '' GROUP BY document) x
	LEFT JOIN projections p ON p.entity_id = x.document AND p.system = $1
	WHERE CASE WHEN p.entity_id IS NULL THEN x.promised <> 0 ELSE p.status <> 'confirmed' OR p.confirmed_at >=
		coalesce((SELECT passed_at FROM cursors WHERE system = $1 AND kind = 'StockLevel' AND name = 'changes'), '-infinity') END)
	AND NOT EXISTS (SELECT FROM records r JOIN signals s ON s.system = r.system AND s.kind = r.kind AND s.external_id = r.external_id
		WHERE r.entity_id = $2 AND r.system = $1 AND s.status = 'pending')`

// MisjudgedLevels returns levels, of those that moved within a day, whose promises do not add up to what the inventory reports
// although it knows everything: Book puts them right.
func MisjudgedLevels(ctx context.Context, db DB, inventory string) ([]string, error) {
	rows, err := db.Query(ctx, `-- name: MisjudgedLevels
		SELECT l.id FROM (SELECT DISTINCT stock_level AS id FROM stock_movements WHERE at > now() - interval '1 day') l JOIN stock_positions s ON s.stock_level = l.id
		WHERE s.committed <> (SELECT sum(committed) FROM stock_movements WHERE stock_level = l.id) AND `+strings.ReplaceAll(promisesKnown, "$2", "l.id")+` ORDER BY l.id`, inventory)
	if err != nil {
		return nil, fmt.Errorf("store.MisjudgedLevels: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// unexplained is the part of a reported change that movements made before the report do not explain.
func unexplained(change, pending decimal.Decimal) decimal.Decimal {
	if change.Sign() != pending.Sign() {
		return change
	}
	if change.Abs().GreaterThan(pending.Abs()) {
		return change.Sub(pending)
	}
	return decimal.Zero
}

// MovedBy counts the movements that a document has made.
func MovedBy(ctx context.Context, db DB, document string) (n int, err error) {
	if err := db.QueryRow(ctx, `-- name: MovedBy
		SELECT count(*) FROM stock_movements WHERE document = $1`, document).Scan(&n); err != nil {
		return 0, fmt.Errorf("store.MovedBy: %w", err)
	}
	return n, nil
}

// WrongLevels returns the stock levels whose movements do not add up to what is on hand, but for what the inventory is still to be
// told, or to what may be sold.
func WrongLevels(ctx context.Context, db DB) ([]string, error) {
	rows, err := db.Query(ctx, `-- name: WrongLevels
		SELECT l.id FROM stock_levels l JOIN stock_positions p ON p.stock_level = l.id
		JOIN (SELECT stock_level, sum(on_hand) AS on_hand, sum(committed) AS committed FROM stock_movements GROUP BY stock_level) m ON m.stock_level = l.id
		WHERE m.on_hand <> coalesce(l.on_hand, 0) OR p.on_hand <> coalesce(l.on_hand, 0)
			OR l.available IS NOT NULL AND l.available <> greatest(m.on_hand - m.committed, 0) ORDER BY l.id`)
	if err != nil {
		return nil, fmt.Errorf("store.WrongLevels: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
