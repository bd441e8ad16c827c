package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Case is something a person must decide.
type Case struct {
	ID            string
	Kind          string
	Status        string // open, resolved (by a person), closed (the world moved on)
	EntityKind    domain.Kind
	EntityID      string
	OtherID       string
	System        string
	ExternalID    string
	Field         domain.Field
	Title         string
	Detail        CaseDetail
	Choices       []string
	DedupeKey     string
	CorrelationID string
	OpenedAt      time.Time
	UpdatedAt     time.Time
	ClosedAt      *time.Time
	Resolution    string
	ResolvedBy    string
	Assignee      string     // whose it is; "" is nobody's yet
	SnoozedUntil  *time.Time // it rests until then
	RuleID        string     // the rule that has answered it, "" if a person did
}

// Subject is what a rule's pattern is compared with: the path that has drifted, their value, else what is wrong.
func (c Case) Subject() string {
	if c.Kind == CaseDrift {
		return string(c.Field)
	}
	if c.Detail.Theirs.Empty() {
		return c.Detail.Message
	}
	if s := c.Detail.Theirs.Text(); s != "" {
		return s
	}
	return string(c.Detail.Theirs)
}

// CaseDetail is the evidence of a case.
type CaseDetail struct {
	Ours    domain.Value `json:"ours,omitempty"`    // the golden value
	Theirs  domain.Value `json:"theirs,omitempty"`  // what the other system or person says
	Owner   string       `json:"owner,omitempty"`   // who owns the field
	Message string       `json:"message,omitempty"` // the vendor's words, or what is wrong
	Keys    []string     `json:"keys,omitempty"`    // what two entities have in common
	Score   float64      `json:"score,omitempty"`   // the probability that two entities are one, where they are only alike
	Reasons []string     `json:"reasons,omitempty"` // what speaks for and against that
	Next    string       `json:"next,omitempty"`    // what to do about it
	// Of a mass change: how many objects are held back, how many of each field, and examples.
	Held    int64            `json:"held,omitempty"`
	Counts  map[string]int64 `json:"counts,omitempty"`
	Changes []Change         `json:"changes,omitempty"`
	// Asked are the fields of those that are changes asked of their owner.
	Asked []domain.Field `json:"asked,omitempty"`
	// Sent are the values that a vendor has refused.
	Sent domain.Values `json:"sent,omitempty"`
}

// Kinds of cases.
const (
	CaseConflict    = "conflict"           // a non-owner's edit that the policy wants a person to decide
	CaseDuplicate   = "possible_duplicate" // two entities that look like one
	CaseRefused     = "refused"            // a vendor refused a write
	CaseInvalid     = "invalid_data"       // a value cannot be used
	CaseUnlinked    = "unlinked"           // a record of a system that may not create entities
	CaseReauth      = "needs_reauth"       // a system must be authorised again
	CaseDrift       = "drift"              // a vendor's object has fields the mapping does not know
	CaseMassChange  = "mass_change"        // more would change at once than could be everyday business
	CaseStuck       = "stuck"              // work that keeps failing
	CaseGap         = "gap"                // events of a vendor that never arrived
	CaseUnconfirmed = "unconfirmed"        // a change asked of a field's owner that it has not confirmed in time
	CaseFlow        = "flow"               // a document that flows cannot go on with: overpaid, oversold, edited after it was invoiced
)

// CaseKinds are all kinds of cases.
var CaseKinds = []string{CaseConflict, CaseDuplicate, CaseRefused, CaseInvalid, CaseUnlinked, CaseReauth, CaseDrift, CaseMassChange, CaseStuck, CaseGap, CaseUnconfirmed, CaseFlow}

const caseColumns = `id, kind, status, entity_kind, coalesce(entity_id, '') AS entity_id, coalesce(other_id, '') AS other_id, system, external_id, field,
	title, detail, choices, dedupe_key, correlation_id, opened_at, updated_at, closed_at, resolution, resolved_by,
	assignee, snoozed_until, rule_id`

