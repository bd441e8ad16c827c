package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Drift is one way in which a vendor's objects or API differ from what they were.
type Drift struct {
	System    string
	Kind      domain.Kind // "" of the API as a whole
	Sort      string
	Path      string
	Field     domain.Field
	Was       string
	Became    string
	Status    string
	Parks     bool // while it is open, nothing is written that says the field
	Examples  []DriftExample
	Seen      int64 // how many records have shown it, or answers
	FirstSeen time.Time
	LastSeen  time.Time
	FetchedAt time.Time // of the newest record that showed it
	RefutedAt time.Time // of a record that showed the member after all
	CaseID    string
}

// DriftExample is one record that shows a drift, and what it says.
type DriftExample struct {
	ExternalID string `json:"externalId"`
	Value      string `json:"value"`
}

// Sorts of drift.
const (
	DriftUnknown    = "unknown"    // a member that the mapping does not know
	DriftMissing    = "missing"    // a member that the mapping reads is not there any more
	DriftType       = "type"       // text became an object, ...
	DriftEnum       = "enum"       // a value that the field does not know
	DriftVersion    = "version"    // the vendor answers with another version of its API than it was asked for
	DriftDeprecated = "deprecated" // the vendor says that what is called is deprecated
	DriftSunset     = "sunset"     // the vendor says when it ends
)

// States of a drift.
const (
	DriftSuspected = "suspected" // cleared or gone: others are being looked at
	DriftOpen      = "open"
	DriftGone      = "gone"     // as it was before
	DriftIgnored   = "ignored"  // a person has decided to leave it
	DriftAccepted  = "accepted" // a person has decided that this is how it is from now on
)

// The least and the greatest time that a row of drifts can have are read as the zero time.
const driftSelect = `system, kind, sort, path, field, was, became, status, parks, examples, seen, first_seen, last_seen,
	greatest(fetched_at, '0001-01-01'::timestamptz) AS fetched_at, greatest(refuted_at, '0001-01-01'::timestamptz) AS refuted_at, case_id`

// NoteDrift notes that one more record or answer shows the drift, with its first example, and returns it as it then is,
// locked. A drift that was gone begins anew; what a person has decided about it stands.
func NoteDrift(ctx context.Context, tx DB, d Drift) (Drift, error) {
	rows, err := tx.Query(ctx, `-- name: NoteDrift
		INSERT INTO drifts (system, kind, sort, path, field, was, became, status, parks, examples, fetched_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
		ON CONFLICT (system, kind, sort, path) DO UPDATE SET last_seen = now(), field = excluded.field, was = excluded.was, became = excluded.became,
			parks = excluded.parks, fetched_at = greatest(drifts.fetched_at, excluded.fetched_at),
			seen = CASE WHEN drifts.status = 'gone' THEN 1 ELSE drifts.seen + 1 END,
			first_seen = CASE WHEN drifts.status = 'gone' THEN now() ELSE drifts.first_seen END,
			examples = CASE WHEN drifts.status = 'gone' THEN excluded.examples WHEN jsonb_array_length(drifts.examples) >= 5 THEN drifts.examples
				ELSE drifts.examples || excluded.examples END,
			status = CASE WHEN drifts.status = 'gone' OR drifts.status = 'suspected' AND (excluded.status = 'open' OR drifts.asked_at > '-infinity') THEN
				CASE WHEN drifts.status = 'suspected' THEN 'open' ELSE excluded.status END ELSE drifts.status END,
			asked_at = CASE WHEN drifts.status = 'gone' THEN '-infinity' ELSE drifts.asked_at END,
			case_id = CASE WHEN drifts.status = 'gone' THEN '' ELSE drifts.case_id END
		RETURNING `+driftSelect, d.System, d.Kind, d.Sort, d.Path, d.Field, d.Was, d.Became, d.Status, d.Parks, orEmpty(d.Examples), d.FetchedAt)
	if err != nil {
		return d, fmt.Errorf("store.NoteDrift: %w", err)
	}
	return pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[Drift])
}

