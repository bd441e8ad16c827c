package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Record is a vendor record as stored: what was seen, what it is linked to, and what we know of its fields.
type Record struct {
	domain.Record
	System   string
	EntityID string // "" while unlinked
	Home     string // the entity that it was linked to by itself, if another one stands for that now; "" is EntityID

	Confirmed domain.Values         // per field, the last value that was equal to golden
	Held      map[domain.Field]Held // edits that have been answered
	Echo      map[domain.Field]bool // fields whose value is a copy of golden
	Waits     []domain.Ref          // references, by the vendor's ids, to objects that no entity stands for yet
	// Own is what the system itself said last of fields that Datum has written over while the entity was merged.
	Own map[domain.Field]Own
	// Alone is what was known of the record before its entity was merged, nil if it is not. QueueRecord leaves it as it is.
	Alone *Unmerged
}

// Unmerged is what was known of a record before its entity was merged.
type Unmerged struct {
	Values    domain.Values         `json:"values"`
	Confirmed domain.Values         `json:"confirmed"`
	Held      map[domain.Field]Held `json:"held"`
}

// Own is a system's own word that was written over because of a merge.
type Own struct {
	Value domain.Value `json:"value"`
	// Back says that the merge has been undone: the word counts again and is written back.
	Back bool `json:"back,omitempty"`
}

// Held is a non-owner's edit that has been answered: a proposal that waits for a decision, a local variation, or a value
// that is going to be written over.
type Held struct {
	Value  domain.Value `json:"value"`
	Others string       `json:"others"` // propose, keep or restore
}

const recordColumns = `system, kind, external_id, coalesce(entity_id, '') AS entity_id, canonical_id, version,
	modified_at, fetched_at, values, issues, unknown, raw, deleted, merged_into, confirmed, held, echo, waits, coalesce(home, '') AS home, own, alone`

func scanRecord(row pgx.CollectableRow) (*Record, error) {
	var r Record
	var echo, waits []string
	err := row.Scan(&r.System, &r.Kind, &r.ExternalID, &r.EntityID, &r.CanonicalID, &r.Version, &r.ModifiedAt, &r.FetchedAt,
		&r.Values, &r.Issues, &r.Unknown, &r.Raw, &r.Deleted, &r.MergedInto, &r.Confirmed, &r.Held, &echo, &waits, &r.Home, &r.Own, &r.Alone)
	for _, w := range waits {
		kind, id, _ := strings.Cut(w, " ")
		r.Waits = append(r.Waits, domain.Ref{Kind: domain.Kind(kind), ID: id})
	}
	r.Echo = make(map[domain.Field]bool, len(echo))
	for _, f := range echo {
		r.Echo[domain.Field(f)] = true
	}
	return &r, err
}

// LockRecord returns the stored record, locked until the transaction ends, or nil if it is new. A former id leads to the
// record it was merged into only through its alias; see Alias.
func LockRecord(ctx context.Context, tx pgx.Tx, system string, kind domain.Kind, externalID string) (*Record, error) {
	rows, err := tx.Query(ctx, `-- name: LockRecord
		SELECT `+recordColumns+` FROM records WHERE system = $1 AND kind = $2 AND external_id = $3 FOR UPDATE`, system, kind, externalID)
	if err != nil {
		return nil, fmt.Errorf("store.LockRecord: %w", err)
	}
	r, err := pgx.CollectExactlyOneRow(rows, scanRecord)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return r, err
}

// RecordByID returns the stored record, or nil if it is new.
func RecordByID(ctx context.Context, db DB, system string, kind domain.Kind, externalID string) (*Record, error) {
	rs, err := Records(ctx, db, system, kind, []string{externalID})
	if err != nil || len(rs) == 0 {
		return nil, err
	}
	return rs[0], nil
}

// RecordsOf returns the records linked to the entities, by entity, system and id.
func RecordsOf(ctx context.Context, db DB, entityIDs []string) ([]*Record, error) {
	rows, err := db.Query(ctx, `-- name: RecordsOf
		SELECT `+recordColumns+` FROM records WHERE entity_id = ANY($1) ORDER BY entity_id, system, external_id`, entityIDs)
	if err != nil {
		return nil, fmt.Errorf("store.RecordsOf: %w", err)
	}
	return pgx.CollectRows(rows, scanRecord)
}

