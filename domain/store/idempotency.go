package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Answer finds what was answered to a request with the idempotency key, and locks the key until the transaction ends, so
// that two at once cannot both be the first.
func Answer(ctx context.Context, tx pgx.Tx, principal, key string, dst any) (hash []byte, entityID string, found bool, err error) {
	if _, err = tx.Exec(ctx, `-- name: AnswerLock
		INSERT INTO idempotency (principal, key, request_hash) VALUES ($1, $2, '') ON CONFLICT DO NOTHING`, principal, key); err != nil {
		return nil, "", false, fmt.Errorf("store.Answer: %w", err)
	}
	var response json.RawMessage
	err = tx.QueryRow(ctx, `-- name: Answer
		SELECT request_hash, entity_id, response FROM idempotency WHERE principal = $1 AND key = $2 FOR UPDATE`, principal, key).Scan(&hash, &entityID, &response)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && len(hash) == 0 {
		return nil, "", false, nil
	}
	if err != nil {
		return nil, "", false, fmt.Errorf("store.Answer: %w", err)
	}
	return hash, entityID, true, json.Unmarshal(response, dst)
}

// SaveAnswer remembers what was answered.
func SaveAnswer(ctx context.Context, tx pgx.Tx, principal, key string, hash []byte, entityID string, response any) error {
	_, err := tx.Exec(ctx, `-- name: SaveAnswer
		UPDATE idempotency SET request_hash = $3, entity_id = $4, response = $5, at = now() WHERE principal = $1 AND key = $2`,
		principal, key, hash, entityID, response)
	if err != nil {
		return fmt.Errorf("store.SaveAnswer: %w", err)
	}
	return nil
}

// PruneAnswers forgets idempotency keys older than the age.
func PruneAnswers(ctx context.Context, db DB, age time.Duration) (int64, error) {
	tag, err := db.Exec(ctx, `-- name: PruneAnswers
		DELETE FROM idempotency WHERE at < now() - $1::interval`, age)
	if err != nil {
		return 0, fmt.Errorf("store.PruneAnswers: %w", err)
	}
	return tag.RowsAffected(), nil
}
