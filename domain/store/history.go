package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// History is one golden change, or one decision about somebody's edit.
type History struct {
	ID            int64
	EntityID      string
	Version       int64
	At            time.Time
	Action        string
	Field         domain.Field
	Old, New      domain.Value
	System        string
	ExternalID    string
	Why           string
	Owner         string
	Actor         string
	Source        string
	CorrelationID string
	Note          string
}

// Actions of history rows.
const (
	ActionSet      = "set"      // a golden value changed
	ActionCreated  = "created"  // the entity came to be
	ActionLinked   = "linked"   // a record was linked
	ActionMerged   = "merged"   // another entity was merged into this one
	ActionUnmerged = "unmerged" // a merge was undone
	ActionDeleted  = "deleted"  // a record is gone in its system
	ActionRestored = "restored" // a non-owner's edit is overwritten
	ActionProposed = "proposed" // a non-owner's edit became a proposal
	ActionKept     = "kept"     // a non-owner's edit stays as a local variation
	ActionRefused  = "refused"  // an edit through the API was refused
	ActionPinned   = "pinned"   // a person's decision took effect
	ActionUnpinned = "unpinned" // it was confirmed or withdrawn

	ActionAsked     = "asked"     // a change was asked of the field's owner
	ActionConfirmed = "confirmed" // the owner has made it
	ActionOvertaken = "overtaken" // the owner has another value since
	ActionWithdrawn = "withdrawn" // it is no longer asked
	ActionExpired   = "expired"   // the owner has not confirmed it in time
)

// QueueHistory adds a history row to the batch. All rows of a batch are one statement, in their order.
func QueueHistory(b *pgx.Batch, h History) {
	queueRow(b, insertHistory, h.EntityID, h.Version, h.Action, string(h.Field), textOrNil(h.Old), textOrNil(h.New), h.System, h.ExternalID, h.Why, h.Owner,
		h.Actor, h.Source, h.CorrelationID, h.Note)
}

const insertHistory = `-- name: QueueHistory
	INSERT INTO history (entity_id, version, action, field, old, new, system, external_id, why, owner, actor, source, correlation_id, note)
	SELECT entity_id, version, action, field, old::jsonb, new::jsonb, system, external_id, why, owner, actor, source, correlation_id, note
	FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[],
		$13::text[], $14::text[]) WITH ORDINALITY AS h (entity_id, version, action, field, old, new, system, external_id, why, owner, actor, source, correlation_id, note, n)
	ORDER BY n`

func textOrNil(v domain.Value) *string {
	if v == "" {
		return nil
	}
	s := string(v)
	return &s
}

func valueOrNil(v domain.Value) any {
	if v == "" {
		return nil
	}
	return v
}

// HistoryOf returns up to limit history rows of an entity after id, oldest first.
func HistoryOf(ctx context.Context, db DB, entityID string, after int64, limit int) ([]History, error) {
	rows, err := db.Query(ctx, `-- name: HistoryOf
		SELECT id, entity_id, version, at, action, field, old, new, system, external_id, why, owner, actor, source, correlation_id, note
		FROM history WHERE entity_id = $1 AND id > $2 ORDER BY id LIMIT $3`, entityID, after, limit)
	if err != nil {
		return nil, fmt.Errorf("store.HistoryOf: %w", err)
	}
	return pgx.CollectRows(rows, scanHistory)
}

func scanHistory(row pgx.CollectableRow) (History, error) {
	var h History
	var old, new *domain.Value
	err := row.Scan(&h.ID, &h.EntityID, &h.Version, &h.At, &h.Action, &h.Field, &old, &new, &h.System, &h.ExternalID, &h.Why,
		&h.Owner, &h.Actor, &h.Source, &h.CorrelationID, &h.Note)
	if old != nil {
		h.Old = *old
	}
	if new != nil {
		h.New = *new
	}
	return h, err
}

// AsOf returns the golden values of an entity as they were at the time, and its version then. The version is 0 if the
// entity did not exist yet.
func AsOf(ctx context.Context, db DB, entityID string, at time.Time) (domain.Values, int64, error) {
	rows, err := db.Query(ctx, `-- name: AsOf
		SELECT DISTINCT ON (field) field, coalesce(new, 'null'::jsonb) AS new, version FROM history
		WHERE entity_id = $1 AND at <= $2 AND action IN ('set', 'created') ORDER BY field, id DESC`, entityID, at)
	if err != nil {
		return nil, 0, fmt.Errorf("store.AsOf: %w", err)
	}
	values, version := domain.Values{}, int64(0)
	var f domain.Field
	var v domain.Value
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&f, &v, &n}, func() error {
		if f != "" {
			values[f] = v
		}
		version = max(version, n)
		return nil
	})
	return values, version, err
}