// Records returns the stored records with these ids; unknown ids are missing from the answer.
func Records(ctx context.Context, db DB, system string, kind domain.Kind, externalIDs []string) ([]*Record, error) {
	rows, err := db.Query(ctx, `-- name: Records
		SELECT `+recordColumns+` FROM records WHERE system = $1 AND kind = $2 AND external_id = ANY($3) ORDER BY external_id`,
		system, kind, externalIDs)
	if err != nil {
		return nil, fmt.Errorf("store.Records: %w", err)
	}
	return pgx.CollectRows(rows, scanRecord)
}

// QueueRecord adds the upsert of a record to the batch.
func QueueRecord(b *pgx.Batch, r *Record) {
	echo := make([]string, 0, len(r.Echo))
	for f, on := range r.Echo {
		if on {
			echo = append(echo, string(f))
		}
	}
	slices.Sort(echo)
	waits := make([]string, len(r.Waits))
	for i, w := range r.Waits {
		waits[i] = waitKey(w)
	}
	b.Queue(`-- name: QueueRecord
		INSERT INTO records (system, kind, external_id, entity_id, canonical_id, version, modified_at, fetched_at, values, issues,
			unknown, raw, deleted, merged_into, confirmed, held, echo, waits, home, own)
		VALUES ($1, $2, $3, nullif($4, ''), $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
			CASE WHEN $4 <> '' THEN coalesce(nullif($19, ''), $4) END, $20)
		ON CONFLICT (system, kind, external_id) DO UPDATE SET entity_id = excluded.entity_id, canonical_id = excluded.canonical_id,
			version = excluded.version, modified_at = excluded.modified_at, fetched_at = excluded.fetched_at, values = excluded.values,
			issues = excluded.issues, unknown = excluded.unknown, raw = excluded.raw, deleted = excluded.deleted,
			merged_into = excluded.merged_into, confirmed = excluded.confirmed, held = excluded.held, echo = excluded.echo, waits = excluded.waits,
			home = CASE WHEN excluded.entity_id IS NOT NULL THEN coalesce(nullif($19, ''), records.home, excluded.home) END, own = excluded.own,
			updated_at = now(), seen_at = clock_timestamp()`,
		r.System, r.Kind, r.ExternalID, r.EntityID, r.CanonicalID, r.Version, r.ModifiedAt, r.FetchedAt, present(r.Values), orEmpty(r.Issues),
		orEmpty(r.Unknown), rawOrNil(r.Raw), r.Deleted, r.MergedInto, present(r.Confirmed), heldOrEmpty(r.Held), echo, waits, r.Home, ownOrEmpty(r.Own))
}

// present drops absent fields, so that reading the row gives back the same map.
func present(v domain.Values) domain.Values {
	p := make(domain.Values, len(v))
	for f, x := range v {
		if x != "" {
			p[f] = x
		}
	}
	return p
}

func heldOrEmpty(h map[domain.Field]Held) map[domain.Field]Held {
	if h == nil {
		return map[domain.Field]Held{}
	}
	return h
}

func ownOrEmpty(o map[domain.Field]Own) map[domain.Field]Own {
	if o == nil {
		return map[domain.Field]Own{}
	}
	return o
}