// QueueCase opens a case or, if one with the same dedupe key is open, refreshes it. One that a rule answers is resolved at once.
func QueueCase(b *pgx.Batch, c Case) {
	b.Queue(`-- name: QueueCase
		WITH rule AS (
			SELECT id FROM case_rules WHERE removed_at IS NULL AND kind = $2::text AND system IN ('', $6::text) AND entity_kind IN ('', $3::text) AND field IN ('', $8::text)
				AND (pattern = '' OR $14::text LIKE replace(replace(replace(replace(pattern, '\', '\\'), '%', '\%'), '_', '\_'), '*', '%'))
				AND NOT EXISTS (SELECT FROM cases WHERE dedupe_key = $12::text AND status = 'open')
			ORDER BY id LIMIT 1
		), put AS (
			INSERT INTO cases (id, kind, entity_kind, entity_id, other_id, system, external_id, field, title, detail, choices, dedupe_key, correlation_id,
				status, closed_at, resolution, resolved_by, rule_id)
			SELECT $1::text, $2::text, $3::text, nullif($4::text, ''), nullif($5::text, ''), $6::text, $7::text, $8::text, $9::text, $10::jsonb, $11::text[], $12::text, $13::text,
				CASE WHEN r.id IS NULL THEN 'open' ELSE 'resolved' END, CASE WHEN r.id IS NOT NULL THEN now() END,
				CASE WHEN r.id IS NULL THEN '' ELSE 'ignore' END, CASE WHEN r.id IS NULL THEN '' ELSE 'rule ' || r.id END, coalesce(r.id, '')
			FROM (SELECT 1) one LEFT JOIN rule r ON true
			ON CONFLICT (dedupe_key) WHERE status = 'open' DO UPDATE SET title = excluded.title, detail = excluded.detail,
				choices = excluded.choices, updated_at = now()
				WHERE cases.title <> excluded.title OR cases.detail <> excluded.detail OR cases.choices <> excluded.choices
			RETURNING id, opened_at = updated_at AS fresh, rule_id
		)
		INSERT INTO case_events (case_id, action, actor, note, correlation_id)
		SELECT id, CASE WHEN fresh THEN 'opened' ELSE 'changed' END, 'datum', $9::text, $13::text FROM put
		UNION ALL SELECT id, 'resolved', 'rule ' || rule_id, 'ignored, as the rule says', $13::text FROM put WHERE rule_id <> ''`,
		c.ID, c.Kind, c.EntityKind, c.EntityID, c.OtherID, c.System, c.ExternalID, c.Field, c.Title, c.Detail, orEmpty(c.Choices), c.DedupeKey, c.CorrelationID, c.Subject())
}

// QueueCaseEnd ends an open case: status resolved by a person, or closed because the world moved on.
func QueueCaseEnd(b *pgx.Batch, id, status, resolution, by string) {
	QueueCaseAnswer(b, id, status, resolution, by, resolution, "")
}

// QueueCaseAnswer is QueueCaseEnd with more for the timeline to say.
func QueueCaseAnswer(b *pgx.Batch, id, status, resolution, by, note, correlationID string) {
	b.Queue(`-- name: QueueCaseAnswer
		WITH ended AS (
			UPDATE cases SET status = $2::text, resolution = $3, resolved_by = $4::text, closed_at = now(), updated_at = now(), snoozed_until = NULL
			WHERE id = $1 AND status = 'open' RETURNING id)
		INSERT INTO case_events (case_id, action, actor, note, correlation_id) SELECT id, $2::text, $4::text, $5, $6 FROM ended`,
		id, status, resolution, by, note, correlationID)
}

// QueueCaseMove re-points the open cases of a merged entity to the survivor, and closes those between the two.
func QueueCaseMove(b *pgx.Batch, loser, survivor string) {
	b.Queue(`-- name: QueueCaseMoveClose
		WITH ended AS (
			UPDATE cases SET status = 'closed', resolution = 'merged', closed_at = now(), updated_at = now(), snoozed_until = NULL
			WHERE status = 'open' AND ((entity_id = $1 AND coalesce(other_id, $2) = $2) OR (entity_id = $2 AND other_id = $1))
				AND kind = 'possible_duplicate' RETURNING id, system
		), note AS (INSERT INTO case_events (case_id, action, note) SELECT id, 'closed', 'the two were merged' FROM ended)
		INSERT INTO feed (topic, entity_id, system, key) SELECT 'case', $2, system, id FROM ended`, loser, survivor)
	b.Queue(`-- name: QueueCaseMove
		UPDATE cases c SET entity_id = CASE WHEN entity_id = $1 THEN $2 ELSE entity_id END,
			other_id = CASE WHEN other_id = $1 THEN $2 ELSE other_id END, moved_from = CASE WHEN moved_from = '' THEN $1 ELSE moved_from END,
			dedupe_key = CASE WHEN `+rekeyed+` THEN replace(dedupe_key, $1, $2) ELSE dedupe_key END, updated_at = now()
		WHERE (entity_id = $1 OR other_id = $1) AND status = 'open'`, loser, survivor)
}

