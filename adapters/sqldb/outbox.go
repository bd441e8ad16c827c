package sqldb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// The outbox is a table in which triggers note the key of every row that was inserted, updated or deleted, and from which the
// adapter takes them. One reader has one outbox.

// trigger notes the changes of one table for one kind.
type trigger struct {
	name, table string
	kind        domain.Kind
	columns     []string // with the external id of the kind's row
}

func (a *adapter) triggers() []trigger {
	var ts []trigger
	add := func(name string, kind domain.Kind, columns []string) {
		sum := sha256.Sum256([]byte(a.outbox + "|" + strings.Join(columns, "|")))
		ts = append(ts, trigger{"datum_note_" + strings.ToLower(string(kind)) + "_" + hex.EncodeToString(sum[:4]), name, kind, columns})
	}
	for _, kind := range a.kinds {
		t := a.tables[kind]
		add(t.Table, kind, t.Key)
		for _, f := range t.children() {
			add(f.Table, kind, f.Parent)
		}
	}
	return ts
}

// noteFunction is the function of the triggers, beside the outbox. It runs with its owner's rights, so that whoever may write
// the tables needs none on the outbox.
func (a *adapter) noteFunction() string { return a.d.table(a.outbox + "_note") }

// outboxSQL are the statements that make the outbox, its function and the triggers. They may be repeated.
func (a *adapter) outboxSQL() []string {
	schema, name, qualified := strings.Cut(a.outbox, ".")
	if !qualified {
		name = schema
	}
	key := func(row string) string {
		return `CASE WHEN cardinality(cols) = 1 THEN to_jsonb(` + row + `) ->> cols[1] ELSE (
			SELECT string_agg(replace(replace(to_jsonb(` + row + `) ->> c, '%', '%25'), ',', '%2C'), ',' ORDER BY n)
			FROM unnest(cols) WITH ORDINALITY AS u (c, n)) END`
	}
	// The function's own schema is found when it is made: its body must not depend on who runs it.
	make := `DO $do$ BEGIN
	EXECUTE format($f$
	CREATE OR REPLACE FUNCTION ` + a.noteFunction() + `() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $fn$
	DECLARE
		cols text[] := TG_ARGV[1:TG_NARGS - 1];
		was text;
		is_now text;
	BEGIN
		IF TG_OP <> 'INSERT' THEN
			was := ` + strings.ReplaceAll(key("OLD"), "%", "%%") + `;
		END IF;
		IF TG_OP <> 'DELETE' THEN
			is_now := ` + strings.ReplaceAll(key("NEW"), "%", "%%") + `;
		END IF;
		INSERT INTO %1$I.%2$I (kind, key)
			SELECT DISTINCT TG_ARGV[0], k FROM unnest(ARRAY[was, is_now]) AS k WHERE k IS NOT NULL;
		RETURN NULL;
	END $fn$ $f$, (SELECT relnamespace::regnamespace::name FROM pg_class WHERE oid = ` + literal(a.d.table(a.outbox)) + `::regclass), ` + literal(name) + `);
END $do$`
	stmts := []string{
		`CREATE TABLE IF NOT EXISTS ` + a.d.table(a.outbox) + ` (
	id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at timestamptz NOT NULL DEFAULT now(),
	kind text NOT NULL,
	key text NOT NULL
)`,
		`CREATE INDEX IF NOT EXISTS ` + a.d.quote(name+"_order") + ` ON ` + a.d.table(a.outbox) + ` (kind, id)`,
		make,
	}
	for _, t := range a.triggers() {
		args := []string{literal(string(t.kind))}
		for _, c := range t.columns {
			args = append(args, literal(c))
		}
		stmts = append(stmts, `CREATE OR REPLACE TRIGGER `+a.d.quote(t.name)+` AFTER INSERT OR UPDATE OR DELETE ON `+a.d.table(t.table)+
			` FOR EACH ROW EXECUTE FUNCTION `+a.noteFunction()+`(`+strings.Join(args, ", ")+`)`)
	}
	return stmts
}