func orEmpty[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

// rawOrNil returns the object as jsonb can hold it: without NUL characters, unpaired surrogates and bytes that are not UTF-8,
// each of which becomes U+FFFD.
func rawOrNil(raw json.RawMessage) any {
	if len(raw) == 0 {
		return nil
	}
	if utf8.Valid(raw) && !bytes.Contains(raw, []byte(`\u0000`)) && !bytes.Contains(raw, []byte(`\ud`)) && !bytes.Contains(raw, []byte(`\uD`)) {
		return raw
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var x any
	if err := d.Decode(&x); err != nil {
		return raw // the database says what is wrong with it
	}
	b, err := json.Marshal(withoutNUL(x))
	if err != nil {
		return raw
	}
	return json.RawMessage(b)
}

func withoutNUL(x any) any {
	switch x := x.(type) {
	case string:
		return strings.ReplaceAll(x, "\x00", "\uFFFD")
	case []any:
		for i := range x {
			x[i] = withoutNUL(x[i])
		}
	case map[string]any:
		m := make(map[string]any, len(x))
		for k, v := range x {
			m[strings.ReplaceAll(k, "\x00", "\uFFFD")] = withoutNUL(v)
		}
		return m
	}
	return x
}

// Aliases returns, of former ids, the records that they were merged into; an id that leads nowhere else is not in it.
func Aliases(ctx context.Context, db DB, system string, kind domain.Kind, externalIDs []string) (map[string]string, error) {
	rows, err := db.Query(ctx, `-- name: Aliases
		SELECT alias, external_id FROM record_aliases WHERE system = $1 AND kind = $2 AND alias = ANY($3) ORDER BY alias`, system, kind, externalIDs)
	if err != nil {
		return nil, fmt.Errorf("store.Aliases: %w", err)
	}
	to := map[string]string{}
	var alias, id string
	if _, err = pgx.ForEachRow(rows, []any{&alias, &id}, func() error { to[alias] = id; return nil }); err != nil {
		return nil, fmt.Errorf("store.Aliases: %w", err)
	}
	return to, nil
}

// QueueAlias adds an alias to the batch.
func QueueAlias(b *pgx.Batch, system string, kind domain.Kind, alias, externalID string) {
	b.Queue(`-- name: QueueAlias
		INSERT INTO record_aliases (system, kind, alias, external_id) VALUES ($1, $2, $3, $4)
		ON CONFLICT (system, kind, alias) DO UPDATE SET external_id = excluded.external_id`, system, kind, alias, externalID)
}

// QueueMatchKeys replaces the record's strong keys; without a system, those of what is pinned of the entity with the id.
func QueueMatchKeys(b *pgx.Batch, system string, kind domain.Kind, externalID string, keys []string) {
	b.Queue(`-- name: QueueMatchKeysDelete
		DELETE FROM match_keys WHERE system = $1 AND kind = $2 AND external_id = $3 AND key <> ALL($4)`, system, kind, externalID, orEmpty(keys))
	if len(keys) > 0 {
		b.Queue(`-- name: QueueMatchKeys
			INSERT INTO match_keys (kind, key, system, external_id) SELECT $1, k, $2, $3 FROM unnest($4::text[]) k ON CONFLICT DO NOTHING`,
			kind, system, externalID, keys)
	}
}

// LockKeys serialises everybody who brings one of these keys, strong keys or names of records, until the transaction ends.
func LockKeys(ctx context.Context, tx pgx.Tx, kind domain.Kind, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	b := &pgx.Batch{}
	queueLockKeys(b, kind, keys)
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("store.LockKeys: %w", err)
	}
	return nil
}

func queueLockKeys(b *pgx.Batch, kind domain.Kind, keys []string) {
	b.Queue(`-- name: LockKeys
		INSERT INTO match_locks (kind, key) SELECT $1, k FROM unnest($2::text[]) k ORDER BY k
		ON CONFLICT (kind, key) DO UPDATE SET touched_at = now()`, kind, slices.Sorted(slices.Values(keys)))
}

// LockKeysOf is LockKeys for a record that is coming in: its strong keys and its name. It returns, as they are from then on, the
// stored record, nil if it is new, and the records that say they were merged into it.
func LockKeysOf(ctx context.Context, tx pgx.Tx, system string, kind domain.Kind, externalID string, keys []string) (old *Record, merged []*Record, err error) {
	b := &pgx.Batch{}
	queueLockKeys(b, kind, append(slices.Clone(keys), NameKey(system, externalID)))
	b.Queue(`-- name: LockKeysOf
		SELECT `+recordColumns+` FROM records WHERE system = $1 AND kind = $2 AND external_id = $3`, system, kind, externalID).Query(func(rows pgx.Rows) error {
		rs, err := pgx.CollectRows(rows, scanRecord)
		if len(rs) > 0 {
			old = rs[0]
		}
		return err
	})
	b.Queue(mergedHere, system, kind, externalID).Query(func(rows pgx.Rows) (err error) {
		merged, err = pgx.CollectRows(rows, scanRecord)
		return err
	})
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, nil, fmt.Errorf("store.LockKeysOf: %w", err)
	}
	return old, merged, nil
}

// NameKey is what LockKeys knows a record by.
func NameKey(system, externalID string) string { return "record:" + system + " " + externalID }

// Match is an entity that shares strong keys with a record.
type Match struct {
	EntityID string
	Keys     []string
	Systems  []string // in which it already has a live record
	Homes    []string // the entities that the records and pins were of by themselves
	Against  string   `db:"-"` // what stands against their being one; for the caller to fill in
}

