package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Waits is the error code of a projection that waits for other entities to exist in its system.
const Waits = domain.Code("WAITS")

// Unread is the error code of a projection that waits for what its record refers to to be read from where that comes from.
const Unread = domain.Code("UNREAD")

// waitKey is how records.waits names an object of the record's system.
func waitKey(r domain.Ref) string { return string(r.Kind) + " " + r.ID }

// LinkedRefs looks up which entities objects of a system are of, before any merge of those. refs hold the vendor's ids. An object that is known but
// nobody's is in the answer with ""; one that was never seen is missing from it.
func LinkedRefs(ctx context.Context, db DB, system string, refs []domain.Ref) (map[domain.Ref]string, error) {
	kinds, ids := make([]string, len(refs)), make([]string, len(refs))
	for i, r := range refs {
		kinds[i], ids[i] = string(r.Kind), r.ID
	}
	rows, err := db.Query(ctx, `-- name: LinkedRefs
		SELECT w.kind, w.id, coalesce(r.home, r.entity_id, '')
		FROM unnest($2::text[], $3::text[]) AS w (kind, id)
		LEFT JOIN record_aliases a ON a.system = $1 AND a.kind = w.kind AND a.alias = w.id
		JOIN records r ON r.system = $1 AND r.kind = w.kind AND r.external_id = coalesce(a.external_id, w.id)
		UNION ALL SELECT w.kind, w.id, s.entity_id FROM unnest($2::text[], $3::text[]) AS w (kind, id)
		JOIN suppressions s ON s.system = $1 AND s.kind = w.kind AND s.hash = erasure_hash($1, w.kind, w.id)`, system, kinds, ids)
	if err != nil {
		return nil, fmt.Errorf("store.LinkedRefs: %w", err)
	}
	linked := map[domain.Ref]string{}
	var ref domain.Ref
	var entity string
	_, err = pgx.ForEachRow(rows, []any{&ref.Kind, &ref.ID, &entity}, func() error { linked[ref] = entity; return nil })
	return linked, err
}

// ExternalOf returns the vendor's id of each entity that has a live record in the system; of several records the one that
// speaks for the system.
func ExternalOf(ctx context.Context, db DB, system string, entityIDs []string) (map[string]string, error) {
	if len(entityIDs) == 0 {
		return nil, nil
	}
	rows, err := db.Query(ctx, `-- name: ExternalOf
		SELECT DISTINCT ON (entity_id) entity_id, external_id FROM records
		WHERE entity_id = ANY($2) AND system = $1 AND NOT deleted ORDER BY entity_id, length(external_id), external_id`, system, entityIDs)
	if err != nil {
		return nil, fmt.Errorf("store.ExternalOf: %w", err)
	}
	ext := map[string]string{}
	var entity, id string
	_, err = pgx.ForEachRow(rows, []any{&entity, &id}, func() error { ext[entity] = id; return nil })
	return ext, err
}

// SignalWaiting has the records looked at again that refer to an object of the system, now that an entity stands for it. It
// returns how many there are.
func SignalWaiting(ctx context.Context, tx pgx.Tx, system string, r domain.Ref, correlation string) (int64, error) {
	tag, err := tx.Exec(ctx, `-- name: SignalWaiting
		INSERT INTO signals (system, kind, external_id, source, correlation_id)
		SELECT system, kind, external_id, 'reference', $3 FROM records WHERE waits @> ARRAY[$2] AND waits <> '{}' AND system = $1 AND NOT deleted`,
		system, waitKey(r), correlation)
	if err != nil {
		return 0, fmt.Errorf("store.SignalWaiting: %w", err)
	}
	return tag.RowsAffected(), nil
}