func literal(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// Provision makes the outbox and its triggers where the setting names one and something of it is missing.
func (a *adapter) Provision(ctx context.Context) (err error) {
	defer domain.Wrap(&err, "sqldb.Provision")
	if a.outbox == "" {
		return nil
	}
	return a.run(ctx, "CREATE", a.outbox, nil, true, func(ctx context.Context) (any, error) {
		missing, err := a.missing(ctx)
		if err != nil || len(missing) == 0 {
			return nil, err
		}
		tx, err := a.db.BeginTx(ctx, nil)
		if err != nil {
			return nil, a.failure(ctx, nil, err)
		}
		defer func() { _ = tx.Rollback() }()
		if _, err := tx.ExecContext(ctx, "SET LOCAL lock_timeout = '5s'"); err != nil { // a table in use must not queue everybody behind us
			return nil, a.failure(ctx, nil, err)
		}
		for _, s := range a.outboxSQL() {
			if _, err := tx.ExecContext(ctx, s); err != nil {
				e := domain.AsError(a.failure(ctx, nil, err))
				if e.Code == domain.Forbidden {
					e.Message += "; or let the owner of the tables run the statements for the outbox himself"
				}
				return nil, e
			}
		}
		if err := tx.Commit(); err != nil {
			return nil, a.failure(ctx, nil, err)
		}
		return missing, nil
	})
}

// missing names what of the outbox is not there.
func (a *adapter) missing(ctx context.Context) ([]string, error) {
	var missing []string
	gone := func(name, query string, args ...any) error {
		var there bool
		if err := a.db.QueryRowContext(ctx, query, args...).Scan(&there); err != nil {
			return a.failure(ctx, nil, err)
		}
		if !there {
			missing = append(missing, name)
		}
		return nil
	}
	if err := gone(a.outbox, `SELECT to_regclass($1) IS NOT NULL`, a.d.table(a.outbox)); err != nil {
		return nil, err
	}
	for _, t := range a.triggers() {
		if err := gone("the trigger on "+t.table, `SELECT EXISTS (SELECT FROM pg_trigger WHERE tgrelid = to_regclass($1) AND tgname = $2 AND tgenabled <> 'D')`,
			a.d.table(t.table), t.name); err != nil {
			return nil, err
		}
	}
	return missing, nil
}

// notes reads a page of the outbox, in whatever order its transactions have ended: what is there has not been read. The notes
// of a page stay until the caller comes with the cursor behind it, and so has stored what it was given; see taken.
func (a *adapter) notes(ctx context.Context, tx *sql.Tx, at time.Time, t *table) (page adapters.Page, err error) {
	rows, err := tx.QueryContext(ctx, `SELECT id, key FROM `+a.d.table(a.outbox)+` WHERE kind = $1 ORDER BY id LIMIT `+strconv.Itoa(a.size+1), string(t.kind))
	if err != nil {
		return page, err
	}
	defer rows.Close()
	c := cursor{Outbox: true}
	var ids []string
	missing := map[string]bool{}
	for rows.Next() {
		var note int64
		var key string
		if err := rows.Scan(&note, &key); err != nil {
			return page, err
		}
		if len(c.Notes) == a.size {
			page.More = true
			break
		}
		c.Notes = append(c.Notes, note)
		if !missing[key] {
			missing[key] = true
			ids = append(ids, key)
		}
	}
	if err := rows.Err(); err != nil {
		return page, err
	}
	if err := rows.Close(); err != nil {
		return page, err
	}
	objects, err := a.byKey(ctx, tx, t, ids, "")
	if err != nil {
		return page, err
	}
	for _, o := range objects {
		parts, _ := keyOf(o, t.Key)
		delete(missing, joinKey(parts))
	}
	page.Records, err = a.records(t, slices.DeleteFunc(objects, func(o object) bool { return !t.isOne(o) }), at)
	for _, id := range ids {
		if missing[id] {
			page.Records = append(page.Records, domain.Record{Kind: t.kind, ExternalID: id, Deleted: true, ModifiedAt: at, FetchedAt: at})
		}
	}
	page.Cursor = save(c)
	return page, err
}

// taken removes notes that are done with: those of the page before the cursor or, when everything is about to be read anyway,
// all of the kind.
func (a *adapter) taken(ctx context.Context, t *table, c cursor) error {
	query := `DELETE FROM ` + a.d.table(a.outbox) + ` WHERE kind = $1`
	switch {
	case c.All && c.Start != "" || !c.All && len(c.Notes) == 0:
		return nil
	case !c.All:
		ids := make([]string, len(c.Notes))
		for i, n := range c.Notes {
			ids[i] = strconv.FormatInt(n, 10)
		}
		query += ` AND id IN (` + strings.Join(ids, ", ") + `)`
	}
	if _, err := a.db.ExecContext(ctx, query, string(t.kind)); err != nil {
		return a.failure(ctx, nil, err)
	}
	return nil
}