// MatchesFor returns the entities, other than through the record itself, with a record or pins that share one of the keys.
func MatchesFor(ctx context.Context, db DB, kind domain.Kind, keys []string, system, externalID string) ([]Match, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	rows, err := db.Query(ctx, `-- name: MatchesFor
		SELECT m.entity_id, array_agg(DISTINCT m.key ORDER BY m.key) AS keys, array_agg(DISTINCT m.home ORDER BY m.home) AS homes,
			(SELECT array_agg(DISTINCT l.system ORDER BY l.system) FROM records l WHERE l.entity_id = m.entity_id AND NOT l.deleted) AS systems
		FROM (SELECT r.entity_id, coalesce(r.home, r.entity_id) AS home, k.key FROM match_keys k JOIN records r ON r.system = k.system AND r.kind = k.kind AND r.external_id = k.external_id
			WHERE k.kind = $1 AND k.key = ANY($2) AND NOT (k.system = $3 AND k.external_id = $4) AND r.entity_id IS NOT NULL AND NOT r.deleted
			UNION ALL SELECT e.id, e.id, k.key FROM match_keys k JOIN entities e ON e.id = k.external_id COLLATE "C"
			WHERE k.system = '' AND k.kind = $1 AND k.key = ANY($2) AND e.merged_into IS NULL) m
		GROUP BY m.entity_id ORDER BY m.entity_id`, kind, keys, system, externalID)
	if err != nil {
		return nil, fmt.Errorf("store.MatchesFor: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Match])
}

// perBlock is how many records are looked at for each block that a record is in. A block of more is of no use for telling them apart.
const perBlock = 20

// alike looks each record up by its name, whatever the planner knows of the tables: LIMIT keeps the two parts apart.
const alike = `SELECT ` + recordColumns + ` FROM (
		SELECT DISTINCT m.system AS in_system, m.external_id AS in_id FROM unnest($2::text[]) b CROSS JOIN LATERAL (
			SELECT k.system, k.external_id FROM match_keys k WHERE k.kind = $1 AND k.key = b ORDER BY k.system, k.external_id LIMIT $4) m) c
	CROSS JOIN LATERAL (SELECT * FROM records r WHERE r.system = c.in_system AND r.kind = $1 AND r.external_id = c.in_id LIMIT 1) r
	WHERE entity_id IS NOT NULL AND entity_id <> $3 AND NOT deleted
	ORDER BY entity_id, system, external_id`

// Alike returns the live records of other entities that are in one of the blocks, at most perBlock of each.
func Alike(ctx context.Context, db DB, kind domain.Kind, blocks []string, entityID string) ([]*Record, error) {
	if len(blocks) == 0 {
		return nil, nil
	}
	rows, err := db.Query(ctx, `-- name: Alike
		`+alike, kind, blocks, entityID, perBlock)
	if err != nil {
		return nil, fmt.Errorf("store.Alike: %w", err)
	}
	return pgx.CollectRows(rows, scanRecord)
}

// AlikeNow is Alike for what the transaction brings in. It marks the blocks until the transaction ends, and waits for nobody: alone
// reports that no other transaction is at one of them, which the records it finds would lack.
func AlikeNow(ctx context.Context, tx pgx.Tx, kind domain.Kind, blocks []string, entityID string) (recs []*Record, alone bool, err error) {
	if len(blocks) == 0 {
		return nil, true, nil
	}
	b := &pgx.Batch{}
	b.Queue(`-- name: MarkBlocks
		SELECT bool_and(pg_try_advisory_xact_lock(hashtext($1), hashtext(b))) FROM unnest($2::text[]) b`, kind, blocks).QueryRow(func(row pgx.Row) error { return row.Scan(&alone) })
	b.Queue(`-- name: AlikeNow
		`+alike, kind, blocks, entityID, perBlock).Query(func(rows pgx.Rows) (err error) {
		recs, err = pgx.CollectRows(rows, scanRecord)
		return err
	})
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return nil, false, fmt.Errorf("store.AlikeNow: %w", err)
	}
	return recs, alone, nil
}

// QueueAlikeCheck has a record compared once more when every transaction that is under way now has ended. Which those are is not known
// before it is committed: a snapshot's end leaves out what has begun after the last that ended.
func QueueAlikeCheck(b *pgx.Batch, system string, kind domain.Kind, externalID string) {
	b.Queue(`-- name: QueueAlikeCheck
		INSERT INTO alike_checks (kind, system, external_id, until) VALUES ($1, $2, $3, '0')
		ON CONFLICT (kind, system, external_id) DO UPDATE SET until = excluded.until`, kind, system, externalID)
}

// AlikeCheck is a record to be compared once more.
type AlikeCheck struct {
	Kind       domain.Kind
	System     string
	ExternalID string
	Until      string // for AlikeChecked
}

// AlikeChecks returns up to limit records that can be compared once more: every transaction that they may not have seen has ended.
func AlikeChecks(ctx context.Context, db DB, limit int) ([]AlikeCheck, error) {
	if _, err := db.Exec(ctx, `-- name: AlikeUntil
		UPDATE alike_checks SET until = pg_current_xact_id() WHERE until = '0'`); err != nil {
		return nil, fmt.Errorf("store.AlikeChecks: %w", err)
	}
	rows, err := db.Query(ctx, `-- name: AlikeChecks
		SELECT kind, system, external_id, until::text AS until FROM alike_checks WHERE until <> '0' AND until < pg_snapshot_xmin(pg_current_snapshot()) ORDER BY kind, system, external_id LIMIT $1`, limit)
	if err != nil {
		return nil, fmt.Errorf("store.AlikeChecks: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[AlikeCheck])
}

// AlikeChecked notes that a record has been compared, unless it is to be compared again by now.
func AlikeChecked(ctx context.Context, db DB, c AlikeCheck) error {
	_, err := db.Exec(ctx, `-- name: AlikeChecked
		DELETE FROM alike_checks WHERE kind = $1 AND system = $2 AND external_id = $3 AND until = $4::text::xid8`, c.Kind, c.System, c.ExternalID, c.Until)
	if err != nil {
		return fmt.Errorf("store.AlikeChecked: %w", err)
	}
	return nil
}

// LinkedAfter returns the next live records of a kind that belong to an entity, in the order of system and id.
func LinkedAfter(ctx context.Context, db DB, kind domain.Kind, system, externalID string, limit int) (recs []*Record, err error) {
	rows, err := db.Query(ctx, `-- name: LinkedAfterSystems
		SELECT name FROM systems WHERE name >= $1 ORDER BY name`, system)
	if err != nil {
		return nil, fmt.Errorf("store.LinkedAfter: %w", err)
	}
	systems, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("store.LinkedAfter: %w", err)
	}
	for _, s := range systems { // one by one: only then is the order that of an index, whatever the planner knows
		if s != system {
			externalID = ""
		}
		rows, err := db.Query(ctx, `-- name: LinkedAfter
			SELECT `+recordColumns+` FROM records WHERE system = $1 AND kind = $2 AND external_id > $3 AND entity_id IS NOT NULL AND NOT deleted
			ORDER BY external_id LIMIT $4`, s, kind, externalID, limit-len(recs))
		if err != nil {
			return nil, fmt.Errorf("store.LinkedAfter: %w", err)
		}
		more, err := pgx.CollectRows(rows, scanRecord)
		if err != nil {
			return nil, fmt.Errorf("store.LinkedAfter: %w", err)
		}
		if recs = append(recs, more...); len(recs) == limit {
			break
		}
	}
	return recs, nil
}

// UnlinkedMatches returns, by system, the live records without an entity that share one of the keys. They are locked.
func UnlinkedMatches(ctx context.Context, tx pgx.Tx, kind domain.Kind, keys []string) ([]*Record, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	rows, err := tx.Query(ctx, `-- name: UnlinkedMatches
		SELECT `+recordColumns+` FROM records WHERE entity_id IS NULL AND NOT deleted
			AND (system, kind, external_id) IN (SELECT system, kind, external_id FROM match_keys WHERE kind = $1 AND key = ANY($2))
		ORDER BY system, external_id FOR UPDATE`, kind, keys)
	if err != nil {
		return nil, fmt.Errorf("store.UnlinkedMatches: %w", err)
	}
	return pgx.CollectRows(rows, scanRecord)
}

const mergedHere = `-- name: MergedHere
	SELECT ` + recordColumns + ` FROM records WHERE system = $1 AND kind = $2 AND merged_into = $3 AND merged_into <> '' ORDER BY external_id`

// MergedHere returns records of the system that say they were merged into the given one.
func MergedHere(ctx context.Context, db DB, system string, kind domain.Kind, externalID string) ([]*Record, error) {
	rows, err := db.Query(ctx, mergedHere, system, kind, externalID)
	if err != nil {
		return nil, fmt.Errorf("store.MergedHere: %w", err)
	}
	return pgx.CollectRows(rows, scanRecord)
}

// Clone returns a deep enough copy to compare with later.
func (r *Record) Clone() *Record {
	c := *r
	c.Values, c.Confirmed = r.Values.Clone(), r.Confirmed.Clone()
	c.Held, c.Echo, c.Own = maps.Clone(r.Held), maps.Clone(r.Echo), maps.Clone(r.Own)
	return &c
}

// PruneLocks forgets keys that nobody has brought for longer than the age; they are entered again when they come.
func PruneLocks(ctx context.Context, db DB, age time.Duration) (int64, error) {
	tag, err := db.Exec(ctx, `-- name: PruneLocks
		DELETE FROM match_locks WHERE touched_at < now() - $1::interval`, age)
	if err != nil {
		return 0, fmt.Errorf("store.PruneLocks: %w", err)
	}
	return tag.RowsAffected(), nil
}