// LockDrift returns a drift, locked; nil if it has never been noted.
func LockDrift(ctx context.Context, tx DB, system string, kind domain.Kind, sort, path string) (*Drift, error) {
	rows, err := tx.Query(ctx, `-- name: LockDrift
		SELECT `+driftSelect+` FROM drifts WHERE system = $1 AND kind = $2 AND sort = $3 AND path = $4 FOR UPDATE`, system, kind, sort, path)
	if err != nil {
		return nil, fmt.Errorf("store.LockDrift: %w", err)
	}
	d, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[Drift])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return d, err
}

// DriftOfCase returns the drift that a case is about; nil if there is none.
func DriftOfCase(ctx context.Context, db DB, caseID string) (*Drift, error) {
	rows, err := db.Query(ctx, `-- name: DriftOfCase
		SELECT `+driftSelect+` FROM drifts WHERE case_id = $1 AND case_id <> ''`, caseID)
	if err != nil {
		return nil, fmt.Errorf("store.DriftOfCase: %w", err)
	}
	d, err := pgx.CollectExactlyOneRow(rows, pgx.RowToAddrOfStructByName[Drift])
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return d, err
}

// SetDrift stores the state and case of a drift.
func SetDrift(ctx context.Context, tx DB, d Drift) error {
	_, err := tx.Exec(ctx, `-- name: SetDrift
		UPDATE drifts SET status = $5, case_id = $6, refuted_at = greatest(refuted_at, $7) WHERE system = $1 AND kind = $2 AND sort = $3 AND path = $4`,
		d.System, d.Kind, d.Sort, d.Path, d.Status, d.CaseID, d.RefutedAt)
	if err != nil {
		return fmt.Errorf("store.SetDrift: %w", err)
	}
	return nil
}

// TouchDrift notes that a drift is still seen, at most once a minute.
func TouchDrift(ctx context.Context, db DB, system string, kind domain.Kind, sort, path string) error {
	_, err := db.Exec(ctx, `-- name: TouchDrift
		UPDATE drifts SET last_seen = now() WHERE system = $1 AND kind = $2 AND sort = $3 AND path = $4 AND last_seen < now() - interval '1 min'`, system, kind, sort, path)
	if err != nil {
		return fmt.Errorf("store.TouchDrift: %w", err)
	}
	return nil
}

// WriteState is what decides, beside the entity, whether records of a kind may be written.
type WriteState struct {
	// Ready are the systems whose first complete pass over the kind has been made.
	Ready map[string]bool
	// Unsafe are, by system, the fields of which a drift is open, so that what its records show of them cannot be compared with
	// anything.
	Unsafe map[string][]domain.Field
}

// WriteStateOf returns it as it is now.
func WriteStateOf(ctx context.Context, db DB, kind domain.Kind) (WriteState, error) {
	w := WriteState{Ready: map[string]bool{}, Unsafe: map[string][]domain.Field{}}
	rows, err := db.Query(ctx, `-- name: WriteStateOf
		SELECT system, '' AS field FROM cursors WHERE kind = $1 AND ready
		UNION SELECT system, field FROM drifts WHERE kind = $1 AND status = 'open' AND parks AND field <> '' ORDER BY system, field`, kind)
	if err != nil {
		return w, fmt.Errorf("store.WriteStateOf: %w", err)
	}
	var system string
	var f domain.Field
	_, err = pgx.ForEachRow(rows, []any{&system, &f}, func() error {
		if f == "" {
			w.Ready[system] = true
		} else {
			w.Unsafe[system] = append(w.Unsafe[system], f)
		}
		return nil
	})
	return w, err
}

// DriftFilter narrows a list of drifts. Zero fields do not narrow.
type DriftFilter struct {
	System string
	Kind   domain.Kind
	Sort   string
	Status []string
}

