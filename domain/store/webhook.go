package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// WebhookHealth is what is known of a system's webhooks. Times are the database's.
type WebhookHealth struct {
	System     string
	ReceivedAt *time.Time // the last one that was accepted
	Received   int64
	CheckedAt  time.Time // when the subscriptions were looked at
	Wanted     int       // subscriptions there should be; 0 where they are a person's to make
	Active     int
	Repaired   int64 // subscriptions that were found dead and made again
	RepairedAt *time.Time
	Problem    string
	Found      int64 // changes that polls and sweeps have found in the last day
	Untold     int64 // of those, that no webhook had told of
	Silent     int64 // of those, since the last webhook came
	Gaps       int64 // open gaps in the vendor's numbers
}

// WebhookHealths returns what is known of all systems' webhooks, by system.
func WebhookHealths(ctx context.Context, db DB) ([]WebhookHealth, error) {
	rows, err := db.Query(ctx, `-- name: WebhookHealths
		SELECT w.system, w.received_at, w.received, w.checked_at, w.wanted, w.active, w.repaired, w.repaired_at, w.problem,
			count(f.id) AS found, count(f.id) FILTER (WHERE NOT f.told) AS untold,
			count(f.id) FILTER (WHERE NOT f.told AND f.found_at > coalesce(w.received_at, '-infinity')) AS silent,
			(SELECT count(*) FROM gaps g WHERE g.system = w.system AND g.closed_at IS NULL) AS gaps
		FROM webhooks w LEFT JOIN findings f ON f.system = w.system AND f.found_at > now() - interval '1 day'
		GROUP BY w.system ORDER BY w.system`)
	if err != nil {
		return nil, fmt.Errorf("store.WebhookHealths: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[WebhookHealth])
}

// NoteWebhooks notes that n notifications of a system have been accepted, the last one ago; 0 only makes its row.
// Subscriptions are first looked at when the system is connected.
func NoteWebhooks(ctx context.Context, db DB, system string, n int64, ago time.Duration) error {
	_, err := db.Exec(ctx, `-- name: NoteWebhooks
		INSERT INTO webhooks (system, received, received_at, checked_at) VALUES ($1, $2::bigint, CASE WHEN $2::bigint > 0 THEN clock_timestamp() - $3::interval END, now())
		ON CONFLICT (system) DO UPDATE SET received = webhooks.received + excluded.received, received_at = greatest(excluded.received_at, webhooks.received_at)
		WHERE excluded.received > 0`, system, n, ago)
	if err != nil {
		return fmt.Errorf("store.NoteWebhooks: %w", err)
	}
	return nil
}

// TakeWebhookCheck reports whether a system's subscriptions are to be looked at now, which one process is told.
func TakeWebhookCheck(ctx context.Context, db DB, system string, every time.Duration) (bool, error) {
	tag, err := db.Exec(ctx, `-- name: TakeWebhookCheck
		UPDATE webhooks SET checked_at = now() WHERE system = $1 AND checked_at < now() - $2::interval`, system, every)
	if err != nil {
		return false, fmt.Errorf("store.TakeWebhookCheck: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}

// NoteSubscriptions notes how a system's subscriptions stand and how many were made again.
func NoteSubscriptions(ctx context.Context, db DB, system string, wanted, active, repaired int, problem string) error {
	_, err := db.Exec(ctx, `-- name: NoteSubscriptions
		INSERT INTO webhooks (system, checked_at, wanted, active, problem) VALUES ($1, now(), $2::integer, $3::integer, $5::text)
		ON CONFLICT (system) DO UPDATE SET checked_at = now(), wanted = excluded.wanted, active = excluded.active, problem = excluded.problem, repaired = webhooks.repaired + $4::integer,
			repaired_at = CASE WHEN $4::integer > 0 THEN now() ELSE webhooks.repaired_at END`, system, wanted, active, repaired, problem)
	if err != nil {
		return fmt.Errorf("store.NoteSubscriptions: %w", err)
	}
	return nil
}

// InsertFindings notes what a poll or sweep has found changed.
func InsertFindings(ctx context.Context, db DB, system string, kind domain.Kind, source string, ids []string) error {
	_, err := db.Exec(ctx, `-- name: InsertFindings
		INSERT INTO findings (system, kind, external_id, source) SELECT $1, $2, id, $3 FROM unnest($4::text[]) AS id`, system, kind, source, ids)
	if err != nil {
		return fmt.Errorf("store.InsertFindings: %w", err)
	}
	return nil
}

// JudgeFindings settles, of the findings that are older than the bound, whether a webhook told of them, and forgets old ones.
func JudgeFindings(ctx context.Context, db DB, bound, forget time.Duration) error {
	_, err := db.Exec(ctx, `-- name: JudgeFindings
		UPDATE findings f SET told = EXISTS (SELECT 1 FROM signals g WHERE g.system = f.system AND g.kind = f.kind AND g.external_id = f.external_id
			AND g.source = 'webhook' AND g.received_at BETWEEN f.found_at - $1::interval AND f.found_at + $1::interval)
		WHERE f.told IS NULL AND f.found_at < now() - $1::interval`, bound)
	if err != nil {
		return fmt.Errorf("store.JudgeFindings: %w", err)
	}
	if _, err := db.Exec(ctx, `-- name: ForgetFindings
		DELETE FROM findings WHERE id IN (SELECT id FROM findings WHERE found_at < now() - $1::interval ORDER BY id LIMIT 1000)`, forget); err != nil {
		return fmt.Errorf("store.JudgeFindings: %w", err)
	}
	return nil
}

// Gap is a stretch of missing numbers.
type Gap struct {
	System      string
	First, Last int64
}

// InsertGap notes a gap in a vendor's numbers.
func InsertGap(ctx context.Context, db DB, g Gap) error {
	_, err := db.Exec(ctx, `-- name: InsertGap
		INSERT INTO gaps (system, first_seq, last_seq) VALUES ($1, $2, $3)`, g.System, g.First, g.Last)
	if err != nil {
		return fmt.Errorf("store.InsertGap: %w", err)
	}
	return nil
}

// CloseGaps closes the gaps of a system whose events have come after all, from first to last, or whose objects have been read:
// by a reading of each of the kinds that began after the gap was found and all of which has been taken in. It returns those
// that are still open.
func CloseGaps(ctx context.Context, db DB, system string, kinds []domain.Kind) ([]Gap, error) {
	_, err := db.Exec(ctx, `-- name: CloseGaps
		UPDATE gaps g SET closed_at = now() WHERE g.system = $1 AND g.closed_at IS NULL AND NOT EXISTS (
			SELECT 1 FROM unnest($2::text[]) AS k (kind) WHERE NOT EXISTS (SELECT 1 FROM cursors c WHERE c.system = $1 AND c.kind = k.kind AND c.name = 'changes' AND c.passed_at > g.found_at))
			AND NOT EXISTS (SELECT 1 FROM signals s WHERE s.system = $1 AND s.status = 'pending' AND s.source = 'poll')`, system, kinds)
	if err != nil {
		return nil, fmt.Errorf("store.CloseGaps: %w", err)
	}
	rows, err := db.Query(ctx, `-- name: OpenGaps
		SELECT system, first_seq AS first, last_seq AS last FROM gaps WHERE system = $1 AND closed_at IS NULL ORDER BY id`, system)
	if err != nil {
		return nil, fmt.Errorf("store.CloseGaps: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Gap])
}

// GapCame closes the gaps whose events have come late.
func GapCame(ctx context.Context, db DB, system string, first, last int64) error {
	_, err := db.Exec(ctx, `-- name: GapCame
		UPDATE gaps SET closed_at = now() WHERE system = $1 AND closed_at IS NULL AND first_seq >= $2 AND last_seq <= $3`, system, first, last)
	if err != nil {
		return fmt.Errorf("store.GapCame: %w", err)
	}
	return nil
}

// BeginReading notes when a reading of changes begins; one that goes on after a pause has begun already.
func BeginReading(ctx context.Context, db DB, system string, kind domain.Kind) error {
	_, err := db.Exec(ctx, `-- name: BeginReading
		INSERT INTO cursors (system, kind, name, began_at) VALUES ($1, $2, 'changes', clock_timestamp())
		ON CONFLICT (system, kind, name) DO UPDATE SET began_at = clock_timestamp() WHERE cursors.began_at IS NULL OR cursors.finished_at >= cursors.began_at`, system, kind)
	if err != nil {
		return fmt.Errorf("store.BeginReading: %w", err)
	}
	return nil
}
