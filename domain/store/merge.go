package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Merge is one entity made part of another, and what has become of that.
type Merge struct {
	ID            int64
	Kind          domain.Kind
	Loser         string
	Survivor      string // into which it was merged; that one may be part of another since
	At            time.Time
	Actor         string
	Source        string
	Reason        string
	CorrelationID string
	Needed        []string // systems in which only the loser was needed
	UndoneAt      *time.Time
	UndoneBy      string
	UndoneReason  string
}

const mergeColumns = `id, kind, loser, survivor, at, actor, source, reason, correlation_id, needed, undone_at, undone_by, undone_reason`

// QueueMerge makes the loser part of the survivor: its records, pins, cases, references and what waits for it lead to the
// survivor, and it is taken out of the lists. Everything keeps the name of where it came from, for QueueUnmerge.
func QueueMerge(b *pgx.Batch, m Merge) {
	loser, survivor := m.Loser, m.Survivor
	b.Queue(`-- name: QueueMerge
		INSERT INTO merges (kind, loser, survivor, actor, source, reason, correlation_id, needed)
		SELECT $1, $2, $3, $4, $5, $6, $7, coalesce((SELECT array_agg(l.system ORDER BY l.system) FROM projections l WHERE l.entity_id = $2 AND l.needed
			AND NOT EXISTS (SELECT FROM projections s WHERE s.entity_id = $3 AND s.system = l.system AND s.needed)), '{}')`,
		m.Kind, loser, survivor, m.Actor, m.Source, m.Reason, m.CorrelationID)
	b.Queue(`-- name: QueueMergeNeeded
		INSERT INTO projections (entity_id, system, kind, status, error_code, error, needed)
		SELECT $2, system, kind, 'parked', 'NEEDED', 'is needed there', true FROM projections WHERE entity_id = $1 AND needed
		ON CONFLICT (entity_id, system) DO UPDATE SET needed = true`, loser, survivor)
	b.Queue(`-- name: QueueMergeAlone
		UPDATE records SET alone = jsonb_build_object('values', values, 'confirmed', confirmed, 'held', held)
		WHERE entity_id IN ($1, $2) AND alone IS NULL`, loser, survivor)
	b.Queue(`-- name: QueueMergeRecords
		UPDATE records SET entity_id = $2, updated_at = now() WHERE entity_id = $1`, loser, survivor)
	b.Queue(`-- name: QueueMergePinsSleep
		UPDATE pins l SET slept_by = $2 WHERE entity_id = $1 AND slept_by = ''
			AND EXISTS (SELECT FROM pins s WHERE s.entity_id = $2 AND s.field = l.field AND s.slept_by = '')`, loser, survivor)
	b.Queue(`-- name: QueueMergePins
		UPDATE pins SET entity_id = $2 WHERE entity_id = $1`, loser, survivor)
	b.Queue(`-- name: QueueMergeProjections
		DELETE FROM projections WHERE entity_id = $1`, loser)
	b.Queue(`-- name: QueueMergeWaits
		UPDATE projections SET waits_for = array_replace(waits_for, $1, $2) WHERE status = 'parked' AND error_code = 'WAITS' AND waits_for @> ARRAY[$1]`, loser, survivor)
	b.Queue(`-- name: QueueMergeEntity
		UPDATE entities SET merged_into = $2, updated_at = now() WHERE id = $1`, loser, survivor)
	b.Queue("-- name: QueueMergeGolden\nDELETE FROM "+tables[m.Kind]+" WHERE id = $1", loser)
	queueLines(b, loser, nil)
	queueAllocations(b, loser, nil)
	queueOutdate(b, m.Kind, loser)
	queueRepoint(b, m.Kind, loser, survivor)
}

// QueueUnmerge makes the entity one of its own again, out of the one that stands for it. all are the entity and what was
// merged into it: what came from any of them comes along.
func QueueUnmerge(b *pgx.Batch, kind domain.Kind, id, out string, all []string, by, reason string) {
	b.Queue(`-- name: QueueUnmergeNeeded
		UPDATE projections SET needed = false WHERE entity_id = $2 AND system = ANY (
			SELECT unnest(needed) FROM merges WHERE loser = $1 AND undone_at IS NULL)`, id, out)
	b.Queue(`-- name: QueueUnmergeEntity
		UPDATE entities SET merged_into = NULL, updated_at = now() WHERE id = $1`, id)
	b.Queue(`-- name: QueueUnmerge
		UPDATE merges SET undone_at = now(), undone_by = $2, undone_reason = $3 WHERE loser = $1 AND undone_at IS NULL`, id, by, reason)
	b.Queue(`-- name: QueueUnmergeRecords
		UPDATE records SET entity_id = $1, updated_at = now() WHERE home = ANY($2)`, id, all)
	b.Queue(`-- name: QueueUnmergePins
		UPDATE pins SET entity_id = $1 WHERE home = ANY($2)`, id, all)
	queueCaseReturn(b, id, out, all)
	queueOutdate(b, kind, out)
}

// QueueAlone forgets what was known of an entity's records before it was merged, now that it is not.
func QueueAlone(b *pgx.Batch, id string) {
	b.Queue(`-- name: QueueAlone
		UPDATE records SET alone = NULL WHERE entity_id = $1 AND alone IS NOT NULL`, id)
}

// queueOutdate has everything that refers to the entity resolved anew by the pass that follows a new policy.
// Policy 0 has its typed rows written anew, too.
func queueOutdate(b *pgx.Batch, kind domain.Kind, id string) {
	for _, r := range referring(kind) {
		b.Queue("-- name: queueOutdate\nUPDATE entities SET policy = 0 WHERE id IN (SELECT "+r.owner+" FROM "+r.table+" WHERE "+r.column+" = $1)", id)
	}
}

// Part returns the ids of the entity and of everything that was merged into it.
func Part(ctx context.Context, db DB, id string) ([]string, error) {
	rows, err := db.Query(ctx, `-- name: Part
		WITH RECURSIVE part(id, depth) AS (
			SELECT id, 0 FROM entities WHERE id = $1
			UNION ALL SELECT e.id, depth + 1 FROM entities e JOIN part p ON e.merged_into = p.id WHERE depth < 50)
		SELECT id FROM part ORDER BY id`, id)
	if err != nil {
		return nil, fmt.Errorf("store.Part: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Referring returns the entities whose golden values refer to the entity.
func Referring(ctx context.Context, db DB, kind domain.Kind, id string) (ids []string, err error) {
	for _, r := range referring(kind) {
		rows, err := db.Query(ctx, "-- name: Referring\nSELECT DISTINCT "+r.owner+" FROM "+r.table+" WHERE "+r.column+" = $1 ORDER BY 1", id)
		if err != nil {
			return nil, fmt.Errorf("store.Referring: %w", err)
		}
		some, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, fmt.Errorf("store.Referring: %w", err)
		}
		ids = append(ids, some...)
	}
	slices.Sort(ids)
	return slices.Compact(ids), nil
}

// MergesOf returns the merges that the entities were part of on either side, oldest first.
func MergesOf(ctx context.Context, db DB, ids []string) ([]Merge, error) {
	rows, err := db.Query(ctx, `-- name: MergesOf
		SELECT `+mergeColumns+` FROM merges WHERE loser = ANY($1) OR survivor = ANY($1) ORDER BY id`, ids)
	if err != nil {
		return nil, fmt.Errorf("store.MergesOf: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Merge])
}
