package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"datum/domain"
)

// Retention says how long a sort of row is kept.
type Retention struct {
	Name    string
	What    string // in plain words
	Days    int    // 0: for good
	Default int    // days; 0: for good
	Least   int    // days
	Why     string // why no less
	SetBy   string // "" for the default
	SetAt   *time.Time
}

// legalYears is how long Australian law wants business records kept: s 382-5 of Schedule 1 to the Taxation Administration Act
// 1953 and s 262A of the Income Tax Assessment Act 1936, five years. In days, with the leap days.
const legalYears = 5*365 + 2

const lawful = "Australian tax law wants business records kept for five years"

// retentions are what can be set. What is not in here is kept for good.
var retentions = []Retention{
	{Name: "answers", What: "answers to idempotency keys", Default: 7, Least: 1, Why: "a client may repeat a request for that long"},
	{Name: "documents", What: "who bought, on invoices and credit notes of $1,000 and more of customers who were erased", Default: legalYears, Least: legalYears, Why: lawful},
	{Name: "exchanges", What: "requests to vendors and their answers", Default: 30, Least: 1, Why: "traces need them"},
	{Name: "feed", What: "events for subscribers", Default: 30, Least: 1, Why: "subscribers come back with their cursors"},
	{Name: "history", What: "every change of every value, and who decided it", Default: 0, Least: legalYears, Why: lawful},
	{Name: "notices", What: "alerts that were told", Default: 90, Least: 1, Why: "a case may point to them"},
	{Name: "signals", What: "finished signals of the inbox", Default: 30, Least: 7, Why: "vendors repeat webhooks for days, and by these they are known"},
	{Name: "sweeps", What: "what finished sweeps found", Default: 30, Least: 1, Why: "convergence is told from them"},
}

// Retentions returns how long everything is kept, by name.
func Retentions(ctx context.Context, db DB) ([]Retention, error) {
	rows, err := db.Query(ctx, `-- name: Retentions
		SELECT name, coalesce(days, 0), set_by, set_at FROM retention ORDER BY name`)
	if err != nil {
		return nil, fmt.Errorf("store.Retentions: %w", err)
	}
	rs := slices.Clone(retentions)
	for i := range rs {
		rs[i].Days = rs[i].Default
	}
	var set Retention
	var at time.Time
	_, err = pgx.ForEachRow(rows, []any{&set.Name, &set.Days, &set.SetBy, &at}, func() error {
		if i := slices.IndexFunc(rs, func(r Retention) bool { return r.Name == set.Name }); i >= 0 {
			when := at
			rs[i].Days, rs[i].SetBy, rs[i].SetAt = set.Days, set.SetBy, &when
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store.Retentions: %w", err)
	}
	return rs, nil
}

// SetRetention keeps something for so many days, 0 for good. Invalid if that is less than the law or Datum's own work needs,
// NotFound if nothing has the name.
func SetRetention(ctx context.Context, db DB, name string, days int, by string) error {
	i := slices.IndexFunc(retentions, func(r Retention) bool { return r.Name == name })
	if i < 0 {
		names := make([]string, len(retentions))
		for j, r := range retentions {
			names[j] = r.Name
		}
		return domain.Errorf(domain.NotFound, "there is no retention of %q, only of %s; all else is kept for good", name, joinAnd(names))
	}
	if r := retentions[i]; days < 0 || days > 36500 || days > 0 && days < r.Least {
		return domain.Errorf(domain.Invalid, "%s (%s) are kept for at least %d days, because %s; give %d to 36500 days, or 0 for good", r.Name, r.What, r.Least, r.Why, r.Least)
	}
	_, err := db.Exec(ctx, `-- name: SetRetention
		INSERT INTO retention (name, days, set_by) VALUES (@name, nullif(@days::integer, 0), @by)
		ON CONFLICT (name) DO UPDATE SET days = excluded.days, set_by = excluded.set_by, set_at = now()`,
		pgx.StrictNamedArgs{"name": name, "days": days, "by": by})
	if err != nil {
		return fmt.Errorf("store.SetRetention: %w", err)
	}
	return nil
}

func joinAnd(words []string) string {
	s := ""
	for i, w := range words {
		switch {
		case i == 0:
		case i == len(words)-1:
			s += " and "
		default:
			s += ", "
		}
		s += w
	}
	return s
}