// rekeyed says whether the case can be asked for by the name of $2 instead of $1: there may be one of that name already.
const rekeyed = `c.kind <> 'possible_duplicate' AND NOT EXISTS (
	SELECT FROM cases o WHERE o.status = 'open' AND o.id <> c.id AND o.dedupe_key = replace(c.dedupe_key, $1, $2))`

// queueCaseReturn is the reverse of QueueCaseMove for cases that were of one of the entities before.
func queueCaseReturn(b *pgx.Batch, id, out string, all []string) {
	b.Queue(`-- name: queueCaseReturn
		UPDATE cases c SET entity_id = CASE WHEN entity_id = $1 THEN $2 ELSE entity_id END,
			other_id = CASE WHEN other_id = $1 THEN $2 ELSE other_id END,
			moved_from = CASE WHEN moved_from = $2 THEN '' ELSE moved_from END,
			dedupe_key = CASE WHEN `+rekeyed+` THEN replace(dedupe_key, $1, $2) ELSE dedupe_key END, updated_at = now()
		WHERE moved_from = ANY($3) AND (entity_id = $1 OR other_id = $1) AND status = 'open'`, out, id, all)
}

// CaseByID returns one case, with lock for deciding it. NotFound if there is none.
func CaseByID(ctx context.Context, db DB, id string, lock bool) (Case, error) {
	sql := `-- name: CaseByID
		SELECT ` + caseColumns + ` FROM cases WHERE id = $1`
	if lock {
		sql += ` FOR UPDATE`
	}
	rows, err := db.Query(ctx, sql, id)
	if err != nil {
		return Case{}, fmt.Errorf("store.CaseByID: %w", err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Case])
	if errors.Is(err, pgx.ErrNoRows) {
		return c, domain.Errorf(domain.NotFound, "there is no case %s", id)
	}
	return c, err
}

// CaseDecided reports whether a case with the dedupe key was decided by a person with the resolution.
func CaseDecided(ctx context.Context, db DB, dedupeKey, resolution string) (bool, error) {
	var ok bool
	err := db.QueryRow(ctx, `-- name: CaseDecided
		SELECT EXISTS (SELECT 1 FROM cases WHERE dedupe_key = $1 AND status = 'resolved' AND resolution = $2)`, dedupeKey, resolution).Scan(&ok)
	if err != nil {
		return false, fmt.Errorf("store.CaseDecided: %w", err)
	}
	return ok, nil
}

// CaseIgnored reports whether a person has said to ignore the case with the dedupe key while the other side says theirs.
func CaseIgnored(ctx context.Context, db DB, dedupeKey string, theirs domain.Value) (bool, error) {
	var ok bool
	err := db.QueryRow(ctx, `-- name: CaseIgnored
		SELECT EXISTS (SELECT 1 FROM cases WHERE dedupe_key = $1 AND status = 'resolved' AND resolution = 'ignore'
			AND coalesce(detail -> 'theirs', 'null') = $2::jsonb)`, dedupeKey, theirs).Scan(&ok)
	if err != nil {
		return false, fmt.Errorf("store.CaseIgnored: %w", err)
	}
	return ok, nil
}

// OpenCaseByKey returns the open case with the dedupe key, nil if there is none.
func OpenCaseByKey(ctx context.Context, db DB, dedupeKey string) (*Case, error) {
	rows, err := db.Query(ctx, `-- name: OpenCaseByKey
		SELECT `+caseColumns+` FROM cases WHERE dedupe_key = $1 AND status = 'open'`, dedupeKey)
	if err != nil {
		return nil, fmt.Errorf("store.OpenCaseByKey: %w", err)
	}
	c, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[Case])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return c, err
}

// CaseFilter narrows a list of cases. Zero fields do not narrow.
type CaseFilter struct {
	Status, Kind, EntityID, System string
	Kinds                          []string
	Field                          domain.Field
	EntityKind                     domain.Kind
	Assignee                       *string // "" is nobody
	Snoozed                        *bool   // rests, or does not
	OpenedBefore, OpenedSince      *time.Time
	RuleID                         string
	Now                            time.Time // for Snoozed; zero is the database's clock
}