// SignalOverlooked does for every system what SignalWaiting does, for records that were stored at the very moment the object
// they refer to was linked. It returns the systems concerned.
func SignalOverlooked(ctx context.Context, db DB) ([]string, error) {
	rows, err := db.Query(ctx, `-- name: SignalOverlooked
		WITH ready AS (
			SELECT r.system, r.kind, r.external_id FROM records r
			WHERE r.waits <> '{}' AND NOT r.deleted AND EXISTS (
				SELECT FROM unnest(r.waits) w JOIN records t ON t.system = r.system AND t.kind = split_part(w, ' ', 1)
					AND t.external_id = substr(w, strpos(w, ' ') + 1) AND t.entity_id IS NOT NULL)
			AND NOT EXISTS (SELECT FROM signals s WHERE s.system = r.system AND s.kind = r.kind AND s.external_id = r.external_id AND s.status = 'pending')
			LIMIT 500
		), put AS (
			INSERT INTO signals (system, kind, external_id, source) SELECT system, kind, external_id, 'reference' FROM ready RETURNING system)
		SELECT DISTINCT system FROM put ORDER BY system`)
	if err != nil {
		return nil, fmt.Errorf("store.SignalOverlooked: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Unwaiting is a projection that waits no longer.
type Unwaiting struct {
	System   string
	Kind     domain.Kind
	EntityID string
	Lane     string
}

const unparkWaiting = `-- name: UnparkWaiting
		UPDATE projections p SET status = 'pending', error_code = '', error = '', waits_for = '{}', due_at = now(), pending_since = coalesce(pending_since, now()),
			desired_version = desired_version + 1, updated_at = now()
		WHERE p.status = 'parked' AND p.error_code = 'WAITS'
			AND NOT EXISTS (SELECT FROM unnest(p.waits_for) w WHERE w <> $1 AND NOT EXISTS (
				SELECT FROM records r JOIN entities e ON e.id = w COLLATE "C" WHERE r.entity_id = coalesce(e.merged_into, e.id) AND r.system = p.system AND NOT r.deleted))`

// UnparkWaiting makes pending what waited for entities of which every one now has a live record in the system. "" as
// entityID looks at everything that waits, else only at what waits for that entity, in that system.
func UnparkWaiting(ctx context.Context, db DB, system, entityID string) ([]Unwaiting, error) {
	// Two statements, each with a plan of its own: one that has to serve both reads everything that waits for every arrival.
	sql, args := unparkWaiting+`
		RETURNING p.system, p.kind, p.entity_id, p.lane`, []any{entityID}
	if entityID != "" {
		sql, args = unparkWaiting+` AND p.system = $2 AND p.waits_for @> ARRAY[$1]
		RETURNING p.system, p.kind, p.entity_id, p.lane`, []any{entityID, system}
	}
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("store.UnparkWaiting: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Unwaiting])
}

// beingRead are the references w of records r to objects that no entity stands for yet, where that may still change: the object is
// to be looked at, or it was, and the record is to be looked at again.
const beingRead = `records r, unnest(r.waits) w WHERE NOT r.deleted AND (
		EXISTS (SELECT FROM signals s WHERE s.system = r.system AND s.kind = split_part(w, ' ', 1) AND s.external_id = substr(w, strpos(w, ' ') + 1) AND s.status = 'pending')
		OR EXISTS (SELECT FROM records t WHERE t.system = r.system AND t.kind = split_part(w, ' ', 1) AND t.external_id = substr(w, strpos(w, ' ') + 1) AND t.entity_id IS NOT NULL))`

// BeingRead returns, of those entities whose records refer to objects that are still to be read, what they are, for people.
func BeingRead(ctx context.Context, db DB, entityIDs []string) (map[string]string, error) {
	rows, err := db.Query(ctx, `-- name: BeingRead
		SELECT r.entity_id, string_agg(w || ' of ' || r.system, ', ' ORDER BY r.system, w) FROM `+beingRead+` AND r.entity_id = ANY($1) AND r.waits <> '{}' GROUP BY 1`, entityIDs)
	if err != nil {
		return nil, fmt.Errorf("store.BeingRead: %w", err)
	}
	names := map[string]string{}
	var entity, name string
	_, err = pgx.ForEachRow(rows, []any{&entity, &name}, func() error { names[entity] = name; return nil })
	return names, err
}

// UnparkRead makes pending what waited for something to be read that has been, or that will not be.
func UnparkRead(ctx context.Context, db DB) ([]Unwaiting, error) {
	rows, err := db.Query(ctx, `-- name: UnparkRead
		UPDATE projections p SET status = 'pending', error_code = '', error = '', due_at = now(), pending_since = coalesce(pending_since, now()),
			desired_version = desired_version + 1, updated_at = now()
		WHERE p.status = 'parked' AND p.error_code = 'UNREAD' AND NOT EXISTS (SELECT FROM `+beingRead+` AND r.entity_id = p.entity_id)
		RETURNING p.system, p.kind, p.entity_id, p.lane`)
	if err != nil {
		return nil, fmt.Errorf("store.UnparkRead: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Unwaiting])
}

// Waiting is a projection that must wait.
type Waiting struct {
	EntityID string
	Why      string
	For      []string // entities that must be in the system first; none: what is to be read first
}

// ParkWaiting ends the lease of projections that have to wait; one that is no longer under it stays as it is.
func ParkWaiting(ctx context.Context, db DB, system string, lease uuid.UUID, ws []Waiting) error {
	ids, whys, waits := make([]string, len(ws)), make([]string, len(ws)), make([]string, len(ws))
	for i, w := range ws {
		ids[i], whys[i], waits[i] = w.EntityID, w.Why, strings.Join(w.For, " ")
	}
	_, err := db.Exec(ctx, `-- name: ParkWaiting
		UPDATE projections p SET lease = NULL, lease_until = NULL, lease_process = '', intent_key = '', intent_op = '', intent_at = NULL, sent = '{}',
			status = 'parked', due_at = now(), error_code = CASE w.waits WHEN '' THEN 'UNREAD' ELSE 'WAITS' END, error = w.why, waits_for = string_to_array(w.waits, ' '), cause = '', updated_at = now()
		FROM unnest($3::text[], $4::text[], $5::text[]) AS w (entity_id, why, waits)
		WHERE p.entity_id = w.entity_id AND p.system = $1 AND p.lease = $2`, system, lease, ids, whys, waits)
	if err != nil {
		return fmt.Errorf("store.ParkWaiting: %w", err)
	}
	return nil
}

// Coming reports whether projections of the kind wait for something that is being written to the system at this moment. With full
// above zero it also reports so if as many projections of other kinds are pending there: a batch of them uses a call better.
func Coming(ctx context.Context, db DB, system string, kind domain.Kind, full int) (bool, error) {
	var coming bool
	err := db.QueryRow(ctx, `-- name: Coming
		SELECT $3 > 0 AND (SELECT count(*) FROM (SELECT FROM projections WHERE system = $1 AND kind <> $2 AND status = 'pending' LIMIT $3) o) = $3 OR EXISTS (SELECT FROM projections d JOIN projections w ON w.waits_for @> ARRAY[d.entity_id::text]
			WHERE d.system = $1 AND d.status = 'pending' AND d.intent_key <> ''
				AND w.system = $1 AND w.kind = $2 AND w.status = 'parked' AND w.error_code = 'WAITS')`, system, kind, full).Scan(&coming)
	if err != nil {
		return false, fmt.Errorf("store.Coming: %w", err)
	}
	return coming, nil
}

// Need notes that entities are needed in a system and returns those that are to be settled anew because of that: what is on its
// way there already is not.
func Need(ctx context.Context, db DB, system string, entityIDs []string) ([]string, error) {
	rows, err := db.Query(ctx, `-- name: Need
		WITH n AS (INSERT INTO projections (entity_id, system, kind, status, error_code, error, needed)
		SELECT e.id, $1, e.kind, 'parked', 'NEEDED', 'is needed there', true FROM entities e WHERE e.id = ANY($2) AND e.merged_into IS NULL ORDER BY e.id
		ON CONFLICT (entity_id, system) DO UPDATE SET needed = true, updated_at = now(),
			status = CASE WHEN projections.status = 'detached' THEN 'parked' ELSE projections.status END,
			error_code = CASE WHEN projections.status = 'detached' THEN 'NEEDED' ELSE projections.error_code END
			WHERE NOT projections.needed
		RETURNING entity_id, status, error_code)
		SELECT entity_id FROM n WHERE status = 'parked' AND error_code = 'NEEDED' ORDER BY entity_id`, system, entityIDs)
	if err != nil {
		return nil, fmt.Errorf("store.Need: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// Needed returns entities that were found to be needed in a system longer than the age ago and have not been settled since.
func Needed(ctx context.Context, db DB, age time.Duration) ([]string, error) {
	rows, err := db.Query(ctx, `-- name: Needed
		SELECT DISTINCT entity_id FROM projections WHERE status = 'parked' AND error_code = 'NEEDED' AND updated_at < now() - $1::interval ORDER BY entity_id LIMIT 100`, age)
	if err != nil {
		return nil, fmt.Errorf("store.Needed: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
