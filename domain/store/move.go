package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// NoteMove notes that a document that was one customer's in the system is another's there now.
func NoteMove(ctx context.Context, tx pgx.Tx, system, from, to string) error {
	_, err := tx.Exec(ctx, `-- name: NoteMove
		INSERT INTO customer_moves (system, from_id, to_id) VALUES ($1, $2, $3) ON CONFLICT (system, from_id) DO UPDATE SET to_id = excluded.to_id, at = now()`, system, from, to)
	if err != nil {
		return fmt.Errorf("store.NoteMove: %w", err)
	}
	return nil
}

// MovedTo returns the customer whose a document of this one is in the system now, "" if none ever changed hands.
func MovedTo(ctx context.Context, db DB, system, from string) (to string, err error) {
	err = db.QueryRow(ctx, `-- name: MovedTo
		SELECT to_id FROM customer_moves WHERE system = $1 AND from_id = $2`, system, from).Scan(&to)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", fmt.Errorf("store.MovedTo: %w", err)
	}
	return to, nil
}