const caseFilter = `(@status = '' OR status = @status) AND (@kind = '' OR kind = @kind) AND (@entity = '' OR entity_id = @entity OR other_id = @entity)
	AND (@system = '' OR system = @system) AND (@kinds::text[] IS NULL OR kind = ANY(@kinds)) AND (@field = '' OR field = @field)
	AND (@entityKind = '' OR entity_kind = @entityKind) AND (@assignee::text IS NULL OR assignee = @assignee)
	AND (@snoozed::boolean IS NULL OR @snoozed = coalesce(snoozed_until > coalesce(@now::timestamptz, now()), false))
	AND (@before::timestamptz IS NULL OR opened_at < @before) AND (@since::timestamptz IS NULL OR opened_at >= @since) AND (@rule = '' OR rule_id = @rule)`

func (f CaseFilter) args() pgx.StrictNamedArgs {
	var now *time.Time
	if !f.Now.IsZero() {
		now = &f.Now
	}
	return pgx.StrictNamedArgs{"status": f.Status, "kind": f.Kind, "entity": f.EntityID, "system": f.System, "kinds": f.Kinds, "field": f.Field,
		"entityKind": f.EntityKind, "assignee": f.Assignee, "snoozed": f.Snoozed, "now": now, "before": f.OpenedBefore, "since": f.OpenedSince, "rule": f.RuleID}
}

// ListCases returns cases, newest first, before the cursor (opened_at, id) of the last one of the page before.
func ListCases(ctx context.Context, db DB, f CaseFilter, beforeAt *time.Time, beforeID string, limit int) ([]Case, error) {
	args := f.args()
	args["at"], args["id"], args["limit"] = beforeAt, beforeID, limit
	rows, err := db.Query(ctx, `-- name: ListCases
		SELECT `+caseColumns+` FROM cases WHERE `+caseFilter+` AND (@at::timestamptz IS NULL OR (opened_at, id) < (@at, @id))
		ORDER BY opened_at DESC, id DESC LIMIT @limit`, args)
	if err != nil {
		return nil, fmt.Errorf("store.ListCases: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Case])
}

// CaseCount is how many cases of a kind match a filter.
type CaseCount struct {
	Kind    string
	Count   int
	Snoozed int       // of them, those that rest
	Oldest  time.Time // when the oldest was opened
}

// CaseCounts counts cases by kind.
func CaseCounts(ctx context.Context, db DB, f CaseFilter) ([]CaseCount, error) {
	rows, err := db.Query(ctx, `-- name: CaseCounts
		SELECT kind, count(*)::integer AS count, count(*) FILTER (WHERE snoozed_until > coalesce(@now::timestamptz, now()))::integer AS snoozed, min(opened_at) AS oldest
		FROM cases WHERE `+caseFilter+` GROUP BY kind ORDER BY kind`, f.args())
	if err != nil {
		return nil, fmt.Errorf("store.CaseCounts: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[CaseCount])
}

// CasesOf returns the open cases of the entities.
func CasesOf(ctx context.Context, db DB, entityIDs []string) ([]Case, error) {
	rows, err := db.Query(ctx, `-- name: CasesOf
		SELECT `+caseColumns+` FROM cases WHERE status = 'open' AND (entity_id = ANY($1) OR other_id = ANY($1)) ORDER BY id`, entityIDs)
	if err != nil {
		return nil, fmt.Errorf("store.CasesOf: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Case])
}

// CountCases returns the number of open cases by kind.
func CountCases(ctx context.Context, db DB) (map[string]int64, error) {
	rows, err := db.Query(ctx, `-- name: CountCases
		SELECT kind, count(*) FROM cases WHERE status = 'open' GROUP BY kind ORDER BY kind`)
	if err != nil {
		return nil, fmt.Errorf("store.CountCases: %w", err)
	}
	counts := map[string]int64{}
	var k string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&k, &n}, func() error { counts[k] = n; return nil })
	return counts, err
}

// CountOpened returns the number of cases that were ever opened, by kind.
func CountOpened(ctx context.Context, db DB) (map[string]int64, error) {
	rows, err := db.Query(ctx, `-- name: CountOpened
		SELECT kind, count(*) FROM cases GROUP BY kind ORDER BY kind`)
	if err != nil {
		return nil, fmt.Errorf("store.CountOpened: %w", err)
	}
	counts := map[string]int64{}
	var k string
	var n int64
	_, err = pgx.ForEachRow(rows, []any{&k, &n}, func() error { counts[k] = n; return nil })
	return counts, err
}
