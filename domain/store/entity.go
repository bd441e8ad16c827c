package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Entity is the identity of a canonical object and its golden values.
type Entity struct {
	ID         string
	Kind       domain.Kind
	Version    int64
	Stage      string
	Policy     int64 // the policy version of the last resolution
	Golden     domain.Values
	Provenance map[domain.Field]Provenance
	MergedInto string
	CreatedAt  time.Time
	UpdatedAt  time.Time
}

// Provenance says where one golden value comes from.
type Provenance struct {
	System     string    `json:"system,omitempty"`
	ExternalID string    `json:"record,omitempty"`
	Why        string    `json:"why"`   // owner, fallback, pin, none
	Owner      string    `json:"owner"` // who owns the field at this stage
	Since      time.Time `json:"since"`
}

const entityColumns = `id, kind, version, stage, policy, golden, provenance, coalesce(merged_into, '') AS merged_into, created_at, updated_at`

// goldenColumns are those without provenance, which is most of what an entity is to read.
const goldenColumns = `id, kind, version, stage, policy, golden, NULL::jsonb AS provenance, coalesce(merged_into, '') AS merged_into, created_at, updated_at`

// EntityState is everything that decides about one entity.
type EntityState struct {
	Entity      Entity
	Records     []*Record
	Pins        map[domain.Field]Pin
	Projections map[string]*Projection
	Cases       []Case    // open ones
	Merged      bool      // others were merged into it
	Policy      int64     // the version in force, read after the entity was locked
	Now         time.Time // the transaction's time, by the database's clock
}

// LockEntity locks the entity until the transaction ends and returns its whole state in one round trip. NotFound if there
// is no such entity. A merged entity is returned as it is; follow MergedInto.
func LockEntity(ctx context.Context, tx pgx.Tx, id string) (st EntityState, err error) {
	b := &pgx.Batch{}
	// PublishPolicy waits for whoever holds this: a policy in force is in force for everything that commits after it.
	b.Queue(`LOCK TABLE policies IN ROW SHARE MODE`)
	b.Queue(`-- name: LockEntity
		SELECT `+entityColumns+` FROM entities WHERE id = $1 FOR UPDATE`, id)
	b.Queue(`SELECT `+recordColumns+` FROM records WHERE entity_id = $1 ORDER BY system, external_id`, id)
	b.Queue(`SELECT `+pinColumns+` FROM pins WHERE entity_id = $1 AND slept_by = '' ORDER BY field`, id)
	b.Queue(`SELECT `+projectionColumns+` FROM projections WHERE entity_id = $1 ORDER BY system FOR UPDATE`, id)
	b.Queue(`SELECT `+caseColumns+` FROM cases WHERE (entity_id = $1 OR other_id = $1) AND status = 'open' ORDER BY id`, id)
	b.Queue(`SELECT coalesce(max(version), 0), now(), EXISTS (SELECT FROM entities WHERE merged_into = $1) FROM policies`, id)
	res := tx.SendBatch(ctx, b)
	defer func() {
		if cerr := res.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("store.LockEntity: %w", cerr)
		}
	}()
	if _, err = res.Exec(); err != nil {
		return st, fmt.Errorf("store.LockEntity: policies: %w", err)
	}
	rows, _ := res.Query()
	st.Entity, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Entity])
	if errors.Is(err, pgx.ErrNoRows) {
		return st, domain.Errorf(domain.NotFound, "there is no entity %s", id)
	}
	if err != nil {
		return st, fmt.Errorf("store.LockEntity: %w", err)
	}
	rows, _ = res.Query()
	if st.Records, err = pgx.CollectRows(rows, scanRecord); err != nil {
		return st, fmt.Errorf("store.LockEntity: records: %w", err)
	}
	rows, _ = res.Query()
	pins, err := pgx.CollectRows(rows, pgx.RowToStructByName[Pin])
	if err != nil {
		return st, fmt.Errorf("store.LockEntity: pins: %w", err)
	}
	st.Pins = map[domain.Field]Pin{}
	for _, p := range pins {
		st.Pins[p.Field] = p
	}
	rows, _ = res.Query()
	ps, err := pgx.CollectRows(rows, pgx.RowToAddrOfStructByName[Projection])
	if err != nil {
		return st, fmt.Errorf("store.LockEntity: projections: %w", err)
	}
	st.Projections = map[string]*Projection{}
	for _, p := range ps {
		st.Projections[p.System] = p
	}
	rows, _ = res.Query()
	if st.Cases, err = pgx.CollectRows(rows, pgx.RowToStructByName[Case]); err != nil {
		return st, fmt.Errorf("store.LockEntity: cases: %w", err)
	}
	if err = res.QueryRow().Scan(&st.Policy, &st.Now, &st.Merged); err != nil {
		return st, fmt.Errorf("store.LockEntity: policy: %w", err)
	}
	return st, nil
}

