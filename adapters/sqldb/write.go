package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"

	"datum/adapters"
	"datum/domain"
)

// Write creates and updates rows, each in a transaction of its own.
//
// A create looks first for a row with our id, which an earlier, unanswered create has made, and then updates that one. An
// update locks the row; if somebody has meanwhile changed a field that is to be written, nothing is written and the outcome is
// Unavailable: the caller looks at the row before it tries again. Only the columns that differ are written. Before the
// transaction ends the row is read again: what a column has shortened, rounded or otherwise changed is refused.
func (a *adapter) Write(ctx context.Context, writes []adapters.Write) []adapters.Outcome {
	outs := make([]adapters.Outcome, len(writes))
	for i, w := range writes {
		out, err := a.write(ctx, w)
		if domain.CodeOf(err) == domain.Conflict && w.ExternalID == "" {
			// Perhaps another process has just created it.
			if again, err2 := a.twin(ctx, w); err2 == nil {
				out, err = again, nil
			}
		}
		if code := domain.CodeOf(err); code == domain.Invalid || code == domain.Conflict || code == domain.Unsupported {
			e := *domain.AsError(err)
			if e.Field == "" && code == domain.Invalid {
				e.Field = tooLong(w, e.Message)
			}
			e.System, e.Message = a.s.System, label(w)+": "+e.Message
			err = &e
		}
		domain.Wrap(&err, "sqldb.Write")
		out.Err = err
		outs[i] = out
	}
	return outs
}

// twin writes to the row that has our id already, NotFound if there is none.
func (a *adapter) twin(ctx context.Context, w adapters.Write) (adapters.Outcome, error) {
	found, err := a.Find(ctx, w.Kind, []adapters.Query{{CanonicalID: w.CanonicalID}})
	if err != nil || w.CanonicalID == "" || len(found[0]) != 1 {
		return adapters.Outcome{}, errors.Join(err, a.err(domain.NotFound, "no other"))
	}
	w.ExternalID = found[0][0].ExternalID
	return a.write(ctx, w)
}

func (a *adapter) write(ctx context.Context, w adapters.Write) (out adapters.Outcome, err error) {
	t, m, err := a.carries(w.Kind)
	if err != nil {
		return out, err
	}
	method, path := "UPDATE", t.Table+"/"+w.ExternalID
	if w.ExternalID == "" {
		method, path = "INSERT", t.Table
		switch {
		case t.ID == "":
			return out, a.err(domain.Unsupported, "no row can be created in %s without a column for Datum's id: add one with a unique index and name it as id in the mapping", t.Table)
		case w.CanonicalID == "":
			return out, a.err(domain.Internal, "a row cannot be created without an id of ours")
		}
	}
	sent := object{}
	if err := m.Write(sent, w.Values); err != nil {
		return out, err
	}
	err = a.run(ctx, method, path, sent, true, func(ctx context.Context) (any, error) {
		tx, err := a.db.BeginTx(ctx, &sql.TxOptions{Isolation: sql.LevelReadCommitted})
		if err != nil {
			return nil, a.failure(ctx, t, err)
		}
		defer func() { _ = tx.Rollback() }()
		out, err = a.writeTx(ctx, tx, t, m, w)
		if err != nil {
			return nil, a.failure(ctx, t, err)
		}
		if err := a.commit(ctx, tx, t); err != nil {
			out = adapters.Outcome{}
			return nil, err
		}
		return out.Record.Raw, nil
	})
	if err != nil {
		return adapters.Outcome{}, err
	}
	return out, nil
}

// commit ends the transaction. If no answer comes nobody knows whether it was carried out.
func (a *adapter) commit(ctx context.Context, tx *sql.Tx, t *table) error {
	err := tx.Commit()
	if err == nil {
		return nil
	}
	_, pg := errors.AsType[*pgconn.PgError](err)
	_, my := errors.AsType[*mysql.MySQLError](err)
	if pg || my {
		return a.failure(ctx, t, err)
	}
	return &domain.Error{Code: domain.Unknown, System: a.s.System, Err: err,
		Message: "the connection was lost while the transaction ended; whether the row was written must be looked up"}
}

func (a *adapter) writeTx(ctx context.Context, tx *sql.Tx, t *table, m *adapters.Mapping, w adapters.Write) (out adapters.Outcome, err error) {
	o, err := a.locked(ctx, tx, t, w)
	if err != nil {
		return out, err
	}
	if o == nil {
		out.Created = true
		o, err = a.insert(ctx, tx, t, m, w)
	} else {
		o, err = a.update(ctx, tx, t, m, w, o)
	}
	if err != nil {
		return out, err
	}
	at := a.s.Now().UTC()
	if out.Record, err = a.record(t, o, at); err != nil {
		return out, err
	}
	for _, f := range w.Values.Fields() {
		want, got := m.Fit(domain.Values{f: w.Values[f]})[f], out.Record.Values[f]
		// Members that are read only are not in what was written.
		if got = m.Fit(domain.Values{f: got})[f]; same(want, got) {
			continue
		}
		e := a.err(domain.Invalid, "%s would not be kept as it is in %s: %s became %s; widen the column, or change what alters it", f,
			strings.Join(m.Row(f).Paths, ", "), short(want), short(got))
		e.Field = f
		return out, e
	}
	return out, nil
}

