package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"datum/adapters"
	"datum/domain"
)

// Check looks at everything that the mapping relies on: tables, columns and their types, keys, the unique index on our id, what
// the user may do, the clock, and the outbox. Each problem comes with its remedy. Nothing is changed.
func (a *adapter) Check(ctx context.Context) (h adapters.Health, err error) {
	defer domain.Wrap(&err, "sqldb.Check")
	err = a.run(ctx, "CHECK", "", nil, false, func(ctx context.Context) (any, error) {
		h = adapters.Health{Details: map[string]string{}}
		var version string
		if err := a.db.QueryRowContext(ctx, "SELECT version()").Scan(&version); err != nil {
			return nil, a.failure(ctx, nil, err)
		}
		h.Account, h.Details["version"] = a.name, version
		for _, kind := range a.kinds {
			t := a.tables[kind]
			c := checker{a: a, t: t, h: &h}
			if err := c.check(ctx); err != nil {
				return nil, a.failure(ctx, nil, err)
			}
			h.Details[string(kind)] = t.Table
		}
		if a.outbox != "" {
			missing, err := a.missing(ctx)
			if err != nil {
				return nil, err
			}
			if len(missing) == 0 {
				var waiting int64
				if err := a.db.QueryRowContext(ctx, "SELECT count(*) FROM "+a.d.table(a.outbox)).Scan(&waiting); err != nil {
					return nil, a.failure(ctx, nil, err)
				}
				h.Details["outbox"] = fmt.Sprintf("%d notes wait in %s", waiting, a.outbox)
			} else {
				h.Problems = append(h.Problems, "the outbox is not complete, so changes are not noticed: missing are "+strings.Join(missing, ", ")+"; connect the system again with a user who may make them")
			}
		}
		return h, nil
	})
	return h, err
}

// checker looks at one kind.
type checker struct {
	a *adapter
	t *table
	h *adapters.Health
}

func (c *checker) problem(format string, args ...any) {
	c.h.Problems = append(c.h.Problems, fmt.Sprintf("%s: ", c.t.kind)+fmt.Sprintf(format, args...))
}

func (c *checker) check(ctx context.Context) error {
	c.a.forget()
	ts, err := c.columns(ctx, c.t.Table, c.t.columns())
	if err != nil || ts == nil {
		return err
	}
	c.key(c.t.Table, c.t.Key, ts)
	if err := c.unique(ctx, c.t.Table, c.t.Key, "the key %s of %s has no unique index, so rows may be mixed up: CREATE UNIQUE INDEX ON %s (%s), or name the table's own key"); err != nil {
		return err
	}
	if c.t.ID != "" {
		if err := c.unique(ctx, c.t.Table, []string{c.t.ID}, "the column %s for Datum's id in %s has no unique index, so a row could be created twice: CREATE UNIQUE INDEX ON %s (%s)"); err != nil {
			return err
		}
	}
	if c.t.Changed != "" {
		c.changed(ctx, c.t.Table, c.t.Changed, ts)
	}
	for name, f := range c.t.Fields {
		c.types(string(name), f, ts)
	}
	writes := len(c.a.maps[c.t.kind].Writable()) > 0
	if err := c.rights(ctx, c.t.Table, c.t.columns(), c.t.Key[0], writes, false); err != nil {
		return err
	}
	for _, f := range c.t.children() {
		own, err := c.columns(ctx, f.Table, f.ownColumns())
		if err != nil || own == nil {
			return err
		}
		c.key(f.Table, append(slices.Clone(f.Parent), f.Key), own)
		if err := c.unique(ctx, f.Table, []string{f.Key}, "the key %s of %s has no unique index: CREATE UNIQUE INDEX ON %s (%s)"); err != nil {
			return err
		}
		if f.Changed != "" {
			c.changed(ctx, f.Table, f.Changed, own)
		}
		for name, m := range f.Columns {
			c.types(name, m, own)
		}
		if _, lines := f.Columns["quantity"]; lines && f.Position == "" && !isInteger(own[f.Key]) {
			c.problem("the lines in %s have neither a position nor a number for a key, so that their order is not kept: name a column as position", f.Table)
		}
		if err := c.rights(ctx, f.Table, f.ownColumns(), f.Key, writes && !f.ReadOnly, true); err != nil {
			return err
		}
	}
	return nil
}

// columns returns the types of a table's columns, nil if the table or one of the wanted columns is not there.
func (c *checker) columns(ctx context.Context, name string, want []string) (types, error) {
	ts, err := c.a.typesOf(ctx, c.a.db, name)
	if err != nil {
		switch e := domain.AsError(c.a.failure(ctx, nil, err)); e.Code {
		case domain.Invalid:
			c.problem("there is no table %s; correct the mapping", name)
			return nil, nil
		case domain.Forbidden:
			c.problem("the table %s cannot be read; grant SELECT on it to the user of the dsn", name)
			return nil, nil
		default:
			return nil, e
		}
	}
	var missing []string
	for _, col := range want {
		if ts[col] == "" {
			missing = append(missing, col)
		}
	}
	if len(missing) > 0 {
		c.problem("%s has no column %s; correct the mapping or add it", name, strings.Join(missing, ", "))
		return nil, nil
	}
	return ts, nil
}