// Entities returns the entities with these ids, in no particular relation to their order; unknown ids are missing.
func Entities(ctx context.Context, db DB, ids []string) ([]Entity, error) {
	rows, err := db.Query(ctx, `-- name: Entities
		SELECT `+entityColumns+` FROM entities WHERE id = ANY($1) ORDER BY id`, ids)
	if err != nil {
		return nil, fmt.Errorf("store.Entities: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Entity])
}

// Goldens is Entities without their provenance.
func Goldens(ctx context.Context, db DB, ids []string) ([]Entity, error) {
	rows, err := db.Query(ctx, `-- name: Goldens
		SELECT `+goldenColumns+` FROM entities WHERE id = ANY($1) ORDER BY id`, ids)
	if err != nil {
		return nil, fmt.Errorf("store.Goldens: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Entity])
}

// Survivor follows merges from id to the entity that now stands for it. NotFound if there is no such entity.
func Survivor(ctx context.Context, db DB, id string) (string, error) {
	var s string
	err := db.QueryRow(ctx, `-- name: Survivor
		WITH RECURSIVE chain(id, merged_into, depth) AS (
			SELECT id, merged_into, 0 FROM entities WHERE id = $1
			UNION ALL SELECT e.id, e.merged_into, depth + 1 FROM entities e JOIN chain c ON e.id = c.merged_into WHERE depth < 50)
		SELECT id FROM chain ORDER BY depth DESC LIMIT 1`, id).Scan(&s)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", domain.Errorf(domain.NotFound, "there is no entity %s", id)
	}
	if err != nil {
		return "", fmt.Errorf("store.Survivor: %w", err)
	}
	return s, nil
}

// QueueEntity adds the upsert of an entity and of its typed golden row to the batch.
func QueueEntity(b *pgx.Batch, e *Entity) error {
	b.Queue(`-- name: QueueEntity
		INSERT INTO entities (id, kind, version, stage, policy, golden, provenance, merged_into)
		VALUES ($1, $2, $3, $4, $5, $6, $7, nullif($8, ''))
		ON CONFLICT (id) DO UPDATE SET version = excluded.version, stage = excluded.stage, policy = excluded.policy,
			golden = excluded.golden, provenance = excluded.provenance, merged_into = excluded.merged_into,
			updated_at = CASE WHEN entities.version = excluded.version THEN entities.updated_at ELSE now() END`,
		e.ID, e.Kind, e.Version, e.Stage, e.Policy, e.Golden, e.Provenance, e.MergedInto)
	switch e.Kind {
	case domain.KindCustomer:
		c, err := domain.CustomerOf(e.Golden)
		if err != nil {
			return err
		}
		c.ID, c.Version = e.ID, e.Version
		queueCustomer(b, &c)
		return nil
	default:
		return queueGolden(b, e)
	}
}

// QueueEntityPolicy notes that the entity was resolved under a policy version without changing.
func QueueEntityPolicy(b *pgx.Batch, id string, policy int64) {
	b.Queue(`-- name: QueueEntityPolicy
		UPDATE entities SET policy = $2 WHERE id = $1 AND policy <> $2`, id, policy)
}

// OutdatedEntities returns entities that were last resolved under an older policy than version, after id.
func OutdatedEntities(ctx context.Context, db DB, kind domain.Kind, version int64, after string, limit int) ([]string, error) {
	rows, err := db.Query(ctx, `-- name: OutdatedEntities
		SELECT id FROM entities WHERE kind = $1 AND policy < $2 AND merged_into IS NULL AND id > $3 ORDER BY id LIMIT $4`,
		kind, version, after, limit)
	if err != nil {
		return nil, fmt.Errorf("store.OutdatedEntities: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

// EntityIDs returns the ids of live entities of a kind after id, for passes over everything.
func EntityIDs(ctx context.Context, db DB, kind domain.Kind, after string, limit int) ([]string, error) {
	return OutdatedEntities(ctx, db, kind, 1<<62, after, limit)
}
