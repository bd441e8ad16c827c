package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"datum/domain"
)

// BasDocument is an invoice or credit note that counts in a period of the activity statement.
type BasDocument struct {
	ID     string
	Kind   domain.Kind
	Golden domain.Values
	// Before and After are how much of it was paid, given back or set off before the period and by its end.
	Before, After decimal.Decimal
}

// BasDocuments returns, by date, the authorised and paid invoices and credit notes that count in a period, both days
// inclusive: those dated in it, or on the cash basis those that were paid, given back or set off in it, and those dated in it
// whose total is nothing. Drafts and voided documents count nowhere, nor do voided payments.
func BasDocuments(ctx context.Context, db DB, from, to string, cash bool) ([]BasDocument, error) {
	rows, err := db.Query(ctx, `-- name: BasDocuments
		WITH docs AS (
			SELECT id, issue_date, total FROM invoices WHERE stage IN ('AUTHORISED', 'PAID')
			UNION ALL SELECT id, issue_date, total FROM credit_notes WHERE stage IN ('AUTHORISED', 'PAID')
		), sums AS (
			SELECT a.invoice AS id, coalesce(a.date, p.date) AS date, CASE WHEN p.direction = 'REFUNDED' THEN -a.amount ELSE a.amount END AS amount
			FROM allocations a JOIN payments p ON p.id = a.document WHERE a.invoice IS NOT NULL AND p.stage IS DISTINCT FROM 'VOIDED'
			UNION ALL
			SELECT a.invoice, coalesce(a.date, c.issue_date), a.amount
			FROM allocations a JOIN credit_notes c ON c.id = a.document WHERE a.invoice IS NOT NULL AND c.stage IN ('AUTHORISED', 'PAID')
			UNION ALL
			SELECT c.id, coalesce(a.date, c.issue_date), a.amount
			FROM allocations a JOIN credit_notes c ON c.id = a.document WHERE a.invoice IS NOT NULL
			UNION ALL
			SELECT a.credit_note, coalesce(a.date, p.date), CASE WHEN p.direction = 'RECEIVED' THEN -a.amount ELSE a.amount END
			FROM allocations a JOIN payments p ON p.id = a.document WHERE a.credit_note IS NOT NULL AND p.stage IS DISTINCT FROM 'VOIDED'
		), paid AS (
			SELECT id, coalesce(sum(amount) FILTER (WHERE date < @from::text::date), 0) AS before,
				coalesce(sum(amount) FILTER (WHERE date <= @to::text::date), 0) AS after
			FROM sums GROUP BY id
		)
		SELECT d.id, e.kind, e.golden, coalesce(p.before, 0)::text AS before, coalesce(p.after, 0)::text AS after
		FROM docs d JOIN entities e ON e.id = d.id LEFT JOIN paid p ON p.id = d.id
		WHERE CASE WHEN @cash AND d.total IS DISTINCT FROM 0 THEN p.before <> p.after
			ELSE d.issue_date BETWEEN @from::text::date AND @to::text::date END
		ORDER BY d.issue_date, d.id`, pgx.StrictNamedArgs{"from": from, "to": to, "cash": cash})
	if err != nil {
		return nil, fmt.Errorf("store.BasDocuments: %w", err)
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (BasDocument, error) {
		var d BasDocument
		var before, after string
		err := row.Scan(&d.ID, &d.Kind, &d.Golden, &before, &after)
		if err == nil {
			d.Before, err = decimal.NewFromString(before)
		}
		if err == nil {
			d.After, err = decimal.NewFromString(after)
		}
		return d, err
	})
}