func same(a, b domain.Value) bool { return a == b || a.Empty() && b.Empty() }

func short(v domain.Value) string {
	if v.Empty() {
		return "nothing"
	}
	if r := []rune(string(v)); len(r) > 120 {
		return string(r[:120]) + "…"
	}
	return string(v)
}

// locked returns the row to be written, locked until the transaction ends, nil if it is to be created.
func (a *adapter) locked(ctx context.Context, tx *sql.Tx, t *table, w adapters.Write) (object, error) {
	if w.ExternalID != "" {
		objects, err := a.byKey(ctx, tx, t, []string{w.ExternalID}, " FOR UPDATE")
		if err != nil {
			return nil, err
		}
		if len(objects) != 1 || !t.isOne(objects[0]) || t.isDeleted(objects[0]) {
			return nil, a.err(domain.NotFound, "%s has no row %s", t.Table, w.ExternalID)
		}
		return objects[0], nil
	}
	objects, err := a.byID(ctx, tx, t, []string{w.CanonicalID}, " FOR UPDATE")
	switch {
	case err != nil || len(objects) == 0:
		return nil, err
	case len(objects) > 1:
		return nil, a.err(domain.Conflict, "%d rows of %s have the id %s: clear it in all but one and add a unique index on %s", len(objects), t.Table, w.CanonicalID, t.ID)
	case !t.isOne(objects[0]) || t.isDeleted(objects[0]):
		return nil, a.err(domain.Conflict, "a row of %s that was deleted has the id %s: restore it, or clear its %s", t.Table, w.CanonicalID, t.ID)
	}
	return objects[0], nil
}

// byID reads rows by our id.
func (a *adapter) byID(ctx context.Context, q querier, t *table, ids []string, lock string) ([]object, error) {
	s := &statement{d: a.d}
	places := make([]string, len(ids))
	for i, id := range ids {
		places[i] = s.arg(id)
	}
	s.add("SELECT ", a.selected(t), " FROM ", a.d.table(t.Table), " t WHERE t.", a.d.quote(t.ID), " IN (", strings.Join(places, ", "),
		") ORDER BY ", a.d.list("t.", t.Key), lock)
	return a.rows(ctx, q, t, s)
}

func (a *adapter) insert(ctx context.Context, tx *sql.Tx, t *table, m *adapters.Mapping, w adapters.Write) (object, error) {
	o := object{}
	for c, v := range t.Only {
		o[c] = v
	}
	if err := m.Write(o, w.Values); err != nil {
		return nil, err
	}
	o[t.ID] = w.CanonicalID
	if err := a.stamp(ctx, tx, t, o, t.Changed, t.Created); err != nil {
		return nil, err
	}
	ts, err := a.typesOf(ctx, tx, t.Table)
	if err != nil {
		return nil, err
	}
	s := &statement{d: a.d}
	var cols, vals []string
	for _, c := range slices.Sorted(maps.Keys(o)) {
		if _, list := o[c].([]any); list && ts[c] == "" || o[c] == nil {
			continue // a list's own table; and what is not known is left to the column's default
		}
		cols, vals = append(cols, c), append(vals, s.arg(a.toDatabase(o[c], ts[c])))
	}
	s.add("INSERT INTO ", a.d.table(t.Table), " (", a.d.list("", cols), ") VALUES (", strings.Join(vals, ", "), ")")
	if _, err := tx.ExecContext(ctx, s.sql.String(), s.args...); err != nil {
		return nil, err
	}
	made, err := a.byID(ctx, tx, t, []string{w.CanonicalID}, "")
	if err != nil {
		return nil, err
	}
	if len(made) != 1 {
		return nil, a.err(domain.Invalid, "the row that was inserted into %s cannot be found by its %s, which a trigger may have changed", t.Table, t.ID)
	}
	if err := a.writeLists(ctx, tx, t, w.Values, made[0], o); err != nil {
		return nil, err
	}
	return a.again(ctx, tx, t, made[0])
}