// Drifts returns drifts in the order of their systems, kinds, sorts and paths, after the four of the last one of the page
// before.
func Drifts(ctx context.Context, db DB, f DriftFilter, after [4]string, limit int) ([]Drift, error) {
	rows, err := db.Query(ctx, `-- name: Drifts
		SELECT `+driftSelect+` FROM drifts
		WHERE ($1 = '' OR system = $1) AND ($2 = '' OR kind = $2) AND ($3 = '' OR sort = $3) AND (cardinality($4::text[]) = 0 OR status = ANY($4))
			AND (system, kind, sort, path) > ($5 COLLATE "C", $6 COLLATE "C", $7 COLLATE "C", $8 COLLATE "C")
		ORDER BY system, kind, sort, path LIMIT $9`, f.System, f.Kind, f.Sort, orEmpty(f.Status), after[0], after[1], after[2], after[3], limit)
	if err != nil {
		return nil, fmt.Errorf("store.Drifts: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Drift])
}

// LiveDrifts returns the drifts of every system that are not gone.
func LiveDrifts(ctx context.Context, db DB) ([]Drift, error) {
	rows, err := db.Query(ctx, `-- name: LiveDrifts
		SELECT `+driftSelect+` FROM drifts WHERE status <> 'gone' ORDER BY system, kind, sort, path`)
	if err != nil {
		return nil, fmt.Errorf("store.LiveDrifts: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByName[Drift])
}

// StillUnknown reports whether a live record other than the one given carries the member that the mapping does not know.
func StillUnknown(ctx context.Context, db DB, system string, kind domain.Kind, path, except string) (bool, error) {
	var still bool
	err := db.QueryRow(ctx, `-- name: StillUnknown
		SELECT EXISTS (SELECT FROM records WHERE system = $1 AND kind = $2 AND unknown <> '{}' AND $3 = ANY(unknown) AND external_id <> $4 AND NOT deleted)`,
		system, kind, path, except).Scan(&still)
	if err != nil {
		return false, fmt.Errorf("store.StillUnknown: %w", err)
	}
	return still, nil
}

// driftCodes are the codes of issues that a sort of drift shows in.
func driftCodes(sort string) []string {
	switch sort {
	case DriftMissing:
		return []string{domain.FieldMissing, domain.FieldLeftOut}
	case DriftType:
		return []string{domain.FormChanged}
	case DriftEnum:
		return []string{domain.UnknownValue}
	}
	return []string{}
}

const driftedRecords = `system = $1 AND kind = $2 AND issues <> '[]' AND NOT deleted
	AND EXISTS (SELECT FROM jsonb_array_elements(issues) i WHERE i ->> 'path' = $4 AND i ->> 'code' = ANY($3))`

// StillDrifting reports whether a live record other than the one given shows the drift.
func StillDrifting(ctx context.Context, db DB, d Drift, except string) (bool, error) {
	var still bool
	err := db.QueryRow(ctx, `-- name: StillDrifting
		SELECT EXISTS (SELECT FROM records WHERE `+driftedRecords+` AND external_id <> $5)`, d.System, d.Kind, driftCodes(d.Sort), d.Path, except).Scan(&still)
	if err != nil {
		return false, fmt.Errorf("store.StillDrifting: %w", err)
	}
	return still, nil
}

// SignalDrifted has every record looked at again that shows the drift, and returns how many there are. One that waits to be looked
// at is not asked for twice: every record that still shows the member would ask for all that do not.
func SignalDrifted(ctx context.Context, tx DB, d Drift, correlationID string) (int64, error) {
	tag, err := tx.Exec(ctx, `-- name: SignalDrifted
		INSERT INTO signals (system, kind, external_id, source, lane, correlation_id)
		SELECT system, kind, external_id, 'drift', 'bulk', $5 FROM records r WHERE `+driftedRecords+`
			AND NOT EXISTS (SELECT FROM signals g WHERE g.system = $1 AND g.kind = $2 AND g.external_id = r.external_id AND g.source = 'drift'
				AND g.status = 'pending' AND g.lease_until IS NULL)`, d.System, d.Kind, driftCodes(d.Sort), d.Path, correlationID)
	if err != nil {
		return 0, fmt.Errorf("store.SignalDrifted: %w", err)
	}
	return tag.RowsAffected(), nil
}

// AskWitnesses has, for each member that may have been cleared or may be gone, two other records looked at that had a value
// for it. It returns the systems with something to do, and the drifts of which there is nobody to ask.
func AskWitnesses(ctx context.Context, tx DB) (systems []string, alone []Drift, err error) {
	rows, err := tx.Query(ctx, `-- name: AskWitnesses
		UPDATE drifts SET asked_at = clock_timestamp() WHERE status = 'suspected' AND asked_at < clock_timestamp() - interval '1 min'
			AND last_seen < clock_timestamp() - interval '2 s' -- every process knows of it by then
		RETURNING `+driftSelect)
	if err != nil {
		return nil, nil, fmt.Errorf("store.AskWitnesses: %w", err)
	}
	asked, err := pgx.CollectRows(rows, pgx.RowToStructByName[Drift])
	if err != nil {
		return nil, nil, fmt.Errorf("store.AskWitnesses: %w", err)
	}
	for _, d := range asked {
		tag, err := tx.Exec(ctx, `-- name: SignalWitnesses
			INSERT INTO signals (system, kind, external_id, source)
			SELECT system, kind, external_id, 'drift' FROM records r WHERE system = $1 AND kind = $2 AND NOT deleted AND merged_into = ''
				AND coalesce(values ->> $5, '') <> '' AND NOT EXISTS (SELECT FROM jsonb_array_elements(issues) i WHERE i ->> 'path' = $4 AND i ->> 'code' = ANY($3))
			ORDER BY fetched_at DESC LIMIT 2`, d.System, d.Kind, driftCodes(d.Sort), d.Path, d.Field)
		if err != nil {
			return nil, nil, fmt.Errorf("store.SignalWitnesses: %w", err)
		}
		if tag.RowsAffected() == 0 {
			alone = append(alone, d)
		} else {
			systems = append(systems, d.System)
		}
	}
	return systems, alone, nil
}

// ParkDrifting parks pending projections, which nobody is at, that would write a field of which a drift is open.
func ParkDrifting(ctx context.Context, db DB) error {
	_, err := db.Exec(ctx, `-- name: ParkDrifting
		UPDATE projections p SET status = 'parked', error_code = 'DRIFT', error = p.system || ' does not show ' || d.field || ' as it did (' || d.path || '): see the case', updated_at = now()
		FROM drifts d WHERE d.status = 'open' AND d.parks AND p.system = d.system AND p.kind = d.kind AND p.status = 'pending' AND p.diff ? d.field
			AND p.intent_key = '' AND (p.entity_id, p.system) IN (SELECT entity_id, system FROM projections q
				WHERE q.system = d.system AND q.kind = d.kind AND q.status = 'pending' AND q.diff ? d.field AND q.lease IS NULL FOR UPDATE SKIP LOCKED)`)
	if err != nil {
		return fmt.Errorf("store.ParkDrifting: %w", err)
	}
	return nil
}

// UnparkDrifting makes projections pending again that no open drift holds up any more.
func UnparkDrifting(ctx context.Context, db DB) ([]Unwaiting, error) {
	rows, err := db.Query(ctx, `-- name: UnparkDrifting
		UPDATE projections p SET status = 'pending', error_code = '', error = '', due_at = now(), pending_since = coalesce(pending_since, now()),
			desired_version = desired_version + 1, updated_at = now()
		WHERE p.status = 'parked' AND p.error_code = 'DRIFT' AND NOT EXISTS (SELECT FROM drifts d
			WHERE d.system = p.system AND d.kind = p.kind AND d.status = 'open' AND d.parks AND p.diff ? d.field)
		RETURNING p.system, p.kind, p.entity_id, p.lane`)
	if err != nil {
		return nil, fmt.Errorf("store.UnparkDrifting: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Unwaiting])
}
