package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/shopspring/decimal"

	"datum/domain"
)

// FlowKey returns the entity that stands for the id now, "" if there is none, what its flows are one after the other by (its order,
// what it was made from, or itself), and the version of the policy in force.
func FlowKey(ctx context.Context, db DB, id string) (entity, key string, policy int64, err error) {
	var into string
	err = db.QueryRow(ctx, `-- name: FlowKey
		SELECT coalesce(golden ->> 'order', golden ->> 'origin', id), coalesce(merged_into, ''), (SELECT coalesce(max(version), 0) FROM policies)
		FROM entities WHERE id = $1`, id).Scan(&key, &into, &policy)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return "", "", 0, nil
	case err != nil:
		return "", "", 0, fmt.Errorf("store.FlowKey: %w", err)
	case into != "":
		return FlowKey(ctx, db, into)
	}
	return id, key, policy, nil
}

// Family is a document with the invoices that were made from it and its payments and credit notes, as they are at one moment.
type Family struct {
	Key      string
	Entities []Entity // by id, so that of each kind the oldest is first; without provenance
	Open     []string // keys of their open cases
}

const familyIDs = `(SELECT $1 UNION SELECT id FROM invoices WHERE origin = $1 UNION SELECT id FROM payments WHERE "order" = $1 UNION SELECT id FROM credit_notes WHERE "order" = $1)`

// Alone runs f with the family of a key while nobody else runs with the same key, in any process. A process that freezes in f loses
// the lock after 20 s.
func Alone(ctx context.Context, pool *pgxpool.Pool, key string, f func(Family) error) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		fam := Family{Key: key}
		b := &pgx.Batch{}
		b.Queue(`SET LOCAL idle_in_transaction_session_timeout = '20s'`)
		queueLockKeys(b, "flow", []string{key})
		b.Queue(`-- name: Family
			SELECT `+goldenColumns+` FROM entities WHERE id IN `+familyIDs+` ORDER BY id`, key).Query(func(rows pgx.Rows) (err error) {
			fam.Entities, err = pgx.CollectRows(rows, pgx.RowToStructByName[Entity])
			return err
		})
		b.Queue(`-- name: FamilyCases
			SELECT dedupe_key FROM cases WHERE status = 'open' AND entity_id IN `+familyIDs+` ORDER BY dedupe_key`, key).Query(func(rows pgx.Rows) (err error) {
			fam.Open, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return fmt.Errorf("store.Alone: %w", err)
		}
		return f(fam)
	})
}

// MadeFrom returns the documents of a kind that were made from another, the oldest first.
func MadeFrom(ctx context.Context, db DB, kind domain.Kind, origin string) ([]string, error) {
	return idsBy(ctx, db, kind, "origin", origin)
}

// OfOrder returns the payments or credit notes of an order, the oldest first.
func OfOrder(ctx context.Context, db DB, kind domain.Kind, order string) ([]string, error) {
	return idsBy(ctx, db, kind, "order", order)
}