// key says which types cannot be keys: their text is not one and the same for one value.
func (c *checker) key(name string, columns []string, ts types) {
	for _, col := range columns {
		typ := ts[col]
		if isTime(typ) || slices.Contains([]string{"FLOAT4", "FLOAT8", "FLOAT", "DOUBLE", "BYTEA", "JSON", "JSONB", "BINARY", "VARBINARY", "BLOB", "BIT"}, typ) {
			c.problem("%s of %s is %s, which cannot be a key; use a number, a text or a UUID", col, name, typ)
		}
	}
}

func (c *checker) changed(ctx context.Context, name, column string, ts types) {
	typ := ts[column]
	if !isTime(typ) {
		c.problem("%s of %s is %s and not a time, so changes are not noticed", column, name, typ)
		return
	}
	if !c.a.d.isNaive(typ) {
		return
	}
	// What sessions write into it should be what the setting says.
	var now time.Time
	query := "SELECT LOCALTIMESTAMP"
	if c.a.d == mariadb {
		query = "SELECT NOW(6)"
	}
	if err := c.a.db.QueryRowContext(ctx, query).Scan(&now); err != nil {
		return // the next statement says what is wrong with the connection
	}
	there := time.Date(now.Year(), now.Month(), now.Day(), now.Hour(), now.Minute(), now.Second(), 0, c.a.zone)
	if off := c.a.s.Now().Sub(there); off.Abs() > time.Minute {
		c.problem("%s of %s has no time zone, and the database's clock is %s away from the time in %s; set timeZone to that of the times in the column", column, name, off.Round(time.Minute), c.a.zone)
	}
}

func (c *checker) types(name string, f *field, ts types) {
	for _, col := range f.columns() {
		if typ := ts[col]; typ == "FLOAT4" || typ == "FLOAT8" || typ == "FLOAT" || typ == "DOUBLE" {
			c.problem("%s is in %s, which is %s and cannot hold amounts exactly; make it numeric", name, col, typ)
		}
	}
}

// unique notes a problem unless an index that is unique, whole and valid is on exactly these columns or some of them.
func (c *checker) unique(ctx context.Context, name string, columns []string, format string) error {
	q := `SELECT index_name, column_name FROM information_schema.statistics WHERE non_unique = 0 AND table_name = ? AND table_schema = COALESCE(NULLIF(?, ''), DATABASE())`
	schema, bare, ok := strings.Cut(name, ".")
	if !ok {
		schema, bare = "", name
	}
	args := []any{bare, schema}
	if c.a.d == postgres {
		q = `SELECT i.indexrelid::regclass::text, a.attname FROM pg_index i
			JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
			WHERE i.indrelid = to_regclass($1) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL`
		if len(columns) == 1 && columns[0] == c.t.ID {
			// An index only of rows that have an id will do.
			q = strings.Replace(q, "AND i.indpred IS NULL", "", 1)
		}
		args = []any{c.a.d.table(name)}
	}
	rows, err := c.a.db.QueryContext(ctx, q, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	indexes := map[string][]string{}
	for rows.Next() {
		var index, column string
		if err := rows.Scan(&index, &column); err != nil {
			return err
		}
		indexes[index] = append(indexes[index], column)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, cols := range indexes {
		if !slices.ContainsFunc(cols, func(col string) bool { return !slices.Contains(columns, col) }) {
			return nil
		}
	}
	list := strings.Join(columns, ", ")
	c.problem(format, list, name, name, list)
	return nil
}

// rights tries what the adapter does, on no row at all and without committing.
func (c *checker) rights(ctx context.Context, name string, columns []string, key string, writes, deletes bool) error {
	d := c.a.d
	tries := []struct{ right, sql string }{{"SELECT", "SELECT " + d.list("", columns) + " FROM " + d.table(name) + " WHERE 1 = 0"}}
	if writes {
		tries = append(tries, struct{ right, sql string }{"UPDATE", "UPDATE " + d.table(name) + " SET " + d.quote(key) + " = " + d.quote(key) + " WHERE 1 = 0"})
		if deletes || c.t.ID != "" {
			tries = append(tries, struct{ right, sql string }{"INSERT", "INSERT INTO " + d.table(name) + " (" + d.quote(key) + ") SELECT " + d.quote(key) + " FROM " + d.table(name) + " WHERE 1 = 0"})
		}
		if deletes {
			tries = append(tries, struct{ right, sql string }{"DELETE", "DELETE FROM " + d.table(name) + " WHERE 1 = 0"})
		}
	}
	var lacking []string
	for _, try := range tries {
		err := func() error {
			tx, err := c.a.db.BeginTx(ctx, &sql.TxOptions{})
			if err != nil {
				return err
			}
			defer func() { _ = tx.Rollback() }()
			_, err = tx.ExecContext(ctx, try.sql)
			return err
		}()
		if err == nil {
			continue
		}
		switch code := domain.CodeOf(c.a.failure(ctx, nil, err)); code {
		case domain.Invalid: // a generated key takes no value; that is no question of rights
		case domain.Forbidden:
			lacking = append(lacking, try.right)
		default:
			return err
		}
	}
	if len(lacking) > 0 {
		c.problem("the user of the dsn may not %s %s: GRANT %s ON %s to it", strings.Join(lacking, ", "), name, strings.Join(lacking, ", "), name)
	}
	return nil
}