// again reads a row as it now is.
func (a *adapter) again(ctx context.Context, tx *sql.Tx, t *table, o object) (object, error) {
	parts, _ := keyOf(o, t.Key)
	now, err := a.byKey(ctx, tx, t, []string{joinKey(parts)}, "")
	if err != nil {
		return nil, err
	}
	if len(now) != 1 {
		return nil, a.err(domain.Invalid, "the row %s of %s cannot be seen after it was written: a trigger, a rule or row security hides it", joinKey(parts), t.Table)
	}
	return now[0], nil
}

// stamp sets columns with a time to now, by the database's clock, if that is for Datum to do.
func (a *adapter) stamp(ctx context.Context, tx *sql.Tx, t *table, o object, columns ...string) error {
	columns = slices.DeleteFunc(columns, func(c string) bool { return c == "" || c == t.Changed && !t.touches() })
	if len(columns) == 0 {
		return nil
	}
	now, err := a.clock(ctx, tx)
	for _, c := range columns {
		o[c] = now
	}
	return err
}

func (a *adapter) update(ctx context.Context, tx *sql.Tx, t *table, m *adapters.Mapping, w adapters.Write, o object) (object, error) {
	now, _, _ := m.Read(o)
	if w.Base != nil {
		if err := a.unchanged(m, w, now); err != nil {
			return nil, err
		}
	}
	values := domain.Values{}
	for f, v := range m.Fit(w.Values) {
		if !same(m.Fit(domain.Values{f: now[f]})[f], v) || now[f] == "" {
			values[f] = w.Values[f]
		}
	}
	next := maps.Clone(o)
	if err := m.Write(next, values); err != nil {
		return nil, err
	}
	if id, _ := scalar(o[t.ID]); t.ID != "" && id == "" && w.CanonicalID != "" {
		next[t.ID] = w.CanonicalID
	}
	lists := false
	for _, f := range t.children() {
		_, writes := values[t.fieldOf(f)]
		lists = lists || writes
	}
	differs := func(c string) bool {
		if _, list := next[c].([]any); list && strings.HasSuffix(c, "()") {
			return false
		}
		return domain.ValueOf(o[c]) != domain.ValueOf(next[c])
	}
	if !slices.ContainsFunc(slices.Collect(maps.Keys(next)), differs) && !lists {
		return o, nil
	}
	if err := a.stamp(ctx, tx, t, next, t.Changed); err != nil {
		return nil, err
	}
	ts, err := a.typesOf(ctx, tx, t.Table)
	if err != nil {
		return nil, err
	}
	key, _ := keyOf(o, t.Key)
	s := &statement{d: a.d}
	var sets []string
	for _, c := range slices.Sorted(maps.Keys(next)) {
		if differs(c) {
			sets = append(sets, a.d.quote(c)+" = "+s.arg(a.toDatabase(next[c], ts[c])))
		}
	}
	if len(sets) > 0 {
		s.add("UPDATE ", a.d.table(t.Table), " SET ", strings.Join(sets, ", "), " WHERE ", s.equal("", t.Key, key))
		if _, err := tx.ExecContext(ctx, s.sql.String(), s.args...); err != nil {
			return nil, err
		}
	}
	if err := a.writeLists(ctx, tx, t, values, o, next); err != nil {
		return nil, err
	}
	return a.again(ctx, tx, t, next)
}

// unchanged is an error if somebody has changed a field that is to be written since the row was last read.
func (a *adapter) unchanged(m *adapters.Mapping, w adapters.Write, now domain.Values) error {
	was, err := adapters.ParseObject(w.Base.Raw)
	if err != nil {
		return nil // there is nothing to compare with
	}
	before, _, _ := m.Read(was)
	for f, want := range w.Values {
		if b, known := before[f]; known && !same(now[f], b) && !same(m.Fit(domain.Values{f: now[f]})[f], m.Fit(domain.Values{f: want})[f]) {
			return a.err(domain.Unavailable, "%s of the row was changed in the database since it was last read; it is read again before it is written", f)
		}
	}
	return nil
}

// fieldOf is the name of a field of the kind.
func (t *table) fieldOf(f *field) domain.Field {
	for name, x := range t.Fields {
		if x == f {
			return name
		}
	}
	return ""
}

// writeLists writes the lists among the values to their own tables: o is the row as it is, next as it should be.
func (a *adapter) writeLists(ctx context.Context, tx *sql.Tx, t *table, values domain.Values, o, next object) error {
	for _, f := range t.children() {
		if _, writes := values[t.fieldOf(f)]; !writes {
			continue
		}
		key, _ := keyOf(o, t.Key)
		have, _ := o[f.place()].([]any)
		want, _ := next[f.place()].([]any)
		if err := a.writeList(ctx, tx, t, f, key, have, want); err != nil {
			return fmt.Errorf("%s: %w", t.fieldOf(f), err)
		}
	}
	return nil
}