func idsBy(ctx context.Context, db DB, kind domain.Kind, column, value string) ([]string, error) {
	rows, err := db.Query(ctx, "-- name: idsBy\nSELECT id FROM "+tables[kind]+" WHERE "+pgx.Identifier{column}.Sanitize()+" = $1 ORDER BY id", value)
	if err != nil {
		return nil, fmt.Errorf("store.idsBy: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// AllocatedTo is how much of an invoice or credit note payments and credit notes that stand say they pay.
func AllocatedTo(ctx context.Context, db DB, document string) (decimal.Decimal, error) {
	return amount(ctx, db, `-- name: AllocatedTo
		SELECT coalesce(sum(a.amount), 0)::text FROM allocations a JOIN entities e ON e.id = a.document
		WHERE (a.invoice = $1 OR a.credit_note = $1) AND e.stage <> 'VOIDED' AND e.merged_into IS NULL`, document)
}

// PaidOf is how much was received for an order.
func PaidOf(ctx context.Context, db DB, order string) (decimal.Decimal, error) {
	return amount(ctx, db, `-- name: PaidOf
		SELECT coalesce(sum(amount), 0)::text FROM payments WHERE "order" = $1 AND direction = 'RECEIVED' AND stage IS DISTINCT FROM 'VOIDED'`, order)
}

func amount(ctx context.Context, db DB, sql, id string) (decimal.Decimal, error) {
	var s string
	if err := db.QueryRow(ctx, sql, id).Scan(&s); err != nil {
		return decimal.Zero, fmt.Errorf("store.amount: %w", err)
	}
	return decimal.NewFromString(s)
}

// OpenCase opens a case and tells subscribers, unless one with its key says the same or a person has said to ignore that.
func OpenCase(ctx context.Context, pool *pgxpool.Pool, c Case) error {
	return Transact(ctx, pool, func(tx pgx.Tx) error {
		open, err := OpenCaseByKey(ctx, tx, c.DedupeKey)
		if err != nil || open != nil && open.Title == c.Title && open.Detail.Message == c.Detail.Message {
			return err
		}
		if ignored, err := caseAnswered(ctx, tx, c.DedupeKey, c.Detail.Message); err != nil || ignored {
			return err
		}
		b := &pgx.Batch{}
		QueueCase(b, c)
		QueueEvent(b, TopicCase, c.EntityID, c.System, c.ID, c.CorrelationID)
		return tx.SendBatch(ctx, b).Close()
	})
}

// caseAnswered reports whether a person has said to leave a case alone that said the same.
func caseAnswered(ctx context.Context, db DB, key, message string) (bool, error) {
	var ok bool
	err := db.QueryRow(ctx, `-- name: caseAnswered
		SELECT EXISTS (SELECT FROM cases WHERE dedupe_key = $1 AND status = 'resolved' AND resolution IN ('ignore', 'refund', 'credit') AND detail ->> 'message' = $2)`, key, message).Scan(&ok)
	if err != nil {
		return false, fmt.Errorf("store.caseAnswered: %w", err)
	}
	return ok, nil
}

// CloseCaseByKey closes the open case of a key, if there is one.
func CloseCaseByKey(ctx context.Context, pool *pgxpool.Pool, key, why string) error {
	open, err := OpenCaseByKey(ctx, pool, key)
	if err != nil || open == nil {
		return err
	}
	return Transact(ctx, pool, func(tx pgx.Tx) error {
		b := &pgx.Batch{}
		QueueCaseEnd(b, open.ID, "closed", why, "")
		QueueEvent(b, TopicCase, open.EntityID, open.System, open.ID, open.CorrelationID)
		return tx.SendBatch(ctx, b).Close()
	})
}

// NextNumber takes the next number of a kind's sequence. It is taken for good only if the transaction commits, and others wait
// until then: there are no gaps.
func NextNumber(ctx context.Context, tx pgx.Tx, kind domain.Kind) (int64, error) {
	var n int64
	err := tx.QueryRow(ctx, `-- name: NextNumber
		INSERT INTO number_sequences (kind, next) VALUES ($1, 2) ON CONFLICT (kind) DO UPDATE SET next = number_sequences.next + 1 RETURNING next - 1`, kind).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("store.NextNumber: %w", err)
	}
	return n, nil
}

// RefusedFor returns the projections of what pays the invoice that a system has refused, such as for an invoice that was a draft or
// had less open, and that have not been tried since the invoice has changed.
func RefusedFor(ctx context.Context, db DB, invoice string) ([]Unwaiting, error) {
	rows, err := db.Query(ctx, `-- name: RefusedFor
		SELECT DISTINCT p.system, p.kind, p.entity_id, p.lane FROM allocations a
		JOIN projections p ON p.entity_id = a.document AND p.status = 'refused' AND p.error_code IN ('CONFLICT', 'INVALID')
		JOIN entities e ON e.id = a.invoice AND p.updated_at < e.updated_at
		WHERE a.invoice = $1 ORDER BY p.entity_id, p.system`, invoice)
	if err != nil {
		return nil, fmt.Errorf("store.RefusedFor: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Unwaiting])
}
