package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// CaseEvent is one thing that was done with a case.
type CaseEvent struct {
	ID            int64
	CaseID        string
	At            time.Time
	Action        string // opened, changed, assigned, commented, snoozed, woke, resolved, closed
	Actor         string
	Note          string
	CorrelationID string
}

// CaseEvents returns what was done with the cases, oldest first.
func CaseEvents(ctx context.Context, db DB, caseIDs []string) ([]CaseEvent, error) {
	rows, err := db.Query(ctx, `-- name: CaseEvents
		SELECT id, case_id, at, action, actor, note, correlation_id FROM case_events WHERE case_id = ANY($1) ORDER BY id`, caseIDs)
	if err != nil {
		return nil, fmt.Errorf("store.CaseEvents: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[CaseEvent])
}

// QueueCaseEvent notes something that was done with a case.
func QueueCaseEvent(b *pgx.Batch, e CaseEvent) {
	b.Queue(`-- name: QueueCaseEvent
		INSERT INTO case_events (case_id, action, actor, note, correlation_id) VALUES ($1, $2, $3, $4, $5)`,
		e.CaseID, e.Action, e.Actor, e.Note, e.CorrelationID)
}

// QueueCaseAssign gives a case to a person; "" is nobody.
func QueueCaseAssign(b *pgx.Batch, id, assignee string) {
	b.Queue(`-- name: QueueCaseAssign
		UPDATE cases SET assignee = $2, updated_at = now() WHERE id = $1`, id, assignee)
}

// QueueCaseSnooze lets a case rest until the time; nil ends its rest.
func QueueCaseSnooze(b *pgx.Batch, id string, until *time.Time) {
	b.Queue(`-- name: QueueCaseSnooze
		UPDATE cases SET snoozed_until = $2, updated_at = now() WHERE id = $1`, id, until)
}

// WakeCases ends the rest of cases whose time has come and tells subscribers. It returns how many there were. now is the
// database's clock if zero.
func WakeCases(ctx context.Context, db DB, now time.Time) (int64, error) {
	var at *time.Time
	if !now.IsZero() {
		at = &now
	}
	tag, err := db.Exec(ctx, `-- name: WakeCases
		WITH woke AS (
			UPDATE cases SET snoozed_until = NULL, updated_at = now()
			WHERE status = 'open' AND snoozed_until <= coalesce($1::timestamptz, now()) RETURNING id, coalesce(entity_id, '') AS entity_id, system
		), note AS (INSERT INTO case_events (case_id, action, actor, note) SELECT id, 'woke', 'datum', 'its rest is over' FROM woke)
		INSERT INTO feed (topic, entity_id, system, key) SELECT 'case', entity_id, system, id FROM woke`, at)
	if err != nil {
		return 0, fmt.Errorf("store.WakeCases: %w", err)
	}
	return tag.RowsAffected(), nil
}

// TouchedCases returns the cases that this transaction has opened, changed or ended.
func TouchedCases(ctx context.Context, tx pgx.Tx) ([]Case, error) {
	rows, err := tx.Query(ctx, `-- name: TouchedCases
		SELECT `+caseColumns+` FROM cases WHERE updated_at = now() ORDER BY id`)
	if err != nil {
		return nil, fmt.Errorf("store.TouchedCases: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Case])
}

// CaseRule is a person's word that cases like one are to be ignored from now on. "" is any.
type CaseRule struct {
	ID         string
	Kind       string
	System     string
	EntityKind domain.Kind
	Field      domain.Field
	Pattern    string // of Case.Subject; * stands for anything
	Note       string
	CreatedBy  string
	CreatedAt  time.Time
	RemovedBy  string
	RemovedAt  *time.Time
	Used       int        // cases it has answered
	LastUsed   *time.Time // when it last did
}

// QueueCaseRule adds a rule.
func QueueCaseRule(b *pgx.Batch, r CaseRule) {
	b.Queue(`-- name: QueueCaseRule
		INSERT INTO case_rules (id, kind, system, entity_kind, field, pattern, note, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
		r.ID, r.Kind, r.System, r.EntityKind, r.Field, r.Pattern, r.Note, r.CreatedBy)
}

// CaseRules returns the rules, newest first; with removed those that no longer hold too.
func CaseRules(ctx context.Context, db DB, removed bool) ([]CaseRule, error) {
	rows, err := db.Query(ctx, `-- name: CaseRules
		SELECT r.id, r.kind, r.system, r.entity_kind, r.field, r.pattern, r.note, r.created_by, r.created_at, r.removed_by, r.removed_at,
			count(c.id)::integer AS used, max(c.opened_at) AS last_used
		FROM case_rules r LEFT JOIN cases c ON c.rule_id = r.id AND c.rule_id <> ''
		WHERE $1 OR r.removed_at IS NULL GROUP BY r.id ORDER BY r.id DESC`, removed)
	if err != nil {
		return nil, fmt.Errorf("store.CaseRules: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[CaseRule])
}

// RemoveCaseRule ends a rule. What it has answered may be asked again when it is next seen. NotFound if no such rule holds.
func RemoveCaseRule(ctx context.Context, tx pgx.Tx, id, by string) error {
	tag, err := tx.Exec(ctx, `-- name: RemoveCaseRule
		UPDATE case_rules SET removed_at = now(), removed_by = $2 WHERE id = $1 AND removed_at IS NULL`, id, by)
	if err != nil {
		return fmt.Errorf("store.RemoveCaseRule: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return domain.Errorf(domain.NotFound, "there is no rule %s that still holds", id)
	}
	_, err = tx.Exec(ctx, `-- name: RemoveCaseRuleDrifts
		UPDATE drifts SET status = 'open', case_id = '' WHERE status = 'ignored' AND case_id IN (SELECT id FROM cases WHERE rule_id = $1 AND rule_id <> '')`, id)
	if err != nil {
		return fmt.Errorf("store.RemoveCaseRule: %w", err)
	}
	_, err = tx.Exec(ctx, `-- name: RemoveCaseRuleAnswers
		UPDATE cases SET resolution = 'ignore until the rule was removed', updated_at = now() WHERE rule_id = $1 AND resolution = 'ignore'`, id)
	if err != nil {
		return fmt.Errorf("store.RemoveCaseRule: %w", err)
	}
	return nil
}
